"""A run's record as a row of the table `run`, with its checksums."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from stratagem.core import StoredRun
from stratagem.core._canonical import clean, hashed
from stratagem.core._journal import VERSION
from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals import _questions
from stratagem.journals._payload import blobs, storable, stored, text_of

SEARCHED = 4000  # characters of a question that `runs(text=...)` looks at

READ = (
    "SELECT n, id, epoch, state, created, updated, format, since, rows, asked, parent, seal, known, stands, owner,"
    " record, end FROM run WHERE "
)


class Found(NamedTuple):
    """A record as it was read.

    Attributes:
        number: key of the run in this file.
        since: newest effect of the file when the run began.
        known: whether what never changes is as it was written: id, birth, parent, record.
        stands: whether the rest is: state, owner, end, how many questions it has.
        asked: how many questions it has.
        questions: those that are there.
    """

    number: int
    run: StoredRun
    since: int
    known: bool
    stands: bool
    asked: int
    questions: Sequence[_questions.Question]

    @property
    def damage(self) -> str | None:
        """What is not as it was written, in words."""
        if not self.known:
            return "what it was started with is not what was written"
        if not self.stands:
            return "where it stands is not what was written"
        return _questions.damage(self.questions, self.asked)


def created(connection: sqlite3.Connection, run: StoredRun) -> tuple[int, int]:
    """Store a new record, with what was asked and said before; return its key, and how many questions it has.

    A key is never used again: a process that drove a run which is gone would write to the next one of that number.
    """
    (since,) = connection.execute("SELECT coalesce(max(n), 0) FROM effect").fetchone()
    (number,) = connection.execute(
        "SELECT 1 + max((SELECT coalesce(max(n), 0) FROM run),"
        " (SELECT coalesce(max(n), 0) FROM count WHERE name='runs' AND n<1099511627776))"
    ).fetchone()
    questions = _questions.listed(run.questions, run.answers)
    asked = len(questions)
    strategy, model, question = _shown(run.record)
    connection.execute(
        "INSERT INTO run (n, id, epoch, state, created, updated, format, since, rows, asked, parent, seal, known, stands,"
        " strategy, model, question, owner, record, end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number, storable(run.run_id), run.epoch, run.state, run.created, run.updated, VERSION, since, run.rows, asked,
            storable(run.parent), run.seal, _known(run, VERSION, since), stands(run, asked), strategy, model, question,
            run.owner, stored(connection, run.record), stored(connection, run.end),
        ),
    )  # fmt: skip
    for one in questions:
        _questions.put(connection, number, run.run_id, *one)
    return number, asked


def updated(connection: sqlite3.Connection, number: int, epoch: int | None, run: StoredRun, asked: int) -> bool:
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
        "UPDATE run SET epoch=?, state=?, updated=?, rows=?, asked=?, seal=?, stands=?, owner=?, end=? WHERE n=?",
        (
            run.epoch, run.state, run.updated, run.rows, asked, run.seal, stands(run, asked), run.owner,
            stored(connection, run.end), number,
        ),
    )  # fmt: skip
    return True


def amended(connection: sqlite3.Connection, found: Found, run: StoredRun, asked: int) -> None:
    """Change owner, epoch and number of questions of a record that was verified."""
    connection.execute(
        "UPDATE run SET epoch=?, owner=?, asked=?, stands=? WHERE n=?",
        (run.epoch, run.owner, asked, stands(run, asked), found.number),
    )


def read(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Found:
    """Return the record that `READ` found, and which parts of it are sound."""
    number, run_id, epoch, state, made, changed, version, since, rows, asked, parent, chain, known, mark, owner = row[
        :15
    ]
    if type(version) is int and version > VERSION:
        raise JournalError(
            f"run {run_id!r} was written by a newer stratagem: its rows have format {version}, this one reads {VERSION}",
            remedy="Upgrade stratagem.",
        )
    large = blobs(connection, {payload for payload in row[15:] if type(payload) is int})
    record, end = (large.get(payload) if type(payload) is int else payload for payload in row[15:])
    run_id = text_of(run_id)
    questions = _questions.read(connection, number, run_id) if asked != 0 else ()
    run = StoredRun(
        run_id, state, _whole(made), _whole(changed), text_of(parent), _whole(epoch), _bytes(record),
        _questions.values(questions), _bytes(end), _whole(rows), _bytes(chain), _bytes(owner),
        _questions.forms(questions),
    )  # fmt: skip
    return Found(
        number, run, _whole(since),
        known=record is not None and _known(run, version, _whole(since)) == known,
        stands=end is not None and stands(run, _whole(asked)) == mark,
        asked=_whole(asked), questions=questions,
    )  # fmt: skip


def verified(found: Found) -> StoredRun:
    """Return the record, or refuse a damaged one."""
    damage = found.damage
    if damage is not None:
        raise JournalCorrupt(f"the record of run {found.run.run_id!r} is damaged: {damage}")
    return found.run


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _bytes(value: Any) -> bytes:
    return value if type(value) is bytes else b""


def _known(run: StoredRun, version: int, since: int) -> bytes:
    """Return the checksum of what never changes."""
    shown = f"{version} {since} {run.created} {len(run.run_id)} {run.run_id} {len(run.parent)} {run.parent} "
    return hashed(b"k" + shown.encode("utf-8", "surrogatepass") + run.record)[:16]


def stands(run: StoredRun, asked: int) -> bytes:
    """Return the checksum of the rest; each question has its own."""
    shown = f"{run.run_id} {run.state} {run.updated} {run.epoch} {run.rows} {asked} {len(run.seal)} {len(run.owner)} "
    return hashed(b"s" + shown.encode("utf-8", "surrogatepass") + run.seal + run.owner + run.end)[:16]


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
