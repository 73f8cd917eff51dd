"""Strategies against what probability theory says of them: 10,000 simulated items each."""

import asyncio
import math
from collections.abc import Callable, Mapping

from benchmarks.ladder import Ladder
from benchmarks.measure import Report
from stratagem.core import Answer, Budget, Services, Strategy
from stratagem.judges.self_check import self_check
from stratagem.lab._watch import WITNESS, Watched, Witness
from stratagem.lab._worker import driven
from stratagem.lab.closed_forms import best_of, majority, retried, surviving
from stratagem.models.simulated import SimulatedModel
from stratagem.strategies import best_of_n, chain_of_thought, reflexion, self_consistency, tree_of_thoughts
from stratagem.strategies.search.tree_of_thoughts import value_each

ERRORS = 4.0  # standard errors within which a simulation agrees


async def answers(strategy: Strategy, spec: str, n: int) -> list[tuple[str, Answer]]:
    """Return the answers of a strategy to `n` ladders, each with its question."""
    suite = Ladder()
    services = Services(Watched(SimulatedModel(spec, suite.oracle())), repairs=0, strict=True)
    found: list[tuple[str, Answer]] = []
    for number in range(n):
        WITNESS.set(Witness())
        question = suite.render(number)
        found.append((question, await driven(strategy, suite.task(question), Budget(), services, number)))
    return found


def simulated(strategy: Strategy, spec: str, n: int) -> tuple[float, float]:
    """Return accuracy and calls per item."""
    suite = Ladder()
    found = asyncio.run(answers(strategy, spec, n))
    right = sum(suite.score(question, answer.text).right for question, answer in found)
    return right / n, sum(answer.usage.calls for _, answer in found) / n


trial = reflexion.using(actor=chain_of_thought, judge=self_check, trials=4)
SELDOM = "sim:skill=0.2,tpr=0.95,fpr=0.02,spread=5"  # right so seldom that late trials are reached
search = tree_of_thoughts.using(evaluate=value_each.using(votes=1), depth=3, width=3, branching=4)

CASES: Mapping[str, tuple[Strategy, str, Callable[[], float]]] = {
    "self_consistency(n=5)": (self_consistency.using(n=5), "sim:skill=0.6,spread=1", lambda: majority(0.6, 5)),
    "  one cause for 60 % of the draws": (
        self_consistency.using(n=9), "sim:skill=0.6,cause=0.6,spread=3", lambda: majority(0.6, 9, cause=0.6, spread=3),
    ),
    "best_of_n(n=5), a steady judge": (
        best_of_n.using(n=5), "sim:skill=0.4,tpr=0.9,fpr=0.2,spread=4", lambda: best_of(0.4, 5, 0.9, 0.2, spread=4),
    ),
    "reflexion(trials=4)": (
        trial, "sim:skill=0.4,tpr=0.9,fpr=0.2,spread=4", lambda: retried(0.4, 4, 0.9, 0.2, spread=4)[0],
    ),
    "  lessons that bring 30 %": (
        trial, "sim:skill=0.4,tpr=0.9,fpr=0.2,spread=4,lesson=0.3",
        lambda: retried(0.4, 4, 0.9, 0.2, lesson=0.3, spread=4)[0],
    ),
    "reflexion(trials=6), of low skill": (trial.using(trials=6), SELDOM, lambda: retried(0.2, 6, 0.95, 0.02, spread=5)[0]),
    "reflexion(trials=10), of low skill": (
        trial.using(trials=10), SELDOM, lambda: retried(0.2, 10, 0.95, 0.02, spread=5)[0],
    ),
    "reflexion(trials=4, memory=1), of low skill": (
        trial.using(memory=1), SELDOM, lambda: retried(0.2, 4, 0.95, 0.02, spread=5)[0],
    ),
    "reflexion(trials=10, memory=1), of low skill": (
        trial.using(trials=10, memory=1), SELDOM, lambda: retried(0.2, 10, 0.95, 0.02, spread=5)[0],
    ),
    "tree_of_thoughts, 3 levels, 3 of 4 a path": (
        search, "sim:step=0.3,tpr=0.8,fpr=0.2",
        lambda: surviving(0.3, 0.8, 0.2, depth=3, width=3, branching=4),
    ),
}  # fmt: skip


def deviation(found: float, expected: float, n: int) -> float:
    """Return by how many standard errors a share differs from what is expected."""
    return (found - expected) / math.sqrt(max(expected * (1 - expected), 1e-9) / n)


def measure(report: Report, *, items: int = 10_000) -> None:
    """Print the simulated and the expected accuracy of each."""
    report.title("closed_forms", f"accuracy of {items:,} simulated items each, and what theory says")
    for name, (strategy, spec, expected) in CASES.items():
        found, _ = simulated(strategy, spec, items)
        wanted = expected()
        off = deviation(found, wanted, items)
        report.judged(name, abs(off), "standard errors", most=ERRORS)
        report.shown("  accuracy", found, "", f"theory {wanted:.4f}")
