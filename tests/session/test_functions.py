"""Strategies with functions among their settings: how those are named, recorded, found again and noticed if changed."""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Answer, Configurable, MemoryJournal, Run, Strategy, Task, parse_spec, signature, strategy
from stratagem.errors import UsageError
from stratagem.session import _loading
from stratagem.strategies import direct

HERE = __name__


@signature
def think(number: int) -> str:
    """Think."""
    ...


WORLD: dict[Any, Any] = {think: lambda number: f"t{number}"}


def longest(texts: Sequence[str]) -> str:
    return max(texts, key=len)


def first(texts: Sequence[str]) -> str:
    return texts[0]


Pick = Callable[[Sequence[str]], str]


@strategy(calls="n")
async def picking(
    run: Run, task: Task, *, pick: Pick = longest, others: tuple[Pick, ...] = (), maybe: Pick | None = None, n: int = 2
) -> Answer:
    """Think `n` times and pick a thought."""
    return task.answer(pick([await run.ask(think, number=number) for number in range(n)]))


@strategy(calls="inner")
async def around(run: Run, task: Task, *, inner: Strategy = picking) -> Answer:
    """Do what another one does."""
    return await inner(run, task)


def found(name: str) -> Configurable:
    return {"picking": picking, "direct": direct, "around": around}[name]


def parsed(text: str) -> Any:
    return parse_spec(text, found, _loading.function_of)


# Names


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"pick": first}, f"picking(pick='{HERE}:first')"),
        ({"pick": max, "n": 3}, "picking(pick='builtins:max', n=3)"),
        ({"others": (first, longest)}, f"picking(others=('{HERE}:first', '{HERE}:longest'))"),
        ({"others": (first,)}, f"picking(others=('{HERE}:first',))"),
        ({"maybe": min}, "picking(maybe='builtins:min')"),
        ({"maybe": None}, "picking(maybe=None)"),
    ],
)
def test_a_function_is_named_by_its_module_and_round_trips(settings: Any, text: str) -> None:
    made = picking.using(**settings)
    assert repr(made) == text
    assert parsed(text) == made
    assert parsed(text).settings == dict(settings)
    inner = around.using(inner=made)
    assert repr(inner) == f"around(inner={text})"
    assert parsed(repr(inner)).settings["inner"].settings == dict(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picking(pick='nowhere_at_all:x')", "the function 'nowhere_at_all:x' cannot be loaded"),
        (f"picking(pick='{HERE}:secnd')", "cannot be loaded"),
        (f"picking(pick='{HERE}:HERE')", "is no function"),
        (f"picking(pick='{HERE}:picking')", "is no plain function"),
        ("picking(pick='longest')", "a function is named 'module:name' or 'FILE.py:name', got 'longest'"),
        ("picking(pick=longest)", "longest"),
        ("picking(pick='os:path.join')", "a function is named"),
        ("picking(pick='no.py:x')", "there is no file"),
    ],
)
def test_a_name_of_no_function_is_refused(text: str, message: str) -> None:
    with pytest.raises((UsageError, KeyError), match=message):
        parsed(text)


class Grader:
    def grade(self, texts: Sequence[str]) -> str:
        return texts[0]

    def __call__(self, texts: Sequence[str]) -> str:
        return texts[0]


@pytest.mark.parametrize("pick", [lambda texts: texts[0], Grader().grade, Grader(), Grader.grade])
def test_what_has_no_name_of_its_own_cannot_be_in_a_spec(pick: Any) -> None:
    assert _loading.spec_of(picking.using(pick=pick)) == ""
    assert _loading.spec_of(picking.using(others=(first, pick))) == ""
    assert _loading.unnamed_in(around.using(inner=picking.using(pick=pick, n=3))) == ["inner.pick"]
    assert _loading.unnamed_in(picking.using(pick=first, n=3)) == []


def test_a_function_that_hides_behind_the_name_of_another_one_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made = picking.using(pick=first)
    monkeypatch.setattr(sys.modules[HERE], "first", longest)
    assert _loading.spec_of(made) == ""


def test_a_setting_that_no_spec_can_write_has_none() -> None:
    @strategy(calls="1")
    async def heated(run: Run, task: Task, *, heat: float = 1.0) -> Answer:
        return task.answer("x")

    assert _loading.unnamed_in(heated.using(heat=math.inf)) == ["heat"]


# Records


async def test_the_record_has_names_and_digests(opened: Any) -> None:
    async with opened(WORLD) as s:
        run = await s.run(around.using(inner=picking.using(pick=first, others=(longest, max))), "?")
        record = (await s.show(run.run_id)).record
        assert record["strategy"].endswith(f":around(inner=\"{Path(__file__)}:picking(pick='{HERE}:first', others=("
                                           f"'{HERE}:longest', 'builtins:max',))\")")  # fmt: skip
        digests = record["functions"]
        assert set(digests) == {f"{HERE}:first", f"{HERE}:longest", "builtins:max"}
        assert len(digests[f"{HERE}:first"]) == 16
        assert digests[f"{HERE}:first"] != digests[f"{HERE}:longest"]
        assert digests["builtins:max"] == ""  # it has no source
        again = await s.replay(run.run_id)
        assert again.text == "t0"
        plain = await s.run(direct, "?", budget="calls=0")
        assert "functions" not in (await s.show(plain.run_id)).record
        assert f"{HERE}:longest" in (await s.show((await s.run(picking, "?")).run_id)).record["functions"]


async def test_a_function_without_a_name_must_be_given_again_and_the_error_says_which(opened: Any, crash: Any) -> None:
    journal = MemoryJournal()

    def pick(texts: Sequence[str]) -> str:
        return texts[-1]

    async with opened(WORLD, journal=journal) as s:
        given = around.using(inner=picking.using(pick=pick))
        first_run = await s.run(given, "?", run_id="closed")
        crash(journal, "closed", 1)
        with pytest.raises(UsageError, match=r"its setting inner\.pick has no name: give it again"):
            await s.resume("closed")
        again = await s.resume("closed", strategy=around.using(inner=picking.using(pick=pick)))
        assert (again.text, first_run.text, again.counts.performed) == ("t1", "t1", 1)
        crash(journal, "closed", 1)
        assert (await s.run(given, "?", run_id="closed")).text == "t1"


async def test_a_local_strategy_is_said_to_have_no_name(opened: Any) -> None:
    @strategy(calls="1")
    async def local(run: Run, task: Task) -> Answer:
        return task.answer(await run.ask(think, number=1))

    async with opened(WORLD) as s:
        with pytest.raises(UsageError, match="has no name: give it again"):
            await s.replay((await s.run(local, "?")).run_id)


OWN = '''"""A user's own file."""

from collections.abc import Callable

from stratagem import Answer, Run, Task, strategy


def shout(text: str) -> str:
    return text.upper()


@strategy(calls="0")
async def saying(run: Run, task: Task, *, how: Callable[[str], str] = shout) -> Answer:
    """Say the question."""
    run.now()
    return task.answer(how(task.question))
'''


async def test_what_changed_since_is_told_when_a_run_is_resumed(opened: Any, crash: Any, tmp_path: Path) -> None:
    journal, events = MemoryJournal(), list[Any]()
    path = tmp_path / "own.py"
    voices = tmp_path / "voices.py"
    voices.write_text("def low(text: str) -> str:\n    return text.lower()\n")
    path.write_text(OWN)

    async def resumed(run_id: str) -> tuple[str, list[str]]:
        crash(journal, run_id, 1)
        events.clear()
        async with opened(WORLD, journal=journal) as s:  # as another process would
            text = (await s.resume(run_id, on_event=events.append)).text
        return text, events[0].data.get("changed", [])

    async with opened(WORLD, journal=journal) as s:
        one = (await s.run(f"{path}:saying", "Why?")).run_id
        other = (await s.run(f"{path}:saying(how='{voices}:low')", "Why?")).run_id
    assert [await resumed(one), await resumed(other)] == [("WHY?", []), ("why?", [])]
    voices.write_text("def low(text: str) -> str:\n    return text.lower() + '!'\n")
    assert [await resumed(one), await resumed(other)] == [("WHY?", []), ("why?!", [f"{voices}:low"])]
    path.write_text(OWN.replace("text.upper()", "text.upper() + '!'"))
    assert await resumed(one) == ("WHY?!", ["strategy", f"{path}:shout"])
    path.write_text(OWN.replace("run.now()", "run.now(), run.now()"))
    assert await resumed(one) == ("WHY?", ["strategy"])


def test_a_function_of_a_file_needs_no_quotes_within_a_spec(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def last(texts):\n    return texts[-1]\n", "utf-8")
    pick = parsed(f"picking(pick={file}:last)").settings["pick"]
    assert pick(["a", "b"]) == "b"
