"""One PostgreSQL server for all tests of a process, started when the first test wants it.

A test has a database of its own, or, where that makes no difference, a schema of its own in a database that all share:
a database takes a third of a second to make.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stratagem.errors import CapabilityError
from stratagem.testing.postgres import VARIABLE, Server

# Read before the tests get an environment without settings.
NAMED = {name: value for name, value in os.environ.items() if name == VARIABLE}
STRICT = os.environ.get("CI", "").lower() == "true"

_servers: list[Server] = []
_missing: list[str] = []
_databases: dict[Path, str] = {}
_common: list[str] = []
_schemas: dict[Path, str] = {}
_names: set[str] = set()


def absent(error: CapabilityError) -> None:
    """Skip the test with the reason; where everything must be tested, it is a failure."""
    reason = f"{error}. {error.remedy}"
    if STRICT:
        pytest.fail(reason)
    pytest.skip(reason)


def shared() -> Server:
    """Return the server of this process."""
    if not _servers and not _missing:
        try:
            _servers.append(Server.found(NAMED))
        except CapabilityError as error:
            _missing.append(f"{error}. {error.remedy}")
    if _missing:
        absent(CapabilityError(_missing[0], remedy=""))
    return _servers[0]


def database_of(folder: Path) -> str:
    """Return the URL of the database that stands for a folder."""
    if folder not in _databases:
        _databases[folder] = shared().database()
    return _databases[folder]


def schema_of(folder: Path) -> str:
    """Return the URL of the schema that stands for a folder, in a database that all tests share."""
    if not _common:
        _common.append(shared().database())
    schema = _schemas.setdefault(folder, f"test_{len(_names)}")
    _names.add(schema)
    return f"{_common[0]}?schema={schema}"


def behind_pooler(url: str) -> str:
    """Return the same behind pgbouncer."""
    try:
        return shared().pooled(url)
    except CapabilityError as error:
        absent(error)
        raise


def in_schema(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Do a statement in which `{s}` is the schema of a folder."""
    return shared().sql(statement.replace("{s}", _schemas[folder]), values, url=_common[0])


@pytest.fixture
def server() -> Server:
    return shared()


@pytest.fixture
def own_server() -> Server:
    """One that the test may stop."""
    if not shared().own:
        pytest.skip(f"the server that {VARIABLE} names is not ours to stop")
    return shared()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return database_of(tmp_path)


@pytest.fixture
def pooled(tmp_path: Path) -> str:
    return behind_pooler(database_of(tmp_path))


@pytest.fixture
def sql(database: str) -> Callable[..., list[tuple[object, ...]]]:
    """Does a statement in the database of the test."""
    return lambda statement, *values: shared().sql(statement, values, url=database)


@pytest.fixture(autouse=True)
def _dropped() -> Iterator[None]:
    yield
    while _databases:
        _, url = _databases.popitem()
        shared().drop(url)
    while _schemas:
        _, schema = _schemas.popitem()
        shared().sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE", url=_common[0])


@pytest.fixture(scope="session", autouse=True)
def _stopped() -> Iterator[None]:
    yield
    while _servers:
        _servers.pop().close()
