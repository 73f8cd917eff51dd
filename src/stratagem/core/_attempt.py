"""One attempt at a model: what the model is told, how long it may take, and what it cost if nothing came. Core only."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stratagem.core._admission import CLOCKS_DIFFER_S, refuse, seconds_left
from stratagem.core._budget import Meter, Need, need_of, reserve, settle
from stratagem.core._canonical import Json
from stratagem.core._model import Reply, Request
from stratagem.core._options import TIMEOUT_S
from stratagem.core._strand import Strand
from stratagem.core._values import Usage
from stratagem.errors import NoReply, StratagemError

FAILED = Usage(calls=1)
NOTHING, NOT_USED = Need(), Usage()


class Room:
    """What the budgets keep free for failed attempts of one call, beside what is reserved for the next.

    Attributes:
        before: what earlier models of a chain have cost.
    """

    __slots__ = ("_kept", "_meters", "before")

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters, self._kept, self.before = meters, NOTHING, NOT_USED

    def covers(self, spent: Usage) -> bool:
        """Return whether another attempt fits beside what failed ones have cost, which is set aside then."""
        need = need_of(self.before + spent, 0)
        more = Need(0, *(max(0, part - kept) for part, kept in zip(need[1:], self._kept[1:], strict=True)))
        if any(meter.refused is not None or meter.over(more) for meter in self._meters):
            return False
        reserve(self._meters, more)
        self._kept = Need(*map(sum, zip(self._kept, more, strict=True)))
        return True

    def free(self) -> None:
        """Give back what was set aside: the call has ended, and is settled."""
        if self._kept is not NOTHING:
            kept, self._kept = self._kept, NOTHING
            settle(self._meters, kept, None, 0)


def addressed(strand: Strand, request: Request) -> None:
    """Tell a model whose request it is, and within what it has to stay."""
    request.run = strand.world.run_id
    if strand.flags[1]:
        request.room = Room(strand.meters)
    if strand.timed:
        request.within_s = seconds_left(strand)[0]


def paid(strand: Strand, request: Request, need: Need, usage: Usage | None, calls: int) -> None:
    """Turn what was reserved for a call into what it cost."""
    if request.room is not None:
        request.room.free()
    settle(strand.meters, need, usage, calls)


def cost_of(failure: BaseException) -> Usage:
    """Return what was spent before something was raised, as far as whoever raised it says so."""
    told: Usage | None = vars(failure).get("usage")
    if told is None and isinstance(failure, TimeoutError) and failure.__context__ is not None:
        return cost_of(failure.__context__)  # the cancellation that the end of a time limit was
    return FAILED if told is None else told


def came_by(failure: StratagemError | None) -> dict[str, Json]:
    """Return what listeners are told of how a failure was come by."""
    tries: tuple[str, ...] = getattr(failure, "tries", ())
    return {"attempts": list(tries)} if tries else {}


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
        if tightest is None or tightest.left("seconds", strand.world.active()) >= CLOCKS_DIFFER_S:
            raise _billed(no_reply(request, limit), cost_of(late)) from None
        raise _billed(refuse(strand, tightest.refuse("seconds")), cost_of(late)) from None
    except StratagemError as ended:  # by a model that keeps to the budgets' seconds itself
        if tightest is None or not ended.out_of_time:
            raise
        raise _billed(refuse(strand, tightest.refuse("seconds")), ended.usage) from None


def _billed(failure: StratagemError, usage: Usage | None) -> StratagemError:
    failure.usage = usage
    return failure


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
