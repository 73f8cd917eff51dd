"""Exact arithmetic: a parser by recursive descent and fractions; nothing is evaluated by Python.

    sum     = product (("+" | "-") product)*
    product = power (("*" | "/" | "//" | "%" | "of") power)*
    power   = "-" power | atom "%"? ("**" power)?
    atom    = number | "(" sum ")" | name "(" sum ("," sum)* ")"

Rule 1: a result is exact or says that it is rounded. Only roots and fractional powers that are no fractions round.
Rule 2: the size of a result is bounded before it is computed: `9**9**9` is refused at once.
Rule 3: what people read in two ways is refused with both readings: `80 + 15%`.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction

from stratagem.tools.builtin.exact import as_text, rounded

MAX_LENGTH = 1_000  # characters of an expression
MAX_DEPTH = 50
MAX_BITS = 4_000  # of a numerator or denominator: about 1,200 digits
MAX_PLACES = 60  # decimals that are written out; a fraction that needs more is shown as one
MAX_FRACTION = 60  # characters of such a fraction; a longer one is rounded
_DIGITS = 50  # of what cannot be exact

_SIGNS = str.maketrans("\u00d7\u00b7\u22c5\u00f7\u2212\u2013\uff08\uff09\u00a0", "***/--() ")  # as people type them
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4}(?![0-9A-Za-z_]))?)"
    r"|(?P<name>[A-Za-z_]+)|(?P<sign>\*\*|//|[-+*/%^(),√]))"
)
_GROUPED = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_END = re.compile(r" ?=? ?\?*$")


class NotArithmetic(ValueError):
    """The expression cannot be computed; the message says why."""


@dataclass(frozen=True)
class Value:
    """A number on the way to a result.

    Attributes:
        number: the fraction.
        exact: whether nothing was rounded.
        percent: whether it was written as a percentage.
    """

    number: Fraction
    exact: bool = True
    percent: bool = False


@dataclass(frozen=True)
class Result:
    """What an expression is.

    Attributes:
        number: the value.
        text: exact, if it ends or is a fraction; else 12 significant digits.
        about: 12 significant digits of a fraction that does not end; empty otherwise.
        exact: whether nothing was rounded.
    """

    number: Fraction
    text: str
    about: str
    exact: bool


def computed(expression: str) -> Result:
    """Return what an expression is; `NotArithmetic` says why it has no value.

    >>> computed("15% of 80").text, computed("1/3").text, computed("2 ** 0.5").text
    ('12', '1/3', '1.41421356237')
    """
    if len(expression) > MAX_LENGTH:
        raise NotArithmetic(f"an expression has at most {MAX_LENGTH} characters, this one {len(expression)}")
    value = _Parser(tidy(expression).translate(_SIGNS)).read()
    text, about = _written(value)
    if about and len(text) > MAX_FRACTION:
        return Result(value.number, about, "", exact=False)
    return Result(value.number, text, about, value.exact)


def tidy(expression: str) -> str:
    r"""Return an expression with single spaces, and without the question at its end.

    >>> tidy("17  *\t23 = ?")
    '17 * 23'
    """
    return _END.sub("", " ".join(expression.split()))


def _written(value: Value) -> tuple[str, str]:
    number = value.number
    if not value.exact:
        return as_text(rounded(number)), ""
    rest, places = number.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest == 1 and places <= MAX_PLACES:
        scaled = abs(number.numerator) * 10**places // number.denominator
        digits = str(scaled).rjust(places + 1, "0")
        whole = f"{digits[:-places]}.{digits[-places:]}" if places else digits
        return ("-" if number < 0 else "") + whole, ""
    return f"{number.numerator}/{number.denominator}", as_text(rounded(number))


class _Parser:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = self.depth = 0

    def read(self) -> Value:
        if not self.tokens:
            raise NotArithmetic("there is nothing to compute")
        value = self._sum()
        if self.at < len(self.tokens):
            raise NotArithmetic(f"{self.tokens[self.at]!r} is not expected there")
        return value

    def _sum(self) -> Value:
        self._deeper()
        value = self._product()
        while (sign := self._peek()) in ("+", "-"):
            self.at += 1
            other = self._product()
            if other.percent and not value.percent and value.number != 1:  # of 1, both readings are the same
                raise NotArithmetic(
                    f"`{sign} percentage` can be read in two ways: write `a * (1 {sign} b%)` or `a {sign} b / 100`"
                )
            number = value.number + other.number if sign == "+" else value.number - other.number
            value = _bounded(number, exact=value.exact and other.exact, percent=value.percent and other.percent)
        self.depth -= 1
        return value

    def _product(self) -> Value:
        value = self._power()
        while (sign := self._peek()) in ("*", "/", "//", "%", "of"):
            self.at += 1
            other = self._power()
            value = _bounded(_combined(sign, value.number, other.number), exact=value.exact and other.exact)
        return value

    def _power(self) -> Value:
        negative, signs = False, 0
        while (sign := self._peek()) in ("-", "+"):
            negative ^= sign == "-"
            self.at, signs = self.at + 1, signs + 1
        value = self._atom()
        if self._peek() == "%" and not self._starts_operand(self.at + 1):
            self.at += 1
            value = Value(value.number / 100, value.exact, percent=True)
        if self._peek() in ("**", "^"):
            self.at += 1
            self._deeper()
            value = _raised(value, self._power())
            self.depth -= 1
        return Value(-value.number, value.exact, value.percent) if negative else value

    def _atom(self) -> Value:
        token = self._next()
        if token[0].isdigit() or token[0] == ".":
            return _bounded(Fraction(token))
        if token == "(":  # noqa: S105
            value = self._sum()
            self._expect(")")
            return Value(value.number, value.exact)
        if token == "√":  # noqa: S105
            self._deeper()
            value = _root(self._atom())
            self.depth -= 1
            return value
        name = token.casefold()
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise NotArithmetic(
                f"{token!r} is not arithmetic; functions: {known}"
                if token.isidentifier()
                else f"a number is missing before {token!r}"
            )
        self._expect("(")
        values = [self._sum()]
        while self._peek() == ",":
            self.at += 1
            values.append(self._sum())
        self._expect(")")
        return FUNCTIONS[name](values)

    def _starts_operand(self, at: int) -> bool:
        token = self.tokens[at] if at < len(self.tokens) else ""
        return bool(token) and (token[0].isdigit() or token[0] in ".(√" or token.casefold() in FUNCTIONS)

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotArithmetic(f"it is nested deeper than {MAX_DEPTH}")

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _next(self) -> str:
        if self.at >= len(self.tokens):
            raise NotArithmetic("the expression ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            raise NotArithmetic(
                f"{token!r} is missing" + (f" before {self._peek()!r}" if self._peek() else " at the end")
            )
        self.at += 1


def _tokens(text: str) -> list[str]:
    """Cut an expression; thousands commas are taken out, except between the arguments of a function."""
    tokens: list[str] = []
    inside: list[bool] = []  # of each open bracket: whether it is a function's
    at = 0
    while at < len(text):
        grouped = _GROUPED.match(text, at + len(text[at:]) - len(text[at:].lstrip())) if not any(inside) else None
        if grouped:
            text = text[: grouped.start()] + grouped[0].replace(",", "") + text[grouped.end() :]
        found = _TOKEN.match(text, at)
        if not found:
            rest = text[at:].strip()
            if not rest:
                break
            raise NotArithmetic(f"{rest[:20]!r} is not arithmetic")
        token = found[found.lastgroup or 0]
        if token == "0" and text[found.end() : found.end() + 1] in ("x", "X", "b", "o"):  # noqa: S105
            raise NotArithmetic("write decimal numbers")
        if token == "(":  # noqa: S105
            inside.append(bool(tokens) and tokens[-1].casefold() in FUNCTIONS)
        elif token == ")" and inside:  # noqa: S105
            inside.pop()
        elif token == "," and not (inside and inside[-1]):  # noqa: S105
            raise NotArithmetic("a comma separates thousands (1,234) or the arguments of a function, nothing else")
        tokens.append("of" if token.casefold() == "of" else "*" if token in ("x", "X") else token)
        at = found.end()
    return tokens


def _bounded(number: Fraction, *, exact: bool = True, percent: bool = False) -> Value:
    if not exact:
        number = _short(number)
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
        raise NotArithmetic("the number is too large")
    return Value(number, exact, percent)


def _combined(sign: str, a: Fraction, b: Fraction) -> Fraction:
    if sign in ("*", "of"):
        return a * b
    if b == 0:
        raise NotArithmetic("division by zero")
    if sign == "/":
        return a / b
    return Fraction(a // b) if sign == "//" else a % b


def _raised(base: Value, power: Value) -> Value:
    number, exponent = base.number, power.number
    if number == 0 and exponent < 0:
        raise NotArithmetic("division by zero")
    if exponent.denominator == 1:
        if number in (0, 1, -1):
            return Value(number ** (exponent.numerator % 2 or 2 * (exponent != 0)), base.exact and power.exact)
        size = max(number.numerator.bit_length(), number.denominator.bit_length())
        if base.exact and (size - 1) * abs(exponent) <= MAX_BITS:
            return _bounded(Fraction(number**exponent.numerator), exact=power.exact)
        if base.exact:
            raise NotArithmetic("the number is too large")
    elif number < 0:
        raise NotArithmetic("a fractional power of a negative number is no real number")
    elif exponent.denominator == 2 and (root := _root(base)).exact:
        return _raised(root, Value(Fraction(exponent.numerator), power.exact))
    if number == 0:
        return Value(Fraction(0), exact=False)
    sign = -1 if number < 0 and exponent.numerator % 2 else 1
    return Value(sign * _by_logarithm(abs(number), exponent), exact=False)


def _by_logarithm(base: Fraction, exponent: Fraction) -> Fraction:
    context = Context(prec=_DIGITS)
    power = context.multiply(context.ln(_decimal(base, context)), _decimal(exponent, context))
    if power.copy_abs() > MAX_BITS // 2:  # e ** 2000 has 2,885 bits
        raise NotArithmetic("the number is too large")
    return _short(Fraction(context.exp(power)))


def _short(number: Fraction) -> Fraction:
    """Return a number that is not exact anyway with no more digits than mean something."""
    return Fraction(_decimal(number, Context(prec=_DIGITS)))


def _decimal(number: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(number.numerator), Decimal(number.denominator))


def _root(value: Value) -> Value:
    number = value.number
    if number < 0:
        raise NotArithmetic("the root of a negative number is no real number")
    top, bottom = math.isqrt(number.numerator), math.isqrt(number.denominator)
    if top * top == number.numerator and bottom * bottom == number.denominator:
        return Value(Fraction(top, bottom), value.exact)
    with localcontext(Context(prec=_DIGITS)) as context:
        return Value(Fraction(_decimal(number, context).sqrt()), exact=False)


def _one(name: str, values: Sequence[Value]) -> Value:
    if len(values) != 1:
        raise NotArithmetic(f"`{name}` takes one number, got {len(values)}")
    return values[0]


def _sqrt(values: Sequence[Value]) -> Value:
    return _root(_one("sqrt", values))


def _abs(values: Sequence[Value]) -> Value:
    value = _one("abs", values)
    return Value(abs(value.number), value.exact)


def _round(values: Sequence[Value]) -> Value:
    """Round half away from zero, to so many decimals."""
    if len(values) > 2:
        raise NotArithmetic(f"`round` takes a number and its decimals, got {len(values)} numbers")
    places = values[1].number if len(values) == 2 else Fraction(0)
    if places.denominator != 1 or abs(places) > MAX_PLACES:
        raise NotArithmetic(f"`round` needs a whole number of decimals, at most {MAX_PLACES}")
    scale = Fraction(10) ** places.numerator
    scaled = abs(values[0].number) * scale
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Value(Fraction(whole) / scale * (-1 if values[0].number < 0 else 1), values[0].exact)


def _all(values: Sequence[Value], number: Fraction) -> Value:
    return _bounded(number, exact=all(value.exact for value in values))


def _numbers(values: Sequence[Value]) -> list[Fraction]:
    return [value.number for value in values]


FUNCTIONS: dict[str, Callable[[Sequence[Value]], Value]] = {
    "sqrt": _sqrt,
    "abs": _abs,
    "round": _round,
    "min": lambda values: _all(values, min(_numbers(values))),
    "max": lambda values: _all(values, max(_numbers(values))),
    "sum": lambda values: _all(values, sum(_numbers(values), Fraction(0))),
    "mean": lambda values: _all(values, sum(_numbers(values), Fraction(0)) / len(values)),
}
