"""What is said of a failure that ends a comparison: at which strategy, budget and item, and how to go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stratagem.errors import StratagemError
from stratagem.lab._checked import LATE
from stratagem.lab._crew import Halt, signal_of

MOST = 3  # items that are named


class Halted(RuntimeError):
    """A comparison has ended by something that is no failure of ours.

    Args:
        message: what is the case.
        remedy: what to do.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def explained(halt: Halt, who: Callable[[Any], str], item: Callable[[int], str], out: Path | None) -> Exception:
    """Return the error that the caller of a comparison gets.

    Args:
        halt: what happened.
        who: returns the name of a job's strategy.
        item: returns the id of an item from its number.
        out: the folder that keeps answers, if there is one.
    """
    place = _place(halt, who, item)
    going_on = (
        f"What is answered is kept in {str(out)!r}: the same comparison goes on from there."
        if out is not None
        else "Nothing is kept: with `--out DIR` answers are, and the same comparison goes on from there."
    )
    failure = halt.failure
    if failure is None:
        return Halted(
            f"a process that ran strategies has died ({signal_of(halt.status)}){place}",
            f"See if there is memory enough; fewer `--processes` need less. {going_on}",
        )
    if isinstance(failure, StratagemError):
        remedy = failure.remedy.replace("esume the run", "epeat the comparison")
        if failure.args:
            failure.args = (f"{failure.args[0]}{place}", *failure.args[1:])
        failure.remedy = remedy if remedy == LATE else f"{remedy} {going_on}"
        return failure
    made = Halted(f"{failure}{place}", going_on)
    for note in getattr(failure, "__notes__", ()):
        made.add_note(note)
    return made


def _place(halt: Halt, who: Callable[[Any], str], item: Callable[[int], str]) -> str:
    job = halt.job
    if job is None:
        return ", before the first item"
    names = [item(number) for number in sorted(halt.items)]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    at = f", at {', '.join(names[:MOST])}{more}" if names else ""
    return f" ({who(job)} at {job['budget'] or 'no limit'} with {job['model']}{at})"
