"""What a resumed run performs, holds, raises again and decides anew."""

import asyncio
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, Budget, MemoryJournal, Run, Task, decoded, signature, strategy
from stratagem.errors import BudgetExhausted, ModelError, RateLimited, Rejected
from stratagem.testing import ScriptedModel, Tape, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


async def numbered(run: Run, number: int) -> str:
    return await run.ask(guess, number=number)


def without(tape: Tape, *paths: str) -> Tape:
    """Return the tape of a crash at which some strands had recorded nothing."""
    return tape.only(lambda row: row.path not in paths)


# Replay first


async def race(run: Run) -> str:
    """Take the first of three branches, then ask twice more."""
    async with run.pool(numbered) as pool:
        for number in range(3):
            pool.start(number)
        _, found = await anext(pool)
    await run.ask(guess, number=7)
    return found + await run.ask(guess, number=8)


async def test_the_losers_of_a_race_are_not_paid_again() -> None:
    run = scripted(ECHO, reverse=True)
    assert await race(run) == "g2g8"
    whole = tape_of(run)
    assert {row.path for row in whole.rows} == {"", "pool[2]"}  # the losers were cancelled in flight
    for done in range(len(whole) + 1):
        again = scripted(ECHO, tape=whole.upto(done))
        assert await race(again) == ("g0g8" if done == 0 else "g2g8")
        if done:
            assert {asked.path for asked in again.ledger.paid} <= {""}


async def test_new_effects_wait_until_every_strand_has_caught_up() -> None:
    order: list[str] = []

    async def steps(run: Run, number: int) -> None:
        for step in range(3):
            await run.ask(guess, number=10 * number + step)
            order.append(f"{number}.{step}")

    run = scripted(ECHO)
    await run.map(steps, range(2))
    cut = tape_of(run).only(lambda row: row.path == "map[1]" or decoded(row.request)["message"].endswith(" 0"))
    assert len(cut) == 4
    order.clear()
    again = scripted(ECHO, tape=cut)
    await again.map(steps, range(2))
    assert order == ["0.0", "1.0", "1.1", "1.2", "0.1", "0.2"]
    assert len(again.ledger.paid) == 2


@pytest.mark.parametrize("width", [1, 2, None])
async def test_nothing_is_held_for_ever(width: int | None) -> None:
    async def outer(run: Run, number: int) -> list[str]:
        return await run.map(numbered, range(10 * number, 10 * number + 3), width=width)

    run = scripted(ECHO)
    first = await run.map(outer, range(3), width=width)
    tape = tape_of(run)
    for missing in range(3):
        cut = without(tape, *(f"map[{missing}]/map[{inner}]" for inner in range(1, 3)), f"map[{2 - missing}]/map[0]")
        async with asyncio.timeout(5):
            again = scripted(ECHO, tape=cut, reverse=True)
            assert await again.map(outer, range(3), width=width) == first
        assert len(again.ledger.paid) == 3


async def test_a_kept_order_is_void_once_it_names_a_branch_that_was_not_started() -> None:
    async def some(run: Run, numbers: list[int]) -> list[int]:
        async with run.pool(numbered) as pool:
            for number in numbers:
                pool.start(number)
            return [number async for number, _ in pool]

    run = scripted(ECHO, reverse=True)
    assert await some(run, [0, 1, 2]) == [2, 1, 0]
    again = scripted(ECHO, tape=tape_of(run))
    assert await some(again, [0, 1]) == [0, 1]
    assert not again.ledger.paid


async def test_a_pool_may_tolerate_failures_and_bound_its_width() -> None:
    world: dict[Any, Any] = {guess: lambda number: Rejected("no") if number == 1 else f"g{number}"}
    run = scripted(world)
    async with run.pool(numbered, width=1, tolerate=(ModelError,)) as pool:
        for number in range(3):
            pool.start(number)
        assert [found async for found in pool] == [(0, "g0"), (2, "g2")]


# Errors


async def test_a_circumstance_is_performed_again_unless_the_program_went_on() -> None:
    down: dict[Any, Any] = {guess: lambda number: RateLimited("slow down") if number else "fine"}
    run = scripted(down)
    with pytest.raises(RateLimited):
        await run.ask(guess, number=1)
    assert await scripted(ECHO, tape=tape_of(run)).ask(guess, number=1) == "g1"

    async def goes_on(run: Run) -> str:
        try:
            return await run.ask(guess, number=1)
        except RateLimited:
            return await run.ask(guess, number=0)

    run = scripted(down)
    assert await goes_on(run) == "fine"
    again = scripted(ECHO, tape=tape_of(run))
    assert await goes_on(again) == "fine"
    assert not again.ledger.paid
    assert await goes_on(scripted(ECHO, tape=tape_of(run).fork())) == "g1"


async def test_what_is_no_circumstance_is_raised_again() -> None:
    run = scripted({guess: lambda number: Rejected("never")})
    with pytest.raises(Rejected):
        await run.ask(guess, number=1)
    with pytest.raises(Rejected):
        await scripted(ECHO, tape=tape_of(run)).ask(guess, number=1)


async def test_a_refusal_by_a_scope_is_history_once_the_program_went_on() -> None:
    async def careful(run: Run) -> list[str]:
        found: list[str] = []
        try:
            async with run.scope("try", Budget(calls=2)) as part:
                found += await part.sample(guess, 1, number=1)
                found += await part.sample(guess, 2, number=2)
        except BudgetExhausted:
            found.append(await run.ask(guess, number=3))
        return found

    run = scripted(ECHO)
    assert await careful(run) == ["g1", "g3"]
    for done in range(len(tape_of(run)) + 1):
        again = scripted(ECHO, tape=tape_of(run).upto(done))
        assert await careful(again) == ["g1", "g3"]
        assert len(again.ledger) == 2
        assert again.strand.world.refusal is None


# Budgets


async def test_what_is_held_counts_in_what_is_read() -> None:
    run = scripted(ECHO, calls=5)
    await run.ask(guess, number=1)
    await run.ask(guess, number=2)
    again = scripted(ECHO, calls=5, tape=tape_of(run))
    assert again.budget.remaining("calls") == 3
    assert again.budget.spent.calls == 2
    assert not again.budget.allows(calls=4)


async def test_what_an_edited_program_never_reaches_stays_billed() -> None:
    run = scripted(ECHO, calls=2)
    await run.ask(guess, number=1)
    again = scripted(ECHO, calls=2, tape=tape_of(run))
    assert await again.ask(guess, number=2) == "g2"
    with pytest.raises(BudgetExhausted):
        await again.ask(guess, number=3)


async def test_reads_are_decisions_that_resume_keeps_under_a_new_budget() -> None:
    run = scripted(ECHO, calls=1)
    assert not run.budget.allows(calls=2)
    again = scripted(ECHO, calls=9, tape=tape_of(run))
    assert not again.budget.allows(calls=2)
    assert again.budget.allows(calls=2)
    assert scripted(ECHO, calls=9, tape=tape_of(run).fork()).budget.allows(calls=2)


@strategy(calls="3", lower="3")
async def thrice(run: Run, task: Task) -> Answer:
    found: list[str] = []
    for number in range(3):
        found.append(await run.ask(guess, number=number))
        run.offer(task.answer("+".join(found)))
    return task.answer("+".join(found))


class Counting(ScriptedModel):
    """Counts the requests that reach the model."""

    seen = 0

    def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        self.seen += 1
        return super().complete(request, on_delta=on_delta)


async def test_resume_takes_a_new_budget_and_an_ended_run_has_its_answer() -> None:
    model = Counting(ECHO)
    async with session.open(model=model, repairs=0, journal=MemoryJournal(), memory="none") as s:
        first = await s.run(thrice, "?", budget="calls=2", run_id="mine")
        assert (first.stop, first.text, model.seen) == ("budget", "g0+g1", 2)
        assert (await s.resume("mine")).stop == "budget"
        more = await s.resume("mine", budget="calls=3")
        assert (more.stop, more.text, more.usage.calls, model.seen) == ("answered", "g0+g1+g2", 3, 3)
        assert await s.resume("mine") == await s.run(thrice, "?", run_id="mine") == more
        with pytest.raises(ValueError, match="another strategy or task"):
            await s.run(thrice, "another", run_id="mine")
        assert (await s.fork("mine", set={"budget": "calls=1"})).text == "g0+g1+g2"  # a fork pays for what is new
    assert model.seen == 3


@strategy(calls="4", lower="4")
async def drawing(run: Run, task: Task) -> Answer:
    drawn = await run.sample(guess, 3, number=0)
    return task.answer("".join(drawn) + await run.ask(guess, number=1))


async def test_a_fork_at_one_draw_keeps_the_others() -> None:
    model = Counting(ECHO)
    async with session.open(model=model, repairs=0, journal=MemoryJournal(), memory="none") as s:
        first = await s.run(drawing, "?")
        again = await s.fork(first.run_id, at=0)
        assert again.text == first.text
        rows = (await s.show(again.run_id)).rows
        assert [row.occurrence for row in rows] == [0, 0]  # one draw, and what came after
