"""Checks of a journal: who drives a run, how another takes it over, what is removed, and whether all is sound."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stratagem.errors import JournalCorrupt, OwnedElsewhere, UsageError
from stratagem.testing._journal_bench import (
    FORM,
    LONG,
    OTHER,
    OWNER,
    Bench,
    Check,
    asking,
    durable,
    found,
    refused,
    row,
    run_of,
    taken,
    waiting,
)  # fmt: skip


async def who_lets_go_of_a_run_must_claim_it(bench: Bench) -> None:
    """A record without an owner is the last thing that is written to it."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.append("abcdef", row(0)))
    ended = run_of("abcdef", state="finished", owner=b"", rows=1, end=b'{"text":"x"}')
    await durable(journal.update(ended))
    stored, _ = await journal.load("abcdef")
    assert stored._replace(seal=b"") == ended
    await refused(journal, run_of("abcdef"), 1)
    assert await journal.load("abcdef") == (stored, [row(0)])
    assert await taken(journal, "abcdef", OTHER) == (stored._replace(epoch=2, owner=OTHER), [row(0)])
    await durable(journal.append("abcdef", row(1)))
    await durable(journal.update(run_of("abcdef")))
    assert await journal.load("abcdef") == (run_of("abcdef", epoch=2), [row(0), row(1)])


async def a_run_is_claimed_at_the_epoch_it_has(bench: Bench) -> None:
    """Any other is refused, and leaves it as it is."""
    journal = bench.open()
    run = run_of("abcdef", epoch=5)
    await durable(journal.create(run))
    for epoch in (4, 6):
        with pytest.raises(OwnedElsewhere, match="abcdef"):
            await journal.claim("abcdef", epoch, OTHER)
    assert await found(journal, "abcdef") == run
    with pytest.raises(UsageError, match=r"no run 'abcdeg'.*did you mean 'abcdef'"):
        await journal.claim("abcdeg", 5, OTHER)
    await journal.claim("abcdef", 5, OTHER)
    assert await found(journal, "abcdef") == run._replace(epoch=6, owner=OTHER)
    with pytest.raises(OwnedElsewhere, match="abcdef"):
        await journal.claim("abcdef", 5, OTHER)


async def each_owner_has_an_age(bench: Bench) -> None:
    """Of each owner from its last beat on; one that never said anything has none."""
    journal = bench.open()
    assert await journal.age(OWNER) is None
    await durable(journal.beat(OWNER))
    assert await journal.age(OTHER) is None
    first = await journal.age(OWNER)
    assert first is not None
    assert first >= 0
    await durable(journal.beat(OTHER))
    other, older = await journal.age(OTHER), await journal.age(OWNER)
    assert other is not None
    assert older is not None
    assert older >= first
    assert other >= 0


async def ages_follow_the_clock(bench: Bench) -> None:
    """In seconds; a beat sets the age back to nothing. An owner is known by its id, whatever else it says."""
    journal = bench.open()

    async def aged(owner: bytes) -> float:
        return round(await journal.age(owner) or 0, 3)

    await durable(journal.beat(OWNER))
    bench.advance(10)
    assert await aged(OWNER) == 10
    await durable(journal.beat(OTHER))
    bench.advance(1.5)
    assert await aged(OWNER) == 11.5
    assert await aged(OTHER) == 1.5
    await durable(journal.beat(OWNER[:-1] + b',"more":1}'))
    assert await aged(OWNER) == 0
    assert await aged(OTHER) == 1.5


async def a_run_is_found_by_its_id(bench: Bench) -> None:
    """By the whole of it."""
    journal = bench.open()
    assert await journal.find("abcdef") is None
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.create(run_of("abcdefg", "Another?")))
    assert await journal.find("abcdef") == run_of("abcdef")
    assert await journal.find("abcde") is None
    assert await journal.find("") is None


async def children_are_listed_oldest_first(bench: Bench) -> None:
    """Those that were forked from a run, not those forked from them; more than a list shows by default."""
    journal = bench.open()
    await durable(journal.create(run_of("abcdef")))
    names = [f"k{number:05}" for number in range(30)]
    for number, name in enumerate(names):
        await durable(journal.create(run_of(name, parent="abcdef", created=2000 - number)))
    await durable(journal.create(run_of("zzzzzz", parent="k00000")))
    assert await journal.children("abcdef") == names[::-1]
    assert await journal.children("k00000") == ["zzzzzz"]
    assert await journal.children("zzzzzz") == []
    assert await journal.children("nobody") == []


async def removal_leaves_others_whole(bench: Bench) -> None:
    """Rows, questions and payloads go, but for those that others have too; nobody can write to what is gone."""
    journal = bench.open()
    shared, own = b"s" * 5000, b"o" * 5000
    rows = [row(0, request=shared, result=own), row(1, kind="decision", path="shared/path")]
    for name in ("abcdef", "ghijkl", "mnopqr"):
        await asking(journal, name, "q1")
        await durable(journal.ask(name, "q2", LONG))
        await journal.answer(name, "q1", LONG)
        for one in rows:
            await durable(journal.append(name, one._replace(result=own + name.encode())))
    kept = await journal.load("ghijkl")
    assert await journal.remove(["mnopqr", "abcdef", "nobody", "abcdef"]) == 2
    assert await journal.remove(["abcdef"]) == 0
    assert await journal.remove([]) == 0
    assert await journal.load("ghijkl") == kept
    assert [run.run_id for run in await journal.runs()] == await journal.ids("") == ["ghijkl"]
    assert await journal.find("abcdef") is None
    assert await journal.answers(["abcdef", "ghijkl"]) == {"ghijkl": {"q1": LONG}}
    for gone in (journal.load("abcdef"), journal.answer("abcdef", "q1", b"1"), journal.claim("abcdef", 1, OTHER)):
        with pytest.raises(UsageError, match="no run 'abcdef'"):
            await gone
    await refused(journal, run_of("abcdef"), 2)
    condition = await journal.check()
    assert (condition.runs, condition.rows, condition.orphans, condition.damage) == (1, 2, 0, ())
    await durable(journal.create(run_of("abcdef", "Anew?")))
    assert await journal.load("abcdef") == (run_of("abcdef", "Anew?"), [])


async def a_sound_store_is_found_sound(bench: Bench) -> None:
    """Everything is counted, nothing is changed; an empty store is sound."""
    journal = bench.open()
    empty = await journal.check()
    assert (empty.runs, empty.rows, empty.blobs, empty.orphans, empty.damage) == (0, 0, 0, 0, ())
    assert await journal.sweep() == 0
    run = await asking(journal, "abcdef", "q1", "q2")
    await journal.answer("abcdef", "q1", LONG)
    rows = [row(seq, result=b"r" * 3000) for seq in range(3)]
    for one in rows:
        journal.append("abcdef", one)
    await asking(journal, "ghijkl")
    run = await found(journal, "abcdef")
    for _ in range(2):
        condition = await journal.check()
        assert (condition.runs, condition.rows, condition.orphans, condition.damage) == (2, 3, 0, ())
        assert condition.bytes > empty.bytes
        assert await journal.sweep() == 0
    assert await journal.load("abcdef") == (run, rows)
    await durable(journal.append("abcdef", row(3)))


async def of_two_claims_one_succeeds(bench: Bench) -> None:
    """Whoever comes second with the same epoch is refused, also at the same moment."""
    one, two = bench.open(), bench.open()
    await durable(one.create(run_of("abcdef", owner=b"")))
    await two.claim("abcdef", 1, OTHER)
    with pytest.raises(OwnedElsewhere, match="abcdef"):
        await one.claim("abcdef", 1, OWNER)
    assert await found(one, "abcdef") == run_of("abcdef", epoch=2, owner=OTHER)
    for epoch in range(2, 52):
        ends = await asyncio.gather(
            one.claim("abcdef", epoch, OWNER), two.claim("abcdef", epoch, OTHER), return_exceptions=True
        )
        assert sorted(type(end).__name__ for end in ends) == ["NoneType", "OwnedElsewhere"]
        run = await found(one, "abcdef")
        assert (run.epoch, run.owner) == (epoch + 1, OWNER if ends[0] is None else OTHER)


async def who_only_looks_may_not_write(bench: Bench) -> None:
    """A run that was loaded is not owned: its owner goes on undisturbed."""
    owner, reader = bench.open(), bench.open()
    await durable(owner.create(run_of("abcdef")))
    await durable(owner.append("abcdef", row(0)))
    seen = await reader.load("abcdef")
    await refused(reader, run_of("abcdef"), 1)
    assert await reader.load("abcdef") == seen == (run_of("abcdef"), [row(0)])
    await durable(owner.append("abcdef", row(1), alone=True))


async def a_fenced_owner_stores_nothing(bench: Bench) -> None:
    """Each write of the old owner is refused, of that run only; loading it makes nothing better."""
    old, new = bench.open(), bench.open()
    for name in ("abcdef", "others"):
        await asking(old, name, "q1")
        await durable(old.append(name, row(0)))
    taken_over = await taken(new, "abcdef", OTHER)
    assert (taken_over[0].epoch, taken_over[0].owner) == (2, OTHER)
    for _ in range(2):
        await refused(old, run_of("abcdef"), 1)
        assert await old.load("abcdef") == taken_over
    await durable(old.append("others", row(1), alone=True))
    await durable(new.append("abcdef", row(1, path="new")))
    assert await new.load("abcdef") == (taken_over[0], [row(0), row(1, path="new")])
    await taken(old, "abcdef")
    await durable(old.append("abcdef", row(2)))
    assert (await new.load("abcdef"))[1] == [row(0), row(1, path="new"), row(2)]
    await refused(new, run_of("abcdef"), 3)


async def each_write_of_a_fenced_owner_is_refused_by_itself(bench: Bench) -> None:
    """Whichever comes first after the takeover, nothing of it is stored."""
    old, new = bench.open(), bench.open()
    names = ["append", "alone0", "update", "asking", "parked"]
    for name in names:
        await asking(old, name, "q1")
        await durable(old.append(name, row(0)))
    expected = [await taken(new, name, OTHER) for name in names]
    writes: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: durable(old.append("append", row(1))),
        lambda: durable(old.append("alone0", row(1), alone=True)),
        lambda: durable(old.update(run_of("update", state="finished", rows=0))),
        lambda: durable(old.ask("asking", "q2", FORM)),
        lambda: old.park(waiting(run_of("parked")), ["q1"]),
    )
    for name, write in zip(names, writes, strict=True):
        with pytest.raises(OwnedElsewhere, match=name):
            await write()
    assert [await new.load(name) for name in names] == expected


async def a_removed_run_is_not_written_into_its_successor(bench: Bench) -> None:
    """Its old owner is refused, even when a new run has its id or its place."""
    old, new = bench.open(), bench.open()
    for name in ("abcdef", "ghijkl"):
        await durable(old.create(run_of(name)))
        await durable(old.append(name, row(0)))
    assert await new.remove(["abcdef", "ghijkl"]) == 2
    await durable(new.create(run_of("ghijkl", "Anew?")))
    await durable(new.create(run_of("abcdef", "Anew?")))
    for name in ("abcdef", "ghijkl"):
        await refused(old, run_of(name), 1)
        assert await new.load(name) == (run_of(name, "Anew?"), [])


async def a_beat_is_seen_by_others(bench: Bench) -> None:
    """And outlives the object that it came from."""
    one, two = bench.open(), bench.open()
    await durable(one.beat(OWNER))
    seen = await two.age(OWNER)
    assert seen is not None
    await one.aclose()
    later = await two.age(OWNER)
    assert later is not None
    assert later >= seen >= 0


async def an_old_owner_is_stopped(bench: Bench) -> None:
    """What it had queued together with rows of another run is refused, and the other run is not disturbed."""
    old, new = bench.open(), bench.open()
    for name in ("abcdef", "others"):
        await durable(old.create(run_of(name)))
        await durable(old.append(name, row(0)))
    await taken(new, "abcdef", OTHER)
    stopped = old.append("abcdef", row(1))
    other = old.append("others", row(1))
    with pytest.raises(OwnedElsewhere, match="abcdef"):
        await durable(stopped)
    await durable(other)
    await durable(new.append("abcdef", row(1, path="new")))
    run = run_of("abcdef", epoch=2, owner=OTHER)
    assert await new.load("abcdef") == (run, [row(0), row(1, path="new")])
    assert (await new.load("others"))[1] == [row(0), row(1)]


async def a_damaged_row_is_named_and_can_be_dropped(bench: Bench) -> None:
    """It is refused by run and number; what is before it stays, and what is after it; the run goes on with that."""
    journal = bench.open()
    rows = [row(seq, result=b'"%s"' % (b"a" * 40)) for seq in range(10)]
    await durable(journal.create(run_of("abcdef")))
    await durable(journal.create(run_of("others")))
    for one in rows:
        await durable(journal.append("abcdef", one))
        await durable(journal.append("others", one))
    await durable(journal.update(run_of("abcdef", state="finished", rows=0)))
    await journal.aclose()
    bench.damage("abcdef", 6)
    journal = bench.open()
    with pytest.raises(JournalCorrupt, match=r"'abcdef'.* row 6 "):
        await journal.load("abcdef")
    assert (await journal.load("others"))[1] == rows
    (told,) = (await journal.check()).damage
    assert "'abcdef'" in told
    assert " row 6 " in told
    assert await journal.drop_damaged("abcdef") == 1
    run, found = await journal.load("abcdef")
    assert (run.state, run.rows, run.end, run.record) == ("running", -1, b"", run_of("abcdef").record)
    assert run.epoch > 1
    assert run.owner == b""
    left = [*rows[:6], *rows[7:]]
    assert found == left
    assert (await journal.check()).damage == ()
    await journal.claim("abcdef", run.epoch, OWNER)
    await durable(journal.append("abcdef", row(10, path="again"), alone=True))
    await durable(journal.update(run_of("abcdef", state="finished", rows=0)))
    journal = await bench.reopened(journal)
    assert (await journal.load("abcdef"))[1] == [*left, row(10, path="again")]
    assert (await journal.load("others"))[1] == rows


OWNERS: list[Check] = [
    who_lets_go_of_a_run_must_claim_it,
    a_run_is_claimed_at_the_epoch_it_has,
    each_owner_has_an_age,
    a_run_is_found_by_its_id,
    children_are_listed_oldest_first,
    removal_leaves_others_whole,
    a_sound_store_is_found_sound,
]

OTHERS: list[Check] = [
    an_old_owner_is_stopped,
    of_two_claims_one_succeeds,
    who_only_looks_may_not_write,
    a_fenced_owner_stores_nothing,
    each_write_of_a_fenced_owner_is_refused_by_itself,
    a_removed_run_is_not_written_into_its_successor,
    a_beat_is_seen_by_others,
]

CLOCK: list[Check] = [ages_follow_the_clock]

DAMAGE: list[Check] = [a_damaged_row_is_named_and_can_be_dropped]
