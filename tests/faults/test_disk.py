"""A disk that is full at each write, and a file whose writes fail: the run stops with a clear error, nothing is lost."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stratagem.journals.sqlite import SQLiteJournal
from tests.faults.test_time import EIGHT, Counting, opened

HERE = Path(__file__).resolve().parent
STEP = 4096  # the page of a journal: what a write is made of
MOST = 40 * STEP  # enough for the whole run
LANES = 4

FAILING = """
import asyncio, os, resource, signal, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from test_time import Counting, EIGHT, opened
from stratagem.errors import JournalError

path, kind, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

class Breaking(Counting):
    async def _later(self, request, value):
        if kind != "full" and self.paid == at:
            for descriptor in os.listdir("/proc/self/fd"):
                try:
                    name = os.readlink(f"/proc/self/fd/{{descriptor}}")
                except OSError:
                    continue
                if name == str(path) + kind:
                    os.dup2(os.open("/dev/full", os.O_RDWR), int(descriptor))
        return await super()._later(request, value)

async def main():
    if kind == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (at, resource.RLIM_INFINITY))
    model = Breaking()
    try:
        async with opened(model, path) as s:
            answer = await s.run(EIGHT, "?", run_id="mine")
            print("answered", model.paid)
    except JournalError as failure:
        print("refused", model.paid, type(failure).__name__, failure, "|", failure.remedy)

asyncio.run(main())
os._exit(0)  # what the interpreter would still write is not the journal's
"""


def failed(path: Path, kind: str, at: int) -> list[str]:
    """Run the program in a process whose file is full, or breaks at a call; return what it said."""
    command = [sys.executable, "-c", FAILING.format(folder=str(HERE)), str(path), kind, str(at)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=HERE.parents[1])
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split(maxsplit=3)


async def goes_on(path: Path, paid: int) -> None:
    """See that what was recorded is whole and not paid again, and that no more is lost than was in flight."""
    journal = SQLiteJournal(path)
    rows = (await journal.load("mine"))[1] if "mine" in await journal.ids("mine") else []
    await journal.aclose()
    model = Counting()
    async with opened(model, path) as s:
        answer = await s.run(EIGHT, "?", run_id="mine")
        assert (answer.stop, answer.text) == ("answered", "g0g1g2g3" * 2)
    assert len(rows) + model.paid == 8
    assert 0 <= paid - len(rows) <= 4


def full(path: Path, limit: int) -> bool:
    """Run the program where no file may be larger than that, and continue it; return whether it came to its end."""
    end, paid, *said = failed(path, "full", limit)
    if end == "refused":
        assert "the disk is full" in said[-1], said
        assert "resume the run" in said[-1], said
    asyncio.run(goes_on(path, int(paid)))
    return end == "answered"


def test_a_disk_that_is_full_at_any_write_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    limits = range(STEP, MOST, STEP)
    with ThreadPoolExecutor(LANES) as lanes:
        ends = list(lanes.map(lambda limit: full(tmp_path / f"{limit}.sqlite", limit), limits))
    assert not ends[0]
    assert ends[-1]
    assert ends == sorted(ends)  # with more room it never gets less far


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("at", [1, 4, 5, 8])
@pytest.mark.parametrize("kind", ["-wal", ""])
async def test_a_file_whose_writes_fail_stops_the_run_before_it_goes_on(tmp_path: Path, kind: str, at: int) -> None:
    path = tmp_path / "j.sqlite"
    async with opened(Counting(), path) as s:
        await s.run(EIGHT, "before", run_id="before")
    end, paid, *said = await asyncio.to_thread(failed, path, kind, at)
    if kind:
        assert end == "refused", said  # the log is what every commit writes to
    await goes_on(path, int(paid))
    async with opened(Counting(), path) as s:
        assert (await s.resume("before")).text == "g0g1g2g3" * 2
