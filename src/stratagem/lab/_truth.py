"""What a strategy sees of the truth: what it says that it needs, and nothing else.

Rule: whatever a strategy needs stands in the report, so what it does not name is not there. Moves of an environment are no
truth; what they bring, the reward, is.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from stratagem.core import Environment, Json, Observation, Task, Tool, Verdict
from stratagem.core._value import replace
from stratagem.errors import CapabilityError

REWARD = "reward"


def as_declared(task: Task, needs: frozenset[str]) -> Task:
    """Return the task of an item with that truth alone which a strategy says that it needs.

    A checker that is not named ends the comparison when it is called; rewards that are not named are taken out.
    """
    hidden: dict[str, Any] = {}
    if task.checker is not None and "checker" not in needs:
        hidden["checker"] = _undeclared
    if task.environment is not None and REWARD not in needs:
        hidden["environment"] = functools.partial(_Unrewarded, task.environment)
    return replace(task, **hidden) if hidden else task


def _undeclared(text: str) -> Verdict:  # noqa: ARG001  (the place of a checker)
    raise CapabilityError(
        "a strategy uses the task's public checker and does not say so",
        remedy='Write `@strategy(needs="checker", ...)`, or let a parameter be the judge: `judge: Judge = checked`.',
    )


class _Unrewarded:
    """An environment whose moves say what they did, and not what it was worth."""

    def __init__(self, make: Callable[[], Environment]) -> None:
        self._inner = make()

    def reset(self) -> Observation:
        return _without_reward(self._inner.reset())

    def moves(self) -> tuple[Tool, ...]:
        return tuple(_silent(tool) for tool in self._inner.moves())


def _silent(tool: Tool) -> Tool:
    made, fn = copy.copy(tool), tool.fn

    @functools.wraps(fn)
    def moved(**arguments: Any) -> Any:
        return _without_reward(fn(**arguments))

    @functools.wraps(fn)
    async def awaited(**arguments: Any) -> Any:
        return _without_reward(await fn(**arguments))

    made.fn = awaited if inspect.iscoroutinefunction(fn) else moved
    return made


def _without_reward(seen: Any) -> Any:
    result = seen.result if isinstance(seen, Observation) else seen
    if not isinstance(result, Mapping) or REWARD not in result:
        return seen
    told = cast("Mapping[str, Json]", result)
    rest = {key: value for key, value in told.items() if key != REWARD}
    return replace(seen, result=rest or None) if isinstance(seen, Observation) else rest
