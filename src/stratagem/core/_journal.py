"""The journal: an append-only log of finished effects. Here are its records, its protocol and the one in memory.

Rule 1: a row is plain data: integers, text and canonical JSON bytes. No pickle. `VERSION` names the format.
Rule 2: `seal` chains each row to the one before, so a changed, missing or reordered row is found; a finished run also
        stores how many rows it has and its last seal, so that a cut tail is found.
Rule 3: rows of one run are stored in the order of `append`. A row is durable before `append`'s awaitable returns;
        None means that nothing needs to be awaited.
Rule 4: a run has one owner, who knows its epoch. Whoever takes it over raises the epoch in the same transaction that
        looks at it, and from then on every write of the old owner is refused.
"""

from collections.abc import Awaitable, Sequence
from typing import Literal, NamedTuple, Protocol

from stratagem.core._canonical import Json, hashed
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
        answers: canonical JSON object: what persons said, by question. Only `answer` writes it.
        end: canonical JSON of the answer, usage, waiting questions, counts and notes, or empty while it has not ended.
        rows: how many rows it had when it stopped; -1 while it runs.
        seal: the seal of the last of them, or empty.
        owner: canonical JSON of who drives it (`id` tells owners apart), or empty if nobody does.
        questions: canonical JSON object: what was asked of persons, by question. Only `ask` writes it.
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
    owner: bytes = b""
    questions: bytes = b"{}"


class Condition(NamedTuple):
    """What `Journal.check` found.

    Attributes:
        bytes: that the store takes up.
        runs: how many there are.
        rows: of all runs.
        blobs: payloads that are stored once for all rows that have them.
        orphans: blobs that no row and no record refers to; `sweep` removes them.
        damage: what is not as it was written, one line each.
    """

    bytes: int
    runs: int
    rows: int
    blobs: int = 0
    orphans: int = 0
    damage: tuple[str, ...] = ()


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
    return hashed(b"".join((b"r", before, digest, request, result, shown.encode("utf-8", "surrogatepass"))))


class Journal(Protocol):
    """Where runs are recorded. One process may hold many runs in one journal; all calls come from one event loop.

    `spec` is how it is named on the command line: `memory`, `sqlite:PATH`, or the URL of a server without its password.
    Errors are `JournalError`s: a damaged record is named, and refused as `JournalCorrupt`; a full disk or a locked or
    read-only file is a `JournalError` that says so, raised by the awaitable of the write that failed and of all later
    ones. Writes of one run (`create append update ask park`) are refused with `OwnedElsewhere` unless this object has
    created or claimed it and it still has that epoch.
    """

    spec: str

    def create(self, run: StoredRun) -> Awaitable[None] | None:
        """Write a new run; rides in the same queue as rows, before all rows of that run."""
        ...

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
        """Append a row. `alone` says that nothing else is in flight, so there is no group to wait for."""
        ...

    def update(self, run: StoredRun) -> Awaitable[None] | None:
        """Replace a run's record, but for its answers and questions.

        With `rows` >= 0 the store fills in `rows` and `seal` from what it has written. Without an `owner` it lets go of
        the run: to write to it again, claim it.
        """
        ...

    def ask(self, run_id: str, question: str, form: bytes) -> Awaitable[None] | None:
        """Store what is asked of a person, canonical JSON, unless it is there already."""
        ...

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        """Let go of a run that waits for persons: `update`, unless a question it waits for has been answered.

        Returns:
            The answers that have come in meanwhile, by question: then nothing was written. No answer can come between
            this look and the letting go, so whoever answers later sees that nobody drives the run.
        """
        ...

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        """Store what a person said, canonical JSON, once; the run need not be owned.

        Returns:
            The run as it stood at that moment, or None, with nothing changed, if the question was answered before.

        Raises:
            UsageError: there is no such run, or it has not asked that.
        """
        ...

    async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Return what persons said to these runs, by run and question. Called often: it must cost little."""
        ...

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        """Take a run over, if it still has this epoch; it has the next one from then on. `load` it afterwards.

        Raises:
            UsageError: there is no such run.
            OwnedElsewhere: it has another epoch: somebody else was faster.
        """
        ...

    def beat(self, owner: bytes) -> Awaitable[None] | None:
        """Say that an owner is alive, now, by the store's clock. Rides in the same queue as rows."""
        ...

    async def age(self, owner: bytes) -> float | None:
        """Return the seconds since an owner's last beat; None if it never said that it is alive."""
        ...

    async def find(self, run_id: str) -> StoredRun | None:
        """Return a run's record, verified; None if there is none."""
        ...

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows in order, verified; `UsageError` if there is none, with the nearest id."""
        ...

    async def drop_damaged(self, run_id: str) -> int:
        """Remove the damaged rows of a run; return how many went. What is as it was written stays.

        Its epoch is raised, and nobody owns it afterwards.
        """
        ...

    async def runs(
        self, *, state: str | None = None, strategy: str | None = None, since: int = 0, text: str = "", limit: int = 20
    ) -> list[StoredRun]:
        """Return records, newest first. `text` is looked for in id and question, case-insensitively."""
        ...

    async def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first, at most 20."""
        ...

    async def children(self, run_id: str) -> list[str]:
        """Return the ids of the runs that were forked from this one, oldest first."""
        ...

    async def remove(self, run_ids: Sequence[str]) -> int:
        """Remove runs with all that is theirs alone, in one transaction; return how many there were."""
        ...

    async def sweep(self) -> int:
        """Remove payloads that nothing refers to, and give their space back; return how many went."""
        ...

    async def check(self) -> Condition:
        """Look at every byte, and say what is wrong; nothing is changed."""
        ...

    async def aclose(self) -> None:
        """Write what is queued, and let go of the file."""
        ...


def missing(run_id: str, known: Sequence[str]) -> Exception:
    """Return the error that says there is no such run, with the nearest id."""
    import difflib  # noqa: PLC0415  (only for the message)

    from stratagem.errors import UsageError  # noqa: PLC0415

    near = difflib.get_close_matches(run_id, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return UsageError(f"there is no run {run_id!r}{meant}", remedy="List the runs with `stratagem runs`.")
