"""CPU per row of the SQLite journal, alone and in groups, beside bare one-row commits in the same process.

    .venv/bin/python benchmarks/journal_rows.py

CPU is that of the whole process (loop, writer thread, kernel). The bare commits use the same pragmas and rows of the
same size, so the ratio is what the journal costs: seal, epoch check, index, hand-over. Trust the ratios, not the times.
"""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from stratagem.core import Row, StoredRun, Usage
from stratagem.journals.sqlite import SQLiteJournal

ROWS = 400
ROUNDS = 5
ANSWER = b'"' + b"forty characters of an answer, and more."[:38] + b'"'


def row(seq: int) -> Row:
    """Return what a model call with a 40-character answer leaves behind."""
    return Row(
        seq, "model", "react", seq.to_bytes(32, "big"), 0, 1_764_000_000_000_000 + seq, 5_000_000 + seq * 1000, 1200,
        Usage(1, 1, 300 + seq, 12), b'{"at":%d}' % seq, ANSWER,
    )  # fmt: skip


def bare(path: Path) -> float:
    """Return the CPU microseconds of a commit of one row, in a table without anything else."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=224", "journal_size_limit=1000000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, body BLOB)")
    body = bytes(200)
    began = time.process_time()
    for _ in range(ROWS):
        connection.execute("INSERT INTO row (body) VALUES (?)", (body,))
    took = time.process_time() - began
    connection.close()
    return took / ROWS * 1e6


async def alone(journal: SQLiteJournal, run_id: str) -> float:
    """Return the CPU microseconds of a row that nothing else is in flight with."""
    began = time.process_time()
    for seq in range(ROWS):
        waiting = journal.append(run_id, row(seq), alone=True)
        if waiting is not None:
            await waiting
    return (time.process_time() - began) / ROWS * 1e6


async def grouped(journal: SQLiteJournal, run_id: str, size: int) -> float:
    """Return the CPU microseconds of a row that is written together with others, all but one unawaited."""
    groups = max(4, ROWS // size)
    began = time.process_time()
    for group in range(groups):
        waiting: Awaitable[None] | None = None
        for seq in range(group * size, group * size + size):
            waiting = journal.append(run_id, row(seq))
        if waiting is not None:
            await waiting
    return (time.process_time() - began) / (groups * size) * 1e6


async def measured(folder: Path) -> dict[str, float]:
    """Return the figures of one round."""
    figures = {"bare commit": bare(folder / "bare.sqlite")}
    journal = SQLiteJournal(folder / "journal.sqlite")
    cases: dict[str, Callable[[str], Awaitable[float]]] = {"alone": lambda run_id: alone(journal, run_id)}
    for size in (10, 100, 1000):
        cases[f"groups of {size}"] = lambda run_id, size=size: grouped(journal, run_id, size)
    for number, (name, case) in enumerate(cases.items()):
        run_id = f"bench{number}"
        await journal.create(StoredRun(run_id))
        figures[name] = await case(run_id)
    await journal.aclose()
    journal = SQLiteJournal(folder / "journal.sqlite")
    began = time.process_time()
    _, rows = await journal.load("bench3")
    figures[f"load, of {len(rows)}"] = (time.process_time() - began) / len(rows) * 1e6
    await journal.aclose()
    return figures


async def size_of(folder: Path) -> tuple[float, int]:
    """Return the bytes of the closed file per row, and of its log before it was closed."""
    path = folder / "size.sqlite"
    journal = SQLiteJournal(path)
    await journal.create(StoredRun("sizes1"))
    before = 0
    for seq in range(2000):
        waiting = journal.append("sizes1", row(seq), alone=True)
        if waiting is not None:
            await waiting
        before = max(before, path.with_name("size.sqlite-wal").stat().st_size)
    await journal.aclose()
    return path.stat().st_size / 2000, before


def main() -> None:
    """Print the smallest of several rounds."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            for name, figure in asyncio.run(measured(Path(folder))).items():
                best[name] = min(figure, best.get(name, figure))
    yardstick = best["bare commit"]
    for name, figure in best.items():
        print(f"{name:16} {figure:8.1f} us CPU per row   {figure / yardstick:6.2f} x a bare commit")
    with tempfile.TemporaryDirectory() as folder:
        per_row, log = asyncio.run(size_of(Path(folder)))
    print(f"file             {per_row:8.0f} bytes per row of a 40-character answer; log at most {log:,} bytes")


if __name__ == "__main__":
    main()
