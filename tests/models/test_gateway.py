"""What a call costs when it fails, is cancelled or meets a server that honours less; and how far its attempts go."""

import asyncio
from typing import Any

import pytest

from stratagem.core import Capabilities, Delta, Reply, Sample, Usage
from stratagem.core._attempt import Room
from stratagem.core._budget import Budget, Meter
from stratagem.errors import CapabilityError, CutReply, NoReply, RateLimited, Unavailable, Unreachable
from stratagem.models.keys import Key
from stratagem.models.limits import Limits
from stratagem.models.retry import undelivered
from stratagem.models.sources import Found, Sources
from stratagem.models.tokens import bound, request_bound
from tests.models._backend import Gated, fails, said, turns

CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def cut(received: str = "") -> Any:
    return fails(CutReply("broke off"), attempts=3, ran=True, received=received)


async def test_failed_attempts_that_may_have_run_are_billed_at_the_models_price() -> None:
    gated = Gated(cut("half a text"), fails(Unreachable("nobody")), said())
    reply = await gated.ask()
    prompt = request_bound(gated.request())
    completion = 5 + bound("half a text")
    usd = reply.usage.usd if reply.usage else None
    assert reply.usage == Usage(1, 3, 10 + prompt, completion, usd=usd, estimated=True)
    assert usd == pytest.approx((10 + prompt + 10 * completion) / 1e6)
    assert reply.attempts == ("CutReply", "Unreachable")
    assert reply.samples[0].via == {"attempts": ["CutReply", "Unreachable"]}


async def test_a_call_that_is_cancelled_under_way_is_billed_by_its_bound_and_by_what_was_heard() -> None:
    gated, started = Gated(cut()), asyncio.Event()

    async def hang() -> Reply:
        started.set()
        return await asyncio.get_running_loop().create_future()

    heard: list[Delta] = []
    gated.backend.outcomes = [cut("first try"), hang]
    call = asyncio.ensure_future(gated.model.complete(gated.request(), on_delta=heard.append))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    prompt, received = request_bound(gated.request()), bound("first try")
    usage: Usage = vars(caught.value)["usage"]
    assert usage[:4] == (1, 2, 2 * prompt, received)
    assert usage.usd == pytest.approx((2 * prompt + 10 * received) / 1e6)
    assert usage.estimated
    assert gated.gate.inside == 0


async def test_a_call_that_is_cancelled_before_its_turn_costs_nothing() -> None:
    gated = Gated(said())
    gated.gate.limit = 0
    call = asyncio.ensure_future(gated.model.complete(gated.request()))
    await turns()
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    assert vars(caught.value)["usage"] == Usage(1)


async def test_pieces_of_a_reply_carry_the_number_of_their_attempt() -> None:
    gated = Gated(cut("fir"), cut("sec"), said("third"))
    heard: list[Delta] = []
    await gated.model.complete(gated.request(), on_delta=heard.append)
    assert [(one.attempt, one.text) for one in heard] == [(1, "fir"), (2, "sec"), (3, "third")]


async def test_another_attempt_follows_only_if_the_budgets_can_pay_for_it_beside_the_failed_ones() -> None:
    gated = Gated(cut("a text"))
    request = gated.request()
    once = request_bound(request) * 1000 + bound("a text") * 10_000
    for nano, tries in ((0, 3), (once * 2, 3), (once * 2 - 1, 2), (once, 2), (once - 1, 1)):
        request, gated.backend.seen = gated.request(), 0
        request.room = Room((Meter(Budget(usd=nano / 1e9)),)) if nano else None
        with pytest.raises(CutReply) as caught:
            await gated.model.complete(request)
        assert (gated.backend.seen, caught.value.attempts) == (tries, tries)


async def test_no_pause_goes_beyond_the_seconds_of_a_budget() -> None:
    gated = Gated(fails(RateLimited("slow"), wait=8.0), said())
    with pytest.raises(RateLimited):
        await gated.ask(within_s=5)
    assert (gated.slept, gated.backend.seen) == ([], 1)
    gated.backend.outcomes = [fails(RateLimited("slow"), wait=8.0), said()]
    await gated.ask(within_s=9)
    assert gated.slept == [8.5]


async def test_a_rate_of_ones_own_that_allows_no_call_in_the_seconds_of_a_budget_is_no_failure_of_the_provider() -> (
    None
):
    gated = Gated(said(), limits=Limits(rpm=2))
    await gated.ask(within_s=5)
    await gated.ask(within_s=5)
    with pytest.raises(RateLimited, match="the rate that you have set allows a call in 30 s") as caught:
        await gated.ask(within_s=5)
    assert (caught.value.out_of_time, caught.value.attempts) == (True, 0)
    slow = Gated(fails(RateLimited("slow"), attempts=1, wait=60.0, slow=True))
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await slow.ask(within_s=5)
        assert not caught.value.out_of_time  # that is the server's


async def test_waiting_for_a_turn_is_no_time_of_the_call() -> None:
    gated = Gated(said())
    gated.gate.limit = 0
    call = asyncio.ensure_future(gated.model.complete(gated.request(timeout_s=5)))
    await turns()
    gated.clock.advance(1000)
    gated.gate.limit = 1
    gated.gate._serve()
    assert (await call).samples[0].text == "yes"


async def test_a_backend_that_never_comes_back_is_left() -> None:
    gated, started = Gated(said()), asyncio.Event()

    async def hang() -> Reply:
        started.set()
        return await asyncio.get_running_loop().create_future()

    gated.backend.outcomes = [hang]
    call = asyncio.ensure_future(gated.model.complete(gated.request(timeout_s=5)))
    await started.wait()
    gated.clock.advance(6)
    with pytest.raises(NoReply, match="openai:m did not answer within 5 s") as caught:
        await call
    assert caught.value.usage.prompt_tokens == request_bound(gated.request())


async def test_a_server_that_sends_too_few_draws_is_asked_one_by_one_from_then_on() -> None:
    capabilities = Capabilities(native_n=True)
    gated = Gated(said("a"), said("b"), said("c"), capabilities=capabilities)
    reply = await gated.ask(n=3)
    assert [one.text for one in reply.samples] == ["a", "b", "c"]
    assert gated.backend.asked == [3, 1, 1]
    assert not gated.model.capabilities.native_n
    assert reply.samples[0].via == {"corrected": ["native_n"]}


@pytest.mark.parametrize(
    ("text", "finish", "schema", "left"),
    [
        ("no JSON", "stop", CLOSED, "advisory"),
        ('{"a": "b"}', "stop", CLOSED, "constrained"),
        ('{"a": ', "length", CLOSED, "constrained"),  # cut, not wrong
        ("no JSON", "stop", {"type": "object"}, "constrained"),  # to which nothing was constrained
        ("no JSON", "stop", None, "constrained"),
    ],
)
async def test_a_reply_that_does_not_keep_to_its_schema_corrects_the_row(
    text: str, finish: str, schema: Any, left: str
) -> None:
    gated = Gated(said(), capabilities=Capabilities(schema="constrained"))
    gated.backend.outcomes = [Reply((Sample(text, finish=finish),), Usage(1, 1))]
    reply = await gated.ask(schema=schema)
    assert gated.model.capabilities.schema == left
    assert (reply.samples[0].via == {"corrected": ["schema"]}) is (left == "advisory")


async def test_what_was_asked_for_and_did_not_come_is_a_lack_that_has_been_paid() -> None:
    gated = Gated(said())

    async def without() -> Reply:
        failure = undelivered("no log-probabilities", "yes", "Leave them off.")
        failure.usage = Usage(1, 1, 10, 5, usd=None)
        raise failure

    gated.backend.outcomes = [without]
    with pytest.raises(CapabilityError, match="no log-probabilities") as caught:
        await gated.ask(logprobs=True)
    assert caught.value.usage == Usage(1, 1, 10, 5, usd=60e-6)
    assert gated.backend.seen == 1


async def test_errors_say_who_failed_and_how_often() -> None:
    gated = Gated(fails(Unavailable("busy", status=500), ran=True))
    with pytest.raises(Unavailable) as caught:
        await gated.ask()
    assert (caught.value.provider, caught.value.attempts, caught.value.usage.requests) == ("openai", 5, 5)
    assert (str(caught.value), caught.value.tries) == ("busy (5 attempts)", ("Unavailable 500",) * 5)
    gated.backend.outcomes = [cut(), said("one"), fails(Unreachable("nobody"), attempts=2)]
    with pytest.raises(Unreachable, match=r"^nobody \(2 attempts\)$") as other:  # of the draw that never came
        await gated.ask(n=2)
    assert (other.value.attempts, other.value.tries) == (2, ("Unreachable", "Unreachable"))


async def test_that_there_is_no_key_is_known_before_anything_is_billed_or_takes_a_turn() -> None:
    gated = Gated(said())
    gated.backend.key = Key("", "A_KEY", gated.backend.origin, CapabilityError("no key"), sources=Nowhere())
    gated.gate.limit = 0
    with pytest.raises(CapabilityError, match="no key") as caught:
        await gated.ask()
    assert (caught.value.usage, gated.backend.seen, gated.gate.inside) == (None, 0, 0)


async def test_a_key_of_the_keyring_has_the_gate_of_its_own() -> None:
    first, second = Gated(said()), Gated(said())
    for gated, value in ((first, "sk-a"), (second, "sk-b")):
        gated.backend.key = Key("", "A_KEY", gated.backend.origin, sources=Nowhere(value))
        gated.model._gate = None
        await gated.ask()
    assert first.model._gate is not second.model._gate


class Nowhere(Sources):
    """Where a key is, or none, after the keyring has been asked."""

    def __init__(self, value: str = "") -> None:
        super().__init__()
        self.value = value

    async def ask(self, variable: str) -> Found | None:
        return Found(self.value, f"keyring {variable}") if self.value else None
