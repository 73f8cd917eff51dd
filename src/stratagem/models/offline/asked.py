"""What a question asks of a text."""

from typing import NamedTuple

from stratagem.models.offline import words as lists
from stratagem.models.offline.flow import content_of
from stratagem.models.offline.words import POLITE, root, tokens

_LEADS: dict[str, str] = {
    "how many": "count", "how much": "number", "how long": "span", "how often": "rate", "when": "time",
    "what year": "time", "which year": "time", "who": "name", "where": "place", "what": "any", "which": "any",
}  # fmt: skip
_BESIDE: dict[str, tuple[str, ...]] = {"how long": ("last", "take", "period")}
_AUXILIARY = frozenset(("do", "does", "did"))


class Asked(NamedTuple):
    """A question to a text.

    Attributes:
        kind: what the answer must hold: `count number price span rate time name place any`.
        words: roots of the content words, in order.
        explains: whether it asks what its words mean.
        copular: whether it asks what something is.
        verb: root of the last word if it is the verb of the question; empty otherwise.
        past: whether it asks about the past.
        verbs: roots that may follow its words, because the question word implies them.
        noun: root of what is counted or chosen; empty if nothing is.
        said: all its words, casefolded.
    """

    kind: str
    words: tuple[str, ...]
    explains: bool
    copular: bool
    verb: str
    past: bool
    verbs: tuple[str, ...]
    noun: str
    said: frozenset[str]


def explains(question: str) -> bool:
    """Whether the question asks what something means."""
    plain = [token.text.casefold() for token in tokens(POLITE.sub("", question)) if token.kind != "mark"]
    return len(plain) > 3 and plain[0] == "what" and plain[1] in _AUXILIARY and (
        plain[-1] in ("mean", "do") or plain[-2:] == ["stand", "for"]
    )  # fmt: skip


def asked_of(question: str) -> Asked | str:
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
    kind = "price" if lead == "how much" and rest and rest[0].text.casefold() in lists.COPULAS else _LEADS[lead]
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
        kind,
        tuple(dict.fromkeys(content)),
        meaning or (lead == "what" and len(set(content)) == 1),
        lead == "what" and rest[0].text.casefold() in lists.COPULAS,
        ends[-1] if acts and ends and not meaning else "",
        bool(set(words) & {"was", "were", "did", "had"}),
        tuple(map(root, _BESIDE.get(lead, ()))),
        noun,
        frozenset(words),
    )
