"""Runs that wait for persons: who goes on meanwhile, when a run is parked, how answers reach it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, MemoryJournal, Run, StoredRun, Task, encoded, signature, strategy, tool
from stratagem.errors import JournalCorrupt, NoAnswer, OwnedElsewhere, UsageError
from stratagem.testing import ScriptedModel


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


WORLD: dict[Any, Any] = {guess: lambda number: f"g{number}"}


def opened(journal: Any = "memory", **settings: Any) -> Any:
    return session.open(**{"model": ScriptedModel(WORLD), "memory": "none", "journal": journal, **settings})


@strategy(calls="n", lower="n")
async def mixed(run: Run, task: Task, *, n: int = 4) -> Answer:
    """Branch 0 asks at once, the others make calls first; branch 1 asks at its end."""

    async def branch(run: Run, number: int) -> str:
        said = "" if number else str(await run.wait("First?", schema=str))
        found = await run.ask(guess, number=number)
        await asyncio.sleep(0)
        if number == 1:
            said = str(await run.wait("Second?", schema=str))
        return found + said

    return task.answer(" ".join(await run.map(branch, range(n))))


@strategy(calls="3", lower="3")
async def narrow(run: Run, task: Task) -> Answer:
    async def branch(run: Run, number: int) -> str:
        found = await run.ask(guess, number=number)
        return found + str(await run.wait(f"{number}?", schema=str))

    return task.answer(" ".join(await run.map(branch, range(3), width=1)))


@strategy(calls="2", lower="1")
async def tidy(run: Run, task: Task) -> Answer:
    try:
        await run.wait("Go on?")
    finally:
        await run.ask(guess, number=1)
    raise NoAnswer("never")


SENT: list[str] = []


@tool(effect="send", repeat="free")
async def mail(text: str) -> str:
    """Send a mail."""
    SENT.append(text)
    return f"sent {text}"


@strategy(calls="0")
async def mailing(run: Run, task: Task) -> Answer:
    return task.answer(" ".join([(await run.call(mail, text=text)).text for text in "abc"]))


async def test_other_strands_go_on_until_all_wait() -> None:
    async with opened() as one:
        answer = await one.run(mixed, "?", run_id="mine")
        assert answer.stop == "suspended"
        record = await one.show("mine")
        assert (record.state, record.usage().calls) == ("waiting", 3)
        assert [asked["question"] for asked in record.questions()] == ["First?", "Second?"]
        for asked, said in zip(record.questions(), ("a", "b"), strict=True):
            assert await one.answer("mine", said, asked["id"]) == ""
        answer = await one.resume("mine")
        assert (answer.text, answer.usage.calls) == ("g0a g1b g2 g3", 4)
        assert (await one.show("mine")).questions() == []


async def test_a_waiting_branch_keeps_its_place_in_the_width() -> None:
    async with opened() as one:
        answer = await one.run(narrow, "?", run_id="mine")
        for number in range(3):
            record = await one.show("mine")
            assert (answer.stop, record.usage().calls) == ("suspended", number + 1)
            assert [asked["question"] for asked in record.questions()] == [f"{number}?"]
            await one.answer("mine", "!")
            answer = await one.resume("mine")
        assert (answer.text, answer.usage.calls) == ("g0! g1! g2!", 3)


async def test_an_answer_reaches_a_strand_while_the_run_goes_on() -> None:
    journal, go_on = MemoryJournal(), asyncio.Event()

    @strategy(calls="0")
    async def busy(run: Run, task: Task) -> Answer:
        async def branch(run: Run, number: int) -> str:
            if number == 0:
                said = str(await run.wait("Which?", schema=str))
                go_on.set()
                return said
            await go_on.wait()
            return "done"

        return task.answer(" ".join(await run.map(branch, range(2))))

    async with opened(journal) as one, opened(journal) as two:
        running = asyncio.create_task(one.run(busy, "?", run_id="mine"))
        while not (record := await _shown(two)) or not record.questions():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert record.state == "running"
        with pytest.raises(OwnedElsewhere, match="mine"):
            await two.resume("mine", strategy=busy)
        assert "which was alive 0 s ago" in await two.answer("mine", "red")
        assert (await running).text == "red done"


async def _shown(one: Any) -> Any:
    try:
        return await one.show("mine")
    except UsageError:
        return None


async def test_an_answer_that_comes_while_the_run_parks_is_not_lost() -> None:
    class Late(MemoryJournal):
        """Somebody answers after the last strand has asked, and before the run is let go of."""

        async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
            if len(waiting) == 2:
                found = await self.answer(run.run_id, waiting[0], encoded("late"))
                assert found is not None
                assert found.owner  # so whoever answers leaves the run to its owner
            return await super().park(run, waiting)

    async with opened(Late()) as one:
        answer = await one.run(mixed, "?", run_id="mine")
        record = await one.show("mine")
        assert (answer.stop, record.usage().calls) == ("suspended", 4)
        assert [asked["question"] for asked in record.questions()] == ["Second?"]
        await one.answer("mine", "b")
        assert (await one.resume("mine")).text == "g0late g1b g2 g3"


async def test_the_second_of_two_answers_is_refused_and_a_wrong_one_stored_nowhere() -> None:
    async with opened() as one:
        await one.run(mixed, "?", run_id="mine")
        first, _ = (await one.show("mine")).questions()
        with pytest.raises(UsageError, match="the answer"):
            await one.answer("mine", ["a"], first["id"])
        await one.answer("mine", "a", first["id"])
        with pytest.raises(UsageError, match="no open question"):
            await one.answer("mine", "z", first["id"])
        with pytest.raises(UsageError, match="no run"):
            await one.answer("nobodys", "z")


async def test_nothing_is_performed_while_a_parked_run_unwinds() -> None:
    async with opened() as one:
        assert (await one.run(tidy, "?", run_id="mine")).stop == "suspended"
        assert (await one.show("mine")).usage().calls == 0
        await one.answer("mine", value=True)
        assert (await one.resume("mine")).stop == "no_answer"
        assert (await one.show("mine")).usage().calls == 1


async def test_a_replay_of_a_run_that_waits_waits_where_it_waited() -> None:
    async with opened() as one:
        await one.run(mixed, "?", run_id="mine")
        assert (await one.replay("mine")).stop == "suspended"
        assert (await one.show("mine")).state == "waiting"


async def test_a_person_may_allow_a_tool_for_the_rest_of_the_run() -> None:

    SENT.clear()
    async with opened(tools=(mail,), policy="ask") as one:
        await one.run(mailing, "?", run_id="mine")
        await one.answer("mine", "yes")
        assert (await one.resume("mine")).stop == "suspended"
        assert SENT == ["a"]
        await one.answer("mine", "always")
        assert (await one.resume("mine")).text == "sent a sent b sent c"
        assert SENT == ["a", "b", "c"]
        assert (await one.replay("mine")).text == "sent a sent b sent c"


async def test_days_may_pass_before_an_answer(clock: Any) -> None:
    async with opened(MemoryJournal(clock), clock=clock) as one:
        await one.run(mixed, "?", run_id="mine", budget="seconds=60")
        clock.advance(30 * 86_400)
        for asked in (await one.show("mine")).questions():
            await one.answer("mine", "x", asked["id"])
        answer = await one.resume("mine")
        assert (answer.stop, answer.text) == ("answered", "g0x g1x g2 g3")
        assert answer.usage.seconds < 60


async def test_a_fork_with_another_answer_to_an_approval_goes_another_way() -> None:
    SENT.clear()
    async with opened(tools=(mail,), policy="ask") as one:
        await one.run(mailing, "?", run_id="mine")
        await one.answer("mine", "always")
        answer = await one.resume("mine")
        assert (answer.text, answer.counts.unused) == ("sent a sent b sent c", 0)
        (wait,) = [row.seq for row in (await one.show("mine")).rows if row.kind == "wait"]
        forked = await one.fork("mine", at=wait, set={"reply": "no"})
        # What the parent did under its "always" is reused as it is: it has happened, and asks for the same.
        assert forked.text == "Denied: a person refused `mail` sent b sent c"
        assert (forked.counts.performed, forked.counts.unused) == (0, 1)
        again = await one.fork("mine", at=wait, set={"reply": "always"})
        assert (again.text, again.counts.performed) == ("sent a sent b sent c", 0)
    assert SENT == ["a", "b", "c"]


@strategy(calls="0")
async def asks_once(run: Run, task: Task) -> Answer:
    return task.answer(str(await run.wait("Go?")))


async def test_a_fork_of_a_waiting_run_has_answers_of_its_own() -> None:
    async with opened() as one:
        await one.run(asks_once, "?", run_id="mine")
        fork = await one.fork("mine", set={"budget": "calls=9"})
        assert fork.stop == "suspended"
        await one.answer("mine", value=True)
        assert (await one.resume("mine")).text == "True"
        assert (await one.resume(fork.run_id)).stop == "suspended"  # what its parent did later is its parent's
        await one.answer(fork.run_id, value=False)
        assert (await one.resume(fork.run_id)).text == "False"
        assert (await one.replay(fork.run_id)).text == "False"


@strategy(calls="0")
async def first_of_three(run: Run, task: Task) -> Answer:
    async def ask(run: Run, name: str) -> str:
        return f"{name} {await run.wait(f'{name}?', schema=str)}"

    async with run.pool(ask) as pool:
        for name in ("Ann", "Bob", "Eve"):
            pool.start(name)
        async for _, said in pool:
            return task.answer(said)
    raise NoAnswer("nobody")


async def test_whoever_answers_first_is_first_in_a_pool() -> None:
    async with opened() as one:
        for name in ("Bob", "Eve", "Ann"):
            parked = await one.run(first_of_three, "?")
            record = await one.show(parked.run_id)
            assert [row.kind for row in record.rows] == []  # unwinding is no completion
            (asked,) = [asked for asked in record.questions() if asked["question"] == f"{name}?"]
            await one.answer(parked.run_id, "me", asked["id"])
            assert (await one.resume(parked.run_id)).text == f"{name} me"


@strategy(calls="0")
async def asks_in_vain(run: Run, task: Task) -> Answer:
    async def ask(run: Run, _: int) -> str:
        return str(await run.wait("Nobody waits?", schema=str))

    async with run.pool(ask) as pool:
        pool.start(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return task.answer(str(await run.wait("And now?", schema=str)))


async def test_a_question_that_nobody_waits_for_any_more_is_not_open() -> None:
    async with opened() as one:
        await one.run(asks_in_vain, "?", run_id="mine")
        assert [asked["question"] for asked in (await one.show("mine")).questions()] == ["And now?"]
        await one.answer("mine", "now")
        assert (await one.resume("mine")).text == "now"


@strategy(calls="0")
async def asks_otherwise(run: Run, task: Task) -> Answer:
    return task.answer(str(await run.wait("Really go?", schema=str)))


async def test_the_strategy_that_replaces_another_one_stays() -> None:
    async with opened() as one:
        await one.run(asks_once, "?", run_id="mine")
        assert (await one.resume("mine", strategy=asks_otherwise)).stop == "suspended"
        (asked,) = (await one.show("mine")).questions()
        assert asked["question"] == "Really go?"
        await one.answer("mine", "yes", asked["id"])
        assert (await one.resume("mine")).text == "yes"


async def test_a_damaged_answer_of_one_run_keeps_no_other_from_hearing_its_own() -> None:
    class Damaged(MemoryJournal):
        async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
            if "broken" in run_ids:
                raise JournalCorrupt("an answer to run 'broken' is damaged")
            return await super().answers(run_ids)

    journal, go_on = Damaged(), asyncio.Event()

    @strategy(calls="0")
    async def busy(run: Run, task: Task) -> Answer:
        async def branch(run: Run, number: int) -> str:
            if number == 0:
                return str(await run.wait("Which?", schema=str))
            await go_on.wait()
            return "done"

        return task.answer(" ".join(await run.map(branch, range(2))))

    async with opened(journal) as one, opened(journal) as two:
        running = [asyncio.create_task(one.run(busy, "?", run_id=name)) for name in ("broken", "sound")]
        while len([run for run in await two.runs() if run.questions()]) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        heard = one._lives._driven["sound"][1]
        await two.answer("sound", "red")
        while heard.questions:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        go_on.set()
        assert (await running[1]).text == "red done"
        one.cancel("broken")
        await asyncio.gather(*running)


@pytest.mark.parametrize(
    ("at", "reply", "said"),
    [
        (0, "x", "must be .*yes.*got"),
        (1, "x", "is no call and no question but 'intent'"),
        (2, 7, "is a text, got 7"),
    ],
)
async def test_a_value_that_cannot_be_set_is_refused(at: int, reply: Any, said: str) -> None:
    @tool(effect="send")
    async def post(text: str) -> str:
        """Post."""
        return f"posted {text}"

    @strategy(calls="0")
    async def posting(run: Run, task: Task) -> Answer:
        return task.answer((await run.call(post, text="a")).text)

    async with opened(tools=(post,), policy="ask") as one:
        await one.run(posting, "?", run_id="mine")
        await one.answer("mine", "yes")
        await one.resume("mine", strategy=posting)
        with pytest.raises(UsageError, match=said):
            await one.fork("mine", at=at, set={"reply": reply})


async def test_a_question_is_told_when_it_is_stored_and_can_be_answered() -> None:
    events: list[str] = []

    class Slow(MemoryJournal):
        async def _stored(self, run_id: str, question: str, form: bytes) -> None:
            await asyncio.sleep(0)
            events.append("stored")
            super().ask(run_id, question, form)

        def ask(self, run_id: str, question: str, form: bytes) -> Any:
            return self._stored(run_id, question, form)

    def hear(event: Any) -> None:
        if event.type == "question.asked":
            events.append("told")

    async with session.open(model=ScriptedModel(WORLD), memory="none", journal=Slow(), on_event=hear) as one:
        assert (await one.run(narrow, "?", run_id="mine")).stop == "suspended"
    assert events == ["stored", "told"]
