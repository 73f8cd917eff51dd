"""Arithmetic word problems: a number of things, and what happens to it, step by step."""

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from stratagem.core import Json
from stratagem.tasks._suite import Suite
from stratagem.tasks._words import PEOPLE, THINGS

STEPS = {1: 2, 2: 4, 3: 7}  # by level
LARGEST = 5_000

# What may happen: its sentence, and what it does to the number. `{n}` is a number, `{who}` the person, `{what}` the things.
EVENTS: dict[str, str] = {
    "gain": "{who} buys {n} more {what}.",
    "find": "Then {who} finds {n} {what} in a drawer.",
    "lose": "{who} loses {n} of the {what}.",
    "give": "{who} gives {n} {what} to a neighbour.",
    "times": "A shop then exchanges every one of the {what} for {n} new ones.",
    "share": "{who} divides the {what} equally among {n} people, one of whom is {who}, and keeps that share.",
    "boxes": "{who} packs the {what} into boxes of {n}, counts what is left over, and keeps the full boxes' {what} only.",
}
_ADDS, _TAKES = ("gain", "find"), ("lose", "give")
_START = "{who} has {n} {what}."
_ASKED = "How many {what} does {who} have now?"


class WordProblems(Suite):
    """Sentences of which each changes a number: 2 of them at level 1, 4 at level 2, 7 at level 3."""

    name = "word_problems"
    about = "how many things somebody has after what happened, in 2 to 7 steps"
    source = "own generator, in the style of arXiv:2110.14168"
    output = int
    floor = ("6", 0.03)

    def make(self, dice: random.Random, level: int) -> Json:
        """Return a story in which every number is whole."""
        who, what = dice.choice(PEOPLE), dice.choice(THINGS)
        start = number = dice.randint(6, 60)
        events: list[Json] = []
        while len(events) < STEPS[level]:
            kind = dice.choice(list(EVENTS))
            made = _possible(dice, kind, number)
            if made is None or (events and events[-1][0] == kind):
                continue
            events.append([kind, made])
            number = after(number, kind, made)
        return {"who": who, "what": what, "start": start, "events": events}

    def render(self, problem: Json) -> str:
        """Return the story and the question."""
        who, what = problem["who"], problem["what"]
        told = [_START.format(who=who, what=what, n=problem["start"])]
        told += [EVENTS[kind].format(who=who, what=what, n=number) for kind, number in problem["events"]]
        return " ".join([*told, _ASKED.format(who=who, what=what)])

    def read(self, question: str) -> Json:
        """Return the story."""
        found = _BEGIN.match(question)
        if found is None:
            raise ValueError(f"no word problem of this suite: {question[:80]!r}")
        who, start, what = found["who"], int(found["n"]), found["what"]
        events: list[Json] = []
        at = found.end()
        while question[at:].strip() != _ASKED.format(who=who, what=what):
            for kind, sentence in EVENTS.items():
                if said := _pattern(sentence, who, what).match(question, at):
                    events.append([kind, int(said["n"])])
                    at = said.end()
                    break
            else:
                raise ValueError(f"no word problem of this suite: {question[at : at + 80]!r}")
        return {"who": who, "what": what, "start": start, "events": events}

    def solve(self, problem: Json) -> str:
        """Return the number at the end."""
        return str(_numbers(problem)[-1])

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for the number at the end."""
        return float(type(value) is int and value == _numbers(problem)[-1])

    def wrong(self, problem: Json, number: int) -> str:
        """Return what comes of leaving out one sentence, or of miscounting."""
        answer = _numbers(problem)[-1]
        slips: list[int] = []
        for skipped in range(len(problem["events"])):
            events = [event for n, event in enumerate(problem["events"]) if n != skipped]
            slips.append(_numbers({**problem, "events": events})[-1])
        slips += [answer + slip for slip in (1, -1, 10, -10, 2, -2, 100)]
        different = list(dict.fromkeys(slip for slip in slips if slip != answer and slip >= 0))
        return str(different[number % len(different)])

    def rationale(self, problem: Json) -> str:
        """Return the numbers one after the other."""
        numbers = _numbers(problem)
        told = [f"{problem['who']} has {numbers[0]} {problem['what']}."]
        for (kind, n), before, now in zip(problem["events"], numbers, numbers[1:], strict=False):
            told.append(_SAYS[kind].format(before=before, n=n, now=now))
        return " ".join(told)


_SAYS = {
    "gain": "{before} + {n} = {now}.", "find": "{before} + {n} = {now}.", "lose": "{before} - {n} = {now}.",
    "give": "{before} - {n} = {now}.", "times": "{before} * {n} = {now}.", "share": "{before} / {n} = {now}.",
    "boxes": "The full boxes of {n} hold {now} of {before}.",
}  # fmt: skip


def after(number: int, kind: str, n: int) -> int:
    """Return the number after an event."""
    if kind in _ADDS:
        return number + n
    if kind in _TAKES:
        return number - n
    if kind == "times":
        return number * n
    return number // n if kind == "share" else number - number % n


def _numbers(problem: Json) -> list[int]:
    numbers: list[int] = [problem["start"]]
    for kind, n in problem["events"]:
        numbers.append(after(numbers[-1], kind, n))
    return numbers


def _possible(dice: random.Random, kind: str, number: int) -> int | None:
    """Return a number for an event that keeps the story whole and within bounds; None if there is none."""
    if kind in _ADDS:
        return dice.randint(3, 40)
    if kind in _TAKES:
        return dice.randint(2, min(40, number - 2)) if number >= 5 else None
    if kind == "times":
        n = dice.randint(2, 5)
        return n if number * n <= LARGEST else None
    if kind == "share":
        fits = [n for n in range(2, 10) if number % n == 0 and number // n >= 2]
        return dice.choice(fits) if fits else None
    fits = [n for n in range(3, 12) if number % n and number >= 2 * n]
    return dice.choice(fits) if fits else None


@lru_cache(4096)  # more than there are
def _pattern(sentence: str, who: str, what: str) -> re.Pattern[str]:
    parts: Sequence[str] = re.split(r"(\{n\})", sentence.replace("{who}", who).replace("{what}", what))
    return re.compile(r"\s*" + "".join(r"(?P<n>\d+)" if part == "{n}" else re.escape(part) for part in parts))


_BEGIN = re.compile(r"\s*(?P<who>\w+) has (?P<n>\d+) (?P<what>\w+)\.")
