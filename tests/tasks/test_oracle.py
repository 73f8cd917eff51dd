"""The oracle of a suite knows where a path ends, and a question that was given as a part."""

from typing import Any

import pytest

from stratagem.core import Inquiry
from stratagem.tasks import names, suite


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
