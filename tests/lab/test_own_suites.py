"""`FILE.py:NAME` as the task of a comparison: a suite that somebody wrote."""

import html
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab._suites import full_spec, source_of, suite_of
from stratagem.testing.suite_checks import CHECKS
from tests.lab.test_guards import RIGHT, written

SETTINGS: dict[str, Any] = {"model": "sim:skill=1", "items": 3, "baselines": False}
PRODUCTS = '''
import random
import re

from stratagem.core import Json
from stratagem.tasks import Suite


class Products(Suite):
    """Products of whole numbers."""

    name = "products"
    about = "multiply two whole numbers"
    output = int
    levels = (1, 2)

    def make(self, dice: random.Random, level: int) -> Json:
        return [dice.randrange(10**level, 10 ** (level + 1)) for _ in range(2)]

    def render(self, problem: Json) -> str:
        return f"What is {problem[0]} times {problem[1]}?"

    def read(self, question: str) -> Json:
        found = re.fullmatch(r"What is (\\d+) times (\\d+)\\?", question)
        if found is None:
            raise ValueError("no question about a product")
        return [int(one) for one in found.groups()]

    def solve(self, problem: Json) -> str:
        return str(problem[0] * problem[1])

    def right(self, problem: Json, value: int) -> float:
        return float(value == problem[0] * problem[1])

    def wrong(self, problem: Json, number: int) -> str:
        return str(problem[0] * problem[1] + 1 + number)


made = Products()
number = 7


class Nothing(Suite):
    name = "nothing"
    about = "lacks all the rest"


class Nameless(Products):
    name = ""


class Failing(Products):
    def __init__(self) -> None:
        raise KeyError("no")
'''


@pytest.fixture
def products(tmp_path: Path) -> Path:
    path = tmp_path / "products.py"
    path.write_text(PRODUCTS)
    return path


@pytest.mark.parametrize("name", ["Products", "made"])
def test_a_suite_in_a_file_is_compared_in_other_processes(products: Path, name: str) -> None:
    report = lab.compare(f"{products}:{name}", "direct", level=2, processes=2, **SETTINGS)
    assert report.rows[0]["accuracy"] == 1.0
    assert [one["id"] for one in report.items] == [f"products-2-00000{n}" for n in range(3)]
    assert report.manifest["task"] == "products"
    assert report.manifest["task_source"] == source_of(f"{products}:{name}", suite_of(f"{products}:{name}"))
    assert len(report.manifest["task_source"]) == 16
    checks = report.manifest["checks"]
    assert (checks["items"], checks["level"], len(checks["passed"])) == (8, 2, len(CHECKS))
    said = f"products: the suite passed {len(CHECKS)} checks of its scorer on 8 items of level 2"
    assert said in str(report)
    assert said in report.html()


def test_a_suite_in_a_file_is_swept(products: Path) -> None:
    sweep = lab.simulate("direct", f"{products}:Products", "skill=0/1", items=2, budget="calls=1", processes=1)
    assert [one["accuracy"] for one in sweep.grid] == [0.0, 1.0]
    assert f"products: the suite passed {len(CHECKS)} checks of its scorer on 8 items of level 1" in str(sweep)


def test_answers_on_a_suite_that_was_edited_since_are_not_taken_for_its_own(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {**SETTINGS, "processes": 1, "out": tmp_path / "kept"}
    lab.compare(f"{products}:Products", "direct", **given)
    monkeypatch.chdir(tmp_path)
    asked: list[int] = []
    lab.compare("products.py:Products", "direct", **given, on_progress=lambda now: asked.append(now.found))
    assert asked == [3]  # the same file by another path: nothing is asked again
    products.write_text(PRODUCTS.replace("1 + number", "2 + number"))
    with pytest.raises(UsageError) as caught:
        lab.compare(f"{products}:Products", "direct", **given)
    said = f"holds answers on the task {products}:Products as it was: its source has changed since"
    assert said in str(caught.value)


def test_a_file_beside_a_suite_is_part_of_its_source(products: Path) -> None:
    (products.parent / "words.py").write_text("WORD = 7\n")
    products.write_text("import words\n" + PRODUCTS)
    spec = f"{products}:Products"
    before = source_of(spec, suite_of(spec))
    (products.parent / "words.py").write_text("WORD = 8\n")
    assert source_of(spec, suite_of(spec)) != before


@pytest.mark.parametrize(
    ("name", "said", "remedy"),
    [
        ("", "names a file and no suite in it", "products.py:NAME`"),
        (":number", "is no suite, but 7", "a class of `stratagem.tasks.Suite`"),
        (":Suite", "lacks `make`, `read`, `render`, `right`, `solve`, `wrong`", "Write them."),
        (":Nothing", "lacks `make`, `read`, `render`, `right`, `solve`, `wrong`", "Write them."),
        (":Nameless", "has no name", "Each is a text in its class."),
        (":Failing", "cannot be made: KeyError: 'no'", ""),
        (":Product", "there is no 'Product' in .*; did you mean 'Products'?", ""),
    ],
)
def test_what_is_no_suite_is_refused_by_name(products: Path, name: str, said: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        suite_of(f"{products}{name}")
    assert remedy in str(caught.value.remedy)


def test_a_suite_that_is_not_in_its_file_is_answered_with_those_that_are(products: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("from stratagem.tasks import Suite\n")
    named = ", ".join(f"`{products}:{name}`" for name in ("Products", "made", "Nothing", "Nameless", "Failing"))
    for path, remedy in (
        (products, f"Name a suite that is in the file: {named}."),
        (tmp_path / "empty.py", f"Write a class of `stratagem.tasks.Suite` into {tmp_path / 'empty.py'}, and name it."),
    ):
        with pytest.raises(UsageError) as caught:
            lab.compare(f"{path}:Product", "direct", **SETTINGS)
        assert caught.value.remedy == remedy


def test_notes_on_a_file_stand_in_every_form_of_the_report(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("prompt,question,answer,split\np,q1?,1,\np,q2?,2,\np,q3?,none,\np,q4?,4,train\np,q5?,5,\n")
    notes = [
        "'question' was taken as the question and 'answer' as the answer; 'prompt' was left",
        "4 of 5 answers are numbers; line 4 is not ('none'), so all are compared as text",
        "1 row is an example: split says train",
    ]
    report = lab.compare(path, "direct", processes=1, **SETTINGS)
    assert report.manifest["notes"] == notes
    for note in notes:
        assert f"! mine: {note}" in str(report)
        assert f"! mine: {html.escape(note)}" in report.html()


def test_a_file_that_fails_or_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    for name, said in (("broken.py", "cannot be imported: ModuleNotFoundError"), ("gone.py", "there is no file")):
        with pytest.raises(UsageError, match=said):
            suite_of(f"{tmp_path / name}:Products")


def test_no_strategy_is_made_of_a_file_of_the_suite(products: Path, tmp_path: Path) -> None:
    (tmp_path / "solver.py").write_text("def solved(a, b):\n    return a * b\n")
    products.write_text("from solver import solved\n" + PRODUCTS)
    spec = written(tmp_path / "mine.py", RIGHT, before="from solver import solved\n")
    with pytest.raises(UsageError) as caught:
        lab.compare(f"{products}:Products", spec, **SETTINGS)
    assert str(caught.value) == (
        f"the strategy {spec!r} is made of solver.py, as is the task: a strategy may not see who solves it"
    )


def test_specs_mean_the_same_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert full_spec("game24") == "game24"
    assert full_spec("mine.jsonl") == str(tmp_path / "mine.jsonl")
    assert full_spec("mine.py:Products") == f"{tmp_path / 'mine.py'}:Products"


def test_what_comes_with_stratagem_has_no_source_of_its_own() -> None:
    assert source_of("game24", suite_of("game24")) == ""
