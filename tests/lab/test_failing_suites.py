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
    shown, said = r", given problem \[\d+, \d+\], value \d+", ": KeyError: 'far'"
    for secret, told in (({}, shown + said), ({"seed": "0" * 16, "withheld": True}, ": KeyError")):
        with pytest.raises(UsageError) as caught:
            lab.compare(spec, "direct", **given, **secret)
        assert re.match(rf"{where}{told} \(bad.py, line", str(caught.value))
        assert caught.value.remedy == LATE
        Path("late").unlink()


LATER = """
def right(self, problem, value):
    return VALUE if os.path.exists("late") else super().right(problem, value)
"""
PARTS = """
def parts(self, problem, value):
    return {"tens": 1.0, "ones": VALUE if os.path.exists("late") else 1.0}
"""


@pytest.mark.parametrize(
    ("body", "value", "said"),
    [
        (LATER, "-1", "`right` of the suite 'bad.py:Bad' is -1.0 at "),
        (LATER, "1.01", "`right` of the suite 'bad.py:Bad' is 1.01 at "),
        (LATER, "float('nan')", "`right` of the suite 'bad.py:Bad' is nan at "),
        (LATER, "float('inf')", "`right` of the suite 'bad.py:Bad' is inf at "),
        (PARTS, "7.0", "`parts`, 'ones', of the suite 'bad.py:Bad' is 7.0 at "),
        (PARTS, "-0.1", "`parts`, 'ones', of the suite 'bad.py:Bad' is -0.1 at "),
        (PARTS, "float('nan')", "`parts`, 'ones', of the suite 'bad.py:Bad' is nan at "),
        (PARTS, "'all'", "`parts`, 'ones', of the suite 'bad.py:Bad' is 'all' at "),
    ],
)
@pytest.mark.parametrize("withheld", [False, True])
def test_a_score_that_is_no_share_is_refused_wherever_it_comes_up(
    made: Callable[..., str], body: str, value: str, said: str, withheld: bool
) -> None:
    spec = made("Products", body.replace("VALUE", value))
    given = {**SETTINGS, "items": 1, "on_progress": lambda now: Path("late").touch() if now.done else None}
    with pytest.raises(UsageError) as caught:
        lab.compare(spec, "direct", **given, **({"seed": "0" * 16, "withheld": True} if withheld else {}))
    told = str(caught.value).replace(f"{Path.cwd()}/", "")
    assert told == f"{said}products-1-000000: it is a share from 0 to 1"
    assert caught.value.remedy == LATE


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def right(self, problem, value):\n    return 1.0 if value == product(problem) else -1.0", "`right` of the suite 'bad.py:Bad' is -1.0"),
        ("def right(self, problem, value):\n    return 1.0 if value == product(problem) else float('nan')",
         "`right` of the suite 'bad.py:Bad' is nan"),
        ("def parts(self, problem, value):\n    return {'tens': 7.0}", "`parts`, 'tens', of the suite 'bad.py:Bad' is 7.0"),
    ],
)  # fmt: skip
def test_a_score_that_is_no_share_is_found_before_anything_is_asked(
    made: Callable[..., str], monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    failure = str(refused(made("Products", body), monkeypatch))
    assert failure == f"{said} at products-1-000000: it is a share from 0 to 1"


@pytest.mark.parametrize("share", [0, 1, True, 0.25])
def test_a_score_that_is_a_share_is_kept(made: Callable[..., str], share: float) -> None:
    spec = made("Products", f"def parts(self, problem, value):\n    return {{'tens': {share}}}")
    (row,) = lab.compare(spec, "direct", **{**SETTINGS, "items": 2}).rows
    assert (row["accuracy"], row["parts"]) == (1.0, {"tens": float(share)})


def test_a_suite_that_fails_where_strategies_run_is_named_too(made: Callable[..., str]) -> None:
    spec = made("Products", 'def read(self, question):\n    return {}["here"] if os.environ.get("_STRATAGEM_LAB_WORKER") else super().read(question)')  # fmt: skip
    with pytest.raises(UsageError) as caught:
        lab.compare(spec, "direct", **{**SETTINGS, "items": 2})
    assert re.match(
        r"`read` of the suite '.*bad.py:Bad' fails, given question 'What is \d+ times \d+\?': KeyError: 'here' \(bad.py, line \d+\) \(direct at no limit with sim:.*, "
        r"at products-1-000000\)",
        str(caught.value),
    )
    assert caught.value.remedy == LATE


@pytest.mark.parametrize(
    "body",
    [
        'def read(self, question):\n    if "_STRATAGEM_LAB_WORKER" in os.environ: raise KeyError(question)\n    return super().read(question)',
        'def extract(self, text):\n    if "_STRATAGEM_LAB_WORKER" in os.environ: raise KeyError("What is 2 times 3?")\n    return super().extract(text)',
        'def right(self, problem, value):\n    if os.path.exists("late"): raise KeyError(self.render(problem))\n    return super().right(problem, value)',
    ],
)  # fmt: skip
def test_a_withheld_question_is_not_told_by_what_a_suite_raises(made: Callable[..., str], body: str) -> None:
    given = {**SETTINGS, "items": 2, "on_progress": lambda now: Path("late").touch() if now.done else None}
    with pytest.raises(UsageError, match=r"fails.*: KeyError \(bad.py, line \d+\)") as caught:
        lab.compare(made("Products", body), "direct", **given, seed="0" * 16, withheld=True)
    assert "times" not in str(caught.value)


def test_a_withheld_question_is_not_told_by_what_a_strategy_raises(made: Callable[..., str]) -> None:
    asking = written(Path("mine.py"), "raise KeyError(task.question)")
    report = lab.compare(
        made("Products", "pass"), asking, **{**SETTINGS, "items": 2, "seed": "0" * 16, "withheld": True}
    )
    (failure,) = report.failures
    assert re.fullmatch(r"KeyError \(mine.py, line \d+\)", failure["reason"])
    (failure,) = lab.compare(made("Products", "pass"), asking, **{**SETTINGS, "items": 2}).failures
    assert "times" in failure["reason"]


def test_tools_that_cannot_be_made_say_why(made: Callable[..., str]) -> None:
    body = 'def tools(self):\n    if "_STRATAGEM_LAB_WORKER" in os.environ: raise KeyError("no such drawer")\n    return ()'
    with pytest.raises(UsageError, match=r"`tools` of the suite '.*' fails: KeyError: 'no such drawer' \(bad.py, line"):
        lab.compare(made("Products", body), "direct", **{**SETTINGS, "items": 1})


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
    made("Products", "pass")
    report = lab.compare("products.py:Products", written(tmp_path / "mine.py", body), **{**SETTINGS, "items": 2})
    (failure,) = report.failures
    assert (failure["kind"], failure["items"]) == ("error", 2)
    assert said in failure["reason"]


CALLED = """
def act(self, problem, inquiry, *, right, dice):
    from stratagem.core import Step, Transcript, ToolCall
    steps = inquiry.given.get("steps")
    if isinstance(steps, Transcript) and len(steps):
        return Step("Done.", (), self.solve(problem))
    return Step("Look.", (ToolCall("look", {"place": "attic"}),))
"""
HANDED = {
    "checker": f'''
def checker(self, problem):
    def check(text):
        {INSIDE}
        return Verdict(self.extract(text) == product(problem), 1.0, "")
    return check
''',
    "environment": f'''
{CALLED}
def look(self, place: str) -> str:
    """Look at a place."""
    return inside("move", place)

def environment(self, problem):
    from stratagem.core import Observation, Tool
    suite = self

    class World:
        def __init__(self):
            inside("environment")

        def reset(self):
            inside("reset")
            return Observation("Back.")

        def moves(self):
            inside("moves")
            return (Tool(suite.look, effect="self"),)

    return World
''',
    "tools": f'''
{CALLED}
def tools(self):
    from stratagem.core import Tool

    def look(place: str) -> str:
        """Look at a place."""
        return inside("tool", place)

    async def seek(place: str) -> str:
        """Look at a place."""
        return inside("tool", place)

    return (Tool(seek, name="look"),) if os.environ.get("WAITS") else (Tool(look),)
''',
}  # fmt: skip
FAILING = """
def inside(where, place=""):
    if "_STRATAGEM_LAB_WORKER" in os.environ and os.environ["FAILS"] == where:
        raise {}
    return "Nothing."
"""
AGAIN = """\
answer = task.answer(await run.ask(reply, question=task.question))
try:
    task.checker(answer.text)
except Exception:
    pass
return answer"""


def handed(folder: Path, kind: str, raised: str = 'KeyError("far")') -> str:
    """Write a suite that hands something to strategies, which raises where `FAILS` says; return its spec."""
    lines = "\n".join(f"    {line}" for line in HANDED[kind].splitlines())
    (folder / "bad.py").write_text(f"{HEAD}\n{FAILING.format(raised)}\n\nclass Bad(Products):\n{lines}\n")
    return "bad.py:Bad"


@pytest.mark.parametrize("body", ["return await best_of_n(run, task, n=2, judge=checked)", AGAIN])
def test_a_public_checker_that_fails_is_the_suite_s_mistake_even_if_it_is_caught(
    made: Callable[..., str], tmp_path: Path, body: str
) -> None:
    made("Products", "pass")
    before = "from stratagem.strategies import best_of_n\nfrom stratagem.judges.checked import checked\n"
    mine = written(tmp_path / "mine.py", body, before=before, calls="2")
    (tmp_path / "mine.py").write_text(
        (tmp_path / "mine.py").read_text().replace('calls="2"', 'calls="2", needs="checker"')
    )
    with pytest.raises(UsageError) as caught:
        lab.compare(handed(tmp_path, "checker"), mine, **{**SETTINGS, "items": 2})
    assert re.match(
        r"`checker` of the suite 'products' fails: KeyError: 'far' \(bad.py, line \d+\) \(.*mine.py:mine at no limit with sim:.*, "
        r"at products-1-000000\)",
        str(caught.value),
    )
    assert caught.value.remedy == LATE


@pytest.mark.parametrize(
    ("where", "kind", "said"),
    [
        ("environment", "environment", "`environment` of"),
        ("reset", "environment", "`reset` of the environment of"),
        ("moves", "environment", "`moves` of the environment of"),
        ("move", "environment", "the move `look` of"),
        ("tool", "tools", "the tool `look` of"),
        ("waits", "tools", "the tool `look` of"),
    ],
)
def test_what_a_world_or_a_tool_raises_is_the_suite_s_mistake(
    made: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, kind: str, said: str
) -> None:
    made("Products", "pass")
    monkeypatch.setenv("FAILS", "tool" if where == "waits" else where)
    monkeypatch.setenv("WAITS", "1" if where == "waits" else "")
    actor = written(
        tmp_path / "mine.py",
        "answer = await react(run, task)\nif task.environment:\n    await run.reset()\nreturn answer",
        before="from stratagem.strategies import react\n",
        calls="30",
    )
    with pytest.raises(UsageError) as caught:
        lab.compare(handed(tmp_path, kind), actor, **{**SETTINGS, "items": 2})
    assert str(caught.value).startswith(f"{said} the suite 'products' fails: KeyError: 'far' (bad.py, line ")
    assert ("; what a model did wrong it says by `ModelRetry` (" in str(caught.value)) == (said.startswith("the "))
    assert caught.value.remedy == LATE


@pytest.mark.parametrize(
    "raised",
    ["__import__('stratagem').core.ModelRetry('no')", "ValueError('no')", "KeyError(place)", "TimeoutError()"],
)
def test_what_a_move_says_of_its_arguments_is_read_by_the_model(
    made: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str
) -> None:
    made("Products", "pass")
    monkeypatch.setenv("FAILS", "move")
    report = lab.compare(handed(tmp_path, "environment", raised), "react", **{**SETTINGS, "items": 2})
    assert [row["accuracy"] for row in report.rows] == [1.0]
    assert report.failures == []


def test_a_canonical_form_that_fails_is_the_suite_s_mistake(made: Callable[..., str]) -> None:
    body = f"def canonical(self, value):\n    {INSIDE}\n    return value"
    with pytest.raises(UsageError, match=r"`canonical` of the suite 'products' fails: KeyError: 'far' \(bad\.py"):
        lab.compare(made("Products", body), "self_consistency(n=2)", **{**SETTINGS, "items": 2})


ORACLE = """
def oracle(self):
    class Kind(SuiteOracle):
        def right(self, asked):
            WHERE
            return super().right(asked)
    return Kind(self)
"""


def test_an_oracle_of_its_own_that_fails_is_the_suite_s_mistake(made: Callable[..., str]) -> None:
    spec = made("Products", ORACLE.replace("WHERE", INSIDE))
    with pytest.raises(UsageError, match=r"`right` of the oracle `Kind` fails: KeyError: 'far' \(bad\.py"):
        lab.compare(spec, "direct", **{**SETTINGS, "items": 2})


def test_what_an_oracle_of_its_own_is_asked_wrongly_stays_the_strategy_s_failure(
    made: Callable[..., str], tmp_path: Path
) -> None:
    spec = made("Products", ORACLE.replace("WHERE", "self._suite.read(asked.question)"))
    mine = written(tmp_path / "mine.py", "return task.answer(await run.ask(reply, question='How much?'))")
    (failure,) = lab.compare(spec, mine, **{**SETTINGS, "items": 2}).failures
    assert (failure["kind"], failure["items"]) == ("error", 2)
    assert "ValueError: no question about a product" in failure["reason"]


@pytest.mark.parametrize(
    "body",
    [
        "return task.answer(str(task.checker(7)))",
        "return task.answer(str(task.environment().moves()[0].fn(1, 2, 3)))",
        "return task.answer(str(task.environment(1)))",
        "return task.answer(str(task.canonical(None)))",
    ],
)
def test_what_a_strategy_does_with_what_it_was_handed_stays_its_own_failure(
    made: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    made("Products", "pass")
    monkeypatch.setenv("FAILS", "")
    lines = "".join(HANDED[kind] for kind in ("checker", "environment")).replace(INSIDE, "text + ''")
    lines += "\ndef canonical(self, value):\n    return value + 0\n"
    lines = "\n".join(f"    {line}" for line in lines.splitlines())
    (tmp_path / "bad.py").write_text(f"{HEAD}\n{FAILING.format('KeyError')}\n\nclass Bad(Products):\n{lines}\n")
    spec = written(tmp_path / "mine.py", body, calls="0")
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace('calls="0"', 'calls="0", needs="checker"'))
    (failure,) = lab.compare("bad.py:Bad", spec, **{**SETTINGS, "items": 2}).failures
    assert (failure["kind"], failure["items"]) == ("error", 2)
