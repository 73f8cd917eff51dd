"""What cells mean: numbers, dates, truth values, text."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tools.builtin.cells import Column, date_of, number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("-12", "-12"),
        ("+3.50", "3.50"),
        (".5", "0.5"),
        ("7.", "7"),
        ("1e3", "1000"),
        ("2.5E-3", "0.0025"),
        (" 4 ", "4"),
        ("\u22125", "-5"),
        ("1,234", "1234"),
        ("12,345,678.9", "12345678.9"),
    ],
)
def test_numbers_are_read_exactly(text: str, number: str) -> None:
    assert number_of(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    ["", "-", "abc", "1.2.3", "1,23", "1,2345", "007", "-01", "1 234", "0x1f", "inf", "nan", "1e9999", "12%", "$5", "\u0663", "9" * 401],
)  # fmt: skip
def test_what_is_no_number_is_not_read_as_one(text: str) -> None:
    assert number_of(text) is None


@pytest.mark.parametrize(
    ("text", "number"), [("1,5", "1.5"), ("1.234,5", "1234.5"), ("1.234", "1234"), ("12", "12"), ("0,5", "0.5")]
)
def test_a_decimal_comma_is_read_where_it_is_one(text: str, number: str) -> None:
    assert number_of(text, comma=True) == Decimal(number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_a_decimal_as_python_writes_it_is_read_back(number: Decimal) -> None:
    assert number_of(format(number, "f")) == number


@given(st.integers(-(10**30), 10**30))
def test_thousands_commas_are_read_back(number: int) -> None:
    assert number_of(f"{number:,}") == number


@pytest.mark.parametrize(
    ("text", "order", "iso"),
    [
        ("2012-01-05", "", "2012-01-05"),
        ("2012/1/5", "", "2012-01-05"),
        ("2012.01.05", "", "2012-01-05"),
        ("2012-01", "", "2012-01"),
        ("2012-01-05 14:30", "", "2012-01-05T14:30"),
        ("2012-01-05T14:30:59.5Z", "", "2012-01-05T14:30:59.5Z"),
        ("2012-01-05T14:30:00+02:00", "", "2012-01-05T14:30:00+02:00"),
        ("5.1.2012", "", "2012-01-05"),
        ("05/01/2012", "day first", "2012-01-05"),
        ("05/01/2012", "month first", "2012-05-01"),
        ("5 Jan 2012", "", "2012-01-05"),
        ("5th January, 2012", "", "2012-01-05"),
        ("Jan 5, 2012", "", "2012-01-05"),
        ("Sept. 5 2012", "", "2012-09-05"),
        ("5-Jan-2012", "", "2012-01-05"),
        ("1/5/2012 3:04 PM", "month first", "2012-01-05T15:04"),
        ("1/5/2012 12:04 am", "month first", "2012-01-05T00:04"),
    ],
)
def test_dates_become_iso_text(text: str, order: Any, iso: str) -> None:
    assert date_of(text, order) == iso


@pytest.mark.parametrize(
    "text",
    [
        "05/01/2012", "2012-02-30", "2012-13-01", "31.04.2012", "5 Foo 2012", "2012", "20120105", "1/5/12", "12:30",
        "2012-01-05 25:00", "2012-01-05 12:60", "2012-01/05", "1/5/2012 13:00 PM", "", "2012-01-05x",
    ],
)  # fmt: skip
def test_what_is_no_certain_date_is_none(text: str) -> None:
    assert date_of(text) is None


@given(st.dates())
def test_every_date_is_read_in_every_form_that_is_certain(day: Any) -> None:
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d %b %Y", "%B %d, %Y"):
        text = day.strftime(form).rjust(10, "0") if form[1] == "Y" else day.strftime(form)
        if day.year >= 1000:
            assert date_of(text) == day.isoformat()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", ""], "integer"),
        (["1", "2.0"], "number"),
        (["1,234", "5"], "integer"),
        (["1,234.5", "5"], "number"),
        (["1", "x"], "text"),
        (["007", "123"], "text"),
        (["2012-01-01", "NA"], "date"),
        (["2012-01-01", "x"], "text"),
        (["true", "FALSE", ""], "boolean"),
        (["yes", "no"], "boolean"),
        (["0", "1"], "integer"),
        (["rain", "sun"], "text"),
        (["", " "], "text"),
        ([], "text"),
        (["NA", "-"], "text"),
        (["01/02/2020", "13/02/2020"], "date"),
        (["01/02/2020", "02/13/2020"], "date"),
        (["01/02/2020", "02/03/2020"], "text"),
        (["13/02/2020", "02/13/2020"], "text"),
        (["5%", "7.5 %"], "number"),
        (["$5", "-$7.50", "$1,000"], "number"),
        (["5 \u20ac", "7 \u20ac"], "number"),
        (["$5", "\u20ac7"], "text"),
        (["5%", "7"], "text"),
    ],
)
def test_the_type_of_a_column_is_that_of_its_cells(cells: list[str], kind: str) -> None:
    assert Column("c", cells).type == kind


def test_a_column_is_of_numbers_if_at_least_95_percent_are() -> None:
    assert Column("c", ["1"] * 95 + ["x"] * 5).type == "integer"
    assert Column("c", ["1"] * 94 + ["x"] * 6).type == "text"
    column = Column("c", ["1"] * 95 + ["x"] * 5 + ["", "NA", "?"])
    assert (column.empty, column.wrong) == (3, 5)


def test_na_is_missing_among_numbers_and_a_value_among_texts() -> None:
    numbers, texts = Column("n", ["1", "NA", "2"]), Column("t", ["DE", "NA", "FR", ""])
    assert (numbers.type, numbers.empty, [value for value, _ in numbers.distinct]) == ("integer", 1, ["1", "2"])
    assert (texts.type, texts.empty, sorted(value for value, _ in texts.distinct)) == ("text", 1, ["DE", "FR", "NA"])


def test_units_are_taken_off_and_named() -> None:
    percent, money = Column("p", ["12%", "7.5 %"]), Column("m", ["$1,234.50", "-$5", "+$2"])
    assert (percent.unit, list(percent.numbers.values())) == ("%", [Decimal(12), Decimal("7.5")])
    assert (money.unit, list(money.numbers.values())) == ("$", [Decimal("1234.50"), Decimal(-5), Decimal(2)])
    assert money.number("5") == 5
    assert Column("p", ["%12", "%5"]).unit is None
    assert Column("p", ["-%12", "+%5"]).type == "text"


def test_the_decimal_comma_needs_evidence() -> None:
    assert list(Column("c", ["1,5", "2,25", "3"], comma=True).numbers.values()) == [
        Decimal("1.5"),
        Decimal("2.25"),
        Decimal(3),
    ]
    assert list(Column("c", ["1,500", "2,250"], comma=True).numbers.values()) == [Decimal(1500), Decimal(2250)]
    assert Column("c", ["1,5", "2,25"]).type == "text"


def test_a_date_order_is_known_as_soon_as_one_cell_says_it() -> None:
    assert Column("d", ["01/02/2020", "13/02/2020"]).dates["01/02/2020"] == "2020-02-01"
    assert Column("d", ["01/02/2020", "02/13/2020"]).dates["01/02/2020"] == "2020-01-02"
    assert len(Column("d", ["01/02/2020"]).notes) == 1
    assert Column("d", ["01.02.2020"]).notes == ()


def test_distinct_values_are_merged_by_meaning_under_the_first_spelling() -> None:
    assert Column("c", ["Rain", "rain ", "RAIN", "sun"]).distinct == [("Rain", 3), ("sun", 1)]
    assert Column("c", ["1.0", "1", "2"]).distinct == [("1.0", 2), ("2", 1)]
    assert Column("c", ["2020-01-02", "2020/1/2"]).distinct == [("2020-01-02", 2)]


def test_long_numbers_are_not_confused() -> None:
    near = ["1" * 40, "1" * 39 + "2"]
    assert [count for _, count in Column("c", near).distinct] == [1, 1]
