"""Files that a spec names import the files beside them, and those take nobody's place."""

import sys
from pathlib import Path
from typing import Any

import pytest

from stratagem.errors import UsageError
from stratagem.session import _loading

MAIN = """
from words import joined, LOADED
from stratagem import Answer, Run, Task, strategy

@strategy(calls="0")
async def solve(run: Run, task: Task) -> Answer:
    return task.answer(joined("main", str(len(LOADED))))
"""
WORDS = """
import more
LOADED = []

def joined(*parts):
    return more.BETWEEN.join(parts)
"""
MORE = """
import words
BETWEEN = "-"
"""


def written(folder: Path, **files: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return f"{folder / 'main.py'}:solve"


async def solved(opened: Any, spec: str) -> str:
    async with opened({}) as s:
        return str((await s.run(spec, "?")).text)


async def test_a_strategy_of_a_file_uses_what_lies_beside_it(opened: Any, tmp_path: Path) -> None:
    spec = written(tmp_path, main=MAIN, words=WORDS, more=MORE)
    path, found = list(sys.path), set(sys.modules)
    assert await solved(opened, spec) == "main-0"
    assert (sys.path, sys.modules.keys() & {"words", "more"}) == (path, set())
    assert {name.rpartition(".")[2] for name in sys.modules.keys() - found if "stratagem_files" in name} == {
        "main", "words", "more",
    }  # fmt: skip
    assert len([one for one in sys.meta_path if type(one).__name__ == "_Beside"]) == 0


async def test_files_of_one_name_in_two_folders_are_two(opened: Any, tmp_path: Path) -> None:
    one = written(tmp_path / "one", main=MAIN, words=WORDS, more=MORE)
    other = written(tmp_path / "other", main=MAIN, words=WORDS, more=MORE.replace('"-"', '"+"'))
    assert [await solved(opened, spec) for spec in (one, other, one)] == ["main-0", "main+0", "main-0"]


async def test_two_files_share_what_lies_beside_both(opened: Any, tmp_path: Path) -> None:
    written(tmp_path, main=MAIN, words=WORDS, more=MORE)
    (tmp_path / "second.py").write_text(MAIN.replace("async def solve", "async def again") + "\nLOADED.append(1)\n")
    assert await solved(opened, f"{tmp_path / 'main.py'}:solve") == "main-0"
    assert await solved(opened, f"{tmp_path / 'second.py'}:again") == "main-1"


async def test_no_file_takes_the_place_of_a_module_that_is_there(opened: Any, tmp_path: Path) -> None:
    main = "import json, click, colorsys\nFOUND = [json.__name__, click.__name__, colorsys.__name__]\n" + MAIN.replace(
        "from words import joined, LOADED", "joined, LOADED = (lambda *parts: ' '.join(FOUND)), []"
    )
    wrong = 'raise RuntimeError("not this one")\n'
    sys.modules.pop("colorsys", None)  # of the standard library, and not imported yet
    spec = written(tmp_path, main=main, json=wrong, click=wrong, colorsys=wrong)
    assert await solved(opened, spec) == "json click colorsys"


async def test_what_is_defined_beside_is_found_again_by_its_own_file(opened: Any, tmp_path: Path) -> None:
    helper = "from stratagem import Answer, Run, Task, strategy\n" + MAIN.partition("strategy\n")[2]
    helper = helper.replace('joined("main", str(len(LOADED)))', '"beside"')
    main = "from helper import solve\n"
    spec = written(tmp_path, main=main, helper=helper)
    made = _loading.strategy_of(spec)
    assert _loading.spec_of(made) == f"{(tmp_path / 'helper.py').resolve()}:solve"
    assert _loading.source_of(made)
    assert await solved(opened, _loading.spec_of(made)) == "beside"


def test_what_fails_beside_says_which_file_it_was(tmp_path: Path) -> None:
    spec = written(tmp_path, main=MAIN, words="raise KeyError('lost')\n")
    with pytest.raises(UsageError, match=r"words.py' cannot be imported: KeyError: 'lost'"):
        _loading.strategy_of(spec)
    with pytest.raises(UsageError, match=r"main.py' cannot be imported: ModuleNotFoundError: No module named 'gone'"):
        _loading.strategy_of(written(tmp_path / "b", main=MAIN.replace("words", "gone")))
