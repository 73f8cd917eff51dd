"""Whether words that stand together in a statement make one phrase, about nothing else."""

from stratagem.models.offline import words as lists
from stratagem.models.offline.asked import Asked
from stratagem.models.offline.flow import Piece

_BOUNDS = frozenset(":;–—→=|")
_MEANING = ("means", "denotes", "stands")
_PLAIN = frozenset(("of", "in", "on", "at", "for", "from", "with", "by", "to", "as", "per", "during", "about"))


def phrase(question: Asked, flow: list[Piece], start: int, end: int) -> bool:
    """Whether the stretch from `start` to before `end` is about the question's words and nothing else.

    Foreign words in it, words that it only modifies and names of which it is only a part are other subjects.
    """
    for place in range(start, end):
        piece = flow[place]
        if (
            piece.content
            and piece.word not in question.words
            and not _belongs(flow, place, question.noun, question.kind)
        ):
            return False
        if piece.plain in lists.PREPOSITIONS - _PLAIN and piece.plain not in question.said:
            return False
        if place > start and _BOUNDS & set(piece.before) and question.kind != "any":
            return False
    verbs = (*question.verbs, *_MEANING) if question.explains else question.verbs
    return _begins(flow, start, question.kind, question.noun) and _ends(flow, end, question.verb, verbs)


def _belongs(flow: list[Piece], place: int, noun: str, kind: str) -> bool:
    """Whether a foreign word in the stretch is the number or the name of what is counted or chosen."""
    if not noun:
        return False
    if kind == "count":
        return flow[place].number and place + 1 < len(flow) and flow[place + 1].word == noun
    return place > 0 and flow[place - 1].word == noun and (flow[place].number or flow[place].proper)


def _begins(flow: list[Piece], start: int, kind: str, noun: str) -> bool:
    """Whether the stretch is no part of a longer name, and modifies nothing before it."""
    if not start or flow[start].before:
        return True
    left = flow[start - 1]
    if left.content:
        return (kind == "count" and left.number and flow[start].word == noun) or (kind == "name" and left.proper)
    place = start - 1
    while place >= 0 and not flow[place].content and flow[place].plain not in lists.PREPOSITIONS:
        if flow[place + 1].before:
            return True
        place -= 1
    modifies = (
        place > 0 and flow[place].plain in lists.PREPOSITIONS and flow[place - 1].content and not flow[place].before
    )
    return not modifies


def _ends(flow: list[Piece], end: int, verb: str, verbs: tuple[str, ...]) -> bool:
    """Whether the stretch ends where its phrase ends."""
    if end >= len(flow):
        return True
    right = flow[end]
    if not right.content or right.before or right.number:
        return True
    return right.word in verbs or right.plain in verbs or right.plain in lists.RATES or flow[end - 1].word == verb != ""
