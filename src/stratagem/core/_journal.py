"""The journal: an append-only log of finished effects. Here are its records, its protocol and the one in memory.

Rule 1: a row is plain data: integers, text and canonical JSON bytes. No pickle. `VERSION` names the format.
Rule 2: `seal` chains each row to the one before, so a changed, missing or reordered row is found; a finished run also
        stores how many rows it has and its last seal, so that a cut tail is found.
Rule 3: rows of one run are stored in the order of `append`. A row is durable before `append`'s awaitable returns;
        None means that nothing needs to be awaited.
"""

from collections.abc import Awaitable, Sequence
from typing import Literal, NamedTuple, Protocol

from stratagem.core._canonical import Json, encoded, hashed
from stratagem.core._values import Usage

VERSION = 1  # of the rows; a store refuses a newer one and reads one older

Kind = Literal["model", "tool", "memory", "wait", "decision", "order", "reset", "intent"]
State = Literal["running", "waiting", "finished", "cancelled", "failed"]


class Row(NamedTuple):
    """One finished effect, or the intent of one.

    Attributes:
        seq: position in the run's log, from 0: the number that `show` prints.
        kind: what it was. `decision` is a clock or budget reading, `order` a completion order of a pool,
            `intent` says that a `keyed` or `once` tool is about to be performed.
        path: scope path.
        digest: of the canonical request, 32 bytes.
        occurrence: how often the same was asked in that path before.
        wall: start, microseconds since 1970.
        active: start, microseconds of the run's own time (what `seconds` of a budget counts).
        took: microseconds.
        usage: what it cost; None is nothing.
        request: canonical JSON; refers to earlier rows of the same run where it repeats them.
        result: canonical JSON of the value, or of the error; empty for an intent.
        failed: whether `result` is an error.
        sample: of a draw: the occurrence of the first draw of its sample; -1 otherwise.
    """

    seq: int
    kind: Kind
    path: str
    digest: bytes
    occurrence: int
    wall: int
    active: int
    took: int
    usage: Usage | None
    request: bytes
    result: bytes
    failed: bool = False
    sample: int = -1


class StoredRun(NamedTuple):
    """A run's record. Rows refer to it by `run_id`.

    Attributes:
        run_id: six or more lower-case letters and digits, unique in the store.
        state: where it stands.
        created: microseconds since 1970.
        updated: likewise, of the last change of this record.
        parent: the run it was forked from, or empty.
        epoch: counts owners; a write under an old epoch is refused.
        record: canonical JSON: strategy, task, model, tools, roots, seed, budget, options, versions ...
        answers: canonical JSON object: what persons said, by question.
        end: canonical JSON of the answer, usage, waiting questions, counts and notes, or empty while it has not ended.
        rows: how many rows it had when it stopped; -1 while it runs.
        seal: the seal of the last of them, or empty.
    """

    run_id: str
    state: State = "running"
    created: int = 0
    updated: int = 0
    parent: str = ""
    epoch: int = 1
    record: bytes = b"{}"
    answers: bytes = b"{}"
    end: bytes = b""
    rows: int = -1
    seal: bytes = b""


FIRST = hashed(b"j%d" % VERSION)


def usage_form(usage: Usage | None) -> Json:
    """Return usage as a short list, trailing defaults left out; None for nothing."""
    if usage is None:
        return None
    form: list[Json] = list(usage)
    while form and form[-1] == _USUAL[len(form) - 1]:
        form.pop()
    return form


_USUAL = list(Usage())


def usage_of(form: Json) -> Usage | None:
    """Return the usage that `usage_form` wrote."""
    return None if form is None else Usage(*form)


def seal(before: bytes, row: Row, cost: str | None = None) -> bytes:
    """Return the checksum of a row, chained to the one before: `FIRST` for the first row.

    Args:
        before: checksum of the row before.
        row: the row.
        cost: `str(usage_form(row.usage))`, for who has it already.
    """
    seq, kind, path, digest, occurrence, wall, active, took, usage, request, result, failed, sample = row
    shown = (
        f"{seq} {kind} {occurrence} {wall} {active} {took} {int(failed)} {sample} "
        f"{len(path)} {len(request)} {len(result)} {usage_form(usage) if cost is None else cost} {path}"
    )
    return hashed(b"r" + before + digest + request + result + shown.encode("utf-8", "surrogatepass"))


class Journal(Protocol):
    """Where runs are recorded. One process may hold many runs in one journal; all calls come from one event loop.

    `spec` is how it is named on the command line: `memory`, or `sqlite:PATH`. Errors are `JournalError`s: a damaged
    record is named, and refused as `JournalCorrupt`; a full disk or a locked or read-only file is a `JournalError`
    that says so, raised by the awaitable of the write that failed and of all later ones.
    """

    spec: str

    def create(self, run: StoredRun) -> Awaitable[None] | None:
        """Write a new run; rides in the same queue as rows, before all rows of that run."""
        ...

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
        """Append a row. `alone` says that nothing else is in flight, so there is no group to wait for."""
        ...

    def update(self, run: StoredRun) -> Awaitable[None] | None:
        """Replace a run's record. With `rows` >= 0 the store fills in `rows` and `seal` from what it has written."""
        ...

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows in order, verified; `UsageError` if there is none, with the nearest id."""
        ...

    async def drop_damaged(self, run_id: str) -> int:
        """Remove the damaged rows of a run (and what cannot be trusted after them); return how many went."""
        ...

    async def runs(
        self, *, state: str | None = None, strategy: str | None = None, since: int = 0, text: str = "", limit: int = 20
    ) -> list[StoredRun]:
        """Return records, newest first. `text` is looked for in id and question, case-insensitively."""
        ...

    async def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first, at most 20."""
        ...

    async def aclose(self) -> None:
        """Write what is queued, and let go of the file."""
        ...


class MemoryJournal:
    """A journal that dies with the process: for tests, comparisons and notebooks."""

    spec = "memory"

    def __init__(self) -> None:
        self._runs: dict[str, StoredRun] = {}
        self._rows: dict[str, list[Row]] = {}

    def create(self, run: StoredRun) -> None:
        """Keep a new run."""
        self._runs[run.run_id] = run
        self._rows.setdefault(run.run_id, [])

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:  # noqa: ARG002
        """Keep a row."""
        self._rows[run_id].append(row)

    def update(self, run: StoredRun) -> None:
        """Replace a run's record."""
        rows = len(self._rows[run.run_id]) if run.rows >= 0 else -1
        self._runs[run.run_id] = run._replace(rows=rows)

    def rows(self, run_id: str) -> list[Row]:
        """Return the rows of a run as they stand; the list grows with it."""
        return self._rows[run_id]

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows."""
        if run_id not in self._runs:
            raise missing(run_id, list(self._runs))
        return self._runs[run_id], list(self._rows[run_id])

    async def drop_damaged(self, run_id: str) -> int:  # noqa: ARG002
        """Drop nothing: memory is not damaged."""
        return 0

    async def runs(
        self, *, state: str | None = None, strategy: str | None = None, since: int = 0, text: str = "", limit: int = 20
    ) -> list[StoredRun]:
        """Return records, newest first."""
        found = [
            run
            for run in self._runs.values()
            if (state is None or run.state == state)
            and run.created >= since
            and (strategy is None or encoded(strategy)[1:-1] in run.record)
            and (text.lower() in run.run_id or text.lower().encode() in run.record.lower())
        ]
        return sorted(found, key=lambda run: run.created, reverse=True)[:limit]

    async def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first."""
        found = [run for run in self._runs.values() if run.run_id.startswith(prefix)]
        return [run.run_id for run in sorted(found, key=lambda run: run.created, reverse=True)[:20]]

    async def aclose(self) -> None:
        """Do nothing."""


def missing(run_id: str, known: Sequence[str]) -> Exception:
    """Return the error that says there is no such run, with the nearest id."""
    import difflib  # noqa: PLC0415  (only for the message)

    from stratagem.errors import UsageError  # noqa: PLC0415

    near = difflib.get_close_matches(run_id, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return UsageError(f"there is no run {run_id!r}{meant}", remedy="List the runs with `stratagem runs`.")
