"""What we send is what the official client sends, but for what differs on purpose."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pydantic
import pytest

from stratagem.core import Attachment, Observation, Step, ToolCall, Tools, Transcript, signature, tool
from stratagem.models.compatible_body import seed_of
from stratagem.testing.model_server import ModelServer, Said
from tests.models._oracle import DIFFERENCES, both
from tests.models._wire import asked

USER = {"role": "user", "content": "2+2?"}
PNG = b"\x89PNG\r\n"
SCHEMA = {
    "type": "object",
    "properties": {"town": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["town", "people"],
    "additionalProperties": False,
}


@tool
def look(where: str, deep: bool = False) -> str:
    """Look somewhere.

    Args:
        where: the place.
        deep: whether to open things.
    """
    return where


LOOK = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look somewhere.",
        "parameters": {
            "type": "object",
            "properties": {
                "where": {"type": "string", "description": "the place."},
                "deep": {"type": "boolean", "description": "whether to open things."},
            },
            "required": ["where"],
            "additionalProperties": False,
        },
    },
}


def called(number: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": "look", "arguments": arguments}}


CONVERSATION = (
    Transcript()
    .then(
        Step("Look twice.", (ToolCall("look", {"where": "häuser"}), ToolCall("look", {"where": "b", "deep": True}))),
        Observation("nothing"),
        Observation("Denied", failed=True),
    )
    .then(Step("", (ToolCall("look", {"where": "c"}),)), Observation("<|end|> 7"))
)


@signature(stop=("\nObservation",))
def guess(question: str) -> str:
    """Guess."""
    ...


# Name, our request, the client's call, where that differs from the usual.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("words", {}, {}),
    ("a role", {"persona": "Be brief."}, {"messages": [{"role": "system", "content": "Be brief."}, USER]}),
    (
        "numbers",
        {"temperature": 0.5, "top_p": 0.25, "max_tokens": 50},
        {"temperature": 0.5, "top_p": 0.25, "max_tokens": 50},
    ),
    ("a temperature of 0", {"temperature": 0}, {"temperature": 0.0}),
    ("stops", {"stop": ("END", "\n"), "ask": guess}, {"stop": ["\nObservation", "END", "\n"]}),
    ("log-probabilities", {"logprobs": True}, {"logprobs": True}),
    ("alternatives", {"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ("several draws", {"n": 3}, {"n": 3}),
    ("a cap", {"max_tokens": 50, "cap": 20}, {"max_tokens": 20}),
    (
        "no words of ASCII",
        {"question": "¿Qué? 🦊 \u2028"},
        {"messages": [{"role": "user", "content": "¿Qué? 🦊 \u2028"}]},
    ),
    ("tools", {"tools": Tools((look,))}, {"tools": [LOOK]}),
    (
        "images",
        {"attached": [Attachment("a.png", "image/png", PNG)]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "2+2?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
                    ],
                }
            ]
        },
    ),
    (
        "a schema",
        {"schema": SCHEMA},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
            }
        },
    ),
]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda _: Said("4")) as server:
        yield server


async def bodies(
    server: ModelServer, given: dict[str, Any], theirs: dict[str, Any], *, streamed: bool = False, **where: str
) -> tuple[Any, Any]:
    """Return what we send and what the client sends."""
    async with both(server, **where) as (model, client):
        request = asked(model, given.get("question", "2+2?"), **{k: v for k, v in given.items() if k != "question"})
        await model.complete(request, on_delta=(lambda _: None) if streamed else None)
        more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
        made = await client.chat.completions.create(**{"model": "m", "messages": [USER], **theirs, **more})
        if streamed:
            async for _ in made:
                pass
    ours, other = server.seen
    assert (ours.path, ours.headers["Content-Type"]) == (other.path, other.headers["Content-Type"])
    assert ours.headers["Authorization"] == other.headers["Authorization"] == "Bearer k"
    return ours.body, other.body


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("given", "theirs"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_bodies_are_equal(
    server: ModelServer, given: dict[str, Any], theirs: dict[str, Any], streamed: bool
) -> None:
    ours, other = await bodies(server, given, theirs, streamed=streamed)
    assert ours == other
    assert ("stream" in ours) == streamed


async def test_a_model_that_reasons_takes_its_effort_and_its_own_limit(server: ModelServer) -> None:
    given = {"effort": "low", "max_tokens": 50}
    theirs = {"model": "o3", "reasoning_effort": "low", "max_completion_tokens": 50}
    ours, other = await bodies(server, given, theirs, prefix="openai", name="o3")
    assert ours == other


async def test_a_conversation_with_tools_goes_back_as_the_client_sends_it(server: ModelServer) -> None:
    theirs = {
        "tools": [LOOK],
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": "Look twice.",
                "tool_calls": [
                    called("1_0", '{"where":"häuser"}'), called("1_1", '{"deep":true,"where":"b"}'),
                ],
            },
            {"role": "tool", "tool_call_id": "call_1_0", "content": "nothing"},
            {"role": "tool", "tool_call_id": "call_1_1", "content": "Denied"},
            {"role": "assistant", "content": None, "tool_calls": [called("2_0", '{"where":"c"}')]},
            {"role": "tool", "tool_call_id": "call_2_0", "content": "<|end|> 7"},
        ],
    }  # fmt: skip
    given = {"tools": Tools((look,)), "steps": CONVERSATION}
    ours, other = await bodies(server, given, theirs, prefix="openai")
    assert ours == other
    assert DIFFERENCES["content"]


async def test_the_seed_is_made_of_the_place(server: ModelServer) -> None:
    assert DIFFERENCES["seed"]
    async with both(server) as (model, _):
        wanted = seed_of(asked(model, "2+2?", seed=7))
    ours, other = await bodies(server, {"seed": 7}, {"seed": wanted})
    assert ours == other
    assert ours["seed"] not in (7, seed_of(asked(model, "2+2?", seed=7, occurrence=1)))


class Town(pydantic.BaseModel):
    town: str
    people: int


async def test_a_schema_is_what_the_client_makes_of_a_class_but_for_its_names(server: ModelServer) -> None:
    assert DIFFERENCES["schema"]
    async with both(server) as (model, client):
        await model.complete(asked(model, "2+2?", schema=SCHEMA))
        server._by = lambda _: Said('{"town": "Ulm", "people": 1}')
        await client.chat.completions.parse(model="m", messages=[USER], response_format=Town)
    ours, other = (seen.body["response_format"] for seen in server.seen)
    assert (ours["json_schema"].pop("name"), other["json_schema"].pop("name")) == ("reply", "Town")
    assert other["json_schema"]["schema"].pop("title") == "Town"
    for field in other["json_schema"]["schema"]["properties"].values():
        del field["title"]
    assert ours == other


async def test_a_tool_is_what_the_client_makes_of_a_class_but_for_strictness(server: ModelServer) -> None:
    assert DIFFERENCES["tools"]

    class Look(pydantic.BaseModel):
        """Look somewhere."""

        where: str = pydantic.Field(description="the place.")

    @tool
    def look(where: str) -> str:
        """Look somewhere.

        Args:
            where: the place.
        """
        return where

    async with both(server) as (model, client):
        await model.complete(asked(model, "2+2?", tools=Tools((look,))))
        helped: Any = openai.pydantic_function_tool(Look, name="look")
        await client.chat.completions.create(model="m", messages=[USER], tools=[helped])
    (ours,), (other,) = (seen.body["tools"] for seen in server.seen)
    assert other["function"].pop("strict") is True
    assert other["function"]["parameters"].pop("title") == "Look"
    assert other["function"]["parameters"]["properties"]["where"].pop("title") == "Where"
    other["function"]["parameters"].pop("description", None)
    assert ours == other
