"""What the checks of a journal work with: the journal, opened again and again, and plain rows and records."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from stratagem.core import Journal, Row, StoredRun, Usage
from stratagem.core._canonical import encoded
from stratagem.core._journal import FIRST, seal

Damage = Callable[[Path, str, int], None]


class Bench:
    """One journal under test; `open` returns it, again and again."""

    def __init__(self, make: Callable[[Path], Journal], folder: Path, damage: Damage | None) -> None:
        self._make, self.folder, self._damage = make, folder, damage
        self._opened: list[Journal] = []

    def open(self) -> Journal:
        """Open the journal, as another process would."""
        journal = self._make(self.folder)
        self._opened.append(journal)
        return journal

    async def reopened(self, journal: Journal) -> Journal:
        """Close the journal and open it again."""
        await journal.aclose()
        return self.open()

    def damage(self, run_id: str, seq: int) -> None:
        """Change a byte of a stored row."""
        assert self._damage is not None
        self._damage(self.folder, run_id, seq)

    async def close(self) -> None:
        """Close all that were opened; closing twice is allowed."""
        for journal in self._opened:
            await journal.aclose()


def row(seq: int, **changes: Any) -> Row:
    """Return a plain row: a model call that cost something."""
    usage = Usage(1, 1, 100 + seq, 20, seconds=0.25)
    usual = Row(
        seq, "model", "react", bytes([seq % 256]) * 32, 0, 1_764_000_000_000_000 + seq, 1000 * seq, 250_000, usage,
        b'{"n":%d}' % seq, b'"answer %d"' % seq,
    )  # fmt: skip
    return usual._replace(**changes)


def run_of(run_id: str, question: str = "What is it?", **changes: Any) -> StoredRun:
    """Return the record of a run that begins."""
    record = {"strategy": "react(max_steps=3)", "task": {"question": question}, "model": "offline"}
    return StoredRun(run_id, created=1000, updated=1000, record=encoded(record))._replace(**changes)


async def durable(waiting: Awaitable[None] | None) -> None:
    """Wait until a write is durable."""
    if waiting is not None:
        await waiting


def chain(rows: Sequence[Row]) -> bytes:
    """Return the seal of the last row."""
    last = FIRST
    for one in rows:
        last = seal(last, one)
    return last
