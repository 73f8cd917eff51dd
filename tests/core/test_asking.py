"""What is asked again is not made again, and is the same as if it were."""

from dataclasses import dataclass
from typing import Any

import pytest

from stratagem.core import USER, Content, Example, Examples, Label, Recalled, Request, Run, Transcript, signature
from stratagem.core._canonical import decoded
from stratagem.testing import ScriptedModel, scripted, tape_of


@signature
def guess(question: object, notes: tuple[str, ...] = ()) -> str:
    """Guess."""
    ...


@signature
def solve(examples: Examples, question: str) -> str:
    """{examples}Q: {question}
    A:"""
    ...


ECHO: dict[Any, Any] = {guess: lambda question, notes: "g", solve: lambda examples, question: "s"}
LONG = "How many of the numbers from one to a hundred are the sum of two squares?"


@dataclass(frozen=True)
class Shape:
    sides: int


async def test_the_same_question_of_many_branches_is_one_request_at_different_places() -> None:
    async def asked(run: Run, _: int) -> None:
        for _ in range(2):
            await run.ask(guess, question=LONG, notes=("a", "b"))

    run = scripted(ECHO)
    await run.map(asked, range(3))
    first, *others = [one.request for one in run.ledger]
    assert all(one.message is first.message and one.digest == first.digest for one in others)
    assert [(one.path, one.occurrence) for one in (first, *others)] == [
        (f"map[{branch}]", time) for branch in range(3) for time in range(2)
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", 1), (1, True), (True, "yes"), ((), ""), (("a",), ("b",)), (Shape(3), Shape(4)), ("x", Content("x ")), (None, ""),
    ],
)  # fmt: skip
async def test_other_inputs_make_another_request(one: object, other: object) -> None:
    run = scripted(ECHO)
    for question in (one, other, one):
        await run.ask(guess, question=question)
    told = [asked.request for asked in run.ledger]
    alone = scripted(ECHO)
    await alone.ask(guess, question=other)
    assert [told[1].message, told[1].digest] == [alone.ledger[0].request.message, alone.ledger[0].request.digest]
    assert told[1].inputs["question"] is other
    assert (told[0].message, told[0].digest) == (told[2].message, told[2].digest)


async def test_an_input_that_has_changed_makes_another_request() -> None:
    @dataclass
    class State:
        step: int

    state, run = State(0), scripted(ECHO)
    for step in range(3):
        state.step = step
        await run.ask(guess, question=LONG, notes=(state,))  # pyright: ignore[reportArgumentType]
        await run.ask(guess, question={"steps": state})
    assert [len({one.request.digest for one in run.ledger[at::2]}) for at in range(2)] == [3, 3]


async def test_an_input_without_a_type_is_handed_on() -> None:
    @signature
    def told(question: str, flag=1) -> str:  # type: ignore[no-untyped-def]
        """Tell."""
        ...

    run = scripted({told: lambda question, flag: "t"})
    await run.ask(told, question=LONG)
    await run.ask(told, question=LONG, flag=5)
    assert [asked.inputs["flag"] for asked in run.ledger] == [1, 5]


async def test_examples_are_the_same_if_each_of_them_is() -> None:
    one, two = Example("1 + 1?", "2"), Example("2 + 2?", "4")
    run = scripted(ECHO)
    for examples in ((one, two), (one, two), (two, one), (one,), ()):
        await run.ask(solve, examples=examples, question=LONG)
    messages = [asked.request.message for asked in run.ledger]
    assert messages[0] is messages[1]
    assert len(set(messages)) == 4
    assert messages[2].index("2 + 2?") < messages[2].index("1 + 1?")


async def test_a_label_rises_each_time() -> None:
    for value in (Content("?", label=Label({"mail:7"}, {"ada"})), Recalled("?", label=Label({"memory:1"}, {"ada"}))):
        run = scripted(ECHO)
        for name in ("first", "second"):
            async with run.scope(name) as part:
                part.strand.label = USER
                await part.ask(guess, question=value)
                assert part.strand.label.readers == {"ada"}


async def test_what_is_asked_after_an_unreadable_reply_is_not_taken_for_the_question() -> None:
    @signature
    def count(question: str) -> int:
        """Count."""
        ...

    run = scripted({count: lambda question: 3}, repairs=1, garble={("", f"Count.\n\nQuestion: {LONG}")})
    assert await run.ask(count, question=LONG) == await run.ask(count, question=LONG) == 3
    asked = [one.request for one in run.ledger]
    assert [len(one.repair) for one in asked] == [0, 1, 0, 1]
    assert asked[0].digest == asked[2].digest != asked[1].digest == asked[3].digest


@pytest.mark.parametrize("question", ["Short?", LONG])
async def test_every_row_can_be_read_back(question: str) -> None:
    run = scripted(ECHO)
    for notes in ((), (), (), ("a",), ("a",), ()):
        await run.ask(guess, question=question, notes=notes)
    forms = [decoded(row.request) for row in tape_of(run).rows]
    assert [asked.request.message for asked in run.ledger] == [
        forms[form["message"]]["message"] if isinstance(form["message"], int) else form["message"] for form in forms
    ]
    assert all(isinstance(form["head"], int) for form in forms[1:])


async def test_what_a_model_drops_is_recorded_of_that_model_though_another_has_its_name() -> None:
    class Deaf(ScriptedModel):
        def refuses(self, request: Request) -> frozenset[str]:
            return frozenset(request.options) & {"temperature"}

    run = scripted(ECHO)
    hears, deaf = ScriptedModel(ECHO), Deaf(ECHO)
    for model in (hears, hears, hears, deaf, deaf, deaf, hears):
        await run.using(model=model, temperature=0.5).ask(guess, question=LONG)
    dropped = [decoded(row.request).get("dropped") for row in tape_of(run).rows]
    assert dropped == [None, None, None, *[["temperature"]] * 3, None]


async def test_a_conversation_that_goes_on_is_told_apart() -> None:
    run = scripted(ECHO)
    empty = Transcript()
    await run.ask(guess, question=empty)
    await run.ask(guess, question=Transcript())
    first, second = [asked.request for asked in run.ledger]
    assert first.digest == second.digest
