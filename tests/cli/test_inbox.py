"""`stratagem runs --state waiting` is the inbox, and an approval may hold for the rest of a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from stratagem.errors import OwnedElsewhere
from tests.cli.conftest import until

TWICE = """
from stratagem import Answer, Run, Task, strategy
from mail import send

@strategy(calls="0", lower="0")
async def twice(run: Run, task: Task) -> Answer:
    \"\"\"Send two mails.\"\"\"
    seen = [await run.call(send, text=text) for text in ("one", "two")]
    return task.answer("; ".join(one.text for one in seen))
"""
BOTH = """
from stratagem import Answer, Run, Task, strategy

@strategy(calls="0", lower="0")
async def both(run: Run, task: Task) -> Answer:
    \"\"\"Ask two persons at once.\"\"\"
    async def ask(run: Run, kind: type) -> object:
        return await run.wait(f"Which {kind.__name__}?", kind)
    return task.answer(str(await run.map(ask, (str, int))))
"""


@pytest.fixture
def sending(cli: Any, tool_file: Path) -> str:
    """A run that waits for a person's word on the first of two mails."""
    (cli.folder / "twice.py").write_text(TWICE)
    words = ("run", "Send", "--strategy", "twice.py:twice", "--tool", "mail.py:send")
    return cli.json(*words)["run"]["id"]


def sent(cli: Any) -> list[str]:
    path = cli.folder / "sent.txt"
    return path.read_text().split() if path.exists() else []


def test_the_inbox_lists_each_question_with_the_line_that_answers_it(cli: Any, sending: str) -> None:
    (cli.folder / "both.py").write_text(BOTH)
    both = cli.json("run", "Which?", "--strategy", "both.py:both")["run"]["id"]
    cli("run", "What is 12 * 7?", "--tool", "calculate")
    document = cli.json("runs", "--state", "waiting")
    first, second = (one["id"] for one in document["runs"][0]["waiting"])
    (mail,) = (one["id"] for one in document["runs"][1]["waiting"])
    lines = cli("runs", "--state", "waiting").stdout.splitlines()
    assert [line for line in lines if line.startswith("   ")] == [
        f"   question {first}: Which str?",
        f"   answer: stratagem answer {both} --question {first} VALUE  (VALUE: text)",
        f"   question {second}: Which int?",
        f"   answer: stratagem answer {both} --question {second} VALUE  (VALUE: a whole number)",
        f'   question {mail}: Allow send({{"text":"one"}})? Effect: send.',
        f"   answer: stratagem answer {sending} VALUE  (VALUE: yes, no, always)",
    ]
    assert [line.split()[1] for line in lines if line.startswith("?")] == [both, sending]
    assert "question" not in cli("runs").stdout


def test_every_listing_carries_the_open_questions(cli: Any, sending: str, valid: Any) -> None:
    document = cli.json("runs")
    valid(document, "runs")
    (one,) = document["runs"][0]["waiting"]
    assert one["schema"] == {"enum": ["yes", "no", "always"]}
    cli("answer", sending, "always")
    document = cli.json("runs")
    valid(document, "runs")
    assert document["runs"][0]["waiting"] == []
    assert cli("runs", "--state", "waiting").stdout == ""


def test_show_says_how_to_answer(cli: Any, sending: str) -> None:
    assert f"answer: stratagem answer {sending} VALUE  (VALUE: yes, no, always)" in cli("show", sending).stdout


@pytest.mark.parametrize(
    ("answers", "mails", "status"),
    [
        (["always"], ["one", "two"], 0),
        (["a"], ["one", "two"], 0),
        (["yes", "yes"], ["one", "two"], 0),
        (["y", "n"], ["one"], 0),
        (["no", "ALWAYS"], ["two"], 0),
        (["yes"], ["one"], 3),
    ],
)
def test_yes_no_and_always(cli: Any, sending: str, answers: list[str], mails: list[str], status: int) -> None:
    results = [cli("answer", sending, word) for word in answers]
    assert results[-1].exit_code == status
    assert sent(cli) == mails


def test_always_holds_for_that_run_only(cli: Any, sending: str) -> None:
    assert cli("answer", sending, "always").exit_code == 0
    words = ("run", "Send again", "--strategy", "twice.py:twice", "--tool", "mail.py:send")
    assert cli(*words).exit_code == 3
    assert sent(cli) == ["one", "two"]


@pytest.mark.parametrize("word", ["", "maybe", "ye no"])
def test_what_is_no_option_is_refused(cli: Any, sending: str, word: str) -> None:
    result = cli("answer", sending, word)
    assert result.exit_code == 2
    assert f"{word!r} is none of yes, no, always" in result.stderr
    assert sent(cli) == []


def test_an_answer_is_given_once(cli: Any, sending: str) -> None:
    question = cli.json("show", sending)["waiting"][0]["id"]
    assert cli("answer", sending, "no", "--no-resume").exit_code == 0
    result = cli("answer", sending, "yes", "--question", question)
    assert (result.exit_code, sent(cli)) == (2, [])


def test_a_run_that_another_process_drives_goes_on_there(cli: Any, script: Any) -> None:
    (cli.folder / "beside.py").write_text(BESIDE)
    model = script({"signature": "direct.answer", "reply": "late", "delay_s": 6})
    process = cli.start("run", "Well?", "--strategy", "beside.py:beside", "--model", model, "--jsonl")
    try:
        while "question.asked" not in (line := process.stdout.readline()):
            assert line
        run_id = json.loads(line)["run"]
        until(lambda: any(run["waiting"] for run in cli.json("runs")["runs"]))
        assert cli.json("runs")["runs"][0]["state"] == "running"
        (inbox,) = cli.json("runs", "--state", "waiting")["runs"]
        assert (inbox["id"], inbox["state"], inbox["waiting"][0]["question"]) == (run_id, "running", "Go?")
        lines = cli("runs", "--state", "waiting").stdout.splitlines()
        assert lines[2:] == [f"   answer: stratagem answer {run_id} VALUE  (VALUE: yes, no)"]
        assert "gone" not in cli("show", run_id).stdout
        result = cli("answer", run_id, "yes")
        assert (result.exit_code, result.stdout) == (0, "")
        assert f"stored; process {process.pid} on" in result.stderr
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, last["answer"]["text"]) == (0, "late True")


BESIDE = """
from stratagem import Answer, Run, Task, strategy
from stratagem.strategies import direct

@strategy(calls="1", lower="1")
async def beside(run: Run, task: Task) -> Answer:
    \"\"\"Ask a person while a model thinks.\"\"\"
    async def one(run: Run, number: int) -> str:
        return str(await run.wait("Go?")) if number else (await direct(run, task)).text
    return task.answer(" ".join(await run.map(one, (0, 1))))
"""


def test_an_answer_is_stored_also_where_somebody_else_goes_on_with_the_run(
    cli: Any, sending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def faster(*_: object, **__: object) -> None:
        raise OwnedElsewhere(f"run {sending!r} is driven by process 7 on there, which was alive 0 s ago")

    with monkeypatch.context() as patched:
        patched.setattr("stratagem.session.Session.resume", faster)
        result = cli("answer", sending, "yes")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith("stored; another process goes on with it\n")
    assert cli("resume", sending).exit_code == 3  # with the first mail sent, it asks about the second
    assert sent(cli) == ["one"]
