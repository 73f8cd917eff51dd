"""What is reserved for a call, who waits for it, and what a budget of tokens, money or seconds refuses."""

import asyncio
from typing import Any

import pytest

from stratagem.core import Budget, Capabilities, Event, Feed, Reply, Run, Sample, Usage, signature
from stratagem.core._admission import check_price
from stratagem.core._budget import Meter, Need, settle, take, wait
from stratagem.errors import BudgetExhausted, NoReply, UsageError
from stratagem.testing import ScriptedModel, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


async def numbered(run: Run, number: int) -> str:
    return await run.ask(guess, number=number)


class Priced(ScriptedModel):
    """Costs what the test says, whatever is asked: tokens of prompt and reply, money. Answers when it is let go."""

    def __init__(self, prompt: int = 10, completion: int = 5, usd: float | None = 0.0, most: int = 20) -> None:
        super().__init__(ECHO)
        self.capabilities = Capabilities(frozenset({"max_tokens"}), max_output=most, priced=usd is not None)
        self.prompt, self.completion, self.usd = prompt, completion, usd
        self.asked: list[Any] = []
        self.doors: list[asyncio.Future[None]] = []
        self.held = False
        self.finish = "stop"

    def tokens(self, text: str) -> int:
        return self.prompt

    async def complete(self, request: Any, *, on_delta: Any = None) -> Reply:
        self.asked.append(request)
        if self.held:
            door: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.doors.append(door)
            await door
        return Reply((Sample("ok", finish=self.finish),), Usage(1, 1, self.prompt, self.completion, usd=self.usd))


def priced(model: Priced, budget: str, **settings: Any) -> Run:
    run = scripted(ECHO, budget=Budget.parse(budget), **settings)
    run.strand.world.services.model = model
    return run


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def until_refused(run: Run) -> None:
    for number in range(9):
        await run.ask(guess, number=number)


# Tokens


async def test_tokens_are_reserved_at_their_upper_bound_and_released_by_settlement() -> None:
    model = Priced()
    model.held = True
    run = priced(model, "tokens=75")
    running = asyncio.create_task(run.using(max_tokens=20).map(numbered, range(3)))
    await settled()
    assert len(model.asked) == 2  # 30 reserved for each of two; 15 are left, so the third waits
    model.doors[0].set_result(None)
    await settled()
    assert len(model.asked) == 3  # 15 spent, 30 reserved, 30 fit
    for door in model.doors[1:]:
        door.set_result(None)
    assert await running == ["ok", "ok", "ok"]
    assert run.budget.spent.tokens == 45


async def test_who_waits_is_served_in_the_order_of_asking() -> None:
    model = Priced()
    model.held = True
    run = priced(model, "tokens=30")
    running = asyncio.create_task(
        run.using(max_tokens=20).map(numbered, range(6), tolerate=(BudgetExhausted,), width=None)
    )
    served: list[int] = []
    for _ in range(6):
        await settled()
        if not model.doors:
            break
        served.append(model.asked[-1].inputs["number"])
        model.completion, model.prompt = 0, 10
        model.doors.pop().set_result(None)
    await running
    assert served == sorted(served)
    assert served[0] == 0


async def test_many_who_wait_do_not_spin() -> None:
    model = Priced()
    model.held = True
    run = priced(model, "tokens=100")
    running = asyncio.create_task(run.using(max_tokens=20).map(numbered, range(9), tolerate=(BudgetExhausted,)))
    await settled()
    assert len(model.asked) == 3
    model.doors.pop(0).set_result(None)  # 15 spent and 60 reserved: 25 are left, 30 needed
    await settled()
    assert len(asyncio.get_running_loop()._ready) == 0  # pyright: ignore[reportAttributeAccessIssue]  (all sleep)
    assert len(run.strand.meters[0].waiters) == 6
    while not running.done():
        for door in model.doors:
            door.set_result(None)
        model.doors.clear()
        await settled()
    assert len(await running) == 5  # 75 spent, and 25 are too few for a sixth
    assert run.budget.spent.tokens == 75


async def test_a_reservation_that_can_never_fit_fails_at_once_and_refuses_those_who_wait() -> None:
    model = Priced()
    model.held = True
    run = priced(model, "tokens=45")
    parts = run.using(max_tokens=20)

    async def asking(run: Run, number: int) -> str:
        return await (run.using(max_tokens=100) if number == 2 else run).ask(guess, number=number)

    running = asyncio.create_task(parts.map(asking, range(3), tolerate=(BudgetExhausted,)))
    await settled()
    assert len(model.asked) == 1
    model.doors[0].set_result(None)
    assert await running == ["ok"]
    assert len(model.asked) == 1


async def test_a_waiter_that_is_cancelled_leaves_the_queue_to_the_next() -> None:
    model = Priced()
    model.held = True
    run = priced(model, "tokens=50")
    parts = run.using(max_tokens=20)
    meter = run.strand.meters[0]
    running = asyncio.create_task(parts.map(numbered, range(3)))
    await settled()
    assert (len(model.asked), len(meter.waiters)) == (1, 2)
    running.cancel()
    await settled()
    assert (len(meter.waiters), sum(meter.reserved)) == (0, 0)
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_whoever_is_cancelled_between_admission_and_start_gives_its_reservation_back() -> None:
    meter = Meter(Budget(tokens=30))
    first, second, third = Need(1, 10, 20), Need(1, 10, 20), Need(1, 10, 20)
    assert take((meter,), first) is None
    waiting = [asyncio.create_task(wait((meter,), meter, need)) for need in (lambda: second, lambda: third)]
    await settled()
    settle((meter,), first, None, 1)
    waiting[0].cancel()
    await settled()
    assert waiting[0].cancelled()
    assert waiting[1].done()
    assert waiting[1].exception() is None
    assert meter.reserved == list(third)


async def test_prompt_and_completion_have_limits_of_their_own() -> None:
    for budget, limit in (("prompt_tokens=25", "prompt_tokens"), ("completion_tokens=12", "completion_tokens")):
        model = Priced(most=5)
        run = priced(model, budget)
        with pytest.raises(BudgetExhausted) as caught:
            await until_refused(run)
        assert (caught.value.limit, len(model.asked)) == (limit, 2 if limit == "prompt_tokens" else 3)
        assert run.budget.spent.prompt_tokens == 10 * len(model.asked)


async def test_without_max_tokens_the_models_default_is_capped_by_what_remains() -> None:
    model = Priced(most=100)
    run = priced(model, "tokens=200")
    await run.ask(guess, number=1)
    assert model.asked[0].max_tokens is None
    again = priced(model, "tokens=50")
    await again.ask(guess, number=1)
    assert model.asked[1].max_tokens == 40
    assert model.asked[0].digest == model.asked[1].digest  # a derived cap is not in the digest
    explicit = priced(model, "tokens=50")
    await explicit.using(max_tokens=7).ask(guess, number=1)
    assert model.asked[2].max_tokens is None
    assert model.asked[2].digest != model.asked[0].digest


async def test_a_cap_is_derived_from_what_remains_when_the_call_is_let_in() -> None:
    model = Priced(most=100)
    model.held = True
    run = priced(model, "tokens=60")
    running = asyncio.create_task(run.map(numbered, range(3)))
    for number, cap in enumerate((50, 35, 20)):
        await settled()
        assert len(model.asked) == number + 1
        assert model.asked[number].max_tokens == cap
        model.doors[number].set_result(None)
    assert await running == ["ok"] * 3
    assert run.budget.spent.tokens == 45
    assert run.strand.meters[0].reserved == [0, 0, 0, 0]


async def test_what_is_in_flight_makes_a_call_wait_and_no_cap_smaller() -> None:
    model = Priced(most=20)
    model.held = True
    run = priced(model, "tokens=50")
    running = asyncio.create_task(run.map(numbered, range(2)))
    await settled()
    assert [asked.max_tokens for asked in model.asked] == [None]  # 20 are left for now, and 30 needed
    model.held = False
    model.doors[0].set_result(None)
    await running
    assert [asked.max_tokens for asked in model.asked] == [None, None]
    assert await run.sample(guess, 1, number=7) == ["ok"]
    assert model.asked[-1].max_tokens == 10
    assert run.budget.spent.tokens == 45


async def test_a_sample_shares_what_remains_among_its_draws() -> None:
    model = Priced(most=100)
    run = priced(model, "tokens=100")
    assert await run.sample(guess, 3, number=1) == ["ok"] * 3
    assert [asked.max_tokens for asked in model.asked] == [23, 23, 23]


async def test_a_reply_that_a_derived_cap_cut_is_the_end_of_the_budget() -> None:
    model = Priced(completion=40, most=100)
    model.finish = "length"
    run = priced(model, "tokens=50")
    with pytest.raises(BudgetExhausted, match="tokens limit is 50"):
        await run.ask(guess, number=1)
    assert run.budget.spent.tokens == 50
    assert run.strand.world.refusal is not None
    with pytest.raises(BudgetExhausted):
        await run.ask(guess, number=2)
    assert len(model.asked) == 1


async def test_a_cut_is_the_end_of_the_budget_that_caused_it() -> None:
    model = Priced(completion=40, most=100)
    model.finish = "length"
    run = priced(model, "tokens=50")
    async with run.scope("wide", "tokens=1000") as part:
        with pytest.raises(BudgetExhausted) as caught:
            await part.ask(guess, number=1)
    assert (caught.value.scope, caught.value.allowed) == ("", 50)
    assert run.strand.world.refusal is not None


async def test_a_reply_cut_by_its_own_max_tokens_is_a_reply() -> None:
    model = Priced()
    model.finish = "length"
    run = priced(model, "tokens=50")
    assert await run.using(max_tokens=5).ask(guess, number=1) == "ok"


async def test_what_a_provider_reports_above_the_reservation_is_billed() -> None:
    model = Priced(completion=70)
    run = priced(model, "tokens=100")
    await run.using(max_tokens=20).ask(guess, number=1)
    assert run.budget.spent.completion_tokens == 70
    assert run.budget.remaining("tokens") == 20
    with pytest.raises(BudgetExhausted):
        await run.using(max_tokens=20).ask(guess, number=2)


async def test_a_free_model_counts_no_tokens() -> None:
    model = Priced(prompt=0, completion=0)
    model.capabilities = Capabilities(free=True)
    model.tokens = lambda text: 1_000_000  # pyright: ignore[reportAttributeAccessIssue]
    run = priced(model, "tokens=1")
    assert await run.ask(guess, number=1) == "ok"


# What was billed above a limit


async def test_what_was_billed_above_a_limit_is_its_overshoot() -> None:
    model = Priced(prompt=10, completion=5, usd=0.04)
    run = priced(model, "tokens=40,usd=0.10,calls=9")
    assert run.budget.overshoot == {}
    model.completion = 35  # more than the 20 that were reserved
    await run.using(max_tokens=20).ask(guess, number=1)
    assert run.budget.overshoot == {"tokens": 5}
    async with run.scope("part", "completion_tokens=50") as part:
        assert part.budget.overshoot == {}  # of the nearest scope that has limits
    again = priced(model, "tokens=40,usd=0.10,calls=9", tape=tape_of(run))
    assert again.budget.overshoot == {}  # as it was read
    await again.using(max_tokens=20).ask(guess, number=1)
    assert again.budget.overshoot == {"tokens": 5}
    assert again.strand.world.book.performed == 0


async def test_every_limit_that_is_billed_has_an_overshoot() -> None:
    limits = Budget(tokens=20, prompt_tokens=5, completion_tokens=10, usd=0.10, calls=1, seconds=1)
    assert limits.overshoot(Usage(3, 1, 12, 11, usd=0.25, seconds=9)) == {
        "tokens": 3, "prompt_tokens": 7, "completion_tokens": 1, "usd": 0.15,
    }  # fmt: skip
    assert limits.overshoot(Usage(1, 1, 5, 10, usd=0.10)) == {}
    assert limits.overshoot(Usage(1, 1, 5, 10, usd=None)) == {}
    assert Budget().overshoot(Usage(1, 1, 5, 10, usd=9)) == {}


async def test_a_reply_that_costs_more_than_was_reserved_says_so_in_its_event() -> None:
    async def told(budget: str, **settings: Any) -> list[Any]:
        heard: list[Event] = []
        model = Priced(prompt=10, completion=5)
        run = priced(model, budget)
        run.strand.world.feeds = (feed := Feed(heard.append),)
        model.completion = 35
        await run.using(max_tokens=20).ask(guess, number=1)
        await feed.aclose(patience_s=0.05)
        return [event.data.get("overshoot") for event in heard if event.type == "effect.finished"]

    assert await told("tokens=90") == [15]
    assert await told("calls=9") == [None]  # nothing was reserved


# Money


async def test_money_stops_the_run_once_it_is_spent() -> None:
    model = Priced(usd=0.04)
    run = priced(model, "usd=0.10")
    with pytest.raises(BudgetExhausted) as caught:
        await until_refused(run)
    assert (caught.value.limit, len(model.asked)) == ("usd", 3)
    assert run.budget.spent.usd == pytest.approx(0.12)
    assert run.budget.remaining("usd") == 0


async def test_an_unknown_price_is_never_zero() -> None:
    run = priced(Priced(usd=None), "calls=9")
    await run.ask(guess, number=1)
    assert run.budget.spent.usd is None


async def test_a_limit_of_money_refuses_a_model_of_unknown_price_before_the_call() -> None:
    model = Priced(usd=None)
    model.spec = "dear"
    run = priced(model, "usd=0.10,calls=9")
    for asking in (run.ask(guess, number=1), run.sample(guess, 3, number=1)):
        with pytest.raises(UsageError, match="a limit of usd needs the price of the model 'dear', which is unknown"):
            await asking
    assert not model.asked
    assert run.budget.spent.calls == 0
    model.capabilities = Capabilities(free=True)
    assert await run.ask(guess, number=1) == "ok"


async def test_a_model_of_unknown_price_is_refused_where_it_comes_in_later_and_only_under_the_limit() -> None:
    cheap, dear = Priced(usd=0.01), Priced(usd=None)
    dear.spec = "dear"
    run = priced(cheap, "calls=9")
    assert await run.using(model=dear).ask(guess, number=1) == "ok"
    async with run.scope("part", budget="usd=0.10") as part:
        assert await part.ask(guess, number=2) == "ok"
        with pytest.raises(UsageError, match="the price of the model 'dear'"):
            await part.using(model=dear).ask(guess, number=3)
        assert await part.ask(guess, number=4) == "ok"  # nothing stays reserved
        assert part.budget.spent.usd == pytest.approx(0.02)
    assert (len(cheap.asked), len(dear.asked)) == (2, 1)


async def test_what_is_recorded_needs_no_price() -> None:
    model = Priced(usd=None)
    run = priced(model, "calls=9")
    await run.ask(guess, number=1)
    again = priced(model, "usd=0.10", tape=tape_of(run))
    assert await again.ask(guess, number=1) == "ok"
    with pytest.raises(UsageError, match="needs the price"):
        await again.ask(guess, number=2)


# Seconds


async def test_seconds_stop_at_the_next_effect(clock: Any) -> None:
    run = scripted(ECHO, budget=Budget(seconds=10), clock=clock)
    await run.ask(guess, number=0)
    clock.advance(9.9)
    await run.ask(guess, number=1)
    clock.advance(0.1)
    with pytest.raises(BudgetExhausted, match="seconds limit is 10"):
        await run.ask(guess, number=2)
    assert run.strand.world.refusal is not None
    assert len(run.ledger) == 2


async def test_a_resumed_run_goes_on_with_the_seconds_it_had_used(clock: Any) -> None:
    run = scripted(ECHO, budget=Budget(seconds=10), clock=clock)
    clock.advance(8)
    await run.ask(guess, number=0)
    clock.advance(1000)  # nobody drives it
    again = scripted(ECHO, budget=Budget(seconds=10), clock=clock, tape=tape_of(run))
    await again.ask(guess, number=0)
    assert again.budget.remaining("seconds") == 2
    clock.advance(2)
    with pytest.raises(BudgetExhausted):
        await again.ask(guess, number=1)


async def test_a_model_that_never_answers_ends_with_its_time_limit(clock: Any) -> None:
    model = Priced()
    model.held = True
    run = priced(model, "calls=5", clock=clock)
    asking = asyncio.create_task(run.using(timeout_s=30).ask(guess, number=1))
    await settled()
    clock.advance(29)
    await settled()
    assert not asking.done()
    clock.advance(1)
    with pytest.raises(NoReply, match="did not answer within 30 s"):
        await asking
    assert run.budget.spent.calls == 1


@pytest.mark.parametrize("limits", ["seconds=5", "calls=5"])
async def test_a_model_that_keeps_to_the_seconds_itself_is_refused_by_the_budget_as_well(
    limits: str, clock: Any
) -> None:
    class Early(Priced):
        def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            return self._ended()

        async def _ended(self) -> Any:
            failure = NoReply("it took too long")
            failure.out_of_time, failure.usage = True, Usage(1, 1, 7)
            raise failure

    run = priced(Early(), limits, clock=clock)
    limited = limits.startswith("seconds")
    with pytest.raises(BudgetExhausted if limited else NoReply, match="seconds limit is 5" if limited else "too long"):
        await run.ask(guess, number=1)
    assert (run.strand.world.refusal is not None) == limited
    assert (run.budget.spent.requests, run.budget.spent.prompt_tokens) == (1, 7)


async def test_a_call_that_outlasts_the_seconds_is_refused_by_the_budget(clock: Any) -> None:
    model = Priced()
    model.held = True
    run = priced(model, "seconds=5", clock=clock)
    asking = asyncio.create_task(run.map(numbered, [1], tolerate=(BudgetExhausted,)))
    await settled()
    clock.advance(5)
    with pytest.raises(BudgetExhausted, match="seconds limit is 5"):
        await asking
    assert run.strand.world.refusal is not None


def test_the_models_of_a_chain_whose_price_is_unknown_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known, dear, other = Priced(usd=0.01), Priced(usd=None), Priced(usd=None)
    dear.spec, other.spec = "vllm:a", "vllm:b"
    chain: Any = Priced(usd=None)
    chain.spec, chain.models = "fake|vllm:a|vllm:b", (known, dear, other)
    for installed in (True, False):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, there=installed: there or None)
        with pytest.raises(UsageError) as caught:
            check_price(chain, Budget(usd=1))
        assert str(caught.value) == (
            "a limit of usd needs the price of the model 'vllm:a' and 'vllm:b' of the chain 'fake|vllm:a|vllm:b', "
            "which is unknown"
        )
        assert '`[prices."vllm:a"]` in the settings' in caught.value.remedy
        assert ('`pip install "stratagem[prices]"`' in caught.value.remedy) is not installed
