"""One call of a model behind a wire: how far it has come, how long it may take, and what it has cost."""

from collections.abc import Callable
from typing import Any

from stratagem.core import Delta, Request, Sample, Usage
from stratagem.core._options import TIMEOUT_S
from stratagem.errors import ModelError
from stratagem.models.limits import FOREVER
from stratagem.models.rates import Load
from stratagem.models.retry import Failure
from stratagem.models.tokens import bound, prompt_bound

SPARE_S = 0.05  # by which a call ends before the budget's seconds do, so that what it cost is known


class Call:
    """One call, as far as it has come: its draws, its failed attempts, and what all of it cost.

    Args:
        request: what is asked.
        begun: stamp.
        on_delta: hears of pieces.
        spec: of the model.

    Attributes:
        until: stamp at which `timeout_s` is over.
        ends: stamp at which the budgets' seconds are.
        hear: hears of pieces of the reply, if somebody listens.
        sent: whether an attempt is under way.
        received: what has come of it.
    """

    def __init__(self, request: Request, begun: int, on_delta: Callable[[Delta], None] | None, spec: str) -> None:
        self.request, self._spec = request, spec
        limit, within = float(request.options.get("timeout_s", TIMEOUT_S)), request.within_s
        self._limit = limit
        self.ends = begun + round((within - min(SPARE_S, within / 10)) * 1e6) if within < 1e9 else FOREVER
        self.until = min(self.ends, begun + round(limit * 1e6))
        self.samples: list[Sample] = []
        self.attempts: list[str] = []
        self.corrected: list[str] = []
        self.parts: list[Usage] = []
        self.sent, self.received, self._number = False, "", 0
        self._on_delta = on_delta
        self.hear = None if on_delta is None else self._heard

    def begin(self) -> None:
        """Note that an attempt is sent."""
        self.sent, self.received = True, ""
        self._number += 1

    def _heard(self, delta: Delta) -> None:
        delta.attempt = self._number
        self.received += delta.text
        assert self._on_delta is not None
        self._on_delta(delta)

    def over(self, failure: Failure) -> Failure:
        """Say of an attempt for which there was no time left whose time it was; the budgets' is told to the core."""
        error = failure.error
        if self.until >= self.ends:
            error.out_of_time, what = True, "the seconds that the budgets left are over"
        else:
            error.remedy, what = "Raise `timeout_s`.", f"the call's time-out of {self._limit:g} s is over"
        error.args = (f"{error}: {what}",)
        return failure

    def load(self) -> Load:
        """Return how many tokens a provider may count at once."""
        most = self.request.max_tokens or self.request.options.get("max_tokens") or 0
        return Load(prompt_bound(self.request, self._spec), most)

    def failed(self, failure: Failure) -> None:
        """Note an attempt that brought no reply."""
        self.sent = False
        status = getattr(failure.error, "status", None)
        self.attempts.append(f"{type(failure.error).__name__}{f' {status}' if status else ''}")
        if failure.usage is not None:
            self.parts.append(failure.usage._replace(calls=0))
        elif failure.ran:
            self.parts.append(self._estimated(failure.received))
        else:
            self.parts.append(Usage(0, 1))

    def tell(self, error: ModelError) -> None:
        """Say in what ends the call how often it was tried, and what became of each attempt."""
        if error.attempts > 1:
            error.tries = tuple(self.attempts[-error.attempts :])
            error.args = (f"{error} ({error.attempts} attempts)",)

    def all_parts(self) -> list[Usage]:
        """Return what each attempt cost; one that is under way is billed by its bound."""
        return [*self.parts, self._estimated(self.received)] if self.sent else self.parts

    def _estimated(self, received: str) -> Usage:
        return Usage(0, 1, prompt_bound(self.request, self._spec), bound(received), usd=None, estimated=True)

    def via(self) -> dict[str, Any]:
        """Return what is recorded of how the reply was come by."""
        facts = {"attempts": self.attempts, "corrected": self.corrected}
        return {name: value for name, value in facts.items() if value}
