"""A model server on loopback for tests: it says what a test tells it to, and fails in every way a real one does.

It speaks chat completions (and completions) as OpenAI-compatible servers do, Anthropic's messages, Gemini's content generation and OpenAI's
Responses, streamed or not, and whole replies of Bedrock and Cohere, each under its own path. Each request takes the next reply of the list; or one function
answers them all. Needs the extra `http`.

    async with ModelServer([Fault("status", status=429, retry_after="1"), Said("4")]) as server:
        model = open_model("openai:any", base_url=server.url)

`serving(...)` is the same in a thread of its own, for tests that are not asynchronous.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web

from stratagem.testing import (
    _dialect_anthropic,
    _dialect_bedrock,
    _dialect_chat,
    _dialect_cohere,
    _dialect_completions,
    _dialect_google,
    _dialect_responses,
)
from stratagem.testing._model_said import Fault, FaultKind, Said

__all__ = ["Answering", "Fault", "FaultKind", "ModelServer", "Said", "Scripted", "Seen", "serving"]

DIALECTS: tuple[Any, ...] = (
    _dialect_chat, _dialect_anthropic, _dialect_google, _dialect_responses, _dialect_bedrock, _dialect_cohere,
    _dialect_completions,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Any


Scripted = Said | Fault
Answering = Sequence[Scripted] | Callable[[Any], Scripted]


class ModelServer:
    """A server that answers from a list, or by a function of the request's body.

    Attributes:
        seen: every request, in order of arrival.
        gone: how many requests lost their client before they were answered.
    """

    def __init__(self, answers: Answering = ()) -> None:
        self._by = answers if callable(answers) else None
        self._left: list[Scripted] = [] if callable(answers) else list(answers)
        self.seen: list[Seen] = []
        self.gone = 0
        self._port = 0
        self._released, self._changed = asyncio.Event(), asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """What `--base-url` takes."""
        return f"{self.origin}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def add(self, *answers: Scripted) -> None:
        """Append replies to the list."""
        assert self._by is None, "the server answers by a function"
        self._left.extend(answers)

    def release(self) -> None:
        """Let go on what is slow or stalls, now and from now on."""
        self._released.set()

    async def arrived(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        await self._until(lambda: len(self.seen) >= count)

    async def left(self, count: int) -> None:
        """Wait until so many requests have lost their client."""
        await self._until(lambda: self.gone >= count)

    async def _until(self, so: Callable[[], bool]) -> None:
        while not so():
            self._changed.clear()
            await self._changed.wait()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode(errors="replace")
        self.seen.append(Seen(request.path, dict(request.headers), body))
        self._changed.set()
        try:
            return await self._reply(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.gone += 1
            self._changed.set()
            raise

    async def _reply(self, request: web.Request, body: Any) -> web.StreamResponse:
        dialect = next((one for one in DIALECTS if one.speaks(request.path)), None)
        if dialect is None:
            return _error(_dialect_chat, 404, f"there is nothing at {request.path}")
        if self._by is not None:
            answer = self._by(body)
        elif self._left:
            answer = self._left.pop(0)
        else:
            return _error(dialect, 404, "the test has scripted no further reply")
        asked = _Asked(request, body, dialect)
        if isinstance(answer, Said):
            return await (_streamed(asked, answer) if asked.streams else _whole(asked, answer))
        return await self._fail(asked, answer)

    async def _fail(self, asked: "_Asked", fault: Fault) -> web.StreamResponse:
        said, streams, request = fault.said, asked.streams, asked.request
        headers = request.headers
        shown = next(
            (headers[name] for name in ("Authorization", "x-api-key", "x-goog-api-key") if name in headers), ""
        )
        message = fault.message.replace("{authorization}", shown)
        match fault.kind:
            case "status":
                return _error(asked.dialect, fault.status, message, fault)
            case "error body":
                return _error(asked.dialect, 200, message, fault)
            case "empty":
                return web.json_response(asked.dialect.empty())
            case "html":
                return web.Response(text="<html><body>Welcome</body></html>", content_type="text/html")
            case "malformed":
                return web.Response(text='{"choices": [{"message": {"content": "on', content_type="application/json")
            case "redirect":
                return web.Response(status=307, headers={"Location": fault.to})
            case "huge":
                return await _huge(request, fault.size)
            case "raw":
                return await _raw(request, fault.body)
            case "disconnect":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "slow":
                await self._released.wait()
                return await (_streamed(asked, said) if streams else _whole(asked, said))
            case "cut" if not streams:
                return await _cut(asked, said)
            case "stall" if not streams:
                return await _cut(asked, said, self._released)
            case "cut":
                return await _streamed(asked, said, middle=_nothing)
            case "stall":
                return await _streamed(asked, said, middle=self._released.wait)
            case "error event":
                return await _streamed(asked, said, middle=_nothing, last=asked.dialect.broken(message, fault.code))


class _Asked(NamedTuple):
    """A request, and the dialect it is in."""

    request: web.Request
    body: Any
    dialect: Any

    @property
    def streams(self) -> bool:
        """Whether the reply is wanted in pieces."""
        return self.dialect.streams(self.request.path, self.body)


async def _nothing() -> bool:
    return False


def _error(dialect: Any, status: int, message: str, fault: Fault | None = None) -> web.Response:
    headers = {"x-request-id": "req_1"}
    if fault is not None and fault.retry_after:
        headers["Retry-After"] = fault.retry_after
    if fault is not None and fault.date:
        headers["Date"] = fault.date
    form = dialect.error(status, message, fault.code if fault is not None else None)
    return web.json_response(form, status=status, headers=headers)


async def _whole(asked: _Asked, said: Said) -> web.StreamResponse:
    return web.json_response(asked.dialect.form(asked.body, said), headers={"x-request-id": "req_1"})


async def _streamed(
    asked: _Asked, said: Said, *, middle: Callable[[], Any] | None = None, last: bytes = b""
) -> web.StreamResponse:
    """Send a stream; `middle` is awaited after two pieces of text and says whether to go on, else `last` is sent."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "x-request-id": "req_1"})
    await response.prepare(asked.request)
    told = 0
    for event in asked.dialect.events(asked.body, said):
        if told == 2 and middle is not None:
            if not await middle():
                if last:
                    await response.write(last)
                await response.write_eof()
                return response
            middle = None
        await response.write(event.data)
        told += event.tells
    await response.write_eof()
    return response


async def _cut(asked: _Asked, said: Said, rest: asyncio.Event | None = None) -> web.StreamResponse:
    """Send the first half of a whole reply; the rest after an event, or never."""
    data = json.dumps(asked.dialect.form(asked.body, said)).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(data))})
    await response.prepare(asked.request)
    await response.write(data[: len(data) // 2])
    if rest is None:
        assert asked.request.transport is not None
        asked.request.transport.close()
        return response
    await rest.wait()
    await response.write(data[len(data) // 2 :])
    return response


async def _huge(request: web.Request, size: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"message": {"content": "')
    block = b"x" * 65536
    for _ in range(size // len(block)):
        await response.write(block)
    await response.write(b'"}, "finish_reason": "stop"}]}')
    await response.write_eof()
    return response


async def _raw(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(body)
    await response.write_eof()
    return response


@contextlib.contextmanager
def serving(answers: Answering = ()) -> Generator[ModelServer]:
    """Run a server in a thread of its own; yield it."""
    ready, made, failed = threading.Event(), list[ModelServer](), list[BaseException]()
    over: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        end = asyncio.Event()
        async with ModelServer(answers) as server:
            made.append(server)
            over.append((asyncio.get_running_loop(), end))
            ready.set()
            await end.wait()

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as failure:  # noqa: BLE001  (shown where the server is used)
            failed.append(failure)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="model server", daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise failed[0]
    try:
        yield made[0]
    finally:
        loop, end = over[0]
        loop.call_soon_threadsafe(end.set)
        thread.join()
