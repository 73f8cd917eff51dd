"""The machine's clock: its time limits do as those of asyncio do, on one timer per loop."""

import asyncio
import contextlib
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import SystemClock
from stratagem.core import _clock as clock


class Skipping(asyncio.SelectorEventLoop):
    """A loop whose time stands still while something is ready, and otherwise jumps to the next timer.

    Its timers ring up to a `tick` too soon, as they may where a clock ticks slowly.
    """

    def __init__(self, tick: float = 0.0) -> None:
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self.seconds, self._clock_resolution = 0.0, tick or 1e-9
        select = selector.select

        def skip(timeout: float | None = None) -> Any:
            self.seconds += max(0.0, (timeout or 0.0) - tick / 2)
            return select(0)

        selector.select = skip  # pyright: ignore[reportAttributeAccessIssue]

    def time(self) -> float:
        return self.seconds


def driven(main: Callable[[], Awaitable[Any]], *, tick: float = 0.0) -> Any:
    async def waiting() -> Any:
        return await main()

    with asyncio.Runner(loop_factory=lambda: Skipping(tick)) as runner:
        return runner.run(waiting())


def limited(seconds: float) -> Any:
    return SystemClock().limit(seconds)


LIMITS = pytest.mark.parametrize("limit", [limited, asyncio.timeout], ids=["ours", "asyncio's"])


def now() -> float:
    return asyncio.get_running_loop().time()


def heap() -> list[Any]:
    return clock._deadlines[asyncio.get_running_loop()]._heap


@LIMITS
def test_what_takes_longer_ends_at_the_limit(limit: Any) -> None:
    async def main() -> tuple[float, str]:
        with pytest.raises(TimeoutError) as raised:
            async with limit(3):
                await asyncio.sleep(10)
        return now(), type(raised.value.__cause__).__name__

    assert driven(main) == (3, "CancelledError")


@LIMITS
def test_what_is_quicker_is_left_alone(limit: Any) -> None:
    async def main() -> float:
        async with limit(3):
            await asyncio.sleep(2)
        await asyncio.sleep(5)
        return now()

    assert driven(main) == 7


@LIMITS
def test_limits_end_in_the_order_of_their_time_however_they_were_begun(limit: Any) -> None:
    ended: list[tuple[float, float]] = []

    async def one(seconds: float) -> None:
        with pytest.raises(TimeoutError):
            async with limit(seconds):
                await asyncio.sleep(100)
        ended.append((seconds, now()))

    async def main() -> None:
        await asyncio.gather(*(one(seconds) for seconds in (5, 2, 9, 2.5, 1, 7)))

    driven(main)
    assert ended == [(1, 1), (2, 2), (2.5, 2.5), (5, 5), (7, 7), (9, 9)]


@LIMITS
@pytest.mark.parametrize(("outer", "inner", "first"), [(2, 5, "outer"), (5, 2, "inner"), (3, 3, "outer")])
def test_of_nested_limits_the_nearer_ends_what_it_encloses(limit: Any, outer: float, inner: float, first: str) -> None:
    async def main() -> tuple[str, float]:
        met = "none"
        try:
            async with limit(outer):
                try:
                    async with limit(inner):
                        await asyncio.sleep(10)
                except TimeoutError:
                    met = "inner"
        except TimeoutError:
            met = "outer"
        return met, now()

    assert driven(main) == (first, min(outer, inner))


@LIMITS
def test_after_an_inner_limit_has_passed_the_outer_one_still_holds(limit: Any) -> None:
    async def main() -> list[float]:
        passed: list[float] = []
        try:
            async with limit(5):
                for _ in range(10):
                    try:
                        async with limit(2):
                            await asyncio.sleep(10)
                    except TimeoutError:
                        passed.append(now())
        except TimeoutError:
            passed.append(now())
        return passed

    assert driven(main) == [2, 4, 5]


@LIMITS
def test_a_cancellation_in_the_moment_of_the_limit_stays_a_cancellation(limit: Any) -> None:
    async def one(seen: list[int]) -> None:
        try:
            async with limit(3):
                await asyncio.sleep(10)
        except BaseException:
            seen.append(asyncio.current_task().cancelling())  # pyright: ignore[reportOptionalMemberAccess]
            raise

    async def main() -> tuple[bool, list[int]]:
        seen: list[int] = []
        task = asyncio.create_task(one(seen))
        asyncio.get_running_loop().call_at(3, task.cancel)
        await asyncio.wait([task])
        return task.cancelled(), seen

    assert driven(main) == (True, [1])


@LIMITS
def test_a_cancellation_before_the_limit_is_no_timeout(limit: Any) -> None:
    async def one() -> None:
        async with limit(3):
            await asyncio.sleep(10)

    async def main() -> tuple[bool, float]:
        task = asyncio.create_task(one())
        asyncio.get_running_loop().call_at(1, task.cancel)
        await asyncio.wait([task])
        await asyncio.sleep(5)
        return task.cancelled(), now()

    assert driven(main) == (True, 6)


@LIMITS
def test_what_was_cancelled_before_the_limit_began_does_not_count_against_it(limit: Any) -> None:
    async def one() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:  # it cleans up, in limited time
            try:
                async with limit(3):
                    await asyncio.sleep(10)
            except TimeoutError:
                return "cleaned up"
        return "not cancelled"

    async def main() -> tuple[str, float]:
        task = asyncio.create_task(one())
        asyncio.get_running_loop().call_at(1, task.cancel)
        return await task, now()

    assert driven(main) == ("cleaned up", 4)


@LIMITS
def test_an_error_in_the_moment_of_the_limit_is_not_hidden(limit: Any) -> None:
    async def main() -> int:
        async def failing() -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                raise KeyError("mine") from None

        with pytest.raises(KeyError):
            async with limit(3):
                await failing()
        return asyncio.current_task().cancelling()  # pyright: ignore[reportOptionalMemberAccess]

    assert driven(main) == 0


@LIMITS
@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_at_all_ends_what_suspends_and_nothing_else(limit: Any, seconds: float) -> None:
    async def main() -> list[str]:
        met: list[str] = []
        async with limit(seconds):
            met.append("without a pause")
        await asyncio.sleep(0)
        try:
            async with limit(seconds):
                await asyncio.sleep(0)
                met.append("not reached")
        except TimeoutError:
            met.append("paused")
        return met

    assert driven(main) == ["without a pause", "paused"]


@LIMITS
def test_a_loop_that_rings_a_tick_too_early_ends_a_limit_all_the_same(limit: Any) -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with limit(3):
                await asyncio.sleep(10)
        return now()

    assert driven(main, tick=0.5) == 2.75


@LIMITS
def test_a_limit_without_an_end_never_ends(limit: Any) -> None:
    async def main() -> float:
        async with limit(float("inf")):
            await asyncio.sleep(1e6)
        return now()

    assert driven(main) == 1e6


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 8), st.integers(0, 12)), max_size=12))
def test_any_mix_of_limits_and_cancellations_ends_as_with_asyncio(mix: list[tuple[int, int, int, int]]) -> None:
    def ends(limit: Any) -> list[tuple[int, float, str]]:
        ended: list[tuple[int, float, str]] = []

        async def one(number: int, outer: int, inner: int, takes: int) -> None:
            try:
                async with limit(outer):
                    for _ in range(2):
                        with contextlib.suppress(TimeoutError):
                            async with limit(inner):
                                await asyncio.sleep(takes)
                        ended.append((number, now(), "inner"))
            except BaseException as failure:
                ended.append((number, now(), type(failure).__name__))
                raise

        async def main() -> None:
            tasks = [asyncio.create_task(one(number, *parts[:3])) for number, parts in enumerate(mix)]
            for task, parts in zip(tasks, mix, strict=True):
                asyncio.get_running_loop().call_at(parts[3] + 0.5, task.cancel)
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(20)

        driven(main)
        return sorted(ended)

    assert ends(limited) == ends(asyncio.timeout)


def test_a_loop_has_one_timer_for_all_limits() -> None:
    async def main() -> int:
        timers: list[float] = []
        loop: Any = asyncio.get_running_loop()
        call_at = loop.call_at

        def counted(when: float, *rest: Any, **more: Any) -> Any:
            timers.append(when)
            return call_at(when, *rest, **more)

        loop.call_at = counted

        async def one() -> None:
            async with limited(600):
                await asyncio.sleep(0)

        await asyncio.gather(*(one() for _ in range(50)))
        return len(timers)

    assert driven(main) == 1


def test_limits_that_were_left_are_thrown_out_and_hold_no_task() -> None:
    async def main() -> tuple[int, int]:
        async def one() -> None:
            async with limited(600):
                await asyncio.sleep(0)

        async with limited(1000):
            for _ in range(1000):
                await one()
            return len(heap()), sum(entry[2].task is not None for entry in heap())

    kept, live = driven(main)
    assert kept <= 66
    assert live == 1


def test_limits_that_were_left_are_forgotten_when_the_timer_rings() -> None:
    async def main() -> tuple[int, int]:
        for _ in range(10):
            async with limited(2):
                await asyncio.sleep(0)
        before = len(heap())
        async with limited(10):
            await asyncio.sleep(3)
            return before, len(heap())

    assert driven(main) == (10, 1)


def test_a_loop_that_was_closed_with_limits_left_is_forgotten() -> None:
    async def stuck() -> None:
        async with limited(600):
            await asyncio.Event().wait()

    loop = Skipping()
    task = loop.create_task(stuck())
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert loop in clock._deadlines
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()

    async def main() -> list[bool]:
        async with limited(1):
            return [other.is_closed() for other in clock._deadlines]

    assert not any(driven(main))


def test_a_limit_outside_a_task_is_refused() -> None:
    async def enter() -> None:
        async with limited(1):
            pass

    async def main() -> str:
        loop, met = asyncio.get_running_loop(), asyncio.Event()
        said: list[str] = []

        def step() -> None:
            with pytest.raises(RuntimeError, match="inside a task") as raised:
                enter().send(None)
            said.append(str(raised.value))
            met.set()

        loop.call_soon(step)
        await met.wait()
        return said[0]

    assert driven(main) == "a time limit is used inside a task"
