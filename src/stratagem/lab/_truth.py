"""What a strategy sees of the truth: what it says that it needs, and nothing else.

Rule: whatever a strategy needs stands in the report, so what it does not name is not there. Moves of an environment are no
truth; what they bring, the reward, is.
"""

import copy
import inspect
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

from stratagem.core import Environment, Json, Observation, Task, Tool, Verdict
from stratagem.core._tool import Timer
from stratagem.core._value import replace
from stratagem.errors import CapabilityError

REWARD = "reward"
# What a suite has raised for an item, though the core turned it into an observation, or a strategy caught it; branches share the list.
RAISED: ContextVar[list[BaseException]] = ContextVar("raised")


def as_declared(task: Task, needs: frozenset[str], suite: str = "") -> Task:
    """Return the task of an item with that truth alone which a strategy says that it needs.

    A checker that is not named ends the comparison when it is called; rewards that are not named are taken out.

    Args:
        task: of an item.
        needs: what the strategy names.
        suite: name of the suite that is blamed for what its checker and its environment raise; empty for one of ours.
    """
    hidden: dict[str, Any] = {}
    if task.checker is not None:
        hidden["checker"] = _checking(task.checker, suite) if "checker" in needs else _undeclared
    if task.environment is not None:
        hidden["environment"] = _making(task.environment, suite, silent=REWARD not in needs)
    return replace(task, **hidden) if hidden else task


def asked(what: str, suite: str, by_model: bool, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:  # noqa: ARG001  (read in the frame)
    """Call what a suite gave: by this frame `fault_of` tells what the suite raises from what a strategy does.

    Args:
        what: is called, in words.
        suite: its name; empty for one of ours.
        by_model: whether the arguments are those of a model or a strategy, which may be wrong.
        fn: the function.
        *args: its arguments.
        **named: likewise, by name.
    """
    try:
        return fn(*args, **named)
    except BaseException as failure:
        if not by_model:  # whoever tries again, or goes on with other branches, hides it
            RAISED.get([]).append(failure)
        raise


async def awaited(what: str, suite: str, by_model: bool, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Any:  # noqa: ARG001
    """Call likewise, and wait."""
    return await fn(*args, **named)


ASKED = frozenset({asked.__code__, awaited.__code__})


def _checking(check: Callable[[str], Verdict], suite: str) -> Callable[[str], Verdict]:
    def checked(text: str) -> Verdict:
        if isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            return asked("`checker`", suite, False, check, text)
        return check(text)  # what that raises is the strategy's own

    return checked


def _undeclared(text: str) -> Verdict:  # noqa: ARG001  (the place of a checker)
    raise CapabilityError(
        "a strategy uses the task's public checker and does not say so",
        remedy='Write `@strategy(needs="checker", ...)`, or let a parameter be the judge: `judge: Judge = checked`.',
    )


def _making(make: Callable[[], Environment], suite: str, *, silent: bool) -> Callable[[], Environment]:
    def environment() -> Environment:
        return _World(asked("`environment`", suite, False, make), suite, silent=silent)

    return environment


class _World:
    """An environment of which nothing is to be seen but what it tells; without rewards, if it is silent."""

    def __init__(self, inner: Environment, suite: str, *, silent: bool) -> None:
        self._inner, self._suite, self._silent = inner, suite, silent

    def reset(self) -> Observation:
        seen = asked("`reset` of the environment", self._suite, False, self._inner.reset)
        return _without_reward(seen) if self._silent else seen

    def moves(self) -> tuple[Tool, ...]:
        def made() -> tuple[Tool, ...]:
            return tuple(self._inner.moves())

        tools: tuple[Tool, ...] = asked("`moves` of the environment", self._suite, False, made)
        return tuple(Handed(tool, f"the move `{tool.name}`", self._suite, silent=self._silent) for tool in tools)


class Handed(Tool):
    """A tool of a suite: its function shows nothing of who made it, and what it raises is kept in `RAISED` as well.

    Args:
        tool: as the suite gives it.
        what: it is, in words.
        suite: name of the suite; empty for one of ours.
        silent: whether rewards are taken out of what it returns.
    """

    def __init__(self, tool: Tool, what: str, suite: str, *, silent: bool = False) -> None:
        vars(self).update(vars(tool))
        fn = tool.fn

        def told(value: Any) -> Any:
            return _without_reward(value) if silent else value

        def called(*args: Any, **named: Any) -> Any:
            return told(asked(what, suite, True, fn, *args, **named))

        async def waited(*args: Any, **named: Any) -> Any:
            return told(await awaited(what, suite, True, fn, *args, **named))

        self.fn = waited if inspect.iscoroutinefunction(fn) else called
        self._tool = tool

    async def perform(
        self, arguments: Mapping[str, Any], *, key: str = "", timeout_s: float = math.inf, timer: Timer | None = None
    ) -> Observation:
        """Call the function as the tool does, and note what it raised: a thread of its own has no context to note it in."""
        noted: list[BaseException] = []
        once = copy.copy(self._tool)
        once.fn = _noting(self.fn, noted)
        seen = await once.perform(arguments, key=key, timeout_s=timeout_s, timer=timer)
        RAISED.get([]).extend(noted)
        return seen


def _noting(fn: Callable[..., Any], noted: list[BaseException]) -> Callable[..., Any]:
    def called(**named: Any) -> Any:
        try:
            return fn(**named)
        except BaseException as failure:
            noted.append(failure)
            raise

    async def waited(**named: Any) -> Any:
        try:
            return await fn(**named)
        except BaseException as failure:
            noted.append(failure)
            raise

    return waited if inspect.iscoroutinefunction(fn) else called


def _without_reward(seen: Any) -> Any:
    result = seen.result if isinstance(seen, Observation) else seen
    if not isinstance(result, Mapping) or REWARD not in result:
        return seen
    told = cast("Mapping[str, Json]", result)
    rest = {key: value for key, value in told.items() if key != REWARD}
    return replace(seen, result=rest or None) if isinstance(seen, Observation) else rest
