"""Tasks from a file: what is read, how answers are compared, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stratagem.core import Inquiry
from stratagem.errors import UsageError
from stratagem.tasks import Suite
from stratagem.tasks._own import OwnSuite, opened
from stratagem.testing import suite_checks

GSM = {"question": "Nat sells 48 clips, then half as many. How many in all?",
       "answer": "He sells 48/2 = <<48/2=24>>24 clips.\nIn all 48+24 = <<48+24=72>>72.\n#### 1,072"}  # fmt: skip


def file_of(tmp_path: Path, *rows: object, name: str = "mine.jsonl") -> str:
    path = tmp_path / name
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in rows) + "\n", "utf-8")
    return str(path)


def test_the_format_of_gsm8k_works_as_it_is(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, GSM, {"question": "And one?", "answer": "#### -2"}))
    items = list(suite.items(2, seed=1))
    one = next(item for item in items if item.question == GSM["question"])
    assert one.key == "1072"
    assert suite.score(one.question, "so it is 1,072.") == (1.0, True)
    assert suite.score(one.question, "1071") == (0.0, True)
    assert suite.score(one.question, "no idea") == (0.0, False)


def test_reasoning_of_a_training_split_becomes_examples_and_no_item(tmp_path: Path) -> None:
    suite = opened(
        file_of(tmp_path, {**GSM, "split": "train"}, {"question": "And one?", "answer": "3", "split": "test"})
    )
    (example,) = suite.examples(8)
    assert example.answer == "1072"
    assert example.rationale == "He sells 48/2 = 24 clips.\nIn all 48+24 = 72."
    assert [item.question for item in suite.items(1)] == ["And one?"]


LETTERS = {
    "A": "a|(a)|The answer is a)|the answer is **a**.|I think so.\na|\\boxed{a}|a) four|The answer is a, since d is odd|option a is right",
    "C": "c|(c)|The answer is c|So it is (c).|answer: c. red|[c]|The answer is option c because a dog has four legs|a and b are wrong, so c)",
    "": "It is a dog|a dog|The answer is a dog|A dog|a Frenchman|a-ha|It is a.|f(a)|at 3 a.m.|(or so, says a)|a or b|It is b or (c)|(a) or (b)|not (b)"
    "|The answer is not b|Is it (a)?|the answer: a/b",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "reply"), [(wanted, one) for wanted, replies in LETTERS.items() for one in replies.split("|")]
)
def test_a_letter_in_the_other_case_counts_where_it_can_be_no_word(tmp_path: Path, wanted: str, reply: str) -> None:
    rows = [{"question": f"Which, {key}?", "answer": key} for key in "ABCD"]
    suite = opened(file_of(tmp_path, *rows))
    assert suite.found("Which?", reply.replace("\\n", "\n")) == (wanted or None)


def test_a_capital_counts_likewise_where_the_letters_are_small(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, *[{"question": f"Which, {key}?", "answer": key} for key in "abcd"]))
    assert [suite.found("Which?", one) for one in ("A", "The answer is A)", "It is b", "It is a dog")] == [
        "a", "a", "b", None,
    ]  # fmt: skip
    assert suite.found("Which?", "A dog of what I'd call Plan Delta") is None


def test_letters_that_differ_in_their_case_alone_are_told_apart(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, *[{"question": f"Which, {key}?", "answer": key} for key in "aAb"]))
    assert [suite.found("Which?", one) for one in ("a", "A", "(A)", "B")] == ["a", "A", "A", "b"]


def test_a_table_with_other_names_of_columns_is_read(tmp_path: Path) -> None:
    path = file_of(
        tmp_path, "ID,Problem,Solution", 'p1,"Paris, or ""Rome""?",Paris', "p2,Which river?,the Tiber", name="t.csv"
    )
    suite = opened(path)
    items = {item.id: item for item in suite.items(2)}
    assert items["p1"].question == 'Paris, or "Rome"?'
    assert suite.score(items["p2"].question, "The  tiber.") == (1.0, True)


@pytest.mark.parametrize("between", [";", "\t"])
def test_a_table_may_have_semicolons_or_tabs_between_its_columns(tmp_path: Path, between: str) -> None:
    head, row = between.join(("id", "Question", "answer")), between.join(("a", '"Which, of these?"', "1,5 m"))
    (item,) = opened(file_of(tmp_path, head, row, name="t.csv")).items(1)
    assert (item.question, item.key) == ("Which, of these?", "1,5 m")


def test_a_table_without_a_question_is_refused_whatever_stands_between_its_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no 'question'"):
        opened(file_of(tmp_path, "a;b", "c;d", name="t.csv"))


@pytest.mark.parametrize(
    ("answers", "right", "wrong", "none"),
    [
        (["1", "2.50"], "it is 2.5", "25", "none"),
        (["yes", "No"], "I say no", "yes", "perhaps"),
        (["A", "C"], "The answer is C", "A", "D"),
        (["blue", "dark green"], "Dark  Green", "green", ""),
    ],
)
def test_answers_are_compared_as_what_they_are(
    tmp_path: Path, answers: list[str], right: str, wrong: str, none: str
) -> None:
    suite = opened(file_of(tmp_path, *({"question": f"q{n}", "answer": one} for n, one in enumerate(answers))))
    assert suite.score("q1", right) == (1.0, True)
    assert suite.score("q1", wrong) == (0.0, True)
    assert suite.score("q1", none) == (0.0, False)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("Paris", 1), ("The capital is Paris.", 1), ("Paris is the capital of France.", 1), ("Answer: Paris", 1),
        ("The capital is not Paris.", 0), ("Paris or Rome", 0), ("Paris Rome Berlin", 0), ("What is the capital of France?", 0),
        ("Rome", 0), ("", 0),
    ],
)  # fmt: skip
def test_a_right_sentence_is_right_and_a_list_of_answers_is_not(tmp_path: Path, said: str, right: int) -> None:
    suite = opened(
        file_of(
            tmp_path,
            {"question": "What is the capital of France?", "answer": "Paris"},
            {"question": "Which river flows through Rome?", "answer": "the Tiber"},
        )
    )
    assert suite.score("What is the capital of France?", said).right == right
    task = suite.task("What is the capital of France?")
    assert (task.form(task.answer(said)) == task.form(task.answer("paris"))) is bool(
        right
    )  # a vote counts them together


@pytest.mark.parametrize(
    ("answers", "said", "score"),
    [
        (["-$5", "0.5"], "-$5", (1.0, True)),
        (["-$5", "0.5"], "5", (0.0, True)),
        ([".5", "2"], "0.5", (1.0, True)),
        ([".5", "2"], "5", (0.0, True)),
        (["2", "5"], "1/2", (0.0, True)),
        (["5", "2"], "10-5", (0.0, False)),
        (["12", "2"], "The answer is not 12", (0.0, False)),
        (["yes", "no"], "It is not true.", (0.0, False)),
        (["no", "yes"], "Yes, no doubt.", (0.0, True)),
        (["C", "A"], "The answer is not C", (0.0, False)),
        (["C", "A"], "A is wrong, so it is C", (1.0, True)),
        (["C", "A"], "not (c)", (0.0, False)),
    ],
)
def test_what_is_denied_or_only_a_part_of_a_number_is_not_stated(
    tmp_path: Path, answers: list[str], said: str, score: tuple[float, bool]
) -> None:
    suite = opened(file_of(tmp_path, *({"question": f"q{n}?", "answer": one} for n, one in enumerate(answers))))
    assert suite.score("q0?", said) == score


def test_a_file_with_a_key_that_states_nothing_by_itself_is_compared_as_text(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, {"question": "q0?", "answer": "London. Paris. Rome"}))
    assert isinstance(suite, OwnSuite)
    assert suite.kind == "text"
    assert suite.score("q0?", "london. paris. rome") == (1.0, True)


def test_where_an_answer_begins_with_a_number_and_a_point_both_are_compared(tmp_path: Path) -> None:
    suite = opened(
        file_of(tmp_path, {"question": "q0?", "answer": "1. May"}, {"question": "q1?", "answer": "the Tiber"})
    )
    assert isinstance(suite, OwnSuite)
    blind = opened("gone.jsonl", blind=suite.blind())
    for made in (suite, blind):
        assert made.task("q0?").answer("May").value == "May"
        assert made.task("q0?").answer("It is 1. May").value == made.task("q0?").answer("1. May").value == "1 May"
    assert [suite.score("q0?", said).right for said in ("1. May", "May", "2. May")] == [1, 0, 0]


def test_whole_sentences_as_answers_are_compared_as_they_are(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, {"question": "Conclude.", "answer": "All men are mortal."}))
    assert suite.score("Conclude.", "Answer: all men are mortal").right == 1
    assert suite.score("Conclude.", "Some men are mortal.").right == 0


SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu")
WORDS = [f"{one}{two}".capitalize() for one in SYLLABLES for two in SYLLABLES]
FORMS = {
    "phrase": [f"{word}" if n % 3 else f"the {word} of {WORDS[-n]}" for n, word in enumerate(WORDS)],
    "number": [str(n * 7 + 1000) for n in range(100)],
    "text": [f"{word} came first, and {WORDS[-n]} followed it." for n, word in enumerate(WORDS)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "check",
    [
        suite_checks.equal_seeds_give_equal_items,
        suite_checks.every_item_can_be_solved,
        suite_checks.what_is_no_answer_scores_nothing,
        suite_checks.random_text_scores_nothing,
        suite_checks.wrong_answers_are_wrong,
        suite_checks.answers_of_others_score_at_their_true_rate,
        suite_checks.the_oracle_tells_right_from_wrong,
    ],
    ids=lambda check: check.__name__,
)
def test_a_file_passes_what_every_scorer_must_pass(tmp_path: Path, form: str, check: Callable[[Suite], None]) -> None:
    rows = [{"question": f"What is the word for {n} in Volzu?", "answer": one} for n, one in enumerate(FORMS[form])]
    suite = opened(file_of(tmp_path, *rows))
    assert isinstance(suite, OwnSuite)
    assert suite.kind == form
    check(suite)


def test_the_oracle_knows_the_file_and_nothing_else(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, {"question": "q0", "answer": 7}, {"question": "q1", "answer": 8}))
    oracle = suite.oracle()
    asked = Inquiry("answer", "t", str, {"question": "q1"})
    assert oracle.right(asked) == "8"
    assert all(not oracle.accepts(asked, oracle.wrong(asked, lambda n, k=k: k % n)) for k in range(20))
    with pytest.raises(ValueError, match="no question"):
        oracle.right(Inquiry("answer", "t", str, {"question": "another"}))


def test_without_its_rows_a_suite_makes_tasks_and_has_no_key(tmp_path: Path) -> None:
    whole = opened(file_of(tmp_path, {"question": "q0", "answer": "wombat"}, {"question": "q1", "answer": "quoll"}))
    assert isinstance(whole, OwnSuite)
    blind = opened("gone.jsonl", blind=whole.blind())
    task = blind.task("q0")
    assert task.answer("It is the Wombat.").value == "Wombat"
    assert "wombat" not in json.dumps(whole.blind())
    with pytest.raises(KeyError):
        blind.solve(blind.read("q0"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["{"], "line 1 is not JSON"),
        (["[1]"], "line 1 is no object"),
        (['{"question": "a"}'], "has no 'answer'"),
        (['{"question": "", "answer": "1"}'], "'question' must be a text"),
        (['{"question": "a", "answer": null}'], "'answer' must be a text"),
        (['{"question": "a", "answer": "x ####"}'], "nothing behind"),
        (['{"question": "a", "answer": "1"}', '{"question": "a", "answer": "2"}'], "same question twice"),
        ([""], "there is no task"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opened(file_of(tmp_path, *rows))


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("12345678901", ["12345678901", "12,345,678,901.0", "1.2345678901e10"], ["12345678902", "12345678900.9"]),
        (12345678901234567890, ["12345678901234567890"], ["12345678901234567891", "12345678901234567889.5", "1.2e19"]),
        ("-9007199254740993", ["−9,007,199,254,740,993"], ["-9007199254740992"]),
        ("2.3 million", [], []),
        ("2300000", ["2.3 million", "2.3e6"], ["2.3000001 million"]),
        ("1e23", ["100000000000000000000000", "1E+23"], ["99999999999999991611392"]),
        ("0.1", ["1/10", ".1", "0.10000000001"], ["0.1000001", "0.0"]),
        ("0.0000000005", ["5e-10"], ["0", "6e-10"]),
        ("123456789012345.678", ["123456789012345.678"], ["123457789012345.678"]),
    ],
)  # fmt: skip
def test_whole_numbers_are_compared_exactly_and_others_to_nine_digits(
    tmp_path: Path, key: object, right: list[str], wrong: list[str]
) -> None:
    suite = opened(file_of(tmp_path, {"question": "q0?", "answer": key}))
    assert {said: suite.score("q0?", said).right for said in (*right, *wrong)} == {
        **dict.fromkeys(right, 1.0), **dict.fromkeys(wrong, 0.0),
    }  # fmt: skip
    (item,) = suite.items(1)
    assert suite.score("q0?", item.key) == (1.0, True)
    assert all(suite.score("q0?", suite.wrong(suite.read("q0?"), n)) == (0.0, True) for n in range(8))


def test_a_row_with_more_fields_than_the_header_is_refused_with_its_line(tmp_path: Path) -> None:
    path = file_of(tmp_path, "question,answer", "Which?,Paris", "Who, then?,Ada", name="t.csv")
    with pytest.raises(UsageError, match=r"t\.csv, line 3 has 3 fields, but the header names 2") as caught:
        opened(path)
    assert "double quotes" in str(caught.value.remedy)


def test_empty_fields_behind_a_row_lose_nothing_and_are_left_off(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, "question,answer", "Which?,Paris,,", name="t.csv"))
    assert [(item.question, item.key) for item in suite.items(1)] == [("Which?", "Paris")]


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (["question,answer,Answer", "Which?,Paris,Rome"], "t.csv"),
        (["question,answer,answer", "Which?,Paris,Rome"], "t.csv"),
        ([{"question": "Which?", "answer": "Paris", "Answer": "Rome"}], "t.jsonl"),
        (['{"question": "Which?", "answer": "Paris", "answer": "Rome"}'], "t.jsonl"),
    ],
)
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, rows: list[object], name: str) -> None:
    with pytest.raises(UsageError, match="line 1 has 'answer' twice"):
        opened(file_of(tmp_path, *rows, name=name))


def test_marks_that_only_look_like_the_end_of_a_line_end_no_row(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, "question,answer", "One\u2028two?,Paris", "Who?,Ada", name="t.csv"))
    assert {item.question for item in suite.items(2)} == {"One\u2028two?", "Who?"}


@pytest.mark.parametrize(
    ("answers", "notes"),
    [
        (["Paris", "Rome"], ()),
        (["Paris", "Rome", "paris", "the Paris"], ("2 duplicate questions left out: lines 3, 4",)),
        (["1000", "7", "1,000.0"], ("1 duplicate question left out: line 3",)),
    ],
)
def test_duplicates_are_kept_once_and_said(tmp_path: Path, answers: list[str], notes: tuple[str, ...]) -> None:
    rows = [{"question": "q1?" if n == 1 else "q0?", "answer": one} for n, one in enumerate(answers)]
    suite = opened(file_of(tmp_path, *rows))
    assert isinstance(suite, OwnSuite)
    assert (len(suite), suite.notes) == (2, notes)


def test_two_answers_to_one_question_are_refused_with_both_lines(tmp_path: Path) -> None:
    rows = ["question,answer,split", "q0?,1,test", "q1?,2,", '"q0?",3,train']
    with pytest.raises(UsageError, match=r"answers the same question twice: line 2 says '1', line 4 says '3'"):
        opened(file_of(tmp_path, *rows, name="t.csv"))


@pytest.mark.parametrize("first", ["train", "test"])
def test_a_question_to_train_and_to_test_is_asked_shown_nowhere_and_said(tmp_path: Path, first: str) -> None:
    second = {"train": "test", "test": "train"}[first]
    rows = [
        {"question": "q0?", "answer": "1", "split": first},
        {"question": "q1?", "answer": "2", "split": "train"},
        {"question": "q0?", "answer": "1", "split": second},
    ]
    suite = opened(file_of(tmp_path, *rows))
    assert isinstance(suite, OwnSuite)
    assert [item.question for item in suite.items(1)] == ["q0?"]
    assert [one.question for one in suite.examples()] == ["q1?"]
    line = 1 if first == "train" else 3
    assert suite.notes == (
        f"1 question is to train and to test, and no solved example is made of it: line {line}",
        "1 row is an example: split says train",
    )


def test_a_file_of_which_all_is_to_train_has_no_item_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no task"):
        opened(file_of(tmp_path, {"question": "q0?", "answer": "1", "split": "train"}))


def test_many_lines_are_named_by_the_first_ones(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, *({"question": "q0?", "answer": "1"} for _ in range(40))))
    assert isinstance(suite, OwnSuite)
    (note,) = suite.notes
    assert note == "39 duplicate questions left out: lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 29 more"


def test_what_is_no_file_of_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        opened(str(tmp_path / "gone.csv"))
    (tmp_path / "bad.csv").write_bytes(b"question,answer\n\xff,1\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        opened(str(tmp_path / "bad.csv"))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UsageError, match="neither JSON lines nor CSV"):
        opened(str(tmp_path / "a.txt"))
    with pytest.raises(UsageError, match="no task suite"):
        opened("gam24")


def test_more_items_than_rows_are_refused(tmp_path: Path) -> None:
    suite = opened(file_of(tmp_path, {"question": "q0", "answer": 7}))
    with pytest.raises(UsageError, match="has 1 item, 2 are wanted"):
        list(suite.items(2))
    twice = opened(file_of(tmp_path, *({"question": "q0", "answer": 7} for _ in range(2))))
    with pytest.raises(UsageError, match="has 1 item, 2 are wanted: 1 duplicate question left out: line 2"):
        list(twice.items(2))
    few = opened(file_of(tmp_path, *({"question": f"q{n}", "answer": one} for n, one in enumerate("12345x"))))
    with pytest.raises(UsageError, match=r"has 6 items, 7 are wanted$"):  # how they are compared makes them no fewer
        list(few.items(7))
    shown = opened(
        file_of(tmp_path, {"question": "q0", "answer": 7, "split": "train"}, {"question": "q1", "answer": 8})
    )
    with pytest.raises(UsageError, match=r"has 1 item, 2 are wanted: 1 row is an example: split says train$"):
        list(shown.items(2))
    with pytest.raises(UsageError, match="no level 2"):
        list(suite.items(1, level=2))
