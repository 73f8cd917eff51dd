"""Chat completions as data: a request's body, and what replies and streams of chunks say. Nothing is sent here.

Rule 1: a field is sent if it was set and the model honours it; nothing has a default of ours.
Rule 2: no reply is believed to be whole because it ended: each draw has a reason for its end, or the stream its mark.
"""

import hashlib
import json
import math
from base64 import b64encode
from collections.abc import Callable
from typing import cast

from stratagem.core import Delta, Json, Request, Sample, Usage
from stratagem.core._canonical import is_object
from stratagem.core.message import Blob, Call, Message, Part, Result, Text, Thought
from stratagem.models.compatible_calls import Calls
from stratagem.models.retry import bad, cut, undelivered
from stratagem.models.table import Row

MOST_STOPS = 4
DETAILS = "reasoning_details"  # of OpenRouter: what was thought, with what proves it
_JOINER = "\u200d"
_MARKS = ("<|", "<\uff5c")  # how chat templates begin what is no text
# Reasons that say that something went wrong: what came before them is no answer.
_BROKEN = frozenset(
    {"error", "abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource", "failed"}
)
_ENDS = {
    "length": "length", "max_tokens": "length", "tool_calls": "tool_calls", "function_call": "tool_calls",
    "content_filter": "filtered",
}  # fmt: skip


def body(request: Request, row: Row, name: str, n: int, *, stream: bool) -> dict[str, Json]:
    """Return the JSON body of a request for `n` draws."""
    options, fields = request.options, row.capabilities(name).fields - request.head.dropped
    form: dict[str, Json] = {"model": name, "messages": [one for m in request.messages for one in _messages(m, row)]}
    for option, field in (("temperature", "temperature"), ("top_p", "top_p"), ("effort", "reasoning_effort")):
        if option in options and option in fields:
            form[field] = options[option]
    most = request.max_tokens if request.max_tokens is not None else options.get("max_tokens")
    if most is not None:
        form[row.limit] = most
    if (stops := stops_of(request)) and "stop" in fields:
        form["stop"] = list(stops)[:MOST_STOPS]
    if "seed" in options and "seed" in fields:
        form["seed"] = seed_of(request)
    if wants_logprobs(request):
        form["logprobs"] = True
        if type(options["logprobs"]) is int and options["logprobs"] > 0:
            form["top_logprobs"] = options["logprobs"]
    if request.native and request.tools is not None and len(list(request.tools)):
        form["tools"] = [{"type": "function", "function": schema} for schema in request.tools.schema()]
    if row.schema == "constrained" and request.head.schema is not None and closed(request.head.schema):
        wanted = {"name": "reply", "schema": request.head.schema, "strict": True}
        form["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if n > 1:
        form["n"] = n
    if stream:
        form["stream"], form["stream_options"] = True, {"include_usage": True}
    return form


def wants_logprobs(request: Request) -> bool:
    """Return whether log-probabilities are asked for."""
    given = request.options.get("logprobs")
    return given is not None and given is not False


def stops_of(request: Request) -> tuple[str, ...]:
    """Return where a reply stops; those of the text protocol mean nothing where tools travel natively."""
    own: tuple[str, ...] = () if request.native else request.signature.stop
    return tuple(dict.fromkeys((*own, *request.options.get("stop", ()))))


def seed_of(request: Request) -> int:
    """Return 31 bits of the asked seed and the place of the draw: draws and branches differ, runs repeat."""
    place = f"{request.options['seed']} {request.path} {request.occurrence}"
    return int.from_bytes(hashlib.sha256(place.encode(errors="replace")).digest()[:4], "big") >> 1


def closed(schema: Json) -> bool:
    """Return whether a schema is in the subset that servers constrain to: closed objects with all of it required."""
    if not is_object(schema) or schema.get("type") != "object":
        return False
    return _closed(schema)


def _closed(schema: Json) -> bool:
    if isinstance(schema, list):
        return all(map(_closed, cast("list[Json]", schema)))
    if not is_object(schema):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
        return all(map(_closed, properties.values()))
    return all(map(_closed, schema.values()))


def _messages(message: Message, row: Row) -> list[dict[str, Json]]:
    """Return a message as the wire has it: results of tools are messages of their own."""
    shielded = shield if row.templated else _as_it_is
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": part.id, "content": shielded(part.text)}
            for part in message.parts
            if isinstance(part, Result)
        ]
    words = shielded("\n".join(part.text for part in message.parts if isinstance(part, Text)))
    form: dict[str, Json] = {"role": message.role, "content": words}
    if blobs := [part for part in message.parts if isinstance(part, Blob)]:
        form["content"] = [{"type": "text", "text": words}, *map(_image, blobs)]
    if calls := [part for part in message.parts if isinstance(part, Call)]:
        form["content"] = words or None
        form["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": shielded(c.arguments)}}
            for c in calls
        ]
        form |= _thoughts(message, row)
    return [form]


def _thoughts(message: Message, row: Row) -> dict[str, Json]:
    """Return what was thought before a turn's calls, where the server wants it back. It knows its own thoughts only."""
    if not row.thoughts:
        return {}
    found = [part for part in message.parts if isinstance(part, Thought) and row.prefix in (part.opaque or {})]
    if row.thoughts == DETAILS:
        return {DETAILS: [one for part in found for one in part.opaque[row.prefix]]} if found else {}
    return {row.thoughts: "".join(part.text for part in found)} if found else {}


def _image(blob: Blob) -> dict[str, Json]:
    url = f"data:{blob.media_type};base64,{b64encode(blob.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _as_it_is(text: str) -> str:
    return text


def shield(text: str) -> str:
    """Return a text in which no mark of a chat template begins: a document must not end a turn."""
    for mark in _MARKS:
        text = text.replace(mark, f"{mark[0]}{_JOINER}{mark[1]}")
    return text


def unshield(text: str) -> str:
    """Return a text as it was before `shield`."""
    for mark in _MARKS:
        text = text.replace(f"{mark[0]}{_JOINER}{mark[1]}", mark)
    return text


class Draft:
    """One draw, as far as it has come."""

    __slots__ = ("begun", "calls", "details", "finish", "logprobs", "refusal", "text", "thought")

    def __init__(self) -> None:
        self.text, self.refusal, self.thought = list[str](), list[str](), list[str]()
        self.details: list[dict[str, Json]] = []
        self.calls = Calls()
        self.logprobs: list[float] | None = None
        self.finish: str | None = None
        self.begun = False  # whether anything has come that is of a message

    def sample(self, request: Request, row: Row) -> Sample:
        """Return the draw."""
        text = "".join(self.text)
        if row.templated:
            text = unshield(text)
        for stop in stops_of(request):  # servers that do not take them, or not all of them, go on
            text = text.partition(stop)[0]
        calls = tuple(
            (name, arguments_of(unshield(given) if row.templated else given)) for name, given in self.calls.ended()
        )
        finish = _ENDS.get(self.finish or "", "stop")
        if self.refusal and not text:
            return Sample("".join(self.refusal), finish="refusal")
        if finish in ("stop", "tool_calls"):
            finish = "tool_calls" if calls else "stop"
        logprobs = None if self.logprobs is None else tuple(self.logprobs)
        return Sample(text, calls, finish, logprobs, self._parts(text, calls, row) if calls and row.thoughts else None)

    def _parts(self, text: str, calls: tuple[tuple[str, Json], ...], row: Row) -> tuple[Part, ...] | None:
        """Return the draw part by part, if it was thought about: the server wants that back."""
        kept: Json = self.details if row.thoughts == DETAILS else {}
        if not (self.details if row.thoughts == DETAILS else self.thought):
            return None
        said = (Text(text),) if text else ()
        return (Thought("".join(self.thought), {row.prefix: kept}), *said, *(Call("", name, "") for name, _ in calls))

    @property
    def silent(self) -> bool:
        """Whether it ended for a call that is not there, and says nothing else."""
        return _ENDS.get(self.finish or "") == "tool_calls" and not (self.calls or self.text or self.refusal)

    def add(self, choice: Json, said: Json, *, whole: bool) -> tuple[str, str]:
        """Take in a choice and its message (`whole`), or a piece of one; return the words and the thought in it."""
        if not isinstance(said.get("content"), str | list | None):
            raise TypeError("what was said is no text")
        text, thought = _words(said, "content"), _words(said, "reasoning_content") or _words(said, "reasoning")
        if text:
            self.text.append(text)
        if thought:
            self.thought.append(thought)
        for piece in said.get(DETAILS) or ():
            _detailed(self.details, piece)
        if refusal := _words(said, "refusal"):
            self.refusal.append(refusal)
        self.calls.add(said.get("tool_calls"), whole=whole)
        probed = choice.get("logprobs")
        if is_object(probed) and isinstance(probed.get("content"), list):
            self.logprobs = (self.logprobs or []) + [_logprob(one) for one in probed["content"]]
        if choice.get("finish_reason"):
            self.finish = str(choice["finish_reason"])
        if choice.get("error"):
            self.finish = "error"
        return text, thought


def _logprob(token: Json) -> float:
    """Return a token's log-probability; not a number if it is none."""
    value = token["logprob"]
    return float(value) if type(value) in (int, float) else math.nan


def _detailed(details: list[dict[str, Json]], piece: dict[str, Json]) -> None:
    """Take in a piece of what OpenRouter says of a thought: those of one kind and place are one, cut by the stream."""
    last = details[-1] if details else None
    if last is None or piece.get("index") is None or any(last.get(key) != piece.get(key) for key in ("type", "index")):
        details.append(dict(piece))
        return
    for key, value in piece.items():
        grows = key in ("text", "summary", "data") and isinstance(value, str)
        if grows or last.get(key) is None:
            last[key] = f"{last.get(key) or ''}{value}" if grows else value


def _words(said: Json, key: str) -> str:
    """Return a text of a message; some servers send it in parts."""
    value = said.get(key)
    if isinstance(value, list):
        parts = cast("list[Json]", value)
        return "".join(part.get("text", "") for part in parts if part.get("type", "text") == "text")
    return value if isinstance(value, str) else ""


def arguments_of(text: str) -> Json:
    """Return a call's arguments as data, or as the text they are if that is no JSON object."""
    if not text.strip():
        return {}
    try:
        given: Json = json.loads(text, parse_constant=_constant)
    except (ValueError, RecursionError):
        return text
    if given is None:
        return {}
    return given if is_object(given) else text


def _constant(word: str) -> Json:
    raise ValueError(word)


class Collected:
    """A reply as it comes: whole, or chunk by chunk."""

    def __init__(self, request: Request, row: Row, where: str, on_delta: Callable[[Delta], None] | None = None) -> None:
        self._request, self._row, self._where, self._on_delta = request, row, where, on_delta
        self.drafts: dict[int, Draft] = {}
        self.usage: Json = None
        self.done = False  # whether the end was marked as such, so that no draw needs a reason for it

    @property
    def received(self) -> str:
        """All text that has come."""
        found: list[str] = []
        for draft in self.drafts.values():
            found += draft.text
            found += draft.calls.received
        return "".join(found)

    def add(self, form: Json, *, key: str) -> None:
        """Take in a reply (`key` is `message`) or a chunk of one (`delta`); `Failure` if it is neither."""
        if not is_object(form):
            raise bad(f"{self._where} sent JSON that is no reply", received=self.received)
        if is_object(form.get("usage")):
            self.usage = form["usage"]
        try:
            choices = form.get("choices") or ()
            for place, choice in enumerate(choices):
                index = _index(choices, place, whole=key == "message")
                draft = self.drafts.get(index)
                if draft is None:
                    draft = self.drafts[index] = Draft()
                said, whole = choice.get(key), key == "message"
                if not whole and not is_object(said) and not draft.begun:
                    said, whole = choice.get("message"), True  # some send all that was said as one chunk
                if is_object(said):
                    draft.begun = True
                elif key == "message":
                    raise bad(f"{self._where} sent a choice without a message")
                text, thought = draft.add(choice, said if is_object(said) else {}, whole=whole)
                if self._on_delta is not None and (text or thought):
                    self._on_delta(Delta(index, text, thought))
        except (AttributeError, TypeError, KeyError, ValueError, OverflowError) as failure:
            what = (
                f"{self._where} sent what is no reply: {type(failure).__name__}"  # no more: it may quote what was sent
            )
            raise bad(what, received=self.received) from None

    def samples(self) -> tuple[Sample, ...]:
        """Return the draws, once all has come; `Failure` if it is not whole."""
        drafts = [draft for _, draft in sorted(self.drafts.items())]
        if not drafts or not all(draft.begun for draft in drafts):
            raise bad(f"{self._where} sent a reply without {'messages' if drafts else 'choices'}")
        if not self.done and any(draft.finish is None for draft in drafts):
            raise cut(f"{self._where} ended its reply without a reason for the end", self.received)
        if broken := next((draft.finish for draft in drafts if draft.finish in _BROKEN), None):
            raise bad(f"{self._where} broke its reply off: {broken}", received=self.received)
        try:
            samples = tuple(draft.sample(self._request, self._row) for draft in drafts)
        except ValueError as failure:
            raise bad(f"{self._where} sent what is no reply: {failure}", received=self.received) from None
        if any(draft.silent for draft in drafts):
            raise bad(f"{self._where} announced a tool call and sent none", received=self.received)
        wanted = wants_logprobs(self._request)
        if wanted and any(not one.logprobs and (one.text or one.logprobs is None) for one in samples):
            remedy = "Use a server that sends them, or leave `logprobs` off."
            raise undelivered(f"{self._where} sent no log-probabilities", self.received, remedy)
        for one in samples:
            if one.logprobs is not None and not all(
                value < math.inf for value in one.logprobs
            ):  # minus infinity is one
                if wanted:
                    raise bad(f"{self._where} sent log-probabilities that are no numbers", received=self.received)
                one.logprobs = None
        return samples


def _index(choices: Json, place: int, *, whole: bool) -> int:
    """Return which draw a choice is; those of a whole reply that do not say it, or not clearly, are as they stand."""
    index = choices[place].get("index")
    if whole:
        said = [choice.get("index") for choice in choices]
        clear = all(type(one) is int for one in said) and len(set(said)) == len(said)
        return index if clear else place
    if index is None:
        return place
    if type(index) is not int:
        raise TypeError("the index of a choice is no number")
    return index


def usage_of(form: Json, prompt: int, received: int) -> Usage:
    """Return what a reply cost, as it says; what it leaves out is the bound, marked as estimated.

    What cannot be is left out as well: a prompt, or words, of no tokens.
    """
    form = form if is_object(form) else {}
    told, said = _count(form, "prompt_tokens") or None, _count(form, "completion_tokens")
    said = None if said == 0 and received else said
    cached = _count(form.get("prompt_tokens_details"), "cached_tokens") or _count(form, "prompt_cache_hit_tokens")
    reasoning = _count(form.get("completion_tokens_details"), "reasoning_tokens")
    return Usage(
        1, 1, prompt if told is None else told, received if said is None else said, cached or 0, 0, reasoning or 0,
        usd=None, estimated=told is None or said is None,
    )  # fmt: skip


def _count(form: Json, key: str) -> int | None:
    value = form.get(key) if is_object(form) else None
    return value if type(value) is int and 0 <= value < 1 << 53 else None
