"""The journal's file, blocking: what the writer thread does.

Rule 1: a write is refused unless this process has created or claimed the run, and unless the run still has the epoch
        that this process knows. Then the run, and no other, is lost to this process.
Rule 2: an error of the file ends all writing: later rows would follow on ones that are missing.
Rule 3: nothing is read that was not verified.
"""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stratagem.core import Clock, Row, StoredRun
from stratagem.core._canonical import text_of
from stratagem.core._journal import FIRST, seal, usage_form
from stratagem.errors import JournalCorrupt, JournalError, OwnedElsewhere, UsageError
from stratagem.journals import _keeping, _leases, _lists, _questions, _records, _repair
from stratagem.journals._effects import Effects
from stratagem.journals._file import File
from stratagem.journals._payload import INLINE, Words, stored
from stratagem.journals._schema import BUSY, code_of, explained, transaction
from stratagem.journals._writer import Write

_COLUMNS = "run, seq, kind, path, occurrence, wall, active, took, failed, sample, usage, digest, seal, request, result"
APPEND = f"INSERT INTO effect ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
# The same for a transaction of one row, which looks at the owner as well.
APPEND_ALONE = (
    f"INSERT INTO effect ({_COLUMNS})"  # noqa: S608
    " SELECT n, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM run WHERE n=? AND epoch=?"
)
ALONE = -2

# What only the owner of a run may do; who cannot has lost the run.
OWNERS = frozenset({"append", "update", "ask", "park"})

OWNED = "SELECT 1 FROM run WHERE n=? AND epoch=?"

# What SQLite or the encoder says of a value that no row can hold: an integer beyond 64 bits, NaN, 1 GB.
MISFITS = (OverflowError, TypeError, ValueError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)


TAIL = "SELECT (SELECT count(*) FROM effect WHERE run=?), seq, seal FROM effect WHERE run=? ORDER BY seq DESC LIMIT 1"


class Head:
    """The end of the log of a run that this process drives, as it knows it.

    `seen` is the file's version when its owner was looked at, `asked` how many questions it has.
    """

    __slots__ = ("asked", "epoch", "last", "number", "rows", "seal", "seen")

    def __init__(self, number: int, epoch: int, asked: int) -> None:
        self.number, self.epoch, self.asked = number, epoch, asked
        self.seen = -1
        self.ends(0, FIRST, -1)

    def ends(self, rows: int, chain: bytes, last: int) -> None:
        """Say where the log ends."""
        self.rows, self.seal, self.last = rows, chain, last


class Store(File):
    """The file, as it is written."""

    def __init__(self, path: Path, patience_s: float, clock: Clock | None) -> None:
        super().__init__(path, patience_s, clock)
        self._heads: dict[str, Head] = {}
        self._lost: dict[str, JournalError] = {}
        self._stalled: dict[str, Head] = {}  # of lost runs that are still driven here: `load` goes on with them
        self._broken: JournalError | None = None
        self._verbs: dict[str, Callable[[Write, int], JournalError | None]] = {
            "append": self._append, "create": self._create, "update": self._update, "ask": self._ask,
            "park": self._park, "answer": self._answer, "claim": self._claim, "beat": self._beat,
        }  # fmt: skip

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
            wrong = self._verbs[item.verb](item, version)
        except sqlite3.IntegrityError as error:
            wrong = self._conflict(item, error)
        except UsageError as error:
            item.error, wrong = error, None
        except MISFITS as error:
            wrong = JournalError(f"what run {item.run_id!r} writes cannot be stored: {error}")
        except JournalCorrupt as error:
            if item.verb == "append":  # not the run is damaged, but what many refer to
                raise
            wrong = error
        if wrong is not None:
            item.error = wrong
            if item.verb in OWNERS:
                self._lose(item.run_id, wrong)

    def _lose(self, run_id: str, wrong: JournalError) -> None:
        head = self._heads.pop(run_id, None)
        if head is not None and not isinstance(wrong, OwnedElsewhere):
            self._stalled[run_id] = head
        self._lost.setdefault(run_id, wrong)

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

    def _create(self, item: Write, _: int) -> None:
        connection = self._opened()[0]
        run: StoredRun = item.what
        number, asked = _records.created(connection, run)
        self._drives(run.run_id, Head(number, run.epoch, asked))

    def _update(self, item: Write, _: int) -> JournalError | None:
        return self._replace(item.what)

    def _replace(self, run: StoredRun) -> JournalError | None:
        connection, _ = self._opened()
        run_id = run.run_id
        head = self._heads.get(run_id)
        if head is None:
            return self._absent(run_id)
        ended = run.rows >= 0
        run = run._replace(
            rows=head.rows if ended else -1, seal=head.seal if ended and head.rows else b"", epoch=head.epoch
        )
        if not _records.updated(connection, head.number, head.epoch, run, head.asked):
            return _elsewhere(run_id)
        if not run.owner:
            del self._heads[run_id]
        return None

    def _owned(self, run_id: str) -> Head | JournalError:
        head = self._heads.get(run_id)
        if head is None:
            return self._absent(run_id)
        if not self._opened()[0].execute(OWNED, (head.number, head.epoch)).fetchone():
            return _elsewhere(run_id)
        return head

    def _ask(self, item: Write, _: int) -> JournalError | None:
        connection = self._opened()[0]
        head = self._owned(item.run_id)
        if isinstance(head, JournalError):
            return head
        question, form = item.what
        found = _lists.known(connection, item.run_id)
        run = _records.verified(found)
        one = next((one for one in found.questions if one.id == question), None)
        if one is not None and one.form:
            return None
        _questions.put(
            connection,
            head.number,
            item.run_id,
            question,
            _questions.checked(form),
            one.value if one else b"",
        )
        head.asked = found.asked + (one is None)
        _records.amended(connection, found, run, head.asked)
        return None

    def _park(self, item: Write, _: int) -> JournalError | None:
        connection = self._opened()[0]
        head = self._owned(item.run_id)
        if isinstance(head, JournalError):
            return head
        run, waiting = item.what
        questions = _questions.read(connection, head.number, item.run_id)
        damage = _questions.damage(questions, head.asked)
        if damage is not None:
            return JournalCorrupt(f"the record of run {item.run_id!r} is damaged: {damage}")
        item.result = {one.id: one.value for one in questions if one.value and one.id in waiting}
        return None if item.result else self._replace(run)

    def _answer(self, item: Write, _: int) -> None:
        connection = self._opened()[0]
        question, value = item.what
        found = _lists.known(connection, item.run_id)
        run = _records.verified(found)
        one = next((one for one in found.questions if one.id == question), None)
        if one is not None and one.value:
            return
        if one is None:
            raise UsageError(f"run {item.run_id!r} has not asked {question!r}", remedy="See `stratagem show`.")
        _questions.put(connection, found.number, item.run_id, question, one.form, _questions.checked(value))
        _keeping.answers_changed(connection)
        others = [other for other in found.questions if other is not one]
        item.result = run._replace(answers=_questions.values([*others, one._replace(value=value)]))

    def _claim(self, item: Write, _: int) -> JournalError | None:
        connection = self._opened()[0]
        epoch, owner = item.what
        found = _lists.known(connection, item.run_id)
        run = _records.verified(found)
        if run.epoch != epoch:
            return _elsewhere(item.run_id)
        run = run._replace(epoch=epoch + 1, owner=owner)
        _records.amended(connection, found, run, found.asked)
        head = Head(found.number, run.epoch, found.asked)
        tail = connection.execute(TAIL, (found.number, found.number)).fetchone()
        if tail is not None:
            rows, last, chain = tail
            head.ends(rows, chain if type(chain) is bytes else b"", last)  # `load` verifies them
        self._drives(item.run_id, head)
        return None

    def _beat(self, item: Write, _: int) -> None:
        _leases.renew(self._opened()[0], item.what, self._clock)

    def _drives(self, run_id: str, head: Head) -> None:
        self._heads[run_id] = head
        self._lost.pop(run_id, None)
        self._stalled.pop(run_id, None)

    def _absent(self, run_id: str) -> JournalError:
        return self._lost.get(run_id) or OwnedElsewhere(
            f"run {run_id!r} is not driven by this process", remedy="Claim it before writing to it."
        )

    def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows, verified. Of one that this process drives the end of the log is known again."""
        found, log = self._reading(lambda connection, words: self._loaded(connection, words, run_id))
        head = self._heads.get(run_id) or self._stalled.get(run_id)
        if head is not None and (head.number, head.epoch) == (found.number, found.run.epoch):
            if log.rows:
                head.ends(len(log.rows), log.seals[-1], log.rows[-1].seq)
            else:
                head.ends(0, FIRST, -1)
            self._drives(run_id, head)
        return found.run, log.rows

    def _loaded(self, connection: sqlite3.Connection, words: Words, run_id: str) -> tuple[_records.Found, Effects]:
        with transaction(connection, "BEGIN"):  # record and rows of one moment
            found = _lists.known(connection, run_id)
            _records.verified(found)
            log = Effects(connection, words, found)
        if log.damage is not None:
            raise JournalCorrupt(f"run {run_id!r}: {log.damage}")
        return found, log

    def drop_damaged(self, run_id: str) -> int:
        """Remove the rows of a run that are not as they were written; return how many went."""
        return self._reading(lambda connection, words: self._dropped(connection, words, run_id))

    def _dropped(self, connection: sqlite3.Connection, words: Words, run_id: str) -> int:
        copies = _repair.reindexed(connection, run_id)
        words.known.clear()
        with transaction(connection, "BEGIN IMMEDIATE"):
            gone = _repair.dropped(connection, words, run_id, self._clock, copies)
        if gone is not None:
            self._heads.pop(run_id, None)
        return gone or 0

    def remove(self, run_ids: Sequence[str]) -> int:
        """Remove runs with all that is theirs alone; return how many there were."""
        gone = self._looking([], lambda connection: _keeping.removed(connection, run_ids), changes=True)
        for run_id in gone:
            self._heads.pop(run_id, None)
        return len(gone)


def _elsewhere(run_id: str) -> OwnedElsewhere:
    return OwnedElsewhere(f"run {run_id!r} has been taken over by another process; this one may not write to it")
