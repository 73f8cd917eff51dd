"""What observations hold, and how a result becomes an answer in words."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from stratagem.core import Observation
from stratagem.models.offline.route import Querier
from stratagem.models.offline.schema import Column, Table, key
from stratagem.models.offline.tables import Filter, Query

SHOWN = 100  # values of a list that an answer shows
_HIT = re.compile(r"^\[\d+\] (\S.*?):(\d+)(?:-(\d+))?  (.*)$")
_NUMBERED = re.compile(r"^\s*(\d+)  (.*)$")


class Passage(NamedTuple):
    """A passage that a search found."""

    path: str
    line: int
    end: int
    text: str


class Answered(NamedTuple):
    """An answer in words, or why the result is none."""

    text: str
    reason: str = ""


def files(seen: Observation) -> list[dict[str, Any]]:
    """Return the listed files with path and kind, from the result or from the lines of the text."""
    if isinstance(seen.result, list):
        return [one for one in seen.result if isinstance(one, Mapping) and "path" in one and "kind" in one]  # pyright: ignore
    found = (re.match(r"^(.+?)  +(text|csv|sqlite|other)\b", line) for line in seen.text.splitlines())
    return [{"path": one[1].strip(), "kind": one[2]} for one in found if one]


def passages(seen: Observation) -> list[Passage]:
    """Return what a search found, from the result or from the lines of the text."""
    if isinstance(seen.result, list):
        return [
            Passage(one["path"], one["line"], one["end"], one["text"])
            for one in seen.result
            if isinstance(one, Mapping) and {"path", "line", "end", "text"} <= set(one)
        ]
    found = (_HIT.match(line) for line in seen.text.splitlines())
    return [Passage(one[1], int(one[2]), int(one[3] or one[2]), one[4]) for one in found if one]


def lines(seen: Observation, start: int) -> dict[int, str]:
    """Return the lines that were read, by number."""
    result = seen.result
    if isinstance(result, Mapping) and isinstance(result.get("lines"), list):
        first = result.get("start", start)
        return {first + place: line for place, line in enumerate(result["lines"]) if isinstance(line, str)}
    found = (_NUMBERED.match(line) for line in seen.text.splitlines())
    return {int(one[1]): one[2] for one in found if one}


def distinct(seen: Observation) -> list[str]:
    """Return the different values that a query found."""
    result = seen.result if isinstance(seen.result, Mapping) else {}
    groups = result.get("groups") or ()
    return [key(group[0]) for group in groups if isinstance(group, list | tuple) and group and group[0] is not None]


def condition(one: Filter) -> dict[str, Any]:
    """Return a filter as an argument."""
    form: dict[str, Any] = {"column": one.column, "op": one.op}
    if one.op in ("between", "in"):
        form["values"] = list(one.values)
    elif one.op != "empty":
        form["value"] = one.value
    return form


def arguments(querier: Querier, query: Query) -> dict[str, Any]:
    """Return the arguments of a query."""
    given: dict[str, Any] = {querier.path: query.table.path, querier.measure: querier.measures[query.measure]}
    if query.table.name and querier.table:
        given[querier.table] = query.table.name
    if query.column:
        given[querier.column] = query.column
    if query.where:
        given[querier.where] = [condition(one) for one in query.where]
    if query.group:
        given[querier.group] = query.group
    if query.way != "none" and query.kind != "best_group":
        given[querier.order] = query.way
    if query.k:
        given[querier.top] = query.k + 1
    return given


def lookup(querier: Querier, table: Table, column: Column, word: str) -> dict[str, Any]:
    """Return the arguments that find the values of a column which contain a word."""
    where = (Filter(column.name, "contains", word),)
    return arguments(querier, Query(table, "values", "distinct", column.name, where))


def wording(query: Query) -> str:
    """Return the computation in words."""
    what = f"{query.measure} of {query.column}" if query.column else query.measure
    if query.kind in ("values", "one"):
        what = query.column
    if query.kind == "rows_of":
        what = f"{query.label} in the row with the {query.measure} of {query.column}"
    if query.kind == "top":
        what = f"the {query.k} {'highest' if query.way == 'descending' else 'lowest'} by {query.column}: {query.label}"
    if query.kind == "best_group":
        what = f"{query.group} with the {'highest' if query.way == 'descending' else 'lowest'} {what}"
    where = " and ".join(_said(one) for one in query.where)
    return f"{what}{f' where {where}' if where else ''}{f' by {query.group}' if query.kind == 'groups' else ''}"


def _said(one: Filter) -> str:
    if one.op == "between":
        return f"{one.column} between {key(one.values[0])} and {key(one.values[1])}"
    if one.op == "in":
        return f"{one.column} in {', '.join(map(key, one.values))}"
    return f"{one.column} {one.op}{'' if one.op == 'empty' else f' {key(one.value)}'}"


def rows_of(query: Query, seen: Observation) -> Query | None:
    """Return the query that lists the rows in which the extreme value stands; None if there is none."""
    value = seen.result.get("value") if isinstance(seen.result, Mapping) else None
    if value is None:
        return None
    where = (*query.where, Filter(query.column, "=", value))
    return query._replace(kind="rows", measure="list", column="", where=where)


def answer(query: Query, seen: Observation, rows: Observation | None = None) -> Answered:
    """Return the answer that the result holds, with its locator.

    Args:
        query: what was asked.
        seen: what came of it.
        rows: the rows in which the extreme value stands, if labels of rows are wanted.
    """
    result = seen.result
    if not isinstance(result, Mapping):
        return Answered("", "the table's result came without data")
    matched, total = result.get("matched"), result.get("total")
    if not matched and query.measure not in ("count", "distinct"):
        return Answered("", f"no row matches ({wording(query)})")
    shown = rows.result if rows is not None and isinstance(rows.result, Mapping) else result
    value = _BUILD[query.kind](query, shown)
    if isinstance(value, Answered):
        return value
    if rows is not None:
        value = f"{value} ({query.column} {key(result.get('value'))})"
    sources = [*seen.sources[:1], *(rows.sources[:1] if rows is not None else ())]
    where = "".join(f"[{source}] " for source in sources)
    left = result.get("left_out")
    cut = f", {left} left out: no number" if left else ""
    return Answered(f"{where}{wording(query)} ({matched} of {total} rows{cut}): {value}")


def _value(query: Query, result: Mapping[str, Any]) -> str | Answered:
    value = result.get("value")
    return Answered("", "the computation has no value") if value is None else key(value)


def _groups(query: Query, result: Mapping[str, Any]) -> str | Answered:
    groups = _pairs(result)
    if not groups or len(groups) > SHOWN:
        return Answered("", f"there are {len(groups)} groups")
    return "; ".join(f"{name} {value}" for name, value in groups)


def _pairs(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key(group[0]) or "(empty)", key(group[1])) for group in result.get("groups") or () if group[1] is not None]


def _best_group(query: Query, result: Mapping[str, Any]) -> str | Answered:
    groups = [(name, float(value), value) for name, value in _pairs(result) if name != "(empty)"]
    if not groups:
        return Answered("", "there are no groups")
    best = (max if query.way == "descending" else min)(value for _, value, _ in groups)
    names = [(name, text) for name, value, text in groups if value == best]
    return f"{', '.join(name for name, _ in names)} ({names[0][1]})"


def _labels(query: Query, result: Mapping[str, Any], label: str) -> list[Any]:
    return [record.get(label) for record in result.get("records") or () if isinstance(record, Mapping)]


def _rows_of(query: Query, result: Mapping[str, Any]) -> str | Answered:
    """Return the labels of the rows that hold the extreme value; `result` lists those rows."""
    labels = list(dict.fromkeys(key(one) for one in _labels(query, result, query.label) if one not in (None, "")))
    if not labels or len(result.get("records") or ()) != result.get("matched"):
        return Answered("", f"{result.get('matched')} rows have the {query.measure} of {query.column}")
    return ", ".join(labels)


def _values(query: Query, result: Mapping[str, Any]) -> str | Answered:
    values = [name for name, _ in _pairs(result)]
    if not values:
        return Answered("", f"the cells of {query.column} are empty")
    if len(values) > SHOWN or len(values) != result.get("value"):
        return Answered("", f"there are {result.get('value')} values: too many to list")
    return "; ".join(values)


def _one(query: Query, result: Mapping[str, Any]) -> str | Answered:
    if len(_pairs(result)) > 1:
        return Answered("", f"{result.get('matched')} rows match, with different {query.column}")
    return _values(query, result)


def _top(query: Query, result: Mapping[str, Any]) -> str | Answered:
    records = [record for record in result.get("records") or () if record.get(query.column) not in (None, "")]
    if len(records) < query.k:
        return Answered("", f"only {len(records)} rows have a {query.column}")
    if len(records) > query.k and key(records[query.k][query.column]) == key(records[query.k - 1][query.column]):
        return Answered("", f"there is a tie at place {query.k}")
    return "; ".join(f"{key(one.get(query.label))} ({key(one.get(query.column))})" for one in records[: query.k])


_BUILD = {
    "value": _value, "one": _one, "groups": _groups, "rows_of": _rows_of, "best_group": _best_group, "values": _values,
    "top": _top,
}  # fmt: skip
