"""The events of a run, one by one, while it runs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from stratagem.core import Answer, Event, Listener


class Stream:
    """An async iterator over the events of a run; the last one, `run.finished`, carries the answer.

    Leaving the loop does not cancel the run; `aclose` does.
    """

    def __init__(self, begin: Callable[[Listener], Coroutine[Any, Any, Answer]]) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._driving = asyncio.ensure_future(begin(self._queue.put_nowait))
        self._driving.add_done_callback(self._ended)
        self._over = False

    def _ended(self, driving: "asyncio.Future[Answer]") -> None:
        if not driving.cancelled():
            driving.exception()  # raised to whoever still reads; nobody else has to
        self._queue.put_nowait(None)

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        event = await self._queue.get()
        self._over = event is None or event.type == "run.finished"
        if self._over:
            await self._driving  # raises what the run raised
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Cancel the run, if it still runs, and wait for its end."""
        self._over = True
        if not self._driving.done():
            self._driving.cancel()
        await asyncio.gather(self._driving, return_exceptions=True)
