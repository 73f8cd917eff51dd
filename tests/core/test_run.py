"""Scope paths, `using`, `map`, `pool`, offers, repairs and budgets, as a strategy sees them."""

import asyncio
from typing import Any

import pytest

from stratagem.core import Answer, Budget, Run, Task, signature, strategy
from stratagem.errors import BudgetExhausted, ConcurrentUse, ModelError, NoAnswer, UnparsedReply, UsageError
from stratagem.testing import Draw, Raw, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


@signature
def rate(number: int) -> int:
    """Rate."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}", rate: lambda number: number}


@strategy(ids=[], paper="none", calls="1")
async def one(run: Run, task: Task) -> Answer:
    return Answer(await run.ask(guess, number=int(task.question)))


async def numbered(run: Run, number: int) -> str:
    return await run.ask(guess, number=number)


# Strands


async def test_the_paths_are_a_stored_format() -> None:
    run = scripted(ECHO)
    await one(run, Task("1"))
    await one(run, Task("2"))
    await run.map(lambda run, i: one(run, Task(str(i))), range(2))
    await run.map(numbered, [7], key=lambda number: f"n{number}")
    async with run.scope("draft") as inner:
        await inner.ask(guess, number=3)
    async with run.pool(numbered) as pool:
        pool.start(4)
        assert [found async for found in pool] == [(4, "g4")]
    assert [asked.path for asked in run.ledger] == [
        "one",
        "one#2",
        "map[0]/one",
        "map[1]/one",
        "map#2[n7]",
        "draft",
        "pool[0]",
    ]


async def test_a_run_of_another_task_is_refused_before_anything_is_performed() -> None:
    run = scripted(ECHO)
    with pytest.raises(ConcurrentUse, match="root"):
        await run.map(lambda _, i: run.ask(guess, number=i), range(2))
    with pytest.raises(ConcurrentUse):
        await asyncio.gather(one(run, Task("1")), asyncio.create_task(one(run, Task("2"))))
    assert len(run.ledger) == 0


async def test_equal_requests_in_branches_never_swap_their_replies() -> None:
    world: dict[Any, Any] = {guess: lambda number, draw: str(draw.branch)}
    run = scripted(world, reverse=True)
    found = await run.map(lambda run, _: run.ask(guess, number=0), range(5))
    assert found == list("01234")
    for done in range(5):
        again = scripted(world, tape=tape_of(run).upto(done))
        assert await again.map(lambda run, _: run.ask(guess, number=0), range(5)) == found


async def test_samples_are_draws_of_one_request() -> None:
    run = scripted({guess: lambda number, draw: Raw("" if draw.number == 1 else str(draw.number))})
    assert await run.sample(guess, 4, number=0) == ["0", "2", "3"]
    assert await run.ask(guess, number=0) == "4"
    with pytest.raises(UnparsedReply):
        await scripted({guess: lambda number: Raw("")}).sample(guess, 2, number=0)


async def test_using_overrides_only_what_it_names_on_the_same_strand() -> None:
    run = scripted(ECHO)
    await run.using(temperature=1.0, seed=3).using(temperature=0.5).ask(guess, number=0)
    assert run.ledger[0].options == {"temperature": 0.5, "seed": 3}
    with pytest.raises(UsageError, match="heat"):
        run.using(heat=1)


# map and pool


async def test_map_tolerates_only_what_it_is_told() -> None:
    async def odd(run: Run, number: int) -> int:
        if number % 2:
            return number
        raise NoAnswer(f"even {number}")

    run = scripted(ECHO)
    assert await run.map(odd, [1, 2, 3, 4], tolerate=(NoAnswer,)) == [1, 3]
    with pytest.raises(NoAnswer, match="even 2"):
        await run.map(odd, [2, 4], tolerate=(NoAnswer,))
    with pytest.raises(NoAnswer, match="even 2"):
        await run.map(odd, [1, 2, 4])


async def test_a_failure_is_raised_for_the_lowest_index_whoever_fails_first() -> None:
    async def late(run: Run, number: int) -> None:
        for _ in range(3 - number):
            await run.ask(guess, number=number)
        raise NoAnswer(str(number))

    with pytest.raises(NoAnswer, match="0"):
        await scripted(ECHO).map(late, range(3))


async def test_at_most_width_branches_run_at_once() -> None:
    now: list[int] = []
    most = 0

    async def busy(run: Run, number: int) -> None:
        nonlocal most
        now.append(number)
        most = max(most, len(now))
        await run.ask(guess, number=number)
        now.remove(number)

    await scripted(ECHO).map(busy, range(9), width=2)
    assert most == 2


async def test_named_branches_keep_what_was_paid_when_an_item_is_inserted() -> None:
    run = scripted(ECHO)
    await run.map(numbered, [1, 2, 3], key=str)
    again = scripted(ECHO, tape=tape_of(run).fork())
    await again.map(numbered, [1, 9, 2, 3], key=str)
    assert [asked.inputs["number"] for asked in again.ledger.paid] == [9]
    with pytest.raises(UsageError, match="same key"):
        await run.map(numbered, [1, 1], key=str)


async def test_the_completion_order_of_a_pool_is_replayed() -> None:
    async def order(run: Run) -> list[int]:
        async with run.pool(numbered) as pool:
            for number in range(4):
                pool.start(number)
            return [number async for number, _ in pool]

    run = scripted(ECHO, reverse=True)
    first = await order(run)
    assert first == [3, 2, 1, 0]
    for done in range(len(tape_of(run)) + 1):
        again = scripted(ECHO, tape=tape_of(run).upto(done), reverse=True)
        assert await order(again) == first
        assert len(again.ledger) == 4


# Offers


async def test_an_offer_made_in_a_branch_belongs_to_the_strategy_call() -> None:
    @strategy(ids=[], paper="none", calls="3")
    async def branching(run: Run, task: Task) -> Answer:
        async def offered(run: Run, number: int) -> None:
            async with run.scope("deep") as inner:
                inner.offer(Answer(await inner.ask(guess, number=number)), score=number % 2)

        await run.map(offered, range(3))
        return run.best

    for reverse in (False, True):
        assert (await branching(scripted(ECHO, reverse=reverse), Task("?"))).text == "g1"


async def test_ties_go_to_the_first_place_and_not_to_the_first_in_time() -> None:
    async def offered(run: Run, number: int) -> None:
        run.offer(Answer(await run.ask(guess, number=number)))

    for reverse in (False, True):
        run = scripted(ECHO, reverse=reverse)
        await run.map(offered, range(12))
        assert run.best.text == "g0"


async def test_the_best_of_a_failed_inner_call_is_the_callers_only_for_the_same_question() -> None:
    @strategy(ids=[], paper="none", calls="0", lower="0")
    async def gives_up(run: Run, task: Task) -> Answer:
        run.offer(Answer(f"best of {task.question}"), score=9.0)
        raise NoAnswer("gave up")

    @strategy(ids=[], paper="none", calls="0", lower="0")
    async def outer(run: Run, task: Task) -> Answer:
        await run.map(lambda run, t: gives_up(run, t), [task.part("a part"), task], tolerate=(NoAnswer,))
        return Answer("unreachable")

    run = scripted(ECHO)
    with pytest.raises(NoAnswer):
        await outer(run, Task("the whole"))
    assert run.best.text == "best of the whole"


# Errors, repairs


async def test_an_error_is_history_and_is_raised_again() -> None:
    broken: dict[Any, Any] = {guess: lambda number: ModelError("the provider is down")}
    run = scripted(broken)
    with pytest.raises(ModelError, match="down"):
        await run.ask(guess, number=0)
    again = scripted(ECHO, tape=tape_of(run))
    with pytest.raises(ModelError, match="down"):
        await again.ask(guess, number=0)
    assert not again.ledger.paid


async def test_repairs_are_billed_and_flagged() -> None:
    world: dict[Any, Any] = {rate: lambda number: Raw("many")}
    run = scripted(world, repairs=2)
    with pytest.raises(UnparsedReply):
        await run.ask(rate, number=0)
    assert [asked.repair for asked in run.ledger] == [False, True, True]
    assert (len(run.ledger.logical), run.budget.spent.calls) == (1, 3)
    assert run.ledger[2].text.count("could not be read") == 2


async def test_inputs_must_be_immutable() -> None:
    with pytest.raises(UsageError, match="use a tuple"):

        @signature
        def broken(items: list[str]) -> str:
            """Break."""
            ...

    sneaky: Any = [1]
    with pytest.raises(UsageError, match="a tuple, not a list"):
        await scripted(ECHO).ask(guess, number=sneaky)


# Budget


async def test_scopes_nest_and_the_tightest_holds() -> None:
    run = scripted(ECHO, calls=3)
    async with run.scope("tight", Budget(calls=1)) as inner:
        assert inner.budget.remaining("calls") == 1
        await inner.ask(guess, number=0)
        with pytest.raises(BudgetExhausted) as caught:
            await inner.ask(guess, number=1)
        assert (caught.value.limit, caught.value.allowed) == ("calls", 1)
    assert run.budget.allows(calls=2)
    assert not run.budget.allows(calls=3)
    assert run.strand.world.refusal is None  # a limit of its own does not end the run


async def test_concurrent_calls_never_exceed_the_budget() -> None:
    run = scripted(ECHO, calls=3, reverse=True)
    assert await run.map(numbered, range(10), tolerate=(BudgetExhausted,)) == ["g0", "g1", "g2"]
    assert len(run.ledger) == 3


async def test_samples_are_reserved_together() -> None:
    run = scripted(ECHO, calls=3)
    with pytest.raises(BudgetExhausted):
        await run.sample(guess, 4, number=0)
    assert not run.ledger


async def test_what_a_program_read_of_its_budget_is_history() -> None:
    async def adaptive(run: Run) -> list[bool]:
        async def look(run: Run, number: int) -> bool:
            await run.ask(guess, number=number)
            return run.budget.allows(calls=3)

        return await run.map(look, range(3))

    run = scripted(ECHO, calls=5)
    first = await adaptive(run)
    again = scripted(ECHO, calls=5, tape=tape_of(run), reverse=True)
    assert await adaptive(again) == first


async def test_the_clock_is_history(clock: Any) -> None:
    run = scripted(ECHO, clock=clock)
    first = run.now()
    clock.advance(5)
    assert run.now() == first + 5
    clock.advance(5)
    again = scripted(ECHO, clock=clock, tape=tape_of(run))
    assert [again.now(), again.now(), again.now()] == [first, first + 5, first + 10]


async def test_depth_is_bounded() -> None:
    run = scripted(ECHO, budget=Budget(depth=1))
    await one(run, Task("1"))

    @strategy(ids=[], paper="none", calls="1")
    async def nested(run: Run, task: Task) -> Answer:
        return await one(run, task)

    with pytest.raises(BudgetExhausted, match="depth"):
        await nested(run, Task("1"))


def test_a_draw_of_another_seed_differs() -> None:
    assert Draw("p", 0, 1).dice.random() == Draw("p", 0, 1).dice.random() != Draw("p", 0, 2).dice.random()
