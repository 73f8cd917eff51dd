"""Bounds of prompts: by bytes, and from what a provider has reported of the beginning of a conversation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stratagem
from stratagem.core import Attachment, Observation, Sample, Step, ToolCall, Tools, Transcript, tool
from stratagem.core._admission import prompt_bound as priced
from stratagem.core._canonical import text_of
from stratagem.core._values import set_parts
from stratagem.core.message import Call, Message, Part, Result, Text, Thought
from stratagem.errors import CutReply
from stratagem.models.chain import Chain
from stratagem.models.compatible import Compatible
from stratagem.models.keys import placed
from stratagem.models.tokens import BLOB, BYTES, MESSAGE, bound, message_bound, request_bound
from tests.models._backend import Gated, fails, said
from tests.models._wire import asked

LONG = "a long question " * 100
TURN = (Step("Let me look.", (ToolCall("look", {"at": "the shed"}),)), Observation("a key"))


@tool
def look(at: str) -> str:
    """Look at a place."""
    return at


TOOLS = Tools((look,))


def turn_bound() -> int:
    called = MESSAGE + bound("look") + bound('{"at":"the shed"}')
    return message_bound("Let me look.") + called + message_bound("a key") + MESSAGE


def talk(turns: int) -> Transcript:
    found = Transcript()
    for _ in range(turns):
        found = found.then(*TURN)
    return found


def sent(messages: tuple[Message, ...]) -> int:
    """Return the bytes of all texts that are sent, those of thoughts included, with what is opaque of them."""
    total = 0
    for message in messages:
        for part in message.parts:
            texts = [part.text] if isinstance(part, Text | Thought | Result) else []
            texts += [part.name, part.arguments] if isinstance(part, Call) else []
            texts += [text_of(part.opaque)] if part.opaque is not None else []
            total += sum(len(text.encode()) for text in texts)
    return total


WORDS = st.text("ab \u00e9\u4e2d", max_size=12)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Step, tuple[Observation, ...]]:
    calls = tuple(
        ToolCall(name, {"at": at}) for name, at in draw(st.lists(st.tuples(st.just("look"), WORDS), max_size=3))
    )
    step = Step(draw(WORDS), calls, draw(st.none() | WORDS))
    if draw(st.booleans()):
        opaque = st.none() | st.fixed_dictionaries({"anthropic": st.fixed_dictionaries({"signature": WORDS})})
        thoughts = [Thought(text, kept) for text, kept in draw(st.lists(st.tuples(WORDS, opaque), max_size=2))]
        parts: list[Part] = [*thoughts, Text(step.thought), *(Call("", call.name, "", draw(opaque)) for call in calls)]
        set_parts(step, tuple(parts))
    return step, tuple(Observation(draw(WORDS)) for _ in calls)


@given(st.lists(steps(), max_size=5), st.booleans(), WORDS, st.lists(st.tuples(WORDS, WORDS), max_size=2))
def test_no_text_that_is_sent_is_missing_in_the_bound(
    turns: list[Any], native: bool, persona: str, repair: list[tuple[str, str]]
) -> None:
    talked = Transcript()
    for step, seen in turns:
        talked = talked.then(step, *seen)
    request = Gated(said()).request("?", tools=TOOLS if native else None, steps=talked, persona=persona)
    request.repair = tuple(repair)
    assert sent(request.messages) / BYTES + MESSAGE * len(request.messages) <= request_bound(request)


def test_thoughts_that_go_back_as_they_came_count() -> None:
    step = Step("Let me look.", TURN[0].calls)
    kept = {"anthropic": {"signature": "c2ln" * 100}}
    set_parts(step, (Thought("hmm " * 50, kept), Text("Let me look."), Call("", "look", "", {"google": {"id": "x"}})))
    more = bound("hmm " * 50) + bound(text_of(kept)) + bound(text_of({"google": {"id": "x"}}))
    request = Gated(said()).request(tools=TOOLS, steps=Transcript().then(step, TURN[1]))
    plain = Gated(said()).request(tools=TOOLS, steps=talk(1))
    assert request_bound(request) == request_bound(plain) + more


async def test_what_a_provider_reported_of_the_beginning_takes_the_place_of_its_bound() -> None:
    gated = Gated(said(prompt_tokens=500))
    talked = talk(1)
    await gated.model.complete(gated.request(LONG, tools=TOOLS, steps=talked))
    forms = bound(text_of(TOOLS.schema()))
    for more in (0, 1, 3):
        longer = talked
        for _ in range(more):
            longer = longer.then(*TURN)
        request = gated.request(LONG, tools=TOOLS, steps=longer)
        assert gated.model.prompt_bound(request) == priced(gated.model, request) == 500 + more * turn_bound() + forms
        request.repair = (("what", "no"),)
        assert gated.model.prompt_bound(request) == 500 + more * turn_bound() + forms + bound("what") + bound("no") + 16
    branch = talk(1).then(*TURN)
    assert (
        gated.model.prompt_bound(gated.request(LONG, tools=TOOLS, steps=branch)) > 1000
    )  # made of the same words, afresh


async def test_the_longest_that_was_reported_counts_and_branches_keep_what_they_share() -> None:
    gated = Gated(said(prompt_tokens=500), said(prompt_tokens=700))
    first = talk(2)
    second = first.then(*TURN)
    for steps in (first, second):
        await gated.model.complete(gated.request(LONG, steps=steps))
    text = bound(second.lines()[2]) + 2 * MESSAGE
    third, branch = second.then(*TURN), first.then(Step("another way"))
    assert gated.model.prompt_bound(gated.request(LONG, steps=third)) == 700 + text
    whole = request_bound(gated.request(LONG, steps=branch))
    assert gated.model.prompt_bound(gated.request(LONG, steps=branch)) == whole
    assert gated.model.prompt_bound(gated.request(LONG, steps=first)) == request_bound(gated.request(LONG, steps=first))


@pytest.mark.parametrize(
    ("tells", "asks"),
    [
        ({}, {"question": LONG + "?"}),
        ({}, {"attached": (Attachment("x.png", "image/png", b"x"),)}),
        ({"attached": (Attachment("x.png", "image/png", b"x"),)}, {}),
        ({"usage": {"estimated": True}}, {}),
        ({"usage": {"prompt_tokens": 20}}, {}),  # a server that leaves out what it had cached
        ({"steady": False}, {}),
        ({"repair": (("what", "no"),)}, {}),
    ],
    ids=["another question", "images now", "images before", "estimated", "too few", "a template", "a repair"],
)
async def test_where_a_report_does_not_hold_the_whole_is_counted(tells: Any, asks: Any) -> None:
    gated = Gated(said(**{"prompt_tokens": 500, **tells.pop("usage", {})}))
    gated.backend.steady = tells.pop("steady", True)
    repair = tells.pop("repair", ())
    talked = talk(1)
    request = gated.request(LONG, steps=talked, **tells)
    request.repair = repair
    await gated.model.complete(request)
    request = gated.request(asks.pop("question", LONG), steps=talked.then(*TURN), **asks)
    assert gated.model.prompt_bound(request) == request_bound(request) > 1000
    assert (
        request_bound(gated.request(attached=(Attachment("x.png", "image/png", b"x"),))) == message_bound("2+2?") + BLOB
    )


async def test_a_report_is_for_the_model_that_made_it() -> None:
    first, other = Gated(said(prompt_tokens=500), spec="openai:a"), Gated(said(), spec="openai:b")
    talked = talk(1)
    await first.model.complete(first.request(LONG, steps=talked))
    chain = Chain((first.model, other.model), "openai:a|openai:b")
    request = asked(chain, LONG, steps=talked)
    assert [model.prompt_bound(request) for model in (first.model, other.model)] == [500, request_bound(request)]
    assert chain.prompt_bound(request) == priced(chain, request) == request_bound(request)


async def test_an_attempt_that_may_have_run_is_billed_by_the_bound_that_was_reserved() -> None:
    gated = Gated(said(prompt_tokens=500), fails(CutReply("cut"), attempts=1, ran=True))
    talked = talk(1)
    await gated.model.complete(gated.request(LONG, steps=talked))
    with pytest.raises(CutReply) as caught:
        await gated.model.complete(gated.request(LONG, steps=talked))
    assert caught.value.usage.prompt_tokens == 500


def test_which_servers_reports_hold() -> None:
    found = {
        prefix: Compatible(*placed_at(prefix)).steady
        for prefix in ("openai", "vllm", "ollama", "openrouter", "deepseek")
    }
    assert found == {"openai": True, "vllm": False, "ollama": False, "openrouter": False, "deepseek": False}
    row, key = placed("openai", "http://127.0.0.1:1/v1", None)
    assert not Compatible(row, "m", key).steady


def placed_at(prefix: str) -> Any:
    row, key = placed(prefix, None, None)
    return row, "m", key


async def test_a_run_reserves_less_once_its_provider_has_told() -> None:
    seen: list[int] = []
    gated = Gated(said(prompt_tokens=400))
    calls = (("look", {"at": "the shed"}),)
    turn = said(prompt_tokens=400)
    turn.samples = (Sample("", calls, "tool_calls"),)
    gated.backend.outcomes = [turn, turn, said("in the shed", prompt_tokens=450)]
    bounds = gated.model.prompt_bound

    def watched(request: Any) -> int:
        seen.append(bounds(request))
        return seen[-1]

    gated.model.prompt_bound = watched  # type: ignore[method-assign]
    gated.backend.capabilities.fields |= {"tools"}
    async with stratagem.open(
        model=gated.model, tools=[look], journal="memory", memory="none", budget="usd=1"
    ) as session:
        answer = await session.run("react", LONG)
    assert (answer.text, answer.usage.prompt_tokens) == ("in the shed", 1250)
    forms = bound(text_of(TOOLS.schema()))
    shed = (
        MESSAGE + bound("look") + bound('{"at":"the shed"}') + message_bound("") + message_bound("the shed") + MESSAGE
    )
    assert seen[0] > 1000
    assert seen[1] == seen[0] + shed  # nothing was reported of the empty conversation
    assert seen[2] == 400 + shed + forms
