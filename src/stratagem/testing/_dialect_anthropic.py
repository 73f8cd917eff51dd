"""Messages, as Anthropic speaks them."""

import json
from collections.abc import Iterator
from typing import Any

from stratagem.testing._model_said import Event, Said, pieces

_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_FILLED = ("text", "thinking", "signature", "input")  # by the deltas of a block


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return path == "/v1/messages"


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces."""
    del path
    return bool(body.get("stream"))


def error(status: int, message: str, code: str | int | None) -> Any:
    """Return the body of an error."""
    del status
    return {"type": "error", "error": {"type": str(code or "error"), "message": message}, "request_id": "req_1"}


def broken(message: str, code: str | int | None) -> bytes:
    """Return an error as a piece of a stream."""
    return _event("error", **error(200, message, code))


def empty() -> Any:
    """Return a reply that says nothing."""
    return {**form({}, Said(finish="")), "content": []}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole."""
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model", "m"), "content": _blocks(said),
        "stop_reason": _reason(said), "stop_sequence": None, "usage": _usage(body, said),
    }  # fmt: skip


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield a reply in pieces."""
    begun: dict[str, Any] = {**form(body, said), "content": [], "stop_reason": None}
    yield Event(_event("message_start", message=begun))
    for number, block in enumerate(_blocks(said)):
        yield from _block(number, block)
    used = {"output_tokens": _usage(body, said)["output_tokens"]}
    yield Event(_event("message_delta", delta={"stop_reason": _reason(said), "stop_sequence": None}, usage=used))
    if said.done:
        yield Event(_event("message_stop"))


def _block(index: int, block: dict[str, Any]) -> Iterator[Event]:
    kind = block["type"]
    emptied: dict[str, Any] = {key: type(value)() for key, value in block.items() if key in _FILLED}
    yield Event(_event("content_block_start", index=index, content_block={**block, **emptied}))
    deltas: list[dict[str, Any]] = []
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    elif kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        text = json.dumps(block["input"], ensure_ascii=False)
        deltas = [{"type": "input_json_delta", "partial_json": text[at : at + 5]} for at in range(0, len(text), 5)]
    for delta in deltas:
        yield Event(_event("content_block_delta", index=index, delta=delta), tells=True)
    yield Event(_event("content_block_stop", index=index))


def _blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.redacted:
        blocks.append({"type": "redacted_thinking", "data": said.signature})
    elif said.thought:
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": said.signature})
    if said.of(0):
        blocks.append({"type": "text", "text": said.of(0)})
    for number, (name, arguments) in enumerate(said.calls):
        given = json.loads(arguments or "{}")
        blocks.append({"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given})
    return blocks


def _reason(said: Said) -> str | None:
    return _REASONS.get(said.reason or "", said.reason)


def _usage(body: Any, said: Said) -> dict[str, Any]:
    """Return counts: a token is a word, or four characters of the request."""
    completion = len(pieces(said.of(0))) + len(said.calls) + said.reasoning
    prompt = len(json.dumps(body.get("messages"))) // 4
    return {
        "input_tokens": prompt if said.usage else 0, "output_tokens": completion if said.usage else 0,
        "cache_read_input_tokens": said.cached, "cache_creation_input_tokens": said.written,
    }  # fmt: skip


def _event(kind: str, **form: Any) -> bytes:
    data = json.dumps({"type": kind, **form}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()
