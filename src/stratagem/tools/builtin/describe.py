"""The tool that says what is in a table."""

import time
from collections.abc import Callable
from typing import Any

from stratagem.core import ModelRetry, Observation
from stratagem.tools.builtin.cells import Column
from stratagem.tools.builtin.exact import as_json, as_text
from stratagem.tools.builtin.locators import table_rows
from stratagem.tools.builtin.table import Table
from stratagem.tools.builtin.tables import Tables

MAX_VALUES = 30  # distinct values that are all listed
MAX_COMMON = 10  # of more than those, the commonest
MAX_VALUE = 100  # characters: columns with longer texts are prose, and their values are not listed
MAX_SHOWN = 18_000
MAX_RESULT = 300_000  # characters of values in a result: more is not recorded
LIMIT_S = 15.0


def describe_table(tables: Tables) -> Callable[..., Observation]:
    """Make the tool's function."""

    def describe_table(path: str, table: str = "") -> Observation:
        """Say which columns a csv or SQLite table has: type, empty cells, range, distinct values; and how many rows.

        For a database with several tables, leave `table` out first to see which there are.

        Args:
            path: the csv or SQLite file, as it was listed.
            table: a table of a database.
        """
        if not table and tables.is_database(path):
            names = tables.names(path)
            if len(names) != 1:
                return _several(tables.roots.shown(path), names)
        read = tables.read(path, table)
        return _described(read)

    return describe_table


def _several(path: str, names: dict[str, list[str]]) -> Observation:
    lines = [f"{path}: {len(names)} tables; describe one of them by giving `table`"]
    lines += [f"{name}: {', '.join(columns)}" for name, columns in names.items()]
    listed = [{"name": name, "columns": columns} for name, columns in names.items()]
    result = {"path": path, "table": "", "tables": listed, "rows": None, "columns": []}
    return Observation("\n".join(lines), result=result)


def _described(table: Table) -> Observation:
    until = time.monotonic() + LIMIT_S
    forms: list[dict[str, Any]] = []
    for column in table.columns:
        forms.append(_form(column))
        if time.monotonic() > until:
            raise ModelRetry(f"`{table.path}` is too large to be described in {LIMIT_S:g} s: ask query_table instead")
    place = f"{table.path}/{table.name}" if table.name else table.path
    lines = [f"{place}: {table.rows} rows, {len(forms)} columns"]
    room = MAX_SHOWN
    for number, (column, form) in enumerate(zip(table.columns, forms, strict=True)):
        line = _line(column, form)
        room -= len(line) + 1
        if room < 0:
            lines.append(f"[cut: {number} of {len(forms)} columns shown]")
            break
        lines.append(line)
    lines += [f"[{note}]" for note in (*table.notes, *(note for one in table.columns for note in one.notes))]
    room = MAX_RESULT
    for form in forms:
        room -= sum(len(value) + 4 for value in form["values"] or ())
        form["values"] = form["values"] if room >= 0 else None
    columns = [column.name for column in table.columns]
    listed = [{"name": table.name, "columns": columns}] if table.name else []
    result = {"path": table.path, "table": table.name, "tables": listed, "rows": table.rows, "columns": forms}
    source = table_rows(table.path, table.name, table.numbers, total=table.rows)
    return Observation("\n".join(lines), result=result, sources=(source,))


def _form(column: Column) -> dict[str, Any]:
    """Return what is known about a column, as JSON."""
    distinct = column.distinct
    low = high = None
    if column.numeric and column.numbers:
        low, high = as_json(min(column.numbers.values())), as_json(max(column.numbers.values()))
    elif column.type == "date" and column.dates:
        low, high = min(column.dates.values()), max(column.dates.values())
    values = [value for value, _ in (distinct if len(distinct) <= MAX_VALUES else distinct[:MAX_COMMON])]
    return {
        "name": column.name,
        "type": column.type,
        "unit": column.unit,
        "empty": column.empty,
        "wrong": column.wrong,
        "distinct": len(distinct),
        "values": None if any(len(value) > MAX_VALUE for value in values) else values,
        "min": low,
        "max": high,
    }


def _line(column: Column, form: dict[str, Any]) -> str:
    said = [f"{form['name']}: {form['type']}{f' in {column.unit}' if column.unit else ''}", f"{form['empty']} empty"]
    if form["wrong"]:
        said.append(f"{form['wrong']} not a {'date' if column.type == 'date' else 'number'}")
    if form["min"] is not None:
        low, high = form["min"], form["max"]
        if column.numeric:
            low, high = as_text(min(column.numbers.values())), as_text(max(column.numbers.values()))
        said.append(f"{low} to {high}")
    listed = ""
    if form["values"] is not None and (not column.numeric or form["distinct"] <= MAX_COMMON):
        some = f" (the {MAX_COMMON} commonest)" if column.distinct and column.distinct[0][1] > 1 else " (for example)"
        which = "" if form["distinct"] <= MAX_VALUES else some
        listed = f"{which}: {', '.join(' '.join(value.split()) for value in form['values'])}" if form["values"] else ""
    return ", ".join([*said, f"{form['distinct']} distinct"]) + listed
