"""By which ways a strategy that is compared gets no module that could find a key, and what is no such way."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import stratagem
from stratagem.errors import UsageError
from stratagem.lab._looking import files_of, look_at
from tests.lab.test_guards import RIGHT, written

FORBIDDEN = (
    "gc", "inspect", "sys", "ctypes", "importlib", "builtins", "multiprocessing", "subprocess", "os", "pathlib", "io", "runpy",
)  # fmt: skip


def refused(folder: Path, before: str, files: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return why a strategy is refused that has such lines before it, and such files beside it; empty if it is not."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    try:
        look_at(written(folder / "mine.py", RIGHT, before=f"{before}\n"))
    except UsageError as failure:
        return str(failure).replace("a strategy that is compared may not ", "")
    return ""


@pytest.mark.parametrize("name", FORBIDDEN)
def test_each_forbidden_module_is_refused_by_whatever_way_it_comes(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, f"import re\nimport {name}") == f"mine.py, line 2: import '{name}'"
    assert refused(tmp_path, f"from {name} import *") == f"mine.py, line 1: import '{name}'"
    assert refused(tmp_path, f"from dataclasses import {name} as x") == f"mine.py, line 1: import 'dataclasses.{name}'"
    assert refused(tmp_path, f"import ast\nx = ast.{name}") == f"mine.py, line 2: use `ast.{name}`"


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("from dataclasses import field, inspect", "mine.py, line 1: import 'dataclasses.inspect'"),
        ("import dataclasses as d\nx = d.sys.modules", "mine.py, line 2: use `dataclasses.sys`"),
        ("import dataclasses\nd = dataclasses\nx = d.sys", "mine.py, line 3: use `dataclasses.sys`"),
        ("import json.decoder\nx = json.decoder.re.enum.sys", "mine.py, line 2: use `json.decoder.re.enum.sys`"),
        ("from collections import abc\nx = abc.sys", "mine.py, line 2: use `collections.abc.sys`"),
        ("import dataclasses\nx = getattr(dataclasses, 'sys')", "mine.py, line 2: use `dataclasses.sys`"),
        ("import dataclasses\nx = vars(dataclasses)['sys']", "mine.py, line 2: use `dataclasses.__dict__`"),
        ("import dataclasses as d\nx = d.__dict__['sys']", "mine.py, line 2: use `dataclasses.__dict__`"),
        ("x = lambda task: getattr(task.canonical, '__self__')", "mine.py, line 1: use `__self__`"),
        ("import stratagem as s\nt = s\nx = t.tasks", "mine.py, line 3: use `stratagem.tasks`"),
        ("from stratagem.core._task import contextlib, sys", "mine.py, line 1: import 'stratagem.core._task.sys'"),
    ],
)
def test_a_module_in_another_is_refused(tmp_path: Path, before: str, said: str) -> None:
    assert refused(tmp_path, before) == said


@pytest.mark.parametrize(
    ("before", "files", "said"),
    [
        ("from helper import look", {"helper/__init__": "import gc\nlook = 1\n"}, "__init__.py, line 1: import 'gc'"),
        ("from helper import look", {"helper/look": "import gc\n"}, "look.py, line 1: import 'gc'"),
        ("import helper.look", {"helper/__init__": "", "helper/look": "import gc\n"}, "look.py, line 1: import 'gc'"),
        ("import helper.look.deep as d", {"helper/look/deep": "import gc\n"}, "deep.py, line 1: import 'gc'"),
        ("import helper", {"helper/__init__": "from .look import x\n", "helper/look": "x = 1\nimport os\n"}, "look.py, line 2: import 'os'"),
        ("import helper", {"helper/__init__": "from . import look\n", "helper/look": "import os\n"}, "look.py, line 1: import 'os'"),
        ("import a.b.c", {"a/b/c": "from ..other import x\n", "a/other": "import os\n"}, "other.py, line 1: import 'os'"),
        ("import a.b", {"a/b": "import beside\n", "beside": "import os\n"}, "beside.py, line 1: import 'os'"),
        ("from helper import *", {"helper/__init__": "__all__ = ['look']\n", "helper/look": "import os\n"}, "look.py, line 1: import 'os'"),
        ("import helper", {"helper": "x = 1\n", "helper/__init__": "import os\n"}, "__init__.py, line 1: import 'os'"),
        ("from helper import d\nx = d.sys", {"helper": "import dataclasses as d\n"}, "mine.py, line 2: use `dataclasses.sys`"),
        ("import helper\nx = helper.d.sys", {"helper": "import dataclasses as d\n"}, "mine.py, line 2: use `dataclasses.sys`"),
        ("from helper import *\nfrom helper import d as e\nx = e.sys", {"helper": "from more import *\n", "more": "import dataclasses as d\n"},
         "mine.py, line 3: use `dataclasses.sys`"),
        ("from helper import s\nx = s.tasks", {"helper": "import stratagem as s\n"}, "mine.py, line 2: use `stratagem.tasks`"),
        ("import io", {"io": "x = 1\n"}, "mine.py, line 1: import 'io'"),
        ("import dataclasses\nx = dataclasses.sys", {"dataclasses": "x = 1\n"}, "mine.py, line 2: use `dataclasses.sys`"),
    ],
)  # fmt: skip
def test_packages_beside_are_followed_like_modules(
    tmp_path: Path, before: str, files: dict[str, str], said: str
) -> None:
    assert refused(tmp_path, before, files) == said


def test_files_of_packages_are_a_part_of_the_source(tmp_path: Path) -> None:
    files = {"helper/__init__": "from .look import x\n", "helper/look": "x = 1\n", "helper/other": "import os\n"}
    assert refused(tmp_path, "from helper import x", files) == ""
    assert sorted(path.relative_to(tmp_path).as_posix() for path in files_of(f"{tmp_path / 'mine.py'}:mine")) == [
        "helper/__init__.py", "helper/look.py", "mine.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "files"),
    [
        ("class Box:\n    sys = 1\n    def __init__(self):\n        self.io = self.sys\nx = Box().io", {}),
        ("from helper import Box\nx = vars(Box), Box.__dict__", {"helper": "class Box: ...\n"}),
        ("class Box: ...\nx = vars(Box), Box.__dict__, vars()", {}),
        ("from helper import box\nx = box.inspect()", {"helper": "class Box:\n    def inspect(self): ...\nbox = Box()\n"}),
        ("import helper\nx = helper.inspect", {"helper": "def inspect(): ...\n"}),
        ("from helper import io\nx = io.read", {"helper/io": "def read(): ...\n"}),
        ("import helper.os as mine_os\nx = mine_os.y", {"helper/__init__": "", "helper/os": "y = 1\n"}),
        ("from helper import y", {"helper/__init__": "from .io import y\nfrom . import io\n", "helper/io": "y = 1\n"}),
        ("import helper", {"helper": "if __name__ == '__main__':\n    import sys\n"}),
        ("from a import x", {"a": "from b import x\ny = x.z\n", "b": "from a import x\ny = x.z\n"}),  # no end
        ("from helper import *", {"helper/__init__": "from . import *\n"}),
        ("from stratagem import core", {"stratagem/__init__": "import sys\n"}),
        ("import dataclasses, math, re\nfrom collections import Counter\nx = dataclasses.field, math.pi, Counter.update", {}),
    ],
)  # fmt: skip
def test_what_a_user_writes_without_looking_anywhere_is_no_false_alarm(
    tmp_path: Path, before: str, files: dict[str, str]
) -> None:
    assert refused(tmp_path, before, files) == ""


def test_the_library_s_own_strategies_judges_and_parts_pass() -> None:
    folder = Path(stratagem.__file__).parent
    own = [path for name in ("strategies", "judges", "parts") for path in (folder / name).rglob("*.py")]
    assert len(own) > 30
    for path in own:
        if path.name != "__init__.py":
            assert look_at(f"{path}:made") is None
