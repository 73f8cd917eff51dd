"""Resume of 10,000 recorded effects: a loop of tool calls, and 100 x 100 branches. Nothing is performed again."""

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks import world
from benchmarks.measure import Report, collector, smallest
from stratagem.core import Book, Run, Task, World
from stratagem.journals.sqlite import SQLiteJournal

Program = Callable[[Run], Awaitable[Any]]


async def branched(run: Run, width: int) -> None:
    """Ask once in each of `width` x `width` branches."""
    task = Task(world.QUESTION, output=int)

    async def inner(run: Run, _: int) -> None:
        await world.one(run, task)

    async def outer(run: Run, _: int) -> None:
        await run.map(inner, range(width))

    await run.map(outer, range(width))


async def recorded(path: Path, program: Program, model: world.Model) -> int:
    """Run a program on a new file; return how many effects it has recorded."""
    journal = SQLiteJournal(path)
    run = world.begun(world.services(model, journal=journal, tools=[world.look]))
    await program(run)
    await journal.aclose()
    return run.strand.world.book.seq


async def resumed(path: Path, program: Program, model: world.Model) -> tuple[float, float, int, int]:
    """Continue it in a new journal: CPU seconds of loading, of the rest, and effects reused and performed."""
    gc.collect()
    began = time.process_time()
    journal = SQLiteJournal(path)
    _, rows = await journal.load("bench1")
    loaded = time.process_time()
    shared = world.services(model, journal=journal, tools=[world.look])
    book = Book(journal, "bench1", rows)
    run = Run.start(World(shared, book, run_id="bench1"))
    await program(run)
    ended = time.process_time()
    await journal.aclose()
    return loaded - began, ended - loaded, book.reused, book.performed


def plain_read(path: Path) -> float:
    """Return the CPU seconds of the yardstick: every value of every row, read without a look at it."""
    import sqlite3  # noqa: PLC0415

    began = time.process_time()
    connection = sqlite3.connect(path)
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        connection.execute(f'SELECT * FROM "{table}"').fetchall()
    connection.close()
    return time.process_time() - began


def measure(report: Report, *, effects: int = 10_000, repeats: int = 12) -> None:
    """Print what a resume costs."""
    steps, width = effects // 2, round(effects**0.5)
    programs: dict[str, tuple[Program, world.Model]] = {
        "a loop": (world.searched, world.Looped(steps)),
        f"{width} x {width} branches": (lambda run: branched(run, width), world.Drawn()),
    }
    report.title("resume", f"{effects:,} recorded effects, in SQLite")
    for name, (program, model) in programs.items():
        with tempfile.TemporaryDirectory() as folder, collector(owner=True):
            path = Path(folder) / "resume.sqlite"
            made = asyncio.run(recorded(path, program, model))
            rounds: list[tuple[float, float, int, int]] = []

            def again(
                path: Path = path, program: Program = program, model: world.Model = model, rounds: Any = rounds
            ) -> float:
                rounds.append(asyncio.run(resumed(path, program, model)))
                return rounds[-1][0] + rounds[-1][1]

            best = smallest(repeats, plain=lambda path=path: plain_read(path), again=again)
        performed = max(one[3] for one in rounds)
        report.shown("yardstick: read all rows", best["plain"] * 1000, "ms CPU")
        report.judged(f"{name}: CPU", best["again"] * 1000, "ms CPU", most=400)
        report.shown("  of it: load and verify", min(one[0] for one in rounds) * 1000, "ms CPU")
        report.shown("  the same, of the yardstick", best["again"] / best["plain"], "x")
        report.judged("  performed again", performed, "effects", most=0, ratio=True)
        report.judged("  reused, of those recorded", min(one[2] for one in rounds) / made, "x", least=1, ratio=True)
