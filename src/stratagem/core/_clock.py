"""Time, as a run sees it. Injectable, so that tests and virtual time need no waiting."""

import time
from contextlib import AbstractAsyncContextManager
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
        """Return `asyncio.timeout`."""
        return asyncio.timeout(seconds)
