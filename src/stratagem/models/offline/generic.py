"""A tool that nobody foresaw: chosen by the words of its schema, if they account for every word of the question."""

from typing import Any

from stratagem.core import Tool
from stratagem.models.offline import words as lists
from stratagem.models.offline.route import Roles
from stratagem.models.offline.words import number, parts, root, tokens

_FREE = (lists.FUNCTION - {"who", "when", "where"}) | lists.PREPOSITIONS | {"it", "please", "show", "me", "available"}
CLOSE = 0.05  # share of the best score within which two tools are too alike


def choose(question: str, roles: Roles) -> tuple[Tool, dict[str, Any]] | None:
    """Return the one tool whose schema accounts for the whole question, and its arguments; None if there is none."""
    first = next((token.text.casefold() for token in tokens(question)), "")
    if first in lists.COPULAS | {"do", "does", "did", "has", "have", "had"}:  # to be answered by yes or no
        return None
    lister = roles.lister
    if lister is not None and set(_content(question)) == {root(word) for word in parts(lister.name)} - {"list"}:
        return lister, {}
    fitting: list[tuple[float, Tool, dict[str, Any]]] = []
    for tool in roles.others:
        arguments = _arguments(question, tool)
        if arguments is not None:
            score = _score(question, tool, arguments)
            if score:
                fitting.append((score, tool, arguments))
    fitting.sort(key=lambda entry: -entry[0])
    if not fitting or (len(fitting) > 1 and fitting[1][0] >= fitting[0][0] * (1 - CLOSE)):
        return None
    return fitting[0][1], fitting[0][2]


def _content(question: str) -> list[str]:
    return [
        root(token.text)
        for token in tokens(question)
        if token.kind == "word" and token.text.casefold() not in _FREE | {"list"}
    ]


def _known(tool: Tool) -> tuple[set[str], set[str]]:
    name = {root(word) for word in parts(tool.name)}
    about = {root(token.text) for token in tokens(tool.about) if token.kind == "word"}
    return name, about | {root(word) for key in tool.parameters for word in parts(key)}


def _score(question: str, tool: Tool, arguments: dict[str, Any]) -> float:
    """Return how well the words fit, 0 if one is not accounted for."""
    name, about = _known(tool)
    given = {root(word) for value in arguments.values() for word in parts(str(value))}
    content = _content(question)
    if not content or not all(word in name | about | given for word in content):
        return 0
    hits = [word for word in content if word in name | about]
    if not any(word in name for word in hits):
        return 0
    return sum(2 if word in name else 1 for word in hits) / (len(hits) + 0.1 * len(name))


def _arguments(question: str, tool: Tool) -> dict[str, Any] | None:
    """Return the arguments that the question gives, None if a required one is missing or a value is left over."""
    said = tokens(question)
    quoted = [token.text for token in said if token.kind == "quote"]
    numbers = [token.text for token in said if token.kind == "number"]
    words = {token.text.casefold(): token.text for token in said}
    names = [token.text for token in said[1:] if token.kind == "word" and token.text[:1].isupper()]
    given: dict[str, Any] = {}
    for key, schema in tool.parameters.items():
        choices: list[Any] = list(schema.get("enum", ()))
        kind = schema.get("type")
        if choices:
            meant = [choice for choice in choices if str(choice).casefold() in words]
            if len(meant) == 1:
                given[key] = meant[0]
        elif kind in ("integer", "number") and numbers and key in tool.required:
            given[key] = number(numbers.pop(0))
        elif kind == "string" and key in tool.required and (quoted or names):
            given[key] = quoted.pop(0) if quoted else " ".join(names)
            names = [] if not quoted else names
    if set(tool.required) - set(given) or quoted or numbers:
        return None
    return given
