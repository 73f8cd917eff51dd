"""Composition root: puts model, tools, memory, sandbox, policy, journal and budget into a Run."""

from stratagem.session._open import open, run  # noqa: A004  (the contract's name)
from stratagem.session._progress import progress
from stratagem.session._records import RunRecord
from stratagem.session._session import Session

__all__ = ["RunRecord", "Session", "open", "progress", "run"]
