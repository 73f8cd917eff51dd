"""What was said once is said again, without the model."""

import json
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem.core import Sample, Step, Tools, Transcript, signature
from stratagem.core.message import Text
from stratagem.errors import BadReply, ContextTooLong, RateLimited, Rejected, ScriptMiss, UsageError
from stratagem.testing.cassette import Cassette
from tests.testing._recorded import Counting, answered, drawn, fanned, name_it, once, twice


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "trip.jsonl"


def raw(path: Path) -> str:
    """Return what the file has; nothing if it is not there."""
    return path.read_text("utf-8") if path.exists() else ""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw(path).splitlines()]


async def test_what_was_recorded_is_replayed_without_the_model(path: Path) -> None:
    first, second = Counting(), Counting()
    recorded = await answered(Cassette(first, path, "record"), twice)
    replayed = await answered(Cassette(second, path), twice)
    assert replayed.text == recorded.text == "reply 1 reply 2"
    assert replayed.usage._replace(seconds=0) == recorded.usage._replace(seconds=0)
    assert (replayed.usage.prompt_tokens, replayed.usage.usd) == (20, 1.0)
    assert (len(first.requests), second.requests, second.closed) == (2, [], True)


async def test_a_line_has_the_request_and_the_reply_and_nothing_that_changes_from_time_to_time(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"))
    request = (inner := Counting()).requests
    await answered(inner)
    assert rows(path) == [
        {
            "path": "once", "occurrence": 0, "digest": request[0].digest.hex(), "model": "counting",
            "request": {
                "signature": "_recorded.name_it", "instruction": "Name a town.", "format": "text", "options": {"temperature": 0.0},
                "stop": [], "native": False, "renderer": 1, "message": "Name a town.\n\nQuestion: Where?",
            },
            "reply": {"text": "reply 1"},
            "usage": {"calls": 1, "requests": 1, "prompt_tokens": 10, "completion_tokens": 2, "usd": 0.5},
        }
    ]  # fmt: skip


async def test_record_asks_only_for_what_is_missing(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), question="One?")
    before = rows(path)
    inner = Counting()
    cassette = Cassette(inner, path, "record")
    assert (await answered(cassette, question="One?")).text == "reply 1"
    assert (await answered(cassette, question="Two?")).text == "reply 1"
    assert len(inner.requests) == 1
    assert [row for row in rows(path) if row in before] == before
    assert len(rows(path)) == 2


async def test_refresh_asks_for_everything_again_and_drops_what_nobody_asks_for(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), twice)
    await answered(Cassette(Counting(lambda *_: "anew"), path, "refresh"))
    assert [(row["path"], row["reply"]["text"]) for row in rows(path)] == [("once", "anew")]


async def test_a_refresh_in_which_the_model_failed_drops_nothing(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), twice)

    def fails(request: Any, number: int) -> str:
        if number == 2:
            raise RateLimited("slowly")
        return "anew"

    with pytest.raises(RateLimited):
        await answered(Cassette(Counting(fails), path, "refresh"), twice)
    assert sorted(row["reply"]["text"] for row in rows(path)) == ["anew", "reply 2"]


async def test_a_refresh_that_was_never_asked_leaves_the_file_alone(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"))
    before = raw(path)
    await Cassette(Counting(), path, "refresh").aclose()
    assert raw(path) == before


async def test_branches_that_record_at_once_make_the_same_file_in_whatever_order_they_are_answered(
    tmp_path: Path,
) -> None:
    files: list[bytes] = []
    for number, reverse in enumerate((False, True)):
        inner = Counting(lambda request, _: f"from {request.path}", reverse=reverse)
        await answered(Cassette(inner, tmp_path / f"{number}.jsonl", "record"), fanned)
        files.append((tmp_path / f"{number}.jsonl").read_bytes())
    assert files[0] == files[1]
    paths = [json.loads(line)["path"] for line in files[0].splitlines()]
    assert paths == [f"fanned/map[{number}]" for number in range(12)]


async def test_every_branch_gets_back_its_own_reply_however_they_are_served(path: Path) -> None:
    recorded = await answered(Cassette(Counting(), path, "record"), fanned)
    replayed = await answered(Cassette(Counting(), path), fanned)
    assert replayed.text == recorded.text
    assert len(set(replayed.text.split())) == 13


@pytest.mark.parametrize("native_n", [False, True])
async def test_several_draws_of_one_request_are_lines_of_their_own(path: Path, native_n: bool) -> None:
    first = Counting(native_n=native_n)
    recorded = await answered(Cassette(first, path, "record"), drawn)
    assert len(first.requests) == (1 if native_n else 3)
    assert [(row["occurrence"], row["reply"]["text"]) for row in rows(path)] == [
        (0, "reply 1"), (1, "reply 2"), (2, "reply 3"),
    ]  # fmt: skip
    replayed = await answered(Cassette(Counting(native_n=native_n), path), drawn)
    assert (replayed.text, replayed.usage.tokens) == (recorded.text, recorded.usage.tokens)


async def test_more_draws_than_were_recorded_are_asked_for_one_by_one(path: Path) -> None:
    await answered(Cassette(Counting(native_n=True), path, "record"), drawn)
    inner = Counting(native_n=True)
    more = await answered(Cassette(inner, path, "record"), drawn.using(n=5))
    assert more.text == "reply 1 reply 2 reply 3 reply 1 reply 2"
    assert [(one.n, one.occurrence) for one in inner.requests] == [(1, 3), (1, 4)]


async def test_runs_at_once_that_ask_the_same_ask_the_model_once(path: Path) -> None:
    import asyncio

    inner = Counting()
    async with stratagem.open(model=Cassette(inner, path, "record"), journal="memory", memory="none") as session:
        found = await asyncio.gather(*(session.run(once, "Where?") for _ in range(3)))
    assert [answer.text for answer in found] == ["reply 1"] * 3
    assert len(inner.requests) == 1


async def test_a_miss_shows_the_nearest_line_and_where_it_differs(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), twice, question="Where is the old town hall?")
    inner = Counting()
    with pytest.raises(ScriptMiss) as caught:
        await answered(Cassette(inner, path), twice, question="Where is the new town hall?")
    assert inner.requests == []
    assert str(caught.value) == (
        f"{path} has no reply to `_recorded.name_it` in 'twice'; the nearest is line 1, `_recorded.name_it` in 'twice', "
        "which differs in message\n"
        "--- recorded\n+++ asked\n@@ -2,2 +2,2 @@\n message: \n"
        "-message: Question: Where is the old town hall?\n+message: Question: Where is the new town hall?"
    )
    assert caught.value.remedy == "To record it: STRATAGEM_CASSETTE=record."


async def test_a_difference_has_at_most_twenty_lines(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), question="\n".join(f"old {n}" for n in range(30)))
    with pytest.raises(ScriptMiss) as caught:
        await answered(Cassette(Counting(), path), question="\n".join(f"new {n}" for n in range(30)))
    shown = str(caught.value).splitlines()[1:]
    assert len(shown) == 20
    assert shown[-1] == "... 45 more lines"


async def test_a_miss_says_where_the_same_was_recorded(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), fanned.using(n=2))
    with pytest.raises(ScriptMiss, match=r"the same request was recorded in 'fanned/map\[0\]', draw 1; 'fanned/map"):
        await answered(Cassette(Counting(), path), fanned.using(n=3))


async def test_a_file_that_is_not_there_is_a_miss_that_says_so(path: Path) -> None:
    with pytest.raises(ScriptMiss, match="the file has no lines, or is not there"):
        await answered(Cassette(Counting(), path))
    assert raw(path) == ""


async def test_lines_that_nobody_asked_for_are_named(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), fanned.using(n=3))
    cassette = Cassette(Counting(), path)
    assert cassette.unused == (1, 2, 3)
    await answered(cassette, fanned.using(n=2))
    assert cassette.unused == (3,)
    with pytest.raises(UsageError, match="nobody has asked for line 3"):
        await answered(Cassette(Counting(), path, strict=True), fanned.using(n=2))
    await answered(Cassette(Counting(), path, strict=True), fanned.using(n=3))


@pytest.mark.parametrize("error", [ContextTooLong("too long"), Rejected("no such field", status=400, attempts=2)])
async def test_an_error_about_the_request_is_an_answer(path: Path, error: Any) -> None:
    def fails(*_: object) -> str:
        raise error

    caught: list[Any] = []
    modes: list[Any] = [(fails, "record"), (None, "replay")]
    for says, mode in modes:
        with pytest.raises(type(error)) as raised:
            await answered(Cassette(Counting(says), path, mode))
        caught.append(raised.value)
    assert [(str(one), one.status) for one in caught] == [(str(error), error.status)] * 2
    assert "reply" not in rows(path)[0]


async def test_an_error_has_neither_the_servers_address_nor_its_number(path: Path) -> None:
    def fails(*_: object) -> str:
        raise Rejected("vLLM (http://models.corp:8000) refused: no", status=400, request_id="req_7")

    with pytest.raises(Rejected, match=r"vLLM \(the server\) refused: no"):
        await answered(Cassette(Counting(fails), path, "record"))
    assert rows(path)[0]["error"] == ["Rejected", "vLLM (the server) refused: no", {"status": 400}]


@pytest.mark.parametrize("error", [RateLimited("slowly", retry_after=3), BadReply("cut")])
async def test_an_error_of_the_moment_is_raised_and_not_recorded(path: Path, error: Any) -> None:
    def fails(*_: object) -> str:
        raise error

    with pytest.raises(type(error)):
        await answered(Cassette(Counting(fails), path, "record"))
    assert raw(path) == ""
    assert (await answered(Cassette(Counting(), path, "record"))).text == "reply 1"


async def test_too_few_draws_are_not_recorded(path: Path) -> None:
    class Short(Counting):
        async def complete(self, request: Any, *, on_delta: Any = None) -> Any:
            reply = await super().complete(request, on_delta=on_delta)
            reply.samples = reply.samples[:-1]
            return reply

    with pytest.raises(BadReply, match="counting sent 2 draws instead of 3"):
        await answered(Cassette(Short(native_n=True), path, "record"), drawn)
    assert raw(path) == ""


async def test_log_probabilities_calls_and_the_end_of_a_draw_come_back(path: Path) -> None:
    said = Sample("Paris", (), "length", (-0.5, float("-inf")))
    cassette = Cassette(Counting(lambda *_: said), path, "record")
    probed: dict[str, Any] = {"options": {"logprobs": True}}
    await answered(cassette, **probed)
    inner = Counting()
    async with stratagem.open(model=Cassette(inner, path), journal="memory", memory="none", **probed) as session:
        answer = await session.run(once, "Where?")
        record = await session.show(answer.run_id)
    assert json.loads(record.rows[0].result) == {"finish": "length", "logprobs": [-0.5, -9999.0], "text": "Paris"}


async def test_what_no_encoder_writes_is_replaced_for_the_program_and_for_the_file(path: Path) -> None:
    recorded = await answered(Cassette(Counting(lambda *_: "a\ud800b"), path, "record"))
    assert recorded.text == (await answered(Cassette(Counting(), path))).text == "a\ufffdb"


async def test_listeners_hear_a_replayed_reply(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"))
    heard: list[str] = []
    await answered(
        Cassette(Counting(), path), on_event=lambda e: heard.append(e.data["text"]) if e.type == "text.delta" else None
    )
    assert heard == ["reply 1"]


async def test_a_model_may_be_named_and_needs_no_key_where_it_is_not_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(stratagem.CapabilityError, match="OPENAI_API_KEY is not set"):
        await answered(Cassette("openai:gpt-4o-mini", path, "record"))
    inner = Counting()
    inner.spec = "openai:gpt-4o-mini"
    await answered(Cassette(inner, path, "record"))
    assert (await answered(Cassette("openai:gpt-4o-mini", path))).text == "reply 1"


async def test_the_environment_says_whether_to_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Cassette(Counting(), path).mode == "replay"
    monkeypatch.setenv("STRATAGEM_CASSETTE", "record")
    assert Cassette(Counting(), path).mode == "record"
    assert Cassette(Counting(), path, "replay").mode == "replay"
    monkeypatch.setenv("STRATAGEM_CASSETTE", "rec")
    with pytest.raises(UsageError, match="STRATAGEM_CASSETTE is one of replay, record, refresh, got 'rec'"):
        Cassette(Counting(), path)
    wrong: Any = "often"
    with pytest.raises(UsageError, match="got 'often'"):
        Cassette(Counting(), path, wrong)


async def test_two_cassettes_that_record_into_one_file_keep_both(path: Path) -> None:
    one, other = Cassette(Counting(), path, "record"), Cassette(Counting(), path, "record")
    await answered(one, question="One?")
    await answered(other, question="Two?")
    assert len(rows(path)) == 2


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


async def test_a_conversation_is_stored_once_and_read_whole(path: Path) -> None:
    """A hundred turns of the same length take a hundred times the room of one, not five thousand times."""
    turns = 40

    def says(request: Any, number: int) -> Sample:
        done = len(request.steps) == turns
        return (
            Sample("done") if done else Sample("x" * 500, (("calculate", {"expression": f"{number}+1"}),), "tool_calls")
        )

    settings: dict[str, Any] = {"tools": ["calculate"]}
    recorded = await answered(Cassette(Counting(says), path, "record"), f"react(max_steps={turns + 1})", **settings)
    inner = Counting()
    replayed = await answered(Cassette(inner, path), f"react(max_steps={turns + 1})", **settings)
    assert (replayed.text, len(replayed.steps)) == (recorded.text, turns + 1) == ("done", turns + 1)
    lengths = [len(line) for line in raw(path).splitlines()]
    assert max(lengths[2:]) - min(lengths[2:-1]) < 50
    cassette = Cassette(Counting(), path)
    second = next(key for key, line in cassette._lines.items() if len(line.request.get("steps", ())) == 1)
    del cassette._lines[second]
    with pytest.raises(ScriptMiss, match=r"steps\[1\]"):
        await answered(cassette, f"react(max_steps={turns + 1})", **settings)


async def test_thoughts_and_signatures_come_back_where_the_draw_has_them(path: Path) -> None:
    said = Sample("Paris", parts=(Text("Paris", {"google": {"signature": "abc"}}),))
    kept = said.form()
    await answered(Cassette(Counting(lambda *_: said), path, "record"))
    assert rows(path)[0]["reply"] == kept
    reply: Any = Cassette(Counting(), path)
    (line,) = reply._lines.values()
    assert Sample.of(line.reply).form() == kept


def test_the_signature_used_here_is_named_as_lines_name_it() -> None:
    assert name_it.name == "_recorded.name_it"
