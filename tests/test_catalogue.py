"""Every strategy and judge has its function, its documentation and its test, and reaches the world only through `run`."""

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from stratagem import judges, strategies
from stratagem.catalogue import entries, implementations, mirror
from stratagem.catalogue._docstring import ORDER, REQUIRED, arguments, sections
from stratagem.core import JudgeFunction, OperationFunction, Signature, StrategyFunction

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "stratagem"
LISTED = {
    **strategies.names(),
    **{
        info.name: f"stratagem.judges.{info.name}"
        for info in pkgutil.iter_modules(judges.__path__)
        if not info.name.startswith("_")
    },
}
MODULES = [importlib.import_module(module) for module in LISTED.values()]
STRATEGIES = [module for module in MODULES if module.__name__.startswith("stratagem.strategies.")]
each = pytest.mark.parametrize("module", MODULES, ids=lambda module: name_of(module))
each_strategy = pytest.mark.parametrize("module", STRATEGIES, ids=lambda module: name_of(module))

PURE = sorted(
    path
    for folder in ("strategies", "judges", "parts")
    for path in (SOURCES / folder).rglob("*.py")
    if path.stem != "__init__"
)
each_file = pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
BANNED = {
    "open", "exec", "eval", "compile", "print", "input", "breakpoint", "__import__", "globals", "locals", "vars",
    "setattr", "delattr", "id", "hash",  # the last two differ between processes
}  # fmt: skip
# What is not here: files, network, processes, threads, clocks, dice, and the interpreter's own inside.
STANDARD = {
    "bisect", "collections", "collections.abc", "dataclasses", "decimal", "enum", "fractions", "functools", "heapq",
    "itertools", "json", "math", "operator", "re", "statistics", "string", "textwrap", "typing", "unicodedata",
}  # fmt: skip
OURS = {"core", "errors", "parts", "judges", "strategies"}
BASELINES = {
    "best_of_n",
    "longer_chain",
}  # what others are compared with; the catalogue has no entry of its own for them
MANY = {"tree_of_thoughts": 7}  # its two searches share every one of them
TOO_BROAD = {"everything", "Exception", "BaseException", "StratagemError"}


def name_of(module: ModuleType) -> str:
    return module.__name__.rsplit(".", 1)[-1]


def signatures(module: ModuleType) -> Iterator[Signature]:
    return (value for value in vars(module).values() if isinstance(value, Signature))


@each
def test_the_file_defines_what_it_is_named_after(module: ModuleType) -> None:
    made = getattr(module, name_of(module))
    kind = StrategyFunction if module in STRATEGIES else JudgeFunction
    assert isinstance(made, kind)
    assert made.card.name == name_of(module)
    # A judge may be a part of what is published elsewhere.
    assert made.card.ids or kind is JudgeFunction or made.card.name in BASELINES
    assert made.card.paper
    assert set(made.card.ids) <= set(entries())


@each_strategy
def test_a_strategy_is_found_by_its_name(module: ModuleType) -> None:
    assert getattr(strategies, name_of(module)) is getattr(module, name_of(module))


def test_no_two_strategies_or_judges_have_one_name() -> None:
    judge_names = {name_of(module) for module in MODULES if module not in STRATEGIES}
    assert not judge_names & set(strategies.names())
    files = [path.stem for path in (SOURCES / "strategies").rglob("*.py") if not path.stem.startswith("_")]
    assert sorted(files) == sorted(strategies.names())


@each
def test_the_docstring_has_every_section_in_order_and_every_parameter(module: ModuleType) -> None:
    card = getattr(module, name_of(module)).card
    said = sections(card.doc)
    required = [section for section in REQUIRED if section != "Args" or card.defaults]
    assert said[""], "the first lines say what it does"
    assert [section for section in required if not said.get(section)] == []
    assert list(said)[1:] == [section for section in ORDER if section in said]
    described = [
        name for name in arguments(said.get("Args", "")) if name != "None"
    ]  # "None: ..." says that there is none
    assert described == list(card.defaults)
    assert len(card.defaults) <= MANY.get(card.name, 6)


@each
def test_parameters_are_strategies_then_judges_then_operations_then_the_rest(module: ModuleType) -> None:
    order = (StrategyFunction, JudgeFunction, OperationFunction)
    kinds = [
        next((place for place, kind in enumerate(order) if isinstance(default, kind)), len(order))
        for default in getattr(module, name_of(module)).card.defaults.values()
    ]
    assert kinds == sorted(kinds)


@each
def test_its_test_file_lists_defects_and_a_strategys_runs_the_conformance_checks(module: ModuleType) -> None:
    text = (ROOT / mirror(module.__name__)).read_text("utf-8")
    assert "\nDEFECTS = [" in text or "\nDEFECTS: " in text  # what `mutants.py` seeds beside the automatic ones
    if module in STRATEGIES:
        assert "\ntest_conforms = conformance(" in text


@each
def test_every_signature_of_the_file_has_an_instruction(module: ModuleType) -> None:
    assert [signature.name for signature in signatures(module) if not signature.instruction] == []


def test_signature_names_are_unique() -> None:
    names = [
        signature.name
        for module in MODULES
        for signature in signatures(module)
        if signature.name.startswith(f"{name_of(module)}.")
    ]
    assert len(names) == len(set(names))


def test_every_implemented_id_is_in_the_catalogue_and_shown_by_a_test() -> None:
    made = implementations()
    assert {number for one in made for number in one["ids"]} <= set(entries())
    assert [one["name"] for one in made if set(one["tests"]) != set(one["ids"])] == []


def test_every_feature_is_in_the_module_that_the_table_names() -> None:
    for one in implementations():
        assert inspect.getdoc(importlib.import_module(one["module"])), one["module"]


def opens_a_budget(item: ast.withitem) -> bool:
    """Say whether it is a `run.scope(name, budget)`: who opened that may catch its refusal."""
    call = item.context_expr
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "scope"
        and len(call.args) + len(call.keywords) > 1
    )


def breaches(text: str) -> list[str]:
    """Return the line and the reason of everything that a strategy, judge or part must not do."""
    found: list[str] = []
    tree = ast.parse(text)
    allowed = {
        id(handler)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        and len(node.body) == 1
        and isinstance(node.body[0], ast.AsyncWith)
        and len(node.body[0].items) == 1
        and opens_a_budget(node.body[0].items[0])
        for handler in node.handlers
    }
    for node in ast.walk(tree):
        found += [f"line {node.lineno}: {reason}" for reason in _breaches_of(node, allowed)]  # type: ignore[attr-defined]
    return found


def _breaches_of(node: ast.AST, allowed: set[int]) -> Iterator[str]:
    match node:
        case ast.Name(id=name) if name in BANNED:
            yield name
        case ast.Import(names=names):
            yield from (f"import {alias.name}" for alias in names if alias.name not in STANDARD)
        case ast.ImportFrom(module=source, level=level):
            ours = source is not None and source.startswith("stratagem.") and source.split(".")[1] in OURS
            if level or not (ours or source in STANDARD):
                yield f"from {'.' * level}{source or ''} import"
        case ast.Attribute(attr=attribute) if attribute.startswith("_"):
            yield f".{attribute}"
        case ast.Attribute(attr=("strand" | "enter" | "journaled") as attribute):
            yield f".{attribute} is for the core only"
        case ast.ExceptHandler(type=kind):
            caught = {ast.unparse(part) for part in kind.elts} if isinstance(kind, ast.Tuple) else set[str]()
            caught |= {ast.unparse(kind) if kind else "everything"}
            yield from (f"catches {name}" for name in sorted(caught & TOO_BROAD))
            if "BudgetExhausted" in caught and id(node) not in allowed:
                yield "catches BudgetExhausted of a limit that is not its own"
        case ast.Global() | ast.Nonlocal():
            yield "state outlives the call"
        case _:
            pass


@each_file
def test_strategies_judges_and_parts_reach_the_world_only_through_run(path: Path) -> None:
    assert breaches(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print(1)", "print"),
        ("read = open", "open"),
        ("import time", "import time"),
        ("import json, random", "import random"),
        ("from asyncio import gather", "from asyncio import"),
        ("from os.path import join", "from os.path import"),
        ("from stratagem.models import open_model", "from stratagem.models import"),
        ("from . import react", "from . import"),
        ("run._strand", "._strand"),
        ("run.strand", ".strand is for the core only"),
        ("try: x\nexcept Exception: y", "catches Exception"),
        ("try: x\nexcept (ValueError, StratagemError): y", "catches StratagemError"),
        ("try: x\nexcept: y", "catches everything"),
        ("try: x\nexcept BudgetExhausted: y", "catches BudgetExhausted of a limit that is not its own"),
        ("try: x\nexcept (NoAnswer, BudgetExhausted): y", "catches BudgetExhausted of a limit that is not its own"),
        ("def f():\n global x", "state outlives the call"),
    ],
)
def test_a_breach_is_noticed(text: str, reason: str) -> None:
    assert [breach.split(": ", 1)[1] for breach in breaches(text)] == [reason]


def test_who_opened_a_limit_may_catch_its_refusal() -> None:
    text = "async def f(run):\n try:\n  async with run.scope('a', b): x\n except BudgetExhausted: y"
    assert breaches(text) == []
    assert breaches(text.replace("'a', b", "'a'")) != []


def test_the_allow_list_is_the_standard_library() -> None:
    assert {name.split(".")[0] for name in STANDARD} <= sys.stdlib_module_names
