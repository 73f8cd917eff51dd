"""Which models of a chain answered in place of others, from what is recorded of each call."""

from collections.abc import Iterable
from typing import NamedTuple

from stratagem.core import Json, Row, decoded


class Fallback(NamedTuple):
    """A model that answered because others, which are asked before it, did not.

    Attributes:
        model: spec of the one that answered.
        instead_of: specs of the others, in the order of the chain, each with why it did not the first time.
        calls: how many draws it answered so.
    """

    model: str
    instead_of: tuple[tuple[str, str], ...]
    calls: int

    def plain(self) -> Json:
        """Return it as JSON: `model instead_of calls`."""
        others: list[Json] = [{"model": spec, "why": why} for spec, why in self.instead_of]
        return {"model": self.model, "instead_of": others, "calls": self.calls}

    def told(self, every: int) -> str:
        """Return it in words; `every` is how many draws of the run were answered."""
        (spec, why), *more = self.instead_of
        others = "".join(f", nor did {other}{_because(reason)}" for other, reason in more)
        some = f", in {self.calls:,} of {every:,} calls" if self.calls < every else ""
        return f"{spec} did not answer{_because(why)}{others}; {self.model} did{some}"


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def via_of(row: Row) -> dict[str, Json]:
    """Return how the reply of a model call was come by, as it is recorded; empty if that was as usual."""
    if row.kind != "model" or row.failed or b'"via"' not in row.result:
        return {}
    return decoded(row.result).get("via") or {}


def answered_by(row: Row) -> str | None:
    """Return the spec of the model of a chain that answered a call; None of a call to a single model."""
    spec = via_of(row).get("model")
    return spec if isinstance(spec, str) else None


def fallbacks_of(calls: Iterable[tuple[str, Row]]) -> list[Fallback]:
    """Return which models stood in for others, in the order in which they first did.

    Args:
        calls: effects, each with the spec that was asked.
    """
    counts: dict[tuple[str, tuple[str, ...]], int] = {}
    reasons: dict[tuple[str, tuple[str, ...]], dict[str, str]] = {}
    for asked, row in calls:
        via = via_of(row)
        links, by = asked.split("|"), via.get("model")
        if not isinstance(by, str) or by not in links[1:]:
            continue
        others = tuple(links[: links.index(by)])
        key = by, others
        counts[key] = counts.get(key, 0) + 1
        why = reasons.setdefault(key, {})
        for spec in others:  # further draws of one reply do not repeat what failed before it
            found = (one.removeprefix(f"{spec}: ") for one in via.get("attempts", ()) if one.startswith(f"{spec}: "))
            if (said := next(found, "")) and spec not in why:
                why[spec] = said
    return [
        Fallback(by, tuple((spec, reasons[by, others].get(spec, "")) for spec in others), count)
        for (by, others), count in counts.items()
    ]
