"""The difference of two runs: the first effect in which they part, then effect by effect.

Rule 1: effects are compared by key: scope path, digest of the request, occurrence. Equal keys are equal requests.
Rule 2: what is left of a scope on both sides is paired in order, kind by kind and name by name: the same place of the
        program, which asked for something else.
Rule 3: the order is the program's, not the clock's: branches of a `map` follow one another by their index.
Rule 4: a fork is compared with what it reuses of its parents: its record says which of their rows it did not ask for.
        What it asked for instead takes their places, scope by scope, kind by kind and name by name.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stratagem.core import Journal, Json, Row, decoded
from stratagem.core._canonical import is_object, text_of
from stratagem.errors import UsageError, revive
from stratagem.session._forks import ancestry
from stratagem.session._records import RunRecord

Key = tuple[str, bytes, int]
Group = tuple[str, str, str]  # scope path, kind, name

BOOKKEEPING = ("decision", "order")  # differs with the clock; listed, but no divergence by itself


class Effect(NamedTuple):
    """An effect of a run: a row, and the record of the run that has it, which may be a parent."""

    record: RunRecord
    row: Row

    @property
    def key(self) -> Key:
        """Scope path, digest and occurrence."""
        return self.row.path, self.row.digest, self.row.occurrence

    @property
    def group(self) -> Group:
        """Scope path, kind and name."""
        return self.row.path, self.row.kind, self.record.name(self.row)


class Pair(NamedTuple):
    """The same place of two runs; None where one of them has nothing.

    Attributes:
        left: of the first run.
        right: of the second.
        differs: names of what differs: fields of the request, then `result`; empty if nothing does.
    """

    left: Effect | None
    right: Effect | None
    differs: tuple[str, ...]

    @property
    def one(self) -> Effect:
        """Either side."""
        found = self.left or self.right
        assert found is not None
        return found

    @property
    def same(self) -> bool:
        """Whether both have it, with equal request and result."""
        return self.left is not None and self.right is not None and not self.differs


class Difference(NamedTuple):
    """Two runs side by side.

    Attributes:
        left: record of the first run.
        right: record of the second.
        pairs: all effects, in the program's order.
        first: where they part; None if they do not.
    """

    left: RunRecord
    right: RunRecord
    pairs: tuple[Pair, ...]
    first: Pair | None

    @property
    def same_answer(self) -> bool:
        """Whether both ended in the same way with the same text."""
        ends = [(one.state, one.stop, one.end.get("answer", {}).get("text")) for one in (self.left, self.right)]
        return ends[0] == ends[1]


async def difference(journal: Journal, left: str, right: str) -> Difference:
    """Return the difference of two runs of a journal.

    Args:
        journal: where both are recorded.
        left: id of the first run.
        right: id of the second.

    Raises:
        UsageError: there is no such run, or a parent of one is gone.
    """
    one, ours = await lineage(journal, left)
    other, theirs = await lineage(journal, right)
    pairs = tuple(_paired(in_order(ours), in_order(theirs)))
    parting = (pair for pair in pairs if not pair.same and pair.one.row.kind not in BOOKKEEPING)
    return Difference(one, other, pairs, next(parting, None))


async def lineage(journal: Journal, run_id: str) -> tuple[RunRecord, list[Effect]]:
    """Return a run's record and its effects, with those that it reuses of its parents."""
    stored, rows = await journal.load(run_id)
    record = RunRecord(stored, rows)
    own = list({effect.key: effect for effect in _effects([(record, row) for row in rows])}.values())  # the later holds
    try:
        found = (await ancestry(journal, record)).found
    except UsageError as failure:
        raise UsageError(f"run {record.id!r} is a fork, and its parent is gone: {failure}") from failure
    if not found:
        return record, own
    unasked = record.end.get("unasked", ())
    gone = {Effect(*found[n]).key for first, last in unasked for n in range(first, last + 1)}
    base = {effect.key: effect for effect in _effects(found)}
    return record, _merged(list(base.values()), own, gone)


def _effects(found: Sequence[tuple[RunRecord, Row]]) -> list[Effect]:
    return [Effect(record, row) for record, row in found if row.kind != "intent"]


def _merged(base: list[Effect], own: list[Effect], gone: set[Key]) -> list[Effect]:
    """Return a fork's effects: its own ones at the places of those that are gone."""
    mine = {effect.key: effect for effect in own}
    merged: list[Effect | None] = [mine.pop(effect.key, effect) for effect in base]
    waiting: dict[Group, list[Effect]] = defaultdict(list)
    for effect in reversed(mine.values()):
        waiting[effect.group].append(effect)
    number = {id(effect): place for place, effect in enumerate(in_order(base))}
    for place in sorted(range(len(base)), key=lambda place: number[id(base[place])]):
        if base[place].key in gone:
            instead = waiting[base[place].group]
            merged[place] = instead.pop() if instead else None
    unplaced = {id(effect) for effects in waiting.values() for effect in effects}
    return [*filter(None, merged), *(effect for effect in mine.values() if id(effect) in unplaced)]


class _Scope:
    """A scope: what it did itself, and the scopes within it, each with the place of its first effect."""

    __slots__ = ("effects", "first", "within")

    def __init__(self, first: int) -> None:
        self.first, self.effects = first, list[tuple[int, Effect]]()
        self.within: dict[str, _Scope] = {}


def in_order(effects: Sequence[Effect]) -> list[Effect]:
    """Return effects in the program's order; those of one scope are in order already."""
    root = _Scope(0)
    for place, effect in enumerate(effects):
        scope = root
        for name in effect.row.path.split("/") if effect.row.path else ():
            scope = scope.within.setdefault(name, _Scope(place))
        scope.effects.append((place, effect))
    return list(_walked(root))


def _walked(scope: _Scope) -> Iterator[Effect]:
    waves: dict[str, int] = {}
    for name, inner in scope.within.items():
        wave = name.partition("[")[0]
        waves[wave] = min(inner.first, waves.get(wave, inner.first))
    entries: list[tuple[int, tuple[Any, ...], Effect | _Scope]] = [(at, (), one) for at, one in scope.effects]
    entries += [(waves[name.partition("[")[0]], (1, *_natural(name)), inner) for name, inner in scope.within.items()]
    for _, _, entry in sorted(entries, key=lambda one: one[:2]):
        if isinstance(entry, _Scope):
            yield from _walked(entry)
        else:
            yield entry


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return what sorts `map[10]` behind `map[9]`."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _paired(ours: list[Effect], theirs: list[Effect]) -> Iterator[Pair]:
    """Yield pairs in the order of ours; what only the others have follows what it follows with them."""
    by_key = {effect.key: effect for effect in theirs}
    known = {effect.key for effect in ours}
    left: dict[Group, list[Effect]] = defaultdict(list)
    for effect in theirs:
        if effect.key not in known:
            left[effect.group].append(effect)
    for waiting in left.values():
        waiting.reverse()
    partner: dict[Key, Effect] = {}
    for effect in ours:
        found = by_key.get(effect.key)
        if found is None and (waiting := left.get(effect.group)):
            found = waiting.pop()
        if found is not None:
            partner[effect.key] = found
    behind = _behind(theirs, {effect.key for effect in partner.values()})
    yield from (Pair(None, effect, ()) for effect in behind[None])
    for effect in ours:
        found = partner.get(effect.key)
        yield Pair(effect, found, () if found is None else differing(effect, found))
        if found is not None:
            yield from (Pair(None, one, ()) for one in behind[found.key])


def _behind(effects: list[Effect], paired: set[Key]) -> dict[Key | None, list[Effect]]:
    """Return the effects without a partner by the last one before them that has one."""
    behind: dict[Key | None, list[Effect]] = defaultdict(list)
    last: Key | None = None
    for effect in effects:
        if effect.key in paired:
            last = effect.key
        else:
            behind[last].append(effect)
    return behind


def differing(one: Effect, other: Effect) -> tuple[str, ...]:
    """Return the names of what differs between two effects; time and cost do not count."""
    names: list[str] = []
    if one.key != other.key:
        ours, theirs = asked(one), asked(other)
        names += [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        names = names or ["occurrence" if one.row.digest == other.row.digest else "attachments"]
    if (one.row.failed, one.row.result) != (other.row.failed, other.row.result):
        names.append("result")
    return tuple(names)


def asked(effect: Effect) -> dict[str, Json]:
    """Return the fields of a request, with what it refers to in earlier effects."""
    request = effect.record.request(effect.row)
    if effect.row.kind != "model":
        return request if is_object(request) else {"request": request}
    fields = {**request["head"], "message": request["message"]}
    if "steps" in request:
        fields["steps"] = conversation(effect.record, effect.row)
    return {**fields, **{name: request[name] for name in ("repair", "dropped") if name in request}}


def conversation(record: RunRecord, row: Row) -> list[str]:
    """Return the turns that a request carries, one text per step and per observation."""
    rows = {one.seq: one for one in record.rows}
    turns: list[Json] = []
    at: Json = decoded(row.request)["steps"]
    end: int | None = None
    while True:
        before, length, *new = at
        turns[:0] = new if end is None else new[: max(end - length, 0)]
        if before not in rows or not length:
            break
        end = length if end is None else min(end, length)
        at = decoded(rows[before].request)["steps"]
    return [text for step, seen in turns for text in (_said(step, rows), *(_seen(part, rows) for part in seen))]


def _said(step: Json, rows: Mapping[int, Row]) -> str:
    """Return a step as text; it may be the number of the effect that has it."""
    if isinstance(step, int):
        return text_of_result(rows[step]) if step in rows else f"(effect {step})"
    thought, calls, answer = step
    return "\n".join(part for part in (thought, *_calls(calls), answer) if part)


def _seen(observation: Json, rows: Mapping[int, Row]) -> str:
    """Return an observation as text; it may be the number of the effect that has it."""
    if isinstance(observation, int):
        return text_of_result(rows[observation]) if observation in rows else f"(effect {observation})"
    return str(observation[0])


def _calls(calls: Json) -> list[str]:
    return [f"{name}({text_of(arguments)})" for name, arguments in calls]


def text_of_result(row: Row) -> str:
    """Return a result as text: what a model or a tool said, an error's message, else JSON."""
    result: Json = decoded(row.result) if row.result else None
    if row.failed:
        return f"{result[0]}: {revive(result)}"
    if is_object(result) and isinstance(result.get("text"), str):
        return "\n".join(part for part in (result["text"], *_calls(result.get("calls", ()))) if part)
    return text_of(result)


def explained(pair: Pair) -> list[str]:
    """Return what differs of a pair as a unified diff of its texts, field by field."""
    if pair.left is None or pair.right is None:
        return []
    fields = asked(pair.left), asked(pair.right)
    lines: list[str] = []
    for name in pair.differs:
        if name == "result":
            sides = text_of_result(pair.left.row), text_of_result(pair.right.row)
        else:
            sides = _text(fields[0].get(name)), _text(fields[1].get(name))
        before, after = (f"{one.record.id} effect {one.row.seq}: {name}" for one in (pair.left, pair.right))
        lines += difflib.unified_diff(sides[0].splitlines(), sides[1].splitlines(), before, after, lineterm="")
    return lines


def _text(value: Json) -> str:
    if isinstance(value, str) or value is None:
        return value or ""
    if isinstance(value, list):
        return "\n".join(_text(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if is_object(value):
        return "\n".join(f"{name}: {text_of(item)}" for name, item in value.items())
    return text_of(value)


__all__ = [
    "BOOKKEEPING",
    "Difference",
    "Effect",
    "Pair",
    "asked",
    "difference",
    "explained",
    "lineage",
    "text_of_result",
]
