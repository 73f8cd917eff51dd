"""What runs ask of persons, and what these say: rows of the table `question`, with their checksums."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stratagem.core._canonical import Json, decoded, encoded, hashed, is_object, quoted
from stratagem.errors import JournalCorrupt
from stratagem.journals._payload import blobs, storable, stored, text_of

CHUNK = 500  # runs that one query looks up; SQLite allows 999 values

_READ = "SELECT id, form, asked, value, said FROM question WHERE run=? ORDER BY id"
_SAID = (
    "SELECT run.id, run.asked, question.id, value, said FROM run LEFT JOIN question ON question.run=run.n"
    " WHERE run.id IN"
)
_PUT = "INSERT OR REPLACE INTO question (run, id, form, asked, value, said) VALUES (?, ?, ?, ?, ?, ?)"


class Question(NamedTuple):
    """A question as it was read.

    Attributes:
        id: its key within the run.
        form: what is asked; empty if that is not known.
        value: what was said; empty until then.
        asked: whether `form` is as it was written.
        said: whether `value` is.
    """

    id: str
    form: bytes
    value: bytes
    asked: bool
    said: bool


def read(connection: sqlite3.Connection, number: int, run_id: str) -> list[Question]:
    """Return the questions of a run, in order of their ids, and which parts of them are sound."""
    rows = connection.execute(_READ, (number,)).fetchall()
    large = blobs(connection, {part for row in rows for part in (row[1], row[3]) if type(part) is int})
    found: list[Question] = []
    for question, form, asked, value, said in rows:
        parts = [large.get(part) if type(part) is int else part for part in (form, value)]
        kept = [part if type(part) is bytes else b"" for part in parts]
        found.append(
            Question(
                str(question), kept[0], kept[1],
                parts[0] is not None and _sum(b"q", run_id, question, kept[0]) == asked,
                parts[1] is not None and _sum(b"a", run_id, question, kept[1]) == said,
            )
        )  # fmt: skip
    return found


def put(connection: sqlite3.Connection, number: int, run_id: str, question: str, form: bytes, value: bytes) -> None:
    """Store a question with its answer, either of which may be empty. Only within a transaction."""
    connection.execute(
        _PUT,
        (
            number, question, stored(connection, form), _sum(b"q", run_id, question, form),
            stored(connection, value), _sum(b"a", run_id, question, value),
        ),
    )  # fmt: skip


def checked(part: bytes) -> bytes:
    """Return a form or an answer; `ValueError` for what would spoil the whole record, in which it is JSON."""
    json.loads(part.decode())
    return part


def listed(forms: bytes, values: bytes) -> list[tuple[str, bytes, bytes]]:
    """Return what a record brings along: id, form and value of each question, for `put`.

    Raises:
        ValueError: that are no JSON objects.
    """
    asked, said = json.loads(forms.decode()), json.loads(values.decode())
    if not (is_object(asked) and is_object(said)):
        raise ValueError("questions and answers must be JSON objects")
    names = sorted({*asked, *said})
    return [(name, _part(asked, name), _part(said, name)) for name in names]


def _part(parts: Mapping[str, Json], name: str) -> bytes:
    return encoded(parts[name]) if name in parts else b""


def members(payload: bytes) -> dict[str, Json]:
    """Return the members of a JSON object; of anything else none."""
    try:
        form = decoded(payload) if payload else None
    except (ValueError, StopIteration):
        return {}
    return dict(form) if is_object(form) else {}


def damage(questions: Sequence[Question], asked: int) -> str | None:
    """Say what is wrong with the questions of a run that has asked so many."""
    for one in questions:
        if not one.asked:
            return f"question {one.id!r} is not what was written"
        if not one.said:
            return f"the answer to question {one.id!r} is not what was written"
    if len(questions) != asked:
        return f"it has asked {asked} questions, of which {len(questions)} are there"
    return None


def forms(questions: Sequence[Question]) -> bytes:
    """Return what was asked as a canonical JSON object."""
    return _joined({one.id: one.form for one in questions if one.form})


def values(questions: Sequence[Question]) -> bytes:
    """Return what was said as a canonical JSON object."""
    return _joined({one.id: one.value for one in questions if one.value})


def said(connection: sqlite3.Connection, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
    """Return what persons said to these runs, by run and question; runs that are not there are left out."""
    found: dict[str, dict[str, bytes]] = {}
    for start in range(0, len(run_ids), CHUNK):
        names = [storable(run_id) for run_id in run_ids[start : start + CHUNK]]
        marks = ",".join("?" * len(names))
        rows = connection.execute(f"{_SAID} ({marks})", names).fetchall()
        large = blobs(connection, {row[3] for row in rows if type(row[3]) is int})
        counts: dict[str, list[object]] = {}
        for name, *row in rows:
            _hear(text_of(name), row, large, found, counts.setdefault(text_of(name), []))
        for run_id, asked in counts.items():
            if asked and asked != [len(asked)] * len(asked):
                raise JournalCorrupt(f"the record of run {run_id!r} is damaged: not all of its questions are there")
        lost = [name for name in names if text_of(name) not in found]
        for name in lost:
            if connection.execute("SELECT 1 FROM run NOT INDEXED WHERE id=?", (name,)).fetchone():
                told = "the index of ids does not have it"
                raise JournalCorrupt(f"the record of run {text_of(name)!r} is damaged: {told}")
    return found


def _hear(
    run_id: str,
    row: Sequence[Any],
    large: Mapping[int, bytes],
    found: dict[str, dict[str, bytes]],
    counts: list[object],
) -> None:
    """Take in one question of a run, or that it has none."""
    asked, question, value, mark = row
    answers = found.setdefault(run_id, {})
    if question is None:
        if asked != 0:
            counts.append(None)
        return
    counts.append(asked)
    part: Any = large.get(value) if type(value) is int else value
    if type(part) is not bytes or _sum(b"a", run_id, question, part) != mark:
        told = f"the answer to question {question!r} is not what was written"
        raise JournalCorrupt(f"the record of run {run_id!r} is damaged: {told}")
    if part:
        answers[question] = part


def _joined(parts: Mapping[str, bytes]) -> bytes:
    return b"{%s}" % b",".join(b"%s:%s" % (quoted(name).encode(), parts[name]) for name in sorted(parts))


def _sum(tag: bytes, run_id: str, question: object, payload: bytes) -> bytes:
    """Return the checksum of a part: of this question, and of no other."""
    shown = f"{len(run_id)} {run_id} {len(str(question))} {question} "
    return hashed(tag + shown.encode("utf-8", "surrogatepass") + payload)[:16]
