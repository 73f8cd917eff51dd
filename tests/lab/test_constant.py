"""What the best constant answer gets on the compared items stands in every report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab import _constant
from stratagem.lab._constant import best_constant
from stratagem.tasks import suite
from stratagem.tasks._own import OwnSuite

SETTINGS: dict[str, Any] = {"model": "sim:skill=1", "baselines": False, "processes": 1}


@pytest.fixture
def mostly(tmp_path: Path) -> Path:
    """Return a file in which nine of ten answers are yes."""
    path = tmp_path / "mostly.jsonl"
    rows = [{"question": f"Is {n} not one of them?", "answer": "no" if n % 10 == 3 else "yes"} for n in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_with_nine_of_ten_answers_alike_says_so(mostly: Path, valid: Any) -> None:
    report = lab.compare(str(mostly), "direct", **SETTINGS)
    assert report.manifest["best_constant"] == {"share": 0.9, "items": 20, "answer": "yes"}
    said = "the best constant answer, 'yes', gets 0.900 of these items right"
    assert said in str(report).splitlines()
    assert f'<p class="soft">{said.replace(chr(39), "&#x27;")}</p>' in report.html()
    valid(report.plain(), "compare")


def test_it_is_computed_on_the_compared_items_and_not_what_a_suite_states() -> None:
    red = suite("shuffled_objects")
    items = list(red.items(30, seed=5, level=3))
    most = max({one.key for one in items}, key=lambda key: [one.key for one in items].count(key))
    share = [one.key for one in items].count(most) / 30
    assert best_constant(red, items, published=True) == {"share": round(share, 6), "items": 30, "answer": most}
    assert share != red.floor[1]


def test_an_answer_that_is_no_key_is_tried_if_the_suite_publishes_it() -> None:
    bank = suite("api_bank")
    bank.floor = ("Response: Uma or Response: Uma", 0.1)
    items = [one for one in bank.items(300, seed="uma") if one.key == "Response: Uma"]
    bank.floor = ("Uma", 0.1)
    assert best_constant(bank, items[:3], published=True) == {"share": 1.0, "items": 3, "answer": "Uma"}


def test_a_number_that_is_no_key_is_tried_where_answers_are_numbers() -> None:
    words = suite("word_problems")
    items = list(words.items(20, seed=5))
    assert best_constant(words, items, published=True)["share"] < 0.5
    words.right = lambda problem, value: float(not value)  # type: ignore[method-assign]
    assert best_constant(words, items, published=True) == {"share": 1.0, "items": 20, "answer": "0"}


def test_of_a_withheld_seed_the_share_alone_is_told(mostly: Path) -> None:
    report = lab.compare(str(mostly), "direct", seed="a seed of sixteen bytes", withheld=True, **SETTINGS)
    assert report.manifest["best_constant"] == {"share": 0.9, "items": 20}
    assert "the best constant answer gets 0.900 of these items right" in str(report).splitlines()


def test_of_many_items_the_first_are_tried_and_the_report_says_so(
    mostly: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_constant, "MOST", 10)
    report = lab.compare(str(mostly), "direct", **SETTINGS)
    items = list(OwnSuite.read_file(mostly).items(20))[:10]
    share = sum(one.key == "yes" for one in items) / 10
    assert report.manifest["best_constant"] == {"share": share, "items": 10, "answer": "yes"}
    assert f"the best constant answer, 'yes', gets {share:.3f} of the first 10 items right" in str(report).splitlines()


def test_each_question_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = suite("word_problems")
    items = list(words.items(20))
    asked: list[str] = []
    usual = type(words).read

    def read(self: Any, question: str) -> Any:
        asked.append(question)
        return usual(self, question)

    monkeypatch.setattr(type(words), "read", read)
    best_constant(words, items, published=True)
    assert sorted(asked) == sorted(one.question for one in items)
    assert "read" not in vars(words)


def test_what_a_suite_raises_is_its_own(made: Callable[..., str]) -> None:
    body = (
        "def right(self, problem, value):\n    import traceback\n"
        "    if any(one.name == 'best_constant' for one in traceback.extract_stack()):\n        raise KeyError(value)\n"
        "    return super().right(problem, value)"
    )
    with pytest.raises(UsageError, match=r"`right` of the suite '.*bad\.py:Bad' fails, given .*: KeyError"):
        lab.compare(made("Products", body), "direct", items=3, **SETTINGS)


def test_a_sweep_says_it_too() -> None:
    sweep = lab.simulate("direct", "shuffled_objects", "skill=0/1", items=4, budget="calls=1")
    assert sweep.manifest["best_constant"]["items"] == 4
    assert sum(line.startswith("the best constant answer, ") for line in sweep.summary()) == 1
