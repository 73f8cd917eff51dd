"""A file of version 1 is brought forward whole or not at all, and read as it is where it can only be read."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import encoded
from stratagem.core._canonical import hashed
from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals import _schema
from stratagem.journals._tables import TABLES
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, chain, durable, row, run_of, taken
from tests.journals._read_only import read_only

FROZEN = Path(__file__).with_name("version_1.sql").read_text(encoding="utf-8")

THEN = "And " + "then? " * 300
SAID = "said " * 400
WAITING = [
    {"id": "q1", "question": "Which way?", "schema": {"type": "string"}},
    {"id": "q2", "question": THEN, "schema": {"type": "boolean"}},
]
ROWS = [row(seq, result=b"r" * (2000 if seq == 1 else 30)) for seq in range(3)]
WAITS = run_of(
    "abcdef", parent="zyxwvu", state="waiting", updated=5000, owner=b"", rows=3, seal=chain(ROWS),
    end=encoded({"answer": {"stop": "suspended"}, "usage": {}, "waiting": WAITING}),
    questions=encoded({one["id"]: {**one, "asked": 5000, "scope": ""} for one in WAITING}),
    answers=encoded({"q0": False, "q1": SAID}),
)  # fmt: skip
RUNS = run_of("ghijkl", "Why?", owner=b"")
ENDED = run_of("mnopqr", created=900, state="finished", rows=0, updated=6000, owner=b"", end=b'{"answer":{"text":"x"}}')


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "home").mkdir()
    found = tmp_path / "home" / "journal.sqlite"
    file = sqlite3.connect(found)
    file.executescript(FROZEN)
    file.close()
    return found


def told(path: Path, statement: str) -> list[Any]:
    file = sqlite3.connect(path)
    found = [row[0] for row in file.execute(statement)]
    file.commit()
    file.close()
    return found


async def everything(journal: SQLiteJournal) -> list[Any]:
    return [await journal.load(name) for name in ("abcdef", "ghijkl", "mnopqr")]


async def test_an_older_file_is_brought_forward_when_it_is_opened(path):
    journal = SQLiteJournal(path)
    assert await everything(journal) == [(WAITS, ROWS), (RUNS, [row(0)]), (ENDED, [])]
    assert await journal.runs() == [RUNS, WAITS, ENDED]
    assert await journal.answers(["abcdef"]) == {"abcdef": {"q0": b"false", "q1": encoded(SAID)}}
    assert await journal.age(OWNER) is None
    condition = await journal.check()
    assert (condition.runs, condition.rows, condition.blobs, condition.orphans, condition.damage) == (3, 4, 5, 1, ())
    assert await journal.sweep() == 1  # the answers lay in one payload, and lie in several
    assert (await journal.check()).damage == ()
    await journal.aclose()
    assert told(path, "PRAGMA user_version") == [2]
    assert told(path, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql") == sorted(TABLES)


async def test_a_run_of_an_older_file_is_answered_and_goes_on(path):
    journal = SQLiteJournal(path)
    assert await journal.answer("abcdef", "q1", b"1") is None
    given = await journal.answer("abcdef", "q2", b"true")
    assert given is not None
    assert given == WAITS._replace(answers=encoded({"q0": False, "q1": SAID, "q2": True}))
    run, _ = await taken(journal, "abcdef")
    assert run == given._replace(epoch=2, owner=OWNER)
    await durable(journal.append("abcdef", row(3)))
    await durable(journal.update(run._replace(state="finished", rows=0, owner=b"", end=b"{}")))
    await journal.aclose()
    journal = SQLiteJournal(path)
    found, rows = await journal.load("abcdef")
    assert (found.state, found.rows, rows) == ("finished", 4, [*ROWS, row(3)])
    await journal.aclose()


async def test_two_open_an_older_file_and_one_brings_it_forward(path):
    one, two = SQLiteJournal(path), SQLiteJournal(path)
    assert await one.find("ghijkl") == RUNS
    assert await two.find("ghijkl") == RUNS
    await taken(two, "ghijkl")
    await durable(two.append("ghijkl", row(1), alone=True))
    assert (await one.load("ghijkl"))[1] == [row(0), row(1)]
    await one.aclose()
    await two.aclose()


async def test_a_process_of_the_older_version_is_stopped_by_who_takes_its_run_over(path):
    """It has the file open, and goes on to write the rows of its run as it is used to."""
    old = sqlite3.connect(path, isolation_level=None)
    append = (
        "INSERT INTO effect SELECT NULL, n, ?, 1, 2, 0, 0, 0, 0, 0, -1, NULL, x'', x'', x'', x'' FROM run"
        " WHERE n=2 AND epoch=1"
    )
    assert old.execute("SELECT count(*) FROM run").fetchone() == (3,)
    journal = SQLiteJournal(path)
    await taken(journal, "ghijkl")
    assert old.execute(append, (1,)).rowcount == 0
    old.close()
    assert (await journal.load("ghijkl"))[1] == [row(0)]
    await journal.aclose()


async def test_a_file_that_cannot_be_brought_forward_stays_as_it_is(path, monkeypatch):
    before = told(path, "SELECT sql FROM sqlite_master"), told(path, "SELECT stands FROM run")

    def stopped(file: sqlite3.Connection) -> None:
        _schema.with_questions(file)
        raise sqlite3.DatabaseError("stopped on the way")

    monkeypatch.setattr(_schema, "MIGRATIONS", {1: stopped})
    journal = SQLiteJournal(path)
    with pytest.raises(JournalError, match="stopped on the way"):
        await journal.runs()
    await journal.aclose()
    assert told(path, "PRAGMA user_version") == [1]
    assert (told(path, "SELECT sql FROM sqlite_master"), told(path, "SELECT stands FROM run")) == before
    monkeypatch.undo()
    journal = SQLiteJournal(path)
    assert await everything(journal) == [(WAITS, ROWS), (RUNS, [row(0)]), (ENDED, [])]
    await journal.aclose()


WHERE = "where it stands is not what was written"
WHAT = "what it was started with is not what was written"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE run SET answers=CAST('{}' AS BLOB) WHERE n=1", WHERE),
        ("UPDATE run SET answers='{}' WHERE n=1", WHERE),
        ("UPDATE run SET end=x'' WHERE n=1", WHERE),
        ("UPDATE run SET state='running' WHERE n=1", WHERE),
        ("UPDATE run SET epoch=2 WHERE n=1", WHERE),
        ("UPDATE run SET seal='x' WHERE n=1", WHERE),
        ("UPDATE run SET stands=x'00' WHERE n=1", WHERE),
        ("UPDATE blob SET body=x'00' WHERE n=2", WHERE),
        ("DELETE FROM blob WHERE n=3", WHERE),
        ("UPDATE run SET record=x'7b7d' WHERE n=1", WHAT),
        ("UPDATE run SET known=x'00' WHERE n=1", WHAT),
    ],
)
async def test_damage_stays_damage(path, change, found):
    told(path, change)
    journal = SQLiteJournal(path)
    with pytest.raises(JournalCorrupt, match=found):
        await journal.load("abcdef")
    assert await journal.load("ghijkl") == (RUNS, [row(0)])
    assert await journal.drop_damaged("abcdef") == 0
    assert (await taken(journal, "abcdef"))[1] == ROWS
    await durable(journal.append("abcdef", row(3)))
    await journal.aclose()


async def test_a_record_that_is_not_ours_is_brought_forward_without_questions(path):
    """Where answers and end stand is sound, and no list of questions; that the id is new, is damage."""
    for number, end in enumerate([b"[]", b'{"waiting":7}', b'{"waiting":[7,{"question":"?"}]}']):
        mark = hashed(b"s" + f"old00{number} waiting 5 1 0 0 4 ".encode() + b"null" + end)[:16]
        file = sqlite3.connect(path)
        file.execute(
            "INSERT INTO run SELECT NULL, ?, 1, 'waiting', created, 5, format, since, 0, '', x'', known, ?, '', '', '',"
            " record, CAST('null' AS BLOB), ? FROM run WHERE n=2",
            (f"old00{number}", mark, end),
        )
        file.commit()
        file.close()
    journal = SQLiteJournal(path)
    for number in range(3):
        with pytest.raises(JournalCorrupt, match=WHAT):
            await journal.load(f"old00{number}")
    await journal.aclose()
    assert told(path, "SELECT asked FROM run WHERE id LIKE 'old%'") == [0, 0, 0]


@pytest.mark.parametrize("place", ["file", "directory"])
async def test_an_older_file_that_can_only_be_read_is_read_as_it_is(path, place):
    before = path.read_bytes()
    with read_only(path if place == "file" else path.parent):
        journal = SQLiteJournal(path)
        assert await everything(journal) == [(WAITS, ROWS), (RUNS, [row(0)]), (ENDED, [])]
        assert await journal.runs(text="why") == [RUNS]
        assert await journal.answers(["abcdef"]) == {"abcdef": {"q0": b"false", "q1": encoded(SAID)}}
        condition = await journal.check()
        assert (condition.bytes, condition.runs, condition.rows, condition.damage) == (len(before), 3, 4, ())
        for read in (journal.sweep, lambda: journal.remove(["ghijkl"]), lambda: journal.drop_damaged("ghijkl")):
            with pytest.raises(JournalError, match=r"journal\.sqlite can only be read"):
                await read()
        for write in (
            lambda: journal.claim("ghijkl", 1, OWNER),
            lambda: journal.answer("abcdef", "q2", b"true"),
            lambda: durable(journal.beat(OWNER)),
            lambda: durable(journal.append("ghijkl", row(1))),
            lambda: durable(journal.create(run_of("uvwxyz"))),
        ):
            with pytest.raises(JournalError, match=r"journal\.sqlite can only be read"):
                await write()
        await journal.aclose()
    assert path.read_bytes() == before


async def test_a_damaged_older_file_that_can_only_be_read_is_refused_where_it_is_damaged(path):
    told(path, "UPDATE effect SET took=1 WHERE run=2")
    told(path, "UPDATE run SET state='failed' WHERE n=1")
    with read_only(path):
        journal = SQLiteJournal(path)
        with pytest.raises(JournalCorrupt, match="run 'ghijkl': row 0 is not what was written"):
            await journal.load("ghijkl")
        with pytest.raises(JournalCorrupt, match=WHERE):
            await journal.load("abcdef")
        assert await journal.load("mnopqr") == (ENDED, [])
        assert len((await journal.check()).damage) == 2
        await journal.aclose()
