"""`replay:RUN`: what was said in a recorded run is said again to another program."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem import Answer, Content, Run, Task, Transcript, signature, strategy
from stratagem.core import Attachment, MemoryJournal, Sample, Step, Tools
from stratagem.core.message import Text, Thought
from stratagem.errors import (
    BudgetExhausted,
    Rejected,
    ScriptMiss,
    UsageError,
)
from stratagem.models import catalogue, open_model
from tests.testing._recorded import Counting, drawn, fanned, name_it, once, twice


class Kept:
    """Sessions on one journal."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def open(self, model: Any, **settings: Any) -> Any:
        return stratagem.open(model=model, home=self.home, memory="none", **settings)

    async def run(self, model: Any, strategy: Any = once, question: Any = "Where?", **settings: Any) -> Answer:
        async with self.open(model, **settings) as session:
            return await session.run(strategy, question)

    async def said(self, run_id: str) -> list[Any]:
        """Return what the model calls of a run came to."""
        async with self.open("offline") as session:
            record = await session.show(run_id)
        return [json.loads(row.result) for row in record.rows if row.kind == "model"]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


async def test_a_recorded_run_answers_another_session_without_its_model(kept: Kept) -> None:
    first = await kept.run(Counting(), twice)
    again = await kept.run(f"replay:{first.run_id}", twice)
    assert again.text == first.text == "reply 1 reply 2"
    assert again.run_id != first.run_id
    assert again.usage._replace(seconds=0) == first.usage._replace(seconds=0)


async def test_a_run_of_a_replay_can_be_replayed_itself_resumed_and_forked(kept: Kept) -> None:
    first = await kept.run(Counting(), twice)
    second = await kept.run(f"replay:{first.run_id}", twice)
    third = await kept.run(f"replay:{second.run_id}", twice)
    assert third.text == first.text
    async with kept.open("offline") as session:
        assert (await session.replay(third.run_id)).text == first.text
        assert (await session.fork(third.run_id, at=1)).text == first.text
        assert (await session.resume(third.run_id)).text == first.text


async def test_each_branch_gets_its_own_reply(kept: Kept) -> None:
    first = await kept.run(Counting(reverse=True), fanned)
    assert (await kept.run(f"replay:{first.run_id}", fanned)).text == first.text


@pytest.mark.parametrize("native_n", [False, True])
async def test_each_draw_gets_its_own_reply_and_costs_what_it_cost(kept: Kept, native_n: bool) -> None:
    first = await kept.run(Counting(native_n=native_n), drawn)
    again = await kept.run(f"replay:{first.run_id}", drawn)
    assert (again.text, again.usage.tokens, again.usage.usd) == (first.text, first.usage.tokens, first.usage.usd)


@strategy(calls="3")
async def moved(run: Run, task: Task) -> Answer:
    """Ask the same at three places that the recorded program did not have."""
    said = [await run.ask(name_it, question=task.question, notes=())]
    async with run.scope("inner") as inner:
        said.append(await inner.ask(name_it, question=task.question, notes=()))
        said.append(await inner.ask(name_it, question=task.question, notes=()))
    return task.answer(" ".join(said))


async def test_what_is_asked_elsewhere_gets_recorded_replies_in_their_order(kept: Kept) -> None:
    first = await kept.run(Counting(), fanned.using(n=3))
    assert first.text == "reply 1 reply 2 reply 3"
    async with kept.open(f"replay:{first.run_id}") as session:
        for _ in range(2):  # the same places get the same again, in every run of the session
            assert (await session.run(moved, "Where?")).text == first.text


async def test_a_place_keeps_its_own_reply_whatever_was_given_elsewhere_before(kept: Kept) -> None:
    first = await kept.run(Counting(), fanned.using(n=3))
    async with kept.open(f"replay:{first.run_id}") as session:
        assert (await session.run(once, "Where?")).text == "reply 1"
        assert (await session.run(fanned.using(n=3), "Where?")).text == first.text


async def test_what_is_asked_more_often_than_it_was_recorded_is_a_miss(kept: Kept) -> None:
    first = await kept.run(Counting(), fanned.using(n=2))
    with pytest.raises(ScriptMiss) as caught:
        await kept.run(f"replay:{first.run_id}", moved)
    assert str(caught.value) == (
        f"run {first.run_id} has no reply to `_recorded.name_it` in 'moved/inner', draw 2: the same was recorded 2 times, and "
        "all of these replies were given"
    )


async def test_a_miss_shows_the_nearest_request_and_where_it_differs(kept: Kept) -> None:
    first = await kept.run(Counting(), twice, "Where is the old town hall?", options={"temperature": 0.7})
    with pytest.raises(ScriptMiss) as caught:
        await kept.run(f"replay:{first.run_id}", twice, "Where is the new town hall?")
    assert str(caught.value) == (
        f"run {first.run_id} has no reply to `_recorded.name_it` in 'twice'; the nearest is effect 0, `_recorded.name_it` "
        "in 'twice', which differs in message, options\n"
        "--- recorded\n+++ asked\n@@ -2,3 +2,3 @@\n message: \n-message: Question: Where is the old town hall?\n"
        "-options.temperature: 0.7\n+message: Question: Where is the new town hall?\n+options.temperature: 0.0"
    )
    assert caught.value.remedy.startswith("Use another model for what is new")


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


def looping(turns: int) -> Counting:
    """Return a model that computes so many times, then answers."""

    def says(request: Any, number: int) -> Sample:
        if len(request.steps) == turns:
            return Sample("done") if request.native else Sample("Action: Finish[done]")
        if not request.native:
            return Sample(f"Thought: {number}\nAction: calculate[{number}+1]")
        return Sample(f"{number}", (("calculate", {"expression": f"{number}+1"}),), "tool_calls")

    return Counting(says)


@pytest.mark.parametrize("native", [True, False])
async def test_tools_travel_as_they_did_when_it_was_recorded(kept: Kept, native: bool) -> None:
    model = looping(3)
    if not native:
        model.capabilities.fields -= {"tools"}
    first = await kept.run(model, "react", tools=["calculate"])
    again = await kept.run(f"replay:{first.run_id}", "react", tools=["calculate"])
    assert (again.text, again.steps) == (first.text, first.steps)
    assert len(again.steps) == 4


@pytest.mark.parametrize("native", [True, False])
async def test_a_miss_in_a_conversation_names_the_turn(kept: Kept, native: bool) -> None:
    model = looping(12)
    if not native:
        model.capabilities.fields -= {"tools"}
    tool = [changing(0)]
    first = await kept.run(model, "react(max_steps=20)", tools=tool)
    with pytest.raises(ScriptMiss) as caught:
        await kept.run(f"replay:{first.run_id}", "react(max_steps=20)", tools=[changing(7)])
    shown = str(caught.value)
    assert "the nearest is effect 14, `react.act` in 'react', which differs in steps\n" in shown
    assert [line for line in shown.splitlines() if line[:1] in "+-"][2:] == [
        "-steps[6][1][0][0]: 8", "+steps[6][1][0][0]: 108",
    ]  # fmt: skip


def changing(at: int) -> Any:
    """Return a tool that computes, and is wrong about one sum."""

    @stratagem.tool()
    async def calculate(expression: str) -> str:
        """Compute.

        Args:
            expression: a sum.
        """
        left, _, right = expression.partition("+")
        return str(int(left) + int(right) + (100 if int(left) == at else 0))

    return calculate


async def test_recorded_errors_are_raised_again(kept: Kept) -> None:
    def fails(*_: object) -> str:
        raise Rejected("no such field", status=400, request_id="req_1")

    with pytest.raises(Rejected):
        await kept.run(Counting(fails))
    with pytest.raises(Rejected, match="no such field") as caught:
        await kept.run("replay:last")
    assert caught.value.request_id == "req_1"


async def test_what_a_budget_refused_is_no_reply(kept: Kept) -> None:
    first = await kept.run(Counting(), twice, budget="calls=1")
    assert first.stop == "budget"
    with pytest.raises(ScriptMiss, match="which differs in message"):
        await kept.run(f"replay:{first.run_id}", twice)


async def test_of_what_was_performed_again_the_later_reply_holds(kept: Kept) -> None:
    fails = [True]

    def says(*_: object) -> str:
        if fails:
            fails.clear()
            raise stratagem.errors.Unavailable("busy")
        return "there"

    async with kept.open(Counting(says)) as session:
        with pytest.raises(stratagem.errors.Unavailable):
            await session.run(once, "Where?", run_id="again1")
        assert (await session.resume("again1")).text == "there"
    assert (await kept.run("replay:again1")).text == "there"


async def test_a_fork_answers_with_what_it_has_of_its_parents(kept: Kept) -> None:
    first = await kept.run(Counting(), twice.using(n=2))
    async with kept.open(Counting(lambda *_: "other")) as session:
        forked = await session.fork(first.run_id, at=1)
    assert forked.text == "reply 1 other other"
    assert (await kept.run(f"replay:{forked.run_id}", twice.using(n=2))).text == forked.text


async def test_thoughts_and_what_is_opaque_come_back_as_far_as_the_journal_keeps_them(kept: Kept) -> None:
    said = Sample("Paris", parts=(Thought("hm", {"anthropic": {"signature": "abc"}}), Text("Paris")))
    first = await kept.run(Counting(lambda *_: said))
    again = await kept.run(f"replay:{first.run_id}")
    assert await kept.said(again.run_id) == await kept.said(first.run_id) == [said.form()]


async def test_log_probabilities_and_the_reason_of_the_end_come_back(kept: Kept) -> None:
    said = Sample("Paris", (), "length", (-0.5,))
    first = await kept.run(Counting(lambda *_: said), options={"logprobs": True})
    again = await kept.run(f"replay:{first.run_id}", options={"logprobs": True})
    assert await kept.said(again.run_id) == [{"finish": "length", "logprobs": [-0.5], "text": "Paris"}]


async def test_what_was_attached_belongs_to_the_request(kept: Kept) -> None:
    def asked(data: bytes) -> Task:
        return Task(Content("What is it?", (Attachment("a.png", "image/png", data),)))

    first = await kept.run(Counting(), question=asked(b"one"))
    assert (await kept.run(f"replay:{first.run_id}", question=asked(b"one"))).text == "reply 1"
    with pytest.raises(ScriptMiss, match="which differs in attached"):
        await kept.run(f"replay:{first.run_id}", question=asked(b"two"))


async def test_listeners_hear_a_replayed_reply(kept: Kept) -> None:
    first = await kept.run(Counting())
    heard: list[Any] = []
    await kept.run(
        f"replay:{first.run_id}", on_event=lambda e: heard.append(e.data["text"]) if e.type == "text.delta" else None
    )
    assert heard == ["reply 1"]


async def test_a_part_of_a_program_may_use_a_recorded_run(kept: Kept) -> None:
    first = await kept.run(Counting())

    @strategy(calls="2")
    async def mixed(run: Run, task: Task) -> Answer:
        old = await run.using(model=f"replay:{first.run_id}").ask(name_it, question=task.question, notes=())
        new = await run.ask(name_it, question=task.question, notes=())
        return task.answer(f"{old}, {new}")

    assert (await kept.run(Counting(lambda *_: "new"), mixed)).text == "reply 1, new"


async def test_a_beginning_of_the_id_or_last_is_enough_and_the_record_has_the_whole_id(kept: Kept) -> None:
    first = await kept.run(Counting())
    for name in (first.run_id[:5], "last"):
        async with kept.open(f"replay:{name}") as session:
            answer = await session.run(once, "Where?")
            assert (await session.show(answer.run_id)).model == f"replay:{first.run_id}"
        async with kept.open("offline") as session:
            await _removed(session, answer.run_id)


async def _removed(session: Any, run_id: str) -> None:
    await session._services.journal.remove([run_id])


async def test_a_run_that_is_not_there_is_refused_before_anything_is_recorded(kept: Kept) -> None:
    first = await kept.run(Counting())
    with pytest.raises(UsageError, match=f"there is no run '{first.run_id}x'; did you mean '{first.run_id}'"):
        await kept.run(f"replay:{first.run_id}x")
    with pytest.raises(UsageError, match="there is no run 'nowhere'"):
        await kept.run("offline", options={"model": "replay:nowhere"})
    with pytest.raises(UsageError, match=r"`replay:last` names no run here"):
        await kept.run("offline", options={"model": "replay:last"})
    async with kept.open("offline") as session:
        assert len(await session.runs()) == 1


async def test_a_recorded_run_is_replayed_though_the_run_that_answered_it_is_gone(kept: Kept) -> None:
    first = await kept.run(Counting(), twice)
    second = await kept.run(f"replay:{first.run_id}", twice)
    async with kept.open("offline") as session:
        await _removed(session, first.run_id)
        assert (await session.replay(second.run_id)).text == first.text
        with pytest.raises(UsageError, match=f"there is no run '{first.run_id}'"):
            await session.fork(second.run_id, at=0)


async def test_a_limit_of_money_holds_where_all_recorded_prices_are_known(kept: Kept) -> None:
    first = await kept.run(Counting(), twice)
    stopped = await kept.run(f"replay:{first.run_id}", twice, budget="usd=0.5")
    assert (stopped.stop, stopped.usage.usd) == ("budget", 0.5)

    class Unpriced(Counting):
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            reply = await super().complete(request, on_delta=on_delta)
            assert reply.usage is not None
            reply.usage = reply.usage._replace(usd=None)
            return reply

    other = await kept.run(Unpriced())
    with pytest.raises(UsageError, match="needs the price of the model 'replay:"):
        await kept.run(f"replay:{other.run_id}", budget="usd=0.5")


async def test_a_limit_of_tokens_that_the_recorded_run_kept_to_is_kept_to_again(kept: Kept) -> None:
    first = await kept.run(Counting(), twice, budget="tokens=150")
    assert (first.stop, first.usage.tokens) == ("answered", 24)
    again = await kept.run(f"replay:{first.run_id}", twice, budget="tokens=150")
    assert (again.stop, again.usage.tokens) == ("answered", 24)


async def test_runs_at_once_read_the_recorded_run_together(kept: Kept) -> None:
    first = await kept.run(Counting(), twice)
    async with kept.open(f"replay:{first.run_id}") as session:
        found = await asyncio.gather(*(session.run(twice, "Where?") for _ in range(5)))
    assert {answer.text for answer in found} == {first.text}


async def test_a_journal_that_was_handed_over_is_read_too() -> None:
    journal = MemoryJournal()
    async with stratagem.open(model=Counting(), journal=journal, memory="none") as session:
        first = await session.run(once, "Where?")
        journal.aclose = _nothing
    async with stratagem.open(model=f"replay:{first.run_id}", journal=journal, memory="none") as session:
        assert (await session.run(once, "Where?")).text == "reply 1"


async def _nothing() -> None:
    pass


def test_it_is_listed_and_without_a_session_says_what_it_needs() -> None:
    assert [row["needs"] for row in catalogue() if row["name"] == "replay:RUN"] == ["a recorded run"]
    with pytest.raises(UsageError, match="opened by a session") as caught:
        open_model("replay:abc")
    assert caught.value.remedy == 'Open a session with it: `open(model="replay:RUN")`.'
    with pytest.raises(UsageError, match="the model `replay` needs a run"):
        open_model("replay:")


async def test_a_limit_of_calls_holds_as_for_any_model(kept: Kept) -> None:
    first = await kept.run(Counting(), twice)
    async with kept.open(f"replay:{first.run_id}") as session:

        @strategy(calls="2")
        async def limited(run: Run, task: Task) -> Answer:
            with pytest.raises(BudgetExhausted):
                await twice(run, task)
            return task.answer("stopped")

        assert (await session.run(limited, "Where?", budget="calls=1")).stop == "budget"


@pytest.mark.parametrize("spec", ["replay:last|offline", "replay:abc | vllm:m", "offline|replay:abc"])
async def test_a_recorded_run_is_no_part_of_a_chain(spec: str) -> None:
    with pytest.raises(
        UsageError, match=r"a recorded run is no part of a chain, and 'replay:(last|abc)' stands in one"
    ):
        async with stratagem.open(model=spec, journal="memory", memory="none"):
            pass
