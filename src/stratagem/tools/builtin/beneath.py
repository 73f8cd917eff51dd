"""Open files beneath a root, whatever happens to the tree meanwhile.

Rule 1: a path is opened from a descriptor of the root, never as text that was checked before: between check and use
        anybody could have renamed something.
Rule 2: no symbolic link is followed, not even one that stays inside. A link's target can be changed by whoever may
        write beneath the root; a rule without exceptions needs no proof. A hard link is a name of the file itself:
        whoever could make it could read the file, so it is opened like any other.
Rule 3: only regular files are opened, without waiting: a pipe without a writer, a device or a socket never hangs a
        call. Its kind is looked at before it is opened, because opening some devices does something.
"""

import errno
import os
import stat
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from stratagem.core import ModelRetry

Parts = tuple[str, ...]

_kept: list[int] = []  # descriptors that may not be closed: see `File.close`


def _flags(*names: str) -> int:
    """Return flags of `open`, without those that this system does not have."""
    return sum(getattr(os, f"O_{name}", 0) for name in names)


FOLDER = _flags("DIRECTORY", "NOFOLLOW", "CLOEXEC")  # readable, to list it
_FOLDER = FOLDER | _flags("PATH")  # only to open what is in it
_FILE = _flags("NOFOLLOW", "NONBLOCK", "NOCTTY", "CLOEXEC")
_OPENAT2 = 437  # the same number on every architecture of Linux
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 2, 4, 8  # RESOLVE_* of linux/openat2.h
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link, and those are not followed"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def folder_beneath(root: int, parts: Parts) -> int:
    """Return a descriptor of the folder, by one system call where the kernel has it. `OSError` if there is none."""
    if not parts:
        return os.open(".", _FOLDER, dir_fd=root)
    call = _kernel_call()
    return by_kernel(call, root, parts) if call else by_component(root, parts)


def by_component(root: int, parts: Parts) -> int:
    """Open one component after the other, each from the descriptor of the one before, following nothing."""
    at = os.open(".", _FOLDER, dir_fd=root)
    for part in parts:
        try:
            at, parent = os.open(part, _FOLDER, dir_fd=at), at
        except BaseException:
            os.close(at)
            raise
        os.close(parent)
    return at


def by_kernel(call: "_Openat2", root: int, parts: Parts) -> int:
    """Open by `openat2`, which looks at every component itself."""
    return call(root, "/".join(parts))


def link_on_the_way(root: int, parts: Parts) -> bool:
    """Return whether a folder on the way is a symbolic link: the system does not tell it from a file."""
    for at in range(1, len(parts)):
        try:
            parent = folder_beneath(root, parts[: at - 1])
        except OSError:
            return False
        try:
            if stat.S_ISLNK(os.stat(parts[at - 1], dir_fd=parent, follow_symlinks=False).st_mode):
                return True
        except OSError:
            return False
        finally:
            os.close(parent)
    return False


class File(NamedTuple):
    """A regular file that is open for reading.

    Attributes:
        descriptor: of the file.
        status: when it was opened.
        locked: whether somebody in this process may hold locks on it (see `file_beneath`).
        borrowed: whether the descriptor is theirs.
    """

    descriptor: int
    status: os.stat_result
    locked: bool
    borrowed: bool

    def read(self, size: int) -> bytes:
        """Return so many bytes from the start, or all there are. `OSError` if a lender closed it meanwhile."""
        parts: list[bytes] = []
        done = 0
        while done < size and (part := os.pread(self.descriptor, min(size - done, 1 << 20), done)):
            parts.append(part)
            done += len(part)
        if self.borrowed and not os.path.samestat(os.fstat(self.descriptor), self.status):
            raise OSError(errno.EAGAIN, "closed while it was read")
        return b"".join(parts)

    def close(self) -> None:
        """Close it, unless that would take locks from somebody in this process who opened it meanwhile."""
        if self.borrowed:
            return
        if self.locked and _in_use(self.status, but=self.descriptor) is not None:
            _kept.append(self.descriptor)
        else:
            os.close(self.descriptor)


def file_beneath(root: int, parts: Parts, shown: str, *, locked: bool = False) -> File:
    """Open a regular file for reading.

    Args:
        root: descriptor of the root.
        parts: components of the path, none of them `..`.
        shown: the path, as messages name it.
        locked: whether it may be a file that somebody in this process holds locks on, as SQLite does. POSIX takes all
            locks of a process on a file away when any of its descriptors is closed; so if this process has the file
            open, that descriptor is read from, and none is opened.

    Raises:
        ModelRetry: it is no regular file, or a link is on the way.
        OSError: it is not there, or not readable.
    """
    parent = folder_beneath(root, parts[:-1])
    try:
        status = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        refuse_kind(status, shown)
        used = _in_use(status) if locked else None
        if used is not None:
            return File(used, status, locked, borrowed=True)
        descriptor = os.open(parts[-1], _FILE, dir_fd=parent)
    finally:
        os.close(parent)
    status = os.fstat(descriptor)
    try:
        refuse_kind(status, shown)
    except BaseException:
        os.close(descriptor)
        raise
    return File(descriptor, status, locked, borrowed=False)


def _in_use(status: os.stat_result, but: int = -1) -> int | None:
    """Return a descriptor by which this process reads that file, or None; also where the system does not list them."""
    try:
        listed = os.listdir("/dev/fd")
    except OSError:
        return None
    for name in listed:
        try:
            if int(name) != but and os.path.samestat(os.fstat(int(name)), status):
                os.pread(int(name), 1, 0)
                return int(name)
        except OSError:  # closed meanwhile, or not open for reading
            continue
    return None


def refuse_kind(status: os.stat_result, shown: str) -> None:
    """Raise `ModelRetry` unless it is a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "no regular file")
        raise ModelRetry(f"`{shown}` is {kind}: name a file")


def names(folder: int) -> Sequence[tuple[str, os.stat_result]]:
    """Return the entries of an open folder with their status, links not followed; what vanishes is left out."""
    reading = os.open(".", FOLDER, dir_fd=folder)
    try:
        found: list[tuple[str, os.stat_result]] = []
        for name in os.listdir(reading):
            try:
                found.append((name, os.stat(name, dir_fd=reading, follow_symlinks=False)))
            except OSError:
                continue
        return found
    finally:
        os.close(reading)


class _Openat2:
    """The system call, as Python does not have it."""

    def __init__(self) -> None:
        import ctypes  # only when a folder is first opened

        class How(ctypes.Structure):
            _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))

        self._error = ctypes.get_errno
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        how = How(_FOLDER, 0, _BENEATH | _NO_MAGICLINKS | _NO_SYMLINKS)
        self._how, self._size = ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        self._number, self._int, self._text = ctypes.c_long(_OPENAT2), ctypes.c_int, ctypes.c_char_p

    def __call__(self, root: int, path: str) -> int:
        opened = self._call(self._number, self._int(root), self._text(os.fsencode(path)), self._how, self._size)
        if opened < 0:
            code = self._error()
            raise OSError(code, os.strerror(code), path)
        return int(opened)


@cache
def _kernel_call() -> _Openat2 | None:
    """Return the system call, or None where there is none: an old kernel, a filter that forbids it, no Linux."""
    if os.uname().sysname != "Linux":
        return None
    here = os.open(".", _FOLDER)
    try:
        call = _Openat2()
        os.close(call(here, "."))
    except (OSError, AttributeError, ImportError):
        return None
    finally:
        os.close(here)
    return call
