from pathlib import Path

import pytest

import mutants

SOURCE = '''"""Text with 3 numbers."""
@strategy(ids=["RE07"], calls="2 * n - 1", lower="n")
async def f(run, *, n=10, heat=0.5, fast=True):
    """Do 4 things."""
    if "é" and n < 2 and heat is not None:
        return data(frozen=True)
'''


def names(text: str) -> list[str]:
    return [mutant.name for mutant in mutants.automatic(text)]


def test_numbers_flags_comparisons_and_formulas_are_changed() -> None:
    assert names(SOURCE) == [
        "line 3: 10 -> 11",
        "line 3: 10 -> 9",
        "line 3: 0.5 -> 0.25",
        "line 3: 0.5 -> 1.0",
        "line 3: True -> False",
        "line 2: \"2 * n - 1\" -> '3 * n - 1'",
        "line 2: \"2 * n - 1\" -> '1 * n - 1'",
        "line 2: \"2 * n - 1\" -> '2 + n - 1'",
        "line 2: \"2 * n - 1\" -> '2 * n + 1'",
        "line 2: \"2 * n - 1\" -> '2 * n - 2'",
        "line 2: \"2 * n - 1\" -> '2 * n - 0'",
        "line 5: n < 2 -> n <= 2",
        "line 5: heat is not None -> heat is None",
        "line 5: 2 -> 3",
        "line 5: 2 -> 1",
    ]


def test_only_the_named_place_changes_also_behind_letters_of_several_bytes() -> None:
    mutant = next(one for one in mutants.automatic(SOURCE) if one.name == "line 5: n < 2 -> n <= 2")
    assert mutant.text == SOURCE.replace("n < 2", "n <= 2")


def test_defects_are_taken_from_the_test_file_without_running_it() -> None:
    tests = 'raise SystemExit\nDEFECTS = [("n < 2", "True"), ("heat", "cold")]\n'
    assert [mutant.text for mutant in mutants.seeded(SOURCE, tests)] == [
        SOURCE.replace("n < 2", "True"),
        SOURCE.replace("heat", "cold"),
    ]
    assert list(mutants.seeded(SOURCE, "x = 1\n")) == []


def test_a_defect_that_no_longer_fits_is_refused() -> None:
    with pytest.raises(SystemExit, match="not in the source file any more"):
        list(mutants.seeded(SOURCE, 'DEFECTS = [("nowhere", "x")]'))


def test_strategies_and_judges_are_tried_by_their_own_tests() -> None:
    judge = Path("src/stratagem/judges/self_check.py")
    assert mutants.test_of(judge) == Path("tests/judges/test_self_check.py")
    assert mutants.test_of(Path("src/stratagem/strategies/search/_thoughts.py")) == Path(
        "tests/strategies/search/test_thoughts.py"
    )
    assert judge in mutants.sources([], None)
    assert mutants.sources(["self_check"], None) == [judge]
    with pytest.raises(SystemExit, match="nobody"):
        mutants.sources(["nobody"], None)


def test_a_copy_of_the_package_notices_a_defect_and_is_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, source = tmp_path / "root", Path("src/stratagem/judges/twice.py")
    for path, text in {
        source: "def twice(x):\n    return 2 * x\n",
        "src/stratagem/__init__.py": "",
        "src/stratagem/judges/__init__.py": "",
        "tests/judges/test_twice.py": (
            "from stratagem.judges.twice import twice\n\ndef test_it():\n    assert twice(3) == 6\n"
        ),
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    monkeypatch.setattr(mutants, "ROOT", root)
    bench = mutants.Workshop(tmp_path)
    whole = (root / source).read_text()
    assert [bench.killed(source, mutant.text) for mutant in mutants.mutants(source)] == [True, True]
    assert not bench.killed(source, whole)
    assert bench.killed(source, "def other(): ...\n")
    assert (tmp_path / source).read_text() == whole
