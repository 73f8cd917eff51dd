"""Which statement of a text answers a question, word for word.

Rule 1: every content word of the question stands in the statement, or above it (heading, header row, introduction).
Rule 2: those words stand together: a foreign word among them, or one that they only modify, is another subject.
Rule 3: the statement says something that the question does not, of the kind and in the place that the question asks for.
"""

from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple

from stratagem.models.offline.asked import Asked
from stratagem.models.offline.blocks import Statement, cells
from stratagem.models.offline.doubts import doubted_above, doubtful, taken_back
from stratagem.models.offline.flow import flow_of, window
from stratagem.models.offline.holds import cell_holds, holds
from stratagem.models.offline.phrase import phrase


class Quote(NamedTuple):
    """A statement that answers, and how directly: 0 is best."""

    statement: Statement
    rank: int


def answers(question: Asked, said: Iterable[Statement]) -> list[Quote]:
    """Return the statements that answer, the most direct first."""
    found: list[Quote] = []
    every = list(said)
    for statement, after in zip_longest(every, every[1:]):
        if after is not None and after.kind == "sentence" and after.path == statement.path and taken_back(after.text):
            continue
        rank = _row(question, statement) if statement.kind == "row" else _sentence(question, statement)
        if rank is not None and not doubted_above(question, statement.above):
            found.append(Quote(statement, rank))
    return sorted(found, key=lambda quote: (quote.rank, quote.statement.path, quote.statement.line))


def chosen(question: Asked, found: list[Quote]) -> Statement | str:
    """Return the statement that is most direct, or why there is none: those that are equally direct must agree."""
    if not found:
        return "no passage says it"
    best = [quote.statement for quote in found if quote.rank == found[0].rank]
    facts = {frozenset(piece.word for piece in flow_of(one.text) if piece.content) - {*question.words} for one in best}
    if len(facts) == 1:
        return best[0]
    said = "; ".join(f"[{one.path}:{one.line}] {one.text[:200]}" for one in best[:4])
    return f"{len(best)} passages answer it, not with the same words: {said}"


def _sentence(question: Asked, statement: Statement) -> int | None:
    if statement.text.endswith("?"):
        return None
    flow = flow_of(statement.text)
    found = window(question.words, flow)
    if found is None:
        return None
    start, end = found
    inside = {piece.word for piece in flow[start:end]}
    missing = tuple(word for word in question.words if word not in inside)
    if missing and (any(piece.content for piece in flow[:start]) or not _above(question, missing, statement.above)):
        return None
    if doubtful(question, flow, start, end):
        return None
    if not phrase(question, flow, start, end) or not holds(question, flow, start, end):
        return None
    return 1 if missing else 0


def _above(question: Asked, missing: tuple[str, ...], above: tuple[str, ...]) -> bool:
    """Whether the lines above, from the nearest on, bring the missing words, and no other subject before that."""
    left, plain = set(missing), question._replace(kind="any", verb="", verbs=(), noun="")
    for line in reversed(above):
        flow = flow_of(line)
        found = window(question.words, flow)
        if found is None:
            if any(piece.content for piece in flow):
                return False
            continue
        start, end = found
        if not phrase(plain, flow, start, end) or any(piece.content for piece in flow[:start]):
            return False
        left -= {piece.word for piece in flow[start:end]}
        if not left:
            return True
    return not left


def _row(question: Asked, statement: Statement) -> int | None:
    """A table row answers if a cell of it, and the header or the heading, bring all words of the question."""
    row, wanted = cells(statement.text), {*question.words}
    keys = [_content(cell) for cell in row]
    heads = [_content(cell) for cell in statement.header]
    owned = [place for place, words in enumerate(keys) if words and words <= wanted]
    named = [place for place, words in enumerate(heads) if words and words <= wanted]
    if not owned or any(place >= len(row) for place in named):
        return None
    if owned[0] != 0 and owned[0] not in named:
        return None
    sought = [place for place in named if place not in owned]
    if len(sought) > 1 or (sought and question.explains):
        return None
    covered = set[str]().union(*(keys[place] for place in owned), *(heads[place] for place in named))
    if wanted - covered and not _above(question, tuple(wanted - covered), statement.above):
        return None
    shown = [row[place] for place in (sought or [place for place in range(len(row)) if place not in owned])]
    flow = [piece for cell in shown for piece in flow_of(cell)]
    return 0 if cell_holds(question.kind, flow) else None


def _content(cell: str) -> set[str]:
    return {piece.word for piece in flow_of(cell) if piece.content}
