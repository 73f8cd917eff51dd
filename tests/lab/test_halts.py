"""What ends a comparison is named with strategy, budget, item and how to go on; what a strategy raises ends none."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import ModelError, UsageError
from stratagem.lab._crew import Halt
from stratagem.lab._folder import ANSWERS
from stratagem.lab._halts import Halted, explained
from tests.lab.test_guards import ASK, HEAD, written

SETTINGS: dict[str, Any] = {"model": "sim:skill=1", "items": 3, "baselines": False, "processes": 1}
WITHOUT = "Nothing is kept: with `--out DIR` answers are, and the same comparison goes on from there."


def script(tmp_path: Path, *replies: str) -> str:
    lines = [json.dumps({"signature": "direct.answer", "reply": one}) for one in replies]
    (tmp_path / "s.jsonl").write_text("\n".join(lines))
    return f"script:{tmp_path / 's.jsonl'}"


def test_a_model_that_fails_is_named_with_where_it_was_and_how_to_go_on(tmp_path: Path) -> None:
    model = script(tmp_path, "7", "8")
    given = {**SETTINGS, "model": model, "width": 1, "budget": "calls=2/4"}
    with pytest.raises(ModelError) as caught:
        lab.compare("word_problems", "direct", **given)
    assert str(caught.value).endswith(f"(direct at calls=4 with {model}, at word_problems-1-000002)")
    assert caught.value.remedy.endswith(WITHOUT)
    with pytest.raises(ModelError) as caught:
        lab.compare("word_problems", "direct", out=tmp_path / "kept", **given)
    kept = str(tmp_path / "kept")
    assert caught.value.remedy.endswith(
        f"What is answered is kept in {kept!r}: the same comparison goes on from there."
    )
    assert (tmp_path / "kept" / ANSWERS).read_bytes().count(b"\n") == 2


def test_no_remedy_of_a_comparison_speaks_of_a_run() -> None:
    halt = Halt(ModelError("no"), 0, {"budget": "", "model": "a:b"}, [1, 2, 0, 3])
    failure = explained(halt, lambda _: "direct", lambda n: f"i{n}", None)
    assert isinstance(failure, ModelError)
    assert str(failure) == "no (direct at no limit with a:b, at i0, i1, i2 and 1 more)"
    assert failure.remedy == f"Check the provider and repeat the comparison. {WITHOUT}"


def test_a_limit_that_cannot_be_enforced_is_named_likewise(tmp_path: Path) -> None:
    given = {
        **SETTINGS,
        "model": "openai:none",
        "base_url": "http://127.0.0.1:9/v1",
        "max_tokens": 5,
        "budget": "usd=1",
    }
    with pytest.raises(UsageError) as caught:
        lab.compare("word_problems", "direct", out=tmp_path / "kept", **given)
    assert str(caught.value).endswith("(direct at usd=1.0 with openai:none, at word_problems-1-000000)")


def test_a_failing_pilot_says_that_it_is_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        lab.compare(
            "word_problems", "direct", **{**SETTINGS, "model": script(tmp_path), "baselines": True, "budget": "calls=2"}
        )
    assert "(chain_of_thought, asked what a call costs, at no limit with script:" in str(caught.value)
    assert str(caught.value).endswith(", at question 1)")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_that_dies_is_named_with_what_it_was_at_and_the_others_are_kept(tmp_path: Path) -> None:
    spec = written(tmp_path / "mine.py", "signal.raise_signal(signal.SIGKILL)", calls="0", before="import signal\n")
    with pytest.raises(Halted) as caught:
        lab.compare("word_problems", f"direct,{spec}", out=tmp_path / "kept", budget="calls=3", **SETTINGS)
    assert str(caught.value) == (
        f"a process that ran strategies has died (SIGKILL) ({spec} at calls=3 with sim:skill=1.0, at word_problems-1-000000)"
    )
    assert caught.value.remedy.startswith(
        "See if there is memory enough; fewer `--processes` need less. What is answered"
    )
    assert (tmp_path / "kept" / ANSWERS).read_bytes().count(b"\n") == 3


LEAVES = '''
class Odd(BaseException):
    """Of no kind that anybody expects."""
'''
KINDS = {
    "exits": ("SystemExit(3)", "SystemExit: 3"),
    "interrupts": ("KeyboardInterrupt", "KeyboardInterrupt"),
    "cancels": ("asyncio.CancelledError", "CancelledError"),
    "is_odd": ("Odd('oh')", "Odd: oh"),
}
ONE = '''
async def KIND_leaves(run: Run, number: int) -> str:
    if number == 1:
        raise WHAT
    await asyncio.sleep(0)
    return "7"

@strategy(calls="3")
async def KIND(run: Run, task: Task) -> Answer:
    """Try."""
    HOW
    return task.answer("7")
'''


@pytest.mark.parametrize(
    "how",
    [
        "await run.map(LEAVES, [0, 1, 2])",
        "async with run.pool(LEAVES) as pool:\n        pool.start(1)\n        await anext(pool)",
        "await asyncio.gather(LEAVES(run, 1), asyncio.sleep(0))",
        "await LEAVES(run, 1)",
    ],
)
def test_whatever_leaves_a_strategy_by_any_way_is_the_failure_of_its_item(tmp_path: Path, how: str) -> None:
    path = tmp_path / "mine.py"
    made = [
        ONE.replace("HOW", how).replace("LEAVES", "KIND_leaves").replace("KIND", kind).replace("WHAT", what)
        for kind, (what, _) in KINDS.items()
    ]
    path.write_text(f"import asyncio\n{HEAD}{ASK}{LEAVES}{''.join(made)}")
    lines = path.read_text().splitlines()
    report = lab.compare("word_problems", [*(f"{path}:{kind}" for kind in KINDS), "direct"], **SETTINGS)
    assert [row["accuracy"] for row in report.rows] == [0.0] * 4 + [1.0]
    assert [(one["items"], one["reason"]) for one in report.failures] == [
        (3, f"{said} (mine.py, line {lines.index(f'        raise {what}') + 1})") for what, said in KINDS.values()
    ]
