"""Random tables and questions about them, each with its right outcome computed here, by other code than the model's.

The phrasings are those that `docs/offline.md` publishes. Names and values are drawn from a large pool and from random
syllables, so that nothing can be known in advance.
"""

import csv
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.models.offline.pool import CATEGORIES, COUNTS, MEASURES, SYLLABLES, UNITS


@dataclass
class Wanted:
    """A question and its right outcome.

    Attributes:
        text: the question.
        kind: `number names pairs quote refuse`.
        value: the right outcome: a number, a set of names, pairs of name and number, a quotation.
        spec: how to compute it from rows: measure, column, where, group, label, k, way.
        where: the file that is to be cited.
    """

    text: str
    kind: str
    value: Any = None
    spec: dict[str, Any] = field(default_factory=dict)
    where: str = ""


@dataclass
class Made:
    """A table: where it is, what a row is called, its columns by kind, and its rows as text."""

    path: str
    table: str
    noun: str
    columns: list[str]
    kinds: dict[str, str]
    spoken: dict[str, str]
    rows: list[dict[str, str]]
    alone: bool = True


def word(dice: random.Random, syllables: int = 3) -> str:
    return "".join(dice.choice(SYLLABLES) for _ in range(syllables))


def plural(noun: str) -> str:
    if noun == "species":
        return noun
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"


def table(dice: random.Random, folder: Path, nouns: list[str], words: set[str]) -> Made:
    """Write a random table and return what is in it."""
    noun = nouns.pop()
    measures = fresh(dice, MEASURES, words, dice.randint(1, 3))
    cats = fresh(dice, CATEGORIES, words, dice.randint(1, 2))
    counts = fresh(dice, COUNTS, words, dice.randint(0, 1))
    style = dice.choice([str.lower, str.title, str.upper]) if dice.random() < 0.5 else str.lower
    columns, kinds, spoken = [], {}, {}

    def add(kind: str, said: str, name: str) -> None:
        columns.append(name)
        kinds[name], spoken[name] = kind, said

    label = dice.choice(["name", "title", f"{noun}_name"])
    if dice.random() < 0.85:
        add("label", label.replace("_", " "), label)
    for said in measures:
        unit = dice.choice(UNITS)
        add(
            "measure",
            said,
            style(said) if not unit else f"{said}_{unit}" if dice.random() < 0.6 else f"{said} ({unit})",
        )
    for said in cats:
        if dice.random() < 0.3:
            extra = word(dice, 2)
            joined = f"{extra}_{said}" if dice.random() < 0.5 else f"{extra}{said.title()}"
            add("category", f"{extra} {said}", joined)
        else:
            add("category", said, style(said))
    for said in counts:
        add("count", said, style(said))
    if dice.random() < 0.6:
        add("date", "date", dice.choice(["date", f"{word(dice, 2)}_date", "day"]))
        spoken[columns[-1]] = columns[-1].replace("_", " ")
    dice.shuffle(columns)
    rows = fill(dice, columns, kinds)
    path, name, alone = written(dice, folder, noun, columns, rows)
    return Made(path, name, noun, columns, kinds, spoken, rows, alone)


def fresh(dice: random.Random, pool: Sequence[str], words: set[str], n: int) -> list[str]:
    """Draw words that no other table of the folder uses; sometimes one that nobody has ever seen."""
    drawn = []
    for _ in range(n):
        one = word(dice) if dice.random() < 0.15 else dice.choice(pool)
        while one in words:
            one = word(dice)
        words.add(one)
        drawn.append(one)
    return drawn


def fill(dice: random.Random, columns: list[str], kinds: dict[str, str]) -> list[dict[str, str]]:
    n = dice.choice([7, 12, 40, 90])
    day = date(dice.randint(2005, 2020), dice.randint(1, 12), 1)
    form = dice.choice(["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y"])
    span = dice.choice([1, 9, 30])
    values: dict[str, list[str]] = {}
    empty = {name: kinds[name] in ("measure",) and dice.random() < 0.25 for name in columns}
    for name in columns:
        if kinds[name] == "category":
            some = [word(dice, dice.randint(2, 3)) for _ in range(dice.randint(2, 6))]
            values[name] = [f"{one} {word(dice, 2)}" if dice.random() < 0.25 else one for one in some]
            values[name] = [one.title() if dice.random() < 0.8 else one for one in values[name]]
        if kinds[name] == "label":
            taken: set[str] = set()
            while len(taken) < n:
                taken.add(f"{word(dice, 2)} {word(dice, 2)}".title() if dice.random() < 0.4 else word(dice, 4).title())
            values[name] = sorted(taken)
            dice.shuffle(values[name])
    decimals = {name: dice.choice([0, 1, 2]) for name in columns}
    rows = []
    for at in range(n):
        row = {}
        for name in columns:
            kind = kinds[name]
            if kind == "label":
                row[name] = values[name][at]
            elif kind == "category":
                row[name] = dice.choice(values[name])
            elif kind == "count":
                row[name] = str(dice.randint(1, 9))
            elif kind == "date":
                row[name] = (day + timedelta(days=at * span)).strftime(form)
            elif empty[name] and dice.random() < 0.1:
                row[name] = ""
            else:
                row[name] = f"{dice.uniform(1, 900):.{decimals[name]}f}"
        rows.append(row)
    return rows


def written(
    dice: random.Random, folder: Path, noun: str, columns: list[str], rows: list[dict[str, str]]
) -> tuple[str, str, bool]:
    stem = dice.choice([plural(noun), noun, f"{word(dice, 2)}_{plural(noun)}", f"{plural(noun)}-{dice.randint(1, 99)}"])
    where = dice.choice(["", "data/", "tables/"])
    (folder / where).mkdir(exist_ok=True)
    if dice.random() < 0.3:
        path = f"{where}{word(dice, 3)}.{dice.choice(['db', 'sqlite'])}"
        base = sqlite3.connect(folder / path)
        quoted = ", ".join(f'"{name}"' for name in columns)
        base.execute(f'CREATE TABLE "{plural(noun)}" ({quoted})')
        base.executemany(
            f'INSERT INTO "{plural(noun)}" VALUES ({", ".join("?" for _ in columns)})',
            [[typed(row[name]) for name in columns] for row in rows],
        )
        alone = dice.random() < 0.5
        if not alone:
            base.execute(f'CREATE TABLE "{word(dice, 4)}" (a, b)')
        base.commit()
        base.close()
        return path, plural(noun), alone
    path = f"{where}{stem}.csv"
    mark = dice.choice([",", ",", ";", "\t"])
    with (folder / path).open("w", newline="", encoding=dice.choice(["utf-8", "utf-8-sig"])) as file:
        writer = csv.writer(file, delimiter=mark)
        writer.writerow(columns)
        writer.writerows([[row[name] for name in columns] for row in rows])
    return path, "", True


def typed(cell: str) -> Any:
    if not cell:
        return None
    try:
        return float(cell) if "." in cell and cell.count(".") == 1 else int(cell)
    except ValueError:
        return cell


# What is right, computed by this file alone.


def iso(cell: str) -> str:
    """Return a date cell in ISO form, whatever form the generator wrote."""
    plain = cell.replace("/", "-")
    if "." in plain:
        day, month, year = plain.split(".")
        return f"{year}-{month}-{day}"
    return plain


def fits(row: dict[str, Any], where: list[tuple[str, str, Any]]) -> bool:
    for column, op, wanted in where:
        cell = "" if row[column] is None else str(row[column])
        if op.startswith("date"):
            if not {"date>=": iso(cell) >= wanted, "date<": iso(cell) < wanted}[op]:
                return False
        elif op == "contains":
            if wanted.casefold() not in cell.casefold():
                return False
        elif op in ("=", "in", "!="):
            several = [wanted] if op != "in" else wanted
            equal = any(same(cell, one) for one in several)
            if equal == (op == "!="):
                return False
        elif not cell or not compare(Decimal(cell), op, wanted):
            return False
    return True


def same(cell: str, wanted: Any) -> bool:
    if isinstance(wanted, Decimal):
        return bool(cell) and Decimal(cell) == wanted
    return cell.casefold() == str(wanted).casefold()


def compare(value: Decimal, op: str, wanted: Any) -> bool:
    if op == "between":
        return wanted[0] <= value <= wanted[1]
    return {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}[op]


def computed(rows: list[dict[str, Any]], spec: dict[str, Any]) -> Any:
    """Compute a spec over rows that already fulfil its conditions: a number, a set of names, or pairs."""
    measure: str = spec["measure"]
    column: Any = spec.get("column")
    if spec.get("group"):
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(str(row[spec["group"]]), []).append(row)
        pairs = {name: one(members, measure, column) for name, members in groups.items()}
        pairs = {name: value for name, value in pairs.items() if value is not None}
        return best(pairs, spec) if spec.get("way") and pairs else pairs
    if spec.get("k"):
        known = [row for row in rows if str(row[column] or "")]
        known.sort(key=lambda row: Decimal(str(row[column])), reverse=spec["way"] == "max")
        return {str(row[spec["label"]]) for row in known[: spec["k"]]}
    if spec.get("label"):
        extreme = one(rows, measure, column)
        return {
            str(row[spec["label"]]) for row in rows if str(row[column] or "") and Decimal(str(row[column])) == extreme
        }
    if measure == "names":
        return {str(row[column]) for row in rows if str(row[column] or "")}
    return one(rows, measure, column)


def best(pairs: dict[str, Any], spec: dict[str, Any]) -> set[str]:
    extreme = max(pairs.values()) if spec["way"] == "max" else min(pairs.values())
    return {name for name, value in pairs.items() if value == extreme}


def one(rows: list[dict[str, Any]], measure: str, column: str | None) -> Any:
    if measure == "count":
        return Fraction(len(rows))
    assert column is not None
    cells = [str(row[column]) for row in rows if row[column] is not None and str(row[column])]
    if measure == "distinct":
        return Fraction(len({cell.casefold() for cell in cells}))
    if measure in ("first", "last"):
        return (min if measure == "first" else max)(map(iso, cells), default=None)
    numbers = sorted(Fraction(Decimal(cell)) for cell in cells)
    if not numbers:
        return None
    if measure == "median":
        half = len(numbers) // 2
        return numbers[half] if len(numbers) % 2 else (numbers[half - 1] + numbers[half]) / 2
    return {"sum": sum(numbers), "mean": sum(numbers) / len(numbers), "min": numbers[0], "max": numbers[-1]}[measure]
