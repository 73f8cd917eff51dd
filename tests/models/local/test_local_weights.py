"""Which weights a spec names, and that two files of one name are told apart."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from stratagem.errors import UsageError
from stratagem.models import catalogue, open_model
from stratagem.models.local_weights import KNOWN, data_folder, folder, found, sha256_of
from tests.models.local._gguf import written

HERE = Path(__file__)


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights, and a working folder beside it."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("STRATAGEM_MODELS", str(tmp_path / "shelf"))
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_are_kept_in_a_folder_that_all_projects_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STRATAGEM_MODELS")
    monkeypatch.setenv("STRATAGEM_HOME", str(tmp_path / "project"))
    assert folder() == data_folder() / "models"
    monkeypatch.setenv("STRATAGEM_MODELS", "~/weights")
    assert folder() == Path.home() / "weights"


@pytest.mark.parametrize("name", ["m.gguf", "./m.gguf", "{work}/m.gguf", "../work/m.gguf"])
def test_a_file_is_named_by_its_name_and_what_it_holds_wherever_it_lies(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "work" / "m.gguf")
    weights = found(name.format(work=path.parent))
    assert (weights.path, weights.sha256, weights.lacks) == (path, digest(path), None)
    assert weights.spec == f"local:m.gguf@{digest(path)[:16]}"


def test_a_bare_name_is_looked_for_here_and_then_in_the_folder_of_weights(shelf: Path, tmp_path: Path) -> None:
    there = written(shelf / "m.gguf", llama__context_length=512)
    assert found("m.gguf").path == there
    here = written(tmp_path / "work" / "m.gguf")
    assert found("m.gguf").path == here
    assert found(f"m.gguf@{digest(there)[:16]}").path == there


def test_a_recorded_spec_finds_the_file_that_was_opened_by_a_path(tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    spec = open_model(f"local:{written(away / 'm.gguf')}").spec
    assert open_model(spec).spec == spec
    assert found(spec.partition(":")[2]).path == away / "m.gguf"


def test_another_file_of_the_same_name_is_refused_before_the_run_begins(tmp_path: Path) -> None:
    path = written(tmp_path / "work" / "m.gguf")
    spec = open_model("local:m.gguf").spec
    written(path, llama__context_length=512)
    model: Any = open_model(spec)
    assert model.spec == spec  # so what is recorded can still be read
    assert "are not here: there is a file 'm.gguf' with other content" in str(model.lacks)
    path.unlink()
    assert "there is no such file" in str(getattr(open_model(spec), "lacks", ""))


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "work" / "m.gguf")
    first = sha256_of(path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert sha256_of(path) == first
    monkeypatch.undo()
    written(path, llama__context_length=512)
    os.utime(path, ns=(1, 1))
    assert sha256_of(path) == digest(path) != first


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"m.gguf": [1, 2, 3, "x"]}', b'{"m.gguf": null}', b"\xff"])
def test_what_is_remembered_of_files_may_be_damaged(shelf: Path, tmp_path: Path, damage: bytes) -> None:
    (shelf / "known.json").write_bytes(damage)
    path = written(tmp_path / "work" / "m.gguf")
    assert sha256_of(path) == digest(path)


def test_nothing_need_be_remembered(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATAGEM_MODELS", str(HERE / "no folder"))
    path = written(tmp_path / "work" / "m.gguf")
    assert sha256_of(path) == digest(path)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("smolm2", "Did you mean `local:smollm2`?"),
        ("nothing/like.it", "Write `local:smollm2`, or `local:PATH.gguf`."),
        ("own.ggu", "Did you mean `local:own.gguf`?"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest_name(shelf: Path, name: str, remedy: str) -> None:
    written(shelf / "own.gguf")
    with pytest.raises(UsageError, match="there are no weights") as caught:
        open_model(f"local:{name}")
    assert caught.value.remedy == remedy


@pytest.mark.parametrize("spec", ["local", "local:"])
def test_a_local_model_needs_a_name(spec: str) -> None:
    with pytest.raises(UsageError, match="the models `local:` have names"):
        open_model(spec)


def test_weights_that_can_be_added_are_known_before_they_are_here() -> None:
    known = KNOWN["smollm2"]
    model: Any = open_model("local:smollm2")
    assert model.spec == f"local:smollm2@{known.sha256[:16]}"
    assert str(model.lacks) == "the weights of 'smollm2' are not here"
    assert model.lacks.remedy == "Fetch them (98 MB): `stratagem models add smollm2`."


def test_a_file_that_only_has_the_name_of_known_weights_is_not_used(shelf: Path) -> None:
    written(shelf / KNOWN["smollm2"].file)
    assert "is not SmolLM2-135M-Instruct" in str(getattr(open_model("local:smollm2"), "lacks", ""))


def test_other_weights_than_this_version_knows_are_refused() -> None:
    model: Any = open_model("local:smollm2@0123456789abcdef")
    assert model.spec == "local:smollm2@0123456789abcdef"
    assert "knows other weights as 'smollm2'" in str(model.lacks)


def test_a_model_says_what_it_lacks_if_llama_cpp_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "xllamacpp" else real(name, *rest))
    written(tmp_path / "work" / "m.gguf")
    lacks: Any = getattr(open_model("local:m.gguf"), "lacks", None)
    assert (str(lacks), lacks.remedy) == (
        "models `local:` need the package xllamacpp, which is llama.cpp", 'Install it: pip install "stratagem[local]"',
    )  # fmt: skip
    rows = {row["name"]: row for row in catalogue()}
    assert rows["local:PATH.gguf"]["available"] is False
    assert rows["local:PATH.gguf"]["needs"] == 'a file, pip install "stratagem[local]"'


def test_the_list_says_which_weights_are_here(shelf: Path) -> None:
    rows = {row["name"]: row for row in catalogue() if row["name"].startswith("local:")}
    assert list(rows) == ["local:smollm2", "local:PATH.gguf"]
    assert rows["local:smollm2"]["available"] is False
    assert rows["local:smollm2"]["needs"].startswith("its weights: stratagem models add smollm2")
    written(shelf / "own.gguf")
    written(shelf / KNOWN["smollm2"].file)
    rows = {row["name"]: row for row in catalogue() if row["name"].startswith("local:")}
    assert list(rows) == ["local:smollm2", "local:own.gguf", "local:PATH.gguf"]
    assert rows["local:smollm2"]["needs"].startswith("its weights, which are here")
