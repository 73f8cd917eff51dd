"""Does any prompt show what it must not: the question or the key of another test item, or an item's own key at the start?

What is looked for, line by line, as words without case and the marks around them:

- A question is told by each of its lines that no other item and no solved example has; where there is none, by all of its
  lines together. A key is told by all of its lines together.
- What is shown must be long enough not to turn up by accident: at least three words or twelve characters.

What is no find, because a prompt may show it:

- what stands within the item's own question, or within the solved examples, if they are no test items themselves;
- a key that the item's own question has anywhere;
- what the model had said before, for this item: whoever had not been shown it did not get it from a prompt.

All else is one: texts of the strategy, its notes and what its tools returned. So an example that a strategy brings with it
is, with its key or without. `Scan` counts what it cannot look for: questions that are too short, or that lie within another
item's, and keys of which too little is left without the lines of the examples.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from stratagem.tasks import Item

Words = tuple[str, ...]

MARKS = ".,;:!?\"'`*"
LONG_WORDS, LONG_CHARACTERS = 3, 12
_LOOSE = str.maketrans("", "", ".,;:!?\"'`")


def words_of(text: str) -> Words:
    """Return a text as it is compared: words without case, and without the marks around them."""
    # Texts within JSON are the same texts. A lone `*` is a word, as in sums.
    return tuple(part.strip(MARKS) or part for part in _unescaped(text).casefold().split())


def _unescaped(text: str) -> str:
    return text.replace("\\n", " ").replace("\\", "") if "\\" in text else text


def lines_of(text: str) -> list[Words]:
    """Return the different lines of a text, as they are compared."""
    return list(dict.fromkeys(words for line in text.split("\n") if (words := words_of(line))))


def long(lines: Iterable[Words]) -> bool:
    """Return whether lines say enough together not to turn up by accident."""
    words = list(chain.from_iterable(lines))
    return len(words) >= LONG_WORDS or len(" ".join(words)) >= LONG_CHARACTERS


class Shown(NamedTuple):
    """A line of a prompt.

    Attributes:
        text: the line.
        heard: how many replies there had been when it was first shown.
        grown: of a line that went on with others, how many characters each had, and `heard`.
    """

    text: str
    heard: int = 0
    grown: Sequence[Sequence[int]] = ()


class Place(NamedTuple):
    """Where a phrase stands in a line, as numbers of words."""

    start: int
    end: int


class _Phrases:
    """Phrases, and the items that they belong to, found in a text in one pass."""

    def __init__(self, phrases: Iterable[Words] = ()) -> None:
        self._owners: dict[Words, set[int]] = {}
        self._lengths: dict[str, set[int]] = {}  # by the first word
        self._longest = 0
        for phrase in phrases:
            self.add(phrase, 0)

    def __contains__(self, phrase: Words) -> bool:
        return phrase in self._owners

    def add(self, phrase: Words, owner: int) -> None:
        self._owners.setdefault(phrase, set()).add(owner)
        self._lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._longest = max(self._longest, len(phrase))

    def owners(self, phrase: Words) -> set[int]:
        return self._owners.get(phrase, set())

    def places(self, words: Words) -> Iterator[Place]:
        for at, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                if at + length <= len(words) and words[at : at + length] in self._owners:
                    yield Place(at, at + length)

    def cover(self, words: Words, place: Place) -> bool:
        """Return whether a place in a line is part of a phrase there."""
        for at in range(max(0, place.end - self._longest), place.start + 1):
            for length in self._lengths.get(words[at], ()):
                if place.end <= at + length <= len(words) and words[at : at + length] in self._owners:
                    return True
        return False


class _Own:
    """What the prompts of an item may show: its question."""

    def __init__(self, question: str) -> None:
        words = words_of(question)
        self.lines = frozenset(lines_of(question))
        self.phrases = _Phrases((*self.lines, *filter(None, [words])))
        self.text = _joined(words)


class _Found(NamedTuple):
    """What a line has of items: the words, and where there are phrases of questions and of keys."""

    words: Words
    questions: tuple[Place, ...]
    keys: tuple[Place, ...]


class Scan:
    """Looks through prompts for the items of one comparison.

    Args:
        items: of the test.
        examples: question, answer and rationale of the solved examples that strategies are shown.

    Attributes:
        overlaps: numbers of the items that the examples show.
        short: how many keys are too short to be looked for.
        brief: how many questions are.
        untold: how many questions lie within that of another item, and are no find in its prompts.
    """

    def __init__(self, items: Sequence[Item], examples: Iterable[tuple[str, str, str | None]]) -> None:
        self._items = items
        self._owns: dict[int, _Own] = {}
        self._asked = [lines_of(one.question) for one in items]
        said = [lines_of("\n".join(filter(None, one))) for one in examples]
        self.overlaps, clean = self._overlapping(said)
        self._examples = _Phrases(chain.from_iterable(clean))
        self._questions, self._keys = _Phrases(), _Phrases()
        self._together: dict[int, list[Words]] = {}  # lines that tell an item only together
        self.untold, self.brief = self._tell(clean)
        right = [[words for words in lines_of(one.key) if words not in self._examples] for one in items]
        self._key_lines = [lines if long(lines) else [] for lines in right]
        self.short = self._key_lines.count([])
        for number, lines in enumerate(self._key_lines):
            for words in lines:
                self._keys.add(words, number)
        self._known: dict[str, _Found] = {}

    def _overlapping(self, said: Sequence[list[Words]]) -> tuple[list[int], list[list[Words]]]:
        """Return the items of which an example has every line, and the examples that have none."""
        asked = _Phrases()
        for number, lines in enumerate(self._asked):
            for words in lines:
                asked.add(words, number)
        overlaps, clean = set[int](), list[list[Words]]()
        for example in said:
            phrases = {line[place.start : place.end] for line in example for place in asked.places(line)}
            phrases = {one for one in phrases if one in example or long([one])}
            counted = Counter(number for one in phrases for number in asked.owners(one))
            shown = {number for number, n in counted.items() if n == len(self._asked[number])}
            overlaps |= shown
            if not shown:
                clean.append(example)
        return sorted(overlaps), clean

    def _tell(self, clean: Sequence[list[Words]]) -> tuple[int, int]:
        """Find what tells each question; return how many cannot be told from another item, and how many are too short."""
        counted = Counter(chain.from_iterable((*self._asked, *({*lines} for lines in clean))))
        having: dict[Words, set[int]] = {}
        for number, lines in enumerate(self._asked):
            for words in lines:
                having.setdefault(words, set()).add(number)
        untold = brief = 0
        for number, lines in enumerate(self._asked):
            alone = [words for words in lines if counted[words] == 1 and long([words])]
            rest = [words for words in lines if len(having[words]) < len(self._asked) and words not in self._examples]
            if not alone and long(rest):
                self._together[number] = rest
                untold += len(set[int].intersection(*(having[words] for words in rest))) > 1
            elif not alone:
                brief += not long(lines)
                untold += long(lines)
            for words in alone or self._together.get(number, ()):
                self._questions.add(words, number)
        return untold, brief

    def _look(self, line: str) -> _Found:
        found = self._known.get(line)
        if found is None:
            words = words_of(line)
            found = _Found(words, tuple(self._questions.places(words)), tuple(self._keys.places(words)))
            if len(self._known) > 200_000:
                self._known.clear()
            self._known[line] = found
        return found

    def look(
        self, item: int, lines: Iterable[Shown], first: Sequence[str], said: Sequence[str] = ()
    ) -> dict[str, list[int]]:
        """Return which other items the prompts of an item show, and whether its first one shows its own key.

        Args:
            item: its number.
            lines: of its prompts.
            first: lines of the first of them.
            said: what the model replied, in this order.
        """
        own = self._owns.get(item) or self._owns.setdefault(item, _Own(self._items[item].question))
        questions, keys, heard = set[Words](), set[Words](), _Heard(said)
        for line in lines:
            found = self._look(line.text)
            for place in found.questions:
                phrase = found.words[place.start : place.end]
                if phrase in questions or self._questions.owners(phrase) == {item}:
                    continue
                if not (own.phrases.cover(found.words, place) or self._excused(found.words, place, line, heard)):
                    questions.add(phrase)
            for place in found.keys:
                phrase = found.words[place.start : place.end]
                if phrase in keys or _joined(phrase) in own.text:
                    continue
                if not self._excused(found.words, place, line, heard):
                    keys.add(phrase)
        hits = {
            "questions": self._questions_shown(item, own, questions), "keys": self._keys_shown(own, keys, item),
            "own": [item] if self._says_own(item, own, first) else [],
        }  # fmt: skip
        return {name: found for name, found in hits.items() if found}

    def _excused(self, words: Words, place: Place, line: Shown, heard: "_Heard") -> bool:
        """Return whether an example shows something, or the model had said it."""
        phrase = words[place.start : place.end]
        return self._examples.cover(words, place) or heard.before(phrase, line, place.end)

    def _questions_shown(self, item: int, own: _Own, shown: set[Words]) -> list[int]:
        """Return whose questions are shown: by a line that tells one, or by all lines but those that the item has as well."""
        hits: dict[int, set[Words]] = {}
        for number in set[int]().union(*(self._questions.owners(words) for words in shown)) - {item}:
            wanted = {words for words in self._together.get(number, ()) if words not in own.lines}
            if wanted <= shown and (number not in self._together or long(wanted)):
                hits[number] = shown.intersection(self._asked[number])
        # Whose lines are but some of those of another that is shown is not shown besides.
        return sorted(
            number
            for number, lines in hits.items()
            if number not in self._together or not any(lines < others for others in hits.values())
        )

    def _keys_shown(self, own: _Own, shown: set[Words], item: int) -> list[int]:
        """Return whose keys are shown: all lines of one, but those that the item's question has as well."""
        found = list[int]()
        for number in set[int]().union(*(self._keys.owners(words) for words in shown)) - {item}:
            wanted = [words for words in self._key_lines[number] if _joined(words) not in own.text]
            if all(words in shown for words in wanted) and (
                long(wanted) or len(wanted) == len(self._key_lines[number])
            ):
                found.append(number)
        return sorted(found)

    def _says_own(self, item: int, own: _Own, first: Sequence[str]) -> bool:
        shown = set[Words]()
        for line in first:
            found = self._look(line)
            shown |= {
                found.words[place.start : place.end] for place in found.keys
                if not self._examples.cover(found.words, place)
            }  # fmt: skip
        wanted = [words for words in self._key_lines[item] if _joined(words) not in own.text]
        return bool(wanted) and all(words in shown for words in wanted)


class _Heard:
    """What a model said, looked through only if there is something to look for."""

    def __init__(self, said: Sequence[str]) -> None:
        self._said = said
        self._loose: list[str] = []
        self._latest: Shown | None = None
        self._grown: list[tuple[int, int]] = []  # of the latest line that grew: words, and replies heard by then

    def before(self, phrase: Words, line: Shown, end: int) -> bool:
        """Return whether a reply had a phrase when a line, up to a word, was first shown."""
        count = min(line.heard, len(self._said))
        if line.grown and line is not self._latest:
            self._latest = line
            self._grown = [(len(_unescaped(line.text[:length]).split()), heard) for length, heard in line.grown]
        for words, heard in self._grown if line.grown else ():
            if heard < count and words >= end:
                count = heard
        while len(self._loose) < count:
            self._loose.append(_loose(self._said[len(self._loose)]))
        wanted = _loose(" ".join(phrase))
        return bool(wanted) and any(wanted in one for one in self._loose[:count])


def _joined(words: Words) -> str:
    """Return words so that a phrase of them is a part of the text."""
    return f"\x1f{chr(31).join(words)}\x1f"


def _loose(text: str) -> str:
    """Return a text without what differs between a reply, perhaps in JSON, and the value that was read in it."""
    return "".join(_unescaped(text).casefold().split()).translate(_LOOSE)


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
        "found": found, "keys_too_short": scan.short, "questions_too_short": scan.brief, "questions_too_alike": scan.untold,
        "clean": not any(hits.values()) and not scan.overlaps,
    }  # fmt: skip
