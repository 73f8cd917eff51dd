"""Blocksworld in PDDL: move blocks one by one with a hand until the goal holds."""

import random
import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import Any

from stratagem.core import Inquiry, Json, ModelRetry, Observation, Step, Tool, ToolCall, Transcript, Verdict
from stratagem.tasks._last import Found, stated
from stratagem.tasks._suite import Calls, Score, Suite

BLOCKS = {1: (4, 4), 2: (5, 6), 3: (7, 8)}  # fewest and most, by level
DOMAIN = """(define (domain blocksworld)
  (:requirements :strips)
  (:predicates (on ?x ?y) (ontable ?x) (clear ?x) (handempty) (holding ?x))
  (:action pick-up :parameters (?x)
    :precondition (and (clear ?x) (ontable ?x) (handempty))
    :effect (and (not (ontable ?x)) (not (clear ?x)) (not (handempty)) (holding ?x)))
  (:action put-down :parameters (?x)
    :precondition (holding ?x)
    :effect (and (not (holding ?x)) (clear ?x) (handempty) (ontable ?x)))
  (:action stack :parameters (?x ?y)
    :precondition (and (holding ?x) (clear ?y))
    :effect (and (not (holding ?x)) (not (clear ?y)) (clear ?x) (handempty) (on ?x ?y)))
  (:action unstack :parameters (?x ?y)
    :precondition (and (on ?x ?y) (clear ?x) (handempty))
    :effect (and (holding ?x) (clear ?y) (not (clear ?x)) (not (handempty)) (not (on ?x ?y)))))"""
MOVES = ("pick_up", "put_down", "stack", "unstack")  # the tools of the environment
_HEAD = "Find a plan for this PDDL problem. Write one action per line, such as (unstack b a).\n"
_ACTION = re.compile(r"\(\s*(pick-up|put-down|stack|unstack)((?:\s+[a-z]\w*)+)\s*\)", re.IGNORECASE)
_SECTION = {
    "objects": re.compile(r"\(:objects ([a-z ]+)\)"),
    "init": re.compile(r"\(:init (.*?)\)\n"),
    "goal": re.compile(r"\(:goal \(and (.*)\)\)\)"),
}
_ON = re.compile(r"\(on ([a-z]) ([a-z])\)")

Towers = tuple[tuple[str, ...], ...]  # each from the table up, sorted
State = tuple[Towers, str]  # and the block in the hand, or ""


class Blocksworld(Suite):
    """Four blocks at level 1, five or six at level 2, seven or eight at level 3; the hand is empty at the start.

    A plan is right if every action's precondition holds and the goal holds at the end; `optimal` says whether there is
    a shorter one. With an environment (`blocksworld_acting`), each move is a tool; its result carries the reward, which the
    model does not see, and whoever has moved the blocks until the goal holds has answered, whatever is said then.
    """

    name = "blocksworld"
    about = "a plan that stacks blocks as wanted"
    source = "arXiv:2206.10498"
    output = tuple[str, ...]
    stepwise = True
    several = True
    floor = ("(pick-up d)\n(stack d a)", 0.01)

    def __init__(self, *, acting: bool = False) -> None:
        self.acting = acting  # whether tasks carry the environment

    def make(self, dice: random.Random, level: int) -> Json:
        """Return two different arrangements of the same blocks."""
        blocks = [chr(ord("a") + n) for n in range(dice.randint(*BLOCKS[level]))]
        while True:
            start, goal = _arranged(dice, blocks), _arranged(dice, blocks)
            wanted = sorted(pair for tower in goal for pair in zip(tower[1:], tower, strict=False))
            if wanted and not _holds(start, wanted):
                return {"start": [list(tower) for tower in start], "goal": [list(pair) for pair in wanted]}

    def render(self, problem: Json) -> str:
        """Return the domain and the problem."""
        blocks = sorted(block for tower in problem["start"] for block in tower)
        facts = ["(handempty)"]
        for tower in problem["start"]:
            facts += [f"(ontable {tower[0]})", f"(clear {tower[-1]})"]
            facts += [f"(on {upper} {lower})" for upper, lower in zip(tower[1:], tower, strict=False)]
        goal = " ".join(f"(on {upper} {lower})" for upper, lower in problem["goal"])
        return (
            f"{_HEAD}{DOMAIN}\n(define (problem stack) (:domain blocksworld)\n  (:objects {' '.join(blocks)})\n"
            f"  (:init {' '.join(facts)})\n  (:goal (and {goal})))"
        )

    def read(self, question: str) -> Json:
        """Return the arrangement and the goal."""
        found = {name: pattern.search(question) for name, pattern in _SECTION.items()}
        objects, init, goal = found["objects"], found["init"], found["goal"]
        if objects is None or init is None or goal is None:
            raise ValueError(f"no blocksworld problem: {question[:80]!r}")
        above = {lower: upper for upper, lower in _ON.findall(init[1])}
        towers: list[list[str]] = []
        for base in re.findall(r"\(ontable ([a-z])\)", init[1]):
            tower = [base]
            while tower[-1] in above:
                tower.append(above[tower[-1]])
            towers.append(tower)
        return {"start": sorted(towers), "goal": [list(pair) for pair in _ON.findall(goal[1])]}

    def solve(self, problem: Json) -> str:
        """Return a shortest plan."""
        return "\n".join(_plan(_start(problem), _goal(problem)))

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 for a plan that can be carried out and reaches the goal."""
        return float(self._executed(problem, value).passed)

    def optimal(self, problem: Json, value: Sequence[str]) -> bool:
        """Return whether a plan is right and no shorter one is."""
        return bool(self.right(problem, value)) and len(value) == len(_plan(_start(problem), _goal(problem)))

    def wrong(self, problem: Json, number: int) -> str:
        """Return a shortest plan without one action, or with an action that cannot be carried out."""
        plan = list(_plan(_start(problem), _goal(problem)))
        at = number // 2 % len(plan)
        if number % 2 and len(plan) > 1:
            del plan[at]
        else:
            plan.insert(at + 1, plan[at])
        return "\n".join(plan)

    def extract(self, text: str) -> Any:
        """Return the actions of the plan that is stated last; a text between two actions begins a new plan."""
        return stated(text, _plans, in_one_line=False)

    def canonical(self, value: Any) -> Hashable:
        """Return the actions."""
        return value

    def checker(self, problem: Json) -> Callable[[str], Verdict]:
        """Return the executor: the domain is in the question, so anybody could carry out a plan."""
        return lambda text: self._executed(problem, self.extract(text) or ())

    def _executed(self, problem: Json, plan: Sequence[str]) -> Verdict:
        state = _start(problem)
        for number, action in enumerate(plan, 1):
            after = _applied(state, action)
            if after is None:
                return Verdict(False, 0.0, f"Action {number}, {action}, cannot be carried out: {_told(state)}")
            state = after
        if not _reached(state, _goal(problem)):
            return Verdict(False, 0.0, f"The goal does not hold at the end: {_told(state)}")
        return Verdict(True, 1.0, "")

    def environment(self, problem: Json) -> Callable[[], Any] | None:
        """Return the world, if tasks of this suite are to be acted out."""
        return partial(BlocksEnvironment, problem) if self.acting else None

    def score(self, question: str, text: str, calls: Calls = ()) -> Score:
        """Score the plan that is stated, and with an environment the moves that were made in it, if they reach the goal."""
        planned = super().score(question, text, calls)
        moves = (
            [_action_of(ToolCall(name, arguments)) for name, arguments in calls if name in MOVES] if self.acting else []
        )
        if not moves or planned.right == 1:
            return planned
        problem = self.read(question)
        state = _start(problem)
        for move in moves:
            state = _applied(state, move) or state  # what cannot be done changes nothing
        return Score(float(_reached(state, _goal(problem))), parsed=True)

    def rationale(self, problem: Json) -> str:
        """Return what each action does."""
        state, told = _start(problem), list[str]()
        for action in _plan(state, _goal(problem)):
            state = _applied(state, action) or state
            told.append(f"After {action}: {_told(state)}")
        return "\n".join(told)

    def steps(self, problem: Json, path: tuple[str, ...]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the actions that can be carried out: those on a shortest plan, and the others."""
        state, goal = self._after(problem, path), _goal(problem)
        if state is None or _reached(state, goal):
            return (), ()
        nearest = len(_plan(state, goal)) - 1
        right: list[str] = []
        wrong: list[str] = []
        for action, after in _possible(state):
            (right if len(_plan(after, goal)) == nearest else wrong).append(action)
        return right, wrong

    def alive(self, problem: Json, path: tuple[str, ...]) -> bool:
        """Return whether a plan that begins so can still be a shortest one. That it can be completed is always true."""
        state = self._after(problem, path)
        shortest = len(_plan(_start(problem), _goal(problem)))
        return state is not None and len(path) + len(_plan(state, _goal(problem))) == shortest

    def _after(self, problem: Json, path: Sequence[str]) -> State | None:
        state: State | None = _start(problem)
        for action in path:
            written = self.extract(action)
            state = _applied(state, written[0]) if state is not None and written and len(written) == 1 else None
        return state

    def act(self, problem: Json, inquiry: Inquiry, *, right: bool, dice: Callable[[int], int]) -> Step:
        """Return the next move in the environment, or the plan once the goal holds; without one the whole plan."""
        steps = inquiry.given.get("steps")
        if not self.acting or not isinstance(steps, Transcript):
            return super().act(problem, inquiry, right=right, dice=dice)
        state, made = _start(problem), list[str]()
        for turn in steps:
            for call, seen in zip(turn.step.calls, turn.observations, strict=False):
                action = _action_of(call)
                after = _applied(state, action)
                if not seen.failed and after is not None:
                    state = after
                    made.append(action)
        good, bad = self.steps(problem, tuple(made)) if made or not _reached(state, _goal(problem)) else ((), ())
        if not good:
            return Step("The goal holds.", (), "\n".join(made))
        pool = good if right or not bad else bad
        return Step("Simulated reasoning.", (_call_of(pool[dice(len(pool))]),))


class BlocksEnvironment:
    """The blocks, and a hand. Each move is a tool; the goal brings the reward 1."""

    def __init__(self, problem: Json) -> None:
        self._problem = problem
        self._state = _start(problem)

    def reset(self) -> Observation:
        """Put all blocks back."""
        self._state = _start(self._problem)
        return Observation(_told(self._state))

    def pick_up(self, block: str) -> Observation:
        """Take a clear block from the table."""
        return self._moved(f"(pick-up {block})")

    def put_down(self, block: str) -> Observation:
        """Put the block in the hand on the table."""
        return self._moved(f"(put-down {block})")

    def stack(self, block: str, onto: str) -> Observation:
        """Put the block in the hand onto a clear block."""
        return self._moved(f"(stack {block} {onto})")

    def unstack(self, block: str, below: str) -> Observation:
        """Take a clear block from the block that it lies on."""
        return self._moved(f"(unstack {block} {below})")

    def moves(self) -> tuple[Tool, ...]:
        """Return the four moves."""
        made = (self.pick_up, self.put_down, self.stack, self.unstack)
        return tuple(Tool(move, effect="self") for move in made)

    def _moved(self, action: str) -> Observation:
        after = _applied(self._state, action)
        if after is None:
            raise ModelRetry(f"{action} cannot be done: {_told(self._state)}")
        self._state = after
        done = _reached(after, _goal(self._problem))
        return Observation(_told(after) + (" The goal holds." if done else ""), result={"reward": float(done)})


def _plans(text: str) -> list[Found]:
    found: list[Found] = []
    for one in _ACTION.finditer(text):
        action = f"({one[1].lower()} {' '.join(one[2].lower().split())})"
        last = found[-1] if found else None
        if last is None or re.sub(r"[\s\d.,;:>*`-]", "", text[last.end : one.start()]):
            found.append(Found(*one.span(), (action,)))
        else:
            found[-1] = Found(last.start, one.end(), (*last.value, action))
    return found


def _action_of(call: ToolCall) -> str:
    arguments = " ".join(str(value) for value in call.arguments.values())
    return f"({call.name.replace('_', '-')} {arguments})"


def _call_of(action: str) -> ToolCall:
    name, *blocks = action.strip("()").split()
    second = "below" if name == "unstack" else "onto"
    return ToolCall(name.replace("-", "_"), dict(zip(("block", second), blocks, strict=False)))


def _arranged(dice: random.Random, blocks: Sequence[str]) -> Towers:
    towers: list[list[str]] = []
    for block in dice.sample(blocks, len(blocks)):
        at = dice.randrange(len(towers) + 1)
        if at == len(towers):
            towers.append([block])
        else:
            towers[at].append(block)
    return tuple(sorted(map(tuple, towers)))


def _holds(towers: Towers, wanted: Sequence[tuple[str, str]]) -> bool:
    under = {upper: lower for tower in towers for upper, lower in zip(tower[1:], tower, strict=False)}
    return all(under.get(upper) == lower for upper, lower in wanted)


def _start(problem: Json) -> State:
    return tuple(sorted(tuple(tower) for tower in problem["start"])), ""


def _goal(problem: Json) -> tuple[tuple[str, str], ...]:
    return tuple((upper, lower) for upper, lower in problem["goal"])


def _reached(state: State, goal: tuple[tuple[str, str], ...]) -> bool:
    return _holds(state[0], goal)


def _told(state: State) -> str:
    """Return a state in words."""
    towers = [" on ".join(reversed(tower)) + " on the table" for tower in state[0]]
    hand = f"the hand holds {state[1]}" if state[1] else "the hand is empty"
    return f"{'; '.join([*towers, hand])}."


def _applied(state: State, action: str) -> State | None:
    """Return the state after an action; None if its precondition does not hold."""
    return dict(_possible(state)).get(action)


@lru_cache(200_000)
def _possible(state: State) -> tuple[tuple[str, State], ...]:
    """Return all actions whose precondition holds, with what they lead to."""
    towers, held = state
    found: list[tuple[str, State]] = []
    for at, tower in enumerate(towers):
        rest = towers[:at] + towers[at + 1 :]
        if held:
            found.append((f"(stack {held} {tower[-1]})", (tuple(sorted((*rest, (*tower, held)))), "")))
        elif len(tower) == 1:
            found.append((f"(pick-up {tower[0]})", (rest, tower[0])))
        else:
            found.append((f"(unstack {tower[-1]} {tower[-2]})", (tuple(sorted((*rest, tower[:-1]))), tower[-1])))
    if held:
        found.append((f"(put-down {held})", (tuple(sorted((*towers, (held,)))), "")))
    return tuple(found)


@lru_cache(50_000)
def _plan(start: State, goal: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return a shortest plan, by A* with the blocks that must move at least once more."""
    import heapq

    front: list[tuple[int, int, State, tuple[str, ...]]] = [(_least(start, goal), 0, start, ())]
    best: dict[State, int] = {start: 0}
    number = 0
    while front:
        _, _, state, path = heapq.heappop(front)
        if _reached(state, goal):
            return path
        if len(path) > best[state]:
            continue
        for action, after in _possible(state):
            cost = len(path) + 1
            if cost < best.get(after, 1_000):
                best[after] = cost
                number += 1
                heapq.heappush(front, (cost + _least(after, goal), number, after, (*path, action)))
    raise AssertionError("every arrangement of blocks can be reached")


def _least(state: State, goal: tuple[tuple[str, str], ...]) -> int:
    """Return a number of actions that no plan goes below: a block in the way is taken and put down at least once."""
    wanted = dict(goal)
    held = set(wanted.values())
    least = 1 if state[1] else 0
    for tower in state[0]:
        for height, block in enumerate(tower):
            below = tower[height - 1] if height else ""
            misplaced = (block in wanted and wanted[block] != below) or (
                below and block not in wanted and below in held and any(wanted[one] == below for one in wanted)
            )
            if misplaced:
                least += 2 * (len(tower) - height)
                break
    return least
