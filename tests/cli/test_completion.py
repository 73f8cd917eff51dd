"""`stratagem completion`: what the shell is offered, fast and without a word on standard error."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem.cli import VERBS
from stratagem.cli._completing import state
from stratagem.session._records import home_of


def offered(cli: Any, *words: str, begun: str = "", **env: str) -> list[str]:
    """Return what is offered behind some words, as bash would ask for it."""
    settings = {
        **cli.process_env,
        "COMP_WORDS": " ".join(["stratagem", *words, begun]),
        "COMP_CWORD": str(len(words) + 1),
        "_STRATAGEM_COMPLETE": "bash_complete",
        **env,
    }
    done = subprocess.run(
        [sys.executable, "-m", "stratagem"], capture_output=True, text=True, env=settings, cwd=cli.folder, check=False
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_verbs_are_offered_word_by_word(cli: Any) -> None:
    assert offered(cli) == list(dict.fromkeys(verb.split()[0] for verb in VERBS))
    assert offered(cli, begun="re") == ["resume", "replay"]
    assert offered(cli, "new") == ["strategy", "tool"]
    assert offered(cli, "nonsense") == []


def test_options_are_offered_with_a_dash(cli: Any) -> None:
    assert {"--at", "--set", "--json", "--home"} <= set(offered(cli, "fork", "x", begun="--"))
    assert offered(cli, "runs", "rm", begun="--old") == ["--older-than"]
    assert offered(cli, begun="--ver") == ["--version"]


def test_runs_are_offered_the_newest_first(cli: Any, script: Any) -> None:
    model = script({"signature": "direct.answer", "reply": "Paris", "times": 0})
    assert offered(cli, "show") == []
    assert not cli.home.exists()
    made = [cli.answered(f"Number {n}?", "--strategy", "direct", "--model", model) for n in range(3)]
    for words in (("show",), ("resume",), ("fork",), ("replay",), ("answer",), ("diff", made[0]), ("runs", "rm")):
        assert offered(cli, *words) == made[::-1]
    assert offered(cli, "export", made[0], begun=made[1][:4]) == [made[1]]
    assert offered(cli, "show", "--home", "elsewhere") == []
    assert offered(cli, "show", "--journal", "postgresql://nowhere/runs") == []


def test_strategies_models_and_tools_are_offered_by_name(cli: Any) -> None:
    assert offered(cli, "run", "x", "--strategy", begun="self_c") == ["self_consistency"]
    assert offered(cli, "run", "x", "--model", begun="o") == ["offline"]
    assert offered(cli, "run", "x", "--tool", begun="calc") == ["calculate"]
    assert offered(cli, "run", "x", "--approve") == ["ask", "never"]
    assert offered(cli, "runs", "--state", begun="w") == ["waiting"]


def test_a_wrong_file_of_settings_is_not_complained_of_at_a_prompt(cli: Any) -> None:
    Path("stratagem.toml").write_text("nonsense = [")
    assert offered(cli, "run", "x", "--strategy", begun="reac") == []
    assert "resume" in offered(cli, begun="res")


def test_nothing_heavy_is_imported(cli: Any, script: Any) -> None:
    cli.answered("?", "--strategy", "direct", "--model", script("Paris"))
    program = (
        "import atexit, json, os, sys\n"
        "atexit.register(lambda: open('modules.json', 'w').write(json.dumps(sorted(sys.modules))))\n"
        "from stratagem.cli import main\n"
        "main()"
    )
    for words in ("stratagem show ", "stratagem ", "stratagem run x --strategy re"):
        env = {**cli.process_env, "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        subprocess.run(
            [sys.executable, "-c", program], env={**env, "_STRATAGEM_COMPLETE": "bash_complete"}, cwd=cli.folder,
            capture_output=True, check=False,
        )  # fmt: skip
        loaded = set(json.loads(Path("modules.json").read_text()))
        assert loaded & {"asyncio", "pydantic", "rich", "stratagem.core", "stratagem.session"} == set()


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize(
    "env", [{}, {"STRATAGEM_HOME": "~/state"}, {"XDG_DATA_HOME": "/data"}, {"LOCALAPPDATA": "/local"}]
)
def test_the_state_is_looked_for_where_a_session_keeps_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, env: dict[str, str]
) -> None:
    for name in ("STRATAGEM_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert state(None) == home_of(None)
    assert state(Path("given")) == home_of("given")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_function_for_each_shell_asks_for_what_is_offered(cli: Any, shell: str) -> None:
    result = cli("completion", shell)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"_STRATAGEM_COMPLETE={shell}_complete" in result.stdout


def test_another_shell_is_refused(cli: Any) -> None:
    result = cli("completion", "tcsh")
    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_it(cli: Any, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "stratagem"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stratagem "$@"\n')
    command.chmod(0o755)
    program = (
        'eval "$(stratagem completion bash)"; COMP_WORDS=(stratagem cata); COMP_CWORD=1; '
        '_stratagem_completion stratagem; echo "${COMPREPLY[@]}"'
    )
    env = {**cli.process_env, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", program], capture_output=True, text=True, env=env, check=True)
    assert (done.stdout, done.stderr) == ("catalog\n", "")
