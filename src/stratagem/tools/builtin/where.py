"""Conditions on rows: how they are given, how they read in words, and how the words are read back.

The words stand in computations and locators, so that whoever opens a citation can apply them again. Names and values
that could be misread stand in quotes, as JSON strings.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Op = Literal["=", "!=", "<", "<=", ">", ">=", "between", "in", "contains", "empty", "not empty"]
Scalar = str | int | float | bool | None

_RESERVED = frozenset(("and", "between", "in", "contains", "is", "where", "rows", "columns", "none"))
_PLAIN = re.compile(r"[^\s\"=<>!,()]+(?: [^\s\"=<>!,()]+)*")
_TOKEN = re.compile(r"\s*(\"(?:\\.|[^\"\\])*\"|[(),]|[^\s\"(),]+)")
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Filter:
    """A condition that a row must fulfil.

    `column` names a column. `op` compares it with `value`; `between` (bounds included) and `in` compare it with
    `values`; `empty` and `not empty` with nothing. Text is compared without regard to case, dates as far as the
    value goes: `= 2013` is any day of that year.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    column: str
    op: Op
    value: Scalar = None
    values: tuple[Scalar, ...] = ()

    def operands(self) -> tuple[str, ...]:
        """Return what it compares with, as text; `ValueError` if the number of values does not fit the operation."""
        given = self.values if self.value is None else (self.value, *self.values)
        if self.op in ("empty", "not empty"):
            return ()
        if self.op == "between" and len(given) != 2:
            raise ValueError(f"`between` needs two `values`, got {len(given)}: [low, high]")
        if self.op not in ("between", "in") and len(given) != 1:
            raise ValueError(f"`{self.op}` needs one `value`, got {len(given)}; for several use `in`")
        if not given or None in given or "" in given:
            raise ValueError(f"`{self.op}` needs a value; for empty cells use the operation `empty`")
        return tuple(scalar_text(one) for one in given)


def scalar_text(value: Scalar) -> str:
    """Return a JSON scalar as a cell would have it.

    >>> scalar_text(True), scalar_text(3.0), scalar_text(0.1), scalar_text(" x ")
    ('true', '3', '0.1', 'x')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()


def name_text(name: str) -> str:
    """Return a name or value as it stands in words: quoted if it could be misread.

    >>> name_text("max speed"), name_text("a, b"), name_text("and")
    ('max speed', '"a, b"', '"and"')
    """
    if name.isprintable() and _PLAIN.fullmatch(name) and not _RESERVED.intersection(name.casefold().split(" ")):
        return name
    return json.dumps(name, ensure_ascii=False)


def in_words(filters: Sequence[Filter]) -> str:
    """Return conditions in words; `filters_of` reads them back.

    >>> in_words([Filter("weather", "=", "rain"), Filter("wind", "between", values=(1, 2.5))])
    'weather = rain and wind between 1 and 2.5'
    """
    said: list[str] = []
    for one in filters:
        column, values = name_text(one.column), [name_text(value) for value in one.operands()]
        if one.op in ("empty", "not empty"):
            said.append(f"{column} is {one.op}")
        elif one.op == "between":
            said.append(f"{column} between {values[0]} and {values[1]}")
        elif one.op == "in":
            said.append(f"{column} in ({', '.join(values)})")
        else:
            said.append(f"{column} {one.op} {values[0]}")
    return " and ".join(said)


def filters_of(text: str) -> tuple[Filter, ...]:
    """Return the conditions that `in_words` wrote; `ValueError` for another text."""
    return _Words(text).read()


class _Words:
    """Reads conditions from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at = text, list[str](), 0
        end = 0
        while end < len(text):
            found = _TOKEN.match(text, end)
            if not found:
                raise ValueError(f"no conditions: {text!r}")
            self.tokens.append(found[1])
            end = found.end()

    def read(self) -> tuple[Filter, ...]:
        filters = [self._one()]
        while self._peek() == "and":
            self.at += 1
            filters.append(self._one())
        if self.at < len(self.tokens):
            raise ValueError(f"no conditions: {self.text!r}")
        return tuple(filters)

    def _one(self) -> Filter:
        column, op = self._term(), self._next()
        if op == "is":
            negated = self._peek() == "not"
            self.at += negated
            self._expect("empty")
            return Filter(column, "not empty" if negated else "empty")
        if op == "between":
            low = self._term()
            self._expect("and")
            return Filter(column, "between", values=(low, self._term()))
        if op == "in":
            self._expect("(")
            values = [self._term()]
            while self._peek() == ",":
                self.at += 1
                values.append(self._term())
            self._expect(")")
            return Filter(column, "in", values=tuple(values))
        if op == "contains":
            return Filter(column, "contains", self._term())
        for sign in _SIGNS:
            if op == sign:
                return Filter(column, sign, self._term())
        raise ValueError(f"no conditions: {self.text!r}")

    def _term(self) -> str:
        first = self._next()
        if first.startswith('"'):
            return json.loads(first)
        words = [first]
        while (word := self._peek()) and not (word in _RESERVED or word[0] in '"(),=<>!'):
            words.append(word)
            self.at += 1
        if first in _RESERVED or first[0] in "(),=<>!":
            raise ValueError(f"no conditions: {self.text!r}")
        return " ".join(words)

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _next(self) -> str:
        if self.at >= len(self.tokens):
            raise ValueError(f"conditions end too early: {self.text!r}")
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise ValueError(f"no conditions: {self.text!r}")
