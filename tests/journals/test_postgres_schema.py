"""The tables: made once by whoever is first, kept apart by schema, brought forward, refused when they are newer."""

import asyncio

import pytest

from stratagem.core import StoredRun
from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals import _postgres_schema as schema
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import durable, row, run_of

ROWS = [row(0), row(1, request=b"q" * 2000)]


async def stored(url: str) -> StoredRun:
    """Write a run in a journal of its own."""
    journal = PostgresJournal(url)
    await durable(journal.create(run_of("abcdef")))
    for one in ROWS:
        await durable(journal.append("abcdef", one))
    await journal.aclose()
    return run_of("abcdef")


async def test_tables_that_somebody_changed_are_damage(database, sql):
    await stored(database)
    sql("ALTER TABLE stratagem.effect DROP COLUMN took")
    journal = PostgresJournal(database)
    with pytest.raises(JournalCorrupt, match="its tables are not as stratagem made them"):
        await journal.load("abcdef")
    await journal.aclose()


async def test_two_processes_may_begin_at_once(database, sql):
    journals = [PostgresJournal(database) for _ in range(8)]
    await asyncio.gather(*(durable(one.create(run_of(f"run{n:03}"))) for n, one in enumerate(journals)))
    assert len(await journals[0].runs()) == 8
    await asyncio.gather(*(one.aclose() for one in journals))
    assert sql("SELECT version, answers FROM stratagem.meta") == [(schema.VERSION, 0)]


async def test_journals_in_two_schemas_keep_apart(database):
    one, two = PostgresJournal(database), PostgresJournal(f"{database}?schema=other")
    await durable(one.create(run_of("abcdef")))
    assert await two.runs() == []
    await durable(two.create(run_of("abcdef", "Another?")))
    assert (await one.runs(), await two.runs()) == ([run_of("abcdef")], [run_of("abcdef", "Another?")])
    await one.aclose()
    await two.aclose()


async def test_an_older_version_is_brought_forward_with_what_it_holds(database, sql, monkeypatch):
    run = await stored(database)
    monkeypatch.setattr(schema, "VERSION", 2)
    steps = (
        "ALTER TABLE {s}.run ADD note text NOT NULL DEFAULT 'from one'",
        "UPDATE {s}.meta SET answers = answers + 100",
    )
    monkeypatch.setattr(schema, "MIGRATIONS", {1: steps})
    journals = [PostgresJournal(database) for _ in range(4)]
    for found in await asyncio.gather(*(one.load("abcdef") for one in journals)):
        assert found == (run, ROWS)
    await asyncio.gather(*(one.aclose() for one in journals))
    assert sql("SELECT version, answers FROM stratagem.meta") == [(2, 100)]  # once, by whoever was first
    assert sql("SELECT note FROM stratagem.run") == [("from one",)]


async def test_a_step_that_fails_leaves_the_older_version_as_it_was(database, sql, monkeypatch):
    run = await stored(database)
    with monkeypatch.context() as newer:
        newer.setattr(schema, "VERSION", 2)
        newer.setattr(schema, "MIGRATIONS", {1: ("ALTER TABLE {s}.run ADD note text", "SELECT 1 / 0")})
        journal = PostgresJournal(database)
        with pytest.raises(JournalError, match="division by zero"):
            await journal.load("abcdef")
        await journal.aclose()
    journal = PostgresJournal(database)
    assert await journal.load("abcdef") == (run, ROWS)
    await journal.aclose()
    assert sql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'note'") == [(0,)]


@pytest.mark.parametrize(
    ("version", "said"),
    [(2, "written by a newer stratagem: its version is 2, this one reads up to 1"), (0, "not a journal")],
)
async def test_a_version_that_is_not_known_is_refused(database, sql, version, said):
    await stored(database)
    sql("UPDATE stratagem.meta SET version = %s", version)
    journal = PostgresJournal(database)
    with pytest.raises(JournalError, match=said):
        await journal.load("abcdef")
    with pytest.raises(JournalError, match=said):
        await durable(journal.create(run_of("uvwxyz")))
    await journal.aclose()
    assert sql("SELECT id FROM stratagem.run") == [("abcdef",)]


async def test_a_run_of_a_newer_format_is_refused(database, sql):
    await stored(database)
    sql("UPDATE stratagem.run SET format = 2")
    journal = PostgresJournal(database)
    with pytest.raises(JournalError, match="its rows have format 2, this one reads 1"):
        await journal.load("abcdef")
    await journal.aclose()


async def test_a_schema_that_holds_something_else_is_left_alone(database, sql):
    sql("CREATE SCHEMA stratagem")
    sql("CREATE TABLE stratagem.run (mine text)")
    journal = PostgresJournal(database)
    with pytest.raises(JournalError, match="the schema holds something else"):
        await journal.runs()
    await journal.aclose()
    assert sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'stratagem'") == [(1,)]
