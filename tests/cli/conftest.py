"""A command line in a folder of its own, with a home of its own and models that follow a script."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stratagem.cli import verbs

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


class Cli:
    """Calls `stratagem` in this process; `start` begins it in another one."""

    def __init__(self, folder: Path, home: Path, env: dict[str, str | None]) -> None:
        self.folder, self.home, self.env = folder, home, env

    def __call__(self, *words: object, input: str | bytes | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(verbs, [str(word) for word in words], input=input, env=self.env)

    def json(self, *words: object, input: str | bytes | None = None) -> Any:  # noqa: A002
        """Return the one document on standard output; nothing stands on standard error."""
        result = self(*words, "--json", input=input)
        assert result.stderr == ""
        return json.loads(result.stdout)

    def answered(self, *words: object) -> str:
        """Run something that answers, and return the run's id."""
        document = self.json("run", *words)
        assert document["answer"]["stop"] == "answered", document
        return document["run"]["id"]

    def start(self, *words: object, **settings: Any) -> "subprocess.Popen[str]":
        """Begin the command in a process of its own, with pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "stratagem", *map(str, words)],
            stdin=settings.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=self.folder,
            env=self.process_env,
            **settings,
        )

    @property
    def process_env(self) -> dict[str, str]:
        """The environment of a process, with the settings of this command line."""
        import os

        merged = {**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1] / "src"), **self.env}
        return {name: value for name, value in merged.items() if value is not None}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    home = tmp_path / "home"
    env: dict[str, str | None] = {
        "STRATAGEM_HOME": str(home),
        "XDG_CONFIG_HOME": str(tmp_path / "settings"),
        "COLUMNS": None,
        **dict.fromkeys(("NO_COLOR", "FORCE_COLOR", "CI")),
    }
    return Cli(folder, home, env)


LIMIT_S = 60.0


def until(so: Callable[[], bool]) -> None:
    """Wait until something is so, as another process brings it about."""
    end = time.monotonic() + LIMIT_S
    while not so():
        assert time.monotonic() < end
        time.sleep(0.05)


Script = Callable[..., str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Return a function that writes a script and returns the spec of its model."""
    written: list[Path] = []

    def write(*lines: dict[str, Any] | str) -> str:
        path = tmp_path / f"script{len(written)}.jsonl"
        written.append(path)
        forms = [{"signature": "direct.answer", "reply": one} if isinstance(one, str) else one for one in lines]
        path.write_text("".join(json.dumps(form) + "\n" for form in forms), "utf-8")
        return f"script:{path}"

    return write


@pytest.fixture
def tool_file(cli: Cli) -> Path:
    """Return a file with a tool that changes something, so that a person is asked."""
    path = cli.folder / "mail.py"
    path.write_text(
        "from pathlib import Path\n"
        "from stratagem import tool\n\n\n"
        '@tool(effect="send", repeat="free")\n'
        "def send(text: str) -> str:\n"
        '    """Send a text."""\n'
        '    with Path("sent.txt").open("a") as file:\n'
        '        file.write(text + "\\n")\n'
        '    return f"sent {text}"\n'
    )
    return path


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$") -> list[str]:
    """Return where a value does not fit a JSON schema; for the words that ours use, and no others."""
    root = root or schema
    unknown = set(schema) - {
        "$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "items", "enum", "const",
        "additionalProperties", "anyOf", "pattern", "minimum",
    }  # fmt: skip
    assert not unknown, unknown
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema:
        found = [fits(value, one, root, at) for one in schema["anyOf"]]
        return [] if [] in found else [f"{at}: fits none of several: {found}"]
    if "const" in schema and value != schema["const"]:
        return [f"{at}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    if "type" in schema and not _is(value, schema["type"]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    wrong: list[str] = []
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        wrong.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        wrong.append(f"{at}: {value!r} is below {schema['minimum']}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            wrong += fits(item, schema.get("items", {}), root, f"{at}[{number}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        wrong += [f"{at}: {name!r} is missing" for name in schema.get("required", ()) if name not in value]
        for name, item in value.items():
            part = known.get(name, schema.get("additionalProperties", {}))
            wrong += [f"{at}: {name!r} is not described"] if part is False else fits(item, part, root, f"{at}.{name}")
    return wrong


def _is(value: Any, kind: str | list[str]) -> bool:
    kinds = {
        "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
        "number": (int, float),
    }  # fmt: skip
    if isinstance(kind, list):
        return any(_is(value, one) for one in kind)
    return isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool))


@pytest.fixture
def valid() -> Callable[[Any, str], None]:
    """Return a check that a document is what its schema in the manual says."""

    def check(document: Any, name: str) -> None:
        schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
        assert fits(document, schema) == []

    return check
