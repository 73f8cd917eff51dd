"""What a strategy does wrong stays its own: its errors, its program that is read again, its looks at what it may not see."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab import _crew
from stratagem.lab._looking import files_of, look_at
from tests.lab.test_resuming import children

SETTINGS: dict[str, Any] = {"model": "sim:skill=1", "items": 3, "baselines": False, "processes": 1}
HEAD = "from stratagem import Answer, Run, Task, signature, strategy\n"
ASK = '''
@signature
def reply(question: str) -> str:
    """Answer."""
    ...
'''


def written(path: Path, body: str, *, name: str = "mine", calls: str = "1", before: str = "") -> str:
    """Write a file with one strategy and return its spec."""
    lines = "\n".join("    " + line for line in body.splitlines())
    made = f'@strategy(calls="{calls}")\nasync def {name}(run: Run, task: Task) -> Answer:\n    """Try."""\n{lines}\n'
    path.write_text(f"{before}{HEAD}{ASK}\n{made}")
    return f"{path}:{name}"


RIGHT = "return task.answer(await run.ask(reply, question=task.question))"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return task.answer(str(1 / 0))", "ZeroDivisionError: division by zero (mine.py, line 11)"),
        ("raise SystemExit(3)", "SystemExit: 3 (mine.py, line 11)"),
        ("raise StopIteration", "RuntimeError: coroutine raised StopIteration (mine.py, line 11)"),
        ("import json\njson.loads('{')", "JSONDecodeError: Expecting property name enclosed in double quotes: "
         "line 1 column 2 (char 1) (mine.py, line 12)"),
        ("raise ExceptionGroup('many', [KeyError('first'), ValueError('second')])", "KeyError: 'first'"),
    ],
)  # fmt: skip
def test_a_strategy_that_fails_with_an_item_has_it_wrong_and_the_others_go_on(
    tmp_path: Path, body: str, said: str
) -> None:
    spec = written(tmp_path / "mine.py", body, calls="0")
    report = lab.compare("word_problems", f"{spec},direct", **SETTINGS)
    assert [(row["accuracy"], row["unparsed"]) for row in report.rows] == [(0.0, 3), (1.0, 0)]
    (failure,) = report.failures
    assert (failure["kind"], failure["items"], failure["first"]) == ("error", 3, "word_problems-1-000000")
    assert failure["reason"] == said
    assert f"{spec} at no limit: 3 items ended with error, first word_problems-1-000000: {said}" in str(report)


def test_who_returns_no_answer_has_it_wrong(tmp_path: Path) -> None:
    spec = written(tmp_path / "mine.py", "return 24", calls="0")
    (failure,) = lab.compare("word_problems", spec, **SETTINGS).failures
    assert (failure["kind"], failure["items"]) == ("error", 3)
    assert failure["reason"].startswith("TypeError: `mine` must return `task.answer(...)`, not 24")


def test_what_was_spent_and_offered_before_an_error_is_billed_and_not_right(tmp_path: Path) -> None:
    spec = written(
        tmp_path / "mine.py", "run.offer(task.answer(await run.ask(reply, question=task.question)))\nraise KeyError(1)"
    )
    (row,) = lab.compare("word_problems", spec, **SETTINGS).rows
    assert (row["accuracy"], row["calls_per_item"]) == (0.0, 1.0)
    assert row["tokens_per_item"] > 10


def test_no_process_that_runs_strategies_begins_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_crew.INSIDE, "1")
    for begin in (
        lambda: lab.compare("word_problems", "direct", **SETTINGS),
        lambda: lab.simulate("direct", "word_problems", "skill=0.1/0.2"),
        lambda: _crew.Crew({}, 1).__enter__(),
    ):
        with pytest.raises(UsageError, match="began while the file of a strategy was read") as caught:
            begin()
        assert 'if __name__ == "__main__":' in str(caught.value.remedy)


# What no look at the source sees: the process that runs the strategy has to refuse by itself.
UNSEEN = f'''
import pkgutil
{HEAD}
@strategy(calls="0")
async def mine(run: Run, task: Task) -> Answer:
    """Never end."""
    print("begun", flush=True)
    while True:
        pass

GUARD
    pkgutil.resolve_name("stratagem." + "lab").compare("word_problems", [mine], items=2, processes=2, baselines=False)
'''


def program(path: Path, guard: str) -> "subprocess.Popen[str]":
    path.write_text(UNSEEN.replace("GUARD", guard))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, str(path)], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_a_program_without_its_guard_is_executed_once_and_told(tmp_path: Path) -> None:
    process = program(tmp_path / "program.py", "if True:")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stratagem.errors.UsageError: a comparison began while the file of a strategy was read" in said


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
def test_processes_end_when_who_started_them_is_gone_even_within_a_strategy_that_never_ends(tmp_path: Path) -> None:
    process = program(tmp_path / "program.py", 'if __name__ == "__main__":')
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"  # what a strategy prints comes here
    hands = children(process.pid)
    assert len(hands) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    with process.stderr:
        assert set(process.stderr.read().split()) <= {"begun"}  # it ends with the last process that could write to it


def test_answers_of_an_edited_strategy_are_not_taken_for_its_own(tmp_path: Path) -> None:
    spec = written(tmp_path / "mine.py", RIGHT)
    given = {**SETTINGS, "out": tmp_path / "kept"}
    assert lab.compare("word_problems", f"direct,{spec}", **given).rows[1]["accuracy"] == 1.0
    assert lab.compare("word_problems", f"direct,{spec}", **given).rows[1]["accuracy"] == 1.0
    written(tmp_path / "mine.py", "return task.answer('7')")
    with pytest.raises(UsageError) as caught:
        lab.compare("word_problems", f"direct,{spec}", **given)
    assert f"holds answers of {spec} as it was: its source has changed since" in str(caught.value)
    assert "--out" in str(caught.value.remedy)


def test_a_file_beside_a_strategy_is_part_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("WORD = '7'\n")
    spec = written(tmp_path / "mine.py", "return task.answer(WORD)", before="from words import WORD\n")
    given = {**SETTINGS, "out": tmp_path / "kept"}
    lab.compare("word_problems", spec, **given)
    (tmp_path / "words.py").write_text("WORD = '8'\n")
    with pytest.raises(UsageError, match="its source has changed since"):
        lab.compare("word_problems", spec, **given)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import gc", "import 'gc'"),
        ("from stratagem.tasks import suite", "import 'stratagem.tasks'"),
        ("from stratagem import tasks", "import 'stratagem.tasks'"),
        ("import stratagem.tasks._suite as s", "import 'stratagem.tasks'"),
        ("from stratagem import lab", "import 'stratagem.lab'"),
        ("import stratagem as s\nt = s.tasks", "use `stratagem.tasks`"),
        ("if __name__ != '__main__':\n    import gc", "import 'gc'"),
        ("t = lambda task: task.canonical.__self__", "use `__self__`"),
        ("t = lambda task: task.canonical.__closure__", "use `__closure__`"),
        ("t = lambda: open('keys.jsonl').read()", "use `open`"),
        ("t = __import__('o' + 's')", "use `__import__`"),
        ("exec('import gc')", "use `exec`"),
    ],
)
def test_obvious_looks_are_refused_by_file_and_line_also_in_files_beside(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "helper.py").write_text(f"{line}\nlook = 1\n")
    number = line.count("\n") + 1
    for before in ("from helper import look\n", "import helper\n"):
        spec = written(tmp_path / "mine.py", RIGHT, before=before)
        with pytest.raises(UsageError) as caught:
            look_at(spec)
        assert str(caught.value).startswith(f"helper.py, line {number}: a strategy that is compared may not {said}")


def test_who_waits_for_something_else_than_the_run_is_ended_after_its_seconds(tmp_path: Path) -> None:
    body = "import asyncio\nawait run.ask(reply, question=task.question)\nwhile True:\n    await asyncio.sleep(0.1)"
    spec = written(tmp_path / "mine.py", body)
    report = lab.compare("word_problems", f"{spec},direct", **SETTINGS, budget="seconds=2")
    assert [(row["accuracy"], row["calls_per_item"]) for row in report.rows] == [(0.0, 1.0), (1.0, 1.0)]
    (failure,) = report.failures
    assert failure["reason"] == "OutOfTime: did not end within 32 s; 2 were allowed (mine.py, line 14)"


def test_a_file_that_hands_on_a_strategy_of_another_is_read_before_it_is_executed(tmp_path: Path) -> None:
    written(tmp_path / "other.py", RIGHT)
    (tmp_path / "mine.py").write_text(
        f"import os\nfrom other import mine\nopen({str(tmp_path / 'seen')!r}, 'w').close()\n"
    )
    with pytest.raises(UsageError, match=r"mine\.py, line 1: a strategy that is compared may not import 'os'"):
        lab.compare("word_problems", f"{tmp_path / 'mine.py'}:mine", **SETTINGS)
    assert not (tmp_path / "seen").exists()


def test_what_only_a_program_executes_may_import_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    spec = written(path, RIGHT, before="from __future__ import annotations\nimport re\n")
    path.write_text(
        path.read_text()
        + '\nif __name__ == "__main__":\n    import sys\n    from stratagem import lab\n    open(sys.argv[1])\n'
    )
    assert look_at(spec) is None
    assert files_of(spec) == [path]


@pytest.mark.parametrize("second", ["direct", "direct()", " direct", "direct ( )"])
def test_one_strategy_in_two_spellings_is_there_twice(second: str) -> None:
    with pytest.raises(UsageError, match=r"the strategy 'direct.*' is there twice"):
        lab.compare("word_problems", ["direct", second], **SETTINGS)


THREE = "for _ in range(2):\n    await run.ask(reply, question=task.question)\n" + RIGHT


def test_a_strategy_that_breaks_its_own_formula_is_named_in_every_form_of_the_report(
    tmp_path: Path, valid: Any
) -> None:
    over, within = written(tmp_path / "over.py", THREE), written(tmp_path / "within.py", THREE, calls="3")
    report = lab.compare("word_problems", f"{over},{within}", **SETTINGS)
    assert report.rows[0]["beyond_formula"] == {"items": 3, "calls": 3}
    assert "beyond_formula" not in report.rows[1]
    said = f"! {over} at no limit made up to 3 calls on 3 of 3 items; its formula allows 1"
    assert [line for line in str(report).splitlines() if "formula" in line] == [said]
    assert f'<p class="soft">{said}</p>' in report.html()
    valid(report.plain(), "compare")
    first = report.items[0]["question"]
    some = written(tmp_path / "some.py", f"if task.question != {first!r}:\n    {RIGHT}\n{THREE}")
    assert lab.compare("word_problems", some, **SETTINGS).rows[0]["beyond_formula"] == {"items": 1, "calls": 3}
