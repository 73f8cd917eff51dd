"""The published word lists of the offline model, and how a text becomes tokens. `docs/offline.md` prints the lists.

Rule 1: a word that carries meaning is either in one of these lists, or must be found in what a tool showed.
Rule 2: a token keeps its place in the text, so that what is quoted is quoted verbatim.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

ARTICLES = frozenset(("a", "an", "the"))
COPULAS = frozenset(("is", "are", "was", "were", "be", "been", "being"))

PREPOSITIONS = frozenset(
    ("of", "in", "on", "at", "for", "from", "with", "during", "within", "among", "into", "as", "by", "to", "per",
     "near", "under", "over", "beside", "behind", "between", "through", "via", "about", "after", "before", "above",
     "below", "until", "since", "without", "like", "than", "inside", "outside", "against", "around", "across"),
)  # fmt: skip

JOINERS = frozenset(("with", "having", "has", "have", "had", "that", "whose", "where", "who"))
PLACERS = frozenset(("in", "on", "at", "for", "from", "during", "within", "among"))
FILLERS = frozenset(("do", "does", "did", "there", "all", "overall", "altogether"))
"""Words that a question over a table may use without changing what is asked."""

STANDING = frozenset(
    ("recorded", "listed", "contained", "included", "located", "found", "exist", "exists", "occur", "occurs", "occurred",
     "happen", "happened"),
)  # fmt: skip
"""Verbs that say only that something is there; they count as fillers after `are`, `is`, `do` and the like, or last."""

CONTAINERS = frozenset(("value", "values", "column", "field", "table", "file", "data", "dataset"))
"""Words for tables and their parts: fillers beside a column or a table's name, or after `in the`."""

FUNCTION = (
    ARTICLES | COPULAS | JOINERS | PLACERS | FILLERS | {"of", "and", "or", "to", "by", "as", "what", "which", "when"}
)

QUESTION_WORDS = frozenset(
    ("what", "which", "who", "whom", "whose", "when", "where", "why", "how", "many", "much", "often", "long", "far",
     "old", "tall", "big", "large", "heavy"),
)  # fmt: skip

PRONOUNS = frozenset(
    ("it", "its", "they", "them", "their", "theirs", "this", "these", "those", "he", "she", "his", "her", "him", "one",
     "ones", "former", "latter", "same", "others", "then", "result"),
)  # fmt: skip
"""Words that point to something outside of the sentence."""

NEGATIONS = frozenset(
    ("not", "no", "never", "without", "except", "excluding", "neither", "nor", "none", "other", "isn", "aren", "wasn",
     "doesn", "don", "didn", "hasn", "haven", "cannot", "besides", "unlike", "nobody", "nothing", "weren", "hadn", "t",
     "non"),
)  # fmt: skip

OPERATIONS: dict[tuple[str, ...], tuple[str, str]] = {
    ("how", "many"): ("count", ""),
    ("number", "of"): ("count", ""),
    ("count", "of"): ("count", ""),
    ("count",): ("count", ""),
    ("sum",): ("measure", "sum"),
    ("total",): ("measure", "sum"),
    ("mean",): ("measure", "mean"),
    ("average",): ("measure", "mean"),
    ("on", "average"): ("measure", "mean"),
    ("median",): ("measure", "median"),
    ("minimum",): ("extreme", "min"),
    ("min",): ("extreme", "min"),
    ("lowest",): ("extreme", "min"),
    ("smallest",): ("extreme", "min"),
    ("least",): ("fewest", "min"),
    ("fewest",): ("fewest", "min"),
    ("maximum",): ("extreme", "max"),
    ("max",): ("extreme", "max"),
    ("highest",): ("extreme", "max"),
    ("largest",): ("extreme", "max"),
    ("greatest",): ("extreme", "max"),
    ("biggest",): ("extreme", "max"),
    ("most",): ("fewest", "max"),
    ("earliest",): ("extreme", "min date"),
    ("latest",): ("extreme", "max date"),
    ("most", "common"): ("frequent", "max"),
    ("most", "frequent"): ("frequent", "max"),
    ("least", "common"): ("frequent", "min"),
    ("least", "frequent"): ("frequent", "min"),
    ("distinct",): ("distinct", ""),
    ("different",): ("distinct", ""),
    ("unique",): ("distinct", ""),
    ("top",): ("top", "max"),
    ("bottom",): ("top", "min"),
    ("per",): ("per", ""),
    ("by",): ("per", ""),
    ("each",): ("per", ""),
    ("for", "each"): ("per", ""),
    ("for", "every"): ("per", ""),
    ("in", "each"): ("per", ""),
    ("in", "every"): ("per", ""),
    ("grouped", "by"): ("per", ""),
    ("broken", "down", "by"): ("per", ""),
    ("list",): ("list", ""),
    ("show",): ("list", ""),
    ("name",): ("list", ""),
}
"""Operation words over tables: what they are, and which way they go."""

COMPARISONS: dict[tuple[str, ...], str] = {
    ("at", "least"): ">=",
    ("at", "most"): "<=",
    ("no", "more", "than"): "<=",
    ("no", "less", "than"): ">=",
    ("no", "fewer", "than"): ">=",
    ("not", "more", "than"): "<=",
    ("not", "less", "than"): ">=",
    ("more", "than"): ">",
    ("greater", "than"): ">",
    ("higher", "than"): ">",
    ("larger", "than"): ">",
    ("bigger", "than"): ">",
    ("less", "than"): "<",
    ("fewer", "than"): "<",
    ("lower", "than"): "<",
    ("smaller", "than"): "<",
    ("over",): ">",
    ("above",): ">",
    ("exceeding",): ">",
    ("under",): "<",
    ("below",): "<",
    ("greater", "than", "or", "equal", "to"): ">=",
    ("less", "than", "or", "equal", "to"): "<=",
    ("equal", "to"): "=",
    ("equals",): "=",
    ("exactly",): "=",
    ("=",): "=",
    ("==",): "=",
    ("!=",): "!=",
    ("<>",): "!=",
    ("≠",): "!=",
    (">",): ">",
    ("<",): "<",
    (">=",): ">=",
    ("<=",): "<=",
    ("≥",): ">=",
    ("≤",): "<=",
    ("before",): "before",
    ("after",): "after",
    ("since",): "since",
    ("until",): "until",
    ("prior", "to"): "before",
}
"""Comparisons; the last five are for dates only."""

NEGATED: tuple[tuple[str, ...], ...] = (
    ("is", "not"), ("are", "not"), ("was", "not"), ("were", "not"), ("not", "in"), ("is", "not", "in"), ("are", "not", "in"),
)  # fmt: skip
ROWS = frozenset(("row", "record", "entry"))
"""What a row of any table is called; the table's own name is added."""

COUNTED: dict[str, int] = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
}
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
RATES = frozenset(
    ("every", "per", "once", "twice", "daily", "weekly", "monthly", "yearly", "hourly", "annually", "quarterly", "each"),
)  # fmt: skip
WEEKDAYS = frozenset(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))

UNITS: dict[str, str] = {
    spelled: unit
    for unit, names in {
        "mm": "mm millimeter millimetre", "cm": "cm centimeter centimetre", "m": "m meter metre",
        "km": "km kilometer kilometre", "g": "g gram", "kg": "kg kilogram kilo", "t": "t ton tonne",
        "l": "l liter litre", "ml": "ml milliliter millilitre", "s": "s sec second", "min": "min minute",
        "h": "h hr hour", "d": "day", "eur": "eur euro €", "usd": "usd dollar $", "gbp": "gbp pound £",
        "c": "c °c celsius", "f": "f °f fahrenheit", "pct": "pct percent %", "kwh": "kwh", "w": "w watt", "v": "v volt",
        "ms": "ms millisecond", "kb": "kb", "mb": "mb", "gb": "gb", "week": "week", "month": "month", "year": "year",
    }.items()
    for spelled in names.split()
}  # fmt: skip
"""Names of units. A column may carry one (`weight_kg`) that a question leaves out; a number's unit must be the column's."""

DATING = frozenset(
    ("date", "day", "time", "timestamp", "datetime", "month", "week", "on", "at", "of", "created", "recorded", "measured",
     "observed", "logged"),
)  # fmt: skip
"""Names of columns that say when the row itself happened; other dates are properties, such as a birthday."""

PERIODS = frozenset(("second", "minute", "hour", "day", "week", "month", "year"))

SHORT: dict[str, str] = {
    "maximum": "max", "minimum": "min", "temperature": "temp", "average": "avg", "quantity": "qty", "percent": "pct",
    "percentage": "pct", "precip": "precipitation",
}  # fmt: skip
"""Two spellings of one word in column names."""

POLITE = re.compile(
    r"^\s*(?:please\b[, ]*|(?:can|could|would)\s+you\s+(?:please\s+)?(?:tell|show|give)\s+me\s+|tell\s+me\s+|"
    r"(?:i|we)\s+(?:want|need|would\s+like)\s+to\s+know\s+|do\s+you\s+know\s+)+",
    re.IGNORECASE,
)
"""Ways to begin a question that say nothing."""

_TOKEN = re.compile(
    r"""
    (?P<quote>"[^"\n]{1,300}"|“[^”\n]{1,300}”|«[^»\n]{1,300}»|`[^`\n]{1,300}`|(?<![\w'])'[^'\n]{1,300}'(?!\w))
  | (?P<date>(?<![\w.])\d{4}-\d{2}-\d{2}(?![\w-]))
  | (?P<number>(?<![\w.])(?:[-\u2212](?=\d))?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w]))
  | (?P<ordinal>\d+(?:st|nd|rd|th)\b)
  | (?P<word>[^\W_]+(?:_+[^\W_]+)*_*)
  | (?P<cmp><=|>=|!=|==|<>|[<>=≠≤≥])
  | (?P<mark>\S)
    """,
    re.VERBOSE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
_POSSESSIVE = re.compile(r"['\u2019]s\b")


class Token(NamedTuple):
    """A piece of a text.

    Attributes:
        kind: `word number date quote cmp mark`.
        text: as it is written.
        stem: casefolded, singular.
        start: place of its first character.
        end: place after its last character.
    """

    kind: str
    text: str
    stem: str
    start: int
    end: int


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return the word casefolded and without a plural ending.

    >>> [stem(word) for word in ("Cities", "boxes", "sizes", "size", "prices", "gas", "class", "buses")]
    ['city', 'box', 'siz', 'siz', 'price', 'gas', 'class', 'bus']
    """
    word = word.casefold()
    if len(word) < 4 or not word.isascii():
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y" if len(word) > 4 else word[:-1]
    for ending in ("sse", "she", "che", "xe", "ze"):  # `sizes` and `boxes` look alike: both lose the `e`
        if word.endswith((ending, f"{ending}s")):
            return word[: word.rindex(ending) + len(ending) - 1]
    if word.endswith(("buses", "tuses", "buse", "tuse")):  # `statuses` and `statu`, as `status` becomes, are one
        return word[:-2] if word == "buses" else word[: word.rindex("us") + 1]
    if word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


@lru_cache(maxsize=8192)
def root(word: str) -> str:
    """Return what forms of one word have in common: `serviced`, `services` and `service` are one.

    >>> {root(word) for word in ("service", "services", "serviced", "servicing")}
    {'servic'}
    """
    word = stem(word)
    if not word.isascii():
        return word
    for ending in ("ing", "ed", "e"):
        short = word.removesuffix(ending)
        if short != word and len(short) >= 4 and any(vowel in short for vowel in "aeiouy"):
            if len(short) > 4 and short[-1] == short[-2] and short[-1] not in "sl":
                return short[:-1]
            return short
    return word


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text; an identifier such as `tempMax` or `temp_max` is one."""
    found: list[Token] = []
    text = _POSSESSIVE.sub(lambda mark: " " * len(mark[0]), unicodedata.normalize("NFC", text))
    for match in _TOKEN.finditer(text):
        kind, said = match.lastgroup or "mark", match[0]
        if kind == "ordinal":
            kind = "word"
        plain = said[1:-1].strip() if kind == "quote" else said
        found.append(Token(kind, plain, stem(plain), match.start(), match.end()))
    return found


@lru_cache(maxsize=8192)
def parts(name: str) -> tuple[str, ...]:
    """Return the stems of an identifier's words, with one spelling for each.

    >>> parts("unitPrices"), parts("Maximum Temperature"), parts("temp_max")
    (('unit', 'price'), ('max', 'temp'), ('temp', 'max'))
    """
    pieces: list[str] = []
    for word in re.findall(r"[^\W_]+|[%$€£°]", _CAMEL.sub(" ", unicodedata.normalize("NFC", name))):
        plain = stem(word)
        pieces.append(SHORT.get(plain, plain))
    return tuple(pieces)


def number(text: str) -> float | int | None:
    """Return the number that a token writes, or None."""
    plain = text.replace(",", "").replace("\u2212", "-")
    try:
        return float(plain) if "." in plain else int(plain)
    except ValueError:
        return COUNTED.get(text.casefold())
