"""Forks in their three forms, and replay: what is reused, performed and kept, by count."""

from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Answer, MemoryJournal, Run, Task, decoded, signature, strategy, tool
from stratagem.errors import Diverged, UsageError
from stratagem.strategies.basic.direct import answer as answering
from stratagem.strategies.basic.direct import direct


@signature
def think(question: str, number: int) -> str:
    """Think."""
    ...


@signature
def join(candidates: tuple[str, ...]) -> str:
    """Join."""
    ...


@tool
def look(where: str) -> str:
    """Look."""
    return f"seen {where}"


sent: list[str] = []


@strategy(calls="1")
async def mailing(run: Run, task: Task) -> Answer:
    """Send what the model says."""
    text = await run.ask(think, question=task.question, number=1)
    return task.answer((await run.call(send, text=text)).text)


@tool(effect="send", repeat="once")
def send(text: str) -> str:
    """Send."""
    sent.append(text)
    return f"sent {text}"


WORLD: dict[Any, Any] = {
    think: lambda question, number, draw: f"[{question}.{number}]",
    join: lambda candidates: "+".join(candidates),
    answering: lambda question, notes: f"a {question}",
}


@strategy(calls="1 + 3 * width + 2 + 2 + 1", lower="1")
async def nested(run: Run, task: Task, *, width: int = 2) -> Answer:
    """Ask once; then branches of three calls with a tool between; then a sample, a pool and an end."""
    first = await run.ask(think, question=task.question, number=0)

    async def branch(run: Run, number: int) -> str:
        one = await run.ask(think, question=first, number=number)
        seen = await run.call(look, where=one)
        async with run.scope("deep") as part:
            two = await part.ask(think, question=seen.text, number=number)
        return await run.ask(think, question=two, number=number)

    found = await run.map(branch, range(width))
    drawn = await run.sample(think, 2, question="draw", number=9)

    async def racing(run: Run, number: int) -> str:
        return await run.ask(think, question="pool", number=number)

    async with run.pool(racing) as pool:
        pool.start(0)
        pool.start(1)
        raced = [text async for _, text in pool]
    return task.answer(await run.ask(join, candidates=(*found, *drawn, *raced)))


@strategy(calls="0")
async def echoing(run: Run, task: Task) -> Answer:
    """Say always the same."""
    return task.answer("echo")


CALLS = 1 + 2 * 3 + 2 + 2 + 1
ECHOING = f"{Path(__file__).resolve()}:echoing"
NESTED = f"{Path(__file__).resolve()}:nested"


async def performed(session: Any, run_id: str) -> list[str]:
    """Return place and kind of what a run performed itself."""
    return [
        f"{row.kind} {row.path.removeprefix('nested').removeprefix('/')}" for row in (await session.show(run_id)).rows
    ]


async def row_of(session: Any, run_id: str, path: str, kind: str = "model", number: int = 0) -> int:
    rows = [row for row in (await session.show(run_id)).rows if (row.path, row.kind) == (path, kind)]
    return rows[number].seq


async def test_a_bare_fork_at_an_effect_performs_it_and_all_that_could_depend_on_it(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        first = await s.run(nested, "?", run_id="mine")
        assert len(s._services.model.requests) == CALLS
        at = await row_of(s, "mine", "nested/map[0]/deep")
        again = await s.fork("mine", at=at)
        assert again.text == first.text
        assert sorted(await performed(s, again.run_id)) == sorted([
            "model map[0]/deep", "model map[0]",  # the rest of its branch; the sibling is kept
            "model ", "model ", "model pool[0]", "model pool[1]", "order ", "order ", "model ",  # all after the map
        ])  # fmt: skip
        assert again.usage.calls == CALLS  # a fork is billed as if it had done it all
        assert (await s.show(again.run_id)).parent == "mine"
        assert await s.resume("mine") == first


async def test_a_fork_at_the_first_effect_performs_everything(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        whole = await performed(s, "mine")
        again = await s.fork("mine", at=0)
        assert sorted(await performed(s, again.run_id)) == sorted(whole)


async def test_a_fork_at_the_last_effect_performs_only_that(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        rows = (await s.show("mine")).rows
        again = await s.fork("mine", at=rows[-1].seq)
        assert await performed(s, again.run_id) == ["model "]


async def test_a_fork_at_one_draw_keeps_the_other(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        drawn = [row for row in (await s.show("mine")).rows if row.sample >= 0]
        again = await s.fork("mine", at=drawn[1].seq)
        rows = (await s.show(again.run_id)).rows
        assert [row.occurrence for row in rows if row.sample >= 0] == [1]
        assert len(rows) == 1 + 2 + 2 + 1


async def test_inside_a_pool_everything_later_is_dropped(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        at = await row_of(s, "mine", "nested/pool[0]")
        again = await s.fork("mine", at=at)
        assert sorted(await performed(s, again.run_id)) == [
            "model ",
            "model pool[0]",
            "model pool[1]",
            "order ",
            "order ",
        ]


async def test_a_replaced_reply_repays_only_what_asks_differently_for_it(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        at = await row_of(s, "mine", "nested/map[1]", number=0)
        again = await s.fork("mine", at=at, set={"reply": "edited"})
        assert "edited" in again.text
        assert [kind for kind in await performed(s, again.run_id) if not kind.startswith("order")] == [
            "tool map[1]", "model map[1]/deep", "model map[1]", "model ",
        ]  # fmt: skip
        assert again.usage.calls == CALLS
        same = await s.fork("mine", at=at, set={"reply": "[[?.0].1]"})
        assert [kind for kind in await performed(s, same.run_id) if not kind.startswith("order")] == []


async def test_a_replaced_observation_is_what_the_program_sees(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        at = await row_of(s, "mine", "nested/map[0]", kind="tool")
        again = await s.fork("mine", at=at, set={"reply": "nothing there"})
        assert "[nothing there.0]" in again.text
        assert [kind for kind in await performed(s, again.run_id) if not kind.startswith("order")] == [
            "model map[0]/deep", "model map[0]", "model ",
        ]  # fmt: skip


async def test_a_changed_program_performs_what_is_missing(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(NESTED, "?", run_id="mine")
        wider = await s.fork("mine", set={"param.width": 3})
        assert [kind for kind in await performed(s, wider.run_id) if not kind.startswith("order")] == [
            "model map[2]", "tool map[2]", "model map[2]/deep", "model map[2]", "model ",
        ]  # fmt: skip
        assert wider.usage.calls == CALLS + 3
        assert (await s.show(wider.run_id)).strategy == f"{NESTED}(width=3)"

        prompted = await s.fork("mine", set={"prompt.test_forks.join": "Join them all."})
        assert [kind for kind in await performed(s, prompted.run_id) if kind.startswith("model")] == ["model "]
        assert s._services.model.requests[-1].text.startswith("Join them all.")

        other = await s.fork("mine", set={"strategy": "direct"})
        assert (other.text, other.usage.calls) == ("a ?", 1)
        assert (await s.show(other.run_id)).strategy == "direct"


async def test_a_fork_may_have_another_model(opened: Any, tmp_path: Path) -> None:
    script = tmp_path / "s.jsonl"
    script.write_text('{"signature": "direct.answer", "reply": "scripted"}\n')
    async with opened(WORLD) as s:
        first = await s.run(direct, "?", run_id="mine")
        again = await s.fork("mine", set={"model": f"script:{script}"})
        assert (first.text, again.text) == ("a ?", "scripted")
        assert (await s.show(again.run_id)).model == f"script:{script}"
        assert await s.resume(again.run_id) == again


async def test_a_fork_may_have_another_budget_and_pays_only_for_what_is_new(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        first = await s.run(nested, "?", run_id="mine", budget="calls=3")
        assert first.stop == "budget"
        more = await s.fork("mine", set={"budget": "calls=12"})
        assert more.stop == "answered"
        assert len(s._services.model.requests) == CALLS  # the three calls are reused
        assert (await s.resume("mine")).stop == "budget"
        none = await s.fork(more.run_id, set={"budget": "calls=0"})
        assert (none.stop, none.text) == ("answered", more.text)


async def test_a_strategy_may_be_a_parameter_of_a_fork(opened: Any) -> None:
    from stratagem.strategies.sampling.self_consistency import self_consistency

    async with opened(WORLD) as s:
        await s.run(self_consistency.using(n=2, sampler=direct), "?", run_id="mine")
        again = await s.fork("mine", set={"param.sampler": echoing, "param.n": 3})
        assert again.text == "echo"
        record = await s.show(again.run_id)
        assert record.strategy == f"self_consistency(n=3, sampler='{ECHOING}')"
        assert await s.resume(again.run_id) == again
        assert (await s.replay(again.run_id)).text == "echo"


@pytest.mark.parametrize(
    ("at", "changes", "message"),
    [
        (None, {"replay": "x"}, "no change 'replay'; did you mean 'reply'"),
        (None, {"promt.a.b": "x"}, "no change 'promt.a.b'"),
        (None, {"reply": "x"}, "say which, `at=N`"),
        (99, {}, "there is no effect 99: the run has"),
        (-1, {}, "there is no effect -1"),
        (None, {"param.widht": 3}, "no parameter 'widht'; did you mean 'width'"),
        (None, {"param.width": "3"}, "width must be"),
        (None, {"budget": "cals=3"}, "did you mean 'calls'"),
        (None, {"model": "offlin"}, "no model 'offlin'"),
        (None, {"strategy": "dirct"}, "no strategy or judge 'dirct'; did you mean 'direct'"),
        (None, {"prompt.test_forks.jion": "x"}, "no signature 'test_forks.jion'"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_and_leaves_no_run(
    opened: Any, at: Any, changes: Any, message: str
) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(nested, "?", run_id="mine")
        with pytest.raises(UsageError, match=message):
            await s.fork("mine", at=at, set=changes)
        assert [record.id for record in await s.runs()] == ["mine"]


async def test_a_fork_of_a_task_that_cannot_be_stored_leaves_no_run(opened: Any) -> None:
    async with opened(WORLD) as s:
        await s.run(direct, Task("?", canonical=str), run_id="mine")
        with pytest.raises(UsageError, match="parts that cannot be stored"):
            await s.fork("mine", at=0)
        assert [record.id for record in await s.runs()] == ["mine"]


async def test_a_fork_of_a_fork_reuses_what_both_have(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(NESTED, "?", run_id="mine")
        one = await s.fork("mine", set={"param.width": 3})
        two = await s.fork(one.run_id, set={"param.width": 4})
        assert len([kind for kind in await performed(s, two.run_id) if kind.startswith("model")]) == 4
        assert two.usage.calls == CALLS + 6
        three = await s.fork(two.run_id, set={"prompt.test_forks.join": "Join all."})
        assert len([kind for kind in await performed(s, three.run_id) if kind.startswith("model")]) == 1
        four = await s.fork(three.run_id, set={"param.width": 4})
        assert s._services.model.requests[-1].text.startswith("Join all.")  # the prompt of its parent holds
        assert four.text == three.text


async def test_a_fork_that_a_crash_interrupted_is_resumed(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, tools=(look,), journal=journal) as s:
        await s.run(NESTED, "?", run_id="mine")
        fork = await s.fork("mine", set={"param.width": 3})
        count = len(s._services.model.requests)
        crash(journal, fork.run_id, 2)
        again = await s.resume(fork.run_id)
        assert (again.text, again.usage.calls) == (fork.text, fork.usage.calls)
        assert len(s._services.model.requests) == count + 3


async def test_a_fork_asks_before_it_sends_a_second_time(opened: Any) -> None:
    @strategy(calls="1")
    async def mailing(run: Run, task: Task) -> Answer:
        text = await run.ask(think, question=task.question, number=1)
        return task.answer((await run.call(send, text="x")).text + text)

    sent.clear()
    async with opened(WORLD, tools=(send,), policy="ask,send") as s:
        await s.run(mailing, "?", run_id="mine")
        fork = await s.fork("mine", set={"strategy": mailing, "prompt.test_forks.think": "Think again."})
        assert fork.text == "sent x[?.1]"  # equal calls are reused
        assert sent == ["x"]
        at = await row_of(s, "mine", "mailing")
        other = await s.fork("mine", at=at, set={"strategy": mailing, "reply": "edited"})
        assert other.text == "sent xedited"
        assert sent == ["x"]


async def test_a_fork_asks_before_it_sends_something_else(opened: Any) -> None:
    sent.clear()
    journal = MemoryJournal()
    async with opened({think: lambda question, number: "a"}, journal=journal, tools=(send,), policy="ask,send") as s:
        await s.run(mailing, "?", run_id="mine")
    async with opened({think: lambda question, number: "b"}, journal=journal, tools=(send,), policy="ask,send") as s:
        fork = await s.fork("mine", at=0)
        assert (fork.stop, sent) == ("suspended", ["a"])
        assert fork.reason == 'send was called before, with {"text":"a"}. Call it again, with {"text":"b"}?'
        await s.answer(fork.run_id, value=True)
        assert ((await s.resume(fork.run_id)).text, sent) == ("sent b", ["a", "b"])


# Replay


async def test_replay_performs_nothing_and_returns_the_answer(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        first = await s.run(NESTED, "?", run_id="mine")
        rows = len((await s.show("mine")).rows)
        again = await s.replay("mine")
        assert (again.text, again.stop) == (first.text, "answered")
        assert len(s._services.model.requests) == CALLS
        assert len((await s.show("mine")).rows) == rows
        assert (await s.show("mine")).state == "finished"


async def test_replay_of_a_fork_reads_its_parents_rows(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        await s.run(NESTED, "?", run_id="mine")
        fork = await s.fork("mine", set={"param.width": 3})
        count = len(s._services.model.requests)
        assert (await s.replay(fork.run_id)).text == fork.text
        assert len(s._services.model.requests) == count


async def test_the_first_difference_of_a_replay_is_named(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, tools=(look,), journal=journal) as s:
        await s.run(NESTED, "?", run_id="mine")
        fork = await s.fork("mine", set={"param.width": 3})
        stored, _ = await journal.load(fork.run_id)
        for changed, place, differs in (
            ({"options": {"temperature": 0.5}}, "nested", ("options",)),
            ({"strategy": f"{NESTED}(width=4)"}, "nested/map[3]", ()),
            ({"task": Task("another").plain()}, "nested", ("message",)),
        ):
            journal._runs[stored.run_id] = stored._replace(record=_with(stored.record, changed))
            with pytest.raises(Diverged) as caught:
                await s.replay(fork.run_id)
            assert (caught.value.place, caught.value.differs) == (place, differs)
        journal._runs[stored.run_id] = stored
        crash(journal, "mine", 1)
        with pytest.raises(Diverged, match="map"):
            await s.replay("mine")


def _with(record: bytes, changed: Any) -> bytes:
    from stratagem.core import encoded

    return encoded({**decoded(record), **changed})


async def test_replay_of_a_run_that_a_budget_ended_ends_so_again(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        first = await s.run(NESTED, "?", run_id="mine", budget="calls=3")
        again = await s.replay("mine")
        assert (again.stop, again.usage.calls) == (first.stop, first.usage.calls) == ("budget", 3)


@strategy(calls="0")
async def listing(run: Run, task: Task) -> Answer:
    """Think about each of the words."""
    return task.answer("".join([await run.ask(think, question=word, number=0) for word in WORDS]))


WORDS: list[str] = []
LISTING = f"{Path(__file__).resolve()}:listing"


async def test_replay_of_a_program_that_was_put_back_asks_for_what_a_smaller_budget_had_refused(opened: Any) -> None:
    async with opened(WORLD) as s:
        WORDS[:] = "abc"
        assert (await s.run(LISTING, "?", run_id="mine", budget="calls=2")).stop == "budget"
        WORDS[:] = "axy"
        assert (await s.resume("mine", budget="calls=3")).stop == "budget"  # `b` was paid for
        WORDS[:] = "abc"
        with pytest.raises(Diverged) as caught:
            await s.replay("mine")
        assert caught.value.place == "listing"
        WORDS[:] = "axy"
        assert (await s.replay("mine")).reason == "budget exhausted: calls limit is 3"
        assert (await s.resume("mine", budget="calls=9")).text == "[a.0][x.0][y.0]"
        assert (await s.replay("mine")).text == "[a.0][x.0][y.0]"
        WORDS[:] = "abc"
        with pytest.raises(Diverged):
            await s.replay("mine")
