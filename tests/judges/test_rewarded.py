from typing import Any

import pytest

from stratagem.core import Answer, Observation, Step, Task, ToolCall, Transcript, Verdict
from stratagem.judges.rewarded import rewarded
from stratagem.testing import scripted


def after(*results: Any) -> Answer:
    """An answer whose moves brought these results."""
    steps = Transcript()
    for number, result in enumerate(results):
        steps = steps.then(Step("", (ToolCall("go"),)), Observation(f"room {number}", result=result))
    return Answer("done", steps=steps)


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ([{"reward": 1.0}], Verdict(True, 1.0, "room 0")),
        ([{"reward": 0}], Verdict(False, 0.0, "room 0")),
        ([{"reward": 1}, {"reward": 0.25}], Verdict(False, 0.25, "room 1")),  # the last one counts
        ([{"reward": 0.5}, None, {"left": 3}, [1]], Verdict(False, 0.5, "room 0")),  # not every move brings one
        ([{"reward": 7}], Verdict(True, 1.0, "room 0")),
        ([{"reward": -2}], Verdict(False, 0.0, "room 0")),
        ([{"reward": 1}, "a reward", ["reward"]], Verdict(True, 1.0, "room 0")),
        ([None], Verdict(False, 0.0, "No move brought a reward.")),
        ([], Verdict(False, 0.0, "No move brought a reward.")),
    ],
)
async def test_the_last_reward_decides(results: list[Any], verdict: Verdict) -> None:
    assert await rewarded(scripted({}), Task("?"), after(*results)) == verdict


async def test_it_asks_nobody_and_says_that_it_uses_the_reward() -> None:
    run = scripted({}, calls=0)
    await rewarded(run, Task("?"), after({"reward": 1}))
    assert not run.ledger
    assert rewarded.max_calls == rewarded.min_calls == 0
    assert rewarded.needs == {"reward"}


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("brought[-1]", "brought[0]"),
    ("float(last.result[REWARD])", "max(float(seen.result[REWARD]) for seen in brought)"),
    ("max(0, reward)", "reward"),
    ("min(1, max(0, reward))", "max(0, reward)"),
    ("last.text)", '"")'),
    ('needs="reward"', 'needs="nothing"'),
    ("isinstance(result, Mapping) and REWARD in result", "isinstance(result, Mapping)"),
    ("isinstance(result, Mapping) and REWARD in result", "bool(result) and REWARD in result"),
]
