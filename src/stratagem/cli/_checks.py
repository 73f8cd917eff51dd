"""The checks of `stratagem doctor`. None makes a journal or a memory where there is none."""

import asyncio
import os
import platform
import re
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from stratagem.cli._output import counted
from stratagem.errors import StratagemError
from stratagem.session._journals import FILE, journal_of

OLDEST_SQLITE = (3, 31, 0)
LEAST_FILES = 1024  # open files: what 200 branches with a connection each need, and some
LEAST_BYTES = 100_000_000  # free space
MOST_BYTES = 2_000_000_000  # of a journal that nobody need think about
MOST_DAMAGE = 20  # places that are listed
PACKAGES = ("pydantic", "click", "rich")


class Check(NamedTuple):
    """What one check found."""

    name: str
    state: Literal["ok", "warn", "fail"]
    message: str
    remedy: str = ""


def system() -> list[Check]:
    """Check what a run needs of the machine."""
    return [_python(), *_packages(), _prices(), *_sqlite(), _strategies(), _local(), _files(), _terminal()]


def state(home: Path, journal: str | None = None, *, sweep: bool = False) -> list[Check]:
    """Check the folder of the state, and the files in it.

    Args:
        home: the folder.
        journal: spec of the journal; None is the file in home.
        sweep: remove first what nothing in the journal refers to.
    """
    kept = _journal(home / FILE, sweep=sweep) if journal is None else _elsewhere(home, journal, sweep=sweep)
    return [*_home(home), *kept, *_memory(home / "memory.sqlite")]


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_implementation()} {platform.python_version()}")


def _packages() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version

    for name in PACKAGES:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "fail", "not installed", f"pip install {name}")


def _prices() -> Check:
    """Say which table of prices there is; it has no date of its own, so its version stands for its state."""
    from stratagem.models.prices import table

    said = table()
    return Check(
        "prices", "ok", f"table {said}" if said else "no table: what is not in `prices` of the settings is unknown"
    )


def _sqlite() -> Iterator[Check]:
    said = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        yield Check("sqlite", "fail", said, f"Use a Python that is built with SQLite {wanted} or later.")
    else:
        yield Check("sqlite", "ok", said)
    with sqlite3.connect(":memory:") as database:
        try:
            database.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
            yield Check("fts5", "ok", "full-text search is built in")
        except sqlite3.OperationalError:
            yield Check(
                "fts5", "fail", "SQLite is built without FTS5: there is no memory", "Use another build of Python."
            )
    database.close()


def _strategies() -> Check:
    from stratagem import strategies

    broken: list[str] = []
    names = strategies.names()
    for name in names:
        try:
            getattr(strategies, name)
        except Exception as failure:  # noqa: BLE001  (whatever is wrong with a file, it is what is to be reported)
            broken.append(f"{name}: {type(failure).__name__}: {failure}")
    if broken:
        return Check("strategies", "fail", "; ".join(broken), "Install stratagem anew.")
    return Check("strategies", "ok", f"{len(names)} can be loaded")


def _local() -> Check:
    from importlib.metadata import PackageNotFoundError, version

    from stratagem.models.local_weights import folder, here

    there = ", ".join(f"local:{name} ({path.stat().st_size / 1e6:.0f} MB)" for name, path in here().items())
    weights = f"weights in {folder()}: {there}" if there else f"no weights in {folder()}"
    try:
        return Check("local models", "ok", f"llama.cpp (xllamacpp {version('xllamacpp')}); {weights}")
    except PackageNotFoundError:
        return Check("local models", "ok", f'not installed, `pip install "stratagem[local]"`; {weights}')


def _files() -> Check:
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return Check("open files", "ok", "not limited")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < LEAST_FILES:
        return Check(
            "open files", "warn", f"at most {limit}", f"Many runs at once need more: `ulimit -n {4 * LEAST_FILES}`."
        )
    return Check("open files", "ok", f"at most {limit}")


def _terminal() -> Check:
    encoding = (sys.stdout.encoding or "").lower()
    if "utf" not in encoding:
        return Check("encoding", "warn", f"output is {encoding or 'unknown'}: much is escaped", "Set PYTHONUTF8=1.")
    return Check("encoding", "ok", encoding)


def _home(home: Path) -> Iterator[Check]:
    try:
        found = home.stat()
    except FileNotFoundError:
        parent = next(one for one in home.parents if one.exists())
        if os.access(parent, os.W_OK):
            yield Check("home", "ok", f"{home} is made by the first run")
        else:
            yield Check(
                "home", "fail", f"{home} cannot be made: {parent} is not writable", "Choose another: `--home DIR`."
            )
        return
    except OSError as failure:
        yield Check("home", "fail", f"{home}: {failure.strerror}", "Choose another: `--home DIR`.")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield Check("home", "fail", f"{home} is no folder", "Choose another: `--home DIR`.")
    elif not os.access(home, os.W_OK | os.X_OK):
        yield Check(
            "home", "fail", f"{home} is not writable", "Correct its permissions, or choose another: `--home DIR`."
        )
    elif os.name == "posix" and found.st_mode & 0o077:
        yield Check(
            "home", "warn", f"{home} is open to others ({stat.S_IMODE(found.st_mode):04o})", f"chmod 700 {home}"
        )
    else:
        yield Check("home", "ok", str(home))
    free = shutil.disk_usage(home).free
    if free < LEAST_BYTES:
        yield Check("disk", "warn", f"{free / 1e6:.0f} MB are free", "Free some space: a full disk stops every run.")
    else:
        yield Check("disk", "ok", f"{free / 1e9:.1f} GB are free")


def _journal(path: Path, *, sweep: bool) -> Iterator[Check]:
    if not path.exists():
        yield Check("journal", "ok", "no run is recorded yet")
        return
    yield from _private("journal", path)
    try:
        damage = _pages(path)
        if damage:
            yield Check("journal", "fail", f"{path}: {damage}", "Restore the file from a copy.")
            return
    except sqlite3.Error as failure:
        yield Check("journal", "fail", f"{path}: {failure}", "Restore the file from a copy.")
        return
    yield from _elsewhere(path.parent, None, sweep=sweep)


def _elsewhere(home: Path, spec: str | None, *, sweep: bool) -> Iterator[Check]:
    """Ask a journal for its condition."""
    try:
        yield from asyncio.run(_condition(home, spec, sweep=sweep))
    except StratagemError as failure:
        yield Check("journal", "fail", str(failure), failure.remedy)


async def _condition(home: Path, spec: str | None, *, sweep: bool) -> list[Check]:
    journal = journal_of(spec, home)
    found: list[Check] = []
    try:
        if sweep:
            swept = await journal.sweep()
            found.append(Check("sweep", "ok", f"removed {counted(swept, 'payload')} that nothing referred to"))
        seen = await journal.check()
    finally:
        await journal.aclose()
    said = (
        f"{counted(seen.runs, 'run')}, {counted(seen.rows, 'effect')}, {counted(seen.blobs, 'payload')}, "
        f"{seen.bytes / 1e6:.1f} MB"
    )
    if seen.damage:
        found.append(
            Check("journal", "fail", f"{said}; {counted(len(seen.damage), 'place')} {_are(len(seen.damage))} damaged")
        )
        found += [Check("journal", "fail", line, _remedy(line)) for line in seen.damage[:MOST_DAMAGE]]
    elif seen.orphans:
        orphans = f"{counted(seen.orphans, 'payload')} that no run refers to"
        found.append(Check("journal", "warn", f"{said}; {orphans}", "stratagem doctor --sweep"))
    elif seen.bytes > MOST_BYTES:
        found.append(Check("journal", "warn", said, "stratagem runs rm --older-than 30d"))
    else:
        found.append(Check("journal", "ok", said))
    return found


def _remedy(damage: str) -> str:
    """Return what repairs a damaged place: of a run, performing again what was lost."""
    run = re.search(r"\brun '([\w-]+)'", damage)
    again = "Restore the journal from a copy, or remove what is damaged and perform it again:"
    return f"{again} `stratagem resume {run[1]} --drop-damaged`." if run else "Restore the journal from a copy."


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _private(name: str, path: Path) -> Iterator[Check]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        yield Check(name, "warn", f"{path} is open to others ({mode:04o})", f"chmod 600 {path}")


def _pages(path: Path) -> str:
    """Return what SQLite finds wrong with the pages of a file."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
    try:
        found = [text for (text,) in database.execute("PRAGMA quick_check(3)") if text != "ok"]
    finally:
        database.close()
    return "; ".join(found)


def _memory(path: Path) -> Iterator[Check]:
    if not path.exists():
        yield Check("memory", "ok", "nothing is remembered yet")
        return
    yield from _private("memory", path)
    try:
        damage = asyncio.run(_examined(path))
    except StratagemError as failure:
        yield Check("memory", "fail", str(failure), failure.remedy)
        return
    if damage:
        yield Check("memory", "fail", f"{path}: {'; '.join(damage[:3])}", "Restore the file from a copy.")
    else:
        yield Check("memory", "ok", f"sound, {path.stat().st_size / 1e6:.1f} MB")


async def _examined(path: Path) -> tuple[str, ...]:
    from stratagem.memory.fts import FtsMemory

    memory = FtsMemory(path)
    try:
        return await memory.check()
    finally:
        await memory.aclose()
