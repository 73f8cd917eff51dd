"""What each span of a question can mean beside one table: column, value, operation, comparison, number, date, filler.

The parser works on one code letter per item:
    C column  V value  R row noun  M mention of the table  N count  O measure  S extreme  Y most/fewest  F frequent
    D distinct  K top  P per/by  L list verb  W question word  Z when  H who  # number  T date  < comparison  B between
    ! not  ~ contains  0 empty  Q quoted text  U unit  & and  | or  , comma  t to  e standing verb  n container
    a article  i copula  o of  w with/that/which  p preposition  f filler
"""

from calendar import monthrange
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
from typing import Any, NamedTuple

from stratagem.models.offline import words as lists
from stratagem.models.offline.schema import Table, dates_rows, file_stem, flat, key, named
from stratagem.models.offline.words import Token, number, parts, stem, tokens

Entries = dict[tuple[str, ...], list[tuple[str, Any]]]

LONGEST = 8  # words of a name or a value that are compared
READINGS = 200  # ways to read one question that are tried; more are too many
SILENT = "-/.'’():\""  # marks between words; a question mark or a semicolon in the middle begins something else
_FILLER_CODES: dict[str, str] = {
    **dict.fromkeys(lists.FILLERS, "f"),
    **dict.fromkeys(lists.ARTICLES, "a"),
    **dict.fromkeys(lists.COPULAS, "i"),
    **dict.fromkeys(lists.JOINERS, "w"),
    **dict.fromkeys(lists.PLACERS, "p"),
    **dict.fromkeys(lists.STANDING, "e"),
    **dict.fromkeys(lists.CONTAINERS, "n"),
    "of": "o",
    "who": "H",
    "and": "&",
    "or": "|",
    "to": "t",
    "which": "W",
    "what": "W",
    "when": "Z",
    "between": "B",
    "not": "!",
    "containing": "~",
    "contains": "~",
    "contain": "~",
    "empty": "0",
    "missing": "0",
}
_CODES = {
    "count": "N", "measure": "O", "extreme": "S", "fewest": "Y", "frequent": "F", "distinct": "D", "top": "K",
    "per": "P", "list": "L",
}  # fmt: skip
_RESERVED = {
    *lists.FUNCTION, *lists.CONTAINERS, *_FILLER_CODES, *lists.NEGATIONS, *lists.MONTHS,
    *(word for phrase in (*lists.OPERATIONS, *lists.COMPARISONS) for word in phrase),
}  # fmt: skip


class Span(NamedTuple):
    """An item of the question: code, the words it covers, what it stands for, and its text."""

    code: str
    start: int
    end: int
    data: Any
    text: str

    @property
    def weak(self) -> bool:
        """Whether its text is a word of the published lists, so that a column beside it must say what is meant."""
        return self.text.casefold() in _RESERVED


class Day(NamedTuple):
    """A stretch of time: from `low` to before `high`, ISO dates; `year` 0 is a month of any year."""

    low: str
    high: str
    grain: str
    year: int
    month: int


class Word(NamedTuple):
    """A comparable word of the question and the token it is part of."""

    stem: str
    token: int
    first: bool
    last: bool


class Question:
    """A question as words."""

    def __init__(self, text: str) -> None:
        self.text = lists.POLITE.sub("", text).rstrip(" ?!.;:\n\t")
        self.tokens: list[Token] = tokens(self.text)
        self.words: list[Word] = []
        for place, token in enumerate(self.tokens):
            if token.kind == "word":
                pieces = parts(token.text) or (token.stem,)
            elif token.kind == "mark" and token.text in SILENT:
                continue
            else:
                pieces = (token.text.casefold(),)
            for position, piece in enumerate(pieces):
                self.words.append(Word(piece, place, position == 0, position == len(pieces) - 1))

    def quotes(self, lexicon: "Lexicon") -> list[str]:
        """Return the quoted texts that are no name and no value beside a table."""
        quoted = [token.text for token in self.tokens if token.kind == "quote"]
        return [text for text in quoted if not lexicon.knows(text)]

    def said(self, start: int, end: int) -> str:
        """Return the text of words `start` to before `end`, as it is written."""
        first, last = self.tokens[self.words[start].token], self.tokens[self.words[end - 1].token]
        return self.text[first.start : last.end]


@cache
def _published() -> Entries:
    """Return the phrases of the published lists."""
    entries: Entries = {}

    def add(phrase: tuple[str, ...], code: str, data: Any) -> None:
        entries.setdefault(phrase, []).append((code, data))

    for phrase, (kind, way) in lists.OPERATIONS.items():
        add(parts(" ".join(phrase)), _CODES[kind], way or phrase[0])
    add(("how", "much"), "W", "much")
    add(("give", "me"), "L", "")
    for phrase, sign in lists.COMPARISONS.items():
        add(tuple(map(stem, phrase)), "<", sign)
    for phrase in lists.NEGATED:
        add(tuple(map(stem, phrase)), "!", "")
    for word, code in _FILLER_CODES.items():
        add((stem(word),), code, word)
    add((",",), ",", "")
    for word, unit in {stem(word): unit for word, unit in lists.UNITS.items()}.items():
        add((word,), "U", unit)
    return entries


@lru_cache(maxsize=64)
def lexicon_of(table: Table) -> "Lexicon":
    """Return what can be named beside a table; it is asked for again at every step of a run."""
    return Lexicon(table)


class Lexicon:
    """All that can be named beside one table: phrase to items."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.entries: Entries = {key: [*having] for key, having in _published().items()}
        for column in table.columns:
            for way in named(column, table):
                self._add(way, "C", column)
            for value in column.values:
                if not column.numeric and column.kind != "date":
                    self._add(flat(key(value)), "V", (column, key(value)))
        dates = [column for column in table.columns if column.kind == "date"]
        self.date = dates[0] if len(dates) == 1 and dates_rows(dates[0], table) else None
        self._rows()
        self.longest = min(LONGEST, max(map(len, self.entries), default=1))

    def _add(self, phrase: tuple[str, ...], code: str, data: Any) -> None:
        having = self.entries.setdefault(phrase, []) if phrase else []
        if (code, data) not in having:
            having.append((code, data))

    def _has(self, phrase: tuple[str, ...], codes: str) -> bool:
        return any(code in codes for code, _ in self.entries.get(phrase, ()))

    def knows(self, text: str) -> bool:
        """Whether the text is a name or a value."""
        return self._has(flat(text), "CVM")

    def _rows(self) -> None:
        table = self.table
        whole = parts(file_stem(table.path))
        heads = [word for word in table.words if word.isalpha()]
        for phrase in {table.words, tuple(heads[-1:])}:
            if not self._has(phrase, "V"):
                self._add(phrase, "R", "own")
        for word in lists.ROWS:
            if not self._has((word,), "C"):
                self._add((word,), "R", "any")
        for word in ("date", "day"):
            if self.date is not None and not self._has((word,), "CR"):
                single = word == "day" and self.date.distinct == table.rows
                self._add((word,), "R" if single else "C", "day" if single else self.date)
        for phrase in {(*whole, *parts(table.path.rpartition(".")[2])), flat(table.path), whole, table.words}:
            if len(phrase) > 1:
                self._add(phrase, "M", "own")
        self._add(flat(table.path.rpartition("/")[2]), "M", "own")

    def spans(self, question: Question, at: int) -> list[Span]:
        """Return what can begin at word `at`, the longest first."""
        words = question.words
        if not words[at].first:
            return []
        token = question.tokens[words[at].token]
        if token.kind == "quote":
            return self._quoted(token, at)
        found: list[Span] = []
        for end in range(min(len(words), at + self.longest), at, -1):
            if words[end - 1].last:
                said = question.said(at, end)
                phrase = tuple(word.stem for word in words[at:end])
                found += [Span(code, at, end, data, said) for code, data in self.entries.get(phrase, ())]
        if token.kind == "number" or token.text.casefold() in lists.COUNTED:
            found.append(Span("#", at, at + 1, number(token.text), token.text))
        day = dated(question, at)
        if day is not None:
            found.append(Span("T", at, day[1], day[0], question.said(at, day[1])))
        return found

    def _quoted(self, token: Token, at: int) -> list[Span]:
        entries = [entry for entry in self.entries.get(flat(token.text), ()) if entry[0] in "CVM"]
        found = [Span(code, at, at + 1, data, f'"{token.text}"') for code, data in entries]
        return [*found, Span("Q", at, at + 1, token.text, token.text)]


def readings(question: Question, lexicon: Lexicon) -> Iterator[list[Span]]:
    """Yield the ways to cover all words of the question, at most one more than `READINGS`."""
    memo: dict[int, list[Span]] = {}
    dead: set[int] = set()

    def options(at: int) -> list[Span]:
        if at not in memo:
            memo[at] = _fitting(lexicon.spans(question, at))
        return memo[at]

    def cover(at: int) -> Iterator[list[Span]]:
        if at == len(question.words):
            yield []
            return
        alive = False
        for span in options(at) if at not in dead else ():
            for rest in cover(span.end):
                alive = True
                yield [span, *rest]
        if not alive:
            dead.add(at)

    return islice(cover(0), READINGS + 1)


def _fitting(spans: list[Span]) -> list[Span]:
    """Leave out what a longer span of the same kind covers; an operation may be cut out of a longer column name."""
    if not spans:
        return []
    longest = max(span.end for span in spans)
    kept = [span for span in spans if span.end == longest]
    codes = {span.code for span in kept}
    if codes <= {"C", "R", "M", "V"}:
        kept += [span for span in spans if span.end < longest and span.code in "NOSYF"]
    if any(span.code in "VCRM" and not span.weak for span in kept):
        kept = [span for span in kept if span.code not in "fapoiwentU"]
    return kept


def unknown(question: Question, lexicon: Lexicon) -> list[tuple[int, int]]:
    """Return the stretches of words that mean nothing beside this table, as places of words."""
    reach = {0}
    covered: set[int] = set()
    for at in range(len(question.words)):
        spans = _fitting(lexicon.spans(question, at)) if at in reach else []
        if at in reach and not spans:
            reach.add(at + 1)
        for span in spans:
            reach.add(span.end)
            covered.update(range(span.start, span.end))
    gaps: list[tuple[int, int]] = []
    for at in range(len(question.words)):
        if at not in covered:
            if gaps and gaps[-1][1] == at:
                gaps[-1] = (gaps[-1][0], at + 1)
            else:
                gaps.append((at, at + 1))
    return gaps


def dated(question: Question, at: int) -> tuple[Day, int] | None:
    """Return the day, month or year that begins at word `at`, and where it ends."""
    words = question.words
    token = question.tokens[words[at].token]
    if token.kind == "date":
        day = _day(*map(int, token.text.split("-")))
        return (day, at + 1) if day else None
    following = [word.stem for word in words[at : at + 4]]
    plain = [word for word in following if word != ","]
    ends = _ends(following)
    for size in (3, 2, 1):
        day = _spelled(plain[:size]) if len(plain) >= size else None
        if day is not None:
            return day, at + ends[size]
    return None


def _ends(following: list[str]) -> dict[int, int]:
    """Return how many words, commas included, hold the first n words that are not commas."""
    places = [place for place, word in enumerate(following, 1) if word != ","]
    return dict(enumerate(places, 1))


def _spelled(pieces: list[str]) -> Day | None:
    months = [position for position, piece in enumerate(pieces) if piece in lists.MONTHS]
    numbers = [int(piece) if piece.isdecimal() else _ordinal(piece) for piece in pieces if piece not in lists.MONTHS]
    given = [value for value in numbers if value is not None]
    if len(given) < len(numbers) or len(months) > 1:
        return None
    years = [value for value in given if 1000 <= value <= 2999]
    if not months:
        return _year(years[0]) if len(pieces) == 1 and years else None
    month = lists.MONTHS.index(pieces[months[0]]) + 1
    if len(pieces) == 1:
        return Day("", "", "month", 0, month)
    if len(pieces) == 2:
        return month_of(years[0], month) if years and months == [0] else None
    days = [value for value in given if value <= 31]
    if len(years) == 1 and len(days) == 1 and pieces[2] == str(years[0]):
        return _day(years[0], month, days[0])
    return None


def _ordinal(piece: str) -> int | None:
    return int(piece[:-2]) if piece[:-2].isdecimal() and piece[-2:] in ("st", "nd", "rd", "th") else None


def _year(year: int) -> Day:
    return Day(f"{year:04}-01-01", f"{year + 1:04}-01-01", "year", year, 0)


def month_of(year: int, month: int) -> Day:
    """Return a month of a year."""
    after = (year + month // 12, month % 12 + 1)
    return Day(f"{year:04}-{month:02}-01", f"{after[0]:04}-{after[1]:02}-01", "month", year, month)


def _day(year: int, month: int, day: int) -> Day | None:
    if not (1 <= month <= 12 and year >= 1 and 1 <= day <= monthrange(year, month)[1]):
        return None
    low = f"{year:04}-{month:02}-{day:02}"
    if day < monthrange(year, month)[1]:
        return Day(low, f"{year:04}-{month:02}-{day + 1:02}", "day", year, month)
    return Day(low, month_of(year, month).high, "day", year, month)
