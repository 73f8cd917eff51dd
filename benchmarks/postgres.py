"""The PostgreSQL journal, every effect durable before the program sees it: a hundred strands, one strand, a resume.

The server is started for it on loopback, with its own settings of durability (`fsync` on); `STRATAGEM_TEST_POSTGRES`
names another one. CPU is that of this process alone, wall clock includes the server.
"""

import asyncio
import gc
import time
from collections.abc import Sequence

from benchmarks import world
from benchmarks.measure import Report, collector
from stratagem.core import Book, Run, StoredRun, Task, World
from stratagem.errors import CapabilityError
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.postgres import Server

STRANDS = 100
DURABLE = ("-c", "shared_buffers=64MB", "-c", "max_connections=50")


async def _strands(run: Run, strands: int, asks: int) -> None:
    """Ask so many times, one after the other, in each of so many strands."""
    task = Task(world.QUESTION, output=int)

    async def branch(run: Run, _: int) -> None:
        for _ in range(asks):
            await world.one(run, task)

    await run.map(branch, range(strands))


async def driven(url: str, run_id: str, strands: int, asks: int) -> tuple[float, float]:
    """Run a program on the journal; return CPU and wall-clock seconds per effect."""
    journal = PostgresJournal(url)
    await journal.runs()  # connects, and makes the tables
    await journal.create(StoredRun(run_id, owner=b'{"id":"bench"}'))
    shared = world.services(world.Drawn(), journal=journal)
    run = Run.start(World(shared, Book(shared.journal, run_id), run_id=run_id))
    gc.collect()
    began, wall = time.process_time(), time.perf_counter()
    await _strands(run, strands, asks)
    cpu, took = time.process_time() - began, time.perf_counter() - wall
    await journal.aclose()
    effects = run.strand.world.book.seq
    return cpu / effects, took / effects


async def resumed(url: str, run_id: str, strands: int, asks: int) -> tuple[float, float, int]:
    """Continue a run that has ended: CPU seconds of loading, of the rest, and effects performed again."""
    gc.collect()
    journal = PostgresJournal(url)
    began = time.process_time()
    _, rows = await journal.load(run_id)
    loaded = time.process_time()
    book = Book(journal, run_id, rows)
    await _strands(Run.start(World(world.services(world.Drawn(), journal=journal), book, run_id=run_id)), strands, asks)
    ended = time.process_time()
    await journal.aclose()
    return loaded - began, ended - loaded, book.performed


def bare(server: Server, url: str, commits: int) -> tuple[float, float]:
    """Return CPU and wall-clock seconds of the yardstick: one row of the same size, committed alone."""
    import psycopg  # noqa: PLC0415  (an extra)

    server.sql(
        "CREATE TABLE IF NOT EXISTS row (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea)", url=url
    )
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        began, wall = time.process_time(), time.perf_counter()
        for _ in range(commits):
            connection.execute("INSERT INTO row (body) VALUES (%s)", (bytes(300),))
        return (time.process_time() - began) / commits, (time.perf_counter() - wall) / commits


def measure(report: Report, *, effects: int = 10_000, repeats: int = 5) -> None:
    """Print what durable effects cost on a server."""
    report.title("postgres", f"durable effects on a PostgreSQL server, {STRANDS} strands and one")
    try:
        server = Server(options=DURABLE)
    except CapabilityError as error:
        report.skipped("all of it", str(error))
        return
    with server, collector(owner=True):
        url = server.database()
        _measured(report, server, url, effects, repeats)


def _measured(report: Report, server: Server, url: str, effects: int, repeats: int) -> None:
    asks, alone = effects // STRANDS, max(10, effects // 20)
    commits, many, lone = list[tuple[float, float]](), list[tuple[float, float]](), list[tuple[float, float]]()
    for number in range(repeats):
        commits.append(bare(server, url, alone))
        many.append(asyncio.run(driven(url, f"strands{number}", STRANDS, asks)))
        lone.append(asyncio.run(driven(url, f"alone{number}", 1, alone)))
    again = [asyncio.run(resumed(url, "strands0", STRANDS, asks)) for _ in range(repeats)]
    commit, row, one = _smallest(commits), _smallest(many), _smallest(lone)
    report.shown("yardstick: a bare commit of one row, client CPU", commit[0] * 1e6, "us")
    report.shown("  the same, wall clock", commit[1] * 1000, "ms")
    report.judged(f"{STRANDS} strands", 1 / row[1], "effects/s", least=1500)
    report.judged("  the same, of bare commits in turn", row[1] / commit[1], "x", most=1, ratio=True)
    report.shown("  client CPU per effect, core included", row[0] * 1e6, "us")
    report.shown("one strand, one effect after the other", one[1] * 1000, "ms")
    report.shown("  the same, of bare commits", one[1] / commit[1], "x")
    report.shown("  client CPU per effect, core included", one[0] * 1e6, "us")
    report.judged(f"resume of {asks * STRANDS:,} effects", min(a + b for a, b, _ in again) * 1000, "ms CPU", most=400)
    report.shown("  of it: load and verify", min(one[0] for one in again) * 1000, "ms CPU")
    report.judged("  performed again", max(one[2] for one in again), "effects", most=0, ratio=True)


def _smallest(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(one[0] for one in found), min(one[1] for one in found)
