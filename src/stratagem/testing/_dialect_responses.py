"""Responses, as OpenAI speaks them."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from stratagem.testing._model_said import Event, Said, pieces

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return path == "/v1/responses"


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces."""
    del path
    return bool(body.get("stream"))


def error(status: int, message: str, code: str | int | None) -> Any:
    """Return the body of an error."""
    del status
    return {"error": {"message": message, "type": "error", "param": None, "code": code}}


def broken(message: str, code: str | int | None) -> bytes:
    """Return an error as a piece of a stream."""
    return _event("error", 99, code=code, message=message, param=None)


def empty() -> Any:
    """Return a reply that says nothing."""
    return {**form({}, Said(finish="")), "output": [], "status": None}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole."""
    cut = _CUT.get(said.reason or "")
    status = None if said.reason is None else "incomplete" if cut else "completed"
    whole: dict[str, Any] = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": body.get("model", "m"), "status": status,
        "error": None, "incomplete_details": {"reason": cut} if cut else None, "output": _items(said),
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    if said.usage:
        prompt = len(json.dumps(body.get("input"))) // 4 + said.cached
        completion = len(pieces(said.of(0))) + len(said.calls) + said.reasoning
        whole["usage"] = {
            "input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion,
            "input_tokens_details": {"cached_tokens": said.cached},
            "output_tokens_details": {"reasoning_tokens": said.reasoning},
        }  # fmt: skip
    return whole


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield a reply in pieces."""
    numbers = count()
    whole = form(body, said)
    begun: dict[str, Any] = {**whole, "status": "in_progress", "output": [], "usage": None}
    for kind in ("response.created", "response.in_progress"):
        yield Event(_event(kind, next(numbers), response=begun))
    for index, item in enumerate(whole["output"]):
        for kind, more, tells in _item(item):
            yield Event(_event(kind, next(numbers), output_index=index, **more), tells)
    if whole["status"] is not None:
        yield Event(_event(f"response.{whole['status']}", next(numbers), response=whole))


def _item(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield the events of an item: kind, fields, and whether something of the reply is in it."""
    place: dict[str, Any] = {"item_id": item["id"]}
    if item["type"] == "message":
        begun: dict[str, Any] = {**item, "content": [], "status": "in_progress"}
        yield "response.output_item.added", {"item": begun}, False
        place["content_index"] = 0
        part = item["content"][0]
        yield "response.content_part.added", {**place, "part": {**part, "text": ""}}, False
        for piece in pieces(part["text"]):
            yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}, True
        yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}, False
        yield "response.content_part.done", {**place, "part": part}, False
    elif item["type"] == "function_call":
        yield "response.output_item.added", {"item": {**item, "arguments": "", "status": "in_progress"}}, False
        text = item["arguments"]
        for at in range(0, len(text), 5):
            yield "response.function_call_arguments.delta", {**place, "delta": text[at : at + 5]}, True
        yield "response.function_call_arguments.done", {**place, "arguments": text, "name": item["name"]}, False
    else:
        yield "response.output_item.added", {"item": {**item, "summary": [], "encrypted_content": ""}}, False
        for number, summary in enumerate(item["summary"]):
            at = {**place, "summary_index": number}
            yield "response.reasoning_summary_part.added", {**at, "part": {**summary, "text": ""}}, False
            for piece in pieces(summary["text"]):
                yield "response.reasoning_summary_text.delta", {**at, "delta": piece}, True
            yield "response.reasoning_summary_text.done", {**at, "text": summary["text"]}, False
            yield "response.reasoning_summary_part.done", {**at, "part": summary}, False
    yield "response.output_item.done", {"item": item}, False


def _items(said: Said) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if said.thought or said.signature:
        summary = [{"type": "summary_text", "text": said.thought}] if said.thought else []
        items.append(
            {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": said.signature or None}
        )
    if said.of(0):
        part: dict[str, Any] = {"type": "output_text", "text": said.of(0), "annotations": [], "logprobs": []}
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]})
    for number, (name, arguments) in enumerate(said.calls):
        items.append({
            "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": name,
            "arguments": arguments, "status": "completed",
        })  # fmt: skip
    return items


def _event(kind: str, number: int, **form: Any) -> bytes:
    data = json.dumps({"type": kind, "sequence_number": number, **form}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()
