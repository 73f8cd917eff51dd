"""Tables as an observation described them: columns, their types and the values that were shown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stratagem.models.offline.words import DATING, PERIODS, UNITS, parts, root, tokens

NUMERIC = frozenset(("number", "integer"))
_SILENT = frozenset("-/.,'’():\"|")


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: as the table writes it.
        words: stems of its words.
        kind: `number integer text date boolean`.
        values: distinct values that are known, as they are written.
        complete: whether those are all.
        distinct: how many distinct values there are.
        empty: how many cells are empty.
        low: smallest value of numbers and dates.
        high: largest value of numbers and dates.
        said: the unit that its cells carry.
    """

    name: str
    words: tuple[str, ...]
    kind: str
    values: tuple[str, ...]
    complete: bool
    distinct: int
    empty: int
    low: Any = None
    high: Any = None
    said: str = ""

    @property
    def numeric(self) -> bool:
        """Whether it can be added up."""
        return self.kind in NUMERIC

    @property
    def unit(self) -> str:
        """The unit that its cells or its name carry; empty if none."""
        return self.said or UNITS.get(_last(self.name), "")


class Table(NamedTuple):
    """A table of a file: one file may hold several."""

    path: str
    name: str
    rows: int
    columns: tuple[Column, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Stems of what the table is called: its own name, else its file's."""
        return parts(self.name or file_stem(self.path))

    @property
    def place(self) -> str:
        """How a person is told where it is."""
        return f"{self.path}/{self.name}" if self.name else self.path

    def called_like_rows(self, column: Column) -> bool:
        """Whether a column is called as the rows are: `order` in `orders.csv`."""
        return column.words in (self.words, self.words[-1:])

    def unique(self, column: Column) -> bool:
        """Whether no value of a column stands in two rows."""
        return column.distinct >= self.rows - column.empty

    def numbering(self, column: Column) -> bool:
        """Whether a column seems to number the rows, such as order numbers: they are no amounts."""
        if column.kind != "integer" or column.empty or not self.unique(column):
            return False
        low, high = column.low, column.high
        running = isinstance(low, int | float) and isinstance(high, int | float) and high - low == self.rows - 1
        first = column.name == self.columns[0].name and not column.name.casefold().endswith("s")
        several = self.rows > 3  # of fewer, anything may be chance
        return (running and several) or (first and (several or self.called_like_rows(column)))

    @property
    def label(self) -> Column | None:
        """The column that names the rows; None if none does."""
        texts = [column for column in self.columns if column.kind == "text"]
        like = [column for column in texts if self.called_like_rows(column)]
        titles = {"name", "title", "label"}
        titled = [c for c in texts if titles & set(c.words) and set(c.words) <= titles | set(self.words)]
        single = [column for column in texts if self.unique(column)]
        first = [column for column in texts if column.name == self.columns[0].name]
        return next((having[0] for having in (like, titled, single, first) if having), None)

    def names_rows(self, column: Column) -> bool:
        """Whether a value of a column says which row is meant."""
        if column.numeric:
            return column.name == self.columns[0].name or self.called_like_rows(column)
        return self.label is not None and column.name == self.label.name

    def related(self, column: Column) -> bool:
        """Whether the values of a column are names of rows too, such as the boss of a person."""
        label = self.label
        if label is None or label.name == column.name:
            return False
        return not {value.casefold() for value in label.values}.isdisjoint(value.casefold() for value in column.values)

    def column(self, name: str) -> Column | None:
        """Return the column of that name."""
        return next((column for column in self.columns if column.name == name), None)


def file_stem(path: str) -> str:
    """Return the file's name without folders and ending.

    >>> file_stem("a/b/seattle-weather.csv")
    'seattle-weather'
    """
    return path.rpartition("/")[2].rpartition(".")[0] or path.rpartition("/")[2]


def flat(text: str) -> tuple[str, ...]:
    """Return the comparable words of a value or a name; symbols that change the meaning count as words.

    >>> flat("New York"), flat("C++"), flat("north-east"), flat("9.50")
    (('new', 'york'), ('c', '+', '+'), ('north', 'east'), ('9.50',))
    """
    words: list[str] = []
    for token in tokens(text):
        if token.kind in ("word", "quote"):
            words.extend(parts(token.text))
        elif token.kind != "mark" or token.text not in _SILENT:
            words.append(token.text.casefold())
    return tuple(words)


def mapping(form: Any) -> Mapping[str, Any]:
    """Return JSON data as an object; empty if it is none."""
    return form if isinstance(form, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]  (JSON data)


def items(form: Any) -> Sequence[Any]:
    """Return JSON data as a list; empty if it is none."""
    return form if isinstance(form, list | tuple) else ()  # pyright: ignore[reportUnknownVariableType]  (JSON data)


def described(result: Any) -> tuple[Table, ...]:
    """Return the table of one description; empty if it has not the expected shape, or only names tables."""
    form = mapping(result)
    columns = [mapping(entry) for entry in items(form.get("columns"))]
    path, rows = form.get("path"), form.get("rows")
    if not columns or not all(isinstance(one.get("name"), str) for one in columns):
        return ()
    if not isinstance(path, str) or not isinstance(rows, int):
        return ()
    return (Table(path, str(form.get("table") or ""), rows, tuple(map(_column, columns))),)


def names(result: Any) -> tuple[str, ...]:
    """Return the tables that a description names."""
    found: list[str] = []
    for entry in items(mapping(result).get("tables")):
        form = mapping(entry)
        name = form.get("table", form.get("name")) if form else entry
        if isinstance(name, str):
            found.append(name)
    return tuple(found)


def _column(entry: Mapping[str, Any]) -> Column:
    values = tuple(key(_cell(value)) for value in items(entry.get("values")) if value is not None)
    said, empty = entry.get("distinct"), entry.get("empty")
    count = said if isinstance(said, int) else len(values)
    return Column(
        entry["name"],
        parts(entry["name"]),
        str(entry.get("type") or "text"),
        values,
        len(values) >= count,
        count,
        empty if isinstance(empty, int) else 0,
        _edge(entry.get("min")),
        _edge(entry.get("max")),
        UNITS.get(str(entry.get("unit") or "").casefold(), ""),
    )


def _edge(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else None


def _cell(value: Any) -> Any:
    """A distinct value may come with its count."""
    several = items(value)
    return several[0] if several else mapping(value).get("value", value)


def same(said: str, value: str) -> bool:
    """Whether two texts are equal but for case and spaces."""
    return " ".join(said.split()).casefold() == " ".join(value.split()).casefold()


def named(column: Column, table: Table) -> tuple[tuple[str, ...], ...]:
    """Return the ways in which a question may name the column.

    All its words; without its unit; without the words of the table's own name.
    """
    ways = [column.words]
    bare = column.words[:-1] if len(column.words) > 1 and _strippable(column.name) else column.words
    own = set(table.words)
    for way in (bare, tuple(w for w in column.words if w not in own), tuple(w for w in bare if w not in own)):
        if way and way not in ways:
            ways.append(way)
    if len(column.words) == 2 and column.words[1] in ("max", "min", "avg"):
        ways.append((column.words[1], column.words[0]))
    return tuple(ways)


def _last(name: str) -> str:
    """Return the last word of a name, singular, if there is more than one."""
    words = parts(name)
    return words[-1] if len(words) > 1 else ""


def _strippable(name: str) -> bool:
    """Whether the last word is a unit that says nothing else: `_min` may be the smallest, `_month` a rate."""
    last = _last(name)
    if last not in UNITS or last in ("min", "max"):
        return False
    return last not in PERIODS or name.casefold().rstrip(" )]").endswith("s")


def dates_rows(column: Column, table: Table) -> bool:
    """Whether a column of dates says when its rows happened: it is called so, or like the table."""
    own = {root(word) for word in table.words}
    return column.kind == "date" and all(word in DATING or root(word) in own for word in column.words)


def key(text: Any) -> str:
    """Return a value as text, without a decimal point that says nothing."""
    if isinstance(text, float) and text.is_integer():
        return str(int(text))
    return re.sub(r"\s+", " ", str(text)).strip()
