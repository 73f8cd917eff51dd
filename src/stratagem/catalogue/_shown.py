"""Which test shows what a catalogue entry must do. `tests.json` is written by scripts/catalogue_tests.py."""

import functools
import json
from collections.abc import Iterable
from pathlib import Path


def mirror(module: str) -> str:
    """Return the test file of a module: `stratagem.judges.self_check` has `tests/judges/test_self_check.py`."""
    *folders, name = module.split(".")[1:]
    return "/".join(["tests", *folders, f"test_{name.lstrip('_')}.py"])


@functools.cache
def shown() -> dict[str, list[str]]:
    """Return the node ids of the tests marked `works` for each id."""
    return json.loads((Path(__file__).parent / "tests.json").read_text("utf-8"))


def tests(ids: Iterable[str], module: str) -> dict[str, str]:
    """Return one node id for each id: from the module's own test file where several things implement an id."""
    found: dict[str, str] = {}
    for number in ids:
        nodes = shown().get(number, [])
        own = [node for node in nodes if node.startswith(f"{mirror(module)}::")]
        if nodes:
            found[number] = (own or nodes)[0]
    return found
