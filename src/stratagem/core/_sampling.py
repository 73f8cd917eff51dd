"""How several draws of one request are made: admitted together, then one by one or in one native call. Core only."""

from collections.abc import Awaitable

from stratagem.core._admission import NOTHING, admit, learn_if_limited, price
from stratagem.core._attempt import FAILED, addressed, deltas, paid
from stratagem.core._book import Key
from stratagem.core._budget import Need, settle
from stratagem.core._divergence import diverged
from stratagem.core._effects import Drawn, all_draws, drawn_again, performed, request_form, unperformed
from stratagem.core._late import asyncio
from stratagem.core._model import Reply, Request
from stratagem.core._strand import Strand
from stratagem.errors import BudgetExhausted, StratagemError


async def drawn_together(strand: Strand, request: Request, n: int) -> list[Drawn]:
    """Return `n` draws of one request: the missing ones are reserved together, all or none."""
    world, recorded = strand.world, strand.world.book.recorded
    first = request.occurrence
    requests = [request, *(_again(request, strand.occurrence(request.digest)) for _ in range(n - 1))]
    keys: list[Key] = [(strand.path, one.digest, one.occurrence) for one in requests]
    missing = [place for place, key in enumerate(keys) if key not in recorded]
    if any(key in recorded and recorded[key].failed for key in keys):
        known = [one for one, key in zip(requests, keys, strict=True) if key in recorded]
        again = (_one_of(strand, one, first, NOTHING, set()) for one in known)
        return _unless_failed(await asyncio.gather(*again, return_exceptions=True))
    each = NOTHING
    if missing and not world.replaying:
        k = len(missing)
        await learn_if_limited(strand, request.head.model)
        try:
            together = await admit(strand, lambda: price(strand, request, k).times(k))
        except BudgetExhausted as refusal:
            await unperformed(world, "model", keys[missing[0]], request_form(world, request), refusal, first)
            raise
        each = Need(*(part // k for part in together))
        if k == n > 1 and request.head.model.capabilities.native_n:
            return [*await _drawn_natively(strand, request, requests, each)]
    for one in requests:
        one.max_tokens = request.max_tokens
    begun: set[int] = set()
    # Whatever one draw meets, the others are waited for: what was paid for is recorded.
    draws = (_one_of(strand, one, first, each, begun) for one in requests)
    try:
        return _unless_failed(await asyncio.gather(*draws, return_exceptions=True))
    finally:
        if each is not NOTHING and (k := len(missing) - len(begun)):  # cancelled before they began
            settle(strand.meters, each.times(k), None, 0)


def _unless_failed(found: list[Drawn | BaseException]) -> list[Drawn]:
    """Return the draws; raise what the first failed one met."""
    drawn: list[Drawn] = []
    one = None
    try:
        for one in found:
            if isinstance(one, BaseException):
                raise one
            drawn.append(one)
        return drawn
    finally:
        del one
        found.clear()  # a failure among them holds this frame


async def _one_of(strand: Strand, request: Request, first: int, need: Need, begun: set[int]) -> Drawn:
    """Return one draw of a sample, whose cost is reserved; `begun` are those that have taken theirs over."""
    world, place = strand.world, strand.next()
    row = world.book.take((request.path, request.digest, request.occurrence)) if world.book.recorded else None
    if row is not None:
        return drawn_again(strand, request, place, row)
    if world.replaying:
        raise diverged(world, request, request_form(world, request))
    world.asked.append((request, place, False))
    begun.add(request.occurrence)
    made = performed(strand, request, need, first)
    return made if isinstance(made, tuple) else await made


async def _drawn_natively(strand: Strand, request: Request, requests: list[Request], each: Need) -> tuple[Drawn, ...]:
    """Perform all draws in one request, as the provider offers it."""
    n = request.n = len(requests)
    for one in requests:
        strand.world.asked.append((one, strand.next(), False))
    need = each.times(n)
    world, services = strand.world, strand.world.services
    if world.feeds:
        world.emit("effect.requested", strand.path, kind="model", name=request.signature.name, model=request.head.spec)
    services.in_flight += 1
    begun = services.clock.stamp()
    addressed(strand, request)
    made: Reply | Awaitable[Reply] | StratagemError
    try:
        made = request.head.model.complete(request, on_delta=deltas(strand) if world.feeds else None)
    except StratagemError as failure:
        made = failure
    except BaseException:
        services.in_flight -= 1
        paid(strand, request, need, FAILED, n)
        raise
    return await all_draws(strand, request, need, request.occurrence, begun, made)


def _again(request: Request, occurrence: int) -> Request:
    return Request(
        request.signature, request.inputs, request.head, request.message, request.steps, request.repair,
        request.digest, request.path, occurrence, 1, request.max_tokens, request.seed, request.attached,
    )  # fmt: skip
