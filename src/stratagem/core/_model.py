"""The protocol of a model: one request in, one reply out, one attempt.

`Request` is the one type a model sees. The wire sends `messages`, `tools` and `options`; models without a network
(`offline`, `sim:`, `script:`, the test kit) read `signature` and `inputs`, which are never sent and never hashed.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from stratagem.core._canonical import Json, clean, decoded, encoded, quoted, text_of
from stratagem.core._tool import Tools
from stratagem.core._transcript import Transcript
from stratagem.core._values import NOTHING, Attachment, Usage
from stratagem.core.message import Call, Message, Part, Text, Thought

if TYPE_CHECKING:
    from stratagem.core._attempt import Room
    from stratagem.core._signature import Signature


class Capabilities:
    """What a model honours.

    Attributes:
        fields: options and features it takes: `tools temperature top_p stop seed effort logprobs schema max_tokens`.
        native_n: whether one request can bring several draws.
        schema: how it keeps to a JSON schema: `none`, `advisory` or `constrained`.
        media: types of attachments it can read.
        context: tokens of its window; None is unknown.
        max_output: tokens of a reply if the request does not say.
        free: whether it costs nothing, and counts no tokens.
        priced: whether every reply says what it costs; a limit of money refuses a model of which that is unknown.
        worth: returns what a prompt and a reply of so many tokens cost at most, in nano-dollars; None says that a limit
            of money counts what replies cost, and reserves nothing for them.
    """

    __slots__ = ("context", "fields", "free", "max_output", "media", "native_n", "priced", "schema", "worth")

    def __init__(
        self,
        fields: frozenset[str] = frozenset(),
        *,
        native_n: bool = False,
        schema: str = "none",
        media: frozenset[str] = frozenset(),
        context: int | None = None,
        max_output: int = 4096,
        free: bool = False,
        priced: bool = False,
        worth: Callable[[int, int], int] | None = None,
    ) -> None:
        self.fields, self.native_n, self.schema, self.media = fields, native_n, schema, media
        self.context, self.max_output, self.free, self.priced = context, max_output, free, free or priced
        self.worth = worth


FLOOR = -9999.0  # of a log-probability: providers send it, or minus infinity, for what cannot be


class Sample:
    """One draw: what the model said.

    Attributes:
        text: its words.
        calls: tool calls it chose, as (name, arguments); the arguments are JSON data, or the text it wrote
            if that is no JSON object.
        finish: `stop length tool_calls refusal filtered`.
        logprobs: of each token, if asked for.
        parts: its message part by part, if it must be sent back exactly (thoughts, signatures). What is opaque of a part
            is JSON by the provider family that reads it back; it is kept in the journal, and part of no digest.
        via: how it was come by, as JSON, where that was not as usual: `attempts` that failed before, `model` of a chain
            that answered, `corrected` capabilities. It is recorded with the draw, and is no part of what was said.
    """

    __slots__ = ("calls", "finish", "logprobs", "parts", "text", "via")

    def __init__(
        self,
        text: str,
        calls: tuple[tuple[str, Any], ...] = (),
        finish: str = "stop",
        logprobs: tuple[float, ...] | None = None,
        parts: tuple[Part, ...] | None = None,
    ) -> None:
        self.text, self.calls, self.finish, self.logprobs, self.parts = text, calls, finish, logprobs, parts
        self.via: dict[str, Json] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and {**self.form(), "via": None} == {**other.form(), "via": None}

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Sample({self.text!r}, {self.calls!r})"

    def form(self) -> Json:
        """Return the draw as JSON, without what is as usual."""
        form: dict[str, Json] = {"text": self.text}
        if self.calls:
            form["calls"] = [list(call) for call in self.calls]
        if self.finish != "stop":
            form["finish"] = self.finish
        if self.logprobs is not None:
            form["logprobs"] = [max(logprob, FLOOR) for logprob in self.logprobs]
        if self.parts is not None:
            form["parts"] = parts_form(self.parts, self.text)
        if self.via:
            form["via"] = self.via
        return form

    @staticmethod
    def of(form: Json) -> "Sample":
        """Return the draw that `form` wrote."""
        if len(form) == 1:
            return Sample(form["text"])
        logprobs = form.get("logprobs")
        calls = tuple((name, arguments) for name, arguments in form.get("calls", ()))
        parts = parts_of(form["parts"], form["text"], calls) if "parts" in form else None
        finish, probed = form.get("finish", "stop"), None if logprobs is None else tuple(logprobs)
        made = Sample(form["text"], calls, finish, probed, parts)
        made.via = form.get("via")
        return made


def parts_form(parts: tuple[Part, ...], text: str) -> Json:
    """Return a message part by part, without what the draw says anyway: of its words the length, of a call nothing.

    Each part is [kind, its own text or length, what is opaque of it]; the last is left out where there is nothing.
    """
    said = [part.text for part in parts if isinstance(part, Text)]
    told = "".join(said) == text
    form: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            row: list[Json] = ["text", len(part.text) if told else part.text]
        elif isinstance(part, Thought):
            row = ["thought", part.text]
        else:
            row = ["call", None]
        form.append([*row, part.opaque] if part.opaque is not None else row)
    return form


def parts_of(form: Json, text: str, calls: tuple[tuple[str, Any], ...]) -> tuple[Part, ...]:
    """Return the parts that `parts_form` wrote; calls have no id here, and their arguments stand in the draw."""
    parts: list[Part] = []
    begun, left = 0, iter(calls)
    for kind, said, *more in form:
        opaque = more[0] if more else None
        if kind == "call":
            name, arguments = next(left)
            parts.append(Call("", name, arguments if isinstance(arguments, str) else text_of(arguments), opaque))
        elif kind == "thought":
            parts.append(Thought(said, opaque))
        elif isinstance(said, str):
            parts.append(Text(said, opaque))
        else:
            parts.append(Text(text[begun : begun + said], opaque))
            begun += said
    return tuple(parts)


def sample_bytes(sample: Sample) -> bytes:
    """Return a draw as canonical JSON; lone surrogates in it become U+FFFD, in the draw as well."""
    try:
        if sample.finish == "stop" and sample.logprobs is None and sample.parts is None and sample.via is None:
            calls = f'"calls":{text_of(list(map(list, sample.calls)))},' if sample.calls else ""
            return f'{{{calls}"text":{quoted(sample.text)}}}'.encode()
        return encoded(sample.form())
    except UnicodeEncodeError:
        cleaned = Sample.of(decoded(clean(text_of(sample.form())).encode()))
        sample.text, sample.calls, sample.parts = cleaned.text, cleaned.calls, cleaned.parts
        return encoded(cleaned.form())


class Reply:
    """What came of one request: its draws and what they cost. `usage` None costs nothing and counts no tokens.

    Attributes:
        dropped: soft options that were left off.
        attempts: what failed before, each in a word or two.
        request_id: the provider's own id of the request.
        by: spec of the model that answered, if the one that was asked is a chain of several.
        headers: of the answer, names in lower case, for whoever counts rates; they are not recorded.
    """

    __slots__ = ("attempts", "by", "dropped", "headers", "request_id", "samples", "usage")

    def __init__(
        self,
        samples: tuple[Sample, ...],
        usage: Usage | None = None,
        *,
        dropped: frozenset[str] = frozenset(),
        attempts: tuple[str, ...] = (),
        request_id: str | None = None,
        by: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.samples, self.usage, self.dropped = samples, usage, dropped
        self.attempts, self.request_id, self.by, self.headers = attempts, request_id, by, headers


class Delta:
    """A piece of a reply that is still being written. What an earlier `attempt` had brought is void."""

    __slots__ = ("attempt", "sample", "text", "thought")

    def __init__(self, sample: int, text: str = "", thought: str = "", attempt: int = 1) -> None:
        self.sample, self.text, self.thought, self.attempt = sample, text, thought, attempt


class Head:
    """What all requests of one signature under one set of options have in common, made once.

    Attributes:
        digest: of model, options, instruction, format, tools and renderer version.
        form: the same as JSON, for the journal.
        spec: of the model.
        native: whether tools travel natively; else they are described in the text.
        format: `text`, `fields`, `json`, `step` or `act`.
        dropped: soft options that the model does not honour; they are left off and recorded.
    """

    __slots__ = (
        "digest",
        "dropped",
        "form",
        "format",
        "instruction",
        "model",
        "native",
        "options",
        "schema",
        "spec",
        "tools",
    )

    def __init__(
        self,
        digest: bytes,
        form: Json,
        model: "Model",
        options: Mapping[str, Any],
        instruction: str,
        *,
        native: bool,
        format: str,  # noqa: A002
        schema: Json,
        tools: Tools | None,
    ) -> None:
        self.digest, self.form, self.model, self.spec, self.options = digest, form, model, model.spec, options
        self.instruction, self.native, self.format, self.schema, self.tools = instruction, native, format, schema, tools
        self.dropped: frozenset[str] = frozenset()


class Request:
    """One model call, as a model sees it.

    Attributes:
        signature: what is asked; `name`, `inputs` (types), `output` (type), `acts`.
        inputs: its typed inputs by name.
        head: instruction, options, tools, model: what equal calls share.
        message: the first message's text.
        steps: the conversation so far, if the reply is a `Step`.
        repair: earlier unreadable replies to the same request, each with the complaint.
        digest: 32 bytes over all that is sent.
        path: scope path of the strand that asks.
        occurrence: how often the same was asked there before; (path, occurrence) is the place of a draw.
        n: draws wanted.
        max_tokens: of the reply, if the request or the budget says.
        seed: of the run.
        attached: documents and images of all inputs, in order.
        run: id of the run that asks: gates are shared fairly between runs. Neither sent nor hashed, as the next two.
        within_s: seconds that the run's budgets leave.
        room: asked before another attempt whether the budgets can pay for it beside what failed ones have cost; None if
            neither tokens nor money are limited.
    """

    __slots__ = (
        "attached", "digest", "head", "inputs", "max_tokens", "message", "n", "occurrence", "path", "repair",
        "room", "run", "seed", "signature", "steps", "within_s",
    )  # fmt: skip

    def __init__(
        self,
        signature: "Signature[..., Any]",
        inputs: Mapping[str, Any],
        head: Head,
        message: str,
        steps: Transcript | None,
        repair: tuple[tuple[str, str], ...],
        digest: bytes,
        path: str,
        occurrence: int = 0,
        n: int = 1,
        max_tokens: int | None = None,
        seed: int = 0,
        attached: tuple[Attachment, ...] = (),
    ) -> None:
        self.signature, self.inputs, self.head, self.message, self.steps = signature, inputs, head, message, steps
        self.repair, self.digest, self.path, self.occurrence = repair, digest, path, occurrence
        self.n, self.max_tokens, self.seed, self.attached = n, max_tokens, seed, attached
        self.run, self.within_s = "", math.inf
        self.room: Room | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """Model options that were set: `temperature top_p max_tokens stop seed effort logprobs ...`."""
        return self.head.options

    @property
    def native(self) -> bool:
        """Whether tools travel natively."""
        return self.head.native

    @property
    def tools(self) -> Tools | None:
        """The tools the model may call."""
        return self.head.tools

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages that a wire sends."""
        from stratagem.core._render import messages  # noqa: PLC0415  (rendering imports this module)

        return messages(self)

    @property
    def text(self) -> str:
        """The whole request as one text: what the text protocol sends where it must be one."""
        from stratagem.core._render import joined  # noqa: PLC0415

        return joined(self)


class Model(Protocol):
    """A language model, or what stands for one.

    `complete` performs one attempt. It may return the reply at once, which costs less, or an awaitable; only an
    awaitable gets a time-out.
    """

    spec: str
    capabilities: Capabilities

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the fields that it cannot honour in this combination."""
        ...

    def complete(
        self, request: Request, *, on_delta: Callable[[Delta], None] | None = None
    ) -> Reply | Awaitable[Reply]:
        """Answer a request, or raise a `ModelError`."""
        ...

    def tokens(self, text: str) -> int:
        """Return the number of tokens of a text, or a bound that it never exceeds."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections."""
        ...


NO_OPTIONS: Mapping[str, Any] = NOTHING
