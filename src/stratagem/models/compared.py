"""Requests as a person reads them, and where two of them differ: what recorded models say when they have no reply.

A form is the request as JSON: what its head has (signature, instruction, format, model, options, tools ...), `message`,
`steps`, `repair` and `attached`, of which only what is there.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from stratagem.core import Json, Request
from stratagem.core._canonical import is_object, text_of

T = TypeVar("T")

MOST_LINES = 20  # of a difference
WIDTH = 160  # characters of one of its lines
_BEFORE = 30  # characters that are shown before the first that differs


def form_of(request: Request) -> dict[str, Json]:
    """Return a request as JSON: all that is sent, with the model's spec; of what is attached, name, type and digest."""
    form: dict[str, Json] = {**request.head.form, "message": request.message}
    if request.steps is not None and len(request.steps):
        form["steps"] = [turn.plain() for turn in request.steps]
    if request.repair:
        form["repair"] = [list(texts) for texts in request.repair]
    if request.attached:
        form["attached"] = [one.plain() for one in request.attached]
    return form


def fields(known: Json, asked: Json) -> tuple[str, ...]:
    """Return the names of the fields in which two forms differ, in the order of their names."""
    return tuple(name for name in sorted({*known, *asked}) if known.get(name) != asked.get(name))


def nearest(asked: Json, known: Iterable[tuple[Json, T]]) -> tuple[Json, T] | None:
    """Return the known form that is most like the one that was asked, with what came with it.

    The same signature comes first, then as few differing fields as can be, then the most that is equal at the beginning and
    the end of message and conversation.
    """
    best: tuple[tuple[bool, int, float], tuple[Json, T]] | None = None
    for form, mark in known:
        alike = sum(_alike(form.get(name) or "", asked.get(name) or "") for name in ("message", "steps"))
        rank = (form.get("signature") != asked.get("signature"), len(fields(form, asked)), -alike)
        if best is None or rank < best[0]:
            best = rank, (form, mark)
    return None if best is None else best[1]


def difference(known: Json, asked: Json) -> str:
    """Return a unified difference of two forms, at most `MOST_LINES` lines; empty if they are equal."""
    names = fields(known, asked)
    before = [line for name in names for line in _lines(name, known.get(name))]
    after = [line for name in names for line in _lines(name, asked.get(name))]
    found = list(difflib.unified_diff(before, after, "recorded", "asked", n=1, lineterm=""))
    shown = [*_short(found[:MOST_LINES])]
    if len(found) > MOST_LINES:
        shown[-1] = f"... {len(found) - MOST_LINES + 1} more lines"
    return "\n".join(shown)


def _lines(place: str, value: Json) -> Iterator[str]:
    """Yield a value as lines, each with the place it stands at."""
    if value is None:
        return
    if is_object(value):
        for name in sorted(value):
            yield from _lines(f"{place}.{name}", value[name])
    elif isinstance(value, list):
        items: list[Json] = value  # pyright: ignore[reportUnknownVariableType]
        for number, item in enumerate(items):
            name = item.get("name", number) if is_object(item) else number  # tools are told apart by their names
            yield from _lines(f"{place}[{name}]", item)
    elif isinstance(value, str):
        for line in value.split("\n"):
            yield f"{place}: {line}"
    else:
        yield f"{place}: {text_of(value)}"


def _short(lines: list[str]) -> Iterator[str]:
    """Yield lines of a difference, the long ones cut around the first character in which they differ."""
    numbered = enumerate(lines)
    for number, line in numbered:
        other = lines[number + 1] if number + 1 < len(lines) else ""
        if line[:1] == "-" and other[:1] == "+" and number > 1:  # the first two lines are its heading
            next(numbered)
            start = _common(line[1:], other[1:]) - _BEFORE
            yield _cut(line, start)
            yield _cut(other, start)
        else:
            yield _cut(line, 0)


def _cut(line: str, start: int) -> str:
    if len(line) <= WIDTH:
        return line
    mark, _, text = line.partition(": ")
    start = max(0, start - len(mark))
    begun = "..." if start else ""
    rest = text[start : start + WIDTH]
    return f"{mark}: {begun}{rest}{'...' if start + WIDTH < len(text) else ''}"


def _common(one: Sequence[object], other: Sequence[object]) -> int:
    """Return how many characters or items two texts or lists have in common at their beginning."""
    if one == other:
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def _alike(one: Sequence[object], other: Sequence[object]) -> float:
    """Return how much of two texts or lists is equal at their beginning and their end, from 0 to 1."""
    longest = max(len(one), len(other))
    return 1.0 if one == other else min(1.0, (_common(one, other) + _common(one[::-1], other[::-1])) / longest)
