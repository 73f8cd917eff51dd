"""The scan of prompts: what it finds, and what it does not take for a find."""

from stratagem.lab._scan import Scan, summary
from stratagem.tasks import Item

ITEMS = [
    Item("a", "Use each of the numbers 4 5 6 10 exactly once.", "(10 - 5 + 4) + 6", 1),
    Item("b", "Use each of the numbers 1 2 3 4 exactly once.", "1 * 2 * 3 * 4", 1),
    Item("c", "How many?\nHe has three apples and eats one.", "2", 1),
    Item("d", "How many?\nShe has nine pears and sells four.", "5", 1),
]


def test_an_items_own_question_and_its_templates_words_are_no_find() -> None:
    scan = Scan(ITEMS, ())
    assert (
        scan.look(0, ["Q: Use each of the numbers 4 5 6 10 exactly once.", "How many?", "Use each of the numbers"], [])
        == {}
    )


def test_another_items_question_is_found_within_a_line_whatever_its_case_and_marks() -> None:
    scan = Scan(ITEMS, ())
    assert scan.look(0, ['Before: "use each of the NUMBERS 1 2 3 4 exactly  once!" and so on'], []) == {
        "questions": [1]
    }
    assert scan.look(3, ["He has three apples and eats one"], []) == {"questions": [2]}


def test_another_items_key_is_found_if_it_is_long_enough_to_mean_something() -> None:
    scan = Scan(ITEMS, ())
    assert scan.look(0, ["so 1 * 2 * 3 * 4 it is", "2 and 5"], []) == {"keys": [1]}
    assert scan.short == 2


def test_an_items_own_key_is_a_find_in_its_first_prompt_alone() -> None:
    scan = Scan(ITEMS, ())
    said = ["I propose 1 * 2 * 3 * 4."]
    assert scan.look(1, said, []) == {}
    assert scan.look(1, said, said) == {"own": [1]}


def test_examples_that_are_test_items_are_named() -> None:
    scan = Scan(ITEMS, ["Q\nShe has nine pears and sells four."])
    assert scan.overlaps == [3]
    found = summary(
        scan, [{"item": 0, "lines": 3, "unseen": 0, "hits": {"keys": [1]}, "cell": 1}], ITEMS, ["direct", "leaky"]
    )
    assert found["examples_among_items"] == ["d"]
    assert found["keys_of_others"] == [["a", "b"]]
    assert (found["lines"], found["clean"]) == (3, False)
    assert found["found"] == [{"strategy": "leaky", "shows": "keys", "item": "a", "of": "b"}]


def test_nothing_found_is_clean() -> None:
    assert summary(Scan(ITEMS, ()), [], ITEMS, [])["clean"]
