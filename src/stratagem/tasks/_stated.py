"""What a free reply to a question states, where nothing but the question is known: the value that is compared and voted on.

Rule 1: no key is looked at. Whoever writes every possible answer has stated none of them.
Rule 2: the key is read by the same rule, so the key itself is always right, however the question is worded.
Rule 3: a negation is never left off: "not Paris" does not state Paris.
"""

import re
from collections.abc import Iterable

MOST_WORDS = 6  # of an answer that may stand within a sentence; longer ones are compared whole
# What announces an answer: the last one in a text counts.
_ANNOUNCED = re.compile(
    r"(?<![^\s*_(])(?:final\s+|correct\s+)?answer\b[*_]*(?:\s+is\b|\s+was\b)?[*_]*\s*(?P<mark>[:=]?)[*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\boxed\{([^{}\n]*)\}")
_SENTENCE = re.compile(
    r"(?<=\w{4}[.!?])[\"')]*\s+(?=[\"'(*]*[A-Z])"
)  # shorter words may be abbreviated: St. Petersburg
_WORDS = re.compile(r"[^\s,;:!?\"“”()\[\]*`]+")
_JOINTS = frozenset(
    [
        "a",
        "an",
        "the",
        "it",
        "its",
        "this",
        "that",
        "there",
        "they",
        "these",
        "he",
        "she",
        "i",
        "so",
        "then",
        "thus",
        "hence",
        "therefore",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "would",
        "called",
        "named",
        "it's",
        "that's",
        "he's",
        "she's",
        "they're",
        "there's",
    ]
)
_NEVER = frozenset(["no", "not", "none", "never", "neither", "nor", "without", "cannot"])


def announced(text: str) -> str:
    r"""Return what stands behind the last `Answer:`, `the answer is` or in the last box of a text; the text if there is none.

    >>> announced("Six and six.\nAnswer: **12**")
    '**12**'
    """
    found = [(one.start(), _line(text[one.end() :])) for one in _ANNOUNCED.finditer(text) if _announces(one)]
    found += [(one.start(), one[1]) for one in _BOXED.finditer(text)]
    said = max(found)[1].strip() if found else ""
    return said or text.strip()


def _announces(found: "re.Match[str]") -> bool:
    """Return whether an answer follows: `Answer: x` and `the answer is x` do, `an answer would be long` does not."""
    return bool(found["mark"]) or found[0].rstrip(" *_").lower().endswith((" is", " was"))


def _line(text: str) -> str:
    return next((line for line in text.split("\n") if line.strip()), "")


def phrase(question: str, text: str) -> str | None:
    """Return a short answer as it is compared; None if there is none.

    Of what is announced, or else of the last line, the last sentence, without its marks, and at both ends without
    articles, `it is` and the words that the question has: they say nothing new. If nothing is left, with them.

    >>> phrase("What is the capital of France?", "The capital is Paris.")
    'Paris'
    >>> phrase("Which river flows through Rome?", "It is the Tiber that flows through Rome.")
    'Tiber'
    """
    lines = [line for line in announced(text).split("\n") if _WORDS.search(line)]
    if not lines:
        return None
    words = _words(_SENTENCE.split(lines[-1].strip())[-1])
    asked = (_JOINTS | {word.casefold() for word in _words(question)}) - _NEVER
    first, last = 0, len(words)
    while first < last and words[first].casefold() in asked:
        first += 1
    while last > first and words[last - 1].casefold() in asked:
        last -= 1
    return " ".join(words[first:last] or words) or None


def _words(text: str) -> list[str]:
    return [word for one in _WORDS.findall(text.replace("’", "'")) if (word := one.strip(".'_"))]


def short(keys: Iterable[str]) -> bool:
    """Return whether all keys are answers that may stand within a sentence, and none is a sentence itself."""
    return all(
        "\n" not in key and len(key.split()) <= MOST_WORDS and not key.rstrip().endswith((".", "!", "?"))
        for key in keys
    )
