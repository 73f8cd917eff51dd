"""`stratagem show`: one run, seen in five ways."""

import re
from typing import Any

import pytest

import stratagem
from stratagem.core import Attachment, Content, Task
from tests.cli.conftest import until


@pytest.fixture
def run(cli: Any, script: Any) -> str:
    """A run of two model calls and two calls of a tool, one of which failed."""
    (cli.folder / "a.txt").write_text("the first line\nthe second\n")
    model = script(
        {"signature": "react.act", "reply": "look", "call": {"name": "read_file", "arguments": {"path": "a.txt"}}},
        {"signature": "react.act", "call": {"name": "read_file", "arguments": {"path": "b.txt"}}},
        {
            "signature": "react.act",
            "reply": "the first line",
            "usage": {"prompt_tokens": 900, "completion_tokens": 100, "usd": 0.5},
        },
    )
    return cli.answered("Read it", "--strategy", "react", "--model", model, "--root", ".", "--budget", "calls=9")


def test_the_summary_has_question_effects_answer_and_cost(cli: Any, run: str) -> None:
    text = cli("show", run).stdout
    head, effects, answer, sources, cost = text.strip().split("\n\n")
    assert head.splitlines()[0] == f"✓ run {run} · answered"
    facts = dict(re.split(" +", line.strip(), maxsplit=1) for line in head.splitlines()[1:])
    assert set(facts) == {"question", "strategy", "model", "budget", "roots", "created"}
    assert (facts["question"], facts["strategy"], facts["budget"]) == ("Read it", "react", "calls=9")
    rows = [re.split(" {2,}", line) for line in effects.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [
        ("✓", "react.act"), ("✓", "read_file"), ("✓", "react.act"), ("✗", "read_file"), ("✓", "react.act"),
    ]  # fmt: skip
    assert rows[0][-1] == 'look → read_file(path="a.txt")'
    assert rows[1][-1].startswith('path="a.txt" → 1 the first line')
    assert rows[4][5] == "1,000 tokens"
    assert answer == "the first line"
    assert sources == "[1] a.txt:1-2"
    assert re.fullmatch(r"3 calls · ≤ [\d,]+ tokens · ≤ \$0\.5 · \d\.\d s", cost)


def test_the_json_has_every_effect(cli: Any, run: str, valid: Any) -> None:
    document = cli.json("show", run)
    valid(document, "show")
    assert [effect["n"] for effect in document["effects"]] == [0, 1, 2, 3, 4]
    assert [effect["kind"] for effect in document["effects"]] == ["model", "tool", "model", "tool", "model"]
    assert document["answer"]["text"] == "the first line"
    assert document["usage"]["usd"] == 0.5


def test_the_tree_sums_up_each_scope(cli: Any, script: Any) -> None:
    model = script(
        *(
            {
                "signature": "chain_of_thought.reason",
                "reply": "So. The answer is 3.",
                "usage": {"completion_tokens": 10},
            }
            for _ in range(3)
        )
    )
    run_id = cli.answered("How many?", "--strategy", "self_consistency(n=3)", "--model", model)
    lines = [re.sub(r"\d\.\d\d s", "T", line) for line in cli("show", run_id, "--tree").stdout.splitlines()]
    assert lines[0] == f"{run_id}  3 calls  30 tokens  T"
    assert lines[1] == "  self_consistency  3 calls  30 tokens  T"
    assert lines[2:5] == [
        "    map[0]  1 call  10 tokens  T",
        "      chain_of_thought  1 call  10 tokens  T",
        "        ✓ 0 chain_of_thought.reason  So. The answer is 3.",
    ]
    assert len(lines) == 11


def test_events_are_every_row_in_order(cli: Any, run: str) -> None:
    rows = [re.split(" {2,}", line.strip()) for line in cli("show", run, "--events").stdout.splitlines()]
    assert [row[1] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [float(row[0]) for row in rows] == sorted(float(row[0]) for row in rows)
    assert {row[2] for row in rows} == {"model", "tool"}


def test_costs_are_summed_by_name_the_dearest_first(cli: Any, run: str) -> None:
    rows = [re.split(" {2,}", line) for line in cli("show", run, "--costs").stdout.splitlines()]
    assert rows[0][:3] == ["model", "react.act", "3 times"]
    assert rows[1][:3] == ["tool", "read_file", "2 times"]
    assert rows[2][0] == "total"
    assert rows[2][1] == "3 calls"
    assert rows[0][3] == rows[2][2]


def test_one_effect_is_shown_whole(cli: Any, run: str) -> None:
    text = cli("show", run, "--effect", "0").stdout
    assert text.startswith("effect 0 · model · react.act · ")
    for part in ("\ninstruction\nThink about what is still missing.", "\nmessage\n", "Read it", "\ntext\nlook\n"):
        assert part in text
    text = cli("show", run, "--effect", "1").stdout
    assert '\ncall\nread_file(path="a.txt")\n' in text
    assert "the second" in text
    (effect,) = cli.json("show", run, "--effect", "1")["effects"]
    assert effect["request"] == {"arguments": {"path": "a.txt"}, "tool": "read_file"}
    assert effect["result"]["sources"] == ["a.txt:1-2"]


def test_an_effect_that_does_not_exist_is_refused(cli: Any, run: str) -> None:
    result = cli("show", run, "--effect", "9")
    assert result.exit_code == 2
    assert f"run '{run}' has no effect 9: they are numbered 0 to 4" in result.stderr


def test_a_failed_effect_shows_its_error(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "nobody home"}})
    cli("run", "Well?", "--strategy", "direct", "--model", model)
    text = cli("show", "last").stdout
    assert text.startswith("✗ run ")
    assert re.search(r"✗  0  direct\.answer .* nobody home", text)
    assert "\nerror\nUnreachable: nobody home\n" in cli("show", "last", "--effect", "0").stdout
    (effect,) = cli.json("show", "last")["effects"]
    assert effect["error"] == {"kind": "Unreachable", "message": "nobody home"}


def test_a_waiting_run_shows_its_question(cli: Any, script: Any, tool_file: Any) -> None:
    model = script({"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}})
    cli("run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    document = cli.json("show", "last")
    (one,) = document["waiting"]
    assert one["question"] == 'Allow send({"text":"hello"})? Effect: send.'
    assert f"question {one['id']}: {one['question']}" in cli("show", "last").stdout


def test_an_answered_approval_shows_its_question(cli: Any, script: Any, tool_file: Any) -> None:
    model = script(
        {"signature": "react.act", "contains": "sent hello", "reply": "it is sent"},
        {"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}},
    )
    cli("run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    cli("answer", "last", "yes")
    question = 'Allow send({"text":"hello"})? Effect: send.'
    for view in ([], ["--tree"], ["--events"]):
        assert f'{question} → "yes"\n' in cli("show", "last", *view).stdout
    (wait,) = (one["n"] for one in cli.json("show", "last")["effects"] if one["kind"] == "wait")
    text = cli("show", "last", "--effect", wait).stdout
    assert f"\nquestion\n{question}\n" in text
    assert '\nresult\n"yes"\n' in text


def test_an_intent_is_shown_as_begun(cli: Any, script: Any) -> None:
    (cli.folder / "pay.py").write_text(PAY)
    model = script(
        {"signature": "react.act", "contains": "paid 3", "reply": "it is paid"},
        {"signature": "react.act", "call": {"name": "pay", "arguments": {"sum": 3}}},
    )
    cli("run", "Pay", "--strategy", "react", "--model", model, "--tool", "pay.py:pay")
    cli("answer", "last", "yes")
    rows = [re.split(" {2,}", line) for line in cli("show", "last").stdout.splitlines() if "  pay  " in line]
    assert [(row[0], row[-1]) for row in rows] == [("·", "sum=3 → begun"), ("✓", "sum=3 → paid 3")]
    lines = [line.split(maxsplit=2) for line in cli("show", "last", "--tree").stdout.splitlines() if " pay " in line]
    assert [(line[0], line[2]) for line in lines] == [("·", "pay  sum=3 → begun"), ("✓", "pay  sum=3 → paid 3")]
    text = cli("show", "last", "--effect", rows[0][1]).stdout
    assert text.endswith("\ncall\npay(sum=3)\n\nstate\nbegun\n")


PAY = """
from stratagem import tool

@tool(effect="send", repeat="once")
def pay(sum: int) -> str:
    \"\"\"Pay.\"\"\"
    return f"paid {sum}"
"""


def test_a_run_whose_process_is_gone_says_so_and_how_it_goes_on(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "reply": "late", "delay_s": 600})
    process = cli.start("run", "Well?", "--strategy", "direct", "--model", model)
    try:
        until(lambda: len(cli.json("runs")["runs"]) == 1)
        (run,) = cli.json("runs")["runs"]
        driven = [cli("show", run["id"]).stdout, cli("runs").stdout]
    finally:
        process.kill()
        process.communicate()
    assert driven[0].startswith(f"● run {run['id']} · running\n")
    assert not any("continue" in text for text in driven)
    text = cli("show", run["id"]).stdout
    assert text.startswith(f"! run {run['id']} · running, but its process is gone\n")
    assert f"\ncontinue: stratagem resume {run['id']}\n" in text
    row, *below = cli("runs").stdout.splitlines()
    assert row.split()[:3] == ["!", run["id"], "running"]
    assert below == ["   running, but its process is gone", f"   continue: stratagem resume {run['id']}"]
    assert cli.json("show", run["id"])["run"]["state"] == "running"
    assert cli.json("runs")["runs"][0]["state"] == "running"


def test_what_was_billed_above_a_limit_is_shown(cli: Any, script: Any, valid: Any) -> None:
    used = {"prompt_tokens": 30, "completion_tokens": 12, "usd": 0.5}
    model = script({"signature": "direct.answer", "reply": "Paris", "usage": used})
    words = ("--strategy", "direct", "--model", model, "--budget", "tokens=40,usd=0.5")
    run = cli.json("run", "Capital?", *words)
    valid(run, "run")
    assert run["answer"]["stop"] == "answered"
    assert run["budget"]["overshoot"] == {"tokens": 2}
    document = cli.json("show", "last")
    valid(document, "show")
    assert document["budget"] == run["budget"]
    assert "  budget    tokens=40,usd=0.5 · overshoot tokens=2\n" in cli("show", "last").stdout


def test_what_was_attached_is_listed(cli: Any, script: Any) -> None:
    asked = Task(Content("What is it?", (Attachment("a.png", "image/png", bytes(2048)),)))
    stratagem.run("direct", asked, home=cli.home, model=script("a cat"), memory="none")
    assert "\nattached\na.png · image/png · 2,048 bytes\n" in cli("show", "last", "--effect", "0").stdout


def test_the_json_has_the_notes_of_the_run(cli: Any, valid: Any) -> None:
    cli("run", "What is 12 * 7?", "--tool", "calculate")
    document = cli.json("show", "last")
    valid(document, "show")
    assert document["notes"] == [{"kind": "plan", "scope": "autonomous_agent", "data": {"goals": ["What is 12 * 7?"]}}]


def test_the_agent_shows_what_it_remembers(cli: Any) -> None:
    cli("run", "What is 12 * 7?", "--tool", "calculate")
    names = [effect["name"] for effect in cli.json("show", "last")["effects"] if effect["kind"] == "memory"]
    assert names == ["recall", "observe"]
