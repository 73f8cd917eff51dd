"""Canaries on the command line: what is printed, exported and written when something crashes."""

from pathlib import Path
from typing import Any

import pytest

from stratagem.testing.model_server import Fault, Said, serving

KEY = "sk-canary-77d3"


@pytest.fixture(params=["variable", "file"])
def keyed(request: pytest.FixtureRequest, cli: Any, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """Put the key where it is to be found; return the file, if it is one."""
    folder = cli.folder.parent / "settings" / "stratagem"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    if request.param == "variable":
        cli.env["MY_KEY"] = KEY
        return None
    (folder / "keys.toml").write_text(f'MY_KEY = "{KEY}"\n')
    (folder / "keys.toml").chmod(0o600)
    return folder / "keys.toml"


def holding(cli: Any) -> set[Path]:
    """Return the files beneath the test's folder that hold the key."""
    files = [path for path in cli.folder.parent.rglob("*") if path.is_file()]
    return {path for path in files if KEY.encode() in path.read_bytes()}


def test_what_is_shown_and_exported_holds_no_key(cli: Any, keyed: Path | None) -> None:
    with serving([Fault("status", status=500, message="{authorization}"), Said("4")]) as server:
        place = ("--base-url", server.url, "--api-key-env", "MY_KEY")
        results = [cli("run", "2+2?", "--strategy", "direct", "--model", "vllm:m", *place, "--jsonl")]
    assert {one.headers["Authorization"] for one in server.seen} == {f"Bearer {KEY}"}
    results += [
        cli("show", "last", "--json"), cli("show", "last"), cli("runs", "--json"), cli("export", "last", "--output", "out.jsonl"),
        cli("doctor"), cli("models"), cli("resume", "last", *place), cli("replay", "last", "--json"),
    ]  # fmt: skip
    assert all(one.exit_code == 0 for one in results), [one.output for one in results if one.exit_code]
    assert all(KEY not in one.stdout + one.stderr for one in results)
    assert holding(cli) == ({keyed} if keyed else set())


def test_the_report_of_a_crash_holds_no_key(cli: Any, keyed: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr("stratagem.models.compatible.body", crash)
    with serving() as server:
        words = ("run", "2+2?", "--strategy", "direct", "--model", "vllm:m", "--base-url", server.url)
        results = [cli(*words, "--api-key-env", "MY_KEY", *more) for more in ((), ("--debug",))]
    assert [one.exit_code for one in results] == [70, 70]
    assert all("a defect" in one.stderr and KEY not in one.stdout + one.stderr for one in results)
    assert any("a defect" in path.read_text() for path in (cli.home / "log").iterdir())
    assert holding(cli) == ({keyed} if keyed else set())


def echoes(body: Any) -> Any:
    """Answer a probe as a server that quotes the key wherever it can: in errors, in replies, in names of tools."""
    if "response_format" in body:
        return Fault("status", status=400, message="you sent {authorization}")
    if body.get("tool_choice"):
        return Said("", calls=((f"Bearer {KEY}", "{}"),))
    if "tools" in body:
        return Said(f"you sent Bearer {KEY}")
    if "prompt" in body:
        return Fault("error body", message="you sent {authorization}")
    if "1 to 100" in str(body["messages"]):
        return Said(f"{KEY} {KEY}")
    return Said(f"{KEY} 1 2 3 4 5")


def test_what_a_server_says_to_a_probe_is_shown_without_the_key(cli: Any, keyed: Path | None) -> None:
    with serving(echoes) as server:
        place = ("--base-url", server.url, "--api-key-env", "MY_KEY")
        results = [cli("models", "test", "vllm:m", *place, *more) for more in ((), ("--json",))]
    with serving([Fault("status", status=401, message="you sent {authorization}")] * 2) as server:
        place = ("--base-url", server.url, "--api-key-env", "MY_KEY")
        results += [cli("models", "test", "vllm:m", *place, *more) for more in (("--debug",), ("--json",))]
    assert [one.exit_code for one in results] == [1, 1, 5, 5], [one.output for one in results]
    assert all(KEY not in one.stdout + one.stderr for one in results)
    assert "you sent Bearer ***" in results[0].stdout
    assert holding(cli) == ({keyed} if keyed else set())


def test_a_replay_of_a_run_that_had_a_key_shows_none(cli: Any, keyed: Path | None) -> None:
    refused = Fault("status", status=400, message="you sent {authorization}")
    with serving([Said("4"), refused]) as server:
        place = ("--model", "vllm:m", "--base-url", server.url, "--api-key-env", "MY_KEY")
        results = [cli("run", question, "--strategy", "direct", *place) for question in ("2+2?", "3+3?")]
    assert {one.headers["Authorization"] for one in server.seen} == {f"Bearer {KEY}"}
    for words in (("3+3?", "--debug"), ("4+4?", "--jsonl"), ("4+4?", "--json")):
        results.append(cli("run", *words, "--strategy", "direct", "--model", "replay:last"))
    assert [one.exit_code for one in results] == [0, 5, 5, 5, 5]
    results += [cli("show", "last", "--json"), cli("export", "last", "--output", "out.jsonl")]
    assert all(KEY not in one.stdout + one.stderr for one in results)
    assert holding(cli) == ({keyed} if keyed else set())


def test_a_report_and_the_answers_it_keeps_hold_no_key(cli: Any, keyed: Path | None) -> None:
    def by(_: Any) -> Any:
        return Said("The answer is 4.")

    words = (
        "compare", "--task", "word_problems", "--strategies", "direct", "--no-baselines", "--items", 2, "--processes", 1,
        "--model", "vllm:m", "--api-key-env", "MY_KEY", "--out", "kept", "--html", "r.html", "--svg", "r.svg",
    )  # fmt: skip
    with serving(by) as server:
        results = [cli(*words, "--base-url", server.url)]
    assert {one.headers["Authorization"] for one in server.seen} == {f"Bearer {KEY}"}
    refused = Fault("status", status=400, message="you sent {authorization}")
    with serving(lambda _: refused) as server:
        others = [word if word != "kept" else "others" for word in words]
        results += [cli(*others, "--base-url", server.url, *more) for more in ((), ("--json",))]
    assert results[0].exit_code == 0, results[0].output
    assert all(KEY not in one.stdout + one.stderr for one in results)
    assert (cli.folder / "r.html").exists()
    assert any((cli.folder / "kept").iterdir())
    assert holding(cli) == ({keyed} if keyed else set())


def test_a_key_in_the_place_of_its_variables_name_is_not_shown(cli: Any) -> None:
    place = ("--base-url", "http://127.0.0.1:9/v1", "--api-key-env", KEY)
    results = [
        cli("run", "2+2?", "--strategy", "direct", "--model", model, *place) for model in ("vllm:m", "anthropic:m")
    ]
    results.append(cli("models", "test", "vllm:m", *place))
    results.append(cli("compare", "--task", "list_sorting", "--strategies", "direct", "--model", "vllm:m", *place))
    cli.env["STRATAGEM_API_KEY_ENV"] = KEY
    results.append(cli("run", "2+2?", "--model", "vllm:m"))
    for result in results:
        assert (result.exit_code, result.stdout) == (2, "")
        assert "is not the name of an environment variable" in result.stderr
        assert "remedy: Give the NAME of a variable" in result.stderr
        assert "canary" not in result.stderr
    told = cli("doctor")
    assert (told.exit_code, "canary" in told.output) == (1, False)
    assert "`STRATAGEM_API_KEY_ENV` is not the name of an environment variable" in told.stdout


@pytest.mark.parametrize("text", [f'api-key-env = "{KEY}"', f'[providers.vllm]\napi-key-env = "{KEY}"'])
def test_nor_is_one_in_the_settings(cli: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cli.folder.parent / "settings" / "stratagem"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    (folder / "config.toml").write_text(text)
    for words in (("run", "2+2?", "--model", "vllm:m"), ("doctor",)):
        result = cli(*words)
        assert "is not the name of an environment variable" in result.output
        assert "canary" not in result.output
