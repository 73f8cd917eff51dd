"""A question as sub-questions that each stand alone. Nothing is invented: every part is made of the question's words."""

import re

from stratagem.models.offline.words import NEGATIONS, OPERATIONS, PRONOUNS, tokens

MOST = 6
LONGEST = 4_000  # characters: a longer text is no question
_ENDS = re.compile(r"(?<=[?!;])\s+|(?<=[^\W\d_]{2}\.)\s+(?=[A-Z])|\s*\n\s*")
_JOINT = re.compile(r",?\s+(?:and\s+then|and\s+also|and|then|also)\s+", re.IGNORECASE)
_LEADS = frozenset(("what", "which", "who", "when", "where", "how", "why"))
_ORDERS = frozenset(("list", "show", "give", "count", "calculate", "compute", "find", "tell", "name"))
_MEASURES = frozenset(
    phrase[0] for phrase, (kind, _) in OPERATIONS.items() if kind in ("measure", "extreme") and len(phrase) == 1
)
_VERBS = frozenset(
    ("is", "are", "was", "were", "has", "have", "had", "do", "does", "did", "can", "could", "will", "would")
)
_ORDER = re.compile(
    r"(?:list|show|give|count|calculate|compute|find|tell|name)\s+(?:the|all|me|how|what|which)\b", re.IGNORECASE
)
_WHAT = re.compile(
    r"(?:(?:in|on|at|for|of)\s+)?(?:what(?:'s|\s+(?:is|are|was|were|do|does|did))|how\s+(?:many|much|often|long))\b"
    r"|(?:when|where|who)\s+(?:is|are|was|were|do|does|did)\b",
    re.IGNORECASE,
)
_WHICH = re.compile(r"(?:(?:in|on|at|for|of)\s+)?(which|who)\s+(\w+)", re.IGNORECASE)
_PAIR = re.compile(
    r"^(?P<lead>.*?\bthe\s+)(?P<first>\w+)(?P<more>(?:,\s*(?:the\s+)?\w+)*),?\s+and\s+(?:the\s+)?(?P<last>\w+)\s+(?P<rest>.+)$",
    re.IGNORECASE | re.DOTALL,
)


def parts_of(question: str) -> tuple[str, ...]:
    """Return the sub-questions in order, at most six; the question itself if it cannot be split safely.

    >>> parts_of("What is the mean price, and how many rooms are there?")
    ('What is the mean price?', 'How many rooms are there?')
    >>> parts_of("What are the mean and the maximum of price in 2013?")
    ('What is the mean of price in 2013?', 'What is the maximum of price in 2013?')
    >>> parts_of("How many orders are from Kiel and Bonn?")
    ('How many orders are from Kiel and Bonn?',)
    """
    whole = " ".join(question.split())
    if len(whole) > LONGEST:
        return (whole,)
    pieces = [piece for sentence in _ENDS.split(question.strip()) for piece in _joined(" ".join(sentence.split()))]
    pieces = [piece for piece in pieces if piece]
    if len(pieces) < 2 or any(_leans(piece) for piece in pieces[1:]) or not all(_asks(piece) for piece in pieces):
        return (whole,) if len(pieces) > 1 or not pieces else _shared(pieces[0])
    finished = [part for piece in pieces for part in _shared(_finished(piece))]
    if len(finished) > MOST:
        return (*finished[: MOST - 1], " ".join(finished[MOST - 1 :]))
    return tuple(finished)


def _joined(sentence: str) -> list[str]:
    """Split where a conjunction is followed by a question of its own, and not by a relative clause."""
    cuts: list[tuple[int, int]] = []
    for joint in _JOINT.finditer(sentence):
        before, after = sentence[: joint.start()], sentence[joint.end() :]
        if _begins(before, after) and before.count('"') % 2 == 0:
            cuts.append(joint.span())
    pieces: list[str] = []
    begin = 0
    for start, end in cuts:
        pieces.append(sentence[begin:start])
        begin = end
    return [piece.strip(" ,;") for piece in [*pieces, sentence[begin:]]]


def _begins(before: str, after: str) -> bool:
    """Whether a question begins: `and what is`, `and how many`, `and which city`; not `and whose`, `and which have`."""
    if _ORDER.match(after) or _WHAT.match(after):
        return True
    found = _WHICH.match(after)
    if found is None:
        return False
    word = found[1].casefold()
    words = [token.text.casefold() for token in tokens(before) if token.kind == "word"]
    related = word in words[1:] or bool({"that", "whose"} & set(words))  # `houses which ... and which ...`
    return not related and (word != "which" or found[2].casefold() not in _VERBS)


def _leans(piece: str) -> bool:
    """Whether the part points to another one."""
    words = {token.text.casefold() for token in tokens(piece) if token.kind == "word"}
    return (
        bool(words & (PRONOUNS - {"one", "result", "then"}))
        or bool(words & (NEGATIONS & {"other"}))
        or ("there" in words and len(words) < 4)
    )


def _asks(piece: str) -> bool:
    words = [token.text.casefold() for token in tokens(piece) if token.kind == "word"]
    return len(words) > 1 and (bool(set(words[:3]) & (_LEADS | _ORDERS)))


def _finished(piece: str) -> str:
    plain = piece.rstrip(" ,;")
    if not plain.endswith(("?", "!", ".")):
        plain += "?"
    return plain[:1].upper() + plain[1:]


def _shared(sentence: str) -> tuple[str, ...]:
    """Split `the mean and the maximum of X`: what follows the operations belongs to each of them."""
    found = _PAIR.match(sentence)
    if not found:
        return (sentence,)
    names = [found["first"], *re.findall(r"\w+", re.sub(r"\bthe\b", "", found["more"])), found["last"]]
    if not all(name.casefold() in _MEASURES for name in names) or len(set(names)) < len(names):
        return (sentence,)
    lead = re.sub(r"\bare\b", "is", found["lead"], count=1)
    lead = re.sub(r"\bwere\b", "was", lead, count=1)
    return tuple(f"{lead}{name} {found['rest']}" for name in names)[:MOST]
