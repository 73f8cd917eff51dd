"""Which statement of a text answers a question, word for word.

Rule 1: every content word of the question stands in the statement, or above it (heading, header row, introduction).
Rule 2: those words stand together: a foreign word among them, or one that they only modify, is another subject.
Rule 3: the statement says something that the question does not, of the kind and in the place that the question asks for.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stratagem.models.offline import words as lists
from stratagem.models.offline.blocks import Statement, cells
from stratagem.models.offline.flow import Piece, content_of, flow_of, phrase, skipped, window
from stratagem.models.offline.holds import cell_holds, holds
from stratagem.models.offline.words import POLITE, root, tokens

_LEADS: dict[str, str] = {
    "how many": "count", "how much": "number", "how long": "span", "how often": "rate", "how far": "number",
    "how tall": "number", "how heavy": "number", "how large": "number", "how big": "number", "how old": "number",
    "when": "time", "what year": "time", "which year": "time", "who": "name", "where": "place", "what": "any",
    "which": "any",
}  # fmt: skip
_MEASURED: dict[str, tuple[str, ...]] = {
    "how long": ("last", "take", "period"), "how much": ("cost", "weigh"), "how heavy": ("weigh",),
}  # fmt: skip
_AUXILIARY = frozenset(("do", "does", "did"))


class Asked(NamedTuple):
    """A question to a text.

    Attributes:
        kind: what the answer must hold: `count number span rate time name place any`.
        words: roots of the content words, in order.
        explains: whether it asks what its words mean.
        copular: whether it asks what something is.
        verb: root of the last word if it is the verb of the question; empty otherwise.
        verbs: roots that a statement may use in place of the question word.
        noun: root of what is counted or chosen; empty if nothing is.
    """

    kind: str
    words: tuple[str, ...]
    explains: bool
    copular: bool
    verb: str
    verbs: tuple[str, ...]
    noun: str


class Quote(NamedTuple):
    """A statement that answers, and how directly: 0 is best."""

    statement: Statement
    rank: int


def explains(question: str) -> bool:
    """Whether the question asks what something means."""
    plain = [token.text.casefold() for token in tokens(POLITE.sub("", question)) if token.kind != "mark"]
    return len(plain) > 3 and plain[0] == "what" and plain[1] in _AUXILIARY and (
        plain[-1] in ("mean", "do") or plain[-2:] == ["stand", "for"]
    )  # fmt: skip


def asked(question: str) -> Asked | str:
    """Return what is asked of a text, or the reason why it is not understood."""
    plain = POLITE.sub("", question)
    said = [token for token in tokens(plain) if token.kind != "mark"]
    words = [token.text.casefold() for token in said]
    if not words:
        return "there are no words in the question"
    start = 1 if words[0] in lists.PREPOSITIONS and len(words) > 1 else 0
    lead = next(
        (lead for lead in (" ".join(words[start : start + 2]), *words[start : start + 1]) if lead in _LEADS), ""
    )
    if not lead:
        return f"a question that begins with {words[0]!r} is not understood"
    if set(words) & lists.NEGATIONS:
        return "negation is not understood"
    if set(words) & lists.PRONOUNS:
        return "it points to something outside of the question"
    rest = said[start + len(lead.split()) :]
    meaning = explains(question)
    if meaning:
        rest = rest[:-2] if words[-1] == "for" else rest[:-1]
    content = [word for token in rest for word in content_of(token)]
    verbs = tuple(map(root, _MEASURED.get(lead, ())))
    content = [word for word in content if word not in verbs]
    if not content:
        return "there are no content words in the question"
    ends = content_of(rest[-1])
    acts = bool(set(words) & _AUXILIARY) or rest[-1].text.endswith("ed")
    noun = (
        content[0]
        if lead in ("how many", "which", "what") and rest[0].text.casefold() not in (*lists.COPULAS, *_AUXILIARY)
        else ""
    )
    return Asked(
        _LEADS[lead],
        tuple(dict.fromkeys(content)),
        meaning or (lead == "what" and len(set(content)) == 1),
        lead == "what" and rest[0].text.casefold() in lists.COPULAS,
        ends[-1] if acts and ends and not meaning else "",
        verbs,
        noun,
    )


def answers(question: Asked, said: Iterable[Statement]) -> list[Quote]:
    """Return the statements that answer, the most direct first."""
    found: list[Quote] = []
    for statement in said:
        rank = _row(question, statement) if statement.kind == "row" else _sentence(question, statement)
        if rank is not None:
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
    if not phrase(flow, start, end, {*question.words}, question.verb, question.verbs, question.noun, question.kind):
        return None
    if not holds(question, flow, start, end):
        return None
    return 1 if missing else 0


def _above(question: Asked, missing: tuple[str, ...], above: tuple[str, ...]) -> bool:
    """Whether the lines above, from the nearest on, bring the missing words, and no other subject before that."""
    left = set(missing)
    for line in reversed(above):
        flow = flow_of(line)
        found = window(question.words, flow)
        if found is None:
            if any(piece.content for piece in flow):
                return False
            continue
        start, end = found
        if not phrase(flow, start, end, {*question.words}, "", (), "", "any") or any(
            piece.content for piece in flow[:start]
        ):
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


__all__ = ["Asked", "Piece", "Quote", "answers", "asked", "chosen", "explains", "skipped"]
