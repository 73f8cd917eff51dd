"""Opens a session that only looks at records: no model, no memory, no tools."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import stratagem
from stratagem.cli._asking import wanted
from stratagem.cli._output import Mode, counted
from stratagem.core import EffectCounts, Journal, Usage, budget_of
from stratagem.errors import UsageError
from stratagem.session import RunRecord, Session
from stratagem.session._journals import journal_of
from stratagem.session._owner import elsewhere
from stratagem.session._records import home_of

T = TypeVar("T")

SPENT = ("calls", "tokens", "prompt_tokens", "completion_tokens", "usd", "seconds")

SIGNS = {"answered": "✓", "running": "●", "suspended": "?", "budget": "!", "cancelled": "-", "failed": "✗"}
HUES = {"✓": "green", "●": "yellow", "?": "yellow", "!": "yellow", "-": "", "·": "", "=": "", "✗": "red"}
GONE = "running, but its process is gone"


def read(mode: Mode, work: Callable[[Session], Awaitable[T]]) -> T:
    """Return what some work with a session that reads records yields."""
    return look(mode, lambda session, _: work(session))


def look(mode: Mode, work: Callable[[Session, Journal], Awaitable[T]]) -> T:
    """Return what some work with a session and its journal yields."""

    async def looking() -> T:
        home = home_of(mode.home)
        journal = journal_of(mode.journal, home)
        async with stratagem.open(home=home, journal=journal, memory="none") as session:
            return await work(session, journal)

    return asyncio.run(looking())


async def id_of(mode: Mode, session: Session, run: str) -> str:
    """Return the id that an id, the beginning of one, or `last` means.

    Raises:
        UsageError: there is none, or there are several; the remedy is the list of runs.
    """
    try:
        return await session.find(run)
    except UsageError as failure:
        if failure.remedy != UsageError.remedy:
            raise
        raise UsageError(str(failure), remedy=f"See `{mode.line('runs')}`.") from None


async def abandoned(journal: Journal, record: RunRecord) -> bool:
    """Return whether a run is stored as running and nobody drives it: its process was killed, or the machine stopped."""
    if record.state != "running" or await elsewhere(journal, record.stored, b""):
        return False
    now = await journal.find(record.id)  # it may have ended since, and its process with it
    return now is not None and (now.state, now.epoch) == ("running", record.stored.epoch)


def standing(record: RunRecord) -> str:
    """Return how a run stands, in a word: why it stopped, else its state."""
    return record.stop if record.stop is not None and record.state != "running" else record.state


def sign(record: RunRecord) -> str:
    """Return the sign of how a run stands."""
    return SIGNS.get(standing(record), "✗")


def usage_of(record: RunRecord) -> Usage:
    """Return what a run has cost: as it was stored at its end, else from the effects that were loaded."""
    form: dict[str, Any] | None = record.end.get("usage")
    return Usage(**form) if form else record.usage()


class Question(NamedTuple):
    """An open question.

    Attributes:
        id: its id within the run.
        text: what is asked.
        line: the command line that answers it.
        value: what its VALUE may be, in words.
    """

    id: str
    text: str
    line: str
    value: str

    def lines(self) -> list[str]:
        """Return what a person reads: the question, and how to answer it."""
        return [f"question {self.id}: {self.text}", f"answer: {self.line}  (VALUE: {self.value})"]


def inbox(mode: Mode, record: RunRecord) -> list[Question]:
    """Return what a run asks persons, each with the line that answers it."""
    waiting = record.questions()
    found: list[Question] = []
    for one in waiting:
        named = f" --question {one['id']}" if len(waiting) > 1 else ""
        line = mode.again("answer", record.id, f"{named} VALUE", record.record)
        found.append(Question(one["id"], one["question"], line, wanted(one["schema"])))
    return found


def following(mode: Mode, record: RunRecord, *, gone: bool) -> list[str]:
    """Return the lines below a run that say what a person can do: its questions, or that it only has to be resumed."""
    lines = [line for one in inbox(mode, record) for line in one.lines()]
    if gone or (record.state == "waiting" and not lines):
        lines.append(f"continue: {mode.again('resume', record.id, record=record.record)}")
    return lines


def budget_document(record: RunRecord) -> dict[str, Any]:
    """Return a run's limits, what was spent under them, and what was billed above them."""
    limits, used = budget_of(record.record.get("budget", "")), usage_of(record)
    spent = {name: getattr(used, name) for name in SPENT}
    return {"limits": limits._asdict(), "spent": spent, "overshoot": limits.overshoot(used)}


def counts_of(record: RunRecord) -> dict[str, int | None]:
    """Return how many effects were reused, performed and left unused; null of a run that has not ended."""
    return dict.fromkeys(EffectCounts._fields) if record.counts is None else record.counts._asdict()


def reused(counts: EffectCounts | None) -> str:
    """Return the same in words; empty if there was nothing to reuse."""
    if counts is None or not (counts.reused or counts.unused):
        return ""
    left = f" · {counts.unused:,} not asked for" if counts.unused else ""
    return f"{counted(counts.reused, 'effect')} reused · {counts.performed:,} performed{left}"


def money(used: Usage) -> str:
    """Return what something cost, for a column: short where all is unknown, or nothing is charged."""
    return {"cost unknown": "unknown", "no charge": "-"}.get(used.money, used.money)
