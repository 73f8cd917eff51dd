"""Make a small SQLite database of the sample table: the days, and the months that they belong to.

    python scripts/make_sample_db.py FOLDER        writes FOLDER/weather.db and prints its path

The same input gives the same rows in the same order. An existing file is replaced as a whole, never half.
"""

import csv
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "docs" / "data" / "seattle-weather.csv"
NAME = "weather.db"

SCHEMA = """
CREATE TABLE months (
    month TEXT PRIMARY KEY,         -- 2012-01
    days INTEGER NOT NULL,
    rainy_days INTEGER NOT NULL,    -- days with precipitation
    precipitation_mm REAL NOT NULL, -- sum over the days
    warmest_c REAL NOT NULL,
    coldest_c REAL NOT NULL
);
CREATE TABLE days (
    date TEXT PRIMARY KEY,          -- 2012-01-31
    month TEXT NOT NULL REFERENCES months (month),
    precipitation_mm REAL NOT NULL,
    temp_max_c REAL NOT NULL,
    temp_min_c REAL NOT NULL,
    wind_m_s REAL NOT NULL,
    weather TEXT NOT NULL
);
"""
MONTHS = """
INSERT INTO months
SELECT substr(date, 1, 7), count(*), sum(precipitation > 0), round(sum(precipitation), 1), max(temp_max), min(temp_min)
FROM source GROUP BY 1 ORDER BY 1
"""
DAYS = """
INSERT INTO days
SELECT date, substr(date, 1, 7), precipitation, temp_max, temp_min, wind, weather FROM source ORDER BY date
"""


def make(folder: Path) -> Path:
    """Write the database into a folder, which is made if it is missing, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path, unfinished = folder / NAME, folder / f".{NAME}.{os.getpid()}"
    with SOURCE.open(encoding="utf-8", newline="") as file:
        rows = [{**row, "date": row["date"].replace("/", "-")} for row in csv.DictReader(file)]
    try:
        with closing(sqlite3.connect(unfinished)) as database, database:
            database.executescript(SCHEMA)
            database.execute(
                "CREATE TEMP TABLE source (date TEXT, precipitation REAL, temp_max REAL, temp_min REAL, wind REAL, weather TEXT)"
            )
            database.executemany(
                "INSERT INTO source VALUES (:date, :precipitation, :temp_max, :temp_min, :wind, :weather)", rows
            )
            database.execute(MONTHS)
            database.execute(DAYS)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python scripts/make_sample_db.py FOLDER", file=sys.stderr)
        return 2
    print(make(Path(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
