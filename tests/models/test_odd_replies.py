"""Replies that are JSON and no answers: an error that quotes nothing, tried again, and never taken for an answer."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import Sample, Usage
from stratagem.errors import BadReply
from tests.models._wire import Wired

KEY = "sk-canary-93b1"


def reply_of(*choices: dict[str, Any]) -> str:
    return json.dumps({"choices": list(choices), "usage": {"prompt_tokens": 3, "completion_tokens": 2}})


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"content": text}, "finish_reason": "stop", **more}


@contextlib.asynccontextmanager
async def serving(body: str, *, streamed: bool = False) -> AsyncIterator[str]:
    """Answer everything with one body, under status 200."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        data = body.encode()
        named = b"text/event-stream" if streamed else b"application/json"
        kind = b"HTTP/1.1 200 OK\r\nContent-Type: " + named + b"\r\nConnection: close\r\n"
        writer.write(kind + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def answered(body: str, *, streamed: bool = False, **settings: Any) -> Any:
    async with serving(body, streamed=streamed) as url:
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
    async with serving(body) as url:
        model: Any = open_model("openai:m", base_url=url, api_key_env="MY_KEY")
        with pytest.raises(BadReply) as caught:
            await model.complete(asked(model, "2+2?", timeout_s=0.5))
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
