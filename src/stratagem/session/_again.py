"""Strategy and task of a recorded run, made again."""

from base64 import b64decode
from collections.abc import Iterable, Sequence
from typing import Any

from stratagem.core import Attachment, Content, Json, Label, Strategy, Task, asked, decoded
from stratagem.core._canonical import hashed
from stratagem.errors import UsageError
from stratagem.session import _loading
from stratagem.session._records import RunRecord


def strategy_again(record: RunRecord, given: Strategy | str | None) -> Strategy:
    """Return the strategy that was given, else the recorded one; `UsageError` if that cannot be named."""
    if given is not None:
        return _loading.strategy_of(given)
    if not record.strategy:
        lacks = ", ".join(record.record.get("lacks", ()))
        why = f"cannot be named, because its setting {lacks} has no name" if lacks else "has no name"
        raise UsageError(f"the strategy of run {record.id!r} {why}: give it again, `resume(strategy=...)`")
    return _loading.strategy_of(record.strategy)


def task_again(record: RunRecord, given: Task | str | None, family: Iterable[RunRecord] = ()) -> Task:
    """Return the task that was given, else the recorded one; `UsageError` if that could not be stored.

    Args:
        record: of the run.
        given: by whoever continues it.
        family: the run and its ancestors with their rows, the first of which that sent an attachment has its bytes.
    """
    if given is not None:
        return asked(given)
    unnamed: list[str] = record.record.get("unnamed", [])
    form: Json = record.record.get("task")
    if form is None:
        raise UsageError(f"the task of run {record.id!r} is lost: give it again, `resume(task=...)`")
    question: Any = form["question"]
    if "question" in unnamed and (found := _attachments(question["attachments"], family)) is not None:
        unnamed = [name for name in unnamed if name != "question"]
        question = Content(question["text"], found)
    if unnamed:
        raise UsageError(
            f"the task of run {record.id!r} has parts that cannot be stored ({', '.join(unnamed)}): give it again, "
            "`resume(task=...)`"
        )
    return Task.of({**form, "question": _labelled(question, record.record.get("labelled"))})


def question_facts(task: Task) -> dict[str, Json]:
    """Return what a record keeps of a question beside its text: its label, and those of what is attached."""
    question = task.question
    if not isinstance(question, Content):
        return {}
    return {"labelled": [question.label.plain(), *(one.label.plain() for one in question.attachments)]}


def _labelled(question: str, labels: Json) -> str:
    """Return a question with the labels that it had."""
    if labels is None:
        return question
    own = question.attachments if isinstance(question, Content) else ()
    named = [
        Attachment(one.name, one.media_type, one.data, Label.of(label))
        for one, label in zip(own, labels[1:], strict=False)
    ]
    return Content(str(question), tuple(named), Label.of(labels[0]))


def _attachments(wanted: Sequence[Json], family: Iterable[RunRecord]) -> tuple[Attachment, ...] | None:
    """Return what was attached to a question, as the first row that sent it has it; None if one was never sent."""
    known: dict[str, bytes] = {}
    for record in family:
        for row in record.rows:
            if row.kind == "model" and b'"attached"' in row.request:
                for _, _, said in decoded(row.request).get("attached", ()):
                    if isinstance(said, str):
                        data = b64decode(said)
                        known.setdefault(hashed(b"b" + data).hex(), data)
    if not all(digest in known for _, _, _, digest in wanted):
        return None
    return tuple(Attachment(name, media_type, known[digest]) for name, media_type, _, digest in wanted)
