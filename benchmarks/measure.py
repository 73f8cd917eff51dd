"""How figures are taken and judged.

Rule 1: CPU of the whole process (`time.process_time`: every thread, user and kernel), the smallest of several repeats.
Rule 2: what is compared is measured in turns in one process, so that a busy machine slows both.
Rule 3: absolute figures are for the report; only ratios can fail, and only under `--check`, with half as much again.
"""

import asyncio
import contextlib
import gc
import os
import platform
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

SLACK = 1.5  # a ratio may be so much worse before `--check` fails
STEADY = 1.2  # of a quiet machine: the middle one of `units`, of the smallest
TURNS = 20_000  # of the fixed loop
THRESHOLD = (50_000, 20, 100)  # what the `stratagem` command sets, as the owner of its process


@contextlib.contextmanager
def collector(*, owner: bool) -> Iterator[None]:
    """Set the garbage collector as the `stratagem` command does, or as Python does, and put it back.

    Args:
        owner: whether what exists is frozen and the thresholds are raised.
    """
    before = gc.get_threshold()
    gc.collect()
    if owner:
        gc.freeze()
        gc.set_threshold(*THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def cpu(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of one use, with the garbage of earlier ones out of the way.

    Args:
        work: what is measured; if it returns an awaitable that is awaited, in a loop that runs already.
    """

    async def main() -> float:
        gc.collect()
        began = time.process_time()
        waiting = work()
        if isinstance(waiting, Awaitable):
            await waiting
        return time.process_time() - began

    return asyncio.run(main())


def smallest(repeats: int, **cases: Callable[[], float]) -> dict[str, float]:
    """Return the smallest figure of each case; the cases take turns."""
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(repeats):
        for name, case in cases.items():
            best[name] = min(best[name], case())
    return best


def units() -> list[float]:
    """Return the CPU seconds of one turn of a fixed loop, measured some times: how fast this machine is now."""

    def turns() -> None:
        kept: dict[int, tuple[int, str]] = {}
        for number in range(TURNS):
            kept[number & 255] = (number, f"{number:x}")

    return sorted(cpu(turns) / TURNS for _ in range(9))


def advice(found: list[float]) -> str:
    """Return how far absolute figures can be trusted, from `units`."""
    waiting = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    spread, cores = found[len(found) // 2] / found[0], os.cpu_count() or 1
    if waiting <= cores and spread < STEADY:
        return "the machine is quiet"
    return f"the machine is busy ({waiting:.1f} processes for {cores} cores): trust the ratios; repeat a MISSED when it is quiet"


def resident() -> float | None:
    """Return the KB of memory that this process holds; None where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    except OSError:
        return None


class Report:
    """Prints figures as they come, and remembers the ratios that are missed.

    Args:
        say: takes each line.
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self.say = say
        self.met = self.missed = 0
        self.failed: list[str] = []

    def title(self, name: str, about: str) -> None:
        """Begin the part of one benchmark."""
        self.say(f"\n== {name}: {about}")

    def shown(self, name: str, value: float, unit: str, note: str = "") -> None:
        """Print a figure that has no target: a yardstick, or what is good to know."""
        self.say(f"   {name:56} {_number(value):>10} {unit:10} {note}".rstrip())

    def judged(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        most: float | None = None,
        least: float | None = None,
        ratio: bool = False,
    ) -> None:
        """Print a figure beside its target.

        Args:
            name: what it is.
            value: the figure.
            unit: of the figure; `x` for a ratio.
            most: the target, if smaller is better.
            least: the target, if larger is better.
            ratio: whether `--check` looks at it. A figure that depends on the machine alone is no ratio.
        """
        target = most if most is not None else least
        assert target is not None
        met = value <= target if most is not None else value >= target
        self.met, self.missed = self.met + met, self.missed + (not met)
        slack = value <= target * SLACK if most is not None else value >= target / SLACK
        if ratio and not slack:
            self.failed.append(f"{name}: {_number(value)} {unit}, target {_number(target)}")
        sign = "<=" if most is not None else ">="
        self.say(
            f"   {name:56} {_number(value):>10} {unit:10} target {sign} {_number(target)}: {'MET' if met else 'MISSED'}"
        )

    def skipped(self, name: str, why: str) -> None:
        """Print that something could not be measured."""
        self.say(f"   {name:56} {'-':>10} skipped: {why}")


def machine() -> str:
    """Return one line about where this was measured."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    )


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"
