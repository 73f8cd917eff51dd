"""What queued while the last transaction ran, as one transaction.

Most batches hold rows alone: those are one statement, which raises the number of the writer, looks at the epochs of the
runs under a lock, and inserts. Everything else takes a few statements.
"""

# ruff: noqa: S608 -- statements are put together from constants of this package; values are passed beside them

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from stratagem.core import Row, StoredRun
from stratagem.core._canonical import decoded, encoded
from stratagem.core._journal import FIRST, seal
from stratagem.journals import _postgres_effects as effects
from stratagem.journals import _postgres_records as records
from stratagem.journals._postgres_arrays import Blobs, Integers, columns, unnested
from stratagem.journals._postgres_effects import Blob
from stratagem.journals._postgres_link import MARK, Link
from stratagem.journals._postgres_schema import Connection
from stratagem.journals._writer import Write

LARGEST = 500_000_000  # bytes of a payload; the server's own limit is 1 GB, of a value as well as of a statement

# The lock keeps a claim waiting until these rows are there, or these rows until the claim is; in order, so that two
# processes do not wait for each other.
_OWNED = (
    "SELECT r.n FROM unnest(%s::bigint[], %s::bigint[]) AS u(n, epoch) JOIN {s}.run r ON r.n = u.n"
    " WHERE r.epoch = u.epoch ORDER BY r.n FOR NO KEY UPDATE OF r"
)
_INSERT = (
    f"INSERT INTO {{s}}.effect ({effects.COLUMNS}) SELECT * FROM {unnested(effects.TYPES)} AS u({effects.COLUMNS})"
)
_BLOB_TYPES = ("bytea", "bigint", "bytea")
# A damaged one heals, before new rows refer to it.
_STORE = (
    f"INSERT INTO {{s}}.blob AS b (digest, size, body) SELECT * FROM {unnested(_BLOB_TYPES)}"
    "{where} ON CONFLICT (digest) DO UPDATE SET size = excluded.size, body = excluded.body"
    " WHERE (b.size, b.body) <> (excluded.size, excluded.body)"
)
_MARKED = "EXISTS (SELECT FROM mark)"
_APPEND = (
    f"WITH mark AS ({MARK}), {{stored}} owned AS MATERIALIZED ("
    "SELECT r.n FROM unnest(%s::bigint[], %s::bigint[]) AS u(n, epoch) JOIN {s}.run r ON r.n = u.n"
    f" WHERE r.epoch = u.epoch AND {_MARKED} ORDER BY r.n FOR NO KEY UPDATE OF r),"
    f" made AS ({_INSERT} WHERE u.run IN (SELECT n FROM owned))"
    " SELECT array(SELECT n FROM owned) FROM mark"
)
# The same for a single row: the server plans it in half the time.
_APPEND_ONE = (
    f"WITH mark AS ({MARK}), owned AS MATERIALIZED ("
    f"SELECT n FROM {{s}}.run WHERE n = %s AND epoch = %s AND {_MARKED} FOR NO KEY UPDATE),"
    f" made AS (INSERT INTO {{s}}.effect ({effects.COLUMNS})"
    f" SELECT n, {', '.join(f'%s::{kind}' for kind in effects.TYPES[1:])} FROM owned)"
    " SELECT array(SELECT n FROM owned) FROM mark"
)
_APPEND_INLINE = _APPEND.replace("{stored}", "")
_APPEND_APART = _APPEND.replace("{stored}", f"stored AS ({_STORE}),").replace("{where}", f" WHERE {_MARKED}")
_STORED = (
    "SELECT e.run FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS u(run, seq, seal)"
    " JOIN {s}.effect e ON e.run = u.run AND e.seq = u.seq AND e.seal = u.seal"
)
_RUN_TYPES = ("text", "bigint", "text", *("bigint",) * 4, "text", *("bytea",) * 8)
_CREATE = (
    f"INSERT INTO {{s}}.run ({records.COLUMNS}) SELECT * FROM {unnested(_RUN_TYPES)}"
    " ON CONFLICT (id) DO NOTHING RETURNING id, n"
)
_CHANGED = tuple(name for name in records.COLUMNS.split(", ") if name not in ("id", "epoch"))
_UPDATE = (
    f"UPDATE {{s}}.run r SET {', '.join(f'{name} = u.{name}' for name in _CHANGED)}"
    f" FROM {unnested(_RUN_TYPES)} AS u({records.COLUMNS}) WHERE r.id = u.id AND r.epoch = u.epoch"
)
_QUESTION_TYPES = ("bigint", "bytea", "bytea", "bytea")
_ASK = (
    f"INSERT INTO {{s}}.question AS q (run, question, form, asked) SELECT * FROM {unnested(_QUESTION_TYPES)}"
    " ON CONFLICT (run, question) DO UPDATE SET form = excluded.form, asked = excluded.asked WHERE q.form IS NULL"
)
_SAY = (
    f"INSERT INTO {{s}}.question AS q (run, question, value, said) SELECT * FROM {unnested(_QUESTION_TYPES)}"
    " ON CONFLICT (run, question) DO UPDATE SET value = excluded.value, said = excluded.said"
)
_BEAT = (
    "INSERT INTO {s}.lease SELECT owner, clock_timestamp() FROM unnest(%s::bytea[]) AS u(owner) ORDER BY owner"
    " ON CONFLICT (owner) DO UPDATE SET beat = excluded.beat"
)
_FORGET = "DELETE FROM {s}.lease WHERE beat < clock_timestamp() - interval '7 days'"


class Head:
    """The end of a run's log, as this process knows it."""

    __slots__ = ("epoch", "last", "number", "rows", "run_id", "seal")

    def __init__(
        self, run_id: str, epoch: int, number: int = 0, rows: int = 0, chain: bytes = FIRST, last: int = -1
    ) -> None:
        self.run_id, self.epoch, self.number = run_id, epoch, number
        self.rows, self.seal, self.last = rows, chain, last

    def stopped(self, run: StoredRun) -> StoredRun:
        """Return a record with what the store knows: the epoch, and of one that stops its rows and seal."""
        ended = run.rows >= 0
        chain = self.seal if ended and self.rows else b""
        return run._replace(epoch=self.epoch, rows=self.rows if ended else -1, seal=chain)


class Part:
    """What a batch holds of one run."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.items: list[Write] = []
        self.created: StoredRun | None = None
        self.updated: StoredRun | None = None
        self.rows: list[tuple[Any, ...]] = []
        self.questions: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        self.answers: list[tuple[bytes, bytes, bytes]] = []
        self.blobs: dict[bytes, Blob] = {}

    @property
    def plain(self) -> bool:
        """Whether it is rows alone."""
        return self.created is None and self.updated is None and not self.questions

    def append(self, row: Row) -> None:
        """Add a row; `ValueError`, `TypeError` or `struct.error` if no table can hold it."""
        # The same limits as in the tables, found here for one row, and not by the server for a whole batch.
        struct.pack("!6q", row.seq, row.occurrence, row.wall, row.active, row.took, row.sample)
        if "\0" in row.kind:
            raise ValueError("its kind has a NUL")
        if max(len(row.request), len(row.result)) > LARGEST:
            raise ValueError(f"a payload has more than {LARGEST:,} bytes")
        head = self.head
        chain = seal(head.seal, row)
        self.rows.append(effects.values_of(row, chain, self.blobs))
        head.seal, head.last = chain, row.seq
        head.rows += 1

    def ask(self, question: str, form: bytes) -> None:
        """Add a question."""
        name = records.bytes_of(question)
        self.questions.setdefault(name, (name, form, records.asked_seal(self.head.run_id, name, form)))

    def create(self, run: StoredRun) -> None:
        """Begin with a new run, and with the questions and answers that it brings from elsewhere."""
        self.created = run
        for question, form in decoded(run.questions).items():
            self.ask(question, encoded(form))
        for question, value in decoded(run.answers).items():
            name, said = records.bytes_of(question), encoded(value)
            self.answers.append((name, said, records.said_seal(run.run_id, name, said)))


def checked(run: StoredRun) -> StoredRun:
    """Return a record that the table can hold, or raise `ValueError`, `TypeError` or `struct.error`."""
    struct.pack("!4q", run.epoch, run.created, run.updated, run.rows)
    for text in (run.run_id, run.parent, run.state):
        if "\0" in text:
            raise ValueError(f"{text!r} has a NUL")
        if not text.isascii():
            raise ValueError(f"{text!r} is not ASCII")
    if max(len(run.record), len(run.end), len(run.owner)) > LARGEST:
        raise ValueError(f"a payload has more than {LARGEST:,} bytes")
    return run


class Outcome(NamedTuple):
    """What became of a batch.

    Attributes:
        owned: numbers of the runs that this process still has; nothing was written of others.
        taken: ids that were to be created, and are there already.
    """

    owned: Collection[int]
    taken: Collection[str] = ()


def sent(link: Link, parts: Sequence[Part], beats: Mapping[bytes, bytes]) -> Outcome:
    """Write a batch in one transaction."""
    if not beats and all(part.plain for part in parts):
        return _appended(link, parts)
    return link.write(lambda connection: _applied(link, connection, parts, beats))


def _appended(link: Link, parts: Sequence[Part]) -> Outcome:
    payloads = _payloads(parts)
    text = _APPEND_APART if payloads else _APPEND_INLINE
    values: tuple[Any, ...] = (*payloads, *_owners(parts), *columns(effects.TYPES, _rows(parts)))
    if len(parts) == len(parts[0].rows) == 1 and not payloads:
        text, values = _APPEND_ONE, (parts[0].head.number, parts[0].head.epoch, *parts[0].rows[0])

    def recover(connection: Connection) -> Outcome:
        last = [(part.head.number, part.rows[-1][0], part.rows[-1][11]) for part in parts]
        stored = link.rows(connection, _STORED, columns(("bigint", "bigint", "bytea"), last))
        return Outcome({number for (number,) in stored})

    return link.statement(text, values, lambda found: Outcome(set(found[0][0])), recover)


def _applied(link: Link, connection: Connection, parts: Sequence[Part], beats: Mapping[bytes, bytes]) -> Outcome:
    """Write a batch, in a transaction that has begun."""
    # Payloads first: who removes runs locks their table first too.
    if payloads := _payloads(parts):
        link.rows(connection, _STORE.replace("{where}", ""), payloads)
    created = [part for part in parts if part.created is not None]
    taken: set[str] = set()
    if created:
        rows = [records.values_of(part.created) for part in created if part.created is not None]
        made: dict[str, int] = dict(link.rows(connection, _CREATE, columns(_RUN_TYPES, rows)))  # pyright: ignore[reportArgumentType]
        taken = {part.head.run_id for part in created if part.head.run_id not in made}
        for part in created:
            part.head.number = made.get(part.head.run_id, 0)
    there = [part for part in parts if part.head.run_id not in taken]
    owned = {number for (number,) in link.rows(connection, _OWNED, _owners(there))} if there else set[int]()
    mine = [part for part in there if part.head.number in owned]
    if rows := _rows(mine):
        link.rows(connection, _INSERT, columns(effects.TYPES, rows))
    if asked := [(part.head.number, *question) for part in mine for question in part.questions.values()]:
        link.rows(connection, _ASK, columns(_QUESTION_TYPES, asked))
    if said := [(part.head.number, *answer) for part in mine for answer in part.answers]:
        link.rows(connection, _SAY, columns(_QUESTION_TYPES, said))
    if changed := [records.values_of(part.updated) for part in mine if part.updated is not None]:
        link.rows(connection, _UPDATE, columns(_RUN_TYPES, changed))
    if beats:
        link.rows(connection, _BEAT, (Blobs(beats),))
        link.rows(connection, _FORGET)
    return Outcome(owned, taken)


def updated(link: Link, connection: Connection, run: StoredRun) -> None:
    """Replace one record, in a transaction that has locked it."""
    link.rows(connection, _UPDATE, columns(_RUN_TYPES, [records.values_of(run)]))


def _owners(parts: Sequence[Part]) -> tuple[Integers, Integers]:
    return Integers(part.head.number for part in parts), Integers(part.head.epoch for part in parts)


def _payloads(parts: Sequence[Part]) -> tuple[Any, ...]:
    """Return the columns of the payloads that are stored apart, in order of their digests; nothing if there are none."""
    found = {digest: blob for part in parts for digest, blob in part.blobs.items()}
    return columns(_BLOB_TYPES, [(digest, *blob) for digest, blob in sorted(found.items())]) if found else ()


def _rows(parts: Sequence[Part]) -> list[tuple[Any, ...]]:
    return [(part.head.number, *row) for part in parts for row in part.rows]
