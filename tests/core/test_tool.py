"""Tools: typed functions that a model may call; every failure is a text."""

import asyncio
from typing import Any

import pytest

from stratagem.core import ModelRetry, Run, ToolCall, tool
from stratagem.errors import ToolError, UsageError
from stratagem.testing import scripted, tape_of


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
