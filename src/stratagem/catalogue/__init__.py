"""The catalogue: which published systems there are, which of them are implemented here, and where that is tested.

`entries()` is the vendored list, `implementations()` what `stratagem catalog --json` prints, `describe(text)` the
page of an id or a name. Nothing is read or imported before one of them is called.
"""

from stratagem.catalogue._entries import Entry, entries
from stratagem.catalogue._implementations import Implementation, Parameter, find, implementations
from stratagem.catalogue._page import describe, entry_page, page
from stratagem.catalogue._shown import mirror

__all__ = [
    "Entry",
    "Implementation",
    "Parameter",
    "describe",
    "entries",
    "entry_page",
    "find",
    "implementations",
    "mirror",
    "page",
]
