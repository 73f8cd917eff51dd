"""Every way in which a run ends: what is returned, what is raised, what is stored."""

import asyncio
from typing import Any

import pytest

from stratagem.core import (
    Answer,
    Capabilities,
    MemoryJournal,
    Run,
    Task,
    Usage,
    Verdict,
    judge,
    signature,
    strategy,
    tool,
)
from stratagem.errors import (
    BadReply,
    BudgetExhausted,
    CapabilityError,
    ConcurrentUse,
    ContextTooLong,
    CutReply,
    Diverged,
    JournalError,
    ModelError,
    NoAnswer,
    NoReply,
    NotAuthorised,
    OwnedElsewhere,
    PolicyDenied,
    RateLimited,
    Refused,
    Rejected,
    SandboxError,
    ScriptMiss,
    StratagemError,
    TimedOut,
    ToolError,
    Unavailable,
    UnparsedReply,
    Unreachable,
    UsageError,
)
from stratagem.testing import Raw


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


WORLD: dict[Any, Any] = {guess: lambda number: Raw("") if number < 0 else f"g{number}"}
raising: list[BaseException] = []


@strategy(calls="2")
async def failing(run: Run, task: Task) -> Answer:
    """Offer an answer, then raise what the test wants."""
    run.offer(task.answer(await run.ask(guess, number=1)))
    await run.ask(guess, number=2)
    if raising:
        raise raising[0]
    return task.answer("the end")


async def test_a_limit_of_money_with_an_unknown_price_is_refused_before_anything_is_recorded(
    opened: Any, counting: Any
) -> None:
    class Dear(counting):
        capabilities = Capabilities(frozenset({"temperature"}))

        def __init__(self) -> None:
            super().__init__(WORLD)
            del self.capabilities

    model = Dear()
    async with opened(model) as s:
        for budget in ("usd=1", "usd=0"):
            with pytest.raises(UsageError, match="the price of the model 'scripted', which is unknown") as caught:
                await s.run(failing, "?", budget=budget)
            assert "calls or tokens" in caught.value.remedy
        assert await s.runs() == []
        raising.clear()
        first = await s.run(failing, "?", budget="calls=1")
        assert first.stop == "budget"
        with pytest.raises(UsageError, match="price"):
            await s.resume(first.run_id, budget="usd=1")
        with pytest.raises(UsageError, match="price"):
            await s.fork(first.run_id, set={"budget": "usd=1"})
        (record,) = await s.runs()
        assert (record.state, record.stop) == ("finished", "budget")
        assert (await s.resume(first.run_id, budget="calls=2")).text == "the end"
    async with opened(model, budget="usd=1", options={"model": "offline"}) as s:
        assert (await s.run("direct", "zzz")).stop == "no_answer"  # the model that is asked is free
    assert len(model.requests) == 2


async def asked(session: Any, count: int) -> None:
    """Wait until so many requests have reached the model."""
    for _ in range(1000):
        if len(session._services.model.requests) >= count:
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody asks")


class Broken(StratagemError):
    """A failure of somebody else's strategy."""


EXPECTED: list[tuple[StratagemError, str]] = [
    (NoAnswer("gave up"), "no_answer"),
    (UnparsedReply("s", "x"), "unparsed"),
    (Refused("no"), "refused"),
    (BudgetExhausted("calls", 3, "part"), "budget"),
    (ToolError("the file is not there"), "no_answer"),
    (PolicyDenied("not granted"), "no_answer"),
    (SandboxError("no wall"), "no_answer"),
    (TimedOut("too long"), "no_answer"),
    (Broken("of my own"), "no_answer"),
]
RAISED: list[StratagemError] = [
    UsageError("u"), CapabilityError("c"), ConcurrentUse("c"), JournalError("j"), OwnedElsewhere("o"),
    Diverged("p", "a", "n", ("x",)), ModelError("m"), Unreachable("u"), RateLimited("r"), Unavailable("u"), NoReply("n"),
    CutReply("c"), BadReply("b"), Rejected("r"), ContextTooLong("c"), NotAuthorised("n"), ScriptMiss("s"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_raised() -> None:
    raising.clear()


async def test_an_answered_run_has_all_that_the_session_fills_in(opened: Any) -> None:
    async with opened(WORLD) as s:
        answer = await s.run(failing, "?")
        assert (answer.text, answer.value, answer.stop, answer.ok, answer.reason) == (
            "the end",
            "the end",
            "answered",
            True,
            "",
        )
        assert answer.usage.calls == 2
        assert answer.usage.prompt_tokens > 0
        assert answer.usage.usd == 0
        assert answer.label.sources == {"user"}
        assert answer.label.trusted
        record = await s.show(answer.run_id)
        assert (record.state, record.stop, record.question) == ("finished", "answered", "?")
        assert record.stored.rows == 2
        assert record.usage().calls == 2
        assert (
            str(answer)
            == f"the end\n\nanswered · 2 calls · {answer.usage.tokens} tokens · no charge · {answer.usage.seconds:.1f} s · run {answer.run_id}"
        )


@pytest.mark.parametrize(("failure", "stop"), EXPECTED, ids=lambda value: str(getattr(type(value), "__name__", value)))
async def test_an_expected_failure_is_an_answer_with_the_best_that_was_offered(
    opened: Any, failure: StratagemError, stop: str
) -> None:
    raising.append(failure)
    async with opened(WORLD) as s:
        answer = await s.run(failing, "?")
        assert (answer.stop, answer.ok, answer.text, answer.value) == (stop, False, "g1", "g1")
        assert answer.reason == str(failure)
        assert (answer.usage.calls, bool(answer.run_id)) == (2, True)
        record = await s.show(answer.run_id)
        assert (record.state, record.stop) == ("finished", stop)
        assert "best answer so far, not verified" in str(answer)


@pytest.mark.parametrize("failure", RAISED, ids=lambda value: type(value).__name__)
async def test_what_somebody_must_repair_is_raised_and_the_run_goes_on_afterwards(
    opened: Any, failure: StratagemError
) -> None:
    raising.append(failure)
    async with opened(WORLD) as s:
        with pytest.raises(type(failure)) as caught:
            await s.run(failing, "?", run_id="mine")
        assert caught.value is failure
        record = await s.show("mine")
        assert (record.state, record.stop, len(record.rows)) == ("failed", None, 2)
        raising.clear()
        answer = await s.resume("mine")
        assert (answer.text, answer.usage.calls) == ("the end", 2)
        assert len(s._services.model.requests) == 2
        assert (await s.show("mine")).state == "finished"


@pytest.mark.parametrize(
    "failure", [ZeroDivisionError("1 / 0"), AssertionError("no"), RecursionError("deep"), MemoryError()]
)
async def test_an_exception_that_is_not_ours_leaves_the_run_failed_and_resumable(
    opened: Any, failure: Exception
) -> None:
    raising.append(failure)
    async with opened(WORLD) as s:
        with pytest.raises(type(failure)):
            await s.run(failing, "?", run_id="mine")
        record = await s.show("mine")
        assert (record.state, record.error) == ("failed", {"kind": type(failure).__name__, "message": str(failure)})
        raising.clear()
        assert (await s.resume("mine")).text == "the end"
        assert len(s._services.model.requests) == 2


async def test_what_is_kept_of_an_exception_is_short_and_has_no_keys(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1")
    raising.append(RuntimeError(f"header: sk-canary-1, body: {'x' * 600}"))
    async with opened(WORLD) as s:
        with pytest.raises(RuntimeError, match="canary"):
            await s.run(failing, "?", run_id="mine")
        raising.clear()
        stored = await s._services.journal.find("mine")
        assert b"canary" not in stored.end
        message = (await s.show("mine")).error["message"]
        assert (message[:16], message[-7:], len(message)) == ("header: ***, bod", "x [cut]", 506)
        await s.resume("mine")
        assert (await s.show("mine")).error is None


async def test_a_model_error_from_the_model_is_raised_and_asked_again(opened: Any) -> None:
    down: dict[Any, Any] = {guess: lambda number: RateLimited("slow down") if number == 2 else "g"}
    async with opened(down) as s:
        with pytest.raises(RateLimited):
            await s.run(failing, "?", run_id="mine")
        s._services.model._script = WORLD
        answer = await s.resume("mine")
        assert answer.text == "the end"
        assert len(s._services.model.requests) == 3


async def test_what_the_program_must_return_is_an_answer(opened: Any) -> None:
    @strategy(calls="0")
    async def wrong(run: Run, task: Task) -> Answer:
        return "text"  # pyright: ignore[reportReturnType]

    async with opened(WORLD) as s:
        with pytest.raises(TypeError, match=r"must return `task.answer\(...\)`, not 'text'"):
            await s.run(wrong, "?")


async def test_a_refused_limit_is_the_stop_even_if_the_strategy_answers(opened: Any) -> None:
    @strategy(calls="3")
    async def tolerant(run: Run, task: Task) -> Answer:
        found = await run.map(lambda run, n: run.ask(guess, number=n), range(3), tolerate=(BudgetExhausted,))
        return task.answer("+".join(found))

    async with opened(WORLD) as s:
        answer = await s.run(tolerant, "?", budget="calls=2")
        assert (answer.stop, answer.text, answer.usage.calls) == ("budget", "g0+g1", 2)
        assert answer.reason == "budget exhausted: calls limit is 2"


async def test_a_scopes_own_limit_does_not_stop_the_run(opened: Any) -> None:
    @strategy(calls="2")
    async def careful(run: Run, task: Task) -> Answer:
        try:
            async with run.scope("try", "calls=1") as part:
                for number in range(2):
                    await part.ask(guess, number=number)
        except BudgetExhausted:
            pass
        return task.answer("careful")

    async with opened(WORLD) as s:
        answer = await s.run(careful, "?", budget="calls=9")
        assert (answer.stop, answer.usage.calls) == ("answered", 1)


async def test_a_tool_error_that_escapes_is_no_answer(opened: Any) -> None:
    @tool
    def missing() -> str:
        """Miss."""
        raise FileNotFoundError("a.txt")

    @strategy(calls="0")
    async def reading(run: Run, task: Task) -> Answer:
        return task.answer((await run.call(missing)).value)

    async with opened(WORLD, tools=(missing,)) as s:
        answer = await s.run(reading, "?")
        assert (answer.stop, answer.text) == ("no_answer", "")
        assert answer.reason == "`missing` failed: FileNotFoundError: a.txt"
        assert answer.label.sources == {"user", "tool:missing"}


@strategy(calls="0")
async def asking(run: Run, task: Task) -> Answer:
    first = await run.wait("Which colour?", schema=str)
    second = await run.wait("Sure?")
    return task.answer(f"{first} {second}")


async def test_a_run_that_waits_is_suspended_until_it_is_answered(opened: Any) -> None:
    async with opened(WORLD) as s:
        answer = await s.run(asking, "?", run_id="mine")
        assert (answer.stop, answer.text, answer.reason) == ("suspended", "", "Which colour?")
        record = await s.show("mine")
        assert record.state == "waiting"
        (question,) = record.questions()
        assert (question["question"], question["schema"]) == ("Which colour?", {"type": "string"})
        assert (await s.resume("mine")).stop == "suspended"  # nobody has answered
        for wrong in (None, ["red"], {"a": 1}):
            with pytest.raises(UsageError, match="the answer must be a string"):
                await s.answer("mine", wrong)
        with pytest.raises(UsageError, match="no open question 'nobody'"):
            await s.answer("mine", "red", question="nobody")
        await s.answer("mine", "red", question=question["id"])
        assert (await s.show("mine")).questions() == []
        assert (await s.resume("mine")).reason == "Sure?"
        await s.answer("mine", "true")
        done = await s.resume("mine")
        assert (done.stop, done.text) == ("answered", "red True")
        with pytest.raises(UsageError, match="waits for nobody"):
            await s.answer("mine", value=True)


async def test_a_cancelled_run_is_an_answer_and_can_be_resumed(opened: Any, counting: Any) -> None:
    class Slow(counting):  # type: ignore[misc]
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            self.requests.append(request)
            if request.inputs["number"] == 2 and len(self.requests) == 2:
                await asyncio.get_running_loop().create_future()
            return self._reply(request, "g")

    async with opened(Slow(WORLD)) as s:
        running = asyncio.create_task(s.run(failing, "?", run_id="mine"))
        await asked(s, 2)
        assert s.live == ("mine",)
        assert s.cancel("mine")
        answer = await running
        assert (answer.stop, answer.text, answer.usage.calls) == ("cancelled", "g", 2)
        assert s.live == ()
        assert not s.cancel("mine")
        record = await s.show("mine")
        assert (record.state, record.stop, len(record.rows)) == ("cancelled", "cancelled", 1)
        assert (await s.resume("mine")).text == "the end"
        assert len(s._services.model.requests) == 3  # what was in flight is paid once more


async def test_a_cancelled_call_stays_billed_through_every_resume(opened: Any, counting: Any) -> None:
    class Slow(counting):  # type: ignore[misc]
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            self.requests.append(request)
            if len(self.requests) <= 3:
                try:
                    await asyncio.get_running_loop().create_future()
                except asyncio.CancelledError as left:
                    vars(left)["usage"] = Usage(1, 1, 100, 10, usd=0.25, estimated=True)
                    raise
            return self._reply(request, "g")

    async with opened(Slow(WORLD), budget="calls=20") as s:
        for drive in range(3):
            running = asyncio.create_task(s.resume("mine") if drive else s.run(failing, "?", run_id="mine"))
            await asked(s, drive + 1)
            s.cancel("mine")
            used = (await running).usage
            assert (used.calls, used.requests, used.tokens, used.usd) == (
                drive + 1,
                drive + 1,
                110 * (drive + 1),
                0.25 * (drive + 1),
            )
        own = (await s.show("mine")).record.get("paid")
        assert own["calls"] == 2  # of the drives before the last
        answer = await s.resume("mine")
        assert (answer.text, answer.usage.calls, answer.usage.usd, answer.usage.estimated) == ("the end", 5, 0.75, True)
        record = await s.show("mine")
        assert record.usage()._replace(seconds=0.0) == answer.usage._replace(seconds=0.0)
    async with opened(Slow(WORLD), budget="calls=2") as s:
        for drive in range(2):
            running = asyncio.create_task(s.resume("mine") if drive else s.run(failing, "?", run_id="mine"))
            await asked(s, drive + 1)
            s.cancel("mine")
            await running
        assert (await s.resume("mine")).stop == "budget"
        assert len(s._services.model.requests) == 2


async def test_a_failed_call_that_is_tried_again_is_paid_twice_and_shown_twice(opened: Any, counting: Any) -> None:
    class Down(counting):  # type: ignore[misc]
        def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            self.requests.append(request)
            if len(self.requests) == 1:
                failure = Unavailable("busy", status=503)
                failure.usage = Usage(1, 5, 500, 0, usd=None, estimated=True)
                raise failure
            return self._reply(request, "g")

    async with opened(Down(WORLD)) as s:
        with pytest.raises(Unavailable):
            await s.run(failing, "?", run_id="mine")
        used = (await s.resume("mine")).usage
        assert (used.calls, used.requests, used.prompt_tokens) == (3, 7, 506)
        assert (used.usd, used.known_usd, used.unpriced, used.estimated) == (None, 0.0, 1, True)
        record = await s.show("mine")
        assert record.usage()._replace(seconds=used.seconds) == used
        assert record.costs()[""].calls == 3


async def test_who_cancels_the_task_of_a_run_gets_a_cancellation(opened: Any, counting: Any) -> None:
    class Stuck(counting):  # type: ignore[misc]
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            self.requests.append(request)
            await asyncio.get_running_loop().create_future()

    async with opened(Stuck(WORLD)) as s:
        running = asyncio.create_task(s.run(failing, "?", run_id="mine"))
        await asked(s, 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await s.show("mine")).state == "cancelled"


async def test_leaving_the_session_stops_what_still_runs(opened: Any, counting: Any) -> None:
    class Stuck(counting):  # type: ignore[misc]
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            self.requests.append(request)
            await asyncio.get_running_loop().create_future()

    journal = MemoryJournal()
    async with opened(Stuck(WORLD), journal=journal) as s:
        running = asyncio.create_task(s.run(failing, "?", run_id="mine"))
        await asked(s, 1)
    assert (await running).stop == "cancelled"
    assert (await journal.load("mine"))[0].state == "cancelled"


async def test_the_usage_of_a_run_is_the_sum_of_its_effects(opened: Any) -> None:
    async with opened(WORLD) as s:
        answer = await s.run(failing, "?")
        record = await s.show(answer.run_id)
        total = record.usage()
        assert total._replace(seconds=0) == answer.usage._replace(seconds=0)
        assert isinstance(total, Usage)


async def test_five_unparsable_replies_running_end_the_run_as_unparsed(opened: Any) -> None:
    @strategy(calls="1")
    async def unreadable(run: Run, task: Task) -> Answer:
        return task.answer(await run.ask(guess, number=-1))

    async with opened(WORLD, repairs=4) as s:
        answer = await s.run(unreadable, "?")
        assert (answer.stop, answer.usage.calls) == ("unparsed", 5)


async def test_an_answer_carries_the_truth_of_every_judge_that_was_called(opened: Any) -> None:
    @judge(calls="0", needs="checker")
    async def tested(run: Run, task: Task, answer: Answer) -> Verdict:
        return Verdict(True, 1.0)

    @strategy(calls="0")
    async def asking(run: Run, task: Task) -> Answer:
        answer = task.answer("42")
        await tested(run, task, answer)
        return answer

    async with opened({}) as s:
        answer = await s.run(asking, "?", run_id="mine")
        assert answer.needs == {"checker"}
        assert (await s.resume("mine")).needs == {"checker"}
