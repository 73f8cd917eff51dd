"""Opens a session that only reads records: no model, no memory, no tools."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import stratagem
from stratagem.cli._output import Mode
from stratagem.core import EffectCounts, Usage, budget_of
from stratagem.session import RunRecord, Session

T = TypeVar("T")

SPENT = ("calls", "tokens", "prompt_tokens", "completion_tokens", "usd", "seconds")

SIGNS = {"answered": "✓", "running": "●", "suspended": "?", "budget": "!", "cancelled": "-", "failed": "✗"}
HUES = {"✓": "green", "●": "yellow", "?": "yellow", "!": "yellow", "-": "", "✗": "red"}


def read(mode: Mode, work: Callable[[Session], Awaitable[T]]) -> T:
    """Return what some work with a session that reads records yields."""

    async def reading() -> T:
        async with stratagem.open(home=mode.home, memory="none") as session:
            return await work(session)

    return asyncio.run(reading())


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
    return f"{counts.reused:,} effects reused · {counts.performed:,} performed{left}"


def money(usd: float | None) -> str:
    """Return money as the answer's last line has it; unknown is never zero."""
    return "unknown" if usd is None else f"${usd:.4g}" if usd else "-"
