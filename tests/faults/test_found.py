"""What the random programs have found, as small as it gets."""

import asyncio
import contextlib
from typing import Any

from stratagem import session
from stratagem.core import Answer, MemoryJournal, Run, Task, signature, strategy, tool
from stratagem.errors import Unavailable
from stratagem.testing import ScriptedModel


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


def opened(model: Any = None, **settings: Any) -> Any:
    usual = {"journal": "memory", "memory": "none", "repairs": 0}
    return session.open(model=model or ScriptedModel({guess: lambda number: f"g{number}"}), **{**usual, **settings})


@tool(effect="send", repeat="free")
async def mail(text: str) -> str:
    """Send a mail."""
    return f"sent {text}"


@strategy(calls="1", lower="1")
async def mailing(run: Run, task: Task) -> Answer:
    seen = await run.call(mail, text="a")
    return task.answer(f"{seen.text}; {await run.ask(guess, number=1)}")


async def test_a_run_in_which_a_person_has_refused_a_tool_can_be_replayed() -> None:
    async with opened(tools=(mail,), policy="ask") as one:
        await one.run(mailing, "?", run_id="mine")
        await one.answer("mine", "no")
        answer = await one.resume("mine")
        assert answer.text == "Denied: a person refused `mail`; g1"
        assert (await one.replay("mine")).text == answer.text


async def test_a_run_in_which_the_policy_has_refused_a_tool_can_be_replayed() -> None:
    async with opened(tools=(mail,), policy="never") as one:
        answer = await one.run(mailing, "?", run_id="mine")
        assert answer.text.startswith("Denied: ")
        assert (await one.replay("mine")).text == answer.text


async def test_a_run_does_not_park_between_an_answer_and_the_turn_of_the_strand_that_has_waited_for_it() -> None:
    go_on: asyncio.Event = asyncio.Event()

    @strategy(calls="1", lower="1")
    async def racing(run: Run, task: Task) -> Answer:
        async def branch(run: Run, number: int) -> str:
            if number == 0:
                return str(await run.wait("Which?", schema=str))
            await go_on.wait()
            return "done"

        found = await run.map(branch, range(2))
        return task.answer(" ".join([*found, await run.ask(guess, number=1)]))

    async with opened() as one:
        running = asyncio.create_task(one.run(racing, "?", run_id="mine"))
        while not (asked := (await one.show("mine")).questions() if "mine" in one.live else []):  # noqa: ASYNC110
            await asyncio.sleep(0)
        go_on.set()  # wakes the other branch, which ends, in the same turn in which the answer comes
        await one.answer("mine", "red", asked[0]["id"])
        answer = await running
        assert (answer.stop, answer.text) == ("answered", "red done g1")


class Flaky(ScriptedModel):
    """Not available at the first call."""

    paid = 0

    def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        self.paid += 1
        if self.paid == 1:
            raise Unavailable("down")
        return super().complete(request)


@strategy(calls="1")
async def without(run: Run, task: Task) -> Answer:
    """Ask a person what to do where the model is down."""
    try:
        return task.answer(await run.ask(guess, number=1))
    except Unavailable:
        return task.answer(str(await run.wait("The model is down. What is it?", schema=str)))


async def test_an_error_is_history_once_a_person_was_asked_because_of_it() -> None:
    model = Flaky({guess: lambda number: f"g{number}"})
    async with opened(model) as one:
        await one.run(without, "?", run_id="mine")
        await one.answer("mine", "seven")
        assert (await one.resume("mine")).text == "seven"
    assert model.paid == 1


@strategy(calls="4")
async def asking_in_vain(run: Run, task: Task) -> Answer:
    """A branch asks a person and is cancelled; later the model is down, and nobody catches that."""

    async def branch(run: Run, number: int) -> str:
        if number:
            return str(await run.wait("Never answered?", schema=str))
        await asyncio.sleep(0)
        return await run.ask(guess, number=-1)

    with contextlib.suppress(Unavailable):
        await run.map(branch, range(2))
    return task.answer(await run.ask(guess, number=1))


async def test_a_question_that_nobody_asks_any_more_makes_no_later_error_history() -> None:
    class Twice(Flaky):
        def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            self.paid += 1
            if self.paid <= 2:
                raise Unavailable("down")
            return ScriptedModel.complete(self, request)

    model, journal = Twice({guess: lambda number: f"g{number}"}), MemoryJournal()
    async with opened(model, journal=journal) as one:
        failed = await asyncio.gather(one.run(asking_in_vain, "?", run_id="mine"), return_exceptions=True)
        assert isinstance(failed[0], Unavailable)
        assert model.paid == 2
        assert (await one.resume("mine")).text == "g1"
        assert model.paid == 3
