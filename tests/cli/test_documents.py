"""The JSON of every verb is what its schema and its golden file say. Names never change; new keys may appear."""

import json
import re
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def steady(value: Any, run_id: str, folder: Path) -> Any:
    """Return a document with ids, times, durations, paths and versions replaced by their names."""
    if isinstance(value, dict):
        return {
            key: "SECONDS" if key == "seconds" and isinstance(item, float)
            else "VERSIONS" if key == "versions"
            else steady(item, run_id, folder)
            for key, item in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [steady(item, run_id, folder) for item in value]
    if isinstance(value, str):
        text = value.replace(run_id, "RUN").replace(str(folder), "FOLDER")
        return TIME.sub("TIME", text)
    return value


def compare(name: str, document: Any, run_id: str, folder: Path) -> None:
    """Compare with the golden file, key by key; what the file lacks may be new."""
    found = steady(document, run_id, folder)
    path = GOLDEN / f"{name}.json"
    assert lacking(json.loads(path.read_text("utf-8")), found) == []


def lacking(golden: Any, found: Any, at: str = "$") -> list[str]:
    """Return where a document is not what the golden one says."""
    if isinstance(golden, dict) and isinstance(found, dict):
        missing = [f"{at}.{key} is missing" for key in golden if key not in found]
        return missing + [
            one for key in golden if key in found for one in lacking(golden[key], found[key], f"{at}.{key}")
        ]
    if isinstance(golden, list) and isinstance(found, list) and len(golden) == len(found):
        return [one for n, (a, b) in enumerate(zip(golden, found, strict=True)) for one in lacking(a, b, f"{at}[{n}]")]
    return [] if golden == found else [f"{at} is {found!r}, not {golden!r}"]


def test_run_and_what_shows_it(cli: Any, script: Any, valid: Any, tmp_path: Path) -> None:
    model = script(
        {
            "signature": "direct.answer",
            "reply": "Paris",
            "usage": {"prompt_tokens": 20, "completion_tokens": 2, "usd": 0.001},
        }
    )
    document = cli.json("run", "Capital of France?", "--strategy", "direct", "--model", model, "--budget", "calls=3")
    run_id = document["run"]["id"]
    effect = cli.json("show", run_id, "--effect", "0")
    for name in ("request", "result"):  # how a request is written is the core's affair
        effect["effects"][0][name] = type(effect["effects"][0][name]).__name__
    for name, one in (
        ("run", document),
        ("runs", cli.json("runs")),
        ("show", cli.json("show", run_id)),
        ("effect", effect),
    ):
        valid(one, {"effect": "show"}.get(name, name))
        compare(name, one, run_id, tmp_path)


def test_a_run_that_waits(cli: Any, script: Any, valid: Any, tmp_path: Path, tool_file: Path) -> None:
    model = script({"signature": "react.act", "call": {"name": "send", "arguments": {"text": "hello"}}})
    document = cli.json("run", "Send it", "--strategy", "react", "--model", model, "--tool", "mail.py:send")
    valid(document, "run")
    document["waiting"][0]["id"] = "QUESTION"
    compare("waiting", document, document["run"]["id"], tmp_path)


def test_two_runs_side_by_side(cli: Any, script: Any, valid: Any, tmp_path: Path) -> None:
    model = script({"signature": "direct.answer", "reply": "Paris", "times": 0})
    run_id = cli.answered("Capital?", "--strategy", "direct", "--model", model)
    fork = cli.json("fork", run_id, "--at", "0", "--set", "reply=Rome")
    valid(fork, "run")
    document = cli.json("diff", run_id, fork["run"]["id"])
    valid(document, "diff")
    text = json.dumps(document).replace(fork["run"]["id"], "FORK")
    compare("diff", json.loads(text), run_id, tmp_path)


def test_a_replay_that_diverges(cli: Any, script: Any, valid: Any, tmp_path: Path) -> None:
    program = cli.folder / "mine.py"
    program.write_text(PROGRAM)
    model = script({"signature": "mine.say", "reply": "fine", "times": 0})
    run_id = cli.answered("Well?", "--strategy", "mine.py:talk", "--model", model)
    valid(cli.json("replay", run_id), "replay")
    program.write_text(PROGRAM.replace("Say something.", "Say nothing."))
    document = cli.json("replay", run_id)
    valid(document, "replay")
    compare("replay", document["divergence"], run_id, tmp_path)


PROGRAM = '''
from stratagem import Answer, Run, Task, signature, strategy

@signature
def say(question: str, notes: tuple[str, ...]) -> str:
    """Say something."""
    ...

@strategy(calls="1", lower="1")
async def talk(run: Run, task: Task) -> Answer:
    """Talk."""
    return task.answer(await run.ask(say, question=task.question, notes=task.notes))
'''


def test_an_error(cli: Any, valid: Any, tmp_path: Path) -> None:
    document = cli.json("run", "Capital?", "--strategy", "reakt")
    valid(document, "error")
    compare("error", document, "RUN", tmp_path)


def test_a_page_of_the_catalogue(cli: Any, valid: Any, tmp_path: Path) -> None:
    document = cli.json("catalog", "RE05")
    valid(document, "catalog")
    names = {key: type(value).__name__ for key, value in document[0].items()}
    compare("catalog", names, "RUN", tmp_path)


def test_every_schema_is_used_and_says_what_it_describes(cli: Any) -> None:
    schemas = sorted((Path(__file__).parents[2] / "docs" / "schema").glob("*.json"))
    assert [path.stem for path in schemas] == [
        "added", "catalog", "compare", "diff", "doctor", "error", "event", "export", "import", "models", "models_test", "new", "removed",
        "replay", "run", "runs", "show", "simulate", "tasks",
    ]  # fmt: skip
    for path in schemas:
        schema = json.loads(path.read_text("utf-8"))
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"]
