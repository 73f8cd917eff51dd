"""What probability theory says of strategies, under the model of competence that `sim:` simulates.

A simulation that disagrees with its closed form beyond chance shows a wrong strategy, or a wrong simulation.

Throughout, `skill` is the probability that one draw is right, draws are independent unless `cause` says otherwise, and a wrong
draw is one of `spread` different wrong answers, each as likely as the others. A judge passes what is right with the
probability `tpr` and what is wrong with `fpr`. It is steady if it says the same of the same answer whenever it is asked, as
a model at temperature 0 does, and fresh if every verdict is a draw of its own.
"""

import math
from collections.abc import Sequence
from functools import cache

State = tuple[bool, ...]  # which paths of a level can still be completed, the best first


def plurality(skill: float, n: int, spread: int = 1) -> float:
    """Return the probability that the right answer has most votes; of several that have most, the first drawn wins.

    By exchangeability each of the tied groups is drawn first with the same probability.

    >>> round(plurality(0.6, 3), 4)
    0.648
    """
    if n < 1 or spread < 1:
        raise ValueError(f"n and spread must be at least 1, got {n} and {spread}")
    won = 0.0
    for votes in range(1, n + 1):
        ways = sum(
            math.comb(spread, tied) * _arrangements(n - votes - tied * votes, spread - tied, votes - 1)
            / (math.factorial(votes) ** tied) / (tied + 1)
            for tied in range(min(spread, (n - votes) // votes) + 1)
        )  # fmt: skip
        chance = skill**votes * ((1 - skill) / spread) ** (n - votes)
        won += ways * chance * math.factorial(n) / math.factorial(votes)
    return won


@cache
def _arrangements(n: int, kinds: int, most: int) -> float:
    """Return the sum over counts of `kinds` kinds, `n` in all and none above `most`, of 1 / (product of factorials)."""
    if kinds == 0 or most <= 0:
        return 1.0 if n == 0 else 0.0
    return sum(_arrangements(n - count, kinds - 1, most) / math.factorial(count) for count in range(min(n, most) + 1))


def majority(skill: float, n: int, *, cause: float = 0.0, spread: int = 1) -> float:
    """Return the accuracy of self-consistency with `n` samples.

    With the probability `cause` a draw takes the outcome that all draws for the problem have in common: the marginal stays
    `skill`, two draws correlate with `cause` squared, and P = p M(c + (1 - c) p) + (1 - p) M((1 - c) p).

    >>> round(majority(0.6, 5, cause=1.0), 4)
    0.6
    """
    own = (1 - cause) * skill
    return skill * plurality(cause + own, n, spread) + (1 - skill) * plurality(own, n, spread)


def first_that_passes(
    skills: Sequence[float], tpr: float, fpr: float, *, spread: int = 1, steady: bool = True
) -> tuple[float, float]:
    """Return the accuracy of taking the first draw that a judge passes, else the first drawn; and the draws until then.

    Args:
        skills: of each draw, in order.
        tpr: share of right answers that the judge passes.
        fpr: likewise of wrong ones.
        spread: different wrong answers.
        steady: whether the judge says the same of the same answer.
    """
    if not steady:
        return _first(skills, tpr, fpr)
    accuracy = draws = 0.0
    for passed in (True, False):
        for accepted in range(spread + 1):
            chance = math.comb(spread, accepted) * fpr**accepted * (1 - fpr) ** (spread - accepted)
            weight = chance * (tpr if passed else 1 - tpr)
            if weight:
                found = _first(skills, float(passed), accepted / spread)
                accuracy, draws = accuracy + weight * found[0], draws + weight * found[1]
    return accuracy, draws


def _first(skills: Sequence[float], tpr: float, fpr: float) -> tuple[float, float]:
    reached, right, draws = 1.0, 0.0, 0.0
    for skill in skills:
        draws += reached
        right += reached * skill * tpr
        reached *= 1 - skill * tpr - (1 - skill) * fpr
    first_fails = 1 - skills[0] * tpr - (1 - skills[0]) * fpr
    if reached:  # nothing passed, the first as little as the others
        right += reached * skills[0] * (1 - tpr) / first_fails
    return right, draws


def best_of(skill: float, n: int, tpr: float, fpr: float, *, spread: int = 1, steady: bool = True) -> float:
    """Return the accuracy of best-of-n: of those that pass, and else of all, the first drawn.

    >>> round(best_of(0.5, 4, 1.0, 0.0), 4)
    0.9375
    """
    return first_that_passes([skill] * n, tpr, fpr, spread=spread, steady=steady)[0]


def retried(
    skill: float, trials: int, tpr: float, fpr: float, *, lesson: float = 0.0, spread: int = 1, steady: bool = True
) -> tuple[float, float]:
    """Return the accuracy of Reflexion, and its mean number of model calls with an actor and a judge of one call each.

    From the second trial on, lessons bring the share `lesson` of what is missing to certainty. Without them it is best-of-n
    that stops at the first pass: as accurate, and cheaper. The last failure is not reflected upon.
    """
    skills = [skill, *[skill + lesson * (1 - skill)] * (trials - 1)]
    accuracy, draws = first_that_passes(skills, tpr, fpr, spread=spread, steady=steady)
    return accuracy, 3 * draws - 1  # each trial but the last is followed by a lesson


def surviving(step: float, tpr: float, fpr: float, *, depth: int, width: int, branching: int, votes: int = 1) -> float:
    """Return the accuracy of tree of thoughts, breadth first: whether the path it concludes can be completed.

    The model, an exact Markov chain over the levels. A state is which paths of the frontier are alive, the best first. An
    alive path grows `branching` different thoughts, each alive with the probability `step`; a dead one grows dead ones. Each
    new path is valued `votes` times: a vote is "sure" with the probability `tpr` if it is alive, `fpr` if not. The
    `width` paths with most such votes are kept, equal ones in the order of growth. After `depth` levels the first is concluded,
    without a mistake.

    >>> surviving(0.5, 1.0, 0.0, depth=1, width=1, branching=2)
    0.75
    """
    frontier: dict[State, float] = {(True,): 1.0}
    for _ in range(depth):
        after: dict[State, float] = {}
        for state, chance in frontier.items():
            for kept, share in _grown(state, step, tpr, fpr, width, branching, votes):
                after[kept] = after.get(kept, 0.0) + chance * share
        frontier = after
    return sum(chance for state, chance in frontier.items() if state[0])


@cache
def _grown(
    state: State, step: float, tpr: float, fpr: float, width: int, branching: int, votes: int
) -> tuple[tuple[State, float], ...]:
    """Return what may be kept after a state, with probabilities: children are put in one after the other."""
    ranked: dict[tuple[tuple[int, bool], ...], float] = {(): 1.0}
    for parent in state:
        outcomes = _outcomes(step if parent else 0.0, tpr, fpr, votes)
        for _ in range(branching):
            after: dict[tuple[tuple[int, bool], ...], float] = {}
            for list_, chance in ranked.items():
                for score, alive, share in outcomes:
                    at = next((n for n, (other, _) in enumerate(list_) if other < score), len(list_))
                    made = (*list_[:at], (score, alive), *list_[at:])[:width]
                    after[made] = after.get(made, 0.0) + chance * share
            ranked = after
    kept: dict[State, float] = {}
    for list_, chance in ranked.items():
        made = tuple(alive for _, alive in list_)
        kept[made] = kept.get(made, 0.0) + chance
    return tuple(kept.items())


def _outcomes(step: float, tpr: float, fpr: float, votes: int) -> tuple[tuple[int, bool, float], ...]:
    """Return how many votes a child may get, whether it is alive, and the probability of both."""
    return tuple(
        (score, alive, share * math.comb(votes, score) * rate**score * (1 - rate) ** (votes - score))
        for alive, share, rate in ((True, step, tpr), (False, 1 - step, fpr))
        for score in range(votes + 1)
        if share
    )
