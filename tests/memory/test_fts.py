import asyncio
import os
import random
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratagem.core import UNKNOWN, USER, Label, Memory, Recalled
from stratagem.errors import UsageError
from stratagem.memory.fts import MAX_CHARS, FtsMemory
from stratagem.memory.words import query_of, words_of
from stratagem.testing import scripted

NOON = "2026-01-31T12:00:00Z"


async def keep(memory: FtsMemory, *texts: str, time: str = NOON) -> None:
    """Observe texts, each under a key of its own."""
    for text in texts:
        await memory.observe(text, key=f"key of {text}", source="run a", time=time, label=UNKNOWN, fields={})


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[FtsMemory]:
    store = FtsMemory(tmp_path / "memory.sqlite")
    yield store
    await store.aclose()


async def test_a_record_comes_back_with_all_that_was_observed(memory: FtsMemory) -> None:
    mail = Label({"tool:mail"}, {"ada"})
    fields = {"kind": "episode", "n": 1, "share": 0.5, "of": [None, True, {"ü": "\u2028"}]}
    await memory.observe(
        "the key is under the mat",
        key="k1",
        source="run k7",
        time="2026-01-31T12:00:00.250Z",
        label=mail,
        fields=fields,
    )
    (found,) = await memory.recall("where is the key?", 5)
    assert found == "the key is under the mat"
    assert (found.source, found.time, found.label, found.fields) == ("run k7", "2026-01-31T12:00:00.250Z", mail, fields)
    assert Recalled.of(found.form()).form() == found.form()
    assert (await memory.get(found.id) or found).form() == found.form()
    assert await memory.get("0" * 16) is None


async def test_it_is_a_memory_as_the_core_wants_one(memory: FtsMemory) -> None:
    wanted: Memory = memory
    assert await wanted.recall("anything", 3) == ()


async def test_a_key_is_kept_once_and_the_first_text_stays(memory: FtsMemory) -> None:
    for text in ("first red", "second red"):
        await memory.observe(text, key="same", source="", time=NOON, label=USER, fields={})
    assert await memory.recall("red", 9) == ("first red",)


async def test_equal_texts_under_two_keys_are_two_records(memory: FtsMemory) -> None:
    for key in ("one", "two"):
        await memory.observe("red", key=key, source="", time=NOON, label=USER, fields={})
    found = await memory.recall("red", 9)
    assert len({record.id for record in found}) == len(found) == 2


async def test_the_record_that_shares_the_rarest_words_comes_first(memory: FtsMemory) -> None:
    await keep(memory, "the door is locked", time="2020-01-01T00:00:00Z")
    await keep(memory, "the door is red", "the window is red", "the floor is dry")
    assert (await memory.recall("Why is the door locked?", 4))[0] == "the door is locked"
    assert set(await memory.recall("Why is the door locked?", 4)) == {"the door is locked", "the door is red"}
    assert await memory.recall("the locked door", 1) == ("the door is locked",)


async def test_inflections_are_found_but_numbers_only_as_they_stand(memory: FtsMemory) -> None:
    await keep(memory, "temperature of the city", "exit code 42", "exit code 4")
    assert await memory.recall("Temperatures!", 9) == ("temperature of the city",)
    assert await memory.recall("4", 9) == ("exit code 4",)


async def test_an_exact_word_beats_an_inflection(memory: FtsMemory) -> None:
    await keep(memory, "the painting rests", time="2020-01-01T00:00:00Z")
    await keep(memory, "the painter rests", "the paintings rest", "nobody sleeps", "it rains")
    assert (await memory.recall("painting", 9))[0] == "the painting rests"


async def test_other_scripts_are_found(memory: FtsMemory) -> None:
    await keep(memory, "明日の天気予報は雨です", "погода в Сиэтле: дождь", "서울에서 비가 온다", "الطقس ممطر اليوم")
    assert await memory.recall("天気", 9) == ("明日の天気予報は雨です",)
    assert await memory.recall("雨", 9) == ("明日の天気予報は雨です",)
    assert await memory.recall("ПОГОДА?", 9) == ("погода в Сиэтле: дождь",)
    assert await memory.recall("서울", 9) == ("서울에서 비가 온다",)
    assert await memory.recall("ممطر", 9) == ("الطقس ممطر اليوم",)


async def test_ties_go_to_the_newest_and_then_by_id(memory: FtsMemory) -> None:
    await keep(memory, "red a", "red b", time="2026-01-31T12:00:00Z")
    await keep(memory, "red c", time="2026-01-31T14:00:00+01:00")  # an hour later, though it sorts otherwise as text
    await keep(memory, "red d", time="2026-01-31T12:30:00Z")
    found = await memory.recall("red", 9)
    assert found[:2] == ("red c", "red d")
    assert [record.id for record in found[2:]] == sorted(record.id for record in found[2:])


@pytest.mark.parametrize("query", ["", "   ", "?!*\"'", "\x00", "\ud800", "()", "-- ;"])
async def test_a_query_without_words_recalls_nothing(memory: FtsMemory, query: str) -> None:
    await keep(memory, "red", "? ! *", "")
    assert await memory.recall(query, 9) == ()


async def test_none_wanted_is_none_and_fewer_than_none_is_refused(memory: FtsMemory) -> None:
    await keep(memory, "red")
    assert await memory.recall("red", 0) == ()
    assert (await memory.list(n=0)).records == ()
    assert await memory.recall("red", 10**30) == ("red",)
    with pytest.raises(UsageError, match="at least 0, got -1"):
        await memory.recall("red", -1)


@pytest.mark.parametrize(
    "hostile",
    [
        'red" OR "blue',
        "red*",
        "NOT red",
        "red NEAR blue",
        "words: red",
        "{red} : ^red + red",
        "'); DROP TABLE record; --",
        "red' UNION SELECT key FROM record --",
        "% _ ? ?1 :a $b @c",
        "rowid:1",
    ],
)
async def test_syntax_in_a_query_or_a_text_is_words_only(memory: FtsMemory, hostile: str) -> None:
    await keep(memory, hostile, "green")
    found = await memory.recall(hostile, 9)
    assert found == ((hostile,) if words_of(hostile) else ())
    assert await memory.recall("green", 9) == ("green",)
    assert await memory.check() == ()


async def test_texts_that_no_encoder_writes_are_cleaned_and_kept(memory: FtsMemory) -> None:
    await memory.observe(
        "a\ud800b nul\x00 red", key="\ud800", source="\ud800", time=NOON, label=USER, fields={"\ud800": "\udfff"}
    )
    (found,) = await memory.recall("red", 1)
    assert (str(found), found.source, found.fields) == ("a\ufffdb nul\x00 red", "\ufffd", {"\ufffd": "\ufffd"})


async def test_empty_and_wordless_texts_are_kept_and_listed(memory: FtsMemory) -> None:
    await keep(memory, "", "…")
    assert sorted((await memory.list()).records) == ["", "…"]


async def test_a_text_of_one_megabyte_is_kept_and_found(memory: FtsMemory) -> None:
    text = "x" * 500_000 + " needle " + "lorem ipsum " * 50_000
    await memory.observe(text, key="long", source="", time=NOON, label=USER, fields={})
    assert await memory.recall("needle", 1) == (text,)
    assert await memory.recall(text, 1) == (text,)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "12:00Z"])
async def test_a_time_without_its_offset_is_refused(memory: FtsMemory, time: str) -> None:
    with pytest.raises(UsageError, match=f"RFC 3339, got {time!r}"):
        await memory.observe("red", key="k", source="", time=time, label=USER, fields={})


async def test_what_cannot_be_a_record_is_refused_before_anything_is_written(memory: FtsMemory) -> None:
    with pytest.raises(UsageError, match="needs a key"):
        await memory.observe("red", key="", source="", time=NOON, label=USER, fields={})
    with pytest.raises(UsageError, match=f"at most {MAX_CHARS} characters, got {MAX_CHARS + 1}"):
        await memory.observe("x" * (MAX_CHARS + 1), key="k", source="", time=NOON, label=USER, fields={})
    with pytest.raises(UsageError, match="immutable data"):
        await memory.observe("red", key="k", source="", time=NOON, label=USER, fields={"a": object()})
    with pytest.raises(UsageError, match="finite"):
        await memory.observe("red", key="k", source="", time=NOON, label=USER, fields={"a": float("nan")})
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(UsageError, match="nested deeper than 200"):
        await memory.observe("red", key="k", source="", time=NOON, label=USER, fields={"a": deep})
    assert not memory.path.exists()


async def test_the_list_is_newest_first_and_pages_cover_it_once(memory: FtsMemory) -> None:
    times = [f"2026-01-{day:02}T00:00:00Z" for day in (3, 1, 2, 2, 2, 4)]
    for number, time in enumerate(times):
        await keep(memory, f"record {number}", time=time)
    whole = (await memory.list()).records
    assert [record.time for record in whole] == sorted(times, reverse=True)
    paged: list[Recalled] = []
    after, sizes = None, []
    for _ in range(3):
        page = await memory.list(n=2, after=after)
        paged += page.records
        sizes.append(len(page.records))
        after = page.next
    assert after is None
    assert (sizes, [r.id for r in paged]) == ([2, 2, 2], [r.id for r in whole])


async def test_a_page_of_the_list_goes_on_where_it_ended_though_records_came_and_went(memory: FtsMemory) -> None:
    for day in (1, 2, 3, 4):
        await keep(memory, f"day {day}", time=f"2026-01-0{day}T00:00:00Z")
    first = await memory.list(n=2)
    await memory.forget([first.records[1].id])
    await keep(memory, "day 5", time="2026-01-05T00:00:00Z")
    assert (await memory.list(n=9, after=first.next)).records == ("day 2", "day 1")


async def test_a_search_pages_through_what_recall_returns(memory: FtsMemory) -> None:
    await keep(memory, *(f"red {'x ' * number}" for number in range(5)), "blue")
    first = await memory.search("red", n=3)
    second = await memory.search("red", n=3, after=first.next)
    assert second.next is None
    assert first.records + second.records == await memory.recall("red", 9)
    assert len(first.records) == 3
    assert (await memory.search("red", n=5)).next is None


@pytest.mark.parametrize("after", ["x", "1.", ".1", "-1", "1' OR 1", "9" * 40, "9" * 40 + ".a", "\u0661"])
async def test_an_invented_page_is_refused(memory: FtsMemory, after: str) -> None:
    with pytest.raises(UsageError, match="`next` of a page"):
        await memory.list(after=after)
    with pytest.raises(UsageError, match="`next` of a page"):
        await memory.search("red", after=after)


async def test_forgetting_removes_the_record_from_every_answer_and_says_what_was_there(memory: FtsMemory) -> None:
    await keep(memory, "red one", "red two")
    one, two = sorted(await memory.recall("red", 9))
    assert await memory.forget([one.id, "unknown", one.id, "\ud800"]) == (one.id,)
    assert await memory.forget([one.id]) == ()
    assert await memory.recall("red one", 9) == ("red two",)
    assert (await memory.list()).records == (two,)
    assert await memory.get(one.id) is None
    assert await memory.check() == ()


async def test_what_was_forgotten_is_not_stored_again_by_a_run_that_is_continued(memory: FtsMemory) -> None:
    await keep(memory, "red")
    await memory.forget([record.id for record in await memory.recall("red", 1)])
    await keep(memory, "red")
    assert (await memory.list()).records == ()


async def test_no_byte_of_a_forgotten_text_stays_in_any_file(memory: FtsMemory) -> None:
    await keep(memory, *(f"filler {number} {'lorem ' * 30}" for number in range(30)))
    await memory.observe(
        "qzcanary in the text " * 400, key="k", source="qzcanary", time=NOON, label=USER, fields={"a": "qzcanary"}
    )
    await keep(memory, "the last one")
    assert any(b"qzcanary" in file.read_bytes() for file in memory.path.parent.iterdir())
    await memory.forget([record.id for record in await memory.recall("qzcanary", 1)])
    assert not any(b"qzcanary" in file.read_bytes() for file in memory.path.parent.iterdir())
    assert len((await memory.list()).records) == 31


async def test_everything_is_there_after_closing_and_closing_twice_is_fine(tmp_path: Path) -> None:
    memory = FtsMemory(tmp_path / "m.sqlite")
    await keep(memory, "red")
    await memory.aclose()
    await memory.aclose()
    assert os.listdir(tmp_path) == ["m.sqlite"]
    assert await memory.recall("red", 1) == ("red",)
    await memory.aclose()
    again = FtsMemory(str(tmp_path / "m.sqlite"))
    assert await again.recall("red", 1) == ("red",)
    await again.aclose()


async def test_a_record_is_on_the_disk_before_the_call_returns(tmp_path: Path) -> None:
    path, asked = tmp_path / "m.sqlite", ("PRAGMA journal_mode", "PRAGMA synchronous")
    for _ in ("made", "opened again"):
        memory = FtsMemory(path)
        found = await memory._perform(lambda database: [database.execute(text).fetchone()[0] for text in asked])
        assert found == ["wal", 2]  # 2 is FULL: an fsync at every commit
        await memory.aclose()


async def test_a_memory_that_is_never_used_makes_no_file(tmp_path: Path) -> None:
    await FtsMemory(tmp_path / "new" / "m.sqlite").aclose()
    assert os.listdir(tmp_path) == []


async def test_files_and_new_folders_are_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        memory = FtsMemory(tmp_path / "home" / "deep" / "m.sqlite")
        await keep(memory, "red")
        files = sorted((tmp_path / "home" / "deep").iterdir())
        assert [file.name for file in files] == ["m.sqlite", "m.sqlite-shm", "m.sqlite-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        folders = (tmp_path / "home", tmp_path / "home" / "deep")
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
        await memory.aclose()
    finally:
        os.umask(before)


async def test_a_relative_path_stays_where_it_was_when_the_memory_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    memory = FtsMemory("m.sqlite")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await keep(memory, "red")
    await memory.aclose()
    assert (tmp_path / "m.sqlite").exists()


async def test_many_calls_at_once_are_all_kept(memory: FtsMemory) -> None:
    await asyncio.gather(*(keep(memory, f"red {number}") for number in range(40)))
    assert len(await memory.recall("red", 99)) == 40


def test_a_memory_serves_one_event_loop_after_another(tmp_path: Path) -> None:
    memory = FtsMemory(tmp_path / "m.sqlite")
    asyncio.run(keep(memory, "red"))
    assert asyncio.run(memory.recall("red", 1)) == ("red",)
    asyncio.run(memory.aclose())


async def test_the_order_of_writing_changes_no_answer(tmp_path: Path) -> None:
    dice = random.Random(7)
    pool = ["red", "blue", "green", "door", "key", "painted", "painting"]
    texts = sorted({" ".join(dice.choices(pool, k=dice.randint(1, 6))) for _ in range(60)})
    found: list[list[tuple[Recalled, ...]]] = []
    for number in range(3):
        memory = FtsMemory(tmp_path / f"{number}.sqlite")
        await keep(memory, *dice.sample(texts, len(texts)))
        found.append([await memory.recall(query, 25) for query in ("red", "red door", "key paint blue", "paintings")])
        await memory.aclose()
    assert found[0] == found[1] == found[2]


async def test_a_run_recalls_what_an_earlier_run_observed_and_its_label(memory: FtsMemory) -> None:
    first = scripted({}, memory=memory)
    await first.memory.observe("the key is under the mat", kind="episode")
    second = scripted({}, memory=FtsMemory(memory.path))
    (found,) = await second.memory.recall("Where is the key?", n=3)
    assert (str(found), found.source, found.fields) == ("the key is under the mat", "run run", {"kind": "episode"})
    assert second.strand.label == second.strand.label | found.label
    await second.strand.world.services.memory.aclose()


async def test_a_run_that_is_resumed_after_observing_keeps_no_second_record(memory: FtsMemory) -> None:
    run = scripted({}, memory=memory)
    await run.memory.observe("red")
    again = scripted({}, memory=memory)  # the crash came before the observation was recorded
    await again.memory.observe("red")
    assert (await memory.list()).records == ("red",)


POOL = ["red", "blue", "door", "doors", "painting", "painter", "of", "4", "42", "天気", "天", "Ä", "ä"]
WORDS = st.lists(st.sampled_from(POOL), max_size=5)
TEXTS = st.one_of(WORDS.map(" ".join), st.text(max_size=12))
MOVES = st.one_of(
    st.tuples(st.just("observe"), st.sampled_from("abcdefgh"), TEXTS),
    st.tuples(st.just("recall"), TEXTS, st.integers(0, 6)),
    st.tuples(st.just("forget"), st.sampled_from("abcdefgh")),
    st.tuples(st.just("reopen")),
)


def fits(query: str, text: str) -> bool:
    words = words_of(text)
    return any(any(w.startswith(asked) if begins else w == asked for w in words) for asked, begins in query_of(query))


@settings(max_examples=40, deadline=None)
@given(st.lists(MOVES, max_size=25))
def test_any_sequence_of_calls_agrees_with_a_dictionary(moves: list[tuple[str, ...]]) -> None:
    async def play(folder: str) -> None:
        memory = FtsMemory(Path(folder) / "m.sqlite")
        kept: dict[str, str] = {}
        gone: set[str] = set()
        for move in moves:
            match move:
                case ("observe", key, text):
                    await memory.observe(text, key=key, source="", time=NOON, label=USER, fields={"key": key})
                    if key not in gone:
                        kept.setdefault(key, text)
                case ("recall", query, int(n)):
                    everything = await memory.recall(query, 99)
                    assert {r.fields["key"]: str(r) for r in everything} == {
                        k: t for k, t in kept.items() if fits(query, t)
                    }
                    assert await memory.recall(query, n) == everything[:n]
                case ("forget", key):
                    ids = [r.id for r in (await memory.list()).records if r.fields["key"] == key]
                    assert bool(await memory.forget(ids)) == (key in kept)
                    if kept.pop(key, None) is not None:
                        gone.add(key)
                case _:
                    await memory.aclose()
                    memory = FtsMemory(Path(folder) / "m.sqlite")
            listed = (await memory.list()).records
            assert {record.fields["key"]: str(record) for record in listed} == kept
        assert await memory.check() == ()
        await memory.aclose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(folder))
