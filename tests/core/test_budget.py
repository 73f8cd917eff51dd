"""Budgets: reserved before, settled after, nested, sticky; the tightest holds."""

import asyncio
import contextlib
import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Answer, Budget, Reply, Run, Task, Usage, signature, strategy
from stratagem.core._budget import Meter, Need, settle, take, wait
from stratagem.errors import BudgetExhausted, Rejected, UnparsedReply, UsageError
from stratagem.testing import Raw, ScriptedModel, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


async def numbered(run: Run, number: int) -> str:
    return await run.ask(guess, number=number)


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("prompt", [False, True])
@pytest.mark.parametrize("budget", [Budget(calls=3), Budget(tokens=40), Budget(seconds=3), None, "unread"])
async def test_a_run_that_a_budget_or_a_failure_has_ended_leaves_nothing_to_the_collector(
    budget: Any, prompt: bool, clock: Any
) -> None:
    ended_by = (BudgetExhausted, Rejected, UnparsedReply)

    def failing(number: int) -> Any:
        if budget == "unread":
            return Raw(" ")
        raise Rejected("no")

    limits = budget if isinstance(budget, Budget) else None

    class Kept:
        """Something that a frame knows."""

    kept: list[weakref.ref[Kept]] = []

    async def late(run: Run, number: int) -> str:
        mine = Kept()
        kept.append(weakref.ref(mine))
        clock.advance(1)
        return await numbered(run, number)

    async def ended() -> None:
        run = scripted(ECHO if limits else {guess: failing}, budget=limits, prompt=prompt, clock=clock)
        with contextlib.suppress(*ended_by):
            await run.map(late, range(5), tolerate=ended_by, width=1)
        with contextlib.suppress(*ended_by):
            await run.map(late, range(5), tolerate=ended_by)
        with contextlib.suppress(*ended_by):
            await late(run, 9)
        with contextlib.suppress(*ended_by):
            async with run.pool(late, tolerate=ended_by) as pool:
                pool.start(1)
                async for _ in pool:
                    pass
        with contextlib.suppress(*ended_by):
            await run.map(lambda run, _: run.draws(guess, 3, number=1), range(2))
        assert limits is None or run.strand.world.refusal is not None

    gc.disable()
    try:
        await ended()
        await asyncio.sleep(0)  # tasks let go of what they ran
        assert (len(kept), [one for one in kept if one() is not None]) == (12, [])
    finally:
        gc.enable()


# Calls


@pytest.mark.parametrize(("branches", "cap", "reverse"), [(200, 150, False), (60, 45, True)])
async def test_branches_against_a_cap_make_exactly_as_many_calls(branches: int, cap: int, reverse: bool) -> None:
    run = scripted(ECHO, calls=cap, reverse=reverse)
    found = await run.map(numbered, range(branches), tolerate=(BudgetExhausted,))
    assert len(found) == len(run.ledger) == tape_of(run).calls() == cap
    assert run.strand.world.refusal is not None


@pytest.mark.parametrize("prompt", [False, True])
async def test_branches_that_ask_several_times_share_the_cap(prompt: bool) -> None:
    async def thrice(run: Run, number: int) -> None:
        for step in range(3):
            await run.ask(guess, number=3 * number + step)

    run = scripted(ECHO, calls=100, prompt=prompt)
    with contextlib.suppress(BudgetExhausted):  # with replies at once the first branches end before the last begin
        await run.map(thrice, range(60), tolerate=(BudgetExhausted,))
    assert len(run.ledger) == tape_of(run).calls() == 100


async def test_failed_and_cancelled_calls_count() -> None:
    class Down(ScriptedModel):
        async def complete(self, request: Any, *, on_delta: Any = None) -> Reply:
            if request.inputs["number"] == 0:
                raise Rejected("no")
            return await asyncio.get_running_loop().create_future()

    run = scripted(ECHO, calls=3)
    run.strand.world.services.model = Down(ECHO)
    with pytest.raises(Rejected):
        await run.map(numbered, range(2))
    assert run.budget.remaining("calls") == 1  # one failed; one was begun and cancelled, and may have been performed
    assert run.budget.spent.calls == 2


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_sample_gives_back_what_it_did_not_begin(turns: int) -> None:
    run = scripted(ECHO, calls=10)
    sampling = asyncio.create_task(run.sample(guess, 3, number=1))
    for _ in range(turns):
        await asyncio.sleep(0)
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    await settled()
    assert run.strand.meters[0].reserved == [0, 0, 0, 0]
    assert run.budget.remaining("calls") == 10 - len(run.ledger)


async def test_a_sample_is_reserved_all_or_none_beside_others() -> None:
    async def drawn(run: Run, number: int) -> list[str]:
        return await run.sample(guess, 4, number=number)

    run = scripted(ECHO, calls=10)
    found = await run.map(drawn, range(5), tolerate=(BudgetExhausted,))
    assert [len(one) for one in found] == [4, 4]
    assert len(run.ledger) == 8


async def test_a_refusal_is_sticky_even_for_what_would_fit() -> None:
    run = scripted(ECHO, calls=3)
    with pytest.raises(BudgetExhausted):
        await run.sample(guess, 4, number=0)
    with pytest.raises(BudgetExhausted) as caught:
        await run.ask(guess, number=1)
    assert (caught.value.limit, caught.value.allowed, caught.value.scope) == ("calls", 3, "")
    assert not run.ledger


async def test_a_thousand_refusals_do_not_pile_up_in_one_traceback() -> None:
    run = scripted(ECHO, calls=1)
    await run.map(numbered, range(1000), tolerate=(BudgetExhausted,))
    with pytest.raises(BudgetExhausted) as caught:
        await run.ask(guess, number=0)
    depth, trace = 0, caught.value.__traceback__
    while trace is not None:
        depth, trace = depth + 1, trace.tb_next
    assert depth < 30


# Nested scopes


async def test_what_a_scope_spends_counts_in_all_that_enclose_it() -> None:
    run = scripted(ECHO, calls=5)
    async with run.scope("outer", "calls=4") as outer:
        async with outer.scope("inner", "calls=2") as inner:
            await inner.map(numbered, range(5), tolerate=(BudgetExhausted,))
            assert (inner.budget.limits, inner.budget.spent.calls) == (Budget(calls=2), 2)
        assert outer.budget.remaining("calls") == 2
        await outer.map(numbered, range(5), tolerate=(BudgetExhausted,))
        assert outer.budget.spent.calls == 4
    assert run.budget.remaining("calls") == 1
    assert await run.ask(guess, number=9) == "g9"
    assert run.strand.world.refusal is None


async def test_the_seconds_of_a_scope_begin_when_it_opens(clock: Any) -> None:
    run = scripted(ECHO, budget=Budget(seconds=100), clock=clock)
    await run.ask(guess, number=0)
    clock.advance(60)
    async with run.scope("short", "seconds=10") as part:
        assert part.budget.remaining("seconds") == 10
        await part.ask(guess, number=1)
        clock.advance(4)
        assert part.budget.remaining("seconds") == 6
        clock.advance(6)
        with pytest.raises(BudgetExhausted, match="seconds limit of 'short' is 10"):
            await part.ask(guess, number=2)
    assert await run.ask(guess, number=3) == "g3"


async def test_the_seconds_of_a_scope_go_on_where_they_stood(clock: Any) -> None:
    async def program(run: Run) -> None:
        await run.ask(guess, number=0)
        clock.advance(60)
        async with run.scope("short", "seconds=10") as part:
            await part.ask(guess, number=1)
            clock.advance(7)
            await part.ask(guess, number=2)

    run = scripted(ECHO, clock=clock)
    await program(run)
    again = scripted(ECHO, clock=clock, tape=tape_of(run))
    await again.ask(guess, number=0)
    async with again.scope("short", "seconds=10") as part:
        await part.ask(guess, number=1)
        await part.ask(guess, number=2)
        assert part.budget.remaining("seconds") == 3
        clock.advance(4)
        with pytest.raises(BudgetExhausted, match="seconds"):
            await part.ask(guess, number=3)


async def test_the_depth_of_a_scope_counts_from_there() -> None:
    @strategy(calls="1")
    async def leaf(run: Run, task: Task) -> Answer:
        return task.answer(await run.ask(guess, number=1))

    @strategy(calls="1")
    async def middle(run: Run, task: Task) -> Answer:
        return await leaf(run, task)

    @strategy(calls="2")
    async def outer(run: Run, task: Task) -> Answer:
        async with run.scope("flat", "depth=1") as part:
            await leaf(part, task)
            return await middle(part, task)

    run = scripted(ECHO)
    with pytest.raises(BudgetExhausted, match=r"depth limit of 'outer/flat' is 1"):
        await outer(run, Task("?"))
    assert [asked.path for asked in run.ledger] == ["outer/flat/leaf"]


# Resumed runs


async def test_what_is_recorded_is_held_under_every_scope_until_it_is_reached() -> None:
    async def program(run: Run, until: int) -> list[str]:
        found: list[str] = []
        for number in range(3):
            async with run.scope("part", "calls=2") as part:
                for step in range(2):
                    if 2 * number + step >= until:
                        return found
                    found.append(await part.ask(guess, number=10 * number + step))
        return found

    run = scripted(ECHO, calls=6)
    assert len(await program(run, 5)) == 5
    for done in range(6):
        again = scripted(ECHO, calls=6, tape=tape_of(run).upto(done))
        assert again.budget.remaining("calls") == 6 - done
        async with again.scope("part", "calls=2") as part:
            assert part.budget.remaining("calls") == 2 - min(done, 2)
    again = scripted(ECHO, calls=6, tape=tape_of(run))
    assert len(await program(again, 6)) == 6
    assert len(again.ledger.paid) == 1
    assert again.strand.meters[0].held == Need()


async def test_an_edited_program_cannot_spend_what_is_held() -> None:
    run = scripted(ECHO, calls=4)
    await run.map(numbered, range(3))
    again = scripted(ECHO, calls=4, tape=tape_of(run))
    assert len(await again.map(numbered, range(10, 14), tolerate=(BudgetExhausted,))) == 1
    fork = scripted(ECHO, calls=4, tape=tape_of(run).fork())
    assert len(await fork.map(numbered, range(10, 14), tolerate=(BudgetExhausted,))) == 4


# The text form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dollars=1", "the limits are calls, tokens, .*"),
        ("cals=1", "did you mean 'calls'"),
        ("calls=1,calls=2", "calls is given twice"),
        ("calls", "calls"),
        ("calls=", "calls"),
        ("calls=x", "calls"),
        ("calls=-1", "calls"),
        ("calls=1.5", "calls"),
        ("calls=nan", "calls"),
        ("usd=nan", "usd"),
        ("usd=inf", "usd"),
        ("usd=-0.1", "usd"),
        ("seconds=1e999", "seconds"),
        ("tokens=1/2", "tokens"),
        ("=4", "the limits are"),
    ],
)
def test_a_limit_that_makes_no_sense_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Budget.parse(text)


def test_a_budget_given_as_numbers_is_checked_as_well() -> None:
    with pytest.raises(UsageError, match="calls"):
        Budget(calls=-1).checked()
    with pytest.raises(UsageError, match="usd"):
        Budget(usd=float("nan")).checked()


@given(
    st.builds(
        Budget,
        *(st.none() | st.integers(0, 10**12) for _ in range(4)),
        *(st.none() | st.floats(0, 1e6) for _ in range(2)),
        st.none() | st.integers(0, 99),
    )
)
def test_the_text_form_round_trips(budget: Budget) -> None:
    assert Budget.parse(str(budget)) == budget
    assert budget.tightened(Budget()) == budget == budget.tightened(budget)


# Any interleaving


@given(
    calls=st.integers(0, 12),
    tokens=st.integers(0, 300),
    inner=st.integers(0, 8),
    plan=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(0, 60), st.booleans()), max_size=25),
)
def test_no_interleaving_exceeds_a_cap(calls: int, tokens: int, inner: int, plan: list[Any]) -> None:
    outer_meter = Meter(Budget(calls=calls, tokens=tokens))
    inner_meter = Meter(Budget(calls=inner), "inner")
    performed = [0, 0]

    async def one(meters: tuple[Meter, ...], pauses: int, need: Need, usage: int) -> None:
        try:
            blocked = take(meters, need)
            if blocked is not None:
                await wait(meters, blocked, lambda: need)
        except BudgetExhausted:
            return
        performed[0] += 1
        performed[1] += len(meters) - 1
        assert outer_meter.calls + outer_meter.reserved[0] <= calls
        assert outer_meter.prompt + outer_meter.completion + sum(outer_meter.reserved[1:3]) <= tokens
        try:
            for _ in range(pauses):
                await asyncio.sleep(0)
        finally:
            settle(meters, need, Usage(1, 1, 0, min(usage, need.completion)), 1)

    async def all_of_them() -> None:
        async with asyncio.timeout(10):
            jobs: list[asyncio.Task[None]] = []
            for pauses, bound, usage, nested in plan:
                meters = (outer_meter, inner_meter) if nested else (outer_meter,)
                jobs.append(asyncio.create_task(one(meters, pauses, Need(1, 0, bound), usage)))
                if usage % 7 == 0 and jobs:
                    jobs[usage % len(jobs)].cancel()
                await asyncio.sleep(0)
            await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(all_of_them())
    assert performed[0] <= calls
    assert performed[1] <= inner
    assert outer_meter.reserved == inner_meter.reserved == [0, 0, 0, 0]
    assert not outer_meter.waiters
    assert not inner_meter.waiters


async def test_what_fits_under_neither_is_refused_by_the_inner_scope_and_the_outer_goes_on() -> None:
    run = scripted(ECHO, budget=Budget(tokens=40)).using(max_tokens=1)
    async with run.scope("inner", "tokens=20") as part:
        with pytest.raises(BudgetExhausted, match="limit of 'inner' is 20"):
            await part.using(max_tokens=60).ask(guess, number=1)
    assert await run.ask(guess, number=2) == "g2"
