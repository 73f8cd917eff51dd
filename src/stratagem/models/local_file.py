"""What a GGUF file says of the model in it: read from its head alone, before any server starts.

Rule 1: no length in the file is believed: what points beyond the file's end is an error, not a crash.
Rule 2: only what is needed is kept; of the vocabulary these are the marks that a text must not contain.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stratagem.errors import UsageError

MOST = 1_000_000  # entries of a head, or numbers of a list that is kept: more is no model
_FORMATS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_TEXT, _LIST = 8, 9
_CONTROL = 3  # type of a token that is no text
_SMALL = 4096  # numbers; longer lists of numbers are scores, which nobody needs here
_U64 = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of its model.

    Attributes:
        architecture: such as `llama`.
        context: tokens that it was trained to read at once.
        template: its chat template, in Jinja; empty if it has none.
        bos: the mark before a text.
        eos: the mark after a reply.
        marks: tokens of its vocabulary that are no text, such as `<|im_end|>`.
        token_bytes: bytes of memory that one token of context takes.
    """

    architecture: str
    context: int
    template: str
    bos: str
    eos: str
    marks: tuple[str, ...]
    token_bytes: int


def facts_of(path: Path) -> Facts:
    """Return what a GGUF file says of itself.

    Raises:
        UsageError: it cannot be read, or is no such file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _Head(data).entries()
        return _facts(found)
    except OSError as failure:
        raise UsageError(f"the weights {str(path)!r} cannot be read: {failure.strerror}") from None
    except (ValueError, struct.error, KeyError, TypeError, IndexError) as failure:
        why = str(failure) if type(failure) is ValueError else "its head is damaged"
        raise UsageError(
            f"{str(path)!r} is no GGUF file of a language model: {why}", remedy="Name a file of weights in GGUF form."
        ) from None


class _Head:
    """Reads entry after entry."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def entries(self) -> dict[str, Any]:
        if self._data[:4] != b"GGUF":
            raise ValueError("it does not begin as one")
        self._at = 4
        version, _, count = self._number("<I"), self._number("<Q"), self._number("<Q")
        if version not in (2, 3):
            raise ValueError(f"its version is {version}, and 2 and 3 can be read")
        if count > MOST:
            raise ValueError("its head is damaged")
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self._text().decode(errors="replace")
            found[name] = self._value(self._number("<I"))
        return found

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _text(self) -> bytes:
        (size,) = _U64.unpack_from(self._data, self._at)
        begin = self._at + 8
        self._at = begin + size
        if self._at > len(self._data):
            raise ValueError("it ends too early")
        return self._data[begin : self._at]

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text().decode(errors="replace")
        if kind == _LIST:
            return self._list(self._number("<I"), self._number("<Q"))
        return self._number(_FORMATS[kind])

    def _list(self, kind: int, count: int) -> Any:
        """Return a list of texts, as bytes, or of numbers; a longer one of fractions is passed over."""
        if count > 16 * MOST:
            raise ValueError("its head is damaged")
        if kind == _TEXT:
            return [self._text() for _ in range(count)]
        form = _FORMATS[kind]
        begin, size = self._at, struct.calcsize(form) * count
        self._at += size
        if self._at > len(self._data):
            raise ValueError("it ends too early")
        if count > _SMALL and kind not in (4, 5):
            return ()
        return struct.unpack_from(f"<{count}{form[1]}", self._data, begin)


def _facts(found: dict[str, Any]) -> Facts:
    architecture = str(found["general.architecture"])

    def of(name: str, default: Any = None) -> Any:
        value = found.get(f"{architecture}.{name}", default)
        if value is None:
            raise ValueError(f"it does not say its {name.replace('_', ' ').replace('.', ', ')}")
        return value

    layers, heads = int(of("block_count")), _each(of("attention.head_count"))
    kept = _each(of("attention.head_count_kv", heads))
    every = sum(kept) * (layers if len(kept) == 1 else 1)
    size = int(of("embedding_length")) // max(1, *heads)
    wide = int(of("attention.key_length", size)) + int(of("attention.value_length", size))
    tokens: list[bytes] = found.get("tokenizer.ggml.tokens", [])
    types: tuple[int, ...] = found.get("tokenizer.ggml.token_type", ())
    marks = tuple(
        text.decode(errors="replace")
        for text, kind in zip(tokens, types, strict=False)
        if kind == _CONTROL and len(text) > 1
    )

    def token(name: str) -> str:
        number = found.get(f"tokenizer.ggml.{name}_token_id")
        return tokens[number].decode(errors="replace") if isinstance(number, int) and number < len(tokens) else ""

    return Facts(
        architecture, int(of("context_length")), str(found.get("tokenizer.chat_template", "")), token("bos"), token("eos"),
        marks, max(1, 2 * every * wide),
    )  # fmt: skip


def _each(value: Any) -> tuple[int, ...]:
    """Return a number of all layers, or those of each, as a tuple."""
    return tuple(map(int, cast("tuple[int, ...]", value))) if isinstance(value, tuple) else (int(value),)
