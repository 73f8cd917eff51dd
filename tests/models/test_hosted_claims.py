"""What settings claim of providers with a protocol of their own: less is obeyed, more is an error."""

from typing import Any

import pytest

import stratagem
from stratagem.errors import CapabilityError, UsageError
from stratagem.models import open_model
from stratagem.models.hosted_claims import claimed
from stratagem.models.hosted_table import HOSTED
from stratagem.models.routes import Routes
from stratagem.testing.model_server import ModelServer, Said

NAMES = {"anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash", "responses": "gpt-5-mini", "mistral": "m"}


def opened(prefix: str, **claims: Any) -> Any:
    network = {"providers": {prefix: claims}}
    return open_model(f"{prefix}:{NAMES[prefix]}", network=network)


def test_without_claims_the_row_is_the_row() -> None:
    for row in HOSTED.values():
        assert claimed(row, Routes().of(row.prefix)) is row


def test_less_is_obeyed() -> None:
    whole = opened("anthropic").capabilities
    assert {"tools", "effort", "stop", "schema"} <= whole.fields
    less = opened("anthropic", fields=["tools", "temperature", "max_tokens"], media=["image/png"]).capabilities
    assert less.fields == {"tools", "temperature", "max_tokens"}
    assert (less.schema, less.media, less.native_n) == ("advisory", {"image/png"}, False)
    assert opened("google", schema="none").capabilities.schema == "none"
    assert "schema" not in opened("google", schema="none").capabilities.fields
    same = opened("google", **{"native-n": False, "schema": "constrained"}).capabilities
    assert (same.fields, same.schema) == (opened("google").capabilities.fields, "constrained")


@pytest.mark.parametrize(
    ("prefix", "claims", "said"),
    [
        (
            "anthropic",
            {"fields": ["tools", "seed", "logprobs"]},
            "'fields' claims logprobs, seed, which requests to Anth",
        ),
        ("responses", {"fields": ["stop"]}, "'fields' claims stop"),
        ("mistral", {"schema": "constrained"}, "'schema' claims constrained"),
        ("google", {"native-n": True}, "'native-n' claims true"),
        ("anthropic", {"media": ["audio/wav"]}, "'media' claims audio/wav"),
    ],
)
def test_more_is_an_error_that_names_it(prefix: str, claims: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=rf"\[providers.{prefix}\]: {said}"):
        opened(prefix, **claims)


def test_what_is_claimed_of_one_address_says_nothing_of_another() -> None:
    network = {"providers": {"anthropic": {"base-url": "http://127.0.0.1:1", "fields": ["tools"]}}}
    here = open_model("anthropic:m", network=network)
    assert here.capabilities.fields == {"tools"}
    there = open_model("anthropic:m", base_url="http://127.0.0.1:2", network=network)
    assert "temperature" in there.capabilities.fields


async def test_a_request_leaves_off_what_is_not_claimed_and_refuses_what_is_hard() -> None:
    async with ModelServer([Said("4"), Said("5")]) as server:
        claims: dict[str, Any] = {"base-url": server.origin, "fields": ["max_tokens"]}
        settings: dict[str, Any] = {
            "network": {"providers": {"anthropic": claims}}, "journal": "memory", "memory": "none"
        }  # fmt: skip
        options = {"temperature": 0.5, "effort": "low"}
        async with stratagem.open(model="anthropic:claude-haiku-4-5", options=options, **settings) as session:
            assert (await session.run("direct", "2+2?")).text == "4"
            assert not {"temperature", "thinking", "output_config"} & set(server.seen[0].body)
        async with stratagem.open(model="anthropic:claude-haiku-4-5", options={"stop": ["x"]}, **settings) as session:
            with pytest.raises(CapabilityError, match="does not honour stop"):
                await session.run("direct", "2+2?")
    assert len(server.seen) == 1


async def test_a_model_that_always_reasons_takes_no_temperature_though_its_effort_is_not_claimed() -> None:
    async with ModelServer([Said("4")]) as server:
        claims: dict[str, Any] = {"base-url": server.url, "fields": ["temperature", "max_tokens"]}
        settings: dict[str, Any] = {
            "network": {"providers": {"responses": claims}}, "journal": "memory", "memory": "none"
        }  # fmt: skip
        options = {"temperature": 0.5, "effort": "low"}
        async with stratagem.open(model="responses:o3", options=options, **settings) as session:
            assert (await session.run("direct", "2+2?")).text == "4"
    assert not {"temperature", "reasoning"} & set(server.seen[0].body)
