"""A comparison from end to end: same items, same budget, keys that stay, and reports that repeat."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem.core import Budget, Services
from stratagem.errors import ModelError, UsageError
from stratagem.lab import _crew
from stratagem.lab._watch import WITNESS, Watched, Witness
from stratagem.lab._worker import driven
from stratagem.models.simulated import SimulatedModel
from stratagem.tasks import Suite, SuiteOracle, suite
from tests.lab.conftest import SETTINGS, STRATEGIES, timeless

ROW = [
    "strategy", "budget", "accuracy", "interval", "items", "unparsed", "calls_per_item", "max_calls", "tokens_per_item", "usd", "seconds",
    "needs", "baseline",
]  # fmt: skip


def of(report: lab.Report, strategy: str, budget: str = "tokens=1500") -> dict[str, Any]:
    return next(row for row in report.rows if (row["strategy"], row["budget"]) == (strategy, budget))


def test_a_report_has_the_promised_keys(report: lab.Report) -> None:
    document = report.plain()
    assert list(document) == ["schema", "manifest", "rows", "tests", "pareto", "items", "failures"]
    assert all(list(row) == ROW for row in document["rows"])
    json.dumps(document, allow_nan=False)


def test_the_honest_baselines_are_there_at_every_budget(report: lab.Report) -> None:
    found = [(row["strategy"], row["budget"]) for row in report.rows if row["baseline"]]
    names = ("self_consistency(k)", "best_of_n(k)", "longer_chain(k)")
    assert found == [(name, budget) for budget in ("tokens=700", "tokens=1500") for name in names]


def test_every_item_stays_within_the_budget_and_the_baselines_use_it(report: lab.Report) -> None:
    for at, row in enumerate(report.rows):
        limit = int(row["budget"].partition("=")[2])
        # A reply may cost more than its upper bound says beforehand: here by the tokens of unwritten reasoning.
        assert all(item["tokens"][at] <= limit + 80 for item in report.items)
    assert of(report, "self_consistency(k)")["tokens_per_item"] > 0.75 * 1500
    assert (
        of(report, "self_consistency(k)")["calls_per_item"]
        > of(report, "self_consistency(k)", "tokens=700")["calls_per_item"]
    )
    assert of(report, "direct")["calls_per_item"] == 1


def test_seconds_are_the_critical_path_in_virtual_time(report: lab.Report) -> None:
    direct, voted = of(report, "direct"), of(report, "self_consistency(n=3)")
    assert 1.5 < direct["seconds"] < 3.5
    assert voted["calls_per_item"] == 3
    assert voted["seconds"] < 2 * 3.5  # three samples side by side take as long as the slowest
    assert of(report, "longer_chain(k)")["seconds"] > 2 * 1.5
    paths = [
        path for path, row in zip(report.critical_paths(), report.rows, strict=True) if row["strategy"] == "direct"
    ]
    assert paths == [1.0, 1.0]


def test_a_simulation_says_that_it_is_one_and_what_nobody_knows_is_no_zero(report: lab.Report) -> None:
    assert "(simulated)" in report.title
    assert report.manifest["simulated"] is True
    assert of(report, "direct")["usd"] > 0
    timeless_model = lab.compare("game24", "direct", model="sim:", items=2, baselines=False, processes=1)
    assert timeless_model.rows[0]["seconds"] is None


def test_the_manifest_says_what_was_compared_and_with_what(report: lab.Report) -> None:
    manifest = report.manifest
    assert manifest["seed"] == 7
    assert set(manifest["made_with"]) >= {"stratagem", "python", "scipy", "numpy"}
    assert set(manifest["prompts"]) >= {"direct.answer", "chain_of_thought.reason", "self_check.check"}
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in manifest["prompts"].values())
    assert manifest["capabilities"] == [[]]
    assert manifest["prompt_scan"]["clean"] is True
    assert manifest["prompt_scan"]["lines"] > 100
    assert len(manifest["specs"]["self_consistency(k)"]) == 2
    assert manifest["pilot"]["calls"] == 3


def test_tests_are_paired_corrected_and_say_what_is_unresolved(report: lab.Report) -> None:
    pairs = {(one["a"], one["b"]) for one in report.tests}
    assert ("direct", "self_consistency(n=3)") in pairs
    assert ("self_consistency(k)", "best_of_n(k)") not in pairs  # nobody asked for two baselines
    assert all(one["p_holm"] >= one["p"] for one in report.tests)
    assert all((one["verdict"] == "unresolved") == (one["p_holm"] >= 0.05) for one in report.tests)
    assert all(0 <= one["power"] <= 1 for one in report.tests)


def test_what_is_not_beaten_is_on_the_pareto_front_and_nothing_else(report: lab.Report) -> None:
    def better(one: Any, other: Any) -> bool:
        mine, its = ((row["accuracy"], -row["tokens_per_item"]) for row in (one, other))
        return mine != its and mine[0] >= its[0] and mine[1] >= its[1]

    front = [row for row in report.rows if not any(better(other, row) for other in report.rows)]
    named = sorted((row["strategy"], row["budget"]) for row in front)
    assert sorted((point["strategy"], point["budget"]) for point in report.pareto) == named
    assert [budget for name, budget in named if name == "direct"] == ["tokens=1500", "tokens=700"]  # alike in both


def test_equal_comparisons_give_equal_reports_in_any_number_of_processes(report: lab.Report) -> None:
    again = lab.compare("game24", STRATEGIES, **{**SETTINGS, "processes": 3})
    assert timeless(again.plain()) == timeless(report.plain())


def test_a_strategy_meets_the_same_luck_whoever_is_compared_with_it(report: lab.Report) -> None:
    alone = lab.compare("game24", "direct", **{**SETTINGS, "baselines": False})
    assert of(alone, "direct") == of(report, "direct")


def test_processes_are_told_questions_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    tell = _crew.Crew._tell

    def overheard(self: _crew.Crew, hand: Any, form: Any) -> None:
        told.append(json.dumps(form))
        tell(self, hand, form)

    monkeypatch.setattr(_crew.Crew, "_tell", overheard)
    lab.compare("game24", "direct", **{**SETTINGS, "baselines": False})
    everything = "\n".join(told)
    for item in suite("game24").items(12, seed=7):
        assert json.dumps(item.question) in everything
        assert item.key not in everything


def reachable(value: object, depth: int = 6, seen: dict[int, object] | None = None) -> Iterator[object]:
    """Yield what public attributes, items and elements lead to."""
    seen = {} if seen is None else seen
    if id(value) in seen or depth == 0 or isinstance(value, type):
        return
    seen[id(value)] = value
    yield value
    if isinstance(value, dict):
        inner: list[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    elif isinstance(value, str | bytes | int | float) or value is None:
        inner = []
    else:
        inner = []
        for name in dir(value):
            if not name.startswith("_"):
                try:
                    inner.append(getattr(value, name))
                except Exception:  # noqa: BLE001  (a property that says no)
                    continue
    for one in inner:
        yield from reachable(one, depth - 1, seen)


@pytest.mark.parametrize("name", ["game24", "word_problems"])
def test_nothing_that_a_strategy_reaches_by_public_attributes_holds_the_key(name: str) -> None:
    from stratagem.core import Answer, Run, Task, strategy

    found: list[object] = []

    @strategy(calls="0")
    async def curious(run: Run, task: Task) -> Answer:
        """Look around."""
        found.extend(reachable(run))
        found.extend(reachable(task))
        return task.answer("?")

    tasks = suite(name)
    (item,) = tasks.items(1, seed=1, level=2)
    services = Services(Watched(SimulatedModel("sim:", tasks.oracle())), repairs=0, strict=True)
    WITNESS.set(Witness())
    asyncio.run(driven(curious, tasks.task(item.question), Budget(), services, 1))
    assert len(found) > 100
    assert not [one for one in found if isinstance(one, Suite | SuiteOracle | SimulatedModel)]
    texts = [one for one in found if isinstance(one, str)]
    assert item.question in texts
    assert item.key not in texts


def test_a_leak_in_a_strategy_is_found_by_the_scan(tmp_path: Path) -> None:
    other = next(iter(suite("game24").items(1, seed=7))).question
    file = tmp_path / "leaky.py"
    file.write_text(f'''
from stratagem import Answer, Run, Task, signature, strategy

@signature
def answer(question: str, notes: tuple[str, ...]) -> str:
    """For example: {other} Now this one."""
    ...

@strategy(calls="1")
async def leaky(run: Run, task: Task) -> Answer:
    """Show another question."""
    return task.answer(await run.ask(answer, question=task.question, notes=()))
''')
    report = lab.compare("game24", f"{file}:leaky", **{**SETTINGS, "baselines": False, "items": 3})
    scan = report.manifest["prompt_scan"]
    assert scan["clean"] is False
    assert scan["questions_of_others"] == [
        ["game24-1-000001", "game24-1-000000"],
        ["game24-1-000002", "game24-1-000000"],
    ]
    assert (
        f"! prompts: 2 prompts show another item's question (first: {file}:leaky at game24-1-000001 that of game24-1-000000)"
        in str(report)
    )


def test_replies_that_cannot_be_read_are_billed_counted_apart_and_never_right() -> None:
    report = lab.compare(
        "word_problems", "chain_of_thought", model="sim:skill=1,format=1", items=6, baselines=False, processes=1
    )
    (row,) = report.rows
    assert (row["accuracy"], row["unparsed"], row["calls_per_item"]) == (0.0, 6, 1.0)
    assert report.failures[0]["kind"] == "unparsed"
    assert report.failures[0]["items"] == 6


def test_across_capabilities_the_title_says_so_and_each_kind_has_its_baseline() -> None:
    given = {**SETTINGS, "budget": "calls=6", "items": 4}
    with pytest.raises(UsageError, match="different truth"):
        lab.compare("game24", "direct,best_of_n(n=3, judge=checked)", **given)
    report = lab.compare("game24", "direct,best_of_n(n=3, judge=checked)", across_capabilities=True, **given)
    assert "across capabilities" in report.title
    needs = {row["strategy"]: row["needs"] for row in report.rows}
    assert needs["best_of_n(k, checked)"] == ["checker"] == needs["best_of_n(n=3, judge=checked)"]
    assert needs["best_of_n(k)"] == needs["direct"] == []


def test_a_truth_that_the_task_does_not_offer_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="no environment"):
        lab.compare("game24", "best_of_n(judge=rewarded)", **SETTINGS)


def test_several_models_are_compared_and_named() -> None:
    report = lab.compare(
        "word_problems", "direct", model=["sim:skill=0.0", "sim:skill=1"], items=4, baselines=False, processes=1
    )
    assert [(row["model"], row["accuracy"]) for row in report.rows] == [("sim:skill=0.0", 0.0), ("sim:skill=1.0", 1.0)]
    assert report.tests == []


def test_a_withheld_seed_leaves_neither_seed_nor_question_in_the_report() -> None:
    report = lab.compare(
        "game24", "direct", seed="a long secret that nobody tries", withheld=True, items=3, baselines=False, processes=1
    )
    text = json.dumps(report.plain())
    assert "a long secret" not in text
    assert report.manifest["seed"].startswith("sha256:")
    assert {item["question"] for item in report.items} == {""}


def test_a_file_of_yours_is_a_task_and_its_answers_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(
        "".join(json.dumps({"question": f"What is {n}?", "answer": f"x #### {n}00"}) + "\n" for n in range(8))
    )
    report = lab.compare(str(file), "direct,chain_of_thought", model="sim:skill=1", budget="calls=2", processes=1)
    assert report.rows[0]["items"] == 8
    assert {row["accuracy"] for row in report.rows if row["strategy"] != "longer_chain(k)"} == {1.0}


def test_what_was_left_out_of_a_file_is_said_in_every_form_of_the_report(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [("q0?", "test"), ("q1?", "train"), ("q0?", "test"), ("q1?", "test")]
    file.write_text("".join(json.dumps({"question": one, "answer": 7, "split": split}) + "\n" for one, split in rows))
    report = lab.compare(str(file), "direct", baselines=False, processes=1)
    notes = [
        "1 duplicate question left out: line 3",
        "1 question is to train and to test, and no solved example is made of it: line 2",
    ]
    assert report.manifest["notes"] == report.plain()["manifest"]["notes"] == notes
    assert report.rows[0]["items"] == 2
    assert all(f"\n! mine: {note}\n" in f"{report}\n" for note in notes)
    assert all(f">! mine: {note}</p>" in report.html() for note in notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strategies": "no_such"}, "no_such"),
        ({"strategies": ""}, "no strategy"),
        ({"strategies": "direct,direct"}, "twice"),
        ({"task": "gam24"}, "no task suite"),
        ({"model": "sim:skil=1"}, "skil"),
        ({"model": []}, "no model"),
        ({"budget": "tokens=2/2"}, "twice"),
        ({"items": 0}, "at least 1"),
        ({"level": 9}, "levels"),
    ],
)
def test_mistakes_are_refused_before_a_process_is_started(
    given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_crew.Crew, "__enter__", lambda self: pytest.fail("a process was started"))
    settings = {"task": "game24", "strategies": "direct", "items": 2, **given}
    with pytest.raises(UsageError, match=said):
        lab.compare(**settings)


def test_an_error_of_ours_in_a_process_is_raised_here(tmp_path: Path) -> None:
    script = tmp_path / "refuses.jsonl"
    script.write_text(
        json.dumps({"signature": "direct.answer", "error": {"kind": "Rejected", "message": "no such thing"}}) + "\n"
    )
    with pytest.raises(ModelError, match="no such thing"):
        lab.compare("game24", "direct", model=f"script:{script}", items=1, baselines=False, processes=1, seed=1)


def test_a_strategy_that_prints_disturbs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "loud.py"
    file.write_text('''
from stratagem import Answer, Run, Task, strategy

@strategy(calls="0")
async def loud(run: Run, task: Task) -> Answer:
    """Print."""
    print('{"done": 0}')
    return task.answer("1 + 1")
''')
    report = lab.compare("game24", f"{file}:loud", items=3, baselines=False, processes=1)
    assert report.rows[0]["accuracy"] == 0.0


@pytest.mark.parametrize(("skill", "accuracy"), [(1, 1.0), (0, 0.0)])
def test_what_an_agent_did_in_a_world_is_scored_and_not_its_words_alone(skill: int, accuracy: float) -> None:
    made = lab.compare(
        "api_bank",
        "react(max_steps=8)",
        model=f"sim:skill={skill}",
        budget="calls=10",
        items=6,
        level=2,
        baselines=False,
    )
    assert [row["accuracy"] for row in made.rows] == [accuracy]


def test_a_suite_that_decides_several_things_shows_each(tmp_path: Path) -> None:
    made = lab.compare("api_bank", "direct", model="sim:skill=0", items=12, baselines=False, processes=1)
    (row,) = made.rows
    assert row["accuracy"] == 0
    assert list(row["parts"]) == ["needed", "chosen", "called", "responded"]
    assert row["parts"]["needed"] > row["parts"]["called"]
    assert re.search(r"95 % +needed +chosen +called +responded +unparsed", str(made))
    assert f"{row['parts']['chosen']:.3f}" in str(made)
    assert '<th scope="col" class="n">chosen</th>' in made.html()


def test_a_part_is_averaged_over_the_items_that_have_it_and_no_value_has_none_right(made: Any) -> None:
    body = (
        "def parts(self, problem, value):\n    right = float(value == product(problem))\n"
        "    return {'large': right} if problem[0] > 50 else {'small': right, 'smaller': 1.0}"
    )
    settings: dict[str, Any] = {"items": 30, "baselines": False, "processes": 1}
    report = lab.compare(
        made("Products", body), "direct", model=["sim:skill=1", "sim:skill=0", "sim:format=1"], **settings
    )
    assert [row["parts"] for row in report.rows] == [
        {"small": 1.0, "smaller": 1.0, "large": 1.0},
        {"small": 0.0, "smaller": 1.0, "large": 0.0},
        {"small": 0.0, "smaller": 0.0, "large": 0.0},
    ]


def test_the_table_of_items_has_what_was_given_beside_what_is_right(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [("What is the capital of France?", "Paris"), ("What is the capital of Italy?", "Rome")]
    file.write_text("".join(json.dumps({"question": one, "answer": key}) + "\n" for one, key in rows))
    script = tmp_path / "said.jsonl"
    replies = [("France", "The capital is Paris."), ("Italy", "It is Milan, I think.")]
    script.write_text(
        "".join(
            json.dumps({"signature": "direct.answer", "contains": one, "reply": said}) + "\n" for one, said in replies
        )
    )
    made = lab.compare(str(file), "direct", model=f"script:{script}", baselines=False, processes=1)
    found = {one["key"]: (one["given"], one["right"]) for one in made.items}
    assert found == {"Paris": (["The capital is Paris."], [1.0]), "Rome": (["It is Milan, I think."], [0.0])}
    page = made.html()
    assert "<td>Paris</td><td>✓ The capital is Paris.</td>" in page
    assert "<td>Rome</td><td>✗ It is Milan, I think.</td>" in page


def test_of_a_chain_the_report_says_which_model_answered(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    questions = [one.question for one in suite("word_problems").items(3, seed=1)]
    first.write_text(
        "".join(
            json.dumps({"signature": "direct.answer", "contains": one, **said}) + "\n"
            for one, said in zip(
                questions, ({"reply": "1"}, {"error": {"kind": "Unavailable"}}, {"reply": "2"}), strict=True
            )
        )
    )
    second.write_text(json.dumps({"signature": "direct.answer", "reply": "3", "times": 0}) + "\n")
    chain = f"script:{first}|script:{second}"
    made = lab.compare("word_problems", "direct", model=chain, items=3, seed=1, baselines=False, processes=1)
    assert made.rows[0]["answered_by"] == {f"script:{first}": 2, f"script:{second}": 1}
    said = f"direct at no limit was answered by script:{first} 2 calls, script:{second} 1 call"
    assert said in str(made)
    assert said in made.html()


def test_replies_are_no_longer_than_max_tokens_says() -> None:
    made = lab.compare(
        "word_problems", "chain_of_thought", model="sim:words=500", items=2, max_tokens=40, baselines=False
    )
    short = lab.compare("word_problems", "chain_of_thought", model="sim:words=500", items=2, baselines=False)
    assert made.manifest["max_tokens"] == 40
    assert made.rows[0]["tokens_per_item"] < short.rows[0]["tokens_per_item"] - 100
    with pytest.raises(UsageError, match="max_tokens must be at least 1"):
        lab.compare("word_problems", "direct", items=2, max_tokens=0)


def test_a_very_small_p_is_corrected_before_it_is_rounded_and_shown_as_a_bound(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        'from stratagem import strategy\n\n\n@strategy(calls="0")\nasync def mine(run, task):\n    """Give up."""\n    return task.answer("?")\n'
    )
    made = lab.compare(
        "word_problems", f"{tmp_path}/mine.py:mine,direct", model="sim:skill=1", budget="calls=1/2", items=60,
        processes=1, baselines=False,
    )  # fmt: skip
    first, second = made.tests
    assert first["p"] == float(f"{2.0**-59:.6g}")  # of 60 items each is right with one of the two alone
    assert first["p_holm"] == second["p_holm"] == float(f"{2.0**-58:.6g}")
    assert '<td class="n">&lt;0.0001</td>' in made.html()


def test_across_models_of_different_price_the_front_is_of_money() -> None:
    given = {"items": 6, "processes": 1, "baselines": False}
    # The better model writes less and costs more: by tokens it would beat the other.
    models = ["sim:skill=0,words=300,price=1", "sim:skill=1,words=10,price=900"]
    made = lab.compare("word_problems", "chain_of_thought", model=models, **given)
    assert made.front_of == "accuracy and money"
    assert [one["accuracy"] for one in made.pareto] == [0.0, 1.0]
    assert "* on the Pareto front of accuracy and money" in str(made)
    alone = lab.compare("word_problems", "chain_of_thought", model=models[1], **given)
    assert alone.front_of == "accuracy and tokens"
    free = lab.compare("word_problems", "direct", model=["sim:skill=0", "sim:skill=1"], **given)
    assert free.front_of == "accuracy and tokens"
