"""Open what a locator names, by the same readers that wrote it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stratagem.core import ModelRetry
from stratagem.errors import UsageError
from stratagem.tools.builtin.arithmetic import NotArithmetic, computed
from stratagem.tools.builtin.locators import CALCULATE, Locator, Opened
from stratagem.tools.builtin.matching import selected
from stratagem.tools.builtin.roots import Roots
from stratagem.tools.builtin.sql import select
from stratagem.tools.builtin.tables import Tables
from stratagem.tools.builtin.text import decoded, lines_of


def reopened(folders: Sequence[str | Path], locator: Locator) -> Opened:
    """Return what stands at a locator; `UsageError` if nothing does."""
    try:
        if locator.path == CALCULATE and locator.text:
            return _recomputed(locator)
        tables = Tables(Roots(folders))
        if locator.lines:
            return _lines(tables.roots, locator)
        if locator.text:
            columns, rows, _ = select(tables, locator.path, locator.text)
            return Opened(
                locator, rows=tuple((at, dict(zip(columns, row, strict=True))) for at, row in enumerate(rows, 1))
            )
        return _rows(tables, locator)
    except (ModelRetry, NotArithmetic) as failure:
        raise UsageError(f"{locator}: {failure}", remedy="Check that the files are those that were cited.") from None


def _recomputed(locator: Locator) -> Opened:
    expression, _, value = locator.text.rpartition(" = ")
    if computed(expression).text != value:
        raise ModelRetry(f"it is {computed(expression).text}")
    return Opened(locator, (locator.text,))


def _lines(roots: Roots, locator: Locator) -> Opened:
    first, last = locator.lines or (1, 1)
    loaded = roots.load(locator.path)
    lines = lines_of(decoded(loaded.data, loaded.path)[0])
    if not 1 <= first <= last <= len(lines):
        raise ModelRetry(f"the file has {len(lines)} lines")
    return Opened(locator, tuple(lines[first - 1 : last]))


def _rows(tables: Tables, locator: Locator) -> Opened:
    table = tables.read(locator.path, locator.table)
    columns = [table.column(name) for name in locator.columns] or table.columns
    if locator.ranges is None:
        positions = selected(table, locator.where)
        if (len(positions), table.rows) != (locator.matched, locator.total):
            raise ModelRetry(f"{len(positions)} of {table.rows} rows fulfil the conditions")
    else:
        known = {number: at for at, number in enumerate(table.numbers)}
        wanted = [number for first, last in locator.ranges for number in known if first <= number <= last]
        ends = {end for pair in locator.ranges for end in pair}
        if missing := ends - known.keys():
            raise ModelRetry(f"there is no row {min(missing)}")
        positions = [known[number] for number in sorted(set(wanted))]
    rows: list[tuple[int, dict[str, Any]]] = [
        (table.numbers[at], {column.name: column.cells[at] for column in columns}) for at in positions
    ]
    return Opened(locator, rows=tuple(rows))
