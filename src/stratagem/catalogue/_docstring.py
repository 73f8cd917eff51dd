"""Reads the sections of a docstring in the form that every strategy's has (CONTRIBUTING.md)."""

import re
import textwrap
from typing import TypedDict

ORDER = ("Args", "Returns", "Raises", "Example", "Cost", "Fails when", "Paper, code, ours")
REQUIRED = ("Args", "Cost", "Fails when", "Paper, code, ours")
SAME = "No difference known."

_HEADING = re.compile(rf"^({'|'.join(ORDER)}):[ ]*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+): ", re.MULTILINE)
_LABEL = re.compile(r"^(Paper|Code|Ours|Test): ", re.MULTILINE)


class Deviation(TypedDict):
    """Where the paper, the authors' released code and this library part; "" where nothing is stated."""

    paper: str
    code: str
    ours: str
    test: str


def sections(doc: str) -> dict[str, str]:
    """Return the text of each section by its heading, in the order found; under "" what stands before the first."""
    before, *rest = _HEADING.split(doc)
    found = {"": before.strip()}
    for heading, text in zip(rest[::2], rest[1::2], strict=True):
        found[heading] = textwrap.dedent(text.strip("\n")).rstrip()
    return found


def arguments(text: str) -> dict[str, str]:
    """Return what an `Args` section says of each parameter, on one line each."""
    _, *rest = _ARGUMENT.split(text)
    return {name: " ".join(words.split()) for name, words in zip(rest[::2], rest[1::2], strict=True)}


def deviations(text: str) -> list[Deviation]:
    """Return what a "Paper, code, ours" section says.

    Lines that begin with `Paper: `, `Code: `, `Ours: ` and `Test: ` are taken apart, and each further `Paper: ` begins
    the next deviation. Other text is one deviation, whole: nothing is guessed from prose.
    """
    if text in ("", SAME):
        return []
    before, *rest = _LABEL.split(text)
    if before.strip() or not rest:
        return [Deviation(paper="", code="", ours=" ".join(text.split()), test="")]
    found: list[Deviation] = []
    for label, words in zip(rest[::2], rest[1::2], strict=True):
        if label == "Paper" or not found:
            found.append(Deviation(paper="", code="", ours="", test=""))
        found[-1][label.lower()] = " ".join(words.split())
    return found
