"""Labels: where a value came from and who may read it. Labels only rise.

A label is (sources, readers). Joining is union of the sources and intersection of the readers, so a value made of two
is trusted only if both are, and readable only by those who may read both. What carries no label is `UNKNOWN`:
untrusted and private.
"""

from collections.abc import Iterable
from typing import Any, cast

from stratagem.core._canonical import Json
from stratagem.core._value import Frozen, setters

TRUSTED = frozenset({"user", "system"})


class Label(Frozen):
    """Sources and readers of a value.

    Args:
        sources: for example `user`, `system`, `tool:read_file`, `memory:7`, `model`.
        readers: names of principals; None is public.

    >>> mail = Label({"tool:mail"}, {"ada"})
    >>> (USER | mail).trusted
    False
    >>> sorted((USER | mail).readers)
    ['ada']
    """

    __slots__ = ("sources", "readers")  # noqa: RUF023  (the order of `setters`)

    sources: frozenset[str]
    readers: frozenset[str] | None

    def __init__(self, sources: Iterable[str], readers: Iterable[str] | None = None) -> None:
        _set_sources(self, frozenset(sources))
        _set_readers(self, None if readers is None else frozenset(readers))

    @property
    def trusted(self) -> bool:
        """Whether everything in it came from the user or the system."""
        return self.sources <= TRUSTED

    def __or__(self, other: "Label") -> "Label":
        if other is self or (other.sources <= self.sources and other.readers is None):
            return self
        readers = self.readers
        if other.readers is not None:
            readers = other.readers if readers is None else readers & other.readers
        return Label(self.sources | other.sources, readers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Label) and (self.sources, self.readers) == (other.sources, other.readers)

    def __hash__(self) -> int:
        return hash((self.sources, self.readers))

    def __repr__(self) -> str:
        readers = "" if self.readers is None else f", readers={sorted(self.readers)}"
        return f"Label({sorted(self.sources)}{readers})"

    def plain(self) -> Json:
        """Return the label as JSON."""
        return [sorted(self.sources), None if self.readers is None else sorted(self.readers)]

    @staticmethod
    def of(form: Any) -> "Label":
        """Return the label that `plain` wrote; `UNKNOWN` for what is no label."""
        if not (isinstance(form, list) and len(cast("list[Any]", form)) == 2):
            return UNKNOWN
        sources, readers = cast("list[Any]", form)
        if not isinstance(sources, list) or not (readers is None or isinstance(readers, list)):
            return UNKNOWN
        named = None if readers is None else map(str, cast("list[Any]", readers))
        return Label(map(str, cast("list[Any]", sources)), named)


_set_sources, _set_readers = setters(Label)

UNKNOWN = Label({"unknown"}, ())
USER = Label({"user"})
SYSTEM = Label({"system"})
