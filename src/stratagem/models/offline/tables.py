"""From a question to one query over one table, or to the reason why not.

Rule 1: every word of the question is part of a filter, a column, an operation or a published filler; else there is no
        reading.
Rule 2: two different readings are one too many: nothing is guessed.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from stratagem.models.offline.reduce import Doubtful, Filter, Reading, Unfit, doubt
from stratagem.models.offline.schema import Column, Table
from stratagem.models.offline.spans import READINGS, Question, Span, lexicon_of, readings, unknown


class Query(NamedTuple):
    """One question over one table.

    Attributes:
        table: the table.
        kind: how the result becomes an answer: `value`, `one` (of equal cells), `single` (of a single row), `groups`,
            `best` (groups), `rows_of` (an extreme), `values`, `top` (rows), `rows`.
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
    """What a question means over one table.

    Attributes:
        queries: its readings; more than one is ambiguous.
        reason: why there is none.
        gaps: stretches of the question that mean nothing here.
        loose: values that stand without their column.
    """

    queries: tuple[Query, ...]
    reason: str
    gaps: tuple[str, ...]
    loose: tuple[str, ...]


def read(question: Question, table: Table) -> Found:
    """Return what the question can mean over this table."""
    lexicon = lexicon_of(table)
    gaps = tuple(question.said(start, end) for start, end in unknown(question, lexicon))
    if gaps:
        return Found((), f"did not understand {', '.join(map(repr, gaps))}", gaps, tuple(question.quotes(lexicon)))
    found: dict[Query, Query] = {}
    reasons: list[str] = []
    loose = question.quotes(lexicon)
    for number, spans in enumerate(readings(question, lexicon)):
        if number == READINGS:
            return Found((), "its words can mean too many things", (), ())
        try:
            _refuse_possessive(question, spans)
            reading = Reading(spans, lexicon)
            query = _query(reading)
        except Doubtful as why:
            return Found((), str(why), (), tuple(dict.fromkeys((*loose, *_values_of(spans)))))
        except Unfit as why:
            reasons.append(str(why))
            continue
        loose += reading.loose
        same = query._replace(named=False, where=tuple(sorted(query.where, key=repr)))
        found[same] = query if query.named else found.get(same, query)
    reason = next((reason for reason in reasons if reason), "did not understand how its words belong together")
    return Found(tuple(found.values()), reason, (), tuple(dict.fromkeys(loose)))


def _values_of(spans: list[Span]) -> list[str]:
    return [span.text.strip('"') for span in spans if span.code == "V"]


def _refuse_possessive(question: Question, spans: list[Span]) -> None:
    """Refuse `Cy's boss` as the rows whose boss is Cy."""
    for owner, owned in pairwise(spans):
        if owner.code + owned.code != "VC" or owner.data[0].name != owned.data.name:
            continue
        after = question.tokens[question.words[owner.end - 1].token].end
        if question.text[after : after + 2] in ("'s", "’s", "' "):
            raise Doubtful(f"whether {owner.text!r} is the {owned.data.name} or has one is not said")


def _query(reading: Reading) -> Query:
    items = reading.skeleton()
    for kept in (items, _without_rows(items)):
        codes = "".join(item.code for item in kept)
        for pattern, build in _SKELETONS:
            if re.fullmatch(pattern, codes):
                query = build(reading, kept)
                group = reading.group.name if reading.group is not None else ""
                if group and query.kind != "groups":
                    raise Unfit("this is not computed per group")
                _refuse_strangers(reading, query)
                return query._replace(where=tuple(reading.where), named=reading.named, group=query.group or group)
    raise Unfit("")


def _refuse_strangers(reading: Reading, query: Query) -> None:
    """Refuse values that do not say which row is meant: `the population of Rome` is not that of Italy."""
    if query.measure == "count" or (query.measure == "distinct" and query.kind == "value"):
        return
    table = reading.table
    looked_up = query.kind in ("one", "values", "single")
    for column, asked, value in reading.meant:
        strange = (looked_up and asked) or query.kind == "single" or table.unique(column) or table.related(column)
        placed = not asked and table.label is not None and query.column == table.label.name  # `which team is in Oslo`
        if strange and not placed and not table.names_rows(column):
            why = f"column {column.name!r} does not name the rows: say 'where {column.name} is ...'"
            raise doubt(table, value, why)


def _refuse_counted_ids(table: Table, items: list[Span], column: Column) -> None:
    """Refuse `orders` that are counted where each row has one `order` of its own: it is a number, no amount."""
    single = column.kind == "integer" and table.unique(column) and not column.name.casefold().endswith("s")
    spoken = any(item.code == "C" and item.data is column and item.text.casefold().endswith("s") for item in items)
    if single and spoken and any(item.code in "NY" for item in items):
        raise Doubtful(f"whether column {column.name!r} tells how many there are is not said")


def _refuse_numbering(table: Table, items: list[Span], column: Column, measure: str) -> None:
    """Refuse to add up numbers that only tell the rows apart, or to take them for how many there are."""
    counted = any(item.code == "N" for item in items)
    like = table.called_like_rows(column)
    numbering = table.numbering(column)
    if not numbering:
        _refuse_counted_ids(table, items, column)
    if (like and counted) or (numbering and (like or counted or measure not in ("min", "max"))):
        raise (Unfit if numbering and counted and measure != "mean" else Doubtful)(
            f"column {column.name!r} numbers the rows: whether they are to be counted is not said"
        )


def _without_rows(items: list[Span]) -> list[Span]:
    """Return the items without rows that only say what is computed over: `the mean rent of the houses`."""
    codes = "".join(item.code for item in items)
    over = {found.start("row") for found in re.finditer(r"[OS]N?C(?P<row>R)", codes)}
    over |= {found.start() for found in re.finditer(r"R(?=W)", codes)}
    return [item for place, item in enumerate(items) if place not in over]


def _columns(items: list[Span]) -> list[Column]:
    return [item.data for item in items if item.code == "C"]


def _way(items: list[Span]) -> str:
    """Return the order in which what is asked for comes first."""
    down = any(str(item.data).startswith("max") for item in items if item.code in "SYFK")
    return "descending" if down else "ascending"


def _operation(items: list[Span]) -> str:
    return next(str(item.data) for item in items if item.code == "O")


def _numeric(column: Column, measure: str) -> Column:
    if not column.numeric:
        raise Unfit(f"the {measure} of column {column.name!r} is not computed: it is {column.kind}")
    return column


def _extreme(items: list[Span], column: Column) -> str:
    """Return `min` or `max`, if the column has such a thing."""
    item = next(item for item in items if item.code == "S")
    way, dated = str(item.data)[:3], str(item.data).endswith("date")
    if dated != (column.kind == "date") and item.text.casefold() not in ("min", "max", "minimum", "maximum"):
        raise Unfit(f"column {column.name!r} is {column.kind}: it has no {item.text!r}")
    if not column.numeric and column.kind != "date":
        raise Unfit(f"column {column.name!r} is {column.kind}: it has no {way}")
    return way


def _shown(reading: Reading, item: Span) -> str:
    """Return the column that names the rows: the one that is asked for, or the table's column of names."""
    columns = reading.table.columns
    if item.code == "C":
        return item.data.name
    if item.data == "day" and reading.lexicon.date is not None:
        return reading.lexicon.date.name
    for wanted in ("name",) if item.code == "H" else ("name", "title", "label"):
        having = [column for column in columns if wanted in column.words]
        if len(having) == 1 and set(having[0].words) <= {wanted, *reading.table.words}:
            return having[0].name
    single = [column for column in columns if column.kind == "text" and column.distinct == reading.table.rows]
    if len(single) == 1 and item.code != "H":
        return single[0].name
    raise Unfit("which column names the rows is not clear")


def _count(reading: Reading, items: list[Span]) -> Query:
    if any(item.code == "O" and item.data != "sum" for item in items):
        raise Unfit("")
    return Query(reading.table, "groups" if reading.group else "value", "count")


def _count_values(reading: Reading, items: list[Span]) -> Query:
    column = _columns(items)[0]
    table = reading.table
    if column.distinct == table.rows and table.called_like_rows(column):
        if column.numeric and not table.numbering(column):
            raise Doubtful(f"whether the rows are counted or {column.name!r} is added up is not said")
        raise Unfit("")  # each row has its own: the rows are counted
    if column.numeric:
        if any(item.code == "D" for item in items) and not reading.where:
            return Query(reading.table, "value", "distinct", column.name)
        if table.called_like_rows(column):
            return Query(table, "value", "distinct", column.name)
        equal = [table.column(one.column) for one in reading.where if one.op == "="]
        rowed = any(one is not None and table.names_rows(one) for one in equal) and not table.numbering(column)
        if rowed:
            _refuse_counted_ids(table, items, column)
        if rowed and not any(item.code == "D" for item in items):
            return Query(reading.table, "single", "list", label=column.name)
        raise Unfit(f"whether the rows or the values of {column.name!r} are counted is not said")
    return Query(reading.table, "value", "distinct", column.name)


def _measure(reading: Reading, items: list[Span]) -> Query:
    column = _columns(items)[0]
    if items[-1].code == "O" and (items[0].data != "much" or items[-1].data != "sum"):
        raise Unfit("")
    if any(item.code == "S" for item in items):
        measure = _extreme(items, column)
    else:
        measure = _operation(items)
        _numeric(column, measure)
    _refuse_numbering(reading.table, items, column, measure)
    return Query(reading.table, "groups" if reading.group else "value", measure, column.name)


def _extreme_row(reading: Reading, items: list[Span]) -> Query:
    """Which city has the highest price; the price of the city with the highest rent."""
    column = items[-1].data
    shown, measure = items[0] if items[0].code == "H" else items[1], _extreme(items, column)
    _refuse_numbering(reading.table, items, column, measure)
    return Query(reading.table, "rows_of", measure, column.name, label=_shown(reading, shown))


def _when(reading: Reading, items: list[Span]) -> Query:
    date = reading.lexicon.date
    if date is None:
        raise Unfit("there is no one column of dates")
    if items[-1].code == "R":
        return Query(reading.table, "value", _extreme(items, date), date.name)
    return Query(reading.table, "rows_of", _extreme(items, items[-1].data), items[-1].data.name, label=date.name)


def _most_rows(reading: Reading, items: list[Span]) -> Query:
    """Which city has the most orders: rows are counted."""
    label = _columns(items)[0]
    return Query(reading.table, "best", "count", group=label.name, way=_way(items), k=_many(items, 1))


def _most_of(reading: Reading, items: list[Span]) -> Query:
    """Which city has the most rain: clear only if every city has one row."""
    label, column = items[1].data, _numeric(items[-1].data, "most")
    if label.distinct != reading.table.rows:
        raise Unfit(f"say 'highest' or 'highest total' {column.name!r}: {label.name!r} has several rows")
    measure = "max" if _way(items) == "descending" else "min"
    _refuse_counted_ids(reading.table, items, column)
    if reading.table.numbering(column) or reading.table.called_like_rows(column):
        raise Unfit(f"column {column.name!r} numbers the rows: whether they are to be counted is not said")
    return Query(reading.table, "rows_of", measure, column.name, label=label.name)


def _best(reading: Reading, items: list[Span]) -> Query:
    """Which city has the highest mean price; the top 3 cities by total price."""
    label, column = _columns(items)[0], items[-1].data
    if any(str(item.data).endswith("date") for item in items):
        raise Unfit("")
    measure = _operation(items)
    _numeric(column, measure)
    _refuse_numbering(reading.table, items, column, measure)
    return Query(reading.table, "best", measure, column.name, group=label.name, way=_way(items), k=_many(items, 1))


def _frequent(reading: Reading, items: list[Span]) -> Query:
    return Query(reading.table, "best", "count", group=_columns(items)[0].name, way=_way(items), k=1)


def _many(items: list[Span], usual: int = 0) -> int:
    many = next((item.data for item in items if item.code == "#"), usual)
    if not isinstance(many, int) or not 1 <= many <= 100:
        raise Unfit("how many are wanted is not clear")
    return many


def _top(reading: Reading, items: list[Span]) -> Query:
    ordering, shown = items[-1].data, next(item for item in items if item.code in "CR")
    if any(item.code == "S" for item in items):
        _extreme(items, ordering)
    elif not ordering.numeric:
        raise Unfit(f"column {ordering.name!r} is {ordering.kind}: it has no order")
    _refuse_numbering(reading.table, items, ordering, "max")
    label = _shown(reading, shown)
    if label == ordering.name:
        raise Unfit("")
    return Query(reading.table, "top", "list", ordering.name, way=_way(items), k=_many(items), label=label)


def _values(reading: Reading, items: list[Span]) -> Query:
    column, lead = _columns(items)[0], items[0]
    listing = any(item.code in "DL" for item in items) or lead.text.casefold() == "which"
    there = any(item.code in "fe" for item in reading.items)
    listing = listing or any(item.code == "i" and item.text.casefold() in ("are", "were") for item in reading.items)
    if not reading.where and not listing and not there:
        raise Unfit(f"of which row the {column.name!r} is asked is not said")
    if any(one.column == column.name and one.op in ("=", "in") for one in reading.where):
        raise Unfit(f"which {column.name!r} is asked is already said")
    if lead.data == "much" and not column.numeric:
        raise Unfit(f"column {column.name!r} is {column.kind}")
    if lead.code in "HZ" and (not reading.where or column.kind != {"H": "text", "Z": "date"}[lead.code]):
        raise Unfit(f"{lead.text!r} does not fit column {column.name!r}")
    single = lead.code in "WZ" and not listing and (column.numeric or column.kind == "date")
    return Query(reading.table, "one" if single else "values", "distinct", column.name)


def _rows(reading: Reading, items: list[Span]) -> Query:
    if not reading.where:
        raise Unfit("which rows is not said")
    shown = _shown(reading, items[-1])
    if any(one.column == shown and one.op in ("=", "in") for one in reading.where):
        raise Unfit(f"which {shown!r} is asked is already said")
    return Query(reading.table, "values", "distinct", shown)


_SKELETONS: list[tuple[str, Callable[[Reading, list[Span]], Query]]] = [
    (r"[WL]?O?NR|RN|[WL]?NRO", _count),
    (r"[WL]?ND?C", _count_values),
    (r"[WL]?[OS]N?C|WCO", _measure),
    (r"W[CR]SN?C|HSN?C|WC[CR]SN?C", _extreme_row),
    (r"ZSN?[CR]", _when),
    (r"WC(?:Y|SN|YN)R|[WL]?#C(?:Y|SN)R", _most_rows),
    (r"WCYC", _most_of),
    (r"WCSON?C|[WL]?#CSON?C|[WL]?K#CPON?C", _best),
    (r"[WL]?FC", _frequent),
    (r"[WL]?K#[CR]PC|[WL]?#K[CR]PC|[WL]?#[CR]SC|[WL]?#S[CR]PC", _top),
    (r"[WL]D?C|HC|ZC", _values),
    (r"[WLH]R|H", _rows),
]
