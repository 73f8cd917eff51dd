"""The count of strands that can go on is exact, whatever ends a branch."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stratagem.core._gate import Gate, Leave, Wave

Body = Callable[[int], Awaitable[int]]


def wave_of(gate: Gate, body: Body, width: int | None = None, *, order: bool = False) -> Wave[int]:
    """Return a wave whose branches do what `body` says, and leave."""

    async def branch(index: int, leave: Leave) -> int:
        try:
            return await body(index)
        finally:
            leave(index)

    return Wave(gate, branch, width, order=order)


async def pauses(index: int) -> int:
    for _ in range(index % 4):
        await asyncio.sleep(0)
    return index


@pytest.mark.parametrize("width", [None, 1, 3])
@pytest.mark.parametrize("order", [False, True])
async def test_one_strand_runs_when_all_branches_have_ended(width: int | None, order: bool) -> None:
    gate = Gate()
    wave = wave_of(gate, pauses, width, order=order)
    wave.start(10)
    assert [await wave.result(index) for index in range(10)] == list(range(10))
    assert gate.running == 1
    assert sorted(wave.finished) == (list(range(10)) if order else [])


async def test_at_most_width_branches_run_at_once() -> None:
    gate, now, most = Gate(), 0, 0

    async def counted(index: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return index

    wave = wave_of(gate, counted, 3)
    wave.start(10)
    assert [await wave.result(index) for index in (9, 0, 5)] == [9, 0, 5]
    assert (most, gate.running) == (3, 1)


async def test_branches_that_are_cancelled_before_they_begin_are_not_counted() -> None:
    gate = Gate()
    wave = wave_of(gate, pauses, 5)
    wave.start(10)
    assert gate.running == 6
    await wave.cancel()
    assert gate.running == 1


async def test_a_branch_that_fails_hands_its_place_over() -> None:
    async def fails(index: int) -> int:
        await asyncio.sleep(0)
        raise ValueError(index)

    gate = Gate()
    wave = wave_of(gate, fails)
    wave.start(3)
    with pytest.raises(ValueError, match="1"):
        await wave.result(1)
    await wave.cancel()
    assert gate.running == 1


@pytest.mark.parametrize("queued", [False, True])
async def test_a_strand_whose_wait_is_cancelled_takes_its_place_again(queued: bool) -> None:
    never: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def waits(_: int) -> int:
        return await never

    gate = Gate()
    wave = wave_of(gate, waits, 1)
    wave.start(2)

    async def parent() -> None:
        try:
            await wave.result(1 if queued else 0)
        finally:
            await wave.cancel()

    task = asyncio.create_task(parent())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gate.running == 1  # the branch; the parent waits for it
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.running == 1


async def test_the_gate_opens_when_every_running_strand_is_held() -> None:
    gate = Gate(opened=False)
    order: list[str] = []

    async def held(index: int) -> int:
        await pauses(index)
        order.append(f"asks {index}")
        await gate.admit()
        order.append(f"goes {index}")
        return index

    wave = wave_of(gate, held)
    wave.start(4)
    for index in range(4):
        await wave.result(index)
    assert order[:4] == ["asks 0", "asks 1", "asks 2", "asks 3"]
    assert sorted(order[4:]) == ["goes 0", "goes 1", "goes 2", "goes 3"]
    assert (gate.running, gate.still) == (1, 0)


async def test_a_run_is_stalled_once_every_running_strand_waits_for_a_person() -> None:
    gate = Gate()
    replies = [asyncio.get_running_loop().create_future() for _ in range(3)]
    stalls: list[int] = []
    gate.stalled = lambda: stalls.append(gate.running)

    async def asks(index: int) -> int:
        await pauses(index)
        assert not stalls
        return await gate.answered(replies[index])

    wave = wave_of(gate, asks)
    wave.start(3)
    job = asyncio.create_task(wave.result(2))
    for _ in range(8):
        await asyncio.sleep(0)
    assert stalls == [3]
    gate.tell(replies[1], 1)
    for _ in range(4):
        await asyncio.sleep(0)
    assert stalls == [3, 2]  # one went on and ended; the other two still wait
    for reply in (replies[0], replies[2]):
        gate.tell(reply, 5)
    assert await job == 5
    await wave.cancel()
    assert (gate.running, gate.still) == (1, 0)
