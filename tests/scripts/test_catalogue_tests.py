from pathlib import Path
from typing import Any

import pytest

from scripts import catalogue_tests
from scripts.catalogue_tests import collected, complaints

TEXT = """
import pytest

@pytest.mark.works("RE07", "RE08")
async def test_the_winner() -> None: ...

class TestGroup:
    @pytest.mark.parametrize("n", [1])
    @pytest.mark.works("RE07")
    def test_inside(self, n: int) -> None: ...

def test_unmarked() -> None: ...
"""


def tree(folder: Path, path: str = "tests/strategies/sampling/test_self_consistency.py") -> Path:
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text(TEXT)
    return folder


def test_marks_become_node_ids(tmp_path: Path) -> None:
    file = "tests/strategies/sampling/test_self_consistency.py"
    assert collected(tree(tmp_path)) == {
        "RE07": [f"{file}::TestGroup::test_inside", f"{file}::test_the_winner"],
        "RE08": [f"{file}::test_the_winner"],
    }


def made(kind: str, *ids: str) -> Any:
    module = "stratagem.core._signature" if kind == "feature" else "stratagem.strategies.sampling.self_consistency"
    return {"name": "it", "kind": kind, "ids": list(ids), "module": module}


def test_an_implementation_that_its_own_tests_show_is_fine(tmp_path: Path) -> None:
    assert (
        list(complaints(collected(tree(tmp_path)), [made("strategy", "RE07", "RE08"), made("feature", "RE07")])) == []
    )


def test_a_strategy_that_another_file_shows_is_not(tmp_path: Path) -> None:
    found = collected(tree(tmp_path, "tests/judges/test_other.py"))
    assert list(complaints(found, [made("strategy", "RE07")])) == [
        'it: no test in tests/strategies/sampling/test_self_consistency.py is marked `@pytest.mark.works("RE07")`'
    ]


def test_a_feature_that_nothing_shows_is_not() -> None:
    assert list(complaints({}, [made("feature", "IN04")])) == ['it: no test is marked `@pytest.mark.works("IN04")`']


def test_a_mark_of_an_unknown_id_is_noticed() -> None:
    assert list(complaints({"XX99": ["a.py::b"]}, [])) == ['`works("XX99")` in a.py::b: the catalogue has no such id']


def test_a_stale_file_is_noticed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tests.json"
    file.write_text("{}\n")
    monkeypatch.setattr(catalogue_tests, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue_tests, "FILE", file)
    monkeypatch.setattr(catalogue_tests, "collected", lambda: {"RE07": ["a.py::b"]})
    monkeypatch.setattr(catalogue_tests, "implementations", list)
    assert catalogue_tests.main(["--check"]) == 1
    assert "tests.json is out of date; run `make catalogue`" in capsys.readouterr().out
    assert catalogue_tests.main([]) == 0
    assert capsys.readouterr().out == ""
    assert catalogue_tests.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_missing_fails_the_check_but_not_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue_tests, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue_tests, "FILE", tmp_path / "tests.json")
    monkeypatch.setattr(catalogue_tests, "collected", dict)
    monkeypatch.setattr(catalogue_tests, "implementations", lambda: [made("feature", "IN04")])
    assert catalogue_tests.main([]) == 0
    assert "IN04" in capsys.readouterr().out
    assert catalogue_tests.main(["--check"]) == 1
