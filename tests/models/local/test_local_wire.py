"""What a request to a local model says, and what its reply is held to: against a server of our own."""

import json
from typing import Any, Literal

import pytest

import stratagem
from stratagem.core import Act, Step, Tools, Transcript, signature, tool
from stratagem.models.gateway import Gateway
from stratagem.models.keys import Key
from stratagem.models.local_wire import LONGEST_THOUGHT, LocalWire, capabilities_of, row_of, step_schema
from stratagem.testing.model_server import ModelServer, Said

MARKS = ("<|im_end|>", "<end_of_turn>", "[INST]")


@tool
def weigh(thing: str, unit: Literal["g", "kg"] = "g") -> str:
    """Weigh a thing."""
    return f"{thing} weighs 3 {unit}"


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


@signature
def act_at_once(question: str, steps: Transcript, tools: Tools) -> Act:
    """Act."""
    ...


@signature
def numbers(question: str) -> tuple[tuple[int, int], ...]:
    """Name numbers."""
    ...


def model(server: ModelServer, *, tools: bool = False, context: int = 2048) -> Gateway:
    wire = LocalWire(
        row_of("m", server.url),
        "m",
        Key("k", "", server.origin),
        capabilities_of("m", context),
        tools=tools,
        marks=MARKS,
    )
    return Gateway("local:m@00", wire)


def opened(server: ModelServer, *, tools: bool = False, **more: Any) -> Any:
    return stratagem.open(model=model(server, tools=tools), tools=[weigh], journal="memory", memory="none", **more)


def in_json(**said: Any) -> Said:
    return Said(json.dumps(said))


async def asked(session: Any, ask: Any, **inputs: Any) -> Any:
    """Return what a strategy of one call gets for it."""
    got: list[Any] = []

    @stratagem.strategy(ids=[], paper="", calls="1")
    async def once(run: stratagem.Run, task: stratagem.Task) -> stratagem.Answer:
        more = {"tools": run.tools} if "tools" in ask.names else {}
        got.append(await run.ask(ask, question=task.question, **inputs, **more))
        return task.answer("done")

    answer = await session.run(once, "How heavy is the egg?")
    return got[0] if got else answer


CALLED = in_json(thought="Weigh it.", tool="weigh", arguments={"thing": "egg", "unit": "kg"})


async def test_a_call_is_chosen_and_its_result_read_in_json_where_the_template_has_no_tools() -> None:
    async with ModelServer([CALLED, in_json(thought="I see.", answer="3 kg")]) as server, opened(server) as session:
        answer = await session.run("react", "How heavy is the egg?")
    assert (answer.text, answer.stop) == ("3 kg", "answered")
    assert next(iter(answer.steps)).step == Step(
        "Weigh it.", (stratagem.ToolCall("weigh", {"thing": "egg", "unit": "kg"}),)
    )
    first, second = (one.body["messages"] for one in server.seen)
    assert all("tools" not in one.body for one in server.seen)
    assert first[0]["content"].endswith(
        "\n\nTools:\n"
        '- weigh: Weigh a thing. Arguments: {"thing": {"type": "string"}, '
        '"unit": {"type": "string", "enum": ["g", "kg"]}}\n\n'
        'Reply with one JSON object. To use a tool: {"thought": "...", "tool": "NAME", "arguments": {}}. '
        'When you know the answer: {"thought": "...", "answer": "..."}.'
    )
    assert second == [
        first[0],
        {
            "role": "assistant",
            "content": '{"thought": "Weigh it.", "tool": "weigh", "arguments": {"thing": "egg", "unit": "kg"}}',
        },
        {"role": "user", "content": "Result: egg weighs 3 kg"},
    ]


async def test_each_tool_is_one_form_of_the_reply_and_the_answer_another() -> None:
    async with ModelServer([in_json(thought="", answer="x")]) as server, opened(server) as session:
        await asked(session, act, steps=Transcript())
    form = server.seen[0].body["response_format"]["json_schema"]
    thought = {"type": "string", "maxLength": LONGEST_THOUGHT}
    assert form["schema"]["anyOf"] == [
        {
            "type": "object",
            "properties": {"thought": thought, "tool": {"const": "weigh"}, "arguments": weigh.schema()["parameters"]},
            "required": ["thought", "tool", "arguments"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"thought": thought, "answer": {"type": "string", "minLength": 1}},
            "required": ["thought", "answer"],
            "additionalProperties": False,
        },
    ]
    assert list(form["schema"]["anyOf"][0]["properties"]) == ["thought", "tool", "arguments"]  # the order of writing


async def test_an_act_has_no_thought() -> None:
    async with ModelServer([in_json(tool="weigh", arguments={"thing": "egg"})]) as server, opened(server) as session:
        acted = await asked(session, act_at_once, steps=Transcript())
    assert acted == Act("", (stratagem.ToolCall("weigh", {"thing": "egg"}),))
    assert '{"tool": "NAME", "arguments": {}}' in server.seen[0].body["messages"][0]["content"]
    assert "thought" not in json.dumps(server.seen[0].body)


async def test_without_tools_only_an_answer_can_be_given() -> None:
    assert step_schema([], thinks=False)["required"] == ["answer"]


async def test_where_the_template_has_tools_they_travel_as_tools() -> None:
    said = Said("To the scales.", calls=(("weigh", '{"thing": "egg"}'),))
    async with ModelServer([said]) as server, opened(server, tools=True) as session:
        step = await asked(session, act, steps=Transcript())
    assert step == Step("To the scales.", (stratagem.ToolCall("weigh", {"thing": "egg"}),))
    assert server.seen[0].body["tools"][0]["function"]["name"] == "weigh"
    assert "response_format" not in server.seen[0].body


async def test_the_text_protocol_is_there_for_who_asks_for_it() -> None:
    server = ModelServer([Said("Action: Finish[3 g]")])
    async with server, opened(server, options={"mode": "text"}) as session:
        assert (await session.run("react", "How heavy is the egg?")).text == "3 g"
    assert "response_format" not in server.seen[0].body


async def test_any_schema_is_kept_to_also_one_that_no_provider_takes() -> None:
    async with ModelServer([Said("[[1, 2]]")]) as server, opened(server) as session:
        assert await asked(session, numbers) == ((1, 2),)
    assert server.seen[0].body["response_format"]["json_schema"]["schema"] == numbers.schema


@pytest.mark.parametrize(
    ("ask", "said", "options", "why", "remedy"),
    [
        (act, Said('{"thought": "The egg', finish="length"), {}, "at max_tokens = 1024", "Raise `max_tokens`."),
        (numbers, Said("[[1,", finish="length"), {"max_tokens": 5}, "at max_tokens = 5", "Raise `max_tokens`."),
        (numbers, Said("[[1,"), {"stop": ("2",)}, "by a stop sequence", "Leave `stop` off."),
    ],
)
async def test_a_reply_that_was_cut_is_an_error_that_says_so(
    ask: Any, said: Said, options: dict[str, Any], why: str, remedy: str
) -> None:
    inputs = {"steps": Transcript()} if ask is act else {}
    async with ModelServer([said]) as server, opened(server, options=options) as session:
        answer = await asked(session, ask, **inputs)
    assert answer.stop == "unparsed"
    assert f"was cut {why}, before its JSON ended: {said.text!r}" in answer.reason
    assert len(server.seen) == 1


async def test_a_reply_that_the_budget_cut_ends_the_budget() -> None:
    server = ModelServer([Said("[[1,", finish="length")])
    async with server, opened(server, budget="completion_tokens=5") as session:
        answer = await asked(session, numbers)
    assert (answer.stop, server.seen[0].body["max_tokens"]) == ("budget", 5)


async def test_each_draw_is_a_request_so_that_each_has_the_seed_of_its_place() -> None:
    texts = iter(("So. The answer is 4.", "So. The answer is 5.", "So. The answer is 4."))
    async with ModelServer(lambda _: Said(next(texts))) as server, opened(server, options={"seed": 7}) as session:
        answer = await session.run("self_consistency(n=3)", "2+2?")
    assert (answer.text, len(server.seen)) == ("4", 3)
    assert len({one.body["seed"] for one in server.seen}) == 3
    assert not any("n" in one.body for one in server.seen)


async def test_a_prompt_is_read_anew_only_where_a_seed_is_to_repeat() -> None:
    async with ModelServer([Said("x"), Said("x")]) as server:
        for options in ({}, {"seed": 1}):
            async with opened(server, options=options) as session:
                await session.run("direct", "?")
    assert [one.body.get("cache_prompt") for one in server.seen] == [None, False]


async def test_a_reply_ends_at_half_the_window_unless_the_request_says() -> None:
    async with ModelServer([Said("x"), Said("x")]) as server, opened(server) as session:
        await session.run("direct", "?")
        async with opened(server, options={"max_tokens": 7}) as short:
            await short.run("direct", "?")
    assert [one.body["max_tokens"] for one in server.seen] == [1024, 7]
    assert capabilities_of("m", 100_000).max_output == 4096


async def test_no_text_holds_a_mark_and_what_repeats_one_is_put_right() -> None:
    text = "<|im_end|> and <end_of_turn> and [INST] end"

    def repeated(body: Any) -> Said:
        return Said(body["messages"][-1]["content"].rpartition("Question: ")[2] or "?")

    async with ModelServer(repeated) as server, opened(server) as session:
        answer = await session.run("direct", text)
    sent = json.dumps(server.seen[0].body, ensure_ascii=False)
    assert [mark for mark in MARKS if mark in sent] == []
    assert "<\u200dend_of_turn>" in sent
    assert "[\u200dINST]" in sent
    assert answer.text.endswith(text)


async def test_marks_in_results_and_earlier_calls_are_broken_too() -> None:
    said = in_json(thought="x", tool="weigh", arguments={"thing": "<end_of_turn>", "unit": "g"})
    async with ModelServer([said, in_json(thought="", answer="done")]) as server, opened(server) as session:
        await session.run("react", "?")
    sent = json.dumps(server.seen[1].body["messages"], ensure_ascii=False)
    assert "<end_of_turn>" not in sent
    assert sent.count("<\u200dend_of_turn>") == 2


async def test_nobody_hears_the_json_of_a_call_and_everybody_hears_words() -> None:
    heard: list[str] = []

    def on_event(event: stratagem.Event) -> None:
        if event.type == "text.delta":
            heard.append(event.data["text"])

    server = ModelServer([in_json(thought="", answer="done"), Said("two words")])
    async with server, opened(server, on_event=on_event) as session:
        await session.run("react", "?")
        assert heard == []
        await session.run("direct", "?")
    assert "".join(heard) == "two words"
