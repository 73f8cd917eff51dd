"""Stop while the last call can still be paid for: what was done so far says what more of it will cost.

Rule 1: a limit of calls is exact. Those of tokens and money are judged by what a call has cost on average, that of time by
        the rate at which calls came back when most of them were under way at once.
Rule 2: what was never done has no price. It is begun, in a scope that leaves what the last calls need.
Rule 3: the last calls are priced as the dearest so far, but at what the core keeps free for them.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from stratagem.core import Budget, Run
from stratagem.errors import BudgetExhausted

T = TypeVar("T")
LIMITS = ("calls", "tokens", "prompt_tokens", "completion_tokens", "usd", "seconds")
PLAIN = "The core keeps a bound of every prompt free, and most models tell less than that. " * 5
LETTERS = 4  # of plain text in a token
UNKNOWN = 0.25  # share of what is left that is kept for the last calls, before anything has a price
LATER = 1.1  # times: two calls alike do not take the same time


class Pace:
    """What the calls of a run have cost since this was made. What branches beside it spend meanwhile counts as well.

    Args:
        run: whose budget it is.

    Attributes:
        limits: those that the run has, of `LIMITS`.
        before: what was spent when this was made.
        seen: what was spent at the last look.
        dearest: what a call of the dearest wave has cost, by limit.
        fastest: fewest seconds for each of the calls that were under way at once.
        shortest: fewest seconds of a wave.
        done: the kinds of parts that were done.
        longest: tokens that a reply may have at most, or 0.
        loose: how many times what a prompt costs the core keeps free for it.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.limits = tuple(limit for limit in LIMITS if run.budget.remaining(limit) < math.inf)
        self.before = self.seen = self.spent()
        self.dearest = dict.fromkeys(LIMITS, 0.0)
        self.fastest = self.shortest = math.inf
        self.done: set[str] = set()
        self.longest = float(run.options.get("max_tokens") or 0)
        self.loose = max(1.0, run.tokens(PLAIN) * LETTERS / len(PLAIN)) if self.limits else 1.0

    @property
    def made(self) -> float:
        """How many calls were made."""
        return self.spent()["calls"] - self.before["calls"]

    def fits(self, calls: float, *, last: int = 0) -> float:
        """Return how many times so many more calls fit under all limits, if calls remain that must come last.

        Infinity without a limit, and for no calls at all.

        Args:
            calls: of one time.
            last: calls that are still to be paid for after them.
        """
        return self.times(self.limits, calls, last)

    async def within(
        self, name: str, calls: float, part: Callable[..., Awaitable[T]], *given: Any, last: int
    ) -> T | None:
        """Do a part of the work, or return None if it does not fit with the calls that come last.

        Args:
            name: of this kind of part.
            calls: that are paid for with this part.
            part: is awaited with the run to do it with, and `given`.
            given: what it is done with.
            last: calls that are still to be paid for after them.
        """
        known = self.limits if name in self.done else tuple(limit for limit in self.limits if limit == "calls")
        if self.times(known, calls, last) < 1:
            return None
        if all(limit == "calls" for limit in self.limits):
            return await part(self.run, *given)
        limits = self.without(last)
        try:
            async with self.run.scope(name, limits) as inner:
                done = await part(inner, *given)
        except BudgetExhausted as refusal:
            own = refusal.scope.rpartition("/")[2].partition("#")[0] == name
            if own and refusal.allowed == getattr(limits, refusal.limit):
                return None
            raise
        self.done.add(name)
        return done

    def times(self, limits: tuple[str, ...], calls: float, last: int) -> float:
        """Return how many times so many calls, and `last` ones once, fit under some of the limits."""
        if not limits:
            return math.inf
        spent = self.look()
        made = spent["calls"] - self.before["calls"]
        times = math.inf
        for limit in limits:
            if limit != "calls" and not made:
                continue
            room = self.run.budget.remaining(limit) - last * self.dear(limit)
            cost = calls * (
                1.0 if limit == "calls"
                else self.fastest if limit == "seconds"
                else (spent[limit] - self.before[limit]) / made
            )  # fmt: skip
            times = min(times, room / cost if cost else math.inf if room >= 0 else 0.0)
        return max(0.0, times)

    def dear(self, limit: str) -> float:
        """Return the price of a call that must not fail."""
        if limit == "calls":
            return 1.0
        if limit == "seconds":  # no call of a wave takes longer than all of it
            return 0.0 if self.shortest == math.inf else self.shortest * LATER
        asked, said = self.dearest["prompt_tokens"], self.dearest["completion_tokens"]
        prompt, reply = asked * self.loose, max(said, self.longest)
        if limit == "usd":
            return self.dearest[limit] * (prompt + reply) / ((asked + said) or 1)
        return {"tokens": prompt + reply, "prompt_tokens": prompt, "completion_tokens": reply}[limit]

    def without(self, last: int) -> Budget:
        """Return all that is left but for the price of the last calls."""
        self.look()
        limits: dict[str, float] = {}
        for limit in self.limits:
            left = self.run.budget.remaining(limit)
            unknown = 0.0 if self.dearest["calls"] or limit == "calls" else left * UNKNOWN
            room = max(0.0, left - last * max(self.dear(limit), unknown))
            limits[limit] = room if limit in ("usd", "seconds") else int(room)
        return Budget(**limits)  # pyright: ignore[reportArgumentType]  (whole numbers where they are wanted)

    def look(self) -> dict[str, float]:
        """Return what is spent, and learn from the calls since the last look."""
        spent = self.spent()
        since = {limit: spent[limit] - self.seen[limit] for limit in spent}
        if since["calls"]:
            for limit in LIMITS:
                self.dearest[limit] = max(self.dearest[limit], since[limit] / since["calls"])
            self.fastest = min(self.fastest, since["seconds"] / since["calls"])
            self.shortest = min(self.shortest, since["seconds"])
        self.seen = spent
        return spent

    def spent(self) -> dict[str, float]:
        """Return what the run has spent, by limit."""
        spent = self.run.budget.spent
        return {limit: float(getattr(spent, limit) or 0) for limit in LIMITS}


async def paced(run: Run, one: Callable[[Run, int], Awaitable[bool]], n: int) -> None:
    """Do something `n` times, all at once; under limits only as often as can be paid for to its end.

    Under limits it is done alone until one has come to its end, which says what the others will take. Then as many as that pays
    for are done at once, and again while something is left. A refusal ends it; one that leaves nothing of what was at once is raised.

    Args:
        run: whose branches do it.
        one: gets a run and a number from 0; returns whether it came to its end.
        n: how often at most.
    """
    pace, done, whole = Pace(run), 0, 0.0
    while done < n:
        wave = 1 if pace.limits and not whole else int(min(n - done, pace.fits(whole)))
        if not wave:
            return
        before = pace.made if pace.limits else 0
        ended = await run.map(one, range(done, done + wave), tolerate=(BudgetExhausted,))
        if len(ended) < wave:
            return
        done += wave
        if pace.limits and any(ended):
            whole = max(whole, (pace.made - before) / wave)
