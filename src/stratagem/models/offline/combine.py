"""An answer from what was found: copied, with its locators. Nothing is put into other words."""

import re
from collections.abc import Sequence

from stratagem.core import Transcript
from stratagem.errors import NoAnswer
from stratagem.models.offline import quote
from stratagem.models.offline.asked import asked_of
from stratagem.models.offline.blocks import Statement, statements

REFUSAL = "cannot answer: "
UNFOUND = "not found: "
_FOUND = re.compile(r"(?:^|(?<=: )|(?<=\n))\[(?=[^\s\[\]][^\n]*\] )")
_PLACE = re.compile(r"^\[?([^\s\[\]:]+:\d+(?:-\d+)?)\]?:?\s+")


def combined(question: str, findings: Sequence[str]) -> str:
    """Return the located lines of the findings; what was not found is said. `NoAnswer` if there is none."""
    lines: list[str] = []
    failures: list[str] = []
    for finding in findings:
        located = _located(finding)
        lines += [line for line in located if line not in lines]
        if not located and finding.strip():
            failures.append(" ".join(finding.split()))
    if lines:
        return "\n".join([*lines, *(f"{UNFOUND}{failure}" for failure in failures)])
    statement = _quoted(question, [finding for finding in findings if REFUSAL not in finding])
    if statement:
        return statement
    reasons = dict.fromkeys(failure.partition(REFUSAL)[2] or failure for failure in failures)
    why = " / ".join(reasons)[:2_000] or "nothing was found; I copy what was found, word for word"
    raise NoAnswer(f"{REFUSAL}{why}")


def observed(steps: Transcript) -> list[str]:
    """Return what a trajectory found: its answer if it has one, else the texts of its observations."""
    if len(steps) and steps.last.step.answer is not None:
        return [steps.last.step.answer]
    return [seen.text for seen in steps.observations if not seen.failed]


def _located(finding: str) -> list[str]:
    """Return the part of a finding that begins with a locator in brackets, line by line; a refusal has none."""
    found = _FOUND.search(finding)
    if found is None or REFUSAL in finding[: found.start()]:
        return []
    return [line for line in finding[found.start() :].split("\n") if line.strip()]


def _quoted(question: str, texts: Sequence[str]) -> str:
    """Return the statement of plain passages that answers the question; empty if none does."""
    asked = asked_of(question)
    if isinstance(asked, str):
        return ""
    said: list[Statement] = []
    for number, text in enumerate(texts, 1):
        place = _PLACE.match(text)
        where, body = (place[1], text[place.end() :]) if place else (f"passage {number}", text)
        said += statements(where, dict(enumerate(body.split("\n"), 1)))
    best = quote.chosen(asked, quote.answers(asked, said))
    return "" if isinstance(best, str) else f"[{best.path}] {best.text}"
