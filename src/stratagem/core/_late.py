"""Modules of the standard library that are imported when something of them is first used.

`asyncio` brings `ssl`, `logging`, `subprocess` and fifty more, as many milliseconds: whoever runs a strategy pays for
them, and who looks at names, checks a spec or reads the catalogue does not. What was looked up once stays in a module's
dictionary, so every later use costs what it costs on the module itself.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


def late(name: str) -> ModuleType:
    """Return what stands for a module, and imports it at the first attribute that is asked for."""
    standing = ModuleType(name)

    def found(attribute: str) -> Any:
        value = getattr(import_module(name), attribute)
        setattr(standing, attribute, value)
        return value

    vars(standing)["__getattr__"] = found
    return standing


if TYPE_CHECKING:
    import ast as ast
    import asyncio as asyncio
    import inspect as inspect
else:
    ast, asyncio, inspect = map(late, ("ast", "asyncio", "inspect"))
