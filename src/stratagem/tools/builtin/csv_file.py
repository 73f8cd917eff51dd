"""Read a CSV file as people make them: any common separator, with or without header, ragged, quoted, with comments.

A record is what the CSV rules say, so a quoted cell may hold newlines. Blank lines are no records. What had to be
guessed or mended stands in the table's notes.
"""

import csv
import io
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from stratagem.core import ModelRetry, printable
from stratagem.tools.builtin.cells import Column, date_of, number_of
from stratagem.tools.builtin.roots import Loaded, ending
from stratagem.tools.builtin.table import LIMIT_S, MAX_CELLS, MAX_ROWS, Table
from stratagem.tools.builtin.text import decoded

SEPARATORS = (",", "\t", ";", "|")
MAX_COLUMNS = 2_000
_SAMPLE = 50  # records by which the separator is found
_HEADER = 0.8  # of a column must be of a cell's type, for the cell in the first row to be data


def read_csv(loaded: Loaded) -> Table:
    """Return the table that a file is; `ModelRetry` says why it is none."""
    text, notes = decoded(loaded.data, loaded.path)
    said = list(notes)
    text, separator = _declared(text)
    text, comments = _comments(text)
    separator = separator or _separator(text, ending(loaded.path))
    records, start = _records(text, separator, loaded.path, said)
    if comments:
        said.append(f"{len(comments)} comment lines at the top are left out")
    if not records:
        raise ModelRetry(f"`{loaded.path}` has no rows")
    width = len(records[0]) if len(records) == 1 else Counter(map(len, records)).most_common(1)[0][0]
    named = _commented_header(comments, separator, width)
    if named:
        header = named
        said.append("the column names are those of the last comment line")
    elif _is_header(records):
        header, records = records[0], records[1:]
    else:
        header = []
        said.append("there is no header: the columns are named by position")
    cells, names = _squared(records, header, said)
    columns = tuple(
        Column(name, column, comma=separator != ",") for name, column in zip(names, cells, strict=True)
    )  # fmt: skip
    if time.monotonic() - start > LIMIT_S:
        raise ModelRetry(f"`{loaded.path}` took longer than {LIMIT_S:g} s to read")
    for column in columns:
        if len(columns) <= 50 and column.ambiguous:
            said.append(f"nobody can say whether day or month comes first in column {column.name!r}: it is text")
    return Table(loaded.path, "", columns, range(1, len(records) + 1), tuple(said))


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


def _records(text: str, separator: str, path: str, said: list[str]) -> tuple[list[list[str]], float]:
    """Return the records that are not blank, and when reading began."""
    start = time.monotonic()
    try:
        return _parsed(text, separator, path, start, strict=True), start
    except csv.Error as failure:
        if "unexpected end of data" in str(failure):
            if separator == "\t":  # there, quotes are more often inches than quotes
                said.append("quotes are read as they stand: one is never closed")
                return _parsed(text, separator, path, start, strict=False, quoted=False), start
            raise ModelRetry(f"`{path}`: a quote that is opened is never closed: no row after it can be read") from None
        if "field larger" in str(failure):
            raise ModelRetry(f"`{path}`: a cell is longer than {csv.field_size_limit()} characters") from None
    said.append("some cells have quotes in odd places: they are read as they stand")
    try:
        return _parsed(text, separator, path, start, strict=False), start
    except csv.Error as failure:
        raise ModelRetry(f"`{path}` cannot be read as CSV: {failure}") from None


def _parsed(
    text: str, separator: str, path: str, start: float, *, strict: bool, quoted: bool = True
) -> list[list[str]]:
    records: list[list[str]] = []
    cells = 0
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    for record in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict, quoting=quoting):
        if not record or (len(record) == 1 and not record[0].strip()):
            continue
        records.append(record)
        cells += len(record)
        if len(record) > MAX_COLUMNS:
            raise ModelRetry(f"`{path}`: row {len(records)} has {len(record)} columns, more than {MAX_COLUMNS}")
        if len(records) > MAX_ROWS + 1 or cells > MAX_CELLS:
            limit = f"{MAX_ROWS} rows" if len(records) > MAX_ROWS else f"{MAX_CELLS} cells"
            raise ModelRetry(f"`{path}` has more than {limit}: too large for this tool")
        if len(records) % 10_000 == 0 and time.monotonic() - start > LIMIT_S:
            raise ModelRetry(f"`{path}` took longer than {LIMIT_S:g} s to read")
    return records


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


def _squared(records: list[list[str]], header: list[str], said: list[str]) -> tuple[list[list[str]], list[str]]:
    """Return the cells by column, and the columns' names; short rows are filled, long ones add columns."""
    widths = [len(record) for record in records]
    width = len(header) or (Counter(widths).most_common(1)[0][0] if widths else 0)
    longest = max([width, *widths])
    if longest * len(records) > MAX_CELLS:
        raise ModelRetry(f"{len(records)} rows, and one of them has {longest} cells: more than {MAX_CELLS} together")
    while longest > width and not any(len(record) == longest and record[-1].strip() for record in records):
        longest -= 1  # only separators at the end of lines
        for record in records:
            del record[longest:]
    short = sum(size < width for size in widths)
    long = sum(len(record) > width for record in records)
    if short:
        said.append(f"{short} rows are shorter than the {'header' if header else 'others'}: their last cells are empty")
    if long:
        said.append(
            f"{long} rows are longer than the {'header' if header else 'others'}: columns without a name are added"
        )
    for record in records:
        record.extend([""] * (longest - len(record)))
    cells: list[list[str]] = [list(column) for column in zip(*records, strict=True)] or [[] for _ in range(longest)]
    return cells, unique_names([*header, *[""] * (longest - len(header))])


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
