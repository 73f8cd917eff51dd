"""Whether an answer is supported: every quotation and every number, and nothing about quality."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.models.offline.check import supported

SEEN = ["   12  The pump is serviced every 6 weeks.\n   13  It weighs 1,200 kg.", "mean of rain: 5.040 (3 of 9 rows)"]


@pytest.mark.parametrize(
    "answer",
    [
        "[a.md:12] The pump is serviced every 6 weeks.",
        "[a.md:12-13] every 6 weeks. It weighs 1,200 kg.",
        "[a.csv: rows 1-9] mean of rain (3 of 9 rows): 5.04",
        'It says "the pump is serviced" and weighs 1200 kg.',
        "The mean for 2013 is 5.04.",
        "[a.csv: rows 1-9] mean of rain (3 of 9 rows): 5.04\nnot found: the weight of 77 pumps",
    ],
)
def test_what_was_observed_is_supported(answer: str) -> None:
    assert supported(answer, "What was it in 2013?", SEEN).passed
    assert supported(answer, "What was it in 2013?", SEEN).feedback == ""


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("[a.md:12] The pump is serviced every 7 weeks.", ("The pump is serviced every 7 weeks.", "7")),
        ("The mean is 5.05.", ("5.05",)),
        ('"The valve is serviced" every 6 weeks', ("The valve is serviced",)),
        ("It is 12,000 kg and 6 weeks.", ("12,000",)),
    ],
)
def test_what_was_not_observed_is_named(answer: str, missing: tuple[str, ...]) -> None:
    support = supported(answer, "", SEEN)
    assert support.unsupported == missing
    assert not support.passed
    assert support.feedback == f"not supported: {', '.join(map(repr, missing))}"


def test_an_answer_without_anything_to_check_is_not_supported() -> None:
    support = supported("Yes, surely.", "Is it?", SEEN)
    assert (support.passed, support.checked) == (False, 0)


def test_line_numbers_are_no_evidence_for_quotations() -> None:
    assert not supported("[a.md:12] weeks. 13 It", "", SEEN).passed


@given(st.text(max_size=200), st.lists(st.text(max_size=100), max_size=3))
def test_nothing_breaks_it(answer: str, seen: list[str]) -> None:
    support = supported(answer, answer, seen)
    assert support.passed == (support.feedback == "")
