"""From typed inputs to the words of a request.

Rule 1: the docstring is the instruction. If it mentions a parameter in braces it is the whole message, as papers print
        it; parameters it does not mention are shown above it when they are not empty.
Rule 2: `{examples}` repeats the rest of the message once per example, completed with its answer.
Rule 3: a `Transcript` continues the conversation if the reply is a `Step`; otherwise it is shown as text.
Rule 4: what is inserted is never read as a template again.
Rule 5: `RENDERER` is part of every digest: whoever changes a word here raises it.
"""

import re
from collections.abc import Callable, Mapping
from operator import is_
from typing import TYPE_CHECKING, Any, cast

from stratagem.core._canonical import json_of, plain, text_of
from stratagem.core._tool import Tools
from stratagem.core._transcript import Transcript
from stratagem.core._values import Example, Step, ToolCall
from stratagem.core.message import Blob, Call, Message, Part, Result, Text

if TYPE_CHECKING:
    from stratagem.core._model import Request

RENDERER = 1
FINISH = "Finish"
_LISTS = ("- ", "1. ")
MOST_SEEN = 64
COMPLAINT = 500  # characters of what a repair says about the reply

Segment = tuple[str, str]  # literal text, then the name of the input that follows it (or "")


class Layout:
    """How the inputs of one signature become one message, worked out once.

    Args:
        instruction: the docstring, or what replaces it.
        inputs: names of the signature's inputs that the message shows, in order.
        numbered: inputs whose items are numbered, because replies refer to them.
        tail: what follows the labelled inputs: the format that is wanted, and examples of the signature.
        written: an example's answer in the signature's format.
        acts: whether the reply is a step, so that described tools include the one that finishes.
    """

    def __init__(
        self,
        instruction: str,
        inputs: tuple[str, ...],
        numbered: frozenset[str],
        tail: tuple[str, str],
        written: Callable[[Example], str],
        *,
        acts: bool = False,
    ) -> None:
        mentioned = {name for name in inputs if f"{{{name}}}" in instruction}
        self._above = tuple((name, titled(name)) for name in inputs if name not in mentioned)
        self._numbered, self._written, self._finish = numbered, written, FINISH if acts else ""
        self._whole = bool(mentioned)
        self._instruction, self._format = instruction + tail[0], tail[1]
        before, marker, rest = instruction.rpartition("{examples}")
        self._shots = bool(marker)
        self._before, self._rest = _segments(before, inputs), _segments(rest, inputs)
        self._steady = "question" not in [name for _, name in self._before]
        self._worked: tuple[list[Any], str] = (
            [],
            "",
        )  # all inputs but the question, and what is shown before that: mostly the same

    def message(self, inputs: Mapping[str, Any]) -> str:
        """Return the message that these inputs make."""
        above = ""
        for name, title in self._above:
            value = inputs[name]
            if type(value) is str:
                text = value
            elif value == ():
                continue
            else:
                text = self._shown(name, value)
            if text:
                block = "\n" if "\n" in text or text.startswith(_LISTS) else ""
                above += f"{title}: {block}{text}\n"
        if self._whole:
            return self._in_whole(inputs, f"{above}\n" if above else "")
        message = self._instruction
        if above:
            above = above.rstrip()
            message = f"{message}\n\n{above}" if message else above
        return f"{message}\n\n{self._format}" if self._format else message

    def _in_whole(self, inputs: Mapping[str, Any], above: str) -> str:
        if not self._shots:
            return above + _filled(self._rest, inputs, self._numbered)
        if not self._steady:
            return above + self._examples(inputs) + _filled(self._rest, inputs, self._numbered)
        given = [inputs[name] for name in inputs if name != "question"]
        latest, text = self._worked
        if len(latest) != len(given) or not all(map(same, latest, given)):
            text = self._examples(inputs)
            self._worked = given, text
        return above + text + _filled(self._rest, inputs, self._numbered)

    def _examples(self, inputs: Mapping[str, Any]) -> str:
        """Return what stands before the question."""
        shots: tuple[Example, ...] = inputs["examples"]
        blocks = [
            f"{_filled(self._rest, {**inputs, 'question': shot.question}, self._numbered)} {self._written(shot)}\n\n"
            for shot in shots
        ]
        return _filled(self._before, inputs, self._numbered) + "".join(blocks)

    def _shown(self, name: str, value: Any) -> str:
        if isinstance(value, Tools):
            return value.described(self._finish)
        return shown(value, numbered=name in self._numbered)


_seen: dict[int, Example] = {}  # examples that were looked at, kept so that none of their places is taken by another


def check_immutable(value: Any) -> None:
    """Refuse an input that is no immutable value. Examples come with every call, and are looked at once.

    Raises:
        UsageError: it is none.
    """
    parts = cast("tuple[Any, ...]", value if type(value) is tuple else (value,))
    if {*map(type, parts)} == {str} or all(_seen.get(id(one)) is one for one in parts):
        return
    plain(cast("Any", value))
    if len(_seen) >= MOST_SEEN:
        _seen.clear()
    _seen.update((id(one), one) for one in parts if type(one) is Example)


def same(one: Any, other: Any) -> bool:
    """Return whether two inputs are one, or tuples of the same."""
    if one is other:
        return True
    return type(one) is tuple and type(other) is tuple and len(one) == len(other) and all(map(is_, one, other))  # pyright: ignore[reportUnknownArgumentType]


def shown(value: Any, *, numbered: bool = False) -> str:
    """Return an input as text; empty if there is nothing to show."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        if items and isinstance(items[0], Example):
            return ""
        texts = ["; ".join(map(str, cast("Any", item))) if isinstance(item, tuple) else str(item) for item in items]
        return "\n".join(f"{n}. {text}" if numbered else f"- {text}" for n, text in enumerate(texts, 1))
    if isinstance(value, Transcript):
        return "\n".join(value.lines())
    if isinstance(value, Tools):
        return value.described("")
    return str(value)


def titled(name: str) -> str:
    """Return a parameter's name as a label."""
    return name.replace("_", " ").capitalize()


def called(call: ToolCall) -> str:
    """Return a call as the text protocol writes it."""
    values = list(call.arguments.values())
    if len(values) == 1 and isinstance(values[0], str):
        return f"{call.name}[{values[0]}]"
    return f"{call.name}[{text_of(json_of(call.arguments)) if values else ''}]"


def complaint_of(reason: str) -> str:
    """Return what a repair says about a reply."""
    return f"This reply could not be read: {reason[:COMPLAINT]}. Keep to the format."


def joined(request: "Request") -> str:
    """Return the whole request as one text."""
    persona = request.options.get("persona", "")
    parts = [persona] if persona else []
    parts.append(request.message)
    if request.steps is not None:
        thoughts = request.head.format != "act"
        lines = request.steps.lines(thoughts=thoughts)
        if not request.native:
            lines.append(f"{'Thought' if thoughts else 'Action'} {len(request.steps) + 1}:")
        if lines:
            parts.append("\n".join(lines))
    for reply, complaint in request.repair:
        parts += [reply, complaint]
    return "\n\n".join(parts)


def messages(request: "Request") -> tuple[Message, ...]:
    """Return the request as messages: a turn is an assistant message and what came back."""
    found: list[Message] = []
    if persona := request.options.get("persona"):
        found.append(Message("system", (Text(persona),)))
    blobs = [Blob(one.media_type, one.data) for one in request.attached]
    found.append(Message("user", (Text(request.message), *blobs)))
    for number, turn in enumerate(request.steps or (), 1):
        if not request.native:
            said, _, seen = request.steps.lines(request.head.format != "act")[number - 1].partition("\nObservation")  # pyright: ignore[reportOptionalMemberAccess]
            found.append(Message("assistant", (Text(said),)))
            if seen:
                found.append(Message("user", (Text(f"Observation{seen}"),)))
            continue
        calls = [
            Call(f"call_{number}_{place}", call.name, text_of(json_of(call.arguments)))
            for place, call in enumerate(turn.step.calls)
        ]
        found.append(Message("assistant", _said(turn.step, calls)))
        if calls:
            pairs = zip(calls, turn.observations, strict=False)
            found.append(
                Message("tool", tuple(Result(c.id, c.name, seen.text, failed=seen.failed) for c, seen in pairs))
            )
    for reply, complaint in request.repair:
        found += [Message("assistant", (Text(reply),)), Message("user", (Text(complaint),))]
    return tuple(found)


def _said(step: Step, calls: list[Call]) -> tuple[Part, ...]:
    """Return what a model said in a step: part by part as it said it if that is known, with the calls' ids of ours."""
    kept: tuple[Part, ...] | None = getattr(step, "_parts", None)
    if kept is None or sum(isinstance(part, Call) for part in kept) != len(calls):
        words = [Text(step.thought)] if step.thought else []
        return (*words, *calls) if step.answer is None else (*words, Text(step.answer), *calls)
    left = iter(calls)
    parts: list[Part] = []
    for part in kept:
        if isinstance(part, Call):
            call = next(left)
            call.opaque = part.opaque
            parts.append(call)
        else:
            parts.append(part)
    return tuple(parts)


def _segments(template: str, names: tuple[str, ...]) -> tuple[Segment, ...]:
    found: list[Segment] = []
    literal, last = "", 0
    for match in re.finditer(r"\{(\w+)\}", template):
        literal += template[last : match.start()]
        last = match.end()
        if match[1] in names:
            found.append((literal, match[1]))
            literal = ""
        else:
            literal += match[0]
    return (*found, (literal + template[last:], ""))


def _filled(segments: tuple[Segment, ...], inputs: Mapping[str, Any], numbered: frozenset[str]) -> str:
    text = ""
    for literal, name in segments:
        text += literal
        if name:
            value = inputs[name]
            text += value if type(value) is str else shown(value, numbered=name in numbered)
    return text
