"""Signatures: what a message says in each format, what a reply may be, and which signatures are refused."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import (
    Act,
    Attachment,
    Content,
    Example,
    Examples,
    Marked,
    Observation,
    Role,
    Sample,
    Step,
    ToolCall,
    Tools,
    Transcript,
    signature,
    tool,
)
from stratagem.errors import UnparsedReply, UsageError
from stratagem.testing import scripted


@dataclass(frozen=True)
class Pair:
    """Two labelled fields."""

    title: str
    points: int


@dataclass(frozen=True)
class Marks:
    """Free words, then two marked fields."""

    words: str
    unit: Annotated[str, Marked("in", end=";")]
    answer: Annotated[float, Marked("The answer is", end=".")] = 0.0


@dataclass(frozen=True)
class Lines:
    """The first line, and all that follows."""

    points: int
    why: Annotated[str, Marked("\n")] = ""


@dataclass(frozen=True)
class Deep:
    """What does not fit on lines."""

    pair: Pair
    tags: tuple[str, ...]


@signature
def plain(question: str, notes: tuple[str, ...] = (), flag: bool = False, path: tuple[str, ...] = ()) -> str:
    """Answer the question."""
    ...


@signature
def pair(question: str) -> Pair:
    """Name it and count."""
    ...


@signature
def marks(question: str) -> Marks:
    """Reason."""
    ...


@signature
def deep(question: str) -> Deep:
    """Describe."""
    ...


@signature(format="json")
def listed(question: str) -> tuple[str, ...]:
    """List."""
    ...


@signature
def choose(candidates: tuple[str, ...], question: str) -> Literal["a", "b"]:
    """Choose one."""
    ...


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


@signature
def lines(question: str) -> Lines:
    """{question}"""
    ...


@signature
def act_only(steps: Transcript, tools: Tools) -> Act:
    """Act."""
    ...


@signature
def reflect(question: str, steps: Transcript) -> str:
    """Reflect on it."""
    ...


@tool
def look(where: str, deep: bool = False) -> str:
    """Look somewhere."""
    return where


def message(made: Any, *, native: bool = True, **inputs: Any) -> str:
    return made.layout(made.instruction, hidden=made.hidden[native]).message(dict(made.bind((), inputs)))


def parsed(made: Any, text: str) -> Any:
    return made.parse(Sample(text))


# Messages


def test_labels_come_from_the_names_and_empty_inputs_are_left_out() -> None:
    assert message(plain, question="1 + 1?") == "Answer the question.\n\nQuestion: 1 + 1?\nFlag: no"
    assert message(plain, question="a\nb", notes=("x", "y"), flag=True, path=("p",)) == (
        "Answer the question.\n\nQuestion: \na\nb\nNotes: \n- x\n- y\nFlag: yes\nPath: \n- p"
    )
    assert message(choose, candidates=("x", "y"), question="?") == (
        "Choose one.\n\nCandidates: \n1. x\n2. y\nQuestion: ?\n\nReply with one of: a, b."
    )


def test_the_wanted_format_is_said_where_it_is_not_plain() -> None:
    assert "Title:" in message(pair, question="?")
    assert "Points:" in message(pair, question="?")
    assert message(listed, question="?") == (
        "List.\n\nQuestion: ?\n\nReply with JSON that fits this schema, and nothing else:\n"
        '{"type": "array", "items": {"type": "string"}}'
    )
    assert "Reply with JSON" in message(deep, question="?")
    assert "The answer is" in message(marks, question="?")


def test_inserted_text_is_never_read_as_a_template() -> None:
    @signature
    def quoted(question: str, answer: str) -> str:
        """{question} / {answer} / {other} / {{x}}"""
        ...

    assert message(quoted, question="{answer}", answer="{question}{") == "{answer} / {question}{ / {other} / {{x}}"


@given(st.text(), st.text())
def test_any_text_stands_in_the_message_as_it_is(question: str, answer: str) -> None:
    @signature
    def quoted(question: str, answer: str) -> str:
        """[{question}|{answer}]"""
        ...

    assert message(quoted, question=question, answer=answer) == f"[{question}|{answer}]"
    assert question.rstrip() in message(plain, question=question)


def test_examples_repeat_what_follows_them() -> None:
    @signature
    def shots(examples: Examples, question: str, notes: tuple[str, ...]) -> str:
        """Solve.
        {examples}Q: {question}
        A:"""
        ...

    examples = (Example("1?", "one"), Example("2?", "two", "because"))
    assert message(shots, examples=examples, question="3?", notes=()) == (
        "Solve.\nQ: 1?\nA: one\n\nQ: 2?\nA: two\n\nQ: 3?\nA:"
    )
    assert message(shots, examples=(), question="3?", notes=("n",)) == "Notes: \n- n\n\nSolve.\nQ: 3?\nA:"


def test_solved_cases_of_a_signature_follow_its_instruction() -> None:
    @signature(examples=("Question: 1?\none", "Question: 2?\ntwo"))
    def solved(question: str) -> str:
        """Solve."""
        ...

    assert message(solved, question="3?") == (
        "Solve.\n\nExample:\nQuestion: 1?\none\n\nExample:\nQuestion: 2?\ntwo\n\nQuestion: 3?"
    )


async def test_a_conversation_is_turns_if_the_reply_is_a_step_and_text_otherwise() -> None:
    world: Any = {act: lambda question, steps: Step(answer="x"), reflect: lambda question, steps: "y"}
    steps = Transcript().then(Step("Hm.", (ToolCall("look", {"where": "here"}),)), Observation("a door", failed=True))
    run = scripted(world, tools=(look,))
    await run.ask(act, question="?", steps=steps, tools=run.tools)
    turns = run.ledger[0].request.messages
    assert [(one.role, one.text) for one in turns] == [
        ("user", "Act.\n\nQuestion: ?"),
        ("assistant", "Hm."),
        ("tool", "a door"),
    ]
    call: Any = turns[1].parts[1]
    result: Any = turns[2].parts[0]
    assert (call.name, call.arguments, call.id) == ("look", '{"where":"here"}', "call_1_0")
    assert (result.id, result.failed) == ("call_1_0", True)
    await run.ask(reflect, question="?", steps=steps)
    assert run.ledger[1].text == (
        "Reflect on it.\n\nQuestion: ?\nSteps: \nThought 1: Hm.\nAction 1: look[here]\nObservation 1: a door"
    )


async def test_the_text_protocol_describes_the_tools_and_asks_for_the_next_thought() -> None:
    world: Any = {act: lambda question, steps: Step(answer="x"), act_only: lambda steps: Act(answer="x")}
    steps = Transcript().then(Step("Hm.", (ToolCall("look", {"where": "here"}),)), Observation("a door"))
    run = scripted(world, tools=(look,), native=False)
    await run.ask(act, question="?", steps=steps, tools=run.tools)
    text = run.ledger[0].text
    assert text.endswith("Thought 1: Hm.\nAction 1: look[here]\nObservation 1: a door\nThought 2:")
    assert "look[where, deep]: Look somewhere." in text
    assert "Finish[answer]: end with the answer" in text
    await run.ask(act_only, steps=steps, tools=run.tools)
    assert run.ledger[1].text.endswith("Action 1: look[here]\nObservation 1: a door\nAction 2:")
    native = scripted(world, tools=(look,))
    await native.using(mode="text").ask(act, question="?", steps=steps, tools=native.tools)
    assert native.ledger[0].text == text


async def test_attachments_travel_with_the_message_and_a_persona_before_it() -> None:
    run = scripted({plain: lambda question, notes, flag, path: "x"})
    page = Attachment("a.png", "image/png", b"data")
    await run.using(persona="You are terse.").ask(plain, question=Content("What is this?", (page,)))
    system, user = run.ledger[0].request.messages
    assert (system.role, system.text) == ("system", "You are terse.")
    assert [type(part).__name__ for part in user.parts] == ["Text", "Blob"]
    assert run.ledger[0].text.startswith("You are terse.\n\nAnswer the question.")
    assert type(run.ledger[0].inputs["question"]) is Content


# Replies


@pytest.mark.parametrize(
    ("made", "text", "value"),
    [
        (plain, "  two words \n", "two words"),
        (plain, "```\ncode\n```", "```\ncode\n```"),
        (pair, "Title: x\nPoints: 3", Pair("x", 3)),
        (pair, "I think:\n\nTitle:   x: y  \n\nPoints: 3.", Pair("x: y", 3)),
        (pair, "Title: old\nPoints: 1\nTitle: new\nPoints: 2", Pair("new", 2)),
        (pair, "```\nTitle: x\nPoints: 3\n```", Pair("x", 3)),
        (choose, "```\nb\n```", "b"),
        (marks, "Since 2 > 1 in km; The answer is 2.5.", Marks("Since 2 > 1", "km", 2.5)),
        (marks, "The answer is 1. No: in m; The answer is 2.", Marks("The answer is 1. No:", "m", 2.0)),
        (marks, "So in km;", Marks("So", "km")),
        (lines, "3\nBecause.\n\nAnd 4\n", Lines(3, "Because.\n\nAnd 4")),
        (lines, "\n\n 3 \n\n", Lines(3)),
        (lines, "```\n3\nBecause.\n```", Lines(3, "Because.")),
        (deep, '{"pair": {"title": "t", "points": "3"}, "tags": ["a"]}', Deep(Pair("t", 3), ("a",))),
        (listed, "Here: ['a', 'b']", ("a", "b")),
        (listed, '["a"] or better ["b"]', ("b",)),
        (choose, "I would say B.", "b"),
        (choose, "a? No, b!", "b"),
    ],
)
def test_a_reply_is_read_as_its_type(made: Any, text: str, value: Any) -> None:
    assert parsed(made, text) == value


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (pair, "x"), (pair, "Title: x"), (pair, "Title: x\nPoints: many"), (pair, "Title:\nPoints: 3"), (marks, "km"),
        (marks, "so in ; The answer is 2."), (deep, '{"pair": {}}'), (deep, "[1]"), (listed, '{"a": 1}'), (listed, "[1, 2"),
        (lines, "Because.\n3"), (lines, "3 points\nBecause."), (lines, ""), (choose, "c"), (choose, "ab"), (choose, ""), (plain, ""),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_unparsed_and_says_why(made: Any, text: str) -> None:
    with pytest.raises(UnparsedReply) as caught:
        parsed(made, text)
    assert caught.value.complaint
    assert caught.value.signature == made.name


WORDS = st.text("abc xyz.;:é", min_size=1).map(str.strip).filter(bool)


@given(WORDS, st.integers())
def test_labelled_fields_round_trip(title: str, points: int) -> None:
    if "Title:" in title or "Points:" in title:
        return
    assert pair.parse(pair.write(Pair(title, points))) == Pair(title, points)
    assert lines.parse(lines.write(Lines(points, title))) == Lines(points, title)


@given(st.builds(Deep, st.builds(Pair, st.text(), st.integers()), st.lists(st.text(), max_size=3).map(tuple)))
def test_json_round_trips_whatever_the_texts_are(value: Deep) -> None:
    assert deep.parse(deep.write(value)) == value


@given(st.lists(WORDS.filter(lambda w: w[0].isalpha()), min_size=1, max_size=4).map(tuple))
def test_lists_round_trip(items: tuple[str, ...]) -> None:
    @signature
    def some(question: str) -> tuple[str, ...]:
        """Name some."""
        ...

    assert some.parse(some.write(items)) == items
    for marker in ("- {}", "* {}", "{n}. {}", "{n}) {}", "({n}) {}"):
        text = "\n".join(marker.format(item, n=number) for number, item in enumerate(items, 1))
        assert some.parse(Sample(text)) == items


@given(st.text(st.characters(codec="utf-8")).map(str.strip).filter(bool), st.booleans())
def test_a_step_round_trips_natively(words: str, answers: bool) -> None:
    step = Step(answer=words) if answers else Step(words, (ToolCall("look", {"where": words, "deep": True}),))
    assert act.parse(act.write(step)) == step


# Roles and bad signatures


def test_what_an_input_means_is_its_name_or_what_it_says() -> None:
    @signature
    def graded(
        question: str, attempt: Annotated[str, Role("answer")], whatever: int, steps: Transcript, tools: Tools
    ) -> str:
        """Grade."""
        ...

    assert graded.roles == {
        "question": "question",
        "attempt": "answer",
        "whatever": "",
        "steps": "steps",
        "tools": "tools",
    }
    assert graded.name == "test_formats.graded"
    assert graded.acts is False
    assert act.acts is True


def test_a_signature_must_say_what_it_returns_and_take_what_cannot_change() -> None:
    with pytest.raises(UsageError, match="needs a return type"):

        @signature
        def silent(question: str):
            """Say nothing."""

    for hint in (list[str], dict[str, int], set[str], list, dict):
        with pytest.raises(UsageError, match="must be immutable: use a tuple"):
            signature(_taking(hint))
    with pytest.raises(UsageError, match="'fields' needs a dataclass"):

        @signature(format="fields")
        def wrong(question: str) -> str:
            """Be wrong."""
            ...

    with pytest.raises(UsageError, match="format must be"):

        @signature(format="yaml")  # pyright: ignore[reportArgumentType, reportCallIssue]
        def unknown(question: str) -> str:
            """Be unknown."""
            ...


def _taking(hint: Any) -> Any:
    def taking(items: Any) -> str:
        """Take."""
        return ""

    taking.__annotations__["items"] = hint
    return taking


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "missing a required argument: 'question'"),
        ({"question": "?", "notez": ()}, "unexpected keyword argument 'notez'"),
        ({"question": "?", "notes": ["a"]}, "a tuple, not a list"),
        ({"question": {"a": [1]}}, "a tuple, not a list"),
        ({"question": float("nan")}, "must be a finite number"),
        ({"question": object()}, "must be immutable data"),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_before_the_call(given: dict[str, Any], message: str) -> None:
    run = scripted({plain: lambda **_: "x"})
    with pytest.raises(UsageError, match=message):
        await run.ask(plain, **given)
    assert not run.ledger
    assert await run.ask(plain, "by place") == "x"
