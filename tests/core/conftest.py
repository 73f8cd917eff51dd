"""What the tests of the core share: a clock that only moves when it is told to, and a crash."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from stratagem.core import MemoryJournal


class HandClock:
    """A clock whose hands a test moves; a limit that is passed raises `TimeoutError` where it was set."""

    def __init__(self) -> None:
        self.micros = 1_700_000_000_000_000
        self._limits: list[tuple[int, asyncio.Task[None]]] = []
        self._struck: set[asyncio.Task[None]] = set()

    def wall(self) -> float:
        return self.micros / 1e6

    def stamp(self) -> int:
        return self.micros

    def advance(self, seconds: float) -> None:
        self.micros += round(seconds * 1e6)
        for due, task in list(self._limits):
            if due <= self.micros and task not in self._struck:
                self._struck.add(task)
                task.cancel()

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        mine = (self.micros + round(seconds * 1e6), task)
        self._limits.append(mine)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._struck:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            self._limits.remove(mine)
            self._struck.discard(task)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def crash() -> Callable[[MemoryJournal, str, int], None]:
    """Return what leaves a run of a session as a crash after that many effects left it."""

    def crashed(journal: MemoryJournal, run_id: str, after: int) -> None:
        rows = journal.rows(run_id)
        del rows[after:]
        stored = journal._runs[run_id]
        journal._runs[stored.run_id] = stored._replace(state="running", rows=-1, end=b"")

    return crashed
