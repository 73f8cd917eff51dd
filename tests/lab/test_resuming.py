"""A comparison that was stopped, however hard, goes on and gives the report of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab._folder import ANSWERS, PLAN
from tests.lab.conftest import SETTINGS, STRATEGIES, timeless

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
PROGRAM = """
import json, sys
from stratagem import lab
settings = json.loads(sys.argv[1])
lab.compare("game24", settings.pop("strategies"), **settings)
"""


def begun(out: Path, stderr: Any = None, **settings: Any) -> "subprocess.Popen[bytes]":
    words = json.dumps({**SETTINGS, **settings, "strategies": STRATEGIES, "out": str(out)})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, words], env=environment, stderr=stderr, start_new_session=True
    )


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children")
    return [int(one) for one in found.read_text().split()] if found.exists() else []


def answered(out: Path) -> int:
    path = out / ANSWERS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_with_everything_and_called_again_it_gives_the_same_report(report: lab.Report, tmp_path: Path) -> None:
    out = tmp_path / "kept"
    for least in (7, 41):  # of 120 answers
        process = begun(out, processes=2)
        end = time.monotonic() + 120
        while answered(out) < least and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.005)
        everybody = [process.pid, *children(process.pid)]
        for one in everybody:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
    kept = answered(out)
    assert kept >= 41
    (out / ANSWERS).write_bytes((out / ANSWERS).read_bytes() + b'{"cell": 1, "it')  # a line that a crash tore
    seen: list[int] = []
    again = lab.compare(
        "game24", STRATEGIES, out=out, **{**SETTINGS, "processes": 2}, on_progress=lambda now: seen.append(now.found)
    )
    assert timeless(again.plain()) == timeless(report.plain())
    assert seen[0] == kept
    assert again.figure() == report.figure()


def test_what_is_finished_is_read_and_nothing_is_asked_again(tmp_path: Path, report: lab.Report) -> None:
    out = tmp_path / "kept"
    first = lab.compare("game24", STRATEGIES, out=out, **SETTINGS)
    before = (out / ANSWERS).read_bytes()
    progress: list[Any] = []
    again = lab.compare("game24", STRATEGIES, out=out, **SETTINGS, on_progress=progress.append)
    assert timeless(again.plain()) == timeless(first.plain()) == timeless(report.plain())
    assert (out / ANSWERS).read_bytes() == before
    assert [(one.done, one.wanted, one.found) for one in progress] == [(120, 120, 120)]


def test_another_comparison_in_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    small = {**SETTINGS, "items": 1, "budget": "", "baselines": False}
    lab.compare("game24", "direct", out=tmp_path, **small)
    for changed, said in (
        ({"seed": 8}, "holds a comparison with seed 7; this asks for seed 8"),
        ({"model": "sim:skill=0.9"}, "with the models sim:skill=0.5,.*; this asks for the models sim:skill=0.9"),
        ({"items": 2}, "with 1 item; this asks for 2 items"),
        ({"budget": "calls=3"}, "with the budgets no limit; this asks for the budgets calls=3"),
        ({"max_tokens": 9}, "with max_tokens none; this asks for max_tokens 9"),
        ({"baselines": True}, "with baselines off; this asks for baselines on"),
    ):
        with pytest.raises(UsageError, match=said):
            lab.compare("game24", "direct", out=tmp_path, **{**small, **changed})


def test_a_damaged_folder_is_named(tmp_path: Path) -> None:
    small = {**SETTINGS, "items": 2, "budget": "", "baselines": False}
    lab.compare("game24", "direct", out=tmp_path, **small)
    answers = tmp_path / ANSWERS
    whole = answers.read_text()
    answers.write_text("{broken\n" + whole)
    with pytest.raises(UsageError, match="damaged in line 1"):
        lab.compare("game24", "direct", out=tmp_path, **small)
    answers.write_text(whole)
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(UsageError, match=r"plan.json .* is damaged"):
        lab.compare("game24", "direct", out=tmp_path, **small)


def test_two_at_once_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    import fcntl

    small = {**SETTINGS, "items": 2, "budget": "", "baselines": False}
    with (tmp_path / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process works in"):
            lab.compare("game24", "direct", out=tmp_path, **small)
