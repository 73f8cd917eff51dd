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
