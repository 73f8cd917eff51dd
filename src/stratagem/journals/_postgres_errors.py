"""What the errors of a PostgreSQL server mean, in plain words."""

import psycopg

from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals._postgres_address import Address

# What passes by itself: the connection is gone or cannot be had now, or somebody else was in the way.
_PASSING = frozenset({
    "57P01", "57P02", "57P03",  # the server stops, has crashed, starts
    "40001", "40P01",  # two transactions were in each other's way
    "53300",  # too many connections
})  # fmt: skip

# What a server or pooler says while it stops or starts; a failed connection has no code, only words.
_STARTING = ("starting up", "shutting down", "not yet accepting connections", "in recovery mode")

_REFUSED = (
    "authentication failed", "no password supplied", "no pg_hba.conf entry", "is not permitted to log in",
    "no such user", "no such database",
)  # fmt: skip

_FULL = ("too many clients", "too many connections", "remaining connection slots", "no more connections allowed")


def passes(error: psycopg.Error, *, connected: bool, before: bool) -> bool:
    """Return whether it is worth trying again.

    Args:
        error: what happened.
        connected: whether it happened on a connection that is still open.
        before: whether the server was reached before: then one that cannot be reached is restarting, else the
            address is probably wrong.
    """
    state = error.sqlstate
    if state is not None:
        return state in _PASSING or (state.startswith("08") and before)
    said = str(error)
    if any(words in said for words in _STARTING):
        return True
    return not connected and before and not _told(said)


def _told(said: str) -> bool:
    """Return whether the server was reached, and does not want us."""
    return any(words in said for words in _REFUSED) or ("does not exist" in said and "FATAL" in said)


def explained(error: Exception, address: Address) -> JournalError:
    """Return the error of a journal that says in plain words what the server or the driver reported."""
    if isinstance(error, JournalError):
        return error
    spec = address.spec
    said = address.without_secrets(str(error).strip().split("\n")[0])
    state = (error.sqlstate or "") if isinstance(error, psycopg.Error) else ""
    found = _by_code(state, spec, said) or (None if state else _by_words(spec, said))
    if found is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        found = JournalError(
            f"{spec}: the server cannot be reached: {said}",
            remedy="Start the server, or check host and port, then resume the run.",
        )
    return found or JournalError(f"{spec}: the server refused what the journal asked for: {said}")


def _by_code(state: str, spec: str, said: str) -> JournalError | None:
    match state:
        case "53100":
            return JournalError(
                f"{spec}: the disk of the server is full: {said}", remedy="Free space there, then resume the run."
            )
        case "42501":
            return JournalError(
                f"{spec}: this user has no right to do that: {said}",
                remedy="Let the user make a schema in the database, or grant it what the message names.",
            )
        case "25006":
            return JournalError(
                f"{spec} can only be read: {said}", remedy="Name the primary server, not a copy that follows it."
            )
        case "53300":
            return JournalError(
                f"{spec}: the server has no connection left: {said}",
                remedy="Allow more connections, or put a pooler in front of the server.",
            )
        case "28P01" | "28000" | "3D000":
            return _by_words(spec, said)
        case "42P01" | "42703" | "42804" | "3F000":
            return JournalCorrupt(
                f"{spec} is damaged: its tables are not as stratagem made them: {said}",
                remedy="Restore the schema from a copy, or name another: `?schema=NAME`.",
            )
        case "XX001" | "XX002":
            return JournalCorrupt(f"{spec} is damaged: {said}", remedy="Restore the database from a copy.")
        case "42P06" | "42P07" | "42710":
            return JournalError(
                f"{spec}: the schema holds something else: {said}", remedy="Name another schema: `?schema=NAME`."
            )
        case _:
            return None


def _by_words(spec: str, said: str) -> JournalError | None:
    if any(words in said for words in _FULL):
        return _by_code("53300", spec, said)
    if "database" in said and ("does not exist" in said or "no such" in said):
        return JournalError(f"{spec}: there is no such database", remedy="Make it with `createdb`, or name another.")
    if _told(said):
        return JournalError(
            f"{spec}: the server does not accept this user or its password: {said}",
            remedy="Check the user and the password of the URL, or set PGPASSWORD or a ~/.pgpass file.",
        )
    return None
