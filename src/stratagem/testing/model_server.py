"""A model server on loopback for tests: it says what a test tells it to, and fails in every way a real one does.

It speaks chat completions as OpenAI-compatible servers do, streamed or not. Each request takes the next reply of the
list; or one function answers them all. Needs the extra `http`.

    async with ModelServer([Fault("status", status=429, retry_after="1"), Said("4")]) as server:
        model = open_model("openai:any", base_url=server.url)

`serving(...)` is the same in a thread of its own, for tests that are not asynchronous.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

FaultKind = Literal[
    "status", "cut", "error event", "error body", "html", "disconnect", "malformed", "slow", "stall", "redirect",
    "huge", "raw",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A reply.

    Attributes:
        text: of each draw; several texts are handed out in turn.
        calls: tool calls, as (name, arguments as text).
        finish: reason of the end; None is what the reply is; "" sends none.
        logprobs: whether log-probabilities are sent if they are asked for.
        draws: how many are sent; None is as many as were asked for.
        usage: whether token counts are sent.
        done: whether a stream ends with `[DONE]`.
        ids: whether tool calls have ids.
        thought: reasoning that comes before the text.
    """

    text: str | tuple[str, ...] = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str | None = None
    logprobs: bool = True
    draws: int | None = None
    usage: bool = True
    done: bool = True
    ids: bool = True
    thought: str = ""

    def of(self, draw: int) -> str:
        """Return the text of a draw."""
        return self.text if isinstance(self.text, str) else self.text[draw % len(self.text)]

    @property
    def reason(self) -> str | None:
        """Why it ends, as the wire says it."""
        if self.finish is not None:
            return self.finish or None
        return "tool_calls" if self.calls else "stop"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong instead.

    Attributes:
        kind: `status` answers with `status`; `cut` ends a stream cleanly in its middle; `error event` puts an error
            into the stream; `error body` is an error under status 200; `html` a page under 200; `disconnect` closes
            before a byte; `malformed` is no JSON; `slow` waits before the first byte, `stall` after some, both
            until `release`; `redirect` sends to `to`; `huge` sends `size` bytes; `raw` sends `body` as an event stream.
        status: HTTP status.
        retry_after: value of that header.
        date: value of the header `Date`.
        message: of the error; `{authorization}` in it is what the request said there.
        code: of the error.
        to: URL of a redirect.
        size: bytes.
        said: what is said around the fault.
        body: bytes of `raw`.
    """

    kind: FaultKind
    status: int = 500
    retry_after: str = ""
    date: str = ""
    message: str = "the server says so"
    code: str | int | None = None
    to: str = ""
    size: int = 40_000_000
    said: Said = Said("one two three four")
    body: bytes = b""


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
        if request.path != "/v1/chat/completions":
            return _error(404, f"there is nothing at {request.path}")
        if self._by is not None:
            answer = self._by(body)
        elif self._left:
            answer = self._left.pop(0)
        else:
            return _error(404, "the test has scripted no further reply")
        if isinstance(answer, Said):
            return await (_streamed(request, body, answer) if body.get("stream") else _whole(body, answer))
        return await self._fail(request, body, answer)

    async def _fail(self, request: web.Request, body: Any, fault: Fault) -> web.StreamResponse:
        said, streams = fault.said, bool(body.get("stream"))
        message = fault.message.replace("{authorization}", request.headers.get("Authorization", ""))
        match fault.kind:
            case "status":
                return _error(fault.status, message, fault)
            case "error body":
                return _error(200, message, fault)
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
                return await (_streamed(request, body, said) if streams else _whole(body, said))
            case "cut" if not streams:
                return await _cut(request, body, said)
            case "stall" if not streams:
                return await _cut(request, body, said, self._released)
            case "cut":
                return await _streamed(request, body, said, middle=_nothing)
            case "stall":
                return await _streamed(request, body, said, middle=self._released.wait)
            case "error event":
                event = {"error": {"message": message, "code": fault.code}}
                return await _streamed(request, body, said, middle=_nothing, last=event)


async def _nothing() -> bool:
    return False


def _error(status: int, message: str, fault: Fault | None = None) -> web.Response:
    code = fault.code if fault is not None else None
    headers = {"x-request-id": "req_1"}
    if fault is not None and fault.retry_after:
        headers["Retry-After"] = fault.retry_after
    if fault is not None and fault.date:
        headers["Date"] = fault.date
    form = {"error": {"message": message, "type": "error", "code": code}}
    return web.json_response(form, status=status, headers=headers)


async def _whole(body: Any, said: Said) -> web.StreamResponse:
    return web.json_response(_form(body, said), headers={"x-request-id": "req_1"})


def _form(body: Any, said: Said) -> dict[str, Any]:
    draws = said.draws if said.draws is not None else body.get("n", 1)
    choices: list[dict[str, Any]] = []
    for draw in range(draws):
        message: dict[str, Any] = {"role": "assistant", "content": said.of(draw) or None}
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.calls:
            message["tool_calls"] = [_call(said, number) for number in range(len(said.calls))]
        choice: dict[str, Any] = {"index": draw, "message": message, "finish_reason": said.reason}
        if body.get("logprobs") and said.logprobs:
            choice["logprobs"] = {"content": [_logprob(word) for word in _pieces(said.of(draw))]}
        choices.append(choice)
    form: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "choices": choices}
    if said.usage:
        form["usage"] = _usage(body, said, draws)
    return form


def _call(said: Said, number: int) -> dict[str, Any]:
    name, arguments = said.calls[number]
    form: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {"id": f"call_{number}", **form} if said.ids else form


def _usage(body: Any, said: Said, draws: int) -> dict[str, Any]:
    """Return counts: a token is a word, or four characters of the request."""
    completion = sum(len(_pieces(said.of(draw))) for draw in range(draws)) + len(said.calls)
    prompt = len(json.dumps(body.get("messages"))) // 4
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _logprob(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -0.25, "bytes": None, "top_logprobs": []}


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)] if text else []


def _chunks(body: Any, said: Said) -> Iterator[dict[str, Any]]:
    draws = said.draws if said.draws is not None else body.get("n", 1)
    for draw in range(draws):
        if said.thought:
            yield _chunk(draw, {"role": "assistant", "reasoning_content": said.thought})
        for piece in _pieces(said.of(draw)):
            probed = body.get("logprobs") and said.logprobs
            yield _chunk(draw, {"content": piece}, logprobs={"content": [_logprob(piece)]} if probed else None)
        for number, (name, arguments) in enumerate(said.calls):
            first = {"index": number, **_call(said, number), "function": {"name": name, "arguments": ""}}
            yield _chunk(draw, {"tool_calls": [first]})
            for start in range(0, len(arguments), 5):
                piece = {"index": number, "function": {"arguments": arguments[start : start + 5]}}
                yield _chunk(draw, {"tool_calls": [piece]})
        yield _chunk(draw, {}, finish_reason=said.reason)
    options: dict[str, Any] = body.get("stream_options", {})
    if said.usage and options.get("include_usage"):
        yield {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": _usage(body, said, draws)}


def _chunk(draw: int, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": draw, "delta": delta, "finish_reason": None, **more}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


async def _streamed(
    request: web.Request,
    body: Any,
    said: Said,
    *,
    middle: Callable[[], Any] | None = None,
    last: dict[str, Any] | None = None,
) -> web.StreamResponse:
    """Send a stream; `middle` is awaited after its second chunk and says whether to go on, else `last` is sent."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "x-request-id": "req_1"})
    await response.prepare(request)
    for number, chunk in enumerate(_chunks(body, said)):
        if number == 2 and middle is not None and not await middle():
            if last is not None:
                await response.write(_event(last))
            await response.write_eof()
            return response
        await response.write(_event(chunk))
    if said.done:
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _event(form: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(form, ensure_ascii=False)}\n\n".encode()


async def _cut(request: web.Request, body: Any, said: Said, rest: asyncio.Event | None = None) -> web.StreamResponse:
    """Send the first half of a whole reply; the rest after an event, or never."""
    data = json.dumps(_form(body, said)).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(data))})
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    if rest is None:
        assert request.transport is not None
        request.transport.close()
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
