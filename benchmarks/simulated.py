"""A simulated model with its oracle, all in: calls per second of one core through strategies, on ladders and on Game of 24."""

from collections.abc import Sequence

from benchmarks.ladder import Ladder
from benchmarks.measure import Report, collector, cpu, smallest
from stratagem.core import Budget, Services, Strategy
from stratagem.lab._watch import WITNESS, Watched, Witness
from stratagem.lab._worker import driven
from stratagem.models.simulated import SimulatedModel
from stratagem.strategies import best_of_n, direct, self_consistency, tree_of_thoughts
from stratagem.tasks import Suite, suite

SPEC = "sim:skill=0.6,judge=0.8"


class Course:
    """Questions that a strategy is asked, one after the other, as a comparison does it."""

    def __init__(self, tasks: Suite, questions: Sequence[str], *, watched: bool) -> None:
        model = SimulatedModel(SPEC, tasks.oracle())
        self._services = Services(Watched(model) if watched else model, repairs=0, strict=True)
        self._tasks = [tasks.task(question) for question in questions]
        self.calls = 0

    async def run(self, strategy: Strategy) -> None:
        """Ask every question."""
        self.calls = 0
        for number, task in enumerate(self._tasks):
            WITNESS.set(Witness())
            self.calls += (await driven(strategy, task, Budget(), self._services, number)).usage.calls


def measure(report: Report, *, repeats: int = 10) -> None:
    """Print calls per second."""
    report.title("simulated", f"a simulated model and its oracle; the smallest of {repeats} rounds, warm")
    ladder = Ladder()
    ladders = [ladder.render(number) for number in range(10)]
    game = suite("game24")
    games = [one.question for one in game.items(10, seed=1)]
    voted = self_consistency.using(sampler=direct, n=100)
    rows: list[tuple[str, Course, Strategy, int | None]] = [
        ("map of 100 and a vote", Course(ladder, ladders, watched=False), voted, 25_000),
        ("  the same, watched as in `compare`", Course(ladder, ladders, watched=True), voted, None),
        ("  the same, chain of thought", Course(ladder, ladders, watched=True), self_consistency.using(n=100), None),
        ("  the same, Game of 24", Course(game, games, watched=True), self_consistency.using(n=100), None),
        ("best of 50, Game of 24", Course(game, games, watched=True), best_of_n.using(n=50), None),
        ("tree of thoughts, Game of 24", Course(game, games, watched=True), tree_of_thoughts, None),
    ]
    with collector(owner=True):
        for name, course, strategy, least in rows:
            best = smallest(repeats, took=lambda c=course, s=strategy: cpu(lambda: c.run(s)))
            rate = course.calls / best["took"]
            if least is None:
                report.shown(name, rate, "calls per s")
            else:
                report.judged(name, rate, "calls per s", least=least)
