"""How a command ends: exit status, and the two lines that an error gets.

| status | meaning |
|---|---|
| 0 | answered |
| 1 | no answer, refused, unparsed; `doctor` found a failure |
| 2 | usage, or something that is needed is missing |
| 3 | the run waits for a person |
| 4 | a budget ended |
| 5 | the model or its provider failed |
| 6 | the journal is damaged, or the run is owned elsewhere |
| 70 | an exception that is not ours |
| 130 | cancelled |
| 141 | the reader closed the pipe |
"""

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stratagem.cli._output import Mode, warn

if TYPE_CHECKING:
    from pathlib import Path

ANSWERED, NO_ANSWER, USAGE, WAITING, BUDGET, MODEL, JOURNAL = 0, 1, 2, 3, 4, 5, 6
STRANGE, CANCELLED, PIPE_CLOSED = 70, 130, 141

RUN_NOTE = "run "  # how the note of a foreign exception begins that names the run it ended

OF_STOP = {
    "answered": ANSWERED,
    "no_answer": NO_ANSWER,
    "unparsed": NO_ANSWER,
    "refused": NO_ANSWER,
    "budget": BUDGET,
    "cancelled": CANCELLED,
    "suspended": WAITING,
}


class Fault(Exception):
    """The end of a command by an error that has been understood.

    Args:
        kind: name of the error.
        message: what is the case.
        remedy: what to do.
        status: exit status.
        run: id of the run that was being driven, if one was.
    """

    def __init__(self, kind: str, message: str, remedy: str, status: int, run: str | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.remedy, self.status, self.run = kind, message, remedy, status, run

    def plain(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        error: dict[str, Any] = {"kind": self.kind, "message": self.message, "remedy": self.remedy}
        if self.run is not None:
            error["run"] = self.run
        return {"schema": 1, "error": error}


def usage(message: str, remedy: str = "See `stratagem --help`.") -> Fault:
    """Return the end by a mistake of the caller."""
    return Fault("UsageError", message, remedy, USAGE)


def guarded(group: click.Group, args: list[str]) -> int:
    """Run a command line and return its exit status; whatever happens has been printed."""
    _robust_streams()
    try:
        status = _performed(group, args, Mode(args))
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_the_pipe()
        return PIPE_CLOSED
    except OSError as failure:
        _let_go_of_the_pipe()
        sys.stderr.write(f"error: standard output cannot be written: {failure.strerror}\n")
        return STRANGE
    return status


def _performed(group: click.Group, args: list[str], mode: Mode) -> int:
    try:
        _check_text(args)
        with group.make_context("stratagem", args, obj=mode) as ctx:
            status = group.invoke(ctx)
        return status if isinstance(status, int) else ANSWERED
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        return CANCELLED
    except BrokenPipeError:
        raise
    except Exception as failure:  # noqa: BLE001  (the last place where anybody could say what happened)
        fault = understood(failure, path=mode.path) or _strange(failure, mode)
        _report(fault, mode)
        return fault.status


def _check_text(args: list[str]) -> None:
    """Refuse what the shell handed over as bytes that are no text: it could be neither recorded nor shown."""
    for word in args:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise usage(f"{word!r} is not text: it has bytes that are not UTF-8", "Write it in UTF-8.") from None


def help_of(path: str) -> str:
    """Return the remedy of a mistake on the command line."""
    return f"See `{path} --help`."


def understood(failure: Exception, run: str | None = None, again: str = "", path: str = "stratagem") -> Fault | None:
    """Return the end that an expected error means; None for one that is not ours.

    Args:
        failure: what was raised.
        run: the run that it ended, if there was one.
        again: the command line that continues that run.
        path: the verb that was called, as its help is asked for.
    """
    from stratagem.errors import JournalError, ModelError, StratagemError, UsageError

    if isinstance(failure, Fault):
        return failure
    if isinstance(failure, click.ClickException):
        ctx = failure.ctx if isinstance(failure, click.UsageError) else None
        message = " ".join(failure.format_message().split()).removesuffix(".") + _origin(failure)
        return Fault("UsageError", message, help_of(ctx.command_path if ctx else path), USAGE)
    if not isinstance(failure, StratagemError):
        return None
    status = USAGE
    remedy = failure.remedy if failure.remedy != UsageError.remedy else help_of(path)
    if isinstance(failure, ModelError):
        status = MODEL
        remedy = _with_line(remedy, run or "RUN", again) if again else remedy
    elif isinstance(failure, JournalError):
        status, remedy = JOURNAL, _named(remedy, str(failure))
    return Fault(type(failure).__name__, str(failure), remedy, status, run)


def _with_line(remedy: str, run: str, again: str) -> str:
    """Return a remedy with the line that continues the run, or with that of the fork that it proposes."""
    fork = f"fork {run} --set model=SPEC"
    line = again.replace(f"resume {run}", fork, 1)
    if "stratagem fork RUN" in remedy:
        return remedy.replace("stratagem fork RUN --set model=SPEC", line)
    return f"{remedy} `{again}`"


def _named(remedy: str, message: str) -> str:
    """Return a remedy for a run with the id that the message has."""
    run = re.search(r"\brun '([\w-]+)'", message)
    return re.sub(r"\bRUN\b", run[1], remedy) if run else remedy


def _origin(failure: click.ClickException) -> str:
    """Return from where a wrong value came, if not from the command line."""
    if not isinstance(failure, click.BadParameter) or failure.ctx is None or failure.param is None:
        return ""
    source = failure.ctx.get_parameter_source(failure.param.name)
    if source is ParameterSource.ENVIRONMENT:
        return f" (from the variable {failure.param.envvar})"
    return " (from a file of settings)" if source is ParameterSource.DEFAULT_MAP else ""


def _strange(failure: Exception, mode: Mode) -> Fault:
    """Return the end by an exception that is not ours, with its traceback in a file."""
    import traceback

    trace = "".join(traceback.format_exception(failure))
    if mode.debug:
        warn(trace)
    where = _logged(trace, mode)
    remedy = f"The traceback is in {where}." if where else "Call it again with `--debug` to see the traceback."
    remedy = " ".join(filter(None, (getattr(failure, "remedy", ""), remedy)))
    kind = type(failure).__name__
    notes = [note for note in getattr(failure, "__notes__", ()) if note.startswith(RUN_NOTE)]
    run = notes[-1].removeprefix(RUN_NOTE) if notes else None
    if run is not None:
        remedy += f" When it is repaired: `{mode.again('resume', run)}`"
    return Fault(kind, f"{kind}: {failure}", remedy, STRANGE, run)


def _logged(trace: str, mode: Mode) -> "Path | None":
    """Write a traceback into the home's log folder and return the file; None if it cannot be written."""
    import platform
    import time

    from stratagem import __version__
    from stratagem.session._records import home_of

    try:
        folder = home_of(mode.home) / "log"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / time.strftime(f"%Y%m%dT%H%M%S-{os.getpid()}.txt", time.gmtime())
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"stratagem {__version__}, Python {platform.python_version()}\n{trace}")
    except OSError:
        return None
    return path


def _report(fault: Fault, mode: Mode) -> None:
    if mode.machine:
        mode.document(fault.plain())
    else:
        warn(f"error: {fault.message}\nremedy: {fault.remedy}")


def _robust_streams() -> None:
    """What a terminal cannot show is escaped instead of ending the command."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (closed by whoever called us)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.stdout = _whole(sys.stdout)


def _whole(stream: Any) -> Any:
    """Return a stream that writes all or raises.

    With PYTHONUNBUFFERED there is no buffer that writes again what a pipe or a disk did not take: the rest would be lost
    without a word.
    """
    import io

    if not isinstance(getattr(stream, "buffer", None), io.RawIOBase):
        return stream
    return open(stream.fileno(), "w", 1, encoding=stream.encoding, errors=stream.errors, closefd=False)


def _let_go_of_the_pipe() -> None:
    """Nobody reads: keep Python from complaining when it flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            continue
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
