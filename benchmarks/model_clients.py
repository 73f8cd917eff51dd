"""Clients of chat completions, side by side: bare aiohttp, our gateway, our gateway under a run, the official client.

Each is a context manager that yields what performs one call. `heard` is told of each delta of a stream.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp

from benchmarks import world
from stratagem.core import Head, Request, SystemClock
from stratagem.models.compatible import Compatible
from stratagem.models.gateway import Gateway
from stratagem.models.keys import Key
from stratagem.models.limits import Gate
from stratagem.models.table import ROWS

Heard = Callable[[str], None]
Call = Callable[[Heard | None], Awaitable[str]]  # performs one call and returns its text
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": world.QUESTION}]}
JSON = {"Content-Type": "application/json", "Authorization": "Bearer key"}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@contextlib.asynccontextmanager
async def bare(url: str) -> AsyncGenerator[Call, None]:
    """The least that reads a reply: aiohttp and nothing else."""
    where = f"{url}/chat/completions"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def whole() -> str:
            async with session.post(where, data=json.dumps(BODY).encode(), headers=JSON) as response:
                return json.loads(await response.read())["choices"][0]["message"]["content"]

        async def streamed(heard: Heard) -> str:
            found: list[str] = []
            async with session.post(where, data=json.dumps({**BODY, **STREAM}).encode(), headers=JSON) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        piece = json.loads(line[6:])["choices"][0]["delta"].get("content")
                        if piece:
                            found.append(piece)
                            heard(piece)
            return "".join(found)

        yield lambda heard: whole() if heard is None else streamed(heard)


def opened(url: str, most: int) -> Gateway:
    """Return our model in front of a server, with a gate that lets so many through at once."""
    row = replace(ROWS["vllm"], url=url)
    gate = Gate(SystemClock(), asyncio.sleep, most)
    gate.limit = most  # as it is after many good replies
    return Gateway("vllm:m", Compatible(row, "m", Key("key", "", url.rpartition("/")[0].rpartition("/")[0])), gate=gate)


def asked(model: Any, question: str = world.QUESTION) -> Request:
    """Return a request as the core makes one."""
    head = Head(b"h" * 32, {}, model, {}, "", native=False, format="text", schema=None, tools=None)
    return Request(world.guess, {"question": question}, head, question, None, (), b"q" * 32, "scope")


@contextlib.asynccontextmanager
async def gateway(url: str, most: int = 4000) -> AsyncGenerator[Call, None]:
    """Our wire with the gateway above it."""
    model = opened(url, most)
    request = asked(model)

    async def call(heard: Heard | None) -> str:
        told = None if heard is None else lambda delta: heard(delta.text)
        return (await model.complete(request, on_delta=told)).samples[0].text

    try:
        yield call
    finally:
        await model.aclose()


@contextlib.asynccontextmanager
async def official(url: str, most: int = 4000) -> AsyncGenerator[Call, None]:
    """The official client on aiohttp, its typed replies included."""
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
    http = openai.DefaultAioHttpClient(limits=limits)
    async with openai.AsyncOpenAI(api_key="key", base_url=url, http_client=http, max_retries=0) as client:

        async def whole() -> str:
            return (await client.chat.completions.create(**BODY)).choices[0].message.content or ""

        async def streamed(heard: Heard) -> str:
            found: list[str] = []
            async for chunk in await client.chat.completions.create(**BODY, **STREAM):
                if piece := chunk.choices[0].delta.content:
                    found.append(piece)
                    heard(piece)
            return "".join(found)

        yield lambda heard: whole() if heard is None else streamed(heard)
