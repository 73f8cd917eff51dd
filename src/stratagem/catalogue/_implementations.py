"""What of the catalogue this library implements, as `stratagem catalog --json` prints it."""

import importlib
import inspect
import math
import pkgutil
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypedDict, Union, get_args, get_origin

from stratagem import judges, strategies
from stratagem.catalogue._docstring import Deviation, deviations, sections
from stratagem.catalogue._entries import Entry, entries, table
from stratagem.catalogue._shown import tests
from stratagem.core import Configurable, JudgeFunction, OperationFunction, StrategyFunction, Within
from stratagem.errors import UsageError


class Parameter(TypedDict):
    """A setting; `min`, `max` and `choices` are None where they do not apply."""

    type: str
    default: Any
    min: float | None
    max: float | None
    choices: list[Any] | None


class Implementation(TypedDict):
    """One object of `stratagem catalog --json`; every value is JSON."""

    name: str
    kind: str
    ids: list[str]
    family: str
    paper: str
    module: str
    parameters: dict[str, Parameter]
    calls: str
    lower: str
    needs: list[str]
    deviations: list[Deviation]
    tests: dict[str, str]


_DECORATED = ((StrategyFunction, "strategy"), (JudgeFunction, "judge"), (OperationFunction, "operation"))


def implementations() -> list[Implementation]:
    """Return everything that implements an entry of the catalogue: strategies, then judges, then the rest, by name.

    Strategies and judges are found by file name and imported; the rest is listed in `features.tsv`.
    """
    return [made for made in _everything() if made["ids"]]


def _everything() -> list[Implementation]:
    """Return also what implements no entry: baselines, and judges that are a part of what is published elsewhere."""
    found = [_configurable("strategy", name, module) for name, module in sorted(strategies.names().items())]
    found += [_configurable("judge", name, f"{judges.__name__}.{name}") for name in _judge_names()]
    return [*found, *map(_feature, table("features.tsv"))]


def find(text: str) -> tuple[Entry | None, list[Implementation]]:
    """Return the entry of an id and what implements it, or what has this name (then the entry of its first id, if any).

    Raises:
        UsageError: there is neither an entry nor an implementation of that name.
    """
    every = _everything()
    entry = entries().get(text.upper())
    if entry:
        return entry, [made for made in every if entry.id in made["ids"]]
    named = [made for made in every if made["name"] == text]
    if not named:
        raise UsageError(f"the catalogue has neither an id nor a name {text!r}{_meant(text, every)}")
    return next((entries().get(number) for number in named[0]["ids"]), None), named


def loaded(made: Implementation) -> tuple[Any, str]:
    """Return the object behind an implementation (a module if it is a feature) and its docstring."""
    module = importlib.import_module(made["module"])
    found = getattr(module, made["name"], module)
    return found, found.card.doc if isinstance(found, Configurable) else inspect.getdoc(found) or ""


def _meant(text: str, every: list[Implementation]) -> str:
    import difflib

    names = [made["name"] for made in every]
    near = difflib.get_close_matches(text, names, 1) or difflib.get_close_matches(text.upper(), entries(), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _judge_names() -> Iterator[str]:
    return (info.name for info in pkgutil.iter_modules(judges.__path__) if not info.name.startswith("_"))


def _configurable(kind: str, name: str, module: str) -> Implementation:
    found = getattr(importlib.import_module(module), name)
    card = found.card
    return Implementation(
        name=name,
        kind=kind,
        ids=list(card.ids),
        family=module.rsplit(".", 2)[-2],
        paper=card.paper,
        module=module,
        parameters={key: parameter(card.hints[key], default) for key, default in card.defaults.items()},
        calls=card.calls,
        lower=card.lower,
        needs=sorted(found.needs),
        deviations=deviations(sections(card.doc).get("Paper, code, ours", "")),
        tests=tests(card.ids, module),
    )


def _feature(row: dict[str, str]) -> Implementation:
    ids, module = row["ids"].split(), row["module"]
    return Implementation(
        name=row["name"],
        kind=row["kind"],
        ids=ids,
        family=module.split(".")[1],
        paper=row["paper"],
        module=module,
        parameters={},
        calls="",
        lower="",
        needs=[],
        deviations=[],
        tests=tests(ids, module),
    )


def parameter(hint: Any, default: Any) -> Parameter:
    """Return a setting as data, from its type and its default."""
    parts = list(_parts(hint))
    bounds = next((part for part in parts if isinstance(part, Within)), None)
    choices = [choice for part in parts if get_origin(part) is Literal for choice in get_args(part)]
    return Parameter(
        type=_type_name(hint),
        default=_plain(default),
        min=bounds.low if bounds else None,
        max=bounds.high if bounds and not math.isinf(bounds.high) else None,
        choices=choices or None,
    )


def _parts(hint: Any) -> Iterator[Any]:
    """Yield what a type is made of, with what is annotated to it."""
    yield hint
    if get_origin(hint) in (Annotated, Union, types.UnionType):
        for part in get_args(hint):
            yield from _parts(part)


def _type_name(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Annotated:
        return _type_name(get_args(hint)[0])
    if origin is Literal:
        return type(get_args(hint)[0]).__name__
    if origin in (Union, types.UnionType):
        return " | ".join(_type_name(option) for option in get_args(hint))
    if origin is tuple:
        return f"tuple[{_type_name(get_args(hint)[0])}, ...]"
    if origin is Callable:
        return "function"
    if hint is None or hint is type(None):
        return "None"
    kind: Any = origin or hint
    return _decorated(kind) or getattr(kind, "__name__", "function")


def _decorated(kind: Any) -> str | None:
    names = (name for decorated, name in _DECORATED if isinstance(kind, type) and issubclass(kind, decorated))
    return next(names, None)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType] -- items may be anything
    if isinstance(value, Configurable):
        return repr(value)
    return f"{value.__module__}:{value.__qualname__}" if inspect.isroutine(value) else repr(value)
