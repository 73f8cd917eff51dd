"""kill -9 at every effect of a nested concurrent run: nothing recorded is performed again, nothing is mixed up."""

import hashlib
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.journals._postgres import database_of

PROGRAM = Path(__file__).parent / "programs.py"
EFFECTS = {"nested": 60, "small": 20}
CALLS = {"nested": 46, "small": 14}
ANSWERS = 1  # the parked question
RANDOM_KILLS = 500
LANES = 4  # scenarios at a time: most of their time they wait for the disk

Scenario = list[tuple[int, str]]


class Figures(NamedTuple):
    """What came of some scenarios."""

    kills: int
    performed: int
    in_flight: int  # performed once more, because they were in flight at a kill
    again: int  # performed again although recorded
    wrong: int  # values of another call

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.performed:,} effects performed, {self.in_flight} of them a second time because "
            f"they were in flight, {self.again} although recorded, {self.wrong} wrong values"
        )


def lived(folder: Path, journal: str, program: str, scenarios: list[Scenario]) -> list[Any]:
    """Live through all scenarios in processes of their own, some side by side; return what came of each."""
    lanes: list[tuple[Path, subprocess.Popen[str]]] = []
    for number in range(min(LANES, len(scenarios))):
        lane = folder / str(number)
        lane.mkdir(parents=True)
        spec = journal.replace("{folder}", str(lane)).replace("{lane}", hashlib.sha256(bytes(lane)).hexdigest()[:12])
        plan = {"journal": spec, "program": program, "scenarios": scenarios[number::LANES]}
        (lane / "plan.json").write_text(json.dumps(plan))
        command = [sys.executable, "-W", "ignore::DeprecationWarning", str(PROGRAM), str(lane)]
        lanes.append((lane, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)))
    found: list[Any] = [None] * len(scenarios)
    for number, (lane, process) in enumerate(lanes):
        _, said = process.communicate(timeout=1500)
        assert process.returncode == 0, said[-3000:]
        found[number::LANES] = json.loads((lane / "found.json").read_text())
    return found


def kept(keys: list[Any]) -> Counter[str]:
    return Counter(str(key[:3] if key[0] == "tool" else key) for key in keys if key[0] != "answer")


def checked(found: Any, whole: Any, scenario: Scenario) -> Figures:
    """Compare a scenario key by key with the run that nobody interrupted; return its figures."""
    total = Counter[str]()
    again = in_flight = 0
    lives = found["lives"]
    for one, later in zip(lives[-2::-1], lives[:0:-1], strict=True):
        if one["recorded"] is None:  # it has performed nothing, so it would have found the same
            one["recorded"] = later["recorded"]
    for one, later in zip(lives, [*lives[1:], {"recorded": found["recorded"]}], strict=True):
        recorded, performed, next_known = kept(one["recorded"]), kept(one["performed"]), kept(later["recorded"])
        assert not recorded & performed, f"{scenario}: performed again although recorded: {recorded & performed}"
        again += (recorded & performed).total()
        assert max(performed.values(), default=0) <= 1, f"{scenario}: performed twice by one process"
        assert recorded <= next_known, f"{scenario}: what was recorded is gone"
        in_flight += (performed - next_known).total()
        total += performed
        # A server may still commit what a process had sent before it was killed, after the next one has looked.
        assert set(next_known) <= set(total + _told(next_known)), f"{scenario}: recorded, but never performed"
    assert set(total) == set(kept(whole["lives"][0]["performed"])), f"{scenario}: other effects than without a kill"
    kills = sum(one["killed"] for one in lives)
    assert max(total.values()) <= 1 + kills, f"{scenario}: in flight more than once more per kill"
    assert total[str(["tool", "mail", "b"])] <= 1, f"{scenario}: `once` performed twice"
    posted = {tuple(key[2:]) for one in lives for key in one["performed"] if key[1] == "post"}
    assert len(posted) == 2, f"{scenario}: `keyed` performed again under another key"
    assert found["stop"] == "answered"
    assert found["text"] == whole["text"], f"{scenario}: another answer"
    assert found["calls"] == whole["calls"]
    assert kept(found["recorded"]) == kept(whole["recorded"])
    twice = total.total() - len(total)
    assert twice <= in_flight  # nothing but what was in flight is performed once more
    return Figures(kills, total.total(), twice, again, 0)


def _told(recorded: Counter[str]) -> Counter[str]:
    """Return what a person may have said of the mail: recorded by one process, performed by an earlier one."""
    mail = str(["tool", "mail", "b"])
    return Counter({mail: recorded[mail]})


def summed(figures: list[Figures]) -> Figures:
    return Figures(*(sum(column) for column in zip(*figures, strict=True)))


def uninterrupted(folder: Path, journal: str, program: str) -> Any:
    (whole,) = lived(folder, journal, program, [[]])
    (life,) = whole["lives"]
    assert kept(life["performed"]).total() == EFFECTS[program]
    assert (whole["stop"], whole["calls"], whole["questions"]) == ("answered", CALLS[program], ["Which colour?"])
    return whole


def matrix(program: str) -> list[Scenario]:
    """Return a kill just before and just after every effect, and every answer to a question."""
    last = EFFECTS[program] + ANSWERS
    return [[(at, when)] for at in range(1, last + 1) for when in ("before", "after")]


def at_random(program: str, kills: int, seed: int, seconds: float) -> list[Scenario]:
    """Return so many kills: some at random effects, some at random times, some of a process that continues."""
    dice = random.Random(seed)
    scenarios: list[Scenario] = []
    while kills > 0:
        lives: Scenario = []
        for _ in range(min(kills, dice.choice((1, 1, 2, 3)))):
            when = dice.choice(
                ("before", "after", f"turns {dice.randrange(12)}", f"seconds {dice.uniform(0, seconds)}")
            )
            lives.append((dice.randint(1, EFFECTS[program] + ANSWERS), when))
        kills -= len(lives)
        scenarios.append(lives)
    return scenarios


def check_all(folder: Path, journal: str, program: str, scenarios: list[Scenario]) -> tuple[list[Any], Figures]:
    whole = uninterrupted(folder / "whole", journal, program)
    found = lived(folder / "killed", journal, program, scenarios)
    return found, summed([checked(one, whole, scenario) for one, scenario in zip(found, scenarios, strict=True)])


def test_a_run_is_continued_after_a_kill_at_every_effect(tmp_path: Path) -> None:
    found, figures = check_all(tmp_path, "sqlite:{folder}/{}.sqlite", "nested", matrix("nested"))
    assert figures.kills == 2 * (EFFECTS["nested"] + ANSWERS)
    assert figures.in_flight <= figures.kills * 9  # four branches with two draws each, and one
    assert any("Did mail" in str(one["questions"]) for one in found)  # a mail was begun and not recorded
    assert sum(not one["lives"][1]["recorded"] for one in found) >= 2


def test_on_a_server_a_run_is_continued_after_a_kill_at_every_effect(tmp_path: Path) -> None:
    _, figures = check_all(tmp_path, on_server(tmp_path), "small", matrix("small"))
    assert figures.kills == 2 * (EFFECTS["small"] + ANSWERS)
    assert figures.in_flight <= figures.kills * 5  # two branches with two draws each, and one


def on_server(folder: Path) -> str:
    """Return the URL of a database, with a schema for each lane: a lane has all its runs in one."""
    return database_of(folder) + "?schema=lane_{lane}"


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_run_is_continued_after_any_kill(tmp_path: Path, kind: str, capsys: Any) -> None:
    journal = "sqlite:{folder}/{}.sqlite" if kind == "sqlite" else on_server(tmp_path)
    _, figures = check_all(tmp_path / "matrix", journal, "nested", matrix("nested"))
    with capsys.disabled():
        print(f"\n{kind}, before and after every effect: {figures}")
    # Some come too late, because the process has ended.
    scenarios = at_random("nested", RANDOM_KILLS * 3 // 2, 20261126, 0.6 if kind == "sqlite" else 1.0)
    _, figures = check_all(tmp_path / "random", journal, "nested", scenarios)
    with capsys.disabled():
        print(f"{kind}, at random: {figures}")
    assert figures.kills >= RANDOM_KILLS
