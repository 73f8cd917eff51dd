"""The solver, the grammar and the forms of the Game of 24."""

from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tasks import suite
from stratagem.tasks.game24 import parsed, reachable, solutions

GAME: Any = suite("game24")


def test_1362_of_the_1820_hands_can_be_solved():
    """The number that the game's players and arXiv:2305.10601 state."""
    hands = combinations_with_replacement(map(Fraction, range(1, 14)), 4)
    assert sum(map(reachable, hands)) == 1362


@pytest.mark.parametrize(
    ("numbers", "count"),
    [((1, 1, 1, 1), 0), ((1, 3, 4, 6), 1), ((3, 3, 8, 8), 1), ((1, 5, 5, 5), 1), ((4, 9, 10, 13), 3)],
)
def test_solutions_are_counted_apart_from_the_order_of_summands_and_factors(numbers, count):
    assert solutions(numbers) == count


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(10 - 4) * (13 - 9) = 24", "(10 - 4) * (13 - 9)"),
        ("The answer is (10−4)×(13−9).", "(10 - 4) * (13 - 9)"),
        ("1 + 2 = 3\n(1 + 2) * 8 = 24", "(1 + 2) * 8"),
        ("8 / (3 - 8 / 3)", "8 / (3 - 8 / 3)"),
        ("6 * 4 = 24. Done", "6 * 4"),
        ("24", None),
        ("2 ** 3", None),
        ("8(3)", None),
        ("__import__('os')", None),
        ("1 / 0 + 2", None),
    ],
)
def test_what_is_found_in_a_text(text, found):
    assert GAME.extract(text) == found


@pytest.mark.parametrize(
    "text",
    ["6 * 4", "8 * 3 * 1 * 1", "(3 + 3) * 4", "4 * 9 - 10 - 13", "24 + 0 * 4 * 9 * 10 * 13", "(10 - 4) * (13 - 9) + 0"],
)
def test_what_does_not_use_the_given_numbers_is_wrong(text):
    assert GAME.score(GAME.render([4, 9, 10, 13]), text).right == 0


def test_equal_expressions_have_one_form():
    assert GAME.canonical("1 + 2 - 3 + 4") == GAME.canonical("4 - 3 + (2 + 1)")
    assert GAME.canonical("6 / 2 * 3") == GAME.canonical("3 * (6 / 2)")
    assert GAME.canonical("6 - (2 - 3)") == GAME.canonical("3 + 6 - 2")
    assert GAME.canonical("6 - 2 - 3") != GAME.canonical("6 - (2 - 3)")


@given(st.recursive(st.integers(0, 99).map(str), lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(
    lambda t: f"({t[0]}) {t[1]} ({t[2]})"), max_leaves=8))  # fmt: skip
def test_the_grammar_computes_as_python_does(text):
    tree = parsed(text)
    numbers = "".join(f"Fraction({part})" if part.isdigit() else part for part in _tokens(text))
    try:
        value = eval(numbers, {"Fraction": Fraction})
    except ZeroDivisionError:
        assert tree is None
        return
    assert tree is not None
    assert tree.value == value
    again = parsed(tree.text)
    assert again is not None
    assert (again.value, again.form) == (tree.value, tree.form)


def _tokens(text):
    import re

    return re.findall(r"\d+|.", text)


def test_a_path_is_followed_move_by_move():
    problem = [4, 9, 10, 13]
    right, wrong = GAME.steps(problem, ())
    assert "10 - 4 = 6 (left: 6 9 13)" in right
    assert "4 + 9 = 13 (left: 10 13 13)" in wrong
    assert GAME.left(problem, ("10 - 4 = 6 (left: 6 9 13)",)) == (6, 9, 13)
    assert GAME.left(problem, ("10 - 4 = 7 (left: 7 9 13)",)) is None
    assert GAME.rationale(problem).count("\n") == 2
