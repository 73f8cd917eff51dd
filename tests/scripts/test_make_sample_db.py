import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from scripts.make_sample_db import SOURCE, main, make


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_the_days_are_those_of_the_table(tmp_path: Path) -> None:
    with SOURCE.open(encoding="utf-8", newline="") as file:
        source = list(csv.DictReader(file))
    days = rows(make(tmp_path), "SELECT date, precipitation_mm, temp_max_c, temp_min_c, wind_m_s, weather FROM days")
    assert len(days) == 1461
    assert days == [
        (
            row["date"].replace("/", "-"),
            *(float(row[c]) for c in ("precipitation", "temp_max", "temp_min", "wind")),
            row["weather"],
        )
        for row in source
    ]


def test_the_months_agree_with_their_days(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert rows(path, "SELECT count(*), sum(days) FROM months") == [(48, 1461)]
    assert rows(
        path, "SELECT days, rainy_days, precipitation_mm, warmest_c, coldest_c FROM months WHERE month = '2012-01'"
    ) == [(31, 22, 173.3, 12.8, -3.3)]
    assert rows(path, "SELECT date FROM days LEFT JOIN months USING (month) WHERE months.month IS NULL") == []


def test_the_same_bytes_are_made_again_and_nothing_else_is_left(tmp_path: Path) -> None:
    first = make(tmp_path / "new" / "folder")
    before = first.read_bytes()
    assert make(first.parent).read_bytes() == before
    assert [path.name for path in first.parent.iterdir()] == ["weather.db"]


def test_it_is_a_program_that_prints_the_path(tmp_path: Path, capsys: Any) -> None:
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'weather.db'}\n"
    assert main([]) == 2
