"""Time travel in a nested program, by count: 20 branches of 5 calls, the third followed by a map of 3 x 2."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, MemoryJournal, Row, Run, StoredRun, Task, signature, strategy
from stratagem.testing import ScriptedModel

BRANCHES, WIDTH = 20, 3
INSIDE = WIDTH * 2
WHOLE = BRANCHES * (5 + INSIDE) + 1


@signature
def first(number: int, attempt: str) -> str:
    """Begin."""
    ...


@signature
def second(number: int, attempt: str) -> str:
    """Go on."""
    ...


@signature
def third(number: int, attempt: str) -> str:
    """Go further."""
    ...


@signature
def inner(number: int, attempt: str) -> str:
    """Look closer."""
    ...


@signature
def fourth(number: int, attempt: str) -> str:
    """Come back."""
    ...


@signature
def fifth(number: int, attempt: str) -> str:
    """Finish."""
    ...


@signature
def whole(attempt: str) -> str:
    """Join."""
    ...


def chained(number: int, attempt: str) -> str:
    return f"<{number}{hash_of(attempt)}>"


def hash_of(text: str) -> str:
    return format(sum(ord(letter) * (place + 1) for place, letter in enumerate(text)) % 9973, "04")


STEPS = (first, second, third, inner, fourth, fifth)
WORLD: dict[Any, Any] = {**dict.fromkeys(STEPS, chained), whole: lambda attempt: f"all {hash_of(attempt)}"}


@strategy(calls="221", lower="221")
async def nested(run: Run, task: Task) -> Answer:
    async def closer(run: Run, item: tuple[int, str]) -> str:
        number, attempt = item
        return await run.ask(inner, number=number, attempt=await run.ask(inner, number=number, attempt=attempt))

    async def branch(run: Run, number: int) -> str:
        attempt = ""
        for step in (first, second, third):
            attempt = await run.ask(step, number=number, attempt=attempt)
        parts = await run.map(closer, [(number * 10 + part, attempt) for part in range(WIDTH)])
        attempt = await run.ask(fourth, number=number, attempt="".join(parts))
        return await run.ask(fifth, number=number, attempt=attempt)

    return task.answer(await run.ask(whole, attempt=" ".join(await run.map(branch, range(BRANCHES)))))


class Parent:
    """A finished run, and what a fork of it costs."""

    def __init__(self, one: Any, journal: MemoryJournal, model: ScriptedModel) -> None:
        self.one, self.journal, self.model = one, journal, model

    @property
    def rows(self) -> list[Row]:
        return self.journal.rows("parent")

    def at(self, path: str, place: int) -> int:
        """Return the number of an effect: of those of one strand the one at a place."""
        return [row.seq for row in self.rows if row.path == f"nested/{path}"][place]

    async def fork(self, **how: Any) -> tuple[Answer, list[Row]]:
        """Fork; return the answer and the rows of its own."""
        before = len(self.rows)
        answer = await self.one.fork("parent", **how)
        assert len(self.rows) == before
        return answer, self.journal.rows(answer.run_id)


@pytest.fixture
def parent() -> Callable[..., Any]:
    async def made(world: Any = None) -> AsyncIterator[Parent]:
        journal, model = MemoryJournal(), ScriptedModel({**WORLD, **(world or {})})
        async with session.open(model=model, memory="none", journal=journal) as one:
            answer = await one.run(nested, "?", run_id="parent")
            assert answer.usage.calls == len(journal.rows("parent")) == WHOLE == 221
            yield Parent(one, journal, model)

    return made


def named(rows: list[Row]) -> list[str]:
    return sorted(row.path.removeprefix("nested").strip("/") for row in rows)


@pytest.mark.parametrize(
    ("path", "place", "performed"),
    [
        ("map[7]/map[1]", 1, ["", "map[7]", "map[7]", "map[7]/map[1]"]),
        ("map[7]/map[1]", 0, ["", "map[7]", "map[7]", "map[7]/map[1]", "map[7]/map[1]"]),
        ("map[7]", 4, ["", "map[7]"]),
        ("map[7]", 2, ["", *["map[7]"] * 3, *[f"map[7]/map[{part}]" for part in range(3) for _ in range(2)]]),
        ("", 0, [""]),
    ],
)
async def test_a_fork_inside_a_branch_performs_only_what_depends_on_it(
    parent: Any, path: str, place: int, performed: list[str]
) -> None:
    async for made in parent():
        answer, rows = await made.fork(at=made.at(path, place) if path else made.rows[-1].seq)
        assert named(rows) == performed
        assert answer.text == made.one._ended["parent"].text


async def test_an_edited_reply_performs_again_only_the_requests_that_changed(parent: Any) -> None:
    async for made in parent():
        _, rows = await made.fork(at=made.at("map[7]", 1), set={"reply": "something else"})
        assert len(rows) == 1 + INSIDE + 2 + 1  # the third call of that branch, what is inside, its last two, the end
        assert {row.path.split("/")[1] for row in rows if "/" in row.path} == {"map[7]"}


async def test_what_an_edited_reply_does_not_change_is_reused(parent: Any) -> None:
    async for made in parent({third: lambda number, attempt: f"third {number}"}):
        _, rows = await made.fork(at=made.at("map[7]", 1), set={"reply": "something else"})
        assert named(rows) == ["map[7]"]  # the third call, which answers as before


async def test_an_edited_signature_performs_again_its_own_calls_and_what_depends_on_them(parent: Any) -> None:
    name = f"prompt.{__name__.rpartition('.')[2]}.fourth"
    async for made in parent():
        _, rows = await made.fork(set={name: "Come back."})
        assert rows == []  # the same words
        _, rows = await made.fork(set={name: "Come back soon."})
        assert {row.path.count("/") for row in rows} == {1}
        assert len(rows) == BRANCHES  # answered alike: nothing downstream asks anew


async def test_a_fork_of_a_changed_model_stores_every_call_and_one_of_nothing_stores_none(parent: Any) -> None:
    async for made in parent():
        answer, rows = await made.fork()
        assert (rows, answer.text) == ([], made.one._ended["parent"].text)
        stored = await made.journal.find(answer.run_id)
        assert isinstance(stored, StoredRun)
        assert stored.parent == "parent"


@pytest.mark.works("IN13")
async def test_a_replay_needs_no_model_and_gives_the_same_answer_and_the_record_says_what_each_strategy_cost(
    parent: Any,
) -> None:
    class Gone(ScriptedModel):
        def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            raise AssertionError("a replay asked the model")

    async for made in parent():
        async with session.open(model=Gone(WORLD), memory="none", journal=made.journal) as other:
            answer = await other.replay("parent")
        assert answer.text == made.one._ended["parent"].text
        costs = (await made.one.show("parent")).costs()
        assert list(costs)[:3] == ["", "nested", "nested/map[0]"]
        assert costs["nested"].calls == WHOLE
        assert costs["nested/map[7]"].calls == 5 + INSIDE
        assert costs["nested/map[7]/map[1]"].calls == 2
        assert costs["nested"].prompt_tokens == sum(row.usage.prompt_tokens for row in made.rows) > 0
        assert costs["nested"].seconds >= costs["nested/map[7]"].seconds > 0
        assert costs["nested"].usd == answer.usage.usd


async def test_forks_of_one_parent_may_run_side_by_side(parent: Any) -> None:
    async for made in parent():
        forks = await asyncio.gather(*(made.fork(at=made.at(f"map[{number}]", 4)) for number in range(BRANCHES)))
        assert [len(rows) for _, rows in forks] == [2] * BRANCHES
