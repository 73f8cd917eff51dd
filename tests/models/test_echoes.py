"""Servers that show the key they got, in a reply that is good otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stratagem
from stratagem.core import Delta, Sample
from stratagem.core.message import Call, Text, Thought
from stratagem.errors import BadReply, CutReply
from stratagem.models.echoes import Pieces, sample_without
from stratagem.models.hosted_bedrock import AwsKey
from stratagem.models.keys import Key
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._backend import HOSTED, Gated, fails, said
from tests.models._hosted import HostedWired

VALUE = "sk-sk-canary-51f0"
NAMED = "[key of MY_KEY]"
KEY = Key(VALUE, "MY_KEY", HOSTED)


def test_a_draw_without_the_key_is_the_same() -> None:
    sample = Sample(
        "sk-sk-canary", (("look", {"at": ["a", 1, None]}),), "tool_calls", (-1.0,), (Text("x"), Call("", "", ""))
    )
    assert sample_without(sample, KEY) is sample


def test_the_key_is_taken_out_of_all_of_a_draw() -> None:
    parts = (
        Thought(f"it is {VALUE}", {"anthropic": {"signature": VALUE, VALUE: 1}}), Text(f"Bearer {VALUE}"),
        Call("", "look", "", None),
    )  # fmt: skip
    calls = (("look", {VALUE: [{"at": VALUE + VALUE}]}), (VALUE, f"no JSON {VALUE}"))
    sample = Sample(f"Bearer {VALUE}", calls, "tool_calls", (-1.0,), parts)
    sample.via = {"attempts": ["CutReply"]}
    found = sample_without(sample, KEY)
    assert found.form() == {
        "text": f"Bearer {NAMED}", "calls": [["look", {NAMED: [{"at": NAMED * 2}]}], [NAMED, f"no JSON {NAMED}"]],
        "finish": "tool_calls", "logprobs": [-1.0], "via": {"attempts": ["CutReply"]},
        "parts": [
            ["thought", f"it is {NAMED}", {"anthropic": {"signature": NAMED, NAMED: 1}}],
            ["text", len(f"Bearer {NAMED}")], ["call", None],
        ],
    }  # fmt: skip


def test_a_key_in_what_is_opaque_alone_is_taken_out_as_well() -> None:
    sample = Sample("x", (), "stop", None, (Text("x", {"google": {"id": VALUE}}),))
    assert sample_without(sample, KEY).form()["parts"] == [["text", 1, {"google": {"id": NAMED}}]]


def test_a_key_across_parts_of_a_draw_is_taken_out_of_all_of_them() -> None:
    half, rest = VALUE[:9], VALUE[9:]
    parts = (
        Thought(f"so {half}", {"anthropic": {"signature": "s"}}), Text(f"it is {half}", {"google": 1}), Thought(rest),
        Call("", "look", "{}"), Text(f"{rest} ok"),
    )  # fmt: skip
    found = sample_without(Sample(f"it is {VALUE} ok", (("look", {}),), "stop", None, parts), KEY)
    assert found.form() == {
        "text": f"it is {NAMED} ok", "calls": [["look", {}]],
        "parts": [["thought", f"so {NAMED}"], ["text", len(f"it is {NAMED} ok")], ["call", None]],
    }  # fmt: skip


@given(
    st.lists(st.sampled_from([VALUE, VALUE[:9], VALUE[4:], "s", "sk-", "a word ", "0"]), max_size=6).map("".join),
    st.lists(st.integers(1, 12), max_size=30),
    st.booleans(),
)
def test_pieces_add_up_to_the_text_without_the_key_and_none_shows_a_part_of_it_too_early(
    text: str, sizes: list[int], thought: bool
) -> None:
    heard: list[Delta] = []
    pieces = Pieces(heard.append, KEY)
    rest = text
    for size in (*sizes, len(text)):
        said, rest = rest[:size], rest[size:]
        pieces(Delta(1, "" if thought else said, said if thought else "", attempt=3))
    pieces.end()
    assert "".join(one.thought if thought else one.text for one in heard) == text.replace(VALUE, NAMED)
    assert {one.sample for one in heard} <= {1}


def test_what_cannot_be_the_key_is_handed_on_at_once() -> None:
    heard: list[Delta] = []
    pieces = Pieces(heard.append, KEY)
    seen: list[str] = []
    for piece in ("ask", " sk", "-s", "ky", "sk-sk-canary-5", "1f0", " s"):
        before = len(heard)
        pieces(Delta(0, piece))
        seen.append("".join(one.text for one in heard[before:]))
    assert seen == ["a", "sk ", "", "sk-sky", "", NAMED, " "]


def test_a_placeholder_is_no_secret() -> None:
    assert not Key("EMPTY", "MY_KEY", HOSTED).secret
    assert not Key("", "", HOSTED).secret
    assert Key("EMPTYBUT", "", HOSTED).named("EMPTY EMPTYBUT") == "EMPTY [key]"


def test_all_that_signs_requests_to_bedrock_is_a_secret() -> None:
    key = AwsKey(("AKIDENTITY", "aws-secret-1", "aws-token-22"), HOSTED)
    assert key.named("AKIDENTITY aws-secret-1 aws-token-22") == (
        "AKIDENTITY [key of AWS_SECRET_ACCESS_KEY] [key of AWS_SESSION_TOKEN]"
    )
    assert key.begun("an aws-") == 3
    assert key.begun("an aws-t") == 3


async def test_neither_a_reply_nor_its_pieces_hold_the_key() -> None:
    gated = Gated(said(f"you sent {VALUE}"))
    gated.backend.key = KEY
    heard: list[Delta] = []
    reply = await gated.model.complete(gated.request(), on_delta=heard.append)
    assert reply.samples == (Sample(f"you sent {NAMED}"),)
    assert [(one.text, one.attempt) for one in heard] == [(f"you sent {NAMED}", 1)]


async def test_what_was_held_back_of_an_attempt_that_failed_is_not_heard_with_the_next() -> None:
    gated = Gated(fails(CutReply("cut"), ran=True, received="ask"), said("me"))
    gated.backend.key = KEY
    heard: list[Delta] = []
    await gated.model.complete(gated.request(), on_delta=heard.append)
    assert [(one.text, one.attempt) for one in heard] == [("a", 1), ("me", 2)]


def everything_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_key_that_comes_back_stands_in_no_record_and_no_event(
    tmp_path: Path, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", VALUE)
    shown = f"It is {VALUE}"
    answers = iter([Said(shown, calls=(("calculate", json.dumps({"expression": VALUE})),)), Said(shown)])
    events: list[Any] = []
    listens: dict[str, Any] = {"on_event": events.append} if streamed else {}
    async with ModelServer(lambda _: next(answers)) as server:
        where: dict[str, Any] = {"model": "vllm:m", "base_url": server.url, "api_key_env": "MY_KEY", "home": tmp_path}
        async with stratagem.open(**where, tools=["calculate"], **listens) as session:
            answer = await session.run("react", "What is 6 times 7?")
    assert (answer.text, len(server.seen)) == (f"It is {NAMED}", 2)
    assert server.seen[0].headers["Authorization"] == f"Bearer {VALUE}"
    assert VALUE not in json.dumps([one.body for one in server.seen])
    kept = everything_in(tmp_path)
    assert any(NAMED.encode() in data for data in kept)
    assert not any(VALUE.encode() in data for data in kept)
    assert VALUE not in "".join(map(repr, [*events, answer]))


async def test_a_reason_for_the_end_that_shows_the_key_is_an_error_that_does_not() -> None:
    usage = {"input_tokens": 3, "output_tokens": 2}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [], "usage": usage}
    text = {"index": 0, "delta": {"type": "text_delta", "text": "four"}}
    events = [
        ("message_start", {"message": {**message, "stop_reason": None, "stop_sequence": None}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", text),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "x" * 70 + VALUE, "stop_sequence": None}, "usage": usage}),
        ("message_stop", {}),
    ]
    body = "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **form})}\n\n" for kind, form in events)
    async with ModelServer([Fault("raw", body=body.encode())] * 3) as server:
        wired = HostedWired(server.origin, "anthropic", key=Key(VALUE, "MY_KEY", server.origin))
        with pytest.raises(BadReply, match=r"x{70}\*\*\*") as caught:
            await wired.answered(streamed=True)
    assert VALUE[:10] not in str(caught.value)
