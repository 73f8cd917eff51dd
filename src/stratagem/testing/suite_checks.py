"""What every task suite must pass, ours and those of other packages.

`check_suite(suite)` runs all checks and raises `AssertionError` for what does not hold. One test per check says more:
`@pytest.mark.parametrize("check", CHECKS)` over `def test_my_suite(check): check(MySuite())`.
"""

import random
import string
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from stratagem.core import Inquiry, Verdict, decoded, encoded
from stratagem.tasks import TRAINING, Item, Suite

ITEMS = 40  # of each level
JUNK = (
    "", " ", "\n\n", "?", "I do not know.", "None", "null", "{}", "[]", "nan", "inf", "-", "the answer is", "()", "\x00", "0/0",
    "Simulated reasoning.", "(unreadable)", "9" * 400, "1e999", "\ud800", "((((((((((" * 20,
)  # fmt: skip


def _items(suite: Suite, level: int, seed: str = "checks") -> list[Item]:
    return list(suite.items(ITEMS, seed=seed, level=level))


def the_question_says_all(suite: Suite) -> None:
    """`read` is the inverse of `render`, and problems are JSON data."""
    for level in suite.levels:
        for number in range(ITEMS):
            problem = suite.make(random.Random(number), level)  # noqa: S311
            assert decoded(encoded(problem)) == problem
            assert suite.read(suite.render(problem)) == problem


def what_is_no_question_is_not_read(suite: Suite) -> None:
    """A text that is no question of the suite is a `ValueError`."""
    for text in ("", "What is the capital of France?", "\ud800"):
        try:
            problem = suite.read(text)
        except ValueError:
            continue
        raise AssertionError(f"{suite.name} reads {text!r} as {problem!r}")


def equal_seeds_give_equal_items(suite: Suite) -> None:
    """Items depend on the seed, the level and the number alone; none comes twice, and none is in the training split."""
    for level in suite.levels:
        first = _items(suite, level)
        assert first == _items(suite, level)
        later = list(suite.items(5, seed="checks", level=level, start=ITEMS - 5))
        assert later == first[-5:]
        assert len({one.question for one in first}) == len({one.id for one in first}) == ITEMS
        assert {one.question for one in first} != {one.question for one in _items(suite, level, "others")}
        assert all(one.level == level for one in first)


def every_item_can_be_solved(suite: Suite) -> None:
    """The reference scores 1, is never in the question's task, and is found in a sentence around it."""
    for level in suite.levels:
        for one in _items(suite, level):
            score = suite.score(one.question, one.key)
            assert score == (1.0, True), f"{one.id}: its key {one.key!r} scores {score}"
            assert suite.score(one.question, f"Let me think. The answer is {one.key}").right == 1


def what_is_no_answer_scores_nothing(suite: Suite) -> None:
    """Empty, junk, and the question itself score 0."""
    for level in suite.levels:
        for one in _items(suite, level)[:10]:
            for junk in (
                *JUNK,
                one.question,
                f"{one.question} {one.question}",
                f"You ask: {one.question} I do not know.",
            ):
                score = suite.score(one.question, junk)
                assert score.right == 0, f"{one.id}: {junk[:40]!r} scores {score.right}"


def random_text_scores_nothing(suite: Suite) -> None:
    """Printable noise neither raises nor scores."""
    dice = random.Random(suite.name)  # noqa: S311
    for one in _items(suite, suite.levels[0])[:10]:
        for _ in range(30):
            noise = "".join(dice.choices(string.ascii_letters + string.punctuation + " \n", k=dice.randrange(1, 120)))
            assert suite.score(one.question, noise).right in (0, 1 if suite.output is bool else 0), noise


def wrong_answers_are_wrong(suite: Suite) -> None:
    """What the oracle says wrongly is parsed, and scores less than 1."""
    for level in suite.levels:
        for one in _items(suite, level):
            problem = suite.read(one.question)
            for number in range(8):
                score = suite.score(one.question, suite.wrong(problem, number))
                assert score.parsed
                assert score.right < 1, f"{one.id}: wrong answer {number}, {suite.wrong(problem, number)!r}, is right"
            assert suite.wrong(problem, 0) == suite.wrong(problem, 0)


def answers_of_others_score_at_their_true_rate(suite: Suite) -> None:
    """The answer of another item is right as often as the two keys mean the same, and no oftener."""
    for level in suite.levels:
        items = _items(suite, level)
        for one, other in pairwise(items):
            alike = bool(suite.right(suite.read(one.question), suite.extract(other.key)) == 1)
            assert suite.score(one.question, other.key).right == float(alike)


def the_constant_answer_is_published(suite: Suite) -> None:
    """No answer that looks at no question does better than `floor` says."""
    constant, share = suite.floor
    items = list(suite.items(200, seed="floor", level=suite.levels[0]))
    counted: Counter[str] = Counter(one.key for one in items)
    candidates = [constant, *(key for key, _ in counted.most_common(5))]
    best = max(sum(suite.score(one.question, said).right for one in items) / len(items) for said in candidates if said)
    assert best <= share + 0.05, f"a constant answer gets {best:.3f}; `floor` says {share}"
    mine = sum(suite.score(one.question, constant).right for one in items) / len(items)
    assert abs(mine - share) <= 0.05, f"the answer of `floor` gets {mine:.3f}, not {share}"


def the_task_has_no_key(suite: Suite) -> None:
    """What a strategy sees is made from the question alone; its examples are of the training split."""
    trained = {example.question for example in suite.examples(8)}
    assert len(trained) == 8
    for one in _items(suite, suite.levels[0])[:5]:
        task = suite.task(one.question, examples=suite.examples(2))
        assert task.question == one.question
        assert one.question not in trained
    assert trained == {one.question for one in suite.items(8, seed=TRAINING, level=suite.levels[0])}


def a_public_checker_agrees_with_the_scorer(suite: Suite) -> None:
    """Where the task carries a checker, it passes what scores 1 and nothing else."""
    for level in suite.levels:
        for one in _items(suite, level)[:10]:
            checker = suite.task(one.question).checker
            if checker is None:
                return
            for said in (one.key, *(suite.wrong(suite.read(one.question), number) for number in range(4)), "", "no"):
                verdict = checker(said)
                assert isinstance(verdict, Verdict)
                assert verdict.passed == (suite.score(one.question, said).right == 1), (one.id, said, verdict)


def the_oracle_tells_right_from_wrong(suite: Suite) -> None:
    """It accepts what it says is right, and nothing that it says is wrong."""
    oracle = suite.oracle()
    for one in _items(suite, suite.levels[0]):
        asked = Inquiry("answer", "checks.answer", str, {"question": one.question})
        assert oracle.accepts(asked, oracle.right(asked))
        assert not any(oracle.accepts(asked, oracle.wrong(asked, lambda n, k=k: k % n)) for k in range(6))


def steps_lead_where_they_say(suite: Suite) -> None:
    """Right steps keep a path alive until it is complete, wrong ones end it."""
    if not suite.stepwise:
        return
    for level in suite.levels:
        for one in _items(suite, level)[:10]:
            problem = suite.read(one.question)
            path: tuple[str, ...] = ()
            assert suite.alive(problem, path)
            assert not suite.alive(problem, ("no step at all",))
            while (found := suite.steps(problem, path))[0]:
                assert not any(suite.alive(problem, (*path, step)) for step in found[1][:5])
                path = (*path, found[0][-1])
                assert suite.alive(problem, path)
            assert path
            assert suite.score(one.question, suite.solve(problem)).right == 1


CHECKS: Sequence[Callable[[Suite], None]] = (
    the_question_says_all,
    what_is_no_question_is_not_read,
    equal_seeds_give_equal_items,
    every_item_can_be_solved,
    what_is_no_answer_scores_nothing,
    random_text_scores_nothing,
    wrong_answers_are_wrong,
    answers_of_others_score_at_their_true_rate,
    the_constant_answer_is_published,
    the_task_has_no_key,
    a_public_checker_agrees_with_the_scorer,
    the_oracle_tells_right_from_wrong,
    steps_lead_where_they_say,
)


def check_suite(suite: Suite) -> None:
    """Run every check; the first that fails raises `AssertionError`."""
    for check in CHECKS:
        check(suite)
