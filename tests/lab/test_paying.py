"""Where a strategy pays: what is said by chance alone is said no more often than it may be."""

from functools import cache

import numpy
import pytest

from stratagem.lab._statistics import ALPHA, holm, mcnemar, paying

ITEMS, SWEEPS = 100, 1000
WRONG = ALPHA / 2  # of a two-sided test, in one direction
exact = cache(mcnemar)
Point = list[tuple[float, float]]


def sweeps(own: float, baselines: list[float], points: int, seed: int) -> list[list[Point]]:
    """Return the gains over baselines, and the p of each, in many sweeps of strategies that are right so often."""
    dice = numpy.random.default_rng(seed)
    found: list[list[Point]] = []
    for _ in range(SWEEPS):
        mine = dice.random((points, 1, ITEMS)) < own
        others = dice.random((points, len(baselines), ITEMS)) < numpy.array(baselines)[None, :, None]
        won, lost = (mine & ~others).sum(2).tolist(), (~mine & others).sum(2).tolist()
        found.append(
            [
                [((a - b) / ITEMS, exact(b, a)) for a, b in zip(*pair, strict=True)]
                for pair in zip(won, lost, strict=True)
            ]
        )
    return found


def shares(found: list[list[Point]]) -> tuple[float, float]:
    """Return in which share of sweeps some point is said to pay, and in which some point to cost."""
    said = [{one.verdict for one in paying(sweep)} for sweep in found]
    return tuple(sum(word in one for one in said) / len(said) for word in ("pays", "costs"))  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("points", [1, 4])
def test_among_equals_nothing_pays_and_nothing_costs_more_often_than_it_may(points: int) -> None:
    found = sweeps(0.6, [0.6, 0.6, 0.6], points, seed=points)
    pays, costs = shares(found)
    assert max(pays, costs) <= WRONG


def test_the_best_of_three_equals_seems_better_too_often_if_nobody_counts_that_it_was_picked() -> None:
    # What the check above would show: the best baseline alone, corrected for the number of points.
    worse = 0
    for sweep in sweeps(0.6, [0.6, 0.6, 0.6], 4, seed=4):
        best = [min(point) for point in sweep]
        worse += any(p < ALPHA and gain < 0 for p, (gain, _) in zip(holm([p for _, p in best]), best, strict=True))
    assert worse / SWEEPS > 1.5 * WRONG


def test_who_equals_the_best_baseline_and_beats_the_others_pays_no_more_often_than_he_may() -> None:
    pays, costs = shares(sweeps(0.7, [0.7, 0.3, 0.3], 4, seed=9))
    assert max(pays, costs) <= WRONG


def test_what_is_so_is_said() -> None:
    assert shares(sweeps(0.8, [0.4, 0.4, 0.4], 1, seed=1)) == (1.0, 0.0)
    assert shares(sweeps(0.3, [0.3, 0.3, 0.8], 1, seed=1)) == (0.0, 1.0)


def test_all_baselines_must_be_beaten_and_the_least_sure_of_them_decides() -> None:
    assert paying([[(0.2, 0.001), (0.1, 0.04), (0.3, 0.002)]]) == [("pays", 0.04, 0.04, 1)]
    assert paying([[(0.2, 0.001), (0.1, 0.06)]]) == [("unresolved", 0.06, 0.06, 1)]
    assert paying([[(0.2, 0.001), (0.0, 1.0)]]) == [("unresolved", 1.0, 1.0, 0)]
    # Two points: the second has the smaller p, which counts twice.
    assert paying([[(0.1, 0.03)], [(0.1, 0.01)]]) == [("pays", 0.03, 0.03, 0), ("pays", 0.01, 0.02, 0)]


def test_one_baseline_that_is_better_is_enough_and_each_is_a_chance_to_be_so() -> None:
    assert paying([[(0.2, 0.001), (-0.1, 0.02)]]) == [("costs", 0.02, 0.04, 1)]
    assert paying([[(-0.2, 0.02), (-0.1, 0.03), (0.1, 0.001)]]) == [("unresolved", 0.02, 0.06, 0)]
    # Two points of two baselines: four chances.
    assert paying([[(-0.2, 0.012), (0.1, 0.5)], [(0.1, 0.2), (0.1, 0.2)]]) == [
        ("costs", 0.012, 0.048, 0), ("unresolved", 0.2, 0.4, 1),
    ]  # fmt: skip
