"""What is attached to a question comes back from the journal: resumed, replayed, forked, moved to another one."""

from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Answer, Attachment, Content, Label, MemoryJournal, Run, Task, decoded, signature, strategy
from stratagem.errors import UsageError
from stratagem.session._export import exported, imported, parcels
from stratagem.session._forks import ancestry


async def found(journal: MemoryJournal, run_id: str) -> Any:
    """Return a run that is there."""
    return await journal.find(run_id)


@signature
def read(question: str, number: int) -> str:
    """Read it."""
    ...


class Outage(Exception):
    """Not ours."""


DOWN: list[int] = []
SEEN: list[tuple[bytes, ...]] = []
DATA = bytes(range(256)) * 5
LABEL = Label({"file:a.png"}, ())
QUESTION = Content("What is it?", (Attachment("a.png", "image/png", DATA, LABEL),), Label({"user"}))


def reading(question: str, number: int) -> str:
    if number in DOWN:
        raise Outage
    SEEN.append(tuple(one.data for one in question.attachments))  # type: ignore[attr-defined]
    return f"r{number}"


@strategy(calls="3")
async def looking(run: Run, task: Task) -> Answer:
    """Ask three times, twice at once."""

    async def one(run: Run, number: int) -> str:
        return await run.ask(read, question=task.question, number=number)

    both = await run.map(one, range(2))
    return task.answer(" ".join([*both, await run.ask(read, question=task.question, number=2)]))


LOOKING = f"{Path(__file__).resolve()}:looking"


@pytest.fixture(autouse=True)
def _all_is_well() -> None:
    DOWN.clear()
    SEEN.clear()


async def test_a_run_goes_on_with_what_was_attached(opened: Any) -> None:
    journal = MemoryJournal()
    async with opened({read: reading}, journal=journal) as s:
        DOWN.append(2)
        with pytest.raises(Outage):
            await s.run(LOOKING, Task(QUESTION), run_id="mine")
    DOWN.clear()
    SEEN.clear()
    async with opened({read: reading}, journal=journal) as s:
        answer = await s.resume("mine")
        assert (answer.text, set(SEEN)) == ("r0 r1 r2", {(DATA,)})
        assert answer.label.sources >= {"user", "file:a.png"}
        assert "unknown" not in answer.label.sources
        s._ended.clear()
        assert (await s.resume("mine")).text == "r0 r1 r2"
        assert (await s.replay("mine")).text == "r0 r1 r2"


async def test_forks_have_what_was_attached_whatever_they_perform_anew(opened: Any) -> None:
    journal = MemoryJournal()
    async with opened({read: reading}, journal=journal) as s:
        await s.run(LOOKING, Task(QUESTION), run_id="mine")
        SEEN.clear()
        one = await s.fork("mine", at=0)  # the row that has the bytes is not reused
        assert set(SEEN) == {(DATA,)}
        two = await s.fork(one.run_id, set={"prompt.test_attachments.read": "Read it well."})
        assert (two.text, two.label) == (one.text, one.label)
        assert (await s.replay(two.run_id)).text == "r0 r1 r2"
        s._ended.clear()
        assert (await s.resume(two.run_id)).text == "r0 r1 r2"


async def test_what_was_attached_is_moved_with_the_run(opened: Any) -> None:
    one, other = MemoryJournal(), MemoryJournal()
    async with opened({read: reading}, journal=one) as s:
        await s.run(LOOKING, Task(QUESTION), run_id="mine")
        fork = await s.fork("mine", at=0)
    lines = [line.encode() async for line in exported(one, [fork.run_id])]
    await imported(other, parcels(lines))
    SEEN.clear()
    async with opened({read: reading}, journal=other) as s:
        assert (await s.replay(fork.run_id)).text == fork.text
        assert (await s.fork(fork.run_id, at=3)).text == fork.text
        assert set(SEEN) == {(DATA,)}


async def test_what_no_call_has_sent_must_be_given_again(opened: Any) -> None:
    async with opened({read: reading}) as s:
        DOWN.extend((0, 1))
        with pytest.raises(Outage):
            await s.run(LOOKING, Task(QUESTION), run_id="mine")
        with pytest.raises(UsageError, match=r"cannot be stored \(question\)"):
            await s.resume("mine")
        DOWN.clear()
        assert (await s.resume("mine", task=Task(QUESTION))).text == "r0 r1 r2"


async def test_a_question_keeps_its_label_without_attachments(opened: Any) -> None:
    journal = MemoryJournal()
    async with opened({read: lambda question, number: "x"}, journal=journal) as s:
        first = await s.run(LOOKING, Task(Content("?", (), Label({"mail"}, ()))), run_id="mine")
        assert decoded((await found(journal, "mine")).record)["labelled"] == [[["mail"], []]]
        fork = await s.fork("mine", at=0)
        assert fork.label == first.label
        assert "mail" in fork.label.sources
        assert (await ancestry(journal, await s.show(fork.run_id))).runs[0].id == "mine"
