"""The journal's tables, blocking: what the writer thread does.

Rule 1: a write is refused unless this object has created or claimed the run, and unless the run still has the epoch
        that this object knows. Then the run, and no other, is lost to this object.
Rule 2: a server that does not come back within the patience, or refuses, ends all writing: later rows would follow on
        ones that are missing.
Rule 3: nothing is read that was not verified.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg

from stratagem.core import Row, StoredRun
from stratagem.core._canonical import clean, decoded
from stratagem.core._journal import Condition, missing
from stratagem.errors import JournalCorrupt, JournalError, OwnedElsewhere
from stratagem.journals import _postgres_care as care
from stratagem.journals import _postgres_records as records
from stratagem.journals._postgres_arrays import Blobs, Integers, Texts
from stratagem.journals._postgres_batch import Head, Part, checked, sent, updated
from stratagem.journals._postgres_joined import READING, Outcome, groups, outcomes, possible
from stratagem.journals._postgres_link import Link
from stratagem.journals._postgres_schema import Connection
from stratagem.journals._writer import Joined, Write

T = TypeVar("T")

ENDED_KEPT = 1000  # ended runs that may still be written to without being claimed again
MOST_BYTES = 32_000_000  # of payloads in one transaction
SAID_KEPT = 10_000  # runs whose answers are remembered

# What the encoder says of a value that no row can hold: an integer beyond 64 bits, text with NUL, 1 GB.
MISFITS = (OverflowError, TypeError, ValueError, AttributeError, struct.error)


class Store:
    """One schema. Called by one thread at a time."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._heads: dict[str, Head] = {}
        self._lost: dict[str, JournalError] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._broken: JournalError | None = None
        self._pulse = -1
        self._said: dict[str, dict[str, bytes]] = {}

    @property
    def ready(self) -> bool:
        """Whether there may be something to close."""
        return self.link.used

    def write_at_once(self, items: Sequence[Write]) -> bool:
        """Never: the loop must not wait for a network."""
        del items
        return False

    def write(self, items: Sequence[Write]) -> None:
        """Make all durable, and set `error` of those that are not."""
        start = size = 0
        for number, item in enumerate(items):
            if size > MOST_BYTES:
                self._write(items[start:number])
                start, size = number, 0
            if item.verb == "append":
                size += len(item.what.request) + len(item.what.result)
        self._write(items[start:])

    def _write(self, items: Sequence[Write]) -> None:
        if self._broken is None:
            try:
                parts: dict[str, Part] = {}
                beats: dict[bytes, bytes] = {}
                for item in items:
                    self._plan(item, parts, beats)
                self._send(list(parts.values()), beats)
            except Exception as error:  # noqa: BLE001  (whatever it is, later rows must not follow)
                self._broken = self._explained(error)
        if self._broken is not None:
            for item in items:
                item.error = self._broken

    def _plan(self, item: Write, parts: dict[str, Part], beats: dict[bytes, bytes]) -> None:
        """Put a write in its place. What is wrong with it alone loses its run, and nothing else."""
        try:
            if item.verb == "beat":
                beats[_owner_id(item.what)] = item.what
                return
            wrong = self._create(item, parts) if item.verb == "create" else self._change(item, parts)
        except MISFITS as error:
            wrong = JournalError(f"what run {item.run_id!r} writes cannot be stored: {error}")
        if wrong is not None:
            item.error = wrong
            if item.verb != "create":
                self._lose(item.run_id, wrong)

    def _create(self, item: Write, parts: dict[str, Part]) -> JournalError | None:
        run_id = item.run_id
        if run_id in self._heads:
            return _taken(run_id)
        run = checked(item.what)
        part = Part(Head(run_id, run.epoch))
        part.create(run)
        part.items.append(item)
        parts[run_id], self._heads[run_id] = part, part.head
        self._lost.pop(run_id, None)
        return None

    def _change(self, item: Write, parts: dict[str, Part]) -> JournalError | None:
        run_id = item.run_id
        head = self._heads.get(run_id)
        if head is None:
            return self._absent(run_id)
        part = parts.get(run_id)
        if part is None:
            part = parts[run_id] = Part(head)
        if item.verb == "append":
            row: Row = item.what
            if row.seq <= head.last:
                return JournalError(f"row {row.seq} of run {run_id!r} cannot follow row {head.last}")
            part.append(row)
        elif item.verb == "ask":
            part.ask(*item.what)
        else:
            run = head.stopped(checked(item.what))
            part.updated = run
            self._let_go(run)
        part.items.append(item)
        return None

    def _send(self, parts: Sequence[Part], beats: Mapping[bytes, bytes]) -> None:
        if not parts and not beats:
            return
        try:
            outcome = sent(self.link, parts, beats)
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            if not parts:
                raise
            if len(parts) == 1 and not beats:
                self._fail(parts[0], self._conflict(parts[0].head.run_id, error))
                return
            # One of them is to blame: each by itself.
            for part in parts:
                self._send([part], {})
            self._send([], beats)
            return
        for part in parts:
            run_id = part.head.run_id
            if run_id in outcome.taken:
                self._fail(part, _taken(run_id))
            elif part.head.number not in outcome.owned:
                self._fail(part, _elsewhere(run_id))

    def _fail(self, part: Part, error: JournalError) -> None:
        for item in part.items:
            item.error = error
        self._lose(part.head.run_id, error)

    def _conflict(self, run_id: str, error: psycopg.Error) -> JournalError:
        if isinstance(error, psycopg.errors.UniqueViolation):
            return _elsewhere(run_id)
        said = self.link.address.without_secrets(str(error).split("\n")[0])
        return JournalError(f"what run {run_id!r} writes cannot be stored: {said}")

    def _lose(self, run_id: str, error: JournalError) -> None:
        self._heads.pop(run_id, None)
        self._lost.setdefault(run_id, error)

    def _let_go(self, run: StoredRun) -> None:
        """Forget a run that nobody owns any more, and in time one that has ended."""
        run_id = run.run_id
        self._ended.pop(run_id, None)
        if not run.owner:
            self._heads.pop(run_id, None)
        elif run.rows >= 0:
            self._ended[run_id] = None
            if len(self._ended) > ENDED_KEPT:
                self._heads.pop(self._ended.popitem(last=False)[0], None)

    def _absent(self, run_id: str) -> JournalError:
        return self._lost.get(run_id) or OwnedElsewhere(
            f"run {run_id!r} does not belong to this process", remedy="Create or claim it before writing to it."
        )

    def together(self, items: Sequence[Write]) -> None:
        """Do calls that were joined, in as few transactions as it takes."""
        for group in groups(items):
            self._together(group)

    def _together(self, items: Sequence[Write]) -> None:
        """Do calls of one verb in one transaction. What cannot be stored ends it: then each is done by itself."""
        calls: list[Joined] = [item.what for item in items]
        verb = calls[0].verb

        def work(connection: Connection) -> list[Outcome]:
            return outcomes(self.link, connection, calls)

        try:
            found = self._reading(lambda: self.link.read(work)) if verb in READING else self._writing(work)
        except Exception as error:  # noqa: BLE001  (it belongs to who asked)
            cause = error.__cause__
            away = isinstance(cause, psycopg.OperationalError) and not isinstance(
                cause, psycopg.errors.DeadlockDetected
            )
            for item in items:
                if away or len(items) == 1:  # the server, or the only one to blame
                    item.error = error
                else:
                    self._together([item])
            return
        for item, (result, error) in zip(items, found, strict=True):
            item.result, item.error = result, error
            if verb == "claim" and error is None:
                self._heads[result.run_id] = result
                self._lost.pop(result.run_id, None)
                self._ended.pop(result.run_id, None)

    def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        """Let go of a run, unless one of the questions that it waits for has been answered."""
        head = self._heads.get(run.run_id)
        if self._broken is not None:
            raise self._broken
        if head is None:
            raise self._absent(run.run_id)
        stopped = head.stopped(checked(run))
        try:
            said = self._writing(lambda connection: self._parked(connection, head, stopped, waiting))
        except OwnedElsewhere as error:
            self._lose(run.run_id, error)
            raise
        if not said:
            self._let_go(stopped)
        return said

    def _parked(self, connection: Connection, head: Head, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        text = "SELECT 1 FROM {s}.run WHERE n = %s AND epoch = %s FOR UPDATE"
        if not self.link.rows(connection, text, (head.number, head.epoch)):
            raise _elsewhere(run.run_id)
        text = (
            "SELECT question, value, said FROM {s}.question"
            " WHERE run = %s AND question = ANY(%s::bytea[]) AND value IS NOT NULL"
        )
        names = Blobs(records.bytes_of(question) for question in waiting)
        said = self._verified(run.run_id, self.link.rows(connection, text, (head.number, names)))
        if not said:
            updated(self.link, connection, run)
        return said

    def _verified(self, run_id: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for name, value, said in rows:
            question = records.text_of(name)
            if records.said_seal(run_id, name, value) != said:
                raise JournalCorrupt(f"run {run_id!r}: the answer to {question!r} is not what was said")
            found[question] = value
        return found

    def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Return what persons said to these runs; one short statement if that is what it was the last time."""
        return self._reading(lambda: self._heard(run_ids))

    def _heard(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        # Before the answers: one that comes in between is found now, and once more the next time.
        ((pulse,),) = self.link.ask("SELECT answers FROM {s}.meta")
        if pulse != self._pulse or len(self._said) > SAID_KEPT:
            self._said.clear()
            self._pulse = pulse
        unknown = [run_id for run_id in run_ids if run_id not in self._said and possible(run_id)]
        if unknown:
            text = (
                "SELECT r.id, q.question, q.value, q.said FROM {s}.run r"
                " LEFT JOIN {s}.question q ON q.run = r.n AND q.value IS NOT NULL WHERE r.id = ANY(%s::text[])"
            )
            for run_id, *said in self.link.ask(text, (Texts(unknown),)):
                kept = self._said.setdefault(run_id, {})
                if said[0] is not None:
                    kept.update(self._verified(run_id, [tuple(said)]))
        return {run_id: dict(self._said[run_id]) for run_id in run_ids if run_id in self._said}

    def age(self, owner: bytes) -> float | None:
        """Return the seconds since an owner's last beat, by the server's clock; never less than 0."""
        text = "SELECT extract(epoch FROM clock_timestamp() - beat)::float8 FROM {s}.lease WHERE owner = %s"
        found = self._reading(lambda: self.link.ask(text, (_owner_id(owner),)))
        return max(0.0, found[0][0]) if found else None

    def drop_damaged(self, run_id: str) -> int:
        """Remove the rows of a run that are not as they were written; return how many went."""

        def work(connection: Connection) -> int:
            return care.drop_damaged(self.link, connection, records.read(self._locked(connection, run_id)))

        gone = self._writing(work)
        self._heads.pop(run_id, None)
        return gone

    def remove(self, run_ids: Sequence[str]) -> int:
        """Remove runs with all that is theirs alone; return how many there were."""
        gone = self._reading(lambda: care.remove(self.link, run_ids))
        for run_id in run_ids:
            self._heads.pop(run_id, None)
        return gone

    def sweep(self) -> int:
        """Remove payloads that nothing refers to; return how many went."""
        return self._reading(lambda: care.sweep(self.link))

    def check(self) -> Condition:
        """Look at every byte."""
        return self._reading(lambda: care.check(self.link))

    def runs(self, *, state: str | None, strategy: str | None, since: int, text: str, limit: int) -> list[StoredRun]:
        """Return records, newest first."""
        where, values = ["true"], list[Any]()
        if since > 0:
            where.append("created >= %s")
            values.append(since)
        if state is not None:
            where.append("state = %s")
            values.append(clean(state).replace("\0", "\ufffd"))
        if strategy is not None:
            name = clean(strategy).encode()
            where.append("(strategy = %s OR substring(strategy FROM 1 FOR %s) = %s)")
            values += [name, len(name) + 1, name + b"("]
        if text:
            where.append("(position(%s IN question) > 0 OR position(%s IN convert_to(id, 'UTF8')) > 0)")
            values += [records.searched(text)] * 2
        return self._listed(" AND ".join(where) + " ORDER BY created DESC, n DESC LIMIT %s", (*values, limit))

    def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first, at most 20."""
        if not possible(prefix):
            return []
        # "~" and DEL are the last of ASCII, of which ids are.
        text = "SELECT id FROM {s}.run WHERE id >= %s AND id < %s ORDER BY created DESC, n DESC LIMIT 20"
        found = self._reading(lambda: self.link.ask(text, (prefix, prefix + "\x7f\x7f")))
        return [run_id for (run_id,) in found]

    def children(self, run_id: str) -> list[str]:
        """Return the ids of the runs that were forked from this one, oldest first."""
        if not possible(run_id) or not run_id:
            return []
        text = "SELECT id FROM {s}.run WHERE parent = %s ORDER BY created, n"
        return [child for (child,) in self._reading(lambda: self.link.ask(text, (run_id,)))]

    def _listed(self, where: str, values: tuple[Any, ...]) -> list[StoredRun]:
        found = self._reading(
            lambda: self.link.read(lambda connection: self._with_questions(connection, where, values))
        )
        return [records.verified(one) for one in found]

    def _with_questions(self, connection: Connection, where: str, values: tuple[Any, ...]) -> list[records.Found]:
        rows = self.link.rows(connection, records.READ + where, values)
        numbers = Integers(row[0] for row in rows)
        asked = records.questions_of(self.link.rows(connection, records.QUESTIONS, (numbers,)) if rows else ())
        return [records.read(row, asked.get(row[0], ())) for row in rows]

    def _locked(self, connection: Connection, run_id: str) -> tuple[Any, ...]:
        """Return what `records.READ` reads of a run, which nobody else can change before this transaction ends."""
        rows = self.link.rows(connection, records.READ + "id = %s FOR UPDATE", (run_id,)) if possible(run_id) else []
        return rows[0] if rows else self._missing(connection, run_id)

    def _missing(self, connection: Connection, run_id: str) -> Any:
        known = self.link.rows(connection, "SELECT id FROM {s}.run ORDER BY created DESC LIMIT 2000")
        raise missing(run_id, [one for (one,) in known])

    def _writing(self, work: Callable[[Connection], T]) -> T:
        return self._reading(lambda: self.link.write(work))

    def _reading(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except psycopg.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> JournalError:
        return self.link.explained(error)


def _owner_id(owner: bytes) -> bytes:
    return records.bytes_of(str(decoded(owner)["id"]))


def _taken(run_id: str) -> JournalError:
    return JournalError(f"there is a run {run_id!r} already", remedy="Resume it, or choose another id for the new one.")


def _elsewhere(run_id: str) -> OwnedElsewhere:
    return OwnedElsewhere(f"run {run_id!r} has been taken over by another process; this one may not write to it")
