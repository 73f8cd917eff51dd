"""Keeps a PostgreSQL server, and pgbouncer in front of it, for as long as whoever started this program lives.

    python _postgres_keeper.py '{"bin": DIRECTORY or null, "pooler": PROGRAM or null, "user": NAME or null,
                                 "options": [...], "upstream": SERVER of the pooler, or null for the one kept here}'

It answers each line on standard input with one of JSON: `start`, `stop`, `crash`, `pooler`. At the end of standard
input, which comes also when the other process is killed, the server is stopped and its directory removed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

START_S = 60.0
TRIES = 5  # another process may take a port between its choice and its use

POOLER = """[databases]
* = {upstream}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
server_reset_query =
server_login_retry = 0.2
logfile = {folder}/pooler.log
pidfile = {folder}/pooler.pid
ignore_startup_parameters = extra_float_digits
"""


class Keeper:
    """One server in one directory."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._programs = Path(given["bin"]) if given["bin"] else None
        self._pooler_program, self._options = given["pooler"], given["options"]
        self._upstream = given["upstream"]
        # Short, for a socket's path has at most 107 bytes; and where another user may go.
        self._folder = Path(tempfile.mkdtemp(prefix="stratagem-pg-", dir="/tmp"))
        self._as: dict[str, Any] = {"cwd": "/", "stdin": subprocess.DEVNULL}
        if given["user"]:
            import pwd  # noqa: PLC0415  (there is none on Windows)

            entry = pwd.getpwnam(given["user"])
            self._as |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        self._server: subprocess.Popen[bytes] | None = None
        self._pooler: subprocess.Popen[bytes] | None = None
        self.port = 0

    def make(self) -> None:
        """Make the files of a server."""
        assert self._programs is not None
        command = [str(self._programs / "initdb"), "-D", f"{self._folder}/data", "-U", "postgres", "--auth=trust"]
        command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
        with open(self._folder / "initdb.log", "wb") as log:
            if self._begun(command, log).wait():
                raise RuntimeError(f"initdb failed: {self._said('initdb.log')}")
        # Whoever is called so needs a password.
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    def start(self) -> int:
        """Start the server, on the port that it had; return it."""
        for _ in range(TRIES):
            port = self.port or _free_port()
            if self._started(port):
                self.port = port
                return port
        raise RuntimeError(f"the server does not start: {self._said('server.log')}")

    def _started(self, port: int) -> bool:
        assert self._programs is not None
        command = [str(self._programs / "postgres"), "-D", f"{self._folder}/data", "-h", "127.0.0.1", "-p", str(port)]
        command += ["-k", str(self._folder), *self._options]
        with open(self._folder / "server.log", "ab") as log:
            process = self._server = self._begun(command, log)
        until = time.monotonic() + START_S
        status = self._folder / "data" / "postmaster.pid"
        while time.monotonic() < until and process.poll() is None:
            try:
                lines = status.read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        self.stop(signal.SIGQUIT)
        return False

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server: SIGINT in order, SIGQUIT as a crash does."""
        server, self._server = self._server, None
        if server is not None:
            _ended(server, number)

    def pooler(self) -> int:
        """Start pgbouncer in front of the server; return its port."""
        for _ in range(TRIES):
            port = _free_port()
            settings = self._folder / "pooler.ini"
            upstream = self._upstream or f"host=127.0.0.1 port={self.port} user=postgres"
            settings.write_text(POOLER.format(upstream=upstream, port=port, folder=self._folder))
            if "user" in self._as:
                os.chown(settings, self._as["user"], self._as["group"])
            settings.chmod(0o600)
            process = self._pooler = self._begun([self._pooler_program, "-q", str(settings)], subprocess.DEVNULL)
            until = time.monotonic() + START_S
            while time.monotonic() < until and process.poll() is None:
                if _listens(port):
                    return port
                time.sleep(0.01)
            _ended(process, signal.SIGQUIT)
        raise RuntimeError(f"pgbouncer does not start: {self._said('pooler.log')}")

    def end(self) -> None:
        """Stop all, and remove the directory."""
        if self._pooler is not None:
            _ended(self._pooler, signal.SIGTERM)
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begun(self, command: list[str], output: Any) -> subprocess.Popen[bytes]:
        process: Any = subprocess.Popen(command, stdout=output, stderr=output, **self._as)  # noqa: S603
        return process

    def _said(self, name: str) -> str:
        try:
            return (self._folder / name).read_text(errors="replace")[-2000:].strip()
        except OSError:
            return "it says nothing"


def _ended(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _ignored(number: int, frame: Any) -> None:
    """Do nothing: the end of the other process is the sign. Not SIG_IGN, which the servers would inherit."""


def main() -> None:
    """Do what the lines say."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignored)
    keeper = Keeper(json.loads(sys.argv[1]))
    verbs: dict[str, Any] = {
        "make": keeper.make,
        "start": keeper.start,
        "stop": keeper.stop,
        "crash": lambda: keeper.stop(signal.SIGQUIT),
        "pooler": keeper.pooler,
    }
    try:
        for line in sys.stdin:
            try:
                reply = {"result": verbs[line.strip()]()}
            except Exception as error:  # noqa: BLE001  (it is told to who asked)
                reply = {"error": str(error)}
            print(json.dumps(reply), flush=True)
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
