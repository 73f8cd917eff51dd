import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import (
    Attachment,
    Content,
    Head,
    Model,
    Observation,
    Reply,
    Request,
    Sample,
    Signature,
    Step,
    ToolCall,
    Tools,
    Transcript,
    Usage,
    signature,
    tool,
)
from stratagem.errors import ModelError, RateLimited, ScriptMiss, UnparsedReply, UsageError
from stratagem.models.script import ScriptModel


@dataclass(frozen=True)
class Case:
    question: str
    weight: float = 1.0


@signature
def reply(
    question: str, notes: tuple[str, ...] = (), n: int = 0, flag: bool = False, cases: tuple[Case, ...] = ()
) -> str:
    """Reply."""
    ...


@signature(stop=("\nObservation",))
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


@signature
def choose(question: str) -> bool:
    """Choose."""
    ...


@tool
def look(where: str) -> str:
    """Look somewhere.

    Args:
        where: the place.
    """
    return f"nothing in {where}"


def written(*lines: dict[str, Any], strict: bool = False) -> ScriptModel:
    return ScriptModel("\n".join(map(json.dumps, lines)), name="s.jsonl", strict=strict)


def asked(
    model: Model,
    of: Signature[..., Any] = reply,
    *,
    native: bool = True,
    max_tokens: int | None = None,
    steps: Transcript | None = None,
    path: str = "",
    options: dict[str, Any] | None = None,
    **inputs: Any,
) -> Request:
    """Return a request as the core makes it."""
    tools = next((value for value in inputs.values() if isinstance(value, Tools)), None)
    native = native and tools is not None
    head = Head(
        b"", {}, model, options or {}, of.instruction, native=native, format=of.format, schema=None, tools=tools
    )
    bound = of.bind((), {"steps": steps, **inputs} if steps is not None else inputs)
    shown = [f"{name}: {value}" for name, value in bound.items() if not isinstance(value, Tools | Transcript)]
    return Request(of, bound, head, "\n".join([of.instruction, *shown]), steps, (), b"", path, max_tokens=max_tokens)


def said(model: ScriptModel, of: Signature[..., Any] = reply, **inputs: Any) -> str:
    answer = model.complete(asked(model, of, **inputs))
    assert isinstance(answer, Reply)
    return answer.samples[0].text


def missed(model: ScriptModel, of: Signature[..., Any] = reply, **inputs: Any) -> str:
    with pytest.raises(ScriptMiss) as caught:
        model.complete(asked(model, of, **inputs))
    assert caught.value.provider == "script"
    assert caught.value.remedy.startswith("Add a line to the script")
    return str(caught.value)


def test_it_is_a_model_as_the_core_wants_one() -> None:
    model: Model = written()
    assert model.spec == "script:s.jsonl"
    assert model.capabilities.fields == {
        "tools", "temperature", "top_p", "stop", "seed", "effort", "schema", "max_tokens",
    }  # fmt: skip
    assert (model.capabilities.free, model.capabilities.native_n) == (False, False)


def test_equal_requests_take_one_line_each_in_the_order_of_the_file() -> None:
    model = written({"signature": "test_script.reply", "reply": "one"}, {"signature": "reply", "reply": "two"})
    assert [said(model, question="q"), said(model, question="q")] == ["one", "two"]
    assert "used up" in missed(model, question="q")


def test_a_line_answers_as_often_as_it_says_and_zero_is_always() -> None:
    model = written(
        {"signature": "reply", "times": 2, "reply": "twice"}, {"signature": "reply", "times": 0, "reply": "always"}
    )
    assert [said(model, question="q") for _ in range(5)] == ["twice", "twice", "always", "always", "always"]


def test_inputs_choose_the_line_whatever_the_order_of_the_requests() -> None:
    lines = [{"signature": "reply", "inputs": {"question": q}, "reply": q.upper()} for q in "abc"]
    model = written(*lines)
    assert [said(model, question=q) for q in "cab"] == ["C", "A", "B"]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"question": "q"}, True),
        ({"question": "q", "notes": ["a", "b"], "n": 1, "flag": True}, True),
        ({"n": 1.0}, True),
        ({"cases": [{"question": "x", "weight": 1}]}, True),
        ({"cases": [{"$": "Case", "question": "x", "weight": 1.0}]}, True),
        ({"question": "Q"}, False),
        ({"notes": ["a"]}, False),
        ({"notes": ["b", "a"]}, False),
        ({"n": True}, False),
        ({"n": "1"}, False),
        ({"flag": 1}, False),
        ({"flag": None}, False),
        ({"cases": [{"question": "x"}]}, False),
        ({"cases": [{"question": "x", "weight": 1, "more": 1}]}, False),
        ({"cases": [{"$": "Kase", "question": "x", "weight": 1}]}, False),
        ({"cases": "x"}, False),
        ({"questions": "q"}, False),
    ],
)
def test_inputs_are_compared_as_json(wanted: dict[str, Any], fits: bool) -> None:
    model = written({"signature": "reply", "inputs": wanted, "reply": "yes"})
    given = {"question": "q", "notes": ("a", "b"), "n": 1, "flag": True, "cases": (Case("x"),)}
    if fits:
        assert said(model, **given) == "yes"
    else:
        assert "line 1" in missed(model, **given)


def test_a_text_with_attachments_is_compared_by_its_text() -> None:
    model = written({"signature": "reply", "inputs": {"question": "what is this?"}, "reply": "a cat"})
    assert said(model, question=Content("what is this?", (Attachment("a.png", "image/png", b"x"),))) == "a cat"


def test_text_must_occur_in_the_request_in_what_was_seen_too() -> None:
    model = written(
        {"signature": "act", "contains": "nothing in the drawer", "reply": "lost"},
        {"signature": "act", "contains": "where", "call": {"name": "look", "arguments": {"where": "the drawer"}}},
    )
    tools = Tools((look,))
    first = model.complete(asked(model, act, question="where is it?", steps=Transcript(), tools=tools))
    assert isinstance(first, Reply)
    assert first.samples == (Sample("", (("look", {"where": "the drawer"}),), "tool_calls"),)
    steps = Transcript().then(Step("", (ToolCall("look", {}),)), Observation("nothing in the drawer"))
    second = model.complete(asked(model, act, question="where?", steps=steps, tools=tools))
    assert isinstance(second, Reply)
    assert second.samples[0].text == "lost"


def test_a_function_name_alone_stands_for_the_first_signature_that_it_answers() -> None:
    other = elsewhere()
    model = written({"signature": "reply", "times": 0, "reply": "one"})
    assert said(model, question="q") == "one"
    assert missed(model, other, question="q").endswith(
        "the nearest is line 1, where `signature` is 'reply', which stands for 'test_script.reply' already: "
        "write full names"
    )
    full = written({"signature": "elsewhere.reply", "reply": "two"}, {"signature": "test_script.reply", "reply": "one"})
    assert [said(full, question="q"), said(full, other, question="q")] == ["one", "two"]


def elsewhere() -> Signature[..., Any]:
    """Return a signature of the same function name in a file named `elsewhere`."""

    def stub(question: str) -> str:
        """Reply."""
        ...

    stub.__name__, stub.__module__ = "reply", "pack.elsewhere"
    return signature(stub)


def test_a_reply_that_is_no_text_is_sent_as_canonical_json() -> None:
    model = written({"signature": "reply", "reply": {"b": [1.0, None], "a": "ü"}}, {"signature": "reply", "reply": 3})
    assert [said(model, question="q"), said(model, question="q")] == ['{"a":"ü","b":[1.0,null]}', "3"]


def test_half_characters_become_the_replacement_character() -> None:
    model = ScriptModel(
        r'{"signature": "act", "reply": "a\ud800", "call": {"name": "look", "arguments": {"where": "\uDC00"}}}',
        name="s.jsonl",
    )
    request = asked(model, act, question="q", steps=Transcript(), tools=Tools((look,)))
    reply = model.complete(request)
    assert isinstance(reply, Reply)
    assert reply.samples[0] == Sample("a\ufffd", (("look", {"where": "\ufffd"}),), "tool_calls")


@pytest.mark.parametrize(
    ("line", "native", "text", "calls"),
    [
        ({"call": {"name": "look"}}, True, "", (("look", {}),)),
        (
            {"reply": "I see", "call": [{"name": "look", "arguments": {"where": "x"}}, {"name": "look"}]},
            True,
            "I see",
            (("look", {"where": "x"}), ("look", {})),
        ),
        ({"call": {"name": "look", "arguments": "{where"}}, True, "", (("look", "{where"),)),
        ({"call": {"name": "look", "arguments": {"where": "x"}}}, False, "Action: look[x]", ()),
        (
            {"reply": "I see", "call": {"name": "look", "arguments": "x y"}},
            False,
            "Thought: I see\nAction: look[x y]",
            (),
        ),
        ({"call": {"name": "look", "arguments": {"a": 1, "b": 2}}}, False, 'Action: look[{"a":1,"b":2}]', ()),
        ({"reply": "42"}, True, "42", ()),
        (
            {"reply": "Thought: so\nAction: Finish[42]\nObservation: never"},
            False,
            "Thought: so\nAction: Finish[42]",
            (),
        ),
    ],
)
def test_a_call_is_written_in_the_protocol_of_the_request(
    line: dict[str, Any], native: bool, text: str, calls: tuple[Any, ...]
) -> None:
    model = written({"signature": "act", **line})
    reply = model.complete(asked(model, act, native=native, question="q", steps=Transcript(), tools=Tools((look,))))
    assert isinstance(reply, Reply)
    (sample,) = reply.samples
    assert (sample.text, sample.calls) == (text, calls)
    assert sample.finish == ("tool_calls" if calls else "stop")
    step = act.parse(sample, native=native)
    assert [call.name for call in step.calls] == ["look"] * (len(calls) or text.count("look"))


def test_a_call_where_the_request_takes_none_is_the_writers_mistake() -> None:
    model = written({"signature": "reply", "call": {"name": "look"}})
    with pytest.raises(UsageError, match=r"s\.jsonl:1: `call` answers `test_script\.reply`, which returns no `Step`"):
        model.complete(asked(model, question="q"))
    model = written({"signature": "act", "call": [{"name": "look"}, {"name": "look"}]})
    with pytest.raises(UsageError, match=r"s\.jsonl:1: the text protocol takes one call at a time, here are 2"):
        model.complete(asked(model, act, native=False, question="q", steps=Transcript(), tools=Tools((look,))))


def test_an_error_is_raised_as_the_line_says() -> None:
    model = written(
        {"signature": "reply", "error": {"kind": "RateLimited", "retry_after": 2.5, "message": "slowly"}},
        {"signature": "reply", "error": {"kind": "Unavailable"}},
        {"signature": "reply", "error": {"kind": "UnparsedReply", "message": "gibberish"}},
        {"signature": "reply", "reply": "at last"},
    )
    with pytest.raises(RateLimited, match=r"^slowly; retry after 2\.5 s$") as limited:
        said(model, question="q")
    assert (limited.value.provider, limited.value.retry_after) == ("script", 2.5)
    with pytest.raises(ModelError, match=r"^s\.jsonl:2 says so$") as unavailable:
        said(model, question="q")
    assert type(unavailable.value).__name__ == "Unavailable"
    with pytest.raises(UnparsedReply) as unparsed:
        said(model, question="q")
    assert (unparsed.value.signature, unparsed.value.reply) == ("test_script.reply", "gibberish")
    assert said(model, question="q") == "at last"


async def test_a_line_may_take_its_time_and_is_taken_when_it_is_asked_for() -> None:
    model = written(
        {"signature": "reply", "delay_s": 3600, "reply": "slow"},
        {"signature": "reply", "delay_s": 1e-9, "reply": "late"},
        {"signature": "reply", "delay_s": 1e-9, "error": {"kind": "NoReply", "message": "gone"}},
    )
    slow, late, gone = (model.complete(asked(model, question="q")) for _ in range(3))
    assert not any(isinstance(one, Reply) for one in (slow, late, gone))
    assert model.unspent == ()
    assert (await late).samples[0].text == "late"  # type: ignore[misc]
    with pytest.raises(ModelError, match="gone"):
        await gone  # type: ignore[misc]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await slow  # type: ignore[misc]


def test_usage_is_what_the_line_states_or_words_that_nobody_confirmed() -> None:
    stated = {"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": 2, "usd": None}
    model = written(
        {"signature": "reply", "reply": "a b c", "usage": stated},
        {"signature": "reply", "reply": "a b c"},
        {"signature": "act", "reply": "so", "call": {"name": "look", "arguments": {"where": "x y"}}},
    )
    replies = [model.complete(asked(model, question="one two")) for _ in range(2)]
    words = len(asked(model, question="one two").text.split())
    assert [reply.usage for reply in replies if isinstance(reply, Reply)] == [
        Usage(1, 1, 7, 3, cached_tokens=2, usd=None),
        Usage(1, 1, words, 3, usd=0.0, estimated=True),
    ]
    acted = model.complete(asked(model, act, question="q", steps=Transcript(), tools=Tools((look,))))
    assert isinstance(acted, Reply)
    assert acted.usage is not None
    assert acted.usage.completion_tokens == 4  # so; look; {"where":"x; y"}
    assert model.tokens("one  two\nthree") == 3
    assert model.capabilities.max_output == 4


def test_a_reply_is_cut_where_a_model_would_be_stopped() -> None:
    line = {"signature": "reply", "times": 0, "reply": "one two  three\nfour END five"}
    model = written(line)
    assert said(model, question="q", options={"stop": ("END", "four")}) == "one two  three\n"
    assert said(model, question="q", options={"stop": "two"}) == "one "
    for limits in ({"max_tokens": 3}, {"options": {"max_tokens": 3}}, {"max_tokens": 3, "options": {"max_tokens": 9}}):
        reply = model.complete(asked(model, question="q", **limits))  # type: ignore[arg-type]
        assert isinstance(reply, Reply)
        assert reply.samples == (Sample("one two  three", finish="length"),)
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 3
    whole = model.complete(asked(model, question="q", max_tokens=6))
    assert isinstance(whole, Reply)
    assert whole.samples == (Sample("one two  three\nfour END five"),)


def test_where_usage_is_stated_words_are_no_tokens() -> None:
    stated = {"prompt_tokens": 1, "completion_tokens": 50}
    model = written({"signature": "reply", "reply": "one two three", "usage": stated})
    assert model.capabilities.max_output == 50
    assert said(model, question="q", max_tokens=2) == "one two three"


def test_words_are_handed_to_who_listens() -> None:
    model, heard = written({"signature": "reply", "reply": "one two"}), []
    model.complete(asked(model, question="q"), on_delta=heard.append)
    assert [(delta.sample, delta.text) for delta in heard] == [(0, "one two")]


def test_only_logprobs_are_refused() -> None:
    model = written()
    options = {"temperature": 1.0, "top_p": 0.5, "seed": 1, "effort": "low", "stop": ("x",), "max_tokens": 5}
    assert model.refuses(asked(model, question="q", options=options)) == frozenset()
    assert model.refuses(asked(model, question="q", options={"logprobs": True})) == {"logprobs"}


@pytest.mark.parametrize(
    ("lines", "inputs", "why"),
    [
        ([], {}, "the script has no lines"),
        (
            [{"signature": "test_script.replay", "reply": ""}, {"signature": "zzz", "reply": ""}],
            {},
            "the nearest is line 1, where `signature` is 'test_script.replay'",
        ),
        (
            [{"signature": "other.reply", "reply": ""}, {"signature": "test_script.repl", "reply": ""}],
            {},
            "the nearest is line 1, where `signature` is 'other.reply'",
        ),
        (
            [
                {"signature": "reply", "inputs": {"question": "w", "n": 2}, "reply": ""},
                {"signature": "reply", "inputs": {"question": "q", "n": 2}, "reply": ""},
            ],
            {},
            "the nearest is line 2, where `inputs.n` is 2, in the request 0",
        ),
        (
            [{"signature": "reply", "inputs": {"question": "a" * 100 + "b"}, "reply": ""}],
            {"question": "a" * 100 + "c"},
            f'`inputs.question` is "...{"a" * 30}b", in the request "...{"a" * 30}c"',
        ),
        (
            [{"signature": "reply", "inputs": {"notes": ["a", "b"]}, "reply": ""}],
            {"notes": ("a", "c")},
            '`inputs.notes[1]` is "b", in the request "c"',
        ),
        (
            [{"signature": "reply", "inputs": {"notes": ["a", "b"]}, "reply": ""}],
            {"notes": ("a",)},
            "`inputs.notes` has 2 items, in the request 1",
        ),
        (
            [{"signature": "reply", "inputs": {"cases": [{"question": "x"}]}, "reply": ""}],
            {"cases": (Case("x"),)},
            "`inputs.cases[0].weight` is only in the request",
        ),
        (
            [{"signature": "reply", "inputs": {"queston": 1}, "reply": ""}],
            {},
            "`inputs.queston` is no input of the request, which has question, notes, n, flag, cases",
        ),
        (
            [{"signature": "reply", "contains": "x" * 80, "reply": ""}],
            {},
            f'`contains` is "{"x" * 59}..., which is not in the request',
        ),
    ],
)
def test_a_miss_names_the_nearest_line_and_the_first_difference(
    lines: list[dict[str, Any]], inputs: dict[str, Any], why: str
) -> None:
    assert missed(written(*lines), **{"question": "q", **inputs}).endswith(why)


def test_a_miss_names_the_request_and_its_place() -> None:
    model = written({"signature": "reply", "reply": "one"})
    said(model, question="q")
    assert missed(model, question="q" * 100, path="direct/map[3]") == (
        f's.jsonl has no line left for `test_script.reply`(question="{"q" * 59}..., notes=[], n=0, flag=false, cases=[])'
        " in 'direct/map[3]'; the nearest is line 1, where everything fits, but it is used up (`times` is 1)"
    )


def test_a_conversation_among_the_inputs_says_to_use_contains() -> None:
    model = written({"signature": "act", "inputs": {"steps": []}, "reply": "x"})
    message = missed(model, act, question="q", steps=Transcript(), tools=Tools((look,)))
    assert message.endswith("`inputs.steps` is a Transcript, which cannot be compared: use `contains`")


def test_lines_that_were_not_used_up_are_listed() -> None:
    model = ScriptModel(
        """# a comment

{"signature": "reply", "times": 2, "reply": "a"}
   {"signature": "reply", "times": 0, "reply": "b"}
# {"signature": "reply", "reply": "c"}
{"signature": "choose", "times": 0, "reply": "yes"}\r
""",
        name="s.jsonl",
    )
    assert model.unspent == (3, 4, 6)
    assert [said(model, question="q") for _ in range(3)] == ["a", "a", "b"]
    assert model.unspent == (6,)
    assert said(model, choose, question="q") == "yes"
    assert model.unspent == ()


async def test_a_strict_script_fails_at_its_end_if_a_line_was_not_needed() -> None:
    strict = written({"signature": "reply", "times": 2, "reply": "a"}, {"signature": "x", "reply": ""}, strict=True)
    with pytest.raises(UsageError, match=r"^s\.jsonl: not used up: line 1, 2$"):
        await strict.aclose()
    lax = written({"signature": "reply", "reply": "a"})
    await lax.aclose()
    used = written({"signature": "reply", "reply": "a"}, strict=True)
    said(used, question="q")
    await used.aclose()


def test_a_file_may_begin_with_a_byte_order_mark_and_hold_any_separator_in_a_text(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes('\ufeff{"signature": "reply", "reply": "a\u2028b\x85c"}\r\n'.encode())
    model = ScriptModel.open(str(tmp_path / "s.jsonl"))
    assert model.spec == f"script:{tmp_path / 's.jsonl'}"
    assert said(model, question="q") == "a\u2028b\x85c"


KEYS = st.text(max_size=5).filter(lambda key: key != "$")  # the name of a class, which a line may leave out
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_a_line_fits_exactly_the_requests_whose_inputs_are_equal_json(wanted: Any, got: Any) -> None:
    model = written({"signature": "reply", "inputs": {"question": wanted}, "reply": "yes"})
    request = asked(model, question="q")
    request.inputs = {"question": got}
    if json.dumps(got, sort_keys=True) == json.dumps(wanted, sort_keys=True):
        assert isinstance(model.complete(request), Reply)
    else:
        with pytest.raises(ScriptMiss, match="line 1"):
            model.complete(request)
