"""Operations on thoughts: how the next steps are generated, and how paths are valued.

Rule 1: scores are per vote, so that those of one operation can be compared whatever `votes` is.
Rule 2: an unreadable reply brings no thought and is nobody's vote. It ends neither the operation nor the search.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from stratagem.core import Marked, Positive, Run, Share, Task, Temperature, operation, signature
from stratagem.errors import UnparsedReply

Path = tuple[str, ...]
ROOT: Path = ()

# The weights of the authors' code: one "sure" outweighs any number of "likely".
VALUES = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}
HOPELESS = -math.inf  # the score of a path that a search must not follow


@dataclass(frozen=True)
class Choice:
    analysis: str
    number: Annotated[int, Marked("The best choice is", end=".")]


@signature
def list_steps(question: str, notes: tuple[str, ...], path: Path, count: int) -> tuple[str, ...]:
    """Propose up to `count` different next steps after the path so far, one per line."""
    ...


@signature
def write_step(question: str, notes: tuple[str, ...], path: Path) -> str:
    """Write the next step after the path so far, and only that."""
    ...


@signature
def value(question: str, path: Path) -> Literal["sure", "likely", "impossible"]:
    """Judge whether these steps can still lead to a correct solution."""
    ...


@signature
def vote(question: str, candidates: tuple[Path, ...]) -> Choice:
    """Analyse each candidate. Then decide which is most promising and give its number."""
    ...


@operation(calls="1", lower="1")
async def propose(run: Run, task: Task, path: Path, n: int) -> tuple[str, ...]:
    """Ask once for `n` different next thoughts."""
    try:
        return await run.ask(list_steps, question=task.question, notes=task.notes, path=path, count=n)
    except UnparsedReply:
        return ()


@operation(calls="n", lower="n")
async def sample(run: Run, task: Task, path: Path, n: int, *, temperature: Temperature = 0.7) -> tuple[str, ...]:
    """Draw `n` next thoughts that know nothing of each other."""
    hot = run.using(temperature=temperature)
    try:
        return tuple(await hot.sample(write_step, n, question=task.question, notes=task.notes, path=path))
    except UnparsedReply:
        return ()


@operation(calls="n * votes", lower="n * votes")
async def value_each(
    run: Run,
    task: Task,
    paths: tuple[Path, ...],
    *,
    votes: Positive = 3,
    threshold: Share = 0,
    temperature: Temperature = 0.7,
) -> tuple[float, ...]:
    """Value every path by itself, `votes` times; one whose mean value is below `threshold` is hopeless."""

    async def weigh(run: Run, path: Path) -> float:
        try:
            labels = await run.sample(value, votes, question=task.question, path=path)
        except UnparsedReply:
            labels = []
        mean = sum(VALUES[label] for label in labels) / votes
        return mean if mean >= threshold else HOPELESS

    return tuple(await run.using(temperature=temperature).map(weigh, paths))


@operation(calls="votes", lower="votes")
async def vote_across(
    run: Run, task: Task, paths: tuple[Path, ...], *, votes: Positive = 5, temperature: Temperature = 0.7
) -> tuple[float, ...]:
    """Show all paths and vote for the best; a score is the share of the votes."""
    if not paths:
        return ()
    hot = run.using(temperature=temperature)
    try:
        choices = await hot.sample(vote, votes, question=task.question, candidates=paths)
    except UnparsedReply:
        choices = []
    chosen = Counter(choice.number for choice in choices)
    return tuple(chosen[number] / votes for number, _ in enumerate(paths, 1))


def children(path: Path, thoughts: Sequence[str], most: int) -> tuple[Path, ...]:
    """Return the path's first `most` children, equal ones once.

    >>> children(("a",), ["b", "b", "c", "d"], 2)
    (('a', 'b'), ('a', 'c'))
    """
    return tuple((*path, thought) for thought in tuple(dict.fromkeys(thoughts))[:most])
