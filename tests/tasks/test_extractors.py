"""What each suite finds in what models really write, and what it does not find: None is wrong, never right."""

from typing import Any, Literal

import pytest

from stratagem.tasks import suite
from stratagem.tasks.word_problems import WordProblems

KNT, RED = "knt", "red"
ASC = (1, 2, 3)
PERU = (("Chile", 1), ("Peru", 2))
PLAN = ("(pick-up a)", "(stack a b)")
MADE = "(8 - 4) * (7 - 1)"
QUESTIONS = {
    "word_problems": "Ada has 6 eggs. Ada buys 6 more eggs. Then Ada finds 3 eggs in a drawer. How many eggs does Ada have now?",
    "last_letters": 'Take the last letters of the words in "Erik Dahan Abbott" and concatenate them.',
    "shuffled_objects": "Ada holds the red ball and Ivo holds the blue ball. Ada and Ivo swap balls. Which ball does Ada hold at the end?",
    "list_sorting": "Sort this list of digits in ascending order, keeping duplicates: [3, 1, 2]",
    "keyword_counting": "Count how often each country is named in this text. Reply with a JSON object of names and numbers.\n"
    "A letter from Peru took three weeks to reach Chile.",
    "blocksworld": "Find a plan for this PDDL problem. Write one action per line, such as (unstack b a).\n",
    "game24": "Use each of the numbers 1 4 7 8 exactly once, with + - * / and brackets, to make 24. Give one expression.",
    "api_bank": "You assist the user of office 7. Call them, or none.\nUser: How much money is in savings?",
}  # fmt: skip
REPLIES: dict[str, list[tuple[str, Any]]] = {
    "word_problems": [
        ("15", 15),
        ("Ada has 15 eggs.", 15),
        ("6 + 6 = 12. 12 + 3 = 15. The answer is 1,500.", 1500),
        ("6+6=12\n12+3=15", 15),
        ("**15**", 15),
        ("**Answer:** 15 eggs\nI hope that this helps, all 3 of you.", 15),
        ("So the total is $\\boxed{15}$.", 15),
        ("$\\boxed{1{,}500}$", 1500),
        ("15.0", 15),
        ("\u22125", -5),
        ("She does not lose any, so 15 remain.", 15),
        ("That would be 15.", 15),
        ("I think that it is 15.", 15),
        ("It is not 15", None),
        ("It isn\u2019t 15.", None),
        ("15 is wrong.", None),
        ("A wrong answer is 15.", None),
        ("It is not:\n15", None),
        ("It is not:\n```\n15\n```", None),
        ("15 or 16", None),
        ("Either 15 or 16 eggs.", None),
        ("14, 15, 16", None),
        ("14\n15\n16", None),
        ("1. 14\n2. 15", None),
        ("more than 15", None),
        ("between 12 and 15", None),
        ("15.5", None),
        ("1 500", None),
        ("Is it 15?", None),
        ("none of them", None),
        ("{question}", None),
        ("{question} It is 15.", 15),
    ],
    "last_letters": [
        ("knt", KNT),
        ("knt.", KNT),
        ("KNT", KNT),
        ("**knt**", KNT),
        ("`knt`", KNT),
        ("The answer is knt.", KNT),
        ('Concatenating them is "KNT".', KNT),
        ("k, n, t", KNT),
        ("k-n-t", KNT),
        ("So, knt", KNT),
        ("Answer: knt\nI hope that this helps.", KNT),
        ('So "knt" is the final answer.', KNT),
        ("$\\boxed{\\text{knt}}$", KNT),
        ("It is not abc. It is knt.", KNT),
        ("the answer is k", "k"),
        ('Concatenating them is "not".', "not"),
        ("Let me think. nor", "nor"),
        ("The answer is not", "not"),
        ("It is not knt", None),
        ("It isn't knt.", None),
        ("knt is wrong", None),
        ("knt is not the answer", None),
        ("A wrong answer is:\nknt", None),
        ("knu or knt", None),
        ("knu, knt", None),
        ("knu and knt", None),
        ("knu\nknt", None),
        ("Is it knt?", None),
        ("I do not know.", None),
        ("42", None),
        ("{question}", None),
        ("{question} knt", KNT),
    ],
    "shuffled_objects": [
        ("red", RED),
        ("Red.", RED),
        ("the red ball", RED),
        ("**red**", RED),
        ("Ivo has the blue one, so Ada holds the Red ball.", RED),
        ("Answer: red\nIvo has the blue one.", RED),
        ("The answer is red, I hope.", RED),
        ("$\\boxed{\\text{red}}$", RED),
        ("It is not blue. It is red.", RED),
        ("Red or blue? It is red.", RED),
        ("That would be red", RED),
        ("red\nred", RED),
        ("It is not red", None),
        ("Ada does not hold the red ball.", None),
        ("red is wrong", None),
        ("A popular but wrong answer is red", None),
        ("It is not:\nred", None),
        ("Anything but\nred", None),
        ("blue or red", None),
        ("the blue ball or the red ball", None),
        ("blue, red", None),
        ("blue/red", None),
        ("blue\nred", None),
        ("blue and red", None),
        ("Is it red?", None),
        ("the redbird", None),
        ("{question}", None),
        ("{question} It is the red ball.", RED),
    ],
    "list_sorting": [
        ("[1, 2, 3]", ASC),
        ("Sorted: [1, 2,3]", ASC),
        ("[3, 1, 2] becomes [1, 2, 3].", ASC),
        ("[3, 1, 2] -> [1, 2, 3]", ASC),
        ("**[1, 2, 3]**", ASC),
        ("Answer: [1, 2,\n3]", ASC),
        ("Answer:\n```python\n[1, 2, 3]\n```", ASC),
        ("The answer is [1, 2, 3].", ASC),
        ("The answer is [1, 2, 3], and not [3, 2, 1].", None),  # the last one counts, and that is denied
        ("$\\boxed{[1, 2, 3]}$", ASC),
        ("[1, 2, 3]\nThat is my final answer.", ASC),
        ("It is not [1, 2, 3]", None),
        ("[1, 2, 3] is wrong.", None),
        ("It is not:\n[1, 2, 3]", None),
        ("It is not:\n```\n[1, 2, 3]\n```", None),
        ("[3, 2, 1] or [1, 2, 3]", None),
        ("[3, 2, 1], [1, 2, 3]", None),
        ("[3, 2, 1]\n[1, 2, 3]", None),
        ("Is it [1, 2, 3]?", None),
        ("1, 2, 3", None),
        ("[10, 2]", None),
        ("[1.000, 2]", None),
        ("[\u22121, 2]", None),
        ("{question}", None),
        ("{question} [1, 2, 3]", ASC),
    ],
    "keyword_counting": [
        ('{"Peru": 2, "Chile": 1}', PERU),
        ('Here: {"Peru": 2, "Chile": 1}.', PERU),
        ('{"Peru": 2, "Chile": 1, "China": 0}', PERU),
        ('```json\n{\n  "Peru": 2,\n  "Chile": 1\n}\n```', PERU),
        ('**{"Peru": 2, "Chile": 1}**', PERU),
        ('Answer: {"Peru": 2, "Chile": 1}\nThe part of the first sentence was {"Peru": 1}', PERU),
        ('$\\boxed{\\{"Peru": 2, "Chile": 1\\}}$', PERU),
        ('First {"Peru": 1}, then {"Peru": 1, "Chile": 1}. In all: {"Peru": 2, "Chile": 1}', PERU),
        ('It is not {"Peru": 2, "Chile": 1}', None),
        ('{"Peru": 2, "Chile": 1} is wrong', None),
        ('These are wrong:\n```json\n{"Peru": 2, "Chile": 1}\n```', None),
        ('{"Peru": 1} or {"Peru": 2, "Chile": 1}', None),
        ('{"Peru": 1}\n{"Peru": 2, "Chile": 1}', None),
        ('Is it {"Peru": 2, "Chile": 1}?', None),
        ('{"Peru": true}', None),
        ('{"Peru": -1}', None),
        ('{"Peru": "2"}', None),
        ('{"Peru": 1,000}', None),
        ("Peru: 2", None),
        ("{question}", None),
        ('{question} {"Peru": 2, "Chile": 1}', PERU),
    ],
    "blocksworld": [
        ("(pick-up a)\n(stack a b)", PLAN),
        ("1. (pick-up a)\n2. (stack a b)", PLAN),
        ("- (Pick-Up A)\n- (stack  a b).", PLAN),
        ("```pddl\n(pick-up a)\n(stack a b)\n```", PLAN),
        ("**Answer:** (pick-up a)\n(stack a b)", PLAN),
        ("The plan is:\n(pick-up a)\n(stack a b)\nThe goal holds.", PLAN),
        ("First I thought of (unstack b a). Better:\n(pick-up a)\n(stack a b)", PLAN),
        ("$\\boxed{(pick-up a), (stack a b)}$", PLAN),
        ("(pick-up a) (stack a b)", PLAN),
        ("This is not a plan:\n(pick-up a)\n(stack a b)", None),
        ("Do not do this:\n```\n(pick-up a)\n(stack a b)\n```", None),
        ("(pick-up a)\n(stack a b) is wrong", None),
        ("(unstack b a)\nor\n(pick-up a)\n(stack a b)", None),
        ("Is it (pick-up a) (stack a b)?", None),
        ("pick up a, stack it on b", None),
        ("(lift a)", None),
        ("{question}", None),
        ("{question} (pick-up a)\n(stack a b)", PLAN),
    ],
    "game24": [
        ("(8 - 4) * (7 - 1)", MADE),
        ("(8-4)*(7-1) = 24", MADE),
        ("24 = (8-4)*(7-1).", MADE),
        ("(8 \u2212 4) \u00d7 (7 \u2013 1)", MADE),
        ("(8-4)x(7-1)", MADE),
        ("**(8-4)*(7-1)**", MADE),
        ("$\\boxed{(8-4) \\times (7-1)}$", MADE),
        ("\\[\\left(8-4\\right) \\cdot (7-1) = 24\\]", MADE),
        ("\\boxed{\\frac{8}{3-\\frac{8}{3}}}", "8 / (3 - 8 / 3)"),
        ("8 - 4 = 4 (left: 1 4 7)\n7 - 1 = 6 (left: 4 6)\n(8-4)*(7-1) = 24", MADE),
        ("Answer: (8-4)*(7-1)\nCheck: 4 * 6 = 24", MADE),
        ("(the answer is (8-4)*(7-1))", MADE),
        ("The first idea was 8 + 4. The second: (8-4)*(7-1)", MADE),
        ("It is not (8-4)*(7-1)", None),
        ("(8-4)*(7-1) is wrong", None),
        ("(8-4)*(7-1) = 24 is not true", None),
        ("This does not work:\n(8-4)*(7-1)", None),
        ("8*4-7-1 or (8-4)*(7-1)", None),
        ("8*4-7-1\n(8-4)*(7-1)", None),
        ("8*4-7-1, (8-4)*(7-1)", None),
        ("Is it (8-4)*(7-1)?", None),
        ("2**3", None),
        ("-8 * 3 = -24", None),
        ("(left: -8 -3)", None),
        ("24", None),
        ("There is none.", None),
        ("{question}", None),
        ("{question} (8-4)*(7-1)", MADE),
    ],
    "api_bank": [
        ("Response: 510", ((), "510")),
        ("API-Request: [QueryBalance(account='savings')]\nResponse: 510.",
         ((("QueryBalance", {"account": "savings"}),), "510.")),
        ("You have 510.", ((), "You have 510.")),
        ("API-Request: [QueryBalance('savings')]\nResponse: 510", ((), "510")),
        ("", None),
        ("{question}", None),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reply", "found"),
    [(name, reply, found) for name, replies in REPLIES.items() for reply, found in replies],
)
def test_what_is_found(name: str, reply: str, found: Any) -> None:
    question = QUESTIONS[name]
    assert suite(name).found(question, reply.replace("{question}", question)) == found


@pytest.mark.parametrize("name", [name for name in REPLIES if name != "api_bank"])
def test_whoever_denies_or_repeats_the_question_or_offers_several_states_none(name: str) -> None:
    made = suite(name)
    item, other = made.items(2, seed="extractors")
    key, another = item.key, made.wrong(made.read(item.question), 1)
    for said in (f"It is not {key}", f"Not this:\n{key}", f"{another} or {key}", f"{key} is wrong.", item.question):
        assert made.score(item.question, said) == (0.0, False), said
    assert made.score(item.question, f"It is not {another}. It is {key}").right == 1
    assert made.score(other.question, other.key).right == 1


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("510", True), ("510.", True), ("You have $510.", True), ("**510**", True), ("510.00 in savings", True),
        ("It was 400 in May. Now it is 510.", True), ("It is 510, as of 9:00.", True), ("\\boxed{510}", True),
        ("It is not 510", False), ("510 is wrong", False), ("400 or 510", False), ("400, 510", False), ("400 410 420 510", False),
        ("-510", False), ("\u2212510", False), ("5100", False), ("1,510", False), ("510.5", False), ("Is it 510?", False), ("", False),
    ],
)  # fmt: skip
def test_a_response_of_api_bank_states_what_was_asked_for(said: str, right: bool) -> None:
    bank: Any = suite("api_bank")
    problem = next(
        problem
        for problem in ({"office": n, "kind": "balance", "given": {"account": "savings"}} for n in range(1000))
        if bank.solve(problem).endswith("Response: 510")
    )
    calls = (("QueryBalance", {"account": "savings"}),)
    assert bank.decisions(problem, (calls, said))["responded"] is right
    assert bank.right(problem, (calls, said)) == right


@pytest.mark.parametrize(
    ("said", "right"),
    [("Ada", True), ("Your name is Ada.", True), ("Not Ivo, but", False), ("It is not Ada", False), ("Ivo or Ada", False),
     ("Adam", False), ("Ivo, Ada", False), ("Is it Ada?", False)],
)  # fmt: skip
def test_a_response_of_api_bank_states_a_name(said: str, right: bool) -> None:
    bank: Any = suite("api_bank")
    problem = {"office": 1, "kind": "greet", "given": {"name": "Ada"}}
    assert bank.decisions(problem, ((), said))["responded"] is right


@pytest.mark.parametrize(
    ("output", "said", "found"),
    [
        (int, "It is not 12", None),
        (int, "It is 12.", 12),
        (int, "12.5", None),
        (float, "It is 12.5.", 12.5),
        (float, "12.5 or 13", None),
        (bool, "yes or no", None),
        (bool, "It is not true.", None),
        (bool, "Yes.", True),
        (Literal["up", "up north"], "It goes up north.", "up north"),
        (Literal["up", "down"], "It goes down, not up.", None),
        (Literal["up", "down"], "up or down", None),
        (Literal[1, 2], "**2**", 2),
        (str, " not Paris ", "not Paris"),
    ],
)
def test_a_suite_that_says_nothing_of_replies_is_read_by_the_rules_of_its_type(
    output: Any, said: str, found: Any
) -> None:
    class Another(WordProblems):
        """The same with another type."""

    made = Another()
    made.output = output
    value = made.extract(said)
    assert (value, type(value)) == (found, type(found))


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
