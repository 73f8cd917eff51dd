"""Names of branches and scopes: what a scope path is made of. The grammar is a stored format."""

import re
from collections.abc import Callable
from typing import Any

from stratagem.errors import UsageError

NAMED = re.compile(r"[^/\[\]]+")


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
