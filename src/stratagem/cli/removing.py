"""`stratagem runs rm`: remove runs for good."""

import sys
from typing import Any

import click

from stratagem.cli._ends import CANCELLED, usage
from stratagem.cli._output import SCHEMA, Mode, counted, first_line, table, warn
from stratagem.cli._settings import Verb, offers, speaking
from stratagem.cli.runs import STATES, instant

MOST = 1_000_000  # runs that a filter looks through


@click.command("runs rm", cls=Verb)
@click.argument("named", nargs=-1, metavar="RUN...", **offers("runs"))
@click.option(
    "--older-than", metavar="AGE", default="", help="All runs that changed last before then: 30d, 2w, or a date."
)
@click.option("--state", type=click.Choice(STATES), help="All runs that stand so.")
@click.option("--with-forks", is_flag=True, help="Remove what was forked from them as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@speaking("json", "quiet", "debug")
@click.pass_obj
def runs_rm(mode: Mode, named: tuple[str, ...], older_than: str, state: str | None, with_forks: bool, yes: bool) -> int:
    """Remove runs for good: those that are named, or all to which --older-than and --state apply.

    It says what goes and asks first; where nobody can be asked, --yes must say so. A run with forks is refused unless they
    go too, because a fork cannot be read without it. A run that is driven now is refused. Nothing is removed if anything
    is refused; what is only filtered, and not named, is left out instead.
    """
    from stratagem.cli._asking import interactive
    from stratagem.cli._reading import id_of, look
    from stratagem.core import Journal
    from stratagem.session import Session

    if bool(named) == bool(older_than or state):
        raise usage("name runs, or say which by --older-than and --state", "Such as `runs rm --older-than 30d`.")
    before = instant(older_than, "--older-than")
    if older_than and not yes and not interactive(mode):
        raise _unasked()

    async def remove(session: Session, journal: Journal) -> Any:
        if named:
            ids = [await id_of(mode, session, run) for run in named]
            chosen, kept = await _with_forks(journal, list(dict.fromkeys(ids)), with_forks=with_forks), []
        else:
            chosen, kept = await _filtered(session, journal, before, state, with_forks=with_forks)
        if chosen and not yes:
            if not interactive(mode):
                raise _unasked()
            if not await _agreed(journal, chosen):
                return None
        await journal.remove(chosen)
        return chosen, kept

    done = look(mode, remove)
    if done is None:
        mode.tell("nothing was removed")
        return CANCELLED
    chosen, kept = done
    if mode.json:
        mode.document({"schema": SCHEMA, "removed": chosen, "kept": kept})
        return 0
    for one in kept:
        mode.tell(f"kept {one['run']}: {one['why']}")
    mode.tell(f"removed {counted(len(chosen), 'run')}")
    return 0


def _unasked() -> Exception:
    return usage("nobody can be asked whether to remove runs", "Say so on the command line: `--yes`.")


async def _with_forks(journal: Any, ids: list[str], *, with_forks: bool) -> list[str]:
    """Return the runs to remove, forks before what they were forked from; refuse what may not go."""
    order: dict[str, None] = {}
    for run_id in ids:
        await _check_free(journal, run_id)
        for fork in await _descendants(journal, run_id):
            if fork not in ids and not with_forks:
                raise usage(f"run {run_id!r} has a fork, {fork!r}, which cannot be read without it",
                            f"Remove both: `stratagem runs rm {run_id} --with-forks`.")  # fmt: skip
            await _check_free(journal, fork)
            order[fork] = None
        order[run_id] = None
    return list(order)


async def _descendants(journal: Any, run_id: str) -> list[str]:
    """Return all that was forked from a run, directly or not, the youngest first."""
    found: dict[str, None] = {}
    waiting = [run_id]
    while waiting:
        for child in await journal.children(waiting.pop()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(reversed(found))


async def _check_free(journal: Any, run_id: str) -> None:
    from stratagem.errors import OwnedElsewhere

    if why := await _driven(journal, run_id):
        raise OwnedElsewhere(why)


async def _driven(journal: Any, run_id: str) -> str:
    """Say who drives a run now; the empty string if nobody does."""
    from stratagem.session._owner import elsewhere

    stored = await journal.find(run_id)
    if stored is None:
        return ""
    who = await elsewhere(journal, stored, b"")
    return f"run {run_id!r} is driven by {who}" if who else ""


async def _filtered(
    session: Any, journal: Any, before: int, state: str | None, *, with_forks: bool
) -> tuple[list[str], list[dict[str, str]]]:
    """Return what a filter removes, and what it leaves and why."""
    every = await session.runs(state=state, limit=MOST)
    wanted = {run.id: run for run in every if not before or run.stored.updated < before}
    chosen: dict[str, None] = {}
    kept: list[dict[str, str]] = []
    for run_id in wanted:  # the newest first, so that forks come before what they were forked from
        forks = await _descendants(journal, run_id)
        stays = next((fork for fork in forks if fork not in chosen and not with_forks), None)
        why = f"its fork {stays} stays" if stays else ""
        for one in () if why else (*forks, run_id):
            why = why or await _driven(journal, one)
        if why:
            kept.append({"run": run_id, "why": why})
        else:
            chosen.update(dict.fromkeys((*forks, run_id)))
    return list(chosen), kept


async def _agreed(journal: Any, chosen: list[str]) -> bool:
    """Show what goes, and ask."""
    from stratagem.cli._asking import ask
    from stratagem.session import RunRecord

    shown: list[tuple[str, ...]] = []
    for run_id in chosen[:20]:
        stored = await journal.find(run_id)
        if stored is not None:
            record = RunRecord(stored)
            shown.append((record.id, record.state, record.strategy, first_line(record.question, 60)))
    table(shown, elastic=3)
    sys.stdout.flush()
    if len(chosen) > len(shown):
        warn(f"and {len(chosen) - len(shown):,} more")
    try:
        return bool(ask(f"Remove {counted(len(chosen), 'run')} for good?", {"type": "boolean"}))
    except KeyboardInterrupt:
        return False
