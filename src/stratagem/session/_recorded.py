"""Recorded runs by their names, and what `replay:RUN` says again of one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stratagem.core import Journal, Model, Row, Services
from stratagem.errors import UsageError
from stratagem.session._forks import ancestry
from stratagem.session._loading import unknown
from stratagem.session._records import RunRecord

if TYPE_CHECKING:
    from stratagem.models.replay import Recording

PREFIX = "replay:"
LAST = "last"
SHOWN = 3  # runs that are named where none was meant


async def find_run(journal: Journal, run: str) -> str:
    """Return the id that an id, a unique prefix, or `last` means; `UsageError` with the nearest if there is none."""
    if run == LAST:
        newest = await journal.runs(limit=1)
        if not newest:
            raise UsageError("there is no run yet", remedy='Begin one: `stratagem run "..."`.')
        return newest[0].run_id
    found = await journal.ids(run) if run else []
    if run in found or (found and await journal.find(run) is not None):
        return run
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{run!r} begins {'at least ' if len(found) >= 20 else ''}{len(found)} ids: {', '.join(found[:5])}"
        )
    raise unknown("run", run, [stored.run_id for stored in await journal.runs(limit=200)])


async def recorded(journal: Journal, run: str) -> "Recording":
    """Return what a run has recorded of its model, with what it was forked from.

    Raises:
        UsageError: there is no such run.
        JournalCorrupt: it is damaged.
    """
    from stratagem.models.replay import Recording  # noqa: PLC0415  (only a session with such a model needs it)

    if run == LAST:  # by now that is the run that asks
        raise UsageError(f"`{PREFIX}{LAST}` names no run here", remedy=f"Write its id: `{PREFIX}RUN`.")
    record = RunRecord(*await journal.load(await find_run(journal, run)))
    family = await ancestry(journal, record)
    every = [*family.found, *((record, row) for row in record.rows)]
    numbered = {owner.id: {row.seq: row for row in owner.rows} for owner, _ in every}
    rows: list[tuple[Row, Mapping[int, Row]]] = [
        (row, numbered[owner.id]) for owner, row in every if row.kind == "model"
    ]
    return Recording(record.id, record.model, rows)


async def with_id(journal: Journal, model: Any) -> Any:
    """Return a model or a spec; of `replay:RUN` with the whole id of the run, so that its record can be resumed.

    The journal is closed if there is no such run.
    """
    if not (isinstance(model, str) and (model.startswith(PREFIX) or model == PREFIX[:-1])):
        return model
    try:
        if "|" in model:
            from stratagem.models import check_chain  # noqa: PLC0415

            check_chain(model.split("|"))
        return PREFIX + await _meant(journal, model[len(PREFIX) :])
    except BaseException:
        await journal.aclose()
        raise


async def _meant(journal: Journal, run: str) -> str:
    """Return the id of the run that is to be said again; `last` is the newest that is itself no replay.

    Raises:
        UsageError: there is none, or none is named; the remedy names what is there.
    """
    if run == LAST:
        found = await _originals(journal, 1)
        if not found:
            raise UsageError("there is no run yet that is itself no replay", remedy='Begin one: `stratagem run "..."`.')
        return found[0].id
    try:
        if run:
            return await find_run(journal, run)
        failure = UsageError("the model `replay` needs a run")
    except UsageError as raised:
        failure = raised
    there = "; ".join(f"`{PREFIX}{one.id}` ({one.question[:60]})" for one in await _originals(journal, SHOWN))
    if not there:
        raise UsageError(f"{failure}; there is no run yet", remedy='Begin one: `stratagem run "..."`.') from None
    raise UsageError(str(failure), remedy=f"The newest: {there}. `stratagem runs` lists them.") from None


async def _originals(journal: Journal, most: int) -> list[RunRecord]:
    """Return the newest runs that are themselves no replays, at most so many."""
    limit = 20
    while True:
        stored = await journal.runs(limit=limit)
        found = [record for record in map(RunRecord, stored) if not record.model.startswith(PREFIX)]
        if len(found) >= most or len(stored) < limit:
            return found[:most]
        limit *= 8


async def prepared(services: Services, options: Mapping[str, Any]) -> None:
    """Let the model of a run read what it needs to know before it is asked, if it is one that must."""
    model: Model = services.named_model(options.get("model"))
    prepare = getattr(model, "prepare", None)
    if prepare is not None:
        await prepare()
