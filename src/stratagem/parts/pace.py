"""Stop while the last call can still be paid for: what was done so far says what more of it will cost."""

import math

from stratagem.core import Run, Usage


def limited(run: Run) -> bool:
    """Return whether the calls, tokens or money of a run have a limit."""
    return any(run.budget.remaining(limit) < math.inf for limit in ("calls", "tokens", "usd"))


def fits(run: Run, since: Usage, calls: int = 0) -> float:
    """Return how many times so many more model calls fit under the budget; infinity without a limit.

    A limit of calls is exact. Those of tokens and money are judged by what a call has cost on average, so the first
    calls are always let through. What branches beside this one spend meanwhile counts as well.

    Args:
        run: whose budget it is.
        since: what `run.budget.spent` was when the calls that are averaged began.
        calls: how many; 0 is as many as were made since.
    """
    spent = run.budget.spent
    made = spent.calls - since.calls
    cost = {"calls": 1.0}
    if made:
        cost["tokens"] = (spent.tokens - since.tokens) / made
        cost["usd"] = ((spent.usd or 0) - (since.usd or 0)) / made
    each = calls or made or 1
    return min(run.budget.remaining(limit) / (one * each) if one else math.inf for limit, one in cost.items())
