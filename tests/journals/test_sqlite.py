"""The journal in a file: the suite that every journal passes, and what is special about SQLite."""

import asyncio
import contextlib
import hashlib
import inspect
import random
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import MemoryJournal, StoredRun, SystemClock, Usage
from stratagem.errors import JournalError, OwnedElsewhere, UsageError
from stratagem.journals import _schema
from stratagem.journals._store import Head, Store
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import durable, journal_suite, row, run_of, taken


def opened(folder: Path) -> SQLiteJournal:
    return SQLiteJournal(folder / "journal.sqlite")


def change(folder: Path, run_id: str, seq: int) -> None:
    with sqlite3.connect(folder / "journal.sqlite") as file:
        of_run = "run=(SELECT n FROM run WHERE id=?) AND seq=?"
        (result,) = file.execute(f"SELECT result FROM effect WHERE {of_run}", (run_id, seq)).fetchone()
        changed = result[:9] + bytes([result[9] ^ 1]) + result[10:]
        assert file.execute(f"UPDATE effect SET result=? WHERE {of_run}", (changed, run_id, seq)).rowcount == 1
    file.close()


class HandClock(SystemClock):
    """A clock whose hands a test moves, both together or the wall's alone."""

    def __init__(self) -> None:
        self.passed, self.jumped = 0.0, 0.0

    def wall(self) -> float:
        return 1_700_000_000 + self.passed + self.jumped

    def stamp(self) -> int:
        return round(self.passed * 1e6)

    def advance(self, seconds: float) -> None:
        self.passed += seconds


CLOCK = HandClock()

test_conforms = journal_suite(
    lambda folder: SQLiteJournal(folder / "journal.sqlite", clock=CLOCK), damage=change, advance=CLOCK.advance
)
test_the_journal_in_memory_conforms = journal_suite(
    lambda folder: MemoryJournal(CLOCK), lasting=False, advance=CLOCK.advance
)


@pytest.fixture
def commits(monkeypatch):
    """How many transactions were made, by rows in each."""
    made: list[int] = []
    write, at_once = Store.write, Store.write_at_once

    def counted(self, items):
        made.append(len(items))
        write(self, items)

    def counted_at_once(self, items):
        made.append(len(items))
        return at_once(self, items)

    monkeypatch.setattr(Store, "write", counted)
    monkeypatch.setattr(Store, "write_at_once", counted_at_once)
    return made


async def test_a_new_file_belongs_to_its_user_alone(tmp_path):
    journal = SQLiteJournal(tmp_path / "home" / "runs" / "journal.sqlite")
    await durable(journal.create(run_of("abcdef")))
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        "home": 0o700,
        "home/runs": 0o700,
        "home/runs/journal.sqlite": 0o600,
        "home/runs/journal.sqlite-wal": 0o600,
        "home/runs/journal.sqlite-shm": 0o600,
    }
    await journal.aclose()


async def test_what_is_durable_survives_a_loss_of_power(tmp_path):
    """No test can pull the plug; these settings are what SQLite promises it for."""
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    file: Any = journal._store._connection
    said = {name: file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "page_size")}
    assert said == {"journal_mode": "wal", "synchronous": 2, "page_size": 4096}
    await journal.aclose()


async def test_closing_leaves_one_file(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    await journal.aclose()
    assert [path.name for path in tmp_path.iterdir()] == ["journal.sqlite"]


async def test_reading_makes_no_file(tmp_path):
    journal = opened(tmp_path / "none")
    assert await journal.runs() == []
    assert await journal.ids("a") == []
    await journal.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_it_is_named_as_on_the_command_line(tmp_path):
    assert SQLiteJournal("a/b.sqlite").spec == "sqlite:a/b.sqlite"
    assert SQLiteJournal("a/b.sqlite").path == Path.cwd() / "a/b.sqlite"


async def test_a_row_alone_is_durable_when_append_returns(tmp_path, commits):
    journal, other = opened(tmp_path), opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    for seq in range(5):
        assert journal.append("abcdef", row(seq), alone=True) is None
        assert (await other.load("abcdef"))[1] == [row(n) for n in range(seq + 1)]
    assert commits == [1] * 6
    await journal.aclose()
    await other.aclose()


async def test_decisions_share_the_commit_of_the_next_row(tmp_path, commits):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    for seq in range(3):
        journal.append("abcdef", row(seq, kind="decision"))
    assert journal.append("abcdef", row(3), alone=True) is None
    assert commits == [1, 4]
    await journal.aclose()


async def test_what_is_appended_at_the_same_time_is_one_commit(tmp_path, commits):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    waiting = [journal.append("abcdef", row(seq)) for seq in range(100)]
    await durable(waiting[0])
    assert commits == [1, 100]
    await durable(waiting[99])
    assert commits == [1, 100]
    await journal.aclose()


async def test_a_row_is_not_alone_while_others_are_being_written(tmp_path, commits):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    first = asyncio.ensure_future(durable(journal.append("abcdef", row(0))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the writer has the first
    second = journal.append("abcdef", row(1), alone=True)
    assert second is not None
    await second
    await first
    assert commits == [1, 1, 1]
    await journal.aclose()


async def test_a_large_row_is_not_written_in_the_loop(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    waiting = journal.append("abcdef", row(0, result=b"a" * 65536), alone=True)
    assert waiting is not None
    await waiting
    await journal.aclose()


async def test_the_log_never_reaches_a_megabyte(tmp_path):
    journal = opened(tmp_path)
    log = tmp_path / "journal.sqlite-wal"
    await durable(journal.create(run_of("abcdef")))
    highest = 0
    for seq in range(500):
        await durable(journal.append("abcdef", row(seq, result=b"r" * 900), alone=True))
        highest = max(highest, log.stat().st_size)
    assert 500_000 < highest <= 1_000_000
    await journal.aclose()


async def test_a_short_answer_takes_at_most_258_bytes(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    for seq in range(1000):
        usage = Usage(1, 1, 300 + seq, 12)
        journal.append("abcdef", row(seq, usage=usage, request=b'{"question":"Q%d"}' % seq, result=b"a" * 42))
    await journal.aclose()
    assert (tmp_path / "journal.sqlite").stat().st_size <= 258 * 1000


async def test_a_tool_loop_takes_at_most_twice_its_transcript(tmp_path):
    """200 steps: a model call of 700 bytes that cannot be packed well, and a tool's answer of 200."""
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    text = inspect.getsource(_schema).encode()
    transcript = 0
    for seq in range(400):
        result = text[seq * 7 :][: 700 if seq % 2 == 0 else 200]
        transcript += len(result)
        kind = "model" if seq % 2 == 0 else "tool"
        await durable(
            journal.append("abcdef", row(seq, kind=kind, request=b'[%d,"react"]' % seq, result=result), alone=True)
        )
    await journal.aclose()
    assert transcript == 180_000
    assert (tmp_path / "journal.sqlite").stat().st_size <= 2 * transcript


async def test_equal_payloads_are_stored_once(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.create(run_of("ghijkl")))
    payload = bytes(n * n % 251 for n in range(100_000))
    for seq in range(20):
        for name in ("abcdef", "ghijkl"):
            await durable(journal.append(name, row(seq, request=payload, result=payload)))
    _, rows = await journal.load("abcdef")
    await journal.aclose()
    assert (tmp_path / "journal.sqlite").stat().st_size < 200_000
    assert len({id(part) for one in rows for part in (one.request, one.result)}) == 1  # and held once


async def test_costs_that_are_equal_and_written_differently_are_each_as_they_were_written(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    costs = [
        Usage(1, 1, 7, 2, usd=2.0),
        Usage(1, 1, 7, 2, usd=2),
        Usage(1, 1, 7.0, 2, usd=2.0),  # pyright: ignore[reportArgumentType]
        None,
        Usage(1, 1, 7, 2, usd=2.0),
    ]
    for seq, cost in enumerate(costs):
        await durable(journal.append("abcdef", row(seq)._replace(usage=cost)))
    _, rows = await journal.load("abcdef")
    await journal.aclose()
    assert [repr(one.usage) for one in rows] == [repr(cost) for cost in costs]


async def test_a_payload_that_packing_makes_longer_stays_as_it_is(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    noise = random.Random(1).randbytes(2000)
    await durable(journal.append("abcdef", row(0, result=noise)))
    assert (await journal.load("abcdef"))[1] == [row(0, result=noise)]
    await journal.aclose()
    file = sqlite3.connect(tmp_path / "journal.sqlite")
    assert file.execute("SELECT size, body FROM blob").fetchall() == [(2000, noise)]
    file.close()


async def test_a_row_that_does_not_grow_the_log_is_refused(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.append("abcdef", row(3)))
    with pytest.raises(JournalError, match="row 3 of run 'abcdef' cannot follow row 3"):
        await durable(journal.append("abcdef", row(3)))
    with pytest.raises(JournalError, match="row 3 of run 'abcdef' cannot follow row 3"):  # lost until loaded again
        await durable(journal.append("abcdef", row(4)))
    await journal.load("abcdef")
    await durable(journal.append("abcdef", row(4)))
    assert [one.seq for one in (await journal.load("abcdef"))[1]] == [3, 4]
    await journal.aclose()


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"took": 2**63},
        {"digest": None},
        {"path": 7},
        {"result": "text"},
        {"usage": Usage(usd=float("nan"))},
        {"wall": ...},
    ],
    ids=str,
)
async def test_a_row_that_cannot_be_stored_stops_its_own_run_only(tmp_path, changes, alone):
    journal = opened(tmp_path)
    for name in ("abcdef", "ghijkl"):
        await durable(journal.create(run_of(name)))
        await durable(journal.append(name, row(0)))
    with pytest.raises(JournalError, match="what run 'abcdef' writes cannot be stored"):
        await durable(journal.append("abcdef", row(1, **changes), alone=alone))
    with pytest.raises(JournalError, match="what run 'abcdef' writes cannot be stored"):
        await durable(journal.append("abcdef", row(2), alone=alone))
    await durable(journal.append("ghijkl", row(1), alone=alone))
    assert (await journal.load("abcdef"))[1] == [row(0)]
    assert (await journal.load("ghijkl"))[1] == [row(0), row(1)]
    await journal.aclose()


async def test_a_run_is_claimed_before_it_is_written_to(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    await journal.aclose()
    journal = opened(tmp_path)
    await journal.load("abcdef")
    for write in (journal.append("abcdef", row(0)), journal.update(run_of("abcdef"))):
        with pytest.raises(OwnedElsewhere, match="run 'abcdef' is not driven by this process") as refused:
            await durable(write)
        assert refused.value.remedy == "Claim it before writing to it."
    await taken(journal, "abcdef")
    await durable(journal.append("abcdef", row(0)))
    await journal.aclose()


async def test_runs_that_were_let_go_do_not_pile_up(tmp_path):
    journal = opened(tmp_path)
    for number in range(50):
        journal.create(run_of(f"r{number:05}"))
        journal.update(run_of(f"r{number:05}", state="finished", rows=0, owner=b""))
    journal.create(run_of("abcdef"))
    await journal.runs()
    assert list(journal._store._heads) == ["abcdef"]
    await journal.aclose()


async def test_each_loss_of_a_run_has_its_own_reason(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))
    for changes, reason in [({"seq": -1}, "cannot follow"), ({"took": 2**63}, "cannot be stored")]:
        await journal.load("abcdef")
        for write in (journal.append("abcdef", row(0)._replace(**changes)), journal.append("abcdef", row(1))):
            with pytest.raises(JournalError, match=reason):
                await durable(write)
    await journal.aclose()


async def test_runs_with_equal_sequence_numbers_from_two_owners_are_told_apart(tmp_path):
    """Two processes under one epoch: the second to write a row is stopped."""
    one, two = opened(tmp_path), opened(tmp_path)
    await durable(one.create(run_of("abcdef")))
    await two.load("abcdef")
    two._store._heads["abcdef"] = Head(1, 1, 0)
    await durable(one.append("abcdef", row(0)))
    for alone in (False, True):
        with pytest.raises(JournalError, match="taken over by another process"):
            await durable(two.append("abcdef", row(0, path="other"), alone=alone))
    assert (await two.load("abcdef"))[1] == [row(0)]
    await one.aclose()
    await two.aclose()


def test_one_journal_serves_loops_that_follow_each_other(tmp_path):
    journal = opened(tmp_path)

    async def first():
        await durable(journal.create(run_of("abcdef")))
        journal.append("abcdef", row(0))
        await asyncio.sleep(0)

    async def then(seq):
        await durable(journal.append("abcdef", row(seq), alone=True))
        return (await journal.load("abcdef"))[1]

    asyncio.run(first())
    assert asyncio.run(then(1)) == [row(0), row(1)]
    assert asyncio.run(then(2)) == [row(0), row(1), row(2)]
    asyncio.run(journal.aclose())


async def test_a_loop_in_another_thread_is_refused(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef")))

    async def write():
        await durable(journal.append("abcdef", row(0)))

    def elsewhere():
        for call in (journal.runs, write):
            with pytest.raises(JournalError, match="another event loop"):
                asyncio.run(call())

    await asyncio.to_thread(elsewhere)
    await journal.aclose()


async def test_waiting_twice_for_a_write_that_failed_raises_twice(tmp_path):
    journal = opened(tmp_path)
    write = journal.update(run_of("absent"))
    for _ in range(2):
        with pytest.raises(JournalError, match="not driven"):
            await write
    await journal.aclose()


async def test_many_may_wait_for_one_write(tmp_path):
    journal = opened(tmp_path)
    write = journal.create(run_of("abcdef"))
    await asyncio.gather(*(durable(write) for _ in range(5)))
    await journal.aclose()


async def test_a_record_that_is_not_ours_is_kept_as_it_is(tmp_path):
    journal = opened(tmp_path)
    odd = [b"", b"[]", b"not JSON", b'{"task":"text","strategy":5}', b'{"task":{"question":{"text":"Seen?"}}}']
    for number, record in enumerate(odd):
        await durable(journal.create(StoredRun(f"abcde{number}", record=record, created=number)))
    assert [run.record for run in await journal.runs()] == odd[::-1]
    assert [run.run_id for run in await journal.runs(text="seen?")] == ["abcde4"]
    await journal.aclose()


async def test_what_is_not_unicode_is_looked_for_in_vain(tmp_path):
    journal = opened(tmp_path)
    await durable(journal.create(run_of("abcdef", "a\ufffdb")))
    odd = "a\ud800"
    assert await journal.ids(odd) == []
    assert await journal.runs(text=odd + "b c", state=odd, strategy=odd) == []
    with pytest.raises(UsageError, match="there is no run"):
        await journal.load(odd)
    await journal.aclose()


async def test_a_newer_file_is_refused_and_left_alone(tmp_path):
    await _written(tmp_path, "PRAGMA user_version=3")
    before = (tmp_path / "journal.sqlite").read_bytes()
    journal = opened(tmp_path)
    for call in (journal.load("abcdef"), durable(journal.create(run_of("ghijkl")))):
        with pytest.raises(JournalError, match="newer stratagem: its version is 3, this one reads up to 2") as refused:
            await call
        assert refused.value.remedy == "Upgrade stratagem, or name another journal."
    await journal.aclose()
    assert (tmp_path / "journal.sqlite").read_bytes() == before


async def test_a_run_with_newer_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("stratagem.journals._records.VERSION", 2)
    await _written(tmp_path, "SELECT 1")
    monkeypatch.undo()
    journal = opened(tmp_path)
    with pytest.raises(JournalError, match="'abcdef' was written by a newer stratagem: its rows have format 2"):
        await journal.load("abcdef")
    await journal.aclose()


async def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    file = sqlite3.connect(tmp_path / "journal.sqlite")
    file.execute("CREATE TABLE mine (a)")
    file.close()
    before = (tmp_path / "journal.sqlite").read_bytes()
    journal = opened(tmp_path)
    with pytest.raises(JournalError, match="is not a journal of stratagem"):
        await durable(journal.create(run_of("abcdef")))
    await journal.aclose()
    assert (tmp_path / "journal.sqlite").read_bytes() == before


def test_a_file_that_another_process_makes_just_now_is_read_as_it_was_at_one_moment(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.touch()
    file = _schema._connected(str(path))

    def made_now(statement: str) -> None:
        if "sqlite_master" in statement and not path.stat().st_size:
            with contextlib.suppress(sqlite3.OperationalError):  # the other has to wait for this one
                _schema.opened(path).close()

    file.set_trace_callback(made_now)
    assert _schema._version(file, path) == 0
    file.set_trace_callback(None)
    _schema.opened(path).close()
    assert _schema._version(file, path) == _schema.SCHEMA
    file.close()


def test_the_tables_are_frozen():
    """A changed character is a new version: raise `SCHEMA`, and bring version 2 forward in `MIGRATIONS`."""
    assert _schema.SCHEMA == 2
    assert hashlib.sha256("\n".join(_schema.TABLES).encode()).hexdigest()[:16] == "5a96543a17b954f0"


async def _written(folder: Path, then: str) -> None:
    journal = opened(folder)
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.append("abcdef", row(0)))
    await journal.aclose()
    with sqlite3.connect(folder / "journal.sqlite") as file:
        file.execute(then)
    file.close()
