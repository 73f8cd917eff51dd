"""Verbs beside `ask` and `call`: memory, people, code, clock, dice, offers, tokens, notes."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Answer, Execution, Label, Recalled, Run, Task, signature, strategy
from stratagem.errors import (
    CapabilityError,
    ConcurrentUse,
    Diverged,
    JournalError,
    NoAnswer,
    SandboxError,
    Suspended,
    UsageError,
)
from stratagem.testing import Tape, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


class Notebook:
    """A memory that keeps what it is given, once per key."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.recalls = 0

    async def observe(
        self, text: str, *, key: str, source: str, time: str, label: Label, fields: Mapping[str, Any]
    ) -> None:
        self.kept.setdefault(key, {"text": text, "source": source, "time": time, "fields": dict(fields)})

    async def recall(self, query: str, n: int) -> Sequence[Recalled]:
        self.recalls += 1
        found = [one for one in self.kept.values() if query in one["text"]]
        return [Recalled(one["text"], id="7", source=one["source"], fields=one["fields"]) for one in found][:n]

    async def aclose(self) -> None: ...


# Memory


async def test_what_was_observed_is_recalled_with_its_source(clock: Any) -> None:
    book = Notebook()
    run = scripted(ECHO, memory=book, clock=clock)
    await run.memory.observe("milk is white", topic="milk", weight=[1, None])
    (found,) = await run.memory.recall("milk")
    assert (found, found.source, found.fields) == ("milk is white", "run run", {"topic": "milk", "weight": [1, None]})
    assert next(iter(book.kept.values()))["time"] == "2023-11-14T22:13:20.000Z"
    assert await run.memory.recall("nothing") == ()
    await run.ask(guess, number=1)
    assert isinstance(found, str)


async def test_a_resumed_run_observes_nothing_twice_and_recalls_what_it_recalled() -> None:
    async def program(run: Run) -> list[Recalled]:
        await run.memory.observe("milk 1")
        await run.memory.observe("milk 1")
        first = await run.memory.recall("milk", n=9)
        await run.memory.observe("milk 2")
        return [*first, *await run.memory.recall("milk", n=9)]

    book = Notebook()
    run = scripted(ECHO, memory=book)
    found = await program(run)
    assert len(book.kept) == 3
    for upto in range(len(tape_of(run)) + 1):
        again = scripted(ECHO, memory=book, tape=tape_of(run).upto(upto))
        if upto >= 3:
            assert await program(again) == found
        else:
            await program(again)
        assert len(book.kept) == 3  # the same keys, whatever was recorded


async def test_branches_observe_under_keys_of_their_own() -> None:
    async def branch(run: Run, number: int) -> None:
        await run.memory.observe("same")

    book = Notebook()
    run = scripted(ECHO, memory=book)
    await run.map(branch, range(3))
    assert len(book.kept) == 3
    other = scripted(ECHO, memory=book)
    other.strand.world.origin = "another"
    await other.map(branch, range(3))
    assert len(book.kept) == 6


@pytest.mark.parametrize("value", [object(), math.nan, b"x", {"a": object()}])
async def test_fields_that_are_no_json_are_refused(value: Any) -> None:
    book = Notebook()
    run = scripted(ECHO, memory=book)
    with pytest.raises(UsageError):
        await run.memory.observe("x", thing=value)
    assert not book.kept
    assert await run.ask(guess, number=1) == "g1"


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
async def test_how_many_are_recalled_is_a_number_from_one_up(n: Any) -> None:
    with pytest.raises(UsageError, match="n must be"):
        await scripted(ECHO, memory=Notebook()).memory.recall("x", n=n)


@given(st.text(st.characters(exclude_categories=())))
async def test_any_text_can_be_kept_looked_for_asked_and_noted(text: str) -> None:
    run = scripted(ECHO, memory=Notebook(), sandbox=Box())
    await run.memory.observe(text, field=text)
    await run.memory.recall(text)
    await run.execute(text)
    run.note("words", text=text)
    with pytest.raises(Suspended):
        await run.wait(text)
    for row in tape_of(run).rows:
        row.request.decode()
        row.result.decode()


async def test_a_memory_that_fails_fails_the_call_and_is_asked_again_by_a_resume() -> None:
    class Broken(Notebook):
        async def recall(self, query: str, n: int) -> Sequence[Recalled]:
            raise JournalError("the memory's file is locked")

    run = scripted(ECHO, memory=Broken())
    with pytest.raises(JournalError, match="locked"):
        await run.memory.recall("x")
    assert not tape_of(run).rows
    again = scripted(ECHO, memory=Notebook(), tape=tape_of(run))
    assert await again.memory.recall("x") == ()


async def test_a_model_that_lacks_a_package_is_asked_again_once_it_is_there() -> None:
    from stratagem.testing import ScriptedModel

    class Lacking(ScriptedModel):
        def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            raise CapabilityError("pip install stratagem[http]")

    class Waiting(Lacking):
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            return super().complete(request)

    for kind in (Lacking, Waiting):
        run = scripted(ECHO, calls=1)
        run.strand.world.services.model = kind(ECHO)
        with pytest.raises(CapabilityError, match="pip install"):
            await run.ask(guess, number=1)
        assert (len(tape_of(run)), run.budget.spent.calls) == (0, 0)
        assert run.strand.meters[0].reserved == [0, 0, 0, 0]
        assert await scripted(ECHO, calls=1, tape=tape_of(run)).ask(guess, number=1) == "g1"


# People


@pytest.mark.parametrize(
    ("schema", "said", "value", "form"),
    [
        (bool, True, True, {"type": "boolean"}),
        (str, "because", "because", {"type": "string"}),
        (int, 3, 3, {"type": "integer"}),
        (tuple[str, ...], ["a", "b"], ("a", "b"), {"type": "array", "items": {"type": "string"}}),
        (Literal["yes", "later"], "later", "later", {"type": "string", "enum": ["yes", "later"]}),
    ],
)
async def test_a_question_waits_for_an_answer_of_its_type(schema: Any, said: Any, value: Any, form: Any) -> None:
    run = scripted(ECHO)
    with pytest.raises(Suspended, match=r"Why\?"):
        await run.wait("Why?", schema=schema)
    ((number, question),) = run.strand.world.questions.items()
    assert question == {"id": number, "question": "Why?", "schema": form}
    tape = Tape()
    tape.answers[number] = said
    again = scripted(ECHO, tape=tape)
    assert await again.wait("Why?", schema=schema) == value
    assert await scripted(ECHO, tape=tape_of(again), replaying=True).wait("Why?", schema=schema) == value


async def test_the_ids_of_questions_depend_on_place_and_words_only() -> None:
    numbers: list[str] = []

    async def asks(run: Run, number: int) -> None:
        if number == 1:
            async with run.scope("part") as run:
                await run.wait("Why?")
        await run.wait(("Why?", "", "Why not?")[number])

    for _ in range(2):
        run = scripted(ECHO)
        with pytest.raises(Suspended):
            await run.map(asks, range(3))
        numbers.append(" ".join(run.strand.world.questions))
    assert numbers[0] == numbers[1]
    assert len(set(numbers[0].split())) == 3


async def test_a_pause_is_no_exception_that_a_strategy_could_tolerate() -> None:
    async def asking(run: Run, number: int) -> str:
        if number:
            return await run.ask(guess, number=number)
        return str(await run.wait("Go on?"))

    run = scripted(ECHO)
    with pytest.raises(Suspended):
        await run.map(asking, range(3), tolerate=(NoAnswer,))

    async def pooled() -> None:
        async with run.pool(asking) as pool:
            pool.start(0)
            await anext(pool)

    with pytest.raises(Suspended):
        await pooled()


# Code


class Box:
    spec = "box"

    async def execute(self, code: str, *, language: str, files: tuple[str, ...], timeout_s: float) -> Execution:
        if code == "leak":
            raise SandboxError("the wall is missing")
        return Execution(f"ran {len(code)}", "warning", [1, {"a": None}], timed_out=code == "loop")


async def test_code_needs_a_sandbox() -> None:
    run = scripted(ECHO)
    with pytest.raises(CapabilityError, match="no sandbox is configured") as caught:
        await run.execute("1")
    assert "open(sandbox=...)" in caught.value.remedy
    assert await run.ask(guess, number=1) == "g1"


async def test_what_came_of_code_is_recorded() -> None:
    run = scripted(ECHO, sandbox=Box())
    first = await run.execute("print(1)")
    assert first == Execution("ran 8", "warning", [1, {"a": None}])
    assert (await run.execute("loop")).timed_out
    with pytest.raises(SandboxError):
        await run.execute("leak")
    again = scripted(ECHO, tape=tape_of(run), replaying=True, sandbox=Box())
    assert await again.execute("print(1)") == first
    assert (await again.execute("loop")).timed_out
    with pytest.raises(SandboxError, match="the wall is missing"):
        await again.execute("leak")
    with pytest.raises(Diverged):
        await again.execute("print(2)")


async def test_what_code_printed_is_not_trusted() -> None:
    run = scripted(ECHO, sandbox=Box())
    await run.execute("1")
    assert not run.strand.label.trusted


# Clock and dice


async def test_time_and_budget_are_read_without_waiting_and_recorded_in_order() -> None:
    run = scripted(ECHO, calls=5)
    run.now()
    assert run.budget.remaining("calls") == 5
    assert run.budget.remaining("tokens") == math.inf
    await run.ask(guess, number=1)
    assert run.budget.spent.calls == 1
    assert [row.kind for row in tape_of(run).rows] == ["decision", "decision", "decision", "model", "decision"]
    again = scripted(ECHO, calls=99, tape=tape_of(run))
    assert again.now() == scripted(ECHO, tape=tape_of(run)).now()
    assert again.budget.remaining("calls") == 5
    assert again.budget.remaining("tokens") == math.inf
    for name in ("depth", "dollars", ""):
        with pytest.raises(UsageError, match="there is no limit"):
            run.budget.remaining(name)
        with pytest.raises(UsageError, match="there is no limit"):
            run.budget.allows(**{name: 1})


async def test_dice_depend_on_the_seed_and_the_place_only() -> None:
    async def thrown(run: Run, _: int) -> list[float]:
        await run.ask(guess, number=1)
        return [run.rng.random() for _ in range(2)]

    runs = [scripted(ECHO, seed=seed, reverse=reverse) for seed in (0, 0, 1) for reverse in (False, True)]
    found = [(await run.map(thrown, range(2)), run.rng.random()) for run in runs]
    assert found[0] == found[1] == found[2] == found[3] != found[4] == found[5]
    assert found[0][0][0] != found[0][0][1]


async def test_tokens_are_counted_by_the_strands_model() -> None:
    run = scripted(ECHO)
    assert run.tokens("three little words") == 3
    assert run.using(temperature=1).tokens("") == 0


# Offers


async def test_best_is_not_read_while_a_branch_of_the_call_runs() -> None:
    async def peeking(run: Run, number: int) -> str:
        run.offer(Answer(str(number)), score=number)
        await run.ask(guess, number=number)
        return run.best.text

    run = scripted(ECHO)
    with pytest.raises(ConcurrentUse, match="while its branches run"):
        await run.map(peeking, range(3))

    async def asking(run: Run, number: int) -> str:
        return await run.ask(guess, number=number)

    async with run.pool(asking) as pool:
        pool.start(1)
        await asyncio.sleep(0)
        with pytest.raises(ConcurrentUse, match="while its branches run"):
            _ = run.best
        assert [found async for found in pool] == [(1, "g1")]
    assert run.best.text == "2"


async def test_a_strategy_call_in_a_branch_reads_its_own_best() -> None:
    @strategy(calls="1")
    async def inner(run: Run, task: Task) -> Answer:
        run.offer(Answer(await run.ask(guess, number=int(task.question))))
        return run.best

    run = scripted(ECHO)
    found = await run.map(lambda run, number: inner(run, Task(str(number))), range(3))
    assert [one.text for one in found] == ["g0", "g1", "g2"]
    with pytest.raises(NoAnswer, match="no answer was offered"):
        _ = run.best


@pytest.mark.parametrize("score", [math.nan, "1"])
async def test_a_score_is_a_number(score: Any) -> None:
    run = scripted(ECHO)
    with pytest.raises(UsageError, match="score"):
        run.offer(Answer("x"), score)
    with pytest.raises(UsageError, match="an offer is an Answer"):
        run.offer("x")  # pyright: ignore[reportArgumentType]


async def test_an_unscored_offer_counts_as_much_as_the_best_of_its_own_strand() -> None:
    run = scripted(ECHO)
    async with run.scope("a") as part:
        part.offer(Answer("a"), score=0.5)
    async with run.scope("b") as part:
        part.offer(Answer("b0"))
        part.offer(Answer("b1"), score=0.4)
        part.offer(Answer("b2"))
    assert run.best.text == "a"
    run.offer(Answer("root"))
    assert run.best.text == "a"
    run.offer(Answer("root"), score=0.5)
    assert run.best.text == "a"  # a tie goes to the first by place


async def test_offers_of_a_failed_inner_call_rank_among_each_other_by_place() -> None:
    @strategy(calls="0")
    async def failing(run: Run, task: Task) -> Answer:
        run.offer(Answer(task.notes[0]), score=float(len(task.notes[0])))
        raise NoAnswer("none")

    async def branch(run: Run, words: str) -> Answer:
        return await failing(run, Task("?", notes=(words,)))

    for reverse in (False, True):
        run = scripted(ECHO, reverse=reverse)
        with pytest.raises(NoAnswer):
            await run.map(branch, ["first", "a longer one"])
        assert run.best.text == "first"
