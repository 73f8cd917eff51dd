"""A suite that somebody wrote is checked before it is compared, and refused by name for what is wrong with it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from stratagem import tasks as all_suites
from stratagem.errors import UsageError
from stratagem.lab import _compare
from stratagem.lab._checked import checked
from stratagem.lab._suites import suite_of
from stratagem.testing.suite_checks import CHECKS
from tests.lab._suites import DEFECTS, GOOD, HEAD

SETTINGS: dict[str, Any] = {"model": "sim:skill=1", "items": 60, "baselines": False, "processes": 1}


def refused(spec: str, monkeypatch: pytest.MonkeyPatch, **given: Any) -> UsageError:
    """Return why a comparison is refused; no process is started, and no folder is made."""
    monkeypatch.setattr(_compare, "Crew", None)
    with pytest.raises(UsageError) as caught:
        lab.compare(spec, "direct", **{**SETTINGS, "out": "kept", **given})
    assert not Path("kept").exists()
    assert "`stratagem.testing.suite_checks.check_suite` runs all checks" in caught.value.remedy
    return caught.value


@pytest.mark.parametrize("defect", DEFECTS)
def test_what_is_wrong_with_a_suite_is_said_before_anything_is_asked(
    made: Callable[..., str], monkeypatch: pytest.MonkeyPatch, defect: str
) -> None:
    base, body, check, said = DEFECTS[defect]
    failure = refused(made(base, body), monkeypatch)
    assert re.match(f"the suite 'bad.py:Bad' fails the check '{check}': .*{said}", str(failure)), str(failure)


def test_every_check_is_failed_by_some_defect() -> None:
    assert {check for _, _, check, _ in DEFECTS.values()} == {one.__name__.replace("_", " ") for one in CHECKS}


@pytest.mark.parametrize("name", ["Products", "Even", "Choice", "Reversed", "Small", "Few", "Capitals", "Listed"])
def test_an_honest_suite_passes_with_any_seed(made: Callable[..., str], tmp_path: Path, name: str) -> None:
    made("Products", "")
    (tmp_path / "good.py").write_text(HEAD + GOOD)
    spec = f"good.py:{name}"
    suite = suite_of(spec)
    for seed in range(20):
        items = list(suite.items(3 if name == "Few" else 40, seed=seed))
        said = checked(spec, suite, 1, items)
        assert (said["items"], len(said["passed"])) == (2 if name == "Few" else 8, len(CHECKS))


def test_the_constant_answer_is_tried_on_the_first_level_where_another_is_compared(
    made: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        'floor = ("", 0.0)\n\ndef make(self, dice, level):\n    return [dice.randrange(10**6), 6 if level == 1 else 7]'
    )
    assert "'yes' gets 1.000 of 40 items right, and `floor` says 0" in str(
        refused(made("Even", body), monkeypatch, level=2)
    )
    assert "'yes' gets 1.000 of 40 items right" in str(
        refused(made("Even", body), monkeypatch, seed="a seed of sixteen bytes", withheld=True)
    )


def test_a_suite_that_makes_too_few_items_says_so_itself(made: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="products has 35 different items of level 1, 60 are wanted"):
        lab.compare(made("Products", "sizes = {1: 67}"), "direct", **SETTINGS)


def test_a_sweep_is_refused_likewise(made: Callable[..., str]) -> None:
    base, body, _, _ = DEFECTS["pays junk"]
    with pytest.raises(UsageError, match="fails the check 'what is no answer scores nothing'"):
        lab.simulate("direct", made(base, body), "skill=0/1", items=2, budget="calls=1")


class Entry:
    """An entry point of another package."""

    def __init__(self, kind: Callable[[], Any]) -> None:
        self.load = lambda: kind


def test_a_suite_of_an_installed_package_is_checked_too(
    made: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, body, _, said = DEFECTS["pays junk"]
    bad = type(suite_of(made(base, body)))
    monkeypatch.setattr(all_suites, "_published", lambda: {"mine": Entry(bad)})
    failure = refused("mine", monkeypatch)
    assert re.match(f"the suite 'mine' fails the check 'what is no answer scores nothing': {said}", str(failure))


def test_a_suite_of_an_installed_package_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_suites, "_published", lambda: {"mine": Entry(lambda: [][0])})
    with pytest.raises(UsageError, match="the suite 'mine' of an installed package cannot be made: IndexError"):
        lab.compare("mine", "direct", **SETTINGS)


def test_suites_of_the_library_and_files_are_not_checked_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "Which is it?", "answer": "?"}\n')
    for spec in ("last_letters", str(path)):
        assert checked(spec, suite_of(spec), 1) == {}


def test_without_assertions_a_suite_is_checked_as_well(made: Callable[..., str], tmp_path: Path) -> None:
    base, body, check, said = DEFECTS["pays junk"]
    line = ["-O", "-m", "stratagem", "compare", "--task", made(base, body), "--strategies", "direct", "--out", "kept"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "STRATAGEM_HOME": str(tmp_path)}
    result = subprocess.run([sys.executable, *line], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 2, result.stderr
    assert re.search(f"error: the suite 'bad.py:Bad' fails the check '{check}': {said}", result.stderr)
    assert not (tmp_path / "kept").exists()
