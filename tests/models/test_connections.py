"""Many calls at once: what a crowd of our own costs is no fault of the server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

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
    """The library counts the seconds of a connection from shortly before this test looks."""
    opening: list[int] = [0]
    most: list[int] = []
    loop: Any = asyncio.get_running_loop()
    connect = loop.create_connection

    async def watched(*made: Any, **how: Any) -> Any:
        opening[0] += 1
        most.append(opening[0])
        try:
            return await connect(*made, **how)
        finally:
            opening[0] -= 1

    monkeypatch.setattr(loop, "create_connection", watched)
    wired = Wired(server.url)
    wired.gate.limit = CROWD
    replies = await asyncio.gather(*(wired.model.complete(wired.request()) for _ in range(CROWD)))
    await wired.model.aclose()
    assert {reply.samples[0].text for reply in replies} == {"4"}
    assert max(most) <= HANDSHAKES
    assert len(most) == len(server.seen) == CROWD


async def test_a_turn_to_open_a_connection_is_given_back_however_it_ends(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stratagem.models.transport.HANDSHAKES", 2)
    wired = Wired(server.url)
    loop: Any = asyncio.get_running_loop()
    connect, begun, blocked = loop.create_connection, asyncio.Event(), asyncio.Event()

    async def hangs(*_: Any, sock: socket.socket, **__: Any) -> Any:
        with sock:
            begun.set()
            await blocked.wait()
            raise OSError("no route")

    monkeypatch.setattr(loop, "create_connection", hangs)
    calls = [asyncio.ensure_future(wired.model.complete(wired.request())) for _ in range(5)]
    await begun.wait()
    for call in calls[1:]:  # one that has its turn, and those that wait for theirs
        call.cancel()
    await asyncio.gather(*calls[1:], return_exceptions=True)
    monkeypatch.setattr(loop, "create_connection", connect)
    blocked.set()  # the first fails, and is tried again
    assert (await calls[0]).attempts == ("Unreachable",)
    both = (wired.model.complete(wired.request()) for _ in range(2))
    assert [reply.samples[0].text for reply in await asyncio.gather(*both)] == ["4", "4"]
    await wired.model.aclose()
