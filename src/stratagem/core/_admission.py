"""When an effect may be performed, and what is reserved for it. Core only."""

import math
from collections.abc import Awaitable, Callable, Sequence

from stratagem.core._budget import NANO, ONE_CALL, Budget, Meter, Need, again, take, wait
from stratagem.core._canonical import text_of
from stratagem.core._model import Model, Request
from stratagem.core._strand import Strand
from stratagem.errors import BudgetExhausted, UsageError

NOTHING = Need()
IMAGE = 2000  # tokens of an image at most, where its provider's formula is not known
MANY = 1_000_000  # tokens, for the price of one
CLOCKS_DIFFER_S = 0.002  # the event loop's timers and the run's clock may tell the end of a limit a moment apart


def price(strand: Strand, request: Request, n: int = 1) -> Need:
    """Return the upper bound of what each of `n` draws of a request costs, which is reserved.

    The prompt's bound is the model's count of its text; the completion's is `max_tokens`, else the model's default
    capped by what remains. What is in flight does not make a cap smaller: the call waits for it instead.

    Raises:
        UsageError: money is limited, and the model's price is unknown.
    """
    model = request.head.model
    if not strand.counted or model.capabilities.free:
        return ONE_CALL
    worth = None
    if strand.flags[4]:
        for meter in strand.meters:
            check_price(model, meter.limits)
        worth = model.capabilities.worth
    prompt = prompt_bound(model, request)
    most = request.options.get("max_tokens")
    if most is None:
        most = model.capabilities.max_output
        request.max_tokens = None if worth is None else most  # a bound in money has to be one
        left = min([meter.room(n * prompt) for meter in strand.meters])
        if worth is not None:
            left = min([left, *[cap[0] for cap in caps(strand, request, n, prompt, reserved=False)]])
        if n <= left < most * n:
            most = request.max_tokens = int(left // n)
    return Need(1, prompt, most, 0 if worth is None else worth(prompt, most))


def prompt_bound(model: Model, request: Request) -> int:
    """Return the upper bound of a request's prompt: the model's own, if it has one, else by its count of each text."""
    own: Callable[[Request], int] | None = getattr(model, "prompt_bound", None)
    if own is not None:
        return own(request)
    prompt = model.tokens(request.message) + IMAGE * len(request.attached)
    if request.steps is not None:
        prompt += request.steps.size(model.spec, model.tokens)
    if request.tools is not None and request.native:
        prompt += model.tokens(text_of(request.tools.schema()))
    for texts in request.repair:
        prompt += sum(map(model.tokens, texts))
    return prompt


def caps(
    strand: Strand, request: Request, n: int = 1, prompt: int = 0, *, reserved: bool = True
) -> list[tuple[float, Meter, str]]:
    """Return how many tokens `n` replies to a prompt may have together, under each limit of each budget."""
    found: list[tuple[float, Meter, str]] = []
    worth = request.head.model.capabilities.worth
    for meter in strand.meters:
        limits = meter.limits
        if limits.completion_tokens is not None:
            found.append((meter.left("completion_tokens", reserved=reserved), meter, "completion_tokens"))
        if limits.tokens is not None:
            found.append((meter.left("tokens", reserved=reserved) - n * prompt, meter, "tokens"))
        if worth is not None and meter.limits.usd is not None:
            asked = worth(prompt, 0)
            of_one = (worth(prompt, MANY) - asked) / MANY
            left = meter.left("usd", reserved=reserved) * NANO - n * asked
            found.append((left / of_one if of_one else math.inf, meter, "usd"))
    return found


async def learn_price(model: Model) -> None:
    """Let a model that has to look it up find out its price."""
    learn: Callable[[], Awaitable[None]] | None = getattr(model, "learn", None)
    if learn is not None:
        await learn()


async def learn_if_limited(strand: Strand, model: Model) -> None:
    """Let a model find out its price, if a budget limits money."""
    if strand.costs:
        await learn_price(model)


def check_price(model: Model, limits: Budget) -> None:
    """Refuse a model of unknown price, or a chain with one in it, under a limit of money."""
    if limits.usd is None or model.capabilities.priced:
        return
    links: Sequence[Model] = getattr(model, "models", (model,))
    unknown = [one.spec for one in links if not one.capabilities.priced] or [model.spec]
    which = " and ".join(map(repr, unknown))
    chain = f" of the chain {model.spec!r}" if unknown != [model.spec] else ""
    table = "" if _has_prices() else 'get the table of known prices (`pip install "stratagem[prices]"`), '
    raise UsageError(
        f"a limit of usd needs the price of the model {which}{chain}, which is unknown",
        remedy=f'Limit calls or tokens instead, {table}or name the price: `[prices."{unknown[0]}"]` in the settings, '
        "`prices=` in a program.",
    )


def _has_prices() -> bool:
    """Return whether the table of known prices is installed."""
    from importlib.util import find_spec  # noqa: PLC0415  (only a message needs it)

    return find_spec("genai_prices") is not None


async def admit(strand: Strand, bound: Callable[[], Need]) -> Need:
    """Return what was reserved once a new effect may be performed: after all recorded ones, within every budget.

    Args:
        strand: that performs it.
        bound: returns what it may cost at most; asked again when there is room.
    """
    world = strand.world
    if not world.gate.open:
        await world.gate.admit()
    try:
        if strand.timed:
            check_seconds(strand)
        need = bound()
        blocked = take(strand.meters, need)
        return need if blocked is None else await wait(strand.meters, blocked, bound)
    except BudgetExhausted as refusal:
        refuse(strand, refusal)
        raise


def nothing() -> Need:
    """Return the bound of an effect that costs nothing."""
    return NOTHING


def check_seconds(strand: Strand) -> None:
    """Refuse if a limit of seconds has passed."""
    for meter in strand.meters:
        if meter.timed and meter.refused is None and not meter.left("seconds", strand.world.active()):
            raise meter.refuse("seconds")


def check_depth(strand: Strand, child: Strand) -> None:
    """Refuse a strategy call that is nested too deep."""
    for meter in strand.meters:
        if meter.limits.depth is not None and child.depth - meter.depth > meter.limits.depth:
            raise refuse(strand, BudgetExhausted("depth", meter.limits.depth, meter.scope))


def refuse(strand: Strand, refusal: BudgetExhausted) -> BudgetExhausted:
    """Let the scope whose limit it was refuse whatever comes; only the run's own limits end the run. Return the refusal."""
    for meter in strand.meters:
        if meter.scope == refusal.scope and meter.refused is None:
            meter.refused = again(refusal)
            meter.serve()
    if not refusal.scope:
        strand.world.refusal = again(refusal)
    if strand.world.feeds:
        strand.world.emit("budget.refused", strand.path, limit=refusal.limit, allowed=refusal.allowed)
    return refusal


def seconds_left(strand: Strand) -> tuple[float, Meter | None]:
    """Return how long an effect may take under every budget, and the meter that says so."""
    active = strand.world.active()
    lefts = [(meter.left("seconds", active), meter) for meter in strand.meters if meter.timed]
    return min(lefts, key=lambda one: one[0], default=(math.inf, None))
