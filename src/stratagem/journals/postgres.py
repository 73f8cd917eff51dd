"""The journal on a PostgreSQL server: for processes on several machines, or where a server is at hand anyway.

    journal = PostgresJournal("postgresql://user:password@host/database")
    ...
    await journal.aclose()

Needs the extra `stratagem[postgres]` and a server of version 13 or later. The tables are made when they are first
needed, in the schema `stratagem`, or the one that `?schema=NAME` names. A pooler in transaction mode may stand in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from stratagem.core import Clock, Row, StoredRun
from stratagem.core._journal import Condition
from stratagem.errors import CapabilityError, JournalError
from stratagem.journals._writer import Writer

if TYPE_CHECKING:
    from stratagem.journals._postgres_store import Store

T = TypeVar("T")

PATIENCE_S = 30.0


class PostgresJournal:
    """A journal in a PostgreSQL database (`stratagem.core.Journal`).

    Many processes may read and write one database; each run has one owner. This object holds one connection, over
    which a thread writes: what queued while the last transaction was committed is the next one.

    When the connection is lost, or the server restarts, the journal tries for `patience_s` to reach it again, finds out
    what had been committed, and goes on: nothing is written twice, nothing is left out. If the server does not come
    back, or refuses a write (disk full, no rights), all later writes of this object are refused with the same message;
    what was recorded before can still be read. A server that was never reached is not waited for.

    No write raises at once: its error comes from its awaitable.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, with the options of libpq after a `?`, and `schema`. What is
            left out comes from the environment (`PGPASSWORD`, ...) and from `~/.pgpass`.
        clock: tells when patience ends; the machine's clock if not given.
        patience_s: seconds to try for a server that was there before.

    Raises:
        CapabilityError: the extra is not installed.
        UsageError: that is no such URL.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, patience_s: float = PATIENCE_S) -> None:
        try:
            import psycopg  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]
        except ImportError as error:
            raise CapabilityError(
                f"a journal in PostgreSQL needs the driver psycopg: {error}",
                remedy='Install it: pip install "stratagem[postgres]"',
            ) from None
        from stratagem.journals._postgres_address import Address  # noqa: PLC0415
        from stratagem.journals._postgres_link import Link  # noqa: PLC0415
        from stratagem.journals._postgres_store import Store  # noqa: PLC0415  # pyright: ignore[reportGeneralTypeIssues]

        address = Address(url)
        self.spec = address.spec
        self._fresh: Callable[[], Store] = lambda: Store(Link(address, patience_s, clock))
        self._store = self._fresh()
        self._writer = Writer(self._store, f"journal {self.spec}", self._store.together)

    def create(self, run: StoredRun) -> Awaitable[None]:
        """Write a new run; `JournalError` if its id is taken."""
        return self._writer.put("create", run.run_id, run)

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
        """Append a row. Rows come with a growing `seq`. A decision that nobody awaits is written with the next row.

        `alone` makes no difference: the loop does not wait for a network.
        """
        del alone
        return self._writer.put("append", run_id, row)

    def update(self, run: StoredRun) -> Awaitable[None]:
        """Replace a run's record, but for its epoch, answers and questions; without an owner, let go of it."""
        return self._writer.put("update", run.run_id, run)

    def ask(self, run_id: str, question: str, form: bytes) -> Awaitable[None]:
        """Store what is asked of a person, unless it is there already."""
        return self._writer.put("ask", run_id, (question, form))

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        """Let go of a run that waits for persons, unless one of its questions has been answered."""
        return await self._writer.call(lambda: self._store.park(run, waiting))

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        """Store what a person said, once; return the run, or None if it was answered before."""
        return await self._writer.join("answer", run_id, question, value)

    async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Return what persons said to these runs. While nobody says anything it reads one number."""
        return await self._writer.call(lambda: self._store.answers(run_ids))

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        """Take a run over, if it still has this epoch. From then on this object may write to it."""
        await self._writer.join("claim", run_id, epoch, owner)

    def beat(self, owner: bytes) -> Awaitable[None]:
        """Say that an owner is alive, now, by the server's clock. What is older than a week is forgotten."""
        return self._writer.put("beat", "", owner)

    async def age(self, owner: bytes) -> float | None:
        """Return the seconds since an owner's last beat, by the server's clock."""
        return await self._writer.call(lambda: self._store.age(owner))

    async def find(self, run_id: str) -> StoredRun | None:
        """Return a run's record, verified; None if there is none."""
        return await self._writer.join("find", run_id)

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows, every byte verified."""
        return await self._writer.join("load", run_id)

    async def drop_damaged(self, run_id: str) -> int:
        """Remove the rows of a run that are not as they were written; return how many went.

        All that is sound stays, what comes after them too. Where a tool may have been performed of which nothing is left
        but the call, the row becomes an intent: at `resume` a person is asked, unless the tool may be performed freely.
        Where nobody can read any more which call it was, a person is asked before any tool is performed that may happen
        once only and that the record does not show. Nobody can know what stood in a row that is missing without a trace,
        such as a cut end.

        The run is `running` then, and nobody's, so that `resume` performs again what went. Damaged questions and answers
        are removed, and asked again. If its record is damaged where it says what the run is (strategy, task, model),
        that part is emptied, and must be given again at `resume`. Of a run that is sound nothing is changed.
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
        """Remove runs with all that is theirs alone, in one transaction; return how many there were."""
        return await self._writer.call(lambda: self._store.remove(run_ids))

    async def sweep(self) -> int:
        """Remove payloads that nothing refers to, and let their space be used again; return how many went.

        Done by `VACUUM`, beside running work: the server keeps most of the space for itself. `VACUUM FULL` gives it back
        to the disk, and locks the tables meanwhile.
        """
        return await self._beside(lambda store: store.sweep())

    async def check(self) -> Condition:
        """Look at every byte, as of one moment, and say what is wrong; nothing is changed."""
        return await self._beside(lambda store: store.check())

    async def aclose(self) -> None:
        """Write what is queued, and let go of the connection. Later calls raise `JournalError`."""
        closed = JournalError(f"{self.spec}: the journal is closed", remedy="Open it again.")
        await self._writer.end(self._store.link.close, closed)

    async def _beside(self, work: "Callable[[Store], T]") -> T:
        """Return what `work` returns, on a connection of its own: it takes long, and heartbeats must not wait for it."""
        await self._writer.call(lambda: None)  # what was queued before is done before
        store = self._fresh()
        store.link.reached = self._store.link.reached

        def done() -> T:
            try:
                return work(store)
            finally:
                store.link.close()

        return await asyncio.to_thread(done)
