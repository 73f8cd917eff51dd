"""The built-in tools: they read files beneath roots, compute, and tell the time. None changes anything.

`builtin(roots)` makes them; `names()` lists them. A root is a folder, and nothing outside it can be reached
(`beneath.py` says how). Without roots there are only `calculate` and `now`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stratagem.core import Clock, Tool

_WITHOUT_ROOTS = ("calculate", "now")
_WITH_ROOTS = ("list_files", "read_file", "search_files", "describe_table", "query_table", "query_sql")


def names() -> tuple[str, ...]:
    """Return the names of all built-in tools, those that need a root first."""
    return (*_WITH_ROOTS, *_WITHOUT_ROOTS)


def builtin(roots: Sequence[str | Path] = (), *, clock: Clock | None = None) -> tuple[Tool, ...]:
    """Return the built-in tools: all of them, or without a root those that need none.

    Args:
        roots: folders beneath which files may be read.
        clock: what `now` tells the time by; the machine's if left out.

    Raises:
        UsageError: a root does not exist or is no folder.
    """
    from stratagem.tools.builtin.calculator import calculate  # only what is used is loaded

    general = (_made(calculate), clock_tool(clock))
    if not roots:
        return general
    from stratagem.tools.builtin import describe, files, query, search, sql
    from stratagem.tools.builtin.roots import Roots
    from stratagem.tools.builtin.tables import Tables

    folders = Roots(roots)
    tables = Tables(folders)
    functions = (
        files.list_files(folders),
        files.read_file(folders),
        search.search_files(folders),
        describe.describe_table(tables),
        query.query_table(tables),
        sql.query_sql(tables),
    )
    return (*map(_made, functions), *general)


def clock_tool(clock: Clock | None = None) -> Tool:
    """Return the tool `now`, by a clock of the caller's."""
    from stratagem.tools.builtin.clock import now

    return _made(now(clock))


def _made(fn: Callable[..., Any]) -> Tool:
    return Tool(fn, effect="read", spec=f"builtin:{fn.__name__}")
