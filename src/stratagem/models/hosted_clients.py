"""Clients of the providers' own libraries, made so that each sends one request through our transport and knows no key.

This module imports pydantic-ai, and each function one provider's library: import it in a thread (1.4 to 3 s of CPU).

Rule 1: retries are off, redirects cannot happen, and the address is told: no environment variable changes it.
Rule 2: a library's log writes whole requests if its variable says so: here it writes warnings at most.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx2
from pydantic_ai.models import infer_model
from pydantic_ai.providers import infer_provider_class

from stratagem.models.hosted_table import HostedRow
from stratagem.models.hosted_wire import Wire
from stratagem.models.keys import Key, origin_of

NO_KEY = "the-transport-has-it"
LONGEST_S = 3600.0  # of a client library: the transport has limits of its own
_LOGS = (
    "openai",
    "anthropic",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "google_genai",
    "botocore",
    "boto3",
    "mistralai",
)


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, pieces: AsyncGenerator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        await self._pieces.aclose()


class _Transport(httpx2.AsyncBaseTransport):
    """What the libraries take for a connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        data = await request.aread()
        answered, body = await self._wire.send(request.method, str(request.url), request.headers, data)
        kept = {"content-type": answered.headers.get("content-type", "application/json")}
        if isinstance(body, bytes):
            return httpx2.Response(answered.status, headers=kept, content=body, request=request)
        return httpx2.Response(answered.status, headers=kept, stream=_Stream(body), request=request)


def client(wire: Wire) -> httpx2.AsyncClient:
    """Return an HTTP client whose only way out is the wire."""
    return httpx2.AsyncClient(transport=_Transport(wire), trust_env=False, follow_redirects=False, timeout=LONGEST_S)


def model_of(row: HostedRow, name: str, url: str, wire: Wire, key: Key) -> Any:
    """Return pydantic-ai's model of a provider's, with a client of ours."""
    made: Any = infer_provider_class(row.kind)
    if row.prefix == "bedrock":
        from stratagem.models.hosted_bedrock import client as signing

        provider = made(bedrock_client=signing(url, wire, key, origin_of(url)))
    else:
        provider = made(**_MAKERS[row.prefix](url, wire))
    model = infer_model(f"{row.kind}:{name}", lambda _: provider)
    for log in _LOGS:  # after the imports: they read the variables
        logging.getLogger(log).setLevel(logging.WARNING)
    return model


def _anthropic(url: str, wire: Wire) -> dict[str, Any]:
    from anthropic import AsyncAnthropic
    from anthropic.resources.beta.messages import messages

    # It warns of models that will be retired in the middle of a call, and a warning may be an error.
    getattr(messages, "DEPRECATED_MODELS", dict[str, str]()).clear()
    return {
        "anthropic_client": AsyncAnthropic(
            api_key=NO_KEY,
            base_url=url,
            max_retries=0,
            timeout=LONGEST_S,
            http_client=client(wire),
            open_telemetry=False,
        )
    }


def _google(url: str, wire: Wire) -> dict[str, Any]:
    return {"api_key": NO_KEY, "base_url": url, "http_client": client(wire)}


def _responses(url: str, wire: Wire) -> dict[str, Any]:
    from openai import AsyncOpenAI

    return {
        "openai_client": AsyncOpenAI(
            api_key=NO_KEY, base_url=url, max_retries=0, timeout=LONGEST_S, http_client=client(wire), organization="",
            project="",
        )
    }  # fmt: skip


def _mistral(url: str, wire: Wire) -> dict[str, Any]:
    from mistralai.client import Mistral

    silent = logging.getLogger("mistralai")
    return {"mistral_client": Mistral(api_key=NO_KEY, server_url=url, async_client=client(wire), debug_logger=silent)}


def _cohere(url: str, wire: Wire) -> dict[str, Any]:
    import httpx
    from cohere import AsyncClientV2

    class Old(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            data = await request.aread()
            answered, body = await wire.send(request.method, str(request.url), request.headers, data)
            whole = body if isinstance(body, bytes) else b"".join([piece async for piece in body])
            kept = {"content-type": answered.headers.get("content-type", "application/json")}
            return httpx.Response(answered.status, headers=kept, content=whole, request=request)

    http = httpx.AsyncClient(transport=Old(), trust_env=False, follow_redirects=False, timeout=LONGEST_S)
    return {
        "cohere_client": AsyncClientV2(
            api_key=NO_KEY, base_url=url, httpx_client=http, max_retries=0, log_warning_experimental_features=False
        )
    }


_MAKERS: dict[str, Callable[[str, Wire], dict[str, Any]]] = {
    "anthropic": _anthropic, "google": _google, "responses": _responses, "mistral": _mistral, "cohere": _cohere,
}  # fmt: skip
