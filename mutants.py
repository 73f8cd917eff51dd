"""Seed defects into every strategy and judge, one at a time: its own test file must notice each.

    python mutants.py [NAME ...] [--changed BASE] [--seconds N] [--jobs N]

Automatic: every number one up and one down (floats halved and doubled), every bool and comparison turned, every
number and operator of a call formula changed. By hand (`DEFECTS = [(old, new), ...]` in the test file): what was found
in published agent code, such as no aggregation, the first candidate taken, a judge nobody hears.
"""

import argparse
import ast
import compileall
import os
import py_compile
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
PACKAGE = Path("src") / "stratagem"
LIMIT_S = 60.0  # a test file that takes longer hangs: the defect was noticed

TURNED = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
}
TURNED_OPERATOR = {" + ": " - ", " - ": " + ", " * ": " + "}


class Mutant(NamedTuple):
    """A defect: its name and the whole text of the file that has it."""

    name: str
    text: str


def automatic(text: str) -> Iterator[Mutant]:
    """Yield every automatic defect of a source file."""
    encoded = text.encode()
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def cut(node: ast.expr, new: str) -> Mutant:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        # Columns of the syntax tree count bytes.
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        name = f"line {node.lineno}: {encoded[start:end].decode()} -> {new}"
        return Mutant(name, (encoded[:start] + new.encode() + encoded[end:]).decode())

    skipped: set[ast.expr] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.keyword(arg=("frozen" | "strict" | "slots")):
                skipped.add(node.value)  # guards against programmers, not behaviour
            case ast.Constant() if node in skipped:
                pass
            case ast.Constant(value=bool()):
                yield cut(node, str(not node.value))
            case ast.Constant(value=int(number)):
                yield from (cut(node, str(number + 1)), cut(node, str(number - 1)))
            case ast.Constant(value=float(number)):
                yield from (cut(node, str(number / 2)), cut(node, str(number * 2)))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in TURNED:
                yield cut(node, f"{ast.unparse(left)} {TURNED[type(op)]} {ast.unparse(right)}")
            case ast.keyword(arg=("calls" | "lower"), value=ast.Constant(value=str(formula)) as inner):
                yield from (cut(inner, repr(changed)) for changed in formulas(formula))
            case _:
                pass


def formulas(formula: str) -> Iterator[str]:
    """Yield a call formula with one number or operator changed."""
    for found in re.finditer(r"\d+| [+*-] ", formula):
        old = found[0]
        news = [str(int(old) + 1), str(int(old) - 1)] if old.isdigit() else [TURNED_OPERATOR[old]]
        yield from (formula[: found.start()] + new + formula[found.end() :] for new in news)


def test_of(source: Path) -> Path:
    """Return the test file of a source file, both relative to the root of the repository."""
    folder = source.relative_to(PACKAGE).parent
    return Path("tests") / folder / f"test_{source.stem.lstrip('_')}.py"


def seeded(text: str, tests: str) -> Iterator[Mutant]:
    """Yield the defects that a test file lists by hand."""
    for node in ast.parse(tests).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DEFECTS":
            for old, new in ast.literal_eval(node.value):
                if old not in text:
                    raise SystemExit(f"DEFECTS: {old!r} is not in the source file any more")
                yield Mutant(f"{old!r} -> {new!r}", text.replace(old, new))


def mutants(source: Path) -> list[Mutant]:
    """Return all defects to seed into a source file; each is valid Python and differs from the file."""
    text = (ROOT / source).read_text("utf-8")
    found = [*automatic(text), *seeded(text, (ROOT / test_of(source)).read_text("utf-8"))]
    for mutant in found:
        if mutant.text == text:
            raise SystemExit(f"{source}: {mutant.name} changes nothing")
        compile(mutant.text, f"{source}: {mutant.name}", "exec")
    return found


class Workshop:
    """A copy of the package in which one file at a time is replaced."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "src"
        shutil.copytree(ROOT / "src", self.sources, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        # Validated by content: a mutant of the same size in the same second is never taken for the original.
        compileall.compile_dir(
            self.sources, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH, force=True
        )

    def killed(self, source: Path, text: str) -> bool:
        """Say whether the file's own tests fail with this text in its place."""
        path = self.sources.parent / source
        original = path.read_text("utf-8")
        path.write_text(text, "utf-8")
        try:
            return self._fails(test_of(source))
        finally:
            path.write_text(original, "utf-8")

    def _fails(self, tests: Path) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "anyio", "--rootdir", str(ROOT)]
        command += ["-c", str(ROOT / "pyproject.toml"), "-o", f"pythonpath={self.sources}", str(ROOT / tests)]
        # One plugin is needed; finding and importing the others costs more than most test files.
        settings = {**os.environ, "PYTHONPATH": str(self.sources), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=LIMIT_S, env=settings, check=False, text=True, cwd=ROOT
            )
        except subprocess.TimeoutExpired:
            return True
        if done.returncode not in (0, 1, 2):  # 1: a test failed; 2: the file could not even be imported
            raise SystemExit(f"{tests}: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode != 0


def sources(names: list[str], base: str | None) -> list[Path]:
    """Return the strategy and judge files to try: of these names, or different from a commit, or all."""
    every = [
        path.relative_to(ROOT)
        for folder in ("strategies", "judges")
        for path in sorted((ROOT / PACKAGE / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    if unknown := set(names) - {path.stem for path in every}:
        raise SystemExit(f"no strategy or judge is in a file named {', '.join(sorted(unknown))}")
    if base is not None:
        known = ["git", "diff", "--name-only", base, "--", "src", "tests"]
        new = ["git", "ls-files", "--others", "--exclude-standard", "--", "src", "tests"]
        listed = [subprocess.run(c, capture_output=True, text=True, check=True, cwd=ROOT).stdout for c in (known, new)]
        changed = {Path(line) for text in listed for line in text.splitlines()}
        every = [path for path in every if {path, test_of(path)} & changed]
    return [path for path in every if not names or path.stem in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="strategy or judge; all if none is named")
    parser.add_argument("--changed", metavar="BASE", help="only what differs from this commit")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time and say what is left")
    parser.add_argument("--jobs", type=int, default=2, help="test processes at once")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    survived = untried = tried = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        benches: queue.SimpleQueue[Workshop] = queue.SimpleQueue()
        for number in range(options.jobs):
            (Path(folder) / str(number)).mkdir()
            benches.put(Workshop(Path(folder) / str(number)))

        def killed(source: Path, text: str) -> bool | None:
            if time.monotonic() > end:
                return None
            bench = benches.get()
            try:
                return bench.killed(source, text)
            finally:
                benches.put(bench)

        for source in sources(options.names, options.changed):
            if killed(source, (ROOT / source).read_text("utf-8")):
                raise SystemExit(f"{test_of(source)} fails without a defect")
            found = mutants(source)
            results = list(pool.map(lambda mutant, source=source: killed(source, mutant.text), found))
            for mutant, dead in zip(found, results, strict=True):
                if dead is False:
                    print(f"  SURVIVED {source}: {mutant.name}")
            done = len(results) - results.count(None)
            print(f"{source.stem}: {results.count(True)} of {done} noticed", flush=True)
            survived, untried, tried = survived + results.count(False), untried + len(results) - done, tried + done
    left = f", {untried} not tried for lack of time" if untried else ""
    print(f"{tried} defects seeded, {survived} survived{left}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
