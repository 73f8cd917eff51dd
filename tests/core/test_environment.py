"""Worlds that moves change: a copy for every branch, moves that are made again, resets."""

from typing import Any

import pytest

from stratagem.core import (
    Answer,
    Observation,
    Run,
    Step,
    Task,
    Tool,
    ToolCall,
    Transcript,
    strategy,
    tool,
)
from stratagem.errors import UsageError
from stratagem.testing import Tape, scripted, tape_of


@tool
def look(where: str = "here") -> str:
    """Look."""
    return f"seen {where}"


@tool
def listen() -> str:
    """Listen."""
    return "nothing"


def acting(tape: Tape | None = None, **settings: Any) -> Run:
    return scripted({}, tools=(look, listen), tape=tape, **settings)


class Maze:
    """A corridor of rooms."""

    def __init__(self) -> None:
        self.room = 0
        self.walked: list[str] = []
        self.resets = 0

    def reset(self) -> Observation:
        self.room, self.resets = 0, self.resets + 1
        return Observation(f"room {self.room}", sources=("maze",))

    def moves(self) -> tuple[Tool, ...]:
        def go(steps: int) -> str:
            """Go some rooms further."""
            self.room += steps
            self.walked.append(str(steps))
            return f"room {self.room}"

        def where() -> str:
            """Say where one is."""
            return f"room {self.room}"

        return (Tool(go), Tool(where))


@strategy(calls="0")
async def walking(run: Run, task: Task) -> Answer:
    """Walk in three ways from room 1."""
    await run.call(ToolCall("go", {"steps": 1}))

    async def branch(run: Run, number: int) -> str:
        for _ in range(2):
            await run.call(ToolCall("go", {"steps": number}))
        return (await run.call(ToolCall("where"))).text

    rooms = await run.map(branch, [10, 20, 30])
    return task.answer(" ".join([*rooms, (await run.call(ToolCall("where"))).text]))


async def test_every_branch_acts_on_its_own_copy_as_it_stood() -> None:
    run = acting()
    found = await walking(run, Task("?", environment=Maze))
    assert found.text == "room 21 room 41 room 61 room 1"


async def test_moves_are_beside_the_granted_tools_and_only_within_the_call() -> None:
    names: list[list[str]] = []

    @strategy(calls="0")
    async def listing(run: Run, task: Task) -> Answer:
        names.append([tool.name for tool in run.tools])
        return task.answer("x")

    run = acting()
    await listing(run, Task("?", environment=Maze, tools=("look",)))
    assert names == [["look", "go", "where"]]
    assert [tool.name for tool in run.tools] == ["look", "listen"]


async def test_recorded_moves_are_made_again_before_the_first_new_one() -> None:
    run = acting()
    expected = await walking(run, Task("?", environment=Maze))
    for upto in range(len(tape_of(run)) + 1):
        mazes: list[Maze] = []

        def made(mazes: list[Maze] = mazes) -> Maze:
            mazes.append(Maze())
            return mazes[-1]

        again = acting(tape_of(run).upto(upto))
        assert await walking(again, Task("?", environment=made)) == expected, upto
        assert len(mazes) == 1


async def test_a_run_that_only_replays_never_touches_its_world() -> None:
    run = acting()
    await walking(run, Task("?", environment=Maze))
    touched: list[str] = []

    class Watched(Maze):
        def moves(self) -> tuple[Tool, ...]:
            def go(steps: int) -> str:
                """Go some rooms further."""
                touched.append("go")
                return ""

            return (Tool(go), Maze.moves(self)[1])

    again = acting(tape_of(run), replaying=True)
    await walking(again, Task("?", environment=Watched))
    assert not touched


async def test_a_reset_puts_the_world_back_to_its_start_or_to_where_a_conversation_leads() -> None:
    texts: list[str] = []

    @strategy(calls="0")
    async def resetting(run: Run, task: Task) -> Answer:
        texts.clear()
        steps = Transcript()
        for number in (1, 2):
            call = ToolCall("go", {"steps": number})
            steps = steps.then(Step("", (call,)), await run.call(call))
        texts.append((await run.reset()).text)
        texts.append((await run.call(ToolCall("where"))).text)
        await run.reset(steps)
        texts.append((await run.call(ToolCall("where"))).text)
        await run.call(ToolCall("go", {"steps": 5}))
        await run.reset(steps)
        texts.append((await run.call(ToolCall("where"))).text)
        return task.answer(" ".join(texts))

    run = acting()
    expected = await resetting(run, Task("?", environment=Maze))
    assert expected.text == "room 0 room 0 room 3 room 3"
    for upto in range(len(tape_of(run)) + 1):
        again = acting(tape_of(run).upto(upto))
        assert await resetting(again, Task("?", environment=Maze)) == expected, upto


async def test_a_reset_needs_a_world() -> None:
    with pytest.raises(UsageError, match="has no environment to reset"):
        await acting().reset()


async def test_an_inner_call_acts_in_the_callers_world() -> None:
    @strategy(calls="0")
    async def inner(run: Run, task: Task) -> Answer:
        return task.answer((await run.call(ToolCall("go", {"steps": 3}))).text)

    @strategy(calls="0")
    async def outer(run: Run, task: Task) -> Answer:
        await inner(run, task.part("a part"))
        return task.answer((await run.call(ToolCall("where"))).text)

    assert (await outer(acting(), Task("?", environment=Maze))).text == "room 3"
