"""What we read is what the official client reads: whole replies, and streams in whatever pieces and forms they come."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState

from stratagem.core import Sample
from stratagem.models.compatible_body import Collected, arguments_of
from stratagem.models.retry import Failure
from stratagem.models.sse import Events
from stratagem.models.table import ROWS
from tests.models._oracle import DIFFERENCES, client_of, cut
from tests.models._wire import asked

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "2+2?"}]}


class Model:
    """What a request is made for; nobody asks it."""

    spec = "openai:m"
    capabilities = ROWS["openai"].capabilities("m")

    def refuses(self, request: Any) -> frozenset[str]:
        return frozenset()


REQUEST = asked(Model(), "2+2?")
PROBED = asked(Model(), "2+2?", logprobs=True)


def theirs(pieces: list[bytes]) -> list[Any]:
    """Return the chunks that the client makes of a stream, as JSON."""
    return [chunk.to_dict() for chunk in client_of(pieces).chat.completions.create(**ASK, stream=True)]


def accumulated(pieces: list[bytes]) -> list[Any]:
    """Return the choices that the client puts together from a stream."""
    state: Any = ChatCompletionStreamState()
    for chunk in client_of(pieces).chat.completions.create(**ASK, stream=True):
        state.handle_chunk(chunk)
    return state.current_completion_snapshot.choices


def ours(pieces: list[bytes]) -> list[Any]:
    """Return the chunks that we make of a stream."""
    events = Events()
    data = [text for piece in pieces for _, text in events.feed(piece)] + [text for _, text in events.end()]
    return [json.loads(text) for text in data[: data.index("[DONE]") if "[DONE]" in data else None]]


def collected(chunks: list[Any], request: Any = REQUEST, *, key: str = "delta") -> tuple[Sample, ...]:
    found = Collected(request, ROWS["openai"], "there")
    for chunk in chunks:
        found.add(chunk, key=key)
    return found.samples()


# Streams: what a server may say, drawn together with how it may write it

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ARGUMENTS = st.dictionaries(st.text(st.sampled_from("abä"), min_size=1, max_size=3), WORDS | st.integers(), max_size=3)
LINE_END = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def draws(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Draw the chunks of some draws, mixed with each other, and what each comes to: text, calls, reason of the end."""
    ways: list[list[Any]] = []
    wanted: list[Any] = []
    for index in range(draw(st.integers(1, 3))):
        pieces = draw(st.lists(WORDS, max_size=4))
        calls = [(f"tool_{n}", json.dumps(given)) for n, given in enumerate(draw(st.lists(ARGUMENTS, max_size=3)))]
        reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
        way = [_chunk(index, {"role": "assistant", "content": ""})]
        way += [_chunk(index, {"content": piece}) for piece in pieces]
        begun = [_calls(index, n, *call, draw(st.integers(1, 9))) for n, call in enumerate(calls)]
        way += [call.pop(0) for call in begun]  # as for draws: the client wants the beginnings in order
        way += draw(interleaved(begun))
        ways.append([*way, _chunk(index, {}, reason)])
        wanted.append(("".join(pieces), calls, reason))
    first = [way.pop(0) for way in ways]
    usage = {"prompt_tokens": 7, "completion_tokens": draw(st.integers(0, 9)), "total_tokens": 9}
    last = [{**_chunk(0, {}), "choices": [], "usage": usage}] if draw(st.booleans()) else []
    return [*first, *draw(interleaved(ways)), *last], wanted


@st.composite
def interleaved(draw: st.DrawFn, ways: list[list[Any]]) -> list[Any]:
    """Draw an order of all items that keeps the order of each way."""
    order = [number for number, way in enumerate(ways) for _ in way]
    draw(st.randoms(use_true_random=False)).shuffle(order)
    left = [iter(way) for way in ways]
    return [next(left[number]) for number in order]


def _chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def _calls(index: int, number: int, name: str, arguments: str, size: int) -> list[Any]:
    """Return the chunks of one call, its arguments in pieces of some size."""
    first = {"index": number, "id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [arguments[start : start + size] for start in range(0, len(arguments), size)]
    rest = [{"index": number, "function": {"arguments": piece}} for piece in pieces]
    return [_chunk(index, {"tool_calls": [one]}) for one in (first, *rest)]


@st.composite
def written(draw: st.DrawFn, chunks: list[Any]) -> bytes:
    """Draw how chunks are written as a stream: line ends, comments, spaces, escapes, data on several lines."""
    end, text = draw(LINE_END), ""
    for chunk in [*chunks, None]:
        text += draw(st.sampled_from(["", f": a comment{end}", f":{end}{end}", f"retry: 10{end}"]))
        ascii_only, indent = draw(st.booleans()), draw(st.sampled_from([None, None, 1]))
        form = "[DONE]" if chunk is None else json.dumps(chunk, ensure_ascii=ascii_only, indent=indent)
        for line in form.split("\n"):
            text += f"data:{draw(st.sampled_from([' ', '']))}{line}{end}"
        text += end
    return text.encode()


def _borders(data: st.DataObject, stream: bytes) -> list[int]:
    return data.draw(st.lists(st.integers(0, len(stream)), max_size=8))


@settings(max_examples=25)
@given(draws(), st.data())
def test_a_stream_is_decoded_as_the_client_decodes_it_in_whatever_pieces_it_comes(
    said: tuple[list[Any], list[Any]], data: st.DataObject
) -> None:
    stream = data.draw(written(said[0]))
    pieces = cut(stream, _borders(data, stream))
    assert ours(pieces) == theirs(pieces) == said[0]


@settings(max_examples=25)
@given(draws(), st.data())
def test_what_a_stream_comes_to_is_what_the_client_makes_of_it(
    said: tuple[list[Any], list[Any]], data: st.DataObject
) -> None:
    chunks, wanted = said
    stream = data.draw(written(chunks))
    pieces = cut(stream, _borders(data, stream))
    samples = collected(ours(pieces))
    assert [_shown(sample) for sample in samples] == [_their(choice) for choice in accumulated(pieces)]
    assert [(sample.text, len(sample.calls)) for sample in samples] == [(text, len(calls)) for text, calls, _ in wanted]


_ENDS = {"content_filter": "filtered"}


def _shown(sample: Sample) -> Any:
    return sample.text, list(sample.calls), sample.finish


def _their(choice: Any) -> Any:
    calls = [(one.function.name, arguments_of(one.function.arguments)) for one in choice.message.tool_calls or ()]
    return choice.message.content or "", calls, _ENDS.get(choice.finish_reason, choice.finish_reason)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_stream_cut_at_every_byte_is_decoded_as_the_client_decodes_it(end: str) -> None:
    chunks = [_chunk(0, {"content": "ä🦊\u2028"}), _chunk(0, {}, "stop")]
    text = "".join(f"data: {json.dumps(one, ensure_ascii=False)}{end}{end}" for one in chunks)
    stream = f": hello{end}{text}data: [DONE]{end}{end}".encode()
    pieces = cut(stream, range(len(stream)))
    assert ours(pieces) == theirs(pieces) == chunks


# Whole replies

LOGPROBS = {"content": [{"token": "4", "logprob": -0.5, "bytes": [52], "top_logprobs": []}], "refusal": None}
MESSAGES: dict[str, dict[str, Any]] = {
    "words": {"message": {"content": "4"}, "finish_reason": "stop"},
    "no words": {"message": {"content": None}, "finish_reason": "stop"},
    "cut off": {"message": {"content": "4 and"}, "finish_reason": "length"},
    "filtered": {"message": {"content": ""}, "finish_reason": "content_filter"},
    "calls": {
        "message": {
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"where": "ä"}'}},
                {"id": "b", "type": "function", "function": {"name": "look", "arguments": ""}},
            ],
        },
        "finish_reason": "tool_calls",
    },
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_whole_reply_is_read_as_the_client_reads_it(name: str) -> None:
    choices = [{"index": 0, **MESSAGES[name]}, {"index": 1, **MESSAGES["words"]}]
    form = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    client = client_of([json.dumps(form).encode()], "application/json")
    made = client.chat.completions.create(**ASK)
    assert [_shown(one) for one in collected([form], key="message")] == [_their(choice) for choice in made.choices]


def test_log_probabilities_are_those_that_the_client_reads() -> None:
    choices = [{"index": 0, **MESSAGES["words"], "logprobs": LOGPROBS}]
    form = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    client = client_of([json.dumps(form).encode()], "application/json")
    (choice,) = client.chat.completions.create(**ASK, logprobs=True).choices
    (sample,) = collected([form], PROBED, key="message")
    assert choice.logprobs is not None
    assert sample.logprobs == tuple(one.logprob for one in choice.logprobs.content or ()) == (-0.5,)


def test_a_refusal_is_the_one_that_the_client_reads() -> None:
    message = {"role": "assistant", "content": None, "refusal": "No."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    form = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    client = client_of([json.dumps(form).encode()], "application/json")
    (choice,) = client.chat.completions.create(**ASK).choices
    (sample,) = collected([form], key="message")
    assert (sample.text, sample.finish) == (choice.message.refusal, "refusal") == ("No.", "refusal")


# Where we read more, or believe less, than the client

ONE, END = _chunk(0, {"content": "4"}), _chunk(0, {}, "stop")


def _event(form: Any) -> bytes:
    return f"data: {json.dumps(form)}\n\n".encode()


def test_a_byte_order_mark_costs_us_no_event() -> None:
    assert DIFFERENCES["byte order mark"]
    pieces = [b"\xef\xbb\xbf" + _event(ONE) + _event(END)]
    assert (ours(pieces), theirs(pieces)) == ([ONE, END], [END])


def test_the_last_event_counts_though_no_empty_line_ends_it() -> None:
    assert DIFFERENCES["last event"]
    pieces = [_event(ONE) + _event(END).rstrip()]
    assert (ours(pieces), theirs(pieces)) == ([ONE, END], [ONE])


def test_an_empty_line_after_an_event_with_an_id_is_no_event() -> None:
    assert DIFFERENCES["id"]
    pieces = [b"id: 1\n" + _event(ONE) + b"\n" + _event(END)]
    assert ours(pieces) == [ONE, END]
    with pytest.raises(ValueError, match="Expecting value"):
        theirs(pieces)


def test_bytes_that_are_no_utf8_are_marked() -> None:
    assert DIFFERENCES["utf-8"]
    pieces = [_event(ONE).replace(b'"4"', b'"\xff"') + _event(END)]
    assert ours(pieces)[0]["choices"][0]["delta"]["content"] == "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        theirs(pieces)


def test_calls_may_begin_in_any_order() -> None:
    assert DIFFERENCES["order"]
    calls = [one for number in (1, 0) for one in _calls(0, number, f"tool_{number}", "{}", 2)]
    chunks = [_chunk(0, {"content": ""}), *calls, _chunk(0, {}, "tool_calls")]
    assert collected(chunks)[0].calls == (("tool_0", {}), ("tool_1", {}))
    with pytest.raises(IndexError):
        accumulated([_event(one) for one in chunks])


def test_a_stream_that_ends_in_its_middle_is_no_reply() -> None:
    assert DIFFERENCES["end"]
    pieces = [_event(ONE)]
    assert theirs(pieces) == ours(pieces) == [ONE]
    with pytest.raises(Failure) as caught:
        collected(ours(pieces))
    assert "ended its reply without a reason for the end" in str(caught.value.error)
