"""One attempt at a server that speaks chat completions: send, read, verify.

The reply is streamed where somebody listens, and where it may be long, since proxies cut replies that are silent for long.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from stratagem.core import Capabilities, Clock, Delta, Json, Reply, Request, Sample, SystemClock, Usage
from stratagem.core._canonical import is_object
from stratagem.errors import ModelError
from stratagem.models.compatible_body import Collected, body, usage_of
from stratagem.models.keys import Key, origin_of, proposed
from stratagem.models.retry import Answered, Failure, bad, refused
from stratagem.models.sse import Events, TooLarge
from stratagem.models.table import Row
from stratagem.models.tokens import bound, request_bound
from stratagem.models.transport import ERROR_BYTES, Access, Incoming, Times, Transport

OPTIONS = ("temperature", "top_p", "stop", "seed", "effort", "logprobs")
LONG = 4096  # tokens of a reply from which it is streamed though nobody listens


class Compatible:
    """A model of one server.

    Args:
        row: what is known of the server, and its address.
        name: of the model, as the server knows it.
        key: what authorises requests there.
        clock: tells the time.
        times: how long to wait.
        access: how the server is reached.
    """

    def __init__(
        self,
        row: Row,
        name: str,
        key: Key,
        clock: Clock | None = None,
        times: Times = Times(),
        access: Access = Access(),
    ) -> None:
        self.row, self.name, self.key = row, name, key
        self.capabilities = row.capabilities(name)
        self.origin = origin_of(row.url)
        self.steady = row.prefix == "openai" and not row.templated  # OpenAI itself; the others fill templates of models
        self._url, self._where = f"{row.url}/chat/completions", f"{row.title} ({self.origin})"
        self._meant = proposed(row.url)
        self._transport = Transport(clock if clock is not None else SystemClock(), times, self._where, access)

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that the server does not honour, and `media` for attachments that it cannot read."""
        return refused_by(self.capabilities, request)

    async def attempt(
        self, request: Request, n: int, number: int, until: int, on_delta: Callable[[Delta], None] | None
    ) -> Reply:
        """Send a request for `n` draws once, and return what came.

        Args:
            request: what is asked.
            n: draws.
            number: of the attempt, from 1.
            until: stamp at which all must have come.
            on_delta: hears of pieces.

        Raises:
            Failure: no reply came, or none that may be believed.
            CapabilityError: the key is in no keyring either.
        """
        await self.key.ready()
        most = request.max_tokens or request.options.get("max_tokens") or 0
        stream = on_delta is not None or most > LONG
        form = self._asked(request, n, stream=stream)
        data = json.dumps(form, ensure_ascii=False).encode(errors="replace")
        incoming = await self._transport.post(self._url, data, self._headers(request, number), until)
        try:
            return await self._read(request, incoming, on_delta)
        except Failure as failure:
            if isinstance(failure.error, ModelError):
                failure.error.request_id = failure.error.request_id or self._id(incoming.answered)
            failure.headers = incoming.answered.headers
            raise
        finally:
            incoming.close()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _asked(self, request: Request, n: int, *, stream: bool) -> dict[str, Json]:
        """Return the body of a request for `n` draws."""
        row, constrained = self.row, self.capabilities.schema  # which may have turned out to be less
        row = row if row.schema == constrained else replace(row, schema=constrained)
        return body(request, row, self.name, n, stream=stream)

    def _drawn(self, request: Request, found: Collected) -> tuple[Sample, ...]:  # noqa: ARG002  (what a subclass reads)
        """Return the draws of a reply that has come; `Failure` if it is not whole."""
        return found.samples()

    def _headers(self, request: Request, number: int) -> Mapping[str, str]:
        return {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",
            "User-Agent": "stratagem",
            "X-Client-Request-Id": f"{request.digest.hex()[:16]}-{request.occurrence}-{number}",
            **self.key.headers(self.origin),
        }

    def _id(self, answered: Answered) -> str | None:
        return self.key.hidden(answered.headers.get("x-request-id", ""))[:100] or None

    async def _read(self, request: Request, incoming: Incoming, on_delta: Callable[[Delta], None] | None) -> Reply:
        answered = incoming.answered
        if not 200 <= answered.status < 300:
            said = (await incoming.whole(ERROR_BYTES)).decode(errors="replace")
            raise refused(answered, said, self._where, self.key.hidden, self.key.variable, self._meant)
        found = Collected(request, self.row, self._where, on_delta)
        streamed = answered.streams
        form: Json = None
        if streamed:
            await self._stream(incoming, found)
        else:
            form = self._form((await incoming.whole()).decode("utf-8-sig", "replace"), answered, found)
            found.done = self.row.unfinished
        try:
            if not streamed:
                found.add(form, key="message")
            samples = self._drawn(request, found)
        except Failure as failure:  # of a reply that has come to its end: what it says that it cost is what it cost
            failure.usage = self._used(request, found) if found.usage is not None else None
            raise
        return Reply(samples, self._used(request, found), request_id=self._id(answered), headers=answered.headers)

    def _used(self, request: Request, found: Collected) -> Usage:
        return usage_of(found.usage, request_bound(request), bound(found.received))

    async def _stream(self, incoming: Incoming, found: Collected) -> None:
        events = Events()
        try:
            async with contextlib.aclosing(incoming.pieces()) as pieces:
                async for piece in pieces:
                    for _, data in events.feed(piece):
                        self._event(data, incoming.answered, found)
            for _, data in events.end():
                self._event(data, incoming.answered, found)
        except TooLarge:
            raise bad(f"{self._where} sent an event without an end", attempts=1, received=found.received) from None
        except Failure as failure:
            failure.received = failure.received or found.received
            raise

    def _event(self, data: str, answered: Answered, found: Collected) -> None:
        if found.done or not data.strip():
            return
        if data.strip() == "[DONE]":
            found.done = True
        else:
            found.add(self._form(data, answered, found), key="delta")

    def _form(self, text: str, answered: Answered, found: Collected) -> Json:
        """Return a reply or chunk as data; `Failure` if it is none, or says that something went wrong."""
        try:
            form: Json = json.loads(text)
        except (ValueError, RecursionError):
            shown = self.key.hidden(" ".join(text.split()))[:200]
            raise bad(f"{self._where} sent what is no JSON: {shown!r}", received=found.received) from None
        error = form.get("error") if is_object(form) else None
        if not error:
            return form
        code = error.get("code") if is_object(error) else None
        if type(code) is int and 400 <= code < 600:  # a status, said where none could be sent any more
            failure = refused(
                Answered(code, answered.headers), text, self._where, self.key.hidden, self.key.variable, self._meant
            )
            failure.ran, failure.received = failure.ran or bool(found.drafts), found.received
            raise failure
        said = self.key.hidden(json.dumps(error))[:500]
        raise bad(f"{self._where} sent an error instead of a reply: {said}", received=found.received)


def refused_by(capabilities: Capabilities, request: Request) -> frozenset[str]:
    """Return the options of a request that a model does not honour, and `media` for what it cannot read."""
    fields, options = capabilities.fields, request.options
    refused = {name for name in OPTIONS if name in options and name not in fields}
    if options.get("logprobs") is False:
        refused.discard("logprobs")
    if any(one.media_type not in capabilities.media for one in request.attached):
        refused.add("media")
    return frozenset(refused)
