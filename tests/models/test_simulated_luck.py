"""`sim:`: whoever is better has the same luck, so it is right where the other is and in more places."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stratagem
from stratagem.core import signature
from stratagem.models.simulated import SimulatedModel
from stratagem.strategies import chain_of_thought, direct, self_consistency
from stratagem.tasks import suite

WORDS = suite("word_problems")
ITEMS = list(WORDS.items(25, seed="luck"))
SHARES = st.integers(0, 20).map(lambda n: n / 20)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@signature
def passes(question: str, answer: str) -> bool:
    """Say whether the answer is right."""
    ...


KNOWN: dict[tuple[str, str], frozenset[str]] = {}


async def right(strategy, spec):
    """Return the items that a strategy answers rightly; what was asked before is known."""
    if (known := KNOWN.get((repr(strategy), spec))) is not None:
        return known
    model = SimulatedModel(spec, WORDS.oracle())
    found = set()
    async with stratagem.open(model=model, journal="memory", seed=3) as session:
        for item in ITEMS:
            answer = await session.run(strategy, WORDS.task(item.question))
            if WORDS.score(item.question, answer.text).right:
                found.add(item.id)
    KNOWN[repr(strategy), spec] = frozenset(found)
    return frozenset(found)


async def passed(spec):
    """Return the items whose right answer a judge passes, and those whose wrong answer it passes."""
    model = SimulatedModel(spec, WORDS.oracle())
    found = set(), set()

    @stratagem.strategy(calls="50")
    async def judged(run: stratagem.Run, task: stratagem.Task) -> stratagem.Answer:
        """Judge every item."""
        for item in ITEMS:
            wrong = WORDS.wrong(WORDS.read(item.question), 0)
            for which, said in enumerate((item.key, wrong)):
                if await run.ask(passes, question=item.question, answer=said):
                    found[which].add(item.id)
        return task.answer("done")

    async with stratagem.open(model=model, journal="memory", seed=3) as session:
        await session.run(judged, "Judge.")
    return found


@FEW
@given(SHARES, SHARES)
@pytest.mark.parametrize(
    "strategy", [direct, chain_of_thought, self_consistency.using(n=5)], ids=["direct", "cot", "vote"]
)
async def test_a_higher_skill_is_right_on_a_superset_of_items(strategy, one, other):
    low, high = sorted((one, other))
    assert await right(strategy, f"sim:skill={low},spread=1") <= await right(strategy, f"sim:skill={high},spread=1")


@FEW
@given(SHARES, SHARES)
async def test_a_better_judge_passes_more_of_what_is_right_and_less_of_what_is_wrong(one, other):
    low, high = sorted((one, other))
    worse, better = await passed(f"sim:judge={low}"), await passed(f"sim:judge={high}")
    assert worse[0] <= better[0]
    assert worse[1] >= better[1]


@pytest.mark.parametrize(
    "other", ["judge=0.9", "critic=0.1", "words=5", "latency=0", "refuse=0.0001", "format=0.0001", "cause=0.0001"]
)
async def test_what_does_not_matter_to_an_answer_changes_none(other):
    assert await right(direct, f"sim:skill=0.5,{other}") == await right(direct, "sim:skill=0.5")


async def test_another_seed_is_another_luck():
    assert await right(direct, "sim:skill=0.5,seed=1") != await right(direct, "sim:skill=0.5")
    assert await right(direct, "sim:skill=1,seed=1") == {item.id for item in ITEMS}
