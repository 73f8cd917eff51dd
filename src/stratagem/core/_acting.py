"""How a tool is called: policy, intent, the call itself, its record. Core only."""

import math
from collections.abc import Mapping
from typing import Any

from stratagem.core._admission import admit, nothing, seconds_left
from stratagem.core._book import Key
from stratagem.core._budget import refused
from stratagem.core._canonical import Json, decoded, encoded, encoded_clean, hashed, json_of, quoted, text_of
from stratagem.core._effects import digest_of, finished, journaled, recorded, settled, unperformed
from stratagem.core._environment import Decision
from stratagem.core._label import SYSTEM, Label
from stratagem.core._schema import converted, schema_of
from stratagem.core._strand import Strand
from stratagem.core._tool import Tool
from stratagem.core._transcript import Transcript
from stratagem.core._values import Execution, Observation, ToolCall
from stratagem.errors import BudgetExhausted, CapabilityError, Suspended, UsageError

EXECUTED = Label({"sandbox"}, ())  # what code printed is not trusted, and may hold what it could read
UNASKED = ("read", "self")  # effects that no policy asks about
APPROVAL = {"enum": ["yes", "no", "always"]}  # always: this tool, for the rest of the run
HAPPENED = {
    "type": "object",
    "properties": {"happened": {"type": ["boolean", "null"]}, "result": {"type": "string"}},
    "required": ["happened"],
}

_CRASH = "The process ended after it was begun and before its result was recorded."
_LOST = "A call was begun, and the record of it is damaged: it may have been this one."
_PARENT = (
    "The run that this one was forked from has begun it: its record says what came of it. If not, it is performed."
)


async def called(strand: Strand, name: str, given: Mapping[str, Any], call: ToolCall | None = None) -> Observation:
    """Call a tool by name, through policy, as `call` says if there is one. Whatever goes wrong is an observation."""
    tool = strand.tools.get(name)
    if tool is None:
        return Observation(f"Invalid action: there is no tool {name!r}", failed=True)
    try:
        named = tool.named(given)
        arguments = json_of(named)
        text = text_of(arguments) if call is None or named is not given else call.text
        request = f'{{"arguments":{text},"tool":{quoted(name)}}}'.encode()
    except (UsageError, ValueError, TypeError) as failure:
        return Observation(f"`{name}`: the arguments are no JSON: {failure}", failed=True)
    digest = digest_of("tool", request)
    key: Key = (strand.path, digest, strand.occurrence(digest))
    strand.steps += 1
    book = strand.world.book
    if book.intents:
        book.reached.add(key)
    if key not in book.recorded:  # a refusal is no effect: in a replay it is said again
        decision = _decided(strand, tool, arguments)
        if decision.kind != "allow":
            denied = await _refused(strand, tool, arguments, key, decision)
            if denied is not None:
                return denied
    elif tool.effect not in UNASKED and _approval(strand, tool, arguments, key)[2] in book.recorded:
        denied = await _approved(strand, tool, arguments, key)  # a fork may have another answer
        if denied is not None:
            return denied
    row, value = recorded(strand, key, request)
    if row is not None:
        seq = -1 if key in book.base else row.seq
        seen = _observation(tool, value)
        if strand.stage is not None and strand.stage.moves.get(name) is tool:
            strand.stage.pending.append(ToolCall(name, arguments))
    else:
        seen, seq = await _performed(strand, tool, arguments, key, request)
    if seq >= 0:
        book.mark(seen, seq)
    strand.label = strand.label | seen.label
    return seen


def _decided(strand: Strand, tool: Tool, arguments: Json) -> Decision:
    """Return what the policy says about a call."""
    decision = strand.world.services.policy.decide(tool, arguments, strand.label)
    if strand.world.feeds:
        strand.world.emit("policy.decided", strand.path, tool=tool.name, decision=decision.kind, why=decision.why)
    return decision


async def _refused(strand: Strand, tool: Tool, arguments: Json, key: Key, decision: Decision) -> Observation | None:
    """Return what the model reads instead of a result; None if a person allows the call."""
    if decision.kind == "ask":
        return None if tool.spec in strand.world.allowed else await _approved(strand, tool, arguments, key)
    return Observation(f"Denied: {decision.why}", failed=True)


async def _approved(strand: Strand, tool: Tool, arguments: Json, key: Key) -> Observation | None:
    """Return None if a person allows the call; else what the model reads instead."""
    question, _, _ = _approval(strand, tool, arguments, key)
    said = await asked(strand, question, APPROVAL, key)
    if said == "always":
        strand.world.allowed.add(tool.spec)
    return None if said != "no" else Observation(f"Denied: a person refused `{tool.name}`", failed=True)


def _approval(strand: Strand, tool: Tool, arguments: Json, key: Key) -> tuple[str, bytes, Key]:
    """Return the question for a call, its request, and the key that it has if it is asked next."""
    question = f"Allow {tool.name}({encoded(arguments).decode()})? Effect: {tool.effect}."
    request = _question(question, APPROVAL, key)
    digest = digest_of("wait", request)
    return question, request, (strand.path, digest, strand.requests.get(digest, 0))


def _question(question: str, schema: Json, about: Key | None) -> bytes:
    form = {"wait": question, "schema": schema}
    if about is not None:
        form["about"] = [about[0], about[1].hex(), about[2]]
    return encoded_clean(form)


async def _performed(strand: Strand, tool: Tool, arguments: Json, key: Key, request: bytes) -> tuple[Observation, int]:
    world, services = strand.world, strand.world.services
    timed = strand.flags[2]
    if timed or not world.gate.open or refused(strand.meters) is not None:  # else it has to wait for nothing
        try:
            await admit(strand, nothing)
        except BudgetExhausted as refusal:
            await unperformed(world, "tool", key, request, refusal)
            raise
    if strand.stage is not None and strand.stage.moves.get(tool.name) is tool:
        await strand.stage.catch_up()
    if world.feeds:
        world.emit("effect.requested", strand.path, kind="tool", name=tool.name, arguments=arguments)
    told = await _intended(strand, tool, arguments, key, request) if tool.repeat != "free" else None
    services.in_flight += 1
    begun = services.clock.stamp()
    try:
        seen = told or await tool.perform(
            arguments,
            key=idempotency(world.origin, key) if tool.repeat == "keyed" else "",
            timeout_s=seconds_left(strand)[0] if timed else math.inf,
            timer=services.clock.limit,
        )
    finally:
        services.in_flight -= 1
    times = world.times(begun)
    book = world.book
    seq = book.seq
    durable = book.add("tool", key, request, _result(tool, seen), times, None, False, -1, world.alone())
    book.performed += 1
    if world.feeds:
        finished(strand, "tool", tool.name, times[2] / 1e6, None, None, text=_line(seen.text), failed=seen.failed)
    await settled(strand, durable)
    return seen, seq


async def _intended(strand: Strand, tool: Tool, arguments: Json, key: Key, request: bytes) -> Observation | None:
    """Record that the tool is about to be performed. After a crash in between, `once` asks a person what happened."""
    world, shown = strand.world, encoded(arguments).decode()
    begun = world.book.intents.get(key, [])
    if begun and tool.repeat == "keyed":
        return None
    if not begun and tool.repeat == "once":
        seen = await _before(strand, tool, arguments, key)
        if seen is not None:
            return seen
    for parents in begun:  # one question for each time that it was begun
        seen = await _happened(strand, tool, shown, key, _PARENT if parents else _CRASH)
        if seen is not None:
            return seen
    times = world.times(world.services.clock.stamp())
    durable = world.book.add("intent", key, request, b"", times, None, False, -1, world.alone())
    if durable is not None:
        await durable
    return None


async def _before(strand: Strand, tool: Tool, arguments: Json, key: Key) -> Observation | None:
    """Ask a person, if the record has calls of a `once` tool to which the program has not come; None performs it."""
    book, shown = strand.world.book, encoded(arguments).decode()
    begun = [form.get("arguments") for form in book.begun(tool.name)]
    if any(known is None or known == arguments for known in begun):  # perhaps of this very call
        return await _happened(strand, tool, shown, key, _LOST)
    done = [decoded(row.request)["arguments"] for row in book.done(tool.name)]
    if not (done or begun):
        return None
    before = "; ".join(encoded(one).decode() for one in [*done, *begun][:3])
    was = "was" if done else "may have been"
    question = f"{tool.name} {was} called before, with {before}. Call it again, with {shown}?"
    if await asked(strand, question, {"type": "boolean"}, key):
        return None
    return Observation(f"`{tool.name}` was not called again: a person refused", failed=True)


async def _happened(strand: Strand, tool: Tool, shown: str, key: Key, why: str) -> Observation | None:
    """Ask a person what became of a call that was begun; None if it did not happen."""
    said = await asked(strand, f"Did {tool.name}({shown}) happen? {why}", HAPPENED, key)
    if said["happened"] is True:
        return Observation(str(said.get("result", "")))
    if said["happened"] is None:
        return Observation(f"`{tool.name}` may have happened: nobody knows", failed=True)
    return None


async def told(strand: Strand, question: str, schema: Any) -> Any:
    """Return a person's answer, typed. One that does not fit, for all that was checked, is asked for again."""
    form, wording = schema_of(schema), question
    while True:
        said = await asked(strand, wording, form)
        try:
            return converted(schema, said)
        except ValueError as failure:
            wording = f"{question} (The answer {text_of(said)[:200]} does not fit: it {failure}.)"


async def asked(strand: Strand, question: str, schema: Json, about: Key | None = None) -> Json:
    """Return what a person answers to a question of this strand; once every strand waits, the run is parked."""
    world, services = strand.world, strand.world.services
    request = _question(question, schema, about)
    digest = digest_of("wait", request)
    key: Key = (strand.path, digest, strand.occurrence(digest))
    strand.next()
    if world.replaying and key not in world.book.recorded:
        raise Suspended(question)  # it waits where it waited
    row, value = recorded(strand, key, request)
    if row is not None:
        return value
    try:
        await admit(strand, nothing)
    except BudgetExhausted as refusal:
        await unperformed(world, "wait", key, request, refusal)
        raise
    number = hashed(b"q" + digest + f"{key[2]} {strand.path}".encode()).hex()[:12]
    if number[:8] in world.book.answers:
        number = number[:8]  # as questions were numbered in the first format
    if world.feeds:
        world.emit("effect.requested", strand.path, kind="wait", name="wait", arguments={"question": question})
    if number not in world.book.answers:
        await _put(strand, number, question, schema)
    value = world.book.answers[number]
    begun = services.clock.stamp()
    durable = world.book.add(
        "wait", key, request, encoded_clean(value), world.times(begun), None, False, -1, world.alone()
    )
    world.book.performed += 1
    if world.feeds:
        finished(strand, "wait", "wait", 0.0, None, None)
    await settled(strand, durable)
    return value


async def _put(strand: Strand, number: str, question: str, schema: Json) -> None:
    """Put a question to whoever reads the inbox, and return when it is answered."""
    world = strand.world
    world.questions[number] = {"id": number, "question": question, "schema": schema}
    form = {
        **world.questions[number],
        "scope": strand.path,
        "asked": int(world.services.clock.wall() * 1e6),
        "seq": world.book.seq,
    }
    durable = world.services.journal.ask(world.run_id, number, encoded_clean(form))
    if durable is not None:
        await durable
    if world.feeds:  # who hears of it may answer at once, from another process
        world.emit("question.asked", strand.path, id=number, question=question, wants=schema)
    try:
        world.book.answers[number] = await world.gate.answered(world.reply(number))
    except Suspended:
        raise Suspended(question) from None
    finally:
        if not world.gate.parked:
            del world.questions[number]  # answered, or nobody waits for it any more


async def executed(strand: Strand, code: str, language: str, files: tuple[str, ...], timeout_s: float) -> Execution:
    """Execute code in the sandbox; `CapabilityError` if there is none."""
    sandbox = strand.world.services.sandbox
    if sandbox is None:
        raise CapabilityError(
            "code cannot be executed: no sandbox is configured",
            remedy="Give one to the session: `open(sandbox=...)`.",
        )

    async def perform() -> Json:
        found = await sandbox.execute(code, language=language, files=files, timeout_s=timeout_s)
        return [found.output, found.error, found.value, found.timed_out]

    form = {"execute": code, "language": language, "files": list(files), "sandbox": sandbox.spec}
    said = {"code": code, "language": language}
    found = Execution(*await journaled(strand, "tool", form, perform, said, _came_of))
    strand.label = strand.label | EXECUTED
    return found


async def put_back(strand: Strand, steps: Transcript | None) -> Observation:
    """Put the environment back to its start, or to where a conversation's calls lead."""
    stage = strand.stage
    if stage is None:
        raise UsageError("the task has no environment to reset: give one, `Task(..., environment=...)`")
    calls = [call for turn in steps or () for call in turn.step.calls]

    async def perform() -> Json:
        stage.pending.clear()
        seen = stage.world.reset()
        stage.pending = [*calls]
        await stage.catch_up()
        return [seen.text, list(seen.sources)]

    form = {"reset": [call.plain() for call in calls]}
    performed = strand.world.book.performed
    text, sources = await journaled(strand, "reset", form, perform, {"steps": len(calls)})
    if strand.world.book.performed == performed:
        stage.pending = [None, *calls]
    return Observation(text, sources=tuple(sources), label=SYSTEM)


def _came_of(execution: Json) -> dict[str, Json]:
    output, error, _, timed_out = execution
    return {"text": _line(error or output), "failed": bool(error) or timed_out}


def _line(text: str) -> str:
    """Return the first line of a result, and at most so much of it as an event carries."""
    first, more, _ = text.partition("\n")
    return f"{first[:200]} …" if more or len(first) > 200 else first


def idempotency(origin: str, key: Key) -> str:
    """Return the key under which a `keyed` tool may be performed again; `origin` is the first ancestor run."""
    return hashed(b"k" + key[1] + f"{key[2]} {origin} {key[0]}".encode()).hex()


def _result(tool: Tool, seen: Observation) -> bytes:
    """Return what a row keeps of an observation: most are a text and nothing else."""
    usual = seen.label is tool.label or seen.label == tool.label
    if usual and not seen.failed and seen.result is None and not seen.sources:
        return f'{{"text":{quoted(seen.text)}}}'.encode()
    form: dict[str, Json] = {"text": seen.text}
    if seen.failed:
        form["failed"] = True
    if seen.result is not None:
        form["result"] = seen.result
    if seen.sources:
        form["sources"] = list(seen.sources)
    if not usual:
        form["label"] = seen.label.plain()
    return encoded(form)


def _observation(tool: Tool, form: Json) -> Observation:
    label = Label.of(form["label"]) if "label" in form else tool.label
    return Observation(
        form["text"], form.get("failed", False), form.get("result"), tuple(form.get("sources", ())), label
    )
