"""One driver for a run: in a session, on a machine; and what a resumed run may do."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stratagem import session
from stratagem.core import Answer, MemoryJournal, Run, StoredRun, Task, decoded, encoded, signature, strategy
from stratagem.errors import BudgetExhausted, OwnedElsewhere, UsageError
from stratagem.session._fitting import fitted
from stratagem.session._owner import _started, elsewhere, new_owner
from stratagem.testing import ScriptedModel

HAPPENED = {
    "type": "object",
    "properties": {"happened": {"type": ["boolean", "null"]}, "result": {"type": "string"}},
    "required": ["happened"],
}


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


WORLD: dict[Any, Any] = {guess: lambda number: f"g{number}"}


@strategy(calls="3", lower="3")
async def thrice(run: Run, task: Task) -> Answer:
    async def one(run: Run, number: int) -> str:
        return await run.ask(guess, number=number)

    found = await run.map(one, range(3), tolerate=(BudgetExhausted,))
    run.now()
    return task.answer("+".join(found))


def opened(**settings: Any) -> Any:
    return session.open(model=ScriptedModel(WORLD), memory="none", **{"journal": "memory", **settings})


async def test_two_drivers_of_one_id_in_a_session_are_one_too_many() -> None:
    async with opened() as one:
        first, second = await asyncio.gather(
            one.run(thrice, "?", run_id="mine"), one.run(thrice, "?", run_id="mine"), return_exceptions=True
        )
        assert first.text == "g0+g1+g2"
        assert isinstance(second, OwnedElsewhere)
        assert (await one.run(thrice, "?", run_id="mine")).text == "g0+g1+g2"
    with pytest.raises(UsageError, match="closed"):
        await one.run(thrice, "?")


@pytest.fixture
def sleeper() -> Iterator[Any]:
    """Return a process that lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


async def test_a_living_process_keeps_its_run_and_a_dead_one_does_not(sleeper: Any) -> None:
    journal = MemoryJournal()
    async with opened(journal=journal) as one:
        await one.run(thrice, "?", run_id="theirs", budget="calls=1")
        mine = decoded(new_owner())
        owner = encoded({**mine, "pid": sleeper.pid, "started": _started(sleeper.pid)})
        journal.beat(owner)
        stored = await journal.find("theirs")
        assert stored is not None
        await journal.claim("theirs", stored.epoch, owner)
        with pytest.raises(OwnedElsewhere, match=rf"driven by process {sleeper.pid} on .*, which was alive 0 s ago"):
            await one.resume("theirs")
        assert stored.rows == (await journal.load("theirs"))[0].rows
        sleeper.kill()
        sleeper.wait()
        assert (await one.resume("theirs", budget="calls=3")).text == "g0+g1+g2"


@pytest.mark.parametrize(("host", "age", "kept"), [("another", 14, True), ("another", 15, False), ("", 16, False)])
async def test_who_cannot_be_looked_at_keeps_a_run_for_the_time_of_a_lease(
    clock: Any, host: str, age: int, kept: bool
) -> None:
    journal = MemoryJournal(clock)
    form = decoded(new_owner())
    owner = encoded({**form, "id": "theirs", "host": host or form["host"]})  # or this very process, which has stopped
    journal.create(StoredRun("theirs", owner=owner))
    journal.beat(owner)
    clock.advance(age)
    run = await journal.find("theirs")
    assert run is not None
    assert bool(await elsewhere(journal, run, new_owner())) is kept
    assert not await elsewhere(journal, run, owner)


async def test_an_owner_that_never_said_that_it_is_alive_keeps_nothing() -> None:
    journal = MemoryJournal()
    for owner in (b"", b"7", encoded({"id": "x"}), new_owner()):
        assert not await elsewhere(journal, StoredRun("theirs", owner=owner), new_owner())


async def test_who_drives_a_run_is_alive_as_long_as_it_lasts(monkeypatch: Any) -> None:
    monkeypatch.setattr("stratagem.session._lives.BEAT_S", 0.001)
    beats: list[bytes] = []

    class Counting(MemoryJournal):
        def beat(self, owner: bytes) -> None:
            beats.append(owner)
            super().beat(owner)

    @strategy(calls="0")
    async def patient(run: Run, task: Task) -> Answer:
        while len(beats) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return task.answer("done")

    async with opened(journal=Counting()) as one:
        assert (await one.run(patient, "?")).text == "done"
        number = len(beats)
        await asyncio.sleep(0.01)
    assert len(beats) == number
    assert len(set(beats)) == 1


async def test_a_raised_budget_goes_on_also_where_the_refusal_was_tolerated() -> None:
    async with opened() as one:
        short = await one.run(thrice, "?", budget="calls=1")
        assert (short.stop, short.text) == ("budget", "g0")
        assert (await one.resume(short.run_id)).text == "g0"
        whole = await one.resume(short.run_id, budget="calls=5")
        assert (whole.stop, whole.text, whole.usage.calls) == ("answered", "g0+g1+g2", 3)


SEEN: list[str] = []


@strategy(calls="0")
async def looks(run: Run, task: Task) -> Answer:
    SEEN.append(run.strand.world.services.policy.spec)
    return task.answer("looked")


@pytest.mark.parametrize(("policy", "holds"), [(None, "never,mail"), ("never", "never"), ("ask,mail", "ask,mail")])
async def test_a_policy_that_is_given_holds_for_what_is_resumed(policy: str | None, holds: str) -> None:
    journal = MemoryJournal()
    async with opened(journal=journal, policy="never,mail") as one:
        run_id = (await one.run(thrice, "?", budget="calls=1")).run_id
    async with opened(journal=journal, policy=policy) as two:
        await two.resume(run_id, strategy=looks)
    assert SEEN[-1] == holds


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"happened": True, "result": "x"}, {"happened": True, "result": "x"}),
        ({"happened": None}, {"happened": None}),
        (False, {"happened": False}),
    ],
)
def test_an_answer_fits_its_question(value: Any, fits: Any) -> None:
    assert fitted(HAPPENED, value) == fits


@pytest.mark.parametrize("value", [{"happened": "maybe"}, {"happened": 1}, {}, "no", {"happened": True, "result": 7}])
def test_an_answer_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="the answer"):
        fitted(HAPPENED, value)


async def test_a_listener_that_leaves_the_program_breaks_nothing(capsys: Any) -> None:
    def leaves(event: Any) -> None:
        raise SystemExit(3)

    async with opened(on_event=leaves) as one:
        assert (await one.run(thrice, "?")).text == "g0+g1+g2"
    assert "a listener failed" in capsys.readouterr().err


async def test_an_answer_that_no_json_can_hold_is_kept_without_its_value(tmp_path: Path) -> None:
    @strategy(calls="0")
    async def odd(run: Run, task: Task) -> Answer:
        return Answer("a\ud800", value={1, float("nan")}, confidence=float("nan"))

    async with opened(journal=f"sqlite:{tmp_path / 'j.sqlite'}") as one:
        answer = await one.run(odd, "?")
        record = await one.show(answer.run_id)
        assert (record.state, record.end["answer"]["text"]) == ("finished", "a\ufffd")
        assert record.end["answer"]["value"] is record.end["answer"]["confidence"] is None
