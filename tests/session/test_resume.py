"""Resuming: in any state, in another session, under other budgets, with parts that could not be stored."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import (
    Answer,
    Attachment,
    Budget,
    Content,
    Example,
    MemoryJournal,
    Run,
    Strategy,
    Task,
    Verdict,
    decoded,
    signature,
    strategy,
    tool,
)
from stratagem.errors import OwnedElsewhere, UsageError
from stratagem.strategies.basic.direct import answer as answering
from stratagem.strategies.basic.direct import direct
from stratagem.strategies.sampling.self_consistency import self_consistency
from stratagem.testing import ScriptedModel


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


WORLD: dict[Any, Any] = {guess: lambda number: f"g{number}", answering: lambda question, notes: f"a {question}"}


@strategy(calls="n", lower="n")
async def several(run: Run, task: Task, *, n: int = 3) -> Answer:
    """Ask several times, one after the other."""
    found: list[str] = []
    for number in range(n):
        found.append(await run.ask(guess, number=number))
        run.offer(task.answer("+".join(found)))
    return task.answer("+".join(found))


SEVERAL = f"{Path(__file__).resolve()}:several"


async def test_a_crash_anywhere_pays_only_for_what_is_missing(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        first = await s.run(several, "?", run_id="mine")
        for done in range(4):
            crash(journal, "mine", done)
            s._services.model.requests.clear()
            again = await s.resume("mine")
            assert (again.text, again.stop, again.usage.calls) == (first.text, "answered", 3)
            assert len(s._services.model.requests) == 3 - done


async def test_another_session_over_the_same_file_goes_on(opened: Any, tmp_path: Path) -> None:
    spec = f"sqlite:{tmp_path / 'j.sqlite'}"
    async with opened(WORLD, journal=spec) as s:
        assert (await s.run(SEVERAL, "?", run_id="mine", budget="calls=2")).stop == "budget"
    async with opened(WORLD, journal=spec) as s:
        answer = await s.resume("mine", budget="calls=3")
        assert (answer.text, answer.stop, answer.usage.calls) == ("g0+g1+g2", "answered", 3)
        assert len(s._services.model.requests) == 1
    async with opened(WORLD, journal=spec) as s:
        again = await s.resume("mine")
        assert (again.text, again.value, again.stop, again.usage) == (
            answer.text,
            answer.value,
            answer.stop,
            answer.usage,
        )
        assert (again.run_id, again.label) == ("mine", answer.label)
        assert not s._services.model.requests
        (record,) = await s.runs()
        assert (record.id, record.state, record.strategy) == ("mine", "finished", f"{SEVERAL}")


async def test_a_run_that_answered_is_never_driven_again(opened: Any) -> None:
    async with opened(WORLD) as s:
        first = await s.run(several, "?", run_id="mine")
        assert await s.resume("mine") == first
        assert await s.run(several, "?", run_id="mine") == first
        assert len(s._services.model.requests) == 3


async def test_a_run_that_failed_for_good_keeps_its_end(opened: Any) -> None:
    from stratagem.testing import Raw

    async with opened({**WORLD, guess: lambda number: Raw("")}) as s:
        first = await s.run(several, "?", run_id="mine")
        assert first.stop == "unparsed"
        s._services.model._script = WORLD
        assert (await s.resume("mine")) == first


# Budgets


async def test_both_budgets_hold(opened: Any) -> None:
    async with opened(WORLD, budget="calls=2,tokens=1000") as s:
        for own, calls in ((None, 2), ("calls=9", 2), ("calls=1", 1), (Budget(calls=1), 1)):
            answer = await s.run(several, "?", budget=own)
            assert (answer.stop, answer.usage.calls) == ("budget", calls)
            assert (await s.show(answer.run_id)).record["budget"] == f"calls={calls},tokens=1000"
        answer = await s.run(several, "?", run_id="mine")
        assert (await s.resume("mine", budget="calls=9")).usage.calls == 2


async def test_a_resumed_run_has_the_budget_of_an_uninterrupted_one(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        for calls in range(4):
            for done in range(calls + 1):
                first = await s.run(several, "?", budget=f"calls={calls}", run_id=f"m{calls}{done}")
                crash(journal, f"m{calls}{done}", done)
                again = await s.resume(f"m{calls}{done}")
                assert (again.stop, again.text, again.usage.calls) == (first.stop, first.text, first.usage.calls)


async def test_a_new_budget_is_stored_before_anything_is_performed_under_it(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        await s.run(several, "?", budget="calls=1", run_id="mine")
        await s.resume("mine", budget="calls=2")
        assert (await s.show("mine")).record["budget"] == "calls=2"
        assert (await s.resume("mine")).usage.calls == 2


async def test_a_budget_that_ended_may_end_often(opened: Any) -> None:
    async with opened(WORLD) as s:
        await s.run(several, "?", budget="calls=0", run_id="mine")
        for _ in range(3):
            assert (await s.resume("mine")).stop == "budget"
        ends = [await s.resume("mine", budget=f"calls={calls}") for calls in range(1, 4)]
        assert [(end.stop, end.text) for end in ends] == [
            ("budget", "g0"),
            ("budget", "g0+g1"),
            ("answered", "g0+g1+g2"),
        ]
        assert len(s._services.model.requests) == 3


# Ids


async def test_an_id_belongs_to_one_strategy_and_task(opened: Any) -> None:
    async with opened(WORLD) as s:
        first = await s.run(several, "?", run_id="mine")
        for made, task in (
            (several, "another"),
            (several.using(n=2), "?"),
            (direct, "?"),
            (several, Task("?", notes=("n",))),
            (several, Task("?", output=int)),
            (several, Task("?", examples=(Example("q", "a"),))),
        ):
            with pytest.raises(UsageError, match="run 'mine' is another strategy or task"):
                await s.run(made, task, run_id="mine")
        assert await s.run(several, Task("?"), run_id="mine") == first
        assert await s.run(SEVERAL, "?", run_id="mine") == first


async def test_two_strategies_without_a_name_are_not_taken_for_each_other(opened: Any) -> None:
    def local(text: str) -> Strategy:
        @strategy(calls="1")
        async def unnamed(run: Run, task: Task) -> Answer:
            return task.answer(text + await run.ask(guess, number=1))

        return unnamed

    def other() -> Strategy:
        @strategy(calls="1")
        async def differently(run: Run, task: Task) -> Answer:
            return task.answer("other")

        return differently

    async with opened(WORLD) as s:
        await s.run(local("a"), "?", run_id="mine")
        with pytest.raises(UsageError, match="another strategy or task"):
            await s.run(other(), "?", run_id="mine")


@pytest.mark.parametrize("run_id", ["", "last", "a/b", "a b", "é", "../x", "a\x00"])
async def test_an_id_is_a_plain_word(opened: Any, run_id: str) -> None:
    async with opened(WORLD) as s:
        with pytest.raises(UsageError, match="a run id is made of letters"):
            await s.run(several, "?", run_id=run_id)
        assert not s._services.model.requests


async def test_an_id_may_begin_many_others(opened: Any) -> None:
    async with opened(WORLD) as s:
        first = await s.run(several, "?", run_id="r")
        for number in range(30):
            await s.run(direct, "?", run_id=f"r{number}")
        assert await s.run(several, "?", run_id="r") == first
        assert (await s.show("r")).id == "r"
        assert await s.find("r") == "r"


async def test_two_runs_of_one_id_do_not_go_on_at_once(opened: Any) -> None:
    async with opened(WORLD) as s:
        both = await asyncio.gather(
            s.run(several, "?", run_id="mine"), s.run(several, "?", run_id="mine"), return_exceptions=True
        )
        answers = [one for one in both if isinstance(one, Answer)]
        errors = [one for one in both if not isinstance(one, Answer)]
        assert len(s._services.model.requests) == 3
        assert len(answers) == 1
        assert isinstance(errors[0], OwnedElsewhere | UsageError)


async def test_an_unknown_run_names_the_nearest(opened: Any) -> None:
    async with opened(WORLD) as s:
        await s.run(several, "?", run_id="k7m2qd")
        for use in (s.resume, s.show, s.fork, s.replay):
            with pytest.raises(UsageError, match="no run 'k7m2qx'; did you mean 'k7m2qd'"):
                await use("k7m2qx")
        with pytest.raises(UsageError, match="no run 'k7m2qx'"):
            await s.answer("k7m2qx", value=True)


# What cannot be stored


async def test_a_strategy_without_a_name_is_given_again(opened: Any, crash: Any) -> None:
    @strategy(calls="1")
    async def local(run: Run, task: Task) -> Answer:
        return task.answer(await run.ask(guess, number=1))

    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        await s.run(local, "?", run_id="mine")
        crash(journal, "mine", 1)
        with pytest.raises(UsageError, match=r"the strategy of run 'mine' has no name: give it again"):
            await s.resume("mine")
        assert (await s.resume("mine", strategy=local)).text == "g1"
        assert len(s._services.model.requests) == 1


@pytest.mark.parametrize(
    ("task", "part"),
    [
        (Task("?", checker=lambda text: Verdict(True, 1.0)), "checker"),
        (Task("?", extract=lambda text: text[:1]), "extract"),
        (Task("?", canonical=str), "canonical"),
        (Task("?", output=tuple[int, ...]), "output"),
        (Task(Content("?", (Attachment("a.txt", "text/plain", b"x"),))), "question"),
    ],
)
async def test_parts_of_a_task_that_cannot_be_stored_are_given_again(
    opened: Any, crash: Any, task: Task, part: str
) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        await s.run(several, task, run_id="mine")
        assert (await s.show("mine")).record["unnamed"] == [part]
        crash(journal, "mine", 3)
        with pytest.raises(UsageError, match=rf"the task of run 'mine' has parts that cannot be stored \({part}\)"):
            await s.resume("mine")
        assert (await s.resume("mine", task=task)).text == "g0+g1+g2"
        assert len(s._services.model.requests) == 3


async def test_tools_that_cannot_be_named_are_given_again(opened: Any, crash: Any) -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    @strategy(calls="0")
    async def looking(run: Run, task: Task) -> Answer:
        return task.answer((await run.call(look)).text)

    journal = MemoryJournal()
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(looking, "?", run_id="mine")
        crash(journal, "mine", 0)
    async with opened(WORLD, journal=journal) as s:
        with pytest.raises(UsageError, match=r"test_resume.*look.* cannot be loaded.*give it again"):
            await s.resume("mine", strategy=looking)
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        assert (await s.resume("mine", strategy=looking)).text == "seen"


async def test_a_run_keeps_the_settings_with_which_it_began(opened: Any, crash: Any) -> None:
    @strategy(calls="1")
    async def dicing(run: Run, task: Task) -> Answer:
        return task.answer(f"{await run.ask(guess, number=1)} {run.rng.random()}")

    journal = MemoryJournal()
    async with opened(WORLD, journal=journal, seed=7, options={"temperature": 0.5}) as s:
        first = await s.run(dicing, "?", run_id="mine")
        assert dict(s._services.model.requests[0].options) == {"temperature": 0.5}
    crash(journal, "mine", 1)
    async with opened(WORLD, journal=journal, seed=8, options={"temperature": 0.9}) as s:
        again = await s.resume("mine", strategy=dicing)
        assert again.text == first.text
        assert not s._services.model.requests


async def test_the_model_that_an_option_names_is_kept(opened: Any, crash: Any, tmp_path: Path) -> None:
    script = tmp_path / "second.jsonl"
    script.write_text('{"signature": "test_resume.guess", "reply": "second"}\n' * 3)
    spec, journal = f"script:{script}", MemoryJournal()
    async with opened(WORLD, journal=journal, options={"model": spec}) as s:
        assert (await s.run(several, "?", run_id="mine")).text == "second+second+second"
    crash(journal, "mine", 1)
    async with opened(WORLD, journal=journal) as s:
        assert (await s.resume("mine")).text == "second+second+second"
        assert not s._services.model.requests
    with pytest.raises(UsageError, match="there is no model 'nobody'"):
        async with opened(WORLD, options={"model": "nobody"}):
            pass


async def test_a_model_given_as_an_object_is_found_again_by_its_name(opened: Any, crash: Any) -> None:
    class Second(ScriptedModel):
        spec = "second:one"

    journal, options = MemoryJournal(), {"model": Second({guess: lambda number: "second"})}
    async with opened(WORLD, journal=journal, options=options) as s:
        await s.run(several, "?", run_id="mine")
        crash(journal, "mine", 1)
        assert (await s.resume("mine")).text == "second+second+second"


async def test_two_sessions_side_by_side_share_nothing_but_the_file(opened: Any, tmp_path: Path) -> None:
    spec = f"sqlite:{tmp_path / 'j.sqlite'}"
    async with opened(WORLD, journal=spec) as one, opened(WORLD, journal=spec) as two:
        answers = await asyncio.gather(*(s.run(several, f"{n}", run_id=f"r{n}") for n, s in enumerate((one, two) * 3)))
        assert [answer.text for answer in answers] == ["g0+g1+g2"] * 6
        assert {record.id for record in await one.runs()} == {f"r{n}" for n in range(6)}
        assert len(one._services.model.requests) == len(two._services.model.requests) == 9
        assert (await two.resume("r0")).text == "g0+g1+g2"
        with pytest.raises(UsageError, match="another strategy"):
            await two.run(several, "other", run_id="r0")


async def test_a_composition_resumes_by_its_spec(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        made = self_consistency.using(n=3, sampler=direct)
        first = await s.run(made, "?", run_id="mine")
        record = await s.show("mine")
        assert record.strategy == "self_consistency(n=3, sampler=direct)"
        crash(journal, "mine", 2)
        again = await s.resume("mine")
        assert (again.text, again.confidence) == (first.text, 1.0)
        assert len(s._services.model.requests) == 4


async def test_what_a_record_holds_is_json_that_names_everything(opened: Any) -> None:
    async with opened(WORLD, seed=3, budget="calls=9", policy="never", strict=True) as s:
        task = Task("?", output=int, notes=("n",), tools=("look",), examples=(Example("q", "a", "r"),))
        await s.run(several.using(n=1), task, run_id="mine")
        record = decoded((await s.show("mine")).stored.record)
        assert record["strategy"] == f"{SEVERAL}(n=1)"
        assert len(record["source"]) == 16
        assert record["task"] == {
            "question": "?", "output": "int", "notes": ["n"], "tools": ["look"], "examples": [["q", "a", "r"]],
        }  # fmt: skip
        rest = {
            name: record[name] for name in ("model", "tools", "roots", "seed", "budget", "options", "repairs", "strict")
        }
        assert rest == {
            "model": "scripted", "tools": [], "roots": [], "seed": 3, "budget": "calls=9", "options": {"temperature": 0.0},
            "repairs": 0, "strict": True,
        }  # fmt: skip
        assert (record["policy"], record["sandbox"], record["unnamed"]) == ("never", None, [])
        assert set(record["versions"]) == {"stratagem", "python", "rows"}
