"""Time, as a run sees it. Injectable, so that tests and virtual time need no waiting."""

import heapq
import math
import time
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol

from stratagem.core._late import asyncio


class Clock(Protocol):
    """What tells the time."""

    def wall(self) -> float:
        """Return seconds since 1970 in UTC."""
        ...

    def stamp(self) -> int:
        """Return microseconds that never go back."""
        ...

    def limit(self, seconds: float) -> AbstractAsyncContextManager[Any]:
        """Return a context that raises `TimeoutError` once the seconds have passed."""
        ...


class SystemClock:
    """The machine's clock."""

    wall = staticmethod(time.time)

    def stamp(self) -> int:
        """Return the monotonic clock in microseconds."""
        return time.monotonic_ns() // 1000

    def limit(self, seconds: float) -> AbstractAsyncContextManager[Any]:
        """Return what does as `asyncio.timeout` does, at less cost where thousands are open at once."""
        return Limit(seconds)


class Deadlines:
    """The time limits of one event loop, nearest first, and the one timer that is set for the nearest.

    `asyncio.timeout` sets a timer of its own per use. A cancelled timer stays in the loop's heap until half of them
    are, and every step through that heap is Python code. Here a step compares two tuples, and what stays of a limit
    that was left holds no task.
    """

    __slots__ = ("_armed", "_heap", "_left", "_loop", "_number", "_timer")

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Limit]] = []
        self._number = 0  # of limits so far: of two for one moment the first comes first
        self._left = 0  # of those in the heap
        self._armed = math.inf  # when the timer rings: never after the nearest limit
        self._timer: asyncio.TimerHandle | None = None

    def add(self, limit: "Limit", seconds: float) -> None:
        """Let a limit expire after so many seconds."""
        when = self._loop.time() + seconds
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, limit))
        if when < self._armed:
            self._arm(when)

    def leave(self) -> None:
        """Count a limit that was left before it expired; where most were, they are thrown out."""
        self._left += 1
        if self._left > 64 and self._left * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2].task is not None]
            heapq.heapify(self._heap)
            self._left = 0

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed, self._timer = when, self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        heap, now = self._heap, max(self._loop.time(), self._armed)  # a loop may ring a tick of its clock too early
        self._armed, self._timer = math.inf, None
        while heap and (heap[0][0] <= now or heap[0][2].task is None):
            limit = heapq.heappop(heap)[2]
            if limit.task is None:
                self._left -= 1
            limit.expire()
        if heap:
            self._arm(heap[0][0])


_deadlines: "dict[asyncio.AbstractEventLoop, Deadlines]" = {}


def _deadlines_of(loop: "asyncio.AbstractEventLoop") -> Deadlines:
    """Return the time limits of a loop that is new here, and forget those of loops that are closed."""
    for closed in [other for other in _deadlines if other.is_closed()]:
        _deadlines.pop(closed, None)
    return _deadlines.setdefault(loop, Deadlines(loop))


class Limit:
    """A context like `asyncio.timeout(seconds)`: of what cancels its task, its own end alone becomes `TimeoutError`."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_seconds", "task")

    def __init__(self, seconds: float) -> None:
        self._seconds, self._expired = seconds, False
        self._deadlines: Deadlines | None = None
        self.task: asyncio.Task[Any] | None = None  # while it is open

    async def __aenter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit is used inside a task")
        self.task, self._cancelling = task, task.cancelling()
        if self._seconds <= 0:
            loop.call_soon(self.expire)  # a timer would ring after what is ready by then
        else:
            self._deadlines = _deadlines.get(loop) or _deadlines_of(loop)
            self._deadlines.add(self, self._seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, _: TracebackType | None
    ) -> None:
        task, self.task = self.task, None
        assert task is not None
        if not self._expired:
            if self._deadlines is not None:
                self._deadlines.leave()
        elif task.uncancel() <= self._cancelling and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from failure

    def expire(self) -> None:
        """Cancel the task, if the limit is still open."""
        if self.task is not None:
            self._expired = True
            self.task.cancel()
