"""How good and how fast the small model on this machine is: thirty easy questions, asked in two ways.

Nothing has to be reached: the figures say what `local:smollm2` is good for, so that nobody takes it for more.
"""

import asyncio
import random
import re
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from benchmarks.measure import Report

SPEC = "local:smollm2"
EACH = {"sum": 9, "copy": 7, "yes or no": 7, "order": 7}
WORDS = ("apple", "bread", "chair", "dog", "egg", "fish", "garden", "house", "island", "jacket", "kite", "lamp")
MOST_TOKENS = 160


class Item(NamedTuple):
    """A question, its kind, and what says whether an answer is right."""

    kind: str
    question: str
    right: Callable[[str], bool]


def items(seed: int = 1) -> list[Item]:
    """Return thirty questions that a child of eight answers."""
    dice = random.Random(seed)
    made: dict[str, Callable[[random.Random], Item]] = {
        "sum": _sum, "copy": _copy, "yes or no": _yes_or_no, "order": _order,
    }  # fmt: skip
    return [made[kind](dice) for kind, count in EACH.items() for _ in range(count)]


def _sum(dice: random.Random) -> Item:
    a, b = dice.randint(2, 20), dice.randint(2, 20)
    return Item("sum", f"What is {a} + {b}?", lambda text: _last_number(text) == a + b)


def _copy(dice: random.Random) -> Item:
    word = dice.choice(WORDS) + str(dice.randint(10, 99))
    return Item("copy", f"Repeat this word and say nothing else: {word}", lambda text: text.strip(' ."\n') == word)


def _yes_or_no(dice: random.Random) -> Item:
    a, b = dice.sample(range(1, 100), 2)
    right = "yes" if a > b else "no"
    return Item("yes or no", f"Is {a} greater than {b}? Answer yes or no.", lambda text: _first_word(text) == right)


def _order(dice: random.Random) -> Item:
    given = dice.sample(range(1, 50), 3)
    question = f"Put these numbers in order, the smallest first: {', '.join(map(str, given))}"
    return Item("order", question, lambda text: [int(n) for n in re.findall(r"\d+", text)][-3:] == sorted(given))


def _last_number(text: str) -> int | None:
    found = re.findall(r"\d+", text)
    return int(found[-1]) if found else None


def _first_word(text: str) -> str:
    found = re.search(r"\b(yes|no)\b", text.lower())
    return found[1] if found else ""


# (question, rationale, answer) of one worked example for each kind: what chain of thought shows before it asks.
WORKED = (
    ("What is 5 + 3?", "5 and 3 more is 8.", "8"),
    ("Repeat this word and say nothing else: moon27", "The word is moon27.", "moon27"),
    ("Is 12 greater than 40? Answer yes or no.", "12 is less than 40.", "no"),
    ("Put these numbers in order, the smallest first: 8, 31, 5", "5 is the smallest, then 8, then 31.", "5, 8, 31"),
)


class Found(NamedTuple):
    """What came of asking all items in one way."""

    right: dict[str, int]
    unread: int
    tokens: int
    seconds: float


async def asked(session: Any, strategy: str, every: Sequence[Item]) -> Found:
    """Ask all items, one after the other."""
    from stratagem import Example, Task  # noqa: PLC0415  (the command sets the path first)

    examples = tuple(Example(question, answer, rationale) for question, rationale, answer in WORKED)
    right = dict.fromkeys(EACH, 0)
    unread, tokens, began = 0, 0, time.perf_counter()
    for item in every:
        answer = await session.run(strategy, Task(item.question, examples=examples))
        right[item.kind] += answer.stop == "answered" and item.right(answer.text)
        unread += answer.stop == "unparsed"
        tokens += answer.usage.completion_tokens
    return Found(right, unread, tokens, time.perf_counter() - began)


async def compared(report: Report, strategies: Sequence[str], every: Sequence[Item]) -> None:
    """Ask in each way, and print what came of it."""
    import stratagem  # noqa: PLC0415  (the command sets the path first)

    options = {"max_tokens": MOST_TOKENS, "seed": 1}  # with a seed the same is answered again
    async with stratagem.open(model=SPEC, options=options, journal="memory", memory="none") as session:
        began = time.perf_counter()
        await session.run("direct", "Hello.")
        report.shown("start of the server, and a first reply", time.perf_counter() - began, "s")
        for strategy in strategies:
            found = await asked(session, strategy, every)
            by = ", ".join(f"{kind} {found.right[kind]} of {count}" for kind, count in EACH.items())
            by += f"; {found.unread} replies without an answer"
            report.shown(f"{strategy}: right of {len(every)}", sum(found.right.values()), "answers", by)
            report.shown("  tokens written", found.tokens / found.seconds, "tokens/s", f"{found.tokens} in all")


def measure(report: Report) -> None:
    """Print how many of thirty easy questions the model gets right, and how fast it writes."""
    from stratagem.models.local_weights import KNOWN, folder  # noqa: PLC0415

    report.title("local_model", f"{SPEC}: thirty easy questions, one after the other, at temperature 0")
    if find_spec("xllamacpp") is None or not (folder() / KNOWN["smollm2"].file).is_file():
        report.skipped("local_model", "it needs the extra `local` and `stratagem models add smollm2`")
        return
    asyncio.run(compared(report, ("direct", "chain_of_thought"), items()))
