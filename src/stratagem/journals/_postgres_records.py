"""A run's record and its questions as rows of the tables `run` and `question`, with their checksums."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from stratagem.core import StoredRun
from stratagem.core._canonical import clean, decoded, encoded, hashed
from stratagem.core._journal import VERSION
from stratagem.errors import JournalCorrupt, JournalError

SEARCHED = 4000  # characters of a question that `runs(text=...)` looks at

COLUMNS = (
    "id, epoch, state, created, updated, format, rows, parent, seal, known, stands, strategy, question, owner, record, "
    "ending"
)
READ = (
    "SELECT n, id, epoch, state, created, updated, format, rows, parent, seal, known, stands, owner, record, ending"
    " FROM {s}.run WHERE "
)
QUESTIONS = (
    "SELECT q.run, r.id, q.question, q.form, q.asked, q.value, q.said FROM {s}.question q JOIN {s}.run r ON r.n = q.run"
    " WHERE q.run = ANY(%s::bigint[]) ORDER BY q.run, q.question"
)


class Question(NamedTuple):
    """What was asked of a person, as it was read.

    Attributes:
        key: its name as it is stored.
        name: of the question.
        form: what was asked, or None.
        value: what the person said, or None.
        damage: what is wrong with it, or empty.
    """

    key: bytes
    name: str
    form: bytes | None
    value: bytes | None
    damage: str


class Found(NamedTuple):
    """A record as it was read.

    Attributes:
        number: key of the run in this database.
        run: the record, with the questions and answers that are sound.
        known: whether what never changes is as it was written: id, birth, parent, record.
        stands: whether the rest is: state, owner, epoch, end.
        damage: what is wrong with its questions, or empty.
    """

    number: int
    run: StoredRun
    known: bool
    stands: bool
    damage: str = ""


def values_of(run: StoredRun) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`."""
    strategy, question = _shown(run.record)
    return (
        run.run_id, run.epoch, run.state, run.created, run.updated, VERSION, run.rows, run.parent, run.seal,
        _known(run, VERSION), _stands(run), strategy, question, run.owner, run.record, run.end,
    )  # fmt: skip


def stands_of(run: StoredRun) -> bytes:
    """Return the checksum of what changes in a record."""
    return _stands(run)


def read(row: tuple[Any, ...], questions: Iterable[Question] = ()) -> Found:
    """Return the record that `READ` found, and which parts of it are sound."""
    number, run_id, epoch, state, made, changed, version, rows, parent, chain, known, stands, owner, record, end = row
    if version > VERSION:
        raise JournalError(
            f"run {run_id!r} was written by a newer stratagem: its rows have format {version}, this one reads {VERSION}",
            remedy="Upgrade stratagem.",
        )
    run = StoredRun(
        run_id, state, made, changed, parent, epoch, record, end=end, rows=rows, seal=chain, owner=owner
    )  # fmt: skip
    asked, said, damage = {}, {}, ""
    for one in questions:
        damage = damage or one.damage
        if not one.damage:
            if one.form is not None:
                asked[one.name] = decoded(one.form)
            if one.value is not None:
                said[one.name] = decoded(one.value)
    whole = run._replace(questions=encoded(asked), answers=encoded(said))
    return Found(number, whole, _known(run, version) == known, _stands(run) == stands, damage)


def verified(found: Found) -> StoredRun:
    """Return the record, or refuse a damaged one."""
    run_id = found.run.run_id
    if not (found.known and found.stands):
        what = "what it was started with" if not found.known else "where it stands"
        raise JournalCorrupt(f"the record of run {run_id!r} is damaged: {what} is not what was written")
    if found.damage:
        raise JournalCorrupt(f"run {run_id!r}: {found.damage}")
    return found.run


def questions_of(rows: Sequence[tuple[Any, ...]]) -> dict[int, list[Question]]:
    """Return the questions that `QUESTIONS` found, by run."""
    found: dict[int, list[Question]] = {}
    for number, run_id, key, form, asked, value, said in rows:
        name, damage = text_of(key), ""
        if asked != (None if form is None else asked_seal(run_id, key, form)) or (form is None and value is None):
            damage = f"the question {name!r} is not what was asked"
        elif said != (None if value is None else said_seal(run_id, key, value)):
            damage = f"the answer to {name!r} is not what was said"
        found.setdefault(number, []).append(Question(key, name, form, value, damage))
    return found


def asked_seal(run_id: str, name: bytes, form: bytes) -> bytes:
    """Return the checksum of a question."""
    return hashed(b"q" + f"{len(run_id)} {run_id} {len(name)} ".encode() + name + form)[:16]


def said_seal(run_id: str, name: bytes, value: bytes) -> bytes:
    """Return the checksum of an answer."""
    return hashed(b"a" + f"{len(run_id)} {run_id} {len(name)} ".encode() + name + value)[:16]


def bytes_of(text: str) -> bytes:
    """Return what is stored for a text, which may have lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def text_of(stored: bytes) -> str:
    """Return the text that `bytes_of` stored; of damaged bytes, some other text."""
    try:
        return stored.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return stored.decode("latin-1")


def searched(text: str) -> bytes:
    """Return what is compared in a search without regard to case."""
    return clean(text).casefold().encode()


def _known(run: StoredRun, version: int) -> bytes:
    """Return the checksum of what never changes."""
    shown = f"{version} {run.created} {len(run.run_id)} {run.run_id} {len(run.parent)} {run.parent} "
    return hashed(b"k" + shown.encode() + run.record)[:16]


def _stands(run: StoredRun) -> bytes:
    """Return the checksum of the rest."""
    shown = f"{run.run_id} {run.state} {run.updated} {run.epoch} {run.rows} {len(run.seal)} {len(run.owner)} "
    return hashed(b"s" + shown.encode() + run.seal + run.owner + run.end)[:16]


def _shown(record: bytes) -> tuple[bytes, bytes]:
    """Return what lists search: strategy, and the question."""
    try:
        form = json.loads(record)
    except ValueError:
        return b"", b""
    question = _member(_member(form, "task"), "question")
    if not isinstance(question, str):
        question = _member(question, "text")  # it has attachments
    strategy = _member(form, "strategy")
    return (
        clean(strategy).encode() if isinstance(strategy, str) else b"",
        searched(question[:SEARCHED]) if isinstance(question, str) else b"",
    )


def _member(form: Any, name: str) -> Any:
    return form.get(name) if isinstance(form, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
