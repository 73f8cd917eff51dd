"""Runs that wait for persons: what 300 cost, how soon an answer wakes one, and 1,000 at once.

In SQLite, and in PostgreSQL where a server can be started.
"""

import asyncio
import functools
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import stratagem
from benchmarks import world
from benchmarks.measure import Report, collector, resident
from stratagem.core import Answer, Journal, Run, Task, strategy
from stratagem.errors import CapabilityError
from stratagem.journals.postgres import PostgresJournal
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.postgres import Server

IDLE_S = 3.0  # in which the process is watched


@strategy(calls="2", lower="1")
async def asking(run: Run, task: Task) -> Answer:
    """Ask the model, then a person, then the model."""
    await run.ask(world.guess, question=str(task.question), notes=())
    said = await run.wait("Go on?")
    value = await run.ask(world.guess, question=f"{task.question} {said}", notes=())
    return task.answer(str(value))


@strategy(calls="0")
async def watching(run: Run, task: Task) -> Answer:
    """One strand asks a person; another one waits for something else, so that the run stays in memory."""

    async def branch(run: Run, number: int) -> bool:
        if number:
            await asyncio.sleep(0.2)
            return True
        await run.wait("Go on?")
        woken.append(time.perf_counter())
        return True

    await run.map(branch, range(2))
    return task.answer("done")


woken: list[float] = []


Make = Callable[[], Journal]  # opens a journal anew


def opened(make: Make) -> Any:
    """Open a session on a journal."""
    return stratagem.open(model=world.Drawn(), journal=make(), memory="none")


async def _waiting(make: Make, runs: int) -> dict[str, float]:
    """Park runs; return the memory that they leave and the share of a core that they take."""
    async with opened(make) as session:
        await session.run(asking, "warm", run_id="warm")
        before = resident() or 0.0
        await asyncio.gather(*(session.run(asking, f"q{number}", run_id=f"r{number}") for number in range(runs)))
        held = (resident() or 0.0) - before
        began = time.process_time()
        await asyncio.sleep(IDLE_S)
        return {"idle": (time.process_time() - began) / IDLE_S * 100, "held": held / 1000}


async def _woken(make: Make, runs: int) -> dict[str, float]:
    """Answer and resume parked runs: one, then all the others together."""
    async with opened(make) as session:

        async def wake(number: int) -> None:
            await session.answer(f"r{number}", value=True)
            answer = await session.resume(f"r{number}")
            assert answer.ok, answer

        for number in range(runs):
            await session.run(asking, f"q{number}", run_id=f"r{number}")
        began = time.perf_counter()
        await wake(0)
        one = time.perf_counter() - began
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(wake(number) for number in range(1, runs)))
        return {"one": one, "all": time.perf_counter() - began, "cpu": (time.process_time() - cpu) / runs * 1e6}


async def _live(make: Make) -> float:
    """Answer a run that another session drives meanwhile; return the seconds until its strand goes on."""
    async with opened(make) as driver, opened(make) as person:
        driving = asyncio.create_task(driver.run(watching, "?", run_id="live"))
        while not (found := await person.runs(text="live")) or not found[0].questions():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        began = time.perf_counter()
        await person.answer("live", value=True)
        answer = await driving
        assert answer.ok, answer
        return woken[-1] - began


async def _plain(runs: int) -> float:
    """The yardstick: tasks that wait for a future, woken together."""
    waiting = [asyncio.get_running_loop().create_future() for _ in range(runs)]

    async def waits(future: "asyncio.Future[bool]") -> bool:
        return await future

    tasks = [asyncio.create_task(waits(future)) for future in waiting]
    await asyncio.sleep(0)
    began = time.process_time()
    for future in waiting:
        future.set_result(True)
    await asyncio.gather(*tasks)
    return (time.process_time() - began) / runs * 1e6


def measure(report: Report, *, parked: int = 300, runs: int = 1000, repeats: int = 3) -> None:
    """Print what waiting costs."""
    report.title("people", f"{parked} runs that wait, {runs:,} that are woken")
    plain = min(asyncio.run(_plain(runs)) for _ in range(repeats))
    report.shown("yardstick: CPU to wake a task that waits for a future", plain, "us")
    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()
        makers = [
            functools.partial(SQLiteJournal, Path(folder) / f"{next(numbers)}.sqlite") for _ in range(3 * repeats)
        ]
        _measured(report, "SQLite", makers, parked, runs, plain)
    try:
        server = Server(options=("-c", "shared_buffers=64MB", "-c", "max_connections=50"))
    except CapabilityError as error:
        report.skipped("the same in PostgreSQL", str(error))
        return
    with server:
        makers = [functools.partial(PostgresJournal, server.database()) for _ in range(3 * repeats)]
        _measured(report, "PostgreSQL", makers, parked, runs, plain)


def _measured(report: Report, name: str, makers: Sequence[Make], parked: int, runs: int, plain: float) -> None:
    best: dict[str, float] = {}
    for waiting, woken, live in zip(*[iter(makers)] * 3, strict=True):
        with collector(owner=True):
            found = asyncio.run(_waiting(waiting, parked))
            found |= asyncio.run(_woken(woken, runs))
            found["live"] = asyncio.run(_live(live))
        best = {key: min(value, best.get(key, value)) for key, value in found.items()}
    report.judged(f"{name}: {parked} waiting runs, share of a core", best["idle"], "%", most=0.5)
    report.judged("  their memory", best["held"], "MB", most=10)
    report.judged("  from the answer to the end of a parked run", best["one"], "s", most=0.1)
    report.judged("  from the answer to the next step of a live run", best["live"], "s", most=0.1)
    if name == "SQLite":
        report.judged(f"  {runs:,} parked runs answered and woken", best["all"], "s", most=2)
    else:
        report.shown(f"  {runs:,} parked runs answered and woken", best["all"], "s")
    note = f"{best['cpu']:.0f} us"
    report.shown("  CPU to answer, load, replay and end one, of the yardstick", best["cpu"] / plain, "x", note)
