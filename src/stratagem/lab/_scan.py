"""Does any prompt show what it must not: the question or the key of another test item, or an item's own key at the start?

An item is told by the lines of its question that no other item has. A key is looked for if it is long enough not to turn
up by accident: at least three words or twelve characters.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stratagem.tasks import Item

MARKS = ".,;:!?\"'`*"
LONG_WORDS, LONG_CHARACTERS = 3, 12


def words_of(text: str) -> tuple[str, ...]:
    """Return a text as it is compared: words without case, and without the marks around them."""
    return tuple(part.strip(MARKS) or part for part in text.casefold().split())  # a lone `*` is a word, as in sums


class _Phrases:
    """Phrases, and the items that they belong to, found in a text in one pass."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, ...], set[int]] = {}
        self._lengths: dict[str, set[int]] = {}

    def add(self, phrase: tuple[str, ...], owner: int) -> None:
        self._owners.setdefault(phrase, set()).add(owner)
        self._lengths.setdefault(phrase[0], set()).add(len(phrase))

    def found(self, words: tuple[str, ...]) -> set[int]:
        hits: set[int] = set()
        for at, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                hits |= self._owners.get(words[at : at + length], set())
        return hits


class Scan:
    """Looks through prompts for the items of one comparison.

    Args:
        items: of the test.
        examples: texts of the solved examples that strategies are shown.
    """

    def __init__(self, items: Sequence[Item], examples: Iterable[str]) -> None:
        self._questions, self._keys = _Phrases(), _Phrases()
        lines = [[words for line in one.question.split("\n") if (words := words_of(line))] for one in items]
        counted = Counter(words for each in lines for words in set(each))
        self.untold = 0  # items whose every line some other item has as well
        for number, each in enumerate(lines):
            own = [words for words in each if counted[words] == 1]
            self.untold += not own
            for words in own:
                self._questions.add(words, number)
        self.short = 0  # keys that are too short to be looked for
        for number, one in enumerate(items):
            words = words_of(one.key)
            if len(words) >= LONG_WORDS or len(one.key) >= LONG_CHARACTERS:
                self._keys.add(words, number)
            else:
                self.short += 1
        self.lines = self.unseen = 0
        self._known: dict[str, tuple[set[int], set[int]]] = {}
        self.overlaps = sorted({hit for text in examples for line in text.split("\n") for hit in self._look(line)[0]})

    def _look(self, line: str) -> tuple[set[int], set[int]]:
        found = self._known.get(line)
        if found is None:
            words = words_of(line)
            found = self._questions.found(words), self._keys.found(words)
            if len(self._known) > 200_000:
                self._known.clear()
            self._known[line] = found
        return found

    def look(self, item: int, lines: Sequence[str], first: Sequence[str]) -> dict[str, list[int]]:
        """Return which other items the prompts of an item show, and whether its first one shows its own key."""
        questions: set[int] = set()
        keys: set[int] = set()
        for line in lines:
            shown, said = self._look(line)
            questions |= shown
            keys |= said
        own = any(item in self._look(line)[1] for line in first)
        hits = {"questions": sorted(questions - {item}), "keys": sorted(keys - {item}), "own": [item] if own else []}
        return {name: found for name, found in hits.items() if found}


def summary(
    scan: Scan, answers: Iterable[Mapping[str, Any]], items: Sequence[Item], strategies: Sequence[str]
) -> dict[str, Any]:
    """Return what the manifest says of the scan. `strategies` has the name of each cell's strategy."""
    hits: dict[str, set[tuple[int, int]]] = {"questions": set(), "keys": set(), "own": set()}
    found: list[dict[str, str]] = []  # the first of each kind that each strategy shows
    lines = unseen = 0
    for one in answers:
        lines += one["lines"]
        unseen += one["unseen"]
        for name, others in one["hits"].items():
            hits[name].update((one["item"], other) for other in others)
            strategy, at, other = str(strategies[int(one["cell"])]), int(one["item"]), int(others[0])
            if not any((known["strategy"], known["shows"]) == (strategy, name) for known in found):
                found.append({
                    "strategy": strategy, "shows": name, "item": items[at].id, "of": items[other].id,
                })  # fmt: skip

    def pairs(name: str) -> list[list[str]]:
        return [[items[a].id, items[b].id] for a, b in sorted(hits[name])][:50]

    return {
        "lines": lines, "lines_not_looked_at": unseen, "questions_of_others": pairs("questions"), "keys_of_others": pairs("keys"),
        "own_key_in_first_prompt": [a for a, _ in pairs("own")], "examples_among_items": [items[n].id for n in scan.overlaps],
        "found": found, "keys_too_short": scan.short, "questions_too_alike": scan.untold,
        "clean": not any(hits.values()) and not scan.overlaps,
    }  # fmt: skip
