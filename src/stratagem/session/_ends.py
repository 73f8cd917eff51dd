"""How a run ends: what is kept of it, and what a person's answer must fit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stratagem.core import (
    USER,
    Answer,
    Budget,
    Content,
    Json,
    Label,
    Row,
    Run,
    Services,
    Stop,
    StoredRun,
    Strategy,
    Task,
    World,
    json_of,
)
from stratagem.core._canonical import is_object
from stratagem.core._schema import converted
from stratagem.errors import BudgetExhausted, Refused, StratagemError, UnparsedReply, UsageError


class Plan:
    """All that one drive of a run needs."""

    __slots__ = (
        "base",
        "budget",
        "fork",
        "options",
        "origin",
        "own",
        "prompts",
        "services",
        "stored",
        "strategy",
        "task",
    )

    def __init__(
        self,
        stored: StoredRun,
        strategy: Strategy,
        task: Task,
        budget: Budget,
        services: Services,
        options: Mapping[str, Any],
    ) -> None:
        self.stored, self.strategy, self.task, self.budget = stored, strategy, task, budget
        self.services, self.options = services, options
        self.own: list[Row] = []
        self.base: list[Row] = []
        self.prompts: dict[str, str] = {}
        self.origin = stored.run_id


async def written(durable: Any) -> None:
    if durable is not None:
        await durable


def checked_id(run_id: str) -> None:
    if not (run_id.isascii() and run_id.replace("-", "").replace("_", "").isalnum() and run_id != "last"):
        raise UsageError(f"a run id is made of letters, digits, - and _, and is not 'last', got {run_id!r}")


def label_of(question: str) -> Label:
    if not isinstance(question, Content):
        return USER
    label = question.label
    for one in question.attachments:
        label = label | one.label
    return label


def filled(answer: Answer, run: Run, world: World) -> Answer:
    usage = run.strand.meters[0].usage(round(world.active(), 3))
    return replace(answer, usage=usage, run_id=world.run_id, label=run.strand.label)


def saved(run: Run, world: World, stop: Stop, reason: str) -> Answer:
    """Return the best that was offered as the answer of a run that ended otherwise."""
    offers = run.strand.offers
    best = (offers.rescued if stop in ("cancelled", "suspended") else offers.best) or Answer("")
    return replace(filled(best, run, world), stop=stop, reason=reason)


def stop_of(failure: StratagemError) -> Stop:
    if isinstance(failure, BudgetExhausted):
        return "budget"
    if isinstance(failure, UnparsedReply):
        return "unparsed"
    return "refused" if isinstance(failure, Refused) else "no_answer"


def prompts_of(changes: Mapping[str, Any]) -> dict[str, str]:
    return {name[7:]: str(text) for name, text in changes.items() if name.startswith("prompt.")}


_KINDS: dict[str, Any] = {"boolean": bool, "integer": int, "number": float, "string": str}


def fitted(schema: Json, value: Any) -> Json:
    """Return a person's answer as JSON; `UsageError` if it does not fit the question's schema."""
    facts: dict[str, Json] = schema if is_object(schema) else {}
    kind, needed = facts.get("type"), [str(name) for name in facts.get("required", ())]
    try:
        if "enum" in facts and value not in facts["enum"]:
            raise ValueError(f"must be one of {facts['enum']}, got {value!r}")
        if kind == "object" and not (is_object(value) and all(name in value for name in needed)):
            raise ValueError(f"must be an object with {', '.join(needed)}, got {value!r}")
        return json_of(converted(_KINDS[kind], value) if kind in _KINDS else value)
    except ValueError as failure:
        raise UsageError(f"the answer {failure}") from None
