"""What observations hold, and how a result becomes an answer in words."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from stratagem.core import Observation
from stratagem.models.offline.reduce import Filter
from stratagem.models.offline.route import Querier
from stratagem.models.offline.schema import Table, items, key, mapping
from stratagem.models.offline.tables import Query

SHOWN = 100  # values or groups that an answer shows
_HIT = re.compile(r"^\[\d+\] (\S.*?):(\d+)(?:-(\d+))?  (.*)$")
_NUMBERED = re.compile(r"^\s*(\d+)  (.*)$")
_LISTED = re.compile(r"^(\S.*?) +(text|csv|sqlite|other)\s")

_KEEPING = frozenset(("sum", "mean", "min", "max", "median"))  # measures in the unit of the cells

Form = Mapping[str, Any]


class Passage(NamedTuple):
    """A passage that a search found."""

    path: str
    line: int
    end: int
    text: str


class Answered(NamedTuple):
    """An answer in words, or the reason why the result is none; `value` is what was computed."""

    text: str
    reason: str = ""
    value: str = ""


class _Unclear(Exception):
    """The result does not answer; the text says why."""


def files(seen: Observation) -> list[tuple[str, str]]:
    """Return path and kind of the listed files, from the result or from the lines of the text."""
    if seen.result is not None:
        forms = [one for one in map(mapping, items(seen.result)) if isinstance(one.get("path"), str)]
        return [(one["path"], str(one.get("kind", ""))) for one in forms]
    found = (_LISTED.match(line) for line in seen.text.splitlines())
    return [(one[1], one[2]) for one in found if one]


def passages(seen: Observation) -> list[Passage]:
    """Return what a search found, from the result or from the lines of the text."""
    if seen.result is not None:
        forms = [one for one in map(mapping, items(seen.result)) if {"path", "line", "end", "text"} <= set(one)]
        return [Passage(str(one["path"]), int(one["line"]), int(one["end"]), str(one["text"])) for one in forms]
    found = (_HIT.match(line) for line in seen.text.splitlines())
    return [Passage(one[1], int(one[2]), int(one[3] or one[2]), one[4]) for one in found if one]


def lines(seen: Observation, start: int) -> dict[int, str]:
    """Return the lines that were read, by number."""
    result = mapping(seen.result)
    if "lines" in result:
        first = int(result.get("start", start))
        return {first + place: str(line) for place, line in enumerate(items(result["lines"]))}
    found = (_NUMBERED.match(line) for line in seen.text.splitlines())
    return {int(one[1]): one[2] for one in found if one}


def distinct(seen: Observation) -> list[str]:
    """Return the different values that a query found."""
    return [name for name, _ in _pairs(mapping(seen.result))]


def arguments(querier: Querier, query: Query) -> dict[str, Any]:
    """Return the arguments of a query."""
    given: dict[str, Any] = {querier.path: query.table.path, querier.measure: querier.measures[query.measure]}
    optional = {
        querier.table: query.table.name,
        querier.column: query.column,
        querier.where: [_condition(one) for one in query.where],
        querier.group: query.group,
        querier.order: query.way if query.kind == "top" else "",
        querier.top: query.k + 1 if query.kind == "top" else 0,
    }
    given.update({name: value for name, value in optional.items() if name and value})
    return given


def lookup(querier: Querier, table: Table, column: str, word: str) -> dict[str, Any]:
    """Return the arguments that find the values of a column which contain a word."""
    return arguments(querier, Query(table, "values", "distinct", column, (Filter(column, "contains", word),)))


def rows_of(query: Query, seen: Observation) -> Query | None:
    """Return the query that lists the rows in which the extreme value stands; None if there is no such value."""
    value = mapping(seen.result).get("value")
    if value is None:
        return None
    where = (*query.where, Filter(query.column, "=", value))
    return query._replace(kind="rows", measure="list", column="", where=where)


def wording(query: Query) -> str:
    """Return the computation in words."""
    end = "highest" if query.way == "descending" else "lowest"
    what = f"{query.measure} of {query.column or 'rows'}"
    match query.kind:
        case "values" | "one":
            what = f"values of {query.column}"
        case "single":
            what = f"{query.label} of the row"
        case "rows_of":
            what = f"{query.label} of the row with the {query.measure} of {query.column}"
        case "top":
            what = f"{query.label} of the {query.k} rows with the {end} {query.column}"
        case "best":
            many = f"{query.k} " if query.k > 1 else ""
            what = f"{many}{query.group} with the {end} {what}"
        case "groups":
            what = f"{what} by {query.group}"
        case _:
            pass
    where = " and ".join(_said(one) for one in query.where)
    return f"{what} where {where}" if where else what


def answer(query: Query, seen: Observation, rows: Observation | None = None) -> Answered:
    """Return the answer that the result holds, with its locator.

    Args:
        query: what was asked.
        seen: what came of it.
        rows: the rows in which the extreme value stands, if labels of rows are wanted.
    """
    result = mapping(seen.result)
    if not isinstance(result.get("matched"), int):
        return Answered("", "the table's result came without data")
    if not result["matched"] and query.measure not in ("count", "distinct"):
        return Answered("", f"no row matches ({wording(query)})")
    result = _exact(result, seen.text)
    try:
        value = _BUILD[query.kind](query, result if rows is None else mapping(rows.result))
    except _Unclear as why:
        return Answered("", f"{why} ({wording(query)})")
    sign = _sign(query)
    shown = value if rows is None else f"{value} ({query.column} {key(result.get('value'))}{sign})"
    sources = [*seen.sources[:1], *(rows.sources[:1] if rows is not None else ())]
    where = "".join(f"[{source}] " for source in sources)
    left = f"; {result['left_out']} without a value left out" if result.get("left_out") else ""
    counted = f"({result['matched']} of {result.get('total')} rows{left})"
    if query.kind == "value":
        shown += sign
    return Answered(f"{where}{wording(query)} {counted}: {shown}", value=value)


def _exact(result: Form, text: str) -> Form:
    """Return the result with its fractions as the text has them: JSON may hold fewer digits."""
    found = re.findall(r"(?<![\w.-])-?\d+\.\d+(?![\w.])", text)
    written = {float(digits): digits for digits in reversed(found)}  # the first one is the result's own

    def exact(value: Any) -> Any:
        return written.get(value, value) if isinstance(value, float) and not value.is_integer() else value

    groups = [[exact(cell) for cell in items(group)] for group in items(result.get("groups"))]
    return {**result, "value": exact(result.get("value")), "groups": groups}


def _condition(one: Filter) -> dict[str, Any]:
    if one.op in ("between", "in"):
        return {"column": one.column, "op": one.op, "values": list(one.values)}
    if one.op == "empty":
        return {"column": one.column, "op": one.op}
    return {"column": one.column, "op": one.op, "value": one.value}


def _said(one: Filter) -> str:
    if one.op == "between":
        return f"{one.column} between {key(one.values[0])} and {key(one.values[1])}"
    if one.op == "in":
        return f"{one.column} in ({', '.join(map(key, one.values))})"
    return f"{one.column} is empty" if one.op == "empty" else f"{one.column} {one.op} {key(one.value)}"


def _value(_: Query, result: Form) -> str:
    if result.get("value") is None:
        raise _Unclear("there is nothing to compute")
    return key(result["value"])


def _sign(query: Query) -> str:
    """Return the sign that a computed value carries because the cells carry it."""
    column = query.table.column(query.column)
    return "%" if column is not None and column.said == "pct" and query.measure in _KEEPING else ""


def _pairs(result: Form) -> list[tuple[str, str]]:
    """Return name and value of each group; groups without a value are left out."""
    groups = [group for group in map(items, items(result.get("groups"))) if len(group) >= 2]
    return [(key(group[0]), key(group[1])) for group in groups if group[0] is not None and group[1] is not None]


def _records(result: Form) -> list[Form]:
    return [mapping(record) for record in items(result.get("records"))]


def _groups(query: Query, result: Form) -> str:
    pairs = _pairs(result)
    if not 0 < len(pairs) <= SHOWN:
        raise _Unclear(f"there are {len(pairs)} groups")
    return "; ".join(f"{name or '(empty)'}: {value}{_sign(query)}" for name, value in pairs)


def _best(query: Query, result: Form) -> str:
    known = [(name, _decimal(value), value) for name, value in _pairs(result) if name]
    known.sort(key=lambda group: group[1], reverse=query.way == "descending")
    if len(known) < query.k:
        raise _Unclear(f"there are only {len(known)} groups")
    first = known[: query.k]
    tied = [group for group in known[query.k :] if group[1] == first[-1][1]]
    if tied and query.k > 1:
        raise _Unclear(f"there is a tie at place {query.k}")
    return "; ".join(f"{name} ({value}{_sign(query)})" for name, _, value in [*first, *tied])


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _Unclear(f"{text!r} is no number") from None


def _rows_of(query: Query, result: Form) -> str:
    records = _records(result)
    labels = list(dict.fromkeys(key(one.get(query.label) or "") for one in records))
    if not labels or "" in labels or len(records) != result.get("matched"):
        raise _Unclear(f"{result.get('matched')} rows have that value, {len(labels)} with a {query.label}")
    return "; ".join(labels)


def _values(_: Query, result: Form) -> str:
    values = [name for name, _ in _pairs(result)]
    if not values:
        raise _Unclear("no row matches" if not result.get("matched") else "the cells are empty")
    if len(values) > SHOWN or len(values) != result.get("value"):
        raise _Unclear(f"there are {result.get('value')} values: too many to list")
    return "; ".join(values)


def _one(query: Query, result: Form) -> str:
    if len(_pairs(result)) > 1:
        raise _Unclear(f"{result.get('matched')} rows match, with different values")
    return _values(query, result)


def _single(query: Query, result: Form) -> str:
    records = _records(result)
    if len(records) != 1 or result.get("matched") != 1 or not records[0].get(query.label):
        raise _Unclear(f"{result.get('matched')} rows match")
    return key(records[0][query.label])


def _top(query: Query, result: Form) -> str:
    records = [one for one in _records(result) if one.get(query.column) not in (None, "")]
    if len(records) < query.k:
        raise _Unclear(f"only {len(records)} rows have a {query.column}")
    first = records[: query.k]
    if len(records) > query.k and key(records[query.k][query.column]) == key(first[-1][query.column]):
        raise _Unclear(f"there is a tie at place {query.k}")
    if not all(one.get(query.label) for one in first):
        raise _Unclear(f"a row has no {query.label}")
    return "; ".join(f"{key(one[query.label])} ({key(one[query.column])})" for one in first)


_BUILD: dict[str, Callable[[Query, Form], str]] = {
    "value": _value, "one": _one, "single": _single, "groups": _groups, "best": _best, "rows_of": _rows_of,
    "values": _values, "top": _top,
}  # fmt: skip
