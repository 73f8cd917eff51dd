"""Search text files for the passages that answer a query best.

A passage is a paragraph, an item of a list, or a row of a table, at most 600 characters, verbatim. The headings above
it, a table's header and the line that introduces a list count towards its rank, but are not part of its text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import log

MAX_PASSAGE = 600  # characters
_K1, _B = 1.2, 0.75  # BM25, as Robertson and Zaragoza recommend
_CONTEXT = 0.5  # weight of a word that stands only in the context
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_HEADING = re.compile(r"(#{1,6})\s+(?=\S)")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\(?\d{1,3}[.)]|[a-z][.)])\s+\S")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_SENTENCE = re.compile(r"[.!?]\s+")
_STOP_WORDS = (
    "a an and are as at be by can did do does for from had has have how i in is it its me of on or our that the their"
    " there these they this to was we were what when where which who why will with would you your"
)
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True)
class Passage:
    """A piece of a text file.

    Attributes:
        path: the file.
        line: number of its first line, from 1.
        end: number of its last line.
        text: the lines, joined by newlines.
        context: headings, table header or introduction above it.
        counts: how often each word is in it; a word of the context alone counts half.
        length: number of its words.
    """

    path: str
    line: int
    end: int
    text: str
    context: tuple[str, ...] = ()
    counts: dict[str, float] = field(default_factory=dict[str, float], compare=False, repr=False)
    length: float = 0


def words(text: str) -> Iterator[str]:
    """Yield the words as they are compared: lower case, no plural, parts of a compound name beside the whole.

    >>> sorted(set(words("The boxes of maxSteps; cities, 1,234")))
    ['1,234', 'box', 'city', 'max', 'maxstep', 'of', 'step', 'the']
    """
    for found in _WORD.findall(text):
        if not found.isascii() and _SPACELESS.search(found):
            yield from _pairs(found)
            continue
        parts = [part for part in _HUMP.sub("_", found).split("_") if part]
        whole = _stem(found.strip("_").casefold())
        if whole:
            yield whole
        if len(parts) > 1:
            yield from (_stem(part.casefold()) for part in parts)


def _pairs(text: str) -> Iterator[str]:
    for piece in _SPACELESS.findall(text):
        yield from (piece[at : at + 2] for at in range(max(1, len(piece) - 1)))
    yield from (_stem(rest.casefold()) for rest in _SPACELESS.split(text) if rest)


def _stem(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def split(path: str, lines: Sequence[str]) -> list[Passage]:
    """Return the passages of a text file, in order."""
    reader = _Reader(path, lines)
    reader.read()
    return reader.passages


class _Reader:
    """Goes through the lines once and cuts them into passages."""

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        self.path, self.lines = path, lines
        self.passages: list[Passage] = []
        self.headings: list[tuple[int, str]] = []
        self.intro = self.header = ""
        self.pending: tuple[int, str] | None = None  # a heading that waits for its paragraph

    def read(self) -> None:
        at = 0
        while at < len(self.lines):
            line = self.lines[at]
            if not line.strip():
                self.header = ""
                at += 1
            elif heading := self._heading(at):
                at = self._head(at, *heading)
            elif _FENCE.match(line):
                at = self._fenced(at)
            elif line.lstrip().startswith("|") or (self.header and "|" in line) or self._starts_table(at):
                at = self._row(at)
            else:
                at = self._paragraph(at)
        self._flush()

    def _heading(self, at: int) -> tuple[int, str, int] | None:
        """Return level, title and number of lines of the heading that starts here."""
        found = _HEADING.match(self.lines[at])
        if found:
            return len(found[1]), self.lines[at][found.end() :].rstrip().rstrip("#").rstrip(), 1
        below = self.lines[at + 1] if at + 1 < len(self.lines) else ""
        under = _UNDERLINE.match(below)
        title = self.lines[at].strip()
        above = self.lines[at - 1].strip() if at else ""
        if under and not above and len(below.strip()) >= len(title) - 2 and not _ITEM.match(self.lines[at]):
            return ("=-~^\"'`#*+.:_".index(under[1]) + 1, title, 2)
        return None

    def _head(self, at: int, level: int, title: str, size: int) -> int:
        self._flush()
        self.headings = [(other, name) for other, name in self.headings if other < level]
        self.pending = (at, "\n".join(self.lines[at : at + size]))
        self.headings.append((level, title))
        self.intro = self.header = ""
        return at + size

    def _flush(self) -> None:
        """A heading without a paragraph of its own is a passage by itself."""
        if self.pending:
            at, text = self.pending
            self.pending = None
            self._add(at, at + text.count("\n"), text, tuple(name for _, name in self.headings[:-1]))

    def _fenced(self, at: int) -> int:
        fence = _FENCE.match(self.lines[at])
        end = at + 1
        while fence and end < len(self.lines) and not self.lines[end].lstrip().startswith(fence[1]):
            end += 1
        end = min(end, len(self.lines) - 1)
        self._block(at, end)
        return end + 1

    def _starts_table(self, at: int) -> bool:
        below = self.lines[at + 1] if at + 1 < len(self.lines) else ""
        return "|" in self.lines[at] and "|" in below and _is_rule(below)

    def _row(self, at: int) -> int:
        line = self.lines[at]
        if _is_rule(line):
            return at + 1
        if self._starts_table(at):
            self._flush()
            self.header = line
            return at + 2
        self._flush()
        self._cut(at, at, self._context(self.header))
        return at + 1

    def _paragraph(self, at: int) -> int:
        end = at
        item = bool(_ITEM.match(self.lines[at]))
        while end + 1 < len(self.lines) and self._goes_on(end + 1):
            end += 1
        if item:
            self._flush()
            self._cut(at, end, self._context(self.intro))
        else:
            self._block(at, end)
            last = self.lines[end].rstrip()
            self.intro = last if last.endswith(":") else ""
        return end + 1

    def _goes_on(self, at: int) -> bool:
        line = self.lines[at]
        plain = line.strip() and not _ITEM.match(line) and not _HEADING.match(line) and not _FENCE.match(line)
        return bool(plain) and not line.lstrip().startswith("|") and not self._starts_table(at)

    def _block(self, start: int, end: int) -> None:
        """Add a paragraph, together with the heading right above it if both fit."""
        if self.pending:
            at, _ = self.pending
            text = "\n".join(self.lines[at : end + 1])
            if len(text) <= MAX_PASSAGE:
                self.pending = None
                self._add(at, end, text, tuple(name for _, name in self.headings[:-1]))
                return
            self._flush()
        self._cut(start, end, self._context(""))

    def _context(self, above: str) -> tuple[str, ...]:
        return (*(name for _, name in self.headings), *((above,) if above else ()))

    def _cut(self, start: int, end: int, context: tuple[str, ...]) -> None:
        """Add lines as passages, none longer than allowed; cut between lines, else sentences, else anywhere."""
        first, room = start, 0
        for at in range(start, end + 1):
            line = self.lines[at]
            if room and room + 1 + len(line) > MAX_PASSAGE:
                self._add(first, at - 1, "\n".join(self.lines[first:at]), context)
                first, room = at, 0
            if len(line) > MAX_PASSAGE:
                for piece in _pieces(line):
                    self._add(at, at, piece, context)
                first, room = at + 1, 0
            else:
                room += len(line) + 1
        if first <= end:
            self._add(first, end, "\n".join(self.lines[first : end + 1]), context)

    def _add(self, start: int, end: int, text: str, context: tuple[str, ...]) -> None:
        if not text.strip():
            return
        counts: dict[str, float] = {}
        length = 0.0
        for word in words(text):
            counts[word] = counts.get(word, 0.0) + 1.0
            length += 1.0
        for word in {word for line in context for word in words(line)}:
            counts[word] = counts.get(word, 0.0) + _CONTEXT
            length += _CONTEXT
        self.passages.append(Passage(self.path, start + 1, end + 1, text, context, counts, length))


def _is_rule(line: str) -> bool:
    """Return whether it is the line below a table's header."""
    return "-" in line and not line.strip(" \t:|-")


def _pieces(line: str) -> Iterator[str]:
    """Cut a long line, at the last end of a sentence that fits, else at a space, else anywhere."""
    start = 0
    while len(line) - start > MAX_PASSAGE:
        window = line[start : start + MAX_PASSAGE]
        ends = [found.end() for found in _SENTENCE.finditer(window)]
        cut = ends[-1] if ends else window.rfind(" ") + 1 or MAX_PASSAGE
        yield window[:cut].strip()
        start += cut
    yield line[start:].strip()


def rank(passages: Sequence[Passage], query: str, n: int) -> list[tuple[float, Passage]]:
    """Return the best passages by BM25, the best first; ties by path and line."""
    asked = list(dict.fromkeys(words(query)))
    asked = [word for word in asked if word not in _STOP] or asked
    found = [passage for passage in passages if any(word in passage.counts for word in asked)]
    if not found:
        return []
    mean = sum(passage.length for passage in passages) / len(passages)
    weights: dict[str, float] = {}
    for word in asked:
        having = sum(word in passage.counts for passage in found)
        weights[word] = log(1 + (len(passages) - having + 0.5) / (having + 0.5))
    scored: list[tuple[float, Passage]] = []
    for passage in found:
        damping = _K1 * (1 - _B + _B * passage.length / mean)
        score = sum(
            weights[word] * passage.counts[word] * (_K1 + 1) / (passage.counts[word] + damping)
            for word in asked
            if word in passage.counts
        )
        scored.append((round(score, 4), passage))
    scored.sort(key=lambda pair: (-pair[0], pair[1].path, pair[1].line))
    return scored[:n]
