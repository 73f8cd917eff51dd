"""SQLite files: read in memory, never written, never followed to another file; and query_sql."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import ModelRetry
from stratagem.tools.builtin import sqlite_file
from stratagem.tools.builtin.roots import Roots
from stratagem.tools.builtin.tables import Tables

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
DAYS = (
    "CREATE TABLE days (day TEXT, wind REAL, note, raw BLOB)",
    "INSERT INTO days VALUES ('2012-01-01', 4.5, NULL, x'00ff'), ('2012-01-02', 7, 'wet', NULL), ('2012-01-03', NULL, 3, '')",
)


@pytest.fixture
def days(folder: Any) -> Any:
    folder.database("w.db", *DAYS)
    return folder


async def test_a_table_is_queried_like_a_csv_and_cited_by_row_id(days: Any) -> None:
    days.database("w.db", "DELETE FROM days WHERE rowid = 1", "INSERT INTO days VALUES ('2012-01-04', 1, '', NULL)")
    seen = await days("query_table", path="w.db", measure="sum", column="wind")
    assert seen.text == "sum of wind: 8 (3 of 3 rows; 1 cells empty: left out)"
    assert (seen.value["table"], seen.value["rows"]) == ("days", [2, 3, 4])
    assert seen.sources == ("w.db/days: rows 2-4, columns wind",)
    seen = await days("query_table", path="w.db", measure="list", table="days")
    assert seen.value["records"][0] == {"day": "2012-01-02", "wind": "7.0", "note": "wet", "raw": ""}


async def test_bytes_are_not_shown_and_it_is_said(days: Any) -> None:
    seen = await days("query_table", path="w.db", measure="list", top=1)
    assert seen.value["records"][0]["raw"] == "<2 bytes>"
    assert seen.text.splitlines()[-1] == "[1 cells hold bytes, which are not shown]"


async def test_views_and_tables_without_row_ids_are_numbered_from_one(folder: Any) -> None:
    folder.database(
        "w.db",
        "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "INSERT INTO t VALUES ('b', 2), ('a', 1)",
        "CREATE VIEW doubled AS SELECT k, v * 2 AS v FROM t",
        "CREATE TABLE negative (id INTEGER PRIMARY KEY, v)",
        "INSERT INTO negative VALUES (-5, 1), (3, 2)",
        "CREATE TABLE hidden (rowid, _rowid_, oid)",
        "INSERT INTO hidden VALUES (7, 8, 9)",
    )
    for table, rows, total in (("t", [1, 2], 3), ("doubled", [1, 2], 6), ("negative", [1, 2], 3)):
        seen = await folder("query_table", path="w.db", table=table, measure="sum", column="v")
        assert (seen.value["rows"], seen.value["value"]) == (rows, total)
    seen = await folder("query_table", path="w.db", table="hidden", measure="sum", column="oid")
    assert (seen.value["rows"], seen.value["value"]) == ([1], 9)


async def test_names_of_any_kind_are_handled(folder: Any) -> None:
    folder.database(
        "w.db",
        'CREATE TABLE "a ""b""; DROP" ("select", "x, y", "select ")',
        'INSERT INTO "a ""b""; DROP" VALUES (1, 2, 3)',
    )
    seen = await folder("query_table", path="w.db", measure="sum", column="x, y")
    assert seen.sources == ('w.db/"a \\"b\\"; DROP": rows 1, columns "x, y"',)
    assert [one["name"] for one in (await folder("describe_table", path="w.db")).value["columns"]] == [
        "select",
        "x, y",
        "select_2",
    ]


async def test_the_inner_tables_of_a_full_text_index_are_not_listed(folder: Any) -> None:
    folder.database("w.db", "CREATE VIRTUAL TABLE docs USING fts5(body)", "INSERT INTO docs VALUES ('a needle')")
    seen = await folder("query_sql", path="w.db", sql="SELECT body FROM docs WHERE docs MATCH 'needle'")
    assert seen.value["rows"] == [["a needle"]]
    seen = await folder("describe_table", path="w.db")
    assert [one["name"] for one in seen.value["tables"]] == ["docs"]


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


async def test_reading_changes_no_file_and_makes_none(days: Any) -> None:
    before = content(days.path)
    await days("describe_table", path="w.db")
    await days("query_table", path="w.db", measure="count")
    await days("query_sql", path="w.db", sql="SELECT * FROM days ORDER BY random()")
    assert content(days.path) == before


def writer(folder: Any) -> sqlite3.Connection:
    connection = sqlite3.connect(folder.path / "w.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


async def test_what_is_only_in_the_write_ahead_log_is_read_too(days: Any) -> None:
    connection = writer(days)
    connection.execute("INSERT INTO days VALUES ('2012-01-04', 1, 'new', NULL)")
    before = content(days.path)
    assert len(before["w.db-wal"]) > 4096
    seen = await days("query_table", path="w.db", measure="sum", column="wind")
    assert seen.value["value"] == 12.5
    connection.execute("BEGIN")
    connection.execute("DELETE FROM days")
    connection.execute(
        "CREATE TABLE many AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 9999) SELECT x FROM c"
    )
    seen = await days("query_sql", path="w.db", sql="SELECT count(*) FROM days")
    assert seen.value["rows"] == [[4]]
    connection.execute("COMMIT")
    assert (await days("query_sql", path="w.db", sql="SELECT sum(x) FROM many")).value["rows"] == [[9999 * 5000]]
    connection.execute("DROP TABLE many")
    connection.execute("VACUUM")  # the database shrinks
    assert (await days("query_sql", path="w.db", sql="SELECT count(*) FROM days")).value["rows"] == [[0]]
    connection.close()


async def test_a_log_that_is_damaged_is_used_as_far_as_it_is_whole(days: Any) -> None:
    connection = writer(days)
    for note in ("first", "second"):
        connection.execute(f"INSERT INTO days VALUES ('2012-01-04', 1, '{note}', NULL)")
    database, log = (days.path / "w.db").read_bytes(), (days.path / "w.db-wal").read_bytes()
    connection.close()
    days.write("w.db", database)
    sql = "SELECT group_concat(note) FROM days WHERE day = '2012-01-04'"

    async def notes(log: bytes) -> Any:
        days.write("w.db-wal", log)
        return (await days("query_sql", path="w.db", sql=sql)).value["rows"][0][0]

    assert await notes(log) == "first,second"
    assert await notes(log[:-1]) == "first"
    assert await notes(log[:-9] + b"\0" + log[-8:]) == "first"
    assert await notes(log[:20] + b"\0" + log[21:]) is None
    assert await notes(b"no log") is None
    # The salt of an older log does not fit: what it left behind is not read.
    assert await notes(log[:16] + b"salt" + log[20:]) is None


async def test_a_log_of_the_other_byte_order_is_read_the_same(days: Any) -> None:
    page = bytes(range(256)) * 2
    big = sqlite_file._checksum(page, ">", (1, 2))
    turned = b"".join(page[at : at + 4][::-1] for at in range(0, len(page), 4))
    assert sqlite_file._checksum(turned, "<", (1, 2)) == big


async def test_a_rollback_journal_is_neither_ignored_nor_rolled_back(days: Any) -> None:
    days.database(
        "w.db", f"INSERT INTO days SELECT x, x, hex(randomblob(500)), NULL FROM ({ENDLESS} SELECT x FROM c LIMIT 500)"
    )
    connection = sqlite3.connect(days.path / "w.db", isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
    connection.execute("BEGIN")
    connection.execute("UPDATE days SET note = hex(randomblob(500))")
    journal = (days.path / "w.db-journal").read_bytes()
    assert await days.fails("query_table", path="w.db", measure="count") == (
        "`w.db` is being written, or a write was interrupted: a journal is beside it"
    )
    connection.rollback()
    connection.close()
    days.write("w.db-journal", bytes(28) + journal[28:])  # ended: `PRAGMA journal_mode = PERSIST` leaves it so
    assert (await days("query_table", path="w.db", measure="count")).value["value"] == 503


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"SQLite format 3\0" + b"x" * 50, "`w.db` is not a SQLite database"),
        (b"just text", "`w.db` is no table"),
        (b"", "`w.db` is empty"),
    ],
)
async def test_what_is_no_database_is_refused(folder: Any, data: bytes, said: str) -> None:
    folder.write("w.db", data)
    assert said in await folder.fails("query_table", path="w.db", measure="count")


async def test_a_damaged_or_truncated_database_is_a_clear_failure(days: Any) -> None:
    data = (days.path / "w.db").read_bytes()
    for damaged in (data[:1000], data[:4096], data[:100] + b"\xff" * 400 + data[500:], data[:4096] + bytes(4096)):
        days.write("w.db", damaged)
        said = await days.fails("query_table", path="w.db", measure="count", table="days")
        assert said.startswith("`w.db`")


def test_a_database_that_is_replaced_by_a_link_is_never_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for place, value in ((root, "inside"), (tmp_path, "secret")):
        connection = sqlite3.connect(place / "w.db")
        connection.execute("CREATE TABLE t (v)")
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        connection.commit()
        connection.close()
    (root / "link").symlink_to(tmp_path / "w.db")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "w.db", root / "spare")
            os.rename(root / "link", root / "w.db")
            os.rename(root / "w.db", root / "link")
            os.rename(root / "spare", root / "w.db")

    racer = threading.Thread(target=swap)
    racer.start()
    seen: set[str] = set()
    try:
        for _ in range(500):
            try:
                seen.add(Tables(Roots([root])).read("w.db").columns[0].cells[0])
            except ModelRetry:
                seen.add("refused")
    finally:
        stop.set()
        racer.join()
    assert seen == {"inside", "refused"}


async def test_a_log_beside_the_database_that_is_a_link_is_not_followed(days: Any) -> None:
    connection = writer(days)
    connection.execute("INSERT INTO days VALUES ('2012-01-04', 1, 'new', NULL)")
    outside = days.path.parent / "log"
    outside.write_bytes((days.path / "w.db-wal").read_bytes())
    database = (days.path / "w.db").read_bytes()
    connection.close()
    days.write("w.db", database)
    (days.path / "w.db-wal").symlink_to(outside)
    assert (await days("query_table", path="w.db", measure="count")).value["value"] == 3


async def test_a_database_that_keeps_changing_is_a_clear_failure(days: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Roots.load

    def growing(self: Roots, path: str) -> Any:
        loaded = real(self, path)
        days.database("w.db", "INSERT INTO days DEFAULT VALUES")
        os.utime(days.path / "w.db", ns=(0, loaded.version[3] + 1))
        return loaded

    monkeypatch.setattr(Roots, "load", growing)
    assert "keeps changing while it is read: try again" in await days.fails("query_table", path="w.db", measure="count")


async def test_the_limits_of_rows_and_time_are_clear_failures(days: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "MAX_ROWS", 2)
    assert "has more than 2 rows: use `query_sql`" in await days.fails("query_table", path="w.db", measure="count")
    monkeypatch.setattr(sqlite_file, "MAX_ROWS", 3)
    monkeypatch.setattr(sqlite_file, "LIMIT_S", -1.0)
    assert "took longer than -1 s" in await days.fails("query_table", path="w.db", measure="count")


async def test_a_statement_returns_columns_and_rows(days: Any) -> None:
    seen = await days("query_sql", path="w.db", sql="SELECT day, wind, note, raw FROM days ORDER BY day;")
    assert seen.text.splitlines() == [
        "day | wind | note | raw",
        "2012-01-01 | 4.5 | NULL | <2 bytes>",
        "2012-01-02 | 7.0 | wet | NULL",
        "2012-01-03 | NULL | 3 | ",
    ]
    assert seen.value["columns"] == ["day", "wind", "note", "raw"]
    assert seen.value["rows"][2] == ["2012-01-03", None, 3, ""]
    assert seen.value["cut"] is False
    assert seen.sources == ("w.db: SELECT day, wind, note, raw FROM days ORDER BY day",)
    assert (await days("query_sql", path="w.db", sql="SELECT 1 WHERE 0")).text == "1\n[no rows]"


async def test_a_csv_file_is_the_table_data_with_types(folder: Any) -> None:
    folder.write("w.csv", "day,n,x,t\n1/31/2012,5,0.5,a\n2/1/2012,NA,1,\n")
    seen = await folder("query_sql", path="w.csv", sql="SELECT *, typeof(n), typeof(x), strftime('%Y', day) FROM data")
    assert seen.value["rows"] == [
        ["2012-01-31", 5, 0.5, "a", "integer", "real", "2012"],
        ["2012-02-01", None, 1.0, None, "null", "real", "2012"],
    ]
    folder.write("big.csv", "n,m\n9223372036854775807,1\n9223372036854775808,-9223372036854775809\n")
    seen = await folder("query_sql", path="big.csv", sql="SELECT n, typeof(n), typeof(m) FROM data")
    assert seen.value["rows"] == [[2**63 - 1, "integer", "integer"], [float(2**63), "real", "real"]]
    assert "no such table: other" in await folder.fails("query_sql", path="w.csv", sql="SELECT * FROM other")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM days", "INSERT INTO days DEFAULT VALUES", "UPDATE days SET wind = 1", "DROP TABLE days",
        "CREATE TABLE x (y)", "CREATE TEMP TABLE x (y)", "ATTACH '/etc/passwd' AS p", "DETACH main", "VACUUM",
        "VACUUM INTO '/tmp/x'", "PRAGMA journal_mode = DELETE", "PRAGMA table_info(days)", "BEGIN", "COMMIT",
        "SELECT load_extension('x')", "REINDEX", "ANALYZE", "ALTER TABLE days ADD z", "SAVEPOINT a",
        "WITH x AS (SELECT 1) DELETE FROM days", "SELECT fts3_tokenizer('x')", "REPLACE INTO days DEFAULT VALUES",
        "CREATE VIRTUAL TABLE f USING fts5(x)", "SELECT * FROM pragma_table_info('days')",
    ],
)  # fmt: skip
async def test_only_reading_is_allowed(days: Any, sql: str) -> None:
    before = content(days.path)
    said = await days.fails("query_sql", path="w.db", sql=sql)
    allowed = ("only reading is allowed: write one SELECT", "not authorized", "no such function", "prohibited")
    assert any(one in said for one in allowed), said
    assert content(days.path) == before


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 1; DROP TABLE days", "one statement"),
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT rain FROM days", "no such column: rain"),
        ("", "only reading is allowed: write one SELECT"),
        ("-- only a comment", "only reading is allowed: write one SELECT"),
        ("SELECT '" + "x" * 10_001 + "'", "at most 10000 characters"),
        ("SELECT zeroblob(1000000000)", "too big"),
        ("SELECT printf('%.*c', 1000000000, 'x')", "not authorized to use function: printf"),
        ("SELECT note LIKE '" + "%_" * 60 + "' FROM days", "LIKE or GLOB pattern too complex"),
        ("UPDATE sqlite_master SET sql = ''", "sqlite_master may not be modified"),
    ],
)
async def test_what_cannot_be_run_says_why(days: Any, sql: str, said: str) -> None:
    assert said in await days.fails("query_sql", path="w.db", sql=sql)


async def test_a_statement_is_stopped_after_its_time(days: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from stratagem.tools.builtin import sql

    assert sql.LIMIT_S == 5.0
    monkeypatch.setattr(sql, "LIMIT_S", 0.05)
    said = await days.fails("query_sql", path="w.db", sql=f"{ENDLESS} SELECT sum(x) FROM c")
    assert said == "`w.db`: the query took longer than 0.05 s, or too much memory: select less"


async def test_a_statement_is_stopped_before_it_takes_all_memory(days: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "MAX_GROWTH", 30_000_000)
    grown = sqlite_file._memory()
    if not grown:
        pytest.skip("this system does not say how much memory is used")
    said = await days.fails(
        "query_sql", path="w.db", sql=f"{ENDLESS} SELECT x, randomblob(100000) AS r FROM c ORDER BY r"
    )
    assert "too much memory" in said
    assert sqlite_file._memory() - grown < 300_000_000


async def test_at_most_200_rows_come_back(days: Any) -> None:
    seen = await days("query_sql", path="w.db", sql=f"{ENDLESS} SELECT x FROM c")
    assert (len(seen.value["rows"]), seen.value["cut"]) == (200, True)
    assert seen.text.splitlines()[-1] == "[cut: 200 rows shown; there are more]"
    seen = await days("query_sql", path="w.db", sql=f"{ENDLESS} SELECT x FROM c LIMIT 200")
    assert (len(seen.value["rows"]), seen.value["cut"]) == (200, False)


async def test_long_values_are_bounded(days: Any) -> None:
    seen = await days("query_sql", path="w.db", sql=f"{ENDLESS} SELECT hex(zeroblob(50000)) || x FROM c LIMIT 50")
    assert seen.value["cut"]
    assert len(seen.value["rows"]) == 14
    assert "[cut: 20000 of 100001 characters]" in seen.value["rows"][0][0]
    assert len(seen.text) < 19_000


async def test_texts_that_are_not_unicode_and_numbers_that_are_not_json_are_shown(folder: Any) -> None:
    folder.database("w.db", "CREATE TABLE t (a, b)", "INSERT INTO t VALUES (CAST(x'6180' AS TEXT), 9e999)")
    seen = await folder("query_sql", path="w.db", sql="SELECT a, b FROM t")
    assert seen.value["rows"] == [["a\ufffd", "inf"]]
    assert (await folder("query_table", path="w.db", measure="list")).value["records"] == [{"a": "a\ufffd", "b": "inf"}]


def what_another_process_says(file: Path) -> str:
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    return subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, timeout=60).stderr


async def test_a_database_of_this_very_process_is_read_without_dropping_its_locks(days: Any) -> None:
    connection = sqlite3.connect(days.path / "w.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    assert (await days("query_table", path="w.db", measure="count")).value["value"] == 3
    await days("list_files")
    assert "database is locked" in what_another_process_says(days.path / "w.db")
    connection.close()
