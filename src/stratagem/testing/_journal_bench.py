"""What the checks of a journal work with: the journal, opened again and again, and plain rows and records."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Journal, Row, StoredRun, Usage
from stratagem.core._canonical import encoded
from stratagem.core._journal import FIRST, seal
from stratagem.errors import OwnedElsewhere

Damage = Callable[[Path, str, int], None]
Advance = Callable[[float], None]

FORM = b'{"question":"Which way?","schema":{"type":"string"}}'
LONG = b'{"question":"' + b"long " * 1000 + b'"}'
OWNER = b'{"id":"0123456789abcdef","host":"here","pid":4711}'
OTHER = b'{"id":"fedcba9876543210","host":"there","pid":4711}'


class Bench:
    """One journal under test; `open` returns it, again and again."""

    def __init__(
        self, make: Callable[[Path], Journal], folder: Path, damage: Damage | None, advance: Advance | None = None
    ) -> None:
        self._make, self.folder, self._damage, self._advance = make, folder, damage, advance
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

    def advance(self, seconds: float) -> None:
        """Move the hands of the journal's clock."""
        assert self._advance is not None
        self._advance(seconds)

    async def close(self) -> None:
        """Close all that were opened; closing twice is allowed."""
        for journal in self._opened:
            await journal.aclose()


Check = Callable[[Bench], Awaitable[None]]


def row(seq: int, **changes: Any) -> Row:
    """Return a plain row: a model call that cost something."""
    usage = Usage(1, 1, 100 + seq, 20, seconds=0.25)
    usual = Row(
        seq, "model", "react", bytes([seq % 256]) * 32, 0, 1_764_000_000_000_000 + seq, 1000 * seq, 250_000, usage,
        b'{"n":%d}' % seq, b'"answer %d"' % seq,
    )  # fmt: skip
    return usual._replace(**changes)


def run_of(run_id: str, question: str = "What is it?", **changes: Any) -> StoredRun:
    """Return the record of a run that begins, and is driven."""
    record = {"strategy": "react(max_steps=3)", "task": {"question": question}, "model": "offline"}
    return StoredRun(run_id, created=1000, updated=1000, record=encoded(record), owner=OWNER)._replace(**changes)


def waiting(run: StoredRun) -> StoredRun:
    """Return the record with which a run is parked."""
    return run._replace(state="waiting", owner=b"", rows=0, updated=run.updated + 1, end=b'{"waiting":["q"]}')


async def found(journal: Journal, run_id: str) -> StoredRun:
    """Return a record that is there."""
    run = await journal.find(run_id)
    assert run is not None
    return run


async def asking(journal: Journal, run_id: str, *questions: str) -> StoredRun:
    """Create a run that asks."""
    await durable(journal.create(run_of(run_id)))
    for question in questions:
        await durable(journal.ask(run_id, question, FORM))
    return await found(journal, run_id)


async def taken(journal: Journal, run_id: str, owner: bytes = OWNER) -> tuple[StoredRun, list[Row]]:
    """Take a run over, whoever has it, and load it."""
    run = await found(journal, run_id)
    await journal.claim(run_id, run.epoch, owner)
    return await journal.load(run_id)


async def refused(journal: Journal, run: StoredRun, seq: int) -> None:
    """Try each write of a run, and see it refused because somebody else drives the run, or nobody."""

    async def park() -> None:
        await journal.park(run._replace(state="waiting", rows=0, owner=b""), [])

    for write in (
        lambda: durable(journal.append(run.run_id, row(seq, path="refused"))),
        lambda: durable(journal.append(run.run_id, row(seq, path="refused"), alone=True)),
        lambda: durable(journal.update(run._replace(state="failed", rows=0))),
        lambda: durable(journal.ask(run.run_id, "refused", b'{"question":"Refused?"}')),
        park,
    ):
        with pytest.raises(OwnedElsewhere, match=run.run_id):
            await write()


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
