"""Ctrl-C: once stops the run cleanly, twice leaves now. SIGTERM counts as Ctrl-C.

Rule: leaving at once is safe at any moment, because what the program has seen is durable in the journal. The short wait
only lets what is queued be written too.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from types import FrameType, TracebackType
from typing import Any

from stratagem.cli._ends import CANCELLED

PATIENCE_S = 1.0  # for the journal, at the second Ctrl-C
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Handles the two signals while a run is driven.

    Args:
        flush: writes what is queued in the journal.
        tidy: puts the terminal back in order; called just before the process ends at once.

    Attributes:
        driving: the task that made this object.
        stop: stops the run; called in the event loop.
        count: how often a signal came.
    """

    def __init__(self, flush: Callable[[], Awaitable[None]], tidy: Callable[[], None]) -> None:
        self._flush, self._tidy = flush, tidy
        driving = asyncio.current_task()
        assert driving is not None
        self.driving: asyncio.Task[Any] = driving
        self.stop: Callable[[], Any] = driving.cancel  # until there is something better to stop
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._before: dict[signal.Signals, Any] = {}
        self._last: asyncio.Task[None] | None = None

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():  # elsewhere Python delivers no signals
            self._before = {number: signal.signal(number, self._came) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.count:
            return  # what is left to do is short, and the second Ctrl-C still leaves at once
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  (what Python hands over)
        self.count += 1
        if self.count == 1:
            self._loop.call_soon_threadsafe(lambda: self.stop())
            return
        # The loop may be held up by the very thing that the user wants to leave, so a thread watches the clock.
        watch = threading.Timer(PATIENCE_S, self._leave)
        watch.daemon = True
        watch.start()
        try:
            self._loop.call_soon_threadsafe(self._begin_to_leave)
        except RuntimeError:  # the loop has ended, and with it all that could be flushed
            self._leave()

    async def leaving(self) -> None:
        """Return at once, unless somebody wants to leave now: then nothing else may end the process first."""
        if self.count > 1:
            await self._begin_to_leave()

    def _begin_to_leave(self) -> "asyncio.Task[None]":
        if self._last is None:
            self._last = self._loop.create_task(self._flushed())
        return self._last

    async def _flushed(self) -> None:
        with contextlib.suppress(Exception):
            await self._flush()
        self._leave()

    def _leave(self) -> None:
        with contextlib.suppress(Exception):
            self._tidy()
            sys.stderr.flush()
        os._exit(CANCELLED)
