"""The executor, the planner and the environment of blocksworld."""

from collections import deque

import pytest

import stratagem
from stratagem.models.simulated import SimulatedModel
from stratagem.strategies import react
from stratagem.tasks import suite
from stratagem.tasks.blocksworld import MOVES, BlocksEnvironment, Blocksworld, _possible, _reached, _start

WORLD = Blocksworld()
SUSSMAN = {"start": [["a", "c"], ["b"]], "goal": [["a", "b"], ["b", "c"]]}


def breadth_first(problem):
    """The length of a shortest plan, by a search that has no heuristic."""
    goal = tuple(map(tuple, problem["goal"]))
    front, seen = deque([(_start(problem), 0)]), {_start(problem)}
    while front:
        state, far = front.popleft()
        if _reached(state, goal):
            return far
        for _, after in _possible(state):
            if after not in seen:
                seen.add(after)
                front.append((after, far + 1))
    raise AssertionError


def test_the_sussman_anomaly_takes_six_actions():
    plan = WORLD.solve(SUSSMAN)
    assert plan.splitlines() == [
        "(unstack c a)", "(put-down c)", "(pick-up b)", "(stack b c)", "(pick-up a)", "(stack a b)",
    ]  # fmt: skip


@pytest.mark.parametrize("level", [1, 2])
def test_plans_are_shortest(level):
    for item in WORLD.items(40, seed="short", level=level):
        problem = WORLD.read(item.question)
        assert len(item.key.splitlines()) == breadth_first(problem)
        assert WORLD.optimal(problem, tuple(item.key.splitlines()))


def test_a_longer_plan_is_right_and_not_optimal():
    longer = ("(pick-up b)", "(put-down b)", *WORLD.solve(SUSSMAN).splitlines())
    assert WORLD.right(SUSSMAN, longer) == 1
    assert not WORLD.optimal(SUSSMAN, longer)


def test_what_stops_a_plan_is_said():
    checker = WORLD.checker(SUSSMAN)
    assert "Action 1, (pick-up a), cannot be carried out" in checker("(pick-up a)").feedback
    assert "goal does not hold" in checker("(unstack c a)").feedback
    assert checker(WORLD.solve(SUSSMAN)).passed


def test_the_last_block_of_actions_is_the_plan():
    said = "I could do (pick-up a) first, but no.\n1. (unstack C a)\n2. (put-down c)"
    assert WORLD.extract(said) == ("(unstack c a)", "(put-down c)")
    assert WORLD.extract("(fly a)") is None


@pytest.mark.parametrize(("skill", "right"), [(1.0, True), (0.0, False)])
async def test_moves_in_the_environment_reach_the_goal_or_not(skill, right):
    acting = Blocksworld(acting=True)
    model = SimulatedModel(f"sim:skill={skill}", acting.oracle())
    item = next(acting.items(1, seed="act", level=2))
    async with stratagem.open(model=model, journal="memory") as session:
        answer = await session.run(react.using(max_steps=20), acting.task(item.question))
    assert (acting.score(item.question, answer.text).right == 1) is right
    if right:
        seen = list(answer.steps.observations)
        assert seen[-1].result == {"reward": 1.0}
        assert "The goal holds" in seen[-1].text
        assert "reward" not in seen[-1].text


def calls(plan):
    second = {"stack": "onto", "unstack": "below"}
    made = []
    for name, *blocks in (line.strip("()").split() for line in plan.splitlines()):
        names = ("block", second.get(name, ""))[: len(blocks)]
        made.append((name.replace("-", "_"), dict(zip(names, blocks, strict=True))))
    return made


def test_whoever_has_moved_the_blocks_has_answered_whatever_is_said():
    acting = suite("blocksworld_acting")
    question, plan = acting.render(SUSSMAN), WORLD.solve(SUSSMAN)
    assert acting.score(question, "Done.", calls(plan)) == (1.0, True)
    assert acting.score(question, "Done.", [("look", {}), *calls("(stack a b)"), *calls(plan)]) == (1.0, True)
    assert acting.score(question, "Done.", calls(plan)[:-1]) == (0.0, True)
    assert acting.score(question, plan, calls(plan)[:-1]) == (1.0, True)
    assert acting.score(question, "Done.") == (0.0, False)
    assert WORLD.score(question, "Done.", calls(plan)) == (0.0, False)


def test_the_moves_are_the_tools_of_the_environment():
    assert tuple(tool.name for tool in BlocksEnvironment(SUSSMAN).moves()) == MOVES
