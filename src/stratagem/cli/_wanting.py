"""What a question's schema wants, in words."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

WORDS = {
    "boolean": "yes, no",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "null": "unknown",
    "array": "a JSON list",
    "object": "a JSON object",
}
LIMITS = {"minimum": "from", "maximum": "to", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
HOPS = 10  # references to references that are followed


def kinds_of(schema: Schema) -> tuple[str, ...]:
    """Return the JSON types that a schema names, as `type` or as alternatives; none if it takes anything."""
    kinds: str | list[str] = schema.get("type", ())
    if kinds:
        return (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return tuple(dict.fromkeys(kind for one in _alternatives(schema) for kind in kinds_of(one)))


def options_of(schema: Schema) -> list[Any] | None:
    """Return the values of which one is wanted; None if the schema does not list them."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def needs_one_word(schema: Schema) -> str:
    """Return the field of an object that needs nothing but a yes or no, for which a word may stand; else nothing."""
    needed: list[str] = schema.get("required", [])
    if kinds_of(schema) != ("object",) or len(needed) != 1:
        return ""
    kinds = kinds_of(schema.get("properties", {}).get(needed[0], {}))
    return needed[0] if "boolean" in kinds and set(kinds) <= {"boolean", "null"} else ""


def wanted(schema: Schema) -> str:
    """Return what an answer may be, in words."""
    return _wanted(schema, schema.get("$defs", {}), whole=True)


def _wanted(schema: Schema, named: Schema, *, whole: bool) -> str:
    schema = _referred(schema, named)
    if (options := options_of(schema)) is not None:
        return ", ".join(map(str, options))
    if whole and (field := needs_one_word(schema)):
        unknown = ", unknown" if "null" in kinds_of(schema["properties"][field]) else ""
        return f"yes, no{unknown}, or {_object(schema, named, whole=True)}"
    if alternatives := _alternatives(schema):
        return ", ".join(dict.fromkeys(_wanted(one, named, whole=whole) for one in alternatives))
    return ", ".join(_kind(kind, schema, named, whole=whole) for kind in kinds_of(schema)) or "JSON"


def _kind(kind: str, schema: Schema, named: Schema, *, whole: bool) -> str:
    if kind == "object":
        return _object(schema, named, whole=whole)
    words = WORDS.get(kind, "JSON")
    if kind in ("integer", "number"):
        return " ".join([words, *(f"{word} {schema[name]}" for name, word in LIMITS.items() if name in schema)])
    if kind == "array" and whole and isinstance(schema.get("items"), Mapping):
        return f"{words} (each: {_wanted(schema['items'], named, whole=False)})"
    return words


def _object(schema: Schema, named: Schema, *, whole: bool) -> str:
    """Return what an object holds; of one within another, only that it is one."""
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    if whole and fields:
        needed = schema.get("required", ())
        parts = [
            f"{name} ({_wanted(part, named, whole=False)}{'' if name in needed else '; may be left out'})"
            for name, part in fields.items()
        ]
        return f"{WORDS['object']} with {', '.join(parts)}"
    if whole and isinstance(others, Mapping):
        return f"{WORDS['object']} (each value: {_wanted(others, named, whole=False)})"  # pyright: ignore[reportUnknownArgumentType]
    return WORDS["object"]


def _alternatives(schema: Schema) -> list[Schema]:
    return schema.get("anyOf") or schema.get("oneOf") or []


def _referred(schema: Schema, named: Schema) -> Schema:
    """Return what a reference within the schema means."""
    for _ in range(HOPS):
        if "$ref" not in schema:
            break
        schema = named.get(str(schema["$ref"]).rpartition("/")[2], {})
    return schema
