"""What a Python caller gives: each mistake is named in a sentence, with what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from stratagem import Budget, lab
from stratagem.errors import UsageError
from stratagem.lab._given import budget_given, seed_given
from stratagem.models import open_model
from stratagem.strategies import direct, self_consistency

SMALL: dict[str, Any] = {"budget": "calls=1", "items": 2, "baselines": False, "processes": 1}


def refused(*given: Any, **settings: Any) -> tuple[str, str]:
    """Return message and remedy of a comparison that is refused."""
    what: Any = given or ("game24", [direct])
    with pytest.raises(UsageError) as caught:
        lab.compare(*what, **{**SMALL, **settings})
    return str(caught.value), caught.value.remedy


@pytest.mark.parametrize("one", [direct, self_consistency.using(n=1), [direct], (direct,), iter([direct]), "direct"])
def test_one_strategy_needs_no_list(one: Any) -> None:
    report = lab.compare("game24", one, **SMALL)
    assert [row["items"] for row in report.rows] == [2]


@pytest.mark.parametrize("given", [None, 3, {direct}])
def test_what_is_no_list_of_strategies_is_refused(given: Any) -> None:
    message, remedy = refused("game24", given)
    assert message == f"strategies are given as a list, or as specs with commas between them, got {given!r}"
    assert remedy.startswith('Write `[mine, "direct"]` or "direct,my.py:solve"')


@pytest.mark.parametrize(
    ("settings", "said", "do"),
    [
        ({"items": 2.5}, "items must be a whole number, got 2.5", "Write a whole number, from 1 to 100000."),
        ({"items": "3"}, "items must be a whole number, got '3'", "Write a whole number, from 1 to 100000."),
        ({"items": True}, "items must be a whole number, got True", "Write a whole number, from 1 to 100000."),
        ({"items": 0}, "items must be at least 1, got 0", "Write a whole number, from 1 to 100000."),
        ({"items": 10**9}, "items must be at most 100000, got 1000000000", "Write a whole number, from 1 to 100000."),
        ({"processes": 0}, "processes must be at least 1, got 0", "Write a whole number, from 1 to 256."),
        ({"processes": 257}, "processes must be at most 256, got 257", "Write a whole number, from 1 to 256."),
        ({"width": 0}, "width must be at least 1, got 0", "Write a whole number, from 1 to 1000."),
        ({"examples": -1}, "examples must be at least 0, got -1", "Write a whole number, from 0 to 32."),
        ({"max_tokens": "9"}, "max_tokens must be a whole number, got '9'", "Write a whole number, 1 or more."),
        ({"level": 9}, "game24 has the levels 1, 2, 3, got 9", "Choose one of 1, 2, 3; the first is the easiest."),
        ({"level": "1"}, "game24 has the levels 1, 2, 3, got '1'", "Choose one of 1, 2, 3; the first is the easiest."),
        ({"seed": -1}, "a seed is a whole number from 0 up, or a text, got -1", "Write one, such as 7."),
        ({"seed": None}, "a seed is a whole number from 0 up, or a text, got None", "Write one, such as 7."),
        ({"seed": ""}, "the seed is empty", "Write a number, or a text."),
        ({"model": []}, "there is no model", "Name one, such as `sim:skill=0.7`."),
        ({"model": ""}, "a model has no name: ''", "Compare with a simulated model"),
        ({"model": "openai:a|"}, "a model has no name: 'openai:a|'", "Compare with a simulated model"),
        ({"budget": "calls=1//2"}, "budget 'calls=1//2': a value of the list is missing", "Write "),
        ({"out": 3}, "out is the path of a folder, got 3", 'Write a path, such as "kept".'),
        ({"out": ""}, "out is empty: it is the path of a folder", 'Write a path, such as "kept".'),
        ({"out": " "}, "out is empty: it is the path of a folder", 'Write a path, such as "kept".'),
        (
            {"baselines": "no"},
            "baselines must be True or False, got 'no'",
            "Write `baselines=True` or `baselines=False`.",
        ),
        (
            {"baselines": None},
            "baselines must be True or False, got None",
            "Write `baselines=True` or `baselines=False`.",
        ),
        (
            {"across_capabilities": 1},
            "across_capabilities must be True or False, got 1",
            "Write `across_capabilities=True` or `across_capabilities=False`.",
        ),
        (
            {"withheld": "false"},
            "withheld must be True or False, got 'false'",
            "Write `withheld=True` or `withheld=False`.",
        ),
        ({"on_progress": 3}, "on_progress is a function of one `Progress`, got 3", "Leave it out."),
        (
            {"budget": {"tokens": "many"}},
            "budget: tokens is a number, or a list of numbers, got 'many'",
            "Write limits such as ",
        ),
        ({"budget": {"tokns": 5}}, "budget 'tokns=5': the limits are calls, tokens,", "Write limits such as "),
        ({"budget": 2000}, "a budget is a text, a `Budget` or a mapping of limits, got 2000", "Write limits such as "),
        ({"budget": ["calls=1"]}, "a budget is a text, a `Budget` or a mapping of limits", "Write limits such as "),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_what_to_write(
    settings: dict[str, Any], said: str, do: str
) -> None:
    message, remedy = refused(**settings)
    assert message.startswith(said)
    assert remedy.startswith(do)
    assert "--help" not in remedy


def test_tasks_are_named_and_an_unknown_one_is_guessed() -> None:
    assert refused("gme24", direct) == ("there is no task suite 'gme24'", "Did you mean 'game24'?")
    assert refused(direct, "game24")[0] == f"a task is the name of a suite, or a file of yours, got {direct!r}"


def test_a_function_in_the_place_of_a_strategy_is_told_what_makes_one() -> None:
    for given in (lambda run, task: task.answer(""), [lambda run, task: task.answer("")]):
        message, remedy = refused("game24", given)
        assert message.startswith("a strategy is made by @strategy")
        assert message.endswith("got a lambda")
        assert remedy == "Write `@strategy(calls=...)` above a function of run and task, and give that."


def test_a_file_of_tasks_may_be_a_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"question": "a?", "answer": "1"}\n')
    assert lab.compare(file, direct, **{**SMALL, "items": None}).manifest["items"] == 1
    message, remedy = refused(file, direct, level=2)
    assert message == "mine has the level 1, got 2"
    assert remedy == "A file of yours has one level: leave it out."


def test_an_opened_model_is_answered_with_its_spec() -> None:
    model = open_model("sim:skill=0.5")
    message, remedy = refused(model=model)
    assert message.startswith("a model is named by its spec, since other processes open it, got ")
    assert remedy == "Write 'sim:skill=0.5'."


def test_one_model_in_two_spellings_is_there_twice() -> None:
    assert refused(model=["sim:skill=.5", "sim:skill=0.50"]) == (
        "the model 'sim:skill=0.5' is there twice", "Name each model once.",
    )  # fmt: skip


def test_a_budget_may_be_a_text_a_budget_or_a_mapping() -> None:
    assert budget_given(None) == budget_given({}) == ""
    assert budget_given(Budget(calls=5, usd=0.5)) == "calls=5,usd=0.5"
    assert budget_given({"tokens": [2000, 8000], "calls": 5}) == "tokens=2000/8000,calls=5"
    report = lab.compare("game24", direct, **{**SMALL, "budget": {"tokens": (2000, 8000)}})
    assert [row["budget"] for row in report.rows] == ["tokens=2000", "tokens=8000"]


def test_a_withheld_seed_has_sixteen_bytes() -> None:
    assert seed_given("x" * 16, withheld=True) == "x" * 16
    assert seed_given("x" * 15, withheld=False) == "x" * 15
    assert seed_given(7, withheld=False) == 7
    message, remedy = refused(withheld=True)
    assert message.startswith("a withheld seed of 1 byte is found by trying")
    assert remedy.endswith("16 bytes are the least.")
    with pytest.raises(UsageError, match="a withheld seed of 15 bytes"):
        seed_given("x" * 15, withheld=True)


@pytest.mark.parametrize(
    ("given", "settings", "said", "do"),
    [
        ((direct, "game24", None), {}, "vary is a text, or two of them, got None", "Write `skill=0.5:0.95:10`"),
        (
            (direct, "game24", "skill=0:2:3"),
            {},
            "`sim:`: skill must be a number in [0, 1], got '2'",
            "Write `skill=0.5:0.95:10`",
        ),
        (
            (direct, "game24", []),
            {},
            "vary one parameter, or two different ones, got none",
            "Write `skill=0.5:0.95:10`",
        ),
        (("game24", direct, "skill=0/1"), {}, "'game24' is a task", "The strategy comes first, then the task"),
        (("direct,react", "game24", "skill=0/1"), {}, "one strategy is swept, got 2", "Sweep each by itself"),
        (("drect", "game24", "skill=0/1"), {}, "there is no strategy or judge 'drect'", "`stratagem catalog` lists"),
        (
            (direct, "game24", "skill=0/1"),
            {"model": None},
            "only a simulated model has a competence to vary",
            "Write `sim:`",
        ),
        (
            (direct, "game24", "skill=0/1"),
            {"items": 2.5},
            "items must be a whole number, got 2.5",
            "Write a whole number",
        ),
        (
            (direct, "game24", "skill=0/1"),
            {"processes": 0},
            "processes must be at least 1, got 0",
            "Write a whole number",
        ),
        ((direct, "game24", "skill=0/1"), {"seed": -1}, "a seed is a whole number from 0 up", "Write one, such as 7."),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused_likewise(
    given: tuple[Any, ...], settings: dict[str, Any], said: str, do: str
) -> None:
    with pytest.raises(UsageError) as caught:
        lab.simulate(*given, **settings)
    assert str(caught.value).startswith(said)
    assert caught.value.remedy.startswith(do)


def test_a_figure_that_cannot_be_says_what_can() -> None:
    report = lab.compare("game24", direct, **SMALL)
    for format, dpi in (("pdf", 100), ("png", 5), ("png", "100")):  # noqa: A001
        with pytest.raises(UsageError) as caught:
            report.figure(format, dpi=dpi)  # pyright: ignore[reportArgumentType]
        assert caught.value.remedy == 'Write `figure("svg")`, or `figure("png", dpi=150)`.'
