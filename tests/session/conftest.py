"""What the tests of the session share: sessions on a toy model, without files unless a test wants them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from stratagem import session
from stratagem.core import MemoryJournal, Request
from stratagem.testing import ScriptedModel


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


class CountingModel(ScriptedModel):
    """A toy model that keeps the requests which reach it."""

    def __init__(self, script: Any, **settings: Any) -> None:
        super().__init__(script, **settings)
        self.requests: list[Request] = []

    def complete(self, request: Request, *, on_delta: Any = None) -> Any:
        self.requests.append(request)
        return super().complete(request, on_delta=on_delta)


@pytest.fixture
def counting() -> type[CountingModel]:
    return CountingModel


@pytest.fixture
def opened() -> Callable[..., Any]:
    """Return what opens a session on a world: signature -> function."""

    @contextlib.asynccontextmanager
    async def open_on(world: Any, **settings: Any) -> AsyncIterator[session.Session]:
        model = world if isinstance(world, ScriptedModel) else CountingModel(world)
        usual: dict[str, Any] = {"journal": "memory", "memory": "none", "repairs": 0}
        async with session.open(model=model, **{**usual, **settings}) as made:
            yield made

    return open_on


@pytest.fixture
def crash() -> Callable[[MemoryJournal, str, int], None]:
    """Return what leaves a run as a crash after that many effects left it."""

    def crashed(journal: MemoryJournal, run_id: str, after: int) -> None:
        del journal.rows(run_id)[after:]
        stored = journal._runs[run_id]
        journal._runs[stored.run_id] = stored._replace(state="running", rows=-1, end=b"")

    return crashed
