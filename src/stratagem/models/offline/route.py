"""What a tool is for, read from its schema: names, types, choices, description. No tool is known by its name.

Rule: only tools that read are considered: this model never acts on the world.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from stratagem.core import Tool, Tools
from stratagem.models.offline.words import parts

Json = Any

_PATH = frozenset(("path", "file", "filename", "filepath", "document", "source"))
_QUERY = frozenset(("query", "word", "keyword", "search", "term", "phrase"))
_COLUMN = frozenset(("column", "field"))
_TABLE = frozenset(("table", "sheet"))
_FORMULA = frozenset(("expression", "formula", "arithmetic"))
_LINE = frozenset(("line", "start", "offset", "first"))
_MEASURES: dict[str, tuple[str, ...]] = {
    "count": ("count", "number"),
    "sum": ("sum", "total"),
    "mean": ("mean", "average", "avg"),
    "min": ("min", "minimum"),
    "max": ("max", "maximum"),
    "median": ("median",),
    "list": ("list", "rows", "select"),
    "distinct": ("distinct", "unique"),
}


class Querier(NamedTuple):
    """A tool that computes over one table: which of its parameters is which, and what it calls each measure."""

    tool: Tool
    path: str
    measure: str
    column: str
    where: str
    group: str
    order: str
    top: str
    table: str
    measures: Mapping[str, str]


class Roles(NamedTuple):
    """The tools by what they are for; None where there is none or where there are two.

    Attributes:
        lister: lists files; needs no argument.
        describer: says which columns a table has.
        querier: computes over a table.
        reader: reads lines of a file.
        searcher: finds passages.
        calculator: computes an expression.
        others: tools that read and are none of these.
    """

    lister: Tool | None
    describer: Tool | None
    querier: Querier | None
    reader: Tool | None
    searcher: Tool | None
    calculator: Tool | None
    others: tuple[Tool, ...]


@lru_cache(maxsize=8)
def roles(tools: Tools) -> Roles:
    """Return what each tool is for, by its schema."""
    found: dict[str, list[Tool]] = {}
    for tool in tools:
        if tool.effect in ("read", "self"):
            found.setdefault(_role(tool), []).append(tool)

    def only(role: str) -> Tool | None:
        having = found.get(role, [])
        return having[0] if len(having) == 1 else None

    querier = only("querier")
    return Roles(
        only("lister"),
        only("describer"),
        _querier(querier) if querier else None,
        only("reader"),
        only("searcher"),
        only("calculator"),
        tuple(found.get("other", ())),
    )


def parameter(tool: Tool, meaning: frozenset[str], kind: str = "") -> str:
    """Return the name of the parameter whose words have this meaning, of this JSON type; empty if there is none."""
    having = [
        name
        for name, schema in tool.parameters.items()
        if meaning & set(parts(name)) and (not kind or schema.get("type") == kind)
    ]
    needed = [name for name in having if name in tool.required]
    return (needed or having or [""])[0]


def path_of(tool: Tool) -> str:
    """Return the name of the parameter that takes a file's path."""
    return parameter(tool, _PATH, "string")


def table_of(tool: Tool) -> str:
    """Return the name of the parameter that takes a table's name."""
    return parameter(tool, _TABLE, "string")


def query_of(tool: Tool) -> str:
    """Return the name of the parameter that takes the words to search for."""
    return parameter(tool, _QUERY, "string")


def formula_of(tool: Tool) -> str:
    """Return the name of the parameter that takes an arithmetic expression."""
    return parameter(tool, _FORMULA, "string") or (tool.required[0] if len(tool.required) == 1 else "")


def start_of(tool: Tool) -> tuple[str, str]:
    """Return the names of the parameters that take the first line and how many lines."""
    first = next(
        (
            n
            for n, s in tool.parameters.items()
            if s.get("type") == "integer" and {"start", "offset", "first"} & set(parts(n))
        ),
        "",
    )
    many = next(
        (
            n
            for n, s in tool.parameters.items()
            if s.get("type") == "integer" and n != first and {"line", "count", "limit"} & set(parts(n))
        ),
        "",
    )
    return first, many


def lines_of(tool: Tool, path: str, start: int, count: int) -> dict[str, Any]:
    """Return the arguments that read lines of a file."""
    first, many = start_of(tool)
    arguments: dict[str, Any] = {path_of(tool): path, first: start}
    if many:
        arguments[many] = count
    return arguments


def count_of(tool: Tool) -> str:
    """Return the name of the parameter that bounds how many results come back."""
    return next((n for n, s in tool.parameters.items() if s.get("type") == "integer"), "")


def _role(tool: Tool) -> str:
    about = set(parts(f"{tool.name} {tool.about}"))
    needs = set(tool.required)
    if _measures(tool)[0]:
        return "querier"
    if {"sql", "statement"} & {word for name in tool.parameters for word in parts(name)}:
        return "other"
    formula = parameter(tool, _FORMULA, "string")
    if (formula and needs <= {formula}) or (_FORMULA & about and len(needs) == 1 and not path_of(tool)):
        return "calculator"
    path = path_of(tool)
    if path and path in needs and needs == {path}:
        if {"column", "schema"} & about:
            return "describer"
        if start_of(tool)[0]:
            return "reader"
        return "other"
    query = query_of(tool)
    if query and needs == {query} and {"search", "find", "passage", "retrieve"} & about:
        return "searcher"
    if not needs and "list" in about and {"file", "document"} & about:
        return "lister"
    return "other"


def _measures(tool: Tool) -> tuple[str, dict[str, str]]:
    """Return the parameter that chooses a measure, and the choice for each measure we know."""
    for name, schema in tool.parameters.items():
        choices: list[str] = [choice for choice in schema.get("enum", ()) if isinstance(choice, str)]
        known = {
            measure: choice
            for measure, spelled in _MEASURES.items()
            for choice in choices
            if choice.casefold() in spelled
        }
        if {"count", "sum", "mean"} <= set(known) and parameter(tool, _COLUMN, "string"):
            return name, known
    return "", {}


def _filters(schema: Json) -> bool:
    """Whether the items of an array are conditions as this model writes them."""
    form = str(schema.get("items", {}))
    return all(f"'{name}'" in form for name in ("column", "op", "value", "values"))


def _querier(tool: Tool) -> Querier | None:
    measure, measures = _measures(tool)
    path = path_of(tool)
    if not path or set(tool.required) - {path, measure}:
        return None
    arrays = [name for name, schema in tool.parameters.items() if schema.get("type") == "array"]
    where = next((name for name in arrays if _filters(tool.parameters[name])), "")
    return Querier(
        tool,
        path,
        measure,
        parameter(tool, _COLUMN, "string"),
        where,
        parameter(tool, frozenset(("group",)), "string"),
        parameter(tool, frozenset(("order", "sort")), "string"),
        parameter(tool, frozenset(("top", "limit")), "integer"),
        parameter(tool, _TABLE, "string"),
        measures,
    )
