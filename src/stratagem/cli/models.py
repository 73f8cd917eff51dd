"""`stratagem models`: which models can be opened here."""

from typing import Any

import click

from stratagem.cli._output import SCHEMA, Mode, table
from stratagem.cli._settings import Verb, network_of, speaking

HUES = {"✓": "green", "!": "yellow", "✗": "red"}
# What the catalogue need not say of a model that needs no server.
USUAL: dict[str, Any] = {"key": "", "reachable": None, "said": ""}


@click.command(cls=Verb)
@click.option("--check", is_flag=True, help="Ask the servers that could be used whether they answer: uses the network.")
@speaking("json", "debug")
@click.pass_obj
def models(mode: Mode, check: bool) -> int:
    """List the models that can be opened here, by the spec that `--model` takes.

    A model is installed if its packages are, and configured if its key is found: in the provider's variable, in the key file
    or in the keyring, which is said, and never the key. Nothing is sent anywhere without --check; with it each server
    that is installed and configured is asked for its list of models, all at once, for 5 seconds at most.
    """
    from stratagem.models import catalogue
    from stratagem.models.listing import ask_keyring
    from stratagem.models.routes import Routes
    from stratagem.models.sources import Sources

    sources, routes = Sources(), network_of() or Routes()
    ask_keyring(sources, routes)
    every = [_completed(row) for row in catalogue(sources, routes)]
    odd = _ask(every, sources, routes) if check else set[str]()
    if mode.json:
        mode.document({"schema": SCHEMA, "models": every})
        return 0
    rows = [
        ("!" if row["name"] in odd else _sign(row), row["name"], row["said"] or f"needs {row['needs']}", row["about"])
        for row in every
    ]
    table(rows, elastic=3, colours=[HUES[row[0]] for row in rows])
    return 0


def _completed(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a model with all keys that the document promises."""
    there = row["available"]
    return {"installed": there, "configured": there, **USUAL, **row}


def _sign(row: dict[str, Any]) -> str:
    return "✓" if row["available"] and row["reachable"] is not False else "✗"


def _ask(every: list[dict[str, Any]], sources: Any, routes: Any) -> set[str]:
    """Add to each model whose server could be used whether it answers; return the names of those that answer oddly."""
    import asyncio

    from stratagem.models.listing import checked

    answers = asyncio.run(checked(every, sources, routes))
    for row in every:
        if row["name"] in answers:
            row["reachable"], row["said"] = answers[row["name"]][:2]
    return {name for name, answer in answers.items() if not answer.sound}
