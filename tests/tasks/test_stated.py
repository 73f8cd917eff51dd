"""What is taken for the answer of a free reply, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tasks._stated import announced, phrase, short

CAPITAL = "What is the capital of France?"
RIVER = "Which river flows through Rome?"


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        (CAPITAL, "Paris", "paris"),
        (CAPITAL, "The capital is Paris.", "paris"),
        (CAPITAL, "The capital of France is **Paris**.", "paris"),
        (CAPITAL, "Paris is the capital of France.", "paris"),
        (CAPITAL, "It's Paris", "paris"),
        (CAPITAL, "It isn’t Paris", "isn't paris"),
        (CAPITAL, 'It is "Paris"!', "paris"),
        (CAPITAL, "France lies in Europe. Its capital is Paris.", "paris"),
        (CAPITAL, "Rome?\nNo.\nAnswer: Paris", "paris"),
        (CAPITAL, "**Answer:** Paris\nI hope that this helps.", "paris"),
        (CAPITAL, "Final answer:\n\n  Paris", "paris"),
        (CAPITAL, "So the answer is Paris.", "paris"),
        (CAPITAL, "The answer is Rome. No: the answer is Paris.", "paris"),
        (CAPITAL, "$\\boxed{Paris}$ it is", "paris"),
        (CAPITAL, "Answer: Rome, or rather \\boxed{Paris}", "paris"),
        (CAPITAL, "An answer would be long.", "answer would be long"),
        (CAPITAL, "not Paris", "not paris"),
        (CAPITAL, "The capital is not Paris.", "not paris"),
        (CAPITAL, "Paris is not the capital.", "paris is not"),
        (CAPITAL, "Either Paris or Rome.", "either paris or rome"),
        (CAPITAL, "Paris, Rome, Berlin", "paris rome berlin"),
        (CAPITAL, "The capital of France", "the capital of france"),  # nothing is left, so all is kept: it is no key
        (CAPITAL, "", None),
        (CAPITAL, " \n ?! \n", None),
        (RIVER, "The Tiber flows through Rome.", "tiber"),
        (RIVER, "the Tiber", "tiber"),
        ("Which is older, Rome or Paris?", "Rome", "rome"),
        ("Which is older, Rome or Paris?", "Rome or Paris", "rome or paris"),
        ("Where was Pushkin shot?", "In St. Petersburg", "in st petersburg"),
        ("What city never sleeps?", "New York City", "new york"),
    ],
)  # fmt: skip
def test_what_a_reply_states(question: str, text: str, found: str | None) -> None:
    said = phrase(question, text)
    assert (said and said.casefold()) == found


@given(st.text(max_size=60), st.text(max_size=40))
def test_the_key_is_always_right_by_itself_and_when_it_is_announced(question: str, key: str) -> None:
    one_line = " ".join(key.split())
    if "answer" in one_line.lower() or "boxed" in one_line:
        return
    said = phrase(question, one_line)
    assert said == phrase(question, f"Let me think.\nAnswer: {one_line}") or said is None


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    announced(text)
    found = phrase("What?", text)
    assert found is None or found == " ".join(found.split())


def test_sentences_and_long_texts_are_no_short_answers() -> None:
    assert short(["Paris", "the Tiber", "in St. Petersburg"])
    assert not short(["Paris", "All men are mortal."])
    assert not short(["a b c d e f g"])
