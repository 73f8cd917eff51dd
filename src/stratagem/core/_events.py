"""Events: what viewers, exporters and progress displays read. Built only if somebody listens.

Rule: a listener can slow nothing and break nothing. It has a bounded queue of its own; what does not fit is dropped
and counted; its first exception is reported once, and it is not called again.
"""

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from stratagem.core._canonical import Json
from stratagem.core._late import asyncio, inspect

SCHEMA = 1
ROOM = 10_000  # events that may wait for one listener

TYPES = (
    "run.started", "run.finished", "effect.requested", "effect.finished", "scope.opened", "scope.closed", "note",
    "budget.refused", "policy.decided", "text.delta", "question.asked", "events.dropped",
)  # fmt: skip
ENVELOPE = frozenset({"schema", "type", "run", "number", "at", "scope", "kind"})  # what no note's data may be called


class Event:
    """Something that happened in a run.

    Attributes:
        type: one of `TYPES`.
        run_id: the run.
        number: counts the events of this run in this process, from 1; what was dropped leaves a gap.
        at: seconds since 1970.
        scope: scope path.
        data: facts, as JSON; `run.finished` has the answer itself under `answer`.
    """

    __slots__ = ("at", "data", "number", "run_id", "scope", "type")

    def __init__(self, type: str, run_id: str, number: int, at: float, scope: str, data: dict[str, Any]) -> None:  # noqa: A002
        self.type, self.run_id, self.number, self.at, self.scope, self.data = type, run_id, number, at, scope, data

    def __repr__(self) -> str:
        return f"Event({self.type}, {self.scope!r}, {self.data})"

    def plain(self) -> Json:
        """Return the event as JSON: one line of `--jsonl`."""
        data = {name: value.plain() if hasattr(value, "plain") else value for name, value in self.data.items()}
        return {"schema": SCHEMA, "type": self.type, "run": self.run_id, "number": self.number, "at": round(self.at, 3),
                "scope": self.scope, **data}  # fmt: skip


Listener = Callable[[Event], Any]


class Buffer:
    """Events that wait for one reader: at most `ROOM` of them. What does not fit is counted, and said at its place.

    The end of a run always fits.
    """

    __slots__ = ("dropped", "events")

    def __init__(self) -> None:
        self.dropped = 0
        self.events: deque[Event] = deque()

    def put(self, event: Event) -> None:
        """Queue an event, or count it."""
        if len(self.events) >= ROOM and event.type != "run.finished":
            self.dropped += event.data["count"] if event.type == "events.dropped" else 1  # what an earlier reader lost
            return
        if self.dropped:
            lost, self.dropped = {"count": self.dropped}, 0
            self.events.append(Event("events.dropped", event.run_id, event.number, event.at, "", lost))
        self.events.append(event)


class Feed:
    """Hands events to one listener, in order, from a task of its own."""

    __slots__ = ("_broken", "_listener", "_task", "_waiting", "_wake")

    def __init__(self, listener: Listener) -> None:
        self._listener, self._waiting = listener, Buffer()
        self._wake: asyncio.Event = asyncio.Event()
        self._broken = False
        self._task: asyncio.Task[None] | None = None

    def put(self, event: Event) -> None:
        """Queue an event; never waits."""
        if self._broken:
            return
        self._waiting.put(event)
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        events = self._waiting.events
        while True:
            await self._wake.wait()
            self._wake.clear()
            while events:
                event = events.popleft()
                await self._hand(event)
                if self._broken or event.type == "run.finished":
                    events.clear()
                    return

    async def _hand(self, event: Event) -> None:
        try:
            made = self._listener(event)
            if inspect.isawaitable(made):
                await made
        except asyncio.CancelledError:
            raise
        except BaseException as failure:  # noqa: BLE001  (foreign code must not reach the run, by `sys.exit` neither)
            self._broken = True
            print(f"stratagem: a listener failed and is not called again: {failure!r}", file=sys.stderr)

    async def aclose(self, patience_s: float = 1.0) -> None:
        """Wait a moment until what is queued was handed over, then stop."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
