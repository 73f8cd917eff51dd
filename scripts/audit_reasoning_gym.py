"""Audit the generators of reasoning-gym: which may be a suite here, and why the others may not.

    python scripts/audit_reasoning_gym.py > src/stratagem/tasks/reasoning_gym.tsv

A generator passes if, of 40 problems: every reference scores 1; empty text, junk and the question itself score below 1; no
answer of one problem scores 1 on more than 5 % of the others; and 40 problems take less than 30 seconds of CPU.
"""

import sys
import time
from collections import Counter
from typing import Any

ITEMS = 40
JUNK = (
    "",
    " ",
    "?",
    "I do not know.",
    "None",
    "0",
    "1",
    "yes",
    "no",
    "True",
    "[]",
    "{}",
    "()",
    "-",
    "8*3*1*1",
    "5*5-1/3",
)
CONSTANT = 0.05


def audit(name: str) -> tuple[str, str, float]:
    """Return the verdict, the reason, and what the best constant answer gets."""
    from stratagem.tasks._reasoning_gym import dataset

    started = time.process_time()
    try:
        made = dataset(name, 7, ITEMS)
        entries = [made[n] for n in range(ITEMS)]
    except Exception as failure:  # noqa: BLE001  (code of the package)
        return "out", f"cannot make problems: {type(failure).__name__}", 0
    score = scorer(made)
    if any(entry.get("answer") is None for entry in entries):
        return "out", "has no reference answer", 0
    if any(score(str(entry["answer"]), entry) < 1 for entry in entries):
        return "out", "its own reference does not score 1", 0
    for junk in JUNK:
        paid = sum(score(junk, entry) >= 1 and str(entry["answer"]).strip() != junk for entry in entries)
        if paid:
            return "out", f"pays {junk!r} on {paid} of {ITEMS}", 0
    if any(score(entry["question"], entry) >= 1 for entry in entries):
        return "out", "pays the question itself", 0
    answers = [answer for answer, _ in Counter(str(entry["answer"]) for entry in entries).most_common(8)]
    best = max(sum(score(answer, entry) >= 1 for entry in entries) / ITEMS for answer in (*answers, *JUNK[5:10]))
    if best > CONSTANT:
        return "out", f"one constant answer gets {best:.0%}", best
    if time.process_time() - started > 30:
        return "out", f"takes {time.process_time() - started:.0f} s of CPU for {ITEMS} problems", best
    return "passed", "", best


def scorer(made: Any) -> Any:
    """Return a scorer that takes what cannot be scored for wrong."""

    def score(answer: str, entry: dict[str, Any]) -> float:
        try:
            return float(made.score_answer(answer=answer, entry=entry))
        except Exception:  # noqa: BLE001  (code of the package)
            return 0.0

    return score


def main() -> None:
    """Write one line per generator."""
    from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingTypeStubs]

    print("generator\tverdict\twhy\tfloor")
    for name in sorted(DATASETS):
        verdict, why, floor = audit(name)
        print(f"{name}\t{verdict}\t{' '.join(why.split())}\t{floor:.3f}", flush=True)
        print(name, verdict, why, file=sys.stderr)


if __name__ == "__main__":
    main()
