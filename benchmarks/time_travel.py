"""A fork of a run with 10,000 effects, in SQLite: what making it costs, and what it stores; and its replay.

The fork is made when its record is durable: from then on it can be resumed. Then its program is driven again over the
parent's journal, which costs what a resume costs.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import stratagem
from benchmarks import world
from benchmarks.measure import Report, collector
from stratagem.core import Answer, Run, Task, strategy
from stratagem.journals.sqlite import SQLiteJournal


@strategy(calls="n", lower="n")
async def long(run: Run, task: Task, *, n: int = 10_000) -> Answer:
    """Ask `n` times, each time about what came before."""
    for number in range(n):
        await run.ask(world.guess, question=f"{number}", notes=())
    return task.answer("done")


async def _timed(work: Callable[[], Awaitable[Any]]) -> tuple[float, float, Any]:
    """Return wall-clock seconds, CPU seconds and what came of it."""
    wall, began = time.perf_counter(), time.process_time()
    found = await work()
    return time.perf_counter() - wall, time.process_time() - began, found


def _size(path: Path) -> int:
    return sum(os.path.getsize(one) for one in path.parent.glob(path.name + "*"))


async def _forked(path: Path, effects: int) -> dict[str, float]:
    strategy = long.using(n=effects)
    async with stratagem.open(model=world.Drawn(), journal=SQLiteJournal(path), memory="none") as session:
        await session.run(strategy, "?", run_id="parent")
    before = _size(path)
    async with stratagem.open(model=world.Drawn(), journal=SQLiteJournal(path), memory="none") as session:
        wall, cpu, plan = await _timed(lambda: session._forked("parent", effects - 1, {}))
        drive_wall, _, answer = await _timed(lambda: session._driven(plan, None))
        assert answer.ok, answer
    stored = _size(path) - before
    async with stratagem.open(model=world.Drawn(), journal=SQLiteJournal(path), memory="none") as session:
        replay, _, _ = await _timed(lambda: session.replay("parent"))
    return {"wall": wall, "cpu": cpu, "drive": drive_wall, "stored": stored / 1000, "replay": replay}


def measure(report: Report, *, effects: int = 10_000, repeats: int = 5) -> None:
    """Print what a fork costs."""
    report.title("time_travel", f"a fork at the last of {effects:,} effects, in SQLite")
    best: dict[str, float] = {}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder, collector(owner=True):
            found = asyncio.run(_forked(Path(folder) / "journal.sqlite", effects))
        best = {name: min(value, best.get(name, value)) for name, value in found.items()}
    report.judged("made: wall clock", best["wall"], "s", most=0.2)
    report.shown("  of it CPU", best["cpu"], "s")
    report.judged("stored by the fork, file closed", best["stored"], "KB", most=100)
    report.shown("driven over its parent's journal, one effect performed", best["drive"], "s")
    report.shown("replay of the parent, nothing performed", best["replay"], "s")
