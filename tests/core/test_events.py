"""Events: what viewers read. A listener can slow nothing and break nothing."""

import asyncio
import contextlib
import json
from typing import Any

import pytest

from stratagem.core import (
    Answer,
    Budget,
    Event,
    Execution,
    Feed,
    Forgetful,
    Observation,
    Recalled,
    Run,
    Task,
    Tool,
    signature,
    strategy,
    tool,
)
from stratagem.core._events import ROOM, TYPES
from stratagem.errors import BudgetExhausted, RateLimited, SandboxError, Suspended, UsageError
from stratagem.testing import Tape, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


@tool
def look(where: str) -> str:
    """Look."""
    return f"seen {where}"


@strategy(calls="1")
async def one(run: Run, task: Task) -> Answer:
    run.note("thinking", share=0.5, words=["a"])
    await run.call(look, where="here")
    return task.answer(await run.ask(guess, number=1))


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def heard(run: Run, *listeners: Any) -> list[Feed]:
    feeds = [Feed(listener) for listener in listeners]
    run.strand.world.feeds = tuple(feeds)
    return feeds


async def delivered(feeds: list[Feed]) -> None:
    for feed in feeds:
        await feed.aclose(patience_s=0.05)


async def test_the_events_of_a_call_come_in_order_with_place_and_cost(clock: Any) -> None:
    run = scripted(ECHO, tools=(look,), clock=clock)
    listener = Listener()
    feeds = heard(run, listener)
    await one(run, Task("?"))
    await delivered(feeds)
    assert [(event.type, event.scope) for event in listener.events] == [
        ("scope.opened", "one"),
        ("note", "one"),
        ("policy.decided", "one"),
        ("effect.requested", "one"),
        ("effect.finished", "one"),
        ("effect.requested", "one"),
        ("effect.finished", "one"),
        ("scope.closed", "one"),
    ]
    assert [event.number for event in listener.events] == list(range(1, 9))
    assert {event.type for event in listener.events} <= set(TYPES)
    asked, finished = listener.events[5:7]
    assert asked.plain() == {
        "schema": 1, "type": "effect.requested", "run": "run", "number": 6, "at": 1_700_000_000.0, "scope": "one",
        "kind": "model", "name": "test_events.guess", "model": "scripted",
    }  # fmt: skip
    assert (finished.data["n"], finished.data["error"], finished.data["usage"]["calls"]) == (1, None, 1)
    assert listener.events[1].data == {"kind": "thinking", "share": 0.5, "words": ["a"]}
    for event in listener.events:
        json.dumps(event.plain(), allow_nan=False)


@pytest.mark.parametrize("name", ["type", "scope", "run", "number", "at", "schema", "kind"])
async def test_a_note_cannot_hide_what_every_event_says(name: str) -> None:
    run = scripted(ECHO)
    with pytest.raises(UsageError, match=f"a note cannot have {name}"):
        run.note("mine", **{name: 1})
    assert not run.strand.world.notes


async def test_the_data_of_a_note_is_json_as_it_was_then() -> None:
    run, listener = scripted(ECHO), Listener()
    feeds = heard(run, listener)
    words = ["a"]
    run.note("mine", words=words, self=(1,))
    words.append("b")
    await delivered(feeds)
    assert listener.events[0].data == {"kind": "mine", "words": ["a"], "self": [1]}
    with pytest.raises(UsageError, match="immutable data"):
        run.note("mine", thing=object())


async def test_a_failure_and_a_refusal_are_events() -> None:
    run = scripted({guess: lambda number: RateLimited("slow down", attempts=3)}, calls=1)
    listener = Listener()
    feeds = heard(run, listener)
    with pytest.raises(RateLimited):
        await run.ask(guess, number=1)
    with pytest.raises(BudgetExhausted):
        await run.ask(guess, number=2)
    await delivered(feeds)
    finished = next(event for event in listener.events if event.type == "effect.finished")
    assert finished.data["error"] == ["RateLimited", "slow down", {"attempts": 3}]
    refused = next(event for event in listener.events if event.type == "budget.refused")
    assert (refused.data["limit"], refused.data["allowed"]) == ("calls", 1)


async def test_reused_effects_make_no_requests() -> None:
    run = scripted(ECHO)
    await run.ask(guess, number=1)
    again = scripted(ECHO, tape=tape_of(run))
    listener = Listener()
    feeds = heard(again, listener)
    await again.ask(guess, number=1)
    await again.ask(guess, number=2)
    await delivered(feeds)
    assert [event.type for event in listener.events] == ["effect.requested", "effect.finished"]


class World(Forgetful):
    """A memory, a sandbox and a room, which remember how many events there were when they were asked."""

    spec = "toy"

    def __init__(self) -> None:
        self.run: Run | None = None
        self.performed: list[tuple[str, int]] = []

    def _now(self, name: str) -> None:
        assert self.run is not None
        self.performed.append((name, self.run.strand.world.number))

    async def observe(self, text: str, **_: Any) -> None:
        self._now("observe")

    async def recall(self, query: str, n: int) -> tuple[Recalled, ...]:
        self._now("recall")
        return ()

    async def execute(self, code: str, **_: Any) -> Execution:
        self._now("execute")
        return Execution("1\n2") if code == "good" else Execution("", error="no such name\nin line 1")

    def reset(self) -> Observation:
        self._now("reset")
        return Observation("the start")

    def moves(self) -> tuple[Tool, ...]:
        return ()


async def test_what_is_neither_a_call_nor_a_tool_is_announced_before_it_is_performed_and_not_when_reused() -> None:
    @strategy(calls="0")
    async def acting(run: Run, task: Task) -> Answer:
        await run.memory.observe("kept", weight=1)
        await run.memory.recall("what?", n=2)
        await run.execute("good")
        await run.execute("bad")
        await run.reset()
        return task.answer(str(await run.wait("Go on?")))

    async def acted(tape: Tape | None) -> tuple[World, list[Event], Run]:
        world, listener = World(), Listener()
        run = world.run = scripted(ECHO, memory=world, sandbox=world, tape=tape)
        feeds = heard(run, listener)
        with contextlib.suppress(Suspended):
            await acting(run, Task("?", environment=lambda: world))
        await delivered(feeds)
        return world, [event for event in listener.events if event.type[:5] != "scope"], run

    world, events, run = await acted(None)
    effects = [
        (event.type.partition(".")[2], event.data.get("kind", ""), event.data.get("name", "")) for event in events
    ]
    names = [("memory", "observe"), ("memory", "recall"), ("tool", "execute"), ("tool", "execute"), ("reset", "reset")]
    both = [(when, *name) for name in names for when in ("requested", "finished")]
    assert effects == [*both, ("requested", "wait", "wait"), ("asked", "", "")]
    requested = [event for event in events if event.type == "effect.requested"]
    assert world.performed == [(event.data["name"], event.number) for event in requested[:-1]]
    assert [event.data["arguments"] for event in requested] == [
        {"text": "kept", "fields": {"weight": 1}}, {"query": "what?", "n": 2}, {"code": "good", "language": "python"},
        {"code": "bad", "language": "python"}, {"steps": 0}, {"question": "Go on?"},
    ]  # fmt: skip
    executed = [event.data for event in events if event.type == "effect.finished" and event.data["name"] == "execute"]
    assert [(one["text"], one["failed"]) for one in executed] == [("1 …", False), ("no such name …", True)]

    tape = tape_of(run)
    tape.answers[events[-1].data["id"]] = True
    world, events, _ = await acted(tape)
    assert world.performed == []
    assert [(event.type, event.data["name"]) for event in events] == [
        ("effect.requested", "wait"), ("effect.finished", "wait"),
    ]  # fmt: skip


async def test_what_fails_is_announced_and_ends_as_failed() -> None:
    class Broken(World):
        async def execute(self, code: str, **_: Any) -> Execution:
            raise SandboxError("the wall fell")

    run, listener = scripted(ECHO, sandbox=Broken()), Listener()
    feeds = heard(run, listener)
    with pytest.raises(SandboxError):
        await run.execute("x")
    await delivered(feeds)
    assert [event.type for event in listener.events] == ["effect.requested", "effect.finished"]
    assert listener.events[1].data["error"] == ["SandboxError", "the wall fell", {}]


async def test_an_effect_that_the_budget_refuses_is_not_announced() -> None:
    run, listener = scripted(ECHO, budget=Budget(seconds=0)), Listener()
    feeds = heard(run, listener)
    with pytest.raises(BudgetExhausted):
        await run.memory.recall("what?")
    await delivered(feeds)
    assert [event.type for event in listener.events] == ["budget.refused"]


async def test_the_pieces_of_a_reply_are_events() -> None:
    from stratagem.core import Delta, Reply, Sample, Usage
    from stratagem.testing import ScriptedModel

    class Streaming(ScriptedModel):
        async def complete(self, request: Any, *, on_delta: Any = None) -> Reply:
            for text in ("g", "1"):
                if on_delta is not None:
                    on_delta(Delta(0, text))
            return Reply((Sample("g1"),), Usage(1, 1, 1, 1))

    run = scripted(ECHO)
    run.strand.world.services.model = Streaming(ECHO)
    assert await run.ask(guess, number=1) == "g1"  # nobody listens
    listener = Listener()
    feeds = heard(run, listener)
    await run.ask(guess, number=1)
    await delivered(feeds)
    deltas = [event.data for event in listener.events if event.type == "text.delta"]
    assert deltas == [{"text": "g", "sample": 0, "attempt": 1}, {"text": "1", "sample": 0, "attempt": 1}]


# Listeners


async def test_a_listener_that_raises_is_reported_once_and_not_called_again(capsys: Any) -> None:
    calls: list[str] = []

    def broken(event: Event) -> None:
        calls.append(event.type)
        raise ValueError("no")

    run, listener = scripted(ECHO), Listener()
    feeds = heard(run, broken, listener)
    for number in range(3):
        await run.ask(guess, number=number)
    await delivered(feeds)
    assert len(calls) == 1
    assert len(listener.events) == 6
    assert capsys.readouterr().err.count("a listener failed and is not called again: ValueError('no')") == 1


async def test_a_listener_may_be_asynchronous_and_slow() -> None:
    seen: list[int] = []
    gate = asyncio.Event()

    async def slow(event: Event) -> None:
        await gate.wait()
        seen.append(event.number)

    run = scripted(ECHO)
    feeds = heard(run, slow)
    for number in range(5):
        await run.ask(guess, number=number)
    assert seen == []
    gate.set()
    await delivered(feeds)
    assert seen == list(range(1, 11))


async def test_a_listener_that_does_not_read_costs_no_more_than_its_room() -> None:
    seen: list[Event] = []
    gate = asyncio.Event()

    async def stuck(event: Event) -> None:
        await gate.wait()
        seen.append(event)

    run = scripted(ECHO)
    feeds = heard(run, stuck)
    run.note("first")
    await asyncio.sleep(0)
    for _ in range(ROOM + 500):
        run.note("more")
    world = run.strand.world
    world.emit("run.finished", "", answer=None)
    assert len(feeds[0]._waiting.events) == ROOM + 2  # with what was dropped, and the end
    gate.set()
    await feeds[0].aclose(patience_s=5)
    assert seen[0].number == 1
    dropped = [event for event in seen if event.type == "events.dropped"]
    assert sum(event.data["count"] for event in dropped) == 500
    assert seen[-1].type == "run.finished"  # the end is never dropped
    assert seen[-1].number == ROOM + 502
    assert len(seen) == ROOM + 1 + 1 + len(dropped)


async def test_a_listener_that_never_ends_holds_the_end_of_a_run_for_a_moment_only() -> None:
    async def stuck(event: Event) -> None:
        await asyncio.get_running_loop().create_future()

    run = scripted(ECHO)
    (feed,) = heard(run, stuck)
    await run.ask(guess, number=1)
    async with asyncio.timeout(5):
        await feed.aclose(patience_s=0.01)
    await feed.aclose(patience_s=0.01)


async def test_events_of_concurrent_branches_are_numbered_in_the_order_in_which_they_happened() -> None:
    run, listener = scripted(ECHO, reverse=True), Listener()
    feeds = heard(run, listener)
    await run.map(lambda run, number: run.ask(guess, number=number), range(3))
    await delivered(feeds)
    finished = [event.scope for event in listener.events if event.type == "effect.finished"]
    assert finished == ["map[2]", "map[1]", "map[0]"]
    assert [event.number for event in listener.events] == list(range(1, len(listener.events) + 1))
