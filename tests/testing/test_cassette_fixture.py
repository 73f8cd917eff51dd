"""The fixture, in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stratagem.testing.cassette_fixture import file_of

ROOT = Path(__file__).parent.parent.parent
CONFTEST = """
import pytest
pytest_plugins = ["stratagem.testing.cassette_fixture"]

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
TESTS = """
import pytest
from tests.testing._recorded import Counting, answered, once, twice

PROGRAM = {program}

@pytest.mark.parametrize("town", ["a/b", "a b"])
async def test_trip(cassette, town):
    assert (await answered(cassette(Counting()), PROGRAM, question=town)).text.startswith("reply 1")

async def test_two_models(cassette):
    assert (await answered(cassette(Counting(), "first"))).text == "reply 1"
    assert (await answered(cassette(Counting(lambda *_: "two"), "second"))).text == "two"

def test_fails(cassette):
    assert cassette(Counting(), "never")._lines == dict()
"""


def outcome_of(folder: Path, *arguments: str, program: str = "twice", mode: str = "") -> tuple[int, str]:
    """Run the tests of a folder; return exit status and output."""
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "test_it.py").write_text(TESTS.format(program=program), "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nanyio_mode = auto\n", "utf-8")
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "STRATAGEM_CASSETTE": mode}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_test_records_once_replays_after_that_and_is_told_of_lines_it_no_longer_needs(tmp_path: Path) -> None:
    status, output = outcome_of(tmp_path)
    assert status == 1
    assert "has no reply to `_recorded.name_it`" in output
    status, output = outcome_of(tmp_path, mode="record")
    assert (status, "not used" in output) == (0, False), output
    files = sorted(path.name for path in (tmp_path / "cassettes" / "test_it").iterdir())
    assert files == ["test_trip-a-b-2a7c66.jsonl", "test_trip-a-b-78c346.jsonl", "test_two_models.first.jsonl", "test_two_models.second.jsonl"]  # fmt: skip
    before = {path: path.read_bytes() for path in (tmp_path / "cassettes").rglob("*.jsonl")}
    status, output = outcome_of(tmp_path, "-n", "2")
    assert (status, "not used" in output) == (0, False), output
    status, output = outcome_of(tmp_path, "-n", "2", program="twice.using(n=0)")
    assert status == 0, output
    assert output.count("cassettes: lines that were not used") == 1
    assert sorted(line.rpartition("/")[2] for line in output.splitlines() if ".jsonl: line" in line) == [
        "test_trip-a-b-2a7c66.jsonl: line 2", "test_trip-a-b-78c346.jsonl: line 2",
    ]  # fmt: skip
    assert {path: path.read_bytes() for path in (tmp_path / "cassettes").rglob("*.jsonl")} == before


@pytest.mark.parametrize(
    ("nodeid", "name", "file"),
    [
        ("t/test_it.py::test_one", "", "test_one"),
        ("t/test_it.py::TestAll::test_one", "", "TestAll.test_one"),
        ("t/test_it.py::test_one[gpt-4]", "", "test_one-gpt-4"),
        ("t/test_it.py::test_one", "judge", "test_one.judge"),
        ("t/test_it.py::test_one[../../x]", "", "test_one-..-..-x-"),
    ],
)
def test_every_test_has_a_file_of_its_own_beside_its_module(nodeid: str, name: str, file: str) -> None:
    item: Any = SimpleNamespace(nodeid=nodeid, path=Path("/p/t/test_it.py"))
    found = file_of(item, name)
    assert found.parent == Path("/p/t/cassettes/test_it")
    assert found.name == f"{file}.jsonl" or (file.endswith("-") and found.name.startswith(file))
