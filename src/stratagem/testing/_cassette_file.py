"""The file of a cassette: one JSON line per draw, sorted by where it was asked.

| key | what it holds |
|---|---|
| `path`, `occurrence` | where in the program it was asked, and how often the same was asked there before |
| `digest` | of the request, as the journal has it; of the request as the line shows it if that is `scrubbed` |
| `model` | spec of the model that answered |
| `request` | the request; `steps` is a list of turns, or `{"after": DIGEST, "turns": [...]}`: those of that line, then these |
| `reply` | the draw, or `error`: name and arguments of the error that came instead |
| `usage` | what it cost, without what is 0; left out if that is nothing |
| `scrubbed` | true if the request had a secret in it, of which the line shows `***` |

Rule 1: equal draws make equal files, in whatever order they came: no time, no host, no header, no key.
Rule 2: a conversation is stored once, however many requests go on with it.
Rule 3: a file is replaced as a whole, or not at all.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from stratagem.core import Json, Usage
from stratagem.core._canonical import decoded, hashed, is_object, text_of
from stratagem.errors import UsageError

Key = tuple[str, str, int]  # path, digest as hex, occurrence

_USUAL = Usage()._asdict()
_KEYS: dict[str, type] = {"path": str, "digest": str, "occurrence": int, "model": str, "request": dict}
_MORE: dict[str, type] = {"reply": dict, "error": list, "usage": dict, "scrubbed": bool}


class Line(NamedTuple):
    """One recorded draw.

    Attributes:
        path: where it was asked.
        digest: of the request, as hex.
        occurrence: how often the same was asked there before.
        model: spec of the model.
        request: the request, its steps as a list of turns.
        reply: the draw; None if an error came instead.
        error: the error, as `errors.record` writes it.
        usage: what it cost.
        scrubbed: whether a secret was taken out of the request.
        number: of the line in the file; 0 if it is not there yet.
    """

    path: str
    digest: str
    occurrence: int
    model: str
    request: Json
    reply: Json = None
    error: Json = None
    usage: Usage | None = None
    scrubbed: bool = False
    number: int = 0

    @property
    def key(self) -> Key:
        """What a request finds it by."""
        return self.path, self.digest, self.occurrence

    def __str__(self) -> str:
        return f"`{self.request.get('signature', '?')}` in {self.path or 'the root'!r}"


def read(path: Path) -> dict[Key, Line]:
    """Return the lines of a file by key; nothing if there is none.

    Raises:
        UsageError: it cannot be read, or a line is none of a cassette; the message has file and line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"the cassette {str(path)!r} cannot be read: {failure}") from None
    found: dict[Key, Line] = {}
    for number, one in enumerate(text.split("\n"), 1):
        if one.strip():
            line = _line(one, path, number)
            if not _alike(found.setdefault(line.key, line), line):
                raise _wrong(path, number, f"it answers the same request as line {found[line.key].number}")
    _unfold(found, path)
    return found


def write(path: Path, lines: Iterable[Line]) -> None:
    """Replace a file by one with these lines."""
    rows = _folded(sorted(lines, key=_place))
    text = "".join(f"{text_of(form)}\n" for form in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(text.encode())
    part.replace(path)


def _place(line: Line) -> tuple[Any, ...]:
    """Return what orders lines: the program's scopes, then conversations as they grow, then occurrences."""
    path = [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", line.path)]
    asked = line.request
    words = [str(asked.get(name, "")) for name in ("signature", "message")]
    return path, len(asked.get("steps") or ()), *words, line.digest, line.occurrence


def _folded(lines: list[Line]) -> list[dict[str, Json]]:
    """Return lines as JSON, each with as much of its conversation as no line before it has."""
    seen: dict[bytes, str] = {}  # digest of a conversation: digest of the first request that has it
    rows: list[dict[str, Json]] = []
    for line in lines:
        request = line.request
        if turns := cast("list[Json]", request.get("steps")):
            chain, chains = b"", list[bytes]()
            for turn in turns:
                chain = hashed(b"c" + chain + text_of(turn).encode())
                chains.append(chain)
            begun = next((n for n in range(len(turns) - 1, 0, -1) if chains[n - 1] in seen), 0)
            if begun:
                request = {**request, "steps": {"after": seen[chains[begun - 1]], "turns": turns[begun:]}}
            seen.setdefault(chain, line.digest)
        rows.append(_form(line, request))
    return rows


def _form(line: Line, request: Json) -> dict[str, Json]:
    form: dict[str, Json] = {
        "path": line.path, "digest": line.digest, "occurrence": line.occurrence, "model": line.model,
        "request": request, **({"reply": line.reply} if line.error is None else {"error": line.error}),
    }  # fmt: skip
    if line.usage is not None:
        form["usage"] = {name: value for name, value in line.usage.plain().items() if value != _USUAL[name]}
    return {**form, "scrubbed": True} if line.scrubbed else form


def _line(text: str, path: Path, number: int) -> Line:
    try:
        form = decoded(text.strip().encode())
    except (ValueError, RecursionError):
        raise _wrong(path, number, "it is no JSON") from None
    if not is_object(form):
        raise _wrong(path, number, "it is no JSON object")
    for name, kind in _KEYS.items():
        if not isinstance(form.get(name), kind):
            raise _wrong(path, number, f"its {name!r} is missing, or not of the type {kind.__name__}")
    for name, value in form.items():
        if name not in _KEYS and (name not in _MORE or not isinstance(value, _MORE[name])):
            raise _wrong(path, number, f"its {name!r} is unknown, or not of its type")
    if ("reply" in form) == ("error" in form) or ("reply" in form and not isinstance(form["reply"].get("text"), str)):
        raise _wrong(path, number, "it has neither a `reply` with a `text` nor an `error`, or both")
    try:
        usage = Usage(**form["usage"]) if "usage" in form else None
    except TypeError:
        raise _wrong(path, number, "its `usage` has a key that is unknown") from None
    return Line(
        form["path"], form["digest"], form["occurrence"], form["model"], form["request"], form.get("reply"),
        form.get("error"), usage, form.get("scrubbed", False), number,
    )  # fmt: skip


def _unfold(lines: dict[Key, Line], path: Path) -> None:
    """Put the whole conversation into each request."""
    by_digest = {line.digest: line for line in lines.values()}
    whole: dict[str, list[Json]] = {}

    def turns(line: Line, waiting: tuple[str, ...]) -> list[Json]:
        if line.digest in whole:
            return whole[line.digest]
        steps = line.request.get("steps", [])
        if is_object(steps):
            before = by_digest.get(str(steps.get("after")))
            if before is None or before.digest in waiting or not isinstance(steps.get("turns"), list):
                raise _wrong(path, line.number, "its `steps` go on after a line that is not there")
            steps = [*turns(before, (*waiting, line.digest)), *steps["turns"]]
        whole[line.digest] = steps
        return steps

    for key, line in sorted(lines.items(), key=lambda pair: pair[1].number):  # so that the nesting stays flat
        if "steps" in line.request:
            lines[key] = line._replace(request={**line.request, "steps": turns(line, (line.digest,))})


def _alike(one: Line, other: Line) -> bool:
    return (one.reply, one.error) == (other.reply, other.error)


def _wrong(path: Path, number: int, why: str) -> UsageError:
    return UsageError(
        f"{path}:{number}: this is no line of a cassette: {why}",
        remedy="Correct the line, or remove it and record it again: STRATAGEM_CASSETTE=record.",
    )
