"""A clock that goes back, an owner that is stopped for longer than its lease, and a reader that does not read."""

import asyncio
import itertools
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, Row, Run, SystemClock, Task, signature, strategy
from stratagem.core._events import ROOM
from stratagem.errors import JournalError, OwnedElsewhere
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing import ScriptedModel

HERE = Path(__file__).resolve()
HOUR = 3600.0


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


@strategy(calls="8", lower="8")
async def eight(run: Run, task: Task) -> Answer:
    """Ask four times at once, and four times in a row."""

    async def one(run: Run, number: int) -> str:
        return await run.ask(guess, number=number)

    found = await run.map(one, range(4))
    for number in range(4):
        found.append(await run.ask(guess, number=number))
    return task.answer("".join(found))


@strategy(calls="2", lower="2")
async def asking(run: Run, task: Task) -> Answer:
    """Ask two persons, with a call before each."""

    async def one(run: Run, number: int) -> str:
        for _ in range(number):
            await asyncio.sleep(0)
        found = await run.ask(guess, number=number)
        return found + str(await run.wait(f"{number}?", schema=str))

    return task.answer(" ".join(await run.map(one, range(2))))


EIGHT = f"{HERE}:eight"


class Counting(ScriptedModel):
    def __init__(self) -> None:
        super().__init__({guess: lambda number: f"g{number}"})
        self.paid = 0

    def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        self.paid += 1
        return super().complete(request)


def opened(model: Any, path: Path, **settings: Any) -> Any:
    return session.open(model=model, journal=f"sqlite:{path}", memory="none", repairs=0, **settings)


class Turning(SystemClock):
    """The machine's clock, until somebody sets it back."""

    back = 0.0

    def wall(self) -> float:  # type: ignore[override]
        return super().wall() - self.back


class TurningModel(Counting):
    """Sets the clock back by an hour at some call."""

    def __init__(self, clock: Turning, at: int) -> None:
        super().__init__()
        self.clock, self.turns_at = clock, at

    def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        made = super().complete(request)
        if self.paid == self.turns_at:
            self.clock.back += HOUR
        return made


async def test_a_clock_that_goes_back_an_hour_changes_neither_order_nor_budget_nor_owner(tmp_path: Path) -> None:
    clock, path = Turning(), tmp_path / "j.sqlite"
    async with opened(TurningModel(clock, 5), path, clock=clock) as one:
        running = asyncio.create_task(one.run(EIGHT, "?", run_id="mine", budget="seconds=600"))
        while not (one.live and clock.back):  # noqa: ASYNC110
            await asyncio.sleep(0)
        async with opened(Counting(), path) as two:
            refused = await asyncio.gather(two.run(EIGHT, "?", run_id="mine"), return_exceptions=True)
        answer = await running
        assert (answer.stop, answer.text) == ("answered", "g0g1g2g3" * 2)
        assert 0 <= answer.usage.seconds < 600
        assert isinstance(refused[0], OwnedElsewhere) or refused[0] == answer
        rows = (await one.show("mine")).rows
        assert [row.seq for row in rows] == list(range(8))
        assert all(early.wall <= late.wall for early, late in itertools.pairwise(rows))
        assert all(row.took >= 0 and row.active >= 0 for row in rows)
        later = await one.run(EIGHT, "again", run_id="later")
        assert later.stop == "answered"


async def test_questions_keep_the_order_of_asking_when_the_clock_goes_back(tmp_path: Path) -> None:
    clock = Turning()

    class Between(Counting):
        async def _later(self, request: Any, value: Any) -> Any:
            if request.inputs["number"] == 1:
                while not clock.back:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            return await super()._later(request, value)

    async with opened(Between(), tmp_path / "j.sqlite", clock=clock) as one:
        running = asyncio.create_task(one.run(f"{HERE}:asking", "?", run_id="mine"))
        while not clock.back:
            await asyncio.sleep(0.001)
            if "mine" in await one._services.journal.ids("mine") and (await one.show("mine")).questions():
                clock.back = HOUR
        assert (await running).stop == "suspended"
        assert [asked["question"] for asked in (await one.show("mine")).questions()] == ["0?", "1?"]


STOPPED = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
import stratagem.session._lives, stratagem.session._owner
from test_time import Counting, EIGHT, opened
from stratagem.errors import JournalError, OwnedElsewhere

stratagem.session._lives.BEAT_S = 0.05

class Slow(Counting):
    async def _later(self, request, value):
        if self.paid == 6:
            print("in flight", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        return await super()._later(request, value)

async def main():
    model = Slow()
    async with opened(model, Path(sys.argv[1])) as s:
        try:
            print("ended", (await s.run(EIGHT, "?", run_id="mine")).text)
        except OwnedElsewhere as refused:
            print("fenced", model.paid, refused)

asyncio.run(main())
"""


async def test_an_owner_that_was_stopped_for_longer_than_its_lease_is_fenced_when_it_wakes(
    tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "j.sqlite"
    process = subprocess.Popen(  # noqa: ASYNC220  (it has begun at once)
        [sys.executable, "-c", STOPPED.format(folder=str(HERE.parent)), str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "in flight\n"
    async with opened(Counting(), path) as late:
        with pytest.raises(OwnedElsewhere, match=rf"process {process.pid} on"):
            await late.resume("mine")
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr("stratagem.session._owner.LEASE_S", 0.5)
    answer, model = await taken_over(path, process)
    assert (answer.stop, answer.text, model.paid) == ("answered", "g0g1g2g3" * 2, 8 - 5)  # five had been recorded
    before = await stored_rows(path)
    process.send_signal(signal.SIGCONT)
    said, _ = await asyncio.to_thread(process.communicate, "go on\n", 60)
    assert process.returncode == 0
    assert said.startswith("fenced 6 run 'mine' has been taken over by")
    rows = await stored_rows(path)
    assert rows == before  # nothing lost, nothing doubled
    assert len({(row.path, row.digest, row.occurrence) for row in rows}) == 8


async def taken_over(path: Path, stopped: "subprocess.Popen[str]") -> tuple[Answer, Counting]:
    """Continue the run of a stopped process as soon as its lease has ended."""
    while True:
        model = Counting()
        async with opened(model, path) as late:
            try:
                return await late.resume("mine"), model
            except OwnedElsewhere:
                await asyncio.sleep(0.05)
            except JournalError as failure:
                if "is locked" not in str(failure):
                    raise
                # It was stopped in the middle of a commit, and holds the file.
                stopped.send_signal(signal.SIGCONT)
                await asyncio.sleep(0.01)
                stopped.send_signal(signal.SIGSTOP)


async def stored_rows(path: Path) -> list[Row]:
    journal = SQLiteJournal(path)
    stored, rows = await journal.load("mine")
    await journal.aclose()
    assert stored.state == "finished"
    return rows


NOTES = 25_000


@strategy(calls="1", lower="1")
async def talking(run: Run, task: Task) -> Answer:
    """Leave more notes than wait for one reader."""
    for number in range(NOTES):
        run.note("step", step=number)
    return task.answer(await run.ask(guess, number=1))


async def test_a_reader_that_does_not_read_costs_bounded_memory_and_the_run_nothing() -> None:
    async with session.open(model=Counting(), journal="memory", memory="none") as one:
        stream = one.stream(talking, "?")
        most = 0
        while not stream._driving.done():
            await asyncio.sleep(0)
            most = max(most, len(stream._waiting.events))
        assert most <= ROOM + 2  # with the count of what is lost, and the end
        events = [event async for event in stream]
    (lost,) = [event.data["count"] for event in events if event.type == "events.dropped"]
    assert events[-1].type == "run.finished"
    assert events[-1].data["answer"].text == "g1"
    assert len(events) - 1 + lost == events[-1].number  # every event was read, or counted


async def test_a_listener_that_never_returns_does_not_hold_the_run() -> None:
    async def stuck(event: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async with session.open(model=Counting(), journal="memory", memory="none", on_event=stuck) as one:
        answer = await one.run(talking, "?")
        assert (answer.stop, answer.text) == ("answered", "g1")
