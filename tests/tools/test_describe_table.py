"""describe_table: what a model needs to know before it asks."""

from typing import Any

import pytest

from stratagem.tools.builtin import describe
from stratagem.tools.builtin.locators import open_locator


async def test_columns_are_described_by_type_range_and_values(folder: Any) -> None:
    folder.write(
        "w.csv",
        "date,rain,sky,ok,price,note\n"
        "2012-01-01,0.50,sun,yes,$5,long\n"
        "2012-03-01,10,fog,no,$7.50,\n"
        "2012-02-01,NA,sun,yes,$6,\n",
    )
    seen = await folder("describe_table", path="w.csv")
    assert seen.text.splitlines() == [
        "w.csv: 3 rows, 6 columns",
        "date: date, 0 empty, 2012-01-01 to 2012-03-01, 3 distinct: 2012-01-01, 2012-02-01, 2012-03-01",
        "rain: number, 1 empty, 0.5 to 10, 2 distinct: 0.50, 10",
        "sky: text, 0 empty, 2 distinct: sun, fog",
        "ok: boolean, 0 empty, 2 distinct: yes, no",
        "price: number in $, 0 empty, 5 to 7.5, 3 distinct: $5, $6, $7.50",
        "note: text, 2 empty, 1 distinct: long",
    ]
    assert {key: seen.value[key] for key in ("path", "table", "tables", "rows")} == {
        "path": "w.csv",
        "table": "",
        "tables": [],
        "rows": 3,
    }
    assert seen.value["columns"][1] == {
        "name": "rain",
        "type": "number",
        "unit": None,
        "empty": 1,
        "wrong": 0,
        "distinct": 2,
        "values": ["0.50", "10"],
        "min": 0.5,
        "max": 10,
    }
    assert seen.value["columns"][2]["min"] is None
    assert seen.sources == ("w.csv: rows 1-3",)
    assert len(open_locator(folder.path, seen.sources[0]).rows) == 3


async def test_up_to_30_values_are_all_listed_and_of_more_the_10_commonest(folder: Any) -> None:
    folder.write("w.csv", "a,b\n" + "".join(f"x{n % 30:02},y{n % 31:02}\n" for n in range(31 * 30)) + "x00,y07\n")
    first, second = (await folder("describe_table", path="w.csv")).value["columns"]
    assert (first["distinct"], first["values"][0], sorted(first["values"])) == (
        30,
        "x00",
        [f"x{n:02}" for n in range(30)],
    )
    assert (second["distinct"], second["values"]) == (31, ["y07", *(f"y{n:02}" for n in range(10) if n != 7)])
    text = (await folder("describe_table", path="w.csv")).text
    assert "b: text, 0 empty, 31 distinct (the 10 commonest): y07, y00" in text
    folder.write("w.csv", "a\n" + "".join(f"x{n:02}\n" for n in range(31)))
    text = (await folder("describe_table", path="w.csv")).text
    assert "a: text, 0 empty, 31 distinct (for example): x00, x01" in text


async def test_long_texts_are_no_list_of_values(folder: Any) -> None:
    folder.write("w.csv", "a,b\n" + "x" * 101 + ",1\n")
    seen = await folder("describe_table", path="w.csv")
    assert seen.value["columns"][0]["values"] is None
    assert seen.text.splitlines()[1] == "a: text, 0 empty, 1 distinct"


async def test_cells_of_another_type_are_counted(folder: Any) -> None:
    folder.write("w.csv", "n\n" + "2\n" * 39 + "x\n")
    assert (
        "n: integer, 0 empty, 1 not a number, 2 to 2, 2 distinct: 2, x"
        in (await folder("describe_table", path="w.csv")).text
    )


async def test_what_was_guessed_about_the_file_is_said(folder: Any) -> None:
    folder.write("w.csv", "2012-01-01,1\n2012-01-02,2\n2012-01-03\n")
    assert (await folder("describe_table", path="w.csv")).text.splitlines()[3:] == [
        "[there is no header: the columns are named by position]",
        "[1 rows are shorter than the others: their last cells are empty]",
    ]


async def test_an_empty_table_has_columns_and_no_rows(folder: Any) -> None:
    folder.write("w.csv", "a,b\n")
    seen = await folder("describe_table", path="w.csv")
    assert seen.text.splitlines() == [
        "w.csv: 0 rows, 2 columns",
        "a: text, 0 empty, 0 distinct",
        "b: text, 0 empty, 0 distinct",
    ]
    assert seen.sources == ("w.csv: rows none",)


async def test_200_columns_fit_and_more_are_cut_in_the_text_only(folder: Any) -> None:
    names = [f"column with a longish name {at}" for at in range(400)]
    folder.write("w.csv", ",".join(names) + "\n" + ",".join(["value"] * 400) + "\n")
    seen = await folder("describe_table", path="w.csv")
    assert len(seen.value["columns"]) == 400
    assert seen.text.splitlines()[-1].endswith("of 400 columns shown]")
    assert len(seen.text) < 19_000


async def test_the_tables_of_a_database_are_listed_and_the_only_one_is_described(folder: Any) -> None:
    folder.database("one.db", "CREATE TABLE days (day TEXT, wind REAL)", "INSERT INTO days VALUES ('2012-01-01', 4.5)")
    seen = await folder("describe_table", path="one.db")
    assert seen.text.splitlines() == [
        "one.db/days: 1 rows, 2 columns",
        "day: date, 0 empty, 2012-01-01 to 2012-01-01, 1 distinct: 2012-01-01",
        "wind: number, 0 empty, 4.5 to 4.5, 1 distinct: 4.5",
    ]
    assert (seen.value["table"], seen.value["tables"]) == ("days", [{"name": "days", "columns": ["day", "wind"]}])
    folder.database("two.db", "CREATE TABLE days (day TEXT)", "CREATE TABLE cities (name, size)")
    seen = await folder("describe_table", path="./two.db")
    assert seen.text.splitlines() == [
        "two.db: 2 tables; describe one of them by giving `table`",
        "days: day",
        "cities: name, size",
    ]
    assert seen.value == {
        "path": "two.db",
        "table": "",
        "tables": [{"name": "days", "columns": ["day"]}, {"name": "cities", "columns": ["name", "size"]}],
        "rows": None,
        "columns": [],
    }
    assert (await folder("describe_table", path="two.db", table="CITIES")).value["table"] == "cities"
    assert await folder.fails("describe_table", path="two.db", table="city") == (
        "`two.db` has no table 'city'; nearest: 'cities'; tables: 'days', 'cities'"
    )


async def test_a_database_without_tables_says_so(folder: Any) -> None:
    folder.database("none.db", "CREATE TABLE t (x)", "DROP TABLE t")
    assert (await folder("describe_table", path="none.db")).text == (
        "none.db: 0 tables; describe one of them by giving `table`"
    )


async def test_a_table_that_takes_too_long_is_a_clear_failure(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("w.csv", "a,b\n1,2\n")
    monkeypatch.setattr(describe, "LIMIT_S", -1.0)
    assert "is too large to be described in -1 s" in await folder.fails("describe_table", path="w.csv")


async def test_the_result_stays_small_enough_to_be_recorded(folder: Any) -> None:
    names = [f"c{at}" for at in range(300)]
    rows = [",".join([f"{row:02} {'x' * 90}"] * 300) for row in range(30)]
    folder.write("w.csv", "\n".join([",".join(names), *rows]))
    columns = (await folder("describe_table", path="w.csv")).value["columns"]
    assert len(columns) == 300
    assert len(columns[0]["values"]) == 30
    assert columns[-1]["values"] is None
