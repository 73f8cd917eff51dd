"""What is kept and for how long: removal of runs, payloads that nothing refers to, and the state of the whole file."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from stratagem.core._journal import Condition
from stratagem.errors import JournalError
from stratagem.journals import _leases, _records
from stratagem.journals._effects import Effects
from stratagem.journals._payload import Words, storable, unpacked

# A file with more in use is not copied to make it smaller: others would wait for longer than they are patient.
COPIED_BYTES = 256_000_000

TOLD = 100  # faults that SQLite's own check lists

# The columns that hold a payload, or the number of one.
_PAYLOADS = (("effect", "request", "result"), ("run", "record", "end"), ("question", "form", "value"))


def answers_changed(connection: sqlite3.Connection) -> None:
    """Let everybody who listens for answers look again. Within a transaction."""
    _count(connection, "answers", "n + 1", 0)


def _count(connection: sqlite3.Connection, name: str, change: str, value: int) -> None:
    old = f"(SELECT {change} FROM count WHERE name=?)"  # noqa: S608
    connection.execute(f"INSERT OR REPLACE INTO count (name, n) VALUES (?, coalesce({old}, ?))", (name, name, value))  # noqa: S608


def removed(connection: sqlite3.Connection, run_ids: Iterable[str]) -> list[str]:
    """Remove runs with all that is theirs alone; return which there were. Within a transaction."""
    gone: list[str] = []
    payloads: set[int] = set()
    highest = 0
    for run_id in dict.fromkeys(run_ids):
        found = connection.execute("SELECT n FROM run WHERE id=?", (storable(run_id),)).fetchone()
        if found is None:
            continue
        gone.append(run_id)
        highest = max(highest, found[0])
        for table, *columns in _PAYLOADS:
            key = "n" if table == "run" else "run"
            payloads |= _referred(connection, table, columns, f"{key}={found[0]:d}")
            connection.execute(f"DELETE FROM {table} WHERE {key}=?", found)  # noqa: S608
    if gone:
        _count(connection, "runs", f"max(n, {highest:d})", highest)
        answers_changed(connection)
    if payloads:
        _drop(connection, payloads - _all_referred(connection))
    return gone


def swept(connection: sqlite3.Connection) -> int:
    """Remove payloads that nothing refers to; return how many there were. Within a transaction."""
    kept = {number for (number,) in connection.execute("SELECT n FROM blob")}
    return _drop(connection, kept - _all_referred(connection))


def given_back(connection: sqlite3.Connection) -> None:
    """Make the file as small as what is in it. Not within a transaction."""
    (pages,), (free,), (size,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    if free > 0 and (pages - free) * size <= COPIED_BYTES:
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _drop(connection: sqlite3.Connection, payloads: set[int]) -> int:
    connection.executemany("DELETE FROM blob WHERE n=?", ((number,) for number in payloads))
    return len(payloads)


def _all_referred(connection: sqlite3.Connection) -> set[int]:
    return set[int]().union(*(_referred(connection, table, columns, "1") for table, *columns in _PAYLOADS))


def _referred(connection: sqlite3.Connection, table: str, columns: Sequence[str], where: str) -> set[int]:
    one, other = columns
    rows = connection.execute(
        f"SELECT {one}, {other} FROM {table} WHERE ({where}) AND (typeof({one})='integer' OR typeof({other})='integer')"  # noqa: S608
    )
    return {part for row in rows for part in row if type(part) is int}


class Inspection:
    """Every record of a file, looked at."""

    def __init__(self, connection: sqlite3.Connection, words: Words) -> None:
        self._connection, self._words = connection, words
        self._damage: list[str] = []
        self._numbers: set[int] = set()
        self._blobs = self._orphans = self._rows = 0

    def condition(self, path: Path) -> Condition:
        """Return what was found. Within a transaction: records and rows of one moment."""
        for what in (self._pages, self._runs, self._strays, self._payloads, self._leases):
            self._told(what)
        size = sum(file.stat().st_size for file in (path, path.with_name(path.name + "-wal")) if file.exists())
        return Condition(size, len(self._numbers), self._rows, self._blobs, self._orphans, tuple(self._damage))

    def _told(self, what: Callable[[], None]) -> None:
        try:
            what()
        except (sqlite3.DatabaseError, UnicodeDecodeError, JournalError) as error:
            self._damage.append(str(error))

    def _pages(self) -> None:
        for (line,) in self._connection.execute(f"PRAGMA integrity_check({TOLD})"):
            self._damage += [one for one in line.splitlines() if one != "ok"]

    def _runs(self) -> None:
        (self._rows,) = self._connection.execute("SELECT count(*) FROM effect NOT INDEXED").fetchone()
        self._numbers = {number for (number,) in self._connection.execute("SELECT n FROM run NOT INDEXED")}
        for number in sorted(self._numbers):
            self._told(lambda number=number: self._run(number))

    def _run(self, number: int) -> None:
        row = self._connection.execute(_records.READ + "n=?", (number,)).fetchone()
        found = _records.read(self._connection, row)
        if found.damage is not None:
            self._damage.append(f"the record of run {found.run.run_id!r} is damaged: {found.damage}")
        log = Effects(self._connection, self._words, found)
        if log.damage is not None:
            self._damage.append(f"run {found.run.run_id!r}: {log.damage}")

    def _strays(self) -> None:
        for table, what in (("effect", "rows"), ("question", "questions")):
            counts = self._connection.execute(f"SELECT run, count(*) FROM {table} GROUP BY run")  # noqa: S608
            stray = sum(count for number, count in counts if number not in self._numbers)
            if stray:
                self._damage.append(f"{stray} {what} belong to no run")

    def _payloads(self) -> None:
        referred = _all_referred(self._connection)
        for number, digest, size, body in self._connection.execute("SELECT n, digest, size, body FROM blob"):
            self._blobs += 1
            self._orphans += number not in referred
            payload = unpacked(size, body)
            if payload is None or sha256(payload).digest() != digest:
                self._damage.append(f"payload {number} is not what was written")

    def _leases(self) -> None:
        self._damage += _leases.damage(self._connection)
