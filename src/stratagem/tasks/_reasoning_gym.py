"""Generators of the package reasoning-gym as suites: `reasoning_gym:NAME`, for those that passed our audit.

The package scores an answer between 0 and 1, and pays some generators' answers for being there: here a score below 1 is 0.
What still pays for junk, for one constant answer, or not for its own reference is left out, with the reason
(`reasoning_gym.tsv`, made by `scripts/audit_reasoning_gym.py`).
"""

import random
import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from stratagem.core import Json
from stratagem.errors import CapabilityError, UsageError
from stratagem.tasks._suite import Suite

_TAG = re.compile(r"\n\[([a-z_0-9]+) (\d+)\]$")
_SAYS = re.compile(r"(?:answer|result)(?: is|:)\s*", re.IGNORECASE)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


@cache
def audited() -> dict[str, tuple[bool, str, float]]:
    """Return of every generator whether it passed, why not, and the share that its best constant answer gets."""
    lines = (files("stratagem.tasks") / "reasoning_gym.tsv").read_text("utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {name: (verdict == "passed", why, float(floor or 0)) for name, verdict, why, floor in rows}


class ReasoningGym(Suite):
    """One generator at its default difficulty; the levels are the same.

    The last line of a question names the generator and the seed: the package cannot read its own questions, so the
    problem is made again from them. A strategy learns nothing from that line.

    Args:
        generator: its name in reasoning-gym.

    Raises:
        CapabilityError: reasoning-gym is not installed.
        UsageError: there is no such generator, or it did not pass the audit.
    """

    about = "a generator of the package reasoning-gym"
    source = "https://github.com/open-thought/reasoning-gym"
    output = str

    def __init__(self, generator: str) -> None:
        known = audited()
        if generator not in known:
            import difflib

            near = difflib.get_close_matches(generator, known, 1)
            raise UsageError(
                f"reasoning-gym has no generator {generator!r}", remedy=f"Did you mean {near[0]!r}?" if near else None
            )
        passed, why, floor = known[generator]
        if not passed:
            raise UsageError(f"the generator {generator!r} of reasoning-gym is left out: {why}")
        self.generator, self.name, self.floor = generator, f"reasoning_gym:{generator}", ("", floor)
        self._entry = lru_cache(1024)(self._made)
        self._package = dataset(generator, 0)  # scorers are methods of a dataset

    def make(self, dice: random.Random, level: int) -> Json:  # noqa: ARG002
        """Return a seed."""
        return [self.generator, dice.randrange(1 << 31)]

    def render(self, problem: Json) -> str:
        """Return the package's question, and which it is."""
        return f"{self._entry(problem[1])['question'].strip()}\n[{self.generator} {problem[1]}]"

    def read(self, question: str) -> Json:
        """Return the seed."""
        found = _TAG.search(question)
        if found is None or found[1] != self.generator:
            raise ValueError(f"no question of {self.name}: {question[:80]!r}")
        return [found[1], int(found[2])]

    def solve(self, problem: Json) -> str:
        """Return the package's reference."""
        return str(self._entry(problem[1])["answer"])

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for what the package scores with 1; what it cannot score is wrong."""
        try:
            return float(self._package.score_answer(answer=value, entry=self._entry(problem[1])) >= 1)
        except Exception:  # noqa: BLE001  (scorers of the package raise for what they cannot parse)
            return 0.0

    def wrong(self, problem: Json, number: int) -> str:
        """Return the reference of another problem."""
        for other in range(number, number + 200):
            said = str(self._entry(other)["answer"])
            if not self.right(problem, said):
                return said
        raise UsageError(f"{self.name}: every answer is right")

    def extract(self, text: str) -> Any:
        """Return what stands in answer tags, or after the last "answer is", or all of it."""
        tagged = _TAGGED.findall(text)
        said = (tagged[-1] if tagged else _SAYS.split(text)[-1]).strip()
        return said or None

    def canonical(self, value: Any) -> str:
        """Return the text without differences of space and case."""
        return " ".join(str(value).split()).casefold()

    def _made(self, seed: int) -> dict[str, Any]:
        return dataset(self.generator, seed)[0]


def dataset(generator: str, seed: int, size: int = 1) -> Any:
    """Return problems of the package."""
    try:
        import reasoning_gym  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise CapabilityError(
            "suites `reasoning_gym:` need the package reasoning-gym", remedy='Install it: pip install "stratagem[gym]"'
        ) from None
    make: Any = reasoning_gym.create_dataset
    return make(generator, seed=seed, size=size)
