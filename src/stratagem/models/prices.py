"""What a call costs: the maintained table of the package genai-prices, and prices of the user's own.

Rule 1: unknown is None and never 0. The provider is always named: by a model's name alone the table would guess.
Rule 2: a price holds at the provider's own address. Of any other server it is unknown, and of one on this machine as
        well, unless the user names it.
Rule 3: what a reply says holds. Before the call a bound does: the dearest that so many tokens can cost.
Rule 4: the table is imported in a thread (it takes 0.4 s), and of each model it is asked once.
"""

import datetime
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, cast

from stratagem.core import Usage
from stratagem.errors import UsageError
from stratagem.models.keys import loopback

NANO_A_MILLION = 1000  # nano-dollars per token of a dollar per million tokens

# Our prefixes, and what the table calls the provider.
PROVIDERS: Mapping[str, str] = {
    "openai": "openai", "responses": "openai", "anthropic": "anthropic", "google": "google", "bedrock": "aws",
    "mistral": "mistral", "cohere": "cohere", "groq": "groq", "deepseek": "deepseek", "openrouter": "openrouter",
    "together": "together", "fireworks": "fireworks", "xai": "x-ai",
}  # fmt: skip
OWN = ("input_per_mtok", "output_per_mtok", "cached_per_mtok", "cache_written_per_mtok", "reasoning_per_mtok")
PACKAGE = "genai-prices"

# What the table charges for by the token and we count, and what no request of ours can incur. A model that charges for
# anything else (images apart, pages, seconds) has an unknown price.
_COUNTED = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok")
_NEVER = re.compile(r"(web|social|storage)_searches_kcount|code_executions_kcount|cache_write_(5m|1h)_mtok|.*audio.*")

Steps = tuple[tuple[int, float], ...]  # (prompt tokens above which it holds, nano-dollars per token), ascending


class Rates(NamedTuple):
    """Nano-dollars per token of each kind, by the length of the prompt."""

    prompt: Steps
    completion: Steps
    cached: Steps
    written: Steps
    reasoning: Steps

    def nano(self, usage: Usage) -> int:
        """Return what tokens cost."""
        length = usage.prompt_tokens
        prompt, completion, cached, written, reasoning = (_at(steps, length) for steps in self)
        read = min(usage.cached_tokens, length)
        put = min(usage.cache_written_tokens, length - read)
        thought = min(usage.reasoning_tokens, usage.completion_tokens)
        total = (length - read - put) * prompt + read * cached + put * written
        return round(total + (usage.completion_tokens - thought) * completion + thought * reasoning)

    def most(self, prompt: int, completion: int) -> int:
        """Return what so many tokens can cost at most, whichever of them are cached, written or thoughts."""
        said, spoken, read, put, thought = (_at(steps, prompt) for steps in self)
        return math.ceil(prompt * max(said, read, put) + completion * max(spoken, thought))


def _at(steps: Steps, length: int) -> float:
    found = steps[0][1]
    for start, rate in steps[1:]:
        if length > start:
            found = rate
    return found


class Price:
    """The price of one model.

    Args:
        source: where it comes from: `own`, or the table and its version.
        rates: if they never change.
        listed: the table's entry, whose rates may depend on the time.
    """

    __slots__ = ("_known", "_listed", "_rates", "source")

    def __init__(self, source: str, rates: Rates | None = None, listed: Any = None) -> None:
        self.source, self._rates, self._listed = source, rates, listed
        self._known: dict[int, tuple[Any, Rates | None]] = {}

    def rates(self, wall: float) -> Rates | None:
        """Return the rates that hold at a time, in seconds since 1970; None if they are unknown."""
        if self._listed is None:
            return self._rates
        entry = self._listed.get_prices(datetime.datetime.fromtimestamp(wall, datetime.UTC))
        known = self._known.get(id(entry))
        if known is None:
            known = self._known[id(entry)] = (entry, _rates_of(entry))  # the entry stays, and so does its identity
        return known[1]


def own_price(given: Mapping[str, Any] | None, spec: str) -> Price | None:
    """Return the price that a user has set for a spec: `{"vllm:m": {"input_per_mtok": 0.1, "output_per_mtok": 0.4}}`.

    Raises:
        UsageError: what is set is no price; that of any spec is looked at.
    """
    for name, values in (given or {}).items():
        _check_own(name, values)
    found = (given or {}).get(spec)
    if found is None:
        return None
    nano = {key: float(value) * NANO_A_MILLION for key, value in found.items()}
    prompt, completion = nano["input_per_mtok"], nano["output_per_mtok"]
    cached, written = nano.get("cached_per_mtok", prompt), nano.get("cache_written_per_mtok", prompt)
    rates = (prompt, completion, cached, written, nano.get("reasoning_per_mtok", completion))
    return Price("own", Rates(*(((0, rate),) for rate in rates)))


def _check_own(name: str, values: Any) -> None:
    remedy = f'Write `[prices."{name}"]`, with {", ".join(OWN)} in USD per million tokens; the first two are needed.'
    if not isinstance(values, Mapping):
        raise UsageError(f"the price of {name!r} is no table, got {values!r}", remedy=remedy)
    for key, value in values.items():  # pyright: ignore[reportUnknownVariableType]
        if key not in OWN:
            raise UsageError(f"the price of {name!r} has {key!r}, which does not exist", remedy=remedy)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
            raise UsageError(f"the price of {name!r}: {key} must be a number from 0 up, got {value!r}", remedy=remedy)
    if lacks := [key for key in OWN[:2] if key not in values]:
        raise UsageError(f"the price of {name!r} lacks {' and '.join(lacks)}", remedy=remedy)


def table() -> str:
    """Return name and version of the table, empty if it is not installed. It has no date of its own: this is its state."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  (15 ms)

    try:
        return f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        return ""


def listable(spec: str, origin: str) -> bool:
    """Return whether the table may know a model at an address; without a look into it."""
    return spec.partition(":")[0] in PROVIDERS and not loopback(origin)


def listed_price(spec: str, origin: str) -> Price | None:
    """Return the table's price of a model; None if it is unknown. It imports the table: call it in a thread."""
    prefix, _, name = spec.partition(":")
    if not listable(spec, origin) or not table():
        return None
    found = _entry(PROVIDERS[prefix], name, re.sub(r":443$", "", origin))
    if found is None:
        return None
    price = Price(table(), listed=found)
    now = datetime.datetime.now(datetime.UTC).timestamp()
    return price if price.rates(now) is not None else None


@cache
def _entry(provider: str, name: str, address: str) -> Any:
    """Return the table's entry; None if there is none, or the address is not the provider's own."""
    try:
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  (0.4 s)

        seller, entry = get_snapshot().find_provider_model(name, None, provider, None)
    except Exception:  # noqa: BLE001  (mostly a LookupError; whatever is wrong there, no reply is lost for its price)
        return None
    return entry if re.match(seller.api_pattern, address) else None


def _rates_of(entry: Any) -> Rates | None:
    """Return an entry's rates; None if it charges for what we do not count."""
    kept = cast("dict[str, Any]", entry.__dict__)
    said = {key: value for key, value in kept.items() if value is not None}
    if not {"input_mtok", "output_mtok"} <= said.keys():
        return None
    if any(key not in _COUNTED and not _NEVER.fullmatch(key) for key in said):
        return None
    prompt, completion = _steps(said["input_mtok"]), _steps(said["output_mtok"])
    cached, written, thought = (
        _steps(said[key]) if key in said else usual
        for key, usual in zip(_COUNTED[2:], (prompt, prompt, completion), strict=True)
    )
    return Rates(prompt, completion, cached, written, thought)


def _steps(price: Any) -> Steps:
    if not hasattr(price, "tiers"):
        return ((0, float(price) * NANO_A_MILLION),)
    tiers = ((tier.start, float(tier.price) * NANO_A_MILLION) for tier in price.tiers)
    return ((0, float(price.base) * NANO_A_MILLION), *tiers)
