"""Disks that are full, files that are locked or may only be read, processes that are killed: nothing is claimed or lost."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import SystemClock
from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals import _schema, _store
from stratagem.journals._store import Store
from stratagem.journals._writer import Write
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, durable, row, run_of, taken
from tests.journals._read_only import mounted, read_only

NOBODY: Any = None  # waits for these writes
SOURCE = Path(_schema.__file__).parents[2]


async def begun(path: Path, patience_s: float = 20, **settings) -> SQLiteJournal:
    """A journal with one run and two rows."""
    journal = SQLiteJournal(path, patience_s=patience_s, **settings)
    await durable(journal.create(run_of("abcdef")))
    for seq in range(2):
        await durable(journal.append("abcdef", row(seq), alone=True))
    return journal


def file_of(journal: SQLiteJournal) -> Any:
    return journal._store._connection


def python(code: str, *arguments: object, **settings: Any) -> Any:
    """Start another process with this code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **settings,
    )


# Full disks


async def _append_many(journal: SQLiteJournal, alone: bool) -> None:
    for seq in range(2, 100):
        await durable(journal.append("abcdef", row(seq, result=b"r" * 500), alone=alone))


@pytest.mark.parametrize("alone", [False, True])
async def test_a_full_disk_stops_all_writing_and_no_reading(tmp_path, alone):
    journal = await begun(tmp_path / "journal.sqlite")
    await durable(journal.create(run_of("ghijkl")))
    file_of(journal).execute("PRAGMA max_page_count=1")  # SQLite then reports a full disk
    with pytest.raises(JournalError, match=r"journal\.sqlite: the disk is full") as full:
        await _append_many(journal, alone)
    assert full.value.remedy == "Free space on that disk, then resume the run."
    _, rows = await journal.load("abcdef")
    assert rows == [row(0), row(1), *(row(seq, result=b"r" * 500) for seq in range(2, len(rows)))]
    file_of(journal).execute("PRAGMA max_page_count=1000000")
    writes: list[Any] = [
        journal.append("abcdef", row(len(rows)), alone=alone),
        journal.append("ghijkl", row(0)),
        journal.update(run_of("ghijkl", rows=0)),
        journal.create(run_of("mnopqr")),
        journal.ask("ghijkl", "q1", b"{}"),
        journal.beat(OWNER),
        journal.park(run_of("ghijkl", owner=b""), []),
        journal.answer("ghijkl", "q1", b"1"),
        journal.claim("ghijkl", 1, OWNER),
    ]
    for write in writes:
        with pytest.raises(JournalError, match="the disk is full"):
            await durable(write)
    await journal.aclose()
    journal = SQLiteJournal(tmp_path / "journal.sqlite")
    assert (await taken(journal, "abcdef"))[1] == rows
    await durable(journal.append("abcdef", row(len(rows))))
    await journal.aclose()


async def test_a_full_disk_fails_every_row_of_the_group(tmp_path):
    journal = await begun(tmp_path / "journal.sqlite")
    file_of(journal).execute("PRAGMA max_page_count=1")
    writes = [journal.append("abcdef", row(seq, result=b"r" * 900)) for seq in range(2, 50)]
    for write in writes:
        with pytest.raises(JournalError, match="the disk is full"):
            await durable(write)
    assert (await journal.load("abcdef"))[1] == [row(0), row(1)]
    await journal.aclose()


FILL = """
import asyncio, sys
from stratagem.errors import JournalError
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, durable, row, run_of, taken
from tests.journals._read_only import mounted, read_only

if sys.argv[2] != "0":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))

async def main():
    journal = SQLiteJournal(sys.argv[1])
    await durable(journal.create(run_of("abcdef")))
    try:
        for seq in range(5000):
            await durable(journal.append("abcdef", row(seq, result=b"r" * 900), alone=seq % 3 > 0))
    except JournalError as error:
        print(seq, error)
    await journal.aclose()

asyncio.run(main())
"""


async def filled(path: Path, limit: int) -> str:
    """Let another process write until it cannot; everything it was told is durable must be there."""
    with python(FILL, path, limit) as child:
        told, _ = child.communicate()
    assert child.returncode == 0
    durables, _, message = told.strip().partition(" ")
    journal = SQLiteJournal(path)
    _, rows = await journal.load("abcdef")
    await journal.aclose()
    assert int(durables) > 50
    assert len(rows) in (int(durables), int(durables) + 1)  # a row whose commit failed may be there all the same
    assert rows == [row(seq, result=b"r" * 900) for seq in range(len(rows))]
    return message


async def test_a_file_that_may_not_grow_loses_nothing(tmp_path):
    pytest.importorskip("resource", reason="the system has no limits of file size")
    message = await filled(tmp_path / "journal.sqlite", 900_000)
    assert message.startswith(f"{tmp_path}/journal.sqlite: the disk is full")


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can make a small disk")
async def test_a_disk_that_is_really_full_loses_nothing(tmp_path):
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=1m", "tmpfs") as disk:
        message = await filled(disk / "journal.sqlite", 0)
        assert message == f"{disk}/journal.sqlite: the disk is full"


# Locks


LOCK = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
file.close()
"""


@pytest.mark.parametrize("alone", [False, True])
async def test_a_lock_that_stays_is_named_with_its_holder(tmp_path, alone):
    path = tmp_path / "journal.sqlite"
    journal = await begun(path, patience_s=0.05)
    with python(LOCK, path, "BEGIN IMMEDIATE") as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(JournalError) as locked:
            await durable(journal.append("abcdef", row(2), alone=alone))
        holder = f"process {other.pid}" if sys.platform == "linux" else "another process"
        assert str(locked.value) == f"{path} is locked by {holder}"
        assert (await journal.load("abcdef"))[1] == [row(0), row(1)]
        other.stdin.close()
    with pytest.raises(JournalError, match="is locked by"):  # what follows would follow on a row that is missing
        await durable(journal.append("abcdef", row(3)))
    await journal.aclose()


async def test_a_locked_file_cannot_be_opened(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = await begun(path)
    await journal.aclose()
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA locking_mode=EXCLUSIVE")
    file.execute("BEGIN EXCLUSIVE")
    journal = SQLiteJournal(path, patience_s=0.05)
    with pytest.raises(JournalError, match="is locked by another process"):
        await journal.load("abcdef")
    file.execute("COMMIT")
    file.close()
    assert (await journal.load("abcdef"))[1] == [row(0), row(1)]
    await journal.aclose()


class Turns(SystemClock):
    """A clock that is asked whether patience has ended, and does something at its third answer."""

    def __init__(self, then):
        self.asked = 0
        self.then = then

    def stamp(self):
        self.asked += 1
        if self.asked == 3:
            self.then()
        return 0


@pytest.mark.parametrize("alone", [False, True])
async def test_a_lock_that_goes_is_waited_for_while_the_loop_goes_on(tmp_path, alone):
    path = tmp_path / "journal.sqlite"
    released = threading.Event()
    clock = Turns(lambda: None)
    journal = await begun(path, clock=clock)
    with python(LOCK, path, "BEGIN IMMEDIATE") as other:
        assert other.stdout.readline() == "locked\n"

        def release() -> None:
            released.wait(20)  # until the loop says so: it is not blocked by who waits for the lock
            other.stdin.close()
            other.wait()

        clock.asked, clock.then = 0, release
        waiting = asyncio.ensure_future(durable(journal.append("abcdef", row(2), alone=alone)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        released.set()
        await waiting
    assert (await journal.load("abcdef"))[1] == [row(0), row(1), row(2)]
    await journal.aclose()


async def test_two_processes_write_to_one_file_in_turn(tmp_path):
    path = tmp_path / "journal.sqlite"
    one, two = await begun(path), SQLiteJournal(path)
    await durable(two.create(run_of("ghijkl")))
    for seq in range(2, 30):
        await asyncio.gather(
            durable(one.append("abcdef", row(seq), alone=True)),
            durable(two.append("ghijkl", row(seq), alone=seq % 2 == 0)),
        )
    assert (await two.load("abcdef"))[1] == [row(seq) for seq in range(30)]
    assert (await one.load("ghijkl"))[1] == [row(seq) for seq in range(2, 30)]
    await one.aclose()
    await two.aclose()


def test_where_locks_are_not_listed_nobody_is_accused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _schema.holders(tmp_path / "journal.sqlite") == "another process"


# Files that may only be read


async def _refuses_to_write(path: Path) -> None:
    journal = SQLiteJournal(path)
    assert await journal.load("abcdef") == (run_of("abcdef"), [row(0), row(1)])
    assert [run.run_id for run in await journal.runs()] == ["abcdef"]
    for write in (journal.append("abcdef", row(2)), journal.create(run_of("ghijkl"))):
        with pytest.raises(JournalError, match=r"journal\.sqlite can only be read") as refused:
            await durable(write)
        assert refused.value.remedy == "Make file and directory writable, or name another journal."
    await journal.aclose()


async def test_a_read_only_file_can_be_read(tmp_path):
    path = tmp_path / "journal.sqlite"
    await (await begun(path)).aclose()
    with read_only(path):
        await _refuses_to_write(path)


async def test_a_read_only_directory_can_be_read(tmp_path):
    path = tmp_path / "home" / "journal.sqlite"
    await (await begun(path)).aclose()
    with read_only(path.parent):
        await _refuses_to_write(path)


async def test_a_read_only_copy_without_its_log_is_not_read_as_if_it_were_whole(tmp_path):
    """A log with rows lies beside the file, and cannot be brought in: the file alone is not the journal."""
    path = tmp_path / "home" / "journal.sqlite"
    await (await begun(path)).aclose()
    journal = SQLiteJournal(path)
    await taken(journal, "abcdef")
    await durable(journal.append("abcdef", row(2)))
    files = {one.name: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")}
    await journal.aclose()
    for name, data in files.items():
        (path.parent / name).write_bytes(data)
    with read_only(path.parent):
        journal = SQLiteJournal(path)
        with pytest.raises(JournalError, match=r"journal\.sqlite can"):
            await journal.load("abcdef")
        await journal.aclose()
    journal = SQLiteJournal(path)
    assert (await journal.load("abcdef"))[1] == [row(0), row(1), row(2)]
    await journal.aclose()


async def test_a_new_journal_in_a_read_only_directory_says_so(tmp_path):
    (tmp_path / "home").mkdir()
    with read_only(tmp_path / "home"):
        journal = SQLiteJournal(tmp_path / "home" / "journal.sqlite")
        with pytest.raises(JournalError, match=r"journal\.sqlite cannot be opened: (Read-only|Permission)"):
            await durable(journal.create(run_of("abcdef")))
        await journal.aclose()


async def test_a_path_that_cannot_be_a_file_says_so(tmp_path):
    (tmp_path / "text").write_text("x")
    for path in (tmp_path / "text" / "journal.sqlite", tmp_path):
        journal = SQLiteJournal(path)
        with pytest.raises(JournalError, match=f"{path} cannot be opened"):
            await durable(journal.create(run_of("abcdef")))
        await journal.aclose()


def test_a_file_system_without_shared_memory_says_so(tmp_path):
    class NoLog:
        def execute(self, statement):
            return self

        def fetchone(self):
            return ("delete",)

    with pytest.raises(JournalError, match="does not let SQLite keep a write-ahead log") as refused:
        _schema._configure(NoLog(), tmp_path / "journal.sqlite", logs=True)  # pyright: ignore[reportArgumentType]
    assert refused.value.remedy == "Put the journal on a local disk: `--home DIR`."


# Interruptions


WORK = """
import asyncio, os, sys
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, durable, row, run_of, taken
from tests.journals._read_only import mounted, read_only

async def branch(journal, name, seqs, alone):
    for seq in range(10000):
        await durable(journal.append(name, row(seq), alone=alone))
        os.write(1, f"{name} {seq}\\n".encode())

async def main():
    journal = SQLiteJournal(sys.argv[1])
    names = [f"run{n:03}" for n in range(int(sys.argv[2]))]
    for name in names:
        await durable(journal.create(run_of(name)))
    await asyncio.gather(*(branch(journal, name, 0, len(names) == 1) for name in names))

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [1, 7, 60, 333])
@pytest.mark.parametrize("branches", [1, 20])
async def test_what_a_killed_process_was_told_is_durable_is_there(tmp_path, branches, after):
    path = tmp_path / "journal.sqlite"
    with python(WORK, path, branches) as child:
        told = [child.stdout.readline() for _ in range(after)]
        child.kill()
        told += child.stdout.read().splitlines(keepends=True)
    last: dict[str, int] = {}
    for line in told:
        if line.endswith("\n"):
            name, seq = line.split()
            assert last.get(name, -1) + 1 == int(seq)
            last[name] = int(seq)
    assert last
    journal = SQLiteJournal(path)
    for name, seq in last.items():
        run, rows = await journal.load(name)
        assert run == run_of(name)
        assert len(rows) in (seq + 1, seq + 2)  # the last one may have been durable before it could say so
        assert rows == [row(n) for n in range(len(rows))]
        await taken(journal, name)
        await durable(journal.append(name, row(len(rows))))
    await journal.aclose()


@pytest.mark.parametrize("alone", [False, True])
def test_an_interrupt_within_a_write_lets_nothing_follow(tmp_path, monkeypatch, alone):
    """Ctrl-C may strike between the row and what is remembered of it."""
    store = Store(tmp_path / "journal.sqlite", 0.05, None)
    store.write([Write("create", "abcdef", run_of("abcdef"), NOBODY), Write("append", "abcdef", row(0), NOBODY)])

    def struck(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_store, "seal", struck)
    with pytest.raises(KeyboardInterrupt):
        (store.write_at_once if alone else store.write)([Write("append", "abcdef", row(1), NOBODY)])
    monkeypatch.undo()
    later = Write("append", "abcdef", row(1), NOBODY)
    store.write([later])
    assert str(later.error) == f"{tmp_path}/journal.sqlite: writing was interrupted"
    assert store.load("abcdef")[1] == [row(0)]
    store.close()


async def test_an_error_nobody_thought_of_is_told_to_who_waits(tmp_path, monkeypatch):
    journal = await begun(tmp_path / "journal.sqlite")

    def odd(*_):
        raise RuntimeError("odd")

    monkeypatch.setattr(_store, "seal", odd)
    with pytest.raises(JournalError, match=r"journal\.sqlite: odd"):
        await durable(journal.append("abcdef", row(2)))
    monkeypatch.undo()
    with pytest.raises(JournalError, match=r"journal\.sqlite: odd"):
        await durable(journal.append("abcdef", row(2)))
    await journal.aclose()


async def test_an_error_of_a_read_is_told_to_who_asked_and_to_nobody_else(tmp_path, monkeypatch):
    journal = await begun(tmp_path / "journal.sqlite")

    def odd(*_):
        raise RuntimeError("odd")

    monkeypatch.setattr(journal._store, "ids", odd)
    with pytest.raises(RuntimeError, match="odd"):
        await journal.ids("a")
    await durable(journal.append("abcdef", row(2)))
    await journal.aclose()


async def test_closing_ends_the_thread(tmp_path):
    journal = await begun(tmp_path / "closing.sqlite")
    assert "journal closing.sqlite" in [thread.name for thread in threading.enumerate()]
    await journal.aclose()
    assert "journal closing.sqlite" not in [thread.name for thread in threading.enumerate()]


async def test_closing_that_is_cancelled_still_closes(tmp_path):
    journal = await begun(tmp_path / "closing.sqlite")
    journal.append("abcdef", row(2))
    closing = asyncio.ensure_future(journal.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    thread = next(thread for thread in threading.enumerate() if thread.name == "journal closing.sqlite")
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
    assert [path.name for path in tmp_path.iterdir()] == ["closing.sqlite"]
    journal = SQLiteJournal(tmp_path / "closing.sqlite")
    assert len((await journal.load("abcdef"))[1]) == 3
    await journal.aclose()


async def test_a_file_that_is_damaged_under_way_stops_the_writing(tmp_path):
    journal = await begun(tmp_path / "journal.sqlite")
    await journal.aclose()
    data = (tmp_path / "journal.sqlite").read_bytes()
    (tmp_path / "journal.sqlite").write_bytes(data[:4096] + bytes(len(data) - 4096))
    journal = SQLiteJournal(tmp_path / "journal.sqlite")
    with pytest.raises(JournalCorrupt, match=r"journal\.sqlite is damaged"):
        await durable(journal.create(run_of("ghijkl")))
    await journal.aclose()
