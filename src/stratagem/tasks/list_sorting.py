"""List sorting: digits in ascending order, as in Graph of Thoughts."""

import random
import re
from collections import Counter
from itertools import pairwise
from typing import Any

from stratagem.core import Json
from stratagem.tasks._last import Found, stated
from stratagem.tasks._suite import Suite

SIZES = {1: 16, 2: 32, 3: 64}
_LIST = re.compile(r"\[\s*(\d(?:\s*,\s*\d)*)\s*\]")
_QUESTION = re.compile(r"Sort this list of digits in ascending order, keeping duplicates: (\[[\d, ]+\])")


class ListSorting(Suite):
    """Sixteen, thirty-two or sixty-four digits with duplicates.

    There is no public checker, though anybody could write one: it would be the solver. `errors` is the error count of
    Graph of Thoughts, for reports; a strategy never sees it, as it does in the authors' code.
    """

    name = "list_sorting"
    about = "sort 16, 32 or 64 digits"
    source = "arXiv:2308.09687"
    output = tuple[int, ...]
    floor = ("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", 0.0)

    def make(self, dice: random.Random, level: int) -> Json:
        """Return digits."""
        return [dice.randint(0, 9) for _ in range(SIZES[level])]

    def render(self, problem: Json) -> str:
        """Return the question."""
        return f"Sort this list of digits in ascending order, keeping duplicates: [{', '.join(map(str, problem))}]"

    def read(self, question: str) -> Json:
        """Return the digits."""
        found = _QUESTION.search(question)
        digits = self.extract(found[1]) if found else None
        if digits is None:
            raise ValueError(f"no list to sort: {question[:80]!r}")
        return list(digits)

    def solve(self, problem: Json) -> str:
        """Return the sorted list."""
        return f"[{', '.join(map(str, sorted(problem)))}]"

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for the sorted list."""
        return float(list(value) == sorted(problem))

    def wrong(self, problem: Json, number: int) -> str:
        """Return the sorted list with a digit too many, one too few, or two that have changed places."""
        digits = sorted(problem)
        at = number // 3 % (len(digits) - 1)
        if number % 3 == 0:
            del digits[at]
        elif number % 3 == 1:
            digits.insert(at, digits[at])
        else:
            at = next(
                n
                for n in range(at, at + len(digits))
                if digits[n % (len(digits) - 1)] != digits[n % (len(digits) - 1) + 1]
            )
            at %= len(digits) - 1
            digits[at], digits[at + 1] = digits[at + 1], digits[at]
        return f"[{', '.join(map(str, digits))}]"

    def extract(self, text: str) -> Any:
        """Return the list of digits in square brackets that is stated last."""
        return stated(text, _lists)

    def errors(self, problem: Json, value: tuple[int, ...]) -> int:
        """Return neighbours in the wrong order, plus how far the count of each digit is off."""
        disorder = sum(a > b for a, b in pairwise(value))
        digits: list[int] = problem
        wanted, given = Counter(digits), Counter(value)
        return disorder + sum(abs(wanted[digit] - given[digit]) for digit in range(10))

    def rationale(self, problem: Json) -> str:
        """Return how often each digit occurs."""
        digits: list[int] = problem
        counted = Counter(digits)
        return " ".join(f"{digit} occurs {counted[digit]} times." for digit in range(10) if counted[digit])


def _lists(text: str) -> list[Found]:
    return [Found(*one.span(), tuple(map(int, re.findall(r"\d", one[1])))) for one in _LIST.finditer(text)]
