"""Write and check `catalogue/tests.json`: which test shows what a catalogue entry must do.

    python scripts/catalogue_tests.py            collect `@pytest.mark.works("ID", ...)` from tests/ and write the file
    python scripts/catalogue_tests.py --check    say what is missing or out of date

The tests are read, not imported. An implementation of several ids needs a marked test for each; a strategy or judge
has it in its own test file.
"""

import ast
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from stratagem.catalogue import Implementation, entries, implementations, mirror

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "src" / "stratagem" / "catalogue" / "tests.json"


def marked(path: Path, root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield the id and the node id of every marked test of a file."""
    for node, prefix in _tests(ast.parse(path.read_text("utf-8")).body, path.relative_to(root).as_posix()):
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.works":
                yield from ((ast.literal_eval(number), f"{prefix}::{node.name}") for number in decorator.args)


def _tests(
    body: Iterable[ast.stmt], prefix: str
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, str]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, prefix
        elif isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{prefix}::{node.name}")


def collected(root: Path = ROOT) -> dict[str, list[str]]:
    """Return the node ids of the marked tests of the tree by id, both sorted."""
    found: dict[str, list[str]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for number, node in marked(path, root):
            found.setdefault(number, []).append(node)
    return {number: sorted(nodes) for number, nodes in sorted(found.items())}


def complaints(found: dict[str, list[str]], made: Iterable[Implementation]) -> Iterator[str]:
    """Yield what is not as it must be: marks of unknown ids, and implementations that no test shows."""
    for number in found:
        if number not in entries():
            yield f'`works("{number}")` in {found[number][0]}: the catalogue has no such id'
    for one in made:
        for number in one["ids"]:
            nodes = found.get(number, [])
            if one["kind"] in ("strategy", "judge"):
                own = mirror(one["module"])
                if not any(node.startswith(f"{own}::") for node in nodes):
                    yield f'{one["name"]}: no test in {own} is marked `@pytest.mark.works("{number}")`'
            elif not nodes:
                yield f'{one["name"]}: no test is marked `@pytest.mark.works("{number}")`'


def main(arguments: list[str]) -> int:
    found = collected()
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if arguments != ["--check"]:
        FILE.write_text(text, "utf-8")
    wrong = list(complaints(found, implementations()))
    if FILE.read_text("utf-8") != text:
        wrong.append(f"{FILE.relative_to(ROOT)} is out of date; run `make catalogue`")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
