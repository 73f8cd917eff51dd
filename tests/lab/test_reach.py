"""Nothing that public attributes of `run` and `task` lead to solves a suite's problems, or brings what was not declared."""

import io
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import pytest

from stratagem.core import Answer, Json, Observation, Run, Task, Tool, Tools, Transcript, Verdict, signature, strategy
from stratagem.core._strategy import Truth
from stratagem.lab import _truth, _worker
from stratagem.lab._worker import Worker
from stratagem.models.simulated import SimulatedModel
from stratagem.tasks import Suite, SuiteOracle
from stratagem.tasks import suite as ours
from stratagem.tasks.api_bank import ApiBank, ApiEnvironment
from stratagem.tasks.blocksworld import BlocksEnvironment, Blocksworld

MOST = 200_000


def walked(*roots: tuple[str, object]) -> Iterator[tuple[str, object]]:
    """Yield what items, elements and public attributes lead to, and by which way; what is hidden by each way.

    What a class has, its instances have.
    """
    seen: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        path, one = waiting.pop()
        if id(one) in seen or isinstance(one, type):
            if isinstance(one, HIDDEN):
                yield path, one
            continue
        seen[id(one)] = one  # alive, so that no other gets its number
        assert len(seen) < MOST
        yield path, one
        if isinstance(one, str | bytes | int | float | ModuleType | None):
            continue
        if isinstance(one, dict):
            waiting += [(f"{path}[{key!r:.40}]", part) for key, value in one.items() for part in (key, value)]
        elif isinstance(one, list | tuple | set | frozenset | Tools | Transcript):
            waiting += [(f"{path}[{n}]", part) for n, part in enumerate(one)]
        for name in dir(one):
            if not name.startswith("_"):
                try:
                    waiting.append((f"{path}.{name}", getattr(one, name)))
                except Exception:  # noqa: BLE001  (a property that says no)
                    continue


class Leaky(Suite):
    """A suite whose checker, world and tools show who made them, unless somebody hides it."""

    name = "leaky"
    about = "multiply two whole numbers"
    output = int

    def make(self, dice: Any, level: int) -> Json:
        return [dice.randrange(10**5, 10**6), 10**level + 1]

    def render(self, problem: Json) -> str:
        return f"What is {problem[0]} times {problem[1]}?"

    def read(self, question: str) -> Json:
        return [int(one) for one in question.removesuffix("?").split() if one.isdecimal()]

    def solve(self, problem: Json) -> str:
        return str(problem[0] * problem[1])

    def right(self, problem: Json, value: Any) -> float:
        return float(value == problem[0] * problem[1])

    def wrong(self, problem: Json, number: int) -> str:
        return str(problem[0] * problem[1] + 1 + number)

    def checker(self, problem: Json) -> Callable[[str], Verdict]:
        return partial(self.checked, problem)

    def checked(self, problem: Json, text: str) -> Verdict:
        return Verdict(text == self.solve(problem), 1.0, "")

    def environment(self, problem: Json) -> Callable[[], Any]:
        return partial(World, self, problem)

    def tools(self) -> tuple[Tool, ...]:
        return (Tool(_looking(self), name="look"), Tool(Asking(self), name="ask", spec="ask"))


class World:
    """What a suite's moves change."""

    def __init__(self, maker: Leaky, problem: Json) -> None:
        self.maker, self.problem = maker, problem

    def reset(self) -> Observation:
        return Observation("Back.", result={"reward": 0.5})

    def moves(self) -> tuple[Tool, ...]:
        return (
            Tool(_looking(self.maker), name="move", effect="self"),
            Tool(Asking(self), name="beg", spec="beg", effect="self"),
        )


class Asking:
    """Ask."""

    __annotations__: ClassVar[dict[str, Any]] = {"place": str}  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, who: object) -> None:
        self.who = who

    def __call__(self, place: str) -> Json:
        return {"asked": place, "reward": 0.5}


def _looking(maker: Leaky) -> Any:
    def look(place: str) -> str:
        """Look at a place."""
        return place

    look.maker = maker  # pyright: ignore[reportFunctionMemberAccess]
    return look


@signature
def reply(question: str) -> str:
    """Answer."""
    ...


HIDDEN = Suite | SuiteOracle | SimulatedModel | World | BlocksEnvironment | ApiEnvironment | ModuleType


def reached(suite: Suite, needs: Truth, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[object]]:
    """Return by which ways a strategy gets at what is hidden, and all that it gets."""
    found: list[tuple[str, object]] = []

    @strategy(calls="1", needs=needs)
    async def curious(run: Run, task: Task) -> Answer:
        """Look around."""
        answer = task.answer(await run.ask(reply, question=task.question))
        roots: list[tuple[str, object]] = [("run", run), ("task", task)]
        if task.environment is not None:
            world = task.environment()
            roots += [("world", world), ("moves", world.moves()), ("seen", world.reset())]
            roots += [(f"told by {one.name}", await one.perform({"place": "x"})) for one in world.moves()]
        found.extend(walked(*roots))
        return answer

    monkeypatch.setattr(_worker, "suite_of", lambda *_given, **_named: suite)
    out = io.StringIO()
    worker = Worker({"task": suite.name, "blind": None, "examples": ()}, out)
    worker._strategies["curious"] = curious
    (item,) = suite.items(1, seed=3)
    job = {
        "cell": 0,
        "width": 1,
        "strategy": "curious",
        "model": "sim:skill=0",
        "budget": "",
        "items": [[0, item.question, 7]],
    }
    try:
        worker.perform(job)
    finally:
        worker._loop.close()
    assert '"stop":"answered"' in out.getvalue()
    assert ("task.question", item.question) in found
    assert len(found) > 100
    ways = [path for path, one in found if isinstance(one, HIDDEN) or one == item.key]
    return ways, [one for _, one in found]


@pytest.mark.parametrize("needs", ["nothing", "checker", "reward"])
@pytest.mark.parametrize(
    "suite",
    [Leaky(), Blocksworld(acting=True), ApiBank(acting=True), *map(ours, ("game24", "word_problems", "list_sorting"))],
    ids=lambda one: one.name,
)
def test_nothing_that_public_attributes_lead_to_solves_a_problem(
    suite: Suite, needs: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways, found = reached(suite, needs, monkeypatch)
    assert ways == []
    rewards = [one for one in found if isinstance(one, dict) and "reward" in one]
    assert bool(rewards) == (needs == "reward" and isinstance(suite, Leaky))


def _as_they_are(task: Task, *_: object) -> Task:
    return task


def _made(make: Callable[[], Any]) -> Any:
    return _truth._World(make(), "", silent=True)


@pytest.mark.parametrize(
    ("where", "name", "planted", "way"),
    [
        (_worker, "as_declared", _as_they_are, "task.environment.args[0]"),
        (_truth, "_checking", lambda check, suite: partial(check, Leaky()), "task.checker.args[0]"),
        (_worker, "Handed", lambda tool, *_: tool, "run.tools[0].fn.maker"),
        (_truth, "_making", lambda make, suite, silent: partial(_made, make), "task.environment.args[0].args[0]"),
        (_truth, "Handed", lambda tool, *_, silent: tool, "moves[0].fn.maker"),
        (_truth, "_without_reward", lambda seen: seen, ""),
    ],
)  # fmt: skip
def test_a_leak_is_found(where: Any, name: str, planted: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, name, planted)
    ways, found = reached(Leaky(), "checker", monkeypatch)
    if way:
        assert way in ways
    else:
        assert [one for one in found if isinstance(one, dict) and "reward" in one]
