"""The journal in one SQLite file: what `home` holds, and what a notebook keeps beside it.

    journal = SQLiteJournal(".stratagem/journal.sqlite")
    ...
    await journal.aclose()

The file is opened, and made if need be, when it is first written to. A write-ahead log and full synchronisation: what
is reported as durable survives a loss of power. Local disks only: SQLite's locks do not work on network file systems.
"""

from collections.abc import Awaitable
from pathlib import Path

from stratagem.core import Clock, Row, StoredRun
from stratagem.errors import JournalError
from stratagem.journals._store import Store
from stratagem.journals._writer import Writer

PATIENCE_S = 5.0


class SQLiteJournal:
    """A journal in a file (`stratagem.core.Journal`).

    Many processes may read and write one file; each run has one owner. A write that finds the file locked tries again
    for `patience_s`. If a write fails for the file's sake (disk full, locked, read-only, damaged), so do all later ones
    of this object, with the same message; what was recorded before can still be read.

    No write raises at once: its error comes from its awaitable.

    Args:
        path: of the file; its directory is made if need be, for this user alone.
        clock: tells when patience ends; the machine's clock if not given.
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
        """Replace a run's record; an epoch above the one that was read takes the run over from its owner."""
        return self._writer.put("update", run.run_id, run)

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows, every byte verified; this process may write to it from now on."""
        return await self._writer.call(lambda: self._store.load(run_id))

    async def drop_damaged(self, run_id: str) -> int:
        """Remove what cannot be trusted: the rows from the first damaged one on; return how many went.

        The run is `running` then, so that `resume` performs them again. If its record is damaged where it says what
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

    async def aclose(self) -> None:
        """Write what is queued, bring the log into the file, and let go of it. Later calls raise `JournalError`."""
        closed = JournalError(f"{self.path}: the journal is closed", remedy="Open it again.")
        await self._writer.end(self._store.close, closed)
