"""Which number, and which yes or no, a free reply states last.

Rule 1: the last word with a digit in it counts, as a whole: what is no number as a whole (`10-5`, `2024-12-5`, `H3`) is None,
        and so is what is only a part of one (`1 234`, `3 - 5`, `12 or 13`).
Rule 2: what is denied is None: "It is not 12".
Rule 3: when in doubt, None: None is wrong, never right.
Rule 4: a number is exactly what is written: a whole one that no float holds is an `int`, and what a float would round to a
        whole number is None.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from stratagem.tasks._last import Found, astray, stated
from stratagem.tasks._stated import announced, folded, leads_astray, unmarked

_FIGURE = re.compile(
    r"(?P<sign>[-+\u2212\u2013]?)[$€£¥]?(?P<inner>[-\u2212]?)"
    r"(?:(?P<top>\d+)/(?P<bottom>\d+)|(?P<plain>(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?))"
    r"(?:%|[$€£¥]|°[CF]?|mm|cm|km|mg|kg|ml|mph)?"
)
_EQUAL = re.compile(r"(?<![!<>])=")
_TAG = re.compile(r"</?[A-Za-z]\w*>")
_SCALES = {"dozen": 12, "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LONGEST, _LARGEST = 4000, 330  # characters of a number, and the power of ten beyond which a float is 0 or infinite
_OPERATORS = frozenset("-\u2212\u2013+*x×·/÷^<>≤≥≠") | {
    "**",
    "!=",
    "<=",
    ">=",
    "or",
    "than",
    "minus",
    "plus",
    "times",
    "negative",
    "over",
}
_BINDERS = frozenset({"and", "to", "through", "of"})
_VERDICT = re.compile(r"\b(?:yes|true|false|no(?=\s*(?:[^\w\s]|\n|\Z)))\b", re.IGNORECASE)
_FRONT, _BACK = "\"'“”\u2018’(*_`[{#~≈:\\", "\"'“”\u2018’)*_`]}>.,;:!?\\"


def figure(word: str) -> float | None:
    """Return the number that a word is as a whole, or None.

    >>> figure("-$1,234.50"), figure("1/2"), figure(".5"), figure("10-5")
    (-1234.5, 0.5, 0.5, None)
    """
    if len(word) < 16 and word.isascii() and word.isdigit():  # a float holds it
        return float(word)
    found = _exact(word)
    return None if found is None else _stated(found)


def _exact(word: str) -> Fraction | None:
    """Return the number that a word is as a whole, as it is written."""
    bare = _EQUAL.split(word)[-1].lstrip(_FRONT).rstrip(_BACK)
    found = _FIGURE.fullmatch(bare) or (_FIGURE.fullmatch(bare[1:-1]) if bare[:1] == bare[-1:] == "$" else None)
    if found is None or len(bare) > _LONGEST or (found["sign"] and found["inner"]):
        return None
    if found["top"]:
        below = int(found["bottom"])
        if not below:
            return None
        value = Fraction(int(found["top"]), below)
    else:
        written = Decimal(found["plain"].replace(",", ""))
        if written and abs(written.adjusted()) > _LARGEST:
            return None
        value = Fraction(written)
    return -value if found["sign"] in ("-", "\u2212", "\u2013") or found["inner"] else value


def _stated(value: Fraction) -> float | None:
    """Return a number as a float, or as an int where it is whole and no float holds it; None if it would become another."""
    try:
        near = float(value)
    except OverflowError:
        return None
    if value.denominator == 1:
        return near if near == value else value.numerator
    return None if near.is_integer() else near


def number(text: str) -> float | None:
    """Return the number that a text states last, or None.

    >>> number("6 + 6 = 12"), number("It is not 12"), number("5 million")
    (12.0, None, 5000000.0)
    """
    if len(text) < 16 and text.isascii() and text.isdigit():  # most replies are the number alone
        return float(text)
    lines = [line for line in announced(_TAG.sub(" ", text) if "<" in text else text).split("\n") if line.strip()]
    at = next((at for at in range(len(lines) - 1, -1, -1) if any(map(str.isdigit, lines[at]))), None)
    if at is None or _continues(lines[:at], lines[at]):
        return None
    words = lines[at].split()
    place = next(place for place in range(len(words) - 1, -1, -1) if any(map(str.isdigit, words[place])))
    value = figure(words[place])
    if value is None or _part(words, place) or _denied(words, place):
        return None
    after = folded(words[place + 1])[:1] if place + 1 < len(words) else ()
    if not after or after[0] not in _SCALES or words[place][-1] in ".,;:":
        return value
    exact = _exact(words[place])
    return None if exact is None else _stated(exact * _SCALES[after[0]])


def _continues(before: Sequence[str], line: str) -> bool:
    """Return whether a line goes on with what is denied, or is the last of several lines that have a number each and no word."""
    if not before:
        return False
    one, other = (None if "=" in said else figure(unmarked(said).strip()) for said in (line, before[-1]))
    return leads_astray(before[-1]) or (one is not None and other is not None and one != other)


def _part(words: Sequence[str], place: int) -> bool:
    """Return whether a number is only a part of what is stated: of a sum, a list, an interval or a longer number."""
    if place + 1 < len(words) and words[place + 1] in ("+", "*", "×", "·", "/", "÷", "^", "**", "x"):
        return True
    if not place:
        return False
    near = words[place - 1].lower()
    if place == 1 and near == "*":  # the mark of a list
        return False
    if near in _OPERATORS or near.strip(",;") in _OPERATORS:
        return True
    if place > 1 and near in _BINDERS:
        last = words[place - 2].strip("*_,;")
        return (near == "of" and last.lower() == "out") or figure(last) is not None
    other = None if near.endswith((":", ")", ".")) or "=" in words[place] else figure(near)
    return other is not None and other != figure(words[place])


def _denied(words: Sequence[str], place: int) -> bool:
    """Return whether the clause of a number denies it, before or behind it."""
    return astray(" ".join(words[:place]), " ".join(words[place:]).lstrip(_FRONT))


def whole(text: str) -> int | None:
    """Return the whole number that a text states last, or None.

    >>> whole("6 + 6 = 12"), whole("12.0"), whole("12.5")
    (12, 12, None)
    """
    value = number(text)
    return int(value) if value is not None and value % 1 == 0 else None


def verdict(text: str) -> bool | None:
    """Return the yes or no that a text states last, or None; `no doubt` is none.

    >>> verdict("Yes, no doubt."), verdict("It is not true."), verdict("I say no")
    (True, None, False)
    """
    return stated(text, _verdicts)


def _verdicts(text: str) -> list[Found]:
    return [Found(*one.span(), one[0].lower() in ("yes", "true")) for one in _VERDICT.finditer(text)]
