"""Content generation, as Gemini speaks it."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from stratagem.testing._model_said import Event, Said, pieces

_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUSES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return re.fullmatch(r"/v1beta/models/.+:(streamG|g)enerateContent", path) is not None


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces."""
    del body
    return path.endswith(":streamGenerateContent")


def error(status: int, message: str, code: str | int | None) -> Any:
    """Return the body of an error; a code such as `retry 7` says when to try again."""
    kind = _STATUSES.get(status, "INTERNAL")
    shown: dict[str, Any] = {"message": message, "status": kind}
    if status >= 400:
        shown["code"] = status
    elif isinstance(code, int):
        shown["code"] = code
    if isinstance(code, str) and code.startswith("retry "):
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{code.removeprefix('retry ')}s"}
        shown["details"] = [info]
    return {"error": shown}


def broken(message: str, code: str | int | None) -> bytes:
    """Return an error as a piece of a stream."""
    return _event(error(200, message, code))


def empty() -> Any:
    """Return a reply that says nothing."""
    return {"candidates": [], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole."""
    parts = [part for group in _groups(said) for part in group]
    return _reply(body, said, parts, _reason(said), "".join(pieces(said.of(0))))


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield a reply in pieces."""
    groups = list(_groups(said, by_piece=True))
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        yield Event(_event(_reply(body, said, group, _reason(said) if last else None, said.of(0))), tells=True)


def _groups(said: Said, *, by_piece: bool = False) -> list[list[dict[str, Any]]]:
    """Return the parts of a reply, by the event that brings them."""
    signed = {"thoughtSignature": base64.b64encode(said.signature.encode()).decode()} if said.signature else {}
    groups: list[list[dict[str, Any]]] = []
    if said.thought:
        groups.append([{"text": said.thought, "thought": True}])
    if said.of(0):
        texts = pieces(said.of(0)) if by_piece else [said.of(0)]
        groups += [[{"text": text}] for text in texts]
        if signed and not said.calls:
            groups[-1] = [{**groups[-1][0], **signed}]
    for number, (name, arguments) in enumerate(said.calls):
        call: dict[str, Any] = {"name": name, "args": json.loads(arguments or "{}")}
        if said.ids:
            call["id"] = f"fn_{number}"
        groups.append([{"functionCall": call, **(signed if number == 0 else {})}])
    return groups or [[]]


def _reply(body: Any, said: Said, parts: list[dict[str, Any]], reason: str | None, text: str) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    whole: dict[str, Any] = {"candidates": [candidate], "modelVersion": "m", "responseId": "r_1"}
    if said.usage:
        prompt = len(json.dumps(body.get("contents"))) // 4 + said.cached
        answered = len(pieces(text)) + len(said.calls)
        whole["usageMetadata"] = {
            "promptTokenCount": prompt, "candidatesTokenCount": answered, "thoughtsTokenCount": said.reasoning,
            "cachedContentTokenCount": said.cached, "totalTokenCount": prompt + answered + said.reasoning,
        }  # fmt: skip
    return whole


def _reason(said: Said) -> str | None:
    return _REASONS.get(said.reason or "", said.reason)


def _event(form: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(form, ensure_ascii=False)}\r\n\r\n".encode()
