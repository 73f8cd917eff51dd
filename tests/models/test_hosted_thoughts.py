"""What a model thought goes back to it as it came: over turns, and over a journal that another process resumes."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem.core import Observation, Sample, Step, ToolCall, Tools, Transcript, tool
from stratagem.core._canonical import decoded
from stratagem.core._model import sample_bytes
from stratagem.core._values import set_parts
from stratagem.core.message import Call, Text, Thought
from stratagem.errors import Rejected
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._hosted import SPOKEN, HostedWired

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
THINKING = {"anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash", "responses": "o3"}
SUM = (("calculate", '{"expression": "6*7"}'),)
CALL = Said("To the sum.", calls=SUM, thought="Six times seven.", signature="c2lnbmVk")
EACH = pytest.mark.parametrize("prefix", SPOKEN)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


def settings(server: ModelServer, prefix: str, *, streamed: bool = False, **more: Any) -> dict[str, Any]:
    listens = {"on_event": lambda _: None} if streamed else {}
    options = {"effort": "low"}
    common = {"model": f"{prefix}:{THINKING[prefix]}", "base_url": server.url, "memory": "none", "options": options}
    return {"journal": "memory", **common, **listens, "tools": ["calculate"], **more}


WANTED: dict[str, Any] = {
    "anthropic": {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "Six times seven.", "signature": "c2lnbmVk"},
        {"type": "text", "text": "To the sum."},
        {"type": "tool_use", "id": "call_1_0", "name": "calculate", "input": {"expression": "6*7"}},
    ]},
    "google": {"role": "model", "parts": [
        {"text": "Six times seven.", "thought": True},
        {"text": "To the sum."},
        {
            "functionCall": {"id": "call_1_0", "name": "calculate", "args": {"expression": "6*7"}},
            "thoughtSignature": "YzJsbmJtVms=",
        },
    ]},
    "responses": [
        {
            "type": "reasoning", "id": "rs_1", "encrypted_content": "c2lnbmVk",
            "summary": [{"type": "summary_text", "text": "Six times seven."}],
        },
        {
            "type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
            "content": [{"type": "output_text", "text": "To the sum.", "annotations": []}],
        },
        {
            "type": "function_call", "id": "fc_0", "call_id": "call_1_0", "name": "calculate",
            "arguments": '{"expression":"6*7"}',
        },
    ],
}  # fmt: skip


def turn(prefix: str, body: Any) -> Any:
    """Return what the assistant said in the first turn of a request."""
    if prefix == "responses":
        return body["input"][1:4]
    return body["messages" if prefix == "anthropic" else "contents"][1]


@EACH
@STREAMED
async def test_a_thought_goes_back_as_it_came(server: ModelServer, prefix: str, streamed: bool) -> None:
    server.add(CALL, Said("42"))
    async with stratagem.open(**settings(server, prefix, streamed=streamed)) as session:
        answer = await session.run("react", "What is 6 times 7?")
    assert answer.text == "42"
    assert turn(prefix, server.seen[1].body) == WANTED[prefix]


async def test_a_redacted_thought_goes_back_as_it_came(server: ModelServer) -> None:
    server.add(Said("", calls=SUM, signature="b3BhcXVl", redacted=True), Said("42"))
    async with stratagem.open(**settings(server, "anthropic", streamed=True)) as session:
        assert (await session.run("react", "What is 6 times 7?")).text == "42"
    assert turn("anthropic", server.seen[1].body)["content"][0] == {"type": "redacted_thinking", "data": "b3BhcXVl"}


@EACH
async def test_the_next_request_is_the_same_after_a_crash(server: ModelServer, prefix: str, tmp_path: Path) -> None:
    kept = settings(server, prefix, streamed=True, journal=f"sqlite:{tmp_path}/j.sqlite", home=tmp_path)
    server.add(CALL, Fault("stall"))
    async with stratagem.open(**kept) as session:
        task = asyncio.create_task(session.run("react", "What is 6 times 7?", run_id="r"))
        await server.arrived(2)
        session.cancel("r")
        assert (await task).stop == "cancelled"
    server.add(Said("42"))
    async with stratagem.open(**kept) as session:  # it has only what the file has
        assert (await session.resume("r")).text == "42"
    before, after = server.seen[1:]
    assert json.dumps(after.body) == json.dumps(before.body)
    assert turn(prefix, after.body) == WANTED[prefix]


async def test_a_thought_is_in_no_digest(server: ModelServer) -> None:
    digests: list[list[str]] = []
    for said in (CALL, Said("To the sum.", calls=SUM)):
        server.add(said, Said("42"))
        async with stratagem.open(**settings(server, "anthropic")) as session:
            answer = await session.run("react", "What is 6 times 7?")
            rows = (await session.show(answer.run_id)).rows
            digests.append([row.digest.hex() for row in rows if row.kind == "model"])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 2


@tool
def calculate(expression: str) -> str:
    """Calculate."""
    return expression


@pytest.mark.parametrize("prefix", ["google", "responses", "mistral", "cohere", "bedrock"])
async def test_another_family_gets_the_words_and_no_thought(server: ModelServer, prefix: str) -> None:
    step = Step("To the sum.", (ToolCall("calculate", {"expression": "6*7"}),))
    opaque = {"anthropic": {"signature": "c2lnbmVk"}}
    set_parts(step, (Thought("Six times seven.", opaque), Text("To the sum."), Call("", "calculate", "", opaque)))
    steps = Transcript().then(step, Observation("42"))
    server.add(Fault("status", status=400))
    wired = HostedWired(server.url, prefix, name=THINKING.get(prefix, ""))
    with pytest.raises(Rejected):
        await wired.answered(wired.request(tools=Tools((calculate,)), steps=steps))
    sent = json.dumps(server.seen[0].body)
    assert "To the sum." in sent
    assert "Six times seven." not in sent
    assert "c2lnbmVk" not in sent


def test_a_draw_in_parts_is_the_same_after_the_journal() -> None:
    opaque = {"anthropic": {"signature": "s"}}
    parts = (
        Thought("Hm. \U0001f600", opaque), Text("one "), Call("", "look", "", None), Text("two", {"google": {"details": {"a": 1}}}),
        Call("", "look", "", opaque), Thought("", {"anthropic": {"id": "redacted_thinking", "signature": "x"}}),
    )  # fmt: skip
    draw = Sample("one two", (("look", {"a": 1}), ("look", "no json")), "tool_calls", None, parts)
    again = Sample.of(decoded(sample_bytes(draw)))
    assert again == draw
    assert sample_bytes(again) == sample_bytes(draw)
    assert b'"text",4' in sample_bytes(draw)  # the words are told once
    assert again.parts is not None
    assert [getattr(part, "text", None) for part in again.parts] == ["Hm. \U0001f600", "one ", None, "two", None, ""]
    assert [part.opaque for part in again.parts] == [part.opaque for part in parts]


def test_a_draw_without_parts_is_written_as_ever() -> None:
    assert sample_bytes(Sample("4")) == b'{"text":"4"}'
    assert Sample.of({"text": "4"}).parts is None
