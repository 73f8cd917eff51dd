"""200 branches against a cap of 150 calls: exactly 150 are performed, whatever their order."""

import asyncio
from typing import Any

from benchmarks import world
from benchmarks.measure import Report, collector, cpu, smallest
from stratagem.core import Budget, Run, Task
from stratagem.errors import BudgetExhausted

BRANCHES, CAP = 200, 150


class Counting(world.Paced):
    """Counts how many requests reach it, and how many are with it at once."""

    def __init__(self, pace_s: float) -> None:
        super().__init__(pace_s)
        self.calls = self.now = self.most = 0

    async def _later(self, reply: Any) -> Any:
        self.calls, self.now = self.calls + 1, self.now + 1
        self.most = max(self.most, self.now)
        try:
            return await super()._later(reply)
        finally:
            self.now -= 1


async def capped(branches: int, cap: int, pace_s: float) -> tuple[int, int, int]:
    """Return how many calls were performed, how many branches were refused, and the most calls at once."""
    model = Counting(pace_s)
    run, task = world.begun(world.services(model), limits=(Budget(calls=cap),)), Task(world.QUESTION, output=int)
    refused = 0

    async def branch(run: Run, _: int) -> None:
        nonlocal refused
        try:
            await world.one(run, task)
        except BudgetExhausted:
            refused += 1

    await run.map(branch, range(branches))
    return model.calls, refused, model.most


def measure(
    report: Report, *, branches: int = BRANCHES, cap: int = CAP, pace_s: float = 0.02, repeats: int = 5
) -> None:
    """Print what was performed, and what the cap costs."""
    report.title("cap", f"{branches} branches, one call each, under `calls={cap}`")
    performed, refused, most = asyncio.run(capped(branches, cap, pace_s))
    report.judged("calls above the cap", max(0, performed - cap), "calls", most=0, ratio=True)
    report.judged("calls below what the cap allows", max(0, cap - performed), "calls", most=0, ratio=True)
    report.shown("performed, refused, most at once", performed, "calls", f"{refused} refused, {most} at once")
    with collector(owner=True):
        best = smallest(
            repeats,
            free=lambda: cpu(lambda: capped(branches, 10 * branches, 0)),
            capped=lambda: cpu(lambda: capped(branches, cap, 0)),
        )
    report.shown("yardstick: the same with room for all", best["free"] * 1000, "ms CPU")
    report.shown("  with the cap, of that", best["capped"] / best["free"], "x", f"{best['capped'] * 1000:.1f} ms CPU")
