"""Rewarded: the environment's reward for the trial grades the answer that ended it."""

from collections.abc import Mapping

from stratagem.core import Answer, Json, Run, Task, Verdict, judge

REWARD = "reward"


@judge(paper="arXiv:2303.11366", calls="0", lower="0", needs="reward")
async def rewarded(run: Run, task: Task, answer: Answer) -> Verdict:  # noqa: ARG001  (a judge takes a run)
    """Grade a trial by the last reward that its moves brought; 1 passes.

    Shinn et al., "Reflexion: Language Agents with Verbal Reinforcement Learning", NeurIPS 2023: binary reward. A move of an
    environment says its reward in the result of its observation, which the model does not see:
    `Observation("You put the mug down.", result={"reward": 1.0})`.

    Args:
        None: what is graded are the answer's steps.

    Cost:
        No model call.

    Fails when:
        The strategy acts without leaving `answer.steps`: no reward is seen, and every trial has failed.

    Paper, code, ours:
        The paper's reward is binary. A reward between 0 and 1 is a score here, one below 0 counts 0, one above 1 counts 1.
    """
    brought = [seen for seen in answer.steps.observations if _tells(seen.result)]
    if not brought:
        return Verdict(False, 0, "No move brought a reward.")
    last = brought[-1]
    reward = float(last.result[REWARD])
    return Verdict(reward >= 1, min(1, max(0, reward)), last.text)


def _tells(result: Json) -> bool:
    return isinstance(result, Mapping) and REWARD in result
