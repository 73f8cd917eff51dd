import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.catalogue._docstring import ORDER, arguments, deviations, sections

DOC = """Do it.

Somebody et al., "A paper".

Args:
    actor: strategy that
        acts.
    n: number: of samples.

Cost:
    One wave.

    Two paragraphs.

Fails when:
    - it rains;
    - it
      snows."""


def test_sections_are_dedented_and_the_rest_stands_first() -> None:
    assert sections(DOC) == {
        "": 'Do it.\n\nSomebody et al., "A paper".',
        "Args": "actor: strategy that\n    acts.\nn: number: of samples.",
        "Cost": "One wave.\n\nTwo paragraphs.",
        "Fails when": "- it rains;\n- it\n  snows.",
    }


def test_a_heading_inside_a_section_or_a_line_is_text() -> None:
    assert list(sections("Do.\n\nCost:\n    Args:\n    Cost: high.")) == ["", "Cost"]


def test_arguments_are_joined_into_one_line_each() -> None:
    assert arguments(sections(DOC)["Args"]) == {"actor": "strategy that acts.", "n": "number: of samples."}
    assert arguments("") == {}


@pytest.mark.parametrize("text", ["", "No difference known."])
def test_no_difference_is_no_deviation(text: str) -> None:
    assert deviations(text) == []


def test_prose_is_one_deviation_and_nothing_is_guessed_from_it() -> None:
    said = "No released code. Paper: is\n    a word here."
    assert deviations(said) == [
        {"paper": "", "code": "", "ours": "No released code. Paper: is a word here.", "test": ""}
    ]


def test_labelled_lines_are_taken_apart() -> None:
    said = textwrap.dedent("""\
        Paper: forty samples.
        Code: ten,
            in a loop.
        Ours: ten.
        Test: test_ten
        Paper: ties are open.
        Ours: first seen.""")
    assert deviations(said) == [
        {"paper": "forty samples.", "code": "ten, in a loop.", "ours": "ten.", "test": "test_ten"},
        {"paper": "ties are open.", "code": "", "ours": "first seen.", "test": ""},
    ]


WORDS = st.text(st.characters(categories=["L", "N"], include_characters=" .,"), min_size=1).map(str.strip).filter(bool)


@given(st.dictionaries(st.sampled_from(ORDER), WORDS, min_size=1), WORDS)
def test_what_is_written_in_sections_is_read_back(said: dict[str, str], before: str) -> None:
    doc = before + "".join(f"\n\n{heading}:\n{textwrap.indent(text, '    ')}" for heading, text in said.items())
    assert sections(doc) == {"": before, **said}
