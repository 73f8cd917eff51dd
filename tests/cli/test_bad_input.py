"""What a user can get wrong ends with 2, one line that says what, and one that says what to do."""

import re
from typing import Any

import pytest

USAGE = re.compile(r"error: .+\nremedy: .+\n")


def refused(cli: Any, *words: object, stdin: str | bytes | None = None) -> str:
    """Call the command, check that it refuses in both languages, and return the message."""
    result = cli(*words, input=stdin)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert USAGE.fullmatch(result.stderr), result.stderr
    message = result.stderr.splitlines()[0].removeprefix("error: ")
    error = cli.json(*words, input=stdin)["error"]
    assert error["message"] == message
    assert error["remedy"] == result.stderr.splitlines()[1].removeprefix("remedy: ")
    return message


@pytest.mark.parametrize("goal", ["", " \n\t "])
def test_an_empty_goal(cli: Any, goal: str) -> None:
    assert refused(cli, "run", goal) == "the question is empty: say what you want to know"


def test_an_empty_standard_input(cli: Any) -> None:
    assert refused(cli, "run", "-", stdin="") == "the question is empty: say what you want to know"


def test_standard_input_that_is_not_text(cli: Any) -> None:
    assert refused(cli, "run", "-", stdin=b"caf\xe9") == "standard input is not UTF-8: byte 3"


def test_no_goal_at_all(cli: Any) -> None:
    assert refused(cli, "run") == "Missing argument 'GOAL'"


def test_a_missing_root(cli: Any) -> None:
    assert refused(cli, "run", "Well?", "--root", "dcos") == "there is no folder 'dcos' to read beneath"


def test_a_root_that_is_a_file(cli: Any) -> None:
    (cli.folder / "a.md").write_text("text")
    assert refused(cli, "run", "Well?", "--root", "a.md") == "'a.md' is a file: a root is a folder"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runn", "Well?"], "No such command 'runn'. (Did you mean one of: 'run', 'runs'?)"),
        (["run", "Well?", "--stratgy", "react"], "Did you mean '--strategy'?"),
        (["run", "Well?", "--strategy", "reakt"], "there is no strategy or judge 'reakt'; did you mean 'react'?"),
        (["run", "Well?", "--tool", "calculat"], "there is no tool 'calculat'; did you mean 'calculate'?"),
        (["run", "Well?", "--model", "ofline"], "there is no model 'ofline'; models are `offline`, `script:FILE` or"),
        (["run", "Well?", "--budget", "cals=3"], "did you mean 'calls'?"),
        (["run", "Well?", "--approve", "nver"], "Invalid value for '--approve'"),
        (["catalog", "RE77"], "the catalogue has neither an id nor a name 'RE77'; did you mean 'RE"),
        (["catalog", "self_consistent"], "did you mean 'self_consistency'?"),
        (["catalog", "--family", "samplin"], "nothing here is a 'samplin'; did you mean 'sampling'?"),
        (["catalog", "--kind", "stategy"], "nothing here is a 'stategy'; did you mean 'strategy'?"),
        (["runs", "--state", "finishd"], "Invalid value for '--state'"),
        (["runs", "--since", "yesterday"], "--since 'yesterday' is neither an age nor a date"),
        (["runs", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_a_name_that_does_not_exist_gets_the_nearest(cli: Any, words: list[str], message: str) -> None:
    assert message in refused(cli, *words)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("react(max_steps=-1)", "`react`: max_steps must be at least 1, got -1"),
        ("react(max_steps=0)", "`react`: max_steps must be at least 1, got 0"),
        ("react(max_steps=2.5)", "`react`: max_steps must be an integer, got 2.5"),
        ("react(max_steps='many')", "`react`: max_steps must be an integer, got 'many'"),
        ("react(max_steps=True)", "`react`: max_steps must be an integer, got True"),
        ("react(max_step=3)", "`react` has no parameter 'max_step'; did you mean 'max_steps'?"),
        ("self_consistency(temperature=1e999)", "`self_consistency`: temperature must be in [0, 2], got inf"),
        ("self_consistency(temperature=-1)", "`self_consistency`: temperature must be in [0, 2], got -1"),
        ("self_consistency(temperature=nan)", "there is no strategy or judge 'nan'"),
        ("self_consistency(n=1e9)", "`self_consistency`: n must be an integer, got 1000000000.0"),
        ("self_consistency(sampler=3)", "`self_consistency`: sampler must be made by @strategy, got 3"),
        ("react(max_steps=", "spec 'react(max_steps=': '(' was never closed"),
        ("", "spec '': invalid syntax"),
    ],
)
def test_parameters_that_do_not_fit(cli: Any, spec: str, message: str) -> None:
    assert message in refused(cli, "run", "Well?", "--strategy", spec)


@pytest.mark.parametrize(
    "spec",
    [
        "__import__('os').system('touch broken')",
        "react(max_steps=__import__('os').system('touch broken'))",
        "react(max_steps=[].__class__)",
        "(lambda: 0)()",
        "react if open('broken', 'w') else react",
        f"{'(' * 500}react{')' * 500}",
    ],
)
def test_code_in_a_spec_is_refused_and_not_executed(cli: Any, spec: str) -> None:
    assert refused(cli, "run", "Well?", "--strategy", spec).startswith("spec ")
    assert not (cli.folder / "broken").exists()


@pytest.mark.parametrize(
    "budget", ["calls=-1", "calls=nan", "usd=inf", "calls=1.5", "seconds=", "calls", "calls=1,calls=2"]
)
def test_limits_that_are_none(cli: Any, budget: str) -> None:
    assert "budget" in refused(cli, "run", "Well?", "--budget", budget)


def test_files_that_are_not_there(cli: Any) -> None:
    assert "there is no file" in refused(cli, "run", "Well?", "--strategy", "mine.py:solve")
    assert "there is no file" in refused(cli, "run", "Well?", "--tool", "mine.py:fetch")
    assert "cannot be read" in refused(cli, "run", "Well?", "--model", "script:none.jsonl")


def test_a_file_that_fails_when_it_is_imported(cli: Any) -> None:
    (cli.folder / "mine.py").write_text("1 / 0\n")
    message = refused(cli, "run", "Well?", "--strategy", "mine.py:solve")
    assert message.endswith("cannot be imported: ZeroDivisionError: division by zero")


def test_a_name_that_its_file_does_not_have(cli: Any) -> None:
    (cli.folder / "mine.py").write_text("def solve():\n    pass\n")
    assert "did you mean 'solve'?" in refused(cli, "run", "Well?", "--strategy", "mine.py:slove")
    assert "is not made by @strategy" in refused(cli, "run", "Well?", "--strategy", "mine.py:solve")
    assert "is no tool" in refused(cli, "run", "Well?", "--tool", "mine.py:solve")


@pytest.mark.parametrize("verb", ["show", "resume", "answer"])
def test_a_run_that_does_not_exist(cli: Any, script: Any, verb: str) -> None:
    assert refused(cli, verb, "last") == "there is no run yet"
    run_id = cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    other = run_id[:-1] + ("2" if run_id[-1] != "2" else "3")
    assert refused(cli, verb, other) == f"there is no run {other!r}; did you mean {run_id!r}?"
    assert refused(cli, verb, "") == "there is no run ''; there are " + run_id


@pytest.mark.parametrize("words", [["show"], ["resume"], ["replay"], ["export"], ["diff"], ["runs", "rm", "--yes"]])
def test_a_run_that_does_not_exist_is_looked_up_in_the_list(cli: Any, words: list[str]) -> None:
    assert cli(*words, "nope").stderr == "error: there is no run 'nope'\nremedy: See `stratagem runs`.\n"
    home = cli.folder / "other"
    assert cli(*words, "nope", "--home", home).stderr.endswith(f"remedy: See `stratagem runs --home {home}`.\n")


MINE = """
from stratagem import Answer, Run, Task, strategy, tool
from stratagem.strategies import direct

@strategy(calls="1")
async def one(run: Run, task: Task) -> Answer:
    \"\"\"Ask.\"\"\"
    return await direct(run, task)

@strategy(calls="1")
async def two(run: Run, task: Task) -> Answer:
    \"\"\"Ask.\"\"\"
    return await direct(run, task)

@tool()
def weather(city: str) -> str:
    \"\"\"Say how the weather is.\"\"\"
    return "fine"
"""


@pytest.mark.parametrize(
    ("words", "message", "remedy"),
    [
        (
            ["--strategy", "mine.py"],
            "'mine.py' names a file, and no strategy in it; there are one, two",
            "Write mine.py:NAME.",
        ),
        (
            ["--strategy", "mine.py(n=5)"],
            "'mine.py(n=5)' names a file, and no strategy in it; there are one, two",
            "Write mine.py:NAME(n=5).",
        ),
        (
            ["--tool", "mine.py"],
            "'mine.py' names a file, and no tool in it; there is weather",
            "Write mine.py:weather.",
        ),
        (
            ["--tool", "mine.py:"],
            "'mine.py:' names a file, and no tool in it; there is weather",
            "Write mine.py:weather.",
        ),
        (["--tool", "empty.py"], "there is no tool in 'empty.py'", "Write `@tool()` above a function in it."),
    ],
)
def test_a_file_alone_is_told_what_is_in_it(cli: Any, words: list[str], message: str, remedy: str) -> None:
    (cli.folder / "mine.py").write_text(MINE)
    (cli.folder / "empty.py").write_text("")
    assert refused(cli, "run", "Well?", *words) == message
    assert cli("run", "Well?", *words).stderr.endswith(f"remedy: {remedy}\n")


def test_a_file_alone_that_does_not_exist(cli: Any) -> None:
    missing = cli.folder / "mine.py"
    assert refused(cli, "run", "Well?", "--strategy", "mine.py") == f"there is no file {str(missing)!r}"


def test_a_file_alone_is_told_what_is_in_it_wherever_a_strategy_is_named(cli: Any, script: Any) -> None:
    (cli.folder / "mine.py").write_text(MINE)
    run_id = cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    message = "'mine.py' names a file, and no strategy in it; there are one, two"
    assert refused(cli, "resume", run_id, "--strategy", "mine.py") == message
    assert refused(cli, "fork", run_id, "--set", "strategy=mine.py") == message


def test_a_beginning_that_several_ids_have(cli: Any, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["abcdef22", "abcdef33"])
    monkeypatch.setattr("stratagem.session._records.new_id", lambda: next(ids))
    for _ in range(2):
        cli.answered("Capital?", "--strategy", "direct", "--model", script("Paris"))
    assert refused(cli, "show", "abc") == "'abc' begins 2 ids: abcdef33, abcdef22"
    assert cli.json("show", "abcdef2")["run"]["id"] == "abcdef22"


def test_json_and_jsonl_exclude_each_other(cli: Any) -> None:
    result = cli("run", "Well?", "--json", "--jsonl")
    assert result.exit_code == 2
    assert "exclude each other" in result.stdout


def test_two_views_of_one_run_exclude_each_other(cli: Any) -> None:
    assert refused(cli, "show", "last", "--tree", "--effect", "1") == "--effect and --tree exclude each other"


@pytest.mark.parametrize("words", [["run", "caf\udce9"], ["run", "x", "--root", "caf\udce9"], ["show", "\udce9"]])
def test_an_argument_that_is_not_text(cli: Any, words: list[str]) -> None:
    assert "is not text: it has bytes that are not UTF-8" in refused(cli, *words)


def test_a_goal_that_looks_like_an_option_goes_behind_two_dashes(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "inputs": {"question": "--json"}, "reply": "a flag"})
    result = cli("run", "--strategy", "direct", "--model", model, "--", "--json")
    assert (result.exit_code, result.stdout) == (0, "a flag\n")
