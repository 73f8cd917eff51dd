"""Chains: which model is asked next, who answered, and what all of it cost."""

import asyncio
from typing import Any

import pytest

from stratagem.core import Capabilities, Delta, Reply, Usage
from stratagem.core._attempt import Room
from stratagem.core._budget import Budget, Meter
from stratagem.errors import (
    BadReply,
    CapabilityError,
    ContextTooLong,
    CutReply,
    ModelError,
    NoReply,
    NotAuthorised,
    RateLimited,
    Refused,
    Rejected,
    StratagemError,
    Unavailable,
    Unreachable,
)
from stratagem.models.chain import Chain
from tests.conftest import HandClock
from tests.models._backend import Gated, Outcome, fails, said
from tests.models._wire import asked


def chain_of(*given: Gated) -> Chain:
    models = tuple(one.model for one in given)
    return Chain(models, "|".join(model.spec for model in models))


def pair(*first: Outcome, **settings: Any) -> tuple[Chain, Gated, Gated]:
    one = Gated(*first, spec="openai:a", **settings)
    other = Gated(said("other"), spec="groq:b", prices={"groq:b": {"input_per_mtok": 2, "output_per_mtok": 1}})
    return chain_of(one, other), one, other


async def test_the_first_that_can_answers_and_the_reply_says_who_it_was() -> None:
    chain, _, other = pair(said("first"))
    reply = await chain.complete(asked(chain, "?"))
    assert (reply.samples[0].text, reply.by, reply.attempts, other.backend.seen) == ("first", "openai:a", (), 0)
    assert reply.samples[0].via == {"model": "openai:a"}


@pytest.mark.parametrize(
    "failure",
    [
        Unreachable("nobody"), Unavailable("busy", status=500), NoReply("silent"), RateLimited("slow", status=429),
        CutReply("cut"), BadReply("bad"), ContextTooLong("long"),
    ],
    ids=lambda failure: type(failure).__name__,
)  # fmt: skip
async def test_what_says_nothing_about_the_request_is_passed_on(failure: ModelError) -> None:
    chain, _, _ = pair(fails(failure, attempts=1))
    reply = await chain.complete(asked(chain, "?"))
    status = f" {failure.status}" if failure.status else ""
    assert (reply.samples[0].text, reply.by) == ("other", "groq:b")
    assert reply.attempts == (f"openai:a: {type(failure).__name__}{status}",)
    assert reply.samples[0].via == {"model": "groq:b", "attempts": list(reply.attempts)}


@pytest.mark.parametrize("failure", [Rejected("400"), NotAuthorised("401"), Refused("no")], ids=lambda one: str(one))
async def test_what_says_something_about_the_request_is_an_answer(failure: ModelError) -> None:
    chain, _, other = pair(fails(failure, attempts=1))
    with pytest.raises(type(failure)) as caught:
        await chain.complete(asked(chain, "?"))
    assert (str(caught.value), other.backend.seen) == (str(failure), 0)


async def test_a_model_without_its_key_is_passed_over_unless_none_has_one() -> None:
    first, second = Gated(said(), spec="openai:a"), Gated(said("other"), spec="groq:b")
    first.model.lacks = CapabilityError("no key of OpenAI")
    chain = chain_of(first, second)
    assert chain.lacks is None
    assert (await chain.complete(asked(chain, "?"))).attempts == ("openai:a: CapabilityError",)
    second.model.lacks = CapabilityError("no key of Groq")
    chain = chain_of(first, second)
    assert chain.lacks is first.model.lacks
    for _ in range(2):
        with pytest.raises(CapabilityError, match=r"^no key of Groq \(before it: openai:a: CapabilityError\)$"):
            await chain.complete(asked(chain, "?"))


async def test_a_dead_server_is_passed_over_without_a_request() -> None:
    chain, first, other = pair(fails(Unreachable("nobody")))
    for _ in range(2):
        await chain.complete(asked(chain, "?"))
    seen = first.backend.seen
    reply = await chain.complete(asked(chain, "?"))
    assert reply.attempts == ("openai:a: Open",)
    assert (first.backend.seen, other.backend.seen) == (seen, 3)


async def test_each_is_paid_at_its_own_price() -> None:
    chain, _, _ = pair(fails(CutReply("cut"), attempts=1, ran=True, received="xx"))
    reply = await chain.complete(asked(chain, "?"))
    usd = reply.usage.usd if reply.usage else None
    assert reply.usage == Usage(1, 2, 9 + 10, 2 + 5, usd=usd, estimated=True)
    assert usd == pytest.approx((9 + 10 * 2 + 2 * 10 + 5) / 1e6)


async def test_a_part_of_unknown_price_leaves_the_known_part_known() -> None:
    chain, first, _ = pair(fails(CutReply("cut"), attempts=1, ran=True))
    first.model._price = None
    reply = await chain.complete(asked(chain, "?"))
    assert reply.usage is not None
    assert (reply.usage.usd, reply.usage.known_usd, reply.usage.unpriced) == (None, pytest.approx(25e-6), 0)
    assert reply.usage.unknown == 1


async def test_if_all_fail_the_last_says_so_with_the_others_and_with_what_all_have_cost() -> None:
    one = Gated(fails(CutReply("cut"), attempts=1, ran=True), spec="openai:a")
    other = Gated(fails(Unavailable("busy", status=503), attempts=2), spec="groq:b")
    chain = chain_of(one, other)
    with pytest.raises(Unavailable, match=r"^busy \(2 attempts\) \(before it: openai:a: CutReply\)$") as caught:
        await chain.complete(asked(chain, "?"))
    assert (caught.value.usage.calls, caught.value.usage.requests, caught.value.usage.prompt_tokens) == (1, 3, 9)


def room(nano: float) -> Room:
    """What a limit of money leaves for failed attempts."""
    return Room((Meter(Budget(usd=nano / 1e9)),))


async def test_no_other_is_asked_once_the_budgets_cannot_pay_for_it_too() -> None:
    chain, _, other = pair(fails(CutReply("cut"), attempts=1, ran=True))
    request = asked(chain, "?")
    request.room = room(8999)
    with pytest.raises(CutReply) as caught:
        await chain.complete(request)
    assert other.backend.seen == 0
    assert str(caught.value) == (
        "cut; groq:b is not asked: the budgets have no room for another attempt beside what failed ones have cost"
    )


async def test_what_failed_attempts_may_cost_is_for_the_whole_chain() -> None:
    first = Gated(fails(CutReply("cut"), attempts=1, ran=True), spec="openai:a")  # 9 tokens, 9000 nano-dollars
    other = Gated(fails(CutReply("cut"), attempts=5, ran=True), spec="groq:b")
    chain, tries = chain_of(first, other), []
    for nano in (0, 8999, 9000, 18_000, 27_000):
        request, other.backend.seen = asked(chain, "?"), 0
        request.room = room(nano) if nano else None
        with pytest.raises(CutReply) as caught:
            await chain.complete(request)
        tries.append(other.backend.seen)
        assert caught.value.usage.requests == 1 + tries[-1]
        if request.room is not None:
            request.room.free()
            assert request.room._meters[0].reserved == [0, 0, 0, 0]
    assert tries == [5, 0, 1, 2, 3]


async def test_the_seconds_of_the_budgets_are_those_of_the_whole_chain() -> None:
    clock, slow = HandClock(), fails(Unavailable("503"), attempts=1)

    async def late() -> Reply:
        clock.advance(8)
        await asyncio.sleep(0)
        raise slow

    first, other = (Gated(late, spec=spec, clock=clock) for spec in ("openai:a", "groq:b"))
    chain, begun = chain_of(first, other), clock.stamp()
    request = asked(chain, "?")
    request.within_s = 10
    with pytest.raises(NoReply, match=r"groq:b did not answer within 1\.95 s"):
        await chain.complete(request)
    assert request.within_s == 10
    begun, request = clock.stamp(), asked(chain, "?")
    request.within_s, other.backend.seen = 8.04, 0
    with pytest.raises(
        Unavailable, match=r"^503; groq:b is not asked: the 8\.04 s that the budgets left for the call are over$"
    ):
        await chain.complete(request)
    assert (other.backend.seen, (clock.stamp() - begun) / 1e6) == (0, 8)


async def test_a_chain_honours_what_all_honour_and_reserves_for_the_dearest() -> None:
    one = Gated(
        said(), spec="openai:a",
        capabilities=Capabilities(frozenset({"seed", "stop"}), native_n=True, schema="constrained", context=100),
    )  # fmt: skip
    other = Gated(
        said(), spec="groq:b", prices={"groq:b": {"input_per_mtok": 5, "output_per_mtok": 1}},
        capabilities=Capabilities(frozenset({"stop"}), schema="advisory", max_output=9000),
    )  # fmt: skip
    chain = chain_of(one, other)
    common = chain.capabilities
    assert (common.fields, common.native_n, common.schema, common.context) == (
        frozenset({"stop"}),
        False,
        "advisory",
        100,
    )
    assert (common.max_output, common.priced, common.free) == (9000, True, False)
    assert chain.refuses(asked(chain, "?", seed=1)) == {"seed"}
    assert common.worth is not None
    assert [common.worth(100, 0), common.worth(0, 100)] == [500_000, 1_000_000]
    other.model.capabilities.priced = False
    await chain.learn()
    assert not chain.capabilities.priced
    assert chain.priced_by == "own"


async def test_numbers_of_attempts_go_on_from_one_model_to_the_next() -> None:
    chain, _, _ = pair(fails(CutReply("cut"), attempts=2, ran=True, received="half"))
    heard: list[Delta] = []
    await chain.complete(asked(chain, "?"), on_delta=heard.append)
    assert [(one.attempt, one.text) for one in heard] == [(1, "half"), (2, "half"), (3, "other")]


async def test_what_is_cancelled_in_the_second_is_billed_for_both() -> None:
    started = asyncio.Event()

    async def hang() -> Reply:
        started.set()
        return await asyncio.get_running_loop().create_future()

    chain, _, other = pair(fails(CutReply("cut"), attempts=1, ran=True))
    other.backend.outcomes = [hang]
    call = asyncio.ensure_future(chain.complete(asked(chain, "?")))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    assert vars(caught.value)["usage"][:3] == (1, 2, 18)


async def test_a_mistake_of_the_caller_is_raised_past_the_chain() -> None:
    chain, _, other = pair(said())

    async def wrong() -> Reply:
        raise StratagemError("?")

    chain.models[0]._backend.outcomes = [wrong]  # type: ignore[attr-defined]
    with pytest.raises(StratagemError):
        await chain.complete(asked(chain, "?"))
    assert other.backend.seen == 0
