"""Chat, as Cohere speaks it, without streams."""

import json
from collections.abc import Iterator
from typing import Any

from stratagem.testing._model_said import Event, Said, pieces

_REASONS = {"stop": "COMPLETE", "tool_calls": "TOOL_CALL", "length": "MAX_TOKENS", "content_filter": "ERROR_TOXIC"}


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return path == "/v2/chat"


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces."""
    del path, body
    return False


def error(status: int, message: str, code: str | int | None) -> Any:
    """Return the body of an error."""
    return {"id": "1", "message": message} if status != 200 else {"error": {"message": message, "code": code}}


def broken(message: str, code: str | int | None) -> bytes:
    """Return an error as a piece of a stream."""
    return json.dumps(error(200, message, code)).encode()


def empty() -> Any:
    """Return a reply that says nothing."""
    return {"id": "1", "finish_reason": None, "message": {"role": "assistant", "content": []}}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole."""
    message: dict[str, Any] = {"role": "assistant", "content": []}
    if said.thought:
        message["content"].append({"type": "thinking", "thinking": said.thought})
    if said.of(0):
        message["content"].append({"type": "text", "text": said.of(0)})
    if said.calls:
        message["tool_calls"] = [
            {"id": f"{name}_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(said.calls)
        ]
    reason = _REASONS.get(said.reason or "", said.reason)
    whole: dict[str, Any] = {"id": "1", "finish_reason": reason, "message": message}
    if said.usage:
        prompt, completion = len(json.dumps(body.get("messages"))) // 4, len(pieces(said.of(0))) + len(said.calls)
        counts = {"input_tokens": prompt, "output_tokens": completion}
        whole["usage"] = {"billed_units": counts, "tokens": counts}
    return whole


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield a reply in pieces: one."""
    yield Event(json.dumps(form(body, said)).encode(), tells=True)
