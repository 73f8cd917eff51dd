"""A person's answer fits the type that was asked for, in every part, or is refused."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from stratagem import session
from stratagem.core import Answer, Run, Task, strategy
from stratagem.core._schema import converted, schema_of
from stratagem.errors import UsageError
from stratagem.session._fitting import fitted


class Part(BaseModel):
    name: str
    counts: list[int] = []
    notes: dict[str, float] = {}


@dataclass(frozen=True)
class Trip:
    where: Literal["Ulm", "Bonn"]
    parts: tuple[Part, ...] = ()
    price: float | None = None


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (list[int], [1, 2]),
        (list[str], []),
        (tuple[int, str], [1, "a"]),
        (dict[str, int], {"a": 1}),
        (int | None, None),
        (int | str, "a"),
        (Annotated[int, Field(ge=1, le=5)], 5),
        (Annotated[str, Field(max_length=3)], "abc"),
        (Annotated[list[int], Field(min_length=1)], [1]),
        (Part, {"name": "a", "counts": [1], "notes": {"x": 0.5}}),
        (Trip, {"where": "Ulm", "parts": [{"name": "a"}], "price": 7}),
        (Any, {"any": ["thing"]}),
        (bool, True),
        (float, 3),
    ],
)
def test_what_fits_is_taken_and_can_be_converted(hint: Any, value: Any) -> None:
    assert fitted(schema_of(hint), value) == value
    converted(hint, value)


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (list[int], ["x"], r'has "x" as \[0\], which must be integer'),
        (list[str], ["a", 1], r"has 1 as \[1\], which must be string"),
        (list[int], {"a": 1}, "must be array, got"),
        (list[bool], [1], "must be boolean"),
        (list[int], [True], "must be integer"),
        (tuple[int, str], [1, 2], r"has 2 as \[1\]"),
        (tuple[int, str], [1, "a", 3], "so many items at most: 2"),
        (dict[str, int], {"a": "b"}, 'has "b" as a, which must be integer'),
        (int | None, "x", "must be integer, got .*, or must be null"),
        (Annotated[int, Field(ge=1)], -5, "must be at least 1, got -5"),
        (Annotated[int, Field(lt=5)], 5, "must be below 5"),
        (Annotated[int, Field(multiple_of=2)], 3, "a multiple of 2"),
        (Annotated[str, Field(max_length=3)], "abcd", "a length of at most 3"),
        (Annotated[str, Field(pattern="^a")], "b", "must match"),
        (Annotated[list[int], Field(min_length=1)], [], "so many items at least: 1"),
        (Part, {"counts": []}, "must be an object with name"),
        (Part, {"name": "a", "counts": ["x"]}, r'has "x" as counts\[0\]'),
        (Part, {"name": "a", "notes": {"x": "y"}}, 'has "y" as notes.x, which must be number'),
        (Trip, {"where": "Rome"}, 'has "Rome" as where, which must be one of'),
        (Trip, {"where": "Ulm", "parts": [{"name": 1}]}, r"has 1 as parts\[0\].name"),
        (Literal[1, True], 0, "must be one of"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_place_is_named(hint: Any, value: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"the answer .*{said}"):
        fitted(schema_of(hint), value)


def test_an_unknown_keyword_keeps_nobody_from_answering() -> None:
    schema = {"type": "string", "format": "date", "x-ours": 1, "$ref": "#/nowhere", "allOf": [{}]}
    assert fitted(schema, "2026-01-01") == "2026-01-01"
    assert fitted(True, 5) == 5


@strategy(calls="0")
async def counting(run: Run, task: Task) -> Answer:
    return task.answer(str(await run.wait("How many?", schema=Annotated[int, Field(ge=1)])))


async def test_an_answer_that_slipped_through_is_asked_for_again() -> None:
    async with session.open(journal="memory", memory="none") as one:
        await one.run(counting, "?", run_id="mine")
        (asked,) = (await one.show("mine")).questions()
        with pytest.raises(UsageError, match="at least 1"):
            await one.answer("mine", 0)
        await one._services.journal.answer("mine", asked["id"], b"-5")  # by an older version, say
        assert (await one.resume("mine")).stop == "suspended"
        (asked,) = (await one.show("mine")).questions()
        assert asked["question"].startswith("How many? (The answer -5 does not fit: it")
        await one.answer("mine", 5)
        assert (await one.resume("mine")).text == "5"


@strategy(calls="0")
async def confused(run: Run, task: Task) -> Answer:
    return task.answer(str(await run.wait("?", schema=object())))


async def test_what_is_no_type_is_a_mistake_of_the_program() -> None:
    async with session.open(journal="memory", memory="none") as one:
        with pytest.raises(UsageError, match="is no type of values"):
            await one.run(confused, "?")
