"""How an older file becomes one of today, a version at a time."""

import sqlite3
from typing import Any, cast

from stratagem.core import Json, StoredRun, encoded
from stratagem.core._canonical import hashed, is_object
from stratagem.journals import _questions, _records
from stratagem.journals._payload import blobs, text_of
from stratagem.journals._tables import COUNT, LEASE, QUESTION, RUN

_KEPT = "n, id, epoch, state, created, updated, format, since, rows, parent, seal, known, strategy, model, question, record, end"


def with_questions(connection: sqlite3.Connection) -> None:
    """Bring version 1 forward: what persons said lay in the run's record, what they were asked in its end.

    A damaged record stays damaged, and is found so: its checksum is taken over as it is. Nobody owns the runs.
    """
    connection.execute("ALTER TABLE run RENAME TO run_1")
    for table in (RUN, QUESTION, LEASE, COUNT):
        connection.execute(table)
    connection.execute("INSERT INTO count (name, n) VALUES ('answers', 0)")
    numbers = [number for (number,) in connection.execute("SELECT n FROM run_1 ORDER BY n")]
    for number in numbers:
        row = connection.execute(
            "SELECT id, state, updated, epoch, rows, seal, stands, answers, end FROM run_1 WHERE n=?", (number,)
        )
        asked, stands = _moved(connection, number, row.fetchone())
        connection.execute(
            f"INSERT INTO run (asked, stands, owner, {_KEPT}) SELECT ?, ?, x'', {_KEPT} FROM run_1 WHERE n=?",  # noqa: S608
            (asked, stands, number),
        )
    connection.execute("DROP TABLE run_1")


def _moved(connection: sqlite3.Connection, number: int, row: tuple[Any, ...]) -> tuple[int, bytes]:
    """Move questions and answers of a sound run; return how many there are, and the run's checksum."""
    name, state, updated, epoch, rows, seal, mark, *parts = row
    large = blobs(connection, {part for part in parts if type(part) is int})
    answers, end = (large.get(part) if type(part) is int else part for part in parts)
    if (
        type(name) not in (str, bytes)
        or type(seal) is not bytes
        or type(answers) is not bytes
        or type(end) is not bytes
    ):
        return 0, mark
    run_id = text_of(name)
    shown = f"{run_id} {state} {updated} {epoch} {rows} {len(seal)} {len(answers)} "
    if hashed(b"s" + shown.encode("utf-8", "surrogatepass") + seal + answers + end)[:16] != mark:
        return 0, mark
    forms, values = _asked(end, updated), _questions.members(answers)
    names = sorted({*forms, *values})
    for one in names:
        form, value = (encoded(given[one]) if one in given else b"" for given in (forms, values))
        _questions.put(connection, number, run_id, one, form, value)
    run = StoredRun(run_id, state, updated=updated, epoch=epoch, rows=rows, seal=seal, end=end)
    return len(names), _records.stands(run, len(names))


def _asked(end: bytes, updated: int) -> dict[str, Json]:
    """Return the questions that a run waited for when it stopped."""
    waiting: Json = _questions.members(end).get("waiting")
    if not isinstance(waiting, list):
        return {}
    entries = cast("list[Json]", waiting)
    return {one["id"]: {"asked": updated, "scope": "", **one} for one in entries if is_object(one) and "id" in one}
