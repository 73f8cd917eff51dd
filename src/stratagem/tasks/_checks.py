"""What every task suite must pass, ours and those of other packages; `stratagem.testing.suite_checks` shows it to their authors.

Rule 1: what does not hold is `Unmet`, with item, text and score, and what was expected; `python -O` switches nothing off.
Rule 2: an honest suite passes. So nothing that an item's key says by itself counts as junk, and a share that is measured on
        a few items may differ from the published one by as much as chance does.
"""

import copy
import math
import random
import re
import string
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any, Literal, Protocol, get_args, get_origin

from stratagem.core import Inquiry, Verdict, decoded, encoded
from stratagem.errors import UsageError
from stratagem.tasks._suite import TRAINING, Item, Suite

ITEMS = 40  # of each level
FEW = 10  # items, where each is tried with many texts
MOST_STEPS = 1_000  # of one path
JUNK = (
    "", " ", "\n\n", "?", "I do not know.", "None", "null", "{}", "[]", "nan", "inf", "-", "the answer is", "()", "\x00", "0/0",
    "Simulated reasoning.", "(unreadable)", "9" * 400, "1e999", "\ud800", "((((((((((" * 20,
)  # fmt: skip
ELSEWHERE = "What is the capital of France?"
MEASURED = 200  # items on which a published share is measured
LEEWAY = 0.05  # by which a published share may be off
SEVERAL = "is the scorer right? If an item may have several right answers that `canonical` tells apart, say so: `several = True`"
_WORD = re.compile(r"[^\W\d_]{4,}")
SELDOM = 1 / 2_000  # how often chance alone may look like a false share, in each direction


class Unmet(AssertionError):
    """A suite does not hold what a comparison needs."""


class Check(Protocol):
    """One thing that a suite must hold.

    Args:
        suite: that is checked.
        items: of each level.
        levels: that are looked at; None: all, or the first where one is enough.

    Raises:
        Unmet: it does not hold.
    """

    __name__: str

    def __call__(self, suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None, /) -> None: ...


def _expect(holds: bool, said: str) -> None:
    if not holds:
        raise Unmet(said)


def _cut(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 100 else f"{said[:99]}…"


def _items(suite: Suite, n: int, level: int, seed: str = "checks") -> list[Item]:
    return list(suite.items(n, seed=seed, level=level))


def some(suite: Suite, n: int, level: int, seed: str = "checks") -> list[Item]:
    """Return `n` items of a level, or fewer if there are not so many; `UsageError` if there is none."""
    while n > 1:
        try:
            return _items(suite, n, level, seed)
        except UsageError:
            n //= 2
    return _items(suite, n, level, seed)


def the_question_says_all(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """`read` is the inverse of `render`, and problems are JSON data."""
    for level in levels or suite.levels:
        for number in range(items):
            problem = suite.make(random.Random(number), level)  # noqa: S311
            try:
                same = decoded(encoded(problem)) == problem
            except (TypeError, ValueError) as failure:
                raise Unmet(f"`make` gives {_cut(problem)}, which is no JSON data: {failure}") from failure
            _expect(
                same,
                f"`make` gives {_cut(problem)}, which JSON does not give back: lists, not tuples, and texts as keys",
            )
            question: Any = suite.render(problem)
            _expect(isinstance(question, str), f"`render` gives {_cut(question)}, which is no text, of {_cut(problem)}")
            again = suite.read(question)
            _expect(
                again == problem,
                f"`read` gives {_cut(again)} for the question {_cut(question)}, which `render` made of {_cut(problem)}",
            )


def what_is_no_question_is_not_read(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:  # noqa: ARG001
    """A text that is no question of the suite is a `ValueError`."""
    for text in ("", ELSEWHERE, "\ud800"):
        try:
            problem = suite.read(text)
        except ValueError:
            continue
        except Exception as failure:
            said = f"`read` raises {type(failure).__name__} for {text!r}, which is no question: a `ValueError` is due"
            raise Unmet(said) from failure
        if text == ELSEWHERE and suite.render(problem) == text:
            continue  # of a suite about capitals
        raise Unmet(f"{suite.name} reads {text!r} as {_cut(problem)}: it is no question, a `ValueError` is due")


def equal_seeds_give_equal_items(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Items depend on the seed, the level and the number alone; none comes twice, and none is in the training split."""
    for level in levels or suite.levels:
        first = _items(suite, items, level)
        for one, again in zip(first, _items(suite, items, level), strict=True):
            _expect(one == again, f"one seed gives two items: {_cut(tuple(one))}, and then {_cut(tuple(again))}")
        few = min(5, items)
        later = list(suite.items(few, seed="checks", level=level, start=items - few))
        _expect(later == first[-few:], f"the items from number {items - few} are others if the items begin there")
        for name in ("question", "id"):
            (most, times), *_ = Counter[str](getattr(one, name) for one in first).most_common(1)
            _expect(times == 1, f"the {name} {_cut(most)} is there {times} times among {items} items")
        # Seven items in the same order come of two seeds once in 5,040 times, even if there are no others.
        others = _items(suite, items, level, "others")
        alike = items >= 7 and [one.question for one in first] == [one.question for one in others]
        _expect(
            not alike, f"two seeds give the same {items} items of level {level}: {_cut(first[0].question)} is the first"
        )
        for one in first:
            _expect(one.level == level, f"{one.id}: an item of level {level} says that it is of level {one.level}")


def every_item_can_be_solved(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """The reference scores 1, is never in the question's task, and is found in a sentence around it."""
    for level in levels or suite.levels:
        for one in _items(suite, items, level):
            for said in (one.key, f"Let me think. The answer is {one.key}"):
                score = suite.score(one.question, said)
                _expect(score == (1.0, True), f"{one.id}: its key, said as {_cut(said)}, scores {score.right:g}, not 1")
                for name, share in score.parts.items():
                    _expect(0 <= share <= 1, f"{one.id}: the part {name!r} of its key is {share:g}, not from 0 to 1")


def what_is_no_answer_scores_nothing(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Empty, junk, and the question itself score 0."""
    for level in levels or suite.levels:
        for one in _items(suite, min(items, FEW), level):
            echoes = (one.question, f"{one.question} {one.question}", f"You ask: {one.question} I do not know.")
            for kinds, texts in (("an empty answer", JUNK[:3]), ("junk", JUNK[3:]), ("the question itself", echoes)):
                for said in texts:
                    if said.strip() and _folded(said) == _folded(one.key):
                        continue  # an empty list may be the answer
                    score = suite.score(one.question, said)
                    _expect(score.right == 0, f"{one.id}: {kinds}, {_cut(said)}, scores {score.right:g}, not 0")


def random_text_scores_nothing(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Printable noise neither raises nor scores."""
    dice = random.Random(suite.name)  # noqa: S311
    for one in _items(suite, min(items, FEW), (levels or suite.levels)[0]):
        for _ in range(30):
            noise = "".join(dice.choices(string.ascii_letters + string.punctuation + " \n", k=dice.randrange(1, 120)))
            score = suite.score(one.question, noise)
            if suite.output is not bool and _folded(one.key) not in _folded(noise):
                _expect(score.right == 0, f"{one.id}: noise, {_cut(noise)}, scores {score.right:g}, not 0")


def wrong_answers_are_wrong(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """What the oracle says wrongly is parsed, and scores less than 1."""
    for level in levels or suite.levels:
        for one in _items(suite, items, level):
            problem = suite.read(one.question)
            for number in range(8):
                said = suite.wrong(problem, number)
                score = suite.score(one.question, said)
                _expect(score.parsed, f"{one.id}: no value is found in the wrong answer {number}, {_cut(said)}")
                _expect(score.right < 1, f"{one.id}: the wrong answer {number}, {_cut(said)}, is right")
                _expect(
                    said == suite.wrong(problem, number), f"{one.id}: `wrong` gives two answers for number {number}"
                )


def answers_of_others_score_at_their_true_rate(
    suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None
) -> None:
    """The answer of another item is right as often as the two keys mean the same, and no oftener."""
    for level in levels or suite.levels:
        made = _items(suite, items, level)
        for one, other in (*permutations(made[:FEW], 2), *pairwise(made[FEW - 1 :])):
            value = suite.extract(other.key)
            worth = 0.0 if value is None else float(suite.right(suite.read(one.question), value))
            score = suite.score(one.question, other.key)
            said = f"{one.id}: the answer to another item, {_cut(other.key)}, scores {score.right:g}"
            _expect(score.right == worth, f"{said}; `right` says {worth:g} of what is in it")
            if suite.several:
                continue
            alike = _alike(suite, one, other.key)
            _expect(alike or score.right < 1, f"{said}, and is not the key, {_cut(one.key)}: {SEVERAL}")
            _expect(
                not alike or score.right == 1,
                f"{said}, and `canonical` says that it is the same as the key, {_cut(one.key)}: write a `canonical` "
                "that tells them apart, or a `right` that does not",
            )


def a_number_beside_the_key_is_wrong(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Where answers are numbers, one more and one less is wrong; of numbers that may be inexact, what is a tenth off.

    So is what has nothing to do with the key but to be written in a careless test: 0, 1 and -1, the key with the other sign and
    ten times the key.
    """
    if suite.output not in (int, float) or suite.several:
        return
    for level in levels or suite.levels:
        for one in _items(suite, items, level):
            key: Any = suite.found(one.question, one.key)
            if type(key) not in (int, float) or not math.isfinite(key):
                continue
            step = 1 if suite.output is int else abs(key) / 10 or 1.0
            slips = [key + slip for slip in (step, -step, *((1, -1) if step <= 1 else ()))]
            careless = [suite.output(other) for other in (0, 1, -1, -key, 10 * key)]
            for other in dict.fromkeys([*slips, *(other for other in careless if abs(other - key) >= step)]):
                said = str(other)
                score = suite.score(one.question, said)
                _expect(score.right < 1, f"{one.id}: {said} is right, and the key is {_cut(one.key)}: {SEVERAL}")


def who_names_many_answers_has_named_none(
    suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None
) -> None:
    """A reply with the key between the keys of two other items is no right answer; of actions, some may change nothing."""
    for level in levels or suite.levels:
        made = _items(suite, min(items, FEW), level)
        paid: list[str] = []
        for at, one in enumerate(made):
            others = [
                other.key for other in (*made[at + 1 :], *made[:at])
                if not _alike(suite, one, other.key) and suite.score(one.question, other.key).right == 0
            ]  # fmt: skip
            said = f"{others[0]}, {one.key}, {others[-1]}" if others else ""
            if said and suite.score(one.question, said).right == 1:
                paid.append(f"{one.id}: {_cut(said)} is right: it names the key, {_cut(one.key)}")
        _expect(
            len(paid) <= (len(made) // 2 if suite.several else 0),
            f"{''.join(paid[:1])}, between those of two other items. Whoever names all answers is always right: "
            "compare the whole value, or the last that is stated",
        )


def a_letter_of_the_key_is_no_answer(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """A letter from inside a word of the key is wrong, unless it is the key."""
    for level in levels or suite.levels:
        for one in _items(suite, min(items, FEW), level):
            inside = "".join(word[1:-1] for word in _WORD.findall(one.key))
            for letter in dict.fromkeys(inside[:FEW]):
                right = suite.score(one.question, letter).right
                _expect(
                    right < 1 or _alike(suite, one, letter),
                    f"{one.id}: {letter!r} is right, which is a letter of the key, {_cut(one.key)}: "
                    "compare the whole value, `value == key` and not `value in key`",
                )


def _alike(suite: Suite, one: Item, said: str) -> bool:
    """Return whether a text states what an item's key does."""
    value, key = suite.found(one.question, said), suite.found(one.question, one.key)
    return value is not None and key is not None and suite.canonical(value) == suite.canonical(key)


def the_constant_answer_is_published(
    suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None, among: Sequence[Item] = (),  # noqa: ARG001
) -> None:  # fmt: skip
    """No answer that looks at no question does better than `floor` says.

    `floor` speaks of the first level. It is measured on 200 items, where it may be off by 0.05; on fewer items, or on `among`,
    which a seed has drawn, chance is allowed for as well.
    """
    constant, share = _published(suite)
    drawn = among[:MEASURED] or some(suite, min(5 * items, MEASURED), suite.levels[0], "floor")
    n = len(drawn)
    counted = Counter[str](one.key for one in drawn)
    said = [one for one in dict.fromkeys((constant, *(key for key, _ in counted.most_common(5)))) if one]
    right = {one: sum(_worth(suite, item, one) for item in drawn) for one in said}
    best = max(right, key=lambda one: right[one])
    low, high = (share - LEEWAY) * n, (share + LEEWAY) * n
    if among or n < MEASURED:
        low, high = _by_chance(share, n)
    remedy = f"is the scorer right? If it is, publish the best one: `floor = ({_cut(best)}, {right[best] / n:.2f})`"
    _expect(
        right[best] <= high + 1e-9,
        f"the constant answer {_cut(best)} gets {right[best] / n:.3f} of {n} items right, and `floor` says {share:g}: {remedy}",
    )
    mine = right.get(constant, 0.0)
    _expect(
        mine >= low - 1e-9,
        f"the answer of `floor`, {_cut(constant)}, gets {mine / n:.3f} of {n} items right, not {share:g}: {remedy}",
    )


def _published(suite: Suite) -> tuple[str, float]:
    floor: object = suite.floor
    match floor:
        case (str(constant), int() | float() as share) if 0 <= share <= 1:
            return constant, share
        case _:
            said = "it is an answer and the share of items that it gets right, from 0 to 1, such as ('yes', 0.75)"
            raise Unmet(f"`floor` is {_cut(floor)}: {said}")


def _worth(suite: Suite, item: Item, said: str) -> float:
    right = suite.score(item.question, said).right
    _expect(0 <= right <= 1, f"{item.id}: the answer {_cut(said)} scores {right:g}: a score is from 0 to 1")
    return right


def _by_chance(share: float, n: int) -> tuple[float, float]:
    """Return between which numbers of right answers among `n` a constant answer stays, but for one time in 1,000.

    The suite is honest if no constant answer's true share is above `share` by more than 0.05, and that of its own is not
    below by more. Upwards: of answers with true shares q that exclude each other, and so sum up to 1 at most, the chance that
    any reaches a number is at most the sum of their tails. A tail divided by q grows with q, so that sum is at most the
    tail of the largest q divided by it: it is at most 1/2,000 where that tail is at most q/2,000. Downwards there is one answer, with 1/2,000.
    Partial credit spreads less than right and wrong with the same mean (Hoeffding), so the same numbers hold.

    >>> _by_chance(0.0, 100), _by_chance(0.5, 100)
    ((0, 16), (29, 72))
    """
    high, low = min(1.0, share + LEEWAY), max(0.0, share - LEEWAY)
    return n - _rarely(n, 1 - low, SELDOM) + 1, _rarely(n, high, SELDOM * high) - 1


def _rarely(n: int, q: float, chance: float) -> int:
    """Return the least number that a count of `n` with share `q` reaches with at most this chance; n + 1 if there is none."""
    if q >= 1:
        return n + 1
    tail, number = 0.0, n + 1
    while number > 0:
        k = number - 1
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        tail += math.exp(ways + k * math.log(q) + (n - k) * math.log1p(-q))
        if tail > chance:
            break
        number = k
    return number


def the_task_has_no_key(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """What a strategy sees is made from the question alone; its examples are right, and of the training split."""
    level = (levels or suite.levels)[0]
    shown = suite.examples(8, level=level)
    trained = {example.question for example in shown}
    _expect(len(trained) == len(shown), f"{len(shown)} solved examples have {len(trained)} different questions")
    for example in shown:
        score = suite.score(example.question, example.answer)
        _expect(
            score.right == 1,
            f"the answer {_cut(example.answer)} of the solved example {_cut(example.question)} is wrong",
        )
    for one in _items(suite, min(items, 5), level):
        task = suite.task(one.question, examples=shown[:2])
        _expect(
            task.question == one.question, f"{one.id}: the task asks {_cut(task.question)}, not {_cut(one.question)}"
        )
        _expect(one.question not in trained, f"{one.id}: the item is a solved example too, {_cut(one.question)}")
    if type(suite).examples is Suite.examples:
        training = {one.question for one in suite.items(8, seed=TRAINING, level=level)}
        _expect(trained == training, "the solved examples are not those of the training split")


def a_public_checker_agrees_with_the_scorer(
    suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None
) -> None:
    """Where the task carries a checker, it passes what scores 1 and nothing else."""
    for level in levels or suite.levels:
        for one in _items(suite, min(items, FEW), level):
            checker = suite.task(one.question).checker
            if checker is None:
                return
            for said in (one.key, *(suite.wrong(suite.read(one.question), number) for number in range(4)), "", "no"):
                verdict: Any = checker(said)
                _expect(isinstance(verdict, Verdict), f"the checker returns {_cut(verdict)}, which is no `Verdict`")
                right = suite.score(one.question, said).right
                does = "passes" if verdict.passed else "does not pass"
                _expect(
                    verdict.passed == (right == 1), f"{one.id}: the checker {does} {_cut(said)}, which scores {right:g}"
                )


def the_oracle_tells_right_from_wrong(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """It accepts what it says is right, and nothing that it says is wrong."""
    oracle = suite.oracle()
    for one in _items(suite, items, (levels or suite.levels)[0]):
        asked = Inquiry("answer", "checks.answer", str, {"question": one.question})
        right = oracle.right(asked)
        _expect(
            oracle.accepts(asked, right), f"{one.id}: the oracle does not accept its own right answer, {_cut(right)}"
        )
        for turn in range(6):
            wrong = oracle.wrong(asked, lambda n, turn=turn: turn % n)
            _expect(
                not oracle.accepts(asked, wrong), f"{one.id}: the oracle accepts its own wrong answer, {_cut(wrong)}"
            )


def steps_lead_where_they_say(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Right steps keep a path alive until it is complete, wrong ones end it."""
    if not suite.stepwise:
        return
    for level in levels or suite.levels:
        for one in _items(suite, max(1, items // 4), level):
            problem = suite.read(one.question)
            path: tuple[str, ...] = ()
            _expect(
                suite.alive(problem, path), f"{one.id}: `alive` says that it cannot be solved before the first step"
            )
            nonsense = ("no step at all",)
            _expect(not suite.alive(problem, nonsense), f"{one.id}: `alive` says that {nonsense} can be completed")
            while (found := suite.steps(problem, path))[0]:
                for step in found[1][:5]:
                    _expect(
                        not suite.alive(problem, (*path, step)),
                        f"{one.id}: after {path} the wrong step {_cut(step)} leads on",
                    )
                path = (*path, found[0][-1])
                _expect(
                    suite.alive(problem, path), f"{one.id}: the right step {_cut(path[-1])} ends the path {path[:-1]}"
                )
                _expect(len(path) < MOST_STEPS, f"{one.id}: {MOST_STEPS} right steps and no end")
            _expect(bool(path), f"{one.id}: `steps` gives no first step that leads on")
            right = suite.score(one.question, suite.solve(problem)).right
            _expect(right == 1, f"{one.id}: what `solve` gives scores {right:g}, not 1")


def the_order_of_options_has_no_effect(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Where an answer is one of several options, a reply scores the same in whatever order `output` names them."""
    if get_origin(suite.output) is not Literal:
        return
    options = get_args(suite.output)
    turned = copy.copy(suite)
    for order in (options[::-1], options[1:] + options[:1]):
        turned.output = Literal[order]
        for one in _items(suite, min(items, FEW), (levels or suite.levels)[0]):
            for said in (
                *map(str, options),
                f"It is not {options[0]}, it is {options[-1]}.",
                " or ".join(map(str, options)),
                "none",
            ):
                before, after = suite.score(one.question, said), turned.score(one.question, said)
                _expect(
                    before == after,
                    f"{one.id}: {_cut(said)} scores {before.right:g}, and {after.right:g} with the options as {order}",
                )


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


CHECKS: Sequence[Check] = (
    the_question_says_all,
    what_is_no_question_is_not_read,
    equal_seeds_give_equal_items,
    every_item_can_be_solved,
    what_is_no_answer_scores_nothing,
    random_text_scores_nothing,
    wrong_answers_are_wrong,
    answers_of_others_score_at_their_true_rate,
    a_number_beside_the_key_is_wrong,
    who_names_many_answers_has_named_none,
    a_letter_of_the_key_is_no_answer,
    the_constant_answer_is_published,
    the_task_has_no_key,
    a_public_checker_agrees_with_the_scorer,
    the_oracle_tells_right_from_wrong,
    steps_lead_where_they_say,
    the_order_of_options_has_no_effect,
)


def check_suite(suite: Suite, items: int = ITEMS, levels: Sequence[int] | None = None) -> None:
    """Run every check; the first that does not hold raises `AssertionError`, which says what was expected.

    Args:
        suite: that is checked.
        items: of each level.
        levels: that are looked at; None: all.
    """
    for check in CHECKS:
        check(suite, items, levels)
