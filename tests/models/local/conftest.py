"""What the tests of local models share: the mark `local`, and a server that is not started for each of them."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from stratagem.models.local_weights import KNOWN, folder

FOLDER = folder()  # before the tests take the settings of the user away
SMOLLM2 = FOLDER / KNOWN["smollm2"].file


def _lacking() -> str:
    if find_spec("xllamacpp") is None:
        return 'xllamacpp is not installed: pip install "stratagem[local]"'
    return "" if SMOLLM2.is_file() else f"its weights are not in {FOLDER}: stratagem models add smollm2"


@pytest.fixture(autouse=True)
def _with_weights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip what needs a real model where there is none; in continuous integration that is a failure."""
    if request.node.get_closest_marker("local") is None:
        return
    if why := _lacking():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the mark `local` must not skip here: {why}")
        pytest.skip(why)
    monkeypatch.setenv("STRATAGEM_MODELS", str(FOLDER))
    request.getfixturevalue("kept")


@pytest.fixture(scope="session")
def kept() -> Iterator[None]:
    """Keep one server of the weights running, as one of its users."""
    from stratagem.models.local_file import facts_of
    from stratagem.models.local_server import given_back, sizes, taken

    facts = facts_of(SMOLLM2)
    server = taken(SMOLLM2.resolve(), *sizes(facts.context, facts.token_bytes))
    yield
    given_back(server)
