"""Group commit, with a store that commits when the test says so."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from stratagem.errors import JournalError
from stratagem.journals._writer import MOST_HELD, Write, Writer
from stratagem.testing.journal_suite import row, run_of


class Gate:
    """A store whose commits wait until `release` is called, once each."""

    def __init__(self) -> None:
        self.ready = True
        self.batches: list[list[int]] = []
        self.threads: list[str] = []
        self._may = threading.Semaphore(0)
        self.waits = False  # whether another process has the lock
        self.error: JournalError | None = None

    def release(self, times: int = 1) -> None:
        self._may.release(times)

    def write(self, items: Sequence[Write]) -> None:
        assert self._may.acquire(timeout=20)
        self._keep(items)

    def write_at_once(self, items: Sequence[Write]) -> bool:
        if self.waits:
            return False
        self._keep(items)
        return True

    def _keep(self, items: Sequence[Write]) -> None:
        self.batches.append([item.what.seq for item in items])
        self.threads.append(threading.current_thread().name)
        for item in items:
            item.error = self.error


def put(writer: Writer, seq: int, **changes) -> Write:
    return writer.put("append", "abcdef", row(seq, **changes))


async def ended(writer: Writer) -> None:
    await writer.end(lambda: None, JournalError("closed"))


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_queues_while_a_commit_runs_is_the_next_one():
    gate = Gate()
    writer = Writer(gate, "writer")
    first = put(writer, 0)
    await turns()  # the thread has it, and waits at the gate
    later = [put(writer, seq) for seq in range(1, 5)]
    await turns()
    later.append(put(writer, 5))
    assert not first.done
    gate.release()
    await first
    gate.release()
    for one in later:
        await one
    assert gate.batches == [[0], [1, 2, 3, 4, 5]]
    assert set(gate.threads) == {"writer"}
    await ended(writer)


async def test_the_futures_of_a_batch_are_resolved_together():
    gate = Gate()
    writer = Writer(gate, "writer")
    calls: list[object] = []
    loop = asyncio.get_running_loop()
    threadsafe = loop.call_soon_threadsafe

    def counted(callback, *arguments):
        calls.append(callback)
        return threadsafe(callback, *arguments)

    loop.call_soon_threadsafe = counted  # pyright: ignore[reportAttributeAccessIssue]
    gate.release()
    await asyncio.gather(*[put(writer, seq) for seq in range(50)])
    assert len(gate.batches) == 1
    assert len(calls) == 1
    await ended(writer)


async def test_a_decision_wakes_nobody():
    gate = Gate()
    gate.release()
    writer = Writer(gate, "writer")
    for seq in range(3):
        put(writer, seq, kind="decision")
    put(writer, 3, kind="order")
    await turns(10)
    assert gate.batches == []
    assert writer.put_alone("abcdef", row(4)) is None
    assert gate.batches == [[0, 1, 2, 3, 4]]
    assert gate.threads == [threading.current_thread().name]
    await ended(writer)


async def test_decisions_do_not_pile_up_without_end():
    gate = Gate()
    gate.release()
    writer = Writer(gate, "writer")
    writes = [put(writer, seq, kind="decision") for seq in range(MOST_HELD)]
    await turns()  # the thread has them now, before anything else is queued
    await writer.call(lambda: None)
    assert writes[0].done
    assert gate.batches == [list(range(MOST_HELD))]
    await ended(writer)


async def test_a_row_alone_takes_the_thread_where_the_loop_would_have_to_wait():
    gate = Gate()
    gate.waits = True
    writer = Writer(gate, "writer")
    gate.release()
    await put(writer, 0)
    write = writer.put_alone("abcdef", row(1))
    assert write is not None
    gate.release()
    await write
    assert gate.batches == [[0], [1]]
    assert gate.threads == ["writer", "writer"]
    await ended(writer)


async def test_a_row_alone_never_overtakes():
    gate = Gate()
    writer = Writer(gate, "writer")
    put(writer, 0)
    await turns()
    second = writer.put_alone("abcdef", row(1))
    third = put(writer, 2, kind="decision")
    gate.release(2)
    assert second is not None
    await second
    await third
    assert gate.batches == [[0], [1, 2]]
    await ended(writer)


async def test_the_first_row_is_not_written_in_the_loop():
    """Nobody has used the journal in this loop, and the store may not be open."""
    gate = Gate()
    writer = Writer(gate, "writer")
    write = writer.put_alone("abcdef", row(0))
    gate.release()
    assert write is not None
    await write
    assert gate.threads == ["writer"]
    await ended(writer)


async def test_a_store_that_is_not_open_is_not_opened_in_the_loop():
    gate = Gate()
    gate.release(2)
    writer = Writer(gate, "writer")
    await put(writer, 0)
    gate.ready = False
    write = writer.put_alone("abcdef", row(1))
    assert write is not None
    await write
    assert gate.threads == ["writer", "writer"]
    gate.ready = True
    await ended(writer)


async def test_an_error_reaches_each_who_waits_with_its_own_traceback():
    gate = Gate()
    gate.error = JournalError("full", remedy="Free space.")
    gate.release()
    writer = Writer(gate, "writer")
    writes = [put(writer, seq) for seq in range(3)]
    found = [
        *await asyncio.gather(*writes, return_exceptions=True),
        *await asyncio.gather(*writes, return_exceptions=True),
    ]
    assert [(str(error), getattr(error, "remedy", "")) for error in found] == [("full", "Free space.")] * 6
    assert len({id(error) for error in found}) == 6
    failed = writer.put_alone("abcdef", row(3))
    assert failed is not None
    assert failed.done
    with pytest.raises(JournalError, match="full"):
        await failed
    await ended(writer)


async def test_an_error_that_nobody_waits_for_disturbs_nobody(recwarn):
    gate = Gate()
    gate.error = JournalError("full")
    gate.release()
    writer = Writer(gate, "writer")
    writer.put("create", "abcdef", row(0))
    await ended(writer)
    assert [str(one.message) for one in recwarn] == []


async def test_calls_keep_their_place_among_writes():
    gate = Gate()
    gate.release(3)
    writer = Writer(gate, "writer")
    put(writer, 0)
    seen = await writer.call(lambda: list(gate.batches))
    put(writer, 1)
    put(writer, 2)
    asked = asyncio.ensure_future(writer.call(lambda: list(gate.batches)))
    await asyncio.sleep(0)
    await put(writer, 3)
    later = await asked
    assert seen == [[0]]
    assert later == [[0], [1, 2]]
    assert gate.batches == [[0], [1, 2], [3]]
    await ended(writer)


async def test_ending_writes_what_is_queued_and_nothing_after():
    gate = Gate()
    gate.release(2)
    writer = Writer(gate, "writer")
    put(writer, 0)
    put(writer, 1, kind="decision")
    await ended(writer)
    assert gate.batches == [[0, 1]]
    late = put(writer, 2)
    assert late.done
    with pytest.raises(JournalError, match="closed"):
        await late
    assert gate.batches == [[0, 1]]


def test_a_loop_takes_over_what_the_last_one_left_under_way():
    gate = Gate()
    writer = Writer(gate, "writer")

    async def first() -> None:
        put(writer, 0)
        await turns()

    async def then() -> None:
        async with asyncio.timeout(20):
            await put(writer, 1)
        await ended(writer)

    asyncio.run(first())
    gate.release(2)
    asyncio.run(then())
    assert gate.batches == [[0], [1]]


async def test_who_waits_in_a_loop_that_is_gone_disturbs_nobody():
    write = Write("update", "abcdef", run_of("abcdef"), Writer(Gate(), "writer"))
    gone = asyncio.new_event_loop()
    write.waiters = [gone.create_future()]
    gone.close()
    write.settle()
    assert write.done
