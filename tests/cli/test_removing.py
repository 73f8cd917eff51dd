"""`stratagem runs rm`: what goes, what stays, and that nobody loses a run by accident."""

from typing import Any

import pytest

from tests.cli.conftest import until
from tests.cli.test_terminal import Terminal


@pytest.fixture
def model(script: Any) -> str:
    return script({"signature": "direct.answer", "reply": "Paris", "times": 0})


@pytest.fixture
def run_id(cli: Any, model: str) -> str:
    return cli.answered("Capital?", "--strategy", "direct", "--model", model)


def ids(cli: Any) -> list[str]:
    return [run["id"] for run in cli.json("runs")["runs"]]


def forked(cli: Any, run_id: str) -> str:
    first = cli.json("show", run_id)["effects"][0]["n"]
    return cli.json("fork", run_id, "--at", str(first))["run"]["id"]


def begun(cli: Any, run_id: str) -> str:
    """Return when a run began: what ended before is older."""
    return cli.json("show", run_id)["run"]["created"]


LATER = "2100-01-01"


def test_a_named_run_goes_for_good(cli: Any, run_id: str, model: str, valid: Any) -> None:
    other = cli.answered("Another?", "--strategy", "direct", "--model", model)
    document = cli.json("runs", "rm", run_id[:5], "--yes")
    valid(document, "removed")
    assert document == {"schema": 1, "removed": [run_id], "kept": []}
    assert ids(cli) == [other]
    assert cli("show", run_id).exit_code == 2
    assert cli("runs", "rm", "last", "--yes").stderr == "removed 1 run\n"
    assert ids(cli) == []


def test_where_nobody_can_be_asked_yes_must_be_said(cli: Any, run_id: str) -> None:
    for words in (("runs", "rm", run_id), ("runs", "rm", "--older-than", "0d"), ("runs", "rm", "--state", "finished")):
        result = cli(*words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.endswith("remedy: Say so on the command line: `--yes`.\n")
    assert ids(cli) == [run_id]


@pytest.mark.parametrize(("word", "status", "left"), [("yes", 0, 0), ("no", 130, 1), ("\x04", 130, 1)])
def test_a_person_sees_what_goes_and_is_asked(cli: Any, run_id: str, word: str, status: int, left: int) -> None:
    terminal = Terminal(cli, "runs", "rm", run_id)
    terminal.until("Remove 1 run for good?")
    assert any(run_id in line and "Capital?" in line for line in terminal.lines)
    terminal.write(word if word == "\x04" else f"{word}\n")
    assert terminal.end() == status
    assert len(ids(cli)) == left
    assert terminal.lines[-1].endswith("removed 1 run" if left == 0 else "nothing was removed")


def test_a_run_with_forks_is_refused_unless_they_go_too(cli: Any, run_id: str) -> None:
    fork = forked(cli, run_id)
    grandchild = forked(cli, fork)
    result = cli("runs", "rm", run_id, "--yes")
    assert result.exit_code == 2
    assert f"run '{run_id}' has a fork, '{fork}', which cannot be read without it" in result.stderr or grandchild in (
        result.stderr
    )
    assert f"`stratagem runs rm {run_id} --with-forks`" in result.stderr
    assert len(ids(cli)) == 3
    document = cli.json("runs", "rm", run_id, "--with-forks", "--yes")
    assert document["removed"] == [grandchild, fork, run_id]
    assert ids(cli) == []


def test_forks_that_are_named_with_it_go_too(cli: Any, run_id: str) -> None:
    fork = forked(cli, run_id)
    assert cli.json("runs", "rm", run_id, fork, "--yes")["removed"] == [fork, run_id]


def test_a_fork_can_go_alone(cli: Any, run_id: str) -> None:
    fork = forked(cli, run_id)
    assert cli.json("runs", "rm", fork, "--yes")["removed"] == [fork]
    assert cli("resume", run_id).stdout == "Paris\n"


def test_age_and_state_choose_together(cli: Any, run_id: str, model: str, script: Any) -> None:
    gone = script({"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "gone"}})
    cli("run", "Well?", "--strategy", "direct", "--model", gone)
    failed = ids(cli)[0]
    young = cli.answered("Another?", "--strategy", "direct", "--model", model)
    older = ("--older-than", begun(cli, young), "--yes")
    assert cli.json("runs", "rm", "--older-than", "50d", "--yes")["removed"] == []
    assert cli.json("runs", "rm", "--state", "failed", *older)["removed"] == [failed]
    assert cli.json("runs", "rm", *older)["removed"] == [run_id]
    assert ids(cli) == [young]


def test_what_is_only_filtered_leaves_out_what_may_not_go(cli: Any, run_id: str) -> None:
    fork = forked(cli, run_id)
    older = ("runs", "rm", "--older-than", begun(cli, fork), "--yes")
    document = cli.json(*older)
    assert document["removed"] == []
    assert document["kept"] == [{"run": run_id, "why": f"its fork {fork} stays"}]
    assert cli(*older).stderr == f"kept {run_id}: its fork {fork} stays\nremoved 0 runs\n"
    assert cli.json("runs", "rm", "--older-than", LATER, "--yes")["removed"] == [fork, run_id]


def test_a_run_that_is_driven_now_is_refused(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "reply": "late", "delay_s": 600})
    process = cli.start("run", "Well?", "--strategy", "direct", "--model", model, "--jsonl")
    try:
        until(lambda: len(ids(cli)) == 1)  # its record is durable soon after it began
        (run_id,) = ids(cli)
        result = cli("runs", "rm", run_id, "--yes")
        assert result.exit_code == 6
        assert f"run '{run_id}' is driven by process {process.pid}" in result.stderr
        document = cli.json("runs", "rm", "--state", "running", "--yes")
        assert document["removed"] == []
        assert document["kept"][0]["why"].startswith(f"run '{run_id}' is driven by process {process.pid}")
    finally:
        process.kill()
        process.communicate()
    assert cli.json("runs", "rm", run_id, "--yes")["removed"] == [run_id]  # its driver is gone


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name runs, or say which by --older-than and --state"),
        (["last", "--state", "failed"], "name runs, or say which"),
        (["nope", "--yes"], "there is no run 'nope'"),
        (["--older-than", "old", "--yes"], "--older-than 'old' is neither an age nor a date"),
        (["--state", "gone", "--yes"], "'gone' is not one of"),
    ],
)
def test_mistakes_remove_nothing(cli: Any, run_id: str, words: list[str], message: str) -> None:
    result = cli("runs", "rm", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert ids(cli) == [run_id]


def test_one_mistake_among_several_names_removes_nothing(cli: Any, run_id: str) -> None:
    assert cli("runs", "rm", run_id, "nope", "--yes").exit_code == 2
    assert ids(cli) == [run_id]


def test_a_word_that_is_no_verb_is_looked_for(cli: Any, run_id: str) -> None:
    assert run_id in cli("runs", "--", "capital").stdout
    assert cli("runs", "--", "rm ").stdout == ""  # with a space, which no id has: some ids hold `rm`
