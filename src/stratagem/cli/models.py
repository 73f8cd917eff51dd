"""`stratagem models`: which models can be opened here."""

import click

from stratagem.cli._output import SCHEMA, Mode, table
from stratagem.cli._settings import Verb, speaking


@click.command(cls=Verb)
@speaking("json", "debug")
@click.pass_obj
def models(mode: Mode) -> int:
    """List the models that can be opened here, by the spec that `--model` takes."""
    from stratagem.models import catalogue

    every = catalogue()
    if mode.json:
        mode.document({"schema": SCHEMA, "models": every})
        return 0
    rows = [("✓" if row["available"] else "✗", row["name"], f"needs {row['needs']}", row["about"]) for row in every]
    table(rows, elastic=3, colours=["green" if row["available"] else "red" for row in every])
    return 0
