"""The task of a comparison by its spec: a suite's name, a file of tasks, or `FILE.py:NAME`, a suite that somebody wrote.

Rule 1: a suite's file has a solver in it. So no strategy is made of that file, or of one beside it that it imports.
Rule 2: its source is a part of the comparison, since it makes the items and reads the answers.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stratagem.errors import StratagemError, UsageError
from stratagem.lab._looking import files_of
from stratagem.session._loading import load_file, named_in_file
from stratagem.tasks import Suite
from stratagem.tasks._own import ENDINGS, opened


def suite_of(spec: str, *, blind: Mapping[str, Any] | None = None) -> Suite:
    """Return the suite of a spec.

    Args:
        spec: a name, the path of a `.jsonl` or `.csv`, or `FILE.py:NAME`.
        blind: what a file of tasks says without its answers.

    Raises:
        UsageError: there is none, or what is there is none.
    """
    if spec.endswith(".py"):
        raise UsageError(f"{spec!r} names a file and no suite in it", remedy=f"Write `{spec}:NAME`.")
    if not _in_file(spec):
        return opened(spec, blind=blind)
    made = _named(spec)
    if isinstance(made, type) and issubclass(made, Suite):
        made = _begun(spec, made)
    if not isinstance(made, Suite):
        raise UsageError(f"{spec!r} is no suite, but {made!r:.60}", remedy="Write a class of `stratagem.tasks.Suite`.")
    lacks = [name for name in ("name", "about") if not getattr(made, name)]
    if lacks:
        raise UsageError(f"the suite {spec!r} has no {' and no '.join(lacks)}", remedy="Each is a text in its class.")
    return made


def _named(spec: str) -> Any:
    file, _, _ = spec.rpartition(":")
    module = load_file(Path(file))  # a file that is not there or fails is another mistake than a name
    try:
        return named_in_file(spec)
    except UsageError as failure:
        own = [
            name
            for name, one in vars(module).items()
            if isinstance(one, Suite)
            or (isinstance(one, type) and issubclass(one, Suite) and one.__module__ == module.__name__)
        ]
        failure.remedy = (
            f"Name a suite that is in the file: {', '.join(f'`{file}:{name}`' for name in own)}."
            if own
            else f"Write a class of `stratagem.tasks.Suite` into {file}, and name it."
        )
        raise


def _begun(spec: str, kind: type[Suite]) -> Suite:
    lacks = sorted(getattr(kind, "__abstractmethods__", ()))
    if lacks:
        raise UsageError(f"the suite {spec!r} lacks {', '.join(f'`{one}`' for one in lacks)}", remedy="Write them.")
    try:
        return kind()
    except Exception as failure:
        if isinstance(failure, StratagemError):
            raise
        raise UsageError(f"the suite {spec!r} cannot be made: {type(failure).__name__}: {failure}") from failure


def full_spec(spec: str) -> str:
    """Return a spec that means the same in every folder."""
    if _in_file(spec):
        file, _, name = spec.rpartition(":")
        return f"{Path(file).expanduser().resolve()}:{name}"
    return str(Path(spec).resolve()) if spec.lower().endswith(ENDINGS) else spec


def source_of(spec: str, suite: Suite) -> str:
    """Return the digest of a suite's source, its file and those beside it that it imports; empty for one of ours."""
    if _in_file(spec):
        files: Sequence[Path] = files_of(spec)
    else:
        module = type(suite).__module__
        file = None if module.startswith("stratagem.") else getattr(sys.modules.get(module), "__file__", None)
        files = [Path(file)] if file else []
    texts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16] if texts else ""


def check_apart(spec: str, strategies: Sequence[str]) -> None:
    """Refuse strategies that are made of a file of the suite: who solves its problems could be in it.

    Raises:
        UsageError: strategy and file are named.
    """
    if not _in_file(spec):
        return
    own = set(files_of(spec))
    for one in strategies:
        for path in files_of(one):
            if path in own:
                raise UsageError(
                    f"the strategy {one!r} is made of {path.name}, as is the task: a strategy may not see who solves it",
                    remedy="Put strategies into a file of their own, and what both need into each.",
                )


def _in_file(spec: str) -> bool:
    return ".py:" in spec
