"""`stratagem new`: what it writes works and is tested, and nothing is overwritten."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem.testing.conformance import CHECKS


def passed(cli: Any, path: str) -> int:
    """Run a test file in a process of its own, as its owner would, and return how many tests passed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path],
        capture_output=True, text=True, cwd=cli.folder, env=cli.process_env, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return int(done.stdout.splitlines()[-1].split()[0])


def test_a_new_strategy_passes_its_test_and_runs(cli: Any, script: Any, valid: Any) -> None:
    document = cli.json("new", "strategy", "mine/revised")
    valid(document, "new")
    assert document["files"] == ["mine/revised.py", "mine/test_revised.py"]
    assert document["use"] == "stratagem run GOAL --strategy mine/revised.py:revised"
    assert passed(cli, "mine/test_revised.py") == len(CHECKS) + 1
    model = script(
        {"signature": "draft", "reply": "Water."},
        {"signature": "criticise", "reply": "Be longer."},
        {"signature": "revise", "reply": "It moves water."},
        {"signature": "criticise", "reply": "OK"},
    )
    result = cli("run", "What does a pump do?", "--strategy", "mine/revised.py:revised", "--model", model)
    assert (result.exit_code, result.stdout) == (0, "It moves water.\n")


def test_a_new_tool_passes_its_test_and_is_called(cli: Any) -> None:
    result = cli("new", "tool", "metres")
    assert (result.exit_code, result.stdout) == (0, "metres.py\ntest_metres.py\n")
    assert "test it: python -m pytest test_metres.py" in result.stderr
    assert passed(cli, "test_metres.py") == 3
    assert cli("run", "What is 2 + 2?", "--tool", "metres.py:metres").exit_code == 0


def test_a_strategy_needs_no_family(cli: Any) -> None:
    assert cli("new", "strategy", "debate").stdout == "debate.py\ntest_debate.py\n"


@pytest.mark.parametrize("existing", ["mine/revised.py", "mine/test_revised.py"])
def test_nothing_is_overwritten_and_nothing_is_half_written(cli: Any, existing: str) -> None:
    Path("mine").mkdir()
    Path(existing).write_text("precious")
    result = cli("new", "strategy", "mine/revised")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{existing!r} exists already, and is not overwritten" in result.stderr
    assert Path(existing).read_text() == "precious"
    assert [str(path) for path in Path("mine").iterdir()] == [existing]


@pytest.mark.parametrize(
    "name", ["", "Debate", "1st", "a-b", "../up", "/tmp/x", "a b", "mine/", "class", "json", "draft", "test_x", "é"]
)
def test_what_is_no_name_is_refused(cli: Any, name: str) -> None:
    for kind in ("strategy", "tool"):
        result = cli("new", kind, name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "is no name" in result.stderr or "uses itself" in result.stderr
    assert os.listdir() == []


def test_a_folder_that_cannot_be_written_is_said(cli: Any) -> None:
    Path("mine").write_text("a file")
    result = cli("new", "strategy", "mine/revised")
    assert result.exit_code == 2
    assert "'mine' exists already" in result.stderr
    result = cli("new", "strategy", "mine/deeper/revised")
    assert result.exit_code == 2
    assert "'mine/deeper' cannot be written: Not a directory" in result.stderr


def test_the_second_word_is_asked_for(cli: Any) -> None:
    for words in (("new",), ("new", "strategi"), ("new", "--help")):
        result = cli(*words)
        assert result.exit_code == 2
        assert "'new' wants one more word: new strategy or new tool" in result.stderr
