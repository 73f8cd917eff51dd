"""A comparison as a user makes it: 3 strategies and the baselines, 3 budgets, 400 items of Game of 24."""

import os
import time

from benchmarks.measure import Report
from stratagem import lab

STRATEGIES = "direct,self_consistency(n=10),tree_of_thoughts"
BUDGET = "tokens=2000/8000/32000"


def measure(report: Report, *, items: int = 400) -> None:
    """Print wall-clock and processor time."""
    report.title("compare", f"3 strategies x 3 budgets x {items} items of Game of 24, {os.cpu_count()} processes")
    for baselines in (False, True):
        before, began = os.times(), time.perf_counter()
        made = lab.compare(
            "game24",
            STRATEGIES,
            model="sim:skill=0.5,judge=0.8",
            budget=BUDGET,
            items=items,
            seed=7,
            baselines=baselines,
        )
        took, after = time.perf_counter() - began, os.times()
        busy = sum(after[:4]) - sum(before[:4])
        calls = sum(row["calls_per_item"] * row["items"] for row in made.rows)
        name = "with the three baselines" if baselines else "the three strategies"
        report.judged(name, took, "s", most=30.0)
        report.shown("  processor time", busy, "s", f"{calls:,.0f} calls, {calls / busy:,.0f} per s of one core")
