"""Random programs: a small language, the strategy that interprets it, and what of a program may depend on time.

A program is a JSON list of operations, so that it is a parameter of the strategy like any other:

    ["ask", word, depends]  ["count", word]  ["sample", word, n]  ["tool", kind, word]  ["fail", kind]  ["try", body]
    ["scope", name, budget, body]  ["map", width, keyed, tolerate, bodies]  ["pool", width, tolerate, follow, bodies]
    ["call", body]  ["wait", kind, word]  ["offer", score]  ["best"]  ["now"]  ["left"]  ["rng"]  ["turn", what, a, b]

Every reply names the call it was made for, and the interpreter refuses one that was made for another.
"""

import hashlib
import json
from typing import Any

from hypothesis import strategies as st

from stratagem.core import Answer, Run, Task, signature, strategy, tool
from stratagem.errors import BudgetExhausted, ConcurrentUse, ModelError, NoAnswer
from tests.faults.scheduling import life

Op = list[Any]
FAILURES = ("rejected", "unreachable", "flaky")  # the last one is not available at the first attempt
TOLERATED = (ModelError, NoAnswer)


@signature
def ask(question: str) -> str:
    """Answer."""
    ...


@signature
def count(question: str) -> int:
    """Count."""
    ...


@tool
async def look(where: str) -> str:
    """Look: may be done again."""
    return await life().acts("look", where)


@tool(effect="send", repeat="keyed")
async def post(where: str, key: str = "") -> str:
    """Post once per key."""
    return await life().acts("post", where, key)


@tool(effect="send", repeat="once")
async def pay(where: str) -> str:
    """Pay: never again without a person's word."""
    return await life().acts("pay", where)


@tool(effect="send", repeat="free")
async def mail(where: str) -> str:
    """Send a mail, which a person must allow."""
    return await life().acts("mail", where)


TOOLS = {"free": look, "keyed": post, "once": pay, "asked": mail}


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Here:
    """One strand of an interpreted program: what it has asked, used and seen."""

    def __init__(self, run: Run, task: Task) -> None:
        self.run, self.task = run, task
        self.asked: dict[str, int] = {}
        self.used = 0
        self.seen: list[str] = []

    async def perform(self, body: list[Op]) -> str:
        begun = len(self.seen)
        for name, *given in body:
            done = await getattr(self, "attempt" if name == "try" else name)(*given)
            self.seen.append(f"{name}:{done}")
        return " ".join(self.seen[begun:])

    def below(self, run: Run) -> "Here":
        return Here(run, self.task)

    def _expected(self, question: str, n: int = 1) -> list[str]:
        first = self.asked.get(question, 0)
        self.asked[question] = first + n
        return [f"{self.run.strand.path}#{first + place}={question}" for place in range(n)]

    async def ask(self, word: str, depends: bool) -> str:
        question = f"{word} {short(' '.join(self.seen))}" if depends else word
        expected = self._expected(question)
        said = await self.run.ask(ask, question=question)
        assert [said] == expected, f"the reply of another call: {said!r} instead of {expected}"
        return said

    async def count(self, word: str) -> str:
        """Ask for what is garbled at first, so that it is repaired."""
        return str(await self.run.ask(count, question=f"garbled {word}"))

    async def sample(self, word: str, n: int) -> str:
        expected = self._expected(word, n)
        said = await self.run.sample(ask, n, question=word)
        assert said == expected, f"the draws of another call: {said!r} instead of {expected}"
        return ",".join(said)

    async def tool(self, kind: str, word: str) -> str:
        self.used += 1
        where = f"{self.run.strand.path}:{word}{self.used}"
        seen = await self.run.call(TOOLS[kind], where=where)
        assert seen.failed or where in seen.text, f"the result of another call: {seen.text!r} at {where!r}"
        return seen.text

    async def fail(self, kind: str) -> str:
        if kind == "no answer":
            raise NoAnswer(f"in {self.run.strand.path}")
        self.used += 1
        said = await self.run.ask(ask, question=f"fail {kind} {self.used}")
        assert kind == "flaky", "a model that fails has answered"
        return said

    async def attempt(self, body: list[Op]) -> str:
        try:
            return await self.perform(body)
        except TOLERATED as failure:
            return type(failure).__name__

    async def scope(self, name: str, budget: int | None, body: list[Op]) -> str:
        path = ""
        try:
            async with self.run.scope(name, None if budget is None else f"calls={budget}") as part:
                path = part.strand.path
                return await self.below(part).perform(body)
        except BudgetExhausted as refusal:
            if refusal.scope != path:
                raise
            return "spent"

    async def map(self, width: int | None, keyed: bool, tolerate: bool, bodies: list[list[Op]]) -> str:
        async def branch(run: Run, item: tuple[int, list[Op]]) -> str:
            return await self.below(run).perform(item[1])

        made = await self.run.map(
            branch, list(enumerate(bodies)), width=width, tolerate=TOLERATED if tolerate else (),
            key=(lambda item: f"k{item[0]}") if keyed else None,
        )  # fmt: skip
        return f"({'|'.join(made)})"

    async def pool(self, width: int | None, tolerate: bool, follow: bool, bodies: list[list[Op]]) -> str:
        async def branch(run: Run, item: tuple[str, list[Op]]) -> str:
            return item[0] + await self.below(run).perform(item[1])

        begun, waiting, made = bodies[:2] if follow else bodies, bodies[2:] if follow else [], list[str]()
        async with self.run.pool(branch, width=width, tolerate=TOLERATED if tolerate else ()) as pool:
            for body in begun:
                pool.start(("", body))
            async for _, text in pool:
                made.append(text)
                if waiting:  # what comes next depends on who was first
                    pool.start((f"after {short(text)} ", [*waiting.pop(0), ["ask", short(text), False]]))
        return f"({'|'.join(made if follow else sorted(made))})"

    async def call(self, body: list[Op]) -> str:
        return (await interpreted(self.run, self.task, program=json.dumps(body))).text

    async def wait(self, kind: str, word: str) -> str:
        said = await self.run.wait(f"{word} in {self.run.strand.path}?", schema=str if kind == "str" else bool)
        return str(said)

    async def offer(self, score: float | None) -> str:
        self.run.offer(self.task.answer(f"offered in {self.run.strand.path} after {len(self.seen)}"), score)
        return ""

    async def best(self) -> str:
        try:
            return self.run.best.text
        except NoAnswer:
            return "none"
        except ConcurrentUse:
            return "in a branch"

    async def now(self) -> str:
        return str(self.run.now())

    async def left(self) -> str:
        return str(self.run.budget.remaining("calls"))

    async def rng(self) -> str:
        return str(self.run.rng.randrange(1000))

    async def turn(self, what: str, one: list[Op], other: list[Op]) -> str:
        read = self.run.now() if what == "now" else self.run.budget.remaining("calls")
        return await self.perform(one if int(read) % 2 else other)


@strategy(calls="1000")
async def interpreted(run: Run, task: Task, *, program: str = "[]") -> Answer:
    """Perform a program."""
    return task.answer(await Here(run, task).attempt(json.loads(program)))


# What a program may make depend on time


def bodies_of(op: Op) -> list[list[Op]]:
    if op[0] in ("map", "pool"):
        return op[-1]
    if op[0] == "turn":
        return op[2:]
    return [op[-1]] if op[0] in ("try", "scope", "call") else []


def every(body: list[Op]) -> list[Op]:
    """Return all operations of a program, at any depth."""
    return [one for op in body for one in (op, *(below for part in bodies_of(op) for below in every(part)))]


def fails(body: list[Op]) -> bool:
    """Return whether a failure may leave a body."""
    return any(
        op[0] == "fail" or (op[0] not in ("try", "call") and any(map(fails, bodies_of(op)))) for op in body
    )  # a strategy call catches what its program raises


def loose(body: list[Op]) -> bool:
    """Return whether what is performed depends on time: a failure cancels branches at any moment."""
    waves = [(op[3] if op[0] == "map" else op[2], op[-1]) for op in every(body) if op[0] in ("map", "pool")]
    return any(not tolerate and len(bodies) > 1 and any(map(fails, bodies)) for tolerate, bodies in waves)


def timed(body: list[Op], *, branched: bool = False) -> bool:
    """Return whether the answer depends on time: on clocks, on who is first, on what siblings have spent."""
    for op in body:
        name, below = op[0], branched or op[0] in ("map", "pool")
        if name == "now" or op[:2] == ["fail", "flaky"] or (name == "turn" and op[1] == "now"):
            return True
        if branched and (name == "left" or name == "turn"):
            return True
        if name == "pool" and (op[3] or (not op[2] and any(map(fails, op[-1])))):
            return True
        if name == "scope" and op[2] is not None:
            below_it = every(op[-1])
            if any(one[0] in ("map", "pool") or one == ["fail", "unreachable"] for one in below_it):
                return True  # what fails for a passing reason is paid again, under the same limit
        if any(timed(part, branched=below) for part in bodies_of(op)):
            return True
    names = {op[0] for op in every(body)}
    return not branched and loose(body) and bool(names & {"offer", "best", "left", "turn"})


# How programs are drawn: rather large than small, because a small one has little to mix up

WORDS = st.sampled_from(["a", "b"])
WIDTHS = st.sampled_from([None, 2, 3, 1])


def simple(*, steady: bool) -> st.SearchStrategy[Any]:
    """Return operations without others in them; steady ones do not depend on time."""
    return st.one_of(
        st.tuples(st.just("ask"), WORDS, st.booleans()),
        st.tuples(st.just("tool"), st.sampled_from(list(TOOLS)), WORDS),
        st.tuples(st.just("tool"), st.sampled_from(["once", "keyed"]), WORDS),
        st.tuples(st.just("sample"), WORDS, st.integers(2, 3)),
        st.tuples(st.just("count"), WORDS),
        st.tuples(st.just("wait"), st.sampled_from(["str", "bool"]), WORDS),
        st.tuples(st.just("offer"), st.sampled_from([None, 0.5, 1.0])),
        st.tuples(st.just("rng")),
        st.tuples(st.just("try"), st.just([["fail", "rejected"]]))
        if steady
        else st.tuples(st.just("fail"), st.sampled_from([*FAILURES, "no answer"])),
        st.tuples(st.just("best")) if steady else st.tuples(st.sampled_from(["now", "left"])),
        st.tuples(st.just("try"), st.just([["fail", "unreachable" if steady else "flaky"]])),
    )


def body_of(depth: int, *, steady: bool) -> st.SearchStrategy[Any]:
    """Return programs whose operations hold others to a depth."""
    flat = simple(steady=steady)
    if not depth:
        return st.lists(flat, min_size=1, max_size=3)
    below = body_of(depth - 1, steady=steady)
    some = st.lists(below, min_size=2, max_size=4)
    maps = st.tuples(st.just("map"), WIDTHS, st.booleans(), st.booleans(), some)
    pools = st.tuples(st.just("pool"), WIDTHS, st.booleans(), st.just(False) if steady else st.booleans(), some)
    limits = st.sampled_from([None] if steady else [None, 1, 2, 4])
    nested = [
        maps,
        pools,
        st.tuples(st.just("try"), below),
        st.tuples(st.just("call"), below),
        st.tuples(st.just("scope"), st.sampled_from(["p", "q"]), limits, below),
        maps if steady else st.tuples(st.just("turn"), st.sampled_from(["now", "left"]), below, below),
    ]
    return st.lists(st.one_of(st.one_of(*nested), flat), min_size=1, max_size=3)


PROGRAMS: st.SearchStrategy[Any] = st.one_of(body_of(2, steady=True), body_of(2, steady=False)).map(
    lambda body: json.loads(json.dumps(body))
)
