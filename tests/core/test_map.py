"""`map`, `pool`, `scope`: names, width, failures, cancellation, and many branches."""

import asyncio
import gc
import time
import weakref
from typing import Any

import pytest

from stratagem.core import Answer, Run, Task, signature, strategy
from stratagem.errors import BudgetExhausted, ConcurrentUse, ModelError, NoAnswer, Rejected, UnparsedReply, UsageError
from stratagem.testing import Raw, ScriptedModel, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


async def numbered(run: Run, number: int) -> str:
    return await run.ask(guess, number=number)


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Held(ScriptedModel):
    """Answers a request when the test lets it."""

    def __init__(self) -> None:
        super().__init__(ECHO)
        self.doors: dict[int, asyncio.Future[None]] = {}
        self.cancelled: list[int] = []

    async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
        number = request.inputs["number"]
        self.doors[number] = asyncio.get_running_loop().create_future()
        try:
            await self.doors[number]
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return self._reply(request, f"g{number}")


def held() -> tuple[Run, Held]:
    run, model = scripted(ECHO), Held()
    run.strand.world.services.model = model
    return run, model


# map


@pytest.mark.parametrize("width", [None, 2])
async def test_a_run_whose_branches_have_ended_leaves_nothing_to_the_collector(width: int | None) -> None:
    async def mapped() -> weakref.ref[Any]:
        run = scripted(ECHO)
        await run.map(numbered, range(5), width=width)
        run.strand.world.services.model = model = ScriptedModel(ECHO)
        return weakref.ref(model)  # what only this run still knows is gone as soon as the run is

    gc.disable()
    try:
        model = await mapped()
        assert model() is None
    finally:
        gc.enable()


async def test_nothing_to_do_is_done_at_once() -> None:
    run = scripted(ECHO)
    assert await run.map(numbered, []) == []
    assert await run.map(numbered, [], tolerate=(NoAnswer,)) == []
    assert await run.map(numbered, [1]) == ["g1"]
    assert [asked.path for asked in run.ledger] == ["map#3[0]"]


async def test_results_keep_the_order_of_the_items_whoever_ends_first() -> None:
    for width in (None, 1, 3, 100):
        for reverse in (False, True):
            run = scripted(ECHO, reverse=reverse)
            assert await run.map(numbered, range(10), width=width) == [f"g{n}" for n in range(10)]


@pytest.mark.parametrize("width", [0, -1])
async def test_a_width_below_one_is_refused_before_anything_is_done(width: int) -> None:
    run = scripted(ECHO)
    with pytest.raises(UsageError, match="width must be at least 1"):
        await run.map(numbered, [1], width=width)
    with pytest.raises(UsageError, match="width must be at least 1"):
        run.pool(numbered, width=width)
    assert not run.ledger
    assert await run.ask(guess, number=1) == "g1"


async def test_once_the_lowest_failure_is_known_later_branches_are_cancelled() -> None:
    run, model = held()

    async def failing(run: Run, number: int) -> str:
        found = await run.ask(guess, number=number)
        if number in (1, 2):
            raise NoAnswer(str(number))
        return found

    mapping = asyncio.create_task(run.map(failing, range(5)))
    await turns()
    model.doors[2].set_result(None)
    await turns()
    assert not mapping.done()  # 0 or 1 may still fail
    assert model.cancelled == []
    model.doors[0].set_result(None)
    model.doors[1].set_result(None)
    with pytest.raises(NoAnswer, match="1"):
        await mapping
    assert sorted(model.cancelled) == [3, 4]
    assert await run.using().map(numbered, []) == []  # the strand goes on


async def test_a_branch_that_waits_for_width_is_never_begun_after_a_failure() -> None:
    began: list[int] = []

    async def failing(run: Run, number: int) -> None:
        began.append(number)
        await run.ask(guess, number=number)
        raise NoAnswer(str(number))

    with pytest.raises(NoAnswer, match="0"):
        await scripted(ECHO).map(failing, range(100), width=2)
    assert len(began) <= 4


async def test_who_cancels_the_parent_cancels_every_branch_below() -> None:
    run, model = held()

    async def outer(run: Run, number: int) -> list[str]:
        return await run.map(numbered, [10 * number, 10 * number + 1])

    mapping = asyncio.create_task(run.map(outer, range(3)))
    await turns()
    assert len(model.doors) == 6
    mapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mapping
    assert sorted(model.cancelled) == [0, 1, 10, 11, 20, 21]
    assert len(tape_of(run)) == 0  # cancellation is never recorded
    assert run.budget.spent.calls == 6


async def test_a_branch_that_was_cancelled_from_outside_ends_the_map() -> None:
    async def gone(run: Run, number: int) -> str:
        if number == 1:
            raise asyncio.CancelledError
        return await run.ask(guess, number=number)

    with pytest.raises(asyncio.CancelledError):
        await scripted(ECHO).map(gone, range(3))


async def test_an_exception_that_is_not_ours_is_raised_as_it_is() -> None:
    async def broken(run: Run, number: int) -> str:
        await run.ask(guess, number=number)
        return [][number]

    run = scripted(ECHO)
    with pytest.raises(IndexError):
        await run.map(broken, range(3), tolerate=(NoAnswer,))
    assert await run.ask(guess, number=9) == "g9"


async def test_what_is_tolerated_is_only_what_was_named() -> None:
    world: dict[Any, Any] = {guess: lambda number: [Rejected("no"), Raw(""), "g2"][number]}
    run = scripted(world)
    assert await run.map(numbered, range(3), tolerate=(ModelError,)) == ["g2"]
    assert await run.map(numbered, range(3), tolerate=(Rejected, UnparsedReply)) == ["g2"]
    with pytest.raises(UnparsedReply):
        await run.map(numbered, range(3), tolerate=(Rejected,))


async def test_keys_are_the_text_of_what_the_function_returns() -> None:
    run = scripted(ECHO)
    await run.map(numbered, [1, 2], key=lambda number: number * 10)
    await run.map(numbered, [1, 2], key=lambda number: f"é {number}")
    assert [asked.path for asked in run.ledger] == ["map[10]", "map[20]", "map#2[é 1]", "map#2[é 2]"]


@pytest.mark.parametrize("keys", [["a", "a"], [1, "1"], ["", "a"], ["a/b", "c"], ["a[", "c"], [None, "None"]])
async def test_keys_that_are_no_names_of_their_own_are_refused(keys: list[Any]) -> None:
    run = scripted(ECHO)
    with pytest.raises(UsageError, match="key"):
        await run.map(numbered, range(2), key=lambda number: keys[number])
    assert not run.ledger


async def test_removing_an_item_in_front_repays_nothing_if_branches_are_named() -> None:
    run = scripted(ECHO)
    await run.map(numbered, range(5), key=str)
    again = scripted(ECHO, tape=tape_of(run))
    assert await again.map(numbered, [4, 2, 0], key=str) == ["g4", "g2", "g0"]
    assert not again.ledger.paid


async def test_maps_nest_and_each_branch_has_a_place_of_its_own() -> None:
    async def outer(run: Run, number: int) -> list[str]:
        first = await run.map(numbered, range(2))
        async with run.scope("more") as part:
            return first + await part.map(numbered, range(2))

    for reverse in (False, True):
        run = scripted(ECHO, reverse=reverse)
        assert await run.map(outer, range(2)) == [["g0", "g1", "g0", "g1"]] * 2
        assert [asked.path for asked in run.ledger] == [
            f"map[{a}]/{b}map[{c}]" for a in range(2) for b in ("", "more/") for c in range(2)
        ]


async def test_ten_thousand_branches_end_soon() -> None:
    async def one(run: Run, number: int) -> int:
        return number

    for width in (None, 50):
        begun = time.process_time()
        assert len(await scripted(ECHO).map(one, range(1_000), width=width)) == 1_000
        small = time.process_time() - begun
        begun = time.process_time()
        assert len(await scripted(ECHO).map(one, range(10_000), width=width)) == 10_000
        assert time.process_time() - begun < 30 * small + 0.5  # ten times as many


async def test_ten_thousand_branches_of_a_pool_end_soon() -> None:
    async def one(run: Run, number: int) -> int:
        return number

    async def pooled(count: int) -> float:
        begun = time.process_time()
        async with scripted(ECHO).pool(one, width=50) as pool:
            for number in range(count):
                pool.start(number)
            assert len([found async for found in pool]) == count
        return time.process_time() - begun

    small, large = await pooled(1_000), await pooled(10_000)
    assert large < 30 * small + 0.5


async def test_ten_thousand_waiters_for_tokens_end_soon() -> None:
    from stratagem.core import Budget

    async def measured(count: int) -> float:
        run = scripted(ECHO, budget=Budget(tokens=count * 3))
        begun = time.process_time()
        found = await run.using(max_tokens=20).map(numbered, range(count), tolerate=(BudgetExhausted,))
        assert len(found) >= count / 3 - 20
        return time.process_time() - begun

    small, large = await measured(300), await measured(3_000)
    assert large < 30 * small + 0.5


# pool


async def test_a_pool_gives_results_as_they_come_and_new_work_may_be_added_meanwhile() -> None:
    run, model = held()
    seen: list[Any] = []

    async def pooled() -> None:
        async with run.pool(numbered) as pool:
            for number in range(3):
                pool.start(number)
            async for number, found in pool:
                seen.append((number, found))
                if number == 2:
                    pool.start(7)

    pooling = asyncio.create_task(pooled())
    for number in (2, 0, 7, 1):
        await turns()
        model.doors[number].set_result(None)
    await pooling
    assert seen == [(2, "g2"), (0, "g0"), (7, "g7"), (1, "g1")]


async def test_a_failed_branch_raises_at_its_turn_and_the_rest_is_cancelled() -> None:
    run, model = held()

    async def failing(run: Run, number: int) -> str:
        found = await run.ask(guess, number=number)
        if number == 1:
            raise NoAnswer("1")
        return found

    async def pooled() -> list[Any]:
        found: list[Any] = []
        async with run.pool(failing) as pool:
            for number in range(4):
                pool.start(number)
            async for one in pool:
                found.append(one)
        return found

    pooling = asyncio.create_task(pooled())
    await turns()
    model.doors[0].set_result(None)
    await turns()
    model.doors[1].set_result(None)
    with pytest.raises(NoAnswer, match="1"):
        await pooling
    assert sorted(model.cancelled) == [2, 3]


@pytest.mark.parametrize("width", [None, 1])
async def test_a_pool_that_is_read_too_late_gives_what_had_ended_and_never_waits(width: int | None) -> None:
    async def failing(run: Run, number: int) -> str:
        if number == 1:
            raise NoAnswer("1")
        return await run.ask(guess, number=number)

    run = scripted(ECHO, prompt=True)
    async with run.pool(failing, width=width) as pool:
        for number in (2, 1, 3):
            pool.start(number)
        await turns(3)
    found: list[Any] = []
    async with asyncio.timeout(60):
        for _ in range(4):
            try:
                found.append(await anext(pool))
            except (NoAnswer, StopAsyncIteration) as end:
                found.append(type(end))
    assert found == [(2, "g2"), NoAnswer, (3, "g3"), StopAsyncIteration]
    async with run.pool(failing, width=width) as pool:
        for number in (2, 3, 4):
            pool.start(number)
    async with asyncio.timeout(60):
        with pytest.raises((ConcurrentUse, asyncio.CancelledError)):
            await anext(pool)
    assert await run.ask(guess, number=9) == "g9"


async def test_leaving_a_pool_cancels_what_still_runs() -> None:
    run, model = held()

    async def pooled() -> Any:
        async with run.pool(numbered, width=2) as pool:
            for number in range(4):
                pool.start(number)
            return await anext(pool)

    pooling = asyncio.create_task(pooled())
    await turns()
    model.doors[1].set_result(None)
    assert await pooling == (1, "g1")
    assert sorted(model.cancelled) == [0, 2]  # 2 had taken the free place; 3 was never begun
    assert 3 not in model.doors


async def test_an_empty_pool_ends_at_once() -> None:
    async with scripted(ECHO).pool(numbered) as pool:
        assert [found async for found in pool] == []


async def test_a_pool_belongs_to_its_strand() -> None:
    run = scripted(ECHO)
    async with run.pool(numbered) as pool:
        pool.start(1)

        async def elsewhere() -> None:
            pool.start(2)

        with pytest.raises(ConcurrentUse, match="another task"):
            await asyncio.create_task(elsewhere())
        assert await run.ask(guess, number=5) == "g5"  # the strand may work while its branches do
        assert [found async for found in pool] == [(1, "g1")]


async def test_a_closed_pool_starts_nothing() -> None:
    run = scripted(ECHO)
    async with run.pool(numbered) as pool:
        pass
    with pytest.raises(ConcurrentUse, match="closed"):
        pool.start(1)
    await turns()
    assert not run.ledger


async def test_pools_are_numbered_like_maps_and_nest() -> None:
    async def outer(run: Run, number: int) -> list[Any]:
        async with run.pool(numbered) as pool:
            pool.start(number)
            return [found async for found in pool]

    run = scripted(ECHO, reverse=True)
    for _ in range(2):
        async with run.pool(outer) as pool:
            pool.start(1)
            pool.start(2)
            assert dict([found async for found in pool]) == {1: [(1, "g1")], 2: [(2, "g2")]}
    assert [asked.path for asked in run.ledger] == [
        "pool[0]/pool[0]", "pool[1]/pool[0]", "pool#2[0]/pool[0]", "pool#2[1]/pool[0]",
    ]  # fmt: skip


async def test_the_order_of_a_pool_that_grows_is_replayed_after_every_crash() -> None:
    async def best_first(run: Run) -> list[int]:
        order: list[int] = []
        async with run.pool(numbered, width=3) as pool:
            for number in range(3):
                pool.start(number)
            async for number, _ in pool:
                order.append(number)
                if len(order) < 6:
                    pool.start(10 * number + len(order))
        return order

    run = scripted(ECHO, reverse=True)
    first = await best_first(run)
    assert len(first) == 8
    for done in range(len(tape_of(run)) + 1):
        again = scripted(ECHO, tape=tape_of(run).upto(done), reverse=done == 0)
        found = await best_first(again)
        kept = sum(row.kind == "order" for row in tape_of(run).rows if row.seq < done)
        assert found[:kept] == first[:kept]
        texts = [(asked.path, asked.inputs["number"]) for asked in again.ledger.paid]
        recorded = {(row.path, row.digest) for row in tape_of(run).rows if row.seq < done and row.kind == "model"}
        assert len(again.ledger) - len(texts) <= len(recorded)


# scope


async def test_a_scope_that_fails_leaves_the_strand_usable() -> None:
    parts: list[Run] = []

    async def failing() -> None:
        async with run.scope("part") as part:
            parts.append(part)
            raise ZeroDivisionError(await part.ask(guess, number=1))

    run = scripted(ECHO)
    with pytest.raises(ZeroDivisionError):
        await failing()
    assert await run.ask(guess, number=2) == "g2"
    with pytest.raises(ConcurrentUse, match="closed"):
        await parts[0].ask(guess, number=3)


async def test_a_scope_with_a_budget_may_be_a_text() -> None:
    run = scripted(ECHO)
    async with run.scope("part", budget="calls=1") as part:
        await part.ask(guess, number=1)
        with pytest.raises(BudgetExhausted, match="of 'part' is 1"):
            await part.ask(guess, number=2)
    with pytest.raises(UsageError, match="the limits are"):
        async with run.scope("part", budget="things=1"):
            pass
    assert await run.ask(guess, number=2) == "g2"


async def test_strategy_calls_side_by_side_in_one_branch_are_numbered() -> None:
    @strategy(calls="1")
    async def one(run: Run, task: Task) -> Answer:
        return task.answer(await run.ask(guess, number=1))

    async def twice(run: Run, _: int) -> None:
        for _ in range(2):
            await one(run, Task("?"))

    run = scripted(ECHO)
    await run.map(twice, range(2))
    assert [asked.path for asked in run.ledger] == ["map[0]/one", "map[0]/one#2", "map[1]/one", "map[1]/one#2"]
