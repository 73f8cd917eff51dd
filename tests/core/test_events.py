"""Events: what viewers read. A listener can slow nothing and break nothing."""

import asyncio
import json
from typing import Any

import pytest

from stratagem.core import Answer, Event, Feed, Run, Task, signature, strategy, tool
from stratagem.core._events import ROOM, TYPES
from stratagem.errors import BudgetExhausted, RateLimited, UsageError
from stratagem.testing import scripted


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
    from stratagem.testing import tape_of

    run = scripted(ECHO)
    await run.ask(guess, number=1)
    again = scripted(ECHO, tape=tape_of(run))
    listener = Listener()
    feeds = heard(again, listener)
    await again.ask(guess, number=1)
    await again.ask(guess, number=2)
    await delivered(feeds)
    assert [event.type for event in listener.events] == ["effect.requested", "effect.finished"]


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
    assert deltas == [{"text": "g", "sample": 0}, {"text": "1", "sample": 0}]


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
