"""The pytest fixture `cassette`.

Whoever wants it names it in the top `conftest.py`; nobody else pays for it:

    pytest_plugins = ["stratagem.testing.cassette_fixture"]

    async def test_the_trip_is_planned(cassette):
        async with stratagem.open(model=cassette("openai:gpt-4o-mini")) as session:
            ...

Its file is `cassettes/MODULE/TEST.jsonl` beside the test's module. Lines that a passed test did not use are listed at the
end of the run.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stratagem.core import Model
from stratagem.testing.cassette import VARIABLE, Cassette

FOLDER = "cassettes"
_PROPERTY = "stratagem cassette: lines that were not used"
_UNUSED = pytest.StashKey[dict[str, tuple[str, str]]]()
_FAILED = pytest.StashKey[set[str]]()


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Callable[..., Cassette]]:
    """Return what makes a cassette of this test: `cassette(model)`, or `cassette(model, "name")` for several.

    Further settings go to `Cassette`. The file is written at the end of the test, whether it passed or not.
    """
    made: list[Cassette] = []
    node: Any = request.node  # pyright: ignore[reportUnknownMemberType]
    item: pytest.Item = node

    def make(model: Model | str, name: str = "", **settings: Any) -> Cassette:
        one = Cassette(model, file_of(item, name), **settings)
        made.append(one)
        return one

    yield make
    for one in made:
        one.save()
        if one.mode == "replay" and one.unused:
            shown = f"{one.path}: line {', '.join(map(str, one.unused))}"
            item.user_properties.append((_PROPERTY, shown))


def file_of(item: pytest.Item, name: str = "") -> Path:
    """Return the file of a test's cassette; names that differ have files that differ."""
    inner = item.nodeid.split("::")[1:]
    whole = ".".join([*inner, *([name] if name else [])])
    plain = re.sub(r"[^\w.-]+", "-", whole.replace("]", "")).strip("-.")[:100]
    if plain != whole.replace("[", "-").replace("]", ""):
        plain += f"-{sha256(whole.encode(errors='replace')).hexdigest()[:6]}"
    return item.path.parent / FOLDER / item.path.stem / f"{plain}.jsonl"


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what is listed at the end."""
    config.stash[_UNUSED], config.stash[_FAILED] = {}, set()


class _Reports:
    """Gathers what the tests report, also those of other processes."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._config.stash[_FAILED].add(report.nodeid)
        if report.when == "teardown":
            for name, shown in report.user_properties:
                if name == _PROPERTY:
                    self._config.stash[_UNUSED][str(shown)] = (report.nodeid, str(shown))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen to the reports of tests."""
    session.config.pluginmanager.register(_Reports(session.config), "stratagem cassette reports")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List the lines of cassettes that tests which passed did not use."""
    failed = config.stash[_FAILED]
    shown: Iterable[str] = [line for nodeid, line in config.stash[_UNUSED].values() if nodeid not in failed]
    if shown:
        terminalreporter.section("cassettes: lines that were not used")
        for line in sorted(shown):
            terminalreporter.line(line)
        terminalreporter.line(f"{VARIABLE}=refresh asks the model for everything again, and drops them")
