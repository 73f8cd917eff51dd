"""What a server really honours, found out by about ten small requests.

Rule 1: nothing is believed because it was accepted: a seed has to repeat a text and another seed has to change it, draws are
        counted per request, schemas are asked for with a question that invites prose, and stops are looked for in what
        came over the wire. What cannot be seen from outside (temperature, top_p, effort) is `accepted` at best.
Rule 2: requests of a probe are not recorded in a journal: a recorded reply would answer the second of two equal ones. What
        they cost is added up and said, and each is refused if a limit would not hold.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from stratagem.core import (
    Attachment,
    Budget,
    Capabilities,
    Clock,
    Delta,
    Head,
    Model,
    Reply,
    Request,
    Sample,
    SystemClock,
    Tools,
    Usage,
    signature,
    tool,
)
from stratagem.core._options import checked_option
from stratagem.errors import CapabilityError, ModelError, NotAuthorised, Rejected, StratagemError, Unreachable
from stratagem.models.findings import SCHEMA, Finding, Found, misfit, png, shown
from stratagem.models.routes import FIELDS
from stratagem.models.table import IMAGES
from stratagem.models.tokens import request_bound

# All that can be asked of a server: claims of a route with which everything is really sent.
EVERYTHING: Mapping[str, Any] = {
    "fields": frozenset(FIELDS), "schema": "constrained", "native_n": True, "media": IMAGES, "reasoning": "",
}  # fmt: skip
CALLS = 10  # without those for what only some servers claim
TIMEOUT_S = 120.0
SHORT, LONG = 60, 400  # tokens of a reply


@signature
def probe(question: str) -> str:
    """Answer a question of a probe."""
    ...


@tool
def temperature(city: str) -> str:
    """Return the temperature of a city now.

    Args:
        city: its name.
    """
    return f"{len(city)} degrees"


class Probe:
    """Asks one model.

    Args:
        model: through which everything that is asked is really sent.
        declared: what its row says that it honours.
        limits: what may be spent.
        clock: tells the time.

    Attributes:
        findings: what was found out, in order.
        usage: what it cost.
        ended: whether a limit kept it from asking something.
    """

    def __init__(
        self, model: Model, declared: Capabilities, limits: Budget = Budget(), clock: Clock | None = None
    ) -> None:
        self._model, self._declared, self._limits = model, declared, limits
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._began = self._clock.stamp()
        self.findings: list[Finding] = []
        self.usage = Usage()
        self.ended = False
        self._refused: StratagemError | None = None  # why the last request brought nothing

    @property
    def calls(self) -> int:
        """Draws that are asked for, at most, if nothing is refused."""
        return CALLS + 1 + ("effort" in self._declared.fields) + bool(self._images)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies, at most."""
        return self.calls * (request_bound(self._request("x" * 200, schema=SCHEMA)) + LONG)

    @property
    def usd(self) -> float | None:
        """What that costs at most; None if the price is unknown."""
        worth: Callable[[int, int], int] | None = getattr(self._model.capabilities, "worth", None)
        completion = self.calls * LONG
        return None if worth is None else worth(self.tokens - completion, completion) / 1e9

    async def run(self) -> list[Finding]:
        """Ask, and return what was found out.

        Raises:
            ModelError: the server cannot be reached, refuses the key or knows no such model.
        """
        await self._reply()
        await self._stream()
        await self._seed_and_draws()
        await self._logprobs()
        await self._schema()
        await self._tools()
        await self._effort()
        await self._image()
        return self.findings

    @property
    def _images(self) -> frozenset[str]:
        return self._declared.media & {"image/png"}

    def _add(self, name: str, found: Found, said: str) -> None:
        declared = {"n": "yes" if self._declared.native_n else "no", "images": "yes" if self._images else "no"}.get(
            name, ""
        )
        if name == "schema":
            declared = self._declared.schema if self._declared.schema != "none" else "no"
        elif name in FIELDS:
            declared = "yes" if name in self._declared.fields else "no"
        self.findings.append(Finding(name, declared, found, said))

    def _failed(self, *names: str) -> None:
        """Say of features that nothing came of the last request."""
        failure = self._refused
        assert failure is not None
        for name in names:
            if isinstance(failure, Rejected):
                self._add(name, "refused", str(failure))
            else:
                self._add(name, "untried", str(failure))

    async def _reply(self) -> None:
        reply = await self._asked("Write the numbers from 1 to 100, separated by blanks.", most=16, first=True)
        if reply is None:
            self._failed("reply", "usage", "max_tokens")
            return
        (sample,) = reply.samples
        self._add("reply", "honoured", shown(sample.text))
        counted = reply.usage is not None and not reply.usage.estimated
        self._add(
            "usage", "honoured" if counted else "ignored", "tokens are counted" if counted else "no tokens are counted"
        )
        if len(sample.text.split()) > 16:
            self._add("max_tokens", "ignored", f"{len(sample.text.split())} words for a limit of 16 tokens")
        elif sample.finish == "length":
            self._add("max_tokens", "honoured", "cut at 16 tokens, and said to be")
        else:
            self._add("max_tokens", "unclear", f"the reply ended before the limit ({sample.finish})")

    async def _stream(self) -> None:
        pieces: list[str] = []
        reply = await self._asked(
            "Count from 1 to 9, separated by blanks. Write nothing else.", on_delta=lambda one: pieces.append(one.text),
            stop=["6"],
        )  # fmt: skip
        if reply is None:
            self._failed("stream", "usage of streams", "stop")
            return
        several = len(pieces) > 1
        self._add("stream", "honoured" if several else "unclear", f"{len(pieces)} pieces")
        counted = reply.usage is not None and not reply.usage.estimated
        self._add(
            "usage of streams",
            "honoured" if counted else "ignored",
            "tokens are counted" if counted else "none are counted",
        )
        text = "".join(pieces)
        if "6" in text:
            self._add("stop", "ignored", f"went on after the stop: {shown(text)}")
        elif "5" in text:
            self._add("stop", "honoured", f"stopped before it: {shown(text)}")
        else:
            self._add("stop", "unclear", f"the reply never came to the stop: {shown(text)}")

    async def _seed_and_draws(self) -> None:
        words = "Write eight random words, separated by blanks. Write nothing else."
        sampling: dict[str, Any] = {"temperature": 1.0, "top_p": 0.95}
        first = await self._asked(words, seed=7, **sampling)
        if first is not None:
            self._add("temperature", "accepted", "no error; it cannot be seen")
            self._add("top_p", "accepted", "no error; it cannot be seen")
        elif isinstance(self._refused, Rejected):
            said = self._refused
            sampling, first = {}, await self._asked(words, seed=7)
            found: Found = "refused" if first is not None else "unclear"
            self._add("temperature", found, str(said))
            self._add("top_p", found, str(said))
        else:
            self._failed("temperature", "top_p")
        if first is None:
            self._failed("seed")
            await self._draws(words, sampling)
            return
        second = await self._asked(words, seed=7, **sampling)
        if second is None:
            self._failed("seed")
            await self._draws(words, sampling)
            return
        others = await self._draws(words, {**sampling, "seed": 8})
        if not others and (other := await self._asked(words, seed=8, **sampling)) is not None:
            others = list(other.samples)
        texts = [first.samples[0].text, second.samples[0].text]
        if texts[0] != texts[1]:
            self._add("seed", "ignored", f"two texts for one seed: {shown(texts[0], 30)}, {shown(texts[1], 30)}")
        elif any(one.text != texts[0] for one in others):
            self._add("seed", "honoured", "the same text for the same seed, another for another")
        else:
            self._add("seed", "unclear", "the same text whatever the seed")

    async def _draws(self, words: str, options: Mapping[str, Any]) -> list[Sample]:
        """Ask for two draws at once; return those that came."""
        reply = await self._asked(words, n=2, **options)
        if reply is None:
            self._failed("n")
            return []
        assert reply.usage is not None
        requests = reply.usage.requests - len(reply.attempts)
        if requests == 1:
            self._add("n", "honoured", "2 draws came of 1 request")
        else:
            self._add("n", "ignored", f"2 draws took {requests} requests")
        return list(reply.samples)

    async def _logprobs(self) -> None:
        reply = await self._asked("Say: yes", logprobs=True)
        given = reply.samples[0].logprobs if reply is not None else None
        if given and all(one <= 0 and not math.isnan(one) for one in given):
            self._add("logprobs", "honoured", f"{len(given)} came")
        elif reply is not None or (not isinstance(self._refused, Rejected) and _without_logprobs(self._refused)):
            self._add("logprobs", "ignored", "none came")
        else:
            self._failed("logprobs")

    async def _schema(self) -> None:
        right, wrong = 0, ""
        for _ in range(3):
            reply = await self._asked("Tell me about Paris, in one sentence.", schema=SCHEMA, most=LONG)
            if reply is None:
                self._failed("schema")
                return
            if complaint := misfit(reply.samples[0]):
                wrong = wrong or complaint
            else:
                right += 1
        if right == 3:
            self._add("schema", "honoured", "3 of 3 replies keep to it")
        else:
            self._add("schema", "ignored", f"{right} of 3 replies keep to it: {wrong}")

    async def _tools(self) -> None:
        question = "Look up the temperature of Paris and that of Rome with the tool. Call it for both at once."
        reply = await self._asked(question, tools=Tools((temperature,)), most=LONG)
        if reply is None:
            self._failed("tools", "parallel calls")
            return
        calls = reply.samples[0].calls
        right = [one for one in calls if one[0] == "temperature" and isinstance(one[1], dict) and "city" in one[1]]
        if calls and len(right) == len(calls):
            self._add("tools", "honoured", f"called as its schema says: {json.dumps(calls[0][1])}")
        else:
            said = f"called wrongly: {calls[0]!r}"[:120] if calls else f"no call: {shown(reply.samples[0].text)}"
            self._add("tools", "ignored", said)
        found: Found = "honoured" if len(calls) > 1 else "unclear"
        self._add("parallel calls", found, f"{len(calls)} in one reply")

    async def _effort(self) -> None:
        if "effort" not in self._declared.fields:
            return
        if await self._asked("Say: yes", effort="low", most=LONG) is None:
            self._failed("effort")
        else:
            self._add("effort", "accepted", "no error; it cannot be seen")

    async def _image(self) -> None:
        if not self._images:
            return
        red = Attachment("colour.png", "image/png", png(64, (255, 0, 0)))
        reply = await self._asked("Which colour is this image? Answer in one word.", attached=(red,), most=LONG)
        if reply is None:
            self._failed("images")
        elif "red" in reply.samples[0].text.lower():
            self._add("images", "honoured", f"a red image is {shown(reply.samples[0].text, 30)}")
        else:
            self._add("images", "ignored", f"a red image is {shown(reply.samples[0].text, 30)}")

    async def _asked(
        self,
        question: str,
        *,
        on_delta: Callable[[Delta], None] | None = None,
        first: bool = False,
        **settings: Any,
    ) -> Reply | None:
        """Send a request; None if nothing came of it, for the reason that is kept."""
        request = self._request(question, **settings)
        self._refused = self._beyond(request) or self._unsent(request)
        if self._refused is not None:
            return None
        try:
            made = self._model.complete(request, on_delta=on_delta)
            reply = made if isinstance(made, Reply) else await made
        except (ModelError, CapabilityError) as failure:
            spent: Usage | None = getattr(failure, "usage", None)
            self.usage += (spent or Usage())._replace(calls=request.n)
            if first or isinstance(failure, NotAuthorised | Unreachable):
                raise  # nothing else would come either
            self._refused = failure
            return None
        self.usage += (reply.usage or Usage())._replace(calls=request.n)
        return reply

    def _request(
        self,
        question: str,
        *,
        n: int = 1,
        most: int = SHORT,
        schema: Any = None,
        tools: Tools | None = None,
        attached: tuple[Attachment, ...] = (),
        **options: Any,
    ) -> Request:
        left = TIMEOUT_S
        if self._limits.seconds is not None:
            left = max(0.1, min(left, self._limits.seconds - self._seconds))
        checked = {name: checked_option(name, value) for name, value in {**options, "timeout_s": left}.items()}
        head = Head(
            b"", {}, self._model, checked, "", native=tools is not None, format="text", schema=schema, tools=tools
        )  # fmt: skip
        return Request(
            probe, {"question": question}, head, question, None, (), b"probe".ljust(32, b"\0"), "", 0, n, most, 0, attached
        )  # fmt: skip

    @property
    def _seconds(self) -> float:
        return (self._clock.stamp() - self._began) / 1e6

    def _unsent(self, request: Request) -> StratagemError | None:
        """Return why a request is not sent: our own wire cannot ask for it."""
        missing = ", ".join(sorted(self._model.refuses(request)))
        return CapabilityError(f"this model's wire does not send {missing}") if missing else None

    def _beyond(self, request: Request) -> StratagemError | None:
        """Return why a request is not sent: a limit might not hold."""
        prompt, completion = request_bound(request), request.n * (request.max_tokens or 0)
        worth: Callable[[int, int], int] | None = getattr(self._model.capabilities, "worth", None)
        spent, limits = self.usage, self._limits
        wanted = {
            "calls": spent.calls + request.n,
            "prompt_tokens": spent.prompt_tokens + prompt,
            "completion_tokens": spent.completion_tokens + completion,
            "tokens": spent.tokens + prompt + completion,
            "usd": (spent.usd or 0.0) + (worth(prompt, completion) / 1e9 if worth is not None else 0.0),
            "seconds": self._seconds,
        }
        for name, value in wanted.items():
            limit = getattr(limits, name)
            if limit is not None and value > limit:
                self.ended = True
                return CapabilityError(f"the limit {name}={limit:g} would not hold")
        return None


def _without_logprobs(failure: StratagemError | None) -> bool:
    return failure is not None and "log-probabilities" in str(failure)
