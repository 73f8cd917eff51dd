"""Generators of reasoning-gym are suites if they passed the audit, and are refused with its reason if not."""

import hashlib
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts import audit_reasoning_gym as auditing
from stratagem import lab
from stratagem.errors import CapabilityError, UsageError
from stratagem.tasks import suite
from stratagem.tasks._reasoning_gym import PASSED, VERDICTS, Found, ReasoningGym, audited, line, table
from stratagem.testing.suite_checks import CHECKS

ROOT = Path(__file__).resolve().parents[2]
here = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed: `make gym`")

# Fast ones of different kinds: a number, a list, a word, a grid, a text.
FAST = ("chain_sum", "number_sorting", "ab", "rotate_matrix", "caesar_cipher")
AGAIN = (
    "chain_sum",
    "ab",
    "boxnet",
    "game_of_life_halting",
    "binary_matrix",
    "list_functions",
    "coin_flip",
    "composite",
)


def test_every_generator_has_a_known_verdict_and_a_reason_if_it_is_left_out() -> None:
    found = audited()
    assert len(found) == 106
    for name, one in found.items():
        assert one.verdict in VERDICTS, name
        assert (one.why == "") == (one.verdict == PASSED), name


def test_what_passed_has_a_published_constant_of_at_most_a_tenth_and_pays_junk_less_than_one() -> None:
    for name, one in audited().items():
        if one.verdict == PASSED:
            assert one.floor <= auditing.CONSTANT, name
            assert one.partial < 1, name


def test_a_row_is_read_as_it_was_written() -> None:
    row = Found("constant", "one constant answer gets 35%", 'a\tb\n"c" é', 0.35, 0.01, 1.5)
    assert table("header\n" + line("x", row)) == {"x": row}
    assert line("x", row).count("\n") == 1


def test_the_manual_has_the_tables_of_the_audit() -> None:
    page = auditing.PAGE.read_text("utf-8")
    for header, rows in auditing.tables(audited()).items():
        assert f"\n{header}\n{rows}\n" in page


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("puzzle24", "its scorer runs the answer as code"),
        ("game_of_life_halting", "pays ' ' on 100% of its problems"),
        ("boxnet", "100% of its problems have no reference answer"),
        ("list_functions", "equal seeds give different problems"),
        ("composite", "makes no problems at its defaults: AssertionError"),
    ],
)
def test_a_generator_that_did_not_pass_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        suite(f"reasoning_gym:{name}")
    assert str(caught.value) == f"the generator {name!r} of reasoning-gym is left out: {reason}"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("reasoning_gym:chain_sums", "Did you mean 'reasoning_gym:chain_sum'?"),
        ("reasoning_gym:", "The manual lists them: `reasoning_gym:NAME`."),
        ("reasoning_gym", "The manual lists them: `reasoning_gym:NAME`."),
    ],
)
def test_a_generator_that_is_not_there_is_refused_with_the_nearest(name: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=r"reasoning-gym 0\.1\.25 has no generator") as caught:
        suite(name)
    assert caught.value.remedy == remedy


def test_without_the_package_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(CapabilityError, match="suites `reasoning_gym:` need the package reasoning-gym") as caught:
        suite("reasoning_gym:chain_sum")
    assert caught.value.remedy == 'Install it: pip install "stratagem[gym]", which has reasoning-gym 0.1.25.'


def test_another_version_than_the_audited_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.2.0")
    with pytest.raises(CapabilityError, match=r"^reasoning-gym 0\.2\.0 was not audited, 0\.1\.25 was$"):
        suite("reasoning_gym:chain_sum")


@here
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", FAST)
def test_a_generator_passes_what_every_suite_must(name, check) -> None:
    check(suite(f"reasoning_gym:{name}"))


@here
def test_the_audit_finds_what_the_file_says() -> None:
    command = [sys.executable, "scripts/audit_reasoning_gym.py", "--print", *AGAIN]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = table("header\n" + done.stdout)
    assert {name: one._replace(ms=0) for name, one in found.items()} == {
        name: audited()[name]._replace(ms=0) for name in AGAIN
    }


@here
def test_a_seed_gives_the_same_problems_on_every_machine() -> None:
    items = [
        f"{one.id}\n{one.question}\n{one.key}\n" for name in FAST for one in suite(f"reasoning_gym:{name}").items(3)
    ]
    assert hashlib.sha256("\0".join(items).encode()).hexdigest()[:16] == "f5df416d18ffc980"
    assert (
        items[0]
        == "reasoning_gym:chain_sum-1-000000\n[reasoning_gym:chain_sum 174303208]\nState the final answer to the following arithmetic problem: 4 - 8 + 6 + 5 - 8 + 8 =\n7\n"
    )


@here
@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("{key}", 1.0),
        ("{key}.", 1.0),
        ("I add them up.\nThe answer is **{key}**.", 1.0),
        ("**Answer:** {key}", 1.0),
        ("**Answer**: {key}", 1.0),
        ("The answer is 3. No: <answer>{key}</answer>, which is not 3.", 1.0),
        (r"Therefore the result is $\boxed{{{key}}}$.", 1.0),
        ("{key} or 17", 0.0),
        ("The result would be {key}", 1.0),
        ("Result: {key}", 1.0),
        ("A wrong answer is {key}", 0.0),
        ("The answer is not {key}", 0.0),
        ("It is not {key}", 0.0),
        ("The answer is {key}. Or rather, the answer is 17.", 0.0),
        ("<answer></answer>", 0.0),
    ],
)
def test_an_answer_is_found_and_partial_credit_is_none(said: str, right: float) -> None:
    sums = suite("reasoning_gym:chain_sum")
    item = next(sums.items(1))
    assert sums.score(item.question, said.format(key=item.key)).right == right


@here
def test_what_the_package_pays_in_part_is_wrong() -> None:
    sums = suite("reasoning_gym:chain_sum")
    assert isinstance(sums, ReasoningGym)
    item = next(sums.items(1))
    problem, said = sums.read(item.question), f"{item.key} x"
    assert 0 < sums.scored(problem, said) < 1
    assert sums.score(item.question, said) == (0.0, True)


@here
def test_a_question_that_two_seeds_give_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = suite("reasoning_gym:chain_sum")
    assert isinstance(sums, ReasoningGym)
    usual = sums.entry
    monkeypatch.setattr(sums, "entry", lambda seed: usual(seed % 100))
    questions = [one.question.partition("\n")[2] for one in sums.items(60)]
    assert len(set(questions)) == 60
    with pytest.raises(UsageError, match="has 68 different items of level 1, 90 are wanted"):
        list(sums.items(90))


@here
def test_making_a_task_loads_no_package() -> None:
    program = (
        "import sys; from stratagem.tasks import suite\n"
        "task = suite('reasoning_gym:chain_sum').task('[reasoning_gym:chain_sum 5]\\nState 1 + 1.')\n"
        "print(task.answer('The answer is 2').value, 'reasoning_gym' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"


@here
def test_what_a_generator_prints_is_not_seen(capsys: pytest.CaptureFixture[str]) -> None:
    next(suite("reasoning_gym:bf").items(1))
    assert capsys.readouterr() == ("", "")


@here
def test_a_comparison_on_a_generator_is_answered_by_a_simulated_model() -> None:
    report = lab.compare(
        "reasoning_gym:chain_sum", "direct,chain_of_thought,self_consistency(n=3)", model="sim:skill=1", budget="calls=3",
        items=5, baselines=False, processes=1,
    )  # fmt: skip
    assert {row["strategy"]: row["accuracy"] for row in report.rows} == {
        "direct": 1.0, "chain_of_thought": 1.0, "self_consistency(n=3)": 1.0
    }  # fmt: skip
    failing = lab.compare(
        "reasoning_gym:chain_sum",
        "direct",
        model="sim:skill=0",
        budget="calls=3",
        items=5,
        baselines=False,
        processes=1,
    )
    assert [row["accuracy"] for row in failing.rows] == [0.0]
