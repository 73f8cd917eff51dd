"""What a suite raises is its author's mistake, and is told with suite, method and item, wherever it comes up."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab._checked import LATE
from tests.lab._suites import HEAD
from tests.lab.test_checked import SETTINGS, refused
from tests.lab.test_guards import written


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def make(self, dice, level):\n    return {}['lost']",
         "`make` of the suite 'bad.py:Bad' fails, given level 1: KeyError: 'lost' (bad.py, line 88)"),
        ("def make(self, dice, level):\n    return {1, 2}",
         "`form` of the suite 'bad.py:Bad' fails, given problem {1, 2}: TypeError: not JSON: set"),
        ("def right(self, problem, value):\n    return value.lost",
         r"`right` of the suite 'bad.py:Bad' fails at products-1-000000, given problem \[\d+, \d+\], value \d+: AttributeError: "
         r"'int' object has no attribute 'lost' \(bad.py, line 88\)"),
        ("def extract(self, text):\n    return super().extract(text.encode().decode())",
         r"`extract` of the suite 'bad.py:Bad' fails at products-1-000000, given text '\\ud800': UnicodeEncodeError: .* \(bad.py, line 88\)"),
        ("def solve(self, problem):\n    raise SystemExit(3)",
         r"`solve` of the suite 'bad.py:Bad' fails, given problem \[\d+, \d+\]: SystemExit: 3 \(bad.py, line 88\)"),
        ("def wrong(self, problem, number):\n    return str(product(problem) + 1000 + 60 // (6 - number))",
         r"`wrong` of the suite 'bad.py:Bad' fails at products-1-000000, given problem \[\d+, \d+\], number 6: ZeroDivisionError: "
         r"integer division or modulo by zero \(bad.py, line 88\)"),
        ("def right(self, problem):\n    return 1.0",
         r"`score` of the suite 'bad.py:Bad' fails at products-1-000000, given question .*, text '\d+', calls \(\): TypeError: .*right\(\) takes"),
    ],
)  # fmt: skip
def test_what_a_suite_raises_is_a_mistake_that_names_method_and_item(
    made: Callable[..., str], monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    failure = str(refused(made("Products", body), monkeypatch))
    line = str(HEAD.count("\n") + 5)
    pattern = said.replace("line 88", f"line {line}")
    assert re.match(pattern if "\\" in said else re.escape(pattern), failure), failure


BROKEN = """
def right(self, problem, value):
    if os.path.exists("late"):
        raise KeyError("far")
    return super().right(problem, value)
"""


def test_a_scorer_that_fails_on_a_reply_is_named_with_its_item_and_a_withheld_question_is_not_told(
    made: Callable[..., str],
) -> None:
    spec = made("Products", BROKEN)
    given = {**SETTINGS, "items": 1, "on_progress": lambda now: Path("late").touch() if now.done else None}
    where = "`right` of the suite '.*bad.py:Bad' fails at products-1-000000"
    for secret, told in (({}, r", given problem \[\d+, \d+\], value \d+"), ({"seed": "0" * 16, "withheld": True}, "")):
        with pytest.raises(UsageError) as caught:
            lab.compare(spec, "direct", **given, **secret)
        assert re.match(rf"{where}{told}: KeyError: 'far' \(bad.py, line", str(caught.value))
        assert caught.value.remedy == LATE
        Path("late").unlink()


def test_a_suite_that_fails_where_strategies_run_is_named_too(made: Callable[..., str]) -> None:
    spec = made("Products", 'def read(self, question):\n    return {}["here"] if os.environ.get("_STRATAGEM_LAB_WORKER") else super().read(question)')  # fmt: skip
    with pytest.raises(UsageError) as caught:
        lab.compare(spec, "direct", **{**SETTINGS, "items": 2})
    assert re.match(
        r"`read` of the suite '.*bad.py:Bad' fails: KeyError: 'here' \(bad.py, line \d+\) \(direct at no limit with sim:.*, "
        r"at products-1-000000\)",
        str(caught.value),
    )
    assert caught.value.remedy == LATE


INSIDE = 'if "_STRATAGEM_LAB_WORKER" in os.environ: raise KeyError("far")'


@pytest.mark.parametrize(
    ("body", "method", "skill"),
    [
        (f"def extract(self, text):\n    {INSIDE}\n    return super().extract(text)", "extract", 0),
        (f"def solve(self, problem):\n    {INSIDE}\n    return super().solve(problem)", "solve", 1),
        (f"def wrong(self, problem, number):\n    {INSIDE}\n    return super().wrong(problem, number)", "wrong", 0),
    ],
)  # fmt: skip
def test_what_a_suite_raises_inside_a_run_is_not_taken_for_the_strategy_s_failure(
    made: Callable[..., str], body: str, method: str, skill: int
) -> None:
    with pytest.raises(UsageError) as caught:
        lab.compare(
            made("Products", body), "direct", **{**SETTINGS, "items": 4, "model": f"sim:skill={skill}", "level": 2}
        )
    assert re.match(
        rf"`{method}` of the suite 'products' fails: KeyError: 'far' \(bad.py, line \d+\) \(direct at no limit with sim:.*, "
        r"at products-2-00000\d\)",
        str(caught.value),
    )
    assert caught.value.remedy == LATE


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return task.answer(7)", "AttributeError"),
        ("return task.answer(await run.ask(reply, question='How much?'))", "ValueError: no question about a product"),
        ("return task.answer(str({}[task.question]))", "KeyError"),
    ],
)
def test_what_a_strategy_asks_wrongly_of_a_suite_stays_its_own_failure(
    made: Callable[..., str], tmp_path: Path, body: str, said: str
) -> None:
    made("Products", "")
    report = lab.compare("products.py:Products", written(tmp_path / "mine.py", body), **{**SETTINGS, "items": 2})
    (failure,) = report.failures
    assert (failure["kind"], failure["items"]) == ("error", 2)
    assert said in failure["reason"]
