"""What a user's file imports from the files beside it.

Rule 1: only while the file is loaded, and only what nothing else provides: a file never takes the place of a module of the
        standard library or of an installed package.
Rule 2: a file that is imported so is loaded like one that a spec names, once per content, under a name of its own. So what
        it defines can be found again, and files of one name in two folders are two modules.
"""

import contextlib
import importlib.machinery
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

Load = Callable[[Path], ModuleType]


class _Beside:
    """Finds and loads modules in one folder (an entry of `sys.meta_path`, behind all others)."""

    def __init__(self, folder: Path, load: Load) -> None:
        self._folder, self._load = folder, load
        self._specs: dict[str, Any] = {}
        self.found: dict[str, ModuleType] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how a module of the folder is loaded; None for any other."""
        if path is not None or target is not None or not (self._folder / f"{name}.py").is_file():
            return None
        return importlib.machinery.ModuleSpec(name, self)  # pyright: ignore[reportArgumentType]  (it has what is needed)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the loaded module."""
        made = self._load(self._folder / f"{spec.name}.py")
        self.found[spec.name], self._specs[spec.name] = made, made.__spec__
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: it has been executed."""
        name = next(name for name, made in self.found.items() if made is module)
        module.__spec__ = self._specs[name]


@contextlib.contextmanager
def beside(folder: Path, load: Load) -> Generator[None, None, None]:
    """Let imports find the files of a folder.

    Args:
        folder: where they lie.
        load: returns the module of a file.
    """
    finder: Any = _Beside(folder, load)
    sys.meta_path.append(finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, made in finder.found.items():
            if sys.modules.get(name) is made:
                del sys.modules[name]
