"""Is an answer supported: every quoted sentence in an observation, every number in one or in the question.

It says nothing about quality, and nothing about whether the question is answered.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from stratagem.models.offline.combine import UNFOUND

_QUOTED = re.compile(r"\"([^\"\n]{3,})\"|“([^”\n]{3,})”")
_LOCATED = re.compile(r"^\[(?P<where>[^\n]*?)\] (?P<said>.+)$")
_NUMBER = re.compile(r"(?<![\w.])[-\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)")


class Support(NamedTuple):
    """What of an answer is supported.

    Attributes:
        unsupported: quotes and numbers that stand nowhere, as they are written.
        checked: how many quotes and numbers there were.
    """

    unsupported: tuple[str, ...]
    checked: int

    @property
    def feedback(self) -> str:
        """What is wrong, in words; empty if nothing is."""
        if not self.checked:
            return "not supported: the answer holds neither a quote nor a number that could be checked"
        return f"not supported: {', '.join(map(repr, self.unsupported))}" if self.unsupported else ""

    @property
    def passed(self) -> bool:
        """Whether there was something to check, and all of it stands."""
        return bool(self.checked) and not self.unsupported


def supported(answer: str, question: str, observations: Iterable[str]) -> Support:
    """Return what of the answer stands in the observations, or, for numbers, in the question."""
    seen = [_plain(text) for text in observations]
    numbers = {_digits(found) for text in (*seen, question) for found in _NUMBER.findall(text)}
    missing: list[str] = []
    checked = 0
    for line in answer.split("\n"):
        if not line.strip() or line.startswith(UNFOUND):
            continue
        located = _LOCATED.match(line)
        said = located["said"] if located else line
        quotes = [first or second for first, second in _QUOTED.findall(said)]
        if located and re.search(r":\d+(-\d+)?$", located["where"]):
            quotes.append(said)
        checked += len(quotes)
        missing += [one for one in quotes if not any(_plain(one) in text for text in seen)]
        found = _NUMBER.findall(said)
        checked += len(found)
        missing += [number for number in found if _digits(number) not in numbers]
    return Support(tuple(dict.fromkeys(missing)), checked)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"(?m)^ *\d+  ", "", unicodedata.normalize("NFC", text)).split()).casefold()


def _digits(number: str) -> str:
    plain = number.replace(",", "").replace("\u2212", "-")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
