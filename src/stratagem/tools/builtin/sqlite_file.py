"""Read a SQLite file without touching it, or anything beside it.

Rule 1: the file is read through a descriptor that was opened beneath the root, into memory, and SQLite works on that
        copy. Given a path, SQLite would follow links by itself, create files beside it, and take locks.
Rule 2: what has been committed to a write-ahead log is part of the database: its pages are laid over the copy.
Rule 3: a file with a rollback journal beside it is refused. Rolling back somebody else's journal can delete files:
        the journal names another one that SQLite then removes.
Rule 4: statements may only select (an authorizer says no to the rest), for a limited time, in limited memory.
"""

import os
import sqlite3
import struct
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from stratagem.core import ModelRetry
from stratagem.errors import CapabilityError
from stratagem.tools.builtin.cells import Column
from stratagem.tools.builtin.csv_file import unique_names
from stratagem.tools.builtin.roots import SQLITE_MAGIC, Loaded, Roots
from stratagem.tools.builtin.table import LIMIT_S, MAX_CELLS, MAX_ROWS, Table

MAX_LENGTH = 10_000_000  # bytes of one value
MAX_PATTERN = 100  # characters that LIKE compares with each place of a value
MAX_GROWTH = 500_000_000  # bytes that a statement may add to the process
_HOT = bytes.fromhex("d9d505f920a163d7")  # how a rollback journal begins that was not ended
_ATTEMPTS = 3
_CHECK_EVERY = 200  # instructions of SQLite's machine, of which one may work on 10 MB
# What reaches files, and what takes as long as its argument says without being interrupted: '%.*c' with a billion.
_FORBIDDEN = frozenset(
    ("load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "fsdir", "printf", "format")
)
_INNER = ("data", "idx", "content", "docsize", "config", "segments", "segdir", "stat", "node", "parent", "rowid")
_PRAGMAS = frozenset(("data_version", "page_size"))  # virtual tables of full-text search read these themselves


def load_database(roots: Roots, path: str) -> Loaded:
    """Return a database file with its write-ahead log laid over it; `ModelRetry` says why it cannot be read."""
    for _ in range(_ATTEMPTS):
        loaded = roots.load(path)
        if not loaded.data.startswith(SQLITE_MAGIC) or len(loaded.data) < 512:
            raise ModelRetry(f"`{loaded.path}` is not a SQLite database")
        if roots.head(f"{path}-journal", 8) == _HOT:
            raise ModelRetry(f"`{loaded.path}` is being written, or a write was interrupted: a journal is beside it")
        log = roots.load(f"{path}-wal") if roots.head(f"{path}-wal", 32) else None
        if roots.load(path).version == loaded.version:
            data = _overlaid(loaded.data, log.data if log else b"")
            return Loaded(loaded.path, data, loaded.version + (log.version if log else ()))
    raise ModelRetry(f"`{path}` keeps changing while it is read: try again")


def _overlaid(data: bytes, log: bytes) -> bytes:
    """Return the database as of the last commit in the log, marked as one that needs no log."""
    pages = bytearray(data)
    size = struct.unpack(">H", data[16:18])[0]
    size = 65_536 if size == 1 else size
    committed: dict[int, bytes] = {}
    since: dict[int, bytes] = {}
    count = 0
    for number, after, page in _frames(log, size):
        since[number] = page
        if after:
            committed.update(since)
            since.clear()
            count = after
    if count:
        pages = pages[: count * size].ljust(count * size, b"\0")
        for number, page in committed.items():
            if number <= count:
                pages[(number - 1) * size : number * size] = page
    pages[18:20] = b"\1\1"  # read and write version: no write-ahead log
    return bytes(pages)


def _frames(log: bytes, size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield page number, size of the database after a commit (else 0), and the page, as far as checksums agree."""
    if len(log) < 32:
        return
    magic, _, page_size, _, salt1, salt2, sum1, sum2 = struct.unpack(">8I", log[:32])
    if magic not in (0x377F0682, 0x377F0683) or page_size != size:
        return
    order = ">" if magic & 1 else "<"
    sums = _checksum(log[:24], order, (0, 0))
    if sums != (sum1, sum2):
        return
    for at in range(32, len(log) - size - 23, 24 + size):
        head, page = log[at : at + 24], log[at + 24 : at + 24 + size]
        number, after, one, two, first, second = struct.unpack(">6I", head)
        sums = _checksum(page, order, _checksum(head[:8], order, sums))
        if (one, two) != (salt1, salt2) or sums != (first, second) or not number:
            return
        yield number, after, page


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    numbers = struct.unpack(f"{order}{len(data) // 4}I", data)
    for at in range(0, len(numbers), 2):
        first = (first + numbers[at] + second) & 0xFFFFFFFF
        second = (second + numbers[at + 1] + first) & 0xFFFFFFFF
    return first, second


@contextmanager
def opened(data: bytes | None, path: str, limit_s: float = LIMIT_S) -> Generator[sqlite3.Connection]:
    """Open a copy of a database in memory, for selecting only; an empty one without `data`.

    Errors of SQLite become `ModelRetry` with SQLite's own words.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=True)
    try:
        if data is not None:
            if not hasattr(connection, "deserialize"):
                raise CapabilityError("this Python's SQLite cannot open a database in memory: it needs SQLite 3.36")
            connection.deserialize(data)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
        connection.text_factory = _unicode
        if data is not None:
            guard(connection, limit_s)
        yield connection
    except (sqlite3.Error, sqlite3.Warning) as failure:  # a second statement is a Warning in Python 3.11
        text = str(failure)
        if text == "interrupted":
            text = f"the query took longer than {limit_s:g} s, or too much memory: select less"
        elif text in ("not authorized", "authorization denied"):
            text = "only reading is allowed: write one SELECT"
        raise ModelRetry(f"`{path}`: {text}") from None
    finally:
        connection.close()


def _unicode(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def guard(connection: sqlite3.Connection, limit_s: float) -> None:
    """Allow nothing but selecting from now on, for so many seconds."""
    until, most = time.monotonic() + limit_s, _memory() + MAX_GROWTH
    checks = 0

    def is_over() -> bool:
        nonlocal checks
        checks += 1
        return time.monotonic() > until or (checks % 10 == 0 and _memory() > most)

    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN)
    connection.set_authorizer(_allowed)
    connection.set_progress_handler(is_over, _CHECK_EVERY)


def _allowed(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").casefold() not in _FORBIDDEN:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS and second is None:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        return sqlite3.SQLITE_OK  # how SQLite declares a virtual table to itself; by a statement it is not possible
    return sqlite3.SQLITE_DENY


def _memory() -> int:
    """Return the resident bytes of this process, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def tables_of(connection: sqlite3.Connection) -> list[str]:
    """Return the names of tables and views, in the order in which they were made, without those of an index."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    )
    every = [name for (name,) in found]
    virtual = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'")
    inner = {f"{name}_{part}" for (name,) in virtual for part in _INNER}
    return [name for name in every if name not in inner]


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the names of a table's columns."""
    cursor = connection.execute(f"SELECT * FROM {quoted(table)} LIMIT 0")  # noqa: S608  (quoted)
    return unique_names([column[0] for column in cursor.description])


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def read_table(connection: sqlite3.Connection, path: str, name: str) -> Table:
    """Return a table, with the row ids as numbers where it has them."""
    names = columns_of(connection, name)
    source, start = quoted(name), time.monotonic()
    free = next((one for one in ("rowid", "_rowid_", "oid") if one not in {n.casefold() for n in names}), None)
    try:
        cursor = connection.execute(f"SELECT {free or 'NULL'}, * FROM {source} ORDER BY 1")  # noqa: S608
    except sqlite3.OperationalError:  # a view, or a table without row ids
        cursor = connection.execute(f"SELECT NULL, * FROM {source}")  # noqa: S608
    ids: list[Any] = []
    cells: list[list[str]] = [[] for _ in names]
    blobs = 0
    while batch := cursor.fetchmany(5_000):
        if len(ids) + len(batch) > MAX_ROWS or len(ids) * len(names) > MAX_CELLS:
            raise ModelRetry(f"`{path}`: table {name!r} has more than {MAX_ROWS} rows: use `query_sql`")
        if time.monotonic() - start > LIMIT_S:
            raise ModelRetry(f"`{path}`: table {name!r} took longer than {LIMIT_S:g} s to read")
        for row in batch:
            ids.append(row[0])
            for column, value in zip(cells, row[1:], strict=True):
                blobs += isinstance(value, bytes)
                column.append(_text(value))
    numbered = all(isinstance(one, int) and one > 0 for one in ids)
    notes = (f"{blobs} cells hold bytes, which are not shown",) if blobs else ()
    columns = tuple(Column(one, column) for one, column in zip(names, cells, strict=True))
    return Table(path, name, columns, ids if numbered else range(1, len(ids) + 1), notes)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value if isinstance(value, str) else repr(value)
