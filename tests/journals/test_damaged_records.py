"""A record, question or lease that is not as it was written is named, and what is sound of it survives."""

import pytest

from stratagem.core._canonical import decoded
from stratagem.errors import JournalCorrupt
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import OWNER, durable, row, taken
from tests.journals._damaged import ENDED, ROWS, dropped, execute, path, read_runs, refused, sound

__all__ = ["path", "sound"]

WHERE = "where it stands is not what was written"
WHAT = "what it was started with is not what was written"


RECORDS = [
    ("state='failed'", WHERE),
    ("state=7", WHERE),
    ("rows='x'", WHERE),
    ("epoch='x'", WHERE),
    ("updated=updated+1", WHERE),
    ("epoch=epoch+1", WHERE),
    ("rows=8", WHERE),
    ("seal=zeroblob(32)", WHERE),
    ("owner=x''", WHERE),
    ("owner='{}'", WHERE),
    ("asked=0", WHERE),
    ("asked=3", WHERE),
    ("asked='x'", WHERE),
    ("end=99", WHERE),
    ("stands=zeroblob(16)", WHERE),
    ("created=created+1", WHAT),
    ("parent='zyxwvt'", WHAT),
    ("record=CAST('{}' AS BLOB)", WHAT),
    ("record=55", WHAT),
    ("format=0", WHAT),
    ("since=5", WHAT),
    ("known=zeroblob(16)", WHAT),
    ("created='x'", WHAT),
    ("format='x'", WHAT),
    ("parent=5", WHAT),
]


@pytest.mark.parametrize(("change", "told"), RECORDS)
def test_a_changed_record_is_found(path, change, told):
    execute(path, f"UPDATE run SET {change} WHERE n=1")
    assert refused(path) == f"the record of run 'abcdef' is damaged: {told}"
    assert isinstance(read_runs(path)[3], JournalCorrupt)


@pytest.mark.parametrize(("change", "told"), RECORDS)
async def test_a_run_with_a_changed_record_goes_on(path, change, told):
    execute(path, f"UPDATE run SET {change} WHERE n=1")
    gone, journal = await dropped(path, "abcdef")
    assert gone == 0
    run, rows = await journal.load("abcdef")
    assert (run.state, run.rows, run.end, run.owner) == ("running", -1, b"", b"")
    assert run.epoch > 1
    assert (run.questions, run.answers) == (ENDED.questions, ENDED.answers)
    await journal.claim("abcdef", run.epoch, OWNER)
    assert run.record == (b"{}" if told is WHAT else ENDED.record)
    assert rows == ROWS
    assert "abcdef" in [one.run_id for one in await journal.runs()]
    await durable(journal.append("abcdef", row(9)))
    await durable(journal.update(ENDED._replace(rows=0)))
    assert (await journal.load("abcdef"))[0].rows == 10
    await journal.aclose()


QUESTIONS = [
    ("UPDATE question SET form=CAST('{}' AS BLOB) WHERE id='r'", "question 'r' is not what was written", "q", "q"),
    ("UPDATE question SET form=x'' WHERE id='r'", "question 'r' is not what was written", "q", "q"),
    ("UPDATE question SET form=77 WHERE id='r'", "question 'r' is not what was written", "q", "q"),
    ("UPDATE question SET form='text' WHERE id='r'", "question 'r' is not what was written", "q", "q"),
    ("UPDATE question SET asked=x'00' WHERE id='r'", "question 'r' is not what was written", "q", "q"),
    ("UPDATE blob SET body=x'00' WHERE size=2515", "question 'q' is not what was written", "r", "q"),
    ("UPDATE question SET value=CAST('false' AS BLOB) WHERE id='q'", "the answer to question 'q' is not what was written", "qr", ""),
    ("UPDATE question SET value=x'' WHERE id='q'", "the answer to question 'q' is not what was written", "qr", ""),
    ("UPDATE question SET value=77 WHERE id='q'", "the answer to question 'q' is not what was written", "qr", ""),
    ("UPDATE question SET said=x'00' WHERE id='r'", "the answer to question 'r' is not what was written", "qr", "q"),
    ("UPDATE question SET value=CAST('1' AS BLOB) WHERE id='r'", "the answer to question 'r' is not what was written", "qr", "q"),
    ("UPDATE question SET id='s' WHERE id='r'", "question 's' is not what was written", "q", "q"),
    ("UPDATE question SET run=2 WHERE id='r'", "it has asked 2 questions, of which 1 are there", "q", "q"),
    ("DELETE FROM question WHERE id='q'", "it has asked 2 questions, of which 1 are there", "r", ""),
    ("DELETE FROM question", "it has asked 2 questions, of which 0 are there", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "told", "asked", "said"), QUESTIONS)
async def test_a_changed_question_is_named_and_what_is_sound_of_it_survives(path, statement, told, asked, said):
    execute(path, statement)
    assert refused(path) == f"the record of run 'abcdef' is damaged: {told}"
    assert isinstance(read_runs(path)[3], JournalCorrupt)
    went, journal = await dropped(path, "abcdef")
    assert went == 0
    run, rows = await journal.load("abcdef")
    assert (list(decoded(run.questions)), list(decoded(run.answers)), rows) == (list(asked), list(said), ROWS)
    assert await journal.answers(["abcdef"]) == {"abcdef": dict.fromkeys(said, b"true")}
    await journal.aclose()


async def test_an_answer_that_was_dropped_is_not_told_from_memory(path):
    journal = SQLiteJournal(path)
    assert await journal.answers(["abcdef"]) == {"abcdef": {"q": b"true"}}
    execute(path, "UPDATE question SET value=CAST('false' AS BLOB) WHERE id='q'")
    await journal.drop_damaged("abcdef")
    assert await journal.answers(["abcdef"]) == {"abcdef": {}}
    await journal.aclose()


@pytest.mark.parametrize("statement", [one[0] for one in QUESTIONS])
async def test_a_damaged_question_is_not_written_over(path, statement):
    """Neither who drives the run nor who answers makes damage look sound."""
    journal = SQLiteJournal(path)
    run, _ = await taken(journal, "abcdef")
    execute(path, statement)
    for write in (
        lambda: journal.answer("abcdef", "r", b"1"),
        lambda: journal.park(run._replace(owner=b""), ["r"]),
        lambda: durable(journal.ask("abcdef", "s", b"{}")),
        lambda: journal.claim("abcdef", run.epoch, OWNER),
    ):
        with pytest.raises(JournalCorrupt, match="the record of run 'abcdef' is damaged"):
            await write()
    await journal.aclose()
    assert refused(path).startswith("the record of run 'abcdef' is damaged: ")


@pytest.mark.parametrize("change", ["owner=x''", "state='failed'", "known=x''"])
async def test_a_damaged_record_is_not_written_over(path, change):
    journal = SQLiteJournal(path)
    run, _ = await taken(journal, "abcdef")
    execute(path, f"UPDATE run SET {change} WHERE n=1")
    for write in (
        lambda: journal.answer("abcdef", "r", b"1"),
        lambda: durable(journal.ask("abcdef", "s", b"{}")),
        lambda: journal.claim("abcdef", run.epoch, OWNER),
    ):
        with pytest.raises(JournalCorrupt, match="the record of run 'abcdef' is damaged"):
            await write()
    await journal.aclose()
    assert refused(path).startswith("the record of run 'abcdef' is damaged: ")


@pytest.mark.parametrize(
    "change", ["form=x'7b7d'", "boot='x'", "stamp=stamp+1", "wall=wall-1", "stands=x''", "stamp='x'", "wall=x''"]
)
async def test_a_damaged_lease_counts_for_nothing_until_its_owner_beats(path, change):
    journal = SQLiteJournal(path)
    assert await journal.age(OWNER) is not None
    execute(path, f"UPDATE lease SET {change}")
    assert await journal.age(OWNER) is None
    assert (await journal.check()).damage == ("lease '0123456789abcdef' is not what was written",)
    await durable(journal.beat(OWNER))
    assert await journal.age(OWNER) is not None
    assert (await journal.check()).damage == ()
    await journal.aclose()


async def test_a_damaged_start_is_emptied_and_the_rows_kept(path):
    """`resume` must then be told strategy and task again; the rows are found by what is asked."""
    execute(path, "UPDATE run SET record=CAST('{\"task\":1}' AS BLOB) WHERE n=1")
    gone, journal = await dropped(path, "abcdef")
    assert gone == 0
    run, rows = await journal.load("abcdef")
    assert (run.record, run.parent, run.state) == (b"{}", "", "running")
    assert rows == ROWS
    assert len(await journal.runs()) == 3
    await journal.aclose()
