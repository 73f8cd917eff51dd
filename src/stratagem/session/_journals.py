"""From the name of a journal to the journal."""

from pathlib import Path

from stratagem.core import Journal, MemoryJournal
from stratagem.errors import CapabilityError, UsageError

SERVERS = ("postgresql://", "postgres://")
FILE = "journal.sqlite"


def journal_of(spec: str | None, home: Path) -> Journal:
    """Return the journal that a spec names; nothing is opened yet.

    Args:
        spec: None is one SQLite file in `home`; `memory`; `sqlite:PATH`; or `postgresql://...`.
        home: folder of the state.

    Raises:
        UsageError: no journal is called so.
        CapabilityError: it needs a package that is not installed.
    """
    if spec == "memory":
        return MemoryJournal()
    if spec is not None and spec.startswith(SERVERS):
        return _postgres(spec)
    if spec is not None and not (spec.startswith("sqlite:") and spec != "sqlite:"):
        raise UsageError(
            f"a journal is 'memory', 'sqlite:PATH' or 'postgresql://...', got {shown(spec)!r}",
            remedy="Leave it out: then the journal is one file in home.",
        )
    from stratagem.journals.sqlite import SQLiteJournal  # noqa: PLC0415  (13 ms, only where it is used)

    path = home / FILE if spec is None else Path(spec.removeprefix("sqlite:")).expanduser()
    return SQLiteJournal(path)


def _postgres(url: str) -> Journal:
    from importlib import import_module  # noqa: PLC0415

    try:
        module = import_module("stratagem.journals.postgres")  # its driver is an extra
    except ImportError as failure:
        raise CapabilityError(
            f"a journal in PostgreSQL cannot be opened: {failure}", remedy='pip install "stratagem[postgres]"'
        ) from failure
    return module.PostgresJournal(url)


def shown(spec: str) -> str:
    """Return a spec as it may be printed: without the password that a URL can hold.

    >>> shown("postgresql://ada:secret@db/runs?sslmode=require")
    'postgresql://ada@db/runs?sslmode=require'
    """
    scheme, mark, rest = spec.partition("://")
    if not mark:
        return spec
    place, slash, path = rest.partition("/")
    user, at, host = place.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{_without_password(path)}"


def _without_password(path: str) -> str:
    name, mark, query = path.partition("?")
    kept = [part for part in query.split("&") if not part.startswith("password=")]
    return f"{name}{mark if kept and query else ''}{'&'.join(kept)}"
