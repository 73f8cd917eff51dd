"""Completions of a prompt, which some OpenAI-compatible servers still speak: for scoring a text that is given."""

from collections.abc import Iterator
from typing import Any

from stratagem.testing import _dialect_chat
from stratagem.testing._model_said import Event, Said, pieces

error, broken = _dialect_chat.error, _dialect_chat.broken


def speaks(path: str) -> bool:
    """Return whether requests to a path are in this dialect."""
    return path == "/v1/completions"


def streams(path: str, body: Any) -> bool:
    """Return whether a request wants its reply in pieces: here none is sent so."""
    del path, body
    return False


def empty() -> Any:
    """Return a reply that says nothing."""
    return {"id": "cmpl-1", "object": "text_completion", "choices": []}


def form(body: Any, said: Said) -> dict[str, Any]:
    """Return a reply as a whole: the prompt before it if that is wanted, with a log-probability of each token but the first."""
    prompt = str(body.get("prompt", ""))
    text = (prompt if body.get("echo") else "") + said.of(0)
    choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": said.reason, "logprobs": None}
    if body.get("logprobs") and said.logprobs:
        tokens = pieces(text)
        choice["logprobs"] = {"tokens": tokens, "token_logprobs": [None, *(-0.25 for _ in tokens[1:])]}
    whole = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body.get("model"), "choices": [choice]}
    if said.usage:
        counts = len(prompt) // 4, len(pieces(said.of(0)))
        whole["usage"] = {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts)}
    return whole


def events(body: Any, said: Said) -> Iterator[Event]:
    """Yield nothing: no reply is sent in pieces."""
    del body, said
    return iter(())
