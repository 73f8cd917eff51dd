"""Long-term memory in one SQLite file: records that are only ever added or forgotten, found again by their words.

Rule 1: a record and its words change in one transaction, durable (WAL, `synchronous=FULL`) before the call returns.
Rule 2: a key is kept once. A record that was forgotten leaves its id behind, so that a run which is continued or
        forked does not bring it back.
Rule 3: equal stores give equal lists whatever the order of writing: the best score first, then the newest, then by id.
Rule 4: texts are data. They reach SQL as parameters and the index as words (`words.py`), so no syntax in them works.
Rule 5: SQLite is used in one thread of its own: the event loop never waits for a disk or for another process.
"""

import asyncio
import json
import os
import re
import sqlite3
import time as clock
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar

from stratagem.core import Json, Label, Recalled
from stratagem.core._canonical import clean, json_of, text_of
from stratagem.errors import CapabilityError, StratagemError, UsageError
from stratagem.memory.words import query_of, words_of

T = TypeVar("T")

SCHEMA = 1  # also the version of the analyser: another one needs every word anew
APPLICATION = 0x5374726D  # "Strm": says that a SQLite file is a memory of ours
MAX_CHARS = 16_000_000  # of one record's text; a novel has one million
LATEST = 1 << 62  # microseconds: later than any time that can be written

# `ascii` splits at blanks only, given what `words_of` makes, and knows no table of Unicode that could change with the
# version of SQLite. `at` is microseconds since 1970.
_TABLES = (
    "CREATE TABLE record("
    "seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, "
    "text TEXT NOT NULL, source TEXT NOT NULL, time TEXT NOT NULL, label TEXT NOT NULL, fields TEXT NOT NULL, "
    "seal TEXT NOT NULL)",
    "CREATE INDEX record_at ON record(at DESC, id)",
    "CREATE TABLE forgotten(id TEXT PRIMARY KEY) WITHOUT ROWID",
)
_WORDS = "CREATE VIRTUAL TABLE words USING fts5(found_by, tokenize = 'ascii')"
_EMPTY = (  # averages and structure of an index without segments, as FTS5 stores them (its format 4)
    "DELETE FROM words_data",
    "DELETE FROM words_idx",
    "INSERT INTO words_data(id, block) VALUES (1, x''), (10, x'00000000000000')",
)
_MARK = f"PRAGMA application_id = {APPLICATION}"
_COLUMNS = "id, key, text, source, time, label, fields, seal"


class Page(NamedTuple):
    """Some records of a store, and where the next ones begin.

    Attributes:
        records: at most as many as were asked for.
        next: what to pass as `after` for more; None at the end.
    """

    records: tuple[Recalled, ...]
    next: str | None


class FtsMemory:
    """A memory in the SQLite file `path`, which is made at the first use. Implements `stratagem.core.Memory`.

    Several sessions and processes may use one file at once. Missing folders are made for the owner only (0700), the
    file too (0600).

    Args:
        path: the file.
        busy_s: seconds to wait while another process writes.

    Raises:
        UsageError: from every call: the path cannot be a memory, or an argument cannot be stored.
        CapabilityError: from every call: this SQLite has no FTS5.
        StratagemError: from every call: the file is locked, damaged, read-only, or of a newer version; the disk is
            full. What was stored before is not touched.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_s: float = 10.0) -> None:
        self.path, self._busy_s = Path(path).absolute(), busy_s
        self._thread: ThreadPoolExecutor | None = None
        self._database: sqlite3.Connection | None = None  # this and `_file` are touched by the thread only
        self._file = (0, 0)

    async def observe(
        self, text: str, *, key: str, source: str, time: str, label: Label, fields: Mapping[str, Json]
    ) -> None:
        """Keep a record, once and for all: it survives what happens after this call returns.

        Args:
            text: what is kept; at most 16,000,000 characters. Lone surrogates become U+FFFD.
            key: what makes the record the same one again; if it was seen before, nothing happens.
            source: what wrote it, for example `run k7m2qd`.
            time: when, RFC 3339.
            label: who may be behind it.
            fields: whatever else belongs to it, as JSON data.
        """
        if not key:
            raise UsageError("a record needs a key: without one it could not be told from another")
        if len(text) > MAX_CHARS:
            raise UsageError(f"a record holds at most {MAX_CHARS} characters, got {len(text)}: store it in parts")
        at, key = _instant(time), clean(key)
        form = (clean(str(text)), clean(source), time, clean(text_of(label.plain())), clean(text_of(json_of(fields))))
        number = sha256(key.encode()).hexdigest()[:16]
        row = (number, key, *form, _seal((number, key, *form)))

        def insert(database: sqlite3.Connection) -> None:
            words = " ".join(words_of(form[0]))  # before others are kept waiting
            database.execute("BEGIN IMMEDIATE")
            if not _seen(database, number, key):
                added = database.execute(f"INSERT INTO record({_COLUMNS}, at) VALUES (?,?,?,?,?,?,?,?,?)", (*row, at))  # noqa: S608
                database.execute("INSERT INTO words(rowid, found_by) VALUES (?,?)", (added.lastrowid, words))
            database.execute("COMMIT")

        await self._perform(insert)

    async def recall(self, query: str, n: int) -> tuple[Recalled, ...]:
        """Return at most `n` records that share a word with the query, the best first.

        The score is BM25 over the query's words and their beginnings, function words left out. Without a word in the
        query (empty, or only signs) nothing is recalled.
        """
        return (await self.search(query, n=n)).records

    async def search(self, query: str, *, n: int = 20, after: str | None = None) -> Page:
        """Return records as `recall` does, page by page.

        Args:
            query: the words to look for.
            n: records of a page.
            after: the `next` of the page before.
        """
        n, skipped = _limit(n), _offset(after)
        terms = " OR ".join(f'"{word}" *' if begins else f'"{word}"' for word, begins in query_of(query))
        if not terms or not n:
            return Page((), None)

        def find(database: sqlite3.Connection) -> Page:
            rows = database.execute(
                "SELECT seq FROM words JOIN record ON seq = words.rowid WHERE words MATCH ? "
                "ORDER BY bm25(words), at DESC, id LIMIT ? OFFSET ?",
                (terms, n + 1, skipped),
            ).fetchall()
            found = [self._read(database, "seq = ?", row)[0] for row in rows[:n]]
            return Page(tuple(found), str(skipped + n) if rows[n:] else None)

        return await self._perform(find)

    async def list(self, *, n: int = 100, after: str | None = None) -> Page:
        """Return records, the newest first, page by page.

        Args:
            n: records of a page.
            after: the `next` of the page before.
        """
        n, (at, number) = _limit(n), _place(after)

        def read(database: sqlite3.Connection) -> Page:
            where = "(at < ?1 OR (at = ?1 AND id > ?2)) ORDER BY at DESC, id LIMIT ?3"
            found = self._read(database, where, (at, number, n + 1))
            if len(found) <= n or not n:
                return Page(tuple(found[:n]), None)
            return Page(tuple(found[:n]), f"{_instant(found[n - 1].time)}.{found[n - 1].id}")

        return await self._perform(read)

    async def get(self, id: str) -> Recalled | None:  # noqa: A002  (the field's standard name)
        """Return the record of that id; None if there is none."""
        found = await self._perform(lambda database: self._read(database, "id = ?", (clean(id),)))
        return found[0] if found else None

    async def forget(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Remove records for good, and return the ids of those that were there.

        Text and words are overwritten in the file at once, and in its log as soon as no other process reads there.
        Only the id stays, so that a run which is resumed does not store the record again.
        """
        wanted = tuple(dict.fromkeys(clean(number) for number in ids))

        def remove(database: sqlite3.Connection) -> tuple[str, ...]:
            database.execute("BEGIN IMMEDIATE")
            gone: list[str] = []
            for number in wanted:
                row = database.execute("SELECT seq FROM record WHERE id = ?", (number,)).fetchone()
                if row is not None:
                    database.execute("DELETE FROM words WHERE rowid = ?", row)
                    database.execute("DELETE FROM record WHERE seq = ?", row)
                    database.execute("INSERT INTO forgotten VALUES (?)", (number,))
                    gone.append(number)
            if gone:  # only a merge of all segments drops the words of deleted rows
                database.execute("INSERT INTO words(words) VALUES ('optimize')")
            database.execute("COMMIT")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return tuple(gone)

        return await self._perform(remove)

    async def check(self) -> tuple[str, ...]:
        """Read the whole store and return what is wrong with it, in words; empty if it is sound."""

        def pages(database: sqlite3.Connection) -> Sequence[str]:
            return [text for (text,) in database.execute("PRAGMA quick_check(20)") if text != "ok"]

        def records(database: sqlite3.Connection) -> Sequence[str]:
            rows = database.execute(f"SELECT {_COLUMNS} FROM record ORDER BY seq")  # noqa: S608  (a constant)
            return [f"record {row[0]} is not what was written" for row in rows if _seal(row[:-1]) != row[-1]]

        def words(database: sqlite3.Connection) -> Sequence[str]:
            database.execute("INSERT INTO words(words) VALUES ('integrity-check')")
            unequal = database.execute(
                "SELECT (SELECT count(*) FROM words_docsize), "
                "(SELECT count(*) FROM record WHERE seq NOT IN (SELECT id FROM words_docsize)), "
                "(SELECT count(*) FROM record)"
            ).fetchone()
            sound = unequal[0] == unequal[2] and not unequal[1]
            return [] if sound else [f"{unequal[1]} records are not in the index; `rebuild` makes it anew"]

        def examine(database: sqlite3.Connection) -> tuple[str, ...]:
            found: list[str] = []
            for name, part in (("pages", pages), ("records", records), ("index of words", words)):
                try:
                    found += part(database)
                except sqlite3.DatabaseError as failure:
                    found.append(f"{name}: {failure}")
            return tuple(found)

        return await self._perform(examine)

    async def rebuild(self) -> None:
        """Make the index of words anew from the records, which stay as they are."""

        def index(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            try:
                database.execute("DROP TABLE words")
            except sqlite3.DatabaseError:  # not even its structure can be read: write that of an empty index
                for statement in _EMPTY:
                    database.execute(statement)
                database.execute("DROP TABLE words")
            database.execute(_WORDS)
            for seq, text in database.execute("SELECT seq, text FROM record ORDER BY seq"):
                database.execute("INSERT INTO words(rowid, found_by) VALUES (?,?)", (seq, " ".join(words_of(text))))
            database.execute("COMMIT")

        await self._perform(index)

    async def aclose(self) -> None:
        """Let go of the file once what was asked for is done. Another call opens it again."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        try:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
        finally:
            thread.shutdown(wait=False)

    async def _perform(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on the open database in the thread, the calls one after another."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="memory")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, work)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._database is None:
                self._database = self._open()
                self._file = _identity(self.path)
            elif _identity(self.path) != self._file:  # else records would go into a file that nobody finds
                self._close()
                raise StratagemError(
                    f"memory {self.path} was moved or replaced while it was open",
                    remedy="Put it back and try again; otherwise the next call uses what is there then.",
                )
            return work(self._database)
        except sqlite3.Error as failure:
            raise self._said(failure) from failure
        finally:
            if self._database is not None and self._database.in_transaction:
                with suppress(sqlite3.Error):  # the first failure is the one to report
                    self._database.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        _made(self.path)
        database = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
        try:
            database.execute("BEGIN")  # one view of the file: another process may be making the tables
            version = self._version(database)
            database.execute("COMMIT")
            if version == 0:
                self._waited(lambda: database.execute("PRAGMA journal_mode = WAL").fetchall())
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA secure_delete = ON")
            if version == 0:
                database.execute("BEGIN IMMEDIATE")
                if self._version(database) == 0:  # else another process has made the tables meanwhile
                    for statement in (*_TABLES, _WORDS, _MARK):
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version = {SCHEMA}")
                database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
        return database

    def _version(self, database: sqlite3.Connection) -> int:
        """Return the version of the tables; 0 if there are none yet. To be called in a transaction."""
        owner, version, tables = (
            database.execute(question).fetchone()[0]
            for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if owner != APPLICATION and (tables or version or owner):
            raise UsageError(f"{self.path} is a SQLite file of something else, not a memory: name another file")
        if version > SCHEMA:
            raise StratagemError(
                f"memory {self.path} was written by a newer version (schema {version}, this one knows {SCHEMA})",
                remedy="Upgrade stratagem, or use another home.",
            )
        return version

    def _waited(self, act: Callable[[], object]) -> None:
        """Act, as soon as no other process is in the way; the change to WAL does not wait by itself."""
        until = clock.monotonic() + self._busy_s
        while True:
            try:
                act()
            except sqlite3.OperationalError as failure:
                if "BUSY" not in failure.sqlite_errorname or clock.monotonic() >= until:
                    raise
                clock.sleep(0.005)
            else:
                return

    def _read(self, database: sqlite3.Connection, where: str, values: Sequence[object]) -> Sequence[Recalled]:
        rows = database.execute(f"SELECT {_COLUMNS} FROM record WHERE {where}", values).fetchall()  # noqa: S608
        for row in rows:
            if _seal(row[:-1]) != row[-1]:
                raise StratagemError(
                    f"memory {self.path}: record {row[0]} is not what was written",
                    remedy="Restore the file from a copy, or forget the record.",
                )
        return [
            Recalled(text, id=number, source=source, time=time, label=Label.of(json.loads(label)), fields=json.loads(f))
            for number, _, text, source, time, label, f, _ in rows
        ]

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _said(self, failure: sqlite3.Error) -> StratagemError:
        """Return what SQLite's failure means for the caller."""
        name, file = str(getattr(failure, "sqlite_errorname", "")), f"memory {self.path}"
        if "no such module" in str(failure):
            return CapabilityError(
                f"this Python's SQLite ({sqlite3.sqlite_version}) has no FTS5, which the memory searches with",
                remedy="Use a Python whose SQLite has FTS5 (the builds of python.org and of the distributions do).",
            )
        if name.startswith("SQLITE_CANTOPEN"):
            return UsageError(f"{file} cannot be opened: is it a file, in a folder that may be written?")
        for codes, what, remedy in _FAILURES:
            if name.startswith(codes):
                return StratagemError(f"{file} {what} ({failure})", remedy=remedy)
        return StratagemError(f"{file}: {failure}", remedy="Check the file with `FtsMemory.check`.")


# What SQLite's result codes begin with, what that means, and what to do.
_FAILURES = (
    (("SQLITE_BUSY", "SQLITE_LOCKED"), "is locked by another process", "Wait for the other process, or stop it."),
    (
        ("SQLITE_CORRUPT", "SQLITE_NOTADB"),
        "is damaged",
        "Restore it from a copy, or move it away to begin an empty one; `FtsMemory.rebuild` mends the index of words.",
    ),
    (("SQLITE_READONLY", "SQLITE_PERM"), "cannot be written", "Make the file and its folder writable."),
    (("SQLITE_FULL", "SQLITE_IOERR"), "could not be written or read", "Make room on the disk; nothing stored is lost."),
)


def _made(path: Path) -> None:
    """Make the file and the folders that are missing, for their owner only."""
    try:
        usable = not path.exists() or path.is_file()  # in this order: another process may be making it
        for folder in reversed([folder for folder in path.parents if usable and not folder.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)
        if usable and not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except (OSError, ValueError) as failure:
        raise UsageError(f"memory {path} cannot be made: {failure}") from None
    if not usable:
        raise UsageError(f"memory {path} is no regular file")


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one of the same name; zeros if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _seen(database: sqlite3.Connection, number: str, key: str) -> bool:
    question = "SELECT 1 FROM record WHERE key = ? UNION ALL SELECT 1 FROM forgotten WHERE id = ?"
    return database.execute(question, (key, number)).fetchone() is not None


def _seal(row: Sequence[str]) -> str:
    """Return a digest over a record as it is stored, by which a changed byte is noticed."""
    return sha256(text_of(list(row)).encode()).hexdigest()[:32]


def _instant(time: str) -> int:
    """Return microseconds since 1970."""
    try:
        return (datetime.fromisoformat(time) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, TypeError):
        remedy = "Write it with its offset, such as 2026-01-31T12:00:00Z."
        raise UsageError(f"the time of a record must be RFC 3339, got {time!r}", remedy=remedy) from None


def _limit(n: int) -> int:
    if n < 0:
        raise UsageError(f"the number of records must be at least 0, got {n}")
    return min(n, 1_000_000_000)


def _offset(after: str | None) -> int:
    if after and not re.fullmatch(r"[0-9]{1,10}", after):
        raise _strange(after)
    return int(after or 0)


def _place(after: str | None) -> tuple[int, str]:
    """Return time and id of the last record of a page; without one, what is newer than every record."""
    if not after:
        return LATEST, ""
    found = re.fullmatch(r"(-?[0-9]{1,18})\.([0-9a-f]+)", after)
    if found is None:
        raise _strange(after)
    return int(found[1]), found[2]


def _strange(after: str) -> UsageError:
    return UsageError(f"`after` must be the `next` of a page, got {after!r}")
