"""What an item costs, and whether it is right, depends on nothing that its process has done before."""

import io
import json
from typing import Any

import pytest

from stratagem.lab._plan import seed_of
from stratagem.lab._worker import Worker
from stratagem.tasks import suite

ITEMS = [(n, one.question, seed_of(7, n)) for n, one in enumerate(suite("word_problems").items(16, seed=7))]


def said(jobs: list[list[Any]], **job: Any) -> dict[int, Any]:
    """Return calls, tokens, seconds and answer of each item, after the jobs of one process."""
    out = io.StringIO()
    worker = Worker({"task": "word_problems", "blind": None, "examples": ()}, out)
    for items in jobs:
        worker.perform({"cell": 0, "width": 1, "items": items, **job})
    worker._loop.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return {
        one["item"]: (one["calls"], one["tokens"], one["seconds"], one["stop"], one["text"])
        for one in lines
        if "item" in one
    }


@pytest.mark.parametrize(
    ("strategy", "model", "budget"),
    [
        ("best_of_n(n=40)", "sim:skill=0.5,judge=0.8,format=0.1", "tokens=6000"),
        ("longer_chain(rounds=10)", "sim:skill=0.5,latency=0.1", "seconds=0.3"),
        ("best_of_n(n=40)", "sim:skill=0.5,latency=0.1,speed=333", "seconds=1.7"),
    ],
)
def test_an_item_is_the_same_whatever_its_process_did_before(strategy: str, model: str, budget: str) -> None:
    job = {"strategy": strategy, "model": model, "budget": budget}
    before = said([ITEMS], **job)
    assert len(before) == len(ITEMS)
    assert said([ITEMS[::-1]], **job) == before
    assert said([[one] for one in ITEMS[5:] + ITEMS[:5]], **job) == before
