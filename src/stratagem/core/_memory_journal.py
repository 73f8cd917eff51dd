"""A journal that dies with the process: for tests, comparisons and notebooks."""

from collections.abc import Sequence

from stratagem.core._canonical import Json, decoded, encoded
from stratagem.core._clock import Clock, SystemClock
from stratagem.core._journal import Condition, Row, StoredRun, missing
from stratagem.errors import OwnedElsewhere, UsageError


class MemoryJournal:
    """A journal that dies with the process (`stratagem.core.Journal`).

    Args:
        clock: tells the age of leases; the machine's clock if not given.
    """

    spec = "memory"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._runs: dict[str, StoredRun] = {}
        self._rows: dict[str, list[Row]] = {}
        self._driven: dict[str, list[Row]] = {}  # those of runs that somebody drives: only they may be written to
        self._beats: dict[str, int] = {}

    def create(self, run: StoredRun) -> None:
        """Keep a new run."""
        self._runs[run.run_id] = run
        self._driven[run.run_id] = self._rows.setdefault(run.run_id, [])

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:  # noqa: ARG002
        """Keep a row."""
        try:
            self._driven[run_id].append(row)
        except KeyError:
            raise _let_go(run_id) from None

    def update(self, run: StoredRun) -> None:
        """Replace a run's record."""
        known = self._mine(run.run_id)
        rows = len(self._rows[run.run_id]) if run.rows >= 0 else -1
        self._runs[run.run_id] = run._replace(
            rows=rows, epoch=known.epoch, answers=known.answers, questions=known.questions
        )
        if not run.owner:
            del self._driven[run.run_id]

    def ask(self, run_id: str, question: str, form: bytes) -> None:
        """Keep a question."""
        run = self._mine(run_id)
        self._runs[run_id] = run._replace(questions=encoded({question: decoded(form), **decoded(run.questions)}))

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        """Let go of a run, unless an answer is there."""
        said: dict[str, Json] = decoded(self._mine(run.run_id).answers)
        found = {question: encoded(said[question]) for question in waiting if question in said}
        if not found:
            self.update(run)
        return found

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        """Keep an answer."""
        run = self._known(run_id)
        said: dict[str, Json] = decoded(run.answers)
        if question in said:
            return None
        if question not in decoded(run.questions):
            raise UsageError(f"run {run_id!r} has not asked {question!r}")
        self._runs[run_id] = run._replace(answers=encoded({**said, question: decoded(value)}))
        return self._runs[run_id]

    async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Return what persons said to these runs."""
        return {
            run_id: {question: encoded(value) for question, value in decoded(self._runs[run_id].answers).items()}
            for run_id in run_ids
            if run_id in self._runs
        }

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        """Take a run over."""
        run = self._known(run_id)
        if run.epoch != epoch:
            raise OwnedElsewhere(f"run {run_id!r} has been taken over meanwhile")
        self._runs[run_id] = run._replace(epoch=epoch + 1, owner=owner)
        self._driven[run_id] = self._rows[run_id]

    def beat(self, owner: bytes) -> None:
        """Keep that an owner is alive."""
        self._beats[decoded(owner)["id"]] = self._clock.stamp()

    async def age(self, owner: bytes) -> float | None:
        """Return the seconds since an owner's last beat."""
        beat = self._beats.get(decoded(owner)["id"])
        return None if beat is None else (self._clock.stamp() - beat) / 1e6

    def rows(self, run_id: str) -> list[Row]:
        """Return the rows of a run as they stand; the list grows with it."""
        return self._rows[run_id]

    async def find(self, run_id: str) -> StoredRun | None:
        """Return a run's record."""
        return self._runs.get(run_id)

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        """Return a run and its rows."""
        return self._known(run_id), list(self._rows[run_id])

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

    async def children(self, run_id: str) -> list[str]:
        """Return the ids of the runs that were forked from this one."""
        found = [run for run in self._runs.values() if run.parent == run_id]
        return [run.run_id for run in sorted(found, key=lambda run: run.created)]

    async def remove(self, run_ids: Sequence[str]) -> int:
        """Forget runs."""
        found = [run_id for run_id in dict.fromkeys(run_ids) if run_id in self._runs]
        for run_id in found:
            del self._runs[run_id], self._rows[run_id]
            self._driven.pop(run_id, None)
        return len(found)

    async def sweep(self) -> int:
        """Do nothing: memory has no payloads beside its rows."""
        return 0

    async def check(self) -> Condition:
        """Count what is there."""
        rows = [row for kept in self._rows.values() for row in kept]
        size = sum(len(row.request) + len(row.result) for row in rows)
        return Condition(size, len(self._runs), len(rows))

    async def aclose(self) -> None:
        """Do nothing."""

    def _mine(self, run_id: str) -> StoredRun:
        if run_id not in self._driven:
            raise _let_go(run_id)
        return self._runs[run_id]

    def _known(self, run_id: str) -> StoredRun:
        run = self._runs.get(run_id)
        if run is None:
            raise missing(run_id, list(self._runs))
        return run


def _let_go(run_id: str) -> OwnedElsewhere:
    return OwnedElsewhere(f"run {run_id!r} is not driven here", remedy="Claim it before writing to it.")
