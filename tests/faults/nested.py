"""A nested concurrent program of 60 effects, and a process that is killed while it runs.

    python nested.py kill DIR    for each scenario of DIR/scenarios.json: run the program in a process of its own
    python nested.py resume DIR  continue all of them, here, and write what came of each to DIR/resumed.json

What is performed is written to a ledger outside the journal before it is answered: that is the bill. Every reply and
result says for which call it was made, and the program refuses one that was made for another.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from stratagem import session
from stratagem.core import (
    Answer,
    Capabilities,
    Delta,
    Reply,
    Request,
    Run,
    Sample,
    Task,
    Usage,
    decoded,
    signature,
    strategy,
    tool,
)
from stratagem.journals.sqlite import SQLiteJournal

EFFECTS = 60
FILE = str(Path(__file__).resolve())


@signature
def ask(question: str) -> str:
    """Answer."""
    ...


class Bill:
    """The ledger of one scenario, and the moment at which its process is killed."""

    def __init__(self, path: Path, at: int = 0, when: str = "") -> None:
        self.path, self.at, self.when, self.count = path, at, when, 0
        self.loop: asyncio.AbstractEventLoop | None = None

    def pay(self, *key: Any) -> None:
        """Write down that a call is performed; be killed just before, or just after, or a few turns later."""
        self.count += 1
        mine = self.count == self.at
        if mine and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        line = json.dumps([os.getpid(), *key]) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, line.encode())
        os.close(descriptor)
        if mine and self.when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        if mine and self.when.startswith("turns "):
            assert self.loop is not None
            self.loop.call_soon_threadsafe(self._later, int(self.when.split()[1]))
        if mine and self.when.startswith("micros "):
            signal.setitimer(signal.ITIMER_REAL, int(self.when.split()[1]) / 1e6)  # its default is to kill at once

    def _later(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._later, turns - 1)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


bill = Bill(Path(os.devnull))


class Billed:
    """A model whose replies say where they were asked for. They come in an order that is not that of the requests."""

    spec = "billed"
    capabilities = Capabilities(max_output=100)

    def refuses(self, request: Request) -> frozenset[str]:
        return frozenset()

    async def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        bill.pay("model", request.path, request.digest.hex(), request.occurrence)
        for _ in range(request.digest[0] % 7):
            await asyncio.sleep(0)
        if on_delta is not None:
            on_delta(Delta(0, "x"))
        said = f"{request.path}#{request.occurrence}={request.inputs['question']}"
        return Reply((Sample(said),), Usage(1, 1, 1, 1))

    def tokens(self, text: str) -> int:
        return 1

    async def aclose(self) -> None: ...


@tool
async def look(where: str) -> str:
    """Look."""
    bill.pay("tool", "look", where)
    await asyncio.sleep(0)
    return f"seen {where}"


@tool
def count(where: str) -> str:
    """Count in a thread."""
    bill.pay("tool", "count", where)
    return f"counted {where}"


@tool(effect="send", repeat="keyed")
async def post(where: str, key: str = "") -> str:
    """Post once per key."""
    bill.pay("tool", "post", where)
    return f"posted {where} {key[:8]}"


@tool(effect="send", repeat="once")
async def mail(where: str) -> str:
    """Send a mail."""
    bill.pay("tool", "mail", where)
    return f"mailed {where}"


async def told(run: Run, question: str, occurrence: int = 0) -> str:
    """Ask, and check that the reply was made for this very call."""
    said = await run.ask(ask, question=question)
    assert said == f"{run.strand.path}#{occurrence}={question}", said
    return said


async def used(run: Run, made: Any, where: str) -> str:
    seen = await run.call(made, where=where)
    assert where in seen.text, seen.text
    return seen.text


@strategy(calls="1")
async def inner(run: Run, task: Task) -> Answer:
    """Ask once."""
    return task.answer(await told(run, task.question))


@strategy(calls="48")
async def nested(run: Run, task: Task) -> Answer:
    """Perform 60 effects: 1, then 6 x 6 in a map, 5 x 2 in a pool, 2 x 3 in a map of maps, 3 with intents, 4."""
    first = await told(run, task.question)

    async def branch(run: Run, number: int) -> str:
        one = await told(run, "equal in every branch")
        two = await used(run, look if number % 2 else count, f"{run.strand.path} {number}")
        async with run.scope("part") as part:
            three = await told(part, f"{number}")
        four = await run.sample(ask, 2, question="draw")
        assert four == [f"{run.strand.path}#{place}=draw" for place in range(2)]
        five = await inner(run, Task(f"inner {number}"))
        return "|".join([one, two, three, *four, five.text])

    mapped = await run.map(branch, range(6), width=4)

    async def racing(run: Run, number: int) -> str:
        return await told(run, f"race {number}") + await used(run, look, f"race {number}")

    raced: list[str] = []
    async with run.pool(racing, width=3) as pool:
        for number in range(5):
            pool.start(number)
        async for _, text in pool:
            raced.append(text)

    async def outer(run: Run, number: int) -> list[str]:
        return await run.map(told, [f"leaf {number}.{leaf}" for leaf in range(3)])

    leaves = await run.map(outer, range(2))
    acted = [await used(run, made, where) for made, where in ((post, "a"), (mail, "b"), (post, "c"))]
    last = [await told(run, "again and again", occurrence) for occurrence in range(3)]
    end = await told(run, "the end")
    return task.answer("\n".join([first, *mapped, *sorted(raced), str(leaves), *acted, *last, end]))


def opened(folder: Path, number: int) -> Any:
    return session.open(
        model=Billed(), tools=(look, count, post, mail), policy="ask,send", memory="none",
        journal=f"sqlite:{folder / f'{number}.sqlite'}",
    )  # fmt: skip


async def run(folder: Path, number: int) -> None:
    bill.loop = asyncio.get_running_loop()
    async with opened(folder, number) as made:
        await made.run(f"{FILE}:nested", "the beginning", run_id="mine")


def kill(folder: Path) -> None:
    """Run each scenario in a child, which is killed; nothing but this process is shared with it."""
    global bill
    for number, (at, when) in enumerate(json.loads((folder / "scenarios.json").read_text())):
        child = os.fork()
        if child == 0:
            bill = Bill(folder / f"{number}.ledger", at, when)
            asyncio.run(run(folder, number))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        expected = signal.SIGALRM if when.startswith("micros ") else signal.SIGKILL
        ended = os.WIFEXITED(status) and (at > EFFECTS or " " in when)  # it was quicker than its end
        assert ended or os.WTERMSIG(status) == expected, (at, when, status)


async def resume(folder: Path) -> None:
    """Continue every scenario as often as a person must be asked, and say what was recorded before."""
    global bill
    found: list[Any] = []
    for number, _ in enumerate(json.loads((folder / "scenarios.json").read_text())):
        bill = Bill(folder / f"{number}.ledger")
        journal = SQLiteJournal(folder / f"{number}.sqlite")
        exists = "mine" in await journal.ids("mine")
        rows = (await journal.load("mine"))[1] if exists else []
        await journal.aclose()
        recorded: list[Any] = []
        for row in rows:
            if row.kind == "model":
                recorded.append(["model", row.path, row.digest.hex(), row.occurrence])
            elif row.kind == "tool":
                form = decoded(row.request)
                recorded.append(["tool", form["tool"], form["arguments"]["where"]])
        questions: list[str] = []
        async with opened(folder, number) as made:
            answer = await made.run(f"{FILE}:nested", "the beginning", run_id="mine")
            while answer.stop == "suspended":
                questions.append(answer.reason)
                sent = '"mail", "b"' in bill.path.read_text()
                said = {"happened": True, "result": "mailed b"} if sent else {"happened": False}
                await made.answer("mine", said)
                answer = await made.resume("mine")
        ledger = [json.loads(line) for line in bill.path.read_text().splitlines()]
        again = [key for pid, *key in ledger if pid == os.getpid()]
        before = [key for pid, *key in ledger if pid != os.getpid()]
        found.append({
            "recorded": recorded, "before": before, "again": again, "questions": questions, "stop": answer.stop,
            "text": answer.text, "calls": answer.usage.calls, "rows": len(rows),
        })  # fmt: skip
    (folder / "resumed.json").write_text(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill(Path(sys.argv[2]))
    else:
        asyncio.run(resume(Path(sys.argv[2])))
