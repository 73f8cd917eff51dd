"""How many requests are under way to one origin at once, and whether any may begin.

Rule 1: first come, first served.
Rule 2: a round of good replies allows one more at once; a reply that asks to slow down allows 0.7 times as many, and those
        that were sent before it was read count as one.
Rule 3: a time that the server names closes the gate for everybody.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from stratagem.core import Clock
from stratagem.errors import RateLimited

START, HOSTED, LOOPBACK = 16, 64, 256

Sleep = Callable[[float], Awaitable[object]]


class Gate:
    """The gate in front of one origin, for one key.

    Args:
        clock: tells the time.
        sleep: waits so many seconds.
        most: requests at once, however well it goes.

    Attributes:
        limit: requests at once, for now.
        inside: requests under way.
    """

    def __init__(self, clock: Clock, sleep: Sleep, most: int = HOSTED) -> None:
        self._clock, self._sleep, self._most = clock, sleep, most
        self.limit, self.inside = min(START, most), 0
        self._good = 0  # replies since the limit changed
        self._epoch = 0  # how often it was lowered
        self._closed = 0  # stamp until which nobody may begin
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, until: int) -> int:
        """Wait for a turn; return what `leave` needs. `RateLimited` if the gate stays closed beyond a stamp."""
        if self.inside >= self.limit or self._waiting:
            await self._turn()
        else:
            self.inside += 1
        try:
            while (left := self._closed - self._clock.stamp()) > 0:
                if self._closed > until:
                    seconds = left / 1e6
                    raise RateLimited(
                        f"the server is to be asked again in {seconds:.0f} s, which is beyond the time limit",
                        retry_after=seconds, attempts=0,
                    )  # fmt: skip
                await self._sleep(left / 1e6)
        except BaseException:
            self._out()
            raise
        return self._epoch

    def leave(self, epoch: int, *, good: bool = False, slow: bool = False, closed_s: float | None = None) -> None:
        """End a request: `good` if it brought a reply, `slow` if the server asks for less, for `closed_s` for nothing."""
        if slow and epoch == self._epoch:
            self.limit, self._good, self._epoch = max(1, int(self.limit * 0.7)), 0, self._epoch + 1
        if slow and closed_s is not None:
            self._closed = max(self._closed, self._clock.stamp() + round(closed_s * 1e6))
        if good:
            self._good += 1
            if self._good >= self.limit < self._most:
                self.limit, self._good = self.limit + 1, 0
        self._out()

    def _out(self) -> None:
        self.inside -= 1
        while self._waiting and self.inside < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.inside += 1
                turn.set_result(None)

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._out()  # it was this one's turn
            raise


_gates: "WeakValueDictionary[tuple[int, str, int], Gate]" = WeakValueDictionary()


def gate_of(origin: str, key: int, clock: Clock, sleep: Sleep, most: int) -> Gate:
    """Return the gate that all models of an event loop share for one origin and one key (its hash)."""
    place = (id(asyncio.get_running_loop()), origin, key)
    gate = _gates.get(place)
    if gate is None:
        gate = _gates[place] = Gate(clock, sleep, most)
    return gate
