"""From type hints to JSON schemas, and from JSON to typed values.

Atoms, choices and sequences of them are done by hand, in microseconds; everything else by a pydantic adapter, which
is imported when the first such type is met (it costs as much as the rest of the package).
"""

import math
import types
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from stratagem.core._canonical import Json
from stratagem.errors import UsageError

_NAMES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_adapters: dict[Any, Any] = {}


def bare(hint: Any) -> Any:
    """Return the hint without its annotations."""
    return get_args(hint)[0] if type(hint) is not type and get_origin(hint) is Annotated else hint


def schema_of(hint: Any) -> Json:
    """Return the JSON schema of a type.

    >>> schema_of(tuple[int, ...])
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    if _constrained(hint):
        return _written(hint)
    hint = bare(hint)
    if hint in _NAMES:
        return {"type": _NAMES[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        kinds = {_NAMES.get(type(option), "string") for option in arguments}
        return {"type": kinds.pop(), "enum": list(arguments)} if len(kinds) == 1 else {"enum": list(arguments)}
    if origin in (Union, types.UnionType) and type(None) in arguments and len(arguments) == 2:
        inner = next(option for option in arguments if option is not type(None))
        return {"anyOf": [schema_of(inner), {"type": "null"}]}
    if origin in (list, tuple, set, frozenset) and _is_sequence(hint):
        return {"type": "array", "items": schema_of(arguments[0])}
    if hint in (None, type(None)):
        return {"type": "null"}
    if hint is Any:
        return {}
    return _written(hint)


def _written(hint: Any) -> Json:
    form: Json = _adapter(hint).json_schema()
    form.pop("title", None)
    return form


def _constrained(hint: Any) -> bool:
    """Return whether a hint carries limits of pydantic's, such as `Annotated[int, Field(ge=1)]`."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return any(type(note).__module__.partition(".")[0] in ("pydantic", "annotated_types") for note in notes)


def converted(hint: Any, value: Any) -> Any:
    """Return JSON data as a value of the hinted type; `ValueError` says what is wrong.

    What a model means is accepted (`"3"` for 3, `3.0` for 3, one item for a sequence of one); what it does not say is
    not guessed.
    """
    if _constrained(hint):
        return _validated(hint, value)
    hint = bare(hint)
    if hint in _NAMES:
        return _atom(hint, value)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _chosen(arguments, value)
    if origin in (Union, types.UnionType):
        return _either(arguments, value)
    if origin in (list, tuple, set, frozenset) and _is_sequence(hint):
        items = cast("tuple[Any, ...]", value if isinstance(value, list | tuple) else (value,))
        made: Any = origin
        return made(converted(arguments[0], item) for item in items)
    if hint is Any:
        return value
    return _validated(hint, value)


def _validated(hint: Any, value: Any) -> Any:
    try:
        return _adapter(hint).validate_python(_thawed(value))
    except ValueError as failure:
        errors: Any = getattr(failure, "errors", None)
        first: Any = errors(include_url=False)[0] if errors else {"loc": (), "msg": str(failure)}
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")) from None


def _is_sequence(hint: Any) -> bool:
    arguments = get_args(hint)
    return len(arguments) == 1 or (len(arguments) == 2 and arguments[1] is Ellipsis)


def _atom(hint: Any, value: Any) -> Any:
    if hint is float:
        return _finite(value)
    if type(value) is hint or (hint is str and isinstance(value, str)):
        return value
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is bool and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if hint is int and isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError:
            pass
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    article = "an" if _NAMES[hint][0] in "aeiou" else "a"
    raise ValueError(f"must be {article} {_NAMES[hint]}, got {value!r}")


def _finite(value: Any) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError(f"must be a number, got {value!r}")


def _chosen(options: tuple[Any, ...], value: Any) -> Any:
    for option in options:
        if option == value and isinstance(option, bool) == isinstance(value, bool):
            return option
    if isinstance(value, str):
        meant = [option for option in options if isinstance(option, str) and option.lower() == value.strip().lower()]
        if len(meant) == 1:
            return meant[0]
    raise ValueError(f"must be one of {', '.join(map(repr, options))}, got {value!r}")


def _either(options: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in options:
        return None
    failures: list[str] = []
    for option in options:
        if option is not type(None):
            try:
                return converted(option, value)
            except ValueError as failure:
                failures.append(str(failure))
    raise ValueError(" or ".join(failures))


def _thawed(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_thawed(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _adapter(hint: Any) -> Any:
    if hint not in _adapters:
        from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415  (55 ms, only if such a type is met)

        try:
            _adapters[hint] = TypeAdapter(hint)
        except PydanticUserError as failure:
            raise UsageError(f"{hint!r} is no type of values: {str(failure).partition(chr(10))[0]}") from None
    return _adapters[hint]
