"""What is removed, what space is given back, and what a look at every byte finds."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import durable, row, run_of


@pytest.fixture
def journal(tmp_path) -> SQLiteJournal:
    return SQLiteJournal(tmp_path / "journal.sqlite")


def read(path: Path, statement: str) -> list[tuple[Any, ...]]:
    file = sqlite3.connect(path)
    found = file.execute(statement).fetchall()
    file.commit()
    file.close()
    return found


async def test_payloads_go_with_the_last_run_that_has_them(journal, tmp_path):
    shared, own = b'"' + b"s" * 3000 + b'"', b'"' + b"o" * 3000 + b'"'
    for name in ("abcdef", "ghijkl"):
        await durable(
            journal.create(run_of(name, end=shared, questions=b'{"q":%s}' % shared, answers=b'{"q":%s}' % own))
        )
        await durable(journal.append(name, row(0, request=shared, result=own)))
        await durable(journal.append(name, row(1, result=own[:-1] + name.encode() + b'"')))
    assert (await journal.check()).blobs == 4
    assert await journal.remove(["abcdef"]) == 1
    assert (await journal.check()).blobs == 3
    assert await journal.remove(["ghijkl"]) == 1
    assert (await journal.check())[1:] == (0, 0, 0, 0, ())
    assert await journal.sweep() == 0
    await journal.aclose()
    path = tmp_path / "journal.sqlite"
    assert [read(path, f"SELECT count(*) FROM {table}") for table in ("effect", "question", "run")] == [[(0,)]] * 3


async def test_sweeping_gives_space_back_and_loses_nothing(journal, tmp_path):
    path = tmp_path / "journal.sqlite"
    for name in ("abcdef", "ghijkl"):
        await durable(journal.create(run_of(name)))
        for seq in range(100):
            journal.append(name, row(seq, result=os.urandom(3000)))
    kept = await journal.load("ghijkl")
    await journal.remove(["abcdef"])
    file = sqlite3.connect(path)  # a reader that has the file open
    file.execute("INSERT INTO blob (digest, size, body) VALUES (x'00', 5000, zeroblob(5000))")
    file.commit()
    full = await journal.check()
    assert (full.blobs, full.orphans, full.damage) == (101, 1, ("payload 201 is not what was written",))
    assert await journal.sweep() == 1
    after = await journal.check()
    assert (after.blobs, after.orphans, after.damage) == (100, 0, ())
    assert after.bytes < 0.6 * full.bytes
    assert await journal.load("ghijkl") == kept
    await durable(journal.append("ghijkl", row(100), alone=True))
    assert file.execute("SELECT count(*) FROM effect").fetchone() == (101,)
    file.close()
    await journal.aclose()
    assert read(path, "PRAGMA freelist_count") == [(0,)]


async def test_a_large_file_keeps_its_free_pages(journal, tmp_path, monkeypatch):
    monkeypatch.setattr("stratagem.journals._keeping.COPIED_BYTES", 50_000)
    for name in ("abcdef", "ghijkl"):
        await durable(journal.create(run_of(name)))
        for seq in range(100):
            journal.append(name, row(seq, result=os.urandom(3000)))
    await journal.remove(["abcdef"])
    assert await journal.sweep() == 0
    await journal.aclose()
    ((free,),) = read(tmp_path / "journal.sqlite", "PRAGMA freelist_count")
    assert free > 50


async def test_a_number_of_a_removed_run_is_not_used_again(journal, tmp_path):
    for name in ("aaaaaa", "bbbbbb", "cccccc"):
        await durable(journal.create(run_of(name)))
    await journal.remove(["cccccc"])
    await journal.remove(["bbbbbb"])
    await durable(journal.create(run_of("dddddd")))
    await journal.remove(["aaaaaa", "dddddd"])
    await durable(journal.create(run_of("eeeeee")))
    await journal.aclose()
    assert read(tmp_path / "journal.sqlite", "SELECT n, id FROM run") == [(5, "eeeeee")]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE effect SET took=1 WHERE seq=1", ["run 'abcdef': row 1 is not what was written"]),
        ("DELETE FROM run WHERE id='abcdef'", ["2 rows belong to no run", "1 questions belong to no run"]),
        (
            "UPDATE run SET state='failed' WHERE id='abcdef'",
            ["the record of run 'abcdef' is damaged: where it stands is not what was written"],
        ),
        (
            "UPDATE question SET value=x'31'",
            ["the record of run 'abcdef' is damaged: the answer to question 'q' is not what was written"],
        ),
        (
            "UPDATE blob SET body=zeroblob(20)",
            [
                "run 'abcdef': row 1 has lost its result: the stored payload is damaged or missing",
                "payload 1 is not what was written",
            ],
        ),
        (
            "UPDATE run SET format=9",
            ["run 'abcdef' was written by a newer stratagem: its rows have format 9, this one reads 1"],
        ),
        ("INSERT INTO blob VALUES (7, x'00', 1, x'00')", ["payload 7 is not what was written"]),
    ],
)
async def test_whatever_is_damaged_is_listed_and_nothing_is_changed(journal, tmp_path, statement, told):
    await durable(journal.create(run_of("abcdef", questions=b'{"q":"?"}')))
    await durable(journal.append("abcdef", row(0)))
    await durable(journal.append("abcdef", row(1, result=b"r" * 2000)))
    await journal.aclose()
    path = tmp_path / "journal.sqlite"
    read(path, statement)
    before = path.read_bytes()
    journal = SQLiteJournal(path)
    condition = await journal.check()
    assert list(condition.damage) == told
    assert (condition.rows, condition.blobs) == (2, 1 + ("INTO blob" in statement))
    await journal.aclose()
    assert path.read_bytes() == before


async def test_pages_that_contradict_each_other_are_listed(journal, tmp_path):
    await durable(journal.create(run_of("abcdef")))
    for seq in range(3):
        await durable(journal.append("abcdef", row(seq)))
    await journal.aclose()
    path = tmp_path / "journal.sqlite"
    file = sqlite3.connect(path)
    file.execute("PRAGMA writable_schema=1")
    file.execute("UPDATE sqlite_master SET sql=sql || ' WHERE seq<>2' WHERE name='effect_place'")
    file.commit()
    file.close()
    file = sqlite3.connect(path)
    file.execute("REINDEX effect_place")
    file.execute("PRAGMA writable_schema=1")
    file.execute("UPDATE sqlite_master SET sql=replace(sql, ' WHERE seq<>2', '') WHERE name='effect_place'")
    file.commit()
    file.close()
    journal = SQLiteJournal(path)
    damage = (await journal.check()).damage
    assert "wrong # of entries in index effect_place" in damage
    assert "run 'abcdef': row 2 is missing from the index" in damage
    await journal.aclose()


async def test_a_file_that_cannot_be_opened_is_damaged_as_a_whole(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"SQLite format 3\x00" + bytes(2000))
    journal = SQLiteJournal(path)
    condition = await journal.check()
    assert (condition.bytes, condition.runs) == (2016, 0)
    assert len(condition.damage) == 1
    assert str(path) in condition.damage[0]
    await journal.aclose()


async def test_a_damaged_count_of_runs_keeps_no_run_from_being_made(journal, tmp_path):
    await durable(journal.create(run_of("abcdef")))
    await journal.remove(["abcdef"])
    read(tmp_path / "journal.sqlite", "UPDATE count SET n=9223372036854775807 WHERE name='runs'")
    await durable(journal.create(run_of("ghijkl")))
    assert await journal.load("ghijkl") == (run_of("ghijkl"), [])
    await journal.aclose()
