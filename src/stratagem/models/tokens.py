"""How many tokens a text has at most, without the vocabulary of any model.

1.3 bytes per token covers every kind of text that was measured with two vocabularies: prose 4.4, code 4.8, JSON 2.4,
tables of numbers 2.0, hexadecimal 1.75, base64 1.39, emoji 1.4, Hindi 2.5. What a server counts above it is overshoot.
"""

import math

from stratagem.core import Request
from stratagem.core._canonical import text_of

BYTES = 1.3  # per token
MESSAGE = 8  # tokens around each message
BLOB = 2000  # of an image, where the provider's formula is not known


def bound(text: str) -> int:
    """Return the bound of a text alone."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES) if text else 0


def message_bound(text: str) -> int:
    """Return the bound of a text that is a message."""
    return bound(text) + MESSAGE


def request_bound(request: Request) -> int:
    """Return the bound of all that a request sends."""
    total = sum(message_bound(message.text) for message in request.messages) + BLOB * len(request.attached)
    total += sum(bound(text_of(list(map(str, step.step.calls)))) for step in request.steps or ())
    if request.native and request.tools is not None:
        total += bound(text_of(request.tools.schema()))
    if request.head.schema is not None:
        total += bound(text_of(request.head.schema))
    return total
