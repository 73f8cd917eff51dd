"""Canonical bytes and digests: the stored format of everything that is hashed. Frozen; golden files hold it.

Rule 1: `encoded` writes JSON with sorted keys, no spaces, UTF-8, no NaN. Equal data gives equal bytes in every process.
Rule 2: every hash input is one tag byte, then fixed-width digests, and at most one free part at the end, so that
        equal digests mean equal structure.
Rule 3: another encoder, or another order, is another format version.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, TypeGuard, cast

from stratagem.core._value import Value, compared
from stratagem.errors import UsageError

Json = Any  # what `json` writes: no better type exists in Python 3.11

DEPTH = 200  # deeper nesting is refused: every encoder fails on it sooner or later

_escape = json.encoder.encode_basestring
_SPECIAL = bytes(range(32)) + b'"\\'  # what JSON must escape; no byte of a longer character is one of these


def _refused(value: object) -> Any:
    raise TypeError(f"not JSON: {type(value).__name__}")


_SLOW = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_made: Any = getattr(json.encoder, "c_make_encoder", None)
_decoder: Any = json.JSONDecoder()
_scan: Any = _decoder.scan_once  # canonical text has no space around it, for which `loads` looks twice
_fast: Any = _made and _made(None, _refused, _escape, None, ":", ",", True, False, False)


def text_of(value: Json) -> str:
    """Return the canonical JSON text of plain data."""
    if _fast is None:
        return _SLOW.encode(value)
    return "".join(_fast(value, 0))


def encoded(value: Json) -> bytes:
    """Return the canonical bytes of plain data (what `plain` returns).

    >>> encoded({"b": 1.0, "a": ["x", None]})
    b'{"a":["x",null],"b":1.0}'
    """
    return text_of(value).encode()


def encoded_clean(value: Json) -> bytes:
    """Return the canonical bytes of plain data in which lone surrogates are replaced."""
    text = text_of(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return clean(text).encode()


def quoted(text: str) -> str:
    """Return a string as JSON, without an encoder."""
    if type(text) is str and len(text) > 64 and "\n" not in text and '"' not in text:
        data = text.encode("utf-8", "surrogatepass")  # to see that all is as it is costs a third of escaping it
        if data.translate(None, _SPECIAL) is data:
            return f'"{text}"'
    return _escape(text)


def decoded(data: bytes) -> Json:
    """Return the plain data of canonical bytes; `ValueError` if they are none."""
    text = data.decode()
    try:
        value, end = _scan(text, 0)
    except StopIteration:  # there is no value where one should begin
        value, end = None, -1
    return value if end == len(text) else json.loads(text)


def hashed(tagged: bytes) -> bytes:
    """Return the digest, 32 bytes. The first byte of `tagged` says what kind of thing is hashed."""
    return sha256(tagged).digest()


_ATOMS = frozenset({str, int, bool, type(None)})


def plain(value: object, depth: int = 0) -> Json:
    """Return the JSON form of a value; equal values have equal forms in every process.

    A tuple becomes a list, a frozen dataclass a dict with its name under `$`; what has a `plain()` method of its own
    says itself what it is. `UsageError` for what is mutable, not a value, or nested deeper than 200.
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise UsageError(f"an input must be a finite number, got {value!r}")
        return float(value)
    if depth > DEPTH:
        raise UsageError(f"an input is nested deeper than {DEPTH}")
    own: Any = getattr(value, "plain", None)
    if own is not None:
        return own()
    if isinstance(value, str | int):
        return str(value) if isinstance(value, str) else int(value)
    if isinstance(value, tuple):
        return [plain(item, depth + 1) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, Mapping):
        form: dict[str, Json] = {}
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(key, str):
                raise UsageError(f"the keys of an input must be text, got {key!r}")
            form[key] = plain(item, depth + 1)  # pyright: ignore[reportUnknownArgumentType]
        return form
    if isinstance(value, Value):
        shown = {name: plain(item, depth + 1) for name, item in compared(value).items()}
        return {"$": type(value).__name__, **shown}
    if hasattr(type(value), "__dataclass_fields__"):
        from dataclasses import fields  # noqa: PLC0415  (whoever has made a dataclass has imported it)

        given: Any = value
        shown = {field.name: plain(getattr(given, field.name), depth + 1) for field in fields(given) if field.compare}
        return {"$": type(given).__name__, **shown}
    raise UsageError(f"an input must be immutable data (a tuple, not a list), got {value!r}")


def is_object(value: Json) -> TypeGuard[dict[str, Json]]:
    """Return whether JSON data is an object."""
    return isinstance(value, dict)


def json_of(value: object, depth: int = 0) -> Json:
    """Return the JSON form of what a tool or a person gave: like `plain`, and lists and sets are fine too."""
    if type(value) in _ATOMS:
        return value
    if depth > DEPTH:
        raise UsageError(f"a value is nested deeper than {DEPTH}")
    if type(value) is dict:  # the arguments of nearly every call: a few atoms by name
        named: dict[str, Json] = {}
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if type(key) is not str:  # pyright: ignore[reportUnknownArgumentType]
                break
            named[key] = item if type(item) in _ATOMS else json_of(item, depth + 1)  # pyright: ignore[reportUnknownArgumentType]
        else:
            return named
    if isinstance(value, (list, tuple, set, frozenset)):
        items = cast("Iterable[object]", value)
        forms = [item if type(item) in _ATOMS else json_of(item, depth + 1) for item in items]
        return forms if isinstance(value, (list, tuple)) else sorted(forms, key=text_of)
    if isinstance(value, (dict, MappingProxyType, Mapping)):
        pairs = cast("Mapping[object, object]", value)
        form = {str(key): item if type(item) in _ATOMS else json_of(item, depth + 1) for key, item in pairs.items()}
        if len(form) < len(pairs):
            twice = next(key for key in form if sum(str(other) == key for other in pairs) > 1)
            raise UsageError(f"two keys of a value are written {twice!r}")
        return form
    return plain(value, depth)


def clean(text: str) -> str:
    r"""Return the text without lone surrogates, which no encoder writes.

    >>> clean("a\ud800b") == "a\ufffdb"
    True
    """
    if text.isascii():  # is known of every text, whatever its length
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
