"""What an answer may be is said in words, and read as it is said."""

from dataclasses import dataclass
from typing import Any

import pytest

from stratagem.cli import _asking
from stratagem.cli._asking import value_of
from stratagem.cli._ends import Fault
from stratagem.cli._wanting import wanted
from stratagem.core._acting import HAPPENED
from stratagem.core._schema import schema_of

ONE_TEXT = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ONE_BOOLEAN = {"type": "object", "properties": {"fine": {"type": "boolean"}}, "required": ["fine"]}


@dataclass
class Place:
    """A place."""

    city: str
    zip: int | None
    near: "list[Place]"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            HAPPENED,
            "yes, no, unknown, or a JSON object with happened (yes, no, unknown), result (text; may be left out)",
        ),
        (ONE_BOOLEAN, "yes, no, or a JSON object with fine (yes, no)"),
        (ONE_TEXT, "a JSON object with city (text)"),
        ({"type": "object"}, "a JSON object"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "a JSON object (each value: a whole number)"),
        ({"type": "array", "items": {"type": "string"}}, "a JSON list (each: text)"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "a JSON list (each: a JSON list)"),
        ({"type": "array"}, "a JSON list"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a whole number, unknown"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, "a whole number from 1 to 5"),
        ({"type": "number", "exclusiveMinimum": 0}, "a number above 0"),
        ({"enum": ["red", 3]}, "red, 3"),
        ({"const": "red"}, "red"),
        ({}, "JSON"),
        (schema_of(bool), "yes, no"),
        (schema_of(dict[str, int]), "a JSON object (each value: a whole number)"),
        (schema_of(list[int]), "a JSON list (each: a whole number)"),
        (
            schema_of(Place),
            "a JSON object with city (text), zip (a whole number, unknown), near (a JSON list)",
        ),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "JSON"),
    ],
)
def test_what_is_wanted_is_said_in_words(schema: Any, words: str) -> None:
    assert wanted(schema) == words


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("yes", HAPPENED, {"happened": True}),
        ("N", HAPPENED, {"happened": False}),
        ("unknown", HAPPENED, {"happened": None}),
        ("no", ONE_BOOLEAN, {"fine": False}),
        ("unknown", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, None),
        ("null", {"type": ["string", "null"]}, None),
        ("12", {"type": ["string", "null"]}, "12"),
        ("twelve", {"type": ["integer", "string"]}, "twelve"),
        ("12", {"type": ["integer", "string"]}, 12),
        ("red", {"const": "red"}, "red"),
    ],
)
def test_a_word_is_read_as_it_is_meant(text: str, schema: Any, value: Any) -> None:
    assert value_of(text, schema) == value


@pytest.mark.parametrize("word", ["yes", "no", "unknown"])
def test_a_word_does_not_stand_for_an_object_that_wants_something_else(word: str) -> None:
    with pytest.raises(Fault, match=f"'{word}' is not JSON") as caught:
        value_of(word, ONE_TEXT)
    assert caught.value.remedy == "The question wants a JSON object with city (text)."


def test_unknown_does_not_stand_for_a_yes_or_no() -> None:
    with pytest.raises(Fault, match="'unknown' is not JSON"):
        value_of("unknown", ONE_BOOLEAN)


@pytest.mark.parametrize(
    ("schema", "prompt"),
    [
        ({"type": "boolean"}, "answer [yes/no]: "),
        ({"type": ["boolean", "null"]}, "answer [yes/no/unknown]: "),
        ({"type": ["integer", "null"]}, "answer (a whole number, unknown): "),
        ({"type": "array", "items": {"type": "string"}}, "answer (a JSON list (each: text)): "),
        ({"type": "string"}, "answer: "),
        ({}, "answer: "),
        ({"enum": ["red", "blue"]}, "answer [(r)ed/(b)lue]: "),
    ],
)
def test_a_person_is_told_at_the_terminal_what_is_wanted(
    schema: Any, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []

    def line(text: str) -> str:
        prompts.append(text)
        raise KeyboardInterrupt

    monkeypatch.setattr(_asking, "_line", line)
    with pytest.raises(KeyboardInterrupt):
        _asking.ask("What?", schema)
    assert prompts == [prompt]
