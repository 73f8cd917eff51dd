r"""What a free reply to a question states, where nothing but the question is known: the value that is compared and voted on.

Rule 1: no key is looked at. Whoever writes every possible answer has stated none of them.
Rule 2: the key is read by the same rule, so the key itself is always right, however the question is worded.
Rule 3: a denial is never left off, nor is what it denies: "not Paris", and "A wrong answer is Paris", do not state Paris.
Rule 4: what says how much, or which way, is never left off a number: "5 kilometers" are no 5 meters.
Rule 5: when in doubt, None: None is wrong, never right.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

MOST_WORDS = 6  # of an answer that may stand within a sentence; longer ones are compared whole
_FAR = 300  # characters before an answer that are looked at
_NEAR = 40  # characters before it in which its clause is looked for first
_BARE = 3  # words, at most, of an item of a list
# What may announce an answer: the last one in a text counts.
_SPOKEN = (
    r"(?<![^\s*_(#])(?:%s)\b[*_]*(?:[^\S\n]+(?P<verb>is|was|(?:would|should|must|will)[^\S\n]+be)\b)?[*_]*[^\S\n]*"
    r"(?P<mark>[:=]?)[*_]*"
)


class Announcement(NamedTuple):
    """What announces an answer: words in lower case, and the pattern that begins with one of them."""

    words: tuple[str, ...]
    pattern: "re.Pattern[str]"

    @staticmethod
    def of(*words: str) -> "Announcement":
        """Return that of some words."""
        return Announcement(words, re.compile(_SPOKEN % "|".join(words), re.IGNORECASE))


_ANSWER = Announcement.of("answer")
ANSWER_OR_RESULT = Announcement.of("answer", "result")
_BOXED = re.compile(r"\\boxed\{((?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]*\})*\})*)\}")
_FENCE = re.compile(r"^[^\S\n]*```\w*[^\S\n]*$", re.MULTILINE)
_FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf)\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
# Behind shorter words a full stop may be that of an abbreviation: St. Petersburg.
_SENTENCE = re.compile(r"(?<=\w{4}[.!?])[\"')]*\s+(?=[\"'(*]*[A-Z])")
# The mark of an item of a list; and one that says nothing where it stands alone: before a number a dash is a minus.
_LISTED = re.compile(r"\s*(?:[-*+•–—]|\(?\d{1,3}[.)])\s+\S")
_MARKED = re.compile(r"\s*(?:[-•–—]\s+(?=[^\W\d]|[\"'“(*])|(?P<number>\(?1[.)]\s+(?=\D)))")
_ENDED = re.compile(r"[.!?][\"')*_]*\s*\Z")
_ASKS = re.compile(r"\?[\"')*_]*\s*\Z")
_CLAUSE = re.compile(r"[,;:()\n]|[.!?]\s")
_WORDS = re.compile(r"[^\s,;:!?\"“”()\[\]*`]+")
_EDGES = re.compile(r"\A(?:[.'_](?!\d)|['_])+|[.'_]+\Z")  # the point of .5 is no edge
_MARKS = str.maketrans(
    {"’": "'", "\u2018": "'", "\u02bc": "'", "\u00b4": "'", "\u0060": "'", "\u2212": "-", "\u2013": "-"}
)


def _set(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_ARTICLES = _set("a an the")
_LINKS = _set("is are was were")
_JOINTS = _ARTICLES | _LINKS | _set(
    "it its this that there they these he she i so then thus hence therefore be been being would called named",
    "it's that's he's she's they're there's it'd that'd",
)  # fmt: skip
# What a thing is: beside a word of the question, in `the capital city is`, such a word says nothing new.
_KINDS = _set(
    "name word term title place location city town village state country nation continent river lake mountain ocean sea island",
    "planet person man woman author writer poet artist painter composer inventor scientist president king queen leader",
    "language currency animal colour color element metal",
)
_DENIALS = _set(
    "no not none never neither nor nothing nobody cannot without except excluding exclude anything hardly unlikely doubt",
    "wrong incorrect incorrectly false falsely mistaken isnt arent wasnt werent dont doesnt didnt cant wont",
)
_APART = _set("but than rather instead avoid unlike besides")  # deny the line behind theirs, if that belongs to it
# Words that may stand before `answer` where it announces one.
_ANNOUNCERS = _set(
    "the my our your final correct right so thus hence therefore then and finally that this means which i we think",
    "believe conclude it is in short conclusion follows here now yes",
)
_TURNS = _set("so thus hence therefore")
_NAMED = _set("the my our your final correct right to and this that")
_FILLERS = _set(
    "sure ok okay yes well hmm certainly done great thanks thank you let let's me us we my think thinking step",
    "reasoning explanation solution answer final here conclusion note simulated",
)
OPENERS = _ANNOUNCERS | _JOINTS | _FILLERS  # words that may stand before an answer, with a comma or without
_ASKING = _set("who what which where when why how did do does has have had can could will should in of on at for")
_SIGNS = _set(
    "up down above below over under plus minus positive negative before after more less north south east west"
)
_LEADS = _set("in on at of by to for from with about around since until has have had cost costs")
_NUMERALS = _set(
    "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ninety",
    "hundred thousand million billion dozen",
)
_HOW_MANY = re.compile(r"\bhow\s+many\s+([\w'-]+)", re.IGNORECASE)


def announced(text: str) -> str:
    r"""Return what stands behind the last `Answer:`, `the answer is` or in the last box of a text; the text if there is none.

    >>> announced("Six and six.\nAnswer: **12**")
    '**12**'
    >>> announced("A wrong answer is 12")
    'A wrong answer is 12'
    """
    return plain(places(text)[0])


def places(text: str, announces: Announcement = _ANSWER) -> tuple[str, ...]:
    """Return where an answer is looked for, best first: what is announced in one line or in a box, all behind it, the text."""
    text = _FENCE.sub("", text) if "```" in text else text
    spoken = _spoken(text, announces)
    boxes = _BOXED.finditer(text) if "\\boxed" in text else ()
    boxed = next((one for one in reversed([*boxes]) if not denies(_before(text, one.start()))), None)
    if boxed and not (spoken and spoken.start() > boxed.start()):
        said = (boxed[1],)
    else:
        said = (_line(text[spoken.end() :]), text[spoken.end() :]) if spoken else ()
    return tuple(dict.fromkeys(one.strip() for one in (*said, text) if one.strip())) or ("",)


def _spoken(text: str, announces: Announcement) -> "re.Match[str] | None":
    """Return the last announcement."""
    if not text.isascii():  # lower case may be longer
        heard = announces.pattern.finditer(text)
        return next((one for one in reversed([*heard]) if _announces(text, one)), None)
    low = text.lower()
    at = len(low)
    while (at := max([low.rfind(word, 0, at) for word in announces.words])) >= 0:
        found = announces.pattern.match(text, at)
        if found is not None and _announces(text, found):
            return found
    return None


def plain(text: str) -> str:
    r"""Return a text without what LaTeX does to its look: `\text{Paris}` is Paris, `\frac{1}{2}` is 1/2."""
    if "\\" not in text and "{" not in text:
        return text
    text = _FRACTION.sub(r"\1/\2", _FONT.sub(r"\1", text))
    return text.replace("\\$", "$").replace("\\%", "%").replace("{,}", ",").replace("\\,", "").replace("\\!", "")


def _announces(text: str, found: "re.Match[str]") -> bool:
    """Return whether an answer follows: `Answer: x` and `the answer is x` do, `an answer would be long` does not."""
    end = text.find("\n", found.end())
    alone = not text[found.end() : len(text) if end < 0 else end].strip(" \t*_#.")
    if not (found["mark"] or found["verb"] or alone):
        return False
    before = _before(text, found.start())
    for place, word in enumerate(before):
        if word in _TURNS:
            before = before[place + 1 :]
            break
    return all(word in _ANNOUNCERS for word in before if any(map(str.isalpha, word)))


def _before(text: str, end: int) -> tuple[str, ...]:
    """Return the words, in lower case, of the clause that ends there."""
    begin = max(0, text.rfind("\n", 0, end) + 1, end - _FAR)
    near = _CLAUSE.split(text[max(begin, end - _NEAR) : end])
    return folded(near[-1] if len(near) > 1 or end - _NEAR <= begin else _CLAUSE.split(text[begin:end])[-1])


def _line(text: str) -> str:
    """Return the first line that is not empty; of a list, all of it."""
    lines = [line for line in text.split("\n") if line.strip()]
    size = next((n for n, line in enumerate(lines) if not _LISTED.match(line)), len(lines))
    return "\n".join(lines[: max(1, size)])


def denies(words: Iterable[str]) -> bool:
    """Return whether one of the words, in lower case, denies what stands beside it."""
    return any(word in _DENIALS or word.endswith("n't") for word in words)


def doubtful(words: Sequence[str]) -> bool:
    """Return whether what follows these words is denied, or is somebody's answer that is not the answer."""
    other = any(
        word == "answer" and place and words[place - 1].strip("#-") not in _NAMED | {""}
        for place, word in enumerate(words)
    )
    return other or denies(words)


def leads_astray(line: str) -> bool:
    """Return whether a line ends so that the next one belongs to it, and denies that: `It is not:`."""
    words = folded(_SENTENCE.split(line.strip())[-1])
    if _ENDED.search(line):
        return doubtful(words) and "following" in words
    return doubtful(words) or not _APART.isdisjoint(words)


def phrase(question: str, text: str, *, numbered: bool = False) -> str | None:
    """Return a short answer as it is compared; None if there is none, or if it is not clear which.

    Of what is announced, or else of the last line, the last sentence, without its marks, and at both ends without
    articles, `it is` and the words that the question has: they say nothing new. If nothing is left, with them. The one of
    several options of the question that a sentence names, and besides it nothing new, is what it states. The mark of a
    list is left off where there is one item; `numbered` says that a `1.` belongs to the answer.

    >>> phrase("What is the capital of France?", "The capital is Paris.")
    'Paris'
    >>> phrase("Which river flows through Rome?", "It is the Tiber that flows through Rome.")
    'Tiber'
    >>> phrase("Which is larger, the Sun or the Moon?", "The Sun is larger.")
    'Sun'
    """
    sentence = _last(announced(text))
    if sentence is None:
        return None
    mark = _MARKED.match(sentence)
    words = _words(sentence[mark.end() :] if mark and not (numbered and mark["number"]) else sentence)
    low = [word.casefold() for word in words]
    first, last = (_joints(low), len(low)) if denies(low) else _option(question, low) or _new(question, low)
    return " ".join(words[first:last] or words)


def _last(text: str) -> str | None:
    """Return the last sentence of the last line; None where it asks, is denied by what leads to it, or ends a list."""
    lines = [line for line in text.split("\n") if _words(line)]
    if not lines:
        return None
    said = [[one for one in _SENTENCE.split(line.strip()) if _words(one)] for line in lines]
    *earlier, sentence = said[-1]
    if _ASKS.search(sentence) or (not earlier and len(lines) > 1 and leads_astray(lines[-2])):
        return None
    if len(lines) > 1 and _lists(lines):
        return None
    item = _item(sentence)
    if item:
        if any(doubtful(folded(one)) for one in earlier):
            return None
        others = [_item(one) for line in said for one in line]
        if any(other and other != item for other in others):
            return None
    return sentence


def unmarked(line: str) -> str:
    """Return a line without the mark of an item of a list."""
    found = _LISTED.match(line)
    return line[found.end() - 1 :] if found else line


def _lists(lines: Sequence[str]) -> bool:
    """Return whether the last line is one of several different items of a list, and no sentence."""
    last = folded(unmarked(lines[-1]))
    if not _LISTED.match(lines[-1]) or not _LINKS.isdisjoint(last):
        return False
    return any(_LISTED.match(line) and folded(unmarked(line)) != last for line in lines[:-1])


def _item(sentence: str) -> list[str] | None:
    """Return the words of what may be one item of a list of answers: few, and nothing that makes a sentence of them."""
    words = [word for word in folded(sentence) if word not in _ARTICLES and any(map(str.isalnum, word))]
    if len(words) > 1 and words[0].isdigit():  # the number of an item
        words = words[1:]
    if not 0 < len(words) <= _BARE or sentence.rstrip(" *_").endswith(":") or denies(words):
        return None
    return words if (_JOINTS | _FILLERS | _ASKING).isdisjoint(words) else None


def _joints(words: Sequence[str]) -> int:
    """Return how many words at the beginning only join."""
    return next((place for place, word in enumerate(words) if word not in _JOINTS), 0)


def _new(question: str, words: Sequence[str]) -> tuple[int, int]:
    """Return where what the question does not have begins and ends."""
    asked = frozenset(folded(question))
    fixed = _measures(question, asked, words)
    said = [word in _JOINTS or (word in asked and place not in fixed) for place, word in enumerate(words)]
    first, last = 0, len(words)
    while first < last and said[first]:
        first += 1
    while last > first and said[last - 1]:
        last -= 1
    known = [one or (words[place] in _KINDS and place not in fixed) for place, one in enumerate(said)]
    head, tail = first, last
    while head < last and known[head]:
        head += 1
    while tail > first and known[tail - 1]:
        tail -= 1
    if _is_subject(asked, words[:head]):
        first = head
    if _is_subject(asked, words[tail:]):
        last = max(first, tail)
    return first, last


def _is_subject(asked: frozenset[str], words: Sequence[str]) -> bool:
    """Return whether words say only what is asked for, and `is`."""
    return not (_LINKS | {"be"}).isdisjoint(words) and any(word in asked and word not in _JOINTS for word in words)


def _measures(question: str, asked: frozenset[str], words: Sequence[str]) -> set[int]:
    """Return the places of the question's words that say of a number what it counts, or which way: they stay.

    The unit that `how many` asks for goes without saying.
    """
    there = {place for place, word in enumerate(words) if word in _NUMERALS or any(map(str.isdigit, word))}
    numbers = {place for place in there if words[place] not in asked} or there
    wanted = _HOW_MANY.findall(question)
    implied = wanted[0].casefold() if len(wanted) == 1 else ""
    behind, before = _beside(words, numbers), _beside(words[::-1], {len(words) - 1 - place for place in numbers})[::-1]
    found = set[int]()
    for place, word in enumerate(words):
        if word not in asked or word in _JOINTS:
            continue
        measured = behind[place] and word != implied
        if measured or (word in _SIGNS and before[place]) or (place + 1 in numbers and word not in _LEADS):
            found.add(place)
    return found


def _beside(words: Sequence[str], numbers: set[int]) -> list[bool]:
    """Return of each word whether it stands behind a number, with no `is` between."""
    said, found = False, list[bool]()
    for place, word in enumerate(words):
        found.append(said)
        said = word not in _LINKS and (said or place in numbers)
    return found


def _option(question: str, words: Sequence[str]) -> tuple[int, int] | None:
    """Return what is compared where options of the question are named; None if none is.

    It is the only one that is named, if the rest is the question's, in its order; else all but the joints at the beginning.
    """
    left, found = list(words), list[tuple[int, int]]()
    for option in sorted(_options(question), key=len, reverse=True):  # New York before York
        size = len(option)
        for at in range(len(left) - size + 1):
            if left[at : at + size] == option:
                left[at : at + size] = [""] * size
                found.append((at, at + size))
    if not found:
        return None
    first, last = found[0]
    rest = iter(folded(question))
    new = (word for word in (*words[:first], *words[last:]) if word not in _JOINTS)
    alone = len(found) == 1 and all(word in rest for word in new)
    return (first, last) if alone else (_joints(words), len(words))


def _options(question: str) -> list[list[str]]:
    """Return the words, in lower case, of what a question joins by `or`; none if it joins nothing, or numbers."""
    head, *middle, tail = re.split(r",?\s+or\s+", question.translate(_MARKS)) if " or " in question else ("", "")
    *earlier, first = re.split(r"[,;:?!]|\.\s", head)
    last = re.split(r"[,;:?!]|\.(?:\s|\Z)", tail)[0]
    found = [_named(one) for one in (first, *middle, last)]
    if all(found):
        longest = max(map(len, found))
        for one in reversed(earlier):
            if not 0 < len(_named(one)) <= longest:
                break
            found.append(_named(one))
    else:
        found = [_name(_words(first)[::-1])[::-1], *map(_named, middle), _name(_words(last))]
    known = [one for one in found if one]
    return known if len(known) > 1 and not any(map(str.isdigit, " ".join(map(" ".join, known)))) else []


def _named(text: str) -> list[str]:
    """Return the words of an option that stands between marks; none if they make more than a name."""
    words = [word for word in folded(text) if word not in _ARTICLES]
    return [] if any(word in _JOINTS or word in _ASKING for word in words) else words


def _name(words: Sequence[str]) -> list[str]:
    """Return the first word, in lower case, or the first ones with capitals."""
    found: list[str] = []
    for word in words:
        if word.casefold() in _ARTICLES and not found:
            continue
        if word.casefold() in _JOINTS | _ASKING or (found and not word[0].isupper()):
            break
        found.append(word.casefold())
        if not word[0].isupper():
            break
    return found


def folded(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case, without marks."""
    return _folded_again(text) if len(text) <= _NEAR else tuple([word.casefold() for word in _words(text)])


@lru_cache(4096)
def _folded_again(text: str) -> tuple[str, ...]:
    """Return the same of what stands around answers, which comes again and again."""
    return tuple([word.casefold() for word in _words(text)])


def _words(text: str) -> list[str]:
    return [word for one in _WORDS.findall(text.translate(_MARKS)) if (word := _EDGES.sub("", one))]


def short(keys: Iterable[str]) -> bool:
    """Return whether all keys are answers that may stand within a sentence, and none is a sentence itself."""
    return all(
        "\n" not in key and len(key.split()) <= MOST_WORDS and not key.rstrip().endswith((".", "!", "?"))
        for key in keys
    )
