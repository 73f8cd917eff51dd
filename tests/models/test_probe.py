"""Servers that are honest, and servers that lie, one thing at a time."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from stratagem.core import Budget, Capabilities
from stratagem.errors import NotAuthorised, Rejected, Unreachable
from stratagem.models import open_model
from stratagem.models.findings import ANIMALS, COLOURS, Finding, misfit, png, row_of
from stratagem.models.keys import placed
from stratagem.models.probe import EVERYTHING, MOST, Probe
from stratagem.models.probe_direct import TEXT, Direct
from stratagem.models.routes import FIELDS, Routes
from stratagem.testing.model_server import Fault, ModelServer, Said, Scripted
from tests.conftest import HandClock

VALID = '{"animal": "owl", "colour": "gold", "second_colour": "grey", "age": 3, "size": "small"}'
BOTH = (("temperature", '{"city": "Paris"}'), ("temperature", '{"city": "Rome"}'))
REJECTED = Fault("status", status=400, message="no such thing")


def honest(body: dict[str, Any]) -> Scripted:
    """Answer as a server that honours everything."""
    return answers(body)


def dreams(body: dict[str, Any]) -> tuple[str, ...]:
    """Return two valid replies, drawn by the seed of a request and by nothing else."""
    dice = random.Random(body.get("seed", 0))
    made = [{"animal": dice.choice(ANIMALS), "colour": dice.choice(COLOURS), "second_colour": dice.choice(COLOURS),
             "age": dice.randrange(90), "size": "small"} for _ in range(2)]  # fmt: skip
    return tuple(map(json.dumps, made))


def answers(body: dict[str, Any], **lies: Scripted) -> Scripted:
    """Answer a request of a probe; a lie replaces the answer to one of them."""
    if "prompt" in body:
        return lies.get("echo", Said(" It"))
    said = body["messages"][-1]["content"]
    if not isinstance(said, str):
        return lies.get("images", Said("Red."))
    if "1 to 100" in said:
        if body.get("logprobs") and "logprobs" in lies:
            return lies["logprobs"]
        return lies.get("limit", Said("1 2 3 4 5 6 7 8", finish="length"))
    if body.get("stream"):
        return lies.get("stop", Said("1 2 3 4 5 "))
    if "Dream" in said:
        if "response_format" not in body:
            return lies.get("prose", lies.get("seed", Said(dreams(body))))
        return lies.get("schema", lies.get("seed", Said(dreams(body))))
    if "tool_choice" in body:
        return lies.get("named", Said("", calls=BOTH[:1]))
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
        direct = Direct(*placed(prefix, server.url, None)[:1], "m", placed(prefix, server.url, None)[1])
        probe = Probe(model, declared.capabilities, limits, clock, direct)
        try:
            findings = await probe.run()
        finally:
            await direct.aclose()
            await model.aclose()
            await declared.aclose()
        return {one.name: one for one in findings}, probe, server.seen


async def test_a_server_that_honours_everything_agrees_with_its_row_in_ten_calls() -> None:
    found, probe, seen = await probed(honest)
    assert {one.found for one in found.values()} == {"honoured", "accepted"}
    assert {name for name, one in found.items() if one.found == "accepted"} == {"temperature", "top_p"}
    assert not any(one.less or one.more for one in found.values())
    assert [found[name].declared for name in ("reply", "seed", "schema", "n", "images")] == [
        "", "yes", "constrained", "yes", "yes"
    ]  # fmt: skip
    assert (len(seen), probe.usage.requests, probe.usage.calls, probe.calls) == (9, 9, 10, 10)
    assert probe.usage.tokens <= probe.tokens
    assert set(FIELDS) - {"effort"} <= set(found)


async def test_what_an_unknown_server_honours_is_more_than_its_row_says() -> None:
    found, probe, seen = await probed(honest, prefix="openai")
    assert {name for name, one in found.items() if one.more} == {"n", "seed", "logprobs", "schema"}
    assert (found["schema"].declared, found["schema"].found) == ("advisory", "honoured")
    assert ("images" in found, len(seen), probe.usage.calls) == (False, 8, 9)
    row = row_of(list(found.values()), open_model("openai:m", base_url="http://127.0.0.1:1").capabilities)
    assert row == {
        "fields": ["logprobs", "max_tokens", "schema", "seed", "stop", "temperature", "tools", "top_p"],
        "schema": "constrained", "native-n": True,
    }  # fmt: skip


def ignores_seed() -> Callable[[Any], Scripted]:
    drawn = iter(range(100))
    return lambda body: answers(body, seed=Said(dreams({"seed": next(drawn)})))


def ignores_n(body: Any) -> Scripted:
    return answers(body, seed=Said(dreams({"seed": str(body.get("seed"))})[0], draws=1))


def forgets(lie: str, said: Scripted) -> Callable[[Any], Scripted]:
    return lambda body: answers(body, **{lie: said})


@pytest.mark.parametrize(
    ("by", "name", "verdict", "said"),
    [
        (ignores_seed(), "seed", "ignored", "two texts for one seed"),
        (forgets("seed", Said(VALID)), "seed", "unclear", "the same text whatever the seed"),
        (ignores_n, "n", "ignored", "2 draws took 2 requests"),
        (forgets("limit", Said("1 2", usage=False)), "usage", "ignored", "no tokens are counted"),
        (forgets("limit", Said("1 2")), "max_tokens", "unclear", "ended before the limit"),
        (forgets("limit", Said(" ".join("1" * 17))), "max_tokens", "ignored", "17 words for a limit of 16 tokens"),
        (forgets("stop", Said("1 2 3 4 5 ", usage=False)), "usage of streams", "ignored", "none are counted"),
        (forgets("stop", Said("1 2 3 4 5 6 7")), "stop", "ignored", "went on after the stop: '1 2 3 4 5 6 7'"),
        (forgets("stop", Said("No.")), "stop", "unclear", "never came to the stop"),
        (forgets("logprobs", Said("yes", logprobs=False)), "logprobs", "ignored", "none came"),
        (forgets("schema", Said("An owl is an animal.")), "schema", "ignored", "0 of 4 replies keep to it: no JSON"),
        (forgets("schema", Said((VALID, "An owl."))), "schema", "ignored", "3 of 4 replies keep to it: no JSON"),
        (forgets("schema", Said('{"animal": "owl"}')), "schema", "ignored", "not its fields"),
        (forgets("schema", Said(VALID.replace("3", '"x"'))), "schema", "ignored", "not its types"),
        (forgets("schema", Said(VALID[:20], finish="length")), "schema", "ignored", r"no JSON \(cut\)"),
        (forgets("tools", Said("It is warm.")), "tools", "ignored", "no call: 'It is warm.'"),
        (forgets("tools", Said("", calls=(("weather", "{}"),))), "tools", "ignored", "called wrongly"),
        (forgets("tools", Said("", calls=BOTH[:1])), "parallel calls", "unclear", "1 in one reply"),
        (forgets("named", Said("It is late.")), "named tool", "ignored", "no call, where `temperature` was named"),
        (
            forgets("named", Said("", calls=(("clock_time", "{}"),))),
            "named tool",
            "ignored",
            "called clock_time, where",
        ),
        (forgets("named", REJECTED), "named tool", "refused", "no such thing"),
        (forgets("named", Fault("status", status=503)), "named tool", "untried", "answered 503"),
        (forgets("named", Fault("malformed")), "named tool", "untried", "no JSON"),
        (forgets("named", Fault("empty")), "named tool", "ignored", "no call"),
        (forgets("echo", Said("Rome", logprobs=False)), "echo scoring", "ignored", "came back with 0 log-prob"),
        (forgets("echo", REJECTED), "echo scoring", "refused", "no such thing"),
        (forgets("echo", Fault("status", status=501)), "echo scoring", "refused", "answered 501"),
        (forgets("echo", Fault("error body")), "echo scoring", "untried", "no reply"),
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
    found, probe, _ = await probed(by)
    assert found[name].found == verdict
    assert re.search(said, found[name].said), found[name].said
    assert found[name].less is (verdict in ("ignored", "refused") and found[name].declared not in ("", "no"))
    assert probe.usage.calls <= MOST


async def test_what_is_asked_by_name_and_what_is_scored_leaves_as_servers_want_it() -> None:
    _, _, seen = await probed(honest)
    (named,) = [one.body for one in seen if "tool_choice" in one.body]
    assert named["tool_choice"] == {"type": "function", "function": {"name": "temperature"}}
    assert [one["function"]["name"] for one in named["tools"]] == ["temperature", "clock_time"]
    (scored,) = [one for one in seen if one.path == "/v1/completions"]
    assert scored.body == {
        "model": "m", "prompt": TEXT, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0, "seed": 7,
    }  # fmt: skip


@pytest.mark.parametrize("field", ["temperature", "seed", "response_format"])
async def test_what_is_refused_is_told_from_what_is_sent_along(field: str) -> None:
    groups = {"temperature": ["temperature", "top_p"], "seed": ["seed"], "response_format": ["schema"]}
    found, probe, _ = await probed(lambda body: REJECTED if field in body else answers(body))
    assert {name for name, one in found.items() if one.found == "refused"} == set(groups[field])
    assert found["n"].found == "honoured"
    assert probe.usage.calls <= MOST
    sampled = {"seed"} if field != "seed" else set[str]()
    assert {name for name in ("seed", "schema") if found[name].found == "honoured"} | {"schema"} >= sampled


async def test_where_nothing_comes_of_any_the_rest_is_found_out_all_the_same() -> None:
    def by(body: Any) -> Scripted:
        return REJECTED if "seed" in body or "response_format" in body else answers(body)

    found, probe, _ = await probed(by)
    assert [found[name].found for name in ("seed", "schema", "temperature", "n")] == ["unclear"] * 3 + ["untried"]
    assert [found[name].found for name in ("reply", "stop", "tools")] == ["honoured"] * 3
    assert probe.usage.calls <= MOST


async def test_a_server_that_refuses_several_draws_still_shows_its_seed() -> None:
    found, probe, seen = await probed(lambda body: REJECTED if body.get("n") else answers(body))
    assert (found["n"].found, found["seed"].found, len(seen)) == ("refused", "honoured", 9)
    assert (found["echo scoring"].found, found["echo scoring"].said) == (
        "untried",
        "10 calls were asked, and no more are",
    )
    assert (probe.usage.calls, probe.ended) == (10, False)


async def test_the_same_server_gets_the_same_verdicts_each_time() -> None:
    """A server that draws anew wherever a request leaves it to chance, as real ones do."""
    dice = random.Random(1)

    def by(body: Any) -> Scripted:
        steady = body.get("temperature") == 0.0 or "seed" in body
        chance = dice.random() < 0.5 and not steady
        kinds = {
            "limit": Said("1 2"),
            "stop": Said("No."),
            "tools": Said("Warm."),
            "named": Said("Late."),
            "images": Said("?"),
        }
        return answers(body, **(kinds if chance else {}))

    runs = [(await probed(by))[0] for _ in range(4)]
    assert runs[1:] == runs[:1] * 3
    assert {one.found for one in runs[0].values()} == {"honoured", "accepted"}


async def test_a_reply_that_is_no_json_does_not_change_how_the_next_is_asked_for() -> None:
    _, _, seen = await probed(forgets("schema", Said("An owl.")))
    dreamt = [one.body for one in seen if "Dream" in str(one.body.get("messages"))]
    assert len(dreamt) == 3
    assert all(one["response_format"]["type"] == "json_schema" for one in dreamt)
    _, _, seen = await probed(ignores_n)
    assert [one.body.get("n") for one in seen if "Dream" in str(one.body.get("messages"))] == [None, None, 2, None]


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
    assert (len(seen), probe.ended, found["tools"].found) == (3, True, "untried")


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


def test_what_was_never_tried_and_is_not_declared_stands_in_no_row() -> None:
    row = row_of([Finding("n", "no", "untried", ""), Finding("seed", "no", "untried", "")], Capabilities(frozenset()))
    assert row == {"fields": [], "schema": "none"}
    assert row_of([Finding("n", "no", "ignored", "")], Capabilities(frozenset()))["native-n"] is False


def test_a_schema_that_only_advises_promises_nothing() -> None:
    assert not Finding("schema", "advisory", "ignored", "").less
    assert not Finding("schema", "advisory", "refused", "").less
    assert Finding("schema", "advisory", "honoured", "").more
    assert Finding("schema", "constrained", "ignored", "").less


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
    assert misfit(Sample(VALID.replace("small", "huge"))) != ""
    assert misfit(Sample(VALID.replace("3", "true"))) != ""
    assert png(64, (255, 0, 0))[:8] == b"\x89PNG\r\n\x1a\n"
