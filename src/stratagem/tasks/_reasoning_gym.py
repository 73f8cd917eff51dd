"""Generators of the package reasoning-gym as suites: `suite("reasoning_gym:NAME")`, for those that passed our audit.

The package scores an answer between 0 and 1, and some of its scorers pay a little for anything. Here what scores less
than 1 is wrong. A generator that pays 1 for junk, for one constant answer, or not for its own reference is left out, and
so is one whose scorer runs the answer as code. `reasoning_gym.tsv` says which and why; `scripts/audit_reasoning_gym.py`
writes it.

Rule 1: the first line of a question names the generator and the seed. The problem is made again from them, so making a
        task needs no package, and a strategy's process loads none.
Rule 2: the audit holds for one version. Another may make other problems from a seed, and is refused.
"""

import contextlib
import io
import json
import random
import re
import warnings
from collections.abc import Generator, Hashable
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from stratagem.core import Json
from stratagem.errors import CapabilityError, UsageError
from stratagem.tasks._stated import ANSWER_OR_RESULT, places
from stratagem.tasks._suite import Suite

AUDITED = "0.1.25"  # of reasoning-gym
PREFIX = "reasoning_gym:"
PASSED = "passed"
# What an audit may find; the first reason to leave one out is the one that it states.
VERDICTS = {
    PASSED: "is a suite",
    "none": "makes no problems at its defaults",
    "acts": "writes files",
    "unanswered": "has problems without a reference answer",
    "loose": "equal seeds give different problems",
    "few": "has few different problems",
    "code": "its scorer runs the answer as code",
    "unkeyed": "its own reference does not score 1",
    "junk": "pays for junk",
    "echo": "pays for its own question",
    "hedge": "pays an answer that names many",
    "constant": "one answer is often right",
    "alters": "its scorer changes the problem",
    "check": "does not pass a check of every suite",
    "slow": "takes too long",
}
OTHERS = 32  # problems whose references are the wrong answers of others

_TAG = re.compile(r"\[reasoning_gym:([a-z_0-9]+) (\d+)\]\n")
_MARKED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


class Found(NamedTuple):
    """What the audit found of a generator.

    Attributes:
        verdict: a key of `VERDICTS`.
        why: in words; empty if it passed.
        constant: the answer that is right most often, whatever is asked; empty if it was not looked for.
        floor: the share that it gets.
        partial: the most that the package's scorer gives for junk; below 1 counts as 0 here.
        ms: milliseconds of CPU to make a problem, where the audit ran.
    """

    verdict: str
    why: str = ""
    constant: str = ""
    floor: float = 0.0
    partial: float = 0.0
    ms: float = 0.0


@lru_cache(1)
def audited() -> dict[str, Found]:
    """Return what the audit found, by generator."""
    return table((files("stratagem.tasks") / "reasoning_gym.tsv").read_text("utf-8"))


def table(text: str) -> dict[str, Found]:
    """Return the rows of the audit's file."""
    found: dict[str, Found] = {}
    for line in text.splitlines()[1:]:
        name, verdict, why, constant, floor, partial, ms = line.split("\t")
        found[name] = Found(verdict, why, json.loads(constant), float(floor), float(partial), float(ms))
    return found


def line(name: str, found: Found) -> str:
    """Return a row of the audit's file."""
    figures = f"{found.floor:.3f}\t{found.partial:.3f}\t{found.ms:.1f}"
    return f"{name}\t{found.verdict}\t{found.why}\t{json.dumps(found.constant)}\t{figures}\n"


def passed(name: str) -> Found:
    """Return what the audit found of a generator that passed; `UsageError`, with the reason, for any other."""
    known = audited()
    if name not in known:
        import difflib

        suites = [one for one, found in known.items() if found.verdict == PASSED]
        near = difflib.get_close_matches(name, suites, 1) or difflib.get_close_matches(name, known, 1)
        raise UsageError(
            f"reasoning-gym {AUDITED} has no generator {name!r}",
            remedy=f"Did you mean '{PREFIX}{near[0]}'?" if near else f"The manual lists them: `{PREFIX}NAME`.",
        )
    if known[name].verdict != PASSED:
        raise UsageError(
            f"the generator {name!r} of reasoning-gym is left out: {known[name].why}",
            remedy="The manual's page on reasoning-gym lists those that are suites.",
        )
    return known[name]


class ReasoningGym(Suite):
    """One generator at the package's default difficulty.

    Args:
        generator: its name in reasoning-gym.
        found: what an audit says of it.

    Raises:
        CapabilityError: reasoning-gym is not installed, or another version of it.
    """

    about = "a generator of the package reasoning-gym"
    source = "https://github.com/open-thought/reasoning-gym"
    output = str
    several = True
    levels = (1,)

    def __init__(self, generator: str, found: Found) -> None:
        _check_package()
        self.generator, self.name, self.floor = generator, f"{PREFIX}{generator}", (found.constant, found.floor)
        self.entry = lru_cache(2048)(self._made)

    def make(self, dice: random.Random, level: int) -> Json:  # noqa: ARG002  (there is one)
        """Return a seed of the package."""
        return dice.randrange(1 << 31)

    def form(self, problem: Json) -> Hashable:
        """Return the package's question: two seeds may give the same."""
        return self.entry(problem)["question"]

    def render(self, problem: Json) -> str:
        """Return which problem it is, and the package's question."""
        return f"[{self.name} {problem}]\n{self.entry(problem)['question'].strip()}"

    def read(self, question: str) -> Json:
        """Return the seed."""
        found = _TAG.match(question)
        if found is None or found[1] != self.generator:
            raise ValueError(f"no question of {self.name}: {question[:80]!r}")
        return int(found[2])

    def solve(self, problem: Json) -> str:
        """Return the package's reference."""
        return str(self.entry(problem)["answer"])

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for what the package scores with 1, as it is or without its emphasis and full stop."""
        return float(any(self.scored(problem, said) >= 1 for said in dict.fromkeys((value, _plain(value)))))

    def scored(self, problem: Json, said: str) -> float:
        """Return the package's own score of a text; what it cannot score is worth 0."""
        try:
            with _quiet():
                return float(self.package.score_answer(answer=said, entry=self.entry(problem)))
        except Exception:  # noqa: BLE001  (another package's code, and it raises much for what it cannot parse)
            return 0.0

    def wrong(self, problem: Json, number: int) -> str:
        """Return the reference of another problem."""
        for turn in range(number, number + OTHERS):
            said = str(self.entry(turn % OTHERS)["answer"])
            if not self.right(problem, said.strip()):
                return said
        raise UsageError(f"{self.name} has no wrong answer to {self.render(problem)[:80]!r}")

    def extract(self, text: str) -> Any:
        """Return what stands in the last answer tags, behind the last "answer is", or all of it; of that the last box.

        "A wrong answer is" announces nothing.
        """
        marked = _MARKED.findall(text)
        if marked:
            said: str = marked[-1]
        else:
            *announced, everything = places(text, ANSWER_OR_RESULT)
            said = announced[-1] if announced else everything
        boxed = _BOXED.findall(said)
        return (boxed[-1] if boxed else said).strip() or None

    @cached_property
    def package(self) -> Any:
        """Return a dataset of the package: scorers are its methods."""
        return dataset(self.generator, 0)

    def _made(self, seed: int) -> dict[str, Any]:
        with _quiet():
            return dataset(self.generator, seed)[0]


def dataset(generator: str, seed: int) -> Any:
    """Return a dataset of the package, for one problem."""
    return _loaded().create_dataset(generator, seed=seed, size=1)


@lru_cache(1)
def _loaded() -> Any:
    """Import the package, which takes seconds."""
    import importlib

    return importlib.import_module("reasoning_gym")


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep what the package prints, and warns of, from what a program prints: one generator prints dots."""
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        yield


def _plain(said: str) -> str:
    return said.strip().strip("*`$").removesuffix(".").strip().strip("*`$").strip()


def _check_package() -> None:
    from importlib.metadata import PackageNotFoundError, version

    remedy = f'Install it: pip install "stratagem[gym]", which has reasoning-gym {AUDITED}.'
    try:
        found = version("reasoning-gym")
    except PackageNotFoundError:
        raise CapabilityError(f"suites `{PREFIX}` need the package reasoning-gym", remedy=remedy) from None
    if found != AUDITED:
        raise CapabilityError(f"reasoning-gym {found} was not audited, {AUDITED} was", remedy=remedy)
