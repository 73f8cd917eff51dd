"""Stop while the last call can still be paid for: what was done so far says what more of it will cost.

Rule 1: a limit of calls is exact. Those of tokens and money are judged by what a call has cost on average, that of time by
        the rate at which calls came back when most of them were under way at once.
Rule 2: what was never done has no price. It is begun, in a scope that leaves what the last calls need.
Rule 3: the last calls are priced as the dearest so far, but at what the core keeps free for them.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stratagem.core import Budget, Run
from stratagem.errors import BudgetExhausted

T = TypeVar("T")
X = TypeVar("X")
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
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.limits = tuple(limit for limit in LIMITS if run.budget.remaining(limit) < math.inf)
        self._before = self._seen = self._spent()
        self._dearest = dict.fromkeys(LIMITS, 0.0)
        self._fastest = self._shortest = math.inf  # seconds for each of the calls at once, and of all of them
        self._done: set[str] = set()
        # What the core keeps free: of a prompt, how many times what it costs; of a reply, all that it may have.
        self._longest = float(run.options.get("max_tokens") or 0)
        self._loose = max(1.0, run.tokens(PLAIN) * LETTERS / len(PLAIN)) if self.limits else 1.0

    @property
    def made(self) -> float:
        """How many calls were made."""
        return self._spent()["calls"] - self._before["calls"]

    def fits(self, calls: float, *, last: int = 0) -> float:
        """Return how many times so many more calls fit under all limits, if calls remain that must come last.

        Infinity without a limit, and for no calls at all.

        Args:
            calls: of one time.
            last: calls that are still to be paid for after them.
        """
        return self._times(self.limits, calls, last)

    async def within(
        self, name: str, part: Callable[[Run, X], Awaitable[T]], given: X, calls: float, *, last: int
    ) -> T | None:
        """Do a part of the work, or return None if it does not fit with the calls that come last.

        Args:
            name: of this kind of part.
            part: gets the run to do it with, and `given`.
            given: what it is done with.
            calls: that are paid for with this part.
            last: calls that are still to be paid for after them.
        """
        known = self.limits if name in self._done else tuple(limit for limit in self.limits if limit == "calls")
        if self._times(known, calls, last) < 1:
            return None
        if all(limit == "calls" for limit in self.limits):
            done = await part(self._run, given)
        else:
            async with self._run.scope(name, self._without(last)) as inner:
                try:
                    done = await part(inner, given)
                except BudgetExhausted as refusal:
                    if refusal.scope != inner.strand.path:
                        raise
                    return None
        self._done.add(name)
        return done

    def _times(self, limits: tuple[str, ...], calls: float, last: int) -> float:
        if not limits:
            return math.inf
        spent = self._look()
        made = spent["calls"] - self._before["calls"]
        times = math.inf
        for limit in limits:
            if limit != "calls" and not made:
                continue
            room = self._run.budget.remaining(limit) - last * self._dear(limit)
            cost = calls * (
                1.0 if limit == "calls"
                else self._fastest if limit == "seconds"
                else (spent[limit] - self._before[limit]) / made
            )  # fmt: skip
            times = min(times, room / cost if cost else math.inf if room >= 0 else 0.0)
        return max(0.0, times)

    def _dear(self, limit: str) -> float:
        """Return the price of a call that must not fail."""
        if limit == "calls":
            return 1.0
        if limit == "seconds":  # no call of a wave takes longer than all of it
            return 0.0 if self._shortest == math.inf else self._shortest * LATER
        asked, said = self._dearest["prompt_tokens"], self._dearest["completion_tokens"]
        prompt, reply = asked * self._loose, max(said, self._longest)
        if limit == "usd":
            return self._dearest[limit] * (prompt + reply) / ((asked + said) or 1)
        return {"tokens": prompt + reply, "prompt_tokens": prompt, "completion_tokens": reply}[limit]

    def _without(self, last: int) -> Budget:
        """Return all that is left but for the price of the last calls."""
        self._look()
        limits: dict[str, float] = {}
        for limit in self.limits:
            left = self._run.budget.remaining(limit)
            unknown = 0.0 if self._dearest["calls"] or limit == "calls" else left * UNKNOWN
            room = max(0.0, left - last * max(self._dear(limit), unknown))
            limits[limit] = room if limit in ("usd", "seconds") else int(room)
        return Budget(**limits)  # pyright: ignore[reportArgumentType]  (whole numbers where they are wanted)

    def _look(self) -> dict[str, float]:
        """Return what is spent, and learn from the calls since the last look."""
        spent = self._spent()
        since = {limit: spent[limit] - self._seen[limit] for limit in spent}
        if since["calls"]:
            for limit in LIMITS:
                self._dearest[limit] = max(self._dearest[limit], since[limit] / since["calls"])
            self._fastest = min(self._fastest, since["seconds"] / since["calls"])
            self._shortest = min(self._shortest, since["seconds"])
        self._seen = spent
        return spent

    def _spent(self) -> dict[str, float]:
        spent = self._run.budget.spent
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
