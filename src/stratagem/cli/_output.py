"""What a command prints, and where: answers and documents on standard output, everything else on standard error.

Rule 1: what came from a model, a tool, a file or the caller passes `shown` before it is written.
Rule 2: with `--json` standard output holds exactly one JSON document, with `--jsonl` one event a line.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path  # 6 ms, which `--help` does not need

SCHEMA = 1
WIDTH = 80  # of a terminal that does not say
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
        journal: spec of the journal; None is the file in home.
        server: `base_url`, `api_key_env` and `network`, as far as they were given.
        path: the verb that was called, as its help is asked for.
    """

    def __init__(self, args: list[str]) -> None:
        given = args[: args.index("--")] if "--" in args else args
        self.json, self.jsonl = "--json" in given, "--jsonl" in given
        self.debug, self.quiet, self.verbose = "--debug" in given, False, False
        self.home: Path | None = None
        self.journal: str | None = None
        self.server: dict[str, Any] = {}
        self.path = "stratagem"
        self._home_flag = self._journal_flag = self._server_flags = ""

    @property
    def machine(self) -> bool:
        """Whether a program reads the output."""
        return self.json or self.jsonl

    def keep(self, home: "Path", *, flag: bool) -> None:
        """Take the folder of the state; `flag` says that the next command must be told of it too."""
        self.home = home
        if flag:
            import shlex

            self._home_flag = f" --home {shlex.quote(str(home))}"

    def keep_journal(self, spec: str, *, flag: bool) -> None:
        """Take the journal; `flag` says that the next command must be told of it too, without its password."""
        self.journal = spec
        if flag:
            import shlex

            from stratagem.session._journals import shown as without_password

            self._journal_flag = f" --journal {shlex.quote(without_password(spec))}"

    def keep_server(self, name: str, value: str, *, flag: bool) -> None:
        """Take where models are, or the variable with the key; `flag` as for `keep`."""
        self.server[name] = value
        if flag:
            import shlex

            self._server_flags += f" --{name.replace('_', '-')} {shlex.quote(value)}"

    def aim(self, *specs: str) -> None:
        """Refuse an address for models that are asked at no server; one that only settings name is for other models."""
        given = [name for name in ("base_url", "api_key_env") if self.server.get(name)]
        if not given:
            return
        from stratagem.models import check_address, takes_address

        if self._server_flags:
            flag = self._server_flags.split()[0]
            check_address(specs, flag)
        elif not any(map(takes_address, specs)):
            for name in given:
                del self.server[name]

    def reach(self, network: Any) -> None:
        """Take how models are reached; None says nothing of it."""
        if network is not None:
            self.server["network"] = network

    def again(self, verb: str, run_id: str, rest: str = "", record: Mapping[str, Any] | None = None) -> str:
        """Return the command line that goes on with a run, at the server that it was told of now, or its record names."""
        flags = self._server_flags
        if not flags and record is not None:
            from stratagem.session._address import given

            flags = given(record)
        return self.line(f"{verb} {run_id}{rest}") + flags

    def line(self, words: str) -> str:
        """Return a command line that looks at the same state as this one."""
        return f"stratagem {words}{self._home_flag}{self._journal_flag}"

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
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):  # a terminal without a size, or something that only says that it is one
        return WIDTH


def first_line(text: str, limit: int) -> str:
    """Return the first line of a text that holds something, cut to `limit` characters and said to be cut."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    more = len(line) < len(text.strip())
    return line if len(line) <= limit and not more else f"{line[: limit - 2]} …"


def counted(number: int, word: str) -> str:
    """Return a number with what it counts: `1 call`, `2,000 calls`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}


def painted(text: str, colour: str, stream: IO[str] | None = None) -> str:
    """Return an escaped text in a colour, where the stream is a terminal that wants colours."""
    from stratagem.session._progress import coloured

    plain = shown(text)
    return f"\x1b[{COLOURS[colour]}m{plain}\x1b[0m" if colour and coloured(stream or sys.stdout) else plain


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(_columns(unicodedata.east_asian_width(one), unicodedata.combining(one)) for one in text)


def _columns(breadth: str, combining: int) -> int:
    return 0 if combining else 2 if breadth in "WF" else 1


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` columns, with a sign where it was cut."""
    if cells(text) <= limit:
        return text
    taken = 0
    for at, one in enumerate(text):
        taken += cells(one)
        if taken > limit - 1:
            return f"{text[:at]}…"
    return text


def table(
    rows: Sequence[Sequence[str]],
    *,
    elastic: int,
    colours: Sequence[str] = (),
    whole: bool = False,
    below: Sequence[Sequence[str]] = (),
) -> None:
    """Print rows as columns on standard output; the elastic column is cut so that they fit a terminal.

    Args:
        rows: texts; line breaks in them become blanks.
        elastic: number of the column that gives way.
        colours: of the first column, one per row.
        whole: cut nothing; what does not fit is left to the terminal.
        below: lines that follow each row, indented and never cut.
    """
    clean = [[shown(" ".join(text.split())) for text in row] for row in rows]
    if not clean:
        return
    wide = [max(cells(row[at]) for row in clean) for at in range(len(clean[0]))]
    room = None if whole else width(sys.stdout)
    if room is not None:
        others = sum(wide) - wide[elastic] + 2 * (len(wide) - 1)
        wide[elastic] = min(wide[elastic], max(room - others - 1, 10))
    for number, row in enumerate(clean):
        parts = [cut(text, wide[at]) for at, text in enumerate(row)]
        padded = [text + " " * (wide[at] - cells(text)) for at, text in enumerate(parts)]
        if colours:
            padded[0] = painted(padded[0], colours[number])
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
        for line in below[number] if below else ():
            say(f"   {line}")
