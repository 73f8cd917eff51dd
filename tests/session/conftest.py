"""What the tests of the session share: sessions on a toy model, without files unless a test wants them."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Request
from stratagem.testing import ScriptedModel


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
