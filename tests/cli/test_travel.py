"""`stratagem fork`, `replay` and `diff`: what is performed again, and where two runs part."""

import re
from pathlib import Path
from typing import Any

import pytest

PROGRAM = '''
from stratagem import Answer, Positive, Run, Strategy, Task, signature, strategy, tool
from stratagem.strategies import chain_of_thought, direct

@tool
def look(where: str) -> str:
    """Look."""
    return f"seen {where}"

@signature
def plan(question: str, notes: tuple[str, ...]) -> str:
    """Plan it."""
    ...

@signature
def write(question: str, attempt: str) -> str:
    """Write it."""
    ...

@strategy(calls="1 + steps + inner", lower="2")
async def work(run: Run, task: Task, *, inner: Strategy = direct, steps: Positive = 1) -> Answer:
    """Plan, ask a person, look, write."""
    text = await run.ask(plan, question=task.question, notes=task.notes)
    if await run.wait("Go on?"):
        text = (await run.call(look, where=text)).text
    for _ in range(steps):
        text = await run.ask(write, question=task.question, attempt=text)
    return task.answer(text)
'''


@pytest.fixture
def done(cli: Any, script: Any) -> str:
    """A run of four effects: plan, wait, look, write."""
    (cli.folder / "mine.py").write_text(PROGRAM)
    model = script(
        {"signature": "mine.plan", "reply": "the plan", "times": 0},
        {"signature": "mine.write", "contains": "seen the plan", "reply": "as planned", "times": 0},
        {"signature": "mine.write", "contains": "seen another", "reply": "otherwise", "times": 0},
        {"signature": "mine.write", "reply": "blindly", "times": 0},
    )
    words = ("run", "Do it", "--strategy", "mine.py:work", "--model", model, "--tool", "mine.py:look")
    run_id = cli.json(*words)["run"]["id"]
    assert cli("answer", run_id, "yes").stdout == "as planned\n"
    return run_id


def performed(cli: Any, run_id: str) -> list[str]:
    return [effect["name"] for effect in cli.json("show", run_id)["effects"] if not effect["reused"]]


def test_the_run_is_what_the_tests_say(cli: Any, done: str) -> None:
    assert performed(cli, done) == ["mine.plan", "wait", "look", "mine.write"]


def test_a_fork_performs_from_an_effect_on_and_the_parent_stays(cli: Any, done: str) -> None:
    document = cli.json("fork", done, "--at", "2")
    assert document["answer"]["text"] == "as planned"
    assert document["run"]["parent"] == done
    assert performed(cli, document["run"]["id"]) == ["look", "mine.write"]
    assert performed(cli, done) == ["mine.plan", "wait", "look", "mine.write"]


@pytest.mark.parametrize(
    ("words", "text", "own"),
    [
        (["--at", "0", "--set", "reply=another"], "otherwise", ["look", "mine.write"]),
        (["--at", "1", "--set", "reply=no"], "blindly", ["mine.write"]),
        (["--at", "2", "--set", "reply=seen another place"], "otherwise", ["mine.write"]),
        (["--set", "prompt.mine.write=Write it well."], "as planned", ["mine.write"]),
        (["--set", "param.steps=2"], "blindly", ["mine.write"]),
        (["--set", "budget=calls=9"], "as planned", []),
        (["--set", "param.inner=chain_of_thought"], "as planned", []),
        (["--set", "strategy=mine.py:work(steps=2)"], "blindly", ["mine.write"]),
    ],
)
def test_a_changed_program_performs_only_what_changed(
    cli: Any, done: str, words: list[str], text: str, own: list[str]
) -> None:
    document = cli.json("fork", done, *words)
    assert (document["answer"]["stop"], document["answer"]["text"]) == ("answered", text)
    assert performed(cli, document["run"]["id"]) == own


def test_a_fork_says_what_any_run_says(cli: Any, done: str) -> None:
    result = cli("fork", done[:5], "--at", "3", "--verbose")
    assert (result.exit_code, result.stdout) == (0, "as planned\n")
    assert re.search(r"work  ✓ mine\.write", result.stderr)
    assert re.search(r"answered · 2 calls · .* · run [a-z0-9]{8}\n3 effects reused · 1 performed\n\Z", result.stderr)
    result = cli("fork", done, "--at", "1", "--quiet")  # the question is asked again
    assert (result.exit_code, result.stdout) == (3, "")
    assert "question" in result.stderr
    assert cli("answer", "last", "yes").stdout == "as planned\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a fork that changes nothing is a replay"),
        (["--at", "9"], "there is no effect 9: the run has 4, from 0"),
        (["--at", "-1"], "Invalid value for '--at'"),
        (["--set", "reply=x"], "`reply` replaces the value of one effect: say which"),
        (["--set", "replay=x"], "--set cannot change 'replay'; did you mean 'reply'?"),
        (["--set", "model"], "--set 'model' sets nothing"),
        (["--set", "model=offline", "--set", "model=offline"], "--set model is given twice"),
        (["--set", "model=oflain"], "there is no model 'oflain'"),
        (["--set", "prompt.mine.rite=x"], "there is no signature 'mine.rite'; did you mean 'mine.write'?"),
        (["--set", "param.stops=2"], "'steps'"),
        (["--set", "param.steps=0"], "steps"),
        (["--set", "param.inner=nothing"], "there is no strategy or judge 'nothing'"),
        (["--set", "strategy=reakt"], "did you mean 'react'?"),
        (["--set", "budget=cals=1"], "cals"),
        (["--at", "1", "--set", "reply=perhaps"], "'perhaps' is neither yes nor no"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_leaves_no_run(
    cli: Any, done: str, words: list[str], message: str
) -> None:
    result = cli("fork", done, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert [run["id"] for run in cli.json("runs")["runs"]] == [done]


def test_a_replay_gives_the_recorded_answer(cli: Any, done: str) -> None:
    result = cli("replay", done)
    assert (result.exit_code, result.stdout) == (0, "as planned\n")
    assert result.stderr.endswith(f"run {done} · replayed, nothing was performed\n")
    document = cli.json("replay", "last")
    assert (document["answer"]["text"], document["divergence"]) == ("as planned", None)


def test_a_replay_of_a_run_that_failed_ends_as_it_did(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "error": {"kind": "Refused", "message": "no"}})
    cli("run", "Capital?", "--strategy", "direct", "--model", model)
    result = cli("replay", "last")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the model refused: no" in result.stderr


def test_a_replay_says_where_an_edited_program_asks_otherwise(cli: Any, done: str) -> None:
    program = Path("mine.py")
    program.write_text(PROGRAM.replace("Write it.", "Write it well."))
    result = cli("replay", done)
    assert result.exit_code == 6
    assert f"run {done} diverged in work: it asks for what is not recorded" in result.stderr
    assert "differs from the nearest that is recorded: instruction, message" in result.stderr
    assert result.stdout.splitlines()[:5] == [
        "--- recorded: instruction", "+++ asked: instruction", "@@ -1 +1 @@", "-Write it.", "+Write it well.",
    ]  # fmt: skip
    assert result.stderr.endswith(f"perform what is new: stratagem fork {done} --set KIND=VALUE\n")
    document = cli.json("replay", done)
    assert document["divergence"]["differs"] == ["instruction", "message"]
    assert document["answer"] is None


def test_a_replay_says_if_nothing_like_it_is_recorded(cli: Any, done: str) -> None:
    program = PROGRAM.replace("(await run.call(look, where=text)).text", '(await run.call(look, where="x")).text')
    Path("mine.py").write_text(program)
    result = cli("replay", done)
    assert result.exit_code == 6
    assert "nothing like it is recorded there" in result.stderr
    assert '"tool": "look"' in result.stdout


def test_a_difference_is_shown_from_its_first_effect_on(cli: Any, done: str) -> None:
    fork = cli.json("fork", done, "--at", "0", "--set", "reply=another")["run"]["id"]
    result = cli("diff", done, fork)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [re.split(" {2,}", line)[1] for line in lines[:2]] == [done, fork]
    assert f"they part at mine.plan in work ({done} effect 0 and {done} effect 0), which differs in result" in lines
    at = lines.index("-the plan")
    assert lines[at : at + 2] == ["-the plan", "+another"]
    listed = [re.split(" {2,}", line) for line in lines if line.startswith("~")]
    assert [(row[1], row[3]) for row in listed] == [
        (f"{done}:0", "mine.plan"), (f"{done}:2", "look"), (f"{done}:3", "mine.write"),
    ]  # fmt: skip
    assert f"1 same · 3 differ · 0 only in {done} · 0 only in {fork}" in lines
    assert lines[-1] == "answers: they differ"
    assert not any(line.startswith("=") for line in lines)
    assert sum(line.startswith("=  ") for line in cli("diff", done, fork, "--all").stdout.splitlines()) == 1


def test_equal_runs_do_not_part(cli: Any, done: str) -> None:
    fork = cli.json("fork", done, "--at", "3")["run"]["id"]
    result = cli("diff", done, fork)
    assert "they do not part: every effect is the same" in result.stdout
    assert result.stdout.endswith("answers: the same\n")
    document = cli.json("diff", done, fork)
    assert (document["first"], document["same_answer"]) == (None, True)
    assert document["pairs"][3]["right"] == {"run": fork, "n": 4}


def test_a_fork_shows_what_it_reuses_and_is_forked_by_the_numbers_that_it_shows(cli: Any, done: str) -> None:
    fork = cli.json("fork", done, "--at", "2")["run"]["id"]
    document = cli.json("show", fork)
    effects = [(one["n"], one["name"], one["reused"]) for one in document["effects"]]
    assert effects == [(0, "mine.plan", True), (1, "wait", True), (4, "look", False), (5, "mine.write", False)]
    lines = [re.split(" {2,}", line.strip())[:3] for line in cli("show", fork).stdout.splitlines()]
    assert [line for line in lines if line[0] in ("=", "✓")] == [
        ["=", "0", "mine.plan"], ["=", "1", "wait"], ["✓", "4", "look"], ["✓", "5", "mine.write"],
    ]  # fmt: skip
    assert "Plan it." in cli("show", fork, "--effect", "0").stdout
    assert cli.json("show", fork, "--effect", "0")["effects"][0]["reused"] is True
    result = cli("show", fork, "--effect", "2")
    assert (result.exit_code, "they are numbered 0 to 5" in result.stderr) == (2, True)

    again = cli.json("fork", fork, "--at", "0", "--set", "reply=another")
    assert again["answer"]["text"] == "otherwise"
    assert performed(cli, again["run"]["id"]) == ["look", "mine.write"]


def test_every_view_of_a_fork_has_what_it_reuses_so_that_its_sums_come_out(cli: Any, done: str) -> None:
    fork = cli.json("fork", done, "--at", "2")["run"]["id"]
    tree = cli("show", fork, "--tree").stdout.splitlines()
    assert tree[0].startswith(f"{fork}  2 calls  ")
    assert [tuple(line.split()[:2]) for line in tree[2:]] == [("=", "0"), ("=", "1"), ("✓", "4"), ("✓", "5")]
    costs = [re.split(" {2,}", line) for line in cli("show", fork, "--costs").stdout.splitlines()]
    assert sorted(row[1:3] for row in costs[:-1]) == [
        ["look", "1 time"],
        ["mine.plan", "1 time"],
        ["mine.write", "1 time"],
    ]
    assert costs[-1][:2] == ["total", "2 calls"]
    events = [re.split(" {2,}", line.strip()) for line in cli("show", fork, "--events").stdout.splitlines()]
    assert [(row[1], row[-1][0] == "=") for row in events] == [("0", True), ("1", True), ("4", False), ("5", False)]


def test_a_fork_alone_is_compared_with_its_parent(cli: Any, done: str) -> None:
    fork = cli.json("fork", done, "--at", "0", "--set", "reply=another")["run"]["id"]
    assert cli("diff", fork).stdout == cli("diff", done, fork).stdout
    result = cli("diff", done)
    assert (result.exit_code, f"run '{done}' is no fork" in result.stderr) == (2, True)


def test_runs_that_do_not_exist_are_named(cli: Any, done: str) -> None:
    for verb in (("fork", "nope", "--at", "0"), ("replay", "nope"), ("diff", done, "nope")):
        result = cli(*verb)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "there is no run 'nope'" in result.stderr


def test_what_a_model_said_cannot_steer_the_terminal_through_a_difference(cli: Any, script: Any) -> None:
    one = cli.answered("?", "--strategy", "direct", "--model", script("fine\x1b[2Jnot"))
    other = cli.answered("?", "--strategy", "direct", "--model", script("other\u202e"))
    result = cli("diff", one, other)
    assert "\\x1b[2J" in result.stdout
    assert not re.search("[\x1b\u202e]", result.stdout)
