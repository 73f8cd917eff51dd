"""A suite without content: steps up are right, steps down are wrong, and there are as many of both as anybody wants.

Real tasks have few right steps and answers that coincide; here the closed forms hold exactly.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

from stratagem.core import Json
from stratagem.tasks import Suite

HIGH, SIDEWAYS = 12, 400  # right and wrong steps that a path may take
RUNGS = 3  # steps to the top


class Ladder(Suite):
    """Climb to the top of ladder `n`."""

    name = "ladder"
    output = str
    stepwise = True

    def make(self, dice: random.Random, level: int) -> Json:
        """Return the number of a ladder."""
        del level
        return dice.randrange(10**9)

    def render(self, problem: Json) -> str:
        """Return the question."""
        return f"Climb to the top of ladder {problem}."

    def read(self, question: str) -> Json:
        """Return the number."""
        return int(question.split()[-1].rstrip("."))

    def solve(self, problem: Json) -> str:
        """Return what is right."""
        return f"top {problem}"

    def wrong(self, problem: Json, number: int) -> str:
        """Return a wrong answer; different for all numbers."""
        return f"floor {number} of {problem}"

    def extract(self, text: str) -> Any:
        """Return the place that a text names last."""
        found = re.findall(r"top \d+|floor \d+ of \d+", text)
        return found[-1] if found else None

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 at the top."""
        return float(value == f"top {problem}")

    def steps(self, problem: Json, path: tuple[str, ...]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the steps up, none after a step down or at the top; and those down."""
        climbs = self.alive(problem, path) and len(path) < RUNGS
        up = [f"up {number}" for number in range(HIGH)] if climbs else []
        return up, [f"down {number}" for number in range(SIDEWAYS)]

    def alive(self, problem: Json, path: tuple[str, ...]) -> bool:
        """Return whether every step went up."""
        del problem
        return all(step.startswith("up") for step in path)
