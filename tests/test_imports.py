"""`import stratagem` is cheap: what costs is imported by whoever needs it, when it does."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent.parent / "src"

# Each costs milliseconds at every start of every program; measured on CPython 3.11.
HEAVY = {
    "click", "concurrent.futures.process", "ctypes", "email", "http", "importlib.metadata", "importlib.resources",
    "logging.config", "multiprocessing", "pydantic", "pydantic_core", "pytest", "rich", "sqlite3", "tempfile",
    "unittest", "urllib.request", "xml", "zipfile",
}  # fmt: skip
# What a run needs, and who looks at names does not: `core/_late.py` has three of them, the others are imported where
# they are used. Together they are more than half of what starting a run costs.
LATE = {
    "ast", "asyncio", "concurrent.futures", "dataclasses", "difflib", "html", "inspect", "logging", "pathlib", "pkgutil",
    "socket", "ssl", "subprocess", "threading", "tokenize", "traceback", "urllib.parse",
}  # fmt: skip
TOUCHED = "import stratagem\nfor name in stratagem.__all__: getattr(stratagem, name)"
# `urllib` and `http` are too coarse for import-linter: `urllib.parse` opens no connection.
NETWORK = {"urllib.request", "urllib.error", "http.client", "http.server", "http.cookiejar"}
MAY_SPEAK = ("models", "server")


def modules_after(program: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter has loaded after a program."""
    command = [sys.executable, "-c", f"{program}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCES)})
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "program",
    [
        "import stratagem",
        TOUCHED,
        "from stratagem import strategies\nfor name in strategies.names(): getattr(strategies, name)",
    ],
    ids=["import", "every public name touched", "every strategy loaded"],
)
def test_nothing_heavy_is_imported(program: str) -> None:
    loaded = modules_after(program) - modules_after("")
    assert sorted(name for name in HEAVY if name in loaded) == []


@pytest.mark.parametrize(
    "program",
    ["import stratagem", TOUCHED, f"{TOUCHED}\nstratagem.Task('?').told('!')\nrepr(stratagem.Answer('!'))"],
    ids=["import", "every public name touched", "values made"],
)
def test_what_only_a_run_needs_waits_for_it(program: str) -> None:
    loaded = modules_after(program) - modules_after("")
    assert sorted(loaded & LATE) == []


def test_what_waits_for_a_run_is_there_when_it_runs() -> None:
    program = f"{TOUCHED}\nfrom stratagem.core._late import ast, asyncio, inspect"
    asked = f"{program}\nasyncio.sleep, inspect.signature, ast.parse"
    assert {"ast", "asyncio", "inspect"} <= modules_after(asked) - modules_after(program)


def test_a_module_that_comes_late_has_what_the_module_has_and_no_more() -> None:
    import inspect

    from stratagem.core._late import late

    standing = late("inspect")
    assert standing.signature is inspect.signature
    assert vars(standing)["signature"] is inspect.signature
    with pytest.raises(AttributeError, match="sinature"):
        _ = standing.sinature


def test_strategies_need_nothing_but_the_standard_library() -> None:
    program = "from stratagem import strategies\nfor name in strategies.names(): getattr(strategies, name)"
    tops = {name.split(".")[0] for name in modules_after(program) - modules_after("")}
    assert tops - sys.stdlib_module_names == {"stratagem"}


def test_only_models_and_the_server_speak_to_the_network() -> None:
    speakers: list[str] = []
    for path in sorted((SOURCES / "stratagem").rglob("*.py")):
        if path.relative_to(SOURCES / "stratagem").parts[0] in MAY_SPEAK:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            speakers += [f"{path.name}:{node.lineno} {name}" for name in names if name in NETWORK]  # type: ignore[attr-defined]
    assert speakers == []
