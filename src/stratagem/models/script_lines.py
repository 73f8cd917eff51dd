"""The lines of a script: read and checked as a whole, before the first of them is needed.

What is wrong is a `UsageError` with file and line, what stands there and what should.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from stratagem.core import Json, Usage
from stratagem.core._canonical import clean, text_of
from stratagem.errors import ModelError, UsageError

KEYS = ("signature", "inputs", "contains", "times", "reply", "call", "error", "delay_s", "usage")
USAGE = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_written_tokens", "reasoning_tokens", "usd")


class Line:
    """One line of a script, checked.

    Attributes:
        number: of the line in its file, from 1.
        signature: `FILE.FUNCTION`, or `FUNCTION` alone.
        inputs: values that the request's inputs must have.
        contains: text that must occur in the request.
        times: how many requests it answers; 0 is any number.
        text: what the model says.
        calls: tool calls it chooses, as (name, arguments).
        error: what happens instead, as (class, message, seconds to wait); None if it replies.
        delay_s: seconds until then.
        usage: what it costs; None is counted in words.
        used: how many requests it has answered.
    """

    __slots__ = (
        "calls", "contains", "delay_s", "error", "inputs", "number", "signature", "text", "times", "usage", "used",
    )  # fmt: skip

    def __init__(self, number: int, form: Mapping[str, Json]) -> None:
        self.number, self.used = number, 0
        self.signature: str = form["signature"]
        self.inputs: Mapping[str, Json] = form.get("inputs", {})
        self.contains: str = form.get("contains", "")
        self.times: int = form.get("times", 1)
        self.delay_s = float(form.get("delay_s", 0))
        self.usage = _usage(form["usage"]) if "usage" in form else None
        reply = form.get("reply", "")
        self.text = clean(reply if isinstance(reply, str) else text_of(reply))
        chosen = _listed(form.get("call", []))
        self.calls: tuple[tuple[str, Json], ...] = tuple((call["name"], call.get("arguments", {})) for call in chosen)
        self.error = _error(form["error"]) if "error" in form else None

    @property
    def spent(self) -> bool:
        """Whether it answers no more requests."""
        return 0 < self.times <= self.used

    @property
    def words(self) -> int:
        """How many words it says."""
        return len(self.text.split()) + sum(len(f"{name} {text_of(given)}".split()) for name, given in self.calls)


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the known name that is most like another one; empty if none is known."""
    import difflib  # only a message needs it

    return next(iter(difflib.get_close_matches(name, known, 1, 0.0)), "")


def read(text: str, name: str) -> Iterator[Line]:
    """Yield the lines of a script; blank ones and those that begin with `#` are left out."""
    for number, written in enumerate(text.split("\n"), 1):
        if not written.strip() or written.lstrip().startswith("#"):
            continue
        try:
            form = json.loads(written, parse_constant=_constant, object_pairs_hook=_once)
            if "\\ud" in written.lower():  # maybe half a character, which no encoder writes
                form = json.loads(clean(text_of(form)))
            yield Line(number, _checked(form))
        except json.JSONDecodeError as failure:
            what = f"this is not JSON: {failure.msg} at character {failure.pos + 1}; a line holds one JSON object"
            raise UsageError(f"{name}:{number}: {what}", remedy="Correct the line.") from None
        except (ValueError, RecursionError) as failure:
            raise UsageError(f"{name}:{number}: {failure}", remedy="Correct the line.") from None


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands here twice")
    return made


def _checked(form: Json) -> Mapping[str, Json]:
    """Return a line's content if it is as it should be; `ValueError` says what is not."""
    _known(form, KEYS, "a line")
    _must("signature" in form, "`signature` is missing: say which request the line answers")
    _must(
        isinstance(form["signature"], str) and re.fullmatch(r"[^\s.]+(\.[^\s.]+)?", form["signature"]),
        f"`signature` must be FILE.FUNCTION or FUNCTION, got {form['signature']!r}",
    )
    _must(isinstance(form.get("inputs", {}), dict), "`inputs` must be an object: input names and their values")
    contains = form.get("contains", "-")
    _must(isinstance(contains, str) and contains, f"`contains` must be a text that is not empty, got {contains!r}")
    times = form.get("times", 1)
    _must(type(times) is int and times >= 0, f"`times` must be a whole number, 0 for always, got {times!r}")
    delay = form.get("delay_s", 0)
    _must(_amount(delay), f"`delay_s` must be seconds, at least 0, got {delay!r}")
    kinds = [key for key in ("reply", "call", "error") if key in form]
    _must(bool(kinds), "one of `reply`, `call` and `error` is missing")
    _must(len(kinds) == 1 or kinds == ["reply", "call"], f"`{kinds[0]}` and `{kinds[-1]}` exclude each other")
    if len(kinds) == 2:
        _must(isinstance(form["reply"], str), "a `reply` beside a `call` is the thought: it must be a text")
    if "call" in form:
        _check_calls(form["call"])
    if "error" in form:
        _must("usage" not in form, "an `error` costs nothing: `usage` belongs to a reply")
        _check_error(form["error"])
    for key, value in _known(form.get("usage", {}), USAGE, "`usage`").items():
        price = key == "usd" and (value is None or _amount(value))
        _must(price or (type(value) is int and value >= 0), f"`usage.{key}` must be at least 0, got {value!r}")
    return form


def _check_calls(calls: Json) -> None:
    _must(calls != [], "`call` must be a call, or a list with at least one")
    for call in (_known(one, ("name", "arguments"), "`call`") for one in _listed(calls)):
        name, given = call.get("name"), call.get("arguments", {})
        _must(isinstance(name, str) and name, f"`call.name` must be the name of a tool, got {name!r}")
        _must(isinstance(given, dict | str), f"`call.arguments` must be an object, or the model's text, got {given!r}")


def _listed(calls: Json) -> Sequence[Json]:
    return calls if isinstance(calls, list) else [calls]  # pyright: ignore[reportUnknownVariableType]


def _check_error(form: Json) -> None:
    kinds = _kinds()
    _known(form, ("kind", "message", "retry_after"), "`error`")
    kind, message, after = form.get("kind"), form.get("message", ""), form.get("retry_after", 0)
    if kind not in kinds:
        near = nearest(str(kind), list(kinds))
        raise ValueError(f"`error.kind` must be one of {', '.join(kinds)}, got {kind!r} (did you mean {near!r}?)")
    _must(isinstance(message, str), f"`error.message` must be a text, got {message!r}")
    _must(_amount(after), f"`error.retry_after` must be seconds, at least 0, got {after!r}")
    _must(
        kind == "RateLimited" or "retry_after" not in form, f"`error.retry_after` is of `RateLimited` only, not {kind}"
    )


def _known(form: Json, keys: tuple[str, ...], what: str) -> Mapping[str, Json]:
    _must(isinstance(form, dict), f"{what} must be an object, got {form!r:.60}")
    for key in form:
        if key not in keys:
            raise ValueError(f"{what} has no key {key!r} (did you mean {nearest(key, keys)!r}?)")
    return form


def _must(holds: object, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _amount(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _kinds() -> dict[str, type[ModelError]]:
    return {kind.__name__: kind for kind in (ModelError, *ModelError.__subclasses__())}


def _error(form: Json) -> tuple[type[ModelError], str, float | None]:
    return _kinds()[form["kind"]], clean(form.get("message", "")), form.get("retry_after")


def _usage(form: Json) -> Usage:
    return Usage(1, 1, **form)
