"""What a free reply states last of a kind that can be told by its form: a colour, a letter, a list, a plan.

Rule 1: of what is announced, or else of all, the last one counts.
Rule 2: what is denied or asked, before it, behind it or in the line that leads to it, is None.
Rule 3: whoever offers several states none: `red or blue`, `red, blue`, and each on a line of its own.
Rule 4: a letter in the other case is one where it can be no word: alone in its line, in brackets, right behind what
        announces it. `It is a dog` states no A.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stratagem.tasks._stated import denies, doubtful, folded, leads_astray, places, plain

_CLAUSES = re.compile(r"[,;!?](?=\s|\Z)|\.(?=\s|\Z)|[()]")
_SHORT = 300  # characters of a text that may be the thing alone; what is longer is looked through once
_FIGURES = re.compile(r"\d\S*")
_APART = re.compile(r"[.!?:]")
# What stands between things that are offered, and nothing else.
_BETWEEN = frozenset(
    {"or", "and", "either", "maybe", "perhaps", "possibly", "/", "|", "&", "a", "an", "the", "one", "ball"}
)
# A letter that is a word of a sentence, and no choice.
_ARTICLE = re.compile(r"[AaI](?=\s+(?!(?:is|was|or|and|because|since|as|seems|must|but|not|are|fits)\b)[a-z])")
_MARKS = " \t*_\"'`#>-"
_APPLIED = re.compile(r"[*_\"'`]*(?:\Z|[\s,:;!?)\]}/|&]|\.(?!\w))")  # what may stand behind a letter that is no word
_JOINED = re.compile(r"[\s*_\"'`()\[\]]*(?:(?:,|/|\||&|\bor\b|\band\b)[\s*_\"'`()\[\]]*)+")
_CALLED = re.compile(r"\b(?:option|choice|letter|answer)\s+[*_\"'`]*\Z", re.IGNORECASE)
_BRACKETS = ("()", "[]", "{}")


class Found(NamedTuple):
    """Something of the wanted form: where it begins and ends in a text, and its value, which can be compared."""

    start: int
    end: int
    value: Any


def stated(text: str, find: Callable[[str], Sequence[Found]], *, in_one_line: bool = True) -> Any:
    """Return the value of what a text states last, or None.

    Args:
        text: of a reply.
        find: finds what has the form, in order.
        in_one_line: whether the line that an announcement begins has all of it.

    >>> colours = lambda text: [Found(*one.span(), one[0]) for one in re.finditer("red|blue", text)]
    >>> stated("Not red. It is blue.", colours), stated("It is not red.", colours), stated("red or blue", colours)
    ('blue', None, None)
    """
    if len(text) < _SHORT:
        alone = find(text)
        if len(alone) == 1 and alone[0][:2] == (0, len(text)):  # most replies are the thing alone
            return alone[0].value
    where = places(text)
    for said in map(plain, where if in_one_line or len(where) < 3 else where[1:]):
        found = find(said)
        if found:
            return None if _denied(said, found[-1]) or _offered(said, found) else found[-1].value
    return None


def last_of(text: str, options: Sequence[Any]) -> Any:
    """Return the option that a text names last, or None; of options that begin alike the longer one is looked for first."""
    if all(isinstance(one, str) and len(one) == 1 and one.isalpha() for one in options):
        return stated(text, lambda said: letters(said, options))
    by_name = {str(one): one for one in sorted(options, key=lambda one: len(str(one)), reverse=True)}
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for one in by_name))
    return stated(text, lambda said: [Found(*one.span(), by_name[one[0]]) for one in pattern.finditer(said)])


def letters(text: str, choices: Sequence[str]) -> list[Found]:
    """Return where a text names one of several letters; in the other case only where it can be no word of a sentence.

    >>> [one.value for one in letters("It is a dog, so (b).", "ABCD")], letters("It is a dog.", "ABCD")
    (['B'], [])
    """
    known = {one.swapcase(): one for one in choices} | {one: one for one in choices}
    pattern = "|".join(map(re.escape, known))
    chains: list[list[re.Match[str]]] = []
    for one in re.finditer(rf"(?<!\w)(?<!\w['’])(?:{pattern})(?!\w)", text):
        if _ARTICLE.match(text, one.start()):
            continue
        if chains and _JOINED.fullmatch(text, chains[-1][-1].end(), one.start()):
            chains[-1].append(one)
        else:
            chains.append([one])
    return [
        Found(*_bracketed(text, one), known[one[0]])
        for chain in chains  # `a or (b)` offers both
        if any(one[0] in choices or _is_choice(text, one) for one in chain)
        for one in chain
    ]


def _bracketed(text: str, found: "re.Match[str]") -> tuple[int, int]:
    """Return where a letter begins and ends, with the brackets around it: `not (b)` denies it."""
    start, end = found.span()
    return (start - 1, end + 1) if start and text[start - 1] + text[end : end + 1] in _BRACKETS else (start, end)


def _is_choice(text: str, found: "re.Match[str]") -> bool:
    """Return whether a letter can be no word of a sentence."""
    before, behind = text[: found.start()], text[found.end() :]
    line, rest = before.rpartition("\n")[2], behind.partition("\n")[0]
    if line[-1:] + rest[:1] in _BRACKETS:
        return not line[-2:-1].isalnum()  # f(a)
    if rest.startswith(")"):
        return line.count("(") <= line.count(")")
    if not _APPLIED.match(rest):
        return False
    if not line.strip(_MARKS) and (not rest.strip(_MARKS + ".!:;,") or rest.lstrip("*_").startswith((".", ":"))):
        return True
    return (not before.strip(_MARKS + "\n") or bool(_CALLED.search(line))) and not (
        found[0] in "aAI" and re.match(r"\s+[A-Z0-9]", rest)  # `a Frenchman`
    )


def _denied(text: str, found: Found) -> bool:
    head, _, line = text[: found.start].rpartition("\n")
    if not line.strip(" \t*_#>-\"'`") and head.strip() and leads_astray(head.rstrip().rpartition("\n")[2]):
        return True
    return astray(line, text[found.end :].partition("\n")[0])


def astray(before: str, behind: str) -> bool:
    """Return whether a clause denies, or asks for, what stands between these two."""
    clause = _FIGURES.split(_CLAUSES.split(before)[-1])[-1]
    end = _CLAUSES.search(behind)
    if end and end[0] == "?":
        return True
    return doubtful(folded(clause)) or denies(folded(behind[: end.start()] if end else behind))


def _offered(text: str, found: Sequence[Found]) -> bool:
    """Return whether the last one is one of several that are offered."""
    last = found[-1]
    other = next((one for one in reversed(found) if one.value != last.value), None)
    if other is None or found[-2] is not other:
        return False
    between = text[other.end : last.start]
    words = folded(between)
    return not _APART.search(between) and ("or" in words or _BETWEEN.issuperset(words))
