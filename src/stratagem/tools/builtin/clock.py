"""The tool that tells the time."""

from collections.abc import Callable
from datetime import UTC, datetime

from stratagem.core import Clock, Observation, SystemClock


def now(clock: Clock | None = None) -> Callable[[], Observation]:
    """Make the tool's function; without a clock it reads the machine's."""
    wall = (clock or SystemClock()).wall

    def now() -> Observation:
        """Return the current date and time in UTC, as RFC 3339 writes it."""
        time = datetime.fromtimestamp(int(wall()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Observation(time)

    return now
