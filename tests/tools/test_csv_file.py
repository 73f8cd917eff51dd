"""CSV as people make it: separators, marks, quotes, ragged rows, headers, comments, limits."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import ModelRetry
from stratagem.tools.builtin import csv_file
from stratagem.tools.builtin.roots import Loaded
from stratagem.tools.builtin.table import Table


def read(content: str | bytes, name: str = "a.csv") -> Table:
    return csv_file.read_csv(Loaded(name, content.encode() if isinstance(content, str) else content, (0,) * 5))


def rows(table: Table) -> list[list[str]]:
    return [list(table.record(row).values()) for row in range(table.rows)]


def names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(separator: str) -> None:
    table = read(f"city{separator}value\nRome{separator}1\nOslo{separator}2\n")
    assert (names(table), rows(table), table.notes) == (["city", "value"], [["Rome", "1"], ["Oslo", "2"]], ())


def test_a_decimal_comma_does_not_win_against_a_semicolon() -> None:
    table = read("name;size;price\nx;1,5;2,50\ny;2,5;3,75\n")
    assert rows(table) == [["x", "1,5", "2,50"], ["y", "2,5", "3,75"]]
    assert table.column("size").type == "number"


def test_a_separator_can_be_declared_as_excel_does() -> None:
    assert rows(read("sep=;\na;b,c\n1;2,3\n")) == [["1", "2,3"]]


def test_quotes_newlines_marks_and_line_ends() -> None:
    table = read(b'\xef\xbb\xbfname,text\r\n"a ""b""","one\ntwo, three"\r\n\r\nc,d\r\n')
    assert rows(table) == [['a "b"', "one\ntwo, three"], ["c", "d"]]
    assert list(table.numbers) == [1, 2]


def test_utf_16_is_read_and_other_code_pages_are_mended_and_said() -> None:
    assert rows(read("name\tcity\nA\tZ\u00fcrich\n".encode("utf-16"))) == [["A", "Z\u00fcrich"]]
    table = read("name,city\nA,Z\u00fcrich and some more\n".encode("latin-1"))
    assert rows(table) == [["A", "Z\ufffdrich and some more"]]
    assert table.notes == ("1 characters are not UTF-8: shown as \ufffd",)


def test_short_rows_are_filled_and_long_rows_add_columns_and_it_is_said() -> None:
    table = read("a,b,c\nx,y\nx,y,z\nx,y,z,extra\n")
    assert names(table) == ["a", "b", "c", "column_4"]
    assert rows(table) == [["x", "y", "", ""], ["x", "y", "z", ""], ["x", "y", "z", "extra"]]
    assert table.notes == (
        "1 rows are shorter than the header: their last cells are empty",
        "1 rows are longer than the header: columns without a name are added",
    )


def test_separators_at_the_end_of_lines_add_no_column() -> None:
    table = read("a,b\n1,2,\n3,4,\n")
    assert (names(table), rows(table), table.notes) == (["a", "b"], [["1", "2"], ["3", "4"]], ())


def test_names_are_made_unique_and_empty_ones_are_numbered() -> None:
    assert names(read("a,,a, a ,\nw,x,y,z,v\n")) == ["a", "column_2", "a_2", "a_3", "column_5"]
    assert csv_file.unique_names(["a", "a", "a_2"]) == ["a", "a_2", "a_2_2"]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("date,value\n2020-01-01,1\n", True),
        ("2020-01-01,1\n2020-01-02,2\n", False),
        ("name,1\nx,2\n", False),
        ("country,1960,1961\nX,4,5\nY,6,7\n", True),
        ("x,1960,1975\ny,4,5\nz,6,7\n", False),
        ("a,b\nc,d\n", True),
        ("Oslo,rain\nRome,rain\nBern,rain\n", False),
        ("only,header\n", True),
        ("only,5\n", False),
        (",a,b\n0,x,y\n1,z,w\n", True),
    ],
)
def test_a_header_is_told_from_data(text: str, header: bool) -> None:
    table = read(text)
    assert ("there is no header: the columns are named by position" in table.notes) is not header
    assert table.rows == text.count("\n") - header
    if not header:
        assert names(table)[0] == "column_1"


def test_comment_lines_at_the_top_are_left_out_and_may_name_the_columns() -> None:
    table = read("# made by hand\n#code\tplace\n\nAD\tEurope/Andorra\nAE\tAsia/Dubai\n", "zone.tab")
    assert (names(table), rows(table)) == (["code", "place"], [["AD", "Europe/Andorra"], ["AE", "Asia/Dubai"]])
    assert table.notes == (
        "2 comment lines at the top are left out",
        "the column names are those of the last comment line",
    )
    assert names(read("#,name\n1,x\n2,y\n")) == ["#", "name"]


def test_a_header_alone_is_a_table_without_rows() -> None:
    table = read("a,b\n")
    assert (names(table), table.rows, rows(table)) == (["a", "b"], 0, [])


def test_200_columns_are_read() -> None:
    head = ",".join(f"name{at}" for at in range(200))
    table = read(head + "\n" + ",".join(map(str, range(200))) + "\n")
    assert len(table.columns) == 200
    assert rows(table) == [[str(at) for at in range(200)]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows"),
        ("\n \n", "has no rows"),
        ('a,b\n"x,y\n1,2\n', "a quote that is opened is never closed"),
        ("a,b\n" + "x" * 140_000 + ",y\n", "a cell is longer than 131072 characters"),
        ("a,b\n" + "," * 2_000 + "\n", "more than 2000"),
        ("a,b\n\0,1\n", "is binary, not text"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    with pytest.raises(ModelRetry, match=said):
        read(text)


def test_quotes_in_odd_places_are_read_as_they_stand_and_it_is_said() -> None:
    table = read('a,b\n"x"y,2\n5" pipe,3\n')
    assert rows(table) == [["xy", "2"], ['5" pipe', "3"]]
    assert table.notes == ("some quotes stand in odd places",)
    table = read('a\tb\n"open\t2\nx\t3\n')
    assert rows(table) == [['"open', "2"], ["x", "3"]]
    assert table.notes == ("quotes are read as they stand: one is never closed",)


def test_limits_are_clear_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (csv_file.MAX_ROWS, csv_file.MAX_CELLS, csv_file.LIMIT_S) == (200_000, 10_000_000, 10.0)
    monkeypatch.setattr(csv_file, "MAX_ROWS", 3)
    assert read("a,b\n1,2\n1,2\n1,2\n").rows == 3
    with pytest.raises(ModelRetry, match="more than 3 rows"):
        read("a,b\n" + "1,2\n" * 4)
    monkeypatch.setattr(csv_file, "MAX_CELLS", 3)
    with pytest.raises(ModelRetry, match="more than 3 cells"):
        read("a,b\n1,2\n1,2\n")
    monkeypatch.setattr(csv_file, "MAX_CELLS", 8)
    with pytest.raises(ModelRetry, match="more than 8 cells"):
        read("a\n1\n1\n1,2,3\n")
    monkeypatch.setattr(csv_file, "LIMIT_S", -1)
    with pytest.raises(ModelRetry, match="took longer than -1 s"):
        read("a\n1\n")


def test_mixed_types_make_a_column_text_and_ambiguous_dates_are_said() -> None:
    table = read("day,mixed\n01/02/2020,1\n02/03/2020,x\n")
    assert [column.type for column in table.columns] == ["text", "text"]
    said = "nobody can say whether day or month comes first in column 'day': it is text"
    assert [column.notes for column in table.columns] == [(said,), ()]


CELL = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=8)


@given(
    st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1)),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_what_a_csv_writer_wrote_is_read_back(records: list[list[str]], separator: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL)
    header = [f"name {at}" for at in range(len(records[0]))]
    writer.writerows([header, *records])
    table = read(out.getvalue())
    assert names(table) == header
    assert rows(table) == [[one.replace("\r\n", "\n").replace("\r", "\n") for one in record] for record in records]


@given(st.text(alphabet='ab1,;|\t"\n\r# =\u00e9', max_size=60))
def test_any_text_is_a_table_or_a_clear_failure(text: str) -> None:
    try:
        table = read(text)
    except ModelRetry:
        return
    assert len(set(names(table))) == len(table.columns)
    assert all(len(column.cells) == table.rows for column in table.columns)


async def test_a_table_is_read_anew_when_its_file_changes(folder: Any) -> None:
    import os

    file = folder.write("a.csv", "a\n1\n2\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert (await folder("query_table", path="a.csv", measure="sum", column="a")).value["value"] == 3
    folder.write("a.csv", "a\n1\n3\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert (await folder("query_table", path="a.csv", measure="sum", column="a")).value["value"] == 4
