import pytest

from stratagem.core import Answer, Task, Verdict
from stratagem.errors import UsageError
from stratagem.judges.checked import checked
from stratagem.testing import scripted


async def test_the_public_checker_of_the_task_decides_on_the_answers_text() -> None:
    task = Task("Sort 2 1", checker=lambda text: Verdict(text == "1 2", 0.5, f"saw {text}"))
    assert await checked(scripted({}), task, Answer("1 2")) == Verdict(True, 0.5, "saw 1 2")
    assert await checked(scripted({}), task, Answer("2 1")) == Verdict(False, 0.5, "saw 2 1")


async def test_it_asks_nobody_and_says_that_it_uses_the_checker() -> None:
    run = scripted({}, calls=0)
    await checked(run, Task("?", checker=lambda text: Verdict(True, 1.0)), Answer("x"))
    assert not run.ledger
    assert checked.max_calls == checked.min_calls == 0
    assert checked.needs == {"checker"}


async def test_a_task_without_a_checker_cannot_be_checked() -> None:
    with pytest.raises(UsageError, match="has no public checker"):
        await checked(scripted({}), Task("?"), Answer("x"))


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("return task.checker(answer.text)", 'return Verdict(True, 1.0, "")'),
    ("task.checker(answer.text)", "task.checker(task.question)"),
    ('needs="checker"', 'needs="nothing"'),
]
