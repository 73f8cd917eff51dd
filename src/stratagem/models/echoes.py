"""A key that a server sends back in a good reply: some show the headers that they got. It must not be recorded.

Rule 1: each occurrence of the key, as it is, becomes the name of its variable: `[key of OPENAI_API_KEY]`.
        One that stands across several parts of a draw makes one part of them: the rest of it could be put together again.
Rule 2: a piece of a stream is held back for as long as it may be the beginning of the key.
Rule 3: only the key knows its value: it stands in no attribute and no local variable of this module.
"""

from collections.abc import Callable
from typing import cast

from stratagem.core import Delta, Json, Sample
from stratagem.core._canonical import is_object
from stratagem.core.message import Call, Part, Text, Thought
from stratagem.models.keys import Key


def sample_without(sample: Sample, key: Key) -> Sample:
    """Return a draw without a key; itself if it is not in it."""
    change = key.named
    text, calls = change(sample.text), tuple((change(name), _each(given, change)) for name, given in sample.calls)
    parts = None if sample.parts is None else tuple(_part(part, change) for part in sample.parts)
    if parts is not None:
        parts = _whole(_whole(parts, Text, change), Thought, change)
    same = parts is None or sample.parts is None or _same(parts, sample.parts)
    if same and text == sample.text and calls == sample.calls:
        return sample
    made = Sample(text, calls, sample.finish, sample.logprobs, parts)
    made.via = sample.via
    return made


def _part(part: Part, change: Callable[[str], str]) -> Part:
    opaque = _each(part.opaque, change)
    if isinstance(part, Text):
        return Text(change(part.text), opaque)
    if isinstance(part, Thought):
        return Thought(change(part.text), opaque)
    if isinstance(part, Call):
        return Call(part.id, change(part.name), change(part.arguments), opaque)
    return part


def _whole(parts: tuple[Part, ...], kind: type[Text | Thought], change: Callable[[str], str]) -> tuple[Part, ...]:
    """Return parts of which those of a kind hold no key together either; if they do, one stands for all of them."""
    said = "".join(part.text for part in parts if isinstance(part, kind))
    if change(said) == said:
        return parts
    first = next(place for place, part in enumerate(parts) if isinstance(part, kind))
    one = kind(change(said), None)  # what is opaque belongs to what a part said before
    return tuple(
        one if place == first else part
        for place, part in enumerate(parts)
        if place == first or not isinstance(part, kind)
    )


def _same(some: tuple[Part, ...], others: tuple[Part, ...]) -> bool:
    return len(some) == len(others) and all(map(_equal, some, others))


def _equal(one: Part, other: Part) -> bool:
    said = [
        part.text
        if isinstance(part, Text | Thought)
        else (part.name, part.arguments)
        if isinstance(part, Call)
        else None
        for part in (one, other)
    ]
    return said[0] == said[1] and one.opaque == other.opaque


def _each(value: Json, change: Callable[[str], str]) -> Json:
    """Return data with every text in it changed, the names of its objects included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each(one, change) for one in cast("list[Json]", value)]
    if is_object(value):
        return {change(name): _each(one, change) for name, one in value.items()}
    return value


class Pieces:
    """Hands the pieces of a reply on, without a key.

    Args:
        hear: what hears of them.
        key: that must not come through.
    """

    __slots__ = ("_hear", "_held", "_key")

    def __init__(self, hear: Callable[[Delta], None], key: Key) -> None:
        self._hear, self._key = hear, key
        self._held: dict[int, tuple[str, str]] = {}  # by draw: the ends of its words and of its thoughts

    def __call__(self, delta: Delta) -> None:
        """Hand on what is certain of a piece."""
        text, thought = self._held.get(delta.sample, ("", ""))
        text, more = self._certain(text + delta.text)
        thought, beyond = self._certain(thought + delta.thought)
        self._held[delta.sample] = more, beyond
        if text or thought:
            self._hear(Delta(delta.sample, text, thought, delta.attempt))

    def end(self) -> None:
        """Hand on what was held back: nothing follows it."""
        held, self._held = self._held, {}
        for sample, (text, thought) in held.items():
            if text or thought:
                self._hear(Delta(sample, text, thought))

    def _certain(self, text: str) -> tuple[str, str]:
        """Return a text without the key, and its end if that may be the beginning of it."""
        text = self._key.named(text)
        begun = self._key.begun(text)
        return text[:begun], text[begun:]
