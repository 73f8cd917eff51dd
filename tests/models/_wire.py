"""What tests of the wire share: a model in front of the fault server, on a clock that only they move."""

from collections.abc import Sequence
from typing import Any

from stratagem.core import Attachment, Head, Request, Tools, Transcript, signature
from stratagem.core._options import checked_option
from stratagem.models.compatible import Compatible
from stratagem.models.gateway import Gateway
from stratagem.models.keys import placed
from stratagem.models.limits import Gate
from stratagem.models.transport import Times
from tests.conftest import HandClock


@signature
def reply(question: str) -> str:
    """Reply."""
    ...


class Wired:
    """A model that never really sleeps: `slept` has the waits, and the clock has moved on by them."""

    def __init__(
        self, url: str, *, prefix: str = "vllm", name: str = "m", times: Times = Times(), dice: float = 0.0
    ) -> None:
        self.clock = HandClock()
        self.slept: list[float] = []
        row, key = placed(prefix, url, None)
        self.gate = Gate(self.clock, self._sleep, 64)
        self.model = Gateway(
            f"{prefix}:{name}", Compatible(row, name, key, self.clock, times), clock=self.clock, sleep=self._sleep,
            dice=lambda: dice, gate=self.gate,
        )  # fmt: skip

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.clock.advance(seconds)

    def request(self, question: str = "2+2?", **settings: Any) -> Request:
        return asked(self.model, question, **settings)


def asked(
    model: Any,
    question: str,
    *,
    tools: Tools | None = None,
    steps: Transcript | None = None,
    n: int = 1,
    occurrence: int = 0,
    attached: Sequence[Attachment] = (),
    schema: Any = None,
    cap: int | None = None,
    ask: Any = reply,
    **options: Any,
) -> Request:
    """Return a request as the core makes one."""
    checked = {name: checked_option(name, value) for name, value in options.items()}
    head = Head(
        b"", {}, model, checked, "", native=tools is not None, format="text", schema=schema, tools=tools
    )  # fmt: skip
    head.dropped = model.refuses(Request(ask, {}, head, "", None, (), b"", "")) & {
        "temperature",
        "top_p",
        "seed",
        "effort",
    }
    return Request(
        ask, {"question": question}, head, question, steps, (), b"\1" * 32, "scope", occurrence, n, cap, 0,
        tuple(attached),
    )  # fmt: skip
