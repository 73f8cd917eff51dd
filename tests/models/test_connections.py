"""Many calls at once: what a crowd of our own costs is no fault of the server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from stratagem.models.transport import HANDSHAKES
from stratagem.testing.model_server import ModelServer, Said
from tests.models._wire import Wired

CROWD = 3 * HANDSHAKES


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda _: Said("4")) as server:
        yield server


async def test_few_connections_are_opened_at_once_and_the_seconds_of_the_others_have_not_begun(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library counts the seconds of a connection from where this test looks."""
    opening: list[int] = [0]
    most: list[int] = []
    connect = aiohttp.TCPConnector._create_connection

    async def watched(self: Any, *request: Any) -> Any:
        opening[0] += 1
        most.append(opening[0])
        try:
            return await connect(self, *request)
        finally:
            opening[0] -= 1

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", watched)
    wired = Wired(server.url)
    wired.gate.limit = CROWD
    replies = await asyncio.gather(*(wired.model.complete(wired.request()) for _ in range(CROWD)))
    await wired.model.aclose()
    assert {reply.samples[0].text for reply in replies} == {"4"}
    assert max(most) == HANDSHAKES
    assert len(server.seen) == CROWD
