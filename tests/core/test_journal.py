"""Resume, fork and replay, through a session."""

from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, MemoryJournal, Run, Task, decoded, encoded, signature, strategy, tool
from stratagem.errors import Diverged, UsageError
from stratagem.testing import Raw, ScriptedModel


@signature
def think(question: str, number: int) -> str:
    """Think."""
    ...


@signature
def join(thoughts: tuple[str, ...]) -> str:
    """Join."""
    ...


WORLD: dict[Any, Any] = {
    think: lambda question, number: f"t{number}",
    join: lambda thoughts: "+".join(thoughts),
}


@strategy(ids=["X"], paper="none", calls="6")
async def wide(run: Run, task: Task, *, width: int = 2) -> Answer:
    async def branch(run: Run, number: int) -> str:
        first = await run.ask(think, question=task.question, number=number)
        return await run.ask(think, question=first, number=number)

    return task.answer(await run.ask(join, thoughts=tuple(await run.map(branch, range(width)))))


def opened(world: Any = None, *, journal: Any = "memory", **settings: Any) -> Any:
    model = ScriptedModel(WORLD if world is None else world)
    return session.open(model=model, repairs=0, journal=journal, memory="none", **settings)


async def paid(opened: Any, run_id: str) -> int:
    return len((await opened.show(run_id)).rows)


async def test_a_fork_keeps_the_siblings_of_every_enclosing_map() -> None:
    async with opened() as s:
        first = await s.run(wide, "?")
        rows = (await s.show(first.run_id)).rows
        at = next(row.seq for row in rows if row.path == "wide/map[1]")
        again = await s.fork(first.run_id, at=at)
        assert again.text == first.text == "t0+t1"
        assert await paid(s, again.run_id) == 3  # both calls of branch 1, and the join


async def test_a_fork_with_an_edited_reply_repays_what_depends_on_it() -> None:
    async with opened() as s:
        first = await s.run(wide, "?")
        at = (await s.show(first.run_id)).rows[0].seq
        again = await s.fork(first.run_id, at=at, set={"reply": "other"})
        assert (
            await paid(s, again.run_id) == 1
        )  # the second call of branch 0; its reply is the same, so the join is reused


async def test_a_fork_with_another_parameter_reuses_equal_requests() -> None:
    async with opened() as s:
        first = await s.run(wide, "?")
        again = await s.fork(first.run_id, set={"param.width": 3})
        assert again.text == "t0+t1+t2"
        assert await paid(s, again.run_id) == 3
        assert again.usage.calls == 7  # a fork is billed as if it had done it all


async def test_a_fork_with_an_edited_prompt_repays_that_prompt() -> None:
    async with opened() as s:
        first = await s.run(wide, "?")
        again = await s.fork(first.run_id, set={"prompt.test_journal.join": "Join them."})
        assert await paid(s, again.run_id) == 1


async def test_replay_performs_nothing_and_names_the_first_difference() -> None:
    journal = MemoryJournal()
    async with opened(journal=journal) as s:
        first = await s.run(wide, "?")
        assert (await s.replay(first.run_id)).text == first.text
        stored, _ = await journal.load(first.run_id)
        other = {**decoded(stored.record), "task": Task("another").plain()}
        journal._runs[stored.run_id] = stored._replace(record=encoded(other))
        with pytest.raises(Diverged) as caught:
            await s.replay(first.run_id)
        assert caught.value.place == "wide/map[0]"
        assert caught.value.differs == ("message",)
        assert await paid(s, first.run_id) == 5


@strategy(ids=["X"], paper="none", calls="1", lower="0")
async def mailing(run: Run, task: Task) -> Answer:
    if not await run.wait("Send the mail?"):
        return task.answer("not sent")
    seen = await run.call(send, text=task.question)
    return task.answer(seen.text)


sent: list[str] = []


@tool(effect="send", repeat="once")
async def send(text: str) -> str:
    """Send a mail."""
    sent.append(text)
    return "sent"


async def test_a_wait_suspends_until_a_person_answers() -> None:
    async with opened(tools=(send,)) as s:
        paused = await s.run(mailing, "hello")
        assert (paused.stop, paused.text, paused.reason) == ("suspended", "", "Send the mail?")
        await s.answer(paused.run_id, value=False)
        assert (await s.resume(paused.run_id)).text == "not sent"
        assert (await s.resume(paused.run_id)).text == "not sent"
        with pytest.raises(UsageError, match="waits for nobody"):
            await s.answer((await s.run(wide, "?")).run_id, value=True)


async def test_a_tool_without_a_grant_is_denied_as_text() -> None:
    sent.clear()
    async with opened(tools=(send,), policy="never") as s:
        paused = await s.run(mailing, "hello")
        await s.answer(paused.run_id, value=True)
        answer = await s.resume(paused.run_id)
        assert answer.text == "Denied: `send` has the effect 'send', which is not granted"
        assert not sent


async def test_a_person_may_allow_or_refuse_what_is_not_granted() -> None:
    sent.clear()
    async with opened(tools=(send,)) as s:
        for allowed, text in ((False, "Denied: a person refused `send`"), (True, "sent")):
            paused = await s.run(mailing, "hello")
            await s.answer(paused.run_id, value=True)
            again = await s.resume(paused.run_id)
            assert again.stop == "suspended"
            assert again.reason == 'Allow send({"text":"hello"})? Effect: send.'
            await s.answer(paused.run_id, allowed)
            assert (await s.resume(paused.run_id)).text == text
        assert sent == ["hello"]


@pytest.mark.parametrize(
    ("said", "text", "mails"),
    [
        ({"happened": True, "result": "it was sent"}, "it was sent", 1),
        ({"happened": False}, "sent", 2),
        ({"happened": None}, "`send` may have happened: nobody knows", 1),
    ],
)
async def test_a_once_effect_that_a_crash_interrupted_becomes_a_question(
    said: Any, text: str, mails: int, crash: Any
) -> None:
    sent.clear()
    journal = MemoryJournal()
    async with opened(tools=(send,), policy="ask,send", journal=journal) as s:
        paused = await s.run(mailing, "hello")
        await s.answer(paused.run_id, value=True)
        assert (await s.resume(paused.run_id)).text == "sent"
        crash(journal, paused.run_id, 2)  # the wait and the intent are there, the result is not
        asked = await s.resume(paused.run_id)
        assert asked.stop == "suspended"
        assert asked.reason.startswith('Did send({"text":"hello"}) happen?')
        await s.answer(paused.run_id, said)
        assert (await s.resume(paused.run_id)).text == text
        assert sent == ["hello"] * mails


async def test_a_keyed_tool_gets_the_same_key_again(crash: Any) -> None:
    keys: list[str] = []

    @tool(effect="read", repeat="keyed")
    async def store(text: str, key: str = "") -> str:
        """Store a text."""
        keys.append(key)
        return "stored"

    @strategy(ids=["X"], paper="none", calls="0", lower="0")
    async def storing(run: Run, task: Task) -> Answer:
        return task.answer((await run.call(store, text="x")).text)

    journal = MemoryJournal()
    async with opened(tools=(store,), journal=journal) as s:
        first = await s.run(storing, "?")
        crash(journal, first.run_id, 1)
        await s.resume(first.run_id, strategy=storing)
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(keys[0]) == 64


@pytest.mark.parametrize(
    ("world", "budget", "stop", "text"),
    [
        (WORLD, "", "answered", "t0+t1"),
        (WORLD, "calls=2", "budget", ""),
        ({**WORLD, join: lambda thoughts: Raw("")}, "", "unparsed", ""),
    ],
)
async def test_expected_endings_are_answers(world: Any, budget: str, stop: str, text: str) -> None:
    async with opened(world) as s:
        answer = await s.run(wide, "?", budget=budget)
        assert (answer.stop, answer.text, answer.ok) == (stop, text, stop == "answered")


async def test_a_refused_budget_is_the_stop_even_if_a_tolerant_map_went_on() -> None:
    from stratagem.strategies.basic.direct import answer, direct
    from stratagem.strategies.sampling.self_consistency import self_consistency

    async with opened({answer: lambda **_: "42"}) as s:
        found = await s.run(self_consistency.using(sampler=direct, n=3), "?", budget="calls=2")
        assert (found.text, found.stop, found.usage.calls) == ("42", "budget", 2)


async def test_a_bad_budget_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="the limits are calls, tokens"):
        async with opened(budget="dollars=1"):
            pass
