"""The proof: 20 folders of random files, asked through the real strategies and tools; every citation is opened."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

import stratagem
from stratagem.core import Strategy
from stratagem.strategies import autonomous_agent, react
from tests.models.offline.folders import Outcome, folder, judged, outcome
from tests.models.offline.tables_of import Wanted

SEEDS = range(20)
RIGHT = 0.9


async def asked(seed: int, root: Path, strategy: Strategy) -> list[tuple[Wanted, Outcome]]:
    wanted = folder(seed, root)
    async with stratagem.open(model="offline", roots=[root], memory="none", journal="memory") as session:
        return [(one, await outcome(one, root, session, strategy)) for one in wanted]


def complaints(found: list[tuple[Wanted, Outcome]], verdict: str) -> list[str]:
    return [f"{one.text} -> {came.answer or 'refused'} ({came.why})" for one, came in found if came.verdict == verdict]


async def test_random_folders_are_answered_right_or_not_at_all(tmp_path: Path) -> None:
    found: list[tuple[Wanted, Outcome]] = []
    for seed in SEEDS:
        root = tmp_path / str(seed)
        root.mkdir()
        came = await asked(seed, root, react)
        assert len(came) >= 12
        found += came
    assert complaints(found, "wrong") == []
    refusals = [one for one, _ in found if one.kind == "refuse"]
    right = [one for one, came in found if came.verdict == "right" and one.kind != "refuse"]
    assert len(refusals) >= 0.15 * len(found)
    assert len(right) >= RIGHT * (len(found) - len(refusals)), "\n".join(complaints(found, "refused"))
    assert max(came.steps for _, came in found) <= 7
    assert {one.kind for one, _ in found} == {"number", "names", "pairs", "quote", "sum", "refuse"}


@pytest.mark.parametrize("seed", range(100, 105))
async def test_the_reference_agent_comes_to_the_same_outcomes(seed: int, tmp_path: Path) -> None:
    found = await asked(seed, tmp_path, autonomous_agent)
    assert complaints(found, "wrong") == []
    assert len(complaints(found, "refused")) <= 0.1 * len(found)


async def test_two_questions_in_one_are_answered_one_by_one(tmp_path: Path) -> None:
    asks = re.compile(r"(What (is|are|was)|How (many|much|often|long)|When)\b")
    for seed in (200, 201, 202):
        root = tmp_path / str(seed)
        root.mkdir()
        wanted = [one for one in folder(seed, root) if one.kind != "refuse" and asks.match(one.text)]
        async with stratagem.open(model="offline", roots=[root], memory="none", journal="memory") as session:
            for first, second in pairwise(wanted):
                question = f"{first.text.rstrip('?')}, and {second.text[0].lower()}{second.text[1:]}"
                answer = await session.run(autonomous_agent, question)
                lines = answer.text.split("\n")
                assert len(lines) == 2, f"{question} -> {answer.text or answer.reason}"
                judged(first, lines[0], root)
                judged(second, lines[1], root)
