"""Reflexion: after a failed trial, write down the lesson and try again with it."""

import math
from typing import Annotated

from stratagem.core import Answer, Judge, Positive, Role, Run, Strategy, Task, Transcript, signature, strategy
from stratagem.errors import NoAnswer, UnparsedReply
from stratagem.judges.self_check import self_check
from stratagem.strategies.basic.react import react

# Two written pairs of failed trajectory and good reflection, as the paper's two-shot prompt has.
PAIRS = (
    "Action 1: take[mug]\nObservation 1: Nothing happens.\nReflection: I took the mug before I had walked "
    "to the desk. Next time I go to the desk first and take the mug there.",
    "Action 1: search[Paris]\nObservation 1: a city\nAnswer: France\nReflection: I answered with the country "
    "although the river was asked for. Next time I search for the river itself.",
)
UNJUDGED = -math.inf  # below every score of a judge: what is kept if the budget ends before the verdict


@signature(examples=PAIRS)
def reflect(
    question: str, steps: Transcript, attempt: str, feedback: str, lessons: tuple[str, ...]
) -> Annotated[str, Role("lessons")]:
    """Say in two sentences why the trial failed and what to do differently next time. Repeat no earlier lesson."""
    ...


@strategy(
    ids=["SF01"],
    paper="arXiv:2303.11366",
    calls="trials * (actor + judge) + trials - 1",
    lower="actor + judge",
)
async def reflexion(
    run: Run,
    task: Task,
    *,
    actor: Strategy = react.using(max_steps=30, repeats=2),
    judge: Judge = self_check,
    trials: Positive = 3,
    memory: Positive = 3,
    last_attempt: bool = False,
) -> Answer:
    """Repeat `actor` until `judge` passes its answer, with the lessons of past failures.

    Shinn et al., "Reflexion: Language Agents with Verbal Reinforcement Learning", NeurIPS 2023. The first version of the paper
    (actor, binary reward, a heuristic h_t that ends a trial) is `judge=rewarded` with the actor's limits; the last one
    (Actor, Evaluator, Self-Reflection) takes any judge. For programs: `actor=chain_of_thought, judge=checked, last_attempt=True`.

    Args:
        actor: makes one trial and must show `task.notes`. Its own limits are h_t: `max_steps` ends an inefficient trial (paper:
            30 actions), `repeats` a hallucinating one (paper: the same action and response in more than 3 cycles, `repeats=4`;
            Weng's account of it, and ours: consecutive ones, 2).
        judge: the Evaluator. The default sees no reference; the result of one that does stands under what it `needs`.
        trials: attempts, each from the start (code: up to 10).
        memory: most recent lessons shown to the actor (paper: 1 to 3).
        last_attempt: whether the actor sees its last answer and what was said of it as well (code: for programs).

    Returns:
        The first answer that passes, else the one with the highest score.

    Raises:
        NoAnswer: every trial was stopped by h_t or could not be read.

    Cost:
        Strictly sequential. A pass in trial t costs t * (actor + judge) + t - 1 calls; each lesson lengthens every prompt of
        the next trial.

    Fails when:
        - the judge passes wrong answers: the loop stops at once, nothing is gained;
        - the judge rejects right answers: they are talked away;
        - tools changed a world that is not the task's environment: only that one is reset between trials.

    Paper, code, ours:
        Paper: h_t may end a trial after any action.
        Code: ALFWorld stops after 49 steps, or when an action is repeated, whatever it brought.
        Ours: h_t lives in the actor, whose loop it stops; other observations are no repetition.
        Paper: the Evaluator of question answering is exact match with the reference, that of programs is tests the model wrote.
        Code: the same; the hidden tests are run once, at the end.
        Ours: asks `judge`, and no judge sees the reference.
        Paper: does not say when the memory ends.
        Code: keeps lessons for one benchmark run.
        Ours: they are local to the call. The last failure is not reflected upon: nobody would read it.
    """
    lessons: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    for trial in range(1, trials + 1):
        try:
            attempt = await actor(run, task.told(*lessons, *shown))
        except (NoAnswer, UnparsedReply) as stopped:
            steps, tried, feedback = getattr(stopped, "steps", None) or Transcript(), "", str(stopped)
        else:
            run.offer(attempt, UNJUDGED)
            verdict = await judge(run, task, attempt)
            run.offer(attempt, verdict.score)
            if verdict.passed:
                return attempt
            steps, tried, feedback = attempt.steps, attempt.text, verdict.feedback
        if trial < trials:
            lesson = await run.ask(
                reflect, question=task.question, steps=steps, attempt=tried, feedback=feedback, lessons=lessons
            )
            lessons = (*lessons, lesson)[-memory:]
            if last_attempt and tried:
                shown = (f"The last attempt: {tried}", f"What was said of it: {feedback}")
            if task.environment is not None:
                await run.reset()
    return run.best
