"""A table in memory, whatever file it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from stratagem.core import ModelRetry
from stratagem.tools.builtin.cells import Column, normal

MAX_ROWS = 200_000
MAX_CELLS = 10_000_000
LIMIT_S = 10.0  # seconds that reading a table may take


@dataclass(frozen=True)
class Table:
    """Rows and columns.

    Attributes:
        path: the file, as the model names it.
        name: the table in a database; empty for a file that is one table.
        columns: by position; their names are unique.
        numbers: of the rows: records from 1 in the order of the file, or row ids of a database.
        notes: what a reader should know about how the file was read.
    """

    path: str
    name: str
    columns: tuple[Column, ...]
    numbers: Sequence[int]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.numbers)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.rows * len(self.columns)

    def column(self, name: str) -> Column:
        """Return a column by name; `ModelRetry` names the nearest ones if there is none."""
        names = [column.name for column in self.columns]
        if name in names:
            return self.columns[names.index(name)]
        same = [column for column in self.columns if normal(column.name) == normal(name)]
        if len(same) == 1:
            return same[0]
        raise ModelRetry(f"`{self.path}` has no column {name!r}" + nearest(name, names, "columns"))

    def record(self, row: int) -> dict[str, str]:
        """Return the cells of a row (a position, from 0), by column, as they stand in the file."""
        return {column.name: column.cells[row] for column in self.columns}


def nearest(name: str, known: Sequence[str], what: str) -> str:
    """Return what to say about a name that is not known: those that are like it, and which there are."""
    folded = {one.casefold(): one for one in known}
    near = [folded[one] for one in get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    said = f"; nearest: {', '.join(map(repr, near))}" if near else ""
    listed = ", ".join(repr(one) for one in known[:40])
    return f"{said}; {what}: {listed or 'none'}{f' and {len(known) - 40} more' if len(known) > 40 else ''}"
