"""The questions for the small model: there are thirty, and right is what a person would call right."""

import re
from collections import Counter
from typing import Any

import pytest

from benchmarks import local_model
from benchmarks.local_model import Item, items
from benchmarks.measure import Report


def test_there_are_thirty_questions_and_the_same_ones_each_time() -> None:
    assert [item.question for item in items()] == [item.question for item in items()]
    assert Counter(item.kind for item in items()) == local_model.EACH
    assert sum(local_model.EACH.values()) == 30


@pytest.mark.parametrize(
    ("kind", "question", "right", "wrong"),
    [
        ("sum", "What is 6 + 12?", ("18", "6 + 12 = 18.", "It is 18"), ("19", "18 or 20", "", "none")),
        (
            "copy",
            "Repeat this word and say nothing else: egg81",
            ("egg81", "egg81.", '"egg81"'),
            ("egg", "egg81 egg81", ""),
        ),
        ("yes or no", "Is 9 greater than 64? Answer yes or no.", ("No.", "no, it is not: yes"), ("Yes", "none", "")),
        (
            "order",
            "Put these numbers in order, the smallest first: 9, 4, 30",
            ("4, 9, 30", "9, 4, 30 in order: 4, 9, 30"),
            ("9, 4, 30", "4, 9", ""),
        ),
    ],
)
def test_what_is_right(kind: str, question: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    made: dict[str, Any] = {
        "sum": local_model._sum,
        "copy": local_model._copy,
        "yes or no": local_model._yes_or_no,
        "order": local_model._order,
    }
    item: Item = made[kind](Dice(question))
    assert item.question == question
    assert [item.right(text) for text in right] == [True] * len(right)
    assert [item.right(text) for text in wrong] == [False] * len(wrong)


class Dice:
    """Dice that fall as a question has it."""

    def __init__(self, question: str) -> None:
        self._numbers = [int(number) for number in re.findall(r"\d+", question)]

    def randint(self, low: int, high: int) -> int:
        return self._numbers.pop(0)

    def choice(self, words: tuple[str, ...]) -> str:
        return "egg"

    def sample(self, numbers: range, count: int) -> list[int]:
        return self._numbers[:count]


def test_without_the_model_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("STRATAGEM_MODELS", str(tmp_path))
    lines: list[str] = []
    local_model.measure(Report(lines.append))
    assert "stratagem models add smollm2" in lines[-1]
