"""Under every limit a search concludes, a judge judges, and baselines spend what there is, however long a reply takes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.core import Budget
from stratagem.lab import _plan
from stratagem.lab._plan import samples
from stratagem.strategies import best_of_n

SLOW = "sim:skill=0.5,judge=0.95,latency=1,price=1"


def compared(task: str, strategy: str, budget: str, **settings: Any) -> lab.Report:
    given = {"model": SLOW, "items": 12, "seed": 3, "baselines": False, "processes": 1, **settings}
    return lab.compare(task, strategy, budget=budget, **given)


@pytest.mark.parametrize(
    "budget",
    ["tokens=500/900/3000/9000", "prompt_tokens=500/3000/8000", "completion_tokens=300/1000", "usd=0.0005/0.001/0.01", "seconds=3/5/7/12"],
)  # fmt: skip
@pytest.mark.parametrize(
    "strategy",
    [
        "tree_of_thoughts",
        "tree_of_thoughts(search='depth',width=3)",
        "tree_of_thoughts(generate=sample,evaluate=vote_across)",
    ],
)
def test_a_search_concludes_under_every_limit(strategy: str, budget: str) -> None:
    report = compared("game24", strategy, budget)
    for at, row in enumerate(report.rows):
        stops = Counter(item["stop"][at] for item in report.items)
        assert (row["budget"], stops) == (row["budget"], {"answered": 12})


@pytest.mark.parametrize(
    "budget", ["calls=10", "tokens=2500", "prompt_tokens=1500", "completion_tokens=1000", "usd=0.0025"]
)
def test_how_long_a_reply_takes_does_not_change_what_best_of_n_makes_of_a_budget(budget: str) -> None:
    rows = [
        compared("word_problems", "best_of_n(n=40)", budget, items=20, model=f"sim:skill=0.4,judge=0.95,price=1{slow}").rows[0]
        for slow in ("", ",latency=1")
    ]  # fmt: skip
    assert [rows[0][key] for key in ("accuracy", "calls_per_item")] == [
        rows[1][key] for key in ("accuracy", "calls_per_item")
    ]
    assert rows[0]["accuracy"] >= 0.7


@pytest.mark.parametrize("budget", ["calls=10", "tokens=2500"])
def test_samples_are_judged_where_the_first_of_them_cannot_be_read(budget: str) -> None:
    quick, slow = (
        compared("word_problems", "best_of_n(n=40)", budget, items=60, model=f"sim:skill=0.4,tpr=1,fpr=0,format=0.3{late}").rows[0]
        for late in ("", ",latency=1")
    )  # fmt: skip
    assert quick["accuracy"] == slow["accuracy"]
    assert quick["calls_per_item"] == slow["calls_per_item"] > 9


def test_a_chain_goes_on_after_a_round_that_cannot_be_read() -> None:
    row = compared("word_problems", "longer_chain(rounds=50)", "calls=10", model="sim:format=0.3").rows[0]
    assert row["calls_per_item"] == 10


def test_baselines_are_sized_by_the_shortest_questions_and_spend_the_budget(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    long = "Nothing of this preamble matters. " * 200
    rows = [f'{{"question": "{long}What is {i} plus 1?", "answer": "{i + 1}", "split": "train"}}' for i in range(3)]
    rows += [f'{{"question": "What is {i} plus {i}?", "answer": "{2 * i}"}}' for i in range(8)]
    file.write_text("\n".join(rows))
    report = compared(str(file), "direct", "tokens=4000", model="sim:skill=0.4", baselines=True, items=None)
    assert all(row["tokens_per_item"] > 3600 for row in report.rows if row["baseline"])
    assert "not the budget, ended" not in str(report)


def test_where_only_time_is_limited_the_report_says_what_the_number_ended() -> None:
    report = compared("word_problems", "direct", "seconds=4", items=3, baselines=True)
    rows = {row["strategy"]: row for row in report.rows}
    assert report.manifest["pilot"]["seconds"] == 1
    assert rows["longer_chain(k)"]["seconds"] == 4
    assert rows["self_consistency(k)"]["calls_per_item"] == 32
    assert "! self_consistency(k) at seconds=4.0: 32 calls, not the budget, ended 3 of 3 items" in str(report)
    assert "! longer_chain" not in str(report)
    assert samples(Budget(seconds=600), {"seconds": 1.0}) == 1200
    assert samples(Budget(seconds=60), {"seconds": 1.0}) == _plan.MOST_AT_ONCE
    assert samples(Budget(seconds=60, calls=7), {"seconds": 1.0}) == 7


ACTING = """
from stratagem.tasks.blocksworld import Blocksworld

class Acting(Blocksworld):
    name = "acting"

    def __init__(self):
        super().__init__(acting=True)
"""


def test_the_baseline_of_a_strategy_that_is_rewarded_acts(tmp_path: Path) -> None:
    file = tmp_path / "acting.py"
    file.write_text(ACTING)
    for given in ("reflexion(judge=rewarded)", "best_of_n(n=2, judge=checked, sampler=reflexion(judge=rewarded))"):
        report = compared(f"{file}:Acting", given, "tokens=20000", baselines=True, model="sim:skill=0.8", seed=1)
        row = next(row for row in report.rows if row["strategy"] == "best_of_n(k, rewarded)")
        assert row["needs"] == ["reward"]
        assert row["accuracy"] > 0.9
        (spec,) = report.manifest["specs"]["best_of_n(k, rewarded)"]
        assert "sampler=react(max_steps=30, repeats=2), judge=rewarded" in spec
    assert best_of_n.needs == frozenset()
