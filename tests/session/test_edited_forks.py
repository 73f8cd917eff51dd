"""Forks of runs that an edited program has continued, and forks of forks: what came before, in the program's order."""

from collections.abc import Callable
from typing import Any

import pytest

from stratagem.core import Answer, MemoryJournal, Run, Task, decoded, signature, strategy
from stratagem.errors import UsageError


async def found(journal: MemoryJournal, run_id: str) -> Any:
    """Return a run that is there."""
    return await journal.find(run_id)


@signature
def say(question: str) -> str:
    """Say it."""
    ...


WORLD: dict[Any, Any] = {say: lambda question: f"<{question}>"}
PARTS: list[str] = []
STOP_AT = ["nowhere"]


class Outage(Exception):
    """Not ours: it leaves the run to be resumed."""


async def _said(run: Run, part: str) -> str:
    if part == STOP_AT[0]:
        raise Outage
    return await run.ask(say, question=part)


@strategy(calls="0")
async def spoken(run: Run, task: Task) -> Answer:
    """Say the parts; those that are written together are said side by side."""
    texts: list[str] = []
    for part in PARTS:
        if " " in part:
            texts += await run.map(_said, part.split())
        else:
            texts.append(await _said(run, part))
    return task.answer(" ".join(texts))


@pytest.fixture
def program() -> Callable[..., None]:
    def written(*parts: str, stop_at: str = "nowhere") -> None:
        PARTS[:] = parts
        STOP_AT[0] = stop_at

    written()
    return written


def questions(rows: Any) -> list[str]:
    return [decoded(row.request)["message"].rpartition(" ")[2] for row in rows]


def number(rows: Any, question: str) -> int:
    return rows[questions(rows).index(question)].seq


async def test_a_fork_performs_again_what_an_inserted_effect_came_before(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", "d", stop_at="d")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("a", "x", "b", "c", "d")
        assert (await s.resume("mine", strategy=spoken)).text == "<a> <x> <b> <c> <d>"
        rows = journal.rows("mine")
        assert questions(rows) == ["a", "b", "c", "x", "d"]

        fork = await s.fork("mine", at=number(rows, "x"))
        assert questions(journal.rows(fork.run_id)) == ["x", "b", "c", "d"]
        fork = await s.fork("mine", at=number(rows, "b"))
        assert questions(journal.rows(fork.run_id)) == ["b", "c", "d"]
        fork = await s.fork("mine", at=number(rows, "d"))
        assert questions(journal.rows(fork.run_id)) == ["d"]


async def test_a_fork_keeps_to_the_order_of_a_program_that_was_turned_round(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", "end", stop_at="end")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("c", "b", "a", "end")
        await s.resume("mine", strategy=spoken)
        rows = journal.rows("mine")
        for at, performed in (("a", ["a", "end"]), ("b", ["b", "a", "end"]), ("c", ["c", "b", "a", "end"])):
            fork = await s.fork("mine", at=number(rows, at))
            assert questions(journal.rows(fork.run_id)) == performed


async def test_what_the_last_program_no_longer_asked_for_did_not_come_before_anything(
    opened: Any, program: Any
) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", "end", stop_at="end")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("a", "c", "end")
        await s.resume("mine", strategy=spoken)
        rows = journal.rows("mine")
        program("a", "c", "b", "end")
        fork = await s.fork("mine", at=number(rows, "c"))
        assert questions(journal.rows(fork.run_id)) == ["c", "b", "end"]


async def test_siblings_of_an_inserted_branch_are_kept(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a b", "c", "end", stop_at="end")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("a b x", "c", "end")
        await s.resume("mine", strategy=spoken)
        rows = journal.rows("mine")
        fork = await s.fork("mine", at=number(rows, "x"))
        assert questions(journal.rows(fork.run_id)) == ["x", "c", "end"]
        assert b'"turns"' in (await found(journal, "mine")).record


async def test_the_order_of_a_run_is_kept_while_it_is_resumed_once_more(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", stop_at="c")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("a", "x", "b", "c", "d", stop_at="d")
        with pytest.raises(Outage):
            await s.resume("mine", strategy=spoken)
        with pytest.raises(Outage):
            await s.resume("mine", strategy=spoken)
        program("a", "x", "b", "c", "d")
        await s.resume("mine", strategy=spoken)
        fork = await s.fork("mine", at=number(journal.rows("mine"), "x"))
        assert questions(journal.rows(fork.run_id)) == ["x", "b", "c", "d"]


async def test_a_run_whose_program_was_not_edited_has_no_turns(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a b c", "d", "e", stop_at="e")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("a b c", "d", "e")
        before = (await found(journal, "mine")).record
        await s.resume("mine", strategy=spoken)
        assert (await found(journal, "mine")).record == before
        fork = await s.fork("mine", at=3)
        assert b'"turns"' not in (await found(journal, fork.run_id)).record


async def test_while_nobody_knows_what_a_killed_edited_program_had_asked_for_nothing_recorded_counts_as_before(
    opened: Any, program: Any, crash: Any
) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a b", "c", "d", stop_at="d")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        parent = (await found(journal, "mine")).record
        program("a b", "x", "c", "d")
        await s.resume("mine", strategy=spoken)
        ended = journal._runs["mine"]
        killed = ended._replace(record=parent[:-1] + b',"unsure":[3]}', state="running", rows=-1, end=b"", owner=b"")
        journal._runs["mine"] = killed  # as it stands while an edited program goes on
        rows = journal.rows("mine")
        fork = await s.fork("mine", at=number(rows, "x"))
        assert questions(journal.rows(fork.run_id)) == ["a", "b", "x", "c", "d"]
        fork = await s.fork("mine", at=number(rows, "c"))
        assert questions(journal.rows(fork.run_id)) == ["x", "c", "d"]


async def test_an_edited_program_says_so_before_it_performs_anything(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    seen: list[Any] = []

    async with opened(WORLD, journal=journal) as s:
        program("a", "b", stop_at="b")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")

    def looked(question: str) -> str:
        seen.append(decoded(journal._runs["mine"].record).get("unsure"))
        return question

    @strategy(calls="0")
    async def another(run: Run, task: Task) -> Answer:
        return task.answer(await run.ask(say, question="y"))

    async with opened({say: looked}, journal=journal) as s:
        await s.resume("mine", strategy=another)
        assert seen[0] == [1]
        assert "unsure" not in decoded(journal._runs["mine"].record)


# Forks of forks


async def test_a_fork_of_a_fork_performs_again_what_the_change_came_before(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", "d")
        await s.run(spoken, "?", run_id="mine")
        program("a", "x", "c", "d")
        one = await s.fork("mine", set={"strategy": spoken})
        assert questions(journal.rows(one.run_id)) == ["x"]
        two = await s.fork(one.run_id, at=number(journal.rows(one.run_id), "x"))
        assert questions(journal.rows(two.run_id)) == ["x", "c", "d"]
        assert two.text == "<a> <x> <c> <d>"


async def test_a_fork_can_be_forked_at_an_effect_that_it_has_of_its_parent(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", "d")
        await s.run(spoken, "?", run_id="mine")
        program("a", "x", "c", "d")
        one = await s.fork("mine", set={"strategy": spoken})
        two = await s.fork(one.run_id, at=number(journal.rows("mine"), "c"))
        assert questions(journal.rows(two.run_id)) == ["c", "d"]
        assert two.text == "<a> <x> <c> <d>"
        three = await s.fork(two.run_id, at=number(journal.rows("mine"), "a"), set={"reply": "edited"})
        assert (questions(journal.rows(three.run_id)), three.text) == ([], "edited <x> <c> <d>")
        gone = number(journal.rows("mine"), "d")  # performed anew by the second fork
        with pytest.raises(UsageError, match=f"there is no effect {gone}: the run has"):
            await s.fork(two.run_id, at=gone)


async def test_the_effects_of_a_fork_are_numbered_behind_those_of_its_ancestors(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c")
        await s.run(spoken, "?", run_id="mine")
        one = await s.fork("mine", at=1)
        two = await s.fork(one.run_id, at=2 + 2)
        assert [row.seq for row in journal.rows(one.run_id)] == [3, 4]
        assert [row.seq for row in journal.rows(two.run_id)] == [5]
        none = await s.fork(two.run_id, set={"budget": "calls=9"})
        more = await s.fork(none.run_id, at=5)
        assert [row.seq for row in journal.rows(more.run_id)] == [6]
        assert (await s.replay(more.run_id)).text == "<a> <b> <c>"


async def test_a_fork_stays_what_it_is_when_its_parent_goes_on(opened: Any, program: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        program("a", "b", "c", stop_at="c")
        with pytest.raises(Outage):
            await s.run(spoken, "?", run_id="mine")
        program("a", "b", "e")
        fork = await s.fork("mine", at=1)
        program("b", "a", "c")
        await s.resume("mine", strategy=spoken)
        program("a", "b", "e")
        assert (await s.replay(fork.run_id)).text == "<a> <b> <e>"
