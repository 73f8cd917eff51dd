"""A strategy has the truth that it says it needs, and no other; what it says stands in the report."""

from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.core import Observation, Task
from stratagem.errors import CapabilityError, UsageError
from stratagem.lab._truth import as_declared
from stratagem.tasks import suite
from stratagem.tasks.blocksworld import Blocksworld
from tests.lab.test_guards import written

SETTINGS: dict[str, Any] = {"model": "sim:skill=0.3", "items": 8, "baselines": False, "processes": 1}
DIRECT = "from stratagem.strategies import direct\nfrom stratagem.judges.checked import checked\n"
ASKED = """\
hot = run.using(temperature=1.0)
answer = await direct(hot, task)
for _ in range(9):
    if {test}:
        return answer
    answer = await direct(hot, task)
return answer"""
CHECKER = "task.checker(answer.text).passed"
JUDGE = "(await checked(run, task, answer)).passed"


@pytest.mark.parametrize("test", [CHECKER, JUDGE])
def test_a_checker_that_is_used_and_not_named_ends_the_comparison(tmp_path: Path, test: str) -> None:
    spec = written(tmp_path / "mine.py", ASKED.format(test=test), calls="10", before=DIRECT)
    with pytest.raises(CapabilityError, match="uses the task's public checker and does not say so") as caught:
        lab.compare("game24", spec, **SETTINGS)
    assert '@strategy(needs="checker", ...)' in caught.value.remedy


@pytest.mark.parametrize("test", [CHECKER, JUDGE])
def test_a_checker_that_is_named_is_there_and_in_the_report(tmp_path: Path, test: str) -> None:
    spec = written(tmp_path / "mine.py", ASKED.format(test=test), calls="10", before=DIRECT)
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace('calls="10"', 'calls="10", needs="checker"'))
    report = lab.compare("game24", [spec, "direct"], across_capabilities=True, **SETTINGS)
    assert [row["needs"] for row in report.rows] == [["checker"], []]
    assert report.rows[0]["accuracy"] > report.rows[1]["accuracy"]
    with pytest.raises(UsageError, match="use different truth"):
        lab.compare("game24", [spec, "direct"], **SETTINGS)


async def test_a_move_brings_a_reward_to_those_alone_who_say_that_they_need_it() -> None:
    acting = Blocksworld(acting=True)
    item = next(iter(acting.items(1)))
    task: Task = acting.task(item.question)
    steps = acting.solve(acting.read(item.question))
    found: dict[bool, list[Observation]] = {}
    for told in (False, True):
        given = as_declared(task, frozenset({"reward"} if told else ()))
        assert given.environment is not None
        world = given.environment()
        world.reset()
        moves = {tool.name: tool for tool in world.moves()}
        found[told] = [
            await moves[name.replace("-", "_")].perform(
                dict(zip(moves[name.replace("-", "_")].required, blocks, strict=True))
            )
            for name, *blocks in (line.strip("()").split() for line in str(steps).splitlines())
        ]
    assert [seen.text for seen in found[False]] == [seen.text for seen in found[True]]
    assert [seen.result for seen in found[False]] == [None] * len(found[True])
    assert [seen.result for seen in found[True]][-1] == {"reward": 1.0}


def test_what_carries_no_truth_is_the_same_task() -> None:
    words = suite("word_problems")
    task = words.task(next(iter(words.items(1))).question)
    assert as_declared(task, frozenset()) is task


def test_strategies_that_need_a_reward_are_compared_where_moves_bring_one() -> None:
    given, few = "reflexion(actor=react(max_steps=30),judge=rewarded)", "reflexion(actor=react,judge=rewarded)"
    report = lab.compare(
        "blocksworld_acting", [given, few], model="sim:skill=1", budget="calls=60", items=5, processes=1
    )
    rows = {row["strategy"]: row for row in report.rows}
    assert (rows[given]["accuracy"], rows[given]["needs"], rows[few]["needs"]) == (1, ["reward"], ["reward"])
    assert rows[few]["accuracy"] < 1  # its actor has seven steps
    assert rows["best_of_n(k, rewarded)"]["needs"] == ["reward"]
    with pytest.raises(UsageError, match="the task blocksworld has no environment, whose reward") as caught:
        lab.compare("blocksworld", given, **SETTINGS)
    assert caught.value.remedy.startswith(
        "Take another task, such as `blocksworld_acting`, or give the strategy a judge"
    )


def test_a_world_that_never_brings_a_reward_is_refused_where_one_is_needed() -> None:
    with pytest.raises(
        UsageError, match="the environment of the task api_bank never brings a reward, which a"
    ) as caught:
        lab.compare("api_bank", "reflexion(actor=react,judge=rewarded)", **SETTINGS)
    assert "`blocksworld_acting`" in caught.value.remedy
