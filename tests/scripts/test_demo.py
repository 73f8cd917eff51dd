"""The demo as a newcomer runs it: in a process of its own, twice in one home."""

import csv
import re
import sqlite3
import statistics
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stratagem.tools.builtin.locators import Opened, open_locator

ROOT = Path(__file__).resolve().parents[2]
WEATHER = ROOT / "docs" / "data" / "seattle-weather.csv"
CITATION = re.compile(r"^  \[(\d+)\] +(.+)$", re.MULTILINE)
LAST = re.compile(r"(\d) of (\d) answered · 0 model tokens · runs ([a-z\d]{8}(?: [a-z\d]{8})*)")


class Shown:
    """What one run of the demo printed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        command = [sys.executable, "scripts/demo.py", "--home", str(home)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT, check=False, timeout=120)
        self.status, self.text, self.error = done.returncode, done.stdout, done.stderr
        self.last = self.text.splitlines()[-1] if self.text else ""
        self.questions = re.split(r"^\d+\. ", self.text, flags=re.MULTILINE)[1:]
        self.cited = {number: self.opened(source) for number, source in CITATION.findall(self.text)}

    def opened(self, source: str) -> Opened:
        return open_locator([ROOT / "docs", self.home / "demo"], source)

    def answers(self) -> list[str]:
        return re.findall(r"^  answer    (.+)$", self.text, re.MULTILINE)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shown, Shown]:
    """The demo in a new home, and once more in the same one."""
    home = tmp_path_factory.mktemp("demo")
    return Shown(home), Shown(home)


@pytest.fixture(params=[0, 1], ids=["the first time", "the second time"])
def shown(request: pytest.FixtureRequest, runs: tuple[Shown, Shown]) -> Shown:
    return runs[request.param]


def weather(column: str, beginning: str = "") -> list[float]:
    with WEATHER.open(encoding="utf-8", newline="") as file:
        return [float(row[column]) for row in csv.DictReader(file) if row["date"].startswith(beginning)]


def test_every_question_is_answered_and_the_last_line_says_so(shown: Shown) -> None:
    assert (shown.status, shown.error) == (0, "")
    found = LAST.fullmatch(shown.last)
    assert found is not None, shown.last
    assert found[1] == found[2] == str(len(shown.questions)) == "4"
    assert len(set(found[3].split())) == 4


def test_each_question_shows_plan_calls_answer_and_computation(shown: Shown) -> None:
    for text in shown.questions:
        for mark in ("\n  plan 1 ", "\n  call ", "\n  answer ", "\n            → "):
            assert mark in text, text


def test_every_citation_is_numbered_and_is_cited_by_an_answer(shown: Shown) -> None:
    assert list(shown.cited) == [str(number) for number in range(1, 7)]
    assert re.findall(r"\[(\d+)\]", " ".join(shown.answers())) == list(shown.cited)


def test_what_is_quoted_from_the_manual_stands_in_the_cited_line(shown: Shown) -> None:
    assert shown.answers()[0] == "[1] | 4 | the budget ended; the best answer so far is printed |"
    assert shown.cited["1"].locator.path == "docs/manual.md"
    assert f"[1] {shown.cited['1'].text}" == shown.answers()[0]


def test_the_mean_is_that_of_the_cited_rows_and_of_the_file(shown: Shown) -> None:
    value = float(shown.answers()[1].rpartition(": ")[2])
    rows = [row for _, row in shown.cited["2"].rows]
    assert len(rows) == 365
    assert value == pytest.approx(statistics.fmean(float(row["precipitation"]) for row in rows), abs=1e-10)
    assert value == pytest.approx(statistics.fmean(weather("precipitation", "2013/")), abs=1e-10)


def test_the_month_with_most_rainy_days_is_that_of_the_database(shown: Shown) -> None:
    assert shown.answers()[2].endswith(": 2012-12 (rainy_days 27)")
    with closing(sqlite3.connect(shown.home / "demo" / "weather.db")) as database:
        best = database.execute("SELECT month, rainy_days FROM months ORDER BY rainy_days DESC LIMIT 2").fetchall()
    assert best[0] == ("2012-12", 27) != best[1]
    assert sum(amount > 0 for amount in weather("precipitation", "2012/12/")) == 27
    assert [row["month"] for _, row in shown.cited["4"].rows] == ["2012-12"]
    assert len(shown.cited["3"].rows) == 48


def test_the_windiest_days_and_their_mean_are_those_of_the_file(shown: Shown) -> None:
    assert shown.answers()[3].endswith(": 2012/12/17 (9.5); 2013/12/01 (8.8); 2014/01/11 (8.8)")
    assert sorted(weather("wind"), reverse=True)[:4] == [9.5, 8.8, 8.8, 8.2]
    assert {"2012/12/17", "2013/12/01", "2014/01/11"} < {str(row["date"]) for _, row in shown.cited["5"].rows}
    assert shown.answers()[4] == "[6] (9.5 + 8.8 + 8.8) / 3 = 271/30 (9.03333333333)"
    assert shown.cited["6"].lines == ("(9.5 + 8.8 + 8.8) / 3 = 271/30",)


def test_the_first_question_recalls_nothing_at_first_and_the_earlier_run_later(runs: tuple[Shown, Shown]) -> None:
    first, second = runs
    earlier = first.last.rpartition("runs ")[2].split()[0]
    assert "  recalled  " not in first.questions[0]
    assert f"  recalled  run {earlier}: What does exit code 4 mean?" in second.questions[0]


def test_the_lines_to_try_next_can_be_run(runs: tuple[Shown, Shown]) -> None:
    lines = re.findall(r"^  (stratagem .+?)  ", runs[0].text, re.MULTILINE)
    assert [line.split()[1] for line in lines] == ["run", "run", "show", "models"]
    for line in lines[2:]:
        command = [str(Path(sys.executable).parent / "stratagem"), *line.split()[1:]]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), line


def test_the_readme_shows_what_it_prints(runs: tuple[Shown, Shown]) -> None:
    block = (ROOT / "README.md").read_text("utf-8").partition("```text\n2. ")[2].partition("```")[0]
    shown = [line for line in block.splitlines() if line != "..."]
    assert len(shown) == 6
    assert [line for line in shown[:-1] if line not in runs[0].questions[1].splitlines()] == []
    assert shown[-1].partition("runs ")[0] == runs[0].last.partition("runs ")[0]


def test_what_goes_wrong_is_said_and_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no database" * 500)
    shown = Shown(tmp_path)
    assert shown.status == 1
    assert "journal.sqlite" in shown.error
    assert "Traceback" not in shown.error
