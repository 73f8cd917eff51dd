"""What calls cost: the table's prices, one's own, and none."""

import datetime
import random
import sys
from typing import Any

import pytest

from stratagem.core import Usage
from stratagem.errors import UsageError
from stratagem.models.chain import Chain
from stratagem.models.prices import PROVIDERS, Price, Rates, _entry, listable, listed_price, own_price, table
from tests.models._backend import Gated, said

WALL = 1_790_000_000.0


def test_what_a_call_costs_is_what_the_tables_own_package_says() -> None:
    """Our arithmetic against its, for every model of every provider that we speak to."""
    from genai_prices import Usage as Theirs
    from genai_prices.data_snapshot import get_snapshot

    dice, compared = random.Random(7), 0
    moment = datetime.datetime.fromtimestamp(WALL, datetime.UTC)
    for provider in get_snapshot().providers:
        for model in provider.models if provider.id in PROVIDERS.values() else ():
            rates = Price("table", listed=model).rates(WALL)
            if rates is None:
                continue
            for length in (0, 10, 150_000, 250_000):
                cached = dice.randint(0, length)
                written, completion = dice.randint(0, length - cached), dice.randint(0, 5000)
                thought = dice.randint(0, completion)
                ours = rates.nano(Usage(1, 1, length, completion, cached, written, thought))
                said = Theirs(
                    input_tokens=length, output_tokens=completion, cache_read_tokens=cached, cache_write_tokens=written,
                    output_reasoning_tokens=thought,
                )  # fmt: skip
                theirs = model.calc_price(said, provider, genai_request_timestamp=moment).total_price * 10**9
                assert abs(ours - float(theirs)) <= 1, (provider.id, model.id)
                assert ours <= rates.most(length, completion), (provider.id, model.id)
                compared += 1
    assert compared > 2000


@pytest.mark.parametrize(
    ("spec", "origin", "known"),
    [
        ("openai:gpt-4o-mini", "https://api.openai.com:443", True),
        ("openai:gpt-4o-mini", "https://models.example.org:443", False),
        ("openai:gpt-4o-mini", "http://127.0.0.1:8000", False),
        ("openai:ft:gpt-4o-mini:mine", "https://api.openai.com:443", False),
        ("openai:gpt-99", "https://api.openai.com:443", False),
        ("openai:gpt-image-1", "https://api.openai.com:443", False),  # charges for images apart
        ("openai:whisper-1", "https://api.openai.com:443", False),  # and this by the second
        ("vllm:gpt-4o-mini", "https://api.openai.com:443", False),
        ("anthropic:claude-sonnet-4-5", "https://api.anthropic.com:443", True),
        ("google:gemini-2.5-pro", "https://generativelanguage.googleapis.com:443", True),
        ("xai:grok-4", "https://api.x.ai:443", True),
        ("openrouter:openai/gpt-4o-mini", "https://openrouter.ai:443", True),
        ("groq:llama-3.3-70b-versatile", "https://api.groq.com:443", True),
    ],
)
def test_a_price_is_that_of_a_named_provider_at_its_own_address(spec: str, origin: str, known: bool) -> None:
    price = listed_price(spec, origin)
    assert (price is not None) is known
    if price is not None:
        assert price.source == table()
        assert price.source.startswith("genai-prices ")


def test_without_the_table_every_price_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.prices.PACKAGE", "no-such-package")
    assert table() == ""
    assert listable("openai:gpt-4o-mini", "https://api.openai.com:443")
    assert listed_price("openai:gpt-4o-mini", "https://api.openai.com:443") is None


def test_a_table_that_cannot_be_read_costs_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    assert listed_price("openai:gpt-4o-mini-2024-07-18", "https://api.openai.com:443") is None
    _entry.cache_clear()


def test_own_prices_fall_back_on_the_two_that_are_needed() -> None:
    given = {"vllm:a": {"input_per_mtok": 1, "output_per_mtok": 4}, "vllm:b": {
        "input_per_mtok": 1, "output_per_mtok": 4, "cached_per_mtok": 0.1, "cache_written_per_mtok": 2,
        "reasoning_per_mtok": 8,
    }}  # fmt: skip
    usage = Usage(1, 1, 1000, 100, 500, 200, 50)
    plain, apart = own_price(given, "vllm:a"), own_price(given, "vllm:b")
    assert plain is not None
    assert apart is not None
    assert own_price(given, "vllm:c") is own_price(None, "vllm:a") is None
    first, second = plain.rates(WALL), apart.rates(WALL)
    assert first is not None
    assert second is not None
    assert first.nano(usage) == 1000 * 1000 + 100 * 4000
    assert second.nano(usage) == 300 * 1000 + 500 * 100 + 200 * 2000 + 50 * 4000 + 50 * 8000
    assert second.most(1000, 100) == 1000 * 2000 + 100 * 8000


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"vllm:a": 3}, "the price of 'vllm:a' is no table"),
        ({"vllm:a": {"input_per_mtok": 1}}, "lacks output_per_mtok"),
        ({"vllm:a": {"input_per_mtok": -1, "output_per_mtok": 1}}, "input_per_mtok must be a number from 0 up"),
        ({"vllm:a": {"input_per_mtok": True, "output_per_mtok": 1}}, "input_per_mtok must be a number"),
        ({"vllm:a": {"input_per_mtok": 1, "output_per_mtok": float("nan")}}, "output_per_mtok must be a number"),
        ({"vllm:a": {"input": 1}}, "has 'input', which does not exist"),
    ],
)
def test_a_price_that_is_none_is_refused_whichever_model_it_is_for(given: Any, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        own_price(given, "vllm:other")


def test_a_longer_prompt_may_cost_more_by_the_token() -> None:
    rates = Rates(((0, 1.0), (100, 2.0)), ((0, 10.0),), ((0, 1.0),), ((0, 1.0),), ((0, 10.0),))
    assert [rates.nano(Usage(1, 1, length)) for length in (100, 101)] == [100, 202]


async def test_the_table_is_asked_once_and_while_the_first_call_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(spec: str, origin: str) -> Any:
        looked.append(spec)
        return own_price({spec: {"input_per_mtok": 1, "output_per_mtok": 10}}, spec)

    monkeypatch.setattr("stratagem.models.gateway.listed_price", look)
    gated = Gated(said(), prices={"other:m": {"input_per_mtok": 1, "output_per_mtok": 1}})
    assert (gated.model.capabilities.priced, gated.model.capabilities.worth) == (False, None)
    replies = [await gated.ask() for _ in range(3)]
    assert [reply.usage.usd for reply in replies if reply.usage] == [60e-6] * 3
    assert looked == ["openai:m"]
    assert gated.model.capabilities.priced
    assert gated.model.capabilities.worth is not None
    assert gated.model.capabilities.worth(1000, 100) == 2_000_000
    await gated.model.aclose()


async def test_a_price_that_the_table_lacks_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.listed_price", lambda spec, origin: None)
    gated = Gated(said(), prices={"other:m": {"input_per_mtok": 1, "output_per_mtok": 1}})
    assert gated.model.priced_by == table()
    reply = await gated.ask()
    assert reply.usage is not None
    assert reply.usage.usd is None
    assert (gated.model.capabilities.priced, gated.model.priced_by) == (False, "")


async def test_a_model_or_a_chain_that_prices_in_full_grants_no_discount_and_no_surcharge_of_a_cache() -> None:
    own = {"input_per_mtok": 1, "output_per_mtok": 10, "cached_per_mtok": 0.1, "cache_written_per_mtok": 2}
    reply = said(prompt_tokens=100, cached_tokens=50, cache_written_tokens=40)

    async def cost(model: Any, gated: Gated) -> Usage | None:
        return (await model.complete(gated.request())).usage

    gated = Gated(reply, prices={"openai:m": own})
    paid = await cost(gated.model, gated)
    assert paid is not None
    assert paid.usd == pytest.approx((10 + 50 * 0.1 + 40 * 2 + 5 * 10) / 1e6)
    for model in (gated.model, Chain((gated.model, Gated(said(), spec="openai:n").model), "openai:m|openai:n")):
        gated.model._full = False
        model.price_in_full()
        assert await cost(model, gated) == paid._replace(usd=150e-6)


async def test_a_server_on_this_machine_costs_no_look_into_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.listed_price", lambda spec, origin: pytest.fail("asked"))
    gated = Gated(
        said(), origin="http://127.0.0.1:8000", prices={"other:m": {"input_per_mtok": 1, "output_per_mtok": 1}}
    )
    reply = await gated.ask()
    assert reply.usage is not None
    assert reply.usage.usd is None


def test_the_sum_of_known_and_unknown_costs_says_both() -> None:
    known, unknown = Usage(1, 1, usd=0.06), Usage(1, 1, usd=None)
    total = known + unknown + known + unknown + unknown
    assert (total.usd, total.known_usd, total.unpriced, total.calls) == (None, 0.12, 3, 5)
    assert total.money == "$0.12 + 3 calls of unknown price"
    assert (known + unknown).money == "$0.06 + 1 call of unknown price"
    assert [one.money for one in (known, unknown, Usage())] == ["$0.06", "cost unknown", "no charge"]
    assert "unpriced" not in known.plain()
    assert total.plain()["unpriced"] == 3
    assert Usage(**total.plain()) == total
