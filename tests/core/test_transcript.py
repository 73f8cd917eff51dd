"""The bytes of a turn, which its digest is made of."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Observation, Step, ToolCall, Transcript, Turn, encoded
from stratagem.core._canonical import hashed

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=6)
CALLS = st.builds(ToolCall, TEXTS, st.dictionaries(TEXTS, JSON))
STEPS = st.builds(Step, TEXTS, st.lists(CALLS, max_size=3).map(tuple), st.none() | TEXTS)
NO_TEXT: Any = object()
SEEN = st.lists(st.builds(Observation, TEXTS, st.booleans()), max_size=3).map(tuple)


@given(STEPS, SEEN)
def test_a_turn_is_written_as_the_encoder_writes_its_form(step: Step, seen: tuple[Observation, ...]) -> None:
    assert Turn(step, seen).encoded() == encoded(Turn(step, seen).plain())


@pytest.mark.parametrize(
    "turn",
    [
        Turn(Step(None)),  # pyright: ignore[reportArgumentType]
        Turn(Step("a", (), 7)),  # pyright: ignore[reportArgumentType]
        Turn(Step("a"), (Observation("b", 1),)),  # pyright: ignore[reportArgumentType]
        Turn(Step("a"), (Observation(None),)),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_should_be_a_text_and_is_none_is_written_as_it_is(turn: Turn) -> None:
    assert turn.encoded() == encoded(turn.plain())


def test_the_digest_of_a_fork_is_that_of_the_same_turns_from_the_start() -> None:
    def told(*steps: Any) -> Transcript:
        made = Transcript()
        for step in steps:
            made = made.then(*step)
        return made

    first, second, other = (Step("a"), Observation("1")), (Step("b"),), (Step("c"), Observation("2"))
    trunk = told(first)
    whole, fork = trunk.then(*second), trunk.then(*other)
    assert (whole.digest, fork.digest) == (told(first, second).digest, told(first, other).digest)
    link = hashed(b"c" + trunk.digest + hashed(b"u" + encoded(Turn(other[0], (other[1],)).plain())))
    assert fork.digest == link
    assert fork.then(*second).digest != whole.then(*other).digest


@given(st.lists(STEPS, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_digest_does_not_depend_on_when_it_is_asked_for(steps: list[Step], asked: list[bool]) -> None:
    eager = late = Transcript()
    for step, now in zip(steps, asked, strict=False):
        eager, late = eager.then(step), late.then(step)
        assert len(eager.digest) == 32
        if now:
            assert late.digest == eager.digest
    assert late.digest == eager.digest


@pytest.mark.parametrize(
    ("step", "seen"),
    [("a text", ()), (Step("a\ud800"), ()), (Step("a", (), "\udfff"), ()), (Step(NO_TEXT), ()), (Step("a"), ("b",))],
)
def test_what_cannot_be_written_is_refused_by_whoever_adds_it(step: Any, seen: tuple[Any, ...]) -> None:
    before = Transcript().then(Step("begun"))
    with pytest.raises((AttributeError, TypeError, ValueError)):
        before.then(step, *seen)
    assert before.then(Step("on")).digest == Transcript().then(Step("begun")).then(Step("on")).digest
