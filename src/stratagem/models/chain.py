"""A chain of models, `A|B|C`: where one cannot answer, the next is asked.

Rule 1: the next one is asked if this one is not there, cannot serve now, asks to come later than the call can wait, or sends
        what is no reply; and if it lacks its key, its package, or room for the request. What it says about the request
        itself (rejected, refused, not authorised) is an answer: another model would hide it.
Rule 2: a chain honours what all of its models honour, so the same request can go to each.
Rule 3: what the failed ones have cost is part of what the reply has cost; each is paid at its own price.
Rule 4: the budgets' seconds and the money that is reserved are those of the whole chain: each model gets what those before
        it have left, and none is asked once nothing is. `timeout_s` holds for each: it is how long one is waited for.
"""

import copy
from collections.abc import Awaitable, Callable

from stratagem.core import Capabilities, Clock, Delta, Model, Reply, Request, SystemClock, Usage
from stratagem.core._admission import prompt_bound
from stratagem.errors import (
    BadReply,
    CapabilityError,
    ContextTooLong,
    CutReply,
    ModelError,
    NoReply,
    RateLimited,
    StratagemError,
    Unavailable,
    Unreachable,
    UsageError,
)

PASSED_ON = (Unreachable, Unavailable, NoReply, RateLimited, CutReply, BadReply, ContextTooLong, CapabilityError)
SPARE_S = 0.05  # before the budgets' end, in which nobody is asked any more
_LEVELS = ("none", "advisory", "constrained")


class Chain:
    """Several models, asked in their order until one answers.

    Args:
        models: at least one, the first of which is asked first.
        spec: that opened it; it enters every digest, whichever model answers.
        missing: why specs of the chain could not be opened here, for the record of what was passed over.
    """

    def __init__(
        self, models: tuple[Model, ...], spec: str, missing: tuple[tuple[str, CapabilityError], ...] = ()
    ) -> None:
        self.spec, self._models, self._missing = spec, models, missing
        lacks: list[StratagemError | None] = [getattr(model, "lacks", None) for model in models]
        self.lacks = lacks[0] if all(lacks) else None
        self.keeps_time = all(getattr(model, "keeps_time", False) for model in models)
        clocks: list[Clock | None] = [getattr(model, "clock", None) for model in models]
        self._clock = next(filter(None, clocks), None) or SystemClock()
        self.capabilities = self._common()

    @staticmethod
    def open(specs: tuple[str, ...], opened: Callable[[str], Model]) -> "Chain":
        """Return the chain of some specs. A model that this installation cannot open is passed over, unless none is left.

        Raises:
            UsageError: a spec is empty, stands there twice, or names no model.
            CapabilityError: none of them can be opened here.
        """
        spec = "|".join(specs)
        if not all(specs) or len(set(specs)) != len(specs):
            raise UsageError(
                f"a chain names several models, each once: {spec!r}", remedy="Write it as `openai:NAME|groq:NAME`."
            )
        models: list[Model] = []
        missing: list[tuple[str, CapabilityError]] = []
        for one in specs:
            try:
                models.append(opened(one))
            except CapabilityError as failure:
                missing.append((one, failure))
        if not models:
            raise missing[0][1]
        return Chain(tuple(models), spec, tuple(missing))

    def __repr__(self) -> str:
        return f"Chain({self.spec!r})"

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that it asks, in order."""
        return self._models

    @property
    def priced_by(self) -> str:
        """Where the prices come from, each once; empty if none is known."""
        found = (getattr(model, "priced_by", "") for model in self._models)
        return ", ".join(dict.fromkeys(filter(None, found)))

    def _common(self) -> Capabilities:
        """Return what all of the models honour, as far as it is known by now; the price is that of the dearest."""
        every = [model.capabilities for model in self._models]
        windows = [one.context for one in every if one.context is not None]
        return Capabilities(
            frozenset(name for name in every[0].fields if all(name in one.fields for one in every)),
            native_n=all(one.native_n for one in every),
            schema=min((one.schema for one in every), key=_LEVELS.index),
            media=frozenset(kind for kind in every[0].media if all(kind in one.media for one in every)),
            context=min(windows, default=None),
            max_output=max(one.max_output for one in every),
            free=all(one.free for one in every),
            priced=all(one.priced for one in every),
            worth=self._worth if any(one.worth is not None for one in every) else None,
        )

    def _worth(self, prompt: int, completion: int) -> int:
        costs = [worth(prompt, completion) for one in self._models if (worth := one.capabilities.worth) is not None]
        return max(costs, default=0)

    def price_in_full(self) -> None:
        """Price every prompt as if no cache had known any of it."""
        for model in self._models:
            in_full: Callable[[], None] | None = getattr(model, "price_in_full", None)
            if in_full is not None:
                in_full()

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the fields that one of the models cannot honour."""
        return frozenset[str]().union(*(model.refuses(request) for model in self._models))

    def tokens(self, text: str) -> int:
        """Return a bound that holds for all of the models."""
        return max(model.tokens(text) for model in self._models)

    def prompt_bound(self, request: Request) -> int:
        """Return a bound of a request's prompt that holds for all of the models."""
        return max(prompt_bound(model, request) for model in self._models)

    async def learn(self) -> None:
        """Find out what the models cost."""
        for model in self._models:
            learn: Callable[[], Awaitable[None]] | None = getattr(model, "learn", None)
            if learn is not None:
                await learn()
        self.capabilities = self._common()

    async def complete(self, request: Request, *, on_delta: Callable[[Delta], None] | None = None) -> Reply:
        """Answer a request by the first model that can; `Reply.by` says which it was.

        Raises:
            ModelError: of the last one that was asked, or one that is not passed on; `usage` says what all have cost.
            CapabilityError: every model lacks something.
        """
        spent = _Spent(self._missing, on_delta)
        begun, asked = self._clock.stamp(), request
        for model, after in zip(self._models, (*self._models[1:], None), strict=True):
            try:
                made = model.complete(asked, on_delta=spent.hear)
                reply = made if isinstance(made, Reply) else await made
            except PASSED_ON as failure:
                spent.failed(model.spec, failure)
                self.capabilities = self._common()  # a model may have found out that it honours less
                asked = self._rest(request, begun, spent)
                if after is None:
                    raise spent.ended(failure) from None
                if isinstance(asked, str):
                    raise spent.ended(failure, f"{after.spec} is not asked: {asked}") from None
            except BaseException as failure:
                spent.left(failure)
                raise
            else:
                self.capabilities = self._common()
                return spent.answered(model.spec, reply)
        raise AssertionError  # a chain has a last model

    def _rest(self, request: Request, begun: int, spent: "_Spent") -> Request | str:
        """Return the request within what is left of its time and money, or why it cannot be asked again."""
        room = request.room
        if room is not None:
            room.before = Usage()
            if not room.covers(spent.usage):
                return "the budgets have no room for another attempt beside what failed ones have cost"
            room.before = spent.usage
        within_s = request.within_s - (self._clock.stamp() - begun) / 1e6
        if within_s <= SPARE_S:
            return f"the {request.within_s:.3g} s that the budgets left for the call are over"
        rest = copy.copy(request)
        rest.within_s = within_s
        return rest

    async def aclose(self) -> None:
        """Let go of all models."""
        for model in self._models:
            await model.aclose()


class _Spent:
    """What became of the models that were asked before."""

    def __init__(
        self, missing: tuple[tuple[str, CapabilityError], ...], on_delta: Callable[[Delta], None] | None
    ) -> None:
        self.usage = Usage()
        self._errors: list[tuple[str, str]] = [(spec, _word(failure)) for spec, failure in missing]
        self._before = self._latest = 0  # numbers of attempts that pieces of replies were heard of
        self._on_delta = on_delta
        self.hear = None if on_delta is None else self._heard

    def _heard(self, delta: Delta) -> None:
        self._latest = delta.attempt = self._before + delta.attempt
        assert self._on_delta is not None
        self._on_delta(delta)

    def failed(self, spec: str, failure: StratagemError) -> None:
        if failure.usage is not None:
            self.usage += failure.usage
        self._errors.append((spec, _word(failure)))
        self._before = self._latest

    def ended(self, failure: StratagemError, why: str = "") -> StratagemError:
        """Return the last error, with the others, what all have cost, and why no other model follows."""
        more = f"; {why}" if why else ""
        if len(self._errors) > 1:
            others = "; ".join(f"{spec}: {word}" for spec, word in self._errors[:-1])
            more = f" (before it: {others}){more}"
        if more:
            failure = copy.copy(failure)  # that a key is missing is said by one object each time
            failure.args = (f"{failure}{more}",)
        if isinstance(failure, ModelError) or self.usage.requests:
            failure.usage = self.usage._replace(calls=1, unpriced=0)
        return failure

    def left(self, failure: BaseException) -> None:
        """Add what the others have cost to what is raised past the chain."""
        told: Usage | None = vars(failure).get("usage")
        if told is not None or self.usage.requests:
            vars(failure)["usage"] = ((told or Usage()) + self.usage)._replace(calls=1, unpriced=0)

    def answered(self, spec: str, reply: Reply) -> Reply:
        """Return a reply that says who gave it, and what went before."""
        before = [f"{name}: {word}" for name, word in self._errors]
        own = [f"{spec}: {attempt}" for attempt in reply.attempts]
        attempts = (*before, *own)
        for sample in reply.samples:
            sample.via = {**(sample.via or {}), "model": spec}
        if attempts:
            reply.samples[0].via = {**(reply.samples[0].via or {}), "attempts": list(attempts)}
        usage = reply.usage
        if self._errors:
            usage = ((usage or Usage()) + self.usage)._replace(calls=1 if usage is None else usage.calls, unpriced=0)
        return Reply(
            reply.samples, usage, dropped=reply.dropped, attempts=attempts, request_id=reply.request_id, by=spec
        )


def _word(failure: StratagemError) -> str:
    status: int | None = getattr(failure, "status", None)
    tries = f", {failure.attempts} attempts" if isinstance(failure, ModelError) and failure.attempts > 1 else ""
    return f"{type(failure).__name__}{f' {status}' if status else ''}{tries}"
