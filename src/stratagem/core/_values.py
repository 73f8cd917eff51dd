"""The values that flow between strategies. All are immutable."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from stratagem.core._canonical import Json, clean, hashed, json_of, text_of
from stratagem.core._label import UNKNOWN, Label
from stratagem.core._ranges import Share
from stratagem.core._value import Frozen, Value, fill, setters
from stratagem.errors import ToolError

T_co = TypeVar("T_co", covariant=True)

Stop = Literal["answered", "no_answer", "unparsed", "refused", "budget", "cancelled", "suspended"]
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Attachment:
    """A document or an image that belongs to a text.

    Args:
        name: what it is called, for example a file name.
        media_type: for example `text/plain` or `image/png`.
        data: the bytes.
        label: where it came from; unlabelled is untrusted and private.
    """

    __slots__ = ("_digest", "data", "label", "media_type", "name")

    def __init__(self, name: str, media_type: str, data: bytes, label: Label = UNKNOWN) -> None:
        self.name, self.media_type, self.data, self.label = name, media_type, data, label
        self._digest = ""

    @property
    def digest(self) -> str:
        """The digest of the bytes, worked out once: what is attached is sent at every turn."""
        if not self._digest:
            self._digest = hashed(b"b" + self.data).hex()
        return self._digest

    def plain(self) -> Json:
        """Return what enters a digest: name, type, length and digest of the bytes."""
        return [self.name, self.media_type, len(self.data), self.digest]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attachment) and self.plain() == other.plain()

    def __hash__(self) -> int:
        return hash((self.name, self.data))

    def __repr__(self) -> str:
        return f"Attachment({self.name!r}, {self.media_type!r}, {len(self.data)} bytes)"


class Content(str):
    """A text that carries attachments and a label. Passing it on keeps them; formatting it keeps the text only."""

    attachments: tuple[Attachment, ...]
    label: Label

    def __new__(cls, text: str = "", attachments: tuple[Attachment, ...] = (), label: Label = UNKNOWN) -> "Content":
        made = super().__new__(cls, clean(text))
        made.attachments, made.label = attachments, label
        return made

    @property
    def whole_label(self) -> Label:
        """The label of the text and of all that is attached to it."""
        label = self.label
        for one in self.attachments:
            label = label | one.label
        return label

    def __reduce__(self) -> tuple[Any, ...]:
        return (Content, (str(self), self.attachments, self.label))

    def plain(self) -> Json:
        """Return the text, with its attachments if there are any."""
        if not self.attachments:
            return str(self)
        return {"$": "Content", "text": str(self), "attachments": [one.plain() for one in self.attachments]}


class Example(Value):
    """A solved problem of the training split."""

    question: str
    answer: str
    rationale: str | None

    def __init__(self, question: str, answer: str, rationale: str | None = None) -> None:
        fill(self, {"question": question, "answer": answer, "rationale": rationale})


def frozen(value: Any) -> Any:
    """Return JSON data that nobody can change any more."""
    if isinstance(value, (dict, Mapping)):
        return MappingProxyType({str(key): frozen(item) for key, item in value.items()})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    return value


class ToolCall(Frozen):
    """A tool call that a model chose. The argument named `""` is one that the text protocol did not name.

    Args:
        name: of the tool.
        arguments: JSON data by name; what is kept is a copy that nobody can change.
    """

    __slots__ = ("name", "_form", "_frozen", "_text")  # noqa: RUF023  (the order of `setters`)

    name: str
    _form: Json
    _frozen: Mapping[str, Any] | None
    _text: str | None

    def __init__(self, name: str, arguments: Mapping[str, Any] = NOTHING) -> None:
        _set_name(self, name)
        _set_form(self, json_of(arguments))
        _set_frozen(self, None)
        _set_call_text(self, None)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments by name, deeply frozen."""
        known = self._frozen
        if known is None:
            known = frozen(self._form)
            _set_frozen(self, known)
        return known

    @property
    def text(self) -> str:
        """The arguments as canonical JSON, written once: they are part of a request and of a turn. Core only."""
        known = self._text
        if known is None:
            known = text_of(self._form)
            _set_call_text(self, known)
        return known

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolCall) and (self.name, self._form) == (other.name, other._form)

    def __hash__(self) -> int:
        return hash((self.name, self.text))

    def __repr__(self) -> str:
        return f"ToolCall({self.name!r}, {self._form!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (ToolCall, (self.name, self._form))

    def plain(self) -> Json:
        """Return name and arguments as JSON, to be read only."""
        return [self.name, self._form]


_set_name, _set_form, _set_frozen, _set_call_text = setters(ToolCall)


class Observation(Value):
    """What came back from a tool. A failure is text, because the model must see it.

    Attributes:
        text: what the model reads.
        failed: whether the call failed; `value` then raises `ToolError`.
        result: the tool's value as JSON; None if it is the text.
        sources: locators that the tool states, such as `docs/manual.md:42`.
        label: where the text came from.
    """

    __slots__ = ("text", "failed", "result", "sources", "label", "_at")  # noqa: RUF023
    _uncompared = frozenset({"result", "label"})
    _unshown = frozenset({"label"})

    text: str
    failed: bool
    result: Json
    sources: tuple[str, ...]
    label: Label

    def __init__(
        self,
        text: str,
        failed: bool = False,  # noqa: FBT002  (a value, not a switch)
        result: Json = None,
        sources: tuple[str, ...] = (),
        label: Label = UNKNOWN,
    ) -> None:
        _set_text(self, text)
        _set_failed(self, failed)
        _set_result(self, result)
        _set_sources(self, sources)
        _set_label(self, label)

    @property
    def value(self) -> Any:
        """The tool's value; `ToolError` if the call failed."""
        if self.failed:
            raise ToolError(self.text)
        return self.text if self.result is None else self.result

    def plain(self) -> Json:
        """Return what the model sees of it."""
        return [self.text, self.failed]


_set_text, _set_failed, _set_result, _set_sources, _set_label, _ = setters(Observation)


class Step(Value):
    """What a model does next: call tools, or finish with an answer."""

    __slots__ = ("thought", "calls", "answer", "_at", "_parts")  # noqa: RUF023

    thought: str
    calls: tuple[ToolCall, ...]
    answer: str | None

    def __init__(self, thought: str = "", calls: tuple[ToolCall, ...] = (), answer: str | None = None) -> None:
        _set_thought(self, thought)
        _set_calls(self, calls)
        _set_answer(self, answer)

    def plain(self) -> Json:
        """Return the step as JSON."""
        return [self.thought, [call.plain() for call in self.calls], self.answer]


_set_thought, _set_calls, _set_answer, _, set_parts = setters(Step)  # the last is the core's: how a model said it


class Act(Step):
    """A step without a thought: the return type of signatures that ask for the action only."""

    __slots__ = ()
    __init__ = Step.__init__  # or a type checker takes the fields for parameters without defaults


class Usage(NamedTuple):
    """What something cost.

    Attributes:
        calls: draws: what budgets and call formulas count.
        requests: HTTP attempts.
        prompt_tokens: cached ones included.
        completion_tokens: reasoning included.
        usd: None is unknown, never zero.
        estimated: whether a part is an upper bound that nobody confirmed.
        known_usd: where `usd` is unknown, the part of it that is known.
        unpriced: where `usd` is unknown, the calls whose price is; 0 in what one call cost.
    """

    calls: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    reasoning_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0
    estimated: bool = False
    known_usd: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def plain(self) -> Json:
        """Return the usage as JSON: the keys of the command line's `usage`; the last two only where a price is unknown."""
        form = self._asdict()
        if self.usd is not None:
            del form["known_usd"], form["unpriced"]
        return form

    @property
    def bound(self) -> str:
        """What stands before a number of tokens or dollars: `≤ ` where it is a bound that nobody confirmed."""
        return "≤ " if self.estimated else ""

    @property
    def size(self) -> str:
        """How many tokens it took, in words."""
        return f"{self.bound}{self.tokens:,} token{'' if self.tokens == 1 else 's'}"

    @property
    def money(self) -> str:
        """What it cost, in words; what is unknown is never left out, and never zero."""
        if self.usd is not None:
            return f"{self.bound}${self.usd:.4g}" if self.usd else "no charge"
        if not self.known_usd:
            return "cost unknown"
        calls = f"{self.unpriced:,} call{'' if self.unpriced == 1 else 's'}"
        return f"{self.bound}${self.known_usd:.4g} + {calls} of unknown price"

    def __add__(self, other: object) -> "Usage":
        """Add up field by field; an unknown price makes the sum unknown."""
        if not isinstance(other, Usage):
            return NotImplemented
        known, unpriced = 0.0, 0
        if self.usd is None or other.usd is None:
            known, unpriced = self.known + other.known, self.unknown + other.unknown
        return Usage(
            self.calls + other.calls,
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_written_tokens + other.cache_written_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
            self.seconds + other.seconds,
            self.estimated or other.estimated,
            known,
            unpriced,
        )

    def less(self, other: "Usage") -> "Usage":
        """Return what is beyond another usage, field by field, never below zero; `seconds` stay."""
        counts = {name: max(0, getattr(self, name) - getattr(other, name)) for name in self._fields[:7]}
        known, unpriced = max(0.0, round(self.known - other.known, 9)), max(0, self.unknown - other.unknown)
        dollars: dict[str, Any] = {"usd": known}
        if unpriced:
            dollars = {"usd": None, "known_usd": known, "unpriced": unpriced}
        return self._replace(**counts, **{"known_usd": 0.0, "unpriced": 0, **dollars})

    @property
    def known(self) -> float:
        """The dollars that are known."""
        return self.known_usd if self.usd is None else self.usd

    @property
    def unknown(self) -> int:
        """The calls whose price is not."""
        return 0 if self.usd is not None else self.unpriced or max(self.calls, 1)


class EffectCounts(NamedTuple):
    """What became of a run's recorded and new effects while it was driven last.

    Attributes:
        reused: recorded, and asked for again.
        performed: new, failed ones included.
        unused: recorded, and not asked for: the program has changed, or has not got there.
    """

    reused: int = 0
    performed: int = 0
    unused: int = 0


class Draw(Value, Generic[T_co]):
    """One draw of a sample: its typed value, and what the model sent with it."""

    value: T_co
    text: str
    logprobs: tuple[float, ...] | None
    finish: str

    def __init__(self, value: T_co, text: str, logprobs: tuple[float, ...] | None, finish: str) -> None:
        fill(self, {"value": value, "text": text, "logprobs": logprobs, "finish": finish})


class Verdict(Value):
    """What a judge says about an answer; `score` is in [0, 1]."""

    passed: bool
    score: Share
    feedback: str

    def __init__(self, passed: bool, score: Share, feedback: str = "") -> None:
        fill(self, {"passed": passed, "score": score, "feedback": feedback})


class Preference(Value):
    """What a pairwise judge says about an answer and its rival; `first` in [0, 1] is for the answer."""

    first: Share
    feedback: str

    def __init__(self, first: Share, feedback: str = "") -> None:
        fill(self, {"first": first, "feedback": feedback})


class Execution(Value):
    """What came of code that was executed in the sandbox."""

    output: str
    error: str
    value: Json
    timed_out: bool

    def __init__(self, output: str, error: str = "", value: Json = None, timed_out: bool = False) -> None:  # noqa: FBT002
        fill(self, {"output": output, "error": error, "value": value, "timed_out": timed_out})


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def printable(text: str) -> str:
    r"""Return the text as a terminal may show it: no control character but newline and tab, no bidi control.

    >>> print(printable("a\x1b[31mb"))
    a\x1b[31mb
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)
