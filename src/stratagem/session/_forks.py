"""What a fork changes, and what it reuses of its ancestors."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from stratagem.core import Journal, Json, Row, decoded, forked, json_of
from stratagem.core._book import UNCHANGED
from stratagem.errors import UsageError
from stratagem.session._fitting import fitted
from stratagem.session._loading import unknown
from stratagem.session._records import RunRecord

_NAMES = ("reply", "model", "strategy", "budget")
_PREFIXES = ("prompt.", "param.")


def check_changes(changes: Mapping[str, Any], at: int | None) -> None:
    """Refuse what no fork can change."""
    for name in changes:
        if name not in _NAMES and not name.startswith(_PREFIXES):
            known = ["reply", "prompt.FILE.FUNCTION", "param.NAME", "model", "strategy", "budget"]
            raise unknown("change", name, known)
    if "reply" in changes and at is None:
        raise UsageError("`reply` replaces the value of one effect: say which, `at=N`")


def check_prompts(parent: RunRecord, changes: Mapping[str, Any]) -> None:
    """Refuse a prompt that nobody asks for, unless the fork may ask for what its parent did not."""
    asked = {parent.name(row) for row in parent.rows if row.kind == "model"}
    if parent.parent or "strategy" in changes or any(name.startswith("param.") for name in changes):
        return
    for name in changes:
        if name.startswith("prompt.") and name.removeprefix("prompt.") not in asked:
            raise unknown("signature", name.removeprefix("prompt."), sorted(asked))


def settings_of(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the strategy's parameters that a fork changes."""
    return {name[6:]: value for name, value in changes.items() if name.startswith("param.")}


def storable(changes: Mapping[str, Any]) -> dict[str, Json]:
    """Return the changes as the fork's record keeps them."""
    return {
        name: json_of(value) if name == "reply" or name.startswith("prompt.") else str(value)
        for name, value in changes.items()
    }


class Ancestry(NamedTuple):
    """What a run has of its parents.

    Attributes:
        found: rows that it reuses, each with the record of the run that it is of.
        origin: its first ancestor.
        changes: what it changes, and its ancestors before it.
        dropped: tool calls that it does not reuse: what they did in the world is done.
    """

    found: list[tuple[RunRecord, Row]]
    origin: str
    changes: dict[str, Json]
    dropped: list[Row]


async def ancestry(journal: Journal, record: RunRecord, parent: RunRecord | None = None) -> Ancestry:
    """Return what a run has of its parents as they stood when it was forked: what they do later is their own.

    Args:
        journal: of all of them.
        record: of the run.
        parent: of its parent with all its rows, if that is known already.
    """
    fork = record.record.get("fork")
    if not record.parent or fork is None:
        return Ancestry([], record.id, {}, [])
    if parent is None:
        parent = RunRecord(*await journal.load(record.parent))
    older, origin, earlier, dropped = await ancestry(journal, parent)
    at, changes = fork["at"], fork["set"]
    rows = [row for row in parent.rows if row.seq < fork.get("rows", row.seq + 1)]
    keep = at is not None and not changes
    kept = forked(rows, at=at, reply=changes.get("reply", UNCHANGED), decisions=keep)
    if older:
        taken = {(row.path, row.digest, row.occurrence) for row in rows}
        older = [(owner, row) for owner, row in older if (row.path, row.digest, row.occurrence) not in taken]
    held = {row.seq for row in kept}
    dropped = [*dropped, *(row for row in rows if row.kind == "tool" and row.seq not in held)]
    return Ancestry([*older, *((parent, row) for row in kept)], origin, {**earlier, **changes}, dropped)


def check_reply(parent: RunRecord, at: int | None, changes: dict[str, Any]) -> None:
    """Refuse a value for what has none, and one that does not fit a question."""
    if "reply" not in changes:
        return
    row = next(row for row in parent.rows if row.seq == at)
    form: Json = decoded(row.request)
    if row.kind not in ("model", "tool", "wait") or (row.kind == "tool" and "tool" not in form):
        raise UsageError(
            f"effect {at} is no call and no question but {row.kind!r}: its value cannot be set",
            remedy="See `stratagem show`.",
        )
    if row.kind == "wait":
        changes["reply"] = fitted(form["schema"], changes["reply"])
    elif not isinstance(changes["reply"], str):
        raise UsageError(f"the value of effect {at} is a text, got {changes['reply']!r}")
