"""`stratagem runs`: which runs are recorded."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import SCHEMA, Mode, counted, table
from stratagem.cli._settings import Verb, speaking

STATES = ("running", "waiting", "finished", "cancelled", "failed")
MOST_RUNNING = 10_000  # runs among which those that ask something are looked for
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@click.command(cls=Verb)
@click.argument("text", default="")
@click.option("--state", type=click.Choice(STATES), help="Only runs that stand so.")
@click.option("--strategy", metavar="NAME", help="Only runs of this strategy.")
@click.option("--since", metavar="AGE", default="", help="Only runs begun since then: 30m, 2d, 1w, or a date.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, metavar="N", help="At most so many."
)
@speaking("json", "debug")
@click.pass_obj
def runs(mode: Mode, text: str, state: str | None, strategy: str | None, since: str, limit: int) -> int:
    """List the recorded runs, newest first; TEXT is looked for in ids and questions.

    `--state waiting` is the inbox: below each run it lists what is asked, and the line that answers it. Runs of which only
    a part waits, while another part goes on, stand in it too. Below a run whose process is gone stands how it is continued.
    """
    from stratagem.cli._reading import GONE, HUES, abandoned, following, look, money, sign, standing, usage_of
    from stratagem.core import Journal
    from stratagem.session import RunRecord, Session

    begin = instant(since)

    async def load(session: Session, journal: Journal) -> tuple[list[RunRecord], list[bool]]:
        wanted: dict[str, Any] = {"strategy": strategy, "since": begin, "text": text}
        found = await session.runs(state=state, limit=limit + 1, **wanted)
        if state == "waiting":  # and those that wait in one strand, and go on in another
            running = await session.runs(state="running", limit=MOST_RUNNING, **wanted)
            both = {run.id: run for run in [*found, *(run for run in running if run.questions())]}
            found = sorted(both.values(), key=lambda run: -run.stored.created)[: limit + 1]
        return found, [await abandoned(journal, run) for run in found[:limit]]

    found, gone = look(mode, load)
    shown, more = found[:limit], len(found) > limit
    if mode.json:
        following = f"stratagem runs --limit {limit * 2}" if more else None
        rows = [
            {
                **run.plain(),
                "usage": usage_of(run).plain() if "usage" in run.end else None,
                "waiting": run.questions(),
            }
            for run in shown
        ]
        mode.document({"schema": SCHEMA, "runs": rows, "next": following})
        return 0
    rows = [
        ("!" if lost else sign(run), run.id, standing(run), _age(run.stored.created), counted(used.calls, "call"),
         used.size, money(used), run.strategy or "(not named)", run.question)
        for run, used, lost in ((run, usage_of(run), lost) for run, lost in zip(shown, gone, strict=True))
    ]  # fmt: skip
    below = [
        [*([GONE] if lost else []), *(following(mode, run, gone=lost) if lost or state == "waiting" else [])]
        for run, lost in zip(shown, gone, strict=True)
    ]
    table(rows, elastic=8, colours=[HUES[row[0]] for row in rows], below=below)
    if not rows:
        mode.tell("no such run" if text or state or strategy or since else "no run yet: begin one with `stratagem run`")
    if more:
        mode.tell(f"there are more: stratagem runs --limit {limit * 2}")
    return 0


def instant(since: str, option: str = "--since") -> int:
    """Return the microseconds since 1970 of `2d`, or of a date, which an option was given."""
    if not since:
        return 0
    if found := re.fullmatch(r"(\d{1,9})([smhdw])", since.strip()):
        return int((time.time() - int(found[1]) * UNITS[found[2]]) * 1e6)
    try:
        moment = datetime.fromisoformat(since.strip())
    except ValueError:
        remedy = "Write 30m, 12h, 2d, 1w, or a date such as 2026-11-25."
        raise usage(f"{option} {since!r} is neither an age nor a date", remedy) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _age(created: int) -> str:
    """Return how long ago something happened, in its largest unit."""
    seconds = max(time.time() - created / 1e6, 0)
    for unit, word in (("d", "d"), ("h", "h"), ("m", "min")):
        if seconds >= UNITS[unit]:
            return f"{int(seconds // UNITS[unit])} {word} ago"
    return f"{int(seconds)} s ago"
