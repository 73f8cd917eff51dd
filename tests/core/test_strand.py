"""Who may use a Run when, and whose offer wins."""

import asyncio
import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest

from stratagem.core import Answer, Budget, Draw, Reply, Run, Sample, Task, Usage, signature, strategy, tool
from stratagem.errors import BudgetExhausted, ConcurrentUse, NoAnswer, RateLimited
from stratagem.testing import ScriptedModel, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


VERBS: list[Callable[[Run], Any]] = [
    lambda run: run.ask(guess, number=0),
    lambda run: run.sample(guess, 2, number=0),
    lambda run: run.map(lambda run, _: run.ask(guess, number=0), [1]),
    lambda run: run.pool(lambda run, _: run.ask(guess, number=0)),
    lambda run: run.scope("inner").__aenter__(),
    lambda run: run.wait("?"),
    lambda run: run.execute("1"),
    lambda run: run.memory.recall("x", n=1),
    lambda run: run.now(),
    lambda run: run.rng,
    lambda run: run.budget.allows(calls=1),
    lambda run: run.budget.remaining("calls"),
    lambda run: run.budget.spent,
    lambda run: run.offer(Answer("")),
    lambda run: run.note("kind"),
]


async def use(run: Run, verb: Callable[[Run], Any]) -> None:
    made = verb(run)
    if asyncio.iscoroutine(made):
        await made


@pytest.mark.parametrize("verb", VERBS)
async def test_a_run_rests_while_a_child_scope_is_open_and_a_closed_scope_is_dead(verb: Callable[[Run], Any]) -> None:
    run = scripted(ECHO)
    async with run.scope("draft") as part:
        with pytest.raises(ConcurrentUse, match="'the root' waits while its scope 'draft' is open"):
            await use(run, verb)
    with pytest.raises(ConcurrentUse, match="'draft' is closed"):
        await use(part, verb)
    assert not run.ledger
    assert not tape_of(run).rows
    assert await run.ask(guess, number=1) == "g1"


async def test_the_run_of_a_branch_dies_with_the_branch() -> None:
    async def kept(run: Run, _: int) -> Run:
        return run

    (inner,) = await scripted(ECHO).map(kept, [1])
    with pytest.raises(ConcurrentUse, match=r"'map\[0\]' is closed"):
        await inner.ask(guess, number=0)


async def test_a_tool_that_uses_the_run_is_refused() -> None:
    @tool()
    async def cheat() -> str:
        """Ask behind the strategy's back."""
        return await run.ask(guess, number=0)

    run = scripted(ECHO, tools=(cheat,))
    with pytest.raises(ConcurrentUse, match="is performing"):
        await run.call(cheat)
    assert not run.ledger


async def test_ownership_passes_on_when_the_owner_has_ended() -> None:
    run = scripted(ECHO)
    assert await asyncio.create_task(run.ask(guess, number=1)) == "g1"
    assert await run.ask(guess, number=2) == "g2"  # the next cell of a notebook
    with pytest.raises(ConcurrentUse, match="another task"):
        await asyncio.create_task(run.ask(guess, number=3))


async def test_a_thread_is_refused() -> None:
    run = scripted(ECHO)
    with pytest.raises(ConcurrentUse, match="thread"):
        await asyncio.to_thread(run.now)


# Offers


async def test_an_unscored_offer_ranks_above_the_earlier_ones_of_its_strand() -> None:
    run = scripted(ECHO)
    run.offer(Answer("first"))
    run.offer(Answer("second"))
    assert run.best.text == "second"
    run.offer(Answer("good"), score=0.9)
    run.offer(Answer("bad"), score=0.1)
    assert run.best.text == "good"
    run.offer(Answer("last"))
    assert run.best.text == "last"
    run.offer(Answer("equal"), score=0.9)
    assert run.best.text == "last"
    run.offer(Answer("better"), score=1.0)
    assert run.best.text == "better"


async def test_places_are_in_the_order_of_the_program() -> None:
    run = scripted(ECHO)
    for name in ("z", "a"):
        async with run.scope(name) as part:
            part.offer(Answer(await part.ask(guess, number=ord(name))))
    assert run.best.text == f"g{ord('z')}"


async def test_the_ledger_is_ordered_by_place_and_not_by_time() -> None:
    async def twice(run: Run, number: int) -> None:
        await run.ask(guess, number=number)
        await run.ask(guess, number=number + 10)

    run = scripted(ECHO, reverse=True)
    await run.map(twice, range(3))
    assert [asked.inputs["number"] for asked in run.ledger] == [0, 10, 1, 11, 2, 12]


@strategy(calls="0")
async def gives_up(run: Run, task: Task) -> Answer:
    run.offer(Answer("inner"), score=9.0)
    raise NoAnswer("gave up")


async def test_what_a_failed_call_leaves_is_below_every_offer_of_the_caller() -> None:
    run = scripted(ECHO)
    for _ in range(2):
        with pytest.raises(NoAnswer):
            await gives_up(run, Task("?"))
    assert run.best.text == "inner"
    run.offer(Answer("mine"), score=-1.0)
    assert run.best.text == "mine"


# Budgets of scopes


async def test_whoever_opened_a_scope_may_catch_the_end_of_its_own_budget() -> None:
    async def overdrawn(run: Run, calls: int) -> None:
        async with run.scope("try", Budget(calls=calls)) as part:
            await part.ask(guess, number=1)
            await part.ask(guess, number=2)

    run = scripted(ECHO, calls=9)
    with pytest.raises(BudgetExhausted, match="limit of 'try' is 1") as caught:
        await overdrawn(run, calls=1)
    assert caught.value.scope == "try"
    assert await run.ask(guess, number=3) == "g3"
    assert run.strand.world.refusal is None

    tight = scripted(ECHO, calls=1)
    with pytest.raises(BudgetExhausted):
        await overdrawn(tight, calls=5)
    with pytest.raises(BudgetExhausted):
        await tight.ask(guess, number=3)
    assert tight.strand.world.refusal is not None


# Draws


class Sure(ScriptedModel):
    """Sends more with a draw than its text."""

    def complete(self, request: Any, *, on_delta: Any = None) -> Reply:
        return Reply((Sample("yes", finish="length", logprobs=(-0.5,)),), Usage(1, 1, 3, 1))


async def test_draws_show_what_the_model_sent() -> None:
    run = scripted(ECHO)
    run.strand.world.services.model = Sure(ECHO)
    found = await run.draws(guess, 2, number=1)
    assert found == [Draw("yes", "yes", (-0.5,), "length")] * 2
    again = scripted(ECHO, tape=tape_of(run))
    assert await again.draws(guess, 2, number=1) == found
    assert not again.ledger.paid


async def test_a_failed_draw_does_not_lose_the_others() -> None:
    limited: dict[Any, Any] = {
        guess: lambda number, draw: RateLimited("slow") if draw.number == 1 else str(draw.number)
    }
    run = scripted(limited)
    with pytest.raises(RateLimited):
        await run.sample(guess, 4, number=1)
    assert len(tape_of(run)) == 4
    again = scripted({guess: lambda number, draw: str(draw.number)}, tape=tape_of(run))
    assert await again.sample(guess, 4, number=1) == list("0123")
    assert len(again.ledger.paid) == 1


async def in_another_task(run: Run) -> str:
    await run.ask(guess, number=1)
    try:
        return await asyncio.create_task(run.ask(guess, number=2))
    except ConcurrentUse as failure:
        return str(failure)


def told() -> str:
    return asyncio.run(in_another_task(scripted(ECHO)))


ANOTHER = "the Run of 'the root' belongs to another task: use the branch's own"


async def test_a_loop_that_turns_inside_a_task_has_tasks_of_its_own() -> None:
    await scripted(ECHO).ask(guess, number=0)
    outer, inner = asyncio.get_running_loop(), asyncio.new_event_loop()
    asyncio.events._set_running_loop(None)  # what helpers of notebooks do
    try:
        assert inner.run_until_complete(in_another_task(scripted(ECHO))) == ANOTHER
    finally:
        asyncio.events._set_running_loop(outer)
        inner.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_forked_process_has_tasks_of_its_own() -> None:
    await scripted(ECHO).ask(guess, number=0)
    begun = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=begun) as pool:
        assert await asyncio.get_running_loop().run_in_executor(pool, told) == ANOTHER


def test_a_thread_has_a_loop_of_its_own() -> None:
    async def both() -> tuple[str, str]:
        here = await in_another_task(scripted(ECHO))
        return here, await asyncio.to_thread(told)

    assert asyncio.run(both()) == (ANOTHER, ANOTHER)
