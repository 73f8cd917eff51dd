"""The tool that computes one measure over the rows of a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from stratagem.core import ModelRetry, Observation
from stratagem.tools.builtin.cells import Column
from stratagem.tools.builtin.exact import as_json, as_text, exact_sum, mean, median
from stratagem.tools.builtin.locators import record_text, table_rows
from stratagem.tools.builtin.matching import resolved, selected
from stratagem.tools.builtin.table import Table
from stratagem.tools.builtin.tables import Tables
from stratagem.tools.builtin.where import Filter, in_words, name_text

Measure = Literal["count", "sum", "mean", "min", "max", "median", "list", "distinct"]
Order = Literal["none", "ascending", "descending"]

MAX_RECORDS = 200  # whole rows in a result
MAX_LISTED = 50  # rows that a list shows if it is not said how many
MAX_NUMBERS = 1_000  # row numbers and groups in a result
MAX_RESULT = 300_000  # characters of records in a result
MAX_SHOWN = 18_000  # characters of the text
MAX_CELL = 200  # characters of a cell in the text
_NUMERIC = ("sum", "mean", "min", "max", "median")


@dataclass(frozen=True)
class _Asked:
    """A query against the table it is about."""

    table: Table
    measure: Measure
    column: Column | None
    where: tuple[Filter, ...]
    group: Column | None
    order: Order
    top: int

    @property
    def words(self) -> str:
        """The computation in words."""
        said = f"{self.measure} of {name_text(self.column.name) if self.column and self.measure != 'list' else 'rows'}"
        said += f" by {name_text(self.group.name)}" if self.group else ""
        said += f" where {in_words(self.where)}" if self.where else ""
        if self.order != "none" and (self.group or self.measure in ("list", "distinct")):
            by = f" by {name_text(self.column.name)}" if self.column and self.measure == "list" else ""
            said += f", ordered{by} {self.order}"
        cut = self.top and (self.group or self.measure in ("list", "distinct"))
        return said + (f", first {self.top}" if cut else "")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        used = [self.column.name] if self.column else []
        used += [one.column for one in self.where]
        used += [self.group.name] if self.group else []
        return tuple(dict.fromkeys(used))


@dataclass
class _Found:
    """What came of a query.

    Attributes:
        rows: positions of the rows that matched.
        cited: positions of the rows that the result is about.
        value: the measure, as JSON.
        said: the measure, in words.
        groups: name, value and number of rows of each.
        lines: what follows the first line.
        records: positions of rows that are shown whole.
        notes: what else is to be said.
    """

    rows: Sequence[int]
    cited: Sequence[int] = ()
    value: Any = None
    said: str = ""
    groups: list[list[Any]] = field(default_factory=list[list[Any]])
    lines: list[str] = field(default_factory=list[str])
    records: Sequence[int] = ()
    empty: int = 0
    wrong: int = 0
    notes: list[str] = field(default_factory=list[str])


def query_table(tables: Tables) -> Callable[..., Observation]:
    """Make the tool's function."""

    def query_table(
        path: str,
        measure: Measure,
        column: str = "",
        where: tuple[Filter, ...] = (),
        group_by: str = "",
        order: Order = "none",
        top: int = 0,
        table: str = "",
    ) -> Observation:
        """Compute one measure over the rows of a csv or SQLite table that fulfil all conditions, exactly.

        Look at the columns with describe_table first.

        Args:
            path: the csv or SQLite file, as it was listed.
            measure: count (of rows), sum, mean, min, max or median of `column`; list (whole rows, ordered by `column`
                if an order is given); distinct (values of `column`).
            column: the column that is measured.
            where: conditions, for example [{"column": "weather", "op": "=", "value": "rain"}, {"column": "wind", "op":
                "between", "values": [1, 5]}]. A date compares as far as the value goes: = 2013 is all of that year.
            group_by: a column; the measure is then computed for each of its values.
            order: of the groups by their measure, or of the rows of a list by `column`.
            top: how many groups, values or rows; 0 for all.
            table: a table of a database.
        """
        read = tables.read(path, table)
        asked = _Asked(
            read,
            measure,
            read.column(column) if column else None,
            resolved(read, where),
            read.column(group_by) if group_by else None,
            order,
            top,
        )
        _refuse(asked)
        return _observed(asked, _measured(asked, selected(read, asked.where)))

    return query_table


def _refuse(asked: _Asked) -> None:
    """Raise `ModelRetry` for a question that has no answer."""
    measure, column = asked.measure, asked.column
    if asked.top < 0:
        raise ModelRetry(f"`top` must be 0 or more, got {asked.top}")
    if column is None and measure in (*_NUMERIC, "distinct"):
        raise ModelRetry(f"`{measure}` needs a `column`; columns: {', '.join(one.name for one in asked.table.columns)}")
    if measure == "list" and asked.group:
        raise ModelRetry("a `list` has no groups: leave `group_by` out, or take another measure")
    if measure == "list" and asked.order != "none" and column is None:
        raise ModelRetry("an ordered `list` needs the `column` by which it is ordered")
    if asked.top > 1 and not asked.group and measure not in ("list", "distinct"):
        raise ModelRetry(f"`top` needs `group_by`, or the measure `list`: a `{measure}` is one value")
    if column is None or measure not in _NUMERIC or column.numeric:
        return
    if column.type == "date" and measure in ("min", "max"):
        return
    cells = sum(column.counts.values()) - column.empty
    wrong = cells - sum(column.counts[cell] for cell in column.numbers)
    raise ModelRetry(
        f"`{measure}` needs numbers, and {column.name!r} is a {column.type} column: {wrong} of {cells} cells"
        " are not numbers (at most 5 % may be)"
    )


def _measured(asked: _Asked, rows: Sequence[int]) -> _Found:
    found = _Found(rows, cited=rows)
    if asked.measure == "list":
        _list(asked, found)
    elif asked.group:
        _by_group(asked, asked.group, found)
    elif asked.measure == "distinct" and asked.column:
        _distinct(asked, asked.column, found)
    else:
        found.value, found.said = _value(asked, rows)
        if asked.column and asked.measure in ("min", "max") and found.value is not None:
            _extreme(asked, asked.column, found)
    if asked.column and asked.measure != "list":
        _count_left_out(asked.column, found)
    for one in asked.where:
        if one.op == "!=" and (left := asked.table.column(one.column).empty):
            found.notes.append(f"{left} rows whose {one.column!r} is empty are not selected by !=")
    return found


def _count_left_out(column: Column, found: _Found) -> None:
    known = column.numbers if column.numeric else column.dates if column.type == "date" else None
    for row in found.rows:
        cell = column.plain[row]
        if column.is_empty(cell):
            found.empty += 1
        elif known is not None and cell not in known:
            found.wrong += 1


def _value(asked: _Asked, rows: Sequence[int]) -> tuple[Any, str]:
    """Return the measure over some rows, as JSON and in words; None if there is nothing to measure."""
    column, measure = asked.column, asked.measure
    if column is None:
        return len(rows), str(len(rows))
    cells = [column.plain[row] for row in rows]
    if measure == "count":
        count = sum(not column.is_empty(cell) for cell in cells)
        return count, str(count)
    if measure == "distinct":
        count = len({column.key(cell) for cell in cells if not column.is_empty(cell)})
        return count, str(count)
    if column.type == "date":
        days = [column.dates[cell] for cell in cells if cell in column.dates]
        best = (min if measure == "min" else max)(days, default=None)
        return best, best or "no value"
    numbers = [column.numbers[cell] for cell in cells if cell in column.numbers]
    if not numbers:
        return None, "no value"
    value = _computed(measure, numbers)
    return as_json(value), as_text(value) + (f" {column.unit}" if column.unit else "")


def _computed(measure: Measure, numbers: list[Decimal]) -> Decimal:
    match measure:
        case "sum":
            return exact_sum(numbers)
        case "mean":
            return mean(numbers)
        case "median":
            return median(numbers)
        case "min":
            return min(numbers)
        case _:
            return max(numbers)


def _extreme(asked: _Asked, column: Column, found: _Found) -> None:
    """Add the rows in which the smallest or largest value stands."""
    known: dict[str, Any] = {**column.numbers} if column.numeric else {**column.dates}
    present = {row: known[column.plain[row]] for row in found.rows if column.plain[row] in known}
    best = (min if asked.measure == "min" else max)(present.values())
    found.records = [row for row, value in present.items() if value == best]
    numbers = [asked.table.numbers[row] for row in found.records[:5]]
    more = f" and {len(found.records) - 5} more" if len(found.records) > 5 else ""
    found.said += f" in row{'s' if len(found.records) > 1 else ''} {', '.join(map(str, numbers))}{more}"


def _by_group(asked: _Asked, group: Column, found: _Found) -> None:
    members: dict[str, list[int]] = {}
    for row in found.rows:
        key = "" if group.is_empty(group.plain[row]) else group.key(group.plain[row])
        members.setdefault(key, []).append(row)
    made: list[tuple[str, Any, str, int]] = []
    for key, rows in members.items():
        value, said = _value(asked, rows)
        made.append((group.plain[rows[0]] if key else "", value, said, len(rows)))
    if asked.order != "none":
        known = sorted((one for one in made if one[1] is not None), key=lambda one: one[0])
        known.sort(key=lambda one: one[1], reverse=asked.order == "descending")
        made = known + [one for one in made if one[1] is None]
    total = len(made)
    made = made[: asked.top] if asked.top else made
    if len(made) > MAX_NUMBERS:
        found.notes.append(f"cut: {MAX_NUMBERS} of {total} groups")
    found.groups = _bounded_groups([[name, value, count] for name, value, _, count in made[:MAX_NUMBERS]])
    found.lines = [f"{_short(name) or '(empty)'}: {said} ({count} rows)" for name, _, said, count in made[:MAX_NUMBERS]]
    found.said = f"{total} group{'' if total == 1 else 's'}"


def _distinct(asked: _Asked, column: Column, found: _Found) -> None:
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for row in found.rows:
        cell = column.plain[row]
        if not column.is_empty(cell):
            name = first.setdefault(column.key(cell), cell)
            counts[name] = counts.get(name, 0) + 1
    names = list(counts)
    if asked.order != "none":
        names.sort(key=_sorting(column), reverse=asked.order == "descending")
    names = names[: asked.top] if asked.top else names
    if len(names) > MAX_NUMBERS:
        found.notes.append(f"cut: {MAX_NUMBERS} of {len(names)} values")
    found.value, found.said = len(counts), f"{len(counts)}"
    found.groups = _bounded_groups([[name, counts[name], counts[name]] for name in names[:MAX_NUMBERS]])
    found.lines = [f"{_short(name)} ({counts[name]} rows)" for name in names[:MAX_NUMBERS]]


def _sorting(column: Column) -> Callable[[str], Any]:
    """Return the key by which cells of a column are sorted; what is not of its type comes last in ascending order."""
    known: dict[str, Any] = {**column.numbers} if column.numeric else {**column.dates} if column.type == "date" else {}
    if known:
        return lambda cell: (0, known[cell]) if cell in known else (1, column.key(cell))
    return column.key


def _list(asked: _Asked, found: _Found) -> None:
    rows = list(found.rows)
    if asked.order != "none" and asked.column:
        column = asked.column
        key, typed = _sorting(column), column.numeric or column.type == "date"
        known = column.numbers if column.numeric else column.dates
        present = [
            row for row in rows if (column.plain[row] in known if typed else not column.is_empty(column.plain[row]))
        ]
        present.sort(key=lambda row: key(column.plain[row]), reverse=asked.order == "descending")
        there = set(present)
        absent = [row for row in rows if row not in there]
        if absent:
            found.notes.append(f"{len(absent)} rows without a value in {column.name!r} come last")
        rows = present + absent
        if 0 < asked.top < len(present):
            last = key(column.plain[present[asked.top - 1]])
            ties = sum(key(column.plain[row]) == last for row in present[asked.top :])
            if ties:
                found.notes.append(f"{ties} more rows have the same {column.name!r} as the last one shown")
    wanted = asked.top or MAX_LISTED
    found.records = found.cited = rows[: min(wanted, MAX_RECORDS)]
    if len(found.records) < min(len(rows), asked.top or len(rows)):
        found.notes.append(f"cut: {len(found.records)} of {len(rows)} rows")
    found.said = f"{len(found.records)} shown"


def _observed(asked: _Asked, found: _Found) -> Observation:
    table = asked.table
    left = [f"{found.empty} cells empty"] if found.empty else []
    left += [f"{found.wrong} not a {'date' if asked.column and asked.column.type == 'date' else 'number'}"] * (
        found.wrong > 0
    )
    counted = f"{len(found.rows)} of {table.rows} rows" + (f"; {', '.join(left)}: left out" if left else "")
    lines = [f"{asked.words}: {found.said} ({counted})", *found.lines]
    numbers = [table.numbers[row] for row in found.records[:MAX_RECORDS]]
    records = [table.record(row) for row in found.records[:MAX_RECORDS]]
    shown = [{name: _short(cell) for name, cell in record.items()} for record in records]
    lines += [f"row {number}: {record_text(record)}" for number, record in zip(numbers, shown, strict=True)]
    used = (table.column(name) for name in asked.columns)
    notes = (*found.notes, *table.notes, *(note for column in used for note in column.notes))
    lines += [f"[{note}]" for note in notes]
    about = found.records if asked.measure in ("list", "min", "max") and found.records else found.cited
    columns = () if asked.measure == "list" else asked.columns
    result = {
        "path": table.path,
        "table": table.name,
        "measure": asked.measure,
        "column": asked.column.name if asked.column else "",
        "where": [
            {"column": one.column, "op": one.op, "value": one.value, "values": one.values} for one in asked.where
        ],
        "group_by": asked.group.name if asked.group else "",
        "value": found.value,
        "unit": asked.column.unit if asked.column and asked.measure not in ("count", "distinct", "list") else None,
        "groups": found.groups,
        "rows": [table.numbers[row] for row in about[:MAX_NUMBERS]],
        "matched": len(found.rows),
        "total": table.rows,
        "left_out": found.empty + found.wrong,
        "records": _bounded(records),
        "columns": list(columns or [one.name for one in table.columns]),
        "computation": asked.words,
    }
    source = table_rows(
        table.path,
        table.name,
        [table.numbers[row] for row in found.cited] if not isinstance(found.cited, range) else table.numbers,
        where=asked.where,
        matched=len(found.rows),
        total=table.rows,
        columns=columns,
    )
    return Observation(_fitting(lines), result=result, sources=(source,))


def _short(cell: str) -> str:
    """Return a cell on one line, and not too long."""
    cell = " ".join(cell.split())
    return cell if len(cell) <= MAX_CELL else f"{cell[:MAX_CELL]} [cut: {MAX_CELL} of {len(cell)} characters]"


def _bounded_groups(groups: list[list[Any]]) -> list[list[Any]]:
    """Return as many groups as a recorded result holds."""
    room = MAX_RESULT
    for at, (name, *_) in enumerate(groups):
        room -= len(name) + 40
        if room < 0:
            return groups[:at]
    return groups


def _bounded(records: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return as many records as a recorded result holds."""
    room = MAX_RESULT
    for at, record in enumerate(records):
        room -= sum(len(name) + len(cell) + 8 for name, cell in record.items())
        if room < 0:
            return records[:at]
    return records


def _fitting(lines: list[str]) -> str:
    """Return the lines as one text, without those that are too many."""
    room = MAX_SHOWN
    for at, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0 and at:
            return "\n".join([*lines[:at], f"[cut: {at} of {len(lines)} lines shown]"])
    return "\n".join(lines)
