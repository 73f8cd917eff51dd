"""Figures of several models: a panel each, in which a strategy looks the same, and names that can be told apart."""

import re
from typing import Any

import pytest

from stratagem.lab import _figure

BUDGETS = ("tokens=1000", "tokens=3000", "tokens=9000")
NAMES = ("direct", "chain_of_thought", "self_consistency(n=5)", "tree_of_thoughts(width=3)")


def rows(models: int, names: tuple[str, ...] = NAMES, budgets: tuple[str, ...] = BUDGETS) -> list[dict[str, Any]]:
    """Return rows as a report of so many models has them."""
    return [
        {"strategy": name, **({"model": f"sim:skill=0.{model}"} if models > 1 else {}), "budget": budget, "accuracy": 0.1 * at,
         "interval": [0.05 * at, 0.15 * at], "baseline": False}
        for model in range(models) for budget in budgets for at, name in enumerate(names)
    ]  # fmt: skip


def texts(given: list[dict[str, Any]], title: str = "a title") -> list[str]:
    svg = _figure.curves(given, title, format="svg", dpi=100).decode()
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("models", [2, 3, 5])
def test_each_of_several_models_has_a_panel_and_each_strategy_one_name(models: int) -> None:
    said = texts(rows(models))
    assert [said.count(f"sim:skill=0.{model}") for model in range(models)] == [1] * models
    assert [said.count(name) for name in NAMES] == [1] * 4


def test_a_strategy_has_the_same_colour_in_each_panel() -> None:
    svg = _figure.curves(rows(3), "a title", format="svg", dpi=100).decode()
    drawn = re.findall(r"fill: none; stroke-dasharray: [^;]*; stroke-dashoffset: 0; stroke: (#[0-9a-f]{6})", svg)
    # Three panels and the names above them; `direct` has no dashes.
    assert {colour: drawn.count(colour) for colour in _figure.COLOURS[1:4]} == dict.fromkeys(_figure.COLOURS[1:4], 4)
    assert not set(drawn) & set(_figure.COLOURS[4:])


def test_one_model_has_its_names_beside_the_curves_and_no_panel_of_its_own() -> None:
    said = texts(rows(1))
    assert [said.count(name) for name in NAMES] == [1] * 4
    assert not [one for one in said if one.startswith("sim:")]


def test_the_axis_names_the_limit_and_its_ticks_are_numbers() -> None:
    said = texts(rows(1))
    assert {"1,000", "3,000", "9,000", "budget of an item: tokens"} <= set(said)
    said = texts(rows(1, budgets=("calls=5,usd=0.01", "calls=5,usd=0.05")))
    assert {"0.01", "0.05", "budget of an item: usd, beside calls=5"} <= set(said)
    said = texts(rows(1, budgets=("", "calls=5", "tokens=100")))
    assert {"no limit", "5 calls", "100 tokens", "budget of an item"} <= set(said)


def test_a_long_name_keeps_its_end_where_specs_differ() -> None:
    names = tuple(f"/home/somebody/projects/solvers/mine.py:search(width={n})" for n in (3, 4))
    for models in (1, 2):
        shown = [one for one in texts(rows(models, names)) if one.startswith("/home")]
        assert len(set(shown)) == 2
        assert shown[0].endswith("(width=3)")


def test_a_long_model_stands_in_two_lines_broken_where_it_may_be() -> None:
    assert _figure._wrapped("sim:skill=0.5", 44) == "sim:skill=0.5"
    assert _figure._wrapped("sim:skill=0.5,judge=0.8,latency=1.5", 22) == "sim:skill=0.5,\njudge=0.8,latency=1.5"
    assert _figure._wrapped("openai:" + "x" * 60, 30).split("\n")[0] == "openai:" + "x" * 23


@pytest.mark.parametrize("number", [8, 9, 17, 25])
def test_a_ninth_curve_is_no_copy_of_the_first(number: int) -> None:
    looks = [_figure.style(one, baseline=False) for one in range(number + 1)]
    assert len({(one["color"], one["marker"], one["linestyle"]) for one in looks}) == number + 1


def test_thirty_names_beside_one_panel_stay_in_the_picture() -> None:
    placed = _figure.apart([(0.9, str(n), "") for n in range(30)], 0.96 / 30)
    assert min(y for y, _, _ in placed) >= 0.0
    one, many = (_figure.curves(rows(1, tuple(map(str, range(n)))), "t", format="svg", dpi=100) for n in (4, 30))
    high = [float(re.search(rb'height="([\d.]+)pt"', svg)[1]) for svg in (one, many)]  # pyright: ignore[reportOptionalSubscript]
    assert high[1] > 1.5 * high[0]


def test_a_title_of_two_lines_does_not_cover_the_names() -> None:
    short, long = (_figure.curves(rows(2), "word " * n, format="svg", dpi=100).decode() for n in (3, 30))
    tall = [float(re.search(r'height="([\d.]+)pt"', svg)[1]) for svg in (short, long)]  # pyright: ignore[reportOptionalSubscript]
    assert tall[1] == pytest.approx(tall[0] + 0.19 * 72, abs=1)
