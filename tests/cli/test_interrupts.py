"""Ctrl-C once stops the run and says how to go on; twice leaves now. SIGTERM counts as Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

LIMIT_S = 60.0
SLOW = {"signature": "direct.answer", "reply": "late", "delay_s": 600}


def said(process: "subprocess.Popen[str]", line: str) -> str:
    """Read standard error until a line begins so, and return that line."""
    assert process.stderr is not None
    for found in process.stderr:
        if found.startswith(line):
            return found
    raise AssertionError(f"the process ended without {line!r}")


def begun(cli: Any, *words: object) -> "tuple[subprocess.Popen[str], str]":
    """Start a run that hangs in a model call, wait until it does, and return the process and the run's id."""
    process = cli.start("run", "Well?", "--verbose", *words)
    return process, said(process, "run ").split()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_stops_the_run_and_prints_how_to_resume(cli: Any, script: Any, number: int) -> None:
    process, run_id = begun(cli, "--strategy", "direct", "--model", script(SLOW))
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (130, "")
    lines = err.splitlines()
    assert "cancelled" in lines
    assert lines[-1] == f"continue: stratagem resume {run_id}"
    assert cli.json("show", run_id)["run"]["state"] == "cancelled"


def test_a_stopped_run_goes_on_where_it_was(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    first = {
        "signature": "react.act",
        "inputs": {"question": "Compute"},
        "call": {"name": "calculate", "arguments": {"expression": "6 * 7"}},
    }
    slow = {"signature": "react.act", "contains": "42", "reply": "late", "delay_s": 600}
    path.write_text(f"{json.dumps(first)}\n{json.dumps(slow)}\n")
    process = cli.start(
        "run", "Compute", "--verbose", "--strategy", "react", "--tool", "calculate", "--model", f"script:{path}"
    )
    run_id = said(process, "run ").split()[1]
    said(process, "  react  ← ")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    path.write_text(json.dumps({"signature": "react.act", "contains": "42", "reply": "it is 42"}) + "\n")
    result = cli("resume", run_id)
    assert (result.exit_code, result.stdout) == (0, "it is 42\n")
    names = [effect["name"] for effect in cli.json("show", run_id)["effects"] if effect["kind"] == "tool"]
    assert names == ["calculate"]


def test_json_after_an_interrupt_is_one_document(cli: Any, script: Any, valid: Any) -> None:
    process = cli.start("run", "Well?", "--jsonl", "--strategy", "direct", "--model", script(SLOW))
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["type"] != "effect.requested":
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (130, "")
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["answer"]["stop"]) == ("run.finished", "cancelled")


BLOCKING = """
import time
from pathlib import Path
from stratagem import Answer, Run, Task, strategy

@strategy(ids=[], paper="", calls="0", lower="0")
async def stuck(run: Run, task: Task) -> Answer:
    \"\"\"Hold up the event loop.

    Args:
        None: none.

    Cost:
        None.

    Fails when:
        Always.

    Paper, code, ours:
        No difference known.
    \"\"\"
    Path("begun").touch()
    end = time.monotonic() + 600
    while time.monotonic() < end:
        time.sleep(0.01)
    return task.answer("late")
"""


def test_twice_leaves_even_if_the_program_is_stuck_and_the_journal_is_whole(cli: Any) -> None:
    (cli.folder / "mine.py").write_text(BLOCKING)
    process = cli.start("run", "Well?", "--strategy", "mine.py:stuck")
    until((cli.folder / "begun").exists)
    begin = time.monotonic()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # two signals at once are one
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert time.monotonic() - begin < 20
    assert cli("doctor").exit_code == 0


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.05, 0.1])
def test_twice_while_a_call_is_pending_leaves_now(cli: Any, script: Any, pause_s: float) -> None:
    process, run_id = begun(cli, "--strategy", "direct", "--model", script(SLOW))
    for _ in range(4):  # however late the others come, the status stays
        process.send_signal(signal.SIGINT)
        time.sleep(pause_s)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert cli.json("show", run_id)["run"]["state"] in ("running", "cancelled")


def test_a_reader_that_leaves_is_141_without_a_traceback(cli: Any, script: Any) -> None:
    run_id = cli.answered("Well?", "--strategy", "direct", "--model", script("x" * 300_000))
    process = cli.start("show", run_id)
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.wait(LIMIT_S) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_reader_of_events_that_leaves_stops_the_run(cli: Any, script: Any) -> None:
    calls = [
        {
            "signature": "react.act",
            "call": {"name": "calculate", "arguments": {"expression": f"{n} + 1"}},
            "delay_s": 0.05,
        }
        for n in range(200)
    ]
    process = cli.start(
        "run",
        "Well?",
        "--jsonl",
        "--strategy",
        "react(max_steps=200)",
        "--tool",
        "calculate",
        "--model",
        script(*calls),
    )
    assert process.stdout is not None
    run_id = json.loads(process.stdout.readline())["run"]
    process.stdout.close()
    assert process.wait(LIMIT_S) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    shown = cli.json("show", run_id)
    assert shown["run"]["state"] == "cancelled"
    assert len(shown["effects"]) < 400


def test_help_into_a_closed_pipe_is_141(cli: Any) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m stratagem --help | true; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=cli.process_env,
        check=True,
    )
    assert re.fullmatch("(141|0)\n", done.stdout)  # 0 if all of it went into the pipe before the reader left
    assert done.stderr == ""


def until(is_so: Any) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
