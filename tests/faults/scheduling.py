"""Lives of one run under a scheduler that decides what happens next: who is answered, what is durable, when it ends.

A life is a process: a session with a model, tools and a journal of its own over one disk. What it writes is durable
only when the scheduler says so; when it is killed, what was not durable is lost; when it is stopped, it goes on later,
while another life has taken the run over. Nothing here depends on real time.
"""

import asyncio
import contextlib
import contextvars
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from stratagem import session
from stratagem.core import Capabilities, MemoryJournal, Reply, Request, Row, Sample, StoredRun, Usage
from stratagem.errors import OwnedElsewhere, Rejected, StratagemError, Unavailable, Unreachable

RUN = "mine"
_life: contextvars.ContextVar["Life"] = contextvars.ContextVar("life")


def life() -> "Life":
    """Return the life in which the caller runs."""
    return _life.get()


class Clock:
    """Time that passes between lives only; and a little with every look, so that no two readings are equal."""

    def __init__(self) -> None:
        self.micros = 1_700_000_000_000_000

    def wall(self) -> float:
        self.micros += 1_000_000
        return self.micros / 1e6

    def stamp(self) -> int:
        self.micros += 1
        return self.micros

    @contextlib.asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        yield


class Disk(MemoryJournal):
    """What outlives processes; and who has which epoch is looked at with every write."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.attempts: Counter[tuple[str, str]] = Counter()

    def at(self, run_id: str, epoch: int) -> None:
        run = self._runs.get(run_id)
        if run is None or run.epoch != epoch or not run.owner:
            raise OwnedElsewhere(f"run {run_id!r} was taken over")

    def create(self, run: StoredRun) -> None:
        if run.run_id in self._runs:
            raise OwnedElsewhere(f"run {run.run_id!r} exists")
        super().create(run)


class Lagging:
    """The journal of one life: its writes wait in a queue until the scheduler makes them durable."""

    spec = "lagging"

    def __init__(self, disk: Disk) -> None:
        self.disk, self.queue = disk, list[tuple[asyncio.Future[None], Callable[[], Any]]]()
        self.epochs: dict[str, int] = {}
        self.dead = False

    def _later(self, run_id: str, write: Callable[[], Any]) -> Awaitable[None] | None:
        if self.dead:
            return None
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        durable.add_done_callback(lambda done: done.cancelled() or done.exception())
        epoch = self.epochs[run_id]

        def checked() -> None:
            self.disk.at(run_id, epoch)
            write()

        self.queue.append((durable, checked))
        return durable

    def flush(self, number: int | None = None) -> None:
        """Make the oldest writes durable."""
        now, self.queue = self.queue[:number], self.queue[len(self.queue) if number is None else number :]
        for durable, write in now:
            try:
                write()
            except StratagemError as refused:
                if not durable.done():
                    durable.set_exception(refused)
            else:
                if not durable.done():
                    durable.set_result(None)

    def create(self, run: StoredRun) -> Awaitable[None] | None:
        self.epochs[run.run_id] = run.epoch
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.append((durable, lambda: self.disk.create(run)))
        return durable

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
        return self._later(run_id, lambda: self.disk.append(run_id, row))

    def update(self, run: StoredRun) -> Awaitable[None] | None:
        return self._later(run.run_id, lambda: self.disk.update(run))

    def ask(self, run_id: str, question: str, form: bytes) -> Awaitable[None] | None:
        return self._later(run_id, lambda: self.disk.ask(run_id, question, form))

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        if self.dead:
            return {}
        self.flush()
        self.disk.at(run.run_id, self.epochs[run.run_id])
        return await self.disk.park(run, waiting)

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        self.flush()
        await self.disk.claim(run_id, epoch, owner)
        self.epochs[run_id] = epoch + 1

    def beat(self, owner: bytes) -> None:
        self.disk.beat(owner)

    async def aclose(self) -> None:
        if not self.dead:
            self.flush()

    def __getattr__(self, name: str) -> Any:
        """Look at the disk, after what was written before."""
        if not self.dead:
            self.flush()
        return getattr(self.disk, name)


class Life:
    """One process: what it performs, and what it waits for."""

    spec = "drawn"
    capabilities = Capabilities(max_output=100)

    def __init__(self, disk: Disk, clock: Clock) -> None:
        self.journal, self.clock = Lagging(disk), clock
        self.performed: list[tuple[Any, ...]] = []
        self.pending: list[asyncio.Future[None]] = []
        self.replied: dict[str, tuple[bytes, int]] = {}
        self.session: Any = None
        self.task: asyncio.Task[Any] | None = None
        self.dead = False

    def begin(self, work: Callable[["Life"], Awaitable[Any]]) -> None:
        def started() -> "asyncio.Task[Any]":
            _life.set(self)
            return asyncio.ensure_future(work(self))  # pyright: ignore[reportReturnType]

        self.task = contextvars.copy_context().run(started)

    async def _turn(self, *key: Any) -> None:
        """Perform something in the world, and wait until the scheduler lets its result come back."""
        if self.dead:
            raise asyncio.CancelledError
        self.performed.append(key)
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pending.append(released)
        await released

    def _durable(self, request: Request) -> None:
        """See that what this strand was told before is durable: it may depend on it."""
        before = self.replied.pop(request.path, None)
        if before is None or self.dead:
            return
        keys = {(row.digest, row.occurrence) for row in self.journal.disk.rows(RUN) if row.path == request.path}
        assert before in keys, "a strand has gone on with what was not durable"

    async def acts(self, name: str, where: str, key: str = "") -> str:
        """What a tool does."""
        await self._turn("tool", name, where, key)
        return f"{name} {where} {key[:8]}"

    def refuses(self, request: Request) -> frozenset[str]:
        return frozenset()

    async def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        question = str(request.inputs["question"])
        self._durable(request)
        await self._turn("model", request.path, request.digest.hex(), request.occurrence)
        self.replied[request.path] = (request.digest, request.occurrence)
        usage = Usage(1, 1, 2, 3)
        if question.startswith("fail "):
            kind = question.split()[1]
            self.journal.disk.attempts[request.path, question] += 1
            if kind != "flaky" or self.journal.disk.attempts[request.path, question] == 1:
                raise {"rejected": Rejected, "unreachable": Unreachable, "flaky": Unavailable}[kind](
                    f"in {request.path}"
                )
        if question.startswith("garbled "):
            if not request.repair:
                return Reply((Sample(""),), usage)
            return Reply((request.signature.write(len(request.path), native=False),), usage)
        return Reply((Sample(f"{request.path}#{request.occurrence}={question}"),), usage)

    def tokens(self, text: str) -> int:
        return 1

    async def aclose(self) -> None: ...

    async def killed(self) -> None:
        """End at once: what was not durable is lost, and nothing more reaches the world."""
        self.dead = self.journal.dead = True
        self.journal.queue.clear()
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def settled() -> None:
    """Return when nothing can go on before the scheduler has done something."""
    ready: Any = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    while True:
        await asyncio.sleep(0)
        if not ready:
            return


class Scheduler:
    """Decides what happens next in the lives that it is given.

    Args:
        dice: draw it.
        order: `first`, `last` or `drawn`: which of what waits is released.
        lag: whether writes are durable later than at once.
        live: whether a person answers while the run goes on.
    """

    def __init__(self, dice: random.Random, *, order: str = "first", lag: bool = False, live: bool = False) -> None:
        self.dice, self.order, self.lag, self.live = dice, order, lag, live
        self.steps = 0

    def actions(self, one: Life) -> list[Callable[[], Any]]:
        """Return what could happen next in a life."""
        one.pending = [future for future in one.pending if not future.done()]
        found: list[Callable[[], Any]] = [lambda future=future: future.set_result(None) for future in one.pending]
        if one.journal.queue:
            number = self.dice.randint(1, len(one.journal.queue))
            found.append(lambda: one.journal.flush(number))
        return found

    async def step(self, lives: Sequence[Life], answer: Callable[[Life], Awaitable[bool]]) -> bool:
        """Let one thing happen; return whether anything could."""
        if not self.lag:
            for one in lives:
                if one.journal.queue:
                    one.journal.flush()
                    return True
        found = [action for one in lives for action in self.actions(one)]
        if self.live and self.dice.random() < 0.2 and await answer(lives[-1]):
            return True
        if not found:
            return False
        place = {"first": 0, "last": -1}.get(self.order)
        (self.dice.choice(found) if place is None else found[place])()
        return True

    async def drive(
        self, one: Life, answer: Callable[[Life], Awaitable[bool]], *, until: int | None = None,
        others: Sequence[Life] = (),
    ) -> bool:  # fmt: skip
        """Let a life go on, until it has ended or so many things have happened; return whether it has ended."""
        assert one.task is not None
        while True:
            await settled()
            if one.task.done():
                return True
            if until is not None and self.steps >= until:
                return False
            self.steps += 1
            lives = [*(other for other in others if other.task and not other.task.done()), one]
            if not await self.step(lives, answer):
                raise AssertionError("the run hangs: nothing is in flight, nothing waits to be written")


def opened(one: Life, tools: Sequence[Any]) -> Any:
    """Open the session of a life."""
    journal: Any = one.journal  # what it does not define itself is the disk's
    return session.open(
        model=one, tools=tools, policy="ask,post,pay", memory="none", journal=journal, clock=one.clock,
        budget="calls=1000",
    )  # fmt: skip
