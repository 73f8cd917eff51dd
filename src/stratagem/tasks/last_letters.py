"""Last-letter concatenation: the last letters of some names, in their order."""

import random
import re
from typing import Any

from stratagem.core import Json
from stratagem.tasks._last import Found, stated
from stratagem.tasks._stated import OPENERS, denies
from stratagem.tasks._suite import Suite
from stratagem.tasks._words import PEOPLE, SURNAMES

NAMES = {1: (3, 5), 2: (6, 8), 3: (11, 14)}  # fewest and most, by level
_QUESTION = re.compile(r'Take the last letters of the words in "([A-Za-z ]+)" and concatenate them\.')
_LETTERS = re.compile(r"\b[A-Za-z]\b(?:[ ,.-]+\b[A-Za-z]\b)+|[A-Za-z]+")
_TAIL = re.compile(
    r"\W+(?:is|are)\s+(?:the|my)\s+(?:(?:final|correct|right|last|resulting)\s+)?"
    r"(?:answer|result|letters|word|string|concatenation)\W*\Z",
    re.IGNORECASE,
)


class LastLetters(Suite):
    """Three to five names at level 1, six to eight at level 2, eleven to fourteen at level 3."""

    name = "last_letters"
    about = "concatenate the last letters of some names"
    source = "arXiv:2201.11903"
    output = str
    floor = ("aaa", 0.0)

    def make(self, dice: random.Random, level: int) -> Json:
        """Return names."""
        return [dice.choice(PEOPLE + SURNAMES) for _ in range(dice.randint(*NAMES[level]))]

    def render(self, problem: Json) -> str:
        """Return the question, in the words of the paper's prompt."""
        return f'Take the last letters of the words in "{" ".join(problem)}" and concatenate them.'

    def read(self, question: str) -> Json:
        """Return the names."""
        found = _QUESTION.search(question)
        if found is None:
            raise ValueError(f"no question about last letters: {question[:80]!r}")
        return found[1].split()

    def solve(self, problem: Json) -> str:
        """Return the letters."""
        return "".join(name[-1] for name in problem)

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for the letters, whether they are written small or large."""
        return float(value == self.solve(problem).casefold())

    def wrong(self, problem: Json, number: int) -> str:
        """Return the letters with one slip: the first letter or the last but one of a name, or a letter left out."""
        letters = [name[-1] for name in problem]
        at, slip = number % len(letters), number // len(letters) % 3
        name: str = problem[at]
        letters[at] = (name[0].lower(), name[-2], "")[slip]
        said = "".join(letters)
        return said if said and said != self.solve(problem) else f"{self.solve(problem)}{name[-1]}"

    def extract(self, text: str) -> Any:
        """Return the word, or the letters one by one, that a text states last, in small letters."""
        return stated(text, _words)

    def rationale(self, problem: Json) -> str:
        """Return letter by letter."""
        told = [f'The last letter of "{name}" is "{name[-1]}".' for name in problem]
        return " ".join([*told, f'Concatenating them is "{self.solve(problem)}".'])


def _words(text: str) -> list[Found]:
    """Return the last word; before it the one that is offered beside it, if there is one."""
    found = list(_LETTERS.finditer(_TAIL.sub("", text)))
    made = [Found(*one.span(), re.sub(r"[^a-z]", "", one[0].casefold())) for one in found]
    # What denies is no answer, unless it stands in quotes or is a sentence: `knt is wrong`.
    while len(made) > 1 and denies([made[-1].value]) and text[made[-2].end : made[-1].start].isspace():
        made.pop()
    if len(made) > 2 and made[-2].value in ("or", "and"):
        return [made[-3], made[-1]]
    if len(made) > 1 and re.search(r"[,\n]", text[made[-2].end : made[-1].start]) and made[-2].value not in OPENERS:
        return made[-2:]
    return made[-1:]
