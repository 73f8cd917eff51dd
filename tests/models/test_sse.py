from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.models.sse import LARGEST, Events, TooLarge


def decoded(data: bytes, *borders: int) -> list[tuple[str, str]]:
    """Decode a stream that comes in pieces with these borders."""
    events, found = Events(), []
    places = [0, *sorted(borders), len(data)]
    for start, end in pairwise(places):
        found += events.feed(data[start:end])
    return found + events.end()


TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
LINE_END = st.sampled_from([b"\n", b"\r", b"\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, str]]]:
    """Draw a stream and what it says."""
    end, data, wanted = draw(LINE_END), draw(st.sampled_from([b"", b"\xef\xbb\xbf"])), []
    for _ in range(draw(st.integers(0, 4))):
        name, lines = draw(st.sampled_from(["", "error"])), draw(st.lists(TEXT, min_size=1, max_size=3))
        data += draw(st.sampled_from([b"", b": a comment" + end, b"id: 3" + end]))
        data += f"event: {name}".encode() + end if name else b""
        data += b"".join(draw(st.sampled_from([b"data: ", b"data: "])) + line.encode() + end for line in lines) + end
        wanted.append((name, "\n".join(lines)))
    return data, wanted


@given(streams(), st.data())
def test_where_a_stream_is_cut_into_pieces_makes_no_difference(
    stream: tuple[bytes, list[tuple[str, str]]], more: st.DataObject
) -> None:
    data, wanted = stream
    borders = more.draw(st.lists(st.integers(0, len(data)), max_size=6))
    assert decoded(data, *borders) == wanted


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_event_may_be_cut_at_every_byte(end: bytes) -> None:
    data = end.join(["data: ä".encode(), b"data: b", b"", b"event: x", b"data:c", b"", b""])
    assert decoded(data, *range(len(data))) == [("", "ä\nb"), ("x", "c")]


def test_an_event_comes_with_the_byte_that_ends_it() -> None:
    events = Events()
    assert events.feed(b"data: a\r\n\r") == [("", "a")]
    assert events.feed(b"\ndata: b\n") == []
    assert events.feed(b"\n") == [("", "b")]


def test_only_one_space_after_the_colon_is_left_out_and_a_field_may_be_empty() -> None:
    assert decoded(b"data:  a\ndata\ndata:b\n\n") == [("", " a\n\nb")]


def test_what_has_no_data_is_no_event() -> None:
    assert decoded(b"event: ping\n\n: hello\n\nretry: 5\n\n") == []


def test_the_end_of_a_stream_ends_its_last_event() -> None:
    assert decoded(b"data: [DONE]") == [("", "[DONE]")]
    assert decoded(b"data: [DONE]\n") == [("", "[DONE]")]


def test_bytes_that_are_no_utf8_are_marked() -> None:
    assert decoded(b"data: \xff\n\n") == [("", "\ufffd")]


def test_an_event_without_an_end_is_refused() -> None:
    with pytest.raises(TooLarge):
        decoded(b"data: " + b"x" * LARGEST)
    line = b"data: " + b"x" * 1_000_000 + b"\n"
    with pytest.raises(TooLarge):
        decoded(line * 9, *(len(line) * n for n in range(1, 9)))
