"""Calls of a model server on loopback, side by side with bare aiohttp and with the official client, in one process.

The server is a process of its own. CPU is the client's; latency and first token are wall-clock time and say little on a busy
machine, but they are taken in turns.
"""

import asyncio
import contextlib
import gc
import random
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from benchmarks import world
from benchmarks.imports import NOTHING, elsewhere
from benchmarks.measure import Report, collector, smallest
from benchmarks.model_clients import Call, bare, gateway, official, opened
from benchmarks.model_hosted import measure_hosted
from benchmarks.model_server import DELTAS, served
from stratagem.core import Observation, Step, ToolCall, Transcript
from stratagem.core._request_digest import request_digest

Client = Callable[[str], AbstractAsyncContextManager[Call]]
CLIENTS: dict[str, Client] = {"bare": bare, "gateway": gateway, "official": official}
PAUSE_MS = 50
WARM = 3  # requests that are not counted


class Round(NamedTuple):
    """One round of calls at once.

    Attributes:
        cpu_s: CPU seconds per call.
        p99_s: seconds after which 99 of 100 calls had ended.
        failed: calls that failed, time-outs among them.
    """

    cpu_s: float
    p99_s: float
    failed: int


async def _timed(call: Call, heard: Any, took: list[float]) -> bool:
    began = time.perf_counter()
    try:
        said = await call(heard)
    except Exception:  # noqa: BLE001  (every client has errors of its own; they are counted)
        return False
    took.append(time.perf_counter() - began)
    return bool(said)


async def at_once(client: Client, url: str, width: int, rounds: int, *, streams: bool = False) -> Round:
    """Perform rounds of so many calls at once; the connections are there already."""
    heard = (lambda _: None) if streams else None
    async with client(url) as call:
        await asyncio.gather(*(_timed(call, heard, []) for _ in range(width)))
        gc.collect()
        took: list[float] = []
        began, good = time.process_time(), 0
        for _ in range(rounds):
            good += sum(await asyncio.gather(*(_timed(call, heard, took) for _ in range(width))))
        cpu_s = (time.process_time() - began) / (width * rounds)
    took.sort()
    return Round(cpu_s, took[int(len(took) * 0.99)] if took else float("inf"), width * rounds - good)


async def under_a_run(url: str, width: int, rounds: int) -> Round:
    """Perform the same through a run: rendering, digest, budget and journal in memory included."""
    model = opened(url, width)
    took: list[float] = []

    async def one(run: Any, number: int) -> str:
        began = time.perf_counter()
        said = await run.ask(world.guess, question=f"{world.QUESTION} {number}", notes=())
        took.append(time.perf_counter() - began)
        return said

    run = world.begun(world.services(model))
    try:
        await run.map(one, range(width))
        gc.collect()
        took.clear()
        began, good = time.process_time(), 0
        for _ in range(rounds):
            good += sum(map(bool, await run.map(one, range(width))))
        cpu_s = (time.process_time() - began) / (width * rounds)
    finally:
        await model.aclose()
    took.sort()
    return Round(cpu_s, took[int(len(took) * 0.99)], width * rounds - good)


async def first_tokens(url: str, count: int) -> dict[str, list[float]]:
    """Return the seconds from a request to its first delta, by client; the clients take turns, request by request."""
    found: dict[str, list[float]] = {name: [] for name in CLIENTS}
    async with contextlib.AsyncExitStack() as stack:
        calls = {name: await stack.enter_async_context(client(url)) for name, client in CLIENTS.items()}
        order, dice = list(CLIENTS), random.Random(1)
        for _ in range(count + WARM):
            dice.shuffle(order)  # who comes after the official client finds cold caches
            for name in order:
                heard: list[float] = []
                began = time.perf_counter()
                await calls[name](lambda _, heard=heard: heard.append(time.perf_counter()))
                found[name].append(heard[0] - began)
    return {name: times[WARM:] for name, times in found.items()}


def best(rounds: list[Round]) -> Round:
    """Return the smallest CPU and latency of several rounds, and all their failures."""
    return Round(min(one.cpu_s for one in rounds), min(one.p99_s for one in rounds), sum(one.failed for one in rounds))


def _measure_calls(report: Report, origin: str, width: int, rounds: int, repeats: int) -> None:
    url, found = f"{origin}/{PAUSE_MS}/v1", {name: list[Round]() for name in (*CLIENTS, "run")}
    for _ in range(repeats):
        for name, client in CLIENTS.items():
            found[name].append(asyncio.run(at_once(client, url, width, 1 if name == "official" else rounds)))
        found["run"].append(asyncio.run(under_a_run(url, width, rounds)))
    ours = {name: best(rounds) for name, rounds in found.items()}
    us = {name: one.cpu_s * 1e6 for name, one in ours.items()}
    report.shown("yardstick: bare aiohttp", us["bare"], "us CPU", f"p99 {ours['bare'].p99_s * 1000:.0f} ms")
    report.shown(
        "yardstick: the official client on aiohttp", us["official"], "us CPU",
        f"p99 {ours['official'].p99_s * 1000:.0f} ms, {ours['official'].failed} failed",
    )  # fmt: skip
    report.shown("through the gateway", us["gateway"], "us CPU", f"p99 {ours['gateway'].p99_s * 1000:.0f} ms")
    report.judged("  CPU, of bare aiohttp", us["gateway"] / us["bare"], "x", most=2.0, ratio=True)
    report.judged("  CPU, of the official client", us["gateway"] / us["official"], "x", most=0.35, ratio=True)
    report.judged("  p99, of bare aiohttp", ours["gateway"].p99_s / ours["bare"].p99_s, "x", most=2.0)
    report.judged("  calls that failed", ours["gateway"].failed, "calls", most=0, ratio=True)
    report.shown(
        "under a run with its journal in memory", us["run"], "us CPU", f"p99 {ours['run'].p99_s * 1000:.0f} ms"
    )
    report.shown("  CPU, of bare aiohttp", us["run"] / us["bare"], "x")


def _measure_streams(report: Report, origin: str, width: int, rounds: int, repeats: int) -> None:
    url = f"{origin}/{PAUSE_MS}/v1"
    cpu: dict[str, list[Round]] = {name: [] for name in CLIENTS}
    for _ in range(repeats):
        for name, client in CLIENTS.items():
            cpu[name].append(asyncio.run(at_once(client, url, width, rounds, streams=True)))
    us = {name: best(rounds).cpu_s * 1e6 for name, rounds in cpu.items()}
    first = asyncio.run(first_tokens(url, width * repeats))
    ms = {name: statistics.median(found) * 1000 - PAUSE_MS for name, found in first.items()}
    report.shown(f"yardstick: a stream of {DELTAS} deltas, bare aiohttp", us["bare"], "us CPU")
    report.shown("yardstick: the official client", us["official"], "us CPU")
    report.judged(
        "a stream through the gateway, of bare aiohttp", us["gateway"] / us["bare"], "x", most=2.0, ratio=True
    )
    report.shown("yardstick: first token after the server's pause, bare", ms["bare"], "ms", "median")
    report.shown("yardstick: the official client", ms["official"], "ms", "median")
    report.shown("through the gateway", ms["gateway"], "ms", "median")
    report.judged("  later than bare aiohttp", ms["gateway"] - ms["bare"], "ms", most=1.0)


def _measure_width(report: Report, origin: str, width: int) -> None:
    """Memory per call in flight, each client in a process of its own."""
    program = "from benchmarks.model_width import main; main({name!r}, {origin!r}, {width})"
    kb: dict[str, float] = {}
    for name in ("bare", "gateway"):
        said = elsewhere_says(program.format(name=name, origin=origin, width=width))
        kb[name], failed = float(said[0]), int(said[1])
        report.judged(f"{width:,} calls in flight, {name}: failed", failed, "calls", most=0, ratio=True)
    report.shown("yardstick: memory per call in flight, bare aiohttp", kb["bare"], "KB")
    report.judged("memory per call in flight, gateway", kb["gateway"], "KB", most=25)


def elsewhere_says(program: str) -> list[str]:
    """Return the words that a program in a process of its own prints."""
    import subprocess
    import sys

    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def grown(steps: int, more: int) -> float:
    """Return the CPU seconds of the digest of a request, per step of a conversation that has so many already."""
    conversation = Transcript()
    calls = [ToolCall("look", {"place": f"drawer {number}", "again": False}) for number in range(steps + more)]
    for number in range(steps):
        conversation = conversation.then(
            Step(world.THOUGHT, (calls[number],)), Observation(f"{number}{'x' * SEEN_BYTES}")
        )
    steps_and_seen = [
        (Step(world.THOUGHT, (calls[number],)), Observation(f"{number}{'x' * SEEN_BYTES}"))
        for number in range(steps, steps + more)
    ]
    said, head = world.QUESTION.encode(), b"h" * 32
    began = time.process_time()
    for step, seen in steps_and_seen:
        conversation = conversation.then(step, seen)
        request_digest(head, said, conversation, (), ())
    return (time.process_time() - began) / more


SEEN_BYTES = 2500 - len(world.THOUGHT)


def _measure_digest(report: Report, repeats: int, long: int) -> None:
    with collector(owner=True):
        best_of = smallest(repeats, short=lambda: grown(10, 100), long=lambda: grown(long, 100))
    us = {name: took * 1e6 for name, took in best_of.items()}
    report.judged("digest of a step of 2.5 kB, at step 10", us["short"], "us CPU", most=25)
    report.judged(f"  at step {long:,}", us["long"], "us CPU", most=25)
    report.judged(f"  step {long:,}, of step 10", us["long"] / us["short"], "x", most=1.2, ratio=True)


def _measure_import(report: Report, repeats: int) -> None:
    ours = "import stratagem.core, stratagem.models.compatible, stratagem.models.gateway"
    programs = {"nothing": NOTHING, "aiohttp": "import asyncio, aiohttp", "ours": ours, "official": "import openai"}
    for program in programs.values():
        elsewhere(program)  # writes the byte code
    best_of = smallest(
        repeats, **{name: lambda program=program: elsewhere(program) for name, program in programs.items()}
    )
    s = {name: took - best_of["nothing"] for name, took in best_of.items()}
    report.shown("yardstick: import asyncio, aiohttp", s["aiohttp"], "s CPU")
    report.shown("yardstick: import openai", s["official"], "s CPU")
    report.judged("what the first compatible call imports, core included", s["ours"], "s CPU", most=0.45)


def measure(
    report: Report,
    *,
    width: int = 1000,
    rounds: int = 2,
    repeats: int = 3,
    streams: int = 50,
    flight: int = 4000,
    long: int = 3200,
) -> None:
    """Print what a call costs, of bare aiohttp and of the official client."""
    report.title(
        "models", f"{width:,} calls at once that take {PAUSE_MS} ms, streams, {flight:,} in flight, digests, imports"
    )
    with served() as origin, collector(owner=True):
        _measure_calls(report, origin, width, rounds, repeats)
        _measure_streams(report, origin, streams, rounds, repeats)
        _measure_width(report, origin, flight)
        measure_hosted(report, at_once, origin, min(width, 400), repeats)
    _measure_digest(report, 3 * repeats, long)
    _measure_import(report, repeats)
