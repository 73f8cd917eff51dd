"""kill -9 at random moments of a nested concurrent program: what is right afterwards, and what is paid again.

The program is branches at once, each of five calls in a row, the third followed by three at once of two calls each. It is
written for us (`run.map`) and for LangGraph's functional API (a task per call, `asyncio.gather`), with the SQLite saver
that comes with it, as their documentation writes it. Every call appends to a ledger outside the journal when it begins
and when it ends, and returns its own name: whoever gets another name has the value of another call.

Before that, what each engine costs beside plain asyncio where nobody is killed and no call takes time.

    pip install langgraph langgraph-checkpoint-sqlite     to have the peer beside ours; nothing else needs it
"""

import asyncio
import functools
import importlib
import importlib.util
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Report, smallest
from stratagem.core import Answer, Run, Task, strategy, tool

ROOT = Path(__file__).parent.parent
BRANCHES, CALLS, INNER, DEEP = 12, 5, 3, 2
PACE_S = 0.1  # the mean of what a call takes
PEER = "langgraph"

chain_of = itertools.chain.from_iterable


def names(branches: int) -> list[str]:
    """Return what every call of the program is called, in the order of its answer."""
    found: list[str] = []
    for branch in range(branches):
        for step in range(CALLS):
            found.append(f"{branch}.{step}")
            if step == 2:
                found += [f"{branch}.2.{inner}.{deep}" for inner in range(INNER) for deep in range(DEEP)]
    return found


class Ledger:
    """What was really performed: a line when a call begins, and one when it ends."""

    def __init__(self, path: Path, pace_s: float) -> None:
        self._file, self._pace_s = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), pace_s

    async def call(self, name: str) -> str:
        """Be one call of a model, or of a tool."""
        os.write(self._file, f"begin {name}\n".encode())
        await asyncio.sleep(self._pace_s * random.uniform(0.2, 1.8))
        os.write(self._file, f"end {name}\n".encode())
        return name


ledger: Ledger


@tool
async def perform(name: str) -> str:
    """Perform a call."""
    return await ledger.call(name)


@strategy(calls="0")
async def nested(run: Run, task: Task, *, branches: int = BRANCHES) -> Answer:
    """Perform the program."""

    async def chain(run: Run, names: list[str]) -> list[str]:
        return [(await run.call(perform, name=name)).text for name in names]

    async def branch(run: Run, number: int) -> list[str]:
        found = await chain(run, [f"{number}.{step}" for step in range(3)])
        below = [[f"{number}.2.{inner}.{deep}" for deep in range(DEEP)] for inner in range(INNER)]
        for part in await run.map(chain, below):
            found += part
        return found + await chain(run, [f"{number}.{step}" for step in range(3, CALLS)])

    return task.answer(json.dumps(list(chain_of(await run.map(branch, range(branches))))))


async def ours(folder: Path, branches: int) -> list[str]:
    """Begin the program on us, or continue it."""
    import stratagem  # noqa: PLC0415

    path = folder / "journal.sqlite"
    async with stratagem.open(journal=f"sqlite:{path}", memory="none", tools=(perform,)) as session:
        answer = await session.run(nested.using(branches=branches), "?", run_id="crash")
    return json.loads(answer.text)


def plain(call: Callable[[str], Awaitable[str]]) -> Callable[[int], Awaitable[list[str]]]:
    """Return the program written with asyncio alone, over whatever performs a call."""

    async def chain(names: list[str]) -> list[str]:
        return [await call(name) for name in names]

    async def branch(number: int) -> list[str]:
        found = await chain([f"{number}.{step}" for step in range(3)])
        below = [[f"{number}.2.{inner}.{deep}" for deep in range(DEEP)] for inner in range(INNER)]
        for part in await asyncio.gather(*map(chain, below)):
            found += part
        return found + await chain([f"{number}.{step}" for step in range(3, CALLS)])

    async def whole(branches: int) -> list[str]:
        return list(chain_of(await asyncio.gather(*map(branch, range(branches)))))

    return whole


async def nothing(folder: Path, branches: int) -> list[str]:
    """Perform the program with asyncio alone: nothing is kept."""
    del folder
    return await plain(ledger.call)(branches)


async def peers(folder: Path, branches: int) -> list[str]:
    """Begin the program on LangGraph, or continue it."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415  # pyright: ignore
    from langgraph.func import entrypoint, task  # noqa: PLC0415  # pyright: ignore

    @task
    async def call(name: str) -> str:
        return await ledger.call(name)

    async with AsyncSqliteSaver.from_conn_string(str(folder / "saver.sqlite")) as saver:
        whole = plain(call)

        async def program_of(branches: int) -> list[str]:
            return await whole(branches)

        program: Any = entrypoint(checkpointer=saver)(program_of)
        settings: Any = {"configurable": {"thread_id": "crash"}}
        begun = await program.aget_state(settings)
        return await program.ainvoke(None if begun.next else branches, settings)


ENGINES = {"stratagem": ours, PEER: peers}
PLAIN = "asyncio"


class Found(NamedTuple):
    """What came of one or more kills.

    Attributes:
        kills: of processes.
        values: that the program got.
        wrong: of them those of another call.
        ended: calls that had ended when their process was killed.
        again: of them those that were performed again.
        in_flight: calls that had begun and not ended, and were performed again.
        stuck: runs that were continued and did not come to an end.
    """

    kills: int = 0
    values: int = 0
    wrong: int = 0
    ended: int = 0
    again: int = 0
    in_flight: int = 0
    stuck: int = 0


def spawned(engine: str, folder: Path, branches: int, pace_s: float = PACE_S) -> "subprocess.Popen[str]":
    """Start a process that begins or continues the program."""
    module = [sys.executable, "-W", "ignore", "-m", "benchmarks.crash"]
    command = [*module, engine, str(folder), str(branches), str(pace_s)]
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def lines(folder: Path) -> list[str]:
    """Return the ledger."""
    path = folder / "ledger"
    return path.read_text().splitlines() if path.exists() else []


def killed(engine: str, branches: int, share: float, patience_s: float) -> Found:
    """Kill a process once it has performed a share of the program, continue it in another one, and compare."""
    expected = names(branches)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = spawned(engine, folder, branches)
        while process.poll() is None and len(lines(folder)) < 2 * len(expected) * share:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = lines(folder)
        process = spawned(engine, folder, branches)
        try:
            said, _ = process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            said = ""
        after = lines(folder)[len(before) :]
    begun = {line[6:] for line in before if line.startswith("begin ")}
    ended = {line[4:] for line in before if line.startswith("end ")}
    again = {line[6:] for line in after if line.startswith("begin ")} & begun
    got, _ = json.loads(said.splitlines()[-1]) if said.strip() else ([], 0.0)
    wrong = sum(value != name for value, name in zip(got, expected, strict=False))
    return Found(1, len(got), wrong, len(ended), len(again & ended), len(again - ended), int(not got))


def unkilled(engine: str, branches: int) -> float:
    """Return the CPU seconds of the program in a process of its own, in which no call takes time."""
    with tempfile.TemporaryDirectory() as name:
        said, _ = spawned(engine, Path(name), branches, 0.0).communicate()
    got, cpu = json.loads(said.splitlines()[-1])
    assert got == names(branches), f"{engine} went wrong without a kill"
    return cpu


def measure(report: Report, *, kills: int = 10, branches: int = BRANCHES, patience_s: float = 60.0) -> None:
    """Kill each engine so often, at the same moments, and print the table."""
    report.title(
        "crash", f"kill -9 in the middle of {len(names(branches))} calls in {branches} branches, then continue"
    )
    there = [engine for engine in ENGINES if engine != PEER or _installed()]
    if PEER not in there:
        report.say("   LangGraph is not measured: pip install langgraph langgraph-checkpoint-sqlite")
    cpu = smallest(3, **{engine: functools.partial(unkilled, engine, branches) for engine in (PLAIN, *there)})
    calls = len(names(branches))
    report.shown("yardstick: plain asyncio, nothing kept, per call", cpu[PLAIN] / calls * 1e6, "us CPU")
    for engine in there:
        report.shown(
            f"  {engine} with SQLite, of that", cpu[engine] / cpu[PLAIN], "x", f"{cpu[engine] / calls * 1e6:.0f} us CPU"
        )
    dice = random.Random(20261126)
    moments = [dice.uniform(0.1, 0.9) for _ in range(kills)]
    columns = ("kills", "wrong values", "ended, paid again", "in flight, paid again", "stuck")
    report.say(f"   {'':24} {columns[0]:>6} {columns[1]:>16} {columns[2]:>20} {columns[3]:>22} {columns[4]:>6}")
    for engine in there:
        every = [killed(engine, branches, share, patience_s) for share in moments]
        one = Found(*(sum(column) for column in zip(*every, strict=True)))
        wrong, again = f"{one.wrong} / {one.values:,}", f"{one.again} / {one.ended:,}"
        named = engine if engine != PEER else f"LangGraph {_version()}"
        report.say(f"   {named:24} {one.kills:>6} {wrong:>16} {again:>20} {one.in_flight:>22} {one.stuck:>6}")
        if engine == "stratagem":
            report.judged("wrong values, and runs that did not end", one.wrong + one.stuck, "", most=0, ratio=True)


def _installed() -> bool:
    return importlib.util.find_spec(PEER) is not None and importlib.util.find_spec("aiosqlite") is not None


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version(PEER)


def main(arguments: list[str]) -> None:
    """Be the process that is killed."""
    global ledger
    engine, folder, branches, pace_s = arguments
    ledger = Ledger(Path(folder) / "ledger", float(pace_s))
    for module in {PEER: ("langgraph.func", "langgraph.checkpoint.sqlite.aio")}.get(
        engine, ("stratagem.journals.sqlite",)
    ):
        importlib.import_module(module)
    began = time.process_time()
    values = asyncio.run({**ENGINES, PLAIN: nothing}[engine](Path(folder), int(branches)))
    print(json.dumps([values, time.process_time() - began]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
