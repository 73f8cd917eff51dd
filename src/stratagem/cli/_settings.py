"""Where a setting comes from: flag, then STRATAGEM_* variable, then files, then the default.

The files, first found first: `./stratagem.toml`, `[tool.stratagem]` in `./pyproject.toml`, and the user's own
`stratagem/config.toml` in the platform's folder for settings. Keys are the long names of flags. `.env` is never read.

Rule: a file that comes with a project must not be able to redirect keys or records, so it may set no address that a key
is sent to, no proxy, no certificate authority and no journal.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from stratagem.cli._ends import usage

if TYPE_CHECKING:
    from pathlib import Path  # 6 ms, which `--help` does not need

    from stratagem.models.routes import Routes

FLAGS = ("json", "jsonl", "quiet", "verbose", "debug")
TEXTS = ("strategy", "model", "base-url", "api-key-env", "approve", "budget", "output", "home", "journal")
LISTS = ("root", "tool")
NUMBERS = ("max-tokens", "seed")
KEYS = (*TEXTS, *NUMBERS, *LISTS, *FLAGS)
TABLES = ("prices", "limits")  # of files only: `[prices."vllm:NAME"]`, `[limits.openai]`
PATHS = ("home", "root")
ELSEWHERE = ("STRATAGEM_MODELS",)  # variables that are no settings of a command: where weights are kept
# How models are reached (`models/routes.py`): no flags, and only in the user's own file.
NETWORK = ("proxy", "ca-file", "client-cert", "client-key", "allow-http", "providers")
UNSAFE = ("base-url", "api-key-env", "journal", *NETWORK)  # never from a project file
DEFAULTS: dict[str, Any] = {
    "strategy": "autonomous_agent", "model": "offline", "approve": "ask", "budget": "", "output": "str", "base-url": "", "api-key-env": "", "home": None, "journal": "", "max-tokens": None,
    "seed": 0, "root": (), "tool": (), **dict.fromkeys(FLAGS, False),
}  # fmt: skip


class Setting(NamedTuple):
    """A value, and where it comes from."""

    value: Any
    origin: str


def variable(key: str) -> str:
    """Return the name of a key's environment variable."""
    return f"STRATAGEM_{key.upper().replace('-', '_')}"


def from_files(folder: "Path | None" = None) -> dict[str, Setting]:
    """Return what the files set, the nearest file first.

    Raises:
        Fault: a file cannot be read, or has a key that does not exist or may not stand there.
    """
    from pathlib import Path

    here = folder or Path.cwd()
    found: dict[str, Setting] = {}
    for path, project in ((here / "stratagem.toml", True), (here / "pyproject.toml", True), (user_file(), False)):
        table = _table(path)
        for key, value in _checked(table, path, project=project).items():
            nearer = found.get(key)
            if key in TABLES and nearer is not None:  # entry by entry
                found[key] = Setting({**value, **nearer.value}, f"{nearer.origin}, {path}")
            else:
                found.setdefault(key, Setting(value, str(path)))
    return found


def tables() -> dict[str, Any]:
    """Return what the files set of prices and limits, as `stratagem.open` takes them."""
    return {key: setting.value for key, setting in from_files().items() if key in TABLES}


def resolved() -> dict[str, Setting]:
    """Return every key with its value and its origin, without flags."""
    files = from_files()
    found: dict[str, Setting] = {}
    for key in KEYS:
        said = os.environ.get(variable(key))
        if said:
            if key == "api-key-env":
                _check_key_variable(said, variable(key))
            found[key] = Setting(said, variable(key))
        else:
            found[key] = files.get(key, Setting(DEFAULTS[key], "default"))
    found.update({key: files[key] for key in TABLES if key in files})
    return found


def strange_variables() -> list[tuple[str, str]]:
    """Return the names of variables that begin as ours do and mean nothing, with the nearest that would."""
    known = [*map(variable, KEYS), *ELSEWHERE]
    return [(name, nearest(name, known)) for name in sorted(os.environ) if _looks_ours(name) and name not in known]


def _looks_ours(name: str) -> bool:
    return name.startswith("STRATAGEM_") and not name.startswith("STRATAGEM_TEST_")


def user_file() -> "Path":
    """Return the user's own file, whether it exists or not."""
    from pathlib import Path

    # The folder is that of `models.routes.config_folder`, which what only completes a word need not import.
    if sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA", str(Path.home())))
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "stratagem" / "config.toml"


def network_of() -> "Routes | None":
    """Return how the user's own file says that models are reached; None if it says nothing of it.

    Raises:
        UsageError: it says something that means nothing.
    """
    path = user_file()
    said = {key: value for key, value in _table(path).items() if key in NETWORK}
    if not said:
        return None
    from stratagem.models.routes import Routes

    return Routes(said, where=str(path), folder=path.parent)


def _table(path: "Path") -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as failure:
        raise usage(f"the settings in {path} cannot be read: {failure.strerror}", "Correct its permissions.") from None
    if path.name == "pyproject.toml" and b"stratagem" not in data:
        return {}
    import tomllib

    try:
        table: Any = tomllib.loads(data.decode())
    except ValueError as failure:  # not TOML, or not UTF-8
        raise usage(f"the settings in {path} are not TOML: {failure}", "Correct the file.") from None
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("stratagem", {})
    if not isinstance(table, dict):
        raise usage(f"`tool.stratagem` in {path} is no table", "Write `[tool.stratagem]`.")
    return table  # pyright: ignore[reportUnknownVariableType]


def _checked(table: Mapping[str, Any], path: "Path", *, project: bool) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for key, value in table.items():
        if project and key in UNSAFE:
            raise usage(
                f"{path} sets {key!r}, which a project file may not: it could send your keys, or what you ask, elsewhere",
                f"Remove it there; if you want it, set it in {user_file()}.",
            )
        if key in NETWORK:
            continue  # `network_of` reads them
        if key not in (*KEYS, *TABLES):
            known = (*KEYS, *TABLES) if project else (*KEYS, *TABLES, *NETWORK)
            raise usage(
                f"{path} sets {key!r}, which does not exist{nearest(key, known)}", f"The keys: {', '.join(known)}."
            )
        if key == "api-key-env" and isinstance(value, str):
            _check_key_variable(value, f"{path}: {key}")
        if wrong := _misfit(key, value):
            raise usage(f"{path}: {key!r} is {wrong}, got {value!r}", "Correct the file.")
        checked[key] = _placed(key, value, path.parent)
    return checked


def _check_key_variable(name: str, where: str) -> None:
    """Refuse what is no name of a variable: it may be a key, and is not shown."""
    from stratagem.errors import UsageError
    from stratagem.models.routes import check_variable

    try:
        check_variable(name, where)
    except UsageError as failure:
        raise usage(str(failure), failure.remedy) from None


def _misfit(key: str, value: Any) -> str:
    """Return what the value of a key should be; empty if it is."""
    if key in TABLES:
        return _misfit_table(key, value)
    if key in FLAGS:
        return "" if isinstance(value, bool) else "true or false"
    if key in NUMBERS:
        return "" if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if key in LISTS:
        texts = isinstance(value, list) and all(isinstance(item, str) for item in value)  # pyright: ignore[reportUnknownVariableType]
        return "" if texts else "a list of texts"
    if key == "approve" and value not in ("ask", "never"):
        return "'ask' or 'never'"
    return "" if isinstance(value, str) else "a text"


def _misfit_table(key: str, value: Any) -> str:
    """Return what is wrong with a table of prices or limits; empty if nothing is."""
    if not isinstance(value, dict):
        return "a table"
    from stratagem.errors import UsageError
    from stratagem.models.limits import limits_of
    from stratagem.models.prices import own_price
    from stratagem.models.routes import check_tables

    check = own_price if key == "prices" else limits_of
    try:
        check(value, "")  # pyright: ignore[reportUnknownArgumentType]
        check_tables(**{"prices": None, "limits": None, key: value})  # pyright: ignore[reportUnknownArgumentType]
    except UsageError as failure:
        return f"wrong: {failure}"
    return ""


def _placed(key: str, value: Any, folder: "Path") -> Any:
    """Return a value in which paths are those that the file means: beneath its own folder."""
    if key not in PATHS:
        return value
    placed = [str(folder / os.path.expanduser(one)) for one in (value if key in LISTS else [value])]
    return placed if key in LISTS else placed[0]


def nearest(name: str, known: Any) -> str:
    """Return `; did you mean ...?`, or nothing."""
    import difflib

    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Verb(click.Command):
    """A verb whose options may be set in files."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the files before the options, unless only help is wanted."""
        if parent is not None and parent.obj is not None:
            parent.obj.path = f"{parent.command_path} {info_name}"
        # Only what `option` was given a key for: `--budget` of `resume` replaces a record, so no file may set it.
        own = {param.name for param in self.params if param.envvar}
        if "base_url" in own and parent is not None and parent.obj is not None and not {"-h", "--help"} & set(args):
            parent.obj.reach(network_of())
        if own and not {"-h", "--help"} & set(args):
            files = from_files()
            named = {key.replace("-", "_"): setting.value for key, setting in files.items()}
            extra["default_map"] = {name: value for name, value in named.items() if name in own}
        return super().make_context(info_name, args, parent, **extra)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option(*names: str, key: str = "", **attributes: Any) -> Decorator:
    """Return an option that a variable may set; `key` if it may be set in files too, under that name."""
    if key:
        attributes.setdefault("envvar", variable(key))
    return click.option(*names, **attributes)


def offers(what: str) -> dict[str, Any]:
    """Return the setting of an argument or option for which the shell is offered `runs`, `strategies`, `files` ..."""

    def complete(ctx: click.Context, param: click.Parameter, begun: str) -> Any:
        from stratagem.cli import _completing

        return getattr(_completing, what)(ctx, param, begun)

    return {"shell_complete": complete}


def _into_mode(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    if ctx.obj is not None and value:
        setattr(ctx.obj, param.name, value)
    return value


def _home(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if ctx.obj is not None and value:
        from pathlib import Path

        flag = ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        ctx.obj.keep(Path(value).expanduser(), flag=flag)


def _journal(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if ctx.obj is not None and value:
        flag = ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        ctx.obj.keep_journal(value, flag=flag)


def _server(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if ctx.obj is not None and value:
        flag = ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        ctx.obj.keep_server(param.name, value, flag=flag)


def reaching(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where models are. They stand in the context's `Mode`: whoever opens a session needs them."""
    shared: dict[str, Any] = {"expose_value": False, "callback": _server}
    help = "Environment variable with the key for that address.  [default: none is sent there]"  # noqa: A001
    function = option("--api-key-env", key="api-key-env", metavar="NAME", help=help, **shared)(function)
    help = "Where the server of the model is, with its /v1.  [default: the provider's own]"  # noqa: A001
    return option("--base-url", key="base-url", metavar="URL", help=help, **shared)(function)


def speaking(*flags: str, jsonl: str = "Print the events, one JSON document a line.") -> Decorator:
    """Return the options that say where state lies and how the command speaks; `jsonl` is what is printed line by line.

    They are eager and fill the context's `Mode`, so that a mistake in a later option is reported as wanted.
    """
    meaning = {
        "json": "Print one JSON document.",
        "jsonl": jsonl,
        "quiet": "Print neither progress nor status.",
        "verbose": "Print every effect on standard error.",
        "debug": "Print the traceback of an unexpected exception.",
    }

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        shared = {"is_eager": True, "expose_value": False, "callback": _into_mode}
        for flag in reversed(flags):
            function = option(f"--{flag}", key=flag, is_flag=True, help=meaning[flag], **shared)(function)
        help = "Where runs are recorded: sqlite:PATH or postgresql://...  [default: one file in home]"  # noqa: A001
        attributes = {**shared, "callback": _journal}
        function = option("--journal", key="journal", metavar="SPEC", help=help, **attributes)(function)
        help = "Folder of the state.  [default: the platform's data folder]"  # noqa: A001
        return option("--home", key="home", metavar="DIR", help=help, **{**shared, "callback": _home})(function)

    return decorate
