"""A suite from a file of yours: JSON lines or CSV with a question and an answer in each row.

GSM8K's format works as it is: what stands behind `####` is the answer, what stands before it the reasoning.

Rule 1: the file is all that is known. So the oracle looks a question up, and one that is not in it is none of this suite.
Rule 2: whoever runs strategies gets the suite without its answers (`blind`): it can make tasks and extract values, and
        nothing else.
"""

import csv
import io
import json
import random
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stratagem.core import Example, Json
from stratagem.errors import UsageError
from stratagem.tasks import _figures
from stratagem.tasks._last import Found, stated
from stratagem.tasks._stated import announced, phrase, short
from stratagem.tasks._suite import Item, Suite

QUESTIONS = ("question", "problem", "prompt", "input")
ANSWERS = ("answer", "solution", "target", "output", "label")
TRAINING_SPLITS = ("train", "training")
ENDINGS = (".jsonl", ".csv")
_NUMBER = re.compile(r"[-\u2212]?[$€£]?\s?-?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?\s?%?")
_NUMBERED = re.compile(r"\(?\d+[.)]\s")
# A letter that is a word of a sentence, and no choice.
_ARTICLE = re.compile(r"[AaI](?=\s+(?!(?:is|was|or|and|because|since|as|seems|must|but|not|are|fits)\b)[a-z])")
_SUM = re.compile(r"<<[^<>]*>>")  # GSM8K writes what a calculator is asked for between the words
SHOWN_LINES = 10  # of a file, in a note
_PRECISION = 1e-9  # relative, of numbers that are not whole
Kind = Literal["number", "bool", "choice", "phrase", "text"]


class Row(NamedTuple):
    """One row of a file, and the line on which it ends."""

    line: int
    id: str
    question: str
    key: str
    rationale: str
    training: bool


def opened(spec: str, *, blind: Mapping[str, Any] | None = None) -> Suite:
    """Return the suite of a name, or of a file.

    Args:
        spec: name of a suite, or path of a `.jsonl` or `.csv`.
        blind: what `OwnSuite.blind` said of the file; the file itself is not read then.

    Raises:
        UsageError: there is no such suite or file, or the file is wrong; the line is named.
    """
    if blind is not None:
        return OwnSuite(str(blind["name"]), (), blind["kind"], tuple(blind["choices"]), numbered=blind["numbered"])
    if spec.lower().endswith(ENDINGS):
        return OwnSuite.read_file(Path(spec))
    if Path(spec).suffix and Path(spec).exists():
        raise UsageError(
            f"{spec!r} is neither JSON lines nor CSV", remedy="Name it `.jsonl` or `.csv`, as its content is."
        )
    from stratagem.tasks import suite

    return suite(spec)


class OwnSuite(Suite):
    """The rows of a file.

    Args:
        name: in reports.
        rows: of the file; none where only tasks are made.
        kind: how answers are compared: as numbers, as yes or no, as one of several letters, as short answers that may stand
            within a sentence, or as whole texts.
        choices: the answers that there are, for `choice`.
        numbered: whether an answer begins with `1.`, so that this is no mark of a list in a reply.
    """

    about = "questions of your own"
    levels = (1,)

    def __init__(
        self, name: str, rows: tuple[Row, ...], kind: Kind, choices: tuple[str, ...] = (), *, numbered: bool = False
    ) -> None:
        self.name, self.kind, self.choices, self.numbered = name, kind, choices, numbered
        self._rows = rows
        self.output = {"number": float, "bool": bool, "phrase": str, "text": str}.get(kind) or Literal[choices]

    @staticmethod
    def read_file(path: Path) -> "OwnSuite":
        """Return the suite of a file; `UsageError` names the line that is wrong."""
        try:
            text = path.read_text("utf-8-sig")
        except OSError as failure:
            raise UsageError(f"the tasks in {str(path)!r} cannot be read: {failure.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(f"the tasks in {str(path)!r} are not UTF-8", remedy="Convert the file to UTF-8.") from None
        found = _records(path, text)
        rows = tuple(_row(path, number, one) for number, one in found)
        if all(row.training for row in rows):
            what = "there is no task" if not rows else "all rows are to train with, and there is no task"
            raise UsageError(f"{what} in {str(path)!r}")
        kind, choices = _kind(rows)
        if kind == "number":
            rows = tuple(row._replace(key=_written(_as_number(row.key) or 0)) for row in rows)
        made = OwnSuite(path.stem, rows, kind, choices, numbered=any(_NUMBERED.match(row.key) for row in rows))
        made._once(path.name)
        return made

    def _once(self, name: str) -> None:
        """Leave out rows that say what others say; `UsageError` for one question with two answers.

        What is to train and to test is asked, and no example shows it.
        """
        found: dict[str, Row] = {}
        again, shared = list[Row](), list[Row]()
        for row in self._rows:
            known = found.setdefault(row.question, row)
            if known is row:
                continue
            problem = {"question": known.question, "key": known.key}
            if not self.right(problem, self.found(row.question, row.key)):
                raise UsageError(
                    f"{name} answers the same question twice: line {known.line} says {known.key!r}, line {row.line} "
                    f"says {row.key!r}", remedy="Keep one of the two: a question has one right answer."
                )  # fmt: skip
            if known.training == row.training:
                again.append(row)
                continue
            shared.append(known if known.training else row)
            if known.training:
                found[row.question] = row
        self._rows = tuple(row for row in self._rows if found[row.question] is row)
        self.notes = (
            *([f"{_counted(again, 'duplicate question')} left out: {_lines(again)}"] if again else ()),
            *([f"{_counted(shared, 'question')} {'is' if len(shared) == 1 else 'are'} to train and to test, and no solved "
               f"example is made of {'it' if len(shared) == 1 else 'them'}: {_lines(shared)}"] if shared else ()),
        )  # fmt: skip

    def blind(self) -> dict[str, Any]:
        """Return what whoever runs strategies needs: all but the rows."""
        return {"name": self.name, "kind": self.kind, "choices": list(self.choices), "numbered": self.numbered}

    @cached_property
    def _known(self) -> Mapping[str, Row]:
        return {row.question: row for row in self._rows}

    def __len__(self) -> int:
        """Return the number of test items."""
        return sum(not row.training for row in self._rows)

    def make(self, dice: random.Random, level: int) -> Json:  # noqa: ARG002  (a file has one level)
        """Return a row that is not of a training split: a file makes nothing new."""
        row = dice.choice([row for row in self._rows if not row.training])
        return {"question": row.question, "key": row.key}

    def read(self, question: str) -> Json:
        """Return the question, with its key where the rows are there."""
        if not self._rows:
            return {"question": question}
        row = self._known.get(question)
        if row is None:
            raise ValueError(f"no question of {self.name}: {question[:80]!r}")
        return {"question": question, "key": row.key}

    def render(self, problem: Json) -> str:
        """Return the question."""
        return problem["question"]

    def solve(self, problem: Json) -> str:
        """Return the key."""
        return problem["key"]

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 if the value is the key's; whole numbers exactly, others to nine digits."""
        key = self.found(problem["question"], problem["key"])
        if self.kind == "number":
            return float(value == key or (key % 1 != 0 and abs(value - key) <= _PRECISION * abs(key)))
        return float(self.canonical(value) == self.canonical(key))

    def found(self, question: str, text: str) -> Any:
        """Return the value that an answer states, or None; whoever repeats the question has stated nothing by it."""
        said = text.replace(question, " ")
        if self.kind == "phrase":
            return phrase(question, said, numbered=self.numbered)
        return self.extract(said)

    def extract(self, text: str) -> Any:
        """Return the value that a text states last; what it announces as its answer comes before all else."""
        if self.kind in ("number", "bool"):
            return super().extract(text)
        if self.kind == "choice":
            return stated(text, self._letters)
        return super().extract(announced(text))

    def _letters(self, text: str) -> list[Found]:
        pattern = "|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for one in self.choices)
        return [
            Found(*one.span(), one[0]) for one in re.finditer(pattern, text) if not _ARTICLE.match(text, one.start())
        ]

    def canonical(self, value: Any) -> Hashable:
        """Return a text without case, spaces at its ends, and the full stop."""
        return " ".join(value.split()).rstrip(".").casefold() if isinstance(value, str) else value

    def wrong(self, problem: Json, number: int) -> str:
        """Return another number, another choice, or the answer to another question."""
        key = problem["key"]
        if self.kind == "number":
            known, slip = self.extract(key), (number % 9 + 1) * (-1) ** number
            return (
                _written(known + slip)
                if known % 1 == 0
                else f"{known + slip * max(1, 2 * _PRECISION * abs(known)):.15g}"
            )
        if self.kind == "bool":
            return "no" if self.extract(key) else "yes"
        others = [
            one for one in self.choices or self._keys if not self.right(problem, self.found(problem["question"], one))
        ]
        return others[number % len(others)] if others else f"not {key}"

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.key for row in self._rows))

    def items(self, n: int, *, seed: int | str = 0, level: int = 1, start: int = 0) -> Iterator[Item]:
        """Yield `n` rows that are not of a training split, in an order that the seed draws."""
        if level != 1:
            raise UsageError(f"{self.name} is a file: it has no level {level}")
        rows = [row for row in self._rows if not row.training]
        if start + n > len(rows):
            why = "".join(f": {note}" for note in self.notes)
            raise UsageError(
                f"{self.name} has {_counted(rows, 'item')}, {start + n} are wanted{why}",
                remedy="Ask for fewer: `--items`.",
            )
        random.Random(f"{self.name}:{seed}").shuffle(rows)  # noqa: S311  (an order, no secret)
        for row in rows[start : start + n]:
            yield Item(row.id, row.question, row.key, 1)

    def examples(self, n: int = 8, *, level: int = 1) -> tuple[Example, ...]:  # noqa: ARG002  (a file has one level)
        """Return the first rows whose column `split` says `train`."""
        rows = [row for row in self._rows if row.training][:n]
        return tuple(Example(row.question, row.key, row.rationale or None) for row in rows)


class _Pairs(list[tuple[str, Any]]):
    """The names and values of a JSON object, those that are there twice among them."""


def _records(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the records of a file with the numbers of their lines."""
    if path.suffix.lower() == ".csv":
        return _table(path, text)
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line, object_pairs_hook=_Pairs)
        except ValueError as failure:
            raise UsageError(f"{path.name}, line {number} is not JSON: {failure}") from None
        if not isinstance(one, _Pairs):
            raise UsageError(
                f"{path.name}, line {number} is no object", remedy='Write {"question": ..., "answer": ...}.'
            )
        found.append((number, _object(f"{path.name}, line {number}", one)))
    return found


def _table(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the records of a table with the numbers of the lines on which they end."""
    reader = csv.reader(io.StringIO(text), strict=True, delimiter=_delimiter(text.partition("\n")[0]))
    found: list[tuple[int, dict[str, Any]]] = []
    head: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path.name}, line {reader.line_num}"
            if not cells:
                continue
            if head is None:
                head = [name.strip().lower() for name in cells]
                _object(where, [(name, "") for name in head])
                continue
            if any(cell.strip() for cell in cells[len(head) :]):
                raise UsageError(
                    f"{where} has {len(cells)} fields, but the header names {len(head)}",
                    remedy='Put a field that has the mark between columns in it between double quotes: "Paris, France".',
                )
            cells += [""] * (len(head) - len(cells))
            found.append((reader.line_num, dict(zip(head, cells, strict=False))))
    except csv.Error as failure:
        raise UsageError(f"{path.name}, line {reader.line_num}: {failure}") from None
    return found


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
    if "####" in said:
        before, _, said = said.rpartition("####")
        rationale, said = rationale or _SUM.sub("", before).strip(), said.strip()
    if not said:
        raise UsageError(f"{where}: there is nothing behind `####`")
    training = str(fields.get("split") or "").strip().lower() in TRAINING_SPLITS
    return Row(number, str(fields.get("id") or f"{path.stem}-{number:06}"), question, said, rationale, training)


def _field(fields: Mapping[str, Any], names: tuple[str, ...], where: str) -> str:
    name = next((name for name in names if name in fields), None)
    if name is None:
        raise UsageError(f"{where} has no {names[0]!r}", remedy=f"A row has a question ({', '.join(QUESTIONS)}) and an answer "
                         f"({', '.join(ANSWERS)}).")  # fmt: skip
    value = fields[name]
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if not isinstance(value, str | int | float) or not str(value).strip():
        raise UsageError(f"{where}: {name!r} must be a text or a number that is not empty, got {value!r}")
    return str(value).strip()


def _kind(rows: tuple[Row, ...]) -> tuple[Kind, tuple[str, ...]]:
    """Return how the answers of a file are compared."""
    keys = tuple(row.key for row in rows)
    if all(_NUMBER.fullmatch(key) and _as_number(key) is not None for key in keys):
        return "number", ()
    if {key.lower() for key in keys} <= {"yes", "no", "true", "false"}:
        return "bool", ()
    if all(len(key) == 1 and key.isalpha() for key in keys):
        return "choice", tuple(sorted(set(keys)))
    return ("phrase" if short(keys) and all(phrase(row.question, row.key) for row in rows) else "text"), ()


def _as_number(key: str) -> float | None:
    return _figures.figure(re.sub(r"\s", "", key))


def _written(value: float) -> str:
    """Return a number as text, a whole one with all its digits.

    >>> _written(2.50), _written(1e17)
    ('2.5', '100000000000000000')
    """
    return str(int(value)) if value % 1 == 0 else repr(value)


def _counted(rows: Sequence[object], noun: str) -> str:
    return f"{len(rows)} {noun}" if len(rows) == 1 else f"{len(rows)} {noun}s"


def _lines(rows: Sequence[Row]) -> str:
    """Return on which lines of the file rows stand.

    >>> _lines([Row(4, "", "", "", "", False), Row(9, "", "", "", "", False)])
    'lines 4, 9'
    """
    more = len(rows) - SHOWN_LINES
    shown = ", ".join(str(row.line) for row in rows[:SHOWN_LINES])
    return f"line{'' if len(rows) == 1 else 's'} {shown}" + (f" and {more} more" if more > 0 else "")
