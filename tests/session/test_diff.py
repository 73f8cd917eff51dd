"""The difference of two runs: where they part, what was asked differently, and what only one of them did."""

from typing import Any

import pytest

from stratagem.core import (
    Answer,
    MemoryJournal,
    Run,
    Step,
    Task,
    ToolCall,
    Transcript,
    signature,
    strategy,
    tool,
)
from stratagem.errors import UsageError
from stratagem.session._diff import Difference, asked, difference, explained, in_order, lineage
from stratagem.strategies.basic.react import act, react


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


@strategy(calls="2 * width + 1", lower="1")
async def branching(run: Run, task: Task, *, width: int = 3) -> Answer:
    """Think and look in branches, then join."""

    async def branch(run: Run, number: int) -> str:
        thought = await run.ask(think, question=task.question, number=number)
        seen = await run.call(look, where=thought)
        return await run.ask(think, question=seen.text, number=number)

    return task.answer(await run.ask(join, candidates=tuple(await run.map(branch, range(width)))))


@strategy(calls="most", lower="1")
async def chain(run: Run, task: Task, *, most: int = 5) -> Answer:
    """Think on until nothing is left to do."""
    thought = str(task.question)
    for number in range(most):
        thought = await run.ask(think, question=thought, number=number)
        if thought == "done":
            break
    return task.answer(thought)


WORLD: dict[Any, Any] = {
    think: lambda question, number, draw: f"[{question}.{number}]",
    join: lambda candidates: "+".join(candidates),
}


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


async def seq_of(session: Any, run_id: str, path: str, number: int = 0) -> int:
    return [row.seq for row in (await session.show(run_id)).rows if row.path == path][number]


def parts(found: Difference) -> tuple[int, int, int, int]:
    """Return how many pairs are the same, differ, are on the left only, and on the right only."""
    return (
        sum(pair.same for pair in found.pairs),
        sum(bool(pair.differs) for pair in found.pairs),
        sum(pair.right is None for pair in found.pairs),
        sum(pair.left is None for pair in found.pairs),
    )


async def test_equal_programs_do_not_part(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(branching, "?", run_id="one")
        await s.run(branching, "?", run_id="other")
    found = await difference(journal, "one", "other")
    assert found.first is None
    assert parts(found) == (10, 0, 0, 0)
    assert found.same_answer


async def test_effects_are_in_the_order_of_the_program_and_not_of_the_clock(
    opened: Any, journal: MemoryJournal
) -> None:
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(branching.using(width=12), "?", run_id="one")
    _, effects = await lineage(journal, "one")
    shuffled = [*sorted(effects[:-1], key=lambda effect: effect.row.digest), effects[-1]]
    assert [effect.row.path for effect in in_order(shuffled)] == [
        *(f"branching/map[{n}]" for n in range(12) for _ in range(3)), "branching",
    ]  # fmt: skip


async def test_another_question_parts_at_the_first_request(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(branching, "?", run_id="one")
        await s.run(branching, "!", run_id="other")
    found = await difference(journal, "one", "other")
    assert found.first is not None
    assert (found.first.one.row.path, found.first.differs) == ("branching/map[0]", ("message", "result"))
    assert parts(found) == (0, 10, 0, 0)
    assert not found.same_answer
    assert explained(found.first)[:6] == [
        "--- one effect 0: message", "+++ other effect 0: message", "@@ -1,4 +1,4 @@", " Think.", " ", "-Question: ?",
    ]  # fmt: skip


async def test_a_changed_prompt_is_explained_by_its_text(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(branching, "?", run_id="one")
        name = "test_diff.join"
        other = await s.fork("one", set={f"prompt.{name}": "Join them all."})
    found = await difference(journal, "one", other.run_id)
    assert parts(found) == (9, 1, 0, 0)
    assert found.first is not None
    assert found.first.differs == ("instruction", "message")
    assert [line for line in explained(found.first) if line[0] in "+-"][2:4] == ["-Join.", "+Join them all."]


async def test_a_fork_at_an_effect_is_compared_with_all_that_it_reuses(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(branching, "?", run_id="one")
    async with opened({**WORLD, join: lambda candidates: candidates[0]}, journal=journal, tools=(look,)) as s:
        other = await s.fork("one", at=await seq_of(s, "one", "branching"))
    found = await difference(journal, "one", other.run_id)
    assert parts(found) == (9, 1, 0, 0)
    assert found.first is not None
    assert (found.first.one.row.path, found.first.differs) == ("branching", ("result",))
    assert found.first.right is not None
    assert found.first.right.record.id == other.run_id
    assert found.pairs[0].right is not None
    assert found.pairs[0].right.record.id == "one"  # the parent has it


async def test_an_edited_reply_parts_where_it_was_edited(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal, tools=(look,)) as s:
        await s.run(branching, "?", run_id="one")
        at = await seq_of(s, "one", "branching/map[1]")
        other = await s.fork("one", at=at, set={"reply": "edited"})
    found = await difference(journal, "one", other.run_id)
    assert parts(found) == (6, 4, 0, 0)
    assert [pair.differs for pair in found.pairs if pair.differs] == [
        ("result",), ("arguments", "result"), ("message", "result"), ("message", "result"),
    ]  # fmt: skip
    assert found.first is not None
    assert found.first.one.row.seq == at


async def test_what_a_fork_did_not_ask_for_any_more_is_on_one_side_only(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain, "?", run_id="one")
        other = await s.fork("one", at=1, set={"reply": "done"})
    assert parts(await difference(journal, "one", other.run_id)) == (1, 1, 3, 0)


async def test_a_fork_that_went_on_longer_replaced_nothing(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain, "?", run_id="one")
        other = await s.fork("one", set={"param.most": 7})
    assert parts(await difference(journal, "one", other.run_id)) == (5, 0, 0, 2)


async def test_a_fork_that_ended_sooner_in_another_way_is_shorter(opened: Any, journal: MemoryJournal) -> None:
    def thinking(question: str, number: int) -> str:
        return "done" if question == "stop" else f"[{question}.{number}]"

    async with opened({think: thinking}, journal=journal) as s:
        await s.run(chain, "?", run_id="one")
        other = await s.fork("one", at=1, set={"reply": "stop"})
    found = await difference(journal, "one", other.run_id)
    assert parts(found) == (1, 2, 2, 0)
    assert [pair.differs for pair in found.pairs if pair.differs] == [("result",), ("message", "result")]


async def test_longer_runs_have_more_at_the_end_of_the_scope(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain.using(most=2), "?", run_id="short")
        await s.run(chain, "?", run_id="long")
    assert parts(await difference(journal, "long", "short")) == (2, 0, 3, 0)
    found = await difference(journal, "short", "long")
    assert parts(found) == (2, 0, 0, 3)
    assert found.first is not None
    assert found.first.left is None
    assert [pair.one.row.seq for pair in found.pairs] == [0, 1, 2, 3, 4]
    assert explained(found.first) == []


async def test_a_fork_of_a_fork_reaches_back_to_the_first_run(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain, "?", run_id="one")
        second = await s.fork("one", at=3)
        third = await s.fork(second.run_id, set={"budget": "calls=50"})
    found = await difference(journal, "one", third.run_id)
    assert parts(found) == (5, 0, 0, 0)
    assert [pair.right.record.id for pair in found.pairs if pair.right] == [*["one"] * 3, *[second.run_id] * 2]


async def test_what_one_fork_replaced_does_not_come_back_in_the_next(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain, "?", run_id="one")
        second = await s.fork("one", at=3, set={"reply": "edited"})
        third = await s.fork(second.run_id, set={"budget": "calls=50"})
    assert parts(await difference(journal, "one", second.run_id)) == (3, 2, 0, 0)
    assert parts(await difference(journal, second.run_id, third.run_id)) == (5, 0, 0, 0)
    assert parts(await difference(journal, "one", third.run_id)) == (3, 2, 0, 0)


async def test_a_fork_without_its_parent_says_which_is_gone(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain, "?", run_id="one")
        fork = await s.fork("one", at=3)
        await s.run(chain, "?", run_id="two")
    await journal.remove(["one"])
    with pytest.raises(
        UsageError, match=f"run '{fork.run_id}' is a fork, and its parent is gone: there is no run 'one'"
    ):
        await difference(journal, "two", fork.run_id)


async def test_an_unknown_run_is_named(journal: MemoryJournal) -> None:
    with pytest.raises(UsageError, match="there is no run 'none'"):
        await difference(journal, "none", "none")


async def test_conversations_are_compared_with_what_they_refer_to(opened: Any, journal: MemoryJournal) -> None:
    def acting(question: str, notes: Any, steps: Transcript) -> Step:
        if len(steps) < 3:
            return Step(f"thought {len(steps)}", (ToolCall("look", {"where": f"{question} {len(steps)}"}),))
        return Step("", (), "done")

    async with opened({act: acting}, journal=journal, tools=(look,)) as s:
        await s.run(react, "?", run_id="one")
        fork = await s.fork("one", at=1, set={"reply": "seen nothing"})
    found = await difference(journal, "one", fork.run_id)
    assert found.first is not None
    assert found.first.differs == ("result",)
    changed = [pair for pair in found.pairs if "steps" in pair.differs]
    assert changed
    one, other = (asked(side)["steps"] for side in (changed[0].left, changed[0].right) if side)
    assert (one[-1], other[-1]) == ("seen ? 0", "seen nothing")
    assert len(one) == len(other) == 2


async def test_a_fork_may_take_back_what_its_parent_did_not_ask_for(opened: Any, journal: MemoryJournal) -> None:
    async with opened(WORLD, journal=journal) as s:
        await s.run(branching.using(width=6), "?", run_id="root")
        narrow = await s.fork("root", set={"param.width": 3})
        wider = await s.fork(narrow.run_id, set={"param.width": 5})
        whole = await s.fork(wider.run_id, set={"param.width": 6})
        assert whole.counts.performed == 0
        assert parts(await difference(journal, "root", whole.run_id)) == (13, 0, 0, 0)
        _, effects = await lineage(journal, wider.run_id)
        assert len(effects) == 5 * 2 + 1
