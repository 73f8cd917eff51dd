"""A report as one HTML file: no script, nothing loaded from anywhere, readable in print, in the dark and without styles."""

import html
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from stratagem.lab import _text
from stratagem.lab._figure import COLOURS, DARK, curves, themed
from stratagem.lab._figure import sweep as drawn_sweep
from stratagem.lab._text import name_of

if TYPE_CHECKING:
    from stratagem.lab._report import Report
    from stratagem.lab._simulate import Sweep

MOST_ITEMS = 5_000  # in the table; whoever writes the file puts all of them beside it
NOTEBOOK_ITEMS = 0
SHOWN_GIVEN = 60  # characters of an answer in the table of items
SHORT = 24  # characters of a cell that is not broken: longer ones are, so that a table is no wider than its page
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def _colours(names: Iterable[str]) -> str:
    return "".join(f"--c{number}:{colour};" for number, colour in enumerate(names))


STYLE = (
    f"""
:root{{color-scheme:light dark;--bg:#fff;--line:#e2e5e9;--text:#16191d;--soft:#565e69;--bad:#b3261e;{_colours(COLOURS)}}}
@media screen and (prefers-color-scheme:dark){{:root{{--bg:#111316;--line:#2a2f36;--text:#e6e8eb;--soft:#9aa3ae;--bad:#ff8a80;
{_colours(DARK)}}}}}
"""
    + """*{box-sizing:border-box}
body{margin:0 auto;padding:24px 16px;max-width:1100px;background:var(--bg);color:var(--text);font:14px/20px system-ui,sans-serif}
h1{font-size:20px;line-height:28px;font-weight:600;margin:0 0 8px}h2{font-size:16px;line-height:24px;font-weight:600;margin:24px 0 8px}
p{margin:0 0 8px}h1,p,summary{overflow-wrap:anywhere}.soft{color:var(--soft)}.bad{color:var(--bad)}
figure{margin:16px 0;border:1px solid var(--line);border-radius:6px;padding:8px;max-width:820px;overflow-x:auto}
figure svg{width:100%;min-width:560px;height:auto;display:block}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;line-height:20px;width:100%}
th,td{padding:2px 10px 2px 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);vertical-align:bottom}tbody th{font-weight:400;color:var(--text);vertical-align:top}
tbody th,td.w{overflow-wrap:anywhere;min-width:10em}
caption{text-align:left;color:var(--soft);padding:0 0 4px}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}
summary{cursor:pointer;margin:8px 0}pre{font:13px/20px ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
@media print{:root{color-scheme:light}body{max-width:none;padding:0}details{display:block}figure{break-inside:avoid}figure svg{min-width:0}}
"""
)


def page(report: "Report") -> str:
    """Return the whole page."""
    return _whole(report.title, _body(report, most_items=MOST_ITEMS))


def _whole(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def fragment(report: "Report") -> str:
    """Return what a notebook shows: the figure, the rows and the tests."""
    return f"<section>{_body(report, most_items=NOTEBOOK_ITEMS)}</section>"


def _body(report: "Report", *, most_items: int) -> str:
    scan = report.manifest["prompt_scan"]
    parts = [
        f"<h1>{_safe(report.title)}</h1>",
        f'<p class="soft">{_safe(", ".join(report.manifest["models"]))} · seed {_safe(report.manifest["seed"])}</p>',
        f'<p class="{"soft" if scan["clean"] else "bad"}">{_safe(_text.scan_line(scan))}</p>',
        *(f'<p class="soft">{_safe(line)}</p>' for line in _text.notes_of(report)[1:]),
        _picture(report), "<h2>Rows</h2>", _rows(report),
        f'<p class="soft">* on the Pareto front of {report.front_of} · ~ baseline · in a row: calls that had to wait for one another, on average'
        "</p>",
    ]  # fmt: skip
    if report.tests:
        resolved = any(one["verdict"] != "unresolved" for one in report.tests)
        parts += [
            "<h2>Paired tests</h2>",
            f"<p>{_text.resolved_line(report.tests)}</p>",
            _details("All paired tests", _tests(report), open_=resolved),
        ]
    if report.failures:
        parts += ["<h2>Failures</h2>", _details("What ended without an answer", _failures(report))]
    if most_items:
        parts += ["<h2>Items</h2>", _items(report, most_items)]
    manifest = json.dumps(report.manifest, indent=1, ensure_ascii=False)
    parts += ["<h2>Manifest</h2>", _details("What was compared, and with what", f"<pre>{_safe(manifest)}</pre>")]
    return "\n".join(parts)


def _picture(report: "Report") -> str:
    """Return the figure as SVG within the page, with its text alternative; its table are the rows below."""
    panels = ", one panel per model" if len(report.manifest["models"]) > 1 else ""
    said = f"Accuracy against budget, one curve per strategy{panels}. {report.title}. The table of rows has the same numbers."
    return _drawn(curves(report.rows, "", format="svg", dpi=150), said)


def _drawn(data: bytes, said: str) -> str:
    drawn = themed(data.decode())
    svg = drawn[drawn.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{_safe(said)}"', 1)
    return f'<figure role="group" aria-label="Figure" tabindex="0">{svg}</figure>'


def _rows(report: "Report") -> str:
    heads = _text.heads_of(report)
    return _table(heads, _text.cells_of(report), set(range(3, len(heads))), "Each strategy at each budget", named=1)


def _tests(report: "Report") -> str:
    heads = (
        "budget",
        "second less first",
        "difference",
        "95 %",
        "only first",
        "only second",
        "p",
        "p corrected",
        "power for 5 points",
        "verdict",
    )
    rows = [
        [
            ", ".join(filter(None, (one.get("model"), one["budget"] or "no limit"))), f"{one['b']} less {one['a']}",
            f"{one['difference']:+.3f}", f"{one['interval'][0]:+.3f} to {one['interval'][1]:+.3f}", str(one["a_only"]),
            str(one["b_only"]), _text.small_p(one["p"]), _text.small_p(one["p_holm"]), f"{one['power']:.2f}", _text.verdict(one),
        ]
        for one in report.tests
    ]  # fmt: skip
    return _table(heads, rows, {2, 3, 4, 5, 6, 7, 8}, "Differences of accuracy, item by item", named=1)


def _failures(report: "Report") -> str:
    heads = ("strategy", "budget", "ended with", "items", "first", "reason")
    rows = [
        [name_of(one), one["budget"] or "no limit", one["kind"], str(one["items"]), one["first"], one["reason"]]
        for one in report.failures
    ]
    return _table(heads, rows, {3}, "How often a row ended without an answer")


def _items(report: "Report", most: int) -> str:
    shown = report.items[:most]
    heads = ["item", "question", "right answer", *(f"{name_of(row)} {row['budget']}" for row in report.rows)]
    rows = [[one["id"], one["question"], one["key"], *map(_mark, one["right"], one["given"])] for one in shown]
    more = len(report.items) - len(shown)
    note = f"<p>{more:,} more are in the JSON lines beside this file.</p>" if more else ""
    return _details(
        f"{len(shown):,} items, each with each row", _table(heads, rows, set(), "Items, and what each row gave") + note
    )


def _mark(right: float, given: str) -> str:
    """Return whether an answer is right, and the answer: its end, where the value stands."""
    said = " ".join(given.split())
    shown = said if len(said) <= SHOWN_GIVEN else f"…{said[1 - SHOWN_GIVEN :]}"
    return f"{'✓' if right == 1 else '✗' if right == 0 else f'{right:.2f}'} {shown}".rstrip()


def _details(summary: str, inner: str, *, open_: bool = False) -> str:
    return f"<details{' open' if open_ else ''}><summary>{_safe(summary)}</summary>{inner}</details>"


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: set[int], caption: str, named: int | None = 0
) -> str:
    """Return a table that scrolls by itself where the page is narrow; the column `named` says what its row is about."""

    def cell(at: int, value: str, scope: str) -> str:
        tag, of = ("th", f' scope="{scope}"') if scope and value else ("td", "")
        kind = ' class="n"' if at in numbers else ' class="w"' if tag == "td" and len(value) > SHORT else ""
        return f"<{tag}{of}{kind}>{_safe(value)}</{tag}>"

    head = "".join(cell(at, one, "col") for at, one in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(cell(at, one, "row" if at == named else "") for at, one in enumerate(row)) + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{_safe(caption)}" tabindex="0"><table><caption>{_safe(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )


def _safe(value: Any) -> str:
    from stratagem.core import printable

    return html.escape(printable(str(value)))


def sweep_page(sweep: "Sweep") -> str:
    """Return a sweep as a whole page."""
    manifest = json.dumps(sweep.manifest, indent=1, ensure_ascii=False)
    return _whole(sweep.title, f"{sweep_body(sweep)}\n<h2>Manifest</h2>\n" + _details(
        "What was compared, and with what", f"<pre>{_safe(manifest)}</pre>"
    ))  # fmt: skip


def sweep_fragment(sweep: "Sweep") -> str:
    """Return what a notebook shows of a sweep."""
    return f"<section>{sweep_body(sweep)}</section>"


def sweep_body(sweep: "Sweep") -> str:
    """Return the figure of a sweep, its words and its table."""
    heads, *rows = sweep.table()
    numbers = {at for at, head in enumerate(heads) if head not in ("budget", "best baseline", "verdict")}
    said = "".join(f"<p>{_safe(line)}</p>" for line in sweep.summary())
    drawn = _drawn(
        drawn_sweep(sweep.grid, "", sweep.names, format="svg", dpi=150),
        f"Where the strategy pays. {sweep.title}. The table below has the same numbers.",
    )
    scan = sweep.report.manifest["prompt_scan"]
    return "\n".join([
        f"<h1>{_safe(sweep.title)}</h1>", f'<p class="{"soft" if scan["clean"] else "bad"}">{_safe(_text.scan_line(scan))}</p>',
        drawn, said, "<h2>Grid</h2>", _table(heads, rows, numbers, "What each point of the grid shows", named=None),
    ])  # fmt: skip
