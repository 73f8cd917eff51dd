"""One attempt at a model: what the model is told, how long it may take, and what it cost if nothing came. Core only."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from stratagem.core._admission import CLOCKS_DIFFER_S, refuse, seconds_left
from stratagem.core._budget import Need
from stratagem.core._model import Reply, Request
from stratagem.core._options import TIMEOUT_S
from stratagem.core._strand import Strand
from stratagem.core._values import Usage
from stratagem.errors import NoReply, StratagemError

FAILED = Usage(calls=1)


def addressed(strand: Strand, request: Request, need: Need) -> None:
    """Tell a model whose request it is, and within what it has to stay."""
    request.run, request.nano = strand.world.run_id, need.nano
    if strand.timed:
        request.within_s = seconds_left(strand)[0]


def cost_of(failure: BaseException) -> Usage:
    """Return what was spent before something was raised, as far as whoever raised it says so."""
    told: Usage | None = vars(failure).get("usage")
    if told is None and isinstance(failure, TimeoutError) and failure.__context__ is not None:
        return cost_of(failure.__context__)  # the cancellation that the end of a time limit was
    return FAILED if told is None else told


async def in_time(strand: Strand, request: Request, pending: Awaitable[Reply]) -> Reply:
    """Wait for a reply, as long as its time-out and the budgets allow."""
    limit = float(request.options.get("timeout_s", TIMEOUT_S))
    left, tightest = seconds_left(strand) if strand.timed else (math.inf, None)
    if keeps_time(request):
        limit = math.inf
    if limit == left == math.inf:
        return await pending
    try:
        async with strand.world.services.clock.limit(min(limit, left)):
            return await pending
    except TimeoutError as late:
        failure: StratagemError
        if tightest is not None and tightest.left("seconds", strand.world.active()) < CLOCKS_DIFFER_S:
            failure = tightest.refuse("seconds")
            refuse(strand, failure)
        else:
            failure = no_reply(request, limit)
        failure.usage = cost_of(late)
        raise failure from None


def keeps_time(request: Request) -> bool:
    """Return whether the model keeps to `timeout_s` by itself: one that lets calls wait their turn does not count that."""
    return getattr(request.head.model, "keeps_time", False)


def no_reply(request: Request, limit: float) -> NoReply:
    """Return what a model is said to have done that the core gave up waiting for."""
    return NoReply(f"{request.head.spec} did not answer within {limit:g} s", remedy="Raise `timeout_s`.")


def deltas(strand: Strand) -> Callable[[Any], None]:
    """Return what hears the pieces of a reply, and tells the listeners."""
    world, path = strand.world, strand.path

    def hand(delta: Any) -> None:
        world.emit("text.delta", path, text=delta.text, sample=delta.sample, attempt=delta.attempt)

    return hand
