"""A sentence as a flow of words, and whether some of them stand together as one phrase."""

from typing import NamedTuple

from stratagem.models.offline import words as lists
from stratagem.models.offline.words import Token, parts, root, tokens

_SKIPPED = (
    lists.ARTICLES
    | lists.COPULAS
    | lists.PREPOSITIONS
    | frozenset(
        ("and", "or", "do", "does", "did", "has", "have", "had", "there", "that", "which", "its", "their", "his", "her",
         "it", "they", "can", "could", "will", "would", "may", "must", "shall", "should", "please", "tell", "me", "also",
         "always", "to", "if", "so", "then", "only", "not", "no", "you", "your", "we", "our", "i", "us", "this", "who",
         "what", "when", "where", "why", "how", "many", "much", "often", "up", "approximately", "roughly", "nearly", "almost",
         "exactly"),
    )
)  # fmt: skip


class Piece(NamedTuple):
    """A word of a statement.

    Attributes:
        word: its root.
        text: the word as it is written.
        kind: `word number date cmp`.
        content: whether it carries meaning.
        before: marks between the word before it and this one.
    """

    word: str
    text: str
    kind: str
    content: bool
    before: str

    @property
    def plain(self) -> str:
        """The word casefolded."""
        return self.text.casefold()

    @property
    def number(self) -> bool:
        """Whether it is a number, in digits or as a word."""
        return self.kind in ("number", "date") or self.plain in lists.COUNTED

    @property
    def proper(self) -> bool:
        """Whether it is written like a name."""
        return self.text[:1].isupper()


def skipped(word: str) -> bool:
    """Whether a word is a function word."""
    return word in _SKIPPED


def pieces(token: Token) -> tuple[tuple[str, str], ...]:
    """Return the words of a token as (text, kind); an identifier has several."""
    if token.kind == "quote":
        return tuple(piece for inner in tokens(token.text) if inner.kind != "mark" for piece in pieces(inner))
    if token.kind == "word" and "_" in token.text.strip("_"):
        return tuple((part, "word") for part in parts(token.text))
    return ((token.text, token.kind),)


def content_of(token: Token) -> tuple[str, ...]:
    """Return the roots of the words of a token that carry meaning."""
    return tuple(root(text) for text, _ in pieces(token) if text == "A" or not skipped(text.casefold()))


def flow_of(text: str) -> list[Piece]:
    """Return the words of a statement in order."""
    flow: list[Piece] = []
    mark = ""
    for token in tokens(text):
        if token.kind in ("mark", "cmp"):
            mark += token.text
            continue
        for said, kind in pieces(token):
            letter = said == "A" and bool(flow) and not mark  # `Machine A`: no article is written like that
            flow.append(Piece(root(said), said, kind, letter or not skipped(said.casefold()), mark))
            mark = ""
    return flow


def window(words: tuple[str, ...], flow: list[Piece]) -> tuple[int, int] | None:
    """Return the shortest stretch that holds all of the words that the statement has; None if it has none."""
    having = {piece.word for piece in flow if piece.content} & set(words)
    if not having:
        return None
    best: tuple[int, int] | None = None
    places = [place for place, piece in enumerate(flow) if piece.word in having]
    for first in places:
        seen: set[str] = set()
        for last in (place for place in places if place >= first):
            seen.add(flow[last].word)
            if seen == having:
                if best is None or last + 1 - first < best[1] - best[0]:
                    best = (first, last + 1)
                break
    return best
