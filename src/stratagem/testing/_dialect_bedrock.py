"""Converse, as Amazon Bedrock speaks it, without streams."""

import json
import re
from collections.abc import Iterator
from typing import Any

from stratagem.testing._model_said import Event, Said, pieces

_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "content_filtered"}


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return re.fullmatch(r"/model/.+/converse", path) is not None


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces."""
    del path, body
    return False


def error(status: int, message: str, code: str | int | None) -> Any:
    """Return the body of an error."""
    return {"message": message} if status != 200 else {"error": {"message": message, "code": code}}


def broken(message: str, code: str | int | None) -> bytes:
    """Return an error as a piece of a stream."""
    return json.dumps(error(200, message, code)).encode()


def empty() -> Any:
    """Return a reply that says nothing."""
    return {**form({}, Said()), "stopReason": None, "output": {"message": {"role": "assistant", "content": []}}}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole."""
    blocks: list[dict[str, Any]] = []
    if said.thought:
        told = {"text": said.thought, "signature": said.signature}
        blocks.append({"reasoningContent": {"reasoningText": told}})
    if said.of(0):
        blocks.append({"text": said.of(0)})
    for number, (name, arguments) in enumerate(said.calls):
        call = {"toolUseId": f"tooluse_{number}", "name": name, "input": json.loads(arguments or "{}")}
        blocks.append({"toolUse": call})
    whole: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": blocks}}, "metrics": {"latencyMs": 1},
        "stopReason": _REASONS.get(said.reason or "", said.reason),
    }  # fmt: skip
    prompt, completion = len(json.dumps(body.get("messages"))) // 4, len(pieces(said.of(0))) + len(said.calls)
    if not said.usage:
        prompt = completion = 0
    whole["usage"] = {"inputTokens": prompt, "outputTokens": completion, "totalTokens": prompt + completion}
    return whole


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield a reply in pieces: one."""
    yield Event(json.dumps(form(body, said)).encode(), tells=True)
