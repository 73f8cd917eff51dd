"""Which statement of a text answers a question, word for word.

Rule 1: every content word of the question stands in the statement, or above it (heading, header row, introduction).
Rule 2: those words stand together: a foreign word among them, or one that they only modify, is another subject.
Rule 3: the statement says something that the question does not, of the kind that the question word asks for.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from stratagem.models.offline import words as lists
from stratagem.models.offline.blocks import Statement, cells
from stratagem.models.offline.words import Token, parts, root, tokens

_SKIPPED = (
    lists.ARTICLES
    | lists.COPULAS
    | lists.PREPOSITIONS
    | {"and", "or", "do", "does", "did", "has", "have", "had", "there", "that", "which", "its", "their", "his", "her", "it", "they"}
    | {"can", "could", "will", "would", "may", "must", "shall", "should", "please", "tell", "me", "also", "always", "any", "each"}
    | {"all", "every", "to", "if", "so", "then", "only", "not", "no", "been", "you", "your", "we", "our", "i", "us", "this"}
)  # fmt: skip
_ASKED = {
    "how many": "number", "how much": "number", "how long": "time", "how often": "time", "how old": "number",
    "how far": "number", "how tall": "number", "how heavy": "number", "how large": "number", "how big": "number",
    "when": "time", "what year": "time", "which year": "time", "who": "name", "whom": "name", "where": "place",
    "what": "any", "which": "any",
}  # fmt: skip
_MEASURED = {
    "how long": ("last", "take"), "how much": ("cost", "weigh"), "how heavy": ("weigh",), "how often": (), "when": (),
}  # fmt: skip
_TIMES = frozenset(("second", "minute", "hour", "day", "week", "month", "year", "daily", "weekly", "monthly", "yearly", "hourly", "annually", "noon", "midnight", "once", "twice"))  # fmt: skip
_EXPLAINING = frozenset(("mean", "stand"))
_MIN_LEFT = 1


class Asked(NamedTuple):
    """A question to a text.

    Attributes:
        kind: what the answer must hold: `number time name place any`.
        words: roots of the content words, in order.
        explains: whether it asks what its words mean.
        verbs: words that a statement may use in place of the question word.
    """

    kind: str
    words: tuple[str, ...]
    explains: bool
    verbs: tuple[str, ...]


class Quote(NamedTuple):
    """A statement that answers, and how directly: 0 is best."""

    statement: Statement
    rank: int


def asked(question: str) -> Asked | str:
    """Return what is asked of a text, or the reason why it is not understood."""
    said = tokens(question)
    plain = [token.text.casefold() for token in said if token.kind != "mark"]
    if not plain:
        return "there are no words in the question"
    start = 1 if plain[0] in lists.PREPOSITIONS and len(plain) > 1 else 0
    lead = next((lead for lead in (" ".join(plain[start : start + 2]), plain[start]) if lead in _ASKED), "")
    if not lead:
        return f"a question that begins with {plain[0]!r} is not understood"
    if any(word in lists.NEGATIONS for word in plain):
        return "negation is not understood"
    if any(word in lists.PRONOUNS and word not in ("one", "result") for word in plain):
        return "it points to something outside of the question"
    rest = [token for token in said if token.kind != "mark"][start + len(lead.split()) :]
    content = [root(piece) for token in rest for piece in _pieces(token) if not _skipped(piece)]
    explains = bool(content) and content[-1] in _EXPLAINING and lead == "what"
    if explains or (content and content[-1] == "for" and "stand" in content):
        content = content[:-1]
    verbs = tuple(root(verb) for verb in _MEASURED.get(lead, ()))
    if not explains:
        content = [word for word in content if word not in verbs]
    only = lead in ("what", "which") and len(rest) > 0 and rest[0].text.casefold() in lists.COPULAS
    words = tuple(dict.fromkeys(content))
    if not words:
        return "there are no content words in the question"
    attribute = any(token.text.casefold() in ("of", "for", "in", "at", "on") for token in rest) or len(words) > 2
    return Asked(
        _ASKED[lead], words, explains or (only and not attribute and lead == "what" and len(words) == 1), verbs
    )


def answers(question: Asked, said: Iterable[Statement]) -> list[Quote]:
    """Return the statements that answer, the most direct first."""
    found: list[Quote] = []
    for statement in said:
        rank = _row(question, statement) if statement.kind == "row" else _sentence(question, statement)
        if rank is not None:
            found.append(Quote(statement, rank))
    return sorted(found, key=lambda quote: (quote.rank, quote.statement.path, quote.statement.line))


def chosen(question: Asked, found: list[Quote]) -> list[Quote] | str:
    """Return the quotes that make the answer, or why none can be chosen: those that are most direct, if they agree."""
    best = [quote for quote in found if quote.rank == found[0].rank]
    different = list({" ".join(quote.statement.text.split()).casefold(): quote for quote in reversed(best)}.values())[
        ::-1
    ]
    if len(different) == 1:
        return different
    facts = {_facts(question, quote.statement) for quote in different}
    if len(facts) == 1:
        return different[:1]
    said = "; ".join(
        f"[{quote.statement.path}:{quote.statement.line}] {quote.statement.text}" for quote in different[:4]
    )
    return f"{len(different)} passages answer it differently: {said}"


def _facts(question: Asked, statement: Statement) -> frozenset[str]:
    """Return the words that the statement adds to the question."""
    return frozenset(
        piece.word for piece in _flow(statement.text) if piece.content and piece.word not in question.words
    )


def _pieces(token: Token) -> tuple[str, ...]:
    if token.kind in ("word", "quote"):
        return tuple(
            piece
            for word in tokens(token.text)
            for piece in (parts(word.text) if word.kind == "word" else (word.text,))
            if piece
        )
    return (token.text.casefold(),)


def _skipped(word: str) -> bool:
    return word in _SKIPPED or word in lists.QUESTION_WORDS and word not in ("long", "far", "old", "large", "big")


def _sentence(question: Asked, statement: Statement) -> int | None:
    if statement.text.endswith("?"):
        return None
    flow = _flow(statement.text)
    window = _window(question.words, flow)
    if window is None:
        return None
    start, end, inside = window
    missing = [word for word in question.words if word not in inside]
    if missing:
        above = {root(piece) for line in statement.above for token in tokens(line) for piece in _pieces(token)}
        if not set(missing) <= above or any(piece.content for piece in flow[:start]):
            return None
    if any(piece.content and piece.word not in question.words for piece in flow[start:end]):
        return None
    if not _whole(question, flow, start, end):
        return None
    if question.explains and (any(piece.content for piece in flow[:start]) or not _defines(flow, end)):
        return None
    outside = [piece for piece in (*flow[:start], *flow[end:]) if piece.content and piece.word not in question.words]
    if not _holds(question.kind, outside, flow, end):
        return None
    return 1 if missing else 0


class _Piece(NamedTuple):
    """A word of a statement: whether it carries meaning, and whether a mark stands before it."""

    word: str
    text: str
    kind: str
    content: bool
    after: str


def _flow(text: str) -> list[_Piece]:
    flow: list[_Piece] = []
    mark = ""
    for token in tokens(text):
        if token.kind == "mark":
            mark += token.text
            continue
        for piece in _pieces(token):
            kind = "number" if piece[:1].isdigit() else token.kind
            flow.append(_Piece(root(piece), token.text, kind, not _skipped(piece), mark))
            mark = ""
    return flow


def _window(words: tuple[str, ...], flow: list[_Piece]) -> tuple[int, int, set[str]] | None:
    """Return the shortest stretch that holds as many of the words as the statement has."""
    having = {piece.word for piece in flow} & set(words)
    if not having:
        return None
    best: tuple[int, int] | None = None
    places = [place for place, piece in enumerate(flow) if piece.word in having]
    for first in places:
        seen: set[str] = set()
        for last in places:
            if last < first:
                continue
            seen.add(flow[last].word)
            if seen == having:
                if best is None or last + 1 - first < best[1] - best[0]:
                    best = (first, last + 1)
                break
    return (*best, having) if best else None


def _whole(question: Asked, flow: list[_Piece], start: int, end: int) -> bool:
    """Whether the stretch is a phrase of its own, and not a part of a longer name."""
    left = flow[start - 1] if start else None
    if left is not None and left.content and not flow[start].after:
        return False
    if left is not None and not flow[start].after:
        before = start - 1
        while (
            before >= 0
            and not flow[before].content
            and flow[before].word not in lists.PREPOSITIONS
            and flow[before].word != "to"
        ):
            before -= 1
        if (
            before > 0
            and flow[before].word in lists.PREPOSITIONS
            and flow[before - 1].content
            and not flow[before].after
        ):
            if question.kind != "name" and not _verbal(flow[before - 1]):
                return False
    right = flow[end] if end < len(flow) else None
    if right is not None and right.content and not right.after and right.kind != "number":
        return right.word in question.verbs or _verbal(right)
    return True


def _verbal(piece: _Piece) -> bool:
    return piece.text.endswith("ed") and len(piece.text) > 4


def _defines(flow: list[_Piece], end: int) -> bool:
    right = flow[end] if end < len(flow) else None
    if right is None:
        return False
    return bool(set(right.after) & set(":=-–—→")) or right.text.casefold() in (
        "is",
        "are",
        "means",
        "mean",
        "stands",
        "was",
        "were",
        "denotes",
    )


def _holds(kind: str, outside: list[_Piece], flow: list[_Piece], end: int) -> bool:
    if kind == "number":
        return any(piece.kind in ("number", "date") or piece.word in lists.COUNTED for piece in outside)
    if kind == "time":
        named = {*_TIMES, *lists.WEEKDAYS, *lists.MONTHS}
        return any(
            piece.kind in ("number", "date") or piece.text.casefold() in named or piece.word in named
            for piece in outside
        )
    if kind == "name":
        names = [piece for piece in flow if piece in outside and piece.text[:1].isupper()]
        return bool(names)
    if kind == "place":
        places = [
            place
            for place, piece in enumerate(flow)
            if piece.word in ("in", "at", "on", "near", "beside", "behind", "under", "insid")
        ]
        return any(
            place + 1 < len(flow) and any(piece in outside for piece in flow[place + 1 : place + 4]) for place in places
        )
    return len(outside) >= _MIN_LEFT


def _row(question: Asked, statement: Statement) -> int | None:
    row = cells(statement.text)
    keys = [{root(piece) for token in tokens(cell) for piece in _pieces(token) if not _skipped(piece)} for cell in row]
    wanted = set(question.words)
    owned = [place for place, words in enumerate(keys) if words and words <= wanted]
    if not owned or len(owned) == len([words for words in keys if words]):
        return None
    head = {root(piece) for cell in statement.header for token in tokens(cell) for piece in _pieces(token)}
    above = {root(piece) for line in statement.above for token in tokens(line) for piece in _pieces(token)}
    covered = set[str]().union(*(keys[place] for place in owned))
    if not wanted <= covered | head | above:
        return None
    if owned[0] != 0 and question.explains:
        return None
    others = " ".join(cell for place, cell in enumerate(row) if place not in owned)
    flow = _flow(others)
    if not _holds(question.kind, [piece for piece in flow if piece.content], flow, 0) and question.kind != "any":
        return None
    return 0 if re.search(r"\w", others) else None
