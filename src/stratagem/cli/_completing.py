"""What the shell is offered: verbs, runs, strategies, models, tools. Nothing heavy is imported: a person waits.

Rule: completion fails silently. It says nothing on standard error and makes no file.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "_STRATAGEM_COMPLETE"
RECENT = 20  # runs that are offered
TOOLS = ("calculate", "now")  # built in, and granted by name
MODELS = ("offline", "script:")


def runs(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the runs that changed last, with what they were asked."""
    return [CompletionItem(one, help=text) for one, text in _recent(ctx) if one.startswith(begun)]


def strategies(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the strategies by name, or files."""
    from stratagem.strategies import names

    found = [CompletionItem(name) for name in sorted(names()) if name.startswith(begun)]
    return found or [CompletionItem(begun, type="file")]


def models(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the models that need nothing to be installed."""
    return [CompletionItem(name) for name in MODELS if name.startswith(begun)]


def tools(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001
    """Offer the tools that can be granted by name, or files."""
    found = [CompletionItem(name) for name in TOOLS if name.startswith(begun)]
    return found or [CompletionItem(begun, type="file")]


def files(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:  # noqa: ARG001
    """Let the shell offer files."""
    return [CompletionItem(begun, type="file")]


def _recent(ctx: click.Context) -> list[tuple[str, str]]:
    """Return ids and questions of the newest runs; nothing if they are kept on a server."""
    import sqlite3

    mode: Any = ctx.obj
    if mode.journal and not mode.journal.startswith("sqlite:"):
        return []
    path = mode.journal.removeprefix("sqlite:") if mode.journal else state(mode.home) / "journal.sqlite"
    try:
        database = sqlite3.connect(f"file:{os.path.abspath(path)}?mode=ro", uri=True, timeout=0.2)
        try:
            return database.execute("SELECT id, question FROM run ORDER BY n DESC LIMIT ?", (RECENT,)).fetchall()
        finally:
            database.close()
    except sqlite3.Error:
        return []


def state(home: "Path | None") -> "Path":
    """Return the folder of the state as `session` finds it, whose import costs twice the time that there is."""
    from pathlib import Path

    if home is not None:
        return home
    if said := os.environ.get("STRATAGEM_HOME"):
        return Path(said).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "stratagem"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "stratagem"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "stratagem"


def offered(group: click.Group, instruction: str) -> int:
    """Do what the shell's function asks for: print what may stand at the cursor."""
    from click.shell_completion import shell_complete

    from stratagem.cli._output import Mode

    words = os.environ.get("COMP_WORDS", "").split()
    try:
        return shell_complete(group, {"obj": Mode(words)}, "stratagem", VARIABLE, instruction)
    except Exception:  # noqa: BLE001  (a wrong file of settings, say: nobody wants to read that at a prompt)
        return 1
