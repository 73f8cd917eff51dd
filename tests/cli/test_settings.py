"""Flag, then variable, then `stratagem.toml`, then `pyproject.toml`, then the user's file, then the default."""

import os
from pathlib import Path
from typing import Any

import pytest

from stratagem.cli._settings import DEFAULTS, KEYS, UNSAFE, from_files


def budget_of(cli: Any, model: str, *words: str) -> int:
    document = cli.json("run", "Well?", "--strategy", "direct", "--model", model, *words)
    return document["budget"]["limits"]["calls"]


def write(cli: Any, name: str, text: str) -> Path:
    path = cli.folder.parent / "settings" / "stratagem" / "config.toml" if name == "user" else cli.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_each_place_wins_over_the_next(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "times": 0, "reply": "yes"})
    assert budget_of(cli, model) is None
    write(cli, "user", 'budget = "calls=1"')
    assert budget_of(cli, model) == 1
    write(cli, "pyproject.toml", '[project]\nname = "x"\n[tool.stratagem]\nbudget = "calls=2"')
    assert budget_of(cli, model) == 2
    write(cli, "stratagem.toml", 'budget = "calls=3"')
    assert budget_of(cli, model) == 3
    cli.env["STRATAGEM_BUDGET"] = "calls=4"
    assert budget_of(cli, model) == 4
    assert budget_of(cli, model, "--budget", "calls=5") == 5


def test_every_kind_of_value_can_stand_in_a_file(cli: Any, script: Any) -> None:
    (cli.folder / "docs").mkdir()
    model = script({"signature": "direct.answer", "times": 0, "reply": "yes"})
    write(
        cli,
        "stratagem.toml",
        f'strategy = "direct"\nmodel = "{model}"\nseed = 9\nroot = ["docs"]\ntool = ["calculate"]\n'
        'approve = "never"\nquiet = true\nhome = "state"\n',
    )
    cli.env["STRATAGEM_HOME"] = None
    result = cli("run", "Well?")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "yes\n", "")
    assert (cli.folder / "state" / "journal.sqlite").exists()
    assert cli.json("show", "last")["run"]["seed"] == 9


def test_paths_in_a_file_lie_beneath_its_folder(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(cli, "user", 'root = ["notes", "~/docs", "/srv"]')
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path.parent.parent))
    assert from_files(cli.folder)["root"].value == [str(path.parent / "notes"), "/home/ada/docs", "/srv"]


def test_several_roots_stand_in_a_variable_as_in_path(cli: Any, script: Any) -> None:
    for name in ("a", "b"):
        (cli.folder / name).mkdir()
    cli.env["STRATAGEM_ROOT"] = os.pathsep.join("ab")
    model = script({"signature": "react.act", "call": {"name": "list_files"}}, {"signature": "react.act", "reply": "x"})
    run_id = cli.answered("Which?", "--strategy", "react", "--model", model)
    assert cli("show", run_id).stdout.count(str(cli.folder)) == 2


def test_a_verb_that_continues_takes_strategy_and_budget_from_flags_only(cli: Any, script: Any) -> None:
    model = script(*({"signature": "chain_of_thought.reason", "reply": f"So. The answer is {n}."} for n in range(9)))
    words = ("--strategy", "self_consistency(n=5)", "--model", model, "--budget", "calls=2")
    run_id = cli.json("run", "How many?", *words)["run"]["id"]
    write(cli, "stratagem.toml", 'strategy = "direct"\nbudget = "calls=1"')
    document = cli.json("resume", run_id)
    assert (document["run"]["strategy"], document["answer"]["stop"]) == ("self_consistency(n=5)", "budget")
    assert document["budget"]["limits"]["calls"] == 2


@pytest.mark.parametrize("name", ["stratagem.toml", "pyproject.toml", "user"])
def test_an_unknown_key_is_refused_with_the_nearest(cli: Any, name: str) -> None:
    head = "[tool.stratagem]\n" if name == "pyproject.toml" else ""
    path = write(cli, name, f'{head}modle = "offline"')
    result = cli("run", "Well?")
    assert result.exit_code == 2
    assert f"error: {path} sets 'modle', which does not exist; did you mean 'model'?" in result.stderr


@pytest.mark.parametrize("key", UNSAFE)
@pytest.mark.parametrize("name", ["stratagem.toml", "pyproject.toml"])
def test_a_project_file_may_not_send_keys_elsewhere(cli: Any, name: str, key: str) -> None:
    head = "[tool.stratagem]\n" if name == "pyproject.toml" else ""
    path = write(cli, name, f'{head}{key} = "https://example.org"')
    result = cli("run", "Well?")
    assert result.exit_code == 2
    assert f"error: {path} sets {key!r}, which a project file may not" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1.5", "'seed' is a whole number, got 1.5"),
        ("seed = true", "'seed' is a whole number, got True"),
        ('root = "docs"', "'root' is a list of texts, got 'docs'"),
        ("root = [1]", "'root' is a list of texts, got [1]"),
        ('quiet = "yes"', "'quiet' is true or false, got 'yes'"),
        ('approve = "always"', "'approve' is 'ask' or 'never', got 'always'"),
        ("model = 3", "'model' is a text, got 3"),
        ("model = ", "are not TOML"),
    ],
)
def test_a_wrong_value_is_refused_with_its_file(cli: Any, text: str, message: str) -> None:
    path = write(cli, "stratagem.toml", text)
    result = cli("run", "Well?")
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert message in result.stderr


def test_a_file_that_is_not_utf_8_or_cannot_be_a_table_is_refused(cli: Any) -> None:
    (cli.folder / "stratagem.toml").write_bytes(b'model = "caf\xe9"')
    assert "are not TOML" in cli("run", "Well?").stderr
    (cli.folder / "stratagem.toml").unlink()
    write(cli, "pyproject.toml", "[tool]\nstratagem = 3")
    assert "is no table" in cli("run", "Well?").stderr


def test_a_pyproject_of_somebody_else_is_not_even_parsed(cli: Any) -> None:
    write(cli, "pyproject.toml", "this is = not TOML")
    assert cli("runs").exit_code == 0


def test_help_needs_no_settings(cli: Any) -> None:
    write(cli, "stratagem.toml", "broken")
    assert cli("run", "--help").exit_code == 0
    assert cli("runs").exit_code == 2


def test_a_dot_env_file_is_never_read(cli: Any, script: Any) -> None:
    write(cli, ".env", "STRATAGEM_BUDGET=calls=1\n")
    assert budget_of(cli, script("yes")) is None


def test_a_wrong_variable_is_named(cli: Any) -> None:
    cli.env["STRATAGEM_SEED"] = "many"
    result = cli("run", "Well?")
    assert result.exit_code == 2
    assert "'many' is not a valid integer (from the variable STRATAGEM_SEED)" in result.stderr


def test_every_key_is_a_flag_of_run_with_its_variable() -> None:
    from stratagem.cli.run import run

    variables = {option.removeprefix("--"): param.envvar for param in run.params for option in param.opts}
    assert (variables.pop("goal"), variables.pop("file")) == (None, None)
    assert variables == {key: f"STRATAGEM_{key.upper().replace('-', '_')}" for key in KEYS}
    assert set(DEFAULTS) == set(KEYS)


def test_prices_and_limits_stand_in_any_file_and_of_each_entry_the_nearest_holds(cli: Any) -> None:
    write(cli, "user", '[prices."vllm:a"]\ninput_per_mtok = 1\noutput_per_mtok = 2\n[limits.vllm]\nrpm = 5\n')
    write(
        cli, "stratagem.toml",
        '[prices."vllm:a"]\ninput_per_mtok = 3\noutput_per_mtok = 4\n[prices."vllm:b"]\ninput_per_mtok = 5\noutput_per_mtok = 6\n',
    )  # fmt: skip
    told = {one["key"]: one for one in cli.json("doctor")["values"]}
    assert told["prices"]["value"] == {
        "vllm:a": {"input_per_mtok": 3, "output_per_mtok": 4}, "vllm:b": {"input_per_mtok": 5, "output_per_mtok": 6}
    }  # fmt: skip
    assert told["limits"]["value"] == {"vllm": {"rpm": 5}}
    assert "stratagem.toml" in told["prices"]["origin"]
    assert "config.toml" in told["prices"]["origin"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prices = 3", "'prices' is a table, got 3"),
        ('[prices."vllm:a"]\ninput_per_mtok = 1', "lacks output_per_mtok"),
        ("[limits.vllm]\nrmp = 5", "there is no 'rmp'"),
        ("[limits.vlm]\nrpm = 5", "limits: there is no provider 'vlm'; did you mean 'vllm'?"),
        (
            '[prices."vlm:a"]\ninput_per_mtok = 1\noutput_per_mtok = 2',
            "prices of 'vlm:a': there is no provider 'vlm'; did you mean 'vllm'?",
        ),
    ],
)
def test_prices_and_limits_that_are_none_are_refused_before_anything_is_asked(cli: Any, text: str, said: str) -> None:
    write(cli, "stratagem.toml", text)
    done = cli("run", "Well?")
    assert (done.exit_code, said in done.stderr) == (2, True)
    told = cli("doctor")
    assert (told.exit_code, said in told.stdout) == (1, True)


def test_a_price_from_a_file_lets_a_limit_of_money_through(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: 0.0)
    words = ("run", "Well?", "--strategy", "direct", "--base-url", "http://127.0.0.1:1/v1", "--budget", "usd=1")
    write(cli, "stratagem.toml", 'model = "vllm:a"')
    done = cli(*words)
    assert (done.exit_code, "needs the price of the model 'vllm:a'" in done.stderr) == (2, True)
    write(cli, "stratagem.toml", 'model = "vllm:a"\n[prices."vllm:a"]\ninput_per_mtok = 1\noutput_per_mtok = 2')
    done = cli(*words)
    assert (done.exit_code, "nobody answers at vLLM" in done.stderr) == (5, True)
