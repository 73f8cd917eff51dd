"""`sample` and `draws`: reserved together, drawn natively where the model can, resumed draw by draw."""

import asyncio
from typing import Any

import pytest

from stratagem.core import Budget, Capabilities, Reply, Request, Run, Sample, Usage, signature
from stratagem.errors import BadReply, BudgetExhausted, RateLimited, Refused, Rejected, UnparsedReply, UsageError
from stratagem.testing import ScriptedModel, scripted, tape_of


@signature
def guess(number: int) -> int:
    """Guess."""
    ...


class Native(ScriptedModel):
    """Brings all draws in one reply."""

    def __init__(self, failure: Exception | None = None, short: int = 0, texts: tuple[str, ...] = ()) -> None:
        super().__init__({})
        self.capabilities = Capabilities(native_n=True, max_output=10)
        self.failure, self.short, self.texts, self.asked = failure, short, texts, list[tuple[int, int]]()

    async def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
        self.asked.append((request.n, request.occurrence))
        await asyncio.sleep(0)
        if self.failure is not None and request.n > 1:
            raise self.failure
        count = request.n - (self.short if request.n > 1 else 0)
        texts = self.texts or tuple(str(request.occurrence + place) for place in range(count))
        return Reply(tuple(Sample(text) for text in texts), Usage(request.n, 1, 7, 3 * request.n))


def native(model: ScriptedModel, **settings: Any) -> Run:
    run = scripted({}, **settings)
    run.strand.world.services.model = model
    return run


@pytest.mark.parametrize("n", [0, -1, True, 1.5, "2"])
async def test_how_many_are_drawn_is_a_number_from_one_up(n: Any) -> None:
    run = scripted({guess: lambda number: 1})
    with pytest.raises(UsageError, match="n must be"):
        await run.sample(guess, n, number=1)
    assert not run.ledger
    assert await run.ask(guess, number=1) == 1


async def test_a_native_sample_is_one_request_and_n_calls() -> None:
    model = Native()
    run = native(model, calls=9)
    assert await run.sample(guess, 4, number=1) == [0, 1, 2, 3]
    assert model.asked == [(4, 0)]
    spent = run.budget.spent
    assert (spent.calls, spent.requests, spent.prompt_tokens, spent.completion_tokens) == (4, 1, 7, 12)
    assert len(run.ledger) == 4
    rows = [row for row in tape_of(run).rows if row.kind == "model"]
    assert [(row.occurrence, row.sample, row.usage is None) for row in rows] == [
        (0, 0, False), (1, 0, True), (2, 0, True), (3, 0, True),
    ]  # fmt: skip
    assert await run.ask(guess, number=1) == 4


async def test_a_resumed_sample_draws_only_what_is_missing() -> None:
    first = native(Native(), calls=9)
    expected = await first.sample(guess, 4, number=1)
    for done in range(5):
        model = Native()
        again = native(model, calls=9, tape=tape_of(first).upto(done))
        assert await again.sample(guess, 4, number=1) == expected
        assert [occurrence for _, occurrence in model.asked] == ([0] if done == 0 else list(range(done, 4)))
        assert again.budget.spent.calls == 4
        assert again.budget.remaining("calls") == 5


async def test_a_failed_native_sample_costs_the_same_when_it_is_resumed() -> None:
    async def program(run: Run) -> float:
        try:
            await run.sample(guess, 3, number=1)
        except Rejected:
            await run.ask(guess, number=2)
        return run.budget.remaining("calls")

    run = native(Native(Rejected("too many")), calls=9)
    assert await program(run) == 5
    for done in (3, 4, 5):
        again = native(Native(), calls=9, tape=tape_of(run).upto(done))
        assert await program(again) == 5
        assert again.budget.spent.calls == 4
        assert len(again.ledger) == len(run.ledger) == 4


async def test_a_native_sample_that_brings_too_few_is_a_bad_reply() -> None:
    model = Native(short=1)
    run = native(model, calls=9)
    with pytest.raises(BadReply, match="sent 2 draws instead of 3"):
        await run.sample(guess, 3, number=1)
    assert run.strand.meters[0].calls == 3
    again = native(Native(), calls=9, tape=tape_of(run))
    assert await again.sample(guess, 3, number=1) == [0, 1, 2]  # a circumstance


async def test_unreadable_draws_are_left_out_unless_there_is_no_other() -> None:
    model = Native(texts=("1", "one", "2"))
    drawn = await native(model).draws(guess, 3, number=1)
    assert [(one.value, one.text) for one in drawn] == [(1, "1"), (2, "2")]
    with pytest.raises(UnparsedReply, match="'a'"):
        await native(Native(texts=("a", "b"))).sample(guess, 2, number=1)


async def test_a_model_that_raises_at_once_gives_everything_back() -> None:
    class Blunt(Native):
        def complete(self, request: Request, *, on_delta: Any = None) -> Any:
            raise RateLimited("slow down")

    run = native(Blunt(), budget=Budget(calls=9, tokens=900))
    with pytest.raises(RateLimited):
        await run.sample(guess, 3, number=1)
    assert run.strand.meters[0].reserved == [0, 0, 0, 0]
    assert run.strand.world.services.in_flight == 0
    assert run.budget.spent.calls == 3


async def test_one_refused_draw_refuses_the_sample() -> None:
    class Declining(ScriptedModel):
        def complete(self, request: Request, *, on_delta: Any = None) -> Reply:
            finish = "refusal" if request.occurrence == 1 else "stop"
            return Reply((Sample("no" if finish == "refusal" else "1", finish=finish),), Usage(1))

    run = native(Declining({}))
    with pytest.raises(Refused, match="no"):
        await run.sample(guess, 3, number=1)
    assert len(tape_of(run)) == 3


async def test_a_sample_beyond_the_budget_draws_nothing_and_is_refused_again() -> None:
    run = scripted({guess: lambda number: 1}, calls=2)
    with pytest.raises(BudgetExhausted):
        await run.sample(guess, 3, number=1)
    assert not run.ledger
    again = scripted({guess: lambda number: 1}, calls=3, tape=tape_of(run))
    assert await again.sample(guess, 3, number=1) == [1, 1, 1]


async def test_samples_of_one_request_go_on_counting() -> None:
    run = scripted({guess: lambda number, draw: draw.number})
    assert await run.sample(guess, 2, number=1) == [0, 1]
    assert await run.sample(guess, 2, number=1) == [2, 3]
    assert await run.sample(guess, 1, number=2) == [0]
    again = scripted({}, tape=tape_of(run), replaying=True)
    assert await again.sample(guess, 2, number=1) == [0, 1]
    assert await again.sample(guess, 2, number=1) == [2, 3]
