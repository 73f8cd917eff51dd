"""The group of verbs: what `--help` lists and imports."""

import json
import subprocess
import sys
from typing import Any

from stratagem import __version__
from stratagem.cli import VERBS, verbs

HEAVY = {
    "asyncio", "concurrent.futures", "importlib.metadata", "pathlib", "pydantic", "rich", "sqlite3", "stratagem.catalogue",
    "stratagem.core", "stratagem.session", "tomllib",
}  # fmt: skip


def loaded_by(cli: Any, *words: str) -> set[str]:
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['stratagem', *{list(words)!r}]\n"
        "from stratagem.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=cli.process_env, cwd=cli.folder, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_lists_every_verb_with_one_line(cli: Any) -> None:
    result = cli("--help")
    assert result.exit_code == 0
    for verb, (_, line) in VERBS.items():
        assert f"  {verb} " in result.stdout
        assert line in result.stdout


def test_help_imports_no_verb_and_nothing_heavy(cli: Any) -> None:
    loaded = loaded_by(cli, "--help")
    assert {name for name in loaded if name.startswith("stratagem.cli.") and "._" not in name} == set()
    assert loaded & HEAVY == set()


def test_the_help_of_run_imports_no_other_verb_and_nothing_heavy(cli: Any) -> None:
    loaded = loaded_by(cli, "run", "--help")
    verbs_loaded = {name for name in loaded if name.startswith("stratagem.cli.") and "._" not in name}
    assert verbs_loaded == {"stratagem.cli.run"}
    assert loaded & HEAVY == set()


def test_a_verb_with_output_in_a_pipe_does_not_import_rich(cli: Any) -> None:
    assert "rich" not in loaded_by(cli, "runs")
    assert "rich" not in loaded_by(cli, "run", "What is 12 * 7?", "--tool", "calculate", "--quiet")


def test_every_verb_says_what_it_does(cli: Any) -> None:
    for verb in VERBS:
        command = verbs.get_command(verbs.make_context("stratagem", ["runs"]), verb)
        assert command is not None
        assert command.name == verb
        assert command.help
        for param in command.params:
            assert param.param_type_name == "argument" or getattr(param, "help", ""), f"{verb} {param.name}"


def test_version(cli: Any) -> None:
    assert cli("--version").stdout == f"stratagem {__version__}\n"


def test_no_verb_at_all_prints_the_help(cli: Any) -> None:
    result = cli()
    assert (result.exit_code, result.stderr) == (2, "")
    assert result.stdout == cli("--help").stdout


def test_the_verb_help_says_how_help_is_asked_for(cli: Any) -> None:
    result = cli("help")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: there is no verb 'help': write `stratagem --help`\n")


def test_the_module_is_the_command(cli: Any) -> None:
    process = cli.start("--version")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, f"stratagem {__version__}\n", "")
