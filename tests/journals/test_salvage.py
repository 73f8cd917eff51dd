"""A run that lost a record goes on with all others: nothing sound is performed again, and no mail is sent twice."""

import contextlib
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem import session
from stratagem.core import Answer, Row, Run, Task, signature, strategy, tool
from stratagem.core._effects import digest_of
from stratagem.core._journal import FIRST, seal
from stratagem.errors import JournalError, UsageError
from stratagem.journals._salvage import Kept, Stored, salvaged
from stratagem.journals._schema import TABLES
from stratagem.testing import ScriptedModel
from tests.journals._damaged import execute

DONE: list[str] = []  # what was performed in the world


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


@tool()
async def look(where: str) -> str:
    """Look somewhere."""
    DONE.append(f"look {where}")
    return f"seen {where}"


@tool(effect="send", repeat="once")
async def mail(text: str) -> str:
    """Send a mail."""
    DONE.append(f"mail {text}")
    return f"sent {text}"


@tool(effect="self", repeat="keyed")
async def store(text: str) -> str:
    """Store a text."""
    DONE.append(f"store {text}")
    return f"stored {text}"


def guessed(number: int) -> str:
    if DONE[-1:] != [f"guess {number}"]:  # a scripted model may look twice
        DONE.append(f"guess {number}")
    return f"g{number}"


@strategy(calls="3")
async def working(run: Run, task: Task) -> Answer:
    """Three calls of the model, five of tools, and a person's word."""
    said = [await run.ask(guess, number=1), (await run.call(look, where="left")).text]
    said.append((await run.call(mail, text="one")).text)
    said.append(await run.ask(guess, number=2))
    said.append(str(await run.wait("Go on?", schema=str)))
    said.append((await run.call(store, text="it")).text)

    async def branch(run: Run, number: int) -> str:
        return (await run.call(mail, text=f"branch {number}")).text

    said += await run.map(branch, range(2), width=1)
    said.append(await run.ask(guess, number=3))
    return task.answer(", ".join(said))


TEXT = "g1, seen left, sent one, g2, yes, stored it, sent branch 0, sent branch 1, g3"
KINDS = [
    "model", "tool", "wait", "intent", "tool", "model", "wait", "intent", "tool", "wait", "intent", "tool", "wait", "intent", "tool", "model",
]  # fmt: skip
PERFORMED = {0: "guess 1", 1: "look left", 5: "guess 2", 8: "store it", 15: "guess 3"}
MAILS = {4: "one", 11: "branch 0", 14: "branch 1"}


def opened(journal: str) -> Any:
    model = ScriptedModel({guess: guessed})
    return session.open(model=model, memory="none", journal=journal, tools=[look, mail, store], repairs=0)


async def driven(journal: str, run_id: str, *, resume: bool = False) -> tuple[list[str], Answer]:
    """Drive a run to its end; return what was asked on the way of a person, who has seen every mail arrive."""
    questions: list[str] = []
    async with opened(journal) as one:
        answer = await (
            one.resume(run_id, strategy=working, task="?") if resume else one.run(working, "?", run_id=run_id)
        )
        while answer.stop == "suspended":
            for asked in (await one.show(run_id)).questions():
                question = asked["question"]
                questions.append(question)
                text = question.partition('"text":"')[2].partition('"')[0]
                arrived = {"happened": True, "result": f"sent {text}"}
                said = arrived if "happen?" in question else True if "again" in question else "yes"
                await one.answer(run_id, said, asked["id"])
            answer = await one.resume(run_id, strategy=working, task="?")
    return questions, answer


class Place:
    """A journal with a run of `working` that has ended.

    Attributes:
        journal: spec string.
        run_id: the run.
        words: what stands for values of this sort of journal in a statement.
    """

    def __init__(self, journal: str, run_id: str, run: Callable[[str], Any], words: dict[str, str]) -> None:
        self.journal, self.run_id, self.words, self._run = journal, run_id, words, run

    def change(self, statement: str) -> None:
        """Do a statement of SQL."""
        self._run(statement.format(**self.words))

    def cut(self, at: int) -> None:
        """Leave the rows before `at`, and a record that says nothing of an end: what a run leaves that was killed."""
        self.change(f"DELETE FROM {{effect}} WHERE {{own}} AND seq>={at}")
        self.change("UPDATE {run} SET rows=-1, stands={junk} WHERE {mine}")

    async def kept(self) -> tuple[int, list[Row]]:
        """Drop what is damaged; return how many rows went, and those that are there."""
        async with opened(self.journal) as one:
            return await one.drop_damaged(self.run_id), (await one.show(self.run_id)).rows

    async def resumed(self) -> tuple[list[str], list[str]]:
        """Resume the run; return what was asked of a person and what was performed. The answer is what it was."""
        DONE.clear()
        questions, answer = await driven(self.journal, self.run_id, resume=True)
        assert answer.text == TEXT
        return questions, list(DONE)


class Making(NamedTuple):
    """What makes one place after the other, each with a run of its own; and which rows are worth the time."""

    place: Callable[[], Any]
    rows: Sequence[int]


@pytest.fixture(params=["sqlite", "postgres"])
async def made(request: pytest.FixtureRequest, tmp_path: Path) -> Making:
    count = iter(range(1000))
    if request.param == "sqlite":
        first = tmp_path / "first.sqlite"
        await driven(f"sqlite:{first}", "mine")
        data = first.read_bytes()

        async def in_file() -> Place:
            path = tmp_path / f"{next(count)}.sqlite"
            path.write_bytes(data)
            words = {
                "effect": "effect",
                "own": "run=1",
                "run": "run",
                "mine": "n=1",
                "junk": "x'00'",
                "other": "99",
                "elsewhere": "99",
            }
            return Place(f"sqlite:{path}", "mine", lambda text: execute(path, text), words)

        return Making(in_file, range(len(KINDS)))
    database, sql = request.getfixturevalue("database"), request.getfixturevalue("sql")

    async def in_database() -> Place:
        run_id = f"mine{next(count):03}"
        await driven(database, run_id)
        own = f"run=(SELECT n FROM stratagem.run WHERE id='{run_id}')"
        mine = {"run": "stratagem.run", "mine": f"id='{run_id}'"}
        words = mine | {
            "effect": "stratagem.effect",
            "own": own,
            "junk": "'\\x00'",
            "other": "'other'",
            "elsewhere": "'z'",
        }
        return Place(database, run_id, sql, words)

    return Making(in_database, (0, 3, 4))


async def test_the_run_is_what_the_other_tests_take_it_for(made: Making) -> None:
    place = await made.place()
    gone, rows = await place.kept()
    assert (gone, [row.kind for row in rows]) == (0, KINDS)
    assert await place.resumed() == ([], [])


@pytest.mark.parametrize("change", ["took=took+1", "result={junk}", "request={junk}", "took=took+1, kind={other}"])
async def test_one_damaged_row_costs_that_row_alone_and_sends_no_mail_twice(made: Making, change: str) -> None:
    for at in made.rows:
        place = await made.place()
        place.change(f"UPDATE {{effect}} SET {change} WHERE {{own}} AND seq={at}")
        gone, rows = await place.kept()
        assert gone == 1
        assert [row.kind for row in rows if row.seq != at] == KINDS[:at] + KINDS[at + 1 :]
        questions, done = await place.resumed()
        asked = [f'Did mail({{"text":"{MAILS[at]}"}}) happen?'] if at in MAILS else []
        assert [one.partition("?")[0] + "?" for one in questions] == asked, at
        assert done == ([PERFORMED[at]] if at in PERFORMED else []), at


@pytest.mark.parametrize(
    "change", ["seal=digest", "kind={other}", "digest={junk}", "path={elsewhere}", "occurrence=occurrence+1"]
)
async def test_a_row_whose_seal_kind_place_or_digest_alone_is_damaged_is_put_right(made: Making, change: str) -> None:
    for at in made.rows:
        place = await made.place()
        _, before = await place.kept()
        place.change(f"UPDATE {{effect}} SET {change} WHERE {{own}} AND seq={at}")
        if KINDS[at] == "model" and "digest" in change[:6]:
            assert (await place.kept())[0] == 1
            assert await place.resumed() == ([], [PERFORMED[at]])
        else:
            assert await place.kept() == (0, before)
            assert await place.resumed() == ([], [])


@pytest.mark.parametrize("change", ["took=took+1", "result={junk}, seal={junk}", "request={junk}"])
async def test_a_mail_is_not_sent_again_when_intent_and_result_are_both_damaged(made: Making, change: str) -> None:
    for at in set(made.rows) & MAILS.keys():
        place = await made.place()
        place.change(f"UPDATE {{effect}} SET {change} WHERE {{own}} AND seq IN ({at - 1}, {at})")
        questions, done = (await place.kept(), await place.resumed())[1]
        assert [one.partition("?")[0] for one in questions] == [f'Did mail({{"text":"{MAILS[at]}"}}) happen']
        assert not [one for one in done if one.startswith("mail")]


@pytest.mark.parametrize(
    "change", ["took=took+1", "request={junk}", "digest={junk}", "kind={other}", "seal={junk}", "path={elsewhere}"]
)
async def test_a_mail_that_was_about_to_be_sent_when_the_log_ends_is_asked_for(made: Making, change: str) -> None:
    for at in set(made.rows) & MAILS.keys():
        place = await made.place()
        place.cut(at)
        place.change(f"UPDATE {{effect}} SET {change} WHERE {{own}} AND seq={at - 1}")
        _, rows = await place.kept()
        assert [row.kind for row in rows] == KINDS[:at]
        questions, done = await place.resumed()
        assert questions[0].startswith(f'Did mail({{"text":"{MAILS[at]}"}}) happen?')
        assert f"mail {MAILS[at]}" not in done


async def test_a_person_is_asked_once_for_each_time_that_a_mail_was_begun(made: Making) -> None:
    """The second intent has the key of the first: what was said of the first does not hold for it."""
    place = await made.place()
    place.cut(4)
    await place.kept()
    async with opened(place.journal) as one:
        assert (await one.resume(place.run_id, strategy=working)).stop == "suspended"
        await one.answer(place.run_id, {"happened": False})
        await one.resume(place.run_id, strategy=working)
        rows = (await one.show(place.run_id)).rows
    second = [row.seq for row in rows if row.kind == "intent"][1]
    assert [row.kind for row in rows[second : second + 2]] == ["intent", "tool"]
    place.cut(second + 1)
    place.change(f"UPDATE {{effect}} SET took=took+1 WHERE {{own}} AND seq={second}")
    assert (await place.kept())[0] == 1
    questions, done = await place.resumed()
    assert questions[0].startswith('Did mail({"text":"one"}) happen?')
    assert "mail one" not in done


@pytest.mark.parametrize("change", ["path={elsewhere}", "occurrence=occurrence+1"])
async def test_a_result_whose_key_cannot_be_read_does_not_let_its_mail_be_sent_again(made: Making, change: str) -> None:
    """Its intent says that it was begun."""
    for at in set(made.rows) & MAILS.keys():
        place = await made.place()
        place.change(f"UPDATE {{effect}} SET {change}, took=took+1 WHERE {{own}} AND seq={at}")
        assert (await place.kept())[0] == 1
        questions, done = await place.resumed()
        assert [one.partition("?")[0] for one in questions] == [f'Did mail({{"text":"{MAILS[at]}"}}) happen']
        assert done == []


@pytest.mark.parametrize(
    "change",
    [
        "path={elsewhere}, took=took+1",
        "occurrence=occurrence+1, took=took+1",
        "digest={junk}, request={junk}",
        "kind={other}, path={elsewhere}",
        "kind={other}, digest={junk}, request={junk}, seal={junk}",
    ],
)
async def test_a_mail_that_was_about_to_be_sent_is_asked_for_although_nobody_can_read_which_it_was(
    made: Making, change: str
) -> None:
    for at in set(made.rows) & MAILS.keys():
        place = await made.place()
        place.cut(at)
        place.change(f"UPDATE {{effect}} SET {change} WHERE {{own}} AND seq={at - 1}")
        gone, rows = await place.kept()
        assert (gone, [row.kind for row in rows]) == (1, KINDS[:at])
        questions, done = await place.resumed()
        assert questions[0].startswith(f'Did mail({{"text":"{MAILS[at]}"}}) happen?')
        assert f"mail {MAILS[at]}" not in done


async def test_a_missing_row_costs_the_next_one_too(made: Making) -> None:
    for at in set(made.rows) - {15}:
        place = await made.place()
        place.change(f"DELETE FROM {{effect}} WHERE {{own}} AND seq={at}")
        gone, rows = await place.kept()
        assert gone == 2
        assert (
            [(row.seq, row.kind) for row in rows][-2:] == [(15, "model"), (16, "intent")]
            if at < 14
            else [(13, "intent"), (14, "intent")]
        )
        _, done = await place.resumed()
        lost = [PERFORMED[one] for one in (at, at + 1) if one in PERFORMED]
        assert done == lost, at


def changed(path: Path, data: bytes, at: int) -> Place:
    """Return the file with a byte changed."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(data[:at] + bytes([data[at] ^ 0x15]) + data[at + 1 :])
    return Place(f"sqlite:{path}", "mine", lambda _: None, {})


async def resends(place: Place) -> bool:
    """Repair a journal, resume its run; return whether a mail was sent again. To refuse it is allowed."""
    DONE.clear()
    with contextlib.suppress(JournalError, UsageError):
        await place.kept()
        async with opened(place.journal) as one:
            whole = (await one.show(place.run_id)).record
        if whole:  # else nothing is known of the run but its rows
            await driven(place.journal, place.run_id, resume=True)
    return any(one.startswith("mail") for one in DONE)


@pytest.fixture
async def written(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "journal.sqlite"
    await driven(f"sqlite:{path}", "mine")
    return path, path.read_bytes()


async def test_no_changed_byte_of_a_file_sends_a_mail_again(written: tuple[Path, bytes]) -> None:
    path, data = written
    filled = [at for at in range(4096, len(data)) if data[at]]
    places = random.Random(11).sample(filled, 60)
    assert [at for at in places if await resends(changed(path, data, at))] == []


async def test_a_word_that_became_nothing_costs_nothing(written: tuple[Path, bytes]) -> None:
    path, _ = written
    loosened = TABLES[3].replace(" NOT NULL", "")
    execute(path, "PRAGMA writable_schema=1", f"UPDATE sqlite_master SET sql='{loosened}' WHERE name='word'")
    execute(path, "UPDATE word SET text=NULL WHERE text='model'")
    execute(path, "PRAGMA writable_schema=1", f"UPDATE sqlite_master SET sql='{TABLES[3]}' WHERE name='word'")
    place = Place(f"sqlite:{path}", "mine", lambda _: None, {})
    gone, rows = await place.kept()
    assert (gone, [row.kind for row in rows]) == (0, KINDS)
    assert await place.resumed() == ([], [])


async def test_a_run_whose_number_changed_gets_its_rows_back(written: tuple[Path, bytes]) -> None:
    """The index of ids still has the number under which the rows are."""
    path, data = written
    with closing(sqlite3.connect(path)) as file:
        (record,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name='run'").fetchone()
    page = (record - 1) * 4096
    cell = page + int.from_bytes(data[page + 8 : page + 10], "big")  # two bytes of length, then the number
    assert data[cell + 2] == 1
    place = changed(path, data, cell + 2)
    gone, rows = await place.kept()
    assert (gone, [row.kind for row in rows]) == (0, KINDS)
    assert await place.resumed() == ([], [])


@pytest.mark.parametrize("ended", [True, False])
async def test_mails_of_rows_that_a_page_has_lost_are_asked_for(written: tuple[Path, bytes], ended: bool) -> None:
    """The head of a page says how many rows it has; the index knows of more, also of a run that was killed."""
    path, data = written
    with closing(sqlite3.connect(path)) as file:
        (effects,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name='effect'").fetchone()
        if not ended:
            file.execute("UPDATE run SET rows=-1, stands=x''")
            file.commit()
            data = path.read_bytes()
    at = (effects - 1) * 4096 + 4
    assert data[at] == len(KINDS)
    place = changed(path, data, at)  # 5 from now on
    gone, rows = await place.kept()
    assert (gone, [row.kind for row in rows]) == (11, [*KINDS[:5], "intent"])
    questions, done = await place.resumed()
    assert [question.partition(" happen?")[0] for question in questions if "happen?" in question] == [
        'Did mail({"text":"branch 0"})', 'Did mail({"text":"branch 1"})',
    ]  # fmt: skip
    assert done == ["guess 2", "store it", "guess 3"]


async def test_mails_of_rows_that_are_gone_from_the_end_are_asked_for(made: Making) -> None:
    """The record of the run has how many there were."""
    for left in {0, 3, 9} & {*made.rows, 9}:
        place = await made.place()
        place.change(f"DELETE FROM {{effect}} WHERE {{own}} AND seq>={left}")
        gone, rows = await place.kept()
        assert (gone, [row.kind for row in rows]) == (len(KINDS) - left, [*KINDS[:left], "intent"])
        questions, done = await place.resumed()
        sent = [text for at, text in MAILS.items() if at >= left]
        assert [one for one in done if one.startswith("mail")] == []
        assert [text for text in sent if not any(f'"{text}"' in one and "happen?" in one for one in questions)] == []


@pytest.mark.chaos
async def test_no_changed_byte_at_all_sends_a_mail_again(written: tuple[Path, bytes]) -> None:
    path, data = written
    assert [at for at in range(len(data)) if data[at] and await resends(changed(path, data, at))] == []


def log(count: int, kind: Any = "model") -> list[Stored]:
    """Return sound rows of a run as they are read."""
    found: list[Stored] = []
    before = FIRST
    for seq in range(count):
        request = b'{"tool":"mail","arguments":{"n":%d}}' % seq
        row = Row(
            seq,
            kind,
            "",
            digest_of("tool", request) if kind == "tool" else bytes(32),
            0,
            seq,
            seq,
            1,
            None,
            request,
            b"1",
        )
        before = seal(before, row)
        found.append(Stored(seq, row, before, whole=True))
    return found


@given(st.data())
def test_what_is_sound_stays_whatever_is_damaged(data: st.DataObject) -> None:
    """Seals damaged or not, contents damaged or not: a row goes only if it or its neighbour before gave no seal."""
    stored = log(data.draw(st.integers(1, 30)), data.draw(st.sampled_from(["model", "tool"])))
    content = data.draw(st.sets(st.integers(0, len(stored) - 1)))
    seals = data.draw(st.sets(st.integers(0, len(stored) - 1)))
    damaged = [
        one._replace(
            row=one.row._replace(took=7) if at in content else one.row, seal=bytes(32) if at in seals else one.seal
        )
        for at, one in enumerate(stored)
    ]
    kept, gone = salvaged(damaged, stored[-1].seal)
    sound = [one for one in kept if not one.placed]
    assert gone == len(stored) - len(sound)
    assert {one.key for one in kept if one.placed} == {
        one.key for one in stored if one.row.kind == "tool" and one.key not in {other.key for other in sound}
    }
    for one in sound:
        assert one.row == stored[one.key].row
    known = {one.key for one in sound}
    assert not known & content
    # A row in front of which the chain is whole, or whose forerunner has its seal, is known by its own seal.
    assert known >= {at for at in range(len(stored)) if at not in content | seals and (at == 0 or at - 1 not in seals)}
    chain = FIRST
    for one in kept:
        chain = seal(chain, one.row)
        assert one.seal == chain


def test_all_seals_may_be_damaged_if_the_run_has_stopped() -> None:
    stored = log(500)
    kept, gone = salvaged([one._replace(seal=bytes(32)) for one in stored], stored[-1].seal)
    assert (kept, gone) == ([Kept(one.key, one.row, one.seal) for one in stored], 0)
    assert salvaged([one._replace(seal=bytes(32)) for one in stored], b"") == ([], 500)


def test_code_in_a_sandbox_may_be_executed_again() -> None:
    request = b'{"execute":"1","files":[],"language":"python","sandbox":"s"}'
    row = Row(0, "tool", "", digest_of("tool", request), 0, 0, 0, 1, None, request, b"1")
    assert salvaged([Stored(0, row, FIRST, whole=True)], b"") == ([], 1)
