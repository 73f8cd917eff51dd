"""Sequential `ask` of a simulated reply, all in; through `map` and a strategy: effects per second of one core."""

import hashlib
import json
from typing import Any

from benchmarks import world
from benchmarks.measure import Report, collector, cpu, smallest
from stratagem.core import Request, Task
from stratagem.strategies import self_consistency

BRANCHES = 10


class Plain:
    """The yardstick: a program without a core that renders, hashes, asks and remembers."""

    def __init__(self) -> None:
        self._model = world.Drawn()
        self.kept: list[Any] = []

    async def ask(self, question: str, number: int) -> str:
        """Ask once, and remember what was asked and said."""
        said = json.dumps({"question": question, "notes": []}, sort_keys=True)
        digest = hashlib.sha256(said.encode()).digest()
        reply = self._model.complete(Request(None, {}, None, said, None, (), digest, "", number))  # pyright: ignore[reportArgumentType]
        self.kept.append((number, digest, said, json.dumps({"text": reply.samples[0].text}), reply.usage))
        return reply.samples[0].text.strip()


async def plain(asks: int) -> None:
    """Ask with the yardstick."""
    program = Plain()
    for number in range(asks):
        await program.ask(world.QUESTION, number)


async def sequential(asks: int) -> None:
    """Ask one after the other on one strand."""
    run = world.begun(world.services(world.Drawn()))
    for _ in range(asks):
        await run.ask(world.guess, question=world.QUESTION, notes=())


async def mapped(asks: int, sampler: Any) -> None:
    """Ask in waves of ten branches, each a strategy."""
    run, task = world.begun(world.services(world.Drawn())), Task(world.QUESTION, output=int)
    for _ in range(asks // BRANCHES):
        await run.map(lambda run, _: sampler(run, task), range(BRANCHES))


async def voted(asks: int) -> None:
    """Run self-consistency as it stands in the catalogue, with the smallest of samplers."""
    run, task = world.begun(world.services(world.Drawn())), Task(world.QUESTION, output=int)
    whole = self_consistency.using(sampler=world.one, n=BRANCHES)
    for _ in range(asks // BRANCHES):
        await whole(run, task)


def measure(report: Report, *, asks: int = 1000, repeats: int = 40) -> None:
    """Print effects per second."""
    report.title(
        "wind_tunnel", f"a simulated reply, all in; {asks:,} effects a round, the smallest of {repeats} rounds"
    )
    for owner in (True, False):
        with collector(owner=owner):
            best = smallest(
                repeats,
                plain=lambda: cpu(lambda: plain(asks)),
                sequential=lambda: cpu(lambda: sequential(asks)),
                mapped=lambda: cpu(lambda: mapped(asks, world.one)),
                voted=lambda: cpu(lambda: voted(asks)),
            )
        us = {name: took / asks * 1e6 for name, took in best.items()}
        if owner:
            report.shown("yardstick: render, hash, ask, remember, no core", us["plain"], "us")
            report.judged("sequential ask", 1e6 / us["sequential"], "per s", least=40_000)
            report.shown(
                "  the same, of the yardstick", us["sequential"] / us["plain"], "x", f"{us['sequential']:.1f} us"
            )
            report.judged("map of ten, each a strategy", 1e6 / us["mapped"], "per s", least=25_000)
            report.shown("  the same, of the yardstick", us["mapped"] / us["plain"], "x", f"{us['mapped']:.1f} us")
            report.shown("self_consistency with its vote", 1e6 / us["voted"], "per s")
        else:
            note = "with Python's own collector settings"
            report.shown("sequential ask", 1e6 / us["sequential"], "per s", note)
            report.shown("map of ten, each a strategy", 1e6 / us["mapped"], "per s", note)
