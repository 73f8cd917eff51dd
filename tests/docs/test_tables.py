"""Tables of the README and the manual that list what the code has: they list exactly that."""

import inspect
import json
import re
import runpy
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import stratagem
from stratagem import strategies
from stratagem.cli._ends import JOURNAL, MODEL, OF_STOP, PIPE_CLOSED, STRANGE, USAGE
from stratagem.core import Run, Stop, Strategy
from stratagem.core._events import TYPES
from stratagem.core._tool import EFFECTS
from stratagem.models.hosted_table import HOSTED
from stratagem.tasks._own import opened
from stratagem.tools import builtin

ROOT = Path(__file__).resolve().parents[2]


def rows(page: str, header: str) -> list[list[str]]:
    """Return the cells of the table that begins with a header line."""
    below = (ROOT / page).read_text("utf-8").partition(f"\n{header}\n")[2]
    assert below, f"{page} has no table {header!r}"
    lines = below.partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_the_readme_lists_strategies_with_their_ids_and_their_bounds() -> None:
    listed = {row[0].strip("` "): row for row in rows("README.md", "| strategy | implements | calls, at most | from |")}
    assert len(listed) >= 8
    assert set(listed) <= set(strategies.names())  # a new strategy need not edit the README
    for name, row in listed.items():
        made: Strategy = getattr(strategies, name)
        assert row[1].split(",")[0] == " ".join(made.card.ids)
        formula = f"`{made.card.calls}`"
        assert row[2] in (formula, f"{formula} ({made.max_calls})"), name
        assert "(" in row[2].rpartition("`")[2] or made.card.calls.isdigit()


def test_the_manual_says_which_replies_to_a_task_of_ones_own_are_right(tmp_path: Path) -> None:
    table = rows("docs/manual/comparing.md", "| question | answer in the file | right | wrong |")
    counted = [0, 0]
    for question, key, *replies in table:
        path = tmp_path / "own.jsonl"
        path.write_text(json.dumps({"question": question, "answer": key}), "utf-8")
        suite = opened(str(path))
        for right, cell in zip((1, 0), replies, strict=True):
            for reply in re.findall(r"`([^`]+)`", cell):
                counted[right] += 1
                assert suite.score(question, reply.replace("\\n", "\n")).right == right, (question, reply)
    assert counted == [26, 26]


def test_the_manual_lists_every_exit_code() -> None:
    codes = {int(row[0]) for row in rows("docs/manual.md", "| exit code | meaning |")}
    assert codes == {*OF_STOP.values(), USAGE, MODEL, JOURNAL, STRANGE, PIPE_CLOSED}


def test_the_manual_lists_what_open_takes() -> None:
    listed = [row[0].strip("`") for row in rows("docs/manual/asking.md", "| keyword | default | meaning |")]
    assert listed == list(inspect.signature(stratagem.open).parameters)


def test_the_manual_lists_the_attributes_of_an_answer_and_its_ends() -> None:
    listed = {row[0].strip("`") for row in rows("docs/manual/answers.md", "| attribute | meaning |")}
    assert listed == {"ok", *(field.name for field in fields(stratagem.Answer))}
    assert [row[0].strip("`") for row in rows("docs/manual/answers.md", "| `stop` | meaning |")] == [*get_args(Stop)]


def test_the_manual_lists_every_verb_of_a_run() -> None:
    written = " ".join(row[0] for row in rows("docs/manual/own-strategies.md", "| verb | what it does |"))
    inner = {"branch", "closed", "enter", "opened", "start", "strand", "options"}  # of the core only
    assert set(re.findall(r"run\.(\w+)", written)) == {name for name in dir(Run) if name[0] != "_"} - inner


def test_the_manual_lists_every_event() -> None:
    listed = rows("docs/manual/events.md", "| type | when | `data` |")
    assert {name for row in listed for name in re.findall(r"`([a-z.]+)`", row[0])} == set(TYPES)


def test_the_manual_lists_every_limit_effect_and_built_in_tool() -> None:
    def named(page: str, header: str) -> list[str]:
        return [name for row in rows(page, header) for name in re.findall(r"`(\w+)`", row[0])]

    assert named("docs/manual/budgets.md", "| limit | counts |") == [*stratagem.Budget._fields]
    effects = named("docs/manual/tools.md", "| `effect` | the tool | `repeat`, if not said |")
    assert sorted(effects) == sorted(EFFECTS)
    assert named("docs/manual/tools.md", "| tool | does |") == [*builtin.names()]


def test_the_manual_says_what_each_model_honours_as_the_code_does() -> None:
    assert runpy.run_path(str(ROOT / "scripts/models_table.py"))["main"](["--check"]) == 0
    listed = {row[0].strip("`:") for row in rows("docs/manual/models.md", "| spec | key | address |")}
    assert {name.removesuffix(":NAME") for name in listed} == set(HOSTED)


def test_every_page_is_reached_from_the_navigation() -> None:
    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        inner: list[Any] = list(entry.values() if isinstance(entry, dict) else entry)
        return [page for one in inner for page in pages(one)]

    site = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    shown = pages(site["nav"])
    docs = ROOT / "docs"
    written = {str(path.relative_to(docs)) for path in [*docs.glob("*.md"), *docs.glob("manual/*.md")]}
    # The pages of the catalogue and the decisions are listed by their own index.
    assert set(shown) == written | {"catalogue/index.md", "decisions/index.md", "data/SOURCE.md"}
    assert len(shown) == len(set(shown))
