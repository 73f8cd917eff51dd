"""A nested concurrent program, and processes that are killed while they run it.

    python programs.py DIR    live through every scenario of DIR/plan.json, and write what came of each to DIR/found.json

A scenario is a list of lives: each is a process of its own, which begins or continues the run and is killed at a moment
that the scenario names; the last one goes on to the end. What is performed is appended to a ledger outside the journal
before it is answered: that is the bill. (A process that is killed loses nothing that it has written to a file.) Every
reply and result says for which call it was made.
"""

import asyncio
import json
import os
import signal
import sys
import time
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

EFFECTS = {"nested": 60, "small": 20}
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

    def _later(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._later, turns - 1)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def lines(self) -> list[list[Any]]:
        """Return what was performed: process, then key."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


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
    bill.pay("tool", "post", where, key)
    return f"posted {where}"


@tool(effect="send", repeat="once")
async def mail(where: str) -> str:
    """Send a mail."""
    bill.pay("tool", "mail", where)
    return f"mailed {where}"


async def told(run: Run, question: str, occurrence: int = 0) -> str:
    """Ask, and check that the reply was made for this very call."""
    said = await run.ask(ask, question=question)
    assert said == f"{run.strand.path}#{occurrence}={question}", f"wrong value: {said}"
    return said


async def used(run: Run, made: Any, where: str) -> str:
    seen = await run.call(made, where=where)
    assert where in seen.text, f"wrong value: {seen.text}"
    return seen.text


async def raced(run: Run, number: int, *, width: int) -> list[str]:
    """Look and ask in a pool, whose order is a decision."""

    async def racing(run: Run, number: int) -> str:
        return await told(run, f"race {number}") + await used(run, look, f"race {number}")

    found: list[str] = []
    async with run.pool(racing, width=width) as pool:
        for each in range(number):
            pool.start(each)
        async for _, text in pool:
            found.append(text)
    return sorted(found)


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
        if number == 2:
            three += str(await run.wait("Which colour?", schema=str))
        four = await run.sample(ask, 2, question="draw")
        assert four == [f"{run.strand.path}#{place}=draw" for place in range(2)], f"wrong value: {four}"
        five = await inner(run, Task(f"inner {number}"))
        return "|".join([one, two, three, *four, five.text])

    async def outer(run: Run, number: int) -> list[str]:
        return await run.map(told, [f"leaf {number}.{leaf}" for leaf in range(3)])

    mapped = await run.map(branch, range(6), width=4)
    first_of = await raced(run, 5, width=3)
    leaves = await run.map(outer, range(2))
    acted = [await used(run, made, where) for made, where in ((post, "a"), (mail, "b"), (post, "c"))]
    last = [await told(run, "again and again", occurrence) for occurrence in range(3)]
    end = await told(run, "the end")
    return task.answer("\n".join([first, *mapped, *first_of, str(leaves), *acted, *last, end]))


@strategy(calls="16")
async def small(run: Run, task: Task) -> Answer:
    """Perform 20 effects: 1, then 3 x 3 in a map, 3 x 2 in a pool, 3 with intents, 1."""
    first = await told(run, task.question)

    async def branch(run: Run, number: int) -> str:
        one = await told(run, "equal in every branch")
        if number == 1:
            one += str(await run.wait("Which colour?", schema=str))
        four = await run.sample(ask, 2, question="draw")
        assert four == [f"{run.strand.path}#{place}=draw" for place in range(2)], f"wrong value: {four}"
        return "|".join([one, *four])

    mapped = await run.map(branch, range(3), width=2)
    first_of = await raced(run, 3, width=2)
    acted = [await used(run, made, where) for made, where in ((post, "a"), (mail, "b"), (post, "c"))]
    end = await told(run, "the end")
    return task.answer("\n".join([first, *mapped, *first_of, *acted, end]))


def journal_of(spec: str) -> Any:
    """Return a journal, opened."""
    if spec.startswith("sqlite:"):
        from stratagem.journals.sqlite import SQLiteJournal

        return SQLiteJournal(Path(spec.removeprefix("sqlite:")))
    from stratagem.journals.postgres import PostgresJournal

    return PostgresJournal(spec)


async def recorded(journal: Any, run_id: str) -> list[Any]:
    """Return what a run has recorded, and check that each value belongs to its key."""
    if run_id not in await journal.ids(run_id):
        return []
    found: list[Any] = []
    for row in (await journal.load(run_id))[1]:
        if row.kind == "model":
            said, key = decoded(row.result)["text"], ["model", row.path, row.digest.hex(), row.occurrence]
            assert said.startswith(f"{row.path}#{row.occurrence}="), f"wrong value: {said} at {key}"
            found.append(key)
        elif row.kind == "tool":
            form = decoded(row.request)
            where = form["arguments"]["where"]
            assert where in decoded(row.result)["text"], f"wrong value: {row.result} at {where}"
            found.append(["tool", form["tool"], where])
    return found


def written(path: Path, found: Any) -> None:
    """Write a file that is there as a whole, or not at all."""
    path.with_suffix(".part").write_text(json.dumps(found))
    path.with_suffix(".part").replace(path)


def said_to(asked: Any) -> Any:
    """Return what a person answers: the truth."""
    if asked["question"].startswith("Did mail"):
        sent = any(key[:2] == ["tool", "mail"] for _, *key in bill.lines())
        return {"happened": True, "result": "mailed b"} if sent else {"happened": False}
    return "red"


async def live(spec: str, program: str, run_id: str, begun: Path, ended: Path) -> None:
    """Begin or continue the run, and answer what it asks, until it has ended."""
    bill.loop = asyncio.get_running_loop()
    journal = journal_of(spec)
    written(begun, await recorded(journal, run_id))
    questions: list[str] = []
    async with session.open(
        model=Billed(), tools=(look, count, post, mail), policy="ask,send", memory="none", journal=journal
    ) as made:
        answer = await made.run(f"{FILE}:{program}", "the beginning", run_id=run_id)
        while answer.stop == "suspended":
            for asked in (await made.show(run_id)).questions():
                questions.append(asked["question"])
                bill.pay("answer", asked["id"])
                await made.answer(run_id, said_to(asked), asked["id"])
            answer = await made.resume(run_id)
        kept = await recorded(journal, run_id)
    written(
        ended,
        {
            "stop": answer.stop,
            "text": answer.text,
            "calls": answer.usage.calls,
            "recorded": kept,
            "questions": questions,
        },
    )


def born(work: Any, at: int, when: str, ledger: Path) -> tuple[int, int]:
    """Let a process live until it ends or is killed; return its number and how it ended."""
    global bill
    child = os.fork()
    if child == 0:
        try:
            bill = Bill(ledger, at, when)
            asyncio.run(work())
            os._exit(0)
        except BaseException:  # noqa: BLE001  (said on standard error, and seen by the parent)
            import traceback

            traceback.print_exc()
            os._exit(3)
    due = time.monotonic() + float(when.split()[1]) if when.startswith("seconds ") else None
    while due is not None and time.monotonic() < due:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return child, status
        time.sleep(0.0005)
    if due is not None:
        os.kill(child, signal.SIGKILL)
    return child, os.waitpid(child, 0)[1]


def lived(folder: Path, spec: str, program: str, number: int, scenario: list[list[Any]]) -> Any:
    """Live through one scenario; return what every process found recorded and has performed, and how it ended."""
    ledger, run_id = folder / f"{number}.ledger", f"run{number}"
    spec, lives = spec.replace("{}", str(number)), list[Any]()
    begun, ended = folder / f"{number}.begun", folder / f"{number}.ended"
    for at, when in [*scenario, [0, "never"]]:
        begun.unlink(missing_ok=True)
        pid, status = born(lambda: live(spec, program, run_id, begun, ended), at, when, ledger)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or os.WEXITSTATUS(status) == 0, f"a process failed: scenario {number}, {scenario}"
        bill.path = ledger
        performed = [key for by, *key in bill.lines() if by == pid]
        known = json.loads(begun.read_text()) if begun.exists() else None  # it was killed before it had looked
        assert begun.exists() or not performed
        lives.append({"recorded": known, "performed": performed, "killed": killed})
        if not killed:
            break
    return {"lives": lives, **json.loads(ended.read_text())}


def main(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    spec = plan["journal"]
    asyncio.run(journal_of(spec.replace("{}", "none")).aclose())  # imported once, for all children
    every = enumerate(plan["scenarios"])
    found = [lived(folder, spec, plan["program"], number, scenario) for number, scenario in every]
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
