"""Runs move from any journal to any other as lines of JSON, and nothing that was changed on the way is taken."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratagem.core import (
    Answer,
    Journal,
    MemoryJournal,
    Row,
    Run,
    StoredRun,
    Task,
    Usage,
    encoded,
    signature,
    strategy,
)
from stratagem.errors import JournalCorrupt, JournalError, UsageError
from stratagem.session._export import SHORT, exported, imported, parcels
from stratagem.session._journals import journal_of
from tests.journals._postgres import _dropped, _stopped, database

__all__ = ["_dropped", "_stopped", "database"]


@signature
def think(question: str, number: int) -> str:
    """Think."""
    ...


@strategy(calls="most", lower="1")
async def chain(run: Run, task: Task, *, most: int = 4) -> Answer:
    """Think on."""
    thought = str(task.question)
    for number in range(most):
        thought = await run.ask(think, question=thought, number=number)
    return task.answer(thought)


@strategy(calls="0", lower="0")
async def asking(run: Run, task: Task) -> Answer:
    """Ask a person."""
    return task.answer(f"went on: {await run.wait('Go on?')}")


WORLD: dict[Any, Any] = {think: lambda question, number: f"[{question}.{number}]"}
LONG = "a long question " * 20


def last_of(lines: list[Any]) -> Any:
    return [line for line in lines if "row" in line][-1]


async def lines_of(journal: Any, *run_ids: str) -> list[bytes]:
    return [line.encode() async for line in exported(journal, run_ids)]


async def moved(lines: list[bytes], journal: MemoryJournal | None = None) -> MemoryJournal:
    journal = journal or MemoryJournal()
    await imported(journal, parcels(lines))
    return journal


@pytest.fixture
async def journal(opened: Any) -> MemoryJournal:
    """A journal with a run, a fork of it, and a fork of that."""
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain, LONG, run_id="first")
        second = await s.fork("first", at=2)
        third = await s.fork(second.run_id, at=1)
    for name, run_id in (("second", second.run_id), ("third", third.run_id)):
        stored, rows = await journal.load(run_id)
        journal._runs[name] = stored._replace(run_id=name, parent="second" if name == "third" else "first")
        journal._rows[name] = rows
        del journal._runs[run_id], journal._rows[run_id]
    return journal


async def test_a_fork_takes_its_ancestors_along_each_before_its_children(journal: MemoryJournal) -> None:
    lines = await lines_of(journal, "third")
    assert json.loads(lines[0])["runs"] == ["first", "second", "third"]
    assert [json.loads(line)["run"] for line in lines if b'"run":' in line] == ["first", "second", "third"]
    assert json.loads((await lines_of(journal, "second", "first"))[0])["runs"] == ["first", "second"]


async def test_what_was_moved_is_what_was_written(journal: MemoryJournal) -> None:
    other = await moved(await lines_of(journal, "third"))
    for run_id in ("first", "second", "third"):
        (one, rows), (same, moved_rows) = await journal.load(run_id), await other.load(run_id)
        assert rows == moved_rows
        assert one._replace(owner=b"", epoch=1, seal=b"") == same._replace(owner=b"", epoch=1, seal=b"")
    assert await lines_of(other, "third") == await lines_of(journal, "third")


async def test_a_moved_run_goes_on_where_it_stood(opened: Any, journal: MemoryJournal) -> None:
    other = await moved(await lines_of(journal, "third"))
    async with opened(WORLD, journal=other) as s:
        answer = await s.replay("third")
        assert answer.text == (await s.resume("first")).text
        assert s._services.model.requests == []


async def test_each_long_payload_stands_once(journal: MemoryJournal) -> None:
    lines = [json.loads(line) for line in await lines_of(journal, "third")]
    payloads = [line["payload"] for line in lines if "payload" in line]
    assert len(payloads) == len(set(payloads))
    assert all(len(line["text"]) > SHORT for line in lines if "payload" in line)
    results = [line["result"] for line in lines if "row" in line and line["digest"] == last_of(lines)["digest"]]
    assert len(results) == 3  # each of the three performed its end
    assert results[0] == results[1] == results[2] == {"payload": results[0]["payload"]}


async def test_what_is_there_already_is_left_as_it_is(journal: MemoryJournal) -> None:
    found = parcels(await lines_of(journal, "third"))
    other = MemoryJournal()
    assert await imported(other, found[:2]) == (("first", "second"), (), len(found[0].rows) + len(found[1].rows))
    assert await imported(other, found) == (("third",), ("first", "second"), len(found[2].rows))
    assert await imported(other, found) == ((), ("first", "second", "third"), 0)


async def test_other_content_of_that_id_is_refused_before_anything_is_written(
    opened: Any, journal: MemoryJournal
) -> None:
    other = MemoryJournal()
    async with opened(WORLD, journal=other) as s:
        await s.run(chain, "another", run_id="third")
    before = await other.load("third")
    with pytest.raises(UsageError, match="run 'third' is in the journal with other content; nothing was imported") as e:
        await moved(await lines_of(journal, "third"), other)
    assert "stratagem runs rm third" in e.value.remedy
    assert await other.ids("") == ["third"]
    assert await other.load("third") == before


class Full(MemoryJournal):
    """Has room for so many rows."""

    room = 5

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        self.room -= 1
        if self.room < 0:
            raise JournalError("the disk is full")
        super().append(run_id, row)


async def test_what_cannot_be_written_to_its_end_is_taken_back(journal: MemoryJournal) -> None:
    full = Full()
    with pytest.raises(JournalError, match="the disk is full"):
        await moved(await lines_of(journal, "third"), full)
    assert await full.ids("") == []


async def test_a_parent_that_is_gone_is_named(journal: MemoryJournal) -> None:
    await journal.remove(["first"])
    with pytest.raises(UsageError, match="run 'second' is a fork, and its parent 'first' is gone"):
        await lines_of(journal, "third")


async def test_an_unknown_run_is_named_with_the_nearest(journal: MemoryJournal) -> None:
    with pytest.raises(UsageError, match="there is no run 'thirt'; did you mean 'third'"):
        await lines_of(journal, "thirt")


QUESTION = encoded({"asked": 5, "id": "q1", "question": "Go on?", "schema": {"type": "boolean"}, "scope": ""})


async def waiting(answered: bool) -> MemoryJournal:
    journal = MemoryJournal()
    record = encoded({"strategy": "x", "model": "offline", "task": {"question": "?"}})
    journal.create(StoredRun("waits", "running", 1, 2, record=record))
    journal.ask("waits", "q1", QUESTION)
    if answered:
        await journal.answer("waits", "q1", b"true")
    run = await journal.find("waits")
    assert run is not None
    journal.update(run._replace(state="waiting", updated=9, rows=0, end=encoded({"waiting": []})))
    return journal


@pytest.mark.parametrize("answered", [True, False])
async def test_questions_and_answers_are_moved(answered: bool) -> None:
    other = await moved(await lines_of(await waiting(answered), "waits"))
    run = await other.find("waits")
    assert run is not None
    assert (run.questions, run.answers) == (b'{"q1":' + QUESTION + b"}", b'{"q1":true}' if answered else b"{}")
    assert (run.state, run.updated, run.rows) == ("waiting", 9, 0)


async def test_a_run_that_goes_on_is_moved_as_it_stands() -> None:
    journal = await waiting(answered=True)
    await journal.claim("waits", 1, b'{"id":"x"}')
    run = await journal.find("waits")
    assert run is not None
    journal.update(run._replace(state="running", rows=-1, end=b""))
    found = parcels(await lines_of(journal, "waits"))
    assert (found[0].run.state, found[0].run.rows, found[0].run.owner) == ("running", -1, b"")


# What was changed, cut or made up

Change = Callable[[list[bytes]], list[bytes]]


def replaced(number: int, old: bytes, new: bytes) -> Change:
    def change(lines: list[bytes]) -> list[bytes]:
        assert old in lines[number], lines[number]
        return [*lines[:number], lines[number].replace(old, new), *lines[number + 1 :]]

    return change


@pytest.fixture
async def short(opened: Any) -> list[bytes]:
    """The lines of a run of two effects: head, payload (record), payload (end), run, rows with payloads, end."""
    journal = MemoryJournal()
    async with opened(WORLD, journal=journal) as s:
        await s.run(chain.using(most=2), "?", run_id="first")
    return await lines_of(journal, "first")


def number_of(lines: list[bytes], begin: bytes, nth: int = 0) -> int:
    return [number for number, line in enumerate(lines) if line.startswith(begin)][nth]


async def test_the_file_is_as_the_module_says(short: list[bytes]) -> None:
    kinds = [next(iter(json.loads(line))) for line in short]
    assert kinds == ["format", "payload", "payload", "run", "payload", "row", "row", "end"]
    assert sha256(b"".join(short[:-1])).hexdigest() == json.loads(short[-1])["end"]["sha256"]


async def test_whatever_line_is_left_out_is_missed(short: list[bytes]) -> None:
    for number in range(1, len(short)):
        with pytest.raises(JournalCorrupt, match=r"the file, line \d+: "):
            parcels([*short[:number], *short[number + 1 :]])


async def test_wherever_the_file_is_cut_its_last_line_is_named(short: list[bytes]) -> None:
    for number in range(1, len(short)):
        with pytest.raises(JournalCorrupt, match=f"the file, line {number + 1}: the file ends here: it is cut"):
            parcels(short[:number])
        with pytest.raises(JournalCorrupt, match=f"the file, line {number + 1}: the line is cut"):
            parcels([*short[:number], short[number][:-1]])


@pytest.mark.parametrize(
    ("begin", "old", "new", "why"),
    [
        (b'{"payload"', b"budget", b"budged", "the text is not the one of its digest"),
        (b'{"row"', b'"row":0', b'"row":1', "is not what was written"),
        (b'{"row"', b'"took":', b'"took":1', "row 0 of run 'first' is not what was written"),
        (b'{"row"', b'"failed":false', b'"failed":true', "row 0 of run 'first' is not what was written"),
        (b'{"row"', b'"kind":"model"', b'"kind":"magic"', "kind, path or state of a row is none"),
        (b'{"row"', b'"occurrence":0', b'"occurrence":9223372036854775808', "no whole number that can be stored"),
        (b'{"row"', b'"seal":', b'"sael":', "a field is missing or wrong"),
        (b'{"row"', b'"digest":"', b'"digest":"zz', "a field is missing or wrong"),
        (b'{"run"', b'"state":"finished"', b'"state":"won"', "a run cannot be 'won'"),
        (b'{"run"', b'"rows":2', b'"rows":3', "run 'first' had 3 rows, and 2 stand above"),
        (b'{"run"', b'"run":"first"', b'"run":"other"', "run 'other' does not stand here"),
        (b'{"run"', b'"parent":""', b'"parent":"none"', "its parent 'none' does not stand above"),
        (b'{"run"', b'"answers":"{}"', b'"answers":"{\\"q\\":1}"', "it answers what was not asked: q"),
        (b'{"run"', b'"created":', b'"created":9', "the lines above are not those that were written"),
        (b'{"end"', b'"lines":', b'"lines":1', "the lines above are not those that were written"),
        (b'{"format"', b'"runs":["first"]', b'"runs":["first","more"]', "2 runs were written, and 1 stand above"),
        (b'{"format"', b'"runs":["first"]', b'"runs":"first"', "the list of runs is none"),
    ],
)
async def test_what_was_edited_is_refused_by_its_line(
    short: list[bytes], begin: bytes, old: bytes, new: bytes, why: str
) -> None:
    lines = replaced(number_of(short, begin), old, new)(short)
    with pytest.raises(JournalCorrupt, match=r"^the file, line \d+: .*" + re.escape(why)) as e:
        parcels(lines)
    assert e.value.remedy == "Export it again: a file that was changed or cut is not taken."


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"what\n", "line 3: this is not JSON"),
        (b"[" * 100_000 + b"\n", "line 3: this is not JSON"),
        (b"[]\n", "line 3: this is no object"),
        (b"{}\n", "line 3: this is neither a payload, a run, a row nor the end"),
        (b'{"row":0}\n', "line 3: this row belongs to no run"),
        (b"\xff\n", "line 3: this is not JSON"),
    ],
)
async def test_what_is_no_line_of_ours_is_refused(short: list[bytes], line: bytes, why: str) -> None:
    with pytest.raises(JournalCorrupt, match=re.escape(why)):
        parcels([*short[:2], line, *short[3:]])


async def test_nothing_may_follow_the_end(short: list[bytes]) -> None:
    with pytest.raises(JournalCorrupt, match=f"line {len(short) + 1}: something follows the end"):
        parcels([*short, b"{}\n"])


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "empty"),
        ([b"{}\n"], "is no file of runs"),
        ([b'{"format":"stratagem runs","version":2,"rows":1,"runs":[]}\n'], "its version is 2, this one reads 1"),
        ([b'{"format":"stratagem runs","version":1,"rows":9,"runs":[]}\n'], "its rows is 9, this one reads 1"),
    ],
)
async def test_what_is_something_else_or_newer_is_a_mistake_of_the_caller(lines: list[bytes], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        parcels(lines, "x.jsonl")


async def test_a_record_that_nothing_could_show_is_refused(short: list[bytes]) -> None:
    """Someone who knows the format can make every digest fit; what they make must still be a run."""
    text = encoded({"strategy": 3, "model": "m", "task": {"question": "?"}}).decode()
    at = number_of(short, b'{"run"')
    form = json.loads(short[at])
    body = [short[0], *short[1:at], json.dumps({**form, "record": text}).encode() + b"\n", *short[at + 1 : -1]]
    end = {"end": {"lines": len(body), "sha256": sha256(b"".join(body)).hexdigest()}}
    with pytest.raises(JournalCorrupt, match="the record of run 'first' is none"):
        parcels([*body, json.dumps(end).encode() + b"\n"])


texts = st.text(st.characters(exclude_categories=()), max_size=200)  # lone surrogates too
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=150), st.lists, max_leaves=5)


@st.composite
def rows(draw: Any) -> list[Row]:
    made: list[Row] = []
    for seq in range(draw(st.integers(0, 4))):
        money = {name: st.floats(0, 9) for name in ("seconds", "known_usd")}
        usage = draw(st.none() | st.builds(Usage, st.integers(0, 5), usd=st.none() | st.floats(0, 9), **money))
        wait = {"wait": draw(st.text(max_size=150)), "schema": {}}
        whole = [draw(st.integers(0, 2**53)), *(draw(st.integers(0, 2**45)) for _ in range(3))]
        result = encoded(draw(json_values))
        digest = draw(st.binary(min_size=32, max_size=32))
        place, sample = draw(texts), draw(st.sampled_from([-1, 3]))
        made.append(Row(seq, "wait", place, digest, *whole, usage, encoded(wait), result, sample=sample))  # pyright: ignore[reportCallIssue]
    return made


@settings(max_examples=30, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=3), st.booleans())
async def test_every_row_survives_the_way(every: list[list[Row]], ended: bool) -> None:
    journal = MemoryJournal()
    record = encoded({"strategy": "x", "model": "offline", "task": {"question": "né"}})
    for number, one in enumerate(every):
        journal.create(StoredRun(f"run{number}", "finished" if ended else "running", 1, 2, record=record))
        for row in one:
            journal.append(f"run{number}", row)
        run = await journal.find(f"run{number}")
        assert run is not None
        journal.update(run._replace(rows=0 if ended else -1))
    ids = [f"run{number}" for number in range(len(every))]
    other = await moved(await lines_of(journal, *ids))
    for run_id, one in zip(ids, every, strict=True):
        assert (await other.load(run_id))[1] == one


# From any journal to any other


@pytest.fixture
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Journal]:
    """Return what opens an empty journal of a kind; a server that is not there skips the test."""

    names = iter("ab")

    def opened(kind: str) -> Journal:
        if kind == "memory":
            return MemoryJournal()
        if kind == "sqlite":
            return journal_of(f"sqlite:{tmp_path / next(names)}.sqlite", tmp_path)
        return journal_of(request.getfixturevalue("database"), tmp_path)

    return opened


PAIRS = [
    ("memory", "sqlite"),
    ("sqlite", "memory"),
    ("sqlite", "sqlite"),
    ("sqlite", "postgres"),
    ("postgres", "sqlite"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_from_any_journal_to_any_other(
    opened: Any, shelf: Callable[[str], Journal], source: str, target: str
) -> None:
    one, other = shelf(source), shelf(target)
    async with opened(WORLD, journal=one) as s:
        await s.run(chain, LONG, run_id="first")
        await s.run(asking, "né \ud800?", run_id="waits")
        fork = (await s.fork("first", at=1)).run_id
        lines = await lines_of(one, fork, "waits")
        records = [(await one.load(run_id)) for run_id in ("first", fork, "waits")]
    async with opened(WORLD, journal=other) as s:
        done = await imported(other, parcels(lines))
        assert (done.new, done.known) == (("first", fork, "waits"), ())
        assert await lines_of(other, fork, "waits") == lines
        for stored, rows in records:
            same, moved_rows = await other.load(stored.run_id)
            assert moved_rows == rows
            assert (same.state, same.created, same.updated, same.parent) == (
                stored.state, stored.created, stored.updated, stored.parent,
            )  # fmt: skip
        assert (await imported(other, parcels(lines))).known == ("first", fork, "waits")
        assert (await other.check()).damage == ()
        await s.answer("waits", True)
        assert (await s.resume("waits")).text == "went on: True"
        assert s._services.model.requests == []
        assert (await s.replay(fork)).ok


async def test_a_run_of_which_a_killed_import_left_a_part_is_imported_anew_and_resumed_by_nobody(
    opened: Any, short: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = MemoryJournal()
    found = parcels(short)
    run_id = found[0].run.run_id

    class Killed(BaseException):
        """What ends a process."""

    async def nothing(*_: object) -> None:
        """A process that is gone takes nothing back."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("stratagem.session._export._taken_back", nothing)
        patched.setattr(journal, "update", killed)
        with pytest.raises(Killed):
            await imported(journal, found)
    assert await journal.find(run_id) is not None
    async with opened(WORLD, journal=journal) as one:
        for verb in (one.resume, one.replay, one.fork):
            with pytest.raises(UsageError, match="was imported in part only"):
                await verb(run_id)
    done = await imported(journal, found)
    assert run_id in done.new
    assert (await journal.load(run_id))[1] == found[0].rows
