"""Providers with a form of their own against a server that speaks it, and fails in every way a real one does."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import Attachment, Observation, Sample, Step, ToolCall, Tools, Transcript, Usage, tool
from stratagem.errors import (
    BadReply,
    CapabilityError,
    ContextTooLong,
    CutReply,
    ModelError,
    NoReply,
    NotAuthorised,
    RateLimited,
    Rejected,
    Unavailable,
    Unreachable,
)
from stratagem.models.tokens import request_bound
from stratagem.models.transport import Times
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._hosted import SPOKEN, HostedWired

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
EACH = pytest.mark.parametrize("prefix", SPOKEN)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@tool
def look(where: str, how: str = "well") -> str:
    """Look somewhere."""
    return where + how


async def failed(wired: HostedWired, *, streamed: bool = False, **settings: Any) -> ModelError:
    # A model of Anthropic is always asked how long its reply may be, and a long one is streamed.
    more = {"max_tokens": 100, **settings}
    with pytest.raises(ModelError) as caught:
        await wired.answered(streamed=streamed, **more)
    return caught.value


# What is sent, and what comes back


@EACH
@STREAMED
async def test_a_question_is_answered(server: ModelServer, prefix: str, streamed: bool) -> None:
    server.add(Said("one two three", cached=4, written=5, reasoning=2))
    wired = HostedWired(server.url, prefix)
    reply = await wired.answered(streamed=streamed, max_tokens=50)
    assert (reply.samples, reply.request_id) == ((Sample("one two three"),), "req_1")
    usage = reply.usage
    assert (usage.calls, usage.requests, usage.estimated, usage.usd, usage.cached_tokens) == (1, 1, False, None, 4)
    assert usage.completion_tokens == 5  # three words, and what it thought
    assert usage.cache_written_tokens == (5 if prefix == "anthropic" else 0)
    assert usage.reasoning_tokens == (0 if prefix == "anthropic" else 2)  # Anthropic does not say
    assert usage.prompt_tokens > usage.cached_tokens + usage.cache_written_tokens > 0
    assert "".join(one.text for one in wired.heard) == ("one two three" if streamed else "")
    assert len(server.seen) == 1


@EACH
@STREAMED
async def test_tools_travel_natively_both_ways(server: ModelServer, prefix: str, streamed: bool) -> None:
    calls = (("look", '{"where": "the shed", "how": "gründlich"}'), ("look", '{"where": "here"}'), ("look", ""))
    server.add(Said("To the shed.", calls=calls), Said("Found."))
    wired = HostedWired(server.url, prefix)
    request = wired.request(tools=Tools((look,)), steps=Transcript(), max_tokens=100)
    reply = await wired.model.complete(request, on_delta=(lambda _: None) if streamed else None)
    made = (("look", {"where": "the shed", "how": "gründlich"}), ("look", {"where": "here"}), ("look", {}))
    assert reply.samples == (Sample("To the shed.", made, "tool_calls"),)
    steps = Transcript().then(
        Step("To the shed.", (ToolCall("look", {"where": "here"}), ToolCall("look", {"where": "there"}))),
        Observation("nothing"), Observation("it burns", failed=True),
    )  # fmt: skip
    assert (await wired.answered(wired.request(tools=Tools((look,)), steps=steps))).samples == (Sample("Found."),)
    sent = json.dumps(server.seen[1].body)
    assert "call_1_0" in sent
    assert "call_1_1" in sent
    assert sent.index("nothing") < sent.index("it burns")


async def test_what_anthropic_reads(server: ModelServer) -> None:
    server.add(Said("Found."))
    steps = Transcript().then(Step("Hm.", (ToolCall("look", {"where": "here"}),)), Observation("it burns", failed=True))
    wired = HostedWired(server.url, "anthropic")
    await wired.answered(tools=Tools((look,)), steps=steps, persona="Be brief.", temperature=0.5, stop=("END",))
    assert server.seen[0].body == {
        "model": "claude-haiku-4-5", "max_tokens": 8192, "temperature": 0.5, "stop_sequences": ["END"], "stream": True,
        "system": [{"type": "text", "text": "Be brief."}],
        "tools": [{"name": "look", "description": "Look somewhere.", "input_schema": look.schema()["parameters"]}],
        "tool_choice": {"type": "auto"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "2+2?"}]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Hm."},
                {"type": "tool_use", "id": "call_1_0", "name": "look", "input": {"where": "here"}},
            ]},
            {"role": "user", "content": [
                {
                    "type": "tool_result", "tool_use_id": "call_1_0", "is_error": True,
                    "content": [{"type": "text", "text": "it burns"}],
                }
            ]},
        ],
    }  # fmt: skip


@EACH
async def test_a_closed_schema_is_constrained_and_any_other_is_not(server: ModelServer, prefix: str) -> None:
    server.add(*[Said('{"a": "b"}')] * 2)
    wired = HostedWired(server.url, prefix)
    form = {"b": {"type": "string"}, "a": {"type": "string"}}
    closed = {"type": "object", "properties": form, "required": ["b", "a"], "additionalProperties": False}
    for schema in (closed, {**closed, "required": []}):
        await wired.model.complete(wired.request(schema=schema, max_tokens=100))
    await wired.model.aclose()
    wanted, other = (one.body for one in server.seen)
    found = {
        "anthropic": lambda body: body.get("output_config", {}).get("format", {}).get("schema"),
        "google": lambda body: body["generationConfig"].get("responseJsonSchema"),
        "responses": lambda body: body.get("text", {}).get("format", {}).get("schema"),
    }[prefix]
    assert list(found(wanted)["properties"]) == ["b", "a"]
    assert found(other) is None


@EACH
async def test_images_are_sent(server: ModelServer, prefix: str) -> None:
    server.add(Said("a cat"))
    wired = HostedWired(server.url, prefix)
    request = wired.request("What is it?", attached=[Attachment("cat.png", "image/png", b"\x89PNG")])
    assert wired.model.refuses(request) == frozenset()
    await wired.answered(request)
    assert "iVBORw==" in json.dumps(server.seen[0].body)
    assert wired.model.refuses(wired.request(attached=[Attachment("a", "audio/wav", b"")])) == {"media"}


@EACH
@STREAMED
async def test_why_a_reply_ended(server: ModelServer, prefix: str, streamed: bool) -> None:
    server.add(Said("cut", finish="length"), Said("no", finish="content_filter"))
    wired = HostedWired(server.url, prefix)
    heard = (lambda _: None) if streamed else None
    finishes = [
        (await wired.model.complete(wired.request(max_tokens=100), on_delta=heard)).samples[0].finish for _ in range(2)
    ]
    await wired.model.aclose()
    assert finishes == ["length", "refusal" if prefix == "anthropic" else "filtered"]


@EACH
async def test_draws_are_asked_for_one_by_one(server: ModelServer, prefix: str) -> None:
    server.add(Said("a"), Fault("status", status=500), Said("b"))
    wired = HostedWired(server.url, prefix)
    reply = await wired.answered(n=2)
    assert [one.text for one in reply.samples] == ["a", "b"]
    assert (reply.usage.calls, reply.usage.requests, reply.attempts) == (1, 3, ("Unavailable 500",))


@EACH
async def test_half_characters_travel_as_marks(server: ModelServer, prefix: str) -> None:
    server.add(Said("\ud800 and 4"))
    wired = HostedWired(server.url, prefix)
    reply = await wired.answered(wired.request("\ud800 2+2?", max_tokens=100))
    assert (reply.samples[0].text, len(server.seen)) == ("\ufffd and 4", 1)


@EACH
async def test_token_counts_that_are_not_told_are_estimated(server: ModelServer, prefix: str) -> None:
    server.add(Said("one two", usage=False))
    wired = HostedWired(server.url, prefix)
    usage = (await wired.answered()).usage
    assert (usage.estimated, usage.prompt_tokens) == (True, request_bound(wired.request()))
    assert usage.completion_tokens >= 6


# Faults


@EACH
@STREAMED
async def test_who_is_told_to_wait_waits(server: ModelServer, prefix: str, streamed: bool) -> None:
    server.add(Fault("status", status=429, retry_after="7"), Said("4"))
    wired = HostedWired(server.url, prefix, dice=0.5)
    reply = await wired.answered(streamed=streamed)
    assert (reply.samples[0].text, wired.slept, wired.gate.limit) == ("4", [7.5], 11)
    assert (reply.attempts, reply.usage.requests, reply.usage.estimated) == (("RateLimited 429",), 2, False)


@EACH
async def test_a_date_is_read_against_the_servers_own(server: ModelServer, prefix: str) -> None:
    then, now = "Wed, 21 Oct 2026 07:28:10 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"
    server.add(Fault("status", status=429, retry_after=then, date=now), Said("4"))
    wired = HostedWired(server.url, prefix)
    await wired.answered()
    assert wired.slept == [10]


async def test_google_says_in_the_body_when_to_try_again(server: ModelServer) -> None:
    server.add(Fault("status", status=429, code="retry 12.5"), Said("4"))
    wired = HostedWired(server.url, "google")
    await wired.answered()
    assert wired.slept == [12.5]


@EACH
@pytest.mark.parametrize(("status", "kind", "estimated"), [(500, Unavailable, True), (529, RateLimited, False)])
async def test_a_server_that_cannot_is_asked_five_times(
    server: ModelServer, prefix: str, status: int, kind: type[ModelError], estimated: bool
) -> None:
    server.add(*[Fault("status", status=status)] * 5)
    wired = HostedWired(server.url, prefix, dice=1.0)
    error = await failed(wired)
    assert type(error) is kind
    assert (error.status, error.attempts, error.provider, error.request_id) == (status, 5, prefix, "req_1")
    assert (wired.slept, len(server.seen)) == ([1, 2, 4, 8], 5)
    assert (error.usage.requests, error.usage.estimated) == (5, estimated)


@EACH
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", status=400), Rejected),
        (Fault("status", status=400, message="prompt is too long: 9 tokens > 8 maximum"), ContextTooLong),
        (Fault("status", status=401), NotAuthorised),
        (Fault("status", status=403), NotAuthorised),
        (Fault("status", status=404), Rejected),
    ],
    ids=["400", "long", "401", "403", "404"],
)
@STREAMED
async def test_what_would_fail_again_is_not_tried_again(
    server: ModelServer, prefix: str, fault: Fault, kind: type[ModelError], streamed: bool
) -> None:
    server.add(fault)
    error = await failed(HostedWired(server.url, prefix), streamed=streamed)
    assert (type(error), error.attempts, len(server.seen), error.usage) == (kind, 1, 1, Usage(1, 1))


@EACH
@STREAMED
async def test_a_reply_that_breaks_off_is_never_an_answer(server: ModelServer, prefix: str, streamed: bool) -> None:
    server.add(*[Fault("cut")] * 3)
    error = await failed(HostedWired(server.url, prefix), streamed=streamed)
    assert (type(error), error.attempts, error.usage.estimated) == (CutReply, 3, True)
    assert error.usage.completion_tokens == (3 * 6 if streamed else 0)  # "one two" came each time


@EACH
@STREAMED
async def test_a_reply_without_a_reason_for_its_end_is_cut(server: ModelServer, prefix: str, streamed: bool) -> None:
    server.add(*[Said("4", finish="", done=False)] * 3)
    assert type(await failed(HostedWired(server.url, prefix), streamed=streamed)) is CutReply


@EACH
async def test_after_a_cut_stream_the_next_attempt_may_answer(server: ModelServer, prefix: str) -> None:
    server.add(Fault("cut"), Said("4"))
    reply = await HostedWired(server.url, prefix).answered(streamed=True)
    assert (reply.samples, reply.attempts, reply.usage.estimated) == ((Sample("4"),), ("CutReply",), True)


@EACH
async def test_an_error_inside_a_stream_is_an_error(server: ModelServer, prefix: str) -> None:
    server.add(*[Fault("error event", message="out of memory")] * 3)
    error = await failed(HostedWired(server.url, prefix), streamed=True)
    assert (type(error), error.attempts) == (BadReply, 3)
    assert "out of memory" in str(error)


@pytest.mark.parametrize(
    ("prefix", "code", "attempt"),
    [
        ("anthropic", "overloaded_error", "RateLimited 529"),
        ("anthropic", "api_error", "Unavailable 500"),
        ("google", 503, "Unavailable 503"),
        ("google", 429, "RateLimited 429"),
        ("responses", "server_error", "Unavailable 500"),
        ("responses", "rate_limit_exceeded", "RateLimited 429"),
    ],
)
async def test_what_an_error_inside_a_stream_says_counts(
    server: ModelServer, prefix: str, code: Any, attempt: str
) -> None:
    server.add(Fault("error event", code=code), Said("4"))
    reply = await HostedWired(server.url, prefix).answered(streamed=True)
    assert (reply.samples[0].text, reply.attempts, reply.usage.estimated) == ("4", (attempt,), True)


@EACH
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("error body", message="no luck"), "sent an error instead of a reply: .*no luck"),
        (Fault("html"), "sent what is no JSON: '<html>"),
        (Fault("malformed"), "sent what is no JSON: '{"),
        (Fault("empty"), "sent nothing"),
    ],
    ids=["error", "html", "malformed", "empty"],
)
async def test_status_200_does_not_make_it_a_reply(
    server: ModelServer, prefix: str, fault: Fault, message: str
) -> None:
    server.add(*[fault] * 3)
    with pytest.raises(BadReply, match=message) as caught:
        await HostedWired(server.url, prefix).answered(max_tokens=100)
    assert caught.value.attempts == 3


@EACH
@pytest.mark.parametrize(
    "body", [b"data: 5\n\n", b"data: {\n\n", b'data: {"type": "nonsense"}\n\n', b"data: <html>\n\n", b""]
)
async def test_streams_of_another_form_are_no_reply(server: ModelServer, prefix: str, body: bytes) -> None:
    server.add(*[Fault("raw", body=body)] * 3)
    error = await failed(HostedWired(server.url, prefix), streamed=True)
    assert type(error) in (BadReply, CutReply)
    assert error.attempts == 3


@EACH
async def test_an_event_without_an_end_is_not_read_on(server: ModelServer, prefix: str) -> None:
    server.add(Fault("raw", body=b"data: " + b"x" * 9_000_000))
    error = await failed(HostedWired(server.url, prefix), streamed=True)
    assert (type(error), error.attempts) == (BadReply, 1)
    assert "an event without an end" in str(error)


@EACH
async def test_a_disconnect_before_the_reply_may_have_been_performed(server: ModelServer, prefix: str) -> None:
    server.add(Fault("disconnect"), Said("4"))
    reply = await HostedWired(server.url, prefix).answered()
    assert (reply.attempts, reply.usage.requests, reply.usage.estimated) == (("NoReply",), 2, True)


@EACH
async def test_where_nobody_listens_is_said(prefix: str) -> None:
    async with ModelServer() as other:
        url = other.url
    error = await failed(HostedWired(url, prefix))
    assert (type(error), error.attempts, error.usage) == (Unreachable, 5, Usage(1, 5))


@EACH
@STREAMED
@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_a_server_that_goes_silent_is_left(server: ModelServer, prefix: str, kind: Any, streamed: bool) -> None:
    server.add(Fault(kind), Said("4"))
    never = 1e9
    wired = HostedWired(server.url, prefix, times=Times(5, 120, never) if kind == "slow" else Times(5, never, 60))
    task = asyncio.create_task(wired.answered(wired.request(timeout_s=never, max_tokens=100), streamed=streamed))
    await server.arrived(1)
    while not wired.slept:  # until it pauses before the next attempt: what was sent before the silence is read first
        wired.clock.advance(121)
        await asyncio.sleep(0.001)
    reply = await task
    assert (reply.attempts, reply.usage.estimated) == (("NoReply",), True)


@EACH
async def test_no_attempt_goes_on_beyond_the_time_limit(server: ModelServer, prefix: str) -> None:
    server.add(Fault("slow"))
    wired = HostedWired(server.url, prefix)
    task = asyncio.create_task(failed(wired, timeout_s=10))
    await server.arrived(1)
    wired.clock.advance(10)
    error = await task
    assert (type(error), error.attempts) == (NoReply, 1)


@EACH
async def test_nothing_follows_a_redirect(server: ModelServer, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-canary")
    async with ModelServer() as other:
        server.add(Fault("redirect", to=f"{other.url}/messages"))
        wired = HostedWired(server.url, prefix, key_variable="MY_KEY")
        with pytest.raises(Rejected, match="sends requests on to"):
            await wired.answered(wired.request("a secret question"))
        assert other.seen == []
    named = {"anthropic": "x-api-key", "google": "x-goog-api-key", "responses": "Authorization"}[prefix]
    assert server.seen[0].headers[named] == ("Bearer sk-canary" if prefix == "responses" else "sk-canary")


@EACH
async def test_a_huge_reply_is_not_read_to_its_end(server: ModelServer, prefix: str) -> None:
    server.add(Fault("huge", size=100_000_000))
    error = await failed(HostedWired(server.url, prefix))
    assert (type(error), error.attempts) == (BadReply, 1)
    assert "sent more than 32 MB" in str(error)


@EACH
@STREAMED
@pytest.mark.parametrize("kind", ["slow", "stall"])
async def test_who_cancels_is_noticed_by_the_server_and_leaves_nothing_behind(
    server: ModelServer, prefix: str, kind: Any, streamed: bool
) -> None:
    server.add(Fault(kind))
    wired = HostedWired(server.url, prefix)
    task = asyncio.create_task(wired.answered(streamed=streamed))
    await server.arrived(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.left(1)
    assert wired.gate.inside == 0


@EACH
async def test_a_call_without_its_key_is_not_sent(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    from stratagem.models import open_model, prepared
    from stratagem.models.sources import Sources

    sources = Sources()
    await prepared(f"{prefix}:m", None, sources)
    model: Any = open_model(f"{prefix}:m", sources=sources)
    with pytest.raises(CapabilityError, match=r"_API_KEY is not set"):
        await model.complete(object())
