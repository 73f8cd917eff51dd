"""10,000 runs at once, five calls of 50 ms each: CPU per effect and memory per run.

Each case is measured in a process of its own, so that none finds the memory that another has left.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import world
from benchmarks.measure import Report, collector, resident
from stratagem.core import Journal, MemoryJournal, Task
from stratagem.errors import StratagemError

CALLS = 5
ROOT = Path(__file__).parent.parent
CASES = ("tasks", "memory", "sqlite", "session", "session_sqlite")


async def _tasks(runs: int, pace_s: float) -> None:
    """The yardstick: tasks that pause as often, and nothing else."""

    async def paused() -> None:
        for _ in range(CALLS):
            await asyncio.sleep(pace_s)

    await asyncio.gather(*(paused() for _ in range(runs)))


async def _bare(runs: int, pace_s: float, journal: Journal) -> None:
    """Runs on one journal, without a session."""
    shared, task = world.services(world.Paced(pace_s), journal=journal), Task(world.QUESTION, output=int)
    await asyncio.gather(*(world.five(world.begun(shared, f"bench{number}"), task) for number in range(runs)))
    await journal.aclose()


async def _session(runs: int, pace_s: float, journal: Journal) -> None:
    """The same as users begin them."""
    import stratagem  # noqa: PLC0415

    task = Task(world.QUESTION, output=int)
    async with stratagem.open(model=world.Paced(pace_s), journal=journal, memory="none") as session:
        answers = await asyncio.gather(*(session.run(world.five, task) for _ in range(runs)))
        assert all(answer.ok for answer in answers)


async def _watched(work: Any, samples: list[float]) -> None:
    """Await the work, and sample the memory of the process while all its runs are alive."""
    driving = asyncio.ensure_future(work)
    while not driving.done():
        await asyncio.sleep(world.PACE_S)
        samples.append(resident() or 0.0)
    await driving


def case(name: str, runs: int, *, owner: bool, pace_s: float = world.PACE_S) -> dict[str, float]:
    """Run one of `CASES` in this process; return CPU and wall-clock seconds, and KB of memory above the start."""
    with tempfile.TemporaryDirectory() as folder, collector(owner=owner):
        journal: Journal = MemoryJournal()
        if name.endswith("sqlite"):
            from stratagem.journals.sqlite import SQLiteJournal  # noqa: PLC0415

            journal = SQLiteJournal(Path(folder) / "runs.sqlite")
        works: dict[str, Any] = {"tasks": lambda: _tasks(runs, pace_s)}
        works |= dict.fromkeys(("memory", "sqlite"), lambda: _bare(runs, pace_s, journal))
        works |= dict.fromkeys(("session", "session_sqlite"), lambda: _session(runs, pace_s, journal))
        before, samples = resident() or 0.0, [0.0]
        began, wall = time.process_time(), time.perf_counter()
        asyncio.run(_watched(works[name](), samples))
        took = time.process_time() - began
        return {"cpu": took, "wall": time.perf_counter() - wall, "kb": max(samples) - before}


def elsewhere(name: str, runs: int, *, owner: bool) -> dict[str, float]:
    """Run one case in a process of its own."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'src')!r}, {str(ROOT)!r}]\n"
        f"import json; from benchmarks.many_runs import case\n"
        f"print(json.dumps(case({name!r}, {runs}, owner={owner})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StratagemError(f"the case {name!r} failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout)


def measure(report: Report, *, runs: int = 10_000, repeats: int = 3) -> None:
    """Print CPU per effect and memory per run."""
    report.title("many_runs", f"{runs:,} runs at once, {CALLS} calls of {world.PACE_S * 1000:.0f} ms each")
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeats):
        for name in CASES:
            found = elsewhere(name, runs, owner=True)
            best[name] = {key: min(value, best.get(name, found)[key]) for key, value in found.items()}
    usual = elsewhere("memory", runs, owner=False)
    us = {name: found["cpu"] / (runs * CALLS) * 1e6 for name, found in best.items()}
    report.shown("yardstick: tasks that only sleep, per sleep", us["tasks"], "us")
    report.judged("in memory, CPU per effect", us["memory"], "us", most=60)
    report.shown("  the same, of the yardstick", us["memory"] / us["tasks"], "x")
    report.shown("  with Python's own collector settings", usual["cpu"] / (runs * CALLS) * 1e6, "us")
    report.judged("in SQLite, CPU per effect", us["sqlite"], "us", most=120)
    report.shown("  the same, of the yardstick", us["sqlite"] / us["tasks"], "x")
    if best["memory"]["kb"] > 0:
        live = (best["memory"]["kb"] - best["tasks"]["kb"]) / runs
        report.shown("yardstick: memory per task", best["tasks"]["kb"] / runs, "KB")
        report.judged("memory per run, rows included", live, "KB", most=20)
    else:
        report.skipped("memory per run", "this system does not say how much a process holds")
    for name, most in (("session", 60), ("session_sqlite", 120)):
        where = "SQLite" if name.endswith("sqlite") else "memory"
        report.judged(f"through a session, in {where}, CPU per effect", us[name], "us", most=most)
        report.shown("  one whole run", us[name] * CALLS, "us", f"{best[name]['wall']:.1f} s for all")
