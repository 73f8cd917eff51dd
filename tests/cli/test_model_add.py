"""`stratagem models add`, and where weights are shown. The fetching itself: tests/models/local/test_local_add.py."""

from pathlib import Path
from typing import Any

import pytest

from stratagem.models.local_weights import KNOWN


@pytest.fixture
def shelf(cli: Any, tmp_path: Path) -> Path:
    """A folder with a file in the place of the weights, which is taken for them."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    cli.env["STRATAGEM_MODELS"] = str(shelf)
    (shelf / KNOWN["smollm2"].file).write_bytes(b"weights")
    return shelf


@pytest.fixture
def genuine(monkeypatch: pytest.MonkeyPatch) -> str:
    sha256 = "9bb1c13a7a8b8a8d8dc80a1d45e7e0a4d4d0a0f2a5a7a0b4a1c4a9d8d0c1b2a3"
    monkeypatch.setattr("stratagem.models.local_add.sha256_of", lambda path: sha256)
    monkeypatch.setattr("stratagem.models.local_weights.sha256_of", lambda path: sha256)
    monkeypatch.setitem(KNOWN, "smollm2", KNOWN["smollm2"]._replace(sha256=sha256))
    return sha256


def test_what_is_there_is_said_to_be_there(cli: Any, valid: Any, shelf: Path, genuine: str) -> None:
    document = cli.json("models", "add", "smollm2")
    valid(document, "added")
    place = str(shelf / KNOWN["smollm2"].file)
    assert document["model"] == {
        "name": "smollm2", "file": place, "sha256": genuine, "fetched": False, "licence": "Apache-2.0"
    }  # fmt: skip
    result = cli("models", "add", "smollm2")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"is there already: {place} (Apache-2.0)\n")
    assert cli("models", "add", "smollm2", "--quiet").output == ""


def test_an_unknown_name_is_refused_with_those_that_there_are(cli: Any) -> None:
    result = cli("models", "add", "llama")
    assert result.exit_code == 2
    assert "there are no weights 'llama' that can be added" in result.stderr
    assert "There are: smollm2." in result.stderr


def test_doctor_says_whether_there_are_local_models(cli: Any, shelf: Path) -> None:
    checks = {check["name"]: check for check in cli.json("doctor")["checks"]}
    local = checks["local models"]
    assert local["state"] == "ok"
    assert local["message"].endswith(f"weights in {shelf}: local:smollm2 (0 MB)")
    assert not any("STRATAGEM_MODELS" in check["message"] for check in checks.values() if check["name"] == "settings")
    (shelf / KNOWN["smollm2"].file).unlink()
    checks = {check["name"]: check for check in cli.json("doctor")["checks"]}
    assert checks["local models"]["message"].endswith(f"no weights in {shelf}")


def test_a_run_without_the_weights_says_how_to_get_them(cli: Any, tmp_path: Path) -> None:
    cli.env["STRATAGEM_MODELS"] = str(tmp_path / "nothing")
    result = cli("run", "Hi.", "--model", "local:smollm2")
    assert result.exit_code == 2
    assert "the weights of 'smollm2' are not here" in result.stderr
    assert "`stratagem models add smollm2`" in result.stderr
    assert cli.json("runs")["runs"] == []


def test_a_word_that_is_no_verb_of_models_is_refused(cli: Any) -> None:
    assert cli("models", "ad").exit_code == 2
