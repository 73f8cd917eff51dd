"""The catalogue of published systems and methods: ids, names and families, vendored as data."""

import functools
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One published system or method.

    `category` is one letter: I inference-time strategy or agent system, T training method, E evaluation method,
    F efficiency or compression, B model or product that is only used as a backend, S study or survey,
    X not a system.
    """

    id: str
    name: str
    family: str
    category: str
    mechanism: str


@functools.cache
def entries() -> dict[str, Entry]:
    """Return every entry by its id, in the order of the catalogue. Reads the file at the first call."""
    return {entry.id: entry for entry in (Entry(**row) for row in table("catalogue.tsv"))}


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of a tab-separated file of this package; there is no quoting in it."""
    header, *rows = (Path(__file__).parent / name).read_text("utf-8").splitlines()
    return [dict(zip(header.split("\t"), row.split("\t"), strict=True)) for row in rows]
