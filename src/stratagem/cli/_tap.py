"""A journal that lets its reader see each result as it is recorded: events say that an effect ended, not what it gave."""

from collections.abc import Awaitable
from typing import Any

from stratagem.core import Journal, Row, StoredRun, decoded

KEPT = 1000  # results that wait for their event; an event that was dropped must not keep its result for ever


class Tap:
    """Passes everything to a journal, and keeps the results of tools until they are asked for."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self.spec = journal, journal.spec
        self._results: dict[int, bytes] = {}

    def result(self, seq: int) -> dict[str, Any]:
        """Return the recorded form of a tool's result, once; empty if it is not there."""
        found = self._results.pop(seq, b"")
        return decoded(found) if found else {}

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
        """Append a row."""
        if row.kind == "tool" and not row.failed:
            self._results[row.seq] = row.result
            if len(self._results) > KEPT:
                self._results.pop(next(iter(self._results)))
        return self._journal.append(run_id, row, alone=alone)

    def create(self, run: StoredRun) -> Awaitable[None] | None:
        """Write a new run."""
        return self._journal.create(run)

    def update(self, run: StoredRun) -> Awaitable[None] | None:
        """Replace a run's record."""
        return self._journal.update(run)

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows."""
        return await self._journal.load(run_id)

    async def drop_damaged(self, run_id: str) -> int:
        """Remove the damaged rows of a run."""
        return await self._journal.drop_damaged(run_id)

    async def runs(
        self, *, state: str | None = None, strategy: str | None = None, since: int = 0, text: str = "", limit: int = 20
    ) -> list[StoredRun]:
        """Return records, newest first."""
        return await self._journal.runs(state=state, strategy=strategy, since=since, text=text, limit=limit)

    async def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`."""
        return await self._journal.ids(prefix)

    async def aclose(self) -> None:
        """Let go of the file."""
        await self._journal.aclose()
