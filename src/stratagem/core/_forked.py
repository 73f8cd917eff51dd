"""What a fork may reuse of what is recorded."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from stratagem.core._book import circumstance, siblings
from stratagem.core._canonical import Json, decoded, encoded
from stratagem.core._journal import Row
from stratagem.errors import UsageError

UNCHANGED: Any = object()  # stands for no reply, where null is one


def forked(
    rows: Sequence[Row],
    *,
    at: int | None = None,
    reply: Json = UNCHANGED,
    decisions: bool = False,
    turns: Mapping[int, int] = MappingProxyType({}),
    unsure: Sequence[int] = (),
) -> list[Row]:
    """Return the rows that a fork may reuse: without effect `at` and all that could have depended on it.

    With `reply`, effect `at` is kept with another value and nothing is dropped: what depends on it asks differently
    and is performed for that reason. Without `at` the program has changed. Only `decisions` keeps clock and budget
    readings and completion orders; no fork keeps refusals or other circumstances. Intents are kept, whatever becomes
    of their results: what may happen once only is not performed again without a person's word.

    Args:
        rows: of the run and its ancestors.
        at: number of an effect.
        reply: another value for it.
        decisions: whether decisions are kept.
        turns: in which order the program asked for them (`_turns`).
        unsure: number of the first row that an edited program wrote until it was killed, one for each such time: of
            the rows before that one nobody knows which it had asked for by then, so none counts as having come before.

    Raises:
        UsageError: there is no effect of that number.
    """
    intents = [row for row in rows if row.kind == "intent"]
    replaced = at if reply is not UNCHANGED else None
    kept = [row for row in rows if row.kind != "intent" and (row.seq == replaced or not circumstance(row))]
    if not decisions:
        kept = [row for row in kept if row.kind not in ("decision", "order")]
    if at is None:
        return [*intents, *kept]
    origin = numbered(rows, at)
    if replaced is not None:
        kept = [row._replace(result=_reworded(row, reply), failed=False) if row.seq == at else row for row in kept]
        return [*intents, *kept]
    spot = turns.get(at, 0), at
    floor = max((number for number in unsure if number <= at), default=0)

    def before(row: Row) -> bool:
        number = row.seq
        return ((turns.get(number, 0), number) if turns else (0, number)) < spot and number >= floor

    kept = [r for r in kept if r.seq != at and (before(r) or siblings(r, origin) or apart(r.path, origin.path))]
    return [*intents, *kept]


def numbered(rows: Sequence[Row], number: int) -> Row:
    """Return the row of a number; `UsageError` if there is none."""
    found = next((row for row in reversed(rows) if row.seq == number), None)
    if found is None:
        raise UsageError(
            f"there is no effect {number}: the run has {len(rows)}, from 0", remedy="See `stratagem show`."
        )
    return found


def _reworded(row: Row, said: Json) -> bytes:
    if row.kind == "model":
        return encoded({"text": said})
    if row.kind == "tool":
        return encoded({**decoded(row.result), "text": said, "result": None})
    return encoded(said)


_WAVE = re.compile(r"(map(#\d+)?)\[")


def apart(path: str, origin: str) -> bool:
    """Return whether two places part in different branches of one `map`.

    >>> apart("map[1]/react", "map[0]"), apart("pool[1]", "pool[0]")
    (True, False)
    """
    for one, other in zip(path.split("/"), origin.split("/"), strict=False):
        if one != other:
            first, second = _WAVE.match(one), _WAVE.match(other)
            return bool(first and second and first[1] == second[1])
    return False
