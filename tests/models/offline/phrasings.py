"""The published phrasings, filled with what a table holds, and questions to which no table has an answer."""

import random
from decimal import Decimal
from typing import Any

from tests.models.offline.pool import MONTHS
from tests.models.offline.tables_of import Made, Wanted, computed, fits, iso, plural, word

Condition = list[tuple[str, str, Any]]
WORDS = {"mean": ("mean", "average"), "sum": ("total", "sum of the"), "median": ("median",)}
HIGH, LOW = ("highest", "largest", "greatest"), ("lowest", "smallest")


def of(made: Made, kind: str) -> list[str]:
    return [name for name in made.columns if made.kinds[name] == kind]


def said(dice: random.Random, made: Made, column: str) -> str:
    """Return the column as a person says it: its words, or the header itself."""
    plain = made.spoken[column]
    return dice.choice([plain, plain, column]) if column.replace("_", "").isalnum() else plain


def condition(dice: random.Random, made: Made) -> tuple[str, Condition]:
    """Return a condition in words, and what it means."""
    kinds = [kind for kind in ("category", "measure", "count", "date") if of(made, kind)]
    kind = dice.choice(kinds)
    column = dice.choice(of(made, kind))
    name = said(dice, made, column)
    if kind == "category":
        return category(dice, made, column, name)
    if kind == "date":
        return dated(dice, made, column)
    numbers = sorted({Decimal(row[column]) for row in made.rows if row[column]})
    at = dice.choice(numbers)
    if kind == "count" and dice.random() < 0.6:
        word_, op = dice.choice([("more than", ">"), ("fewer than", "<"), ("at least", ">="), ("at most", "<=")])
        return f"with {word_} {at} {name}", [(column, op, at)]
    low, high = sorted((at, dice.choice(numbers)))
    options: list[tuple[str, Condition]] = [
        (f"with {article(name)} {name} over {at}", [(column, ">", at)]),
        (f"with {name} above {at}", [(column, ">", at)]),
        (f"with {name} below {at}", [(column, "<", at)]),
        (f"whose {name} is under {at}", [(column, "<", at)]),
        (f"whose {name} is at least {at}", [(column, ">=", at)]),
        (f"with {article(name)} {name} of at most {at}", [(column, "<=", at)]),
        (f"where {name} >= {at}", [(column, ">=", at)]),
        (f"where {name} is less than {at}", [(column, "<", at)]),
        (f"with {name} between {low} and {high}", [(column, "between", (low, high))]),
        (f"with {article(name)} {name} of exactly {at}", [(column, "=", at)]),
    ]
    return dice.choice(options)


def article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def category(dice: random.Random, made: Made, column: str, name: str) -> tuple[str, Condition]:
    values = sorted({row[column] for row in made.rows})
    one, two = dice.choice(values), dice.choice(values)
    options: list[tuple[str, Condition]] = [
        (f"with {name} {one}", [(column, "=", one)]),
        (f"where {name} is {one}", [(column, "=", one)]),
        (f"whose {name} is {one}", [(column, "=", one)]),
        (f"with {name} = {one}", [(column, "=", one)]),
        (f"in {one}", [(column, "=", one)]),
        (f"from {one.lower()}", [(column, "=", one)]),
        (f'with {name} "{one}"', [(column, "=", one)]),
        (f"in {one} or {two}", [(column, "in", [one, two])]),
        (f"whose {name} is {one} or {two}", [(column, "in", [one, two])]),
        (f"where {name} is not {one}", [(column, "!=", one)]),
    ]
    return dice.choice(options)


def dated(dice: random.Random, made: Made, column: str) -> tuple[str, Condition]:
    day = iso(dice.choice(made.rows)[column])
    year, month = int(day[:4]), int(day[5:7])
    after = f"{year + month // 12}-{month % 12 + 1:02}-01"
    start, end = f"{year}-01-01", f"{year + 1}-01-01"
    spelled = f"{MONTHS[month - 1]} {year}"
    options: list[tuple[str, Condition]] = [
        (f"in {year}", [(column, "date>=", start), (column, "date<", end)]),
        (f"in {spelled}", [(column, "date>=", f"{day[:7]}-01"), (column, "date<", after)]),
        (f"before {year}", [(column, "date<", start)]),
        (f"since {spelled}", [(column, "date>=", f"{day[:7]}-01")]),
        (f"after {day}", [(column, "date>=", following(day))]),
        (f"before {int(day[8:])} {spelled}", [(column, "date<", day)]),
        (f"between {year} and {year + 1}", [(column, "date>=", start), (column, "date<", f"{year + 2}-01-01")]),
        (f"on {day}", [(column, "date>=", day), (column, "date<", following(day))]),
    ]
    words, meaning = dice.choice(options)
    if column not in ("date", "day"):  # a property of the row: it is named
        words = f"with {made.spoken[column]} {words}"
    return words, meaning


def following(day: str) -> str:
    from datetime import date, timedelta

    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def answered(made: Made, text: str, kind: str, spec: dict[str, Any], where: Condition) -> Wanted | None:
    """Return the question with its right outcome; None if there is none, or if it asks for what it states."""
    if {spec.get("group"), spec.get("column"), spec.get("label")} & {one[0] for one in where if one[1] in ("=", "in")}:
        return None
    rows = [row for row in made.rows if fits(row, where)]
    spec = {**spec, "where": where}
    if not rows and (spec["measure"] != "count" or spec.get("group")):
        return None
    value = computed(rows, spec)
    if value is None or value == set() or value == {}:
        return None
    if spec.get("k"):
        known = sorted((Decimal(r[spec["column"]]) for r in rows if r[spec["column"]]), reverse=spec["way"] == "max")
        k = spec["k"]
        if len(known) < k or (len(known) > k and known[k] == known[k - 1]) or len(value) < k:
            return None
    if isinstance(value, set | dict) and len(value) > 60:
        return None
    return Wanted(text, kind, value, spec, made.path)


def question(dice: random.Random, made: Made, *, name_it: bool) -> Wanted | None:
    """Return a question that the table answers."""
    shapes = [
        counted,
        counted,
        measured,
        measured,
        extreme,
        grouped,
        extreme_row,
        best_group,
        most,
        top,
        listed,
        different,
        looked_up,
    ]
    where: tuple[str, Condition] = condition(dice, made) if dice.random() < 0.65 else ("", [])
    if dice.random() < 0.2 and where[1]:
        second = condition(dice, made)
        if not {one[0] for one in second[1]} & {one[0] for one in where[1]}:
            where = (f"{where[0]} and {second[0]}", [*where[1], *second[1]])
    tail = f" {where[0]}" if where[0] else ""
    rows = dice.choice([plural(made.noun), plural(made.noun), "rows", "records", "entries"])
    if name_it and rows in ("rows", "records", "entries"):
        rows = f"{rows} of {made.path.rpartition('/')[2]}" if not made.table else plural(made.noun)
    return dice.choice(shapes)(dice, made, rows, tail, where[1])


def counted(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    there = dice.choice([" are there", " exist", ""]) if tail else dice.choice([" are there", " exist"])
    text = dice.choice(
        [f"How many {rows}{there}{tail}?", f"How many {rows}{there}{tail}?", f"What is the number of {rows}{tail}?",
         f"Count the {rows}{tail}.", f"What is the total number of {rows}{tail}?"]
    )  # fmt: skip
    return answered(made, text, "number", {"measure": "count"}, where)


def numeric(dice: random.Random, made: Made) -> str | None:
    having = of(made, "measure") + of(made, "count")
    return dice.choice(having) if having else None


def measured(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    column = numeric(dice, made)
    if column is None:
        return None
    measure = dice.choice(["mean", "sum", "median", "mean"])
    name = said(dice, made, column)
    spoken = dice.choice(WORDS[measure])
    if made.kinds[column] == "count" and measure != "sum" and dice.random() < 0.5:
        spoken += " number of"
    among = f" of the {rows}" if dice.random() < 0.5 or (tail and dice.random() < 0.5) else ""
    text = dice.choice(
        [f"What is the {spoken} {name}{among}{tail}?", f"What was the {spoken} {name}{among}{tail}?",
         f"Can you tell me the {spoken} {name}{among}{tail}?", f"What's the {spoken} {name}{among}{tail}"]
    )  # fmt: skip
    return answered(made, text, "number", {"measure": measure, "column": column}, where)


def extreme(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    column = numeric(dice, made)
    if column is None:
        return None
    measure = dice.choice(["max", "min"])
    spoken = dice.choice((*HIGH, "maximum") if measure == "max" else (*LOW, "minimum"))
    name = said(dice, made, column)
    among = f" of the {rows}" if dice.random() < 0.3 else ""
    text = f"What is the {spoken} {name}{among}{tail}?"
    return answered(made, text, "number", {"measure": measure, "column": column}, where)


def grouped(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    cats = of(made, "category")
    column = numeric(dice, made)
    if not cats:
        return None
    group = dice.choice(cats)
    by = said(dice, made, group)
    if column is None or dice.random() < 0.4:
        text = dice.choice(
            [f"How many {rows} are there per {by}{tail}?", f"For each {by}, how many {rows} are there{tail}?"]
        )
        return answered(made, text, "pairs", {"measure": "count", "group": group}, where)
    measure = dice.choice(["mean", "sum"])
    spoken = dice.choice(WORDS[measure])
    name = said(dice, made, column)
    text = dice.choice(
        [f"What is the {spoken} {name} per {by}{tail}?", f"What is the {spoken} {name} for each {by}{tail}?",
         f"Show the {spoken} {name} by {by}{tail}."]
    )  # fmt: skip
    return answered(made, text, "pairs", {"measure": measure, "column": column, "group": group}, where)


def label_of(made: Made) -> str | None:
    labels = of(made, "label")
    return labels[0] if labels else None


def extreme_row(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    column, label = numeric(dice, made), label_of(made)
    if column is None or label is None:
        return None
    way = dice.choice(["max", "min"])
    spoken, name = dice.choice(HIGH if way == "max" else LOW), said(dice, made, column)
    spec = {"measure": way, "column": column, "label": label}
    cats = of(made, "category")
    if cats and dice.random() < 0.3:
        other = dice.choice(cats)
        text = f"What is the {said(dice, made, other)} of the {made.noun} with the {spoken} {name}{tail}?"
        return answered(made, text, "names", {**spec, "label": other}, where)
    which = dice.choice([made.noun, said(dice, made, label)])
    text = dice.choice(
        [f"Which {which} has the {spoken} {name}{tail}?", f"What is the {which} with the {spoken} {name}{tail}?"]
    )
    return answered(made, text, "names", spec, where)


def best_group(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    cats, column = of(made, "category"), numeric(dice, made)
    if not cats or column is None:
        return None
    group, measure, way = dice.choice(cats), dice.choice(["mean", "sum"]), dice.choice(["max", "min"])
    spoken, name = dice.choice(HIGH if way == "max" else LOW), said(dice, made, column)
    inner = "total" if measure == "sum" else dice.choice(WORDS["mean"])
    text = f"Which {said(dice, made, group)} has the {spoken} {inner} {name}{tail}?"
    spec = {"measure": measure, "column": column, "group": group, "way": way}
    return answered(made, text, "names", spec, where)


def most(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    cats = of(made, "category")
    if not cats:
        return None
    group, way = dice.choice(cats), dice.choice(["max", "max", "min"])
    by = said(dice, made, group)
    texts = [f"Which {by} has the {'most' if way == 'max' else 'fewest'} {rows}{tail}?"]
    if way == "max":
        texts.append(f"What is the most common {by}{tail}?")
    return answered(made, dice.choice(texts), "names", {"measure": "count", "group": group, "way": way}, where)


def top(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    column, label = numeric(dice, made), label_of(made)
    if column is None or label is None:
        return None
    k, way = dice.randint(2, 4), dice.choice(["max", "min"])
    spoken, name = dice.choice(HIGH if way == "max" else LOW), said(dice, made, column)
    many = dice.choice([str(k), {2: "two", 3: "three", 4: "four"}[k]])
    texts = [f"Which {many} {plural(made.noun)} have the {spoken} {name}{tail}?"]
    texts.append(f"List the {many} {plural(made.noun)} with the {spoken} {name}{tail}.")
    if way == "max" and not tail:
        texts.append(f"What are the top {many} {plural(made.noun)} by {name}?")
    spec = {"measure": "top", "column": column, "label": label, "k": k, "way": way}
    return answered(made, dice.choice(texts), "names", spec, where)


def listed(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    label, cats = label_of(made), of(made, "category")
    if tail and label and dice.random() < 0.6:
        which = plural(made.noun)
        text = dice.choice([f"Which {which} are there{tail}?", f"List the {which}{tail}.", f"Show all {which}{tail}."])
        return answered(made, text, "names", {"measure": "names", "column": label}, where)
    if not cats:
        return None
    column = dice.choice(cats)
    by = said(dice, made, column)
    many = " ".join([*by.split(" ")[:-1], plural(by.split(" ")[-1])]) if by == made.spoken[column] else by
    text = dice.choice(
        [f"Which {many} are there{tail}?", f"List all {many}{tail}.", f"List the different {many}{tail}."]
    )
    return answered(made, text, "names", {"measure": "names", "column": column}, where)


def different(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    cats = of(made, "category")
    if not cats:
        return None
    column = dice.choice(cats)
    by = made.spoken[column]
    many = " ".join([*by.split(" ")[:-1], plural(by.split(" ")[-1])])
    text = dice.choice([f"How many different {many} are there{tail}?", f"How many distinct {many} are there{tail}?"])
    return answered(made, text, "number", {"measure": "distinct", "column": column}, where)


def looked_up(dice: random.Random, made: Made, rows: str, tail: str, where: Condition) -> Wanted | None:
    label = label_of(made)
    wanted = [name for name in made.columns if made.kinds[name] in ("measure", "count", "category")]
    row = dice.choice(made.rows)
    if label is None or not wanted:
        return None
    column = dice.choice(wanted)
    if not row[column]:
        return None
    name = said(dice, made, column)
    shown = dice.choice([row[label], f'"{row[label]}"'])
    if made.kinds[column] == "count" and name == made.spoken[column]:
        text = f"How many {name} does {shown} have?"
    else:
        text = f"What is the {name} of {shown}?"
    kind = "names" if made.kinds[column] == "category" else "number"
    spec = {"measure": "names" if kind == "names" else "max", "column": column}
    return answered(made, text, kind, spec, [(label, "=", row[label])])


def refused(dice: random.Random, made: Made, words: set[str]) -> Wanted:
    """Return a question that only looks as if the table answered it."""
    absent = word(dice, 4)
    many, column = plural(made.noun), numeric(dice, made)
    name = made.spoken[column] if column else absent
    cats = of(made, "category")
    cat = made.spoken[cats[0]] if cats else absent
    value = made.rows[0][cats[0]] if cats else absent
    texts = [
        f"What is the average {absent}?",
        f"What is the total {absent} {name}?",
        f"How many {absent} {many} are there?",
        f"How many {many} are there in {absent.title()}?",
        f"How many {many} with {cat} {absent.title()} are there?",
        f"What percentage of the {many} are in {value}?",
        f"What is the difference between the highest and the lowest {name}?",
        f"How many {many} are neither in {value} nor in {absent.title()}?",
        f"Which {many} have more {name} than {absent.title()}?",
        f"Why is the {name} of the {many} so high?",
        f"Is the average {name} above 10?",
        f"What is the correlation of {name} and {cat}?",
        f"Which {cat} has an average {name} over 5?",
        f"What will the average {name} be next year?",
        f"Which {made.noun} is the best?",
        f"What is the mean {cat}?",
        f"How many {many} {absent} in {value}?",
        f"What is the {name} of {absent.title()}?",
        f"What is the average {name} of the {many} next to {value}?",
        f"How many {many} are there without {value}?",
        f"Summarise the {many} in your own words.",
        f"What is the second highest {name}?",
        f"What is the average {name} of its {many}?",
        f"How many more {many} are there in {value} than in {absent.title()}?",
        f"What is the average {name} squared?",
        f"How many {many} had their {name} doubled?",
    ]
    if any(made.kinds[name] == "date" and name not in ("date", "day") for name in made.columns):
        texts += [f"How many {many} are there in 2010?", f"What is the total number of {many} before 2012?"]
    if column:
        texts += [f"What is the average {name} limit?", f"What is the mean shipping {name}?", f"What is the {name}?"]
    return Wanted(dice.choice(texts), "refuse", where=made.path)
