"""Questions, owners and leases in the file: clocks that jump, polls that cost little, and processes that are killed."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import StoredRun, SystemClock
from stratagem.errors import JournalError, OwnedElsewhere, UsageError
from stratagem.journals import _leases, _schema
from stratagem.journals._store import Store
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OTHER, OWNER, chain, durable, row, run_of, taken

SOURCE = str(Path(_schema.__file__).parents[2])
WEEK = 7 * 24 * 3600


class TwoHands(SystemClock):
    """The time of day, and the clock that counts from the machine's start, moved apart."""

    def __init__(self) -> None:
        self.day, self.counter = 1_700_000_000.0, 1000.0

    def wall(self) -> float:
        return self.day

    def stamp(self) -> int:
        return round(self.counter * 1e6)

    def pass_(self, seconds: float) -> None:
        self.day += seconds
        self.counter += seconds


@pytest.fixture
def clock() -> TwoHands:
    return TwoHands()


@pytest.fixture
def journal(tmp_path, clock) -> SQLiteJournal:
    return SQLiteJournal(tmp_path / "journal.sqlite", clock=clock)


def python(code: str, *arguments: object) -> Any:
    """Start another process with this code."""
    settings: Any = {"env": {**os.environ, "PYTHONPATH": SOURCE}, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **settings)


def read(path: Path, statement: str) -> list[tuple[Any, ...]]:
    file = sqlite3.connect(path)
    found = file.execute(statement).fetchall()
    file.commit()
    file.close()
    return found


@pytest.mark.parametrize("jump", [-3600, 3600, -WEEK * 10, WEEK * 10])
async def test_a_time_of_day_that_jumps_makes_nobody_older(journal, clock, jump):
    await durable(journal.beat(OWNER))
    clock.pass_(3)
    clock.day += jump
    assert await journal.age(OWNER) == 3.0
    await durable(journal.beat(OTHER))
    assert await journal.age(OWNER) == 3.0
    assert await journal.age(OTHER) == 0.0
    await journal.aclose()


@pytest.mark.parametrize(("passed", "age"), [(30, 30.0), (-3600, 0.0)])
async def test_a_beat_of_before_the_machines_start_is_dated_by_the_day(journal, clock, monkeypatch, passed, age):
    await durable(journal.beat(OWNER))
    monkeypatch.setattr(_leases, "this_boot", lambda: "another start")
    clock.counter = 1.0
    clock.day += passed
    assert await journal.age(OWNER) == age
    await journal.aclose()


async def test_where_the_system_names_no_start_the_day_counts(journal, clock, monkeypatch):
    monkeypatch.setattr(_leases, "this_boot", lambda: "")
    await durable(journal.beat(OWNER))
    clock.counter = 1.0
    clock.day += 30
    assert await journal.age(OWNER) == 30.0
    clock.day += WEEK
    await durable(journal.beat(OTHER))
    assert await journal.age(OWNER) is None
    await journal.aclose()


async def test_a_clock_that_was_set_to_before_the_beat_gives_no_negative_age(journal, clock):
    await durable(journal.beat(OWNER))
    clock.counter -= 5
    assert await journal.age(OWNER) == 0.0
    await journal.aclose()


async def test_owners_that_were_silent_for_a_week_are_forgotten(journal, clock, tmp_path, monkeypatch):
    await durable(journal.beat(OWNER))
    clock.pass_(WEEK)
    await durable(journal.beat(OTHER))
    assert await journal.age(OWNER) == WEEK
    clock.pass_(0.001)
    await durable(journal.beat(OTHER))
    assert await journal.age(OWNER) is None
    monkeypatch.setattr(_leases, "this_boot", lambda: "another start")
    clock.counter = 1.0
    clock.day += WEEK
    await durable(journal.beat(OWNER))
    assert await journal.age(OTHER) == WEEK
    clock.day += 0.001
    await durable(journal.beat(OWNER))
    assert await journal.age(OTHER) is None
    await journal.aclose()
    assert read(tmp_path / "journal.sqlite", "SELECT id FROM lease") == [("0123456789abcdef",)]


async def test_the_age_is_the_same_for_another_process(tmp_path):
    code = """
import asyncio, sys
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, durable
async def main():
    journal = SQLiteJournal(sys.argv[1])
    await durable(journal.beat(OWNER))
    await journal.aclose()
asyncio.run(main())
"""
    clock = SystemClock()
    path = tmp_path / "journal.sqlite"
    before = clock.stamp()
    with python(code, path) as other:
        assert other.wait() == 0
    journal = SQLiteJournal(path)
    age = await journal.age(OWNER)
    assert age is not None
    assert 0 <= age * 1e6 <= clock.stamp() - before
    await journal.aclose()


@pytest.mark.parametrize("owner", [b"{}", b"", b"[]", b'{"id":7}', b'{"id":"\xc3\xa9"}', b"no JSON"])
async def test_an_owner_without_an_id_is_refused(journal, owner):
    with pytest.raises(UsageError, match="an owner must have an id"):
        await durable(journal.beat(owner))
    await durable(journal.create(run_of("abcdef")))
    with pytest.raises(UsageError, match="an owner must have an id"):
        await journal.age(owner)
    await journal.aclose()


async def test_looking_makes_no_file(journal, tmp_path):
    assert await journal.find("abcdef") is None
    assert await journal.answers(["abcdef"]) == {}
    assert await journal.age(OWNER) is None
    assert await journal.children("abcdef") == []
    assert await journal.remove(["abcdef"]) == 0
    assert await journal.sweep() == 0
    assert (await journal.check()).bytes == 0
    await journal.aclose()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """How many runs were looked up at each read of answers."""
    made: list[int] = []
    said = Store.answers

    def counted(self: Store, run_ids: Any) -> Any:
        made.append(len(run_ids))
        return said(self, run_ids)

    monkeypatch.setattr(Store, "answers", counted)
    return made


async def test_a_poll_reads_answers_only_if_there_are_new_ones(journal, tmp_path, reads):
    """Whatever else is written to the file, by this process or by others."""
    other = SQLiteJournal(tmp_path / "journal.sqlite")
    names = [f"r{number:05}" for number in range(300)]
    for name in names:
        journal.create(run_of(name))
        journal.ask(name, "q", b'"?"')
    assert await journal.answers(names) == {name: {} for name in names}
    await taken(other, names[0])
    await durable(other.append(names[0], row(0)))
    await durable(journal.append(names[1], row(0), alone=True))
    await durable(other.create(run_of("abcdef")))
    for _ in range(10):
        assert await journal.answers(names) == {name: {} for name in names}
    assert reads == [300]
    await other.answer(names[7], "q", b"1")
    for _ in range(10):
        assert (await journal.answers(names))[names[7]] == {"q": b"1"}
    await journal.answer(names[8], "q", b"2")
    for _ in range(10):
        assert (await journal.answers(names))[names[8]] == {"q": b"2"}
    assert reads == [300] * 3
    assert await journal.answers([*names, "abcdef"]) == {**(await journal.answers(names)), "abcdef": {}}
    await other.aclose()
    await journal.aclose()


async def test_what_a_poll_returns_may_be_changed_by_who_got_it(journal):
    await durable(journal.create(run_of("abcdef", questions=b'{"q":"?"}')))
    for _ in range(2):
        found = await journal.answers(["abcdef"])
        assert found == {"abcdef": {}}
        found["abcdef"]["q"] = b"1"
        found["ghijkl"] = {}
    await journal.aclose()


async def test_a_poll_waits_its_turn_behind_what_was_written_before(journal):
    await durable(journal.create(run_of("abcdef", questions=b'{"q":"?"}')))
    assert await journal.answers(["abcdef"]) == {"abcdef": {}}
    given = asyncio.ensure_future(journal.answer("abcdef", "q", b"1"))
    await asyncio.sleep(0)
    assert await journal.answers(["abcdef"]) == {"abcdef": {"q": b"1"}}
    await given
    await journal.aclose()


async def test_more_runs_than_one_query_takes_are_listened_to(journal):
    names = [f"r{number:05}" for number in range(1201)]
    for name in names:
        journal.create(run_of(name, questions=b'{"q":"?"}', answers=b'{"q":%d}' % int(name[1:])))
    said = await journal.answers([*names, "\ud800"])
    assert said == {name: {"q": b"%d" % int(name[1:])} for name in names}
    await journal.aclose()


@pytest.mark.parametrize("form", [b"", b"{", b"no JSON", b'"\xff"'])
async def test_what_is_no_json_is_neither_asked_nor_answered(journal, form):
    await durable(journal.create(run_of("abcdef", questions=b'{"q":"?"}')))
    with pytest.raises(JournalError, match="what run 'abcdef' writes cannot be stored"):
        await journal.answer("abcdef", "q", form)
    assert (await journal.load("abcdef"))[0] == run_of("abcdef", questions=b'{"q":"?"}')
    await durable(journal.append("abcdef", row(0)))  # who answered badly has lost nobody's run
    with pytest.raises(JournalError, match="what run 'abcdef' writes cannot be stored"):
        await durable(journal.ask("abcdef", "p", form))
    with pytest.raises(JournalError, match="what run 'ghijkl' writes cannot be stored"):
        await durable(journal.create(run_of("ghijkl", answers=form)))
    assert await journal.find("ghijkl") is None
    await journal.aclose()


async def test_a_thousand_runs_are_parked_and_claimed_in_few_commits(journal, monkeypatch):
    commits: list[int] = []
    write = Store.write
    monkeypatch.setattr(Store, "write", lambda self, items: (commits.append(len(items)), write(self, items)))
    runs = [run_of(f"r{number:05}") for number in range(1000)]
    for run in runs:
        journal.create(run)
    await asyncio.gather(*(journal.park(run._replace(state="waiting", rows=0, owner=b""), ["q"]) for run in runs))
    await asyncio.gather(*(journal.claim(run.run_id, 1, OWNER) for run in runs))
    assert sum(commits) == 3000
    assert len(commits) <= 4
    await journal.aclose()


async def test_who_claims_may_write_before_it_loads(journal, tmp_path):
    """Its rows are chained to those that are there."""
    other = SQLiteJournal(tmp_path / "journal.sqlite")
    await durable(other.create(run_of("abcdef")))
    for seq in range(3):
        await durable(other.append("abcdef", row(seq)))
    await journal.claim("abcdef", 1, OWNER)
    await durable(journal.append("abcdef", row(3)))
    await durable(journal.update(run_of("abcdef", state="finished", rows=0, owner=b"")))
    rows = [row(seq) for seq in range(4)]
    run = run_of("abcdef", state="finished", rows=4, owner=b"", epoch=2, seal=chain(rows))
    assert await other.load("abcdef") == (run, rows)
    await other.aclose()
    await journal.aclose()


async def test_an_owner_may_claim_its_own_run_again(journal):
    await durable(journal.create(run_of("abcdef")))
    await journal.claim("abcdef", 1, OTHER)
    await durable(journal.append("abcdef", row(0), alone=True))
    assert await journal.load("abcdef") == (run_of("abcdef", epoch=2, owner=OTHER), [row(0)])
    await journal.aclose()


async def test_a_question_that_was_asked_by_one_owner_is_kept_by_the_next(journal, tmp_path):
    other = SQLiteJournal(tmp_path / "journal.sqlite")
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.ask("abcdef", "q", b'"?"'))
    await taken(other, "abcdef", OTHER)
    await durable(other.ask("abcdef", "p", b'"!"'))
    await durable(other.update(run_of("abcdef", owner=OTHER, updated=7)))
    expected = run_of("abcdef", owner=OTHER, updated=7, epoch=2, questions=b'{"p":"!","q":"?"}')
    assert await journal.load("abcdef") == (expected, [])
    await other.aclose()
    await journal.aclose()


WORK = """
import asyncio, sys
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, durable, row, run_of

def say(*words):
    print(*words, flush=True)

async def life(journal, name):
    await durable(journal.create(run_of(name)))
    say(name, "created")
    for epoch in range(1, 100):
        await durable(journal.ask(name, f"q{epoch}", b'"?"'))
        say(name, "asked")
        await durable(journal.append(name, row(epoch - 1), alone=epoch % 2 == 0))
        if epoch % 2:
            assert await journal.park(run_of(name, state="waiting", rows=0, owner=b""), [f"q{epoch}"]) == {}
            say(name, "parked")
        assert await journal.answer(name, f"q{epoch}", b"%d" % epoch) is not None
        say(name, "answered")
        await journal.claim(name, epoch, OWNER)
        say(name, "claimed")
        await durable(journal.update(run_of(name)))

async def main():
    journal = SQLiteJournal(sys.argv[1])
    await asyncio.gather(*(life(journal, f"run{n:03}") for n in range(int(sys.argv[2]))))

asyncio.run(main())
"""


def stands(run: StoredRun, rows: int) -> None:
    """Check that a run is as some moment of its life left it."""
    turns = run.questions.count(b"?")
    assert run.questions == b"{%s}" % b",".join(sorted(b'"q%d":"?"' % n for n in range(1, turns + 1)))
    said = run.answers.count(b":")
    assert said in (turns, turns - 1) if turns else said == 0
    assert run.answers == b"{%s}" % b",".join(sorted(b'"q%d":%d' % (n, n) for n in range(1, said + 1)))
    assert rows in (turns, turns - 1) if turns else rows == 0
    assert run.epoch - 1 in (said, said - 1) if said else run.epoch == 1
    if run.owner == b"":
        assert (run.state, run.rows) == ("waiting", rows)
        assert rows % 2 == 1
    else:
        assert run.owner == OWNER


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("after", [1, 5, 7, 60])
@pytest.mark.parametrize("count", [1, 10])
async def test_a_killed_process_leaves_every_run_as_one_of_its_steps_left_it(tmp_path, count, after):
    path = tmp_path / "journal.sqlite"
    with python(WORK, path, count) as child:
        told = [child.stdout.readline() for _ in range(after)]
        child.kill()
        told += child.stdout.read().splitlines(keepends=True)
    steps: dict[str, list[str]] = {}
    for line in told:
        if line.endswith("\n"):
            name, step = line.split()
            steps.setdefault(name, []).append(step)
    assert steps
    journal = SQLiteJournal(path)
    for name, done in steps.items():
        run, rows = await journal.load(name)
        stands(run, len(rows))
        assert rows == [row(seq) for seq in range(len(rows))]
        # What it was told to be durable is there; the next step may be.
        for step, found in (
            ("asked", run.questions.count(b"?")),
            ("answered", run.answers.count(b":")),
            ("claimed", run.epoch - 1),
        ):
            assert found - done.count(step) in (0, 1)
        if done[-1] == "parked":
            assert (run.state, run.owner) in (("waiting", b""), ("waiting", OWNER))
        if run.answers.count(b":") < run.questions.count(b"?"):
            last = f"q{run.questions.count(b'?')}"
            assert await journal.answer(name, last, b"1") is not None
        await taken(journal, name, OTHER)
        await durable(journal.append(name, row(len(rows))))
        with pytest.raises(OwnedElsewhere):
            await journal.claim(name, run.epoch, OWNER)
    assert (await journal.check()).damage == ()
    await journal.aclose()
