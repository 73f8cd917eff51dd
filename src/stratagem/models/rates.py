"""How many requests and tokens a provider lets through in a minute: what its headers say, and what a user has set.

Rule 1: a bucket fills evenly. What a request takes is an estimate; when its reply tells the truth, the rest goes back.
Rule 2: a server's word holds against our count, but what is under way may not be in it yet: the level is then between
        `remaining` less what is under way, and `remaining`.
Rule 3: what is larger than a bucket waits until it is full: it cannot wait for more.
"""

import datetime
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

REQUESTS, TOKENS, INPUT, OUTPUT = KINDS = ("requests", "tokens", "input-tokens", "output-tokens")
LONGEST_S = 86_400.0 * 366  # that a reset is believed to be away
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|h|m|s|d)")
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


class Load(NamedTuple):
    """What a request takes, or has taken.

    Attributes:
        prompt: tokens of it.
        completion: tokens of it, as far as is known.
        cached: tokens of the prompt that were read from a cache: providers that count prompts apart leave them out.
    """

    prompt: float = 0.0
    completion: float = 0.0
    cached: float = 0.0

    def of(self, kind: str) -> float:
        """Return how much of one kind that is."""
        if kind == REQUESTS:
            return 1.0
        if kind == TOKENS:
            return self.prompt + self.completion
        return self.completion if kind == OUTPUT else max(0.0, self.prompt - self.cached)


NO_LOAD = Load()


class Told(NamedTuple):
    """What a reply's headers say of one kind: how many in all, how many are left, seconds until all are there again."""

    limit: float
    remaining: float
    reset_s: float


def told(headers: Mapping[str, str], wall: float) -> dict[str, Told]:
    """Return what headers say, by kind (of `KINDS`). Names are in lower case; what is unreadable is left out.

    Args:
        headers: of a reply: `x-ratelimit-{limit,remaining,reset}-KIND` or `anthropic-ratelimit-KIND-{limit,...}`.
        wall: seconds since 1970 now, for times that are dates.
    """
    found: dict[str, Told] = {}
    for kind in KINDS:
        for name in (f"x-ratelimit-%s-{kind}", f"anthropic-ratelimit-{kind}-%s"):
            limit, remaining = number_of(headers.get(name % "limit")), number_of(headers.get(name % "remaining"))
            if limit and remaining is not None:
                reset = seconds_of(headers.get(name % "reset", ""), headers.get("date", ""), wall)
                found[kind] = Told(limit, min(remaining, limit), 60.0 if reset is None else reset)
    return found


def number_of(text: str | None) -> float | None:
    """Return a number from 0 up; None if it is none."""
    return float(text) if text and re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text.strip()) else None


def seconds_of(text: str, date: str, wall: float) -> float | None:
    """Return how long until a reset: `6m0s`, `120ms`, `12` (seconds), or a date of RFC 3339; None if it is neither.

    Args:
        text: as it was sent.
        date: the server's own time, of its `Date` header: a date is counted from there.
        wall: seconds since 1970 here, if it sent none.
    """
    text = text.strip()
    if (plain := number_of(text)) is not None:
        return min(LONGEST_S, plain)
    if text and _PARTS.sub("", text) == "":
        return min(LONGEST_S, sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text)))
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return min(LONGEST_S, max(0.0, moment.timestamp() - _seconds_since_1970(date, wall)))


def _seconds_since_1970(date: str, wall: float) -> float:
    import email.utils  # noqa: PLC0415  (only where a server sends dates)

    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return wall


class Bucket:
    """So much a minute.

    Args:
        a_minute: how much flows in.
        now: stamp, in microseconds.

    Attributes:
        size: at most so much is in it.
        level: so much was in it when it was last looked at; below 0 where more was used than there was.
    """

    __slots__ = ("_at", "_rate", "level", "size")

    def __init__(self, a_minute: float, now: int) -> None:
        self.size, self._rate, self.level, self._at = a_minute, a_minute / 60e6, a_minute, now

    def wait_s(self, amount: float, now: int) -> float:
        """Return in how many seconds so much can be taken; 0 is now."""
        self._fill(now)
        lacks = min(amount, self.size) - self.level
        return 0.0 if lacks <= 1e-9 else lacks / self._rate / 1e6 if self._rate > 0 else math.inf

    def take(self, amount: float, now: int) -> None:
        """Take so much out; a negative amount goes back in."""
        self._fill(now)
        self.level = min(self.size, self.level - amount)

    def hear(self, said: Told, under_way: float, now: int) -> None:
        """Believe a server, of which so much is under way that it may not have counted yet."""
        self._fill(now)
        self.size = said.limit
        self.level = max(min(self.level, said.remaining), said.remaining - under_way)
        lacks = said.limit - said.remaining
        self._rate = lacks / said.reset_s / 1e6 if lacks > 0 and said.reset_s > 0 else said.limit / 60e6

    def _fill(self, now: int) -> None:
        self.level = min(self.size, self.level + max(0, now - self._at) * self._rate)
        self._at = now
