"""From the items of a question to filters, a grouping and what is left: the skeleton.

Each rule is a pattern over the items' code letters (`spans.py`) and what a match means. Rules are tried in order; what
one takes is gone for the next. What no rule takes stays, and no skeleton fits it: then there is no reading.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from stratagem.models.offline.schema import Column, Table, key, same
from stratagem.models.offline.spans import Day, Lexicon, Span, month_of
from stratagem.models.offline.words import MONTHS, NEGATIONS

_DIRECTED = frozenset(("to", "destination", "target", "receiver", "arrival", "end"))
_TRUE = frozenset(("true", "yes", "y", "1"))
_FALSE = frozenset(("false", "no", "n", "0"))
_COMPUTED = "OSNYFK"
_LEADING = frozenset(
    (*NEGATIONS, "in", "on", "at", "for", "from", "over", "under", "above", "below", "before", "after", "since", "until",
     "between", "and", "or", "all", "any", "with", "where", "more", "less", "most"),
)  # fmt: skip
_THOUSANDS = re.compile(r"[-\u2212]?\d{1,3}(?:\.\d{3})+")
_WITHIN = frozenset(("in", "on", "at", "from", "during", "within", "among"))


class Filter(NamedTuple):
    """One condition on a column."""

    column: str
    op: str
    value: Any = None
    values: tuple[Any, ...] = ()


class Unfit(Exception):
    """This reading does not make sense; the text says why."""


class Doubtful(Unfit):
    """This reading may be meant, and must not be: no other reading may take its place."""


class _Kept(Exception):
    """The items are left for another rule."""


class Reading:
    """One way to read the question, reduced to filters, a group and a skeleton.

    Attributes:
        where: the conditions.
        group: the column that is grouped by; None if there is none.
        named: whether the table is named.
        loose: texts of values that stand without their column.
        meant: the columns of values that stand without their column, or after `of`, and whether they say of which row
            something is asked: `the rent of Alma`, and not `the rent in Bonn`.
    """

    def __init__(self, spans: list[Span], lexicon: Lexicon) -> None:
        self.lexicon, self.table = lexicon, lexicon.table
        self.where: list[Filter] = []
        self.group: Column | None = None
        self.loose: list[str] = []
        self.meant: list[tuple[Column, bool, str]] = []
        self.named = any(span.code == "M" or (span.code == "R" and span.data == "own") for span in spans)
        self.items: list[Span] = []
        for span in spans:
            self.items.append(span._replace(code=self._placed(span)))
        for pattern, rule in self._rules():
            self._apply(pattern, rule)
        self._check()

    @property
    def codes(self) -> str:
        """The code letters of what is left."""
        return "".join(item.code for item in self.items)

    def _placed(self, span: Span) -> str:
        """Return the code of an item whose meaning depends on where it stands."""
        if span.code in "WH":
            relative = bool(self.items) and self.items[-1].code in "RCVn"  # `houses which ...`
            return "w" if relative or any(item.code in "WLNOSYFDKZH" for item in self.items) else span.code
        if span.code == "w" and not self.items:
            raise Unfit(f"{span.text!r} needs the name of a column")
        return span.code

    def _rules(self) -> list[tuple[str, Callable[[list[Span], str], None]]]:
        number, more, joined = "U?#U?", "(?:[,&|]+[pa]*V)", "(?:[,|]+[pa]*|&a?)V"
        return [
            (r"C[iw]*0|0a?C", self._missing),
            (r"C[iaow]*~a?[QV]", self._containing),
            (r"C[iaow]*p?BT&T|C[iaow]*pTtT|p?BT&T|pTtT", self._between_dates),
            (r"C[iaow]*<a?T|C[iaow]*p?a?T", self._date),
            (r"<a?T|pa?T", self._date),
            (rf"C[iaow]*B{number}&{number}(?!C)|w?B{number}&{number}a?C", self._between),
            (rf"C[iaow]*<a?{number}(?!C)", self._compare),
            (rf"w?<{number}a?C", self._compare),
            (rf"(?<=w)a?Coa?{number}(?![CR])|Ci?{number}(?![CRSV])|w#a?C", self._equal),
            (r"i!?C(?![i<V~B0])|!C(?![i<V~B0])", self._truth),
            (rf"C[iaow]*!V(?!{joined})|!V(?!{joined})", self._not),
            (r"C[iaow]*<a?[VQ]", self._sign),
            (rf"C[iao]*p?a?V{more}*", self._values),
            (rf"[po]?a?V{more}*C", self._values),
            (rf"[po]?a?V{more}+", self._values),
            (r"[po]?a?V", self._values),
            (r"Pa?C", self._per),
            (r"(?<=[CM])n|n(?=o?a?C)|[po]a?n", self._container),
            (r"(?<=[ifw])e|e(?=[pwX]|$)|[po]a?M|M", self._nothing),
            (r"pU", self._unit_named),
        ]

    def _apply(self, pattern: str, rule: Callable[[list[Span], str], None]) -> None:
        at, compiled = 0, re.compile(pattern)
        while found := compiled.search(self.codes, at):
            at = found.start() + 1
            end = self._taken(compiled, found, rule)
            if end:
                mark = "x" if rule in (self._nothing, self._container, self._unit_named, self._per) else "X"
                first, last = self.items[found.start()], self.items[end - 1]
                self.items[found.start() : end] = [Span(mark, first.start, last.end, None, "")]

    def _taken(self, pattern: re.Pattern[str], found: re.Match[str], rule: Callable[[list[Span], str], None]) -> int:
        """Return the end of what the rule takes, 0 if it takes nothing; of a list of values it may take a part."""
        start, end = found.span()
        for stop in range(end, start, -1) if rule == self._values else (end,):
            if stop < end and not pattern.fullmatch(self.codes, start, stop):
                continue
            try:
                rule(self.items[start:stop], self.codes[:start])
            except _Kept:
                continue
            return stop
        return 0

    def _check(self) -> None:
        """Refuse conditions that exclude each other: the question means something else."""
        equal = [one.column for one in self.where if one.op in ("=", "in")]
        unequal = {one.column for one in self.where if one.op == "!="}
        if len(set(equal)) < len(equal) or unequal & set(equal):
            raise Unfit("two values of one column are asked for at once")

    def skeleton(self) -> list[Span]:
        """Return the items that are no filter and no filler."""
        items = [item for item in self.items if item.code not in "aiofpwx,"]
        kept: list[Span] = []
        for place, item in enumerate(items):
            joins = item.code == "&" and 0 < place < len(items) - 1
            if item.code != "X" and not (joins and items[place - 1].code == items[place + 1].code == "X"):
                kept.append(item)
        return kept

    def _nothing(self, part: list[Span], _: str) -> None:
        """These items say nothing here."""

    def _container(self, part: list[Span], _: str) -> None:
        """`the column price` is the price; `the total value of the stock` may be another thing than the total stock."""
        summed = any(item.code == "O" and item.data == "sum" for item in self.items)
        if summed and part[-1].text.casefold() == "value":
            raise _Kept

    def _missing(self, part: list[Span], _: str) -> None:
        self.where.append(Filter(_of(part, "C").name, "empty"))

    def _containing(self, part: list[Span], _: str) -> None:
        column, last = _of(part, "C"), part[-1]
        if column.kind != "text":
            raise Unfit(f"column {column.name!r} is not text")
        self.where.append(Filter(column.name, "contains", last.data if last.code == "Q" else last.text))

    def _compare(self, part: list[Span], before: str) -> None:
        column, sign = _of(part, "C"), _of(part, "<")
        if not column.numeric:
            raise Unfit(f"column {column.name!r} is {column.kind}: it cannot be compared with a number")
        if sign not in (">", "<", ">=", "<=", "=", "!="):
            raise Unfit(f"{sign!r} is for dates")
        if part[0].code == "C":
            _refuse_computed(before)
        if sign == "!=":
            _refuse_empty(column)
        _unit(part, column)
        self.where.append(Filter(column.name, sign, _number(part)))

    def _between(self, part: list[Span], before: str) -> None:
        column = _of(part, "C")
        if not column.numeric:
            raise Unfit(f"column {column.name!r} is {column.kind}: it cannot be compared with a number")
        if part[0].code == "C":
            _refuse_computed(before)
        _unit(part, column)
        low, high = (item.data for item in part if item.code == "#")
        if low is None or high is None or low > high:
            raise Unfit("the two numbers do not make a range")
        self.where.append(Filter(column.name, "between", None, (low, high)))

    def _equal(self, part: list[Span], before: str) -> None:
        column = _of(part, "C")
        if not column.numeric:
            raise _Kept
        if any(item.code == "C" for item in part[:2]):
            _refuse_computed(before)
        _unit(part, column)
        if re.search(r"oa?$", before):
            self.meant.append((column, True, ""))
        self.where.append(Filter(column.name, "=", _number(part)))

    def _truth(self, part: list[Span], _: str) -> None:
        column = _of(part, "C")
        if column.kind != "boolean" or not column.complete:
            raise _Kept
        wanted = _FALSE if any(item.code == "!" for item in part) else _TRUE
        values = [value for value in column.values if key(value).casefold() in wanted]
        if len(values) != 1:
            raise _Kept
        self.where.append(Filter(column.name, "=", key(values[0])))

    def _not(self, part: list[Span], _: str) -> None:
        columns = [item.data for item in part if item.code == "C"]
        owner, value = _of(part, "V")
        if columns and columns[0].name != owner.name:
            raise _Kept
        if not columns:
            self._loose(part)
        if any(same(f"not {value}", one) for one in owner.values):
            raise Doubtful(f"whether {f'not {value}'!r} is one value is not said")
        _refuse_empty(owner)
        self.where.append(Filter(owner.name, "!=", value))

    def _sign(self, part: list[Span], _: str) -> None:
        column, sign, last = _of(part, "C"), _of(part, "<"), part[-1]
        if sign not in ("=", "!=") or (last.code == "V" and last.data[0].name != column.name) or column.numeric:
            raise _Kept
        value = last.data[1] if last.code == "V" else last.data
        if last.code == "Q" and not any(same(value, key(one)) for one in column.values):
            raise Unfit(f"{value!r} is no value of column {column.name!r}")
        if sign == "!=":
            _refuse_empty(column)
        self.where.append(Filter(column.name, sign, value))

    def _values(self, part: list[Span], before: str) -> None:
        columns = [item.data for item in part if item.code == "C"]
        values = [item.data for item in part if item.code == "V"]
        owner = values[0][0]
        if {column.name for column, _ in values} != {owner.name} or (columns and columns[0].name != owner.name):
            raise _Kept
        self._owned(part, before, owner, said=bool(columns))
        for item in part:
            first, *more = item.text.casefold().split()
            if item.code == "V" and more and first in _LEADING:
                raise Doubtful(f"whether {item.text!r} is one value is not said: put it into quotation marks")
        texts = tuple(dict.fromkeys(value for _, value in values))
        together = any(item.code == "&" for item in part)
        if together and before.endswith("i"):
            raise Unfit("whether both at once or one of them is meant is not said")
        if together and any(item.code in "OS" and item.data != "sum" for item in self.items):
            raise Unfit("whether the values count together or one by one is not said")
        if len(texts) == 1:
            self.where.append(Filter(owner.name, "=", texts[0]))
        else:
            self.where.append(Filter(owner.name, "in", None, texts))

    def _owned(self, part: list[Span], before: str, owner: Column, *, said: bool) -> None:
        """Note whose value it is; `the boss of Cy` is another row than the one whose boss is Cy."""
        codes = "".join(item.code for item in part)
        if re.match(r"Co", codes) and not re.search(r"w$|wa$|pa?$", before):
            raise doubt(
                self.table, _of(part, "V")[1], f"whether {part[-1].text!r} is the {owner.name} or has one is not said"
            )
        lead = next((item.text.casefold() for item in part if item.code in "po"), "")
        if not said:
            self._loose(part)
            self.meant.append((owner, lead not in _WITHIN, _of(part, "V")[1]))
        elif re.search(r"oa?$", before) or codes.startswith(("o", "Co")):
            self.meant.append((owner, True, _of(part, "V")[1]))

    def _loose(self, part: list[Span]) -> None:
        """Note values whose column is not said, and refuse those that read like words of the question."""
        for item in part:
            if item.code == "V":
                if item.weak:
                    raise Unfit(f"whether {item.text!r} is a value is not clear")
                self.loose.append(item.text.strip('"'))
        owner = _of(part, "V")[0]
        if part[0].text.casefold() == "from" and _DIRECTED & set(owner.words):
            raise Unfit(f"'from' does not fit column {owner.name!r}")

    def _per(self, part: list[Span], before: str) -> None:
        if "K" in before or ("#" in before and "S" in before):
            raise _Kept
        if self.group is not None:
            raise Unfit("groups by more than one column are not computed")
        self.group = _of(part, "C")

    def _unit_named(self, part: list[Span], _: str) -> None:
        if not any(item.code == "C" and item.data.unit == part[-1].data for item in self.items):
            raise _Kept

    def _date(self, part: list[Span], _: str) -> None:
        column = self._dates(part)
        day, sign = _of(part, "T"), next((item.data for item in part if item.code == "<"), "=")
        if sign == "=" and part[0].text.casefold() == "from":
            raise Unfit("whether 'from' means 'since' is not said")
        if column is None:
            self._year(day, sign)
            return
        day = _fixed(day, column)
        edges = {
            "=": ((">=", day.low), ("<", day.high)), "before": (("<", day.low),), "<": (("<", day.low),),
            "after": ((">=", day.high),), ">": ((">=", day.high),), "since": ((">=", day.low),), ">=": ((">=", day.low),),
            "<=": (("<", day.high),), "until": (("<", day.high),),
        }  # fmt: skip
        if sign not in edges:
            raise Unfit(f"dates cannot be compared by {sign!r}")
        if sign == "until" and day.grain != "day":
            raise Unfit("whether 'until' includes its end is not said")
        if sign == "=" and day.grain == "day":
            self.where.append(Filter(column.name, "=", day.low))
        else:
            self.where += [Filter(column.name, op, value) for op, value in edges[sign]]

    def _between_dates(self, part: list[Span], _: str) -> None:
        column = self._dates(part)
        first, last = (item.data for item in part if item.code == "T")
        if first.grain != last.grain or not first.year or not last.year or first.low > last.low:
            raise Unfit("the two dates do not make a stretch of time")
        if column is None:
            years = self._years()
            if first.grain != "year":
                raise Unfit("there is no one column of dates")
            self.where.append(Filter(years.name, "between", None, (first.year, last.year)))
        else:
            self.where += [Filter(column.name, ">=", first.low), Filter(column.name, "<", last.high)]

    def _dates(self, part: list[Span]) -> Column | None:
        given = [item.data for item in part if item.code == "C"]
        if given and given[0].kind != "date":
            raise _Kept
        return given[0] if given else self.lexicon.date

    def _years(self) -> Column:
        years = [column for column in self.table.columns if column.words == ("year",) and column.numeric]
        dates = [column.name for column in self.table.columns if column.kind == "date"]
        if dates:
            raise Unfit(f"which date is meant is not said: name the column, such as {dates[0]!r}")
        if len(years) != 1:
            raise Unfit("there is no one column of dates")
        return years[0]

    def _year(self, day: Day, sign: str) -> None:
        signs = {"=": "=", "before": "<", "after": ">", "since": ">=", "<": "<", ">": ">", ">=": ">=", "<=": "<="}
        years = self._years()
        if day.grain != "year" or sign not in signs:
            raise Unfit("there is no one column of dates")
        self.where.append(Filter(years.name, signs[sign], day.year))


def doubt(table: Table, value: str, why: str) -> Unfit:
    """Return why a reading is none: another may take its place only if the value is the name of a row too."""
    label = table.label
    first = next((column.name for column in table.columns if column.kind == "text"), "")
    known = label is not None and label.name == first and any(same(value, one) for one in label.values)
    return Unfit(why) if known else Doubtful(why)


def _of(part: list[Span], code: str) -> Any:
    return next(item.data for item in part if item.code == code)


def _number(part: list[Span]) -> Any:
    value = _of(part, "#")
    _refuse_separator(part)
    if value is None:
        raise Unfit("a number cannot be read")
    return value


def _refuse_separator(part: list[Span]) -> None:
    for item in part:
        if item.code == "#" and _THOUSANDS.fullmatch(item.text):
            raise Doubtful(f"whether the point in {item.text!r} begins a fraction is not said")


def _unit(part: list[Span], column: Column) -> None:
    _refuse_separator(part)
    bare = not any(item.code == "U" for item in part)
    shares = [item.data for item in part if item.code == "#" and isinstance(item.data, float) and 0 < item.data < 1]
    if bare and shares and column.unit == "pct" and not (isinstance(column.high, int | float) and column.high <= 1):
        raise Doubtful(f"whether {shares[0]} is a share or percent is not said")
    for item in part:
        if item.code == "U" and item.data != column.unit:
            raise Unfit(f"column {column.name!r} does not say that it is in {item.text!r}")


def _refuse_computed(before: str) -> None:
    """A computed value is compared: `a mean price over 5`."""
    if re.search(rf"[{_COMPUTED}][ao]*$", before):
        raise Unfit("a computed value is not compared with a number")


def _refuse_empty(column: Column) -> None:
    if column.empty:
        raise Unfit(f"column {column.name!r} has empty cells: whether they count is not said")


def _fixed(day: Day, column: Column) -> Day:
    """Return the day with its year: a month alone needs a column of one year."""
    if day.year:
        return day
    low, high = str(column.low)[:4], str(column.high)[:4]
    if low != high or not low.isdecimal():
        raise Unfit(f"{MONTHS[day.month - 1].title()} of which year is not said")
    return month_of(int(low), day.month)
