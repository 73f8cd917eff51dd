"""A suite of tasks: problems from a seed, as many as there are, their solver, their scorer, and the oracle of simulated models.

Whoever adds one writes a class with a generator, a renderer and its inverse, a solver and a scorer in one file of this
folder. All the rest (items, tasks, scores, the oracle) is made from these here.

Rule 1: a problem is JSON data, and its question says all of it: `read(render(problem)) == problem`. So an oracle answers
        from the question alone, and no table of answers has to travel.
Rule 2: an item's key stays with whoever scores. A task has none, and neither has what a strategy can reach.
        The functions of a task name their suite and hold none: who has a task has no public way to who solves it.
Rule 3: what the extractor does not find is None, and None is wrong.
"""

import copy
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from stratagem.core import Example, Inquiry, Json, Step, Task, Tool, Verdict, encoded
from stratagem.core._inquiry import path_of
from stratagem.errors import UsageError
from stratagem.tasks import _figures
from stratagem.tasks._last import last_of
from stratagem.tasks._stated import announced

Calls = Sequence[tuple[str, Mapping[str, Any]]]
TRAINING = "training"  # the seed of solved examples: no item is one of them
EXAMPLES = 32  # of each level
_ATOMS = frozenset({str, int, float, bool, type(None)})
KNOWN = 1_000  # texts of an item whose value is remembered


class Item(NamedTuple):
    """One problem with its key. What travels to a strategy is `question` alone.

    Attributes:
        id: `SUITE-LEVEL-NUMBER`, the same for equal seeds.
        question: in words.
        key: the reference answer, as a text that the scorer accepts.
        level: 1 (easy) to 3.
    """

    id: str
    question: str
    key: str
    level: int


class _Pair(NamedTuple):
    right: float
    parsed: bool


class Score(_Pair):
    """What a scorer says of one answer: a pair, and beside it the parts that it was decided by.

    Attributes:
        right: 1 or 0; suites with partial credit say in between.
        parsed: whether a value was found in it; what has none is wrong.
        parts: of suites that decide several things one by one, each from 0 to 1: reports show how often each was right.
    """

    parts: Mapping[str, float]

    def __new__(cls, right: float, parsed: bool, parts: Mapping[str, float] | None = None) -> "Score":
        """Return a score."""
        made = super().__new__(cls, right, parsed)
        made.parts = {} if parts is None else parts
        return made


class Suite(ABC):
    """What every suite gives. Subclasses state the attributes and write the abstract methods.

    Attributes:
        name: by which `--task` finds it.
        about: one line.
        ids: catalogue ids of what it implements.
        source: where the task comes from.
        output: type of an answer's value.
        levels: difficulties, easy first.
        sizes: how many different problems a level has, those of the training split among them, where there are only so
            many that one may want more; other levels have no end that one meets.
        floor: the best answer that looks at no question, and the share of level 1 that it gets right.
        several: whether an item may have several right answers that are not equal in canonical form.
        rewards: whether moves in `environment` can bring a reward, for strategies that need one.
        notes: what reports say of the items, one sentence each: what was left out of a file, for example.
        stepwise: whether `steps` and `alive` are there, for strategies that search.
    """

    name: str = ""
    about: str = ""
    ids: tuple[str, ...] = ()
    source: str = ""
    output: Any = str
    levels: tuple[int, ...] = (1, 2, 3)
    sizes: Mapping[int, int] = MappingProxyType({})
    floor: tuple[str, float] = ("", 0.0)
    several: bool = False
    rewards: bool = True
    notes: tuple[str, ...] = ()
    stepwise: bool = False

    @abstractmethod
    def make(self, dice: random.Random, level: int) -> Json:
        """Return a fresh solvable problem."""
        ...

    @abstractmethod
    def render(self, problem: Json) -> str:
        """Return the question."""
        ...

    @abstractmethod
    def read(self, question: str) -> Json:
        """Return the problem of a question; `ValueError` if it is none of this suite."""
        ...

    @abstractmethod
    def solve(self, problem: Json) -> str:
        """Return a right answer as text: the proof that there is one."""
        ...

    @abstractmethod
    def right(self, problem: Json, value: Any) -> float:
        """Return 1 if a value solves the problem, else 0, or what part of it is right."""
        ...

    @abstractmethod
    def wrong(self, problem: Json, number: int) -> str:
        """Return a plausible wrong answer; others for other numbers, as far as there are any."""
        ...

    def every(self, level: int) -> Iterable[Json]:
        """Return all problems of a level of `sizes`."""
        raise NotImplementedError(f"{self.name} does not list the problems of level {level}")

    def extract(self, text: str) -> Any:
        """Return the value that a text states last, or None: a number, yes or no, or an option by the rules of free replies.

        Of other types what the text announces as its answer, `the answer is`, in the same line; or else all of it.
        """
        if self.output in (int, float, bool):
            return {int: _figures.whole, float: _figures.number, bool: _figures.verdict}[self.output](text)
        if get_origin(self.output) is Literal:
            return last_of(text, get_args(self.output))
        return Task("", output=self.output).answer(announced(text)).value

    def canonical(self, value: Any) -> Hashable:
        """Return the form in which two answers are the same."""
        return " ".join(value.split()).casefold() if isinstance(value, str) else value

    def form(self, problem: Json) -> Hashable:
        """Return what two problems share that are the same one; items never repeat it."""
        return encoded(problem)

    def checker(self, problem: Json) -> Callable[[str], Verdict] | None:  # noqa: ARG002
        """Return the public check of an answer's text, if whoever sees the question could check one; else None."""
        return None

    def environment(self, problem: Json) -> Callable[[], Any] | None:  # noqa: ARG002
        """Return a factory of worlds in which moves are tools; None: there is none."""
        return None

    def tools(self) -> tuple[Tool, ...]:
        """Return tools that the task needs and a session must grant."""
        return ()

    def rationale(self, problem: Json) -> str | None:  # noqa: ARG002
        """Return worked reasoning that leads to the answer, for examples of a training split."""
        return None

    def steps(
        self, problem: Json, path: tuple[str, ...]  # noqa: ARG002
    ) -> tuple[Sequence[str], Sequence[str]]:  # fmt: skip
        """Return the next steps of a partial solution: those that lead on, and others that one may take."""
        return (), ()

    def alive(self, problem: Json, path: tuple[str, ...]) -> bool:  # noqa: ARG002
        """Return whether a partial solution can still be completed."""
        return not path

    def act(self, problem: Json, inquiry: Inquiry, *, right: bool, dice: Callable[[int], int]) -> Step:  # noqa: ARG002
        """Return the next step of somebody who knows, or does not, in an environment or with tools."""
        return Step("Simulated reasoning.", (), self.solve(problem) if right else self.wrong(problem, dice(1000)))

    def items(self, n: int, *, seed: int | str = 0, level: int = 1, start: int = 0) -> Iterator[Item]:
        """Yield `n` problems; the same for equal seeds, none twice, and none of which solved examples are made.

        Args:
            n: how many.
            seed: of the generator; a text is as good as a number.
            level: of difficulty.
            start: number of the first.

        Raises:
            UsageError: there is no such level, or it has fewer problems.
        """
        if level not in self.levels:
            many = "s" if len(self.levels) > 1 else ""
            raise UsageError(f"{self.name} has the level{many} {', '.join(map(str, self.levels))}, got {level}")
        seen = set[Hashable]() if seed == TRAINING else set(self._trained(level))
        size = self.sizes.get(level)
        if size is not None and start + n > size - len(seen):
            raise self._too_few(size - len(seen), start + n, level)
        for number in range(start + n):
            problem = self._another(seen, seed, level, number)
            if problem is None:
                raise self._too_few(number, start + n, level)
            seen.add(self.form(problem))
            if number >= start:
                yield Item(f"{self.name}-{level}-{number:06}", self.render(problem), self.solve(problem), level)

    def _another(self, seen: set[Hashable], seed: int | str, level: int, number: int) -> Json:
        """Return a problem that was not seen; None if there is none."""
        for again in range(200):
            problem = self.make(random.Random(f"{self.name}:{seed}:{level}:{number}:{again}"), level)  # noqa: S311
            if self.form(problem) not in seen:
                return problem
        if level not in self.sizes:
            return None
        left = [one for one in self.every(level) if self.form(one) not in seen]
        return random.Random(f"{self.name}:{seed}:{level}:{number}").choice(left) if left else None  # noqa: S311

    def _too_few(self, there: int, wanted: int, level: int) -> UsageError:
        others = [one for one in self.levels if one > level]
        return UsageError(
            f"{self.name} has {there} different items of level {level}, {wanted} are wanted: none is given twice",
            remedy="Ask for fewer items" + (f", or for level {others[-1]}, which has more." if others else "."),
        )

    @cache  # noqa: B019  (suites live as long as the program)
    def _trained(self, level: int) -> frozenset[Hashable]:
        """Return the problems of the training split: as many as examples are made of."""
        return frozenset(self.form(self.read(one.question)) for one in self.items(EXAMPLES, seed=TRAINING, level=level))

    def task(self, question: str, *, examples: tuple[Example, ...] = ()) -> Task:
        """Return the task of a question: all that a strategy gets to see."""
        problem, number = self.read(question), id(self)
        _made[number] = self
        known: dict[str, Any] = {}  # samples often say the same

        def extract(text: str) -> Any:
            if text not in known:
                if len(known) == KNOWN:
                    known.clear()
                known[text] = _made[number].found(question, text)
            value = known[text]
            return value if type(value) in _ATOMS else copy.copy(value)  # whoever gets a list may change it

        def canonical(value: Any) -> Hashable:
            return _made[number].canonical(value)

        def check(text: str) -> Verdict:
            checker = _made[number].checker(problem)
            assert checker is not None
            return checker(text)

        return Task(
            question, output=self.output, examples=examples, extract=extract, canonical=canonical,
            checker=None if self.checker(problem) is None else check, environment=self.environment(problem),
            tools=tuple(tool.name for tool in self.tools()) or None,
        )  # fmt: skip

    def found(self, question: str, text: str) -> Any:
        """Return the value that an answer states, or None; whoever repeats the question has stated nothing by it."""
        return self.extract(text.replace(question, " "))

    def examples(self, n: int = 8, *, level: int = 1) -> tuple[Example, ...]:
        """Return solved problems of the training split, at most 32."""
        if n > EXAMPLES:
            raise UsageError(f"{self.name} has {EXAMPLES} solved examples, got {n}")
        made = self.items(n, seed=TRAINING, level=level)
        return tuple(Example(one.question, one.key, self.rationale(self.read(one.question))) for one in made)

    def score(self, question: str, text: str, calls: Calls = ()) -> Score:  # noqa: ARG002
        """Score an answer: its text, and for suites with a world the tool calls that led to it, (name, arguments)."""
        value = self.found(question, text)
        if value is None:
            return Score(0.0, parsed=False)
        problem = self.read(question)
        return Score(float(self.right(problem, value)), parsed=True, parts=self.parts(problem, value))

    def parts(self, problem: Json, value: Any) -> Mapping[str, float]:  # noqa: ARG002
        """Return what is decided one by one in a value, each from 0 to 1; empty where there is one thing to decide."""
        return {}

    def oracle(self) -> "SuiteOracle":
        """Return who knows the truth, for simulated models."""
        return SuiteOracle(self)


_made: dict[int, Suite] = {}  # suites of which there are tasks; they live as long as the program


class SuiteOracle:
    """The oracle of a suite: it reads the problem in the question, and solves it.

    After a finished path that is alive there is one thing left to think, right and wrong alike: the solution, in one line.
    A path is as alive with it, however often it is said, as without it.

    A part of a problem is all of it. If it has several lines, it is given as a JSON string, and read back as one: so is nothing to
    be remembered, neither by another process nor when a run is resumed.
    """

    __slots__ = ("_alive", "_knows", "_read", "_solved", "_stepped", "_suite", "_wrong")

    def __init__(self, suite: Suite) -> None:
        def problem_of(question: str) -> Json:
            return suite.read(_whole(question))

        def solved(question: str) -> str:
            return suite.solve(read(question))

        def wrong(question: str, number: int) -> str:
            return suite.wrong(read(question), number)

        def stepped(question: str, path: tuple[str, ...]) -> tuple[Sequence[str], Sequence[str]]:
            path, problem = walked(question, path), read(question)
            steps = suite.steps(problem, path)
            if not steps[0] and suite.alive(problem, path):
                return ((stated := (statement(question),)), stated)
            return steps

        def knows(question: str, text: str) -> bool:
            return suite.score(_whole(question), text).right == 1

        def alive(question: str, path: tuple[str, ...]) -> bool:
            return suite.alive(read(question), walked(question, path))

        def statement(question: str) -> str:
            return " ".join(self._solved(question).split())

        def walked(question: str, path: tuple[str, ...]) -> tuple[str, ...]:
            """Return a path without what was said after its end."""
            said, end = statement(question) if path else "", len(path)
            while end and path[end - 1] == said:
                end -= 1
            problem = read(question)
            for length in range(end, len(path)):
                if not suite.steps(problem, path[:length])[0] and suite.alive(problem, path[:length]):
                    return path[:length]
            return path

        self._suite = suite
        self._read = read = lru_cache(4096)(problem_of)
        self._solved, self._wrong = lru_cache(4096)(solved), lru_cache(16384)(wrong)
        self._knows, self._stepped = lru_cache(65536)(knows), lru_cache(16384)(stepped)
        self._alive = lru_cache(65536)(alive)

    def right(self, asked: Inquiry) -> Any:
        """Return a right reply."""
        if asked.kind == "answer":  # what is asked most
            return self._solved(asked.question)
        if asked.kind == "act":
            return self._suite.act(self._read(asked.question), asked, right=True, dice=lambda _: 0)
        if asked.kind == "thoughts":
            if not self._suite.stepwise:
                return (self._solved(asked.question),)
            return self._stepped(asked.question, asked.path)[0]
        if asked.kind == "parts":
            return (_in_one_line(asked.question),)
        return self._solved(asked.question)

    def wrong(self, asked: Inquiry, dice: Callable[[int], int]) -> Any:
        """Return a plausible wrong reply."""
        if asked.kind == "act":
            return self._suite.act(self._read(asked.question), asked, right=False, dice=dice)
        if asked.kind == "thoughts" and self._suite.stepwise:
            others = self._stepped(asked.question, asked.path)[1]
            return others[dice(len(others))] if others else None
        return self._wrong(asked.question, dice(1000))

    def accepts(self, asked: Inquiry, value: Any) -> bool:
        """Say whether an answer is right, or a path can still be completed."""
        if isinstance(value, tuple) or (self._suite.stepwise and self._partial(asked, value)):
            path = asked.path if value is asked.given.get("path") else path_of(value)
            return self._alive(asked.question, path) if self._suite.stepwise else bool(path)
        return self._knows(asked.question, str(value))

    def _partial(self, asked: Inquiry, value: Any) -> bool:
        return isinstance(value, str) and "path" in asked.given and asked.subject is asked.given["path"]


def _in_one_line(question: str) -> str:
    return question if question.splitlines() == [question.strip()] else json.dumps(question)


def _whole(question: str) -> str:
    """Return the question that was given in one line."""
    if question[:1] != '"':
        return question
    try:
        meant = json.loads(question)
    except ValueError:
        return question
    return meant if isinstance(meant, str) and _in_one_line(meant) == question else question
