"""Every stored value is covered by a checksum: whichever is changed, the run is refused and what is wrong is named."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from stratagem.core import Row, StoredRun, Usage
from stratagem.errors import JournalCorrupt, OwnedElsewhere
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import OTHER, OWNER, durable, row, run_of, taken

FORM = b'{"question":"Which way?"}'


def rows_of(run_id: str) -> list[Row]:
    """Return rows of every sort; what is stored apart is this run's alone."""
    return [
        row(0),
        row(1, request=(run_id + "q" * 2000).encode(), result=(run_id + "r" * 3000).encode()),
        row(2, kind="tool", failed=True, usage=None, path="a\ud800b"),
        row(3, kind="decision", sample=2, usage=Usage(usd=None)),
    ]


async def stored(journal: PostgresJournal, run_id: str = "abcdef") -> StoredRun:
    """Write a run that has everything, and that has stopped."""
    await durable(journal.create(run_of(run_id, parent="zyxwvu")))
    for one in rows_of(run_id):
        journal.append(run_id, one)
    for question in ("q1", "q2"):
        journal.ask(run_id, question, FORM)
    await journal.answer(run_id, "q1", b'"left"')
    stops = run_of(run_id, parent="zyxwvu", state="waiting", rows=0, end=b'{"waiting":["q2"]}')
    await durable(journal.update(stops))
    run, rows = await journal.load(run_id)
    assert rows == rows_of(run_id)
    return run


@pytest.fixture
async def journal(database):
    journal = PostgresJournal(database)
    yield journal
    await journal.aclose()


class Case:
    """A run that is damaged; `sql` does a statement in which `{run}` is its key."""

    def __init__(self, journal: PostgresJournal, number: int, sql: Callable[..., Any]) -> None:
        self.journal, self.run_id, self._sql = journal, f"case{number:03}", sql

    def sql(self, statement: str, *values: Any) -> Any:
        return self._sql(
            statement.replace("{run}", f"(SELECT n FROM stratagem.run WHERE id = '{self.run_id}')"), *values
        )

    async def is_refused(self, said: str, *, dropped: int) -> None:
        """See the run refused for that reason, and that it goes on when what is damaged is dropped."""
        journal, run_id = self.journal, self.run_id
        with pytest.raises(JournalCorrupt, match=f"run '{run_id}': .*{said}"):
            await journal.load(run_id)
        assert any(f"'{run_id}': " in told and said in told for told in (await journal.check()).damage)
        assert await journal.drop_damaged(run_id) == dropped
        run, rows = await journal.load(run_id)
        sound = [one for one in rows if one.kind != "intent"]
        assert sound == [one for one in rows_of(run_id) if one in sound]
        lost = "follows" in said or "stopped with" in said
        assert len(sound) >= 4 - dropped - lost
        assert (run.state, run.owner, run.rows) == ("running", b"", -1)
        assert await journal.drop_damaged(run_id) == 0
        assert await journal.load(run_id) == (run, rows)


def changed(column: str, kind: str) -> str:
    """Return SQL for another value of a column."""
    if kind == "bytea":
        return f"set_byte({column}, length({column}) / 2, get_byte({column}, length({column}) / 2) # 4)"
    return {"bigint": f"{column} + 1", "text": f"{column} || 'x'"}[kind]


EFFECT = {
    "kind": "text", "path": "bytea", "occurrence": "bigint", "wall": "bigint", "active": "bigint", "took": "bigint",
    "sample": "bigint", "digest": "bytea", "seal": "bytea", "request": "bytea", "result": "bytea",
}  # fmt: skip

HEALED = {"kind", "path", "seal", "occurrence"}  # the seal tells what they were

ROW_CHANGES = [
    ("UPDATE stratagem.effect SET usage = '[1,1,1]' WHERE seq = 0 AND run = {run}", "row 0 is not what was written", 1),
    ("UPDATE stratagem.effect SET usage = '[1,1' WHERE seq = 0 AND run = {run}", "row 0 is not what was written", 1),
    ("UPDATE stratagem.effect SET usage = '' WHERE seq = 1 AND run = {run}", "row 1 is not what was written", 1),
    ("UPDATE stratagem.effect SET flags = flags # 1 WHERE seq = 2 AND run = {run}", "row 2 is not what was written", 1),
    ("UPDATE stratagem.effect SET flags = flags # 8 WHERE seq = 2 AND run = {run}", "row 2 is not what was written", 1),
    ("UPDATE stratagem.effect SET flags = flags # 2 WHERE seq = 0 AND run = {run}", "row 0 has lost its request", 1),
    ("UPDATE stratagem.effect SET seq = 9 WHERE seq = 1 AND run = {run}", "row 2 is not what follows row 0", 2),
    ("DELETE FROM stratagem.effect WHERE seq = 1 AND run = {run}", "row 2 is not what follows row 0", 2),
    ("DELETE FROM stratagem.effect WHERE seq = 3 AND run = {run}", "it stopped with 4 rows, and has 3", 1),
    ("DELETE FROM stratagem.blob WHERE size = 2007", "row 1 has lost its request", 1),
    ("DELETE FROM stratagem.blob WHERE size = 3007", "row 1 has lost its result", 1),
    ("UPDATE stratagem.blob SET size = size + 1 WHERE size = 3007", "row 1 has lost its result", 1),
    ("UPDATE stratagem.blob SET size = 9000000000000000000 WHERE size = 3007", "row 1 has lost its result", 1),
    (f"UPDATE stratagem.blob SET body = {changed('body', 'bytea')} WHERE size = 2007", "row 1 has lost its request", 1),
    ("UPDATE stratagem.blob SET body = ''", "row 1 has lost its request", 1),
]

QUESTION_CHANGES = [
    (f"form = {changed('form', 'bytea')} WHERE question = 'q2'", "the question 'q2' is not what was asked"),
    ("form = NULL, asked = NULL WHERE question = 'q2'", "the question 'q2' is not what was asked"),
    ("asked = NULL WHERE question = 'q2'", "the question 'q2' is not what was asked"),
    ("question = 'q3' WHERE question = 'q2'", "the question 'q3' is not what was asked"),
    (f"value = {changed('value', 'bytea')} WHERE question = 'q1'", "the answer to 'q1' is not what was said"),
    ("value = 'true' WHERE question = 'q2'", "the answer to 'q2' is not what was said"),
    ("value = NULL WHERE question = 'q1'", "the answer to 'q1' is not what was said"),
]

STARTED, STANDS = "what it was started with", "where it stands"
RUN = {
    "record": ("bytea", STARTED), "created": ("bigint", STARTED), "parent": ("text", STARTED),
    "known": ("bytea", STARTED), "state": ("text", STANDS), "updated": ("bigint", STANDS), "ending": ("bytea", STANDS),
    "owner": ("bytea", STANDS), "epoch": ("bigint", STANDS), "rows": ("bigint", STANDS), "seal": ("bytea", STANDS),
    "stands": ("bytea", STANDS),
}  # fmt: skip


@pytest.mark.parametrize("seq", [0, 1, 3])
async def test_a_changed_value_of_a_row_is_named_by_its_number(journal, sql, seq):
    """And costs no other row, or none if the seal tells what it was."""
    for number, (column, kind) in enumerate(EFFECT.items()):
        case = Case(journal, number, sql)
        await stored(journal, case.run_id)
        change = f"UPDATE stratagem.effect SET {column} = {changed(column, kind)} WHERE seq = %s AND run = {{run}}"
        case.sql(change, seq)
        await case.is_refused(f"row {seq} ", dropped=0 if column in HEALED else 1)


async def test_whatever_else_is_changed_or_lost_of_rows_is_named(journal, sql):
    for number, (change, said, dropped) in enumerate(ROW_CHANGES):
        case = Case(journal, number, sql)
        await stored(journal, case.run_id)
        case.sql(change)
        await case.is_refused(said, dropped=dropped)
        await journal.remove([case.run_id])
        await journal.sweep()


async def test_damage_of_one_run_leaves_others_alone(journal, sql):
    case = Case(journal, 0, sql)
    others = [await stored(journal, name) for name in (case.run_id, "before", "behind")][1:]
    case.sql("UPDATE stratagem.effect SET took = took + 1 WHERE run = {run}")
    (told,) = (await journal.check()).damage
    assert told == "run 'case000': row 0 is not what was written"
    for run in others:
        assert await journal.load(run.run_id) == (run, rows_of(run.run_id))
    await case.is_refused("row 0 is not what was written", dropped=4)
    assert [(one.seq, one.kind) for one in (await journal.load(case.run_id))[1]] == [(0, "intent")]
    for run in others:
        assert await journal.load(run.run_id) == (run, rows_of(run.run_id))


async def test_a_changed_question_or_answer_is_named_and_can_be_asked_again(journal, sql):
    for number, (change, said) in enumerate(QUESTION_CHANGES):
        case = Case(journal, number, sql)
        await stored(journal, case.run_id)
        case.sql(f"UPDATE stratagem.question SET {change} AND run = {{run}}")
        await case.is_refused(said, dropped=0)
        await taken(journal, case.run_id)
        for question in ("q1", "q2"):
            await durable(journal.ask(case.run_id, question, FORM))
            await journal.answer(case.run_id, question, b"2")
        assert sorted((await journal.answers([case.run_id]))[case.run_id]) == ["q1", "q2"]


async def test_a_changed_answer_is_not_handed_out(journal, sql):
    await stored(journal)
    run, _ = await taken(journal, "abcdef")
    sql("UPDATE stratagem.question SET value = '\"west\"' WHERE value IS NOT NULL")
    with pytest.raises(JournalCorrupt, match="'abcdef': the answer to 'q1' is not what was said"):
        await journal.answers(["abcdef"])
    with pytest.raises(JournalCorrupt, match="'abcdef': the answer to 'q1' is not what was said"):
        await journal.park(run._replace(owner=b""), ["q1"])


async def test_a_changed_record_is_named_and_mended(journal, sql):
    for number, (column, (kind, what)) in enumerate(RUN.items()):
        case = Case(journal, number, sql)
        name = case.run_id
        run = await stored(journal, name)
        case.sql(f"UPDATE stratagem.run SET {column} = {changed(column, kind)} WHERE n = {{run}}")
        said = f"the record of run '{name}' is damaged: {what} is not what was written"
        for reading in (journal.load(name), journal.find(name), journal.runs(), journal.answer(name, "q2", b"1")):
            with pytest.raises(JournalCorrupt, match=said):
                await reading
        with pytest.raises((JournalCorrupt, OwnedElsewhere)):
            await journal.claim(name, 1, OTHER)
        (told,) = (await journal.check()).damage
        assert what in told
        assert await journal.drop_damaged(name) == 0
        mended, rows = await journal.load(name)
        assert (rows, mended.state, mended.owner, mended.end, mended.rows) == (rows_of(name), "running", b"", b"", -1)
        assert (mended.questions, mended.answers) == (run.questions, run.answers)
        assert mended.record == (run.record if what == STANDS else b"{}")
        await journal.claim(name, mended.epoch, OTHER)
        await durable(journal.append(name, row(4)))
        assert (await journal.check()).damage == ()


async def test_a_payload_that_was_damaged_heals_when_it_is_stored_again(journal, sql):
    for name in ("abcdef", "others"):
        await durable(journal.create(run_of(name)))
    await durable(journal.append("abcdef", row(0, result=b"r" * 3000)))
    sql("UPDATE stratagem.blob SET body = 'other'")
    await durable(journal.append("others", row(0, result=b"r" * 3000)))
    for name in ("abcdef", "others"):
        assert (await journal.load(name))[1] == [row(0, result=b"r" * 3000)]
    assert sql("SELECT count(*) FROM stratagem.blob") == [(1,)]


async def test_payloads_of_nobody_are_counted_and_swept_with_what_is_older_than_a_week(journal, sql):
    await stored(journal)
    await durable(journal.beat(OWNER))
    await durable(journal.beat(OTHER))
    sql("INSERT INTO stratagem.blob VALUES (sha256('x'), 1, 'x')")
    sql(
        "INSERT INTO stratagem.writer VALUES ('old', 1, now() - interval '8 days'), ('new', 1, now() - interval '6 days')"
    )
    sql("UPDATE stratagem.lease SET beat = beat - %s WHERE owner = %s", timedelta(days=8), b"0123456789abcdef")
    condition = await journal.check()
    assert (condition.runs, condition.rows, condition.blobs, condition.orphans, condition.damage) == (1, 4, 3, 1, ())
    assert await journal.sweep() == 1
    condition = await journal.check()
    assert (condition.blobs, condition.orphans, condition.damage) == (2, 0, ())
    assert await journal.age(OWNER) is None
    assert await journal.age(OTHER) is not None
    assert (await journal.load("abcdef"))[1] == rows_of("abcdef")
    assert sql("SELECT id FROM stratagem.writer WHERE id IN ('old', 'new')") == [(b"new",)]


async def test_a_lease_older_than_a_week_is_forgotten_when_somebody_beats(journal, sql):
    await durable(journal.beat(OWNER))
    sql("UPDATE stratagem.lease SET beat = beat - interval '6 days'")
    age = await journal.age(OWNER)
    assert age is not None
    assert 6 * 86400 <= age < 6 * 86400 + 3600
    sql("UPDATE stratagem.lease SET beat = beat - interval '2 days'")
    await durable(journal.beat(OTHER))
    assert await journal.age(OWNER) is None
    sql("UPDATE stratagem.lease SET beat = beat + interval '1 hour'")  # the server's clock was set back
    assert await journal.age(OTHER) == 0


async def test_payloads_that_are_nobodys_any_more_go_with_the_run(journal, sql):
    for name in ("abcdef", "others"):
        await durable(journal.create(run_of(name)))
        await durable(journal.append(name, row(0, request=b"q" * 2000, result=f"{name} {'r' * 3000}".encode())))
    assert await journal.remove(["abcdef"]) == 1
    assert sql("SELECT size FROM stratagem.blob ORDER BY size") == [(2000,), (3007,)]
    assert await journal.remove(["others"]) == 1
    tables = ("run", "effect", "blob", "question")
    assert [sql(f"SELECT count(*) FROM stratagem.{table}") for table in tables] == [[(0,)]] * 4


async def test_rows_of_no_run_are_told(journal, sql):
    await stored(journal)
    sql("DELETE FROM stratagem.run")
    assert (await journal.check()).damage == ("4 rows belong to no run",)
