"""When a server is taken to be down: calls then fail at once, until one that is let through finds it answering again.

Rule 1: what says so is that nobody answers, that nothing comes in time, or a 5xx. Any other outcome, a 429 included,
        shows that it is there.
Rule 2: it is down after `FAILURES` of these in a row that lie at least `LONG_S` apart, first to last: a moment's
        restart under a thousand branches is no reason to fail them all.
Rule 3: after `COOL_S` one call is let through. Its outcome decides for all.
"""

import datetime

from stratagem.core import Clock
from stratagem.errors import ModelError, NoReply, Unavailable, Unreachable

FAILURES = 10
LONG_S = 10.0
COOL_S = 30.0


def down(error: ModelError) -> bool:
    """Return whether an attempt's error means that the server is down."""
    if isinstance(error, Unavailable):
        return error.status is None or error.status >= 500
    return isinstance(error, Unreachable | NoReply)


class Open(Unavailable):
    """The server is taken to be down: nothing was sent."""


class Breaker:
    """The breaker of one origin, for one key.

    Args:
        clock: tells the time.
    """

    __slots__ = ("_clock", "_failures", "_first", "_probing", "_since", "_until", "what")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = self._first = self._until = 0
        self._since = 0.0  # of the clock on the wall
        self._probing = False
        self.what = "the server"

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once, but for the one that is let through after the cool-down."""
        return self._until > 0

    def check(self) -> bool:
        """Let a call through, and return whether it is the one that finds out; or raise `Unavailable` with the times.

        Whoever finds out says how it ended: `failed`, `answered`, or else `gone`.
        """
        if not self._until:
            return False
        left = self._until - self._clock.stamp()
        if left <= 0 and not self._probing:
            self._probing = True
            return True
        until = "one call has found out" if left <= 0 else _at(self._clock.wall() + left / 1e6)
        raise Open(
            f"{self.what} has been down since {_at(self._since)}: calls fail at once until {until}",
            attempts=0, remedy="Check the server, then resume the run; or name another model beside it: `--model 'A|B'`.",
        )  # fmt: skip

    def failed(self) -> None:
        """Count an attempt that says that the server is down."""
        now = self._clock.stamp()
        if not self._failures:
            self._first, self._since = now, self._clock.wall()
        self._failures += 1
        if self._probing or (self._failures >= FAILURES and now - self._first >= LONG_S * 1e6 and not self._until):
            self._until, self._probing = now + round(COOL_S * 1e6), False

    def answered(self) -> None:
        """Count an attempt that says that it is there."""
        if self._failures:
            self._failures = self._until = 0
            self._probing = False

    def gone(self) -> None:
        """Let the next call find out: the one that was let through has ended, whatever it said."""
        self._probing = False


def _at(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%H:%M:%S UTC")
