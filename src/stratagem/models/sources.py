"""Where a key is looked for: the provider's variable, then the user's key file, then the system's keyring.

Rule 1: the key file is read only if nobody but its owner can; `.env` is never read.
Rule 2: the keyring is asked at most once for each key, in a thread of its own, and not waited for longer than a limit:
        short where nobody sits in front of a prompt. One that fails, or that is none, has no key.
Rule 3: nothing here puts a key into a message.
"""

import asyncio
import os
import re
import stat
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

from stratagem.errors import UsageError
from stratagem.models.routes import config_folder

FILE = "keys.toml"  # beside the user's own settings
SERVICE = "stratagem"  # what keys are filed under in the keyring; the user name is the variable's
LARGEST = 1_000_000  # bytes of a key file
WITH_PROMPT_S, ALONE_S = 60.0, 3.0  # that the keyring is waited for
_NONE = ("keyring.backends.fail", "keyring.backends.null")
_one_at_a_time = threading.Lock()  # so that a locked keyring asks for its password once


class Found(NamedTuple):
    """A key, and where it was found."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Found(***, {self.source!r})"


def key_file() -> Path:
    """Return the user's key file, whether it exists or not."""
    return config_folder() / FILE


def installed() -> bool:
    """Return whether the extra `keyring` is installed."""
    return find_spec("keyring") is not None


class Sources:
    """Looks for keys on behalf of one session.

    Args:
        file: the key file; None is the user's.
        environ: the environment; None is that of the process.
        interactive: whether somebody could answer a prompt of the keyring; None finds out.
    """

    def __init__(
        self, file: Path | None = None, environ: Mapping[str, str] | None = None, *, interactive: bool | None = None
    ) -> None:
        self._path = file
        self._environ: Mapping[str, str] = os.environ if environ is None else environ
        self._interactive = interactive
        self._asked: dict[str, Future[str]] = {}
        self._silent = False  # it did not answer in time once, and is not waited for again
        self.trouble = ""  # why the keyring gave nothing, if it should have

    def __repr__(self) -> str:
        return "Sources(***)"

    def at_hand(self, variable: str) -> Found | None:
        """Return a key from its variable or the key file, or from the keyring if that has been asked.

        Raises:
            UsageError: the key file may be read by others, or is none.
        """
        if value := self._environ.get(variable, "").strip():
            return Found(value, f"variable {variable}")
        path = self._path or key_file()
        if value := read_keys(path).get(variable, "").strip():
            return Found(value, f"file {path}")
        asked = self._asked.get(variable)
        return self._kept(asked.result()) if asked is not None and asked.done() else None

    def may_be_kept(self, variable: str) -> bool:
        """Return whether the keyring has still to be asked for a key."""
        asked = self._asked.get(variable)
        return not self._silent and (installed() if asked is None else not asked.done())

    async def ask(self, variable: str) -> Found | None:
        """Return a key from the keyring; None if it has none or does not answer in time."""
        if self._silent or not installed():
            return None
        try:
            return self._kept(await asyncio.wait_for(asyncio.wrap_future(self._asking(variable)), self._limit_s))
        except TimeoutError:
            return self._late()

    def ask_now(self, variable: str) -> Found | None:
        """As `ask`, where no event loop is running: it blocks until the keyring answers, or the limit."""
        if self._silent or not installed():
            return None
        try:
            return self._kept(self._asking(variable).result(self._limit_s))
        except TooLate:
            return self._late()

    @property
    def _limit_s(self) -> float:
        if self._interactive is None:
            self._interactive = sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")
        return WITH_PROMPT_S if self._interactive else ALONE_S

    def _kept(self, value: str) -> Found | None:
        return Found(value, "keyring") if value else None

    def _late(self) -> None:
        self._silent = True
        self.trouble = f"the keyring did not answer within {self._limit_s:g} s"

    def _asking(self, variable: str) -> "Future[str]":
        """Return what the keyring says, asked once, by a thread that no end of the process waits for."""
        asked = self._asked.get(variable)
        if asked is None:
            asked = self._asked[variable] = Future()
            asked.set_running_or_notify_cancel()  # from now on nobody can cancel it
            threading.Thread(target=self._look, args=(variable, asked), name="keyring", daemon=True).start()
        return asked

    def _look(self, variable: str, asked: "Future[str]") -> None:
        value = ""
        try:
            with _one_at_a_time:
                value = _from_keyring(variable)
        except Exception as failure:  # noqa: BLE001  (code of a foreign backend, which may raise anything)
            self.trouble = f"the keyring failed: {type(failure).__name__}"  # its words might hold what it keeps
        asked.set_result(value)


def _from_keyring(variable: str) -> str:
    import keyring  # 0.1 s

    backend = keyring.get_keyring()
    if type(backend).__module__ in _NONE:
        return ""
    return (backend.get_password(SERVICE, variable) or "").strip()


def keyring_here() -> str:
    """Return the name of the system's keyring; empty if there is none, or the extra is not installed."""
    if not installed():
        return ""
    try:
        import keyring

        backend = keyring.get_keyring()
        return "" if type(backend).__module__ in _NONE else str(backend.name)
    except Exception:  # noqa: BLE001  (code of a foreign backend, which may raise anything)
        return ""


def read_keys(path: Path) -> Mapping[str, str]:
    """Return the keys of a key file by the names of their variables; none if there is no file.

    Raises:
        UsageError: others can read it, or it is no table of texts.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as failure:
        raise UsageError(
            f"the key file {path} cannot be read: {failure.strerror}", remedy="Correct its permissions."
        ) from None
    try:
        _check_private(path, os.fstat(handle))  # of what was opened: nobody can put another one there in between
        data = b""
        while len(data) <= LARGEST and (piece := os.read(handle, LARGEST)):
            data += piece
    finally:
        os.close(handle)
    return _parsed(path, data)


def _check_private(path: Path, found: os.stat_result) -> None:
    """Refuse a key file that somebody else can read or has put there."""
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"the key file {path} is no file", remedy='Write lines `VARIABLE = "key"` into one.')
    if os.name != "posix":
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise UsageError(
            f"the key file {path} is open to others (mode {mode:04o}), so its keys are not used",
            remedy=f"Make it yours alone: `chmod 600 {path}`. Whoever could read it may have the keys: consider new ones.",
        )
    if found.st_uid not in (os.geteuid(), 0):
        raise UsageError(f"the key file {path} belongs to another user", remedy="Write one of your own.")


def _parsed(path: Path, data: bytes) -> Mapping[str, str]:
    import tomllib

    remedy = 'Write lines such as `OPENAI_API_KEY = "..."`.'
    if len(data) > LARGEST:
        raise UsageError(f"the key file {path} has more than {LARGEST:,} bytes", remedy=remedy)
    try:
        table: dict[str, Any] = tomllib.loads(data.decode())
    except ValueError as failure:
        line = re.search(r"at line \d+", str(failure))  # all else might be part of a key
        raise UsageError(f"the key file {path} is not TOML{f', {line[0]}' if line else ''}", remedy=remedy) from None
    for name, value in table.items():
        if not isinstance(value, str):
            raise UsageError(f"the key file {path}: {name!r} is no text", remedy=remedy)
    return cast("dict[str, str]", table)
