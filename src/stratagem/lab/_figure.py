"""Figures: accuracy against budget, and where a strategy pays. Equal input gives equal bytes.

Every strategy has a colour, a marker and a dash, and its name beside its curve, so nobody needs the colour to tell it from
another. Colours are those of Okabe and Ito, darkened until text in them can be read on white; a page replaces them in the dark.
Text stays text in SVG.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stratagem.core import budget_of
from stratagem.errors import CapabilityError, UsageError

COLOURS = ("#0072b2", "#b84a00", "#007a5a", "#a8477f", "#6a51a3", "#8a6100", "#3a3f46", "#6b6b00")
DARK = (
    "#56b4e9",
    "#ff8a4c",
    "#2fc795",
    "#e39bc4",
    "#b3a2f0",
    "#f0b429",
    "#d5d9de",
    "#c8c84a",
)  # the same, on a dark page
PAPER, INK, GRID = "#ffffff", "#16191d", "#e2e5e9"
LIGHT_SIGN, DARK_SIGN = "#fefefe", "#010101"  # on the cells of a map, whose colours are the same on every page
MARKERS, DASHES = ("o", "s", "^", "D", "v", "P", "X", "*"), ("-", "--", "-.", ":")
WIDE, HIGH = 7.2, 4.4  # inches
LABELS = 18  # names that have room beside the curves of one panel
FORMATS = ("svg", "png")
FIGURES = 'Write `figure("svg")`, or `figure("png", dpi=150)`.'


def style(number: int, *, baseline: bool) -> dict[str, Any]:
    """Return colour, marker and dash of the curve with a number; behind the eighth, colours meet other markers and dashes."""
    turn = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)], "marker": MARKERS[(number + turn) % len(MARKERS)],
        "linestyle": DASHES[(number + turn) % len(DASHES)], "linewidth": 1.2 if baseline else 2.0, "markersize": 5,
        "alpha": 0.75 if baseline else 1.0,
    }  # fmt: skip


def curves(rows: Sequence[Mapping[str, Any]], title: str, *, format: str, dpi: int) -> bytes:  # noqa: A002
    """Return accuracy against budget, with 95 % bands; of several models, one panel each."""
    names = list(dict.fromkeys(row["strategy"] for row in rows))
    baselines = {row["strategy"] for row in rows if row["baseline"]}
    looks = {name: style(number, baseline=name in baselines) for number, name in enumerate(names)}
    models = list(dict.fromkeys(row.get("model") for row in rows))
    if len(models) > 1:
        figure = _panels(rows, models, looks, title)
    else:
        figure = _figure(HIGH * max(1.0, len(names) / LABELS))
        if not title:
            figure.subplots_adjust(top=0.96)
        axes = figure.add_subplot()
        places = _curves_of(axes, rows, looks)
        _labels(axes, max(places.values()), _ends(rows, looks))
        axes.set_xlabel(_budget_label(list(places)))
        axes.set_ylabel("accuracy")
        _titled(figure, title)
    return _written(figure, format, dpi)


def _panels(
    rows: Sequence[Mapping[str, Any]], models: Sequence[str | None], looks: Mapping[str, Mapping[str, Any]], title: str
) -> Any:
    """Return a figure with a panel for each model, two beside each other; a curve looks the same in each of them.

    Names beside the curves have no room there: they stand above, with the line that they name.
    """
    columns = min(2, len(models))
    lines, heads = -(-len(models) // columns), [_wrapped(model or "", 44) for model in models]
    # In inches: title, names, the heads of panels, a panel, its axis, and what is between two lines of panels.
    title_high, names_high = 0.2 + 0.19 * _lines(title), 0.1 + 0.185 * -(-len(looks) // 2)
    head_high, panel, axis_high = (0.4 if any("\n" in one for one in heads) else 0.25), 2.1, 0.5
    between = head_high + (0.55 if len(models) % columns else 0.12)  # where a line is short, an axis stands between
    high = title_high + names_high + head_high + lines * panel + (lines - 1) * between + axis_high
    figure = _figure(high)
    figure.subplots_adjust(
        left=0.085, right=0.98, top=1 - (title_high + names_high + head_high) / high, bottom=axis_high / high,
        wspace=0.08, hspace=between / panel,
    )  # fmt: skip
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for number, axes in enumerate(panels.flat):
        if number >= len(models):
            axes.set_axis_off()
            continue
        own = [row for row in rows if row.get("model") == models[number]]
        places = _curves_of(axes, own, looks)
        axes.set_title(heads[number], fontsize=10, loc="left")
        if number % columns == 0:
            axes.set_ylabel("accuracy")
        if number + columns >= len(models):
            axes.set_xlabel(_budget_label(list(places)))
            axes.tick_params(labelbottom=True)
    lines_of = {line.get_label(): line for line in panels.flat[0].get_lines()}
    figure.legend(
        [lines_of[name] for name in looks], [_shortened(name, 46) for name in looks], frameon=False, fontsize=9,
        loc="upper left", bbox_to_anchor=(0.01, 1 - title_high / high), ncols=2, handlelength=4, labelspacing=0.3,
        borderaxespad=0,
    )  # fmt: skip
    _titled(figure, title)
    return figure


def _curves_of(
    axes: Any, rows: Sequence[Mapping[str, Any]], looks: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """Draw one curve with its band for each strategy; return where the budgets stand."""
    places = _places([row["budget"] for row in rows])
    for name, look in looks.items():
        points = [row for row in rows if row["strategy"] == name]
        x = [places[row["budget"]] for row in points]
        y = [row["accuracy"] for row in points]
        axes.plot(x, y, label=name, **look)
        low, high = ([row["interval"][side] for row in points] for side in (0, 1))
        if len(x) > 1:
            axes.fill_between(
                x, low, high, color=look["color"], alpha=0.06 if points[0]["baseline"] else 0.12, linewidth=0
            )
        else:
            axes.errorbar(
                x,
                y,
                [[max(0.0, y[0] - low[0])], [max(0.0, high[0] - y[0])]],
                color=look["color"],
                capsize=3,
                linewidth=1,
            )
    _budget_axis(axes, places)
    axes.set_ylim(-0.02, 1.02)
    return places


def _ends(rows: Sequence[Mapping[str, Any]], looks: Mapping[str, Mapping[str, Any]]) -> list[tuple[float, str, str]]:
    """Return where each curve ends, its name and its colour."""
    last = {row["strategy"]: row["accuracy"] for row in rows}
    return [(last[name], name, look["color"]) for name, look in looks.items()]


def themed(svg: str) -> str:
    """Return a picture within a page, whose colours are the page's: `--bg`, `--text`, `--line` and `--c0` to `--c7`.

    Where a page has none of them, as in a notebook, the colours stay what they are.
    """
    names = {PAPER: "--bg", INK: "--text", GRID: "--line"}
    names |= {colour: f"--c{number}" for number, colour in enumerate(COLOURS)}
    return re.sub(
        r"(?<=: )#[0-9a-f]{6}",
        lambda found: f"var({names[found[0]]},{found[0]})" if found[0] in names else found[0],
        svg,
    )


LIMITS = ("tokens", "calls", "usd", "seconds", "prompt_tokens", "completion_tokens")


def _varied(budgets: Sequence[str]) -> str:
    """Return the limit that has another value in each budget; nothing if none has."""
    different = [budget_of(one) for one in dict.fromkeys(budgets)]
    for limit in LIMITS:
        values = [getattr(one, limit) for one in different]
        if all(values) and len(set(values)) == len(values):
            return limit
    return ""


def _places(budgets: Sequence[str]) -> dict[str, float]:
    """Return where each budget stands: by the limit that varies, else in their order."""
    limit = _varied(budgets)
    return {
        one: float(getattr(budget_of(one), limit)) if limit else float(number + 1)
        for number, one in enumerate(dict.fromkeys(budgets))
    }


def _budget_axis(axes: Any, places: Mapping[str, float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(places.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    limit = _varied(list(places))
    axes.set_xticks(list(places.values()), [_number(value) if limit else _tick(one) for one, value in places.items()])
    low, high = min(places.values()), max(places.values())
    room = (high / low) ** 0.06 if high > low else 1.5
    axes.set_xlim(low / room, high * room)


def _number(value: float) -> str:
    return f"{int(value):,}" if value.is_integer() else f"{value:g}"


def _budget_label(budgets: Sequence[str]) -> str:
    """Return what stands below the axis of budgets: the limit that varies, and those that do not.

    >>> _budget_label(["calls=5,tokens=200", "calls=5,tokens=800"])
    'budget of an item: tokens, beside calls=5'
    """
    limit = _varied(budgets)
    rest = ", ".join(part for part in budgets[0].split(",") if part.partition("=")[0] != limit)
    if not limit:
        return "budget of an item"
    return f"budget of an item: {limit.replace('_', ' ')}{rest and f', beside {rest}'}"


def _tick(budget: str) -> str:
    name, _, value = budget.partition("=")
    return f"{int(value):,} {name}" if value.isdecimal() else budget or "no limit"


def _shortened(name: str, most: int) -> str:
    """Return a name that fits; its middle is left out, since specs differ at their ends.

    >>> _shortened("solvers/mine.py:tree(width=3)", 20)
    'solvers/mi…(width=3)'
    """
    return name if len(name) <= most else f"{name[: most // 2]}…{name[most // 2 + 1 - most :]}"


def _wrapped(spec: str, wide: int) -> str:
    """Return a model's spec in at most two lines, broken at a comma where that is possible."""
    if len(spec) <= wide:
        return spec
    at = max(spec.rfind(sign, 0, wide) for sign in ",|") + 1 or wide
    return f"{spec[:at]}\n{_shortened(spec[at:], wide)}"


def _labels(axes: Any, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each name beside the end of its curve."""
    for y, name, colour in apart(ends, min(0.052, 0.96 / len(ends))):
        axes.annotate(
            _shortened(name, 34), (x, y), xytext=(10, 0), textcoords="offset points", color=colour, fontsize=9, va="center",
            annotation_clip=False,
        )  # fmt: skip


def apart(ends: Sequence[tuple[float, str, str]], gap: float = 0.052) -> list[tuple[float, str, str]]:
    """Return labels at their heights, moved apart by at least a gap, and all of them down if the highest is above 1."""
    placed: list[tuple[float, str, str]] = []
    for y, name, colour in sorted(ends):
        placed.append((max(y, placed[-1][0] + gap) if placed else max(y, 0.0), name, colour))
    over = max(placed[-1][0] - 1.0, 0.0) if placed else 0.0
    return [(y - over, name, colour) for y, name, colour in placed]


def without_matplotlib() -> CapabilityError:
    """Return what is said where figures cannot be drawn."""
    return CapabilityError("figures need the package matplotlib", remedy='pip install "stratagem[lab]"')


def _figure(high: float = HIGH) -> Any:
    """Return a figure of this many inches, with room for one panel and the names beside its curves."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise without_matplotlib() from None
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "stratagem", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"],
        "axes.spines.top": False, "axes.spines.right": False, "font.size": 10, "axes.grid": True, "grid.color": GRID,
        "axes.axisbelow": True, "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK,
        "ytick.color": INK, "axes.facecolor": PAPER, "savefig.facecolor": "auto",
    })  # fmt: skip
    figure = Figure(figsize=(WIDE, high), facecolor=PAPER)
    figure.subplots_adjust(left=0.09, right=0.68, top=0.86, bottom=0.13)
    return figure


TITLE_WIDE = 84  # letters


def _lines(title: str) -> int:
    return -(-len(title) // TITLE_WIDE)


def _titled(figure: Any, title: str) -> None:
    """Write a title above a figure; within a page, whose heading says it, there is none."""
    import textwrap

    if not title:
        return
    high = figure.get_size_inches()[1]
    figure.text(0.02, 1 - 0.132 / high, textwrap.fill(title, TITLE_WIDE), fontsize=11, va="top", ha="left")


def _written(figure: Any, format: str, dpi: int) -> bytes:  # noqa: A002
    """Return a figure's bytes, without date, version or random names."""
    if format not in FORMATS:
        raise UsageError(f"a figure is {' or '.join(FORMATS)}, got {format!r}", remedy=FIGURES)
    if isinstance(dpi, str) or not 30 <= dpi <= 1200:  # pyright: ignore[reportUnnecessaryIsInstance]  (callers without types)
        raise UsageError(f"dpi must be from 30 to 1200, got {dpi!r}", remedy=FIGURES)
    target = io.BytesIO()
    nothing = {"Date": None, "Creator": None} if format == "svg" else {"Software": None}
    figure.savefig(target, format=format, dpi=dpi, metadata=nothing)
    return target.getvalue()


def sweep(grid: Sequence[Mapping[str, Any]], title: str, names: Sequence[str], *, format: str, dpi: int) -> bytes:  # noqa: A002
    """Return where a strategy pays: its accuracy and that of the best baseline against what is varied, for each budget.

    With two parameters varied, a map of the gain over the best baseline.
    """
    figure = _figure()
    budgets = list(dict.fromkeys(one["budget"] for one in grid))
    figure.subplots_adjust(left=0.08, right=0.97 if len(names) == 1 else 0.93, top=0.78, bottom=0.14, wspace=0.12)
    panels = figure.subplots(1, len(budgets), sharey=True, squeeze=False)[0]
    for axes, budget in zip(panels, budgets, strict=True):
        points = [one for one in grid if one["budget"] == budget]
        axes.set_title(_tick(budget), fontsize=10)
        axes.set_xlabel(names[0])
        if len(names) == 1:
            _pays(axes, points, names[0], first=axes is panels[0])
        else:
            _map(figure, axes, points, names, last=axes is panels[-1], first=axes is panels[0])
    _titled(figure, title)
    return _written(figure, format, dpi)


def _pays(axes: Any, points: Sequence[Mapping[str, Any]], name: str, *, first: bool) -> None:
    x = [one[name] for one in points]
    for number, (key, band, label) in enumerate(
        (("accuracy", "interval", "strategy"), ("baseline_accuracy", "baseline_interval", "best baseline"))
    ):
        looks = style(number, baseline=number == 1)
        axes.plot(x, [one[key] for one in points], label=label, **looks)
        axes.fill_between(
            x,
            [one[band][0] for one in points],
            [one[band][1] for one in points],
            color=looks["color"],
            alpha=0.12,
            linewidth=0,
        )
    won = [one["verdict"] for one in points]
    axes.plot(
        [at for at, one in zip(x, won, strict=True) if one == "pays"], [0.0] * won.count("pays"), "|", color=COLOURS[0],
        markersize=9, label="pays",
    )  # fmt: skip
    axes.set_ylim(-0.03, 1.03)
    if first:
        axes.set_ylabel("accuracy")
        axes.figure.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0.01, 0.92), ncols=3)


def _map(
    figure: Any, axes: Any, points: Sequence[Mapping[str, Any]], names: Sequence[str], *, last: bool, first: bool
) -> None:
    xs, ys = (sorted({one[name] for one in points}) for name in names)
    table = {(one[names[0]], one[names[1]]): one for one in points}
    values = [[table[x, y]["gain"] for x in xs] for y in ys]
    bound = max(0.05, max(abs(value) for row in values for value in row))
    step_x, step_y = _step(xs), _step(ys)
    drawn = axes.imshow(
        values, origin="lower", aspect="auto", cmap="PuOr_r", vmin=-bound, vmax=bound,
        extent=(xs[0] - step_x / 2, xs[-1] + step_x / 2, ys[0] - step_y / 2, ys[-1] + step_y / 2),
    )  # fmt: skip
    axes.grid(visible=False)
    axes.set_xticks(xs)
    axes.set_yticks(ys)
    for (x, y), one in table.items():
        if one["verdict"] != "unresolved":
            dark = abs(one["gain"]) > 0.55 * bound
            sign = "+" if one["verdict"] == "pays" else "−"
            axes.text(x, y, sign, ha="center", va="center", fontsize=10, color=LIGHT_SIGN if dark else DARK_SIGN)
    if first:
        axes.set_ylabel(names[1])
    if last:
        figure.colorbar(drawn, ax=axes, label="gain over the best baseline")


def _step(values: Sequence[float]) -> float:
    return (values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else max(abs(values[0]), 1.0) * 0.1
