"""What a fork changes, and what it reuses of its ancestors."""

from collections.abc import Mapping
from typing import Any

from stratagem.core import Journal, Json, Row, forked, json_of
from stratagem.errors import UsageError
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


async def inherited(
    journal: Journal, record: RunRecord, parent: RunRecord | None = None
) -> tuple[list[Row], str, dict[str, Json]]:
    """Return the rows that a run reuses from its parents, its first ancestor, and what it changes.

    Args:
        journal: of all of them.
        record: of the run.
        parent: of its parent with all its rows, if that is known already.
    """
    found, origin, changes = await ancestry(journal, record, parent)
    return [row for _, row in found], origin, changes


async def ancestry(
    journal: Journal, record: RunRecord, parent: RunRecord | None = None
) -> tuple[list[tuple[RunRecord, Row]], str, dict[str, Json]]:
    """Return the same rows, each with the record of the run that it is of."""
    fork = record.record.get("fork")
    if not record.parent or fork is None:
        return [], record.id, {}
    if parent is None:
        parent = RunRecord(*await journal.load(record.parent))
    older, origin, earlier = await ancestry(journal, parent)
    at, changes, rows = fork["at"], fork["set"], parent.rows
    kept = forked(rows, at=at, reply=changes.get("reply"), decisions=at is not None and not changes)
    if older:
        taken = {(row.path, row.digest, row.occurrence) for row in rows}
        older = [(owner, row) for owner, row in older if (row.path, row.digest, row.occurrence) not in taken]
    return [*older, *((parent, row) for row in kept)], origin, {**earlier, **changes}
