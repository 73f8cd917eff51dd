"""`stratagem show`: one run, from what is recorded of it."""

from typing import Any

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import SCHEMA, Mode
from stratagem.cli._settings import Verb, offers, speaking


@click.command(cls=Verb)
@click.argument("run", **offers("runs"))
@click.option("--tree", "view", flag_value="tree", help="Effects beneath the calls that they belong to, with sums.")
@click.option("--events", "view", flag_value="events", help="Every recorded event, in order.")
@click.option("--costs", "view", flag_value="costs", help="What each signature and tool has cost.")
@click.option("--effect", type=int, metavar="N", help="One effect: what was asked, and what came.")
@speaking("json", "debug")
@click.pass_obj
def show(mode: Mode, run: str, view: str | None, effect: int | None) -> int:
    """Show RUN: an id, the beginning of one, or `last`."""
    from stratagem.cli import _views
    from stratagem.cli._reading import abandoned, id_of, look
    from stratagem.core import Journal
    from stratagem.session import RunRecord, Session

    if view is not None and effect is not None:
        raise usage(f"--effect and --{view} exclude each other", "Choose one.")

    async def load(session: Session, journal: Journal) -> tuple[RunRecord, bool]:
        record = await session.show(await id_of(mode, session, run))
        return record, await abandoned(journal, record)

    record, gone = look(mode, load)
    if effect is not None and record.found(effect) is None:
        every = [row.seq for row in (*(row for _, row in record.inherited), *record.rows)]
        numbers = f"they are numbered {min(every)} to {max(every)}" if every else "it has none"
        raise usage(f"run {record.id!r} has no effect {effect}: {numbers}", f"See `stratagem show {record.id}`.")
    if mode.json:
        mode.document({"schema": SCHEMA, **_views.document(record, effect)})
        return 0
    if effect is not None:
        _views.one_effect(record, effect)
        return 0
    views: dict[str, Any] = {"tree": _views.tree, "events": _views.events, "costs": _views.costs}
    if view is None:
        _views.summary(mode, record, gone=gone)
    else:
        views[view](record)
    return 0
