"""How an effect is looked up, admitted, performed, billed and recorded. Core only.

Rule 1: look up first. What is recorded is settled at its recorded usage and returned, and nothing is performed.
Rule 2: durable before the program sees it: the row's awaitable is awaited before the value is returned.
Rule 3: cancellation is never recorded; what was started and cancelled is billed to this process, since it may have
        been performed.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from stratagem.core._admission import admit, caps, learn_if_limited, nothing, price, refuse
from stratagem.core._attempt import FAILED, addressed, came_by, cost_of, deltas, in_time, keeps_time, no_reply, paid
from stratagem.core._book import Key, calls_of
from stratagem.core._budget import ONE_CALL, Need, reserve, settle_again
from stratagem.core._canonical import Json, decoded, encoded, encoded_clean, hashed, text_of
from stratagem.core._divergence import diverged
from stratagem.core._journal import Kind, Row
from stratagem.core._late import asyncio
from stratagem.core._model import Reply, Request, Sample, sample_bytes
from stratagem.core._options import TIMEOUT_S
from stratagem.core._strand import Place, Strand
from stratagem.core._values import Usage
from stratagem.core._world import World
from stratagem.errors import (
    NOT_PERFORMED,
    BadReply,
    BudgetExhausted,
    Diverged,
    StratagemError,
    Suspended,
    record,
    revive,
)

UNWRITABLE = (ValueError, TypeError, AttributeError, RecursionError)  # of a draw that is no text, or no JSON
BREATH = 64  # effects of a run without a pause after which siblings, timers and Ctrl-C get a turn
_NEVER = b"", b""
_TAGS: dict[str, bytes] = {
    "tool": b"o",
    "memory": b"m",
    "wait": b"w",
    "decision": b"d",
    "order": b"p",
    "reset": b"e",
    "intent": b"i",
}


Drawn = tuple[Sample, int]  # a draw, and the number of its effect in this run (-1 if a parent run has it)


def draw(strand: Strand, request: Request) -> Drawn | Coroutine[Any, Any, Drawn]:
    """Return one draw of a request, or what to await for it.

    A call that has to wait for nothing, because model and journal answer at once and every budget has room, is done
    when this returns.
    """
    world = strand.world
    strand.steps += 1
    place = (*strand.place, strand.steps)
    if world.book.recorded:
        row = world.book.take((request.path, request.digest, request.occurrence))
        if row is not None:
            return drawn_again(strand, request, place, row)
    if world.replaying:
        raise diverged(world, request, request_form(world, request))
    capped, counted, timed, _, costs = strand.flags
    if costs or timed or not world.gate.open:
        return _drawn_later(strand, request, place)
    need = price(strand, request) if counted else ONE_CALL
    for meter in strand.meters:
        if meter.refused is not None or (meter.capped and meter.short(need)):
            return _drawn_later(strand, request, place)
    if capped:
        reserve(strand.meters, need)
    world.asked.append((request, place, False))
    return performed(strand, request, need)


async def _drawn_later(strand: Strand, request: Request, place: Place) -> Drawn:
    """Return one draw that may have to wait for its admission."""
    world = strand.world
    await learn_if_limited(strand, request.head.model)
    try:
        need = await admit(strand, lambda: price(strand, request))
    except BudgetExhausted as refusal:
        key: Key = (request.path, request.digest, request.occurrence)
        await unperformed(world, "model", key, request_form(world, request), refusal)
        raise
    world.asked.append((request, place, False))
    made = performed(strand, request, need)
    return made if isinstance(made, tuple) else await made


def performed(strand: Strand, request: Request, need: Need, sample: int = -1) -> Drawn | Coroutine[Any, Any, Drawn]:
    """Begin one attempt. What a model answers at once is recorded at once."""
    world, services = strand.world, strand.world.services
    clock, model = services.clock, request.head.model
    if world.feeds:
        world.emit("effect.requested", strand.path, kind="model", name=request.signature.name, model=model.spec)
    services.in_flight += 1
    begun = clock.stamp()
    request.run = world.run_id
    if strand.flags[1] or strand.flags[2]:
        addressed(strand, request)
    try:
        made = model.complete(request, on_delta=deltas(strand) if world.feeds else None)
    except StratagemError as failure:
        return _in_the_end(strand, request, need, sample, begun, failure)
    except BaseException:
        services.in_flight -= 1
        paid(strand, request, need, FAILED, request.n)
        raise
    if request.n != 1 or world.feeds or request.max_tokens is not None:
        return _in_the_end(strand, request, need, sample, begun, made)
    if type(made) is not Reply:
        wait = _in_the_end if strand.flags[2] else _awaited
        return wait(strand, request, need, sample, begun, made)  # pyright: ignore[reportArgumentType]
    try:
        (drawn,) = made.samples
        result = sample_bytes(drawn)
    except UNWRITABLE:
        return _in_the_end(strand, request, need, sample, begun, made)  # which says what is wrong
    durable, seq = _kept(strand, request, need, sample, begun, result, made.usage)
    if durable is not None or world.turns % BREATH == 0:
        return _waited(durable, (drawn, seq))
    return drawn, seq


def _kept(
    strand: Strand, request: Request, need: Need, sample: int, begun: int, result: bytes, usage: Usage | None
) -> tuple[Awaitable[None] | None, int]:
    """Settle and record an attempt that brought its one draw; return what makes it durable, and its row's number."""
    world, services = strand.world, strand.world.services
    if strand.flags[0]:
        paid(strand, request, need, usage, 1)
    else:
        for meter in strand.meters:
            meter.spend(usage, 1)
    services.in_flight -= 1
    world.turns += 1
    book = world.book
    seq = book.seq
    durable = book.add(
        "model", (request.path, request.digest, request.occurrence), request_form(world, request), result,
        world.times(begun), usage, False, sample, world.alone(),
    )  # fmt: skip
    book.performed += 1
    return durable, seq


def _recorded(
    strand: Strand, request: Request, need: Need, sample: int, begun: int,
    results: list[bytes], usage: Usage | None,
) -> tuple[int, Awaitable[None] | None]:  # fmt: skip
    """Settle and record an attempt that brought draws; return the first row's number, and what makes all durable."""
    world, services = strand.world, strand.world.services
    book, times = world.book, world.times(begun)
    paid(strand, request, need, usage, request.n)
    services.in_flight -= 1
    first, durable, alone = book.seq, None, world.alone()
    for number, result in enumerate(results):
        key: Key = (request.path, request.digest, request.occurrence + number)
        cost = usage if number == 0 else None
        durable = book.add("model", key, request_form(world, request), result, times, cost, False, sample, alone)
    book.performed += 1
    return first, durable


async def _awaited(
    strand: Strand, request: Request, need: Need, sample: int, begun: int, pending: Awaitable[Reply]
) -> Drawn:
    """Wait for the usual: one draw, of which nobody hears and which no limit of seconds cuts short.

    Thousands of these wait at once, so it is one coroutine. What is not as usual goes on where everything is looked at.
    """
    services, limit = strand.world.services, float(request.options.get("timeout_s", TIMEOUT_S))
    made: Reply | Awaitable[Reply] | StratagemError
    try:
        if keeps_time(request):
            made = await pending
        else:
            async with services.clock.limit(limit):
                made = await pending
    except TimeoutError:
        made = no_reply(request, limit)
    except StratagemError as failure:
        made = failure
    except BaseException as left:
        services.in_flight -= 1
        paid(strand, request, need, cost_of(left), 1)
        raise
    if type(made) is Reply:
        try:
            (drawn,) = made.samples
            result = sample_bytes(drawn)
        except UNWRITABLE:
            pass  # `_in_the_end` says what is wrong
        else:
            durable, seq = _kept(strand, request, need, sample, begun, result, made.usage)
            if durable is not None:
                await durable
            elif strand.world.turns % BREATH == 0:
                await asyncio.sleep(0)
            return drawn, seq
    elif not isinstance(made, StratagemError):
        made = _said(made)
    end = _in_the_end(strand, request, need, sample, begun, made)
    del made  # what is raised holds this frame
    return await end


async def _said(reply: Reply) -> Reply:
    """Return what stands for a reply, to be looked at like one that is still awaited."""
    return reply


async def _waited(durable: Awaitable[None] | None, drawn: Drawn) -> Drawn:
    """Return a draw once its row is durable; let others have a turn."""
    if durable is None:
        await asyncio.sleep(0)
    else:
        await durable
    return drawn


async def _in_the_end(
    strand: Strand, request: Request, need: Need, sample: int, begun: int,
    made: Reply | Awaitable[Reply] | StratagemError,
) -> Drawn:  # fmt: skip
    """Wait for a reply, and return its first draw."""
    draws = all_draws(strand, request, need, sample, begun, made)
    del made  # what is raised holds this frame
    return (await draws)[0]


async def all_draws(
    strand: Strand, request: Request, need: Need, sample: int, begun: int,
    made: Reply | Awaitable[Reply] | StratagemError,
) -> tuple[Drawn, ...]:  # fmt: skip
    """Wait for a reply; bill and record it, or the failure that came instead."""
    world, services = strand.world, strand.world.services
    usage: Usage | None = FAILED
    failure: StratagemError | None = None
    samples: tuple[Sample, ...] = ()
    results: list[bytes] = []
    try:
        if isinstance(made, StratagemError):
            raise made
        reply = made if type(made) is Reply else await in_time(strand, request, made)  # pyright: ignore[reportArgumentType]
        usage, samples = reply.usage, reply.samples
        results = _checked(strand, request, samples)
    except StratagemError as raised:
        if isinstance(raised, NOT_PERFORMED) and raised.usage is None:
            services.in_flight -= 1
            paid(strand, request, need, None, 0)
            raise
        failure = raised
        if raised.usage is not None:
            usage = raised.usage
    except BaseException as left:
        services.in_flight -= 1
        paid(strand, request, need, cost_of(left), request.n)
        raise
    first = world.book.seq
    if failure is None:
        first, durable = _recorded(strand, request, need, sample, begun, results, usage)
    else:
        paid(strand, request, need, usage, request.n)
        services.in_flight -= 1
        durable, times, error = None, world.times(begun), encoded(record(failure))
        for number in range(request.n):  # each draw was a call
            key: Key = (request.path, request.digest, request.occurrence + number)
            cost = usage if number == 0 and usage is not None else FAILED
            durable = world.book.add(
                "model", key, request_form(world, request), error, times, cost, True, sample, world.alone()
            )
        world.book.performed += 1
    if world.feeds:
        over = (
            usage.tokens - need.prompt - need.completion if usage is not None and need.prompt + need.completion else 0
        )
        more: dict[str, Json] = dict(samples[0].via or {}) if samples else came_by(failure)
        if over > 0:
            more["overshoot"] = over
        if any(drawn.finish == "length" for drawn in samples):
            more["cut"] = True
        took = (services.clock.stamp() - begun) / 1e6
        finished(strand, "model", request.signature.name, took, failure, usage, **more)
    await settled(strand, durable)
    try:
        if failure is not None:
            raise failure
        return tuple((drawn, first + number) for number, drawn in enumerate(samples))
    finally:
        del failure, made  # it holds this frame


def _checked(strand: Strand, request: Request, samples: tuple[Sample, ...]) -> list[bytes]:
    """Return draws as bytes; refuse what is no reply: too few, or one cut off by what the budget had left."""
    if len(samples) != request.n:
        raise BadReply(f"{request.head.spec} sent {len(samples)} draws instead of {request.n}")
    try:
        results = [sample_bytes(drawn) for drawn in samples]
    except UNWRITABLE as failure:
        raise BadReply(f"{request.head.spec} sent what is no reply: {type(failure).__name__}: {failure}") from None
    derived = request.max_tokens is not None and request.max_tokens < request.head.model.capabilities.max_output
    if derived and any(drawn.finish == "length" for drawn in samples):
        _, tightest, limit = min(caps(strand, request), key=lambda one: one[0])  # the one that the cap was derived from
        raise refuse(strand, tightest.refuse(limit))
    return results


async def settled(strand: Strand, durable: Awaitable[None] | None) -> None:
    """Wait until a row is durable; where nothing is waited for, let others have a turn now and then."""
    if durable is not None:
        await durable
        return
    world = strand.world
    world.turns += 1
    if world.turns % BREATH == 0:
        await asyncio.sleep(0)


def drawn_again(strand: Strand, request: Request, place: Place, row: Row) -> Drawn:
    world = strand.world
    base = world.book.base
    own = not base or (row.path, row.digest, row.occurrence) not in base
    settle_again(strand.meters, row.usage, calls_of(row), own=own)
    form = decoded(row.result)
    error = revive(form) if row.failed else None
    if isinstance(error, BudgetExhausted):
        refuse(strand, error)
    if not isinstance(error, BudgetExhausted) or row.usage is not None:
        world.asked.append((request, place, True))
    if error is not None:
        raise error
    return Sample.of(form), row.seq if own else -1


def request_form(world: World, request: Request) -> bytes:
    """Return what the journal keeps of a request: what earlier rows have is referred to, not repeated."""
    book, digest = world.book, request.digest
    latest, known = book.latest.get(request.head, _NEVER)
    if latest == digest and known:
        return known
    form = f'{{"head":{book.head(request.head.digest, request.head.form)},"message":{book.text(request.message)}'
    if request.steps is not None:
        form += f',"steps":{book.steps(request.steps)}'
    if request.repair:
        form += f',"repair":{text_of([list(texts) for texts in request.repair])}'
    if request.attached:
        form += f',"attached":{book.attached(request.attached)}'
    if request.head.dropped:
        form += f',"dropped":{text_of(sorted(request.head.dropped))}'
    made = (form + "}").encode()
    # The second form of a request refers to what the first one brought, and all after it are like it.
    book.latest[request.head] = digest, made if latest == digest else b""
    return made


async def unperformed(
    world: World, kind: Kind, key: Key, form: bytes, refusal: BudgetExhausted, sample: int = -1
) -> None:
    """Record that a budget refused an effect: history, if the program goes on."""
    times = world.times(world.services.clock.stamp())
    alone = world.alone()
    result = encoded(record(refusal))
    durable = world.book.add(kind, key, form, result, times, None, True, sample, alone)
    if durable is not None:
        await durable


async def journaled(
    strand: Strand, kind: Kind, form: Json, perform: Callable[[], Awaitable[Json]], said: Json,
    facts: Callable[[Json], dict[str, Json]] = lambda _: {},
) -> Json:  # fmt: skip
    """Perform and record an effect that is neither a model call nor a tool, or return what is recorded of it.

    Args:
        strand: that asks.
        kind: of the effect.
        form: the request; its first key is the effect's name.
        perform: performs it and returns its value as JSON.
        said: what listeners are told of the request, by name.
        facts: what they are told of its value.
    """
    world, services = strand.world, strand.world.services
    request = encoded_clean(form)
    digest = digest_of(kind, request)
    key: Key = (strand.path, digest, strand.occurrence(digest))
    strand.next()
    row, value = recorded(strand, key, request)
    if row is not None:
        return value
    try:
        await admit(strand, nothing)
    except BudgetExhausted as refusal:
        await unperformed(world, kind, key, request, refusal)
        raise
    if world.feeds:
        world.emit("effect.requested", strand.path, kind=kind, name=next(iter(form)), arguments=said)
    services.in_flight += 1
    begun = services.clock.stamp()
    failure: StratagemError | None = None
    try:
        value = await perform()
    except NOT_PERFORMED:
        raise
    except StratagemError as raised:
        failure, value = raised, record(raised)
    finally:
        services.in_flight -= 1
    times = world.times(begun)
    durable = world.book.add(
        kind, key, request, encoded_clean(value), times, None, failure is not None, -1, world.alone()
    )
    world.book.performed += 1
    if world.feeds:
        more = facts(value) if failure is None else {}
        finished(strand, kind, next(iter(form)), times[2] / 1e6, failure, None, **more)
    await settled(strand, durable)
    if failure is not None:
        raise failure
    return value


def recorded(strand: Strand, key: Key, request: bytes) -> tuple[Row | None, Json]:
    """Return the row of a recorded effect and its value; a recorded error is raised again."""
    world = strand.world
    if world.book.recorded and (row := world.book.take(key)) is not None:
        if not row.failed:
            return row, decoded(row.result)
        error = revive(decoded(row.result))
        if isinstance(error, BudgetExhausted):
            refuse(strand, error)
        raise error
    if world.replaying:
        raise Diverged(strand.path, request.decode(), "", ())
    return None, None


def decided(strand: Strand, form: Json, read: Callable[[], Json], kind: Kind = "decision") -> Json:
    """Return what a program may branch on: recorded without waiting, in the order of the log."""
    world = strand.world
    request = encoded(form)
    digest = digest_of(kind, request)
    key: Key = (strand.path, digest, strand.occurrence(digest))
    row, value = recorded(strand, key, request)
    if row is not None:
        return value
    if world.gate.parked:
        raise Suspended("the run is parked")  # what is seen while it unwinds is not what the program decides on
    value = read()
    times = world.times(world.services.clock.stamp())
    durable = world.book.add(kind, key, request, encoded(value), times)
    if isinstance(durable, asyncio.Future):
        durable.add_done_callback(lambda done: done.cancelled() or done.exception())  # the next effect meets it too
    return value


def digest_of(kind: str, request: bytes) -> bytes:
    """Return the digest of an effect that is no model call."""
    return hashed(_TAGS[kind] + request)


def finished(
    strand: Strand,
    kind: str,
    name: str,
    seconds: float,
    failure: StratagemError | None,
    usage: Usage | None,
    **facts: Json,
) -> None:
    """Tell listeners that an effect has ended; of a tool, `text` is the first line of its result."""
    strand.world.emit(
        "effect.finished", strand.path, kind=kind, name=name, n=strand.world.book.seq - 1, seconds=round(seconds, 6),
        error=None if failure is None else record(failure), usage=None if usage is None else usage.plain(), **facts,
    )  # fmt: skip
