"""What a resumed run takes as history, what it performs again, and what it asks about first."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import (
    Answer,
    ReadOnly,
    Reply,
    Row,
    Run,
    Sample,
    Task,
    ToolCall,
    Usage,
    encoded,
    signature,
    strategy,
    tool,
)
from stratagem.core._book import passing, shows, siblings
from stratagem.errors import BadReply, BudgetExhausted, RateLimited, StratagemError, Suspended, record, revive
from stratagem.testing import Raw, ScriptedModel, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


@signature
def tell(number: int) -> tuple[dict[str, str], ...]:
    """Tell."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}
BUSY: dict[Any, Any] = {guess: lambda number: RateLimited("slow down") if number == 0 else f"g{number}"}


async def numbered(run: Run, number: int) -> str:
    return await run.ask(guess, number=number)


@strategy(calls="1")
async def other(run: Run, task: Task) -> Answer:
    return task.answer(await run.ask(guess, number=1))


async def by_map(run: Run) -> str:
    return "".join(await run.map(numbered, [1, 2]))


async def by_scope(run: Run) -> str:
    async with run.scope("second") as part:
        return await part.ask(guess, number=1)


async def by_strategy(run: Run) -> str:
    return (await other(run, Task("?"))).text


@pytest.mark.parametrize("fallback", [by_map, by_scope, by_strategy])
async def test_an_error_that_the_program_went_on_from_in_a_child_scope_is_history(fallback: Any) -> None:
    async def careful(run: Run) -> str:
        try:
            return await run.ask(guess, number=0)
        except RateLimited:
            return await fallback(run)

    run = scripted(BUSY)
    found = await careful(run)
    again = scripted(ECHO, tape=tape_of(run))
    assert await careful(again) == found
    assert not again.ledger.paid
    assert again.budget.spent.calls == run.budget.spent.calls


@pytest.mark.parametrize(
    ("later", "error", "went_on"),
    [
        ("", "", True),
        ("", "a/b", True),
        ("a", "a/b", True),
        ("map[0]", "", True),
        ("map#2[1]", "map[0]", True),
        ("a#2/map[0]", "a/map[1]", True),
        ("map[1]", "map[0]", False),
        ("a/map[1]/b", "a/map[0]", False),
        ("pool[0]", "", False),
        ("b", "pool[0]", False),
        ("pool[1]", "pool[0]", False),
    ],
)
def test_what_shows_that_a_program_went_on(later: str, error: str, went_on: bool) -> None:
    assert shows(later, error) is went_on


async def test_a_sample_that_failed_is_billed_as_a_whole_when_it_is_met_again() -> None:
    world: dict[Any, Any] = {guess: lambda number, draw: RateLimited("no") if draw.number == 1 else "g"}

    async def careful(run: Run) -> str:
        with contextlib.suppress(RateLimited):
            await run.sample(guess, 3, number=0)
        return await run.ask(guess, number=7)

    run = scripted(world)
    await careful(run)
    again = scripted(world, tape=tape_of(run))
    await careful(again)
    assert not again.ledger.paid
    assert again.budget.spent.calls == run.budget.spent.calls == 4


async def test_what_was_paid_and_is_performed_again_is_paid_twice() -> None:
    run = scripted(BUSY, calls=1)
    with pytest.raises(RateLimited):
        await run.ask(guess, number=0)
    again = scripted(ECHO, calls=2, tape=tape_of(run))
    assert again.budget.remaining("calls") == 1
    assert await again.ask(guess, number=0) == "g0"
    assert again.strand.meters[0].usage().calls == 2


async def test_an_edited_program_asks_before_it_repeats_what_may_happen_once_only() -> None:
    sent: list[str] = []

    @tool(effect="send")
    def mail(to: str) -> str:
        """Send a mail."""
        sent.append(to)
        return f"sent to {to}"

    granted: Any = {"tools": (mail,)}
    run = scripted({}, policy=ReadOnly(["mail"]), **granted)
    await run.call(ToolCall("mail", {"to": "bob"}))
    again = scripted({}, tape=tape_of(run), policy=ReadOnly(["mail"]), **granted)
    with pytest.raises(Suspended, match="mail was called before"):
        await again.call(ToolCall("mail", {"to": "bob "}))
    assert sent == ["bob"]
    same = scripted({}, tape=tape_of(run), policy=ReadOnly(["mail"]), **granted)
    assert (await same.call(ToolCall("mail", {"to": "bob"}))).text == "sent to bob"
    assert (await same.call(ToolCall("mail", {"to": "eve"}))).text == "sent to eve"
    assert sent == ["bob", "eve"]


class Strict(RateLimited):
    """A provider's own kind."""


def test_an_error_of_ones_own_kind_is_recorded_as_the_kind_of_ours_that_it_is() -> None:
    again = revive(json.loads(json.dumps(record(Strict("slow", provider="p", status=429)))))
    assert type(again) is RateLimited
    assert (str(again), again.provider, again.status) == ("slow", "p", 429)


class Sends(ScriptedModel):
    """Sends one reply, whatever is asked."""

    def __init__(self, sample: Sample) -> None:
        super().__init__({})
        self._sample = sample

    def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        return Reply((self._sample,), Usage(1))


DEEP: Any = []
for _ in range(2000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "sample",
    [
        Sample("x", (("go", {"to": float("nan")}),)),
        Sample("x", (("go", {"to": 10**5000}),)),
        Sample("x", (("go", DEEP),)),
        Sample("x", logprobs=(float("nan"),)),
        Sample(None),  # pyright: ignore[reportArgumentType]
    ],
)
async def test_what_is_no_reply_is_a_bad_reply_and_recorded(sample: Sample) -> None:
    run = scripted({})
    run.strand.world.services.model = Sends(sample)
    with pytest.raises(BadReply, match="scripted sent what is no reply"):
        await run.ask(guess, number=1)
    assert run.strand.world.services.in_flight == 0
    assert tape_of(run).rows[0].failed
    assert run.budget.spent.calls == 1


async def test_minus_infinity_is_a_log_probability() -> None:
    run = scripted({})
    run.strand.world.services.model = Sends(Sample("yes", logprobs=(-0.5, float("-inf"))))
    [drawn] = await run.draws(guess, 1, number=1)
    assert drawn.value == "yes"
    again = scripted({}, tape=tape_of(run))
    [known] = await again.draws(guess, 1, number=1)
    assert known.logprobs == (-0.5, -9999.0)


async def test_a_lone_surrogate_that_json_escapes_is_replaced() -> None:
    run = scripted({tell: lambda number: Raw('[{"a": "x\\ud800"}]')})
    assert await run.ask(tell, number=1) == ({"a": "x\ufffd"},)
    assert Task("?").answer("x\ud800").text == "x\ufffd"


def test_an_unknown_kind_is_still_an_error_of_ours() -> None:
    assert isinstance(revive(["Gone", "why", {}]), StratagemError)


PARTS = st.sampled_from(["a", "map[0]", "map[1]", "map#2[0]", "pool[0]", "pool[1]", "pool", "map"])
PATHS = st.lists(PARTS, max_size=3).map("/".join)


@given(st.lists(st.tuples(PATHS, st.sampled_from(["fine", "failed", "drawn"])), max_size=20))
def test_the_newest_rows_are_enough_to_see_that_a_program_went_on(plan: list[tuple[str, str]]) -> None:
    failure = encoded(["RateLimited", "slow", {}])
    rows = [
        Row(seq, "model", path, bytes([seq, *bytes(31)]) if how != "drawn" else bytes(32), seq, 0, 0, 0, None, b"{}",
            b"{}" if how == "fine" else failure, how != "fine", 0 if how == "drawn" else -1)
        for seq, (path, how) in enumerate(plan)
    ]  # fmt: skip
    expected = {
        error.seq
        for error in rows
        if error.failed
        and not any(shows(row.path, error.path) and not siblings(row, error) for row in rows[error.seq + 1 :])
    }
    assert passing(rows) == expected


async def test_many_refusals_cost_a_moment_to_look_through() -> None:
    import time

    async def refused(count: int) -> float:
        run = scripted(ECHO, calls=10, prompt=True)
        await run.map(numbered, range(count), tolerate=(BudgetExhausted,))
        begun = time.process_time()
        again = scripted(ECHO, calls=10, tape=tape_of(run), prompt=True)
        assert len(again.strand.world.book.recorded) == 10
        return time.process_time() - begun

    small, large = await refused(500), await refused(5000)
    assert large < 40 * small + 0.5
