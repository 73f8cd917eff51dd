"""The compared strategies on the simulated model: it understands what they ask, and they do what theory says."""

import math
from typing import Any

import pytest

import stratagem
from stratagem import strategies
from stratagem.core import Answer, Run, Strategy, Task, strategy
from stratagem.errors import NoAnswer
from stratagem.judges.checked import checked
from stratagem.judges.pairwise_explained import preferences
from stratagem.judges.rewarded import rewarded
from stratagem.models.simulated import SimulatedModel
from stratagem.parts.agreement import agreement, preferred
from stratagem.strategies import best_of_n, direct, longer_chain, react, reflexion, tree_of_thoughts
from stratagem.strategies.search.tree_of_thoughts import propose, sample, value_each, vote_across
from stratagem.tasks import names, suite
from stratagem.tasks.blocksworld import Blocksworld

WORDS, GAME, BLOCKS = suite("word_problems"), suite("game24"), suite("blocksworld")


async def scored(made: Strategy, spec: str, *, n: int, of: Any = WORDS, budget: str | None = None) -> float:
    right = 0.0
    async with stratagem.open(model=SimulatedModel(spec, of.oracle()), journal="memory", budget=budget) as session:
        for item in of.items(n, seed="compared"):
            right += of.score(item.question, (await session.run(made, of.task(item.question))).text).right
    return right / n


def near(seen: float, expected: float, n: int) -> bool:
    """Within four standard errors."""
    return abs(seen - expected) <= 4 * math.sqrt(max(expected * (1 - expected), 0.01) / n)


async def test_best_of_n_with_a_perfect_judge_finds_the_answer_if_any_sample_has_it() -> None:
    made = best_of_n.using(sampler=direct, n=4)
    assert near(await scored(made, "sim:skill=0.3,judge=1", n=400), 1 - 0.7**4, 400)


async def test_best_of_n_with_the_public_checker_needs_no_call_for_it() -> None:
    made = best_of_n.using(sampler=direct, judge=checked, n=4)
    assert near(await scored(made, "sim:skill=0.3,judge=0", n=300, of=GAME, budget="calls=4"), 1 - 0.7**4, 300)


async def test_reflexion_retries_until_a_perfect_judge_passes() -> None:
    made = reflexion.using(actor=direct)
    assert near(await scored(made, "sim:skill=0.4,judge=1", n=400), 1 - 0.6**3, 400)


async def test_a_chain_that_goes_on_is_doubted_and_mended_as_second_thoughts_are() -> None:
    made = longer_chain.using(starter=direct, rounds=1)
    seen = await scored(made, "sim:skill=0.5,rethink=0.6,harm=0.1", n=500)
    assert near(seen, 0.5 * 0.9 + 0.5 * 0.6, 500)


SEARCHES = [
    tree_of_thoughts.using(branching=5),
    tree_of_thoughts.using(generate=sample, evaluate=vote_across, branching=4),
    tree_of_thoughts.using(search="depth", evaluate=value_each.using(votes=1, threshold=0.5), branching=5, width=5),
]


@pytest.mark.parametrize("made", SEARCHES, ids=["breadth", "votes", "depth"])
async def test_every_search_solves_what_its_model_proposes_and_recognises(made: Strategy) -> None:
    assert await scored(made, "sim:skill=1,step=1,judge=1", n=10, of=GAME) == 1
    assert await scored(made, "sim:skill=0,step=0,judge=1", n=10, of=GAME) == 0


@pytest.mark.parametrize("of", [GAME, BLOCKS], ids=["game24", "blocksworld"])
@pytest.mark.parametrize("search", ["breadth", "depth"])
async def test_a_search_that_may_go_deeper_than_there_are_steps_states_the_answer(search: Any, of: Any) -> None:
    made = tree_of_thoughts.using(search=search, depth=9, width=2, branching=12)
    assert await scored(made, "sim:skill=1,judge=1", n=4, of=of) == 1


@pytest.mark.parametrize("generate", [propose, sample])
async def test_at_its_end_a_path_is_neither_spoiled_by_the_skill_nor_saved_by_it(generate: Any) -> None:
    three, nine = (
        tree_of_thoughts.using(generate=generate, depth=depth, width=1, branching=2, evaluate=value_each.using(votes=1))
        for depth in (3, 9)
    )
    seen = await scored(three, "sim:skill=0.5,judge=1", n=60, of=GAME)
    assert 0.2 < seen < 0.8
    assert await scored(nine, "sim:skill=0.5,judge=1", n=60, of=GAME) == seen


async def test_a_vote_is_understood() -> None:
    made = tree_of_thoughts.using(generate=sample, evaluate=vote_across.using(votes=1), branching=3, width=1)
    seen = await scored(made, "sim:skill=0,step=0.5,judge=1", n=200, of=GAME)
    assert near(
        seen, (1 - 0.5**3) ** 3, 200
    )  # any of three, three times; the first alone would be right half of the time


async def test_with_too_little_for_one_level_a_search_is_direct_prompting() -> None:
    made = tree_of_thoughts.using(branching=5)
    seen = await scored(made, "sim:skill=0.4,step=1,judge=1", n=300, of=GAME, budget="calls=5")
    assert near(seen, 0.4, 300)


REACHED: list[bool] = []  # whether the goal held at the end of each trial of the latest item


@strategy(calls="8", lower="1")
async def pacing(run: Run, task: Task) -> Answer:
    """Move for a while, and say so when that was too little."""
    try:
        answer = await react.using(max_steps=8)(run, task)
    except NoAnswer as stopped:
        answer = task.answer("tired", steps=stopped.steps)
    REACHED.append("The goal holds." in list(answer.steps.observations)[-1].text)
    return answer


async def test_the_reward_of_a_world_decides_between_trials() -> None:
    made, acting, seen = reflexion.using(actor=pacing, judge=rewarded), Blocksworld(acting=True), list[list[bool]]()
    async with stratagem.open(model=SimulatedModel("sim:skill=0.6", acting.oracle()), journal="memory") as session:
        for item in acting.items(12, seed="compared"):
            REACHED.clear()
            await session.run(made, acting.task(item.question))
            seen.append([*REACHED])
    trials = [[True], [False, True], [False, False, True], [False, False, False]]
    assert all(one in trials for one in seen)  # it ends with the first that is rewarded, and with no other
    assert all(one in seen for one in trials[:2])


ITEMS = list(WORDS.items(40, seed="pairs"))


@strategy(calls="40", lower="40")
async def judging(run: Run, task: Task) -> Answer:
    """Compare a right answer with a wrong one, the right one first in every other pair."""
    pairs: list[tuple[Task, Answer, Answer]] = []
    for number, item in enumerate(ITEMS):
        asked = WORDS.task(item.question)
        right, wrong = asked.answer(item.key), asked.answer(WORDS.wrong(WORDS.read(item.question), 0))
        pairs.append((asked, wrong, right) if number % 2 else (asked, right, wrong))
    found = await preferences(run, tuple(pairs))
    truth = ["rival" if number % 2 else "answer" for number in range(len(ITEMS))]
    return task.answer(str(agreement([preferred(one) for one in found], truth).share))


async def test_the_pairwise_judge_is_understood_in_either_order() -> None:
    async with stratagem.open(model=SimulatedModel("sim:judge=1", WORDS.oracle()), journal="memory") as session:
        assert (await session.run(judging, "?")).text == "1.0"


@pytest.mark.parametrize("of", [suite(name) for name in names()], ids=names())
async def test_every_strategy_runs_on_every_suite(of: Any) -> None:
    item = next(one for one in of.items(20, seed="every") if one.key.count("\n") < 5)  # as many moves as `react` makes
    for name in strategies.names():
        async with stratagem.open(
            model=SimulatedModel("sim:skill=1,judge=1", of.oracle()), journal="memory", tools=of.tools()
        ) as session:
            answer = await session.run(getattr(strategies, name), of.task(item.question))
        assert answer.text, name
