"""Who drives a run: one process. A second one is refused while the first is alive on this machine."""

import os

from stratagem.core import Json
from stratagem.core._canonical import is_object


def this_process() -> Json:
    """Return what tells this process from every other one on any machine, before and after."""
    return {"host": _host(), "boot": _boot(), "pid": os.getpid(), "started": _started(os.getpid())}


def elsewhere(owner: Json) -> str:
    """Return who drives a run, in words, if it is another living process of this machine; else the empty string."""
    if not is_object(owner) or owner.get("pid") in (None, os.getpid()):
        return ""
    if owner.get("host") != _host() or owner.get("boot") != _boot():
        return ""  # of another machine, or of before the last start: its writes are refused by the journal
    pid = int(owner["pid"])
    started = _started(pid)
    if started != owner.get("started") or not started:
        return ""
    return f"process {pid} on {owner['host']}"


def _host() -> str:
    uname = getattr(os, "uname", None)
    return uname().nodename if uname else os.environ.get("COMPUTERNAME", "")


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


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
