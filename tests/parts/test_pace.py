import math
from typing import Any

from stratagem.core import Budget, Run, Task
from stratagem.parts.pace import fits, limited
from stratagem.strategies.basic.direct import answer, direct
from stratagem.testing import scripted

TASK = Task("one two three")
WORLD: dict[Any, Any] = {answer: lambda **_: "four"}


async def spend(run: Run, calls: int) -> None:
    for _ in range(calls):
        await direct(run, TASK)


async def test_a_limit_of_calls_tokens_or_money_is_one() -> None:
    assert not limited(scripted(WORLD))
    assert not limited(scripted(WORLD, budget=Budget(seconds=9, depth=9)))
    for budget in (Budget(calls=1), Budget(tokens=1), Budget(usd=1)):
        assert limited(scripted(WORLD, budget=budget))


async def test_calls_fit_exactly_from_the_start() -> None:
    run = scripted(WORLD, calls=10)
    before = run.budget.spent
    assert fits(run, before, 5) == 2
    assert fits(run, before, 11) < 1
    await spend(run, 2)
    assert fits(run, before, 8) == 1
    assert fits(run, before) == 4  # as many as were made
    assert fits(run, before, 9) < 1


async def test_tokens_fit_by_what_a_call_has_cost_so_far() -> None:
    one = scripted(WORLD)
    await spend(one, 1)
    price = one.budget.spent.tokens
    run = scripted(WORLD, budget=Budget(tokens=price * 6)).using(max_tokens=1)
    await spend(run, 1)
    before = run.budget.spent
    assert fits(run, before, 100) == math.inf  # nothing is known yet
    await spend(run, 2)
    assert fits(run, before, 3) == 1
    assert fits(run, before) == 1.5
    assert fits(run, before, 4) < 1


async def test_without_a_limit_everything_fits() -> None:
    run = scripted(WORLD)
    before = run.budget.spent
    await spend(run, 1)
    assert fits(run, before, 10**9) == math.inf
    assert fits(run, before) == math.inf
