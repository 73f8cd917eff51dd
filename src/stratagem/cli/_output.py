"""What a command prints, and where: answers and documents on standard output, everything else on standard error.

Rule 1: what came from a model, a tool, a file or the caller passes `shown` before it is written.
Rule 2: with `--json` standard output holds exactly one JSON document, with `--jsonl` one event a line.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import IO, Any

SCHEMA = 1
# What JSON may leave as it is and a terminal would obey; within JSON they stand in strings only.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Mode:
    """How this command speaks. Filled while the command line is read, so that even a wrong one is answered in kind.

    Attributes:
        json: one document on standard output.
        jsonl: events on standard output, one a line.
        quiet: neither progress nor status.
        verbose: every effect on standard error.
        debug: tracebacks of unexpected exceptions.
        home: folder of the state, as far as it is known.
    """

    def __init__(self, args: list[str]) -> None:
        given = args[: args.index("--")] if "--" in args else args
        self.json, self.jsonl = "--json" in given, "--jsonl" in given
        self.debug, self.quiet, self.verbose = "--debug" in given, False, False
        self.home: Path | None = None

    @property
    def machine(self) -> bool:
        """Whether a program reads the output."""
        return self.json or self.jsonl

    def document(self, form: dict[str, Any] | list[Any]) -> None:
        """Print the one JSON document of `--json`, or a line of `--jsonl`."""
        sys.stdout.write(json_text(form, indent=None if self.jsonl else 2) + "\n")
        sys.stdout.flush()

    def tell(self, line: str = "") -> None:
        """Write a line on standard error, unless nobody wants it."""
        if not self.quiet and not self.machine:
            warn(line)


def say(text: str = "") -> None:
    """Write a text on standard output."""
    sys.stdout.write(shown(text) + "\n")


def warn(line: str) -> None:
    """Write a line on standard error."""
    sys.stderr.write(shown(line) + "\n")
    sys.stderr.flush()


def shown(text: str) -> str:
    """Return a text as a terminal may see it: control characters are written out."""
    from stratagem.core import printable

    return printable(text)


def json_text(form: Any, *, indent: int | None = None) -> str:
    """Return JSON in which nothing that a terminal would obey is left."""
    import json

    text = json.dumps(form, ensure_ascii=False, indent=indent, default=_named)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _named(value: Any) -> Any:
    """Return what a foreign event carries beside JSON: its own plain form, else how it is written."""
    return value.plain() if hasattr(value, "plain") else repr(value)


def width(stream: IO[str]) -> int | None:
    """Return the columns of a terminal; None where nothing is to be cut or wrapped."""
    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else None


def first_line(text: str, limit: int) -> str:
    """Return the first line of a text that holds something, cut to `limit` characters and said to be cut."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    more = len(line) < len(text.strip())
    return line if len(line) <= limit and not more else f"{line[: limit - 2]} …"
