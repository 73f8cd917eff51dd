"""Tool calls of providers with a form of their own, as odd as they come."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import Observation, Sample, Step, ToolCall, Tools, Transcript, tool
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._hosted import MODELS, SPOKEN, HostedWired

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
EACH = pytest.mark.parametrize("prefix", SPOKEN)
ALL = pytest.mark.parametrize("prefix", MODELS)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@tool
def look(where: str = "") -> str:
    """Look somewhere."""
    return where


def url(server: ModelServer, prefix: str) -> str:
    return server.origin + ("/v1" if prefix == "responses" else "")


async def called(server: ModelServer, prefix: str, *, streamed: bool = False) -> Sample:
    wired = HostedWired(url(server, prefix), prefix)
    request = wired.request(tools=Tools((look,)), steps=Transcript(), max_tokens=100)
    reply: Any = await wired.answered(request, streamed=streamed)
    return reply.samples[0]


@ALL
async def test_calls_come_with_and_without_words(server: ModelServer, prefix: str) -> None:
    server.add(Said("So.", calls=(("look", '{"where": "a"}'),)), Said("", calls=(("look", "{}"), ("look", "{}"))))
    assert await called(server, prefix) == Sample("So.", (("look", {"where": "a"}),), "tool_calls")
    assert await called(server, prefix) == Sample("", (("look", {}), ("look", {})), "tool_calls")


@EACH
@STREAMED
async def test_long_arguments_come_whole(server: ModelServer, prefix: str, streamed: bool) -> None:
    long = "ä<|x|> " * 4000
    server.add(Said("", calls=(("look", json.dumps({"where": long})),)))
    assert (await called(server, prefix, streamed=streamed)).calls == (("look", {"where": long}),)


@STREAMED
async def test_a_call_without_an_id_is_a_call(server: ModelServer, streamed: bool) -> None:
    server.add(Said("", calls=(("look", "{}"), ("look", '{"where": "a"}')), ids=False))
    assert (await called(server, "google", streamed=streamed)).calls == (("look", {}), ("look", {"where": "a"}))


@STREAMED
async def test_arguments_that_are_no_json_are_the_text_they_are(server: ModelServer, streamed: bool) -> None:
    server.add(Said("", calls=(("look", "in [x"), ("look", "null"))))
    assert (await called(server, "responses", streamed=streamed)).calls == (("look", "in [x"), ("look", {}))


@ALL
async def test_ids_are_the_turn_and_the_place_and_results_stand_in_their_order(
    server: ModelServer, prefix: str
) -> None:
    steps = Transcript()
    for turn in range(2):
        calls = (ToolCall("look", {"where": f"{turn}a"}), ToolCall("look", {"where": f"{turn}b"}))
        steps = steps.then(Step("", calls), Observation(f"seen {turn}a"), Observation(f"seen {turn}b"))
    server.add(Said("4"), Said("4"))
    wired = HostedWired(url(server, prefix), prefix)
    for _ in range(2):
        await wired.model.complete(wired.request(tools=Tools((look,)), steps=steps))
    await wired.model.aclose()
    first, second = (json.dumps(one.body) for one in server.seen)
    assert first == second
    named = ["c00001000", "c00001001", "c00002000"] if prefix == "mistral" else ["call_1_0", "call_1_1", "call_2_0"]
    assert [first.count(name) for name in named] == [2, 2, 2]  # the call and its result
    places = [first.index(f"seen {name}") for name in ("0a", "0b", "1a", "1b")]
    assert places == sorted(places)


@ALL
async def test_a_conversation_goes_on_without_its_tools(server: ModelServer, prefix: str) -> None:
    steps = Transcript().then(Step("Done.", answer="four")).then(Step("", answer="five"))
    server.add(Said("4"))
    wired = HostedWired(url(server, prefix), prefix)
    reply = await wired.answered(wired.request(tools=Tools(()), steps=steps, max_tokens=100))
    assert reply.samples[0].text == "4"
    sent = json.dumps(server.seen[0].body)
    assert sent.index("Done.") < sent.index("four") < sent.index("five")


async def test_calls_of_anthropic_that_come_in_turns_are_told_apart(server: ModelServer) -> None:
    def event(kind: str, **form: Any) -> str:
        return f"event: {kind}\r\ndata: {json.dumps({'type': kind, **form})}\r\n\r\n"

    begun = {
        "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1},
    }  # fmt: skip
    body = event("message_start", message=begun)
    for index in (0, 1):  # with one id for both
        block = {"type": "tool_use", "id": "same", "name": "look", "input": {}}
        body += event("content_block_start", index=index, content_block=block)
    for index, piece in ((0, '{"where"'), (1, '{"whe'), (0, ': "a"}'), (1, 're": "b"}')):
        body += event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})
    body += event("content_block_stop", index=0) + event("content_block_stop", index=1) + ": a comment\r\n\r\n"
    body += event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 2})
    body += event("message_stop")
    server.add(Fault("raw", body=body.encode()))
    assert (await called(server, "anthropic", streamed=True)).calls == (
        ("look", {"where": "a"}),
        ("look", {"where": "b"}),
    )
