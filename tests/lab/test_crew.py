"""The processes that run strategies: who does not give control back is ended, who dies is named, who is left ends silently."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stratagem import lab
from stratagem.lab import _crew
from stratagem.lab._crew import Crew, Halt, _Hand
from tests.lab.test_guards import RIGHT, written
from tests.lab.test_resuming import answered, begun

SETTINGS: dict[str, Any] = {"model": "sim:skill=1", "items": 3, "baselines": False, "processes": 1}


@pytest.mark.parametrize("does", ["pass", "await asyncio.sleep(0)"])
def test_an_item_that_keeps_its_process_is_wrong_and_the_others_go_on(
    does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valid: Any
) -> None:
    monkeypatch.setattr(_crew, "GRACE", 10)
    second = lab.compare("word_problems", "direct", **SETTINGS).items[1]["question"]
    body = f"while task.question == {second!r}:\n    {does}\n{RIGHT}"
    spec = written(tmp_path / "mine.py", body, before="import asyncio\n")
    report = lab.compare("word_problems", f"{spec},direct", budget="seconds=0.5", out=tmp_path / "kept", **SETTINGS)
    assert [one["right"] for one in report.items] == [[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    (failure,) = report.failures
    assert (failure["kind"], failure["items"], failure["first"]) == ("error", 1, "word_problems-1-000001")
    assert failure["reason"] == (
        "did not give control back within 10.5 s, and was ended; what it had spent is not known"
    )
    row = report.rows[0]
    costs = ("calls_per_item", "tokens_per_item", "usd", "seconds")
    assert [row[name] for name in costs] == [None] * 4  # what one item has cost is unknown, and so is the average
    assert [[one[name][0] for name in ("calls", "tokens", "critical_path")] for one in report.items] == [
        [1, report.items[0]["tokens"][0], 1], [None, None, None], [1, report.items[2]["tokens"][0], 1],
    ]  # fmt: skip
    assert report.critical_paths() == [None, 1.0]
    assert [one["strategy"] for one in report.pareto] == ["direct"]
    (line,) = (line for line in str(report).splitlines() if line.startswith(f"    {spec}"))
    assert line.split()[-5:] == ["unknown"] * 5
    assert report.html().count('<td class="n">unknown</td>') == 6  # and the seconds of the other row
    valid(report.plain(), "compare")
    again = lab.compare("word_problems", f"{spec},direct", budget="seconds=0.5", out=tmp_path / "kept", **SETTINGS)
    assert again.items == report.items
    assert again.rows == report.rows


class Told(Crew):
    """A crew without processes, which notes what it would tell them."""

    def __init__(self) -> None:
        super().__init__({}, 1)
        self.told: list[Any] = []

    def _start(self) -> _Hand:
        hand = _Hand(SimpleNamespace(kill=int, wait=int, stdin=None, stdout=None))  # type: ignore[arg-type]
        self._hands.append(hand)
        return hand

    def _tell(self, hand: _Hand, form: Any) -> None:
        self.told.append(form)


def job(number: int, items: list[int], budget: str = "seconds=1") -> dict[str, Any]:
    return {
        "job": number,
        "cell": 7,
        "budget": budget,
        "model": "a:b",
        "width": 8,
        "items": [[n, "?", n] for n in items],
    }


def stuck(begun_at: dict[int, float], jobs: list[dict[str, Any]]) -> tuple[Told, _Hand]:
    crew = Told()
    hand = crew._start()
    hand.jobs.extend(jobs)
    hand.begun, hand.silent = begun_at, _crew.GRACE
    return crew, hand


def test_of_several_items_under_way_each_is_done_again_alone() -> None:
    crew, hand = stuck({3: 0.0, 4: 0.0}, [job(0, [3, 4, 5, 6]), job(1, [8])])
    assert list(crew._replaced(hand)) == []
    assert hand not in crew._hands
    given = [*crew.told, *crew._waiting]
    assert [([one[0] for one in each["items"]], each["width"]) for each in given] == [
        ([3], 1), ([4], 1), ([5, 6], 8), ([8], 8)
    ]  # fmt: skip


def test_one_item_alone_has_failed_and_what_it_cost_is_unknown() -> None:
    crew, hand = stuck({3: 0.0}, [job(0, [3, 5])])
    (said,) = crew._replaced(hand)
    assert (said["cell"], said["item"], said["stop"], said["usd"], said["seconds"]) == (7, 3, "error", None, 1.0)
    assert [[one[0] for one in each["items"]] for each in crew.told] == [[5]]


def test_behind_the_third_item_that_had_to_be_ended_none_is_run() -> None:
    crew, hand = stuck({6: 0.0}, [job(0, [6, 7, 8]), job(1, [2, 9])])
    crew._ended = {7: [1, 3], 8: [1, 2, 3]}
    crew._waiting.extend([job(2, [8, 9]), {**job(3, [9]), "cell": 5}])
    assert [one["item"] for one in crew._replaced(hand)] == [6]
    assert [(one["cell"], [item[0] for item in one["items"]]) for one in crew.told] == [(7, [2]), (5, [9])]


def test_it_is_the_third_in_the_order_of_items_and_not_of_time() -> None:
    assert [_crew.last_run(ended) for ended in ([], [4, 2], [9, 4, 2], [9, 4, 7, 2])] == [None, None, 9, 7]


ENDED: dict[str, Any] = {
    "model": "sim:skill=1",
    "items": 8,
    "baselines": False,
    "processes": 1,
    "budget": "seconds=0.5",
}


def test_a_row_of_which_three_items_had_to_be_ended_is_ended_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_crew, "GRACE", 0)
    monkeypatch.setattr(_crew, "ENDED", 3)
    answers: list[tuple[int, int]] = []

    def results(crew: Crew, jobs: Any, ended: Any = None) -> Any:
        """Perform jobs as a crew would whose strategy keeps its process at items 1, 2, 4 and 6."""
        before = {cell: list(numbers) for cell, numbers in (ended or {}).items()}
        for one in jobs:
            for number, _, _ in one["items"]:
                last = _crew.last_run(before.get(one["cell"], ()))
                if one["cell"] == 0 and number in (1, 2, 4, 6) and "mine" in one["strategy"]:
                    if last is None or number <= last:
                        answers.append((one["cell"], number))
                        before.setdefault(0, []).append(number)
                        yield _crew._given_up(one, number)
                elif last is None or number <= last:
                    answers.append((one["cell"], number))
                    yield {**_crew._nothing(one["cell"], number, ""), "stop": "answered", "text": "7"}

    monkeypatch.setattr(Crew, "results", results)
    spec = written(tmp_path / "mine.py", RIGHT)
    told: list[Any] = []
    given = {**ENDED, "out": tmp_path / "kept", "on_progress": told.append}
    report = lab.compare("word_problems", f"{spec},direct", **given)
    assert [number for cell, number in answers if cell == 0] == [0, 1, 2, 3, 4]
    assert [number for cell, number in answers if cell == 1] == [*range(8)]
    (said,) = [one.ended for one in told if one.ended]
    assert said == (
        f"{spec} at seconds=0.5, word_problems-1-000001: did not give control back within 0.5 s, and was ended; what it had "
        "spent is not known; after 3 such items those behind them are not run, and counted as wrong"
    )
    ended, left = report.failures[:2]
    assert (ended["kind"], ended["items"]) == ("error", 3)
    assert left == {
        "strategy": spec, "budget": "seconds=0.5", "kind": "not run", "items": 3, "first": "word_problems-1-000005",
        "reason": "3 items before it did not give control back",
    }  # fmt: skip
    assert ":mine at seconds=0.5: 3 items were not run, first word_problems-1-000005: 3 items before" in str(report)
    # One that was stopped has other answers: some behind the third, and not yet all before it.
    kept = tmp_path / "kept" / "answers.jsonl"
    lines = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    late = [{**one, "item": number} for one, number in ((lines[0], 5), (lines[1], 6))]
    kept.write_text("".join(json.dumps(one) + "\n" for one in [*late, *lines[2:4]]), "utf-8")
    again = lab.compare("word_problems", f"{spec},direct", **given)
    assert {**again.plain(), "manifest": 0} == {**report.plain(), "manifest": 0}


def test_only_who_is_silent_and_over_its_limit_is_ended() -> None:
    now = time.monotonic()
    over, within = now - 2 * _crew.GRACE, now
    for begun_at, budget, silent, ended in (
        ({3: over}, "seconds=1", _crew.GRACE, True),
        ({3: over}, "seconds=1", _crew.GRACE - 1, False),
        ({3: within}, "seconds=1", _crew.GRACE, False),
        ({3: over}, "calls=1", 10 * _crew.GRACE, False),
        ({}, "seconds=1", _crew.GRACE, False),
    ):
        crew, hand = stuck(begun_at, [job(0, [3], budget)])
        hand.silent = silent
        assert crew._is_stuck(hand) is ended


def test_who_waits_for_something_gives_signs_of_life(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    spec = written(
        tmp_path / "mine.py",
        f"while not Path({str(flag)!r}).exists():\n    await asyncio.sleep(0.01)\nreturn task.answer('7')",
        before="import asyncio\nfrom pathlib import Path\n",
        calls="0",
    )
    (tmp_path / "s.jsonl").write_text("")
    setup = {"task": "word_problems", "blind": None, "examples": []}
    from stratagem.tasks import suite

    question = next(suite("word_problems").items(1)).question
    with Crew(setup, 1) as crew:
        crew._tell(crew._hands[0], {
            "job": 0, "cell": 0, "strategy": spec, "budget": "seconds=600", "model": f"script:{tmp_path / 's.jsonl'}",
            "width": 2, "items": [[0, question, 0]],
        })  # fmt: skip
        said = [json.loads(crew._said.get(timeout=120)[1])]
        while said[-1] != {"begun": 0}:
            said.append(json.loads(crew._said.get(timeout=120)[1]))
        for _ in range(3):
            assert json.loads(crew._said.get(timeout=120)[1]) == {"beat": 1}
        flag.touch()
        while "item" not in said[-1]:
            said.append(json.loads(crew._said.get(timeout=120)[1]))
    assert (said[-1]["text"], said[-1]["stop"]) == ("7", "answered")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_that_dies_between_two_pieces_of_work_is_noticed() -> None:
    with Crew({"task": "word_problems", "blind": None, "examples": []}, 1) as crew:
        crew._hands[0].process.kill()
        with pytest.raises(Halt) as caught:
            list(crew.results([job(0, [1])]))
    assert (caught.value.failure, caught.value.status) == (None, -signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_who_is_left_behind_says_nothing(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        process = begun(tmp_path / "kept", items=400, stderr=file)
        end = time.monotonic() + 120
        while answered(tmp_path / "kept") < 5:
            assert time.monotonic() < end
            time.sleep(0.005)
        group = [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        process.send_signal(signal.SIGKILL)
        process.wait()
        while any(os.path.exists(f"/proc/{one}") for one in group):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert errors.read_bytes() == b""
