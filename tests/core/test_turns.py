"""Turns: in which order a program asked, where that is not the order of its rows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core._forked import apart
from stratagem.core._turns import turns_form, turns_in, turns_of


def asked(*rows: tuple[int, str]) -> list[Any]:
    return [(number, "model", path) for number, path in rows]


@pytest.mark.parametrize(
    ("rows", "begin", "turns"),
    [
        ([], 0, {}),
        ([(0, "a"), (1, "a"), (2, "a")], 3, {}),
        ([(0, "a"), (3, "a"), (1, "a"), (2, "a")], 3, {1: 1, 2: 1}),  # something new, then what is recorded
        ([(2, "a"), (1, "a"), (0, "a")], 3, {1: 1, 0: 2}),  # the order was turned round
        ([(0, "map[0]"), (2, "map[0]"), (1, "map[1]"), (3, "map[1]")], 4, {}),  # branches run side by side
        ([(1, "map[0]"), (0, "")], 2, {0: 1}),  # what follows a map comes after it
        ([(0, ""), (2, "map[0]"), (1, "map[1]"), (3, "")], 2, {}),
        ([(1, "map[0]"), (0, "map#2[0]")], 2, {0: 1}),  # of two maps the second comes after the first
        ([(1, "a/b"), (0, "a#2")], 2, {0: 1}),
        ([(1, "x"), (3, "map[0]/x"), (2, "map[1]/x"), (0, "map[1]/x/y")], 3, {0: 1}),
    ],
)
def test_a_row_has_a_higher_turn_only_where_an_earlier_number_came_later(
    rows: list[tuple[int, str]], begin: int, turns: dict[int, int]
) -> None:
    assert turns_of(asked(*rows), begin, edited=True) == turns


def test_the_branches_of_a_pool_are_replayed_in_any_order_unless_the_program_has_changed() -> None:
    rows = asked((0, "pool[0]"), (2, "pool[0]"), (1, "pool[1]"), (3, "pool[1]"))
    assert turns_of(rows, 4, edited=False) == {}
    assert turns_of(rows, 4, edited=True) == {1: 1, 3: 1}


def test_what_is_new_in_a_branch_of_a_pool_comes_before_what_another_branch_is_asked_afterwards() -> None:
    assert turns_of(asked((0, "pool[0]"), (2, "pool[0]"), (1, "pool[1]")), 2, edited=False) == {1: 1}


PATHS = (
    "",
    "a",
    "a/b",
    "map[0]",
    "map[1]",
    "map[1]/a",
    "map#2[0]",
    "pool[0]",
    "pool[1]",
    "pool[1]/map[0]",
    "pool[1]/map[1]",
)


@given(st.lists(st.sampled_from(PATHS), max_size=14).flatmap(lambda paths: st.permutations(list(enumerate(paths)))))
def test_all_that_has_an_order_has_it_by_turn_and_number(rows: list[tuple[int, str]]) -> None:
    turns = turns_of(asked(*rows), 0, edited=True)
    for place, (later, path) in enumerate(rows):
        for earlier, other in rows[:place]:
            if not apart(other, path):
                assert (turns.get(earlier, 0), earlier) < (turns.get(later, 0), later)


@given(st.lists(st.sampled_from(PATHS), max_size=14))
def test_rows_that_were_asked_for_in_the_order_of_their_numbers_have_no_turns(paths: list[str]) -> None:
    assert turns_of(asked(*enumerate(paths)), 0, edited=True) == {}


@given(st.dictionaries(st.integers(0, 40), st.integers(1, 5)))
def test_turns_are_stored_as_ranges_and_read_again(turns: dict[int, int]) -> None:
    assert turns_in(turns_form(turns)) == turns
