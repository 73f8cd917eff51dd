"""The journal in one SQLite file: what `home` holds, and what a notebook keeps beside it.

    journal = SQLiteJournal(".stratagem/journal.sqlite")
    ...
    await journal.aclose()

The file is opened, and made if need be, when it is first written to. A write-ahead log and full synchronisation: what
is reported as durable survives a loss of power. Local disks only: SQLite's locks do not work on network file systems.
"""

from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from stratagem.core import Clock, Condition, Row, StoredRun
from stratagem.errors import JournalError
from stratagem.journals._store import Store
from stratagem.journals._writer import Writer

PATIENCE_S = 5.0


class SQLiteJournal:
    """A journal in a file (`stratagem.core.Journal`).

    Many processes may read and write one file; each run has one owner. A file of an older stratagem is brought forward
    when it is opened; one that can only be read is read as it is. A write that finds the file locked tries again
    for `patience_s`. If a write fails for the file's sake (disk full, locked, read-only, damaged), so do all later ones
    of this object, with the same message; what was recorded before can still be read.

    No write raises at once: its error comes from its awaitable.

    Args:
        path: of the file; its directory is made if need be, for this user alone.
        clock: tells when patience ends, and the age of leases; the machine's clock if not given.
        patience_s: seconds to wait for another process that locks the file.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None, patience_s: float = PATIENCE_S) -> None:
        self.path = Path(path).absolute()
        self.spec = f"sqlite:{path}"
        self._store = Store(self.path, patience_s, clock)
        self._writer = Writer(self._store, f"journal {self.path.name}")

    def create(self, run: StoredRun) -> Awaitable[None]:
        """Write a new run; `JournalError` if its id is taken."""
        return self._writer.put("create", run.run_id, run)

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
        """Append a row. None if it is durable already, which only happens to a row that is `alone`.

        Rows come with a growing `seq`. A decision that nobody awaits is written with the next row.
        """
        return self._writer.put_alone(run_id, row) if alone else self._writer.put("append", run_id, row)

    def update(self, run: StoredRun) -> Awaitable[None]:
        """Replace a run's record, but for its epoch, questions and answers; without an owner, let go of it."""
        return self._writer.put("update", run.run_id, run)

    def ask(self, run_id: str, question: str, form: bytes) -> Awaitable[None]:
        """Store what is asked of a person, unless it is there already."""
        return self._writer.put("ask", run_id, (question, form))

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        """Let go of a run that waits for persons, unless a question it waits for has been answered: then say what."""
        return await self._told("park", run.run_id, (run, frozenset(waiting)))

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        """Store what a person said, once; return the run as it stands then, None if it was answered before."""
        return await self._told("answer", run_id, (question, value))

    async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Return what persons said to these runs. Where nothing has changed since the last time, one row is read."""
        found = self._writer.glance(lambda: self._store.answers_at_once(run_ids))
        return await self._writer.call(lambda: self._store.answers(run_ids)) if found is None else found

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        """Take a run over, if it still has this epoch; it has the next one from then on."""
        await self._told("claim", run_id, (epoch, owner))

    def beat(self, owner: bytes) -> Awaitable[None]:
        """Say that an owner is alive, now."""
        return self._writer.put("beat", "", owner)

    async def age(self, owner: bytes) -> float | None:
        """Return the seconds since an owner's last beat; None if it never said that it is alive.

        By the clock that counts from the machine's start, so that a change of the time of day makes nobody older.
        """
        return await self._writer.call(lambda: self._store.age(owner))

    async def find(self, run_id: str) -> StoredRun | None:
        """Return a run's record, verified; None if there is none."""
        return await self._writer.call(lambda: self._store.find(run_id))

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows, every byte verified."""
        return await self._writer.call(lambda: self._store.load(run_id))

    async def drop_damaged(self, run_id: str) -> int:
        """Remove the rows of a run that are not as they were written; return how many went.

        All that is sound stays, what comes after them too. Where a tool may have been performed of which nothing is left
        but the call, the row becomes an intent: at `resume` a person is asked, unless the tool may be performed freely.
        Where nobody can read any more which call it was, a person is asked before any tool is performed that may happen
        once only and that the record does not show. Nobody can know what stood in a row that is missing without a trace,
        such as a cut end.

        The run is `running` then, so that `resume` performs again what went. If its record is damaged where it says what
        the run is (strategy, task, model), that part is emptied, and must be given again at `resume`. Of a run that is
        sound nothing is changed.
        """
        return await self._writer.call(lambda: self._store.drop_damaged(run_id))

    async def runs(
        self, *, state: str | None = None, strategy: str | None = None, since: int = 0, text: str = "", limit: int = 20
    ) -> list[StoredRun]:
        """Return records, newest first. `text` is looked for in the id and in the question's first 4,000 characters."""
        return await self._writer.call(
            lambda: self._store.runs(state=state, strategy=strategy, since=since, text=text, limit=limit)
        )

    async def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first, at most 20."""
        return await self._writer.call(lambda: self._store.ids(prefix))

    async def children(self, run_id: str) -> list[str]:
        """Return the ids of the runs that were forked from this one, oldest first."""
        return await self._writer.call(lambda: self._store.children(run_id))

    async def remove(self, run_ids: Sequence[str]) -> int:
        """Remove runs with their questions, rows, and the payloads that nothing else refers to, in one transaction.

        The space is used again by later runs; `sweep` makes the file smaller.
        """
        return await self._writer.call(lambda: self._store.remove(run_ids))

    async def sweep(self) -> int:
        """Remove payloads that nothing refers to, and make the file smaller by `VACUUM`; return how many went.

        That copies the file, for which it needs as much space again on the disk, and keeps writers waiting meanwhile.
        So a file with more than 256 MB in use stays as large as it is: later runs use what is free in it.
        """
        return await self._writer.call(self._store.sweep)

    async def check(self) -> Condition:
        """Look at every page, record, row, payload, question and lease; nothing is changed."""
        return await self._writer.call(self._store.check)

    async def aclose(self) -> None:
        """Write what is queued, bring the log into the file, and let go of it. Later calls raise `JournalError`."""
        closed = JournalError(f"{self.path}: the journal is closed", remedy="Open it again.")
        await self._writer.end(self._store.close, closed)

    async def _told(self, verb: str, run_id: str, what: object) -> Any:
        item = self._writer.put(verb, run_id, what)
        await item
        return item.result
