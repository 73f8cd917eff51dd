from typing import Any

import pytest

from stratagem.core import Budget, Step, Task, Transcript
from stratagem.errors import BudgetExhausted, NoAnswer
from stratagem.strategies.basic.chain_of_thought import Reasoned, reason
from stratagem.strategies.basic.direct import answer, direct
from stratagem.strategies.basic.zero_shot_chain_of_thought import extract, think, zero_shot_chain_of_thought
from stratagem.strategies.sampling.longer_chain import longer_chain, think_on
from stratagem.testing import Case, Raw, scripted
from stratagem.testing.conformance import conformance

TASK = Task("17 + 25?", output=int)


def on(question: str, notes: tuple[str, ...], attempt: str) -> Reasoned:
    """A toy model that comes to the answer when it has been told to wait often enough."""
    waited = attempt.count("Wait,")
    return Reasoned(f"I count again, {waited}.", "42" if waited == 1 else f"{waited}")


WORLD: dict[Any, Any] = {reason: lambda **_: Reasoned("7 + 5 is 11.", "41"), think_on: on}
two = longer_chain.using(rounds=2)

test_conforms = conformance(Case(two, TASK, WORLD, expect="42"))


async def test_the_chain_goes_on_from_where_it_stood() -> None:
    run = scripted(WORLD)
    found = await two(run, TASK.told("be quick"))
    assert [asked.text for asked in run.ledger.of(think_on)] == [
        "Notes: \n- be quick\n\nQ: 17 + 25?\nA: 7 + 5 is 11. The answer is 41. Wait,",
        "Notes: \n- be quick\n\nQ: 17 + 25?\n"
        "A: 7 + 5 is 11. The answer is 41. Wait, I count again, 0. The answer is 0. Wait,",
    ]
    chain = "7 + 5 is 11. The answer is 41. Wait, I count again, 0. The answer is 0. Wait, I count again, 1. The answer is 42."
    assert found.steps == Transcript().then(Step(chain, answer="42"))
    assert found.value == 42


async def test_rounds_are_all_made_even_if_the_answer_stays() -> None:
    run = scripted({**WORLD, think_on: lambda **_: Reasoned("So be it.", "41")})
    await longer_chain(run, TASK)
    assert [asked.signature for asked in run.ledger] == [reason, *[think_on] * 4]
    assert longer_chain.max_calls == longer_chain.min_calls == 5


async def test_without_rounds_it_is_the_starter() -> None:
    run = scripted(WORLD)
    assert (await longer_chain(run, TASK, rounds=0)).text == "41"
    assert len(run.ledger) == 1


async def test_any_strategy_can_start_the_chain() -> None:
    world = {**WORLD, think: lambda **_: "17 and 25.", extract: lambda **_: "41", answer: lambda **_: "41"}
    run = scripted(world)
    await two(run, TASK, starter=zero_shot_chain_of_thought)
    assert run.ledger.of(think_on)[0].inputs["attempt"] == "17 and 25. The answer is 41."
    run = scripted(world)
    await two(run, TASK, starter=direct)
    assert run.ledger.of(think_on)[0].inputs["attempt"] == "The answer is 41."
    assert two.using(starter=zero_shot_chain_of_thought).max_calls == 4


async def test_a_round_that_cannot_be_paid_for_is_not_made_and_the_last_answer_stands() -> None:
    run = scripted(WORLD, calls=2)
    assert (await longer_chain(run, TASK)).text == "0"
    assert len(run.ledger) == 2
    assert run.strand.world.refusal is None


async def test_the_last_answer_is_offered_if_a_limit_ends_the_chain_all_the_same() -> None:
    free = scripted(WORLD)
    await two(free, TASK)
    run = scripted(WORLD, budget=Budget(prompt_tokens=free.budget.spent.prompt_tokens - 1))
    with pytest.raises(BudgetExhausted):
        await two(run, TASK)
    assert run.best.text == "0"


async def test_a_round_that_cannot_be_read_belongs_to_the_chain_and_the_next_goes_on() -> None:
    torn = {
        **WORLD,
        think_on: lambda attempt, **kept: Raw(" Hm ") if attempt.count("Wait,") == 1 else on(attempt=attempt, **kept),
    }
    run = scripted(torn)
    found = await longer_chain.using(rounds=3)(run, TASK)
    assert len(run.ledger) == 4
    assert [asked.inputs["attempt"] for asked in run.ledger.of(think_on)] == [
        "7 + 5 is 11. The answer is 41.",
        "7 + 5 is 11. The answer is 41. Wait, I count again, 0. The answer is 0.",
        "7 + 5 is 11. The answer is 41. Wait, I count again, 0. The answer is 0. Wait, Hm",
    ]
    assert found.text == "2"
    assert (await two(scripted(torn), TASK)).text == "0"  # a last round without an answer takes none away


async def test_a_start_that_cannot_be_read_is_gone_on_from_as_well() -> None:
    run = scripted({**WORLD, reason: lambda **_: Raw(" 7 + 5 is 12 ")})
    assert (await two(run, TASK)).text == "42"
    assert run.ledger.of(think_on)[0].inputs["attempt"] == "7 + 5 is 12"


async def test_without_any_answer_there_is_none() -> None:
    run = scripted({reason: lambda **_: Raw("Hm"), think_on: lambda **_: Raw("Hm")})
    with pytest.raises(NoAnswer):
        await two(run, TASK)
    assert len(run.ledger) == 3


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ('f"{chain} Wait, {think_on.write(reply).text}"', "think_on.write(reply).text"),
    ('f"{chain} Wait, {think_on.write(reply).text}"', 'f"{chain} Wait,"'),
    ('f"{chain} Wait, {unread.reply.strip()}"', "chain"),
    ('f"{chain} Wait, {unread.reply.strip()}"', 'f"{chain} Wait, {unread.reply}"'),
    ("chain = unread.reply.strip()", 'chain = ""'),
    ("            run.offer(task.answer(reply.answer, steps", "            (task.answer(reply.answer, steps"),
    ("attempt=chain", "attempt=thoughts"),
    ("notes=task.notes", "notes=()"),
    ("        run.offer(answer)\n", ""),
    ("        if not run.budget.allows(calls=1):\n            break\n", ""),
    (".text.strip()", ".text"),
    ("range(rounds)", "range(1)"),
    ("Step(chain, answer=reply.answer)", "Step(reply.rationale, answer=reply.answer)"),
    ("await starter(run, task)", "await chain_of_thought(run, task)"),
]
