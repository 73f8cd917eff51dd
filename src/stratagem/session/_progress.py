"""`progress`: a listener that shows a run while it goes on."""

import os
import sys
from typing import IO

from stratagem.core import Event


class Progress:
    """A listener; `close` leaves the terminal as it was."""

    def __call__(self, event: Event) -> None:
        """Show what an event changes."""

    def close(self) -> None:
        """Stop showing."""


def progress(stream: IO[str] | None = None) -> Progress:
    """Return a listener for `on_event` of `open` and `run`.

    It draws on a terminal, updates one cell in a notebook, and does nothing elsewhere.
    """
    return Progress()


def redraws(stream: IO[str]) -> bool:
    """Return whether a stream is a terminal that wants to be redrawn and coloured."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR"):
        return False
    return not os.environ.get("CI") or bool(os.environ.get("FORCE_COLOR"))


__all__ = ["Progress", "progress", "redraws", "sys"]
