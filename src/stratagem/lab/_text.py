"""A report as plain text, for terminals, pipes and `print`."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stratagem.lab._report import Report

LONGEST_CONSTANT = 40  # characters
_HEADS = (
    "",
    "strategy",
    "budget",
    "accuracy",
    "95 %",
    "unparsed",
    "calls",
    "in a row",
    "tokens",
    "usd in all",
    "seconds",
)


def heads_of(report: "Report") -> tuple[str, ...]:
    """Return the heads of a report's rows; the parts of a score stand behind the accuracy, where a suite has them."""
    return (*_HEADS[:5], *_parts(report), *_HEADS[5:])


def _parts(report: "Report") -> list[str]:
    return list(dict.fromkeys(name for row in report.rows for name in row.get("parts", ())))


def cells_of(report: "Report") -> list[list[str]]:
    """Return the rows of a report as texts, under `heads_of`; a baseline is marked with `~`, the Pareto front with `*`."""
    front, parts = {_key(one) for one in report.pareto}, _parts(report)
    return [
        [
            ("*" if _key(row) in front else " ") + ("~" if row["baseline"] else " "),
            name_of(row), row["budget"] or "no limit", f"{row['accuracy']:.3f}",
            f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}",
            *(f"{row['parts'][part]:.3f}" if "parts" in row else "" for part in parts), str(row["unparsed"]), mean(row["calls_per_item"], ".1f"),
            mean(path, ".1f"), mean(row["tokens_per_item"], ",.0f"), money(row["usd"]), seconds(row["seconds"]),
        ]
        for row, path in zip(report.rows, report.critical_paths(), strict=True)
    ]  # fmt: skip


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["strategy"], row.get("model"), row["budget"]


def name_of(row: Mapping[str, Any]) -> str:
    """Return the strategy of a row, with its model where there are several."""
    return f"{row['strategy']} / {row['model']}" if "model" in row else row["strategy"]


def money(usd: float | None) -> str:
    """Return money as it is shown; what nobody knows is no zero."""
    return "unknown" if usd is None else "0" if usd == 0 else f"${usd:.4g}"


def mean(value: float | None, form: str) -> str:
    """Return what an item has cost on average; of an item whose process was ended nobody knows.

    >>> mean(1234.5, ",.0f"), mean(None, ".1f")
    ('1,234', 'unknown')
    """
    return "unknown" if value is None else format(value, form)


def seconds(value: float | None) -> str:
    """Return seconds as they are shown; a simulated model without a latency has none."""
    return "unknown" if value is None else f"{value:.2f}"


def test_lines(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line per paired test."""
    return [
        f"{name_test(one)}: {one['difference']:+.3f} ({one['interval'][0]:+.3f} to {one['interval'][1]:+.3f}), "
        f"p {shown_p(one['p_holm'])} corrected: {verdict(one)}"
        for one in tests
    ]


def name_test(one: Mapping[str, Any]) -> str:
    """Return who is compared with whom, where."""
    where = ", ".join(filter(None, (one.get("model"), one["budget"] or "no limit")))
    return f"{one['b']} less {one['a']} at {where}"


def verdict(one: Mapping[str, Any]) -> str:
    """Return what a test says in words."""
    if one["verdict"] != "unresolved":
        return f"{one['verdict']} is better"
    least = one["detectable"]
    if least is None:
        return "unresolved (too few items for any verdict)"
    return f"unresolved ({least * 100:.0f} points would have been noticed with 80 %)"


def resolved_line(tests: Sequence[Mapping[str, Any]]) -> str:
    """Return how many tests say who is better.

    >>> resolved_line([{"verdict": "direct"}, {"verdict": "unresolved"}])
    '1 of 2 differences resolved'
    """
    resolved = sum(one["verdict"] != "unresolved" for one in tests)
    return f"{resolved:,} of {counted(len(tests), 'difference')} resolved"


def shown_p(p: float) -> str:
    """Return a p value; a very small one as a bound."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def small_p(p: float) -> str:
    """Return a p value for a table.

    >>> small_p(0.0312), small_p(0.00000001)
    ('0.0312', '<0.0001')
    """
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def scan_line(scan: Mapping[str, Any]) -> str:
    """Return what the scan of the prompts found, and what it could not look for, in one line."""
    unknown = ", ".join(f"{counted(scan[name], noun)} {why}" for name, noun, why in UNKNOWN if scan[name])
    unknown = unknown and f" (not looked for: {unknown})"
    if scan["clean"]:
        return f"prompts: {counted(scan['lines'], 'line')}, none shows another item's question or key{unknown}"
    found: list[str] = []
    for name, short, one, many in SHOWN:
        if not scan[name]:
            continue
        n = len(scan[name])
        first = ", ".join(
            f"{hit['strategy']} at {hit['item']}" + (f" that of {hit['of']}" if hit["of"] != hit["item"] else "")
            for hit in scan["found"]
            if hit["shows"] == short
        )
        named = first and f" (first: {first})"
        if not short:
            named = f" ({', '.join(scan[name][:3])}{', ...' if n > 3 else ''})"
        found.append(f"{n} {one if n == 1 else many}{named}")
    return f"! prompts: {'; '.join(found)}{unknown}"


SHOWN = (
    (
        "questions_of_others",
        "questions",
        "prompt shows another item's question",
        "prompts show another item's question",
    ),
    ("keys_of_others", "keys", "prompt shows another item's key", "prompts show another item's key"),
    (
        "own_key_in_first_prompt",
        "own",
        "first prompt shows the item's own key",
        "first prompts show the item's own key",
    ),
    ("examples_among_items", "", "example is a test item", "examples are test items"),
)
UNKNOWN = (
    ("keys_too_short", "key", "too short"),
    ("questions_too_short", "question", "too short"),
    ("questions_too_alike", "question", "within another item's"),
)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "item"), counted(1200, "item")
    ('1 item', '1,200 items')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def notes_of(report: "Report") -> list[str]:
    """Return what is said below the rows: of the prompts, of the items, and which models of a chain have answered."""
    lines = [scan_line(report.manifest["prompt_scan"])]
    lines += [f"! {report.manifest['task']}: {note}" for note in report.manifest.get("notes", ())]
    lines += told_of_suite(report.manifest)
    refused: dict[str, list[str]] = {}
    for row in report.refused:
        refused.setdefault(row["budget"], []).append(name_of(row))
    lines += [f"! no call was possible at {budget}: {', '.join(names)}" for budget, names in refused.items()]
    lines += [f"! {line}" for line in beyond_lines(report)]
    lines += winner_lines(report)
    for row in report.rows:
        if "answered_by" in row:
            gave = ", ".join(f"{spec} {counted(n, 'call')}" for spec, n in row["answered_by"].items())
            lines.append(f"{name_of(row)} at {row['budget'] or 'no limit'} was answered by {gave}")
    lines += [
        f"! {name_of(row)} at {row['budget']}: {row['max_calls']:,} calls, not the budget, ended {n} of {counted(row['items'], 'item')}"
        for row, n in report.sated()
    ]
    return lines


def winner_lines(report: "Report") -> list[str]:
    """Return how the most accurate row is run, the cheapest of equals, if it is a baseline: its name does not say it.

    What needs a truth of the task is run in no other place.
    """
    rows = [row for row in report.rows if row["accuracy"] is not None]
    cost = {id(row): row["tokens_per_item"] if row["tokens_per_item"] is not None else math.inf for row in rows}
    best = min(rows, key=lambda row: (-row["accuracy"], row["baseline"], cost[id(row)]), default=None)
    if best is None or not best["baseline"] or not best["budget"] or best["needs"]:
        return []
    spec = report.manifest["specs"][best["strategy"]][report.manifest["budgets"].index(best["budget"])]
    longest = report.manifest.get("max_tokens")
    how = f"--strategy {shlex.quote(spec)} --budget {best['budget']}" + (f" --max-tokens {longest}" if longest else "")
    return [
        f"{name_of(best)} at {best['budget']} is run by `stratagem run QUESTION {how}`, and `--output` where the answer is no text; "
        "it stops where its budget ends"
    ]


def told_of_suite(manifest: Mapping[str, Any]) -> list[str]:
    """Return a line on the checks that a suite which is none of ours has passed, and one on the best constant answer."""
    checks, constant = manifest.get("checks"), manifest["best_constant"]
    lines: list[str] = []
    if checks is not None:
        on = f"{counted(checks['items'], 'item')} of level {checks['level']}"
        passed = counted(len(checks["passed"]), "check")
        lines.append(f"{manifest['task']}: the suite passed {passed} of its scorer on {on}")
    answer = f", {shortened(constant['answer'])}," if "answer" in constant else ""
    of = "these items" if constant["items"] == manifest["items"] else f"the first {counted(constant['items'], 'item')}"
    return [*lines, f"the best constant answer{answer} gets {constant['share']:.3f} of {of} right"]


def shortened(answer: str) -> str:
    """Return an answer in quotes, on one line.

    >>> shortened("yes"), shortened("a" * 60)
    ("'yes'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…")
    """
    said = repr(answer)
    return said if len(said) <= LONGEST_CONSTANT else f"{said[: LONGEST_CONSTANT - 1]}…"


def beyond_lines(report: "Report") -> list[str]:
    """Return one line per row that made more calls than the strategy's own formula allows."""
    return [
        f"{name_of(row)} at {row['budget'] or 'no limit'} made up to {counted(one['calls'], 'call')} on {one['items']:,} of "
        f"{counted(row['items'], 'item')}; its formula allows {row['max_calls']:,}"
        for row in report.rows
        if (one := row.get("beyond_formula"))
    ]


def text(report: "Report") -> str:
    """Return a report as text."""
    rows = [list(heads_of(report)), *cells_of(report)]
    wide = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    left = {0, 1, 2, 4}
    table = [
        "  ".join(cell.ljust(wide[at]) if at in left else cell.rjust(wide[at]) for at, cell in enumerate(row)).rstrip()
        for row in rows
    ]
    notes = [
        f"* on the Pareto front of {report.front_of}   ~ baseline   in a row: calls that had to wait for one another",
        *notes_of(report),
    ]
    parts = [report.title, "\n".join(table), "\n".join(notes)]
    if report.tests:
        parts.append("\n".join([resolved_line(report.tests), *test_lines(report.tests)]))
    if report.failures:
        parts.append("\n".join(failure_lines(report.failures)))
    return "\n\n".join(parts)


def failure_lines(failures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line per kind of failure of a row."""
    return [
        f"{name_of(one)} at {one['budget'] or 'no limit'}: {counted(one['items'], 'item')} {_ended(one)}, first {one['first']}"
        + (f": {one['reason']}" if one["kind"] in ("error", "not run") else "")
        for one in failures
    ]


def _ended(failure: Mapping[str, Any]) -> str:
    if failure["kind"] == "not run":
        return "was not run" if failure["items"] == 1 else "were not run"
    return f"ended with {failure['kind']}"
