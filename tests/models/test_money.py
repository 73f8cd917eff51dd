"""Money, gates and chains under runs: what is reserved, recorded, shown and shared."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

import stratagem
from stratagem.core import Answer, MemoryJournal, Run, Task, Usage, signature, strategy
from stratagem.errors import BadReply, BudgetExhausted, CapabilityError, UsageError
from stratagem.models.tokens import message_bound
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._wire import Wired

PRICES = {"vllm:m": {"input_per_mtok": 1, "output_per_mtok": 10}}


@signature
def guess(number: int, about: str = "") -> str:
    """Guess."""
    ...


@strategy(calls="n")
async def wide(run: Run, task: Task, *, n: int = 200, words: int = 0) -> Answer:
    """Guess in many branches, of which some may not be affordable."""

    async def branch(run: Run, number: int) -> str:
        return await run.ask(guess, number=number, about="word " * words)

    found = await run.map(branch, range(n), tolerate=(BudgetExhausted, stratagem.StratagemError))
    return task.answer(str(len(found)))


@strategy(calls="2")
async def twice(run: Run, task: Task) -> Answer:
    """Guess twice."""
    first = await run.ask(guess, number=1)
    return task.answer(f"{first} {await run.ask(guess, number=2)}")


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


def settings(server: ModelServer, **more: Any) -> dict[str, Any]:
    return {"model": "vllm:m", "base_url": server.url, "journal": "memory", "memory": "none", "prices": PRICES, **more}


def by(server: ModelServer, answer: Any) -> None:
    server._by = answer


class Reserved:
    """What the meter of a run held when each call began, and at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from stratagem.models import gateway

        self.most = 0
        self.each: list[int] = []
        complete = gateway.Gateway._complete

        async def counted(model: Any, request: Any, on_delta: Any) -> Any:
            (meter,) = request.room._meters
            self.each.append(meter.reserved[3])
            self.most = max(self.most, meter.reserved[3])
            return await complete(model, request, on_delta)

        monkeypatch.setattr(gateway.Gateway, "_complete", counted)


async def test_200_branches_never_cost_more_than_their_limit_of_money(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    by(server, lambda _: Said("a b c d"))
    reserved = Reserved(monkeypatch)
    async with stratagem.open(**settings(server, budget="usd=0.002", options={"max_tokens": 20})) as session:
        answer = await session.run(wide, "?")
    assert (answer.stop, answer.usage.calls < 200, answer.usage.calls > 20) == ("budget", True, True)
    assert answer.usage.usd is not None
    assert answer.usage.usd <= 0.002
    assert reserved.most <= 2_000_000
    assert len(server.seen) == answer.usage.calls


async def test_with_retries_and_cut_streams_they_do_not_exceed_it_either(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def answers(_: Any) -> Said | Fault:
        seen.append(1)
        faults = [Fault("cut"), Fault("status", status=429), Fault("status", status=500), *[Fault("disconnect")] * 6]
        return [*faults, Said("a b c d")][len(seen) % 10]

    by(server, answers)
    reserved, journal = Reserved(monkeypatch), MemoryJournal()
    more = {"budget": "usd=0.02", "options": {"max_tokens": 20}, "journal": journal, "on_event": lambda _: None}
    async with stratagem.open(**settings(server, **more)) as session:
        answer = await session.run(wide.using(words=200), "?", run_id="r")
        rows = (await session.show("r")).rows
    bills = [row.usage.usd for row in rows if row.usage is not None and row.kind == "model"]
    assert answer.usage.usd == pytest.approx(sum(filter(None, bills)))
    assert answer.usage.requests == len(server.seen) > answer.usage.calls > 10
    assert answer.usage.usd is not None
    assert 0.01 < answer.usage.usd <= 0.02
    assert reserved.most <= 20_000_000


async def test_what_is_reserved_is_the_bound_of_prompt_and_reply(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(Said("4"))
    reserved = Reserved(monkeypatch)
    async with stratagem.open(**settings(server, budget="usd=1", options={"max_tokens": 20})) as session:
        answer = await session.run("direct", "What is 2+2?")
    (sent,) = (one.body["messages"][0]["content"] for one in server.seen)
    assert reserved.each == [message_bound(sent) * 1000 + 20 * 10_000]
    assert answer.usage.usd is not None
    assert 0 < answer.usage.usd < reserved.each[0] / 1e9


async def test_a_reply_is_capped_by_what_money_is_left_for(server: ModelServer) -> None:
    server.add(Said("The answer is", finish="length"))
    async with stratagem.open(**settings(server, budget="usd=0.001")) as session:
        answer = await session.run("direct", "What is 2+2?")
    assert 0 < server.seen[0].body["max_tokens"] < 100
    assert (answer.stop, answer.reason) == ("budget", "budget exhausted: usd limit is 0.001")


async def test_a_reply_that_ends_at_the_models_own_length_is_not_the_budgets_doing(server: ModelServer) -> None:
    server.add(Said("The answer is 4.", finish="length"))
    async with stratagem.open(**settings(server, budget="usd=10")) as session:
        answer = await session.run("direct", "What is 2+2?")
    assert server.seen[0].body["max_tokens"] == 4096
    assert answer.stop != "budget"


async def test_a_limit_of_money_in_a_scope_refuses_a_model_of_unknown_price(server: ModelServer) -> None:
    server.add(Said("4"))

    @strategy(calls="1")
    async def scoped(run: Run, task: Task) -> Answer:
        """Ask under a limit of money."""
        async with run.scope("cheap", budget="usd=1") as inner:
            return task.answer(await inner.ask(guess, number=1, about=""))

    async with stratagem.open(**settings(server, prices=None)) as session:
        with pytest.raises(UsageError, match="needs the price of the model 'vllm:m'"):
            await session.run(scoped, "?")
    async with stratagem.open(**settings(server)) as session:
        assert (await session.run(scoped, "?")).text == "4"


async def test_a_run_says_where_its_prices_come_from_and_a_price_is_asked_for_once(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(Said("4"))
    async with stratagem.open(**settings(server)) as session:
        answer = await session.run("direct", "What is 2+2?")
        record = await session.show(answer.run_id)
    assert record.record["prices"] == "own"
    async with stratagem.open(model="openai:gpt-4o-mini", journal="memory", memory="none") as session:
        assert session._facts["prices"].startswith("genai-prices ")  # type: ignore[union-attr]
    async with stratagem.open(journal="memory", memory="none") as session:
        assert "prices" not in session._facts


async def test_what_went_before_a_reply_is_recorded_with_it(server: ModelServer) -> None:
    server.add(Fault("status", status=429), Fault("cut"), Said("4"))
    events: list[Any] = []
    async with stratagem.open(**settings(server, on_event=events.append)) as session:
        answer = await session.run("direct", "What is 2+2?")
        (row,) = (await session.show(answer.run_id)).rows
        replayed = await session.replay(answer.run_id)
    assert json.loads(row.result)["via"] == {"attempts": ["RateLimited 429", "CutReply"]}
    (finished,) = (event for event in events if event.type == "effect.finished")
    assert finished.data["attempts"] == ["RateLimited 429", "CutReply"]
    assert replayed.text == answer.text
    pieces = [(event.data["attempt"], event.data["text"]) for event in events if event.type == "text.delta"]
    assert {attempt for attempt, _ in pieces} == {2, 3}
    assert "".join(text for attempt, text in pieces if attempt == 3) == answer.text


async def test_which_model_of_a_chain_answered_is_recorded_and_replayed(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    server.add(*[Said("4")] * 2)
    journal = MemoryJournal()
    monkeypatch.setattr("stratagem.models.keys.ROWS", _moved(server))
    common: dict[str, Any] = {"model": "groq:g|vllm:m", "journal": journal, "memory": "none", "prices": PRICES}
    async with stratagem.open(**common) as session:
        answer = await session.run("direct", "What is 2+2?", run_id="r")
        record = await session.show("r")
    assert (answer.text, record.model) == ("4", "groq:g|vllm:m")
    assert json.loads(record.rows[0].result)["via"] == {"model": "vllm:m", "attempts": ["groq:g: CapabilityError"]}
    assert answer.usage.usd is not None
    assert answer.usage.usd > 0
    async with stratagem.open(**common) as session:
        assert (await session.replay("r")).text == "4"
        assert (await session.fork("r", at=0)).text == "4"
    assert len(server.seen) == 2


def _moved(server: ModelServer) -> dict[str, Any]:
    from dataclasses import replace

    from stratagem.models.table import ROWS

    return {**ROWS, "vllm": replace(ROWS["vllm"], url=server.url)}


async def test_what_the_journal_has_takes_no_turn_and_no_token(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    by(server, lambda _: Said("4"))
    journal = MemoryJournal()
    async with stratagem.open(**settings(server, journal=journal)) as session:
        await session.run(wide, "?", run_id="r")
    assert len(server.seen) == 200
    monkeypatch.setattr("stratagem.models.limits.Gate.enter", lambda *_: pytest.fail("it asked for a turn"))
    async with stratagem.open(**settings(server, journal=journal, limits={"vllm": {"rpm": 1}})) as session:
        assert (await session.replay("r")).text == "200"
        assert (await session.fork("r")).text == "200"
    assert len(server.seen) == 200


async def test_a_run_of_one_call_is_served_next_beside_a_run_of_a_thousand(server: ModelServer) -> None:
    order: list[str] = []

    def answers(body: Any) -> Said:
        order.append("single" if "What is 2+2?" in body["messages"][0]["content"] else "wide")
        return Said("4")

    by(server, answers)
    async with stratagem.open(**settings(server, limits={"vllm": {"concurrency": 4}})) as session:
        thousand = asyncio.create_task(session.run(wide.using(n=1000), "?"))
        await server.arrived(8)
        before = len(order)
        await session.run("direct", "What is 2+2?")
        assert order.index("single") <= before + 16
        assert (await thousand).text == "1000"


async def test_a_cancelled_run_is_billed_for_what_was_under_way(server: ModelServer) -> None:
    server.add(Fault("stall"))
    async with stratagem.open(**settings(server, on_event=lambda _: None)) as session:
        task = asyncio.create_task(session.run("direct", "What is 2+2?", run_id="r"))
        await server.arrived(1)
        await asyncio.sleep(0)
        session.cancel("r")
        answer = await task
    assert (answer.stop, answer.usage.calls, answer.usage.requests, answer.usage.estimated) == ("cancelled", 1, 1, True)
    assert answer.usage.prompt_tokens == message_bound(server.seen[0].body["messages"][0]["content"])
    assert answer.usage.usd is not None
    assert answer.usage.usd > 0


async def test_a_budget_of_seconds_that_ends_under_way_bills_what_was_sent(server: ModelServer) -> None:
    server.add(Fault("stall"))
    wired = Wired(server.url)
    common: dict[str, Any] = {"journal": "memory", "memory": "none", "clock": wired.clock}
    async with stratagem.open(model=wired.model, budget="seconds=5", **common) as session:
        task = asyncio.create_task(session.run("direct", "What is 2+2?", run_id="r"))
        await server.arrived(1)
        wired.clock.advance(5)
        await asyncio.wait([task])
        (row,) = (await session.show("r")).rows
    assert row.usage is not None
    assert (row.usage.requests, row.usage.estimated) == (1, True)
    assert row.usage.prompt_tokens == message_bound(server.seen[0].body["messages"][0]["content"])


async def test_log_probabilities_that_do_not_come_are_paid_and_asked_for_anew_by_a_resume(server: ModelServer) -> None:
    server.add(Said("4", logprobs=False), Said("4"))
    journal = MemoryJournal()
    more: dict[str, Any] = {"journal": journal, "options": {"logprobs": True}}
    async with stratagem.open(**settings(server, **more)) as session:
        with pytest.raises(CapabilityError, match="no log-probabilities"):
            await session.run("direct", "What is 2+2?", run_id="r")
        (row,) = (await session.show("r")).rows
        assert row.failed
        assert row.usage is not None
        assert (row.usage.completion_tokens, row.usage.usd is not None and row.usage.usd > 0) == (1, True)
        answer = await session.resume("r")
    assert (answer.text, len(server.seen)) == ("4", 2)


async def test_log_probabilities_that_are_no_numbers_are_paid_and_a_resume_pays_nothing_again_that_came(
    server: ModelServer,
) -> None:
    token = {"content": [{"token": "4", "logprob": math.nan}]}
    broken = {
        "choices": [{"delta": {"content": "4"}, "logprobs": token, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 30, "completion_tokens": 2},
    }
    bad = Fault("raw", body=f"data: {json.dumps(broken)}\n\ndata: [DONE]\n\n".encode())
    server.add(Said("3"), bad, bad, bad)
    journal = MemoryJournal()
    more: dict[str, Any] = {"journal": journal, "options": {"logprobs": True}, "budget": "usd=1"}
    async with stratagem.open(**settings(server, **more)) as session:
        with pytest.raises(BadReply, match="log-probabilities that are no numbers"):
            await session.run(twice, "What is 2+2?", run_id="r")
        first, second = (await session.show("r")).rows
        assert (first.failed, second.failed, len(server.seen)) == (False, True, 4)
        assert second.usage is not None
        assert second.usage == Usage(1, 3, 90, 6, usd=second.usage.usd)
        assert second.usage.usd == pytest.approx(150e-6)
        server.add(Said("4"))
        answer = await session.resume("r")
        billed = [row.usage.requests for row in (await session.show("r")).rows if row.usage is not None]
    assert (answer.text, len(server.seen), billed) == ("3 4", 5, [1, 3, 1])
    assert server.seen[4].body == server.seen[3].body
