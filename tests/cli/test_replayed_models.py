"""`run --model replay:RUN`: another program over what a model said in a recorded run."""

from pathlib import Path
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def test_a_recorded_run_answers_by_its_id_its_beginning_or_last(cli: Any, script: Any) -> None:
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    for name in (run, run[:6], "last"):
        document = cli.json("run", "Capital of France?", "--strategy", "direct", "--model", f"replay:{name}")
        assert document["answer"]["text"] == "Paris"
    assert document["run"]["model"].startswith("replay:")
    assert document["run"]["model"] != "replay:last"


def test_what_was_not_recorded_fails_as_a_model_does_with_the_difference(cli: Any, script: Any) -> None:
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    result = cli("run", "Capital of Spain?", "--strategy", "direct", "--model", f"replay:{run}")
    assert (result.exit_code, result.stdout) == (5, "")
    assert f"run {run} has no reply to `direct.answer` in 'direct'; the nearest is effect 0" in result.stderr
    assert "-message: Question: Capital of France?" in result.stderr
    assert "+message: Question: Capital of Spain?" in result.stderr


def test_a_run_that_is_not_there_is_a_mistake_of_usage(cli: Any) -> None:
    result = cli("run", "Capital of Spain?", "--strategy", "direct", "--model", "replay:nowhere1")
    assert result.exit_code == 2
    assert "there is no run 'nowhere1'" in result.stderr


def test_the_last_run_is_the_last_that_is_itself_no_replay(cli: Any, script: Any) -> None:
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    failed = cli("run", "Capital of Spain?", "--strategy", "direct", "--model", "replay:last")
    assert failed.exit_code == 5
    assert len(cli.json("runs")["runs"]) == 2
    for _ in range(2):  # and after a replay that went well
        document = cli.json("run", "Capital of France?", "--strategy", "direct", "--model", "replay:last")
        assert (document["answer"]["text"], document["run"]["model"]) == ("Paris", f"replay:{run}")


def test_where_all_runs_are_replays_there_is_no_last_one(cli: Any, script: Any) -> None:
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    cli.answered("Capital of France?", "--strategy", "direct", "--model", "replay:last")
    assert cli("runs", "rm", run, "--yes").exit_code == 0
    result = cli("run", "Capital of France?", "--strategy", "direct", "--model", "replay:last")
    assert result.exit_code == 2
    assert "there is no run yet that is itself no replay" in result.stderr


def test_what_names_no_run_names_those_that_are_there(cli: Any, script: Any) -> None:
    empty = cli("run", "Capital of France?", "--strategy", "direct", "--model", "replay:")
    assert (empty.exit_code, "there is no run yet" in empty.stderr) == (2, True)
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    for spec, said in (
        ("replay:", "the model `replay` needs a run"),
        ("replay", "the model `replay` needs a run"),
        ("replay:nosuchru", "there is no run 'nosuchru'"),
    ):
        result = cli("run", "Capital of Spain?", "--strategy", "direct", "--model", spec)
        assert result.exit_code == 2
        assert said in result.stderr
        assert f"The newest: `replay:{run}` (Capital of France?)" in result.stderr


def test_a_run_that_was_shown_an_image_is_replayed_with_the_image(cli: Any, monkeypatch: Any) -> None:
    import stratagem.models
    from tests.cli.test_attaching import Reader

    class Entry:
        name, value, dist = "reader", "a:b", None

        def load(self) -> Any:
            return lambda name, *, home: Reader(f"reader:{name}")

    monkeypatch.setattr(stratagem.models, "_entries", lambda: iter([Entry()]))
    Path("a.png").write_bytes(PNG)
    goal = ("What is it?", "--strategy", "direct", "--file", "a.png")
    run = cli.answered(*goal, "--model", "reader:one")
    document = cli.json("run", *goal, "--model", f"replay:{run}")
    assert document["answer"]["text"] == f"image/png {len(PNG)}"


def test_it_stands_in_the_list_of_models(cli: Any) -> None:
    assert "replay:RUN" in cli("models").stdout
