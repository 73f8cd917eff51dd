"""`map` over 100 branches of five calls each: the time it takes, of the time that the slowest branch must take.

The calls only wait, so this is wall-clock time: on a machine that is busy with other things it says little.
"""

import asyncio
import itertools
import tempfile
import time
from pathlib import Path

from benchmarks import world
from benchmarks.measure import Report, collector, smallest
from stratagem.core import Journal, Task
from stratagem.journals.sqlite import SQLiteJournal

CALLS = 5


async def fanned(branches: int, pace_s: float, journal: Journal | None = None) -> float:
    """Return the seconds of one wave of branches, five calls each."""
    run = world.begun(world.services(world.Paced(pace_s), journal=journal))
    task = Task(world.QUESTION, output=int)
    began = time.perf_counter()
    await run.map(lambda run, _: world.five(run, task), range(branches))
    return time.perf_counter() - began


async def slept(branches: int, pace_s: float) -> float:
    """Return the seconds of the yardstick: as many tasks that sleep as often."""

    async def branch() -> None:
        for _ in range(CALLS):
            await asyncio.sleep(pace_s)

    began = time.perf_counter()
    await asyncio.gather(*(branch() for _ in range(branches)))
    return time.perf_counter() - began


async def in_file(branches: int, pace_s: float, path: Path) -> float:
    """Return the seconds of the same wave with its journal in a new file."""
    journal = SQLiteJournal(path)
    took = await fanned(branches, pace_s, journal)
    await journal.aclose()
    return took


def measure(
    report: Report, *, branches: int = 100, pace_s: float = 0.05, durable_pace_s: float = 0.2, repeats: int = 7
) -> None:
    """Print the ratios to the critical path."""
    report.title("map", f"{branches} branches of {CALLS} calls; the critical path is {CALLS} calls")
    with collector(owner=True), tempfile.TemporaryDirectory() as folder:
        number = itertools.count()
        best = smallest(
            repeats,
            slept=lambda: asyncio.run(slept(branches, pace_s)),
            memory=lambda: asyncio.run(fanned(branches, pace_s)),
            sqlite=lambda: asyncio.run(in_file(branches, durable_pace_s, Path(folder) / f"map{next(number)}.sqlite")),
        )
    name, durable = f"calls of {pace_s * 1000:.0f} ms", f"calls of {durable_pace_s * 1000:.0f} ms"
    report.shown(f"yardstick: tasks that only sleep, {name}", best["slept"] / (CALLS * pace_s), "x")
    report.judged(f"in memory, {name}", best["memory"] / (CALLS * pace_s), "x", most=1.1, ratio=True)
    report.judged(f"in SQLite, {durable}", best["sqlite"] / (CALLS * durable_pace_s), "x", most=1.1, ratio=True)
