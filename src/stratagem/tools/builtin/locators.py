"""Locators: where a result stands, written so that it can be opened again.

    docs/manual.md:42                                      a line
    docs/manual.md:42-45                                   lines
    weather.csv: rows 3-5,9, columns date, wind            rows of a table, by number
    weather.csv: rows where wind > 9 (12 of 1461), columns wind
    weather.db/days: rows 1-1461, columns wind             rows of a table in a database
    weather.db: SELECT count(*) FROM days                  what a query returns
    calculate: 17 * 23 = 391                               a computation

A path, table or column that could be misread stands in quotes, as a JSON string.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratagem.errors import UsageError
from stratagem.tools.builtin.where import Filter, filters_of, in_words, name_text

MAX_RANGES = 12  # more of them are no longer readable: then the condition is named
_LINES = re.compile(r":([0-9]+)(?:-([0-9]+))?")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_MATCHED = re.compile(r" \(([0-9]+) of ([0-9]+)\)")
_DATABASE = re.compile(r"(.*?\.(?:db|db3|sqlite|sqlite3|s3db))/(.+)", re.IGNORECASE)
_QUOTED_TABLE = re.compile(r'((?:(?!: ).)*?\.(?:db|db3|sqlite|sqlite3|s3db))/(".*)', re.IGNORECASE | re.DOTALL)
_SQL = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^]]*])|(?:--[^\n]*|/\*.*?\*/|\s)+""", re.DOTALL)
CALCULATE = "calculate"


@dataclass(frozen=True)
class Locator:
    """Where something stands.

    Attributes:
        path: the file; `calculate` for a computation.
        table: of a database.
        lines: first and last line.
        ranges: row numbers, as pairs of the first and last; None if the rows are not given by number.
        where: conditions that select the rows.
        matched: how many rows they select.
        total: of how many.
        columns: of the rows; all if there are none.
        text: the query, or the computation with its result.
    """

    path: str
    table: str = ""
    lines: tuple[int, int] | None = None
    ranges: tuple[tuple[int, int], ...] | None = None
    where: tuple[Filter, ...] = ()
    matched: int | None = None
    total: int | None = None
    columns: tuple[str, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        place = _place(self.path, self.table)
        if self.lines:
            first, last = self.lines
            return f"{place}:{first}" if first == last else f"{place}:{first}-{last}"
        if self.text:
            return f"{CALCULATE if self.path == CALCULATE else place}: {self.text}"
        if self.ranges is not None:
            rows = ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self.ranges) or "none"
        else:
            rows = f"where {in_words(self.where)} ({self.matched} of {self.total})"
        columns = f", columns {', '.join(map(name_text, self.columns))}" if self.columns else ""
        return f"{place}: rows {rows}{columns}"


@dataclass(frozen=True)
class Opened:
    """What stands at a locator.

    Attributes:
        locator: as it was parsed.
        lines: of the text file, or the computation.
        rows: number and cells by column; of a query, numbered from 1.
    """

    locator: Locator
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[int, dict[str, Any]], ...] = ()

    @property
    def text(self) -> str:
        """All of it as one text, to look for a quotation in."""
        return "\n".join((*self.lines, *(record_text(row) for _, row in self.rows)))


def file_line(path: str, line: int) -> str:
    """Return the locator of a line."""
    return str(Locator(path, lines=(line, line)))


def file_lines(path: str, first: int, last: int) -> str:
    """Return the locator of lines."""
    return str(Locator(path, lines=(first, last)))


def table_rows(
    path: str,
    table: str,
    rows: Sequence[int],
    *,
    where: Sequence[Filter] = (),
    matched: int = 0,
    total: int = 0,
    columns: Sequence[str] = (),
) -> str:
    """Return the locator of rows: by number if they form few ranges, else by the conditions that select them.

    Args:
        path: the file.
        table: of a database.
        rows: their numbers.
        where: the conditions that select them, perhaps among others.
        matched: how many rows the conditions select.
        total: of how many.
        columns: that were used; all if none is given.
    """
    ranges = ranges_of(rows)
    if where and (len(ranges) > MAX_RANGES or not rows):
        return str(Locator(path, table, None, None, tuple(where), matched, total, tuple(columns)))
    return str(Locator(path, table, None, ranges, (), None, None, tuple(columns)))


def query_locator(path: str, sql: str) -> str:
    """Return the locator of what a statement returns, without its comments and line ends."""
    plain = _SQL.sub(lambda found: found[1] or " ", sql)
    return str(Locator(path, text=plain.strip().rstrip(";").rstrip()))


def record_text(record: dict[str, Any]) -> str:
    """Return a row on one line."""
    return "; ".join(f"{name} = {' '.join(str(cell).split())}" for name, cell in record.items())


def ranges_of(rows: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return ascending numbers as ranges.

    >>> ranges_of([3, 4, 5, 9])
    ((3, 5), (9, 9))
    """
    if isinstance(rows, range) and rows.step == 1 and rows:
        return ((rows[0], rows[-1]),)
    ranges: list[tuple[int, int]] = []
    for row in sorted(rows):
        if ranges and row <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], row)
        else:
            ranges.append((row, row))
    return tuple(ranges)


def parse_locator(text: str) -> Locator:
    """Return what a locator names; `UsageError` for a text that is none.

    >>> parse_locator("weather.db/days: rows 3-5,9, columns wind").ranges
    ((3, 5), (9, 9))
    """
    if text.startswith(f"{CALCULATE}: ") and " = " in text:
        return Locator(CALCULATE, text=text[len(CALCULATE) + 2 :])
    try:
        path, table, rest = _split(text)
        if found := _LINES.fullmatch(rest):
            return Locator(path, table, lines=(int(found[1]), int(found[2] or found[1])))
        if rest.startswith(": rows "):
            return _rows(path, table, rest[len(": rows ") :])
        if rest.startswith(": ") and rest[2:].strip() and path != CALCULATE:
            return Locator(path, table, text=rest[2:])
    except ValueError:
        pass
    raise UsageError(f"not a locator: {text[:200]!r}", remedy="Write it as a tool's `sources` have it.")


def _place(path: str, table: str) -> str:
    found = _DATABASE.fullmatch(f"{path}/x" if table else path)
    quoted = _misread(path) or (not found or found[1] != path if table else found)
    shown = json.dumps(path, ensure_ascii=False) if quoted else path
    if not table:
        return shown
    return f"{shown}/{json.dumps(table, ensure_ascii=False) if _misread(table) else table}"


def _misread(name: str) -> bool:
    if ": " in name or '"' in name or not name.isprintable() or name.strip() != name:
        return True
    return name == CALCULATE or bool(re.search(r":[0-9-]*$", name))


def _split(text: str) -> tuple[str, str, str]:
    """Return path, table, and what follows with its colon."""
    decoder = json.JSONDecoder()
    if text.startswith('"'):
        path, end = decoder.raw_decode(text)
        rest = text[end:]
    else:
        end = text.find(": ")
        if end < 0:
            found = re.search(r":[0-9]+(?:-[0-9]+)?$", text)
            end = found.start() if found else len(text)
        path, rest = text[:end], text[end:]
        if found := _QUOTED_TABLE.match(text):
            path, rest = found[1], "/" + found[2]
        elif found := _DATABASE.fullmatch(path):
            return found[1], found[2], rest
    if not rest.startswith("/"):
        return path, "", rest
    if rest.startswith('/"'):
        table, end = decoder.raw_decode(rest, 1)
        return path, table, rest[end:]
    end = rest.index(": ")
    return path, rest[1:end], rest[end:]


def _rows(path: str, table: str, text: str) -> Locator:
    rows, columns = _cut(text, ", columns ")
    names = tuple(_names(columns)) if columns else ()
    if rows == "none":
        return Locator(path, table, ranges=(), columns=names)
    if rows.startswith("where "):
        words, counted = _cut(rows[len("where ") :], " (", last=True)
        found = _MATCHED.fullmatch(f" ({counted}")
        if not found:
            raise ValueError(rows)
        return Locator(path, table, None, None, filters_of(words), int(found[1]), int(found[2]), names)
    found = [_RANGE.fullmatch(piece) for piece in rows.split(",")]
    ranges = tuple((int(one[1]), int(one[2] or one[1])) for one in found if one)
    if len(ranges) < len(found):
        raise ValueError(rows)
    return Locator(path, table, ranges=ranges, columns=names)


def _cut(text: str, mark: str, *, last: bool = False) -> tuple[str, str]:
    """Cut a text at a mark that does not stand in quotes; at the first one, or the last."""
    at, found = 0, -1
    while at < len(text):
        if text[at] == '"':
            at = json.JSONDecoder().raw_decode(text, at)[1]
        elif text.startswith(mark, at):
            found = at
            if not last:
                break
            at += len(mark)
        else:
            at += 1
    return (text, "") if found < 0 else (text[:found], text[found + len(mark) :])


def _names(text: str) -> list[str]:
    names: list[str] = []
    rest = text
    while rest:
        first, rest = _cut(rest, ", ")
        names.append(json.loads(first) if first.startswith('"') else first)
    return names


def open_locator(root: str | Path | Sequence[str | Path], text: str) -> Opened:
    """Return the lines or rows that stand at a locator.

    Args:
        root: the folder, or the folders, beneath which the tools that wrote it were made.
        text: the locator.

    Raises:
        UsageError: it is no locator, or nothing stands there any more.
    """
    from stratagem.tools.builtin.reopen import reopened  # it needs the tools, and they need this file

    roots = (root,) if isinstance(root, str | Path) else tuple(root)
    return reopened(roots, parse_locator(text))
