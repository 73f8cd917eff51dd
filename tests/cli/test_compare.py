"""`stratagem compare` and `stratagem simulate`."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.test_guards import RIGHT, written

SMALL = ("--task", "game24", "--model", "sim:skill=0.6", "--items", 6, "--processes", 1)
TWO = ("compare", *SMALL, "--strategies", "direct,self_consistency(n=3)", "--budget", "tokens=700/1500")


def test_the_document_is_what_its_schema_says(cli: Any, valid: Any) -> None:
    document = cli.json(*TWO, "--seed", 7)
    valid(document, "compare")
    assert [row["strategy"] for row in document["rows"][:2]] == ["direct", "self_consistency(n=3)"]


def test_people_get_a_table_the_tests_in_words_and_the_files_that_they_asked_for(cli: Any) -> None:
    result = cli(*TWO, "--html", "r.html", "--png", "r.png", "--svg", "r.svg")
    assert result.exit_code == 0
    assert result.stdout.startswith("game24, level 1: accuracy against budget, 6 items (simulated)\n")
    assert re.search(r"^\*? ? +direct +tokens=700 +[01]\.\d{3}", result.stdout, re.MULTILINE)
    assert "unresolved" in result.stdout
    assert result.stderr == ""
    assert (cli.folder / "r.html").read_text("utf-8").startswith("<!doctype html>")
    assert (cli.folder / "r.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (cli.folder / "r.svg").read_bytes()


def test_json_lines_have_a_type_each(cli: Any) -> None:
    result = cli("compare", *SMALL, "--strategies", "direct", "--no-baselines", "--jsonl")
    kinds = [json.loads(line)["type"] for line in result.stdout.splitlines()]
    assert kinds == ["manifest", "rows", "pareto", *["items"] * 6]


def test_a_strategy_below_its_share_fails_the_command(cli: Any) -> None:
    own = (
        "compare",
        "--task",
        "word_problems",
        "--items",
        4,
        "--processes",
        1,
        "--no-baselines",
        "--strategies",
        "direct",
    )
    good = cli(*own, "--model", "sim:skill=1", "--fail-below", "direct=0.9", "--json")
    assert good.exit_code == 0
    bad = cli(*own, "--model", "sim:skill=0", "--fail-below", "direct=0.9", "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["rows"][0]["accuracy"] == 0
    assert "direct reached 0.000 at no limit with sim:skill=0.0, less than 0.9" in bad.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fail-below", "direct"), "is no NAME=SHARE"),
        (("--fail-below", "direct=50"), "an accuracy is from 0 to 1, not 50\nremedy: --fail-below direct=0.5 is 50 %"),
        (("--fail-below", "direct=nan"), "is no NAME=SHARE"),
        (("--fail-below", "direct=-1"), "an accuracy is from 0 to 1, not -1"),
        (("--model", "offline"), "the model `offline` follows rules and answers no task"),
        (("--model", "replay:abc"), "a comparison asks what it was not"),
        (("--model", "openai:x|sim:"), "a simulated model is no part of a chain"),
        (("--items", 900), "game24 has 857 different items of level 1, 900 are wanted"),
        (("--fail-below", "react=0.5"), "no strategy 'react' was compared"),
        (("--html", "nowhere/r.html"), "there is no folder 'nowhere'"),
        (("--html", "."), "'.' is a folder"),
        (("--html", "r", "--svg", "./r"), "--svg and --html name one file, 'r'"),
        (("--seed-file", "gone"), "cannot be read: No such file or directory\nremedy: Check its path."),
        (("--seed-file", "gone", "--seed", 0), "--seed and --seed-file exclude each other"),
        (("--level", 9), "got 9\nremedy: Choose one of 1, 2, 3; the first is the easiest."),
        (("--seed", -1), "a seed is a whole number from 0 up, or a text, got -1\nremedy: Write one, such as 7."),
        (("--budget", "tokns=3"), "did you mean 'tokens'?\nremedy: Write limits such as"),
        (("--strategies", "drect"), "did you mean 'direct'?\nremedy: `stratagem catalog` lists strategies"),
        (
            ("--strategies", "direct(k=3)"),
            "`direct` has no parameter 'k'\nremedy: `stratagem catalog` lists strategies",
        ),
        (("--strategies", "direct, direct"), "is there twice\nremedy: Name each strategy once."),
        (("--model", "sim:skill=0.60"), "the model 'sim:skill=0.6' is there twice\nremedy: Name each model once."),
        (("--model", "sim:skill=3"), "got '3'\nremedy: `stratagem models` lists what can be opened here"),
        (("--task", "gone.jsonl"), "cannot be read: No such file or directory\nremedy: Check the path"),
        (("--budget", "tokens=5/5"), "a value is there twice\nremedy: Name each value once."),
        (("--json", "--jsonl"), "exclude each other"),
    ],
)
def test_mistakes_are_usage_errors(cli: Any, words: tuple[str, ...], said: str) -> None:
    result = cli("compare", *SMALL, "--strategies", "direct", "--no-baselines", *words)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the seed file 'seed' is empty: a short one is found by trying"),
        (b"   15 bytes long \n\n", "the seed file 'seed' has 13 of the 16 bytes that a withheld seed needs"),
        ("é".encode() * 7 + b"e", "has 15 of the 16 bytes"),
        (b"\xff\xfe" * 16, "the seed in 'seed' is no text in UTF-8"),
    ],
)
def test_a_withheld_seed_that_can_be_found_by_trying_is_refused(cli: Any, content: bytes, said: str) -> None:
    (cli.folder / "seed").write_bytes(content)
    result = cli("compare", *SMALL, "--strategies", "direct", "--no-baselines", "--seed-file", "seed")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "remedy: Use a long random text: `python -c 'import secrets;" in result.stderr


def test_a_page_may_be_in_the_folder_that_the_comparison_makes(cli: Any) -> None:
    result = cli(
        "compare", *SMALL, "--strategies", "direct", "--no-baselines", "--out", "kept", "--html", "kept/r.html"
    )
    assert result.exit_code == 0
    assert (cli.folder / "kept" / "r.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk, as Linux has one")
@pytest.mark.parametrize("verb", ["compare", "simulate"])
def test_a_report_is_printed_though_its_page_cannot_be_written(cli: Any, verb: str) -> None:
    own = ("--strategies", "direct", "--no-baselines") if verb == "compare" else ("direct", "--vary", "skill=0.2/0.6")
    result = cli(verb, "--task", "game24", "--items", 2, "--processes", 1, *own, "--html", "/dev/full", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["schema"] == 1
    assert result.stderr == "! --html: '/dev/full' could not be written: No space left on device\n"


def test_without_matplotlib_a_figure_is_refused_before_the_work(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else there(name))
    result = cli("compare", *SMALL, "--strategies", "direct", "--no-baselines", "--out", "kept", "--png", "r.png")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: figures need the package matplotlib\n")
    assert not (cli.folder / "kept").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.parametrize("form", ["--json", "--jsonl"])
@pytest.mark.parametrize("unbuffered", [None, "1"])
def test_a_reader_that_leaves_ends_the_command_quietly(cli: Any, form: str, unbuffered: str | None) -> None:
    cli.env["PYTHONUNBUFFERED"] = unbuffered
    # More than a pipe holds, so that the writer meets the closed end.
    process = cli.start("compare", *SMALL[:4], "--items", 300, "--processes", 1, "--strategies", "direct",
                        "--no-baselines", form)  # fmt: skip
    with process:
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_withheld_seed_is_read_from_a_file(cli: Any) -> None:
    (cli.folder / "seed").write_text("nobody knows this\n")
    document = cli.json("compare", *SMALL, "--strategies", "direct", "--no-baselines", "--seed-file", "seed")
    assert "nobody knows" not in json.dumps(document)
    assert document["items"][0]["question"] == ""


def test_a_file_of_yours_is_compared_with_one_command(cli: Any) -> None:
    rows = [{"question": f"What is {n} and {n}?", "answer": f"It is {2 * n}. #### {2 * n}"} for n in range(5)]
    (cli.folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    document = cli.json(
        "compare", "--task", "mine.jsonl", "--strategies", "direct", "--model", "sim:skill=1", "--processes", 1
    )
    assert document["manifest"]["task"] == "mine"
    assert [row["items"] for row in document["rows"]] == [5, 5, 5, 5]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on_and_the_same_line_does(cli: Any, sent: signal.Signals, tmp_path: Path) -> None:
    spec = written(cli.folder / "mine.py", f"import time\ntime.sleep(0.5)\n{RIGHT}")
    words = (
        "compare",
        *SMALL[:4],
        "--items",
        10,
        "--processes",
        1,
        "--strategies",
        spec,
        "--no-baselines",
        "--out",
        "kept",
    )
    process = cli.start(*words)
    answers = cli.folder / "kept" / "answers.jsonl"
    from tests.cli.conftest import until

    until(lambda: answers.exists() and answers.stat().st_size > 0)
    process.send_signal(sent)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert re.fullmatch(r"stopped: \d+ of 10 answers kept in kept; the same line goes on from there\n", said)
    kept = answers.read_bytes()
    assert cli(*words).exit_code == 0
    assert answers.read_bytes().startswith(kept)


def test_a_sweep_is_what_its_schema_says_and_is_drawn(cli: Any, valid: Any) -> None:
    words = ("simulate", "self_consistency(n=3)", "--task", "word_problems", "--vary", "skill=0.3:0.9:2", "--budget", "calls=3",
             "--items", 5, "--processes", 1)  # fmt: skip
    document = cli.json(*words)
    valid(document, "simulate")
    assert [one["skill"] for one in document["grid"]] == [0.3, 0.9]
    result = cli(*words, "--html", "s.html", "--svg", "s.svg")
    assert result.exit_code == 0
    assert "calls=3: pays at 0, is worse at 0, unresolved at 2 of 2 points" in result.stdout
    assert (cli.folder / "s.svg").read_bytes().startswith(b"<?xml")


def test_more_than_two_parameters_are_refused(cli: Any) -> None:
    result = cli("simulate", "direct", "--task", "game24", *["--vary", "skill=0.1/0.2"] * 3)
    assert result.exit_code == 2
    assert "--vary is there 3 times" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
def test_a_terminal_sees_how_far_it_is_and_then_the_report_alone(cli: Any) -> None:
    from tests.cli.test_terminal import Terminal

    terminal = Terminal(cli, "compare", *SMALL, "--strategies", "direct", "--no-baselines")
    terminal.until("of 6 answers")
    terminal.until("on the Pareto front")
    assert terminal.process.wait(60) == 0
    assert "\x1b[2K" in terminal.text  # the line of progress is gone before the report is written


def test_settings_of_other_verbs_do_not_choose_the_model(cli: Any) -> None:
    (cli.folder / "stratagem.toml").write_text('model = "offline"\n')
    document = cli.json(
        "compare", "--task", "game24", "--items", 2, "--processes", 1, "--strategies", "direct", "--no-baselines"
    )
    assert document["manifest"]["models"] == ["sim:"]


def test_the_suites_are_listed_without_any_other_option(cli: Any, valid: Any) -> None:
    result = cli("compare", "--task", "list")
    assert result.exit_code == 0
    assert re.search(r"^game24 +levels 1 to 3 +make 24 from", result.stdout, re.MULTILINE)
    assert re.search(r"^shuffled_objects .* a constant answer: 0.26$", result.stdout, re.MULTILINE)
    assert cli("simulate", "--task", "list").stdout == result.stdout
    listed = {one["name"]: one for one in cli.json("compare", "--task", "list")}
    assert listed["game24"]["items"] == {"1": 889, "2": 473, "3": 6104}
    assert listed["last_letters"]["levels"] == [1, 2, 3]
    assert {"blocksworld", "blocksworld_acting"} < set(listed)
    assert listed["shuffled_objects"]["floor"]["share"] == 0.26
    valid(list(listed.values()), "tasks")


def test_help_says_what_the_lines_of_json_are_of(cli: Any) -> None:
    assert "Print the report, one JSON document a line." in " ".join(cli("compare", "--help").stdout.split())
    assert "Print the events, one JSON document a line." in " ".join(cli("run", "--help").stdout.split())


def test_a_folder_with_another_seed_says_so(cli: Any) -> None:
    own = ("compare", *SMALL, "--strategies", "direct", "--no-baselines", "--out", "kept")
    assert cli(*own, "--seed", 7).exit_code == 0
    result = cli(*own, "--seed", 8)
    assert result.exit_code == 2
    assert "the folder 'kept' holds a comparison with seed 7; this asks for seed 8" in result.stderr


@pytest.mark.parametrize(
    ("words", "warned"),
    [((), True), (("--max-tokens", 50), False), (("--budget", "completion_tokens=900"), False), (("--quiet",), False)],
)
def test_who_lets_a_real_model_write_without_end_is_told(cli: Any, words: tuple[Any, ...], warned: bool) -> None:
    (cli.folder / "s.jsonl").write_text(json.dumps({"signature": "direct.answer", "reply": "7", "times": 0}) + "\n")
    own = (
        "compare",
        "--task",
        "word_problems",
        "--items",
        2,
        "--processes",
        1,
        "--strategies",
        "direct",
        "--no-baselines",
    )
    result = cli(*own, "--model", "script:s.jsonl", *words)
    assert result.exit_code == 0
    said = "! no limit in tokens: a reply of script:s.jsonl may be as long as the model can write; see --max-tokens\n"
    assert result.stderr == (said if warned else "")


def test_the_largest_budget_counts_wherever_it_stands_and_is_named_with_its_model(cli: Any) -> None:
    own = ("compare", "--task", "word_problems", "--items", 4, "--processes", 1, "--no-baselines", "--strategies", "chain_of_thought",
           "--model", "sim:skill=1")  # fmt: skip
    for budget in ("tokens=2000/1", "tokens=1/2000"):
        assert cli(*own, "--budget", budget, "--fail-below", "chain_of_thought=0.9").exit_code == 0
    missed = cli(*own, "--budget", "tokens=2/1", "--fail-below", "chain_of_thought=0.9")
    assert missed.exit_code == 1
    assert "! chain_of_thought reached 0.000 at tokens=2 with sim:skill=1.0, less than 0.9\n" in missed.stderr


def test_a_strategy_that_fails_is_named_on_stderr_and_ends_nothing(cli: Any) -> None:
    (cli.folder / "mine.py").write_text(
        'from stratagem import strategy\n\n\n@strategy(calls=\'0\')\nasync def mine(run, task):\n    """Divide."""\n    return 1 / 0\n'
    )
    result = cli("compare", *SMALL, "--strategies", "mine.py:mine,direct", "--no-baselines", "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["rows"]) == 2
    assert re.fullmatch(
        r"! \S*mine.py:mine at no limit: 6 items ended with error, first game24-1-000000: "
        r"ZeroDivisionError: division by zero \(mine.py, line 7\); counted as wrong\n",
        result.stderr,
    )


SPEAKS = '''
from stratagem import Answer, Run, Task, strategy
SIGNAL
print("it is read")

@strategy(calls="0")
async def speaks(run: Run, task: Task) -> Answer:
    """Say something."""
    print("it runs", flush=True)
    BODY
'''


def speaking(cli: Any, body: str, module: str = "") -> str:
    (cli.folder / "mine.py").write_text(SPEAKS.replace("BODY", body).replace("SIGNAL", module))
    return "mine.py:speaks"


def test_what_a_strategy_prints_is_no_part_of_the_document(cli: Any) -> None:
    process = cli.start(
        "compare", *SMALL, "--strategies", speaking(cli, "return task.answer('7')"), "--no-baselines", "--json"
    )
    out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert json.loads(out)["rows"][0]["items"] == 6
    assert set(said.splitlines()) == {"it is read", "it runs"}


def test_a_sweep_says_that_items_have_failed_as_a_comparison_does(cli: Any, valid: Any) -> None:
    spec = speaking(cli, "raise SystemExit(3)")
    words = ("simulate", spec, "--task", "word_problems", "--vary", "skill=0.3/0.9", "--budget", "calls=1", "--items", 2,
             "--processes", 1)  # fmt: skip
    for extra in ((), ("--json",)):
        result = cli(*words, *extra)
        assert result.exit_code == 0
        warned = [line for line in result.stderr.splitlines() if line.startswith("!")]
        assert warned == [
            f"! {spec} / sim:skill={skill} at calls=1: 2 items ended with error, first word_problems-1-000000: "
            "SystemExit: 3 (mine.py, line 10); counted as wrong"
            for skill in (0.3, 0.9)
        ]
    document = json.loads(result.stdout)
    valid(document, "simulate")
    assert [(one["skill"], one["kind"], one["items"]) for one in document["failures"]] == [
        (0.3, "error", 2),
        (0.9, "error", 2),
    ]


def test_a_process_that_dies_is_an_unexpected_end_with_a_remedy(cli: Any) -> None:
    spec = speaking(cli, "signal.raise_signal(signal.SIGTERM)", "import signal")
    result = cli("compare", *SMALL, "--strategies", spec, "--no-baselines", "--out", "kept", "--json")
    error = json.loads(result.stdout)["error"]
    assert result.exit_code == 70
    assert error["message"] == (
        f"Halted: a process that ran strategies has died (SIGTERM) ({spec} at no limit with sim:skill=0.6, at game24-1-000000)"
    )
    assert (
        "What is answered is kept in 'kept': the same comparison goes on from there. The traceback is in"
        in error["remedy"]
    )


def test_a_suite_of_ones_own_in_a_file_is_a_task(cli: Any) -> None:
    from tests.lab.test_own_suites import PRODUCTS

    (cli.folder / "products.py").write_text(PRODUCTS)
    words = ("compare", "--task", "products.py:Products", "--strategies", "direct", "--items", 2, "--processes", 1,
             "--no-baselines", "--model", "sim:skill=1", "--out", "kept")  # fmt: skip
    assert cli.json(*words)["rows"][0]["accuracy"] == 1.0
    (cli.folder / "products.py").write_text(PRODUCTS + "# edited\n")
    result = cli(*words)
    assert result.exit_code == 2
    assert "products.py:Products as it was: its source has changed since" in result.stderr


def test_what_was_kept_is_said_once_before_going_on(cli: Any) -> None:
    words = ("compare", *SMALL, "--strategies", "direct", "--no-baselines", "--out", "kept")
    assert cli(*words).stderr == ""
    answers = cli.folder / "kept" / "answers.jsonl"
    assert cli(*words).stderr == "6 of 6 answers were kept in kept; nothing is asked again\n"
    answers.write_bytes(b"".join(answers.read_bytes().splitlines(keepends=True)[:4]))
    assert cli(*words, "--json").stderr == "4 of 6 answers were kept in kept; going on\n"
    assert cli(*words, "--quiet").stderr == ""


def test_a_strategy_that_breaks_its_formula_is_named_on_stderr(cli: Any) -> None:
    spec = written(cli.folder / "mine.py", f"await run.ask(reply, question=task.question)\n{RIGHT}")
    result = cli("compare", *SMALL, "--strategies", f"{spec},direct", "--no-baselines")
    said = f"! {spec} at no limit made up to 2 calls on 6 of 6 items; its formula allows 1"
    assert result.stderr == f"{said}\n"
    assert result.exit_code == 0
    assert result.stdout.splitlines().count(said) == 1
    assert "Paired tests\n  0 of 1 difference resolved\n  direct less " in result.stdout
    swept = cli(
        "simulate", spec, "--task", "word_problems", "--vary", "skill=0.3:0.9:2", "--items", 2, "--processes", 1
    )
    assert swept.stderr.splitlines()[0].startswith(f"! {spec} / sim:skill=0.3")
    assert swept.stderr.count("; its formula allows 1\n") == 2


def test_an_empty_folder_name_is_a_usage_error(cli: Any) -> None:
    result = cli("compare", *SMALL, "--strategies", "direct", "--out", "")
    assert result.exit_code == 2
    assert "out is empty: it is the path of a folder" in result.stderr


def test_what_had_to_be_ended_is_said_where_no_line_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    from stratagem.cli._output import Mode
    from stratagem.cli.compare import Line
    from stratagem.lab._compare import Progress

    line = Line(Mode([]), None)
    line(Progress(1, 9, 0, 33.0, "my.py:solve at seconds=2, a-1: did not give control back"))
    line(Progress(2, 9, 0, 66.0))
    assert capsys.readouterr().err == "! my.py:solve at seconds=2, a-1: did not give control back\n"
