"""Whether a statement says what the question word asks for, in the place where such a statement says it."""

from itertools import pairwise
from typing import TYPE_CHECKING

from stratagem.models.offline import words as lists
from stratagem.models.offline.flow import Piece

if TYPE_CHECKING:
    from stratagem.models.offline.quote import Asked

_SPANS = frozenset(("second", "minute", "hour", "day", "week", "month", "year", "decade", "ms", "s", "h", "min"))
_CLOCK = frozenset(("noon", "midnight", "today", "yesterday", "tomorrow"))
_CONDITIONS = frozenset(("if", "unless", "whether", "suppose", "example", "instead", "maybe", "perhaps", "assume"))
_DENIALS = frozenset(("not", "no", "never", "cannot", "nobody", "nothing", "neither", "nor", "without", "none", "t"))
_PARTICIPLES = frozenset(
    ("given", "shown", "written", "found", "known", "kept", "held", "said", "seen", "taken", "chosen")
)
_DEFINING = frozenset(("is", "are", "means", "mean", "stands", "was", "were", "denotes"))
_SAYING = frozenset(":=–—→")
_PLACES = frozenset(
    ("in", "at", "on", "near", "beside", "behind", "under", "inside", "above", "below", "between", "outside")
)


def holds(question: "Asked", flow: list[Piece], start: int, end: int) -> bool:
    """Whether the statement answers: `start` to before `end` is where the question's words stand."""
    left, right = flow[:start], flow[end:]
    if {piece.plain for piece in left} & _CONDITIONS or {piece.plain for piece in right} & {"unless", "if", "than"}:
        return False
    if question.explains:
        return not any(piece.content for piece in left) and _defines(right)
    if {piece.plain for piece in flow} & _DENIALS:
        return False
    new = [piece for piece in (*left, *right) if piece.content and piece.word not in question.words]
    if question.copular and not _stated(flow, start, end):
        return False
    match question.kind:
        case "count":
            return _counted(question.noun, flow, start, end)
        case "number":
            return any(piece.number for piece in new)
        case "span":
            return any(one.number and (two.word in _SPANS or two.plain in _SPANS) for one, two in pairwise(right))
        case "rate":
            return any(piece.plain in lists.RATES for piece in right)
        case "time":
            return any(_timed(piece, flow) for piece in new)
        case "name":
            return _named(left, right)
        case "place":
            return _placed(right)
        case _:
            return bool(new) or any(piece.content and piece.word not in question.words for piece in flow[start:end])


def cell_holds(kind: str, cell: list[Piece]) -> bool:
    """Whether the cell of a table can be what is asked for; it has neither verb nor preposition."""
    if kind in ("count", "number", "span"):
        return any(piece.number for piece in cell)
    if kind == "time":
        return any(_timed(piece, cell) for piece in cell)
    return any(piece.word for piece in cell)


def _defines(right: list[Piece]) -> bool:
    if not right:
        return False
    says = bool(set(right[0].before) & _SAYING) or right[0].plain in _DEFINING or right[0].before == "-"
    return says and any(piece.content for piece in right)


def _stated(flow: list[Piece], start: int, end: int) -> bool:
    """Whether the statement says what something is: `X is ...`, `... is X`, `Y has X ...`, `X: ...`."""
    right, left = flow[end:], flow[:start]
    if right and right[0].plain in lists.COPULAS:
        following = next((piece for piece in right[1:] if piece.content), None)
        if following is None:
            return False
        return not (following.plain in _PARTICIPLES or (following.plain.endswith("ed") and len(following.plain) > 4))
    if right and (set(right[0].before) & _SAYING or right[0].number):
        return True
    tail = [piece.plain for piece in left if not piece.content]
    if left and any(piece.content for piece in left) and not left[-1].content:
        at = len(left) - 1
        while at >= 0 and left[at].plain in lists.ARTICLES:
            at -= 1
        if at > 0 and left[at].plain in lists.COPULAS and bool(tail):
            return True
    having = any(piece.plain in ("has", "have", "had") for piece in flow[start:end])
    return (
        having and bool(right) and right[0].plain in ("of", "at", "between", "from") and any(p.content for p in right)
    )


def _counted(noun: str, flow: list[Piece], start: int, end: int) -> bool:
    """Whether a number stands right before what is counted."""
    places = [place for place in range(max(start, 0), end) if flow[place].word == noun]
    return any(place > 0 and flow[place - 1].number and not flow[place].before for place in places)


def _timed(piece: Piece, flow: list[Piece]) -> bool:
    if piece.kind == "date" or piece.plain in lists.MONTHS or piece.plain in lists.WEEKDAYS or piece.plain in _CLOCK:
        return True
    if piece.kind != "number":
        return False
    place = flow.index(piece)
    year = len(piece.text) == 4 and piece.text.isdecimal() and 1000 <= int(piece.text) <= 2999
    clock = place + 1 < len(flow) and flow[place + 1].kind == "number" and flow[place + 1].before == ":"
    return (year and place > 0 and not flow[place - 1].number) or clock


def _named(left: list[Piece], right: list[Piece]) -> bool:
    """Whether a name does it, or it is done by a name, or it is a name."""
    before = [piece for piece in left if piece.content]
    if before:
        return (all(piece.proper for piece in before) and left[-1] == before[-1]) or _complement(left)
    for one, two in pairwise(right):
        if one.plain == "by" and two.proper:
            return True
    if right and (right[0].plain in lists.COPULAS or set(right[0].before) & _SAYING):
        first = next((piece for piece in right if piece.content), None)
        return first is not None and first.proper
    return False


def _complement(left: list[Piece]) -> bool:
    """Whether it says `NAME is the ...`."""
    before = [piece for piece in left if piece.content]
    links = [piece.plain for piece in left if not piece.content]
    return (
        all(piece.proper for piece in before)
        and bool(set(links) & lists.COPULAS)
        and set(links) <= lists.COPULAS | lists.ARTICLES
    )


def _placed(right: list[Piece]) -> bool:
    """Whether a place follows at once, or after a copula."""
    rest = right[1:] if right and right[0].plain in lists.COPULAS else right
    return len(rest) > 1 and rest[0].plain in _PLACES and any(piece.content for piece in rest[1:4])
