"""calculate: exact, bounded, and never two ways to read the same."""

import math
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tools.builtin.arithmetic import MAX_BITS, NotArithmetic, computed


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("17 * 23", "391"),
        ("(3+4)/2", "3.5"),
        ("2 + 3 * 4", "14"),
        ("2 - 3 - 4", "-5"),
        ("100 / 10 / 5", "2"),
        ("-2 ** 2", "-4"),
        ("2 ** 3 ** 2", "512"),
        ("2 ** -2", "0.25"),
        ("--5 + +3", "8"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("17 % 5", "2"),
        ("-7 % 3", "2"),
        ("7 % (-3)", "-2"),
        ("7.5 % 2", "1.5"),
        ("0.1 + 0.2", "0.3"),
        ("1.10", "1.1"),
        ("10 / 4", "2.5"),
        ("1/3", "1/3"),
        ("-2/6", "-1/3"),
        ("1/3 + 1/6", "0.5"),
        ("15% of 80", "12"),
        ("15 % of 80", "12"),
        ("15%", "0.15"),
        ("50% * 3", "1.5"),
        ("50% + 25%", "0.75"),
        ("1/3 of 60", "20"),
        ("15% of 80 + 20", "32"),
        ("80 * (1 + 15%)", "92"),
        ("100 - (15 / 100)", "99.85"),
        ("1,234 + 1", "1235"),
        ("1,234,567.5 * 2", "2469135"),
        ("3 \u00d7 4 \u2212 1", "11"),
        ("12 \u00f7 5", "2.4"),
        ("3 x 4", "12"),
        ("10x5", "50"),
        ("2 ^ 10", "1024"),
        ("17 * 23 =", "391"),
        ("17 * 23 = ?", "391"),
        ("1e3 + 1.5E-1", "1000.15"),
        ("sqrt(16)", "4"),
        ("sqrt(2.25)", "1.5"),
        ("\u221a9 + 1", "4"),
        ("4 ** 0.5", "2"),
        ("0.25 ** 1.5", "0.125"),
        ("abs(-3) + ABS(3)", "6"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(2.345, 2)", "2.35"),
        ("round(1234, -2)", "1200"),
        ("min(3, 1, 2) + max(1,200)", "201"),
        ("sum(1, 2, 3.5)", "6.5"),
        ("mean(1, 2)", "1.5"),
        ("mean(1, 1, 2)", "4/3"),
        ("0 ** 0", "1"),
        ("(-1) ** 99999999999", "-1"),
        ("(-1) ** 99999999998", "1"),
        ("0 ** 5", "0"),
        ("round(0.4)", "0"),
        ("(1/3) ** 2 * 9", "1"),
    ],
)
def test_expressions_have_their_exact_value(expression: str, text: str) -> None:
    result = computed(expression)
    assert (result.text, result.exact) == (text, True)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("sqrt(2)", "1.41421356237"),
        ("2 ** 0.5", "1.41421356237"),
        ("2 ** (1/3)", "1.25992104989"),
        ("1.05 ** 10.5", "1.66912030435"),
        ("sqrt(2) * sqrt(2)", "2"),
        ("2 * sqrt(2) - 1", "1.82842712475"),
        ("sqrt(2) ** 100", "1125899906840000"),
        ("(0 - sqrt(2)) ** 3", "-2.82842712475"),
        ("sum(sqrt(2), 1)", "2.41421356237"),
        ("2 ** -0.5", "0.707106781187"),
        ("1 / 7 ** 100", "3.09169040809E-85"),
    ],
)
def test_what_cannot_be_exact_says_that_it_is_rounded(expression: str, text: str) -> None:
    result = computed(expression)
    assert not result.exact
    assert result.text == text


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "there is nothing to compute"),
        ("= ?", "there is nothing to compute"),
        ("1 +", "the expression ends too early"),
        ("1 1", "'1' is not expected there"),
        ("(1", "')' is missing at the end"),
        ("1)", "')' is not expected there"),
        ("2(3)", "'(' is not expected there"),
        ("* 3", "a number is missing before '*'"),
        ("1 / 0", "division by zero"),
        ("1 // 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("sqrt(-1)", "no real number"),
        ("(-8) ** (1/3)", "no real number"),
        ("80 + 15%", "can be read in two ways: write `a * (1 + b%)` or `a + b / 100`"),
        ("80 - 15%", "can be read in two ways"),
        ("1,23", "a comma separates thousands (1,234) or the arguments of a function"),
        ("(1,2)", "a comma separates"),
        ("0x10", "write decimal numbers"),
        ("foo(3)", "'foo' is not arithmetic; functions: sqrt, abs"),
        ("__import__", "'__import__' is not arithmetic"),
        ("1; 2", "'; 2' is not arithmetic"),
        ("'a'", "is not arithmetic"),
        ("sqrt 4", "'(' is missing before '4'"),
        ("sqrt()", "a number is missing before ')'"),
        ("sqrt(1, 2)", "`sqrt` takes one number, got 2"),
        ("round(1, 2, 3)", "`round` takes a number and its decimals"),
        ("round(1, 0.5)", "whole number of decimals"),
        ("round(1, 99)", "at most 60"),
    ],
)
def test_what_has_no_value_says_why(expression: str, said: str) -> None:
    with pytest.raises(NotArithmetic) as caught:
        computed(expression)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9", "9**9**9**9**9", "2**99999999999999999999", "(1/3)**-99999", "1e9999", "1e9999*1e9999",
        "2**(9**9)", "10**1e3**2", "2**1e9", "1.5**99999.5", "sqrt(2)**99999999", "99999999**0.5**-9",
        "*".join(["9e999"] * 100), "(" * 900, "-" * 990 + "1", "\u221a" * 900 + "4", "2**" * 300 + "2",
        "abs(" * 240 + "1", "1" * 2000, "sqrt(" * 40 + "2" + ")" * 40,
    ],
)  # fmt: skip
def test_nothing_takes_long_whatever_its_size(expression: str) -> None:
    start = time.process_time()
    try:
        result = computed(expression)
    except NotArithmetic:
        pass
    else:
        assert len(result.text) < 2_000
    assert time.process_time() - start < 0.2


def test_the_size_limit_is_where_it_is_said_to_be() -> None:
    assert computed(f"2 ** {MAX_BITS - 1}").number == 2 ** (MAX_BITS - 1)
    with pytest.raises(NotArithmetic, match="the number is too large"):
        computed(f"2 ** {MAX_BITS}")
    with pytest.raises(NotArithmetic, match="at most 1000 characters, this one 1001"):
        computed("1" * 1_001)
    assert computed("(" * 49 + "1" + ")" * 49).text == "1"
    with pytest.raises(NotArithmetic, match="nested deeper than 50"):
        computed("(" * 50 + "1" + ")" * 50)


def python_round(number: Fraction) -> Fraction:
    return Fraction(math.floor(abs(number) + Fraction(1, 2)) * (-1 if number < 0 else 1))


FUNCTIONS: dict[str, Callable[..., Fraction]] = {
    "abs": lambda number: abs(number),
    "round": python_round,
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "sum": lambda *values: sum(values, Fraction(0)),
    "mean": lambda *values: sum(values, Fraction(0)) / len(values),
}
Tree = tuple[str, Callable[[], Fraction]]


def joined(sign: str, left: Tree, right: Tree) -> Tree:
    apply: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "//": lambda a, b: Fraction(a // b),
        "%": lambda a, b: a % b,
    }
    return f"({left[0]}) {sign} ({right[0]})", lambda: apply[sign](left[1](), right[1]())


def called(name: str, values: list[Tree]) -> Tree:
    values = values[:1] if name in ("abs", "round") else values
    return f"{name}({', '.join(text for text, _ in values)})", lambda: FUNCTIONS[name](
        *(value() for _, value in values)
    )


LEAVES = st.one_of(
    st.integers(0, 10**6).map(lambda number: (str(number), lambda: Fraction(number))),
    st.integers(1000, 10**9).map(lambda number: (str(number), lambda: Fraction(number))),
    st.decimals(0, 10**4, places=3).map(lambda number: (str(number), lambda: Fraction(number))),
    st.integers(0, 200).map(lambda number: (f"({number}%)", lambda: Fraction(number, 100))),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(joined, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner, inner),
        st.builds(called, st.sampled_from(sorted(FUNCTIONS)), st.lists(inner, min_size=1, max_size=3)),
        inner.map(lambda tree: (f"-({tree[0]})", lambda: -tree[1]())),
        st.tuples(inner, st.integers(-3, 3)).map(
            lambda pair: (f"({pair[0][0]}) ** ({pair[1]})", lambda: pair[0][1]() ** pair[1])
        ),
    ),
    max_leaves=8,
)


@given(TREES)
def test_a_tree_of_operations_has_the_value_that_fractions_give(tree: Tree) -> None:
    text, value = tree
    try:
        expected = value()
    except ZeroDivisionError:
        with pytest.raises(NotArithmetic, match="division by zero"):
            computed(text)
        return
    assert computed(text).number == expected
    shown = computed(text)
    if shown.exact:
        assert Fraction(shown.text) == expected


FLAT = st.lists(
    st.tuples(st.sampled_from([" + ", " - ", " * ", " // ", "*", "+", " % "]), st.integers(1, 99)), max_size=6
)


@given(st.integers(0, 99), FLAT)
def test_operations_bind_as_in_python(first: int, rest: list[tuple[str, int]]) -> None:
    expression = str(first) + "".join(f"{sign}{number}" for sign, number in rest)
    assert computed(expression).number == eval(expression)


@given(st.text(alphabet="0123456789.,+-*/%^() xof=?e", max_size=25))
def test_any_text_has_a_value_or_a_reason(text: str) -> None:
    try:
        result = computed(text)
    except NotArithmetic:
        return
    if result.exact:
        assert Fraction(result.text) == result.number


@pytest.mark.parametrize(
    ("expression", "text", "value", "exact", "decimal"),
    [
        ("17 * 23", "17 * 23 = 391", "391", True, "391"),
        ("17  *\n23 = ?", "17 * 23 = 391", "391", True, "391"),
        ("10/3", "10/3 = 10/3 (3.33333333333)", "10/3", True, "3.33333333333"),
        ("sqrt(2)", "sqrt(2) = 1.41421356237 (rounded)", "1.41421356237", False, "1.41421356237"),
    ],
)
async def test_the_model_sees_the_computation_and_its_result(
    folder: Any, expression: str, text: str, value: str, exact: bool, decimal: str
) -> None:
    seen = await folder("calculate", expression=expression)
    shown = text.split(" = ")[0]
    assert seen.text == text
    assert seen.value == {"expression": shown, "value": value, "exact": exact, "decimal": decimal}
    assert seen.sources == (f"calculate: {shown} = {value}",)


async def test_a_failure_names_the_expression(folder: Any) -> None:
    assert await folder.fails("calculate", expression="2 +") == "cannot compute '2 +': the expression ends too early"
