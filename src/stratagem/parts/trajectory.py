"""Work with trajectories. Pure functions."""

from stratagem.core import Transcript


def extended(steps: Transcript, more: Transcript) -> Transcript:
    """Return a conversation followed by another one.

    >>> from stratagem.core import Step
    >>> len(extended(Transcript().then(Step("a")), Transcript().then(Step("b"))))
    2
    """
    for turn in more:
        steps = steps.then(turn.step, *turn.observations)
    return steps
