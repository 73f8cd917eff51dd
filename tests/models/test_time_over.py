"""Whose time it was that is over while a reply is still coming."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.errors import NoReply
from stratagem.testing.model_server import Fault, ModelServer
from tests.conftest import HandClock
from tests.models._hosted import SPOKEN, HostedWired
from tests.models._wire import Wired


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as one:
        yield one


async def over_for(task: asyncio.Future[Any], clock: HandClock, seconds: float) -> None:
    """Let time pass until a call has noticed it, whatever it was reading."""
    clock.advance(seconds)
    while not task.done():
        await asyncio.sleep(0)
        clock.advance(0)


@pytest.mark.parametrize(
    ("within", "remedy", "over"),
    [
        (math.inf, "Raise `timeout_s`.", "the call's time-out of 10 s is over"),
        (10.0, NoReply.remedy, "the seconds that the budgets left are over"),
    ],
    ids=["time-out", "budget"],
)
async def test_a_reply_that_is_still_coming_when_the_time_is_over_says_whose_time_it_was(
    server: ModelServer, within: float, remedy: str, over: str
) -> None:
    server.add(Fault("stall"))
    wired, begun = Wired(server.url), asyncio.Event()
    request = wired.request(timeout_s=10)
    request.within_s = within
    task = asyncio.ensure_future(wired.model.complete(request, on_delta=lambda _: begun.set()))
    await begun.wait()
    await over_for(task, wired.clock, 10 if within == math.inf else 9.95)  # a moment before the budgets' seconds are
    with pytest.raises(NoReply) as caught:
        await task
    error = caught.value
    where = f"vLLM ({server.origin})"
    assert (str(error), error.remedy) == (f"{where} was in the middle of its reply: {over}", remedy)
    assert (error.attempts, error.out_of_time, error.usage.requests) == (1, within == 10, 1)
    assert wired.gate.breaker._failures == 0  # it was there
    await wired.model.aclose()


@pytest.mark.parametrize("prefix", SPOKEN)
async def test_a_hosted_model_says_whose_time_it_was_as_well(server: ModelServer, prefix: str) -> None:
    server.add(Fault("stall"))
    wired, begun = HostedWired(server.url, prefix), asyncio.Event()
    request = wired.request(max_tokens=100)
    request.within_s = 10.0
    task = asyncio.ensure_future(wired.model.complete(request, on_delta=lambda _: begun.set()))
    await begun.wait()
    await over_for(task, wired.clock, 9.95)
    with pytest.raises(
        NoReply, match="in the middle of its reply: the seconds that the budgets left are over"
    ) as caught:
        await task
    assert (caught.value.attempts, caught.value.out_of_time) == (1, True)
    await wired.model.aclose()
