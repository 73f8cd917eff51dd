"""A server for benchmarks, in a process of its own: chat completions after a pause, whole or as a stream of deltas.

The first part of a request's path says how many milliseconds the answer waits, `/50/v1/chat/completions`; `/all4000/v1/...`
waits until so many requests are there. It is written on the bare event loop, so that what is measured is the client and
not the server.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Generator
from functools import partial
from typing import ClassVar

DELTAS = 50
HOLD_S = 0.5  # between the last of requests that wait for each other and their answers
GAP_S = 0.001  # between deltas, so that each is read by itself
BACKLOG = 4096

_MODEL = {"id": "chatcmpl-1", "created": 1, "model": "m"}
_MESSAGE = {"role": "assistant", "content": "It is in the last drawer, behind the maps."}
_USAGE = {"prompt_tokens": 120, "completion_tokens": 10, "total_tokens": 130}
_CHOICES = [{"index": 0, "message": _MESSAGE, "finish_reason": "stop", "logprobs": None}]
WHOLE = json.dumps({**_MODEL, "object": "chat.completion", "choices": _CHOICES, "usage": _USAGE}).encode()


# The same in the forms of providers that have one of their own, by what their paths hold.
_SAID = _MESSAGE["content"]
_ANTHROPIC = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": _SAID}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 120, "output_tokens": 10},
}  # fmt: skip
_TEXT = {"type": "output_text", "text": _SAID, "annotations": []}
_RESPONSES = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "error": None,
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [_TEXT]}],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    "usage": {
        "input_tokens": 120, "output_tokens": 10, "total_tokens": 130, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}  # fmt: skip
_GOOGLE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": _SAID}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 120, "candidatesTokenCount": 10, "totalTokenCount": 130},
}
_FORMS = {b"/messages": _ANTHROPIC, b"/responses": _RESPONSES, b":generateContent": _GOOGLE}


def _chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
    form = {**_MODEL, "object": "chat.completion.chunk", "choices": choices}
    return f"data: {json.dumps(form)}\n\n".encode()


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _answering(data: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)


_ANSWER = _answering(WHOLE)
_ANSWERS = {path: _answering(json.dumps(form).encode()) for path, form in _FORMS.items()}
_BEGIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_PIECES = [_framed(_chunk({"content": f"word{number} "})) for number in range(DELTAS)]
_END = _framed(_chunk({}, "stop")) + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Answering(asyncio.Protocol):
    """One connection, one request after the other."""

    held: ClassVar[
        list[Callable[[], None]]
    ] = []  # of all connections: what answers the requests that wait for each other

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer once the whole request is there."""
        self._data += data
        head, mark, body = self._data.partition(b"\r\n\r\n")
        if not mark:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        self._data = body[length:]
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        own = next((whole for end, whole in _ANSWERS.items() if path.endswith(end)), None)
        answer = self._begin if b'"stream":true' in body.replace(b": ", b":") else self._answer
        if own is not None:
            answer = partial(self._transport.write, own)
        pause = head.split(b"/", 2)[1]
        if pause.startswith(b"all"):
            self._wait(int(pause[3:]), answer)
        else:
            asyncio.get_running_loop().call_later(int(pause) / 1000, answer)

    def _wait(self, count: int, answer: Callable[[], None]) -> None:
        self.held.append(answer)
        if len(self.held) == count:
            for one in self.held:
                asyncio.get_running_loop().call_later(HOLD_S, one)
            self.held.clear()

    def _answer(self) -> None:
        self._transport.write(_ANSWER)

    def _begin(self) -> None:
        self._transport.write(_BEGIN + _PIECES[0])
        asyncio.get_running_loop().call_later(GAP_S, self._next, 1)

    def _next(self, number: int) -> None:
        if number == DELTAS:
            self._transport.write(_END)
            return
        self._transport.write(_PIECES[number])
        asyncio.get_running_loop().call_later(GAP_S, self._next, number + 1)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def served() -> Generator[str, None, None]:
    """Start the server; yield its origin."""
    command = [sys.executable, "-c", "from benchmarks.model_server import main; main()"]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main() -> None:
    """Serve until killed."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
