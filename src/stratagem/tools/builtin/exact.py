"""Exact numbers, and how they are written."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, localcontext
from fractions import Fraction

DIGITS = 12  # of a result that does not end
_PRECISION = 2_500  # more digits than cells with exponents up to 999 need
_ROUNDED = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


def exact_sum(values: list[Decimal]) -> Decimal:
    """Return the sum, without rounding anything."""
    with localcontext(Context(prec=_PRECISION, traps=[Inexact])):
        return sum(values, Decimal(0))


def rounded(value: Fraction) -> Decimal:
    """Return a number to 12 significant digits."""
    return _ROUNDED.divide(Decimal(value.numerator), Decimal(value.denominator))


def mean(values: list[Decimal]) -> Decimal:
    """Return the mean, to 12 significant digits if it has more."""
    return rounded(Fraction(exact_sum(values)) / len(values))


def median(values: list[Decimal]) -> Decimal:
    """Return the middle one, or the mean of the two in the middle, exactly."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    with localcontext(Context(prec=_PRECISION)):
        return (ordered[middle - 1] + ordered[middle]) / 2


def as_text(value: Decimal) -> str:
    """Return a number as people write it: no zeros at its end, an exponent only if it is very long.

    >>> as_text(Decimal("5.0400")), as_text(Decimal("1E+3")), as_text(Decimal("-0.0")), as_text(Decimal("1E-30"))
    ('5.04', '1000', '0', '1E-30')
    """
    with localcontext(Context(prec=_PRECISION)):
        plain = value.normalize() + 0
    return str(plain) if plain.adjusted() > 20 or plain.adjusted() < -12 else f"{plain:f}"


def as_json(value: Decimal) -> int | float | str:
    """Return a number as JSON has it; as text if a float cannot hold it."""
    if value == value.to_integral_value() and abs(value.adjusted()) <= 300:
        return int(value)
    made = float(value)
    return made if abs(made) != float("inf") else str(value)
