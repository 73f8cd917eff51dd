"""`stratagem simulate`: at which competence of a model does a strategy pay."""

from typing import Any

import click

from stratagem.cli._ends import USAGE, usage
from stratagem.cli._output import Mode, say, table, warn
from stratagem.cli._settings import Verb, offers, speaking
from stratagem.cli.compare import (
    LEVEL,
    Line,
    check_files,
    on_task,
    printing_aside,
    stop_on_sigterm,
    warn_of_errors,
    write_files,
)


@click.command(cls=Verb)
@click.argument("strategy", **offers("strategies"))
@on_task
@click.option(
    "--vary",
    required=True,
    multiple=True,
    metavar="NAME=LOW:HIGH:N",
    help="A parameter of `sim:`; a second one makes a map.",
)
@click.option("--model", metavar="SPEC", default="sim:", show_default=True, help="The simulated model that is varied.")
@click.option("--budget", metavar="LIMITS", default="", help="Of each item; one may be a list: tokens=2000/8000/32000.")
@click.option(
    "--items", metavar="N", type=click.IntRange(1), help="How many at each point.  [default: 100; of a file all]"
)
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
    "--out", metavar="DIR", type=click.Path(), help="Keep answers there; the same line goes on where it was stopped."
)
@click.option("--html", metavar="FILE", type=click.Path(), help="Write it as one page.")
@click.option("--png", metavar="FILE", type=click.Path(), help="Write the figure.")
@click.option("--svg", metavar="FILE", type=click.Path(), help="Write the figure.")
@click.option("--processes", metavar="N", type=click.IntRange(1, 256), help="[default: one for each core]")
@speaking("json", "quiet", "debug")
@click.pass_obj
def simulate(mode: Mode, strategy: str, **given: Any) -> int:
    """Sweep a STRATEGY over simulated competence and budget, beside the honest baselines.

    It pays where it is better than every baseline, and is worse where it is worse than one, as paired tests notice it that are
    corrected for their number.
    Nothing here is a language model: what it shows is how a strategy uses the competence that it is given.

    Exit status: 0, 2 usage, 70 unexpected, 130 cancelled.
    """
    check_files(given)
    if len(given["vary"]) > 2:
        raise usage(f"--vary is there {len(given['vary'])} times", "Vary one parameter or two.")
    from stratagem.lab import simulate as perform

    line = Line(mode, given["out"])
    stop_on_sigterm()
    try:
        with printing_aside():
            sweep = perform(
                strategy, given["task"], given["vary"], model=given["model"], budget=given["budget"], items=given["items"],
                seed=given["seed"], level=given["level"], examples=given["examples"], out=given["out"],
                processes=given["processes"], on_progress=line,
            )  # fmt: skip
    except KeyboardInterrupt:
        return line.stopped()
    finally:
        line.close()
    lost = write_files(sweep, given)
    if mode.json:
        mode.document(sweep.plain())
    else:
        say(sweep.title)
        say()
        table(sweep.table(), elastic=len(sweep.names) + 2)
        say()
        for one in sweep.summary():
            say(one)
    warn_of_errors(sweep.report)
    for one in lost:
        warn(one)
    return USAGE if lost else 0
