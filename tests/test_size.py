"""Files and functions are short enough to be read at once."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "tests", "scripts", "benchmarks")
FILES = sorted(
    [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")] + [Path("mutants.py")]
)
STRATEGY_LINES, FILE_LINES, FUNCTION_LINES = 100, 500, 60

# What needs more, with the reason. A file is named by its path, a function by path:name.
LARGER: dict[str, tuple[int, str]] = {
    "src/stratagem/strategies/search/_thoughts.py": (
        120,
        "four operations with their signatures, which searches share.",
    ),
    "src/stratagem/strategies/search/tree_of_thoughts.py": (116, "two searches, and where each differs from its code."),
    "src/stratagem/strategies/reflection/reflexion.py": (110, "two published versions, and where each differs."),
}


def limit(name: str, usual: int) -> int:
    return LARGER.get(name, (usual, ""))[0]


def usually(path: Path) -> int:
    return STRATEGY_LINES if path.is_relative_to("src/stratagem/strategies") else FILE_LINES


def functions(path: Path) -> dict[str, int]:
    """Return the number of lines of every function, its docstring not counted."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            assert node.end_lineno is not None
            documented = ast.get_docstring(node, clean=False)
            said = documented.count("\n") + 1 if documented is not None else 0
            found[node.name] = max(found.get(node.name, 0), node.end_lineno - node.lineno + 1 - said)
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_and_functions_are_short(path: Path) -> None:
    usual = usually(path)
    lines = len((ROOT / path).read_text("utf-8").splitlines())
    assert lines <= limit(str(path), usual)
    long = {name: lines for name, lines in functions(path).items() if lines > limit(f"{path}:{name}", FUNCTION_LINES)}
    assert long == {}


def test_every_exception_is_needed_and_has_a_reason() -> None:
    for name, (allowed, reason) in LARGER.items():
        path, _, function = name.partition(":")
        usual = FUNCTION_LINES if function else usually(Path(path))
        now = functions(Path(path))[function] if function else len((ROOT / path).read_text("utf-8").splitlines())
        assert usual < now <= allowed
        assert reason.endswith(".")
