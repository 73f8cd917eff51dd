"""The journal's file, blocking: what the writer thread does.

Rule 1: a write is refused unless this process has created or loaded the run, and unless the run still has the epoch
        that this process knows. Then the run, and no other, is lost to this process.
Rule 2: an error of the file ends all writing: later rows would follow on ones that are missing.
Rule 3: nothing is read that was not verified.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from stratagem.core import Clock, Row, StoredRun, SystemClock
from stratagem.core._canonical import clean, text_of
from stratagem.core._journal import FIRST, VERSION, missing, seal, usage_form
from stratagem.errors import JournalCorrupt, JournalError, OwnedElsewhere
from stratagem.journals import _records
from stratagem.journals._effects import Effects
from stratagem.journals._payload import INLINE, Words, storable, stored
from stratagem.journals._schema import BUSY, COPY, code_of, explained, opened
from stratagem.journals._writer import Write

T = TypeVar("T")

# How long to wait before each next try for a lock, in seconds; the last is repeated. SQLite's own list.
DELAYS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1)

ENDED_KEPT = 1000  # ended runs that may still be written to without being loaded again

_COLUMNS = "run, seq, kind, path, occurrence, wall, active, took, failed, sample, usage, digest, seal, request, result"
APPEND = f"INSERT INTO effect ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
# The same for a transaction of one row, which looks at the owner as well.
APPEND_ALONE = (
    f"INSERT INTO effect ({_COLUMNS})"  # noqa: S608
    " SELECT n, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM run WHERE n=? AND epoch=?"
)
INDEXES = ("effect_place", *(f"sqlite_autoindex_{table}_1" for table in ("run", "word", "blob")))

ALONE = -2

OWNED = "SELECT 1 FROM run WHERE n=? AND epoch=?"

# What SQLite or the encoder says of a value that no row can hold: an integer beyond 64 bits, NaN, 1 GB.
MISFITS = (OverflowError, TypeError, ValueError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)


class Head:
    """The end of a run's log, as this process knows it. `seen` is the file's version when its owner was looked at."""

    __slots__ = ("epoch", "last", "number", "rows", "seal", "seen")

    def __init__(self, number: int, epoch: int, rows: int = 0, chain: bytes = FIRST, last: int = -1) -> None:
        self.number, self.epoch, self.rows, self.seal, self.last = number, epoch, rows, chain, last
        self.seen = -1


class Store:
    """One file. Called by one thread at a time."""

    def __init__(self, path: Path, patience_s: float, clock: Clock | None) -> None:
        self.path = path
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._connection: sqlite3.Connection | None = None
        self._words: Words | None = None
        self._heads: dict[str, Head] = {}
        self._lost: dict[str, JournalError] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._broken: JournalError | None = None

    @property
    def ready(self) -> bool:
        """Whether it is open, so that a write takes one commit."""
        return self._connection is not None

    def write(self, items: Sequence[Write]) -> None:
        """Make all durable in one transaction, and set `error` of those that are not."""
        if self._broken is None:
            with self._breaking():
                self._patiently(self._begin)
                self._transact(items)
        self._refuse(items)

    def write_at_once(self, items: Sequence[Write]) -> bool:
        """Write now; return False, with nothing done, if another process would have to be waited for."""
        if self._broken is None:
            with self._breaking():
                try:
                    if len(items) == 1 and self._commit_one(items[0]):
                        return True
                    self._begin()
                except sqlite3.OperationalError as error:
                    if code_of(error) in BUSY:
                        return False
                    raise
                self._transact(items)
        self._refuse(items)
        return True

    @contextmanager
    def _breaking(self) -> Generator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  (whatever it is, later rows must not follow)
            self._broken = explained(error, self.path)
        except BaseException:
            # Interrupted anywhere: what is in the file is not known.
            self._broken = JournalError(f"{self.path}: writing was interrupted", remedy="Resume the run.")
            raise

    def _refuse(self, items: Sequence[Write]) -> None:
        if self._broken is not None:
            for item in items:
                item.error = self._broken

    def _commit_one(self, item: Write) -> bool:
        """Append one row by a statement that is a transaction of its own; return False if it takes several."""
        row: Row = item.what
        words = self._opened()[1].known
        if row.path not in words or row.kind not in words or len(row.request) > INLINE or len(row.result) > INLINE:
            return False
        self._take(item, ALONE)
        return True

    def _begin(self) -> None:
        """Begin a transaction: the only step that another process can keep us from."""
        self._opened()[0].execute("BEGIN IMMEDIATE")

    def _transact(self, items: Sequence[Write]) -> None:
        connection, _ = self._opened()
        try:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            for item in items:
                self._take(item, version)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _take(self, item: Write, version: int) -> None:
        """Write one. What is wrong with it alone loses its run, and nothing else.

        `version` changes when another process writes to the file: then each run's owner has to be looked at again.
        `ALONE` if this write is a transaction of its own.
        """
        try:
            if item.verb == "append":
                wrong = self._append(item, version)
            elif item.verb == "create":
                wrong = self._create(item)
            else:
                wrong = self._update(item)
        except sqlite3.IntegrityError as error:
            wrong = self._conflict(item, error)
        except MISFITS as error:
            wrong = JournalError(f"what run {item.run_id!r} writes cannot be stored: {error}")
        if wrong is not None:
            item.error = wrong
            if item.verb != "create":
                self._heads.pop(item.run_id, None)
                self._lost.setdefault(item.run_id, wrong)

    def _conflict(self, item: Write, error: sqlite3.IntegrityError) -> JournalError:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            return JournalError(f"what run {item.run_id!r} writes cannot be stored: {error}")
        if item.verb == "append":
            return _elsewhere(item.run_id)
        return JournalError(
            f"there is a run {item.run_id!r} already", remedy="Resume it, or choose another id for the new one."
        )

    def _append(self, item: Write, version: int) -> JournalError | None:
        connection, words = self._opened()
        run_id = item.run_id
        head = self._heads.get(run_id)
        if head is None:
            return self._absent(run_id)
        row: Row = item.what
        seq, kind, path, digest, occurrence, wall, active, took, usage, request, result, failed, sample = row
        if seq <= head.last:
            return JournalError(f"row {seq} of run {run_id!r} cannot follow row {head.last}")
        if head.seen != version and version != ALONE:
            if not connection.execute(OWNED, (head.number, head.epoch)).fetchone():
                return _elsewhere(run_id)
            head.seen = version
        chain = seal(head.seal, row)
        values = (
            head.number, seq, words.number(kind), words.number(path), occurrence, wall, active, took, failed, sample,
            None if usage is None else text_of(usage_form(usage)), digest, chain,
            request if len(request) <= INLINE else stored(connection, request),
            result if len(result) <= INLINE else stored(connection, result),
        )  # fmt: skip
        if version != ALONE:
            connection.execute(APPEND, values)
        elif connection.execute(APPEND_ALONE, (*values[1:], head.number, head.epoch)).rowcount != 1:
            return _elsewhere(run_id)
        head.seal, head.last = chain, seq
        head.rows += 1
        return None

    def _create(self, item: Write) -> JournalError | None:
        connection, _ = self._opened()
        run: StoredRun = item.what
        number = _records.created(connection, run)
        self._heads[run.run_id] = Head(number, run.epoch)
        self._lost.pop(run.run_id, None)
        return None

    def _update(self, item: Write) -> JournalError | None:
        connection, _ = self._opened()
        run: StoredRun = item.what
        run_id = run.run_id
        head = self._heads.get(run_id)
        if head is None:
            return self._absent(run_id)
        ended = run.rows >= 0
        run = run._replace(rows=head.rows if ended else -1, seal=head.seal if ended and head.rows else b"")
        if run.epoch < head.epoch or not _records.updated(connection, head.number, head.epoch, run):
            return _elsewhere(run_id)
        head.epoch = run.epoch
        self._ended.pop(run_id, None)
        if ended:
            self._ended[run_id] = None
            if len(self._ended) > ENDED_KEPT:
                self._heads.pop(self._ended.popitem(last=False)[0], None)
        return None

    def _absent(self, run_id: str) -> JournalError:
        return self._lost.get(run_id) or JournalError(
            f"run {run_id!r} is not open in this process", remedy="Create or load it before writing to it."
        )

    def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows, verified; from now on this process may write to it."""
        found, log = self._reading(lambda connection, words: self._loaded(connection, words, run_id))
        last = log.rows[-1].seq if log.rows else -1
        chain = log.seals[-1] if log.rows else FIRST
        self._heads[run_id] = Head(found.number, found.run.epoch, len(log.rows), chain, last)
        self._lost.pop(run_id, None)
        self._ended.pop(run_id, None)
        return found.run, log.rows

    def _loaded(self, connection: sqlite3.Connection, words: Words, run_id: str) -> tuple[_records.Found, Effects]:
        with _transaction(connection, "BEGIN"):  # record and rows of one moment
            found = self._found(connection, run_id)
            _records.verified(found)
            log = Effects(connection, words, found)
        if log.damage is not None:
            raise JournalCorrupt(f"run {run_id!r}: {log.damage}")
        return found, log

    def drop_damaged(self, run_id: str) -> int:
        """Remove the rows of a run from the first damaged one on; return how many went."""
        return self._reading(lambda connection, words: self._dropped(connection, words, run_id))

    def _dropped(self, connection: sqlite3.Connection, words: Words, run_id: str) -> int:
        for index in INDEXES:
            with suppress(sqlite3.IntegrityError):  # two rows claim one place: the damaged one will be found
                connection.execute(f"REINDEX {index}")
        words.known.clear()
        with _transaction(connection, "BEGIN IMMEDIATE"):
            found = self._found(connection, run_id)
            log = Effects(connection, words, found)
            if log.damage is None and found.known and found.stands:
                return 0
            last = log.rows[-1].seq if log.rows else -1
            gone = connection.execute("DELETE FROM effect WHERE run=? AND seq>?", (found.number, last)).rowcount
            self._mend(connection, found)
        self._heads.pop(run_id, None)
        return gone

    def _mend(self, connection: sqlite3.Connection, found: _records.Found) -> None:
        """Let a run go on where its sound rows end."""
        run = found.run._replace(state="running", end=b"", rows=-1, seal=b"")
        if not found.stands:
            run = run._replace(answers=b"{}", updated=run.created)
        if not found.known:
            run = run._replace(record=b"{}", parent="")
            connection.execute("UPDATE run SET format=?, since=0 WHERE n=?", (VERSION, found.number))
        _records.updated(connection, found.number, None, run)

    def runs(self, *, state: str | None, strategy: str | None, since: int, text: str, limit: int) -> list[StoredRun]:
        """Return records, newest first."""
        where: list[str] = ["1"]
        values: list[str | int] = []
        if since > 0:
            where.append("created>=?")
            values.append(since)
        if state is not None:
            where.append("state=?")
            values.append(clean(state))
        if strategy is not None:
            where.append("(strategy=? OR substr(strategy, 1, length(?) + 1) = ? || '(')")
            values += [clean(strategy)] * 3
        if text:
            where.append("(instr(question, ?) OR instr(id, ?))")
            values += [clean(text).casefold()] * 2
        return self._listed(" AND ".join(where), values, limit)

    def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first, at most 20."""
        start = clean(prefix)
        where, values = ("id>=? AND id<?", [start, start + "\U0010ffff"]) if prefix else ("1", [])
        return [run.run_id for run in self._listed(where, values, 20)]

    def _listed(self, where: str, values: Sequence[str | int], limit: int) -> list[StoredRun]:
        if self._connection is None and not self.path.exists():
            return []
        return self._reading(lambda connection, _: self._newest(connection, where, (*values, limit)))

    def _newest(self, connection: sqlite3.Connection, where: str, values: Sequence[str | int]) -> list[StoredRun]:
        # Sorted by key and time alone: whole records would be copied for all that are not shown.
        order = f"SELECT n FROM run NOT INDEXED WHERE {where} ORDER BY created DESC, n DESC LIMIT ?"  # noqa: S608
        numbers = [number for (number,) in connection.execute(order, values)]
        rows = [row for number in numbers for row in connection.execute(_records.READ + "n=?", (number,))]
        found = [_records.verified(_records.read(connection, row)) for row in rows]
        # A damaged page could leave runs out, which nobody would notice; the index of ids counts them too.
        held, indexed = connection.execute(
            "SELECT (SELECT count(*) FROM run NOT INDEXED), (SELECT count(*) FROM run INDEXED BY sqlite_autoindex_run_1)"
        ).fetchone()
        if held != indexed or len({run.run_id for run in found}) < len(numbers):
            raise JournalCorrupt(f"{self.path} is damaged: its list of runs is incomplete", remedy=COPY)
        return found

    def close(self) -> None:
        """Bring the log into the file, and let go of it. The log stays where another process reads, or no space is."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            pass
        finally:
            connection.close()

    def _found(self, connection: sqlite3.Connection, run_id: str) -> _records.Found:
        row = connection.execute(_records.READ + "id=?", (storable(run_id),)).fetchone()
        if row is None:
            if connection.execute("SELECT 1 FROM run NOT INDEXED WHERE id=?", (storable(run_id),)).fetchone():
                raise JournalCorrupt(f"the record of run {run_id!r} is damaged: the index of ids does not have it")
            known = connection.execute("SELECT id FROM run ORDER BY created DESC LIMIT 2000")
            raise missing(run_id, [one for (one,) in known])
        found = _records.read(connection, row)
        if found.run.run_id != run_id:
            raise JournalCorrupt(f"the record of run {run_id!r} is damaged: its id leads to {found.run.run_id!r}")
        return found

    def _reading(self, work: Callable[[sqlite3.Connection, Words], T]) -> T:
        try:
            return self._patiently(lambda: work(*self._opened()))
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise explained(error, self.path) from error

    def _opened(self) -> tuple[sqlite3.Connection, Words]:
        if self._connection is None or self._words is None:
            self._connection = opened(self.path)
            self._words = Words(self._connection)
        return self._connection, self._words

    def _patiently(self, what: Callable[[], T]) -> T:
        """Do it, and again while another process has the lock, for as long as patience lasts."""
        until = self._clock.stamp() / 1e6 + self._patience_s
        tries = 0
        while True:
            try:
                return what()
            except sqlite3.OperationalError as error:
                if code_of(error) not in BUSY or self._clock.stamp() / 1e6 >= until:
                    raise
                time.sleep(DELAYS[min(tries, len(DELAYS) - 1)])
                tries += 1


def _elsewhere(run_id: str) -> OwnedElsewhere:
    return OwnedElsewhere(f"run {run_id!r} has been taken over by another process; this one may not write to it")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
