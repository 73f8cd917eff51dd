"""What a test tells the model server to say, or to do instead."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

FaultKind = Literal[
    "status", "cut", "error event", "error body", "html", "disconnect", "malformed", "slow", "stall", "redirect",
    "huge", "raw", "empty",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A reply.

    Attributes:
        text: of each draw; several texts are handed out in turn.
        calls: tool calls, as (name, arguments as text).
        finish: reason of the end; None is what the reply is; "" sends none.
        logprobs: whether log-probabilities are sent if they are asked for.
        draws: how many are sent; None is as many as were asked for.
        usage: whether token counts are sent.
        done: whether a stream ends with `[DONE]`.
        ids: whether tool calls have ids.
        thought: reasoning that comes before the text.
        signature: what proves the reasoning, for dialects in which a client sends it back: Anthropic, Gemini, Responses.
        redacted: whether the reasoning comes hidden: `signature` is all there is of it (Anthropic).
        cached: tokens of the prompt that were read from a cache.
        written: tokens of the prompt that were written to one (Anthropic).
        reasoning: tokens of the reply that were reasoning.
    """

    text: str | tuple[str, ...] = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str | None = None
    logprobs: bool = True
    draws: int | None = None
    usage: bool = True
    done: bool = True
    ids: bool = True
    thought: str = ""
    signature: str = ""
    redacted: bool = False
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    def of(self, draw: int) -> str:
        """Return the text of a draw."""
        return self.text if isinstance(self.text, str) else self.text[draw % len(self.text)]

    @property
    def reason(self) -> str | None:
        """Why it ends, as the wire says it."""
        if self.finish is not None:
            return self.finish or None
        return "tool_calls" if self.calls else "stop"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong instead.

    Attributes:
        kind: `status` answers with `status`; `cut` ends a stream cleanly in its middle; `error event` puts an error
            into the stream; `error body` is an error under status 200; `html` a page under 200; `disconnect` closes
            before a byte; `malformed` is no JSON; `slow` waits before the first byte, `stall` after some, both
            until `release`; `redirect` sends to `to`; `huge` sends `size` bytes; `raw` sends `body` as an event stream; `empty`
            is a reply in which the model has said nothing, under 200.
        status: HTTP status.
        retry_after: value of that header.
        date: value of the header `Date`.
        message: of the error; `{authorization}` in it is what the request said there.
        code: of the error.
        to: URL of a redirect.
        size: bytes.
        said: what is said around the fault.
        body: bytes of `raw`.
    """

    kind: FaultKind
    status: int = 500
    retry_after: str = ""
    date: str = ""
    message: str = "the server says so"
    code: str | int | None = None
    to: str = ""
    size: int = 40_000_000
    said: Said = Said("one two three four")
    body: bytes = b""


class Event(NamedTuple):
    """A piece of a stream.

    Attributes:
        data: its bytes.
        tells: whether something of the reply is in it.
    """

    data: bytes
    tells: bool = False


def pieces(text: str) -> list[str]:
    """Return a text in the pieces in which a stream brings it: words with the space before them."""
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)] if text else []
