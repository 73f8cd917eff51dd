"""Connections that are cut at every message, servers that stop and crash: nothing is doubled, nothing is lost."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from stratagem.core import Journal, MemoryJournal, StoredRun
from stratagem.errors import JournalError
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import OTHER, durable, row, run_of
from tests.journals._postgres_proxy import Proxy

FORM = b'{"question":"Which way?"}'


@pytest.fixture
def proxy(database) -> Iterator[Proxy]:
    proxy = Proxy(database)
    yield proxy
    proxy.close()


@contextlib.asynccontextmanager
async def opened(url: str, **settings: Any):
    journal = PostgresJournal(url, **settings)
    try:
        yield journal
    finally:
        await journal.aclose()


async def life(journal: Journal, run_id: str) -> list[Any]:
    """Live through everything that a run can; return all that the journal said."""
    said: list[Any] = []
    start = run_of(run_id)
    journal.create(start)
    for write in [journal.append(run_id, row(seq)) for seq in range(3)]:
        await durable(write)
    await durable(journal.append(run_id, row(3), alone=True))
    await durable(journal.append(run_id, row(4, request=b"q" * 2000, result=b"r" * 3000)))
    for question in ("q1", "q2"):
        await durable(journal.ask(run_id, question, FORM))
    await durable(journal.beat(OTHER))
    said.append(await journal.answer(run_id, "q1", b"1"))
    said.append(await journal.answer(run_id, "q1", b"2"))
    parked = start._replace(state="waiting", owner=b"", rows=0, end=b'{"waiting":["q2"]}')
    said.append(await journal.park(parked, ["q1"]))
    said.append(await journal.park(parked, ["q2"]))
    said.append(await journal.answer(run_id, "q2", b"2"))
    await journal.claim(run_id, 1, OTHER)
    said.append(await journal.load(run_id))
    await durable(journal.append(run_id, row(5)))
    await durable(journal.update(start._replace(state="finished", owner=b"", rows=0, end=b'{"text":"x"}')))
    said.append(await journal.load(run_id))
    said.append(await journal.answers([run_id]))
    said.append(await journal.remove([run_id]))
    said.append(await journal.find(run_id))
    return said


def without_seals(said: list[Any]) -> list[Any]:
    """Return what was said without the seals of the last rows, which memory does not keep."""

    def plain(one: Any) -> Any:
        if isinstance(one, StoredRun):
            return one._replace(seal=b"")
        return tuple(map(plain, one)) if type(one) is tuple else one

    return [plain(one) for one in said]


@pytest.mark.parametrize("mode", ["before", "after"])
async def test_a_connection_that_is_cut_at_any_message_changes_nothing(proxy, mode):
    expected = without_seals(await life(MemoryJournal(), "abcdef"))
    async with opened(proxy.url) as journal:
        await journal.runs()
        proxy.arm(0)
        assert without_seals(await life(journal, "abcdef")) == expected
        messages = proxy.sent
        assert messages > 40
        for at in range(1, messages + 1):
            proxy.arm(at, mode)
            assert without_seals(await life(journal, "abcdef")) == expected, f"message {at}"
        proxy.arm(0)
        assert (await journal.check()).damage == ()
        assert (await journal.check())[1:5] == (0, 0, 0, 0)


async def test_a_statement_that_arrives_after_its_repetition_does_nothing(proxy):
    async with opened(proxy.url) as journal:
        await durable(journal.create(run_of("abcdef")))
        proxy.arm(1, "late", b"INSERT INTO")
        await durable(journal.append("abcdef", row(0)))
        assert proxy.holds
        await durable(journal.append("abcdef", row(1)))
        before = await journal.load("abcdef")
        answer = proxy.release()
        assert b"INSERT 0" in answer or b"SELECT 0" in answer
        await durable(journal.append("abcdef", row(2)))
        assert before == (run_of("abcdef"), [row(0), row(1)])
        assert await journal.load("abcdef") == (run_of("abcdef"), [row(0), row(1), row(2)])


async def test_a_commit_that_is_still_on_its_way_is_waited_for(proxy, database, server):
    async with opened(proxy.url) as journal:
        await durable(journal.create(run_of("abcdef")))
        proxy.arm(1, "late", b"COMMIT\0")
        asked = asyncio.ensure_future(durable(journal.ask("abcdef", "q1", FORM)))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while (await asyncio.to_thread(server.sql, waits, url=database)) != [(1,)]:
            assert not asked.done()
        proxy.release()
        await asked
        run, _ = await journal.load("abcdef")
        assert run.questions == b'{"q1":%s}' % FORM


async def test_connections_that_are_ended_while_a_hundred_tasks_write_lose_no_row(database, server):
    await many_write_while(database, lambda: ended(server, database))


async def test_nor_behind_a_pooler(database, pooled, server):
    await many_write_while(pooled, lambda: ended(server, database))


async def ended(server, database) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    for _ in range(10):
        await asyncio.to_thread(server.sql, end, url=database)
        await asyncio.sleep(0.01)


async def many_write_while(url, disturbed) -> None:
    """Let a hundred tasks append, and see every row in its place after a disturbance."""
    async with opened(url) as journal:
        await durable(journal.create(run_of("abcdef")))
        rows = []
        over = False

        async def branch(number: int) -> None:
            while not over:
                rows.append(row(len(rows), path=f"f/map[{number}]"))
                await durable(journal.append("abcdef", rows[-1]))

        branches = [asyncio.ensure_future(branch(number)) for number in range(100)]
        await disturbed()
        over = True
        await asyncio.gather(*branches)
        assert len(rows) >= 100
        assert (await journal.load("abcdef"))[1] == rows
        assert (await journal.check()).damage == ()


@pytest.mark.parametrize("end", ["stop", "crash"])
async def test_a_server_that_restarts_in_the_middle_is_waited_for(database, own_server, end):
    async def restarted() -> None:
        await asyncio.to_thread(getattr(own_server, end))
        await asyncio.to_thread(own_server.start)

    await many_write_while(database, restarted)


async def test_a_server_that_restarts_behind_a_pooler_is_waited_for(pooled, own_server):
    async def restarted() -> None:
        await asyncio.to_thread(own_server.stop)
        await asyncio.to_thread(own_server.start)

    await many_write_while(pooled, restarted)


async def test_a_server_that_does_not_come_back_ends_all_writing_and_not_the_reading(database, own_server):
    async with opened(database, patience_s=0.1) as journal:
        await durable(journal.create(run_of("abcdef")))
        await durable(journal.append("abcdef", row(0)))
        await asyncio.to_thread(own_server.stop)
        try:
            with pytest.raises(JournalError, match="the server cannot be reached") as stopped:
                await durable(journal.append("abcdef", row(1)))
            with pytest.raises(JournalError, match="the server cannot be reached"):
                await journal.load("abcdef")
        finally:
            await asyncio.to_thread(own_server.start)
        assert "resume the run" in stopped.value.remedy
        with pytest.raises(JournalError, match="the server cannot be reached"):
            await durable(journal.append("abcdef", row(2)))
        with pytest.raises(JournalError, match="the server cannot be reached"):
            await journal.park(run_of("abcdef", owner=b""), [])
        assert (await journal.load("abcdef"))[1] == [row(0)]
        await journal.claim("abcdef", 1, OTHER)


async def test_a_full_disk_of_the_server_ends_all_writing(database, sql):
    async with opened(database) as journal:
        await durable(journal.create(run_of("abcdef")))
        await durable(journal.append("abcdef", row(0)))
        sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"
        )
        sql("CREATE TRIGGER full_disk BEFORE INSERT ON stratagem.effect EXECUTE FUNCTION full_disk()")
        for seq in (1, 2):
            with pytest.raises(JournalError, match="the disk of the server is full: could not extend file"):
                await durable(journal.append("abcdef", row(seq)))
        sql("DROP TRIGGER full_disk ON stratagem.effect")
        with pytest.raises(JournalError, match="the disk of the server is full"):
            await durable(journal.append("abcdef", row(1)))
        assert await journal.load("abcdef") == (run_of("abcdef"), [row(0)])


async def test_a_value_that_no_column_holds_loses_its_run_alone(database):
    async with opened(database) as journal:
        for name in ("abcdef", "others"):
            await durable(journal.create(run_of(name)))
        bad = journal.append("abcdef", row(0, took=2**63))
        good = journal.append("others", row(0))
        with pytest.raises(JournalError, match="run 'abcdef' writes cannot be stored"):
            await durable(bad)
        await durable(good)
        with pytest.raises(JournalError, match="run 'abcdef' writes cannot be stored"):
            await durable(journal.append("abcdef", row(0)))
        with pytest.raises(JournalError, match="'é' is not ASCII"):
            await durable(journal.create(run_of("é")))
        assert (await journal.load("others"))[1] == [row(0)]


async def test_what_the_server_refuses_of_one_run_is_no_loss_to_others_in_the_batch(database, sql):
    async with opened(database) as journal:
        for name in ("abcdef", "others"):
            await durable(journal.create(run_of(name)))
        sql("ALTER TABLE stratagem.effect ADD CHECK (took <> 7)")
        writes = [journal.append("abcdef", row(0, took=7)), journal.append("others", row(0)), journal.beat(OTHER)]
        with pytest.raises(JournalError, match="run 'abcdef' writes cannot be stored: new row"):
            await durable(writes[0])
        await durable(writes[1])
        await durable(writes[2])
        assert await journal.load("abcdef") == (run_of("abcdef"), [])
        assert (await journal.load("others"))[1] == [row(0)]
        assert await journal.age(OTHER) is not None


async def test_a_journal_whose_entry_was_swept_away_goes_on(database, sql):
    async with opened(database) as journal:
        await durable(journal.create(run_of("abcdef")))
        sql("DELETE FROM stratagem.writer")
        await durable(journal.append("abcdef", row(0)))
        sql("DELETE FROM stratagem.writer")
        await durable(journal.ask("abcdef", "q1", FORM))
        assert (await journal.load("abcdef"))[1] == [row(0)]
    assert sql("SELECT count(*) FROM stratagem.writer") == [(0,)]


async def test_a_database_that_was_set_back_meanwhile_is_not_written_to(database, sql):
    async with opened(database) as journal:
        await durable(journal.create(run_of("abcdef")))
        for seq in range(3):
            await durable(journal.append("abcdef", row(seq)))
        sql("UPDATE stratagem.writer SET batch = batch - 2")
        sql("DELETE FROM stratagem.effect WHERE seq > 0")
        for seq in (3, 4):
            with pytest.raises(JournalError, match="gone back to an earlier state"):
                await durable(journal.append("abcdef", row(seq)))
    assert sql("SELECT seq FROM stratagem.effect") == [(0,)]
