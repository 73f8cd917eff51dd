"""One attempt of a provider's client library, as our transport sees it: what it may send, and what came of it.

Rule 1: one attempt is one request. A library that would send a second one, or one to another origin, is stopped.
Rule 2: the library has no key. What authorises a request is put on it here, and of the library's own headers only those
        of `PASSED` go out: nothing that an environment variable put there does.
Rule 3: what comes is looked at before the library reads it: an error under status 200, an error within a stream, or a
        page of HTML is a failure, whatever the library would make of it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

from stratagem.core import Json
from stratagem.core._canonical import is_object
from stratagem.models.keys import Key, origin_of
from stratagem.models.retry import Answered, Failure, bad, refused
from stratagem.models.sse import Events, TooLarge
from stratagem.models.transport import ERROR_BYTES, Incoming, Transport

PASSED = frozenset({
    "accept", "content-type", "anthropic-version", "anthropic-beta", "authorization", "x-amz-date",
    "x-amz-security-token", "x-amz-content-sha256",
})  # fmt: skip
_SIGNED = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})  # by the library of AWS only

# Statuses of errors that are told by their kind, where no status can be sent any more.
_STATUSES: Mapping[str, int] = {
    "overloaded_error": 529, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "server_error": 500,
    "rate_limit_exceeded": 429, "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "billing_error": 402, "insufficient_quota": 429,
    "context_length_exceeded": 400, "invalid_prompt": 400, "vector_store_timeout": 504,
}  # fmt: skip


class Attempt:
    """What one attempt may do, and what came of it.

    Attributes:
        until: stamp at which all must have come.
        name: which the request gets for whoever reads logs.
        failure: what went wrong, if the transport saw it.
        received: text that came, for a bill if it breaks off.
        answered: status and headers of the answer.
        sent: whether anything was.
        loop: of the task that waits, for a library that works in a thread.
        pending: what that thread waits for.
    """

    __slots__ = ("answered", "failure", "incoming", "loop", "name", "pending", "received", "sent", "until")

    def __init__(self, until: int, name: str) -> None:
        self.until, self.name = until, name
        self.failure: Failure | None = None
        self.received = ""
        self.answered = Answered(0, {})
        self.incoming: Incoming | None = None
        self.sent = False
        self.loop = asyncio.get_running_loop()
        self.pending: Future[Any] | None = None

    def close(self) -> None:
        """Let go of the connection, whoever waits for it."""
        if self.pending is not None:
            self.pending.cancel()
        if self.incoming is not None:
            self.incoming.close()


CURRENT: "ContextVar[Attempt]" = ContextVar("stratagem_attempt")


class Stopped(Exception):
    """What a library's client meets: it wraps it, and the attempt says what it was."""


class Wire:
    """Sends what a client library wrote.

    Args:
        transport: to the one origin.
        key: what authorises requests there.
        where: name of the server, for messages.
        signed: whether the library signs requests itself.
    """

    def __init__(self, transport: Transport, key: Key, origin: str, where: str, *, signed: bool = False) -> None:
        self._transport, self._key, self._origin, self._where = transport, key, origin, where
        self._signed = signed

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes
    ) -> tuple[Answered, bytes | AsyncGenerator[bytes]]:
        """Send a request; return status and headers, and the whole reply or the pieces of a stream.

        Raises:
            Stopped: there is no reply for the library to read; the attempt has the failure.
        """
        attempt = CURRENT.get()
        if attempt.sent or method != "POST" or origin_of(url) != self._origin:
            what = (
                f"the client library wanted to send {method} to {origin_of(url)!r} besides the request to {self._where}"
            )
            raise self._stopped(attempt, attempt.failure or bad(what, attempts=1))
        attempt.sent = True
        try:
            incoming = attempt.incoming = await self._transport.post(
                url, data, self._headers(attempt, headers), attempt.until
            )
            answered = attempt.answered = incoming.answered
            if not 200 <= answered.status < 300:
                said = (await incoming.whole(ERROR_BYTES)).decode(errors="replace")
                raise refused(answered, said, self._where, self._key.hidden, self._key.variable)
            if answered.streams:
                return answered, self._pieces(attempt, incoming)
            whole = await incoming.whole()
            self._look(whole.decode(errors="replace"), answered)
        except Failure as failure:
            raise self._stopped(attempt, failure) from None
        return answered, whole

    def _stopped(self, attempt: Attempt, failure: Failure) -> Stopped:
        attempt.failure = failure
        return Stopped(str(failure))

    def _headers(self, attempt: Attempt, given: Mapping[str, str]) -> dict[str, str]:
        passed = PASSED if self._signed else PASSED - _SIGNED
        kept = {name: value for name, value in given.items() if name.lower() in passed}
        return {
            **kept,
            "Accept-Encoding": "identity",
            "User-Agent": "stratagem",
            "X-Client-Request-Id": attempt.name,
            **self._key.headers(self._origin),
        }

    async def _pieces(self, attempt: Attempt, incoming: Incoming) -> AsyncGenerator[bytes]:
        """Yield a stream as it comes; whatever is wrong with it ends it, and is the attempt's failure."""
        events = Events()
        pieces = incoming.pieces()
        try:
            async for piece in pieces:
                for _, data in events.feed(piece):
                    self._event(data, incoming.answered)
                yield piece
            for _, data in events.end():
                self._event(data, incoming.answered)
        except TooLarge:
            raise self._stopped(attempt, bad(f"{self._where} sent an event without an end", attempts=1)) from None
        except Failure as failure:
            raise self._stopped(attempt, failure) from None
        finally:
            await pieces.aclose()

    def _event(self, data: str, answered: Answered) -> None:
        if '"error"' not in data and data[:1] in "{[":
            return
        if data != "[DONE]":
            self._look(data, answered, in_stream=True)

    def _look(self, text: str, answered: Answered, *, in_stream: bool = False) -> None:
        """Raise a `Failure` for what is no reply."""
        try:
            form: Json = json.loads(text)
        except (ValueError, RecursionError):
            shown = self._key.hidden(" ".join(text.split()))[:200]
            raise bad(f"{self._where} sent what is no JSON: {shown!r}") from None
        if not is_object(form):
            raise bad(f"{self._where} sent JSON that is no reply: {self._key.hidden(text)[:80]}")
        error = _error_of(form)
        if error is None:
            return
        status = _status_of(error)
        if status is not None:
            failure = refused(
                Answered(status, answered.headers), json.dumps({"error": error}), self._where, self._key.hidden,
                self._key.variable,
            )  # fmt: skip
            failure.ran = failure.ran or in_stream
            raise failure
        said = self._key.hidden(json.dumps(error))[:500]
        raise bad(f"{self._where} sent an error instead of a reply: {said}")


def _error_of(form: dict[str, Json]) -> Json:
    """Return the error that a reply or an event is, in any provider's form; None if it is none."""
    if form.get("type") == "error" and not form.get("error"):
        return form  # Responses: an event is the error itself
    inner = form.get("response")
    if form.get("type") == "response.failed" and is_object(inner):
        return inner.get("error") or {"message": "the response failed"}
    return form.get("error") or None


def _status_of(error: Json) -> int | None:
    if not is_object(error):
        return None
    code = error.get("code")
    if type(code) is int and 400 <= code < 600:
        return code
    kinds = (error.get("code"), error.get("type"))
    return next((_STATUSES[kind] for kind in kinds if isinstance(kind, str) and kind in _STATUSES), None)
