"""What theory says of strategies: special cases by hand, and the simulation within four standard errors."""

import math

import pytest

from benchmarks.closed_forms import CASES, ERRORS, deviation, simulated, trial
from stratagem.lab.closed_forms import best_of, first_that_passes, majority, plurality, retried, surviving

ITEMS = {"tree_of_thoughts, 3 levels, 3 of 4 a path": 150}


def test_with_one_wrong_answer_plurality_is_the_majority() -> None:
    n, p = 7, 0.6
    assert plurality(p, n) == pytest.approx(sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(4, 8)))
    assert plurality(p, 2) == pytest.approx(p**2 + p * (1 - p))  # of a tie half is won
    assert plurality(0.3, 1, 5) == pytest.approx(0.3)


def test_plurality_agrees_with_an_enumeration_of_all_draws() -> None:
    from itertools import product

    p, n, spread = 0.35, 5, 3
    won = 0.0
    for draws in product(range(spread + 1), repeat=n):
        chance = math.prod(p if draw == 0 else (1 - p) / spread for draw in draws)
        best = max(draws.count(one) for one in set(draws))
        won += chance * (next(one for one in draws if draws.count(one) == best) == 0)
    assert plurality(p, n, spread) == pytest.approx(won)


def test_wrong_answers_that_differ_lose_votes() -> None:
    assert plurality(0.4, 9, 1) < 0.4 < plurality(0.4, 9, 2) < plurality(0.4, 9, 6)
    with pytest.raises(ValueError, match="at least 1"):
        plurality(0.4, 0)


def test_a_cause_in_common_takes_what_votes_bring() -> None:
    assert majority(0.7, 9, cause=1.0) == pytest.approx(0.7)
    assert majority(0.7, 9) > majority(0.7, 9, cause=0.5) > 0.7


def test_a_perfect_judge_finds_any_right_sample_and_a_blind_one_none() -> None:
    assert best_of(0.3, 5, 1.0, 0.0) == pytest.approx(1 - 0.7**5)
    assert best_of(0.3, 5, 0.5, 0.5, steady=False) == pytest.approx(0.3)
    assert best_of(0.3, 5, 1.0, 1.0) == pytest.approx(0.3)
    assert best_of(0.3, 5, 0.0, 0.0) == pytest.approx(0.3)


def test_a_steady_judge_that_rejects_the_right_answer_rejects_it_every_time() -> None:
    assert best_of(0.3, 50, 0.8, 0.0, steady=False) > 0.99
    assert best_of(0.3, 50, 0.8, 0.0) == pytest.approx(0.8 + 0.2 * 0.3, abs=0.01)


def test_retrying_without_lessons_is_best_of_n_that_stops_early() -> None:
    accuracy, calls = retried(0.4, 5, 0.9, 0.2, spread=4)
    assert accuracy == pytest.approx(best_of(0.4, 5, 0.9, 0.2, spread=4))
    assert 2 < calls < 5 * 2 + 4
    assert retried(0.4, 1, 0.9, 0.2)[1] == pytest.approx(2)
    assert retried(0.4, 5, 0.9, 0.2, lesson=0.5)[0] > accuracy


def test_draws_are_counted_until_the_first_that_passes() -> None:
    assert first_that_passes([1.0] * 5, 1.0, 0.0)[1] == pytest.approx(1)
    assert first_that_passes([0.0] * 5, 1.0, 0.0)[1] == pytest.approx(5)


def test_trees_of_one_level_are_best_of_n() -> None:
    expected = best_of(0.3, 5, 0.8, 0.1, steady=False)
    assert surviving(0.3, 0.8, 0.1, depth=1, width=1, branching=5) == pytest.approx(expected)
    assert surviving(0.3, 0.8, 0.1, depth=1, width=4, branching=5) == pytest.approx(expected)


def test_a_path_without_alternatives_survives_step_by_step() -> None:
    assert surviving(0.6, 0.5, 0.5, depth=4, width=1, branching=1) == pytest.approx(0.6**4)
    assert surviving(0.3, 1.0, 0.0, depth=2, width=1, branching=2) == pytest.approx((1 - 0.7**2) ** 2)


def test_more_votes_and_more_width_help_where_the_judge_is_better_than_chance() -> None:
    narrow = surviving(0.3, 0.7, 0.3, depth=3, width=1, branching=4)
    wide = surviving(0.3, 0.7, 0.3, depth=3, width=3, branching=4)
    voted = surviving(0.3, 0.7, 0.3, depth=3, width=3, branching=4, votes=3)
    assert narrow < wide < voted


@pytest.mark.parametrize("name", CASES)
def test_the_simulation_agrees_with_theory(name: str) -> None:
    strategy, spec, expected = CASES[name]
    n = ITEMS.get(name, 300)
    found, _ = simulated(strategy, spec, n)
    assert abs(deviation(found, expected(), n)) < ERRORS


def test_concluding_an_unfinished_path_needs_the_steps_that_are_missing() -> None:
    # One level of a perfect judge: the path is alive, two of three steps are missing.
    from benchmarks.closed_forms import search

    n = 400
    found, _ = simulated(search.using(depth=1, branching=4), "sim:skill=0.05,step=0.6,judge=1", n)
    alive = surviving(0.6, 1.0, 0.0, depth=1, width=3, branching=4)
    assert abs(deviation(found, alive * 0.6**2, n)) < ERRORS


def test_reflexion_costs_what_theory_says() -> None:
    n = 300
    _, calls = simulated(trial, "sim:skill=0.4,tpr=0.9,fpr=0.2,spread=4", n)
    assert calls == pytest.approx(retried(0.4, 4, 0.9, 0.2, spread=4)[1], abs=4 * 3 * 1.2 / math.sqrt(n))


def test_a_strategy_that_does_not_vote_disagrees_with_theory() -> None:
    # The check can fail: one sample is not five.
    from stratagem.strategies import self_consistency

    found, _ = simulated(self_consistency.using(n=1), "sim:skill=0.6,spread=1", 2000)
    assert abs(deviation(found, majority(0.6, 9), 2000)) > ERRORS


def test_a_chain_that_thinks_on_gets_no_better_by_itself_unless_the_simulation_says_so() -> None:
    from stratagem.strategies import longer_chain

    n, chain = 400, longer_chain.using(rounds=3)
    found, _ = simulated(chain, "sim:skill=0.4", n)
    assert abs(deviation(found, 0.4, n)) < ERRORS
    found, _ = simulated(chain, "sim:skill=0.4,harm=0,rethink=0.5", n)
    assert abs(deviation(found, 1 - 0.6 * 0.5**3, n)) < ERRORS
