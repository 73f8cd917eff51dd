"""query_table: measures, conditions, groups and lists."""

from typing import Any

import pytest

from stratagem.tools.builtin.locators import open_locator

WEATHER = """\
date,precipitation,wind,weather,note
2012-01-01,0.0,4.7,drizzle,
2012-01-02,10.9,4.5,rain,"wet, cold"
2012-01-03,0.8,2.3,Rain,
2012-02-01,,4.7,sun,dry
2013-01-05,20.3,NA,rain,
2013-03-09,1.3,6.1,snow,
"""


@pytest.fixture
def weather(folder: Any) -> Any:
    folder.write("w.csv", WEATHER)
    return folder


def where(column: str, op: str, *values: Any) -> list[dict[str, Any]]:
    return [{"column": column, "op": op, **({"value": values[0]} if len(values) == 1 else {"values": list(values)})}]


async def ask(folder: Any, measure: str, column: str = "", **more: Any) -> Any:
    return await folder("query_table", path="w.csv", measure=measure, column=column, **more)


@pytest.mark.parametrize(
    ("measure", "column", "text", "value"),
    [
        ("count", "", "count of rows: 6 (6 of 6 rows)", 6),
        ("count", "precipitation", "count of precipitation: 5 (6 of 6 rows; 1 cells empty: left out)", 5),
        ("sum", "precipitation", "sum of precipitation: 33.3 (6 of 6 rows; 1 cells empty: left out)", 33.3),
        ("mean", "precipitation", "mean of precipitation: 6.66 (6 of 6 rows; 1 cells empty: left out)", 6.66),
        ("median", "precipitation", "median of precipitation: 1.3 (6 of 6 rows; 1 cells empty: left out)", 1.3),
        ("median", "wind", "median of wind: 4.7 (6 of 6 rows; 1 cells empty: left out)", 4.7),
        ("mean", "wind", "mean of wind: 4.46 (6 of 6 rows; 1 cells empty: left out)", 4.46),
    ],
)
async def test_a_measure_is_computed_exactly_and_said_in_words(
    weather: Any, measure: str, column: str, text: str, value: Any
) -> None:
    seen = await ask(weather, measure, column)
    assert (seen.text, seen.value["value"], seen.failed) == (text, value, False)


async def test_the_result_has_everything_a_program_needs(weather: Any) -> None:
    seen = await ask(weather, "mean", "precipitation", where=where("weather", "=", "rain"))
    assert seen.text == "mean of precipitation where weather = rain: 10.6666666667 (3 of 6 rows)"
    assert seen.value == {
        "path": "w.csv",
        "table": "",
        "measure": "mean",
        "column": "precipitation",
        "where": [{"column": "weather", "op": "=", "value": "rain", "values": []}],
        "group_by": "",
        "value": 10.6666666667,
        "unit": None,
        "groups": [],
        "rows": [2, 3, 5],
        "matched": 3,
        "total": 6,
        "left_out": 0,
        "records": [],
        "columns": ["precipitation", "weather"],
        "computation": "mean of precipitation where weather = rain",
    }
    assert seen.sources == ("w.csv: rows 2-3,5, columns precipitation, weather",)


async def test_an_extreme_names_the_rows_in_which_it_is(weather: Any) -> None:
    seen = await ask(weather, "max", "wind", where=where("date", "=", 2012))
    assert seen.text.splitlines() == [
        "max of wind where date = 2012: 4.7 in rows 1, 4 (4 of 6 rows)",
        "row 1: date = 2012-01-01; precipitation = 0.0; wind = 4.7; weather = drizzle; note = ",
        "row 4: date = 2012-02-01; precipitation = ; wind = 4.7; weather = sun; note = dry",
    ]
    assert (seen.value["value"], seen.value["rows"]) == (4.7, [1, 4])
    assert [record["weather"] for record in seen.value["records"]] == ["drizzle", "sun"]
    assert seen.sources == ("w.csv: rows 1-4, columns wind, date",)
    seen = await ask(weather, "min", "date")
    assert (seen.value["value"], seen.value["rows"]) == ("2012-01-01", [1])


async def test_nothing_to_measure_is_no_value_and_no_failure(weather: Any) -> None:
    seen = await ask(weather, "max", "wind", where=where("date", "=", "2013-01"))
    assert seen.text == "max of wind where date = 2013-01: no value (1 of 6 rows; 1 cells empty: left out)"
    assert (seen.value["value"], seen.value["records"], seen.failed) == (None, [], False)
    seen = await ask(weather, "count", where=where("wind", ">", 99))
    assert (seen.value["value"], seen.value["matched"]) == (0, 0)
    assert seen.sources == ("w.csv: rows where wind > 99 (0 of 6), columns wind",)


async def test_groups_are_in_the_order_of_appearance_or_of_their_values(weather: Any) -> None:
    seen = await ask(weather, "sum", "precipitation", group_by="weather")
    assert seen.text.splitlines() == [
        "sum of precipitation by weather: 4 groups (6 of 6 rows; 1 cells empty: left out)",
        "drizzle: 0 (1 rows)",
        "rain: 32 (3 rows)",
        "sun: no value (1 rows)",
        "snow: 1.3 (1 rows)",
    ]
    assert seen.value["groups"] == [["drizzle", 0, 1], ["rain", 32, 3], ["sun", None, 1], ["snow", 1.3, 1]]
    assert seen.value["columns"] == ["precipitation", "weather"]
    for order, names in (
        ("ascending", ["drizzle", "snow", "rain", "sun"]),
        ("descending", ["rain", "snow", "drizzle", "sun"]),
    ):
        seen = await ask(weather, "sum", "precipitation", group_by="weather", order=order)
        assert [name for name, _, _ in seen.value["groups"]] == names
    seen = await ask(weather, "count", group_by="weather", order="descending", top=2)
    assert seen.value["groups"] == [["rain", 3, 3], ["drizzle", 1, 1]]  # ties by name
    assert seen.text.splitlines()[0] == (
        "count of rows by weather, ordered descending, first 2: 4 groups (6 of 6 rows)"
    )


async def test_an_empty_cell_is_a_group_of_its_own(weather: Any) -> None:
    seen = await ask(weather, "count", group_by="note")
    assert seen.value["groups"] == [["", 4, 4], ["wet, cold", 1, 1], ["dry", 1, 1]]
    assert seen.text.splitlines()[1] == "(empty): 4 (4 rows)"


async def test_the_largest_rows_are_listed_whole(weather: Any) -> None:
    seen = await ask(weather, "list", "precipitation", order="descending", top=2)
    assert seen.text.splitlines() == [
        "list of rows, ordered by precipitation descending, first 2: 2 shown (6 of 6 rows)",
        "row 5: date = 2013-01-05; precipitation = 20.3; wind = NA; weather = rain; note = ",
        "row 2: date = 2012-01-02; precipitation = 10.9; wind = 4.5; weather = rain; note = wet, cold",
        "[1 rows without a value in 'precipitation' come last]",
    ]
    assert seen.value["rows"] == [5, 2]
    assert seen.value["records"][0]["precipitation"] == "20.3"
    assert seen.sources == ("w.csv: rows 2,5",)
    seen = await ask(weather, "list", "wind", order="ascending")
    assert seen.value["rows"] == [3, 2, 1, 4, 6, 5]


async def test_ties_with_the_last_row_shown_are_said(weather: Any) -> None:
    seen = await ask(weather, "list", "wind", order="descending", top=2)
    assert seen.value["rows"] == [6, 1]
    assert "[1 more rows have the same 'wind' as the last one shown]" in seen.text


async def test_a_list_without_order_is_in_the_order_of_the_file(weather: Any) -> None:
    seen = await ask(weather, "list", where=where("weather", "in", "snow", "sun"))
    assert seen.value["rows"] == [4, 6]
    assert seen.text.splitlines()[0] == "list of rows where weather in (snow, sun): 2 shown (2 of 6 rows)"
    assert seen.value["columns"] == ["date", "precipitation", "wind", "weather", "note"]


async def test_distinct_values_are_counted_and_merged_by_meaning(weather: Any) -> None:
    seen = await ask(weather, "distinct", "weather")
    assert seen.text.splitlines() == [
        "distinct of weather: 4 (6 of 6 rows)",
        "drizzle (1 rows)",
        "rain (3 rows)",
        "sun (1 rows)",
        "snow (1 rows)",
    ]
    assert seen.value["value"] == 4
    seen = await ask(weather, "distinct", "wind", order="descending", top=3)
    assert seen.value["groups"] == [["6.1", 1, 1], ["4.7", 2, 2], ["4.5", 1, 1]]
    assert (seen.value["value"], seen.value["left_out"]) == (4, 1)
    seen = await ask(weather, "distinct", "weather", group_by="wind")
    assert seen.value["groups"][0] == ["4.7", 2, 2]


@pytest.mark.parametrize(
    ("conditions", "rows"),
    [
        (where("wind", "=", 4.7), [1, 4]),
        (where("wind", "=", "4.70"), [1, 4]),
        (where("wind", "!=", 4.7), [2, 3, 6]),
        (where("wind", "<", 4.7), [2, 3]),
        (where("wind", "<=", "4.7"), [1, 2, 3, 4]),
        (where("wind", ">", 4.7), [6]),
        (where("wind", ">=", 4.7), [1, 4, 6]),
        (where("wind", "between", 4.5, 4.7), [1, 2, 4]),
        (where("wind", "in", 4.5, "6.1"), [2, 6]),
        (where("wind", "empty"), [5]),
        (where("wind", "not empty"), [1, 2, 3, 4, 6]),
        (where("weather", "=", " RAIN "), [2, 3, 5]),
        (where("weather", "!=", "rain"), [1, 4, 6]),
        (where("weather", "contains", "IN"), [2, 3, 5]),
        (where("weather", ">", "rain"), [4, 6]),
        (where("note", "=", "Wet,   cold"), [2]),
        (where("note", "!=", "dry"), [2]),
        (where("note", "empty"), [1, 3, 5, 6]),
        (where("date", "=", "2012-01-02"), [2]),
        (where("date", "=", "2012/1/2"), [2]),
        (where("date", "=", "2 January 2012"), [2]),
        (where("date", "=", "2012-01"), [1, 2, 3]),
        (where("date", "=", 2013), [5, 6]),
        (where("date", "!=", 2013), [1, 2, 3, 4]),
        (where("date", "<=", "2012-01"), [1, 2, 3]),
        (where("date", "<", "2012-02"), [1, 2, 3]),
        (where("date", ">", "2012"), [5, 6]),
        (where("date", "between", "2012-01-03", "2013-01"), [3, 4, 5]),
        (where("date", "contains", "2012-01"), [1, 2, 3]),
        (where("date", "in", "2012-02", "2013-03-09"), [4, 6]),
        ([*where("weather", "=", "rain"), *where("wind", ">", 3)], [2]),
    ],
)
async def test_conditions_select_rows(weather: Any, conditions: list[Any], rows: list[int]) -> None:
    seen = await ask(weather, "list", where=conditions)
    assert seen.value["rows"] == rows, seen.text
    assert [number for number, _ in open_locator(weather.path, seen.sources[0]).rows] == rows


async def test_a_part_of_a_date_is_looked_for_in_its_iso_form_too(folder: Any) -> None:
    folder.write("w.csv", "day,t\n1/31/2012,2012-01\n2/1/2012,b\n")
    assert (await ask(folder, "list", where=where("day", "contains", "2012-01"))).value["rows"] == [1]
    assert (await ask(folder, "list", where=where("day", "contains", "1/31"))).value["rows"] == [1]
    assert (await ask(folder, "list", where=where("t", "contains", "2012-01"))).value["rows"] == [1]


async def test_the_first_of_one_value_is_that_value(weather: Any) -> None:
    assert (await ask(weather, "max", "wind", top=1, order="descending")).text.splitlines()[0] == (
        "max of wind: 6.1 in row 6 (6 of 6 rows; 1 cells empty: left out)"
    )


async def test_a_single_condition_needs_no_list(weather: Any) -> None:
    assert (await ask(weather, "count", where={"column": "WEATHER", "op": "=", "value": "snow"})).value["value"] == 1


async def test_rows_left_out_by_unequal_are_said(weather: Any) -> None:
    seen = await ask(weather, "count", where=where("note", "!=", "dry"))
    assert seen.text.splitlines()[1] == "[4 rows whose 'note' is empty are not selected by !=]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"measure": "mean", "column": "winds"}, "`w.csv` has no column 'winds'; nearest: 'wind'; columns: 'date',"),
        ({"measure": "mean"}, "`mean` needs a `column`; columns: date, precipitation"),
        (
            {"measure": "mean", "column": "weather"},
            "'weather' is a text column: 6 of 6 cells are not numbers (at most 5 %",
        ),
        ({"measure": "sum", "column": "date"}, "'date' is a date column"),
        ({"measure": "max", "column": "weather"}, "`max` needs numbers"),
        ({"measure": "count", "where": where("weather", "=", "rainy")}, "no cell is 'rainy'; nearest: 'rain'; values:"),
        ({"measure": "count", "where": where("weather", "in", "rain", "hail")}, "no cell is 'hail'"),
        ({"measure": "count", "where": where("weather", "!=", "hail")}, "no cell is 'hail'"),
        ({"measure": "count", "where": where("sky", "=", "red")}, "has no column 'sky'"),
        ({"measure": "count", "where": where("wind", ">", "high")}, "it is a number, and 'high' is none"),
        ({"measure": "count", "where": where("date", "<", "spring")}, "it is a date, and 'spring' is none"),
        ({"measure": "count", "where": where("wind", "between", 1)}, "`between` needs two `values`"),
        ({"measure": "count", "where": where("wind", "=", None)}, "`=` needs one `value`, got 0"),
        ({"measure": "count", "where": where("wind", "contains", " ")}, "`contains` needs a text"),
        (
            {"measure": "count", "where": [{"column": "wind", "op": "=", "val": 1}]},
            "`query_table`: where val: Unexpected",
        ),
        ({"measure": "count", "where": where("wind", "~", 1)}, "`query_table`: where op: Input should be '=', '!='"),
        ({"measure": "count", "group_by": "sky"}, "has no column 'sky'"),
        ({"measure": "count", "top": -1}, "`top` must be 0 or more"),
        ({"measure": "sum", "column": "wind", "top": 3}, "`top` needs `group_by`, or the measure `list`"),
        ({"measure": "list", "order": "ascending"}, "needs the `column` by which it is ordered"),
        ({"measure": "list", "group_by": "weather"}, "a `list` has no groups"),
        ({"measure": "average", "column": "wind"}, "measure must be one of 'count', 'sum', 'mean'"),
        ({"measure": "count", "table": "days"}, "is one table by itself: leave `table` out"),
    ],
)
async def test_what_has_no_answer_is_refused_with_a_way_on(weather: Any, arguments: Any, said: str) -> None:
    assert said in await weather.fails("query_table", path="w.csv", **arguments)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "`w.csv` is empty"), (" \n", "`w.csv` is empty"), ("a\0b", "is binary"), ('a\n"x', "is never closed")],
)
async def test_a_file_that_is_no_table_is_refused(folder: Any, content: str, said: str) -> None:
    folder.write("w.csv", content)
    assert said in await folder.fails("query_table", path="w.csv", measure="count")
    assert "there is no file" in await folder.fails("query_table", path="none.csv", measure="count")
    folder.write("text.md", "# a\n")
    assert "`text.md` is no table" in await folder.fails("query_table", path="text.md", measure="count")


async def test_a_few_cells_that_are_no_numbers_are_left_out_and_counted(folder: Any) -> None:
    folder.write("w.csv", "n\n" + "2\n" * 38 + "x\nNA\n")
    seen = await ask(folder, "sum", "n")
    assert seen.text.splitlines()[0] == "sum of n: 76 (40 of 40 rows; 1 cells empty, 1 not a number: left out)"
    assert seen.value["left_out"] == 2
    folder.write("w.csv", "n\n" + "2\n" * 18 + "x\n")
    assert "1 of 19 cells are not numbers" in await folder.fails("query_table", path="w.csv", measure="sum", column="n")


async def test_decimals_are_exact_where_floats_are_not(folder: Any) -> None:
    folder.write("w.csv", "n,m\n0.1,12345678901234567890\n0.2,1\n0.3,1e-30\n")
    assert (await ask(folder, "sum", "n")).text == "sum of n: 0.6 (3 of 3 rows)"
    assert (await ask(folder, "mean", "n")).text == "mean of n: 0.2 (3 of 3 rows)"
    assert (await ask(folder, "sum", "m")).text.startswith(
        "sum of m: 12345678901234567891.000000000000000000000000000001"
    )
    assert (await ask(folder, "max", "m")).value["value"] == 12345678901234567890


async def test_units_are_kept_with_the_value(folder: Any) -> None:
    folder.write("w.csv", "share;price\n12%;$1,200.50\n8 %;$99.50\n")
    seen = await ask(folder, "mean", "share")
    assert (seen.text, seen.value["value"], seen.value["unit"]) == ("mean of share: 10 % (2 of 2 rows)", 10, "%")
    seen = await ask(folder, "sum", "price", where=where("price", ">", "$100"))
    assert seen.text == "sum of price where price > $100: 1200.5 $ (1 of 2 rows)"
    assert (await ask(folder, "count", "price")).value["unit"] is None


async def test_booleans_are_compared_however_they_are_written(folder: Any) -> None:
    folder.write("w.csv", "ok,n\ntrue,1\nFalse,2\nTRUE,3\n,4\n")
    for value in (True, "yes", "TRUE", 1):
        assert (await ask(folder, "sum", "n", where=where("ok", "=", value))).value["value"] == 4
    assert "neither is larger" in await folder.fails(
        "query_table", path="w.csv", measure="count", where=where("ok", "<", True)
    )


async def test_text_that_holds_numbers_compares_by_number_where_both_are(folder: Any) -> None:
    folder.write("w.csv", "code,v\n007,a\n12,b\nx,c\n")
    assert (await ask(folder, "list", where=where("code", "=", "007"))).value["rows"] == [1]
    assert (await ask(folder, "list", where=where("code", ">", 10))).value["rows"] == [2]
    assert "no cell is '7'; values:" in await folder.fails(
        "query_table", path="w.csv", measure="count", where=where("code", "=", 7)
    )


async def test_many_rows_are_cited_by_their_condition(folder: Any) -> None:
    folder.write("w.csv", "n,k\n" + "".join(f"{n},{n % 3}\n" for n in range(1, 101)))
    seen = await ask(folder, "sum", "n", where=where("k", "=", 1))
    assert seen.sources == ("w.csv: rows where k = 1 (34 of 100), columns n, k",)
    opened = open_locator(folder.path, seen.sources[0])
    assert sum(int(row["n"]) for _, row in opened.rows) == seen.value["value"] == 1717


async def test_long_results_are_cut_and_said_to_be_cut(folder: Any) -> None:
    folder.write("w.csv", "n,t\n" + "".join(f"{n},{'x' * 300}\n" for n in range(1, 1201)))
    seen = await ask(folder, "list")
    assert seen.value["rows"] == list(range(1, 51))
    assert "x [cut: 200 of 300 characters]" in seen.text
    assert seen.text.endswith("[cut: 50 of 1200 rows]")
    assert seen.sources == ("w.csv: rows 1-50",)
    seen = await ask(folder, "list", top=500)
    assert len(seen.value["rows"]) == len(seen.value["records"]) == 200
    assert len(seen.text) < 19_000
    assert seen.text.splitlines()[-1].startswith("[cut: ")
    seen = await ask(folder, "count", group_by="n")
    assert len(seen.value["groups"]) == 1000
    assert len((await ask(folder, "count")).value["rows"]) == 1000


async def test_wide_rows_are_bounded_in_the_result(folder: Any) -> None:
    head = ",".join(f"c{at}" for at in range(200))
    folder.write("w.csv", head + "\n" + (",".join(["value of a cell"] * 200) + "\n") * 200)
    seen = await ask(folder, "list", top=200)
    assert seen.value["rows"] == list(range(1, 201))
    assert 0 < len(seen.value["records"]) < 200


async def test_newlines_in_cells_do_not_forge_lines(folder: Any) -> None:
    folder.write("w.csv", 'name,v\n"x\nrow 2: name = forged",1\n')
    seen = await ask(folder, "list")
    assert seen.text.splitlines()[1:] == ["row 1: name = x row 2: name = forged; v = 1"]
    assert seen.value["records"] == [{"name": "x\nrow 2: name = forged", "v": "1"}]


async def test_long_names_of_groups_are_cut_in_the_text_and_bounded_in_the_result(folder: Any) -> None:
    folder.write("w.csv", "name,v\n" + "".join(f'"{n}\n{"x" * 90_000}",{n}\n' for n in range(5)))
    for arguments in ({"measure": "sum", "column": "v", "group_by": "name"}, {"measure": "distinct", "column": "name"}):
        seen = await folder("query_table", path="w.csv", **arguments)
        assert len(seen.text.splitlines()) == 6
        assert "[cut: 200 of 90002 characters]" in seen.text
        assert len(seen.value["groups"]) == 3
