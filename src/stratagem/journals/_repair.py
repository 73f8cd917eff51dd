"""A damaged run, made to go on where what is sound of it ends."""

import sqlite3
from contextlib import suppress

from stratagem.core import Clock
from stratagem.core._journal import VERSION
from stratagem.journals import _keeping, _lists, _questions, _records
from stratagem.journals._effects import Effects
from stratagem.journals._payload import Words

_INDEXES = ("effect_place", *(f"sqlite_autoindex_{table}_1" for table in ("run", "word", "blob")))


def reindexed(connection: sqlite3.Connection) -> None:
    """Make the indexes anew, without which sound rows could seem to be lost."""
    for index in _INDEXES:
        with suppress(sqlite3.IntegrityError):  # two rows claim one place: the damaged one will be found
            connection.execute(f"REINDEX {index}")


def dropped(connection: sqlite3.Connection, words: Words, run_id: str, clock: Clock) -> int | None:
    """Remove what cannot be trusted of a run; return how many rows went, None if it is sound. Within a transaction."""
    found = _lists.known(connection, run_id)
    log = Effects(connection, words, found)
    if log.damage is None and found.damage is None:
        return None
    last = log.rows[-1].seq if log.rows else -1
    gone = connection.execute("DELETE FROM effect WHERE run=? AND seq>?", (found.number, last)).rowcount
    _mend(connection, found, clock)
    return gone


def _mend(connection: sqlite3.Connection, found: _records.Found, clock: Clock) -> None:
    run = found.run._replace(state="running", end=b"", rows=-1, seal=b"", owner=b"", epoch=found.run.epoch + 1)
    if not found.stands:
        # Nobody can have had this epoch before.
        run = run._replace(updated=run.created, epoch=int(clock.wall() * 1e6))
    if not found.known:
        run = run._replace(record=b"{}", parent="")
        connection.execute("UPDATE run SET format=?, since=0 WHERE n=?", (VERSION, found.number))
    kept = [
        (one.id, one.form if one.asked else b"", one.value if one.said else b"")
        for one in _questions.read(connection, found.number, run.run_id)
    ]
    kept = [one for one in kept if one[1] or one[2]]
    connection.execute("DELETE FROM question WHERE run=?", (found.number,))
    for one in kept:
        _questions.put(connection, found.number, run.run_id, *one)
    _keeping.answers_changed(connection)
    _records.updated(connection, found.number, None, run, len(kept))
