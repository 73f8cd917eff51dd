"""The folder of a comparison: its plan, and the answers so far. A comparison that was stopped goes on from there.

Rule 1: an answer is kept before it is scored.
Rule 2: the last line may be torn by a crash; it is removed, and its item is done again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stratagem.errors import UsageError
from stratagem.lab._text import counted

PLAN, ANSWERS, LOCK = "plan.json", "answers.jsonl", "lock"


# What makes a comparison, in words; in the order in which a difference is looked for.
WORDS: Mapping[str, str] = {
    "task": "the task {}", "level": "level {}", "seed": "seed {}", "items": "{}", "strategies": "the strategies {}",
    "models": "the models {}", "budgets": "the budgets {}", "examples": "{}", "max_tokens": "max_tokens {}",
    "across_capabilities": "across_capabilities {}", "baselines": "baselines {}", "prices": "prices {}",
}  # fmt: skip


def _said(name: str, value: Any) -> str:
    """Return a value of a comparison's identity in words."""
    if name in ("items", "examples"):
        return counted(value, name[:-1])
    if isinstance(value, list):
        shown = ", ".join(str(one) or "no limit" for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    else:
        shown = "none" if value is None else "on" if value is True else "off" if value is False else str(value)
    return WORDS.get(name, f"{name} {{}}").format(shown)


class Folder:
    """Keeps a comparison.

    Args:
        path: the folder; None keeps in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: list[dict[str, Any]] = []
        self._file: Any = None
        self._lock: Any = None

    def begin(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Take the folder; return what `plan` stored there, None in a new one.

        Raises:
            UsageError: another comparison is in it, or another process works in it.
        """
        if self.path is None:
            return None
        stored = self.path / PLAN
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / LOCK).open("a")
        except OSError as failure:
            message = f"the folder {str(self.path)!r} cannot be used: {failure.strerror}"
            raise UsageError(
                message, remedy="Name another folder for `out`, or make it one that you may write to."
            ) from None
        self._take()
        try:
            known: dict[str, Any] | None = json.loads(stored.read_text("utf-8")) if stored.exists() else None
        except ValueError:
            message = f"{PLAN} in {str(self.path)!r} is damaged"
            raise UsageError(message, remedy="Choose another folder for `out`.") from None
        if known is not None:
            self._same(known["wanted"], identity)
        return known

    def _take(self) -> None:
        """Lock the folder; where the platform has no such lock, two at once are the user's business."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another process works in {str(self.path)!r}"
            raise UsageError(message, remedy="Wait for it, or choose another folder for `out`.") from None

    def _same(self, known: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Refuse another comparison, and say in words what is different: what was asked for before what follows from it."""
        for name in (*(name for name in WORDS if name in known or name in identity), *identity):
            before, now = known.get(name), identity.get(name)
            if before == now:
                continue
            if name == "task_source":
                said = f"answers on the task {identity['task']} as it was: its source has changed since"
            elif name == "items_digest":
                said = "other items of the same task: its file, or what makes the items, has changed since"
            elif name == "sources":
                kept: Mapping[str, str] = before or {}
                edited = [spec for spec, digest in identity["sources"].items() if kept.get(spec) != digest]
                said = f"answers of {', '.join(edited)} as it was: its source has changed since"
            else:
                said = f"a comparison with {_said(name, before)}; this asks for {_said(name, now)}"
            raise UsageError(
                f"the folder {str(self.path)!r} holds {said}",
                remedy="Choose another folder (`--out`), or ask for the same as before.",
            )

    def plan(self, form: Mapping[str, Any]) -> None:
        """Store the plan, all or nothing."""
        if self.path is None:
            return
        made = self.path / f"{PLAN}.new"
        with made.open("w", encoding="utf-8") as file:
            file.write(json.dumps(form, indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        made.replace(self.path / PLAN)

    def answers(self) -> list[dict[str, Any]]:
        """Return the answers so far, and open the file for more."""
        if self.path is None:
            return []
        path = self.path / ANSWERS
        data = path.read_bytes() if path.exists() else b""
        whole = data.rfind(b"\n") + 1
        found: list[dict[str, Any]] = []
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                found.append(json.loads(line))
            except ValueError:
                raise UsageError(
                    f"{ANSWERS} in {str(self.path)!r} is damaged in line {number}",
                    remedy="Remove that line: its item is done again.",
                ) from None
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        return found

    def keep(self, answer: Mapping[str, Any]) -> None:
        """Keep an answer; a killed process loses none that was kept."""
        if self._file is not None:
            self._file.write(json.dumps(answer, separators=(",", ":"), sort_keys=True).encode() + b"\n")
            self._file.flush()

    def close(self) -> None:
        """Let go of the folder."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
        if self._lock is not None:
            self._lock.close()
