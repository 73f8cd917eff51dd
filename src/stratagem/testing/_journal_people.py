"""Checks of a journal: what is asked of persons, what they say, and how a run is parked meanwhile."""

import asyncio

import pytest

from stratagem.core import StoredRun
from stratagem.core._canonical import decoded
from stratagem.errors import UsageError
from stratagem.testing._journal_bench import (
    FORM,
    LONG,
    OTHER,
    OWNER,
    Bench,
    Check,
    asking,
    chain,
    durable,
    found,
    refused,
    row,
    run_of,
    taken,
    waiting,
)  # fmt: skip

RACES = 10  # rounds of a hundred runs, each parked while it is answered


async def questions_and_answers_come_back(bench: Bench) -> None:
    """As canonical objects in the run's record, whichever way it is read; short and long, in any script."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q2", "é日")
    await durable(journal.ask("abcdef", "q10", LONG))
    assert run.questions == b'{"q2":%s,"%s":%s}' % (FORM, "é日".encode(), FORM)
    assert run._replace(questions=b"{}") == run_of("abcdef")
    assert await journal.answers(["abcdef"]) == {"abcdef": {}}
    await journal.answer("abcdef", "é日", '"nach Süden"'.encode())
    await journal.answer("abcdef", "q10", LONG)
    run = await found(journal, "abcdef")
    assert decoded(run.questions) == {"q2": decoded(FORM), "q10": decoded(LONG), "é日": decoded(FORM)}
    assert run.questions.startswith(b'{"q10":')
    assert run.answers == b'{"q10":%s,"%s":"nach S\xc3\xbcden"}' % (LONG, "é日".encode())
    assert await journal.answers(["abcdef", "nobody"]) == {
        "abcdef": {"q10": LONG, "é日": '"nach Süden"'.encode()}
    }  # fmt: skip
    assert (await journal.load("abcdef"))[0] == run
    assert await journal.runs() == [run]


async def a_question_is_asked_once(bench: Bench) -> None:
    """Asked again, as after a resume, it stays as it was, and so does its answer."""
    journal = bench.open()
    await asking(journal, "abcdef", "q1")
    await durable(journal.ask("abcdef", "q1", b'{"question":"Another?"}'))
    await journal.answer("abcdef", "q1", b"1")
    await durable(journal.ask("abcdef", "q1", b'{"question":"Another?"}'))
    run = await found(journal, "abcdef")
    assert (run.questions, run.answers) == (b'{"q1":%s}' % FORM, b'{"q1":1}')


async def an_answer_is_taken_once(bench: Bench) -> None:
    """The first stays; whoever comes later is told so by None. Whoever is first sees who drives the run."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q1", "q2")
    assert await journal.answer("abcdef", "q1", b"true") == run._replace(answers=b'{"q1":true}')
    assert await journal.answer("abcdef", "q1", b"false") is None
    assert await journal.answer("abcdef", "q1", b"true") is None
    assert await journal.answer("abcdef", "q2", b"null") == run._replace(answers=b'{"q1":true,"q2":null}')
    assert await journal.answers(["abcdef"]) == {"abcdef": {"q1": b"true", "q2": b"null"}}


async def what_was_not_asked_cannot_be_answered(bench: Bench) -> None:
    """Nor can a run that is not there; nothing is stored."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q1")
    with pytest.raises(UsageError, match=r"run 'abcdef' has not asked 'q2'"):
        await journal.answer("abcdef", "q2", b"1")
    with pytest.raises(UsageError, match=r"no run 'abcdeg'.*did you mean 'abcdef'"):
        await journal.answer("abcdeg", "q1", b"1")
    assert await found(journal, "abcdef") == run


async def answers_are_of_their_own_run(bench: Bench) -> None:
    """Two runs ask the same; one is answered. What was read before does not hide what came later."""
    journal = bench.open()
    for name in ("abcdef", "ghijkl"):
        await asking(journal, name, "q1")
    names = ["abcdef", "ghijkl"]
    assert await journal.answers(names) == {"abcdef": {}, "ghijkl": {}}
    await journal.answer("ghijkl", "q1", b"2")
    assert await journal.answers(names) == {"abcdef": {}, "ghijkl": {"q1": b"2"}}
    assert await journal.answers(["abcdef"]) == {"abcdef": {}}
    assert await journal.answers([]) == {}
    await journal.answer("abcdef", "q1", b"1")
    assert await journal.answers(names) == {"abcdef": {"q1": b"1"}, "ghijkl": {"q1": b"2"}}


async def a_record_keeps_its_questions_and_answers(bench: Bench) -> None:
    """`update` and `park` do not touch them, whatever they are given; nor the epoch."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q1", "q2")
    await journal.answer("abcdef", "q1", b"1")
    strange = run._replace(questions=b"{}", answers=b'{"q2":5}', epoch=7, updated=2000)
    await durable(journal.update(strange))
    kept = run._replace(answers=b'{"q1":1}', updated=2000)
    assert await found(journal, "abcdef") == kept
    assert await journal.park(waiting(strange), ["q2"]) == {}
    assert await found(journal, "abcdef") == waiting(kept)


async def a_run_is_created_with_its_questions(bench: Bench) -> None:
    """One that comes from another store has some already, and answers to what it no longer asks."""
    journal = bench.open()
    run = run_of("abcdef", questions=b'{"q1":%s,"q2":%s}' % (FORM, LONG), answers=b'{"q0":0,"q2":[2]}', epoch=9)
    await durable(journal.create(run))
    assert await journal.load("abcdef") == (run, [])
    assert await journal.answers(["abcdef"]) == {"abcdef": {"q0": b"0", "q2": b"[2]"}}
    assert await journal.answer("abcdef", "q2", b"2") is None
    with pytest.raises(UsageError, match="has not asked 'q3'"):
        await journal.answer("abcdef", "q3", b"2")
    await durable(journal.ask("abcdef", "q3", FORM))
    assert await journal.answer("abcdef", "q3", b"3") is not None
    await durable(journal.ask("abcdef", "q0", LONG))
    again, _ = await journal.load("abcdef")
    assert again.answers == b'{"q0":0,"q2":[2],"q3":3}'
    assert again.questions == b'{"q0":%s,"q1":%s,"q2":%s,"q3":%s}' % (LONG, FORM, LONG, FORM)


async def a_parked_run_is_let_go(bench: Bench) -> None:
    """Nobody owns it; its rows are counted; it cannot be written to, but be answered, and be claimed."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q1")
    rows = [row(0), row(1)]
    for one in rows:
        journal.append("abcdef", one)
    assert await journal.park(waiting(run), ["q1"]) == {}
    parked = await found(journal, "abcdef")
    assert parked._replace(seal=b"") == waiting(run)._replace(rows=2)
    assert parked.seal in (b"", chain(rows))
    await refused(journal, run, 2)
    assert await journal.answer("abcdef", "q1", b"1") == parked._replace(answers=b'{"q1":1}')
    await journal.claim("abcdef", run.epoch, OTHER)
    resumed = parked._replace(answers=b'{"q1":1}', owner=OTHER, epoch=run.epoch + 1)
    assert await journal.load("abcdef") == (resumed, rows)
    await durable(journal.append("abcdef", row(2)))
    assert (await journal.load("abcdef"))[1] == [*rows, row(2)]


async def an_answer_that_came_first_keeps_a_run_from_parking(bench: Bench) -> None:
    """It is handed over, and nothing is written; the run goes on. Only questions it waits for count."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q1", "q2", "q3")
    await durable(journal.append("abcdef", row(0)))
    await journal.answer("abcdef", "q1", b"1")
    await journal.answer("abcdef", "q3", b"3")
    assert await journal.park(waiting(run), ["q2", "q3"]) == {"q3": b"3"}
    assert await found(journal, "abcdef") == run._replace(answers=b'{"q1":1,"q3":3}')
    await durable(journal.append("abcdef", row(1), alone=True))
    assert await journal.park(waiting(run), ["q2"]) == {}
    parked, rows = await journal.load("abcdef")
    assert (parked.state, parked.owner, parked.rows, rows) == ("waiting", b"", 2, [row(0), row(1)])


async def questions_and_answers_survive(bench: Bench) -> None:
    """Until days later another process answers, and a third goes on."""
    journal = bench.open()
    run = await asking(journal, "abcdef", "q1", "q2")
    await durable(journal.append("abcdef", row(0)))
    await journal.answer("abcdef", "q1", b'"a"')
    assert await journal.park(waiting(run), ["q2"]) == {}
    journal = await bench.reopened(journal)
    parked = await found(journal, "abcdef")
    assert (parked.questions, parked.answers) == (run.questions, b'{"q1":"a"}')
    assert await journal.answer("abcdef", "q2", LONG) == parked._replace(answers=b'{"q1":"a","q2":%s}' % LONG)
    journal = await bench.reopened(journal)
    assert await journal.answers(["abcdef"]) == {"abcdef": {"q1": b'"a"', "q2": LONG}}
    again, rows = await taken(journal, "abcdef", OTHER)
    assert (again.questions, again.answers, again.owner, again.epoch) == (
        run.questions, b'{"q1":"a","q2":%s}' % LONG, OTHER, 2,
    )  # fmt: skip
    assert rows == [row(0)]
    await durable(journal.append("abcdef", row(1)))


async def an_answer_reaches_the_owner(bench: Bench) -> None:
    """It is given through one object, and read by the one that drives the run, while rows are written."""
    owner, person = bench.open(), bench.open()
    await asking(owner, "abcdef", "q1", "q2")
    assert await owner.answers(["abcdef"]) == {"abcdef": {}}
    given = await person.answer("abcdef", "q1", b"1")
    assert given is not None
    assert given.owner == OWNER
    await durable(owner.append("abcdef", row(0), alone=True))
    assert await owner.answers(["abcdef"]) == {"abcdef": {"q1": b"1"}}
    await durable(person.create(run_of("ghijkl")))
    assert await owner.answers(["abcdef"]) == {"abcdef": {"q1": b"1"}}
    await person.answer("abcdef", "q2", b"2")
    assert await owner.answers(["abcdef"]) == {"abcdef": {"q1": b"1", "q2": b"2"}}
    assert await person.remove(["abcdef"]) == 1
    assert await owner.answers(["abcdef"]) == {}


async def of_two_answers_at_once_one_is_taken(bench: Bench) -> None:
    """A hundred questions, each answered by two persons at the same time."""
    one, two = bench.open(), bench.open()
    names = [f"q{number:02}" for number in range(100)]
    await asking(one, "abcdef", *names)
    given = await asyncio.gather(
        *(journal.answer("abcdef", name, value) for name in names for journal, value in ((one, b"1"), (two, b"2")))
    )
    said = (await two.answers(["abcdef"]))["abcdef"]
    assert sorted(said) == names
    for first, second, name in zip(given[::2], given[1::2], names, strict=True):
        assert (first is None) != (second is None)
        assert said[name] == (b"2" if first is None else b"1")


async def a_run_is_parked_or_answered_first(bench: Bench) -> None:
    """A thousand times at the same moment: no answer is lost between the look and the letting go.

    Either the owner gets the answer instead of parking, or whoever answers sees that nobody drives the run.
    """
    owner, person = bench.open(), bench.open()
    runs = [await asking(owner, f"r{number:05}") for number in range(100)]

    async def race(run: StoredRun, name: str, case: int) -> None:
        await durable(owner.ask(run.run_id, name, FORM))
        calls = [owner.park(waiting(run), [name]), person.answer(run.run_id, name, b"1")]
        if late := case % 2 == 1:
            calls.reverse()
        both = [asyncio.ensure_future(call) for call in calls]
        if case % 3 == 1:
            await asyncio.sleep(0)
        await asyncio.wait(both)
        park, answer = (both[1], both[0]) if late else both
        given = answer.result()
        assert isinstance(given, StoredRun)
        if park.result() == {name: b"1"}:
            assert (given.state, given.owner) == ("running", OWNER)
            return
        assert park.result() == {}
        assert (given.state, given.owner) == ("waiting", b"")
        await owner.claim(run.run_id, given.epoch, OWNER)
        await durable(owner.update(run))

    for number in range(RACES):
        await asyncio.gather(*(race(run, f"q{number}", number + case) for case, run in enumerate(runs)))
    said = await owner.answers([run.run_id for run in runs])
    assert said == {run.run_id: {f"q{number}": b"1" for number in range(RACES)} for run in runs}


PEOPLE: list[Check] = [
    questions_and_answers_come_back,
    a_question_is_asked_once,
    an_answer_is_taken_once,
    what_was_not_asked_cannot_be_answered,
    answers_are_of_their_own_run,
    a_record_keeps_its_questions_and_answers,
    a_run_is_created_with_its_questions,
    a_parked_run_is_let_go,
    an_answer_that_came_first_keeps_a_run_from_parking,
]

SHARED: list[Check] = [
    questions_and_answers_survive,
    an_answer_reaches_the_owner,
    of_two_answers_at_once_one_is_taken,
    a_run_is_parked_or_answered_first,
]
