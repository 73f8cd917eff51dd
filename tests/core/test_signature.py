"""Signatures: how inputs become a message, and a reply becomes a typed value."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from stratagem.core import Example, Marked, Observation, Sample, Step, ToolCall, Transcript, Verdict, signature
from stratagem.core import Examples as Shots
from stratagem.errors import UnparsedReply


@dataclass(frozen=True)
class Solved:
    thinking: str
    answer: Annotated[int, Marked("The answer is", end=".")]


@signature
def plain(question: str, notes: tuple[str, ...]) -> str:
    """Answer."""
    ...


@signature
def quoted(question: str, notes: tuple[str, ...]) -> Solved:
    """Set {x} aside. Q: {question}"""
    ...


@signature
def shown(examples: Shots, question: str) -> Solved:
    """Solve.
    {examples}Q: {question}
    A:"""
    ...


@signature
def grade(answer: str) -> Verdict:
    """Grade."""
    ...


@signature
def choose(answer: str) -> Literal["sure", "likely"]:
    """Choose."""
    ...


@signature
def split(answer: str) -> tuple[str, ...]:
    """Split."""
    ...


@signature
def decide(answer: str) -> bool:
    """Decide."""
    ...


@signature
def move(steps: Transcript) -> Step:
    """Move."""
    ...


def message(made: Any, **inputs: Any) -> str:
    return made.layout(made.instruction, hidden=made.hidden[True]).message(inputs)


def test_inputs_are_labelled_below_the_instruction_and_empty_ones_are_left_out() -> None:
    assert message(plain, question="1 + 1?", notes=()) == "Answer.\n\nQuestion: 1 + 1?"
    assert message(plain, question="?", notes=("a", "b")) == "Answer.\n\nQuestion: ?\nNotes: \n- a\n- b"


def test_a_docstring_that_mentions_an_input_is_the_whole_message() -> None:
    assert message(quoted, question="{notes}", notes=()) == "Set {x} aside. Q: {notes}"
    assert message(quoted, question="?", notes=("a",)) == "Notes: \n- a\n\nSet {x} aside. Q: ?"


def test_examples_repeat_the_rest_of_the_message_with_their_answers() -> None:
    found = message(shown, examples=(Example("1?", "1", "One."),), question="2?")
    assert found == "Solve.\nQ: 1?\nA: One. The answer is 1.\n\nQ: 2?\nA:"


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (plain, "yes"),
        (quoted, Solved("Because.", 7)),
        (grade, Verdict(True, 0.5, "")),
        (grade, Verdict(False, 0.0, "no\nand no")),
        (choose, "likely"),
        (split, ("a", "b c")),
        (decide, False),
    ],
)
def test_what_is_written_is_read_again(made: Any, value: Any) -> None:
    assert made.parse(made.write(value, native=True), native=True) == value


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("step", [Step("Hm.", (ToolCall("go", {"to": "x"}),)), Step(answer="done")])
def test_a_step_is_read_in_both_protocols(step: Step, native: bool) -> None:
    found: Any = move.parse(move.write(step, native=native), native=native)
    assert (found.thought, found.answer, len(found.calls)) == (step.thought, step.answer, len(step.calls))


@pytest.mark.parametrize(
    ("made", "text"),
    [(plain, " "), (quoted, "7"), (quoted, "The answer is seven."), (choose, "no"), (split, "\n"), (decide, "maybe")],
)
def test_what_does_not_fit_is_unparsed(made: Any, text: str) -> None:
    with pytest.raises(UnparsedReply) as caught:
        made.parse(Sample(text), native=True)
    assert (caught.value.signature, caught.value.reply) == (made.name, text)


def test_a_transcript_shares_its_prefix_and_knows_its_digest() -> None:
    first = Transcript().then(Step("a", (ToolCall("go", {"to": "x"}),)), Observation("there"))
    second, other = first.then(Step(answer="b")), first.then(Step(answer="c"))
    assert second.buffer is first.buffer is not other.buffer
    assert second == first.then(Step(answer="b")) != other
    assert first.lines() == ["Thought 1: a\nAction 1: go[x]\nObservation 1: there"]
    assert other.lines() == [*first.lines(), "Answer: c"]
    assert [len(view) for view in (first, second, other)] == [1, 2, 2]
