"""Damage is found and named, never read as data: changed, missing, moved and cut records, any byte, any length."""

import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Row
from stratagem.core._effects import digest_of
from stratagem.errors import JournalCorrupt, JournalError, UsageError
from stratagem.journals._schema import TABLES
from stratagem.journals._store import Store
from stratagem.journals.sqlite import SQLiteJournal
from stratagem.testing.journal_suite import chain, durable, row, run_of, taken
from tests.journals._damaged import ENDED, ROWS, dropped, execute, path, read_runs, refused, sound

__all__ = ["path", "sound"]


def test_the_file_is_read_as_it_was_written(path):
    ended, running, empty, listed, answers = read_runs(path)
    assert ended == (ENDED._replace(seal=ended[0].seal), ROWS)
    assert running == (run_of("ghijkl", parent="zyxwvu"), ROWS)
    assert empty == (run_of("mnopqr", parent="zyxwvu"), [])
    assert listed == [empty[0], running[0], ended[0]]
    assert answers == {"abcdef": {"q": b"true"}, "ghijkl": {}}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "path"),
        ("path", "kind"),
        ("path", "99"),
        ("occurrence", "occurrence + 1"),
        ("occurrence", "'0'"),
        ("wall", "wall - 1"),
        ("active", "active + 0.5"),
        ("took", "NULL"),
        ("failed", "1 - failed"),
        ("sample", "sample + 1"),
        ("usage", "NULL"),
        ("usage", "'[1,1,99]'"),
        ("usage", "'[1,1'"),
        ("usage", "'[1,1,106,20,0,0,0,0.0,0.25] '"),
        ("digest", "zeroblob(32)"),
        ("digest", "'text'"),
        ("seal", "zeroblob(32)"),
        ("request", "request || x'00'"),
        ("request", "''"),
        ("result", "result || x'00'"),
        ("result", "NULL"),
        ("request", "77"),
        ("seq", "200"),
    ],
)
def test_a_changed_column_of_a_row_is_found(path, column, value):
    execute(
        path,
        "PRAGMA writable_schema=1",
        "UPDATE sqlite_master SET sql=replace(replace(sql, ' NOT NULL', ''), 'occurrence INTEGER', 'occurrence')"
        " WHERE name='effect'",
    )
    execute(path, f"UPDATE effect SET {column}={value} WHERE run=1 AND seq=6")
    execute(path, "PRAGMA writable_schema=1", *_restored())
    assert refused(path).startswith("run 'abcdef': row ")
    assert read_runs(path)[1] == (run_of("ghijkl", parent="zyxwvu"), ROWS)


def _restored() -> list[str]:
    return [f"UPDATE sqlite_master SET sql='{TABLES[1]}' WHERE name='effect'"]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE effect SET took=1 WHERE run=1 AND seq=6", "run 'abcdef': row 6 is not what was written"),
        ("UPDATE effect SET took=1 WHERE run=1 AND seq=0", "run 'abcdef': row 0 is not what was written"),
        (
            "DELETE FROM effect WHERE run=1 AND seq=4",
            "run 'abcdef': row 5 is not what follows row 3: rows are missing, or it was changed",
        ),
        (
            "DELETE FROM effect WHERE run=1 AND seq=0",
            "run 'abcdef': row 1 is not what follows row -1: rows are missing, or it was changed",
        ),
        ("DELETE FROM effect WHERE run=1 AND seq>6", "run 'abcdef': its end is missing: it stopped with 9 rows, and has 7"),
        ("DELETE FROM effect WHERE run=1", "run 'abcdef': its end is missing: it stopped with 9 rows, and has 0"),
        ("UPDATE effect SET run=3 WHERE run=1 AND seq=8", "run 'abcdef': its end is missing: it stopped with 9 rows, and has 8"),
        ("UPDATE blob SET body=zeroblob(2000) WHERE n=2", "run 'abcdef': row 4 has lost its result: the stored payload is damaged or missing"),
        ("UPDATE blob SET size=3000 WHERE n=1", "run 'abcdef': row 3 has lost its request: the stored payload is damaged or missing"),
        ("UPDATE blob SET body=x'789c0300' WHERE n=1", "run 'abcdef': row 3 has lost its request: the stored payload is damaged or missing"),
        ("DELETE FROM blob WHERE n=1", "run 'abcdef': row 3 has lost its request: the stored payload is damaged or missing"),
        ("UPDATE blob SET digest=zeroblob(32) WHERE n=1", "run 'abcdef': row 3 has lost its request: the stored payload is damaged or missing"),
        ("UPDATE word SET text='tocl' WHERE text='tool'", "run 'abcdef': row 5 is not what was written"),
        ("DELETE FROM word WHERE text='tool'", "run 'abcdef': row 5 is not what was written"),
    ],
)  # fmt: skip
def test_damage_is_named(path, statement, told):
    execute(path, statement)
    assert refused(path) == told


def test_a_word_that_is_no_text_is_found(path):
    loosened = TABLES[3].replace(" NOT NULL", "")
    execute(path, "PRAGMA writable_schema=1", f"UPDATE sqlite_master SET sql='{loosened}' WHERE name='word'")
    execute(path, "UPDATE word SET text=NULL WHERE text='tool'")
    execute(path, "PRAGMA writable_schema=1", f"UPDATE sqlite_master SET sql='{TABLES[3]}' WHERE name='word'")
    assert refused(path) == "run 'abcdef': row 5 is not what was written"


def test_two_rows_that_changed_places_are_found(path):
    swap = "UPDATE effect SET seq={} WHERE run=1 AND seq={}".format
    execute(path, swap(100, 5), swap(5, 6), swap(6, 100))
    assert refused(path) == "run 'abcdef': row 5 is not what was written"


def test_an_end_that_was_rewritten_with_its_seal_is_found(path):
    """Each row fits the one before; the run's record knows with which it stopped."""
    other = ROWS[8]._replace(took=1)
    file = sqlite3.connect(path)
    file.execute("UPDATE effect SET took=1, seal=? WHERE run=1 AND seq=8", (chain([*ROWS[:8], other]),))
    file.commit()
    file.close()
    assert refused(path) == "run 'abcdef': row 8 is not the one with which it stopped"


def test_the_rows_of_another_run_are_not_taken_for_its_own(path):
    """Runs 1 and 2 have equal rows up to here; the longer continuation of one does not fit the other's end."""
    execute(path, "INSERT INTO effect SELECT n + 100, 1, 9, kind, path, occurrence, wall, active, took, failed, sample,"
                  " usage, digest, seal, request, result FROM effect WHERE run=2 AND seq=8")  # fmt: skip
    assert refused(path) == "run 'abcdef': row 9 is not what was written"


def test_a_changed_id_is_found_in_table_and_index(path, sound):
    """The id stands in both: whoever asks for the run reads one, a list the other."""
    places = [
        at for at in range(len(sound)) if sound.startswith(b"abcdef", at) and sound[at - 1 : at] != b"9"
    ]  # an owner
    ended, _, _, listed, _ = read_runs(path)
    found: list[object] = []
    for at in places:
        path.write_bytes(sound[:at] + b"b" + sound[at + 1 :])
        found += [read_runs(path)[0], read_runs(path)[3]]
    assert [isinstance(one, JournalCorrupt) for one in found] in (
        [True, False, False, True],
        [False, True, True, False],
    )
    assert ended in found
    assert listed in found


def test_an_id_that_leads_to_another_run_is_found(path, sound):
    """In the index of ids, the number of the run follows its id."""
    at = sound.index(b"ghijkl\x02")
    path.write_bytes(sound[: at + 6] + b"\x03" + sound[at + 7 :])
    assert refused(path, "ghijkl").startswith("the record of run 'ghijkl' is damaged: ")
    at = sound.index(b"\x19\x09abcdef")  # the entry before it, no longer a text, is out of order and hides the others
    path.write_bytes(sound[:at] + b"\x18" + sound[at + 1 :])
    assert refused(path, "ghijkl") == "the record of run 'ghijkl' is damaged: its id leads to 'abcdef'"


def test_runs_are_not_left_out_of_a_list(path):
    execute(path, "PRAGMA writable_schema=1", "CREATE TABLE spare AS SELECT * FROM run WHERE n=1")
    schema = (
        "UPDATE sqlite_master SET rootpage=(SELECT rootpage FROM sqlite_master WHERE name='spare') WHERE name='run'"
    )
    execute(path, "PRAGMA writable_schema=1", schema, "DELETE FROM sqlite_master WHERE name='spare'")
    listed = read_runs(path)[3]
    assert isinstance(listed, JournalCorrupt)
    assert str(listed) == f"{path} is damaged: its list of runs is incomplete"


def test_rows_that_the_index_lost_are_missed_even_while_a_run_goes_on(path):
    """The end of a running run is known from nothing but its rows, so the table is looked through."""
    execute(
        path,
        "PRAGMA writable_schema=1",
        "UPDATE sqlite_master SET sql=sql || ' WHERE seq<>8' WHERE name='effect_place'",
    )
    execute(path, "REINDEX effect_place", "PRAGMA writable_schema=1",
            "UPDATE sqlite_master SET sql=replace(sql, ' WHERE seq<>8', '') WHERE name='effect_place'")  # fmt: skip
    assert refused(path, "ghijkl") == "run 'ghijkl': row 8 is missing from the index"


def doubted(one: Row, seq: int, after: Row | None) -> Row:
    """The intent in the place of a tool's row: a person shall say what came of it."""
    since = (after.wall, after.active) if after else (0, 0)
    return Row(seq, "intent", one.path, one.digest, one.occurrence, *since, 0, None, b"{}", b"")


def with_doubt(rows: list[Row]) -> list[Row]:
    """The rows, and the intent for those of which only the number is known."""
    last = rows[-1]
    doubt = Row(last.seq + 1, "intent", "", digest_of("intent", b"{}"), 0, last.wall, last.active, 0, None, b"{}", b"")
    return [*rows, doubt]


@pytest.mark.parametrize(
    ("statement", "gone", "left"),
    [
        ("UPDATE effect SET took=1 WHERE run=1 AND seq=6", 1, [*ROWS[:6], doubted(ROWS[6], 6, ROWS[5]), *ROWS[7:]]),
        ("UPDATE effect SET took=1 WHERE run=1 AND seq=8", 1, [*ROWS[:8], doubted(ROWS[8], 8, ROWS[7])]),
        ("UPDATE effect SET took=1 WHERE run=1 AND seq=0", 1, ROWS[1:]),
        ("UPDATE effect SET took=1 WHERE run=1 AND seq IN (0, 2, 3)", 3, [ROWS[1], *ROWS[4:]]),
        ("UPDATE effect SET took=1, seal=x'00' WHERE run=1 AND seq=1", 2, [ROWS[0], *ROWS[3:]]),
        ("UPDATE effect SET took='x', seal='x' WHERE run=1 AND seq=1", 2, [ROWS[0], *ROWS[3:]]),
        ("DELETE FROM effect WHERE run=1 AND seq=0", 2, with_doubt(ROWS[2:])),
        ("DELETE FROM effect WHERE run=1 AND seq=4", 2, with_doubt([*ROWS[:4], doubted(ROWS[5], 5, ROWS[3]), *ROWS[6:]])),
        ("DELETE FROM effect WHERE run=1 AND seq>6", 2, with_doubt(ROWS[:7])),
        ("UPDATE blob SET body=zeroblob(2000) WHERE n=2", 1, [*ROWS[:4], *ROWS[5:]]),
        ("UPDATE effect SET seal=zeroblob(32) WHERE run=1 AND seq=2", 0, ROWS),
        ("UPDATE effect SET seal=zeroblob(32) WHERE run=1 AND seq=8", 0, ROWS),
        ("UPDATE effect SET seal=zeroblob(32) WHERE run=1", 0, ROWS),
        ("UPDATE word SET text='tocl' WHERE text='tool'", 0, ROWS),
        ("UPDATE effect SET kind=path WHERE run=1 AND seq=6", 0, ROWS),
        ("UPDATE effect SET kind=99 WHERE run=1 AND seq=0", 0, ROWS),
        ("UPDATE effect SET path=99 WHERE run=1 AND seq=7", 0, ROWS),
        ("UPDATE effect SET path=99, took=1 WHERE run=1 AND seq=7", 1, [*ROWS[:7], doubted(ROWS[7]._replace(path=""), 7, ROWS[6]), ROWS[8]]),
        ("UPDATE effect SET digest=x'00' WHERE run=1 AND seq=7", 1, [*ROWS[:7], ROWS[8]]),
        ("UPDATE effect SET occurrence=-1, took=1 WHERE run=1 AND seq=7", 1, [*ROWS[:7], ROWS[8]]),
        ("UPDATE effect SET seq=200 WHERE run=1 AND seq=7", 2, [*ROWS[:7], doubted(ROWS[8], 7, ROWS[6]), doubted(ROWS[7], 8, ROWS[6])]),
        ("UPDATE effect SET seq=-3 WHERE run=1 AND seq=8", 1, [*ROWS[:8], doubted(ROWS[8], 8, ROWS[7])]),
        ("UPDATE effect SET usage='[1' WHERE run=1 AND seq=1", 1, [ROWS[0], *ROWS[2:]]),
        ("UPDATE run SET state='failed' WHERE n=1", 0, ROWS),
    ],
)  # fmt: skip
async def test_a_damaged_run_goes_on_with_all_rows_that_are_sound(path, statement, gone, left):
    execute(path, statement)
    went, journal = await dropped(path, "abcdef")
    run, rows = await taken(journal, "abcdef")
    assert (went, rows) == (gone, left)
    assert (run.state, run.rows, run.seal, run.end) == ("running", -1, b"", b"")
    assert (run.record, run.questions, run.answers) == (ENDED.record, ENDED.questions, ENDED.answers)
    more = row(left[-1].seq + 1, path="again")
    await durable(journal.append("abcdef", more))
    await durable(journal.update(ENDED._replace(rows=0)))
    again, rows = await journal.load("abcdef")
    assert again == ENDED._replace(epoch=run.epoch, rows=len(left) + 1, seal=chain([*left, more]))
    assert rows == [*left, more]
    assert await journal.drop_damaged("abcdef") == 0
    await journal.aclose()


async def test_a_run_can_be_damaged_and_repaired_twice(path):
    execute(path, "UPDATE effect SET took=1 WHERE run=1 AND seq=3")
    _, journal = await dropped(path, "abcdef")
    await journal.aclose()
    execute(path, "UPDATE effect SET took=1 WHERE run=1 AND seq=2")
    went, journal = await dropped(path, "abcdef")
    assert (went, (await journal.load("abcdef"))[1]) == (1, [*ROWS[:2], *ROWS[4:]])
    await journal.aclose()


async def test_a_damaged_index_is_made_anew_and_nothing_is_dropped(path):
    execute(
        path,
        "PRAGMA writable_schema=1",
        "UPDATE sqlite_master SET sql=sql || ' WHERE seq<>8' WHERE name='effect_place'",
    )
    execute(path, "REINDEX effect_place", "PRAGMA writable_schema=1",
            "UPDATE sqlite_master SET sql=replace(sql, ' WHERE seq<>8', '') WHERE name='effect_place'")  # fmt: skip
    assert refused(path) == "run 'abcdef': its end is missing: it stopped with 9 rows, and has 8"
    gone, journal = await dropped(path, "abcdef")
    assert gone == 0
    assert await journal.load("abcdef") == (ENDED._replace(seal=chain(ROWS)), ROWS)
    await journal.aclose()


async def test_a_damaged_payload_heals_when_it_is_written_again(path):
    execute(path, "UPDATE blob SET body=zeroblob(2000) WHERE n=2")
    _, journal = await dropped(path, "abcdef")
    await taken(journal, "abcdef")
    await durable(journal.append("abcdef", row(9, result=ROWS[4].result)))
    assert (await journal.load("abcdef"))[1] == [*ROWS[:4], *ROWS[5:], row(9, result=ROWS[4].result)]
    assert (await journal.load("ghijkl"))[1] == ROWS  # which refers to the same payload
    await journal.aclose()


async def test_a_word_that_is_damaged_under_way_is_not_used_again(path):
    journal = SQLiteJournal(path)
    _, rows = await taken(journal, "ghijkl")
    await durable(journal.append("ghijkl", row(9, path="f/map[2]")))
    execute(path, "UPDATE word SET text='f/map[3]' WHERE text='f/map[2]'")
    assert await journal.drop_damaged("ghijkl") == 2
    await taken(journal, "ghijkl")
    await durable(journal.append("ghijkl", row(9, path="f/map[2]")))
    assert (await journal.load("ghijkl"))[1] == [*rows[:2], *rows[3:], row(9, path="f/map[2]")]
    await journal.aclose()


async def test_a_scope_that_is_damaged_in_the_table_alone_is_read_from_the_index(path, sound):
    """Else all calls of that scope would be lost at once, with the results of what must not be performed again."""
    healed = 0
    for at in [at for at in range(len(sound)) if sound.startswith(b"f/map[1]", at)]:
        path.write_bytes(sound[:at] + b"g" + sound[at + 1 :])
        went, journal = await dropped(path, "abcdef")
        assert (went, (await journal.load("abcdef"))[1]) == (0, ROWS)
        healed += (await journal.load("abcdef"))[0].state == "running"
        await journal.aclose()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert healed == 1  # the other place is the index


async def test_nothing_new_is_built_on_a_damaged_word(path, sound):
    """The index still has the word, the table another: rows that refer to it could not be read back."""
    for place in [at for at in range(len(sound)) if sound.startswith(b"f/map[1]", at)]:
        path.write_bytes(sound[:place] + b"g" + sound[place + 1 :])
        journal = SQLiteJournal(path)
        await taken(journal, "mnopqr")
        try:
            await durable(journal.append("mnopqr", row(0, path="f/map[1]")))
        except JournalCorrupt:
            pass
        else:
            assert (await journal.load("mnopqr"))[1] == [row(0, path="f/map[1]")]
        await journal.aclose()


def test_an_unknown_run_is_unknown_and_not_damaged(path):
    store = Store(path, 0.1, None)
    with pytest.raises(UsageError, match=r"'abcdeg'.* did you mean 'abcdef'"):
        store.load("abcdeg")
    store.close()


def same_or_refused(path: Path, expected: list[Any], data: bytes) -> int:
    """Return how many of the reads were refused; all others gave what was written."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(data)
    found = read_runs(path)
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, JournalError) or one == other
    return sum(isinstance(one, JournalError) for one in found)


def places(sound: bytes, count: int) -> list[int]:
    """The header, the head of every page, and some of what is not empty; the same ones each time."""
    filled = [at for at in range(len(sound)) if sound[at]]
    heads = [page + at for page in range(0, len(sound), 4096) for at in range(12)]
    return sorted({*range(100), *heads, *random.Random(7).sample(filled, count)})


def test_a_changed_byte_is_never_read_as_data(path, sound):
    expected = read_runs(path)
    noticed = sum(
        same_or_refused(path, expected, sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :]) > 0
        for at in places(sound, 250)
    )
    assert noticed > 150


def test_a_description_of_a_table_that_is_no_text_any_more_is_refused(path, sound):
    expected, changed = read_runs(path), 0
    for at in range(100, 4096):  # whether a value is text is a bit of the byte before it
        data = sound[:at] + bytes([sound[at] ^ 0x01]) + sound[at + 1 :]
        if "blob" in kinds_of(data):
            changed += 1
            assert same_or_refused(path, expected, data) == len(expected)
    assert changed > 0


def kinds_of(data: bytes) -> set[str]:
    """Return of what kinds the descriptions of a file's tables are."""
    with contextlib.closing(sqlite3.connect(":memory:")) as file, contextlib.suppress(sqlite3.DatabaseError):
        file.deserialize(data[:18] + b"\x01\x01" + data[20:])  # without a log beside it
        return {kind for (kind,) in file.execute("SELECT typeof(sql) FROM sqlite_master")}
    return set()


@pytest.mark.chaos
@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
def test_no_changed_byte_at_all_is_read_as_data(path, sound, mask):
    expected = read_runs(path)
    for at in range(len(sound)):
        same_or_refused(path, expected, sound[:at] + bytes([sound[at] ^ mask]) + sound[at + 1 :])


def test_a_cut_file_is_never_read_as_data(path, sound):
    expected = read_runs(path)
    for length in [1, 15, 16, 99, 100, 101, 511, 512, 4095, *range(4096, len(sound) - 4095, 2048)]:
        assert same_or_refused(path, expected, sound[:length]) == 5, length
    for length in range(len(sound) - 4095, len(sound), 31):
        same_or_refused(path, expected, sound[:length])


def test_a_file_that_is_something_else_is_refused(path):
    for data in (b"hello, world\n" * 500, bytes(8192), b"SQLite format 3\x00" + bytes(100)):
        path.write_bytes(data)
        store = Store(path, 0.1, None)
        with pytest.raises(JournalError, match=r"journal\.sqlite"):
            store.load("abcdef")
        store.close()
