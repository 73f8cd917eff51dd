"""Thoughts on the compatible wire: back to who wants them, and to nobody else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import stratagem
from stratagem.testing.model_server import ModelServer, Said

CALL = Said("To the sum.", calls=(("calculate", '{"expression": "6*7"}'),), thought="Six times seven.", signature="sig")
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


async def second(server: ModelServer, prefix: str, streamed: bool, first: Said = CALL) -> Any:
    """Return what the second request says that the assistant said."""
    server.add(first, Said("42"))
    listens: dict[str, Any] = {"on_event": lambda _: None} if streamed else {}
    common: dict[str, Any] = {"base_url": server.url, "journal": "memory", "memory": "none", "tools": ["calculate"]}
    async with stratagem.open(model=f"{prefix}:m", **common, **listens) as session:
        assert (await session.run("react", "What is 6 times 7?")).text == "42"
    return server.seen[1].body["messages"][1]


@STREAMED
async def test_deepseek_gets_the_words_of_a_thought_back(server: ModelServer, streamed: bool) -> None:
    said = await second(server, "deepseek", streamed)
    assert (said["reasoning_content"], said["content"]) == ("Six times seven.", "To the sum.")
    assert said["tool_calls"][0]["id"] == "call_1_0"
    assert "reasoning_details" not in said


@STREAMED
async def test_openrouter_gets_the_details_of_a_thought_back(server: ModelServer, streamed: bool) -> None:
    said = await second(server, "openrouter", streamed)
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Six times seven.", "signature": "sig", "format": "some-v1", "index": 0}
    ]
    assert "reasoning_content" not in said


@STREAMED
@pytest.mark.parametrize("prefix", ["vllm", "groq", "openai"])
async def test_other_servers_get_none(server: ModelServer, prefix: str, streamed: bool) -> None:
    said = await second(server, prefix, streamed)
    assert set(said) == {"role", "content", "tool_calls"}


async def test_where_nothing_was_thought_nothing_goes_back(server: ModelServer) -> None:
    said = await second(server, "deepseek", streamed=False, first=Said("", calls=CALL.calls))
    assert set(said) == {"role", "content", "tool_calls"}
