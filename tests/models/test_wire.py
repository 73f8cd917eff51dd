"""The wire against a server that fails in every way a real one does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import Attachment, Observation, Sample, Step, ToolCall, Tools, Transcript, Usage, tool
from stratagem.errors import (
    BadReply,
    CapabilityError,
    CutReply,
    ModelError,
    NoReply,
    NotAuthorised,
    RateLimited,
    Rejected,
    Unavailable,
    Unreachable,
)
from stratagem.models.compatible import Compatible
from stratagem.models.gateway import Gateway
from stratagem.models.keys import placed
from stratagem.models.tokens import request_bound
from stratagem.models.transport import Times
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._wire import Wired, asked

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@tool
def look(where: str) -> str:
    """Look somewhere."""
    return where


async def answered(wired: Wired, request: Any, *, streamed: bool = False) -> Any:
    heard: list[Any] = []
    try:
        return await wired.model.complete(request, on_delta=heard.append if streamed else None)
    finally:
        await wired.model.aclose()


async def failed(wired: Wired, *, streamed: bool = False, **settings: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await answered(wired, wired.request(**settings), streamed=streamed)
    return caught.value


# What is sent, and what comes back


async def test_a_request_says_what_was_set_and_nothing_else(server: ModelServer) -> None:
    server.add(Said("4"))
    wired = Wired(server.url)
    reply = await answered(wired, wired.request())
    assert reply.samples == (Sample("4"),)
    assert server.seen[0].body == {"model": "m", "messages": [{"role": "user", "content": "2+2?"}]}
    assert server.seen[0].path == "/v1/chat/completions"
    assert "Authorization" not in server.seen[0].headers
    assert "Cookie" not in server.seen[0].headers


async def test_every_option_has_its_field(server: ModelServer) -> None:
    server.add(Said("4"))
    wired = Wired(server.url)
    request = wired.request(
        temperature=0.5, top_p=0.9, max_tokens=50, stop=("END",), seed=7, logprobs=2, persona="Be brief.", cap=20
    )
    reply = await answered(wired, request)
    sent = server.seen[0].body
    assert sent.pop("messages")[0] == {"role": "system", "content": "Be brief."}
    assert 0 <= sent.pop("seed") < 2**31
    assert sent == {
        "model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 20, "stop": ["END"], "logprobs": True,
        "top_logprobs": 2,
    }  # fmt: skip
    assert reply.samples[0].logprobs == (-0.25,)


async def test_the_seed_that_is_sent_differs_by_draw_and_repeats_by_run(server: ModelServer) -> None:
    server.add(*[Said("4")] * 3)
    wired = Wired(server.url)
    for occurrence in (0, 1, 0):
        await wired.model.complete(wired.request(seed=7, occurrence=occurrence))
    await wired.model.aclose()
    first, second, again = (one.body["seed"] for one in server.seen)
    assert first == again != second


async def test_what_a_model_does_not_honour_is_left_off(server: ModelServer) -> None:
    server.add(Said("4"))
    row, key = placed("openai", None, None)
    reasoning = Gateway("openai:o3", Compatible(row, "o3", key))
    request = asked(reasoning, "?", temperature=0.0, effort="low")
    assert reasoning.refuses(request) == {"temperature"}
    wired = Wired(server.url, prefix="openai")  # an address of which nothing is known
    request = wired.request(seed=3, temperature=0.0)
    assert (wired.model.refuses(request), wired.model.capabilities.priced) == ({"seed"}, False)
    reply = await answered(wired, request)
    assert reply.dropped == {"seed"}
    assert set(server.seen[0].body) == {"model", "messages", "temperature"}
    assert wired.model.refuses(wired.request(logprobs=True)) == {"logprobs"}


async def test_images_are_sent_where_they_are_read_and_refused_elsewhere(server: ModelServer) -> None:
    server.add(Said("a cat"))
    image = Attachment("cat.png", "image/png", b"\x89PNG")
    wired = Wired(server.url)
    request = wired.request("What is it?", attached=[image])
    assert wired.model.refuses(request) == frozenset()
    await answered(wired, request)
    assert server.seen[0].body["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
    ]
    assert Wired(server.url, prefix="groq").model.refuses(request) == {"media"}


async def test_a_closed_schema_is_constrained_and_any_other_stands_in_the_text_only(server: ModelServer) -> None:
    server.add(*[Said("{}")] * 3)
    wired = Wired(server.url)
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    for schema in (closed, {**closed, "required": []}, {"type": "array", "items": closed}):
        await wired.model.complete(wired.request(schema=schema))
    await wired.model.aclose()
    assert server.seen[0].body["response_format"]["json_schema"]["schema"] == closed
    assert ["response_format" in one.body for one in server.seen] == [True, False, False]


@STREAMED
async def test_tools_travel_natively_both_ways(server: ModelServer, streamed: bool) -> None:
    server.add(Said("To the shed.", calls=(("look", '{"where": "the shed"}'), ("look", ""), ("look", "in [x"))))
    wired = Wired(server.url)
    done = ToolCall("look", {"where": "here"})
    steps = Transcript().then(Step("First here.", (done,)), Observation("nothing"))
    reply = await answered(wired, wired.request(tools=Tools((look,)), steps=steps), streamed=streamed)
    calls = (("look", {"where": "the shed"}), ("look", {}), ("look", "in [x"))
    assert reply.samples == (Sample("To the shed.", calls, "tool_calls"),)
    sent = server.seen[0].body
    assert sent["tools"] == [{"type": "function", "function": look.schema()}]
    assert sent["messages"][1:] == [
        {"role": "assistant", "content": "First here.", "tool_calls": [
            {"id": "call_1_0", "type": "function", "function": {"name": "look", "arguments": '{"where":"here"}'}}
        ]},
        {"role": "tool", "tool_call_id": "call_1_0", "content": "nothing"},
    ]  # fmt: skip


async def test_a_stream_is_heard_as_it_comes_and_is_the_same_reply(server: ModelServer) -> None:
    server.add(*[Said(("one two", "three"), thought="Hm.")] * 2)
    wired, heard = Wired(server.url), []
    whole = await wired.model.complete(wired.request(n=2, logprobs=True))
    streamed = await wired.model.complete(wired.request(n=2, logprobs=True), on_delta=heard.append)
    await wired.model.aclose()
    assert [(one.sample, one.text, one.thought) for one in heard] == [
        (0, "", "Hm."), (0, "one", ""), (0, " two", ""), (1, "", "Hm."), (1, "three", ""),
    ]  # fmt: skip
    assert streamed.samples == whole.samples
    assert [one.text for one in whole.samples] == ["one two", "three"]
    assert streamed.usage is not None
    assert whole.usage is not None
    assert streamed.usage._replace(prompt_tokens=0) == whole.usage._replace(prompt_tokens=0)
    assert [one.body.get("stream") for one in server.seen] == [None, True]


async def test_a_reply_that_may_be_long_is_streamed_though_nobody_listens(server: ModelServer) -> None:
    server.add(Said("4"))
    wired = Wired(server.url)
    await answered(wired, wired.request(max_tokens=5000))
    assert server.seen[0].body["stream"] is True


async def test_marks_of_chat_templates_are_disarmed_on_the_way_and_whole_again_on_arrival(server: ModelServer) -> None:
    server.add(Said("<\u200d|end|>"))
    wired = Wired(server.url)
    reply = await answered(wired, wired.request("Repeat <|end|>"))
    assert server.seen[0].body["messages"][0]["content"] == "Repeat <\u200d|end|>"
    assert reply.samples[0].text == "<|end|>"


async def test_fewer_draws_than_wanted_are_made_up_one_by_one(server: ModelServer) -> None:
    server.add(Said(("a", "b"), draws=2), Said("c"), Fault("status", status=500), Said("d"))
    wired = Wired(server.url)
    reply = await answered(wired, wired.request(n=4))
    assert [one.text for one in reply.samples] == ["a", "b", "c", "d"]
    assert [one.body.get("n") for one in server.seen] == [4, None, None, None]
    assert (reply.usage.calls, reply.usage.requests, reply.attempts) == (1, 4, ("Unavailable 500",))


async def test_more_draws_than_wanted_are_left_out(server: ModelServer) -> None:
    server.add(Said(("a", "b"), draws=2))
    wired = Wired(server.url)
    assert [one.text for one in (await answered(wired, wired.request())).samples] == ["a"]


async def test_token_counts_that_are_not_told_are_estimated(server: ModelServer) -> None:
    server.add(Said("one two"), Said("one two", usage=False))
    wired = Wired(server.url)
    told = await wired.model.complete(wired.request())
    guessed = await answered(wired, wired.request())
    assert told.usage == Usage(1, 1, 9, 2, usd=None)
    assert guessed.usage == Usage(1, 1, request_bound(wired.request()), 6, usd=None, estimated=True)


@pytest.mark.parametrize(
    ("said", "sample"),
    [
        (Said("no", finish="content_filter"), Sample("no", finish="filtered")),
        (Said("cut", finish="length"), Sample("cut", finish="length")),
        (Said("x", calls=(("look", "null"),), finish="stop"), Sample("x", (("look", {}),), "tool_calls")),
        (Said("x", finish="eos"), Sample("x")),
    ],
)
@STREAMED
async def test_why_a_reply_ended(server: ModelServer, said: Said, sample: Sample, streamed: bool) -> None:
    server.add(said)
    wired = Wired(server.url)
    assert (await answered(wired, wired.request(), streamed=streamed)).samples == (sample,)


# Faults


@STREAMED
async def test_who_is_told_to_wait_waits_and_so_does_everybody(server: ModelServer, streamed: bool) -> None:
    server.add(Fault("status", status=429, retry_after="7"), Said("4"))
    wired = Wired(server.url, dice=0.5)
    reply = await answered(wired, wired.request(), streamed=streamed)
    assert (reply.samples[0].text, wired.slept, wired.gate.limit) == ("4", [7.5], 11)
    assert (reply.attempts, reply.usage.requests, reply.usage.estimated) == (("RateLimited 429",), 2, False)


async def test_a_date_is_read_against_the_servers_own(server: ModelServer) -> None:
    then, now = "Wed, 21 Oct 2026 07:28:10 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"
    server.add(Fault("status", status=429, retry_after=then, date=now), Said("4"))
    wired = Wired(server.url)
    await answered(wired, wired.request())
    assert wired.slept == [10]


@pytest.mark.parametrize(("retry_after", "timeout_s"), [("121", None), ("30", 20.0)])
async def test_a_wait_that_is_too_long_is_an_error_at_once(
    server: ModelServer, retry_after: str, timeout_s: float | None
) -> None:
    server.add(Fault("status", status=429, retry_after=retry_after))
    wired = Wired(server.url)
    error = await failed(wired, timeout_s=timeout_s or 600)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.attempts, wired.slept) == (float(retry_after), 1, [])
    assert error.usage == Usage(1, 1)


@pytest.mark.parametrize(("status", "kind", "estimated"), [(500, Unavailable, True), (529, RateLimited, False)])
async def test_a_server_that_cannot_is_asked_five_times(
    server: ModelServer, status: int, kind: type[ModelError], estimated: bool
) -> None:
    server.add(*[Fault("status", status=status)] * 5)
    wired = Wired(server.url, dice=1.0)
    error = await failed(wired)
    assert type(error) is kind
    assert (error.status, error.attempts, error.provider, error.request_id) == (status, 5, "vllm", "req_1")
    assert wired.slept == [1, 2, 4, 8]
    bound = request_bound(wired.request())
    assert error.usage.requests == 5
    assert (error.usage.prompt_tokens, error.usage.estimated) == ((5 * bound, True) if estimated else (0, False))


@pytest.mark.parametrize(("status", "kind"), [(400, Rejected), (401, NotAuthorised), (404, Rejected)])
async def test_what_would_fail_again_is_not_tried_again(
    server: ModelServer, status: int, kind: type[ModelError]
) -> None:
    server.add(Fault("status", status=status))
    error = await failed(Wired(server.url))
    assert (type(error), error.attempts, len(server.seen)) == (kind, 1, 1)


@STREAMED
async def test_a_reply_that_breaks_off_is_never_an_answer(server: ModelServer, streamed: bool) -> None:
    server.add(*[Fault("cut")] * 3)
    wired = Wired(server.url)
    error = await failed(wired, streamed=streamed)
    assert (type(error), error.attempts) == (CutReply, 3)
    assert error.usage.estimated
    assert error.usage.completion_tokens == (3 * 6 if streamed else 0)  # "one two" came each time


async def test_after_a_cut_stream_the_next_attempt_may_answer(server: ModelServer) -> None:
    server.add(Fault("cut"), Said("4"))
    wired = Wired(server.url)
    reply = await answered(wired, wired.request(), streamed=True)
    assert (reply.samples, reply.attempts) == ((Sample("4"),), ("CutReply",))
    assert reply.usage.estimated


@STREAMED
async def test_a_reply_without_a_reason_for_its_end_is_cut(server: ModelServer, streamed: bool) -> None:
    server.add(*[Said("4", finish="", done=False)] * 3)
    assert type(await failed(Wired(server.url), streamed=streamed)) is CutReply


async def test_the_mark_at_the_end_of_a_stream_is_reason_enough(server: ModelServer) -> None:
    server.add(Said("4", finish=""))
    wired = Wired(server.url)
    assert (await answered(wired, wired.request(), streamed=True)).samples == (Sample("4"),)


async def test_only_ollama_may_leave_the_reason_out_of_a_whole_reply(server: ModelServer) -> None:
    server.add(Said("4", finish=""), *[Said("4", finish="", done=False)] * 3)
    wired = Wired(server.url, prefix="ollama")
    assert (await wired.model.complete(wired.request())).samples == (Sample("4"),)
    assert type(await failed(wired, streamed=True)) is CutReply


async def test_an_error_inside_a_stream_is_an_error(server: ModelServer) -> None:
    server.add(*[Fault("error event", message="out of memory")] * 3)
    error = await failed(Wired(server.url), streamed=True)
    assert (type(error), error.attempts) == (BadReply, 3)
    assert "out of memory" in str(error)


async def test_a_status_inside_a_stream_means_what_it_means_elsewhere(server: ModelServer) -> None:
    server.add(Fault("error event", code=502), Said("4"))
    wired = Wired(server.url)
    reply = await answered(wired, wired.request(), streamed=True)
    assert (reply.attempts, reply.usage.estimated) == (("Unavailable 502",), True)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("error body", message="overloaded"), "sent an error instead of a reply: .*overloaded"),
        (Fault("html"), "sent what is no JSON: '<html>"),
        (Fault("malformed"), "sent what is no JSON: '{"),
    ],
    ids=["error", "html", "malformed"],
)
async def test_status_200_does_not_make_it_a_reply(server: ModelServer, fault: Fault, message: str) -> None:
    server.add(*[fault] * 3)
    wired = Wired(server.url)
    with pytest.raises(BadReply, match=message) as caught:
        await answered(wired, wired.request())
    assert caught.value.attempts == 3


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"choices": []}\n\ndata: [DONE]\n\n',
        b"data: 5\n\n",
        b'data: {"choices": [{"delta": {"tool_calls": 7}}]}\n\n',
        b'data: {"choices": 7}\n\n',
        b'data: {"choices": [{"delta": {"content": "4"}, "logprobs": {"content": [{}]}}]}\n\n',
        b"data: {\n\n",
    ],
)
async def test_chunks_of_another_form_are_a_bad_reply(server: ModelServer, body: bytes) -> None:
    server.add(*[Fault("raw", body=body)] * 3)
    assert type(await failed(Wired(server.url), streamed=True)) is BadReply


async def test_a_disconnect_before_the_reply_may_have_been_performed(server: ModelServer) -> None:
    server.add(Fault("disconnect"), Said("4"))
    wired = Wired(server.url)
    reply = await answered(wired, wired.request())
    assert (reply.attempts, reply.usage.requests, reply.usage.estimated) == (("NoReply",), 2, True)


async def test_where_nobody_listens_is_said(server: ModelServer) -> None:
    async with ModelServer() as other:
        url = other.url
    wired = Wired(url)
    error = await failed(wired)
    assert (type(error), error.attempts, error.usage) == (Unreachable, 5, Usage(1, 5))
    assert f"nobody answers at vLLM ({url.removesuffix('/v1')})" in str(error)


@STREAMED
@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_a_server_that_goes_silent_is_left(server: ModelServer, kind: Any, streamed: bool) -> None:
    server.add(Fault(kind), Said("4"))
    never = 1e9
    wired = Wired(server.url, times=Times(5, 120, never) if kind == "slow" else Times(5, never, 60))
    task = asyncio.create_task(answered(wired, wired.request(timeout_s=never), streamed=streamed))
    await server.arrived(1)
    while not wired.slept:  # until it pauses before the next attempt: what was sent before the silence is read first
        wired.clock.advance(121)
        await asyncio.sleep(0.001)
    reply = await task
    assert (reply.attempts, reply.usage.estimated) == (("NoReply",), True)


async def test_no_attempt_goes_on_beyond_the_time_limit(server: ModelServer) -> None:
    server.add(Fault("slow"))
    wired = Wired(server.url)
    task = asyncio.create_task(failed(wired, timeout_s=10))
    await server.arrived(1)
    wired.clock.advance(10)
    error = await task
    assert (type(error), error.attempts) == (NoReply, 1)
    assert error.usage.prompt_tokens == request_bound(wired.request())


async def test_nothing_follows_a_redirect(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-canary")
    async with ModelServer() as other:
        server.add(Fault("redirect", to=f"{other.url}/chat/completions"))
        row, key = placed("vllm", server.url, "MY_KEY")
        model = Gateway("vllm:m", Compatible(row, "m", key))
        with pytest.raises(Rejected, match="sends requests on to"):
            await model.complete(asked(model, "a secret question"))
        await model.aclose()
        assert other.seen == []
    assert server.seen[0].headers["Authorization"] == "Bearer sk-canary"


async def test_a_huge_reply_is_not_read_to_its_end(server: ModelServer) -> None:
    server.add(Fault("huge", size=100_000_000))
    error = await failed(Wired(server.url))
    assert (type(error), error.attempts) == (BadReply, 1)
    assert "sent more than 32 MB" in str(error)


async def test_log_probabilities_that_do_not_come_are_an_error(server: ModelServer) -> None:
    server.add(Said("4", logprobs=False))
    wired = Wired(server.url)
    with pytest.raises(CapabilityError, match="no log-probabilities") as caught:
        await answered(wired, wired.request(logprobs=True))
    assert caught.value.usage[:4] == (1, 1, 9, 1)  # it was answered, and says what that cost


@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_who_cancels_is_noticed_by_the_server_and_leaves_nothing_behind(server: ModelServer, kind: Any) -> None:
    server.add(Fault(kind))
    wired = Wired(server.url)
    task = asyncio.create_task(answered(wired, wired.request(), streamed=True))
    await server.arrived(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.left(1)
    assert wired.gate.inside == 0


async def test_a_call_without_its_key_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    row, key = placed("openai", None, None)
    model = Gateway("openai:m", Compatible(row, "m", key))
    with pytest.raises(CapabilityError, match="OPENAI_API_KEY is not set"):
        await model.complete(asked(model, "?"))


async def test_half_characters_travel_as_marks(server: ModelServer) -> None:
    server.add(Said("4"))
    wired = Wired(server.url)
    await answered(wired, wired.request("\ud800"))
    assert json.dumps(server.seen[0].body["messages"]) == '[{"role": "user", "content": "?"}]'
