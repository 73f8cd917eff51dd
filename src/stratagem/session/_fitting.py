"""Whether a person's answer fits the JSON schema of the question."""

import re
from collections.abc import Callable
from typing import Any

from stratagem.core import Json, json_of
from stratagem.core._canonical import is_object, text_of
from stratagem.core._schema import converted
from stratagem.errors import UsageError

_KINDS: dict[str, Any] = {"boolean": bool, "integer": int, "number": float, "string": str}
_SAID = 100  # characters of a value that a message shows


def fitted(schema: Json, value: Any) -> Json:
    """Return a person's answer as JSON; `UsageError` if it does not fit the question's schema.

    What is meant is accepted at the top (`"3"` for 3, true for `"yes"`, true for an object that needs one yes or no).
    Keywords that types of Python bring are checked; others, such as `format`, say something to persons only.
    """
    facts: dict[str, Json] = schema if is_object(schema) else {}
    kind, needed = facts.get("type"), [str(name) for name in facts.get("required", ())]
    try:
        if isinstance(value, bool) and {"yes", "no"} <= set(map(str, facts.get("enum", ()))):
            value = "yes" if value else "no"
        if kind == "object" and isinstance(value, bool) and len(needed) == 1:
            value = {needed[0]: value}  # a plain yes or no to a question that wants little more
        if kind in _KINDS:
            value = converted(_KINDS[kind], value)
        value = json_of(value)
        _check(facts, value, facts, "")
        text_of(value)  # what has no JSON cannot be stored
        return value
    except ValueError as failure:
        raise UsageError(f"the answer {failure}") from None


def _check(schema: Json, value: Json, root: dict[str, Json], where: str) -> None:
    """Raise `ValueError` for the first thing about a value that its schema does not allow."""
    if schema is False:
        raise ValueError(f"must not have {where or 'a value'}")
    if not is_object(schema):
        return
    if "$ref" in schema:
        _check(_referred(root, str(schema["$ref"])), value, root, where)
    for part in schema.get("allOf", ()):
        _check(part, value, root, where)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        _check_options(options, value, root, where)
    if "enum" in schema and not any(_same(value, option) for option in schema["enum"]):
        raise ValueError(_must(where, f"be one of {schema['enum']}", value))
    if "const" in schema and not _same(value, schema["const"]):
        raise ValueError(_must(where, f"be {schema['const']!r}", value))
    kinds: list[str] = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type") or []
    if kinds and not any(_is(kind, value) for kind in kinds):
        raise ValueError(_must(where, f"be {' or '.join(kinds)}", value))
    for keyword, (of, wrong, words) in _LIMITS.items():
        if keyword in schema and of(value) and wrong(value, schema[keyword]):
            raise ValueError(_must(where, f"{words} {schema[keyword]}", value))
    if is_object(value):
        _check_object(schema, value, root, where)
    elif isinstance(value, list):
        _check_items(schema, value, root, where)  # pyright: ignore[reportUnknownArgumentType]


def _check_options(options: list[Json], value: Json, root: dict[str, Json], where: str) -> None:
    wrong: list[str] = []
    for option in options:
        try:
            return _check(option, value, root, where)
        except ValueError as failure:
            wrong.append(str(failure))
    raise ValueError(", or ".join(dict.fromkeys(wrong)))


def _check_object(schema: dict[str, Json], value: dict[str, Json], root: dict[str, Json], where: str) -> None:
    needed = [str(name) for name in schema.get("required", ())]
    if not all(name in value for name in needed):
        raise ValueError(_must(where, f"be an object with {', '.join(needed)}", value))
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        _check(known.get(name, more), item, root, f"{where}.{name}" if where else name)


def _check_items(schema: dict[str, Json], value: list[Json], root: dict[str, Json], where: str) -> None:
    first: list[Json] = schema.get("prefixItems", [])
    rest = schema.get("items", True)
    for place, item in enumerate(value):
        _check(first[place] if place < len(first) else rest, item, root, f"{where}[{place}]")
    if schema.get("uniqueItems") and len({text_of(item) for item in value}) < len(value):
        raise ValueError(_must(where, "not have one item twice", value))


def _referred(root: dict[str, Json], reference: str) -> Json:
    found: Json = root
    for name in reference.removeprefix("#/").split("/"):
        found = found.get(name, True) if is_object(found) else True
    return found


def _is(kind: str, value: Json) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return type(value) is int
    kinds = {"string": str, "boolean": bool, "null": type(None), "array": list, "object": dict}
    return isinstance(value, kinds.get(kind, object))


def _same(one: Json, other: Json) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _must(where: str, what: str, value: Json) -> str:
    shown = text_of(value)
    shown = shown if len(shown) <= _SAID else f"{shown[:_SAID]}…"
    return f"{f'has {shown} as {where}, which must' if where else 'must'} {what}{'' if where else f', got {shown}'}"


def _number(value: Json) -> bool:
    return _is("number", value)


def _text(value: Json) -> bool:
    return isinstance(value, str)


def _list(value: Json) -> bool:
    return isinstance(value, list)


_LIMITS: dict[str, tuple[Callable[[Json], bool], Callable[[Any, Any], bool], str]] = {
    "minimum": (_number, lambda value, limit: value < limit, "be at least"),
    "maximum": (_number, lambda value, limit: value > limit, "be at most"),
    "exclusiveMinimum": (_number, lambda value, limit: value <= limit, "be above"),
    "exclusiveMaximum": (_number, lambda value, limit: value >= limit, "be below"),
    "multipleOf": (_number, lambda value, step: value % step != 0, "be a multiple of"),
    "minLength": (_text, lambda value, limit: len(value) < limit, "have a length of at least"),
    "maxLength": (_text, lambda value, limit: len(value) > limit, "have a length of at most"),
    "pattern": (_text, lambda value, pattern: not re.search(pattern, value), "match"),
    "minItems": (_list, lambda value, limit: len(value) < limit, "have so many items at least:"),
    "maxItems": (_list, lambda value, limit: len(value) > limit, "have so many items at most:"),
}
