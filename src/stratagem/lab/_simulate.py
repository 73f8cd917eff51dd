"""`simulate`: at which competence of a model, and at which budget, does a strategy pay?

Every point of a grid is a simulated model, and a comparison of the strategy with the honest baselines. The strategy pays
where it is better than each of them, and is worse where it is worse than one, as paired tests notice it that are corrected for
how many there are.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from stratagem.core import Strategy
from stratagem.errors import UsageError
from stratagem.lab import _given
from stratagem.lab._compare import Limits, Listener, compare
from stratagem.lab._crew import refuse_inside
from stratagem.lab._report import SCHEMA, Report
from stratagem.lab._statistics import paying
from stratagem.lab._text import small_p, told_of_suite
from stratagem.models._competence import Competence

MOST_POINTS = 400
WORDS = {"pays": "pays", "costs": "is worse", "unresolved": "unresolved"}  # what a verdict is called
RANGES = "Write `skill=0.5:0.95:10`, from, to, how many; or `skill=0.5/0.7/0.9`."


class Varied(NamedTuple):
    """A parameter of `sim:` and the values that it takes."""

    name: str
    values: tuple[float, ...]


def varied(text: str) -> Varied:
    """Return the parameter and the values of `NAME=LOW:HIGH:N`, or of `NAME=A/B/C`.

    >>> varied("skill=0.5:0.9:3")
    Varied(name='skill', values=(0.5, 0.7, 0.9))

    Raises:
        UsageError: no such parameter, or no such range.
    """
    name, equals, said = text.partition("=")
    name = name.strip()
    try:
        if "/" in said or ":" not in said:
            values = tuple(float(one) for one in said.split("/"))
        else:
            low, high, count = said.split(":")
            first, last, n = float(low), float(high), int(count)
            if not 2 <= n <= MOST_POINTS:
                raise UsageError(f"vary {text!r}: from 2 to {MOST_POINTS} values, got {n}", remedy=RANGES)
            values = tuple(round(first + (last - first) * at / (n - 1), 6) for at in range(n))
    except ValueError as failure:
        if isinstance(failure, UsageError):
            raise
        raise UsageError(f"vary {text!r} is no range", remedy=RANGES) from None
    if not equals or len(set(values)) < len(values):
        raise UsageError(
            f"vary {text!r}: a value is there twice" if equals else f"vary {text!r} is no range", remedy=RANGES
        )
    for value in values:
        Competence.parse(f"{name}={_number(value)}")  # says what is wrong with name or value
    return Varied(name, values)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _spec(base: str, point: Mapping[str, float]) -> str:
    """Return the spec of a simulated model with some parameters set."""
    kept = [part for part in base.partition(":")[2].split(",") if part.partition("=")[0].strip() not in point and part]
    return "sim:" + ",".join([*kept, *(f"{name}={_number(value)}" for name, value in point.items())])


class Sweep:
    """Where a strategy pays. It shows itself in a notebook; `plain()` is what `--json` prints.

    Attributes:
        title: one line.
        names: of what is varied.
        report: the comparison that it was read from.
    """

    def __init__(
        self, report: Report, strategy: str, points: Mapping[str, Mapping[str, float]], names: Sequence[str]
    ) -> None:
        self.report, self._strategy, self._points, self.names = report, strategy, points, tuple(names)
        self.manifest = {
            **report.manifest,
            "vary": {name: [point[name] for point in points.values()] for name in names},
        }
        self.title = (
            f"{strategy} on {report.manifest['task']}: where it pays, {report.manifest['items']} items (simulated)"
        )
        self.manifest["title"] = self.title

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the comparison, each with the competence of its model."""
        return [
            {**self._point(row), **{key: one for key, one in row.items() if key != "model"}} for row in self.report.rows
        ]

    @cached_property
    def grid(self) -> list[dict[str, Any]]:
        """One object for each competence and budget: the strategy, the best baseline, and what paired tests say of all."""
        found: list[dict[str, Any]] = []
        points: list[list[dict[str, Any]]] = []
        tests = {(one.get("model"), one["budget"], one["b"]): one for one in self.report.tests}
        groups: dict[tuple[Any, str], list[dict[str, Any]]] = {}
        for row in self.report.rows:
            groups.setdefault((row.get("model"), row["budget"]), []).append(row)
        for (model, budget), rows in groups.items():
            own = next(row for row in rows if not row["baseline"])
            baselines = [row for row in rows if row["baseline"]]
            points.append([tests[model, budget, row["strategy"]] for row in baselines])
            best = max(baselines, key=lambda row: row["accuracy"])
            test = tests[model, budget, best["strategy"]]
            low, high = test["interval"]
            found.append({
                **self._point(own), "budget": budget, "accuracy": own["accuracy"], "interval": own["interval"],
                "best_baseline": best["strategy"], "baseline_accuracy": best["accuracy"],
                "baseline_interval": best["interval"], "gain": round(own["accuracy"] - best["accuracy"], 6),
                "gain_interval": [0.0 - high, 0.0 - low],
            })  # fmt: skip
        said = paying([[(0.0 - test["difference"], test["p"]) for test in point] for point in points])
        for one, point, (verdict, p, corrected, at) in zip(found, points, said, strict=True):
            one |= {"against": point[at]["b"], "p": p, "p_holm": float(f"{corrected:.6g}"), "verdict": verdict}
        return found

    def plain(self) -> dict[str, Any]:
        """Return the sweep as JSON data."""
        failures = [
            {**self._point(one), **{key: said for key, said in one.items() if key != "model"}}
            for one in self.report.failures
        ]
        return {"schema": SCHEMA, "manifest": self.manifest, "grid": self.grid, "rows": self.rows, "failures": failures}

    def figure(self, format: str = "svg", *, dpi: int = 150) -> bytes:  # noqa: A002  (the contract's name)
        """Return the accuracy of the strategy and of the best baseline against what is varied; with two, a map of the gain."""
        from stratagem.lab._figure import sweep

        return sweep(self.grid, self.title, self.names, format=format, dpi=dpi)

    def html(self) -> str:
        """Return one self-contained page without script."""
        from stratagem.lab._page import sweep_page

        return sweep_page(self)

    def table(self) -> list[list[str]]:
        """Return the grid as texts, its heads first."""
        heads = [
            *self.names,
            "budget",
            "accuracy",
            "best baseline",
            "its accuracy",
            "gain",
            "95 %",
            "p corrected",
            "verdict",
        ]
        return [heads] + [
            [
                *(f"{one[name]:g}" for name in self.names), one["budget"] or "no limit", f"{one['accuracy']:.3f}",
                one["best_baseline"], f"{one['baseline_accuracy']:.3f}", f"{one['gain']:+.3f}",
                f"{one['gain_interval'][0]:+.3f} to {one['gain_interval'][1]:+.3f}", small_p(one["p_holm"]), WORDS[one["verdict"]],
            ]
            for one in self.grid
        ]  # fmt: skip

    def summary(self) -> list[str]:
        """Return for each budget where the strategy pays, in words; and what is to be known of the items."""
        lines: list[str] = []
        for budget in dict.fromkeys(one["budget"] for one in self.grid):
            points = [one for one in self.grid if one["budget"] == budget]
            said = ", ".join(
                f"{word} at {sum(one['verdict'] == verdict for one in points)}" for verdict, word in WORDS.items()
            )
            where = sorted({one[self.names[0]] for one in points if one["verdict"] == "pays"})
            ends = " to ".join(f"{one:g}" for one in dict.fromkeys((*where[:1], *where[-1:])))
            found = f"; {self.names[0]} where it pays: {ends}" if where else ""
            lines.append(f"{budget or 'no limit'}: {said} of {len(points)} points{found}")
        notes = (f"! {self.manifest['task']}: {note}" for note in self.manifest.get("notes", ()))
        return [
            *lines,
            *notes,
            *told_of_suite(self.manifest),
            *(f"{name} makes no difference to {self._strategy}" for name in self.idle),
        ]

    @cached_property
    def idle(self) -> list[str]:
        """What is varied without any effect on the strategy: all its answers are the same, whatever the value."""
        return [name for name in self.names if self._is_idle(name)]

    def _is_idle(self, name: str) -> bool:
        given: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
        for at, row in enumerate(self.report.rows):
            if not row["baseline"]:
                point = self._point(row)
                others = (row["budget"], *(value for other, value in point.items() if other != name))
                made = tuple(
                    (one["given"][at], one["right"][at], one["calls"][at], one["tokens"][at])
                    for one in self.report.items
                )
                given.setdefault(others, set()).add(made)
        return len(self._points) > 1 and all(len(found) == 1 for found in given.values())

    def __str__(self) -> str:
        rows = self.table()
        wide = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(wide[at]) for at, cell in enumerate(row)).rstrip() for row in rows]
        return "\n".join([self.title, "", *lines, "", *self.summary()])

    def __repr__(self) -> str:
        return f"Sweep({self.title!r}, points={len(self._points)})"

    def _repr_html_(self) -> str:
        from stratagem.lab._page import sweep_fragment

        return sweep_fragment(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _point(self, row: Mapping[str, Any]) -> Mapping[str, float]:
        return self._points[row["model"]] if "model" in row else next(iter(self._points.values()))


def _one(given: Any) -> Strategy | str:
    """Return the strategy that is swept.

    Raises:
        UsageError: there are several, or it is a task.
    """
    from stratagem.session._loading import strategy_of
    from stratagem.tasks import names

    found = _given.strategies_given(given)
    if len(found) != 1:
        raise UsageError(
            f"one strategy is swept, got {len(found)}", remedy="Sweep each by itself; `compare` compares several."
        )
    if isinstance(found[0], str) and found[0] in names():
        raise UsageError(
            f"{found[0]!r} is a task", remedy="The strategy comes first, then the task, then what is varied."
        )
    with _given.advised(_given.OF_STRATEGIES):
        strategy_of(found[0])
    return found[0]


def simulate(
    strategy: Strategy | str,
    task: str | Path,
    vary: str | Sequence[str],
    *,
    model: str = "sim:",
    budget: Limits = "",
    items: int | None = None,
    seed: int | str = 0,
    level: int = 1,
    examples: int = 2,
    out: str | Path | None = None,
    processes: int | None = None,
    on_progress: Listener | None = None,
) -> Sweep:
    """Sweep a strategy over simulated competence and budget.

    Args:
        strategy: a strategy, or its spec.
        task: as `compare` takes it.
        vary: a parameter of `sim:` and its values, `skill=0.5:0.95:10`, or two of them.
        model: the simulated model of which that is varied.
        budget: as `compare` takes it.
        items: how many at each point; 100 if left out.
        seed: of the items and of all dice.
        level: of difficulty.
        examples: solved examples that a task carries.
        out: folder that keeps answers; a sweep that was stopped goes on from there.
        processes: one for each core, if left out.
        on_progress: called after every answer.

    Raises:
        UsageError: a model that is not simulated, an unknown parameter, or what `compare` refuses.
    """
    refuse_inside()
    strategy = _one(strategy)
    if not isinstance(model, str) or model.partition(":")[0] != "sim":  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(
            f"only a simulated model has a competence to vary, not {model!r}",
            remedy="Write `sim:`, or `sim:` with what stays as it is; real models are compared by `compare`.",
        )
    if not isinstance(vary, str | list | tuple):
        raise UsageError(f"vary is a text, or two of them, got {vary!r}", remedy=RANGES)
    with _given.advised(RANGES):
        given = [varied(one) for one in ([vary] if isinstance(vary, str) else vary)]
    names = [one.name for one in given]
    if not 1 <= len(given) <= 2 or len(set(names)) < len(names):
        raise UsageError(f"vary one parameter, or two different ones, got {', '.join(names) or 'none'}", remedy=RANGES)
    values = list(product(*(one.values for one in given)))
    if len(values) > MOST_POINTS:
        raise UsageError(f"{len(values)} points are more than {MOST_POINTS}", remedy="Vary over fewer values.")
    points = [dict(zip(names, one, strict=True)) for one in values]
    with _given.advised(_given.OF_MODELS):
        specs = [f"sim:{Competence.parse(_spec(model, point).partition(':')[2])}" for point in points]
    report = compare(
        task, [strategy], model=specs, budget=budget, items=items, seed=seed, level=level, examples=examples, out=out,
        processes=processes, on_progress=on_progress,
    )  # fmt: skip
    return Sweep(report, report.rows[0]["strategy"], dict(zip(specs, points, strict=True)), names)
