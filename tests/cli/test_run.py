"""`stratagem run`: what stands on which stream, and how it ends."""

import json
import re
from pathlib import Path
from typing import Any

import pytest


def test_the_answer_alone_is_on_standard_output_and_one_status_line_beside_it(cli: Any, script: Any) -> None:
    result = cli("run", "Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    assert result.exit_code == 0
    assert result.stdout == "Paris\n"
    assert re.fullmatch(r"answered · 1 call · ≤ \d+ tokens · no charge · \d\.\d s · run [a-z0-9]{8}\n", result.stderr)


def test_quiet_leaves_the_answer(cli: Any, script: Any) -> None:
    result = cli("run", "Capital of France?", "--strategy", "direct", "--model", script("Paris"), "--quiet")
    assert (result.stdout, result.stderr) == ("Paris\n", "")


def test_the_reference_agent_and_the_offline_model_are_the_defaults(cli: Any) -> None:
    document = cli.json("run", "What is 12 * 7?", "--tool", "calculate")
    assert document["run"]["strategy"] == "autonomous_agent"
    assert document["run"]["model"] == "offline"
    assert "84" in document["answer"]["text"]
    assert document["answer"]["sources"] == ["calculate: 12 * 7 = 84"]


def test_a_goal_is_read_from_standard_input(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "inputs": {"question": "From a pipe\n"}, "reply": "yes"})
    result = cli("run", "-", "--strategy", "direct", "--model", model, input="From a pipe\n")
    assert (result.exit_code, result.stdout) == (0, "yes\n")


@pytest.mark.parametrize("goal", ["法国的首都是哪里", "ما هي عاصمة فرنسا؟", "¿Y 🇫🇷?"])
def test_a_goal_may_be_in_any_language(cli: Any, script: Any, goal: str) -> None:
    model = script({"signature": "direct.answer", "inputs": {"question": goal}, "reply": goal[::-1]})
    result = cli("run", goal, "--strategy", "direct", "--model", model)
    assert (result.exit_code, result.stdout) == (0, f"{goal[::-1]}\n")


def test_a_goal_may_be_a_megabyte_long(cli: Any, script: Any) -> None:
    goal = "x" * 1_000_000 + " the end"
    model = script({"signature": "direct.answer", "contains": "the end", "reply": "read"})
    result = cli("run", "-", "--strategy", "direct", "--model", model, input=goal)
    assert (result.exit_code, result.stdout) == (0, "read\n")


@pytest.mark.parametrize(
    ("line", "status", "stop", "words"),
    [
        ({"error": {"kind": "Refused", "message": "not that"}}, 1, "refused", "the model refused: not that"),
        ({"error": {"kind": "UnparsedReply", "message": "garbled"}}, 1, "unparsed", "a reply could not be read"),
    ],
)
def test_what_is_no_answer_ends_with_1(cli: Any, script: Any, line: Any, status: int, stop: str, words: str) -> None:
    model = script({"signature": "direct.answer", "times": 0, **line})
    result = cli("run", "Well?", "--strategy", "direct", "--model", model)
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.startswith(words)
    assert cli.json("run", "Well?", "--strategy", "direct", "--model", model)["answer"]["stop"] == stop


def test_the_end_of_a_budget_is_4_with_the_best_answer_and_how_to_go_on(cli: Any, script: Any) -> None:
    model = script(*({"signature": "chain_of_thought.reason", "reply": f"So. The answer is {n}."} for n in range(5)))
    result = cli("run", "How many?", "--strategy", "self_consistency(n=5)", "--model", model, "--budget", "calls=2")
    assert result.exit_code == 4
    assert result.stdout.strip() != ""
    first, *_, last = result.stderr.splitlines()
    assert first == "budget ended: calls limit is 2; best answer so far, not verified:"
    assert re.fullmatch(r"continue: stratagem resume [a-z0-9]{8} --budget calls=4", last)


@pytest.mark.parametrize("kind", ["Unreachable", "RateLimited", "NotAuthorised"])
def test_a_failing_model_is_5_and_names_the_run_to_resume(cli: Any, script: Any, kind: str) -> None:
    model = script({"signature": "direct.answer", "times": 0, "error": {"kind": kind, "message": "no luck"}})
    result = cli("run", "Well?", "--strategy", "direct", "--model", model)
    assert (result.exit_code, result.stdout) == (5, "")
    error, remedy = result.stderr.splitlines()
    assert error == "error: no luck"
    run_id = re.search(r"`stratagem resume ([a-z0-9]{8})`", remedy)
    assert run_id is not None
    error = cli.json("run", "Well?", "--strategy", "direct", "--model", model)["error"]
    assert error["kind"] == kind
    assert re.fullmatch("[a-z0-9]{8}", error["run"])


def test_a_script_that_misses_is_5(cli: Any, script: Any) -> None:
    result = cli("run", "Well?", "--strategy", "direct", "--model", script({"signature": "react.act", "reply": "x"}))
    assert result.exit_code == 5
    assert "has no line left for `direct.answer`" in result.stderr


def test_a_damaged_journal_is_6(cli: Any, script: Any) -> None:
    cli.home.mkdir()
    (cli.home / "journal.sqlite").write_bytes(b"this is no database" * 100)
    result = cli("run", "Well?", "--strategy", "direct", "--model", script("x"))
    assert (result.exit_code, result.stdout) == (6, "")
    assert result.stderr.startswith("error: ")
    assert "journal.sqlite" in result.stderr


def test_an_exception_that_is_not_ours_is_70_and_the_traceback_is_in_a_private_file(cli: Any) -> None:
    (cli.folder / "mine.py").write_text(
        "from stratagem import Answer, Run, Task, strategy\n\n\n"
        '@strategy(ids=[], paper="", calls="0", lower="0")\n'
        "async def broken(run: Run, task: Task) -> Answer:\n"
        '    """Break.\n\n    Args:\n        None: none.\n\n    Cost:\n        None.\n\n'
        '    Fails when:\n        Always.\n\n    Paper, code, ours:\n        No difference known.\n    """\n'
        '    raise ZeroDivisionError("by \\x1b[31mdesign")\n'
    )
    result = cli("run", "Well?", "--strategy", "mine.py:broken")
    assert (result.exit_code, result.stdout) == (70, "")
    error, remedy = result.stderr.splitlines()
    assert error == "error: ZeroDivisionError: by \\x1b[31mdesign"
    found = re.fullmatch(
        r"remedy: The traceback is in (\S+)\. When it is repaired: `stratagem resume ([a-z0-9]{8})`", remedy
    )
    assert found is not None
    log = Path(found[1])
    assert log.parent == cli.home / "log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert "in broken" in log.read_text()
    document = cli.json("show", found[2])
    assert document["run"]["state"] == "failed"
    assert document["error"] == {"kind": "ZeroDivisionError", "message": "by \x1b[31mdesign"}
    assert "\nZeroDivisionError: by \\x1b[31mdesign\n" in cli("show", found[2]).stdout
    assert "Traceback (most recent call last)" in cli("run", "Well?", "--strategy", "mine.py:broken", "--debug").stderr


def test_nobody_there_to_ask_is_3_and_the_question_is_printed(cli: Any, script: Any, tool_file: Path) -> None:
    model = script({"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}})
    words = ("run", "Send hello", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    result = cli(*words)
    assert (result.exit_code, result.stdout) == (3, "")
    assert 'Allow send({"text":"hello"})? Effect: send.' in result.stderr
    assert re.search(r"answer: stratagem answer [a-z0-9]{8} VALUE  \(VALUE: yes, no, always\)\n\Z", result.stderr)
    assert not (cli.folder / "sent.txt").exists()
    document = cli.json(*words)
    (waiting,) = document["waiting"]
    assert waiting["schema"] == {"enum": ["yes", "no", "always"]}
    assert document["run"]["state"] == "waiting"
    assert document["resume"] == f"stratagem answer {document['run']['id']} VALUE"


def test_approve_never_refuses_without_asking(cli: Any, script: Any, tool_file: Path) -> None:
    model = script(
        {"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}},
        {"signature": "react.act", "contains": "Denied", "reply": "Thought: denied.\nAction: finish[it was denied]"},
    )
    words = ("run", "Send hello", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    result = cli(*words, "--approve", "never")
    assert (result.exit_code, (cli.folder / "sent.txt").exists()) == (0, False)


def test_verbose_tells_calls_results_and_plan(cli: Any, script: Any) -> None:
    (cli.folder / "a.txt").write_text("the first line\nthe second\n")
    model = script(
        {"signature": "react.act", "call": {"name": "read_file", "arguments": {"path": "a.txt"}}},
        {"signature": "react.act", "call": {"name": "read_file", "arguments": {"path": "b.txt"}}},
        {"signature": "react.act", "reply": "done"},
    )
    result = cli("run", "Read it", "--strategy", "react", "--model", model, "--root", ".", "--verbose")
    lines = result.stderr.splitlines()
    assert re.fullmatch(r"run [a-z0-9]{8} · react · script:\S+", lines[0])
    assert '  react  → read_file(path="a.txt")' in lines
    assert any(re.fullmatch(r"  react  ← 1  the first line …  \d\.\d\d s", line) for line in lines)
    assert any(line.startswith("  react  ✗ ") and "b.txt" in line for line in lines)
    assert any(re.fullmatch(r"  react  ✓ react\.act  \d+ tokens  \d\.\d\d s", line) for line in lines)
    assert result.stdout == "done\n"


def test_verbose_tells_the_plan_of_the_agent(cli: Any) -> None:
    lines = cli("run", "What is 12 * 7?", "--tool", "calculate", "--verbose").stderr.splitlines()
    at = lines.index("  autonomous_agent  plan:")
    assert lines[at + 1] == "    1. What is 12 * 7?"


def test_jsonl_is_the_stream_of_events(cli: Any, script: Any, valid: Any) -> None:
    result = cli("run", "Capital?", "--strategy", "direct", "--model", script("Paris"), "--jsonl")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["type"] for event in events if event["type"] != "text.delta"] == [
        "run.started", "scope.opened", "effect.requested", "effect.finished", "scope.closed", "run.finished",
    ]  # fmt: skip
    for event in events:
        valid(event, "event")
    assert events[-1]["answer"]["text"] == "Paris"
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert result.stderr == ""


def test_an_error_after_jsonl_is_its_last_line(cli: Any, script: Any, valid: Any) -> None:
    model = script({"signature": "direct.answer", "times": 0, "error": {"kind": "Unreachable", "message": "gone"}})
    result = cli("run", "Capital?", "--strategy", "direct", "--model", model, "--jsonl")
    assert (result.exit_code, result.stderr) == (5, "")
    last = json.loads(result.stdout.splitlines()[-1])
    valid(last, "error")
    assert last["error"]["message"] == "gone"


def test_the_state_is_private(cli: Any, script: Any) -> None:
    cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    assert cli.home.stat().st_mode & 0o777 == 0o700
    files = [path for path in cli.home.iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"journal.sqlite"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_home_is_where_the_option_says(cli: Any, script: Any, tmp_path: Path) -> None:
    cli("run", "Capital?", "--strategy", "direct", "--model", script("Paris"), "--home", tmp_path / "else")
    assert (tmp_path / "else" / "journal.sqlite").exists()
    assert not cli.home.exists()


def test_what_goes_on_with_a_run_names_its_home(cli: Any, script: Any, tmp_path: Path) -> None:
    model = script({"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "gone"}})
    home = tmp_path / "a home"
    result = cli("run", "Capital?", "--strategy", "direct", "--model", model, "--home", home)
    assert re.search(f"`stratagem resume [a-z0-9]{{8}} --home '{home}'`\n\\Z", result.stderr)


def test_the_seed_and_the_budget_are_recorded(cli: Any, script: Any) -> None:
    words = ("--strategy", "direct", "--model", script("Paris"), "--seed", "7", "--budget", "calls=3,usd=0.5")
    document = cli.json("run", "Capital?", *words)
    assert document["run"]["seed"] == 7
    limits = {name: value for name, value in document["budget"]["limits"].items() if value is not None}
    assert limits == {"calls": 3, "usd": 0.5}
    assert document["budget"]["spent"]["calls"] == 1


REPLIES = ("Six and six. The answer is 12.", "I think it is 13.", "12")


@pytest.mark.parametrize(
    ("words", "value", "confidence"), [(("--output", "int"), 12, 2 / 3), ((), "Six and six. The answer is 12.", 1 / 3)]
)
def test_the_output_says_what_votes_count(cli: Any, script: Any, words: Any, value: object, confidence: float) -> None:
    model = script(*({"signature": "direct.answer", "reply": one} for one in REPLIES))
    spec = "self_consistency(n=3, sampler=direct)"
    answer = cli.json("run", "How many?", "--strategy", spec, "--model", model, *words)["answer"]
    assert (answer["value"], answer["confidence"]) == (value, pytest.approx(confidence))


def test_a_run_goes_on_with_the_output_it_began_with(cli: Any, script: Any) -> None:
    model = script(*({"signature": "direct.answer", "reply": one} for one in ("It is red.", "blue", "red, I think")))
    spec = "self_consistency(n=3, sampler=direct)"
    words = ("--strategy", spec, "--model", model, "--budget", "calls=2", "--output", "red|blue")
    begun = cli.json("run", "Which?", *words)
    assert begun["answer"]["stop"] == "budget"
    answer = cli.json("resume", begun["run"]["id"], "--budget", "calls=3")["answer"]
    assert (answer["stop"], answer["value"], answer["confidence"]) == ("answered", "red", pytest.approx(2 / 3))


@pytest.mark.parametrize("said", ["", "number", "red|", "red|red", "int|float"])
def test_an_output_that_is_none_is_refused_before_a_run_begins(cli: Any, said: str) -> None:
    done = cli("run", "Which?", "--output", said)
    assert done.exit_code == 2
    assert f"error: `--output` is str, int, float, bool, or what may be chosen, got {said!r}" in done.stderr
    assert cli.json("runs")["runs"] == []
