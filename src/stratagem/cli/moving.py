"""`stratagem export` and `stratagem import`: runs as one file, from any journal to any other."""

import contextlib
import json
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import SCHEMA, Mode, counted
from stratagem.cli._settings import Verb, offers, speaking


@click.command(cls=Verb)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", **offers("runs"))
@click.option(
    "-o", "--output", metavar="FILE", default="-", help="The file, which must not exist; `-` is standard output.",
    show_default=True,
)  # fmt: skip
@speaking("json", "quiet", "debug")
@click.pass_obj
def export(mode: Mode, runs: tuple[str, ...], output: str) -> int:
    """Write runs into one file of JSON lines, with the runs they were forked from, which `stratagem import` takes.

    Each payload stands in it once, by its digest, and every effect with its seal. It holds all that was asked and answered,
    but no attached or read file, and not what is remembered.
    """
    from stratagem.cli._reading import id_of, look
    from stratagem.core import Journal
    from stratagem.session import Session
    from stratagem.session._export import exported

    if mode.json and output == "-":
        raise usage("--json and the file would both go to standard output", "Name a file: `-o FILE`.")

    async def write(session: Session, journal: Journal) -> dict[str, Any]:
        ids = [await id_of(mode, session, run) for run in runs]
        lines = size = 0
        moved: list[str] = []
        with _written(output) as file:
            async for line in exported(journal, ids):
                moved = moved or json.loads(line)["runs"]
                file.write(line)
                lines, size = lines + 1, size + len(line.encode())
        return {"runs": moved, "lines": lines, "bytes": size}

    done = look(mode, write)
    if mode.json:
        mode.document({"schema": SCHEMA, "file": output, **done})
    else:
        mode.tell(
            f"{counted(len(done['runs']), 'run')} in {counted(done['lines'], 'line')}, {counted(done['bytes'], 'byte')}"
        )
    return 0


@contextlib.contextmanager
def _written(output: str) -> Generator[IO[str], None, None]:
    """Yield where the lines go; a file appears only when it is whole, readable by its owner alone."""
    if output == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(output)
    if path.exists():
        raise usage(f"{output!r} exists already", "Choose another name, or remove it first.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a renaming it never replaces what somebody made meanwhile
    except FileExistsError:
        raise usage(f"{output!r} exists already", "Choose another name, or remove it first.") from None
    except OSError as failure:
        raise usage(f"{output!r} cannot be written: {failure.strerror}", "Choose another place: `-o FILE`.") from None
    finally:
        part.unlink(missing_ok=True)


@click.command("import", cls=Verb)
@click.argument("file", **offers("files"))
@speaking("json", "quiet", "debug")
@click.pass_obj
def import_(mode: Mode, file: str) -> int:
    """Take the runs of FILE, which `stratagem export` wrote; `-` is standard input.

    Every digest and every seal is verified before anything is written. A run that is here already with the same content is
    left alone; one with other content is refused, and with it the whole file.
    """
    from stratagem.cli._reading import look
    from stratagem.core import Journal
    from stratagem.session import Session
    from stratagem.session._export import imported, parcels

    name = "standard input" if file == "-" else file
    with _read(file) as lines:
        found = parcels(lines, name)

    async def take(_: Session, journal: Journal) -> Any:
        return await imported(journal, found)

    done = look(mode, take)
    if mode.json:
        document = {"imported": list(done.new), "known": list(done.known), "rows": done.rows}
        mode.document({"schema": SCHEMA, **document})
        return 0
    if done.new:
        mode.tell(f"imported {', '.join(done.new)}: {counted(done.rows, 'effect')}")
    if done.known:
        mode.tell(f"known already, with the same content: {', '.join(done.known)}")
    return 0


@contextlib.contextmanager
def _read(file: str) -> Generator[IO[bytes], None, None]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with open(file, "rb") as lines:
            yield lines
    except OSError as failure:
        raise usage(f"{file!r} cannot be read: {failure.strerror}", "Name a file, or `-` for standard input.") from None
