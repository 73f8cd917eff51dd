"""A file with three runs, and what changes and reads it."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stratagem.errors import JournalCorrupt, JournalError
from stratagem.journals._store import Store
from stratagem.journals._writer import Write
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, row, run_of

NOBODY: Any = None  # waits for these writes
NOISE = random.Random(5).randbytes(2000)
PACKED = b'{"question":"' + b"long " * 500 + b'"}'
ENDED = run_of(
    "abcdef", state="finished", parent="zyxwvu", rows=9, end=b'{"text":"x"}',
    questions=b'{"q":%s,"r":{"question":"?"}}' % PACKED, answers=b'{"q":true}',
)  # fmt: skip
ROWS = [
    row(0, kind="decision", usage=None),
    row(1, path="f/map[1]", failed=True),
    row(2, path="f/map[2]", occurrence=1, sample=0),
    row(3, request=b"t" * 1500),
    row(4, result=NOISE),
    *(row(seq, kind="tool", path=f"f/map[{seq % 2}]") for seq in range(5, 9)),
]


def write_runs(path: Path) -> None:
    """A finished run, one that still runs, and one that has no rows."""
    store = Store(path, 0.1, None)
    items = [
        Write("create", run_id, run_of(run_id, parent="zyxwvu"), NOBODY) for run_id in ("abcdef", "ghijkl", "mnopqr")
    ]
    for one in ROWS:
        items += [Write("append", run_id, one, NOBODY) for run_id in ("abcdef", "ghijkl")]
    items += [
        Write("ask", "abcdef", ("q", PACKED), NOBODY),
        Write("ask", "abcdef", ("r", b'{"question":"?"}'), NOBODY),
        Write("answer", "abcdef", ("q", b"true"), NOBODY),
        Write("update", "abcdef", ENDED._replace(rows=0), NOBODY),
        Write("beat", "", OWNER, NOBODY),
    ]
    store.write(items)
    assert [item.error for item in items] == [None] * len(items)
    store.close()


def read_runs(path: Path) -> list[Any]:
    """What a reader gets: runs with their rows, or the errors in their place."""
    store = Store(path, 0.1, None)
    found: list[Any] = []
    for run_id in ("abcdef", "ghijkl", "mnopqr"):
        try:
            found.append(store.load(run_id))
        except JournalError as error:
            found.append(error)
    for read in (
        lambda: store.runs(state=None, strategy=None, since=0, text="", limit=9),
        lambda: store.answers(["abcdef", "ghijkl"]),
    ):
        try:
            found.append(read())
        except JournalError as error:
            found.append(error)
    store.close()
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "journal.sqlite"
    write_runs(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path, sound) -> Path:
    (tmp_path / "journal.sqlite").write_bytes(sound)
    return tmp_path / "journal.sqlite"


def execute(path: Path, *statements: str) -> None:
    file = sqlite3.connect(path)
    for statement in statements:
        file.execute(statement)
    file.commit()
    file.close()


def refused(path: Path, run_id: str = "abcdef") -> str:
    store = Store(path, 0.1, None)
    with pytest.raises(JournalCorrupt) as found:
        store.load(run_id)
    store.close()
    return str(found.value)


async def dropped(path: Path, run_id: str) -> tuple[int, SQLiteJournal]:
    journal = SQLiteJournal(path)
    gone = await journal.drop_damaged(run_id)
    return gone, journal
