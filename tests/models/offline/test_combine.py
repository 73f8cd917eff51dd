"""An answer from findings and passages: copied, never invented."""

import pytest

from stratagem.core import Observation, Step, Transcript
from stratagem.errors import NoAnswer
from stratagem.models.offline.combine import combined, observed

TABLE = "[a.csv: rows 1-9, columns rain] mean of rain (9 of 9 rows): 5.04"
QUOTE = "[a.md:12] The pump is serviced every 6 weeks."


def test_located_lines_are_copied_once_in_their_order() -> None:
    findings = (f"What is the mean rain?: {TABLE}", f"How often?: {QUOTE}", f"Again?: {QUOTE}")
    assert combined("question", findings) == f"{TABLE}\n{QUOTE}"


def test_two_locators_before_one_value_stay_together() -> None:
    both = "[a.csv: rows 1-9] [a.csv: rows 3] city of the row with the max of rain (9 of 9 rows): Kiel (rain 9)"
    assert combined("question", (f"Which city?: {both}",)) == both


def test_what_was_not_found_is_said() -> None:
    failed = "Who?: not reached, cannot answer: no passage says it; I quote"
    assert combined("question", (f"a: {TABLE}", failed)) == f"{TABLE}\nnot found: {failed}"


def test_without_a_finding_the_reasons_are_given() -> None:
    failed = "Who?: not reached, cannot answer: no passage says it; I quote"
    with pytest.raises(NoAnswer, match=r"^cannot answer: no passage says it; I quote$"):
        combined("Who?", (failed,))
    with pytest.raises(NoAnswer, match="nothing was found"):
        combined("Who?", ())


def test_a_quotation_inside_a_refusal_is_no_answer() -> None:
    failed = "Who?: not reached, cannot answer: 2 passages answer it, not with the same words: [a.md:1] Ann does. [b.md:2] Bo"
    with pytest.raises(NoAnswer, match="2 passages"):
        combined("Who does it?", (failed,))


def test_a_sentence_of_a_passage_is_quoted_with_the_passages_place() -> None:
    passages = ("docs/a.md:12 It rained. The pump is serviced every 6 weeks.", "The valve is red.")
    assert combined("How often is the pump serviced?", passages) == "[docs/a.md:12] The pump is serviced every 6 weeks."
    assert combined("What is the length of the pump?", ("x", "The pump has a length of 3 m.")).startswith(
        "[passage 2] "
    )
    with pytest.raises(NoAnswer):
        combined("How often is the valve serviced?", passages)


def test_a_trajectory_brings_its_answer_or_what_it_saw() -> None:
    steps = Transcript().then(Step("look"), Observation("a door"), Observation("no", failed=True))
    assert observed(steps) == ["a door"]
    assert observed(steps.then(Step(answer=QUOTE))) == [QUOTE]
    assert observed(Transcript()) == []
