"""How tools are called: policy, intents, and what a crash means."""

from collections.abc import Mapping
from typing import Any

import pytest

from stratagem.core import (
    Answer,
    Decision,
    Label,
    ReadOnly,
    Run,
    Task,
    Tool,
    ToolCall,
    signature,
    strategy,
    tool,
)
from stratagem.errors import Suspended
from stratagem.testing import Tape, scripted, tape_of


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


ECHO: dict[Any, Any] = {guess: lambda number: f"g{number}"}


@tool
def look(where: str = "here") -> str:
    """Look."""
    return f"seen {where}"


done: list[tuple[str, str]] = []


@tool(effect="send", repeat="once")
def mail(text: str) -> str:
    """Send a mail."""
    done.append(("mail", text))
    return f"sent {text}"


@tool(effect="send", repeat="keyed")
def post(text: str, key: str = "") -> str:
    """Post once per key."""
    done.append((key, text))
    return f"posted {text}"


GRANTED = ReadOnly(["send"])


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


def acting(tape: Tape | None = None, **settings: Any) -> Run:
    return scripted(ECHO, tools=(look, mail, post), tape=tape, **{"policy": GRANTED, **settings})


# What cannot be called


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (ToolCall("lok"), "Invalid action: there is no tool 'lok'"),
        (ToolCall(""), "Invalid action: there is no tool ''"),
        (ToolCall("look\x00"), "Invalid action: there is no tool 'look\\x00'"),
        (ToolCall("look", {"were": 1}), "`look` has no argument 'were', only where"),
        (ToolCall("mail"), "`mail`: argument 'text' is missing"),
        (ToolCall("mail", {"": ""}), "sent "),
    ],
)
async def test_an_invalid_action_is_a_text(call: ToolCall, text: str) -> None:
    seen = await acting().call(call)
    assert seen.text == text
    assert seen.failed == (not text.startswith("sent"))


async def test_only_what_the_nearest_strategy_calls_task_names_may_be_called() -> None:
    texts: list[str] = []

    @strategy(calls="0")
    async def inner(run: Run, task: Task) -> Answer:
        assert [tool.name for tool in run.tools] == list(("look", "mail", "post") if task.tools is None else task.tools)
        texts.append((await run.call(look)).text)
        async with run.scope("part") as part:
            texts.append((await part.call(ToolCall("mail", {"text": "x"}))).text)
        return task.answer("x")

    run = acting()
    await inner(run, Task("?", tools=("look",)))
    await inner(run, Task("?", tools=("mail",)))
    await inner(run, Task("?", tools=()))
    await inner(run, Task("?"))
    none = "Invalid action: there is no tool "
    assert texts == [
        "seen here",
        f"{none}'mail'",
        f"{none}'look'",
        "sent x",
        f"{none}'look'",
        f"{none}'mail'",
        "seen here",
        "sent x",
    ]


async def test_a_tool_that_is_not_granted_cannot_be_called_by_its_object() -> None:
    @tool
    def other() -> str:
        """Do something else."""
        return "done"

    assert (await acting().call(other)).text == "Invalid action: there is no tool 'other'"


# Policy


async def test_read_and_self_run_and_all_else_needs_a_grant_or_a_person() -> None:
    effects = ["read", "self", "send", "fetch", "destroy", "credential", "spend", "exec"]
    kinds = []
    for effect in effects:
        made = _of(effect)
        kinds.append(ReadOnly().decide(made, {}, Label({"user"})).kind)
        assert ReadOnly([effect]).decide(made, {}, Label({"user"})).kind == "allow"
        assert ReadOnly(["t"]).decide(made, {}, Label({"user"})).kind == "allow"
        assert ReadOnly(ask=False).decide(made, {}, Label({"user"})).kind in ("allow", "deny")
    assert kinds == ["allow", "allow", *["ask"] * 6]


def _of(effect: Any) -> Tool:
    def act() -> str:
        """Act."""
        return "x"

    return Tool(act, name="t", effect=effect)


async def test_what_is_denied_is_not_performed_and_not_recorded() -> None:
    run = acting(policy=ReadOnly(ask=False))
    seen = await run.call(mail, text="x")
    assert (seen.failed, seen.text) == (True, "Denied: `mail` has the effect 'send', which is not granted")
    assert (done, len(tape_of(run))) == ([], 0)
    later = acting(tape_of(run))
    assert (await later.call(mail, text="x")).text == "sent x"  # the grant came in between


async def test_what_is_to_be_asked_waits_for_a_person() -> None:
    run = acting(policy=ReadOnly())
    with pytest.raises(Suspended, match="Allow mail"):
        await run.call(mail, text="x")
    (number, question), *_ = run.strand.world.questions.items()
    assert question["question"] == 'Allow mail({"text":"x"})? Effect: send.'
    assert question["schema"] == {"enum": ["yes", "no", "always"]}
    for said, text in (("yes", "sent x"), ("no", "Denied: a person refused `mail`")):
        tape = Tape()
        tape.answers[number] = said
        again = acting(tape, policy=ReadOnly())
        assert (await again.call(mail, text="x")).text == text
        third = acting(tape_of(again), policy=ReadOnly())  # the answer is history
        third.strand.world.book.answers.clear()
        assert (await third.call(mail, text="x")).text == text
    assert done == [("mail", "x")]


async def test_two_equal_calls_are_two_questions() -> None:
    async def twice(run: Run) -> None:
        for _ in range(2):
            await run.call(mail, text="x")

    numbers: list[str] = []
    tape = Tape()
    for _ in range(2):
        run = acting(tape, policy=ReadOnly())
        with pytest.raises(Suspended):
            await twice(run)
        (number,) = run.strand.world.questions
        numbers.append(number)
        tape = tape_of(run)
        tape.answers[number] = True
    assert len(set(numbers)) == 2
    await twice(acting(tape, policy=ReadOnly()))
    assert done == [("mail", "x")] * 2


async def test_a_recorded_call_asks_no_policy() -> None:
    class Counting:
        spec = "counting"
        asked = 0

        def decide(self, tool: Tool, arguments: Mapping[str, Any], context: Label) -> Decision:
            self.asked += 1
            return Decision("allow")

    policy = Counting()
    run = acting(policy=policy)
    await run.call(look)
    await acting(tape_of(run), policy=policy).call(look)
    assert policy.asked == 1


# Intents and crashes


def crashed(tape: Tape) -> Tape:
    """Return the tape of a crash between the last intent and its result."""
    intent = max(row.seq for row in tape.rows if row.kind == "intent")
    return tape.upto(intent + 1)


async def test_an_intent_stands_before_what_must_not_happen_twice_and_before_nothing_else() -> None:
    run = acting()
    await run.call(look)
    await run.call(mail, text="a")
    await run.call(post, text="b")
    kinds = [(row.kind, row.request.count(b"look")) for row in tape_of(run).rows]
    assert kinds == [("tool", 1), ("intent", 0), ("tool", 0), ("intent", 0), ("tool", 0)]
    rows = tape_of(run).rows
    assert rows[1].digest == rows[2].digest
    assert rows[1].result == b""


async def test_a_free_tool_is_performed_again_after_a_crash() -> None:
    run = acting()
    await run.call(look)
    assert (await acting(tape_of(run).upto(0)).call(look)).text == "seen here"


async def test_a_keyed_tool_is_performed_again_with_its_key() -> None:
    run = acting()
    await run.call(post, text="b")
    await run.call(post, text="b")
    await run.call(post, text="c")
    keys = [key for key, _ in done]
    assert len(set(keys)) == 3
    assert all(len(key) == 64 for key in keys)
    again = acting(crashed(tape_of(run)))
    for text in "bbc":
        await again.call(post, text=text)
    assert [key for key, _ in done] == [*keys, keys[2]]
    fork = acting(tape_of(run).fork(at=0))
    fork.strand.world.origin = "run"
    await fork.call(post, text="b")
    assert done[-1][0] == keys[0]  # a fork is of the same first ancestor


async def test_the_key_of_a_tool_depends_on_the_run_the_place_and_the_arguments() -> None:
    async def branch(run: Run, _: int) -> None:
        await run.call(post, text="b")

    run = acting()
    await run.map(branch, range(2))
    await run.call(post, text="b")
    other = acting()
    other.strand.world.origin = "another"
    await other.call(post, text="b")
    assert len({key for key, _ in done}) == 4


HAPPENED = [
    ({"happened": True, "result": "it was sent"}, "it was sent", False, 1),
    ({"happened": True}, "", False, 1),
    ({"happened": False}, "sent x", False, 2),
    ({"happened": None}, "`mail` may have happened: nobody knows", True, 1),
]


@pytest.mark.parametrize(("said", "text", "failed", "mails"), HAPPENED)
async def test_a_once_tool_is_never_performed_again_without_a_persons_word(
    said: Any, text: str, failed: bool, mails: int
) -> None:
    run = acting()
    await run.call(mail, text="x")
    asking = acting(crashed(tape_of(run)))
    with pytest.raises(Suspended, match="Did mail"):
        await asking.call(mail, text="x")
    assert done == [("mail", "x")]
    tape = tape_of(asking)
    (number, question), *_ = asking.strand.world.questions.items()
    assert question["schema"]["required"] == ["happened"]
    tape.answers[number] = said
    again = acting(tape)
    seen = await again.call(mail, text="x")
    assert (seen.text, seen.failed, len(done)) == (text, failed, mails)
    last = acting(tape_of(again), replaying=True)
    assert await last.call(mail, text="x") == seen
    assert len(done) == mails


async def test_a_fork_asks_before_it_performs_a_recorded_once_tool_a_second_time() -> None:
    async def program(run: Run) -> str:
        first = await run.ask(guess, number=1)
        return (await run.call(mail, text="x")).text + first

    run = acting()
    assert await program(run) == "sent xg1"
    fork = acting(tape_of(run).fork(at=0))
    with pytest.raises(Suspended) as asked:
        await program(fork)
    assert asked.value.question == (
        'Did mail({"text":"x"}) happen? The run that this one was forked from has begun it: its record says what came '
        "of it. If not, it is performed."
    )
    assert done == [("mail", "x")]
    kept = acting(tape_of(run).fork())
    assert await program(kept) == "sent xg1"  # its record is reused
    assert done == [("mail", "x")]


async def test_every_crash_of_a_once_tool_is_asked_about_anew() -> None:
    run = acting()
    await run.call(mail, text="x")
    tape = tape_of(run).fork(at=0)
    for crashes in range(3):
        asking = acting(tape)
        with pytest.raises(Suspended, match=r"forked from" if crashes == 0 else "The process ended"):
            await asking.call(mail, text="x")
        (number,) = asking.strand.world.questions
        tape = tape_of(asking)
        tape.answers[number] = {"happened": False}
        again = acting(tape)
        assert (await again.call(mail, text="x")).text == "sent x"
        assert len(done) == 2 + crashes
        tape = crashed(tape_of(again))
        tape.answers.update(again.strand.world.book.answers)


async def test_a_cancelled_once_tool_may_have_happened() -> None:
    import asyncio

    @tool(effect="send", repeat="once")
    async def slow() -> str:
        """Send slowly."""
        done.append(("slow", ""))
        return await asyncio.get_running_loop().create_future()

    run = scripted(ECHO, tools=(slow,), policy=GRANTED)
    calling = asyncio.create_task(run.call(slow))
    for _ in range(9):
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    again = scripted(ECHO, tools=(slow,), policy=GRANTED, tape=tape_of(run))
    with pytest.raises(Suspended, match="Did slow"):
        await again.call(slow)
    assert len(done) == 1
