"""query_table against an independent implementation, on tables that are drawn at random."""

import csv
import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import ModelRetry
from stratagem.tools.builtin.cells import Column
from stratagem.tools.builtin.locators import open_locator, parse_locator
from stratagem.tools.builtin.query import query_table
from stratagem.tools.builtin.roots import Roots
from stratagem.tools.builtin.table import Table
from stratagem.tools.builtin.tables import Tables
from stratagem.tools.builtin.where import Filter

NUMBER = st.one_of(st.integers(-50, 50).map(str), st.decimals(-50, 50, places=2).map(str), st.just(""))
KIND = st.sampled_from(["rain", "Rain", "sun", "light snow", ""])
DAY = st.dates().filter(lambda day: day.year > 1000).map(str)
ROWS = st.lists(st.tuples(NUMBER, KIND, DAY), min_size=1, max_size=30)
OPS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class Fixed:
    """Tables that hold one table."""

    def __init__(self, rows: list[tuple[str, str, str]]) -> None:
        columns = [Column(name, [row[at] for row in rows]) for at, name in enumerate(("amount", "kind", "day"))]
        self.table = Table("t.csv", "", tuple(columns), range(1, len(rows) + 1))

    def read(self, path: str, table: str) -> Table:
        return self.table


def naive(rows: list[tuple[str, str, str]], tests: list[tuple[int, str, str]]) -> list[int]:
    chosen: list[int] = []
    for number, row in enumerate(rows, 1):
        for at, op, value in tests:
            cell = row[at]
            if cell == "":
                break
            left: Any = Fraction(cell) if at == 0 else cell.lower()
            right: Any = Fraction(value) if at == 0 else value.lower()
            if not OPS[op](left, right):
                break
        else:
            chosen.append(number)
    return chosen


def measured(measure: str, values: list[Fraction]) -> Fraction | None:
    values = sorted(values)
    if not values:
        return None
    half = len(values) // 2
    match measure:
        case "sum":
            return sum(values, Fraction(0))
        case "mean":
            return sum(values, Fraction(0)) / len(values)
        case "median":
            return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
        case "min":
            return values[0]
        case _:
            return values[-1]


@given(
    ROWS,
    st.sampled_from(["sum", "mean", "min", "max", "median"]),
    st.lists(
        st.one_of(
            st.tuples(st.just(0), st.sampled_from(sorted(OPS)), st.integers(-60, 60).map(str)),
            st.tuples(st.just(2), st.sampled_from(sorted(OPS)), DAY),
        ),
        max_size=2,
    ),
)
def test_measures_agree_with_an_independent_computation(
    rows: list[tuple[str, str, str]], measure: Any, tests: list[tuple[int, str, str]]
) -> None:
    amounts = [row[0] for row in rows if row[0]]
    ask = query_table(Fixed(rows))  # pyright: ignore[reportArgumentType]
    if not amounts:
        return
    names = ("amount", "kind", "day")
    conditions: Any = tuple(Filter(names[at], op, value) for at, op, value in tests)  # pyright: ignore[reportArgumentType]
    result = ask("t.csv", measure, "amount", conditions).result
    chosen = naive(rows, tests)
    expected = measured(measure, [Fraction(rows[number - 1][0]) for number in chosen if rows[number - 1][0]])
    assert result["matched"] == len(chosen)
    if measure not in ("min", "max") or expected is None:
        assert result["rows"] == chosen
    else:
        assert result["rows"] == [n for n in chosen if rows[n - 1][0] and Fraction(rows[n - 1][0]) == expected]
    assert (result["value"] is None) is (expected is None)
    if expected is not None:
        exact = Fraction(str(result["value"]))
        assert exact == expected if measure != "mean" else abs(exact - expected) <= abs(expected) / 10**11


@given(ROWS, st.sampled_from(["none", "ascending", "descending"]), st.integers(0, 4))
def test_groups_and_lists_agree_with_an_independent_computation(
    rows: list[tuple[str, str, str]], order: Any, top: int
) -> None:
    ask = query_table(Fixed(rows))  # pyright: ignore[reportArgumentType]
    groups: dict[str, list[str]] = {}
    for _, kind, _ in rows:
        groups.setdefault(kind.lower(), []).append(kind)
    made = [[kinds[0], len(kinds), len(kinds)] for kinds in groups.values()]
    if order != "none":
        made.sort(key=lambda one: str(one[0]))
        made.sort(key=lambda one: int(one[1]), reverse=order == "descending")
    assert ask("t.csv", "count", group_by="kind", order=order, top=top).result["groups"] == (
        made[:top] if top else made
    )
    numbers = list(range(1, len(rows) + 1))
    if any(row[0] for row in rows):
        if order != "none":
            there = [number for number in numbers if rows[number - 1][0]]
            there.sort(key=lambda number: Fraction(rows[number - 1][0]), reverse=order == "descending")
            numbers = there + [number for number in numbers if not rows[number - 1][0]]
        listed = ask("t.csv", "list", "amount", order=order, top=top)
        assert listed.result["rows"] == (numbers[:top] if top else numbers)
        assert parse_locator(listed.sources[0]).ranges is not None


@given(ROWS, st.sampled_from(["rain", "SUN", "light  snow"]), st.sampled_from(["=", "!=", "in"]))
def test_what_is_cited_can_be_recomputed_from_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], kind: str, op: Any
) -> None:
    root: Path = tmp_path_factory.mktemp("cited")
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("amount", "kind", "day"), *rows])
    (root / "t.csv").write_text(out.getvalue())
    ask = query_table(Tables(Roots([root])))
    try:
        seen = ask("t.csv", "count", where=(Filter("kind", op, kind),))
    except ModelRetry:
        assert not any(row[1].lower() == " ".join(kind.lower().split()) for row in rows)
        return
    opened = open_locator(root, seen.sources[0])
    assert len(opened.rows) == seen.result["value"] == seen.result["matched"]
    for number, row in opened.rows:
        assert rows[number - 1][1] == row["kind"]
