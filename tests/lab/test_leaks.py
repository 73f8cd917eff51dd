"""The scan from end to end: each leak is counted, and what built-in strategies show of an item is none."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.tasks import Item, suite
from tests.lab.conftest import SETTINGS
from tests.lab.test_guards import written

GIVEN: dict[str, Any] = {**SETTINGS, "budget": "calls=20", "baselines": False, "items": 4}
NOTED = '''
from stratagem import signature

BEFORE = []

@signature
def noted(question: str, notes: tuple[str, ...]) -> str:
    """Answer. The notes are of before."""
    ...
'''


def items(name: str = "game24", n: int = 4, level: int = 1) -> list[Item]:
    """Return the items of a comparison."""
    return list(suite(name).items(n, seed=7, level=level))


def scanned(task: str, spec: str, **given: Any) -> dict[str, Any]:
    """Return what the scan of a comparison says."""
    return lab.compare(task, spec, **{**GIVEN, **given}).manifest["prompt_scan"]


def noting(folder: Path, notes: str, after: str = "", calls: str = "1") -> str:
    """Write a strategy that shows notes, and return its spec."""
    body = f"notes = {notes}\ngot = await run.ask(noted, question=task.question, notes=tuple(notes))\n{after}\nreturn task.answer(got)"
    return written(folder / "mine.py", body, calls=calls, before=NOTED)


def test_an_example_that_is_a_test_item_with_its_answer_is_found_in_every_prompt(tmp_path: Path) -> None:
    shown = items()[1]
    scan = scanned("game24", noting(tmp_path, f"[{shown.question!r}, {shown.key!r}]"))
    others = [[f"game24-1-{n:06}", "game24-1-000001"] for n in (0, 2, 3)]
    assert scan["questions_of_others"] == others
    assert scan["keys_of_others"] == others
    assert scan["own_key_in_first_prompt"] == ["game24-1-000001"]
    assert scan["examples_among_items"] == []
    assert scan["clean"] is False


@pytest.mark.parametrize(("task", "level"), [("game24", 1), ("api_bank", 1), ("blocksworld", 1), ("list_sorting", 1)])
def test_a_memory_that_carries_a_question_over_is_found_at_each_later_item(
    tmp_path: Path, task: str, level: int
) -> None:
    spec = noting(tmp_path, "list(BEFORE)", "BEFORE[:] = [task.question]")
    scan = scanned(task, spec, level=level)
    named = [one.id for one in items(task, level=level)]
    assert scan["questions_of_others"] == [[later, before] for before, later in pairwise(named)]
    assert scan["keys_of_others"] == []
    assert scan["own_key_in_first_prompt"] == []


def test_a_memory_that_carries_questions_and_replies_over_is_found_although_the_model_said_them(tmp_path: Path) -> None:
    spec = noting(tmp_path, "list(BEFORE)", "BEFORE.append(got)")
    scan = scanned("game24", spec, model="sim:skill=1")
    named = [one.id for one in items()]
    assert scan["questions_of_others"] == []
    assert scan["keys_of_others"] == [[named[a], named[b]] for a in range(4) for b in range(a)]


@pytest.mark.parametrize(("task", "level"), [("game24", 1), ("blocksworld", 2), ("list_sorting", 1)])
def test_a_key_alone_is_found_at_every_item(tmp_path: Path, task: str, level: int) -> None:
    scan = scanned(task, noting(tmp_path, f"[{items(task, level=level)[2].key!r}]"), level=level)
    named = [one.id for one in items(task, level=level)]
    assert scan["questions_of_others"] == []
    assert scan["keys_of_others"] == [[named[n], named[2]] for n in (0, 1, 3)]
    assert scan["own_key_in_first_prompt"] == [named[2]]


def test_a_training_row_that_repeats_a_test_row_is_an_example_that_is_a_test_item(tmp_path: Path) -> None:
    rows = [
        ("Which river flows through Rome?", "", ""),
        ("Which river flows through Vienna?", "", ""),
        ("which river  flows through Rome", "It comes from the Apennines. ", "train"),
        ("Which river flows through Paris?", "It comes from Burgundy. ", "train"),
    ]
    file = tmp_path / "own.csv"
    file.write_text(
        "question,answer,split\n" + "".join(f"{asked},{why}#### a river,{split}\n" for asked, why, split in rows)
    )
    scan = scanned(str(file), "chain_of_thought,direct", items=None)
    assert scan["examples_among_items"] == ["own-000002"]
    assert scan["questions_of_others"] == [["own-000003", "own-000002"]]
    assert [hit["strategy"] for hit in scan["found"]] == ["chain_of_thought"]


@pytest.mark.parametrize(
    ("task", "level", "strategies", "count"),
    [
        ("api_bank", 1, "reflexion,best_of_n(n=3)", 12),  # keys that say the same
        ("api_bank", 2, "reflexion,best_of_n(n=3)", 12),
        ("blocksworld", 1, "direct,chain_of_thought,reflexion", 40),  # examples that begin as items do
    ],
)
def test_what_built_in_strategies_show_is_no_find(task: str, level: int, strategies: str, count: int) -> None:
    scan = scanned(task, strategies, level=level, items=count)
    assert scan["found"] == []
    assert scan["clean"] is True
    assert scan["lines"] > 100
