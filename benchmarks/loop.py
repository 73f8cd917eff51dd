"""A tool loop of 200 and 800 steps: in memory, with a listener, and with every effect durable in SQLite."""

import asyncio
import gc
import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import world
from benchmarks.measure import Report, collector, cpu, smallest
from stratagem.core import Feed, Journal
from stratagem.journals.sqlite import SQLiteJournal

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=240", "journal_size_limit=1000000")


async def plain(steps: int) -> int:
    """Do the same without a core: keep the messages, write each as JSON once; return the transcript's bytes."""
    model, log = world.Looped(steps), bytearray()
    messages: list[dict[str, Any]] = []

    def keep(message: dict[str, Any]) -> None:
        messages.append(message)
        log.extend(json.dumps(message).encode())

    keep({"role": "user", "content": world.QUESTION})
    for number in range(steps):
        sample = model.complete(_Asked(number)).samples[0]  # pyright: ignore[reportArgumentType]
        calls = [{"id": str(number), "name": name, "arguments": given} for name, given in sample.calls]
        keep({"role": "assistant", "content": sample.text, "tool_calls": calls})
        seen = await world.look.fn(**calls[0]["arguments"])
        keep({"role": "tool", "tool_call_id": str(number), "content": seen})
    sample = model.complete(_Asked(steps)).samples[0]  # pyright: ignore[reportArgumentType]
    keep({"role": "assistant", "content": sample.text})
    return len(log)


class _Asked:
    """What the model looks at: how many steps there are."""

    def __init__(self, number: int) -> None:
        self.steps = range(number)


async def _loop(steps: int, journal: Journal | None = None, *, listened: bool = False) -> None:
    shared = world.services(world.Looped(steps), journal=journal, tools=[world.look])
    seen: list[Any] = []
    feeds = (Feed(seen.append),) if listened else ()
    run = world.begun(shared, feeds=feeds)
    answer = await world.searched(run)
    assert answer == "In the last drawer."
    assert run.strand.world.book.seq == 2 * steps + 1
    for feed in feeds:
        await feed.aclose()
    assert len(seen) >= (4 * steps + 2 if listened else 0)


def in_memory(steps: int, *, listened: bool = False) -> float:
    """Return the CPU seconds of the loop with the journal in memory."""
    return cpu(lambda: _loop(steps, listened=listened))


def durable(folder: Path, steps: int) -> tuple[float, int, int]:
    """Return the CPU seconds of the loop in a new file, the bytes of the closed file, and of its log while open."""
    path = folder / "loop.sqlite"
    log = path.with_name(f"{path.name}-wal")
    lengths: list[int] = []

    async def main() -> float:
        journal = SQLiteJournal(path)
        await journal.ids("none")  # the file is made before the clock runs
        gc.collect()
        began = time.process_time()
        await _loop(steps, journal)
        took = time.process_time() - began
        lengths.append(log.stat().st_size)
        await journal.aclose()
        return took

    took = asyncio.run(main())
    size = path.stat().st_size
    path.unlink()
    return took, size, lengths[0]


def bare(folder: Path, commits: int, row: int) -> float:
    """Return the CPU seconds of so many commits of one row of so many bytes, with nothing around them."""
    path = folder / "bare.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, body BLOB)")
    body = bytes(row)

    def commit() -> None:
        for _ in range(commits):
            connection.execute("INSERT INTO row (body) VALUES (?)", (body,))

    took = cpu(commit)
    connection.close()
    path.unlink()
    return took


def measure(report: Report, *, steps: int = 200, repeats: int = 25) -> None:
    """Print CPU, bytes and growth of the loop."""
    transcript = asyncio.run(plain(steps))
    report.title("loop", f"{steps} steps, {2 * steps + 1} effects, a transcript of {transcript / 1000:.0f} KB")
    with collector(owner=True):
        best = smallest(
            repeats,
            plain=lambda: cpu(lambda: plain(steps)),
            memory=lambda: in_memory(steps),
            listened=lambda: in_memory(steps, listened=True),
            longer=lambda: in_memory(4 * steps),
        )
    ms = {name: took * 1000 for name, took in best.items()}
    report.shown("yardstick: a plain loop that logs JSON", ms["plain"], "ms")
    report.judged("in memory", ms["memory"], "ms", most=10)
    report.judged("  the same, of the plain loop", ms["memory"] / ms["plain"], "x", most=12, ratio=True)
    report.shown("  with a listener", ms["listened"], "ms")
    report.judged(f"  {4 * steps} steps, of {steps}", ms["longer"] / ms["memory"], "x", most=4.4, ratio=True)
    with collector(owner=False):
        usual = smallest(max(3, repeats // 3), memory=lambda: in_memory(steps))["memory"] * 1000
    report.shown("  with Python's own collector settings", usual, "ms")
    _measure_durable(report, steps, max(3, repeats // 2), transcript)


def _measure_durable(report: Report, steps: int, repeats: int, transcript: int) -> None:
    sizes: list[tuple[int, int]] = []
    commits = 2 * steps + 1

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def sqlite() -> float:
            took, size, log = durable(folder, steps)
            sizes.append((size, log))
            return took

        with collector(owner=True):
            best = smallest(repeats, bare=lambda: bare(folder, commits, transcript // commits), sqlite=sqlite)
    report.shown(f"yardstick: {commits} bare commits of one row", best["bare"] * 1000, "ms", "the same pragmas")
    report.judged("in SQLite, every effect durable", best["sqlite"] * 1000, "ms", most=120)
    report.judged("  the same, of the bare commits", best["sqlite"] / best["bare"], "x", most=3.5, ratio=True)
    size, log = max(size for size, _ in sizes), max(log for _, log in sizes)
    report.judged("bytes of the closed file, of the transcript", size / transcript, "x", most=2, ratio=True)
    report.judged("write-ahead log while open", log / 1000, "KB", most=1000, ratio=True)
