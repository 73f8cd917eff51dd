"""Strategies on a script: what it is for."""

import json
from typing import Any

import pytest

from stratagem.core import (
    Book,
    Budget,
    MemoryJournal,
    Model,
    Run,
    Services,
    StoredRun,
    Task,
    Tools,
    World,
    signature,
    tool,
)  # fmt: skip
from stratagem.errors import BudgetExhausted, CapabilityError, ScriptMiss
from stratagem.models.script import ScriptModel
from stratagem.strategies.basic.direct import direct
from stratagem.strategies.basic.react import react


@signature
def reply(question: str) -> str:
    """Reply."""
    ...


@tool
def look(where: str) -> str:
    """Look somewhere.

    Args:
        where: the place.
    """
    return f"nothing in {where}"


def written(*lines: dict[str, Any], strict: bool = False) -> ScriptModel:
    return ScriptModel("\n".join(map(json.dumps, lines)), name="s.jsonl", strict=strict)


def started(model: Model, **settings: Any) -> Run:
    journal = MemoryJournal()
    journal.create(StoredRun("run"))
    limits = settings.pop("budget", Budget())
    services = Services(model, journal=journal, **settings)
    return Run.start(World(services, Book(journal, "run", [], [])), (limits,))


async def test_a_strategy_runs_on_it_and_its_usage_is_billed() -> None:
    model = written(
        {"signature": "react.act", "contains": "drawer", "reply": "to the drawer",
         "call": {"name": "look", "arguments": {"where": "the drawer"}}, "usage": {"prompt_tokens": 10, "completion_tokens": 5}},
        {"signature": "react.act", "contains": "nothing in the drawer", "reply": "lost", "usage": {"prompt_tokens": 20, "completion_tokens": 1}},
        strict=True,
    )  # fmt: skip
    run = started(model, tools=Tools((look,)))
    answer = await react(run, Task("is it in the drawer?"))
    assert answer.text == "lost"
    spent = run.budget.spent
    assert (spent.calls, spent.prompt_tokens, spent.completion_tokens, spent.estimated) == (2, 30, 6, False)
    await model.aclose()


async def test_a_strategy_runs_on_it_in_the_text_protocol() -> None:
    model = written(
        {"signature": "act", "reply": "to the drawer", "call": {"name": "look", "arguments": {"where": "it"}}},
        {"signature": "act", "contains": "Observation 1: nothing in it", "reply": "Action: Finish[lost]"},
    )
    run = started(model, tools=Tools((look,)))
    assert (await react(run.using(mode="text"), Task("where?"))).text == "lost"


async def test_concurrent_branches_are_told_apart_by_their_inputs() -> None:
    lines = [{"signature": "direct.answer", "inputs": {"question": q}, "reply": q.upper()} for q in "dcba"]
    model = written(*lines, strict=True)
    run = started(model)
    answers = await run.map(lambda run, q: direct(run, Task(q)), tuple("abcd"))
    assert [answer.text for answer in answers] == ["A", "B", "C", "D"]
    await model.aclose()


async def test_draws_of_a_sample_take_a_line_each() -> None:
    model = written({"signature": "reply", "reply": "one"}, {"signature": "reply", "reply": "two"})
    run = started(model)
    assert await run.sample(reply, 2, question="q") == ["one", "two"]


async def test_a_miss_ends_the_run_loudly_and_logprobs_before_the_call() -> None:
    model = written({"signature": "direct.answer", "inputs": {"question": "other"}, "reply": "x"})
    with pytest.raises(ScriptMiss, match=r"`direct\.answer`\(question=\"this\", notes=\[\]\) in 'direct'"):
        await direct(started(model), Task("this"))
    with pytest.raises(CapabilityError, match=r"'script:s\.jsonl' does not honour logprobs"):
        await direct(started(model).using(logprobs=True), Task("other"))
    assert model.unspent == (1,)


async def test_a_reply_cut_by_what_the_budget_has_left_is_no_answer() -> None:
    words = "one two three four five six seven eight nine ten"
    model = written({"signature": "direct.answer", "reply": words})
    with pytest.raises(BudgetExhausted, match="completion_tokens"):
        await direct(started(model, budget=Budget(completion_tokens=4)), Task("this"))
    model = written({"signature": "direct.answer", "reply": words})
    assert (await direct(started(model, budget=Budget(completion_tokens=10)), Task("this"))).text == words


async def test_the_act_only_form_is_answered_too() -> None:
    model = written({"signature": "react.act_only", "reply": "42"})
    assert (await react(started(model, tools=Tools((look,))), Task("q"), thoughts=False)).text == "42"
