"""What a server really honours, found out by ten small requests at most.

Rule 1: nothing is believed because it was accepted: a seed has to repeat a text and another seed has to change it, draws are
        counted per request, schemas are asked for with a question that invites prose, and stops are looked for in what
        came over the wire. What cannot be seen from outside (temperature, top_p, effort) is `accepted` at best.
Rule 2: requests of a probe are not recorded in a journal: a recorded reply would answer the second of two equal ones. What
        they cost is added up and said, and each is refused if a limit would not hold.
Rule 3: a server that says the same to the same request gets the same verdicts each time. What is not about sampling is asked
        at temperature 0 and with a seed, as far as the server takes them; the schema has no text of free length that a
        hot draw could ramble in; and what the gateway learns of the server from one reply is forgotten before the next
        request, so that all are sent as they were meant.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
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
)
from stratagem.core._options import checked_option
from stratagem.errors import CapabilityError, ModelError, NotAuthorised, Rejected, StratagemError, Unreachable
from stratagem.models.findings import SCHEMA, Finding, Found, called, misfit, png, shown
from stratagem.models.keys import hiding
from stratagem.models.probe_direct import Direct, Seen, temperature
from stratagem.models.routes import FIELDS
from stratagem.models.table import IMAGES
from stratagem.models.tokens import request_bound

# All that can be asked of a server: claims of a route with which everything is really sent.
EVERYTHING: Mapping[str, Any] = {
    "fields": frozenset(FIELDS), "schema": "constrained", "native_n": True, "media": IMAGES, "reasoning": "",
}  # fmt: skip
MOST = 10  # draws that are asked for, refused ones included
TIMEOUT_S = 120.0
SHORT, LONG = 60, 400  # tokens of a reply
SAMPLING = {"temperature": 1.0, "top_p": 0.95}
SEED = 7


@signature
def probe(question: str) -> str:
    """Answer a question of a probe."""
    ...


class Probe:
    """Asks one model.

    Args:
        model: through which everything that is asked is really sent.
        declared: what its row says that it honours.
        limits: what may be spent.
        clock: tells the time.
        direct: asks the server for what no request of the library asks; None asks for nothing of it.

    Attributes:
        findings: what was found out, in order.
        usage: what it cost.
        ended: whether a limit kept it from asking something.
    """

    def __init__(
        self,
        model: Model,
        declared: Capabilities,
        limits: Budget = Budget(),
        clock: Clock | None = None,
        direct: Direct | None = None,
    ) -> None:
        self._model, self._declared, self._limits, self._direct = model, declared, limits, direct
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._began = self._clock.stamp()
        self.findings: list[Finding] = []
        self.usage = Usage()
        self.ended = False
        self._refused: StratagemError | None = None  # why the last request brought nothing
        self._heard = False  # whether any reply came
        self._schema, self._native = model.capabilities.schema, model.capabilities.native_n
        self._hidden = hiding(model)
        self._steady: dict[str, Any] = {}  # options that leave nothing to chance

    @property
    def heard(self) -> bool:
        """Whether any reply came."""
        return self._heard

    @property
    def calls(self) -> int:
        """Draws that are asked for, at most."""
        return MOST

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
        await self._sampling()
        await self._reply()
        await self._stream()
        await self._tools()
        if self._direct is not None:
            await self._asked_directly("named tool", self._direct.named_tool)
        await self._image()
        await self._effort()
        if self._direct is not None:
            await self._asked_directly("echo scoring", self._direct.echoed)
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
        self.findings.append(Finding(name, declared, found, self._hidden(said)))

    def _shown(self, text: str, limit: int = 60) -> str:
        return shown(self._hidden(text), limit)  # a key that is cut is no longer found

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
        question, most = "Write the numbers from 1 to 100, separated by blanks.", 16
        reply = await self._asked(question, most=most, logprobs=True, **self._steady)
        given = reply.samples[0].logprobs if reply is not None else None
        if reply is not None:
            came = bool(given) and all(one <= 0 and not math.isnan(one) for one in given or ())
            self._add("logprobs", *(("honoured", f"{len(given or ())} came") if came else ("ignored", "none came")))
        else:
            missing = not isinstance(self._refused, Rejected) and _without_logprobs(self._refused)
            why = self._refused
            reply = await self._asked(question, most=most, first=not self._heard, **self._steady)
            if missing:
                self._add("logprobs", "ignored", "none came")
            elif reply is not None or isinstance(why, CapabilityError):
                self._refused = why
                self._failed("logprobs")
            else:
                self._add("logprobs", "untried", str(self._refused))
        if reply is None:
            self._failed("reply", "usage", "max_tokens")
            return
        (sample,) = reply.samples
        self._add("reply", "honoured", self._shown(sample.text))
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
            stop=["6"], **self._steady,
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
            self._add("stop", "ignored", f"went on after the stop: {self._shown(text)}")
        elif "5" in text:
            self._add("stop", "honoured", f"stopped before it: {self._shown(text)}")
        else:
            self._add("stop", "unclear", f"the reply never came to the stop: {self._shown(text)}")

    async def _sampling(self) -> None:
        """Ask for two draws by one seed and for two at once by another, all with a schema: what is said shows all three."""
        wanted: dict[str, Any] = {**SAMPLING, "seed": SEED, "schema": SCHEMA}
        wanted = self._sendable(wanted)
        groups = [tuple(name for name in one if name in wanted) for one in (SAMPLING, ("schema",), ("seed",))]
        first = await self._dreamt(wanted)
        if first is None:
            wanted, first = await self._narrowed(wanted, [one for one in groups if one])
        for name in SAMPLING:
            if first is not None and name in wanted:
                self._add(name, "accepted", "no error; it cannot be seen")
        self._steady = self._sendable({"temperature": 0.0, "seed": SEED} if first is not None else {}, silently=True)
        self._steady = {name: value for name, value in self._steady.items() if name in wanted}
        if first is None:
            self._add("n", "untried", "not even one draw came")
            return
        second = await self._dreamt(wanted)
        others = await self._draws(wanted)
        if "seed" in wanted:
            self._seeded(first, second, others)
        if "schema" in wanted:
            self._kept_to([*first.samples, *(second.samples if second is not None else ()), *others])

    async def _dreamt(self, options: dict[str, Any], n: int = 1) -> Reply | None:
        words = "Dream up an animal, and tell me about it in one sentence."
        return await self._asked(words, n=n, most=LONG, **options)

    def _sendable(self, options: dict[str, Any], *, silently: bool = False) -> dict[str, Any]:
        """Return the options that the model's wire sends; the others are untried."""
        kept = dict(options)
        if "schema" in kept and self._schema != "constrained":
            del kept["schema"]
        kept = {name: kept[name] for name in kept if name not in self._model.refuses(self._request("?", **kept))}
        for name in options:
            if name not in kept and not silently:
                self._add(name, "untried", "this model's wire does not send it")
        return kept

    async def _narrowed(
        self, wanted: dict[str, Any], groups: list[tuple[str, ...]]
    ) -> tuple[dict[str, Any], Reply | None]:
        """Find out which options nothing comes of; return the others, and what came of them."""
        why = self._refused
        if self.ended:
            self._failed(*wanted)
            return {}, None
        for left_out in groups:
            kept = {name: value for name, value in wanted.items() if name not in left_out}
            found = await self._dreamt(kept)
            if found is not None:
                self._refused = why
                self._failed(*left_out)
                return kept, found
        self._refused = why
        for name in wanted:
            self._add(name, "unclear", f"nothing came of all together, nor without one of them: {why}")
        return {}, None

    async def _draws(self, wanted: dict[str, Any]) -> list[Sample]:
        """Ask for two draws at once, by another seed; return what came, of one draw if two are refused."""
        options = {**wanted, **({"seed": SEED + 1} if "seed" in wanted else {})}
        reply = await self._dreamt(options, n=2)
        if reply is None:
            self._failed("n")
            single = await self._dreamt(options)
            return [] if single is None else list(single.samples)
        assert reply.usage is not None
        requests = reply.usage.requests - len(reply.attempts)
        said = f"2 draws {'came of' if requests == 1 else 'took'} {requests} request{'' if requests == 1 else 's'}"
        self._add("n", "honoured" if requests == 1 else "ignored", said)
        return list(reply.samples)

    def _seeded(self, first: Reply, second: Reply | None, others: list[Sample]) -> None:
        if second is None:
            self._failed("seed")
            return
        texts = [first.samples[0].text, second.samples[0].text]
        if texts[0] != texts[1]:
            self._add(
                "seed", "ignored", f"two texts for one seed: {self._shown(texts[0], 30)}, {self._shown(texts[1], 30)}"
            )
        elif any(one.text != texts[0] for one in others):
            self._add("seed", "honoured", "the same text for the same seed, another for another")
        else:
            self._add("seed", "unclear", "the same text whatever the seed")

    def _kept_to(self, draws: list[Sample]) -> None:
        """Say whether all draws keep to the schema."""
        wrong = [complaint for one in draws if (complaint := misfit(one, self._hidden))]
        said = f"{len(draws) - len(wrong)} of {len(draws)} replies keep to it"
        if len(draws) < 3:
            self._add("schema", "unclear", said)
        elif wrong:
            self._add("schema", "ignored", f"{said}: {wrong[0]}")
        else:
            self._add("schema", "honoured", said)

    async def _tools(self) -> None:
        question = "Look up the temperature of Paris and that of Rome with the tool. Call it for both at once."
        reply = await self._asked(question, tools=Tools((temperature,)), most=LONG, **self._steady)
        if reply is None:
            self._failed("tools", "parallel calls")
            return
        calls = reply.samples[0].calls
        self._add("tools", *called(calls, reply.samples[0].text, self._hidden))
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
        reply = await self._asked(
            "Which colour is this image? Answer in one word.", attached=(red,), most=LONG, **self._steady
        )  # fmt: skip
        if reply is None:
            self._failed("images")
        elif "red" in reply.samples[0].text.lower():
            self._add("images", "honoured", f"a red image is {self._shown(reply.samples[0].text, 30)}")
        else:
            self._add("images", "ignored", f"a red image is {self._shown(reply.samples[0].text, 30)}")

    async def _asked_directly(self, name: str, ask: Callable[[Mapping[str, Any]], Awaitable[Seen]]) -> None:
        self._refused = self._beyond(self._request("x" * 200, most=LONG))
        if self._refused is not None:
            self._failed(name)
            return
        seen = await ask(self._steady)
        self.usage += seen.usage
        self._add(name, seen.found, seen.said)

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
        self._model.capabilities.schema, self._model.capabilities.native_n = self._schema, self._native
        try:
            made = self._model.complete(request, on_delta=on_delta)
            reply = made if isinstance(made, Reply) else await made
        except (ModelError, CapabilityError) as failure:
            spent: Usage | None = getattr(failure, "usage", None)
            self.usage += (spent or Usage())._replace(calls=request.n)
            unknown = not self._heard and isinstance(failure, Rejected) and failure.status == 404  # the model, or all
            if first or unknown or isinstance(failure, NotAuthorised | Unreachable):
                raise  # nothing else would come either
            self._refused = failure
            return None
        self._heard = True
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
        if self.usage.calls + request.n > MOST:
            return CapabilityError(f"{MOST} calls were asked, and no more are")
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
