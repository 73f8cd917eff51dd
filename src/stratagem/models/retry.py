"""What a failed attempt means: which error it is, whether it may have run, and when another one may follow.

Rule 1: connect errors, 429, 503 with Retry-After, 529 and other 4xx were not performed, so they cost nothing. A
        time-out, a disconnect, another 5xx or a reply that broke off may have been: it is billed as estimated.
Rule 2: a wait that the server asks for is obeyed, up to `LONGEST_S`; else the wait grows, and is drawn at random.
Rule 3: what a server says is cut at 500 characters, and the key is taken out of it.
"""

import email.utils
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, NamedTuple

from stratagem.core import Usage
from stratagem.core._canonical import is_object
from stratagem.errors import (
    BadReply,
    CapabilityError,
    ContextTooLong,
    CutReply,
    ModelError,
    NoReply,
    NotAuthorised,
    RateLimited,
    Rejected,
    Unavailable,
)

ATTEMPTS = 5
AFTER_BAD = 3  # attempts in all, if the reply itself was bad
LONGEST_S = 120.0  # of a wait
FAR_S = 86_400.0 * 366  # that a wait is believed to be: an endless one could not be recorded
SHOWN = 500

_LONG = re.compile(
    r"context[ _](length|window|size)|maximum context|too many tokens|prompt is too long|exceed_context|longer than the model",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model[ _]not[ _]found|\bmodels?\b.{0,120}?\b(not found|does not exist|do not exist)|(unknown|invalid|no such) model\b|^\S* ?model: ",
    re.IGNORECASE,
)
OTHER_MODEL = "`stratagem fork RUN --set model=SPEC`"  # the command line puts in the run, and where its state is
_TRIED_AGAIN = frozenset({408, 409, 425, 500, 502, 503, 504})


class Failure(Exception):
    """One attempt that brought no reply.

    Args:
        error: what it is, if no other attempt follows.
        attempts: how many there may be in all.
        ran: whether it may have been performed, and so have to be paid.
        wait: seconds after which the server may be asked again, if it said so.
        slow: whether the server asks to slow down.
        received: text that came before it broke off.

    Attributes:
        headers: of the answer, if there was one; names in lower case.
        usage: what it cost, if the answer said so.
        over: whether it is our own time that had ended, not the server's patience.
        alive: whether the server was answering all the same.
    """

    def __init__(
        self,
        error: ModelError | CapabilityError,
        *,
        attempts: int = 1,
        ran: bool = False,
        wait: float | None = None,
        slow: bool = False,
        received: str = "",
    ) -> None:
        super().__init__(str(error))
        self.error, self.attempts, self.ran = error, attempts, ran
        self.wait, self.slow, self.received = wait, slow, received
        self.headers: Mapping[str, str] | None = None
        self.usage: Usage | None = None
        self.over = self.alive = False


class Answered(NamedTuple):
    """Status and headers of an answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def streams(self) -> bool:
        """Whether a stream of events follows."""
        return self.headers.get("content-type", "").strip().lower().startswith("text/event-stream")


def cut(what: str, received: str = "") -> Failure:
    """Return the failure of a reply that ended before its end."""
    return Failure(CutReply(what), attempts=AFTER_BAD, ran=True, received=received)


def bad(what: str, *, attempts: int = AFTER_BAD, received: str = "") -> Failure:
    """Return the failure of a reply that is not what its protocol says."""
    return Failure(BadReply(what), attempts=attempts, ran=True, received=received)


def undelivered(what: str, received: str, remedy: str) -> Failure:
    """Return the failure of a reply that lacks what the server was thought to send with it."""
    return Failure(CapabilityError(what, remedy=remedy), ran=True, received=received)


def silent(what: str, received: str = "") -> Failure:
    """Return the failure of a request that was sent and of which nothing came in time."""
    return Failure(NoReply(what), attempts=ATTEMPTS, ran=True, received=received)


def late(what: str, received: str = "", *, alive: bool = False) -> Failure:
    """Return the failure of a request that was sent and whose call has no time left; `alive`: a reply had begun."""
    failure = Failure(NoReply(what), ran=True, received=received)
    failure.over, failure.alive = True, alive
    return failure


def refused(
    answered: Answered, body: str, where: str, hidden: Callable[[str], str], variable: str = "", meant: str = ""
) -> Failure:
    """Return what an error status means.

    Args:
        answered: status and headers.
        body: what the server said.
        where: name of the server, for the message.
        hidden: takes the key out of a text.
        variable: of the key, for the remedy.
        meant: the address that was probably meant, if the one in use is unusual.
    """
    status, headers = answered
    message, code = _said(body)
    said = hidden(f": {message}" if message else "")[: SHOWN + 2]
    what = f"{where} answered {status}{said}"
    facts: dict[str, Any] = {"status": status, "request_id": hidden(headers.get("x-request-id", "")) or None}
    told = wait_of(headers, body)
    again = {"true": ATTEMPTS, "false": 1}.get(headers.get("x-should-retry", ""))
    if status in (429, 529) or (status == 503 and told is not None):
        spent = code == "insufficient_quota"
        if spent:
            facts["remedy"] = "The account has no credit left: see the provider's page."
        error = RateLimited(what, retry_after=told, **facts)
        return Failure(error, attempts=1 if spent else again or ATTEMPTS, wait=told, slow=not spent)
    if status in _TRIED_AGAIN or status >= 500:
        ran = status not in (409, 425, 503)
        return Failure(Unavailable(what, **facts), attempts=again or ATTEMPTS, ran=ran, wait=told)
    if status in (401, 403):
        remedy = f"Check the key in {variable}." if variable else "Name the variable with a key: `--api-key-env NAME`."
        return Failure(NotAuthorised(what, remedy=remedy, **facts))
    if 300 <= status < 400:
        target = hidden(headers.get("location", ""))[:SHOWN]
        remedy = "If that address is right, give it with `--base-url`."
        what = f"{where} sends requests on to {target!r}, where they are not sent"
        return Failure(Rejected(what, remedy=remedy, **facts))
    if status in (400, 413, 422) and (code == "context_length_exceeded" or _LONG.search(message)):
        return Failure(ContextTooLong(what, remedy="Use a model with a larger window, or ask for less.", **facts))
    return Failure(Rejected(what, remedy=_correction(status, f"{code} {message}", meant), **facts), attempts=again or 1)


def _correction(status: int, said: str, meant: str) -> str:
    """Return what may help against a refusal: another model, another address, or what the server says."""
    if status in (400, 404) and _NO_MODEL.search(said):
        return f"Name a model that the server has: {OTHER_MODEL}."
    if status == 404 and meant:
        return f"If the address is wrong, give it as `--base-url {meant}`; if it is the model's name: {OTHER_MODEL}."
    return "Correct what the message names."


def wait_of(headers: Mapping[str, str], body: str = "") -> float | None:
    """Return after how many seconds the server wants to be asked again, at most `FAR_S`; None if it does not say."""
    told = _wait_of(headers, body)
    return None if told is None else min(told, FAR_S)


def _wait_of(headers: Mapping[str, str], body: str) -> float | None:
    try:
        if exact := headers.get("retry-after-ms"):
            return max(0.0, float(exact) / 1000)
    except ValueError:
        pass
    if said := headers.get("retry-after", "").strip():
        if re.fullmatch(r"\d+(\.\d+)?", said):
            return float(said)
        return _until(said, headers.get("date", ""))
    found = re.search(r'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"', body)
    return float(found[1]) if found else None


def pause(attempt: int, told: float | None, dice: Callable[[], float]) -> float:
    """Return how many seconds to wait after a failed attempt, the first of which is 1; `dice` is in [0, 1)."""
    return told + dice() if told is not None else dice() * min(30.0, 0.5 * 2**attempt)


def _until(date: str, now: str) -> float | None:
    """Return the seconds between the server's own time and a date."""
    try:
        then, told = email.utils.parsedate_to_datetime(date), email.utils.parsedate_to_datetime(now)
    except (ValueError, OverflowError):
        return None
    zoned = [one if one.tzinfo is not None else one.replace(tzinfo=UTC) for one in (then, told)]
    return max(0.0, (zoned[0] - zoned[1]).total_seconds())


def _said(body: str) -> tuple[str, str]:
    """Return message and code of an error's body; a body of another form is its own message."""
    try:
        form: Any = json.loads(body)
    except (ValueError, RecursionError):
        return " ".join(body[: 4 * SHOWN].split()), ""
    error: Any = form.get("error", form) if is_object(form) else form
    if is_object(error):
        return str(error.get("message") or error.get("detail") or body[: 4 * SHOWN]), str(error.get("code") or "")
    return str(error), ""
