"""`stratagem catalog`: what there is, what it costs, when it fails, and how it differs from its paper."""

import sys

import click

from stratagem.cli._ends import usage
from stratagem.cli._output import Mode, say, shown, table, width
from stratagem.cli._settings import Verb, nearest, speaking

KINDS = (
    "strategy", "judge", "optimizer", "memory", "index", "tool", "suite", "model", "engine", "feature",
)  # fmt: skip


@click.command(cls=Verb)
@click.argument("name", metavar="[ID|NAME]", default="")
@click.option("--family", metavar="F", default="", help="Only this family, such as `sampling`.")
@click.option("--kind", metavar="K", default="", help="Only this kind: strategy, judge, feature ...")
@click.option("--text", metavar="WORD", default="", help="Only what has this word in its name, title or paper.")
@speaking("json", "debug")
@click.pass_obj
def catalog(mode: Mode, name: str, family: str, kind: str, text: str) -> int:
    """Print the page of a strategy, by catalogue ID or NAME; without one, list what there is.

    A page says what the strategy does, what it costs, when it fails, and where paper, the authors' code and this
    library differ.
    """
    from stratagem.catalogue import describe, find

    if not name:
        return _list(mode, family, kind, text)
    if mode.json:
        mode.document([dict(one) for one in find(name)[1]])
    else:
        _page(describe(name))
    return 0


def _list(mode: Mode, family: str, kind: str, text: str) -> int:
    from stratagem.catalogue import entries, implementations

    every = implementations()
    for given, known in ((family, {one["family"] for one in every}), (kind, KINDS)):
        if given and given not in known:
            raise usage(f"nothing here is a {given!r}{nearest(given, known)}", f"There are {', '.join(sorted(known))}.")
    titles = {number: entry.name for number, entry in entries().items()}
    word = text.casefold()
    found = [
        one
        for one in every
        if family in ("", one["family"])
        and kind in ("", one["kind"])
        and word
        in " ".join((one["name"], one["paper"], *one["ids"], *(titles[number] for number in one["ids"]))).casefold()
    ]
    if mode.json:
        mode.document([dict(one) for one in found])
        return 0
    rows = [(one["name"], one["kind"], one["family"], " ".join(one["ids"]), titles[one["ids"][0]]) for one in found]
    if word:
        made = {number for one in every for number in one["ids"]}
        rows += [
            ("-", "not implemented", one.family, one.id, one.name)
            for one in entries().values()
            if one.id not in made and word in f"{one.name} {one.mechanism}".casefold()
        ]
    table(rows, elastic=4)
    if not rows:
        mode.tell("nothing like that is in the catalogue")
    return 0


def _page(text: str) -> None:
    """Print a page: as it is in a pipe, set by rich on a terminal."""
    from stratagem.session._progress import redraws

    if not redraws(sys.stdout):
        say(text.rstrip())
        return
    from rich.console import Console
    from rich.markdown import Markdown

    columns = min(width(sys.stdout) or 80, 100)
    Console(file=sys.stdout, width=columns).print(Markdown(shown(text), hyperlinks=False))
