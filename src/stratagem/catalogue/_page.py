"""Catalogue pages in Markdown: what `stratagem catalog ID` prints and what lies in `docs/catalogue/`."""

import ast
import inspect
import json
import textwrap

from stratagem.catalogue._docstring import arguments, sections
from stratagem.catalogue._entries import Entry, entries
from stratagem.catalogue._implementations import Implementation, find, loaded
from stratagem.core import Configurable

CATEGORIES = {
    "I": "inference-time strategy or agent system",
    "T": "training method",
    "E": "evaluation method",
    "F": "efficiency or compression",
    "B": "model or product used as a backend",
    "S": "study or survey",
    "X": "not a system",
}


def describe(text: str) -> str:
    """Return the pages of an id or name; of an entry that nothing implements, what the catalogue says of it.

    Raises:
        UsageError: there is neither an entry nor an implementation of that name.
    """
    entry, found = find(text)
    if found or entry is None:
        return "\n".join(page(made) for made in found)
    return entry_page(entry)


def entry_page(entry: Entry) -> str:
    """Return what the catalogue says of an entry that nothing here implements."""
    return (
        f"# {entry.id} {entry.name}\n\n{entry.mechanism}\n\n"
        f"Family: {entry.family}. Class {entry.category}: {CATEGORIES[entry.category]}.\n"
        "Not implemented in this version.\n"
    )


def page(made: Implementation) -> str:
    """Return the page of one implementation."""
    found, doc = loaded(made)
    said = sections(doc)
    parts = [f"# {made['name']}", said[""], _facts(made)]
    if made["parameters"]:
        parts += ["## Parameters", _parameters(made, arguments(said.get("Args", "")))]
    if "Returns" in said:
        parts += ["## Returns", said["Returns"]]
    if "Raises" in said:
        raised = arguments(said["Raises"])
        parts += ["## Raises", "\n".join(f"- `{name}`: {when}" for name, when in raised.items())]
    if "Example" in said:
        parts += ["## Example", _block(said["Example"])]
    if isinstance(found, Configurable):
        parts += ["## Cost", _cost(made, found), said.get("Cost", "")]
    for heading in ("Fails when", "Paper, code, ours"):
        if heading in said:
            parts += [f"## {heading}", said[heading]]
    if isinstance(found, Configurable):
        parts += ["## The algorithm", _source(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(made: Implementation) -> str:
    known = entries()
    lines = [f"- Kind: {made['kind']}, family `{made['family']}`"]
    lines += [f"- {number}: {known[number].name}" for number in made["ids"]]
    if made["paper"]:
        lines.append(f"- Paper: {_link(made['paper'])}")
    if made["kind"] in ("strategy", "judge"):
        lines.append(f"- Truth it uses: {', '.join(made['needs']) or 'nothing'}")
    lines.append(f"- Source: `{made['module']}`")
    lines += [f"- {number} is shown by `{node}`" for number, node in made["tests"].items()]
    return "\n".join(lines)


def _link(paper: str) -> str:
    kind, _, number = paper.partition(":")
    if kind.lower() == "arxiv":
        return f"[{paper}](https://arxiv.org/abs/{number})"
    return f"[{paper}](https://doi.org/{number})" if kind.lower() == "doi" else paper


def _parameters(made: Implementation, meaning: dict[str, str]) -> str:
    lines = ["| parameter | type | default | range | meaning |", "|---|---|---|---|---|"]
    for name, setting in made["parameters"].items():
        default = setting["default"] if isinstance(setting["default"], str) else json.dumps(setting["default"])
        low, high = setting["min"], setting["max"]
        within = ", ".join(map(str, setting["choices"] or ()))
        if low is not None:
            within = f"{low:g} to {high:g}" if high is not None else f"{low:g} or more"
        cells = (f"`{name}`", setting["type"], f"`{default}`", within, meaning.get(name, ""))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _cost(made: Implementation, found: Configurable) -> str:
    return (
        f"At most `{made['calls']}` model calls, at least `{made['lower']}`; "
        f"with the defaults at most {found.max_calls}, at least {found.min_calls}."
    )


def _block(example: str) -> str:
    # Shown, not executed here: doctest runs it in the source.
    return f"```pycon\n{example}\n```" if ">>>" in example else example


def _source(found: Configurable) -> str:
    """Return the function without its docstring, which the page has printed already."""
    text = textwrap.dedent(inspect.getsource(inspect.unwrap(found)))  # pyright: ignore[reportArgumentType] -- it wraps a function
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    lines = text.splitlines()
    if ast.get_docstring(function) is not None:
        said = function.body[0]
        del lines[said.lineno - 1 : said.end_lineno]
    return "```py\n" + "\n".join(lines) + "\n```"
