"""Virtual time: an event loop whose clock jumps to the next timer, so that simulated latency costs no waiting.

What is measured with it is the critical path: everything that could go on side by side took no longer than its slowest.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from stratagem.core import SystemClock

T = TypeVar("T")
MOST_TURNS = 1_000  # of a loop between two looks, where it waits for something real
EPOCH = 1_767_225_600.0  # where the wall clock of virtual time begins: 2026-01-01, so that equal runs are equal


class _Jumping(selectors.BaseSelector):
    """A selector that never waits: it says how long it would have waited, and returns what is ready."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.skipped = 0.0
        self.turns = 0  # of the loop

    def select(self, timeout: float | None = None) -> Any:
        self.turns += 1
        if timeout is not None and timeout > 0:
            ready = self._real.select(0)
            if not ready:
                self.skipped += timeout
            return ready
        return self._real.select(timeout)

    def register(self, fileobj: Any, events: Any, data: Any = None) -> Any:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> Any:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: Any, data: Any = None) -> Any:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0."""

    def __init__(self) -> None:
        self.jumping = _Jumping()
        self._looked = 0.0, 0
        super().__init__(self.jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self.jumping.skipped

    def spun(self) -> bool:
        """Return whether it has turned without end since this was asked last, and no time has passed: nobody waits there."""
        before, self._looked = self._looked, (self.jumping.skipped, self.jumping.turns)
        return self._looked[0] == before[0] and self._looked[1] - before[1] > MOST_TURNS

    def restart(self) -> None:
        """Begin at 0 again: what is measured from here does not depend on how late it had become."""
        self.jumping.skipped = 0.0


class VirtualClock(SystemClock):
    """The clock of a session that runs in a `VirtualLoop`."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def wall(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]  (a method may replace a function)
        """Return seconds since 1970, as if the loop had begun at `EPOCH`."""
        return EPOCH + self._loop.time()

    def stamp(self) -> int:
        """Return the virtual time in microseconds."""
        return round(self._loop.jumping.skipped * 1e6)

    def limit(self, seconds: float) -> AbstractAsyncContextManager[Any]:
        """Return a time limit in virtual time."""
        return super().limit(seconds)


def run_virtually(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """Run a coroutine to its end in virtual time."""
    return loop.run_until_complete(main)
