import asyncio
from typing import Any

import pytest

from stratagem.errors import RateLimited
from stratagem.models.limits import FOREVER, Gate, Pass, gate_of
from tests.conftest import HandClock

ONE = Pass(0, 0.0)


def gate_on(clock: HandClock, most: int = 64) -> tuple[Gate, list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    return Gate(clock, sleep, most), slept


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_sixteen_begin_at_once_and_who_comes_first_goes_first(clock: HandClock) -> None:
    gate, _ = gate_on(clock)
    order: list[int] = []

    async def one(number: int) -> None:
        await gate.enter(FOREVER)
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(20)]
    await turn()
    assert order == [*range(16)]
    gate.leave(ONE)
    gate.leave(ONE)
    await turn()
    assert order == [*range(18)]
    gate.leave(ONE)
    gate.leave(ONE)
    await asyncio.gather(*tasks)
    assert order == [*range(20)]
    assert gate.inside == 16


async def test_a_round_of_good_replies_allows_one_more_up_to_the_most(clock: HandClock) -> None:
    gate, _ = gate_on(clock, 17)
    for _ in range(16):
        gate.leave(await gate.enter(FOREVER), good=True)
    assert gate.limit == 17
    for _ in range(100):
        gate.leave(await gate.enter(FOREVER), good=True)
    assert gate.limit == 17


async def test_what_was_sent_before_the_server_asked_to_slow_down_counts_once(clock: HandClock) -> None:
    gate, _ = gate_on(clock)
    epochs = [await gate.enter(FOREVER) for _ in range(16)]
    for epoch in epochs:
        gate.leave(epoch, slow=True)
    assert gate.limit == 11
    gate.leave(await gate.enter(FOREVER), slow=True)
    assert gate.limit == 7


async def test_at_least_one_may_always_begin(clock: HandClock) -> None:
    gate, _ = gate_on(clock)
    for _ in range(30):
        gate.leave(await gate.enter(FOREVER), slow=True)
    assert gate.limit == 1


async def test_a_time_that_the_server_names_closes_the_gate_for_everybody(clock: HandClock) -> None:
    gate, slept = gate_on(clock)
    first, second = await gate.enter(FOREVER), await gate.enter(FOREVER)
    gate.leave(first, slow=True, closed_s=7)
    gate.leave(second, slow=True, closed_s=3)
    await gate.enter(FOREVER)
    assert slept == [7]


async def test_who_could_not_begin_in_time_is_told_at_once(clock: HandClock) -> None:
    gate, slept = gate_on(clock)
    gate.leave(await gate.enter(FOREVER), slow=True, closed_s=60)
    with pytest.raises(RateLimited) as caught:
        await gate.enter(clock.stamp() + 5_000_000)
    assert (caught.value.retry_after, slept, gate.inside) == (60, [], 0)


async def test_who_gives_up_waiting_takes_nobodys_turn(clock: HandClock) -> None:
    gate, _ = gate_on(clock, 1)
    await gate.enter(FOREVER)
    gone, stays = (asyncio.create_task(gate.enter(FOREVER)) for _ in range(2))
    await turn()
    gone.cancel()
    await turn()
    gate.leave(ONE)
    await stays
    late = asyncio.create_task(gate.enter(FOREVER))
    await turn()
    gate.leave(ONE)  # its turn is called, and it is cancelled before it takes it
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert gate.inside == 0


async def test_models_of_one_origin_and_key_share_a_gate(clock: HandClock) -> None:
    async def sleep(_: float) -> Any: ...

    mine = gate_of("https://a:443", 1, clock, sleep, 8)
    assert gate_of("https://a:443", 1, clock, sleep, 8) is mine
    assert gate_of("https://a:443", 2, clock, sleep, 8) is not mine
    assert gate_of("https://b:443", 1, clock, sleep, 8) is not mine
