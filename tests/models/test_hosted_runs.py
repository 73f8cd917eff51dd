"""Strategies on providers with a form of their own: what the wire is for."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem.core import MemoryJournal
from stratagem.errors import CapabilityError, Rejected, Unavailable, UsageError
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._hosted import MODELS, SPOKEN
from tests.models.test_wire_runs import files_of

CANARY = "sk-canary-71d2"
CALL = Said("To the sum.", calls=(("calculate", '{"expression": "6*7"}'),), thought="Six.", signature="c2ln")
EACH = pytest.mark.parametrize("prefix", MODELS)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


def settings(server: ModelServer, prefix: str, **more: Any) -> dict[str, Any]:
    common = {"model": f"{prefix}:{MODELS[prefix]}", "base_url": server.url, "journal": "memory", "memory": "none"}
    return {**common, **more}


@EACH
async def test_a_key_is_sent_and_stands_nowhere_else(
    server: ModelServer, prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", CANARY)
    echo = "you sent {authorization}"
    server.add(
        Fault("status", status=500, message=echo), CALL, Fault("error body", message=echo), Said("42"),
        *[Fault("status", status=503, message=echo)] * 5, Fault("status", status=400, message=echo),
    )  # fmt: skip
    events: list[Any] = []
    kept = f"sqlite:{tmp_path}/j.sqlite"
    more = settings(server, prefix, journal=kept, home=tmp_path, api_key_env="MY_KEY", tools=["calculate"])
    written: list[str] = []
    async with stratagem.open(**more, on_event=events.append) as session:
        answer = await session.run("react", "What is 6 times 7?")
        written += [answer.text, repr(answer), repr(await session.show(answer.run_id)), repr(session)]
        for kind in (Unavailable, Rejected):
            with pytest.raises(kind, match=r"you sent (Bearer )?\*\*\*") as caught:
                await session.run("direct", "What is 2+2?")
            written += [repr(caught.value), caught.value.remedy, json.dumps(caught.value.form())]
    assert answer.text == "42"
    assert all(CANARY in str(one.headers) for one in server.seen)
    assert len(server.seen) == 10
    written += [*map(repr, events), *capfd.readouterr()]
    assert [text for text in written if CANARY in text] == []
    assert [name for name, data in files_of(tmp_path).items() if CANARY.encode() in data] == []


@pytest.mark.parametrize("prefix", SPOKEN)
async def test_a_run_is_replayed_without_a_server_and_without_a_key(
    server: ModelServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    journal = MemoryJournal()
    server.add(CALL, Said("42"))
    async with stratagem.open(**settings(server, prefix, tools=["calculate"], journal=journal)) as session:
        await session.run("react", "What is 6 times 7?", run_id="r")
    async with stratagem.open(model=f"{prefix}:{MODELS[prefix]}", journal=journal, memory="none") as session:
        assert (await session.replay("r")).text == "42"
        with pytest.raises(CapabilityError, match="_API_KEY is not set"):
            await session.run("direct", "?", run_id="other")
    assert len(server.seen) == 2


@EACH
async def test_what_was_dropped_is_left_off_and_strict_refuses_it(server: ModelServer, prefix: str) -> None:
    server.add(Said("Two and two. The answer is 4."))
    refused = {"seed": 5} if prefix in ("anthropic", "responses", "bedrock") else {"effort": "low"}
    name = MODELS[prefix] if prefix != "google" else "gemini-2.0-flash"
    name = "mistral-large-latest" if prefix == "mistral" else name
    more: dict[str, Any] = settings(server, prefix, options=refused) | {"model": f"{prefix}:{name}"}
    async with stratagem.open(**more) as session:
        assert (await session.run("direct", "What is 2+2?")).text
    assert not {"seed", "thinking", "reasoning_effort"} & set(server.seen[0].body)
    async with stratagem.open(**more, strict=True) as session:
        with pytest.raises(CapabilityError, match=f"does not honour {next(iter(refused))}"):
            await session.run("direct", "What is 2+2?")
    assert len(server.seen) == 1


@EACH
async def test_a_hard_option_that_is_not_honoured_is_refused_before_the_call(server: ModelServer, prefix: str) -> None:
    async with stratagem.open(**settings(server, prefix, options={"logprobs": True})) as session:
        with pytest.raises((CapabilityError, UsageError), match="logprobs"):
            await session.run("direct", "What is 2+2?")
    assert server.seen == []
