"""What a caller gives, checked before anything is started: what is wrong stands in one sentence, what to write in another."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import Any, cast

from stratagem.core import Budget, Strategy, StrategyFunction
from stratagem.errors import UsageError
from stratagem.lab._plan import split_specs
from stratagem.lab._text import counted

SHORTEST = 16  # bytes of a withheld seed: a shorter one is found by trying
LIMITS = 'Write limits such as "calls=50,usd=0.1" or "tokens=2000/8000/32000".'
OF_STRATEGIES = (
    "`stratagem catalog` lists strategies, and `stratagem catalog NAME` what one takes; one of yours is `my.py:solve`."
)
OF_TASKS = "`stratagem compare --task list` lists the suites; a file of yours ends in `.jsonl` or `.csv`, a suite of yours is `FILE.py:NAME`."
OF_FILES = "Check the path, which begins at the folder where the program runs, and what is in the file."
OF_MODELS = (
    "`stratagem models` lists what can be opened here; `sim:` and its parameters stand in the manual, on comparing."
)
PRICES = 'Write `{"vllm:NAME": {"input_per_mtok": 0.1, "output_per_mtok": 0.4}}`, in USD per million tokens.'
LONG = "Use a long random text: `python -c 'import secrets; print(secrets.token_hex(32))'` makes one."


@contextmanager
def advised(remedy: str) -> Generator[None]:
    """Give a remedy to a mistake that has none of its own."""
    try:
        yield
    except UsageError as failure:
        if failure.remedy == UsageError.remedy:
            failure.remedy = remedy
        raise


def whole(name: str, given: Any, least: int, most: int | None = None) -> int:
    """Return a whole number that a caller gave.

    Raises:
        UsageError: it is none, or too small or too large.
    """
    span = f"from {least} to {most}" if most is not None else f"{least} or more"
    try:
        if isinstance(given, bool):
            raise TypeError
        number = index(given)
    except TypeError:
        raise UsageError(
            f"{name} must be a whole number, got {given!r}", remedy=f"Write a whole number, {span}."
        ) from None
    if number < least or (most is not None and number > most):
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise UsageError(f"{name} must be {bound}, got {number}", remedy=f"Write a whole number, {span}.")
    return number


def flags(**given: Any) -> None:
    """Check what is either so or not: a text such as "no" would else mean yes.

    Raises:
        UsageError: one is neither True nor False.
    """
    for name, one in given.items():
        if not isinstance(one, bool):
            raise UsageError(
                f"{name} must be True or False, got {one!r}", remedy=f"Write `{name}=True` or `{name}=False`."
            )


def seed_given(given: Any, *, withheld: bool) -> int | str:
    """Return a seed: a whole number from 0 up, or a text; one that is withheld has to be long.

    Raises:
        UsageError: it is neither, or a secret that is found by trying.
    """
    if isinstance(given, str):
        seed: int | str = given
        if not given.strip():
            raise UsageError("the seed is empty", remedy=LONG if withheld else "Write a number, or a text.")
    else:
        try:
            seed = whole("seed", given, 0)
        except UsageError:
            raise UsageError(
                f"a seed is a whole number from 0 up, or a text, got {given!r}", remedy="Write one, such as 7."
            ) from None
    length = len(str(seed).encode())
    if withheld and length < SHORTEST:
        raise UsageError(
            f"a withheld seed of {counted(length, 'byte')} is found by trying: the manifest has digests of it and of its items",
            remedy=f"{LONG} {SHORTEST} bytes are the least.",
        )
    return seed


def task_given(given: Any) -> str:
    """Return the name of a task, or the path of a file.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(given, str | Path):
        raise UsageError(f"a task is the name of a suite, or a file of yours, got {given!r}", remedy=OF_TASKS)
    return str(given)


def strategies_given(given: Any) -> list[Strategy | str]:
    """Return what is to be compared, of one strategy, several, or their specs with commas between them.

    Raises:
        UsageError: it is none of them.
    """
    if isinstance(given, str):
        return [*split_specs(given)]
    if isinstance(given, StrategyFunction):
        return [given]
    if callable(given):
        name = getattr(given, "__name__", repr(given))
        raise UsageError(
            f"a strategy is made by @strategy, got {'a lambda' if name == '<lambda>' else name}",
            remedy="Write `@strategy(calls=...)` above a function of run and task, and give that.",
        )
    if not isinstance(given, Sequence | Iterator):
        raise UsageError(
            f"strategies are given as a list, or as specs with commas between them, got {given!r}",
            remedy='Write `[mine, "direct"]` or "direct,my.py:solve"; a function becomes a strategy by `@strategy` above it.',
        )
    return list(given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  (each is looked at later)


def models_given(given: Any) -> list[str]:
    """Return the specs of models, of one or several.

    Raises:
        UsageError: there is none, or one is no spec.
    """
    found: list[Any] = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)  # pyright: ignore[reportUnknownArgumentType]
    if not found:
        raise UsageError("there is no model", remedy="Name one, such as `sim:skill=0.7`.")
    for one in found:
        if not isinstance(one, str):
            spec = getattr(one, "spec", "")
            raise UsageError(
                f"a model is named by its spec, since other processes open it, got {one!r}",
                remedy=f"Write {spec!r}." if spec else "Write `sim:skill=0.7`, or `PROVIDER:NAME`, or a list of such.",
            )
    return found


def budget_given(given: Any) -> str:
    """Return the text of limits, one of which may be a list.

    Args:
        given: such a text; a `Budget`; a mapping from limits to numbers, or to lists of them; None for no limit.

    Raises:
        UsageError: it is none of them.
    """
    if given is None or isinstance(given, str):
        return given or ""
    if isinstance(given, Budget):
        return str(given.checked())
    if isinstance(given, Mapping):
        parts: list[str] = []
        for name, value in given.items():  # pyright: ignore[reportUnknownVariableType]
            values: list[Any] = [value] if isinstance(value, str) or not isinstance(value, Sequence) else list(value)  # pyright: ignore[reportUnknownArgumentType]
            if not values or any(isinstance(one, bool) or not isinstance(one, int | float) for one in values):
                raise UsageError(f"budget: {name} is a number, or a list of numbers, got {value!r}", remedy=LIMITS)
            parts.append(f"{name}={'/'.join(map(str, values))}")
        return ",".join(parts)
    raise UsageError(
        f"a budget is a text, a `Budget` or a mapping of limits, got {given!r}",
        remedy=f"{LIMITS} The same as a mapping: {{'tokens': [2000, 8000, 32000]}}.",
    )


def prices_given(given: Any, models: Sequence[str]) -> dict[str, Any]:
    """Return the user's own prices of those models that are compared.

    Raises:
        UsageError: they are no prices.
    """
    if given is None:
        return {}
    prices = cast("Mapping[str, Any]", given)
    if not isinstance(given, Mapping) or any(not isinstance(spec, str) for spec in prices):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"prices are a mapping from the specs of models, got {given!r}", remedy=PRICES)
    from stratagem.models.prices import own_price
    from stratagem.models.routes import check_tables

    check_tables(prices, None)
    own_price(prices, "")
    links = [one.strip() for model in models for one in model.split("|")]
    return {spec: dict(prices[spec]) for spec in links if spec in prices}


def folder_given(given: Any) -> Path | None:
    """Return the folder that keeps a comparison.

    Raises:
        UsageError: it is no path.
    """
    if isinstance(given, str) and not given.strip():
        raise UsageError("out is empty: it is the path of a folder", remedy='Write a path, such as "kept".')
    if given is not None and not isinstance(given, str | Path):
        raise UsageError(f"out is the path of a folder, got {given!r}", remedy='Write a path, such as "kept".')
    return None if given is None else Path(given)
