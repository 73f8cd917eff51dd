"""Every suite of the library passes every check that a suite of anybody else must pass."""

from typing import Any

import pytest

from stratagem.errors import UsageError
from stratagem.tasks import names, suite
from stratagem.testing.suite_checks import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", names())
def test_suite(name, check):
    check(suite(name))


@pytest.mark.parametrize("name", names())
def test_a_suite_says_what_it_is(name):
    made = suite(name)
    assert made.name == name
    assert made.about
    assert made.source
    assert made.levels == (1, 2, 3)


def test_the_nearest_suite_is_suggested():
    with pytest.raises(UsageError, match="no task suite 'game_24'") as caught:
        suite("game_24")
    assert "game24" in caught.value.remedy


def test_a_level_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="levels 1, 2, 3, got 4"):
        next(suite("game24").items(1, level=4))


def test_more_items_than_a_level_has_are_refused_at_once_with_their_number():
    with pytest.raises(UsageError, match="game24 has 857 different items of level 1, 900 are wanted") as caught:
        next(suite("game24").items(900))
    assert caught.value.remedy == "Ask for fewer items, or for level 3, which has more."


def test_all_items_of_a_level_are_given_and_none_twice():
    game = suite("game24")
    assert sum(1 for _ in game.every(2)) == game.sizes[2] == 473
    assert sum(1 for _ in game.every(1)) == game.sizes[1] == 889
    items = list(game.items(441, seed="all", level=2))
    assert len({item.question for item in items}) == 441
    assert not {item.question for item in items} & {one.question for one in game.examples(32, level=2)}


def test_a_score_is_a_pair_with_parts_beside_it():
    bank = suite("api_bank")
    item = next(one for one in bank.items(20) if "How much money" in one.question)
    score = bank.score(item.question, item.key)
    assert score == (1.0, True)
    assert score.parts == {"needed": 1.0, "chosen": 1.0, "called": 1.0, "responded": 1.0}
    assert suite("word_problems").score(next(suite("word_problems").items(1)).question, "x").parts == {}


@pytest.mark.parametrize("name", names())
def test_the_functions_of_a_task_hold_no_suite(name):
    made = suite(name)
    (item,) = made.items(1)
    task: Any = made.task(item.question)
    for function in filter(None, (task.extract, task.canonical, task.checker)):
        held = [cell.cell_contents for cell in function.__closure__]
        assert not hasattr(function, "__self__")
        assert not hasattr(function, "func")
        assert not [one for one in held if hasattr(one, "solve")]
    assert task.extract(item.key) is not None
    assert task.canonical(task.extract(item.key)) == made.canonical(made.found(item.question, item.key))
    assert task.checker is None or task.checker(item.key).passed
