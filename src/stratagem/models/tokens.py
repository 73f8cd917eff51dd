"""How many tokens a text has at most, without the vocabulary of any model.

1.3 bytes per token covers every kind of text that was measured with two vocabularies: prose 4.4, code 4.8, JSON 2.4,
tables of numbers 2.0, hexadecimal 1.75, base64 1.39, emoji 1.4, Hindi 2.5. What a server counts above it is overshoot.
"""

import math
from typing import cast

from stratagem.core import Request, Usage
from stratagem.core._canonical import json_of, text_of
from stratagem.core._transcript import Turn
from stratagem.core.message import Part, Thought

BYTES = 1.3  # per token
MOST_BYTES = 10.0  # per token, of any text
MESSAGE = 8  # tokens around each message
BLOB = 2000  # of an image, where the provider's formula is not known


def bound(text: str) -> int:
    """Return the bound of a text alone."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES) if text else 0


def message_bound(text: str) -> int:
    """Return the bound of a text that is a message."""
    return bound(text) + MESSAGE


def request_bound(request: Request) -> int:
    """Return the bound of all that a request sends, by its bytes."""
    total = message_bound(request.message) + BLOB * len(request.attached)
    if persona := request.options.get("persona"):
        total += message_bound(persona)
    return total + _turns_bound(request) + _repair_bound(request) + _form_bound(request)


def prompt_bound(request: Request, spec: str) -> int:
    """Return the bound of a request's prompt: what the provider has reported of its beginning, and the bound of the rest.

    Where nothing was reported, and where there are attachments, it is the bound of all. Forms are added to what was
    reported, which has them already: a provider may repeat them.

    Args:
        request: what is asked.
        spec: of the model that is asked.
    """
    if request.steps is None or request.attached:
        return request_bound(request)
    found = request.steps.reported(_key(request, spec))
    if found is None:
        return request_bound(request)
    turns, tokens = found
    return tokens + _turns_bound(request, turns) + _repair_bound(request) + _form_bound(request)


def report(request: Request, spec: str, usage: Usage | None) -> None:
    """Keep what a provider says that a prompt took; `spec` is of the model that was asked.

    What no text measures that little of (9.4 bytes per token is the most that was measured) is not believed.
    """
    if usage is None or usage.estimated or request.steps is None or request.attached or request.repair:
        return
    if usage.prompt_tokens * MOST_BYTES >= request_bound(request) * BYTES:
        request.steps.report(_key(request, spec), usage.prompt_tokens)


def _key(request: Request, spec: str) -> tuple[str, bytes, str]:
    return spec, request.head.digest, request.message


def _repair_bound(request: Request) -> int:
    return sum(message_bound(text) for texts in request.repair for text in texts)


def _form_bound(request: Request) -> int:
    """Return the bound of the forms that a reply is to keep to: tools and schema."""
    total = 0
    if request.native and request.tools is not None:
        total += bound(text_of(request.tools.schema()))
    if request.head.schema is not None:
        total += bound(text_of(request.head.schema))
    return total


def _turns_bound(request: Request, since: int = 0) -> int:
    turns = request.steps
    if turns is None:
        return 0
    if request.native:
        return turns.measured("tokens", _turn_bound, since)
    return turns.size("tokens of text", lambda text: bound(text) + 2 * MESSAGE, since)


def _turn_bound(turn: Turn) -> int:
    """Return the bound of a turn whose tools travel natively: what was said, part by part if it goes back so."""
    step = turn.step
    total = message_bound(step.thought) + bound(step.answer or "")
    for call in step.calls:
        total += MESSAGE + bound(call.name) + bound(text_of(json_of(call.arguments)))
    for part in cast("tuple[Part, ...]", getattr(step, "_parts", None) or ()):
        if isinstance(part, Thought):
            total += bound(part.text)
        if part.opaque is not None:
            total += bound(text_of(part.opaque))
    return total + sum(message_bound(seen.text) + MESSAGE for seen in turn.observations)
