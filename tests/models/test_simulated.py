"""`sim:`: what its parameters state is what is seen, and a draw depends on its place alone."""

import contextlib
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

import stratagem
from stratagem.core import Inquiry, Preference, Reply, Role, Transcript, Verdict, signature
from stratagem.core._inquiry import grades, kind_of
from stratagem.errors import CapabilityError, NoAnswer, UsageError
from stratagem.models._competence import Competence
from stratagem.models.simulated import SimulatedModel
from stratagem.strategies import chain_of_thought, direct, react, self_consistency, zero_shot_chain_of_thought
from stratagem.tasks import suite
from stratagem.tasks.blocksworld import Blocksworld

WORDS = suite("word_problems")
GAME = suite("game24")


def near(seen, expected, n):
    """Within four standard errors."""
    return abs(seen - expected) <= 4 * math.sqrt(max(expected * (1 - expected), 0.01) / n)


async def scored(strategy, spec, *, n=1000, task_suite=WORDS, seed=0, level=1):
    model = SimulatedModel(spec, task_suite.oracle())
    right = 0.0
    async with stratagem.open(model=model, journal="memory", seed=seed) as session:
        for item in task_suite.items(n, seed="sim", level=level):
            answer = await session.run(strategy, task_suite.task(item.question))
            right += task_suite.score(item.question, answer.text).right
    return right / n


@pytest.mark.parametrize("strategy", [direct, chain_of_thought, zero_shot_chain_of_thought])
async def test_a_strategy_of_one_answer_is_right_as_often_as_the_skill_says(strategy):
    assert near(await scored(strategy, "sim:skill=0.3"), 0.3, 1000)


def majority(n, p):
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n // 2 + 1, n + 1))


@pytest.mark.parametrize("cause", [0.0, 0.4])
async def test_a_vote_follows_the_mixture_of_common_and_own_causes(cause):
    p, n = 0.6, 5
    expected = p * majority(n, cause + (1 - cause) * p) + (1 - p) * majority(n, (1 - cause) * p)
    seen = await scored(self_consistency.using(n=n), f"sim:skill={p},cause={cause},spread=1")
    assert near(seen, expected, 1000)


async def test_a_draw_depends_on_its_place_and_the_seeds_alone():
    once = await scored(self_consistency.using(n=3), "sim:skill=0.5", n=50)
    assert once == await scored(self_consistency.using(n=3), "sim:skill=0.5", n=50)
    assert once != await scored(self_consistency.using(n=3), "sim:skill=0.5,seed=9", n=50)


async def test_what_a_model_was_asked_before_does_not_matter():
    tasks = [WORDS.task(item.question) for item in WORDS.items(2, seed="again")]
    model = SimulatedModel("sim:skill=0.5,cause=0.3", WORDS.oracle())  # one for all, as in a comparison

    async def said(task, seed, model):
        async with stratagem.open(model=model, journal="memory", seed=seed) as session:
            return (await session.run(self_consistency.using(n=4, sampler=direct), task)).text

    for task, seed in [(tasks[0], 1), (tasks[0], 2), (tasks[1], 2), (tasks[0], 1), (tasks[0], 3)]:
        fresh = SimulatedModel(model.spec, WORDS.oracle())
        assert await said(task, seed, model) == await said(task, seed, fresh)


async def test_without_an_oracle_it_knows_nothing():
    async with stratagem.open(model="sim:skill=0.9", journal="memory") as session:
        with pytest.raises(UsageError, match="knows nothing by itself"):
            await session.run(direct, "What is 2 + 2?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("skil=0.7", "no parameter 'skil'; did you mean 'skill'"),
        ("skill=1.7", r"skill must be a number in \[0, 1\], got '1.7'"),
        ("skill=nan", "skill must be a number"),
        ("spread=2.5", "spread must be a whole number"),
        ("skill=0.5,skill=0.6", "skill is given twice"),
        ("skill", "skill must be a number"),
        ("position=0.6,length=0.6", "more than 1"),
    ],
)
def test_parameters_are_checked(text, said):
    with pytest.raises(UsageError, match=said):
        Competence.parse(text)


def test_a_spec_names_what_differs_from_the_defaults():
    assert SimulatedModel("sim:seed=1099511627776,skill=0.70, judge=0.9").spec == "sim:judge=0.9,seed=1099511627776"
    assert SimulatedModel("sim:").spec == "sim:"


@dataclass(frozen=True)
class Rated:
    reason: str
    answer: str


@signature
def propose(question: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """Say what may come next."""
    ...


@signature
def extend(question: str, path: tuple[str, ...]) -> Annotated[str, Role("path")]:
    """Say what comes next."""
    ...


@signature
def rate(question: str, path: tuple[str, ...]) -> Literal["sure", "likely", "impossible"]:
    """Say whether this can still be completed."""
    ...


@signature
def vote(question: str, candidates: tuple[str, ...]) -> int:
    """Choose the best."""
    ...


@signature
def verify(question: str, answer: str) -> Verdict:
    """Check it."""
    ...


@signature
def prefer(question: str, answer: str, rival: str) -> Preference:
    """Compare."""
    ...


@signature
def reflect(question: str, steps: Transcript, feedback: str) -> Annotated[str, Role("lessons")]:
    """Say what to do better."""
    ...


@signature
def refine(question: str, attempt: str, feedback: str) -> str:
    """Do it better."""
    ...


@signature
def solve(question: str) -> Rated:
    """Solve it."""
    ...


@signature
def strange(question: str, colour: str) -> str:
    """Paint it."""
    ...


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (propose, "thoughts"), (extend, "thought"), (rate, "grade"), (vote, "choice"), (verify, "grade"), (prefer, "preference"),
        (reflect, "lesson"), (refine, "answer"), (solve, "answer"),
    ],
)  # fmt: skip
def test_a_signature_is_understood_by_its_roles_and_types(declared, kind):
    assert kind_of(declared) == kind


def test_a_grade_is_the_best_or_the_worst_of_its_type():
    assert grades(Literal["sure", "likely", "impossible"]) == ("sure", "impossible")
    assert grades(bool) == (True, False)
    assert grades(str) is None


async def asked(declared, spec, n=400, *, temperature=1.0, made=SimulatedModel, **inputs):
    """Ask one thing many times; return the replies."""
    from stratagem.core import strategy

    replies = []

    @strategy(calls=f"{n}")
    async def asks(run, task):
        """Ask."""
        for draw in await run.using(temperature=temperature).sample(declared, n, **inputs):
            replies.append(draw)
        return task.answer("done")

    model = made(spec, (GAME if "Use each" in inputs["question"] else WORDS).oracle())
    async with stratagem.open(model=model, journal="memory") as session:
        await session.run(asks, inputs["question"])
    assert len(replies) == n
    return replies


ONE = next(WORDS.items(1))
HAND = GAME.render([4, 9, 10, 13])


async def test_a_judge_passes_at_its_two_rates():
    wrong = WORDS.wrong(WORDS.read(ONE.question), 0)
    good = await asked(verify, "sim:tpr=0.9,fpr=0.3", question=ONE.question, answer=ONE.key)
    bad = await asked(verify, "sim:tpr=0.9,fpr=0.3", question=ONE.question, answer=wrong)
    assert near(sum(one.passed for one in good) / 400, 0.9, 400)
    assert near(sum(one.passed for one in bad) / 400, 0.3, 400)


async def test_feedback_helps_and_harms_as_often_as_stated():
    wrong = WORDS.wrong(WORDS.read(ONE.question), 0)
    helped = await asked(refine, "sim:critic=0.4,harm=0.2", question=ONE.question, attempt=wrong, feedback="no")
    harmed = await asked(refine, "sim:critic=0.4,harm=0.2", question=ONE.question, attempt=ONE.key, feedback="no")
    assert near(helped.count(ONE.key) / 400, 0.4, 400)
    assert near(harmed.count(ONE.key) / 400, 0.8, 400)


@pytest.mark.parametrize("cause", [0.0, 0.5, 1.0])
async def test_feedback_helps_and_harms_as_often_as_stated_whatever_attempts_have_in_common(cause):
    from stratagem.core import strategy

    counted = {(before, after): 0 for before in (0, 1) for after in (0, 1)}

    @strategy(calls="2")
    async def corrected(run, task):
        """Solve, then correct."""
        first = (await run.ask(solve, question=task.question)).answer
        second = await run.ask(refine, question=task.question, attempt=first, feedback="no")
        counted[int(WORDS.score(task.question, first).right), int(WORDS.score(task.question, second).right)] += 1
        return task.answer(second)

    model = SimulatedModel(f"sim:skill=0.5,critic=0.4,harm=0.2,cause={cause}", WORDS.oracle())
    async with stratagem.open(model=model, journal="memory") as session:
        for item in WORDS.items(600, seed="corrected"):
            await session.run(corrected, WORDS.task(item.question))
    wrong, right = counted[0, 0] + counted[0, 1], counted[1, 0] + counted[1, 1]
    assert near(right / 600, 0.5, 600)
    assert near(counted[0, 1] / wrong, 0.4, wrong)
    assert near(counted[1, 0] / right, 0.2, right)


async def test_corrections_of_one_attempt_have_an_outcome_in_common():
    wrong = WORDS.wrong(WORDS.read(ONE.question), 0)
    said = await asked(
        refine, "sim:critic=0.4,cause=1,spread=1", n=30, question=ONE.question, attempt=wrong, feedback="no"
    )
    assert len(set(said)) == 1


async def test_a_thought_is_a_step_that_leads_on_as_often_as_stated():
    right, wrong = GAME.steps([4, 9, 10, 13], ())
    said = await asked(extend, "sim:step=0.6", question=HAND, path=())
    assert near(sum(one in right for one in said) / 400, 0.6, 400)
    assert set(said) <= {*right, *wrong}
    several = await asked(propose, "sim:step=0.6,branch=3", n=20, question=HAND, path=())
    assert all(len(set(one)) == 3 for one in several)


async def test_a_dead_path_is_told_from_one_that_lives():
    right, wrong = GAME.steps([4, 9, 10, 13], ())
    assert set(await asked(rate, "sim:judge=1", n=5, question=HAND, path=(right[0],))) == {"sure"}
    assert set(await asked(rate, "sim:judge=1", n=5, question=HAND, path=(wrong[0],))) == {"impossible"}
    assert "impossible" not in await asked(rate, "sim:judge=0", n=5, question=HAND, path=(wrong[0],))


async def test_a_choice_follows_the_judge_and_its_bias():
    wrong = WORDS.wrong(WORDS.read(ONE.question), 0)
    pair = (wrong, ONE.key)
    assert set(await asked(vote, "sim:judge=1", n=20, question=ONE.question, candidates=pair)) == {2}
    assert set(await asked(vote, "sim:position=1", n=20, question=ONE.question, candidates=pair)) == {1}
    biased = await asked(prefer, "sim:judge=1,position=0.5", question=ONE.question, answer=wrong, rival=ONE.key)
    assert near(sum(one.first for one in biased) / 400, 0.5, 400)


async def test_a_judge_that_likes_length_takes_the_longest_and_the_first_of_equals():
    wrong = WORDS.wrong(WORDS.read(ONE.question), 0)
    long = f"{wrong}, as far as I can see"
    pair, equals = (ONE.key, long), ("28", ONE.key)
    assert ONE.key == "29"
    assert set(await asked(vote, "sim:judge=1,length=1", n=20, question=ONE.question, candidates=pair)) == {2}
    assert set(await asked(vote, "sim:judge=1,length=1", n=20, question=ONE.question, candidates=equals)) == {1}
    biased = await asked(vote, "sim:judge=1,length=0.4", question=ONE.question, candidates=pair)
    assert near(biased.count(2) / 400, 0.4, 400)
    both = await asked(vote, "sim:judge=1,position=0.3,length=0.3", question=ONE.question, candidates=equals)
    assert near(both.count(1) / 400, 0.6, 400)
    rated = await asked(prefer, "sim:judge=1,length=0.4", question=ONE.question, answer=ONE.key, rival=long)
    assert near(sum(one.first for one in rated) / 400, 0.6, 400)


@pytest.mark.parametrize(("temperature", "skill"), [(0.25, 0.8), (1.0, 0.5)])
async def test_heat_takes_from_the_skill_by_the_temperature(temperature, skill):
    said = await asked(solve, "sim:skill=0.9,heat=0.4", temperature=temperature, question=ONE.question)
    assert near(sum(one.answer == ONE.key for one in said) / 400, skill, 400)


async def test_heat_takes_nothing_from_a_greedy_model():
    assert await scored(direct, "sim:skill=0.6,heat=1", n=200) == await scored(direct, "sim:skill=0.6", n=200)


@pytest.mark.parametrize("decay", [4, 9])
async def test_skill_decays_with_the_length_of_a_prompt(decay):
    lengths = set()

    class Measured(SimulatedModel):
        def complete(self, request, *, on_delta=None):
            lengths.add(len(request.message))
            return super().complete(request, on_delta=on_delta)

    said = await asked(solve, f"sim:skill=0.9,decay={decay}", made=Measured, question=ONE.question)
    (length,) = lengths
    kept = math.exp(-decay * length / 4000)
    assert kept < 0.85
    assert near(sum(one.answer == ONE.key for one in said) / 400, 0.9 * kept, 400)


async def test_a_greedy_draw_is_the_same_wherever_it_is_made():
    spec = "sim:skill=0.5,spread=50"
    assert len({one.answer for one in await asked(solve, spec, n=20, temperature=0.0, question=ONE.question)}) == 1
    assert len({one.answer for one in await asked(solve, spec, n=20, question=ONE.question)}) > 5
    several = await told(*[(solve, {"question": ONE.question})] * 5, spec=spec)
    assert len({one.answer for one in several}) == 1


async def test_what_cannot_be_understood_is_said_before_anything_is_invented():
    with pytest.raises(CapabilityError, match="what its input 'colour' means"):
        await asked(strange, "sim:", question=ONE.question, colour="red")


async def test_garbled_and_refused_replies_come_as_often_as_stated():
    garbled = await scored(chain_of_thought, "sim:skill=1,format=0.3", n=500)
    assert near(garbled, 0.7 + 0.3 * 0.7, 500)  # one repair by default
    assert near(await scored(direct, "sim:skill=1,refuse=0.2", n=500), 0.8, 500)


def test_an_oracle_reads_the_question_and_nothing_else():
    oracle = WORDS.oracle()
    assert oracle.right(Inquiry("answer", "x", str, {"question": ONE.question})) == ONE.key


@signature
def learn(question: str, attempt: str, lessons: tuple[str, ...]) -> Annotated[str, Role("lessons")]:
    """Say what to do better."""
    ...


@signature
def criticise(question: str, attempt: str) -> Annotated[str, Role("feedback")]:
    """Say what is wrong."""
    ...


async def told(*asks, spec="sim:"):
    """Ask each thing once at temperature 0; return the replies."""
    from stratagem.core import strategy

    replies = []

    @strategy(calls=f"{len(asks)}")
    async def asks_all(run, task):
        """Ask."""
        for declared, inputs in asks:
            replies.append(await run.ask(declared, **inputs))
        return task.answer("done")

    async with stratagem.open(model=SimulatedModel(spec, WORDS.oracle()), journal="memory") as session:
        await session.run(asks_all, ONE.question)
    return replies


async def test_every_lesson_is_a_text_of_its_own_and_of_the_same_length():
    other = [*WORDS.items(2)][1]
    first, again, elsewhere = await told(
        (learn, {"question": ONE.question, "attempt": "1", "lessons": ()}),
        (learn, {"question": ONE.question, "attempt": "1", "lessons": ()}),
        (learn, {"question": other.question, "attempt": "1", "lessons": ()}),
    )
    assert first == again
    chain = [first]
    for _ in range(9):  # as many as the code of the paper makes, of which only the last is shown
        chain += await told((learn, {"question": ONE.question, "attempt": "1", "lessons": (chain[-1],)}))
    assert len({elsewhere, *chain}) == 11
    assert {len(one) for one in (elsewhere, *chain)} == {62}


async def test_a_lesson_is_the_same_whatever_was_wrong_at_any_competence():
    asks = [(learn, {"question": ONE.question, "attempt": one, "lessons": ()}) for one in ("1", "2")]
    assert len({*await told(*asks), *await told(*asks, spec="sim:skill=0.1,judge=0.6")}) == 1
    assert await told(*asks[:1]) != await told(*asks[:1], spec="sim:seed=1")


async def test_a_lesson_without_earlier_ones_and_feedback_differ_by_what_they_are_about():
    steps = Transcript()
    replies = await told(
        *((reflect, {"question": ONE.question, "steps": steps, "feedback": one}) for one in ("bad", "worse")),
        *((criticise, {"question": ONE.question, "attempt": one}) for one in ("1", "2")),
    )
    assert len(set(replies)) == 4
    assert len(replies[0]) == len(replies[1])
    assert len(replies[2]) == len(replies[3])


async def test_lessons_that_are_drawn_differ():
    assert len(set(await asked(learn, "sim:", n=20, question=ONE.question, attempt="1", lessons=()))) == 20


async def heard(strategy, spec, of, question, most):
    """Return what a model said and what it cost, call by call, and the answer's text."""
    replies, said = [], ""

    class Heard(SimulatedModel):
        def complete(self, request, *, on_delta=None):
            reply = super().complete(request, on_delta=on_delta)
            assert isinstance(reply, Reply)
            assert reply.usage is not None
            tokens = reply.usage.completion_tokens
            replies.extend((one.text, one.calls, one.finish, tokens) for one in reply.samples)
            return reply

    options = {"max_tokens": most}
    async with stratagem.open(model=Heard(spec, of.oracle()), journal="memory", options=options) as session:
        with contextlib.suppress(NoAnswer):
            said = (await session.run(strategy, of.task(question))).text
    return replies, said


@pytest.mark.parametrize(
    ("most", "text", "finish", "tokens", "answer"),
    [
        (70, "Simulated reasoning. The answer is 29.", "stop", 70, "29"),
        (69, "Simulated reasoning. The answer is 2", "length", 69, "2"),
        (65, "Simulated reasoning.", "length", 65, ""),
        (60, "", "length", 60, ""),
        (12, "", "length", 12, ""),
    ],
)
async def test_a_reply_is_cut_at_max_tokens_and_its_reasoning_counts_first(most, text, finish, tokens, answer):
    replies, said = await heard(chain_of_thought, "sim:skill=1", WORDS, ONE.question, most)
    assert replies == [(text, (), finish, tokens)] * (1 if answer else 2)  # what cannot be read is asked again, once
    assert said == answer


async def test_a_reply_without_reasoning_is_cut_where_it_is_too_long_itself():
    key = GAME.solve([4, 9, 10, 13])
    whole, part = -(-len(key) // 4), len(key) // 8
    replies, said = await heard(direct, "sim:skill=1", GAME, HAND, whole)
    assert (replies, said) == ([(key, (), "stop", whole)], key)
    replies, _ = await heard(direct, "sim:skill=1", GAME, HAND, part)
    assert replies == [(key[: 4 * part], (), "length", part)]


@pytest.mark.parametrize(("most", "finish"), [(25, "stop"), (24, "length")])
async def test_a_call_of_a_tool_is_lost_with_the_end_of_its_reply(most, finish):
    acting = Blocksworld(acting=True)
    question = next(acting.items(1)).question
    replies, _ = await heard(react.using(max_steps=1), "sim:skill=1,words=20", acting, question, most)
    text, calls, finished, tokens = replies[0]
    assert (text, finished, tokens) == ("Simulated reasoning."[: 4 * (most - 20)], finish, most)
    assert len(calls) == (finish == "stop")


async def test_a_reply_that_a_budget_cuts_is_refused_and_what_came_before_it_stands():
    async def tried(budget):
        async with stratagem.open(model=SimulatedModel("sim:skill=1", WORDS.oracle()), journal="memory") as session:
            return await session.run(self_consistency.using(n=10), WORDS.task(ONE.question), budget=budget)

    whole = (await tried("")).usage
    each = whole.tokens // 10
    for room, calls in ((3 * each, 3), (3 * each + whole.prompt_tokens // 10 + 5, 4)):
        answer = await tried(f"tokens={room}")
        assert (answer.text, answer.usage.calls) == (ONE.key, calls)  # the fourth is paid for and says nothing
        assert answer.usage.tokens <= room
    alone = await tried(f"tokens={each - 1}")
    assert (alone.text, alone.stop, alone.usage.calls) == ("", "budget", 1)
