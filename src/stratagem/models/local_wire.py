"""What a request to a local model says beyond chat completions, and what its reply is held to.

Rule 1: where a form is wanted, the model is held to it by a grammar, token by token: a reply that is whole can be read.
        One that was cut is an error, and no answer.
Rule 2: tools travel as the model's own template has them. Where it has none, they are described in the first message, and
        the reply is one JSON object: a thought, and a tool with its arguments or the answer.
Rule 3: no text can say what is no text: marks of the model's vocabulary are broken in whatever is sent.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from stratagem.core import Capabilities, Clock, Delta, Json, Reply, Request, Sample
from stratagem.core._canonical import is_object
from stratagem.errors import UnparsedReply
from stratagem.models.compatible import Compatible
from stratagem.models.compatible_body import Collected, arguments_of, body
from stratagem.models.keys import Key
from stratagem.models.retry import Failure
from stratagem.models.table import ROWS, Row
from stratagem.models.transport import Times

LONGEST_THOUGHT = 600  # characters; small models repeat themselves without an end
MOST_TOKENS = 4096  # of a reply, if the request does not say
TIMES = Times(first=600.0, between=600.0)  # requests wait for their turn in the server, and its time is ours
_JOINER = "\u200d"
_HOW = """\
Tools:
{tools}

Reply with one JSON object. To use a tool: {example}. When you know the answer: {last}."""


def row_of(name: str, url: str) -> Row:
    """Return what is known of our own server."""
    # Draws are requests of their own: so each has the seed of its place, whether one or ten are asked for.
    return replace(ROWS["llamacpp"], prefix="local", title=f"llama.cpp with {name}", url=url, native_n=False)


def capabilities_of(name: str, context: int) -> Capabilities:
    """Return what a local model honours."""
    fields = row_of(name, "").capabilities(name).fields
    most = min(MOST_TOKENS, context // 2)
    return Capabilities(fields, schema="constrained", context=context, max_output=most)


class LocalWire(Compatible):
    """A model of our own server.

    Args:
        row: of the server, and its address.
        name: of the model.
        key: what authorises requests there.
        capabilities: of the model.
        tools: whether its chat template has tools.
        marks: tokens of its vocabulary that are no text.
        clock: tells the time.
    """

    def __init__(
        self,
        row: Row,
        name: str,
        key: Key,
        capabilities: Capabilities,
        *,
        tools: bool,
        marks: tuple[str, ...],
        clock: Clock | None = None,
    ) -> None:
        super().__init__(row, name, key, clock, TIMES)
        self.capabilities = capabilities
        self._tools = tools
        self._marks = tuple(mark for mark in marks if not mark.startswith("<|"))  # those are broken for every server

    async def attempt(
        self, request: Request, n: int, number: int, until: int, on_delta: Callable[[Delta], None] | None
    ) -> Reply:
        """Send a request for `n` draws once; nobody listens to JSON that says which tool is called."""
        return await super().attempt(request, n, number, until, None if self._in_json(request) else on_delta)

    def _in_json(self, request: Request) -> bool:
        return request.native and not self._tools

    def _asked(self, request: Request, n: int, *, stream: bool) -> dict[str, Json]:
        form = body(request, self.row, self.name, n, stream=stream)
        form.setdefault("max_tokens", self.capabilities.max_output)
        if "seed" in form:  # what is left of earlier prompts is cut elsewhere, and sums differ in the last digit
            form["cache_prompt"] = False
        form["messages"] = [_each(one, self._shielded) for one in form["messages"]]
        schema = request.head.schema
        if self._in_json(request):
            tools: list[Json] = [tool["function"] for tool in form.pop("tools", [])]
            thinks = request.head.format != "act"
            form["messages"] = _described(form["messages"], tools, thinks=thinks)
            schema = step_schema(tools, thinks=thinks)
        if schema is not None:
            wanted = {"name": "reply", "schema": schema, "strict": True}
            form["response_format"] = {"type": "json_schema", "json_schema": wanted}
        return form

    def _drawn(self, request: Request, found: Collected) -> tuple[Sample, ...]:
        samples = found.samples()
        in_json = self._in_json(request)
        if not in_json and request.head.schema is None:
            return tuple(map(self._whole, samples))
        if request.max_tokens is not None and any(one.finish == "length" for one in samples):
            return samples  # cut by what the budget had left, which the core says
        return tuple(self._held_to(request, self._whole(one), found, in_json=in_json) for one in samples)

    def _held_to(self, request: Request, sample: Sample, found: Collected, *, in_json: bool) -> Sample:
        try:
            said: Json = json.loads(sample.text)
        except ValueError:
            raise Failure(self._cut(request, sample), ran=True, received=found.received) from None
        if not in_json:
            return sample
        thought = said.get("thought", "")
        if "tool" not in said:
            return Sample(said["answer"], logprobs=sample.logprobs)
        return Sample(thought, ((said["tool"], said["arguments"]),), "tool_calls", sample.logprobs)

    def _cut(self, request: Request, sample: Sample) -> UnparsedReply:
        """Return the error of a reply that ended before its JSON did."""
        most = request.options.get("max_tokens") or self.capabilities.max_output
        by = f"at max_tokens = {most}" if sample.finish == "length" else "by a stop sequence"
        error = UnparsedReply(request.signature.name, sample.text)
        error.args = (f"reply to `{request.signature.name}` was cut {by}, before its JSON ended: {sample.text[:80]!r}",)
        error.remedy = "Raise `max_tokens`." if sample.finish == "length" else "Leave `stop` off."
        error.complaint = "it was cut before its JSON ended"
        return error

    def _shielded(self, text: str) -> str:
        for mark in self._marks:
            if mark in text:
                text = text.replace(mark, f"{mark[0]}{_JOINER}{mark[1:]}")
        return text

    def _whole(self, sample: Sample) -> Sample:
        """Return a draw without what `_shielded` put into what it repeats."""
        if _JOINER not in sample.text and not sample.calls:
            return sample
        calls = tuple((name, _each(arguments, self._unshielded)) for name, arguments in sample.calls)
        return Sample(self._unshielded(sample.text), calls, sample.finish, sample.logprobs)

    def _unshielded(self, text: str) -> str:
        for mark in self._marks:
            text = text.replace(f"{mark[0]}{_JOINER}{mark[1:]}", mark)
        return text


def step_schema(tools: list[Json], *, thinks: bool) -> Json:
    """Return the schema of a step: one of the tools with arguments that fit it, or the answer.

    Args:
        tools: name, description and parameters of each.
        thinks: whether a thought comes first.
    """
    thought = {"thought": {"type": "string", "maxLength": LONGEST_THOUGHT}} if thinks else {}
    kinds = [{**thought, "tool": {"const": one["name"]}, "arguments": one["parameters"]} for one in tools]
    kinds.append({**thought, "answer": {"type": "string", "minLength": 1}})
    every: list[Json] = [
        {"type": "object", "properties": kind, "required": list(kind), "additionalProperties": False} for kind in kinds
    ]
    return {"anyOf": every} if len(every) > 1 else every[0]


def _described(messages: list[Json], tools: list[Json], *, thinks: bool) -> list[Json]:
    """Return messages in which tools, calls and results are text."""
    thought = {"thought": "..."} if thinks else {}
    lines = [f"- {one['name']}: {one['description']} Arguments: {_written(_properties(one))}" for one in tools]
    how = _HOW.format(
        tools="\n".join(lines) or "none",
        example=_written({**thought, "tool": "NAME", "arguments": {}}),
        last=_written({**thought, "answer": "..."}),
    )
    found: list[Json] = []
    told = False
    for message in messages:
        role, words = message["role"], message.get("content") or ""
        if role == "user" and not told:
            words, told = f"{words}\n\n{how}", True
        elif role == "assistant" and message.get("tool_calls"):
            words = "\n".join(_called(call, words if thinks else None) for call in message["tool_calls"])
        elif role == "tool":
            role, words = "user", f"Result: {words}"
            if found[-1]["role"] == "user":
                found[-1]["content"] += f"\n{words}"
                continue
        found.append({"role": role, "content": words})
    return found


def _called(call: Json, thought: str | None) -> str:
    function = call["function"]
    said = {} if thought is None else {"thought": thought}
    return _written({**said, "tool": function["name"], "arguments": arguments_of(function["arguments"])})


def _properties(tool: Json) -> Json:
    """Return what a tool's arguments are, without what a grammar says better."""
    return {
        name: {key: value for key, value in about.items() if key != "title"}
        for name, about in tool["parameters"]["properties"].items()
    }


def _written(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _each(value: Json, change: Callable[[str], str]) -> Json:
    """Return data with every text in it changed; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each(one, change) for one in cast("list[Json]", value)]
    if is_object(value):
        return {key: _each(one, change) for key, one in cast("Mapping[str, Json]", value).items()}
    return value
