"""Strategies, judges, operations: bounds, settings, spec strings."""

from collections.abc import Callable
from typing import Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem import strategies
from stratagem.core import (
    Answer,
    Judge,
    Operation,
    PairJudge,
    Preference,
    Run,
    Share,
    Strategy,
    Task,
    Temperature,
    Verdict,
    judge,
    operation,
    parse_spec,
    strategy,
)
from stratagem.errors import UsageError
from stratagem.judges.self_check import self_check
from stratagem.session._loading import found as find
from stratagem.strategies.basic.direct import answer
from stratagem.strategies.sampling.self_consistency import self_consistency
from stratagem.testing import scripted


def test_a_spec_string_round_trips() -> None:
    text = "autonomous_agent(actor=self_consistency(n=5, sampler=react(repeats=2, thoughts=False)), rounds=4)"
    made = parse_spec(text, find)
    assert repr(made) == text
    assert parse_spec(repr(made), find) == made != strategies.autonomous_agent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "react(",
        "nobody",
        "__import__('os')",
        "react(7)",
        "react(max_steps=1+1)",
        "react.fn",
        "react(max_step=3)",
        "7",
    ],
)
def test_a_bad_spec_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(text, find)


@given(st.integers(1, 99), st.floats(0, 2, allow_nan=False))
def test_every_setting_round_trips(n: int, temperature: float) -> None:
    made = self_consistency.using(n=n, temperature=temperature)
    assert parse_spec(repr(made), find) == made


@judge(calls="1", lower="1", needs="checker")
async def checked(run: Run, task: Task, answer: Answer) -> Verdict:
    return Verdict(True, 1.0)


@strategy(calls="trials * (actor + judge) + trials - 1", lower="actor + judge")
async def trying(
    run: Run, task: Task, *, actor: Strategy = strategies.direct, judge: Judge = checked, trials: int = 3
) -> Answer:
    return await actor(run, task)


def test_the_bound_of_a_composition_follows_from_its_parts() -> None:
    made = trying.using(actor=self_consistency.using(n=5))
    assert (made.max_calls, made.min_calls) == (3 * (5 + 1) + 2, 5 + 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"n": True}, "n must be an integer, got True"),
        ({"samples": 1}, "no parameter 'samples'; did you mean 'sampler'"),
        ({"temperature": float("nan")}, "temperature must be a number, got nan"),
        ({"temperature": 3}, r"temperature must be in \[0, 2\]"),
        ({"sampler": len}, "sampler must be made by @strategy"),
    ],
)
async def test_a_wrong_parameter_is_named_before_the_first_call(settings: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        self_consistency.using(**settings)
    run = scripted({})
    with pytest.raises(UsageError, match=message):
        await self_consistency(run, Task("?"), **settings)
    assert not run.ledger


async def test_needs_are_the_union_of_the_parts_and_the_answer_carries_them() -> None:
    assert strategies.direct.needs == frozenset()
    assert trying.needs == self_consistency.using(sampler=trying).needs == frozenset({"checker"})
    run = scripted({answer: lambda question, notes: "yes"})
    assert (await trying(run, Task("?"))).needs == {"checker"}
    assert (await strategies.direct(run, Task("?"))).needs == frozenset()


async def test_needs_of_what_is_given_with_the_call_are_carried_too() -> None:
    run = scripted({answer: lambda question, notes: "yes"})
    assert (await trying(run, Task("?"), judge=self_check)).needs == frozenset()
    assert (await trying(run, Task("?"), judge=self_check, actor=trying)).needs == {"checker"}


async def test_a_strategy_that_uses_a_truth_itself_says_so() -> None:
    @strategy(calls="0", needs="labels")
    async def trained(run: Run, task: Task) -> Answer:
        return task.answer("yes")

    assert (await trained(scripted({}), Task("?"))).needs == {"labels"}
    assert trying.using(actor=trained).needs == {"checker", "labels"}
    with pytest.raises(UsageError, match="needs must be one of nothing, checker, reward, labels, got 'key'"):
        strategy(calls="0", needs=cast("Any", "key"))(trained.fn)


@pytest.mark.parametrize("formula", ["m", "n ** 2", "n / 2", "abs(n)", "n.real"])
def test_a_formula_keeps_to_its_grammar(formula: str) -> None:
    with pytest.raises(UsageError):

        @strategy(ids=[], paper="none", calls=formula)
        async def broken(run: Run, task: Task, *, n: int = 1) -> Answer:
            return Answer("")


def test_a_formula_over_several_strategies() -> None:
    @strategy(ids=[], paper="none", calls="rounds * sum(panel) + max(n, 2) + len(panel) // 2", lower="0")
    async def debate(
        run: Run,
        task: Task,
        *,
        panel: tuple[Strategy, ...] = (strategies.direct, strategies.react),
        rounds: int = 2,
        n: int = 1,
        heat: Temperature = 1.0,
    ) -> Answer:
        return Answer("")

    assert debate.max_calls == 2 * (1 + 7) + 2 + 1
    assert debate.using(panel=(strategies.direct,) * 2).max_calls == 2 * 2 + 2 + 1


def test_a_formula_may_choose() -> None:
    @strategy(calls="(3 if deep else 1) * (2 if mode == 'pair' else n)")
    async def choosing(
        run: Run, task: Task, *, deep: bool = False, mode: Literal["pair", "all"] = "all", n: int = 9
    ) -> Answer:
        return Answer("")

    assert [choosing.max_calls, choosing.using(deep=True).max_calls] == [9, 27]
    assert choosing.using(mode="pair").max_calls == 2


@operation(calls="n * critic + 1", lower="n")
async def review(run: Run, drafts: tuple[str, ...], *, critic: Strategy = strategies.direct, n_best: int = 1) -> str:
    found = await run.map(lambda run, draft: critic(run, Task(draft)), drafts)
    return found[0].text


def test_an_operation_stands_for_its_bound() -> None:
    @strategy(calls="rounds * check(2 * rounds)", lower="check(1)")
    async def reviewing(run: Run, task: Task, *, check: Operation[str] = review, rounds: int = 3) -> Answer:
        return Answer(await check(run, (task.question,)))

    assert (reviewing.max_calls, reviewing.min_calls) == (3 * (6 * 1 + 1), 1)
    assert reviewing.using(check=review.using(critic=strategies.react)).max_calls == 3 * (6 * 7 + 1)
    assert repr(reviewing.using(check=review.using(n_best=2))) == "reviewing(check=review(n_best=2))"
    with pytest.raises(UsageError, match="depends on `n`: write it with an argument"):

        @strategy(calls="check")
        async def vague(run: Run, task: Task, *, check: Operation[str] = review) -> Answer:
            return Answer("")


async def test_an_operation_opens_a_scope_and_checks_its_settings() -> None:
    run = scripted({answer: lambda question, notes: question})
    assert await review(run, ("a", "b")) == "a"
    assert [asked.path for asked in run.ledger] == ["review/map[0]/direct", "review/map[1]/direct"]
    with pytest.raises(UsageError, match="n_best must be an integer"):
        await review(run, ("a",), n_best="x")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="drafts is an argument"):
        review.using(drafts=())


def test_an_undecorated_part_is_refused_by_the_name_of_its_decorator() -> None:
    with pytest.raises(UsageError, match=r"made by @operation"):

        @strategy(calls="check(1)")
        async def broken(run: Run, task: Task, *, check: Operation[str] = len) -> Answer:  # pyright: ignore[reportArgumentType]
            return Answer("")

    with pytest.raises(UsageError, match=r"decorate it with @strategy, @judge or @operation"):

        @strategy(calls="check")
        async def looser(run: Run, task: Task, *, check: Callable[..., Any] = len) -> Answer:
            return Answer("")


@pytest.mark.parametrize("formula", ["n", "2 if size else 1"])
def test_n_needs_something_to_count(formula: str) -> None:
    with pytest.raises(UsageError, match="is no parameter"):

        @operation(calls=formula)
        async def unsized(run: Run, text: str) -> str:
            return text


@judge(calls="1", lower="1", needs="nothing")
async def prefer(run: Run, task: Task, answer: Answer, rival: Answer, *, bias: Share = 0.0) -> Preference:
    return Preference(bias + (len(answer.text) > len(rival.text)))


async def test_a_judge_with_a_rival_is_pairwise() -> None:
    run = scripted({})
    assert await prefer(run, Task("?"), Answer("long"), Answer("no")) == Preference(1.0)
    assert (await prefer.using(bias=0.5)(run, Task("?"), Answer("a"), Answer("b"))).first == 0.5
    with pytest.raises(UsageError, match="perhaps rival"):

        @judge(calls="1", needs="nothing")
        async def broken(run: Run, task: Task, answer: Answer, other: Answer) -> Preference:
            return Preference(0.5)


def test_a_tournament_counts_its_pairwise_judge() -> None:
    @strategy(calls="(n - 1) * judge", lower="n - 1")
    async def tournament(run: Run, task: Task, *, judge: PairJudge = prefer, n: int = 4) -> Answer:
        return Answer("")

    assert tournament.max_calls == 3


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("self_consistency(sampler='my.py:solve')", ["self_consistency", "my.py:solve"]),
        ("self_consistency(sampler='dir/my.py:solve(n=1)', n=2)", ["self_consistency", "dir/my.py:solve"]),
        ("my.py:solve", ["my.py:solve"]),
        ("self_consistency(n=2, sampler=dir/my.py:solve(n=1))", ["self_consistency", "dir/my.py:solve"]),
        ("my.py:solve(sampler = ./my.py:other)", ["my.py:solve", "./my.py:other"]),
        ("my.py:solve(sampler='a b.py:other')", ["my.py:solve", "a b.py:other"]),
        ("./a b/my.py:solve(n=3)", ["./a b/my.py:solve"]),
        ("C:\\a\\my.py:solve", ["C:\\a\\my.py:solve"]),
    ],
)
def test_a_spec_may_name_a_file_outside_and_inside(text: str, asked: list[str]) -> None:
    names: list[str] = []

    def found(name: str) -> Any:
        names.append(name)
        return self_consistency

    parse_spec(text, found)
    assert names == asked


def test_what_only_the_own_file_defines_is_refused_within_a_spec_with_how_it_is_named() -> None:
    known = {"my.py:solve": self_consistency, "my.py:other": strategies.direct}

    def found(name: str) -> Any:
        if name not in known:
            raise UsageError(f"there is no {name}")
        return known[name]

    with pytest.raises(UsageError, match=r"what my\.py defines is named with its file") as refused:
        parse_spec("my.py:solve(sampler=other(n=1))", found)
    assert refused.value.remedy == "Write my.py:other."
    with pytest.raises(UsageError, match=r"^there is no nobody$"):
        parse_spec("my.py:solve(sampler=nobody)", found)
    with pytest.raises(UsageError, match=r"write names and literals, not 'my\.py'") as refused:
        parse_spec("self_consistency(sampler=my.py)", find)
    assert refused.value.remedy == "Write my.py:NAME."
    with pytest.raises(UsageError, match=r"not 'my.py:a \+ 1'"):
        parse_spec("self_consistency(n=my.py:a + 1)", find)
