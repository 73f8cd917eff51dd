import functools
import re
from collections import Counter
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from stratagem.core import Budget, Run, Strategy, Task, operation, parse_spec
from stratagem.errors import BudgetExhausted, UsageError
from stratagem.session._loading import found
from stratagem.strategies.search._thoughts import (
    HOPELESS,
    Choice,
    Path,
    list_steps,
    propose,
    sample,
    value,
    value_each,
    vote,
    vote_across,
    write_step,
)
from stratagem.strategies.search.tree_of_thoughts import conclude, tree_of_thoughts
from stratagem.testing import Case, Draw, Raw, scripted
from stratagem.testing.conformance import conformance

# Spell "abc": only its prefixes are promising, and no proposal starts with the right letter.
TASK = Task("spell abc")


def promising(path: Path) -> bool:
    return "abc".startswith("".join(path))


SPELL: dict[Any, Any] = {
    list_steps: lambda question, notes, path, count: tuple("xyabcz"[:count]),
    write_step: lambda question, notes, path, draw: "xyabcz"[draw.number],
    value: lambda question, path: "sure" if promising(path) else "impossible",
    vote: lambda question, candidates: Choice("Hm.", [*map(promising, candidates), True].index(True) + 1),
    conclude: lambda question, notes, path: "".join(path) or "?",
}
small = tree_of_thoughts.using(depth=3, width=2, branching=5, evaluate=value_each.using(votes=2))
strict = small.using(evaluate=value_each.using(votes=2, threshold=0.5))
writing = small.using(generate=sample, evaluate=vote_across.using(votes=2))

# "ax" looks best at first and leads nowhere: the search must go back from it.
TRAP: dict[Any, Any] = {
    **SPELL,
    list_steps: lambda question, notes, path, count: tuple("bcaxy"[:count]),
    value: lambda question, path: "likely" if promising(path) else "sure" if path == ("a", "x") else "impossible",
}
HOPEFUL: dict[Any, Any] = {**TRAP, value: lambda question, path: "likely"}
deep = strict.using(search="depth", width=5, max_steps=10)

# What the kit runs hundreds of times is smaller: two thoughts for each step, the first one wrong but for "b".
STEP = ("xa", "bx", "yc")
TINY: dict[Any, Any] = {
    **TRAP,
    list_steps: lambda question, notes, path, count: tuple(STEP[len(path)][:count]),
    write_step: lambda question, notes, path, draw: STEP[len(path)][draw.number],
}
LONE: dict[Any, Any] = {**SPELL, list_steps: lambda question, notes, path, count: ("a",)}
SAFE: dict[Any, Any] = {**TINY, value: SPELL[value]}
tiny = tree_of_thoughts.using(width=2, branching=2, evaluate=value_each.using(votes=2))
tiny_writing = tiny.using(generate=sample, evaluate=vote_across.using(votes=2))
sure = value_each.using(votes=2, threshold=0.5)
tiny_deep = tiny.using(evaluate=sure, search="depth", max_steps=4)

test_conforms = conformance(
    Case(tiny, TASK, SAFE, expect="abc"), Case(tiny.using(evaluate=sure, depth=1), TASK, LONE, expect="a")
)
test_writing_conforms = conformance(
    Case(tiny_writing, TASK, TINY, expect="abc"), Case(tiny_writing.using(depth=1), TASK, TINY, expect="a")
)
test_depth_first_conforms = conformance(
    Case(tiny_deep, TASK, TRAP | {list_steps: TINY[list_steps]}, expect="abc"),
    Case(tiny_deep.using(depth=1), TASK, LONE, expect="a"),
)


async def test_call_counts() -> None:
    run = scripted(SPELL)
    await small(run, TASK)
    new_paths = (1 + 2 + 2) * 5
    assert Counter(asked.signature for asked in run.ledger) == {
        list_steps: 1 + 2 + 2,
        value: new_paths * 2,
        conclude: 1,
    }
    assert len(run.ledger) == small.max_calls


async def test_the_operations_decide_what_is_asked() -> None:
    run = scripted(SPELL)
    await writing(run, TASK)
    assert Counter(asked.signature for asked in run.ledger) == {write_step: (1 + 2 + 2) * 5, vote: 3 * 2, conclude: 1}
    assert writing.max_calls == 5 * 5 + 3 * 2 + 1
    assert {asked.path for asked in run.ledger.of(vote)} == {
        f"tree_of_thoughts/vote_across{number}" for number in ("", "#2", "#3")
    }


def test_the_operations_are_named_in_the_spec_string() -> None:
    text = "tree_of_thoughts(depth=1, generate=sample(temperature=1.0), evaluate=vote_across)"
    made = parse_spec(text, found)
    assert repr(made) == text
    assert made.max_calls == 8 + 5 + 1
    with pytest.raises(UsageError, match="no operation 'react' beside propose"):
        parse_spec("tree_of_thoughts(generate=react)", found)
    with pytest.raises(UsageError, match="made by @operation"):
        tree_of_thoughts.using(generate=max)  # pyright: ignore[reportArgumentType]


@operation(calls="0")
async def alphabet(run: Run, task: Task, path: Path, n: int) -> tuple[str, ...]:
    return tuple("zabc"[:n])


async def test_an_operation_of_ones_own() -> None:
    made = small.using(generate=alphabet)
    assert (await made(scripted(SPELL), TASK)).text == "abc"
    assert made.max_calls == (1 + 2 + 2) * 5 * 2 + 1


async def test_the_defaults_are_the_game_of_24s() -> None:
    assert tree_of_thoughts.max_calls == (1 + 2 * 5) * (1 + 8 * 3) + 1
    run = scripted(SPELL)
    await tree_of_thoughts(run, TASK)
    assert run.ledger[0].inputs["count"] == 8
    assert len(run.ledger.of(value)) == 3 * (6 + 2 * 5 * 6)
    assert tree_of_thoughts.using(search="depth").max_calls == 100 * (1 + 8 * 3) + 1


async def test_the_frontier_never_exceeds_width_and_holds_the_best() -> None:
    run = scripted(SPELL)
    await small(run, TASK)
    expanded = [asked.inputs["path"] for asked in run.ledger.of(list_steps)]
    assert expanded == [(), ("a",), ("x",), ("a", "b"), ("a", "x")]


async def test_equal_thoughts_are_valued_once_and_more_than_asked_for_are_dropped() -> None:
    run = scripted({**SPELL, list_steps: lambda **_: ("a", "a", "b", "c", "d")})
    await tree_of_thoughts(run, TASK, depth=1, branching=3, evaluate=value_each.using(votes=1))
    assert [asked.inputs["path"] for asked in run.ledger.of(value)] == [("a",), ("b",), ("c",)]


async def test_a_level_that_the_budget_cannot_pay_for_is_not_started() -> None:
    run = scripted(SPELL, calls=12)  # the first level costs 1 + 5 * 2, the conclusion 1
    assert (await small(run, TASK)).text == "a"
    assert len(run.ledger) == 12
    run = scripted(SPELL, calls=11)  # the level itself would fit, but leave nothing to conclude with
    assert (await small(run, TASK)).text == "?"
    assert [asked.signature for asked in run.ledger] == [conclude]
    run = scripted(SPELL, calls=12 + 22)  # the second level has two paths
    assert (await small(run, TASK)).text == "ab"
    run = scripted(SPELL, calls=12 + 21)
    assert (await small(run, TASK)).text == "a"
    assert len(run.ledger) == 12  # not even its thoughts are asked for


def spent(run: Run) -> int:
    return run.budget.spent.tokens


async def test_a_level_that_would_take_too_many_tokens_is_not_started() -> None:
    free = scripted(SPELL)
    await small(free, TASK)
    whole = spent(free)
    run = scripted(SPELL, budget=Budget(tokens=whole * 2 // 3))
    answer = await small(run.using(max_tokens=4), TASK)
    assert answer.text == "ab"  # one level fewer, and its conclusion
    assert run.strand.world.refusal is None


async def test_thoughts_that_the_tokens_do_not_suffice_to_value_leave_enough_to_conclude() -> None:
    first = scripted(SPELL)
    await propose(first, TASK, (), 5)
    run = scripted(SPELL, budget=Budget(tokens=5 * spent(first)))
    assert (await small(run.using(max_tokens=4), TASK)).text == "?"
    assert [run.ledger[0].signature, run.ledger[-1].signature] == [list_steps, conclude]
    assert len(run.ledger.of(value)) < 10  # what the first level takes nobody could know
    assert run.strand.world.refusal is None


@pytest.mark.parametrize("limit", ["tokens", "prompt_tokens", "completion_tokens"])
@pytest.mark.parametrize("made", [small, writing, deep])
async def test_whatever_is_limited_the_search_concludes(made: Strategy, limit: str) -> None:
    free, once = scripted(SPELL), scripted(SPELL)
    await made(free, TASK)
    await made(once, TASK, max_steps=1)
    whole, little = (getattr(run.budget.spent, limit) for run in (free, once))
    for allowed in range(little // 2, whole, max(1, whole // 9)):
        run = scripted(SPELL, budget=Budget(**{limit: allowed})).using(max_tokens=6)  # pyright: ignore[reportArgumentType]
        await made(run, TASK)
        assert run.ledger[-1].signature is conclude
        assert run.strand.world.refusal is None


async def test_what_was_found_so_far_is_offered_if_the_budget_ends_all_the_same() -> None:
    @operation(calls="0")
    async def dear(run: Run, task: Task, paths: tuple[Path, ...]) -> tuple[float, ...]:
        """Say that it costs nothing, and ask once in the second level."""
        if len(paths[0]) > 1:
            await run.ask(value, question=task.question, path=paths[0])
        return tuple(float(promising(path)) for path in paths)

    run = scripted(SPELL, calls=4)
    with pytest.raises(BudgetExhausted):
        await small(run, TASK, evaluate=dear)
    assert run.best.text == "a\nb"
    empty = scripted({**SPELL, list_steps: lambda **_: Raw(""), conclude: lambda **_: Raw("")})
    with pytest.raises(Exception, match="conclude"):
        await small(empty, TASK)
    assert empty.strand.offers.best is None  # no thought is no answer


async def test_visits_are_in_pre_order_the_best_child_first_and_go_back() -> None:
    run = scripted(TRAP)
    assert (await deep(run, TASK)).text == "abc"
    visited = [asked.inputs["path"] for asked in run.ledger.of(list_steps)]
    assert visited == [(), ("a",), ("a", "x"), ("a", "b")]
    assert len(run.ledger) == 4 * (1 + 5 * 2) + 1
    hopeful = scripted(HOPEFUL)
    await deep(hopeful, TASK, width=2, depth=9, max_steps=4)
    visited = [asked.inputs["path"] for asked in hopeful.ledger.of(list_steps)]
    assert visited == [(), ("b",), ("b", "b"), ("b", "b", "b")]


async def test_depth_first_follows_at_most_width_children_of_a_path() -> None:
    barren = {**HOPEFUL, list_steps: lambda path, **_: tuple("bcaxy") if not path else ("z",), value: two_levels}
    for width in (1, 2, 5):
        run = scripted(barren)
        await deep(run, TASK, width=width)
        visited = [asked.inputs["path"] for asked in run.ledger.of(list_steps)]
        assert visited == [(), *((letter,) for letter in "bcaxy"[:width])]


def two_levels(question: str, path: Path) -> str:
    return "likely" if len(path) == 1 else "impossible"


async def test_without_a_complete_path_the_deepest_is_concluded() -> None:
    shallow = {**TRAP, value: lambda question, path: "likely" if "".join(path) in ("a", "ab", "x") else "impossible"}
    run = scripted(shallow)
    assert (await deep(run, TASK)).text == "ab"
    # The root, "a", "ab" (nothing below it), "x" (nothing below it): then nothing is left.
    assert [asked.inputs["path"] for asked in run.ledger.of(list_steps)] == [(), ("a",), ("a", "b"), ("x",)]


async def test_a_hopeless_level_ends_a_breadth_first_search() -> None:
    run = scripted({**SPELL, value: lambda question, path: "sure" if path == ("a",) else "impossible"})
    assert (await strict(run, TASK)).text == "a"
    assert [asked.inputs["path"] for asked in run.ledger.of(list_steps)] == [(), ("a",)]


@operation(calls="0")
async def pessimist(run: Run, task: Task, paths: tuple[Path, ...]) -> tuple[float, ...]:
    """Find every path hopeless; and there are some."""
    assert paths
    return tuple(HOPELESS for _ in paths)


async def test_where_nothing_is_left_to_grow_nothing_is_valued() -> None:
    for search in ("breadth", "depth"):
        assert (await small(scripted(SPELL), TASK, evaluate=pessimist, search=search)).text == "?"


async def test_steps_are_limited_in_both_searches() -> None:
    run = scripted(SPELL)
    assert (await small(run, TASK, max_steps=2)).text == "ab"
    assert len(run.ledger) == small.using(max_steps=2).max_calls
    run = scripted(HOPEFUL)
    assert (await deep(run, TASK, depth=9, max_steps=3)).text == "bbb"
    assert len(run.ledger.of(list_steps)) == 3
    run = scripted(HOPEFUL)
    assert len((await tree_of_thoughts(run, TASK, search="depth", depth=200)).text) == 100


async def test_a_step_of_depth_first_that_the_budget_cannot_pay_for_is_not_started() -> None:
    run = scripted(TRAP, calls=12)  # a step costs 1 + 5 * 2, the conclusion 1
    assert (await deep(run, TASK)).text == "a"
    assert len(run.ledger) == 12
    run = scripted(TRAP, calls=11)
    assert (await deep(run, TASK)).text == "?"
    assert [asked.signature for asked in run.ledger] == [conclude]


async def test_unreadable_thoughts_end_a_path_and_not_the_search() -> None:
    torn = {**TRAP, list_steps: lambda path, count, **_: Raw("") if path == ("a", "x") else tuple("bcaxy"[:count])}
    for search in ("breadth", "depth"):
        assert (await deep(scripted(torn), TASK, search=search)).text == "abc"


async def test_the_question_and_the_notes_are_shown_to_whoever_concludes() -> None:
    run = scripted(SPELL)
    await small(run, TASK.told("be quick"))
    assert run.ledger[-1].inputs == {"question": "spell abc", "notes": ("be quick",), "path": ("a", "b", "c")}


# Game of 24 on "4 9 10 13": thoughts are equations such as "10 - 4 = 6", a path is three of them.
NUMBERS = (4, 9, 10, 13)


def left(path: Path) -> list[Fraction]:
    hand = [Fraction(n) for n in NUMBERS]
    for thought in path:
        one, _, other, _, result = thought.split()
        hand.remove(Fraction(one))
        hand.remove(Fraction(other))
        hand.append(Fraction(result))
    return hand


@functools.cache
def moves(path: Path) -> tuple[str, ...]:
    made: list[str] = []
    for one, other in permutations(left(path), 2):
        made += [f"{one} + {other} = {one + other}"] if one <= other else []
        made += [f"{one} * {other} = {one * other}"] if one <= other else []
        made += [f"{one} - {other} = {one - other}"] if one >= other else []
        made += [f"{one} / {other} = {one / other}"] if other else []
    return tuple(dict.fromkeys(made))


@functools.cache
def solvable(path: Path) -> bool:
    hand = left(path)
    return hand == [24] if len(hand) == 1 else any(solvable((*path, move)) for move in moves(path))


def expression(path: Path) -> str:
    """Return the steps as one expression over the given numbers."""
    hand = [(Fraction(n), str(n)) for n in NUMBERS]
    for thought in path:
        one, sign, other, _, result = thought.split()
        first = next(item for item in hand if item[0] == Fraction(one))
        hand.remove(first)
        second = next(item for item in hand if item[0] == Fraction(other))
        hand.remove(second)
        hand.append((Fraction(result), f"({first[1]} {sign} {second[1]})"))
    return hand[-1][1]


GAME: dict[Any, Any] = {
    list_steps: lambda question, notes, path, count: moves(path),
    value: lambda question, path: "sure" if solvable(path) else "impossible",
    conclude: lambda question, notes, path: expression(path),
}
PUZZLE = Task("Make 24 of 4 9 10 13")


def uses_each_number_once_and_makes_24(text: str) -> bool:
    tokens = text.replace("(", " ").replace(")", " ").split()
    exact = eval(re.sub(r"\d+", r"Fraction(\g<0>)", text))  # what the fixture has written
    return sorted(int(t) for t in tokens if t.isdigit()) == sorted(NUMBERS) and exact == 24


@pytest.mark.works("RE17")
async def test_game_of_24() -> None:
    game = tree_of_thoughts.using(branching=40)
    run = scripted(GAME)
    answer = await game(run, PUZZLE)
    assert uses_each_number_once_and_makes_24(answer.text)
    grown = Counter(len(asked.inputs["path"]) for asked in run.ledger.of(list_steps))
    assert grown == {0: 1, 1: 5, 2: 5}  # never more than b = 5 paths
    valued = Counter(asked.inputs["path"] for asked in run.ledger.of(value))
    assert set(valued.values()) == {3}
    assert len(valued) == sum(min(40, len(moves(asked.inputs["path"]))) for asked in run.ledger.of(list_steps))


@pytest.mark.works("RE17")
async def test_game_of_24_depth_first_goes_back_where_breadth_of_one_fails() -> None:
    hasty = {**GAME, value: lambda question, path: "likely" if len(path) < 3 or left(path) == [24] else "impossible"}
    one = tree_of_thoughts.using(branching=40, evaluate=value_each.using(votes=1, threshold=0.5))
    greedy = await one(scripted(hasty), PUZZLE, width=1)
    assert not uses_each_number_once_and_makes_24(greedy.text.replace("?", "0"))
    run = scripted(hasty)
    answer = await one(run, PUZZLE, search="depth", width=40, max_steps=2000)
    assert uses_each_number_once_and_makes_24(answer.text)
    visited = [asked.inputs["path"] for asked in run.ledger.of(list_steps)]
    assert visited.index(visited[-1][:1]) > 1  # it went back to the root for another first step
    order = [tuple(moves(path[:i]).index(thought) for i, thought in enumerate(path)) for path in visited]
    assert order == sorted(order)  # pre-order


async def test_one_greedy_path_fails_on_the_same_problem() -> None:
    blind = {**GAME, value: lambda question, path: "likely"}
    greedy = tree_of_thoughts.using(width=1, branching=40, evaluate=value_each.using(votes=1))
    answer = await greedy(scripted(blind), PUZZLE)
    assert not uses_each_number_once_and_makes_24(answer.text)


@pytest.mark.parametrize(("skill", "seen"), [(0.8, 1.0), (0.6, 0.7)])
async def test_breadth_first_survives_as_the_closed_form_says(skill: float, seen: float) -> None:
    """A right step is proposed with p and recognised with q, wrong ones are never taken for right: (p * q) ** depth."""

    def proposals(path: Path, draw: Draw, **_: Any) -> tuple[str, ...]:
        right = "abc"[len(path)] if draw.dice.random() < skill else "w"
        return ("x", "y", right)

    def judged(path: Path, draw: Draw, **_: Any) -> str:
        return "sure" if promising(path) and draw.dice.random() < seen else "impossible"

    items, won = 300, 0
    world: dict[Any, Any] = {**SPELL, list_steps: proposals, value: judged}
    made = tree_of_thoughts.using(width=2, branching=3, evaluate=value_each.using(votes=1, threshold=0.5))
    for seed in range(items):
        won += (await made(scripted(world, seed=seed, prompt=True), TASK)).text == "abc"
    expected = (skill * seen) ** 3
    assert won / items == pytest.approx(expected, abs=3 * (expected * (1 - expected) / items) ** 0.5)


# Every one must be noticed by a test above (`mutants.py`).
DEFECTS = [
    ("notes=task.notes, path=deepest", "notes=task.notes, path=(frontier or (ROOT,))[-1]"),
    ("top(tuple(zip(new, scores, strict=True)), scores, n=width)", "tuple(zip(new, scores, strict=True))[:width]"),
    ("n=width", "n=1"),
    ("n=width", "n=max(1, len(new))"),
    ("children(path, found, branching)", "children(path, found, 99)"),
    ("children(path, found, branching)", "children(ROOT, found, branching)"),
    ("step, grow, grown, last=1", "0, grow, grown, last=1"),
    ("step, grow, grown, last=1", "step, grow, grown, last=0"),
    ("evaluate, task, new, last=1", "evaluate, task, new, last=0"),
    ("len(grown) * generate.bound(branching)", "generate.bound(branching)"),
    ("evaluate.bound(len(grown) * branching)", "evaluate.bound(branching)"),
    ("generate(run, task, path, branching)", "propose(run, task, path, branching)"),
    ("generate(run, task, path, branching)", "generate(run, task, path, 3)"),
    ("evaluate, task, new, last=1", "value_each, task, new, last=1"),
    (" if score > HOPELESS]", "]"),
    (", *waiting)", ",)"),
    (
        "(*[path for path, score in ranked if score > HOPELESS], *waiting)",
        "(*waiting, *[path for path, score in ranked if score > HOPELESS])",
    ),
    ("deepest = max((deepest, *frontier), key=len)", "deepest = (frontier or (ROOT,))[0]"),
    (" or len(deepest) == depth", ""),
    ("if not grown or ", "if "),
    ("range(max_steps)", "range(10**6)"),
    ('            run.offer(task.answer("\\n".join(deepest)))', "            pass"),
    ("        if deepest:\n            run.offer", "        if True:\n            run.offer"),
    ("(frontier, ()) if search", "(frontier[:1], ()) if search"),
    ("(frontier[:1], frontier[1:])", "(frontier, ())"),
    ("notes=task.notes", "notes=()"),
]
