"""Calls about many runs at once, such as a thousand that are woken: few statements, however many runs they are about.

Each call has an outcome of its own: what is wrong with one is wrong with that one alone.
"""

# ruff: noqa: S608 -- statements are put together from constants of this package; values are passed beside them

from collections.abc import Callable, Sequence
from typing import Any

from stratagem.core import StoredRun
from stratagem.core._journal import FIRST, missing
from stratagem.errors import JournalCorrupt, JournalError, OwnedElsewhere, UsageError
from stratagem.journals import _postgres_records as records
from stratagem.journals._postgres_arrays import Integers, Texts, columns, unnested
from stratagem.journals._postgres_batch import Head
from stratagem.journals._postgres_effects import Effects
from stratagem.journals._postgres_link import Link
from stratagem.journals._postgres_schema import Connection
from stratagem.journals._writer import Joined, Write

MOST = 200  # calls in one transaction: others wait for its locks
READING = ("find", "load")

_CLAIM_TYPES = ("bigint", "bigint", "bytea", "bytea")
_CLAIM = (
    f"UPDATE {{s}}.run r SET epoch = u.epoch, owner = u.owner, stands = u.stands FROM {unnested(_CLAIM_TYPES)}"
    " AS u(n, epoch, owner, stands) WHERE r.n = u.n"
)
_ENDS = (
    "SELECT u.n, t.rows, t.seq, t.seal FROM unnest(%s::bigint[]) AS u(n), LATERAL ("
    "SELECT count(*) OVER () AS rows, seq, seal FROM {s}.effect WHERE run = u.n ORDER BY seq DESC LIMIT 1) AS t"
)
_SAID_TYPES = ("bytea", "bytea", "bigint", "bytea")
_SAID = (
    f"WITH said AS (UPDATE {{s}}.question q SET value = u.value, said = u.said FROM {unnested(_SAID_TYPES)}"
    " AS u(value, said, run, question) WHERE q.run = u.run AND q.question = u.question)"
    " UPDATE {s}.meta SET answers = answers + 1"
)


Outcome = tuple[Any, Exception | None]


def groups(items: Sequence[Write]) -> list[list[Write]]:
    """Return calls in groups of one verb; no group that writes has two calls about one run."""
    made: list[list[Write]] = []
    verb = ""
    about: set[str] = set()
    for item in items:
        call: Joined = item.what
        again = call.run_id in about and call.verb not in READING
        if not made or call.verb != verb or again or len(made[-1]) >= MOST:
            made.append([])
            verb, about = call.verb, set[str]()
        made[-1].append(item)
        about.add(call.run_id)
    return made


def outcomes(link: Link, connection: Connection, calls: Sequence[Joined]) -> list[Outcome]:
    """Do calls of one verb."""
    return _VERBS[calls[0].verb](_Runs(link, connection, calls), calls)


def possible(run_id: str) -> bool:
    """Return whether there can be a run of that id; others are no text to the server."""
    return run_id.isascii() and "\0" not in run_id


class _Runs:
    """The runs that calls are about."""

    def __init__(self, link: Link, connection: Connection, calls: Sequence[Joined]) -> None:
        self._link, self._connection = link, connection
        run_ids = Texts(dict.fromkeys(call.run_id for call in calls if possible(call.run_id)))
        # Locked in the order of all others, so that two processes do not wait for each other.
        how = "" if calls[0].verb in READING else " ORDER BY n FOR UPDATE"
        rows = self.ask(f"{records.READ}id = ANY(%s::text[]){how}", run_ids) if run_ids else []
        self._rows = {row[1]: row for row in rows}
        self._asked: dict[int, list[records.Question]] = {}
        if rows and calls[0].verb != "claim":
            self._asked = records.questions_of(self.ask(records.QUESTIONS, Integers(row[0] for row in rows)))
        self._known: list[str] | None = None

    def ask(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._link.rows(self._connection, text, values)

    def questions(self, number: int) -> list[records.Question]:
        return self._asked.get(number, [])

    def row(self, run_id: str) -> tuple[Any, ...] | None:
        return self._rows.get(run_id)

    def there(self, run_id: str) -> tuple[Any, ...]:
        """Return what `READ` reads of a run; `UsageError` if there is none."""
        row = self._rows.get(run_id)
        if row is None:
            if self._known is None:
                known = self.ask("SELECT id FROM {s}.run ORDER BY created DESC LIMIT 2000")
                self._known = [one for (one,) in known]
            raise missing(run_id, self._known)
        return row

    def effects(self, found: records.Found) -> Effects:
        return Effects(lambda text, values: self._link.rows(self._connection, text, values), found)


def _each(calls: Sequence[Joined], one: Callable[[Joined], Any]) -> list[Outcome]:
    made: list[Outcome] = []
    for call in calls:
        try:
            made.append((one(call), None))
        except (JournalError, UsageError) as error:
            made.append((None, error))
    return made


def _finds(runs: _Runs, calls: Sequence[Joined]) -> list[Outcome]:
    """Return records, verified; None where there is none."""

    def one(call: Joined) -> StoredRun | None:
        row = runs.row(call.run_id)
        return None if row is None else records.verified(records.read(row, runs.questions(row[0])))

    return _each(calls, one)


def _loads(runs: _Runs, calls: Sequence[Joined]) -> list[Outcome]:
    """Return runs with their rows, verified."""

    def one(call: Joined) -> Any:
        row = runs.there(call.run_id)
        found = records.read(row, runs.questions(row[0]))
        run = records.verified(found)
        log = runs.effects(found)
        if log.damage is not None:
            raise JournalCorrupt(f"run {call.run_id!r}: {log.damage}")
        return run, log.rows

    return _each(calls, one)


def _claims(runs: _Runs, calls: Sequence[Joined]) -> list[Outcome]:
    """Take runs over that still have their epochs; return the ends of their logs."""
    changes: list[tuple[Any, ...]] = []

    def one(call: Joined) -> Head:
        found = records.read(runs.there(call.run_id))
        epoch, owner = call.given
        if found.run.epoch != epoch:
            raise OwnedElsewhere(f"run {call.run_id!r} has been taken over by another process meanwhile")
        run = records.verified(found)._replace(epoch=epoch + 1, owner=owner)
        changes.append((found.number, run.epoch, owner, records.stands_of(run)))
        return Head(call.run_id, run.epoch, found.number, 0, FIRST, -1)

    made = _each(calls, one)
    if changes:
        runs.ask(_CLAIM, *columns(_CLAIM_TYPES, changes))
        ends = {number: end for number, *end in runs.ask(_ENDS, Integers(change[0] for change in changes))}
        for head, error in made:
            if error is None and head.number in ends:
                head.rows, head.last, head.seal = ends[head.number]
    return made


def _answers(runs: _Runs, calls: Sequence[Joined]) -> list[Outcome]:
    """Store what persons said, once; return the runs, or None where a question was answered before."""
    changes: list[tuple[Any, ...]] = []

    def one(call: Joined) -> StoredRun | None:
        row = runs.there(call.run_id)
        question, value = call.given
        number, name = row[0], records.bytes_of(question)
        questions = {one.key: one for one in runs.questions(number)}
        asked = questions.get(name)
        if asked is None:
            remedy = f"See what it asks: `stratagem show {call.run_id}`."
            raise UsageError(f"run {call.run_id!r} has not asked {question!r}", remedy=remedy)
        if asked.value is not None:
            return None
        questions[name] = asked._replace(value=value)
        run = records.verified(records.read(row, questions.values()))  # before anything is built upon it
        changes.append((value, records.said_seal(call.run_id, name, value), number, name))
        return run

    made = _each(calls, one)
    if changes:
        runs.ask(_SAID, *columns(_SAID_TYPES, changes))
    return made


_VERBS: dict[str, Callable[[_Runs, Sequence[Joined]], list[Outcome]]] = {
    "find": _finds, "load": _loads, "claim": _claims, "answer": _answers,
}  # fmt: skip


__all__ = ["READING", "Outcome", "groups", "outcomes", "possible"]
