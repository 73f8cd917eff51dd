"""Names of branches and scopes: what a scope path is made of, which is a stored format. And names of functions."""

import itertools
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from stratagem.errors import UsageError

X = TypeVar("X")

MOST = 1_000_000  # branches of one `map`, draws of one `sample`: beyond it is a mistake in a number
NAMED = re.compile(r"[^/\[\]]+")
FILES = "stratagem_files."  # begins the name of a module that was loaded from a file which a spec names


def listed(items: Iterable[X]) -> list[X]:
    """Return the items of a `map`; `UsageError` for more than a machine can hold."""
    found = list(itertools.islice(items, MOST + 1))
    if len(found) > MOST:
        raise UsageError(f"map: more than {MOST} items: take them in parts")
    return found


def branch_names(found: list[Any], key: Callable[[Any], object] | None, width: int | None) -> list[str]:
    """Return the name of each item's branch; `UsageError` for two equal ones, or a width below 1."""
    if width is not None and width < 1:
        raise UsageError(f"width must be at least 1, got {width}")
    if key is None:
        return [str(index) for index in range(len(found))]
    names = [str(key(item)) for item in found]
    for name in names:
        if not NAMED.fullmatch(name):
            raise UsageError(f"map: a key must not be empty or contain '/', '[' or ']', got {name!r}")
    if len(set(names)) < len(names):
        raise UsageError(f"map: two items have the same key among {names[:10]}")
    return names


def function_name(value: object) -> str:
    """Return the name by which a module-level function is found again; empty if there is none.

    It is `module:name`, or `FILE.py:name` where the module is a file that nobody can import by name.
    """
    module, name = str(getattr(value, "__module__", "")), str(getattr(value, "__qualname__", ""))
    loaded = sys.modules.get(module)
    if not name.isidentifier() or getattr(loaded, name, None) is not value:
        return ""
    if module != "__main__" and not module.startswith(FILES):
        return f"{module}:{name}"
    file = getattr(loaded, "__file__", None)
    return f"{os.path.realpath(file)}:{name}" if file else ""
