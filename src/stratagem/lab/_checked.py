"""A suite that somebody wrote is checked before it is compared: who pays for junk makes a comparison that says nothing.

Rule 1: what the suite does wrong, or raises, is its author's mistake and is told as such: which suite, what of it, at which item.
Rule 2: the checks run on items of their own, so that their messages tell nothing of a withheld seed.
"""

import os
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from stratagem.core import ModelRetry
from stratagem.core._canonical import clean
from stratagem.errors import StratagemError, UsageError
from stratagem.lab._suites import source_of
from stratagem.lab._truth import ASKED
from stratagem.tasks import Item, Score, Suite, SuiteOracle, _checks
from stratagem.tasks._suite import Calls

ITEMS = 8  # well below a second for an ordinary suite, and enough for what is wrong with every item
WRONG = 3  # wrong answers of each item whose scores are looked at
LONGEST = 120  # characters of what a method was given
NOT_OWN = (str(Path(__file__).parent.parent), str(Path(os.__file__).parent))  # ours, and what comes with Python
METHODS = frozenset(name for name, one in vars(Suite).items() if callable(one) and not name.startswith("_"))
REMEDY = "Correct the suite: `stratagem.testing.suite_checks.check_suite` runs all checks, on more items."
TOLD: ContextVar[bool] = ContextVar(
    "told", default=True
)  # whether questions may be told: not in a process that has withheld ones
LATE = f"{REMEDY} A corrected suite is another comparison, and `--out` another folder: the answers so far belong to it as it was."


def checked(spec: str, suite: Suite, level: int, among: Sequence[Item] = ()) -> Mapping[str, Any]:
    """Run the checks of suites on one that is not ours; return what the manifest says of it, nothing of one that is.

    Args:
        spec: of the suite.
        suite: that is compared.
        level: that is compared.
        among: items that are compared, on which a constant answer is tried, if they may be told and `floor` is of their level.

    Raises:
        UsageError: a check is not met, or the suite raises something.
    """
    if not source_of(spec, suite):
        return {}
    with blamed(spec, suite):
        drawn = _checks.some(suite, ITEMS, level)
        n = len(drawn)
        _score(spec, suite, drawn)
        for check in _checks.CHECKS:
            try:
                if check is _checks.the_constant_answer_is_published:
                    _checks.the_constant_answer_is_published(suite, n, (level,), among)
                else:
                    check(suite, n, (level,))
            except _checks.Unmet as failure:
                raise UsageError(
                    f"the suite {spec!r} fails the check {_words(check)!r}: {clean(str(failure))}", remedy=REMEDY
                ) from failure
    return {"items": n, "level": level, "passed": [check.__name__ for check in _checks.CHECKS]}


def _score(spec: str, suite: Suite, items: Sequence[Item]) -> None:
    """Refuse scores that are no shares, before checks compare them."""
    for one in items:
        problem = suite.read(one.question)
        for said in (one.key, *(suite.wrong(problem, number) for number in range(WRONG))):
            scored(spec, suite, one, said, remedy=REMEDY)


def scored(
    spec: str, suite: Suite, item: Item, text: str, calls: Calls = (), *, shown: bool = True, remedy: str = LATE
) -> Score:  # fmt: skip
    """Return the score of an answer.

    Args:
        spec: of the suite.
        suite: that scores.
        item: that is answered.
        text: of the answer.
        calls: of tools that led to it.
        shown: whether a message may say what the suite was given.
        remedy: what to do about a mistake of the suite.

    Raises:
        UsageError: the suite raises something, or what it says is no share from 0 to 1.
    """
    with blamed(spec, suite, item.id, shown=shown, remedy=remedy):
        score = suite.score(item.question, text, calls)
        shares = [("`right`", score.right), *((f"`parts`, {name!r:.40},", part) for name, part in score.parts.items())]
    for what, share in shares:
        if not isinstance(share, int | float) or not 0 <= share <= 1:  # NaN is in no range  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(
                f"{what} of the suite {spec!r} is {clean(repr(share)[:LONGEST])} at {item.id}: it is a share from 0 to 1",
                remedy=remedy,
            )
    return score


def _words(check: _checks.Check) -> str:
    return check.__name__.replace("_", " ")


@contextmanager
def blamed(
    spec: str, suite: Suite, at: str = "", *, shown: bool = True, remedy: str = REMEDY
) -> Generator[None]:  # fmt: skip
    """Turn what a suite raises that is not ours into a mistake of the caller, which names the suite, its method and the item.

    Args:
        spec: of the suite.
        suite: whose methods are called.
        at: id of the item, if one is known.
        shown: whether the message may say what the method was given, and what it said: a withheld question is not told.
        remedy: what to do.

    Raises:
        UsageError: with file and line.
    """
    try:
        yield
    except (Exception, SystemExit) as failure:
        if isinstance(failure, StratagemError) or not source_of(spec, suite):
            raise
        method, item, given = _place(failure)
        where = f" at {at or item}" if at or item else ""
        with_what = f", given {given}" if given and shown else ""
        raise UsageError(
            f"{method} of the suite {spec!r} fails{where}{with_what}: {last_line(failure, shown=shown)}", remedy=remedy
        ) from failure


def fault_of(failure: BaseException) -> UsageError | None:
    """Return the mistake of a suite that came up inside a strategy's run, through its task or its oracle; None if it is another's.

    A text that is none, the form of no value, and a question that the suite never asked, are the strategy's own; what a move or a tool says of its
    arguments is the model's.
    """
    if not isinstance(failure, Exception | SystemExit) or isinstance(failure, StratagemError):
        return None
    caller, suite, trace = "", None, failure.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code in ASKED:
            return _fault_at(frame, failure, fits=trace.tb_next is not None)
        oracle = frame.f_locals.get("self")
        if isinstance(oracle, SuiteOracle) and not frame.f_globals.get("__name__", "").startswith("stratagem."):
            said = f"`{frame.f_code.co_name}` of the oracle `{type(oracle).__name__}` fails: {last_line(failure)}"
            return None if isinstance(failure, ValueError) else UsageError(said, remedy=LATE)
        suite = _suite_in(frame)
        if suite is not None:
            if caller != Suite.__module__ or _no_answer(frame):
                return None
            break
        caller, trace = frame.f_globals.get("__name__", ""), trace.tb_next
    if suite is None or type(suite).__module__.startswith("stratagem."):
        return None
    method, _, _ = _place(failure)
    if method == "`read`" and isinstance(failure, ValueError):
        return None
    return UsageError(f"{method} of the suite {suite.name!r} fails: {last_line(failure)}", remedy=LATE)


def _no_answer(frame: FrameType) -> bool:
    """Return whether a method was given what no suite has to read: a text that is none, or the value of no answer."""
    names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
    if frame.f_code.co_name == "canonical":
        return any(frame.f_locals.get(name) is None for name in names)
    return not isinstance(frame.f_locals.get("text", ""), str)


def _fault_at(frame: FrameType, failure: BaseException, *, fits: bool) -> UsageError | None:
    """Return the mistake of a suite of which something was called; `fits`: what failed is within that, and not the call."""
    held = frame.f_locals
    given = (*held["args"], *held["named"].values()) if held["by_model"] else ()
    if not held["suite"] or (held["by_model"] and (not fits or _of_arguments(failure, given))):
        return None
    hint = "; what a model did wrong it says by `ModelRetry`" if held["by_model"] else ""
    return UsageError(
        f"{held['what']} of the suite {held['suite']!r} fails: {last_line(failure)}{hint}", remedy=LATE
    )  # fmt: skip


def _of_arguments(failure: BaseException, given: Sequence[Any]) -> bool:
    """Return whether a failure is what one gets for wrong arguments, or for looking up what they name."""
    if isinstance(failure, KeyError):
        return bool(failure.args) and any(
            type(one) is type(failure.args[0]) and one == failure.args[0] for one in given
        )
    if isinstance(failure, IndexError):
        return any(type(one) is int for one in given)
    return isinstance(failure, ModelRetry | ValueError | TimeoutError)


def _suite_in(frame: FrameType) -> Suite | None:
    """Return the suite whose method a frame runs."""
    held = frame.f_locals.get("self")
    return held if frame.f_code.co_name in METHODS and isinstance(held, Suite) else None


def _place(failure: BaseException) -> tuple[str, str, str]:
    """Return which method of a suite has failed, at which item of a check, and what it was given; by the frames that it left."""
    method, item, given = "a method", "", ""
    for frame, _ in traceback.walk_tb(failure.__traceback__):
        held = frame.f_locals
        if _suite_in(frame) is not None:
            method, given = f"`{frame.f_code.co_name}`", _given(frame)
        elif frame.f_globals.get("__name__") == _checks.__name__ and isinstance(held.get("one"), Item):
            item = held["one"].id
    return method, item, given


def _given(frame: FrameType) -> str:
    names = frame.f_code.co_varnames[1 : frame.f_code.co_argcount]
    said = [
        f"{name} {frame.f_locals[name]!r:.{LONGEST}}" for name in names if name in frame.f_locals and name != "dice"
    ]
    return clean(", ".join(said))


def last_line(failure: BaseException, *, shown: bool = True) -> str:
    """Return what a failure says, which may be a question, and the last line of a user's own file that led to it."""
    frames, cause = traceback.extract_tb(failure.__traceback__), failure.__cause__
    if cause is not None:  # a coroutine may not raise `StopIteration`: where it did is told by that
        frames = [*traceback.extract_tb(cause.__traceback__), *frames]
    own = [one for one in frames if not one.filename.startswith(NOT_OWN) and "site-packages" not in one.filename]
    own = own or list(frames)
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    said = f": {failure}" if shown and TOLD.get() and str(failure) else ""
    return clean(f"{type(failure).__name__}{said}"[:400] + where)
