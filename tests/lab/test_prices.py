"""What a comparison pays for: prices of the user's own, and no discount for what a provider's cache knew already."""

from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.testing.model_server import Said, serving

# Every token costs a thousandth of a dollar, but for those that a cache knew (a tenth) or was told (twice as much).
PRICES = {
    "vllm:m": {
        "input_per_mtok": 1000, "output_per_mtok": 1000, "cached_per_mtok": 100, "cache_written_per_mtok": 2000,
    },
}  # fmt: skip
SMALL: dict[str, Any] = {"items": 2, "max_tokens": 9, "baselines": False, "processes": 1}


def row(server: Any, strategy: str, model: str = "vllm:m", **settings: Any) -> dict[str, Any]:
    """Return the row of one strategy with a model of that server."""
    place = server.origin if model.startswith("anthropic") else server.url
    prices = {**PRICES, "anthropic:m": PRICES["vllm:m"]}
    given = {**SMALL, "prices": prices, **settings}
    return lab.compare("word_problems", strategy, model=model, base_url=place, **given).rows[0]


@pytest.mark.parametrize(
    ("model", "said"), [("vllm:m", Said("7", cached=200)), ("anthropic:m", Said("7", cached=200, written=300))]
)
def test_what_a_cache_knew_costs_what_any_prompt_costs(model: str, said: Said) -> None:
    with serving(lambda _: said) as server:
        found = row(server, "direct", model)
    assert found["tokens_per_item"] > 200
    assert found["usd"] == pytest.approx(2 * found["tokens_per_item"] / 1000)


def test_a_budget_of_money_pays_for_as_many_calls_whether_a_cache_knew_the_prompt_or_not() -> None:
    with serving(lambda body: Said("7", cached=len(str(body)) // 8)) as server:
        warm = row(server, "self_consistency(n=50)", budget="usd=1.5")
    with serving(
        lambda body: Said("7" + " 7" * (len(str(body)) // 8))
    ) as server:  # as many tokens, and none of them cached
        cold = row(server, "self_consistency(n=50)", budget="usd=1.5")
    assert 1 < warm["calls_per_item"] < 50
    assert (warm["calls_per_item"], warm["usd"]) == (cold["calls_per_item"], cold["usd"])


def test_prices_of_compared_models_are_in_the_manifest_and_a_folder_keeps_to_them(tmp_path: Path) -> None:
    more = {**PRICES, "vllm:other": {"input_per_mtok": 1, "output_per_mtok": 1}}
    with serving(lambda _: Said("7")) as server:
        given = {**SMALL, "model": "vllm:m", "base_url": server.url, "out": tmp_path}
        made = lab.compare("word_problems", "direct", prices=more, **given)
        assert made.manifest["prices"] == PRICES
        with pytest.raises(UsageError, match="holds a comparison with prices"):
            lab.compare("word_problems", "direct", **given)
        assert len(server.seen) == 2


def test_prices_that_are_none_are_refused_before_anything_is_asked() -> None:
    for prices, said in (({"vllm:m": {"input_per_mtok": 1}}, "lacks output_per_mtok"), ([1], "prices")):
        with pytest.raises(UsageError, match=said):
            lab.compare("word_problems", "direct", model="vllm:m", prices=prices, **SMALL)  # pyright: ignore[reportArgumentType]
