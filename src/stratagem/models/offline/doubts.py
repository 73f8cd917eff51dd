"""What a text does not say itself: it denies, doubts, wishes, reports, takes back, or has struck it out."""

import re
from collections.abc import Mapping

from stratagem.models.offline.asked import Asked
from stratagem.models.offline.flow import Piece, flow_of

HIDDEN = "\x00"
_UNSURE = frozenset(
    """
    allegedly apparently arguably possibly presumably probably perhaps maybe likely unlikely reportedly supposedly
    seemingly hypothetically would could might should shall ought
    myth false falsely untrue wrong wrongly incorrect incorrectly mistake mistaken mistakenly hoax lie lied joke joked
    jokes joking rumour rumours rumoured rumor rumors rumored legend fiction fictional story dream dreamt dreamed
    say says said saying claim claims claimed claiming think thinks thought believe believes believed belief guess
    guesses guessed hope hopes hoped wish wishes wished imagine imagines imagined pretend pretends pretended suppose
    supposes supposed assume assumes assumed assuming doubt doubts doubted deny denies denied suspect suspects suspected
    propose proposes proposed suggest suggests suggested argue argues argued insist insists insisted according opinion
    feel feels felt predict predicts predicted expect expects expected plan plans planned intend intends intended
    old former formerly previous previously outdated obsolete superseded withdrawn cancelled canceled
    ignore disregard forget instruction instructions
    """.split()  # noqa: SIM905
)
_REPORTED = frozenset(
    [
        "joked",
        "joke",
        "say",
        "says",
        "said",
        "claim",
        "claims",
        "claimed",
        "allegedly",
        "supposedly",
        "rumour",
        "rumor",
        "myth",
        "untrue",
    ]
)
_TAKEN_BACK = frozenset(
    "not no false wrong untrue incorrect myth joke joked mistake outdated obsolete longer rumour rumor nonsense".split()  # noqa: SIM905
)
_POINTING = frozenset("this that it these but however actually not wrong no which just".split())  # noqa: SIM905
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|(?<!~)~~(?!~).+?~~(?!~)|<(del|s|strike)>.*?</\1>", re.DOTALL | re.IGNORECASE)


def shown(lines: Mapping[int, str]) -> dict[int, str]:
    """Return the lines with comments and what is struck out replaced by `HIDDEN`."""
    numbers = sorted(lines)
    text = "\n".join(lines[number] for number in numbers)
    if not any(mark in text for mark in ("<!--", "-->", "~~", "</")):
        return dict(lines)
    text = _COMMENT.sub(lambda found: re.sub(r"[^\n]", HIDDEN, found[0]), text)
    begun = re.search(r"(?m)-->[ \t]*$", text)  # the comment began before the first known line
    if begun and numbers and numbers[0] > 1:
        text = re.sub(r"[^\n]", HIDDEN, text[: begun.end()]) + text[begun.end() :]
    return {
        number: "" if line and not line.strip(f"{HIDDEN} \t") else line
        for number, line in zip(numbers, text.split("\n"), strict=True)
    }


def doubtful(question: Asked, flow: list[Piece], start: int, end: int) -> bool:
    """Whether a statement does not itself say what stands in it from `start` to before `end`."""
    if question.explains:  # what something means may be told in any words
        return any(piece.plain in _REPORTED for piece in flow[_last_part(flow) :]) and _last_part(flow) > end
    if any(_unsure(question, flow, place) for place in range(len(flow))):
        return True
    left = flow[:start]
    reported = any(piece.plain == "that" for piece in left) and "that" not in question.said
    return reported and any(piece.content for piece in left)


def doubted_above(question: Asked, above: tuple[str, ...]) -> bool:
    """Whether what stands above a statement says that it is none: `Myths`, `Former prices`."""
    flows = map(flow_of, above)
    return any(_unsure(question, flow, place) for flow in flows for place in range(len(flow)))


def taken_back(after: str) -> bool:
    """Whether the next sentence takes a statement back, as `That is not true` does."""
    words = [piece.plain for piece in flow_of(after)]
    return bool(words) and words[0] in _POINTING and bool(_TAKEN_BACK & set(words))


def _last_part(flow: list[Piece]) -> int:
    """Return where the part after the last comma begins."""
    return next((place for place in range(len(flow) - 1, 0, -1) if "," in flow[place].before), len(flow))


def _unsure(question: Asked, flow: list[Piece], place: int) -> bool:
    piece = flow[place]
    if piece.plain == "may":
        month = piece.proper or (place + 1 < len(flow) and flow[place + 1].number)
        return not month and "may" not in question.said
    if piece.plain not in _UNSURE and piece.word not in _ROOTS:
        return False
    aged = piece.plain == "old" and place > 0 and not flow[place - 1].before and flow[place - 1].plain.startswith(_AGES)
    return not aged and piece.plain not in question.said and piece.word not in question.words


_ROOTS = frozenset(("myth", "rumour", "rumor", "hoax", "joke"))
_AGES = ("year", "month", "week", "day")
