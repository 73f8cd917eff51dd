"""Providers with a form of their own: pydantic-ai's model classes used bare on aiohttp, and the same under our gateway."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from benchmarks import world
from benchmarks.measure import Report
from benchmarks.model_clients import Call, asked
from stratagem.core import SystemClock
from stratagem.models.gateway import Gateway
from stratagem.models.hosted import Hosted
from stratagem.models.hosted_table import HOSTED
from stratagem.models.keys import Key, origin_of
from stratagem.models.limits import Gate

NAMES = {"anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash", "responses": "gpt-4o"}
SETTINGS: Any = {"max_tokens": 100}
Client = Callable[[str], AbstractAsyncContextManager[Call]]


def _class(kind: str, url: str, http: Any) -> Any:
    """Return a provider's model class as its own manual builds it, with one attempt per call."""
    name = NAMES[kind]
    if kind == "anthropic":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        client = AsyncAnthropic(api_key="key", base_url=url, max_retries=0, http_client=http)
        return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client))
    if kind == "responses":
        from openai import AsyncOpenAI
        from pydantic_ai.models.openai import OpenAIResponsesModel
        from pydantic_ai.providers.openai import OpenAIProvider

        given = AsyncOpenAI(api_key="key", base_url=f"{url}/v1", max_retries=0, http_client=http)
        return OpenAIResponsesModel(name, provider=OpenAIProvider(openai_client=given))
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return GoogleModel(name, provider=GoogleProvider(api_key="key", base_url=url, http_client=http))


@contextlib.asynccontextmanager
async def bare(url: str, kind: str) -> AsyncGenerator[Call, None]:
    """The provider's class and nothing else, its client on aiohttp."""
    import aiohttp
    import httpx2
    from openai._vendor.httpx_aiohttp import AiohttpTransport
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with session, httpx2.AsyncClient(transport=AiohttpTransport(client=session), timeout=600) as http:
        model = _class(kind, url, http)

        async def call(heard: Any) -> str:
            del heard
            question: Any = [ModelRequest(parts=[UserPromptPart(content=world.QUESTION)])]
            said: Any = (await model_request(model, question, model_settings=SETTINGS)).parts[0]
            return said.content

        yield call


@contextlib.asynccontextmanager
async def ours(url: str, kind: str) -> AsyncGenerator[Call, None]:
    """The same class behind our backend and gateway."""
    gate = Gate(SystemClock(), asyncio.sleep, 4000)
    gate.limit = 4000  # as it is after many good replies
    name, where = NAMES[kind], f"{url}/v1" if kind == "responses" else url
    backend = Hosted(HOSTED[kind], name, where, Key("key", "", origin_of(url)))
    model = Gateway(f"{kind}:{name}", backend, gate=gate)
    request: Any = asked(model)
    request.max_tokens = SETTINGS["max_tokens"]

    async def call(heard: Any) -> str:
        del heard
        return (await model.complete(request)).samples[0].text

    try:
        yield call
    finally:
        await model.aclose()


def measure_hosted(report: Report, at_once: Any, origin: str, width: int, repeats: int) -> None:
    """Print what our gateway adds to each provider's class; `at_once` performs rounds of calls."""
    for kind in NAMES:
        found: dict[str, list[Any]] = {"bare": [], "ours": []}
        for _ in range(repeats):
            for name, client in (("bare", bare), ("ours", ours)):
                found[name].append(asyncio.run(at_once(partial(client, kind=kind), f"{origin}/50", width, 1)))
        us = {name: min(one.cpu_s for one in rounds) * 1e6 for name, rounds in found.items()}
        failed = sum(one.failed for one in found["ours"])
        report.shown(f"yardstick: {kind}, the class bare on aiohttp", us["bare"], "us CPU")
        report.judged(
            f"  {kind} through the gateway, of the class bare", us["ours"] / us["bare"], "x", most=1.15, ratio=True
        )
        report.judged("  calls that failed", failed, "calls", most=0, ratio=True)
