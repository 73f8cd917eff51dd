"""The checks that every suite must pass: what they say, on how many items, and how often chance may mislead them."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Example, Verdict
from stratagem.session._loading import named_in_file
from stratagem.tasks import Item, Suite, SuiteOracle, _checks, suite
from stratagem.testing import suite_checks
from tests.lab.test_own_suites import PRODUCTS


@pytest.fixture
def products(tmp_path: Path) -> Any:
    """Return the class of an honest suite."""
    path = tmp_path / "products.py"
    path.write_text(PRODUCTS)
    return named_in_file(f"{path}:Products")


def said_by(kind: Any, check: Callable[..., None], items: int = 8) -> str:
    with pytest.raises(AssertionError) as caught:
        check(kind(), items, (1,))
    return str(caught.value)


def test_the_public_names_are_all_checks() -> None:
    names = {check.__name__ for check in suite_checks.CHECKS}
    assert names < set(suite_checks.__all__)
    assert names == {name for name in suite_checks.__all__ if name not in ("CHECKS", "ITEMS", "JUNK", "check_suite")}
    assert [getattr(suite_checks, name) for name in sorted(names)] == sorted(
        suite_checks.CHECKS, key=lambda one: one.__name__
    )


def test_a_suite_is_checked_on_as_many_items_and_levels_as_are_wanted(products: Any) -> None:
    asked: set[tuple[int, int]] = set()

    class Counted(products):
        def items(self, n: int, *, seed: int | str = 0, level: int = 1, start: int = 0) -> Iterator[Item]:
            if seed == "checks":
                asked.add((n, level))
            return super().items(n, seed=seed, level=level, start=start)

    suite_checks.check_suite(Counted(), 6, (2,))
    assert {level for _, level in asked} == {2}
    assert max(n for n, _ in asked) == 6
    asked.clear()
    suite_checks.check_suite(Counted())
    assert {level for _, level in asked} == {1, 2}
    assert max(n for n, _ in asked) == suite_checks.ITEMS == 40


def test_what_is_no_json_or_no_text_is_named(products: Any) -> None:
    class Sets(products):
        def make(self, dice: Any, level: int) -> Any:
            return {1}

    class Bytes(products):
        def render(self, problem: Any) -> Any:
            return super().render(problem).encode()

    assert said_by(Sets, suite_checks.the_question_says_all).startswith("`make` gives {1}, which is no JSON data: ")
    assert said_by(Bytes, suite_checks.the_question_says_all).startswith("`render` gives b'What is ")


def listed(products: Any, change: Callable[[list[Item], int], list[Item]]) -> Any:
    """Return a suite with other items."""

    class Listed(products):
        def items(self, n: int, *, seed: int | str = 0, level: int = 1, start: int = 0) -> Iterator[Item]:
            return iter(change(list(super().items(n, seed=seed, level=level, start=start)), start))

    return Listed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda items, _: [*items[:-2], items[-1], items[-1]], "the question 'What is "),
        (lambda items, _: [one._replace(id="same") for one in items], "the id 'same' is there 8 times among 8 items"),
        (lambda items, _: [one._replace(level=3) for one in items], "an item of level 1 says that it is of level 3"),
        (lambda items, start: items[::-1] if start else items, "the items from number 3 are others if the items begin there"),
    ],
)  # fmt: skip
def test_items_that_are_not_what_they_should_be_are_named(products: Any, change: Any, said: str) -> None:
    assert said in said_by(listed(products, change), suite_checks.equal_seeds_give_equal_items)


def test_a_wrong_answer_depends_on_its_number_alone(products: Any) -> None:
    class Drifting(products):
        said = 0

        def wrong(self, problem: Any, number: int) -> str:
            self.said += 1
            return str(problem[0] * problem[1] + self.said)

    said = said_by(Drifting, suite_checks.wrong_answers_are_wrong)
    assert said == "products-1-000000: `wrong` gives two answers for number 0"


def test_examples_are_different_and_of_the_training_split(products: Any) -> None:
    class Twice(products):
        def examples(self, n: int = 8, *, level: int = 1) -> tuple[Example, ...]:
            return (Example("What is 2 times 3?", "6", None),) * n

    class Elsewhere(products):
        def items(self, n: int, *, seed: int | str = 0, level: int = 1, start: int = 0) -> Iterator[Item]:
            if seed == "training" and n == 8:
                self.calls = getattr(self, "calls", 0) + 1
                seed = f"{seed}{start}{n}{self.calls}"
            return super().items(n, seed=seed, level=level, start=start)

    assert said_by(Twice, suite_checks.the_task_has_no_key) == "8 solved examples have 1 different questions"
    said = said_by(Elsewhere, suite_checks.the_task_has_no_key)
    assert said == "the solved examples are not those of the training split"


def test_a_checker_returns_a_verdict_and_passes_what_is_right(products: Any) -> None:
    class Truth(products):
        def checker(self, problem: Any) -> Any:
            return lambda text: True

    class No(products):
        def checker(self, problem: Any) -> Any:
            return lambda text: Verdict(False, 0.0)

    check = suite_checks.a_public_checker_agrees_with_the_scorer
    assert said_by(Truth, check) == "the checker returns True, which is no `Verdict`"
    assert "products-1-000000: the checker does not pass '" in said_by(No, check)


def test_an_oracle_accepts_what_it_says_is_right(products: Any) -> None:
    class Refusing(SuiteOracle):
        def accepts(self, asked: Any, value: Any) -> bool:
            return False

    class Refused(products):
        def oracle(self) -> Any:
            return Refusing(self)

    said = said_by(Refused, suite_checks.the_oracle_tells_right_from_wrong)
    assert "products-1-000000: the oracle does not accept its own right answer, '" in said


def test_an_item_may_have_several_right_answers_if_its_suite_says_so(products: Any) -> None:
    class Divisor(products):
        several = True

        def render(self, problem: Any) -> str:
            return f"What is {problem[0]} times {problem[1]}? Reply with a divisor of it."

        def read(self, question: str) -> Any:
            return super().read(question.removesuffix(" Reply with a divisor of it."))

        def right(self, problem: Any, value: Any) -> float:
            return float(value > 9 and problem[0] * problem[1] % value == 0)

        def solve(self, problem: Any) -> str:
            return str(problem[0])

    class Silent(Divisor):
        several = False

    suite_checks.answers_of_others_score_at_their_true_rate(Divisor(), 40, (1,))
    suite_checks.a_number_beside_the_key_is_wrong(Divisor(), 40, (1,))
    said = said_by(Silent, suite_checks.answers_of_others_score_at_their_true_rate, 10)
    assert said.endswith(
        "If an item may have several right answers that `canonical` tells apart, say so: `several = True`"
    )


def test_where_many_answers_are_right_naming_many_may_be_right_now_and_then(products: Any) -> None:
    class Word(products):
        several = True
        output = str

        def right(self, problem: Any, value: Any) -> float:
            wanted = str(problem[0] * problem[1])
            return float(value == wanted or (wanted in value and problem[0] % self.pays == 0))

    check = suite_checks.who_names_many_answers_has_named_none

    class Seldom(Word):
        pays = 50

    class Always(Word):
        pays = 1

    check(Seldom(), 8, (1,))
    assert "between those of two other items" in said_by(Always, check)
    Seldom.several, Seldom.pays = False, 2
    assert "Whoever names all answers is always right" in said_by(Seldom, check)


@pytest.mark.parametrize(
    "careless",
    [
        lambda value, key: not value, lambda value, key: value in (-1, key), lambda value, key: abs(value) == abs(key),
        lambda value, key: key != 0 and value % key == 0, lambda value, key: value == 1,
    ],
)  # fmt: skip
def test_a_scorer_that_pays_for_a_number_that_is_in_no_key_is_found(products: Any, careless: Any) -> None:
    class Careless(products):
        def right(self, problem: Any, value: Any) -> float:
            return float(super().right(problem, value) or careless(value, problem[0] * problem[1]))

    assert " is right, and the key is '" in said_by(Careless, suite_checks.a_number_beside_the_key_is_wrong)


@pytest.mark.parametrize(("key", "said"), [("50.0", "55.0"), ("0.5", "0.55"), ("0.0", "1.0")])
def test_a_number_that_may_be_inexact_is_wrong_a_tenth_off(products: Any, key: str, said: str) -> None:
    class Lenient(products):
        output = float

        def solve(self, problem: Any) -> str:
            return key

        def right(self, problem: Any, value: Any) -> float:
            return float(abs(value - float(key)) <= max(abs(float(key)) * 0.11, self.least))

        least = 1.0

    class Exact(Lenient):
        def right(self, problem: Any, value: Any) -> float:
            return float(abs(value - float(key)) <= abs(float(key)) * 0.01)

    suite_checks.a_number_beside_the_key_is_wrong(Exact(), 3, (1,))
    assert said_by(Lenient, suite_checks.a_number_beside_the_key_is_wrong).startswith(
        f"products-1-000000: {said} is right, and the key is '{key}': is the scorer right?"
    )


def test_a_score_and_its_parts_are_from_0_to_1(products: Any) -> None:
    class Parted(products):
        def parts(self, problem: Any, value: Any) -> Any:
            return {"tens": 7.0}

    class Below(products):
        def right(self, problem: Any, value: Any) -> float:
            return 2 * super().right(problem, value) - 1

    said = said_by(Parted, suite_checks.every_item_can_be_solved)
    assert said == "products-1-000000: the part 'tens' of its key is 7, not from 0 to 1"
    said = said_by(Below, suite_checks.the_constant_answer_is_published)
    assert said.endswith(" scores -1: a score is from 0 to 1")


STEPS: list[tuple[Callable[[tuple[str, ...]], Any], Callable[[tuple[str, ...]], bool], str]] = [
    (lambda _: ((), ()), lambda _: False, "`alive` says that it cannot be solved before the first step"),
    (lambda _: ((), ()), lambda _: True, "`alive` says that ('no step at all',) can be completed"),
    (lambda path: ((), ()) if path else (("go",), ("stay",)), lambda path: "no step at all" not in path, "after () the wrong step 'stay' leads on"),
    (lambda path: ((), ()) if path else (("go",), ()), lambda path: not path, "the right step 'go' ends the path ()"),
    (lambda _: (("go",), ()), lambda path: set(path) <= {"go"}, "1000 right steps and no end"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "alive", "said"), STEPS)
def test_steps_that_do_not_lead_where_they_say_are_named(products: Any, steps: Any, alive: Any, said: str) -> None:
    class Stepping(products):
        stepwise = True

        def steps(self, problem: Any, path: tuple[str, ...]) -> Any:
            return steps(path)

        def alive(self, problem: Any, path: tuple[str, ...]) -> bool:
            return alive(path)

    assert said_by(Stepping, suite_checks.steps_lead_where_they_say) == f"products-1-000000: {said}"


def test_steps_lead_to_a_solution_that_is_right(products: Any) -> None:
    class Stepping(products):
        stepwise = True
        solved = False

        def steps(self, problem: Any, path: tuple[str, ...]) -> Any:
            self.solved = bool(path)
            return ((), ()) if path else (("go",), ())

        def alive(self, problem: Any, path: tuple[str, ...]) -> bool:
            return set(path) <= {"go"}

        def solve(self, problem: Any) -> str:
            return "0" if self.solved else super().solve(problem)

    said = said_by(Stepping, suite_checks.steps_lead_where_they_say)
    assert said == "products-1-000000: what `solve` gives scores 0, not 1"


@pytest.mark.parametrize(("share", "n"), [(0.0, 8), (0.0, 40), (0.0, 200), (0.02, 100), (0.26, 100), (0.5, 60), (0.75, 200)])  # fmt: skip
def test_chance_alone_is_taken_for_a_false_share_once_in_a_thousand_times_at_most(share: float, n: int) -> None:
    low, high = _checks._by_chance(share, n)
    most, least = (
        Fraction(share) + Fraction(_checks.LEEWAY),
        max(Fraction(0), Fraction(share) - Fraction(_checks.LEEWAY)),
    )

    def reached(q: Fraction, numbers: range) -> Fraction:
        return sum((math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in numbers), Fraction(0))

    above, below = range(int(high) + 1, n + 1), range(int(low))
    assert reached(most, above) / most + reached(least, below) <= Fraction(1, 1000)
    wider = reached(most, range(int(high), n + 1)) / most
    assert wider > Fraction(1, 2000)  # one answer less would be too often
    assert low == 0 or reached(least, range(int(low) + 1)) > Fraction(1, 2000)


def test_a_share_that_is_measured_on_200_items_may_be_off_by_a_twentieth() -> None:
    claiming = suite("shuffled_objects")
    claiming.floor = ("red", 0.33)
    with pytest.raises(
        AssertionError, match=r"the answer of `floor`, 'red', gets 0\.\d+ of 200 items right, not 0\.33"
    ):
        suite_checks.the_constant_answer_is_published(claiming)
    claiming.floor = ("red", 0.15)
    with pytest.raises(AssertionError, match=r"gets 0\.\d+ of 200 items right, and `floor` says 0\.15"):
        suite_checks.the_constant_answer_is_published(claiming)


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        (str, "Let me think.\nThe answer is rome", "rome"),
        (str, "rome", "rome"),
        (str, "A wrong answer is rome", "A wrong answer is rome"),
        (list[int], "So the answer is [1, 2]", [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "none", None),
    ],
)
def test_the_usual_extractor_finds_what_is_announced(products: Any, output: Any, text: str, value: Any) -> None:
    made: Suite = products()
    made.output = output
    assert made.extract(text) == value
