"""kill -9 at every effect of a nested concurrent run: nothing recorded is performed again, nothing is mixed up."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "nested.py"
EFFECTS = 60


def killed_and_resumed(folder: Path, scenarios: list[tuple[int, str]]) -> list[Any]:
    """Kill a process in each scenario, continue all of them in a new one, and return what came of each."""
    (folder / "scenarios.json").write_text(json.dumps(scenarios))
    for verb in ("kill", "resume"):
        command = [sys.executable, "-W", "ignore::DeprecationWarning", str(PROGRAM), verb, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "resumed.json").read_text())


def checked(found: Any, whole: Any, scenario: tuple[int, str]) -> int:
    """Check one scenario against the uninterrupted run; return how many calls were paid twice."""
    recorded = Counter(map(str, found["recorded"]))
    before, again = Counter(map(str, found["before"])), Counter(map(str, found["again"]))
    assert not recorded & again, f"{scenario}: performed again although recorded: {recorded & again}"
    assert set(recorded) <= set(before), f"{scenario}: recorded, but never performed"
    total = before + again
    assert set(total) == set(map(str, whole["before"] + whole["again"])), (
        f"{scenario}: other calls than without a crash"
    )
    assert max(total.values()) <= 2, f"{scenario}: paid more than once more"
    assert found["stop"] == "answered"
    assert found["text"] == whole["text"], f"{scenario}: another answer"
    assert found["calls"] == whole["calls"]
    twice = sum(count - 1 for count in total.values())
    assert twice == sum((before - recorded).values()) - found["text"].count("nobody knows") - _sent(
        found, before, recorded
    )
    return twice


def _sent(found: Any, before: Counter[str], recorded: Counter[str]) -> int:
    """Return how many mails were in flight at the crash: a person said what became of them."""
    mail = str(["tool", "mail", "b"])
    in_flight = before[mail] - recorded[mail]
    assert len(found["questions"]) >= in_flight
    return in_flight


def uninterrupted(folder: Path) -> Any:
    folder.mkdir()
    (whole,) = killed_and_resumed(folder, [(EFFECTS + 1, "never")])
    assert (len(whole["before"]), len(whole["again"]), whole["stop"]) == (EFFECTS, 0, "answered")
    assert whole["calls"] == 46
    return whole


def test_a_run_is_continued_after_a_kill_at_every_effect(tmp_path: Path) -> None:
    whole = uninterrupted(tmp_path / "whole")
    scenarios = [(at, when) for at in range(1, EFFECTS + 1) for when in ("before", "after")]
    found = killed_and_resumed(tmp_path, scenarios)
    twice = [checked(one, whole, scenario) for one, scenario in zip(found, scenarios, strict=True)]
    assert max(twice) <= 4 * 2 + 1  # at most what was in flight: four branches with two draws each, and one
    assert any(one["questions"] for one in found)  # a mail was begun and not recorded
    assert sum(one["rows"] == 0 for one in found) >= 2


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(4))
def test_a_run_is_continued_after_a_kill_at_any_moment(tmp_path: Path, seed: int) -> None:
    whole = uninterrupted(tmp_path / "whole")
    dice = random.Random(seed)
    scenarios = [(at, f"turns {dice.randrange(12)}") for at in range(1, EFFECTS + 1)]
    scenarios += [(dice.randrange(1, EFFECTS + 1), f"micros {dice.randrange(1, 20_000)}") for _ in range(60)]
    found = killed_and_resumed(tmp_path, scenarios)
    for one, scenario in zip(found, scenarios, strict=True):
        checked(one, whole, scenario)
