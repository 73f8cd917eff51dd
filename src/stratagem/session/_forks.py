"""What a fork changes, and what it reuses of its ancestors."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stratagem.core import Book, Budget, Journal, Json, Row, Strategy, decoded, encoded, forked, json_of
from stratagem.core._forked import UNCHANGED, numbered
from stratagem.core._turns import turns_form, turns_in
from stratagem.errors import UsageError
from stratagem.session._address import FACT
from stratagem.session._fitting import fitted
from stratagem.session._loading import STRATEGY_FACTS, changed_since, facts_of, unknown
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


Owned = tuple[RunRecord, Row]  # a row, and the record of the run that has it


class Ancestry(NamedTuple):
    """What a run has of its parents.

    Attributes:
        found: rows that it reuses, each with the record of the run that it is of.
        origin: its first ancestor.
        changes: what it changes, and its ancestors before it.
        dropped: tool calls that it does not reuse: what they did in the world is done.
        runs: its ancestors with their rows, the nearest first.
    """

    found: list[Owned]
    origin: str
    changes: dict[str, Json]
    dropped: list[Row]
    runs: list[RunRecord]


async def ancestry(journal: Journal, record: RunRecord, parent: RunRecord | None = None) -> Ancestry:
    """Return what a run has of its parents as they stood when it was forked: what they do later is their own.

    Args:
        journal: of all of them.
        record: of the run.
        parent: of its parent with all its rows, if that is known already.
    """
    fork = record.record.get("fork")
    if not record.parent or fork is None:
        return Ancestry([], record.id, {}, [], [])
    if parent is None:
        parent = RunRecord(*await journal.load(record.parent))
    family = await ancestry(journal, parent)
    at, changes = fork["at"], fork["set"]
    have = lineage(family.found, parent, fork.get("rows"))
    rows = [row for _, row in have]
    keep = at is not None and not changes
    kept = forked(
        rows, at=at, reply=changes.get("reply", UNCHANGED), decisions=keep,
        turns=turns_in(fork.get("turns", ())), unsure=fork.get("unsure", ()),
    )  # fmt: skip
    owners = {id(row): owner for owner, row in have}
    if at is not None and "reply" in changes:
        replaced = owners[id(numbered(rows, at))]
        found = [(owners.get(id(row), replaced), row) for row in kept]
    else:
        found = [(owners[id(row)], row) for row in kept]
    held = {row.seq for row in kept}
    dropped = [*family.dropped, *(row for row in rows if row.kind == "tool" and row.seq not in held)]
    return Ancestry(found, family.origin, {**family.changes, **changes}, dropped, [parent, *family.runs])


async def whole(journal: Journal, record: RunRecord) -> RunRecord:
    """Return a record with its rows, if its task can be told from them only."""
    if record.rows or "question" not in record.record.get("unnamed", ()):
        return record
    if await journal.find(record.id) is None:
        return record  # a fork that is about to be made
    return RunRecord(*await journal.load(record.id))


def lineage(older: Sequence[Owned], record: RunRecord, limit: int | None = None) -> list[Owned]:
    """Return the rows of a run behind those that it reuses of its ancestors, without what it has performed anew.

    Args:
        older: what it reuses.
        record: of the run, with its rows.
        limit: only rows of smaller numbers are its own: what it has done later does not count.
    """
    rows = record.rows if limit is None else [row for row in record.rows if row.seq < limit]
    if older:
        taken = {(row.path, row.digest, row.occurrence) for row in rows}
        older = [(owner, row) for owner, row in older if (row.path, row.digest, row.occurrence) not in taken]
    return [*older, *((record, row) for row in rows)]


def reused(record: RunRecord, found: Sequence[Owned]) -> list[Owned]:
    """Return the effects that a fork has asked for of those that it could reuse, by number.

    Args:
        record: of the fork, with its rows.
        found: as `ancestry` found them.
    """
    unasked = {n for first, last in record.end.get("unasked", ()) for n in range(first, last + 1)}
    asked = [one for n, one in enumerate(found) if n not in unasked and one[1].kind != "intent"]
    mine = {(row.path, row.digest, row.occurrence) for row in record.rows if row.kind != "intent"}
    theirs = [one for one in asked if (one[1].path, one[1].digest, one[1].occurrence) not in mine]
    return sorted(theirs, key=lambda one: one[1].seq)


def fork_record(
    parent: RunRecord,
    have: Sequence[Owned],
    at: int | None,
    changes: Mapping[str, Any],
    strategy: Strategy,
    budget: Budget,
) -> dict[str, Json]:
    """Return the record of a fork.

    Its own effects are numbered behind all those that its parent has, so that each effect that it shows has a number of
    its own. What the parent does later, and in which order, is not its business: so it keeps what it needs to know.
    """
    first = max(_first(parent.record), 1 + max((row.seq for _, row in have), default=-1))
    limit = parent.rows[-1].seq + 1 if parent.rows else 0
    fork: dict[str, Json] = {"at": at, "set": storable(changes), "rows": limit, "first": first}
    if at is not None:
        fork |= {name: parent.record[name] for name in _ORDER if name in parent.record}
    facts = {name: fact for name, fact in parent.record.items() if name not in (*STRATEGY_FACTS, *_ORDER, FACT)}
    facts |= {
        **facts_of(strategy), "budget": str(budget), "model": str(changes.get("model", parent.model)), "fork": fork,
    }  # fmt: skip
    return {**facts, "unsure": [first]} if changes or changed_since(parent.record, strategy) else facts


_ORDER = ("turns", "unsure")  # of a record: in which order its program asked, and what of that nobody knows


def _first(record: Json) -> int:
    """Return the number of a run's first row."""
    return record.get("fork", {}).get("first", 0)


def continued(record: Json, own: Sequence[Row]) -> dict[str, Json]:
    """Return what the record of a run keeps while an edited program continues it.

    If that is killed, nobody knows which of the rows until now it had asked for.
    """
    return {"unsure": [*record.get("unsure", ()), own[-1].seq + 1 if own else _first(record)]}


def ordered(record: bytes, book: Book) -> bytes:
    """Return a run's record with the order in which its program has asked now, if that is not the order of its rows."""
    if not book.asked:
        return record
    facts: Json = decoded(record)
    turns = book.turns(turns_in(facts.get("turns", ())), edited=any(name in facts for name in _ORDER))
    if not turns and not any(name in facts for name in _ORDER):
        return record
    kept = {name: fact for name, fact in facts.items() if name not in _ORDER}
    return encoded({**kept, "turns": turns_form(turns)} if turns else kept)


def check_reply(rows: Sequence[Row], at: int | None, changes: dict[str, Any]) -> None:
    """Refuse an effect that does not exist, a value for what has none, and one that does not fit a question."""
    if at is None:
        return
    row = numbered(rows, at)
    if "reply" not in changes:
        return
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
