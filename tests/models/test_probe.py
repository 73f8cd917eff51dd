"""Servers that are honest, and servers that lie, one thing at a time."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stratagem.core import Budget, Capabilities
from stratagem.errors import NotAuthorised, Rejected, Unreachable
from stratagem.models import open_model
from stratagem.models.findings import Finding, misfit, png, row_of
from stratagem.models.probe import EVERYTHING, Probe
from stratagem.models.routes import FIELDS, Routes
from stratagem.testing.model_server import Fault, ModelServer, Said, Scripted
from tests.conftest import HandClock

VALID = '{"name": "Paris", "founded": -250, "size": "large"}'
BOTH = (("temperature", '{"city": "Paris"}'), ("temperature", '{"city": "Rome"}'))
REJECTED = Fault("status", status=400, message="no such thing")


def honest(body: dict[str, Any]) -> Scripted:
    """Answer as a server that honours everything."""
    return answers(body)


def answers(body: dict[str, Any], **lies: Scripted) -> Scripted:
    """Answer a request of a probe; a lie replaces the answer to one of them."""
    said = body["messages"][-1]["content"]
    if not isinstance(said, str):
        return lies.get("images", Said("Red."))
    if "1 to 100" in said:
        return lies.get("limit", Said("1 2 3 4 5 6 7 8", finish="length"))
    if body.get("stream"):
        return lies.get("stop", Said("1 2 3 4 5 "))
    if "random" in said:
        seed = body.get("seed")
        return lies.get("seed", Said(tuple(f"word {seed} {draw}" for draw in range(2))))
    if body.get("logprobs"):
        return lies.get("logprobs", Said("yes"))
    if "response_format" in body:
        return lies.get("schema", Said(VALID))
    if "tools" in body:
        return lies.get("tools", Said("", calls=BOTH))
    return lies.get("effort", Said("yes"))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


async def probed(
    by: Callable[[Any], Scripted], prefix: str = "vllm", limits: Budget = Budget(), clock: Any = None
) -> tuple[dict[str, Finding], Probe, list[Any]]:
    """Probe a server; return what was found by name, the probe, and what the server saw."""
    async with ModelServer(by) as server:
        declared = open_model(f"{prefix}:m", base_url=server.url)
        everything = Routes().claiming(prefix, EVERYTHING, server.url)
        model = open_model(f"{prefix}:m", base_url=server.url, network=everything)
        probe = Probe(model, declared.capabilities, limits, clock)
        try:
            findings = await probe.run()
        finally:
            await model.aclose()
            await declared.aclose()
        return {one.name: one for one in findings}, probe, server.seen


async def test_a_server_that_honours_everything_agrees_with_its_row_in_ten_calls_and_an_image() -> None:
    found, probe, seen = await probed(honest)
    assert {one.found for one in found.values()} == {"honoured", "accepted"}
    assert {name for name, one in found.items() if one.found == "accepted"} == {"temperature", "top_p"}
    assert not any(one.less or one.more for one in found.values())
    assert [found[name].declared for name in ("reply", "seed", "schema", "n", "images")] == [
        "", "yes", "constrained", "yes", "yes"
    ]  # fmt: skip
    assert (len(seen), probe.usage.requests, probe.usage.calls) == (11, 11, 12)
    assert probe.usage.calls <= probe.calls
    assert probe.usage.tokens <= probe.tokens
    assert set(FIELDS) - {"effort"} <= set(found)


async def test_what_an_unknown_server_honours_is_more_than_its_row_says() -> None:
    found, _, seen = await probed(honest, prefix="openai")
    assert {name for name, one in found.items() if one.more} == {"n", "seed", "logprobs"}
    assert (found["schema"].declared, found["schema"].found) == ("advisory", "honoured")
    assert ("images" in found, len(seen)) == (False, 10)
    row = row_of(list(found.values()), open_model("openai:m", base_url="http://127.0.0.1:1").capabilities)
    assert row == {
        "fields": ["logprobs", "max_tokens", "schema", "seed", "stop", "temperature", "tools", "top_p"],
        "schema": "constrained", "native-n": True, "media": [],
    }  # fmt: skip


def ignores_seed() -> Callable[[Any], Scripted]:
    drawn = iter(range(100))
    return lambda body: answers(body, seed=Said(tuple(f"word {next(drawn)}" for _ in range(2))))


def ignores_n(body: Any) -> Scripted:
    return answers({**body, "seed": (body.get("seed"), body.get("n"))}, seed=Said(f"word {body.get('seed')}", draws=1))


def forgets(lie: str, said: Scripted) -> Callable[[Any], Scripted]:
    return lambda body: answers(body, **{lie: said})


@pytest.mark.parametrize(
    ("by", "name", "verdict", "said"),
    [
        (ignores_seed(), "seed", "ignored", "two texts for one seed"),
        (forgets("seed", Said("word")), "seed", "unclear", "the same text whatever the seed"),
        (ignores_n, "n", "ignored", "2 draws took 2 requests"),
        (forgets("limit", Said("1 2", usage=False)), "usage", "ignored", "no tokens are counted"),
        (forgets("limit", Said("1 2")), "max_tokens", "unclear", "ended before the limit"),
        (forgets("limit", Said(" ".join("1" * 17))), "max_tokens", "ignored", "17 words for a limit of 16 tokens"),
        (forgets("stop", Said("1 2 3 4 5 ", usage=False)), "usage of streams", "ignored", "none are counted"),
        (forgets("stop", Said("1 2 3 4 5 6 7")), "stop", "ignored", "went on after the stop: '1 2 3 4 5 6 7'"),
        (forgets("stop", Said("No.")), "stop", "unclear", "never came to the stop"),
        (forgets("logprobs", Said("yes", logprobs=False)), "logprobs", "ignored", "none came"),
        (forgets("schema", Said("Paris is a city.")), "schema", "ignored", "0 of 3 replies keep to it: no JSON"),
        (forgets("schema", Said('{"name": "Paris"}')), "schema", "ignored", "not its fields"),
        (forgets("schema", Said(VALID.replace("-250", '"x"'))), "schema", "ignored", "not its types"),
        (forgets("schema", Said(VALID[:20], finish="length")), "schema", "ignored", r"no JSON \(cut\)"),
        (forgets("tools", Said("It is warm.")), "tools", "ignored", "no call: 'It is warm.'"),
        (forgets("tools", Said("", calls=(("weather", "{}"),))), "tools", "ignored", "called wrongly"),
        (forgets("tools", Said("", calls=BOTH[:1])), "parallel calls", "unclear", "1 in one reply"),
        (forgets("images", Said("Blue.")), "images", "ignored", "a red image is 'Blue.'"),
        (forgets("logprobs", REJECTED), "logprobs", "refused", "no such thing"),
        (forgets("schema", REJECTED), "schema", "refused", "no such thing"),
        (forgets("tools", REJECTED), "tools", "refused", "no such thing"),
        (forgets("images", REJECTED), "images", "refused", "no such thing"),
        (forgets("stop", REJECTED), "stop", "refused", "no such thing"),
        (forgets("schema", Fault("status", status=503)), "schema", "untried", "answered 503"),
    ],
)
async def test_what_a_server_does_not_do_is_seen(
    by: Callable[[Any], Scripted], name: str, verdict: str, said: str
) -> None:
    found, _, _ = await probed(by)
    assert found[name].found == verdict
    import re

    assert re.search(said, found[name].said), found[name].said
    assert found[name].less is (verdict in ("ignored", "refused") and found[name].declared not in ("", "no"))


async def test_what_is_sent_along_with_a_seed_is_told_from_it() -> None:
    def by(body: Any) -> Scripted:
        return REJECTED if "temperature" in body else answers(body)

    found, _, _ = await probed(by)
    assert [found[name].found for name in ("temperature", "top_p", "seed", "n")] == ["refused"] * 2 + ["honoured"] * 2


async def test_a_server_that_refuses_several_draws_still_shows_its_seed() -> None:
    found, _, seen = await probed(lambda body: REJECTED if body.get("n") else answers(body))
    assert (found["n"].found, found["seed"].found, len(seen)) == ("refused", "honoured", 12)


async def test_effort_is_asked_for_where_it_is_claimed() -> None:
    claims = {"fields": frozenset({"tools", "effort", "seed"})}
    async with ModelServer(honest) as server:
        routes = Routes().claiming("openai", claims, server.url)
        model = open_model("openai:m", base_url=server.url, network=Routes().claiming("openai", EVERYTHING, server.url))
        declared = open_model("openai:m", base_url=server.url, network=routes).capabilities
        found = {one.name: one.found for one in await Probe(model, declared).run()}
        await model.aclose()
    assert found["effort"] == "accepted"
    assert [one.body["reasoning_effort"] for one in server.seen if "reasoning_effort" in one.body] == ["low"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault("status", status=401), NotAuthorised), (Fault("status", status=404), Rejected)],
)
async def test_a_server_that_takes_nothing_ends_the_probe(fault: Fault, kind: type[Exception]) -> None:
    seen: list[Any] = []
    with pytest.raises(kind):
        await probed(lambda body: seen.append(body) or fault)
    assert len(seen) == 1


async def test_a_server_that_goes_away_ends_the_probe() -> None:
    async with ModelServer(honest) as server:
        model = open_model("vllm:m", base_url=server.url)
    with pytest.raises(Unreachable):
        await Probe(model, model.capabilities).run()
    await model.aclose()


@pytest.mark.parametrize(
    "limits", ["calls=6", "tokens=600", "completion_tokens=200", "prompt_tokens=100", "calls=0", "tokens=100"]
)
async def test_no_limit_is_passed(limits: str) -> None:
    budget = Budget.parse(limits)
    found, probe, seen = await probed(honest, limits=budget)
    assert probe.ended
    assert len(seen) == probe.usage.requests
    for name, limit in budget._asdict().items():
        assert limit is None or getattr(probe.usage, name) <= limit
    assert found["tools"].found == "untried"
    assert "would not hold" in found["tools"].said


async def test_the_seconds_of_a_limit_are_those_of_the_clock() -> None:
    clock = HandClock()

    def by(body: Any) -> Scripted:
        clock.advance(4)
        return answers(body)

    found, probe, seen = await probed(by, limits=Budget.parse("seconds=10"), clock=clock)
    assert (len(seen), probe.ended, found["schema"].found) == (3, True, "untried")


def test_what_was_not_asked_stays_as_it_is_declared() -> None:
    declared = Capabilities(
        frozenset({"seed", "effort", "stop"}), native_n=True, schema="constrained", media=frozenset({"image/png"})
    )
    untried = [Finding(name, "yes", "untried", "") for name in ("seed", "n", "schema", "images")]
    assert row_of([*untried, Finding("stop", "yes", "refused", "")], declared) == {
        "fields": ["effort", "schema", "seed"], "schema": "constrained", "native-n": True, "media": ["image/png"],
    }  # fmt: skip
    found = [Finding("schema", "constrained", "ignored", ""), Finding("images", "yes", "refused", "")]
    assert {**row_of(found, declared), "fields": 0, "native-n": 0} == {
        "fields": 0, "schema": "advisory", "native-n": 0, "media": []
    }  # fmt: skip


def test_a_row_that_was_found_can_be_pasted() -> None:
    import tomllib

    declared = Capabilities(frozenset(FIELDS), native_n=True, schema="constrained", media=frozenset({"image/png"}))
    row = row_of([], declared)
    text = "[providers.vllm]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
    claims = Routes(tomllib.loads(text)).of("vllm").claims
    assert claims == {
        "fields": frozenset(FIELDS), "schema": "constrained", "native_n": True, "media": frozenset({"image/png"})
    }  # fmt: skip


def test_a_valid_reply_is_no_misfit_and_an_image_is_one() -> None:
    from stratagem.core import Sample

    assert misfit(Sample(VALID)) == ""
    assert misfit(Sample(VALID.replace("large", "huge"))) != ""
    assert misfit(Sample(VALID.replace("-250", "true"))) != ""
    assert png(64, (255, 0, 0))[:8] == b"\x89PNG\r\n\x1a\n"
