"""What is compared: specs, budgets, baselines and the truth that strategies use."""

from pathlib import Path

import pytest

from stratagem.core import Budget
from stratagem.errors import UsageError
from stratagem.lab import _plan
from stratagem.lab._plan import budgets_of, checked_strategy, needs_of, samples, seed_of, split_specs

MINE = '''
from stratagem import Answer, Run, Task, strategy
from stratagem.strategies import direct
{imported}

@strategy(calls="1")
async def mine(run: Run, task: Task) -> Answer:
    """Ask once."""
    return await direct(run, task)
'''


def test_commas_within_brackets_and_quotes_belong_to_a_spec() -> None:
    assert split_specs("direct,self_consistency(n=5, sampler=best_of_n(n=2, judge=checked)), 'a,b'.py:f") == [
        "direct", "self_consistency(n=5, sampler=best_of_n(n=2, judge=checked))", "'a,b'.py:f",
    ]  # fmt: skip
    assert split_specs(" , ") == []


def test_one_limit_may_be_a_list() -> None:
    assert budgets_of("tokens=2000/8000,calls=5") == ("calls=5,tokens=2000", "calls=5,tokens=8000")
    assert budgets_of("calls=5") == ("calls=5",)
    assert budgets_of("") == ("",)
    for wrong, said in (
        ("tokens=1/2,calls=3/4", "one limit may be a list"),
        ("tokens=1/1", "twice"),
        ("tokns=1/2", "tokens"),
    ):
        with pytest.raises(UsageError, match=said):
            budgets_of(wrong)


def test_a_baseline_asks_for_as_many_samples_as_the_budget_pays_for() -> None:
    pilot = {"tokens": 150, "prompt_tokens": 100, "completion_tokens": 40, "usd": 0.004}
    assert samples(Budget(prompt_tokens=1000), pilot) == 10
    assert samples(Budget(completion_tokens=1000), pilot) == 100  # a reply may be shorter than those that were seen
    assert samples(Budget(tokens=1000), pilot) == 10
    assert samples(Budget(tokens=1000), pilot, in_a_row=True) == 29  # and a round shows no examples
    assert samples(Budget(tokens=1000, calls=3), pilot) == 3
    assert samples(Budget(usd=0.01), pilot) == 10
    assert samples(Budget(), pilot) == samples(Budget(seconds=3), {}) == _plan.UNLIMITED
    assert samples(Budget(calls=10**9), pilot) == _plan.MOST


def test_strategies_that_use_different_truth_are_compared_only_if_that_is_meant() -> None:
    made = [checked_strategy("direct"), checked_strategy("best_of_n(judge=checked)")]
    with pytest.raises(UsageError, match=r"different truth \(direct: nothing; best_of_n\(judge=checked\): checker\)"):
        needs_of(made, across=False)
    assert needs_of(made, across=True) == [(), ("checker",)]


@pytest.mark.parametrize(
    "imported", ["import gc", "import os.path", "from inspect import stack", "import sys as s", "x = __import__('gc')"]
)
def test_a_file_that_looks_into_its_process_is_refused(tmp_path: Path, imported: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE.format(imported=imported))
    with pytest.raises(UsageError, match=r"mine.py, line 4: a strategy that is compared may not "):
        checked_strategy(f"{file}:mine")


def test_a_file_that_does_not_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE.format(imported="import math"))
    spec, made = checked_strategy(f"{file}:mine")
    assert spec == f"{file}:mine"
    assert made.max_calls == 1


def test_the_seed_of_an_item_depends_on_its_number_and_on_nothing_else() -> None:
    assert seed_of(7, 1) == seed_of(7, 1) != seed_of(7, 2)
    assert seed_of(7, 1) != seed_of(8, 1)
    assert 0 <= seed_of("a secret", 3) < 2**31
