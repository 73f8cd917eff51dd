"""Tables of the README and the manual that list what the code has: they list exactly that."""

import re
from pathlib import Path

from stratagem import strategies
from stratagem.core import Strategy

ROOT = Path(__file__).resolve().parents[2]


def rows(page: str, header: str) -> list[list[str]]:
    """Return the cells of the table that begins with a header line."""
    below = (ROOT / page).read_text("utf-8").partition(f"\n{header}\n")[2]
    assert below, f"{page} has no table {header!r}"
    lines = below.partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_the_readme_lists_every_strategy_with_its_ids_and_its_bound() -> None:
    listed = {row[0].strip("` "): row for row in rows("README.md", "| strategy | implements | calls, at most | from |")}
    assert set(listed) == set(strategies.names())
    for name, row in listed.items():
        made: Strategy = getattr(strategies, name)
        assert row[1].split(",")[0] == " ".join(made.card.ids)
        formula = f"`{made.card.calls}`"
        assert row[2] in (formula, f"{formula} ({made.max_calls})"), name
        assert "(" in row[2].rpartition("`")[2] or made.card.calls.isdigit()
        assert made.card.paper.startswith(("arXiv:", "Weng 2023"))
        assert re.search(r"(19|20)\d\d", row[3])
