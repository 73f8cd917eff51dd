"""The connection to the server: lost and made again, with every transaction done exactly once.

Rule 1: each open journal has a row in the table `writer` with the number of its last transaction. Every transaction
        that writes raises it from k - 1 to k, and does nothing if it is not k - 1. So after a lost connection one look
        at that row says whether transaction k was committed; and a copy of it that is still under way in the network
        or in the server finds k, and does nothing.
Rule 2: a transaction is one statement, or BEGIN ... COMMIT: nothing outlives it, see `_postgres_schema`.
Rule 3: only one thread uses a link.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg

from stratagem.core import Clock, SystemClock
from stratagem.errors import JournalError
from stratagem.journals._postgres_address import Address
from stratagem.journals._postgres_arrays import register
from stratagem.journals._postgres_errors import explained, passes
from stratagem.journals._postgres_schema import Connection, Tables, prepare

T = TypeVar("T")

# How long to wait before each next try, in seconds; the last is repeated.
DELAYS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)

# A connection whose other end has vanished without a word must not be waited for, for hours.
_USUAL: Final = {
    "fallback_application_name": "stratagem",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
    "connect_timeout": "10",  # seconds
}

# What is reported as durable is durable, even where the server's default says otherwise.
_DURABLY = "CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END"
# Raises the number; `{s}` is the schema. Returns no row if it was not the one before.
MARK: Final = f"UPDATE {{s}}.writer SET batch = %s, used = now() WHERE id = %s AND batch = %s RETURNING {_DURABLY}"  # noqa: S608


class _Unmarked(Exception):
    """The row in `writer` does not have the number that was expected."""


class Link:
    """One connection at a time.

    Args:
        address: of the server.
        patience_s: seconds to try for a server that was there before.
        clock: tells when patience ends.

    Attributes:
        used: whether anything was asked of it.
        reached: whether the server was there before, so that it is worth waiting for.
    """

    def __init__(self, address: Address, patience_s: float, clock: Clock | None) -> None:
        self.address = address
        self.tables = Tables(address.schema)
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._connection: Connection | None = None
        self.used = False
        self.reached = False
        self._id = b""
        self._batch = 0

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, which only reads; all that it reads is of one moment."""
        return self._patiently(lambda connection: _transaction(connection, _snapshot, work))

    def ask(self, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of one statement that only reads."""
        return self._patiently(lambda connection: self.rows(connection, text, values))

    def rows(self, connection: Connection, text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement. Bytes come as bytes, for all that comes is binary."""
        cursor = connection.execute(self.tables(text), values, binary=True)
        return cursor.fetchall() if cursor.description is not None else []

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, done in one transaction, exactly once.

        `work` may be called again, if what it did was rolled back.
        """
        kept: list[T] = []

        def attempt(connection: Connection) -> T:
            kept.clear()

            def marked(connection: Connection) -> T:
                kept.append(work(connection))
                return kept[0]

            return _transaction(connection, self._begun, marked)

        return self._once(attempt, lambda _: kept[0])

    def statement(
        self,
        text: str,
        values: tuple[Any, ...],
        read: Callable[[list[tuple[Any, ...]]], T],
        recover: Callable[[Connection], T],
    ) -> T:
        """Do one statement that writes, exactly once.

        Args:
            text: begins with `WITH mark AS (MARK)`, and does nothing unless `mark` has a row; returns no row then.
            values: those after the ones of `MARK`.
            read: makes the result of what it returned.
            recover: finds out the result, when it was done and what it returned was lost.
        """

        def attempt(connection: Connection) -> T:
            found = self.rows(connection, text, (*self.mark, *values))
            if not found:
                raise _Unmarked
            return read(found)

        return self._once(attempt, recover)

    @property
    def mark(self) -> tuple[Any, ...]:
        """The values of `MARK`, for the transaction that is being written."""
        return (self._batch, self._id, self._batch - 1)

    def _begun(self, connection: Connection) -> None:
        """Begin a transaction and raise the number, both on one way to the server and back."""
        writer = f"decode('{self._id.hex()}', 'hex')"
        text = MARK.replace("%s", str(self._batch), 1).replace("%s", writer, 1).replace("%s", str(self._batch - 1), 1)
        # Whatever the server's default is: a statement must see what was committed while it waited for a lock.
        cursor = connection.execute(self.tables.once(f"BEGIN ISOLATION LEVEL READ COMMITTED; {text}"))
        cursor.nextset()
        if cursor.rowcount != 1:
            raise _Unmarked

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(psycopg.Error):
            if self._id and not connection.closed:
                connection.execute(self.tables("DELETE FROM {s}.writer WHERE id = %s"), (self._id,))
        connection.close()

    def _once(self, attempt: Callable[[Connection], T], recover: Callable[[Connection], T]) -> T:
        self._batch += 1
        unsure = False

        def tried(connection: Connection) -> T:
            nonlocal unsure
            while True:
                if not self._id:
                    self._register(connection)
                elif unsure and self._is_done(connection):
                    return recover(connection)
                unsure = True
                with suppress(_Unmarked):
                    return attempt(connection)

        try:
            return self._patiently(tried)
        except BaseException:
            if self._connection is not None and not self._connection.closed:
                self._batch -= 1  # it was refused and rolled back
            else:
                # Whether it was done is not known. Later ones get another row, so that it cannot be taken for them.
                self._id = b""
            raise

    def _register(self, connection: Connection) -> None:
        made = os.urandom(16)
        values = (made, self._batch - 1)
        connection.execute(self.tables("INSERT INTO {s}.writer VALUES (%s, %s, now())"), values)
        self._id = made

    def _is_done(self, connection: Connection) -> bool:
        # The lock waits for a copy that the server is still busy with.
        found = self.rows(connection, "SELECT batch FROM {s}.writer WHERE id = %s FOR UPDATE", (self._id,))
        if not found:  # it was idle for so long that somebody has swept it away
            self._register(connection)
            return False
        behind = self._batch - found[0][0]
        if behind not in (0, 1):
            raise JournalError(
                f"{self.address.spec}: the database has gone back to an earlier state while this process wrote to it",
                remedy="Was it restored from a copy, or has a follower taken over? Resume the runs.",
            )
        return behind == 0

    def _patiently(self, what: Callable[[Connection], T]) -> T:
        """Do it, and again while the server cannot be reached, for as long as patience lasts."""
        until, tries = 0.0, 0
        while True:
            try:
                return what(self._opened())
            except psycopg.Error as error:
                connection = self._connection
                connected = connection is not None and not connection.closed
                now = self._clock.stamp() / 1e6
                until = until or now + self._patience_s
                if now >= until or not passes(error, connected=connected, before=self.reached):
                    raise
            time.sleep(DELAYS[min(tries, len(DELAYS) - 1)])
            tries += 1

    def _opened(self) -> Connection:
        self.used = True
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        self._connection = None
        options = {**_USUAL, **self.address.options(), "client_encoding": "utf8"}
        try:
            made = psycopg.connect(**options, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise error.with_traceback(None) from None  # the frames below hold the password
        register(made)
        try:
            prepare(made, self.tables, self.address.spec)
        except BaseException:
            made.close()
            raise
        self._connection, self.reached = made, True
        return made

    def explained(self, error: Exception) -> JournalError:
        """Return the journal's error for one of the driver."""
        found = explained(error, self.address)
        if found is not error:
            found.__cause__ = error
        return found


def _snapshot(connection: Connection) -> None:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _transaction(connection: Connection, begin: Callable[[Connection], None], work: Callable[[Connection], T]) -> T:
    try:
        begin(connection)
        result = work(connection)
    except BaseException:
        if not connection.closed:
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return result
