"""May a file of strategies be compared? It is read, not executed, with the files beside it that it imports.

This is a guard against accidents and obvious cheating, no sandbox: a strategy is code that its user runs. The keys of a
comparison are in another process; what a strategy could find here is who solves a suite's problems, or the user's own file.

Rule 1: what is refused is named with file and line, before anything runs.
Rule 2: what stands beneath `if __name__ == "__main__":` is not looked at: no process that runs strategies executes it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from stratagem.errors import UsageError

# Modules by which a strategy could look into the process that runs it.
MODULES = frozenset(
    {"gc", "inspect", "sys", "ctypes", "importlib", "builtins", "multiprocessing", "subprocess", "os", "pathlib", "io", "runpy"}
)  # fmt: skip
SOLVING = ("stratagem.tasks", "stratagem.lab")  # modules that solve the problems of suites
# Names by which code is reached that was not handed over: what a function closes over, frames, text that is executed.
ATTRIBUTES = frozenset(
    {"__self__", "__func__", "__closure__", "__globals__", "__subclasses__", "__builtins__", "f_back", "f_globals", "f_locals",
     "cr_frame", "gi_frame", "ag_frame", "tb_frame"}
)  # fmt: skip
NAMES = frozenset({"__import__", "__builtins__", "__loader__", "__spec__", "eval", "exec", "open", "globals"})
WORLD = "It touches the world through `run` alone."
APART = 'What compares stands beneath `if __name__ == "__main__":`, imports included, or in another file.'


def files_of(spec: str) -> list[Path]:
    """Return the files of a spec, and those beside them that they import."""
    found = [
        part.rpartition(":")[0]
        for part in spec.replace("(", "\x00").replace("'", "\x00").replace('"', "\x00").split("\x00")
    ]
    waiting = [Path(one.rpartition("=")[2].strip()).expanduser().resolve() for one in found if one.endswith(".py")]
    files: dict[Path, None] = {}
    while waiting:
        path = waiting.pop()
        if path not in files:
            files[path] = None
            names = [name.lstrip(".").partition(".")[0] for node in _nodes(_tree(path)) for name in _imported(node)]
            waiting += [beside for name in names if (beside := path.parent / f"{name}.py").is_file()]
    return list(files)


def look_at(spec: str) -> None:
    """Refuse a strategy whose files import or name what could find a key.

    Raises:
        UsageError: with file and line.
    """
    for path in files_of(spec):
        tree = _tree(path)
        ours = {
            one.asname or "stratagem" for node in _nodes(tree) if isinstance(node, ast.Import) for one in node.names
            if one.name == "stratagem"
        }  # fmt: skip
        for node in _nodes(tree):
            said, remedy = _refused(node, ours)
            if said:
                line = getattr(node, "lineno", 0)
                raise UsageError(f"{path.name}, line {line}: a strategy that is compared may not {said}", remedy=remedy)


def _refused(node: ast.AST, ours: set[str]) -> tuple[str, str]:
    """Return what a node does that is refused, and the remedy; `ours` are the names of the module `stratagem`."""
    for name in _imported(node):
        if name.partition(".")[0] in MODULES:
            return f"import {name!r}", WORLD
        if solving := _solving(name):
            return f"import {solving!r}", APART
    if isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        return f"use `{node.id}`", WORLD
    if isinstance(node, ast.Attribute):
        if node.attr in ATTRIBUTES:
            return f"use `{node.attr}`", WORLD
        if isinstance(node.value, ast.Name) and node.value.id in ours and _solving(f"stratagem.{node.attr}"):
            return f"use `stratagem.{node.attr}`", APART
    return "", ""


def _solving(name: str) -> str:
    return next((one for one in SOLVING if f"{name}.".startswith(f"{one}.")), "")


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_text("utf-8"), str(path))
    except (OSError, ValueError, SyntaxError) as failure:
        raise UsageError(f"{str(path)!r} cannot be read: {failure}", remedy="Correct the file, or its path.") from None


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree without what stands beneath `if __name__ == "__main__":`."""
    yield tree
    skipped = tree.body if isinstance(tree, ast.If) and _only_as_program(tree.test) else ()
    for inner in ast.iter_child_nodes(tree):
        if inner not in skipped:
            yield from _nodes(inner)


def _only_as_program(test: ast.expr) -> bool:
    return ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__")


def _imported(node: ast.AST) -> list[str]:
    """Return the modules that a node imports, and what it takes from one, since that may be a module too.

    What is imported from the file's own package begins with a full stop.
    """
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * bool(node.level) + (node.module or "")
        return [*filter(None, [module.rstrip(".")]), *(f"{module.rstrip('.')}.{one.name}" for one in node.names)]
    return []
