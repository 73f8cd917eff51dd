"""What the benchmarks run on: a bare run without a session, and models that answer without thinking."""

import asyncio
import hashlib
from collections.abc import Awaitable, Sequence
from typing import Any

from stratagem.core import (
    Answer,
    Book,
    Capabilities,
    Feed,
    Journal,
    Reply,
    Request,
    Run,
    Sample,
    Services,
    Step,
    StoredRun,
    Task,
    Tool,
    Tools,
    Transcript,
    Usage,
    World,
    signature,
    strategy,
    tool,
)

QUESTION = "How much is it?"
PACE_S = 0.05
# One step of the loop is about 700 bytes of the model and 250 of the tool: 177 KB in 200 steps.
THOUGHT = "The part that was read last names another place, so that is where the next part must be. " * 6
SEEN = "The drawer holds letters, a key with a blue ribbon and a list of names; the last one is crossed out. " * 2


class Model:
    """What every model here has in common: it is free of charge, counts characters and refuses nothing."""

    capabilities = Capabilities(frozenset({"tools", "temperature"}))
    spec = "bench:"

    def refuses(self, request: Request) -> frozenset[str]:
        """Refuse nothing."""
        del request
        return frozenset()

    def tokens(self, text: str) -> int:
        """Return the number of characters."""
        return len(text)

    async def aclose(self) -> None:
        """Hold nothing."""


class Drawn(Model):
    """Answers with a number that depends on seed, request and place only, as a simulated model does."""

    def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        """Return 41 or 42."""
        del on_delta
        place = f"{request.seed}|{request.path}|{request.occurrence}".encode()
        odd = hashlib.sha256(request.digest + place).digest()[0] & 1
        return Reply((Sample("42" if odd else "41"),), Usage(1, 1, 120, 3))


class Paced(Drawn):
    """The same answer after a pause."""

    def __init__(self, pace_s: float = PACE_S) -> None:
        self._pace_s = pace_s

    def complete(self, request: Request, *, on_delta: Any = None) -> Awaitable[Reply]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the reply after the pause."""
        return self._later(super().complete(request, on_delta=on_delta))

    async def _later(self, reply: Reply) -> Reply:
        await asyncio.sleep(self._pace_s)
        return reply


class Looped(Model):
    """Calls a tool so many times, then answers."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        """Return the next tool call, or the answer."""
        del on_delta
        number = 0 if request.steps is None else len(request.steps)
        if number >= self._steps:
            return Reply((Sample("In the last drawer."),), Usage(1, 1, 100, 10))
        return Reply((Sample(f"{number}: {THOUGHT}", (("look", look_arguments(number)),)),), Usage(1, 1, 900, 160))


def look_arguments(number: int) -> dict[str, Any]:
    """Return what the tool is given at a step."""
    return {"place": f"drawer {number}", "again": False}


@tool()
async def look(place: str, again: bool) -> str:
    """Look into a drawer.

    Args:
        place: which one.
        again: whether it was looked into before.
    """
    return f"{place}{again}: {SEEN}"


@signature
def guess(question: str, notes: tuple[str, ...]) -> str:
    """Answer the question. Reply with the answer alone."""
    ...


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Find the answer with the tools."""
    ...


@strategy(calls="1")
async def one(run: Run, task: Task) -> Answer:
    """Ask once."""
    return task.answer(await run.ask(guess, question=task.question, notes=task.notes))


@strategy(calls="5")
async def five(run: Run, task: Task) -> Answer:
    """Ask five times, one after the other."""
    said = ""
    for _ in range(5):
        said = await run.ask(guess, question=task.question, notes=task.notes)
    return task.answer(said)


async def searched(run: Run) -> str:
    """Look until the model answers."""
    steps = Transcript()
    while True:
        step = await run.ask(act, question=QUESTION, steps=steps, tools=run.tools)
        if step.answer is not None:
            return step.answer
        steps = steps.then(step, await run.call(step.calls[0]))


def services(model: Any, *, journal: Journal | None = None, tools: Sequence[Tool] = ()) -> Services:
    """Return what runs share."""
    return Services(model, journal=journal, tools=Tools(tuple(tools)))


def begun(shared: Services, run_id: str = "bench1", *, limits: Any = (), feeds: tuple[Feed, ...] = ()) -> Run:
    """Return the root strand of a new run, without a session."""
    shared.journal.create(StoredRun(run_id))
    return Run.start(World(shared, Book(shared.journal, run_id), run_id=run_id, feeds=feeds), limits)
