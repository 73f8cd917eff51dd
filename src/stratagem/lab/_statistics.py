"""Statistics of a comparison: intervals, paired tests, power. scipy computes the distributions.

Accuracy is a share of items, and every strategy meets the same items: so tests are paired.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from stratagem.errors import CapabilityError

CONFIDENCE, ALPHA = 0.95, 0.05
RESAMPLES = 10_000
MATTERS = 0.05  # difference for which power is stated: 5 points
WANTED_POWER = 0.8


def _scipy() -> Any:
    try:
        from scipy import stats  # pyright: ignore[reportMissingTypeStubs]  (it has none)
    except ModuleNotFoundError:
        raise CapabilityError("statistics need the package scipy", remedy='pip install "stratagem[lab]"') from None
    return stats


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Wilson's score, without continuity correction.

    >>> [round(one, 4) for one in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    if n == 0:
        return 0.0, 1.0
    found = _scipy().binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def interval(scores: Sequence[float], seed: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean: Wilson's for shares of right answers, a bootstrap where there is partial credit."""
    if all(score in (0, 1) for score in scores):
        return wilson(round(sum(scores)), len(scores))
    return bootstrap(scores, seed)[:2]


def mcnemar(a_only: int, b_only: int) -> float:
    """Return the exact two-sided p of two strategies that differ on these numbers of items.

    >>> round(mcnemar(1, 9), 5)
    0.02148
    """
    n = a_only + b_only
    return 1.0 if n == 0 else float(_scipy().binomtest(min(a_only, b_only), n).pvalue)


def bootstrap(differences: Sequence[float], seed: int) -> tuple[float, float, float]:
    """Return the 95 % percentile interval of a mean difference, and the two-sided p of no difference.

    Items are drawn with replacement, `RESAMPLES` times: as counts of each value that occurs, which is the same and faster.
    """
    import numpy

    values, counts = numpy.unique(numpy.asarray(differences, dtype=float), return_counts=True)
    n = len(differences)
    drawn = numpy.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES)
    means = drawn @ values / n
    low, high = numpy.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    tail = min(float((means <= 0).sum()), float((means >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (tail + 1) / (RESAMPLES + 1))


def sign_flips(differences: Sequence[float], seed: int) -> float:
    """Return the two-sided p of a permutation test: without a difference each item's sign is as likely the other one.

    With differences of 1 and -1 it is McNemar's exact test. A few items cannot be significant, however alike they are:
    of a bootstrap they would be, since it draws only what occurred.

    >>> sign_flips([0.5, 0.25, 0.25], 1), round(sign_flips([1, 1, 1, 1, 1, 1, 0], 1), 9), mcnemar(0, 6)
    (0.25, 0.03125, 0.03125)
    """
    import numpy as typed

    numpy: Any = typed  # its types do not follow arrays of arrays
    found = numpy.asarray(differences, dtype=float)
    values, counts = numpy.unique(numpy.abs(found[found != 0]), return_counts=True)
    least = abs(float(found.sum())) - 1e-9  # sums of the same numbers in another order
    if math.prod(int(count) + 1 for count in counts) <= RESAMPLES:
        sums, shares = numpy.zeros(1), numpy.ones(1)
        for value, count in zip(values, counts, strict=True):
            plus = numpy.arange(count + 1)
            sums = (sums[:, None] + value * (2 * plus - count)).ravel()
            shares = (shares[:, None] * _scipy().binom.pmf(plus, count, 0.5)).ravel()
        return min(1.0, float(shares[numpy.abs(sums) >= least].sum()))
    plus = numpy.random.default_rng(seed).binomial(counts, 0.5, size=(RESAMPLES, len(values)))
    return float((numpy.abs((2 * plus - counts) @ values) >= least).sum() + 1) / (RESAMPLES + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number (Holm 1979), in their order.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = largest
    return adjusted


class Paying(NamedTuple):
    """Whether a strategy pays at one point of a grid.

    Attributes:
        verdict: `pays`, better than every baseline; `costs`, worse than at least one; else `unresolved`.
        p: of the comparison that decides: with the baseline that is least surely beaten, or that most surely beats.
        p_holm: the same, corrected.
        against: which baseline that is.
    """

    verdict: str
    p: float
    p_holm: float
    against: int


def paying(points: Sequence[Sequence[tuple[float, float]]]) -> list[Paying]:
    """Say of each point of a grid whether a strategy pays.

    Whoever must be better than every baseline has as many chances to fail as there are baselines, so the largest p counts as
    it is (an intersection-union test, Berger 1982) and is corrected for the number of points. Whoever is worse if worse than
    any has as many chances to be so: each p is corrected for points times baselines.

    Args:
        points: for each point, and each baseline there, the gain over it and the two-sided p of the paired test.

    >>> paying([[(0.2, 0.01), (0.1, 0.03)], [(0.1, 0.5), (-0.3, 0.001)]])
    [Paying(verdict='unresolved', p=0.03, p_holm=0.06, against=1), Paying(verdict='costs', p=0.001, p_holm=0.004, against=1)]
    """
    beaten = [max((p if gain > 0 else 1.0, at) for at, (gain, p) in enumerate(point)) for point in points]
    pays = holm([p for p, _ in beaten])
    costs = iter(holm([p if gain < 0 else 1.0 for point in points for gain, p in point]))
    found: list[Paying] = []
    for point, (least, of_least), corrected in zip(points, beaten, pays, strict=True):
        worse = [(next(costs), p if gain < 0 else 1.0, at) for at, (gain, p) in enumerate(point)]
        wins = all(gain > 0 for gain, _ in point)
        decides, p, at = (corrected, least, of_least) if wins else min(worse)
        verdict = "unresolved" if decides >= ALPHA else "pays" if wins else "costs"
        found.append(Paying(verdict, p, decides, at))
    return found


def power(n: int, discordant: float, difference: float, alpha: float = ALPHA) -> float:
    """Return the probability that the exact paired test notices a difference.

    Args:
        n: items.
        discordant: share of items on which just one of the two is right; at least the difference.
        difference: of the accuracies.
        alpha: level of the test.
    """
    import numpy

    stats = _scipy()
    discordant = min(1.0, max(discordant, abs(difference)))
    if n == 0 or discordant == 0:
        return 0.0
    share = (discordant + abs(difference)) / (2 * discordant)
    spread = 6 * math.sqrt(n * discordant * (1 - discordant)) + 2
    low, high = max(1, int(n * discordant - spread)), min(n, int(n * discordant + spread))
    sizes, most = _noticed(n, alpha)
    sizes, most = sizes[low - 1 : high], most[low - 1 : high]
    noticed = stats.binom.cdf(most, sizes, share) + stats.binom.sf(sizes - most - 1, sizes, share)
    found = float((stats.binom.pmf(sizes, n, discordant) * numpy.where(most < 0, 0.0, noticed)).sum())
    return min(max(found, 0.0), 1.0)


@lru_cache(8)
def _noticed(n: int, alpha: float) -> tuple[Any, Any]:
    """Return all numbers of discordant items, and for each the largest number of the rarer kind that is still noticed.

    Twice its tail is at most alpha; -1 where even none of the rarer kind is not noticed.
    """
    import numpy

    stats = _scipy()
    sizes = numpy.arange(1, n + 1)
    most = stats.binom.ppf(alpha / 2, sizes, 0.5).astype(int)  # the smallest with a tail of at least alpha / 2
    return sizes, most - (2 * stats.binom.cdf(most, sizes, 0.5) > alpha)


def detectable(n: int, discordant: float, alpha: float = ALPHA) -> float | None:
    """Return the smallest difference that the test notices with a probability of 80 %; None if there is none."""
    low, high = 0.0, 1.0
    if power(n, discordant, high, alpha) < WANTED_POWER:
        return None
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (low, middle) if power(n, discordant, middle, alpha) >= WANTED_POWER else (middle, high)
    return math.ceil(high * 1000) / 1000


class Compared(NamedTuple):
    """Two strategies on the same items.

    Attributes:
        a_only: items that the first alone has right.
        b_only: likewise the second.
        difference: of the accuracies, second less first.
        low: of the 95 % interval of the difference.
        high: likewise.
        p: of McNemar's exact test; where there is partial credit, of the same test of signs for differences of any size.
        p_bootstrap: of the paired bootstrap.
        power: probability to notice a difference of 5 points, at the discordance that was found and the level of the test.
        detectable: the difference that would be noticed with a probability of 80 %, likewise.
    """

    a_only: int
    b_only: int
    difference: float
    low: float
    high: float
    p: float
    p_bootstrap: float
    power: float
    detectable: float | None


def compared(a: Sequence[float], b: Sequence[float], seed: int, tests: int = 1) -> Compared:
    """Compare the scores of two strategies, item by item.

    Args:
        a: scores of the first.
        b: likewise the second.
        seed: of the bootstrap.
        tests: how many are corrected together. Power is stated at the level that the first step of Holm's correction asks
            for, so it is not less than what is said.
    """
    differences = [two - one for one, two in zip(a, b, strict=True)]
    a_only, b_only = sum(one < 0 for one in differences), sum(one > 0 for one in differences)
    low, high, p_bootstrap = bootstrap(differences, seed)
    n = len(differences)
    shares = all(score in (0, 1) for score in (*a, *b))
    discordant = (a_only + b_only) / n
    return Compared(
        a_only, b_only, sum(differences) / n, low, high,
        mcnemar(a_only, b_only) if shares else sign_flips(differences, seed), p_bootstrap,
        *_both(n, round(discordant, 2), ALPHA / max(tests, 1)),
    )  # fmt: skip


@lru_cache(4096)
def _both(n: int, discordant: float, alpha: float) -> tuple[float, float | None]:
    """Return power and detectable difference, remembered: tests of one report share their numbers."""
    return round(power(n, discordant, MATTERS, alpha), 4), detectable(n, discordant, alpha)
