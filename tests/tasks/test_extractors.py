"""What each suite finds in what models really write, and what it does not find."""

from typing import Any

import pytest

from stratagem.tasks import suite


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("last_letters", "The answer is knt.", "knt"),
        ("last_letters", 'Concatenating them is "KNT".', "knt"),
        ("last_letters", "k, n, t", "knt"),
        ("last_letters", "k-n-t", "knt"),
        ("last_letters", "the answer is k", "k"),
        ("last_letters", "42", None),
        ("shuffled_objects", "Ada has the red one, so Bruno holds the Blue ball.", "blue"),
        ("shuffled_objects", "the bluebird", None),
        ("list_sorting", "Sorted: [1, 2,3]", (1, 2, 3)),
        ("list_sorting", "[3, 1] becomes [1, 3].", (1, 3)),
        ("list_sorting", "1, 2, 3", None),
        ("list_sorting", "[10, 2]", None),
        ("keyword_counting", 'Here: {"Peru": 2, "Chile": 1}', (("Chile", 1), ("Peru", 2))),
        ("keyword_counting", '{"Peru": 2, "Chile": 0}', (("Peru", 2),)),
        ("keyword_counting", '{"Peru": true}', None),
        ("keyword_counting", '{"Peru": -1}', None),
        ("keyword_counting", "Peru: 2", None),
        ("word_problems", "26 + 4 = 30. 30 / 2 = 15. The answer is 1,500.", 1500),
        ("word_problems", "none of them", None),
    ],
)
def test_what_is_found(name, text, found):
    assert suite(name).extract(text) == found


def test_whoever_repeats_the_question_has_stated_nothing():
    made = suite("shuffled_objects")
    item = next(made.items(1))
    task = made.task(item.question)
    assert task.answer(item.question).value is None
    assert task.answer(f"{item.question} It is the {item.key} ball.").value == item.key


def test_the_error_counts_of_graph_of_thoughts():
    sorting: Any = suite("list_sorting")
    assert sorting.errors([3, 1, 2], (1, 2, 3)) == 0
    assert sorting.errors([3, 1, 2], (2, 1, 3)) == 1
    assert sorting.errors([3, 1, 2], (1, 2, 2)) == 2
    counting: Any = suite("keyword_counting")
    assert counting.errors([[3, "Peru"], [7, "Peru"]], (("Peru", 2),)) == 0
    assert counting.errors([[3, "Peru"], [7, "Peru"]], (("Chile", 1), ("Peru", 1))) == 2
