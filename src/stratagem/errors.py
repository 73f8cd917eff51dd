"""Every exception of stratagem, in one tree.

StratagemError                     every expected failure; `.remedy` says what to do
├── UsageError (ValueError)        the caller's mistake; raised before the first call
├── CapabilityError                model, sandbox or package lacks what is needed
├── ModelError                     after the core's own retries: .provider .status .request_id .attempts .tries
│   ├── Unreachable, RateLimited, Unavailable, NoReply, CutReply, BadReply, Rejected, ContextTooLong,
│   │   NotAuthorised, ScriptMiss    RateLimited: .retry_after
│   ├── UnparsedReply              .signature .reply
│   └── Refused
├── ToolError, PolicyDenied, SandboxError, TimedOut    strategies see these as text, from `run.call`
├── NoAnswer                       .steps: what was done until then
├── BudgetExhausted                .limit .allowed .scope
├── ConcurrentUse
└── JournalError: JournalCorrupt, OwnedElsewhere, Diverged
Suspended (BaseException)          core only, never catch it

Rule: the constructor's arguments are JSON and rebuild the error (`record`, `revive`), because an
error that a program saw is history and is raised again on resume. `NoAnswer.steps` is the exception:
strategies raise it, effects never do.
"""

from collections.abc import Sequence
from typing import Any


class StratagemError(Exception):
    """Base class of every expected failure.

    Args:
        message: what is the case, with the value that caused it.
        remedy: one sentence that says what to do; the class has a default.
    """

    remedy: str = "Read the message."
    usage: Any = None  # what it cost before it was raised, if whoever raises it says so; recorded beside it, not in it
    out_of_time: bool = False  # a model says to the core: it was the budgets' seconds that left no time; never recorded

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        super().__init__(message)
        if remedy is not None:
            self.remedy = remedy

    def form(self) -> list[Any]:
        """Return the constructor's arguments as JSON: a list of positional ones, then a dict of the others."""
        own: dict[str, Any] = {"remedy": self.remedy} if "remedy" in self.__dict__ else {}
        return [str(self.args[0]) if self.args else "", own]


class UsageError(StratagemError, ValueError):
    """The caller's mistake, found before the first call."""

    remedy = "Correct the call."


class CapabilityError(StratagemError):
    """Model, sandbox or package lacks what is needed; names the pip line or the setting."""

    remedy = "Choose another model, or configure what the message names."


class ModelError(StratagemError):
    """A model call failed, after all retries.

    Args:
        message: what happened.
        provider: whose model it was.
        status: HTTP status, None if there was none.
        request_id: the provider's own id of the request.
        attempts: how often it was tried.
        tries: what became of each attempt, in a word or two, if there were several.
    """

    remedy = "Check the provider and resume the run."

    def __init__(
        self,
        message: str = "",
        *,
        provider: str = "",
        status: int | None = None,
        request_id: str | None = None,
        attempts: int = 1,
        tries: Sequence[str] = (),
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.provider, self.status, self.request_id, self.attempts = provider, status, request_id, attempts
        self.tries = tuple(tries)

    def form(self) -> list[Any]:
        message, own = super().form()
        facts = {"provider": self.provider, "status": self.status, "request_id": self.request_id}
        own.update({name: value for name, value in facts.items() if value})
        if self.attempts != 1:
            own["attempts"] = self.attempts
        if self.tries:
            own["tries"] = list(self.tries)
        return [message, own]


class Unreachable(ModelError):
    """Nobody answers at that address."""


class RateLimited(ModelError):
    """The provider asks to slow down.

    Args:
        message: what happened.
        retry_after: seconds after which it may be asked again, if the provider said so.
        **facts: as `ModelError` takes them.
    """

    def __init__(self, message: str = "", *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after

    def form(self) -> list[Any]:
        message, own = super().form()
        return [message, own if self.retry_after is None else {**own, "retry_after": self.retry_after}]


class Unavailable(ModelError):
    """The provider is there and cannot serve now."""


class NoReply(ModelError):
    """The request was sent and no reply came in time; it may have been performed."""


class CutReply(ModelError):
    """The reply ended before its end."""


class BadReply(ModelError):
    """The reply is not what its protocol says."""


class Rejected(ModelError):
    """The provider does not accept the request."""


class ContextTooLong(ModelError):
    """The request is longer than the model's window."""


class NotAuthorised(ModelError):
    """The provider wants another key."""


class ScriptMiss(ModelError):
    """A scripted model has no line for the request."""

    remedy = "Add a line to the script, or correct the nearest one that the message names."

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.add_note(self.remedy)  # it ends tests, where nobody else would say it


class UnparsedReply(ModelError):
    """The reply does not fit the signature's return type; `complaint` says why."""

    remedy = "Allow a repair, or use a model that keeps to the format."

    def __init__(self, signature: str, reply: str) -> None:
        super().__init__(f"reply to `{signature}` does not fit its return type: {reply[:80]!r}")
        self.signature, self.reply = signature, reply
        self.complaint = ""

    def form(self) -> list[Any]:
        return [self.signature, self.reply, {}]


class Refused(ModelError):
    """The model declines to answer."""

    remedy = "Rephrase the task, or use another model."


class ToolError(StratagemError):
    """The value of a failed observation was read."""

    remedy = "Read the observation's text."


class PolicyDenied(StratagemError):
    """An effect is not granted."""

    remedy = "Grant the effect to the session."


class SandboxError(StratagemError):
    """Code could not be executed behind its wall."""

    remedy = "Check the sandbox with `stratagem doctor`."


class TimedOut(StratagemError):
    """A time limit passed."""

    remedy = "Raise `timeout_s`."


class NoAnswer(StratagemError):
    """The strategy ended without an answer; `steps` is the trajectory it gave up."""

    remedy = "Allow more steps, or another strategy."

    def __init__(self, message: str = "", *, steps: Any = None, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.steps = steps


class BudgetExhausted(StratagemError):
    """A limit was reached; every later call under the same limit raises it too."""

    remedy = "Resume the run with a larger budget."

    def __init__(self, limit: str, allowed: float, scope: str = "") -> None:
        place = f" of {scope!r}" if scope else ""
        super().__init__(f"budget exhausted: {limit} limit{place} is {allowed:g}")
        self.limit, self.allowed, self.scope = limit, allowed, scope

    def form(self) -> list[Any]:
        return [self.limit, self.allowed, self.scope, {}]


class ConcurrentUse(StratagemError):
    """A Run was used by two at once, or after its end."""

    remedy = "Use `run.map` or `run.pool`, and the Run they hand to each branch."


class JournalError(StratagemError):
    """The journal cannot be read or written."""

    remedy = "See `stratagem doctor`."


class JournalCorrupt(JournalError):
    """A stored record is not what was written."""

    remedy = "Restore the file from a copy, or `stratagem resume --drop-damaged RUN`."


class OwnedElsewhere(JournalError):
    """Another process drives the run."""

    remedy = "Wait for the other process, or stop it."


class Diverged(JournalError):
    """A replayed program asked for what was not recorded.

    Args:
        place: scope path.
        asked: the request, as JSON text.
        nearest: the most similar recorded request of that scope.
        differs: names of the fields in which the two differ.
    """

    remedy = "Fork the run to perform what is new."

    def __init__(self, place: str, asked: str, nearest: str, differs: tuple[str, ...]) -> None:
        fields = ", ".join(differs) or "nothing similar was recorded there"
        super().__init__(f"replay diverged in {place or 'the root'!r}: {asked} (nearest: {nearest}; differs: {fields})")
        self.place, self.asked, self.nearest, self.differs = place, asked, nearest, tuple(differs)

    def form(self) -> list[Any]:
        return [self.place, self.asked, self.nearest, list(self.differs), {}]


class Suspended(BaseException):
    """The run waits for a person. Core only: never catch it."""

    def __init__(self, question: str) -> None:
        super().__init__(question)
        self.question = question


# What another attempt may end differently: performed again by `resume`, unless the program went on from it.
# A lack of the model's is recorded only if it was found out by what came, and so has to be paid.
CIRCUMSTANCES = frozenset({
    "CapabilityError", "Unreachable", "RateLimited", "Unavailable", "NoReply", "CutReply", "BadReply", "NotAuthorised", "ScriptMiss",
    "BudgetExhausted", "TimedOut",
})  # fmt: skip

# What says that nothing was performed: never recorded, so a resume finds out anew.
NOT_PERFORMED = (UsageError, CapabilityError, ConcurrentUse, JournalError)


def record(error: StratagemError) -> list[Any]:
    """Return the error as JSON: its name and what `revive` needs. One of a kind of your own is recorded as ours."""
    known: type[Any] = next(kind for kind in type(error).__mro__ if globals().get(kind.__name__) is kind)
    return [known.__name__, *known.form(error)]


def revive(recorded: list[Any]) -> StratagemError:
    """Return the error that `record` wrote down."""
    name, *arguments, named = recorded
    kind: Any = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, StratagemError)):
        kind, arguments, named = StratagemError, [f"{name}: {arguments}"], {}
    return kind(*arguments, **named)
