"""What a tool is for is read from its schema: renamed tools work alike, and tools that act are left alone."""

from pathlib import Path
from typing import Any, Literal

import pytest

import stratagem
from stratagem.core import Observation, Tool, Tools, tool
from stratagem.models.offline.generic import choose
from stratagem.models.offline.route import roles
from stratagem.strategies import react
from stratagem.tools.builtin import builtin

NAMES = {"list_files": "overview", "read_file": "lines_of", "search_files": "look_for", "describe_table": "fields_of",
         "query_table": "work_out", "calculate": "sum_up"}  # fmt: skip


def renamed(root: Path) -> list[Tool]:
    return [Tool(one.fn, name=NAMES.get(one.name, one.name)) for one in builtin([root])]


def test_the_built_in_tools_are_recognised(tmp_path: Path) -> None:
    found = roles(Tools(builtin([tmp_path])))
    assert found.querier is not None
    named = (found.lister, found.describer, found.querier.tool, found.reader, found.searcher, found.calculator)
    assert [one.name for one in named if one is not None] == [
        "list_files", "describe_table", "query_table", "read_file", "search_files", "calculate",
    ]  # fmt: skip
    assert [one.name for one in found.others] == ["query_sql", "now"]
    assert found.querier[1:9] == ("path", "measure", "column", "where", "group_by", "order", "top", "table")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is the mean price of the shops in Bonn?", ": 3"),
        ("What is the depth of the lake?", "The depth of the lake is 40 m."),
        ("What is 6 * 7?", "6 * 7 = 42"),
    ],
)
async def test_tools_of_other_names_are_used_alike(question: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "shops.csv").write_text("name,city,price\nA,Bonn,2\nB,Bonn,4\nC,Kiel,9\n")
    (tmp_path / "lake.md").write_text("The depth of the lake is 40 m.\n")
    tools = renamed(tmp_path)
    async with stratagem.open(model="offline", tools=tools, memory="none", journal="memory") as session:
        answer = await session.run(react, question)
    assert answer.ok, answer.reason
    assert answer.text.endswith(said)


@tool(effect="send")
def search_everything(query: str) -> str:
    """Search for a passage.

    Args:
        query: the words.
    """
    raise AssertionError("a tool that acts was called")


@tool
def search_notes(query: str) -> str:
    """Search the notes for a passage.

    Args:
        query: the words.
    """
    return query


@tool
def search_mails(query: str) -> str:
    """Search the mails for a passage.

    Args:
        query: the words.
    """
    return query


def test_a_tool_that_acts_has_no_role() -> None:
    found = roles(Tools((search_everything,)))
    assert found.searcher is None
    assert found.others == ()


def test_of_two_tools_for_one_purpose_none_is_chosen() -> None:
    assert roles(Tools((search_notes,))).searcher is search_notes
    assert roles(Tools((search_notes, search_mails))).searcher is None


@tool
def forecast(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> Observation:
    """Tell the weather of tomorrow in a city.

    Args:
        city: its name.
        unit: of the temperature.
    """
    return Observation(f"rain in {city}, 9 {unit}", sources=(f"weather:{city}",))


@tool
def dice(sides: int) -> str:
    """Roll a die.

    Args:
        sides: of the die.
    """
    return f"{sides} sides: {sides}"


@tool
def moon() -> str:
    """Tell the phase of the moon."""
    return "full"


CHOSEN: list[tuple[str, Tool, dict[str, Any]]] = [
    ("What is the weather forecast for Kiel?", forecast, {"city": "Kiel"}),
    ('What is the forecast for "San Juan" in fahrenheit?', forecast, {"city": "San Juan", "unit": "fahrenheit"}),
    ("What is the phase of the moon?", moon, {}),
    ("Roll dice with 20 sides", dice, {"sides": 20}),
]


@pytest.mark.parametrize(("question", "wanted", "arguments"), CHOSEN)
def test_a_tool_of_ones_own_is_called_with_what_the_question_gives(
    question: str, wanted: Tool, arguments: dict[str, Any]
) -> None:
    assert choose(question, roles(Tools((forecast, dice, moon)))) == (wanted, arguments)


@pytest.mark.parametrize(
    "question",
    [
        "What is the forecast?",
        "What is the forecast for Kiel on day 3?",
        "What is the rain forecast for Kiel?",
        "Roll dice",
        "Roll dice with 20 and 6 sides",
        "Is the moon made of cheese?",
        "Why does the moon have a phase?",
        "What is the capital of Kiel?",
        "",
    ],
)
def test_a_tool_is_not_called_if_a_word_is_not_accounted_for(question: str) -> None:
    assert choose(question, roles(Tools((forecast, dice, moon)))) is None


async def test_the_answer_of_a_tool_of_ones_own_is_its_text_with_its_source() -> None:
    async with stratagem.open(model="offline", tools=[forecast], memory="none", journal="memory") as session:
        answer = await session.run(react, "What is the weather forecast for Kiel?")
    assert answer.text == "[weather:Kiel] rain in Kiel, 9 celsius"
    assert answer.sources == ("weather:Kiel",)
