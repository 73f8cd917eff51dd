"""Records, looked up: one by its id, and lists of them."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from stratagem.core import StoredRun
from stratagem.core._canonical import clean
from stratagem.core._journal import missing
from stratagem.errors import JournalCorrupt
from stratagem.journals import _records
from stratagem.journals._payload import storable
from stratagem.journals._schema import COPY

Where = tuple[str, Sequence[str | bytes | int]]


def found(connection: sqlite3.Connection, run_id: str) -> _records.Found | None:
    """Return a run's record as it was read; None if there is none."""
    row = connection.execute(_records.READ + "id=?", (storable(run_id),)).fetchone()
    if row is None:
        if connection.execute("SELECT 1 FROM run NOT INDEXED WHERE id=?", (storable(run_id),)).fetchone():
            raise JournalCorrupt(f"the record of run {run_id!r} is damaged: the index of ids does not have it")
        return None
    one = _records.read(connection, row)
    if one.run.run_id != run_id:
        raise JournalCorrupt(f"the record of run {run_id!r} is damaged: its id leads to {one.run.run_id!r}")
    return one


def known(connection: sqlite3.Connection, run_id: str) -> _records.Found:
    """Likewise; `UsageError` if there is none, with the nearest id."""
    one = found(connection, run_id)
    if one is None:
        ids = connection.execute("SELECT id FROM run ORDER BY created DESC LIMIT 2000")
        raise missing(run_id, [name for (name,) in ids if isinstance(name, str)])
    return one


def wanted(*, state: str | None, strategy: str | None, since: int, text: str) -> Where:
    """Return what selects runs."""
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
    return " AND ".join(where), values


def beginning(prefix: str) -> Where:
    """Return what selects the runs whose ids begin so."""
    start = clean(prefix)
    return ("id>=? AND id<?", (start, start + "\U0010ffff")) if prefix else ("1", ())


def children(run_id: str) -> Where:
    """Return what selects the runs that were forked from one."""
    return "parent=?", (storable(run_id),)


def newest(connection: sqlite3.Connection, path: Path, where: Where, limit: int) -> list[StoredRun]:
    """Return records, verified, newest first; -1 is no limit."""
    # Sorted by key and time alone: whole records would be copied for all that are not shown.
    order = f"SELECT n FROM run NOT INDEXED WHERE {where[0]} ORDER BY created DESC, n DESC LIMIT ?"  # noqa: S608
    numbers = [number for (number,) in connection.execute(order, (*where[1], limit))]
    rows = [row for number in numbers for row in connection.execute(_records.READ + "n=?", (number,))]
    runs = [_records.verified(_records.read(connection, row)) for row in rows]
    # A damaged page could leave runs out, which nobody would notice; the index of ids counts them too.
    held, indexed = connection.execute(
        "SELECT (SELECT count(*) FROM run NOT INDEXED), (SELECT count(*) FROM run INDEXED BY sqlite_autoindex_run_1)"
    ).fetchone()
    if held != indexed or len({run.run_id for run in runs}) < len(numbers):
        raise JournalCorrupt(f"{path} is damaged: its list of runs is incomplete", remedy=COPY)
    return runs
