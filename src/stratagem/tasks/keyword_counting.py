"""Keyword counting: how often each country is named in a text, as in Graph of Thoughts."""

import json
import random
import re
from collections import Counter
from collections.abc import Hashable
from typing import Any

from stratagem.core import Json
from stratagem.tasks._last import Found, stated
from stratagem.tasks._suite import Suite
from stratagem.tasks._words import COUNTRIES

SENTENCES = {1: 4, 2: 10, 3: 20}
_TOLD = (
    "The ship sailed from {0} to {1} before it returned to {0}.",
    "A letter from {0} took three weeks to reach {1}.",
    "She had studied in {0}, but her brother preferred {1} and {2}.",
    "Of all the stamps in the album, the one from {0} was the rarest.",
    "They compared the tea of {0} with that of {1}.",
    "Nobody at the table had been to {0}, {1} or {2}.",
    "The team from {0} met the team from {1} in the final.",
    "His atlas opened at {0}, as it always did.",
    "Between {0} and {1} the train stops only in {2}.",
    "In spring the birds leave {0} for {1}.",
)
_HEAD = "Count how often each country is named in this text. Reply with a JSON object of names and numbers.\n"
_ANY = re.compile("|".join(COUNTRIES))
_OBJECT = re.compile(r"\{[^{}]*\}")


class KeywordCounting(Suite):
    """Four, ten or twenty sentences that name countries, some of them more than once."""

    name = "keyword_counting"
    about = "how often each country is named in a text"
    source = "arXiv:2308.09687"
    output = dict[str, int]
    floor = ('{"France": 1}', 0.0)

    def make(self, dice: random.Random, level: int) -> Json:
        """Return sentences with the countries in them."""
        few = dice.sample(COUNTRIES, 4 + 3 * level)
        told: list[Json] = []
        for _ in range(SENTENCES[level]):
            number = dice.randrange(len(_TOLD))
            told.append([number, *dice.sample(few, _places(_TOLD[number]))])
        return told

    def render(self, problem: Json) -> str:
        """Return the question and the text."""
        return _HEAD + " ".join(_sentences(problem))

    def read(self, question: str) -> Json:
        """Return the sentences."""
        head, found, text = question.partition(_HEAD)
        told: list[Json] = []
        while found and text.strip():
            for number, pattern in enumerate(_PATTERNS):
                if said := pattern.match(text):
                    told.append([number, *said.groups()])
                    text = text[said.end() :]
                    break
            else:
                break
        if not told or text.strip() or head:
            raise ValueError(f"no question about keywords: {question[:80]!r}")
        return told

    def solve(self, problem: Json) -> str:
        """Return the counts."""
        return _written(_counted(problem))

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for exactly these counts; a country with 0 is as good as none."""
        return float(dict(value) == _counted(problem))

    def wrong(self, problem: Json, number: int) -> str:
        """Return the counts with one off by one, or a country left out."""
        counted = dict(_counted(problem))
        country = sorted(counted)[number // 2 % len(counted)]
        counted[country] += 1 if number % 2 else -1
        return _written({name: n for name, n in counted.items() if n})

    def extract(self, text: str) -> Any:
        """Return the JSON object of names and whole numbers that is stated last, as sorted pairs."""
        return stated(text.replace("\\{", "{").replace("\\}", "}"), _objects)

    def canonical(self, value: Any) -> Hashable:
        """Return the sorted pairs."""
        return value

    def errors(self, problem: Json, value: tuple[tuple[str, int], ...]) -> int:
        """Return how far all counts are off together: the error of Graph of Thoughts, for reports."""
        wanted, given = Counter(_counted(problem)), Counter(dict(value))
        return sum(abs(wanted[name] - given[name]) for name in wanted | given)

    def rationale(self, problem: Json) -> str:
        """Return which countries each sentence names."""
        return "\n".join(f"{text} names {', '.join(_ANY.findall(text))}." for text in _sentences(problem))


def _objects(text: str) -> list[Found]:
    """Return the JSON objects of names and whole numbers; a country with 0 is as good as none."""
    found: list[Found] = []
    for part in _OBJECT.finditer(text):
        try:
            one = json.loads(part[0])
        except (ValueError, RecursionError):
            continue
        if one and all(type(n) is int and n >= 0 for n in one.values()):
            found.append(Found(*part.span(), tuple(sorted((name.strip(), n) for name, n in one.items() if n))))
    return found


def _sentences(problem: Json) -> list[str]:
    sentences: list[list[Any]] = problem
    return [_TOLD[int(one[0])].format(*one[1:]) for one in sentences]


def _places(sentence: str) -> int:
    return len(set(re.findall(r"\{(\d)\}", sentence)))


def _pattern(sentence: str) -> re.Pattern[str]:
    """Return what matches a sentence; a country that it names twice must be the same."""
    seen: set[str] = set()
    parts: list[str] = [r"\s*"]
    for part in re.split(r"(\{\d\})", sentence):
        if not part.startswith("{"):
            parts.append(re.escape(part))
            continue
        parts.append(rf"(?P=c{part[1]})" if part in seen else rf"(?P<c{part[1]}>{'|'.join(COUNTRIES)})")
        seen.add(part)
    return re.compile("".join(parts))


_PATTERNS = tuple(map(_pattern, _TOLD))


def _counted(problem: Json) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for text in _sentences(problem):
        counted.update(_ANY.findall(text))
    return dict(counted)


def _written(counted: dict[str, int]) -> str:
    return json.dumps(dict(sorted(counted.items())))
