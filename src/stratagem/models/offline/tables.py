"""From a question to one query over one table, or to the reason why not.

Rule 1: every word of the question is part of a filter, a column, an operation or a published filler; else there is no
        reading.
Rule 2: two different readings are one too many: nothing is guessed.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from stratagem.models.offline.schema import Column, Table, key, same
from stratagem.models.offline.spans import Day, Lexicon, Question, Span, readings, unknown
from stratagem.models.offline.words import MONTHS, UNITS

_DIRECTED = frozenset(("to", "destination", "target", "receiver", "arrival", "end"))
_ORDERED = frozenset(("number", "integer"))


class Filter(NamedTuple):
    """One condition on a column."""

    column: str
    op: str
    value: Any = None
    values: tuple[Any, ...] = ()


class Query(NamedTuple):
    """One question over one table.

    Attributes:
        table: the table.
        kind: how the result becomes an answer: `value`, `one`, `groups`, `rows_of`, `best_group`, `values`, `top`.
        measure: what is computed.
        column: over which column; empty for rows.
        where: conditions; all hold.
        group: a value for each of this column; empty for one value.
        way: `ascending`, `descending` or `none`.
        k: how many.
        label: the column that is shown.
        named: whether the question names the table.
    """

    table: Table
    kind: str
    measure: str
    column: str = ""
    where: tuple[Filter, ...] = ()
    group: str = ""
    way: str = "none"
    k: int = 0
    label: str = ""
    named: bool = False


class Found(NamedTuple):
    """Readings of a question over one table, and why there is none."""

    queries: tuple[Query, ...]
    reason: str
    gaps: tuple[str, ...]
    plain_values: tuple[str, ...]


class Unfit(Exception):
    """This reading does not make sense; the text says why."""


def read(question: Question, table: Table) -> Found:
    """Return what the question can mean over this table."""
    lexicon = Lexicon(table)
    gaps = unknown(question, lexicon)
    if gaps:
        said = tuple(question.said(start, end) for start, end in gaps)
        return Found((), f"did not understand {', '.join(map(repr, said))}", said, ())
    found: list[Query] = []
    reasons: list[str] = []
    loose: list[str] = []
    for spans in readings(question, lexicon):
        try:
            reading = Reading(spans, lexicon)
            query = reading.query()
            loose += [text for text in reading.loose if text not in loose]
            if query not in found:
                found.append(query)
        except Unfit as why:
            if str(why) and str(why) not in reasons:
                reasons.append(str(why))
    return Found(
        tuple(found), reasons[0] if reasons else "did not understand how its words belong together", (), tuple(loose)
    )


class Reading:
    """One way to read the question: its items are reduced to filters and a skeleton."""

    def __init__(self, spans: list[Span], lexicon: Lexicon) -> None:
        self.lexicon, self.table = lexicon, lexicon.table
        self.items: list[Span] = []
        self.where: list[Filter] = []
        self.loose: list[str] = []
        self.group = ""
        self.named = False
        for span in spans:
            code = span.code
            if code == "M":
                self.named = True
                code = "f"
            if code == "R" and span.data == "own":
                self.named = True
            if code == "W" and any(item.code not in "apf" for item in self.items):
                code = "w"
            if code == "w" and span.data == "who" and not self.items:
                raise Unfit("'who' needs the name of a column")
            if code == "f" and span.text.casefold() in ("where", "whose") and not self.items:
                raise Unfit(f"{span.text!r} needs the name of a column")
            self.items.append(span._replace(code=code))

    @property
    def codes(self) -> str:
        """The code letters of what is left."""
        return "".join(item.code for item in self.items)

    def query(self) -> Query:
        """Return the query, or raise `Unfit`."""
        for pattern, reduce in self._rules():
            self._all(pattern, reduce)
        skeleton, items = self._skeleton()
        for pattern, build in _SKELETONS:
            found = re.fullmatch(pattern, skeleton)
            if found:
                query = build(self, items)
                return query._replace(where=tuple(self.where), named=self.named)
        raise Unfit("")

    def _rules(self) -> list[tuple[str, Callable[[list[Span]], None]]]:
        return [
            ("CPC", self._twice),
            (r"C[iaow]*0|(?<![NOS])0C", self._missing),
            (r"C[iaowf]*~a?[QV]", self._containing),
            (r"(?:C[iaow]*p?)?[pw]?B[a]?T&a?T", self._between_dates),
            (r"(?:C[iaow]*)?pTt?T|pTtT", self._between_dates),
            (r"C[iaow]*B#U?&#U?|B#U?&#U?a?C", self._between),
            (r"(?:C[iaow]*)?[p]?<[a]?T", self._date),
            (r"C[iaow]*pT", self._date),
            (r"C[iao]*T", self._date),
            (r"pa?T", self._date),
            (r"C[iaow]*<a?#U?", self._compare),
            (r"[wp]?<#U?a?C", self._compare),
            (r"C[iao]*#U?", self._equal),
            (r"w#C", self._equal),
            (r"C[iaow]*[p]?![iap]*V", self._not),
            (r"C[iaopw]*<a?[VQ]", self._sign_text),
            (r"C[iao]*p?V(?:[,&|]+V)*", self._values),
            (r"[po]?a?V(?:[,&|]+[pa]*V)*C?", self._values),
            (r"Pa?C$|^Pa?C,?", self._per),
            (r"Pa?C", self._per),
        ]

    def _all(self, pattern: str, reduce: Callable[[list[Span]], None]) -> None:
        at = 0
        while found := re.compile(pattern).search(self.codes, at):
            start, end = found.span()
            part = self.items[start:end]
            before = self.items[start - 1].code if start else ""
            try:
                keep = self._keeps(pattern, part, before)
                if keep:
                    at = start + 1
                    continue
                reduce(part)
            except _Kept:
                at = start + 1
                continue
            self.items[start:end] = [Span("X", part[0].start, part[-1].end, None, "")]
            at = start + 1

    def _keeps(self, pattern: str, part: list[Span], before: str) -> bool:
        """Whether the match belongs to a ranking: `top 3 cities by price`."""
        return "P" in pattern and pattern != "CPC" and any(item.code in "K" for item in self.items)

    def _twice(self, part: list[Span]) -> None:
        raise _Kept

    def _missing(self, part: list[Span]) -> None:
        column = _of(part, "C")
        self.where.append(Filter(column.name, "empty"))

    def _containing(self, part: list[Span]) -> None:
        column, last = _of(part, "C"), part[-1]
        if column.kind != "text":
            raise Unfit(f"column {column.name!r} is not text")
        self.where.append(Filter(column.name, "contains", last.text))

    def _compare(self, part: list[Span]) -> None:
        column, sign = _of(part, "C"), _of(part, "<")
        if not column.numeric:
            raise Unfit(f"column {column.name!r} is {column.kind}: it cannot be compared with a number")
        if sign not in (">", "<", ">=", "<=", "=", "!="):
            raise Unfit(f"{sign!r} is for dates")
        if sign == "!=" and column.empty:
            raise Unfit(f"column {column.name!r} has empty cells: whether they count is not said")
        self._unit(part, column)
        self.where.append(Filter(column.name, sign, _number(part)))

    def _between(self, part: list[Span]) -> None:
        column = _of(part, "C")
        low, high = (item.data for item in part if item.code == "#")
        if not column.numeric:
            raise Unfit(f"column {column.name!r} is {column.kind}: it cannot be compared with a number")
        self._unit(part, column)
        self.where.append(Filter(column.name, "between", None, (low, high)))

    def _equal(self, part: list[Span]) -> None:
        column = _of(part, "C")
        if not column.numeric or (part[0].code == "C" and "o" in "".join(item.code for item in part)):
            raise _Kept
        self._unit(part, column)
        self.where.append(Filter(column.name, "=", _number(part)))

    def _unit(self, part: list[Span], column: Column) -> None:
        for item in part:
            if item.code == "U" and item.data != column.unit:
                raise Unfit(f"column {column.name!r} does not say that it is in {item.text!r}")

    def _not(self, part: list[Span]) -> None:
        column = _of(part, "C")
        value = next(item.data[1] for item in part if item.code == "V")
        if column.empty:
            raise Unfit(f"column {column.name!r} has empty cells: whether they count is not said")
        if not any(item.code == "V" and item.data[0].name == column.name for item in part):
            raise Unfit(f"{value!r} is no value of column {column.name!r}")
        self.where.append(Filter(column.name, "!=", value))

    def _sign_text(self, part: list[Span]) -> None:
        column, sign, last = _of(part, "C"), _of(part, "<"), part[-1]
        value = last.data[1] if last.code == "V" else last.text
        if sign not in ("=", "!=") or (last.code == "V" and last.data[0].name != column.name):
            raise Unfit(f"column {column.name!r} cannot be compared with {last.text!r}")
        if last.code == "Q" and column.complete and not any(same(last.text, key(one)) for one in column.values):
            raise Unfit(f"{last.text!r} is no value of column {column.name!r}")
        if sign == "!=" and column.empty:
            raise Unfit(f"column {column.name!r} has empty cells: whether they count is not said")
        self.where.append(Filter(column.name, sign, value))

    def _values(self, part: list[Span]) -> None:
        columns = [item.data for item in part if item.code == "C"]
        values = [item.data for item in part if item.code == "V"]
        owners = {column.name for column, _ in values}
        if len(owners) > 1:
            raise _Kept if columns else Unfit("")
        owner = values[0][0]
        if columns and columns[0].name != owner.name:
            if part[0].code == "C":
                raise _Kept
            raise _Kept
        if not columns:
            self.loose += [item.text for item in part if item.code == "V"]
            if part[0].code == "p" and part[0].text.casefold() == "from" and _DIRECTED & set(owner.words):
                raise Unfit(f"'from' does not fit column {owner.name!r}")
        texts = list(dict.fromkeys(value for _, value in values))
        if len(texts) == 1:
            self.where.append(Filter(owner.name, "=", texts[0]))
            return
        if "&" in "".join(item.code for item in part) and any(item.data in ("mean", "median") for item in self.items):
            raise Unfit("whether the values count together or one by one is not said")
        self.where.append(Filter(owner.name, "in", None, tuple(texts)))

    def _per(self, part: list[Span]) -> None:
        if self.group:
            raise Unfit("groups by more than one column are not computed")
        self.group = _of(part, "C").name

    def _date(self, part: list[Span]) -> None:
        day, column = next(item.data for item in part if item.code == "T"), self._date_column(part)
        sign = next((item.data for item in part if item.code == "<"), "")
        before = part[0].text.casefold() if part[0].code == "p" else ""
        if before and before not in ("in", "on", "during", "from", "for", "within", "at"):
            raise _Kept
        if column is None:
            self._in_year(day, sign)
            return
        day = _fixed(day, column)
        signs = {
            "": ((">=", day.low), ("<", day.high)), "=": ((">=", day.low), ("<", day.high)), "before": (("<", day.low),),
            "<": (("<", day.low),), "after": ((">=", day.high),), ">": ((">=", day.high),), "since": ((">=", day.low),),
            ">=": ((">=", day.low),), "until": (("<", day.high),), "<=": (("<", day.high),),
        }  # fmt: skip
        if sign not in signs:
            raise Unfit(f"dates cannot be compared by {sign!r}")
        if sign in ("", "=") and day.grain == "day" and len(str(column.low)) == 10:
            self.where.append(Filter(column.name, "=", day.low))
        else:
            self.where += [Filter(column.name, op, value) for op, value in signs[sign]]

    def _between_dates(self, part: list[Span]) -> None:
        column = self._date_column(part)
        first, last = (item.data for item in part if item.code == "T")
        if column is None:
            raise Unfit("there is no one column of dates")
        if first.grain != last.grain or not first.year or not last.year or first.low > last.low:
            raise Unfit("the two dates do not make a stretch of time")
        self.where += [Filter(column.name, ">=", first.low), Filter(column.name, "<", last.high)]

    def _date_column(self, part: list[Span]) -> Column | None:
        given = [item.data for item in part if item.code == "C"]
        if given and given[0].kind != "date":
            raise _Kept
        return given[0] if given else self.lexicon.date

    def _in_year(self, day: Day, sign: str) -> None:
        years = [column for column in self.table.columns if column.words == ("year",) and column.numeric]
        signs = {"": "=", "before": "<", "after": ">", "since": ">=", "until": "<="}
        if len(years) != 1 or day.grain != "year" or sign not in signs:
            raise Unfit("there is no one column of dates")
        self.where.append(Filter(years[0].name, signs[sign], day.year))

    def _skeleton(self) -> tuple[str, list[Span]]:
        items = [item for item in self.items if item.code not in "aiofpw"]
        kept: list[Span] = []
        for place, item in enumerate(items):
            filters = (
                item.code in "&,"
                and 0 < place < len(items) - 1
                and (items[place - 1].code == "X" and items[place + 1].code == "X")
            )
            if not filters and item.code not in "X,":
                kept.append(item)
        codes = "".join(item.code for item in kept)
        if re.search(r"[OSCNY].*R$", codes) and "C" in codes and not re.search(r"[NY]R$", codes):
            kept = [item for item in kept[:-1]]
        return "".join(item.code for item in kept), kept


class _Kept(Exception):
    """The items are left for another rule."""


def _of(part: list[Span], code: str) -> Any:
    return next(item.data for item in part if item.code == code)


def _number(part: list[Span]) -> Any:
    value = _of(part, "#")
    if value is None:
        raise Unfit("")
    return value


def _fixed(day: Day, column: Column) -> Day:
    """Return the day with its year: a month alone needs a column of one year."""
    if day.year:
        return day
    low, high = str(column.low)[:4], str(column.high)[:4]
    if low != high or not low.isdigit():
        raise Unfit(f"{MONTHS[day.month - 1].title()} of which year is not said")
    year, after = int(low), (int(low) + day.month // 12, day.month % 12 + 1)
    return Day(f"{year:04}-{day.month:02}-01", f"{after[0]:04}-{after[1]:02}-01", "month", year, day.month)


def _columns(items: list[Span]) -> list[Column]:
    return [item.data for item in items if item.code == "C"]


def _way(items: list[Span]) -> str:
    return (
        "descending" if any(str(item.data).startswith("max") for item in items if item.code in "SYFK") else "ascending"
    )


def _numeric(column: Column, measure: str) -> Column:
    if not column.numeric:
        raise Unfit(f"{measure} of column {column.name!r} is not computed: it is {column.kind}")
    return column


def _extreme(items: list[Span], column: Column) -> str:
    way = next(str(item.data) for item in items if item.code == "S")
    if way.endswith("date") and column.kind != "date":
        raise Unfit(f"column {column.name!r} is not a date")
    if not way.endswith("date") and not column.numeric:
        raise Unfit(f"column {column.name!r} is {column.kind}: it has no {way}")
    return way[:3]


def _count(reading: Reading, items: list[Span]) -> Query:
    kind = "groups" if reading.group else "value"
    return Query(reading.table, kind, "count", group=reading.group)


def _count_values(reading: Reading, items: list[Span]) -> Query:
    column = _columns(items)[0]
    if reading.group:
        raise Unfit("different values per group are not counted")
    if column.numeric and not any(item.code == "D" for item in items):
        if any(one.op == "=" for one in reading.where):
            return Query(reading.table, "one", "distinct", column.name)
        raise Unfit(f"whether the rows or the values of {column.name!r} are counted is not said")
    return Query(reading.table, "value", "distinct", column.name)


def _measure(reading: Reading, items: list[Span]) -> Query:
    column, operation = _columns(items)[0], next(item for item in items if item.code in "OS")
    if operation.code == "S":
        measure = _extreme(items, column)
    else:
        measure = str(operation.data)
        _numeric(column, measure)
    kind = "groups" if reading.group else "value"
    return Query(reading.table, kind, measure, column.name, group=reading.group)


def _label(reading: Reading, item: Span) -> str:
    """Return the column that names the rows."""
    if item.code == "C":
        return item.data.name
    if item.text.casefold() in ("day", "days") and reading.lexicon.date is not None:
        return reading.lexicon.date.name
    for wanted in ("name", "title", "label", "id"):
        having = [column for column in reading.table.columns if wanted in column.words]
        if len(having) == 1:
            return having[0].name
    single = [c for c in reading.table.columns if c.kind == "text" and c.distinct == reading.table.rows]
    if len(single) == 1:
        return single[0].name
    raise Unfit("which column names the rows is not clear")


def _argmax(reading: Reading, items: list[Span]) -> Query:
    shown, column = items[1], items[-1].data
    if reading.group:
        raise Unfit("")
    return Query(reading.table, "rows_of", _extreme(items, column), column.name, label=_label(reading, shown))


def _argmax_other(reading: Reading, items: list[Span]) -> Query:
    column = items[-1].data
    if reading.group:
        raise Unfit("")
    return Query(reading.table, "rows_of", _extreme(items, column), column.name, label=items[1].data.name)


def _when(reading: Reading, items: list[Span]) -> Query:
    if reading.lexicon.date is None:
        raise Unfit("there is no one column of dates")
    column = items[-1].data
    return Query(reading.table, "rows_of", _extreme(items, column), column.name, label=reading.lexicon.date.name)


def _most(reading: Reading, items: list[Span]) -> Query:
    """Which city has the most orders: rows are counted."""
    column = items[1].data
    return Query(reading.table, "best_group", "count", group=column.name, way=_way(items))


def _most_of(reading: Reading, items: list[Span]) -> Query:
    """Which city has the most rain: plain only if every city has one row."""
    label, column = items[1].data, items[-1].data
    if label.distinct != reading.table.rows:
        raise Unfit(f"say 'highest' or 'highest total' {column.name!r}: {label.name!r} has several rows")
    _numeric(column, "most")
    measure = "max" if _way(items) == "descending" else "min"
    return Query(reading.table, "rows_of", measure, column.name, label=label.name)


def _best_group(reading: Reading, items: list[Span]) -> Query:
    label, column = items[1].data, items[-1].data
    measure = str(next(item.data for item in items if item.code == "O"))
    way = next(str(item.data) for item in items if item.code == "S")
    if way.endswith("date"):
        raise Unfit("")
    _numeric(column, measure)
    return Query(reading.table, "best_group", measure, column.name, group=label.name, way=_way(items))


def _frequent(reading: Reading, items: list[Span]) -> Query:
    column = _columns(items)[-1]
    return Query(reading.table, "best_group", "count", group=column.name, way=_way(items))


def _top(reading: Reading, items: list[Span]) -> Query:
    ordering, shown = items[-1].data, next(item for item in items if item.code in "CR")
    many = next((item.data for item in items if item.code == "#"), None)
    if many is None or not isinstance(many, int) or many < 1 or not ordering.numeric or reading.group:
        raise Unfit("how many are wanted is not clear" if many is None else "")
    way = "ascending" if any(str(item.data).startswith("min") for item in items if item.code in "KS") else "descending"
    return Query(reading.table, "top", "list", ordering.name, way=way, k=many, label=_label(reading, shown))


def _values(reading: Reading, items: list[Span]) -> Query:
    column = _columns(items)[0]
    if reading.group:
        raise Unfit("")
    if not reading.where and not any(item.code in "DL" for item in items) and items[0].text.casefold() != "which":
        if not any(item.text.casefold() in ("exist", "exists", "there", "are", "values") for item in reading.items):
            raise Unfit(f"which row of {column.name!r} is not said")
    if items[0].text.casefold() == "how much" and not column.numeric:
        raise Unfit(f"column {column.name!r} is {column.kind}")
    asks = items[0].code == "W" and (column.numeric or column.kind == "date")
    return Query(reading.table, "one" if asks else "values", "distinct", column.name)


def _rows(reading: Reading, items: list[Span]) -> Query:
    if not reading.where or reading.group:
        raise Unfit("which rows is not said")
    return Query(reading.table, "values", "distinct", _label(reading, items[-1]))


_SKELETONS: list[tuple[str, Callable[[Reading, list[Span]], Query]]] = [
    (r"[WL]?NR", _count),
    (r"[WL]?ND?C", _count_values),
    (r"[WL]?[OS]C", _measure),
    (r"WCO", _measure),
    (r"W[CR]SC", _argmax),
    (r"WC[CR]SC", _argmax_other),
    (r"ZSC", _when),
    (r"WCYR|WCSNR", _most),
    (r"WCYC", _most_of),
    (r"WCSOC", _best_group),
    (r"[WL]?FC", _frequent),
    (r"[WL]?K#[CR]PC|[WL]?#K[CR]PC|[WL]?#[CR]SC|[WL]?#S[CR]PC", _top),
    (r"[WL]D?C", _values),
    (r"[WL]R", _rows),
]

__all__ = ["UNITS", "Filter", "Found", "Query", "Question", "read"]
