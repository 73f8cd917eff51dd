"""What a model answers later: the short way there does as the long way does, which a listener or a limit asks for."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from stratagem.core import (
    Book,
    Budget,
    Capabilities,
    Feed,
    MemoryJournal,
    Reply,
    Run,
    Sample,
    Services,
    StoredRun,
    Usage,
    World,
    signature,
)
from stratagem.errors import CapabilityError, RateLimited, Unavailable

COST = Usage(1, 1, 10, 3, usd=0.25)


@signature
def say(number: int) -> str:
    """Say something."""
    ...


class Later:
    """Answers, or fails, after a pause."""

    spec = "later:"
    capabilities = Capabilities(frozenset({"temperature"}))

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def refuses(self, request: Any) -> frozenset[str]:
        return frozenset()

    def tokens(self, text: str) -> int:
        return len(text)

    async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        await asyncio.sleep(0)
        return self._answer()

    async def aclose(self) -> None:
        pass


class Keeping(MemoryJournal):
    """A journal in memory whose rows take their time to be durable."""

    def append(self, run_id: str, row: Any, *, alone: bool = False) -> Any:
        super().append(run_id, row, alone=alone)
        return asyncio.sleep(0)


def failing(failure: BaseException) -> Callable[[], Any]:
    def answer() -> Any:
        raise failure

    return answer


def said(text: Any, **more: Any) -> Callable[[], Reply]:
    return lambda: Reply((Sample(text, **more),), COST)


def begun(answer: Callable[[], Any], clock: Any, *, heard: bool, limits: str = "", journal: Any = None) -> Run:
    services = Services(Later(answer), journal=journal or MemoryJournal(), clock=clock)
    services.journal.create(StoredRun("later1"))
    feeds = (Feed(lambda event: None),) if heard else ()
    world = World(services, Book(services.journal, "later1"), run_id="later1", feeds=feeds)
    return Run.start(world, (Budget.parse(limits),))


async def told(run: Run, asking: Any) -> list[Any]:
    """Return all that is left of an ask: its outcome, its rows, what was billed, and what is thought to be in flight."""
    try:
        outcome: Any = await asking
    except BaseException as failure:  # noqa: BLE001  (what ends the process as well)
        outcome = (type(failure), str(failure), failure.__cause__)
    world, meter = run.strand.world, run.strand.meters[0]
    for feed in world.feeds:
        await feed.aclose(0)
    rows = world.services.journal.rows("later1")  # pyright: ignore[reportAttributeAccessIssue]
    return [
        outcome,
        [row._replace(wall=0) for row in rows],
        meter.usage(),
        meter.reserved,
        world.services.in_flight,
        world.book.performed,
        run.strand.rest,
    ]


ANSWERS = {
    "a reply": said("yes"),
    "a reply that was cut": said("yes", finish="length"),
    "a refusal": said("no", finish="refusal"),
    "a lone surrogate": said("y\ud800"),
    "two draws": lambda: Reply((Sample("a"), Sample("b")), COST),
    "no draw": lambda: Reply((), COST),
    "no draws at all": lambda: Reply(None, COST),  # pyright: ignore[reportArgumentType]
    "a draw without text": said(None),
    "a list of draws": lambda: Reply([Sample("yes")], COST),  # pyright: ignore[reportArgumentType]
    "a reply without a price": lambda: Reply((Sample("yes"),), None),
    "what looks like a reply": lambda: SimpleNamespace(usage=COST, samples=(Sample("yes"),)),
    "what is no reply": lambda: "yes",
    "an error": failing(RateLimited("slow down")),
    "an error of a model that has no room": failing(Unavailable("full")),
    "what was not performed": failing(CapabilityError("cannot")),
    "a timeout of its own": failing(TimeoutError()),
    "a foreign error": failing(ZeroDivisionError("mine")),
    "a cancellation of its own": failing(asyncio.CancelledError()),
    "the end of the process": failing(SystemExit(3)),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("limits", ["", "calls=5", "calls=0", "calls=5,tokens=100000", "usd=1"])
@pytest.mark.parametrize("journal", [MemoryJournal, Keeping])
async def test_whatever_comes_is_billed_and_recorded_alike(answer: Any, limits: str, journal: Any, clock: Any) -> None:
    ends: list[Any] = []
    for heard in (False, True):
        run = begun(answer, clock, heard=heard, limits=limits, journal=journal())
        ends.append(await told(run, run.ask(say, number=1)))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("heard", [False, True])
async def test_the_usual_is_billed_and_recorded(heard: bool, clock: Any) -> None:
    run = begun(said("yes"), clock, heard=heard)
    outcome, rows, usage, _, in_flight, performed, rest = await told(run, run.ask(say, number=1))
    assert (outcome, in_flight, performed, rest) == ("yes", 0, 1, None)
    assert [(row.kind, row.result, row.usage, row.failed) for row in rows] == [
        ("model", b'{"text":"yes"}', COST, False)
    ]
    assert (usage.calls, usage.prompt_tokens, usage.usd) == (1, 10, 0.25)


@pytest.mark.parametrize("limits", ["", "calls=5", "seconds=100", "tokens=100000"])
@pytest.mark.parametrize("heard", [False, True])
async def test_one_that_never_answers_ends_with_its_time_limit(heard: bool, limits: str, clock: Any) -> None:
    run = begun(said("late"), clock, heard=heard, limits=limits)
    waiting = asyncio.Event()

    async def never(request: Any, *, on_delta: Any = None) -> Any:
        waiting.set()
        await asyncio.Event().wait()

    run.strand.world.services.model.complete = never  # pyright: ignore[reportAttributeAccessIssue]
    asking = asyncio.create_task(run.using(timeout_s=30).ask(say, number=1))
    await waiting.wait()
    clock.advance(30)
    (kind, text, cause), rows, usage, reserved, in_flight, *_ = await told(run, asking)
    assert (kind.__name__, text, cause) == ("NoReply", "later: did not answer within 30 s", None)
    assert [(row.failed, row.usage, row.took) for row in rows] == [(True, Usage(calls=1), 30_000_000)]
    assert (usage.calls, reserved, in_flight) == (1, [0, 0, 0, 0], 0)


@pytest.mark.parametrize("limits", ["", "calls=5"])
@pytest.mark.parametrize("heard", [False, True])
async def test_one_that_is_cancelled_is_billed_and_not_recorded(heard: bool, limits: str, clock: Any) -> None:
    run = begun(said("late"), clock, heard=heard, limits=limits)
    waiting = asyncio.Event()

    async def never(request: Any, *, on_delta: Any = None) -> Any:
        waiting.set()
        await asyncio.Event().wait()

    run.strand.world.services.model.complete = never  # pyright: ignore[reportAttributeAccessIssue]
    asking = asyncio.create_task(run.ask(say, number=1))
    await waiting.wait()
    asking.cancel()
    outcome, rows, usage, reserved, in_flight, *_ = await told(run, asking)
    assert outcome[0] is asyncio.CancelledError
    assert (rows, usage.calls, reserved, in_flight) == ([], 1, [0, 0, 0, 0], 0)


async def test_who_waits_for_room_is_let_in_by_a_reply_that_costs_less_than_reserved(clock: Any) -> None:
    most = Later.capabilities.max_output
    run = begun(said("yes"), clock, heard=False, limits=f"completion_tokens={most + 10}")
    answers = await run.map(lambda run, number: run.using(max_tokens=most).ask(say, number=number), range(3))
    assert answers == ["yes", "yes", "yes"]


async def test_a_model_that_is_async_and_never_pauses_lets_others_have_a_turn(clock: Any) -> None:
    run = begun(said("yes"), clock, heard=False)

    async def at_once(request: Any, *, on_delta: Any = None) -> Any:
        return Reply((Sample("yes"),), COST)

    run.strand.world.services.model.complete = at_once  # pyright: ignore[reportAttributeAccessIssue]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    for number in range(200):
        await run.ask(say, number=number)
    beside.cancel()
    assert turns == 3
