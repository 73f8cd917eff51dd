"""The report of a comparison: computed from frozen answers, so that equal answers give equal reports."""

import platform
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

from stratagem.core import budget_of
from stratagem.lab._plan import Cell, Contestant
from stratagem.lab._statistics import ALPHA, compared, holm, interval
from stratagem.tasks import Item, Score, Suite

SCHEMA = 1
LONGEST_GIVEN = 300  # characters of an answer in the table of items
Right = Mapping[tuple[int, int], Score]  # by cell and item


class Facts(NamedTuple):
    """What a report is made of.

    Attributes:
        manifest: what was compared, and with what.
        contestants: in the order of the report.
        models: their specs.
        budgets: their texts.
        cells: rows, in order.
        items: id, question and key of each; what is withheld is empty.
        answers: by cell and item.
        scores: likewise.
        seed: of the bootstrap.
    """

    manifest: dict[str, Any]
    contestants: Sequence[Contestant]
    models: Sequence[str]
    budgets: Sequence[str]
    cells: Sequence[Cell]
    items: Sequence[tuple[str, str, str]]
    answers: Mapping[tuple[int, int], Mapping[str, Any]]
    scores: Right
    seed: int


class Report:
    """What a comparison found. It shows itself in a notebook; `plain()` is what `--json` prints.

    Attributes:
        title: one line, which says if models are simulated.
        manifest: what was compared and with what.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.manifest = facts.manifest
        self.title: str = facts.manifest["title"]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each strategy, budget and model."""
        return [self._row(number, cell) for number, cell in enumerate(self._facts.cells)]

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """Paired tests of every strategy with every other and with the baselines, at each budget."""
        facts = self._facts
        found: list[dict[str, Any]] = []
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, cell in enumerate(facts.cells):
            groups[cell.model, cell.budget].append(number)
        who = [facts.contestants[cell.contestant] for cell in facts.cells]
        pairs = [
            (key, a, b) for key, numbers in groups.items() for a, b in combinations(numbers, 2)
            if not (who[a].baseline and who[b].baseline)
        ]  # fmt: skip
        results = [compared(self._scores(a), self._scores(b), facts.seed, len(pairs)) for _, a, b in pairs]
        for ((model, budget), a, b), result in zip(pairs, results, strict=True):
            found.append({
                "a": who[a].name, "b": who[b].name, **self._model(model), "budget": facts.budgets[budget],
                "items": len(facts.items), **{name: _rounded(value) for name, value in result._asdict().items()},
                "p": _significant(result.p), "p_bootstrap": _significant(result.p_bootstrap),
            })  # fmt: skip
        for test, p in zip(found, holm([one.p for one in results]), strict=True):
            test["p_holm"] = _significant(p)
            test["interval"] = [test.pop("low"), test.pop("high")]
            better = test["b"] if test["difference"] > 0 else test["a"]
            test["verdict"] = better if p < ALPHA else "unresolved"
        return found

    @cached_property
    def pareto(self) -> list[dict[str, Any]]:
        """The rows than which no other is more accurate for as much or less, or as accurate for less; equal ones stand together."""
        front: list[dict[str, Any]] = []
        for row in sorted(self._standing, key=lambda row: (row[self._cost], -row["accuracy"])):
            last = front[-1] if front else None
            if (
                last is None
                or row["accuracy"] > last["accuracy"]
                or _point(row, self._cost) == _point(last, self._cost)
            ):
                front.append(row)
        keys = ("strategy", "model", "budget", "accuracy", "tokens_per_item", "usd")
        return [{key: row[key] for key in keys if key in row} for row in front]

    @cached_property
    def _standing(self) -> list[dict[str, Any]]:
        """The rows that may stand on the front: what nobody knows is no cost, and who was let ask nothing is not cheap."""
        return [row for row in self.rows if row["tokens_per_item"] is not None and row not in self.refused]

    @cached_property
    def refused(self) -> list[dict[str, Any]]:
        """The rows in which the budget refused each item its first call, and nothing was answered without one."""
        answers, n = self._facts.answers, range(len(self._facts.items))
        return [
            row for cell, row in enumerate(self.rows)
            if row["budget"] and row["unparsed"] == len(n)
            and all(answers[cell, item]["stop"] == "budget" and not answers[cell, item]["calls"] for item in n)
        ]  # fmt: skip

    @property
    def _cost(self) -> str:
        """Return by what the Pareto front counts: tokens of different models are no common measure, money is."""
        rows = self._standing
        priced = len(self._facts.models) > 1 and all(row["usd"] is not None for row in rows)
        return "usd" if priced and any(row["usd"] for row in rows) else "tokens_per_item"

    @property
    def front_of(self) -> str:
        """Return of what the Pareto front is, in words."""
        return f"accuracy and {'money' if self._cost == 'usd' else 'tokens'}"

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """One object per item; its lists have one entry per row, in the order of `rows`."""
        facts, cells = self._facts, range(len(self._facts.cells))
        found: list[dict[str, Any]] = []
        for number, (name, question, key) in enumerate(facts.items):
            said = [facts.answers[cell, number] for cell in cells]
            found.append({
                "id": name, "question": question, "key": key,
                "given": [_cut(one["text"]) if question else "" for one in said], "right": [_rounded(facts.scores[cell, number][0]) for cell in cells],
                "stop": [one["stop"] for one in said], "calls": [_known(one, "calls") for one in said],
                "tokens": [_known(one, "tokens") for one in said], "critical_path": [_known(one, "waves") for one in said],
            })  # fmt: skip
        return found

    @cached_property
    def failures(self) -> list[dict[str, Any]]:
        """How often a row ended otherwise than with an answer that has a value, and the first item of each kind."""
        facts = self._facts
        found: list[dict[str, Any]] = []
        for number, row in enumerate(self.rows):
            counted: Counter[str] = Counter()
            first: dict[str, tuple[str, str]] = {}
            for item in range(len(facts.items)):
                said = facts.answers[number, item]
                parsed = facts.scores[number, item].parsed
                # Who uses the whole budget and has an answer by then has not failed: that is what a budget is for.
                ended = "answered" if said["stop"] == "budget" and parsed else said["stop"]
                kind = ended if ended != "answered" else "" if parsed else "no value"
                if kind:
                    counted[kind] += 1
                    first.setdefault(kind, (facts.items[item][0], said["reason"]))
            if row in self.refused:
                first["budget"] = first["budget"][0], f"no call was possible at {row['budget']}"
            found += [
                {**_named(row), "kind": kind, "items": count, "first": first[kind][0], "reason": first[kind][1]}
                for kind, count in sorted(counted.items())
            ]
        return found

    def plain(self) -> dict[str, Any]:
        """Return the whole report as JSON data."""
        return {
            "schema": SCHEMA, "manifest": self.manifest, "rows": self.rows, "tests": self.tests, "pareto": self.pareto,
            "items": self.items, "failures": self.failures,
        }  # fmt: skip

    def critical_paths(self) -> list[float | None]:
        """Return the mean number of calls in a row, for each row: with latency alike, what an item's time is made of."""
        n, answers = len(self._facts.items), self._facts.answers
        return [_mean([answers[cell, item] for item in range(n)], "waves") for cell in range(len(self._facts.cells))]

    def sated(self) -> list[tuple[dict[str, Any], int]]:
        """Return the baselines that could have spent more, with the number of items: they made all the calls they ask for."""
        found: list[tuple[dict[str, Any], int]] = []
        for at, row in enumerate(self.rows):
            limits, most = budget_of(row["budget"]), row["max_calls"]
            if row["baseline"] and not limits.unlimited and (limits.calls is None or limits.calls > most):
                answers = (self._facts.answers[at, item] for item in range(row["items"]))
                found.append((row, sum(one["calls"] == most and one["stop"] != "budget" for one in answers)))
        return [(row, n) for row, n in found if n]

    def figure(self, format: str = "svg", *, dpi: int = 150) -> bytes:  # noqa: A002  (the contract's name)
        """Return accuracy against budget as a picture; equal reports give equal bytes.

        Args:
            format: `svg` or `png`.
            dpi: of a PNG.

        Raises:
            CapabilityError: matplotlib is not installed.
        """
        from stratagem.lab._figure import curves

        return curves(self.rows, self.title, format=format, dpi=dpi)

    def html(self) -> str:
        """Return the report as one self-contained page without script."""
        from stratagem.lab._page import page

        return page(self)

    def __str__(self) -> str:
        from stratagem.lab._text import text

        return text(self)

    def __repr__(self) -> str:
        return f"Report({self.title!r}, rows={len(self._facts.cells)}, items={len(self._facts.items)})"

    def _repr_html_(self) -> str:
        from stratagem.lab._page import fragment

        return fragment(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _scores(self, cell: int) -> list[float]:
        return [self._facts.scores[cell, item][0] for item in range(len(self._facts.items))]

    def _model(self, number: int) -> dict[str, str]:
        """Return the model, where there are several: else a row has exactly the keys that it promises."""
        return {"model": self._facts.models[number]} if len(self._facts.models) > 1 else {}

    def _row(self, number: int, cell: Cell) -> dict[str, Any]:
        facts, n = self._facts, len(self._facts.items)
        who = facts.contestants[cell.contestant]
        said = [facts.answers[number, item] for item in range(n)]
        scores = self._scores(number)
        low, high = interval(scores, facts.seed)
        prices = [one["usd"] for one in said]
        simulated = facts.models[cell.model].startswith("sim")
        timed = not simulated or any(one["seconds"] for one in said)
        bound = who.bounds[cell.budget]
        beyond = [one["calls"] for one in said if one["calls"] > bound]
        return {
            "strategy": who.name, **self._model(cell.model), "budget": facts.budgets[cell.budget],
            "accuracy": _rounded(sum(scores) / n), "interval": [_rounded(low), _rounded(high)], "items": n,
            "unparsed": sum(not facts.scores[number, item][1] for item in range(n)),
            "calls_per_item": _rounded(_mean(said, "calls")), "max_calls": bound,
            "tokens_per_item": _rounded(_mean(said, "tokens")),
            "usd": None if None in prices else _rounded(sum(prices)),
            "seconds": _rounded(_mean(said, "seconds")) if timed else None,
            "needs": list(who.needs), "baseline": who.baseline, **self._parts(number), **self._answered(cell, said),
            **({"beyond_formula": {"items": len(beyond), "calls": max(beyond)}} if beyond else {}),
        }  # fmt: skip

    def _parts(self, cell: int) -> dict[str, Any]:
        """Return how often each part of an answer was right, of the items that have it; see `with_parts`."""
        decided = [self._facts.scores[cell, item].parts for item in range(len(self._facts.items))]
        # In the order of those that have most of them.
        names = list(dict.fromkeys(name for parts in sorted(decided, key=len, reverse=True) for name in parts))
        found = {name: [parts[name] for parts in decided if name in parts] for name in names}
        return {"parts": {name: _rounded(sum(each) / len(each)) for name, each in found.items()}} if found else {}

    def _answered(self, cell: Cell, said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return of a chain of models how many draws each of them gave."""
        links = [one.strip() for one in self._facts.models[cell.model].split("|")]
        counted = Counter(dict.fromkeys(links, 0))
        for one in said:
            counted.update(one.get("by", {}))
        return {"answered_by": dict(counted)} if len(links) > 1 else {}


def with_parts(scores: Right, suite: Suite, items: Sequence[Item]) -> Right:
    """Return scores that have each part which the reference of their item has: who gave no value has none of them right."""
    if not any(score.parts for score in scores.values()):
        return scores
    whole = [dict.fromkeys(suite.score(one.question, one.key).parts, 0.0) for one in items]
    return {key: Score(score.right, score.parsed, {**whole[key[1]], **score.parts}) for key, score in scores.items()}


def _point(row: Mapping[str, Any], cost: str) -> tuple[float, float]:
    """Return where a row stands between accuracy and cost."""
    return row["accuracy"], row[cost]


def _known(said: Mapping[str, Any], name: str) -> Any:
    """Return what an item has cost; None of one whose process was ended, and its count with it."""
    return None if said.get("lost") else said[name]


def _mean(said: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Return what an item has cost on average, if it is known of all."""
    found = [_known(one, name) for one in said]
    return None if None in found else sum(found) / len(found)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_GIVEN else f"{text[: LONGEST_GIVEN - 1]}…"


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("strategy", "model", "budget") if key in row}


def _rounded(value: Any) -> Any:
    """Return a number with at most six digits behind the point, and a whole one as it is."""
    return round(value, 6) if isinstance(value, float) else value


def _significant(p: float) -> float:
    """Return a p value with six digits: of a small one as well, since more corrections may follow."""
    return float(f"{p:.6g}")


def made_with() -> dict[str, str]:
    """Return the versions on which a report's numbers depend."""
    import importlib.metadata

    from stratagem import __version__

    found = {"stratagem": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "matplotlib"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
