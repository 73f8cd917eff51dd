"""What all tests share: asyncio, deterministic properties, a home that is not the user's, a clock, and a crash."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stratagem.core import MemoryJournal

# The same examples on every run and machine; `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile(
    "repeat", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the tests a home of their own and no settings from the environment they were started in."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("STRATAGEM_") or name == "NO_COLOR"]:
            patch.delenv(name)
        for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        patch.setenv("STRATAGEM_HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / "settings"))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield home


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
        journal._runs[run_id] = stored._replace(state="running", rows=-1, end=b"")

    return crashed
