"""Checked: the public checker that the task carries grades an answer."""

from stratagem.core import Answer, Run, Task, Verdict, judge
from stratagem.errors import UsageError


@judge(paper="arXiv:2303.11366", calls="0", lower="0", needs="checker")
async def checked(run: Run, task: Task, answer: Answer) -> Verdict:  # noqa: ARG001  (a judge takes a run)
    """Run the task's public checker on the answer's text: tests shown with the task, rules of a game, a grammar.

    Shinn et al., "Reflexion: Language Agents with Verbal Reinforcement Learning", NeurIPS 2023: the tests of programming tasks.

    Args:
        None: the checker is the task's.

    Raises:
        UsageError: the task carries no checker.

    Cost:
        No model call.

    Fails when:
        The checker accepts what is wrong: it knows rules, not the reference.

    Paper, code, ours:
        The paper's tests for programs are written by the model, and the code shows them to the actor. Ours are the task's:
        public, the same for every strategy, and named in what the answer `needs`.
    """
    if task.checker is None:
        raise UsageError("`checked`: the task has no public checker: give one, `Task(..., checker=...)`")
    return task.checker(answer.text)
