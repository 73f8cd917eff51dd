from typing import Any

import pytest

from stratagem.core import Answer, Budget, Run, Step, Task, ToolCall, Verdict, judge
from stratagem.errors import BudgetExhausted, NoAnswer
from stratagem.judges.checked import checked
from stratagem.judges.self_check import check
from stratagem.strategies.basic.chain_of_thought import Reasoned, reason
from stratagem.strategies.basic.react import act, react
from stratagem.strategies.sampling.best_of_n import best_of_n
from stratagem.testing import Case, Draw, Raw, scripted
from stratagem.testing.conformance import conformance

TASK = Task("17 + 25?", output=int)
SCORES = {"42": 0.9, "41": 0.5, "7": 0.1}


def says(*answers: str, scores: dict[str, float] = SCORES) -> dict[Any, Any]:
    """A world whose i-th sample gives the i-th answer; "" is unreadable. The judge knows a score for each."""

    def reply(draw: Draw, **_: Any) -> Any:
        said = answers[draw.branch % len(answers)] if "map#2" not in draw.path else answers[draw.branch + 1]
        return Reasoned("...", said) if said else Raw("")

    def graded(question: str, answer: str, steps: Any) -> Any:
        return Verdict(False, scores[answer], "counted again") if answer in scores else Raw("")

    return {reason: reply, check: graded}


# The first sample is wrong, and so is the last; two samples have no value, and are not judged: the fewest calls.
three = best_of_n.using(n=3)
test_conforms = conformance(
    Case(three, TASK, says("7", "42", "41"), expect="42"),
    Case(three, TASK, says("none", "42", "no idea"), expect="42"),
)


async def test_ten_samples_are_drawn_at_the_papers_temperature_and_judged_at_the_callers() -> None:
    run = scripted(says("42")).using(temperature=0.2)
    await best_of_n(run, TASK)
    assert len(run.ledger) == best_of_n.max_calls == 20
    assert [asked.options["temperature"] for asked in run.ledger.of(reason)] == [0.7] * 10
    assert [asked.options["temperature"] for asked in run.ledger.of(check)] == [0.2] * 10


async def test_settings_reach_the_samples() -> None:
    run = scripted(says("42"))
    await best_of_n(run, TASK, n=2, temperature=0.5)
    assert [asked.options["temperature"] for asked in run.ledger.of(reason)] == [0.5] * 2


async def test_without_a_limit_all_samples_are_drawn_in_one_wave() -> None:
    run = scripted(says("7", "41", "42"))
    await three(run, TASK)
    assert {asked.path.split("/")[1] for asked in run.ledger} == {"map[0]", "map[1]", "map[2]"}


async def test_ties_go_to_the_first_drawn_whoever_finishes_first() -> None:
    for reverse in (False, True):
        run = scripted(says("7", "40", "41", scores={"7": 0.1, "40": 0.5, "41": 0.5}), reverse=reverse)
        assert (await three(run, TASK)).text == "40"


async def test_what_cannot_be_read_or_has_no_value_is_not_chosen() -> None:
    run = scripted(says("", "unclear", "41", "7"))
    assert (await best_of_n(run, TASK, n=4)).text == "41"
    assert len(run.ledger.of(check)) == 2


async def test_a_sampler_that_ends_without_an_answer_is_left_out() -> None:
    def step(draw: Draw, **_: Any) -> Step:
        branch = int(draw.path.split("[")[1].split("]")[0])
        return Step(answer="42") if branch else Step("Hm.", (ToolCall("think", {}),))

    answer = await best_of_n(scripted({**says(), act: step}), TASK, sampler=react, n=2)
    assert answer.text == "42"


async def test_a_sample_that_cannot_be_judged_ranks_below_all_that_are() -> None:
    run = scripted(says("43", "7", "44", scores={"7": 0.0}))
    assert (await three(run, TASK)).text == "7"
    run = scripted(says("43", "44", "45"))
    assert (await three(run, TASK)).text == "43"  # nothing was judged


async def test_without_a_single_value_there_is_no_answer() -> None:
    for said in ("", "unclear"):
        with pytest.raises(NoAnswer):
            await three(scripted(says(said)), TASK)


async def test_only_as_many_samples_are_drawn_as_can_be_judged_as_well() -> None:
    run = scripted(says("7", "41", "42", "41"), calls=5)
    assert (await best_of_n(run, TASK)).text == "41"
    assert [asked.signature for asked in run.ledger] == [reason, check, reason, check]
    assert run.strand.world.refusal is None
    run = scripted(says("7", "41", "42", "41"), calls=6)
    assert (await best_of_n(run, TASK)).text == "42"
    run = scripted(says("7", "41", "42", "41"), calls=100)
    assert (await three(run, TASK)).text == "42"
    assert len(run.ledger) == 6  # and not more than n


async def test_only_as_many_samples_are_drawn_as_the_tokens_suffice_to_judge() -> None:
    one = scripted(says("7"))
    await best_of_n(one, TASK, n=1)
    price = one.budget.spent.tokens
    run = scripted(says("7", "41", "42", "41"), budget=Budget(tokens=price * 3 + 40))
    assert (await best_of_n(run.using(max_tokens=8), TASK)).text == "42"
    assert [len(run.ledger.of(reason)), len(run.ledger.of(check))] == [3, 3]


async def test_the_replies_alone_may_be_limited() -> None:
    one = scripted(says("7"))
    await best_of_n(one, TASK, n=1)
    price = one.budget.spent.completion_tokens
    run = scripted(says("7", "41", "42", "41"), budget=Budget(completion_tokens=price * 3 + 8))
    assert (await best_of_n(run.using(max_tokens=8), TASK)).text == "42"
    assert [len(run.ledger.of(reason)), len(run.ledger.of(check))] == [3, 3]


async def test_samples_are_drawn_one_by_one_until_one_was_judged() -> None:
    def reply(draw: Draw, **_: Any) -> Any:
        wave = draw.path.split("/")[1].split("[")[0]
        return {"map": Raw(""), "map#2": Reasoned("...", "unclear"), "map#3": Reasoned("...", "7")}.get(
            wave, Reasoned("...", "42")
        )

    run = scripted({**says(), reason: reply}, calls=9)
    assert (await best_of_n(run, TASK)).text == "42"
    assert [len(run.ledger.of(reason)), len(run.ledger.of(check))] == [5, 3]
    assert run.strand.world.refusal is None


async def test_a_sample_that_could_not_be_judged_any_more_is_kept() -> None:
    run = scripted(says("7"), calls=1)
    with pytest.raises(BudgetExhausted):
        await best_of_n(run, TASK)
    assert run.best.text == "7"


async def test_samples_that_turn_out_dearer_than_the_first_are_left_out() -> None:
    def step(draw: Draw, steps: Any, **_: Any) -> Step:
        if "map#2" in draw.path and not len(steps):
            return Step("Hm.", (ToolCall("think", {}),))
        return Step(answer="42" if "map#2" in draw.path else "41")

    made = best_of_n.using(sampler=react, n=5)
    run = scripted({**says(), act: step}, calls=7)  # 2, then 2 samples of 3 for what should pay for 2 of 2
    assert (await made(run, TASK)).text == "42"
    assert run.strand.world.refusal is not None
    run = scripted({**says(), act: step}, calls=4)
    with pytest.raises(BudgetExhausted):
        await made(run, TASK)
    assert run.best.text == "41"


@judge(calls="0", needs="labels")
async def known(run: Run, task: Task, answer: Answer) -> Verdict:
    return Verdict(answer.value == 42, float(answer.value == 42))


async def test_what_the_judge_needs_is_what_the_answer_needs() -> None:
    answer = await best_of_n(scripted(says("7", "42")), TASK, judge=known, n=2)
    assert (answer.text, answer.needs) == ("42", {"labels"})
    task = Task("17 + 25?", output=int, checker=lambda text: Verdict(text == "42", float(text == "42")))
    answer = await best_of_n(scripted(says("7", "42")), task, judge=checked, n=2)
    assert (answer.text, answer.needs) == ("42", {"checker"})
    assert best_of_n.using(judge=checked).max_calls == 10


@pytest.mark.parametrize(("skill", "right", "wrong"), [(0.5, 0.9, 0.2), (0.3, 0.6, 0.1)])
async def test_success_follows_the_closed_form_of_a_verifier_of_given_rates(
    skill: float, right: float, wrong: float
) -> None:
    """Samples that are right with p, a verifier that passes a share of right and of wrong ones; ties: the first."""

    def guess(draw: Draw, **_: Any) -> Reasoned:
        return Reasoned("...", "42" if draw.dice.random() < skill else "7")

    def graded(draw: Draw, answer: str, **_: Any) -> Verdict:
        passed = draw.dice.random() < (right if answer == "42" else wrong)
        return Verdict(passed, float(passed), "")

    n, items = 3, 600
    won = 0
    for seed in range(items):
        run = scripted({reason: guess, check: graded}, seed=seed, prompt=True)
        won += (await best_of_n(run, TASK, n=n)).value == 42
    passes = skill * right + (1 - skill) * wrong
    rejected = (1 - passes) ** n
    expected = (1 - rejected) * skill * right / passes + rejected * skill * (1 - right) / (1 - passes)
    assert won / items == pytest.approx(expected, abs=3 * (expected * (1 - expected) / items) ** 0.5)


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("(await judge(run, task, answer)).score", "0.5"),
    ("(await judge(run, task, answer)).score", "-(await judge(run, task, answer)).score"),
    ("sampler(run.using(temperature=temperature), task)", "sampler(run, task)"),
    ("await judge(run, task, answer)", "await judge(run.using(temperature=temperature), task, answer)"),
    ("            if answer.value is None:\n                return False\n", ""),
    ("            run.offer(answer, UNJUDGED)\n", ""),
    ("run.offer(answer, UNJUDGED)", "run.offer(answer, 1.0)"),
    ("except (UnparsedReply, NoAnswer):", "except NoAnswer:"),
    ("except (UnparsedReply, NoAnswer):", "except UnparsedReply:"),
    ("await paced(run, draw, n)", "await run.map(draw, range(n))"),
    ("await paced(run, draw, n)", "await paced(run, draw, 1)"),
    ("                return False\n", "                return True\n"),
    ("            return False\n        return True", "            return True\n        return True"),
    ("        return True\n\n", "        return False\n\n"),
]
