"""Tool calls in fragments: which belong together, where a server numbers them, names them, or does neither."""

from typing import Any

import pytest

from stratagem.models.compatible_calls import Calls

LOOK, OPEN = {"name": "look", "arguments": '{"at": 1}'}, {"name": "open", "arguments": '{"at": 2}'}
BOTH = [("look", '{"at": 1}'), ("open", '{"at": 2}')]
TWICE = [("look", '{"at": 1}')] * 2


def streamed(*chunks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    calls = Calls()
    for chunk in chunks:
        calls.add(chunk, whole=False)
    return calls.ended()


def begun(name: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": ""}, **more}


def more(text: str, **facts: Any) -> dict[str, Any]:
    return {"function": {"arguments": text}, **facts}


@pytest.mark.parametrize(
    "chunks",
    [
        ([{"id": "a", "function": LOOK}], [{"id": "b", "function": OPEN}]),  # one after the other, without an index
        ([{"id": "a", "function": LOOK}, {"id": "b", "function": OPEN}],),
        ([{"index": 0, "id": "a", "function": LOOK}], [{"index": 0, "id": "b", "function": OPEN}]),  # all at 0
        ([{"index": 0, "id": "a", "function": LOOK}], [{"index": 1, "id": "a", "function": OPEN}]),  # all of one id
        ([{"index": 0, "id": "", "function": LOOK}], [{"index": 0, "id": "", "function": OPEN}]),  # neither
        ([{"function": LOOK}, {"function": OPEN}],),
        ([{"function": LOOK}], [{"function": OPEN}]),
        ([begun("look", id="a")], [more('{"at": 1}')], [begun("open", id="b")], [more('{"at"')], [more(": 2}")]),
        ([begun("look", id="a"), begun("open", id="b")], [more('{"at": 1}', id="a")], [more('{"at": 2}', id="b")]),
        ([begun("look"), begun("open")], [more('{"at"'), more('{"at"')], [more(": 1}"), more(": 2}")]),
        (
            [begun("look", index=0, id="a")], [begun("open", index=0, id="b")],
            [more('{"at": 1}', index=0, id="a")], [more('{"at": 2}', index=0, id="b")],
        ),
        ([begun("open", index=1), begun("look", index=0)], [more('{"at": 1}', index=0), more('{"at": 2}', index=1)]),
    ],
)  # fmt: skip
def test_two_calls_stay_two(chunks: tuple[list[dict[str, Any]], ...]) -> None:
    assert streamed(*chunks) == BOTH


@pytest.mark.parametrize(
    "chunks",
    [
        ([{"id": "a", "function": LOOK}], [{"id": "b", "function": LOOK}]),
        ([{"index": 0, "function": LOOK}], [{"index": 0, "function": LOOK}]),
        ([{"function": LOOK}, {"function": LOOK}],),
        ([begun("look"), begun("look")], [more('{"at": 1}'), more('{"at": 1}')]),
        ([begun("look", id="a")], [begun("look", id="b")], [more('{"at": 1}', id="a"), more('{"at": 1}', id="b")]),
    ],
)
def test_two_calls_of_one_tool_stay_two(chunks: tuple[list[dict[str, Any]], ...]) -> None:
    assert streamed(*chunks) == TWICE


@pytest.mark.parametrize(
    "chunks",
    [
        ([begun("look", index=0, id="a")], [more('{"at": ', index=0)], [more("1}", index=0)]),
        ([begun("look", index=0, id="a")], [more('{"at": ', index=0, id="a")], [more("1}", index=0, id="a")]),
        ([begun("look", id="a")], [more('{"at": ')], [more("1}")]),
        ([begun("look", index=0)], [more('{"at": ', index=0, id="a")], [more("1}", index=0)]),  # the id comes late
        ([begun("look")], [more('{"at": ', index=0)], [more("1}", index=0)]),  # and so does the index
        ([begun("look", index=0, id="a")], [begun("look", index=0, id="a")], [more('{"at": 1}', index=0, id="a")]),
        (  # everything is said each time
            [{"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"at"'}}],
            [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ": 1}"}}],
            [{"index": 0, "id": "a", "function": {"name": "look", "arguments": ""}}],
        ),
    ],
)
def test_fragments_of_one_call_stay_together(chunks: tuple[list[dict[str, Any]], ...]) -> None:
    assert streamed(*chunks) == BOTH[:1]


def test_each_entry_of_a_whole_reply_is_a_call() -> None:
    calls = Calls()
    same = {"index": 0, "id": "a", "function": LOOK}
    calls.add([same, same], whole=True)
    assert calls.ended() == TWICE


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "given", [7, "look", {"function": LOOK}, ["look"], [None], [{"function": "look"}], [{"function": {"name": ["a"]}}]]
)
def test_what_is_no_call_is_said_to_be_none(given: Any, whole: bool) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Calls().add(given, whole=whole)


def test_a_call_without_a_name_is_none() -> None:
    with pytest.raises(ValueError, match="a call names no tool"):
        streamed([more("{}", index=0, id="a")])
