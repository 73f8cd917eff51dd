"""Canonical bytes: the stored format of everything that is hashed. The golden file freezes it."""

import json
import math
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Content, Step, ToolCall, Transcript, encoded, json_of, plain
from stratagem.core import _canonical as canonical
from stratagem.core._canonical import clean, decoded, hashed, quoted, text_of
from stratagem.errors import UsageError

GOLDEN = Path(__file__).parent / "golden"
OTHER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)

TEXT = st.text(st.characters(codec="utf-8"))
ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)

# What is frozen, beside its bytes in `golden/canonical.txt`. Append only.
VALUES: list[Any] = [
    None,
    True,
    [],
    {},
    "",
    0,
    -7,
    2**64,
    10**30,
    1.0,
    -0.0,
    0.1,
    1e16,
    1e-7,
    1.7976931348623157e308,
    {"b": 1, "a": 2, "B": 3, "é": 4, "e\u0301": 5, "\U0001f600": 6, "\uffff": 7},
    ["x", ["y", {"z": []}]],
    "line\nbreak\ttab\rreturn\b\f\x00\x1f\x7f",
    '"quoted" and \\ and /',
    "é e\u0301 \u2028 \u2029 \ufeff \U0001f600 \U0010ffff",
]


def test_the_bytes_are_those_that_were_frozen() -> None:
    frozen = (GOLDEN / "canonical.txt").read_bytes().split(b"\n")
    assert [encoded(value) for value in VALUES] == frozen[:-1]


@given(JSON)
def test_the_fast_encoder_writes_what_the_plain_one_writes(value: Any) -> None:
    assert encoded(value) == OTHER.encode(value).encode()
    again = decoded(encoded(value))
    assert encoded(again) == encoded(value)


@given(JSON)
def test_without_the_fast_encoder_the_bytes_are_the_same(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "_fast", None)
        slow = text_of(value)
    assert slow == text_of(value)


@given(TEXT)
def test_a_text_quoted_by_hand_is_the_encoders(text: str) -> None:
    assert quoted(text) == OTHER.encode(text) == text_of(text)


@pytest.mark.parametrize(
    "long", ["a long text " * 10, "ein längerer Text – " * 10, "\U0001f600 " * 40, "lone \ud800 " * 10]
)
def test_a_long_text_quoted_by_hand_is_the_encoders_whatever_letter_is_in_it(long: str) -> None:
    for letter in [*map(chr, range(0x300)), "\u2028", "\ufeff", "\udfff", "\U0010ffff"]:
        for text in (long + letter, letter + long, long + letter + long):
            assert quoted(text) == OTHER.encode(text)


def test_a_text_with_more_to_it_is_quoted_as_its_letters() -> None:
    text = "said by somebody whom nobody knows, and longer than what is short " * 2
    assert quoted(Content(text)) == quoted(text) == OTHER.encode(text)


@given(JSON, JSON)
def test_different_data_has_different_bytes(one: Any, other: Any) -> None:
    same = json.loads(json.dumps([one])) == json.loads(json.dumps([other])) and repr(one) == repr(other)
    assert (encoded(one) == encoded(other)) == (same or OTHER.encode(one) == OTHER.encode(other))


def test_what_looks_alike_is_not_the_same() -> None:
    assert encoded(1) != encoded(1.0) != encoded(True)
    assert encoded("é") != encoded("e\u0301")  # the model sees the difference
    assert encoded(0.0) != encoded(-0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="must be a finite number"):
        plain((1, value))
    with pytest.raises(UsageError, match="must be a finite number"):
        json_of([{"x": value}])
    with pytest.raises(ValueError, match="Out of range float"):
        encoded(value)


@pytest.mark.parametrize("key", [1, None, True, 1.5, ("a",)])
def test_keys_must_be_text(key: object) -> None:
    with pytest.raises(UsageError, match="keys of an input must be text"):
        plain(MappingProxyType({key: 1}))


def test_what_a_tool_gives_may_have_other_keys_unless_two_become_one() -> None:
    assert json_of({2020: 1, "2021": 2}) == {"2020": 1, "2021": 2}
    with pytest.raises(UsageError, match=r"two keys .* '1'"):
        json_of({1: "a", "1": "b"})


@pytest.mark.parametrize("value", [{1, 2}, b"x", [1], object(), (object(),)])
def test_what_is_no_immutable_data_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="must be immutable data"):
        plain(value)


def nested(depth: int, made: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = made(value)
    return value


@pytest.mark.parametrize("depth", [202, 5_000, 100_000])
@pytest.mark.parametrize("made", [lambda v: (v,), lambda v: MappingProxyType({"a": v})], ids=["tuples", "maps"])
def test_deep_nesting_is_refused_and_no_stack_overflows(depth: int, made: Any) -> None:
    with pytest.raises(UsageError, match="nested deeper than 200"):
        plain(nested(depth, made))
    assert plain(nested(200, made)) is not None


@pytest.mark.parametrize("depth", [202, 5_000, 100_000])
@pytest.mark.parametrize("made", [lambda v: [v], lambda v: {"a": v}, lambda v: (v,)], ids=["lists", "dicts", "tuples"])
def test_what_a_tool_gives_may_not_be_nested_deeper_either(depth: int, made: Any) -> None:
    with pytest.raises(UsageError, match="nested deeper than 200"):
        json_of(nested(depth, made))


@given(st.text(st.characters(exclude_categories=())))
def test_lone_surrogates_are_replaced_and_nothing_else(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert cleaned == text
    assert clean(cleaned) == cleaned


def test_a_surrogate_does_not_take_its_neighbours_with_it() -> None:
    assert clean("a\ud800b\udc00\ud83d\ude00c") == "a\ufffdb\ufffd\U0001f600c"


def test_values_of_the_core_have_a_form_of_their_own() -> None:
    call = ToolCall("go", {"to": ["x", {"y": 1}]})
    assert plain(Step("t", (call,))) == ["t", [["go", {"to": ["x", {"y": 1}]}]], None]
    assert plain(Content("text")) == "text"
    first = Transcript().then(Step("t"))
    assert plain(first) == {"$": "Transcript", "digest": first.digest.hex()}


def test_a_digest_is_thirty_two_bytes_of_sha256() -> None:
    import hashlib

    assert hashed(b"qx") == hashlib.sha256(b"qx").digest()


# Transcripts


def chain(turns: list[Any]) -> bytes:
    """Return the digest of a conversation, made from nothing."""
    import hashlib

    digest = hashlib.sha256(b"t").digest()
    for turn in turns:
        mine = hashlib.sha256(b"u" + OTHER.encode(turn).encode()).digest()
        digest = hashlib.sha256(b"c" + digest + mine).digest()
    return digest


def test_an_empty_view_of_a_shared_buffer_has_a_digest_of_its_own() -> None:
    empty = Transcript()
    full = empty.then(Step("a"))
    assert empty.digest == Transcript().digest == chain([])
    assert full.digest == chain([[["a", [], None], []]])
    again = empty.then(Step("b"))
    assert (len(empty), len(full), len(again)) == (0, 1, 1)
    assert again.digest == chain([[["b", [], None], []]])
    assert full.lines() == ["Thought 1: a"]
    assert empty.lines() == []


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), max_size=40))
def test_forked_conversations_have_the_digest_of_one_made_afresh(plan: list[tuple[int, str]]) -> None:
    views, plainly = [Transcript()], [[]]
    for parent, word in plan:
        number = parent % len(views)
        step = Step(word)
        views.append(views[number].then(step))
        plainly.append([*plainly[number], [step.plain(), []]])
    for view, turns in zip(views, plainly, strict=True):
        assert view.digest == chain(turns)
        assert [turn.plain() for turn in view] == turns
        assert view.lines() == [f"Thought {n}: {turn[0][0]}" for n, turn in enumerate(turns, 1)]
        assert view.size("words", len) == sum(map(len, view.lines()))


def test_what_a_conversation_holds_cannot_be_changed_after_it_was_hashed() -> None:
    arguments: Any = {"to": ["x"]}
    step = Step("t", (ToolCall("go", arguments),))
    view = Transcript().then(step)
    arguments["to"].append("y")
    arguments["more"] = 1
    assert view.digest == chain([[step.plain(), []]])
    with pytest.raises(TypeError):
        step.calls[0].arguments["to"] = 1  # pyright: ignore[reportIndexIssue]


@pytest.mark.parametrize("data", [b"", b" ", b"x", b"{", b"[1,", b"1 2"])
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|Extra"):
        decoded(data)
