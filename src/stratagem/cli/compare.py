"""`stratagem compare`: which strategy is worth it on this task, with this model, at this budget."""

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stratagem.cli._ends import CANCELLED, USAGE, usage
from stratagem.cli._output import Mode, say, shown, table, warn
from stratagem.cli._settings import Verb, offers, reaching, speaking, tables

if TYPE_CHECKING:
    from stratagem.lab import Report

MISSED = 1
FILES = ("svg", "png", "html")
LEVEL = "Of difficulty: 1 is easy, 3 is hard; a file has one."


def _listed(ctx: click.Context, _: click.Parameter, value: str) -> str:
    """Print the suites for `--task list`, and end; else return what is given."""
    if value != "list" or ctx.resilient_parsing:
        return value
    from stratagem.tasks import names, suite

    made = [suite(name) for name in names()]
    if ctx.obj is not None and ctx.obj.json:
        ctx.obj.document([
            {"name": one.name, "about": one.about, "levels": list(one.levels), "items": {str(k): v for k, v in one.sizes.items()},
             "source": one.source, "steps": one.stepwise, "floor": {"answer": one.floor[0], "share": one.floor[1]}}
            for one in made
        ])  # fmt: skip
    else:
        rows = [
            (
                one.name,
                f"levels {one.levels[0]} to {one.levels[-1]}",
                one.about,
                f"a constant answer: {one.floor[1]:.2f}",
            )
            for one in made
        ]
        table(rows, elastic=2)
    ctx.exit(0)
    return None


def on_task(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says what is solved. It comes first: `--task list` needs no other."""
    return click.option(
        "--task", required=True, metavar="NAME|FILE|list", is_eager=True, callback=_listed,
        help="A suite (`list` says which), your own JSON lines or CSV, or your own suite as FILE.py:NAME.",
    )(function)  # fmt: skip


@click.command(cls=Verb)
@on_task
@click.option("--strategies", required=True, metavar="SPEC,...", help="With commas between them.")
@click.option(
    "--model",
    metavar="SPEC",
    multiple=True,
    default=("sim:",),
    **offers("models"),
    help="May be repeated.  [default: sim:]",
)
@reaching
@click.option("--budget", metavar="LIMITS", default="", help="Of each item; one may be a list: tokens=2000/8000/32000.")
@click.option(
    "--max-tokens", metavar="N", type=click.IntRange(1), help="Of each reply.  [default: what the model may write]"
)
@click.option("--items", metavar="N", type=click.IntRange(1), help="How many.  [default: 100; of a file all]")
@click.option("--level", metavar="N", type=int, default=1, show_default=True, help=LEVEL)
@click.option(
    "--examples",
    metavar="N",
    type=click.IntRange(0, 32),
    default=2,
    show_default=True,
    help="Solved ones that a task carries.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Of the items and of all dice.")
@click.option(
    "--seed-file", metavar="FILE", type=click.Path(),
    help="Instead of --seed: a withheld one of 16 bytes or more. The report has neither it nor a question.",
)  # fmt: skip
@click.option(
    "--across-capabilities", is_flag=True, help="Compare strategies that use different truth; the title says so."
)
@click.option("--no-baselines", is_flag=True, help="Leave out self-consistency, best-of-n and the longer chain.")
@click.option(
    "--out", metavar="DIR", type=click.Path(), help="Keep answers there; the same line goes on where it was stopped."
)
@click.option("--html", metavar="FILE", type=click.Path(), help="Write the report as one page.")
@click.option("--png", metavar="FILE", type=click.Path(), help="Write the figure.")
@click.option("--svg", metavar="FILE", type=click.Path(), help="Write the figure.")
@click.option(
    "--fail-below",
    metavar="NAME=SHARE",
    multiple=True,
    help="Exit with 1 if a strategy is less accurate. May be repeated.",
)
@click.option("--processes", metavar="N", type=click.IntRange(1, 256), help="[default: one for each core]")
@click.option("--width", metavar="N", type=click.IntRange(1, 1000), help="Items at once in each.  [default: 8]")
@speaking("json", "jsonl", "quiet", "debug", jsonl="Print the report, one JSON document a line.")
@click.pass_obj
def compare(mode: Mode, **given: Any) -> int:
    """Compare strategies on the same items under the same budget.

    Self-consistency, best-of-n and a longer chain are always among them, at every budget, as far as it goes. What a strategy
    can reach holds no key; answers are frozen before they are scored.

    The report goes to standard output. Exit status: 0, or 1 if `--fail-below` was missed, 2 usage, 5 model failed,
    70 unexpected, 130 cancelled.
    """
    if mode.json and mode.jsonl:
        raise usage("--json and --jsonl exclude each other", "Choose one.")
    limits = [_limit(one) for one in given["fail_below"]]
    seed = given["seed"] if given["seed_file"] is None else secret(given["seed_file"])
    check_files(given)
    from stratagem.lab import compare as perform

    mode.aim(*given["model"])
    real = [one for one in given["model"] if one.partition(":")[0] != "sim"]
    if real and given["max_tokens"] is None and "tokens=" not in given["budget"] and not mode.quiet:
        warn(f"! no limit in tokens: a reply of {real[0]} may be as long as the model can write; see --max-tokens")
    shown_progress = Line(mode, given["out"])
    stop_on_sigterm()
    try:
        with printing_aside():
            report = perform(
                given["task"], given["strategies"], model=given["model"], budget=given["budget"], items=given["items"], seed=seed,
                level=given["level"], examples=given["examples"], max_tokens=given["max_tokens"], out=given["out"], across_capabilities=given["across_capabilities"],
                baselines=not given["no_baselines"], withheld=given["seed_file"] is not None, processes=given["processes"],
                width=given["width"], on_progress=shown_progress, prices=tables().get("prices"), **mode.server,
            )  # fmt: skip
    except KeyboardInterrupt:
        return shown_progress.stopped()
    finally:
        shown_progress.close()
    checked = [(least, _at_most(report, name)) for name, least in limits]
    lost = write_files(report, given)
    _print(mode, report)
    warn_of_errors(report)
    for line in lost:
        warn(line)
    missed = [(least, row) for least, row in checked if row["accuracy"] < least]
    for least, row in missed:
        where = row["budget"] or "no limit"
        model = row.get("model") or report.manifest["models"][0]
        warn(f"! {row['strategy']} reached {row['accuracy']:.3f} at {where} with {model}, less than {least:g}")
    return USAGE if lost else MISSED if missed else 0


def stop_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)


def secret(path: str) -> str:
    """Return a withheld seed: what a file holds. `--seed` beside it says something else, and is refused."""
    if click.get_current_context().get_parameter_source("seed") is ParameterSource.COMMANDLINE:
        raise usage("--seed and --seed-file exclude each other", "Leave one of them out; the file withholds its seed.")
    from stratagem.lab._given import LONG, SHORTEST

    try:
        seed = Path(path).read_text("utf-8").strip()
    except OSError as failure:
        raise usage(f"the seed in {path!r} cannot be read: {failure.strerror}", "Check its path.") from None
    except UnicodeDecodeError:
        raise usage(f"the seed in {path!r} is no text in UTF-8", LONG) from None
    if len(seed.encode()) < SHORTEST:
        said = (
            "is empty" if not seed else f"has {len(seed.encode())} of the {SHORTEST} bytes that a withheld seed needs"
        )
        raise usage(f"the seed file {path!r} {said}: a short one is found by trying", LONG)
    return seed


def _limit(text: str) -> tuple[str, float]:
    name, equals, share = text.rpartition("=")
    try:
        least = float(share)
    except ValueError:
        least = math.nan
    remedy = "Write --fail-below tree_of_thoughts=0.8"
    if not equals or math.isnan(least):
        raise usage(f"--fail-below {text!r} is no NAME=SHARE", remedy)
    if not 0 <= least <= 1:
        meant = f"--fail-below {name}={least / 100:g} is {least:g} %" if 1 < least <= 100 else remedy
        raise usage(f"--fail-below {text!r}: an accuracy is from 0 to 1, not {share.strip()}", meant)
    return name, least


def _at_most(report: "Report", name: str) -> Any:
    """Return the row of a strategy at the largest budget; of several models that of the lowest accuracy."""
    from stratagem.lab._plan import size_of

    rows = [row for row in report.rows if row["strategy"] == name]
    if not rows:
        known = ", ".join(dict.fromkeys(row["strategy"] for row in report.rows))
        raise usage(f"--fail-below: no strategy {name!r} was compared", f"There are {known}.")
    largest = max(size_of(row["budget"]) for row in rows)
    return min((row for row in rows if size_of(row["budget"]) == largest), key=lambda row: row["accuracy"])


def warn_of_errors(report: "Report") -> None:
    """Write one line for each row in which a strategy failed, or made more calls than it says: somebody has to know."""
    from stratagem.lab._text import beyond_lines, failure_lines

    for line in failure_lines([one for one in report.failures if one["kind"] in ("error", "not run")]):
        warn(f"! {line}; counted as wrong")
    for line in beyond_lines(report):
        warn(f"! {line}")


def printing_aside() -> "contextlib.redirect_stdout[Any]":
    """Let what a user's file prints as it is read go to standard error: standard output is the report's."""
    return contextlib.redirect_stdout(sys.stderr)


def check_files(given: dict[str, Any]) -> None:
    """Refuse files that could not be written, and one that two would be written to, before the work begins."""
    found: dict[Path, str] = {}
    for name in FILES:
        if given[name] is None:
            continue
        check_writable(given[name], f"--{name}", given["out"])
        other = found.setdefault(Path(given[name]).resolve(), name)
        if other != name:
            raise usage(f"--{other} and --{name} name one file, {given[name]!r}", "Name two.")
    if found:
        from importlib.util import find_spec

        if find_spec("matplotlib") is None:
            from stratagem.lab._figure import without_matplotlib

            raise without_matplotlib()


def check_writable(path: str, flag: str, out: str | None = None) -> None:
    """Refuse a file that could not be written, before the work begins; the folder `out` will be there by then."""
    place = Path(path)
    if out is not None and place.resolve().parent == Path(out).resolve() and not Path(out).exists():
        return
    if not place.resolve().parent.is_dir():
        raise usage(f"{flag}: there is no folder {str(place.parent)!r}", "Make it first.")
    if place.is_dir():
        raise usage(f"{flag}: {path!r} is a folder", "Name a file in it.")
    if not os.access(place if place.exists() else place.resolve().parent, os.W_OK):
        raise usage(f"{flag}: {path!r} cannot be written", "Name a file that you may write.")


def write_files(report: Any, given: dict[str, Any]) -> list[str]:
    """Write the page and the figures that were asked for; return a line for each that could not be written.

    The report is printed all the same: what was paid for is not lost by a full disk.
    """
    lost: list[str] = []
    for name in FILES:
        if given[name]:
            try:
                _write(report, name, Path(given[name]))
            except OSError as failure:
                lost.append(f"! --{name}: {given[name]!r} could not be written: {failure.strerror}")
    return lost


def _write(report: Any, name: str, path: Path) -> None:
    if name != "html":
        path.write_bytes(report.figure(name))
    else:
        path.write_text(report.html(), "utf-8")
        from stratagem.lab._page import MOST_ITEMS

        if len(getattr(report, "items", ())) > MOST_ITEMS:
            from stratagem.cli._output import json_text

            lines = "".join(json_text(one) + "\n" for one in report.items)
            path.with_suffix(".items.jsonl").write_text(lines, "utf-8")


def _print(mode: Mode, report: "Report") -> None:
    if mode.json:
        mode.document(report.plain())
        return
    if mode.jsonl:
        form = report.plain()
        mode.document({"schema": form["schema"], "type": "manifest", **form["manifest"]})
        for kind in ("rows", "tests", "pareto", "items", "failures"):
            for one in form[kind]:
                mode.document({"type": kind, **one})
        return
    from stratagem.lab import _text

    say(report.title)
    say()
    table([list(_text.heads_of(report)), *_text.cells_of(report)], elastic=1)
    say()
    say(f"* on the Pareto front of {report.front_of}   ~ baseline   in a row: calls that had to wait for one another")
    for line in _text.notes_of(report):
        say(line)
    tests = report.tests
    for heading, lines in (
        ("Paired tests", [_text.resolved_line(tests), *_text.test_lines(tests)] if tests else []),
        ("Failures", _text.failure_lines(report.failures)),
    ):
        if lines:
            say()
            say(heading)
            for line in lines:
                say(f"  {line}")


class Line:
    """One line on a terminal that says how far it is, redrawn ten times a second at most.

    Elsewhere nothing, but how much of a comparison was there from an earlier time.
    """

    def __init__(self, mode: Mode, out: str | None) -> None:
        from stratagem.session._progress import redraws

        self._mode, self._out = mode, out
        self._draws = redraws(sys.stderr) and not mode.quiet and not mode.machine
        self._last, self._drawn, self._seen = 0.0, False, ""

    def __call__(self, progress: Any) -> None:
        """Show how far it is."""
        done, wanted, found, seconds, ended = progress
        if ended and not self._mode.quiet:
            self.close()
            warn(f"! {ended}")
        if found and not self._seen and not self._mode.quiet:
            rest = "going on" if found < wanted else "nothing is asked again"
            warn(f"{found:,} of {wanted:,} answers were kept in {self._out}; {rest}")
        self._seen = f"{done:,} of {wanted:,} answers"
        now = time.monotonic()
        if not self._draws or (now - self._last < 0.1 and done < wanted):
            return
        self._last, self._drawn = now, True
        made = done - found
        left = (wanted - done) * seconds / made if made else 0.0
        rest = f", about {left:.0f} s more" if made and done < wanted else ""
        sys.stderr.write(f"\r\x1b[2K  {shown(self._seen)}  {seconds:.0f} s{rest}")
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._drawn = False

    def stopped(self) -> int:
        """Say how to go on."""
        self.close()
        if self._out:
            warn(f"stopped: {self._seen or 'nothing new'} kept in {self._out}; the same line goes on from there")
        else:
            warn(f"stopped: {self._seen or 'nothing'} were there and are lost; with `--out DIR` they are kept")
        return CANCELLED


__all__ = [
    "LEVEL",
    "Line",
    "check_files",
    "compare",
    "on_task",
    "printing_aside",
    "secret",
    "stop_on_sigterm",
    "warn_of_errors",
    "write_files",
]
