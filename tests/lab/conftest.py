"""One small comparison that many tests look at, and a way to read a report without its wall-clock."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stratagem import lab
from tests.cli.conftest import valid
from tests.lab._suites import HEAD

STRATEGIES = "direct,self_consistency(n=3)"
SETTINGS: dict[str, Any] = {
    "model": "sim:skill=0.5,judge=0.8,latency=1.5,speed=50,price=2", "budget": "tokens=700/1500", "items": 12, "seed": 7,
    "processes": 1,
}  # fmt: skip


def timeless(form: dict[str, Any]) -> dict[str, Any]:
    """Return a report's document without how long it took."""
    made = copy.deepcopy(form)
    made["manifest"].pop("wall_seconds")
    return made


@pytest.fixture(scope="session")
def report() -> lab.Report:
    return lab.compare("game24", STRATEGIES, **SETTINGS)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what writes a suite, and returns its spec."""
    from tests.lab.test_own_suites import PRODUCTS

    monkeypatch.chdir(tmp_path)
    (tmp_path / "products.py").write_text(PRODUCTS)

    def write(base: str, body: str) -> str:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (tmp_path / "bad.py").write_text(f"{HEAD}\n\nclass Bad({base}):\n{lines}\n")
        return "bad.py:Bad"

    return write


__all__ = ["SETTINGS", "STRATEGIES", "made", "report", "timeless", "valid"]
