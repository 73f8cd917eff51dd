import importlib.metadata
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stratagem.models
from stratagem.errors import CapabilityError, UsageError
from stratagem.models import catalogue, open_model
from stratagem.models.chain import Chain
from stratagem.models.hosted_table import HOSTED
from stratagem.models.offline import OfflineModel
from stratagem.models.script import ScriptModel
from stratagem.models.table import ROWS

LOCAL = ("local:smollm2", "local:PATH.gguf")
BUILT_IN = (
    "offline", "script:FILE", "replay:RUN", "sim:skill=0.7,...", *LOCAL,
    *(f"{prefix}:NAME" for prefix in (*ROWS, *HOSTED)),
)  # fmt: skip
THERE = str(Path(stratagem.models.__file__).parents[2])


def cloud(name: str, *, home: Path | None = None) -> Any:
    """Clouds that look like answers.

    More about them.
    """
    return SimpleNamespace(spec=f"cloud:{name}", home=home)


def broken(name: str, *, home: Path | None = None) -> Any:
    raise UsageError(f"cloud {name} is not configured")


def installed(monkeypatch: pytest.MonkeyPatch, **entries: str) -> None:
    """Pretend that packages bring these entry points."""
    made = [EntryPoint(name, value, "stratagem.models") for name, value in entries.items()]

    def found(*, group: str) -> list[EntryPoint]:
        assert group == "stratagem.models"
        return made

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    monkeypatch.setenv("STRATAGEM_MODELS", THERE)  # where no weights are
    monkeypatch.setitem(sys.modules, "their_models", SimpleNamespace(cloud=cloud, broken=broken))  # type: ignore[arg-type]


def test_offline_is_opened_by_its_name() -> None:
    model = open_model("offline")
    assert isinstance(model, OfflineModel)
    assert model.spec == "offline"


def test_a_script_is_opened_by_its_file_and_keeps_its_spec(tmp_path: Path) -> None:
    file = tmp_path / "with|bar:and colon.jsonl"
    file.write_text('{"signature": "a", "reply": "x"}')
    model = open_model(f"script:{file}")
    assert isinstance(model, ScriptModel)
    assert model.spec == f"script:{file}"


async def test_a_script_may_be_strict(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"signature": "a", "reply": "x"}')
    await open_model(f"script:{tmp_path}/s.jsonl").aclose()
    with pytest.raises(UsageError, match="not used up: line 1"):
        await open_model(f"script:{tmp_path}/s.jsonl", strict=True).aclose()


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ("ofline", "Did you mean `offline`?"),
        (" Offline", "Did you mean `offline`?"),
        ("scipt:a.jsonl", "Did you mean `script:FILE`?"),
        ("opneai:gpt-5", "Did you mean `openai:NAME`?"),
        ("antropic:x", "Did you mean `anthropic:NAME`?"),
        ("smi:", "Did you mean `sim:skill=0.7`?"),
        ("", "`stratagem models` lists what can be opened here."),
        ("zzzzzz", "`stratagem models` lists what can be opened here."),
    ],
)
def test_an_unknown_model_is_a_usage_error_that_suggests_the_nearest(spec: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_model(spec)
    assert str(caught.value) == f"there is no model {spec!r}; models are `offline`, `script:FILE` or `PROVIDER:NAME`"
    assert caught.value.remedy == remedy


def test_a_chain_is_opened_model_by_model(tmp_path: Path) -> None:
    script = tmp_path / "a.jsonl"
    script.write_text("")
    chain = open_model(f"script:{script}| offline")
    assert isinstance(chain, Chain)
    assert (chain.spec, [model.spec for model in chain.models]) == (
        f"script:{script}|offline", [f"script:{script}", "offline"]
    )  # fmt: skip
    for wrong in ("offline|", "|offline", "offline|offline", "offline|ofline", "offline|opnai:m"):
        with pytest.raises(UsageError):
            open_model(wrong)
    with pytest.raises(UsageError, match=r"an address is that of one model, and 'vllm:a\|vllm:b' names 2"):
        open_model("vllm:a|vllm:b", base_url="http://127.0.0.1:1/v1")


def test_a_model_of_a_chain_that_cannot_be_opened_here_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models._installed", lambda: False)
    chain = open_model("vllm:a|offline")
    assert isinstance(chain, Chain)
    assert [model.spec for model in chain.models] == ["offline"]
    assert chain.spec == "vllm:a|offline"
    with pytest.raises(CapabilityError, match="need the package aiohttp"):
        open_model("vllm:a|vllm:b")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("script:", "needs a file"),
        ("script", "needs a file"),
        ("offline:x", "takes nothing after its name, got 'offline:x'"),
    ],
)
def test_a_name_that_is_half_right_says_what_is_missing(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_model(spec)


def test_a_package_brings_models_and_gets_name_and_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed(monkeypatch, cloud="their_models:cloud", zephyr="their_models:cloud")
    made: Any = open_model("cloud:nine:b", home=tmp_path)
    assert (made.spec, made.home) == ("cloud:nine:b", tmp_path)
    assert open_model("zephyr:x").spec == "cloud:x"  # what is not built in may be brought
    with pytest.raises(UsageError) as caught:
        open_model("clowd:nine")
    assert caught.value.remedy == "Did you mean `cloud:NAME`?"


def test_a_package_cannot_take_the_place_of_what_is_built_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ("offline", "script", "openai", "anthropic")
    installed(monkeypatch, **dict.fromkeys(names, "their_models:cloud"))
    (tmp_path / "s.jsonl").write_text("")
    assert isinstance(open_model("offline"), OfflineModel)
    assert isinstance(open_model(f"script:{tmp_path / 's.jsonl'}"), ScriptModel)
    assert (open_model("openai:x").spec, open_model("anthropic:x").spec) == ("openai:x", "anthropic:x")
    assert [row["name"] for row in catalogue()] == [*BUILT_IN]


def test_a_package_that_cannot_be_loaded_is_a_missing_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, gone="no_such_module_here:model", cloud="their_models:nothing")
    with pytest.raises(CapabilityError, match=r"models `gone:` cannot be loaded: ModuleNotFoundError: No module named"):
        open_model("gone:x")
    with pytest.raises(CapabilityError, match=r"models `cloud:` cannot be loaded: AttributeError"):
        open_model("cloud:x")


def test_what_a_package_refuses_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, cloud="their_models:broken")
    with pytest.raises(UsageError, match=r"^cloud nine is not configured$"):
        open_model("cloud:nine")


def test_the_catalogue_lists_what_can_be_opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, gone="no_such_module_here:model", cloud="their_models:cloud")
    rows = catalogue()
    own = len(BUILT_IN)
    assert [row["name"] for row in rows[:own]] == [*BUILT_IN]
    assert [(row["name"], row["available"]) for row in rows[own:]] == [("cloud:NAME", True), ("gone:NAME", False)]
    assert all({"name", "available", "needs", "about"} <= set(row) for row in rows)
    assert set(rows[own - 1]) == {"name", "available", "needs", "about", "installed", "configured", "key"}
    assert rows[own]["about"] == "Clouds that look like answers."
    assert rows[own + 1]["about"].startswith("models `gone:` cannot be loaded")
    assert all(text and "\n" not in text for row in rows for text in (row["needs"], row["about"]))


def test_a_package_without_a_docstring_has_no_line_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, cloud="their_models:broken")
    assert catalogue()[len(BUILT_IN)]["about"] == ""


def test_opening_a_script_loads_no_other_model_and_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text("")
    program = (
        "import sys; from stratagem.models import open_model; "
        f"open_model({f'script:{tmp_path}/s.jsonl'!r}); "
        "print([m for m in ('stratagem.models.offline', 'importlib.metadata', 'difflib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": THERE}
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpt-4o-mini", "openai:gpt-4o-mini"),
        ("o3", "openai:o3"),
        ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"),
        ("gemini-2.5-flash", "google:gemini-2.5-flash"),
    ],
)
def test_a_name_without_its_provider_is_completed(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_model(name)
    assert str(caught.value) == f"there is no model {name!r}; a model is written with its provider"
    assert caught.value.remedy == f"Did you mean `{meant}`?"
