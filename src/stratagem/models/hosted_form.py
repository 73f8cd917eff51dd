"""Our requests as pydantic-ai has them, and its replies as draws. Nothing is sent here.

This module imports pydantic-ai: import it in a thread. All that is used of that library stands here and in
`hosted_clients.py`, and a test lists it.

Rule 1: what is opaque of a part goes back to the family of providers that it came from. Any other family drops it, and
        drops thoughts with it.
Rule 2: ids of tool calls are ours: the turn and the place in it. The same conversation is the same request.
"""

import json
import re
from typing import Any, cast

from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from stratagem.core import Json, Request, Sample, Usage
from stratagem.core._canonical import clean
from stratagem.core.message import Blob, Call, Message, Part, Result, Text, Thought
from stratagem.models.compatible_body import arguments_of, closed, seed_of, stops_of
from stratagem.models.hosted_table import HostedRow
from stratagem.models.retry import bad, cut

__all__ = ["model_request", "model_request_stream"]  # with what is defined here

CACHED_FROM = 4096  # tokens of a conversation, by their bound, from which marking what is to be cached pays
THINKS = {"none": False}
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 10_000, "high": 16_384, "xhigh": 32_768, "max": 32_768}


def messages_of(request: Request, row: HostedRow, system: str) -> list[Any]:
    """Return the conversation. `system` is the library's name of the provider, which marks parts as its own."""
    found: list[Any] = []
    persona: str | None = None
    for message in request.messages:
        if message.role == "system":
            persona = clean(message.text)
        elif message.role == "assistant":
            found.append(ModelResponse(parts=_said(message, row, system), provider_name=system))
        elif message.role == "tool":
            parts = [_result(part, row) for part in message.parts if isinstance(part, Result)]
            found.append(ModelRequest(parts=parts))
        else:
            found.append(ModelRequest(parts=[UserPromptPart(content=_asked(message))]))
    if persona:
        next(one for one in found if isinstance(one, ModelRequest)).instructions = persona
    return found


def _asked(message: Message) -> Any:
    blobs = [part for part in message.parts if isinstance(part, Blob)]
    if not blobs:
        return clean(message.text)
    return [clean(message.text), *(BinaryContent(data=blob.data, media_type=blob.media_type) for blob in blobs)]


def _result(part: Result, row: HostedRow) -> ToolReturnPart:
    return ToolReturnPart(
        tool_name=part.name, content=clean(part.text), tool_call_id=id_of(part.id, row),
        outcome="failed" if part.failed else "success",
    )  # fmt: skip


def _said(message: Message, row: HostedRow, system: str) -> list[Any]:
    parts: list[Any] = []
    for part in message.parts:
        kept = cast("dict[str, dict[str, Any]]", part.opaque or {})
        opaque = kept.get(row.prefix)
        more: dict[str, Any] = {}
        if opaque:
            more = {"provider_name": system, **_known(opaque, ("id", "details"))}
        if isinstance(part, Thought):
            if opaque is not None and (opaque.get("signature") or row.prefix != "anthropic"):
                more = {**more, "provider_name": system, **_known(opaque, ("signature",))}
                parts.append(ThinkingPart(content=clean(part.text), **more))
        elif isinstance(part, Text):
            parts.append(TextPart(content=clean(part.text), **more))
        elif isinstance(part, Call):
            parts.append(
                ToolCallPart(tool_name=part.name, args=clean(part.arguments), tool_call_id=id_of(part.id, row), **more)
            )
    return parts


def _known(opaque: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {("provider_details" if name == "details" else name): opaque[name] for name in names if name in opaque}


def id_of(ours: str, row: HostedRow) -> str:
    """Return the id of a call as a provider takes it: Mistral wants nine letters and digits.

    >>> from stratagem.models.hosted_table import HOSTED
    >>> id_of("call_12_3", HOSTED["mistral"]), id_of("call_12_3", HOSTED["cohere"])
    ('c00012003', 'call_12_3')
    """
    if row.prefix != "mistral":
        return ours
    turn, place = (int(number) for number in re.findall(r"\d+", ours)[:2])
    return f"c{turn:05d}{place:03d}"


def parameters_of(request: Request, row: HostedRow, name: str, keeps: str) -> ModelRequestParameters:
    """Return the tools and the schema of a request; `keeps` says how the model keeps to a schema."""
    tools: list[ToolDefinition] = []
    if request.native and request.tools is not None:
        tools = [
            ToolDefinition(
                name=one["name"],
                description=one.get("description"),
                parameters_json_schema=one["parameters"],
                strict=False,
            )
            for one in request.tools.schema()
        ]  # `strict` would rewrite the schema
    schema = request.head.schema
    together = not tools or re.match(row.together, name)
    if keeps == "constrained" and schema is not None and closed(schema) and together:
        wanted = OutputObjectDefinition(json_schema=schema, name="reply", strict=True)
        return ModelRequestParameters(function_tools=tools, output_mode="native", output_object=wanted)
    return ModelRequestParameters(function_tools=tools)


def settings_of(request: Request, row: HostedRow, name: str, bound: int) -> dict[str, Any]:
    """Return the options of a request; `bound` is that of its tokens."""
    options = request.options
    fields = row.capabilities(name).fields - request.head.dropped - row.refuses(name, request)
    settings: dict[str, Any] = {
        option: options[option] for option in ("temperature", "top_p") if option in options and option in fields
    }
    effort: str | None = options.get("effort") if "effort" in fields else None
    if effort is not None:
        settings["thinking"] = THINKS.get(effort, effort)
    most = request.max_tokens if request.max_tokens is not None else options.get("max_tokens")
    if most is None and row.limited:
        most = row.max_output + BUDGETS.get(effort or "", 0)
    if most is not None:
        settings["max_tokens"] = most
    if (stops := stops_of(request)) and "stop" in fields:
        settings["stop_sequences"] = list(stops)
    if "seed" in options and "seed" in fields:
        settings["seed"] = seed_of(request)
    if row.marked and request.steps is not None and bound > CACHED_FROM:
        settings["cache"] = True
    if row.prefix == "responses":
        settings["openai_store"] = False  # what is needed of a turn travels with the conversation
    return settings


def sample_of(reply: Any, request: Request, row: HostedRow, where: str) -> Sample:
    """Return the draw that a reply is; `Failure` if it is not whole."""
    parts: list[Part] = []
    calls: list[tuple[str, Json]] = []
    for part in reply.parts:
        opaque = _opaque(part, row)
        if part.part_kind == "text":
            parts.append(Text(clean(part.content), opaque))
        elif part.part_kind == "thinking":
            parts.append(Thought(clean(part.content), opaque if opaque is not None else {row.prefix: {}}))
        elif part.part_kind == "tool-call":
            given = part.args
            arguments = arguments_of(clean(given)) if isinstance(given, str) else _cleaned(given or {})
            calls.append((clean(part.tool_name), arguments))
            parts.append(Call("", part.tool_name, "", opaque))
    details: dict[str, Any] = reply.provider_details or {}
    text = "".join(part.text for part in parts if isinstance(part, Text))
    finish = _finish(reply, details, calls, parts, where)
    if finish == "refusal" and not text:
        return Sample(clean(str(details.get("refusal") or "")), finish=finish)
    trimmed = text
    for stop in stops_of(request):
        trimmed = trimmed.partition(stop)[0]
    kept = request.native and trimmed == text and any(map(_binding, parts))
    return Sample(trimmed, tuple(calls), finish, None, tuple(parts) if kept else None)


def _binding(part: Part) -> bool:
    """Return whether a part has to go back as it came: an id alone does not bind."""
    opaque: dict[str, dict[str, Json]] = part.opaque or {}
    return isinstance(part, Thought) or any(kept.keys() - {"id"} for kept in opaque.values())


def _cleaned(arguments: Any) -> Json:
    return json.loads(clean(json.dumps(arguments, ensure_ascii=False)))


def _finish(reply: Any, details: dict[str, Any], calls: list[Any], parts: list[Part], where: str) -> str:
    finish, raw = reply.finish_reason, details.get("finish_reason")
    if finish is None:
        if raw is not None and str(raw) not in ("in_progress", "queued"):
            raise bad(f"{where} ended its reply for the reason {str(raw)!r}")
        what = f"{where} ended its reply without a reason for the end"
        raise cut(what) if parts else bad(f"{what}, and sent nothing")
    if finish == "error":
        raise bad(f"{where} could not end its reply: {raw}")
    if finish == "length":
        return "length"
    if finish == "content_filter":
        return "refusal" if "refusal" in details or raw == "refusal" else "filtered"
    return "tool_calls" if calls else "stop"


def _opaque(part: Any, row: HostedRow) -> Json:
    """Return what only the provider understands of a part; None if there is nothing."""
    kept: dict[str, Json] = {}
    for name, value in (
        ("id", part.id), ("signature", getattr(part, "signature", None)), ("details", part.provider_details),
    ):  # fmt: skip
        if value:
            kept[name] = value
    return {row.prefix: kept} if kept else None


def usage_of(reply: Any, prompt: int, completion: int) -> Usage:
    """Return what a reply cost, as it says; what it leaves out is the bound, marked as estimated."""
    told = reply.usage
    details = cast("dict[str, int]", told.details or {})
    reasoning = details.get("reasoning_tokens") or details.get("thoughts_tokens") or 0
    known = told.input_tokens > 0
    return Usage(
        1, 1, told.input_tokens if known else prompt, told.output_tokens if known else completion,
        told.cache_read_tokens, told.cache_write_tokens, reasoning, usd=None, estimated=not known,
    )  # fmt: skip
