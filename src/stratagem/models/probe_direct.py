"""What a server is asked that no request of the library asks: a tool by name, and the scores of a text that is given.

Each is one request and one attempt, beside the gateway. What comes is looked at, and nothing else is made of it.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from stratagem.core import Clock, Json, SystemClock, Tools, Usage, tool
from stratagem.core._canonical import is_object
from stratagem.errors import ModelError, Rejected
from stratagem.models.findings import Found, shown
from stratagem.models.keys import Key, origin_of
from stratagem.models.retry import Failure, refused
from stratagem.models.table import Row
from stratagem.models.tokens import bound
from stratagem.models.transport import ERROR_BYTES, Access, Times, Transport

MOST = 400  # tokens of a reply
TIMEOUT_S = 120.0
TEXT = "The capital of France is Paris, and that of Italy is Rome."


@tool
def temperature(city: str) -> str:
    """Return the temperature of a city now.

    Args:
        city: its name.
    """
    return f"{len(city)} degrees"


@tool
def clock_time(city: str) -> str:
    """Return the time of day in a city now.

    Args:
        city: its name.
    """
    return f"{len(city)} o'clock"


class Seen(NamedTuple):
    """What was seen of one feature: the verdict, by what, and what it cost."""

    found: Found
    said: str
    usage: Usage


class Direct:
    """Sends single requests to a server that speaks as OpenAI's does.

    Args:
        row: of the provider, with the address in use.
        name: of the model.
        key: what authorises requests there.
        access: how the server is reached.
        clock: tells the time.
    """

    def __init__(self, row: Row, name: str, key: Key, access: Access = Access(), clock: Clock | None = None) -> None:
        self._row, self._name, self._key, self._origin = row, name, key, origin_of(row.url)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._where = f"{row.title} ({self._origin})"
        self._transport = Transport(self._clock, Times(first=TIMEOUT_S), self._where, access)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def named_tool(self, steady: Mapping[str, Any]) -> Seen:
        """Ask for one tool by its name, with a question that invites the other one."""
        tools = Tools((temperature, clock_time)).schema()
        form: dict[str, Json] = {
            "model": self._name,
            "messages": [{"role": "user", "content": "What time is it in Rome? Look it up with the tool."}],
            "tools": [{"type": "function", "function": one} for one in tools],
            "tool_choice": {"type": "function", "function": {"name": "temperature"}},
            self._row.limit: MOST,
            **steady,
        }
        said = await self._sent("/chat/completions", form)
        if isinstance(said, Seen):
            return said
        message = _first(said).get("message")
        names = [_name_of(one) for one in _list(message, "tool_calls")]
        if names and set(names) == {"temperature"}:
            return Seen(
                "honoured",
                "the tool that was named was called, and not the one that was asked about",
                _cost(said, form),
            )
        what = f"called {', '.join(names)}" if names else "no call"
        return Seen("ignored", f"{what}, where `temperature` was named", _cost(said, form))

    async def echoed(self, steady: Mapping[str, Any]) -> Seen:
        """Ask for the log-probabilities of a text that is given."""
        form: dict[str, Json] = {
            "model": self._name, "prompt": TEXT, "echo": True, "logprobs": 1, "max_tokens": 1, **steady,
        }  # fmt: skip
        said = await self._sent("/completions", form)
        if isinstance(said, Seen):
            return said
        choice = _first(said)
        scores = [one for one in _list(choice.get("logprobs"), "token_logprobs") if _scored(one)]
        text = choice.get("text")
        if isinstance(text, str) and text.startswith(TEXT) and len(scores) > 2:
            return Seen("honoured", f"{len(scores)} tokens of a given text have log-probabilities", _cost(said, form))
        if isinstance(text, str) and text.startswith(TEXT):
            return Seen("ignored", f"the text came back with {len(scores)} log-probabilities", _cost(said, form))
        return Seen("ignored", "the text that was given did not come back", _cost(said, form))

    async def _sent(self, path: str, form: dict[str, Json]) -> "dict[str, Json] | Seen":
        """Return what a server answers, or what it means that it answers nothing."""
        await self._key.ready()
        data = json.dumps(form).encode()
        headers = {
            "Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity",
            "User-Agent": "stratagem", **self._key.headers(self._origin),
        }  # fmt: skip
        try:
            until = self._clock.stamp() + round(TIMEOUT_S * 1e6)
            incoming = await self._transport.post(f"{self._row.url}{path}", data, headers, until)
            try:
                answered = incoming.answered
                if answered.status != 200:
                    said = (await incoming.whole(ERROR_BYTES)).decode(errors="replace")
                    raise refused(answered, said, self._where, self._key.hidden, self._key.variable)
                whole: Json = json.loads(await incoming.whole())
            finally:
                incoming.close()
        except Failure as failure:
            spent = Usage(
                calls=1, requests=1, prompt_tokens=bound(str(form)) if failure.ran else 0, estimated=failure.ran
            )
            error = failure.error
            gone = isinstance(error, Rejected) or (isinstance(error, ModelError) and error.status in (404, 405, 501))
            return Seen("refused" if gone else "untried", self._key.hidden(str(error)), spent)
        except (ValueError, RecursionError):
            return Seen("untried", "what came is no JSON", _cost({}, form))
        if not is_object(whole) or whole.get("error"):
            return Seen(
                "untried", f"what came is no reply: {shown(self._key.hidden(json.dumps(whole)))}", _cost({}, form)
            )
        return whole


def _first(said: dict[str, Json]) -> dict[str, Json]:
    choices = _list(said, "choices")
    return choices[0] if choices and is_object(choices[0]) else {}


def _list(form: Json, name: str) -> list[Json]:
    """Return a list of an object; empty if there is none."""
    found = form.get(name) if is_object(form) else None
    return cast("list[Json]", found) if isinstance(found, list) else []


def _name_of(call: Json) -> str:
    function = call.get("function") if is_object(call) else None
    return str(function.get("name")) if is_object(function) else "?"


def _scored(one: Json) -> bool:
    return isinstance(one, int | float) and not isinstance(one, bool) and one <= 0 and not math.isnan(one)


def _cost(said: dict[str, Json], form: dict[str, Json]) -> Usage:
    """Return what a request cost: as the server counts it, else a bound."""
    counted = said.get("usage")
    if is_object(counted):
        prompt, completion = counted.get("prompt_tokens"), counted.get("completion_tokens")
        if type(prompt) is int and type(completion) is int and prompt >= 0 and completion >= 0:
            return Usage(calls=1, requests=1, prompt_tokens=prompt, completion_tokens=completion)
    prompt = bound(json.dumps(form))
    return Usage(calls=1, requests=1, prompt_tokens=prompt, completion_tokens=bound(json.dumps(said)), estimated=True)
