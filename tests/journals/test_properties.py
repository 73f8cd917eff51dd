"""Whatever is done in whatever order: reopened, the journal holds what a dict would."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from stratagem.core import Row, StoredRun, Usage
from stratagem.journals._payload import storable, text_of
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import chain, durable

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
records = st.builds(
    StoredRun,
    run_id=st.sampled_from(NAMES),
    state=st.sampled_from(["running", "waiting", "finished", "cancelled", "failed"]),
    created=st.integers(0, BIG),
    updated=st.integers(0, BIG),
    parent=texts,
    record=payloads,
    answers=payloads,
    end=payloads,
    epoch=st.just(1),
    seal=st.just(b""),
    rows=st.integers(-1, 3),
)
steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(NAMES), bodies, st.booleans(), st.booleans()),
    st.tuples(st.just("update"), records, st.booleans()),
    st.tuples(st.just("load"), st.sampled_from(NAMES)),
    st.tuples(st.just("reopen")),
)


class Model:
    """The journal and a dict, side by side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = SQLiteJournal(path)
        self.runs: dict[str, StoredRun] = {}
        self.rows: dict[str, list[Row]] = {}

    async def append(self, name: str, body: tuple, alone: bool, waits: bool) -> None:
        await self.made(name)
        row = Row(len(self.rows[name]), *body)
        self.rows[name].append(row)
        waiting = self.journal.append(name, row, alone=alone)
        if waits:
            await durable(waiting)

    async def update(self, run: StoredRun, waits: bool) -> None:
        if run.run_id not in self.runs:
            run = run._replace(rows=-1)
            waiting = self.journal.create(run)
        else:
            waiting = self.journal.update(run)
        rows = self.rows.setdefault(run.run_id, [])
        ended = run.rows >= 0
        self.runs[run.run_id] = run._replace(
            rows=len(rows) if ended else -1, seal=chain(rows) if ended and rows else b""
        )
        if waits:
            await durable(waiting)

    async def made(self, name: str) -> None:
        if name not in self.runs:
            await self.update(StoredRun(name), waits=False)

    async def load(self, name: str) -> None:
        await self.made(name)
        assert await self.journal.load(name) == (self.runs[name], self.rows[name])

    async def reopen(self) -> None:
        await self.journal.aclose()
        self.journal = SQLiteJournal(self.path)
        for name in self.runs:
            await self.load(name)
        listed = await self.journal.runs(limit=10)
        assert sorted(listed) == sorted(self.runs.values())
        assert [run.created for run in listed] == sorted((run.created for run in listed), reverse=True)


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
