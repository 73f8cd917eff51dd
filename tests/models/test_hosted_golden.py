"""Request bodies of each provider, frozen: a new version of pydantic-ai that writes another one is noticed.

`GOLDEN=write` writes the files anew; look at the difference before it is committed.
"""

import importlib.metadata
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stratagem.core import Attachment, Observation, Step, ToolCall, Tools, Transcript, tool
from stratagem.core._values import set_parts
from stratagem.core.message import Call, Text, Thought
from stratagem.models.hosted_table import HOSTED
from stratagem.testing.model_server import ModelServer, Said
from tests.models._hosted import GOLDEN, HostedWired, shown

EFFORTFUL = {
    "anthropic": "claude-sonnet-4-5", "google": "gemini-2.5-flash", "responses": "gpt-5",
    "mistral": "mistral-small-latest", "cohere": "command-a-reasoning-08-2025",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
}  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda _: Said("4")) as server:
        yield server


@tool
def look(where: str, depth: int = 1) -> str:
    """Look somewhere.

    Args:
        where: the place.
        depth: how far.
    """
    return where * depth


def conversation(prefix: str) -> Transcript:
    calls = (ToolCall("look", {"where": "here"}), ToolCall("look", {"where": "there", "depth": 2}))
    step = Step("First here.", calls)
    opaque = {prefix: {"signature": "c2ln", "id": "rs_1"} if prefix == "responses" else {"signature": "c2ln"}}
    set_parts(step, (Thought("Hm.", opaque), Text("First here."), *(Call("", "look", "") for _ in calls)))
    return Transcript().then(step, Observation("nothing"), Observation("it burns", failed=True))


CLOSED = {
    "type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}, "required": ["b", "a"],
    "additionalProperties": False,
}  # fmt: skip


def cases(prefix: str) -> dict[str, dict[str, Any]]:
    image = [] if prefix == "cohere" else [Attachment("cat.png", "image/png", b"\x89PNG")]
    return {
        "question": {"persona": "Be brief.", "max_tokens": 100},
        "options": {"temperature": 0.5, "stop": ("END",), "seed": 7, "max_tokens": 100},
        "top_p": {"top_p": 0.5},
        "effort": {"effort": "low", "max_tokens": 4000},
        "schema": {"schema": CLOSED, "max_tokens": 100},
        "image": {"attached": image, "max_tokens": 100},
        "tools": {"tools": Tools((look,)), "steps": Transcript(), "max_tokens": 100},
        "conversation": {"tools": Tools((look,)), "steps": conversation(prefix), "max_tokens": 100},
    }


@pytest.mark.parametrize("prefix", HOSTED)
async def test_request_bodies_are_what_they_were(server: ModelServer, prefix: str) -> None:
    bodies: dict[str, Any] = {}
    wired = HostedWired(server.origin + ("/v1" if prefix == "responses" else ""), prefix, name=EFFORTFUL[prefix])
    for name, settings in cases(prefix).items():
        request = wired.request(**settings)
        request.head.dropped = wired.model.refuses(request)
        await wired.model.complete(request)
        bodies[name] = {"path": server.seen[-1].path, "body": server.seen[-1].body}
    await wired.model.aclose()
    file = GOLDEN / f"{prefix}.json"
    if os.environ.get("GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        version = importlib.metadata.version("pydantic-ai-slim")
        file.write_text(shown({"pydantic-ai-slim": version, "requests": bodies}), encoding="utf-8")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert bodies == kept["requests"], f"they were written with pydantic-ai-slim {kept['pydantic-ai-slim']}"
