"""`script:FILE`: a model that answers from a file of JSON lines. Nothing is sent anywhere; what is missing is loud.

Rule 1: a request takes the first line that is not used up, names its signature and fits its inputs. It is taken when
        the request is made, in the order of the requests: branches that run at once need `inputs` or `contains`.
Rule 2: the whole file is checked when it is opened: a mistake in line 90 is found before the first call.
Rule 3: no line is ever guessed. `ScriptMiss` names the nearest line and the first field in which it differs.

`docs/script_models.md` has the format.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from stratagem.core import Capabilities, Delta, Json, Reply, Request, Sample, Step, ToolCall, Tools, Transcript, Usage
from stratagem.core._canonical import json_of, text_of
from stratagem.errors import ModelError, RateLimited, ScriptMiss, UnparsedReply, UsageError
from stratagem.models.script_lines import Line, nearest, read

SHOWN = 60  # characters of a value that a message shows

_HONOURED = frozenset({"tools", "temperature", "top_p", "stop", "seed", "effort", "schema", "max_tokens"})


class ScriptModel:
    """Answers from the lines of a script, which is counted per model object: opening it again begins anew.

    Args:
        text: the script.
        name: of the file, for messages and for the spec.
        strict: whether `aclose` fails if a line was never needed as often as it says.

    Raises:
        UsageError: a line is wrong; the message has file, line and what is expected there.
    """

    def __init__(self, text: str, *, name: str, strict: bool = False) -> None:
        self.spec, self._name, self._strict = f"script:{name}", name, strict
        self.lines = tuple(read(text, name))
        self._live: dict[str, list[Line]] = {}
        for line in self.lines:
            self._live.setdefault(_function(line.signature), []).append(line)
        self._meant: dict[str, str] = {}  # the one signature that a function's name alone stands for
        counted = (line.usage.completion_tokens if line.usage else line.words for line in self.lines)
        priced = all(line.usage is None or line.usage.usd is not None for line in self.lines)
        self.capabilities = Capabilities(_HONOURED, max_output=max(counted, default=0) or 1, priced=priced)

    @classmethod
    def open(cls, file: str, *, strict: bool = False) -> "ScriptModel":
        """Return the model of a file; `UsageError` if it cannot be read, or a line is wrong."""
        try:
            data = Path(file).expanduser().read_bytes()
        except (OSError, ValueError, RuntimeError) as failure:
            remedy = "Name a file of JSON lines: `script:FILE`."
            raise UsageError(f"the script {file!r} cannot be read: {failure}", remedy=remedy) from None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as failure:
            number = data.count(b"\n", 0, failure.start) + 1
            raise UsageError(f"{file}:{number}: this is not UTF-8", remedy="Save the script as UTF-8.") from None
        made = cls(text, name=file, strict=strict)
        made.spec = f"script:{Path(file).expanduser().resolve()}"  # a run may be resumed from another folder
        return made

    @property
    def unspent(self) -> tuple[int, ...]:
        """Numbers of the lines that were not used as often as they say, or with `times` 0 not at all."""
        return tuple(line.number for line in self.lines if line.used < (line.times or 1))

    def refuses(self, request: Request) -> frozenset[str]:
        """Return `logprobs` if they are asked for: a script has none."""
        return frozenset({"logprobs"} if request.options.get("logprobs") else ())

    def complete(
        self, request: Request, *, on_delta: Callable[[Delta], None] | None = None
    ) -> Reply | Awaitable[Reply]:
        """Answer a request from its line; the awaitable of a line with `delay_s` waits that long.

        Raises:
            ScriptMiss: no line is left that fits.
            ModelError: what the line says.
            UsageError: the line calls a tool where the request takes no call.
        """
        line = self._take(_Asked(request))
        if line.delay_s:
            return self._late(line, request, on_delta)
        return self._reply(line, request, on_delta)

    def tokens(self, text: str) -> int:
        """Return the number of words, which is what is counted where a line states no usage."""
        return len(text.split())

    async def aclose(self) -> None:
        """Close; `UsageError` with the unspent lines if the script is strict."""
        if self._strict and self.unspent:
            numbers = ", ".join(map(str, self.unspent))
            remedy = "Remove the lines, or find out why they were not asked for."
            raise UsageError(f"{self._name}: not used up: line {numbers}", remedy=remedy)

    async def _late(self, line: Line, request: Request, on_delta: Callable[[Delta], None] | None) -> Reply:
        await asyncio.sleep(line.delay_s)
        return self._reply(line, request, on_delta)

    def _reply(self, line: Line, request: Request, on_delta: Callable[[Delta], None] | None) -> Reply:
        if line.error is not None:
            raise self._failure(line, request)
        sample = self._sample(line, request)
        if on_delta is not None:
            on_delta(Delta(0, sample.text))
        if line.usage is not None:
            return Reply((sample,), line.usage)
        words = min(line.words, _cap(request))
        return Reply((sample,), Usage(1, 1, self.tokens(request.text), words, estimated=True))

    def _sample(self, line: Line, request: Request) -> Sample:
        """Return what the line says in the protocol of the request, cut at its stops and its limit of tokens."""
        if line.calls and not request.signature.acts:
            raise UsageError(
                f"{self._name}:{line.number}: `call` answers `{request.signature.name}`, which returns no `Step`",
                remedy="Write a `reply`.",
            )
        if line.calls and not request.native:
            if len(line.calls) > 1:
                raise UsageError(
                    f"{self._name}:{line.number}: the text protocol takes one call at a time, here are {len(line.calls)}",
                    remedy="Write one line per call.",
                )
            calls = tuple(
                ToolCall(name, {"": given} if isinstance(given, str) else given) for name, given in line.calls
            )
            return request.signature.write(Step(line.text, calls), native=False)
        text, stops = line.text, request.options.get("stop", ())
        for stop in (*request.signature.stop, *([stops] if isinstance(stops, str) else stops)):
            text = text.partition(stop)[0]
        cap = _cap(request)
        if not line.usage and len(text.split()) > cap:
            shorter = re.match(rf"(?:\s*\S+){{{cap}}}", text)
            return Sample(shorter[0] if shorter else "", line.calls, "length")
        return Sample(text, line.calls, "tool_calls" if line.calls else "stop")

    def _failure(self, line: Line, request: Request) -> ModelError:
        assert line.error is not None
        kind, message, retry_after = line.error
        if kind is UnparsedReply:
            return UnparsedReply(request.signature.name, message)
        if not message:
            message = f"{self._name}:{line.number} says so"
        if retry_after is None:
            return kind(message, provider="script")
        return RateLimited(f"{message}; retry after {retry_after:g} s", retry_after=retry_after, provider="script")

    def _take(self, asked: "_Asked") -> Line:
        """Return the line for a request, and count that it was used."""
        live = self._live.get(_function(asked.name), [])
        for line in live:
            if self._names(line, asked.name) and next(asked.differences(line), None) is None:
                if line.signature != asked.name:
                    self._meant[line.signature] = asked.name
                line.used += 1
                if line.spent:
                    live.remove(line)
                return line
        raise ScriptMiss(f"{self._name} has no line left for {asked}; {self._nearest(asked)}", provider="script")

    def _names(self, line: Line, name: str) -> bool:
        """Whether a line is for that signature; a function's name alone stands for the first one that it answered."""
        if line.signature == name:
            return True
        return line.signature == _function(name) and self._meant.get(line.signature, name) == name

    def _nearest(self, asked: "_Asked") -> str:
        """Say which line is most like a request, and why it does not answer it."""
        if not self.lines:
            return "the script has no lines"
        named = [line for line in self.lines if self._names(line, asked.name)]
        if not named:
            alike = [line for line in self.lines if _function(line.signature) == _function(asked.name)] or self.lines
            near = nearest(asked.name, [line.signature for line in alike])
            line = next(line for line in alike if line.signature == near)
            meant = self._meant.get(near)
            why = f", which stands for {meant!r} already: write full names" if meant else ""
            return f"the nearest is line {line.number}, where `signature` is {near!r}{why}"
        found = {line: list(asked.differences(line)) for line in named}
        line = min(named, key=lambda line: (len(found[line]) / (len(line.inputs) + 1), line.number))
        why = next(iter(found[line]), f"everything fits, but it is used up (`times` is {line.times})")
        return f"the nearest is line {line.number}, where {why}"


class _Asked:
    """A request, as lines are compared with it."""

    def __init__(self, request: Request) -> None:
        self.request, self.name = request, request.signature.name

    @cached_property
    def inputs(self) -> dict[str, Json]:
        return {name: json_of(value) for name, value in self.request.inputs.items() if not _opaque(value)}

    @cached_property
    def text(self) -> str:
        return self.request.text

    def __str__(self) -> str:
        place = f" in {self.request.path!r}" if self.request.path else ""
        return f"`{self.name}`({', '.join(f'{name}={_short(value)}' for name, value in self.inputs.items())}){place}"

    def differences(self, line: Line) -> Iterator[str]:
        """Yield why a line does not fit, field by field; nothing if it fits."""
        for name, wanted in line.inputs.items():
            if name not in self.request.inputs:
                yield f"`inputs.{name}` is no input of the request, which has {', '.join(self.request.inputs) or 'none'}"
            elif name not in self.inputs:
                kind = type(self.request.inputs[name]).__name__
                yield f"`inputs.{name}` is a {kind}, which cannot be compared: use `contains`"
            elif found := _unequal(f"inputs.{name}", wanted, self.inputs[name]):
                yield found
        if line.contains and line.contains not in self.text:
            yield f"`contains` is {_short(line.contains)}, which is not in the request"


def _unequal(place: str, wanted: Json, got: Json) -> str:
    """Say where two values differ first; empty if they are equal. The name of a class (`$`) may be left out."""
    match wanted, got:
        case str(), {"$": "Content", "text": str(text)}:  # a text with attachments
            return _unequal(place, wanted, text)
        case dict(), dict():
            return _unequal_objects(place, wanted, got)  # pyright: ignore[reportUnknownArgumentType]
        case list(), list():
            return _unequal_lists(place, wanted, got)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            pass
    if isinstance(wanted, bool) == isinstance(got, bool) and wanted == got:  # 1 is 1.0 in JSON, and not true
        return ""
    if isinstance(wanted, str) and isinstance(got, str):
        pairs = enumerate(zip(wanted, got, strict=False))
        same = next((place for place, (left, right) in pairs if left != right), min(len(wanted), len(got)))
        wanted, got = _around(wanted, same), _around(got, same)
    return f"`{place}` is {_short(wanted)}, in the request {_short(got)}"


def _unequal_objects(place: str, wanted: Mapping[str, Json], got: Mapping[str, Json]) -> str:
    for key in (*wanted, *(key for key in got if key not in wanted and key != "$")):
        if key not in wanted or key not in got:
            return f"`{place}.{key}` is only in the {'line' if key in wanted else 'request'}"
        if found := _unequal(f"{place}.{key}", wanted[key], got[key]):
            return found
    return ""


def _unequal_lists(place: str, wanted: Sequence[Json], got: Sequence[Json]) -> str:
    for number, (left, right) in enumerate(zip(wanted, got, strict=False)):
        if found := _unequal(f"{place}[{number}]", left, right):
            return found
    return "" if len(wanted) == len(got) else f"`{place}` has {len(wanted)} items, in the request {len(got)}"


def _around(text: str, place: int) -> str:
    """Return the part of a text in which a difference lies."""
    start = max(0, place - SHOWN // 2)
    return ("..." if start else "") + text[start:]


def _opaque(value: object) -> bool:
    return isinstance(value, Transcript | Tools)


def _short(value: Json) -> str:
    text = text_of(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _function(signature: str) -> str:
    return signature.rpartition(".")[2]


def _cap(request: Request) -> int:
    """Return the most tokens of a reply, by the request or by what the budget has left."""
    limits = (request.options.get("max_tokens"), request.max_tokens)
    return min((limit for limit in limits if limit is not None), default=1 << 62)
