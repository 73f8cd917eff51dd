"""Names of branches and scopes: what a scope path is made of. The grammar is a stored format."""

import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from stratagem.errors import UsageError

X = TypeVar("X")

MOST = 1_000_000  # branches of one `map`, draws of one `sample`: beyond it is a mistake in a number
NAMED = re.compile(r"[^/\[\]]+")


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
