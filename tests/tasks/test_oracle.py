"""The oracle of a suite knows where a path ends, and a question that was given as a part."""

import json
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Inquiry
from stratagem.tasks import names, suite
from stratagem.tasks._own import opened


def dice(n: int) -> int:
    return n - 1


def thoughts(question: str, path: tuple[str, ...]) -> Inquiry:
    return Inquiry("thoughts", "t", tuple[str, ...], {"question": question, "path": path})


@pytest.mark.parametrize("name", [name for name in names() if suite(name).stepwise])
@pytest.mark.parametrize("level", [1, 2])
def test_after_a_finished_path_there_is_nothing_but_the_solution_in_one_line(name: str, level: int) -> None:
    of = suite(name)
    oracle = of.oracle()
    for item in of.items(5, seed="ends", level=level):
        said = " ".join(of.solve(of.read(item.question)).split())
        path: tuple[str, ...] = ()
        while (right := oracle.right(thoughts(item.question, path))) != (said,):
            path = (*path, right[-1])
            assert len(path) < 30
        assert len(path) > 1
        for again in range(3):
            asked = thoughts(item.question, path + (said,) * again)
            assert oracle.right(asked) == (said,)
            assert oracle.wrong(asked, dice) == said
            assert oracle.accepts(asked, asked.path)
        for spoiled in ((*path, "no step"), (*path, said, "no step"), (*path, "no step", said), (*path[:-1], said)):
            assert not oracle.accepts(thoughts(item.question, spoiled), spoiled)
            assert not oracle.right(thoughts(item.question, spoiled))


def test_a_dead_path_stays_dead_whatever_is_stated() -> None:
    of = suite("game24")
    oracle, question = of.oracle(), of.render([4, 9, 10, 13])
    said = of.solve([4, 9, 10, 13])
    path: tuple[str, ...] = ()
    while (step := oracle.wrong(thoughts(question, path), dice)) is not None:
        path = (*path, step)
    assert len(path) == 3
    assert not oracle.accepts(thoughts(question, (*path, said)), (*path, said))
    assert not oracle.right(thoughts(question, (*path, said)))


def test_a_solution_that_is_stated_before_the_end_is_no_step() -> None:
    of = suite("blocksworld")
    question = of.render({"start": [["a"], ["b"]], "goal": [["a", "b"]]})
    problem: Any = of.read(question)
    first, second = of.solve(problem).splitlines()
    assert (first, second) == ("(pick-up a)", "(stack a b)")
    oracle = of.oracle()
    assert oracle.right(thoughts(question, (first,))) == [second]
    assert oracle.right(thoughts(question, (first, second))) == (f"{first} {second}",)
    assert not oracle.accepts(thoughts(question, (f"{first} {second}",)), (f"{first} {second}",))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_part_is_one_line_that_any_oracle_of_the_suite_reads_as_the_question(name: str, level: int) -> None:
    of = suite(name)
    for item in of.items(5, seed="parts", level=level):
        (part,) = of.oracle().right(Inquiry("parts", "t", tuple[str, ...], {"question": item.question}))
        assert part.splitlines() == [part.strip()]
        assert (part == item.question) == ("\n" not in item.question)
        oracle, asked = of.oracle(), Inquiry("answer", "t", str, {"question": part})
        assert oracle.right(asked) == item.key
        assert oracle.accepts(asked, item.key)
        wrong = oracle.wrong(asked, lambda _: 2)
        assert wrong == of.wrong(of.read(item.question), 2)
        assert not oracle.accepts(asked, wrong)
        assert oracle.right(Inquiry("parts", "t", tuple[str, ...], {"question": part})) == (part,)


@pytest.mark.parametrize("question", ['"What is it?"', '"half', '"3"', '"a" or "b"', '"two\\nlines', "12"])
def test_a_question_of_one_line_is_no_part_that_was_given(question: str, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps({"question": one, "answer": one}) + "\n" for one in (question, "What else?")))
    oracle = opened(str(file)).oracle()
    assert oracle.right(Inquiry("answer", "t", str, {"question": question})) == question
    assert oracle.right(Inquiry("parts", "t", tuple[str, ...], {"question": question})) == (question,)
