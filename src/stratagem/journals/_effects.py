"""The rows of one run, read and verified."""

import json
import sqlite3
from typing import Any

from stratagem.core import Row
from stratagem.core._journal import FIRST, seal, usage_of
from stratagem.journals._payload import Words, blobs
from stratagem.journals._records import Found

# Rows of all runs that are looked through for ones that the index has lost: what a few milliseconds allow.
LOOKED_THROUGH = 20_000

READ = (
    "SELECT n, seq, kind, path, occurrence, wall, active, took, failed, sample, usage, digest, seal, request, result"
    " FROM effect WHERE run=? ORDER BY seq"
)


class Effects:
    """The rows of a run up to the first that is damaged.

    Attributes:
        rows: the sound ones, in order.
        seals: theirs.
        damage: what is wrong with the next, or None if all are there and sound.
    """

    def __init__(self, connection: sqlite3.Connection, words: Words, found: Found) -> None:
        self.rows: list[Row] = []
        self.seals: list[bytes] = []
        self.damage: str | None = None
        self._newest = found.since
        self._read(connection, words, found.number)
        if self.damage is None:
            self.damage = self._short(connection, found)

    def _read(self, connection: sqlite3.Connection, words: Words, run: int) -> None:
        raw: list[tuple[Any, ...]] = []
        try:
            raw.extend(connection.execute(READ, (run,)))
        except sqlite3.DatabaseError as error:
            self.damage = f"what follows row {raw[-1][1] if raw else -1} cannot be read: {error}"
        texts = words.read(run)
        large = blobs(connection, {part for row in raw for part in row[-2:] if type(part) is int})
        rows, before = self.rows, FIRST
        for number, seq, kind, path, occurrence, wall, active, took, failed, sample, usage, digest, mark, *parts in raw:
            try:
                request, result = (large[part] if type(part) is int else part for part in parts)
                what: Any = texts[kind]
                cost = None if usage is None else usage_of(json.loads(usage))
                times = occurrence, wall, active, took
                row = Row(seq, what, texts[path], digest, *times, cost, request, result, failed != 0, sample)
                before = seal(before, row)
                whole = before == mark and type(seq + sum(times) + failed + sample) is int
            except (KeyError, TypeError, ValueError, AttributeError):
                row = None
                whole = False
            if row is None or not whole:
                self.damage = self._told(seq, parts, large)
                break
            rows.append(row)
            self.seals.append(mark)
            self._newest = number

    def _told(self, seq: object, parts: list[Any], large: dict[int, bytes]) -> str:
        last = self.rows[-1].seq if self.rows else -1
        if seq != last + 1:
            return f"row {seq!r} is not what follows row {last}: rows are missing, or it was changed"
        for name, part in zip(("request", "result"), parts, strict=True):
            if type(part) is int and part not in large:
                return f"row {seq} has lost its {name}: the stored payload is damaged or missing"
        return f"row {seq} is not what was written"

    def _short(self, connection: sqlite3.Connection, found: Found) -> str | None:
        """Say what is missing at the end."""
        rows, count = found.run.rows, len(self.rows)
        if found.stands and rows > count:
            return f"its end is missing: it stopped with {rows} rows, and has {count}"
        # One that was continued may have more.
        if found.stands and rows > 0 and self.seals[rows - 1] != found.run.seal:
            return f"row {self.rows[rows - 1].seq} is not the one with which it stopped"
        hidden = connection.execute(
            "SELECT min(seq) FROM effect NOT INDEXED WHERE n>?1 AND n<=?1+?2 AND run=?3",
            (self._newest, LOOKED_THROUGH, found.number),
        ).fetchone()[0]
        return None if hidden is None else f"row {hidden} is missing from the index"
