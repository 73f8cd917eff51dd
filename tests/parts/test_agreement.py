import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Preference
from stratagem.errors import UsageError
from stratagem.parts.agreement import Agreement, agreement, preferred

labels = st.lists(
    st.tuples(st.sampled_from(["a", "b", "tie", None]), st.sampled_from(["a", "b", "tie", None])), max_size=30
)


def test_cohens_own_example() -> None:
    """The table of his paper: 200 items, two judges, three categories; kappa .492."""
    table = {("a", "a"): 88, ("b", "a"): 14, ("c", "a"): 18, ("a", "b"): 10, ("b", "b"): 40, ("c", "b"): 10,
             ("a", "c"): 2, ("b", "c"): 6, ("c", "c"): 12}  # fmt: skip
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    found = agreement([one for one, _ in pairs], [other for _, other in pairs])
    assert found.share == 0.7
    assert found.kappa == pytest.approx(0.4915, abs=1e-4)
    assert found.compared == 200


def test_what_one_of_the_two_has_not_labelled_is_left_out() -> None:
    assert agreement(["a", None, "b", "a"], ["a", "a", None, "b"]) == Agreement(0.5, 0.0, 2, 2)


def test_chance_is_zero_and_contradiction_is_below() -> None:
    assert agreement(["a", "a", "b", "b"], ["a", "b", "a", "b"]).kappa == 0
    assert agreement(["a", "b"], ["b", "a"]).kappa == -1


def test_nothing_compared_and_a_single_label_have_no_kappa() -> None:
    nothing = agreement([None], ["a"])
    assert (math.isnan(nothing.share), math.isnan(nothing.kappa), nothing[2:]) == (True, True, (0, 1))
    one = agreement(["a", "a"], ["a", "a"])
    assert (one.share, math.isnan(one.kappa)) == (1.0, True)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="2 labels cannot be compared with 1"):
        agreement(["a", "b"], ["a"])


@given(labels)
def test_it_is_symmetric_and_bounded_and_perfect_for_equals(pairs: list[tuple[str | None, str | None]]) -> None:
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    found, back = agreement(ours, theirs), agreement(theirs, ours)
    assert found.compared + found.left_out == len(pairs)
    assert str(found) == str(back)
    if found.compared:
        assert 0 <= found.share <= 1
        assert math.isnan(found.kappa) or -1 <= found.kappa <= 1
        assert math.isnan(found.kappa) or found.kappa <= found.share
    same = agreement(ours, ours)
    assert math.isnan(same.kappa) or same.kappa == 1


@pytest.mark.parametrize("rating", range(1, 9))
def test_the_two_ratings_in_the_middle_are_a_tie(rating: int) -> None:
    expected = "answer" if rating < 4 else "rival" if rating > 5 else "tie"
    assert preferred(Preference((8 - rating) / 7)) == expected
    assert preferred(None) is None
