"""llama.cpp's server as a child process: one for each file of weights, shared by all models of this process that use it.

Rule 1: it listens on loopback only, and only who has the key that was drawn for it is answered.
Rule 2: it never outlives this process: its standard input ends with us, by whatever we end (`local_child.py`).
Rule 3: one that has died is started again, `LIVES` times in all; then its end is the error.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

LIVES = 3
STOP_S = 2.0  # after TERM, before KILL
START_S = 600.0
MOST_CONTEXT_BYTES = 2 << 30  # of the context of one slot: what a model reads at once costs memory
MOST_SLOTS_BYTES = 512 << 20  # of all slots, if there is more than one
MOST_SLOTS = 4

_CHILD = Path(__file__).with_name("local_child.py")
# What a program needs to start; keys that other models have are not among it.
_PASSED = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONUTF8", "SYSTEMROOT", "TEMP",
    "TMP", "TMPDIR", "VIRTUAL_ENV",
)  # fmt: skip


class Down(Exception):
    """The server cannot be started, or has died too often."""


class Place:
    """Where a server listens, and the key for it."""

    __slots__ = ("key", "url")

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key


class Server:
    """A server of one file. Its methods block: an event loop calls them in a thread.

    Args:
        path: the weights.
        context: tokens of each slot.
        slots: requests that are answered at once.
    """

    def __init__(self, path: Path, context: int, slots: int) -> None:
        self._path, self._context, self._slots = path, context, slots
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._place: Place | None = None
        self._log: IO[bytes] | None = None
        self._lives = LIVES
        self._ended = ""
        self.users = 0

    def place(self) -> Place:
        """Return where it listens, and start it if it does not run.

        Raises:
            Down: it cannot be started, or has died too often.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None and self._place is not None:
                return self._place
            if self._process is not None:
                self._ended = _end_of(self._process.returncode)
                self._let_go()
            if not self._lives:
                times = f"{LIVES} times" if LIVES > 1 else "once"
                raise Down(f"llama.cpp with {self._path.name!r} was started {times} and ended {self._ended}")
            self._lives -= 1
            self._place = self._started()
            return self._place

    def stop(self) -> None:
        """End it: TERM, then KILL."""
        with self._lock:
            process = self._process
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._let_go()

    @property
    def pid(self) -> int | None:
        """Number of its process; None if none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _started(self) -> Place:
        key = secrets.token_urlsafe(24)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `_let_go`)
        self._process = process = subprocess.Popen(  # noqa: S603  (our own program)
            [sys.executable, "-P", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={name: os.environ[name] for name in _PASSED if name in os.environ},
            start_new_session=True,  # Ctrl-C is for us: whoever waits for an answer may still get it
        )
        settings = {
            "path": str(self._path), "key": key, "context": self._context, "slots": self._slots, "threads": _threads(),
            "parent": os.getpid(),
        }  # fmt: skip
        said = self._answer(process, json.dumps(settings).encode() + b"\n")
        if "url" in said:
            return Place(said["url"], key)
        process.kill()  # it ends by itself; this says by when
        process.wait()
        why = self._said() or said.get("error") or f"it ended {_end_of(process.returncode)}"
        self._let_go()
        raise Down(f"llama.cpp cannot run {self._path.name!r}: {why}")

    def _answer(self, process: "subprocess.Popen[bytes]", settings: bytes) -> dict[str, str]:
        """Hand over the settings, and return the line that the child says."""
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Timer(START_S, process.kill)
        late.daemon = True
        late.start()
        try:
            with contextlib.suppress(OSError):  # it may have ended already
                process.stdin.write(settings)
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            late.cancel()
        try:
            return json.loads(line)
        except ValueError:
            process.wait()
            ended = _end_of(process.returncode)
            return {"error": f"it ended {ended} while it read the weights{_hint(process.returncode)}"}

    def _said(self) -> str:
        """Return the first complaint in the log: those that follow tell what came of it."""
        if self._log is None:
            return ""
        self._log.seek(0)
        text = self._log.read(100_000).decode(errors="replace")
        complaints = [line.partition(" E ")[2].strip() for line in text.splitlines() if " E " in line]
        if not complaints and "ModuleNotFoundError" in text:
            return text.strip().splitlines()[-1]
        return " ".join(complaints[0].split())[:300] if complaints else ""

    def _let_go(self) -> None:
        process, log = self._process, self._log
        self._process = self._place = self._log = None
        for pipe in (process.stdin, process.stdout) if process is not None else ():
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if log is not None:
            log.close()


_servers: dict[tuple[int, Path, int, int], Server] = {}
_lock = threading.Lock()


def taken(path: Path, context: int, slots: int) -> Server:
    """Return the server of a file, as one more of its users; nothing is started by that."""
    key = (os.getpid(), path, context, slots)  # a copy of this process must not end what is the original's
    with _lock:
        server = _servers.get(key)
        if server is None:
            server = _servers[key] = Server(path, context, slots)
        server.users += 1
        return server


def given_back(server: Server) -> None:
    """Be one less of a server's users; the last one stops it. Blocks until it has ended."""
    with _lock:
        server.users -= 1
        key = next((key for key, one in _servers.items() if one is server), None)
        if server.users or key is None:
            return
        del _servers[key]
    if key[0] == os.getpid():
        server.stop()


def sizes(context: int, token_bytes: int) -> tuple[int, int]:
    """Return the context of a slot, and the number of slots.

    Args:
        context: tokens that the model was trained to read at once.
        token_bytes: memory that one token takes.

    >>> sizes(8192, 23_040)
    (8192, 2)
    >>> sizes(131_072, 131_072)
    (16384, 1)
    """
    tokens = max(256, min(context, MOST_CONTEXT_BYTES // token_bytes))
    return tokens, max(1, min(MOST_SLOTS, MOST_SLOTS_BYTES // (tokens * token_bytes)))


def _threads() -> int:
    """Return how many threads compute: one less than this process may use cores.

    They wait for each other after every operation, so one that shares its core with other work stops all: with two
    threads on two busy cores the small model wrote 10 tokens a second, with one 50.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed - 1, 16))


def _end_of(status: int) -> str:
    """Return how a process ended, in words."""
    import signal

    if status >= 0:
        return f"with exit status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def _hint(status: int) -> str:
    return "; the machine may have too little memory for them" if status == -9 else ""
