import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.errors import RateLimited
from stratagem.models.limits import FOREVER, Gate, Limits, Pass, gate_of
from stratagem.models.rates import Load
from tests.conftest import HandClock

ONE = Pass(0)


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


# Turns by run


async def test_a_single_call_is_served_next_however_many_of_another_run_wait(clock: HandClock) -> None:
    gate, _ = gate_on(clock, 4)
    order: list[str] = []

    async def one(run: str) -> None:
        await gate.enter(FOREVER, run)
        order.append(run)

    tasks = [asyncio.create_task(one("wide")) for _ in range(1004)]
    await turn()
    assert order == ["wide"] * 4
    tasks.append(asyncio.create_task(one("single")))
    await turn()
    gate.leave(ONE)
    await turn()
    assert order == ["wide"] * 4 + ["single"]
    for _ in range(1000):
        gate.leave(ONE)
        await turn()
    await asyncio.gather(*tasks)
    assert order[5:] == ["wide"] * 1000


async def test_runs_take_turns_and_within_a_run_the_first_comes_first(clock: HandClock) -> None:
    gate, _ = gate_on(clock, 1)
    order: list[str] = []

    async def one(run: str, number: int) -> None:
        await gate.enter(FOREVER, run)
        order.append(f"{run}{number}")

    tasks = [asyncio.create_task(one(run, number)) for run in "abc" for number in range(3)]
    await turn()
    for _ in range(8):
        gate.leave(ONE)
        await turn()
    await asyncio.gather(*tasks)
    assert order == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "enter", "leave", "cancel", "slow"]), st.integers(0, 3)), max_size=80)
)
async def test_whatever_happens_no_turn_is_lost(events: list[tuple[str, int]]) -> None:
    clock = HandClock()
    gate, _ = gate_on(clock, 3)
    inside: list[Pass] = []
    waiting: list[asyncio.Task[None]] = []

    async def one(run: str) -> None:
        inside.append(await gate.enter(FOREVER, run, Load(5)))

    for event, number in events:
        if event == "enter":
            waiting.append(asyncio.create_task(one(str(number))))
        elif event == "cancel" and waiting:
            waiting.pop(number % len(waiting)).cancel()
        elif event in ("leave", "slow") and inside:
            slow = event == "slow"
            gate.leave(inside.pop(), good=not slow, slow=slow, closed_s=1.0 if slow else None)
        if number:
            await turn()
    await turn()
    assert gate.inside == len(inside) <= 3
    while inside:
        gate.leave(inside.pop(), good=True)
        await turn()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (gate.inside, gate._waiting, gate._keeper) == (0, {}, False)
    assert gate._under_way == (0, 0, 0)


async def test_a_run_that_waits_for_its_rate_does_not_take_anothers_turn(clock: HandClock) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await turn()
        clock.advance(seconds)

    gate = Gate(clock, sleep, 64, Limits(rpm=2))
    order: list[str] = []

    async def one(run: str) -> None:
        gate.leave(await gate.enter(FOREVER, run), good=True)
        order.append(run)

    wide = [asyncio.create_task(one("wide")) for _ in range(6)]
    await asyncio.sleep(0)
    single = asyncio.create_task(one("single"))
    await asyncio.gather(*wide, single)
    assert order[:4] == ["wide", "wide", "wide", "single"]  # the third was at the gate already
    assert slept == [30] * 5
