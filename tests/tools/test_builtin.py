"""The set of built-in tools: names, schemas, effects, and what it costs to load them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import SystemClock, Tools
from stratagem.tools.builtin import builtin, clock_tool, names


def test_without_roots_there_are_only_calculate_and_now() -> None:
    assert [tool.name for tool in builtin()] == ["calculate", "now"]


def test_all_tools_only_read_and_are_named_by_their_spec(tmp_path: Path) -> None:
    tools = builtin([tmp_path])
    assert tuple(tool.name for tool in tools) == names()
    assert {tool.effect for tool in tools} == {"read"}
    assert {tool.repeat for tool in tools} == {"free"}
    assert [tool.spec for tool in tools] == [f"builtin:{name}" for name in names()]
    assert len(Tools(tools)) == 8


def test_every_argument_is_described_to_the_model(tmp_path: Path) -> None:
    for tool in builtin([tmp_path]):
        for name, schema in tool.parameters.items():
            assert schema.get("description"), f"{tool.name}: {name}"
            assert schema["type"] in ("string", "integer", "array")
        json.dumps(tool.schema())


@pytest.mark.parametrize(
    ("name", "parameters", "required"),
    [
        ("list_files", ["folder"], ()),
        ("read_file", ["path", "start", "lines"], ("path",)),
        ("search_files", ["query", "n", "folder"], ("query",)),
        ("describe_table", ["path", "table"], ("path",)),
        (
            "query_table",
            ["path", "measure", "column", "where", "group_by", "order", "top", "table"],
            ("path", "measure"),
        ),
        ("query_sql", ["path", "sql"], ("path", "sql")),
        ("calculate", ["expression"], ("expression",)),
        ("now", [], ()),
    ],
)
def test_the_arguments_are_those_of_the_contract(
    tmp_path: Path, name: str, parameters: list[str], required: tuple[str, ...]
) -> None:
    tool = next(tool for tool in builtin([tmp_path]) if tool.name == name)
    assert (list(tool.parameters), tool.required) == (parameters, required)


def test_equal_tools_over_different_roots_look_the_same_to_a_model(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first, second = builtin([tmp_path]), builtin([tmp_path / "a"])
    assert [tool.digest for tool in first] == [tool.digest for tool in second]


class Stopped(SystemClock):
    """A clock that stands still."""

    @staticmethod
    def wall() -> float:
        return 1_767_607_871.9


async def test_now_is_told_by_the_clock_that_is_given() -> None:
    seen = await clock_tool(Stopped()).perform({})
    assert (seen.text, seen.value, seen.failed) == ("2026-01-05T10:11:11Z", "2026-01-05T10:11:11Z", False)
    tools: dict[str, Any] = {tool.name: tool for tool in builtin(clock=Stopped())}
    assert (await tools["now"].perform({})).text == "2026-01-05T10:11:11Z"


async def test_now_is_the_machines_time_without_a_clock() -> None:
    from datetime import UTC, datetime, timedelta

    seen = await clock_tool().perform({})
    assert abs(datetime.strptime(seen.text, "%Y-%m-%dT%H:%M:%S%z") - datetime.now(UTC)) < timedelta(seconds=5)


def test_sqlite_is_loaded_only_when_a_database_is_read() -> None:
    code = (
        "import sys; from stratagem.tools.builtin import builtin; builtin(['.']);"
        "assert 'sqlite3' not in sys.modules and 'ctypes' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
