"""A process that runs strategies on questions: `python -m stratagem.lab._worker`.

It reads jobs from standard input and writes what came of them to standard output, one JSON document a line.

Rule 1: it is given questions, never keys. Who scores is the process that started it.
Rule 2: every item has a run and a journal of its own, and there is no memory, so nothing that one item paid for serves another.
Rule 3: when standard input ends, so does this process: nobody is left who would score.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cached_property
from typing import IO, Any

from stratagem.core import (
    Answer,
    Book,
    Budget,
    Example,
    MemoryJournal,
    Model,
    Oracle,
    Run,
    Services,
    StoredRun,
    Strategy,
    Task,
    Tools,
    World,
    budget_of,
)
from stratagem.core._canonical import clean, json_of
from stratagem.errors import CapabilityError, JournalError, ModelError, Refused, StratagemError, UnparsedReply, record
from stratagem.lab._checked import LATE, TOLD, blamed, fault_of, last_line
from stratagem.lab._crew import GRACE
from stratagem.lab._suites import suite_of
from stratagem.lab._truth import RAISED, Handed, as_declared
from stratagem.lab._virtual import VirtualClock, VirtualLoop
from stratagem.lab._watch import WITNESS, Watched, Witness, waves
from stratagem.models import open_model, takes_address
from stratagem.session._ends import Plan, check_model, label_of, outcome, saved
from stratagem.session._loading import strategy_of
from stratagem.tasks import Suite

OPTIONS: Mapping[str, Any] = {"temperature": 0.0}  # as a session has it, where nobody names another
# What would fail other items as well.
ENDING = (CapabilityError, JournalError, ModelError)
BEAT = 1.0  # seconds between two signs of life
MOST_LINES = 2_000  # of one item's prompts that are looked at; what is beyond is counted


class Worker:
    """Runs jobs of one comparison.

    Args:
        setup: `task` (spec), `blind` (what a task file says without its answers), `examples`, `max_tokens`, `base_url`,
            `api_key_env`, `prices`, `withheld` (whether messages may not quote what was raised).
        out: where results are written.
    """

    def __init__(self, setup: Mapping[str, Any], out: IO[str]) -> None:
        self._setup, self._out = setup, out
        self._suite: Suite = suite_of(setup["task"], blind=setup.get("blind"))
        self._foreign = "" if type(self._suite).__module__.startswith("stratagem.") else self._suite.name
        self._examples = tuple(Example(*one) for one in setup["examples"])
        self._known: dict[str, Services] = {}
        self._strategies: dict[str, Strategy] = {}
        self._oracle: Oracle | None = None
        longest = setup.get("max_tokens")
        self._options = OPTIONS if longest is None else {**OPTIONS, "max_tokens": longest}
        self._loop = VirtualLoop()
        self._virtual = False
        self._turning: asyncio.AbstractEventLoop | None = None  # the loop that runs, or is the last that ran
        self._watched: list[Watched] = []
        self._writing = threading.Lock()
        self.at: int | None = None  # the item by which the process ends

    def perform(self, job: Mapping[str, Any]) -> None:
        """Run a strategy on the questions of a job and write one line for each."""
        TOLD.set(not self._setup.get("withheld", False))
        services = self._services(job["model"])
        self._virtual = _simulated(job["model"])
        made = self._strategy(job["strategy"])
        main = self._all(made, budget_of(job["budget"]), services, job)
        loop = self._loop if self._virtual else self._real
        self._turning = loop
        task = loop.create_task(main)
        while not task.done():
            # Where a task of a strategy ends by one of these, asyncio leaves the loop before whoever awaits that task gets it.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                loop.run_until_complete(task)
        task.result()

    @cached_property
    def _real(self) -> asyncio.AbstractEventLoop:
        return asyncio.Runner().get_loop()

    def beat(self) -> None:
        """Write a sign of life each second in which the loop turns or a model is asked.

        Whoever only computes gives none, nor does a loop in virtual time that turns and turns for a strategy that never waits.
        """
        asked, turned = 0, True

        def turns() -> None:
            nonlocal turned
            turned = True

        while True:
            time.sleep(BEAT)
            before, asked = asked, sum(one.asked for one in list(self._watched))
            spun = self._loop.spun() and self._virtual
            if asked != before or (turned and not spun):
                self.write({"beat": 1})
            if turned and self._turning is not None:
                turned = False
                self._turning.call_soon_threadsafe(turns)

    async def _all(self, strategy: Strategy, budget: Budget, services: Services, job: Mapping[str, Any]) -> None:
        waiting = list(reversed(job["items"]))

        async def strand() -> None:
            while waiting:
                number, question, seed = waiting.pop()
                self.write({"begun": number})
                try:
                    said = await self._one(strategy, budget, services, job["cell"], number, question, seed)
                except Exception:
                    self.at = number if self.at is None else self.at
                    raise
                self.write(said, more=self._virtual and bool(waiting))

        async with asyncio.TaskGroup() as group:
            for _ in range(1 if self._virtual else job["width"]):
                group.create_task(strand())

    async def _one(
        self, strategy: Strategy, budget: Budget, services: Services, cell: int, number: int, question: str, seed: int
    ) -> dict[str, Any]:
        witness = Witness()
        WITNESS.set(witness)
        raised: list[BaseException] = []
        RAISED.set(raised)
        self._loop.restart()
        started = time.monotonic()
        task = as_declared(self.task(question), strategy.needs, self._foreign)
        answer, error = await ended(strategy, task, budget, services, seed, self._options)
        for failure in raised:  # a tool's failure is an observation, which a model may even answer
            fault = fault_of(failure)
            if fault is not None:
                raise fault from failure
        took = self._loop.time() if self._virtual else time.monotonic() - started
        lines = list(witness.lines)
        return {
            "cell": cell, "item": number, **_frozen(answer), "seconds": round(took, 6), "waves": waves(witness.calls),
            "first": list(witness.first), "lines": lines[:MOST_LINES], "unseen": max(len(lines) - MOST_LINES, 0),
            "heard": list(witness.lines.values())[:MOST_LINES], "grown": witness.grown, "said": list(witness.said)[:MOST_LINES],
            "prompts": witness.prompts, **({"stop": "error", "reason": error} if error else {}), **({"by": witness.by} if witness.by else {}),
        }  # fmt: skip

    def task(self, question: str) -> Task:
        """Return the task of a question; `UsageError` names the method of a suite that fails to make it."""
        with blamed(self._setup["task"], self._suite, shown=TOLD.get(), remedy=LATE):
            return self._suite.task(question, examples=self._examples)

    def write(self, form: Mapping[str, Any], *, more: bool = False) -> None:
        """Write a line; if more follows at once, it goes out with that."""
        with self._writing:
            written(self._out, form, more=more)

    def _strategy(self, spec: str) -> Strategy:
        if spec not in self._strategies:
            self._strategies[spec] = strategy_of(spec)
        return self._strategies[spec]

    def _services(self, spec: str) -> Services:
        """Return what all items with a model share: the model, and no memory, journal or cache."""
        if spec not in self._known:
            simulated = _simulated(spec)
            clock = VirtualClock(self._loop) if simulated else None
            model = Watched(self._simulation(spec) if simulated else self._real_model(spec))
            self._watched.append(model)
            self._known[spec] = Services(model, tools=self._tools(), repairs=0, strict=True, clock=clock)
        return self._known[spec]

    def _tools(self) -> Tools:
        with blamed(self._setup["task"], self._suite, remedy=LATE):  # nothing is asked of it that could be told
            tools = tuple(self._suite.tools())
        return Tools(tuple(Handed(tool, f"the tool `{tool.name}`", self._foreign) for tool in tools))

    def _simulation(self, spec: str) -> Model:
        from stratagem.models.simulated import SimulatedModel

        if self._oracle is None:
            self._oracle = suite_of(self._setup["task"]).oracle()
        return SimulatedModel(spec, self._oracle)

    def _real_model(self, spec: str) -> Model:
        url, variable = self._setup.get("base_url"), self._setup.get("api_key_env")
        placed = takes_address(spec)
        model = open_model(
            spec, base_url=url if placed else None, api_key_env=variable if placed else None,
            prices=self._setup.get("prices"),
        )  # fmt: skip
        # A discount would be paid to whoever asks second, so what a strategy costs would depend on the others.
        in_full = getattr(model, "price_in_full", None)
        if in_full is not None:
            in_full()
        return model


def written(out: IO[str], form: Mapping[str, Any], *, more: bool = False) -> None:
    """Write a line, out of this process unless more follows; if nobody reads any more, end the process without a word."""
    line = json.dumps(form, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    try:
        out.write(line + "\n")
        if not more:
            out.flush()
    except OSError:
        os._exit(0)


async def driven(
    strategy: Strategy, task: Task, budget: Budget, services: Services, seed: int, options: Mapping[str, Any] = OPTIONS
) -> Answer:
    """Run a strategy in a world of its own, with a journal that nobody else has: a session without its records."""
    plan, run, world = _begun(strategy, task, budget, services, seed, options)
    await check_model(services, options, budget)
    return (await outcome(plan, run, world))[0]


async def ended(
    strategy: Strategy, task: Task, budget: Budget, services: Services, seed: int, options: Mapping[str, Any]
) -> tuple[Answer, str]:
    """Run a strategy likewise; return its answer, and an empty text.

    Of a strategy that failed: what it had by then, and what the failure says. What a strategy does wrong with one item is
    that item's failure; a model or a journal that fails ends the comparison.
    """
    plan, run, world = _begun(strategy, task, budget, services, seed, options)
    await check_model(services, options, budget)
    try:
        async with _in_time(budget.seconds, services):
            return (await outcome(plan, run, world))[0], ""
    except BaseException as failure:  # a user's code may raise anything
        first = _first(failure)
        if isinstance(first, ENDING) and not isinstance(first, UnparsedReply | Refused):
            raise
        mine = asyncio.current_task()
        if isinstance(first, asyncio.CancelledError) and mine is not None and mine.cancelling():
            raise  # another item has ended the job
        fault = None if isinstance(first, OutOfTime) else fault_of(first)
        if fault is not None:
            raise fault from first  # what the suite does wrong is no strategy's failure
        return saved(run, world, "no_answer", ""), last_line(first)


class OutOfTime(Exception):
    """A strategy goes on although its seconds are over: it waits for something that is not asked for through `run`."""


@contextlib.asynccontextmanager
async def _in_time(seconds: float | None, services: Services) -> AsyncGenerator[None]:
    """End what is far over its limit of seconds; the core ends what asks for anything."""
    if seconds is None:
        yield
        return
    most, begun = seconds + GRACE, services.clock.stamp()
    try:
        async with services.clock.limit(most):
            yield
    except TimeoutError as failure:
        if services.clock.stamp() - begun < most * 1e6:
            raise  # a limit of its own
        where = None if failure.__cause__ is None else failure.__cause__.__traceback__
        raise OutOfTime(f"did not end within {most:g} s; {seconds:g} were allowed").with_traceback(where) from None


def _begun(
    strategy: Strategy, task: Task, budget: Budget, services: Services, seed: int, options: Mapping[str, Any]
) -> tuple[Plan, Run, World]:
    """Begin a run. It takes seed and journal from the services, and there is no waiting before it does."""
    services.seed, services.journal = seed, MemoryJournal()
    stored = StoredRun("run")
    services.journal.create(stored)
    world = World(services, Book(services.journal, stored.run_id), run_id=stored.run_id)
    run = Run.start(world, (budget,), options=services.options(options), label=label_of(task.question))
    return Plan(stored, strategy, task, budget, services, options), run, world


def _first(failure: BaseException) -> BaseException:
    """Return a failure; of a group its first."""
    first: Any = failure
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return first  # pyright: ignore[reportUnknownVariableType]


def _simulated(spec: str) -> bool:
    return spec.partition(":")[0] == "sim"


def _frozen(answer: Answer) -> dict[str, Any]:
    """Return what is kept of an answer: its text and the tool calls that led to it, which nothing changes from here on."""
    used = answer.usage
    made = [[call.name, json_of(call.arguments)] for turn in answer.steps for call in turn.step.calls]
    return {
        "text": clean(answer.text), "made": made, "stop": answer.stop, "reason": clean(answer.reason)[:200], "needs": sorted(answer.needs),
        "calls": used.calls, "tokens": used.tokens, "prompt_tokens": used.prompt_tokens, "usd": used.usd,
        "estimated": used.estimated,
    }  # fmt: skip


def _jobs(source: IO[str], inbox: "Sequence[Any]") -> None:
    """Hand lines over, and end the process when there are no more: whoever asked is gone."""
    put: Any = inbox
    for line in source:
        put.put(line)
    put.put("")
    closed = threading.Event()
    closed.wait(2.0)  # a call that is under way may take long, and its reply would reach nobody
    os._exit(0)


def main() -> None:
    """Perform jobs until there are no more."""
    import queue
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # a strategy that prints must not be taken for a result
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    inbox: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_jobs, args=(sys.stdin, inbox), daemon=True).start()
    worker: Worker | None = None
    while line := inbox.get():
        said = json.loads(line)
        try:
            if worker is None:
                worker = Worker(said, out)
                threading.Thread(target=worker.beat, daemon=True).start()
                continue
            worker.perform(said)
            worker.write({"done": said["job"]})
        except BaseException as failure:  # noqa: BLE001  (the other side says what happened)
            written(out, {"error": _told(failure), "at": None if worker is None else worker.at})
            break


def _told(failure: BaseException) -> dict[str, Any]:
    """Return a failure as JSON; of a group its first."""
    first = _first(failure)
    if isinstance(first, StratagemError):
        return {"ours": record(first)}
    import traceback

    return {"foreign": f"{type(first).__name__}: {first}", "trace": "".join(traceback.format_exception(first))}


if __name__ == "__main__":
    main()
