"""The rows of one run, read and verified; and the payloads that are stored once each."""

import json
import zlib
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

from stratagem.core import Row, Usage
from stratagem.core._canonical import text_of as json_text
from stratagem.core._journal import FIRST, seal, usage_form, usage_of
from stratagem.journals._postgres_records import Found, bytes_of, text_of
from stratagem.journals._salvage import Stored

INLINE: Final = 1024  # bytes; a larger payload is stored by its digest

FAILED, REQUEST_APART, RESULT_APART = 1, 2, 4  # bits of `flags`

COLUMNS = "run, seq, kind, path, occurrence, wall, active, took, flags, sample, usage, digest, seal, request, result"
TYPES = [
    "bigint",
    "bigint",
    "text",
    "bytea",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "text",
    "bytea",
    "bytea",
    "bytea",
    "bytea",
]

READ = (
    "SELECT seq, kind, path, occurrence, wall, active, took, flags, sample, usage, digest, seal, request, result"
    " FROM {s}.effect WHERE run = %s ORDER BY seq"
)
BLOBS = """SELECT digest, size, body FROM {s}.blob WHERE digest IN (
    SELECT request FROM {s}.effect WHERE run = %s AND flags & 2 <> 0
    UNION ALL SELECT result FROM {s}.effect WHERE run = %s AND flags & 4 <> 0)"""

Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]
Blob = tuple[int, bytes]  # size of the payload, and its body


def values_of(row: Row, chain: bytes, blobs: dict[bytes, Blob]) -> tuple[Any, ...]:
    """Return the values of `COLUMNS` but for the run; add the payloads that are stored apart to `blobs`."""
    seq, kind, path, digest, occurrence, wall, active, took, usage, request, result, failed, sample = row
    flags = FAILED if failed else 0
    if len(request) > INLINE:
        request, flags = apart(request, blobs), flags | REQUEST_APART
    if len(result) > INLINE:
        result, flags = apart(result, blobs), flags | RESULT_APART
    cost = "" if usage is None else json_text(usage_form(usage))
    return (
        seq,
        kind,
        bytes_of(path),
        occurrence,
        wall,
        active,
        took,
        flags,
        sample,
        cost,
        digest,
        chain,
        request,
        result,
    )


def apart(payload: bytes, blobs: dict[bytes, Blob]) -> bytes:
    """Return the digest of a payload, and add it to `blobs`."""
    digest = sha256(payload).digest()
    if digest not in blobs:
        body = zlib.compress(payload, 1)
        blobs[digest] = (len(payload), body if len(body) < len(payload) else payload)
    return digest


def unpacked(digest: bytes, size: int, body: bytes) -> bytes | None:
    """Return a payload, None if it is damaged; never more bytes than it had."""
    payload = body
    if len(body) != size:
        opener = zlib.decompressobj()
        try:
            payload = opener.decompress(body, size + 1) if 0 <= size < 1 << 40 else b""
        except (zlib.error, ValueError, OverflowError):
            return None
    return payload if len(payload) == size and sha256(payload).digest() == digest else None


class Effects:
    """The rows of a run up to the first that is damaged.

    Attributes:
        rows: the sound ones, in order.
        seals: theirs.
        damage: what is wrong with the next, or None if all are there and sound.
    """

    def __init__(self, rows: Rows, found: Found) -> None:
        self.rows: list[Row] = []
        self.seals: list[bytes] = []
        raw = rows(READ, (found.number,))
        large: dict[bytes, bytes] = {}
        if any(one[7] & (REQUEST_APART | RESULT_APART) for one in raw):
            large = _payloads(rows(BLOBS, (found.number, found.number)))
        self.damage = self._read(raw, large) or self._short(found)

    def _read(self, raw: list[tuple[Any, ...]], large: dict[bytes, bytes]) -> str | None:
        rows, seals, before = self.rows, self.seals, FIRST
        for one in raw:
            seq, kind, path, occurrence, wall, active, took, flags, sample, cost, digest, mark, request, result = one
            row = None
            try:
                if flags & REQUEST_APART:
                    request = large[request]
                if flags & RESULT_APART:
                    result = large[result]
                usage = _usage(cost) if cost else None
                row = Row(
                    seq, kind, text_of(path), digest, occurrence, wall, active, took, usage, request, result,
                    flags & FAILED != 0, sample,
                )  # fmt: skip
                before = seal(before, row)
            except (KeyError, TypeError, ValueError):
                row = None
            if row is None or before != mark or flags & ~7:
                return self._told(one, large)
            rows.append(row)
            seals.append(mark)
        return None

    def _told(self, one: tuple[Any, ...], large: dict[bytes, bytes]) -> str:
        seq, flags = one[0], one[7]
        last = self.rows[-1].seq if self.rows else -1
        if seq != last + 1:
            return f"row {seq!r} is not what follows row {last}: rows are missing, or it was changed"
        for name, bit, part in (("request", REQUEST_APART, one[12]), ("result", RESULT_APART, one[13])):
            if flags & bit and part not in large:
                return f"row {seq} has lost its {name}: the stored payload is damaged or missing"
        return f"row {seq} is not what was written"

    def _short(self, found: Found) -> str | None:
        """Say what is missing at the end."""
        rows, count = found.run.rows, len(self.rows)
        if found.stands and rows > count:
            return f"its end is missing: it stopped with {rows} rows, and has {count}"
        # One that was continued may have more.
        if found.stands and rows > 0 and self.seals[rows - 1] != found.run.seal:
            return f"row {self.rows[rows - 1].seq} is not the one with which it stopped"
        return None


def read_all(rows: Rows, run: int) -> list[Stored]:
    """Return the rows of a run, whatever they are."""
    large = _payloads(rows(BLOBS, (run, run)))
    return [_row_of(one, large) for one in rows(READ, (run,))]


def _row_of(one: tuple[Any, ...], large: dict[bytes, bytes]) -> Stored:
    seq, kind, path, occurrence, wall, active, took, flags, sample, cost, digest, mark, request, result = one
    if flags & REQUEST_APART:
        request = large.get(request)
    if flags & RESULT_APART:
        result = large.get(result)
    usage, readable = None, True
    try:
        usage = _usage(cost) if cost else None
    except (TypeError, ValueError):
        readable = False
    row = Row(
        seq, kind, text_of(path), digest, occurrence, wall, active, took, usage, request, result,  # pyright: ignore[reportArgumentType]
        flags & FAILED != 0, sample,
    )  # fmt: skip
    return Stored(seq, row, mark, readable and not flags & ~7 and request is not None and result is not None)


def _payloads(rows: Iterable[tuple[bytes, int, bytes]]) -> dict[bytes, bytes]:
    """Return payloads by digest. Damaged ones are left out."""
    found: dict[bytes, bytes] = {}
    for digest, size, body in rows:
        payload = unpacked(digest, size, body)
        if payload is not None:
            found[digest] = payload
    return found


_scan = json.JSONDecoder().raw_decode  # three times as fast as `json.loads`


def _usage(text: str) -> Usage | None:
    form, end = _scan(text)
    if end != len(text):
        raise ValueError(text)
    return usage_of(form)
