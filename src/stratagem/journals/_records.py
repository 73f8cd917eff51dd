"""A run's record as a row of the table `run`, with its checksums."""

import json
import sqlite3
from typing import Any, NamedTuple

from stratagem.core import StoredRun
from stratagem.core._canonical import clean, hashed
from stratagem.core._journal import VERSION
from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals._payload import blobs, storable, stored, text_of

SEARCHED = 4000  # characters of a question that `runs(text=...)` looks at

READ = (
    "SELECT n, id, epoch, state, created, updated, format, since, rows, parent, seal, known, stands, record, answers,"
    " end FROM run WHERE "
)


class Found(NamedTuple):
    """A record as it was read.

    Attributes:
        number: key of the run in this file.
        since: newest effect of the file when the run began.
        known: whether what never changes is as it was written: id, birth, parent, record.
        stands: whether the rest is: state, owner, answers, end.
    """

    number: int
    run: StoredRun
    since: int
    known: bool
    stands: bool


def created(connection: sqlite3.Connection, run: StoredRun) -> int:
    """Store a new record; return its key."""
    (since,) = connection.execute("SELECT coalesce(max(n), 0) FROM effect").fetchone()
    strategy, model, question = _shown(run.record)
    cursor = connection.execute(
        "INSERT INTO run (id, epoch, state, created, updated, format, since, rows, parent, seal, known, stands, strategy,"
        " model, question, record, answers, end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            storable(run.run_id), run.epoch, run.state, run.created, run.updated, VERSION, since, run.rows,
            storable(run.parent), run.seal, _known(run, VERSION, since), _stands(run), strategy, model, question,
            *(stored(connection, payload) for payload in (run.record, run.answers, run.end)),
        ),
    )  # fmt: skip
    return cursor.lastrowid or 0


def updated(connection: sqlite3.Connection, number: int, epoch: int | None, run: StoredRun) -> bool:
    """Replace a record that is still of `epoch`, or whatever it is if that is None; return whether it was."""
    found = connection.execute(
        "SELECT format, since, known FROM run WHERE n=? AND epoch=coalesce(?, epoch)", (number, epoch)
    ).fetchone()
    if found is None:
        return False
    known = _known(run, found[0], found[1])
    if known != found[2]:
        connection.execute(
            "UPDATE run SET created=?, parent=?, known=?, strategy=?, model=?, question=?, record=? WHERE n=?",
            (run.created, storable(run.parent), known, *_shown(run.record), stored(connection, run.record), number),
        )
    connection.execute(
        "UPDATE run SET epoch=?, state=?, updated=?, rows=?, seal=?, stands=?, answers=?, end=? WHERE n=?",
        (
            run.epoch, run.state, run.updated, run.rows, run.seal, _stands(run),
            stored(connection, run.answers), stored(connection, run.end), number,
        ),
    )  # fmt: skip
    return True


def read(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Found:
    """Return the record that `READ` found, and which parts of it are sound."""
    number, run_id, epoch, state, made, changed, version, since, rows, parent, chain, known, stands, *payloads = row
    if type(version) is int and version > VERSION:
        raise JournalError(
            f"run {run_id!r} was written by a newer stratagem: its rows have format {version}, this one reads {VERSION}",
            remedy="Upgrade stratagem.",
        )
    large = blobs(connection, {payload for payload in payloads if type(payload) is int})
    record, answers, end = (large.get(payload) if type(payload) is int else payload for payload in payloads)
    run = StoredRun(
        _text_of(run_id), state, _whole(made), _whole(changed), _text_of(parent), _whole(epoch), _bytes(record),
        _bytes(answers), _bytes(end), _whole(rows), _bytes(chain),
    )  # fmt: skip
    lost = record is None, answers is None or end is None
    return Found(
        number, run, _whole(since),
        known=not lost[0] and _known(run, version, _whole(since)) == known,
        stands=not lost[1] and _stands(run) == stands,
    )  # fmt: skip


def verified(found: Found) -> StoredRun:
    """Return the record, or refuse a damaged one."""
    if not (found.known and found.stands):
        what = "what it was started with" if not found.known else "where it stands"
        raise JournalCorrupt(f"the record of run {found.run.run_id!r} is damaged: {what} is not what was written")
    return found.run


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _bytes(value: Any) -> bytes:
    return value if type(value) is bytes else b""


def _text_of(value: Any) -> str:
    return text_of(value) if isinstance(value, str | bytes) else repr(value)


def _known(run: StoredRun, version: int, since: int) -> bytes:
    """Return the checksum of what never changes."""
    shown = f"{version} {since} {run.created} {len(run.run_id)} {run.run_id} {len(run.parent)} {run.parent} "
    return hashed(b"k" + shown.encode("utf-8", "surrogatepass") + run.record)[:16]


def _stands(run: StoredRun) -> bytes:
    """Return the checksum of the rest."""
    shown = f"{run.run_id} {run.state} {run.updated} {run.epoch} {run.rows} {len(run.seal)} {len(run.answers)} "
    return hashed(b"s" + shown.encode("utf-8", "surrogatepass") + run.seal + run.answers + run.end)[:16]


def _shown(record: bytes) -> tuple[str, str, str]:
    """Return what lists show and search: strategy, model, and the question for a search without case."""
    try:
        form = json.loads(record)
    except ValueError:
        return "", "", ""
    question = _member(_member(form, "task"), "question")
    if not isinstance(question, str):
        question = _member(question, "text")  # it has attachments
    return _text(_member(form, "strategy")), _text(_member(form, "model")), _text(question)[:SEARCHED].casefold()


def _member(form: Any, name: str) -> Any:
    return form.get(name) if isinstance(form, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _text(part: Any) -> str:
    return clean(part) if isinstance(part, str) else ""
