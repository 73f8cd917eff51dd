"""How the tests of the offline model ask: through the real loop, over a folder of their own."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import stratagem
from stratagem.strategies import react

Ask = Callable[..., Awaitable[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return a function that asks about files given as `name=text`, and returns the answer or the refusal."""

    async def asked(question: str, files: dict[str, str], **options: object) -> str:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        given = {"roots": [tmp_path], "memory": "none", "journal": "memory", **options}
        async with stratagem.open(model="offline", **given) as session:  # pyright: ignore[reportArgumentType]
            answer = await session.run(react.using(max_steps=12), question)
        return answer.text if answer.ok else answer.reason

    return asked
