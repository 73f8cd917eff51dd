"""The scan of prompts: what it finds, and what it does not take for a find."""

import json

import pytest

from stratagem.lab._scan import Scan, Shown, summary
from stratagem.lab._text import scan_line
from stratagem.tasks import Item

ITEMS = [
    Item("a", "Use each of the numbers 4 5 6 10 exactly once.", "(10 - 5 + 4) + 6", 1),
    Item("b", "Use each of the numbers 1 2 3 4 exactly once.", "1 * 2 * 3 * 4", 1),
    Item("c", "How many?\nHe has three apples and eats one.", "2", 1),
    Item("d", "How many?\nShe has nine pears and sells four.", "5", 1),
]
BLOCKS = [  # begun and wanted: no line is an item's own
    Item("ab", "Stack.\nAt first a is on b.\nIn the end b is on c.", "(unstack a b)\n(stack b c)", 1),
    Item("ac", "Stack.\nAt first a is on b.\nIn the end a is on c.", "(unstack a b)\n(stack a c)", 1),
    Item("ba", "Stack.\nAt first b is on a.\nIn the end b is on c.", "(unstack b a)\n(stack b c)", 1),
    Item("ca", "Stack.\nAt first b is on a.\nIn the end a is on c.", "(unstack b a)\n(stack a c)", 1),
]


def look(scan: Scan, item: int, *lines: str, said: tuple[str, ...] = ()) -> dict[str, list[int]]:
    """Return what is found in the lines of a first prompt, or of one after some replies."""
    return scan.look(item, [Shown(line, len(said)) for line in lines], () if said else lines, said)


def test_an_items_own_question_and_its_templates_words_are_no_find() -> None:
    scan = Scan(ITEMS, ())
    said = ["Q: Use each of the numbers 4 5 6 10 exactly once.", "How many?", "Use each of the numbers"]
    assert look(scan, 0, *said) == {}


def test_another_items_question_is_found_within_a_line_whatever_its_case_and_marks() -> None:
    scan = Scan(ITEMS, ())
    assert look(scan, 0, 'Before: "use each of the NUMBERS 1 2 3 4 exactly  once!" and so on') == {"questions": [1]}
    assert look(scan, 3, "He has three apples and eats one") == {"questions": [2]}


def test_another_items_key_is_found_if_it_is_long_enough_to_mean_something() -> None:
    scan = Scan(ITEMS, ())
    assert look(scan, 0, "so 1 * 2 * 3 * 4 it is", "2 and 5") == {"keys": [1]}
    assert scan.short == 2


def test_an_items_own_key_is_a_find_in_its_first_prompt_alone() -> None:
    scan = Scan(ITEMS, ())
    said = [Shown("I propose 1 * 2 * 3 * 4.")]
    assert scan.look(1, said, []) == {}
    assert scan.look(1, said, [said[0].text]) == {"own": [1]}


def test_examples_that_are_test_items_are_named_and_each_prompt_that_shows_them() -> None:
    scan = Scan(ITEMS, [("Q\nHow many?\nShe has nine pears and sells four.", "5", None)])
    assert scan.overlaps == [3]
    assert look(scan, 0, "How many?", "She has nine pears and sells four.", "5") == {"questions": [3]}
    found = summary(
        scan, [{"item": 0, "lines": 3, "unseen": 0, "hits": {"keys": [1]}, "cell": 1}], ITEMS, ["direct", "leaky"]
    )
    assert found["examples_among_items"] == ["d"]
    assert found["keys_of_others"] == [["a", "b"]]
    assert (found["lines"], found["clean"]) == (3, False)
    assert found["found"] == [{"strategy": "leaky", "shows": "keys", "item": "a", "of": "b"}]


def test_an_example_that_shows_a_test_item_in_its_reasoning_is_one() -> None:
    worked = "As with: Use each of the numbers 1 2 3 4 exactly once."
    assert Scan(ITEMS, [("Another question.", "5", worked)]).overlaps == [1]


def test_nothing_found_is_clean() -> None:
    assert summary(Scan(ITEMS, ()), [], ITEMS, [])["clean"]


def test_an_example_that_shares_lines_with_a_test_item_is_none_and_may_be_shown() -> None:
    example = ("Stack.\nAt first b is on a.\nIn the end c is on a.", "(unstack b a)\n(stack c a)", None)
    scan = Scan(BLOCKS[:3], [example])
    assert scan.overlaps == []
    assert look(scan, 0, *example[0].split("\n"), *example[1].split("\n")) == {}
    assert look(scan, 0, "At first b is on a.", "In the end b is on c.") == {}


def test_an_answer_that_an_example_has_as_well_is_no_find() -> None:
    scan = Scan(ITEMS, [("Use each of the numbers 2 1 4 3 exactly once.", "1 * 2 * 3 * 4", None)])
    assert look(scan, 0, "Answer: 1 * 2 * 3 * 4") == {}
    assert scan.short == 3


def test_a_key_that_shares_lines_with_an_example_is_found_by_the_others() -> None:
    scan = Scan(BLOCKS[:3], [("Unlike.", "(unstack a b)\n(stack c a)", None)])
    assert scan.short == 0
    assert look(scan, 2, "(unstack a b)") == {}
    assert look(scan, 2, "(unstack a b)", "(stack a c)") == {"keys": [1]}


def test_what_stands_within_json_is_found_likewise() -> None:
    scan = Scan(BLOCKS, ())
    assert look(scan, 0, json.dumps({"notes": f'"{BLOCKS[3].question}"\n'})) == {"questions": [3]}
    assert look(scan, 0, json.dumps(["So", f"{BLOCKS[3].key}\nas said"])) == {"keys": [3]}


def test_a_question_without_a_line_of_its_own_is_found_by_all_of_its_lines() -> None:
    scan = Scan(BLOCKS, ())
    assert (scan.untold, scan.brief) == (0, 0)
    own = BLOCKS[0].question.split("\n")
    assert look(scan, 0, *own) == {}
    assert look(scan, 0, *own, *BLOCKS[3].question.split("\n")) == {"questions": [3]}
    assert look(scan, 0, *own, "Stack. At first b is on a. In the end a is on c.") == {"questions": [3]}
    assert look(scan, 0, *own, "In the end a is on c.") == {"questions": [1]}


def test_a_key_of_several_lines_is_found_by_all_of_them() -> None:
    scan = Scan(BLOCKS, ())
    assert look(scan, 0, "(unstack b a)", "then", "(stack a c)") == {"keys": [3]}
    assert look(scan, 0, "(unstack b a) (stack a c)") == {"keys": [3]}
    assert look(scan, 0, "(unstack b a)") == {}
    assert look(scan, 0, "(unstack a b)", "(stack b c)") == {"own": [0]}


SUMS = [
    Item("long", "What is 2 + 3 + 4?", "the sum is 9", 1),
    Item("short", "What is 2 + 3?", "the sum is 5", 1),
    Item("same", "what is  2 + 3 + 4", "the sum is 9", 1),
]


def test_a_question_within_the_items_own_is_no_find_but_beside_it_one() -> None:
    scan = Scan(SUMS, ())
    assert look(scan, 0, "Question: What is 2 + 3 + 4?") == {}
    assert look(scan, 0, "Question: What is 2 + 3 + 4? Before: What is 2 + 3?") == {"questions": [1]}
    assert look(scan, 0, "What is 2 + 3?", "the sum is 5") == {"questions": [1], "keys": [1]}
    assert look(scan, 1, "What is 2 + 3 + 4?") == {"questions": [0, 2]}


def test_items_of_one_wording_are_no_finds_in_each_other_and_counted() -> None:
    scan = Scan(SUMS, ())
    assert scan.untold == 2
    assert look(scan, 0, "What is 2 + 3 + 4?") == look(scan, 2, "What is 2 + 3 + 4?") == {}


def test_a_key_within_the_items_own_question_is_no_find() -> None:
    programs = [Item("a", "Run: A# #B B# A# #B", "A# #B A#", 1), Item("b", "Run: B# B# B#", "A# #B B#", 1)]
    scan = Scan(programs, ())
    assert look(scan, 0, "Run: A# #B B# A# #B", "Begin: A# #B B#") == {}
    assert look(scan, 1, "Begin: A# #B A#") == {"keys": [0]}
    own = Scan([Item("a", "Run: A# #B B#", "A# #B B#", 1)], ())
    assert look(own, 0, "Run: A# #B B#") == {}


@pytest.mark.parametrize(
    "reply",
    [
        "I think it is 1*2*3*4.",
        '{"answer": "1 * 2 * 3 * 4", "sure": true}',
        "Use each of the numbers 1 2 3 4 exactly once: 1 * 2 * 3 * 4",
    ],
)
def test_what_the_model_said_before_is_no_find(reply: str) -> None:
    scan = Scan(ITEMS, ())
    shown = "Your answer: 1 * 2 * 3 * 4"
    assert look(scan, 0, shown, said=(reply,)) == {}
    assert scan.look(0, [Shown(shown, 1)], (), ["Something else.", reply]) == {"keys": [1]}
    assert scan.look(0, [Shown(shown, 0)], (), [reply]) == {"keys": [1]}


def test_a_question_that_the_model_makes_up_is_no_find_and_one_that_it_repeats_is() -> None:
    scan = Scan(ITEMS, ())
    asked = "Use each of the numbers 1 2 3 4 exactly once."
    assert look(scan, 0, f"You wrote: {asked}", said=(f"A problem like it: {asked}",)) == {}
    assert scan.look(0, [Shown(f"Notes: {asked}", 0), Shown(f"You wrote: {asked}", 1)], (), [asked]) == {
        "questions": [1]
    }


def test_of_a_line_that_went_on_each_part_counts_as_first_shown() -> None:
    scan = Scan(ITEMS, ())
    begun, reply = "A: see 1 * 2 * 3 * 4", "Then 1 * 2 * 3 * 4"
    line = f"{begun} {reply}"
    assert scan.look(0, [Shown(line, 1, ((len(begun), 0),))], (), [reply]) == {"keys": [1]}
    assert scan.look(0, [Shown(f"A: well {reply}", 1, ((len("A: well"), 0),))], (), [reply]) == {}


def test_questions_that_are_too_short_are_not_looked_for_but_examples_like_them_are() -> None:
    items = [Item("a", "2+2?", "4", 1), Item("b", "Which river flows through Rome?", "the Tiber", 1)]
    scan = Scan(items, [("2+2?", "4", None)])
    assert (scan.brief, scan.untold, scan.short) == (1, 0, 2)
    assert scan.overlaps == [0]
    assert look(scan, 1, "So 2+2?") == {}


def test_a_report_says_how_much_could_not_be_looked_for() -> None:
    scan = summary(Scan([*SUMS, Item("s", "2+2?", "4", 1)], ()), [], SUMS, [])
    assert (scan["keys_too_short"], scan["questions_too_short"], scan["questions_too_alike"]) == (1, 1, 2)
    assert scan_line(scan) == (
        "prompts: 0 lines, none shows another item's question or key"
        " (not looked for: 1 key too short, 1 question too short, 2 questions within another item's)"
    )


def test_a_question_without_a_word_is_too_short() -> None:
    scan = Scan([Item("a", "\\", "4", 1), ITEMS[0]], ())
    assert scan.brief == 1
    assert look(scan, 0, "\\") == {}
