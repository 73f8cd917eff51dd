"""`stratagem resume` and `stratagem answer`: nothing that is recorded is performed again."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest


def test_an_ended_run_gives_its_recorded_answer_without_asking_again(cli: Any, script: Any) -> None:
    run_id = cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    result = cli("resume", run_id[:5])
    assert (result.exit_code, result.stdout) == (0, "Paris\n")
    assert len(cli.json("show", run_id)["effects"]) == 1


def test_a_recorded_answer_keeps_its_status(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "error": {"kind": "Refused", "message": "no"}})
    cli("run", "Capital?", "--strategy", "direct", "--model", model)
    assert cli("resume", "last").exit_code == 1


def test_a_larger_budget_goes_on_and_pays_only_what_is_missing(cli: Any, script: Any) -> None:
    model = script(*({"signature": "chain_of_thought.reason", "reply": "So. The answer is 3."} for _ in range(3)))
    words = ("--strategy", "self_consistency(n=3)", "--model", model, "--budget", "calls=2")
    document = cli.json("run", "How many?", *words)
    assert document["resume"] == f"stratagem resume {document['run']['id']} --budget calls=4"
    document = cli.json(*document["resume"].split()[1:])
    assert (document["answer"]["stop"], document["answer"]["text"]) == ("answered", "3")
    assert document["usage"]["calls"] == 3
    assert document["resume"] is None
    good = [effect for effect in cli.json("show", "last")["effects"] if effect["state"] == "finished"]
    assert len(good) == 3


@pytest.mark.parametrize(
    ("limits", "used", "larger"),
    [
        ("calls=0", {}, "calls=1"),
        ("calls=2", {"calls": 2}, "calls=4"),
        ("tokens=10,calls=9", {"calls": 1, "prompt_tokens": 400, "completion_tokens": 100}, "calls=18,tokens=1000"),
        ("usd=0.1", {"usd": 0.75}, "usd=1.5"),
        ("usd=0.1", {"usd": None}, "usd=0.2"),
        ("seconds=1", {"seconds": 1.2345678}, "seconds=2.469"),
        ("depth=1", {"calls": 7}, "depth=2"),
    ],
)
def test_the_proposed_limits_are_more_than_what_was_spent(limits: str, used: dict[str, Any], larger: str) -> None:
    from stratagem.cli._drive import continues
    from stratagem.cli._output import Mode
    from stratagem.core import StoredRun, Usage, encoded
    from stratagem.session import RunRecord

    end = {"answer": {"stop": "budget"}, "usage": Usage(**used).plain()}
    stored = StoredRun("abcdef22", "finished", record=encoded({"budget": limits}), end=encoded(end))
    assert continues(Mode([]), RunRecord(stored)) == f"stratagem resume abcdef22 --budget {larger}"


def test_a_failed_model_is_asked_again(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_text('{"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "gone"}}\n')
    assert cli("run", "Capital?", "--strategy", "direct", "--model", f"script:{path}").exit_code == 5
    path.write_text('{"signature": "direct.answer", "reply": "Paris"}\n')
    result = cli("resume", "last")
    assert (result.exit_code, result.stdout) == (0, "Paris\n")


def test_another_strategy_can_take_over(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_text('{"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "gone"}}\n')
    cli("run", "Capital?", "--strategy", "direct", "--model", f"script:{path}")
    path.write_text('{"signature": "chain_of_thought.reason", "reply": "So. The answer is Paris."}\n')
    result = cli("resume", "last", "--strategy", "chain_of_thought")
    assert (result.exit_code, result.stdout) == (0, "Paris\n")


def test_what_was_reused_performed_and_not_asked_for_is_said(cli: Any, tmp_path: Path, valid: Any) -> None:
    path = tmp_path / "model.jsonl"
    path.write_text(
        '{"signature": "chain_of_thought.reason", "reply": "So. The answer is 3.", "times": 2}\n'
        '{"signature": "chain_of_thought.reason", "error": {"kind": "Unreachable", "message": "gone"}}\n'
    )
    cli("run", "How many?", "--strategy", "self_consistency(n=3)", "--model", f"script:{path}")
    document = cli.json("show", "last")
    assert (document["answer"], document["reused"], document["performed"], document["unused"]) == (None, 0, 3, 0)
    path.write_text(
        '{"signature": "chain_of_thought.reason", "reply": "So. The answer is 3."}\n'
        '{"signature": "direct.answer", "reply": "3"}\n'
    )
    result = cli("resume", "last")
    assert "2 effects reused · 1 performed\n" in result.stderr
    document = cli.json("resume", "last")
    valid(document, "run")
    assert [document[name] for name in ("reused", "performed", "unused")] == [2, 1, 0]
    result = cli("resume", "last")  # nothing is performed now
    assert (result.stdout, "performed" in result.stderr) == ("3\n", False)
    assert "\n2 effects reused · 1 performed\n" in cli("show", "last").stdout


def test_what_a_changed_program_left_is_counted_as_well(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_text('{"signature": "chain_of_thought.reason", "reply": "So. The answer is Paris."}\n')
    cli("run", "Capital?", "--strategy", "self_consistency(n=2)", "--model", f"script:{path}")
    path.write_text('{"signature": "direct.answer", "reply": "Paris"}\n')
    result = cli("resume", "last", "--strategy", "direct")
    assert result.stdout == "Paris\n"
    assert "0 effects reused · 1 performed · 1 not asked for\n" in result.stderr


def test_an_edited_file_is_told(cli: Any, script: Any) -> None:
    path = cli.folder / "own.py"
    text = (
        "from stratagem import Answer, Run, Task, strategy\n"
        "from stratagem.strategies import direct\n\n\n"
        '@strategy(calls="1")\n'
        "async def own(run: Run, task: Task) -> Answer:\n"
        '    """Ask."""\n'
        "    return await direct(run, task)\n"
    )
    path.write_text(text)
    for edited in (text, text.replace("Ask.", "Ask once.")):
        model = script({"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "gone"}})
        path.write_text(text)
        cli("run", "Capital?", "--strategy", "own.py:own", "--model", model)
        path.write_text(edited)
        assert ("changed since it was recorded: strategy\n" in cli("resume", "last").stderr) is (edited != text)


def test_a_damaged_run_is_named_and_can_be_repaired(cli: Any, script: Any) -> None:
    model = script(
        {"signature": "react.act", "contains": "= 42", "reply": "it is 42"},
        {"signature": "react.act", "call": {"name": "calculate", "arguments": {"expression": "6 * 7"}}},
    )
    run_id = cli.answered("Compute", "--strategy", "react", "--model", model, "--tool", "calculate")
    with sqlite3.connect(cli.home / "journal.sqlite") as database:
        database.execute("UPDATE effect SET result = X'7B7D' WHERE seq = 1")
    database.close()
    result = cli("show", run_id)
    assert (result.exit_code, result.stdout) == (6, "")
    assert run_id in result.stderr
    assert f"`stratagem resume --drop-damaged {run_id}`" in result.stderr
    assert cli("resume", run_id).exit_code == 6  # also of a run that has ended
    result = cli("resume", run_id, "--drop-damaged")
    assert (result.exit_code, result.stdout) == (0, "it is 42\n")
    assert f"1 damaged record of {run_id} was removed\n" in result.stderr
    assert cli("doctor").exit_code == 0


SEND = {"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}}
DONE = {"signature": "react.act", "contains": "sent hello", "reply": "it is sent"}
DENIED = {"signature": "react.act", "contains": "Denied", "reply": "it was refused"}


@pytest.fixture
def waiting(cli: Any, script: Any, tool_file: Path) -> str:
    """A run that waits for a person's word."""
    model = script(DONE, DENIED, SEND)
    words = ("run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    return cli.json(*words)["run"]["id"]


@pytest.mark.parametrize(
    ("value", "text", "sent"),
    [
        ("yes", "it is sent", True),
        ("true", "it is sent", True),
        ("No", "it was refused", False),
        ("n", "it was refused", False),
    ],
)
def test_an_answer_continues_the_run(cli: Any, waiting: str, value: str, text: str, *, sent: bool) -> None:
    result = cli("answer", waiting, value)
    assert (result.exit_code, result.stdout) == (0, f"{text}\n")
    assert (cli.folder / "sent.txt").exists() is sent


def test_an_answer_can_be_stored_alone(cli: Any, waiting: str, valid: Any) -> None:
    document = cli.json("answer", waiting, "yes", "--no-resume")
    valid(document, "run")
    assert (document["waiting"], document["resume"]) == ([], f"stratagem resume {waiting}")
    assert not (cli.folder / "sent.txt").exists()
    result = cli("resume", waiting)
    assert (result.exit_code, result.stdout) == (0, "it is sent\n")


def test_what_is_stored_alone_has_no_events(cli: Any, waiting: str) -> None:
    result = cli("answer", waiting, "yes", "--no-resume", "--jsonl")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert cli("resume", waiting).stdout == "it is sent\n"


@pytest.mark.parametrize("words", [["show", "last"], ["runs", "--state", "waiting"]])
def test_what_was_stored_alone_says_how_it_goes_on(cli: Any, waiting: str, words: list[str]) -> None:
    line = f"continue: stratagem resume {waiting}\n"
    assert line not in cli(*words).stdout
    cli("answer", waiting, "yes", "--no-resume")
    assert line in cli(*words).stdout
    cli("resume", waiting)
    assert line not in cli(*words).stdout


def test_what_was_stored_alone_is_said(cli: Any, waiting: str) -> None:
    result = cli("answer", waiting, "yes", "--no-resume")
    assert result.stderr == f"stored; continue: stratagem resume {waiting}\n"


def test_resuming_without_an_answer_waits_again(cli: Any, waiting: str) -> None:
    assert cli("resume", waiting).exit_code == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["perhaps"], "'perhaps' is none of yes, no, always"),
        (["yes", "--question", "none"], "has no open question 'none'"),
        (["yes", "--question", "none"], "Effect: send.\n"),
        ([], "no answer is given to: Allow send"),
    ],
)
def test_what_does_not_fit_the_question_is_refused(cli: Any, waiting: str, words: list[str], message: str) -> None:
    result = cli("answer", waiting, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert cli.json("show", waiting)["run"]["state"] == "waiting"


def test_a_run_that_asks_nothing_is_refused(cli: Any, script: Any) -> None:
    run_id = cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    result = cli("answer", run_id, "yes")
    assert result.exit_code == 2
    assert f"run '{run_id}' waits for nobody" in result.stderr


ASKING = """
from stratagem import Answer, Run, Task, strategy

@strategy(ids=[], paper="", calls="0", lower="0")
async def survey(run: Run, task: Task) -> Answer:
    \"\"\"Ask two persons at once.

    Args:
        None: none.

    Cost:
        None.

    Fails when:
        Nobody answers.

    Paper, code, ours:
        No difference known.
    \"\"\"
    async def ask(run, question):
        return await run.wait(question[0], question[1])

    said = await run.map(ask, [("Name?", str), ("Age?", int)])
    return task.answer(f"{said[0]} is {said[1]}")
"""


def test_several_questions_are_answered_one_by_one(cli: Any) -> None:
    (cli.folder / "mine.py").write_text(ASKING)
    document = cli.json("run", "Who?", "--strategy", "mine.py:survey")
    by_question = {one["question"]: one["id"] for one in document["waiting"]}
    assert list(by_question) == ["Name?", "Age?"]
    run_id = document["run"]["id"]
    assert document["resume"] == f"stratagem answer {run_id} --question {by_question['Name?']} VALUE"
    result = cli("answer", run_id, "Ada")
    assert result.exit_code == 2
    assert "asks 2 questions" in result.stderr
    result = cli("answer", run_id, "Ada", "--question", by_question["Name?"])
    assert result.exit_code == 3
    assert re.search(rf"answer: stratagem answer {run_id} VALUE  \(VALUE: a whole number\)", result.stderr)
    result = cli("answer", run_id, "old")
    assert result.stderr == "error: 'old' is not JSON\nremedy: The question wants a whole number.\n"
    result = cli("answer", run_id, "36")
    assert (result.exit_code, result.stdout) == (0, "Ada is 36\n")


@pytest.mark.parametrize("words", [["RUN", "-5"], ["RUN", "-5", "--quiet"], ["--quiet", "RUN", "--", "-5"]])
def test_a_negative_number_is_no_option(cli: Any, words: list[str]) -> None:
    (cli.folder / "mine.py").write_text(ASKING)
    document = cli.json("run", "Who?", "--strategy", "mine.py:survey")
    run_id, (name, _) = document["run"]["id"], (one["id"] for one in document["waiting"])
    assert cli("answer", run_id, "Ada", "--question", name).exit_code == 3
    result = cli("answer", *(run_id if word == "RUN" else word for word in words))
    assert (result.exit_code, result.stdout) == (0, "Ada is -5\n")


@pytest.mark.parametrize(
    ("option", "message"),
    [("--question", "has no open question '-5'"), ("--home", "there is no run"), ("--journal", "got '-5'")],
)
def test_a_negative_number_behind_an_option_is_the_options(cli: Any, waiting: str, option: str, message: str) -> None:
    result = cli("answer", waiting, option, "-5", "yes")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("yes", {"type": "boolean"}, True),
        ("N", {"type": "boolean"}, False),
        ("unknown", {"type": ["boolean", "null"]}, None),
        ("yes", {"type": "string"}, "yes"),
        (" 12 ", {"type": "string"}, " 12 "),
        ("12", {"type": "integer"}, 12),
        ('{"happened": null}', {"type": "object"}, {"happened": None}),
        ("red", {"enum": ["red", "blue"]}, "red"),
        ("[1, 2]", {"type": "array"}, [1, 2]),
    ],
)
def test_a_value_is_read_as_the_question_wants_it(text: str, schema: Any, value: Any) -> None:
    from stratagem.cli._asking import value_of

    assert json.dumps(value_of(text, schema)) == json.dumps(value)


@pytest.mark.parametrize(
    ("text", "schema", "message"),
    [
        ("rde", {"enum": ["red", "blue"]}, "'rde' is none of red, blue; did you mean 'red'?"),
        ("x", {"type": ["boolean", "null"]}, "'x' is neither yes nor no"),
        ("x", {"type": "object"}, "'x' is not JSON"),
    ],
)
def test_a_value_that_does_not_fit_says_so(text: str, schema: Any, message: str) -> None:
    from stratagem.cli._asking import value_of
    from stratagem.cli._ends import Fault

    with pytest.raises(Fault) as caught:
        value_of(text, schema)
    assert caught.value.message == message
