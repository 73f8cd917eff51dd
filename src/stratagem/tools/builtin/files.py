"""List and read text files."""

from collections.abc import Callable

from stratagem.core import ModelRetry, Observation
from stratagem.tools.builtin.locators import file_lines
from stratagem.tools.builtin.roots import SQLITE_MAGIC, Roots, Walk, size_in_words
from stratagem.tools.builtin.text import decoded, lines_of

MAX_LISTED = 500
MAX_LINES = 2_000
MAX_LINE = 2_000  # characters shown of one line
MAX_SHOWN = 18_000  # characters of one reading: below the limit at which a tool's text is cut without a line's end


def list_files(roots: Roots) -> Callable[..., Observation]:
    """Make the tool's function."""

    def list_files(folder: str = "") -> Observation:
        """List the files that can be read, one per line: path, kind (text, csv, sqlite, other) and size.

        Args:
            folder: only what is beneath this folder; everything if left out.
        """
        walk = roots.walk(folder)
        shown = walk.entries[:MAX_LISTED]
        width = max((len(entry.path) for entry in shown), default=0)
        lines = [f"{entry.path:<{min(width, 60)}}  {entry.kind:<6}  {size_in_words(entry.size)}" for entry in shown]
        if not lines:
            lines = [f"no files beneath `{folder}`" if folder else "no files"]
        lines += _left_out(walk)
        result = [{"path": entry.path, "kind": entry.kind, "bytes": entry.size} for entry in shown]
        return Observation("\n".join(lines), result=result)

    return list_files


def read_file(roots: Roots) -> Callable[..., Observation]:
    """Make the tool's function."""

    def read_file(path: str, start: int = 1, lines: int = 200) -> Observation:
        """Read lines of a text file, each with its number. For tables use the table tools instead.

        Args:
            path: the file, as it was listed.
            start: number of the first line wanted, from 1.
            lines: how many lines, at most 2000.
        """
        if start < 1 or lines < 1:
            raise ModelRetry(f"`start` and `lines` count from 1, got start={start}, lines={lines}")
        loaded = roots.load(path)
        if loaded.data.startswith(SQLITE_MAGIC):
            raise ModelRetry(f"`{loaded.path}` is a SQLite database: use describe_table and query_table")
        text, notes = decoded(loaded.data, loaded.path)
        every = lines_of(text)
        if not every:
            result = {"path": loaded.path, "start": 1, "lines": list[str](), "total": 0}
            return Observation(f"`{loaded.path}` is empty", result=result)
        if start > len(every):
            raise ModelRetry(f"`{loaded.path}` has {len(every)} lines: there is no line {start}")
        taken: list[str] = []
        shown: list[str] = []
        room = MAX_SHOWN
        for number, line in enumerate(every[start - 1 : start - 1 + min(lines, MAX_LINES)], start):
            more = f" [cut: {MAX_LINE} of {len(line)} characters]" if len(line) > MAX_LINE else ""
            numbered = f"{number:>5}  {line[:MAX_LINE]}{more}"
            room -= len(numbered) + 1
            if room < 0:
                break
            taken.append(line[:MAX_LINE])
            shown.append(numbered)
        end = start + len(taken) - 1
        shown += [f"[{note}]" for note in notes]
        if start > 1 or end < len(every):
            on = f"; go on with start={end + 1}" if end < len(every) else ""
            shown.append(f"[lines {start}-{end} of {len(every)}{on}]")
        result = {"path": loaded.path, "start": start, "lines": taken, "total": len(every)}
        return Observation("\n".join(shown), result=result, sources=(file_lines(loaded.path, start, end),))

    return read_file


def _left_out(walk: Walk) -> list[str]:
    said: list[str] = []
    if len(walk.entries) > MAX_LISTED:
        said.append(f"[cut: {MAX_LISTED} of {len(walk.entries)} files; name a folder]")
    if walk.cut:
        said.append("[cut: there is more than can be looked at; name a folder]")
    if walk.links:
        said.append(f"[left out: {walk.links} links or special files]")
    if walk.unnamed:
        said.append(f"[left out: {walk.unnamed} names that are not printable Unicode]")
    return said
