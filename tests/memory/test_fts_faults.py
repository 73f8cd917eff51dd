"""What a memory does when the file, the disk or another process is not as it should be."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stratagem.core import USER
from stratagem.errors import CapabilityError, StratagemError, UsageError
from stratagem.memory import fts
from stratagem.memory.fts import FtsMemory

NOON = "2026-01-31T12:00:00Z"
HERE = {**os.environ, "PYTHONPATH": str(Path(fts.__file__).parents[2])}  # for other processes


async def keep(memory: FtsMemory, *texts: str) -> None:
    for text in texts:
        await memory.observe(text, key=text, source="run a", time=NOON, label=USER, fields={})


async def filled(path: Path, *texts: str) -> None:
    memory = FtsMemory(path)
    await keep(memory, *texts)
    await memory.aclose()


def changed(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes on the disk behind SQLite's back."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


async def test_an_event_loop_goes_on_while_a_write_waits_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, "red")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    memory = FtsMemory(path)
    writing = asyncio.create_task(keep(memory, "blue"))
    reader = FtsMemory(path)
    assert await reader.recall("red", 1) == ("red",)  # readers do not wait for writers
    assert not writing.done()
    other.execute("COMMIT")
    other.close()
    await writing
    assert await reader.recall("blue", 1) == ("blue",)
    await memory.aclose()
    await reader.aclose()


async def test_a_locked_file_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, "red")
    memory = FtsMemory(path, busy_s=0)
    await memory.recall("red", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StratagemError, match=r"m\.sqlite is locked by another process") as caught:
        await keep(memory, "blue")
    assert caught.value.remedy == "Wait for the other process, or stop it."
    other.execute("ROLLBACK")
    other.close()
    await keep(memory, "blue")
    assert await memory.recall("blue", 1) == ("blue",)
    await memory.aclose()


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[Path]:
    """A folder of a user to whom permissions apply, and the test as that user."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


async def test_a_file_that_cannot_be_written_can_still_be_read(unprivileged: Path) -> None:
    path = unprivileged / "m.sqlite"
    await filled(path, "red")
    os.chmod(path, 0o400)
    memory = FtsMemory(path)
    assert await memory.recall("red", 1) == ("red",)
    with pytest.raises(StratagemError, match="cannot be written") as caught:
        await keep(memory, "blue")
    assert caught.value.remedy == "Make the file and its folder writable."
    assert await memory.recall("red", 1) == ("red",)
    await memory.aclose()


async def test_a_folder_that_cannot_be_written_is_named(unprivileged: Path) -> None:
    await filled(unprivileged / "m.sqlite", "red")
    os.chmod(unprivileged, 0o500)
    old, new, deep = (FtsMemory(unprivileged / name) for name in ("m.sqlite", "new.sqlite", "a/b.sqlite"))
    with pytest.raises(StratagemError, match="cannot be written"):
        await old.recall("red", 1)  # the log of a WAL file needs the folder
    with pytest.raises(UsageError, match=r"new\.sqlite cannot be made: .*Permission denied"):
        await new.recall("red", 1)
    with pytest.raises(UsageError, match=r"b\.sqlite cannot be made: .*Permission denied"):
        await deep.recall("red", 1)
    for memory in (old, new, deep):
        await memory.aclose()
    os.chmod(unprivileged, 0o700)


async def test_a_file_that_was_moved_away_swallows_no_record(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    memory = FtsMemory(path)
    await keep(memory, "red")
    path.rename(tmp_path / "moved.sqlite")
    with pytest.raises(StratagemError, match="was moved or replaced while it was open"):
        await keep(memory, "blue")
    (tmp_path / "moved.sqlite").rename(path)
    await keep(memory, "blue")
    assert set(await memory.recall("red blue", 9)) == {"red", "blue"}
    await memory.aclose()


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, "red")
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    memory = FtsMemory(path)
    with pytest.raises(StratagemError, match=r"newer version \(schema 2, this one knows 1\)") as caught:
        await keep(memory, "blue")
    assert caught.value.remedy.startswith("Upgrade stratagem")
    await memory.aclose()
    kept = sqlite3.connect(path)
    assert kept.execute("SELECT text FROM record").fetchall() == [("red",)]
    kept.close()


async def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine(x)")
    other.close()
    before = path.read_bytes()
    memory = FtsMemory(path)
    with pytest.raises(UsageError, match="SQLite file of something else"):
        await keep(memory, "red")
    await memory.aclose()
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["folder", "file/below", "nul\0", "fifo", "n" * 300])
async def test_a_path_that_cannot_be_a_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    memory = FtsMemory(tmp_path / name)
    with pytest.raises(UsageError, match=r"memory .* (cannot be made|is no regular file)"):
        await memory.recall("red", 1)
    await memory.aclose()


async def test_a_text_file_is_called_damaged_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    path.write_text("These are notes, and not a database. " * 50)
    before = path.read_bytes()
    memory = FtsMemory(path)
    with pytest.raises(StratagemError, match=r"m\.sqlite is damaged \(file is not a database\)"):
        await keep(memory, "red")
    await memory.aclose()
    assert path.read_bytes() == before


async def test_a_truncated_file_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, *(f"red {number} " + "lorem ipsum " * 100 for number in range(50)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    memory = FtsMemory(path)
    with pytest.raises(StratagemError, match="is damaged") as caught:
        await memory.recall("red", 99)
    assert caught.value.remedy.startswith("Restore it from a copy")
    with pytest.raises(StratagemError, match="is damaged"):
        await memory.check()
    await memory.aclose()


async def test_a_record_with_one_changed_byte_is_named_and_never_recalled(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, "The colour: crimson!", "the door is open")
    changed(path, b"The colour: crimson!", b"The colour: crimsen!")
    memory = FtsMemory(path)
    with pytest.raises(StratagemError, match=r"record [0-9a-f]{16} is not what was written") as caught:
        await memory.recall("colour", 1)
    number = str(caught.value).split("record ")[1].split()[0]
    assert f"record {number} is not what was written" in await memory.check()
    assert await memory.recall("door", 1) == ("the door is open",)
    assert await memory.forget([number]) == (number,)
    assert await memory.check() == ()
    assert await memory.recall("colour", 1) == ()
    await memory.aclose()


async def test_a_label_cannot_be_raised_by_changing_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    memory = FtsMemory(path)
    await memory.observe("red", key="k", source="web", time=NOON, label=USER | USER, fields={})
    await memory.aclose()
    changed(path, b'[["user"],null]', b'[["uzer"],null]')
    with pytest.raises(StratagemError, match="is not what was written"):
        await memory.recall("red", 1)
    await memory.aclose()


async def test_a_damaged_index_is_reported_and_can_be_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, *(f"red {number}" for number in range(50)))
    behind = sqlite3.connect(path)
    behind.execute("DELETE FROM words_data")
    behind.commit()
    behind.close()
    memory = FtsMemory(path)
    with pytest.raises(StratagemError, match="is damaged") as caught:
        await memory.recall("red", 99)
    assert "`FtsMemory.rebuild` mends the index" in caught.value.remedy
    assert [text.split(":")[0] for text in await memory.check()] == ["index of words"]
    await memory.rebuild()
    assert await memory.check() == ()
    assert len(await memory.recall("red", 99)) == 50
    await memory.aclose()


async def test_a_record_that_the_index_misses_is_reported_and_can_be_indexed(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    await filled(path, "red one", "red two")
    behind = sqlite3.connect(path)
    behind.execute("DELETE FROM words WHERE rowid = 1")
    behind.commit()
    behind.close()
    memory = FtsMemory(path)
    assert await memory.check() == ("1 records are not in the index; `rebuild` makes it anew",)
    await memory.rebuild()
    assert await memory.check() == ()
    assert set(await memory.recall("red", 9)) == {"red one", "red two"}
    await memory.aclose()


async def test_an_sqlite_without_fts5_is_a_missing_capability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fts, "_WORDS", "CREATE VIRTUAL TABLE words USING fts99(found_by)")
    memory = FtsMemory(tmp_path / "m.sqlite")
    with pytest.raises(CapabilityError, match=r"SQLite \(3\..*has no FTS5") as caught:
        await keep(memory, "red")
    assert caught.value.remedy.startswith("Use a Python whose SQLite has FTS5")
    monkeypatch.undo()
    await keep(memory, "red")  # nothing half-made is in the way
    assert await memory.recall("red", 1) == ("red",)
    await memory.aclose()


# A process that keeps records and says so after each; it is given the path and what its texts begin with.
WRITER = """
import asyncio, sys
from stratagem.core import USER
from stratagem.memory.fts import FtsMemory

async def main(path, name, n):
    memory = FtsMemory(path)
    for number in range(n):
        for text in (f"{name} {number}", f"shared {number}"):
            await memory.observe(text, key=text, source=name, time="2026-01-31T12:00:00Z", label=USER, fields={})
        print(number, flush=True)
    await memory.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writer(path: Path, name: str, n: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, str(path), name, str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=HERE)


async def test_a_new_file_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(5):
        many = [FtsMemory(tmp_path / f"{number}.sqlite") for _ in range(8)]
        await asyncio.gather(*(keep(memory, f"red {place}") for place, memory in enumerate(many)))
        assert len(await many[0].recall("red", 99)) == 8
        await asyncio.gather(*(memory.aclose() for memory in many))


async def test_a_new_file_waits_for_another_process_that_is_making_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr(fts.clock, "sleep", wait)
    impatient = FtsMemory(path, busy_s=0)
    with pytest.raises(StratagemError, match="is locked by another process"):
        await keep(impatient, "red")
    waits.clear()
    memory = FtsMemory(path)
    await keep(memory, "red")
    assert waits == [0.005] * 3
    assert await memory.recall("red", 1) == ("red",)
    other.close()
    await memory.aclose()
    await impatient.aclose()


async def test_records_are_forgotten_while_others_are_written(tmp_path: Path) -> None:
    left, right = FtsMemory(tmp_path / "m.sqlite"), FtsMemory(tmp_path / "m.sqlite")
    await keep(left, *(f"red {number}" for number in range(30)))
    ids = [record.id for record in (await left.list()).records]
    await asyncio.gather(
        *(left.forget([number]) for number in ids), *(keep(right, f"blue {number}") for number in range(30))
    )
    assert len(await left.recall("red blue", 99)) == 30
    assert await right.check() == ()
    await left.aclose()
    await right.aclose()


async def test_two_processes_that_write_at_once_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    both = [writer(path, name, 40) for name in ("left", "right")]
    assert [one.communicate(timeout=60)[0].count("\n") for one in both] == [40, 40]
    assert [one.returncode for one in both] == [0, 0]
    memory = FtsMemory(path)
    counts = [len(await memory.recall(word, 999)) for word in ("left", "right", "shared")]
    assert counts == [40, 40, 40]
    assert await memory.check() == ()
    await memory.aclose()


async def test_a_killed_process_loses_nothing_that_it_had_awaited(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    process = writer(path, "left", 100_000)
    assert process.stdout is not None
    begun = "".join(process.stdout.readline() for _ in range(25))
    process.send_signal(signal.SIGKILL)
    said = (begun + process.stdout.read()).split()
    process.wait(timeout=60)
    process.stdout.close()
    memory = FtsMemory(path)
    found = set(await memory.recall("left", 999_999))
    assert {f"left {number}" for number in range(int(said[-1]) + 1)} <= found
    assert len(found) <= int(said[-1]) + 2
    assert await memory.check() == ()
    await memory.aclose()


def test_a_full_disk_is_named_and_keeps_what_was_stored(tmp_path: Path) -> None:
    program = f"""
import asyncio, resource, signal
from stratagem.core import USER
from stratagem.errors import StratagemError
from stratagem.memory.fts import FtsMemory

async def main():
    memory = FtsMemory({str(tmp_path / "m.sqlite")!r})
    async def keep(text):
        await memory.observe(text, key=text, source="", time="2026-01-31T12:00:00Z", label=USER, fields={{}})
    await keep("red")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        await keep("blue " * 200_000)
    except StratagemError as failure:
        print(type(failure).__name__, "could not be written" in str(failure), failure.remedy)
    print(*await memory.recall("red blue", 9))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await keep("green")
    print(*await memory.recall("green", 9), await memory.check())
    await memory.aclose()

asyncio.run(main())
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=HERE)
    assert done.stdout.splitlines() == [
        "StratagemError True Make room on the disk; nothing stored is lost.",
        "red",
        "green ()",
    ], done.stderr
