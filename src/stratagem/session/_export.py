"""Runs as one file of JSON lines, from any journal to any other.

| line | what it holds |
|---|---|
| first | `format`, its `version`, the version of the `rows`, the ids of the `runs` |
| `{"payload", "text"}` | canonical JSON that lines after it name by its digest; once each |
| `{"run"}` | a run's record, where it stood, what it asked persons and what they said |
| `{"row"}` | an effect of the run above it, with its seal |
| last | `{"end": {"lines", "sha256"}}`: how many lines stand above it, and their digest |

Rule 1: a run stands behind the run it was forked from, and all its ancestors are in the file.
Rule 2: nothing is written before the whole file has been read and every digest, seal and form has been verified.
Rule 3: what says who drives a run, and how often that changed, belongs to a journal and stays there.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, get_args

from stratagem.core import VERSION, Journal, Json, Row, StoredRun, decoded, encoded
from stratagem.core._canonical import is_object
from stratagem.core._journal import FIRST, Kind, State, seal, usage_form, usage_of
from stratagem.errors import JournalCorrupt, UsageError
from stratagem.session._ends import checked_id
from stratagem.session._records import RunRecord

FORMAT: Final = "stratagem runs"
FORMAT_VERSION: Final = 1
SHORT: Final = 100  # bytes; a shorter payload stands where it belongs
LONGEST: Final = 2**63  # what a store takes as a whole number is smaller
HALF: Final = "importing"  # in the record of a run of which only a part is there yet
BATCH: Final = 1000  # rows on their way to a journal

# Within JSON they stand in strings only, where they may be written so.
_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_WHOLE = ("occurrence", "wall", "active", "took", "sample")
_PARTS = ("record", "end", "answers", "questions")
_EDITED = "Export it again: a file that was changed or cut is not taken."


class Imported(NamedTuple):
    """What came of an import.

    Attributes:
        new: ids of the runs that were written.
        known: ids of those that were there already, with the same content.
        rows: how many effects were written.
    """

    new: tuple[str, ...]
    known: tuple[str, ...]
    rows: int


class Parcel(NamedTuple):
    """One run of a file, verified."""

    run: StoredRun
    rows: list[Row]


# Writing a file


async def exported(journal: Journal, run_ids: Sequence[str]) -> AsyncIterator[str]:
    """Yield the lines of a file that holds runs and their ancestors, each with its line break.

    Args:
        journal: where they are recorded.
        run_ids: which; what one was forked from comes along.

    Raises:
        UsageError: there is no such run, or an ancestor of one is gone.
        JournalCorrupt: a run is damaged.
    """
    from stratagem import __version__  # noqa: PLC0415  (the package imports this module)

    order = await _with_ancestors(journal, run_ids)
    digest, lines = sha256(), 0
    head = {
        "format": FORMAT, "version": FORMAT_VERSION, "rows": VERSION, "stratagem": __version__, "runs": order,
    }  # fmt: skip
    written = set[str]()
    for form in [head]:
        yield (line := _line(form))
        digest.update(line.encode())
        lines += 1
    for run_id in order:
        stored, rows = await journal.load(run_id)
        for form in _forms(stored, rows, written):
            yield (line := _line(form))
            digest.update(line.encode())
            lines += 1
    yield _line({"end": {"lines": lines, "sha256": digest.hexdigest()}})


async def _with_ancestors(journal: Journal, run_ids: Sequence[str]) -> list[str]:
    """Return the ids with all their ancestors, each before what was forked from it."""
    order: dict[str, None] = {}
    for run_id in run_ids:
        chain: list[str] = []
        one = run_id
        while one and one not in order and one not in chain:
            stored = await journal.find(one)
            if stored is None:
                if not chain:
                    await journal.load(one)  # which names the nearest
                raise UsageError(
                    f"run {chain[-1]!r} is a fork, and its parent {one!r} is gone: it cannot be moved alone"
                )
            chain.append(one)
            one = stored.parent
        order.update(dict.fromkeys(reversed(chain)))
    return list(order)


def _forms(run: StoredRun, rows: Sequence[Row], written: set[str]) -> Iterator[Json]:
    """Yield the lines of one run; payloads that are in the file already are left out."""
    news: list[Json] = []

    def part(payload: bytes) -> Json:
        text = payload.decode()
        if len(payload) <= SHORT:
            return text
        digest = sha256(payload).hexdigest()
        if digest not in written:
            written.add(digest)
            news.append({"payload": digest, "text": text})
        return {"payload": digest}

    facts = {
        "run": run.run_id, "state": run.state, "created": run.created, "updated": run.updated, "parent": run.parent,
        "ended": run.rows >= 0, "rows": len(rows),
    }  # fmt: skip
    form = {**facts, **{name: part(getattr(run, name)) for name in _PARTS}}
    yield from news
    yield form
    before = FIRST
    for row in rows:
        news.clear()
        before = seal(before, row)
        form = {
            "row": row.seq, "kind": row.kind, "path": row.path, "digest": row.digest.hex(), "seal": before.hex(),
            **{name: getattr(row, name) for name in _WHOLE}, "failed": row.failed, "usage": usage_form(row.usage),
            "request": part(row.request), "result": part(row.result),
        }  # fmt: skip
        yield from news
        yield form


def _line(form: Json) -> str:
    """Return a line; what is no Unicode text, and what a terminal would obey, is escaped."""
    text = json.dumps(form, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


# Reading a file


def parcels(lines: Iterable[bytes], name: str = "the file") -> list[Parcel]:
    """Return the runs of a file, verified; nothing is written anywhere.

    Args:
        lines: of the file, with their line breaks.
        name: of the file, for messages.

    Raises:
        JournalCorrupt: it was edited or cut; the message has the line.
        UsageError: it is something else, or of a newer version.
    """
    reader = _Reader(name)
    for line in lines:
        reader.take(line)
    return reader.done()


class _Reader:
    """Reads line by line. Whatever is not as it was written is refused, with the number of its line."""

    def __init__(self, name: str) -> None:
        self._name, self._number = name, 0
        self._payloads: dict[str, bytes] = {}
        self._order: list[str] = []
        self._found: dict[str, Parcel] = {}
        self._open: Parcel | None = None
        self._rows, self._ended, self._seal = 0, False, FIRST
        self._digest, self._over = sha256(), False

    def take(self, line: bytes) -> None:
        """Take the next line."""
        self._number += 1
        if self._over:
            raise self._wrong("something follows the end")
        if not line.endswith(b"\n"):
            raise self._wrong("the line is cut")
        try:
            form: Json = json.loads(line)
        except (ValueError, RecursionError):
            raise self._wrong("this is not JSON") from None
        if not is_object(form):
            raise self._wrong("this is no object")
        if self._number == 1:
            self._head(form)
        else:
            try:
                self._part(form)
            except (
                KeyError,
                TypeError,
                ValueError,
                AttributeError,
                IndexError,
                OSError,
                OverflowError,
                RecursionError,
            ) as failure:
                if isinstance(failure, UsageError):
                    raise
                raise self._wrong(f"a field is missing or wrong ({type(failure).__name__}: {failure})") from None
        self._digest.update(line)

    def done(self) -> list[Parcel]:
        """Return what was read; nothing may be missing."""
        if not self._number:
            raise UsageError(f"{self._name} is empty", remedy="Name a file that `stratagem export` wrote.")
        if not self._over:
            self._number += 1
            raise self._wrong("the file ends here: it is cut")
        return [self._found[run_id] for run_id in self._order]

    def _wrong(self, why: str) -> JournalCorrupt:
        return JournalCorrupt(f"{self._name}, line {self._number}: {why}", remedy=_EDITED)

    def _head(self, form: dict[str, Json]) -> None:
        if form.get("format") != FORMAT:
            raise UsageError(
                f"{self._name} is no file of runs: its first line does not say so",
                remedy="Name a file that `stratagem export` wrote.",
            )
        for what, newest in (("version", FORMAT_VERSION), ("rows", VERSION)):
            if type(form.get(what)) is not int or form[what] > newest:
                raise UsageError(
                    f"{self._name} was written by a newer stratagem: its {what} is {form.get(what)!r}, this one reads {newest}",
                    remedy="Upgrade stratagem.",
                )
        runs = form.get("runs")
        if not isinstance(runs, list) or not all(isinstance(one, str) for one in runs):  # pyright: ignore[reportUnknownVariableType]
            raise self._wrong("the list of runs is none")
        self._order = runs

    def _part(self, form: dict[str, Json]) -> None:
        if "payload" in form:
            payload = str(form["text"]).encode()
            if sha256(payload).hexdigest() != form["payload"]:
                raise self._wrong("the text is not the one of its digest")
            self._payloads[form["payload"]] = payload
        elif "run" in form:
            self._close()
            self._begin(form)
        elif "row" in form:
            self._row(form)
        elif "end" in form:
            self._close()
            self._end(form["end"])
        else:
            raise self._wrong("this is neither a payload, a run, a row nor the end")

    def _payload(self, part: Json) -> bytes:
        if isinstance(part, str):
            return part.encode()
        known = self._payloads.get(part["payload"])
        if known is None:
            raise self._wrong(f"the payload {part['payload'][:12]} does not stand above")
        return known

    def _begin(self, form: dict[str, Json]) -> None:
        place = len(self._found)
        run_id = form["run"]
        if place >= len(self._order) or run_id != self._order[place]:
            raise self._wrong(f"run {run_id!r} does not stand here in the list of the first line")
        checked_id(run_id)
        if form["state"] not in get_args(State) or type(form["ended"]) is not bool:
            raise self._wrong(f"a run cannot be {form['state']!r}")
        if form["parent"] and form["parent"] not in self._found:
            raise self._wrong(f"its parent {form['parent']!r} does not stand above")
        record, end, answers, questions = (self._payload(form[name]) for name in _PARTS)
        self._rows, self._ended, self._seal = _whole(form["rows"]), form["ended"], FIRST
        run = StoredRun(
            run_id, form["state"], _whole(form["created"]), _whole(form["updated"]), form["parent"], record=record,
            answers=answers, end=end, questions=questions,
        )  # fmt: skip
        if unasked := set(decoded(answers)) - set(decoded(questions)):
            raise self._wrong(f"it answers what was not asked: {', '.join(sorted(unasked))}")
        self._open = Parcel(run, [])

    def _row(self, form: dict[str, Json]) -> None:
        if self._open is None:
            raise self._wrong("this row belongs to no run")
        rows = self._open.rows
        kind, path, failed = form["kind"], form["path"], form["failed"]
        if kind not in get_args(Kind) or type(path) is not str or type(failed) is not bool:
            raise self._wrong("kind, path or state of a row is none")
        occurrence, wall, active, took, sample = (_whole(form[name]) for name in _WHOLE)
        row = Row(
            form["row"], kind, path, bytes.fromhex(form["digest"]), occurrence, wall, active, took,
            usage_of(form["usage"]), self._payload(form["request"]), self._payload(form["result"]), failed, sample,
        )  # fmt: skip
        self._seal = seal(self._seal, row)
        if type(row.seq) is not int or row.seq <= (rows[-1].seq if rows else -1):  # what was dropped leaves a gap
            raise self._wrong(f"row {row.seq!r} cannot follow row {rows[-1].seq if rows else -1}")
        if self._seal.hex() != form["seal"]:
            raise self._wrong(f"row {row.seq} of run {self._open.run.run_id!r} is not what was written")
        rows.append(row)

    def _close(self) -> None:
        """Look at the run that ends here as a whole: whatever shows it must be able to read it."""
        if self._open is None:
            return
        run, rows = self._open
        if len(rows) != self._rows:
            raise self._wrong(f"run {run.run_id!r} had {self._rows} rows, and {len(rows)} stand above")
        record = RunRecord(run, rows)
        task: Json = record.record["task"]
        if not (is_object(task) and isinstance(record.strategy, str) and isinstance(record.model, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise self._wrong(f"the record of run {run.run_id!r} is none")
        _ = record.plain(), record.effects(), record.usage(), record.questions(), record.end.get("answer")
        closed = run._replace(rows=len(rows), seal=self._seal if rows else b"") if self._ended else run
        self._found[run.run_id] = Parcel(closed, rows)
        self._open = None

    def _end(self, form: dict[str, Json]) -> None:
        if len(self._found) != len(self._order):
            raise self._wrong(f"{len(self._order)} runs were written, and {len(self._found)} stand above")
        if form["lines"] != self._number - 1 or form["sha256"] != self._digest.hexdigest():
            raise self._wrong("the lines above are not those that were written")
        self._over = True


def _whole(value: Any) -> int:
    if type(value) is not int or not -LONGEST <= value < LONGEST:
        raise ValueError(f"{value!r} is no whole number that can be stored")
    return value


# Writing into a journal


async def imported(journal: Journal, found: Sequence[Parcel]) -> Imported:
    """Write runs into a journal, all or none; one that is there with the same content is left as it is.

    Args:
        journal: where they go.
        found: as `parcels` returned them.

    Raises:
        UsageError: a run of that id is there with other content.
        JournalError: the journal cannot be written.
    """
    new: list[Parcel] = []
    known: list[str] = []
    for parcel in found:
        there = await journal.find(parcel.run.run_id)
        if there is not None and decoded(there.record).get(HALF):
            await journal.remove([parcel.run.run_id])  # of an import that was killed
            there = None
        if there is None:
            new.append(parcel)
        elif await _same(journal, parcel):
            known.append(parcel.run.run_id)
        else:
            raise UsageError(
                f"run {parcel.run.run_id!r} is in the journal with other content; nothing was imported",
                remedy=f"Compare it first; `stratagem runs rm {parcel.run.run_id}` makes room for it.",
            )
    begun: list[str] = []
    try:
        for parcel in new:
            begun.append(parcel.run.run_id)
            await _written(journal, parcel)
    except BaseException:
        await asyncio.shield(_taken_back(journal, begun))
        raise
    return Imported(tuple(begun), tuple(known), sum(len(parcel.rows) for parcel in new))


async def _same(journal: Journal, parcel: Parcel) -> bool:
    """Return whether a journal has this very run, whoever drives it."""
    stored, rows = await journal.load(parcel.run.run_id)
    facts = [
        (run.state, run.created, run.parent, run.rows, *(decoded(getattr(run, name) or b"null") for name in _PARTS))
        for run in (stored, parcel.run)
    ]
    return facts[0] == facts[1] and rows == parcel.rows


async def _written(journal: Journal, parcel: Parcel) -> None:
    run, rows = parcel
    record = encoded({**decoded(run.record), HALF: True})  # until all of it is there, nobody goes on with it
    fresh = StoredRun(run.run_id, "failed", run.created, run.updated, run.parent, record=record)
    pending = [journal.create(fresh)]
    for row in rows:
        pending.append(journal.append(run.run_id, row))
        if len(pending) >= BATCH:
            await _durable(pending)
    for question, form in decoded(run.questions).items():
        pending.append(journal.ask(run.run_id, question, encoded(form)))
    await _durable(pending)
    for question, value in decoded(run.answers).items():
        await journal.answer(run.run_id, question, encoded(value))
    await _durable([journal.update(run)])


async def _durable(pending: list[Any]) -> None:
    await asyncio.gather(*(one for one in pending if one is not None))
    pending.clear()


async def _taken_back(journal: Journal, run_ids: list[str]) -> None:
    """Remove what a failed import has written."""
    await journal.remove(list(reversed(run_ids)))


__all__ = ["FORMAT", "FORMAT_VERSION", "Imported", "Parcel", "exported", "imported", "parcels"]
