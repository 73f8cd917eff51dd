"""The events of a run, one by one, while it runs."""

from collections.abc import Callable, Coroutine
from typing import Any

from stratagem.core import Answer, Event, Listener
from stratagem.core._events import Buffer
from stratagem.core._late import asyncio


class Stream:
    """An async iterator over the events of a run; the last one, `run.finished`, carries the answer.

    Leaving the loop does not cancel the run; `aclose` does.
    """

    def __init__(self, begin: Callable[[Listener], Coroutine[Any, Any, Answer]]) -> None:
        self._waiting, self._news, self._over = Buffer(), asyncio.Event(), False
        self._driving = asyncio.ensure_future(begin(self._hear))
        self._driving.add_done_callback(self._ended)

    def _hear(self, event: Event) -> None:
        self._waiting.put(event)
        self._news.set()

    def _ended(self, driving: "asyncio.Future[Answer]") -> None:
        if not driving.cancelled():
            driving.exception()  # raised to whoever still reads; nobody else has to
        self._news.set()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        while not self._waiting.events and not self._driving.done():
            self._news.clear()
            await self._news.wait()
        event = self._waiting.events.popleft() if self._waiting.events else None
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
