"""Strategies on a server: what the wire is for."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem.core import MemoryJournal
from stratagem.errors import BudgetExhausted, CapabilityError, Rejected, Unavailable, UsageError
from stratagem.testing.model_server import Fault, ModelServer, Said

CANARY = "sk-canary-93b1"
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
CALL = Said("To the sum.", calls=(("calculate", '{"expression": "6*7"}'),))


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


def settings(server: ModelServer, *, streamed: bool = False, prefix: str = "vllm", **more: Any) -> dict[str, Any]:
    listens = {"on_event": lambda _: None} if streamed else {}
    common = {"model": f"{prefix}:m", "base_url": server.url, "journal": "memory", "memory": "none"}
    return {**common, **listens, **more}


@STREAMED
async def test_react_acts_through_a_server(server: ModelServer, streamed: bool) -> None:
    server.add(CALL, Said("42"))
    async with stratagem.open(**settings(server, streamed=streamed, tools=["calculate"])) as session:
        answer = await session.run("react", "What is 6 times 7?")
    assert (answer.text, answer.stop, len(answer.steps)) == ("42", "answered", 2)
    assert (answer.usage.calls, answer.usage.requests, answer.usage.usd) == (2, 2, None)
    assert [bool(one.body.get("stream")) for one in server.seen] == [streamed] * 2
    assert server.seen[1].body["messages"][-1] == {
        "role": "tool", "tool_call_id": "call_1_0", "content": "6*7 = 42"
    }  # fmt: skip


@STREAMED
async def test_react_keeps_to_its_text_protocol_where_it_is_asked_to(server: ModelServer, streamed: bool) -> None:
    server.add(Said("Thought: sum\nAction: calculate[6*7]\nObservation: 41"), Said("Action: Finish[42]"))
    more = {"tools": ["calculate"], "options": {"mode": "text"}}
    async with stratagem.open(**settings(server, streamed=streamed, **more)) as session:
        answer = await session.run("react", "What is 6 times 7?")
    assert answer.text == "42"
    assert server.seen[0].body["stop"] == ["\nObservation"]
    assert "tools" not in server.seen[0].body
    assert server.seen[1].body["messages"][-1]["content"] == "Observation 1: 6*7 = 42"


@STREAMED
async def test_self_consistency_draws_at_once_with_log_probabilities(server: ModelServer, streamed: bool) -> None:
    texts = iter([f"Two and two. The answer is {n}." for n in (4, 5, 4)])
    server = await _answering(server, lambda _: Said(next(texts)))
    more: dict[str, Any] = {"options": {"logprobs": True, "seed": 5}}
    async with stratagem.open(**settings(server, streamed=streamed, **more)) as session:
        answer = await session.run("self_consistency(n=3)", "What is 2+2?")
        record = await session.show(answer.run_id)
    assert (answer.text, round(answer.confidence or 0, 2)) == ("4", 0.67)
    assert len({one.body["seed"] for one in server.seen}) == len(server.seen) == 3
    assert all(one.body["logprobs"] is True and one.body["temperature"] == 0.7 for one in server.seen)
    drawn = [json.loads(row.result) for row in record.rows if row.kind == "model"]
    assert all(one["logprobs"] == [-0.25] * len(one["text"].split()) for one in drawn)


async def _answering(server: ModelServer, by: Any) -> ModelServer:
    server._by = by
    return server


async def test_retries_of_many_are_within_the_budget_of_calls(server: ModelServer) -> None:
    seen: list[str] = []

    def by(body: Any) -> Any:
        seen.append("")
        return (
            Fault("status", status=429, retry_after="0")
            if len(seen) % 3 == 1
            else Said("Two and two. The answer is 4.")
        )

    await _answering(server, by)
    async with stratagem.open(**settings(server, budget="calls=20")) as session:
        answer = await session.run("self_consistency(n=8)", "What is 2+2?")
    assert (answer.text, answer.usage.requests) == ("4", len(server.seen))
    assert answer.usage.requests > answer.usage.calls


async def test_a_limit_of_tokens_caps_the_reply_that_is_asked_for(server: ModelServer) -> None:
    server.add(Said("The answer is", finish="length"))
    async with stratagem.open(**settings(server, budget="tokens=500")) as session:
        answer = await session.run("direct", "What is 2+2?")
    assert 0 < server.seen[0].body["max_tokens"] < 500
    assert answer.stop == "budget"


async def test_a_limit_of_money_refuses_a_server_of_unknown_price(server: ModelServer) -> None:
    async with stratagem.open(**settings(server, budget="usd=1")) as session:
        with pytest.raises(UsageError, match="needs the price of the model 'vllm:m', which is unknown"):
            await session.run("direct", "What is 2+2?")
    assert server.seen == []


async def test_attempts_that_may_have_run_are_billed_though_the_run_fails(server: ModelServer) -> None:
    journal = MemoryJournal()
    server.add(*[Fault("cut")] * 3)
    async with stratagem.open(**settings(server, journal=journal)) as session:
        with pytest.raises(stratagem.StratagemError, match="broke off") as caught:
            await session.run("direct", "What is 2+2?", run_id="r")
        assert type(caught.value).__name__ == "CutReply"
        (row,) = (await session.show("r")).rows
        assert row.usage is not None
        assert (row.usage.requests, row.usage.estimated, row.usage.prompt_tokens > 30) == (3, True, True)
        server.add(Said("4"))
        answer = await session.resume("r")  # what failed by circumstance is performed again
    assert (answer.text, len(server.seen)) == ("4", 4)


async def test_a_run_that_is_cancelled_in_mid_stream_goes_on_later(server: ModelServer) -> None:
    server.add(CALL, Fault("stall"))
    async with stratagem.open(**settings(server, streamed=True, tools=["calculate"])) as session:
        task = asyncio.create_task(session.run("react", "What is 6 times 7?", run_id="r"))
        await server.arrived(2)
        session.cancel("r")
        assert (await task).stop == "cancelled"
        await server.left(1)
        server.add(Said("42"))
        answer = await session.resume("r")
    assert (answer.text, len(server.seen)) == ("42", 3)
    assert server.seen[2].body == server.seen[1].body


async def test_a_run_is_replayed_without_a_server_and_without_a_key(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    journal = MemoryJournal()
    server.add(CALL, Said("42"))
    more = {"prefix": "openai", "tools": ["calculate"], "journal": journal}
    async with stratagem.open(**settings(server, **more)) as session:
        await session.run("react", "What is 6 times 7?", run_id="r")
    async with stratagem.open(model="openai:m", journal=journal, memory="none") as session:
        assert (await session.replay("r")).text == "42"
        with pytest.raises(CapabilityError, match="OPENAI_API_KEY is not set"):
            await session.run("direct", "?", run_id="other")
        assert [run.id for run in await session.runs()] == ["r"]
    assert len(server.seen) == 2


async def test_a_key_is_sent_and_stands_nowhere_else(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", CANARY)
    echo = "you sent {authorization}"
    server.add(
        Fault("status", status=500, message=echo), CALL, Fault("error body", message=echo), Said("42"),
        *[Fault("error event", code=503, message=echo)] * 5, Fault("status", status=400, message=echo),
    )  # fmt: skip
    events: list[Any] = []
    more: dict[str, Any] = {
        "journal": f"sqlite:{tmp_path}/j.sqlite",
        "home": tmp_path,
        "api_key_env": "MY_KEY",
        "tools": ["calculate"],
    }
    written: list[str] = []
    async with stratagem.open(**settings(server, **more), on_event=events.append) as session:
        answer = await session.run("react", "What is 6 times 7?")
        written += [repr(answer), repr(await session.show(answer.run_id)), repr(session), repr(vars(session))]
        model = session._services.model
        written += [repr(model), repr(vars(model)), repr(vars(model._backend)), repr(vars(model._backend._transport))]  # type: ignore[attr-defined]
        for kind in (Unavailable, Rejected):
            with pytest.raises(kind, match=r"you sent Bearer \*\*\*") as caught:
                await session.run("direct", "What is 2+2?")
            written += [repr(caught.value), caught.value.remedy, json.dumps(caught.value.form())]
    assert all(one.headers["Authorization"] == f"Bearer {CANARY}" for one in server.seen)
    assert len(server.seen) == 10
    written += [*map(repr, events), *capfd.readouterr()]
    assert [text for text in written if CANARY in text] == []
    kept = files_of(tmp_path)
    assert any(name.endswith("j.sqlite") for name in kept)
    assert [name for name, data in kept.items() if CANARY.encode() in data] == []


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_wide_run_is_answered_by_one_server(server: ModelServer) -> None:
    await _answering(server, lambda _: Said("Two and two. The answer is 4."))
    async with stratagem.open(**settings(server)) as session:
        answer = await session.run("self_consistency(n=200)", "What is 2+2?")
    assert (answer.text, answer.confidence, len(server.seen)) == ("4", 1.0, 200)


async def test_what_the_budget_refuses_is_not_sent(server: ModelServer) -> None:
    server.add(CALL, Said("42"))
    async with stratagem.open(**settings(server, budget="calls=1", tools=["calculate"])) as session:
        answer = await session.run("react", "What is 6 times 7?")
    assert (answer.stop, len(server.seen)) == ("budget", 1)
    assert re.fullmatch(r"budget exhausted: calls .*", str(BudgetExhausted("calls", 1)))
