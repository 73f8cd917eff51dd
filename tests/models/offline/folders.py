"""A folder of random files and questions about them, how they are asked, and the judge that opens every citation."""

import random
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from stratagem import Session
from stratagem.core import Strategy
from stratagem.tools.builtin.locators import open_locator
from tests.models.offline import phrasings, texts_of
from tests.models.offline.tables_of import Wanted, computed, table

UNANSWERABLE = 0.15


@dataclass
class Outcome:
    """What came of a question: `right`, `refused` (not right, not wrong) or `wrong`, with the answer and the steps."""

    verdict: str
    answer: str
    steps: int
    why: str = ""


def folder(seed: int, root: Path) -> list[Wanted]:
    """Write a folder and return at least 12 questions about it."""
    dice = random.Random(seed)
    nouns, attributes = texts_of.pools(dice)
    words: set[str] = set()
    made = [table(dice, root, nouns, words) for _ in range(dice.randint(1, 3))]
    attributes = [one for one in attributes if one not in words]
    texts = [one for _ in range(dice.randint(2, 4)) for one in texts_of.page(dice, root, nouns, attributes)]
    answered = [one for one in texts if one.kind == "quote"]
    refused = [one for one in texts if one.kind == "refuse"]
    wanted = dice.sample(answered, min(len(answered), 5)) + texts_of.sums(dice)
    while len(wanted) < 14:
        table_ = dice.choice(made)
        one = phrasings.question(dice, table_, name_it=len(made) > 1 or not table_.alone)
        if one is not None:
            wanted.append(one)
    while len([one for one in wanted if one.kind == "refuse"]) < UNANSWERABLE * len(wanted):
        text = bool(refused) and dice.random() < 0.4
        wanted.append(refused.pop() if text else phrasings.refused(dice, dice.choice(made), words))
    return wanted


async def ask(session: Session, strategy: Strategy, question: str) -> tuple[str, int, str]:
    """Return the answer, the number of steps and, if there is no answer, the reason."""
    answer = await session.run(strategy, question)
    if not answer.ok:
        assert answer.stop == "no_answer", f"{answer.stop}: {answer.reason}"
        assert answer.reason.startswith("cannot answer: "), answer.reason
        return "", len(answer.steps), answer.reason
    assert (answer.usage.tokens, answer.usage.usd) == (0, 0)
    return answer.text, len(answer.steps), ""


async def outcome(wanted: Wanted, root: Path, session: Session, strategy: Strategy) -> Outcome:
    """Ask, and judge the answer by what is right and by what stands where it is cited."""
    answer, steps, reason = await ask(session, strategy, wanted.text)
    if not answer:
        return Outcome("right" if wanted.kind == "refuse" else "refused", "", steps, reason)
    if wanted.kind == "refuse":
        return Outcome("wrong", answer, steps, "nothing answers it")
    try:
        judged(wanted, answer, root)
    except AssertionError as failure:
        return Outcome("wrong", answer, steps, str(failure))
    return Outcome("right", answer, steps)


def judged(wanted: Wanted, answer: str, root: Path) -> None:
    """Raise `AssertionError` if the answer is not right, or not what its citations hold."""
    assert "\n" not in answer, "there is more than one line"
    locators, said = cited(answer)
    assert locators, "nothing is cited"
    opened = [open_locator(root, one) for one in locators]
    if wanted.kind == "sum":
        assert Fraction(said.rpartition("= ")[2]) == Fraction(str(wanted.value)), said
        return
    assert all(one.locator.path == wanted.where for one in opened), f"cites {locators}, not {wanted.where}"
    if wanted.kind == "quote":
        assert said == wanted.value, f"expected {wanted.value!r}"
        assert said in " ".join(opened[0].text.split()), "the citation does not hold the quotation"
        return
    rows = [row for _, row in opened[0].rows]
    value = said.rpartition("): ")[2] if wanted.kind != "names" else said.partition("): ")[2]
    check(wanted, wanted.value, value)
    spec = wanted.spec
    if spec["measure"] == "top":
        shown = {name.strip(): Decimal(number) for name, number in re.findall(r"([^;]+) \(([-\d.]+)\)", value)}
        held = {str(row[spec["label"]]): Decimal(str(row[spec["column"]])) for row in rows if row[spec["column"]]}
        assert shown.items() <= held.items(), "a row that is shown is not cited"
        return
    if spec.get("label"):
        recomputed = computed(rows, {"measure": spec["measure"], "column": spec["column"]})
        held = computed([row for _, row in opened[1].rows], {"measure": "names", "column": spec["label"]})
        assert f"({spec['column']} {number_text(recomputed)})" in said, f"the cited rows give {recomputed}"
        check(wanted, held, value)
        return
    check(wanted, computed(rows, spec), value)


def number_text(value: Fraction) -> str:
    return f"{Decimal(value.numerator) / Decimal(value.denominator):f}"


def cited(answer: str) -> tuple[list[str], str]:
    """Return the locators at the start of an answer, and the rest."""
    locators: list[str] = []
    while found := re.match(r"\[(.+?)\] (?=\[|\S)", answer):
        locators.append(found[1])
        answer = answer[found.end() :]
    return locators, answer


def check(wanted: Wanted, expected: Any, value: str) -> None:
    """Compare what was computed here with what the answer says."""
    if wanted.kind == "number":
        if isinstance(expected, set):
            assert {value} == expected, f"expected {expected}"
        else:
            assert close(value, expected), f"expected {float(expected)}"
    elif wanted.kind == "names":
        plain = re.sub(r" \((?:[^;()]|\([^;()]*\))*\)(?=;|$)", "", value)
        assert set(plain.split("; ")) == expected, f"expected {expected}"
    else:
        pairs = dict(one.rsplit(": ", 1) for one in value.split("; "))
        assert set(pairs) == set(expected), f"expected {expected}"
        assert all(close(pairs[name], expected[name]) for name in pairs), f"expected {expected}"


def close(text: str, expected: Fraction) -> bool:
    """Whether a number is the expected one to 12 significant digits."""
    given = Fraction(Decimal(text))
    return given == expected or abs(given - expected) <= abs(expected) * Fraction(1, 10**11)
