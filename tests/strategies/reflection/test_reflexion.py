from typing import Any

import pytest

from stratagem.core import Observation, Step, Task, Tool, ToolCall, Transcript, Verdict, tool
from stratagem.errors import BudgetExhausted, NoAnswer
from stratagem.judges.rewarded import rewarded
from stratagem.judges.self_check import check
from stratagem.strategies.basic.direct import answer, direct
from stratagem.strategies.basic.react import act, react
from stratagem.strategies.reflection.reflexion import PAIRS, reflect, reflexion
from stratagem.testing import Case, Draw, Raw, scripted, tape_of
from stratagem.testing.conformance import conformance

TASK = Task("open the box")
LESSON = "I pulled at the lid. Next time I fetch the key first."


@tool()
def do(action: str) -> str:
    """Act in the room."""
    return "you have the key" if action == "fetch key" else "it is locked"


def actor(question: str, notes: tuple[str, ...], steps: Transcript) -> Step:
    """A toy actor that fetches the key only if a lesson in its prompt says so."""
    seen = [o.text for turn in steps for o in turn.observations]
    if not any("key first" in note for note in notes):
        return Step("Pull.", (ToolCall("do", {"action": "pull"}),))
    if not seen:
        return Step("The lesson says: key.", (ToolCall("do", {"action": "fetch key"}),))
    return Step("Now it opens.", answer="used the key")


def verdict(question: str, answer: str, steps: Transcript) -> Verdict:
    return Verdict(True, 1.0, "fine") if answer == "used the key" else Verdict(False, 0.1 * len(answer), "it is locked")


ROOM: dict[Any, Any] = {act: actor, check: verdict, reflect: lambda **_: LESSON}

# The same with one call per trial, which fails for good: the upper bound.
STUBBORN: dict[Any, Any] = {
    answer: lambda question, notes: "pull" + "!" * (3 - len(notes)) if len(notes) else "pul",
    check: verdict,
    reflect: lambda lessons, **_: f"lesson {len(lessons)}",
}
blunt = reflexion.using(actor=direct)
GIFTED: dict[Any, Any] = {**STUBBORN, answer: lambda **_: "used the key"}

test_conforms = conformance(
    Case(reflexion, TASK, ROOM, expect="used the key", tools=(do,)),
    Case(blunt, TASK, STUBBORN, expect="pull!!"),
    Case(blunt, TASK, GIFTED, expect="used the key"),
)


@pytest.mark.works("SF01")
async def test_the_second_trial_succeeds_because_of_the_lesson() -> None:
    run = scripted(ROOM, tools=(do,))
    assert (await reflexion(run, TASK)).text == "used the key"
    # trial 1: stuck after 2 equal actions, never judged; one lesson; trial 2 succeeds
    assert [asked.signature for asked in run.ledger] == [act, act, reflect, act, act, check]
    assert run.ledger[3].inputs["notes"] == (LESSON,)


async def test_the_lesson_is_drawn_from_the_trajectory_and_the_feedback() -> None:
    run = scripted(ROOM, tools=(do,))
    await reflexion(run, TASK)
    [asked] = run.ledger.of(reflect)
    assert asked.inputs["question"] == "open the box"
    assert asked.inputs["feedback"] == "stuck: the same action returned the same 2 times"
    assert asked.inputs["attempt"] == ""
    assert [turn.step.thought for turn in asked.inputs["steps"]] == ["Pull.", "Pull."]
    assert "Observation 2: it is locked" in asked.text
    assert all(pair in asked.text for pair in PAIRS)


async def test_a_rejected_answer_is_reflected_upon_with_the_judges_words() -> None:
    run = scripted(STUBBORN)
    await blunt(run, TASK)
    asked = run.ledger.of(reflect)
    assert [one.inputs["feedback"] for one in asked] == ["it is locked"] * 2
    assert [one.inputs["attempt"] for one in asked] == ["pul", "pull!!"]
    assert [one.inputs["lessons"] for one in asked] == [(), ("lesson 0",)]


async def test_the_steps_of_a_rejected_answer_are_reflected_upon() -> None:
    hasty = {**ROOM, act: lambda steps, **_: Step("Pull.", answer="pulled")}
    run = scripted(hasty, tools=(do,))
    await reflexion(run, TASK)
    assert [turn.step.answer for turn in run.ledger.of(reflect)[0].inputs["steps"]] == ["pulled"]


async def test_h_t_is_the_actors_limits() -> None:
    patient = {**ROOM, act: lambda steps, **_: Step("", (ToolCall("do", {"action": str(len(steps))}),))}
    run = scripted(patient, tools=(do,))
    with pytest.raises(NoAnswer):
        await reflexion(run, TASK, trials=1)
    assert (
        len(run.ledger) == 30
    )  # the paper's limit of an inefficient trial; equal observations of other actions are none
    assert not run.ledger.of(reflect)


@pytest.mark.works("SF01")
async def test_equal_actions_that_bring_something_else_do_not_end_a_trial() -> None:
    pulled = iter(range(1000))

    @tool()
    def do(action: str) -> str:
        """Act in the room."""
        return f"it gives way a little, {next(pulled)}"

    run = scripted({**ROOM, act: lambda **_: Step("Pull.", (ToolCall("do", {"action": "pull"}),))}, tools=(do,))
    with pytest.raises(NoAnswer):
        await reflexion(run, TASK, trials=1)
    assert len(run.ledger) == 30


async def test_the_papers_h_t_is_a_setting_of_the_actor() -> None:
    run = scripted(ROOM, tools=(do,))
    await reflexion(run, TASK, actor=react.using(max_steps=30, repeats=4))
    assert [asked.signature for asked in run.ledger] == [act] * 4 + [reflect, act, act, check]


@pytest.mark.works("SF01")
async def test_success_at_once_needs_no_reflection() -> None:
    run = scripted(GIFTED)
    await blunt(run, TASK)
    assert [asked.signature for asked in run.ledger] == [answer, check]


@pytest.mark.works("SF01")
async def test_the_last_failure_is_not_followed_by_a_useless_reflection() -> None:
    run = scripted(STUBBORN)
    await blunt(run, TASK)
    assert len(run.ledger) == blunt.max_calls == 3 * 2 + 2


async def test_a_failed_run_returns_its_best_trial() -> None:
    # The longest scores highest; it is neither the first nor the last.
    assert (await blunt(scripted(STUBBORN), TASK)).text == "pull!!"


@pytest.mark.works("SF01")
async def test_only_the_latest_lessons_are_shown() -> None:
    numbered = {**STUBBORN, reflect: lambda lessons, **_: str(int(lessons[-1]) + 1 if lessons else 0)}
    run = scripted(numbered)
    await blunt(run, TASK, trials=6)
    assert run.ledger.of(answer)[-1].inputs["notes"] == ("2", "3", "4")


async def test_lessons_are_local_to_the_call_and_come_after_the_tasks_own_notes() -> None:
    run = scripted(STUBBORN)
    for _ in range(2):
        await blunt(run, TASK.told("be quick"))
    notes = [asked.inputs["notes"] for asked in run.ledger.of(answer)]
    assert notes == 2 * [("be quick",), ("be quick", "lesson 0"), ("be quick", "lesson 0", "lesson 1")]


async def test_the_last_attempt_and_its_verdict_are_shown_on_demand() -> None:
    run = scripted({**STUBBORN, answer: lambda notes, **_: f"pull {len(notes)}"})
    await blunt(run, TASK, last_attempt=True)
    assert [asked.inputs["notes"] for asked in run.ledger.of(answer)] == [
        (),
        ("lesson 0", "The last attempt: pull 0", "What was said of it: it is locked"),
        ("lesson 0", "lesson 1", "The last attempt: pull 3", "What was said of it: it is locked"),
    ]
    stuck = scripted(ROOM, tools=(do,))
    await reflexion(stuck, TASK, last_attempt=True)
    assert stuck.ledger[3].inputs["notes"] == (LESSON,)  # there was no attempt to show


async def test_a_trial_that_cannot_be_read_has_failed_and_is_reflected_upon() -> None:
    mumbled = {**STUBBORN, answer: lambda notes, **_: "used the key" if notes else Raw("")}
    run = scripted(mumbled)
    assert (await blunt(run, TASK)).text == "used the key"
    assert "direct.answer" in run.ledger.of(reflect)[0].inputs["feedback"]


async def test_an_attempt_that_was_not_judged_any_more_is_kept_below_all_that_were() -> None:
    run = scripted(STUBBORN, calls=1)
    with pytest.raises(BudgetExhausted):
        await blunt(run, TASK)
    assert run.best.text == "pul"
    worthless = {**STUBBORN, check: lambda **_: Verdict(False, 0.0, "it is locked")}
    run = scripted(worthless, calls=4)  # the second attempt was made, and not judged
    with pytest.raises(BudgetExhausted):
        await blunt(run, TASK)
    assert run.best.text == "pul"


class Room:
    """A box that opens once the key is there, and jams for good when it is pulled at before."""

    def __init__(self) -> None:
        self.state = "shut"
        self.resets = 0

    def reset(self) -> Observation:
        self.state, self.resets = "shut", self.resets + 1
        return Observation("a box is before you")

    def moves(self) -> tuple[Tool, ...]:
        def do(action: str) -> Observation:
            """Act in the room."""
            if action == "fetch key" and self.state == "shut":
                self.state = "ready"
            elif action == "pull":
                self.state = "open" if self.state == "ready" else "jammed"
            return Observation(f"it is {self.state}", result={"reward": float(self.state == "open")})

        return (Tool(do),)


def mover(question: str, notes: tuple[str, ...], steps: Transcript) -> Step:
    plan = ["fetch key", "pull"] if any("key first" in note for note in notes) else ["pull"]
    if len(steps) < len(plan):
        return Step("", (ToolCall("do", {"action": plan[len(steps)]}),))
    return Step(answer="done")


async def test_the_environment_is_reset_between_trials_and_its_reward_decides() -> None:
    rooms: list[Room] = []

    def room() -> Room:
        rooms.append(Room())
        return rooms[-1]

    task = Task("open the box", environment=room)
    world: dict[Any, Any] = {act: mover, reflect: lambda **_: LESSON}
    made = reflexion.using(judge=rewarded)
    run = scripted(world)
    found = await made(run, task)
    assert (found.text, found.needs) == ("done", {"reward"})
    assert [o.text for o in found.steps.observations] == ["it is ready", "it is open"]
    assert run.ledger.of(reflect)[0].inputs["feedback"] == "it is jammed"
    assert [one.resets for one in rooms] == [1]
    assert made.max_calls == 3 * 30 + 2
    for upto in range(len(tape_of(run)) + 1):
        assert await made(scripted(world, tape=tape_of(run).upto(upto)), task) == found
    failing = scripted({**world, reflect: lambda **_: "pull harder"})
    await made(failing, task, trials=2)
    assert rooms[-1].resets == 1  # not after the last trial


@pytest.mark.parametrize(("skill", "right", "wrong"), [(0.5, 0.9, 0.1), (0.3, 0.8, 0.3)])
async def test_success_follows_the_closed_form_of_retrying_until_the_judge_passes(
    skill: float, right: float, wrong: float
) -> None:
    """Trials that are right with p, a judge that passes a share of right and of wrong ones, lessons that do not help."""

    def guess(draw: Draw, **_: Any) -> str:
        return "yes" if draw.dice.random() < skill else "no"

    def judged(draw: Draw, answer: str, **_: Any) -> Verdict:
        passed = draw.dice.random() < (right if answer == "yes" else wrong)
        return Verdict(passed, float(passed), "")

    trials, items = 3, 1000
    world: dict[Any, Any] = {answer: guess, check: judged, reflect: lambda **_: "try again"}
    won = 0
    for seed in range(items):
        won += (await blunt(scripted(world, seed=seed, prompt=True), TASK, trials=trials)).text == "yes"
    passes = skill * right + (1 - skill) * wrong
    rejected = (1 - passes) ** trials  # then the first of equal scores is returned
    first = skill * (1 - right) / (1 - passes)  # that a rejected trial was right all the same
    expected = skill * right * (1 - rejected) / passes + rejected * first
    assert won / items == pytest.approx(expected, abs=3 * (expected * (1 - expected) / items) ** 0.5)


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("task.told(*lessons, *shown)", "task"),
    ("task.told(*lessons, *shown)", "task.told(*lessons)"),
    (
        "verdict = await judge(run, task, attempt)",
        'from stratagem.core import Verdict\n            verdict = Verdict(True, 1.0, "")',
    ),
    ("if verdict.passed:", "if True:"),
    ("if verdict.passed:", "if False:"),
    ("run.offer(attempt, verdict.score)", "run.offer(attempt, 0.0)"),
    ("run.offer(attempt, verdict.score)", "run.offer(attempt, -verdict.score)"),
    ("            run.offer(attempt, UNJUDGED)\n", ""),
    ("run.offer(attempt, UNJUDGED)", "run.offer(attempt)"),
    ("run.offer(attempt, UNJUDGED)", "run.offer(attempt, 1.0)"),
    ("return run.best", "return attempt"),
    ("[-memory:]", ""),
    ("[-memory:]", "[:memory]"),
    ("if trial < trials:", "if True:"),
    ("attempt.steps, attempt.text, verdict.feedback", 'attempt.steps, attempt.text, ""'),
    ("attempt.steps, attempt.text, verdict.feedback", 'attempt.steps, "", verdict.feedback'),
    ("attempt.steps, attempt.text, verdict.feedback", "Transcript(), attempt.text, verdict.feedback"),
    ('getattr(stopped, "steps", None) or Transcript()', "Transcript()"),
    ("str(stopped)", '""'),
    ("lessons=lessons\n", "lessons=()\n"),
    ("(*lessons, lesson)", "(lesson, *lessons)"),
    ("except (NoAnswer, UnparsedReply) as stopped", "except ZeroDivisionError as stopped"),
    ("except (NoAnswer, UnparsedReply) as stopped", "except NoAnswer as stopped"),
    ("except (NoAnswer, UnparsedReply) as stopped", "except UnparsedReply as stopped"),
    ("@signature(examples=PAIRS)", "@signature"),
    ("react.using(max_steps=30, repeats=2)", "react"),
    ("if last_attempt and tried:", "if tried:"),
    ("if last_attempt and tried:", "if last_attempt:"),
    ("                await run.reset()", "                pass"),
]
