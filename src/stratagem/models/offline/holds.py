"""Whether a statement says what the question word asks for, in the place where such a statement says it."""

from itertools import pairwise

from stratagem.models.offline import words as lists
from stratagem.models.offline.asked import Asked
from stratagem.models.offline.flow import Piece

_SPANS = frozenset(("second", "minute", "hour", "day", "week", "month", "year", "decade", "ms", "s", "h", "min"))
_MONEY = frozenset(("euro", "eur", "dollar", "usd", "pound", "gbp", "cent", "franc", "chf", "yen"))
_SIGNS = frozenset("€$£¥")
_CLOCK = frozenset(("noon", "midnight", "today", "yesterday", "tomorrow"))
_CONDITIONS = frozenset(("if", "unless", "whether", "suppose", "example", "instead", "maybe", "perhaps", "assume"))
_DENIALS = frozenset(
    ("not", "no", "never", "cannot", "nobody", "nothing", "neither", "nor", "without", "none", "t", "someone", "somebody",
     "anyone", "anybody", "unknown"),
)  # fmt: skip
_ONCE = frozenset(("before", "until", "formerly", "previously", "once", "originally", "initially", "earlier", "till"))
_PARTICIPLES = frozenset(
    ("given", "shown", "written", "found", "known", "kept", "held", "said", "seen", "taken", "chosen")
)
_DEFINING = frozenset(("is", "are", "means", "mean", "stands", "was", "were", "denotes"))
_SAYING = frozenset(":=–—→")
_PLACES = frozenset(
    ("in", "at", "on", "near", "beside", "behind", "under", "inside", "above", "below", "between", "outside")
)


def holds(question: Asked, flow: list[Piece], start: int, end: int) -> bool:
    """Whether the statement answers: `start` to before `end` is where the question's words stand."""
    left, right = flow[:start], flow[end:]
    if {piece.plain for piece in left} & _CONDITIONS or {piece.plain for piece in right} & {"unless", "if", "than"}:
        return False
    if question.explains:
        return not any(piece.content for piece in left) and _defines(right)
    if question.said & {"do", "does", "did"} and _suffered(question, flow):
        return False
    if {piece.plain for piece in flow} & _DENIALS or (question.copular and not _stated(question, flow, start, end)):
        return False
    match question.kind:
        case "count":
            return _counted(question.noun, flow, start, end)
        case "number":
            first = _first(right)
            return first is not None and first.number
        case "price":
            return _priced(right)
        case "span":
            return _spans(right)
        case "rate":
            return bool(right) and (right[0].plain in lists.RATES or _times(right))
        case "time":
            return _dated(left, right)
        case "name":
            return _named(left, right)
        case "place":
            return _placed(right)
        case _:
            return any(piece.content and piece.word not in question.words for piece in flow)


def cell_holds(kind: str, cell: list[Piece]) -> bool:
    """Whether the cell of a table can be what is asked for; it has neither verb nor preposition."""
    if kind in ("count", "number", "span", "price"):
        return any(piece.number for piece in cell)
    if kind == "time":
        return any(_timed(cell, place) for place in range(len(cell)))
    return any(piece.word for piece in cell)


def _first(pieces: list[Piece]) -> Piece | None:
    """Return the first word that carries meaning, if no mark but a colon stands before it."""
    for piece in pieces:
        if set(piece.before) - _SAYING - _SIGNS:
            return None
        if piece.content:
            return piece
    return None


def _defines(right: list[Piece]) -> bool:
    if not right or not any(piece.content for piece in right):
        return False
    return bool(set(right[0].before) & _SAYING) or right[0].plain in _DEFINING or right[0].before == "-"


def _suffered(question: Asked, flow: list[Piece]) -> bool:
    """Whether `closes` is asked, and `is closed` is said."""
    return any(
        piece.word == question.verb and piece.plain.endswith("ed") and before.plain in lists.COPULAS
        for before, piece in pairwise(flow)
    )


def _stated(question: Asked, flow: list[Piece], start: int, end: int) -> bool:
    """Whether the statement says what something is: `X is ...`, `... is X`, `Y has X of ...`, `X: ...`."""
    right, left = flow[end:], flow[:start]
    if right and right[0].plain in ("was", "were") and question.said & {"is", "are"}:
        return False
    past = any(piece.plain in ("was", "were", "had") for piece in flow)
    if past and not question.past and {piece.plain for piece in (*left, *right)} & _ONCE:
        return False
    if right and right[0].plain in lists.COPULAS:
        following = next((piece for piece in right[1:] if piece.content), None)
        passive = following is not None and following.plain.endswith("ed") and len(following.plain) > 4
        return following is not None and not passive and following.plain not in _PARTICIPLES
    if right and (set(right[0].before) & _SAYING or right[0].number):
        return True
    at = len(left) - 1
    while at >= 0 and left[at].plain in lists.ARTICLES:
        at -= 1
    if at > 0 and left[at].plain in lists.COPULAS and any(piece.content for piece in left):
        return True
    having = any(piece.plain in ("has", "have", "had") for piece in flow[start:end])
    return having and bool(right) and right[0].plain in ("of", "at", "between", "from") and _first(right) is not None


def _counted(noun: str, flow: list[Piece], start: int, end: int) -> bool:
    """Whether a number stands right before what is counted."""
    places = [place for place in range(start, end) if flow[place].word == noun and place]
    return any(flow[place - 1].number and not flow[place].before for place in places)


def _priced(right: list[Piece]) -> bool:
    first = _first(right)
    if first is None or not first.number:
        return False
    place = right.index(first)
    unit = right[place + 1].word if place + 1 < len(right) else ""
    return (
        bool(set(first.before) & _SIGNS)
        or unit in _MONEY
        or bool(place + 1 < len(right) and set(right[place + 1].before) & _SIGNS)
    )


def _spans(right: list[Piece]) -> bool:
    """Whether a stretch of time follows; an age is none."""
    first = _first(right)
    if first is None or not first.number:
        return False
    place = right.index(first)
    unit = right[place + 1] if place + 1 < len(right) else None
    after = right[place + 2].plain if place + 2 < len(right) else ""
    return unit is not None and (unit.word in _SPANS or unit.plain in _SPANS) and after not in ("old", "ago")


def _times(right: list[Piece]) -> bool:
    return len(right) > 1 and right[0].number and right[1].plain == "times"


def _timed(pieces: list[Piece], place: int) -> bool:
    """Whether a word is a date, a year, a month, a weekday or a time of day."""
    piece = pieces[place]
    if piece.kind == "date" or piece.plain in lists.MONTHS or piece.word in lists.WEEKDAYS or piece.plain in _CLOCK:
        return True
    if piece.kind != "number":
        return False
    year = len(piece.text) == 4 and piece.text.isdecimal() and 1000 <= int(piece.text) <= 2999
    following = pieces[place + 1] if place + 1 < len(pieces) else None
    clock = following is not None and following.kind == "number" and following.before == ":"
    day = following is not None and following.plain in lists.MONTHS
    return year or clock or day


def _dated(left: list[Piece], right: list[Piece]) -> bool:
    """Whether a time follows at once, or begins the statement."""
    place = _after_agent(right)
    while place < len(right) and (not right[place].content or right[place].plain in lists.RATES):
        place += 1
    if place < len(right) and not right[place].before and _timed(right, place):
        return True
    before = [place for place, piece in enumerate(left) if piece.content]
    return bool(before) and any(_timed(left, place) for place in before) and all(
        _timed(left, place) or left[place].number for place in before
    )  # fmt: skip


def _after_agent(right: list[Piece]) -> int:
    """Return the place after `by NAME`, if that comes first."""
    place = 1 if right and right[0].plain == "by" else 0
    while place and place < len(right) and right[place].proper and not right[place].before:
        place += 1
    return place


def _named(left: list[Piece], right: list[Piece]) -> bool:
    """Whether a name does it, or it is done by a name, or it is a name."""
    before = [piece for piece in left if piece.content]
    if before:
        return all(piece.proper for piece in before) and (left[-1] is before[-1] or _complement(left))
    for place, piece in enumerate(right[:-1]):
        if piece.plain == "by":
            return right[place + 1].proper
        if piece.content and not _timed(right, place):
            break
    if right and (right[0].plain in lists.COPULAS or set(right[0].before) & _SAYING):
        first = _first(right)
        return first is not None and first.proper
    return False


def _complement(left: list[Piece]) -> bool:
    """Whether it says `NAME is the ...`."""
    links = {piece.plain for piece in left if not piece.content}
    return bool(links & lists.COPULAS) and links <= lists.COPULAS | lists.ARTICLES


def _placed(right: list[Piece]) -> bool:
    """Whether a place follows at once, or after a copula."""
    rest = right[1:] if right and right[0].plain in lists.COPULAS else right
    return len(rest) > 1 and rest[0].plain in _PLACES and any(piece.content for piece in rest[1:4])
