"""Tools: typed functions that a model may call; every failure is a text."""

import asyncio
import enum
import threading
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import ModelRetry, Observation, ReadOnly, Run, Tool, ToolCall, Tools, tool
from stratagem.errors import NoAnswer, ToolError, UsageError
from stratagem.testing import scripted, tape_of

ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)


def nest(depth: int) -> Any:
    made: Any = []
    for _ in range(depth):
        made = [made]
    return made


@tool()
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@tool()
async def advise(text: str) -> str:
    """Advise."""
    raise ModelRetry(f"write {text} in capitals")


@tool(timeout_s=0.01)
async def dawdle() -> str:
    """Dawdle."""
    await asyncio.sleep(9)
    return "never"


@tool()
def shout() -> str:
    """Shout."""
    return "a" * 30_000


@tool()
def leak() -> Any:
    """Return what is no data."""
    return object()


def start() -> Run:
    return scripted({}, tools=(double, advise, dawdle, shout, leak))


async def test_a_result_is_text_for_the_model_and_a_value_for_the_program() -> None:
    seen = await start().call(double, number=4)
    assert (seen.text, seen.value, seen.failed) == ("8", 8, False)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("double", {"number": "four"}, "`double`: number must be an integer, got 'four'"),
        ("double", {}, "`double`: argument 'number' is missing"),
        ("double", {"number": 4, "times": 2}, "`double` has no argument 'times', only number"),
        ("advise", {"text": "x"}, "write x in capitals"),
        ("dawdle", {}, "`dawdle` took longer than 0.01 s"),
        ("leak", {}, "`leak` failed: UsageError"),
    ],
)
async def test_every_failure_is_a_text(name: str, arguments: dict[str, object], text: str) -> None:
    seen = await start().call(ToolCall(name, arguments))
    assert seen.failed
    assert seen.text.startswith(text)
    with pytest.raises(ToolError):
        _ = seen.value


async def test_more_output_than_allowed_is_cut_and_said_to_be_cut() -> None:
    seen = await start().call(shout)
    assert seen.text.endswith("[cut: 20000 of 30000 characters]")


async def test_a_recorded_failure_is_not_performed_again() -> None:
    run = start()
    await run.call(ToolCall("advise", {"text": "x"}))
    again = scripted({}, tape=tape_of(run), replaying=True, tools=(advise,))
    assert (await again.call(ToolCall("advise", {"text": "x"}))).failed


def test_a_tool_needs_a_description() -> None:
    with pytest.raises(UsageError, match="needs a docstring"):

        @tool()
        def silent() -> None: ...


# Schemas


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Spot:
    x: int
    y: int = 0


@tool(effect="self", name="everything", timeout_s=5)
def every_kind(
    text: str,
    count: int,
    share: float,
    flag: bool,
    unit: Literal["km", "mile"],
    parts: tuple[int, ...],
    names: list[str],
    spot: Spot,
    colour: Colour,
    extra: dict[str, int],
    note: str | None = None,
    wild: Any = 3,
) -> str:
    """Take an argument
    of every kind.

    More words that the model does not read.

    Args:
        text: a text
            on two lines.
        count: how many: a number.
        nobody: is no argument.

    Returns:
        Something.
    """
    return repr((text, count, share, flag, unit, parts, names, spot, colour, extra, note, wild))


def test_a_schema_says_what_the_function_takes() -> None:
    schema = every_kind.schema()
    assert (schema["name"], schema["description"]) == ("everything", "Take an argument of every kind.")
    properties = schema["parameters"]["properties"]
    assert properties["text"] == {"type": "string", "description": "a text on two lines."}
    assert properties["count"] == {"type": "integer", "description": "how many: a number."}
    assert properties["share"] == {"type": "number"}
    assert properties["flag"] == {"type": "boolean"}
    assert properties["unit"] == {"type": "string", "enum": ["km", "mile"]}
    assert properties["parts"] == {"type": "array", "items": {"type": "integer"}}
    assert properties["note"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert properties["wild"] == {}
    assert set(properties["spot"]["properties"]) == {"x", "y"}
    assert schema["parameters"]["required"] == [
        "text", "count", "share", "flag", "unit", "parts", "names", "spot", "colour", "extra",
    ]  # fmt: skip
    assert schema["parameters"]["additionalProperties"] is False


GIVEN: dict[str, Any] = {
    "text": "t", "count": 1, "share": 0.5, "flag": True, "unit": "km", "parts": [1, 2], "names": ["a"],
    "spot": {"x": 1}, "colour": "red", "extra": {"a": 1},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("count", "7", 7),
        ("count", 7.0, 7),
        ("text", 7, "7"),
        ("share", 1, 1.0),
        ("flag", "True", True),
        ("unit", "KM", "km"),
        ("parts", 3, (3,)),
        ("parts", ["1", 2.0], (1, 2)),
        ("names", [], []),
        ("spot", {"x": 2, "y": 3}, Spot(2, 3)),
        ("note", None, None),
        ("wild", [{"a": None}], [{"a": None}]),
    ],
)
def test_what_a_model_means_is_accepted(name: str, value: Any, read: Any) -> None:
    found = every_kind.read({**GIVEN, name: value})
    assert found[name] == read
    assert type(found[name]) is type(read)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 1.5), ("count", True), ("count", "one"), ("count", None), ("count", [1]), ("text", None),
        ("text", ["a"]), ("share", "half"), ("flag", 1), ("flag", "perhaps"), ("unit", "metre"), ("parts", ["a"]),
        ("spot", {"y": 1}), ("spot", 3), ("colour", "blue"), ("extra", {"a": "b"}), ("count", "9" * 5000),
        ("share", {"a": 1}), ("names", [None]),
    ],
)  # fmt: skip
def test_what_it_does_not_say_is_not_guessed(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`everything`: {name} "):
        every_kind.read({**GIVEN, name: value})


@given(st.dictionaries(st.sampled_from([*GIVEN, "other", ""]), JSON, max_size=4))
async def test_whatever_a_model_sends_is_a_call_or_a_text(arguments: dict[str, Any]) -> None:
    seen = await every_kind.perform({**GIVEN, **arguments})
    assert isinstance(seen.text, str)
    seen.text.encode()


def test_an_argument_without_a_type_is_refused() -> None:
    with pytest.raises(UsageError, match="'x' needs a type"):

        @tool
        def untyped(x) -> str:  # pyright: ignore[reportMissingParameterType]
            """Do."""
            return ""

    with pytest.raises(UsageError, match="cannot be named by a model"):

        @tool
        def variable(*parts: str) -> str:
            """Do."""
            return ""

    with pytest.raises(UsageError, match="effect must be one of"):

        @tool(effect="wild")  # pyright: ignore[reportArgumentType]
        def wild() -> str:
            """Do."""
            return ""


# Failures


@tool(timeout_s=0.05)
def hang() -> str:
    """Hang in a thread."""
    stop.wait(20)
    late.append("came back")
    return "too late"


stop = threading.Event()
late: list[str] = []


async def test_a_thread_that_hangs_is_abandoned_past_its_limit() -> None:
    stop.clear()
    seen = await scripted({}, tools=(hang,)).call(hang)
    assert (seen.failed, seen.text) == (True, "`hang` took longer than 0.05 s")
    threads = [thread for thread in threading.enumerate() if thread.name == "tool hang"]
    assert [thread.daemon for thread in threads] == [True]  # it keeps no process alive
    stop.set()
    for thread in threads:
        await asyncio.to_thread(thread.join, 5)
    await asyncio.sleep(0)
    assert late == ["came back"]  # and nobody minds what it says


async def test_a_tool_that_may_have_acted_says_so_when_its_time_is_over() -> None:
    @tool(effect="send", timeout_s=0.01)
    async def mail() -> str:
        """Send a mail."""
        await asyncio.sleep(9)
        return "sent"

    run = scripted({}, tools=(mail,), policy=ReadOnly(["mail"]))
    assert (await run.call(mail)).text == "`mail` took longer than 0.01 s; it may have happened"


async def test_the_limit_of_a_tool_is_told_by_the_runs_clock(clock: Any) -> None:
    @tool(timeout_s=60)
    async def slow() -> str:
        """Take a minute."""
        await asyncio.get_running_loop().create_future()
        return "never"

    run = scripted({}, tools=(slow,), clock=clock)
    calling = asyncio.create_task(run.call(slow))
    for _ in range(9):
        await asyncio.sleep(0)
    clock.advance(59)
    await asyncio.sleep(0)
    assert not calling.done()
    clock.advance(1)
    assert (await calling).text == "`slow` took longer than 60 s"


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (ValueError("bad"), "`raising` failed: ValueError: bad"),
        (KeyError("k"), "`raising` failed: KeyError: 'k'"),
        (TimeoutError("its own"), "`raising` failed: TimeoutError: its own"),
        (StopIteration(3), "`raising` failed: RuntimeError: "),
        (SystemExit(3), "`raising` failed: SystemExit: 3"),
        (asyncio.CancelledError(), "`raising` failed: CancelledError"),
        (ModelRetry("again, but better"), "again, but better"),
        (NoAnswer("none"), "`raising` failed: NoAnswer: none"),
        (RecursionError("deep"), "`raising` failed: RecursionError: deep"),
        (MemoryError(), "`raising` failed: MemoryError"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "`raising` failed: ExceptionGroup: two"),
        (ValueError("a\ud800b"), "`raising` failed: ValueError: a\ufffdb"),
        (ValueError("x" * 50_000), "`raising` failed: ValueError: xxx"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_every_kind_of_exception_is_a_text(failure: BaseException, text: str, threaded: bool) -> None:
    def raised() -> str:
        """Raise."""
        raise failure

    async def awaited() -> str:
        """Raise."""
        raise failure

    raising = Tool(raised if threaded else awaited, name="raising")
    seen = await scripted({}, tools=(raising,)).call(raising)
    assert seen.failed
    assert seen.text.startswith(text) or (threaded and "RuntimeError" in seen.text)
    assert len(seen.text) < 20_100
    with pytest.raises(ToolError):
        _ = seen.value


async def test_a_run_that_is_cancelled_cancels_its_tool() -> None:
    ended: list[str] = []

    @tool
    async def endless() -> str:
        """Never end."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("cancelled")
        return ""

    run = scripted({}, tools=(endless,))
    calling = asyncio.create_task(run.call(endless))
    for _ in range(5):
        await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ended == ["cancelled"]
    assert not tape_of(run).rows


# Results


@pytest.mark.parametrize(
    ("made", "text", "value"),
    [
        ("words", "words", "words"),
        ("", "", ""),
        (None, "None", "None"),
        (7, "7", 7),
        (True, "True", True),
        (1.5, "1.5", 1.5),
        ({"b": 1, "a": [None]}, '{"a":[null],"b":1}', {"a": [None], "b": 1}),
        ((1, "x"), '[1,"x"]', [1, "x"]),
        ({2, 1}, "[1,2]", [1, 2]),
        (Observation("seen", result=[1], sources=("a.md:3",)), "seen", [1]),
        ("a\ud800b", "a\ufffdb", "a\ufffdb"),
        ({"k": "a\ud800b"}, '{"k":"a\ufffdb"}', {"k": "a\ufffdb"}),
    ],
)
async def test_what_a_tool_returns_is_a_text_and_a_value(made: Any, text: str, value: Any) -> None:
    @tool
    def give() -> Any:
        """Give."""
        return made

    run = scripted({}, tools=(give,))
    seen = await run.call(give)
    assert (seen.failed, seen.text, seen.value) == (False, text, value)
    again = await scripted({}, tools=(give,), tape=tape_of(run), replaying=True).call(give)
    assert (again, again.value, again.sources, again.label) == (seen, value, seen.sources, seen.label)


@pytest.mark.parametrize("made", [float("nan"), object(), b"bytes", {"a": float("inf")}, nest(300)])
async def test_what_is_no_data_is_a_failure(made: Any) -> None:
    @tool
    def give() -> Any:
        """Give."""
        return made

    seen = await scripted({}, tools=(give,)).call(give)
    assert seen.failed
    assert seen.text.startswith("`give` failed: UsageError")


async def test_fifty_megabytes_are_cut_before_anything_else_is_done_with_them() -> None:
    @tool
    def flood(kind: str) -> Any:
        """Return far too much."""
        text = "x" * 50_000_000
        return {"text": text, "data": {"rows": text}, "seen": Observation(text, result=text)}[kind]

    run = scripted({}, tools=(flood,))
    for kind in ("text", "data", "seen"):
        seen = await run.call(flood, kind=kind)
        assert seen.text.endswith(f"[cut: 20000 of {50_000_000 + 11 * (kind == 'data')} characters]")
        assert len(seen.text) < 20_100
        assert seen.result is None
    assert sum(len(row.result) for row in tape_of(run).rows) < 3 * 20_500


async def test_a_cut_never_splits_a_character() -> None:
    @tool(max_chars=3)
    def smile() -> str:
        """Smile."""
        return "ab\U0001f600c"

    seen = await scripted({}, tools=(smile,)).call(smile)
    assert seen.text == "ab\U0001f600 [cut: 3 of 4 characters]"


# Names


async def test_one_argument_may_come_without_a_name() -> None:
    run = start()
    assert (await run.call(ToolCall("double", {"": "21"}))).text == "42"
    assert (await run.call(ToolCall("shout", {"": "what?"}))).text.endswith("characters]")


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two tools are named 'double'"):
        Tools((double, double))


def test_the_digest_changes_with_all_that_the_model_sees() -> None:
    def one(x: int) -> str:
        """Do."""
        return ""

    def other(x: int) -> str:
        """Do it."""
        return ""

    def third(x: str) -> str:
        """Do."""
        return ""

    made = [Tool(one, name="t"), Tool(one, name="u"), Tool(other, name="t"), Tool(third, name="t")]
    assert len({tool.digest for tool in made}) == 4
    assert Tool(one, name="t", timeout_s=9).digest == made[0].digest
    assert Tools(tuple(made[:1])) == Tools((Tool(one, name="t"),)) != Tools(())
