"""`compare`: run strategies on the same items under the same budget, and report."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stratagem.core import Budget, Strategy
from stratagem.errors import CapabilityError, UsageError
from stratagem.lab import _given, _plan, _scan
from stratagem.lab._checked import LATE, blamed, checked, scored
from stratagem.lab._constant import best_constant
from stratagem.lab._crew import ENDED, NOT_RUN, Crew, Halt, last_run, left_out, refuse_inside
from stratagem.lab._folder import Folder
from stratagem.lab._halts import explained
from stratagem.lab._looking import files_of
from stratagem.lab._plan import Cell, Contestant, Wanted
from stratagem.lab._report import Facts, Report, made_with, with_parts
from stratagem.lab._suites import check_apart, full_spec, source_of, suite_of
from stratagem.lab._text import counted
from stratagem.tasks import Score
from stratagem.tasks._own import OwnSuite
from stratagem.tasks._suite import EXAMPLES

CHUNK = 10  # items of a job: small enough that no process waits long for another at the end
WIDTH = 8  # items at once in one process, with models that are waited for
MOST_ITEMS, MOST_PROCESSES, MOST_WIDTH = 100_000, 256, 1_000
LOCAL_WIDTH = 2  # likewise where the model computes here: what waits for it would be counted as its time


class Progress(NamedTuple):
    """How far a comparison is: answers that are there, that are wanted, and that were there before; seconds since it began.

    `ended` says in words, once for each row, that a strategy did not give control back.
    """

    done: int
    wanted: int
    found: int
    seconds: float
    ended: str = ""


Listener = Callable[[Progress], None]
Limits = str | Budget | Mapping[str, float | Sequence[float]] | None


def compare(
    task: str | Path,
    strategies: Iterable[Strategy | str] | Strategy | str,
    *,
    model: str | Sequence[str] = "sim:",
    budget: Limits = "",
    items: int | None = None,
    seed: int | str = 0,
    level: int = 1,
    examples: int = _plan.EXAMPLES,
    max_tokens: int | None = None,
    out: str | Path | None = None,
    across_capabilities: bool = False,
    baselines: bool = True,
    withheld: bool = False,
    processes: int | None = None,
    width: int | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    prices: Mapping[str, Any] | None = None,
    on_progress: Listener | None = None,
) -> Report:
    """Compare strategies on the same items under the same enforced budget.

    Retries, replies that cannot be read and judges are billed; nothing is repaired, and nothing that one item paid for
    serves another. Strategies run in other processes, which get questions and never keys.

    Args:
        task: name of a suite, a file of yours with a question and an answer in each row (JSON lines or CSV), or
            `FILE.py:NAME`, a suite of yours.
        strategies: one, several, or one text of specs with commas between them; they must have a name by which they are
            found.
        model: spec, or several.
        budget: limits of each item, as a text, a `Budget` or a mapping; one of them may be a list, such as
            `tokens=2000/8000/32000` or `{"tokens": [2000, 8000, 32000]}`.
        items: how many; 100 if left out, of a file all.
        seed: of the items and of all dice: a number from 0 up, or a text.
        level: of difficulty.
        examples: solved examples of the training split that a task carries.
        max_tokens: of each reply; what the model may write and the budget pays for, if left out.
        out: folder that keeps answers; a comparison that was stopped goes on from there.
        across_capabilities: compare strategies that use different truth, and say so in the title.
        baselines: whether self-consistency, best-of-n and a longer chain are compared as well.
        withheld: the seed is a secret, of at least 16 bytes: neither it nor a question is in the report.
        processes: one for each core if left out, and one alone where a model computes on this machine.
        width: items at once in each process; if left out 8, 2 where a model computes on this machine, and with simulated
            models always 1.
        base_url: where the OpenAI-compatible server of the models is.
        api_key_env: environment variable with the key for that address.
        prices: of models by spec, in USD per million tokens, as `stratagem.open` takes them. What a provider's cache knew
            is paid like any other prompt, since it depends on who asked before.
        on_progress: called after every answer.

    Returns:
        The report.

    Raises:
        UsageError: an unknown task, strategy, model or limit; strategies that use different truth; a folder with another
            comparison in it.
        CapabilityError: a package is missing, or a model lacks what is needed.
        ModelError: a model failed. What is in `out` stays.
    """
    refuse_inside()
    _check_packages()
    _given.flags(across_capabilities=across_capabilities, baselines=baselines, withheld=withheld)
    kept, processes, width = _how(out, processes, width, on_progress)
    task = _given.task_given(task)
    wanted = _wanted(
        task, strategies, model, budget, items, seed, level, examples, max_tokens, prices, across=across_capabilities,
        with_baselines=baselines, published=not withheld,
    )  # fmt: skip
    _check_address(wanted.models, base_url, api_key_env)
    made = [_plan.checked_strategy(one) for one in wanted.strategies]
    kinds = _plan.needs_of(made, across=across_capabilities)
    _check_truth(wanted, kinds)
    folder = Folder(kept)
    began = time.monotonic()
    setup = {
        "task": wanted.task, "blind": wanted.blind, "examples": wanted.examples, "max_tokens": max_tokens, "base_url": base_url, "api_key_env": api_key_env,
        "prices": wanted.prices, "withheld": not wanted.published,
    }  # fmt: skip
    try:
        identity = {**wanted.cost(), "sources": {spec: _source(spec) for spec in wanted.strategies}}
        known = folder.begin(identity)
        here = any(one.partition(":")[0] == "local" for model in wanted.models for one in model.split("|"))
        size = max(1, processes or (1 if here else os.cpu_count()) or 1)
        with Crew(setup, size) as crew:
            pilot = known["pilot"] if known else _pilot(crew, wanted, folder.path)
            if not known:
                folder.plan({"wanted": identity, "pilot": pilot, "made_with": made_with()})
            contestants = [
                _plan.contestant(spec, (spec,) * len(wanted.budgets)) for spec in wanted.strategies
            ] + _plan.baselines(wanted, kinds, pilot)
            work = _Work(
                wanted, contestants, folder, crew, width or (LOCAL_WIDTH if here else WIDTH), on_progress, began
            )
            work.perform()
        return _report(wanted, contestants, pilot, work, kinds, time.monotonic() - began)
    finally:
        folder.close()


def _check_packages() -> None:
    from importlib.util import find_spec

    for name in ("numpy", "scipy"):
        if find_spec(name) is None:
            raise CapabilityError(f"comparisons need the package {name}", remedy='pip install "stratagem[lab]"')


def _check_address(models: Sequence[str], base_url: str | None, api_key_env: str | None) -> None:
    if base_url or api_key_env:
        from stratagem.models import check_address
        from stratagem.models.routes import check_variable

        check_address(models, "base_url" if base_url else "api_key_env")
        check_variable(api_key_env, "api_key_env")


def _how(
    out: Any, processes: Any, width: Any, on_progress: Any
) -> tuple[Path | None, int | None, int | None]:  # fmt: skip
    """Check what says how a comparison is made, and not what it compares."""
    if on_progress is not None and not callable(on_progress):
        raise UsageError(f"on_progress is a function of one `Progress`, got {on_progress!r}", remedy="Leave it out.")
    return (
        _given.folder_given(out),
        None if processes is None else _given.whole("processes", processes, 1, MOST_PROCESSES),
        None if width is None else _given.whole("width", width, 1, MOST_WIDTH),
    )


def _wanted(
    task: str, strategies: Iterable[Strategy | str] | Strategy | str, model: str | Sequence[str], budget: Limits, items: int | None,
    seed: int | str, level: int, examples: int, max_tokens: int | None, prices: Any, *, across: bool, with_baselines: bool, published: bool,
) -> Wanted:  # fmt: skip
    """Check what the caller asks for, before anything is started."""
    seed = _given.seed_given(seed, withheld=not published)
    examples = _given.whole("examples", examples, 0, EXAMPLES)
    items, max_tokens = (
        None if one is None else _given.whole(name, one, 1, most)
        for name, one, most in (("items", items, MOST_ITEMS), ("max_tokens", max_tokens, None))
    )
    specs = _given.strategies_given(strategies)
    if not specs:
        raise UsageError("there is no strategy to compare", remedy="Name at least one.")
    with _given.advised(_given.OF_STRATEGIES):
        names = [one.strip() if isinstance(one, str) else _plan.checked_strategy(one)[0] for one in specs]
        _check_once(names)
    with _given.advised(_given.OF_MODELS):
        models = [_model(one) for one in _given.models_given(model)]
    twice = next((one for at, one in enumerate(models) if one in models[:at]), None)
    if twice is not None:
        raise UsageError(f"the model {twice!r} is there twice", remedy="Name each model once.")
    with _given.advised(_given.LIMITS):
        budgets = _plan.budgets_of(_given.budget_given(budget))
    with _given.advised(_given.OF_FILES):
        suite = suite_of(task)
    check_apart(task, names)
    level = _plan.level_of(suite, level)
    with blamed(task, suite, shown=published):
        drawn = _plan.items_of(suite, items, seed=seed, level=level)
        solved = suite.examples(examples, level=level) if examples else ()
    checks = checked(task, suite, level, drawn if published and level == suite.levels[0] else ())
    return Wanted(
        full_spec(task), level, seed, published, tuple(names), tuple(models), budgets, drawn,
        tuple((one.question, one.answer, one.rationale) for one in solved), across, with_baselines, max_tokens, suite.blind() if isinstance(suite, OwnSuite) else None, suite,
        source_of(task, suite), _given.prices_given(prices, models), checks,
    )  # fmt: skip


def _check_once(names: Sequence[str]) -> None:
    """Refuse one strategy in two spellings: it would be tested against itself, and every other test corrected for that."""
    found: dict[str, str] = {}
    for name in names:
        spec = _plan.checked_strategy(name)[0]
        known = found.get(spec)
        found[spec] = name
        if known is not None:
            spelled = "" if known == name else f", as {known!r} too"
            raise UsageError(f"the strategy {name!r} is there twice{spelled}", remedy="Name each strategy once.")


OTHER_TRUTH = "Take another task, or give the strategy a judge that asks the model, such as `self_check`."
REWARDED = OTHER_TRUTH.replace("task,", "task, such as `blocksworld_acting`,")
ANSWERING = "Compare with a simulated model, `sim:skill=0.7`, or a real one, `local:smollm2` or `PROVIDER:NAME`."


def _model(spec: str) -> str:
    """Return a model's spec as it calls itself; what is wrong with it is said before a process is started."""
    from stratagem.models import open_model

    links = [one.strip() for one in spec.split("|")]
    kinds = [one.partition(":")[0] for one in links]
    if not all(links):
        raise UsageError(f"a model has no name: {spec!r}", remedy=ANSWERING)
    if "offline" in kinds:
        raise UsageError("the model `offline` follows rules and answers no task of a comparison", remedy=ANSWERING)
    if "replay" in kinds:
        raise UsageError(
            "`replay:RUN` says what one run was told, and a comparison asks what it was not", remedy=ANSWERING
        )
    if "sim" not in kinds:
        return spec
    if len(links) > 1:
        raise UsageError(
            f"a simulated model is no part of a chain: {spec!r}",
            remedy="Name it by itself: several models are compared.",
        )
    return open_model(spec).spec


def _check_truth(wanted: Wanted, kinds: Sequence[tuple[str, ...]]) -> None:
    """Refuse strategies that use a truth which the task does not offer."""
    used = {name for kind in kinds for name in kind}
    with blamed(wanted.task, wanted.suite, wanted.items[0].id, shown=wanted.published):
        problem = wanted.suite.read(wanted.items[0].question)
        checker, environment = wanted.suite.checker(problem), wanted.suite.environment(problem)
    if "checker" in used and checker is None:
        raise UsageError(
            f"the task {wanted.suite.name} has no public checker, which a strategy needs", remedy=OTHER_TRUTH
        )
    if "reward" in used and environment is None:
        raise UsageError(
            f"the task {wanted.suite.name} has no environment, whose reward a strategy needs", remedy=REWARDED
        )
    if "reward" in used and not wanted.suite.rewards:
        raise UsageError(
            f"the environment of the task {wanted.suite.name} never brings a reward, which a strategy needs",
            remedy=REWARDED,
        )


def _pilot(crew: Crew, wanted: Wanted, out: Path | None) -> dict[str, Any]:
    """Return what the cheapest chain of thought cost on the shortest questions."""
    if not wanted.baselines or not any(wanted.budgets):
        return {}
    questions = sorted((one.question for one in wanted.items), key=len)[: _plan.PILOT]
    jobs = [
        {"job": 0, "cell": 0, "strategy": "chain_of_thought", "budget": "", "model": model, "width": 1,
         "items": [[number, question, number] for number, question in enumerate(questions)]}
        for model in wanted.models
    ]  # fmt: skip
    try:
        said = list(crew.results(jobs))
    except Halt as halt:
        raise explained(
            halt, lambda _: "chain_of_thought, asked what a call costs,", lambda n: f"question {n + 1}", out
        ) from None
    prices = [one["usd"] for one in said]
    return {
        "calls": sum(one["calls"] for one in said),
        "tokens": max(1, min(one["tokens"] for one in said)),
        "prompt_tokens": max(1, min(one["prompt_tokens"] for one in said)),
        "completion_tokens": max(1, min(one["tokens"] - one["prompt_tokens"] for one in said)),
        "usd": None if None in prices else min(prices),
        "seconds": min(one["seconds"] for one in said),
    }


class _Work:
    """The answers of a comparison: those that are there, and those that are still to be had."""

    def __init__(
        self, wanted: Wanted, contestants: Sequence[Contestant], folder: Folder, crew: Crew, width: int,
        on_progress: Listener | None, began: float,
    ) -> None:  # fmt: skip
        self.wanted, self.contestants, self._folder, self._crew = wanted, contestants, folder, crew
        self._width, self._on_progress, self._began = width, on_progress, began
        self.cells = [
            Cell(who, model, budget)
            for model in range(len(wanted.models))
            for budget in range(len(wanted.budgets))
            for who in range(len(contestants))
        ]
        self.scan = _scan.Scan(wanted.items, wanted.examples)
        self.answers: dict[tuple[int, int], dict[str, Any]] = {}
        self._ended: dict[int, list[int]] = {}  # of each row the items that had to be ended

    def perform(self) -> None:
        """Get the answers that are missing, and keep each."""
        for one in self._folder.answers():
            self.answers.setdefault((one["cell"], one["item"]), one)
        for (at, item), one in self.answers.items():
            if one.get("lost"):
                self._ended.setdefault(at, []).append(item)
        found = len(self.answers)
        total = len(self.cells) * len(self.wanted.items)
        self._tell(found, total)
        try:
            for said in self._crew.results(self._jobs(), self._ended):
                kept = self._kept(said)
                self._folder.keep(kept)
                self.answers[kept["cell"], kept["item"]] = kept
                self._tell(found, total, self._ends(kept) if kept.get("lost") else "")
        except Halt as halt:
            raise explained(halt, self._who, lambda n: self.wanted.items[n].id, self._folder.path) from None
        self._leave_out()

    def _ends(self, kept: Mapping[str, Any]) -> str:
        """Return what is said of the first item of a row that had to be ended; empty of the others."""
        at, item = int(kept["cell"]), int(kept["item"])
        ended = self._ended.setdefault(at, [])
        ended.append(item)
        if len(ended) > 1:
            return ""
        cell = self.cells[at]
        return (
            f"{self.contestants[cell.contestant].name} at {self.wanted.budgets[cell.budget]}, {self.wanted.items[item].id}: "
            f"{kept['reason']}; after {ENDED} such items those behind them are not run, and counted as wrong"
        )

    def _leave_out(self) -> None:
        """Count as wrong what lies behind the last item of a row that is run, also what was run before that was known."""
        for at, ended in self._ended.items():
            last = last_run(ended)
            if last is not None:
                for item in range(last + 1, len(self.wanted.items)):
                    self.answers[at, item] = self._kept(left_out(at, item))

    def _who(self, job: Mapping[str, Any]) -> str:
        return self.contestants[self.cells[int(job["cell"])].contestant].name

    def _tell(self, found: int, total: int, ended: str = "") -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(len(self.answers), total, found, time.monotonic() - self._began, ended))

    def _kept(self, said: dict[str, Any]) -> dict[str, Any]:
        """Return what is kept of an answer: of its prompts, what was found in them."""
        lines, first, prompts = said.pop("lines"), said.pop("first"), said.pop("prompts")
        replies, heard, grown = said.pop("said"), said.pop("heard"), said.pop("grown")
        shown = (_scan.Shown(line, n, grown.get(line, ())) for line, n in zip(lines, heard, strict=True))
        said["hits"] = self.scan.look(said["item"], shown, first, replies)
        said["lines"] = len(lines)
        said["prompts"] = {
            name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in sorted(prompts.items())
        }
        return said

    def _jobs(self) -> list[dict[str, Any]]:
        """Return what is missing, the dearest budgets first, so that no process works alone at the end."""
        wanted = self.wanted
        jobs: list[dict[str, Any]] = []
        order = sorted(range(len(self.cells)), key=lambda at: -self.cells[at].budget)
        for at in order:
            cell = self.cells[at]
            last = last_run(self._ended.get(at, ()))
            behind = len(wanted.items) if last is None else last + 1
            missing = [n for n in range(behind) if (at, n) not in self.answers]
            for start in range(0, len(missing), CHUNK):
                jobs.append({
                    "job": len(jobs), "cell": at, "strategy": self.contestants[cell.contestant].specs[cell.budget],
                    "budget": wanted.budgets[cell.budget], "model": wanted.models[cell.model], "width": self._width,
                    "items": [
                        [n, wanted.items[n].question, _plan.seed_of(wanted.seed, n)] for n in missing[start : start + CHUNK]
                    ],
                })  # fmt: skip
        return jobs


def _report(
    wanted: Wanted, contestants: Sequence[Contestant], pilot: Mapping[str, Any], work: _Work,
    kinds: Sequence[tuple[str, ...]], seconds: float,
) -> Report:  # fmt: skip
    """Score the frozen answers and make the report of them."""
    scores: dict[tuple[int, int], Score] = {}
    prompts: dict[str, str] = {}
    for key, one in work.answers.items():
        calls = [(name, given) for name, given in one.get("made", ())]
        # Whoever failed has not answered, whatever was offered before.
        scores[key] = Score(0.0, parsed=False) if one["stop"] in ("error", NOT_RUN) else scored(
            wanted.task, wanted.suite, wanted.items[key[1]], one["text"], calls, shown=wanted.published
        )  # fmt: skip
        prompts.update(one["prompts"])
    with blamed(wanted.task, wanted.suite, shown=wanted.published, remedy=LATE):
        whole = with_parts(scores, wanted.suite, wanted.items)
        constant = best_constant(wanted.suite, wanted.items, published=wanted.published)
    simulated = [model for model in wanted.models if model.startswith("sim")]
    title = f"{wanted.suite.name}, level {wanted.level}: accuracy against budget, {counted(len(wanted.items), 'item')}"
    title += " (simulated)" if len(simulated) == len(wanted.models) else " (partly simulated)" if simulated else ""
    title += " across capabilities: these strategies use different truth" if len(kinds) > 1 else ""
    manifest: dict[str, Any] = {
        "title": title, "simulated": bool(simulated), **wanted.cost(),
        "task": wanted.suite.name, **({"notes": list(wanted.suite.notes)} if wanted.suite.notes else {}),
        **({"checks": dict(wanted.checks)} if wanted.checks else {}), "best_constant": constant, "capabilities": [list(kind) for kind in kinds],
        "specs": {one.name: list(dict.fromkeys(one.specs)) for one in contestants},
        "sources": {one.name: _source(one.specs[0]) for one in contestants},
        "prompts": dict(sorted(prompts.items())), "prompt_scan": _scan.summary(
            work.scan, _ordered(work), wanted.items, [contestants[cell.contestant].name for cell in work.cells]
        ),
        "rules": {"repairs": 0, "strict": True, "memory": "none", "journal": "one per item, in memory", "cache": "none"},
        "pilot": dict(pilot), "made_with": made_with(), "wall_seconds": round(seconds, 3),
    }  # fmt: skip
    shown = [
        (one.id, one.question, one.key) if wanted.published else (one.id, "", "") for one in wanted.items
    ]  # fmt: skip
    seed = int.from_bytes(hashlib.sha256(str(wanted.seed).encode()).digest()[:8], "big")
    return Report(
        Facts(manifest, contestants, wanted.models, wanted.budgets, work.cells, shown, work.answers, whole, seed)
    )


def _ordered(work: _Work) -> list[Mapping[str, Any]]:
    return [work.answers[key] for key in sorted(work.answers)]


def _source(spec: str) -> str:
    """Return the digest of a strategy's source: its file, those of its settings, and what they import from beside them."""
    from stratagem.session._loading import source_of, strategy_of

    own, files = source_of(strategy_of(spec)), files_of(spec)
    texts = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256("".join((own, *texts)).encode()).hexdigest()[:16] if files else own
