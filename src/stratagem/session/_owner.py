"""Who drives a run: one owner. A second one is refused while the first is alive.

Rule 1: a process that is gone from its machine has lost its runs at once: machine (boot), process number, start time.
Rule 2: what cannot be looked at (another machine, another container) and what does not move (stopped, or its loop is
        blocked) has lost them `LEASE_S` after it last said that it is alive, by the journal's clock.
Rule 3: whether an owner is believed dead wrongly or rightly, its next write is refused: the epoch was raised.
"""

import os

from stratagem.core import Journal, Json, StoredRun, decoded, encoded
from stratagem.core._canonical import is_object

LEASE_S = 15.0
BEAT_S = 5.0


def new_owner() -> bytes:
    """Return what tells an owner of runs from every other one on any machine, before and after."""
    form = {"id": os.urandom(8).hex(), **_place(), "pid": os.getpid(), "started": _started(os.getpid())}
    return encoded(form)


async def elsewhere(journal: Journal, run: StoredRun, mine: bytes) -> str:
    """Return who else drives a run, in words; the empty string if nobody does."""
    if not run.owner or run.owner == mine:
        return ""
    owner: Json = decoded(run.owner)
    if not is_object(owner):
        return ""
    here = all(owner.get(name) == value for name, value in _place().items())
    if here and (not (started := _started(int(owner["pid"]))) or started != owner.get("started")):
        return ""
    age = await journal.age(run.owner)
    if age is None or age >= LEASE_S:
        return ""
    return f"process {owner.get('pid')} on {owner.get('host')}, which was alive {age:.0f} s ago"


def _place() -> dict[str, Json]:
    """Return what two processes have in common that can see each other: machine, its last start, process numbers."""
    uname = getattr(os, "uname", None)
    host = uname().nodename if uname else os.environ.get("COMPUTERNAME", "")
    return {"host": host, "boot": _read("/proc/sys/kernel/random/boot_id"), "space": _link("/proc/self/ns/pid")}


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the machine's start; empty if there is none."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] != "Z" else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
