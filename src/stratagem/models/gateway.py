"""A model behind a wire: attempts, waits, limits and what they cost. Each attempt is one HTTP request.

Rule 1: every attempt is ours and counts in `Usage.requests`; what may have run is billed, as estimated, and so is what was
        under way when the call was cancelled.
Rule 2: no wait between attempts goes beyond `timeout_s` or what the budgets leave: what would is raised at once. Waiting
        for a turn does not count against `timeout_s`.
Rule 3: a reply with fewer draws than were asked for is not lost: the rest is asked for one by one.
Rule 4: what a server was thought to honour and does not is corrected, for as long as the model is open.
Rule 5: under a limit of money no attempt follows once failed ones have cost what was reserved for the call.
Rule 6: a key that comes back in a reply is taken out of it, and of its pieces, before anybody sees them.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Protocol

from stratagem.core import Capabilities, Clock, Delta, Reply, Request, Sample, SystemClock, Usage
from stratagem.errors import CapabilityError, ModelError, StratagemError
from stratagem.models.breaker import down
from stratagem.models.call import SPARE_S, Call
from stratagem.models.compatible_body import closed
from stratagem.models.echoes import Pieces, sample_without
from stratagem.models.keys import Key, loopback
from stratagem.models.limits import HOSTED, LOOPBACK, UNSET, Gate, Pass, Sleep, gate_of, limits_of
from stratagem.models.prices import Price, listable, listed_price, own_price, table
from stratagem.models.rates import NO_LOAD, Load
from stratagem.models.retry import LONGEST_S, Failure, late, pause
from stratagem.models.tokens import message_bound, prompt_bound, report


class Backend(Protocol):
    """What a gateway stands in front of: one provider's form of a request, and one attempt at it.

    Attributes:
        origin: scheme, host and port that requests go to.
        key: what authorises them, and where it may go.
        capabilities: what the model honours.
        steady: whether what it reports of a prompt is all of it, and holds for the beginning of a longer one. It does
            not where a chat template may write the same turns otherwise later.
    """

    origin: str
    key: Key
    steady: bool
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
        keeps_time: says to the core that `timeout_s` is kept to here, where waiting for a turn is not counted.
        priced_by: where its price comes from: `own`, or the table and its version; empty if it is unknown.
        clock: as given.
    """

    keeps_time = True

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
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._sleep, self._dice, self._gate, self._limits = sleep, dice, gate, UNSET
        self._most = LOOPBACK if loopback(backend.origin) else HOSTED
        self._backend = backend
        self._price: Price | None = None
        self._learning: asyncio.Future[Price | None] | None = None
        self._full = False
        self._learnt = not listable(spec, backend.origin)
        self.priced_by = "" if self._learnt else table()

    def __repr__(self) -> str:
        return f"Gateway({self.spec!r})"

    def configure(self, prices: Mapping[str, Any] | None, limits: Mapping[str, Any] | None) -> None:
        """Take what a user has set, before the first call: prices by spec, limits by the prefix of specs.

        Raises:
            UsageError: what is set is no price, or no limit.
        """
        self._limits = limits_of(limits, self.spec.partition(":")[0])
        if (price := own_price(prices, self.spec)) is not None:
            self._learnt = True
            self._priced(price)

    def price_in_full(self) -> None:
        """Price every prompt as if no cache of the provider's had known or kept any of it.

        Else a call costs less if another has asked the like before it, whoever that was.
        """
        self._full = True

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that the provider does not honour, and `media` for attachments that it cannot read."""
        return self._backend.refuses(request)

    def complete(self, request: Request, *, on_delta: Callable[[Delta], None] | None = None) -> Awaitable[Reply]:
        """Answer a request.

        Raises:
            ModelError: after all attempts; `usage` of the error says what they cost.
            CapabilityError: there is no key; or, with its `usage`, what came lacks what was asked for.
        """
        if self.lacks is not None:
            raise self.lacks
        return self._complete(request, on_delta)

    def tokens(self, text: str) -> int:
        """Return a bound that the tokens of a message with this text do not exceed."""
        return message_bound(text)

    def prompt_bound(self, request: Request) -> int:
        """Return a bound that the tokens of a request's prompt do not exceed."""
        return prompt_bound(request, self.spec)

    async def learn(self) -> None:
        """Find out what the model costs, in a thread: `capabilities.priced` and `worth` say so then."""
        if self._learnt:
            return
        if self._learning is None:
            self._learning = asyncio.ensure_future(asyncio.to_thread(listed_price, self.spec, self._backend.origin))
        price = await asyncio.shield(self._learning)
        self._learnt = True
        if price is not None:
            self._priced(price)
        else:
            self.priced_by = ""

    async def aclose(self) -> None:
        """Close all connections."""
        if self._learning is not None:
            await asyncio.gather(self._learning, return_exceptions=True)
        await self._backend.aclose()

    def _priced(self, price: Price) -> None:
        self._price, self.priced_by = price, price.source
        self.capabilities.priced, self.capabilities.worth = True, self._worth

    def _worth(self, prompt: int, completion: int) -> int:
        rates = self._price and self._price.rates(self.clock.wall())
        return rates.most(prompt, completion) if rates else 0

    async def _complete(self, request: Request, on_delta: Callable[[Delta], None] | None) -> Reply:
        await self._backend.key.ready()  # before anything is begun: it is known then whether there is one, and which
        call = Call(request, self.clock.stamp(), on_delta, self.spec)
        learning = None if self._learnt else asyncio.ensure_future(self.learn())  # while the server thinks
        try:
            reply = await self._drawn(call)
            if learning is not None:
                await learning
        except (ModelError, CapabilityError) as error:
            if not self._learnt:
                await self.learn()
            error.usage = self._bill(call)
            raise
        except asyncio.CancelledError as left:
            vars(left)["usage"] = self._bill(call)
            raise
        finally:
            if learning is not None:
                learning.cancel()  # of the wait for it; the look-up itself goes on
        if via := call.via():
            reply.samples[0].via = via
        reply.usage = self._bill(call)
        return reply

    async def _drawn(self, call: Call) -> Reply:
        """Return all draws; what they cost is in the call."""
        request, first = call.request, None
        while len(call.samples) < request.n:
            try:
                reply = await self._attempted(call, request.n if first is None else 1)
            except ModelError as error:
                call.tell(error)
                raise
            if first is None and len(reply.samples) < request.n:
                self._correct(call, "native_n")
            first = first or reply
            call.samples += reply.samples[: request.n - len(call.samples)]
            call.hear = None  # of a draw that is asked for once more nobody could say which it is
        assert first is not None
        if self.capabilities.schema == "constrained" and _unconstrained(request, call.samples):
            self._correct(call, "schema")
        return Reply(
            tuple(call.samples), dropped=request.head.dropped, attempts=tuple(call.attempts),
            request_id=first.request_id,
        )  # fmt: skip

    async def _attempted(self, call: Call, n: int) -> Reply:
        """Return the reply to a request for `n` draws, after as many attempts as it takes."""
        gate = self._gate = self._gate or self._shared()
        for number in count(1):
            try:
                entered = await self._entered(gate, call)
            except ModelError as closed_gate:
                raise self._ended(closed_gate, number - 1) from None
            try:
                reply = await self._once(call, n, number)
            except Failure as failure:
                _left(gate, entered, failure)
                call.failed(failure)
                await self._paused(call, failure, number)
            except BaseException:
                gate.leave(entered)
                raise
            else:
                gate.breaker.answered()
                if self._backend.steady:
                    report(call.request, self.spec, reply.usage)
                usage = reply.usage or Usage()
                used = None if reply.usage is None else _load_of(usage)
                gate.leave(entered, good=True, used=used, headers=reply.headers)
                call.parts.append(usage)
                return reply
        raise AssertionError  # `count` has no end

    async def _entered(self, gate: Gate, call: Call) -> Pass:
        """Return once it is the call's turn; the time that it waited is not counted."""
        at_once = gate.pass_at_once(call.request.run)
        if at_once is not None:
            return at_once
        begun = self.clock.stamp()
        patience = min(LONGEST_S, max(0.0, (call.until - begun) / 1e6))
        entered = await gate.enter(call.ends, call.request.run, call.load() if gate.weighs else NO_LOAD, patience)
        call.until = min(call.ends, call.until + self.clock.stamp() - begun)
        return entered

    async def _once(self, call: Call, n: int, number: int) -> Reply:
        """Make one attempt; it ends in time, whatever the backend does."""
        left = (call.until - self.clock.stamp()) / 1e6
        key = self._backend.key
        pieces = Pieces(call.hear, key) if call.hear is not None and key.secret else None
        call.begin()
        try:
            async with self.clock.limit(left + SPARE_S):
                reply = await self._backend.attempt(call.request, n, number, call.until, pieces or call.hear)
        except TimeoutError:
            raise call.over(late(f"{self.spec} did not answer within {max(left, 0):g} s", call.received)) from None
        except Failure as failure:
            if failure.over:
                call.over(failure)
            raise
        call.sent = False
        if pieces is not None:
            pieces.end()
        if key.secret:
            reply.samples = tuple(sample_without(one, key) for one in reply.samples)
        return reply

    async def _paused(self, call: Call, failure: Failure, number: int) -> None:
        """Wait until another attempt may follow; raise what it was if none may."""
        wait = pause(number, failure.wait, self._dice)
        beyond = wait > LONGEST_S or self.clock.stamp() + wait * 1e6 >= call.until
        if number >= failure.attempts or beyond:
            raise self._ended(failure.error, number) from None
        room = call.request.room
        if failure.ran and room is not None and not room.covers(self._bill(call)):
            raise self._ended(failure.error, number) from None
        await self._sleep(wait)

    def _shared(self) -> Gate:
        backend = self._backend
        gate = gate_of(backend.origin, hash(backend.key), self.clock, self._sleep, self._most, self._limits)
        gate.breaker.what = f"the server at {backend.origin}"
        return gate

    def _correct(self, call: Call, what: str) -> None:
        """Correct what the server was thought to honour."""
        if what == "schema":
            self.capabilities.schema = "advisory"
        else:
            self.capabilities.native_n = False
        call.corrected.append(what)

    def _bill(self, call: Call) -> Usage:
        """Return what a call has cost so far, with an attempt that is under way."""
        rates = None if self._price is None else self._price.rates(self.clock.wall())
        parts = call.all_parts()
        if len(parts) == 1 and parts[0].calls == 1 and rates is None:
            return parts[0]
        total = Usage()
        for part in parts:
            if part.usd is None and rates is not None:
                priced = part._replace(cached_tokens=0, cache_written_tokens=0) if self._full else part
                total += part._replace(usd=rates.nano(priced) / 1e9)
            else:
                total += part
        return total._replace(calls=1, unpriced=0)

    def _ended(self, error: StratagemError, attempts: int) -> StratagemError:
        if isinstance(error, ModelError):
            error.provider, error.attempts = self.spec.partition(":")[0], attempts
        return error


def _load_of(usage: Usage) -> Load:
    return Load(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


def _left(gate: Gate, entered: Pass, failure: Failure) -> None:
    """Tell a gate how an attempt failed."""
    if isinstance(failure.error, ModelError) and down(failure.error) and not failure.alive:
        gate.breaker.failed()
    else:
        gate.breaker.answered()
    closing = failure.wait if failure.wait is not None and failure.wait <= LONGEST_S else None  # what nobody waits for
    used = (None if failure.ran else NO_LOAD) if failure.usage is None else _load_of(failure.usage)
    gate.leave(entered, slow=failure.slow, closed_s=closing, used=used, headers=failure.headers)


def _unconstrained(request: Request, samples: list[Sample]) -> bool:
    """Return whether a reply that was to be constrained to a schema is no JSON at all."""
    if request.head.schema is None or not closed(request.head.schema):
        return False
    return any(one.finish == "stop" and not one.calls and not _is_json(one.text) for one in samples)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
