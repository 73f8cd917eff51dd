"""Checks that every journal must pass. One line per test file: `test_conforms = journal_suite(make)`.

    def make(folder: Path) -> Journal:
        return MyJournal(folder / "runs.db")

    test_conforms = journal_suite(make)

`make` is called again with the same folder to open the same journal a second time. A journal that dies with the process
says `lasting=False`, and is spared what it cannot do. A journal in files passes `damage`, one that was given a clock
passes `advance`, see `journal_suite`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Journal, Row, Usage
from stratagem.core._canonical import encoded
from stratagem.errors import JournalError, UsageError
from stratagem.testing._journal_bench import (
    OTHER,
    OWNER,
    Advance,
    Bench,
    Check,
    Damage,
    chain,
    durable,
    row,
    run_of,
    taken,
)  # fmt: skip
from stratagem.testing._journal_owners import CLOCK, DAMAGE, OTHERS, OWNERS
from stratagem.testing._journal_people import PEOPLE, SHARED

LARGE = 5_000_000
MANY = 10_000


async def rows_come_back_equal_and_in_order(bench: Bench) -> None:
    """Every field of every kind of row: nothing is rounded, cut, converted or lost."""
    rows = [
        row(0, kind="decision", usage=None, path="", request=b"", result=b"17", took=0),
        row(1, kind="order", usage=None, path="f/pool"),
        row(2, kind="intent", path="f/pool[3]", result=b"", usage=None),
        row(3, kind="tool", failed=True, result=b'["ToolError","no",{}]'),
        row(4, sample=0, occurrence=2, digest=bytes(32)),
        row(5, sample=3, occurrence=10**12, wall=-1, active=2**62, took=2**62),
        row(6, usage=Usage(1, 2, 3, 4, 5, 6, 7, None, 0.1 + 0.2, estimated=True)),
        row(7, usage=Usage(), kind="memory"),
        row(8, usage=Usage(usd=1e-9), kind="wait"),
        row(9, usage=Usage(prompt_tokens=2**53, seconds=1e300), kind="reset"),
        row(10, request=bytes(range(256)), result=b"\x00"),
    ]
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    for one in rows:
        await durable(journal.append("abcdef", one, alone=one.seq % 2 == 0))
    run, found = await journal.load("abcdef")
    assert run == run_of("abcdef")
    assert found == rows
    assert [type(value) for one in found for value in one] == [type(value) for one in rows for value in one]
    assert repr(found) == repr(rows)


async def any_text_comes_back(bench: Bench) -> None:
    """Paths and payloads in any script, with lone surrogates, NUL and quotes, empty and long."""
    texts = [
        "",
        "日本語/map[键]",
        "\U0001f600",
        "e\u0301",
        "\u00e9",
        "a\ud800b",
        "nul\x00end",
        "'\"; DROP TABLE run;--",
        "x" * 5000,
    ]
    rows = [row(n, path=text, request=text.encode("utf-8", "surrogatepass")) for n, text in enumerate(texts)]
    journal = bench.open()
    start = run_of("abcdef", question="Où est le cœur? \U0001f600", parent="zyxwvu")
    await durable(journal.create(start))
    for one in rows:
        await durable(journal.append("abcdef", one))
    assert await journal.load("abcdef") == (start, rows)


async def large_payloads_come_back(bench: Bench) -> None:
    """5 MB in one row, packed or not, alone or not; the same payload twice; sizes around a kilobyte."""
    noise = bytes(n * n * 31 % 251 ^ n % 13 for n in range(100_000)) * (LARGE // 100_000)
    sizes = [b"y" * size for size in (1023, 1024, 1025)]
    payloads = [noise, b"a" * LARGE, *sizes, noise, *sizes]
    rows = [row(n, request=payload, result=payload) for n, payload in enumerate(payloads)]
    journal = bench.open()
    start = run_of("abcdef", question="q" * 1_000_000)
    await durable(journal.create(start))
    for one in rows:
        await durable(journal.append("abcdef", one, alone=True))
    run, found = await journal.load("abcdef")
    assert run == start
    assert found == rows


async def interleaved_runs_keep_apart(bench: Bench) -> None:
    """Rows of many runs arrive in turn; each run has its own, in the order of `append`."""
    journal = bench.open()
    names = [f"run{number:03}" for number in range(20)]
    for name in names:
        journal.create(run_of(name))
    last = None
    for seq in range(30):
        for number, name in enumerate(names):
            last = journal.append(name, row(seq, path=f"{name}/{seq % 3}", took=number))
    await durable(last)
    for number, name in enumerate(names):
        _, rows = await journal.load(name)
        assert rows == [row(seq, path=f"{name}/{seq % 3}", took=number) for seq in range(30)]


async def decisions_are_durable_before_later_effects(bench: Bench) -> None:
    """Nobody awaits a decision; it is there, and in its place, once a later row is."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    expected: list[Row] = []
    for seq in range(0, 30, 3):
        expected += [row(seq, kind="decision"), row(seq + 1, kind="order"), row(seq + 2)]
        journal.append("abcdef", expected[-3])
        journal.append("abcdef", expected[-2])
        await durable(journal.append("abcdef", expected[-1], alone=seq % 2 == 0))
        _, rows = await journal.load("abcdef")
        assert rows == expected


async def a_decision_can_be_awaited(bench: Bench) -> None:
    """Whoever does wait for one is not kept waiting for a later row."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    async with asyncio.timeout(20):
        await durable(journal.append("abcdef", row(0, kind="decision")))
    assert (await journal.load("abcdef"))[1] == [row(0, kind="decision")]


async def ten_thousand_rows_come_back(bench: Bench) -> None:
    """Appended in one go, and loaded twice."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    rows = [row(seq, path=f"f/map[{seq % 100}]") for seq in range(MANY)]
    waiting = [journal.append("abcdef", one) for one in rows]
    for one in waiting:
        await durable(one)
    for _ in range(2):
        assert (await journal.load("abcdef"))[1] == rows


async def many_tasks_append_at_once(bench: Bench) -> None:
    """A hundred branches append to one run, each waiting for its row; the order is that of the calls."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    appended: list[Row] = []

    async def branch(number: int) -> None:
        for _ in range(5):
            appended.append(row(len(appended), path=f"f/map[{number}]"))
            await durable(journal.append("abcdef", appended[-1]))

    await asyncio.gather(*(branch(number) for number in range(100)))
    _, rows = await journal.load("abcdef")
    assert len(rows) == 500
    assert rows == appended


async def a_cancelled_wait_does_not_stop_the_write(bench: Bench) -> None:
    """A branch that is cancelled while its row is under way leaves the row and everybody else alone."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    tasks = [asyncio.ensure_future(durable(journal.append("abcdef", row(seq)))) for seq in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    await durable(journal.append("abcdef", row(4), alone=True))
    assert not any(task.cancelled() for task in (tasks[0], *tasks[2:]))
    assert (await journal.load("abcdef"))[1] == [row(seq) for seq in range(5)]


async def a_record_can_be_replaced(bench: Bench) -> None:
    """State, owner and end change; how many rows there are is counted by the store, when it stops."""
    journal = bench.open()
    start = run_of("abcdef")
    await durable(journal.create(start))
    for seq in range(3):
        journal.append("abcdef", row(seq))
    waits = start._replace(state="waiting", updated=2000, end=b'{"needs":["q1"]}', rows=0)
    await durable(journal.update(waits))
    found, _ = await journal.load("abcdef")
    assert found._replace(seal=b"") == waits._replace(rows=3)
    assert found.seal in (b"", chain([row(seq) for seq in range(3)]))
    again = start._replace(owner=OTHER, updated=3000)
    journal.update(again)
    await durable(journal.append("abcdef", row(3)))
    assert await journal.load("abcdef") == (again, [row(seq) for seq in range(4)])
    ended = again._replace(state="finished", updated=4000, end=b'{"text":"yes"}', rows=1)
    await durable(journal.update(ended))
    found, rows = await journal.load("abcdef")
    assert found._replace(seal=b"") == ended._replace(rows=4)
    assert len(rows) == 4


async def a_run_without_rows_can_end(bench: Bench) -> None:
    """It has no rows, and no seal."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.update(run_of("abcdef", state="failed", rows=0)))
    assert await journal.load("abcdef") == (run_of("abcdef", state="failed", rows=0), [])


async def runs_are_listed_newest_first(bench: Bench) -> None:
    """By state, strategy, age and text; never more than `limit`."""
    journal = bench.open()
    assert await journal.runs() == []
    records = [
        run_of("aaaaa1", "Where is the Ärger?", created=1),
        run_of("aaaaa2", "How MANY rows?", created=2, state="finished"),
        run_of("bbbbb3", "how many columns?", created=3),
        run_of("bbbbb4", "why?", created=4, state="finished", record=encoded({"strategy": "direct"})),
    ]
    for record in records:
        await durable(journal.create(record))

    async def ids(**wanted: Any) -> list[str]:
        return [run.run_id for run in await journal.runs(**wanted)]

    assert await journal.runs() == records[::-1]
    assert await ids(limit=2) == ["bbbbb4", "bbbbb3"]
    assert await ids(state="finished") == ["bbbbb4", "aaaaa2"]
    assert await ids(state="waiting") == []
    assert await ids(strategy="direct") == ["bbbbb4"]
    assert await ids(strategy="react") == ["bbbbb3", "aaaaa2", "aaaaa1"]
    assert await ids(since=3) == ["bbbbb4", "bbbbb3"]
    assert await ids(text="many") == ["bbbbb3", "aaaaa2"]
    assert await ids(text="BBB") == ["bbbbb4", "bbbbb3"]
    assert await ids(text="bbb", state="running", strategy="react") == ["bbbbb3"]
    assert await ids(text="%") == []


async def ids_are_found_by_prefix(bench: Bench) -> None:
    """Newest first, at most 20; nothing is a pattern."""
    journal = bench.open()
    for number in range(30):
        await durable(journal.create(run_of(f"k{number:05}", created=number)))
    await durable(journal.create(run_of("zzzzzz", created=5)))
    assert await journal.ids("z") == ["zzzzzz"]
    assert await journal.ids("k0002") == [f"k{number:05}" for number in range(29, 19, -1)]
    assert await journal.ids("k") == [f"k{number:05}" for number in range(29, 9, -1)]
    assert (await journal.ids(""))[:2] == ["k00029", "k00028"]
    assert await journal.ids("k00001") == ["k00001"]
    assert await journal.ids("%") == await journal.ids("_") == await journal.ids("x") == []


async def an_unknown_run_names_the_nearest(bench: Bench) -> None:
    """A typing error is answered with what was meant."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    with pytest.raises(UsageError, match=r"'abcdeg'.*did you mean 'abcdef'"):
        await journal.load("abcdeg")


async def a_thousand_runs_begin_at_once(bench: Bench) -> None:
    """And each has its first row."""
    journal = bench.open()
    waiting: list[Awaitable[None] | None] = []
    for number in range(1000):
        waiting.append(journal.create(run_of(f"r{number:05}", created=number)))
        waiting.append(journal.append(f"r{number:05}", row(0, took=number)))
    for one in waiting:
        await durable(one)
    assert len(await journal.runs(limit=5000)) == 1000
    assert (await journal.load("r00999"))[1] == [row(0, took=999)]


async def closing_twice_is_allowed(bench: Bench) -> None:
    """Also without having written."""
    journal = bench.open()
    await journal.aclose()
    await journal.aclose()


async def nothing_is_damaged(bench: Bench) -> None:
    """Of a sound run nothing is dropped."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.append("abcdef", row(0)))
    assert await journal.drop_damaged("abcdef") == 0
    assert await journal.load("abcdef") == (run_of("abcdef"), [row(0)])


async def closing_writes_what_is_queued(bench: Bench) -> None:
    """Also what nobody waited for, decisions included."""
    journal = bench.open()
    journal.create(run_of("abcdef"))
    journal.append("abcdef", row(0))
    journal.append("abcdef", row(1, kind="decision"))
    journal = await bench.reopened(journal)
    assert await journal.load("abcdef") == (run_of("abcdef"), [row(0), row(1, kind="decision")])


async def another_process_goes_on(bench: Bench) -> None:
    """Rows that follow in a second process are sealed to those of the first."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    rows = [row(seq) for seq in range(6)]
    for number, one in enumerate(rows):
        if number % 2 == 0:
            journal = await bench.reopened(journal)
            assert (await taken(journal, "abcdef"))[1] == rows[:number]
        await durable(journal.append("abcdef", one, alone=True))
    await durable(journal.update(run_of("abcdef", state="finished", rows=0)))
    journal = await bench.reopened(journal)
    run, found = await journal.load("abcdef")
    assert (run.state, run.rows, run.seal) == ("finished", 6, chain(rows))
    assert found == rows


async def what_is_durable_is_seen_by_others(bench: Bench) -> None:
    """A second reader finds every row whose write was waited for, while the first is still open."""
    first, second = bench.open(), bench.open()
    await durable(first.create(run_of("abcdef")))
    for seq in range(5):
        await durable(first.append("abcdef", row(seq), alone=seq % 2 == 0))
        assert (await second.load("abcdef"))[1] == [row(n) for n in range(seq + 1)]


async def a_question_is_found_in_any_script(bench: Bench) -> None:
    """Without regard to case, beyond ASCII too; names of the record's own parts are not found."""
    journal = bench.open()
    for number, question in enumerate(["Où est l'ÉCOLE?", "Wo ist die Straße?", "ΣΊΣΥΦΟΣ"]):
        await durable(journal.create(run_of(f"aaaaa{number}", question)))
    for text, wanted in [("école", "aaaaa0"), ("STRASSE", "aaaaa1"), ("σίσυφος", "aaaaa2")]:
        assert [run.run_id for run in await journal.runs(text=text)] == [wanted]
    assert await journal.runs(text="strategy") == []


async def an_id_is_used_once(bench: Bench) -> None:
    """A second run of the same id is refused, and the first stays."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.append("abcdef", row(0)))
    with pytest.raises(JournalError, match="there is a run 'abcdef' already"):
        await durable(journal.create(run_of("abcdef", "Something else?")))
    await durable(journal.append("abcdef", row(1)))
    assert await journal.load("abcdef") == (run_of("abcdef"), [row(0), row(1)])


async def nothing_is_written_after_the_close(bench: Bench) -> None:
    """Every call says that the journal is closed."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    await journal.aclose()
    for call in (
        lambda: durable(journal.append("abcdef", row(0))),
        lambda: durable(journal.append("abcdef", row(0), alone=True)),
        lambda: durable(journal.create(run_of("uvwxyz"))),
        lambda: durable(journal.update(run_of("abcdef"))),
        lambda: journal.load("abcdef"),
        lambda: journal.runs(),
        lambda: journal.ids(""),
        lambda: journal.drop_damaged("abcdef"),
        lambda: durable(journal.ask("abcdef", "q1", b"{}")),
        lambda: durable(journal.beat(OWNER)),
        lambda: journal.park(run_of("abcdef", owner=b""), []),
        lambda: journal.answer("abcdef", "q1", b"1"),
        lambda: journal.answers(["abcdef"]),
        lambda: journal.claim("abcdef", 1, OTHER),
        lambda: journal.age(OWNER),
        lambda: journal.find("abcdef"),
        lambda: journal.children("abcdef"),
        lambda: journal.remove(["abcdef"]),
        lambda: journal.sweep(),
        lambda: journal.check(),
    ):
        with pytest.raises(JournalError, match="closed"):
            await call()


CHECKS: list[Check] = [
    rows_come_back_equal_and_in_order,
    any_text_comes_back,
    large_payloads_come_back,
    interleaved_runs_keep_apart,
    decisions_are_durable_before_later_effects,
    a_decision_can_be_awaited,
    ten_thousand_rows_come_back,
    many_tasks_append_at_once,
    a_cancelled_wait_does_not_stop_the_write,
    a_record_can_be_replaced,
    a_run_without_rows_can_end,
    runs_are_listed_newest_first,
    ids_are_found_by_prefix,
    an_unknown_run_names_the_nearest,
    a_thousand_runs_begin_at_once,
    closing_twice_is_allowed,
    nothing_is_damaged,
    *PEOPLE,
    *OWNERS,
]

LASTING: list[Check] = [
    closing_writes_what_is_queued,
    another_process_goes_on,
    what_is_durable_is_seen_by_others,
    a_question_is_found_in_any_script,
    an_id_is_used_once,
    nothing_is_written_after_the_close,
    *SHARED,
    *OTHERS,
]


def journal_suite(
    make: Callable[[Path], Journal],
    *,
    lasting: bool = True,
    damage: Damage | None = None,
    advance: Advance | None = None,
) -> Callable[[Check, Path], Awaitable[None]]:
    """Return a test that runs every check on a journal, each in a folder of its own.

    Args:
        make: returns the journal of a folder; called again with the same folder, it opens the same journal.
        lasting: whether the journal outlives the object that `make` returned.
        damage: changes one byte of the stored row with that number of that run, in a folder whose journal is closed.
        advance: moves the hands of the clock that `make` gave to the journal, by seconds. One that follows a clock which
            cannot be moved, as that of a server, leaves it out.
    """
    checks = [*CHECKS, *(LASTING if lasting else []), *(DAMAGE if damage else []), *(CLOCK if advance else [])]

    @pytest.mark.parametrize("check", checks, ids=[check.__name__ for check in checks])
    async def test(check: Check, tmp_path: Path) -> None:
        bench = Bench(make, tmp_path, damage, advance)
        try:
            await check(bench)
        finally:
            await bench.close()

    return test


__all__ = [
    "CHECKS",
    "CLOCK",
    "DAMAGE",
    "LASTING",
    "OTHER",
    "OWNER",
    "Advance",
    "Bench",
    "Check",
    "Damage",
    "chain",
    "durable",
    "journal_suite",
    "row",
    "run_of",
    "taken",
]
