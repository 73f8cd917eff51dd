"""Whatever is done in whatever order: reopened, the journal holds what a dict would, and refuses what it must."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stratagem.core import MemoryJournal, Row, StoredRun, Usage
from stratagem.core._canonical import decoded, encoded
from stratagem.errors import OwnedElsewhere, UsageError
from stratagem.journals._payload import storable, text_of
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OTHER, OWNER, chain

NAMES = ("aaaaaa", "bbbbbb", "cccccc")
BIG = 2**63 - 1

texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(["", "f/map[1]", "\ud800", "\x00"])
payloads = (
    st.binary(max_size=40)
    | st.integers(0, 5000).map(lambda size: b"x" * size)
    | st.binary(min_size=1020, max_size=1030)
)
whole = st.integers(-BIG, BIG)
counts = st.integers(0, 10**9)
usages = st.none() | st.builds(
    Usage, counts, counts, counts, counts, counts, counts, counts,
    st.none() | st.floats(0, 1e6), st.floats(0, 1e6), st.booleans(),
)  # fmt: skip
kinds = st.sampled_from(["model", "tool", "memory", "wait", "decision", "order", "reset", "intent"])
bodies = st.tuples(
    kinds, texts, st.binary(min_size=32, max_size=32), whole, whole, whole, whole, usages, payloads, payloads,
    st.booleans(), whole,
)  # fmt: skip
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
values = st.sampled_from([b"null", b"[1,2]", b'"\xc3\xa9"', b'"' + b"long " * 400 + b'"'])
objects = st.dictionaries(names, values.map(decoded), max_size=3).map(encoded)
records = st.builds(
    StoredRun,
    run_id=st.sampled_from(NAMES),
    state=st.sampled_from(["running", "waiting", "finished", "cancelled", "failed"]),
    created=st.integers(0, BIG),
    updated=st.integers(0, BIG),
    parent=texts,
    record=payloads,
    end=payloads,
    epoch=st.integers(1, 3),
    owner=st.sampled_from([OWNER, OTHER, b""]),
    questions=objects,
    answers=objects,
    seal=st.just(b""),
    rows=st.integers(-1, 3),
)
steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(NAMES), bodies, st.booleans(), st.booleans()),
    st.tuples(st.just("update"), records, st.booleans()),
    st.tuples(st.just("load"), st.sampled_from(NAMES)),
    st.tuples(st.just("ask"), st.sampled_from(NAMES), names, values),
    st.tuples(st.just("answer"), st.sampled_from(NAMES), names, values),
    st.tuples(st.just("park"), records, st.lists(names, max_size=3)),
    st.tuples(st.just("claim"), st.sampled_from(NAMES), st.integers(0, 2)),
    st.tuples(st.just("remove"), st.lists(st.sampled_from(NAMES), max_size=2)),
    st.tuples(st.just("reopen")),
)


class Model:
    """The journal and a journal in memory, side by side; the second is what a dict makes of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = SQLiteJournal(path)
        self.memory = MemoryJournal()
        self.ids: set[str] = set()

    async def append(self, name: str, body: tuple, alone: bool, waits: bool) -> None:
        await self.made(name)
        row = Row(len((await self.memory.load(name))[1]), *body)
        await self.same(lambda journal: journal.append(name, row, alone=alone), waits)

    async def update(self, run: StoredRun, waits: bool) -> None:
        if run.run_id in self.ids:
            await self.same(lambda journal: journal.update(run), waits)
        else:
            self.ids.add(run.run_id)
            run = run._replace(rows=-1)
            await self.same(lambda journal: journal.create(run), waits)

    async def ask(self, name: str, question: str, form: bytes) -> None:
        await self.made(name)
        await self.same(lambda journal: journal.ask(name, question, form))

    async def answer(self, name: str, question: str, value: bytes) -> None:
        await self.made(name)
        await self.same(lambda journal: journal.answer(name, question, value))
        await self.same(lambda journal: journal.answers(list(NAMES)))

    async def park(self, run: StoredRun, waiting: list[str]) -> None:
        await self.made(run.run_id)
        await self.same(lambda journal: journal.park(run, waiting))

    async def claim(self, name: str, behind: int) -> None:
        await self.made(name)
        epoch = (await self.memory.load(name))[0].epoch - behind
        await self.same(lambda journal: journal.claim(name, epoch, OWNER))

    async def remove(self, names: list[str]) -> None:
        await self.same(lambda journal: journal.remove(names))
        self.ids -= set(names)

    async def made(self, name: str) -> None:
        if name not in self.ids:
            await self.update(StoredRun(name), waits=False)

    async def load(self, name: str) -> None:
        await self.made(name)
        (run, rows), (expected, kept) = await self.journal.load(name), await self.memory.load(name)
        stopped = expected.rows >= 0 and expected.seal == b"" and expected.rows > 0
        assert run == expected._replace(seal=chain(kept[: expected.rows]) if stopped else b"")
        assert rows == kept

    async def same(self, call: Any, waits: bool = True) -> None:
        """Make the same call to both; either both refuse it, or both return the same."""
        ends: list[Any] = []
        for journal in (self.memory, self.journal):
            try:
                waiting = call(journal)
                ends.append(await waiting if waiting is not None and (waits or journal is self.memory) else None)
            except (OwnedElsewhere, UsageError) as error:
                ends.append(type(error))
                waits = True  # what is queued is refused when it is waited for
        if waits and isinstance(ends[0], StoredRun):
            ends = [end._replace(seal=b"") for end in ends]
        assert ends[0] == ends[1]

    async def reopen(self) -> None:
        """All are let go: nobody drives them any more, in either journal."""
        await self.journal.aclose()
        self.journal = SQLiteJournal(self.path)
        self.memory._driven.clear()
        for name in self.ids:
            await self.load(name)
        listed = await self.journal.runs(limit=10)
        assert {run.run_id for run in listed} == self.ids
        assert [run.created for run in listed] == sorted((run.created for run in listed), reverse=True)
        condition = await self.journal.check()
        assert (condition.runs, condition.damage) == (len(self.ids), ())
        assert await self.journal.sweep() == condition.orphans
        assert (await self.journal.check())._replace(bytes=0) == condition._replace(
            bytes=0, orphans=0, blobs=condition.blobs - condition.orphans
        )


async def play(program: list[tuple], folder: str) -> None:
    model = Model(Path(folder) / "journal.sqlite")
    try:
        for step, *arguments in program:
            await getattr(model, step)(*arguments)
        await model.reopen()
    finally:
        await model.journal.aclose()


@settings(max_examples=50)
@given(st.lists(steps, max_size=25))
def test_any_interleaving_comes_back_as_it_went_in(program):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(program, folder))


@given(st.text(st.characters(codec=None)))
def test_any_text_is_stored_and_equal_texts_alike(text):
    assert text_of(storable(text)) == text
    assert isinstance(storable(text), str) == (text.encode("utf-8", "replace") == text.encode("utf-8", "surrogatepass"))
