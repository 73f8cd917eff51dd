"""Intervals, paired tests and power, against published and hand-made figures."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.lab._statistics import bootstrap, compared, detectable, holm, interval, mcnemar, power, wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (81, 263, 0.2553, 0.3662), (1, 1, 0.20654, 1.0)],
)
def test_wilson_agrees_with_published_intervals(right: int, n: int, low: float, high: float) -> None:
    # 81 of 263: Newcombe 1998, method 3.
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


def test_mcnemar_is_the_two_sided_binomial_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 2**6)
    assert mcnemar(2, 8) == pytest.approx(2 * sum(math.comb(10, k) for k in range(3)) / 2**10)
    assert mcnemar(5, 5) == 1.0


def test_holm_is_the_textbook_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_a_corrected_p_is_never_smaller_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(after >= before and after <= 1 for before, after in zip(ps, adjusted, strict=True))
    ordered = [after for _, after in sorted(zip(ps, adjusted, strict=True))]
    assert all(one <= two for one, two in pairwise(ordered))


@pytest.mark.parametrize(
    ("n", "difference", "wanted"),
    [(200, 0.07, 0.61), (200, 0.10, 0.90), (400, 0.07, 0.89), (600, 0.05, 0.79), (1000, 0.05, 0.94)],
)
def test_power_agrees_with_known_figures_where_a_fifth_is_discordant(n: int, difference: float, wanted: float) -> None:
    # The known figures are of the test with a normal approximation; the exact test is a little more careful.
    assert wanted - 0.065 <= power(n, 0.2, difference) <= wanted + 0.02


def test_without_a_difference_the_test_errs_as_rarely_as_it_says() -> None:
    assert 0.02 <= power(400, 0.2, 0.0) <= 0.05
    assert power(0, 0.2, 0.1) == 0.0
    assert power(100, 0.0, 0.0) == 0.0


def test_what_can_be_detected_has_the_wanted_power_and_less_has_not() -> None:
    least = detectable(400, 0.2)
    assert least is not None
    assert power(400, 0.2, least) >= 0.8 > power(400, 0.2, least - 0.005)
    assert detectable(4, 0.5) is None


def test_the_bootstrap_of_a_share_is_near_its_normal_interval_and_repeats() -> None:
    differences = [1.0] * 30 + [0.0] * 60 + [-1.0] * 10
    low, high, p = bootstrap(differences, 1)
    spread = 1.96 * math.sqrt((0.4 - 0.2**2) / 100)
    assert (low, high) == pytest.approx((0.2 - spread, 0.2 + spread), abs=0.02)
    assert p < 0.01
    assert bootstrap(differences, 1) == (low, high, p)
    assert bootstrap([0.0] * 10, 1) == (0.0, 0.0, 1.0)


def test_shares_get_wilsons_interval_and_partial_credit_a_bootstrap() -> None:
    assert interval([1.0] * 8 + [0.0] * 2, 1) == wilson(8, 10)
    low, high = interval([0.5] * 10, 1)
    assert (low, high) == (0.5, 0.5)


def test_two_strategies_are_compared_item_by_item() -> None:
    a = [1.0] * 10 + [0.0] * 30 + [1.0] * 60
    b = [0.0] * 10 + [1.0] * 30 + [1.0] * 60
    found = compared(a, b, 3)
    assert (found.a_only, found.b_only) == (10, 30)
    assert found.difference == pytest.approx(0.2)
    assert found.p == mcnemar(10, 30)
    assert found.low < 0.2 < found.high
    assert compared(b, a, 3).difference == pytest.approx(-0.2)
    assert compared(a, a, 3).p == 1.0


def test_partial_credit_is_tested_by_the_bootstrap() -> None:
    found = compared([0.5] * 20, [0.75] * 20, 3)
    assert found.p == found.p_bootstrap < 0.01


def test_power_is_stated_at_the_level_that_the_correction_leaves() -> None:
    a, b = [0.0] * 60 + [1.0] * 140, [1.0] * 30 + [0.0] * 30 + [1.0] * 130 + [0.0] * 10
    alone, among = compared(a, b, 1), compared(a, b, 1, tests=20)
    assert (alone.power, alone.detectable) == (round(power(200, 0.2, 0.05), 4), detectable(200, 0.2))
    assert (among.power, among.detectable) == (round(power(200, 0.2, 0.05, 0.0025), 4), detectable(200, 0.2, 0.0025))
    assert among.detectable is not None
    assert alone.detectable is not None
    assert among.detectable > alone.detectable
    assert among[:7] == alone[:7]
