"""`stratagem export` and `import`: runs as one file, through files and pipes, from one home to another."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.journals._postgres import _dropped, _stopped, database

__all__ = ["_dropped", "_stopped", "database"]


@pytest.fixture
def run_id(cli: Any, script: Any) -> str:
    return cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))


def test_a_run_moves_to_another_home_and_goes_on_there(cli: Any, run_id: str, tmp_path: Path, valid: Any) -> None:
    fork = cli.json("fork", run_id, "--at", "0", "--set", "reply=Lyon")["run"]["id"]
    document = cli.json("export", fork, "-o", "runs.jsonl")
    valid(document, "export")
    assert (document["runs"], document["file"]) == ([run_id, fork], "runs.jsonl")
    lines = Path("runs.jsonl").read_text("utf-8").splitlines(keepends=True)
    assert (document["lines"], document["bytes"]) == (len(lines), sum(len(line.encode()) for line in lines))
    other = ("--home", tmp_path / "other")
    document = cli.json("import", "runs.jsonl", *other)
    valid(document, "import")
    assert document == {"schema": 1, "imported": [run_id, fork], "known": [], "rows": 1}
    for one, text in ((run_id, "Paris"), (fork, "Lyon")):
        assert cli("resume", one, *other).stdout == f"{text}\n"
        assert cli("replay", one, *other).stdout == f"{text}\n"
    assert cli.json("import", "runs.jsonl", *other)["known"] == [run_id, fork]


def test_what_was_moved_is_said(cli: Any, run_id: str, tmp_path: Path) -> None:
    result = cli("export", "last", "-o", "runs.jsonl")
    size, lines = Path("runs.jsonl").stat().st_size, len(Path("runs.jsonl").read_text("utf-8").splitlines())
    assert (result.stdout, result.stderr) == ("", f"1 run in {lines} lines, {size:,} bytes\n")
    other = ("--home", tmp_path / "other")
    assert cli("import", "runs.jsonl", *other).stderr == f"imported {run_id}: 1 effect\n"
    assert cli("import", "runs.jsonl", *other).stderr == f"known already, with the same content: {run_id}\n"


def test_a_pipe_is_enough(cli: Any, run_id: str, tmp_path: Path) -> None:
    sent = cli("export", run_id, "--quiet")
    assert (sent.exit_code, sent.stderr) == (0, "")
    result = cli("import", "-", "--home", tmp_path / "other", input=sent.stdout)
    assert result.stderr == f"imported {run_id}: 1 effect\n"
    broken = cli("import", "-", "--home", tmp_path / "third", input=sent.stdout[:-20])
    assert broken.exit_code == 6
    assert "standard input, line" in broken.stderr


def test_the_file_is_for_its_owner_alone_and_replaces_nothing(cli: Any, run_id: str) -> None:
    assert cli("export", run_id, "-o", "runs.jsonl").exit_code == 0
    assert stat.S_IMODE(Path("runs.jsonl").stat().st_mode) == 0o600
    before = Path("runs.jsonl").read_bytes()
    result = cli("export", run_id, "-o", "runs.jsonl")
    assert (result.exit_code, "'runs.jsonl' exists already" in result.stderr) == (2, True)
    assert Path("runs.jsonl").read_bytes() == before
    assert sorted(os.listdir()) == ["runs.jsonl"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["export"], 2, "Missing argument 'RUN"),
        (["export", "nope", "-o", "x"], 2, "there is no run 'nope'"),
        (["export", "last", "-o", "none/x"], 2, "'none/x' cannot be written: No such file or directory"),
        (["import", "none.jsonl"], 2, "'none.jsonl' cannot be read: No such file or directory"),
        (["import", "."], 2, "'.' cannot be read: Is a directory"),
        (["import", "empty"], 2, "empty is empty"),
        (["import", "text"], 6, "text, line 1: this is not JSON"),
        (["import", "other"], 2, "other is no file of runs"),
    ],
)
def test_what_cannot_be_moved_is_refused(cli: Any, run_id: str, words: list[str], status: int, message: str) -> None:
    for name, text in (("empty", ""), ("text", "what\n"), ("other", '{"a": 1}\n')):
        Path(name).write_text(text)
    result = cli(*words)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
    assert sorted(os.listdir()) == ["empty", "other", "text"]


def test_a_document_and_the_file_cannot_share_standard_output(cli: Any, run_id: str) -> None:
    result = cli("export", run_id, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["remedy"] == "Name a file: `-o FILE`."


def test_an_edited_file_is_refused_by_its_line_and_nothing_is_imported(
    cli: Any, run_id: str, tmp_path: Path, valid: Any
) -> None:
    lines = cli("export", run_id).stdout.splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if '"row":0' in line)
    Path("edited.jsonl").write_text("".join([*lines[:at], lines[at].replace("Paris", "Lyons"), *lines[at + 1 :]]))
    result = cli("import", "edited.jsonl", "--json", "--home", tmp_path / "other")
    document = json.loads(result.stdout)
    valid(document, "error")
    assert result.exit_code == 6
    assert (
        document["error"]["message"] == f"edited.jsonl, line {at + 1}: row 0 of run '{run_id}' is not what was written"
    )
    assert not (tmp_path / "other" / "journal.sqlite").exists()


def test_a_waiting_run_is_answered_where_it_was_moved_to(
    cli: Any, script: Any, tool_file: Path, tmp_path: Path
) -> None:
    model = script(
        {"signature": "react.act", "contains": "sent hello", "reply": "it is sent"},
        {"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}},
    )
    words = ("run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    run_id = cli.json(*words)["run"]["id"]
    other = ("--home", tmp_path / "other")
    assert cli("import", "-", *other, input=cli("export", run_id).stdout).exit_code == 0
    assert cli("answer", run_id, "yes", *other).stdout == "it is sent\n"
    assert cli.json("show", run_id)["run"]["state"] == "waiting"


def test_another_journal_is_named_by_its_spec(cli: Any, run_id: str, script: Any) -> None:
    journal = ("--journal", "sqlite:other.sqlite")
    assert cli("import", "-", *journal, input=cli("export", run_id).stdout).exit_code == 0
    assert [run["id"] for run in cli.json("runs", *journal)["runs"]] == [run_id]
    model = script({"signature": "direct.answer", "error": {"kind": "Unreachable", "message": "gone"}})
    result = cli("run", "Well?", "--strategy", "direct", "--model", model, *journal)
    assert "--journal sqlite:other.sqlite`" in result.stderr
    for wrong in ("other.sqlite", "sqlite:", "mysql://x"):
        result = cli("runs", "--journal", wrong)
        assert (result.exit_code, f"'sqlite:PATH' or 'postgresql://...', got {wrong!r}" in result.stderr) == (2, True)


def test_a_server_keeps_runs_for_many_machines(cli: Any, run_id: str, script: Any, database: str) -> None:
    journal = ("--journal", database)
    assert cli("import", "-", *journal, input=cli("export", run_id).stdout).exit_code == 0
    model = script({"signature": "direct.answer", "reply": "Madrid", "times": 0})
    document = cli.json("run", "Capital of Spain?", "--strategy", "direct", "--model", model, *journal)
    assert [run["id"] for run in cli.json("runs", *journal)["runs"]] == [document["run"]["id"], run_id]
    fork = cli.json("fork", "last", "--at", "0", "--set", "reply=Sevilla", *journal)
    assert fork["answer"]["text"] == "Sevilla"
    assert cli.json("diff", fork["run"]["id"], *journal)["first"]["differs"] == ["result"]
    assert cli("doctor", *journal).exit_code == 0
    assert len(cli.json("runs", "rm", document["run"]["id"], "--with-forks", "--yes", *journal)["removed"]) == 2
    assert [run["id"] for run in cli.json("runs")["runs"]] == [run_id]


def test_the_password_of_a_server_is_never_printed(cli: Any) -> None:
    from stratagem.cli._output import Mode
    from stratagem.session._journals import shown

    mode = Mode([])
    mode.keep_journal("postgresql://ada:secret@db:5432/runs?password=secret&sslmode=require", flag=True)
    assert mode.again("resume", "x") == ("stratagem resume x --journal 'postgresql://ada@db:5432/runs?sslmode=require'")
    assert shown("postgresql://db/runs?password=secret") == "postgresql://db/runs"
    assert shown("sqlite:a.sqlite") == "sqlite:a.sqlite"


def test_a_project_file_cannot_send_records_elsewhere(cli: Any) -> None:
    Path("stratagem.toml").write_text('journal = "postgresql://evil/runs"')
    result = cli("run", "Well?")
    assert result.exit_code == 2
    assert "sets 'journal', which a project file may not" in result.stderr
