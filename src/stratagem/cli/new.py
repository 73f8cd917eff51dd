"""`stratagem new strategy` and `stratagem new tool`: a small file that works, and its test."""

import keyword
import re
import sys
from pathlib import Path

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import SCHEMA, Mode, say
from stratagem.cli._settings import Verb, speaking

STRATEGY = '''"""{title}: draft an answer, ask a critic, and revise it until the critic has nothing to say."""

from stratagem import Answer, Positive, Run, Task, signature, strategy


@signature
def draft(question: str, notes: tuple[str, ...]) -> str:
    """Answer the question in one sentence."""
    ...


@signature
def criticise(question: str, attempt: str) -> str:
    """Say what is wrong with the attempt, or reply OK."""
    ...


@signature
def revise(question: str, attempt: str, feedback: str) -> str:
    """Write the answer again, so that the criticism is met."""
    ...


@strategy(calls="1 + 2 * rounds", lower="2")
async def {name}(run: Run, task: Task, *, rounds: Positive = 2) -> Answer:
    """Revise a draft at most `rounds` times."""
    attempt = await run.ask(draft, question=task.question, notes=task.notes)
    for _ in range(rounds):
        run.offer(task.answer(attempt))
        feedback = await run.ask(criticise, question=task.question, attempt=attempt)
        if feedback == "OK":
            break
        attempt = await run.ask(revise, question=task.question, attempt=attempt, feedback=feedback)
    return task.answer(attempt)
'''

STRATEGY_TEST = '''"""`{name}` keeps to what holds for every strategy, and to what is its own."""

import asyncio

import pytest
from {name} import criticise, draft, revise, {name}

from stratagem import Task
from stratagem.testing import Case, scripted
from stratagem.testing.conformance import CHECKS

TASK = Task("What does a pump do?")
WORLD = {{
    draft: lambda question, notes: "A pump moves water.",
    criticise: lambda question, attempt: "OK" if "liquids" in attempt else "It moves other liquids too.",
    revise: lambda question, attempt, feedback: "A pump moves liquids." if "more" in attempt else "A pump moves more.",
}}
PLEASED = {{**WORLD, draft: lambda question, notes: "A pump moves liquids."}}
CASES = (
    Case({name}, TASK, WORLD, expect="A pump moves liquids."),  # reaches the bound `calls`
    Case({name}, TASK, PLEASED, expect="A pump moves liquids."),  # and `lower`
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_conforms(check):
    asyncio.run(check(CASES))


def test_it_stops_when_the_critic_has_nothing_to_say():
    run = scripted(PLEASED)
    assert asyncio.run({name}(run, TASK)).text == "A pump moves liquids."
    assert [asked.signature for asked in run.ledger] == [draft, criticise]
'''

TOOL = '''"""The tool `{name}`."""

from stratagem import ModelRetry, tool

UNITS = {{"mm": 0.001, "cm": 0.01, "m": 1.0, "km": 1000.0}}


@tool
def {name}(length: float, unit: str) -> str:
    """Convert a length to metres.

    Args:
        length: how long it is.
        unit: mm, cm, m or km.
    """
    if unit not in UNITS:
        raise ModelRetry(f"there is no unit {{unit!r}}; units are {{', '.join(UNITS)}}")
    return f"{{length * UNITS[unit]:g}} m"
'''

TOOL_TEST = '''"""`{name}` answers, and tells the model how to correct itself."""

import asyncio

from {name} import {name}

from stratagem.testing import scripted


def seen(**arguments):
    return asyncio.run(scripted({{}}, tools=({name},)).call({name}, **arguments))


def test_it_converts():
    assert seen(length=2.5, unit="km").value == "2500 m"


def test_what_is_wrong_is_said_to_the_model():
    found = seen(length=2.5, unit="mile")
    assert (found.failed, found.text) == (True, "there is no unit 'mile'; units are mm, cm, m, km")


def test_what_a_model_reads_of_it():
    assert {name}.about == "Convert a length to metres."
    assert {name}.effect == "read"
'''


@click.command("new strategy", cls=Verb)
@click.argument("name", metavar="[FAMILY/]NAME")
@speaking("json", "debug")
@click.pass_obj
def new_strategy(mode: Mode, name: str) -> int:
    """Write FAMILY/NAME.py, a small strategy that works, and its test, which passes. Nothing is overwritten.

    The test uses the test kit and needs `pytest`. The strategy can be used as it is: `--strategy FAMILY/NAME.py:NAME`.
    """
    family, _, own = name.rpartition("/")
    _check(own)
    for part in family.split("/") if family else ():
        _check(part)
    path = Path(family) / f"{own}.py"
    _write({path: STRATEGY, path.with_name(f"test_{own}.py"): STRATEGY_TEST}, own)
    return _told(mode, path, f"stratagem run GOAL --strategy {path.as_posix()}:{own}")


@click.command("new tool", cls=Verb)
@click.argument("name")
@speaking("json", "debug")
@click.pass_obj
def new_tool(mode: Mode, name: str) -> int:
    """Write NAME.py, a small tool that works, and its test, which passes. Nothing is overwritten.

    The test uses the test kit and needs `pytest`. The tool can be used as it is: `--tool NAME.py:NAME`.
    """
    _check(name)
    path = Path(f"{name}.py")
    _write({path: TOOL, path.with_name(f"test_{name}.py"): TOOL_TEST}, name)
    return _told(mode, path, f"stratagem run GOAL --tool {path.as_posix()}:{name}")


TAKEN = frozenset(
    ("asyncio", "criticise", "draft", "pytest", "revise", "scripted", "seen", "stratagem", "tool", "units")
)


def _check(name: str) -> None:
    """Refuse what is no name of a Python file and of a function in it."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name) or keyword.iskeyword(name):
        raise usage(
            f"{name!r} is no name: it needs small letters, digits and _, and a letter first",
            "Choose one such as `debate` or `my_family/debate`.",
        )
    if name in TAKEN or name in sys.stdlib_module_names or name.startswith("test_"):
        raise usage(f"{name!r} is a name that Python, or the file or its test, uses itself", "Choose another one.")


def _write(files: dict[Path, str], name: str) -> None:
    for path in files:
        if path.exists():
            raise usage(f"{path.as_posix()!r} exists already, and is not overwritten", "Choose another name.")
    title = name.replace("_", " ").capitalize()
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text.format(name=name, title=title))
    except FileExistsError as failure:
        raise usage(f"{failure.filename!r} exists already, and is not overwritten", "Choose another name.") from None
    except OSError as failure:
        raise usage(f"{failure.filename!r} cannot be written: {failure.strerror}", "Choose another folder.") from None


def _told(mode: Mode, path: Path, line: str) -> int:
    test = path.with_name(f"test_{path.name}")
    if mode.json:
        mode.document({"schema": SCHEMA, "files": [path.as_posix(), test.as_posix()], "use": line})
        return 0
    say(f"{path.as_posix()}\n{test.as_posix()}")
    mode.tell(f"test it: python -m pytest {test.as_posix()}\nuse it:  {line}")
    return 0
