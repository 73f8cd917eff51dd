"""A session whose disk is full, whose file may not be written, whose model or tool hangs, or which is interrupted."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, MemoryJournal, Row, Run, Task, signature, strategy, tool
from stratagem.errors import JournalError, NoReply
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing import ScriptedModel

HERE = Path(__file__).resolve()


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


async def finished(path: Path, run_id: str = "mine") -> tuple[int, int]:
    """Continue a run to its end; return how many effects were recorded, and how many calls that took."""
    journal = SQLiteJournal(path)
    rows = (await journal.load(run_id))[1] if run_id in await journal.ids(run_id) else []
    await journal.aclose()
    model = Counting()
    async with opened(model, path) as s:
        answer = await s.run(EIGHT, "?", run_id=run_id)
        assert (answer.stop, answer.text) == ("answered", "g0g1g2g3" * 2)
    return len(rows), model.paid


async def test_a_journal_that_cannot_be_written_stops_the_run_before_it_goes_on() -> None:
    class Failing(MemoryJournal):
        spec = "failing"

        def append(self, run_id: str, row: Row, *, alone: bool = False) -> Any:
            if row.seq < 3:
                return super().append(run_id, row)

            async def refused() -> None:
                raise JournalError("the disk is full", remedy="Free space.")

            return refused()

        def update(self, run: Any) -> Any:
            async def refused() -> None:
                raise JournalError("the disk is full", remedy="Free space.")

            return refused()

    model, journal, events, before = Counting(), Failing(), list[str](), asyncio.all_tasks()
    async with session.open(
        model=model, journal=journal, memory="none", on_event=lambda event: events.append(event.type)
    ) as s:
        with pytest.raises(JournalError, match="the disk is full"):
            await s.run(eight, "?", run_id="mine")
        assert s.live == ()
    assert len(journal.rows("mine")) == 3
    assert model.paid == 4  # nothing was asked after the first row that was refused
    assert events[-1] == "run.finished"
    assert asyncio.all_tasks() == before  # nobody is left behind


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only, for root as well; skip where that cannot be done."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    for command in (["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


async def test_a_journal_that_may_only_be_read_stops_the_run_before_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "home" / "j.sqlite"
    async with opened(Counting(), path) as s:
        await s.run(EIGHT, "first", run_id="first")
    with read_only(path.parent):
        model = Counting()
        async with opened(model, path) as s:
            with pytest.raises(JournalError, match="can only be read") as caught:
                await s.run(EIGHT, "?", run_id="mine")
            assert caught.value.remedy == "Make file and directory writable, or name another journal."
            assert model.paid <= 4  # what was asked at once; nothing after it
            assert [record.id for record in await s.runs()] == ["first"]
            assert (await s.resume("first")).text == "g0g1g2g3" * 2  # what is there can be read
    assert await finished(path) == (0, 8)


INTERRUPTED = """
import asyncio, os, signal, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from test_session_faults import Counting, EIGHT, opened

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is begun without

class Interrupted(Counting):
    async def _later(self, request, value):
        if self.paid == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(20)
        return await super()._later(request, value)

async def main():
    async with opened(Interrupted(), Path(sys.argv[1])) as s:
        await s.run(EIGHT, "?", run_id="mine")

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("at", [1, 3, 5, 8])
async def test_an_interrupt_leaves_a_cancelled_run_that_goes_on(tmp_path: Path, at: int) -> None:
    path = tmp_path / "j.sqlite"
    program = INTERRUPTED.format(folder=str(HERE.parent))
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(path), str(at)], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stdout == "interrupted\n", done.stderr[-2000:]
    journal = SQLiteJournal(path)
    stored, _ = await journal.load("mine")
    await journal.aclose()
    assert stored.state == "cancelled"
    recorded, again = await finished(path)
    assert recorded + again == 8


async def test_a_model_that_never_answers_ends_the_run_resumably(tmp_path: Path) -> None:
    class Stuck(Counting):
        async def _later(self, request: Any, value: Any) -> Any:
            if self.paid == 6:
                await asyncio.get_running_loop().create_future()
            return await super()._later(request, value)

    path = tmp_path / "j.sqlite"
    async with opened(Stuck(), path, options={"timeout_s": 0.05}) as s:
        with pytest.raises(NoReply, match=r"did not answer within 0\.05 s"):
            await s.run(EIGHT, "?", run_id="mine")
        assert (await s.show("mine")).state == "failed"
    recorded, again = await finished(path)
    assert (recorded, again) == (6, 3)  # five replies and a failure, which is a circumstance


@tool(timeout_s=0.05)
def hang() -> str:
    """Hang."""
    released.wait(30)
    return "late"


released = threading.Event()


@strategy(calls="1")
async def hanging(run: Run, task: Task) -> Answer:
    """Call what hangs, then ask."""
    seen = await run.call(hang)
    return task.answer(f"{seen.text}; {await run.ask(guess, number=1)}")


async def test_a_tool_that_hangs_holds_neither_the_run_nor_the_process(tmp_path: Path) -> None:
    async with opened(Counting(), tmp_path / "j.sqlite", tools=(hang,)) as s:
        answer = await s.run(hanging, "?")
    released.set()
    assert answer.text == "`hang` took longer than 0.05 s; g1"
