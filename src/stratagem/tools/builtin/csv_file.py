"""Read a CSV file as people make them: any common separator, with or without header, ragged, quoted, with comments.

A record is what the CSV rules say, so a quoted cell may hold newlines. Blank lines are no records. What had to be
guessed or mended stands in the table's notes.
"""

import csv
import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from stratagem.core import ModelRetry, printable
from stratagem.tools.builtin.cells import Column, date_of, number_of
from stratagem.tools.builtin.roots import Loaded, ending
from stratagem.tools.builtin.table import LIMIT_S, MAX_CELLS, MAX_ROWS, Table
from stratagem.tools.builtin.text import decoded

SEPARATORS = (",", "\t", ";", "|")
MAX_COLUMNS = 2_000
_BATCH = 2_000  # records
_SAMPLE = 50  # records by which the separator is found
_HEADER = 0.8  # of a column must be of a cell's type, for the cell in the first row to be data


def read_csv(loaded: Loaded) -> Table:
    """Return the table that a file is; `ModelRetry` says why it is none."""
    start = time.monotonic()
    text, notes = decoded(loaded.data, loaded.path)
    said = list(notes)
    text, separator = _declared(text)
    text, comments = _comments(text)
    separator = separator or _separator(text, ending(loaded.path))
    grid = _read(text, separator, loaded.path, start, comments, said)
    names, cells = grid.named(said)
    columns = tuple(Column(name, column, comma=separator != ",") for name, column in zip(names, cells, strict=True))
    return Table(loaded.path, "", columns, range(1, grid.rows + 1), tuple(said))


def _declared(text: str) -> tuple[str, str]:
    """Return the text without the line by which Excel declares a separator, and the separator."""
    line, _, rest = text.partition("\n")
    if line[:4].casefold() == "sep=" and len(line) == 5:
        return rest, line[4]
    return text, ""


def _comments(text: str) -> tuple[str, list[str]]:
    """Return the text without comment lines at its top, and those. A lone `#` line above data is its header."""
    lines: list[str] = []
    rest = text
    while rest.startswith("#"):
        line, _, rest = rest.partition("\n")
        lines.append(line)
    if not rest.strip() or (len(lines) == 1 and any(sign in lines[0] for sign in SEPARATORS)):
        return text, []
    return rest, lines


def _commented_header(comments: list[str], separator: str, width: int) -> list[str]:
    """Return the names that the last comment line gives, if it has one for each column."""
    if not comments or width < 2:
        return []
    names = next(csv.reader([comments[-1].lstrip("#").strip()], delimiter=separator), list[str]())
    return names if len(names) == width and all(name.strip() for name in names) else []


def _separator(text: str, end: str) -> str:
    """Return the separator that cuts the first records most evenly, into two columns at least."""
    best, rank = "\t" if end == "tsv" else ",", (0.0, 0, 0)
    head = text[:200_000]
    for preference, separator in enumerate(SEPARATORS):
        try:
            reader = csv.reader(io.StringIO(head, newline=""), delimiter=separator)
            widths = [len(record) for _, record in zip(range(_SAMPLE), (r for r in reader if r), strict=False)]
        except csv.Error:
            continue
        if len(head) < len(text) and len(widths) < _SAMPLE:
            widths = widths[:-1]  # the last record may be cut
        if not widths:
            continue
        width, count = Counter(widths).most_common(1)[0]
        if width > 1:
            rank, best = max((rank, best), ((round(count / len(widths), 2), width, -preference), separator))
    return best


class _Grid:
    """Cells by column, taken in batch by batch: a list for each row would cost more than its cells.

    Args:
        path: the file, for messages.
        header: the names of the columns; empty if there are none.
    """

    def __init__(self, path: str, header: list[str]) -> None:
        self.path, self.header, self.rows = path, header, 0
        self.columns: list[list[str]] = [[] for _ in header]
        self._sizes: Counter[int] = Counter()

    def add(self, records: Sequence[list[str]]) -> None:
        """Take in rows; short ones are filled."""
        sizes = Counter(map(len, records))
        widest = max(sizes, default=0)
        if widest > MAX_COLUMNS:
            raise ModelRetry(f"`{self.path}`: a row has {widest} columns, more than {MAX_COLUMNS}")
        while len(self.columns) < widest:
            self.columns.append([""] * self.rows)
        width = len(self.columns)
        self.rows += len(records)
        if self.rows > MAX_ROWS or self.rows * width > MAX_CELLS:
            limit = f"{MAX_ROWS} rows" if self.rows > MAX_ROWS else f"{MAX_CELLS} cells"
            raise ModelRetry(f"`{self.path}` has more than {limit}: too large for this tool")
        if set(sizes) != {width}:
            records = [[*record, *[""] * (width - len(record))] for record in records]
        for column, cells in zip(self.columns, zip(*records, strict=True), strict=False):
            column.extend(cells)
        self._sizes += sizes

    def named(self, said: list[str]) -> tuple[list[str], list[list[str]]]:
        """Return names and columns; says which rows were shorter or longer than most."""
        width = len(self.header) or (self._sizes.most_common(1)[0][0] if self._sizes else 0)
        while len(self.columns) > width and not any(cell.strip() for cell in self.columns[-1]):
            self.columns.pop()  # only separators at the end of lines
        others = "the header" if self.header else "the others"
        short = sum(count for size, count in self._sizes.items() if size < width)
        long = sum(any(cells) for cells in zip(*self.columns[width:], strict=True))
        if short:
            said.append(f"{short} rows are shorter than {others}: their last cells are empty")
        if long:
            said.append(f"{long} rows are longer than {others}: columns without a name are added")
        return unique_names([*self.header, *[""] * (len(self.columns) - len(self.header))]), self.columns


def _read(text: str, separator: str, path: str, start: float, comments: list[str], said: list[str]) -> _Grid:
    """Return the cells; quotes that do not fit the rules are read as they stand, and it is said."""

    def parsed(*, strict: bool, quoted: bool = True) -> _Grid:
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=separator, strict=strict, quoting=quoting)
        return _gathered(reader, path, start, comments, separator, said)

    before = list(said)
    try:
        return parsed(strict=True)
    except csv.Error as failure:
        said[:] = before
        if "field larger" in str(failure):
            raise ModelRetry(f"`{path}`: a cell is longer than {csv.field_size_limit()} characters") from None
        unclosed = "unexpected end of data" in str(failure)
        if unclosed and separator != "\t":
            raise ModelRetry(f"`{path}`: a quote that is opened is never closed: no row after it can be read") from None
    # In tables separated by tabs, a quote that is never closed is more often an inch than a quote.
    what = "quotes are read as they stand: one is never closed" if unclosed else "some quotes stand in odd places"
    try:
        grid = parsed(strict=False, quoted=not unclosed)
    except csv.Error as failure:
        raise ModelRetry(f"`{path}` cannot be read as CSV: {failure}") from None
    said.append(what)
    return grid


def _gathered(
    reader: Iterator[list[str]], path: str, start: float, comments: list[str], separator: str, said: list[str]
) -> _Grid:
    grid: _Grid | None = None
    if comments:
        said.append(f"{len(comments)} comment lines at the top are left out")
    while batch := list(islice(reader, _BATCH)):
        records = [record for record in batch if len(record) > 1 or (record and record[0].strip())]
        if grid is None and records:
            header, data = _headed(records, comments, separator, said)
            grid = _Grid(path, header)
            records = records[data:]
        if grid is not None and records:
            grid.add(records)
        if time.monotonic() - start > LIMIT_S:
            raise ModelRetry(f"`{path}` took longer than {LIMIT_S:g} s to read")
    if grid is None:
        raise ModelRetry(f"`{path}` has no rows")
    return grid


def _headed(
    records: Sequence[list[str]], comments: list[str], separator: str, said: list[str]
) -> tuple[list[str], int]:
    """Return the names of the columns, and at which record the data begins."""
    width = Counter(map(len, records)).most_common(1)[0][0]
    if named := _commented_header(comments, separator, width):
        said.append("the column names are those of the last comment line")
        return named, 0
    if _is_header(records):
        return records[0], 1
    said.append("there is no header: the columns are named by position")
    return [], 0


def _is_header(records: Sequence[Sequence[str]]) -> bool:
    """Return whether the first record names the columns.

    It does not if one of its cells is a number or a date like the cells below it. A row of years above numbers is a
    header all the same: such tables are common, rows of consecutive years are not.
    """
    first, below = records[0], records[1:_SAMPLE]
    kinds = [_kind(cell) for cell in first]
    if not below:
        return not any(kinds)
    if _are_years(first, kinds):
        return True
    for at, kind in enumerate(kinds):
        others = [record[at] for record in below if at < len(record) and record[at].strip()]
        if kind and others and sum(_kind(cell) == kind for cell in others) >= _HEADER * len(others):
            return False
    # A name of a column hardly ever stands in it; a value that stands there twice more is no name.
    again = sum(
        cell.strip() != "" and cell == record[at]
        for record in below
        if list(record) != list(first)
        for at, cell in enumerate(first[: len(record)])
    )
    return again < 2


def _are_years(first: Sequence[str], kinds: Sequence[str]) -> bool:
    years = [int(cell) for cell, kind in zip(first, kinds, strict=True) if kind and cell.strip().isdecimal()]
    steps = {later - earlier for earlier, later in pairwise(years)}
    named = [cell for cell, kind in zip(first, kinds, strict=True) if not kind and cell.strip()]
    return bool(named) and len(years) == sum(map(bool, kinds)) > 1 and steps <= {1, -1} and 1000 < years[0] < 3000


def _kind(cell: str) -> str:
    if number_of(cell) is not None:
        return "number"
    return "date" if date_of(cell, "day first") or date_of(cell, "month first") else ""


def unique_names(names: Sequence[str]) -> list[str]:
    r"""Return names in which no two are equal and none is empty.

    >>> unique_names(["a", "", "a", " b\n c"])
    ['a', 'column_2', 'a_2', 'b c']
    """
    made: list[str] = []
    for at, name in enumerate(names, 1):
        plain = printable(" ".join(name.split())) or f"column_{at}"
        number, one = 1, plain
        while one in made:
            number += 1
            one = f"{plain}_{number}"
        made.append(one)
    return made
