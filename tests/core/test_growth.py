"""Cost is linear: what a step gives to the encoder, to the hash and to the journal does not grow with its number."""

import hashlib
from typing import Any

import pytest

from stratagem.core import (
    Budget,
    Capabilities,
    Reply,
    Request,
    Run,
    Sample,
    Step,
    Tools,
    Transcript,
    Usage,
    signature,
    tool,
)
from stratagem.core import _canonical as canonical
from stratagem.testing import scripted, tape_of

STEPS = 300


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Take one step."""
    ...


@tool
def look(where: str) -> str:
    """Look somewhere."""
    return f"what is to be seen at {where} is always as long as this"


class Walking:
    """Takes one more look at each request, without reading what came before."""

    spec = "walking"

    def __init__(self, *, native: bool) -> None:
        self.capabilities = Capabilities(frozenset({"tools"} if native else ()), max_output=100)
        self.counted = 0

    def refuses(self, request: Request) -> frozenset[str]:
        return frozenset()

    def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        assert request.steps is not None
        where = f"place {len(request.steps):06}"
        if request.native:
            sample = Sample("I look further.", (("look", {"where": where}),))
        else:
            sample = Sample(f"Thought: I look further.\nAction: look[{where}]")
        return Reply((sample,), Usage(1, 1, 10, 10))

    def tokens(self, text: str) -> int:
        self.counted += len(text)
        return 1

    async def aclose(self) -> None: ...


class Counted:
    """Bytes given to the encoder and to the hash, as they were at the end of each step."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.encoded = self.hashed = 0
        patch.setattr(canonical, "_fast", self._encode)
        patch.setattr(canonical, "sha256", self._hash)

    def _encode(self, value: Any, level: int) -> tuple[str, ...]:
        text = canonical._SLOW.encode(value)
        self.encoded += len(text)
        return (text,)

    def _hash(self, data: bytes) -> Any:
        self.hashed += len(data)
        return hashlib.sha256(data)


async def walk(run: Run, seen: Any) -> list[tuple[int, ...]]:
    """Walk, and return the measures after each step."""
    steps, found = Transcript(), []
    for _ in range(STEPS):
        step = await run.ask(act, question="Where does it end?", steps=steps, tools=run.tools)
        steps = steps.then(step, *[await run.call(call) for call in step.calls])
        found.append(seen())
    return found


@pytest.mark.parametrize("budget", [None, Budget(tokens=10**9), Budget(calls=STEPS, completion_tokens=10**9)])
@pytest.mark.parametrize("native", [True, False], ids=["native", "text"])
async def test_a_step_costs_what_it_adds_whatever_came_before(native: bool, budget: Budget | None) -> None:
    run = scripted({}, tools=(look,), budget=budget, native=native)
    model = Walking(native=native)
    run.strand.world.services.model = model
    tape = tape_of(run)
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)

        def measures() -> tuple[int, ...]:
            rows = tape.journal.rows("run")
            stored = sum(len(row.request) + len(row.result) for row in rows[-2:])
            return counted.encoded, counted.hashed, len(rows), stored, model.counted

        found = await walk(run, measures)
    assert len(tape) == 2 * STEPS
    encoded, hashed, rows, stored, tokens = zip(*found, strict=True)
    for total in (encoded, hashed, rows, tokens):
        early, late = total[119] - total[99], total[299] - total[279]
        assert late <= early * 1.02, (early, late)  # only the numbers of rows get longer
    assert stored[-1] <= stored[100] * 1.02
    assert total_bytes(tape) < 300 * STEPS


def total_bytes(tape: Any) -> int:
    return sum(len(row.request) + len(row.result) for row in tape.rows)


async def test_a_resumed_loop_hashes_as_much_as_a_fresh_one() -> None:
    run = scripted({}, tools=(look,))
    run.strand.world.services.model = Walking(native=True)
    await walk(run, tuple)
    again = scripted({}, tools=(look,), tape=tape_of(run))
    again.strand.world.services.model = Walking(native=True)
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        found = await walk(again, lambda: (counted.encoded, counted.hashed))
    assert not again.ledger.paid
    for total in zip(*found, strict=True):
        assert total[299] - total[279] <= (total[119] - total[99]) * 1.02


async def test_branches_of_one_conversation_share_what_came_before() -> None:
    async def longer(run: Run, steps: Transcript) -> None:
        for _ in range(3):
            step = await run.ask(act, question="?", steps=steps, tools=run.tools)
            steps = steps.then(step, *[await run.call(call) for call in step.calls])

    run = scripted({}, tools=(look,))
    run.strand.world.services.model = Walking(native=True)
    steps = Transcript()
    for _ in range(100):
        step = await run.ask(act, question="?", steps=steps, tools=run.tools)
        steps = steps.then(step, *[await run.call(call) for call in step.calls])
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        await run.map(longer, [steps] * 20)
        assert counted.hashed < 20 * 3 * 1000  # nothing of the hundred steps is hashed again
