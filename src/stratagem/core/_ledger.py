"""The ledger: what was asked so far, ordered by place. Tests and composers read it."""

from typing import Any

from stratagem.core._model import Request
from stratagem.core._strand import Place


class Asked:
    """One model call in the ledger.

    Attributes:
        request: what was asked, as the model saw it.
        reused: whether the reply was recorded already.
        repair: whether it asks again for an unreadable reply.
        place: position in the program, which orders the ledger.
    """

    __slots__ = ("place", "request", "reused")

    def __init__(self, request: Request, place: Place, reused: bool) -> None:
        self.request, self.place, self.reused = request, place, reused

    @property
    def signature(self) -> Any:
        """The signature that was asked."""
        return self.request.signature

    @property
    def inputs(self) -> Any:
        """Its typed inputs."""
        return self.request.inputs

    @property
    def options(self) -> dict[str, Any]:
        """The model options that were set."""
        return dict(self.request.options)

    @property
    def path(self) -> str:
        """The scope path."""
        return self.request.path

    @property
    def text(self) -> str:
        """The whole request as text."""
        return self.request.text

    @property
    def repair(self) -> bool:
        """Whether it asks again for an unreadable reply."""
        return bool(self.request.repair)

    def __repr__(self) -> str:
        return f"Asked({self.signature}, {self.path!r})"


class Ledger(list[Asked]):
    """What was asked, ordered by place. Repairs are in it, flagged."""

    def of(self, signature: Any) -> list[Asked]:
        """Return the calls of one signature."""
        return [asked for asked in self if asked.signature is signature]

    @property
    def logical(self) -> list[Asked]:
        """The calls that formulas count: all but repairs."""
        return [asked for asked in self if not asked.repair]

    @property
    def paid(self) -> list[Asked]:
        """The calls that were performed now, not reused."""
        return [asked for asked in self if not asked.reused]
