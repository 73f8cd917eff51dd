import math
from typing import Any

import pytest

from stratagem.core import Budget, Run, Task
from stratagem.errors import BudgetExhausted
from stratagem.parts.pace import LIMITS, Pace, paced
from stratagem.strategies.basic.direct import answer, direct
from stratagem.testing import scripted

TASK = Task("one two three")
WORLD: dict[Any, Any] = {answer: lambda **_: "four"}


async def spend(run: Run, calls: int) -> None:
    for _ in range(calls):
        await direct(run, TASK)


async def price(limit: str) -> int:
    """What a call takes of a limit."""
    run = scripted(WORLD)
    await spend(run, 1)
    return getattr(run.budget.spent, limit)


async def test_whatever_is_spent_has_a_limit_and_depth_has_none() -> None:
    assert Pace(scripted(WORLD)).limits == ()
    assert Pace(scripted(WORLD, budget=Budget(depth=9))).limits == ()
    for limit in LIMITS:
        assert Pace(scripted(WORLD, budget=Budget(**{limit: 10_000}))).limits == (limit,)  # pyright: ignore[reportArgumentType]


async def test_calls_fit_exactly_from_the_start() -> None:
    run = scripted(WORLD, calls=10)
    pace = Pace(run)
    assert pace.fits(5) == 2
    assert pace.fits(9, last=1) == 1
    assert pace.fits(10, last=1) < 1
    await spend(run, 2)
    assert pace.made == 2
    assert pace.fits(8) == 1
    assert pace.fits(0, last=8) == math.inf
    assert pace.fits(0, last=9) == 0


@pytest.mark.parametrize("limit", ["tokens", "prompt_tokens", "completion_tokens"])
async def test_tokens_of_every_kind_fit_by_what_a_call_has_cost_so_far(limit: str) -> None:
    one = await price(limit)
    run = scripted(WORLD, budget=Budget(**{limit: one * 6})).using(max_tokens=1)  # pyright: ignore[reportArgumentType]
    pace = Pace(run)
    assert pace.fits(100) == math.inf  # nothing is known yet
    await spend(run, 2)
    assert pace.fits(2) == 2
    assert pace.fits(3, last=1) == 1
    assert pace.fits(4, last=1) < 1


async def test_without_a_limit_everything_fits() -> None:
    run = scripted(WORLD)
    pace = Pace(run)
    await spend(run, 1)
    assert pace.fits(10**9, last=9) == math.inf


async def test_a_part_that_was_never_done_leaves_what_the_last_call_needs() -> None:
    one = await price("tokens")
    run = scripted(WORLD, budget=Budget(tokens=one * 4)).using(max_tokens=1)
    pace = Pace(run)
    await spend(run, 1)
    assert await pace.within("more", 3, spend, 3, last=1) is None  # two of them are made, and the third refused
    assert pace.made == 3
    await spend(run, 1)
    assert run.strand.world.refusal is None


async def test_a_part_that_was_done_before_is_not_begun_if_it_does_not_fit() -> None:
    async def counted(run: Run, calls: int) -> int:
        await spend(run, calls)
        return calls

    one = await price("tokens")
    run = scripted(WORLD, budget=Budget(tokens=one * 6)).using(max_tokens=1)
    pace = Pace(run)
    assert await pace.within("more", 2, counted, 2, last=1) == 2
    assert await pace.within("more", 4, counted, 4, last=1) is None
    assert pace.made == 2
    assert await pace.within("more", 3, counted, 3, last=1) == 3
    assert await pace.within("calls", 1, counted, 1, last=0) == 1


async def test_a_limit_of_calls_opens_no_scope() -> None:
    run = scripted(WORLD, calls=3)
    assert await Pace(run).within("more", 3, spend, 3, last=1) is None
    await Pace(run).within("more", 2, spend, 2, last=1)
    assert [asked.path for asked in run.ledger] == ["direct", "direct#2"]


async def test_a_refusal_by_somebody_elses_limit_is_passed_on() -> None:
    async def inner(run: Run, _: int) -> None:
        async with run.scope("tight", Budget(calls=1)) as part:
            await spend(part, 2)

    run = scripted(WORLD, budget=Budget(tokens=10_000))
    with pytest.raises(BudgetExhausted, match="calls limit of 'more/tight'"):
        await Pace(run).within("more", 2, inner, 0, last=1)


async def whole(run: Run, _: int) -> bool:
    await spend(run, 2)
    return True


async def test_without_a_limit_all_is_done_at_once_and_under_one_as_much_as_fits_to_its_end() -> None:
    run = scripted(WORLD)
    await paced(run, whole, 5)
    assert {asked.path.split("/")[0] for asked in run.ledger} == {f"map[{n}]" for n in range(5)}
    for calls, made in ((7, 6), (6, 6), (5, 4), (100, 10)):
        run = scripted(WORLD, calls=calls)
        await paced(run, whole, 5)
        assert len(run.ledger) == made
        assert run.strand.world.refusal is None


async def test_what_did_not_come_to_its_end_says_nothing_of_what_the_others_take() -> None:
    async def late(run: Run, number: int) -> bool:
        await spend(run, 2 if number >= 2 else 1)
        return number >= 2

    run = scripted(WORLD, calls=9)
    await paced(run, late, 10)
    assert [asked.path.split("/")[0] for asked in run.ledger] == [
        "map[0]", "map#2[0]", "map#3[0]", "map#3[0]", "map#4[0]", "map#4[0]", "map#4[1]", "map#4[1]",
    ]  # fmt: skip


async def test_a_refusal_ends_it_and_is_raised_by_a_wave_that_brings_nothing() -> None:
    async def dearer(run: Run, number: int) -> bool:
        await spend(run, 2 if number > 1 else 1)
        return True

    run = scripted(WORLD, calls=4)
    await paced(run, dearer, 9)
    assert len(run.ledger) == 4
    with pytest.raises(BudgetExhausted):
        await paced(scripted(WORLD, calls=1), whole, 5)
