"""An answer from what was found: copied, with its locators. Nothing is put into other words."""

import re
from collections.abc import Iterable
from typing import NoReturn

from stratagem.core import Observation, Transcript
from stratagem.errors import NoAnswer
from stratagem.models.offline import quote
from stratagem.models.offline.blocks import Statement, statements

_FOUND = re.compile(r"(?:^|(?<=: )|(?<=\n))\[(?=[^\s\[\]][^\n]*\] )")
_PLACE = re.compile(r"^\[?([^\s\[\]:]+:\d+(?:-\d+)?)\]?:?\s+")
_UNREACHED = re.compile(r"^(?P<goal>.*?): not reached, (?P<why>.*)$", re.DOTALL)


def concluded(question: str, findings: Iterable[str]) -> str:
    """Return the located lines of the findings; what was not found is said. `NoAnswer` if there is none."""
    lines: list[str] = []
    failures: list[str] = []
    for finding in findings:
        located = _located(finding)
        lines += [line for line in located if line not in lines]
        if not located and finding.strip():
            failures.append(finding.strip())
    if lines:
        return "\n".join([*lines, *(f"not found: {failure}" for failure in failures)])
    statement = _quoted(question, findings)
    if statement:
        return statement
    why = "; ".join(failures)[:600] or "nothing was found"
    _refuse(f"none of the findings holds an answer: {why}")


def observed(steps: Transcript) -> list[str]:
    """Return what a trajectory found: its answer if it has one, else the texts of its observations."""
    if len(steps) and steps.last.step.answer is not None:
        return [steps.last.step.answer]
    return [_text(seen) for seen in steps.observations if not seen.failed]


def _text(seen: Observation) -> str:
    return seen.text


def _located(finding: str) -> list[str]:
    """Return the part of a finding that begins with a locator in brackets, line by line."""
    found = _FOUND.search(finding)
    return [line for line in finding[found.start() :].split("\n") if line.strip()] if found else []


def _quoted(question: str, texts: Iterable[str]) -> str:
    """Return the statement of plain passages that answers the question, or nothing."""
    asked = quote.asked(question)
    if isinstance(asked, str):
        return ""
    said: list[Statement] = []
    for number, text in enumerate(texts, 1):
        place = _PLACE.match(text)
        where = place[1] if place else f"passage {number}"
        body = text[place.end() :] if place else text
        said += [one._replace(path=where) for one in statements(where, dict(enumerate(body.split("\n"), 1)))]
    answers = quote.answers(asked, said)
    best = quote.chosen(asked, answers) if answers else ""
    return "" if isinstance(best, str) else "\n".join(f"[{one.statement.path}] {one.statement.text}" for one in best)


def _refuse(reason: str) -> NoReturn:
    raise NoAnswer(f"cannot answer: {reason}; I copy what was found, word for word")
