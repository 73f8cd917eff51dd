"""Game of 24: make 24 from all the given numbers with + - * / and brackets."""

import random
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from itertools import combinations, combinations_with_replacement
from math import gcd
from typing import Any, NamedTuple, cast

from stratagem.core import Json, Verdict
from stratagem.tasks._last import Found, stated
from stratagem.tasks._suite import Suite

TARGET = 24
LARGEST = 13
Values = tuple[Fraction, ...]
Ratio = tuple[int, int]  # in lowest terms, the lower one positive: a fraction at a tenth of its cost
Ratios = tuple[Ratio, ...]

_QUESTION = re.compile(r"Use each of the numbers ((?:\d+ )*\d+) exactly once")
_LEFT = re.compile(r"\(left: ([^()]*)\)\s*$")
_NEAT = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")"})
_EXPRESSION = re.compile(r"[\d(][\d \t+*/()-]*[\d)]")
_BRACKETS = re.compile(r"\\[][()]|\$")  # of a formula in LaTeX
_LATEX = {
    "\\times": "*",
    "\\cdot": "*",
    "\\div": "/",
    "\\left": "",
    "\\right": "",
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
}
_FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_LETTER = re.compile(r"([\d)])[ \t]*[xX][ \t]*(?=[\d(])")


class Tree(NamedTuple):
    """An expression: its value, its text with the brackets that it needs, its operator, and its numbers.

    Attributes:
        form: the same for expressions that differ in the order of summands or factors only.
    """

    value: Fraction
    text: str
    operator: str
    numbers: tuple[int, ...]
    form: Hashable


class Game24(Suite):
    """Numbers from 1 to 13; level 1 and 2 have four of them, with many and with few ways to begin, level 3 has five."""

    name = "game24"
    about = "make 24 from four or five numbers with + - * / and brackets"
    source = "arXiv:2305.10601"
    output = str
    stepwise = True
    sizes = {1: 889, 2: 473, 3: 6104}  # noqa: RUF012  (a test counts them)
    several = True
    floor = ("6 * 4", 0.0)

    def make(self, dice: random.Random, level: int) -> Json:
        """Return numbers from which 24 can be made."""
        while True:
            numbers = sorted(dice.randint(1, LARGEST) for _ in range(5 if level == 3 else 4))
            if self._fits(numbers, level):
                return list(numbers)

    def every(self, level: int) -> Iterator[Json]:
        """Return all numbers of a level, each once."""
        for numbers in combinations_with_replacement(range(1, LARGEST + 1), 5 if level == 3 else 4):
            if self._fits(list(numbers), level):
                yield list(numbers)

    def _fits(self, numbers: list[int], level: int) -> bool:
        """Return whether 24 can be made, and of four numbers whether there are as many ways to begin as the level says."""
        if not reachable(tuple(map(Fraction, numbers))):
            return False
        return level == 3 or (len(self.steps(numbers, ())[0]) >= 4) == (level == 1)

    def render(self, problem: Json) -> str:
        """Return the question."""
        numbers = " ".join(map(str, problem))
        return (
            f"Use each of the numbers {numbers} exactly once, with + - * / and brackets, to make {TARGET}. "
            "Give one expression."
        )

    def read(self, question: str) -> Json:
        """Return the numbers."""
        found = _QUESTION.search(question)
        if found is None:
            raise ValueError(f"no Game of 24: {question[:80]!r}")
        return list(map(int, found[1].split()))

    def solve(self, problem: Json) -> str:
        """Return an expression that makes 24."""
        numbers: list[int] = problem
        found = solution(tuple(_leaf(number) for number in numbers))
        assert found is not None, f"{numbers} has no solution"
        return found.text

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 if the expression uses the numbers and makes 24."""
        tree = parsed(value)
        return float(tree is not None and sorted(tree.numbers) == sorted(problem) and tree.value == TARGET)

    def wrong(self, problem: Json, number: int) -> str:
        """Return an expression of the same numbers that makes something else."""
        numbers: list[int] = problem
        for turn in range(number, number + 64):
            signs = ["+" if turn >> n & 1 else "*" for n in range(len(numbers) - 1)]
            if turn % 3 == 1:
                signs[-1] = "-"
            text = str(numbers[0]) + "".join(f" {sign} {one}" for sign, one in zip(signs, numbers[1:], strict=True))
            tree = parsed(text)
            assert tree is not None
            if tree.value != TARGET:
                return text
        raise AssertionError(f"every expression of {numbers} makes {TARGET}")

    def extract(self, text: str) -> Any:
        """Return the expression with an operator that a text states last, without what it says it makes."""
        alone = parsed(text)
        return alone.text if alone is not None and alone.operator else stated(_neat(text), _expressions)

    def canonical(self, value: Any) -> Hashable:
        """Return a form that does not depend on the order of summands or factors."""
        tree = parsed(value) if isinstance(value, str) else None
        return value if tree is None else tree.form

    def checker(self, problem: Json) -> Callable[[str], Verdict]:
        """Return the rules of the game: the numbers, and what they make."""
        return lambda text: self._checked(problem, text)

    def _checked(self, problem: Json, text: str) -> Verdict:
        tree = parsed(self.extract(text) or "")
        if tree is None:
            return Verdict(False, 0.0, "There is no expression in the answer.")
        if sorted(tree.numbers) != sorted(problem):
            return Verdict(False, 0.0, f"It uses {sorted(tree.numbers)}, not {sorted(problem)}.")
        if tree.value != TARGET:
            return Verdict(False, 0.0, f"It makes {tree.value}, not {TARGET}.")
        return Verdict(True, 1.0, "")

    def rationale(self, problem: Json) -> str:
        """Return the steps of the solution, one after the other."""
        path: tuple[str, ...] = ()
        while (left := self.left(problem, path)) is not None and len(left) > 1:
            path += (self.steps(problem, path)[0][0],)
        return "\n".join(path)

    def left(self, problem: Json, path: Sequence[str]) -> Values | None:
        """Return the numbers that are left after some steps; None if a step is none."""
        state = _after(tuple(problem), tuple(path))
        return None if state is None else tuple(Fraction(*ratio) for ratio in state.ratios)

    def steps(self, problem: Json, path: tuple[str, ...]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the next operations: those after which 24 can still be made, and the others."""
        state = _after(tuple(problem), tuple(path))
        return ((), ()) if state is None else state.steps

    def alive(self, problem: Json, path: tuple[str, ...]) -> bool:
        """Return whether 24 can still be made."""
        state = _after(tuple(problem), tuple(path))
        return state is not None and state.alive


def _neat(text: str) -> str:
    """Return a text with the signs that `parsed` reads, as far as other signs and LaTeX mean the same."""
    if "\\" in text or "$" in text:
        text = _BRACKETS.sub(" ", text)
        for name, sign in _LATEX.items():
            text = text.replace(name, sign)
        while (shorter := _FRACTION.sub(r"((\1)/(\2))", text)) != text:
            text = shorter
    if "[" in text or "]" in text or not text.isascii():
        text = text.translate(_NEAT)
    if "x" in text or "X" in text:
        text = _LETTER.sub(r"\1*", text)
    return text.replace("**", "`")


def _expressions(text: str) -> list[Found]:
    found: list[Found] = []
    for one in _EXPRESSION.finditer(text):
        start, part = one.start(), one[0].rstrip()
        if text[start - 1 : start] == "-":  # of a negative number
            continue
        while part.count(")") > part.count("(") and part.endswith(")"):
            part = part[:-1].rstrip()
        while part.count("(") > part.count(")") and part.startswith("("):
            start, part = start + 1, part[1:]
        tree = parsed(part)
        if tree is not None and tree.operator:
            found.append(Found(start, start + len(part), tree.text))
    return found


def reachable(values: Values) -> bool:
    """Return whether the target can be made from all of the values."""
    return _state(_ordered([(value.numerator, value.denominator) for value in values])).alive


def _makes(values: Ratios) -> bool:
    """Return whether the target can be made from all of them; of pairs, this is 30 times as fast as of fractions."""
    if len(values) == 1:
        return values[0][0] == TARGET * values[0][1]
    if len(values) == 2:
        (a, b), (c, d) = values
        ad, cb, goal = a * d, c * b, TARGET * b * d
        if ad + cb == goal or a * c == goal or abs(ad - cb) == goal:
            return True
        return (c != 0 and ad == TARGET * cb) or (a != 0 and cb == TARGET * ad)
    for i, j in _PAIRS[len(values)]:
        (a, b), (c, d) = values[i], values[j]
        rest = values[:i] + values[i + 1 : j] + values[j + 1 :]
        ad, cb, bd = a * d, c * b, b * d
        if _makes((*rest, (ad + cb, bd))) or _makes((*rest, (ad - cb, bd))) or _makes((*rest, (cb - ad, bd))):
            return True
        if _makes((*rest, (a * c, bd))) or (c and _makes((*rest, (ad, cb)))) or (a and _makes((*rest, (cb, ad)))):
            return True
    return False


_PAIRS = {n: tuple(combinations(range(n), 2)) for n in range(2, 8)}


class _State:
    """Numbers that are left, smallest first, and what follows from them; one object for the same numbers."""

    def __init__(self, ratios: Ratios) -> None:
        self.ratios = ratios
        self.text = " ".join(map(_written, ratios))

    @cached_property
    def alive(self) -> bool:
        """Whether the target can be made from all of them."""
        return _makes(self.ratios)

    @cached_property
    def moves(self) -> dict[str, "_State"]:
        """Every operation on two of them, as text, with what is left after it; alike ones once."""
        found: dict[str, _State] = {}
        for i, j in combinations(range(len(self.ratios)), 2):
            one, two = self.ratios[i], self.ratios[j]
            a, b = _written(one), _written(two)
            rest = self.ratios[:i] + self.ratios[i + 1 : j] + self.ratios[j + 1 :]
            for text, made in (
                (f"{a} + {b}", _plus(one, two)), (f"{a} * {b}", _times(one, two)),
                (f"{a} - {b}", _plus(one, (-two[0], two[1]))), (f"{b} - {a}", _plus(two, (-one[0], one[1]))),
                (f"{a} / {b}", _over(one, two)), (f"{b} / {a}", _over(two, one)),
            ):  # fmt: skip
                if made and (said := f"{text} = {_written(made)}") not in found:
                    found[said] = _state(_ordered([*rest, made]))
        return found

    @cached_property
    def reached(self) -> dict[str, "_State"]:
        """What one operation may leave, by how it is written in order."""
        return {after.text: after for after in self.moves.values()}

    @cached_property
    def steps(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The operations after which the target can still be made, and the others."""
        said = [(f"{text} (left: {after.text})", after.alive) for text, after in self.moves.items()]
        return tuple([text for text, alive in said if alive]), tuple([text for text, alive in said if not alive])


_state = lru_cache(100_000)(_State)


@lru_cache(50_000)
def _after(numbers: tuple[int, ...], path: tuple[str, ...]) -> _State | None:
    """Return what is left of numbers after some steps; None if one is no step."""
    if not path:
        return _state(_ordered([(number, 1) for number in numbers]))
    if len(path) >= len(numbers):
        return None
    before, found = _after(numbers, path[:-1]), _LEFT.search(path[-1])
    if before is None or found is None:
        return None
    known = before.reached.get(found[1])
    if known is not None:
        return known
    try:
        left = [(value.numerator, value.denominator) for value in map(Fraction, found[1].split())]
    except (ValueError, ZeroDivisionError):
        return None
    return before.reached.get(" ".join(map(_written, _ordered(left))))


def _ordered(ratios: list[Ratio]) -> Ratios:
    whole = all(below == 1 for _, below in ratios)
    return tuple(sorted(ratios)) if whole else tuple(sorted(ratios, key=lambda ratio: Fraction(*ratio)))


def _plus(one: Ratio, two: Ratio) -> Ratio:
    return _reduced(one[0] * two[1] + two[0] * one[1], one[1] * two[1])


def _times(one: Ratio, two: Ratio) -> Ratio:
    return _reduced(one[0] * two[0], one[1] * two[1])


def _over(one: Ratio, two: Ratio) -> Ratio | None:
    """Return the quotient; None divides by zero."""
    return _reduced(one[0] * two[1], one[1] * two[0]) if two[0] else None


def _reduced(above: int, below: int) -> Ratio:
    common = gcd(above, below) if below > 0 else -gcd(above, below)
    return above // common, below // common


def _written(ratio: Ratio) -> str:
    return str(ratio[0]) if ratio[1] == 1 else f"{ratio[0]}/{ratio[1]}"


def _leaf(number: int) -> Tree:
    return Tree(Fraction(number), str(number), "", (number,), number)


def _joined(a: Tree, sign: str, b: Tree) -> Tree | None:
    """Return the expression of two; None divides by zero."""
    if sign == "/" and b.value == 0:
        return None
    value = {"+": a.value + b.value, "-": a.value - b.value, "*": a.value * b.value}.get(sign)
    value = a.value / b.value if value is None else value
    weak = a.operator in ("+", "-") and sign in ("*", "/")
    left = f"({a.text})" if weak else a.text
    tight = (b.operator in ("+", "-") and sign != "+") or (b.operator in ("*", "/") and sign == "/")
    right = f"({b.text})" if tight else b.text
    return Tree(value, f"{left} {sign} {right}", sign, a.numbers + b.numbers, _form(a, sign, b))


def _form(a: Tree, sign: str, b: Tree) -> Hashable:
    """Return sums and products as sorted lists of what is added or multiplied, and what is taken away or divided by."""
    kind = "+" if sign in "+-" else "*"
    plus, minus = _parts(a, kind)
    more, less = _parts(b, kind)
    if sign in "-/":
        more, less = less, more
    return (kind, tuple(sorted(plus + more, key=repr)), tuple(sorted(minus + less, key=repr)))


def _parts(tree: Tree, kind: str) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...]]:
    if tree.operator and tree.operator in ("+-" if kind == "+" else "*/"):
        _, plus, minus = cast("tuple[str, tuple[Hashable, ...], tuple[Hashable, ...]]", tree.form)
        return plus, minus
    return (tree.form,), ()


def solution(trees: tuple[Tree, ...]) -> Tree | None:
    """Return an expression of all that makes the target."""
    if len(trees) == 1:
        return trees[0] if trees[0].value == TARGET else None
    for i, j in combinations(range(len(trees)), 2):
        rest = trees[:i] + trees[i + 1 : j] + trees[j + 1 :]
        for a, sign, b in _pairs(trees[i], trees[j]):
            made = _joined(a, sign, b)
            if made is not None and reachable(tuple(sorted((*(one.value for one in rest), made.value)))):
                return solution((*rest, made))
    return None


def _pairs(a: Tree, b: Tree) -> tuple[tuple[Tree, str, Tree], ...]:
    return (a, "+", b), (a, "*", b), (a, "-", b), (b, "-", a), (a, "/", b), (b, "/", a)


@cache
def solutions(numbers: tuple[int, ...]) -> int:
    """Return the number of different expressions that make the target, apart from the order of summands and factors."""
    return len(
        {tree.form for tree in _every(tuple(_leaf(number) for number in sorted(numbers))) if tree.value == TARGET}
    )


def _every(trees: tuple[Tree, ...]) -> list[Tree]:
    """Return every expression of all the trees, alike ones once."""
    if len(trees) == 1:
        return list(trees)
    found: dict[Hashable, Tree] = {}
    for i, j in combinations(range(len(trees)), 2):
        rest = trees[:i] + trees[i + 1 : j] + trees[j + 1 :]
        for a, sign, b in _pairs(trees[i], trees[j]):
            made = _joined(a, sign, b)
            for tree in _every((*rest, made)) if made is not None else ():
                found.setdefault(tree.form, tree)
    return list(found.values())


@lru_cache(4096)
def parsed(text: str) -> Tree | None:
    """Return the expression of a text: whole numbers, + - * / and brackets, and nothing else; None if it is none."""
    tokens = re.findall(r"\d+|[-+*/()]|\S", text) if len(text) <= 200 else []
    tree, at = _sum(tokens, 0, 0)
    return tree if tree is not None and at == len(tokens) else None


def _sum(tokens: list[str], at: int, depth: int) -> tuple[Tree | None, int]:
    tree, at = _product(tokens, at, depth)
    while tree is not None and at < len(tokens) and tokens[at] in "+-":
        sign = tokens[at]
        other, at = _product(tokens, at + 1, depth)
        tree = _joined(tree, sign, other) if other is not None else None
    return tree, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[Tree | None, int]:
    tree, at = _atom(tokens, at, depth)
    while tree is not None and at < len(tokens) and tokens[at] in "*/":
        sign = tokens[at]
        other, at = _atom(tokens, at + 1, depth)
        tree = _joined(tree, sign, other) if other is not None else None
    return tree, at


def _atom(tokens: list[str], at: int, depth: int) -> tuple[Tree | None, int]:
    if at >= len(tokens) or depth > 50:
        return None, at
    if tokens[at].isdecimal() and tokens[at].isascii() and len(tokens[at]) <= 6:
        return _leaf(int(tokens[at])), at + 1
    if tokens[at] != "(":
        return None, at
    tree, at = _sum(tokens, at + 1, depth + 1)
    return (tree, at + 1) if at < len(tokens) and tokens[at] == ")" else (None, at)
