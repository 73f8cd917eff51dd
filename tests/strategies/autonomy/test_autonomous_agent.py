from collections import Counter
from typing import Any

import pytest

from stratagem.core import Answer, Recalled, Run, Step, Task, ToolCall, Transcript, Verdict, judge, strategy, tool
from stratagem.errors import BudgetExhausted, NoAnswer, Refused, UnparsedReply
from stratagem.judges.self_check import check
from stratagem.strategies.autonomy.autonomous_agent import autonomous_agent, conclude
from stratagem.strategies.basic.decompose import plan
from stratagem.strategies.basic.direct import answer, direct
from stratagem.strategies.basic.react import act
from stratagem.testing import Case, scripted
from stratagem.testing.conformance import conformance

LENGTHS = {"Rhine": "1233 km", "Elbe": "1094 km"}
TASK = Task("Which is longer, the Rhine or the Elbe?")


@tool()
def search(query: str) -> str:
    """Return the length of a river."""
    return LENGTHS[query]


class Diary:
    """A memory that recalls what shares a word with the query."""

    def __init__(self, *records: str) -> None:
        self.records = list(records)

    async def observe(self, text: str, **_: Any) -> None:
        self.records.append(text)

    async def recall(self, query: str, n: int) -> list[Recalled]:
        words = set(query.split())
        return [Recalled(text) for text in self.records if words & set(text.split())][:n]

    async def aclose(self) -> None: ...


def planned(question: str, notes: tuple[str, ...]) -> tuple[str, ...]:
    """A first plan that forgets a river; the judge's feedback repairs it."""
    rivers = ("Rhine", "Elbe") if any("both" in note for note in notes) else ("Elbe",)
    return tuple(f"find the length of the {river}" for river in rivers)


def acting(question: str, notes: tuple[str, ...], steps: Transcript) -> Step:
    if len(steps):
        return Step(answer=next(iter(steps)).observations[0].text)
    return Step("", (ToolCall("search", {"query": question.split()[-1]}),))


def concluded(question: str, notes: tuple[str, ...], findings: tuple[str, ...]) -> str:
    return "the Rhine" if any("1233" in finding for finding in findings) else "the Elbe"


def judged(question: str, answer: str, steps: Transcript) -> Verdict:
    right = answer == "the Rhine"
    return Verdict(right, 1.0 if right else 0.2, "" if right else "look up both rivers")


RIVERS: dict[Any, Any] = {plan: planned, act: acting, conclude: concluded, check: judged}
# One goal reached without a tool, accepted at once: the fewest calls.
EASY: dict[Any, Any] = {**RIVERS, act: lambda **_: Step(answer="1233 km")}
# Every goal answered in one call, never accepted: the most.
HARD: dict[Any, Any] = {
    plan: lambda **_: ("a", "b", "c"),
    answer: lambda question, notes: f"{question}{len(notes)}",
    conclude: lambda findings, notes, **_: f"{' '.join(findings)} {len(notes)}",
    check: lambda question, answer, steps: Verdict(False, {"0": 0.5, "1": 0.9, "2": 0.1}.get(answer[-1], 0.0), "no"),
}
blunt = autonomous_agent.using(actor=direct, rounds=3, goals=3)

test_conforms = conformance(
    Case(autonomous_agent, TASK, RIVERS, expect="the Rhine", tools=(search,), memory=Diary),
    Case(autonomous_agent, TASK, EASY, expect="the Rhine", tools=(search,), memory=lambda: Diary("the Rhine: 1")),
    Case(blunt, TASK, HARD, expect="a: a0 b: b1 c: c2 1"),
)


async def test_the_judges_feedback_changes_the_next_plan() -> None:
    run = scripted(RIVERS, tools=(search,))
    assert (await autonomous_agent(run, TASK)).text == "the Rhine"
    first = [plan, act, act, conclude, check]
    assert [asked.signature for asked in run.ledger] == [*first, plan, act, act, act, act, conclude, check]
    assert run.ledger.of(plan)[1].inputs["notes"] == ("look up both rivers",)
    assert run.ledger.of(conclude)[1].inputs["notes"] == ("look up both rivers",)


async def test_a_sub_goal_sees_what_was_found_before_it_and_nothing_else() -> None:
    run = scripted(HARD)
    await blunt(run, TASK.told("be brief"), rounds=1)
    assert [(asked.inputs["question"], asked.inputs["notes"]) for asked in run.ledger.of(answer)] == [
        ("a", ("be brief",)),
        ("b", ("be brief", "a: a1")),
        ("c", ("be brief", "a: a1", "b: b2")),
    ]


async def test_the_memory_advises_the_plan_and_keeps_only_accepted_answers() -> None:
    diary = Diary("the Rhine 1", "no", "the Elbe 2", "the Po 3", "the Inn 4")
    run = scripted(EASY, memory=diary)
    await autonomous_agent(run, TASK)
    assert run.ledger[0].inputs["notes"] == ("the Rhine 1", "the Elbe 2", "the Po 3")
    assert diary.records[-1] == "Which is longer, the Rhine or the Elbe? the Rhine"
    rejected = Diary()
    await blunt(scripted(HARD, memory=rejected), TASK)
    assert not rejected.records


async def test_goals_beyond_the_limit_are_dropped() -> None:
    run = scripted({**HARD, plan: lambda **_: tuple("abcdefgh")})
    await autonomous_agent(run, TASK, actor=direct, rounds=1)
    assert [asked.inputs["question"] for asked in run.ledger.of(answer)] == list("abcde")


async def test_two_rounds_are_the_default_and_the_best_is_returned() -> None:
    run = scripted(HARD)
    assert (await autonomous_agent(run, TASK, actor=direct)).text.endswith(" 1")
    assert len(run.ledger) == 2 * (1 + 3 * 1 + 1 + 1)
    found = await blunt(scripted(HARD), TASK)
    assert found.text.endswith(" 1")  # the second of three rounds scored highest


async def test_the_best_round_is_kept_when_the_budget_ends() -> None:
    run = scripted(HARD, calls=8)
    found = await Case(blunt, TASK, HARD, expect="").outcome(run)
    assert isinstance(found, BudgetExhausted)
    assert run.best.text == "a: a0 b: b1 c: c2 0"


@pytest.mark.parametrize("failure", [NoAnswer("stuck"), Refused("I may not"), UnparsedReply("act", "?")])
async def test_a_failed_sub_goal_is_a_finding_and_the_loop_goes_on(failure: Exception) -> None:
    @strategy(ids=[], paper="none", calls="1", lower="0")
    async def failing(run: Run, task: Task) -> Answer:
        raise failure

    run = scripted(HARD)
    await autonomous_agent(run, TASK, actor=failing, rounds=1, goals=1)
    assert run.ledger.of(conclude)[0].inputs["findings"] == (f"a: not reached, {failure}",)


@pytest.mark.works("AG02")
async def test_swapping_a_part_changes_only_its_section_of_the_trace() -> None:
    @judge(ids=[], paper="none", calls="0", lower="0", needs="nothing")
    async def lenient(run: Run, task: Task, answer: Answer) -> Verdict:
        return Verdict(True, 1.0)

    default, swapped = scripted(RIVERS, tools=(search,)), scripted(RIVERS, tools=(search,))
    await autonomous_agent(default, TASK, rounds=1)
    await autonomous_agent(swapped, TASK, rounds=1, judge=lenient)
    before = Counter(asked.text for asked in default.ledger)
    after = Counter(asked.text for asked in swapped.ledger)
    assert [asked.signature for asked in default.ledger if asked.text in (before - after)] == [check]
    assert not after - before


async def test_the_answer_carries_what_all_actors_did_and_the_plan_is_noted() -> None:
    run = scripted(RIVERS, tools=(search,))
    found = await autonomous_agent(run, TASK)
    assert [seen.text for seen in found.steps.observations] == ["1233 km", "1094 km"]
    assert len(found.steps) == 4
    assert [note[2]["goals"] for note in run.strand.world.notes] == [
        ["find the length of the Elbe"],
        ["find the length of the Rhine", "find the length of the Elbe"],
    ]


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("*await run.memory.recall(task.question, n=recall)", ""),
    ("run.memory.recall(task.question, n=recall)", 'run.memory.recall("", n=recall)'),
    ("planner(run, advised)", "planner(run, task)"),
    (".told(*findings)", ""),
    ("task.part(goal)", "task"),
    ('(*findings, f"{goal}: {found}")', '(f"{goal}: {found}",)'),
    ("[:goals]", ""),
    ("except (NoAnswer, Refused, UnparsedReply)", "except (Refused, UnparsedReply)"),
    ("except (NoAnswer, Refused, UnparsedReply)", "except (NoAnswer, UnparsedReply)"),
    ("except (NoAnswer, Refused, UnparsedReply)", "except (NoAnswer, Refused)"),
    ('found = f"not reached, {failure}"', 'found = "no"'),
    ("if verdict.passed:", "if True:"),
    ("if verdict.passed:", "if False:"),
    ("run.offer(attempt, verdict.score)", "run.offer(attempt)"),
    ("return run.best", "return attempt"),
    ('            await run.memory.observe(f"{task.question} {attempt.text}")\n', ""),
    (
        "        if verdict.passed:\n            await",
        "        await run.memory.observe(attempt.text)\n        if verdict.passed:\n            await",
    ),
    ("advised = advised.told(verdict.feedback)", "pass"),
    ("findings=findings", "findings=()"),
    ("steps=steps)", ")"),
    ("extended(steps, reached.steps)", "reached.steps"),
    ('        run.note("plan", goals=plan)\n', ""),
    ("notes=advised.notes", "notes=()"),
    (
        "    advised = task",
        "    await run.ask(conclude, question=task.question, notes=(), findings=())\n    advised = task",
    ),
]
