"""Ctrl-C in every phase of a run of the command: once stops it cleanly and says how to go on, twice leaves at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 60.0
SRC = Path(__file__).parents[2] / "src"

PROGRAM = '''
import asyncio, os, signal, time
from pathlib import Path
from stratagem import Answer, Run, Task, strategy, tool
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.session import Session

PHASE, TIMES = os.environ.pop("PHASE", ""), int(os.environ.pop("TIMES", "0"))
HERE = Path(__file__).parent


def now(phase):
    """Interrupt this process, if this is the phase in which that is wanted."""
    if phase == PHASE:
        for number in range(TIMES):
            time.sleep(0.1 * number)  # two signals at once are one
            os.kill(os.getpid(), signal.SIGINT)


def interrupted(owner, name, phase):
    before = getattr(owner, name)

    async def wrapped(*given):
        now(phase)
        await asyncio.sleep(0)
        return await before(*given)

    if PHASE == phase:
        setattr(owner, name, wrapped)


interrupted(SQLiteJournal, "park", "parking")
interrupted(Session, "aclose", "closing")


@tool
async def step(number: int) -> str:
    """Take a step."""
    with (HERE / "ledger").open("a") as ledger:
        ledger.write(f"{number}\\n")
    if number == 2:
        now("in flight")
        await asyncio.sleep(0.01)
    return f"step {number}"


@strategy(ids=[], paper="", calls="0", lower="0")
async def walk(run: Run, task: Task) -> Answer:
    """Take three steps, and ask before the last one."""
    now("before the first effect")
    if PHASE == "before the first effect":
        await asyncio.sleep(0.2)
    found = [(await run.call(step, number=number)).text for number in (1, 2)]
    now("between two effects")
    if PHASE == "between two effects":
        await asyncio.sleep(0.2)
    if await run.wait("Go on?"):
        found.append((await run.call(step, number=3)).text)
    return task.answer(", ".join(found))
'''


class Command:
    """`stratagem` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        (self.folder / "mine.py").write_text(PROGRAM)
        self.env = {
            **{name: value for name, value in os.environ.items() if name not in ("CI", "FORCE_COLOR")},
            "PYTHONPATH": str(SRC),
            "STRATAGEM_HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder / "settings"),
            "NO_COLOR": "1",
        }

    def begin(self, *words: str, **settings: Any) -> "subprocess.Popen[str]":
        env = {**self.env, **settings.pop("more", {})}
        usual = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-m", "stratagem", *words]
        return subprocess.Popen(command, cwd=self.folder, env=env, text=True, **{**usual, **settings})

    def __call__(self, *words: str, **settings: Any) -> tuple[int, str, str]:
        process = self.begin(*words, **settings)
        out, err = process.communicate(timeout=LIMIT_S)
        return process.returncode, out, err

    def run(self, **settings: Any) -> tuple[int, str, str]:
        return self("run", "Walk.", "--strategy", "mine.py:walk", "--tool", "mine.py:step", **settings)

    def steps(self) -> list[str]:
        path = self.folder / "ledger"
        return path.read_text().split() if path.exists() else []

    def ended(self) -> None:
        """Continue the newest run to its end, whatever it needs, and see that it is whole."""
        status, out, err = self("resume", "last")
        if status == 3:  # it waits for a person
            status, out, err = self("answer", "last", "yes")
        assert (status, out) == (0, "step 1, step 2, step 3\n"), err
        assert self("doctor")[0] == 0


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("phase", ["before the first effect", "in flight", "between two effects", "parking"])
def test_what_was_interrupted_goes_on_where_it_was(command: Command, phase: str, times: int) -> None:
    status, out, err = command.run(more={"PHASE": phase, "TIMES": str(times)})
    # Where the run was parked already it waits for its person, whatever came then.
    assert (status, out) == (130, "") or (phase == "parking" and status == 3), err
    assert "Traceback" not in err
    if times == 1 and status == 130:
        assert "continue: stratagem resume " in err.splitlines()[-1]
    assert command.steps() == ([] if phase == "before the first effect" else ["1", "2"])
    command.ended()
    in_flight = ["2"] if phase == "in flight" else []
    assert sorted(command.steps()) == sorted(["1", "2", "3", *in_flight])


def test_an_interrupt_while_the_session_closes_changes_nothing_that_was_recorded(command: Command) -> None:
    status, out, err = command.run(more={"PHASE": "closing", "TIMES": "1"})
    assert status in (3, 130), (out, err)
    assert "Traceback" not in err
    assert status == 3 or "continue: stratagem resume " in err.splitlines()[-1]
    assert command.steps() == ["1", "2"]
    command.ended()
    assert command.steps() == ["1", "2", "3"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals to open here")
def test_an_interrupt_at_a_question_on_the_terminal_leaves_it_for_later(command: Command) -> None:
    master, terminal = os.openpty()
    process = command.begin(
        "run", "Walk.", "--strategy", "mine.py:walk", "--tool", "mine.py:step",
        stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    due = time.monotonic() + LIMIT_S
    while b"answer [yes/no]: " not in shown and time.monotonic() < due:
        shown += os.read(master, 1000)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            if not (more := os.read(master, 1000)):
                break
        except OSError:  # the other side has closed the terminal
            break
        shown += more
    os.close(master)
    assert process.wait(LIMIT_S) == 3  # it waits for a person
    assert b"Traceback" not in shown
    command.ended()
    assert command.steps() == ["1", "2", "3"]
