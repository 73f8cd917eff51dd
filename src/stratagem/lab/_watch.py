"""What the models of a comparison were shown, and how much of it had to wait for what came before.

Rule 1: nothing of a prompt is kept longer than its item. Lines go to whoever looks for test items in them.
Rule 2: the critical path is read off the places of the calls: branches of a `map` or `pool` stand side by side, all else
        in a row. So it is the same on every machine, and does not depend on who waited for whom by accident.
"""

import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

from stratagem.core import Delta, Model, Reply, Request
from stratagem.core._value import made

LONG = 80  # characters of a line that may be the beginning of another
_WAVE = re.compile(r"((?:map|pool)(?:#\d+)?)\[")


class Seen(NamedTuple):
    """One request that a model saw.

    Attributes:
        path: scope path of the strand that asked.
        begun: number of the moment at which it began; moments are the beginnings and ends of an item's calls.
        ended: likewise.
    """

    path: str
    begun: int
    ended: int


class Watched:
    """A model that notes what it is shown (`stratagem.core.Model`), for the item whose branch asks."""

    def __init__(self, model: Model) -> None:
        self._model, self._complete, self.spec = model, model.complete, model.spec
        self.capabilities = model.capabilities
        self.refuses, self.tokens, self.aclose = model.refuses, model.tokens, model.aclose
        bound = getattr(model, "prompt_bound", None)
        if bound is not None:
            self.prompt_bound = bound  # asked at every call
        self.asked = 0  # how often

    def __getattr__(self, name: str) -> Any:
        """Return what only some models have: a bound of their own for prompts, prices that are looked up, their own time."""
        return getattr(self._model, name)

    def complete(self, request: Request, *, on_delta: Callable[[Delta], None] | None = None) -> Any:
        """Note a request and hand it on."""
        self.asked += 1
        witness = WITNESS.get()
        begun = witness.sees(request)
        try:
            reply = self._complete(request, on_delta=on_delta)
        except BaseException:
            witness.ends(request, begun)
            raise
        if isinstance(reply, Reply):
            witness.ends(request, begun)
            return witness.hears(reply)
        return self._waits(reply, request, begun, witness)

    async def _waits(self, reply: Any, request: Request, begun: int, witness: "Witness") -> Reply:
        try:
            return witness.hears(await reply)
        finally:
            witness.ends(request, begun)


class Witness:
    """What was seen for one item.

    Attributes:
        lines: of its prompts, each once, and how many different replies had been heard when it was first shown.
        grown: of a line that went on with others, how long each was and how many replies had been heard by then.
        said: the replies.
        first: lines of the first prompt.
    """

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.grown: dict[str, list[tuple[int, int]]] = {}
        self.said: dict[str, None] = {}
        self.first: tuple[str, ...] = ()
        self.prompts: dict[str, str] = {}
        self.calls: list[Seen] = []
        self.by: dict[str, int] = {}  # of a chain: how many draws each of its models gave
        self._moment = 0
        self._latest: dict[str, str] = {}  # the last message, by signature
        self._begun: dict[str, str] = {}  # how a long line begins: the line, which a later prompt may go on with

    def sees(self, request: Request) -> int:
        """Note a request; return the moment."""
        lines, heard = self.lines, len(self.said)
        known = len(lines)
        name, message = request.signature.name, request.message
        if self._latest.get(name) != message:  # draws of a sample show the same
            self._latest[name] = message
            for line in message.split("\n"):
                if line not in lines:
                    lines[line] = heard
                if len(line) > LONG and self._begun.get(line[:LONG]) != line:
                    self._grows(line)
        if name not in self.prompts:
            self.prompts[name] = request.head.instruction
            self._shown(request.head.instruction, heard)
        for turn in request.steps or ():
            for one in turn.observations:
                self._shown(one.text, heard)
        for reply, complaint in request.repair:
            self._shown(f"{reply}\n{complaint}", heard)
        if not known:
            self.first = tuple(lines)
        self._moment += 1
        return self._moment

    def _shown(self, text: str, heard: int) -> None:
        for line in text.split("\n"):
            self.lines.setdefault(line, heard)

    def _grows(self, line: str) -> None:
        """Forget a line with which this one begins: a chain that goes on would else be kept once for each of its calls."""
        before = self._begun.get(line[:LONG], "")
        if line.startswith(before) and line[len(before) : len(before) + 1].isspace() and before in self.lines:
            earlier = [*self.grown.pop(before, ()), (len(before), self.lines.pop(before))]
            self.grown[line] = [*self.grown.get(line, ()), *earlier]
            self._latest.clear()  # the line is gone, and counts again if it is shown again
        self._begun[line[:LONG]] = line

    def hears(self, reply: Reply) -> Reply:
        """Note what a reply says, and who gave it where several may."""
        for sample in reply.samples:
            self.said[sample.text] = None
        if reply.by:
            self.by[reply.by] = self.by.get(reply.by, 0) + len(reply.samples)
        return reply

    def ends(self, request: Request, begun: int) -> None:
        """Note that a request has been answered, or has failed."""
        self._moment += 1
        self.calls.append(made(Seen, (request.path, begun, self._moment)))


WITNESS: ContextVar[Witness] = ContextVar("witness")  # of the item that is being worked on; branches inherit it


def waves(calls: Iterable[Seen]) -> int:
    """Return the length of the critical path in model calls.

    >>> waves([Seen("map[0]", 1, 2), Seen("map[1]", 3, 4), Seen("", 5, 6)])
    2
    """
    spans: dict[str, list[tuple[int, int]]] = {}
    for path, begun, ended in calls:
        spans.setdefault(path, []).append((begun, ended))
    levels: list[dict[str, int]] = [{}]  # strands by depth: how many calls stand in a row in each, and below it
    for path, times in spans.items():
        depth = path.count("/") + 1 if path else 0
        while depth >= len(levels):
            levels.append({})
        levels[depth][path] = _in_a_row(times)
    while len(levels) > 1:
        below, above = levels.pop(), levels[-1]
        longest: dict[tuple[str, str], int] = {}  # of the branches that stand side by side
        for path, length in below.items():
            strand, _, part = path.rpartition("/")
            wave = _wave_of(part)
            if not wave:
                above[strand] = above.get(strand, 0) + length
            elif length > longest.get((strand, wave), 0):
                longest[strand, wave] = length
        for (strand, _), length in longest.items():
            above[strand] = above.get(strand, 0) + length
    return levels[0].get("", 0)


def _in_a_row(times: list[tuple[int, int]]) -> int:
    """Return how many calls of a strand stand in a row: draws of one sample overlap, and are one wave."""
    if len(times) == 1:  # what most have
        return 1
    found, until = 0, 0
    for begun, ended in sorted(times):
        if begun > until:
            found, until = found + 1, ended
        else:
            until = max(until, ended)
    return found


@lru_cache(16_384)
def _wave_of(part: str) -> str:
    """Return the wave that a part of a path belongs to; empty if it stands in a row."""
    wave = _WAVE.match(part)
    return wave[1] if wave else ""
