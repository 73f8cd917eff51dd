"""A model behind a wire: attempts, waits, limits and what they cost. Each attempt is one HTTP request.

Rule 1: every attempt is ours and counts in `Usage.requests`; what may have run is billed, as estimated.
Rule 2: no wait goes beyond the call's time limit: what would is raised at once.
Rule 3: a reply with fewer draws than were asked for is not lost: the rest is asked for one by one.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol

from stratagem.core import Capabilities, Clock, Delta, Reply, Request, Sample, SystemClock, Usage
from stratagem.core._options import TIMEOUT_S
from stratagem.errors import ModelError
from stratagem.models.compatible import provided
from stratagem.models.keys import Key, loopback
from stratagem.models.limits import HOSTED, LOOPBACK, Gate, Sleep, gate_of
from stratagem.models.retry import LONGEST_S, Failure, pause
from stratagem.models.tokens import bound, message_bound, request_bound

SPARE_S = 0.05  # by which a call ends before the core's own limit, so that what it cost is known


class Backend(Protocol):
    """What a gateway stands in front of: one provider's form of a request, and one attempt at it.

    Attributes:
        origin: scheme, host and port that requests go to.
        key: what authorises them, and where it may go.
        capabilities: what the model honours.
    """

    origin: str
    key: Key
    capabilities: Capabilities

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the fields that cannot be honoured in this combination."""
        ...

    async def attempt(
        self, request: Request, n: int, number: int, until: int, on_delta: Callable[[Delta], None] | None
    ) -> Reply:
        """Send a request for `n` draws once, as attempt `number`, and return a verified reply by the stamp `until`.

        Raises:
            Failure: no reply came, or none that may be believed.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class Gateway:
    """A model behind a wire.

    Args:
        spec: that opened it.
        backend: speaks to its provider.
        clock: tells the time.
        sleep: waits so many seconds.
        dice: returns a number in [0, 1), for waits.
        gate: how many requests there are at once; None shares one with all models of that origin and key.

    Attributes:
        lacks: what a session raises before it begins a run; recorded runs can be replayed all the same.
    """

    def __init__(
        self,
        spec: str,
        backend: Backend,
        *,
        clock: Clock | None = None,
        sleep: Sleep = asyncio.sleep,
        dice: Callable[[], float] = random.random,
        gate: Gate | None = None,
    ) -> None:
        self.spec, self.capabilities = spec, backend.capabilities
        self.lacks = backend.key.lacks
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._sleep, self._dice, self._gate = sleep, dice, gate
        self._most = LOOPBACK if loopback(backend.origin) else HOSTED
        self._backend = backend

    def __repr__(self) -> str:
        return f"Gateway({self.spec!r})"

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that the provider does not honour, and `media` for attachments that it cannot read."""
        return self._backend.refuses(request)

    def complete(self, request: Request, *, on_delta: Callable[[Delta], None] | None = None) -> Awaitable[Reply]:
        """Answer a request.

        Raises:
            ModelError: after all attempts; `usage` of the error says what they cost.
            CapabilityError: there is no key.
        """
        if self.lacks is not None:
            raise self.lacks
        return self._complete(request, on_delta)

    def tokens(self, text: str) -> int:
        """Return a bound that the tokens of a message with this text do not exceed."""
        return message_bound(text)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._backend.aclose()

    async def _complete(self, request: Request, on_delta: Callable[[Delta], None] | None) -> Reply:
        limit = float(request.options.get("timeout_s", TIMEOUT_S))
        until = self._clock.stamp() + round((limit - min(SPARE_S, limit / 10)) * 1e6)
        call = _Call(request, until)
        n, first = request.n, None
        while len(call.samples) < n:
            reply = await self._attempted(call, n if first is None else 1, on_delta)
            first = first or reply
            call.samples += reply.samples[: n - len(call.samples)]
            call.spend(reply.usage)
            on_delta = None  # of a draw that is asked for once more nobody could say which it is
        assert first is not None
        return Reply(
            tuple(call.samples), call.usage._replace(calls=1), dropped=request.head.dropped,
            attempts=tuple(call.attempts), request_id=first.request_id,
        )  # fmt: skip

    async def _attempted(self, call: "_Call", n: int, on_delta: Callable[[Delta], None] | None) -> Reply:
        gate = self._gate = self._gate or self._shared()
        for number in count(1):
            try:
                epoch = await gate.enter(call.until)
            except ModelError as closed:
                raise self._ended(closed, call, number - 1) from None
            try:
                reply = await self._backend.attempt(call.request, n, number, call.until, on_delta)
            except Failure as failure:
                gate.leave(epoch, slow=failure.slow, closed_s=_closing(failure))
                call.failed(failure)
                wait = pause(number, failure.wait, self._dice)
                beyond = wait > LONGEST_S or self._clock.stamp() + wait * 1e6 > call.until
                if number >= failure.attempts or beyond:
                    raise self._ended(failure.error, call, number) from None
                await self._sleep(wait)
            except BaseException:
                gate.leave(epoch)
                raise
            else:
                gate.leave(epoch, good=True)
                return reply
        raise AssertionError  # `count` has no end

    def _shared(self) -> Gate:
        backend = self._backend
        return gate_of(backend.origin, hash(backend.key), self._clock, self._sleep, self._most)

    def _ended(self, error: ModelError, call: "_Call", attempts: int) -> ModelError:
        error.usage = call.usage._replace(calls=1)
        return provided(error, self.spec.partition(":")[0], attempts)


def _closing(failure: Failure) -> float | None:
    """Return for how long a failure closes the gate; a time that nobody would wait for closes nothing."""
    return failure.wait if failure.wait is not None and failure.wait <= LONGEST_S else None


class _Call:
    """One call, as far as it has come: its draws, its failed attempts, and what all of it cost."""

    def __init__(self, request: Request, until: int) -> None:
        self.request, self.until = request, until
        self.samples: list[Sample] = []
        self.attempts: list[str] = []
        self.usage = Usage()

    def spend(self, usage: Usage | None) -> None:
        if usage is not None:
            self.usage += usage

    def failed(self, failure: Failure) -> None:
        status = f" {failure.error.status}" if failure.error.status else ""
        self.attempts.append(f"{type(failure.error).__name__}{status}")
        if failure.ran:
            prompt = request_bound(self.request)
            self.spend(Usage(0, 1, prompt, bound(failure.received), usd=None, estimated=True))
        else:
            self.spend(Usage(0, 1))
