"""Group commit: what queued while the last commit ran is the next transaction. One thread, no timer, no minimum.

Rule 1: everything here belongs to the event loop's thread, except `_work`, which runs in the writer thread and touches
        the store only. At any time either the writer thread has a batch (`_busy`) or the loop may use the store.
Rule 2: order is the order of the calls, for writes and reads alike.
Rule 3: the futures of a batch are resolved by one callback in the loop.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Generator, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol, TypeVar

from stratagem.core import Row
from stratagem.errors import JournalError

T = TypeVar("T")

APART = ("call", "join")  # what is no write of a row or a record
MOST_HELD = 1000  # decisions that wait for a later row before the writer is woken for them

# A larger row would stop the loop for longer than the hand-over to the thread takes.
INLINE = 64 * 1024


class Joined(NamedTuple):
    """A call about one run that a store may do together with others.

    Attributes:
        verb: `find load claim answer`.
        run_id: the run.
        given: what else it takes.
    """

    verb: str
    run_id: str
    given: tuple[Any, ...] = ()


class Write:
    """A row or a record on its way. Await it to know that it is durable, or why it is not."""

    __slots__ = ("done", "error", "result", "run_id", "verb", "waiters", "what", "writer")

    def __init__(self, verb: str, run_id: str, what: Any, writer: "Writer") -> None:
        self.verb = verb  # what to do with a row or a record, or `call`, or `join`
        self.run_id = run_id
        self.what = what
        self.writer = writer
        self.done = False
        self.error: Exception | None = None
        self.result: Any = None  # what those who wait are told, beside that it is done
        self.waiters: list[asyncio.Future[None]] | None = None

    def __await__(self) -> Generator[Any, None, None]:
        if not self.done:
            self.writer.wake()
            waiter = asyncio.get_running_loop().create_future()
            if self.waiters is None:
                self.waiters = [waiter]
            else:
                self.waiters.append(waiter)
            yield from waiter
        if self.error is not None:
            raise again(self.error)

    def settle(self) -> None:
        """Let go of all who wait."""
        self.done = True
        if self.waiters is not None:
            for waiter in self.waiters:
                # Cancelled, or of a loop that is gone: then nobody waits for it.
                if not waiter.done() and not waiter.get_loop().is_closed():
                    waiter.set_result(None)
            self.waiters = None


def again(error: Exception) -> Exception:
    """Return a copy to raise: many may wait for what one error stopped, each with a traceback of its own."""
    if not isinstance(error, JournalError):
        return error
    copy = type(error)(str(error), remedy=error.remedy)
    copy.__cause__ = error.__cause__
    return copy


class Store(Protocol):
    """What is written to. Called by one thread at a time."""

    @property
    def ready(self) -> bool:
        """Whether it is open, so that a write takes one commit."""
        ...

    def write(self, items: Sequence[Write]) -> None:
        """Make all durable, and set `error` of those that are not."""
        ...

    def write_at_once(self, items: Sequence[Write]) -> bool:
        """Likewise; return False, with nothing done, if another process would have to be waited for."""
        ...


class Writer:
    """The queue in front of a store.

    Args:
        store: the store.
        name: of the thread.
        together: does what was joined, in as few transactions as it takes, and sets `result` or `error` of each; needed
            by `join` only.
    """

    def __init__(self, store: Store, name: str, together: Callable[[Sequence[Write]], None] | None = None) -> None:
        self._store = store
        self._together = together or store.write
        self._name = name
        self._queued: list[Write] = []
        self._inbox: SimpleQueue[list[Write] | None] = SimpleQueue()
        self._outbox: SimpleQueue[list[Write]] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._busy = False
        self._called = False
        self._ending = False
        self.closed: JournalError | None = None

    def put(self, verb: str, run_id: str, what: object) -> Write:
        """Queue a write. A decision waits for the next row, for nothing depends on it before."""
        item = Write(verb, run_id, what, self)
        try:
            if self.closed is not None:
                raise self.closed
            if asyncio.get_running_loop() is not self._loop:
                self._adopt()
        except JournalError as error:
            item.error, item.done = error, True
            return item
        self._queued.append(item)
        if type(what) is Row and what.kind in ("decision", "order") and len(self._queued) < MOST_HELD:
            return item
        self.wake()
        return item

    def put_alone(self, run_id: str, row: Row) -> Write | None:
        """Commit a row here and now, with what is queued before it; None if it is durable.

        The loop stands still for one fsync, which is cheaper than two changes of thread. Where that could take
        longer, the row goes the usual way.
        """
        if (
            self._busy
            or self.closed is not None
            or not self._store.ready
            or len(row.result) + len(row.request) > INLINE
            or len(self._queued) > MOST_HELD
            or asyncio.get_running_loop() is not self._loop
        ):
            return self.put("append", run_id, row)
        item = Write("append", run_id, row, self)
        items = [*self._queued, item]
        if any(item.verb in APART for item in items) or not self._store.write_at_once(items):
            return self.put("append", run_id, row)
        self._queued.clear()
        for one in items:
            one.settle()
        return item if item.error is not None else None

    def glance(self, work: Callable[[], T]) -> T | None:
        """Return what `work` returns, called here and now; None if the writer is at work, or has something to do."""
        if (
            self._busy
            or self._queued
            or self.closed is not None
            or not self._store.ready
            or asyncio.get_running_loop() is not self._loop
        ):
            return None
        return work()

    async def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, called in the writer thread after all that was queued before."""
        if self.closed is not None:
            raise again(self.closed)
        result: list[T] = []
        await self._call(lambda: result.append(work()))
        return result[0]

    async def join(self, verb: str, run_id: str, *given: Any) -> Any:
        """Return what a call brings that the store may do together with others, in their order: see `Joined`."""
        if self.closed is not None:
            raise again(self.closed)
        item = self._call(Joined(verb, run_id, given), "join")
        await item
        return item.result

    def _call(self, work: object, verb: str = "call") -> Write:
        if asyncio.get_running_loop() is not self._loop:
            self._adopt()
        item = Write(verb, "", work, self)
        self._queued.append(item)
        return item

    async def end(self, last: Callable[[], None], reason: JournalError) -> None:
        """Refuse everything from now on; do what is queued, then `last`, and end the thread."""
        if self.closed is not None:
            return
        self.closed = reason
        if not self._store.ready and not self._queued and not self._busy:
            return
        item = self._call(last)
        self._ending = True
        await item
        if self._thread is not None:
            self._thread.join()

    def wake(self) -> None:
        """Hand the queue over once the loop has gone round, so that what happens at the same time is one batch."""
        if not self._called and not self._busy and self._queued:
            self._called = True
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _adopt(self) -> None:
        """Belong to the running loop. What a loop that is gone left behind is written first."""
        if self._loop is not None and not self._loop.is_closed():
            raise JournalError(
                "the journal belongs to another event loop, which still runs", remedy="Open a journal in each loop."
            )
        self._loop = asyncio.get_running_loop()
        self._called = False
        if self._busy:
            self._finish(self._outbox.get())

    def _hand_over(self) -> None:
        self._called = False
        if self._busy:
            return
        if self._queued:
            batch, self._queued = self._queued, []
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._busy = True
            self._inbox.put(batch)
        elif self._ending and self._thread is not None:
            self._inbox.put(None)

    def _settle(self) -> None:
        if self._busy and not self._outbox.empty():
            self._finish(self._outbox.get())
            self._hand_over()

    def _finish(self, batch: list[Write]) -> None:
        self._busy = False
        for item in batch:
            item.settle()

    def _work(self) -> None:
        while (batch := self._inbox.get()) is not None:
            self._perform(batch)
            self._outbox.put(batch)
            loop = self._loop
            if loop is not None:
                with contextlib.suppress(RuntimeError):  # it is closed: the next one takes the batch
                    loop.call_soon_threadsafe(self._settle)

    def _perform(self, batch: list[Write]) -> None:
        for verb, some in itertools.groupby(batch, key=lambda item: item.verb if item.verb in APART else "write"):
            items = list(some)
            if verb != "call":
                (self._store.write if verb == "write" else self._together)(items)
                continue
            for item in items:
                try:
                    item.what()
                except Exception as error:  # noqa: BLE001  (it belongs to who asked, not to this thread)
                    item.error = error
