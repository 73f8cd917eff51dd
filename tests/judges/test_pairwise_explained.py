import textwrap
from typing import Any

import pytest

from stratagem.core import Answer, Preference, Run, Sample, Task, judge
from stratagem.errors import UnparsedReply
from stratagem.judges.pairwise_explained import Rating, pairwise_explained, preferences, rate, renamed
from stratagem.parts.agreement import agreement, preferred
from stratagem.testing import Raw, scripted

TASK = Task("Which city?")
GOOD, BAD = Answer("Bern, the capital"), Answer("no")

# The article's prompt, with what stands in its placeholders.
PROMPT = textwrap.dedent("""\
    ### Question
    Which city?

    ### The Start of Assistant 1's Answer
    {first}
    ### The End of Assistant 1's Answer

    ### The Start of Assistant 2's Answer
    {second}
    ### The End of Assistant 2's Answer

    ### System
    We would like to request your feedback on the performance of two AI assistants in response to the user question displayed above.
    Please compare the helpfulness, relevance, accuracy, level of details of their responses.
    The rating should be from the set of 1, 2, 3, 4, 5, 6, 7, or 8, where higher numbers indicated that Assistant 2 was better than Assistant 1.
    Please first output a single line containing only one value indicating the preference between Assistant 1 and 2.
    In the subsequent line, please provide a brief explanation of your evaluation, avoiding any potential bias and ensuring that the order in which the responses were presented does not affect your judgment.""")


def longer(question: str, answer: str, rival: str) -> Rating:
    """A judge that prefers the longer answer, strongly, and says which slot it was in."""
    slot = 2 if len(rival) > len(answer) else 1
    return Rating(7 if slot == 2 else 2, f"Assistant {slot} says more than Assistant {3 - slot}.")


def swapped(run: Run) -> list[bool]:
    return [data["swapped"] for kind, _, data in run.strand.world.notes if kind == "order"]


async def in_order(world: Any, *, order: bool, pair: tuple[Answer, Answer] = (GOOD, BAD)) -> tuple[Run, Preference]:
    """Judge a pair with the seed that brings this order first."""
    for seed in range(50):
        run = scripted(world, seed=seed)
        found = await pairwise_explained(run, TASK, *pair)
        if swapped(run) == [order]:
            return run, found
    raise AssertionError(f"no seed brings the order {order}")


@pytest.mark.works("EV07")
@pytest.mark.parametrize("order", [False, True])
async def test_the_prompt_is_the_articles_byte_for_byte(order: bool) -> None:
    run, _ = await in_order({rate: longer}, order=order)
    first, second = (BAD, GOOD) if order else (GOOD, BAD)
    assert [asked.text for asked in run.ledger] == [PROMPT.format(first=first.text, second=second.text)]
    assert run.ledger[0].path == "pairwise_explained"
    assert pairwise_explained.max_calls == pairwise_explained.min_calls == 1
    assert not pairwise_explained.needs


@pytest.mark.works("EV07")
@pytest.mark.parametrize("order", [False, True])
async def test_the_order_is_noted_and_undone(order: bool) -> None:
    _, found = await in_order({rate: longer}, order=order)
    assert found == Preference(6 / 7, "Assistant 1 says more than Assistant 2.")
    _, found = await in_order({rate: longer}, order=order, pair=(BAD, GOOD))
    assert found == Preference(1 / 7, "Assistant 2 says more than Assistant 1.")


@pytest.mark.parametrize(("rating", "first"), [(1, 1.0), (4, 4 / 7), (5, 3 / 7), (8, 0.0)])
async def test_a_rating_is_a_share_for_the_answer(rating: int, first: float) -> None:
    _, found = await in_order({rate: lambda **_: Rating(rating, "Because.")}, order=False)
    assert found == Preference(first, "Because.")
    _, found = await in_order({rate: lambda **_: Rating(rating, "Because.")}, order=True)
    assert found.first == pytest.approx(1 - first)


async def test_the_order_is_random_and_the_same_for_the_same_seed_and_place() -> None:
    runs = [scripted({rate: longer}) for _ in range(2)]
    for run in runs:
        for _ in range(400):
            await pairwise_explained(run, TASK, GOOD, BAD)
    orders = [swapped(run) for run in runs]
    assert orders[0] == orders[1]
    assert 160 < sum(orders[0]) < 240
    assert [asked.inputs["answer"] == BAD.text for asked in runs[0].ledger] == orders[0]


async def test_a_judge_that_always_names_a_slot_prefers_nobody_on_average() -> None:
    run = scripted({rate: lambda **_: Rating(1, "The first.")})
    found = [(await pairwise_explained(run, TASK, GOOD, BAD)).first for _ in range(400)]
    assert set(found) == {0.0, 1.0}
    assert 0.4 < sum(found) / len(found) < 0.6


@pytest.mark.parametrize(
    ("reply", "rated"),
    [
        ("3\nAssistant 1 says more.\nIt also says why.", Rating(3, "Assistant 1 says more.\nIt also says why.")),
        ("\n 3 \n\nAssistant 1 says more.\n", Rating(3, "Assistant 1 says more.")),
        ("3", Rating(3, "")),
        ("3.\nFine.", Rating(3, "Fine.")),
    ],
)
def test_the_first_line_is_the_rating_and_the_rest_explains_it(reply: str, rated: Rating) -> None:
    assert rate.parse(rate.write(rated)) == rated
    assert rate.parse(Sample(reply)) == rated


INVALID = (
    "9\nOff the scale.",
    "0\nNone.",
    "Assistant 1 is better.\n2",
    "Rating: 3\nFine.",
    "4 or 5\nHm.",
    "3.5\nHm.",
    "",
)


@pytest.mark.works("EV07")
@pytest.mark.parametrize("reply", INVALID)
async def test_invalid_output_is_asked_for_again_and_then_left_out(reply: str) -> None:
    with pytest.raises(UnparsedReply):
        await pairwise_explained(scripted({rate: lambda **_: Raw(reply)}), TASK, GOOD, BAD)
    run = scripted({rate: lambda **_: Raw(reply)}, repairs=1)
    assert await preferences(run, ((TASK, GOOD, BAD),)) == (None,)
    assert len(run.ledger) == 2
    mended = scripted({rate: longer}, repairs=1, garble=[await asked_at("pairwise_explained")])
    assert (await pairwise_explained(mended, TASK, GOOD, BAD)).first == 6 / 7
    assert len(mended.ledger) == 2


@judge(calls="0", needs="nothing")
async def first_always(run: Run, task: Task, answer: Answer, rival: Answer) -> Preference:
    return Preference(1.0, "The first.")


async def test_any_pairwise_judge_can_be_asked_for_its_preferences() -> None:
    run = scripted({})
    assert await preferences(run, ((TASK, BAD, GOOD),), judge=first_always) == (Preference(1.0, "The first."),)
    assert preferences.using(judge=first_always).bound(5) == 0


async def asked_at(path: str) -> tuple[str, str]:
    run = scripted({rate: longer})
    await pairwise_explained(run, TASK, GOOD, BAD)
    return path, run.ledger[0].text


@pytest.mark.works("EV07")
async def test_agreement_with_a_reference_labeller_leaves_invalid_output_out() -> None:
    def noisy(question: str, answer: str, rival: str) -> Any:
        if "mumble" in (answer, rival):
            return Raw("It depends.")
        return longer(question, answer, rival)

    pairs = [(GOOD, BAD), (BAD, GOOD), (GOOD, Answer("mumble")), (BAD, GOOD), (GOOD, BAD)]
    reference = ["answer", "rival", "answer", "answer", "answer"]
    run = scripted({rate: noisy})
    found = await preferences(run, tuple((TASK, *pair) for pair in pairs))
    assert [preferred(one) for one in found] == ["answer", "rival", None, "rival", "answer"]
    assert agreement([preferred(one) for one in found], reference) == (0.75, 0.5, 4, 1)
    assert preferences.bound(5) == 5
    assert {asked.path for asked in run.ledger} == {f"preferences/map[{i}]/pairwise_explained" for i in range(5)}


def test_assistants_are_renamed_wherever_they_are_named() -> None:
    said = "Assistant 1's answer is short; ASSISTANT 2 and assistant 12 are not. Assistants 1 and 2."
    assert renamed(said) == "Assistant 2's answer is short; ASSISTANT 1 and assistant 12 are not. Assistants 1 and 2."


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("(rival, answer) if swapped else (answer, rival)", "(answer, rival)"),
    ("WORST + BEST - rated.rating if swapped else rated.rating", "rated.rating"),
    ("renamed(rated.explanation) if swapped else rated.explanation", "rated.explanation"),
    ("renamed(rated.explanation) if swapped else rated.explanation", "renamed(rated.explanation)"),
    ('    run.note("order", swapped=swapped)\n', ""),
    ("except UnparsedReply:", "except ZeroDivisionError:"),
    ("await judge(run, *pair)", "await pairwise_explained(run, *pair)"),
    ("level of details of", "level of detail of"),
]
