"""What the cells of a table column mean: numbers, dates, truth values or text.

A column is of a type if at least 95 % of its cells are. Cells such as `NA` or `-` count as empty in a column of
numbers or dates and are text elsewhere (`NA` is Namibia). A column with a number like `007` is text: those are names.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from functools import cached_property
from typing import Literal

Type = Literal["number", "integer", "text", "date", "boolean"]

SHARE = 0.95  # of the cells must be numbers, for a column of numbers
MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "-", "--", "\u2013", "\u2014", "?", ".")
)
TRUTH = {"true": "true", "false": "false", "yes": "true", "no": "false", "y": "true", "n": "false"}
MAX_NUMBER = 400  # characters
CURRENCIES = "$€£¥₹"

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_COMMA = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+),[0-9]+")
_POINTS = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})+")
_NAME = re.compile(r"[+-]?0[0-9]+")
_TIME = r"(?:[T ]\s?([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?\s?([AaPp][Mm])?\s?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?"
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})" + _TIME)
_MONTH_ONLY = re.compile(r"([0-9]{4})[-/](0[1-9]|1[0-2])")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})" + _TIME)
_DAY_NAME = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?[ -]([A-Za-z]{3,9})\.?,?[ -]([0-9]{4})" + _TIME)
_NAME_DAY = re.compile(r"([A-Za-z]{3,9})\.? ([0-9]{1,2})(?:st|nd|rd|th)?,? ([0-9]{4})" + _TIME)
_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = tuple(_MONTH_NAMES.split())

_EXACT = Context(prec=2_500)  # longer than any cell that is a number needs

Order = Literal["day first", "month first", ""]


def normal(text: str) -> str:
    r"""Return the form in which texts are compared: no case, single spaces, composed characters.

    >>> normal("  Sa\u0303o  PAULO ") == normal("S\u00e3o Paulo")
    True
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def number_of(text: str, *, comma: bool = False) -> Decimal | None:
    """Return the number that a cell is, or None.

    Args:
        text: the cell.
        comma: whether the comma is the decimal sign.

    >>> number_of("1,234.5"), number_of("1.234,5", comma=True), number_of("007")
    (Decimal('1234.5'), Decimal('1234.5'), None)
    """
    plain = text.strip().replace("\u2212", "-")
    if len(plain) > MAX_NUMBER:
        return None
    if _NAME.fullmatch(plain):
        return None
    if comma and (_COMMA.fullmatch(plain) or _POINTS.fullmatch(plain)):
        plain = plain.replace(".", "").replace(",", ".")
    elif not comma and _GROUPED.fullmatch(plain):
        plain = plain.replace(",", "")
    if not _NUMBER.fullmatch(plain):
        return None
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def date_of(text: str, order: Order = "") -> str | None:
    """Return a date in ISO form, with its time if it has one, or None.

    Args:
        text: the cell.
        order: what comes first in dates such as 3/4/2020; those are no dates if it is empty.

    >>> date_of("2012/1/5"), date_of("5 Jan 2012 14:30"), date_of("3/4/2020", "day first"), date_of("2012-02-30")
    ('2012-01-05', '2012-01-05T14:30', '2020-04-03', None)
    """
    text = text.strip()
    if not text or len(text) > 40 or not any(sign.isdigit() for sign in text):
        return None
    if found := _YEAR_FIRST.fullmatch(text):
        return _iso(found[1], found[3], found[4], found.groups()[4:])
    if found := _MONTH_ONLY.fullmatch(text):
        return f"{found[1]}-{found[2]}"
    if found := _YEAR_LAST.fullmatch(text):
        first = "day first" if found[2] == "." else order
        if not first:
            return None
        day, month = (found[1], found[3]) if first == "day first" else (found[3], found[1])
        return _iso(found[4], month, day, found.groups()[4:])
    if found := _DAY_NAME.fullmatch(text):
        return _iso(found[3], _month(found[2]), found[1], found.groups()[3:])
    if found := _NAME_DAY.fullmatch(text):
        return _iso(found[3], _month(found[1]), found[2], found.groups()[3:])
    return None


def _month(name: str) -> str:
    name = name.casefold()
    return next((str(at) for at, month in enumerate(_MONTHS, 1) if name in (month, month[:3], month[:4])), "0")


def _iso(year: str, month: str, day: str, time: Sequence[str | None]) -> str | None:
    try:
        text = date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
    hour, minute, second, half, zone = time
    if hour is None or minute is None:
        return text
    hours = int(hour)
    if half:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half.casefold() == "pm" else 0)
    if hours > 24 or int(minute) > 59:
        return None
    text += f"T{hours:02}:{minute}" + (f":{second}" if second else "")
    return text + (zone or "").replace("UTC", "Z")


class Column:
    """A column: its cells as they stand in the file, and what they mean.

    Args:
        name: unique in its table.
        cells: the texts, one per row.
        comma: whether a decimal comma is possible (another sign separates the columns).
    """

    def __init__(self, name: str, cells: Sequence[str], *, comma: bool = False) -> None:
        self.name, self.cells, self._may_comma = name, cells, comma

    def __repr__(self) -> str:
        return f"Column({self.name!r}, {len(self.cells)} cells)"

    @cached_property
    def plain(self) -> list[str]:
        """The cells without spaces around them: the keys of `numbers` and `dates`."""
        return list(map(str.strip, self.cells))

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each text stands in the column, without spaces around it; by first appearance."""
        return Counter(self.plain)

    @cached_property
    def _present(self) -> dict[str, int]:
        return {cell: count for cell, count in self.counts.items() if cell.casefold() not in MISSING}

    @cached_property
    def unit(self) -> str | None:
        """`%` or a currency sign that every cell carries."""
        if not self._present:
            return None
        first = next(iter(self._present))
        for sign in ("%", *CURRENCIES):
            if sign in first and all(_without(cell, sign) is not None for cell in self._present):
                return sign
        return None

    @cached_property
    def _comma(self) -> bool:
        """Whether the comma is the decimal sign: possible, needed by some cell, contradicted by none."""
        if not self._may_comma:
            return False
        bare = [self.bare(cell) for cell in self._present]
        needs = any(_COMMA.fullmatch(cell) and not _GROUPED.fullmatch(cell) for cell in bare)
        return needs and not any(number_of(cell, comma=True) is None and number_of(cell) is not None for cell in bare)

    @cached_property
    def _order(self) -> Order:
        """What comes first in dates such as 3/4/2020: known as soon as one cell leaves no choice."""
        pairs = [(int(found[1]), int(found[3])) for cell in self._present if (found := _YEAR_LAST.fullmatch(cell))]
        day, month = any(first > 12 for first, _ in pairs), any(second > 12 for _, second in pairs)
        return "" if day == month else "day first" if day else "month first"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said about how its cells are understood."""
        dates = (_YEAR_LAST.fullmatch(cell) for cell in self._present)
        if self.type != "text" or not self._present or not all(found and found[2] != "." for found in dates):
            return ()
        return (f"nobody can say whether day or month comes first in column {self.name!r}: it is text",)

    def bare(self, text: str) -> str:
        """Return a text without the column's unit."""
        bare = _without(text, self.unit) if self.unit else None
        return text.strip() if bare is None else bare

    def number(self, text: str) -> Decimal | None:
        """Return the number that a text is in this column, or None."""
        return number_of(self.bare(text), comma=self._comma)

    def date(self, text: str) -> str | None:
        """Return the date that a text is in this column in ISO form, or None."""
        return date_of(text, self._order)

    @cached_property
    def numbers(self) -> dict[str, Decimal]:
        """The number of each text that is one."""
        return {cell: value for cell in self._present if (value := self.number(cell)) is not None}

    @cached_property
    def dates(self) -> dict[str, str]:
        """The date of each text that is one, in ISO form."""
        return {cell: value for cell in self._present if (value := self.date(cell)) is not None}

    @cached_property
    def type(self) -> Type:
        """What at least 95 % of the cells are that are not empty."""
        total = sum(self._present.values())
        if not total:
            return "text"

        def share(known: dict[str, Decimal] | dict[str, str]) -> float:
            return sum(self._present[cell] for cell in known) / total

        if not any(_NAME.fullmatch(cell) for cell in self._present) and share(self.numbers) >= SHARE:
            whole = not self.unit and all(_INTEGER.fullmatch(cell) or _GROUPED.fullmatch(cell) for cell in self.numbers)
            return "integer" if whole and all(value == int(value) for value in self.numbers.values()) else "number"
        if all(cell.casefold() in TRUTH for cell in self._present):
            return "boolean"
        return "date" if share(self.dates) >= SHARE else "text"

    @property
    def numeric(self) -> bool:
        """Whether it is a column of numbers."""
        return self.type in ("number", "integer")

    def is_empty(self, cell: str) -> bool:
        """Return whether a cell says nothing."""
        plain = cell.strip().casefold()
        return not plain or (plain in MISSING and self.type != "text")

    @cached_property
    def empty(self) -> int:
        """Number of empty cells."""
        return sum(count for cell, count in self.counts.items() if self.is_empty(cell))

    @cached_property
    def wrong(self) -> int:
        """Number of cells that are neither empty nor of the column's type."""
        if self.type not in ("number", "integer", "date"):
            return 0
        known = self.numbers if self.numeric else self.dates
        return sum(count for cell, count in self.counts.items() if cell not in known and not self.is_empty(cell))

    @cached_property
    def key(self) -> Callable[[str], str]:
        """Return the form in which cells of this column are equal: of the number, the date, or the text."""
        if self.numeric:
            return lambda cell: _number_key(self.numbers.get(cell.strip()), cell)
        if self.type == "date":
            return lambda cell: self.dates.get(cell.strip()) or normal(cell)
        return normal

    @cached_property
    def distinct(self) -> list[tuple[str, int]]:
        """The distinct values that are not empty, as first written, with their number; the commonest first."""
        first: dict[str, str] = {}
        many: Counter[str] = Counter()
        for cell, count in self.counts.items():
            if not self.is_empty(cell):
                many[first.setdefault(self.key(cell), cell)] += count
        return sorted(many.items(), key=lambda pair: (-pair[1], pair[0]))


def _number_key(value: Decimal | None, cell: str) -> str:
    return normal(cell) if value is None else str(_EXACT.normalize(value) if value else 0)


def _without(text: str, sign: str) -> str | None:
    """Return a text without the unit at its start or end, or None if it has none."""
    text = text.strip()
    if text.endswith(sign):
        return text[: -len(sign)].rstrip()
    if sign != "%" and text.startswith(sign):
        return text[len(sign) :].lstrip()
    if sign != "%" and text[:1] in "+-" and text[1:].startswith(sign):
        return text[0] + text[1 + len(sign) :].lstrip()
    return None
