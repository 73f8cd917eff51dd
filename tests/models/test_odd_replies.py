"""Replies that are JSON and no answers: an error that quotes nothing, tried again, and never taken for an answer."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import Sample, Usage
from stratagem.core._canonical import encoded
from stratagem.errors import BadReply, CapabilityError, RateLimited
from stratagem.models.rates import KINDS, Load
from stratagem.models.tokens import request_bound
from tests.conftest import HandClock
from tests.models._wire import Wired

KEY = "sk-canary-93b1"


def reply_of(*choices: dict[str, Any]) -> str:
    return json.dumps({"choices": list(choices), "usage": {"prompt_tokens": 3, "completion_tokens": 2}})


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"content": text}, "finish_reason": "stop", **more}


@contextlib.asynccontextmanager
async def serving(body: str, *, streamed: bool = False, head: str = "") -> AsyncIterator[str]:
    """Answer everything with one body, under status 200."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        length = int(asked.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        data = body.encode()
        kind = "text/event-stream" if streamed else "application/json"
        first = head or f"HTTP/1.1 200 OK\r\nContent-Type: {kind}"
        writer.write(f"{first}\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def answered(body: str, *, streamed: bool = False, head: str = "", **settings: Any) -> Any:
    async with serving(body, streamed=streamed, head=head) as url:
        wired = Wired(url)
        try:
            return await wired.model.complete(wired.request(**settings))
        finally:
            await wired.model.aclose()


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": "half"}, "finish_reason": "error", "error": {"code": 502}},
        {"message": {"content": "half"}, "finish_reason": "stop", "error": {"code": 502}},
        {"message": {"content": "half"}, "finish_reason": "abort"},
        {
            "message": {"content": None, "tool_calls": [{"function": {"name": 5, "arguments": "{}"}}]},
            "finish_reason": "stop",
        },
        {"message": {"content": None, "tool_calls": [{"function": {"arguments": "{}"}}]}, "finish_reason": "stop"},
        {"message": {"content": "Let me see.", "tool_calls": "look"}, "finish_reason": "stop"},
        {"message": {"content": None}, "finish_reason": "tool_calls"},
        {"message": {"content": 4}, "finish_reason": "stop"},
        {"message": {"content": {"text": "four"}}, "finish_reason": "stop"},
        {"message": {"content": ["four"]}, "finish_reason": "stop"},
    ],
)
async def test_what_broke_off_is_no_answer(choice: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        await answered(reply_of(choice))


@pytest.mark.parametrize("body", [json.dumps(f"Bearer {KEY}"), json.dumps([KEY]), '"' + "x" * 188 + KEY, KEY])
async def test_an_error_does_not_quote_a_key_that_comes_back(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stratagem.models import open_model
    from tests.models._wire import asked

    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: 0.0)
    async with serving(body) as url:
        model: Any = open_model("openai:m", base_url=url, api_key_env="MY_KEY")
        with pytest.raises(BadReply) as caught:
            await model.complete(asked(model, "2+2?"))
        await model.aclose()
    assert KEY[:10] not in str(caught.value)


@pytest.mark.parametrize("more", [[{}, {}], [{"index": 0}, {"index": 0}], [{"index": "a"}, {"index": 1}]])
async def test_draws_of_a_whole_reply_are_told_apart_without_numbers(more: list[dict[str, Any]]) -> None:
    got = await answered(reply_of(said("four", **more[0]), said("five", **more[1])), n=2)
    assert [sample.text for sample in got.samples] == ["four", "five"]


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "-1"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_log_probabilities_that_are_no_numbers_are_a_broken_reply_that_says_what_it_cost(
    value: Any, streamed: bool
) -> None:
    told = {"content": [{"token": "x", "logprob": value}]}
    choice = {"delta" if streamed else "message": {"content": "four"}, "finish_reason": "stop", "logprobs": told}
    body = reply_of(choice)
    wrapped = f"data: {body}\n\ndata: [DONE]\n\n" if streamed else body
    with pytest.raises(BadReply, match="log-probabilities that are no numbers") as caught:
        await answered(wrapped, streamed=streamed, logprobs=True)
    assert caught.value.usage == Usage(1, 3, 9, 6, usd=None)  # three attempts, as of any broken reply
    reply = await answered(wrapped, streamed=streamed)  # where nobody asked for them, they are nothing
    assert reply.samples == (Sample("four"),)
    assert reply.samples[0].logprobs is None


async def test_a_broken_reply_that_is_whole_costs_what_it_says() -> None:
    with pytest.raises(BadReply) as caught:
        await answered(reply_of({"message": {"content": 4}, "finish_reason": "stop"}))
    assert caught.value.usage == Usage(1, 3, 9, 6, usd=None)


# Servers that mean well


FOUR = reply_of(said("four"))


def events(*chunks: Any) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def chunk(choice: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [choice]}


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("\ufeff" + FOUR, ""),
        (FOUR, "HTTP/1.1 201 Created\r\nContent-Type: application/json"),
        (FOUR, "HTTP/1.1 200 OK"),
        (events(chunk({"delta": {"content": "four"}})), "HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream"),
        ("data:\n\ndata: \n\n" + events(chunk({"delta": {"content": "four"}})), "events"),
        (events(chunk(said("four"))), "events"),  # a message in the place of a delta
        (
            events(chunk({"delta": {"content": "four"}}), chunk(said("four"))),
            "events",
        ),  # and all of it once more at the end
        (events({"choices": None}, chunk({"delta": {"content": "four"}}), {"choices": [], "usage": None}), "events"),
    ],
)
async def test_a_reply_in_an_odd_wrapping_is_read(body: str, head: str) -> None:
    got = await answered(body, streamed=head == "events", head="" if head == "events" else head)
    assert [sample.text for sample in got.samples] == ["four"]


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (events(chunk({"finish_reason": "stop"})), "events"),  # neither delta nor message
        (events(chunk({"text": "four", "finish_reason": "stop"})), "events"),  # of another protocol
        ("", "HTTP/1.1 201 Created"),
        ("<html>", "HTTP/1.1 202 Accepted\r\nContent-Type: text/html"),
    ],
)
async def test_an_odd_wrapping_of_nothing_is_no_answer_and_may_have_to_be_paid(body: str, head: str) -> None:
    with pytest.raises(BadReply) as caught:
        await answered(body, streamed=head == "events", head="" if head == "events" else head)
    assert (caught.value.usage.requests, caught.value.usage.estimated) == (3, True)
    assert caught.value.usage.prompt_tokens > 0


async def test_draws_of_one_chunk_are_told_apart_without_numbers() -> None:
    both = {"choices": [{"delta": {"content": "fo"}}, {"delta": {"content": "fi"}}]}
    rest = {"choices": [{"delta": {"content": "ur"}}, {"delta": {"content": "ve"}}]}
    got = await answered(events(both, rest), streamed=True, n=2)
    assert [sample.text for sample in got.samples] == ["four", "five"]


@pytest.mark.parametrize(
    "told", [{"prompt_tokens": 0, "completion_tokens": 0}, {}, {"prompt_tokens": -3}, {"prompt_tokens": 3.5}]
)
async def test_a_prompt_without_tokens_is_not_believed(told: dict[str, Any]) -> None:
    got = await answered(json.dumps({"choices": [said("four")], "usage": told}))
    assert got.usage == Usage(
        1, 1, request_bound(Wired("http://127.0.0.1:1/v1").request()), 4, usd=None, estimated=True
    )


async def test_log_probabilities_of_no_token_of_a_text_are_none() -> None:
    with pytest.raises(CapabilityError, match="sent no log-probabilities"):
        await answered(reply_of(said("four", logprobs={"content": []})), logprobs=True)
    got = await answered(reply_of(said("", logprobs={"content": []})), logprobs=True)
    assert got.samples[0].logprobs == ()


@pytest.mark.parametrize("named", ["Retry-After: " + "9" * 400, "Retry-After-Ms: inf", "Retry-After-Ms: 1e999"])
async def test_a_wait_without_an_end_is_an_error_that_can_be_recorded(named: str) -> None:
    with pytest.raises(RateLimited) as caught:
        await answered("{}", head=f"HTTP/1.1 429 Slow\r\n{named}")
    assert encoded(caught.value.form())
    assert caught.value.retry_after == 86_400 * 366
    assert caught.value.usage.requests == 1


async def test_more_cached_tokens_than_there_are_fill_no_bucket(clock: HandClock) -> None:
    load = Load(prompt=10, completion=5, cached=4000)
    assert [load.of(kind) for kind in KINDS] == [1, 15, 0, 5]
