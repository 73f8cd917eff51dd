"""A provider with a form of its own, as a backend: pydantic-ai's model classes write the request and read the reply.

Rule 1: the library is imported in a thread, at the first attempt.
Rule 2: no reply is believed to be whole because it ended: it has a reason for its end.
Rule 3: whatever goes wrong in the library, the attempt ends as a `Failure`: the one that our transport saw, if it did.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from stratagem.core import Capabilities, Clock, Delta, Reply, Request, SystemClock
from stratagem.errors import CapabilityError, ModelError, Rejected
from stratagem.models.compatible import LONG, refused_by
from stratagem.models.hosted_table import HostedRow
from stratagem.models.hosted_wire import CURRENT, Attempt, Wire
from stratagem.models.keys import Key, origin_of
from stratagem.models.retry import SHOWN, Failure, bad
from stratagem.models.tokens import bound, request_bound
from stratagem.models.transport import Access, Times, Transport

_IMPORTING = threading.Lock()  # two threads that import halves of one library wait for each other at best


class Hosted:
    """A model of one provider. All of these report whole prompts, those that were cached included.

    Args:
        row: what is known of the provider.
        name: of the model, as the provider knows it.
        url: where the provider answers.
        key: what authorises requests there.
        clock: tells the time.
        times: how long to wait.
        access: how the provider is reached.
    """

    steady = True

    def __init__(
        self,
        row: HostedRow,
        name: str,
        url: str,
        key: Key,
        clock: Clock | None = None,
        times: Times = Times(),
        access: Access = Access(),
    ) -> None:
        self.row, self.name, self.key = row, name, key
        self.capabilities: Capabilities = row.capabilities(name)
        self.origin = origin_of(url)
        self._url, self._where = url, f"{row.title} ({self.origin})"
        self._transport = Transport(clock if clock is not None else SystemClock(), times, self._where, access)
        self._wire = Wire(self._transport, key, self.origin, self._where, signed=row.prefix == "bedrock")
        self._model: Any = None
        self._form: Any = None

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that cannot be honoured in this combination, and `media` for what cannot be read."""
        return refused_by(self.capabilities, request) | self.row.refuses(self.name, request)

    async def attempt(
        self, request: Request, n: int, number: int, until: int, on_delta: Callable[[Delta], None] | None
    ) -> Reply:
        """Send a request once, and return the one draw that came: these providers draw one at a time.

        Args:
            request: what is asked.
            n: draws wanted; the gateway asks for the rest one by one.
            number: of the attempt, from 1.
            until: stamp at which all must have come.
            on_delta: hears of pieces.

        Raises:
            Failure: no reply came, or none that may be believed.
            CapabilityError: the key is in no keyring either, or the provider's library is not installed.
        """
        del n
        await self.key.ready()
        if self._model is None:
            await asyncio.to_thread(self._load)
        attempt = Attempt(until, f"{request.digest.hex()[:16]}-{request.occurrence}-{number}")
        token = CURRENT.set(attempt)
        try:
            return await self._attempted(request, attempt, on_delta)
        except Failure as failure:
            raise self._completed(failure, attempt) from None
        except Exception as failure:  # noqa: BLE001  (of the library, or of what it cannot read)
            raise self._completed(self._meaning(failure, attempt), attempt) from None
        finally:
            CURRENT.reset(token)
            attempt.close()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    def _load(self) -> None:
        """Import the library and make its model. In a thread."""
        with _IMPORTING:
            if self._model is None:
                try:
                    from stratagem.models import hosted_clients, hosted_form

                    self._form = hosted_form
                    self._model = hosted_clients.model_of(self.row, self.name, self._url, self._wire, self.key)
                except ImportError as failure:
                    raise missing(self.row, str(failure)) from None

    async def _attempted(self, request: Request, attempt: Attempt, on_delta: Callable[[Delta], None] | None) -> Reply:
        form, size = self._form, request_bound(request)
        settings = form.settings_of(request, self.row, self.name, size)
        asked = (
            form.messages_of(request, self.row, self._model.system), settings,
            form.parameters_of(request, self.row, self.name, self.capabilities.schema),
        )  # fmt: skip
        if self.row.streams and (on_delta is not None or settings.get("max_tokens", 0) > LONG):
            said = await self._streamed(asked, attempt, on_delta)
        else:
            said = await form.model_request(
                self._model, asked[0], model_settings=settings, model_request_parameters=asked[2], instrument=False
            )
        if attempt.failure is not None:
            raise attempt.failure
        sample = form.sample_of(said, request, self.row, self._where)
        if on_delta is not None and not self.row.streams:
            on_delta(Delta(0, sample.text))
        usage = form.usage_of(said, size, bound(sample.text) + bound(str(sample.calls)))
        return Reply((sample,), usage, request_id=self._id(attempt), headers=attempt.answered.headers)

    async def _streamed(self, asked: Any, attempt: Attempt, on_delta: Callable[[Delta], None] | None) -> Any:
        messages, settings, parameters = asked
        opened = self._form.model_request_stream(
            self._model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
        )
        async with opened as stream:
            async for event in stream:
                text, thought = _words(event)
                attempt.received += text
                if on_delta is not None and (text or thought):
                    on_delta(Delta(0, text, thought))
            return stream.get()

    def _meaning(self, failure: Exception, attempt: Attempt) -> Failure:
        """Return what an exception of the library means."""
        if attempt.failure is not None:
            return attempt.failure
        said = self.key.hidden(" ".join(f"{type(failure).__name__}: {failure}".split()))[:300]
        if not attempt.sent:
            return Failure(Rejected(f"{self._where}: the request cannot be written: {said}"))
        return bad(f"{self._where} sent what is no reply: {said}")

    def _completed(self, failure: Failure, attempt: Attempt) -> Failure:
        failure.received = failure.received or attempt.received
        failure.headers = attempt.answered.headers
        failure.error.args = (
            self.key.hidden(str(failure.error))[: 2 * SHOWN],
        )  # it may quote a reason of the server's
        if isinstance(failure.error, ModelError):
            failure.error.request_id = failure.error.request_id or self._id(attempt)
        return failure

    def _id(self, attempt: Attempt) -> str | None:
        headers = attempt.answered.headers
        named = headers.get("request-id") or headers.get("x-request-id") or headers.get("x-amzn-requestid") or ""
        return self.key.hidden(named)[:100] or None


def _words(event: Any) -> tuple[str, str]:
    """Return the text and the thought that an event of a stream brings."""
    if event.event_kind == "part_start":
        kind, words = event.part.part_kind, getattr(event.part, "content", None)
    elif event.event_kind == "part_delta":
        kind, words = event.delta.part_delta_kind, getattr(event.delta, "content_delta", None)
    else:
        return "", ""
    if not isinstance(words, str):
        return "", ""
    return (words, "") if kind == "text" else ("", words) if kind == "thinking" else ("", "")


def missing(row: HostedRow, why: str = "") -> CapabilityError:
    """Return the error that a provider's extra is not installed."""
    more = f" ({why[:200]})" if why else ""
    return CapabilityError(
        f"models `{row.prefix}:` need pydantic-ai and the package of {row.title}{more}",
        remedy=f'Install them: pip install "stratagem[{row.prefix}]"',
    )
