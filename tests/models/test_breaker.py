"""When a server is taken to be down, and how that is found to be over."""

import asyncio

import pytest

from stratagem.errors import BadReply, NoReply, RateLimited, Rejected, Unavailable, Unreachable
from stratagem.models.breaker import COOL_S, FAILURES, LONG_S, Breaker, down
from stratagem.models.limits import FOREVER, Gate, Limits, Pass, gate_of
from tests.conftest import HandClock
from tests.models._backend import Gated, fails, said, turns


def tripped(clock: HandClock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        breaker.failed()
        clock.advance(2)
    return breaker


def test_what_means_that_a_server_is_down() -> None:
    up = (RateLimited("?", status=429), Rejected("?", status=400), BadReply("?"), Unavailable("?", status=409))
    assert [down(error) for error in up] == [False] * 4
    lost = (Unreachable("?"), NoReply("?"), Unavailable("?", status=500), Unavailable("?", status=503))
    assert [down(error) for error in lost] == [True] * 4


def test_a_moment_without_a_server_is_no_reason(clock: HandClock) -> None:
    breaker = Breaker(clock)
    for _ in range(1000):
        breaker.failed()
    clock.advance(LONG_S - 1)
    breaker.failed()
    assert not breaker.is_open
    clock.advance(1)
    breaker.failed()
    assert breaker.is_open


def test_failures_that_are_not_in_a_row_are_no_reason(clock: HandClock) -> None:
    breaker = Breaker(clock)
    for _ in range(5):
        for _ in range(FAILURES - 1):
            breaker.failed()
            clock.advance(LONG_S)
        breaker.answered()
    assert not breaker.is_open


def test_calls_fail_at_once_and_are_told_since_when_and_until_when(clock: HandClock) -> None:
    breaker = tripped(clock)
    with pytest.raises(Unavailable, match=r"down since 22:13:20 UTC: calls fail at once until 22:14:08 UTC"):
        breaker.check()


def test_after_the_cool_down_one_is_let_through_and_its_end_counts_for_all(clock: HandClock) -> None:
    breaker = tripped(clock)
    clock.advance(COOL_S)
    breaker.check()
    with pytest.raises(Unavailable, match="until one call has found out"):
        breaker.check()
    breaker.failed()
    with pytest.raises(Unavailable, match="down since 22:13:20 UTC"):
        breaker.check()
    clock.advance(COOL_S)
    breaker.check()
    breaker.gone()  # it was cancelled: the next one finds out
    breaker.check()
    breaker.answered()
    assert not breaker.is_open
    breaker.check()


async def test_calls_to_a_dead_server_fail_at_once_until_it_answers(clock: HandClock) -> None:
    gated = Gated(fails(Unreachable("nobody answers")), clock=clock)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await gated.ask()
    seen = gated.backend.seen
    assert seen == 10
    with pytest.raises(Unavailable, match="has been down since") as caught:
        await gated.ask()
    assert (caught.value.attempts, caught.value.usage.requests, gated.backend.seen) == (0, 0, seen)
    clock.advance(COOL_S)
    gated.backend.outcomes = [said()]
    assert (await gated.ask()).samples[0].text == "yes"
    assert (await gated.ask()).samples[0].text == "yes"


async def test_all_that_wait_learn_that_the_server_is_down(clock: HandClock) -> None:
    gated = Gated(fails(Unreachable("nobody answers"), attempts=1), clock=clock)

    async def one() -> str:
        try:
            await gated.ask()
        except Unavailable as failure:
            return type(failure).__name__
        except Unreachable:
            clock.advance(1)
            return "Unreachable"
        return "answered"

    found = await asyncio.gather(*(one() for _ in range(200)))
    assert set(found) == {"Unreachable", "Open"}
    assert gated.backend.seen < 50
    assert gated.gate.inside == 0


async def test_who_was_told_that_the_server_is_down_queues_again_if_it_has_answered_meanwhile(clock: HandClock) -> None:
    gate = Gate(clock, asyncio.sleep, limits=Limits(concurrency=8))
    inside = [await gate.enter(FOREVER) for _ in range(8)]
    entered: list[int] = []

    async def one(number: int) -> None:
        passed = await gate.enter(FOREVER)
        entered.append(number)
        inside.append(passed)

    waiting = [asyncio.create_task(one(number)) for number in range(50)]
    await turns()
    for _ in range(10):
        clock.advance(2)
        gate.breaker.failed()
    gate.leave(inside.pop())  # all that wait are told
    gate.breaker.answered()
    gate.leave(inside.pop(), good=True)  # a good reply, before they have heard it
    await turns()
    assert (gate.inside, entered) == (8, [0, 1])
    while inside:
        gate.leave(inside.pop(), good=True)
        await turns()
        assert gate.inside == len(inside) <= 8
    await asyncio.gather(*waiting)
    assert entered == [*range(50)]


async def test_a_probe_that_is_cancelled_leaves_the_question_open(clock: HandClock) -> None:
    gated = Gated(fails(Unreachable("nobody answers")), clock=clock)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await gated.ask()
    clock.advance(COOL_S)
    gated.backend.outcomes = [asyncio.Event().wait]
    probe = asyncio.create_task(gated.ask())
    await turns()
    with pytest.raises(Unavailable):
        await gated.ask()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    gated.backend.outcomes = [said()]
    assert (await gated.ask()).samples[0].text == "yes"


class Waits:
    """A sleep that a test ends, or breaks."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, asyncio.Future[None]]] = []

    async def __call__(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked.append((seconds, future))
        await future


async def down_while_one_waits(clock: HandClock) -> "tuple[Gate, asyncio.Task[Pass], Waits]":
    """Return a gate whose server is down, and the call that waits at it since before, past the cool-down."""
    waits = Waits()
    gate = Gate(clock, waits)
    gate.leave(await gate.enter(FOREVER), slow=True, closed_s=60)
    keeper = asyncio.create_task(gate.enter(FOREVER))
    await turns()
    for _ in range(FAILURES):
        clock.advance(2)
        gate.breaker.failed()
    clock.advance(40)
    return gate, keeper, waits


async def probes(gate: Gate) -> None:
    """Assert that one call may find out, and only one."""
    assert await gate.enter(FOREVER) == Pass(gate._epoch, probe=True)
    with pytest.raises(Unavailable, match="until one call has found out"):
        await gate.enter(FOREVER)


async def test_who_waits_at_the_gate_of_a_dead_server_finds_out_when_its_wait_is_over(clock: HandClock) -> None:
    gate, keeper, waits = await down_while_one_waits(clock)
    waits.asked[0][1].set_result(None)
    entered = await keeper
    assert entered.probe
    with pytest.raises(Unavailable, match="until one call has found out"):
        await gate.enter(FOREVER)
    gate.leave(entered)  # however that ended
    await probes(gate)
    assert gate.inside == 1


@pytest.mark.parametrize("late", [True, False], ids=["as its wait ends", "while it waits"])
async def test_one_that_is_cancelled_at_the_gate_leaves_the_question_open(clock: HandClock, late: bool) -> None:
    gate, keeper, waits = await down_while_one_waits(clock)
    if late:
        waits.asked[0][1].set_result(None)
    keeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeper
    assert gate.inside == 0
    await probes(gate)


async def test_an_error_at_the_gate_leaves_the_question_open(clock: HandClock) -> None:
    gate, keeper, waits = await down_while_one_waits(clock)
    waits.asked[0][1].set_exception(OSError("no timer"))
    with pytest.raises(OSError, match="no timer"):
        await keeper
    assert gate.inside == 0
    await probes(gate)


@pytest.mark.parametrize("what", ["time-out", "error of ours", "cancelled"])
async def test_however_a_probe_ends_another_may_follow(clock: HandClock, what: str) -> None:
    gated = Gated(fails(Unreachable("nobody answers")), clock=clock)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await gated.ask()
    clock.advance(COOL_S)
    hangs = asyncio.Event().wait

    async def breaks() -> None:
        raise ZeroDivisionError

    gated.backend.outcomes = [breaks if what == "error of ours" else hangs]
    probe = asyncio.create_task(gated.ask(timeout_s=5))
    await turns()
    if what == "time-out":
        clock.advance(6)
    elif what == "cancelled":
        probe.cancel()
    kinds = {"time-out": NoReply, "error of ours": ZeroDivisionError, "cancelled": asyncio.CancelledError}
    with pytest.raises(kinds[what]):
        await probe
    clock.advance(COOL_S)
    gated.backend.outcomes = [said()]
    assert (await gated.ask()).samples[0].text == "yes"
    assert not gated.gate.breaker.is_open


async def test_one_that_was_sent_before_and_is_cancelled_lets_no_second_probe_through(clock: HandClock) -> None:
    gate, keeper, waits = await down_while_one_waits(clock)
    gate.inside += 1  # one that was sent before
    waits.asked[0][1].set_result(None)
    await keeper
    gate.leave(Pass(0))
    with pytest.raises(Unavailable, match="until one call has found out"):
        await gate.enter(FOREVER)


async def test_models_of_one_origin_and_key_share_the_breaker(clock: HandClock) -> None:
    async def sleep(_: float) -> None: ...

    gate = gate_of("https://a:443", 1, clock, sleep, 8)
    assert gate_of("https://a:443", 1, clock, sleep, 8).breaker is gate.breaker
    first, second = Gated(said(), clock=clock, gate=gate), Gated(said(), clock=clock, gate=gate, spec="openai:n")
    gate.breaker = tripped(clock)
    for gated in (first, second):
        with pytest.raises(Unavailable):
            await gated.ask()
    assert first.backend.seen == second.backend.seen == 0
