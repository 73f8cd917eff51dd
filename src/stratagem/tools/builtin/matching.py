"""Which rows of a table fulfil conditions.

Rule 1: an empty cell fulfils no comparison, not even `!=`; only `empty`.
Rule 2: the type of the column decides how is compared: numbers as numbers, dates as far as the value goes (`<= 2013`
        includes all of that year), texts without regard to case and spaces.
Rule 3: a value that stands nowhere in a column of texts is a mistake, not an empty result.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from stratagem.core import ModelRetry
from stratagem.tools.builtin.cells import TRUTH, Column, date_of, normal, number_of
from stratagem.tools.builtin.table import Table, nearest
from stratagem.tools.builtin.where import Filter

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Test = Callable[[str], bool]


def resolved(table: Table, filters: Sequence[Filter]) -> tuple[Filter, ...]:
    """Return the conditions with the columns' names as the table has them."""
    return tuple(replace(one, column=table.column(one.column).name) for one in filters)


def selected(table: Table, filters: Sequence[Filter]) -> Sequence[int]:
    """Return the positions of the rows that fulfil all conditions; `ModelRetry` says what is wrong with one."""
    rows: Sequence[int] = range(table.rows)
    for one in filters:
        column = table.column(one.column)
        try:
            test = _test(column, one)
        except ValueError as failure:
            raise ModelRetry(f"condition on {column.name!r}: {failure}") from None
        fitting = {cell for cell in column.counts if test(cell)}
        plain = column.plain
        rows = [row for row in rows if plain[row] in fitting]
    return rows


def _test(column: Column, one: Filter) -> Test:
    operands = one.operands()
    if one.op == "empty":
        return column.is_empty
    if one.op == "not empty":
        return lambda cell: not column.is_empty(cell)
    if one.op == "contains":
        part = normal(operands[0])
        if not part:
            raise ValueError("`contains` needs a text")
        return lambda cell: part in normal(cell) or (column.type == "date" and part in column.dates.get(cell, ""))
    if one.op == "between":
        low, high = _ordered(column, ">=", operands[0]), _ordered(column, "<=", operands[1])
        return lambda cell: low(cell) and high(cell)
    if one.op in _ORDERS:
        return _ordered(column, one.op, operands[0])
    equal = [_equal(column, value) for value in operands]
    if one.op == "!=":
        return lambda cell: not column.is_empty(cell) and not equal[0](cell)
    return lambda cell: any(test(cell) for test in equal)


def _ordered(column: Column, op: str, text: str) -> Test:
    compare = _ORDERS[op]
    if column.type == "boolean":
        raise ValueError("it is yes or no, and neither is larger: use `=`")
    if column.type == "date":
        bound = _date(column, text)
        if bound is None:
            raise ValueError(f"it is a date, and {text!r} is none: write year-month-day")
        return lambda cell: cell in column.dates and compare(column.dates[cell][: len(bound)], bound)
    number = column.number(text) if column.numeric else number_of(text)
    if column.numeric and number is None:
        number = number_of(text)
        if number is None:
            raise ValueError(f"it is a number, and {text!r} is none")
    if number is None:
        folded = normal(text)
        return lambda cell: not column.is_empty(cell) and compare(normal(cell), folded)
    return lambda cell: (value := _number(column, cell)) is not None and compare(value, number)


def _equal(column: Column, text: str) -> Test:
    """Return the test for one value; `ValueError` if it can stand nowhere in the column."""
    if column.type == "date" and (day := _date(column, text)) is not None:
        return lambda cell: cell in column.dates and column.dates[cell][: len(day)] == day
    folded = _truth(text) if column.type == "boolean" else normal(text)
    number = column.number(text)
    if number is None:
        number = number_of(text)
    if column.numeric and number is not None:
        return lambda cell: column.numbers.get(cell) == number

    def test(cell: str) -> bool:
        own = _truth(cell) if column.type == "boolean" else normal(cell)
        return bool(own) and (own == folded or (number is not None and _number(column, cell) == number))

    if not any(test(cell) for cell in column.counts):
        what = "values" if len(column.distinct) <= 40 else "commonest values"
        raise ValueError(f"no cell is {text!r}" + nearest(text, [value for value, _ in column.distinct], what))
    return test


def _number(column: Column, cell: str) -> Decimal | None:
    return column.numbers.get(cell) if column.numeric else number_of(cell)


def _date(column: Column, text: str) -> str | None:
    """Return a day, or the part of it that is given: a year or a month."""
    plain = text.strip()
    if len(plain) == 4 and plain.isdecimal() and plain.isascii():
        return plain
    return column.date(plain) or date_of(plain)


def _truth(text: str) -> str:
    folded = normal(text)
    return {**TRUTH, "1": "true", "0": "false"}.get(folded, folded)
