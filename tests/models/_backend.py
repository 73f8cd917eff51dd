"""What tests of the gateway share: a backend without a wire, whose outcomes a test scripts, on a clock that it moves."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from stratagem.core import Capabilities, Delta, Reply, Request, Sample, Usage
from stratagem.errors import ModelError
from stratagem.models.gateway import Gateway
from stratagem.models.keys import Key
from stratagem.models.limits import UNSET, Gate, Limits
from stratagem.models.retry import Failure
from tests.conftest import HandClock
from tests.models._wire import asked

HOSTED = "https://api.openai.com:443"
Outcome = Reply | Failure | Callable[[], Any]


def said(text: str = "yes", *, headers: Mapping[str, str] | None = None, **usage: Any) -> Reply:
    """Return a reply that has used 10 and 5 tokens, or what is given; of unknown price."""
    used = Usage(**{"calls": 1, "requests": 1, "prompt_tokens": 10, "completion_tokens": 5, "usd": None, **usage})
    return Reply((Sample(text),), used, headers=headers)


def fails(error: ModelError, *, attempts: int = 5, headers: Mapping[str, str] | None = None, **facts: Any) -> Failure:
    failure = Failure(error, attempts=attempts, **facts)
    failure.headers = headers
    return failure


class Backend:
    """Answers from a list, and then always as the last; `seen` counts the attempts."""

    steady = True

    def __init__(self, *outcomes: Outcome, origin: str = HOSTED, capabilities: Capabilities | None = None) -> None:
        self.outcomes: list[Any] = list(outcomes)
        self.origin, self.seen = origin, 0
        self.key = Key("", "", origin)
        self.capabilities = capabilities or Capabilities(frozenset({"temperature", "max_tokens", "logprobs"}))
        self.asked: list[int] = []

    def refuses(self, request: Request) -> frozenset[str]:
        return frozenset(request.options) - self.capabilities.fields

    async def attempt(
        self, request: Request, n: int, number: int, until: int, on_delta: Callable[[Delta], None] | None
    ) -> Reply:
        self.seen += 1
        self.asked.append(n)
        outcome: Any = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Failure):
            if on_delta is not None and outcome.received:
                on_delta(Delta(0, outcome.received))
            again: Any = type(outcome.error)(str(outcome.error))
            again.status = getattr(outcome.error, "status", None)
            copied = Failure(again, attempts=outcome.attempts, ran=outcome.ran, wait=outcome.wait, slow=outcome.slow)
            copied.received, copied.headers = outcome.received, outcome.headers
            raise copied
        if callable(outcome):
            made: Any = outcome()
            return await made
        if on_delta is not None:
            on_delta(Delta(0, outcome.samples[0].text))
        return Reply(tuple(Sample.of(one.form()) for one in outcome.samples), outcome.usage, headers=outcome.headers)

    async def aclose(self) -> None: ...


class Gated:
    """A gateway before such a backend, that never really sleeps."""

    def __init__(
        self, *outcomes: Outcome, spec: str = "openai:m", limits: Limits = UNSET, clock: HandClock | None = None,
        gate: Gate | None = None, prices: Any = None, origin: str = HOSTED, capabilities: Capabilities | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock or HandClock()
        self.slept: list[float] = []
        self.gate = gate or Gate(self.clock, self.sleep, 64, limits)
        self.backend = Backend(*outcomes, origin=origin, capabilities=capabilities)
        self.model = Gateway(
            spec, self.backend, clock=self.clock, sleep=self.sleep, dice=lambda: 0.5, gate=self.gate
        )  # fmt: skip
        self.model.configure(prices or {spec: {"input_per_mtok": 1, "output_per_mtok": 10}}, None)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def request(
        self, question: str = "2+2?", *, run: str = "", within_s: float | None = None, **settings: Any
    ) -> Request:
        made = asked(self.model, question, **settings)
        made.run = run
        if within_s is not None:
            made.within_s = within_s
        return made

    async def ask(self, question: str = "2+2?", **settings: Any) -> Reply:
        return await self.model.complete(self.request(question, **settings))


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
