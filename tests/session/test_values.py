"""Answers of any type are stored and come back; what cannot be an answer is refused where it is made."""

import datetime
import decimal
import enum
import math
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from stratagem.core import Answer, Run, Task, strategy


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Spot:
    x: int
    y: float


said: list[str] = []
made: list[dict[str, Any]] = []


@strategy(calls="0")
async def saying(run: Run, task: Task) -> Answer:
    """Say what the test wants."""
    return task.answer(said[0], **(made[0] if made else {}))


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    said.clear()
    made.clear()


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        (str, "words", "words"),
        (int, "It is 1,234.", 1234),
        (float, "about -2.5e3", -2500.0),
        (bool, "Yes, no: yes.", True),
        (Literal["a", "b"], "a or b", "b"),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (list[str], '["a"]', ["a"]),
        (set[int], "[2, 1]", {1, 2}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Spot, '{"x": 1, "y": 2}', Spot(1, 2.0)),
        (datetime.date, '"2024-02-29"', datetime.date(2024, 2, 29)),
        (decimal.Decimal, '"1.10"', decimal.Decimal("1.10")),
        (Colour, '"red"', Colour.RED),
        (int | None, "null", None),
        (int, "no number", None),
        (Literal["a", "b"], "c", None),
        (Spot, "nothing", None),
    ],
)
async def test_a_value_is_typed_by_the_task_and_comes_back(opened: Any, output: Any, text: str, value: Any) -> None:
    said.append(text)
    task = Task("?", output=output)
    async with opened({}) as s:
        answer = await s.run(saying, task, run_id="mine")
        assert (answer.value, type(answer.value)) == (value, type(value))
        s._ended.clear()
        again = await s.resume("mine", task=task)
        assert (again.value, type(again.value), again.text) == (value, type(value), text)


@pytest.mark.parametrize("confidence", [math.nan, math.inf])
async def test_a_confidence_that_is_no_number_costs_no_answer(opened: Any, confidence: float) -> None:
    said.append("x")
    made.append({"confidence": confidence})
    async with opened({}) as s:
        assert (await s.run(saying, "?", run_id="mine")).text == "x"
        s._ended.clear()
        again = await s.resume("mine")
        assert (again.text, again.confidence) == ("x", None)


async def test_an_answer_may_hold_any_text(opened: Any) -> None:
    said.append("a\ud800b\x00c")
    made.append({"sources": ("docs/a\ud800.md:3",), "confidence": 1})
    async with opened({}) as s:
        answer = await s.run(saying, "?", run_id="mine")
        assert (answer.stop, answer.confidence) == ("answered", 1)
        s._ended.clear()
        again = await s.resume("mine")
        assert again.text == "a\ufffdb\x00c"
        assert again.sources == ("docs/a\ufffd.md:3",)
