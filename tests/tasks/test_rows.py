"""The rows of a file of tasks: what is said of how they are read, and what to do about one that is wrong."""

from pathlib import Path

import pytest

from stratagem.errors import UsageError
from stratagem.tasks._own import OwnSuite, opened
from tests.tasks.test_own import file_of


def read(tmp_path: Path, *rows: object, name: str = "mine.jsonl") -> OwnSuite:
    suite = opened(file_of(tmp_path, *rows, name=name))
    assert isinstance(suite, OwnSuite)
    return suite


def answered(*answers: object) -> list[dict[str, object]]:
    return [{"question": f"q{n}?", "answer": one} for n, one in enumerate(answers, 1)]


def refused(tmp_path: Path, *rows: object, name: str = "mine.jsonl") -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        opened(file_of(tmp_path, *rows, name=name))
    return str(caught.value), caught.value.remedy


def test_one_answer_of_another_form_is_named_where_it_changes_how_all_are_compared(tmp_path: Path) -> None:
    answers = [*range(1, 7), "unknown", *range(8, 501)]
    assert read(tmp_path, *answered(*answers)).notes == (
        "499 of 500 answers are numbers; line 7 is not ('unknown'), so all are compared as text",
    )


@pytest.mark.parametrize(
    ("answers", "kind", "notes"),
    [
        (["1000", "12", "unknown"], "phrase", ("2 of 3 answers are numbers; line 3 is not ('unknown'), so all are compared as text",)),
        (["1", "2", "$1,000.00"], "number", ()),
        (
            [*"12345678", "none", "a few"], "phrase",
            ("8 of 10 answers are numbers; lines 9, 10 are not ('none', 'a few'), so all are compared as text",),
        ),
        ([*"1234567", "none", "few", "many"], "phrase", ()),  # 70 %
        (["the Tiber", "24"], "phrase", ()),
        (
            ["yes", "no", True, "No", "perhaps"], "phrase",
            ("4 of 5 answers are yes or no; line 5 is not ('perhaps'), so all are compared as text",),
        ),
        (
            [*"ABCD", "Both came, and none of them stayed."], "text",
            ("4 of 5 answers are single letters; line 5 is not ('Both came, and none of them stayed.'), so all are compared as text",),
        ),
        (
            [*"1234567890" * 2, "a b", "a c", "a d", "a e"], "phrase",
            ("20 of 24 answers are numbers; lines 21, 22, 23, 24 are not ('a b', 'a c', 'a d', ...), so all are compared as text",),
        ),
    ],
)  # fmt: skip
def test_what_most_answers_are_is_said_if_not_all_are(
    tmp_path: Path, answers: list[object], kind: str, notes: tuple[str, ...]
) -> None:
    suite = read(tmp_path, *answered(*answers))
    assert (suite.kind, suite.notes) == (kind, notes)


def test_a_row_without_the_mark_that_others_have_is_refused(tmp_path: Path) -> None:
    message, remedy = refused(tmp_path, *answered("x\n#### 24", "forgot the mark 12", "x\n#### 48", "nor this"))
    assert message == "mine.jsonl, line 2 has no `####` before its answer, and line 1 has one"
    assert remedy == "Write `####` and the answer at the end of each such row, or `####` in none."
    assert refused(tmp_path, *answered("24", "x #### 12"))[0] == (
        "mine.jsonl, line 1 has no `####` before its answer, and line 2 has one"
    )


@pytest.mark.parametrize(
    ("rows", "name", "notes"),
    [
        (
            ["prompt,question,answer,target", "p,What is 1+1?,2,3", "p,What is 2+1?,3,4"], "t.csv",
            ("'question' was taken as the question and 'answer' as the answer; 'prompt' and 'target' were left",),
        ),
        (
            ["Problem,Solution,Label", "What is 1+1?,2,3"], "t.csv",
            ("'problem' was taken as the question and 'solution' as the answer; 'label' was left",),
        ),
        (
            [
                {"question": "q1?", "answer": 1}, {"input": "q2?", "prompt": "q3?", "output": 2},
                {"input": "q4?", "prompt": "q5?", "output": 3},
            ], "t.jsonl",
            ("'prompt' was taken as the question and 'output' as the answer; 'input' was left: lines 2, 3",),
        ),
        (['{"question": "q1?", "answer": 1}', '{"prompt": "q2?", "label": 2}'], "t.jsonl", ()),
    ],
)  # fmt: skip
def test_what_was_taken_of_several_columns_is_said(
    tmp_path: Path, rows: list[object], name: str, notes: tuple[str, ...]
) -> None:
    assert read(tmp_path, *rows, name=name).notes == notes


def test_splits_are_counted_and_those_that_mean_nothing_named(tmp_path: Path) -> None:
    splits = ["training", " Train", "dev", "test", "", "Validation", "hold-out", "train", "holdout", "hold-out"]
    suite = read(tmp_path, "question,answer,split", *(f"q{n}?,{n},{one}" for n, one in enumerate(splits)), name="t.csv")
    assert suite.notes == (
        "3 rows are examples: split says training, Train, train",
        "3 rows with a split that means nothing here (hold-out, holdout) are items: lines 8, 10, 11",
    )
    assert len(suite) == 7
    one = read(tmp_path, {"question": "q1?", "answer": 1, "split": 3}, {"question": "q2?", "answer": 1, "split": None})
    assert one.notes == ("1 row with a split that means nothing here (3) is an item: line 1",)


OBJECT = 'Each line is one whole object: {"question": ..., "answer": ...}.'
COLUMNS = (
    "The first line of a CSV names its columns: a question (question, problem, prompt, input) and an answer "
    "(answer, solution, target, output, label)."
)
MUST = "must be a text or a number that is not empty, got"


@pytest.mark.parametrize(
    ("rows", "name", "message", "remedy"),
    [
        (
            ["question,answer", "q1?,2", "q2?,"], "t.csv",
            f"t.csv, line 3: 'answer' {MUST} ''", "Write the answer, or leave the row out.",
        ),
        (["prompt,answer", " ,7"], "t.csv", f"t.csv, line 2: 'prompt' {MUST} ' '", "Write the question, or leave the row out."),
        (
            [*answered(24, None)], "t.jsonl",
            f"t.jsonl, line 2: 'answer' {MUST} null", "Write the answer, or leave the row out.",
        ),
        (
            [*answered(["x", "y"])], "t.jsonl",
            f"t.jsonl, line 1: 'answer' {MUST} ['x', 'y']", "Write one text or one number: a row has one answer.",
        ),
        (
            [*answered({"x": 1})], "t.jsonl",
            f"t.jsonl, line 1: 'answer' {MUST} an object", "Write one text or one number: a row has one answer.",
        ),
        (
            [*answered("x ####")], "t.jsonl",
            "t.jsonl, line 1: there is nothing behind `####`", "Write the answer behind `####`, or leave the row out.",
        ),
        (
            ['{"question": "d?", "answer": '], "t.jsonl",
            "t.jsonl, line 1 is not JSON: Expecting value, at character 30", OBJECT,
        ),
        (["[1]"], "t.jsonl", "t.jsonl, line 1 is no object", OBJECT),
        (
            ['{"question": "d?"}'], "t.jsonl", "t.jsonl, line 1 has no 'answer'",
            "A row has a question (question, problem, prompt, input) and an answer (answer, solution, target, output, label).",
        ),
        (
            ["question,answer", 'q?,"a" b'], "t.csv", "t.csv, line 2: ',' expected after '\"'",
            'A field begins and ends with a double quote, or with none; one within it is written twice: "a ""b"" c".',
        ),
        (
            ["What is 1+1?,2", "What is 2+1?,3"], "t.csv",
            "t.csv, line 1 was taken as the header ('What is 1+1?', '2'), and has no 'question' and no 'answer'", COLUMNS,
        ),
        (["2,2", "3,3"], "t.csv", "t.csv, line 1 was taken as the header ('2', '2'), and has no 'question' and no 'answer'", COLUMNS),
        (
            ["question;reply", "q?;3"], "t.csv",
            "t.csv, line 1 was taken as the header ('question', 'reply'), and has no 'answer'", COLUMNS,
        ),
    ],
)  # fmt: skip
def test_the_remedy_for_a_row_is_about_the_row(
    tmp_path: Path, rows: list[object], name: str, message: str, remedy: str
) -> None:
    assert refused(tmp_path, *rows, name=name) == (message, remedy)


def test_a_file_without_a_task_says_what_makes_one(tmp_path: Path) -> None:
    assert refused(tmp_path, "question,answer", name="t.csv")[1] == "Write rows, each with a question and an answer."
    assert refused(tmp_path, {"question": "q?", "answer": 1, "split": "Train"})[1] == (
        "Rows whose `split` says train or training are examples: leave it empty in the others."
    )


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000 + "]" * 100_000], ids=["digits", "brackets"])
def test_json_that_python_cannot_hold_is_refused_with_its_line(tmp_path: Path, value: str) -> None:
    message, remedy = refused(tmp_path, *answered(1), f'{{"question": "q?", "answer": {value}}}')
    assert message.startswith("mine.jsonl, line 2 cannot be read as JSON: ")
    assert remedy == OBJECT
