"""`stratagem run`: reach a goal, or answer a question."""

import sys

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import Mode
from stratagem.cli._settings import DEFAULTS, Verb, offers, option, reaching, speaking


@click.command(cls=Verb)
@click.argument("goal")
@option(
    "--strategy",
    key="strategy",
    metavar="SPEC",
    default=DEFAULTS["strategy"],
    show_default=True,
    **offers("strategies"),
    help="NAME, NAME(n=5, sampler=react), or FILE.py:NAME; `stratagem catalog` lists them.",
)
@option(
    "--model",
    key="model",
    metavar="SPEC",
    default=DEFAULTS["model"],
    show_default=True,
    **offers("models"),
    help="Model; `stratagem models` lists them.",
)
@reaching
@option(
    "--root",
    key="root",
    metavar="DIR",
    multiple=True,
    type=click.Path(),
    help="Folder that the built-in tools may read. May be repeated.",
)
@click.option(
    "--file",
    metavar="F",
    multiple=True,
    type=click.Path(),
    help="Document or image that belongs to the goal, at most 20 MB. May be repeated.",
)
@option(
    "--tool",
    key="tool",
    metavar="NAME|FILE.py:FN",
    multiple=True,
    **offers("tools"),
    help="A further tool. May be repeated.",
)
@option(
    "--approve",
    key="approve",
    type=click.Choice(["ask", "never"]),
    default=DEFAULTS["approve"],
    show_default=True,
    help="Whether a person is asked before a tool changes anything; never refuses.",
)
@option(
    "--budget",
    key="budget",
    metavar="LIMITS",
    default=DEFAULTS["budget"],
    help="Limits, such as calls=40,tokens=8000,usd=0.10,seconds=60.",
)
@option(
    "--max-tokens",
    key="max-tokens",
    metavar="N",
    type=click.IntRange(1),
    default=DEFAULTS["max-tokens"],
    help="Of each reply of the model.  [default: what it may write]",
)
@option(
    "--output",
    key="output",
    metavar="TYPE",
    default=DEFAULTS["output"],
    show_default=True,
    help="What the answer is: str, int, float, bool, or one of several, such as 'red|blue'. Votes count what is found of it.",
)
@option(
    "--seed", key="seed", metavar="N", type=int, default=DEFAULTS["seed"], show_default=True, help="Seed of all dice."
)
@speaking("json", "jsonl", "quiet", "verbose", "debug")
@click.pass_obj
def run(
    mode: Mode,
    goal: str,
    strategy: str,
    model: str,
    root: tuple[str, ...],
    file: tuple[str, ...],
    tool: tuple[str, ...],
    approve: str,
    budget: str,
    max_tokens: int | None,
    output: str,
    seed: int,
) -> int:
    """Reach a GOAL, or answer a question; `-` reads it from standard input.

    A `--file` that the model reads itself is attached to the goal; text and tables that it does not read are granted to the
    built-in tools; anything else is refused.

    The answer goes to standard output, everything else to standard error. Exit status: 0 answered, 1 no answer, 2 usage,
    3 waits for a person, 4 budget ended, 5 model failed, 6 journal failed, 70 unexpected, 130 cancelled.
    """
    if mode.json and mode.jsonl:
        raise usage("--json and --jsonl exclude each other", "Choose one.")
    question = _read() if goal == "-" else goal
    from stratagem.cli._drive import drive, roots_of
    from stratagem.cli._naming import check_spec, output_of
    from stratagem.core import Task
    from stratagem.session._records import home_of

    mode.aim(model)
    check_spec(strategy, "strategy")
    for one in tool:
        check_spec(one, "tool")
    wanted = output_of(output)
    roots, given = roots_of(root), {"model": model}
    if file:
        from stratagem.cli._attaching import settings_for

        question, roots, given = settings_for(question, file, model, roots, home_of(mode.home), mode.server)
    return drive(
        mode,
        lambda session, _: session.run(strategy, Task(question, output=wanted)),
        roots=roots,
        tools=[*(() if roots else ALWAYS), *tool],
        policy=approve,
        budget=budget,
        options={} if max_tokens is None else {"max_tokens": max_tokens},
        seed=seed,
        **given,
    )  # fmt: skip


ALWAYS = ("calculate", "now")  # without a root; beneath one they come with the tools that read


def _read() -> str:
    """Return what stands on standard input."""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as failure:
        raise usage(f"standard input is not UTF-8: byte {failure.start}", "Convert it to UTF-8.") from None
