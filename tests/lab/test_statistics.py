"""Intervals, paired tests and power, against published and hand-made figures."""

import math
import random
from itertools import accumulate, combinations, pairwise, product

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stratagem import lab
from stratagem.lab._statistics import (
    bootstrap,
    compared,
    detectable,
    holm,
    interval,
    mcnemar,
    power,
    sign_flips,
    wilson,
)


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


def test_partial_credit_is_tested_by_the_signs_of_its_differences() -> None:
    found = compared([0.5] * 20, [0.75] * 20, 3)
    assert found.p == pytest.approx(2 / 2**20)
    assert found.p_bootstrap < 0.01


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_few_items_of_partial_credit_are_never_significant(n: int) -> None:
    # A bootstrap of equal differences draws nothing else: of one item it would say p = 0.0002.
    found = compared([0.25] * n, [0.75] * n, 3)
    assert found.p == pytest.approx(2 / 2**n)
    assert found.p > 0.05 > found.p_bootstrap


def flipped(differences: list[float]) -> float:
    """Return the p of all flips of signs, one by one."""
    least = abs(sum(differences)) - 1e-9
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return sum(one >= least for one in sums) / len(sums)


@given(st.lists(st.sampled_from([-1.0, -0.5, -0.3, 0.0, 0.1, 0.2, 0.7]), max_size=9))
@settings(max_examples=60, deadline=None)
def test_the_test_of_signs_counts_every_flip(differences: list[float]) -> None:
    assert sign_flips(differences, 1) == pytest.approx(flipped(differences))


def test_the_test_of_signs_draws_where_there_are_too_many_flips_and_is_mcnemars_for_shares() -> None:
    dice = random.Random(5)
    differences = [round(dice.gauss(0.05, 0.3), 3) for _ in range(60)]
    spread = math.sqrt(sum(one**2 for one in differences))
    normal = math.erfc(abs(sum(differences)) / spread / math.sqrt(2))
    assert sign_flips(differences, 1) == pytest.approx(normal, abs=0.03)
    assert sign_flips(differences, 1) == sign_flips(differences, 1)
    assert sign_flips([1.0] * 30 + [-1.0] * 14 + [0.0] * 50, 1) == pytest.approx(mcnemar(14, 30))
    assert sign_flips([], 1) == sign_flips([0.0] * 5, 1) == 1.0


# Every number of a report once more, by formulas that share nothing with those above.


def exact(a_only: int, b_only: int) -> float:
    n = a_only + b_only
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(a_only, b_only) + 1)) / 2**n)


def score_interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's interval as his formula says it (1927)."""
    z, share = 1.959963984540054, right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def closed(ps: list[float]) -> list[float]:
    """Holm's correction as the closed test that it is: the largest p of all groups that a hypothesis belongs to."""
    numbers = range(len(ps))
    groups = [group for size in range(1, len(ps) + 1) for group in combinations(numbers, size)]
    return [
        max(min(1.0, len(group) * min(ps[at] for at in group)) for group in groups if number in group)
        for number in numbers
    ]  # fmt: skip


def resampled(a_only: int, b_only: int, n: int) -> tuple[float, float]:
    """Quantiles of the mean of n differences drawn with replacement: the exact distribution, without drawing."""
    shares = {-1: a_only / n, 0: (n - a_only - b_only) / n, 1: b_only / n}
    sums = {0: 1.0}
    for _ in range(n):
        longer: dict[int, float] = {}
        for total, share in sums.items():
            for value, of in shares.items():
                longer[total + value] = longer.get(total + value, 0.0) + share * of
        sums = longer
    ordered = sorted(sums.items())
    cumulated = list(accumulate(share for _, share in ordered))
    low, high = (next(at for at, share in enumerate(cumulated) if share >= tail) for tail in (0.025, 0.975))
    return ordered[low][0] / n, ordered[high][0] / n


def test_mcnemars_p_is_the_sum_of_its_binomial_tails() -> None:
    for a_only, b_only in product(range(14), repeat=2):
        assert mcnemar(a_only, b_only) == pytest.approx(exact(a_only, b_only))


def test_wilsons_interval_is_his_formula() -> None:
    for n in (1, 2, 7, 30, 400):
        for right in {0, 1, n // 2, n - 1, n}:
            assert wilson(right, n) == pytest.approx(score_interval(right, n), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(deadline=None)
def test_holms_correction_is_the_closed_test(ps: list[float]) -> None:
    assert holm(ps) == pytest.approx(closed(ps))


@pytest.mark.parametrize(
    ("a_only", "b_only", "n"), [(3, 12, 40), (0, 6, 30), (10, 10, 60), (25, 0, 25), (1, 0, 1), (0, 0, 9)]
)
def test_the_interval_of_a_difference_is_that_of_all_resamples(a_only: int, b_only: int, n: int) -> None:
    found = compared(
        [1.0] * a_only + [0.0] * (n - a_only), [0.0] * a_only + [1.0] * b_only + [0.0] * (n - a_only - b_only), 7
    )
    assert (found.low, found.high) == pytest.approx(resampled(a_only, b_only, n), abs=1.01 / n)
    # The same from another library, which draws items and not counts.
    items = [-1.0] * a_only + [1.0] * b_only + [0.0] * (n - a_only - b_only)
    if len(set(items)) > 1:
        other = stats.bootstrap((items,), numpy.mean, n_resamples=4000, method="percentile", rng=3).confidence_interval
        assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1.01 / n)


@pytest.mark.parametrize(
    ("n", "discordant", "difference", "alpha"),
    [(12, 0.5, 0.3, 0.05), (25, 0.3, 0.2, 0.05), (25, 0.4, 0.4, 0.01), (6, 1.0, 1.0, 0.05)],
)
def test_power_is_the_share_of_all_outcomes_that_the_test_notices(
    n: int, discordant: float, difference: float, alpha: float
) -> None:
    more, less = (discordant + difference) / 2, (discordant - difference) / 2
    noticed = sum(
        math.comb(n, b) * math.comb(n - b, a) * more**b * less**a * (1 - discordant) ** (n - a - b)
        for b in range(n + 1) for a in range(n + 1 - b) if exact(a, b) <= alpha
    )  # fmt: skip
    assert power(n, discordant, difference, alpha) == pytest.approx(noticed, abs=1e-7)


def test_one_item_and_no_discordant_item_resolve_nothing() -> None:
    one = compared([0.0], [1.0], 1)
    assert (one.a_only, one.b_only, one.difference, one.p, one.detectable) == (0, 1, 1.0, 1.0, None)
    same = compared([1.0, 0.0, 1.0], [1.0, 0.0, 1.0], 1)
    assert same[:7] == (0, 0, 0.0, 0.0, 0.0, 1.0, 1.0)
    tied = compared([1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], 1)
    assert (tied.a_only, tied.b_only, tied.difference, tied.p) == (1, 1, 0.0, 1.0)


def test_a_report_says_of_its_items_what_the_formulas_say(report: lab.Report) -> None:
    n, at = len(report.items), {(row["strategy"], row["budget"]): number for number, row in enumerate(report.rows)}
    right = {key: [item["right"][number] for item in report.items] for key, number in at.items()}
    for key, number in at.items():
        row = report.rows[number]
        assert row["items"] == n == len(right[key])
        assert row["accuracy"] == pytest.approx(sum(right[key]) / n, abs=1e-6)
        assert row["interval"] == pytest.approx(score_interval(sum(right[key]), n), abs=2e-6)
    ps: list[float] = []
    for test in report.tests:
        a, b = (right[test[who], test["budget"]] for who in "ab")
        a_only, b_only = sum(x > y for x, y in zip(a, b, strict=True)), sum(x < y for x, y in zip(a, b, strict=True))
        assert (test["a_only"], test["b_only"], test["items"]) == (a_only, b_only, n)
        assert test["difference"] == pytest.approx((b_only - a_only) / n, abs=1e-6)
        assert test["interval"] == pytest.approx(resampled(a_only, b_only, n), abs=1.01 / n)
        assert test["p"] == pytest.approx(exact(a_only, b_only), rel=1e-5)
        ps.append(exact(a_only, b_only))
    ordered = sorted(ps)
    stepwise = [max(min(1.0, (len(ps) - k) * ordered[k]) for k in range(at + 1)) for at in range(len(ps))]
    assert sorted(test["p_holm"] for test in report.tests) == pytest.approx(stepwise, rel=1e-5)


def test_power_is_stated_at_the_level_that_the_correction_leaves() -> None:
    a, b = [0.0] * 60 + [1.0] * 140, [1.0] * 30 + [0.0] * 30 + [1.0] * 130 + [0.0] * 10
    alone, among = compared(a, b, 1), compared(a, b, 1, tests=20)
    assert (alone.power, alone.detectable) == (round(power(200, 0.2, 0.05), 4), detectable(200, 0.2))
    assert (among.power, among.detectable) == (round(power(200, 0.2, 0.05, 0.0025), 4), detectable(200, 0.2, 0.0025))
    assert among.detectable is not None
    assert alone.detectable is not None
    assert among.detectable > alone.detectable
    assert among[:7] == alone[:7]
