"""Tracking shuffled objects: who holds which ball after some swaps."""

import random
import re
from collections.abc import Hashable
from typing import Any

from stratagem.core import Json
from stratagem.tasks._last import Found, stated
from stratagem.tasks._suite import Suite
from stratagem.tasks._words import COLOURS, PEOPLE

SIZES = {1: 3, 2: 5, 3: 7}  # people, by level; as many swaps, and two more
_HOLDS = re.compile(r"(\w+) holds the (\w+) ball")
_SWAPS = re.compile(r"(\w+) and (\w+) swap balls")
_ASKED = re.compile(r"Which ball does (\w+) hold at the end\?")
_COLOUR = re.compile(rf"\b({'|'.join(COLOURS)})\b", re.IGNORECASE)


class ShuffledObjects(Suite):
    """Three people at level 1, five at level 2, seven at level 3, who swap balls in pairs."""

    name = "shuffled_objects"
    about = "who holds which ball after some swaps"
    source = "arXiv:2206.04615"
    output = str
    floor = ("yellow", 0.26)

    def make(self, dice: random.Random, level: int) -> Json:
        """Return who holds what, the swaps, and whose ball is asked for."""
        size = SIZES[level]
        people, colours = dice.sample(PEOPLE, size), dice.sample(COLOURS[: size + 1], size)
        swaps = [dice.sample(people, 2) for _ in range(size + 2)]
        return {"people": people, "balls": colours, "swaps": swaps, "asked": dice.choice(people)}

    def render(self, problem: Json) -> str:
        """Return the story."""
        holds = [f"{who} holds the {ball} ball" for who, ball in zip(problem["people"], problem["balls"], strict=True)]
        swaps = [f"{one} and {other} swap balls." for one, other in problem["swaps"]]
        start = f"{', '.join(holds[:-1])} and {holds[-1]}."
        return " ".join([start, *swaps, f"Which ball does {problem['asked']} hold at the end?"])

    def read(self, question: str) -> Json:
        """Return the story's facts."""
        holds, asked = _HOLDS.findall(question), _ASKED.search(question)
        if not holds or asked is None:
            raise ValueError(f"no question about shuffled objects: {question[:80]!r}")
        swaps = [list(pair) for pair in _SWAPS.findall(question)]
        return {
            "people": [who for who, _ in holds], "balls": [ball for _, ball in holds], "swaps": swaps, "asked": asked[1],
        }  # fmt: skip

    def solve(self, problem: Json) -> str:
        """Return the colour."""
        return _held(problem, problem["swaps"])[problem["asked"]]

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for the colour."""
        return float(value == self.solve(problem))

    def wrong(self, problem: Json, number: int) -> str:
        """Return what comes of missing a swap, or another colour."""
        answer, swaps = self.solve(problem), problem["swaps"]
        missed = [_held(problem, swaps[:n] + swaps[n + 1 :])[problem["asked"]] for n in range(len(swaps))]
        different = [said for said in dict.fromkeys([*missed, *problem["balls"]]) if said != answer]
        return different[number % len(different)]

    def extract(self, text: str) -> Any:
        """Return the colour that is stated last."""
        return stated(text, _colours)

    def canonical(self, value: Any) -> Hashable:
        """Return the colour."""
        return value

    def rationale(self, problem: Json) -> str:
        """Return who holds what after every swap."""
        told: list[str] = []
        for n, (one, other) in enumerate(problem["swaps"]):
            held = _held(problem, problem["swaps"][: n + 1])
            told.append(f"{one} and {other} swap: {one} holds {held[one]}, {other} holds {held[other]}.")
        return " ".join([*told, f"At the end {problem['asked']} holds the {self.solve(problem)} ball."])


def _colours(text: str) -> list[Found]:
    return [Found(*one.span(), one[0].lower()) for one in _COLOUR.finditer(text)]


def _held(problem: Json, swaps: list[list[str]]) -> dict[str, str]:
    held: dict[str, str] = dict(zip(problem["people"], problem["balls"], strict=True))
    for one, other in swaps:
        held[one], held[other] = held[other], held[one]
    return held
