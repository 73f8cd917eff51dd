"""The official `openai` client as the oracle of our own wire, and the list of what differs on purpose."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import httpx2
import openai

from stratagem.core import SystemClock
from stratagem.models.compatible import Compatible
from stratagem.models.gateway import Gateway
from stratagem.models.keys import Key
from stratagem.models.table import ROWS
from stratagem.testing.model_server import ModelServer

# What differs on purpose, and why. Each has a test that shows both sides.
DIFFERENCES = {
    "seed": "ours is made of the asked seed and the place of the draw: equal requests in two branches draw independently",
    "content": "an assistant message with calls and no words has `content: null`; the client sends what it is given",
    "schema": "the client names a schema after its class and puts `title` and `$defs` into it; ours is called `reply`",
    "tools": "the client's helper for tools sets `strict`; ours leaves it off, because not every schema keeps to that subset",
    "byte order mark": "the client takes it for a part of the first field, and loses the first event",
    "last event": "the client drops an event after which the stream ends without an empty line",
    "id": "after an event with an `id` the client makes an event of every empty line, which is no JSON",
    "utf-8": "the client fails at bytes that are no UTF-8; ours marks them",
    "order": "the client fails where calls do not begin in the order of their numbers",
    "end": "the client takes a stream that ends in its middle for a whole one; ours is an error",
}


@asynccontextmanager
async def both(server: ModelServer, prefix: str = "vllm", name: str = "m") -> AsyncIterator[tuple[Gateway, Any]]:
    """Yield our model and the official client, both in front of one server."""
    row = replace(ROWS[prefix], url=server.url)
    ours = Gateway(f"{prefix}:{name}", Compatible(row, name, Key("k", "", server.origin), SystemClock()))
    async with openai.AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0) as client:
        try:
            yield ours, client
        finally:
            await ours.aclose()


class Pieces(httpx2.SyncByteStream):
    """A reply in pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


@cache
def _client() -> tuple[openai.OpenAI, list[httpx2.Response]]:
    """Return a client that gets the last of these replies; to make one costs more than what is tested."""
    replies: list[httpx2.Response] = []
    transport = httpx2.MockTransport(lambda _: replies.pop())
    http = httpx2.Client(transport=transport, verify=False)
    return openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", http_client=http, max_retries=0), replies


def client_of(pieces: Sequence[bytes], kind: str = "text/event-stream") -> openai.OpenAI:
    """Return an official client that gets a reply in these pieces to its next request."""
    client, replies = _client()
    replies[:] = [httpx2.Response(200, headers={"content-type": kind}, stream=Pieces(pieces))]
    return client


def cut(data: bytes, borders: Sequence[int]) -> list[bytes]:
    """Return data in pieces with these borders."""
    return [data[start:end] for start, end in pairwise([0, *sorted(borders), len(data)]) if end > start]
