"""Everything lies where the next reader looks for it."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

import stratagem

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "stratagem"
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FAMILIES = {
    "autonomy", "basic", "collaboration", "experience", "planning", "reflection", "retrieval", "sampling", "search",
    "tool_use",
}  # fmt: skip
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
FRAGMENT = re.compile(r"[a-z0-9-]+\.(feature|fix|doc|break)\.md")
RECORD = re.compile(r"\d{4}-\d{2}-\d{2}-[a-z0-9-]+\.md")


def contract(kind: str, name: str) -> dict[str, list[str]]:
    contracts = CONFIG["tool"]["importlinter"]["contracts"]
    return next(one for one in contracts if one["type"] == kind and one["name"].startswith(name))


def folders(path: Path) -> set[str]:
    return {inner.name for inner in path.iterdir() if (inner / "__init__.py").exists()}


def test_every_family_is_a_package_and_stands_in_the_import_contract() -> None:
    assert folders(SOURCES / "strategies") == FAMILIES
    layers = contract("layers", "Strategy families")["layers"]
    assert {name for layer in layers for name in layer.split(" | ")} == FAMILIES


def test_every_package_but_models_and_server_is_kept_from_the_network() -> None:
    sources = contract("forbidden", "Only models")["source_modules"]
    modules = {path.stem for path in SOURCES.glob("*.py") if not path.stem.startswith("_")}
    assert {name.removeprefix("stratagem.") for name in sources} == (folders(SOURCES) | modules) - {"models", "server"}


def test_every_package_says_what_it_is() -> None:
    silent = [
        path.parent.name
        for path in SOURCES.rglob("__init__.py")
        if not path.read_text("utf-8").startswith(('"""', "'''"))
    ]
    assert silent == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    names = {path.stem.strip("_") for folder in ("src", "tests", "scripts") for path in (ROOT / folder).rglob("*.py")}
    assert names & VAGUE == set()


def test_tests_lie_where_their_subject_does() -> None:
    top = {path.name for path in (ROOT / "tests").glob("*/") if any(path.rglob("test_*.py"))}
    assert top <= folders(SOURCES) | {"benchmarks", "docs", "faults", "scripts"}


def test_public_names_are_those_of_the_manual() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(stratagem.__all__)


def test_every_public_name_exists_and_is_documented() -> None:
    values = {name: getattr(stratagem, name) for name in stratagem.__all__}
    made = [name for name, value in values.items() if inspect.isclass(value) or inspect.isroutine(value)]
    assert [name for name in made if not inspect.getdoc(values[name])] == []


def test_a_misspelt_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="opn"):
        getattr(stratagem, "opn")  # noqa: B009 -- the type checker knows that it does not exist


def test_news_and_decisions_have_names_that_can_be_sorted() -> None:
    fragments = [path.name for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    assert [name for name in fragments if not FRAGMENT.fullmatch(name)] == []
    records = [
        path.name for path in (ROOT / "docs" / "decisions").iterdir() if path.name not in ("index.md", "template.md")
    ]
    assert [name for name in records if not RECORD.fullmatch(name)] == []


def test_the_package_needs_at_most_five_others() -> None:
    assert len(CONFIG["project"]["dependencies"]) <= 5


def test_the_site_is_configured_with_what_its_tool_knows() -> None:
    # The tool ignores unknown plugins in silence, so the list is held here.
    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    assert site.get("plugins", {}) == {}
    assert site["theme"]["font"] is False  # else every page loads fonts from another server
