"""How many requests are under way to one origin at once, and whether any may begin.

Rule 1: those that wait are let in by turns over the runs they belong to, and within a run in the order of asking.
Rule 2: a round of good replies allows one more at once; a reply that asks to slow down allows 0.7 times as many, and those
        that were sent before it was read count as one.
Rule 3: a time that the server names closes the gate for everybody; so does an empty bucket of requests or tokens. Whoever's
        turn it is waits at the gate, and the others behind.
Rule 4: while the server is taken to be down nobody waits: calls fail at once.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from stratagem.core import Clock
from stratagem.errors import RateLimited, UsageError
from stratagem.models.breaker import Breaker
from stratagem.models.rates import NO_LOAD, REQUESTS, TOKENS, Bucket, Load, told
from stratagem.models.retry import LONGEST_S

START, HOSTED, LOOPBACK = 16, 64, 256
FOREVER = 1 << 62  # a stamp

Sleep = Callable[[float], Awaitable[object]]


class Limits(NamedTuple):
    """What a user allows a provider; None is what the provider bears.

    Attributes:
        rpm: requests a minute.
        tpm: tokens a minute, prompts and replies together.
        concurrency: requests at once.
    """

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None


UNSET = Limits()


def limits_of(given: Mapping[str, Any] | None, prefix: str) -> Limits:
    """Return what a user has set for a provider: `{"openai": {"rpm": 500}}`; `UsageError` for what is no limit."""
    for name, values in (given or {}).items():
        if not isinstance(values, Mapping):
            raise UsageError(f"limits of {name!r} are a table of {', '.join(Limits._fields)}, got {values!r}")
        for key, value in values.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in Limits._fields:
                raise UsageError(f"limits of {name!r}: there is no {key!r}; there are {', '.join(Limits._fields)}")
            whole = str(key) == "concurrency"  # pyright: ignore[reportUnknownArgumentType]
            kind: Any = int if whole else (int, float)
            if not isinstance(value, kind) or isinstance(value, bool) or not 0 < value < math.inf:  # pyright: ignore[reportUnknownArgumentType]
                wanted = "a whole number from 1 up" if whole else "a number above 0"
                raise UsageError(f"limits of {name!r}: {key} must be {wanted}, got {value!r}")
    return Limits(**(given or {}).get(prefix, {}))


class Pass(NamedTuple):
    """What `Gate.leave` needs to know of one that entered.

    Attributes:
        epoch: how often the limit had been lowered.
        load: what it took.
        probe: whether it is the one that finds out whether the server is there again.
    """

    epoch: int
    load: Load = NO_LOAD
    probe: bool = False


THROUGH, KEEPER, DOWN = range(3)  # what a turn is: it went through; it waits at the gate; there is none, it fails
_Turn = tuple["asyncio.Future[int]", Load]  # with what it will take


class Gate:
    """The gate in front of one origin, for one key.

    Args:
        clock: tells the time.
        sleep: waits so many seconds.
        most: requests at once, however well it goes.
        limits: that the user has set.

    Attributes:
        limit: requests at once, for now.
        inside: requests under way.
        breaker: says whether the server is down.
    """

    def __init__(self, clock: Clock, sleep: Sleep, most: int = HOSTED, limits: Limits = UNSET) -> None:
        self._clock, self._sleep = clock, sleep
        self._most = limits.concurrency or most
        self.limit, self.inside = limits.concurrency or min(START, most), 0
        self.breaker = Breaker(clock)
        self._good = 0  # replies since the limit changed
        self._epoch = 0  # how often it was lowered
        self._closed = 0  # stamp until which nobody may begin
        self._keeper = False  # whether somebody has a turn and waits at the gate for the time
        self._under_way = NO_LOAD  # that was taken and not settled
        now = clock.stamp()
        self._own = {kind: Bucket(size, now) for kind, size in ((REQUESTS, limits.rpm), (TOKENS, limits.tpm)) if size}
        self._server: dict[str, Bucket] = {}
        self._waiting: dict[str, deque[_Turn]] = {}  # by run
        self._rota: deque[str] = deque()  # runs that wait, but for the last one served
        self._last = ""

    @property
    def weighs(self) -> bool:
        """Whether tokens are counted."""
        return any(kind != REQUESTS for kind in (*self._own, *self._server))

    def pass_at_once(self, run: str) -> Pass | None:
        """Return what `enter` would, if nothing is counted and nobody waits; else None."""
        free = not (self._waiting or self._keeper or self._closed or self._own or self._server or self.breaker.is_open)
        if not free or self.inside >= self.limit:
            return None
        self.inside, self._last = self.inside + 1, run
        return Pass(self._epoch)

    async def enter(self, until: int, run: str = "", load: Load = NO_LOAD, patience_s: float = LONGEST_S) -> Pass:
        """Wait for a turn; return what `leave` needs.

        Args:
            until: stamp by which it must have its turn.
            run: that it belongs to.
            load: what it will take, as far as is known.
            patience_s: how long it bears to wait because the server says so.

        Raises:
            RateLimited: the gate stays closed beyond the stamp, or the server names a time that nobody waits for.
            Unavailable: the server is taken to be down.
        """
        while True:
            if self.breaker.is_open:
                return self._found_out(load)
            if not (self._waiting or self._keeper or self.inside >= self.limit):
                self.inside, self._last, self._keeper = self.inside + 1, run, True
                break
            turn = await self._turn(run, load)
            if turn == THROUGH:
                return Pass(self._epoch, load)
            if turn == KEEPER:
                break  # else the server was down: if it has answered since, it is there for as many as before
        probe = False
        try:
            while not probe and (left := self._left_s(load, until, patience_s)) > 0:
                await self._sleep(left)
                probe = self.breaker.check()  # that one finds out for all, whatever the buckets say: it waits no more
        except BaseException:
            self._keeper = False
            self._out()
            raise
        self._keeper = False
        self._take(load)
        if self._waiting:
            self._serve()
        return Pass(self._epoch, load, probe)

    def _found_out(self, load: Load) -> Pass:
        """Let the one through that finds out whether the server is there again; it waits for nobody. Others fail."""
        probe = self.breaker.check()
        self.inside += 1
        self._take(load)
        return Pass(self._epoch, load, probe)

    def leave(
        self,
        entered: Pass,
        *,
        good: bool = False,
        slow: bool = False,
        closed_s: float | None = None,
        used: Load | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """End a request. How it ended is to be told to the breaker before.

        Args:
            entered: what `enter` returned.
            good: whether it brought a reply.
            slow: whether the server asks for less.
            closed_s: for how many seconds it asks for nothing at all.
            used: what it took; None is what was expected.
            headers: of the answer, if there was one.
        """
        if slow and entered.epoch == self._epoch:
            self.limit, self._good, self._epoch = max(1, int(self.limit * 0.7)), 0, self._epoch + 1
        if slow and closed_s is not None:
            self._closed = max(self._closed, self._clock.stamp() + round(closed_s * 1e6))
        if good:
            self._good += 1
            if self._good >= self.limit < self._most:
                self.limit, self._good = self.limit + 1, 0
        if entered.probe:
            self.breaker.gone()  # whatever became of it
        self._settled(entered.load)
        self._counted(entered.load, used, headers)
        self._out()

    def _settled(self, load: Load) -> None:
        if load is not NO_LOAD:
            prompt, completion, _ = self._under_way
            self._under_way = Load(prompt - load.prompt, completion - load.completion)

    def _counted(self, expected: Load, used: Load | None, headers: Mapping[str, str] | None) -> None:
        """Put right what a request has taken out of the buckets."""
        now = self._clock.stamp()
        if used is not None:
            for buckets in (self._own, self._server):
                for kind, bucket in buckets.items():
                    bucket.take(used.of(kind) - expected.of(kind), now)
        for kind, said in (told(headers, self._clock.wall()) if headers else {}).items():
            if kind not in self._server:
                self._server[kind] = Bucket(said.limit, now)
                self._server[kind].level = said.remaining
            way = self.inside - 1 if kind == REQUESTS else self._under_way.of(kind)
            self._server[kind].hear(said, way, now)

    def _take(self, load: Load) -> None:
        """Take a request out of the buckets."""
        if load is not NO_LOAD:
            prompt, completion, _ = self._under_way
            self._under_way = Load(prompt + load.prompt, completion + load.completion)
        if self._own or self._server:
            now = self._clock.stamp()
            for buckets in (self._own, self._server):
                for kind, bucket in buckets.items():
                    bucket.take(load.of(kind), now)

    def _left_s(self, load: Load, until: int = FOREVER, patience_s: float = math.inf) -> float:
        """Return for how many seconds nobody may begin what takes so much; raise if that is too long."""
        if not (self._closed or self._own or self._server):
            return 0.0
        now = self._clock.stamp()
        own, theirs = (
            max((bucket.wait_s(load.of(kind), now) for kind, bucket in buckets.items()), default=0.0)
            for buckets in (self._own, self._server)
        )
        theirs = max(theirs, (self._closed - now) / 1e6)
        left = math.ceil(max(own, theirs) * 1e6) / 1e6
        if left > 0 and (now + left * 1e6 > until or theirs > patience_s):
            what = "the server is to be asked again" if theirs >= own else "the rate that you have set allows a call"
            error = RateLimited(f"{what} in {left:.0f} s, which is beyond the time limit", retry_after=left, attempts=0)
            error.out_of_time = own > theirs  # the provider has no part in it
            raise error
        return max(0.0, left)

    def _out(self) -> None:
        self.inside -= 1
        if self._waiting:
            self._serve()

    def _serve(self) -> None:
        """Give turns to those that wait, as far as there may be some."""
        down = self.breaker.is_open
        while self._waiting and (down or (not self._keeper and self.inside < self.limit)):
            turn, load = self._next()
            if turn.done():
                continue
            if down:
                turn.set_result(DOWN)
                continue
            self.inside += 1
            if self._left_s(load) > 0:
                self._keeper = True  # it waits at the gate, and all others behind it
                turn.set_result(KEEPER)
            else:
                self._take(load)
                turn.set_result(THROUGH)

    def _next(self) -> "_Turn":
        """Return the first of the run whose turn it is; the run that was served last comes after all others."""
        if self._last in self._waiting:
            self._rota.append(self._last)
        self._last = self._rota.popleft()
        mine = self._waiting[self._last]
        turn = mine.popleft()
        if not mine:
            del self._waiting[self._last]
        return turn

    async def _turn(self, run: str, load: Load) -> int:
        """Wait in the queue; return how it ended: `THROUGH`, `KEEPER` or `DOWN`."""
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if run not in self._waiting:
            self._waiting[run] = deque()
            if run != self._last:
                self._rota.append(run)
        self._waiting[run].append((turn, load))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() != DOWN:  # it was this one's turn
                if turn.result() == KEEPER:
                    self._keeper = False
                else:
                    self._settled(load)
                    self._counted(load, NO_LOAD, None)
                self._out()
            raise


_gates: "WeakValueDictionary[tuple[int, str, int, Limits], Gate]" = WeakValueDictionary()


def gate_of(origin: str, key: int, clock: Clock, sleep: Sleep, most: int, limits: Limits = UNSET) -> Gate:
    """Return the gate that all models of an event loop share for one origin, one key (its hash) and one set of limits."""
    place = (id(asyncio.get_running_loop()), origin, key, limits)
    gate = _gates.get(place)
    if gate is None:
        gate = _gates[place] = Gate(clock, sleep, most, limits)
    return gate
