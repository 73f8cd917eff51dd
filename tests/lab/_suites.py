"""Suites that somebody wrote: honest ones, and one for each thing that can be wrong."""

HEAD = '''
import itertools
import json
import os
import random
import re
from collections import Counter
from typing import Any, Literal, get_args

from products import Products

from stratagem.core import Example, Task, Verdict
from stratagem.tasks import Score, Suite, SuiteOracle


def product(problem):
    return problem[0] * problem[1]


class Even(Products):
    """Yes or no, with the constant answer that it says."""

    name = "even"
    output = bool
    floor = ("yes", 0.75)

    def render(self, problem):
        return f"Is {problem[0]} times {problem[1]} even?"

    def read(self, question):
        found = re.fullmatch(r"Is (\\d+) times (\\d+) even\\?", question)
        if found is None:
            raise ValueError(question)
        return [int(one) for one in found.groups()]

    def solve(self, problem):
        return "no" if product(problem) % 2 else "yes"

    def right(self, problem, value):
        return float(value == (product(problem) % 2 == 0))

    def wrong(self, problem, number):
        return "yes" if product(problem) % 2 else "no"


class Choice(Even):
    """One of four letters."""

    name = "choice"
    output = Literal["A", "B", "C", "D"]
    floor = ("A", 0.25)

    def make(self, dice, level):
        return [dice.randrange(4), dice.randrange(10**6)]

    def solve(self, problem):
        return "ABCD"[problem[0]]

    def right(self, problem, value):
        return float(value == self.solve(problem))

    def wrong(self, problem, number):
        return "ABCD"[(problem[0] + 1 + number % 3) % 4]
class Worded(Products):
    """A word of six letters, backwards."""

    name = "worded"
    output = str

    def make(self, dice, level):
        return "".join(dice.choices("bdfglmnprst", k=6))

    def render(self, problem):
        return f"Spell {problem} backwards."

    def read(self, question):
        found = re.fullmatch(r"Spell (\\w+) backwards\\.", question)
        if found is None:
            raise ValueError(question)
        return found[1]

    def solve(self, problem):
        return problem[::-1]

    def right(self, problem, value):
        return float(value == problem[::-1])

    def wrong(self, problem, number):
        return "xyz"[number % 3] + problem[::-1]
'''
GOOD = """
class Reversed(Products):
    # a word
    name = "reversed"
    output = str

    def make(self, dice, level):
        return "".join(dice.choices("bdfglmnprst", k=4 + level))

    def render(self, problem):
        return f"Reverse {problem}."

    def read(self, question):
        found = re.fullmatch(r"Reverse (\\w+)\\.", question)
        if found is None:
            raise ValueError(question)
        return found[1]

    def solve(self, problem):
        return problem[::-1]

    def right(self, problem, value):
        return float(value == problem[::-1])

    def wrong(self, problem, number):
        return problem[::-1] + "xyz"[number % 3]


class Small(Reversed):
    # lists that may be empty, and a part of the answer is worth a part
    name = "small"
    output = list[int]

    def make(self, dice, level):
        return [dice.randrange(1, 100) for _ in range(3)]

    def render(self, problem):
        return f"Which of {problem} are greater than 60? Reply with a JSON list."

    def read(self, question):
        found = re.fullmatch(r"Which of (\\[[\\d, ]*\\]) are greater than 60\\? Reply with a JSON list\\.", question)
        if found is None:
            raise ValueError(question)
        return json.loads(found[1])

    def solve(self, problem):
        return json.dumps([one for one in problem if one > 60])

    def right(self, problem, value):
        key = json.loads(self.solve(problem))
        return 1.0 if value == key else 0.5 if key and value and value[0] == key[0] else 0.0

    def wrong(self, problem, number):
        return json.dumps([*json.loads(self.solve(problem)), 1 + number])

    floor = ("[]", 0.21)


class Few(Products):
    # 32 problems for examples, and three more
    name = "few"
    levels = (1,)
    sizes = {1: 35}

    def make(self, dice, level):
        return [dice.randrange(5), dice.randrange(7)]

    def every(self, level):
        return [[one, other] for one in range(5) for other in range(7)]

    floor = ("0", 0.31)


class Capitals(Reversed):
    # the question that stands for all others is one of these
    name = "capitals"

    def render(self, problem):
        return f"What is the capital of {problem}?"

    def read(self, question):
        found = re.fullmatch(r"What is the capital of (\\w+)\\?", question)
        if found is None:
            raise ValueError(question)
        return found[1]


class Listed(Products):
    # its examples are its own
    name = "listed"

    def examples(self, n=8, *, level=1):
        return (Example("What is 2 times 3?", "6", None),)[:n]
"""
# What is wrong: the body of a class, its base, the check that is not met, and what is said.
DEFECTS: dict[str, tuple[str, str, str, str]] = {
    "reads another problem": (
        "Products", "def read(self, question):\n    return super().read(question)[::-1]", "the question says all",
        r"`read` gives \[(\d+), (\d+)\] for the question 'What is \2 times \1\?', which `render` made of \[\2, \1\]",
    ),
    "makes tuples": (
        "Products", "def make(self, dice, level):\n    return tuple(super().make(dice, level))", "the question says all",
        r"`make` gives \(\d+, \d+\), which JSON does not give back: lists, not tuples",
    ),
    "reads everything": (
        "Products", 'def read(self, question):\n    return [int(one) for one in re.findall(r"\\d+", question)]',
        "what is no question is not read", r"products reads '' as \[\]: it is no question, a `ValueError` is due",
    ),
    "raises another error": (
        "Products", 'def read(self, question):\n    return {}[question] if "capital" in question else super().read(question)',
        "what is no question is not read", "`read` raises KeyError for 'What is the capital of France\\?'",
    ),
    "is not deterministic": (
        "Products", "counted = itertools.count(10)\n\ndef make(self, dice, level):\n    return [next(self.counted), 7]",
        "equal seeds give equal items", r"one seed gives two items: .*'What is \d+ times 7\?'.*, and then ",
    ),
    "does not look at the seed": (
        "Products", "def make(self, dice, level):\n    return [10, 10]\n\ndef items(self, n, *, seed=0, level=1, start=0):\n"
        "    from stratagem.tasks import Item\n    made = [[n, 11 + n] for n in range(10, 90)]\n    at = 40 if seed == 'training' else 0\n"
        "    return iter([Item(f'products-{k}', self.render(one), self.solve(one), level) for k, one in enumerate(made)][at + start:at + start + n])",
        "equal seeds give equal items", "two seeds give the same 8 items of level 1",
    ),
    "has a wrong key": (
        "Products", "def solve(self, problem):\n    return str(product(problem) + 1)", "every item can be solved",
        r"products-1-000000: its key, said as '\d+', scores 0, not 1",
    ),
    "finds no answer in a sentence": (
        "Products", "def extract(self, text):\n    return int(text) if text.isdecimal() else None", "every item can be solved",
        r"said as 'Let me think\. The answer is \d+', scores 0, not 1",
    ),
    "pays an empty answer": (
        "Products", "def extract(self, text):\n    return super().extract(text) or (None if text.strip() else -1)\n\n"
        "def right(self, problem, value):\n    return float(value in (-1, product(problem)))",
        "what is no answer scores nothing", r"products-1-000000: an empty answer, '', scores 1, not 0",
    ),
    "pays junk": (
        "Products", "def extract(self, text):\n    return super().extract(text) or (-1 if text.strip() else None)\n\n"
        "def right(self, problem, value):\n    return float(value in (-1, product(problem)))",
        "what is no answer scores nothing", r"products-1-000000: junk, '\?', scores 1, not 0",
    ),
    "pays the question": (
        "Products", "def score(self, question, text, calls=()):\n    return Score(1.0, parsed=True) if question in text else super().score(question, text)",
        "what is no answer scores nothing", r"products-1-000000: the question itself, 'What is \d+ times \d+\?', scores 1, not 0",
    ),
    "pays noise": (
        "Products", "def score(self, question, text, calls=()):\n    return Score(1.0, parsed=True) if '!' in text else super().score(question, text)",
        "random text scores nothing", r"products-1-000000: noise, .*, scores 1, not 0",
    ),
    "has a wrong answer that is right": (
        "Products", "def wrong(self, problem, number):\n    return str(product(problem) + number - 5)", "wrong answers are wrong",
        r"products-1-000000: the wrong answer 5, '\d+', is right",
    ),
    "has a wrong answer without a value": (
        "Products", "def wrong(self, problem, number):\n    return 'some other number'", "wrong answers are wrong",
        "no value is found in the wrong answer 0, 'some other number'",
    ),
    "pays answers to other items": (
        "Products", "def score(self, question, text, calls=()):\n    value, own = self.found(question, text), product(self.read(question))\n"
        "    if value is None:\n        return Score(0.0, parsed=False)\n    return Score(float(value == own or 50 < abs(value - own) < 10**5), parsed=True)",
        "answers of others score at their true rate", r"the answer to another item, '\d+', scores 1; `right` says 0 of what is in it",
    ),
    "pays the answers of others that are near": (
        "Products", "def right(self, problem, value):\n    return float(abs(value - product(problem)) < 10**5)\n\n"
        "def wrong(self, problem, number):\n    return str(product(problem) + 10**6 + number)",
        "answers of others score at their true rate",
        r"the answer to another item, '\d+', scores 1, and is not the key, '\d+': is the scorer right\? If an item may have several "
        r"right answers that `canonical` tells apart, say so: `several = True`",
    ),
    "takes different keys for the same": (
        "Products", "def canonical(self, value):\n    return value % 10", "answers of others score at their true rate",
        r"scores 0, and `canonical` says that it is the same as the key, '\d+': write a `canonical` that tells them apart",
    ),
    "pays what is one off": (
        "Products", "def right(self, problem, value):\n    return float(abs(value - product(problem)) <= 1)\n\n"
        "def wrong(self, problem, number):\n    return str(product(problem) + 5 + number)",
        "a number beside the key is wrong", r"products-1-000000: \d+ is right, and the key is '\d+': is the scorer right\?",
    ),
    "pays what is a tenth off": (
        "Products", "output = float\n\ndef right(self, problem, value):\n    return float(abs(value - product(problem)) <= product(problem) / 9)\n\n"
        "def wrong(self, problem, number):\n    return str(9 * product(problem) + number)\n\n"
        "def make(self, dice, level):\n    return [7 ** dice.randrange(1, 20), 7 ** dice.randrange(1, 20)]",
        "a number beside the key is wrong", r"products-1-000000: \S+ is right, and the key is '\d+'",
    ),
    "pays a list of all answers": (
        "Worded", "def right(self, problem, value):\n    return float(self.solve(problem) in value)\n\n"
        "def wrong(self, problem, number):\n    return 'xyz'[number % 3] * 6", "who names many answers has named none",
        r"worded-1-000000: '[a-z]{6}, [a-z]{6}, [a-z]{6}' is right: it names the key, '[a-z]{6}', between those of two other items",
    ),
    "pays a letter": (
        "Worded", "def right(self, problem, value):\n    return float(value in self.solve(problem))", "a letter of the key is no answer",
        r"worded-1-000000: '[a-z]' is right, which is a letter of the key, '[a-z]{6}': compare the whole value",
    ),
    "publishes a share that is none": (
        "Even", 'floor = ("yes", 1.27)', "the constant answer is published",
        r"`floor` is \('yes', 1\.27\): it is an answer and the share of items that it gets right, from 0 to 1",
    ),
    "publishes an answer alone": (
        "Even", 'floor = "yes"', "the constant answer is published", r"`floor` is 'yes': it is an answer and the share",
    ),
    "does not publish the constant answer": (
        "Even", 'floor = ("", 0.0)', "the constant answer is published",
        r"the constant answer 'yes' gets 0\.\d+ of 60 items right, and `floor` says 0: is the scorer right\? If it is, publish the best one: `floor = \('yes', 0\.\d\d\)`",
    ),
    "says too much of the constant answer": (
        "Even", 'floor = ("yes", 1.0)', "the constant answer is published", r"the answer of `floor`, 'yes', gets 0\.\d+ of 60 items right, not 1",
    ),
    "shows a wrong example": (
        "Products", "def examples(self, n=8, *, level=1):\n    return (Example('What is 2 times 3?', '7', None),)[:n]", "the task has no key",
        r"the answer '7' of the solved example 'What is 2 times 3\?' is wrong",
    ),
    "shows an item as an example": (
        "Products", "def examples(self, n=8, *, level=1):\n    one = next(self.items(1, seed='checks', level=level))\n    return (Example(one.question, one.key, None),)[:n]",
        "the task has no key", "products-1-000000: the item is a solved example too",
    ),
    "asks something else": (
        "Products", "def task(self, question, *, examples=()):\n    return Task(question + self.solve(self.read(question)), output=int)",
        "the task has no key", r"products-1-000000: the task asks 'What is \d+ times \d+\?\d+', not 'What is \d+ times \d+\?'",
    ),
    "has a checker that says yes": (
        "Products", "def checker(self, problem):\n    return lambda text: Verdict(True, '')", "a public checker agrees with the scorer",
        r"products-1-000000: the checker passes '\d+', which scores 0",
    ),
    "has an oracle that says yes": (
        "Products", "def oracle(self):\n    class Kind(SuiteOracle):\n        def accepts(self, asked, value):\n            return True\n    return Kind(self)",
        "the oracle tells right from wrong", r"products-1-000000: the oracle accepts its own wrong answer, '\d+'",
    ),
    "has no steps": (
        "Products", "stepwise = True", "steps lead where they say", "products-1-000000: `steps` gives no first step that leads on",
    ),
    "takes the first option": (
        "Choice", "def extract(self, text):\n    return get_args(self.output)[0] if text == 'none' else super().extract(text)",
        "the order of options has no effect", r"choice-1-00000\d: 'none' scores [01], and [01] with the options as ",
    ),
}  # fmt: skip
