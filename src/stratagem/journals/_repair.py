"""A damaged run, made to go on with what is sound of it."""

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from stratagem.core import Clock, Row
from stratagem.core._journal import VERSION
from stratagem.journals import _keeping, _lists, _questions, _records
from stratagem.journals._effects import READ, Effects, cost
from stratagem.journals._payload import Words, blobs, storable, text_of
from stratagem.journals._salvage import NOTHING, Kept, Stored, salvaged, standing_in

_INDEXES = ("effect_place", *(f"sqlite_autoindex_{table}_1" for table in ("run", "word", "blob")))


class Copies(NamedTuple):
    """What the indexes say, before they are made anew.

    Attributes:
        words: the words, by number.
        number: of the run, or None if they do not have it.
        rows: keys of the run's rows.
    """

    words: dict[int, str]
    number: int | None
    rows: list[int]


def reindexed(connection: sqlite3.Connection, run_id: str) -> Copies:
    """Make the indexes anew, without which sound rows could seem to be lost; return what they said."""
    words = {
        number: text_of(text)
        for number, text in _told(connection, "SELECT n, text FROM word INDEXED BY sqlite_autoindex_word_1")
    }
    numbers = _told(connection, "SELECT n FROM run INDEXED BY sqlite_autoindex_run_1 WHERE id=?", storable(run_id))
    number = numbers[0][0] if numbers else None
    rows = _told(connection, "SELECT n FROM effect INDEXED BY effect_place WHERE run=?", number)
    for index in _INDEXES:
        with suppress(sqlite3.IntegrityError):  # two rows claim one place: the damaged one will be found
            connection.execute(f"REINDEX {index}")
    return Copies(words, number, [key for (key,) in rows])


def _told(connection: sqlite3.Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    with suppress(sqlite3.DatabaseError):
        found.extend(connection.execute(query, values))
    return found


def dropped(connection: sqlite3.Connection, words: Words, run_id: str, clock: Clock, copies: Copies) -> int | None:
    """Remove what is not as it was written of a run, within a transaction. What else can be told is in `_salvage`.

    Args:
        connection: to the file.
        words: of the file.
        run_id: the run.
        clock: tells the time.
        copies: what the indexes said.

    Returns:
        How many rows went, were replaced by an intent, or were missing; None if all is sound.
    """
    found = _numbered(connection, run_id, copies.number)
    log = Effects(connection, words, found)
    keys = {key for (key,) in connection.execute("SELECT n FROM effect WHERE run=?", (found.number,))}
    lost = len(set(copies.rows) - keys)
    if log.damage is None and found.damage is None and not lost:
        return None
    gone = 0
    if log.damage is not None or lost:
        stored = _stored(connection, words.read(found.number), copies.words, found.number)
        kept, gone = salvaged(stored, found.run.seal)
        staying = {one.key for one in kept}
        connection.executemany("DELETE FROM effect WHERE n=?", [(one.key,) for one in stored if one.key not in staying])
        seals = {one.key: one.seal for one in stored}
        for one in kept:
            _rewrite(connection, words, one, seals[one.key])
        lost = max(lost, found.run.rows - len(stored) if found.stands else 0)
        if lost > 0:
            _add(connection, words, found.number, standing_in(kept, found.run))
    _mend(connection, found, clock)
    return gone + max(lost, 0)


def _numbered(connection: sqlite3.Connection, run_id: str, number: int | None) -> _records.Found:
    """Return the record of a run, under the number that the index had for it: its rows have that."""
    found = _lists.known(connection, run_id)
    if number in (None, found.number) or connection.execute("SELECT 1 FROM run WHERE n=?", (number,)).fetchone():
        return found
    connection.execute("UPDATE run SET n=? WHERE n=?", (number, found.number))
    return _lists.known(connection, run_id)


def _stored(
    connection: sqlite3.Connection, texts: Mapping[int, str], copies: Mapping[int, str], run: int
) -> list[Stored]:
    """Return the rows of a run, whatever they are."""
    raw: list[tuple[Any, ...]] = []
    for (number,) in connection.execute("SELECT n FROM effect WHERE run=? ORDER BY seq", (run,)).fetchall():
        try:
            raw += connection.execute(READ.replace("run=?", "n=?"), (number,))
        except sqlite3.DatabaseError:
            raw.append((number, *[None] * 14))
    large = blobs(connection, {part for row in raw for part in row[-2:] if type(part) is int})
    return [_row_of(one, texts, copies, large) for one in raw]


def _row_of(
    one: tuple[Any, ...], texts: Mapping[int, str], copies: Mapping[int, str], large: Mapping[int, bytes]
) -> Stored:
    number, seq, kind, path, occurrence, wall, active, took, failed, sample, said, digest, mark, request, result = one
    if type(request) is int:
        request = large.get(request)
    if type(result) is int:
        result = large.get(result)
    usage, readable = None, True
    try:
        usage, _ = cost(said)
    except (TypeError, ValueError, AttributeError):
        readable = False
    others = tuple({copies[path]} - {texts.get(path)}) if path in copies else ()
    what: Any = texts.get(kind, "")
    where = texts.get(path, others[0] if others else "")  # the root, as long as nothing else fits
    row = Row(
        seq, what, where, digest, occurrence, wall, active, took, usage, request, result,  # pyright: ignore[reportArgumentType]
        failed != 0, sample,
    )  # fmt: skip
    whole = readable and all(type(part) is int for part in (seq, occurrence, wall, active, took, failed, sample))
    whole = whole and all(type(part) is bytes for part in (digest, mark, request, result))
    return Stored(number, row, mark, whole, others)


def _rewrite(connection: sqlite3.Connection, words: Words, one: Kept, before: object) -> None:
    """Store what differs in a row that stays."""
    row = one.row
    if one.seal != before:
        connection.execute("UPDATE effect SET seal=? WHERE n=?", (one.seal, one.key))
    if one.changed:
        connection.execute(
            "UPDATE effect SET seq=?, kind=?, path=?, occurrence=?, digest=? WHERE n=?",
            (row.seq, words.number(row.kind), words.number(row.path), row.occurrence, row.digest, one.key),
        )
    if one.placed:
        connection.execute(
            "UPDATE effect SET wall=?, active=?, took=0, failed=0, sample=-1, usage=NULL, result=x'' WHERE n=?",
            (row.wall, row.active, one.key),
        )
        if row.request == NOTHING:
            connection.execute("UPDATE effect SET request=? WHERE n=?", (row.request, one.key))


def _add(connection: sqlite3.Connection, words: Words, run: int, one: Kept) -> None:
    row = one.row
    connection.execute(
        "INSERT INTO effect (run, seq, kind, path, occurrence, wall, active, took, failed, sample, digest, seal, request,"
        " result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run, row.seq, words.number(row.kind), words.number(row.path), row.occurrence, row.wall, row.active, row.took,
            row.failed, row.sample, row.digest, one.seal, row.request, row.result,
        ),
    )  # fmt: skip


def _mend(connection: sqlite3.Connection, found: _records.Found, clock: Clock) -> None:
    run = found.run._replace(state="running", end=b"", rows=-1, seal=b"", owner=b"", epoch=found.run.epoch + 1)
    if not found.stands:
        # Nobody can have had this epoch before.
        run = run._replace(updated=run.created, epoch=int(clock.wall() * 1e6))
    if not found.known:
        run = run._replace(record=b"{}", parent="")
        connection.execute("UPDATE run SET format=?, since=0 WHERE n=?", (VERSION, found.number))
    kept = [
        (one.id, one.form if one.asked else b"", one.value if one.said else b"")
        for one in _questions.read(connection, found.number, run.run_id)
    ]
    kept = [one for one in kept if one[1] or one[2]]
    connection.execute("DELETE FROM question WHERE run=?", (found.number,))
    for one in kept:
        _questions.put(connection, found.number, run.run_id, *one)
    _keeping.answers_changed(connection)
    _records.updated(connection, found.number, None, run, len(kept))
