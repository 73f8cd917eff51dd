"""Model options: what `using` takes. One form per meaning, so that equal options give equal digests."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stratagem.errors import UsageError

OPTIONS = frozenset({
    "model", "temperature", "top_p", "max_tokens", "stop", "seed", "effort", "logprobs", "mode", "timeout_s", "persona",
})  # fmt: skip
SOFT = frozenset({"temperature", "top_p", "seed", "effort"})
UNSENT = frozenset({"model", "mode", "timeout_s", "persona"})  # of the options: what a wire does not carry as a field
TIMEOUT_S = 600.0


class Options(Mapping[str, Any]):
    """Model options that were set: an immutable mapping, one object per distinct content."""

    __slots__ = ("_values", "derived", "heads")

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self.heads: dict[Any, Any] = {}  # what `World.ready` made of them
        self.derived: dict[Any, Options] = {}  # what `Run.using` made of them

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return an option, or the default where it is not set; the mapping's own `get` costs four times as much."""
        return self._values.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"Options({self._values})"


def checked_option(name: str, value: Any) -> Any:
    """Return an option in its one form: 1 and 1.0 are the same temperature; `UsageError` for what it cannot be."""
    form, wanted = _FORMS[name]
    made = form(value)
    if made is None:
        raise UsageError(f"{name} must be {wanted}, got {value!r}")
    return made


def _number(low: float, high: float = math.inf) -> Callable[[Any], float | None]:
    def form(value: Any) -> float | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return float(value) + 0.0 if fits and value != math.inf else None  # -0.0 is 0.0

    return form


def _whole(low: float) -> Callable[[Any], int | None]:
    def form(value: Any) -> int | None:
        return int(value) if isinstance(value, int) and not isinstance(value, bool) and value >= low else None

    return form


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (str(value),)
    if not isinstance(value, list | tuple):
        return None
    items: list[Any] = [*value]  # pyright: ignore[reportUnknownArgumentType]
    return tuple(map(str, items)) if all(isinstance(item, str) for item in items) else None


def _logprobs(value: Any) -> bool | int | None:
    return value if isinstance(value, bool) else _whole(0)(value)


def _mode(value: Any) -> str | None:
    return str(value) if value in ("native", "text") else None


_FORMS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "model": (lambda value: value, "a spec, or a model"),
    "temperature": (_number(0, 2), "a number in [0, 2]"),
    "top_p": (_number(0, 1), "a number in [0, 1]"),
    "max_tokens": (_whole(1), "a whole number from 1 up"),
    "stop": (_texts, "a text, or several"),
    "seed": (_whole(-math.inf), "a whole number"),
    "effort": (_text, "a text, such as 'low' or 'high'"),
    "logprobs": (_logprobs, "true, false, or how many alternatives"),
    "mode": (_mode, "'native' or 'text'"),
    "timeout_s": (_number(0), "a number of seconds from 0 up"),
    "persona": (_text, "a text"),
}
