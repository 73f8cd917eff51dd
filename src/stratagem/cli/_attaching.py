"""`--file F`: documents and images that belong to a question.

Rule 1: what the model reads itself is attached to the question.
Rule 2: text and tables that it does not read are granted to the built-in tools: a copy of the file in home, by its content,
        so that the run can go on after the file has changed. Nothing beside it becomes readable.
Rule 3: anything else is refused before the first call, because nobody could read it.
"""

import mimetypes
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from stratagem.cli._ends import usage
from stratagem.core import USER, Attachment, Content, Json, Label, Model, Task
from stratagem.core._canonical import is_object
from stratagem.errors import CapabilityError, UsageError
from stratagem.tools.builtin.roots import CSV_ENDINGS, SQLITE_ENDINGS, SQLITE_MAGIC, TEXT_ENDINGS, ending

MOST_BYTES = 20_000_000  # of one file
MOST_FILES = 50
FOLDER = "files"  # beneath home; the name of the root that a model sees


class Attached(NamedTuple):
    """What becomes of files.

    Attributes:
        question: with what is attached to it.
        roots: folders with what the tools may read.
    """

    question: str
    roots: list[Path]


def attached(question: str, files: Sequence[str], model: Model, home: Path) -> Attached:
    """Return the question with the files that a model reads, and a folder with those that its tools read.

    Raises:
        Fault: a file cannot be read, or is too large.
        CapabilityError: neither the model nor a tool can read it.
    """
    if len(files) > MOST_FILES:
        raise usage(f"{len(files)} files are more than {MOST_FILES}", "Grant their folder instead: `--root DIR`.")
    own: list[Attachment] = []
    copied: dict[str, bytes] = {}
    for file in files:
        one = read(file)
        if reads(model, one.media_type):
            own.append(one)
        elif _for_tools(one):
            if one.name in copied:
                raise usage(f"two files are called {one.name!r}", "Rename one: models call them by name.")
            copied[one.name] = one.data
        else:
            raise CapabilityError(
                f"{file!r} is {one.media_type}, which neither the model {model.spec!r} nor a tool can read",
                remedy="Choose a model that reads it, or convert it to text.",
            )
    asked = Content(question, tuple(own), USER) if own else question
    return Attached(asked, [_copied(copied, home)] if copied else [])


def again(record: Json, files: Sequence[str]) -> Task:
    """Return the task of a run whose attachments are given again, for their bytes are not in its record.

    Raises:
        Fault: the run has none, or these are others.
    """
    form: Json = record["task"]["question"]
    listed: list[Json] = form["attachments"] if is_object(form) else []
    if not listed:
        raise usage("nothing is attached to the question of this run", "Leave `--file` out.")
    found = [read(file) for file in files]
    for one in found:
        if one.plain() not in listed:
            raise usage(f"{one.name!r} is not what was attached, or was changed since", f"Give {_named(listed)}.")
    if [one.plain() for one in found] != listed:
        raise usage("not all that was attached is given, in its order", f"Give {_named(listed)}.")
    task = Task.of({**record["task"], "question": form["text"]})
    return Task(
        Content(form["text"], tuple(found), USER),
        output=task.output, examples=task.examples, notes=task.notes, tools=task.tools,
    )  # fmt: skip


def _named(listed: list[Json]) -> str:
    return " ".join(f"--file {one[0]}" for one in listed)


def read(file: str) -> Attachment:
    """Return a file with its media type, labelled by its name: it is not what the user said."""
    path = Path(file).expanduser()
    try:
        if path.is_dir():
            raise usage(f"{file!r} is a folder", f"Grant it to the tools: `--root {file}`.")
        with path.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as failure:
        raise usage(f"{file!r} cannot be read: {failure.strerror}", "Check `--file`.") from None
    if len(data) > MOST_BYTES:
        raise usage(
            f"{file!r} has more than {MOST_BYTES // 1_000_000} MB",
            "Grant its folder to the tools instead, which read it in parts: `--root DIR`.",
        )
    return Attachment(path.name, media_type(path.name, data), data, Label({f"file:{path.name}"}, ()))


def media_type(name: str, data: bytes) -> str:
    """Return what a file is, by its name, else by its bytes."""
    known, packed = mimetypes.guess_type(name)
    if known is not None and packed is None:
        return known
    if data.startswith(SQLITE_MAGIC):
        return "application/vnd.sqlite3"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"


def reads(model: Model, kind: str) -> bool:
    """Return whether a model reads a media type itself; it may say `image/*`."""
    media = model.capabilities.media
    return kind in media or f"{kind.partition('/')[0]}/*" in media


def _for_tools(one: Attachment) -> bool:
    known = TEXT_ENDINGS | CSV_ENDINGS | SQLITE_ENDINGS
    text = one.media_type.startswith("text/") and b"\0" not in one.data
    return not one.name.startswith(".") and (text or ending(one.name) in known)


def _copied(files: dict[str, bytes], home: Path) -> Path:
    """Return a folder that holds exactly these files, made once for the same ones."""
    digest = sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{len(name)} {name} {len(data)} ".encode() + data)
    folder = home / FOLDER / digest.hexdigest()[:32] / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, data in files.items():
        path = folder / name
        if path.is_file() and path.read_bytes() == data:
            continue
        part = folder / f".{os.getpid()}.part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
        part.replace(path)
    return folder


def settings_for(
    question: str, files: Sequence[str], model: str, roots: Sequence[Path], home: Path, server: Mapping[str, Any]
) -> tuple[str, list[Path], dict[str, Any]]:
    """Return the question, the roots and the model with which a run reads these files."""
    from stratagem.models import open_model

    async def unread(run: str) -> Any:
        raise UsageError(f"run {run!r} is not read here: only what the model can read is looked at")

    opened = open_model(model, home=home, recorded=unread, **server)
    made = attached(question, files, opened, home)
    recorded = model.startswith("replay:")  # which the session opens itself: it has the journal
    return made.question, [*roots, *made.roots], {"model": model if recorded else opened}
