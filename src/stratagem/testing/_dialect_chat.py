"""Chat completions, as OpenAI-compatible servers speak them."""

import json
from collections.abc import Iterator
from typing import Any

from stratagem.testing._model_said import Event, Said, pieces


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return path == "/v1/chat/completions"


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces."""
    del path
    return bool(body.get("stream"))


def error(status: int, message: str, code: str | int | None) -> Any:
    """Return the body of an error."""
    del status
    return {"error": {"message": message, "type": "error", "code": code}}


def broken(message: str, code: str | int | None) -> bytes:
    """Return an error as a piece of a stream."""
    return _event({"error": {"message": message, "code": code}})


def empty() -> Any:
    """Return a reply that says nothing."""
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": []}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole."""
    draws = said.draws if said.draws is not None else body.get("n", 1)
    choices: list[dict[str, Any]] = []
    for draw in range(draws):
        message: dict[str, Any] = {"role": "assistant", "content": said.of(draw) or None}
        if said.thought:
            message["reasoning_content"] = said.thought
        if said.signature:
            message["reasoning_details"] = [_detail(said.thought, signature=said.signature)]
        if said.calls:
            message["tool_calls"] = [_call(said, number) for number in range(len(said.calls))]
        choice: dict[str, Any] = {"index": draw, "message": message, "finish_reason": said.reason}
        if body.get("logprobs") and said.logprobs:
            choice["logprobs"] = {"content": [_logprob(word) for word in pieces(said.of(draw))]}
        choices.append(choice)
    whole: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body.get("model")}
    whole["choices"] = choices
    if said.usage:
        whole["usage"] = _usage(body, said, draws)
    return whole


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield a reply in pieces."""
    for chunk in _chunks(body, said):
        yield Event(_event({**chunk, "created": 1, "model": body.get("model")}), tells=True)
    if said.done:
        yield Event(b"data: [DONE]\n\n")


def _event(form: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(form, ensure_ascii=False)}\n\n".encode()


def _call(said: Said, number: int) -> dict[str, Any]:
    name, arguments = said.calls[number]
    form: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return {"id": f"call_{number}", **form} if said.ids else form


def _detail(text: str, signature: str | None = None) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "signature": signature, "format": "some-v1", "index": 0}


def _usage(body: Any, said: Said, draws: int) -> dict[str, Any]:
    """Return counts: a token is a word, or four characters of the request."""
    completion = sum(len(pieces(said.of(draw))) for draw in range(draws)) + len(said.calls)
    prompt = len(json.dumps(body.get("messages"))) // 4 + said.cached
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**counts, "prompt_tokens_details": {"cached_tokens": said.cached}} if said.cached else counts


def _logprob(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -0.25, "bytes": None, "top_logprobs": []}


def _chunks(body: Any, said: Said) -> Iterator[dict[str, Any]]:
    draws = said.draws if said.draws is not None else body.get("n", 1)
    for draw in range(draws):
        if said.thought:
            yield _chunk(draw, {"role": "assistant", "reasoning_content": said.thought})
        if said.signature:  # as OpenRouter brings it: the words in pieces, then what proves them
            for piece in pieces(said.thought):
                yield _chunk(draw, {"reasoning_details": [_detail(piece)]})
            yield _chunk(draw, {"reasoning_details": [_detail("", signature=said.signature)]})
        for piece in pieces(said.of(draw)):
            probed = body.get("logprobs") and said.logprobs
            yield _chunk(draw, {"content": piece}, logprobs={"content": [_logprob(piece)]} if probed else None)
        for number, (name, arguments) in enumerate(said.calls):
            first = {"index": number, **_call(said, number), "function": {"name": name, "arguments": ""}}
            yield _chunk(draw, {"tool_calls": [first]})
            for start in range(0, len(arguments), 5):
                piece = {"index": number, "function": {"arguments": arguments[start : start + 5]}}
                yield _chunk(draw, {"tool_calls": [piece]})
        yield _chunk(draw, {}, finish_reason=said.reason)
    options: dict[str, Any] = body.get("stream_options") or {}
    if said.usage and options.get("include_usage"):
        yield {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": _usage(body, said, draws)}


def _chunk(draw: int, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": draw, "delta": delta, "finish_reason": None, **more}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
