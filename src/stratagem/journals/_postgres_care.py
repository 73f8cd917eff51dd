"""What keeps a journal in order: damage found and dropped, runs removed, space given back."""

# ruff: noqa: S608 -- statements are put together from constants of this package; values are passed beside them

from collections.abc import Iterator, Sequence
from typing import Any

from stratagem.core._journal import Condition
from stratagem.journals import _postgres_records as records
from stratagem.journals._postgres_arrays import Blobs, Integers, Texts
from stratagem.journals._postgres_effects import REQUEST_APART, RESULT_APART, Effects, Rows, read_all, unpacked
from stratagem.journals._postgres_link import Link
from stratagem.journals._postgres_schema import OWN_TABLES, Connection
from stratagem.journals._salvage import NOTHING, salvaged, standing_in

AT_ONCE = 200  # runs or payloads that are looked at together

# Keeps everybody from storing payloads meanwhile: one that seems to be nobody's may be about to be somebody's.
_ALONE = "LOCK TABLE {s}.blob IN SHARE ROW EXCLUSIVE MODE"
_UNUSED = (
    " NOT EXISTS (SELECT FROM {s}.effect e WHERE e.flags & 2 <> 0 AND e.request = b.digest)"
    " AND NOT EXISTS (SELECT FROM {s}.effect e WHERE e.flags & 4 <> 0 AND e.result = b.digest)"
)


def remove(link: Link, run_ids: Sequence[str]) -> int:
    """Remove runs with all that is theirs alone, in one transaction; return how many there were."""
    wanted = Texts(run_id for run_id in dict.fromkeys(run_ids) if run_id.isascii() and "\0" not in run_id)
    return link.write(lambda connection: _removed(link, connection, wanted)) if wanted else 0


def _removed(link: Link, connection: Connection, wanted: Texts) -> int:
    link.rows(connection, _ALONE)
    text = "SELECT n FROM {s}.run WHERE id = ANY(%s::text[]) ORDER BY n FOR UPDATE"
    numbers = Integers(number for (number,) in link.rows(connection, text, (wanted,)))
    text = "DELETE FROM {s}.effect WHERE run = ANY(%s::bigint[]) RETURNING flags, request, result"
    digests: set[bytes] = set()
    for flags, request, result in link.rows(
        connection, f"WITH gone AS ({text}) SELECT * FROM gone WHERE flags & 6 <> 0", (numbers,)
    ):
        digests |= {part for bit, part in ((REQUEST_APART, request), (RESULT_APART, result)) if flags & bit}
    if digests:
        text = "DELETE FROM {s}.blob b WHERE digest = ANY(%s::bytea[]) AND" + _UNUSED
        link.rows(connection, text, (Blobs(digests),))
    link.rows(connection, "DELETE FROM {s}.question WHERE run = ANY(%s::bigint[])", (numbers,))
    link.rows(connection, "DELETE FROM {s}.run WHERE n = ANY(%s::bigint[])", (numbers,))
    link.rows(connection, "UPDATE {s}.meta SET answers = answers + 1")  # who remembers answers shall forget theirs
    return len(numbers)


def drop_damaged(link: Link, connection: Connection, found: records.Found) -> int:
    """Remove what is not as it was written of a run, in a transaction that has locked it.

    Returns:
        How many rows went, or were replaced by an intent. What else can be told is in `_salvage`.
    """

    def rows(text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return link.rows(connection, text, values)

    asked = records.questions_of(rows(records.QUESTIONS, (Integers((found.number,)),))).get(found.number, [])
    log = Effects(rows, found)
    if log.damage is None and found.known and found.stands and not any(one.damage for one in asked):
        return 0
    gone = 0 if log.damage is None else _repaired(rows, found)
    for one in asked:
        if one.damage:  # it is asked again
            rows("DELETE FROM {s}.question WHERE run = %s AND question = %s", (found.number, one.key))
    run = found.run._replace(state="running", end=b"", rows=-1, seal=b"", owner=b"", epoch=found.run.epoch + 1)
    if not found.stands:
        run = run._replace(updated=run.created)
    if not found.known:
        run = run._replace(record=b"{}", parent="")
    names = records.COLUMNS.split(", ")
    text = f"UPDATE {{s}}.run SET {', '.join(f'{name} = %s' for name in names)} WHERE n = %s"
    rows(text, (*records.values_of(run), found.number))
    rows("UPDATE {s}.meta SET answers = answers + 1")
    return gone


def _repaired(rows: Rows, found: records.Found) -> int:
    run, stored = found.number, read_all(rows, found.number)
    kept, gone = salvaged(stored, found.run.seal)
    numbers = Integers({one.key for one in stored} - {one.key for one in kept})
    rows("DELETE FROM {s}.effect WHERE run = %s AND seq = ANY(%s::bigint[])", (run, numbers))
    text = "UPDATE {s}.effect SET seal = u.seal FROM unnest(%s::bigint[], %s::bytea[]) AS u(seq, seal)"
    values = Integers(one.key for one in kept), Blobs(one.seal for one in kept)
    rows(text + " WHERE run = %s AND effect.seq = u.seq", (*values, run))
    for one in kept:
        row = one.row
        if one.changed:
            place = records.bytes_of(row.path), row.occurrence
            rows(
                "UPDATE {s}.effect SET seq = %s, kind = %s, path = %s, occurrence = %s, digest = %s"
                " WHERE run = %s AND seq = %s",
                (row.seq, row.kind, *place, row.digest, run, one.key),
            )
        if one.placed:
            rows(
                "UPDATE {s}.effect SET wall = %s, active = %s, took = 0, sample = -1, usage = '', result = '',"
                " flags = flags & %s WHERE run = %s AND seq = %s",
                (row.wall, row.active, REQUEST_APART, run, row.seq),
            )
            if row.request == NOTHING:
                text = "UPDATE {s}.effect SET request = %s, flags = 0 WHERE run = %s AND seq = %s"
                rows(text, (row.request, run, row.seq))
    lost = found.run.rows - len(stored) if found.stands else 0
    if lost <= 0:
        return gone
    one = standing_in(kept, found.run)
    row = one.row
    rows(
        "INSERT INTO {s}.effect (run, seq, kind, path, occurrence, wall, active, took, flags, sample, usage, digest,"
        " seal, request, result) VALUES (%s, %s, %s, '', 0, %s, %s, 0, 0, -1, '', %s, %s, %s, '')",
        (run, row.seq, row.kind, row.wall, row.active, row.digest, one.seal, row.request),
    )
    return gone + lost


def sweep(link: Link) -> int:
    """Remove payloads that nothing refers to, and let their space be used again; return how many went."""

    def work(connection: Connection) -> int:
        link.rows(connection, _ALONE)
        text = "DELETE FROM {s}.blob b WHERE" + _UNUSED + " RETURNING 1"
        ((gone,),) = link.rows(connection, f"WITH gone AS ({text}) SELECT count(*) FROM gone")
        for table, column in (("lease", "beat"), ("writer", "used")):
            link.rows(connection, f"DELETE FROM {{s}}.{table} WHERE {column} < now() - interval '7 days'")
        return gone

    gone = link.write(work)
    for table in OWN_TABLES:
        link.ask(f"VACUUM {{s}}.{table}")
    return gone


def check(link: Link) -> Condition:
    """Look at every byte, as of one moment."""
    return link.read(lambda connection: _checked(link, connection))


def _checked(link: Link, connection: Connection) -> Condition:
    damage: list[str] = []
    runs = rows = blobs = 0
    for found in _runs(link, connection):
        runs += 1
        wrong = _wrong(link, connection, found)
        damage += wrong
    ((rows, lost),) = link.rows(
        connection,
        "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM {s}.run r WHERE r.n = e.run)) FROM {s}.effect e",
    )
    if lost:
        damage.append(f"{lost} rows belong to no run")
    for digest, size, body in _blobs(link, connection):
        blobs += 1
        if unpacked(digest, size, body) is None:
            damage.append(f"payload {digest.hex()[:16]} is not what was written")
    ((orphans,),) = link.rows(connection, "SELECT count(*) FROM {s}.blob b WHERE" + _UNUSED)
    tables = Texts(f'"{link.tables.schema}".{table}' for table in OWN_TABLES)
    text = "SELECT coalesce(sum(pg_total_relation_size(t::regclass)), 0)::bigint FROM unnest(%s::text[]) AS u(t)"
    ((size,),) = link.rows(connection, text, (tables,))
    return Condition(size, runs, rows, blobs, orphans, tuple(damage))


def _wrong(link: Link, connection: Connection, found: records.Found) -> list[str]:
    run_id = found.run.run_id
    said: list[str] = []
    if not found.known:
        said.append(f"the record of run {run_id!r}: what it was started with is not what was written")
    if not found.stands:
        said.append(f"the record of run {run_id!r}: where it stands is not what was written")
    if found.damage:
        said.append(f"run {run_id!r}: {found.damage}")
    log = Effects(lambda text, values: link.rows(connection, text, values), found)
    if log.damage is not None:
        said.append(f"run {run_id!r}: {log.damage}")
    return said


def _runs(link: Link, connection: Connection) -> Iterator[records.Found]:
    last = 0
    while rows := link.rows(connection, records.READ + "n > %s ORDER BY n LIMIT %s", (last, AT_ONCE)):
        numbers = Integers(row[0] for row in rows)
        asked = records.questions_of(link.rows(connection, records.QUESTIONS, (numbers,)))
        yield from (records.read(row, asked.get(row[0], ())) for row in rows)
        last = rows[-1][0]


def _blobs(link: Link, connection: Connection) -> Iterator[tuple[bytes, int, bytes]]:
    last = b""
    text = "SELECT digest, size, body FROM {s}.blob WHERE digest > %s ORDER BY digest LIMIT %s"
    while rows := link.rows(connection, text, (last, AT_ONCE)):
        yield from rows  # pyright: ignore[reportReturnType]
        last = rows[-1][0]
