"""The file of the journal: how it is opened, its tables, its versions, and what its errors mean.

Rule 1: `SCHEMA` names the tables. A newer file is refused. An older one is brought forward by `MIGRATIONS`, all in one
        transaction, and then has the tables exactly as `TABLES` writes them; one that can only be read is left as it is,
        and a copy of it is brought forward in its place.
Rule 2: text that is not Unicode (lone surrogates) is stored as bytes, everything else so that the `sqlite3` program
        can show it.
Rule 3: nothing newer than SQLite 3.31 is used.
"""

import contextlib
import os
import sqlite3
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals._migrations import with_questions
from stratagem.journals._tables import TABLES

SCHEMA = 2
APPLICATION = 0x73747267  # marks the file as ours: PRAGMA application_id

# 224 pages of 4096 + 24 bytes, which leaves 77 KB below the limit for the transaction that goes beyond them.
LOG_PAGES = 224
LOG_BYTES = 1_000_000

# From this version to the next.
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: with_questions}

SMALLEST: Final = 512  # bytes of a database that holds anything

COPY: Final = "Restore the file from a copy."

BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def code_of(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def opened(path: Path) -> sqlite3.Connection:
    """Return a connection to the journal at `path`, made if there is none: directory 0700, file 0600.

    Where the file can only be read, so can the journal. Waits for nobody: SQLite's busy error is raised at once.
    """
    _make(path)
    if 0 < path.stat().st_size < SMALLEST:  # SQLite would take it for an empty file
        raise JournalCorrupt(f"{path} is damaged: it is cut off", remedy=COPY)
    connection = _connected(str(path))
    try:
        try:
            connection.execute("PRAGMA user_version").fetchone()
            logs = os.access(path, os.W_OK)
        except sqlite3.OperationalError as error:
            if code_of(error) not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or _has_log(path):
                raise
            # A directory in which no log can be made. There is none, so the file alone is the whole journal.
            connection.close()
            connection = _connected(f"{path.as_uri()}?immutable=1", uri=True)
            logs = False
        _version(connection, path)  # before anything is changed: the file may be somebody else's
        _configure(connection, path, logs=logs)
        connection = _current(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    # Only a new file is opened here: closing it would drop the locks that SQLite holds in this process.
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _has_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _connected(name: str, *, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False, uri=uri)
    # A damaged byte in a text shall be found by its checksum, not break the query.
    connection.text_factory = _decoded
    return connection


def _decoded(text: bytes | None) -> str:
    return "" if text is None else text.decode("utf-8", "replace")  # None: SQLite could not read it


def _configure(connection: sqlite3.Connection, path: Path, *, logs: bool) -> None:
    if logs:
        connection.execute("PRAGMA page_size=4096")
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise JournalError(
                f"{path}: this file system does not let SQLite keep a write-ahead log (it stays in mode {mode!r})",
                remedy="Put the journal on a local disk: `--home DIR`.",
            )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute("PRAGMA trusted_schema=OFF")


def _current(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Return the connection with the tables of today; if that takes a copy, one that can only be read."""
    try:
        _bring_forward(connection, path)
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_READONLY or _version(connection, path) == 0:
            raise
    else:
        return connection
    copy = _connected("")  # in memory, and on the disk if it is large
    try:
        connection.backup(copy)
        _bring_forward(copy, path)
        copy.execute("PRAGMA query_only=ON")
    except BaseException:
        copy.close()
        raise
    connection.close()
    return copy


def _bring_forward(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection, path) == SCHEMA:
        return
    with transaction(connection, "BEGIN IMMEDIATE"):
        version = _version(connection, path)  # again: another process may have been faster
        if version == 0:
            for table in TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO count (name, n) VALUES ('answers', 0)")
            connection.execute(f"PRAGMA application_id={APPLICATION}")
        for older in range(version or SCHEMA, SCHEMA):
            MIGRATIONS[older](connection)
        connection.execute(f"PRAGMA user_version={SCHEMA}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the tables, 0 for an empty file; refuse what is not ours, what is newer, what is damaged."""
    version, application, tables = _header(connection)
    if not tables and not version and not application:
        return 0
    if application != APPLICATION:
        raise JournalError(
            f"{path} is not a journal of stratagem, or its header is damaged",
            remedy="Name another file, or restore this one from a copy.",
        )
    if version > SCHEMA:
        raise JournalError(
            f"{path} was written by a newer stratagem: its version is {version}, this one reads up to {SCHEMA}",
            remedy="Upgrade stratagem, or name another journal.",
        )
    # Queries on tables that read otherwise could return nothing, without an error.
    if version < 1 or (version == SCHEMA and tables != sorted(TABLES, key=repr)):
        raise JournalCorrupt(f"{path} is damaged: the description of its tables is not what was written", remedy=COPY)
    return version


def _header(connection: sqlite3.Connection) -> tuple[int, int, list[str]]:
    """Return version, mark and tables of one moment: another process may be making the file just now."""
    if not connection.in_transaction:
        with transaction(connection, "BEGIN"):
            return _header(connection)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    tables = [text for (text,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    return version, application, sorted(tables, key=repr)  # what is damaged may be no text any more


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    """Do what is within in one transaction, which `begin` begins; nothing of it stays where it fails."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def explained(error: Exception, path: Path) -> JournalError:
    """Return the error of a journal that says in plain words what SQLite or the system reported."""
    if isinstance(error, JournalError):
        return error
    said = str(error)
    match code_of(error):
        case sqlite3.SQLITE_FULL:
            found = JournalError(f"{path}: the disk is full", remedy="Free space on that disk, then resume the run.")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            found = JournalError(
                f"{path} is locked by {holders(path)}",
                remedy="Wait until the other program has closed the file, then resume the run.",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            found = JournalError(
                f"{path} can only be read: {said}", remedy="Make file and directory writable, or name another journal."
            )
        case sqlite3.SQLITE_IOERR:
            found = JournalError(
                f"{path}: the disk is full or fails: {said}", remedy="Check the disk, then resume the run."
            )
        case sqlite3.SQLITE_CANTOPEN:
            found = JournalError(
                f"{path} cannot be opened: {said}", remedy="Check that the directory exists and may be written."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            found = JournalCorrupt(f"{path} is damaged: {said}", remedy=COPY)
        case sqlite3.SQLITE_ERROR:  # of a statement that is right as long as the tables are
            found = JournalCorrupt(f"{path} is damaged: {said}", remedy=COPY)
        case _ if isinstance(error, UnicodeDecodeError):  # SQLite's message names something damaged
            found = JournalCorrupt(f"{path} is damaged: {error.object.decode('utf-8', 'replace')}", remedy=COPY)
        case _ if isinstance(error, OSError):
            found = JournalError(
                f"{path} cannot be opened: {error.strerror or said}",
                remedy="Check the path and its permissions, or name another journal.",
            )
        case _:
            found = JournalError(f"{path}: {said}")
    found.__cause__ = error
    return found


def holders(path: Path) -> str:
    """Return who locks the file, as far as the system tells: Linux lists the locks of all processes."""
    if sys.platform != "linux":
        return "another process"
    files: set[str] = set()
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            files.add(str(path.with_name(path.name + suffix).stat().st_ino))
    found: set[str] = set()
    with contextlib.suppress(OSError, IndexError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()  # 1: POSIX ADVISORY WRITE 4711 fe:00:131073 120 120
            if words[3] == "WRITE" and words[5].rpartition(":")[2] in files and words[4] != str(os.getpid()):
                found.add(words[4])
    return "process " + " and ".join(sorted(found)) if found else "another process"
