from typing import Any

import pytest

from stratagem.core import Task
from stratagem.errors import UsageError
from stratagem.strategies.search._thoughts import (
    HOPELESS,
    VALUES,
    Choice,
    Path,
    children,
    list_steps,
    propose,
    sample,
    value,
    value_each,
    vote,
    vote_across,
    write_step,
)
from stratagem.testing import Draw, Raw, scripted

TASK = Task("spell abc", notes=("be quick",))
PATHS: tuple[Path, ...] = (("a",), ("b", "c"), ("d",))


async def test_propose_is_one_call_for_all_thoughts() -> None:
    run = scripted({list_steps: lambda count, **_: tuple("abcdef"[:count])})
    assert await propose(run, TASK, ("x",), 4) == ("a", "b", "c", "d")
    assert [asked.path for asked in run.ledger] == ["propose"]
    assert run.ledger[0].inputs == {"question": "spell abc", "notes": ("be quick",), "path": ("x",), "count": 4}
    assert propose.bound(3) == 1


async def test_sample_is_one_draw_for_each_thought() -> None:
    run = scripted({write_step: lambda draw, **_: "abcdef"[draw.number]})
    assert await sample(run, TASK, ("x",), 4) == ("a", "b", "c", "d")
    assert {asked.options["temperature"] for asked in run.ledger} == {0.7}  # the code's
    assert run.ledger[0].inputs == {"question": "spell abc", "notes": ("be quick",), "path": ("x",)}
    assert (len(run.ledger), sample.bound(4)) == (4, 4)
    assert await sample(run, TASK, (), 1, temperature=1.0)
    assert run.ledger[-1].options["temperature"] == 1.0


async def test_an_unreadable_reply_brings_no_thought() -> None:
    assert await propose(scripted({list_steps: lambda **_: Raw("")}), TASK, (), 4) == ()
    assert await sample(scripted({write_step: lambda **_: Raw("")}), TASK, (), 4) == ()
    half = scripted({write_step: lambda draw, **_: Raw("") if draw.number % 2 else f"{draw.number}"})
    assert await sample(half, TASK, (), 4) == ("0", "2")


async def test_every_path_is_valued_with_the_papers_weights_per_vote() -> None:
    assert VALUES == {"sure": 20.0, "likely": 1.0, "impossible": 0.001}

    def mixed(question: str, path: Path, draw: Draw) -> Any:
        return {
            "a": ("sure", "impossible", "impossible"),  # one "sure" outweighs any number of "likely"
            "b": ("likely", "likely", "likely"),
            "d": ("likely", Raw("?"), "impossible"),
        }[path[0]][draw.number]

    run = scripted({value: mixed})
    found = await value_each(run, TASK, PATHS)
    assert found == pytest.approx((20.002 / 3, 1.0, 1.001 / 3))
    assert {asked.options["temperature"] for asked in run.ledger} == {0.7}
    assert [asked.inputs["path"] for asked in run.ledger] == [path for path in PATHS for _ in range(3)]
    assert run.ledger[0].inputs["question"] == "spell abc"
    assert (len(run.ledger), value_each.bound(3)) == (9, 9)


async def test_a_path_below_the_threshold_is_hopeless_and_one_at_it_is_not() -> None:
    def mixed(question: str, path: Path, draw: Draw) -> Any:
        return {"a": ("likely", "likely"), "b": ("likely", "impossible"), "d": (Raw("?"), Raw("?"))}[path[0]][
            draw.number
        ]

    world = {value: mixed}
    assert await value_each(scripted(world), TASK, PATHS, votes=2) == pytest.approx((1.0, 0.5005, 0.0))
    found = await value_each(scripted(world), TASK, PATHS, votes=2, threshold=1.0)
    assert found == (1.0, HOPELESS, HOPELESS)
    found = await value_each(scripted(world), TASK, PATHS, votes=2, threshold=0.5)
    assert found == pytest.approx((1.0, 0.5005, HOPELESS))
    assert HOPELESS < 0  # below what any number of "impossible" votes, or no vote at all, gives


async def test_a_vote_is_for_one_of_the_candidates() -> None:
    run = scripted({vote: lambda draw, **_: Choice("Hm.", (2, 2, 3, 9, 2)[draw.number])})
    assert await vote_across(run, TASK, PATHS) == (0, 3 / 5, 1 / 5)  # number 9 is nobody's
    assert {asked.options["temperature"] for asked in run.ledger} == {0.7}
    assert "1. a\n2. b; c\n3. d" in run.ledger[0].text
    assert (len(run.ledger), vote_across.bound(3)) == (5, 5)


async def test_unreadable_votes_are_nobodys_and_no_candidates_need_no_vote() -> None:
    assert await vote_across(scripted({vote: lambda **_: Raw("the second")}), TASK, PATHS) == (0, 0, 0)
    assert await vote_across(scripted({}), TASK, ()) == ()


def test_the_fewest_calls_are_the_most() -> None:
    for made in (propose, sample, value_each, vote_across):
        assert made.card.calls == made.card.lower


def test_a_bound_that_depends_on_n_has_to_be_told() -> None:
    assert (propose.max_calls, vote_across.max_calls) == (1, 5)
    with pytest.raises(UsageError, match="`value_each` depends on `n`"):
        assert value_each.max_calls


def test_children_are_new_and_few() -> None:
    assert children(("a",), ("b", "b", "c", "d"), 2) == (("a", "b"), ("a", "c"))


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("sum(VALUES[label] for label in labels)", "(VALUES[labels[0]] if labels else 0)"),
    ("sum(VALUES[label] for label in labels)", "max((VALUES[label] for label in labels), default=0)"),
    ("sum(VALUES[label] for label in labels)", "float(len(labels))"),
    ("in labels) / votes", "in labels) / max(1, len(labels))"),
    ("chosen[number] / votes", "float(chosen[number])"),
    ("dict.fromkeys(thoughts)", "thoughts"),
    ("[:most]", ""),
    ("(*path, thought)", "(thought,)"),
    ("count=n", "count=3"),
    ("hot.sample(write_step, n,", "hot.sample(write_step, 3,"),
    ("hot.sample(write_step", "run.sample(write_step"),
    ("run.using(temperature=temperature).map", "run.map"),
    ("hot.sample(vote, votes", "run.sample(vote, votes"),
    ("mean if mean >= threshold else HOPELESS", "mean"),
    ("            labels = []", "            raise"),
    ("        choices = []", "        raise"),
    ("    if not paths:\n        return ()\n", ""),
]
