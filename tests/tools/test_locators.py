"""Conditions in words and locators: what is written is read back, and opens to what was cited."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.errors import UsageError
from stratagem.tools.builtin.locators import (
    Locator,
    file_line,
    file_lines,
    open_locator,
    parse_locator,
    query_locator,
    ranges_of,
    table_rows,
)
from stratagem.tools.builtin.where import Filter, Op, filters_of, in_words, scalar_text

TEXT = st.text(alphabet=st.sampled_from('ab 1,.:;"\\/()=<>!-\u00e9\u4e2d\n\t'), min_size=1, max_size=12)
WORDS = st.sampled_from(
    ["and", "in", "is", "not", "empty", "between", "contains", "rows", "columns", "x and y", "a.db/b"]
)
NAME = st.one_of(TEXT, WORDS).filter(lambda text: text.strip() == text)
VALUE = NAME.filter(lambda text: text != "")


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    op: Op = draw(st.sampled_from(get_args(Op)))
    column = draw(NAME)
    if op in ("empty", "not empty"):
        return Filter(column, op)
    if op == "between":
        return Filter(column, op, values=(draw(VALUE), draw(VALUE)))
    if op == "in":
        return Filter(column, op, values=tuple(draw(st.lists(VALUE, min_size=1, max_size=3))))
    return Filter(column, op, draw(VALUE))


@given(st.lists(filters(), min_size=1, max_size=4).map(tuple))
def test_conditions_in_words_are_read_back(where: tuple[Filter, ...]) -> None:
    assert filters_of(in_words(where)) == where


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ([Filter("weather", "=", "rain")], "weather = rain"),
        ([Filter("max wind", ">=", 3.0), Filter("n", "!=", 0.1)], "max wind >= 3 and n != 0.1"),
        ([Filter("day", "between", values=("2013-01-01", "2013-12-31"))], "day between 2013-01-01 and 2013-12-31"),
        ([Filter("weather", "in", values=("rain", "snow"))], "weather in (rain, snow)"),
        ([Filter("name", "contains", "a, b")], 'name contains "a, b"'),
        ([Filter("wind (m/s)", "empty"), Filter("x", "not empty")], '"wind (m/s)" is empty and x is not empty'),
        ([Filter("and", "=", True)], '"and" = true'),
    ],
)
def test_conditions_read_like_a_sentence(where: list[Filter], words: str) -> None:
    assert in_words(where) == words


@pytest.mark.parametrize(
    "text",
    ["", "weather", "weather =", "weather = rain and", "x between 1", "x between 1 or 2", "x in 1", "x in (1", "= 1",
     "x ~ 1", "x is full", "a = b c = d", 'x = "open', "x = 1)"],
)  # fmt: skip
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"condition"):
        filters_of(text)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (Filter("a", "="), "`=` needs one `value`, got 0"),
        (Filter("a", "<", 1, (2,)), "`<` needs one `value`, got 2; for several use `in`"),
        (Filter("a", "between", 1), "`between` needs two `values`, got 1"),
        (Filter("a", "in"), "`in` needs a value"),
        (Filter("a", "=", ""), "for empty cells use the operation `empty`"),
        (Filter("a", "in", values=("x", None)), "for empty cells use the operation `empty`"),
    ],
)
def test_a_condition_needs_the_values_of_its_operation(one: Filter, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        one.operands()


def test_values_may_stand_in_either_field() -> None:
    assert Filter("a", "in", "x", ("y",)).operands() == ("x", "y")
    assert Filter("a", "=", values=("x",)).operands() == ("x",)
    assert Filter("a", "between", 1, (2,)).operands() == ("1", "2")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (3.0, "3"), (0.1, "0.1"), (10**20, "1" + "0" * 20), (" x ", "x")],
)
def test_scalars_are_written_as_cells_have_them(value: Any, text: str) -> None:
    assert scalar_text(value) == text


PATH = st.one_of(
    st.lists(NAME.filter(lambda text: "/" not in text), min_size=1, max_size=3).map("/".join),
    st.sampled_from(["a.db", "a.db/b.csv", "x.sqlite3/y.db", "calculate", "a:5", "data: 1.csv", 'q"uote.md', "A.DB"]),
)
RANGES = st.lists(st.integers(1, 60), unique=True, max_size=20).map(ranges_of)


@st.composite
def locators(draw: st.DrawFn) -> Locator:
    path = draw(PATH)
    kind = draw(st.sampled_from(["lines", "rows", "where", "query", "calculate"]))
    columns = tuple(draw(st.lists(NAME, max_size=3)))
    table = draw(st.one_of(st.just(""), NAME))
    if kind == "lines":
        first = draw(st.integers(1, 99))
        return Locator(path, lines=(first, first + draw(st.integers(0, 9))))
    if kind == "rows":
        return Locator(path, table, ranges=draw(RANGES), columns=columns)
    if kind == "where":
        where = tuple(draw(st.lists(filters(), min_size=1, max_size=2)))
        return Locator(path, table, where=where, matched=draw(st.integers(0, 9)), total=9, columns=columns)
    if kind == "query":
        return Locator(path, text=draw(st.sampled_from(["SELECT 1", 'select a: b from "x/y" where z = \'a.db/"b\''])))
    return Locator("calculate", text="1 + 1 = 2")


@given(locators())
def test_locators_are_read_back(locator: Locator) -> None:
    if locator.path == "calculate" and locator.text.startswith(("SELECT", "select")):
        return  # the computation's own name: a file of that name is cited in quotes and queried as any other
    assert parse_locator(str(locator)) == locator
    assert "\n" not in str(locator)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (file_line("docs/manual.md", 42), "docs/manual.md:42"),
        (file_lines("docs/manual.md", 42, 45), "docs/manual.md:42-45"),
        (table_rows("w.csv", "", range(1, 1462), columns=("wind", "day")), "w.csv: rows 1-1461, columns wind, day"),
        (table_rows("w.csv", "", [9, 3, 4, 5]), "w.csv: rows 3-5,9"),
        (table_rows("w.db", "days", [1], columns=("a, b",)), 'w.db/days: rows 1, columns "a, b"'),
        (table_rows("w.csv", "", []), "w.csv: rows none"),
        (
            table_rows("w.csv", "", list(range(1, 30, 2)), where=[Filter("x", ">", 3)], matched=15, total=30, columns=("x",)),
            "w.csv: rows where x > 3 (15 of 30), columns x",
        ),
        (
            table_rows("w.csv", "", list(range(1, 25, 2)), where=[Filter("x", ">", 3)], matched=12, total=30),
            "w.csv: rows 1,3,5,7,9,11,13,15,17,19,21,23",
        ),
        (table_rows("w.csv", "", [], where=[Filter("x", ">", 3)], matched=0, total=9), "w.csv: rows where x > 3 (0 of 9)"),
        (table_rows("weather.dat", "days", [1]), '"weather.dat"/days: rows 1'),
        (query_locator("w.db", "select a -- why\n  from 'x\ny' ;\n"), "w.db: select a from 'x\ny'"),
    ],
)  # fmt: skip
def test_locators_read_as_they_are_documented(made: str, text: str) -> None:
    assert made == text


@pytest.mark.parametrize(
    "text", ["", "docs/manual.md", "a.csv: ", "a.csv: rows ", "a.csv: rows x", "a.csv: rows where y", "a:b", '"a.csv: rows 1', "a.csv: rows where x = 1, columns x", "calculate: 1 + 1"]
)  # fmt: skip
def test_what_is_no_locator_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a locator"):
        parse_locator(text)


@pytest.fixture
def data(folder: Any) -> Any:
    folder.write("docs/a.md", "one\ntwo\nthree\n")
    folder.write(
        "w.csv", "day,wind,sky\n" + "".join(f"{n},{n % 7},{'red' if n % 2 else 'blue'}\n" for n in range(1, 41))
    )
    folder.database(
        "w.db", "CREATE TABLE days (wind)", "INSERT INTO days VALUES (5), (6)", "DELETE FROM days WHERE wind=5"
    )
    return folder


@pytest.mark.parametrize(
    ("text", "lines", "rows"),
    [
        ("docs/a.md:2-3", ("two", "three"), ()),
        ("w.csv: rows 2,4-5, columns wind", (), ((2, {"wind": "2"}), (4, {"wind": "4"}), (5, {"wind": "5"}))),
        (
            "w.csv: rows where wind = 6 and sky = RED (2 of 40), columns day",
            (),
            ((13, {"day": "13"}), (27, {"day": "27"})),
        ),
        ("w.csv: rows none", (), ()),
        ("w.db/days: rows 2", (), ((2, {"wind": "6"}),)),
        ("w.db: SELECT count(*) AS n FROM days", (), ((1, {"n": 1}),)),
        ("calculate: 17 * 23 = 391", ("17 * 23 = 391",), ()),
    ],
)
def test_what_stands_at_a_locator_is_returned(data: Any, text: str, lines: Any, rows: Any) -> None:
    opened = open_locator(data.path, text)
    assert opened.lines == lines
    assert opened.rows[: len(rows)] == rows


def test_a_quotation_can_be_looked_for_in_what_was_opened(data: Any) -> None:
    assert open_locator([data.path], "w.csv: rows 2").text == "day = 2; wind = 2; sky = blue"
    assert open_locator(data.path, "docs/a.md:1-2").text == "one\ntwo"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("docs/a.md:4", "the file has 3 lines"),
        ("docs/a.md:3-2", "the file has 3 lines"),
        ("docs/none.md:1", "there is no file"),
        ("../a.md:1", "has a part `..`"),
        ("w.csv: rows 41", "there is no row 41"),
        ("w.csv: rows 1, columns rain", "has no column 'rain'"),
        ("w.csv: rows where wind = 6 (6 of 40)", "5 of 40 rows fulfil the conditions"),
        ("w.db/weeks: rows 1", "has no table 'weeks'"),
        ("w.db/days: rows 1", "there is no row 1"),
        ("w.db: DROP TABLE days", "only reading is allowed"),
        ("calculate: 17 * 23 = 392", "it is 391"),
        ("calculate: 17 * y = 1", "is not arithmetic"),
    ],
)
def test_what_does_not_stand_there_is_an_error(data: Any, text: str, said: str) -> None:
    with pytest.raises(UsageError, match="(?s)" + said.replace("(", "\\(")):
        open_locator(data.path, text)
