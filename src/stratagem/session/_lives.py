"""The runs that one session drives: who owns them, that it is alive, and what persons say to them meanwhile."""

import contextlib
from collections.abc import Iterator
from typing import Any

from stratagem.core import Clock, Journal, StoredRun, World, decoded
from stratagem.core._late import asyncio
from stratagem.errors import JournalError, OwnedElsewhere
from stratagem.session._owner import BEAT_S, elsewhere, new_owner

POLL_S = 0.05  # how long an answer may lie in the journal before a strand that waits for it goes on


class Lives:
    """Tells the journal that this process is alive while runs are driven, and brings them their answers.

    Args:
        journal: where the runs are recorded.
        clock: tells when the next beat is due.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self.owner = new_owner()
        self._driven: dict[str, tuple[asyncio.Task[Any], World]] = {}
        self._beaten: int | None = None
        self._beating: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._driven)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._driven

    def task(self, run_id: str) -> "asyncio.Task[Any] | None":
        """Return the task that drives a run of this session."""
        found = self._driven.get(run_id)
        return None if found is None else found[0]

    def beat(self) -> None:
        """Say that this process is alive, if it has not said so lately: before a run is made or claimed."""
        now = self._clock.stamp()
        if self._beaten is None or now - self._beaten >= BEAT_S * 1e6:
            self._beaten = now
            self._journal.beat(self.owner)

    async def check(self, run: StoredRun) -> None:
        """Raise `OwnedElsewhere` if another owner of a run is alive."""
        if who := await elsewhere(self._journal, run, self.owner):
            raise OwnedElsewhere(f"run {run.run_id!r} is driven by {who}", remedy="Wait for it, or stop that process.")

    async def claimed(self, run: StoredRun) -> None:
        """Take a run over; `OwnedElsewhere` if another owner is alive, or was faster."""
        await self.check(run)
        self.beat()
        await self._journal.claim(run.run_id, run.epoch, self.owner)

    def add(self, run_id: str, world: World) -> None:
        """Keep a run that the calling task drives from now on."""
        task = asyncio.current_task()
        assert task is not None
        self._driven[run_id] = (task, world)
        world.asking = self._listen
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beats())

    def drop(self, run_id: str) -> None:
        """Let go of a run that is no longer driven."""
        self._driven.pop(run_id, None)
        if not self._driven:
            for task in (self._beating, self._listening):
                if task is not None:
                    task.cancel()
            self._beating = self._listening = None

    def answered(self, run_id: str, question: str, value: Any) -> None:
        """Hand an answer to a run of this session."""
        if run_id in self._driven:
            self._driven[run_id][1].answered(question, value)

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._beaten = self._clock.stamp()
            durable = self._journal.beat(self.owner)
            try:
                if durable is not None:
                    await durable
            except JournalError:
                continue  # a run that it keeps from writing meets it itself

    def _listen(self) -> None:
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listens())

    async def _listens(self) -> None:
        while waiting := [run_id for run_id, (_, world) in self._driven.items() if world.questions]:
            await asyncio.sleep(POLL_S)
            try:
                await self._hear(waiting)
            except JournalError:  # of one of them: the others are to hear theirs
                for run_id in waiting:
                    with contextlib.suppress(JournalError):
                        await self._hear([run_id])

    async def _hear(self, waiting: list[str]) -> None:
        for run_id, said in (await self._journal.answers(waiting)).items():
            for question, value in said.items():
                self.answered(run_id, question, decoded(value))
