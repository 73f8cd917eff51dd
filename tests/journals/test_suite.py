"""The suite notices journals that do not keep what they were given."""

from pathlib import Path
from typing import Any

import pytest

from stratagem.core import MemoryJournal, Row, StoredRun, Usage
from stratagem.errors import UsageError
from stratagem.testing import journal_suite as suite
from stratagem.testing.journal_suite import Bench, Check

SHELF: dict[Path, MemoryJournal] = {}


class Kept(MemoryJournal):
    """A journal in memory that acts as if it lasted: each folder has one, whoever opens it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._shared = SHELF.setdefault(folder, MemoryJournal())
        self._runs, self._rows = self._shared._runs, self._shared._rows


class Reversed(MemoryJournal):
    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        self._rows[run_id].insert(0, row)


class Free(MemoryJournal):
    """Forgets what was unknown about a price."""

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        if row.usage is not None and row.usage.usd is None:
            row = row._replace(usage=Usage(*row.usage[:7]))
        super().append(run_id, row)


class Rounded(MemoryJournal):
    """Turns whole numbers into floats, which compare equal."""

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        super().append(run_id, row._replace(took=float(row.took)))  # pyright: ignore[reportArgumentType]


class Clean(MemoryJournal):
    """Replaces what is not Unicode."""

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        super().append(run_id, row._replace(path=row.path.encode("utf-8", "replace").decode()))


class Short(MemoryJournal):
    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        super().append(run_id, row._replace(result=row.result[:1_000_000]))


class Mixed(MemoryJournal):
    """All rows in one pot."""

    def create(self, run: StoredRun) -> None:
        super().create(run)
        self._rows[run.run_id] = next(iter(self._rows.values()))


class Undecided(MemoryJournal):
    """Keeps no decisions."""

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        if row.kind != "decision":
            super().append(run_id, row)


class Believing(MemoryJournal):
    """Believes whoever says how many rows there are."""

    def update(self, run: StoredRun) -> None:
        self._runs[run.run_id] = run


class Stubborn(MemoryJournal):
    def update(self, run: StoredRun) -> None:
        super().update(run._replace(answers=b"{}"))


class Oldest(MemoryJournal):
    async def runs(self, **wanted: Any) -> list[StoredRun]:
        return (await super().runs(**wanted))[::-1]


class Everything(MemoryJournal):
    async def runs(self, **wanted: Any) -> list[StoredRun]:
        return await super().runs(**{**wanted, "state": None})


class Patterns(MemoryJournal):
    async def ids(self, prefix: str) -> list[str]:
        return await super().ids("" if prefix == "%" else prefix)


class Silent(MemoryJournal):
    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        return await super().load(run_id) if run_id in self._runs else (StoredRun(run_id), [])


class Eager(MemoryJournal):
    async def drop_damaged(self, run_id: str) -> int:
        self._rows[run_id].pop()
        return 1


class Once(MemoryJournal):
    closed = False

    async def aclose(self) -> None:
        assert not self.closed
        self.closed = True


@pytest.mark.parametrize(
    ("journal", "check"),
    [
        (Reversed, suite.rows_come_back_equal_and_in_order),
        (Reversed, suite.many_tasks_append_at_once),
        (Reversed, suite.ten_thousand_rows_come_back),
        (Free, suite.rows_come_back_equal_and_in_order),
        (Rounded, suite.rows_come_back_equal_and_in_order),
        (Clean, suite.any_text_comes_back),
        (Short, suite.large_payloads_come_back),
        (Mixed, suite.interleaved_runs_keep_apart),
        (Mixed, suite.a_thousand_runs_begin_at_once),
        (Undecided, suite.decisions_are_durable_before_later_effects),
        (Undecided, suite.a_decision_can_be_awaited),
        (Believing, suite.a_record_can_be_replaced),
        (Stubborn, suite.a_record_can_be_replaced),
        (Oldest, suite.runs_are_listed_newest_first),
        (Everything, suite.runs_are_listed_newest_first),
        (Patterns, suite.ids_are_found_by_prefix),
        (Silent, suite.an_unknown_run_names_the_nearest),
        (Eager, suite.nothing_is_damaged),
        (Once, suite.closing_twice_is_allowed),
    ],
)
async def test_a_defect_is_noticed(tmp_path, journal, check: Check):
    await check(Bench(lambda _: MemoryJournal(), tmp_path, None))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(Bench(lambda _: journal(), tmp_path, None))


@pytest.mark.parametrize(
    "check", [suite.an_old_owner_is_stopped, suite.an_id_is_used_once, suite.nothing_is_written_after_the_close]
)
async def test_a_journal_that_refuses_nothing_is_noticed(tmp_path, check: Check):
    with pytest.raises((AssertionError, pytest.fail.Exception, IndexError)):
        await check(Bench(Kept, tmp_path, None))


@pytest.mark.parametrize("check", [suite.closing_writes_what_is_queued, suite.what_is_durable_is_seen_by_others])
async def test_a_journal_that_forgets_is_noticed(tmp_path, check: Check):
    await check(Bench(Kept, tmp_path, None))
    with pytest.raises(UsageError, match="there is no run"):
        await check(Bench(lambda _: MemoryJournal(), tmp_path, None))


async def test_damage_that_is_not_noticed_is_noticed(tmp_path):
    with pytest.raises(pytest.fail.Exception):
        await suite.a_damaged_row_is_named_and_can_be_dropped(Bench(Kept, tmp_path, lambda *_: None))


def test_each_check_is_run_once_and_only_where_it_applies():
    def names(**settings: Any) -> list[str]:
        test: Any = suite.journal_suite(lambda _: MemoryJournal(), **settings)
        return test.pytestmark[0].kwargs["ids"]

    few, more, all_ = names(lasting=False), names(), names(damage=lambda *_: None)
    assert (len(few), len(more), len(all_)) == (17, 24, 25)
    assert len(set(all_)) == 25
    assert all_[:24] == more
    assert more[:17] == few
