"""The journal's file, as it is read: by one thread at a time, and waiting for whoever locks it.

Rule: nothing is read that was not verified. Looking makes no file.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from stratagem.core import Clock, StoredRun, SystemClock
from stratagem.core._journal import Condition
from stratagem.errors import JournalCorrupt
from stratagem.journals import _keeping, _leases, _lists, _questions, _records
from stratagem.journals._payload import Words
from stratagem.journals._schema import BUSY, code_of, explained, opened, transaction

T = TypeVar("T")

# How long to wait before each next try for a lock, in seconds; the last is repeated. SQLite's own list.
DELAYS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.025, 0.025, 0.05, 0.05, 0.1)


class File:
    """One file, opened when it is first needed."""

    def __init__(self, path: Path, patience_s: float, clock: Clock | None) -> None:
        self.path = path
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._connection: sqlite3.Connection | None = None
        self._words: Words | None = None
        self._said: dict[str, dict[str, bytes]] = {}  # answers of the runs whose answers were read last,
        self._listeners: list[str] = []  # which are these,
        self._listened: int | None = None  # when so many changes had been made

    @property
    def ready(self) -> bool:
        """Whether it is open, so that a write takes one commit."""
        return self._connection is not None

    def find(self, run_id: str) -> StoredRun | None:
        """Return a run's record, verified."""
        found = self._looking(None, lambda connection: _lists.found(connection, run_id))
        return None if found is None else _records.verified(found)

    def runs(self, *, state: str | None, strategy: str | None, since: int, text: str, limit: int) -> list[StoredRun]:
        """Return records, newest first."""
        return self._listed(_lists.wanted(state=state, strategy=strategy, since=since, text=text), limit)

    def ids(self, prefix: str) -> list[str]:
        """Return the ids that begin with `prefix`, newest first, at most 20."""
        return [run.run_id for run in self._listed(_lists.beginning(prefix), 20)]

    def children(self, run_id: str) -> list[str]:
        """Return the ids of the runs that were forked from this one, oldest first."""
        return [run.run_id for run in reversed(self._listed(_lists.children(run_id), -1))]

    def _listed(self, where: _lists.Where, limit: int) -> list[StoredRun]:
        return self._looking([], lambda connection: _lists.newest(connection, self.path, where, limit))

    def age(self, owner: bytes) -> float | None:
        """Return the seconds since an owner's last beat."""
        return self._looking(None, lambda connection: _leases.age(connection, owner, self._clock))

    def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Return what persons said to these runs."""
        return self._looking({}, lambda connection: self._heard(connection, run_ids))

    def _heard(self, connection: sqlite3.Connection, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        listened = _changes(connection)  # before the answers: one that comes in between is read again
        known = self._said if listened == self._listened and listened is not None else {}
        said = {**known, **_questions.said(connection, [run_id for run_id in run_ids if run_id not in known])}
        self._said = {run_id: said[run_id] for run_id in run_ids if run_id in said}
        self._listeners, self._listened = list(run_ids), listened
        return {run_id: {**answers} for run_id, answers in self._said.items()}

    def answers_at_once(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]] | None:
        """Likewise, if nothing has changed since the same was asked; None if it would take longer to know."""
        if self._connection is None or self._listened is None or list(run_ids) != self._listeners:
            return None
        try:
            if _changes(self._connection) != self._listened or len(self._said) < len(self._listeners):
                return None
        except sqlite3.Error:
            return None
        return {run_id: {**answers} for run_id, answers in self._said.items()}

    def sweep(self) -> int:
        """Remove payloads that nothing refers to, and give their space back; return how many went."""
        gone = self._looking(0, _keeping.swept, changes=True)
        self._looking(None, _keeping.given_back)
        return gone

    def check(self) -> Condition:
        """Look at every byte."""
        try:
            return self._looking(Condition(0, 0, 0), self._inspected)
        except JournalCorrupt as error:  # it cannot even be opened
            return Condition(self.path.stat().st_size, 0, 0, damage=(str(error),))

    def _inspected(self, connection: sqlite3.Connection) -> Condition:
        words = Words(connection)  # nothing that was read before
        with transaction(connection, "BEGIN"):
            return _keeping.Inspection(connection, words).condition(self.path)

    def close(self) -> None:
        """Bring the log into the file, and let go of it. The log stays where another process reads, or no space is."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            pass
        finally:
            connection.close()

    def _looking(self, nothing: T, work: Callable[[sqlite3.Connection], T], *, changes: bool = False) -> T:
        """Return what `work` finds, or changes in a transaction; `nothing` if there is no file."""

        def within(connection: sqlite3.Connection, _: Words) -> T:
            if not changes:
                return work(connection)
            with transaction(connection, "BEGIN IMMEDIATE"):
                return work(connection)

        if self._connection is None and not self.path.exists():
            return nothing
        return self._reading(within)

    def _reading(self, work: Callable[[sqlite3.Connection, Words], T]) -> T:
        try:
            return self._patiently(lambda: work(*self._opened()))
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise explained(error, self.path) from error

    def _opened(self) -> tuple[sqlite3.Connection, Words]:
        if self._connection is None or self._words is None:
            self._connection = opened(self.path)
            self._words = Words(self._connection)
        return self._connection, self._words

    def _patiently(self, what: Callable[[], T]) -> T:
        """Do it, and again while another process has the lock, for as long as patience lasts."""
        until = self._clock.stamp() / 1e6 + self._patience_s
        tries = 0
        while True:
            try:
                return what()
            except sqlite3.OperationalError as error:
                if code_of(error) not in BUSY or self._clock.stamp() / 1e6 >= until:
                    raise
                time.sleep(DELAYS[min(tries, len(DELAYS) - 1)])
                tries += 1


def _changes(connection: sqlite3.Connection) -> int | None:
    """Return how often anything about answers has changed; None if that is not known."""
    found = connection.execute("SELECT n FROM count WHERE name='answers'").fetchone()
    return None if found is None else found[0]
