"""Replies that are not quite in their format: read without a call where nothing is guessed, else repaired by one."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import (
    Act,
    Marked,
    Positive,
    Sample,
    Share,
    Step,
    ToolCall,
    Tools,
    Transcript,
    Verdict,
    signature,
    tool,
)
from stratagem.core._repair import balanced, read_json, unfenced
from stratagem.errors import BudgetExhausted, UnparsedReply
from stratagem.testing import Raw, scripted, tape_of


@dataclass(frozen=True)
class Place:
    name: str
    size: int
    tags: tuple[str, ...] = ()
    inner: "Place | None" = None


@dataclass(frozen=True)
class Solved:
    thinking: str
    answer: Annotated[int, Marked("The answer is", end=".")]


@signature
def find(question: str) -> Place:
    """Find."""
    ...


@signature(format="json")
def pick(question: str) -> tuple[int, ...]:
    """Pick."""
    ...


@signature
def solve(question: str) -> Solved:
    """Solve."""
    ...


@signature
def grade(answer: str) -> Verdict:
    """Grade."""
    ...


@signature
def count(question: str) -> Positive:
    """Count."""
    ...


@signature
def share(question: str) -> float:
    """Say the share."""
    ...


@signature
def choose(question: str) -> Literal["sure", "likely", "impossible"]:
    """Choose."""
    ...


@signature
def names(question: str) -> tuple[str, ...]:
    """Name some."""
    ...


@signature
def act(steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


@signature
def act_only(steps: Transcript, tools: Tools) -> Act:
    """Act."""
    ...


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PLACES = st.recursive(
    st.builds(Place, TEXT, st.integers(), st.lists(TEXT, max_size=3).map(tuple)),
    lambda inner: st.builds(Place, TEXT, st.integers(), st.just(()), inner),
    max_leaves=3,
)


def form(place: Place) -> dict[str, Any]:
    inner = None if place.inner is None else form(place.inner)
    return {"name": place.name, "size": place.size, "tags": list(place.tags), "inner": inner}


def words(place: Place) -> str:
    return place.name + "".join(place.tags) + (words(place.inner) if place.inner else "")


def parsed(made: Any, sample: Sample, *, native: bool = True) -> Any:
    """Return the value of a reply, or why there is none."""
    try:
        return made.parse(sample, native=native)
    except UnparsedReply as failure:
        return failure


# Without a call

PROSE = st.sampled_from(["", "Sure! Here it is:\n", "I think that\n\n", "Answer (JSON):", "It's this: "])
AFTER = st.sampled_from(["", "\n", "\nI hope that helps.", " - done", "\n\nAnything else?"])


@pytest.mark.works("IN04")
@given(PLACES, PROSE, AFTER, st.sampled_from(["plain", "fence", "bare fence", "python", "spaced"]))
def test_words_fences_and_quotes_around_a_value_do_not_change_it(
    place: Place, before: str, after: str, how: str
) -> None:
    data = form(place)
    said = {
        "plain": json.dumps(data),
        "fence": f"```json\n{json.dumps(data, indent=2)}\n```",
        "bare fence": f"```\n{json.dumps(data)}\n```",
        "python": repr(data),
        "spaced": f"\n\n  {json.dumps(data, ensure_ascii=False)}  \n",
    }[how]
    text = before + said + after
    if set("{}[]'\"`") & set(words(place)):
        return  # such replies are ambiguous in some of these forms; that they raise nothing else is tested below
    assert find.parse(Sample(text)) == place


REPLIES: list[tuple[Any, str]] = [
    (find, json.dumps(form(Place("a {b}", 3, ("x", "y"), Place("c", -1))))),
    (find, repr(form(Place("a", 3, ("it's",))))),
    (pick, "```json\n[1, 2, 3]\n```"),
    (solve, "Because 3 + 4 = 7. The answer is 7."),
    (grade, "Passed: yes\nScore: 0.5\nFeedback: fine"),
    (count, "12"),
    (share, "0.25"),
    (choose, "likely"),
    (names, "1. one\n2. two\n\n- three"),
    (act, 'Thought 1: I look.\nAction 1: look[{"where": "here"}]'),
    (act, "Thought: done\nAction: Finish[it is here]"),
    (act_only, "Action: look[here]"),
]


KINDS = {find: Place, pick: tuple, solve: Solved, grade: Verdict, count: int, share: float, choose: str, names: tuple}


@st.composite
def mutated(draw: Any) -> tuple[Any, str]:
    made, text = draw(st.sampled_from(REPLIES))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        how = draw(st.sampled_from(["cut", "drop", "insert", "double", "swap", "wrap"]))
        if how == "cut":
            text = text[:at]
        elif how == "drop":
            text = text[:at] + text[at + 1 :]
        elif how == "insert":
            text = text[:at] + draw(st.text(max_size=3)) + text[at:]
        elif how == "double":
            text = text[:at] + text[at : at + 9] * 2 + text[at + 9 :]
        elif how == "swap":
            text = text[:at] + text[at:].swapcase()
        else:
            text = f"```\n{text}\n```"
    return made, text


@given(mutated(), st.booleans())
def test_whatever_a_model_writes_is_a_value_of_the_type_or_unparsed(reply: tuple[Any, str], native: bool) -> None:
    made, text = reply
    value = parsed(made, Sample(text), native=native)
    if isinstance(value, UnparsedReply):
        assert value.complaint
        assert value.reply == text
    else:
        assert isinstance(value, KINDS.get(made, Step))


@given(st.sampled_from([made for made, _ in REPLIES]), st.text(st.characters(exclude_categories=())), st.booleans())
def test_any_text_at_all_is_a_value_or_unparsed(made: Any, text: str, native: bool) -> None:
    str(parsed(made, Sample(text), native=native)).encode("utf-8", "backslashreplace")


HOSTILE = [
    "[" * 100_000, "{" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, "[" * 3_000 + "]" * 3_000, "(" * 5_000 + ")" * 5_000,
    "-" * 50_000 + "1", "[" + "1+" * 20_000 + "1]", "'" * 100_001, '"' * 100_001, "`" * 100_000, "```\n" * 30_000,
    "{'a': '\\d'}", '{"size": 1e999}', "[NaN]", "[1e999]", "9" * 10_000, "[" + "9" * 10_000 + "]", "\x00", "\ud800",
    "nan", "inf", "-inf", "1e999", "Infinity", "{'a': b'x'}", "{1, 2}", "[...]", "[1j]", "lambda: 1", "__import__('os')",
    "[(1).__class__]", "x" * 2_000_000, "[1," * 300_000 + "1" + "]" * 300_000, "Action: " * 50_000,
    "Action: look[" + '{"a":' * 50_000 + "1" + "}" * 50_000 + "]", '{"a": 1' + "0" * 400 + "}", "\n1." * 50_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{n}-{text[:12]!r}" for n, text in enumerate(HOSTILE)])
def test_a_hostile_reply_costs_a_moment_and_is_unparsed_or_a_value(text: str) -> None:
    import time
    import warnings

    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for made in dict.fromkeys(made for made, _ in REPLIES):
            for native in (True, False):
                value = parsed(made, Sample(text), native=native)
                assert not isinstance(value, UnparsedReply) or len(str(value)) < 500
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "arguments", ["[" * 100_000, "{" * 9, '{"a": NaN}', '{"a": 1e999}', "[1]", "7", '"x"', "\ud800", " "]
)
def test_arguments_that_are_no_json_object_reach_the_model_as_a_failed_call(arguments: str) -> None:
    step = parsed(act, Sample("", (("look", arguments),)))
    assert step.complaint if isinstance(step, UnparsedReply) else step.calls[0].name == "look"


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", "1" + "0" * 400])
def test_a_number_that_is_none_is_unparsed(text: str) -> None:
    with pytest.raises(UnparsedReply):
        share.parse(Sample(text))
    with pytest.raises(UnparsedReply):
        grade.parse(Sample(f"Passed: yes\nScore: {text}\nFeedback: fine"))


@pytest.mark.parametrize(
    ("made", "text", "complaint"),
    [
        (count, "0", "must be at least 1, got 0"),
        (count, "many", "must be an integer, got 'many'"),
        (count, "", "it is empty"),
        (grade, "Passed: yes\nScore: 7\nFeedback: x", r"must be in \[0, 1\], got 7"),
        (grade, "Score: 1", "there is no"),
        (solve, "It is 7", "there is no 'The answer is' in it"),
        (choose, "perhaps", "expected one of sure, likely, impossible"),
        (find, "no idea", "no JSON value in the reply"),
        (find, '{"name": "x"}', "size"),
        (pick, '["a"]', "must be an integer, got 'a'"),
        (names, "\n", "the list is empty"),
    ],
)
def test_a_complaint_says_what_is_wrong(made: Any, text: str, complaint: str) -> None:
    with pytest.raises(UnparsedReply) as caught:
        made.parse(Sample(text))
    import re

    assert re.search(complaint, caught.value.complaint), caught.value.complaint


def test_of_several_values_the_last_is_meant() -> None:
    assert read_json('First I thought [1], then {"a": 2}.') == {"a": 2}
    assert read_json("```json\n[1]\n```\nNo, wait:\n```json\n[2]\n```") == [2]
    assert balanced('x {"a": "]}"} y') == '{"a": "]}"}'
    assert unfenced("no fence ") == "no fence"


def test_a_truncated_value_is_never_completed() -> None:
    whole = json.dumps(form(Place("a", 3, ("x", "y"))))
    for end in range(len(whole)):
        with pytest.raises(UnparsedReply):
            find.parse(Sample(whole[:end]))


# With a call


async def test_one_call_asks_again_with_the_reply_and_what_is_wrong_with_it() -> None:
    run = scripted({count: lambda question: 12}, repairs=1, garble={("", "Count.\n\nQuestion: ?")})
    assert await run.ask(count, question="?") == 12
    first, second = run.ledger
    assert (first.repair, second.repair) == (False, True)
    assert second.text == "Count.\n\nQuestion: ?\n\n\n\nThis reply could not be read: it is empty. Keep to the format."
    roles = [(message.role, message.text) for message in second.request.messages]
    assert roles == [
        ("user", "Count.\n\nQuestion: ?"),
        ("assistant", ""),
        ("user", "This reply could not be read: it is empty. Keep to the format."),
    ]
    assert second.request.digest != first.request.digest
    again = scripted({}, repairs=1, tape=tape_of(run), replaying=True)
    assert await again.ask(count, question="?") == 12


@pytest.mark.parametrize("repairs", [0, 1, 3])
async def test_no_more_calls_than_allowed_are_spent_on_an_unreadable_reply(repairs: int) -> None:
    run = scripted({count: lambda question: Raw("many")}, repairs=repairs)
    with pytest.raises(UnparsedReply, match=r"reply to `test_repair.count` does not fit its return type: 'many'"):
        await run.ask(count, question="?")
    assert len(run.ledger) == 1 + repairs
    assert len(run.ledger.logical) == 1
    assert run.budget.spent.calls == 1 + repairs
    assert [len(asked.request.repair) for asked in run.ledger] == list(range(1 + repairs))


async def test_a_repair_counts_in_the_budget() -> None:
    run = scripted({count: lambda question: Raw("many")}, repairs=9, calls=3)
    with pytest.raises(BudgetExhausted):
        await run.ask(count, question="?")
    assert len(run.ledger) == 3


async def test_a_resume_repairs_what_was_not_repaired_yet() -> None:
    garble = {("", "Count.\n\nQuestion: ?")}
    run = scripted({count: lambda question: 12}, repairs=1, garble=garble)
    await run.ask(count, question="?")
    again = scripted({count: lambda question: 12}, repairs=1, garble=garble, tape=tape_of(run).upto(1))
    assert await again.ask(count, question="?") == 12
    assert [asked.reused for asked in again.ledger] == [True, False]


async def test_a_long_complaint_is_cut() -> None:
    world: Any = {find: lambda question: Raw('{"name": {"' + "x" * 9_000 + '": 1}, "size": 3}')}
    run = scripted(world, repairs=1)
    with pytest.raises(UnparsedReply):
        await run.ask(find, question="?")
    assert len(run.ledger[1].request.repair[0][1]) < 600


@tool
def look(where: str) -> str:
    """Look."""
    return f"seen {where}"


async def test_a_step_that_cannot_be_read_is_repaired_in_the_text_protocol_too() -> None:
    world: Any = {act: lambda steps, draw: Step("Hm.", (ToolCall("look", {"where": "x"}),))}
    probe = scripted(world, tools=(look,), native=False)
    await probe.ask(act, steps=Transcript(), tools=probe.tools)
    garble = {("", probe.ledger[0].text)}
    run = scripted(world, tools=(look,), native=False, repairs=1, garble=garble)
    step = await run.ask(act, steps=Transcript(), tools=run.tools)
    assert step.calls[0].name == "look"
    assert "there is no line such as `Action: tool[argument]` at its end" in run.ledger[1].text


@given(share=st.floats(0, 1), passed=st.booleans(), words=TEXT.filter(lambda t: t.strip() == t and ":" not in t))
def test_what_is_written_is_read_as_the_same_value(share: Share, passed: bool, words: str) -> None:
    value = Verdict(passed, share, words)
    assert grade.parse(grade.write(value)) == value


@given(PLACES)
def test_any_value_written_as_json_is_read_as_the_same(place: Place) -> None:
    assert find.parse(find.write(place)) == place
