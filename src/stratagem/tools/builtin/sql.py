"""The tool that runs one SELECT."""

from collections.abc import Callable
from typing import Any

from stratagem.core import ModelRetry, Observation
from stratagem.tools.builtin.locators import query_locator
from stratagem.tools.builtin.table import Table
from stratagem.tools.builtin.tables import Tables

MAX_ROWS = 200
MAX_SQL = 10_000  # characters
LIMIT_S = 5.0
MAX_CELL = 500  # characters shown of a value
MAX_VALUE = 20_000  # characters of a value in a result
MAX_SHOWN = 18_000
MAX_RESULT = 300_000  # characters of all values together
_TYPES = {"integer": "INTEGER", "number": "REAL"}


def query_sql(tables: Tables) -> Callable[..., Observation]:
    """Make the tool's function."""

    def query_sql(path: str, sql: str) -> Observation:
        """Run one SQL SELECT on a SQLite file, or on a csv file as table `data`; at most 200 rows come back.

        Args:
            path: the csv or SQLite file, as it was listed.
            sql: one SELECT statement in SQLite's dialect. Where query_table can say the same, use that: its results
                are exact and can be cited by row.
        """
        columns, rows, cut = select(tables, path, sql)
        lines = [" | ".join(columns), *(" | ".join(map(_shown, row)) for row in rows)]
        room, fitting = MAX_SHOWN, 0
        for line in lines:
            room -= len(line) + 1
            if room < 0 and fitting:
                break
            fitting += 1
        said = lines[:fitting]
        if cut or fitting < len(lines):
            said.append(f"[cut: {fitting - 1} rows shown; there are more]")
        elif not rows:
            said.append("[no rows]")
        result = {"columns": columns, "rows": rows, "cut": cut}
        return Observation("\n".join(said), result=result, sources=(query_locator(tables.roots.shown(path), sql),))

    return query_sql


def select(tables: Tables, path: str, sql: str) -> tuple[list[str], list[list[Any]], bool]:
    """Return columns and rows of a statement, and whether there are more rows; `ModelRetry` says what is wrong."""
    from stratagem.tools.builtin import sqlite_file  # 13 ms, only for SQL

    if len(sql) > MAX_SQL:
        raise ModelRetry(f"a statement has at most {MAX_SQL} characters, this one {len(sql)}")
    if tables.is_database(path):
        data, table = sqlite_file.load_database(tables.roots, path).data, None
    else:
        data, table = None, tables.read(path)
    with sqlite_file.opened(data, path, LIMIT_S) as connection:
        if table is not None:
            _fill(connection, table)
            sqlite_file.guard(connection, LIMIT_S)
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise ModelRetry(f"`{path}`: only reading is allowed: write one SELECT")
        rows: list[list[Any]] = []
        room, cut = MAX_RESULT, False
        for row in cursor:
            plain = [_json(value) for value in row]
            room -= sum(len(str(value)) + 4 for value in plain)
            if len(rows) >= MAX_ROWS or (room < 0 and rows):
                cut = True
                break
            rows.append(plain)
        return [str(column[0]) for column in cursor.description], rows, cut


def _fill(connection: Any, table: Table) -> None:
    """Make the table `data` of a table: numbers as numbers, dates in ISO form, empty cells as NULL."""
    from stratagem.tools.builtin.sqlite_file import quoted

    if len(table.columns) > 1_000:
        raise ModelRetry(
            f"`{table.path}` has {len(table.columns)} columns, more than SQL can have here: use query_table"
        )
    names = ", ".join(f"{quoted(one.name)} {_TYPES.get(one.type, 'TEXT')}" for one in table.columns)
    connection.execute(f"CREATE TABLE data ({names})")
    cells: list[list[Any]] = []
    for column in table.columns:
        known: dict[str, Any] = {**column.dates} if column.type == "date" else {}
        if column.numeric:
            known = {
                cell: int(one) if column.type == "integer" and abs(one) < 2**63 else float(one)
                for cell, one in column.numbers.items()
            }
        cells.append([None if column.is_empty(cell) else known.get(cell, cell) for cell in column.plain])
    marks = ", ".join("?" * len(table.columns))
    connection.executemany(f"INSERT INTO data VALUES ({marks})", zip(*cells, strict=True))  # noqa: S608


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return f"{value[:MAX_VALUE]} [cut: {MAX_VALUE} of {len(value)} characters]"
    return value


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]} [cut: {MAX_CELL} of {len(text)} characters]"
