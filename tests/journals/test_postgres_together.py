"""Several journals on one server at the same time; and columns that arrive as they were sent."""

import asyncio

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.errors import OwnedElsewhere
from stratagem.journals import _postgres_arrays as arrays
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import OTHER, durable, row, run_of, taken
from tests.journals._postgres import shared

FORM = b'{"question":"Which way?"}'


@pytest.fixture(params=["read committed", "repeatable read"])
async def journals(request, database, server):
    # An administrator may have set any isolation.
    name = database.rpartition("/")[2]
    server.sql(f"ALTER DATABASE {name} SET default_transaction_isolation = '{request.param}'")
    made = [PostgresJournal(database), PostgresJournal(database)]
    yield made
    for one in made:
        await one.aclose()


async def test_runs_are_removed_and_swept_while_others_write_the_same_payloads(journals):
    one, two = journals
    names = [f"kept{number:02}" for number in range(5)]
    over = False

    async def write(name: str) -> list:
        await durable(one.create(run_of(name)))
        rows = [row(seq, request=b"q" * 2000, result=b"%d" % (seq % 5) * 2000) for seq in range(30)]
        for each in rows:
            await durable(one.append(name, each))
        return rows

    async def remove() -> None:
        number = 0
        while not over:
            name = f"gone{number:03}"
            await durable(two.create(run_of(name)))
            await durable(two.append(name, row(0, request=b"q" * 2000, result=b"%d" % (number % 5) * 2000)))
            assert await two.remove([name]) == 1
            await two.sweep()
            number += 1

    removing = asyncio.ensure_future(remove())
    written = await asyncio.gather(*(write(name) for name in names))
    over = True
    await removing
    for name, rows in zip(names, written, strict=True):
        assert await two.load(name) == (run_of(name), rows)
    condition = await two.check()
    assert (condition.runs, condition.rows, condition.blobs, condition.orphans) == (5, 150, 6, 0)
    assert condition.damage == ()


@pytest.mark.parametrize("verb", ["sweep", "remove"])
async def test_a_payload_that_is_about_to_be_used_is_not_taken_for_nobodys(journals, database, server, sql, verb):
    one, two = journals
    payload = b"q" * 2000
    for name in ("abcdef", "ghijkl"):
        await durable(one.create(run_of(name)))
    await durable(one.append("abcdef", row(0, result=payload)))
    if verb == "sweep":
        sql("DELETE FROM stratagem.effect")
    with psycopg.connect(database) as writer:  # as a batch of another process, just before its commit
        writer.execute("LOCK TABLE stratagem.blob IN ROW EXCLUSIVE MODE")
        writer.execute(
            "INSERT INTO stratagem.effect SELECT n, 0, 'tool', '', 0, 0, 0, 0, 4, -1, '', '', '', '',"
            " (SELECT digest FROM stratagem.blob) FROM stratagem.run WHERE id = 'ghijkl'"
        )
        removing = asyncio.ensure_future(two.sweep() if verb == "sweep" else two.remove(["abcdef"]))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while (await asyncio.to_thread(server.sql, waits, url=database)) != [(1,)]:
            assert not removing.done()
    assert await removing == (0 if verb == "sweep" else 1)
    assert sql("SELECT size FROM stratagem.blob") == [(2000,)]


async def test_of_two_owners_who_take_a_run_from_each_other_each_row_is_the_owners(journals):
    one, two = journals
    await durable(one.create(run_of("abcdef")))
    accepted: list[str] = []

    async def drive(journal: PostgresJournal, name: str) -> None:
        for turn in range(10):
            try:
                _, rows = await taken(journal, "abcdef")
                for number in range(5):
                    path = f"{name}/{turn}/{number}"
                    await durable(journal.append("abcdef", row(len(rows) + number, path=path)))
                    accepted.append(path)
            except OwnedElsewhere:
                continue

    await asyncio.gather(drive(one, "one"), drive(two, "two"))
    _, rows = await one.load("abcdef")
    assert [each.seq for each in rows] == list(range(len(rows)))
    # Whatever was accepted is there, in the order in which it was accepted.
    assert [each.path for each in rows] == accepted
    assert len(accepted) >= 5


async def test_answers_that_nobody_has_given_cost_one_statement(journals, sql):
    one, two = journals
    names = [f"run{number:03}" for number in range(50)]
    for name in names:
        await durable(one.create(run_of(name)))
        await durable(one.ask(name, "q1", FORM))
    assert await two.answers(names) == {name: {} for name in names}
    asked: list[bytes] = []
    connection = two._store.link._connection
    execute = connection.execute
    connection.execute = lambda query, *values, **options: asked.append(query) or execute(query, *values, **options)
    for _ in range(3):
        assert await two.answers(names) == {name: {} for name in names}
    assert asked == [b'SELECT answers FROM "stratagem".meta'] * 3
    await one.answer("run007", "q1", b"7")
    assert await two.answers(names) == {name: {"q1": b"7"} if name == "run007" else {} for name in names}
    assert len(asked) == 5


async def test_a_run_that_another_has_taken_over_fails_alone_in_a_batch(journals):
    one, two = journals
    for name in ("abcdef", "ghijkl", "mnopqr"):
        await durable(one.create(run_of(name)))
    await taken(two, "ghijkl", OTHER)
    # A record among them, so that it is a transaction of several statements.
    writes = [
        one.append("abcdef", row(0)), one.append("ghijkl", row(0)), one.ask("ghijkl", "q1", FORM),
        one.update(run_of("mnopqr", updated=2000)), one.append("mnopqr", row(0)),
    ]  # fmt: skip
    for write in (writes[0], writes[3], writes[4]):
        await durable(write)
    for write in writes[1:3]:
        with pytest.raises(OwnedElsewhere, match="ghijkl"):
            await durable(write)
    assert (await two.load("abcdef"))[1] == [row(0)]
    assert await two.load("ghijkl") == (run_of("ghijkl", epoch=2, owner=OTHER), [])
    assert await two.load("mnopqr") == (run_of("mnopqr", updated=2000), [row(0)])


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300), TEXT), max_size=20)


@given(ROWS)
def test_columns_arrive_as_they_were_sent(rows):
    types = ("bigint", "bytea", "text")
    with psycopg.connect(shared().url("postgres"), autocommit=True) as connection:
        arrays.register(connection)
        text = f"SELECT * FROM {arrays.unnested(types)}"
        assert connection.execute(text.encode(), arrays.columns(types, rows), binary=True).fetchall() == rows
