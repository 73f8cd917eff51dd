"""Is anybody there? One small request to each server, at once, and each with a time limit.

Nothing is asked here of a model: the list of models is, which costs nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from stratagem.core import Clock, SystemClock
from stratagem.models.keys import Key, origin_of, proposed
from stratagem.models.retry import Failure
from stratagem.models.transport import ERROR_BYTES, Access, Times, Transport

LIMIT_S = 5.0


class Place(NamedTuple):
    """A server to ask.

    Attributes:
        title: its name.
        url: where its list of models stands beneath.
        key: what authorises requests there.
        access: how it is reached.
    """

    title: str
    url: str
    key: Key
    access: Access


class Reached(NamedTuple):
    """Whether a server answers, how, and whether that is as it should be."""

    reachable: bool
    said: str
    sound: bool = True


async def reach(places: Sequence[Place], limit_s: float = LIMIT_S, clock: Clock | None = None) -> list[Reached]:
    """Ask servers for their lists of models, all at once; return what came of each within so many seconds."""
    clock = clock if clock is not None else SystemClock()
    return await asyncio.gather(*(_reached(place, limit_s, clock) for place in places))


async def _reached(place: Place, limit_s: float, clock: Clock) -> Reached:
    origin = origin_of(place.url)
    transport = Transport(clock, Times(limit_s, limit_s, limit_s), f"{place.title} ({origin})", place.access)
    headers = {"Accept": "application/json", "User-Agent": "stratagem", **place.key.headers(origin)}
    try:
        incoming = await transport.get(f"{place.url}/models", headers, clock.stamp() + round(limit_s * 1e6))
        try:
            if incoming.answered.status == 200:
                await incoming.whole(ERROR_BYTES)
        finally:
            incoming.close()
        return _meaning(incoming.answered.status, keyed=bool(place.key.headers(origin)), meant=proposed(place.url))
    except Failure as failure:
        return Reached(False, place.key.hidden(str(failure.error)))
    finally:
        await transport.aclose()


def _meaning(status: int, *, keyed: bool, meant: str = "") -> Reached:
    if status == 200:
        return Reached(True, "answers, and takes the key" if keyed else "answers")
    if status in (401, 403):
        return Reached(True, f"answers {status}: it {'does not take the key' if keyed else 'wants a key'}", sound=False)
    if 300 <= status < 400:
        return Reached(True, f"answers {status}: it sends requests on, where they are not sent", sound=False)
    hint = f"; is its address {meant}?" if status == 404 and meant else ""
    return Reached(True, f"answers {status} to a request for its models{hint}", sound=False)
