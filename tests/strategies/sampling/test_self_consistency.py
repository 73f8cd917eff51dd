from typing import Any

import pytest

from stratagem.core import Step, Task, ToolCall
from stratagem.errors import NoAnswer, UnparsedReply
from stratagem.strategies.basic.chain_of_thought import Reasoned, reason
from stratagem.strategies.basic.react import act, react
from stratagem.strategies.sampling.self_consistency import self_consistency
from stratagem.testing import Case, Draw, Raw, scripted
from stratagem.testing.conformance import conformance

TASK = Task("17 + 25?", output=int)


def says(*answers: str) -> dict[Any, Any]:
    """A world whose i-th sample gives the i-th answer; "" is unreadable."""

    def reply(draw: Draw, **_: Any) -> Any:
        said = answers[draw.branch % len(answers)]
        return Reasoned("...", said) if said else Raw("")

    return {reason: reply}


# The first sample is wrong, and so is the last: only a vote finds the answer.
three = self_consistency.using(n=4)
test_conforms = conformance(Case(three, TASK, says("7", "42", "42", "8"), expect="42"))


async def test_ten_samples_are_drawn_at_the_papers_temperature() -> None:
    run = scripted(says("42"))
    await self_consistency(run, TASK)
    assert len(run.ledger) == self_consistency.max_calls == 10
    assert all(asked.options == {"temperature": 0.7} for asked in run.ledger)


async def test_the_temperature_is_a_parameter() -> None:
    run = scripted(says("42"))
    await self_consistency(run, TASK, n=2, temperature=0.5)
    assert [asked.options for asked in run.ledger] == [{"temperature": 0.5}] * 2


async def test_the_most_frequent_answer_wins_and_confidence_is_its_share() -> None:
    answer = await self_consistency(scripted(says("41", "42", "42.0", "43")), TASK, n=4)
    assert (answer.text, answer.confidence) == ("42", 0.5)


async def test_ties_go_to_the_first_drawn_whoever_finishes_first() -> None:
    for reverse in (False, True):
        answer = await self_consistency(scripted(says("1", "2", "2", "1"), reverse=reverse), TASK, n=4)
        assert answer.text == "1"


async def test_votes_are_compared_in_the_tasks_canonical_form() -> None:
    run = scripted(says("Basel", " bern", "Bern", "BERN "))
    answer = await self_consistency(run, Task("Which city?"), n=4)
    assert (answer.text, answer.confidence) == ("bern", 0.75)


async def test_a_sampler_that_ends_without_an_answer_does_not_vote() -> None:
    def step(draw: Draw, **_: Any) -> Step:
        branch = int(draw.path.split("[")[1].split("]")[0])
        return Step(answer="42") if branch else Step("Hm.", (ToolCall("think", {}),))

    answer = await self_consistency(scripted({act: step}), TASK, sampler=react, n=3)
    assert (answer.text, answer.confidence) == ("42", 1.0)


async def test_unreadable_samples_and_samples_without_a_value_do_not_vote() -> None:
    answer = await self_consistency(scripted(says("", "unclear", "42")), TASK, n=3)
    assert (answer.text, answer.confidence) == ("42", 1.0)


async def test_when_every_sample_is_unreadable_the_first_failure_is_raised() -> None:
    with pytest.raises(UnparsedReply, match="reason"):
        await self_consistency(scripted(says("")), TASK, n=2)


async def test_when_no_sample_has_a_value_there_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        await self_consistency(scripted(says("unclear")), TASK, n=2)


async def test_out_of_budget_the_finished_samples_vote() -> None:
    run = scripted(says("7", "42", "42"), calls=3)
    assert (await self_consistency(run, TASK)).text == "42"
    assert run.strand.world.refusal is not None


@pytest.mark.works("RE07")
async def test_voting_beats_one_sample_when_errors_disagree() -> None:
    """The paper's claim, on a simulated model: right with p = 0.4, else one of five errors."""

    def noisy(draw: Draw, **_: Any) -> Reasoned:
        dice = draw.dice
        return Reasoned("...", "42" if dice.random() < 0.4 else str(dice.randrange(5)))

    async def accuracy(n: int) -> float:
        answers = [await self_consistency(scripted({reason: noisy}, seed=seed), TASK, n=n) for seed in range(60)]
        return sum(answer.value == 42 for answer in answers) / len(answers)

    assert await accuracy(1) < 0.6
    assert await accuracy(40) > 0.9


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("winner, share = majority(samples, key=task.form)", "winner, share = samples[0], 1.0"),
    ("winner, share = majority(samples, key=task.form)", "winner, share = samples[-1], 1 / n"),
    ("key=task.form", "key=lambda answer: answer.text"),
    ("key=task.form", "key=lambda answer: answer.value"),
    ("confidence=share", "confidence=1.0"),
    ("run.using(temperature=temperature).map", "run.map"),
    ("UnparsedReply, NoAnswer, BudgetExhausted", "NoAnswer, BudgetExhausted"),
    ("UnparsedReply, NoAnswer, BudgetExhausted", "UnparsedReply, NoAnswer"),
    ("UnparsedReply, NoAnswer, BudgetExhausted", "UnparsedReply, BudgetExhausted"),
    ("range(n)", "range(1)"),
    ("range(n)", "range(max(1, n - 1))"),
]
