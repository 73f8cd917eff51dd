"""The suite notices journals that do not keep what they were given."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import MemoryJournal, Row, StoredRun, SystemClock, Usage
from stratagem.core._journal import Condition
from stratagem.errors import OwnedElsewhere, UsageError
from stratagem.testing import _journal_owners as owners
from stratagem.testing import _journal_people as people
from stratagem.testing import journal_suite as suite
from stratagem.testing.journal_suite import Bench, Check

SHELF: dict[Path, MemoryJournal] = {}


class Kept(MemoryJournal):
    """A journal in memory that acts as if it lasted: each folder has one, whoever opens it. It never refuses a write."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        first = SHELF.setdefault(folder, self)
        self._runs, self._rows, self._driven, self._beats = first._runs, first._rows, first._driven, first._beats


class Shared(Kept):
    """Likewise, but each object may write only to what it has created or claimed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._mine_at: dict[str, tuple[int, int]] = {}

    def create(self, run: StoredRun) -> None:
        super().create(run)
        self._own(run.run_id)

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        await super().claim(run_id, epoch, owner)
        self._own(run_id)

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        self._mine(run_id)
        super().append(run_id, row)

    def _own(self, run_id: str) -> None:
        self._mine_at[run_id] = id(self._rows[run_id]), self._runs[run_id].epoch

    def _mine(self, run_id: str) -> StoredRun:
        run = super()._mine(run_id)
        if self._mine_at.get(run_id) != (id(self._rows[run_id]), run.epoch):
            raise OwnedElsewhere(f"run {run_id!r} is not driven here")
        return run


class Unfenced(Shared):
    """Looks at nobody's epoch when a row comes."""

    def append(self, run_id: str, row: Row, *, alone: bool = False) -> None:
        self._rows[run_id].append(row)


class UnfencedUpdate(Shared):
    def update(self, run: StoredRun) -> None:
        self._own(run.run_id)
        super().update(run)


class UnfencedAsk(Shared):
    def ask(self, run_id: str, question: str, form: bytes) -> None:
        self._own(run_id)
        super().ask(run_id, question, form)


class UnfencedPark(Shared):
    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        self._own(run.run_id)
        return await super().park(run, waiting)


class Lending(Shared):
    """Lets everybody write who has looked."""

    async def load(self, run_id: str) -> tuple[StoredRun, list[Row]]:
        found = await super().load(run_id)
        self._own(run_id)
        return found


class Late(Shared):
    """Looks for answers, does something else, and lets go."""

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        said = (await self.answers([run.run_id]))[run.run_id]
        found = {question: said[question] for question in waiting if question in said}
        await asyncio.sleep(0)
        if not found:
            self.update(run)
        return found


class Twice(Shared):
    """Looks whether there is an answer, does something else, and takes this one."""

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        run = self._known(run_id)
        if question in (await self.answers([run_id]))[run_id]:
            return None
        await asyncio.sleep(0)
        self._runs[run_id] = run._replace(answers=b'{"%s":%s}' % (question.encode(), value))
        return self._runs[run_id]


class Quick(Shared):
    """Looks at the epoch, does something else, and takes the run."""

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        run = self._known(run_id)
        await asyncio.sleep(0)
        if run.epoch != epoch:
            raise OwnedElsewhere(run_id)
        self._runs[run_id] = run._replace(epoch=epoch + 1, owner=owner)
        self._own(run_id)


class Deaf(Shared):
    """Remembers what was said the first time it was asked."""

    async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        self._heard = getattr(self, "_heard", None) or await super().answers(run_ids)
        return self._heard


class Selfish(Shared):
    """Knows of no beats but its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._beats = {}


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
        super().update(run._replace(end=b""))


class Trusting(MemoryJournal):
    """Believes a record what persons said."""

    def update(self, run: StoredRun) -> None:
        super().update(run)
        self._runs[run.run_id] = self._runs[run.run_id]._replace(answers=run.answers)


class Repeating(MemoryJournal):
    """Asks again what was asked."""

    def ask(self, run_id: str, question: str, form: bytes) -> None:
        run = self._mine(run_id)
        self._runs[run_id] = run._replace(questions=b'{"%s":%s}' % (question.encode(), form))


class Correcting(MemoryJournal):
    """Takes a second answer for a better one."""

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        self._runs[run_id] = self._known(run_id)._replace(answers=b"{}")
        return await super().answer(run_id, question, value)


class Open(MemoryJournal):
    """Takes answers to anything."""

    async def answer(self, run_id: str, question: str, value: bytes) -> StoredRun | None:
        if run_id in self._driven:
            self.ask(run_id, question, b"{}")
        return await super().answer(run_id, question, value)


class OneRun(MemoryJournal):
    """Takes all runs for the last."""

    async def answers(self, run_ids: Sequence[str]) -> dict[str, dict[str, bytes]]:
        found = await super().answers(run_ids)
        return dict.fromkeys(found, found[run_ids[-1]]) if found else {}


class New(MemoryJournal):
    """Thinks that a new run has asked nothing."""

    def create(self, run: StoredRun) -> None:
        super().create(run._replace(questions=b"{}", answers=b"{}"))


class Clinging(MemoryJournal):
    """Never lets go."""

    def update(self, run: StoredRun) -> None:
        super().update(run)
        self._driven[run.run_id] = self._rows[run.run_id]


class Parking(MemoryJournal):
    """Parks whatever was said."""

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        return await super().park(run, [])


class Halting(MemoryJournal):
    """Does not park if anything was ever said."""

    async def park(self, run: StoredRun, waiting: Sequence[str]) -> dict[str, bytes]:
        return await super().park(run, list((await self.answers([run.run_id]))[run.run_id]))


class Easy(MemoryJournal):
    """Hands a run to whoever asks."""

    async def claim(self, run_id: str, epoch: int, owner: bytes) -> None:
        await super().claim(run_id, self._known(run_id).epoch, owner)


class Ageless(MemoryJournal):
    async def age(self, owner: bytes) -> float | None:
        return 0.0


class Nearby(MemoryJournal):
    """Finds runs by the beginning of their id."""

    async def find(self, run_id: str) -> StoredRun | None:
        ids = await self.ids(run_id)
        return self._runs[ids[0]] if ids else None


class Youngest(MemoryJournal):
    async def children(self, run_id: str) -> list[str]:
        return (await super().children(run_id))[::-1]


class Few(MemoryJournal):
    async def children(self, run_id: str) -> list[str]:
        return (await super().children(run_id))[:20]


class Hoarding(MemoryJournal):
    """Counts runs as removed that it never had."""

    async def remove(self, run_ids: Sequence[str]) -> int:
        await super().remove(run_ids)
        return len(run_ids)


class Remembering(MemoryJournal):
    """Leaves the rows of removed runs behind."""

    async def remove(self, run_ids: Sequence[str]) -> int:
        rows = dict(self._rows)
        gone = await super().remove(run_ids)
        self._rows.update(rows)
        return gone


class Alarming(MemoryJournal):
    async def check(self) -> Condition:
        return (await super().check())._replace(damage=("something is wrong",))


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
        (New, people.a_run_is_created_with_its_questions),
        (OneRun, people.answers_are_of_their_own_run),
        (Trusting, people.a_record_keeps_its_questions_and_answers),
        (Repeating, people.questions_and_answers_come_back),
        (Repeating, people.a_question_is_asked_once),
        (Correcting, people.an_answer_is_taken_once),
        (Open, people.what_was_not_asked_cannot_be_answered),
        (Clinging, people.a_parked_run_is_let_go),
        (Clinging, owners.who_lets_go_of_a_run_must_claim_it),
        (Parking, people.an_answer_that_came_first_keeps_a_run_from_parking),
        (Halting, people.an_answer_that_came_first_keeps_a_run_from_parking),
        (Easy, owners.a_run_is_claimed_at_the_epoch_it_has),
        (Ageless, owners.each_owner_has_an_age),
        (Nearby, owners.a_run_is_found_by_its_id),
        (Youngest, owners.children_are_listed_oldest_first),
        (Few, owners.children_are_listed_oldest_first),
        (Hoarding, owners.removal_leaves_others_whole),
        (Remembering, owners.removal_leaves_others_whole),
        (Alarming, owners.a_sound_store_is_found_sound),
    ],
)
async def test_a_defect_is_noticed(tmp_path, journal, check: Check):
    await check(Bench(lambda _: MemoryJournal(), tmp_path, None))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(Bench(lambda _: journal(), tmp_path, None))


@pytest.mark.parametrize(
    ("journal", "check"),
    [
        (Deaf, people.an_answer_reaches_the_owner),
        (Twice, people.of_two_answers_at_once_one_is_taken),
        (Late, people.a_run_is_parked_or_answered_first),
        (Quick, owners.of_two_claims_one_succeeds),
        (Lending, owners.who_only_looks_may_not_write),
        (Lending, owners.a_fenced_owner_stores_nothing),
        (Kept, owners.a_removed_run_is_not_written_into_its_successor),
        (Selfish, owners.a_beat_is_seen_by_others),
        *(
            (journal, owners.each_write_of_a_fenced_owner_is_refused_by_itself)
            for journal in (Unfenced, UnfencedUpdate, UnfencedAsk, UnfencedPark)
        ),
    ],
)
async def test_a_defect_that_two_objects_show_is_noticed(tmp_path, journal, check: Check):
    await check(Bench(Shared, tmp_path / "sound", None))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(Bench(journal, tmp_path / "defect", None))


async def test_a_clock_that_stands_still_is_noticed(tmp_path):
    class Hands(SystemClock):
        now = 5

        def stamp(self) -> int:
            return self.now

    clock = Hands()

    def advance(seconds: float) -> None:
        clock.now += round(seconds * 1e6)

    await owners.ages_follow_the_clock(Bench(lambda _: MemoryJournal(clock), tmp_path, None, advance))
    with pytest.raises(AssertionError):
        await owners.ages_follow_the_clock(Bench(lambda _: MemoryJournal(clock), tmp_path, None, lambda _: None))


@pytest.mark.parametrize(
    "check", [owners.an_old_owner_is_stopped, suite.an_id_is_used_once, suite.nothing_is_written_after_the_close]
)
async def test_a_journal_that_refuses_nothing_is_noticed(tmp_path, check: Check):
    with pytest.raises((AssertionError, pytest.fail.Exception, IndexError)):
        await check(Bench(Kept, tmp_path, None))


@pytest.mark.parametrize(
    "check",
    [
        suite.closing_writes_what_is_queued,
        suite.what_is_durable_is_seen_by_others,
        people.questions_and_answers_survive,
    ],
)
async def test_a_journal_that_forgets_is_noticed(tmp_path, check: Check):
    await check(Bench(Kept, tmp_path, None))
    with pytest.raises((UsageError, AssertionError)):
        await check(Bench(lambda _: MemoryJournal(), tmp_path, None))


async def test_damage_that_is_not_noticed_is_noticed(tmp_path):
    with pytest.raises(pytest.fail.Exception):
        await owners.a_damaged_row_is_named_and_can_be_dropped(Bench(Kept, tmp_path, lambda *_: None))


def test_each_check_is_run_once_and_only_where_it_applies():
    def names(**settings: Any) -> list[str]:
        test: Any = suite.journal_suite(lambda _: MemoryJournal(), **settings)
        return test.pytestmark[0].kwargs["ids"]

    few, more, all_ = names(lasting=False), names(), names(damage=lambda *_: None, advance=lambda _: None)
    assert (len(few), len(more), len(all_)) == (33, 50, 52)
    assert len(set(all_)) == 52
    assert all_[:50] == more
    assert more[:33] == few
