"""The README and the manual are true: their Python runs, and `stratagem` prints what they show.

How a page is executed
- A `python` block runs; all blocks of a page share one namespace, and `await` may stand at the top level.
- A `python` or `toml` block right after a comment `<!-- file: NAME -->` is not run but written to that file, from which
  later blocks can import.
- A `text` block right after a comment `<!-- prints -->` is what the Python block before it printed.
- In a `console` block each `$ stratagem ...` runs in a shell, and the lines below it, down to the next `$`, are what it
  prints on standard output (nothing below: anything). Its exit status is 0, or what `$ echo $?` after it shows. Other
  commands are for the reader only.
- In an expected text `...` stands for anything; ids, times and durations are compared by form.
- A page runs in a folder of its own, with copies of `README.md` and `docs/`, and with a home of its own.
- `<!-- skip: next "reason" -->` leaves the next block out; the reason is required.
- `<!-- needs: MODULE -->` leaves the whole page out where a package that `make setup` does not install is missing.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, SkipParser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LIMIT_S = 120.0
PRINTS = re.compile(r"<!-- prints -->\s*\Z")
FILE = re.compile(r"<!-- file: ([\w.]+) -->\s*\Z")
NEEDS = re.compile(r"^<!-- needs: (\w+) -->$", re.MULTILINE)
OURS = re.compile(r"(\w+=\S* +)*stratagem( |$)|.*\| *stratagem( |$)")

# What differs from run to run, and what may stand in its place.
FORMS = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?"),
    (r"\b\d+(?:\.\d+)? (?:µs|ms|s|min)\b", r"\d+(?:\.\d+)? (?:µs|ms|s|min)\b"),
    (r"\b(?=[a-z]*\d)(?=\d*[a-z])[a-z\d]{6,32}\b", r"[a-z\d]{6,32}\b"),  # an id: letters and digits
    (r"\.\.\.", r".*"),
]
ANY_FORM = re.compile("|".join(f"({found})" for found, _ in FORMS))


def matches(expected: str, found: str) -> bool:
    """Say whether a text is what is expected; trailing blanks and blank lines at the ends do not count."""
    wanted, got = (
        "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).strip() for text in (expected, found)
    )
    pattern, place = "", 0
    for match in ANY_FORM.finditer(wanted):
        pattern += re.escape(wanted[place : match.start()]) + FORMS[(match.lastindex or 1) - 1][1]
        place = match.end()
    return re.fullmatch(pattern + re.escape(wanted[place:]), got, re.DOTALL) is not None


def compare(expected: str, found: str, after: str = "") -> None:
    if not matches(expected, found):
        shown = (textwrap.indent(text.strip("\n"), "    ") for text in (expected, found))
        raise AssertionError("\n".join([f"{after}expected:", next(shown), "found:", next(shown)]))


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a console block, continued lines joined, with what is shown below each."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.replace("\\\n", "").partition("\n")
        yield command.strip(), expected


class Page:
    """What the blocks of a page share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.status = 0
        self.runner = asyncio.Runner()

    def kept(self, example: Example) -> bool:
        """Write a block to the file that it says it is; return whether it says so."""
        named = FILE.search(example.document.text[: example.start])
        if named is not None:
            (self.folder / named[1]).write_text(example.parsed, "utf-8")
        return named is not None

    def toml(self, example: Example) -> None:
        self.kept(example)

    def python(self, example: Example) -> None:
        if self.kept(example):
            return
        source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
        code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            result = eval(code, self.namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                self.runner.run(result)
        self.printed = output.getvalue()

    def text(self, example: Example) -> None:
        if PRINTS.search(example.document.text[: example.start]):
            compare(example.parsed, self.printed)

    def console(self, example: Example) -> None:
        listed = list(commands(example.parsed))
        for number, (command, expected) in enumerate(listed):
            if command == "echo $?":
                compare(expected, str(self.status), "exit status, ")
            elif OURS.match(command):
                self.shell(command, expected)
                if [following for following, _ in listed[number + 1 : number + 2]] != ["echo $?"]:
                    compare("0", str(self.status), f"$ {command}\nexit status, ")

    def shell(self, command: str, expected: str) -> None:
        settings = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "STRATAGEM_HOME": str(self.folder / ".stratagem"),
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            encoding="utf-8",
            timeout=LIMIT_S,
            check=False,
            cwd=self.folder,
            env={**os.environ, **settings},
        )
        self.status = done.returncode
        if expected.strip():
            compare(expected, done.stdout, f"$ {command}\n{done.stderr}")

    def run(self, path: Path) -> int:
        """Run every block of a page and return how many there were."""
        evaluators = {"python": self.python, "toml": self.toml, "text": self.text, "console": self.console}
        document = Document.parse(
            str(path), SkipParser(), *(CodeBlockParser(language, run) for language, run in evaluators.items())
        )
        examples = list(document.examples())
        with self.runner:
            for example in examples:
                try:
                    example.evaluate()
                except SkipTest:
                    continue
                except Exception as failure:
                    raise AssertionError(f"{path}:{example.line}: {type(failure).__name__}\n{failure}") from failure
        return len(examples)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page that runs beside copies of the README and the manual."""
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STRATAGEM_HOME", str(tmp_path / ".stratagem"))
    before = set(sys.modules)
    yield Page(tmp_path)
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == tmp_path:
            del sys.modules[name]  # another page may have a file of that name


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_what_the_page_shows_happens(path: Path, page: Page) -> None:
    for name in NEEDS.findall(path.read_text("utf-8")):
        pytest.importorskip(name)
    page.run(path)


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_what_is_skipped_has_a_reason_and_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [
        mark for mark in re.findall(r"<!-- skip: (.*?) -->", text) if not re.fullmatch(r'\w+ "[^"]+"|end', mark)
    ] == []
    linked = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    assert [target for target in linked if not (path.parent / target).exists()] == []


def written(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(textwrap.dedent(text), "utf-8")
    return path


GOOD = """
    ```python
    import asyncio
    n = await asyncio.sleep(0, 20)
    ```
    ```python
    print("n is", n + 1)
    ```
    <!-- prints -->
    ```text
    n is 21
    ```
    <!-- file: my.py -->
    ```python
    word = "read"
    ```
    ```python
    from my import word
    print("it is", word)
    ```
    <!-- prints -->
    ```text
    it is read
    ```
    ```text
    not what it printed
    ```
    <!-- skip: next "it would fail" -->
    ```python
    1 / 0
    ```
    ```console
    $ make setup
    $ echo "a question" | stratagem
    run k7m2qd took 2.1 s at 2026-11-25T10:00:00Z
    and ... more
    $ echo $?
    3
    ```
    """


def fake_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `stratagem` on the path whose output differs from the page in id, time and duration."""
    script = folder / "bin" / "stratagem"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\necho 'run 0a1b2c3d took 17 ms at 2031-01-02T03:04:05.678Z'\necho 'and one more'\nexit 3\n"
    )
    script.chmod(0o755)
    (folder / "bin" / "python").touch()
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))


def test_a_true_page_passes(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_command(tmp_path, monkeypatch)
    assert page.run(written(tmp_path, GOOD)) == 10


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("n is 21", "n is 22", "page.md:10"),
        ("n + 1", "m + 1", "NameError"),
        ("took 2.1 s", "was 2.1 s", "found"),
        ("k7m2qd", "K7M2QD", "found"),
        ("    3\n", "    0\n", "exit status"),
        ("    $ echo $?\n    3\n", "", "exit status"),
        ('<!-- skip: next "it would fail" -->', "", "ZeroDivisionError"),
        ("<!-- file: my.py -->", "", "No module named 'my'"),
    ],
)
def test_a_false_page_fails(
    old: str, new: str, reason: str, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_command(tmp_path, monkeypatch)
    assert old in GOOD
    with pytest.raises(AssertionError, match=re.escape(reason)):
        page.run(written(tmp_path, GOOD.replace(old, new)))


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("a ... c", "a b\nb c", True),
        ("answered · run k7m2qd", "answered · run abcdef", True),
        ("answered", "answered ", True),
        ("answered", "answered twice", False),
        ("3 calls", "4 calls", False),
        ("seattle-weather.csv: rows 1-1461", "seattle-weather.csv: rows 1-1460", False),
        ("(2.1 s)", "(12 s)", True),
        ("a.b", "axb", False),
    ],
)
def test_only_what_differs_from_run_to_run_is_wild(expected: str, found: str, same: bool) -> None:
    assert matches(expected, found) is same
