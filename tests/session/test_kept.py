"""What is kept of a run's end beside its answer: how many effects were reused, and the notes of its program."""

import base64
import json
from typing import Any

import pytest

from stratagem.core import Answer, Attachment, Content, EffectCounts, MemoryJournal, Run, Task, signature, strategy
from stratagem.errors import Unreachable
from stratagem.session._ends import NOTES, NOTES_BYTES


@signature
def see(picture: str) -> str:
    """Say what it is."""
    ...


@signature
def think(number: int) -> str:
    """Think."""
    ...


WORLD: dict[Any, Any] = {think: lambda number: f"t{number}"}


@strategy(calls="9")
async def thinking(run: Run, task: Task, *, numbers: tuple[int, ...] = (1, 2, 3)) -> Answer:
    """Think of some numbers, and note each."""
    for number in numbers:
        run.note("thought", about=number)
        await run.ask(think, number=number)
    return task.answer("the end")


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


# Counts


async def test_a_program_that_changed_says_what_it_reused_performed_and_left_unused(
    opened: Any, journal: MemoryJournal, crash: Any
) -> None:
    events: list[Any] = []
    async with opened(WORLD, journal=journal) as s:
        first = await s.run(thinking, "?")
        assert first.counts == EffectCounts(reused=0, performed=3, unused=0)
        crash(journal, first.run_id, 3)
        again = await s.resume(first.run_id, strategy=thinking.using(numbers=(1, 3, 4, 5)), on_event=events.append)
        assert again.counts == EffectCounts(reused=2, performed=2, unused=1)
        assert (await s.show(first.run_id)).counts == again.counts
        assert (await s.resume(first.run_id)).counts == again.counts
    async with opened(WORLD, journal=journal) as s:
        assert (await s.resume(first.run_id, strategy=thinking)).counts == again.counts
    told = events[-1].data
    assert events[-1].type == "run.finished"
    assert (told["reused"], told["performed"], told["unused"]) == (2, 2, 1)


async def test_a_fork_counts_what_it_has_of_its_parent(opened: Any) -> None:
    async with opened(WORLD) as s:
        first = await s.run(thinking, "?")
        fork = await s.fork(first.run_id, set={"param.numbers": (3, 4)})
        assert fork.counts == EffectCounts(1, 1, 2)
        assert (await s.replay(first.run_id)).counts == EffectCounts(3, 0, 0)
        assert (await s.show(first.run_id)).counts == first.counts == EffectCounts(0, 3, 0)


async def test_equal_answers_are_equal_however_they_were_come_by(opened: Any) -> None:
    async with opened(WORLD) as s:
        first = await s.run(thinking, "?")
        assert (await s.replay(first.run_id)).text == first.text
    assert Answer("a", counts=EffectCounts(1, 0, 0)) == Answer("a")


async def test_a_run_that_has_not_ended_has_no_counts(opened: Any, journal: MemoryJournal, crash: Any) -> None:
    async with opened(WORLD, journal=journal) as s:
        first = await s.run(thinking, "?")
        crash(journal, first.run_id, 2)
        record = await s.show(first.run_id)
        assert (record.counts, record.notes()) == (None, [])


# What is attached


async def test_what_was_attached_to_a_request_is_in_the_record(opened: Any, tmp_path: Any) -> None:
    @strategy(calls="2")
    async def looking(run: Run, task: Task) -> Answer:
        for _ in range(2):
            await run.ask(see, picture=task.question)
        return task.answer("seen")

    image = Attachment("a.png", "image/png", bytes(range(256)) * 20)
    journal = f"sqlite:{tmp_path / 'journal.sqlite'}"
    async with opened({see: lambda picture: "a cat"}, journal=journal) as s:
        first = await s.run(looking, Task(Content("What is it?", (image,))))
    async with opened({}, journal=journal) as s:
        record = await s.show(first.run_id)
        for row in record.rows:
            (shown,) = record.request(row)["attached"]
            assert base64.b64decode(shown.pop("base64")) == image.data
            assert shown == {"name": "a.png", "type": "image/png", "bytes": 5120}
        assert len(record.rows[0].request) > 4 * 5120 / 3 > len(record.rows[1].request)


# Notes


async def test_the_notes_of_a_run_are_kept_at_its_end(opened: Any) -> None:
    async with opened(WORLD) as s:
        first = await s.run(thinking, "?")
        record = await s.show(first.run_id)
        kept = [{"kind": "thought", "scope": "thinking", "data": {"about": number}} for number in (1, 2, 3)]
        assert record.notes() == kept
        assert len(record.rows) == 3  # a note is no effect
        await s.fork(first.run_id, set={"param.numbers": (7,)})
        assert (await s.show(first.run_id)).notes() == kept


async def test_a_run_that_was_resumed_has_each_note_once(opened: Any, journal: MemoryJournal, crash: Any) -> None:
    async with opened(WORLD, journal=journal) as s:
        first = await s.run(thinking, "?")
        whole = (await s.show(first.run_id)).notes()
        for done in range(4):
            crash(journal, first.run_id, done)
            assert (await s.resume(first.run_id)).counts == EffectCounts(done, 3 - done, 0)
            assert (await s.show(first.run_id)).notes() == whole


async def test_a_run_that_failed_or_was_stopped_has_the_notes_it_made(opened: Any) -> None:
    world: dict[Any, Any] = {think: lambda number: Unreachable("gone") if number == 2 else "t"}
    async with opened(world) as s:
        with pytest.raises(Unreachable):
            await s.run(thinking, "?", run_id="fails")
        record = await s.show("fails")
        assert (record.state, record.stop, len(record.notes())) == ("failed", None, 2)
        assert record.counts == EffectCounts(0, 2, 0)
        short = await s.run(thinking, "?", budget="calls=1")
        assert (short.stop, len((await s.show(short.run_id)).notes())) == ("budget", 2)


@pytest.mark.parametrize(("data", "most"), [("x", NOTES), ("x" * (NOTES_BYTES // 10), 9)])
async def test_what_is_kept_of_very_many_notes_is_bounded_and_says_so(opened: Any, data: str, most: int) -> None:
    @strategy(calls="0")
    async def chatty(run: Run, task: Task) -> Answer:
        for _ in range(NOTES + 7):
            run.note("said", text=data)
        return task.answer("the end")

    async with opened(WORLD) as s:
        notes = (await s.show((await s.run(chatty, "?")).run_id)).notes()
    assert len(notes) == most + 1
    assert notes[-1] == {"kind": "notes.dropped", "scope": "", "data": {"count": NOTES + 7 - most}}
    assert len(json.dumps(notes)) < NOTES_BYTES + 100 * most
