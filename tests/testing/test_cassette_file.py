"""The file of a cassette: sorted, whole or not there, and what is wrong with it is said with file and line."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Usage
from stratagem.errors import UsageError
from stratagem.testing._cassette_file import Line, read, write

GOOD: dict[str, Any] = {
    "path": "once", "digest": "ab", "occurrence": 0, "model": "m", "request": {"signature": "x.y"}, "reply": {"text": "hi"},
}  # fmt: skip

TURN = st.sampled_from(["a", "b", "c"])


@st.composite
def conversations(draw: st.DrawFn) -> list[Line]:
    """Draw lines whose conversations branch off from each other."""
    known: list[tuple[str, ...]] = [()]
    for _ in range(draw(st.integers(1, 12))):
        known.append((*draw(st.sampled_from(known)), draw(TURN)))
    lines: list[Line] = []
    for number, turns in enumerate(draw(st.permutations(known))):
        request: dict[str, Any] = {"signature": "x.y", "message": "go"}
        if turns:
            request["steps"] = [[turn, [], None] for turn in turns]
        path = draw(st.sampled_from(["", "react", "map[2]/react", "map[10]/react"]))
        digest = "".join(turns) or "none"
        lines.append(
            Line(path, digest, number, "m", request, {"text": f"t{number}"}, usage=Usage(1, prompt_tokens=number))
        )
    return lines


@given(conversations(), st.integers(0, 99))
def test_what_is_written_is_read_again_and_the_order_of_recording_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], seed: int
) -> None:
    path = tmp_path_factory.mktemp("kept") / "a.jsonl"
    write(path, lines)
    first = path.read_bytes()
    assert {line.key: line._replace(number=0) for line in read(path).values()} == {line.key: line for line in lines}
    random.Random(seed).shuffle(lines)
    write(path, lines)
    assert path.read_bytes() == first
    assert [line.number for line in read(path).values()] == list(range(1, len(lines) + 1))


def test_the_tenth_branch_stands_behind_the_second(tmp_path: Path) -> None:
    lines = [Line(f"map[{n}]", "d", 0, "m", {}, {"text": ""}) for n in (10, 2, 1)]
    write(tmp_path / "a", lines)
    assert [line.path for line in read(tmp_path / "a").values()] == ["map[1]", "map[2]", "map[10]"]


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "new" / "a.jsonl", [Line("", "d", 0, "m", {}, {"text": ""})])
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ("<<<<<<< HEAD", "it is no JSON"),
        (json.dumps({**GOOD, "path": 1}), "its 'path' is missing, or not of the type str"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "request"}), "its 'request' is missing"),
        (json.dumps({**GOOD, "rely": {}}), "its 'rely' is unknown"),
        (json.dumps({**GOOD, "reply": "hi"}), "its 'reply' is unknown, or not of its type"),
        (json.dumps({**GOOD, "reply": {"words": "hi"}}), "neither a `reply` with a `text` nor an `error`"),
        (json.dumps({**GOOD, "error": ["Refused", "no", {}]}), "nor an `error`, or both"),
        (json.dumps({**GOOD, "usage": {"tokens": 3}}), "its `usage` has a key that is unknown"),
        (json.dumps({**GOOD, "reply": {"text": "other"}}), "it answers the same request as line 1"),
        (
            json.dumps({**GOOD, "path": "b", "digest": "cd", "request": {"steps": {"after": "xx", "turns": []}}}),
            "its `steps` go on after a line that is not there",
        ),
        (
            json.dumps({**GOOD, "path": "b", "digest": "cd", "request": {"steps": {"after": "cd", "turns": []}}}),
            "its `steps` go on after a line that is not there",
        ),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{text}\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:3: this is no line of a cassette: ")
    assert why in str(caught.value)


def test_a_line_that_a_merge_has_doubled_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"\ufeff{json.dumps(GOOD)}\r\n{json.dumps(GOOD)}\r\n", "utf-8")
    assert list(read(path)) == [("once", "ab", 0)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the cassette '.*' cannot be read"):
        read(tmp_path)
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"the cassette '.*a' cannot be read"):
        read(tmp_path / "a")
