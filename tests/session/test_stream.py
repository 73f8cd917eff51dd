"""`stream`, listeners, and the records that `runs`, `show` and `find` return."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Answer, Delta, Event, Run, Task, decoded, signature, strategy, tool
from stratagem.core._events import ROOM
from stratagem.errors import RateLimited, UsageError
from stratagem.strategies.basic.direct import answer as answering
from stratagem.strategies.basic.direct import direct
from stratagem.testing import ScriptedModel


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


@tool
def look(where: str) -> str:
    """Look."""
    return f"seen {where}"


WORLD: dict[Any, Any] = {guess: lambda number: f"g{number}", answering: lambda question, notes: f"a {question}"}


@strategy(calls="1")
async def one(run: Run, task: Task) -> Answer:
    """Look, ask, note."""
    await run.call(look, where="here")
    run.note("thought", words=3)
    return task.answer(await run.ask(guess, number=1))


@strategy(calls="0")
async def chatty(run: Run, task: Task) -> Answer:
    """Leave more notes than anybody has room for."""
    for number in range(ROOM + 1000):
        run.note("more")
        if number % 50 == 0:
            await asyncio.sleep(0)
    return task.answer("done")


class Streaming(ScriptedModel):
    async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        for piece in ("g", "1"):
            if on_delta is not None:
                on_delta(Delta(0, piece))
            await asyncio.sleep(0)
        return self._reply(request, "g1")


async def test_a_stream_ends_with_the_answer(opened: Any) -> None:
    async with opened(Streaming(WORLD), tools=(look,)) as s:
        events = [event async for event in s.stream(one, "?", budget="calls=5")]
        assert [event.type for event in events] == [
            "run.started", "scope.opened", "policy.decided", "effect.requested", "effect.finished", "note",
            "effect.requested", "text.delta", "text.delta", "effect.finished", "scope.closed", "run.finished",
        ]  # fmt: skip
        assert [event.number for event in events] == list(range(1, 13))
        started, finished = events[0], events[-1]
        assert started.data["strategy"] == "one"
        assert (started.data["model"], started.data["budget"], started.data["question"]) == ("scripted", "calls=5", "?")
        answer = finished.data["answer"]
        assert (answer.text, answer.stop, finished.data["state"]) == ("g1", "answered", "finished")
        assert (finished.data["reused"], finished.data["performed"]) == (0, 2)
        assert {event.run_id for event in events} == {answer.run_id}
        lines = [json.dumps(event.plain(), allow_nan=False) for event in events]
        assert json.loads(lines[-1])["answer"]["text"] == "g1"
        assert await s.resume(answer.run_id) == answer


async def test_a_stream_raises_what_the_run_raises(opened: Any) -> None:
    async with opened({guess: lambda number: RateLimited("slow")}, tools=(look,)) as s:
        seen: list[Event] = []

        async def read() -> None:
            async for event in s.stream(one, "?"):
                seen.append(event)

        with pytest.raises(RateLimited):
            await read()
        assert seen[-1].type in ("run.finished", "scope.closed")
        with pytest.raises(UsageError, match="nobody"):
            async for _ in s.stream("nobody", "?"):
                pass


async def test_leaving_the_loop_does_not_cancel_the_run_and_closing_does(opened: Any) -> None:
    async with opened(Streaming(WORLD), tools=(look,)) as s:
        stream = s.stream(one, "?")
        async for _ in stream:
            break
        for _ in range(100):
            await asyncio.sleep(0)
        (record,) = await s.runs()
        assert record.state == "finished"
        other = s.stream(one, "other")
        await anext(other)
        await other.aclose()
        assert (await s.runs(text="other"))[0].state == "cancelled"
        with pytest.raises(StopAsyncIteration):
            await anext(other)


async def test_a_reader_that_does_not_read_has_a_bounded_queue_and_gets_the_end(opened: Any) -> None:
    async with opened(WORLD) as s:
        stream = s.stream(chatty, "?")
        first = await anext(stream)
        for _ in range(600):
            await asyncio.sleep(0)
        assert len(stream._waiting.events) == ROOM + 2  # with what was dropped, and the end
        rest = [event async for event in stream]
        assert first.type == "run.started"
        assert rest[-1].type == "run.finished"
        assert rest[-1].data["answer"].text == "done"
        lost = sum(event.data["count"] for event in rest if event.type == "events.dropped")
        notes = sum(event.type == "note" for event in rest)
        assert notes + lost == ROOM + 1000 + 1  # the scope that closed was lost as well
        assert lost > 900


async def test_a_slow_reader_misses_nothing_that_fits(opened: Any) -> None:
    async with opened(WORLD, tools=(look,)) as s:
        stream, seen = s.stream(one, "?"), list[str]()
        async for event in stream:
            seen.append(event.type)
            for _ in range(100):
                await asyncio.sleep(0)
        assert len(seen) == 10
        assert seen[-1] == "run.finished"


async def test_the_sessions_and_the_runs_listener_both_hear_everything(opened: Any) -> None:
    heard: dict[str, list[str]] = {"session": [], "run": []}
    async with opened(WORLD, tools=(look,), on_event=lambda event: heard["session"].append(event.type)) as s:
        await s.run(one, "?", on_event=lambda event: heard["run"].append(event.type))
        await s.run(direct, "?")
    assert heard["session"][: len(heard["run"])] == heard["run"]
    assert heard["run"][-1] == "run.finished"
    assert len(heard["session"]) > len(heard["run"])


async def test_a_listener_changes_nothing(opened: Any, capsys: Any) -> None:
    def broken(event: Event) -> None:
        raise ValueError("no")

    async def slow(event: Event) -> None:
        await asyncio.sleep(0)

    answers: list[Answer] = []
    rows: list[Any] = []
    for listener in (None, broken, slow):
        async with opened(WORLD, tools=(look,), on_event=listener) as s:
            answers.append(await s.run(one, "?", run_id="mine"))
            rows.append([(row.kind, row.path, row.request, row.result) for row in (await s.show("mine")).rows])
    assert len({(answer.text, answer.stop) for answer in answers}) == 1
    assert rows[0] == rows[1] == rows[2]
    assert capsys.readouterr().err.count("a listener failed") == 1


# Records


async def test_runs_are_listed_newest_first_and_filtered(opened: Any, clock: Any) -> None:
    async with opened(WORLD, tools=(look,), clock=clock) as s:
        for number, (made, question) in enumerate([(one, "Alpha"), (direct, "beta"), (direct, "Gamma 100%_")]):
            await s.run(made, question, run_id=f"r{number}")
            clock.advance(60)
        await s.run(direct, "delta", run_id="r3", budget="calls=0")
        assert [record.id for record in await s.runs()] == ["r3", "r2", "r1", "r0"]
        assert [record.id for record in await s.runs(limit=2)] == ["r3", "r2"]
        assert [record.id for record in await s.runs(text="ALPHA")] == ["r0"]
        assert [record.id for record in await s.runs(text="100%_")] == ["r2"]
        assert [record.id for record in await s.runs(text="%")] == ["r2"]
        assert [record.id for record in await s.runs(strategy="direct", text="a")] == ["r3", "r2", "r1"]
        since = (await s.runs())[1].stored.created
        assert [record.id for record in await s.runs(since=since)] == ["r3", "r2"]
        assert [record.id for record in await s.runs(state="failed")] == []
        assert {record.stop for record in await s.runs()} == {"answered", "budget"}
        assert (await s.runs())[0].plain()["created"] == "2023-11-14T22:16:20.000Z"


async def test_a_run_is_found_by_id_prefix_or_as_the_last(opened: Any, clock: Any) -> None:
    async with opened(WORLD, clock=clock) as s:
        with pytest.raises(UsageError, match="there is no run yet"):
            await s.find("last")
        for run_id in ("abc1", "abc2", "xyz"):
            await s.run(direct, "?", run_id=run_id)
            clock.advance(1)
        assert [await s.find(run) for run in ("abc1", "x", "last", "xyz")] == ["abc1", "xyz", "xyz", "xyz"]
        with pytest.raises(UsageError, match="'abc' begins 2 ids: abc2, abc1"):
            await s.find("abc")
        for run in ("", "q", "abd1"):
            with pytest.raises(UsageError, match=f"there is no run {run!r}"):
                await s.find(run)
        assert (await s.show("x")).question == "?"


async def test_a_record_shows_its_effects_with_what_they_refer_to(opened: Any, clock: Any) -> None:
    @strategy(calls="3")
    async def asking(run: Run, task: Task) -> Answer:
        long = "a question that is long enough to be referred to from later effects"
        for _ in range(2):
            await run.ask(answering, question=long, notes=())
        await run.call(look, where="there")
        run.now()
        return task.answer("x")

    async with opened(WORLD, tools=(look,), clock=clock) as s:
        await s.run(asking, "?", run_id="mine")
        record = await s.show("mine")
        effects = record.effects()
        assert [(one["n"], one["kind"], one["name"], one["scope"], one["state"]) for one in effects] == [
            (0, "model", "direct.answer", "asking", "finished"),
            (1, "model", "direct.answer", "asking", "finished"),
            (2, "tool", "look", "asking", "finished"),
            (3, "decision", "clock", "asking", "finished"),
        ]
        assert effects[0]["started"] == "2023-11-14T22:13:20.000Z"
        assert effects[0]["usage"]["calls"] == 1
        assert effects[2]["usage"] is None
        assert decoded(record.rows[1].request)["message"] == 0
        assert record.request(record.rows[1]) == record.request(record.rows[0])
        assert record.request(record.rows[2]) == {"tool": "look", "arguments": {"where": "there"}}
        assert str(record) == "mine  finished    scripted  ?"
        assert repr(record) == "RunRecord(mine, finished, , '?')"
        json.dumps([record.plain(), effects], allow_nan=False)


async def test_a_record_of_a_run_whose_damaged_rows_were_dropped_can_still_be_shown(
    tmp_path: Path, opened: Any
) -> None:
    import sqlite3

    path = tmp_path / "j.sqlite"
    long = "a question that is long enough to be referred to from later effects"

    @strategy(calls="3")
    async def asking(run: Run, task: Task) -> Answer:
        for _ in range(3):
            await run.ask(answering, question=long, notes=())
        return task.answer("x")

    async with opened(WORLD, journal=f"sqlite:{path}") as s:
        await s.run(asking, "?", run_id="mine")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE effect SET took = took + 1 WHERE seq = 1")
    connection.close()
    async with opened(WORLD, journal=f"sqlite:{path}") as s:
        with pytest.raises(Exception, match="row 1 is not what was written"):
            await s.show("mine")
        assert await s.drop_damaged("mine") == 1
        record = await s.show("mine")
        assert (record.state, [one["name"] for one in record.effects()]) == ("running", ["direct.answer"] * 2)
        answer = await s.resume("mine", strategy=asking)
        assert (answer.text, len(s._services.model.requests)) == ("x", 1)
        names = [one["name"] for one in (await s.show("mine")).effects()]
        assert names == ["direct.answer"] * 3
