"""Every suite of the library passes every check that a suite of anybody else must pass."""

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
