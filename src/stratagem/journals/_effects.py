"""The rows of one run, read and verified."""

import functools
import json
import sqlite3
from typing import Any

from stratagem.core import Row, Usage
from stratagem.core._journal import FIRST, seal, usage_form, usage_of
from stratagem.core._value import made
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
        large = blobs(connection, {row[at] for at in (-2, -1) for row in raw if type(row[at]) is int})
        rows, before = self.rows, FIRST
        for one in raw:
            (
                number, seq, kind, path, occurrence, wall, active, took, failed, sample, said, digest, mark, request, result
            ) = one  # fmt: skip
            try:
                if type(request) is int:
                    request = large[request]
                if type(result) is int:
                    result = large[result]
                what: Any = texts[kind]
                usage, shown = cost(said)
                row = made(Row, (
                    seq, what, texts[path], digest, occurrence, wall, active, took, usage, request, result,
                    failed != 0, sample,
                ))  # fmt: skip
                before = seal(before, row, shown)
                if before != mark or type(seq + occurrence + wall + active + took + failed + sample) is not int:
                    row = None
            except (KeyError, TypeError, ValueError, AttributeError):
                row = None
            if row is None:
                self.damage = self._told(seq, one[-2:], large)
                break
            rows.append(row)
            self.seals.append(mark)
            self._newest = max(self._newest, number)  # an intent may stand in the place of an older row

    def _told(self, seq: object, parts: tuple[Any, ...], large: dict[int, bytes]) -> str:
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
            "SELECT min(seq) FROM effect NOT INDEXED WHERE n>? AND n<=? AND run=?",
            (self._newest, self._newest + LOOKED_THROUGH, found.number),
        ).fetchone()[0]
        return None if hidden is None else f"row {hidden} is missing from the index"


_scan = json.JSONDecoder().raw_decode  # three times as fast as `json.loads`


@functools.lru_cache(4096)  # most rows of a run say one of few things
def cost(text: str | None) -> tuple[Usage | None, str]:
    """Return usage as it is stored: as a value, and as a seal shows it."""
    if text is None:
        return None, "None"
    form, end = _scan(text)
    if end != len(text):
        raise ValueError(text)
    usage = usage_of(form)
    return usage, str(usage_form(usage))
