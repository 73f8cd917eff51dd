"""The rows of a file of tasks: what is read of JSON lines or CSV, what is refused, and what a reader is told of it.

Rule 1: a mistake names its line, and its remedy is about that line.
Rule 2: what is taken by a rule where a file could mean something else is refused, or said in a note.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stratagem.errors import UsageError

QUESTIONS = ("question", "problem", "prompt", "input")
ANSWERS = ("answer", "solution", "target", "output", "label")
TRAINING_SPLITS = ("train", "training")
ITEM_SPLITS = ("", "test", "testing", "dev", "development", "val", "valid", "validation", "eval", "evaluation")
SHOWN_LINES = 10  # of a file, in a note
MARK = "####"  # GSM8K writes the answer behind it
OBJECT = 'Each line is one whole object: {"question": ..., "answer": ...}.'
_SUM = re.compile(r"<<[^<>]*>>")  # GSM8K writes what a calculator is asked for between the words
_Record = tuple[int, dict[str, Any]]


class Row(NamedTuple):
    """One row of a file, and the line on which it ends; the split as the file writes it."""

    line: int
    id: str
    question: str
    key: str
    rationale: str
    split: str

    @property
    def training(self) -> bool:
        """Return whether it is an example, and no item."""
        return self.split.lower() in TRAINING_SPLITS


def read_rows(path: Path) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return the rows of a file, one at least to test with, and what is to be said of its columns.

    Raises:
        UsageError: the file cannot be read, or a row is wrong; the line is named.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as failure:
        raise UsageError(f"the tasks in {str(path)!r} cannot be read: {failure.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the tasks in {str(path)!r} are not UTF-8", remedy="Convert the file to UTF-8.") from None
    found = (_table if path.suffix.lower() == ".csv" else _objects)(path, text)
    rows = tuple(_row(path, number, one) for number, one in found)
    if not rows:
        raise UsageError(f"there is no task in {str(path)!r}", remedy="Write rows, each with a question and an answer.")
    if all(row.training for row in rows):
        raise UsageError(
            f"all rows are to train with, and there is no task in {str(path)!r}",
            remedy=f"Rows whose `split` says {' or '.join(TRAINING_SPLITS)} are examples: leave it empty in the others.",
        )
    _all_marked(path.name, rows, [MARK in _field(one, ANSWERS, "") for _, one in found])
    return rows, _columns(found)


def split_notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return what is to be said of the splits of those rows that are kept."""
    shown = [row for row in rows if row.training]
    odd = [row for row in rows if not row.training and row.split.lower() not in ITEM_SPLITS]
    said, unknown = (_some(list(dict.fromkeys(f"{row.split:.40}" for row in some))) for some in (shown, odd))
    return (
        *([f"{counted(shown, 'row')} {'is an example' if len(shown) == 1 else 'are examples'}: split says {said}"] if shown else ()),
        *([f"{counted(odd, 'row')} with a split that means nothing here ({unknown}) {'is an item' if len(odd) == 1 else 'are items'}: "
           f"{lines(odd)}"] if odd else ()),
    )  # fmt: skip


def counted(rows: Sequence[object], noun: str) -> str:
    """Return how many rows there are, with the noun."""
    return f"{len(rows)} {noun}" if len(rows) == 1 else f"{len(rows)} {noun}s"


def lines(rows: Sequence[Row]) -> str:
    """Return on which lines of the file rows stand.

    >>> lines([Row(4, "", "", "", "", ""), Row(9, "", "", "", "", "")])
    'lines 4, 9'
    """
    return _at([row.line for row in rows])


def _at(numbers: Sequence[int]) -> str:
    return f"line{'' if len(numbers) == 1 else 's'} {_some(numbers)}"


class _Pairs(list[tuple[str, Any]]):
    """The names and values of a JSON object, those that are there twice among them."""


def _objects(path: Path, text: str) -> list[_Record]:
    """Return the objects of JSON lines with the numbers of their lines."""
    found: list[_Record] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line, object_pairs_hook=_Pairs)
        except json.JSONDecodeError as failure:
            what = f"{failure.msg}, at character {failure.pos + 1}"
            raise UsageError(f"{path.name}, line {number} is not JSON: {what}", remedy=OBJECT) from None
        except (ValueError, RecursionError) as failure:  # a number of very many digits, or very many brackets
            raise UsageError(f"{path.name}, line {number} cannot be read as JSON: {failure}", remedy=OBJECT) from None
        if not isinstance(one, _Pairs):
            raise UsageError(f"{path.name}, line {number} is no object", remedy=OBJECT)
        found.append((number, _object(f"{path.name}, line {number}", one)))
    return found


def _table(path: Path, text: str) -> list[_Record]:
    """Return the records of a table with the numbers of the lines on which they end."""
    reader = csv.reader(io.StringIO(text), strict=True, delimiter=_delimiter(text.partition("\n")[0]))
    found: list[_Record] = []
    head: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path.name}, line {reader.line_num}"
            if not cells:
                continue
            if head is None:
                head = [name.strip().lower() for name in cells]
                _header(where, cells, head)
                continue
            if any(cell.strip() for cell in cells[len(head) :]):
                raise UsageError(
                    f"{where} has {len(cells)} fields, but the header names {len(head)}",
                    remedy='Put a field that has the mark between columns in it between double quotes: "Paris, France".',
                )
            cells += [""] * (len(head) - len(cells))
            found.append((reader.line_num, dict(zip(head, cells, strict=False))))
    except csv.Error as failure:
        raise UsageError(
            f"{path.name}, line {reader.line_num}: {failure}",
            remedy='A field begins and ends with a double quote, or with none; one within it is written twice: "a ""b"" c".',
        ) from None
    return found


def _header(where: str, cells: Sequence[str], head: Sequence[str]) -> None:
    """Refuse a first line that names no column for a question or an answer, or one column twice."""
    lacks = [repr(names[0]) for names in (QUESTIONS, ANSWERS) if not set(names) & set(head)]
    if lacks:
        raise UsageError(
            f"{where} was taken as the header ({_some([f'{cell!r:.40}' for cell in cells])}), and has no {' and no '.join(lacks)}",
            remedy=f"The first line of a CSV names its columns: a question ({', '.join(QUESTIONS)}) and an answer "
            f"({', '.join(ANSWERS)}).",
        )
    _object(where, [(name, "") for name in head])


def _object(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs by name; `UsageError` if a name is there twice, whatever its case: one would be lost."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        known = name.strip().lower()
        if known in made and known:
            raise UsageError(f"{where} has {known!r} twice", remedy="Give each column a name of its own.")
        made[known] = value
    return made


def _delimiter(head: str) -> str:
    """Return what stands between the columns of a table: that of `,`, `;` and tab with which the first line names a question."""
    for one in ",;\t":
        named = {cell.strip().lower() for cell in next(csv.reader([head], delimiter=one), ())}
        if named & set(QUESTIONS):
            return one
    return ","


def _row(path: Path, number: int, fields: Mapping[str, Any]) -> Row:
    where = f"{path.name}, line {number}"
    question, said = _field(fields, QUESTIONS, where), _field(fields, ANSWERS, where)
    rationale = str(fields.get("rationale") or "").strip()
    if MARK in said:
        before, _, said = said.rpartition(MARK)
        rationale, said = rationale or _SUM.sub("", before).strip(), said.strip()
    if not said:
        raise UsageError(
            f"{where}: there is nothing behind `{MARK}`",
            remedy=f"Write the answer behind `{MARK}`, or leave the row out.",
        )
    split = str(fields.get("split") or "").strip()
    return Row(number, str(fields.get("id") or f"{path.stem}-{number:06}"), question, said, rationale, split)


def _field(fields: Mapping[str, Any], names: tuple[str, ...], where: str) -> str:
    name = next((name for name in names if name in fields), None)
    if name is None:
        raise UsageError(f"{where} has no {names[0]!r}", remedy=f"A row has a question ({', '.join(QUESTIONS)}) and an answer "
                         f"({', '.join(ANSWERS)}).")  # fmt: skip
    value = fields[name]
    if isinstance(value, bool):
        value = "yes" if value else "no"
    what = f"{where}: {name!r} must be a text or a number that is not empty, got"
    if value is None or (isinstance(value, str) and not value.strip()):
        raise UsageError(
            f"{what} {'null' if value is None else repr(value)}", remedy=f"Write the {names[0]}, or leave the row out."
        )
    if not isinstance(value, str | int | float):
        raise UsageError(
            f"{what} {'an object' if isinstance(value, _Pairs) else repr(value)}",
            remedy=f"Write one text or one number: a row has one {names[0]}.",
        )
    return str(value).strip()


def _all_marked(name: str, rows: Sequence[Row], marked: Sequence[bool]) -> None:
    """Refuse a row without `####` where others have it: the whole of its reasoning would be the right answer.

    Examples and items are looked at apart: those with reasoning may come from another file than these.
    """
    marks: dict[bool, dict[bool, int]] = {True: {}, False: {}}
    for row, has in zip(rows, marked, strict=True):
        marks[row.training].setdefault(has, row.line)
    lacks = min(((of[False], of[True]) for of in marks.values() if len(of) == 2), default=None)
    if lacks is not None:
        raise UsageError(
            f"{name}, line {lacks[0]} has no `{MARK}` before its answer, and line {lacks[1]} has one",
            remedy=f"Write `{MARK}` and the answer at the end of each such row, or `{MARK}` in none.",
        )


def _columns(found: Sequence[_Record]) -> tuple[str, ...]:
    """Return what was taken as question and answer, for those rows in which something else could be meant too."""
    kinds: dict[tuple[str, ...], list[int]] = {}
    for number, fields in found:
        asked, said = ([name for name in names if name in fields] for names in (QUESTIONS, ANSWERS))
        kinds.setdefault((asked[0], said[0], *asked[1:], *said[1:]), []).append(number)
    return tuple(
        f"{question!r} was taken as the question and {answer!r} as the answer; {_and(left)} {'was' if len(left) == 1 else 'were'} "
        f"left{'' if len(kinds) == 1 else f': {_at(on)}'}"
        for (question, answer, *left), on in kinds.items()
        if left
    )


def _and(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names]
    return " and ".join(one for one in (", ".join(shown[:-1]), shown[-1]) if one)


def _some(what: Sequence[object]) -> str:
    """Return the first of several, and how many more there are."""
    more = len(what) - SHOWN_LINES
    return ", ".join(str(one) for one in what[:SHOWN_LINES]) + (f" and {more} more" if more > 0 else "")
