"""A suite from a file of yours: JSON lines or CSV with a question and an answer in each row.

GSM8K's format works as it is: what stands behind `####` is the answer, what stands before it the reasoning.

Rule 1: the file is all that is known. So the oracle looks a question up, and one that is not in it is none of this suite.
Rule 2: whoever runs strategies gets the suite without its answers (`blind`): it can make tasks and extract values, and
        nothing else.
"""

import random
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from stratagem.core import Example, Json
from stratagem.errors import UsageError
from stratagem.tasks import _figures
from stratagem.tasks._last import last_of
from stratagem.tasks._rows import Row, counted, lines, read_rows, split_notes
from stratagem.tasks._stated import announced, phrase, short
from stratagem.tasks._suite import Item, Suite

ENDINGS = (".jsonl", ".csv")
_NUMBER = re.compile(r"[-\u2212]?[$€£]?\s?-?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][-+]?\d+)?\s?%?")
_NUMBERED = re.compile(r"\(?\d+[.)]\s")
_PRECISION = 1e-9  # relative, of numbers that are not whole
_MOST = 0.8  # of the answers: who has so many of one form meant all to have it
Kind = Literal["number", "bool", "choice", "phrase", "text"]
_FORMS: Mapping[Kind, tuple[str, Callable[[str], bool]]] = {
    "number": ("numbers", lambda key: bool(_NUMBER.fullmatch(key)) and _as_number(key) is not None),
    "bool": ("yes or no", lambda key: key.lower() in ("yes", "no", "true", "false")),
    "choice": ("single letters", lambda key: len(key) == 1 and key.isalpha()),
}


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
        self._rows, self._fewer = rows, ()
        self.output = {"number": float, "bool": bool, "phrase": str, "text": str}.get(kind) or Literal[choices]

    @staticmethod
    def read_file(path: Path) -> "OwnSuite":
        """Return the suite of a file; `UsageError` names the line that is wrong."""
        rows, said = read_rows(path)
        kind, choices, odd = _kind(rows)
        if kind == "number":
            rows = tuple(row._replace(key=_written(_as_number(row.key) or 0)) for row in rows)
        made = OwnSuite(path.stem, rows, kind, choices, numbered=any(_NUMBERED.match(row.key) for row in rows))
        made._fewer = made._once(path.name)
        made.notes = (*said, *odd, *made._fewer)
        return made

    def _once(self, name: str) -> tuple[str, ...]:
        """Return why there are fewer items than rows; leave out rows that say what others say; `UsageError` for one question with two answers.

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
        return (
            *([f"{counted(again, 'duplicate question')} left out: {lines(again)}"] if again else ()),
            *([f"{counted(shared, 'question')} {'is' if len(shared) == 1 else 'are'} to train and to test, and no solved "
               f"example is made of {'it' if len(shared) == 1 else 'them'}: {lines(shared)}"] if shared else ()),
            *split_notes(self._rows),
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
            return last_of(text, self.choices)
        return super().extract(announced(text))

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
            why = f": {'; '.join(self._fewer)}" if self._fewer else ""
            raise UsageError(
                f"{self.name} has {counted(rows, 'item')}, {start + n} are wanted{why}",
                remedy="Ask for fewer: `--items`.",
            )
        random.Random(f"{self.name}:{seed}").shuffle(rows)  # noqa: S311  (an order, no secret)
        for row in rows[start : start + n]:
            yield Item(row.id, row.question, row.key, 1)

    def examples(self, n: int = 8, *, level: int = 1) -> tuple[Example, ...]:  # noqa: ARG002  (a file has one level)
        """Return the first rows whose column `split` says `train`."""
        rows = [row for row in self._rows if row.training][:n]
        return tuple(Example(row.question, row.key, row.rationale or None) for row in rows)


def _kind(rows: tuple[Row, ...]) -> tuple[Kind, tuple[str, ...], tuple[str, ...]]:
    """Return how the answers of a file are compared, the letters that there are, and what a few rows have changed."""
    keys = tuple(row.key for row in rows)
    notes: tuple[str, ...] = ()
    for kind, (name, fits) in _FORMS.items():
        odd = [row for row in rows if not fits(row.key)]
        if not odd:
            return kind, tuple(sorted(set(keys))) if kind == "choice" else (), ()
        most = len(rows) - len(odd)
        if most >= _MOST * len(rows) or most > len(odd) == 1:
            said = ", ".join(dict.fromkeys(f"{row.key!r:.40}" for row in odd[:3])) + (", ..." if len(odd) > 3 else "")
            notes = (
                f"{most} of {len(rows)} answers are {name}; {lines(odd)} {'is' if len(odd) == 1 else 'are'} not ({said}), so all "
                "are compared as text",
            )
    whole = not short(keys) or not all(phrase(row.question, row.key) for row in rows)
    return "text" if whole else "phrase", (), notes


def _as_number(key: str) -> float | None:
    return _figures.figure(re.sub(r"\s", "", key))


def _written(value: float) -> str:
    """Return a number as text, a whole one with all its digits.

    >>> _written(2.50), _written(1e17)
    ('2.5', '100000000000000000')
    """
    return str(int(value)) if value % 1 == 0 else repr(value)
