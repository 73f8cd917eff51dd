"""May a file of strategies be compared? It is read, not executed, with the files beside it that it imports.

This is a guard against accidents and obvious cheating, no sandbox: a strategy is code that its user runs. The keys of a
comparison are in another process; what a strategy could find here is who solves a suite's problems, or the user's own file.

Rule 1: what is refused is named with file and line, before anything runs.
Rule 2: what stands beneath `if __name__ == "__main__":` is not looked at: no process that runs strategies executes it.
Rule 3: packages beside a file are followed like modules. What they, or any other module, have imported themselves is no way
        round: `from dataclasses import sys` and `dataclasses.sys` are refused like `import sys`.
Rule 4: only what begins with an imported name is taken for a module. What a user's own object calls `io` or `os` is let be.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stratagem.errors import UsageError

# Modules by which a strategy could look into the process that runs it.
MODULES = frozenset(
    {"gc", "inspect", "sys", "ctypes", "importlib", "builtins", "multiprocessing", "subprocess", "os", "pathlib", "io", "runpy"}
)  # fmt: skip
PACKAGE = "stratagem"  # ours is never followed, wherever it lies
DEEPEST = 10  # names that stand for one another
SOLVING = ("stratagem.tasks", "stratagem.lab")  # modules that solve the problems of suites
# Names by which code is reached that was not handed over: what a function closes over, frames, text that is executed.
ATTRIBUTES = frozenset(
    {"__self__", "__func__", "__closure__", "__globals__", "__subclasses__", "__builtins__", "f_back", "f_globals", "f_locals",
     "cr_frame", "gi_frame", "ag_frame", "tb_frame"}
)  # fmt: skip
NAMES = frozenset({"__import__", "__builtins__", "__loader__", "__spec__", "eval", "exec", "open", "globals"})
ALL = "__dict__"  # by which any name of a module is reached
WORLD = "It touches the world through `run` alone."
APART = 'What compares stands beneath `if __name__ == "__main__":`, imports included, or in another file.'


class _Name(NamedTuple):
    """What an imported name stands for.

    Attributes:
        folder: beneath which a relative import looks; None: that of the file, or of its package.
        parts: of the dotted name.
    """

    folder: Path | None
    parts: tuple[str, ...]


class _File(NamedTuple):
    """A file that is looked at.

    Attributes:
        path: where it lies.
        root: folder of the file that a spec names, beneath which packages lie.
        nodes: what is executed.
        names: what the names that it imports stand for.
        stars: of what it imports all.
    """

    path: Path
    root: Path
    nodes: Sequence[ast.AST]
    names: Mapping[str, Sequence[_Name]]
    stars: Sequence[_Name]


Files = Mapping[Path, _File]


def files_of(spec: str) -> list[Path]:
    """Return the files of a spec, and those beside them that they import, packages too."""
    return list(_files(spec))


def look_at(spec: str) -> None:
    """Refuse a strategy whose files import or name what could find a key.

    Raises:
        UsageError: with file and line.
    """
    files = _files(spec)
    for file in files.values():
        for node in file.nodes:
            said, remedy = _refused(node, file, files)
            if said:
                line = getattr(node, "lineno", 0)
                raise UsageError(
                    f"{file.path.name}, line {line}: a strategy that is compared may not {said}", remedy=remedy
                )


def _files(spec: str) -> dict[Path, _File]:
    found = [
        part.rpartition(":")[0]
        for part in spec.replace("(", "\x00").replace("'", "\x00").replace('"', "\x00").split("\x00")
    ]
    named = [Path(one.rpartition("=")[2].strip()).expanduser().resolve() for one in found if one.endswith(".py")]
    waiting = [(path, path.parent) for path in named]
    files: dict[Path, _File] = {}
    while waiting:
        path, root = waiting.pop()
        if path not in files:
            file = files[path] = _read(path, root)
            for node in file.nodes:
                for name in _imported(node, path):
                    waiting += [(one, root) for folder in _folders(file, name) for one in _along(folder, name.parts)]
    return files


def _read(path: Path, root: Path) -> _File:
    nodes = list(_nodes(_tree(path)))
    names: dict[str, list[_Name]] = {}
    stars: list[_Name] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            for one in node.names:
                parts = tuple(one.name.split("."))
                names.setdefault(one.asname or parts[0], []).append(_Name(None, parts if one.asname else parts[:1]))
        elif isinstance(node, ast.ImportFrom):
            for one, name in zip(node.names, _imported(node, path)[-len(node.names) :], strict=True):
                if one.name == "*":
                    stars.append(_Name(name.folder, name.parts[:-1]))
                else:
                    names.setdefault(one.asname or one.name, []).append(name)
    for node in nodes:  # another name for a module
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in names:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names.setdefault(target.id, []).extend(names[node.value.id])
    return _File(path, root, nodes, names, stars)


def _folders(file: _File, name: _Name) -> list[Path]:
    """Return the folders beneath which a name is looked for."""
    if name.folder is not None:
        return [name.folder]
    return [] if name.parts[0] == PACKAGE else list(dict.fromkeys((file.path.parent, file.root)))


def _along(folder: Path, parts: Sequence[str]) -> list[Path]:
    """Return the files that are executed when a dotted name is imported from a folder, the packages' first."""
    found: list[Path] = []
    for part in parts:
        if part == "*":  # what `__all__` names is imported as well, and may be any of these
            found += sorted(folder.glob("*.py"))
        found += [one for one in (folder / part / "__init__.py", folder / f"{part}.py") if one.is_file()]
        folder /= part
    return found


def _refused(node: ast.AST, file: _File, files: Files) -> tuple[str, str]:
    """Return what a node does that is refused, and the remedy."""
    for name in _imported(node, file.path):
        found = _forbidden(name, file, files)
        if found:
            return f"import {found!r}", APART if _solving(found) else WORLD
    if isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        return f"use `{node.id}`", WORLD
    owner, attribute = _attribute(node)
    if attribute in ATTRIBUTES:
        return f"use `{attribute}`", WORLD
    chain = [attribute]
    while attribute and not isinstance(owner, ast.Name):
        owner, attribute = _attribute(owner)
        chain.insert(0, attribute)
    for name in file.names.get(owner.id, ()) if attribute and isinstance(owner, ast.Name) else ():
        found = _forbidden(name._replace(parts=(*name.parts, *chain)), file, files)
        if found:
            return f"use `{found}`", APART if _solving(found) else WORLD
    return "", ""


def _attribute(node: ast.AST) -> tuple[ast.AST, str]:
    """Return of what a node reads which attribute, by `getattr` and `vars` too; an empty name if it reads none."""
    if isinstance(node, ast.Attribute):
        return node.value, node.attr
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        match node.func.id, node.args:
            case "getattr", [owner, ast.Constant(value=str(name)), *_]:
                return owner, name
            case "vars", [owner]:
                return owner, ALL
            case _:
                pass
    return node, ""


def _forbidden(name: _Name, file: _File, files: Files, depth: int = 0) -> str:
    """Return which forbidden module a dotted name leads to, also through what own files have imported; empty if to none."""
    parts = tuple(one for one in name.parts if one != "*")
    own, n = _own(name, file, files)
    if not own or (name.folder is None and parts[0] in sys.stdlib_module_names):
        solving = _solving(".".join(parts))
        if solving:
            return solving
        for k, part in enumerate(parts):
            if part in MODULES or part == ALL:
                return ".".join(parts[: k + 1])
    if depth < DEEPEST and n < len(parts):
        for one in own:
            ways = [(way, n + 1) for way in one.names.get(parts[n], ())] + [(way, n) for way in one.stars]
            for way, k in ways:
                found = _forbidden(way._replace(parts=(*way.parts, *parts[k:])), one, files, depth + 1)
                if found:
                    return found
    return ""


def _own(name: _Name, file: _File, files: Files) -> tuple[list[_File], int]:
    """Return the own files that the longest beginning of a dotted name stands for, and how many of its parts that takes."""
    for n in range(len(name.parts), 0, -1):
        places = [folder.joinpath(*name.parts[:n]) for folder in _folders(file, name)]
        found = [one for place in places for one in (place / "__init__.py", place.with_name(f"{place.name}.py"))]
        own = [files[one] for one in found if one in files]
        if own:
            return own, n
    return [], 0


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


def _imported(node: ast.AST, path: Path) -> list[_Name]:
    """Return the modules that a node imports, and what it takes from one, since that may be a module too."""
    if isinstance(node, ast.Import):
        return [_Name(None, tuple(one.name.split("."))) for one in node.names]
    if isinstance(node, ast.ImportFrom):
        folder = path.parents[min(node.level, len(path.parents)) - 1] if node.level else None
        module = tuple(node.module.split(".")) if node.module else ()
        taken = [_Name(folder, (*module, one.name)) for one in node.names]
        return [_Name(folder, module), *taken] if module else taken
    return []
