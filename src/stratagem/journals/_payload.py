"""Where texts and payloads lie: words once each, payloads above 1 KB once each and packed."""

import sqlite3
import zlib
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from stratagem.errors import JournalCorrupt

INLINE: Final = 1024  # bytes; a larger payload is stored by its digest
MOST_WORDS: Final = 50_000  # kept in memory; the rest is looked up


def storable(text: str) -> str | bytes:
    r"""Return what SQLite stores for a text: bytes if it has lone surrogates, which are not Unicode text.

    >>> storable("né"), storable("a" + chr(0xD800))
    ('né', b'a\xed\xa0\x80')
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def text_of(stored: object) -> str:
    r"""Return the text that `storable` stored; of anything else, which is damage, some other text.

    >>> text_of("né"), text_of(b"a\xff"), text_of(None)
    ('né', 'aÿ', 'None')
    """
    if not isinstance(stored, bytes):
        return str(stored)
    try:
        return stored.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return stored.decode("latin-1")


class Words:
    """Scope paths and kinds, each stored once; rows hold their numbers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.known: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return a word's number, a new one if need be. Only within a transaction."""
        number = self.known.get(text)
        if number is None:
            if len(self.known) >= MOST_WORDS:
                self.known.clear()
            number = self.known[text] = self._stored(storable(text))
        return number

    def _stored(self, text: str | bytes) -> int:
        found = self._connection.execute("SELECT n FROM word WHERE text=?", (text,)).fetchone()
        if found is None:
            return self._connection.execute("INSERT INTO word (text) VALUES (?)", (text,)).lastrowid or 0
        # The index has it; nothing new may be built on a word that is damaged in the table.
        same = self._connection.execute("SELECT text FROM word NOT INDEXED WHERE n=?", found).fetchone()
        if same != (text,):
            raise JournalCorrupt(f"word {found[0]} is damaged: it should be {text!r}")
        return found[0]

    def read(self, run: int) -> dict[int, str]:
        """Return the words of one run by number. Damaged ones are left out."""
        found = self._connection.execute(
            "SELECT n, text FROM word WHERE n IN (SELECT kind FROM effect WHERE run=? UNION SELECT path FROM effect WHERE run=?)",
            (run, run),
        )
        return {number: text_of(text) for number, text in found if isinstance(text, str | bytes)}


def stored(connection: sqlite3.Connection, payload: bytes) -> bytes | int:
    """Return what a row holds for a payload: itself, or the number of a blob. Only within a transaction."""
    if len(payload) <= INLINE:
        return payload
    digest = sha256(payload).digest()
    found = connection.execute("SELECT n, size, body FROM blob WHERE digest=?", (digest,)).fetchone()
    if found is not None and unpacked(found[1], found[2]) == payload:
        return found[0]
    body = zlib.compress(payload, 1)
    if len(body) >= len(payload):
        body = payload
    if found is not None:  # it was damaged, and heals
        connection.execute("UPDATE blob SET size=?, body=? WHERE n=?", (len(payload), body, found[0]))
        return found[0]
    made = connection.execute("INSERT INTO blob (digest, size, body) VALUES (?, ?, ?)", (digest, len(payload), body))
    return made.lastrowid or 0


def blobs(connection: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, bytes]:
    """Return payloads by number. Damaged and missing ones are left out."""
    found: dict[int, bytes] = {}
    for number in numbers:
        row = connection.execute("SELECT digest, size, body FROM blob WHERE n=?", (number,)).fetchone()
        if row is None:
            continue
        payload = unpacked(row[1], row[2])
        if payload is not None and sha256(payload).digest() == row[0]:
            found[number] = payload
    return found


def unpacked(size: object, body: object) -> bytes | None:
    """Return the payload, None if it is damaged; never more bytes than it had."""
    if not isinstance(size, int) or not isinstance(body, bytes):
        return None
    if len(body) == size:
        return body
    opener = zlib.decompressobj()
    try:
        payload = opener.decompress(body, size + 1)
    except (zlib.error, ValueError, OverflowError):
        return None
    return payload if len(payload) == size and opener.eof else None
