"""Compare labels with those of a reference labeller. Pure functions."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from stratagem.core import Preference
from stratagem.errors import UsageError

# The ratings 4 and 5 of a scale from 1 to 8, as shares.
TIE = (3 / 7, 4 / 7)


class Agreement(NamedTuple):
    """How far two labellers agree.

    Attributes:
        share: of the compared items that have equal labels, in [0, 1]; NaN if nothing was compared.
        kappa: Cohen's kappa, at most 1; 0 is what chance brings, NaN if nothing was compared or both know one label only.
        compared: items that both have labelled.
        left_out: items that one of them has not.
    """

    share: float
    kappa: float
    compared: int
    left_out: int


def agreement(labels: Sequence[Hashable], reference: Sequence[Hashable]) -> Agreement:
    """Return how far labels agree with those of a reference; None is no label, and its item is left out.

    Cohen, "A Coefficient of Agreement for Nominal Scales", 1960.

    >>> agreement(["a", "a", "b", None], ["a", "b", "b", "b"])
    Agreement(share=0.6666666666666666, kappa=0.4, compared=3, left_out=1)
    """
    if len(labels) != len(reference):
        raise UsageError(f"{len(labels)} labels cannot be compared with {len(reference)}: each item needs both")
    both = [(mine, other) for mine, other in zip(labels, reference, strict=True) if None not in (mine, other)]
    n, equal = len(both), sum(mine == other for mine, other in both)
    if not n:
        return Agreement(math.nan, math.nan, 0, len(labels))
    ours, theirs = Counter(mine for mine, _ in both), Counter(other for _, other in both)
    chance = sum(count * theirs[label] for label, count in ours.items())  # of n * n, as integers: exact
    kappa = (equal * n - chance) / (n * n - chance) if chance != n * n else math.nan
    return Agreement(equal / n, kappa, n, len(labels) - n)


def preferred(preference: Preference | None) -> str | None:
    """Return `answer`, `rival` or `tie` for a preference; None for none.

    >>> preferred(Preference(4 / 7)), preferred(Preference(5 / 7)), preferred(Preference(0))
    ('tie', 'answer', 'rival')
    """
    if preference is None:
        return None
    low, high = TIE
    return "rival" if preference.first < low else "answer" if preference.first > high else "tie"
