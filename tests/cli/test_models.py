"""`stratagem models`: what `--model` can name."""

import re
from typing import Any

import pytest


def test_the_two_models_of_this_version_are_listed(cli: Any, valid: Any) -> None:
    document = cli.json("models")
    valid(document, "models")
    assert [row["name"] for row in document["models"][:2]] == ["offline", "script:FILE"]
    rows = [re.split(" {2,}", line) for line in cli("models").stdout.splitlines()]
    assert [row[:2] for row in rows[:2]] == [["✓", "offline"], ["✓", "script:FILE"]]


def test_what_cannot_be_opened_is_marked(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"name": "far:NAME", "available": False, "needs": "the package far", "about": "cannot be loaded"}
    monkeypatch.setattr("stratagem.models.catalogue", lambda sources, routes: [row])
    assert cli("models").stdout == "✗  far:NAME  needs the package far  cannot be loaded\n"
