"""From names to things: strategies, judges, tools and models by spec string, and back."""

import importlib
import math
import re
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stratagem import judges, strategies
from stratagem.core import Configurable, Json, Model, Policy, ReadOnly, Strategy, StrategyFunction, Tool, parse_spec
from stratagem.core._canonical import hashed
from stratagem.core._naming import FILES, function_name
from stratagem.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


GROUPS = {"strategies": "stratagem.strategies", "tools": "stratagem.tools"}


def strategy_of(given: Strategy | str) -> Strategy:
    """Return a strategy from itself or its spec: `NAME`, `NAME(n=5)`, `FILE.py:NAME(...)`.

    Raises:
        UsageError: there is none of that name (the nearest is suggested), or a setting does not fit.
    """
    if isinstance(given, StrategyFunction):
        return given
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = getattr(given, "__name__", repr(given))
        raise UsageError(
            f"a strategy is made by @strategy, or named by its spec, got {'a lambda' if kind == '<lambda>' else kind}",
            remedy="Write `@strategy(calls=...)` above a function of run and task, and give that.",
        )
    made = parse_spec(given, found, function_of)
    if not isinstance(made, StrategyFunction):
        raise UsageError(f"spec {given!r} names no strategy")
    return made


def found(name: str) -> Configurable:
    """Return the strategy or judge of a name, or of a `FILE.py:NAME`."""
    if ":" in name:
        made = named_in_file(name)
        if isinstance(made, Configurable):
            return made
        raise UsageError(f"{name!r} is not made by @strategy, @judge or @operation")
    if name in strategies.names():
        return getattr(strategies, name)
    if name in judge_names():
        return getattr(importlib.import_module(f"stratagem.judges.{name}"), name)
    published = _published(GROUPS["strategies"])
    if name in published:
        return published[name].load()
    raise unknown("strategy or judge", name, [*strategies.names(), *judge_names(), *published])


def judge_names() -> list[str]:
    """Return the names of all judges."""
    import pkgutil  # noqa: PLC0415

    return [info.name for info in pkgutil.iter_modules(judges.__path__) if not info.name.startswith("_")]


def spec_of(made: Any) -> str:
    """Return the spec string of a configured strategy; empty if it cannot be named."""
    from pathlib import Path  # noqa: PLC0415

    if not isinstance(made, Configurable):
        return repr(made)
    name = made.card.name
    if not _known(made):
        file = getattr(sys.modules.get(made.card.module), "__file__", None)
        if file is None or getattr(sys.modules[made.card.module], name, None) is None:
            return ""
        name = f"{Path(file).resolve()}:{name}"
    parts: list[str] = []
    for setting, value in made.settings.items():
        text = _setting(value)
        if not text:
            return ""
        parts.append(f"{setting}={text}")
    return f"{name}({', '.join(parts)})" if parts else name


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        inner = [_setting(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return f"({', '.join(inner)},)" if all(inner) else ""
    if isinstance(value, Configurable):
        text = spec_of(value)
        return repr(text) if ".py:" in text.partition("(")[0] else text
    if callable(value):
        name = function_name(value)
        return repr(name) if name else ""
    if type(value) is float:
        return repr(value) if math.isfinite(value) else ""
    return repr(value) if type(value) in (str, int, bool, type(None)) else ""


def unnamed_in(made: Configurable, path: str = "") -> list[str]:
    """Return the settings that keep a strategy from having a spec: a lambda, a closure, a live object."""
    found: dict[str, None] = {}
    for setting, value in made.settings.items():
        place = f"{path}{setting}"
        for item in value if isinstance(value, tuple) else (value,):  # pyright: ignore[reportUnknownVariableType]
            if isinstance(item, Configurable):
                found.update(dict.fromkeys(unnamed_in(item, f"{place}.") or ([] if spec_of(item) else [place])))
            elif not _setting(item):
                found[place] = None
    return list(found)


def _known(made: Configurable) -> bool:
    return made.card.module.startswith(("stratagem.strategies.", "stratagem.judges."))


def source_of(made: Configurable) -> str:
    """Return the digest of the source files that a strategy is made of, as hex; empty where there are none."""
    from pathlib import Path  # noqa: PLC0415

    parts = (part for part in _parts(made) if isinstance(part, Configurable))
    files = {getattr(sys.modules.get(part.card.module), "__file__", None) or "" for part in parts}
    texts = [Path(file).read_bytes() for file in sorted(files) if file and Path(file).is_file()]
    return hashed(b"s" + b"".join(hashed(b"f" + text) for text in texts)).hex()[:16] if texts else ""


def functions_in(made: Configurable) -> dict[str, str]:
    """Return the other functions that a strategy is made of, by name: the digest of the source, empty without one."""
    named = ((function_name(part), part) for part in _parts(made) if not isinstance(part, Configurable))
    return {name: _digest(part) for name, part in named if name}


def _parts(made: Any) -> Iterator[Any]:
    """Yield all functions that a strategy is made of, itself the first."""
    if isinstance(made, tuple):
        for item in made:  # pyright: ignore[reportUnknownVariableType]
            yield from _parts(item)
    elif callable(made):
        yield made
        if isinstance(made, Configurable):
            for value in {**made.card.defaults, **made.settings}.values():
                yield from _parts(value)


def _digest(function: Any) -> str:
    import inspect  # noqa: PLC0415  (reads the file, only where there is such a function)

    try:
        return hashed(b"f" + inspect.getsource(function).encode()).hex()[:16]
    except (OSError, TypeError):
        return ""  # written in C, or typed in


def facts_of(made: Strategy) -> dict[str, Json]:
    """Return what a record keeps of a strategy: its spec, and digests by which a change is noticed."""
    spec, functions = spec_of(made), functions_in(made)
    facts: dict[str, Json] = {"strategy": spec, "source": source_of(made)}
    if not spec:
        facts |= {"shown": shown(made), "lacks": unnamed_in(made)}
    return {**facts, "functions": functions} if functions else facts


STRATEGY_FACTS = ("strategy", "source", "shown", "lacks", "functions")


def shown(made: Strategy) -> str:
    """Return a strategy that has no spec as a text that is the same in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(made))


def changed_since(record: Json, made: Strategy) -> list[str]:
    """Return what has another source than when it was recorded: `strategy` for its files, and functions by name."""
    before, now = record.get("functions", {}), functions_in(made)
    changed = [name for name, digest in now.items() if before.get(name, digest) != digest]
    return [*(["strategy"] if record.get("source") not in (None, source_of(made)) else []), *changed]


def function_of(name: str) -> Any:
    """Return the function of a `module:name` or `FILE.py:name`.

    Raises:
        UsageError: there is none of that name, or it is no plain function.
    """
    module, _, attribute = name.rpartition(":")
    if module.endswith(".py"):
        made = named_in_file(name)
    elif re.fullmatch(r"\w+(\.\w+)*:[^\W\d]\w*", name):
        try:
            made = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as failure:
            raise UsageError(f"the function {name!r} cannot be loaded: {failure}; give it again") from None
    else:
        raise UsageError(f"a function is named 'module:name' or 'FILE.py:name', got {name!r}")
    if isinstance(made, Configurable):
        raise UsageError(f"{name!r} is no plain function: write it without quotes")
    if not callable(made):
        raise UsageError(f"{name!r} is no function, but {made!r:.60}")
    return made


def tools_of(given: Sequence[Tool | str], roots: Sequence["str | Path"]) -> tuple[Tool, ...]:
    """Return the built-in tools beneath the roots and those that were given, by object or by spec."""
    from stratagem.tools.builtin import builtin  # noqa: PLC0415  (only a session needs tools)

    made = {tool.name: tool for tool in builtin(roots)} if roots else {}
    for one in given:
        tool = one if isinstance(one, Tool) else _tool(one, roots)
        made[tool.name] = tool
    return tuple(made[name] for name in sorted(made))


def _tool(given: Any, roots: Sequence["str | Path"]) -> Tool:
    if not isinstance(given, str):
        name = getattr(given, "__name__", repr(given))
        raise UsageError(f"{name} is no tool: write `@tool()` above it", remedy="from stratagem import tool")
    if ".py:" in given:
        made = named_in_file(given)
        if not isinstance(made, Tool):
            raise UsageError(f"{given!r} is no tool: write `@tool()` above it")
        from pathlib import Path  # noqa: PLC0415

        made.spec = f"{Path(given.rpartition(':')[0]).resolve()}:{made.name}"
        return made
    from stratagem.tools.builtin import builtin  # noqa: PLC0415

    own = {tool.name: tool for tool in builtin(roots)}
    name = given.removeprefix("builtin:")
    if name in own:
        return own[name]
    published = _published(GROUPS["tools"])
    if name in published:
        return published[name].load()
    if ":" in given and not given.startswith("builtin:"):
        return _imported(given)
    raise unknown("tool", given, [*own, *published])


def _imported(spec: str) -> Tool:
    module, _, path = spec.partition(":")
    try:
        made: Any = importlib.import_module(module)
        for part in path.split("."):
            made = getattr(made, part)
    except (ImportError, AttributeError) as failure:
        raise UsageError(f"the tool {spec!r} cannot be loaded: {failure}; give it again") from None
    if not isinstance(made, Tool):
        raise UsageError(f"{spec!r} is no tool: write `@tool()` above it")
    return made


def model_of(given: Model | str, *, home: "Path | None" = None, **settings: Any) -> Model:
    """Return a model from itself or its spec; the settings are those of `open_model`."""
    if not isinstance(given, str):
        return given
    from stratagem.models import open_model  # noqa: PLC0415  (only a session needs models)

    return open_model(given, home=home, **settings)


def policy_of(given: Policy | str | None) -> Policy:
    """Return a policy from itself or its spec: `ask` or `never`, then grants."""
    if given is None:
        return ReadOnly()
    if not isinstance(given, str):
        return given
    mode, *grants = (part.strip() for part in given.split(","))
    if mode not in ("ask", "never"):
        raise UsageError(f"a policy begins with 'ask' or 'never', got {given!r}")
    return ReadOnly(grants, ask=mode == "ask")


def named_in_file(spec: str) -> Any:
    """Return what a `FILE.py:NAME` names; `UsageError` if there is no such file or name, or the file fails."""
    from pathlib import Path  # noqa: PLC0415

    file, _, name = spec.rpartition(":")
    module = load_file(Path(file))
    made = getattr(module, name, None)
    if made is None:
        raise unknown("", name, [key for key in vars(module) if not key.startswith("_")], f" in {file}")
    return made


_usual: dict[str, ModuleType] = {}  # files that were imported in the usual way, by path and content


def load_file(path: "Path") -> ModuleType:
    """Import a Python file, once per content; `UsageError` if it is not there or fails. It may import files beside it."""
    import importlib.util  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from stratagem.session._beside import beside  # noqa: PLC0415

    path = path.expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"there is no file {str(path)!r}")
    digest = hashed(b"f" + str(path).encode() + path.read_bytes()).hex()[:12]
    full = f"{FILES}{digest}.{path.stem}"
    if full in sys.modules:
        return sys.modules[full]
    usual = _usual.get(full)
    if usual is not None and sys.modules.get(usual.__name__) is usual:
        return usual
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not (file and file.endswith(path.name)) or module.__name__.startswith(FILES):
            continue  # to resolve the paths of all modules takes 20 ms
        if Path(file).resolve() == path:
            _usual[full] = module
            return module  # imported in the usual way, or the program that runs
    spec = importlib.util.spec_from_file_location(full, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    try:
        with beside(path.parent, load_file):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as failure:  # a user's file may do anything
        del sys.modules[full]
        if isinstance(failure, UsageError):
            raise
        raise UsageError(f"{str(path)!r} cannot be imported: {type(failure).__name__}: {failure}") from failure
    return module


def _published(group: str) -> dict[str, Any]:
    from importlib.metadata import entry_points  # noqa: PLC0415  (35 ms, only for names that are not ours)

    return {point.name: point for point in entry_points(group=group)}


def unknown(kind: str, name: str, known: Sequence[str], where: str = "") -> UsageError:
    """Return the error that says there is nothing of that name, with the nearest."""
    import difflib  # noqa: PLC0415  (only for the message)

    near = difflib.get_close_matches(name, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known)[:30])}" if known else ""
    return UsageError(f"there is no {f'{kind} ' if kind else ''}{name!r}{where}{meant}")


def versions() -> Json:
    """Return the versions that a run's record keeps."""
    from stratagem import __version__  # noqa: PLC0415  (the package imports this module)
    from stratagem.core import VERSION  # noqa: PLC0415

    return {"stratagem": __version__, "python": ".".join(map(str, sys.version_info[:3])), "rows": VERSION}
