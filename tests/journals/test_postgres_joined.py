"""Calls about many runs that are made at once: few transactions, and each has an outcome of its own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import StoredRun
from stratagem.errors import JournalCorrupt, JournalError, OwnedElsewhere, UsageError
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import OTHER, durable, row, run_of

RUNS = [f"run{number:03}" for number in range(30)]
FORM = b'{"question":"Which way?"}'


@pytest.fixture
async def journals(database: str) -> AsyncIterator[list[PostgresJournal]]:
    made = [PostgresJournal(database), PostgresJournal(database)]
    for name in RUNS:
        made[0].create(run_of(name))
        made[0].append(name, row(0))
        await durable(made[0].ask(name, "q", FORM))
    yield made
    for one in made:
        await one.aclose()


async def at_once(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def transactions(journal: PostgresJournal) -> int:
    return journal._store.link._batch


async def test_claims_of_one_moment_are_one_transaction(journals: list[PostgresJournal]) -> None:
    one, two = journals
    await two.find(RUNS[0])
    before = await transactions(two)
    assert await at_once(*(two.claim(name, 1, OTHER) for name in RUNS)) == [None] * len(RUNS)
    assert await transactions(two) - before == 1
    for name in RUNS:
        await durable(two.append(name, row(1)))
    assert [found[1] for found in await at_once(*(two.load(name) for name in RUNS))] == [[row(0), row(1)]] * len(RUNS)
    with pytest.raises(OwnedElsewhere):
        await durable(one.append(RUNS[3], row(1)))


async def test_what_is_wrong_with_one_call_is_wrong_with_that_one_alone(
    journals: list[PostgresJournal], sql: Any
) -> None:
    _, two = journals
    sql("UPDATE stratagem.run SET stands = '\\x00' WHERE id = 'run004'")
    names = [*RUNS[:5], "nobody", "n\0", "ü", RUNS[5]]
    found = await at_once(*(two.claim(name, 2 if name == RUNS[1] else 1, OTHER) for name in names))
    assert [type(one) for one in found] == [
        type(None), OwnedElsewhere, type(None), type(None), JournalCorrupt, UsageError, UsageError, UsageError, type(None),
    ]  # fmt: skip
    found = await at_once(*(two.find(name) for name in names))
    kinds = [StoredRun] * 4 + [JournalCorrupt] + [type(None)] * 3 + [StoredRun]
    assert [type(one) for one in found] == kinds
    found = await at_once(*(two.load(name) for name in names))
    assert [type(one) for one in found] == [*[tuple] * 4, JournalCorrupt, *[UsageError] * 3, tuple]


async def test_what_the_server_cannot_take_spoils_nothing_for_the_others(journals: list[PostgresJournal]) -> None:
    _, two = journals
    found = await at_once(*(two.claim(name, 2**63 - 1 if name == RUNS[1] else 1, OTHER) for name in RUNS[:4]))
    assert [type(one) for one in found] == [type(None), OwnedElsewhere, type(None), type(None)]
    long = "x" * 3_000  # an id that no index takes, but any column
    found = await at_once(*(two.find(name) for name in (RUNS[0], long)))
    assert (found[0].run_id, found[1]) == (RUNS[0], None)


async def test_a_question_is_answered_once_by_calls_of_one_moment(journals: list[PostgresJournal]) -> None:
    one, two = journals
    said = await at_once(
        *(each.answer(name, "q", value) for name in RUNS for each, value in ((one, b"1"), (two, b"2"), (two, b"3")))
    )
    assert [sum(isinstance(found, StoredRun) for found in said[at : at + 3]) for at in range(0, len(said), 3)] == [
        1
    ] * 30
    assert not [found for found in said if isinstance(found, Exception)]
    heard = await two.answers(RUNS)
    for name, at in zip(RUNS, range(0, len(said), 3), strict=True):
        (run,) = [found for found in said[at : at + 3] if found is not None]
        assert run.answers == b'{"q":%s}' % heard[name]["q"]
    found = await at_once(one.answer("nobody", "q", b"1"), one.answer(RUNS[0], "other", b"1"))
    assert [type(each) for each in found] == [UsageError, UsageError]


async def test_two_processes_that_claim_the_same_runs_share_them(journals: list[PostgresJournal]) -> None:
    one, two = journals
    found = await at_once(*(each.claim(name, 1, OTHER) for name in RUNS for each in (one, two)))
    for at in range(0, len(found), 2):
        assert sorted(type(each).__name__ for each in found[at : at + 2]) == ["NoneType", "OwnedElsewhere"]


async def test_calls_to_a_server_that_is_gone_fail_together(database: str, server: Any) -> None:
    host, _, name = database.rpartition("/")
    lost = PostgresJournal(f"{host.rpartition(':')[0]}:1/{name}", patience_s=0.2)
    found = await at_once(*(lost.find(run_id) for run_id in RUNS))
    assert {type(each) for each in found} == {JournalError}
    await lost.aclose()
