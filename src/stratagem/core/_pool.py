"""`Pool`: branches that finish in an order which is a recorded decision."""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stratagem.core._effects import decided
from stratagem.core._gate import Leave, Wave
from stratagem.errors import ConcurrentUse, StratagemError

if TYPE_CHECKING:
    from stratagem.core._run import Run
    from stratagem.core._strand import Strand

T = TypeVar("T")
X = TypeVar("X")


class Pool(Generic[X, T]):
    """A dynamic fan-out: `start(item)` at any time, then `async for item, result in pool`.

    Leaving the block cancels what still runs.
    """

    def __init__(
        self,
        run: "Run",
        name: str,
        fn: Callable[["Run", X], Awaitable[T]],
        width: int | None,
        tolerate: tuple[type[StratagemError], ...],
    ) -> None:
        self._run, self._name, self._fn, self._tolerate = run, name, fn, tolerate
        self._wave: Wave[T] = Wave(run.strand.world.gate, self._branch, width, order=True)
        self._place = run.strand.next()
        self._items: list[X] = []
        self._branches: list[Strand] = []
        self._waiting: set[int] = set()
        self._position = 0
        self._open = self._void = False

    async def __aenter__(self) -> "Pool[X, T]":
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        await self._wave.cancel()
        if not self._waiting:  # nothing is left to read
            self._wave.jobs.clear()  # a failure among them holds the frame that this pool is in
        strand = self._run.strand
        for branch in self._branches:
            strand.label = strand.label | branch.label

    def start(self, item: X) -> None:
        """Start a branch for an item, or queue it where `width` is reached."""
        self._run.strand.claim()
        if not self._open:
            raise ConcurrentUse(f"the pool {self._name!r} is closed: start branches inside its `async with` block")
        index = len(self._items)
        branch = self._run.strand.child(f"{self._name}[{index}]", (*self._place, index))
        if branch.stage is not None:
            branch.branched()
        self._items.append(item)
        self._branches.append(branch)
        self._waiting.add(index)
        self._wave.start()

    def _branch(self, index: int, leave: Leave) -> Coroutine[Any, Any, T]:
        return self._run.branch(self._branches[index], self._fn, self._items[index], index, leave)

    def __aiter__(self) -> "Pool[X, T]":
        return self

    async def __anext__(self) -> tuple[X, T]:
        strand = self._run.strand
        strand.begin()
        try:
            while self._waiting:
                index = await self._next()
                self._waiting.discard(index)
                with contextlib.suppress(*self._tolerate):
                    return self._items[index], await self._wave.result(index)
        finally:
            strand.rest = None
        raise StopAsyncIteration

    async def _next(self) -> int:
        """Return whose turn it is: as recorded, until the record names a branch that was not started."""
        form = {"order": self._name, "position": self._position}
        self._position += 1
        strand = self._run.strand
        if strand.world.book.recorded or strand.world.replaying:
            index = self._recorded(form)
            if index is not None:
                return index
        while True:
            finished = self._wave.finished
            while finished and finished[0] not in self._waiting:
                finished.popleft()
            if finished:
                break
            if not self._open:
                raise ConcurrentUse(
                    f"the pool {self._name!r} is closed, and a branch of it was never begun",
                    remedy="Read a pool inside its `async with` block.",
                )
            await self._wave.any()
        index = self._wave.finished.popleft()
        return int(decided(strand, form, lambda: index, "order"))

    def _recorded(self, form: Any) -> int | None:
        from stratagem.core._canonical import decoded, encoded  # noqa: PLC0415
        from stratagem.core._effects import digest_of  # noqa: PLC0415

        strand = self._run.strand
        digest = digest_of("order", encoded(form))
        key = (strand.path, digest, strand.requests.get(digest, 0))
        row = strand.world.book.recorded.get(key)
        if row is None:
            return None
        strand.world.book.take(key)
        index = decoded(row.result)
        self._void = self._void or index not in self._waiting
        if self._void:
            return None
        strand.occurrence(digest)
        return int(index)
