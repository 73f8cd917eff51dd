"""What the best constant answer gets on the compared items: what a strategy gets that looks at no question.

It is computed from the items, and not taken from what a suite publishes: a file of yours publishes nothing.
"""

import copy
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from stratagem.tasks import Item, Suite

CANDIDATES = 5  # of the most common keys, beside what the suite publishes
NUMBERS = ("0", "1", "-1")  # likewise, where answers are numbers
MOST = 400  # items on which they are tried: a scorer takes up to 0.1 ms


def best_constant(suite: Suite, items: Sequence[Item], *, published: bool) -> dict[str, Any]:
    """Return `share`, what the best constant answer gets, `items`, on how many it was tried, and `answer` itself.

    Args:
        suite: that scores.
        items: that are compared; of more than 400, the first 400 are tried, and the keys of all are counted.
        published: whether the answer may be told; if not, only its share is.
    """
    tried = items[:MOST]
    counted = Counter(one.key for one in items)
    numbers = NUMBERS if suite.output in (int, float) else ()
    common = (key for key, _ in counted.most_common(CANDIDATES))
    said = [one for one in dict.fromkeys((suite.floor[0], *common, *numbers)) if one]
    scorer = _remembering(suite)
    shares = {one: sum(scorer.score(item.question, one).right for item in tried) / len(tried) for one in said}
    best = max(shares, key=lambda one: shares[one])
    return {"share": round(shares[best], 6), "items": len(tried), **({"answer": best} if published else {})}


def _remembering(suite: Suite) -> Suite:
    """Return a suite that reads each question once, and finds each key in it once: that is most of the time of a score."""
    made = copy.copy(suite)
    vars(made).update(
        read=lru_cache(MOST)(suite.read), found=lru_cache(MOST * (CANDIDATES + len(NUMBERS) + 2))(suite.found)
    )
    return made
