"""When an owner last said that it is alive: rows of the table `lease`.

Rule: between processes of one start of the machine the age is the difference of two readings of a clock that never goes
      back, whatever happens to the time of day. Only what was said before that start, or on another machine, is dated
      by the time of day.
"""

import functools
import sqlite3
from pathlib import Path
from typing import Any

from stratagem.core import Clock, Json
from stratagem.core._canonical import hashed
from stratagem.errors import UsageError
from stratagem.journals._questions import members

KEPT_S = 7 * 24 * 3600  # after that long nobody asks any more

_READ = "SELECT id, form, boot, stamp, wall, stands FROM lease"


def owner_id(owner: bytes) -> str:
    """Return what tells owners apart; `UsageError` if there is no such thing."""
    name: Json = members(owner).get("id")
    if not isinstance(name, str) or not name.isascii():
        raise UsageError(f"an owner must have an id in ASCII: {owner!r}")
    return name


def renew(connection: sqlite3.Connection, owner: bytes, clock: Clock) -> None:
    """Write that an owner is alive now, and forget those that have been silent for a week."""
    name, boot, stamp, wall = owner_id(owner), this_boot(), clock.stamp(), int(clock.wall() * 1e6)
    connection.execute(
        "INSERT OR REPLACE INTO lease (id, form, boot, stamp, wall, stands) VALUES (?, ?, ?, ?, ?, ?)",
        (name, owner, boot, stamp, wall, _stands(name, owner, boot, stamp, wall)),
    )
    kept = int(KEPT_S * 1e6)
    connection.execute(
        "DELETE FROM lease WHERE CASE WHEN boot=? THEN stamp<? ELSE wall<? END",
        (boot or None, stamp - kept, wall - kept),
    )


def age(connection: sqlite3.Connection, owner: bytes, clock: Clock) -> float | None:
    """Return the seconds since then; None if it never said so, or if what it said is damaged."""
    found = connection.execute(_READ + " WHERE id=?", (owner_id(owner),)).fetchone()
    if found is None or damaged(found):
        return None
    boot, stamp, wall = found[2:5]
    passed = clock.stamp() - stamp if boot and boot == this_boot() else clock.wall() * 1e6 - wall
    return max(passed / 1e6, 0.0)


def damage(connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with leases. The next beat of their owner heals them."""
    return [f"lease {row[0]!r} is not what was written" for row in connection.execute(_READ) if damaged(row)]


def damaged(row: tuple[Any, ...]) -> bool:
    """Return whether a lease is not what was written."""
    name, form, boot, stamp, wall, stands = row
    whole = type(form) is bytes and type(stamp) is int and type(wall) is int
    return not whole or _stands(name, form, boot, stamp, wall) != stands


@functools.cache
def this_boot() -> str:
    """Return what names the machine's last start; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _stands(name: object, form: bytes, boot: object, stamp: int, wall: int) -> bytes:
    shown = f"{name} {boot} {stamp} {wall} "
    return hashed(b"l" + shown.encode("utf-8", "surrogatepass") + form)[:16]
