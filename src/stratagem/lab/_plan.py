"""What is compared: strategies, baselines, models, budgets, items.

All of it is known before the first call, but for how many samples a budget pays for, which a few calls on training
questions tell.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stratagem.core import Budget, Strategy, budget_of
from stratagem.errors import UsageError
from stratagem.lab._looking import look_at
from stratagem.session._loading import spec_of, strategy_of
from stratagem.tasks import Item, Suite
from stratagem.tasks._own import OwnSuite

ITEMS, EXAMPLES = 100, 2
PILOT = 3  # questions that tell what a call costs
UNLIMITED = 10  # samples of the baselines where nothing limits them
CHEAPER = 4  # times: how much shorter than the shortest of the pilot a reply may be
AT_ONCE = 8  # samples side by side in the time of one, where only time is limited
MOST_AT_ONCE = 256  # samples there, unless more than half as many fit one after another
LIMITS = ("calls", "tokens", "prompt_tokens", "completion_tokens", "usd", "seconds", "depth")
MOST = 5_000  # samples of a baseline, whatever the budget says
LISTS = "tokens=2000/8000/32000"


class Contestant(NamedTuple):
    """A strategy that is compared.

    Attributes:
        name: in reports.
        specs: its spec, at each budget.
        needs: the truth that it uses, sorted.
        baseline: whether the laboratory brought it.
        bounds: the most model calls that one use makes, at each budget.
    """

    name: str
    specs: tuple[str, ...]
    needs: tuple[str, ...]
    baseline: bool
    bounds: tuple[int, ...]


class Cell(NamedTuple):
    """One strategy at one budget with one model: a row of the report."""

    contestant: int
    model: int
    budget: int


class Wanted(NamedTuple):
    """What the caller asked for, checked."""

    task: str
    level: int
    seed: int | str
    published: bool
    strategies: tuple[str, ...]
    models: tuple[str, ...]
    budgets: tuple[str, ...]
    items: tuple[Item, ...]
    examples: tuple[tuple[str, str, str | None], ...]
    across: bool
    baselines: bool
    max_tokens: int | None
    blind: Mapping[str, Any] | None
    suite: Suite
    source: str  # of the suite, if it is none of ours
    prices: Mapping[str, Any]  # the user's own, of the models that are compared
    checks: Mapping[str, Any]  # which a suite that is none of ours has passed

    def cost(self) -> dict[str, Any]:
        """Return what must be equal for two comparisons to be the same, as JSON."""
        digest = hashlib.sha256("\x00".join(f"{one.id}\x01{one.question}\x01{one.key}" for one in self.items).encode())
        return {
            "task": self.task, **({"task_source": self.source} if self.source else {}),
            "level": self.level, "items": len(self.items), "items_digest": digest.hexdigest()[:16],
            "strategies": list(self.strategies), "models": list(self.models), "budgets": list(self.budgets),
            "examples": len(self.examples), "across_capabilities": self.across, "baselines": self.baselines,
            **({} if self.max_tokens is None else {"max_tokens": self.max_tokens}),
            **({"prices": dict(self.prices)} if self.prices else {}),
            "seed": self.seed if self.published else "sha256:" + hashlib.sha256(str(self.seed).encode()).hexdigest()[:16],
        }  # fmt: skip


def split_specs(text: str) -> list[str]:
    """Return the specs of a list with commas; those within brackets or quotes belong to a spec.

    >>> split_specs("direct, self_consistency(n=5, sampler=direct)")
    ['direct', 'self_consistency(n=5, sampler=direct)']
    """
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def budgets_of(text: str) -> tuple[str, ...]:
    """Return the budgets of a text in which one limit may be a list: `calls=50,tokens=2000/8000`.

    >>> budgets_of("tokens=2000/8000")
    ('tokens=2000', 'tokens=8000')

    Raises:
        UsageError: no limit, several lists, or a list with one value twice.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    lists = [at for at, part in enumerate(parts) if "/" in part]
    if len(lists) > 1:
        raise UsageError(f"budget {text!r}: one limit may be a list, not {len(lists)}", remedy=f"Write `{LISTS}`.")
    if not lists:
        return (str(budget_of(",".join(parts))),)
    name, _, values = parts[lists[0]].partition("=")
    made: list[str] = []
    for value in values.split("/"):
        if not value.strip():
            raise UsageError(f"budget {text!r}: a value of the list is missing", remedy=f"Write `{LISTS}`.")
        parts[lists[0]] = f"{name}={value.strip()}"
        made.append(str(budget_of(",".join(parts))))
    if len(set(made)) < len(made):
        raise UsageError(f"budget {text!r}: a value is there twice", remedy="Name each value once.")
    return tuple(made)


def size_of(budget: str) -> tuple[float, ...]:
    """Return by what budgets of one comparison are ordered: all their limits, of which one differs.

    >>> size_of("calls=5,tokens=2000") < size_of("calls=5,tokens=8000") < size_of("calls=5")
    True
    """
    limits = budget_of(budget)
    return tuple(math.inf if one is None else float(one) for one in (getattr(limits, name) for name in LIMITS))


def checked_strategy(given: Strategy | str) -> tuple[str, Strategy]:
    """Return a strategy with the spec by which another process finds it.

    Raises:
        UsageError: it has no spec, or its file looks into the process that runs it.
    """
    if isinstance(given, str):
        look_at(given)  # the file that is named is executed, even if what it names comes from another
    made = strategy_of(given)
    spec = spec_of(made)
    if not spec:
        raise UsageError(
            f"`{made!r}` cannot be compared: it has no name by which another process finds it",
            remedy="Put it at the top level of a file, and settings that are functions likewise.",
        )
    look_at(spec)
    return spec, made


def needs_of(made: Sequence[tuple[str, Strategy]], *, across: bool) -> list[tuple[str, ...]]:
    """Return the different kinds of truth that strategies use.

    Raises:
        UsageError: there are several, and nobody said that this is meant.
    """
    kinds = list(dict.fromkeys(tuple(sorted(one.needs)) for _, one in made))
    if len(kinds) > 1 and not across:
        said = "; ".join(
            f"{', '.join(spec for spec, one in made if tuple(sorted(one.needs)) == kind)}: {', '.join(kind) or 'nothing'}"
            for kind in kinds
        )
        raise UsageError(
            f"these strategies use different truth ({said})",
            remedy="Compare those of one kind, or say `--across-capabilities` (`across_capabilities=True`): the title then says so.",
        )
    return kinds


# Where only moves bring the truth, samples have to make some: the actor that `reflexion` has.
BEST_OF: Mapping[str, tuple[str, str]] = {
    "reward": ("best_of_n(k, rewarded)", ", sampler=react(max_steps=30, repeats=2), judge=rewarded"),
    "checker": ("best_of_n(k, checked)", ", judge=checked"),
    "": ("best_of_n(k)", ""),
}


def baselines(wanted: Wanted, kinds: Sequence[tuple[str, ...]], pilot: Mapping[str, Any]) -> list[Contestant]:
    """Return the honest baselines: at each budget as many samples, or rounds, as it pays for.

    All three go on until the budget refuses them. `pilot` says what the cheapest call cost, and the number that is asked for
    is what the budget would pay for of still cheaper ones: it is not what ends them. Time is the exception: samples side by
    side take none. There the number is bounded, and the report says where it was what ended them.
    """
    if not wanted.baselines:
        return []
    limits = [budget_of(budget) for budget in wanted.budgets]
    counts = [samples(one, pilot) for one in limits]
    made = [("self_consistency(k)", [f"self_consistency(n={n})" for n in counts])]
    for kind in kinds:
        label, settings = BEST_OF[next((truth for truth in BEST_OF if truth in kind), "")]
        made.append((label, [f"best_of_n(n={n}{settings})" for n in counts]))
    rounds = [4 if one.unlimited else samples(one, pilot, in_a_row=True) for one in limits]
    made.append(("longer_chain(k)", [f"longer_chain(rounds={n})" for n in rounds]))
    return [contestant(name, tuple(specs), baseline=True) for name, specs in dict(made).items()]


def samples(budget: Budget, pilot: Mapping[str, Any], *, in_a_row: bool = False) -> int:
    """Return how many of the cheapest calls a budget pays for.

    Args:
        budget: of an item.
        pilot: `tokens prompt_tokens completion_tokens usd seconds` of the cheapest calls that were tried.
        in_a_row: whether one is made after the other, and none side by side.
    """
    counts: list[float] = [budget.calls] if budget.calls is not None else []
    # A round shows no solved examples; too many of them cost nothing, since the first that is refused ends the chain.
    prompt = pilot.get("prompt_tokens", 0) / (CHEAPER if in_a_row else 1)
    reply = pilot.get("completion_tokens", 0) / CHEAPER
    cheapest = {
        "prompt_tokens": prompt,
        "completion_tokens": reply,
        "tokens": prompt + reply,
        "usd": (pilot.get("usd") or 0) / CHEAPER,
    }
    for limit, price in cheapest.items():
        allowed = getattr(budget, limit)
        if allowed is not None and price:
            counts.append(allowed / price)
    if budget.seconds is not None and pilot.get("seconds"):
        row = math.ceil(budget.seconds / pilot["seconds"])
        counts.append(2 * row if in_a_row else min(AT_ONCE * row, max(MOST_AT_ONCE, 2 * row)))
    if not counts:
        return UNLIMITED
    return max(1, min(MOST, math.ceil(min(counts))))


def contestant(name: str, specs: tuple[str, ...], *, baseline: bool = False) -> Contestant:
    """Return a strategy with what its card says of it."""
    made = [strategy_of(spec) for spec in specs]
    return Contestant(
        name, specs, tuple(sorted(made[0].needs)), baseline, tuple(one.max_calls for one in made)
    )  # fmt: skip


def seed_of(seed: int | str, number: int) -> int:
    """Return the seed of an item: the same for all strategies, so that they meet the same luck."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big") >> 1


def level_of(suite: Suite, level: int) -> int:
    """Return a level, if a suite has it."""
    if isinstance(level, bool) or level not in suite.levels:
        known = ", ".join(map(str, suite.levels))
        only = (
            "A file of yours has one level: leave it out."
            if isinstance(suite, OwnSuite)
            else f"Choose one of {known}; the first is the easiest."
            if len(suite.levels) > 1
            else "Leave it out."
        )
        many = "s" if len(suite.levels) > 1 else ""
        raise UsageError(f"{suite.name} has the level{many} {known}, got {level!r}", remedy=only)
    return int(level)


def items_of(suite: Suite, n: int | None, *, seed: int | str, level: int) -> tuple[Item, ...]:
    """Return the items of a comparison; of a file, all of them where no number is given."""
    wanted = n if n is not None else len(suite) if isinstance(suite, OwnSuite) else ITEMS
    return tuple(suite.items(wanted, seed=seed, level=level))
