"""The folders that the file tools may read, and the names by which a model sees what is in them.

A path is relative to its root and written with `/`. With several roots it begins with the root's name. What is hidden
(a name that begins with a dot) is neither listed nor opened: that is where keys and a program's own state live.
"""

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from stratagem.core import ModelRetry, printable
from stratagem.errors import CapabilityError, UsageError
from stratagem.tools.builtin.beneath import FOLDER, Parts, file_beneath, folder_beneath, link_on_the_way, names

MAX_BYTES = 50_000_000  # of one file
MAX_ENTRIES = 50_000  # files and folders that a walk looks at
MAX_DEPTH = 64
MAX_PATH = 1_000  # characters
MAX_SAID = 80  # characters of a path that is too long
_ATTEMPTS = 5  # at a file whose descriptor belongs to somebody else, who may close it at any time

_TEXT = (
    "txt text md markdown mdx rst adoc asciidoc org tex log json jsonl ndjson toml yaml yml ini cfg conf xml html htm"
    " css js ts jsx tsx py pyi ipynb sh bash c h cpp hpp rs go java kt rb php pl r sql env diff patch srt vtt"
)
_PROSE = "txt text md markdown mdx rst adoc asciidoc org tex log"
TEXT_ENDINGS = frozenset(_TEXT.split())
PROSE_ENDINGS = frozenset(_PROSE.split())
CSV_ENDINGS = frozenset(("csv", "tsv", "tab"))
SQLITE_ENDINGS = frozenset(("db", "db3", "sqlite", "sqlite3", "s3db"))
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database
SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Entry:
    """A file that was found.

    Attributes:
        path: as the model names it.
        kind: text, csv, sqlite or other.
        size: in bytes.
    """

    path: str
    kind: str
    size: int


@dataclass(frozen=True)
class Walk:
    """What a walk through a folder found.

    Attributes:
        entries: the files, by path.
        links: symbolic links and special files that were left out.
        unnamed: names that cannot be shown (not Unicode, or with control characters).
        cut: whether there was more than a walk looks at.
    """

    entries: tuple[Entry, ...]
    links: int
    unnamed: int
    cut: bool


@dataclass(frozen=True)
class Loaded:
    """The bytes of a file, and what identifies this version of it."""

    path: str
    data: bytes
    version: tuple[int, ...]


def ending(name: str) -> str:
    """Return what follows the last dot, in lower case."""
    return name.rpartition(".")[2].casefold() if "." in name else ""


class Roots:
    """Folders beneath which files may be read.

    Args:
        folders: paths of the folders.

    Raises:
        UsageError: one does not exist or is no folder.
        CapabilityError: this system cannot open files relative to a folder.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        if folders and os.open not in os.supports_dir_fd:
            raise CapabilityError("this system cannot open files beneath a folder safely: run where `openat` exists")
        if isinstance(folders, str | Path):
            raise UsageError(f"roots must be a sequence of folders, got {folders!r}: write [{str(folders)!r}]")
        self._folders: dict[str, str] = {}
        for folder in folders:
            # The root itself may be reached through links: it is the user's own choice, made once.
            real = os.path.realpath(folder)
            if not os.path.isdir(real):
                what = "is not a folder" if os.path.exists(real) else "does not exist"
                raise UsageError(f"root {str(folder)!r} {what}", remedy="Name a folder that exists.")
            if real not in self._folders.values():
                self._folders[_unique(os.path.basename(real) or "root", self._folders)] = real

    def __bool__(self) -> bool:
        return bool(self._folders)

    def load(self, path: str, *, limit: int = MAX_BYTES) -> Loaded:
        """Return the bytes of a file; `ModelRetry` says to the model why not."""
        name, parts = self._parts(path)
        if not parts:
            raise ModelRetry(f"`{path}` is a folder: name a file")
        shown = self._shown(name, parts)
        try:
            data, status = self._read(name, parts, limit + 1)
        except OSError as failure:
            raise ModelRetry(self._said(failure, shown)) from None
        if len(data) > limit:
            raise ModelRetry(
                f"`{shown}` has {size_in_words(max(status.st_size, len(data)))}: more than {size_in_words(limit)}"
            )
        return Loaded(
            shown, data, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        )

    def head(self, path: str, size: int) -> bytes:
        """Return the first bytes of a file, nothing if it is not there or cannot be read."""
        try:
            name, parts = self._parts(path)
            return self._read(name, parts, size)[0] if parts else b""
        except (OSError, ModelRetry):
            return b""

    def shown(self, path: str) -> str:
        """Return the path of a file as results name it; `ModelRetry` for one that no root can hold."""
        return self._shown(*self._parts(path))

    def _read(self, name: str, parts: Parts, size: int) -> tuple[bytes, os.stat_result]:
        """Return bytes from the start of a file, none if there are more than `MAX_BYTES`, and its status."""
        locked = ending(parts[-1]) not in TEXT_ENDINGS | CSV_ENDINGS
        attempt = 0
        while True:
            attempt += 1
            root = self._open(name)
            try:
                file = file_beneath(root, parts, self._shown(name, parts), locked=locked)
            finally:
                os.close(root)
            try:
                return file.read(size), file.status
            except OSError:
                if not file.borrowed or attempt == _ATTEMPTS:
                    raise
            finally:
                file.close()

    def walk(self, folder: str = "") -> Walk:
        """Return the files beneath a folder, sorted by path."""
        name, parts = self._parts(folder) if self._plain(folder) else ("", ())
        tops = [(name, parts)] if name else [(key, ()) for key in self._folders]
        found = _Found()
        for top, below in tops:
            try:
                root = self._open(top)
                try:
                    at = folder_beneath(root, below)
                finally:
                    os.close(root)
            except OSError as failure:
                raise ModelRetry(self._said(failure, self._shown(top, below), "folder")) from None
            try:
                self._walk(at, top, below, found)
            finally:
                os.close(at)
        entries = tuple(sorted(found.entries, key=lambda entry: entry.path))
        return Walk(entries, found.links, found.unnamed, found.seen > MAX_ENTRIES or found.deep)

    def _walk(self, at: int, name: str, parts: Parts, found: "_Found") -> None:
        if len(parts) > MAX_DEPTH:
            found.deep = True
            return
        for entry, status in sorted(names(at)):
            if entry.startswith("."):
                continue
            found.seen += 1
            if found.seen > MAX_ENTRIES:
                return
            if not _showable(entry):
                found.unnamed += 1
            elif stat.S_ISDIR(status.st_mode):
                try:
                    below = folder_beneath(at, (entry,))
                except OSError:
                    continue
                try:
                    self._walk(below, name, (*parts, entry), found)
                finally:
                    os.close(below)
            elif stat.S_ISREG(status.st_mode):
                path = self._shown(name, (*parts, entry))
                found.entries.append(Entry(path, self._kind(path, status.st_size), status.st_size))
            else:
                found.links += 1

    def _kind(self, path: str, size: int) -> str:
        end = ending(path)
        if end in CSV_ENDINGS:
            return "csv"
        if end in TEXT_ENDINGS:
            return "text"
        if end.endswith(_BESIDE):
            return "other"
        head = self.head(path, 4096)
        if head.startswith(SQLITE_MAGIC):
            return "sqlite"
        if size == 0:
            return "other" if end in SQLITE_ENDINGS else "text"
        return "text" if _is_text(head) else "other"

    def _open(self, name: str) -> int:
        try:
            return os.open(self._folders[name], FOLDER)
        except OSError as failure:
            raise ModelRetry(f"the root `{name}` cannot be opened: {_words(failure)}") from None

    def _plain(self, path: str) -> str:
        return "/".join(part for part in path.split("/") if part not in ("", "."))

    def _parts(self, path: str) -> tuple[str, Parts]:
        """Return root and components of a path; `ModelRetry` for one that no root can hold."""
        if not _showable(path):
            raise ModelRetry(f"the path {path[:80]!a} has characters that no path here has")
        if len(path) > MAX_PATH:
            raise ModelRetry(f"the path `{path[:MAX_SAID]}` ... is too long")
        if path.startswith("/") or path[1:3] in (":\\", ":/"):
            raise ModelRetry(f"`{path}` is an absolute path: paths are relative to the root, without a leading `/`")
        parts = tuple(self._plain(path).split("/")) if self._plain(path) else ()
        if ".." in parts:
            raise ModelRetry(f"`{path}` has a part `..`: paths only go down from the root")
        if any(part.startswith(".") for part in parts):
            raise ModelRetry(f"`{path}` is hidden: names that begin with a dot are not opened")
        if len(self._folders) == 1:
            return next(iter(self._folders)), parts
        if not parts or parts[0] not in self._folders:
            known = ", ".join(f"`{name}/`" for name in self._folders)
            raise ModelRetry(f"`{path}` begins with none of the roots: {known}")
        return parts[0], parts[1:]

    def _shown(self, name: str, parts: Parts) -> str:
        return "/".join(parts if len(self._folders) == 1 else (name, *parts))

    def _said(self, failure: OSError, shown: str, what: str = "file") -> str:
        if failure.errno in (errno.ELOOP, errno.EXDEV) or self._is_linked(f"{shown}/x" if what == "folder" else shown):
            return f"a symbolic link is on the way to `{shown}`, and those are not followed"
        if failure.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"`{shown[:MAX_SAID]}`: {_words(failure)}"
        if what == "folder":
            return f"there is no folder `{shown}`: leave `folder` out to list everything"
        return f"there is no file `{shown}`" + self._nearest(shown)

    def _is_linked(self, shown: str) -> bool:
        name, parts = self._parts(shown.lstrip("/"))
        root = self._open(name)
        try:
            return link_on_the_way(root, parts)
        finally:
            os.close(root)

    def _nearest(self, shown: str) -> str:
        known = [entry.path for entry in self.walk().entries]
        last = shown.rpartition("/")[2].casefold()
        same = [path for path in known if path.rpartition("/")[2].casefold() == last]
        near = same or get_close_matches(shown, known, n=3, cutoff=0.5)
        if near:
            return "; did you mean " + " or ".join(f"`{path}`" for path in near[:3]) + "?"
        listed = ", ".join(f"`{path}`" for path in known[:10])
        return f"; there are {listed}{' and more' if len(known) > 10 else ''}" if known else "; there are no files"


class _Found:
    """What a walk has found so far."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.links = self.unnamed = self.seen = 0
        self.deep = False


def _words(failure: OSError) -> str:
    return os.strerror(failure.errno or 0).lower()


def _unique(name: str, taken: dict[str, str]) -> str:
    name = printable(name)
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}-{number}"
    return made


def _showable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return printable(name) == name and "\n" not in name and "\t" not in name


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\0" in head:
        return False
    wrong = head.decode("utf-8", "replace").count("\ufffd")
    return wrong <= 1 + len(head) // 20  # a character may be cut at the end; a Western code page is text too


def size_in_words(size: int) -> str:
    """Return a number of bytes as a person reads it.

    >>> size_in_words(999), size_in_words(48_219), size_in_words(50_000_000)
    ('999 B', '48.2 kB', '50 MB')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} B"
