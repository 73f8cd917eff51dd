"""What is written: JSON that steers no terminal, columns that fit, lines that say that they are cut."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.cli._output import Mode, cells, cut, first_line, json_text

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
TEXT = st.text(st.characters(codec=None))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXT, part, max_size=3),
    max_leaves=10,
)


@given(JSON, st.sampled_from([None, 2]))
def test_json_says_the_same_and_steers_no_terminal(value: Any, indent: int | None) -> None:
    text = json_text(value, indent=indent)
    assert json.loads(text) == value
    assert not OBEYED.search(text)


def test_json_keeps_letters_of_every_script_as_they_are() -> None:
    assert json_text({"问": "جواب 🇫🇷"}) == '{"问": "جواب 🇫🇷"}'


def test_what_is_no_json_is_written_in_its_own_way() -> None:
    class Named:
        def plain(self) -> list[int]:
            return [1]

    assert json_text([Named(), {1}]) == '[[1], "{1}"]'


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.integers(2, 30))
def test_a_text_that_is_cut_fits_and_says_so(text: str, limit: int) -> None:
    made = cut(text, limit)
    assert cells(made) <= limit
    assert made == text if cells(text) <= limit else made.endswith("…")


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("法国", 4), ("e\u0301", 1), ("\uff21", 2), ("é", 1), ("", 0)]
)
def test_columns_of_a_text(text: str, columns: int) -> None:
    assert cells(text) == columns


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one", "one"),
        ("one\n", "one"),
        ("\n\n  one\ntwo", "one …"),
        ("0123456789", "0123456789"),
        ("01234567890", "01234567 …"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_the_first_line_that_holds_something(text: str, line: str) -> None:
    assert first_line(text, 10) == line


def test_what_stands_behind_two_dashes_is_no_flag() -> None:
    mode = Mode(["run", "--", "--json"])
    assert (mode.json, mode.machine) == (False, False)
    assert Mode(["run", "--jsonl", "--debug"]).machine
